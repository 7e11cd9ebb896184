"""What an event source may well mean otherwise: no error, and worth a second look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from lambda_replay.scenario import source_limits as of
from lambda_replay.scenario.keys import KeyPath
from lambda_replay.scenario.source_limits import QUEUES

if TYPE_CHECKING:
    from lambda_replay.scenario.check import Checked
    from lambda_replay.scenario.epoch import Epoch
    from lambda_replay.scenario.resolve_sources import ResolvedSource

__all__ = ["source_findings"]

#: AWS's advice: visibility of so many times the function's time-out, so many receives.
_TIMES: Final = 6
_RECEIVES: Final = 5
#: Keys that did not exist before an era, and since when they do (E12).
_SINCE: Final = (
    ("parallelization_factor", "2019-12", "came on 2019-11-25"),
    ("bisect_batch_on_function_error", "2019-12", "came on 2019-11-25"),
    ("maximum_retry_attempts", "2019-12", "came on 2019-11-25"),
    ("maximum_record_age_s", "2019-12", "came on 2019-11-25"),
    ("on_failure", "2019-12", "came on 2019-11-25"),
    ("tumbling_window_s", "2020-12", "came in December 2020"),
    ("report_batch_item_failures", "2020-12", "came in December 2020"),
    ("maximum_concurrency", "2023-11", "came in January 2023"),
    ("provisioned_pollers", "2025-08", "came in November 2024 (Kafka) and 2025 (SQS)"),
)

_Found = Iterator[tuple[KeyPath, str]]


def source_findings(checked: Checked) -> _Found:
    """List what is worth a second look, source by source."""
    epoch = checked.epochs[0]
    for name, source in epoch.sources.items():
        for key, message in _source(checked, epoch, source):
            yield ("event_sources", name, *key), message
    yield from _concurrency(epoch)


def _source(checked: Checked, epoch: Epoch, source: ResolvedSource) -> _Found:
    given, values = source.given, source.values
    timeout_us = epoch.function(source.function).timeout_us
    for key, since, when in _SINCE:
        if getattr(given, key) not in (None, False, "off") and checked.era.name < since:
            yield (key,), f"is used although the era is {checked.era.name}: it {when}"
    if given.enabled is False and not _enabled_later(checked, source.name):
        yield ("enabled",), "the mapping stays disabled: its records are never read (E3)"
    if source.type in QUEUES:
        yield from _queue(source, timeout_us)
        return
    unlimited = values["maximum_retry_attempts"] is None and values["maximum_record_age_s"] is None
    if unlimited and (source.is_stream or source.pollers is not None):
        days = values["retention_s"] / 86_400
        message = (
            "neither retries nor age have a limit: a record that always fails blocks its shard "
            f"for {days:g} days, until retention removes it (E4.5)"
        )
        yield ("maximum_retry_attempts",), message
    if source.type == "kinesis" and values["retention_s"] < of.RETENTION_S["kinesis"].value:
        yield ("retention_s",), f"{values['retention_s']:g} s is less than AWS offers: 86400 (E3)"
    if source.type == "dynamodb" and values["retention_s"] != of.RETENTION_S["dynamodb"].value:
        yield ("retention_s",), f"{values['retention_s']:g} s is not what AWS has: 86400 (E3)"
    if values["maximum_record_age_s"] and values["maximum_record_age_s"] >= values["retention_s"]:
        message = (
            f"{values['maximum_record_age_s']} s are never reached: records leave after "
            f"retention_s {values['retention_s']:g}, without any destination (E4.9)"
        )
        yield ("maximum_record_age_s",), message
    pollers = source.pollers
    if pollers is not None and pollers.min > values["shards"]:
        message = (
            f"min {pollers.min} is more than the {values['shards']} partitions of shards: a "
            "poller serves at least one, the rest is paid for nothing (E6)"
        )
        yield ("provisioned_pollers", "min"), message


def _enabled_later(checked: Checked, name: str) -> bool:
    return any(epoch.sources[name].values["enabled"] for epoch in checked.epochs)


def _queue(source: ResolvedSource, timeout_us: int | None) -> _Found:
    values = source.values
    visible = values["visibility_timeout_s"]
    if timeout_us is not None and timeout_us * _TIMES > visible * 1_000_000:
        message = (
            f"{visible} s is less than {_TIMES} times the time-out of {source.function}, "
            f"{timeout_us / 1e6:g} s, as AWS advises: throttled batches get fewer tries per "
            "receive (E5.2)"
        )
        yield ("visibility_timeout_s",), message
    receives = values["max_receive_count"]
    if receives is not None and receives < _RECEIVES:
        message = (
            f"{receives} is less than {_RECEIVES}, as AWS advises: throttles count as receives, "
            "so messages may be dead-lettered without one run (E5.2)"
        )
        yield ("max_receive_count",), message


def _concurrency(epoch: Epoch) -> _Found:
    """Compare what queues may start with what their function may run (E5.5)."""
    sums: dict[str, int] = defaultdict(int)
    last: dict[str, str] = {}
    for name, source in epoch.sources.items():
        if source.type in QUEUES and source.values["maximum_concurrency"]:
            bare = source.function.partition(":")[0]
            sums[bare] += source.values["maximum_concurrency"]
            last[bare] = name
    for bare, most in sums.items():
        reserved = epoch.function(bare).reserved
        if reserved is not None and most > reserved:
            message = (
                f"{most} batches at once are more than the {reserved} of "
                f"functions.{bare}.reserved_concurrency: throttled batches burn receives (E5.5)"
            )
            yield ("event_sources", last[bare], "maximum_concurrency"), message
