"""How long a batch runs, by its size: ``d0 + d1 * n``, fitted from batches that were observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.exceptions import TraceError, show
from lambda_replay.ingest.faults import reading

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["fit_batch_duration"]

_NEEDED: Final = ("function", "duration_ms", "batch_size")


def fit_batch_duration(trace: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """Fit what a batch takes by itself and what each of its records adds, function by function.

    A trace of invocations holds the durations of the batches of its day. To replay its records in
    other batches, a record needs a duration of its own: give ``per_record_ms`` as the records'
    ``duration_ms`` and ``base_ms`` as the source's key of that name.

    Parameters
    ----------
    trace
        A row per invocation: ``function``, ``duration_ms`` (number or Duration) and ``batch_size``
        (records, 1 or more). Rows in which one of them is null are left out.

    Returns
    -------
    DataFrame
        A row per function, in order of their names: ``function``, ``base_ms`` (d0),
        ``per_record_ms`` (d1), ``batches``, ``r_squared`` (share of the variance explained; null
        where there is none), ``method``: ``least_squares``; ``through_origin`` where the line
        would start below 0; ``median`` where all batches are of one size or larger ones are not
        slower: then d0 is the median and d1 is 0.

    Raises
    ------
    TraceError
        A column is missing or of another type, or a value is negative.

    Notes
    -----
    Rule E0.5 of the semantics: least squares on the size, fallback median and 0.

    Examples
    --------
    >>> import polars as pl
    >>> import lambda_replay as lr
    >>> seen = pl.DataFrame(
    ...     {"function": ["f"] * 3, "duration_ms": [25.0, 45.0, 225.0], "batch_size": [1, 3, 21]}
    ... )
    >>> lr.fit_batch_duration(seen).select(pl.col("base_ms", "per_record_ms").round(6)).row(0)
    (15.0, 10.0)
    """
    lazy = trace.lazy()
    with reading("the trace"):
        schema = lazy.collect_schema()
    _check_columns(schema)
    duration = pl.col("duration_ms")
    if isinstance(schema["duration_ms"], pl.Duration):
        duration = duration.dt.total_microseconds() / 1_000
    rows = lazy.select(
        pl.col("function").cast(pl.String),
        duration.cast(pl.Float64).alias("y"),
        pl.col("batch_size").cast(pl.Float64).alias("x"),
    ).drop_nulls()
    with reading("the trace"):
        _check_values(rows)
        sums = rows.group_by("function").agg(*_sums()).sort("function").collect(engine="streaming")
    return _lines(sums)


def _check_columns(schema: pl.Schema) -> None:
    for name in _NEEDED:
        if name not in schema:
            message = f"the trace has no column {name}"
            hint = "a row per invocation: function, duration_ms, batch_size"
            raise TraceError(message, column=name, code="LR-T-COLUMN", hint=hint)
    for name in _NEEDED[1:]:
        dtype = schema[name]
        is_span = name == "duration_ms" and isinstance(dtype, pl.Duration)
        if not (dtype.is_numeric() or is_span):
            message = f"{name} is of type {dtype}; it must be a number"
            raise TraceError(message, column=name, value=str(dtype), code="LR-T-TYPE")


def _check_values(rows: pl.LazyFrame) -> None:
    for name, column, least in (("duration_ms", "y", 0), ("batch_size", "x", 1)):
        value = pl.col(column)
        odd = ~(value >= least) | value.is_infinite() | value.is_nan()
        found: Sequence[float] = (
            rows.filter(odd).select(value).head(1).collect(engine="streaming")[column].to_list()
        )
        if found:
            message = f"{name} is {show(found[0])}; it must be {least} or more"
            raise TraceError(message, column=name, value=found[0], code="LR-T-VALUE")


def _sums() -> list[pl.Expr]:
    """Give sums around the means, which lose nothing where sizes and durations are large."""
    x, y = pl.col("x"), pl.col("y")
    dx, dy = x - x.mean(), y - y.mean()
    return [
        pl.len().cast(pl.UInt64).alias("batches"),
        x.mean().alias("mean_x"),
        y.mean().alias("mean_y"),
        y.median().alias("median_y"),
        (dx * dx).sum().alias("sxx"),
        (dx * dy).sum().alias("sxy"),
        (dy * dy).sum().alias("syy"),
        (x * y).sum().alias("xy"),
        (x * x).sum().alias("xx"),
    ]


def _lines(sums: pl.DataFrame) -> pl.DataFrame:
    slope = pl.col("sxy") / pl.col("sxx")
    start = pl.col("mean_y") - slope * pl.col("mean_x")
    rises = (pl.col("sxx") > 0) & (slope > 0)
    is_flat, is_below = ~rises, rises & (start < 0)
    # Of a line through the origin the mean is not on it: its misses are Σ(y − bx)².
    ratio = pl.col("xy") / pl.col("xx")
    yy = pl.col("syy") + pl.col("batches") * pl.col("mean_y") ** 2
    missed = yy - ratio * pl.col("xy")
    explained = pl.col("sxy") ** 2 / (pl.col("sxx") * pl.col("syy"))
    varies = pl.col("syy") > 0
    return sums.select(
        "function",
        base_ms=pl.when(is_flat).then("median_y").when(is_below).then(0.0).otherwise(start),
        per_record_ms=pl.when(is_flat).then(0.0).when(is_below).then(ratio).otherwise(slope),
        batches="batches",
        r_squared=pl.when(~varies)
        .then(None)
        .when(is_flat)
        .then(0.0)
        .when(is_below)
        .then(1 - missed / pl.col("syy"))
        .otherwise(explained),
        method=pl.when(is_flat)
        .then(pl.lit("median"))
        .when(is_below)
        .then(pl.lit("through_origin"))
        .otherwise(pl.lit("least_squares")),
    )
