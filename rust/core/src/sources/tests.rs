//! Runs of event sources as the semantics give them, through the whole engine.

use crate::Replay;
use crate::batch::{Batch, Extras, Spans};
use crate::config::{
    AccountConfig, Discipline, Epoch, Fault, FunctionConfig, IdlePolicy,
    QueueConfig as AsyncConfig, ReusePolicy, StateConfig,
};
use crate::ids::FunctionId;
use crate::model::rates::WindowShape;
use crate::model::scaling::ScalingMode;
use crate::outcome::{Attempt, AttemptKind, Outcome, OutcomeKind, Reason, Sink};
use crate::sources::config::{
    Backoff, Encoding, KafkaConfig, KindConfig, Reshard, Resharding, RetryConfig, SourceConfig,
    StreamConfig,
};
use crate::time::Micros;

pub(super) const MS: i64 = 1_000;
pub(super) const S: i64 = 1_000_000;

/// Everything that came out.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) attempts: Vec<Attempt>,
}

impl Sink for Log {
    const WANTED: bool = true;

    fn wants_attempts(&self) -> bool {
        true
    }

    fn outcome(&mut self, outcome: &Outcome) {
        self.outcomes.push(*outcome);
    }

    fn attempt(&mut self, attempt: &Attempt) {
        self.attempts.push(*attempt);
    }
}

impl Log {
    /// Rows of each batch that ran or was refused, in order, with its start.
    pub(super) fn batches(&self) -> Vec<(i64, Vec<u64>)> {
        let mut batches: Vec<(u64, i64, Vec<u64>)> = Vec::new();
        let mut attempts = self.attempts.clone();
        attempts.sort_by_key(|attempt| (attempt.at, number_of(attempt), attempt.row));
        for attempt in &attempts {
            let number = number_of(attempt);
            match batches.last_mut() {
                Some((last, _, rows)) if *last == number => rows.push(attempt.row),
                _ => batches.push((number, attempt.at.0, vec![attempt.row])),
            }
        }
        batches.into_iter().map(|(_, at, rows)| (at, rows)).collect()
    }

    /// Outcome, reason, attempts and instant of a row.
    pub(super) fn of(&self, row: u64) -> (OutcomeKind, Option<Reason>, u32, Option<i64>) {
        let mut found = self.outcomes.iter().filter(|outcome| outcome.row == row);
        let outcome = found.next().expect("every row has an outcome");
        assert!(found.next().is_none(), "row {row} has one outcome");
        let settled = outcome.settled.map(|at| at.0);
        (outcome.kind, outcome.reason, outcome.attempts, settled)
    }

    pub(super) fn kinds(&self) -> Vec<OutcomeKind> {
        let mut outcomes = self.outcomes.clone();
        outcomes.sort_by_key(|outcome| outcome.row);
        outcomes.into_iter().map(|outcome| outcome.kind).collect()
    }
}

fn number_of(attempt: &Attempt) -> u64 {
    attempt.run.map(|run| run.invocation).or(attempt.batch).unwrap_or(u64::MAX)
}

/// A row of an event source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) at: i64,
    pub(super) duration: i64,
    /// 1 handled, 2 crash, 3 item.
    pub(super) error: u8,
    pub(super) error_runs: u32,
    pub(super) key: u32,
    pub(super) shard: u32,
    pub(super) bytes: u64,
    pub(super) filtered: u8,
    pub(super) source: u32,
    pub(super) state_key: u32,
}

pub(super) const fn row(at: i64) -> Row {
    Row {
        at,
        duration: 0,
        error: 0,
        error_runs: u32::MAX,
        key: 0,
        shard: u32::MAX,
        bytes: 0,
        filtered: 0,
        source: 0,
        state_key: u32::MAX,
    }
}

impl Row {
    pub(super) const fn failing(self, error: u8, error_runs: u32) -> Self {
        Self { error, error_runs, ..self }
    }

    pub(super) const fn lasting(self, duration: i64) -> Self {
        Self { duration, ..self }
    }
}

/// A scenario with one function.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) account: AccountConfig,
    pub(super) function: FunctionConfig,
    pub(super) sources: Vec<Vec<(u32, SourceConfig)>>,
    /// Hashes of keys by code.
    pub(super) keys: Vec<u128>,
}

impl Bench {
    pub(super) fn of(config: SourceConfig) -> Self {
        Self {
            account: account(),
            function: function(),
            sources: vec![vec![(0, config)]],
            keys: vec![0],
        }
    }

