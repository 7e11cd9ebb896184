//! A queue by itself: the examples of E5, and what holds under any schedule (E11).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::*;
use crate::ids::FunctionId;
use crate::model::concurrency::Limit;
use crate::request::NO_KEY;
use crate::rng::Luck;
use crate::sources::config::Encoding;
use crate::sources::hub::Due;
use crate::sources::record::Failure;

pub(super) const MS: i64 = 1_000;
pub(super) const S: i64 = 1_000_000;

/// A mapping without latencies, with AWS's defaults else.
fn settings() -> SourceConfig {
    SourceConfig {
        function: FunctionId(0),
        enabled: true,
        start_delay: Micros(0),
        stop_delay: Micros(0),
        batch_size: 10,
        window: Micros(0),
        report: false,
        longest: true,
        base: Micros(0),
        encoding: Encoding { base64: false, each: 600, with_key: false },
        retention: Micros(4 * 86_400 * S),
        kind: KindConfig::Queue(QueueConfig {
            fifo: false,
            visibility_timeout: Micros(30 * S),
            max_receive_count: None,
            maximum_concurrency: None,
            provisioned: None,
            receive_messages: 10,
            most_batches: 1_250,
            ramp_start: 5,
            ramp_per_minute: 300,
            ramp_steps: false,
            scale_in: Micros(60 * S),
            scale_in_deep: Micros(900 * S),
            throttle_retry: Some(Micros(3_600 * MS)),
            backoff: false,
            receive_random: false,
            poll_latency: Micros(0),
            invoke_latency: Micros(0),
            low_traffic_wait: None,
            provisioned_per_minute: 1_000,
            invocations_per_poller: 10,
            function_timeout: None,
        }),
    }
}

pub(super) fn with(change: impl FnOnce(&mut SourceConfig, &mut QueueConfig)) -> SourceConfig {
    let mut config = settings();
    let KindConfig::Queue(mut kind) = config.kind.clone() else { unreachable!() };
    change(&mut config, &mut kind);
    config.kind = KindConfig::Queue(kind);
    config
}

/// What becomes of a message.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) kind: OutcomeKind,
    pub(super) reason: Option<Reason>,
    pub(super) at: Option<i64>,
    pub(super) progress: Progress,
}

/// A try of a batch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Try {
    pub(super) at: i64,
    pub(super) rows: Vec<u64>,
    pub(super) runs: bool,
    pub(super) end: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    Arrival(u64),
    Timer { timer: u32, unit: u32 },
    Answer { unit: u32, index: usize },
}

/// A queue and a function of which so many runs go on at once.
pub(super) struct World {
    pub(super) queue: Queue,
    pub(super) hub: Hub,
    pub(super) heap: BinaryHeap<Reverse<(i64, u8, u64, Happening)>>,
    pub(super) records: BTreeMap<u64, Record>,
    /// From when on how many may run.
    pub(super) limits: Vec<(i64, usize)>,
    pub(super) running: usize,
    pub(super) most_running: usize,
    pub(super) now: i64,
    pub(super) tries: Vec<Try>,
    pub(super) rows: BTreeMap<u64, Row>,
    pub(super) events: usize,
    /// How runs fail.
    pub(super) failed: Vec<Option<Reason>>,
    pub(super) most_busy: u32,
}

impl World {
    pub(super) fn new(config: SourceConfig) -> Self {
        let mut hub = Hub::new(Luck::new(1));
        hub.backlog.push(0);
        hub.levels.push(Vec::new());
        hub.wants_attempts = true;
        let mut queue = Queue::new(config);
        queue.open(Micros(0), &mut hub);
        let mut world = Self {
            queue,
            hub,
            heap: BinaryHeap::new(),
            records: BTreeMap::new(),
            limits: vec![(0, usize::MAX)],
            running: 0,
            most_running: 0,
            now: 0,
            tries: Vec::new(),
            rows: BTreeMap::new(),
            events: 0,
            failed: Vec::new(),
            most_busy: 0,
        };
        world.drain();
        world
    }

