//! Queues through the whole engine: rows in, outcomes out.

use crate::config::{Epoch, Fault};
use crate::outcome::{AttemptKind, OutcomeKind, Reason};
use crate::sources::config::{QueueConfig, SourceConfig};
use crate::sources::queue::tests::{MS, S, with};
use crate::sources::tests::{Bench, Row, account, row};
use crate::time::Micros;

const SUCCESS: OutcomeKind = OutcomeKind::Success;

/// A mapping with the latencies that were measured.
fn usual(change: impl FnOnce(&mut SourceConfig, &mut QueueConfig)) -> Bench {
    Bench::of(with(|config, kind| {
        kind.poll_latency = Micros(12 * MS);
        kind.invoke_latency = Micros(30 * MS);
        kind.backoff = true;
        change(config, kind);
    }))
}

#[test]
fn a_message_reaches_the_handler_after_42_ms_and_its_init() {
    let mut bench = usual(|_, _| ());
    bench.function.init = Micros(200 * MS);
    let (replay, log) = bench.replay(&[row(0).lasting(S), row(5 * S).lasting(S)]);
    let runs: Vec<_> = log.outcomes.iter().map(|outcome| outcome.run.expect("it ran")).collect();
    assert_eq!(runs[0].start, Micros(42 * MS));
    assert_eq!((runs[0].cold, runs[0].init), (true, Micros(200 * MS)));
    assert_eq!(log.of(0), (SUCCESS, None, 1, Some(1_242 * MS)));
    assert_eq!((runs[1].cold, runs[1].environment), (false, runs[0].environment));
    assert_eq!(log.of(1), (SUCCESS, None, 1, Some(6_042 * MS)));
    assert_eq!(replay.totals().counts.invocations, 2);
    let units = replay.source_units();
    assert_eq!((units.len(), units[0].figures.receives), (1, 2));
}

#[test]
fn e5_3_a_throttled_queue_shares_the_limit_with_others() {
    // Another source's run holds the only unit for 10.008 s.
    let mut bench = usual(|_, kind| {
        kind.visibility_timeout = Micros(120 * S);
        kind.poll_latency = Micros(0);
        kind.invoke_latency = Micros(0);
        kind.function_timeout = Some(Micros(60 * S));
    });
    bench.function.timeout = Some(Micros(60 * S));
    bench.function.reserved = Some(1);
    let config = bench.sources[0][0].1.clone();
    bench.sources.push(vec![(0, config)]);
    let first = row(0).lasting(10_008 * MS);
    let log = bench.run(&[first, Row { source: 1, ..row(1) }]);
    assert_eq!(log.of(1), (SUCCESS, None, 3, Some(10_800 * MS + 1)));
    let tries: Vec<_> =
        log.attempts.iter().filter(|one| one.row == 1).map(|one| (one.at.0, one.kind)).collect();
    let throttled = AttemptKind::Throttled;
    assert_eq!(
        tries,
        [(1, throttled), (3_600 * MS + 1, throttled), (10_800 * MS + 1, AttemptKind::Success),]
    );
    let outcome = log.outcomes.iter().find(|outcome| outcome.row == 1).expect("an outcome");
    assert_eq!((outcome.throttles, outcome.errors, outcome.limit), (2, 0, None));
}

#[test]
fn reserved_concurrency_of_zero_leads_to_the_dead_letter_queue_without_one_run() {
    let mut bench = usual(|_, kind| kind.max_receive_count = Some(2));
    bench.function.reserved = Some(0);
    let (replay, log) = bench.replay(&[row(0).lasting(S)]);
    let (kind, reason, attempts, settled) = log.of(0);
    assert_eq!((kind, reason), (OutcomeKind::Discarded, Some(Reason::MaxReceiveCountExceeded)));
    // Tries within each lease of 30 s, the second from 30.024 s on.
    assert_eq!((attempts, settled), (8, Some(60_036 * MS)));
    assert!(log.outcomes[0].run.is_none());
    let figures = &replay.source_units()[0].figures;
    assert_eq!((figures.never_ran, figures.delivered, figures.receives), (1, 1, 2));
    assert_eq!(replay.totals().counts.throttles, 8);
}