    /// Replays rows, so many at a time.
    fn feed(&self, rows: &[Row], at_a_time: usize, sink: &mut impl Sink) -> Replay {
        let mut replay = Replay::new(self.account.clone(), true);
        replay.add_function("f".to_owned(), vec![(0, self.function.clone())], None);
        for source in &self.sources {
            replay.add_source(source.clone());
        }
        for hash in &self.keys {
            replay.add_key(*hash, 1);
        }
        let mut first = 0;
        for rows in rows.chunks(at_a_time) {
            let numbers: Vec<u64> = (first..).take(rows.len()).collect();
            first += rows.len() as u64;
            let words = |value: fn(&Row) -> u32| rows.iter().map(value).collect::<Vec<_>>();
            let bytes = |value: fn(&Row) -> u8| rows.iter().map(value).collect::<Vec<_>>();
            let times = |value: fn(&Row) -> i64| rows.iter().map(value).collect::<Vec<_>>();
            let payloads: Vec<u64> = rows.iter().map(|row| row.bytes).collect();
            let extras = Extras {
                event_sources: Some(&words(|row| row.source)),
                errors: Some(&bytes(|row| row.error)),
                error_runs: Some(&words(|row| row.error_runs)),
                keys: Some(&words(|row| row.key)),
                shards: Some(&words(|row| row.shard)),
                payloads: Some(&payloads),
                filtered: Some(&bytes(|row| row.filtered)),
                state_keys: Some(&words(|row| row.state_key)),
                ..Extras::default()
            };
            let batch = Batch {
                timestamps: &times(|row| row.at),
                functions: &words(|_| 0),
                durations: Spans::Micros(&times(|row| row.duration)),
                inits: None,
                memory: None,
                extras: Some(extras),
                codes: None,
                rows: Some(&numbers),
                identities: None,
            };
            replay.feed(&batch, sink).expect("the rows are sound");
        }
        replay.finish(sink);
        replay
    }

    /// The same as [`Self::run`], all rows at once.
    pub(super) fn run_whole(&self, rows: &[Row]) -> Log {
        let mut log = Log::default();
        self.feed(rows, rows.len(), &mut log);
        log
    }

    pub(super) fn run(&self, rows: &[Row]) -> Log {
        let mut log = Log::default();
        self.feed(rows, 1, &mut log);
        assert_eq!(log.outcomes.len(), rows.len(), "one outcome each");
        log
    }

    /// The same with the replay, for its figures.
    pub(super) fn replay(&self, rows: &[Row]) -> (Replay, Log) {
        let mut log = Log::default();
        let replay = self.feed(rows, 1, &mut log);
        (replay, log)
    }

    pub(super) fn stream(&mut self) -> &mut StreamConfig {
        match &mut self.sources[0][0].1.kind {
            KindConfig::Stream(stream) => stream,
            _ => unreachable!("a stream"),
        }
    }

    pub(super) fn config(&mut self) -> &mut SourceConfig {
        &mut self.sources[0][0].1
    }
}

pub(super) fn account() -> AccountConfig {
    AccountConfig {
        seed: 0,
        epochs: vec![Epoch {
            at: None,
            concurrency: 1_000,
            requests_per_second: None,
            rates: false,
            scaling: None,
            reuse: ReusePolicy::Mru,
            destroy_on_reset: false,
            proactive_fraction: 0.0,
            queue: AsyncConfig { jitter_half: 0.0, predictive: true, dispatch: Micros::ZERO },
        }],
        idle: IdlePolicy::None,
        reuse: ReusePolicy::Mru,
        max_lifetime: None,
        destroy_on_reset: false,
        proactive_fraction: 0.0,
        aborted_init_billed: false,
        billing_unit: Micros(1_000),
        rate_shape: WindowShape::FixedWindow { window: Micros::SECOND },
        scaling_of_region: false,
        scaling_mode: ScalingMode::Continuous,
        queue: AsyncConfig { jitter_half: 0.0, predictive: true, dispatch: Micros::ZERO },
        state: StateConfig {
            discipline: Discipline::Lock,
            by_function: false,
            max_lock_wait: None,
            max_retries: 3,
            backoff: Micros::ZERO,
        },
        faults: Vec::new(),
        until: None,
        time_scale: 1.0,
        load: 1.0,
        free_mb_ms: None,
    }
}

pub(super) fn function() -> FunctionConfig {
    FunctionConfig {
        duration_factor: 1.0,
        init: Micros::ZERO,
        init_billed: true,
        timeout: None,
        init_timeout: None,
        memory_mb: None,
        default_memory_mb: 128,
        arm: false,
        ephemeral_mb: 512,
        restore: None,
        reserved: None,
        reserved_by_name: true,
        max_event_age: Micros(21_600 * S),
        max_retries: 2,
        on_failure: false,
        provisioned: Vec::new(),
        provisioned_by_name: false,
        client: None,
        faults: Vec::new(),
    }
}

pub(super) fn retries() -> RetryConfig {
    let backoff = Backoff { base: Micros(200 * MS), cap: Micros(60 * S) };
    RetryConfig {
        max_retries: None,
        max_age: None,
        age_at_deadline: true,
        bisect: false,
        on_failure: false,
        retry: backoff,
        throttle: backoff,
        jitter: 0.0,
        gap: Micros(20 * MS),
    }
}