    /// Messages, each with its arrival and duration.
    fn send(&mut self, messages: impl IntoIterator<Item = (i64, i64)>) -> &mut Self {
        for (at, duration) in messages {
            self.send_one(at, duration, NO_KEY, None, None);
        }
        self
    }

    /// A message; so many runs with it fail in this way.
    fn send_one(
        &mut self,
        at: i64,
        duration: i64,
        key: u32,
        failure: Option<Failure>,
        error_runs: Option<u32>,
    ) -> &mut Self {
        let row = self.records.len() as u64;
        let mut record = Record::new(row, Micros(at), Micros(duration)).failing(failure);
        record.key = key;
        if let Some(error_runs) = error_runs {
            let rare = self.hub.rares.usual(0, row);
            record.rare = self.hub.rares.keep(crate::sources::record::Rare { error_runs, ..rare });
        }
        self.push(at, record)
    }

    pub(super) fn push(&mut self, at: i64, record: Record) -> &mut Self {
        self.records.insert(record.row, record);
        self.heap.push(Reverse((at, 4, 0, Happening::Arrival(record.row))));
        self
    }

    fn drain(&mut self) {
        for due in std::mem::take(&mut self.hub.timers) {
            let Due { at, class, timer, unit, order, .. } = due;
            assert!(at.0 >= self.now, "a timer lies before the present");
            let rank = match class {
                Class::Change => 0,
                Class::Expiry => 3,
                Class::Read => 5,
                Class::Retry => 6,
                Class::Batch => 7,
            };
            let number = (0..).zip(Timer::ALL).find(|(_, other)| *other == timer);
            let (timer, _) = number.expect("one of all");
            self.heap.push(Reverse((at.0, rank, order, Happening::Timer { timer, unit })));
        }
        let mut records = std::mem::take(&mut self.hub.records).into_iter();
        for settled in std::mem::take(&mut self.hub.settled) {
            for record in records.by_ref().take(settled.count) {
                let row = Row {
                    kind: settled.kind,
                    reason: settled.reason,
                    at: settled.at.map(|at| at.0),
                    progress: settled.progress,
                };
                self.hub.rares.forget(&record);
                let before = self.rows.insert(record.row, row);
                assert!(before.is_none(), "a message ends once");
            }
        }
        self.most_busy = self.most_busy.max(self.queue.busy);
        assert!(self.queue.busy <= self.queue.slots.count(), "B(t) ≤ S(t)");
    }

    /// Runs until nothing is to come, or until `end`.
    fn run_until(&mut self, end: i64) {
        while let Some(Reverse((at, _, _, happening))) = self.heap.peek().copied() {
            if at > end {
                break;
            }
            self.heap.pop();
            assert!(at >= self.now, "time goes on");
            self.now = at;
            let now = Micros(at);
            self.events += 1;
            match happening {
                Happening::Arrival(row) => {
                    self.queue.land(self.records[&row], None, now, &mut self.hub);
                }
                Happening::Timer { timer: 0, unit } => self.start(unit),
                Happening::Timer { timer, unit } => {
                    self.queue.fire(Timer::ALL[timer as usize], unit, now, &mut self.hub);
                }
                Happening::Answer { unit, index } => {
                    self.running -= 1;
                    let (error, run) = self.answer_of(index);
                    let answer = Answer { error, overrun: false, run, conflicts: 0 };
                    self.queue.answered(unit, &answer, now, &mut self.hub);
                }
            }
            self.drain();
        }
        self.now = self.now.max(end.min(self.now + 1));
    }

    pub(super) fn run(&mut self) -> &mut Self {
        self.run_until(i64::MAX - 1);
        let now = Micros(self.now);
        assert!(self.hub.timers.is_empty());
        assert_eq!(self.queue.live(), 0, "all messages come to an end by themselves");
        assert_eq!(self.queue.busy, 0);
        self.queue.finish(None, now, &mut self.hub);
        self.drain();
        self
    }

