//! Message groups of a FIFO queue: a group is locked while any of its messages is leased (E5.8,
//! §0.6-13).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use crate::sources::queue::messages::{Messages, NIL};
use crate::sources::queue::waiting::{Ages, Available};
use crate::sources::record::Record;
use crate::time::Micros;

/// One message group.
#[derive(Clone, Copy, Debug)]
struct Group {
    /// Its visible messages, in order.
    head: u32,
    tail: u32,
    /// Its leased messages.
    locked: u32,
    /// How often it has become available.
    turns: u32,
    /// Sequence of its first message when it was last put among those that are available.
    offered: u32,
    /// Whether it is counted among them.
    counted: bool,
    /// Since when it has been held up by a batch that did not end well.
    blocked_since: Option<Micros>,
}

impl Group {
    const fn is_available(&self) -> bool {
        self.locked == 0 && self.head != NIL
    }
}

/// The message groups of a queue.
#[derive(Debug)]
pub(super) struct Groups {
    numbers: HashMap<u32, u32, BuildHasherDefault<CodeHasher>>,
    list: Vec<Group>,
    /// Sequence of the first message of groups that are available, and the group; overtaken ones
    /// stay until their turn.
    ready: BinaryHeap<Reverse<(u32, u32)>>,
    available: u64,
    /// The group that the receive at hand takes from.
    current: u32,
    ages: Ages,
}

impl Groups {
    pub(super) fn new() -> Self {
        Self {
            numbers: HashMap::default(),
            list: Vec::new(),
            ready: BinaryHeap::new(),
            available: 0,
            current: NIL,
            ages: Ages::default(),
        }
    }

    pub(super) const fn visible(&self) -> u64 {
        self.ages.len()
    }

    pub(super) const fn any_available(&self) -> bool {
        self.available > 0
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Number of the group of a key; a new one where it has none.
    pub(super) fn enter(&mut self, key: u32) -> u32 {
        let next = u32::try_from(self.list.len()).expect("fewer than 2^32 groups");
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.list.push(Group {
                head: NIL,
                tail: NIL,
                locked: 0,
                turns: 0,
                offered: 0,
                counted: false,
                blocked_since: None,
            });
        }
        number
    }

    /// Number of the group of a message, which stands in for its key once it has been sent.
    #[inline]
    pub(super) const fn of(record: &Record) -> u32 {
        record.key
    }

    /// Whether a group is available that once became so.
    pub(super) fn still_available(&self, group: u32, turns: u32) -> bool {
        let group = &self.list[group as usize];
        group.is_available() && group.turns == turns
    }

    /// A message is sent; its key is the number of its group ([`Self::enter`]).
    pub(super) fn land(&mut self, record: Record, messages: &mut Messages) -> Option<Available> {
        let number = Self::of(&record);
        let place = messages.add(record);
        self.ages.land(place, record.sequence, messages);
        let tail = self.list[number as usize].tail;
        self.link(number, tail, place, messages);
        self.refresh(number, messages)
    }

    /// A message is visible again, in its place among those of its group, which stays locked.
    pub(super) fn give_back(&mut self, place: u32, messages: &mut Messages) {
        let record = messages.get(place).record;
        let number = Self::of(&record);
        self.ages.give_back(place, record.sequence);
        let (mut before, mut after) = (NIL, self.list[number as usize].head);
        while after != NIL && messages.get(after).record.sequence < record.sequence {
            before = after;
            after = messages.get(after).next;
        }
        self.link(number, before, place, messages);
    }

    /// Puts a message behind another of its group, or first.
    fn link(&mut self, number: u32, before: u32, place: u32, messages: &mut Messages) {
        let group = &mut self.list[number as usize];
        let after = if before == NIL { group.head } else { messages.get(before).next };
        let message = messages.get_mut(place);
        message.prev = before;
        message.next = after;
        if before == NIL {
            group.head = place;
        } else {
            messages.get_mut(before).next = place;
        }
        if after == NIL {
            group.tail = place;
        } else {
            messages.get_mut(after).prev = place;
        }
    }

    /// The next message that a receive gives: of the group that it takes from, else of the one
    /// whose first message was sent first.
    pub(super) fn peek(&mut self, messages: &Messages) -> Option<u32> {
        if self.current != NIL {
            let head = self.list[self.current as usize].head;
            if head != NIL {
                return Some(head);
            }
        }
        while let Some(Reverse((sequence, number))) = self.ready.peek().copied() {
            let Group { head, counted, .. } = self.list[number as usize];
            if counted && messages.get(head).record.sequence == sequence {
                return Some(head);
            }
            self.ready.pop();
        }
        None
    }

    /// Takes what [`Self::peek`] has shown.
    pub(super) fn take(&mut self, place: u32, messages: &mut Messages) {
        self.current = Self::of(&messages.get(place).record);
        self.remove(place, messages);
    }

    /// The receive at hand has ended.
    pub(super) fn end_receive(&mut self) {
        self.current = NIL;
    }

    /// A visible message is taken, deleted, or expires; what becomes available thereby.
    pub(super) fn remove(&mut self, place: u32, messages: &mut Messages) {
        let message = *messages.get(place);
        let number = Self::of(&message.record);
        let group = &mut self.list[number as usize];
        if message.prev == NIL {
            group.head = message.next;
        } else {
            messages.get_mut(message.prev).next = message.next;
        }
        if message.next == NIL {
            group.tail = message.prev;
        } else {
            messages.get_mut(message.next).prev = message.prev;
        }
        let message = messages.get_mut(place);
        (message.prev, message.next) = (NIL, NIL);
        self.ages.remove();
        let became = self.refresh(number, messages);
        assert!(became.is_none(), "less does not make a group available");
    }

    /// Place of the visible message that was sent first.
    pub(super) fn oldest(&mut self, messages: &Messages) -> Option<u32> {
        self.ages.first(messages)
    }

    /// A message of the group is leased.
    pub(super) fn lock(&mut self, number: u32, messages: &Messages) {
        self.list[number as usize].locked += 1;
        self.refresh(number, messages);
    }

    /// A lease of the group has ended; how long a batch had held it up, where that is over.
    pub(super) fn unlock(
        &mut self,
        number: u32,
        now: Micros,
        messages: &Messages,
    ) -> (Option<Available>, Option<Micros>) {
        let group = &mut self.list[number as usize];
        group.locked -= 1;
        if group.locked > 0 {
            return (None, None);
        }
        let blocked = group.blocked_since.take().map(|since| now - since);
        (self.refresh(number, messages), blocked)
    }

    /// A batch with messages of the group did not end well.
    pub(super) fn block(&mut self, number: u32, now: Micros) {
        self.list[number as usize].blocked_since.get_or_insert(now);
    }

    /// Counts a group that is available, and sees to it that it is found; what has become so.
    fn refresh(&mut self, number: u32, messages: &Messages) -> Option<Available> {
        let group = &mut self.list[number as usize];
        let newly = !group.counted;
        if !group.is_available() {
            self.available -= u64::from(group.counted);
            group.counted = false;
            return None;
        }
        let sequence = messages.get(group.head).record.sequence;
        if newly || group.offered != sequence {
            group.offered = sequence;
            self.ready.push(Reverse((sequence, number)));
        }
        if !newly {
            return None;
        }
        group.counted = true;
        group.turns += 1;
        self.available += 1;
        Some(Available { place: number, sequence: group.turns, receives: 0 })
    }
}

/// Codes are dense: one multiplication spreads them.
#[derive(Debug, Default)]
struct CodeHasher(u64);

impl Hasher for CodeHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, code: u32) {
        self.0 = (self.0 ^ u64::from(code)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
