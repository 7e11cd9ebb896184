"""Columns of the trace and of the results: name, type, meaning to this version."""

from __future__ import annotations

from typing import Final

import polars as pl

__all__ = [
    "ATTEMPT_SCHEMA",
    "IDENTITY_COLUMNS",
    "MINUTE_SCHEMA",
    "NOT_MODELLED_COLUMNS",
    "OUTCOME_SCHEMA",
    "QUIET_COLUMNS",
    "REQUIRED_COLUMNS",
    "TRACE_COLUMNS",
]

#: Instants of results: microseconds, naive, in UTC, as the trace's own naive ones are read.
INSTANT: Final = pl.Datetime("us")

#: Columns that every trace needs.
REQUIRED_COLUMNS: Final = ("timestamp", "function", "duration_ms")

#: Columns that say who a row is (Q34).
IDENTITY_COLUMNS: Final = ("request_id", "row_uid")

#: Columns of the contract that this version does not model, with what that means.
NOT_MODELLED_COLUMNS: Final = {
    "extension_ms": "the answer comes at the end of the run",
    "error": "every run counts as a success",
    "error_runs": "every run counts as a success",
    "filtered": "there are no event sources",
    "memory_mb": "no cost is computed",
    "key": "there are no event sources",
    "shard": "there are no event sources",
    "payload_bytes": "no cost is computed",
    "state_key": "runs do not wait for each other",
    "state_access": "runs do not wait for each other",
    "attempt": "every row is a request of its own",
}

#: Columns that only `validate` reads.
QUIET_COLUMNS: Final = ("cold_start", "throttled", "init_ahead_ms")

#: Every column of the contract.
TRACE_COLUMNS: Final = (
    *REQUIRED_COLUMNS,
    "init_ms",
    "source",
    *IDENTITY_COLUMNS,
    "account",
    "region",
    *NOT_MODELLED_COLUMNS,
    *QUIET_COLUMNS,
)

#: Outcomes: a row per row of the trace. ``request_id`` follows where the trace has it.
OUTCOME_SCHEMA: Final = pl.Schema(
    {
        "row": pl.UInt64(),
        "timestamp": INSTANT,
        "function": pl.String(),
        "source": pl.String(),
        "outcome": pl.String(),
        "reason": pl.String(),
        "limit": pl.String(),
        "attempts": pl.UInt32(),
        "throttles": pl.UInt32(),
        "errors": pl.UInt32(),
        "start": INSTANT,
        "end": INSTANT,
        "settled": INSTANT,
        "wait_ms": pl.Float64(),
        "lock_wait_ms": pl.Float64(),
        "conflicts": pl.UInt32(),
        "init_ms": pl.Float64(),
        "cold": pl.Boolean(),
        "provisioned": pl.Boolean(),
        "spillover_reason": pl.String(),
        "environment": pl.UInt64(),
        "batch": pl.UInt64(),
        "billed_ms": pl.UInt64(),
    }
)

#: Attempts: a row per row of the trace and attempt, in order of time.
ATTEMPT_SCHEMA: Final = pl.Schema(
    {
        "row": pl.UInt64(),
        "attempt": pl.UInt32(),
        "batch": pl.UInt64(),
        "outcome": pl.String(),
        "reason": pl.String(),
        "limit": pl.String(),
        "start": INSTANT,
        "end": INSTANT,
        "cold": pl.Boolean(),
        "provisioned": pl.Boolean(),
        "environment": pl.UInt64(),
        "lock_wait_ms": pl.Float64(),
        "billed_ms": pl.UInt64(),
    }
)

#: Metrics: a row per function and minute; ``function`` is null for the whole Region.
MINUTE_SCHEMA: Final = pl.Schema(
    {
        "timestamp": INSTANT,
        "function": pl.String(),
        "Invocations": pl.UInt64(),
        "Errors": pl.UInt64(),
        "Throttles": pl.UInt64(),
        "Errors_samples": pl.UInt64(),
        "Throttles_samples": pl.UInt64(),
        "Duration_sum": pl.Float64(),
        "Duration_max": pl.Float64(),
        "ConcurrentExecutions": pl.UInt64(),
        "UnreservedConcurrentExecutions": pl.UInt64(),
        "ClaimedAccountConcurrency": pl.UInt64(),
        "cold_starts": pl.UInt64(),
        "lock_wait_ms_sum": pl.Float64(),
        "environments": pl.UInt64(),
    }
)