    fn answer_of(&self, index: usize) -> (Option<Reason>, Run) {
        let Try { at, end, .. } = self.tries[index];
        let run = Run {
            start: Micros(at),
            end: Some(Micros(end)),
            init: Micros(0),
            cold: false,
            provisioned: false,
            spillover: None,
            environment: 0,
            invocation: index as u64,
            lock_wait: Micros(0),
            billed_ms: 0,
        };
        (self.failed[index], run)
    }

    fn start(&mut self, unit: u32) {
        let now = Micros(self.now);
        let Some(start) = self.queue.start(unit, now, &mut self.hub) else { return };
        let batch = &self.queue.batches[unit as usize];
        let rows: Vec<u64> = batch.records.iter().map(|record| record.row).collect();
        assert_eq!(start.records as usize, rows.len());
        let limit = self.limits.iter().rev().find(|(from, _)| *from <= self.now).unwrap().1;
        let runs = self.running < limit;
        let end = self.now + start.duration.0;
        self.tries.push(Try { at: self.now, rows, runs, end });
        self.failed.push(start.error.map(|_| Reason::Handled));
        if runs {
            self.running += 1;
            self.most_running = self.most_running.max(self.running);
            self.queue.admitted(unit, now, &mut self.hub);
            let index = self.tries.len() - 1;
            let order = u64::from(start.sequence);
            self.heap.push(Reverse((end, 2, order, Happening::Answer { unit, index })));
        } else {
            let refused = Refused {
                reason: Reason::ReservedFunctionConcurrentInvocationLimitExceeded,
                limit: Limit::ReservedConcurrency,
                batch: 0,
            };
            self.queue.refused(unit, &refused, now, &mut self.hub);
        }
    }

    /// Instants and rows of all tries.
    fn tried(&self) -> Vec<(i64, Vec<u64>)> {
        self.tries.iter().map(|one| (one.at, one.rows.clone())).collect()
    }

    fn row(&self, row: u64) -> (OutcomeKind, Option<i64>) {
        (self.rows[&row].kind, self.rows[&row].at)
    }
}

const SUCCESS: OutcomeKind = OutcomeKind::Success;
const DISCARDED: OutcomeKind = OutcomeKind::Discarded;
const EXPIRED: OutcomeKind = OutcomeKind::Expired;

fn each(rows: std::ops::Range<u64>) -> Vec<u64> {
    rows.collect()
}

#[test]
fn p20_an_idle_queue_takes_42_ms_to_the_function() {
    let config = with(|_, kind| {
        kind.poll_latency = Micros(12 * MS);
        kind.invoke_latency = Micros(30 * MS);
    });
    let mut world = World::new(config);
    world.send([(S, 100 * MS), (S + 5 * MS, 0), (S + 13 * MS, 0)]).run();
    // The second is there when the first is received; the third is not.
    assert_eq!(world.tried(), [(S + 42 * MS, vec![0, 1]), (S + 55 * MS, vec![2])]);
    assert_eq!(world.row(0), (SUCCESS, Some(S + 142 * MS)));
    assert_eq!(world.rows[&1].progress.attempts, 1);
}

#[test]
fn p21_thirty_messages_of_batch_size_20_and_two_slots_give_two_batches() {
    let config = with(|config, kind| {
        (config.batch_size, config.window) = (20, Micros(S));
        kind.maximum_concurrency = Some(2);
    });
    let mut world = World::new(config);
    world.send((0..30).map(|_| (0, S))).run();
    assert_eq!(world.tried(), [(0, each(0..20)), (S, each(20..30))]);
}

