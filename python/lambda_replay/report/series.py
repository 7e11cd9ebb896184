"""Metrics as few enough points for a chart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.report.material import instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lambda_replay.report.material import RunMaterial

__all__ = ["OTHERS", "by_function", "by_source", "limit_steps", "region", "step_of"]

#: Points of a line, at most.
MOST_POINTS: Final = 480
#: Functions that are told apart.
MOST_FUNCTIONS: Final = 7
OTHERS: Final = "all others"
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440)
_SUMS: Final = (
    *("Invocations", "Errors", "Throttles", "ProvisionedConcurrencyInvocations"),
    *("ProvisionedConcurrencySpilloverInvocations", "AsyncEventsReceived", "AsyncEventsDropped"),
    *("cold_starts", "lock_wait_ms_sum"),
)
_PEAKS: Final = (
    *("ConcurrentExecutions", "UnreservedConcurrentExecutions", "ClaimedAccountConcurrency"),
    *("ProvisionedConcurrentExecutions", "AsyncEventAge_max", "environments"),
)


def step_of(summary: Mapping[str, Any]) -> timedelta:
    """Choose how much time one point stands for."""
    first, last = instant(summary["trace"]["first"]), instant(summary["trace"]["last"])
    minutes = 0.0 if first is None or last is None else (last - first).total_seconds() / 60
    fitting = (one for one in _STEPS if minutes / one <= MOST_POINTS)
    return timedelta(minutes=next(fitting, -(-int(minutes) // MOST_POINTS)))


def _bucketed(frame: pl.LazyFrame, step: timedelta) -> pl.LazyFrame:
    return frame.with_columns(pl.col("timestamp").dt.truncate(step))


def _filled(frame: pl.DataFrame, step: timedelta) -> pl.DataFrame:
    """Put zeros where nothing happened: a line must not pass over a gap."""
    if frame.is_empty():
        return frame
    first, last = pl.col("timestamp").min(), pl.col("timestamp").max()
    whole = frame.select(pl.datetime_range(first, last, step, time_unit="us"))
    return whole.join(frame, on="timestamp", how="left").fill_null(0)


def region(run: RunMaterial) -> pl.DataFrame | None:
    """Give the whole Region over time, sums and peaks per point; None without metrics."""
    rows = run.region
    if rows is None or rows.is_empty():
        return None
    step = step_of(run.summary)
    frame = (
        rows.with_columns(pl.col("timestamp").dt.truncate(step))
        .group_by("timestamp")
        .agg(
            pl.col([name for name in _SUMS if name in rows.columns]).sum(),
            pl.col([name for name in _PEAKS if name in rows.columns]).max(),
        )
        .sort("timestamp")
    )
    return _filled(frame, step)


def by_function(run: RunMaterial, column: str) -> pl.DataFrame | None:
    """Give a count over time by function: those with the most, and all others as one.

    Returns
    -------
    DataFrame, or None
        ``timestamp``, ``function``, ``value`` and ``rank`` (0 is the most); None where nothing was
        counted.
    """
    if run.metrics is None:
        return None
    own = run.metrics.filter(pl.col("function").is_not_null() & (pl.col(column) > 0)).select(
        "timestamp", pl.col("function").cast(pl.String), column
    )
    step = step_of(run.summary)
    frame = (
        _bucketed(own, step)
        .group_by("timestamp", "function")
        .agg(pl.col(column).sum().alias("value"))
        .collect(engine="streaming")
    )
    if frame.is_empty():
        return None
    totals = frame.group_by("function").agg(pl.col("value").sum())
    ordered = totals.sort(["value", "function"], descending=[True, False])["function"]
    top = ordered.head(MOST_FUNCTIONS).to_list()
    ranks = {name: at for at, name in enumerate(top)}
    known = pl.col("function").is_in(top)
    many = len(top)
    frame = (
        frame.with_columns(
            pl.when(known).then("function").otherwise(pl.lit(OTHERS)).alias("function"),
            pl.col("function")
            .replace_strict(ranks, default=many, return_dtype=pl.Int64)
            .alias("rank"),
        )
        .group_by("timestamp", "function", "rank")
        .agg(pl.col("value").sum())
    )
    return frame.sort("timestamp", "rank")


def by_source(run: RunMaterial, column: str) -> pl.DataFrame | None:
    """Give a peak over time by event source; None where there are none.

    Where a result has no metrics by source, those of the functions that they invoke stand for it.
    """
    step = step_of(run.summary)
    if run.source_metrics is not None and column in run.source_metrics.columns:
        frame, name = run.source_metrics.lazy(), "source"
    elif run.metrics is not None and column in run.metrics.collect_schema().names():
        frame, name = run.metrics, "function"
    else:
        return None
    found = (
        _bucketed(frame.filter(pl.col(name).is_not_null() & pl.col(column).is_not_null()), step)
        .group_by("timestamp", pl.col(name).cast(pl.String).alias("source"))
        .agg(pl.col(column).max().alias("value"))
        .sort("timestamp", "source")
        .collect(engine="streaming")
    )
    if found.is_empty():
        return None
    worst = found.group_by("source").agg(pl.col("value").max())
    kept = worst.sort(["value", "source"], descending=[True, False])["source"].head(MOST_FUNCTIONS)
    return found.filter(pl.col("source").is_in(kept.to_list()))


def limit_steps(run: RunMaterial, first: datetime, last: datetime) -> list[tuple[datetime, int]]:
    """Give the account's limit over time: its value at the start, then each change of it.

    The scenario as it was given holds both; where it names no limit, AWS's default counts.
    """
    from lambda_replay.scenario import Scenario  # noqa: PLC0415 - imports pydantic

    given = run.summary["scenario"]
    account = given.get("account") or {}
    limit = account.get("concurrency")
    if not isinstance(limit, int):
        limit = Scenario(account={}).resolve().account.concurrency
    steps = [(first, limit)]
    for change in given.get("changes") or ():
        new = (change.get("set") or {}).get("account.concurrency")
        at = _when(change.get("at"))
        if isinstance(new, int) and at is not None and at <= last:
            steps.append((max(at, first), new))
    steps.sort(key=lambda one: one[0])
    return [*steps, (last, steps[-1][1])]


def _when(value: object) -> datetime | None:
    """Read an instant of a scenario: naive is UTC; times of day are not drawn."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
