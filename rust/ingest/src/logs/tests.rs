//! Whole sources: what they hold, and which runs come of it.

use std::io::Write;

use base64::Engine;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::join::{InitOnPath, Joiner, Options};
use super::runs::{NOTHING, Runs, Tally};
use super::{Container, container_of, read};
use crate::ReadError;

const ID: &str = "00000000-0000-4000-8000-000000000001";
const STREAM: &str = "2026/03/01/[$LATEST]0123456789abcdef0123456789abcdef";
/// 2026-03-01 10:00:00 UTC.
const TEN: i64 = 1_772_359_200_000_000;

fn named(function: &str) -> Options {
    Options { function: Some(function.to_owned()), ..Options::default() }
}

/// All runs of sources, and what was counted.
fn runs_of(options: Options, sources: &[(&str, &[u8])]) -> Result<(Vec<Runs>, Tally), ReadError> {
    let mut batches = Vec::new();
    let mut sink = |runs: Runs| -> Result<(), ReadError> {
        batches.push(runs);
        Ok(())
    };
    let mut joiner = Joiner::new(options, &mut sink);
    for (path, source) in sources {
        read(*source, path, &mut joiner)?;
    }
    let tally = joiner.finish()?;
    Ok((batches, tally))
}

fn one(options: Options, source: &str) -> (Runs, Tally) {
    let (mut batches, tally) = runs_of(options, &[("log", source.as_bytes())]).unwrap();
    (batches.pop().unwrap_or_default(), tally)
}

