//! Invariants of event sources (E11) on whatever is drawn.

#![allow(clippy::cast_possible_truncation)] // Rows are few.

use std::collections::HashMap;

use proptest::prelude::*;

use crate::outcome::{AttemptKind, OutcomeKind, Run};
use crate::sources::config::{KindConfig, Reshard, Resharding, SourceConfig};
use crate::sources::tests::{Bench, Log, MS, Row, S, kinesis, row};
use crate::time::Micros;

/// Keys whose hashes are spread over the shards.
const KEYS: u32 = 7;

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let one = (
        prop_oneof![4 => 0..3 * S, 1 => 0..40 * S],
        prop_oneof![Just(0), 0..400 * MS],
        prop_oneof![6 => Just(0_u8), 1 => Just(1), 1 => Just(2), 2 => Just(3)],
        prop_oneof![Just(u32::MAX), 1..4_u32],
        0..KEYS,
        prop_oneof![6 => 0..2_000_u64, 1 => Just(5 << 20)],
        prop_oneof![5 => Just(0_u8), 1 => Just(1)],
        prop_oneof![4 => Just(u32::MAX), 1 => 0..3_u32],
    );
    prop::collection::vec(one, 1..40).prop_map(|drawn| {
        let row_of = |(at, duration, error, error_runs, key, bytes, filtered, state_key)| Row {
            at,
            duration,
            error,
            error_runs,
            key,
            bytes,
            filtered,
            state_key,
            ..row(0)
        };
        let mut rows: Vec<Row> = drawn.into_iter().map(row_of).collect();
        rows.sort_by_key(|row| row.at);
        rows
    })
}

fn benches() -> impl Strategy<Value = Bench> {
    let shape = (
        1..5_u32,
        prop_oneof![2 => Just(1_u32), 1 => 2..5_u32],
        1..6_u32,
        prop_oneof![Just(0), Just(S), Just(5 * S)],
        any::<bool>(),
        any::<bool>(),
        prop_oneof![Just(None), (0..4_u32).prop_map(Some)],
        prop_oneof![Just(None), Just(Some(60 * S))],
    );
    let more = (
        prop_oneof![3 => Just(None), 1 => Just(Some(10 * S))],
        prop_oneof![2 => Just(Some(S)), 1 => Just(None)],
        prop_oneof![3 => Just(86_400 * S), 1 => Just(30 * S)],
        prop_oneof![3 => Just(None), 1 => (1..30_i64).prop_map(|at| Some(at * S))],
        prop_oneof![3 => Just(1_000_u32), 1 => 1..3_u32],
        prop_oneof![3 => Just(None), 1 => (1..50_i64).prop_map(|at| Some(at * S))],
        prop_oneof![3 => Just(10_000_u64), 1 => 1..6_u64],
        any::<bool>(),
    );
    (shape, more).prop_map(|(shape, more)| {
        let (shards, factor, size, window, report, bisect, max_retries, max_age) = shape;
        let (tumbling, poll, retention, split, concurrency, until, lookahead, block) = more;
        let mut bench = Bench::of(SourceConfig {
            batch_size: size,
            window: Micros(window),
            report,
            retention: Micros(retention),
            ..kinesis()
        });
        let stream = bench.stream();
        stream.shards = shards;
        stream.parallelization_factor = if tumbling.is_some() { 1 } else { factor };
        stream.retries.bisect = bisect;
        stream.retries.max_retries = max_retries;
        stream.retries.max_age = max_age.map(Micros);
        stream.tumbling_window = tumbling.map(Micros);
        stream.poll = poll.map(Micros);
        stream.prop_delay = Micros(if poll.is_some() { 0 } else { 70 * MS });
        stream.lookahead = lookahead;
        stream.block_shard = block;
        stream.reshards = split
            .map(|at| Reshard { at: Micros(at), what: Resharding::Split(0) })
            .into_iter()
            .collect();
        bench.account.epochs[0].concurrency = concurrency;
        bench.account.until = until.map(Micros);
        bench.keys = (0..u128::from(KEYS)).map(|key| key * (u128::MAX / 7) + key).collect();
        bench
    })
}

