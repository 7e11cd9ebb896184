//! Drawn schedules: the machine against the slow queue, and the invariants of E11.

use proptest::prelude::*;

use super::*;
use crate::sources::queue::slow::{Sent, Slow};
use crate::sources::queue::tests::{MS, Row, S, Try, World, with};
use crate::sources::record::{Failure, Rare, Record};

fn sent() -> impl Strategy<Value = Sent> {
    let at = prop_oneof![3 => 0..40_i64, 1 => 0..400_i64, 1 => Just(1_500_i64)];
    let duration = prop_oneof![Just(0), Just(S), Just(2 * S + 1), Just(7 * S), Just(13 * S)];
    let failure = prop_oneof![
        8 => Just(None),
        1 => Just(Some(Failure::Handled)),
        1 => Just(Some(Failure::Item)),
    ];
    let runs = prop_oneof![Just(1_u32), Just(2), Just(u32::MAX)];
    (at, duration, 0..4_u32, prop::bool::weighted(0.1), failure, runs).prop_map(
        |(at, duration, key, filtered, failure, error_runs)| Sent {
            at: at * 500 * MS,
            duration,
            key,
            filtered,
            failure,
            error_runs,
        },
    )
}

fn config() -> impl Strategy<Value = SourceConfig> {
    let mapping = (1..5_u32, any::<bool>(), any::<bool>(), 0..3_i64);
    let slots = (
        prop_oneof![Just(None), Just(Some(2_u32)), Just(Some(3))],
        prop_oneof![Just(1_u32), Just(2), Just(5)],
        prop_oneof![Just(300_u32), Just(7)],
    );
    let queue = (
        prop_oneof![Just(5_i64), Just(8), Just(30)],
        prop_oneof![Just(None), Just(Some(1_u32)), Just(Some(2)), Just(Some(4))],
        prop_oneof![Just(20_i64), Just(120)],
        prop_oneof![Just(None), Just(Some(3_600_i64)), Just(Some(500))],
        prop_oneof![Just(None), Just(Some(2_i64))],
    );
    let latencies = (prop_oneof![Just(0), Just(12_i64)], prop_oneof![Just(0), Just(30_i64)]);
    (mapping, slots, queue, latencies).prop_map(|(mapping, slots, queue, latencies)| {
        with(|config, kind| {
            let (batch_size, report, fifo, window) = mapping;
            (config.batch_size, config.report, kind.fifo) = (batch_size, report, fifo);
            config.window = Micros(if fifo { 0 } else { window * 2 * S });
            (kind.maximum_concurrency, kind.ramp_start, kind.ramp_per_minute) = slots;
            let (visibility, receives, retention, retry, timeout) = queue;
            kind.visibility_timeout = Micros(visibility * S);
            kind.max_receive_count = receives;
            config.retention = Micros(retention * S);
            kind.throttle_retry = retry.map(|retry| Micros(retry * MS));
            kind.function_timeout = timeout.map(|timeout| Micros(timeout * S));
            kind.poll_latency = Micros(latencies.0 * MS);
            kind.invoke_latency = Micros(latencies.1 * MS);
        })
    })
}

fn limits() -> impl Strategy<Value = Vec<(i64, usize)>> {
    (prop_oneof![Just(usize::MAX), 0..4_usize], 0..20_i64, 1..4_usize).prop_map(
        |(first, at, second)| vec![(0, first), (at * S, second.max(first)), (60 * S, usize::MAX)],
    )
}

fn machine(config: &SourceConfig, sent: &[Sent], limits: &[(i64, usize)]) -> World {
    let mut world = World::new(config.clone());
    world.limits = limits.to_vec();
    for (row, one) in (0..).zip(sent) {
        let mut record = Record::new(row, Micros(one.at), Micros(one.duration))
            .failing(one.failure)
            .filtered(one.filtered);
        record.key = one.key;
        if one.failure.is_some() && one.error_runs != u32::MAX {
            let rare = Rare { error_runs: one.error_runs, ..world.hub.rares.usual(0, row) };
            record.rare = world.hub.rares.keep(rare);
        }
        world.push(one.at, record);
    }
    world.run();
    world
}

