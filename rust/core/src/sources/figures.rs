//! What event sources come to: per unit (shard, group, partition, queue) and per minute.

use std::collections::HashMap;

use crate::meters::Distribution;
use crate::metrics::Minute;
use crate::outcome::OutcomeKind;
use crate::request::NO_KEY;
use crate::sources::record::Keys;
use crate::time::Micros;

/// What stands in one unit at the moment: what every record that lands touches.
#[derive(Clone, Copy, Debug)]
pub struct Level {
    /// Records that have not reached their end.
    pub waiting: u64,
    /// Most of them at once.
    pub peak: u64,
    /// Arrival of the last record.
    pub last_arrival: Micros,
}

impl Default for Level {
    fn default() -> Self {
        Self { waiting: 0, peak: 0, last_arrival: Micros::MIN }
    }
}

/// Figures of one shard, message group, partition, or of a whole queue.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Code of the key where it is a message group.
    pub group: u32,
    /// Records by outcome.
    pub outcomes: [u64; OutcomeKind::COUNT],
    /// Records given up without one run.
    pub never_ran: u64,
    /// Records read or messages received; of messages each time.
    pub receives: u64,
    /// Records that went to a destination or dead-letter queue.
    pub delivered: u64,
    /// Documents that they went in.
    pub documents: u64,
    /// Time with a batch that has failed or been refused.
    pub blocked: Micros,
    /// End of the last.
    pub last_settled: Micros,
    /// Iterator age, or age of a message when it is received.
    pub ages: Distribution,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            group: NO_KEY,
            outcomes: [0; OutcomeKind::COUNT],
            never_ran: 0,
            receives: 0,
            delivered: 0,
            documents: 0,
            blocked: Micros::ZERO,
            last_settled: Micros::MIN,
            ages: Distribution::default(),
        }
    }
}

/// How many records there are of each key, by unit.
///
/// Nearly every key belongs to one unit: that is a place in a table. The others are in a map.
#[derive(Debug, Default)]
pub struct KeyCounts {
    /// By key (0: none): its unit and count.
    owned: Vec<(u32, u32)>,
    others: HashMap<(u32, u32), u32>,
}

impl KeyCounts {
    /// Counts a record.
    #[inline]
    pub fn count(&mut self, key: u32, unit: u32) {
        let place = key.wrapping_add(1) as usize;
        if place >= self.owned.len() {
            self.owned.resize((place + 1).next_power_of_two(), (u32::MAX, 0));
        }
        let owned = &mut self.owned[place];
        if owned.1 == 0 {
            owned.0 = unit;
        }
        if owned.0 == unit {
            owned.1 += 1;
        } else {
            *self.others.entry((unit, key)).or_insert(0) += 1;
        }
    }

    /// Looks at what [`Self::count`] will touch.
    #[inline]
    pub(crate) fn look_ahead(&self, key: u32) -> u64 {
        self.owned.get(key.wrapping_add(1) as usize).map_or(0, |(unit, _)| u64::from(*unit))
    }

    /// The busiest key of each unit and its records; of equals the one with the lowest hash, since
    /// codes depend on how the trace was read.
    pub fn busiest(&self, units: usize, keys: &Keys) -> Vec<Option<(u32, u32)>> {
        let mut busiest: Vec<Option<(u32, u32)>> = vec![None; units];
        let mut offer = |unit: u32, key: u32, count: u32| {
            let best = &mut busiest[unit as usize];
            let better = best.is_none_or(|(other, most)| {
                count > most || count == most && keys.hash(key) < keys.hash(other)
            });
            if better {
                *best = Some((key, count));
            }
        };
        for (place, (unit, count)) in (0_u32..).zip(&self.owned) {
            if *count > 0 {
                offer(*unit, place.wrapping_sub(1), *count);
            }
        }
        let mut others: Vec<_> = self.others.iter().collect();
        others.sort_unstable_by_key(|((unit, key), _)| (*unit, *key));
        for ((unit, key), count) in others {
            offer(*unit, *key, *count);
        }
        busiest
    }
}

/// What one event source did in one minute; partial where there are several rows of one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SourceMinute {
    /// `PolledEventCount`.
    pub polled: u64,
    /// `FilteredOutEventCount`.
    pub filtered: u64,
    /// `InvokedEventCount`: records × attempts, refused ones included.
    pub invoked: u64,
    /// `FailedInvokeEventCount`.
    pub failed: u64,
    /// `DeletedEventCount` of a queue.
    pub deleted: u64,
    /// `DroppedEventCount`.
    pub dropped: u64,
    /// `OnFailureDestinationDeliveredEventCount`.
    pub delivered: u64,
    /// `CommittedEventCount` of Kafka.
    pub committed: u64,
    /// `InvokeErrorCount` of Kafka: batches.
    pub invoke_errors: u64,
    /// Samples of `IteratorAge`.
    pub iterator_ages: u64,
    /// The highest.
    pub iterator_age_max: Micros,
    /// Highest number of records that have not reached their end.
    pub backlog_max: u64,
    /// `ApproximateNumberOfMessagesVisible`: the highest.
    pub visible_max: u64,
    /// `ApproximateAgeOfOldestMessage`: the highest.
    pub oldest_age_max: Micros,
    /// `MaxOffsetLag`.
    pub offset_lag_max: u64,
    /// `SumOffsetLag`: the highest.
    pub offset_lag_sum: u64,
    /// `ProvisionedPollers`: the highest.
    pub pollers_max: u64,
    /// Event poller units × time, that are billed.
    pub units_us: u64,
}

/// A row of them.
#[derive(Clone, Copy, Debug)]
pub struct SourceRow {
    /// Whose.
    pub source: u32,
    /// Start of the minute.
    pub minute: Micros,
    /// What was counted.
    pub counts: SourceMinute,
}

/// Rows of all sources until somebody takes them.
#[derive(Debug, Default)]
pub struct SourceMinutes {
    rows: Vec<SourceRow>,
    /// By source: the two rows touched last.
    recent: Vec<[(i64, u32); 2]>,
}

const NOTHING: [(i64, u32); 2] = [(i64::MIN, 0); 2];

impl SourceMinutes {
    /// The row of a source for the minute of an instant.
    #[inline]
    pub fn at(&mut self, source: u32, at: Micros) -> &mut SourceMinute {
        let minute = Minute::of(at).start();
        let place = source as usize;
        if place >= self.recent.len() {
            self.recent.resize(place + 1, NOTHING);
        }
        let recent = &mut self.recent[place];
        if recent[0].0 != minute.0 {
            recent.swap(0, 1);
            if recent[0].0 != minute.0 {
                let row = u32::try_from(self.rows.len()).expect("rows are taken now and then");
                self.rows.push(SourceRow { source, minute, counts: SourceMinute::default() });
                recent[0] = (minute.0, row);
            }
        }
        &mut self.rows[recent[0].1 as usize].counts
    }

    /// How many rows there are.
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes all rows.
    pub fn take(&mut self) -> Vec<SourceRow> {
        self.recent.clear();
        std::mem::take(&mut self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_key_of_each_unit() {
        let mut counts = KeyCounts::default();
        for (key, unit) in [(NO_KEY, 0), (3, 1), (3, 1), (4, 1), (3, 0), (3, 0), (4, 1)] {
            counts.count(key, unit);
        }
        let mut keys = Keys::default();
        for hash in [0, 0, 0, 2, 1] {
            keys.add(hash, 1);
        }
        assert_eq!(counts.busiest(3, &keys), [Some((3, 2)), Some((4, 2)), None]);
    }
}
