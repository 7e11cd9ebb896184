//! Messages of a queue that have been received, or that must be found by more than their age:
//! a cache line each, with the list of leases and what has happened to the few that come back.

use crate::outcome::{OutcomeKind, Reason};
use crate::request::Progress;
use crate::sources::record::Record;
use crate::time::Micros;

/// No place.
pub(super) const NIL: u32 = u32::MAX;
/// Marks the batch of a message that is with its first.
const HELD: u32 = 1 << 31;

/// A message; visible, leased, or gone and waiting for the last run that holds it.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Message {
    pub(super) record: Record,
    /// End of its lease; [`VISIBLE`] or [`GONE`] without one.
    lease_end: Micros,
    /// Neighbours among the leases, or in its message group.
    pub(super) prev: u32,
    pub(super) next: u32,
    /// How often it has been received.
    pub(super) receives: u32,
    /// Place of its history, or the batch that is its first, or nothing.
    link: u32,
}

const _: () = assert!(size_of::<Message>() == 64, "a cache line");

const VISIBLE: Micros = Micros::MIN;
const GONE: Micros = Micros::MAX;

impl Message {
    pub(super) fn is_visible(&self) -> bool {
        self.lease_end == VISIBLE
    }

    pub(super) fn is_gone(&self) -> bool {
        self.lease_end == GONE
    }

    pub(super) fn is_leased(&self) -> bool {
        !self.is_visible() && !self.is_gone()
    }

    /// What holds it or has happened to it.
    pub(super) fn link(&self) -> Link {
        match self.link {
            NIL => Link::New,
            link if link & HELD != 0 => Link::Held(link & !HELD),
            link => Link::History(link),
        }
    }
}

/// What holds a message or has happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing yet.
    New,
    /// It is with its first batch and has not come back.
    Held(u32),
    /// Place of its history.
    History(u32),
}

/// What has happened to a message that came back, or that was tried in vain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct History {
    pub(super) progress: Progress,
    /// Batches that hold it: more than one where runs outlast their leases.
    pub(super) flights: u32,
    /// Its end, where runs still hold it.
    pub(super) end: Option<End>,
}

/// The end of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) kind: OutcomeKind,
    pub(super) reason: Option<Reason>,
    pub(super) at: Micros,
}

/// Messages by place; places are reused.
#[derive(Debug)]
pub(super) struct Messages {
    places: Vec<Message>,
    free: Vec<u32>,
    histories: Vec<History>,
    free_histories: Vec<u32>,
    /// The lease that ends first, and the one that ends last.
    first_lease: u32,
    last_lease: u32,
    leased: u64,
}

