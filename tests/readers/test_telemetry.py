"""Lambda Insights, X-Ray, OpenTelemetry, Datadog: a row per run, with exactly what they tell."""

import gzip
import json
from pathlib import Path

import pytest

from readers.logs_common import AWS, ID, at, read, recognised, refused, write

PERFORMANCE = {
    "_aws": {"Timestamp": 1772359200270, "CloudWatchMetrics": [{"Namespace": "LambdaInsights"}]},
    "event_type": "performance",
    "function_name": "orders",
    "request_id": ID,
    "duration": 19.5,
    "init_duration": 249.5,
    "cold_start": 1,
    "total_memory": 128,
    "used_memory_max": 40,
}


@pytest.mark.parametrize("container", ["lines", "subscription", "api"])
def test_lambda_insights(container: str, tmp_path: Path) -> None:
    warm = {**PERFORMANCE, "request_id": "b", "cold_start": 0}
    del warm["init_duration"]
    other = {**PERFORMANCE, "event_type": "extension"}
    events = [PERFORMANCE, warm, other, {**warm, "duration": "x"}]
    messages = [{"timestamp": 1, "message": json.dumps(event)} for event in events]
    text = {
        "lines": "\n".join(map(json.dumps, events)),
        "subscription": json.dumps({"messageType": "DATA_MESSAGE", "logEvents": messages}),
        "api": json.dumps({"events": messages}),
    }[container]
    path = write(tmp_path / "x.json.gz", gzip.compress(text.encode()))
    assert recognised(path) == "lambda-insights"
    rows, report = read(path)
    assert rows.select("timestamp", "function", "duration_ms", "init_ms", "cold_start").rows() == [
        (at("10:00:00.001"), "orders", 19.5, 249.5, True),
        (at("10:00:00.2505"), "orders", 19.5, None, False),
    ]
    assert rows.select("memory_mb", "max_memory_mb", "request_id").row(0) == (128, 40, ID)
    assert report.dropped == {"not an event of performance": 1, "no duration": 1}


def test_x_ray_joins_the_two_segments_of_an_invocation() -> None:
    assert recognised(AWS / "thumbnail_app.json") == "xray"
    rows, _ = read(AWS / "thumbnail_app.json")
    found = rows.select("duration_ms", "init_ms", "cold_start", "source", "request_id").rows()
    assert found == [
        (2333.0, 2956.0, True, "sync", "3afc1864-8142-4c64-b36d-e3fa1513b2d9"),
        # The function's parent is an attempt of the service's segment.
        (6558.0, 1186.0, True, "async", "43043cc0-7dc9-499f-bae2-eb65203ca73b"),
    ]
    assert rows["timestamp"][0].timestamp() == pytest.approx(1606220832.037)
    assert rows["function"][0] == "thumbnail-generator-production-upload"
    rows, _ = read(AWS / "event_processing_app.json")
    assert rows.select("duration_ms", "init_ms", "source").rows() == [
        (30.963, None, "sync"), (27.101, None, "async"),
    ]  # fmt: skip


def segment(identity: str, origin: str, start: float, end: float | None, **more: object) -> dict:
    document = {
        "id": identity, "trace_id": "1-a", "name": "f", "origin": origin, "start_time": start,
        "end_time": end, **more,
    }  # fmt: skip
    return {"Id": identity, "Document": json.dumps(document)}