#[test]
fn e5_3_throttled_batches_are_tried_again_within_their_lease() {
    // Visibility timeout 120 s, time-out 60 s, capacity back after 10.008 s: third try.
    let config = |timeout| {
        with(move |_, kind| {
            kind.visibility_timeout = Micros(timeout * S);
            kind.function_timeout = Some(Micros(60 * S));
        })
    };
    let mut world = World::new(config(120));
    world.limits = vec![(0, 0), (10_008 * MS, 1)];
    world.send([(0, S)]).run();
    let tried = |world: &World| world.tries.iter().map(|one| one.at).collect::<Vec<_>>();
    assert_eq!(tried(&world), [0, 3_600 * MS, 10_800 * MS]);
    assert_eq!(world.hub.figures[0].receives, 1);
    let progress = world.rows[&0].progress;
    assert_eq!((progress.attempts, progress.throttles, progress.runs), (3, 2, 1));

    // 60 s: one try a lease, success in the second.
    let mut world = World::new(config(60));
    world.limits = vec![(0, 0), (33_030 * MS, 1)];
    world.send([(0, S)]).run();
    assert_eq!(tried(&world), [0, 60 * S]);
    assert_eq!(world.hub.figures[0].receives, 2);

    // No capacity until 88.42 s: success in the third.
    let mut world = World::new(config(60));
    world.limits = vec![(0, 0), (88_420 * MS, 1)];
    world.send([(0, S)]).run();
    assert_eq!(tried(&world), [0, 60 * S, 120 * S]);
    assert_eq!(world.hub.figures[0].receives, 3);
}

#[test]
fn e5_3_the_series_of_tries_is_c_times_two_to_the_j_minus_one() {
    let config = with(|_, kind| kind.visibility_timeout = Micros(1_000 * S));
    let mut world = World::new(config);
    world.limits = vec![(0, 0), (2_000 * S, 1)];
    world.send([(0, S)]).run();
    let first: Vec<i64> = world.tries.iter().map(|one| one.at / (100 * MS)).take(9).collect();
    assert_eq!(first, [0, 36, 108, 252, 540, 1_116, 2_268, 4_572, 9_180]);
    assert_eq!(world.tries[9].at, 1_000 * S);

    let mut world = World::new(with(|_, kind| kind.throttle_retry = None));
    world.limits = vec![(0, 0), (S, 1)];
    world.send([(0, S)]).run();
    assert_eq!(world.tried(), [(0, vec![0]), (30 * S, vec![0])]);
}

#[test]
fn e5_3_a_lease_is_given_up_at_the_try_after_which_no_other_fits() {
    // The slot is free for another message then, which the function still refuses.
    let config = with(|_, kind| {
        kind.maximum_concurrency = Some(2);
        kind.function_timeout = Some(Micros(25 * S));
    });
    let mut world = World::new(config);
    world.limits = vec![(0, 0), (8 * S, 2)];
    world.send((0..3).map(|n| (n, S))).run();
    let tried: Vec<_> = world.tries.iter().take(4).map(|one| (one.at, one.rows[0])).collect();
    assert_eq!(tried, [(0, 0), (1, 1), (3_600 * MS, 0), (3_600 * MS, 2)]);
}

#[test]
fn e5_failed_batches_come_back_whole_at_the_end_of_their_lease() {
    let mut world = World::new(settings());
    world.send_one(0, S, NO_KEY, Some(Failure::Handled), Some(1));
    world.send([(0, S), (0, S)]).run();
    assert_eq!(world.tried(), [(0, vec![0, 1, 2]), (30 * S, vec![0, 1, 2])]);
    let progress = world.rows[&2].progress;
    assert_eq!((progress.attempts, progress.errors, progress.runs), (2, 1, 2));
    assert_eq!(world.row(2), (SUCCESS, Some(31 * S)));
}

#[test]
fn e5_7_listed_messages_stay_and_the_others_are_deleted() {
    let mut world = World::new(with(|config, _| config.report = true));
    world.send([(0, S)]);
    world.send_one(0, S, NO_KEY, Some(Failure::Item), Some(2));
    world.send([(0, S)]).run();
    assert_eq!(world.tried(), [(0, vec![0, 1, 2]), (30 * S, vec![1]), (60 * S, vec![1])]);
    assert_eq!(world.row(2), (SUCCESS, Some(S)));
    assert_eq!(world.row(1), (SUCCESS, Some(61 * S)));
    assert_eq!(world.rows[&1].progress.errors, 2);
    let counts = world.hub.minutes.at(0, Micros(0));
    assert_eq!((counts.polled, counts.invoked, counts.failed, counts.deleted), (4, 4, 2, 2));

    // Reporting off: the answer is not looked at.
    let mut world = World::new(settings());
    world.send_one(0, S, NO_KEY, Some(Failure::Item), None).run();
    assert_eq!(world.row(0), (SUCCESS, Some(S)));

    // An error is one of the whole batch, reporting or not.
    let mut world = World::new(with(|config, _| config.report = true));
    world.send_one(0, S, NO_KEY, Some(Failure::Item), Some(1));
    world.send_one(0, S, NO_KEY, Some(Failure::Crash), Some(1));
    world.send([(0, S)]).run();
    assert_eq!(world.row(2), (SUCCESS, Some(31 * S)));
}

