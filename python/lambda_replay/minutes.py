"""Metrics per function and minute, put together from what the core says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.schema import INSTANT, MINUTE_SCHEMA
from lambda_replay.spool import Spool, stretches

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Minutes"]

#: Columns of the extras: sums, and maxima.
_SUMS: Final = (
    *("late_invocations", "late_cold_starts", "late_duration_us", "errors", "lock_wait_us"),
    *("extension_us", "provisioned", "spillover", "utilisation_samples", "received", "dropped"),
    *("dropped_samples", "ages", "age_us", "iterator_ages", "iterator_age_us"),
)
_MAXIMA: Final = (
    *("late_duration_max_us", "extension_max_us", "utilisation_max", "age_max_us"),
    *("iterator_age_max_us", "visible_max", "oldest_age_max_us", "offset_lag_max"),
)


#: Column of divisors: where the divisor is one number, Polars multiplies by 1/1000, which gives
#: another result in the last place.
_THOUSAND: Final = "thousand"


def _millis(micros: pl.Expr) -> pl.Expr:
    """Divide whole microseconds by 1,000, one by one."""
    return micros.cast(pl.Float64) / pl.col(_THOUSAND)


class Minutes:
    """Rows of minutes as the core closes them, and what it counts for minutes beyond those."""

    def __init__(self) -> None:
        self._rows = Spool("timestamp")
        self._extras = Spool("timestamp")

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows of closed minutes: a row per function (null: the Region) and minute."""
        self._rows.add(rows)

    def add_extras(self, rows: pl.DataFrame) -> None:
        """Take counts for functions and minutes, which may be older, and more than a row each."""
        self._extras.add(rows)

    def close(self) -> None:
        """Forget everything."""
        self._rows.close()
        self._extras.close()

    def tables(self, names: pl.Series, *, functions: bool) -> Iterator[pl.DataFrame]:
        """Give the metrics in order of time, a stretch of it at a time.

        Parameters
        ----------
        names
            Names of the functions, by number.
        functions
            Whether rows of functions are wanted, not of the Region alone.

        Yields
        ------
        DataFrame
            Of :data:`~lambda_replay.schema.MINUTE_SCHEMA`; the Region, whose function is null, is
            first in each minute, then functions come in order of their names.
        """
        # The place of a name among all names sorts as the name does, in less time and memory.
        place = pl.lit(names.rank("ordinal")).gather(pl.col("function"))
        for stretch in stretches(self._rows, self._extras):
            rows = self._rows.rows(*stretch)
            if rows is None:
                continue
            raw = _with_extras(rows, self._extras.rows(*stretch), functions=functions)
            raw = raw.sort("timestamp", place, nulls_last=False)
            yield _minute_columns(raw, names)


def _with_extras(
    minutes: pl.DataFrame, parts: pl.DataFrame | None, *, functions: bool
) -> pl.DataFrame:
    """Join what was counted beyond the minutes; the Region is the sum of its functions."""
    if parts is None:
        zero = pl.lit(0, pl.Int64)
        return minutes.with_columns(zero.alias(name) for name in (*_SUMS, *_MAXIMA))
    together = (*(pl.col(name).sum() for name in _SUMS), *(pl.col(name).max() for name in _MAXIMA))
    absent = [name for name in (*_SUMS, *_MAXIMA) if name not in parts.columns]
    parts = parts.with_columns(pl.lit(0, pl.Int64).alias(name) for name in absent)
    by_function = parts.group_by("timestamp", "function").agg(*together)
    region = by_function.group_by("timestamp").agg(*together)
    region = region.with_columns(pl.lit(None, pl.UInt32).alias("function"))
    counted = pl.concat([region, by_function.select(region.columns)] if functions else [region])
    return minutes.join(
        counted, on=["timestamp", "function"], how="full", nulls_equal=True, coalesce=True
    ).with_columns(pl.exclude("timestamp", "function").fill_null(0))