def test_x_ray_of_throttles_retries_and_inits_ahead(tmp_path: Path) -> None:
    service, function = "AWS::Lambda", "AWS::Lambda::Function"
    init = {"id": "i", "name": "Initialization", "start_time": 40.0, "end_time": 41.0}
    attempts = [
        {"id": f"a{n}", "name": f"Attempt #{n}", "start_time": 1, "end_time": 2} for n in (1, 2)
    ]
    traces = [
        [segment("s1", service, 100.0, 102.0), segment("f1", function, 100.5, 101.5,
         parent_id="s1", subsegments=[init])],
        [segment("s2", service, 200.0, 201.0, throttle=True)],
        [segment("s3", service, 300.0, 301.0, subsegments=attempts),
         segment("f3", function, 300.2, 300.4, parent_id="a1", fault=True),
         segment("f4", function, 300.6, 300.9, parent_id="a2")],
        [segment("s5", service, 400.0, 401.0),
         segment("f5", function, 400.1, None, parent_id="s5")],
    ]  # fmt: skip
    text = json.dumps({"Traces": [{"Id": "1-a", "Segments": one} for one in traces]})
    rows, report = read(write(tmp_path / "x.json", text))
    assert rows.select(
        "duration_ms", "init_ms", "init_ahead_ms", "cold_start", "source", "error", "error_runs"
    ).rows() == [
        (1000.0, None, 1000.0, False, "sync", None, None),
        (300.0, None, None, None, "async", "handled", 1),
    ]
    assert report.dropped == {"throttled: it never ran": 1, "still in progress": 1}


def test_open_telemetry(tmp_path: Path) -> None:
    def attributes(**values: object) -> list[dict[str, object]]:
        names = {str: "stringValue", bool: "boolValue", int: "intValue"}
        return [
            {"key": key.replace("_", ".", 1), "value": {names[type(value)]: value}}
            for key, value in values.items()
        ]

    span = {
        "name": "x", "kind": 2, "startTimeUnixNano": "1772359200250000123",
        "endTimeUnixNano": "1772359200269520123",
        "attributes": attributes(faas_trigger="http", faas_invocation_id=ID, faas_coldstart=True),
        "status": {"code": 2},
    }  # fmt: skip
    client = {**span, "kind": 3, "attributes": attributes(faas_invoked_name="other")}
    inner = {**span, "kind": 1, "attributes": []}
    resource = attributes(faas_name="orders", faas_max_memory=134217728, faas_instance="s")
    request = {"resourceSpans": [
        {"resource": {"attributes": resource}, "scopeSpans": [{"spans": [span, client, inner]}]},
    ]}  # fmt: skip
    path = write(tmp_path / "x.json", f"{json.dumps(request)}\n{json.dumps(request)}\n")
    assert recognised(path) == "opentelemetry"
    rows, report = read(path)
    assert rows.height == 2
    assert rows.row(0, named=True) == {
        "timestamp": at("10:00:00.250"), "function": "orders", "duration_ms": 19.52,
        "cold_start": True, "error": "handled", "memory_mb": 128, "request_id": ID,
        "log_stream": "s", "account": None, "region": None,
    }  # fmt: skip
    assert report.dropped == {"not a span of a handler": 4}


@pytest.mark.parametrize("shape", ["lines", "array", "traces"])
def test_datadog(shape: str, tmp_path: Path) -> None:
    span = {
        "name": "aws.lambda", "resource": "orders", "start": 1772359200250000123, "error": 1,
        "duration": 19520000, "meta": {"cold_start": "true", "request_id": ID},
    }  # fmt: skip
    spans = [span, {**span, "name": "http.request"}, {**span, "duration": None}]
    text = {
        "lines": "\n".join(map(json.dumps, spans)),
        "array": json.dumps(spans),
        "traces": json.dumps({"traces": [spans]}),
    }[shape]
    path = write(tmp_path / "x.json", text)
    assert recognised(path) == "datadog"
    rows, report = read(path)
    assert rows.rows() == [(at("10:00:00.250"), "orders", 19.52, True, "handled", ID)]
    assert report.dropped == {"not a span of a run": 1, "no duration": 1}


@pytest.mark.parametrize("name", ["event_processing_app.json", "thumbnail_app_fault.json"])
def test_json_that_is_cut_is_told(name: str, tmp_path: Path) -> None:
    content = (AWS / name).read_bytes()
    refused(write(tmp_path / "x.json", content[:-30]), "LR-T-READ", "no JSON any more", "cut off")