impl Messages {
    pub(super) const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            histories: Vec::new(),
            free_histories: Vec::new(),
            first_lease: NIL,
            last_lease: NIL,
            leased: 0,
        }
    }

    /// Adds a message that is visible.
    #[inline]
    pub(super) fn add(&mut self, record: Record) -> u32 {
        let message =
            Message { record, lease_end: VISIBLE, prev: NIL, next: NIL, receives: 0, link: NIL };
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = message;
            return place;
        }
        self.places.push(message);
        u32::try_from(self.places.len() - 1).expect("fewer than 2^32 messages")
    }

    #[inline]
    pub(super) fn get(&self, place: u32) -> &Message {
        &self.places[place as usize]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: u32) -> &mut Message {
        &mut self.places[place as usize]
    }

    /// Whether the message of this sequence is still there and visible.
    #[inline]
    pub(super) fn is_visible(&self, place: u32, sequence: u32) -> bool {
        let message = self.get(place);
        message.record.sequence == sequence && message.is_visible()
    }

    /// Messages that are leased.
    pub(super) const fn leased(&self) -> u64 {
        self.leased
    }

    /// The message whose lease ends first, and when.
    #[inline]
    pub(super) fn first_lease(&self) -> Option<(u32, Micros)> {
        let place = self.first_lease;
        (place != NIL).then(|| (place, self.get(place).lease_end))
    }

    /// A message is received by a batch: leased until `end`, the number of its receives.
    #[inline]
    pub(super) fn lease(&mut self, place: u32, end: Micros, batch: u32) -> u32 {
        // Leases are equally long, so that a new one ends last, but where that was changed.
        let mut before = self.last_lease;
        while before != NIL && self.get(before).lease_end > end {
            before = self.get(before).prev;
        }
        let after = if before == NIL { self.first_lease } else { self.get(before).next };
        let message = self.get_mut(place);
        assert!(message.is_visible(), "a message is leased while it is visible");
        message.lease_end = end;
        message.prev = before;
        message.next = after;
        message.receives += 1;
        let receives = message.receives;
        match message.link() {
            Link::New => message.link = HELD | batch,
            Link::Held(_) => panic!("a message that comes back has a history"),
            Link::History(history) => self.histories[history as usize].flights += 1,
        }
        self.join(before, place, after);
        self.leased += 1;
        receives
    }

    /// Links `place` in between `before` and `after` in the list of leases.
    #[inline]
    fn join(&mut self, before: u32, place: u32, after: u32) {
        if before == NIL {
            self.first_lease = place;
        } else {
            self.get_mut(before).next = place;
        }
        if after == NIL {
            self.last_lease = place;
        } else {
            self.get_mut(after).prev = place;
        }
    }

    /// A lease ends, or its message is deleted; it is visible then until told otherwise.
    #[inline]
    pub(super) fn end_lease(&mut self, place: u32) {
        let message = self.get_mut(place);
        debug_assert!(message.is_leased(), "there is a lease");
        let (before, after) = (message.prev, message.next);
        message.lease_end = VISIBLE;
        message.prev = NIL;
        message.next = NIL;
        if before == NIL {
            self.first_lease = after;
        } else {
            self.get_mut(before).next = after;
        }
        if after == NIL {
            self.last_lease = before;
        } else {
            self.get_mut(after).prev = before;
        }
        self.leased -= 1;
    }

    /// The history of a message; what a message has been through without one is `so_far`.
    pub(super) fn history(&mut self, place: u32, so_far: impl FnOnce() -> History) -> &mut History {
        let history = match self.get(place).link() {
            Link::History(history) => history,
            Link::New | Link::Held(_) => {
                let new = so_far();
                let history = if let Some(history) = self.free_histories.pop() {
                    self.histories[history as usize] = new;
                    history
                } else {
                    self.histories.push(new);
                    u32::try_from(self.histories.len() - 1).expect("fewer than 2^31 histories")
                };
                assert!(history < HELD, "fewer than 2^31 histories");
                self.get_mut(place).link = history;
                history
            }
        };
        &mut self.histories[history as usize]
    }

    /// The history of a message, where it has one.
    pub(super) fn history_of(&self, place: u32) -> Option<&History> {
        match self.get(place).link() {
            Link::History(history) => Some(&self.histories[history as usize]),
            Link::New | Link::Held(_) => None,
        }
    }

    /// A message that is not leased has come to its end, but runs still hold it.
    pub(super) fn keep_until_released(&mut self, place: u32, end: End) {
        let message = self.get_mut(place);
        assert!(message.is_visible(), "its lease has ended");
        message.lease_end = GONE;
        let Link::History(history) = message.link() else { panic!("it has a history") };
        self.histories[history as usize].end = Some(end);
    }

    /// Gives the place of a message back.
    #[inline]
    pub(super) fn remove(&mut self, place: u32) {
        let message = self.get_mut(place);
        debug_assert!(!message.is_leased(), "its lease has ended");
        message.lease_end = GONE;
        if let Link::History(history) = message.link() {
            self.free_histories.push(history);
        }
        self.get_mut(place).link = NIL;
        self.free.push(place);
    }

    /// Places of all messages that have not been removed.
    pub(super) fn all(&self) -> Vec<u32> {
        let mut taken = vec![true; self.places.len()];
        for place in &self.free {
            taken[*place as usize] = false;
        }
        (0..).zip(taken).filter_map(|(place, taken)| taken.then_some(place)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(messages: &mut Messages, sequence: u32) -> u32 {
        let mut record = Record::new(u64::from(sequence), Micros(0), Micros(0));
        record.sequence = sequence;
        messages.add(record)
    }

    fn leases(messages: &Messages) -> Vec<(u32, i64)> {
        let (mut place, mut found) = (messages.first_lease, Vec::new());
        while place != NIL {
            found.push((messages.get(place).record.sequence, messages.get(place).lease_end.0));
            place = messages.get(place).next;
        }
        found
    }

    #[test]
    fn leases_are_in_order_of_their_ends_also_where_they_become_shorter() {
        let mut messages = Messages::new();
        let places: Vec<u32> = (0..5).map(|sequence| message(&mut messages, sequence)).collect();
        for (place, end) in [(0, 30), (1, 40), (2, 35), (3, 10), (4, 40)] {
            assert_eq!(messages.lease(places[place], Micros(end), 7), 1);
        }
        assert_eq!(leases(&messages), [(3, 10), (0, 30), (2, 35), (1, 40), (4, 40)]);
        for place in [0, 4, 3] {
            messages.end_lease(places[place]);
        }
        assert_eq!(leases(&messages), [(2, 35), (1, 40)]);
        assert_eq!(messages.leased(), 2);
        assert_eq!(messages.get(places[1]).link(), Link::Held(7));
    }

    #[test]
    fn places_and_histories_are_reused() {
        let mut messages = Messages::new();
        for round in 0..100 {
            let place = message(&mut messages, round);
            assert_eq!(place, 0);
            messages.lease(place, Micros(5), 0);
            messages.history(place, History::default).flights += 1;
            messages.end_lease(place);
            assert!(messages.is_visible(place, round));
            messages.remove(place);
            assert!(!messages.is_visible(place, round));
        }
        assert_eq!((messages.places.len(), messages.histories.len()), (1, 1));
        assert_eq!(messages.all(), Vec::<u32>::new());
    }
}
