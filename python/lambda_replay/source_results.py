"""What event sources came to: by shard, partition, group or queue, and by minute (E9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.names import split
from lambda_replay.schema import INSTANT, SOURCE_MINUTE_SCHEMA, SOURCE_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.ingest.records import Records
    from lambda_replay.scenario.resolve_sources import ResolvedSource

__all__ = [
    "deliveries",
    "function_deliveries",
    "function_parts",
    "poller_units",
    "source_minutes",
    "sources_table",
]

#: Columns of the core's rows of minutes: sums, and maxima.
_SUMS: Final = (
    *("polled", "filtered", "invoked", "failed", "deleted", "dropped", "delivered", "committed"),
    *("invoke_errors", "iterator_ages", "units_us"),
)
_MAXIMA: Final = (
    *("iterator_age_max_us", "backlog_max", "visible_max", "oldest_age_max_us", "offset_lag_max"),
    *("offset_lag_sum", "pollers_max"),
)
#: What else may become of a record.
_OUTCOMES: Final = ("expired", "discarded", "filtered", "pending")
_MINUTE_US: Final = 60_000_000
#: Percentiles of ages.
_AGES: Final = ("mean", "p50", "p90", "p99", "p999", "max")


def _together(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Put partial rows together: one per source and minute."""
    if not parts:
        columns = {"timestamp": pl.Int64, "source": pl.UInt32}
        return pl.DataFrame(schema=columns | dict.fromkeys((*_SUMS, *_MAXIMA), pl.Int64))
    return (
        pl.concat(parts)
        .group_by("timestamp", "source")
        .agg(
            *(pl.col(name).sum() for name in _SUMS),
            *(pl.col(name).max() for name in _MAXIMA),
        )
        .sort("timestamp", "source")
    )


def source_minutes(
    parts: Sequence[pl.DataFrame], sources: Sequence[ResolvedSource]
) -> pl.DataFrame:
    """Give a row per source and minute with any activity, as CloudWatch names it.

    Parameters
    ----------
    parts
        The core's rows, in any order.
    sources
        By number.
    """
    names = pl.Series([source.name for source in sources], dtype=pl.String)
    kinds = pl.Series([source.type for source in sources], dtype=pl.String)
    raw = _together(parts).with_columns(pl.lit(kinds).gather(pl.col("source")).alias("kind"))

    def whole(name: str) -> pl.Expr:
        return pl.col(name).cast(pl.UInt64)

    def seconds(name: str) -> pl.Expr:
        return pl.col(name).cast(pl.Float64) / 1e6

    queue = pl.when(pl.col("kind").is_in(["sqs", "sqs_fifo"]))
    kafka = pl.when(pl.col("kind") == "kafka")
    ordered = pl.when(~pl.col("kind").is_in(["sqs", "sqs_fifo"]))
    aged = pl.when(pl.col("iterator_ages") > 0)
    paid = pl.when(pl.col("units_us") > 0)
    frame = raw.select(
        timestamp=pl.col("timestamp").cast(INSTANT),
        source=pl.lit(names).gather(pl.col("source")),
        PolledEventCount=whole("polled"),
        FilteredOutEventCount=whole("filtered"),
        InvokedEventCount=whole("invoked"),
        FailedInvokeEventCount=whole("failed"),
        DeletedEventCount=queue.then(whole("deleted")),
        DroppedEventCount=ordered.then(whole("dropped")),
        OnFailureDestinationDeliveredEventCount=ordered.then(whole("delivered")),
        CommittedEventCount=kafka.then(whole("committed")),
        InvokeErrorCount=kafka.then(whole("invoke_errors")),
        IteratorAge_max=aged.then(pl.col("iterator_age_max_us").cast(pl.Float64) / 1e3),
        IteratorAge_samples=aged.then(whole("iterator_ages")),
        ApproximateNumberOfMessagesVisible_max=queue.then(whole("visible_max")),
        ApproximateAgeOfOldestMessage_max=queue.then(seconds("oldest_age_max_us")),
        MaxOffsetLag=kafka.then(whole("offset_lag_max")),
        SumOffsetLag=kafka.then(whole("offset_lag_sum")),
        ProvisionedPollers=paid.then(whole("pollers_max")),
        EventPollerUnit=paid.then(pl.col("units_us").cast(pl.Float64) / _MINUTE_US),
        backlog_max=whole("backlog_max"),
    )
    assert frame.schema == SOURCE_MINUTE_SCHEMA, "the schema is what the documentation says"
    return frame


