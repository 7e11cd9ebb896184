"""Every default, quota and range of event sources, once, with its source; dated ones: eras.py.

The numbers of limits.py for ``[event_sources]``. Rule ids: E… and P… are sections and parameters of
event-sources.md in the semantics documents.
"""

from __future__ import annotations

from typing import Final

from lambda_replay.scenario.limits import MAX_SECONDS
from lambda_replay.scenario.setting import Range, Setting

__all__ = ["KINDS", "QUEUES", "STREAMS"]

STREAMS: Final = ("kinesis", "dynamodb")
QUEUES: Final = ("sqs", "sqs_fifo")
KINDS: Final = (*STREAMS, *QUEUES, "kafka")

_API: Final = "AWS API, model of lambda/2015-03-31 in botocore 1.44.5"
_DAY_S: Final = 86_400


def _all(value: int, rule: str, source: str) -> dict[str, Setting[int]]:
    return {kind: Setting(value, rule=rule, source=source, documented=True) for kind in KINDS}


# ---------------------------------------------------------------------------- documented

BATCH_SIZE: Final[dict[str, Setting[int]]] = {
    **_all(100, "E1", _API),
    "sqs": Setting(10, rule="E1", source=_API, documented=True),
    "sqs_fifo": Setting(10, rule="E1", source=_API, documented=True),
}
BATCH_SIZE_RANGE: Final[dict[str, Setting[Range]]] = {
    kind: Setting(
        Range(1, 10 if kind == "sqs_fifo" else 10_000), rule="E1", source=_API, documented=True
    )
    for kind in KINDS
}
WIDEST_BATCH_SIZE: Final = Setting(Range(1, 10_000), rule="E1", source=_API, documented=True)
#: Messages that one receive call gives; larger batches of SQS need a window.
RECEIVE_MESSAGES: Final = Setting(
    10, rule="E5.2", source="AWS API: MaxNumberOfMessages", documented=True
)
WINDOW_S: Final[dict[str, Setting[float]]] = {
    kind: Setting(0.5 if kind == "kafka" else 0, rule="E2", source=_API, documented=True)
    for kind in KINDS
}
WINDOW_MAX_S: Final = Setting(300, rule="E1", source=_API, documented=True)
PARALLELIZATION_FACTOR: Final = Setting(1, rule="E4.2", source=_API, documented=True)
PARALLELIZATION_FACTOR_RANGE: Final = Setting(Range(1, 10), rule="E1", source=_API, documented=True)
STARTING_POSITIONS: Final = ("TRIM_HORIZON", "LATEST", "AT_TIMESTAMP")
STARTING_POSITION: Final = Setting(
    "TRIM_HORIZON",
    rule="E0.6.1",
    source="every row of a trace is at or after its start",
    documented=False,
)
#: -1: without limit.
MAXIMUM_RETRY_ATTEMPTS_RANGE: Final = Setting(
    Range(-1, 10_000), rule="E1", source=_API, documented=True
)
MAXIMUM_RECORD_AGE_RANGE: Final = Setting(
    Range(60, 604_800), rule="E1", source=_API, documented=True
)
#: What -1 becomes for provisioned Kafka with an on-failure destination.
KAFKA_RETRY_ATTEMPTS: Final = Setting(
    10, rule="E6", source="AWS Lambda Developer Guide, kafka-retry-configurations", documented=True
)
BISECT: Final = Setting(False, rule="E4.6", source=_API, documented=True)
REPORT: Final = Setting(False, rule="E4.7", source=_API, documented=True)
TUMBLING_WINDOW_RANGE: Final = Setting(Range(0, 900), rule="E1", source=_API, documented=True)
MAXIMUM_CONCURRENCY_RANGE: Final = Setting(Range(2, 1_000), rule="E1", source=_API, documented=True)
#: Least and most of ``min`` and of ``max``, and the default of ``max``.
POLLERS_MIN_RANGE: Final[dict[str, Setting[Range]]] = {
    kind: Setting(Range(1 if kind == "kafka" else 2, 200), rule="E1", source=_API, documented=True)
    for kind in (*QUEUES, "kafka")
}
POLLERS_MAX_RANGE: Final[dict[str, Setting[Range]]] = {
    kind: Setting(
        Range(1, 2_000) if kind == "kafka" else Range(2, 10_000),
        rule="E1",
        source=_API,
        documented=True,
    )
    for kind in (*QUEUES, "kafka")
}
POLLERS_MAX: Final = Setting(200, rule="E1", source=_API, documented=True)
RETENTION_S: Final[dict[str, Setting[int]]] = {
    "kinesis": Setting(_DAY_S, rule="E3", source="AWS API: RetentionPeriodHours", documented=True),
    "dynamodb": Setting(
        _DAY_S, rule="E3", source="AWS DynamoDB Developer Guide: 24 hours", documented=True
    ),
    "sqs": Setting(
        4 * _DAY_S, rule="E5.2", source="AWS API: MessageRetentionPeriod", documented=True
    ),
    "sqs_fifo": Setting(
        4 * _DAY_S, rule="E5.2", source="AWS API: MessageRetentionPeriod", documented=True
    ),
    "kafka": Setting(
        7 * _DAY_S, rule="P28", source="Kafka: log.retention.hours = 168", documented=True
    ),
}
#: Seconds from and to; what AWS does not offer below is a finding where traces of other makes have
#: it (streams), and an error where the API refuses it.
RETENTION_RANGE: Final[dict[str, Setting[tuple[float, int]]]] = {
    "kinesis": Setting(
        (1, 8_760 * 3_600), rule="E3", source="AWS API: RetentionPeriodHours", documented=True
    ),
    "dynamodb": Setting((1, _DAY_S), rule="E3", source="24 hours, fixed", documented=True),
    "sqs": Setting(
        (60, 14 * _DAY_S), rule="E5.2", source="AWS API: MessageRetentionPeriod", documented=True
    ),
    "sqs_fifo": Setting(
        (60, 14 * _DAY_S), rule="E5.2", source="AWS API: MessageRetentionPeriod", documented=True
    ),
    "kafka": Setting(
        (1, MAX_SECONDS.value), rule="P28", source=MAX_SECONDS.source, documented=False
    ),
}
VISIBILITY_TIMEOUT_S: Final = Setting(
    30, rule="E5.2", source="AWS API: VisibilityTimeout", documented=True
)
VISIBILITY_TIMEOUT_RANGE: Final = Setting(
    # AWS takes 0, too: then nothing is ever hidden, and no lease can be modelled.
    Range(1, 43_200),
    rule="E5.2",
    source="AWS API: VisibilityTimeout",
    documented=True,
)
MAX_RECEIVE_COUNT: Final = Setting(
    10, rule="E5.2", source="AWS API: maxReceiveCount of a RedrivePolicy", documented=True
)
MAX_RECEIVE_COUNT_RANGE: Final = Setting(
    Range(1, 1_000), rule="E5.2", source="AWS API: maxReceiveCount", documented=True
)
RAMP_START: Final = Setting(
    5, rule="E5.1", source="AWS Lambda Developer Guide, services-sqs-scaling", documented=True
)
SHARDS: Final = Setting(1, rule="E0.5", source="one shard or partition", documented=False)
SHARDS_RANGE: Final = Setting(
    Range(1, 1_000_000), rule="-", source="bound of our own", documented=False
)
BATCH_DURATIONS: Final = ("sum", "max")
BATCH_DURATION: Final = Setting(
    "sum", rule="E0.5", source="records of a batch one after another", documented=False
)
BASE_MS: Final = Setting(0, rule="E0.5", source="nothing beside the records", documented=False)
#: Records and bytes of one read.
READ: Final[dict[str, Setting[tuple[int, int]]]] = {
    "kinesis": Setting(
        (10_000, 10 * 2**20), rule="E3", source="AWS API: GetRecords", documented=True
    ),
    "dynamodb": Setting((1_000, 2**20), rule="E3", source="AWS API: GetRecords", documented=True),
}
POLL_S: Final[dict[str, Setting[float]]] = {
    "kinesis": Setting(1, rule="E3", source="AWS: base rate of polling", documented=True),
    "dynamodb": Setting(0.25, rule="E3", source="AWS: base rate of polling", documented=True),
}
#: Invocations at once of one provisioned poller.
PER_POLLER: Final[dict[str, Setting[int]]] = {
    "sqs": Setting(10, rule="E5.6", source="AWS blog of 2025-11-14", documented=True),
    "sqs_fifo": Setting(10, rule="E5.6", source="AWS blog of 2025-11-14", documented=True),
    "kafka": Setting(5, rule="E6", source="AWS: kafka-scaling-modes", documented=True),
}
#: Base64, bytes beside a record's own, and whether its key is among them.
ENCODING: Final[dict[str, Setting[tuple[bool, int, bool]]]] = {
    kind: Setting(
        (kind in ("kinesis", "kafka"), 600, kind in ("kinesis", "kafka")),
        rule="E0.6.8",
        source="estimate of the JSON event",
        documented=False,
    )
    for kind in KINDS
}

