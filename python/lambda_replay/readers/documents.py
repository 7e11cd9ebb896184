"""JSON documents as rows: what the readers of telemetry and of records have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay import _core
from lambda_replay.exceptions import TraceError
from lambda_replay.readers.base import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = [
    "INSTANT",
    "LEFT_OUT",
    "arn_tail",
    "arrival_duration",
    "instant_iso",
    "instant_of",
    "json_rows",
    "number",
    "read_documents",
    "reason",
]

#: What every reader's ``timestamp`` is.
INSTANT: Final = pl.Datetime("us", "UTC")
#: Column of a prepared batch that says why a row is left out.
LEFT_OUT: Final = "_left_out"


def json_rows(
    files: Sequence[File], rows: str, columns: Mapping[str, str]
) -> Iterator[pl.DataFrame]:
    """Give the rows at a path of JSON files as text, a column per path of ``columns``.

    Paths are those of ``rust/ingest/src/documents.rs``.

    Raises
    ------
    TraceError
        A file is no JSON from some place on.
    """
    reader = _core.JsonRows(
        [file.path for file in files],
        [file.shown for file in files],
        rows,
        list(columns.values()),
    )
    names = {str(place): name for place, name in enumerate(columns)}
    while (table := reader.take()) is not None:
        yield pl.DataFrame(table).rename(names)


def read_documents(
    files: Sequence[File],
    report: IngestReport,
    *,
    rows: str,
    columns: Mapping[str, str],
    schema: Mapping[str, Any],
    prepare: Callable[[pl.DataFrame], pl.DataFrame],
) -> pl.LazyFrame:
    """Read JSON files whose rows are rows of the trace.

    Parameters
    ----------
    files, rows, columns
        As in :func:`json_rows`.
    report
        Of the reader.
    schema
        Columns of the trace.
    prepare
        Makes them of a batch, with :data:`LEFT_OUT` besides: null, or why the row is left out.
    """

    def batches() -> Iterator[pl.DataFrame]:
        for text in json_rows(files, rows, columns):
            report.count(read=text.height)
            batch = prepare(text)
            left_out = batch[LEFT_OUT].drop_nulls()
            for why, count in left_out.value_counts().rows():
                report.drop(why, count)
            kept = batch.filter(pl.col(LEFT_OUT).is_null())
            yield kept.select(pl.col(name).cast(dtype) for name, dtype in schema.items())

    return stream(schema, batches, report)


def number(name: str) -> pl.Expr:
    """Read a column of text as numbers; what is none becomes null."""
    return pl.col(name).cast(pl.Float64, strict=False)


def instant_of(name: str, unit_us: int) -> pl.Expr:
    """Read a column of numbers of ``unit_us`` µs each as instants.

    Whole numbers are not taken through floats: nanoseconds do not fit into one.
    """
    whole = pl.col(name).cast(pl.Int64, strict=False) * unit_us
    parts = (number(name) * unit_us).round().cast(pl.Int64, strict=False)
    return pl.coalesce(whole, parts).cast(INSTANT)


def instant_iso(name: str) -> pl.Expr:
    """Read a column of ISO 8601 text as instants; naive ones are UTC."""
    spaced = pl.col(name).str.replace(" ", "T", literal=True)
    zoned = (
        pl.when(spaced.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$"))
        .then(spaced)
        .otherwise(spaced + pl.lit("Z"))
    )
    return zoned.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False, exact=True)


def reason(reasons: Mapping[str, pl.Expr]) -> pl.Expr:
    """Say of each row the first reason that holds, or null."""
    chain = pl.lit(None, pl.String)
    for why, condition in reversed(list(reasons.items())):
        chain = pl.when(condition.fill_null(value=False)).then(pl.lit(why)).otherwise(chain)
    return chain.alias(LEFT_OUT)


def arn_tail(name: str) -> pl.Expr:
    """Take the function of a name or ARN; versions and aliases are left out."""
    column = pl.col(name)
    of_arn = column.str.extract(r":function:([^:]+)")
    return pl.coalesce(of_arn, column.str.extract(r"^(?:\d{12}:)?([^:/]+)(?::[^:]*)?$"))


def arrival_duration(options: ReadOptions, title: str) -> float:
    """Give the duration of arrivals whose source knows none.

    Raises
    ------
    TraceError
        The user does not give one.
    """
    if options.duration_ms is not None:
        return options.duration_ms
    message = (
        f"{title} say when requests came and not how long they ran; a replay needs their duration"
    )
    raise TraceError(
        message,
        code="LR-T-DURATION",
        column="duration_ms",
        hint="--duration-ms 100, or take durations from the function's CloudWatch logs",
    )