proptest! {
    #[test]
    fn the_machine_does_what_the_slow_queue_does(
        config in config(),
        mut sent in prop::collection::vec(sent(), 1..25),
        limits in limits(),
    ) {
        sent.sort_by_key(|one| one.at);
        let world = machine(&config, &sent, &limits);
        let (tries, rows) = Slow::new(&config, &sent, &limits).run();
        prop_assert_eq!(&world.tries, &tries);
        for (row, slow) in (0..).zip(&rows) {
            let fast = &world.rows[&row];
            prop_assert_eq!((fast.kind, fast.at), (slow.kind, slow.at), "row {}", row);
            let counts = |progress: &Progress| {
                (progress.attempts, progress.throttles, progress.runs, progress.errors)
            };
            prop_assert_eq!(counts(&fast.progress), counts(&slow.progress), "row {}", row);
        }
    }

    #[test]
    fn e11_invariants(
        config in config(),
        mut sent in prop::collection::vec(sent(), 1..40),
        limits in limits(),
        random in any::<bool>(),
        backoff in any::<bool>(),
    ) {
        sent.sort_by_key(|one| one.at);
        let config = {
            let KindConfig::Queue(mut kind) = config.kind.clone() else { unreachable!() };
            kind.receive_random = random && !kind.fifo;
            kind.backoff = backoff;
            SourceConfig { kind: KindConfig::Queue(kind), ..config }
        };
        let KindConfig::Queue(kind) = config.kind.clone() else { unreachable!() };
        let mut world = machine(&config, &sent, &limits);
        // 1: each message has one end, none is left.
        prop_assert_eq!(world.rows.len(), sent.len());
        let lease = lease_of(&config, &kind).0;
        let mut deleted = 0;
        for (row, message) in (0..).zip(&sent) {
            let Row { kind: outcome, progress, .. } = &world.rows[&row];
            deleted += u64::from(matches!(outcome, OutcomeKind::Success | OutcomeKind::Filtered));
            // 2, 10: nothing is received more often than it may be, nor within its lease.
            let tried: Vec<&Try> =
                world.tries.iter().filter(|one| one.rows.contains(&row)).collect();
            prop_assert_eq!(tried.len(), progress.attempts as usize);
            if message.filtered {
                prop_assert!(tried.is_empty());
            }
            if *outcome == OutcomeKind::Success {
                prop_assert!(tried.iter().any(|one| one.runs), "deleted after a run");
            }
            if let Some(most) = kind.max_receive_count {
                let first_tries = leases_of(&tried, lease);
                prop_assert!(first_tries <= most as usize, "{} leases of {}", first_tries, most);
            }
        }
        // 14: what is deleted has been counted; each receive is polled.
        let figures = &world.hub.figures;
        let receives: u64 = figures.iter().map(|unit| unit.receives).sum();
        let minutes = world.hub.minutes.take();
        let sum = |of: fn(&crate::sources::figures::SourceMinute) -> u64| {
            minutes.iter().map(|row| of(&row.counts)).sum::<u64>()
        };
        prop_assert_eq!(sum(|counts| counts.polled), receives);
        prop_assert_eq!(sum(|counts| counts.deleted), deleted);
        let invoked: usize = world.tries.iter().map(|one| one.rows.len()).sum();
        prop_assert_eq!(sum(|counts| counts.invoked), invoked as u64);
        // 4, 11: concurrency of the mapping.
        let cap = kind.maximum_concurrency.unwrap_or(kind.most_batches);
        prop_assert!(world.most_busy <= cap);
        let start = kind.ramp_start.min(cap);
        if world.tries.len() > 1 {
            let span = world.tries.last().map_or(0, |last| last.at) - sent[0].at;
            let most = i64::from(start) + span * i64::from(kind.ramp_per_minute) / (60 * S);
            prop_assert!(i64::try_from(world.most_running)? <= most.max(2), "{} of {}", world.most_running, most);
        }
        // 4: two batches of one group never run at once, unless a run outlasts its lease.
        if kind.fifo {
            for (place, one) in world.tries.iter().enumerate().filter(|(_, one)| one.runs) {
                for other in world.tries[place + 1..].iter().filter(|other| other.runs) {
                    let overlap = other.at < one.end && other.at < one.at + lease - 40 * MS;
                    let key = |row: &u64| sent[usize::try_from(*row).unwrap()].key;
                    let shared = one.rows.iter().any(|row| {
                        other.rows.iter().any(|other| key(row) == key(other))
                    });
                    let late = one.at + lease > 1 << 60;
                    prop_assert!(!(overlap && shared) || late || retried(&world, one), "{one:?} {other:?}");
                }
            }
            // 3: messages of a group are sent in order the first time.
            for key in 0..4 {
                let mut first: Vec<u64> = Vec::new();
                for row in world.tries.iter().flat_map(|one| &one.rows) {
                    let own = sent[usize::try_from(*row).unwrap()].key == key;
                    if own && !first.contains(row) {
                        first.push(*row);
                    }
                }
                prop_assert!(first.is_sorted(), "{:?}", first);
            }
        }
    }
}

/// Whether the run of a try had been refused before: its lease began earlier.
fn retried(world: &World, one: &Try) -> bool {
    world.tries.iter().any(|other| !other.runs && other.rows == one.rows && other.at < one.at)
}

/// Receives of a message, at least: tries further apart than a lease belong to different ones.
fn leases_of(tried: &[&Try], lease: i64) -> usize {
    let (mut count, mut from) = (0, i64::MIN / 2);
    for one in tried {
        if one.at >= from + lease {
            count += 1;
            from = one.at;
        }
    }
    count
}
