//! Whatever bytes come: no panic, no endless loop, and sums that agree.
//!
//! Inputs are real shapes with bytes changed, cut, doubled and spliced, since bytes alone rarely get past
//! the first word. `LAMBDA_REPLAY_FUZZ=N` tries N inputs instead of a few.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use lambda_replay_ingest::documents::{self, Plan};
use lambda_replay_ingest::logs::join::{Joiner, Options};
use lambda_replay_ingest::logs::runs::Runs;
use lambda_replay_ingest::logs::{lines, platform, read, text};
use lambda_replay_ingest::{ReadError, time};

const SEEDS: &[&str] = &[
    "2026-03-01T10:00:00.000Z INIT_START Runtime Version: python:3.13.v1\tRuntime Version ARN: a\n2026-03-01T10:00:00.250Z START RequestId: 00000000-0000-4000-8000-000000000001 Version: $LATEST\n2026-03-01T10:00:00.270Z END RequestId: 00000000-0000-4000-8000-000000000001\n2026-03-01T10:00:00.270Z REPORT RequestId: 00000000-0000-4000-8000-000000000001\tDuration: 19.52 ms\tBilled Duration: 270 ms\tMemory Size: 128 MB\tMax Memory Used: 40 MB\tInit Duration: 249.81 ms\t\nXRAY TraceId: 1-a-b\tSegmentId: c\tSampled: true\n",
    "REPORT RequestId: 814ba7cb-071e-4181-9a09-fa41db5bccad\\tDuration: 1711.87 ms\\tBilled Duration: 1800 ms\\tMemory Size: 128 MB\\tMax Memory Used: 98 MB\\tRestore Duration: 474.16 ms\\tStatus: error\\tError Type: Runtime.OutOfMemory\\n",
    "2026/03/01/[$LATEST]0123456789abcdef0123456789abcdef 2026-03-01T10:00:00.250000 INIT_REPORT Init Duration: 10000.09 ms\tPhase: init\tStatus: timeout\n2026/03/01/orders[7]0123456789abcdef0123456789abcdef 2026-03-01T10:00:00.250000+02:00 2026-03-01T10:00:00Z abc Task timed out after 3.00 seconds\n",
    "{\"time\":\"2022-10-21T14:05:05.766Z\",\"type\":\"platform.report\",\"record\":{\"requestId\":\"459921b5\",\"metrics\":{\"durationMs\":2599.4,\"billedDurationMs\":2600,\"memorySizeMB\":128,\"maxMemoryUsedMB\":94,\"initDurationMs\":549.04},\"tracing\":{\"value\":\"Root=1-6352a70e;Parent=3\"},\"status\":\"success\"}}\n{\"type\":\"platform.initStart\",\"record\":{\"phase\":\"init\"}}\n",
    "{\"messageType\":\"DATA_MESSAGE\",\"owner\":\"1\",\"logGroup\":\"/aws/lambda/f\",\"logStream\":\"s\",\"logEvents\":[{\"id\":\"1\",\"timestamp\":1591284559101,\"message\":\"REPORT RequestId: a\\tDuration: 1 ms\\n\"},{\"timestamp\":\"1591284559101\",\"message\":{\"type\":\"platform.start\",\"record\":{\"requestId\":\"a\"}}}]}{\"messageType\":\"CONTROL_MESSAGE\"}",
    "{\n \"events\": [{\"logStreamName\":\"s\",\"timestamp\":1772359200270,\"message\":\"START RequestId: a\"}],\n \"results\":[[{\"field\":\"@timestamp\",\"value\":\"2026-03-01 10:00:00.270\"},{\"field\":\"@requestId\",\"value\":\"a\"},{\"field\":\"@duration\",\"value\":\"1E3\"},{\"field\":\"@memorySize\",\"value\":\"1.28E8\"}]],\"status\":\"Running\"}",
    "{\"records\":[{\"data\":\"eyJsb2dFdmVudHMiOltdfQ==\"},{\"data\":\"H4sIAAAAAAAAA6uuBQBDv6ajAgAAAA==\"}],\"Records\":[{\"kinesis\":{\"data\":\"bm9uZQ==\"}}],\"awslogs\":{\"data\":\"e30=\"}}",
    "@timestamp,@message,@log\n2026-03-01 10:00:00.270,\"REPORT RequestId: a\tDuration: 1 ms\n\",1:/aws/lambda/f\n2026-03-01 10:00:00,\"x\"\"y\",\n",
    "[{\"a\":[{\"key\":\"b.c\",\"value\":{\"intValue\":\"7\"}}],\"Segments\":[{\"Document\":\"{\\\"id\\\":1}\"}]},[],{},null]",
];

