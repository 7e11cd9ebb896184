"""CloudWatch Logs: recognised in every container, read to exact rows, bad lines counted."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from lambda_replay.cli.process import _run
from lambda_replay.cli.session import Session
from readers.logs_common import AWS, ID, STREAM, at, read, recognised, refused, write

FIELDS = "Billed Duration: 20 ms\tMemory Size: 128 MB\tMax Memory Used: 40 MB"
COLD = (
    "2026-03-01T10:00:00.000Z INIT_START Runtime Version: python:3.13.v1\n"
    f"2026-03-01T10:00:00.250Z START RequestId: {ID} Version: $LATEST\n"
    "2026-03-01T10:00:00.251Z a line of the function's own\n"
    f"2026-03-01T10:00:00.270Z END RequestId: {ID}\n"
    f"2026-03-01T10:00:00.270Z REPORT RequestId: {ID}\tDuration: 19.52 ms\t{FIELDS}\t"
    "Init Duration: 249.81 ms\t\n"
    "XRAY TraceId: 1-5d83c0ad-b8eb33a0b1de97d804fac890\tSegmentId: 3\tSampled: true\t\n"
)


def report(request: str, minute: int, rest: str = "", duration: str = "20.00") -> str:
    return (
        f"2026-03-01T10:{minute:02}:00.020Z REPORT RequestId: {request}\tDuration: {duration} ms\t"
        f"{FIELDS}\t{rest}\n"
    )


def test_every_column_of_a_cold_run(tmp_path: Path) -> None:
    rows, found = read(write(tmp_path / "tail.log", COLD), function="orders")
    assert rows.to_dicts() == [
        {
            "timestamp": at("10:00:00.000190"),
            "function": "orders",
            "duration_ms": 19.52,
            "init_ms": 249.81,
            "init_ahead_ms": None,
            "cold_start": True,
            "error": None,
            "attempt": 1,
            "memory_mb": 128,
            "max_memory_mb": 40,
            "billed_ms": 20,
            "request_id": ID,
            "xray_trace_id": "1-5d83c0ad-b8eb33a0b1de97d804fac890",
            "log_stream": None,
            "account": None,
        }
    ]
    assert found.throttles == "missing"
    assert any("throttled" in note for note in found.notes)
    assert not any("nothing tells" in note for note in found.notes)


CONTAINERS = {
    "tail.log": COLD,
    "text.log": COLD.replace("2026-03-01T10", f"{STREAM} 2026-03-01T10"),
    "filter.json": json.dumps(
        {"events": [{"logStreamName": STREAM, "timestamp": 1772359200270, "message": "x"}]}
    ),
    "subscription.json": (AWS / "datadog_subscription_coldstart.json").read_text(),
    "firehose.json": '{"records":[{"data":"H4sIAAAAAAAA"}]}',
    "insights.csv": "@timestamp,@requestId,@duration,@log\n",
    "messages.csv": "@timestamp,@message\n",
    "console.csv": "timestamp,message\n",
    "results.json": '{"results":[[{"field":"@timestamp","value":"x"}]],"status":"Complete"}',
    "telemetry.ndjson": (AWS / "telemetry_rust_runtime.ndjson").read_text(),
    "batch.json": '[{"time":"2026-03-01T10:00:00Z","type":"platform.start","record":{}}]',
    "report.txt": (AWS / "report_lines.txt").read_text(),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_are_recognised_packed_or_not(name: str, tmp_path: Path) -> None:
    content = CONTAINERS[name].encode()
    assert recognised(write(tmp_path / name, content)) == "cloudwatch"
    assert recognised(write(tmp_path / f"{name}.gz", gzip.compress(content))) == "cloudwatch"


@pytest.mark.parametrize(
    "content",
    [
        "timestamp,function,duration_ms\n1,f,2\n",
        '{"timestamp":1,"function":"f","duration_ms":3}\n',
        "timestamp,message,function,duration_ms\n",
        "a text about REPORT lines\n",
        '{"level":"INFO","message":"hello"}\n',
    ],
)
def test_other_files_are_not_taken_for_logs(content: str, tmp_path: Path) -> None:
    assert recognised(write(tmp_path / "x.txt", content)) != "cloudwatch"


def test_an_export_task_begins_with_the_functions_own_lines(tmp_path: Path) -> None:
    own = "2026-03-01T09:59:00.000Z nothing of the platform\n" * 9000
    folder = tmp_path / "exportedlogs" / "task" / STREAM.replace("/", "-")
    path = write(folder / "000000.gz", gzip.compress((own + COLD).encode()))
    assert recognised(path) == "cloudwatch"
    rows, _ = read(path, function="orders")
    assert rows["log_stream"].to_list() == [STREAM.replace("/", "-")]
    in_group = write(tmp_path / "aws" / "lambda" / "billing" / "x.log", COLD)
    assert read(in_group)[0]["function"].to_list() == ["billing"]


def test_real_payloads_of_subscriptions() -> None:
    rows, _ = read(AWS / "datadog_subscription_coldstart.json")
    row = rows.row(0, named=True)
    assert rows.height == 1
    assert row["function"] == "storms-cloudwatch-event"
    assert (row["duration_ms"], row["init_ms"], row["account"]) == (1.76, 120.96, "601427279990")
    # START is at …098 ms; nothing tells whether the init was waited for.
    assert row["timestamp"].timestamp() == pytest.approx(1591284559.098 - 0.12096, abs=1e-6)
    assert row["cold_start"] is None
    rows, _ = read(AWS / "datadog_subscription_hello.json")
    assert rows.select("duration_ms", "memory_mb", "max_memory_mb", "billed_ms").row(0) == (
        619.31, 128, 118, 700,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["telemetry_datadog_ext", "telemetry_rust_runtime"])
def test_real_telemetry_with_records_that_are_texts(name: str) -> None:
    rows, found = read(AWS / f"{name}.ndjson", function="f")
    first = rows.row(0, named=True)
    assert (first["duration_ms"], first["init_ms"]) == (2599.4, 549.04)
    assert first["xray_trace_id"] == "1-6352a70e-1e2c502e358361800241fd45"
    assert rows.height == 2
    if name == "telemetry_datadog_ext":
        # Environments that serve many requests at once report a duration alone.
        assert rows["memory_mb"].to_list() == [128, None]
        assert any("dropped 1 records" in note for note in found.notes)


def test_a_log_without_any_time_is_refused() -> None:
    error = refused(
        AWS / "report_lines.txt", "LR-T-VALUE", "nothing says when the run was (5)", function="f"
    )
    assert error.exit_code == 3


def test_retries_are_rows_and_can_be_merged(tmp_path: Path) -> None:
    text = (
        report("a", 0, "Status: error\tError Type: Runtime.ExitError", "5.00")
        + report("a", 1)
        + report("b", 2)
        + report("c", 3, "Status: timeout")
        + report("c", 4, "Status: timeout")
        + report("d", 5)
        + report("d", 6, duration="7.00")
        + report("a", 1)
    )
    path = write(tmp_path / "x.log", text)
    rows, found = read(path, function="f")
    assert rows.select("request_id", "attempt", "error").rows() == [
        ("a", 1, "crash"), ("a", 2, None), ("b", 1, None), ("c", 1, "crash"), ("c", 2, "crash"),
        ("d", 1, None), ("d", 2, None),
    ]  # fmt: skip
    assert "source" not in rows.columns
    assert found.dropped == {"copies of runs that are there already": 1}
    assert found.duplicates == 1
    assert any("3 runs are retries" in note for note in found.notes)
    merged, _ = read(path, function="f", merge_retries=True)
    wanted = ["request_id", "timestamp", "duration_ms", "source", "error", "error_runs"]
    assert merged.select(wanted).rows() == [
        ("a", at("10:00:00.015"), 20.0, "async", "crash", 1),
        ("b", at("10:02:00"), 20.0, "async", None, None),
        ("c", at("10:03:00"), 20.0, "async", "crash", None),
        ("d", at("10:05:00"), 7.0, "async", "handled", 1),
    ]


def test_where_nothing_tells_the_bound_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "x.log", report("a", 0, "Init Duration: 90.00 ms"))
    rows, found = read(path, function="f")
    assert rows.select("timestamp", "init_ms", "cold_start").row(0) == (
        at("09:59:59.910"), 90.0, None,
    )  # fmt: skip
    assert any("no arrival by more than 90 ms (--init-on-path never)" in n for n in found.notes)
    rows, found = read(path, function="f", init_on_path="never")
    assert rows.select("timestamp", "init_ms", "init_ahead_ms").row(0) == (
        at("10:00:00"), None, 90.0,
    )  # fmt: skip
    assert any("--init-on-path always" in note for note in found.notes)


def test_bad_lines_are_counted_by_reason(tmp_path: Path) -> None:
    text = (
        report("a", 0)
        + "2026-03-01T10:00:00Z REPORT RequestId: b\tDura\r\n"
        + "2026-03-01T10:00:00Z REPORT RequestId: c\tDuration: x ms\n"
        + '{"time":"2026-03-01T10:00:00Z","type":"platform.report","record":{"req\n'
        + '{"type":"platform.report","record":{"requestId":"e","metrics":{"durationMs":1}}}\n'
    ).encode() + b"2026-03-01T10:00:00Z \xff\x00\xfe\n"
    rows, found = read(write(tmp_path / "x.log", text), function="f")
    assert rows.height == 1
    assert found.dropped == {
        "no duration: the line is cut": 1,
        "a number that cannot be read": 1,
        "a platform event that is no JSON: the line is cut": 1,
        "no time: nothing says when the run was": 1,
    }


def test_what_is_refused(tmp_path: Path) -> None:
    refused(
        write(tmp_path / "a.log", report("a", 0)), "LR-T-FUNCTION", "which function", "--function"
    )
    group = {"messageType": "DATA_MESSAGE", "logGroup": "/mine", "logEvents": [
        {"timestamp": 1772359200270, "message": report("a", 0)[25:]},
    ]}  # fmt: skip
    refused(write(tmp_path / "b.json", json.dumps(group)), "LR-T-FUNCTION", "/mine")
    packed = gzip.compress(COLD.encode() * 50)
    error = refused(
        write(tmp_path / "c.gz", packed[:-20]), "LR-T-READ", "too early", "cut off", function="f"
    )
    assert getattr(error, "source", "").endswith("c.gz")
    cut = json.dumps({"events": [{"timestamp": 1, "message": "x"}] * 3})[:-9]
    refused(write(tmp_path / "d.json", cut), "LR-T-READ", "line 1", "cut off", function="f")


def test_tables_that_may_be_cut_and_logs_without_reports(tmp_path: Path) -> None:
    table = "@timestamp,@requestId,@duration\n" + "".join(
        f"2026-03-01 10:00:00.020,{number},1.0\n" for number in range(10_000)
    )
    _, found = read(write(tmp_path / "x.csv", table), function="f")
    assert any("may be cut" in note for note in found.notes)
    text = f"2026-03-01T10:00:00Z START RequestId: {ID} Version: 1\n"
    rows, found = read(write(tmp_path / "x.log", text), function="f")
    assert rows.is_empty()
    assert any("log level" in note for note in found.notes)
    assert any("1 requests have START and no REPORT" in note for note in found.notes)


def test_several_files_are_one_log(tmp_path: Path) -> None:
    lines = COLD.splitlines(keepends=True)
    paths = [
        write(tmp_path / "1.log", "".join(lines[:3])),
        write(tmp_path / "2.log", "".join(lines[3:])),
    ]
    rows, _ = read(paths, function="f")
    assert rows.select("timestamp", "cold_start").row(0) == (at("10:00:00.000190"), True)


def test_many_rows_come_in_batches_and_can_be_left(tmp_path: Path) -> None:
    text = "".join(report(f"r{number}", number % 60) for number in range(200_000))
    path = write(tmp_path / "x.log.gz", gzip.compress(text.encode(), 1))
    rows, _ = read(path, function="f")
    assert rows.height == 200_000
    assert rows["request_id"].n_unique() == 200_000


def test_a_log_replays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "aws" / "lambda" / "orders" / "x.log", COLD + report("b", 1))
    out = tmp_path / "outcomes.parquet"
    assert _run(Session(("run", str(path), "--outcomes", str(out)))) == 0
    shown = capsys.readouterr().out
    assert "CloudWatch Logs" in shown
    outcomes = pl.read_parquet(out)
    assert outcomes.select("function", "cold", "init_ms").rows() == [
        ("orders", True, 249.81), ("orders", False, 0.0),
    ]  # fmt: skip
