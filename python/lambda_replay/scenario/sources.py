"""What ``[event_sources.NAME]`` may say, key by key (E1, E10).

Owns names, types and the widest ranges. What a key may be for one type of source, and what keys say
together, stands in source_checks.py; defaults in source_limits.py.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Final

from pydantic import Field, model_validator

from lambda_replay.names import split
from lambda_replay.scenario import limits, source_limits
from lambda_replay.scenario.account import exact_refill
from lambda_replay.scenario.eras import Era
from lambda_replay.scenario.globs import compile_glob
from lambda_replay.scenario.section import Section, about
from lambda_replay.scenario.source_limits import KINDS
from lambda_replay.scenario.takes import (
    INSTANT,
    Takes,
    check_number,
    check_whole,
    choice,
    fail,
    flag,
    number,
    seconds,
    table,
    text,
    whole,
)
from lambda_replay.scenario.units import Number, Pair

__all__ = ["PollerStepSection", "PollersSection", "ReshardSection", "SourceSection"]

_COUNTS: Final = limits.COUNT_RANGE.value
_SHARD: Final = whole(limits.Range(0, limits.COUNT_RANGE.value.maximum))


class PollersSection(Section):
    """``provisioned_pollers``: event pollers of provisioned mode (E5.6, E6)."""

    min: Annotated[int | None, whole(_COUNTS)] = Field(
        default=None, description="Fewest event pollers. Default: the least there may be."
    )
    max: Annotated[int | None, whole(_COUNTS)] = Field(
        default=None, description=about("Most event pollers.", source_limits.POLLERS_MAX)
    )


class PollerStepSection(Section):
    """``poller_step``: how on-demand Kafka changes its pollers (P24)."""

    up: Annotated[int | None, whole(limits.Range(1, 1_000))] = Field(
        default=None,
        description=about("Times so many while messages wait.", source_limits.POLLER_STEP_UP),
    )
    down: Annotated[int | None, whole(limits.Range(0, 1_000))] = Field(
        default=None,
        description=about("So many fewer where none wait.", source_limits.POLLER_STEP_DOWN),
    )
    evaluation_s: Annotated[Number | None, seconds()] = Field(
        default=None,
        description=about("Time between two looks.", source_limits.POLLER_EVALUATION_S),
    )
    effect_s: Annotated[Number | None, seconds(least=0)] = Field(
        default=None,
        description=about("From a look to its effect.", source_limits.POLLER_EFFECT_S),
    )


def _check_merge(value: object, _era: Era) -> tuple[int, int]:
    if not isinstance(value, list):
        fail("type")
    if len(value) != 2:
        fail("shape", detail=f"{len(value)} elements")
    first, second = (check_whole(one, _COUNTS) for one in value)
    if first == second:
        fail("shape", detail="the same shard twice")
    return first, second


class ReshardSection(Section):
    """``[[event_sources.NAME.reshard]]``: shards that are split or merged (E4.11)."""

    at: Annotated[int, INSTANT] = Field(description="When.")
    split: Annotated[int | None, _SHARD] = Field(
        default=None, description="Shard that two new ones take the place of."
    )
    merge: Annotated[
        tuple[int, int] | None,
        Takes(_check_merge, "two numbers of shards such as [1, 2]", list[int]),
    ] = Field(default=None, description="Shards that a new one takes the place of.")

    @model_validator(mode="after")
    def _one(self) -> ReshardSection:
        if (self.split is None) == (self.merge is None):
            found = "none" if self.split is None else "both"
            fail("contradiction", detail=f"a reshard is split or merge; found {found}")
        return self


def _check_function(value: object, _era: Era) -> str:
    if not isinstance(value, str):
        fail("type")
    if split(value) is None or compile_glob(value) is not None:
        fail("choice")
    return value


def _check_age(value: object, _era: Era) -> int | str:
    if value in ("off", -1) and not isinstance(value, bool):
        return "off"
    return check_whole(value, source_limits.MAXIMUM_RECORD_AGE_RANGE.value)


def _check_phase(value: object, _era: Era) -> Number | str:
    if isinstance(value, (bool, list, dict)):
        fail("type")
    if value not in {"random", 0}:
        fail("choice")
    return "random" if value == "random" else 0


def _check_scale_in(value: object, _era: Era) -> Pair | str:
    if value == "off":
        return "off"
    if not isinstance(value, list):
        fail("type")
    if len(value) != 2:
        fail("shape", detail=f"{len(value)} elements")
    low, high = (
        check_number(one, limits.MIN_SECONDS.value, limits.MAX_SECONDS.value) for one in value
    )
    if low > high:
        fail("shape", detail="the first is above the second", suggestion=f"[{high}, {low}]")
    return low, high


def growth_per_minute(value: Number | str) -> Fraction:
    """Give ``prov_growth``, per second as it was written, per minute."""
    per_minute: Fraction = exact_refill(value) * 60
    return per_minute


def _check_growth(value: object, _era: Era) -> Number | str:
    if isinstance(value, str):
        try:
            per_minute = growth_per_minute(value)
        except ValueError:
            fail("choice")
    else:
        value = check_number(value, 0, limits.FACTOR_MAX.value)
        per_minute = growth_per_minute(value)
    if per_minute.denominator != 1 or not 0 < per_minute <= _COUNTS.maximum:
        fail("range")
    return value


_DELAY: Final = seconds(least=0)
# Without a wait, what always fails would be tried for ever at one instant.
_WAIT: Final = seconds()


class SourceSection(Section):
    """``[event_sources.NAME]``: a mapping and the stream, queue or topic it reads (E1, E10)."""

    type: Annotated[str, choice(*KINDS)] = Field(description="What is read.")
    function: Annotated[
        str,
        Takes(_check_function, "the name of a function, name or name:qualifier, no glob", str),
    ] = Field(description="Function that its batches invoke.")
    enabled: Annotated[bool | None, flag()] = Field(
        default=None, description="Whether the mapping is enabled. Default true (E3)."
    )
    batch_size: Annotated[int | None, whole(source_limits.WIDEST_BATCH_SIZE.value)] = Field(
        default=None, description="Records of a batch at most. Default 100; 10 for SQS (E1)."
    )
    maximum_batching_window_s: Annotated[
        Number | str | None,
        number(0, source_limits.WINDOW_MAX_S.value, "a number of seconds", "off"),
    ] = Field(
        default=None,
        description="How long a batch may wait for more records. Default 0; 0.5 for Kafka (E2).",
    )
    parallelization_factor: Annotated[
        int | None, whole(source_limits.PARALLELIZATION_FACTOR_RANGE.value)
    ] = Field(
        default=None,
        description=about("Batches of one shard at once.", source_limits.PARALLELIZATION_FACTOR),
    )
    maximum_retry_attempts: Annotated[
        int | str | None, whole(source_limits.MAXIMUM_RETRY_ATTEMPTS_RANGE.value, "", "off")
    ] = Field(
        default=None,
        description="Retries of a batch after a function error; -1 or off: no limit. "
        "Default by era (E1).",
    )
    maximum_record_age_s: Annotated[
        int | str | None,
        Takes(_check_age, 'an integer from 60 to 604800, -1 or "off"', int | str),
    ] = Field(
        default=None,
        description="How old a record may become before it is discarded; -1 or off: no limit. "
        "Default by era (E1).",
    )
    bisect_batch_on_function_error: Annotated[bool | None, flag()] = Field(
        default=None, description=about("Whether a failed batch is halved.", source_limits.BISECT)
    )
    report_batch_item_failures: Annotated[bool | None, flag()] = Field(
        default=None,
        description=about("Whether the function's partial response counts.", source_limits.REPORT),
    )
    tumbling_window_s: Annotated[
        int | str | None, whole(source_limits.TUMBLING_WINDOW_RANGE.value, "", "off")
    ] = Field(default=None, description="Length of tumbling windows; 0: none. Default 0 (E4.10).")
    starting_position: Annotated[str | None, choice(*source_limits.STARTING_POSITIONS)] = Field(
        default=None,
        description=about("Where reading begins.", source_limits.STARTING_POSITION),
    )
    starting_position_timestamp: Annotated[int | None, INSTANT] = Field(
        default=None, description="From when on, for AT_TIMESTAMP (E1)."
    )
    on_failure: Annotated[str | None, text("a name that deliveries are counted under")] = Field(
        default=None,
        description='Where discarded batches are described: a name to count under. Default "off" '
        "(E4.9).",
    )
    enhanced_fan_out: Annotated[bool | None, flag()] = Field(
        default=None, description="Whether records are pushed. Default false (E3)."
    )
    retention_s: Annotated[Number | None, seconds()] = Field(
        default=None,
        description="How long a record stays. Default 86400; SQS 345600, Kafka 604800 (E3, P28).",
    )
    maximum_concurrency: Annotated[
        int | str | None, whole(source_limits.MAXIMUM_CONCURRENCY_RANGE.value, "", "off")
    ] = Field(default=None, description='Most batches of a queue at once. Default "off" (E5.5).')
    visibility_timeout_s: Annotated[
        int | None, whole(source_limits.VISIBILITY_TIMEOUT_RANGE.value)
    ] = Field(
        default=None,
        description=about(
            "How long a received message stays hidden.", source_limits.VISIBILITY_TIMEOUT_S
        ),
    )
    max_receive_count: Annotated[
        int | str | None, whole(source_limits.MAX_RECEIVE_COUNT_RANGE.value, "", "off")
    ] = Field(
        default=None,
        description="Receives before a message goes to the dead-letter queue. Default 10 where "
        "there is one (E5.2).",
    )
    dead_letter_queue: Annotated[str | None, text("a name that messages are counted under")] = (
        Field(default=None, description='Name of the dead-letter queue. Default "off" (E5.2).')
    )
    provisioned_pollers: Annotated[
        PollersSection | str | None,
        table(PollersSection, 'a table with min and max, or "off"', "off"),
    ] = Field(default=None, description='Provisioned mode. Default "off" (E5.6, E6).')
    shards: Annotated[int | None, whole(source_limits.SHARDS_RANGE.value)] = Field(
        default=None, description=about("Shards or partitions.", source_limits.SHARDS)
    )
    reshard: list[ReshardSection] = Field(
        default_factory=list, description="Shards that are split or merged (E4.11)."
    )
    batch_duration: Annotated[str | None, choice(*source_limits.BATCH_DURATIONS)] = Field(
        default=None,
        description=about(
            "What a batch makes of its records' duration_ms.", source_limits.BATCH_DURATION
        ),
    )
    base_ms: Annotated[
        Number | None, number(0, limits.INIT_MS_MAX.value, "a number of milliseconds")
    ] = Field(
        default=None, description=about("What a batch takes beside that.", source_limits.BASE_MS)
    )
    # What AWS does not document (E10).
    poll_phase_s: Annotated[
        Number | str | None, Takes(_check_phase, '0 or "random"', int | str)
    ] = Field(
        default=None,
        description=about("When in its period a shard is polled.", source_limits.POLL_PHASE_S),
    )
    prop_delay_s: Annotated[Number | None, _DELAY] = Field(
        default=None,
        description="From a record's arrival until it can be read. Default 0; 0.07 with enhanced "
        "fan-out (P2, not documented by AWS).",
    )
    gap_s: Annotated[Number | None, _DELAY] = Field(
        default=None,
        description=about("From the end of a batch to the next start.", source_limits.GAP_S),
    )
    retry_s: Annotated[Number | None, _WAIT] = Field(
        default=None,
        description=about("First wait after a function error; doubles.", source_limits.RETRY_S),
    )
    retry_cap_s: Annotated[Number | None, _WAIT] = Field(
        default=None, description=about("Longest such wait.", source_limits.RETRY_CAP_S)
    )
    throttle_retry_s: Annotated[Number | None, _WAIT] = Field(
        default=None,
        description="First wait after a 429; doubles. Default as retry_s; SQS 3.6 "
        "(P17, not documented by AWS).",
    )
    throttle_retry_cap_s: Annotated[Number | None, _WAIT] = Field(
        default=None,
        description="Longest such wait. Default as retry_cap_s (P5, not documented by AWS).",
    )
    jitter: Annotated[Number | str | None, number(0, 1, "a number", "off")] = Field(
        default=None, description=about("Half width of the waits' jitter.", source_limits.JITTER)
    )
    child_delay_s: Annotated[Number | None, _DELAY] = Field(
        default=None,
        description=about("From the parents' end to a child.", source_limits.CHILD_DELAY_S),
    )
    lane_block: Annotated[str | None, choice(*source_limits.LANE_BLOCKS)] = Field(
        default=None,
        description=about("What a failing lane holds up.", source_limits.LANE_BLOCK),
    )
    lookahead: Annotated[int | None, whole(limits.Range(1, _COUNTS.maximum))] = Field(
        default=None,
        description="Records of a shard on their way before reading stops. Default 10000, or "
        "10 x batch_size x parallelization_factor where that is more (P9, not documented by AWS).",
    )
    window_anchor: Annotated[str | None, choice(*source_limits.WINDOW_ANCHORS)] = Field(
        default=None,
        description=about("What a batching window begins with.", source_limits.WINDOW_ANCHOR),
    )
    age_check: Annotated[str | None, choice(*source_limits.AGE_CHECKS)] = Field(
        default=None,
        description=about("When too old a record is discarded.", source_limits.AGE_CHECK),
    )
    idle_final_s: Annotated[Number | None, _DELAY] = Field(
        default=None,
        description=about(
            "From a tumbling window's end to its final call.", source_limits.IDLE_FINAL_S
        ),
    )
    start_delay_s: Annotated[Number | None, _DELAY] = Field(
        default=None,
        description=about("From enabling to the first poll.", source_limits.START_DELAY_S),
    )
    stop_delay_s: Annotated[Number | None, _DELAY] = Field(
        default=None,
        description=about("From disabling to the last poll.", source_limits.STOP_DELAY_S),
    )
    ramp: Annotated[str | None, choice(*source_limits.RAMPS)] = Field(
        default=None, description=about("How SQS adds batches.", source_limits.RAMP)
    )
    scale_in_s: Annotated[
        Pair | str | None,
        Takes(_check_scale_in, '[a, b] with 0 < a <= b, or "off"', list[float] | str),
    ] = Field(
        default=None,
        description=about("Idle for so long: back to 5, then to 2.", source_limits.SCALE_IN_S),
    )
    throttle_retry: Annotated[str | None, choice(*source_limits.THROTTLE_RETRIES)] = Field(
        default=None,
        description=about("Retries of a 429 within a lease.", source_limits.THROTTLE_RETRY),
    )
    backoff: Annotated[str | None, choice(*source_limits.BACKOFFS)] = Field(
        default=None,
        description=about("How function errors lower concurrency.", source_limits.BACKOFF),
    )
    receive: Annotated[str | None, choice(*source_limits.RECEIVES)] = Field(
        default=None,
        description=about("Which visible messages a receive takes.", source_limits.RECEIVE),
    )
    poll_latency_s: Annotated[Number | None, _DELAY] = Field(
        default=None,
        description=about("From sent to received.", source_limits.POLL_LATENCY_S),
    )
    invoke_latency_s: Annotated[Number | None, _DELAY] = Field(
        default=None,
        description=about("From received to invoked.", source_limits.INVOKE_LATENCY_S),
    )
    low_traffic_wait_s: Annotated[Number | str | None, seconds("off")] = Field(
        default=None,
        description=about(
            "Wait with a window and little traffic.", source_limits.LOW_TRAFFIC_WAIT_S
        ),
    )
    prov_growth: Annotated[
        Number | str | None,
        Takes(
            _check_growth,
            'concurrency per second as a number or a fraction such as "1000/60", whole per minute',
            float | str,
        ),
    ] = Field(
        default=None,
        description=about("Growth of provisioned pollers.", source_limits.PROV_GROWTH),
    )
    poller_step: PollerStepSection | None = Field(
        default=None, description="How on-demand Kafka changes its pollers (P24)."
    )
    iterator_age_at: Annotated[str | None, choice(*source_limits.ITERATOR_AGES)] = Field(
        default=None,
        description=about("When iterator age is taken.", source_limits.ITERATOR_AGE_AT),
    )
