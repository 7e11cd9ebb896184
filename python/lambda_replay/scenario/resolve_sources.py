"""From ``[event_sources]`` as given to what the core is told: defaults by type and era.

Owns one explicit structure per source, in which nothing is left out. What does not fit together is
source_checks.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from lambda_replay.scenario import source_limits as of
from lambda_replay.scenario.eras import Era, SourcesPreset
from lambda_replay.scenario.limits import MAX_SECONDS
from lambda_replay.scenario.source_limits import QUEUES, STREAMS
from lambda_replay.scenario.sources import (
    PollersSection,
    PollerStepSection,
    ReshardSection,
    SourceSection,
    growth_per_minute,
)
from lambda_replay.scenario.units import Number, ms_to_us, s_to_us

__all__ = ["Pollers", "ResolvedSource", "resolve_source", "resolve_sources"]

T = TypeVar("T")
#: Longer than any replay.
_NEVER_US = MAX_SECONDS.value * 1_000_000
_MINUTE_US = 60_000_000


class Pollers(NamedTuple):
    """Least and most provisioned pollers."""

    min: int
    max: int


@dataclass(frozen=True, slots=True)
class ResolvedSource:
    """An event source, explicit.

    Attributes
    ----------
    name, type, function
        As given.
    given
        The section itself.
    values
        Every key that its type has, in the key's own unit; None for "off" and "no limit".
    preset
        Of the era.
    """

    name: str
    type: str
    function: str
    given: SourceSection = field(repr=False, hash=False)
    values: Mapping[str, Any] = field(hash=False)
    preset: SourcesPreset

    @property
    def is_queue(self) -> bool:
        """Whether it is SQS, standard or FIFO."""
        return self.type in QUEUES

    @property
    def is_stream(self) -> bool:
        """Whether it is a stream: Kinesis or DynamoDB."""
        return self.type in STREAMS

    @property
    def pollers(self) -> Pollers | None:
        """Provisioned pollers; None in default mode."""
        found: Pollers | None = self.values.get("provisioned_pollers")
        return found

    @property
    def shards(self) -> int:
        """Shards or partitions there ever are, those of reshards included; 1 for queues."""
        if self.is_queue:
            return 1
        first: int = self.values["shards"]
        new = (2 if one.split is not None else 1 for one in self.values.get("reshard", ()))
        return first + sum(new)

    def settings(self) -> tuple[str, Mapping[str, Any]]:
        """Give what two epochs must have in common to be one to the core."""
        return self.function, self.values

    def core_config(self, timeout_us: int | None) -> dict[str, Any]:
        """Give the plain values that the core takes for one epoch: times in microseconds.

        Parameters
        ----------
        timeout_us
            Time-out of the function; None where it has none.
        """
        values = self.values
        return {
            "enabled": values["enabled"],
            "start_delay_us": s_to_us(values["start_delay_s"]),
            "stop_delay_us": s_to_us(values["stop_delay_s"]),
            "batch_size": values["batch_size"],
            "window_us": s_to_us(values.get("maximum_batching_window_s") or 0),
            "report": values["report_batch_item_failures"],
            "batch_duration": values["batch_duration"],
            "base_us": ms_to_us(values["base_ms"]),
            "encoding": of.ENCODING[self.type].value,
            "retention_us": s_to_us(values["retention_s"]),
            "stream": self._stream() if self.is_stream else None,
            "kafka": self._kafka() if self.type == "kafka" else None,
            "queue": self._queue(timeout_us) if self.is_queue else None,
        }

    def _stream(self) -> dict[str, Any]:
        values = self.values
        records, size = of.READ[self.type].value
        return {
            "parallelization_factor": values["parallelization_factor"],
            "retries": self._retries(),
            "tumbling_window_us": _off_or_us(values["tumbling_window_s"] or None),
            "idle_final_us": s_to_us(values["idle_final_s"]),
            "poll_us": None
            if values.get("enhanced_fan_out")
            else s_to_us(of.POLL_S[self.type].value),
            "random_phase": values["poll_phase_s"] == "random",
            "prop_delay_us": s_to_us(values["prop_delay_s"]),
            "read_records": records,
            "read_bytes": size,
            "lookahead": values["lookahead"],
            "child_delay_us": s_to_us(values["child_delay_s"]),
            "block_shard": values["lane_block"] == "shard",
            "window_from_first": values["window_anchor"] == "first_record",
            "age_at_end": values["iterator_age_at"] == "end",
            "from_us": self._from_us(),
            "shards": values["shards"],
            "reshards": [
                (one.at, ("split", one.split, None) if one.merge is None else ("merge", *one.merge))
                for one in values["reshard"]
            ],
        }

    def _kafka(self) -> dict[str, Any]:
        values = self.values
        step = values["poller_step"]
        return {
            "retries": self._retries(),
            "partitions": values["shards"],
            "provisioned": None if self.pollers is None else tuple(self.pollers),
            "invocations_per_poller": of.PER_POLLER["kafka"].value,
            "step_up": step["up"],
            "step_down": step["down"],
            "evaluation_us": s_to_us(step["evaluation_s"]),
            "effect_us": s_to_us(step["effect_s"]),
            "from_us": self._from_us(),
        }

    def _from_us(self) -> int | None:
        at: int | None = self.values["starting_position_timestamp"]
        return at if self.values["starting_position"] == "AT_TIMESTAMP" else None

    def _retries(self) -> dict[str, Any]:
        values = self.values
        return {
            "max_retries": values["maximum_retry_attempts"],
            "max_age_us": _off_or_us(values["maximum_record_age_s"]),
            "age_at_deadline": values["age_check"] == "deadline",
            "bisect": values["bisect_batch_on_function_error"],
            "on_failure": values["on_failure"] is not None,
            "retry": (s_to_us(values["retry_s"]), s_to_us(values["retry_cap_s"])),
            "throttle": (
                s_to_us(values["throttle_retry_s"]),
                s_to_us(values["throttle_retry_cap_s"]),
            ),
            "jitter": float(values["jitter"]),
            "gap_us": s_to_us(values["gap_s"]),
        }

    def _queue(self, timeout_us: int | None) -> dict[str, Any]:
        values = self.values
        scale_in = values["scale_in_s"]
        first, deep = (_NEVER_US, _NEVER_US) if scale_in is None else map(s_to_us, scale_in)
        waits = values["throttle_retry"] == "headroom"
        return {
            "fifo": self.type == "sqs_fifo",
            "visibility_timeout_us": s_to_us(values["visibility_timeout_s"]),
            "max_receive_count": values["max_receive_count"],
            "maximum_concurrency": values["maximum_concurrency"],
            "provisioned": None if self.pollers is None else tuple(self.pollers),
            "receive_messages": of.RECEIVE_MESSAGES.value,
            "most_batches": self.preset.most_batches,
            "ramp_start": of.RAMP_START.value,
            "ramp_per_minute": self.preset.ramp_per_minute,
            "ramp_steps": values["ramp"] == "step60",
            "scale_in_us": first,
            "scale_in_deep_us": deep,
            "throttle_retry_us": s_to_us(values["throttle_retry_s"]) if waits else None,
            "backoff": values["backoff"] == "ratio",
            "receive_random": values["receive"] == "random",
            "poll_latency_us": s_to_us(values["poll_latency_s"]),
            "invoke_latency_us": s_to_us(values["invoke_latency_s"]),
            "low_traffic_wait_us": _off_or_us(values["low_traffic_wait_s"]),
            "provisioned_per_minute": int(growth_per_minute(values["prov_growth"])),
            "invocations_per_poller": of.PER_POLLER[self.type].value,
            "function_timeout_us": timeout_us,
        }


def resolve_sources(given: Mapping[str, SourceSection], era: Era) -> dict[str, ResolvedSource]:
    """Resolve every source, in the order of their names, bytewise."""
    names = sorted(given, key=lambda name: name.encode("utf-8", "surrogatepass"))
    return {name: resolve_source(name, given[name], era) for name in names}


def resolve_source(name: str, given: SourceSection, era: Era) -> ResolvedSource:
    """Resolve one source; keys that its type does not have are left out."""
    values = {**_common(given), **_by_kind(given, era.sources.value)}
    return ResolvedSource(name, given.type, given.function, given, values, era.sources.value)


def _or(given: T | None, default: T) -> T:
    return default if given is None else given


def _unless_off(given: T | str | None) -> T | None:
    """Give None for "off"."""
    return None if isinstance(given, str) else given


def _off_or_us(value: Number | None) -> int | None:
    return None if value is None else s_to_us(value)


def _common(given: SourceSection) -> dict[str, Any]:
    kind = given.type
    window = _or(given.maximum_batching_window_s, of.WINDOW_S[kind].value)
    return {
        "enabled": _or(given.enabled, default=True),
        "batch_size": _or(given.batch_size, of.BATCH_SIZE[kind].value),
        **(
            {}
            if kind == "sqs_fifo"
            else {"maximum_batching_window_s": 0 if window == "off" else window}
        ),
        "report_batch_item_failures": _or(given.report_batch_item_failures, of.REPORT.value),
        "retention_s": _or(given.retention_s, of.RETENTION_S[kind].value),
        "batch_duration": _or(given.batch_duration, of.BATCH_DURATION.value),
        "base_ms": _or(given.base_ms, of.BASE_MS.value),
        "start_delay_s": _or(given.start_delay_s, of.START_DELAY_S.value),
        "stop_delay_s": _or(given.stop_delay_s, of.STOP_DELAY_S.value),
    }


def _by_kind(given: SourceSection, preset: SourcesPreset) -> dict[str, Any]:
    if given.type in QUEUES:
        return _queue(given)
    return {
        **_ordered(given, preset),
        **(_stream(given) if given.type in STREAMS else _kafka(given)),
    }


def _ordered(given: SourceSection, preset: SourcesPreset) -> dict[str, Any]:
    """Streams and Kafka: retries, and where reading begins."""
    is_stream = given.type in STREAMS
    on_failure = None if given.on_failure == "off" else given.on_failure
    retries, age = given.maximum_retry_attempts, given.maximum_record_age_s
    most = _unless_off(retries) if retries is not None else preset.retry_attempts
    most = None if most == -1 else most
    if not is_stream:
        if retries is None:
            most = None
        if most is None and on_failure is not None:
            most = of.KAFKA_RETRY_ATTEMPTS.value
    oldest = _unless_off(age) if age is not None else preset.record_age_s
    if age is None and not is_stream:
        oldest = None
    retry_s = _or(given.retry_s, of.RETRY_S.value)
    cap_s = _or(given.retry_cap_s, of.RETRY_CAP_S.value)
    return {
        "shards": _or(given.shards, of.SHARDS.value),
        "maximum_retry_attempts": most,
        "maximum_record_age_s": oldest,
        "bisect_batch_on_function_error": _or(
            given.bisect_batch_on_function_error, of.BISECT.value
        ),
        "on_failure": on_failure,
        "starting_position": _or(given.starting_position, of.STARTING_POSITION.value),
        "starting_position_timestamp": given.starting_position_timestamp,
        "gap_s": _or(given.gap_s, of.GAP_S.value),
        "retry_s": retry_s,
        "retry_cap_s": cap_s,
        "throttle_retry_s": _or(given.throttle_retry_s, retry_s),
        "throttle_retry_cap_s": _or(given.throttle_retry_cap_s, cap_s),
        "jitter": _unless_off(_or(given.jitter, of.JITTER.value)) or 0,
        "age_check": _or(given.age_check, of.AGE_CHECK.value),
    }


def _stream(given: SourceSection) -> dict[str, Any]:
    fan_out = _or(given.enhanced_fan_out, default=False)
    factor = _or(given.parallelization_factor, of.PARALLELIZATION_FACTOR.value)
    records, batches = of.LOOKAHEAD.value
    size = _or(given.batch_size, of.BATCH_SIZE[given.type].value)
    delay = of.PROP_DELAY_FAN_OUT_S.value if fan_out else of.PROP_DELAY_S.value
    return {
        "parallelization_factor": factor,
        "tumbling_window_s": _unless_off(_or(given.tumbling_window_s, 0)) or 0,
        **({"enhanced_fan_out": fan_out} if given.type == "kinesis" else {}),
        "reshard": _in_time(given.reshard),
        "poll_phase_s": _or(given.poll_phase_s, of.POLL_PHASE_S.value),
        "prop_delay_s": _or(given.prop_delay_s, delay),
        "child_delay_s": _or(given.child_delay_s, of.CHILD_DELAY_S.value),
        "lane_block": _or(given.lane_block, of.LANE_BLOCK.value),
        "lookahead": _or(given.lookahead, max(batches * size * factor, records)),
        "window_anchor": _or(given.window_anchor, of.WINDOW_ANCHOR.value),
        "idle_final_s": _or(given.idle_final_s, of.IDLE_FINAL_S.value),
        "iterator_age_at": _or(given.iterator_age_at, of.ITERATOR_AGE_AT.value),
    }


def _in_time(reshards: list[ReshardSection]) -> tuple[ReshardSection, ...]:
    """Give reshards in order of time; those of one instant as in the file."""
    return tuple(sorted(reshards, key=lambda one: one.at))


def _kafka(given: SourceSection) -> dict[str, Any]:
    step = given.poller_step or PollerStepSection()
    return {
        "provisioned_pollers": _pollers(given),
        "poller_step": {
            "up": _or(step.up, of.POLLER_STEP_UP.value),
            "down": _or(step.down, of.POLLER_STEP_DOWN.value),
            "evaluation_s": _or(step.evaluation_s, of.POLLER_EVALUATION_S.value),
            "effect_s": _or(step.effect_s, of.POLLER_EFFECT_S.value),
        },
    }


def _queue(given: SourceSection) -> dict[str, Any]:
    dead_letters = None if given.dead_letter_queue == "off" else given.dead_letter_queue
    most = _or(given.max_receive_count, of.MAX_RECEIVE_COUNT.value)
    scale_in = _or(given.scale_in_s, of.SCALE_IN_S.value)
    return {
        "maximum_concurrency": _unless_off(given.maximum_concurrency),
        "visibility_timeout_s": _or(given.visibility_timeout_s, of.VISIBILITY_TIMEOUT_S.value),
        "max_receive_count": None if dead_letters is None else _unless_off(most),
        "dead_letter_queue": dead_letters,
        "provisioned_pollers": _pollers(given),
        "ramp": _or(given.ramp, of.RAMP.value),
        "scale_in_s": _unless_off(scale_in),
        "throttle_retry": _or(given.throttle_retry, of.THROTTLE_RETRY.value),
        "throttle_retry_s": _or(given.throttle_retry_s, of.THROTTLE_RETRY_S.value),
        "backoff": _or(given.backoff, of.BACKOFF.value),
        "receive": _or(given.receive, of.RECEIVE.value),
        "poll_latency_s": _or(given.poll_latency_s, of.POLL_LATENCY_S.value),
        "invoke_latency_s": _or(given.invoke_latency_s, of.INVOKE_LATENCY_S.value),
        "low_traffic_wait_s": _unless_off(given.low_traffic_wait_s),
        "prov_growth": _or(given.prov_growth, of.PROV_GROWTH.value),
    }


def _pollers(given: SourceSection) -> Pollers | None:
    pollers = given.provisioned_pollers
    if not isinstance(pollers, PollersSection):
        return None
    least = _or(pollers.min, of.POLLERS_MIN_RANGE[given.type].value.minimum)
    return Pollers(least, _or(pollers.max, max(of.POLLERS_MAX.value, least)))
