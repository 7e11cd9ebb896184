"""Arrivals: who asked what when, refused requests included; durations come from elsewhere."""

import gzip
import json
from pathlib import Path

import pytest

from readers.logs_common import AWS, ID, at, read, recognised, refused, write


def call(request: str, **more: object) -> dict[str, object]:
    return {
        "eventSource": "lambda.amazonaws.com", "eventName": "Invoke20150331",
        "awsRegion": "eu-west-1", "eventTime": "2026-03-01T10:00:00Z", "requestID": request,
        "recipientAccountId": "1",
        "requestParameters": {"functionName": "arn:aws:lambda:eu-west-1:1:function:orders:live"},
        **more,
    }  # fmt: skip


def test_cloudtrail(tmp_path: Path) -> None:
    records = [
        call("00000000-0000-4000-8000-00000000ffff"),
        call("b", requestParameters={"functionName": "orders", "invocationType": "Event"}),
        call("c", errorCode="TooManyRequestsException"),
        call("d", errorCode="AccessDenied"),
        call("e", eventName="GetFunction20150331v2"),
        call("f", requestParameters={"functionName": "orders", "invocationType": "DryRun"}),
        call("g", requestParameters=None),
    ]
    text = json.dumps({"Records": records})
    path = write(tmp_path / "x.json.gz", gzip.compress(text.encode()))
    assert recognised(path) == "cloudtrail"
    refused(path, "LR-T-DURATION", "how long they ran", "--duration-ms")
    rows, report = read(path, duration_ms=5.0)
    assert rows.select("timestamp", "function", "source", "throttled", "duration_ms").rows() == [
        (at("10:00:00.065535"), "orders", "sync", False, 5.0),
        (at("10:00:00.000011"), "orders", "async", False, 5.0),
        (at("10:00:00.000012"), "orders", "sync", True, 5.0),
    ]
    assert rows.select("account", "region", "request_id").row(2) == ("1", "eu-west-1", "c")
    assert report.throttles == "included"
    assert report.dropped == {
        "another event than Invoke of Lambda": 1,
        "a dry run": 1,
        "refused before it was a request": 1,
        "no function": 1,
    }


def test_load_balancer(tmp_path: Path) -> None:
    path = AWS / "alb_access.log"
    assert recognised(path) == "alb"
    rows, report = read(path)
    assert rows.select("function", "duration_ms", "payload_bytes", "throttled").rows() == [
        ("my-targets", 48.0, 0, False)
    ] * 2  # fmt: skip
    assert rows["timestamp"][0].isoformat() == "2018-07-02T22:22:48.364000+00:00"
    assert "target_processing_time" in report.inferred["duration_ms"]
    line = path.read_text().splitlines()[0]
    older = line.rsplit(" ", 1)[0]
    waf = line.replace("0.086 0.048 0.037 200 200", "-1 -1 -1 403 -")
    throttled = waf.replace('"-" "-" TID', '"LambdaThrottling" "-" TID').replace(
        '"authenticate,forward" "-" "-"', '"forward" "-" "LambdaThrottling"'
    )
    mixed = write(tmp_path / "x.log", f"{line}\n{older}\n{waf}\n{throttled}\n")
    rows, report = read(mixed, function="f", duration_ms=7.0)
    assert rows.select("function", "duration_ms", "throttled").rows() == [
        ("f", 7.0, False), ("f", 7.0, False), ("f", 7.0, True),
    ]  # fmt: skip
    assert report.dropped == {"never reached a target": 1}
    _, report = read(mixed)
    assert report.dropped == {
        "never reached a target": 1,
        "throttled, so without a duration (--duration-ms)": 1,
    }


