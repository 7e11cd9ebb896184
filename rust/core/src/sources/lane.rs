//! A lane of a shard: what is read and waits for its batch, and when that starts (E2, E4.2).

use std::collections::VecDeque;

use crate::sources::config::{SourceConfig, StreamConfig};
use crate::sources::hub::PAYLOAD_LIMIT;
use crate::sources::record::{Keys, Rares, Record, RecordQueue};
use crate::sources::worker::{ENVELOPE, Finale, Worker};
use crate::time::Micros;

/// A lane: an independent worker of a shard with its own queue.
#[derive(Debug)]
pub(super) struct Lane {
    queue: RecordQueue,
    ready: Ready,
    /// When the first record of the queue was read, or the last batch done.
    waits_since: Micros,
    pub(super) worker: Worker,
    pub(super) was_blocked: bool,
    /// When the next batch is formed; other timers are overtaken.
    pub(super) start_at: Micros,
    /// The tumbling window that has no final call yet, and its last record.
    window: Option<(i64, Finale)>,
    /// Reads of what waits: the first record of each, and when; where windows start with it.
    reads: VecDeque<(u32, Micros)>,
}

/// The batch that the head of a queue would make.
#[derive(Clone, Copy, Debug, Default)]
struct Ready {
    records: u32,
    bytes: u64,
    /// Whether nothing more goes into it.
    full: bool,
}

impl Lane {
    pub(super) fn new(open_at: Micros) -> Self {
        Self {
            queue: RecordQueue::default(),
            ready: Ready::default(),
            waits_since: open_at,
            worker: Worker::new(open_at),
            was_blocked: false,
            start_at: Micros::MAX,
            window: None,
            reads: VecDeque::new(),
        }
    }

    /// The batch has been admitted: its window is open until its final call.
    pub(super) fn admitted(&mut self, source: u32, stream: &StreamConfig, rares: &Rares) {
        let Some(finale) = self.worker.last_of_batch(source, rares) else { return };
        self.window = window_of(&finale.last, stream).map(|window| (window, finale));
    }

    pub(super) const fn last_done(&self) -> Micros {
        self.worker.last_done
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_over(&self) -> bool {
        self.queue.is_empty() && self.worker.is_idle() && self.window.is_none()
    }

    /// Place of the next batch among those of its shard.
    pub(super) fn sequence(&self) -> u32 {
        self.queue.front().map_or(0, |record| record.sequence)
    }

    pub(super) fn pop(&mut self) -> Option<Record> {
        self.queue.pop()
    }

    /// A record has been read.
    #[inline]
    pub(super) fn push(
        &mut self,
        record: Record,
        now: Micros,
        config: &SourceConfig,
        stream: &StreamConfig,
        keys: &Keys,
    ) {
        if self.queue.is_empty() {
            self.waits_since = now;
        }
        if stream.window_from_first && self.reads.back().is_none_or(|(_, at)| *at < now) {
            self.reads.push_back((record.sequence, now));
        }
        if !self.ready.full {
            let first = self.queue.front().map_or(record.timestamp, |first| first.timestamp);
            self.ready.add(&record, first, config, stream, keys);
        }
        self.queue.push(record);
    }

    /// Finds anew what the next batch would be: settings have changed, or one was taken.
    pub(super) fn measure(&mut self, config: &SourceConfig, stream: &StreamConfig, keys: &Keys) {
        self.ready = Ready::default();
        let Some(first) = self.queue.front().map(|first| first.timestamp) else { return };
        for record in self.queue.iter() {
            self.ready.add(record, first, config, stream, keys);
            if self.ready.full {
                break;
            }
        }
    }

    /// When the next batch starts as things stand, if the lane has none; `ended` says that nothing
    /// more will be read.
    pub(super) fn starts_at(
        &self,
        config: &SourceConfig,
        stream: &StreamConfig,
        ended: bool,
        now: Micros,
    ) -> Option<Micros> {
        if !self.worker.is_idle() {
            return None;
        }
        let after_gap = now.max(self.worker.last_done + stream.retries.gap);
        let Some(head) = self.queue.front() else {
            // The final call of a window to which nothing more comes (E4.10).
            let (window, _) = self.window?;
            if ended {
                return Some(after_gap);
            }
            let end = Micros((window + 1) * stream.tumbling_window?.0);
            return Some(after_gap.max(end + stream.idle_final));
        };
        let is_past = |(window, _)| window_of(head, stream) != Some(window);
        let at_once =
            self.ready.full || config.window == Micros::ZERO || self.window.is_some_and(is_past);
        if at_once {
            return Some(after_gap);
        }
        let window_end = if stream.window_from_first {
            // The last read up to the head is the one that brought it.
            let up_to_head = self.reads.iter().take_while(|(first, _)| *first <= head.sequence);
            up_to_head.last().map_or(self.waits_since, |(_, at)| *at) + config.window
        } else {
            // Windows follow each other from the end of the last batch on (P10).
            let since = (self.waits_since - self.worker.last_done).0.max(1);
            let windows = (since + config.window.0 - 1) / config.window.0;
            self.worker.last_done + Micros(windows * config.window.0)
        };
        Some(after_gap.max(window_end))
    }

    /// Forms the batch that starts now, or the final call of a window.
    pub(super) fn form(
        &mut self,
        config: &SourceConfig,
        stream: &StreamConfig,
        now: Micros,
        keys: &Keys,
    ) {
        let window = self.queue.front().and_then(|head| window_of(head, stream));
        if let Some((open, last)) = self.window
            && window != Some(open)
        {
            self.window = None;
            self.worker.finale = Some(last);
            return;
        }
        for _ in 0..self.ready.records {
            let record = self.queue.pop().expect("it is there");
            self.worker.add(record);
        }
        self.waits_since = now;
        let head = self.queue.front().map(|head| head.sequence);
        while self.reads.len() > 1 && head.is_none_or(|head| self.reads[1].0 <= head) {
            self.reads.pop_front();
        }
        self.measure(config, stream, keys);
    }
}

impl Ready {
    /// A record comes behind the others, whose first one arrived at `first`.
    #[inline]
    fn add(
        &mut self,
        record: &Record,
        first: Micros,
        config: &SourceConfig,
        stream: &StreamConfig,
        keys: &Keys,
    ) {
        let bytes = config.encoded(record, keys);
        let fits = self.bytes + bytes <= PAYLOAD_LIMIT - ENVELOPE;
        let apart = stream.tumbling_window.is_some_and(|window| {
            first.0.div_euclid(window.0) != record.timestamp.0.div_euclid(window.0)
        });
        if self.records > 0 && (!fits || apart) {
            self.full = true;
            return;
        }
        self.records += 1;
        self.bytes += bytes;
        self.full = self.records >= config.batch_size || !fits;
    }
}

/// The tumbling window of a record, by arrival since the epoch.
fn window_of(record: &Record, stream: &StreamConfig) -> Option<i64> {
    stream.tumbling_window.map(|window| record.timestamp.0.div_euclid(window.0))
}
