"""What an event source cannot be: keys of another type, ranges by type, what excludes what.

Owns the limits of E1 that depend on the type of a source or on its function. The widest ranges
stand with the keys in sources.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from lambda_replay.exceptions import show
from lambda_replay.scenario import source_limits as of
from lambda_replay.scenario.epoch import Epoch
from lambda_replay.scenario.keys import KeyPath
from lambda_replay.scenario.resolve_sources import ResolvedSource
from lambda_replay.scenario.source_limits import QUEUES, STREAMS
from lambda_replay.scenario.sources import ReshardSection, SourceSection
from lambda_replay.scenario.units import Number, show_instant

__all__ = ["KINDS_OF", "Misfit", "misfits"]


class Misfit(NamedTuple):
    """A key of a scenario, what is wrong, and the code of the problem."""

    path: KeyPath
    message: str
    code: str = "LR-S006"


_ORDERED: Final = (*STREAMS, "kafka")
#: Types that have a key, for keys that not all of them have.
KINDS_OF: Final[dict[str, tuple[str, ...]]] = {
    "maximum_batching_window_s": (*STREAMS, "sqs", "kafka"),
    "enhanced_fan_out": ("kinesis",),
    **dict.fromkeys(
        (
            *("parallelization_factor", "tumbling_window_s", "reshard", "poll_phase_s"),
            *("prop_delay_s", "child_delay_s", "lane_block", "lookahead", "window_anchor"),
            *("idle_final_s", "iterator_age_at"),
        ),
        STREAMS,
    ),
    **dict.fromkeys(
        (
            *("shards", "maximum_retry_attempts", "maximum_record_age_s", "on_failure"),
            *("bisect_batch_on_function_error", "starting_position"),
            *("starting_position_timestamp", "gap_s", "retry_s", "retry_cap_s"),
            *("throttle_retry_cap_s", "jitter", "age_check"),
        ),
        _ORDERED,
    ),
    "poller_step": ("kafka",),
    "provisioned_pollers": (*QUEUES, "kafka"),
    **dict.fromkeys(
        (
            *("maximum_concurrency", "visibility_timeout_s", "max_receive_count"),
            *("dead_letter_queue", "ramp", "scale_in_s", "throttle_retry", "backoff", "receive"),
            *("poll_latency_s", "invoke_latency_s", "low_traffic_wait_s", "prov_growth"),
        ),
        QUEUES,
    ),
}
#: Kafka has them with provisioned pollers alone (E6).
_PROVISIONED_ONLY: Final = (
    "maximum_retry_attempts",
    "maximum_record_age_s",
    "bisect_batch_on_function_error",
    "report_batch_item_failures",
    "on_failure",
)
#: Values that ask for nothing: a key of another type may have them.
_NOTHING: Final[tuple[object, ...]] = (None, False, 0, -1, "off", [])


def _is_nothing(key: str, value: object) -> bool:
    """Tell whether a value asks for nothing; no retries at all are something."""
    if key == "maximum_retry_attempts" and value == 0:
        return False
    return any(value == one for one in _NOTHING)


def misfits(epoch: Epoch) -> Iterator[Misfit]:
    """List what is wrong with the event sources of one epoch."""
    for name, source in epoch.sources.items():
        timeout_us = epoch.function(source.function).timeout_us
        for key, message, *code in _source(source, timeout_us):
            yield Misfit(("event_sources", name, *key), message, *code)


_Found = Iterator[tuple[KeyPath, str] | tuple[KeyPath, str, str]]


def _source(source: ResolvedSource, timeout_us: int | None) -> _Found:
    given, kind = source.given, source.type
    if source.name in ("sync", "async", ""):
        found = f"{show(source.name)} is no name for a source: rows of sync and async are requests"
        yield (), found if source.name else "the name of a source is empty"
    for key, kinds in KINDS_OF.items():
        value = getattr(given, key)
        if kind not in kinds and not _is_nothing(key, value):
            has = (
                " and ".join(kinds)
                if len(kinds) < 3
                else f"{', '.join(kinds[:-1])} and {kinds[-1]}"
            )
            yield (key,), f"type {kind} has no {key}: it is for {has} (E1)"
    yield from _ranges(given)
    yield from _window(given)
    if kind in QUEUES:
        yield from _queue(source, timeout_us)
    else:
        yield from _ordered(source)
    yield from _pollers(source)
    if kind in STREAMS:
        yield from _reshards(source)


def _out(value: object, expected: str) -> str:
    return f"{show(value)} is out of range; expected {expected}"


def _ranges(given: SourceSection) -> _Found:
    kind = given.type
    most = of.BATCH_SIZE_RANGE[kind].value
    if given.batch_size is not None and given.batch_size not in most:
        expected = f"an integer from {most} (type {kind}, E1)"
        yield ("batch_size",), _out(given.batch_size, expected), "LR-S005"
    low, high = of.RETENTION_RANGE[kind].value
    if given.retention_s is not None and not low <= given.retention_s <= high:
        rule = of.RETENTION_RANGE[kind].rule
        expected = f"a number of seconds from {low} to {high} (type {kind}, {rule})"
        yield ("retention_s",), _out(given.retention_s, expected), "LR-S005"


def _window(given: SourceSection) -> _Found:
    window, kind = given.maximum_batching_window_s, given.type
    if kind == "sqs_fifo":
        return
    is_whole = not isinstance(window, float) or window.is_integer()
    if not is_whole and not (kind == "kafka" and window == of.WINDOW_S["kafka"].value):
        expected = "whole seconds from 0 to 300 (E1)"
        if kind == "kafka":
            expected = "whole seconds from 0 to 300, or 0.5, the default (E1)"
        yield ("maximum_batching_window_s",), _out(window, expected), "LR-S005"
    size = given.batch_size or 0
    calls = of.RECEIVE_MESSAGES.value
    seconds: Number = 0 if window is None or isinstance(window, str) else window
    if kind == "sqs" and size > calls and seconds < 1:
        message = (
            f"batch_size {size} is above {calls}, which needs maximum_batching_window_s of 1 or "
            f"more (type sqs, E1); found {show(window if window is not None else 0)}"
        )
        key = "batch_size" if window is None else "maximum_batching_window_s"
        yield (key,), message


def _ordered(source: ResolvedSource) -> _Found:
    given, kind = source.given, source.type
    factor = given.parallelization_factor or 1
    if kind in STREAMS and factor > 1 and source.values["tumbling_window_s"]:
        message = (
            f"parallelization_factor {factor} and tumbling_window_s "
            f"{source.values['tumbling_window_s']} exclude each other (E1)"
        )
        yield ("parallelization_factor",), message
    position, at = source.values["starting_position"], given.starting_position_timestamp
    if position == "AT_TIMESTAMP" and kind == "dynamodb":
        message = "'AT_TIMESTAMP' is for kinesis and kafka; DynamoDB has TRIM_HORIZON and LATEST"
        yield ("starting_position",), f"{message} (E1)"
    elif position == "AT_TIMESTAMP" and at is None:
        message = "AT_TIMESTAMP needs starting_position_timestamp = a date and time"
        yield ("starting_position",), message
    elif at is not None and position != "AT_TIMESTAMP":
        message = f'is for starting_position = "AT_TIMESTAMP"; found "{position}"'
        yield ("starting_position_timestamp",), message
    if kind == "kafka" and source.pollers is None:
        for key in _PROVISIONED_ONLY:
            value = getattr(given, key)
            if not _is_nothing(key, value):
                message = (
                    f"{show(value)} needs provisioned_pollers: Kafka has {key} in provisioned "
                    "mode alone (E6)"
                )
                yield (key,), message


def _queue(source: ResolvedSource, timeout_us: int | None) -> _Found:
    given, values = source.given, source.values
    visible_us = values["visibility_timeout_s"] * 1_000_000
    if timeout_us is not None and timeout_us > visible_us:
        message = (
            f"timeout_s {timeout_us / 1e6:g} of {source.function} is above visibility_timeout_s "
            f"{values['visibility_timeout_s']}: AWS refuses such a mapping, and advises 6 times "
            "the time-out (E1)"
        )
        yield ("visibility_timeout_s",), message
    receives = given.max_receive_count
    if receives not in (None, "off") and values["dead_letter_queue"] is None:
        message = (
            f"{receives} needs dead_letter_queue, the name of where messages go then (E0.6.18)"
        )
        yield ("max_receive_count",), message


def _pollers(source: ResolvedSource) -> _Found:
    pollers, kind = source.pollers, source.type
    if pollers is None or kind not in of.POLLERS_MIN_RANGE:
        return
    at = "provisioned_pollers"
    for key, value, valid in (
        ("min", pollers.min, of.POLLERS_MIN_RANGE[kind].value),
        ("max", pollers.max, of.POLLERS_MAX_RANGE[kind].value),
    ):
        if value not in valid:
            yield (at, key), _out(value, f"an integer from {valid} (type {kind}, E1)"), "LR-S005"
    if pollers.min > pollers.max:
        yield (at, "min"), f"min {pollers.min} is above max {pollers.max}"
    if kind in QUEUES and source.values["maximum_concurrency"] is not None:
        message = "maximum_concurrency and provisioned_pollers exclude each other (E5.5)"
        yield ("maximum_concurrency",), message


# ---------------------------------------------------------------------------- shards


class _Shard(NamedTuple):
    """Part of the range of hashes, as fractions of 2^128 over a common denominator."""

    low: int
    high: int


def _reshards(source: ResolvedSource) -> _Found:
    """Follow the shards through time: whether those named are there, and lie side by side."""
    count: int = source.values["shards"]
    numbers = {id(one): place for place, one in enumerate(source.given.reshard)}
    reshards: tuple[ReshardSection, ...] = source.values["reshard"]
    # Every split halves; so many times and the ends stay whole.
    unit = 1 << (1 + sum(one.split is not None for one in reshards))
    shards = {number: _Shard(number * unit, (number + 1) * unit) for number in range(count)}
    closed: dict[int, int] = {}
    new = count
    for one in reshards:
        at: KeyPath = ("reshard", numbers[id(one)])
        named: list[int] = [one.split] if one.split is not None else [*(one.merge or ())]
        wrong = [number for number in named if number not in shards]
        key = "split" if one.split is not None else "merge"
        if wrong:
            yield (*at, key), _no_shard(wrong[0], one.at, closed, shards)
            return
        first = shards[named[0]]
        if one.split is not None:
            middle = (first.low + first.high) // 2
            parts = [_Shard(first.low, middle), _Shard(middle, first.high)]
        else:
            second = shards[named[1]]
            low, high = sorted((first, second))
            if low.high != high.low:
                beside = [
                    str(number)
                    for number, other in shards.items()
                    if other.high == first.low or other.low == first.high
                ]
                message = (
                    f"shards {named[0]} and {named[1]} are not neighbours in the range of hashes: "
                    f"beside {named[0]} are {' and '.join(beside) or 'none'} (E4.11)"
                )
                yield (*at, "merge"), message
                return
            parts = [_Shard(low.low, high.high)]
        for number in named:
            del shards[number]
            closed[number] = one.at
        for part in parts:
            shards[new] = part
            new += 1


def _no_shard(number: int, at_us: int, closed: dict[int, int], shards: dict[int, _Shard]) -> str:
    there = sorted(shards)
    shown = ", ".join(map(str, there[:8])) + (", …" if len(there) > 8 else "")
    if number in closed:
        since = f"shard {number} is closed since {show_instant(closed[number])}"
    else:
        since = f"there is no shard {number}"
    return f"{since}; open at {show_instant(at_us)} are {shown}"