pub(super) fn kinesis() -> SourceConfig {
    SourceConfig {
        function: FunctionId(0),
        enabled: true,
        start_delay: Micros::ZERO,
        stop_delay: Micros::ZERO,
        batch_size: 100,
        window: Micros::ZERO,
        report: false,
        longest: false,
        base: Micros::ZERO,
        encoding: Encoding { base64: true, each: 600, with_key: true },
        retention: Micros(86_400 * S),
        kind: KindConfig::Stream(StreamConfig {
            parallelization_factor: 1,
            retries: retries(),
            tumbling_window: None,
            idle_final: Micros(120 * S),
            poll: Some(Micros::SECOND),
            random_phase: false,
            prop_delay: Micros::ZERO,
            read_records: 10_000,
            read_bytes: 10_485_760,
            lookahead: 10_000,
            child_delay: Micros(8 * S),
            block_shard: false,
            window_from_first: false,
            age_at_end: false,
            from: None,
            shards: 1,
            reshards: Vec::new(),
        }),
    }
}

fn rows_of(log: &Log) -> Vec<Vec<u64>> {
    log.batches().into_iter().map(|(_, rows)| rows).collect()
}

fn starts_of(log: &Log) -> Vec<i64> {
    log.batches().into_iter().map(|(at, _)| at).collect()
}

#[test]
fn e4_6_bisect_runs_the_left_half_first_and_then_depth_first() {
    let mut bench = Bench::of(kinesis());
    bench.stream().retries.bisect = true;
    bench.stream().retries.max_retries = Some(1);
    let rows = [row(0), row(0).failing(1, u32::MAX), row(0), row(0)];
    let log = bench.run(&rows);
    let expected =
        [vec![0, 1, 2, 3], vec![0, 1], vec![0], vec![1], vec![1], vec![2, 3]].map(|rows| rows);
    assert_eq!(rows_of(&log), expected);
    assert_eq!(log.of(1).0, OutcomeKind::Discarded);
    assert_eq!(log.of(1).1, Some(Reason::RetryAttemptsExhausted));
    // Runs of nothing: the gap, and 0.2 s before the second run of [1].
    let g = 20 * MS;
    assert_eq!(starts_of(&log), [g, 2 * g, 3 * g, 4 * g, 4 * g + 200 * MS, 5 * g + 200 * MS]);
}

#[test]
fn e4_6_bisect_with_partial_responses() {
    let mut bench = Bench::of(kinesis());
    bench.stream().retries.bisect = true;
    bench.stream().retries.max_retries = Some(1);
    bench.config().report = true;
    let rows = [row(0), row(0).failing(3, u32::MAX), row(0), row(0)];
    let log = bench.run(&rows);
    assert_eq!(rows_of(&log), [vec![0, 1, 2, 3], vec![1, 2, 3], vec![1], vec![1], vec![2, 3]]);
    let (success, discarded) = (OutcomeKind::Success, OutcomeKind::Discarded);
    assert_eq!(log.kinds(), [success, discarded, success, success]);
    let first: Vec<_> = log.attempts[..4].iter().map(|one| (one.kind, one.reason)).collect();
    let failed = (AttemptKind::Error, Some(Reason::BatchItemFailure));
    assert_eq!(first, [(AttemptKind::Success, None), failed, failed, failed]);
}

#[test]
fn e4_7_a_partial_response_is_ignored_where_reporting_is_off() {
    let log = Bench::of(kinesis()).run(&[row(0), row(0).failing(3, u32::MAX)]);
    assert_eq!(rows_of(&log), [vec![0, 1]]);
    assert_eq!(log.kinds(), [OutcomeKind::Success; 2]);
}

#[test]
fn e4_5_retries_are_attempts_less_one_and_wait_twice_as_long_each_time() {
    for retries in [0, 1, 2, 3] {
        let mut bench = Bench::of(kinesis());
        bench.stream().retries.max_retries = Some(retries);
        let log = bench.run(&[row(0).failing(1, u32::MAX)]);
        let waits: Vec<i64> =
            starts_of(&log).windows(2).map(|pair| (pair[1] - pair[0]) / MS).collect();
        assert_eq!(waits, [200, 400, 800][..retries as usize]);
        assert_eq!(log.of(0).2, retries + 1);
    }
}

#[test]
fn e4_3_a_failure_blocks_its_shard_and_no_other() {
    let mut bench = Bench::of(kinesis());
    bench.stream().shards = 2;
    let on = |shard, row: Row| Row { shard, ..row };
    let rows = [on(0, row(0).failing(1, 3)), on(1, row(0)), on(0, row(S)), on(1, row(S))];
    let (replay, log) = bench.replay(&rows);
    // b(0) + b(1) + b(2) = 1.4 s after 20 ms.
    assert_eq!(log.of(0), (OutcomeKind::Success, None, 4, Some(1_420 * MS)));
    assert_eq!(log.of(2).3, Some(1_440 * MS), "behind it, after the gap");
    assert_eq!(log.of(3).3, Some(S), "read and run on its own");
    let units = replay.source_units();
    assert_eq!(units[0].figures.blocked, Micros(1_400 * MS));
    assert_eq!(units[1].figures.blocked, Micros::ZERO);
}