def function_parts(parts: Sequence[pl.DataFrame], functions: Sequence[int]) -> pl.DataFrame:
    """Give what queues and topics add to the minutes of the functions that they invoke.

    Parameters
    ----------
    parts
        The core's rows.
    functions
        Number of the function by number of the source.
    """
    numbers = pl.Series(functions, dtype=pl.UInt32)
    names = ("visible_max", "oldest_age_max_us", "offset_lag_max")
    return (
        _together(parts)
        .with_columns(pl.lit(numbers).gather(pl.col("source")).alias("function"))
        .group_by("timestamp", "function")
        .agg(pl.col(name).max().cast(pl.Int64) for name in names)
    )


def poller_units(parts: Sequence[pl.DataFrame]) -> dict[int, int]:
    """Give event poller units times microseconds, by number of the source."""
    sums = _together(parts).group_by("source").agg(pl.col("units_us").sum())
    return {number: int(units) for number, units in sums.iter_rows() if units}


def sources_table(
    units: pl.DataFrame,
    minutes: pl.DataFrame,
    sources: Sequence[ResolvedSource],
    records: Records,
) -> pl.DataFrame:
    """Give a row per source and shard, partition, message group or queue.

    Parameters
    ----------
    units
        The core's rows.
    minutes
        Of `source_minutes`.
    sources
        By number.
    records
        Knows keys by their codes.
    """
    names = pl.Series([source.name for source in sources], dtype=pl.String)
    kinds = pl.Series([source.type for source in sources], dtype=pl.String)
    functions = pl.Series([source.function for source in sources], dtype=pl.String)
    oldest = minutes.group_by("source").agg(
        pl.col("ApproximateAgeOfOldestMessage_max").max().alias("oldest_message_s")
    )
    raw = units.with_columns(
        pl.lit(values).gather(pl.col("source")).alias(name)
        for name, values in (("name", names), ("type", kinds), ("function", functions))
    ).join(oldest, left_on="name", right_on="source", how="left", maintain_order="left")
    is_queue = pl.col("type").is_in(["sqs", "sqs_fifo"])
    ages = pl.struct(pl.col(f"age_{name}_ms").alias(name) for name in _AGES)
    nothing = pl.struct(pl.lit(None, pl.Float64).alias(name) for name in _AGES)
    counts = pl.col("records") > 0
    # A message group is one key.
    is_group = (pl.col("type") == "sqs_fifo") & counts
    share = pl.when(is_group).then(1.0).when(counts)
    frame = raw.select(
        source="name",
        type="type",
        function="function",
        shard=pl.when(~is_queue).then(pl.col("unit")),
        group=_keys(raw["group"], records),
        records="records",
        **{name: pl.col(name) for name in ("success", *_OUTCOMES)},
        never_ran="never_ran",
        receives="receives",
        receives_per_record=pl.when(counts).then(pl.col("receives") / pl.col("records")),
        delivered="delivered",
        documents="documents",
        busiest_key=pl.when(is_group)
        .then(_keys(raw["group"], records))
        .otherwise(_keys(raw["busiest_key"], records)),
        busiest_share=share.then(pl.col("busiest_count") / pl.col("records")),
        blocked_s=pl.col("blocked_us").cast(pl.Float64) / 1e6,
        backlog_peak="backlog_peak",
        drain_s=pl.col("drain_us").cast(pl.Float64) / 1e6,
        iterator_age_ms=pl.when(~is_queue).then(ages).otherwise(nothing),
        message_age_ms=pl.when(is_queue).then(ages).otherwise(nothing),
        oldest_message_s=pl.when(is_queue).then(pl.col("oldest_message_s")),
    )
    # A FIFO queue has its records in its groups; without any it is still listed.
    grouped = set(frame.filter(pl.col("type") == "sqs_fifo", counts)["source"])
    whole = (pl.col("type") == "sqs_fifo") & (pl.col("records") == 0)
    frame = frame.filter(~(whole & pl.col("source").is_in(sorted(grouped))))
    assert frame.schema == SOURCE_SCHEMA, "the schema is what the documentation says"
    return frame


def _keys(codes: pl.Series, records: Records) -> pl.Series:
    return records.key_names(codes).alias(codes.name)


def deliveries(table: pl.DataFrame, sources: Sequence[ResolvedSource]) -> dict[str, int]:
    """Count records that went to destinations and dead-letter queues, by the names of these."""
    sums = dict(table.group_by("source").agg(pl.col("delivered").sum()).iter_rows())
    found: dict[str, int] = {}
    for source in sources:
        count = sums.get(source.name, 0)
        if count:
            target = source.values.get("on_failure") or source.values.get("dead_letter_queue")
            name = str(target or "on_failure")
            found[name] = found.get(name, 0) + count
    return found


def function_deliveries(table: pl.DataFrame) -> dict[str, int]:
    """Count the same by the functions that the sources invoke, without their qualifiers (Z9)."""
    found: dict[str, int] = {}
    for name, count in table.group_by("function").agg(pl.col("delivered").sum()).iter_rows():
        function = (split(name) or (name,))[0]
        found[function] = found.get(function, 0) + count
    return found
