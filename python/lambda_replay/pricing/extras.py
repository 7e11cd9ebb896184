"""Items that a replay does not charge by itself: SnapStart, streaming, pollers, tenants.

Each function takes what it needs and gives exact US dollars. Nothing here is part of ``cost_usd``
unless its caller adds it to ``other``.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lambda_replay.pricing.prices import Prices

__all__ = [
    "chargeable_stream_bytes",
    "poller_cost",
    "snapstart_cost",
    "streaming_cost",
    "tenant_isolation_cost",
]

#: A snapshot is cached for at least three hours (F3.8).
_CACHE_MIN_MS: Final = 3 * 3_600_000
#: The first 6 MB of a streamed response are free (F7); MB and GB as in AWS' example.
_FREE_STREAM_BYTES: Final = 6 * 1024**2
_GB: Final = 1024**3
_SECOND_US: Final = 1_000_000
_POLLER_MIN_S: Final = 60


def snapstart_cost(
    memory_mb: int, active_ms: int, restores: int, prices: Prices, *, java: bool = False
) -> Fraction:
    """Price SnapStart of one published version (F3.8).

    Parameters
    ----------
    memory_mb
        The function's memory.
    active_ms
        Milliseconds from publishing to the version's end or inactivity; at least three hours are
        charged.
    restores
        Environments resumed from the snapshot.
    prices
        Of the Region.
    java
        Java managed runtimes pay nothing for SnapStart.
    """
    _check(memory_mb=memory_mb, active_ms=active_ms, restores=restores)
    if java:
        return Fraction(0)
    cached_s = Fraction(max(active_ms, _CACHE_MIN_MS), 1_000)
    gb = Fraction(memory_mb, 1024)
    return gb * (cached_s * prices.snapstart_cache + restores * prices.snapstart_restore)


def chargeable_stream_bytes(response_bytes: int, requests: int = 1) -> int:
    """Give the bytes of streamed responses beyond the free 6 MB of each (F7)."""
    _check(response_bytes=response_bytes, requests=requests)
    return max(0, response_bytes - _FREE_STREAM_BYTES) * requests


def streaming_cost(chargeable_bytes: int, prices: Prices, *, free_tier: bool) -> Fraction:
    """Price one UTC month of response streaming (F7).

    Parameters
    ----------
    chargeable_bytes
        Sum of :func:`chargeable_stream_bytes` over the account's requests.
    prices
        Of the Region.
    free_tier
        Whether the free 100 GB of the month are taken off.
    """
    _check(chargeable_bytes=chargeable_bytes)
    free = prices.free_streamed_gb * _GB if free_tier else 0
    return Fraction(max(0, chargeable_bytes - free), _GB) * prices.streamed_gb


def poller_cost(
    spans_us: Iterable[int], prices: Prices, *, source: Literal["kafka", "sqs"]
) -> Fraction:
    """Price event poller units of provisioned event source mappings (F7).

    Parameters
    ----------
    spans_us
        How long each unit was in use, in microseconds; rounded up to seconds, at least one minute.
    prices
        Of the Region.
    source
        ``kafka`` or ``sqs``.
    """
    seconds = 0
    for span in spans_us:
        _check(span_us=span)
        seconds += max(_POLLER_MIN_S, -(-span // _SECOND_US))
    return Fraction(seconds, 3_600) * prices.poller_hour[source]


def tenant_isolation_cost(
    memory_mb: int, environments: int, prices: Prices, *, arm: bool
) -> Fraction:
    """Price the environments created for tenants (F3.10): once each, by memory."""
    _check(memory_mb=memory_mb, environments=environments)
    return Fraction(memory_mb, 1024) * environments * prices.of(arm=arm).tenant_environment


def _check(**counts: int) -> None:
    for name, value in counts.items():
        if value < 0:
            raise ValueError(f"{name} is at least 0, not {value}")