fn report(id: &str, rest: &str) -> String {
    format!(
        "REPORT RequestId: {id}\tDuration: 20.00 ms\tBilled Duration: 20 ms\tMemory Size: 128 MB\tMax Memory Used: 40 MB\t{rest}\n"
    )
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_cold_run_arrives_before_its_init() {
    let text = format!(
        "2026-03-01T10:00:00.000Z INIT_START Runtime Version: python:3.13.v1\n\
         2026-03-01T10:00:00.250Z START RequestId: {ID} Version: $LATEST\n\
         2026-03-01T10:00:00.270Z END RequestId: {ID}\n\
         2026-03-01T10:00:00.270Z {}XRAY TraceId: 1-a-b\tSegmentId: c\tSampled: true\n",
        report(ID, "Init Duration: 249.81 ms\t"),
    );
    let (runs, tally) = one(named("f"), &text);
    assert_eq!(runs.timestamp, [TEN + 190]);
    assert_eq!((runs.duration[0], runs.init[0], runs.init_ahead[0]), (20_000, 249_810, NOTHING));
    assert_eq!((runs.cold[0], runs.error[0], runs.attempt[0]), (1, 0, 1));
    assert_eq!((runs.memory[0], runs.max_memory[0], runs.billed[0]), (128, 40, 20));
    assert_eq!((runs.request_id.get(0), runs.trace_id.get(0)), (ID, "1-a-b"));
    assert_eq!(runs.functions.names, ["f"]);
    assert_eq!((tally.runs, tally.started, tally.inits, tally.inits_assumed), (1, 1, 1, 0));
}

#[test]
fn an_init_ahead_of_demand_shifts_no_arrival() {
    for (init, provisioned) in [
        (format!("2026-03-01T09:59:50.000Z {STREAM} INIT_START Runtime Version: x\n"), false),
        (
            format!(
                r#"2026-03-01T09:59:59.900Z {STREAM} {{"time":"2026-03-01T09:59:59.900Z","type":"platform.initStart","record":{{"initializationType":"provisioned-concurrency"}}}}"#
            ) + "\n",
            true,
        ),
    ] {
        let text = format!(
            "{init}2026-03-01T10:00:00.000Z {STREAM} START RequestId: {ID} Version: 1\n\
             2026-03-01T10:00:00.020Z {STREAM} {}",
            report(ID, "Init Duration: 90.00 ms")
        );
        let (runs, tally) = one(named("f"), &text);
        assert_eq!(
            (runs.timestamp[0], runs.init[0], runs.init_ahead[0]),
            (TEN, NOTHING, 90_000),
            "{provisioned}"
        );
        assert_eq!((runs.cold[0], tally.inits_ahead, tally.inits_assumed), (0, 1, 0));
        assert_eq!(runs.streams.names, [STREAM]);
    }
}

#[test]
fn where_nothing_tells_the_user_says() {
    let text = format!("2026-03-01T10:00:00.020Z {}", report(ID, "Init Duration: 90.00 ms"));
    let (runs, tally) = one(named("f"), &text);
    assert_eq!((runs.timestamp[0], runs.init[0], runs.cold[0]), (TEN - 90_000, 90_000, 2));
    assert_eq!((tally.inits_assumed, tally.longest_assumed), (1, 90_000));
    let never = Options { init_on_path: InitOnPath::Never, ..named("f") };
    let (runs, _) = one(never, &text);
    assert_eq!((runs.timestamp[0], runs.init[0], runs.init_ahead[0]), (TEN, NOTHING, 90_000));
}

#[test]
fn environments_do_not_take_each_others_inits() {
    let other = STREAM.replace("0123", "aaaa");
    let second = ID.replace("01", "02");
    let text = format!(
        "2026-03-01T09:59:00.000Z {STREAM} INIT_START x\n\
         2026-03-01T09:59:59.910Z {other} INIT_START x\n\
         2026-03-01T10:00:00.000Z {STREAM} START RequestId: {ID}\n\
         2026-03-01T10:00:00.000Z {other} START RequestId: {second}\n\
         2026-03-01T10:00:00.020Z {STREAM} {}2026-03-01T10:00:00.020Z {other} {}",
        report(ID, "Init Duration: 90.00 ms"),
        report(&second, "Init Duration: 90.00 ms"),
    );
    let (runs, _) = one(named("f"), &text);
    assert_eq!(runs.cold, [0, 1]);
    assert_eq!(runs.init, [NOTHING, 90_000]);
}

#[test]
fn a_failed_init_was_waited_for() {
    let text = format!(
        "2026-03-01T09:59:50.000Z INIT_START x\n\
         2026-03-01T10:00:00.000Z INIT_REPORT Init Duration: 9999.00 ms\tPhase: init\tStatus: timeout\n\
         2026-03-01T10:00:00.001Z START RequestId: {ID}\n\
         2026-03-01T10:00:00.021Z {}",
        report(ID, "")
    );
    let (runs, tally) = one(named("f"), &text);
    assert_eq!((runs.timestamp[0], runs.init[0]), (TEN + 1_000 - 9_999_000, 9_999_000));
    assert_eq!((runs.cold[0], tally.inits_failed, tally.inits_unused), (1, 1, 0));
    let within = text.replace("Phase: init", "Phase: invoke");
    let (runs, _) = one(named("f"), &within);
    assert_eq!((runs.timestamp[0], runs.init[0], runs.cold[0]), (TEN + 1_000, NOTHING, 1));
}

#[test]
fn retries_are_runs_and_copies_are_none() {
    let run = |minute: u32| {
        format!(
            "2026-03-01T10:0{minute}:00.020Z {}",
            report(ID, "Status: error\tError Type: ValueError")
        )
    };
    let text = [run(0), run(1), run(0), run(3), run(1)].concat();
    let (runs, tally) = one(named("f"), &text);
    assert_eq!(runs.attempt, [1, 2, 3]);
    assert_eq!(runs.error, [1, 1, 1]);
    assert_eq!((tally.reports, tally.runs, tally.copies, tally.retries), (5, 3, 2, 2));
}

#[test]
fn time_outs_are_told_in_three_ways() {
    let started = format!("2026-03-01T10:00:00.000Z START RequestId: {ID}\n");
    for (line, rest) in [
        (String::new(), "Status: timeout"),
        (
            format!(
                "2026-03-01T10:00:03.000Z 2026-03-01T10:00:03.000Z {ID} Task timed out after 3.00 seconds\n"
            ),
            "",
        ),
        (
            format!(
                r#"{{"time":"2026-03-01T10:00:03.000Z","type":"platform.runtimeDone","record":{{"requestId":"{ID}","status":"timeout"}}}}"#
            ) + "\n",
            "",
        ),
    ] {
        let text = format!("{started}{line}2026-03-01T10:00:03.000Z {}", report(ID, rest));
        let (runs, tally) = one(named("f"), &text);
        assert_eq!((runs.error[0], tally.time_outs), (2, 1), "{line}{rest}");
    }
}

#[test]
fn a_request_may_begin_in_one_source_and_end_in_another() {
    let start = format!("2026-03-01T10:00:00.001Z START RequestId: {ID}\n");
    let end = format!("2026-03-01T10:00:00.022Z {}", report(ID, ""));
    for (first, second) in [(&start, &end), (&end, &start)] {
        let (batches, tally) =
            runs_of(named("f"), &[("a", first.as_bytes()), ("b", second.as_bytes())]).unwrap();
        let forward = first == &start;
        assert_eq!(batches[0].timestamp, [TEN + if forward { 1_000 } else { 2_000 }]);
        assert_eq!((tally.started, tally.late_starts), if forward { (1, 0) } else { (0, 1) });
        assert_eq!((tally.runs, tally.unfinished), (1, 0));
    }
}

#[test]
fn what_began_and_did_not_end() {
    let text = format!(
        "2026-03-01T10:00:00Z START RequestId: {ID}\n2026-03-01T10:00:01Z START RequestId: b\n"
    );
    let (runs, tally) = one(named("f"), &text);
    assert_eq!((runs.len(), tally.unfinished), (0, 2));
}

#[test]
fn functions_come_from_group_stream_path_or_the_user() {
    let line = format!("2026-03-01T10:00:00.020Z {}", report(ID, ""));
    let shared = STREAM.replace("[$LATEST]", "billing[7]");
    for (path, line, function) in [
        ("x/aws/lambda/orders/000000.gz", line.clone(), "orders"),
        ("x", format!("/aws/lambda/orders {STREAM} {line}"), "orders"),
        ("x", format!("{shared} {line}"), "billing"),
        ("x", line.clone(), "given"),
    ] {
        let (batches, _) = runs_of(named("given"), &[(path, line.as_bytes())]).unwrap();
        assert_eq!(batches[0].functions.names, [function], "{path} {line}");
    }
    let missing = runs_of(Options::default(), &[("x", line.as_bytes())]);
    assert!(matches!(missing, Err(ReadError::NoFunction { line: 1, group: None })));
}

#[test]
fn bad_lines_are_counted_and_the_rest_is_read() {
    let good = |id| format!("2026-03-01T10:00:00.020Z {}", report(id, ""));
    let huge = "x".repeat(crate::source::LONGEST_LINE + 1);
    let mut text = [
        good("a"),
        "REPORT RequestId: b\tDuration: 1 ms\n".to_owned(),
        "2026-03-01T10:00:00.020Z REPORT RequestId: c\tDura\r\n".to_owned(),
        "2026-03-01T10:00:00.020Z REPORT RequestId: d\tDuration: NaN ms\r\n".to_owned(),
        "{\"time\":\"2026-03-01T10:00:00Z\",\"type\":\"platform.report\",\"record\":{\"requ\n"
            .to_owned(),
        "a line of the function's own\r\n\r\n".to_owned(),
        huge + "\n",
        good("e").replace('\n', "\r\n"),
    ]
    .concat()
    .into_bytes();
    text.extend_from_slice(b"2026-03-01T10:00:00.020Z \xff\xfe\x00 REPORT RequestId: f\n");
    let (batches, tally) = runs_of(named("f"), &[("x", &text)]).unwrap();
    let runs = &batches[0];
    assert_eq!((runs.request_id.get(0), runs.request_id.get(1), runs.len()), ("a", "e", 2));
    let found: Vec<(u64, &str)> = runs.bad.iter().map(|bad| (bad.line, bad.fault.name())).collect();
    assert_eq!(
        found,
        [
            (2, "no time: nothing says when the run was"),
            (3, "no duration: the line is cut"),
            (4, "a number that cannot be read"),
            (5, "a platform event that is no JSON: the line is cut"),
            (8, "a line of more than 4 MiB"),
        ]
    );
    assert_eq!(tally.faults.values().sum::<u64>(), 5);
    assert_eq!((tally.lines, tally.others), (10, 3));
}

fn subscription(messages: &[(i64, &str)]) -> String {
    let events: Vec<serde_json::Value> = messages
        .iter()
        .map(|(at, message)| serde_json::json!({"id": "1", "timestamp": at, "message": message}))
        .collect();
    serde_json::json!({
        "messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/aws/lambda/orders",
        "logStream": STREAM, "subscriptionFilters": ["x"], "logEvents": events,
    })
    .to_string()
}

#[test]
fn every_container_gives_the_same_run() {
    let message = report(ID, "");
    let at = (TEN + 20_000) / 1_000;
    let payload = subscription(&[(at, &message)]);
    let event = serde_json::json!({"logStreamName": STREAM, "timestamp": at, "message": message, "eventId": "1"});
    let base64 = base64::engine::general_purpose::STANDARD.encode(gz(payload.as_bytes()));
    let control = r#"{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}]}"#;
    let sources = [
        format!("2026-03-01T10:00:00.020Z {STREAM} {message}"),
        format!("{STREAM} 2026-03-01T10:00:00.020000 {message}"),
        payload.clone(),
        format!("{control}{payload}{control}\n{control}"),
        format!("[{payload},{control}]"),
        serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&payload).unwrap()).unwrap(),
        serde_json::json!({"events": [event], "searchedLogStreams": []}).to_string(),
        serde_json::to_string_pretty(&serde_json::json!({"events": [event], "nextForwardToken": "f/1"})).unwrap(),
        event.to_string() + "\n",
        serde_json::json!({"awslogs": {"data": base64}}).to_string(),
        serde_json::json!({"Records": [{"kinesis": {"data": base64}}]}).to_string(),
        serde_json::json!({"Records": [{"Data": base64, "PartitionKey": "x"}]}).to_string(),
        serde_json::json!({"records": [{"recordId": "1", "data": base64}]}).to_string(),
        format!("timestamp,message\n{at},\"{message}\"\n"),
        format!("@timestamp,@message,@logStream,@log\n2026-03-01 10:00:00.020,\"{message}\",{STREAM},123456789012:/aws/lambda/orders\n"),
        "@timestamp,@type,@requestId,@duration,@billedDuration,@memorySize,@maxMemoryUsed\n".to_owned()
            + &format!("2026-03-01 10:00:00.020,REPORT,{ID},20,20.0,1.28E8,4.0E7\n"),
        serde_json::json!({"results": [[
            {"field": "@timestamp", "value": "2026-03-01 10:00:00.020"}, {"field": "@requestId", "value": ID},
            {"field": "@duration", "value": "20.0"}, {"field": "@billedDuration", "value": "20"},
            {"field": "@memorySize", "value": "134217728"}, {"field": "@maxMemoryUsed", "value": "4.0E7"},
            {"field": "@log", "value": "123456789012:/aws/lambda/orders"}, {"field": "@ptr", "value": "x"},
        ]], "status": "Complete"}).to_string(),
        format!(
            r#"{{"time":"2026-03-01T10:00:00.020Z","type":"platform.report","record":{{"requestId":"{ID}","status":"success","metrics":{{"durationMs":20.0,"billedDurationMs":20,"memorySizeMB":128,"maxMemoryUsedMB":40}}}}}}"#
        ),
        format!(
            r#"[{{"time":"2026-03-01T10:00:00.020Z","type":"function","record":"x"}}, {{"time":"2026-03-01T10:00:00.020Z","type":"platform.report","record":{{"requestId":"{ID}","metrics":{{"durationMs":20.0,"billedDurationMs":20,"memorySizeMB":128,"maxMemoryUsedMB":40}}}}}}]"#
        ),
    ];
    for source in &sources {
        for packed in [false, true] {
            let bytes = if packed { gz(source.as_bytes()) } else { source.clone().into_bytes() };
            let (batches, tally) = runs_of(named("orders"), &[("x", &bytes)])
                .unwrap_or_else(|error| panic!("{error}: {source}"));
            let runs = batches.first().unwrap_or_else(|| panic!("{tally:?} {source}"));
            assert_eq!((runs.len(), tally.reports), (1, 1), "{source}");
            assert_eq!(runs.timestamp, [TEN], "{source}");
            assert_eq!(
                (runs.duration[0], runs.billed[0], runs.memory[0], runs.max_memory[0]),
                (20_000, 20, 128, 40),
                "{source}"
            );
            assert_eq!(
                (runs.functions.names[0].as_str(), runs.request_id.get(0)),
                ("orders", ID),
                "{source}"
            );
            assert!(runs.bad.is_empty() && runs.streams.names.iter().all(|name| name == STREAM));
        }
    }
}