#[test]
fn e5_2_after_the_last_receive_allowed_a_message_goes_to_the_dead_letter_queue() {
    let config = with(|_, kind| kind.max_receive_count = Some(3));
    let mut world = World::new(config.clone());
    world.send_one(0, S, NO_KEY, Some(Failure::Handled), None).run();
    assert_eq!(world.tried(), [(0, vec![0]), (30 * S, vec![0]), (60 * S, vec![0])]);
    assert_eq!(world.row(0), (DISCARDED, Some(90 * S)));
    assert_eq!(world.rows[&0].reason, Some(Reason::MaxReceiveCountExceeded));
    assert_eq!((world.hub.figures[0].receives, world.hub.figures[0].delivered), (3, 1));

    // Throttled receives count too: it goes without one run.
    let mut world = World::new(config);
    world.limits = vec![(0, 0)];
    world.send([(0, S)]).run();
    assert_eq!(world.row(0), (DISCARDED, Some(90 * S)));
    assert_eq!(world.rows[&0].progress.runs, 0);
}

#[test]
fn s0_6_12_a_run_that_outlasts_its_lease_deletes_nothing_that_was_received_since() {
    let mut world = World::new(with(|config, _| config.retention = Micros(200 * S)));
    world.send([(0, 35 * S)]).run();
    // Each run ends 5 s after the next receive; what is left is gone at the end of a lease.
    let starts: Vec<i64> = world.tries.iter().map(|one| one.at / S).collect();
    assert_eq!(starts, [0, 30, 60, 90, 120, 150, 180]);
    assert_eq!(world.row(0), (EXPIRED, Some(210 * S)));
    let progress = world.rows[&0].progress;
    assert_eq!((progress.attempts, progress.runs, progress.errors), (7, 7, 0));
    assert_eq!(progress.run.map(|run| run.start), Some(Micros(180 * S)));
}

#[test]
fn s0_6_12_a_delete_after_the_end_of_the_lease_counts_until_the_next_receive() {
    // One slot's worth of concurrency: nobody receives it before the run has ended.
    let config = with(|_, kind| {
        kind.ramp_start = 1;
        kind.maximum_concurrency = Some(1);
    });
    let mut world = World::new(config);
    world.send([(0, 35 * S)]).run();
    assert_eq!(world.tried(), [(0, vec![0])]);
    assert_eq!(world.row(0), (SUCCESS, Some(35 * S)));
}

#[test]
fn e5_2_a_window_that_does_not_fit_makes_leases_longer() {
    let config = with(|config, kind| {
        (config.window, config.batch_size) = (Micros(20 * S), 100);
        kind.function_timeout = Some(Micros(15 * S));
    });
    let mut world = World::new(config);
    world.send_one(0, S, NO_KEY, Some(Failure::Handled), Some(1)).run();
    // 20 + 15 + 30 s.
    assert_eq!(world.tried(), [(20 * S, vec![0]), (85 * S, vec![0])]);
}