def test_api_gateway(tmp_path: Path) -> None:
    base = {
        "requestId": "g", "requestTimeEpoch": "1772359200200", "httpMethod": "GET",
        "resourcePath": "/orders", "status": "200", "integrationRequestId": ID,
        "integrationStatus": "200", "integrationLatency": "290",
    }  # fmt: skip
    refusal = {"status": "429", "integrationRequestId": "-", "integrationStatus": "-"}
    lines = [
        base,
        {**base, **refusal, "integrationLatency": "-"},
        {**base, "integrationStatus": "429", "integrationRequestId": "-", "routeKey": "GET /x"},
        {**base, "requestTimeEpoch": "-"},
    ]
    path = write(tmp_path / "x.ndjson", "\n".join(map(json.dumps, lines)))
    assert recognised(path) == "api-gateway"
    rows, report = read(path)
    assert rows.rows() == [
        (at("10:00:00.200"), "GET /orders", 290.0, False, ID),
        (at("10:00:00.200"), "GET /x", 290.0, True, "g"),
    ]
    assert report.dropped == {"answered by the gateway itself": 1, "no time": 1}
    rows, _ = read(path, function="orders", duration_ms=5.0)
    assert rows.select("function", "duration_ms").row(0) == ("orders", 5.0)


RECORDS = {
    "kinesis": (
        "kinesis-event.json",
        [("2016-12-02T01:18:43.477000+00:00", "simple-stream", "s1", "shardId-000000000000", 11)],
    ),
    "dynamodb": (
        "dynamodb-event.json",
        [
            (
                "2016-12-02T01:27:00+00:00",
                "Example-Table",
                '{"key":{"S":"binary"},"val":{"S":"data"}}',
                None,
                54,
            )
        ],
    ),
    "sqs": ("sqs-event.json", [("2018-03-09T18:53:45.029000+00:00", "SQSQueue", None, None, 12)]),
    "kafka": (
        "kafka-event.json",
        [
            (
                "2020-07-18T01:29:09.700000+00:00",
                "AWSKafkaTopic",
                "OGQ1NTk2YjQtMTgxMy00MjM4LWIyNGItNmRhZDhlM2QxYzBj",
                "0",
                36,
            )
        ],
    ),
}


@pytest.mark.parametrize("name", RECORDS)
def test_records_of_streams_and_queues(name: str) -> None:
    file, expected = RECORDS[name]
    assert recognised(AWS / file) == name
    refused(AWS / file, "LR-T-DURATION", "--duration-ms")
    rows, report = read(AWS / file, duration_ms=5.0)
    found = rows.head(1).select("timestamp", "source", "key", "shard", "payload_bytes").rows()
    assert [(first.isoformat(), *others) for first, *others in found] == expected
    assert rows["function"].null_count() == rows.height
    assert rows["duration_ms"].unique().to_list() == [5.0]
    assert report.throttles == "included"
    assert read(AWS / file, duration_ms=5.0, function="f")[0]["function"][0] == "f"


def test_answers_of_the_apis(tmp_path: Path) -> None:
    records = {"Records": [
        {"SequenceNumber": "1", "ApproximateArrivalTimestamp": "2026-03-01T12:00:00.5+02:00",
         "Data": "aGVsbG8=", "PartitionKey": "k"},
        {"SequenceNumber": "2", "ApproximateArrivalTimestamp": 1772359200.25, "Data": "aA==",
         "PartitionKey": "k"},
        {"SequenceNumber": "3", "Data": "aA==", "PartitionKey": "k"},
    ]}  # fmt: skip
    path = write(tmp_path / "k.json", json.dumps(records, indent=1))
    assert recognised(path) == "kinesis"
    rows, report = read(path, duration_ms=1.0)
    assert rows.select("timestamp", "source", "key", "payload_bytes", "request_id").rows() == [
        (at("10:00:00.5"), "kinesis", "k", 5, "1"),
        (at("10:00:00.25"), "kinesis", "k", 1, "2"),
    ]
    assert report.dropped == {"no time": 1}
    messages = {"Messages": [
        {"MessageId": "m", "ReceiptHandle": "r", "Body": "ä",
         "Attributes": {"SentTimestamp": "1772359200250", "MessageGroupId": "g"}},
    ]}  # fmt: skip
    path = write(tmp_path / "q.json", json.dumps(messages))
    assert recognised(path) == "sqs"
    rows, _ = read(path, duration_ms=1.0)
    assert rows.select("timestamp", "source", "key", "payload_bytes", "request_id").rows() == [
        (at("10:00:00.25"), "sqs", "g", 2, "m")
    ]
