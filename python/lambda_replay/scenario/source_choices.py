"""Choices about event sources that AWS does not document (E10), and which runs they touch.

One sentence for all sources that share a value; where they differ, the values are listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lambda_replay.scenario.choice import Undocumented

if TYPE_CHECKING:
    from lambda_replay.scenario.resolve_sources import ResolvedSource
    from lambda_replay.scenario.resolved import Resolved

__all__ = ["source_choices"]


class _Choice(NamedTuple):
    """A key of sources, its rule, what AWS leaves open, and the facts that it touches."""

    key: str
    rule: str
    sentence: str
    facts: tuple[str, ...]


_STREAMS: Final = "sources_stream"
_QUEUES: Final = "sources_queue"
_KAFKA: Final = "sources_kafka"
_ERRORS: Final = "source_errors"
_THROTTLES: Final = "source_throttles"

#: In the order of E10; ``{}`` is the value, with its unit.
_CHOICES: Final = (
    _Choice("poll_phase_s", "P1", "when in its second a shard is polled: here at {}", (_STREAMS,)),
    _Choice("prop_delay_s", "P2", "how soon a record can be read: here after {}", (_STREAMS,)),
    _Choice("gap_s", "P3", "the time between two batches of a shard: here {}", (_STREAMS, _KAFKA)),
    _Choice("retry_s", "P4", "the wait before a batch is retried: here {}, doubling", (_ERRORS,)),
    _Choice(
        "throttle_retry_s",
        "P5",
        "the wait after a batch was throttled: here {}, growing",
        (_THROTTLES,),
    ),
    _Choice("jitter", "P6", "the jitter of these waits: here {} of them", (_ERRORS, _THROTTLES)),
    _Choice(
        "lane_block", "P8", "what a failing batch of one key holds up: here its {}", (_ERRORS,)
    ),
    _Choice("lookahead", "P9", "how far it reads ahead: here {} records a shard", (_STREAMS,)),
    _Choice("ramp", "P15", "how exactly SQS adds 300 batches a minute: here {}", (_QUEUES,)),
    _Choice("scale_in_s", "P16", "when SQS polls less: here after {} of idleness", (_QUEUES,)),
    _Choice("throttle_retry", "P17", "retries of a throttled batch of SQS: here {}", (_THROTTLES,)),
    _Choice("backoff", "P18", "how much function errors slow SQS down: here by {}", (_ERRORS,)),
    _Choice("receive", "P19", "which messages SQS gives first: here {}", (_QUEUES,)),
    _Choice("poll_latency_s", "P20", "how soon SQS is polled: here after {}", (_QUEUES,)),
    _Choice("poller_step", "P24", "the steps of Kafka's pollers: here {}", (_KAFKA,)),
    _Choice(
        "iterator_age_at", "P25", "when iterator age is taken: here at the {} of a run", (_STREAMS,)
    ),
)
#: Those that matter only where they are used.
_WHERE: Final[dict[str, tuple[str, str, Callable[[ResolvedSource], bool]]]] = {
    "child_delay_s": (
        "P7",
        "the time from a parent shard to its children: here {}",
        lambda source: bool(source.values["reshard"]),
    ),
    "window_anchor": (
        "P10",
        "what a batching window begins with: here {}",
        lambda source: source.values["maximum_batching_window_s"] > 0,
    ),
    "age_check": (
        "P11",
        "when in a back-off a record is too old: here at the {}",
        lambda source: source.values["maximum_record_age_s"] is not None,
    ),
    "idle_final_s": (
        "P13",
        "when an idle tumbling window ends: here {} late",
        lambda source: bool(source.values["tumbling_window_s"]),
    ),
    "start_delay_s": ("P14", "how long enabling takes: here {}", lambda _: False),
    "prov_growth": (
        "P23",
        "how provisioned pollers grow: here {} concurrency a second",
        lambda source: source.pollers is not None,
    ),
}


def source_choices(resolved: Resolved) -> Iterator[Undocumented]:
    """List the choices about event sources in force; none where there are no sources."""
    sources = [*resolved.epochs[0].sources.values()]
    for key, rule, sentence, facts in _CHOICES:
        having = [source for source in sources if key in source.values]
        if key == "throttle_retry_s" and having:
            # That of SQS is part of P17.
            having = [source for source in having if not source.is_queue]
        if having:
            yield _choice(key, rule, sentence, having, facts)
    for key, (rule, sentence, touches) in _WHERE.items():
        having = [source for source in sources if key in source.values and touches(source)]
        if having:
            yield _choice(key, rule, sentence, having, ("sources",))


def _choice(
    key: str, rule: str, sentence: str, sources: list[ResolvedSource], facts: tuple[str, ...]
) -> Undocumented:
    shown = list(dict.fromkeys(_show(key, source.values[key]) for source in sources))
    value = shown[0] if len(shown) == 1 else " or ".join(shown[:4])
    text = f"AWS does not document {sentence.format(value)}."
    name = sources[0].name if len(sources) == 1 else "*"
    return Undocumented(f"event_sources.{name}.{key}", value, rule, text, facts)


def _show(key: str, value: Any) -> str:
    if value is None:
        return "off"
    if key == "scale_in_s":
        return f"{value[0]} and {value[1]} s"
    if key == "poller_step":
        return f"x {value['up']} up, {value['down']} down"
    if key == "jitter":
        return f"{value:.0%}"
    return f"{value} s" if key.endswith("_s") and not isinstance(value, str) else str(value)
