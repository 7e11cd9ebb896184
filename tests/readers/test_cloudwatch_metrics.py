"""CloudWatch metrics: counts become invocations, and what was observed stays as it is."""

import json
from pathlib import Path

import pytest

from lambda_replay.readers.cloudwatch_metrics import observed_metrics
from lambda_replay.readers.files import File
from readers.logs_common import AWS, at, read, recognised, refused, write

TEN = 1_772_359_200_000
Point = dict[str, object]


def point(
    function: str, metric: str, minute: int, total: float, **more: object
) -> dict[str, object]:
    value = {"count": 1.0, "sum": total, "min": 1.0, "max": 1.0}
    dimensions = {"FunctionName": function, **more.pop("dimensions", {})}  # type: ignore[dict-item]
    return {
        "namespace": "AWS/Lambda", "metric_name": metric, "dimensions": dimensions,
        "timestamp": TEN + minute * 60_000, "value": {**value, **more}, "unit": "Count",
    }  # fmt: skip


STREAM = [
    point("orders", "Invocations", 0, 30.0),
    point("orders", "Invocations", 0, 30.0, dimensions={"Resource": "orders"}),
    point("orders", "Throttles", 0, 2.0),
    point("orders", "Duration", 0, 3000.0, count=30.0, min=20.0, max=400.0),
    point("orders", "Invocations", 1, 4.0),
    point("orders", "Duration", 1, 40.0, count=4.0, min=10.0, max=10.0),
    point("billing", "Invocations", 61, 5.0),
    point("billing", "Duration", 61, 50.0, count=5.0, min=10.0, max=10.0),
    {**point("orders", "Invocations", 0, 99.0), "namespace": "AWS/EC2"},
    {"namespace": "AWS/Lambda", "metric_name": "Invocations", "timestamp": TEN, "unit": "Count"},
]


@pytest.mark.parametrize("shape", ["lines", "array"])
def test_a_metric_stream(shape: str, tmp_path: Path) -> None:
    text = json.dumps(STREAM) if shape == "array" else "\n".join(map(json.dumps, STREAM))
    path = write(tmp_path / "x.json", text)
    assert recognised(path) == "cloudwatch-metrics"
    rows, report = read(path)
    assert dict(rows["function"].cast(str).value_counts().rows()) == {"orders": 36, "billing": 5}
    minutes = rows.group_by(rows["timestamp"].dt.truncate("1m")).len().sort("timestamp").rows()
    assert minutes == [(at("10:00:00"), 32), (at("10:01:00"), 4), (at("11:01:00"), 5)]
    spans = rows["duration_ms"].dt.total_microseconds()
    assert set(spans.filter(rows["function"].cast(str) == "billing")) == {10_000}
    # 36 draws about means of 100 and 10 ms.
    assert 5_000 < spans.filter(rows["timestamp"] < at("10:01:00")).mean() < 300_000  # type: ignore[operator]
    assert report.throttles == "included"
    assert "Throttles" in report.inferred["count"]


def test_an_answer_of_get_metric_data(tmp_path: Path) -> None:
    def series(label: str, values: list[float]) -> dict[str, object]:
        stamps = [f"2026-03-01T10:0{minute}:00+00:00" for minute in reversed(range(len(values)))]
        return {"Id": "x", "Label": label, "Timestamps": stamps, "Values": values}

    results = [series("orders Invocations", [12.0, 7.0]), series("orders Duration", [20.0, 20.0])]
    path = write(tmp_path / "x.json", json.dumps({"MetricDataResults": results, "Messages": []}))
    assert recognised(path) == "cloudwatch-metrics"
    rows, report = read(path)
    minutes = rows.group_by(rows["timestamp"].dt.truncate("1m")).len().sort("timestamp").rows()
    assert minutes == [(at("10:00:00"), 7), (at("10:01:00"), 12)]
    assert set(rows["duration_ms"].dt.total_microseconds()) == {20_000}
    assert report.throttles == "missing"
    observed = observed_metrics([File("x", str(path))])
    assert observed.sort("timestamp", "metric").rows()[0] == (
        at("10:00:00"), "orders", "Duration", "Average", 20.0,
    )  # fmt: skip


def test_what_metrics_lack_is_said(tmp_path: Path) -> None:
    without = [one for one in STREAM if one["metric_name"] != "Duration"]
    path = write(tmp_path / "x.json", "\n".join(map(json.dumps, without)))
    refused(path, "LR-T-DURATION", "no Duration", "--duration-ms")
    rows, _ = read(path, duration_ms=5.0)
    assert set(rows["duration_ms"].dt.total_microseconds()) == {5_000}
    refused(AWS / "metric_stream_multiple.json", "LR-T-COLUMN", "no Invocations of AWS/Lambda")
    nameless = {"MetricDataResults": [
        {"Label": "Invocations", "Timestamps": ["2026-03-01T10:00:00Z"], "Values": [3.0]},
    ]}  # fmt: skip
    path = write(tmp_path / "y.json", json.dumps(nameless))
    refused(path, "LR-T-FUNCTION", "--function", duration_ms=5.0)
    assert read(path, duration_ms=5.0, function="f")[0].height == 3