#[test]
fn rows_of_insights_come_newest_first() {
    let text = format!(
        "@timestamp,@message\n\
         2026-03-01 10:00:00.270,\"{}\"\n\
         2026-03-01 10:00:00.250,START RequestId: {ID} Version: 1\n\
         2026-03-01 10:00:00.000,INIT_START x\n",
        report(ID, "Init Duration: 249.81 ms"),
    );
    let (runs, tally) = one(named("f"), &text);
    assert_eq!((runs.timestamp[0], runs.cold[0], tally.started), (TEN + 190, 1, 1));
    assert!(!tally.partial);
}

#[test]
fn tables_that_may_be_cut() {
    let row = |number: usize| format!("2026-03-01 10:00:00.020,{number},1.0\n");
    let head = "@timestamp,@requestId,@duration\n".to_owned();
    let text = head + &(0..10_000).map(row).collect::<String>();
    assert!(one(named("f"), &text).1.partial);
    let running = r#"{"results":[],"status":"Running"}"#;
    assert!(one(named("f"), running).1.partial);
}

#[test]
fn json_that_ends_too_early() {
    let whole = subscription(&[(TEN / 1_000, &report(ID, ""))]);
    let cut = format!("{whole}\n{}", &whole[..whole.len() - 9]);
    let mut rows = 0;
    let mut sink = |runs: Runs| -> Result<(), ReadError> {
        rows += runs.len();
        Ok(())
    };
    let mut joiner = Joiner::new(Options::default(), &mut sink);
    let found = read(cut.as_bytes(), "x", &mut joiner);
    assert!(matches!(found, Err(ReadError::Json { line: 2, cut: true, .. })), "{found:?}");
    drop(joiner);
    assert_eq!(rows, 1);
}