/// Splitmix64: the same inputs everywhere.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or(0)
    }

    /// Bytes that mean something to a parser.
    fn telling(&mut self) -> u8 {
        const TELLING: &[u8] = b"\t\n\r\0 \\\"{}[]:,.0123456789eE-+TZRSXI\xff\xc3@/!";
        TELLING[self.below(TELLING.len())]
    }
}

fn mutated(draws: &mut Draws) -> Vec<u8> {
    let mut bytes = SEEDS[draws.below(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..draws.below(8) {
        let at = draws.below(bytes.len() + 1);
        match draws.below(8) {
            0 => bytes.truncate(at),
            1 => {
                let byte = draws.telling();
                bytes.insert(at, byte);
            }
            2 if at < bytes.len() => bytes[at] = draws.telling(),
            3 if at < bytes.len() => bytes[at] = u8::try_from(draws.next() & 0xff).unwrap_or(0),
            4 if at < bytes.len() => {
                bytes.remove(at);
            }
            5 => {
                let other = SEEDS[draws.below(SEEDS.len())].as_bytes();
                let from = draws.below(other.len());
                let to = from + draws.below(other.len() - from);
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            6 => {
                let end = at + draws.below(bytes.len() - at + 1);
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            7 => {
                let byte = draws.telling();
                let count = draws.below(300);
                bytes.splice(at..at, std::iter::repeat_n(byte, count));
            }
            _ => {}
        }
    }
    if draws.below(8) == 0 {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes).expect("memory");
        bytes = encoder.finish().expect("memory");
        if draws.below(2) == 0 {
            let at = draws.below(bytes.len());
            bytes[at] ^= 1 << draws.below(8);
            bytes.truncate(bytes.len() - draws.below(4));
        }
    }
    bytes
}

fn check(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        let message = lines::prefix(line);
        let _ = text::parse(message.text);
        let _ = time::iso(line);
        if let Ok(Some(envelope)) = platform::parse(line) {
            let _ = envelope.said();
        }
    }
    let (mut rows, mut bad) = (0, 0);
    let mut sink = |runs: Runs| -> Result<(), ReadError> {
        let count = runs.len();
        rows += count as u64;
        bad += runs.bad.len() as u64;
        assert_eq!(
            [runs.function.len(), runs.request_id.ends.len(), runs.trace_id.ends.len()],
            [count; 3]
        );
        assert!(runs.duration.iter().all(|duration| *duration >= 0));
        assert!(runs.attempt.iter().all(|attempt| *attempt >= 1));
        Ok(())
    };
    let options = Options { function: Some("f".to_owned()), batch: 3, ..Options::default() };
    let mut joiner = Joiner::new(options, &mut sink);
    let done = read(bytes, "x", &mut joiner);
    let tally = joiner.finish().expect("a sink that takes everything");
    assert_eq!(tally.runs + tally.copies, tally.reports);
    assert_eq!(tally.faults.values().sum::<u64>(), bad);
    assert_eq!(tally.runs, rows);
    assert!(!matches!(done, Err(ReadError::NoFunction { .. } | ReadError::Stopped)));
    for path in ["", "[]", "Segments[].Document!", "events[]", "records[].x[]"] {
        let columns = [format!("{path}.a@b|c"), "message#".to_owned(), format!("{path}.id!.x")];
        let _ = documents::read(bytes, &Plan::new(path, &columns), 2, &mut |table| {
            assert!(table.columns.iter().all(|column| column.len() == table.len()));
            Ok(())
        });
    }
}

#[test]
fn nothing_panics() {
    let count = std::env::var("LAMBDA_REPLAY_FUZZ").ok().and_then(|count| count.parse().ok());
    let mut draws = Draws(20_260_301);
    for seed in SEEDS {
        check(seed.as_bytes());
        (0..seed.len()).for_each(|end| check(&seed.as_bytes()[..end]));
    }
    for _ in 0..count.unwrap_or(4_000_u64) {
        let bytes = mutated(&mut draws);
        let before = std::time::Instant::now();
        check(&bytes);
        let took = before.elapsed();
        assert!(took.as_secs() < 5, "{took:?} for {} bytes", bytes.len());
    }
}