#[test]
fn e4_5_a_throttle_uses_no_retry() {
    let mut bench = Bench::of(kinesis());
    bench.stream().retries.max_retries = Some(0);
    bench.account.faults = vec![Fault {
        from: Micros(0),
        to: Micros(S),
        slow: None,
        init: None,
        error: None,
        throttle: true,
    }];
    bench.function.faults = vec![0];
    let log = bench.run(&[row(0)]);
    // 0.02, 0.22, 0.62 refused, 1.42 runs.
    assert_eq!(starts_of(&log), [20, 220, 620, 1_420].map(|at| at * MS));
    let batches: Vec<_> = log.attempts.iter().map(number_of).collect();
    assert_eq!(batches, [0, 1, 2, 3], "a refused batch has a number of its own");
    assert_eq!(log.of(0), (OutcomeKind::Success, None, 4, Some(1_420 * MS)));
    assert_eq!((log.outcomes[0].throttles, log.outcomes[0].errors), (3, 0));
}

#[test]
fn e4_9_what_is_too_old_is_cut_off_and_the_rest_runs() {
    let mut bench = Bench::of(kinesis());
    bench.stream().retries.max_age = Some(Micros(60 * S));
    bench.config().start_delay = Micros(80 * S);
    let rows: Vec<Row> = [0, 50, 50, 50, 50, 50].map(|at| row(at * S)).to_vec();
    let log = bench.run(&rows);
    assert_eq!(rows_of(&log), [vec![1, 2, 3, 4, 5]]);
    let discarded =
        (OutcomeKind::Discarded, Some(Reason::RecordAgeExceeded), 0, Some(80 * S + 20 * MS));
    assert_eq!(log.of(0), discarded);
}

#[test]
fn e4_4_a_record_that_always_fails_has_eight_runs_within_sixty_seconds() {
    let mut bench = Bench::of(kinesis());
    bench.stream().retries.max_age = Some(Micros(60 * S));
    bench.config().start_delay = Micros(20 * S);
    let log = bench.run(&[row(0).failing(1, u32::MAX)]);
    let discarded = (OutcomeKind::Discarded, Some(Reason::RecordAgeExceeded), 8, Some(60 * S));
    assert_eq!(log.of(0), discarded, "at its very moment");
}

#[test]
fn p11_age_may_wait_for_the_next_attempt() {
    let mut bench = Bench::of(kinesis());
    bench.stream().retries.max_age = Some(Micros(60 * S));
    bench.stream().retries.age_at_deadline = false;
    bench.config().start_delay = Micros(20 * S);
    let log = bench.run(&[row(0).failing(1, u32::MAX)]);
    // The eighth run is at 20.02 + 0.2 · (2^7 − 1) = 45.42, the ninth would be at 71.02.
    assert_eq!(log.of(0).3, Some(71_020 * MS));
}

#[test]
fn e4_8_a_record_that_is_too_large_never_runs_and_the_next_one_does() {
    for retries in [0, 2] {
        let mut bench = Bench::of(kinesis());
        bench.stream().retries.max_retries = Some(retries);
        let large = Row { bytes: 5 << 20, ..row(0) };
        let (replay, log) = bench.replay(&[large, row(0)]);
        // Tries that are no attempts: what is never sent is neither run nor refused.
        let reason = Some(Reason::RetryAttemptsExhausted);
        let at = [20, 220, 620][retries as usize] * MS;
        assert_eq!(log.of(0), (OutcomeKind::Discarded, reason, 0, Some(at)));
        assert_eq!(log.of(1).0, OutcomeKind::Success);
        assert_eq!(replay.totals().counts.invocations, 1);
        assert_eq!(replay.totals().never_ran, 1);
    }
}

#[test]
fn e2_a_window_starts_when_the_batch_before_is_done() {
    let mut bench = Bench::of(kinesis());
    bench.config().batch_size = 2;
    bench.config().window = Micros(5 * S);
    let log = bench.run(&[row(0), row(0), row(0), row(0), row(0)]);
    let ms = |at: i64| at * MS;
    let expected =
        [(ms(20), vec![0, 1]), (ms(40), vec![2, 3]), (ms(5_040), vec![4])].map(|batch| batch);
    assert_eq!(log.batches(), expected);
}

#[test]
fn p10_windows_follow_each_other_while_nothing_comes() {
    let mut bench = Bench::of(kinesis());
    bench.config().window = Micros(5 * S);
    let log = bench.run(&[row(0), row(13 * S)]);
    // From 0: 5 s; from there: 10, 15 s.
    assert_eq!(starts_of(&log), [5 * S, 15 * S]);
    bench.stream().window_from_first = true;
    assert_eq!(starts_of(&bench.run(&[row(0), row(13 * S)])), [5 * S, 18 * S]);
}

#[test]
fn e2_a_batch_ends_before_the_record_that_would_exceed_six_megabytes() {
    let mut bench = Bench::of(kinesis());
    bench.config().window = Micros(5 * S);
    let large = Row { bytes: 2_000_000, ..row(0) };
    let log = bench.run(&[large, large, large]);
    // 2,667,268 bytes each: two fit. The first batch need not wait.
    assert_eq!(rows_of(&log), [vec![0, 1], vec![2]]);
    assert_eq!(starts_of(&log), [20 * MS, 5_020 * MS]);
}