#[test]
fn retention_acts_on_visible_messages_and_at_the_end_of_a_lease() {
    let config = with(|config, kind| {
        config.retention = Micros(60 * S);
        kind.ramp_start = 1;
        kind.maximum_concurrency = Some(1);
    });
    let mut world = World::new(config);
    // One is deleted by a run that began before; one has not been received; one comes back late.
    world.send([(0, 25 * S)]);
    world.send_one(S, 0, NO_KEY, Some(Failure::Handled), None);
    world.limits = vec![(0, 1), (56 * S, 0)];
    world.send([(58 * S, 0)]).run();
    assert_eq!(world.row(0), (SUCCESS, Some(25 * S)));
    assert_eq!(world.row(1), (EXPIRED, Some(85 * S)));
    assert_eq!(world.rows[&1].progress.runs, 2);
    assert_eq!(world.rows[&1].reason, Some(Reason::RetentionExpired));
    assert_eq!(world.row(2), (EXPIRED, Some(118 * S)));
    let mut world = World::new(with(|config, _| config.enabled = false));
    world.send([(7, S)]).run();
    assert_eq!(world.row(0), (EXPIRED, Some(4 * 86_400 * S + 7)));
}

#[test]
fn filtered_messages_count_for_the_call_and_not_for_the_batch() {
    let filtered = |world: &mut World, count: u64| {
        for _ in 0..count {
            let row = world.records.len() as u64;
            world.push(0, Record::new(row, Micros(0), Micros(S)).filtered(true));
        }
    };
    let mut world = World::new(settings());
    filtered(&mut world, 4);
    world.send((0..10).map(|_| (0, S))).run();
    assert_eq!(world.tried(), [(0, each(4..10)), (0, each(10..14))]);
    assert_eq!(world.row(0), (OutcomeKind::Filtered, Some(0)));
    // With a window there are several calls; a call without anything to keep is repeated.
    let config = with(|config, _| (config.batch_size, config.window) = (12, Micros(S)));
    let mut world = World::new(config);
    filtered(&mut world, 14);
    world.send((0..13).map(|_| (0, S))).run();
    assert_eq!(world.tried(), [(0, each(14..26)), (S, each(26..27))]);
}

#[test]
fn windows_start_when_the_last_run_of_the_slot_ends() {
    let config = with(|config, kind| {
        (config.batch_size, config.window) = (3, Micros(5 * S));
        kind.poll_latency = Micros(12 * MS);
    });
    let mut world = World::new(config);
    // A full batch runs for 2 s; the next message falls into the window that follows.
    world.send([(0, 2 * S), (0, 0), (0, 0), (6 * S, 0), (6_500 * MS, 0)]);
    // The window after that ends empty: the slot is idle, and the window starts with a message.
    world.send([(20 * S, 0)]).run();
    assert_eq!(
        world.tried(),
        [(12 * MS, vec![0, 1, 2]), (7_012 * MS, vec![3, 4]), (25_012 * MS, vec![5]),]
    );
}

#[test]
fn p22_low_traffic_makes_a_batch_wait_for_the_long_poll() {
    let config = with(|config, kind| {
        config.window = Micros(5 * S);
        kind.low_traffic_wait = Some(Micros(20 * S));
    });
    let mut world = World::new(config);
    world.send([(0, S), (6 * S, S)]).run();
    assert_eq!(world.tried(), [(20 * S, vec![0, 1])]);
}

#[test]
fn e5_1_five_batches_and_five_more_a_second() {
    let mut world = World::new(with(|config, _| config.batch_size = 1));
    world.send((0..400).map(|_| (0, 20 * S)));
    world.run_until(10 * S);
    let running = |at: i64| world.tries.iter().filter(|one| one.at <= at).count();
    assert_eq!((running(0), running(200 * MS), running(S), running(10 * S)), (5, 6, 10, 55));
}

#[test]
fn e5_5_maximum_concurrency_leaves_the_backlog_in_the_queue() {
    let config = with(|config, kind| {
        config.batch_size = 1;
        kind.maximum_concurrency = Some(90);
    });
    let mut world = World::new(config);
    world.limits = vec![(0, 90)];
    world.send((0..2_000).map(|n| (n * MS, 5 * S))).run();
    assert_eq!(world.most_running, 90);
    assert!(world.tries.iter().all(|one| one.runs), "no throttles");
}

