"""Columns of the trace and of the results: name, type, meaning to this version."""

from __future__ import annotations

from typing import Final

import polars as pl

__all__ = [
    "ATTEMPT_SCHEMA",
    "BLAME_SCHEMA",
    "EXTRA_COLUMNS",
    "IDENTITY_COLUMNS",
    "INSTANT",
    "KEY_SCHEMA",
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
    "filtered": "there are no event sources",
    "key": "there are no event sources",
    "shard": "there are no event sources",
    "attempt": "every row is a request of its own",
}

#: Columns that make a row more than a synchronous request that ends well.
EXTRA_COLUMNS: Final = (
    "source",
    "error",
    "error_runs",
    "extension_ms",
    "payload_bytes",
    "state_key",
    "state_access",
)

#: Columns that only `validate` reads.
QUIET_COLUMNS: Final = ("cold_start", "throttled", "init_ahead_ms")

#: Every column of the contract.
TRACE_COLUMNS: Final = (
    *REQUIRED_COLUMNS,
    "init_ms",
    "memory_mb",
    *EXTRA_COLUMNS,
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
        "PostRuntimeExtensionsDuration_sum": pl.Float64(),
        "PostRuntimeExtensionsDuration_max": pl.Float64(),
        "ProvisionedConcurrencyInvocations": pl.UInt64(),
        "ProvisionedConcurrencySpilloverInvocations": pl.UInt64(),
        "ProvisionedConcurrentExecutions": pl.UInt64(),
        "ProvisionedConcurrencyUtilization": pl.Float64(),
        "AsyncEventsReceived": pl.UInt64(),
        "AsyncEventsDropped": pl.UInt64(),
        "AsyncEventsDropped_samples": pl.UInt64(),
        "AsyncEventAge_sum": pl.Float64(),
        "AsyncEventAge_max": pl.Float64(),
        "AsyncEventAge_samples": pl.UInt64(),
        "cold_starts": pl.UInt64(),
        "lock_wait_ms_sum": pl.Float64(),
        "environments": pl.UInt64(),
    }
)

#: Shared records, the hottest first: by the time that runs waited for them.
KEY_SCHEMA: Final = pl.Schema(
    {
        "state_key": pl.String(),
        "function": pl.String(),
        "runs": pl.UInt64(),
        "writers": pl.UInt64(),
        "waits": pl.UInt64(),
        "wait_ms": pl.Float64(),
        "longest_wait_ms": pl.Float64(),
        "longest_queue": pl.UInt64(),
        "longest_chain": pl.UInt64(),
        "time_outs": pl.UInt64(),
        "conflicts": pl.UInt64(),
        "wait_billed_ms": pl.UInt64(),
        "wait_billed_usd": pl.Float64(),
    }
)

#: Who held the capacity at refusals: a row per victim, limit and holder. ``holder`` and what it
#: held are null where the limit is not about units in use. Means are over all refusals of the
#: victim by the limit, of which there are ``throttles``; ``waiting`` are units of runs that only
#: waited for a record, not among those held.
BLAME_SCHEMA: Final = pl.Schema(
    {
        "victim": pl.String(),
        "limit": pl.String(),
        "holder": pl.String(),
        "throttles": pl.UInt64(),
        "held_mean": pl.Float64(),
        "held_max": pl.UInt64(),
        "waiting_mean": pl.Float64(),
        "waiting_max": pl.UInt64(),
        "first": INSTANT,
        "last": INSTANT,
    }
)
