//! The visible messages of a queue, and which of them the next receive gives (P19, E5.8).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::rng::{Draw, Purpose};
use crate::sources::hub::Hub;
use crate::sources::queue::groups::Groups;
use crate::sources::queue::messages::{Messages, NIL};
use crate::sources::record::{Record, RecordQueue};
use crate::time::Micros;

/// What has become available: enough to see later whether it still is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Available {
    /// Place of a message, or of a group; [`NIL`] for a message that has none yet.
    pub(super) place: u32,
    /// Sequence of a message; how often a group had become available.
    pub(super) sequence: u32,
    /// How often the message had been received.
    pub(super) receives: u32,
}

/// The next message that a receive gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    pub(super) record: Record,
    /// [`NIL`] where it has no place yet.
    pub(super) place: u32,
}

/// The visible messages of a queue.
#[derive(Debug)]
pub(super) enum Waiting {
    /// Oldest first.
    Oldest(Oldest),
    /// In random order.
    Random(Random),
    /// By message group.
    Groups(Groups),
}

impl Waiting {
    /// Visible messages.
    #[inline]
    pub(super) fn visible(&self) -> u64 {
        match self {
            Self::Oldest(oldest) => oldest.fresh.len() as u64 + oldest.returned.len(),
            Self::Random(random) => random.ages.len(),
            Self::Groups(groups) => groups.visible(),
        }
    }

    /// Whether a receive would find anything.
    #[inline]
    pub(super) fn any_available(&self) -> bool {
        match self {
            Self::Groups(groups) => groups.any_available(),
            _ => self.visible() > 0,
        }
    }

    /// A message is sent; what has become available, if anything.
    #[inline]
    pub(super) fn land(
        &mut self,
        record: Record,
        messages: &mut Messages,
        hub: &Hub,
    ) -> Option<Available> {
        let sequence = record.sequence;
        match self {
            Self::Oldest(oldest) => {
                oldest.fresh.push(record);
                Some(Available { place: NIL, sequence, receives: 0 })
            }
            Self::Random(random) => {
                let place = messages.add(record);
                random.ages.land(place, sequence, messages);
                random.order.push(Reverse((draw(&record, 1, hub), sequence, place)));
                Some(Available { place, sequence, receives: 0 })
            }
            Self::Groups(groups) => groups.land(record, messages),
        }
    }

    /// A message is visible again; its lease counts in its group until [`Groups::unlock`].
    pub(super) fn give_back(
        &mut self,
        place: u32,
        messages: &mut Messages,
        hub: &Hub,
    ) -> Option<Available> {
        let message = messages.get(place);
        let (record, receives) = (message.record, message.receives);
        let sequence = record.sequence;
        match self {
            Self::Oldest(oldest) => oldest.returned.push(place, sequence),
            Self::Random(random) => {
                random.ages.give_back(place, sequence);
                random.order.push(Reverse((draw(&record, receives + 1, hub), sequence, place)));
            }
            Self::Groups(groups) => {
                groups.give_back(place, messages);
                return None;
            }
        }
        Some(Available { place, sequence, receives })
    }

    /// Whether what became available still is.
    pub(super) fn still_available(&self, available: &Available, messages: &Messages) -> bool {
        let Available { place, sequence, receives } = *available;
        match self {
            Self::Groups(groups) => groups.still_available(place, sequence),
            Self::Oldest(oldest) if place == NIL => {
                oldest.fresh.front().is_some_and(|front| front.sequence <= sequence)
            }
            _ => messages.is_visible(place, sequence) && messages.get(place).receives == receives,
        }
    }

    /// The next message that a receive gives.
    #[inline]
    pub(super) fn peek(&mut self, messages: &Messages) -> Option<Next> {
        let place = match self {
            Self::Oldest(oldest) => return oldest.peek(messages),
            Self::Random(random) => random.peek(messages)?,
            Self::Groups(groups) => groups.peek(messages)?,
        };
        Some(Next { record: messages.get(place).record, place })
    }

    /// Takes what [`Self::peek`] has shown; its place.
    #[inline]
    pub(super) fn take(&mut self, next: &Next, messages: &mut Messages) -> u32 {
        match self {
            Self::Oldest(oldest) => {
                if next.place != NIL {
                    oldest.returned.take_top();
                    return next.place;
                }
                let record = oldest.fresh.pop().expect("it was there");
                return messages.add(record);
            }
            Self::Random(random) => {
                random.order.pop();
                random.ages.remove();
            }
            Self::Groups(groups) => groups.take(next.place, messages),
        }
        next.place
    }

    /// The receive at hand has ended.
    #[inline]
    pub(super) fn end_receive(&mut self) {
        if let Self::Groups(groups) = self {
            groups.end_receive();
        }
    }

    /// A visible message that has a place is deleted or expires.
    pub(super) fn remove(&mut self, place: u32, messages: &mut Messages) {
        match self {
            Self::Oldest(oldest) => oldest.returned.remove(),
            Self::Random(random) => random.ages.remove(),
            Self::Groups(groups) => groups.remove(place, messages),
        }
    }