#[test]
fn e5_4_errors_lower_concurrency_and_come_to_count_no_more() {
    let config = with(|config, kind| {
        config.batch_size = 1;
        kind.maximum_concurrency = Some(60);
        kind.visibility_timeout = Micros(600 * S);
        kind.backoff = true;
    });
    let mut world = World::new(config);
    // 60 at once after 11 s of backlog; 1 of 100 fails from then on.
    for n in 0..40_000 {
        let failure = (n > 10_000 && n % 100 == 0).then_some(Failure::Handled);
        world.send_one(0, 50 * MS, NO_KEY, failure, Some(1));
    }
    world.run();
    let running_at =
        |at: i64| world.tries.iter().filter(|one| one.at <= at && one.end > at).count();
    assert_eq!(running_at(12 * S), 60);
    let mut seen = Vec::new();
    for second in 13..60 {
        seen.push(running_at(second * S));
    }
    // The share of the last minute rises from 0 to 1 %, and fewer run.
    assert!(seen.is_sorted_by(|one, next| one >= next), "{seen:?}");
    assert!(*seen.last().unwrap() < 40, "{seen:?}");
    assert!(world.rows.values().all(|row| row.kind == SUCCESS));
}

#[test]
fn e5_8_fifo_batches_of_two_groups() {
    let config = with(|config, kind| {
        config.batch_size = 2;
        kind.fifo = true;
    });
    let mut world = World::new(config);
    for (n, key) in (0..).zip([7, 9, 7, 9, 7, 9]) {
        world.send_one(0, 20 * MS + n, key, None, None);
    }
    world.run();
    assert_eq!(
        world.tried(),
        [(0, vec![0, 2]), (0, vec![1, 3]), (20 * MS + 2, vec![4]), (20 * MS + 3, vec![5]),]
    );
    let groups: Vec<_> =
        world.hub.figures[1..].iter().map(|unit| (unit.group, unit.receives)).collect();
    assert_eq!(groups, [(7, 3), (9, 3)]);
}

#[test]
fn e5_8_one_group_never_runs_twice_at_once() {
    let mut world = World::new(with(|config, kind| {
        config.batch_size = 1;
        kind.fifo = true;
    }));
    for _ in 0..5 {
        world.send_one(0, 5 * S, 3, None, None);
    }
    world.run();
    assert_eq!(world.most_running, 1);
    let starts: Vec<i64> = world.tries.iter().map(|one| one.at / S).collect();
    assert_eq!(starts, [0, 5, 10, 15, 20]);
}

#[test]
fn e5_8_six_groups_and_ten_slots_run_six_at_once() {
    let mut world = World::new(with(|config, kind| {
        config.batch_size = 1;
        kind.fifo = true;
        kind.maximum_concurrency = Some(10);
        kind.visibility_timeout = Micros(90 * S);
    }));
    for n in 0..60 {
        world.send_one(0, 10 * S, n % 6, None, None);
    }
    world.run();
    assert_eq!(world.most_running, 6);
}

#[test]
fn fifo_failures_lock_their_group_and_the_next_batch_starts_with_them() {
    let config = with(|config, kind| {
        config.batch_size = 2;
        kind.fifo = true;
        kind.max_receive_count = Some(2);
    });
    let mut world = World::new(config);
    world.send_one(0, S, 1, Some(Failure::Handled), None);
    for key in [1, 1, 2] {
        world.send_one(0, S, key, None, None);
    }
    world.run();
    assert_eq!(
        world.tried(),
        [
            (0, vec![0, 1]),
            (0, vec![3]),
            (30 * S, vec![0, 1]),
            // The dead-letter queue takes both.
            (60 * S, vec![2]),
        ]
    );
    assert_eq!(world.row(1), (DISCARDED, Some(60 * S)));
    let blocked: Vec<_> = world.hub.figures[1..].iter().map(|unit| unit.blocked.0).collect();
    assert_eq!(blocked, [58 * S, 0]);
}

#[test]
fn fifo_what_a_partial_answer_lists_locks_its_group() {
    let config = with(|config, kind| {
        config.report = true;
        kind.fifo = true;
    });
    let mut world = World::new(config);
    world.send_one(0, S, 1, None, None);
    world.send_one(0, S, 1, Some(Failure::Item), Some(1));
    world.send_one(0, S, 2, None, None);
    for key in [1, 2] {
        world.send_one(500 * MS, S, key, None, None);
    }
    world.run();
    assert_eq!(world.tried(), [(0, vec![0, 1, 2]), (S, vec![4]), (30 * S, vec![1, 3])]);
}