#[test]
fn e4_2_a_key_meets_the_same_lane_and_lanes_do_not_wait_for_each_other() {
    let mut bench = Bench::of(kinesis());
    bench.keys = vec![0, 1, 2, 3];
    bench.stream().parallelization_factor = 2;
    let rows: Vec<Row> = [(0, 1), (1, 0), (2, 0), (3, 0)]
        .map(|(key, error)| Row { key, ..row(0).failing(error, 1) })
        .to_vec();
    let log = bench.run(&rows);
    assert_eq!(rows_of(&log), [vec![0, 2], vec![1, 3], vec![0, 2]]);
    assert_eq!(starts_of(&log), [20 * MS, 20 * MS, 220 * MS]);
}

#[test]
fn p8_a_lane_may_hold_up_its_shard() {
    let mut bench = Bench::of(kinesis());
    bench.keys = vec![0, 1];
    bench.stream().parallelization_factor = 2;
    bench.stream().block_shard = true;
    let rows = [
        Row { key: 0, ..row(0).failing(1, 1) },
        Row { key: 1, ..row(0) },
        Row { key: 1, ..row(0) },
    ];
    bench.config().batch_size = 1;
    let log = bench.run(&rows);
    // Both start at once, then the first is in back-off until 220 ms.
    let expected =
        [(20 * MS, vec![0]), (220 * MS, vec![0]), (220 * MS, vec![1]), (240 * MS, vec![2])];
    assert_eq!(log.batches(), expected);
}

#[test]
fn e4_11_children_start_eight_seconds_after_their_parents_are_drained() {
    let mut bench = Bench::of(kinesis());
    bench.keys = vec![0, u128::MAX];
    let at = |at: i64, what| Reshard { at: Micros(at), what };
    bench.stream().reshards =
        vec![at(10 * S, Resharding::Split(0)), at(30 * S, Resharding::Merge(1, 2))];
    let rows = [
        Row { key: 0, ..row(0) },
        row(9 * S).lasting(5 * S),
        Row { key: 0, ..row(10 * S) },
        Row { key: 1, ..row(11 * S) },
        Row { key: 1, ..row(29 * S).lasting(4 * S) },
        Row { key: 0, ..row(31 * S) },
    ];
    let log = bench.run(&rows);
    // The parent ends at 14.00: children from 22.00 on. The merged one waits for the slower, 33.00.
    let expected = [
        (20 * MS, vec![0]),
        (9 * S, vec![1]),
        (22_020 * MS, vec![2]),
        (22_020 * MS, vec![3]),
        (29 * S, vec![4]),
        (41_020 * MS, vec![5]),
    ];
    assert_eq!(log.batches(), expected);
}

#[test]
fn e4_10_a_tumbling_window_ends_with_a_final_call() {
    let mut bench = Bench::of(kinesis());
    bench.stream().tumbling_window = Some(Micros(10 * S));
    bench.config().base = Micros(MS);
    let (replay, log) = bench.replay(&[row(0), row(9 * S), row(10 * S), row(12 * S)]);
    // Final calls have no records: one before the batch of 10 s, one at 20 + 120 s.
    assert_eq!(rows_of(&log), [vec![0], vec![1], vec![2], vec![3]]);
    assert_eq!(starts_of(&log), [20 * MS, 9 * S, 10_021 * MS, 12 * S]);
    assert_eq!(replay.totals().counts.invocations, 6);
    assert_eq!(replay.extent().last_release, Some(Micros(140 * S + MS)));
}

#[test]
fn e4_10_batches_never_mix_windows() {
    let mut bench = Bench::of(kinesis());
    bench.stream().tumbling_window = Some(Micros(10 * S));
    bench.config().window = Micros(60 * S);
    let log = bench.run(&[row(9 * S), row(9 * S + 1), row(10 * S)]);
    assert_eq!(rows_of(&log), [vec![0, 1], vec![2]]);
    // Window end, gap for the final call, gap for the batch; that one's window is its own.
    // The record of the next window is read at 10 s; a final call and two gaps, then a window.
    assert_eq!(starts_of(&log), [10 * S, 10 * S + 20 * MS + 60 * S]);
}

#[test]
fn e0_6_2_polls_are_a_grid_and_ends_of_runs_read_too() {
    let log = Bench::of(kinesis()).run(&[
        row(500 * MS),
        row(700 * MS).lasting(900 * MS),
        row(1_600 * MS),
        row(2_500 * MS),
    ]);
    // Open at 0.5: polls at 0.5, 1.5, … The run from 1.5 to 2.4 reads at its end.
    let expected =
        [(520 * MS, vec![0]), (1_500 * MS, vec![1]), (2_420 * MS, vec![2]), (2_500 * MS, vec![3])];
    assert_eq!(log.batches(), expected);
}

