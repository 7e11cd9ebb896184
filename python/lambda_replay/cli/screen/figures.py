"""Numbers as people read them; their home is :mod:`lambda_replay.figures`."""

from __future__ import annotations

from lambda_replay.figures import (
    billed,
    clock,
    count,
    hours,
    mean,
    money,
    plural,
    rate,
    share,
    span,
    span_ms,
)

__all__ = [
    "billed",
    "clock",
    "count",
    "hours",
    "mean",
    "money",
    "plural",
    "rate",
    "share",
    "span",
    "span_ms",
]
