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
    "OF_RECORDS",
    "OUTCOME_SCHEMA",
    "QUIET_COLUMNS",
    "REQUIRED_COLUMNS",
    "SOURCE_MINUTE_SCHEMA",
    "SOURCE_SCHEMA",
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
    "attempt": "every row is a request of its own",
}

#: Columns that only records of event sources have, with what a row without one has.
OF_RECORDS: Final = dict.fromkeys(("key", "shard", "filtered"), "the scenario has no event_sources")

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

#: Columns of what was observed, which only `validate` reads.
QUIET_COLUMNS: Final = (
    "cold_start",
    "throttled",
    "init_ahead_ms",
    "max_memory_mb",
    "billed_ms",
    "xray_trace_id",
    "log_stream",
)

#: Every column of the contract.
TRACE_COLUMNS: Final = (
    *REQUIRED_COLUMNS,
    "init_ms",
    "memory_mb",
    *EXTRA_COLUMNS,
    *IDENTITY_COLUMNS,
    "account",
    "region",
    *OF_RECORDS,
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
        "IteratorAge_sum": pl.Float64(),
        "IteratorAge_max": pl.Float64(),
        "IteratorAge_samples": pl.UInt64(),
        "ApproximateAgeOfOldestMessage_max": pl.Float64(),
        "ApproximateNumberOfMessagesVisible_max": pl.UInt64(),
        "OffsetLag_max": pl.UInt64(),
    }
)

#: Percentiles of milliseconds.
_DISTRIBUTION: Final = pl.Struct(
    dict.fromkeys(("mean", "p50", "p90", "p99", "p999", "max"), pl.Float64())
)

#: Metrics of event sources: a row per source and minute with any activity.
SOURCE_MINUTE_SCHEMA: Final = pl.Schema(
    {
        "timestamp": INSTANT,
        "source": pl.String(),
        "PolledEventCount": pl.UInt64(),
        "FilteredOutEventCount": pl.UInt64(),
        "InvokedEventCount": pl.UInt64(),
        "FailedInvokeEventCount": pl.UInt64(),
        "DeletedEventCount": pl.UInt64(),
        "DroppedEventCount": pl.UInt64(),
        "OnFailureDestinationDeliveredEventCount": pl.UInt64(),
        "CommittedEventCount": pl.UInt64(),
        "InvokeErrorCount": pl.UInt64(),
        "IteratorAge_max": pl.Float64(),
        "IteratorAge_samples": pl.UInt64(),
        "ApproximateNumberOfMessagesVisible_max": pl.UInt64(),
        "ApproximateAgeOfOldestMessage_max": pl.Float64(),
        "MaxOffsetLag": pl.UInt64(),
        "SumOffsetLag": pl.UInt64(),
        "ProvisionedPollers": pl.UInt64(),
        "EventPollerUnit": pl.Float64(),
        "backlog_max": pl.UInt64(),
    }
)

#: Event sources: a row per source and shard, partition, message group or queue.
SOURCE_SCHEMA: Final = pl.Schema(
    {
        "source": pl.String(),
        "type": pl.String(),
        "function": pl.String(),
        "shard": pl.UInt32(),
        "group": pl.String(),
        "records": pl.UInt64(),
        "success": pl.UInt64(),
        "expired": pl.UInt64(),
        "discarded": pl.UInt64(),
        "filtered": pl.UInt64(),
        "pending": pl.UInt64(),
        "never_ran": pl.UInt64(),
        "receives": pl.UInt64(),
        "receives_per_record": pl.Float64(),
        "delivered": pl.UInt64(),
        "documents": pl.UInt64(),
        "busiest_key": pl.String(),
        "busiest_share": pl.Float64(),
        "blocked_s": pl.Float64(),
        "backlog_peak": pl.UInt64(),
        "drain_s": pl.Float64(),
        "iterator_age_ms": _DISTRIBUTION,
        "message_age_ms": _DISTRIBUTION,
        "oldest_message_s": pl.Float64(),
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