#[test]
fn a_shard_that_is_blocked_is_read_ahead_as_far_as_it_may() {
    let mut bench = Bench::of(kinesis());
    bench.stream().lookahead = 10;
    bench.stream().read_records = 10;
    let rows: Vec<Row> = (0..30).map(|_| row(0).failing(1, u32::MAX)).collect();
    bench.account.until = Some(Micros(3_600 * S));
    let (mut replay, log) = bench.replay(&rows);
    assert_eq!(log.kinds(), [OutcomeKind::Pending; 30]);
    let minutes = replay.take_source_minutes(true);
    let polled: u64 = minutes.iter().map(|row| row.counts.polled).sum();
    assert_eq!(polled, 10);
}

#[test]
fn retention_takes_what_is_not_read_and_what_cannot_be_sent() {
    let mut bench = Bench::of(kinesis());
    bench.config().retention = Micros(100 * S);
    bench.stream().lookahead = 2;
    bench.stream().read_records = 2;
    let rows: Vec<Row> = (0..4).map(|place| row(place).failing(1, u32::MAX)).collect();
    let log = bench.run(&rows);
    for (row, outcome) in (0..4).map(|row| (row, log.of(row))) {
        let expired = (OutcomeKind::Expired, Some(Reason::RetentionExpired));
        assert_eq!((outcome.0, outcome.1), expired);
        let at = outcome.3.expect("it is settled");
        assert!((100 * S..101 * S).contains(&at), "row {row} at {at}");
    }
}

#[test]
fn a_mapping_that_is_disabled_keeps_its_place() {
    let mut bench = Bench::of(kinesis());
    let mut epochs = bench.account.epochs.clone();
    epochs.push(Epoch { at: Some(Micros(2 * S)), ..epochs[0] });
    epochs.push(Epoch { at: Some(Micros(9 * S)), ..epochs[0] });
    bench.account.epochs = epochs;
    let config = bench.sources[0][0].1.clone();
    bench.sources[0].push((1, SourceConfig { enabled: false, ..config.clone() }));
    bench.sources[0].push((2, config));
    let log = bench.run(&[row(0).failing(1, 5), row(3 * S), row(10 * S)]);
    // Tries at 0.02, 0.22, 0.62, 1.42, (3.02) → 9.0, 12.2.
    let expected = [20, 220, 620, 1_420, 9_000, 12_200];
    assert_eq!(starts_of(&log)[..6], expected.map(|at| at * MS));
    assert_eq!(log.kinds(), [OutcomeKind::Success; 3]);
}

#[test]
fn a_mapping_that_stays_disabled_loses_its_records_by_retention() {
    let mut bench = Bench::of(kinesis());
    bench.config().enabled = false;
    let log = bench.run(&[row(0), row(S)]);
    let expired = |at| (OutcomeKind::Expired, Some(Reason::RetentionExpired), 0, Some(at));
    assert_eq!(log.of(0), expired(86_400 * S));
    assert_eq!(log.of(1), expired(86_401 * S));
    bench.account.until = Some(Micros(2 * S));
    assert_eq!(bench.run(&[row(0), row(S)]).kinds(), [OutcomeKind::Pending; 2]);
}

#[test]
fn filtered_records_are_never_sent() {
    let (mut replay, log) = Bench::of(kinesis()).replay(&[
        Row { filtered: 1, ..row(0) },
        row(0),
        Row { filtered: 1, ..row(0) },
    ]);
    assert_eq!(rows_of(&log), [vec![1]]);
    assert_eq!(log.of(0), (OutcomeKind::Filtered, None, 0, Some(0)));
    let counts = replay.take_source_minutes(true)[0].counts;
    assert_eq!((counts.polled, counts.filtered, counts.invoked), (3, 2, 1));
}

#[test]
fn a_batch_takes_the_sum_or_the_longest_of_its_records() {
    let mut bench = Bench::of(kinesis());
    bench.config().base = Micros(5 * MS);
    let rows = [row(0).lasting(30 * MS), row(0).lasting(70 * MS)];
    assert_eq!(bench.run(&rows).of(0).3, Some((20 + 105) * MS));
    bench.config().longest = true;
    assert_eq!(bench.run(&rows).of(0).3, Some((20 + 75) * MS));
}

#[test]
fn iterator_age_is_that_of_the_last_record_at_each_start() {
    let mut bench = Bench::of(kinesis());
    let (replay, _) = bench.replay(&[row(0).failing(1, 1), row(300 * MS)]);
    // 20 ms and 220 ms for the first, 720 ms for the second, which is read at 1 s.
    let totals = replay.totals();
    let ages = totals.iterator_ages;
    assert_eq!((ages.histogram.count(), ages.sum, ages.max), (3, 940_000, Micros(700 * MS)));
    bench.stream().age_at_end = true;
    let (replay, _) = bench.replay(&[row(0).lasting(50 * MS)]);
    assert_eq!(replay.totals().iterator_ages.max, Micros(70 * MS));
}

