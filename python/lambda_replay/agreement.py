"""How far what was predicted is from what was observed: by function, in time, and by chance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from lambda_replay.figures import count
from lambda_replay.observed import Z, pairs
from lambda_replay.schema import MINUTE_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["METRICS", "Series", "by_minute", "by_row", "notes_on_rows", "table_of"]

#: Metrics that are compared where both sides have them, and how minutes add up.
METRICS: Final = {
    "Invocations": "sum",
    "Errors": "sum",
    "Throttles": "sum",
    "Duration_sum": "sum",
    "ConcurrentExecutions": "max",
    "ProvisionedConcurrencySpilloverInvocations": "sum",
    "AsyncEventsDropped": "sum",
}
#: Fewer observations than these say nothing about one function.
_LEAST: Final = 10


class Series(NamedTuple):
    """One measure of a function, or of all, predicted and observed value by value."""

    series: str
    function: str | None
    observed: float
    predicted: float
    #: Runs or requests that it counts a part of; 0 for metrics.
    trials: int


_CONFUSION: Final = pl.Schema(
    {
        "series": pl.String(),
        "both": pl.Int64(),
        "predicted_only": pl.Int64(),
        "observed_only": pl.Int64(),
        "neither": pl.Int64(),
        "precision": pl.Float64(),
        "recall": pl.Float64(),
    }
)
_TIME: Final = pl.Schema(
    {
        "series": pl.String(),
        "timestamp": pl.Datetime("us"),
        "observed": pl.Float64(),
        "predicted": pl.Float64(),
    }
)


def by_row(both: pl.DataFrame) -> tuple[list[Series], pl.DataFrame, pl.DataFrame]:
    """Compare row by row: series, confusion, and both by hour."""
    series: list[Series] = []
    confusion: list[tuple[object, ...]] = []
    time = [pl.DataFrame(schema=_TIME)]
    sums = (
        pl.col("observed").sum().cast(pl.Float64),
        pl.col("predicted").sum().cast(pl.Float64),
    )
    for name, rows in pairs(both).items():
        seen, said = rows.select(*sums).row(0)
        series.append(Series(name, None, seen, said, rows.height))
        by = rows.group_by("function").agg(*sums, pl.len().alias("n")).sort("function")
        series += [Series(name, *row) for row in by.iter_rows()]
        yes, no = pl.col("observed"), pl.col("predicted")
        a, b, c, d = rows.select(
            (yes & no).sum().alias("a"),
            (~yes & no).sum().alias("b"),
            (yes & ~no).sum().alias("c"),
            (~yes & ~no).sum().alias("d"),
        ).row(0)
        precision, recall = (a / (a + b) if a + b else None), (a / (a + c) if a + c else None)
        confusion.append((name, a, b, c, d, precision, recall))
        hours = rows.group_by(pl.col("timestamp").dt.truncate("1h")).agg(*sums)
        time.append(
            hours.select(pl.lit(name).alias("series"), "timestamp", "observed", "predicted")
        )
    if "observed_init_ms" in both.columns:
        # The init that was observed, and the one that the replay's cold starts paid.
        inits = both.filter(pl.col("observed_init_ms") > 0)
        paid = both.filter(pl.col("cold") & (pl.col("init_ms") > 0))
        if inits.height and paid.height:
            one = float(inits["observed_init_ms"].sum()) / 1e3
            other = float(paid["init_ms"].sum()) / 1e3
            series.append(Series("init_s", None, one, other, 0))
    frame = pl.DataFrame(confusion, schema=_CONFUSION, orient="row")
    return series, frame, pl.concat(time)


def by_minute(metrics: pl.DataFrame, found: pl.DataFrame) -> tuple[list[Series], pl.DataFrame]:
    """Compare metrics where both sides have the function, all minutes of both together."""
    series: list[Series] = []
    time = [pl.DataFrame(schema=_TIME)]
    known = set(found["function"].drop_nulls())
    for name, how in METRICS.items():
        if name not in metrics.columns or name not in MINUTE_SCHEMA:
            continue
        together = pl.col(name).cast(pl.Float64)
        together = together.max() if how == "max" else together.sum()
        one = metrics.group_by("function").agg(together.alias("observed"))
        other = found.group_by("function").agg(together.alias("predicted"))
        both = one.join(other, on="function", how="left", nulls_equal=True)
        for function, seen, replayed in both.sort("function").iter_rows():
            if function is None or function in known or (seen or 0) > 0:
                series.append(Series(name, function, seen or 0.0, replayed or 0.0, 0))
        # The account's peak is not the sum of its functions'.
        if how == "sum" and not both["function"].is_null().any():
            seen, replayed = both.select(pl.col("observed").sum(), pl.col("predicted").sum()).row(0)
            series.append(Series(name, None, seen, replayed, 0))
        region = metrics.filter(pl.col("function").is_null())
        mine = region if region.height else metrics
        hour = pl.col("timestamp").dt.truncate("1h")
        hours = mine.group_by(hour).agg(together.alias("observed"))
        theirs = (
            found.filter(pl.col("function").is_null())
            .group_by(hour)
            .agg(together.alias("predicted"))
        )
        joined = hours.join(theirs, on="timestamp", how="full", coalesce=True).fill_null(0.0)
        time.append(
            joined.select(pl.lit(name).alias("series"), "timestamp", "observed", "predicted")
        )
    return series, pl.concat(time)


def table_of(series: Sequence[Series], tolerance: float) -> pl.DataFrame:
    """Give a row per series, with verdicts at a tolerance."""
    rows = []
    for one in series:
        error = one.predicted / one.observed - 1 if one.observed else None
        low, high = _chance(one)
        right = (
            one.observed == one.predicted
            or low <= one.predicted <= high
            or (error is not None and abs(error) <= tolerance)
        )
        if right:
            verdict = "ok"
        elif one.function is not None and max(one.observed, one.predicted) < _LEAST:
            verdict = "few"
        else:
            verdict = "outside"
        rows.append(
            (one.series, one.function, one.observed, one.predicted, error, low, high, verdict)
        )
    schema = {
        "series": pl.String(),
        "function": pl.String(),
        **dict.fromkeys(("observed", "predicted", "error", "low", "high"), pl.Float64()),
        "verdict": pl.String(),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _chance(one: Series) -> tuple[float, float]:
    """Give what chance alone explains around an observed count (Wilson's interval, 95 %)."""
    if not one.trials:
        return one.observed, one.observed
    n, p = one.trials, one.observed / one.trials
    middle = p + Z**2 / (2 * n)
    half = Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n * n))
    scale = 1 + Z**2 / n
    return max(0.0, n * (middle - half) / scale), min(float(n), n * (middle + half) / scale)


def notes_on_rows(rows: pl.DataFrame) -> list[str]:
    """Say what the rows themselves cannot tell."""
    notes = []
    if "cold_start" in rows.columns and not bool(rows["cold_start"].is_null().all()):
        known = rows["cold_start"].is_not_null().sum()
        if known < rows.height:
            notes.append(f"cold_start is known of {count(int(known))} of {count(rows.height)} rows")
            if not rows["cold_start"].any():
                notes.append(
                    "no cold start is known to have been waited for, so agreement on them says"
                    " nothing: --init-on-path always takes every init in the log for one"
                )
    if "throttled" not in rows.columns:
        notes.append("the trace does not say what was throttled: requests that never ran may lack")
    return notes