# ---------------------------------------------------------------------------- not documented


def _open(value: object, rule: str, source: str) -> Setting[object]:
    return Setting(value, rule=rule, source=source, documented=False)


POLL_PHASE_S: Final = _open(0, "P1", "polls at start + k x period")
PROP_DELAY_S: Final = Setting(0, rule="P2", source="standard consumers", documented=False)
PROP_DELAY_FAN_OUT_S: Final = Setting(
    0.07, rule="P2", source="AWS: about 70 ms; 23.5 ms measured at least", documented=False
)
GAP_S: Final = Setting(0.02, rule="P3", source="3 gaps of 18.8 to 21.1 ms", documented=False)
RETRY_S: Final = Setting(
    0.2, rule="P4", source="7 first retries of 186 to 267 ms; doubles", documented=False
)
RETRY_CAP_S: Final = Setting(60, rule="P4", source="unknown", documented=False)
JITTER: Final = Setting(0, rule="P6", source="samples -7 to +34 %", documented=False)
CHILD_DELAY_S: Final = Setting(8, rule="P7", source="3 samples 7.74 to 8.23 s", documented=False)
LANE_BLOCKS: Final = ("lane", "shard")
LANE_BLOCK: Final = Setting("lane", rule="P8", source="AWS does not say", documented=False)
#: Records, and times batch_size x parallelization_factor; the larger.
LOOKAHEAD: Final = Setting((10_000, 10), rule="P9", source="inferred", documented=False)
WINDOW_ANCHORS: Final = ("last_done", "first_record")
WINDOW_ANCHOR: Final = Setting("last_done", rule="P10", source="one measurement", documented=False)
AGE_CHECKS: Final = ("deadline", "next_attempt")
AGE_CHECK: Final = Setting("deadline", rule="P11", source="inferred", documented=False)
IDLE_FINAL_S: Final = Setting(120, rule="P13", source="AWS: up to 2 minutes", documented=False)
START_DELAY_S: Final = Setting(0, rule="P14", source="minutes are possible", documented=False)
STOP_DELAY_S: Final = Setting(0, rule="P14", source="minutes are possible", documented=False)
RAMPS: Final = ("continuous", "step60")
RAMP: Final = Setting("continuous", rule="P15", source="AWS: 300 a minute", documented=False)
SCALE_IN_S: Final = Setting((60, 900), rule="P16", source="unverified", documented=False)
THROTTLE_RETRIES: Final = ("headroom", "none")
THROTTLE_RETRY: Final = Setting(
    "headroom", rule="P17", source="fits 3 series of tries", documented=False
)
THROTTLE_RETRY_S: Final = Setting(3.6, rule="P17", source="one series", documented=False)
BACKOFFS: Final = ("ratio", "off")
BACKOFF: Final = Setting("ratio", rule="P18", source="fit of 3 points", documented=False)
RECEIVES: Final = ("oldest", "random")
RECEIVE: Final = Setting(
    "oldest", rule="P19", source="standard queues are unordered at AWS", documented=False
)
POLL_LATENCY_S: Final = Setting(0.012, rule="P20", source="11 to 14 ms", documented=False)
INVOKE_LATENCY_S: Final = Setting(
    0.03, rule="P20", source="41 ms from sent to handler", documented=False
)
LOW_TRAFFIC_WAIT_S: Final = Setting("off", rule="P22", source="AWS: up to 20 s", documented=False)
PROV_GROWTH: Final = Setting(
    "1000/60", rule="P23", source="AWS: 1,000 concurrent invokes a minute", documented=False
)
POLLER_STEP_UP: Final = Setting(2, rule="P24", source="unverified", documented=False)
POLLER_STEP_DOWN: Final = Setting(1, rule="P24", source="unverified", documented=False)
POLLER_EVALUATION_S: Final = Setting(60, rule="P24", source="AWS: each minute", documented=True)
POLLER_EFFECT_S: Final = Setting(
    180, rule="P24", source="AWS: within three minutes", documented=True
)
ITERATOR_AGES: Final = ("start", "end")
ITERATOR_AGE_AT: Final = Setting(
    "start", rule="P25", source="two pages of AWS differ", documented=False
)