def _minute_columns(raw: pl.DataFrame, names: pl.Series) -> pl.DataFrame:
    """Metrics as CloudWatch names them (F6); null is no datum, 0 is one (Z45)."""
    runs = pl.col("invocations") + pl.col("late_invocations").cast(pl.UInt64)
    attempts = runs + pl.col("throttles")
    where_run, where_tried = pl.when(runs > 0), pl.when(attempts > 0)
    region = pl.when(pl.col("function").is_null())
    whole = {
        name: pl.col(name).cast(pl.UInt64)
        for name in ("errors", "provisioned", "spillover", "received", "dropped")
    }
    served = pl.when(pl.col("provisioned") + pl.col("spillover") > 0)
    ended = pl.when(pl.col("dropped_samples") > 0)
    aged = pl.when(pl.col("ages") > 0)
    used = pl.when(pl.col("provisioned_concurrency") > 0)
    read = pl.when(pl.col("iterator_ages") > 0)
    waited = pl.when((pl.col("visible_max") > 0) | (pl.col("oldest_age_max_us") > 0))
    columns = {
        "timestamp": pl.col("timestamp").cast(INSTANT),
        "function": pl.lit(names).gather(pl.col("function")),
        "Invocations": where_run.then(runs),
        "Errors": where_tried.then(whole["errors"]),
        "Throttles": where_tried.then(pl.col("throttles")),
        "Errors_samples": where_tried.then(attempts),
        "Throttles_samples": where_tried.then(attempts),
        "Duration_sum": where_run.then(_millis(pl.col("duration_us") + pl.col("late_duration_us"))),
        "Duration_max": where_run.then(
            _millis(pl.max_horizontal("duration_max_us", "late_duration_max_us"))
        ),
        "ConcurrentExecutions": pl.col("concurrency"),
        "UnreservedConcurrentExecutions": region.then(pl.col("unreserved")),
        "ClaimedAccountConcurrency": region.then(pl.col("claimed")),
        "PostRuntimeExtensionsDuration_sum": where_run.then(_millis(pl.col("extension_us"))),
        "PostRuntimeExtensionsDuration_max": where_run.then(_millis(pl.col("extension_max_us"))),
        "ProvisionedConcurrencyInvocations": served.then(whole["provisioned"]),
        "ProvisionedConcurrencySpilloverInvocations": served.then(whole["spillover"]),
        "ProvisionedConcurrentExecutions": used.then(pl.col("provisioned_concurrency")),
        "ProvisionedConcurrencyUtilization": pl.when(pl.col("utilisation_samples") > 0).then(
            pl.col("utilisation_max").cast(pl.Float64)
        ),
        "AsyncEventsReceived": pl.when(pl.col("received") > 0).then(whole["received"]),
        "AsyncEventsDropped": ended.then(whole["dropped"]),
        "AsyncEventsDropped_samples": ended.then(pl.col("dropped_samples").cast(pl.UInt64)),
        "AsyncEventAge_sum": aged.then(_millis(pl.col("age_us"))),
        "AsyncEventAge_max": aged.then(_millis(pl.col("age_max_us"))),
        "AsyncEventAge_samples": aged.then(pl.col("ages").cast(pl.UInt64)),
        "cold_starts": where_run.then(
            pl.col("cold_starts") + pl.col("late_cold_starts").cast(pl.UInt64)
        ),
        "lock_wait_ms_sum": where_run.then(_millis(pl.col("lock_wait_us"))),
        "environments": pl.col("environments"),
        "IteratorAge_sum": read.then(_millis(pl.col("iterator_age_us"))),
        "IteratorAge_max": read.then(_millis(pl.col("iterator_age_max_us"))),
        "IteratorAge_samples": read.then(pl.col("iterator_ages").cast(pl.UInt64)),
        "ApproximateAgeOfOldestMessage_max": waited.then(
            _millis(pl.col("oldest_age_max_us")) / pl.col(_THOUSAND)
        ),
        "ApproximateNumberOfMessagesVisible_max": waited.then(
            pl.col("visible_max").cast(pl.UInt64)
        ),
        "OffsetLag_max": pl.when(pl.col("offset_lag_max") > 0).then(
            pl.col("offset_lag_max").cast(pl.UInt64)
        ),
    }
    divisors = pl.repeat(1_000.0, raw.height, eager=True).alias(_THOUSAND)
    frame = raw.with_columns(divisors).select(**columns)
    assert frame.schema == MINUTE_SCHEMA, "the schema is what the documentation says"
    return frame