#[test]
fn packed_records_that_are_none() {
    let (runs, _) =
        one(named("f"), r#"{"records":[{"data":"!"},{"data":"H4sIAAAA"},{"data":"eyJ4"}]}"#);
    assert_eq!(runs.bad.len(), 3);
    assert!(runs.bad.iter().all(|bad| bad.fault.name() == "a record that cannot be unpacked"));
}

#[test]
fn batches_do_not_depend_on_each_other() {
    let lines: Vec<String> = (0..10)
        .map(|number| {
            format!(
                "2026-03-01T10:00:0{number}.000Z {STREAM} {}",
                report(&format!("r{number}"), "")
            )
        })
        .collect();
    let text = lines.concat();
    let (batches, _) =
        runs_of(Options { batch: 3, ..named("f") }, &[("x", text.as_bytes())]).unwrap();
    assert_eq!(batches.iter().map(Runs::len).collect::<Vec<_>>(), [3, 3, 3, 1]);
    assert!(
        batches.iter().all(|runs| runs.functions.names == ["f"] && runs.streams.names == [STREAM])
    );
    assert_eq!(batches[3].request_id.get(0), "r9");
}

#[test]
fn a_sink_that_wants_no_more_stops_the_reader() {
    let lines: Vec<String> = (0..10)
        .map(|number| format!("2026-03-01T10:00:00Z {}", report(&format!("r{number}"), "")))
        .collect();
    let text = lines.concat();
    for source in [
        text.clone(),
        subscription(&text.lines().map(|line| (TEN / 1_000, &line[21..])).collect::<Vec<_>>()),
    ] {
        let mut calls = 0;
        let mut sink = |_: Runs| -> Result<(), ReadError> {
            calls += 1;
            Err(ReadError::Stopped)
        };
        let mut joiner = Joiner::new(Options { batch: 2, ..named("f") }, &mut sink);
        assert!(matches!(read(source.as_bytes(), "x", &mut joiner), Err(ReadError::Stopped)));
        drop(joiner);
        assert_eq!(calls, 1);
    }
}

#[test]
fn containers_by_their_beginning() {
    for (head, container) in [
        ("", Container::Lines),
        ("START RequestId: a", Container::Lines),
        ("[INFO] x", Container::Lines),
        ("{\"level\":\"INFO\",\"message\":\"x\"}\nSTART", Container::Lines),
        ("{\"time\":\"x\",\"type\":\"platform.start\",\"record\":{}}\n", Container::Lines),
        ("{\n  \"events\": [", Container::Json),
        ("[{\"time\"", Container::Json),
        ("{\"logEvents\":[]}{\"logEvents\":[]}", Container::Json),
        ("@timestamp,@message\n", Container::Csv),
        ("\"timestamp\",\"message\"\n", Container::Csv),
        ("timestamp,function,duration_ms\n", Container::Lines),
    ] {
        assert_eq!(container_of(head.as_bytes()), container, "{head}");
    }
}
