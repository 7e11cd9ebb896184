"""From whatever a user points at to sorted batches of the columns that the core takes."""

from __future__ import annotations

from lambda_replay.ingest.source import TraceLike, TraceSource, open_trace
from lambda_replay.ingest.wire import Wire

__all__ = ["TraceLike", "TraceSource", "Wire", "open_trace"]