#[test]
fn a_message_that_fits_in_no_event_comes_back_without_a_run() {
    let config = with(|_, kind| kind.max_receive_count = Some(2));
    let mut world = World::new(config);
    for (row, bytes) in [3 << 20, 3 << 20, 7 << 20, 1].into_iter().enumerate() {
        let record = Record::new(row as u64, Micros(0), Micros(S)).sized(bytes);
        world.push(0, record);
    }
    world.run();
    // 2 × (3 MiB + 600) is too much for one event, and 7 MiB for any.
    assert_eq!(world.tried(), [(0, vec![0]), (0, vec![1]), (0, vec![3])]);
    assert_eq!(world.row(2), (DISCARDED, Some(60 * S)));
    assert_eq!(world.rows[&2].progress.attempts, 2);
}

#[test]
fn p16_a_queue_without_messages_has_no_events_and_starts_again_with_five() {
    let config = with(|config, _| config.batch_size = 1);
    let mut world = World::new(config);
    world.send((0..100).map(|_| (0, 2 * S)));
    world.send((0..100).map(|_| (3_000 * S, 2 * S)));
    world.run_until(2_900 * S);
    let events = world.events;
    assert!(events < 600, "{events} events for 100 messages");
    world.run_until(3_000 * S);
    // After 15 min two.
    assert_eq!(world.running, 2);
    world.run();
}

#[test]
fn p23_provisioned_pollers_grow_by_1000_a_minute_and_go_when_not_needed() {
    let config = with(|config, kind| {
        config.batch_size = 1;
        kind.provisioned = Some((2, 5));
    });
    let mut world = World::new(config);
    world.send((0..400).map(|_| (0, 4 * S))).run();
    let running = |at: i64| world.tries.iter().filter(|one| one.at <= at && one.end > at).count();
    assert_eq!((running(0), running(59 * MS), running(60 * MS)), (20, 20, 21));
    assert_eq!(world.most_running, 50);
    assert_eq!(world.queue.pollers(), 2);
    // 2 pollers at first, up to 5, then 2 again.
    let counts: Vec<_> = world.hub.minutes.take().iter().map(|row| row.counts).collect();
    assert_eq!(counts.iter().map(|counts| counts.pollers_max).max(), Some(5));
    assert!(counts.iter().map(|counts| counts.units_us).sum::<u64>() > 0);
}

#[test]
fn p14_a_disabled_mapping_finishes_what_it_has_and_goes_on_when_enabled() {
    let config = with(|config, _| config.batch_size = 1);
    let mut world = World::new(config.clone());
    world.send((0..8).map(|_| (0, S)));
    world.run_until(500 * MS);
    let off = SourceConfig { enabled: false, ..config.clone() };
    world.queue.configure(off, Micros(500 * MS), &mut world.hub);
    world.drain();
    world.run_until(60 * S);
    let before = world.tries.len();
    assert_eq!(before, world.rows.len());
    let on = SourceConfig { start_delay: Micros(2 * S), ..config };
    world.queue.configure(on, Micros(60 * S), &mut world.hub);
    world.drain();
    world.run();
    assert_eq!(world.tries[before].at, 62 * S);
    assert_eq!(world.rows.len(), 8);
}

#[test]
fn p19_a_random_order_is_that_of_the_rows_own_luck() {
    let order = |first: i64| {
        let mut world = World::new(with(|config, kind| {
            config.batch_size = 1;
            kind.receive_random = true;
            kind.maximum_concurrency = Some(2);
        }));
        world.send((0..50).map(|n| (n + first, S))).run();
        world.tries.iter().map(|one| one.rows[0]).collect::<Vec<_>>()
    };
    let one = order(0);
    assert_ne!(one, each(0..50));
    assert_eq!(one.iter().copied().collect::<BTreeSet<_>>().len(), 50);
    assert_eq!(one, order(1_000));
}