    /// The visible message that was sent first.
    #[inline]
    pub(super) fn oldest(&mut self, messages: &Messages) -> Option<Next> {
        let place = match self {
            Self::Oldest(oldest) => return oldest.peek(messages),
            Self::Random(random) => random.ages.first(messages)?,
            Self::Groups(groups) => groups.oldest(messages)?,
        };
        Some(Next { record: messages.get(place).record, place })
    }

    /// When the visible message that was sent first was sent.
    #[inline]
    pub(super) fn oldest_sent(&mut self, messages: &Messages) -> Option<Micros> {
        self.oldest(messages).map(|next| next.record.timestamp)
    }
}

/// Place of a message in a random order: its own luck, anew each time.
#[allow(clippy::cast_sign_loss)] // Not negative.
fn draw(record: &Record, receive: u32, hub: &Hub) -> u64 {
    let rare = hub.rares.of(hub.source, record);
    let draw = Draw { who: rare.who, copy: rare.copy, attempt: receive };
    hub.luck.between(Purpose::Receive, draw, 0, i64::MAX) as u64
}

/// Messages, oldest first: new ones in their order, and those that came back.
#[derive(Debug, Default)]
pub(super) struct Oldest {
    fresh: RecordQueue,
    returned: Returned,
}

impl Oldest {
    #[inline]
    fn peek(&mut self, messages: &Messages) -> Option<Next> {
        let fresh = self.fresh.front();
        let returned = if self.returned.is_empty() { None } else { self.returned.top(messages) };
        match (fresh, returned) {
            (Some(fresh), Some((sequence, _))) if fresh.sequence < sequence => {
                Some(Next { record: *fresh, place: NIL })
            }
            (_, Some((_, place))) => Some(Next { record: messages.get(place).record, place }),
            (Some(fresh), None) => Some(Next { record: *fresh, place: NIL }),
            (None, None) => None,
        }
    }

    /// Takes the first of the new ones, which has no place.
    pub(super) fn pop_fresh(&mut self) -> Option<Record> {
        self.fresh.pop()
    }
}

/// Messages that have come back, oldest first. What is deleted meanwhile stays until its turn.
#[derive(Debug, Default)]
struct Returned {
    heap: BinaryHeap<Reverse<(u32, u32)>>,
    live: u64,
}

impl Returned {
    fn len(&self) -> u64 {
        self.live
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.live == 0
    }

    fn push(&mut self, place: u32, sequence: u32) {
        self.heap.push(Reverse((sequence, place)));
        self.live += 1;
    }

    fn top(&mut self, messages: &Messages) -> Option<(u32, u32)> {
        while let Some(Reverse((sequence, place))) = self.heap.peek().copied() {
            if messages.is_visible(place, sequence) {
                return Some((sequence, place));
            }
            self.heap.pop();
        }
        None
    }

    fn take_top(&mut self) {
        self.heap.pop();
        self.live -= 1;
    }

    fn remove(&mut self) {
        self.live -= 1;
    }
}

/// Messages in random order.
#[derive(Debug, Default)]
pub(super) struct Random {
    /// Draw, sequence, place; deleted ones stay until their turn.
    order: BinaryHeap<Reverse<(u64, u32, u32)>>,
    ages: Ages,
}

impl Random {
    fn peek(&mut self, messages: &Messages) -> Option<u32> {
        while let Some(Reverse((_, sequence, place))) = self.order.peek().copied() {
            if messages.is_visible(place, sequence) {
                return Some(place);
            }
            self.order.pop();
        }
        None
    }
}

/// Visible messages by the instant at which they were sent, where that is not the order of their
/// receives. What is taken stays until its turn, or until it is more than what is left.
#[derive(Debug, Default)]
pub(super) struct Ages {
    fresh: VecDeque<(u32, u32)>,
    returned: BinaryHeap<Reverse<(u32, u32)>>,
    visible: u64,
}

impl Ages {
    /// How many are visible.
    pub(super) const fn len(&self) -> u64 {
        self.visible
    }

    pub(super) fn land(&mut self, place: u32, sequence: u32, messages: &Messages) {
        if self.fresh.len() as u64 > 2 * self.visible + 1_024 {
            self.fresh.retain(|(sequence, place)| messages.is_visible(*place, *sequence));
        }
        self.fresh.push_back((sequence, place));
        self.visible += 1;
    }

    pub(super) fn give_back(&mut self, place: u32, sequence: u32) {
        self.returned.push(Reverse((sequence, place)));
        self.visible += 1;
    }

    /// One is no longer visible.
    pub(super) fn remove(&mut self) {
        self.visible -= 1;
    }

    /// Place of the oldest.
    pub(super) fn first(&mut self, messages: &Messages) -> Option<u32> {
        while let Some((sequence, place)) = self.fresh.front().copied() {
            if messages.is_visible(place, sequence) {
                break;
            }
            self.fresh.pop_front();
        }
        while let Some(Reverse((sequence, place))) = self.returned.peek().copied() {
            if messages.is_visible(place, sequence) {
                break;
            }
            self.returned.pop();
        }
        let returned = self.returned.peek().map(|Reverse(entry)| *entry);
        let first = self.fresh.front().copied().into_iter().chain(returned).min();
        first.map(|(_, place)| place)
    }
}