/// What ran and what was refused, batch by batch, in the order of their starts.
fn batches(log: &Log) -> Vec<(i64, Option<Run>, Vec<u64>)> {
    let mut batches: HashMap<u64, (i64, Option<Run>, Vec<u64>)> = HashMap::new();
    for attempt in &log.attempts {
        let Some(number) = attempt.run.map(|run| run.invocation).or(attempt.batch) else {
            continue;
        };
        let batch = batches.entry(number).or_insert((attempt.at.0, attempt.run, Vec::new()));
        batch.2.push(attempt.row);
    }
    let mut numbers: Vec<_> = batches.into_iter().collect();
    numbers.sort_unstable_by_key(|(number, _)| *number);
    numbers.into_iter().map(|(_, batch)| batch).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn e11_what_holds_whatever_is_drawn(mut bench in benches(), mut rows in rows()) {
        let config = bench.config().clone();
        let KindConfig::Stream(stream) = config.kind.clone() else { unreachable!("a stream") };
        if stream.tumbling_window.is_some() {
            for row in &mut rows {
                row.filtered = 0;
            }
        }
        let log = bench.run(&rows);
        let end = |row: u64| log.of(row);

        // 2, 6, 7: what was tried, how often, and how old it was.
        for (place, row) in (0_u64..).zip(&rows) {
            let tries = log.attempts.iter().filter(|attempt| attempt.row == place);
            let (kind, _, attempts, settled) = end(place);
            prop_assert_eq!(tries.clone().count(), attempts as usize);
            if row.filtered == 1 {
                prop_assert!(attempts == 0);
            }
            let last = tries.clone().next_back();
            if kind == OutcomeKind::Success {
                prop_assert_eq!(last.map(|attempt| attempt.kind), Some(AttemptKind::Success));
            }
            for attempt in tries {
                let age = attempt.at.0 - row.at;
                prop_assert!(age >= 0 && age < config.retention.0);
                prop_assert!(stream.retries.max_age.is_none_or(|limit| age < limit.0));
                let open = settled.is_none_or(|settled| attempt.at.0 <= settled);
                prop_assert!(open, "nothing is sent after its end");
            }
        }

        // 4, 8: size, one shard, one window; never more lanes than there are.
        let batches = batches(&log);
        let window = |row: u64| {
            let at = rows[row as usize].at;
            stream.tumbling_window.map(|window| at.div_euclid(window.0))
        };
        for (_, run, members) in &batches {
            prop_assert!(members.len() <= config.batch_size as usize);
            prop_assert!(members.is_sorted(), "in the order of the shard");
            prop_assert!(members.iter().all(|member| window(*member) == window(members[0])));
            let bytes: u64 = members.iter().map(|member| rows[*member as usize].bytes).sum();
            prop_assert!(run.is_none() || bytes < 6 << 20);
        }
        let mut key_free_at = [i64::MIN; KEYS as usize];
        for (at, run, members) in &batches {
            for member in members {
                let free_at = &mut key_free_at[rows[*member as usize].key as usize];
                prop_assert!(*at >= *free_at, "a key is in one batch at a time");
            }
            if let Some(run) = run {
                let end = run.end.map_or(i64::MAX, |end| end.0);
                for member in members {
                    key_free_at[rows[*member as usize].key as usize] = end;
                }
            }
        }

        // 3: first sends of a key are in the order of the trace.
        let mut first_sent: HashMap<u64, usize> = HashMap::new();
        for (place, (_, _, members)) in batches.iter().enumerate() {
            for member in members {
                first_sent.entry(*member).or_insert(place);
            }
        }
        for key in 0..KEYS {
            let sent: Vec<usize> = (0_u64..)
                .zip(&rows)
                .filter(|(_, row)| row.key == key)
                .filter_map(|(place, _)| first_sent.get(&place).copied())
                .collect();
            prop_assert!(sent.is_sorted());
        }

        // 1, 14: figures add up.
        let (mut replay, again) = bench.replay(&rows);
        prop_assert_eq!(&again.outcomes, &log.outcomes);
        let units = replay.source_units();
        let counted: u64 = units.iter().flat_map(|unit| unit.figures.outcomes).sum();
        prop_assert_eq!(counted, rows.len() as u64);
        prop_assert!(units.iter().all(|unit| unit.level.waiting == 0));
        let minutes = replay.take_source_minutes(true);
        let sum = |value: fn(&crate::sources::figures::SourceMinute) -> u64| -> u64 {
            minutes.iter().map(|minute| value(&minute.counts)).sum()
        };
        prop_assert_eq!(sum(|counts| counts.invoked), log.attempts.len() as u64);
        let filtered = log.kinds().iter().filter(|kind| **kind == OutcomeKind::Filtered).count();
        prop_assert_eq!(sum(|counts| counts.filtered), filtered as u64);
        let discarded = log.kinds().iter().filter(|kind| **kind == OutcomeKind::Discarded).count();
        prop_assert_eq!(sum(|counts| counts.dropped), discarded as u64);

        // 15: any cut of the trace gives the same.
        let whole = bench.run_whole(&rows);
        prop_assert_eq!(&whole.outcomes, &log.outcomes);
        prop_assert_eq!(&whole.attempts, &log.attempts);
    }
}