#[test]
fn errors_time_outs_and_items_come_back_by_themselves() {
    let mut bench = usual(|config, kind| {
        config.report = true;
        config.longest = false;
        kind.function_timeout = Some(Micros(10 * S));
    });
    bench.function.timeout = Some(Micros(10 * S));
    let log = bench.run(&[
        row(0).lasting(4 * S),
        row(0).lasting(4 * S).failing(3, 1),
        // 12 s in all: it takes the batch with it, once and again.
        row(0).lasting(4 * S),
        row(70 * S).lasting(S).failing(2, 1),
    ]);
    let batches: Vec<_> = log.batches().into_iter().map(|(_, rows)| rows).collect();
    assert_eq!(batches[0], [0, 1, 2]);
    let first: Vec<_> = log.attempts.iter().take(3).map(|one| (one.kind, one.reason)).collect();
    assert_eq!(first, [(AttemptKind::Error, Some(Reason::TimedOut)); 3]);
    assert_eq!(log.kinds()[3], SUCCESS);
    // Whole batches that fail come back as a whole, and so until they leave.
    assert_eq!(log.of(0).0, OutcomeKind::Expired);
}

#[test]
fn z39_until_leaves_what_waits_and_what_runs() {
    let mut bench = usual(|config, kind| {
        config.batch_size = 1;
        kind.maximum_concurrency = Some(2);
    });
    bench.account.until = Some(Micros(10 * S));
    let rows: Vec<_> = (0..5).map(|_| row(0).lasting(6 * S)).chain([row(20 * S)]).collect();
    let log = bench.run(&rows);
    let pending = OutcomeKind::Pending;
    assert_eq!(log.kinds(), [SUCCESS, SUCCESS, pending, pending, pending, pending]);
    let running = log.outcomes.iter().find(|outcome| outcome.row == 2).expect("an outcome");
    let run = running.run.expect("it runs");
    assert_eq!((run.start, run.end, running.attempts), (Micros(6_072 * MS), None, 1));
    let waiting = log.outcomes.iter().find(|outcome| outcome.row == 4).expect("an outcome");
    assert_eq!((waiting.run, waiting.attempts, waiting.settled), (None, 0, None));
}

#[test]
fn changes_and_faults_reach_queues() {
    let mut bench = usual(|_, _| ());
    let on = bench.sources[0][0].1.clone();
    let off = SourceConfig { enabled: false, ..on.clone() };
    bench.sources[0] = vec![(0, on.clone()), (1, off), (2, on)];
    let first = account().epochs[0];
    for at in [10 * S, 100 * S] {
        bench.account.epochs.push(Epoch { at: Some(Micros(at)), ..first });
    }
    bench.account.faults = vec![Fault {
        from: Micros(99 * S),
        to: Micros(101 * S),
        slow: Some(3.0),
        init: None,
        error: None,
        throttle: false,
    }];
    bench.function.faults = vec![0];
    let log = bench.run(&[row(0).lasting(S), row(20 * S).lasting(S)]);
    assert_eq!(log.of(0), (SUCCESS, None, 1, Some(1_042 * MS)));
    assert_eq!(log.of(1), (SUCCESS, None, 1, Some(103_030 * MS)));
}

#[test]
fn fifo_groups_take_turns_through_the_engine() {
    let mut bench = usual(|config, kind| {
        config.batch_size = 2;
        kind.fifo = true;
        kind.poll_latency = Micros(0);
        kind.invoke_latency = Micros(0);
    });
    bench.keys = vec![1, 2];
    let rows: Vec<_> = (0..6)
        .map(|place| (place % 2, 100 * MS + i64::from(place % 2)))
        .map(|(key, duration)| Row { key, ..row(0).lasting(duration) })
        .collect();
    let (replay, log) = bench.replay(&rows);
    let batches: Vec<_> = log.batches();
    assert_eq!(
        batches,
        [(0, vec![0, 2]), (0, vec![1, 3]), (100 * MS, vec![4]), (100 * MS + 1, vec![5]),]
    );
    assert!(log.kinds().iter().all(|kind| *kind == SUCCESS));
    let groups: Vec<_> = replay
        .source_units()
        .iter()
        .map(|unit| (unit.figures.group, unit.figures.outcomes[SUCCESS as usize]))
        .collect();
    assert_eq!(groups, [(u32::MAX, 0), (0, 3), (1, 3)]);
}

#[test]
fn a_queue_that_waits_keeps_no_replay_going_once_its_messages_are_gone() {
    let bench = usual(|_, _| ());
    let (replay, _) = bench.replay(&[row(0).lasting(S)]);
    assert_eq!(replay.extent().last_release, Some(Micros(1_042 * MS)));
}