#[test]
fn a_batch_holds_the_records_of_shared_state_of_all_its_records() {
    let mut bench = Bench::of(kinesis());
    bench.stream().shards = 3;
    let on = |shard, state_key, row: Row| Row { shard, state_key, ..row.lasting(S) };
    // Shard 0 holds 5 and 7; shard 1 wants 7; shard 2 wants 9.
    let rows = [on(0, 7, row(0)), on(0, 5, row(0)), on(1, 7, row(0)), on(2, 9, row(0))];
    let log = bench.run(&rows);
    assert_eq!(log.of(0).3, Some(2_020 * MS));
    assert_eq!(log.of(2).3, Some(3_020 * MS));
    assert_eq!(log.of(3).3, Some(1_020 * MS));
    let waited: Vec<_> = log.outcomes.iter().map(|one| (one.row, one.run)).collect();
    let (_, run) = waited.iter().find(|(row, _)| *row == 2).expect("it is there");
    assert_eq!(run.expect("it ran").lock_wait, Micros(2 * S));
}

#[test]
fn two_batches_that_want_each_others_records_take_turns() {
    for discipline in [Discipline::Lock, Discipline::Optimistic] {
        let mut bench = Bench::of(kinesis());
        bench.account.state.discipline = discipline;
        bench.stream().shards = 2;
        let on = |shard, state_key| Row { shard, state_key, ..row(0).lasting(S) };
        let log = bench.run(&[on(0, 1), on(0, 2), on(1, 2), on(1, 1)]);
        assert_eq!(log.kinds(), [OutcomeKind::Success; 4]);
        assert_eq!([log.of(0).3, log.of(2).3], [Some(2_020 * MS), Some(4_020 * MS)]);
    }
}

#[test]
fn a_time_out_fails_the_whole_batch() {
    let mut bench = Bench::of(kinesis());
    bench.function.timeout = Some(Micros(S));
    bench.stream().retries.max_retries = Some(0);
    bench.stream().retries.on_failure = true;
    let (replay, log) = bench.replay(&[row(0).lasting(2 * S), row(0)]);
    assert_eq!(log.kinds(), [OutcomeKind::Discarded; 2]);
    assert!(log.attempts.iter().all(|one| one.reason == Some(Reason::TimedOut)));
    let figures = &replay.source_units()[0].figures;
    assert_eq!((figures.delivered, figures.documents), (2, 1));
    assert_eq!(replay.totals().errors, 1);
}

#[test]
fn z39_what_runs_at_the_end_of_the_replay_is_pending() {
    let mut bench = Bench::of(kinesis());
    bench.account.until = Some(Micros(2 * S));
    let log = bench.run(&[row(0).lasting(5 * S), row(1), row(3 * S)]);
    assert_eq!(log.kinds(), [OutcomeKind::Pending; 3]);
    let runs: Vec<_> = log.attempts.iter().map(|one| (one.row, one.kind)).collect();
    assert_eq!(runs, [(0, AttemptKind::Unfinished)]);
    assert_eq!(log.of(0).2, 1);
}

#[test]
fn enhanced_fan_out_pushes() {
    let mut bench = Bench::of(kinesis());
    bench.stream().poll = None;
    bench.stream().prop_delay = Micros(70 * MS);
    let log = bench.run(&[row(0), row(500 * MS), row(510 * MS)]);
    assert_eq!(starts_of(&log), [70, 570, 590].map(|at| at * MS));
}

#[test]
fn crashes_reset_the_environment() {
    let mut bench = Bench::of(kinesis());
    bench.function.init = Micros(100 * MS);
    let log = bench.run(&[row(0).failing(2, 1)]);
    // Cold 100 ms, crash at 120; the next run initialises within itself: 320 + 100.
    assert_eq!(log.of(0).3, Some(420 * MS));
}

#[test]
fn changing_the_parallelization_factor_drains_the_lanes_first() {
    let mut bench = Bench::of(kinesis());
    bench.keys = vec![0, 1];
    bench.config().batch_size = 1;
    let epochs = &mut bench.account.epochs;
    epochs.push(Epoch { at: Some(Micros(100 * MS)), ..epochs[0] });
    let mut config = bench.sources[0][0].1.clone();
    if let KindConfig::Stream(stream) = &mut config.kind {
        stream.parallelization_factor = 2;
    }
    bench.sources[0].push((1, config));
    let of = |key, at| Row { key, ..row(at).lasting(50 * MS) };
    let log = bench.run(&[of(0, 0), of(1, 0), of(0, 1), of(1, 1), of(0, S), of(1, S)]);
    let starts = starts_of(&log);
    // One after the other until all that was read is done, then side by side.
    assert_eq!(starts[..2], [20 * MS, 90 * MS]);
    assert_eq!(starts[4..], [S, S]);
    assert_eq!(log.kinds(), [OutcomeKind::Success; 6]);
}

fn kafka(partitions: u32, provisioned: Option<(u32, u32)>) -> SourceConfig {
    SourceConfig {
        window: Micros(500 * MS),
        kind: KindConfig::Kafka(KafkaConfig {
            retries: retries(),
            partitions,
            provisioned,
            step_up: 2,
            step_down: 1,
            evaluation: Micros(60 * S),
            effect: Micros(180 * S),
            from: None,
        }),
        ..kinesis()
    }
}

