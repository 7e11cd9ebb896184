//! REPORT lines of an export task, as they come and packed, into columns.

use std::fmt::Write as _;
use std::io::Write as _;

use divan::counter::ItemsCount;
use flate2::Compression;
use flate2::write::GzEncoder;
use lambda_replay_ingest::ReadError;
use lambda_replay_ingest::logs::join::{Joiner, Options};
use lambda_replay_ingest::logs::runs::Runs;

const LINES: u64 = 500_000;

fn main() {
    divan::main();
}

/// An LCG, for ids and durations that do not repeat.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 16
}

fn instant(millis: u64) -> String {
    let (seconds, millis) = (millis / 1_000, millis % 1_000);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!(
        "2026-03-{:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z",
        1 + seconds / 86_400 % 28
    )
}

fn id(state: &mut u64) -> String {
    let (one, two, three) = (next(state), next(state), next(state));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        one & 0xffff_ffff,
        two & 0xffff,
        two >> 16 & 0xfff,
        two >> 28 & 0xfff,
        three & 0xffff_ffff_ffff
    )
}

fn report(text: &mut String, number: u64, state: &mut u64) {
    let duration = next(state) % 200_000;
    let (at, id) = (instant(number * 7), id(state));
    let _ = write!(
        text,
        "{at} REPORT RequestId: {id}\tDuration: {}.{:02} ms\tBilled Duration: {} ms\tMemory Size: 128 MB\tMax Memory Used: {} MB\t",
        duration / 100,
        duration % 100,
        duration / 100 + 1,
        40 + next(state) % 60
    );
    if number.is_multiple_of(50) {
        let _ = write!(text, "Init Duration: {}.04 ms\t", 100 + next(state) % 400);
    }
    text.push('\n');
}

fn reports() -> String {
    let (mut text, mut state) = (String::new(), 1);
    (0..LINES).for_each(|number| report(&mut text, number, &mut state));
    text
}

fn platform_events() -> String {
    let (mut text, mut state) = (String::new(), 1);
    for number in 0..LINES {
        let (at, id, duration) = (instant(number * 7), id(&mut state), next(&mut state) % 200_000);
        let _ = writeln!(
            text,
            r#"{{"time":"{at}","type":"platform.report","record":{{"requestId":"{id}","metrics":{{"durationMs":{}.{:03},"billedDurationMs":{},"memorySizeMB":128,"maxMemoryUsedMB":64}},"status":"success"}}}}"#,
            duration / 1_000,
            duration % 1_000,
            duration / 1_000 + 1
        );
    }
    text
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

fn count(bytes: &[u8]) -> u64 {
    let mut rows = 0;
    let mut sink = |runs: Runs| -> Result<(), ReadError> {
        rows += runs.len() as u64;
        Ok(())
    };
    let options = Options { function: Some("f".to_owned()), ..Options::default() };
    let mut joiner = Joiner::new(options, &mut sink);
    lambda_replay_ingest::logs::read(bytes, "x", &mut joiner).expect("good lines");
    joiner.finish().expect("a sink that takes everything");
    assert_eq!(rows, LINES);
    rows
}

fn bench(bencher: divan::Bencher<'_, '_>, bytes: &[u8]) {
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| count(bytes));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn report_lines(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, reports().as_bytes());
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn report_lines_gz(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, &packed(&reports()));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn unpacking_alone(bencher: divan::Bencher<'_, '_>) {
    let bytes = packed(&reports());
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| {
        let mut reader = lambda_replay_ingest::source::open(&bytes[..]).expect("gzip");
        std::io::copy(&mut reader, &mut std::io::sink()).expect("gzip")
    });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn platform_report_events(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, platform_events().as_bytes());
}
