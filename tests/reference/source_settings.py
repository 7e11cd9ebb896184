"""What a scenario says about event sources, with every default of event-sources.md §1 and §10.

Owns reading ``[event_sources.NAME]``. What the documents leave to luck without saying whose
(random phases, jitter, duplicates) is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from reference.units import exact, instant_of, is_off, milliseconds_to_us, one_of, seconds_to_us

STREAMS = ("kinesis", "dynamodb")
QUEUES = ("sqs", "sqs_fifo")
TYPES = (*STREAMS, *QUEUES, "kafka")

DAY_S = 86_400
# rule: E1 (defaults)
BATCH_SIZE = {"kinesis": 100, "dynamodb": 100, "sqs": 10, "sqs_fifo": 10, "kafka": 100}
WINDOW_S = {"kafka": Fraction(1, 2)}
RETENTION_S = {"kinesis": DAY_S, "dynamodb": DAY_S, "sqs": 4 * DAY_S, "sqs_fifo": 4 * DAY_S,
               "kafka": 7 * DAY_S}  # fmt: skip
POLL_S = {"kinesis": Fraction(1), "dynamodb": Fraction(1, 4)}  # rule: E3 (base poll)
# rule: E3 (records and bytes of one read)
READ = {"kinesis": (10_000, 10 * 2**20), "dynamodb": (1_000, 2**20)}
LEAST_LOOKAHEAD = 10_000  # rule: P9
SQS_CAP = 1_250  # rule: E5.1
PER_POLLER = 10  # rule: E5.6 (concurrent invokes of a provisioned poller)
PROVISIONED = {"sqs": (2, 200), "sqs_fifo": (2, 200), "kafka": (1, 200)}

KEYS = frozenset(
    "type function enabled batch_size maximum_batching_window_s parallelization_factor "
    "maximum_retry_attempts maximum_record_age_s bisect_batch_on_function_error "
    "report_batch_item_failures tumbling_window_s starting_position starting_position_timestamp "
    "on_failure enhanced_fan_out retention_s maximum_concurrency visibility_timeout_s "
    "max_receive_count dead_letter_queue provisioned_pollers shards batch_duration base_ms reshard "
    "poll_phase_s prop_delay_s gap_s retry_s retry_cap_s child_delay_s lane_block lookahead "
    "window_anchor age_check idle_final_s start_delay_s stop_delay_s ramp scale_in throttle_retry "
    "throttle_retry_s backoff poll_latency_s invoke_latency_s prov_growth iterator_age_at".split()
)
#: What may change while the trace runs.
CHANGEABLE = frozenset(
    "enabled batch_size maximum_batching_window_s maximum_retry_attempts maximum_record_age_s "
    "bisect_batch_on_function_error report_batch_item_failures on_failure maximum_concurrency "
    "visibility_timeout_s max_receive_count".split()
)


@dataclass(frozen=True)
class Reshard:
    """Shards that end at an instant, one to be split or two to be merged."""

    at: int
    shards: tuple[int, ...]


@dataclass(frozen=True)
class Source:
    """An event source mapping; null limits are none, times are microseconds."""

    name: str
    type: str
    function: str
    enabled: bool
    batch_size: int
    window: int
    lanes: int
    retries: int | None
    age: int | None
    bisect: bool
    report: bool
    tumbling: int
    position: str
    position_at: int | None
    on_failure: str | None
    fan_out: bool
    retention: int
    maximum_concurrency: int | None
    visibility: int
    max_receives: int | None
    dead_letter: str | None
    provisioned: tuple[int, int] | None
    shards: int
    longest: bool
    base: int
    reshard: tuple[Reshard, ...]
    phase: int
    prop: int
    gap: int
    retry: int
    retry_cap: int
    child_delay: int
    shard_blocks: bool
    lookahead: int
    first_record: bool
    age_at_deadline: bool
    idle_final: int
    start_delay: int
    stop_delay: int
    ramp: str
    scale_in: bool
    headroom: bool
    throttle_step: int
    backoff: bool
    poll_latency: int
    invoke_latency: int
    prov_growth: Fraction
    age_of_end: bool


def unlimited(value: Any) -> Any:
    """Return a limit, or null where it is -1 or off: none."""
    return None if is_off(value) or value == -1 else value


def resolve_source(name: str, section: Mapping[str, Any]) -> Source:
    """Return what holds for an event source."""
    unknown = sorted(set(section) - KEYS)
    if unknown:
        message = f"the reference does not model event source keys {unknown}"
        raise ValueError(message)
    kind = one_of(section["type"], *TYPES)
    get = section.get
    batch_size = int(get("batch_size", BATCH_SIZE[kind]))
    lanes = int(get("parallelization_factor", 1))
    fan_out = bool(get("enhanced_fan_out", False))
    on_failure = get("on_failure")
    age, pollers = unlimited(get("maximum_record_age_s")), get("provisioned_pollers")
    retries = unlimited(get("maximum_retry_attempts"))
    if kind == "kafka" and retries is None and not is_off(on_failure):
        retries = 10  # rule: E6 (-1 with an on-failure destination becomes 10)
    if pollers is not None:
        least, most = PROVISIONED[kind]
        pollers = int(pollers.get("min", least)), int(pollers.get("max", most))
    if "max_receive_count" in section and is_off(get("dead_letter_queue")):
        message = "max_receive_count without dead_letter_queue"  # rule: E0.6.18
        raise ValueError(message)
    position = one_of(
        get("starting_position", "TRIM_HORIZON"), "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"
    )
    maximum, receives = get("maximum_concurrency"), get("max_receive_count")
    return Source(
        name=name,
        type=kind,
        function=section["function"],
        enabled=bool(get("enabled", True)),
        batch_size=batch_size,
        window=seconds_to_us(get("maximum_batching_window_s", WINDOW_S.get(kind, 0))),
        lanes=lanes,
        retries=None if retries is None else int(retries),
        age=None if age is None else seconds_to_us(age),
        bisect=bool(get("bisect_batch_on_function_error", False)),
        report=bool(get("report_batch_item_failures", False)),
        tumbling=seconds_to_us(get("tumbling_window_s", 0)),
        position=position,
        position_at=instant_of(section["starting_position_timestamp"])
        if position == "AT_TIMESTAMP"
        else None,
        on_failure=None if is_off(on_failure) else str(on_failure),
        fan_out=fan_out,
        retention=seconds_to_us(get("retention_s", RETENTION_S[kind])),
        maximum_concurrency=None if is_off(maximum) else int(maximum),
        visibility=seconds_to_us(get("visibility_timeout_s", 30)),
        max_receives=None if is_off(receives) else int(receives),
        dead_letter=get("dead_letter_queue"),
        provisioned=pollers,
        shards=int(get("shards", 1)),
        longest=one_of(get("batch_duration", "sum"), "sum", "max") == "max",
        base=milliseconds_to_us(get("base_ms", 0)),
        reshard=tuple(resolve_reshard(one) for one in get("reshard", [])),
        # rule: E10 (P1 to P28)
        phase=seconds_to_us(get("poll_phase_s", 0)),
        prop=seconds_to_us(get("prop_delay_s", Fraction(7, 100) if fan_out else 0)),
        gap=seconds_to_us(exact(get("gap_s", Fraction(1, 50)))),
        retry=seconds_to_us(exact(get("retry_s", Fraction(1, 5)))),
        retry_cap=seconds_to_us(get("retry_cap_s", 60)),
        child_delay=seconds_to_us(get("child_delay_s", 8)),
        shard_blocks=one_of(get("lane_block", "lane"), "lane", "shard") == "shard",
        lookahead=int(get("lookahead", max(10 * batch_size * lanes, LEAST_LOOKAHEAD))),
        first_record=one_of(
            get("window_anchor", "first_record" if kind == "kafka" else "last_done"),
            "last_done", "first_record",
        ) == "first_record",
        age_at_deadline=one_of(get("age_check", "deadline"), "deadline", "next_attempt")
        == "deadline",
        idle_final=seconds_to_us(get("idle_final_s", 120)),
        start_delay=seconds_to_us(get("start_delay_s", 0)),
        stop_delay=seconds_to_us(get("stop_delay_s", 0)),
        ramp=one_of(get("ramp", "continuous"), "continuous", "step60"),
        scale_in=not is_off(get("scale_in", "default")),
        headroom=one_of(get("throttle_retry", "headroom"), "headroom", "none") == "headroom",
        throttle_step=seconds_to_us(exact(get("throttle_retry_s", Fraction(36, 10)))),
        backoff=not is_off(get("backoff", "ratio")),
        poll_latency=seconds_to_us(exact(get("poll_latency_s", Fraction(12, 1000)))),
        invoke_latency=seconds_to_us(exact(get("invoke_latency_s", Fraction(3, 100)))),
        prov_growth=exact(get("prov_growth", Fraction(1000, 60))),
        age_of_end=one_of(get("iterator_age_at", "start"), "start", "end") == "end",
    )  # fmt: skip


def resolve_reshard(section: Mapping[str, Any]) -> Reshard:
    """Return what is split or merged, and when."""
    shards = section["merge"] if "merge" in section else [section["split"]]
    return Reshard(instant_of(section["at"]), tuple(int(shard) for shard in shards))