const fn on(shard: u32, row: Row) -> Row {
    Row { shard, ..row }
}

#[test]
fn e6_one_poller_takes_a_batch_of_all_its_partitions() {
    let log = Bench::of(kafka(3, None)).run(&[on(0, row(0)), on(1, row(100 * MS)), on(2, row(S))]);
    // The window starts with the first record.
    assert_eq!(log.batches(), [(500 * MS, vec![0, 1]), (1_500 * MS, vec![2])]);
}

#[test]
fn e6_a_failing_batch_is_tried_again_in_place_until_it_runs() {
    let rows = [on(0, row(0).failing(1, 2)), on(1, row(0)), on(0, row(600 * MS))];
    let (replay, log) = Bench::of(kafka(2, None)).replay(&rows);
    let expected = [
        (500 * MS, vec![0, 1]),
        (700 * MS, vec![0, 1]),
        (1_100 * MS, vec![0, 1]),
        // Its window began when it arrived.
        (1_120 * MS, vec![2]),
    ];
    assert_eq!(log.batches(), expected);
    let units = replay.source_units();
    assert_eq!(units[0].figures.blocked, Micros(600 * MS));
    assert_eq!(units[1].figures.blocked, Micros(600 * MS), "its poller serves both");
}

#[test]
fn e6_the_log_loses_what_is_never_delivered() {
    let mut bench = Bench::of(kafka(1, None));
    bench.config().retention = Micros(100 * S);
    let log = bench.run(&[row(0).failing(1, u32::MAX), row(S)]);
    assert_eq!(log.of(0).0, OutcomeKind::Expired);
    assert_eq!(log.of(0).3, Some(100 * S));
    assert_eq!(log.of(1).0, OutcomeKind::Success);
}

#[test]
fn p24_pollers_double_while_something_waits_and_go_one_by_one() {
    // One record a second and partition, each running for 1.2 s: one poller falls behind.
    let mut rows: Vec<Row> = Vec::new();
    for second in 0..600 {
        for partition in 0..4 {
            rows.push(on(partition, row(second * S).lasting(400 * MS)));
        }
    }
    let mut bench = Bench::of(kafka(4, None));
    bench.config().window = Micros::ZERO;
    bench.config().batch_size = 1;
    let (replay, log) = bench.replay(&rows);
    assert!(log.kinds().iter().all(|kind| *kind == OutcomeKind::Success));
    let most = |from: i64, to: i64| {
        let mut at_once: Vec<(i64, i32)> = Vec::new();
        let ran = log.attempts.iter().filter_map(|one| one.run);
        for run in ran.filter(|run| run.start.0 >= from && run.start.0 < to) {
            at_once.push((run.start.0, 1));
            at_once.push((run.end.expect("it ended").0, -1));
        }
        at_once.sort_unstable();
        let mut level = 0;
        at_once
            .iter()
            .map(|(_, step)| {
                level += step;
                level
            })
            .max()
            .unwrap_or(0)
    };
    // Looks at 60 and 120 s take effect 180 s later.
    assert_eq!([most(0, 240 * S), most(241 * S, 300 * S), most(301 * S, 600 * S)], [1, 2, 4]);
    assert_eq!(replay.totals().max_concurrency, 4);
}

#[test]
fn e6_provisioned_pollers_share_partitions_and_are_paid_for() {
    let mut bench = Bench::of(kafka(8, Some((3, 3))));
    bench.config().window = Micros::ZERO;
    let rows: Vec<Row> = (0..8).map(|shard| on(shard, row(0).lasting(S))).collect();
    let (mut replay, log) = bench.replay(&rows);
    let batches = log.batches();
    let rows: Vec<_> = batches.iter().map(|(_, rows)| rows.clone()).collect();
    assert_eq!(rows, [vec![0, 3, 6], vec![1, 4, 7], vec![2, 5]]);
    let minutes = replay.take_source_minutes(true);
    let paid: u64 = minutes.iter().map(|row| row.counts.units_us).sum();
    assert_eq!(paid, 3_020_000, "one unit to the last release");
}

#[test]
fn what_a_row_cannot_name_is_refused() {
    let mut bench = Bench::of(kinesis());
    bench.stream().shards = 2;
    let mut replay = Replay::new(bench.account.clone(), true);
    replay.add_function("f".to_owned(), vec![(0, function())], None);
    replay.add_source(bench.sources[0].clone());
    let mut refuse = |source: u32, shard: u32| {
        let extras =
            Extras { event_sources: Some(&[source]), shards: Some(&[shard]), ..Extras::default() };
        let batch = Batch {
            timestamps: &[0],
            functions: &[0],
            durations: Spans::Micros(&[0]),
            inits: None,
            memory: None,
            extras: Some(extras),
            codes: None,
            rows: None,
            identities: None,
        };
        replay.feed(&batch, &mut Log::default()).expect_err("it is not there").to_string()
    };
    assert_eq!(refuse(0, 2), "row 0: shard is 2");
    assert_eq!(refuse(1, 0), "row 0: source is 1");
}
