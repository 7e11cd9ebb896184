"""Azure Functions Invocation Trace 2021: a row per invocation, stamped at its end.

Microsoft, AzureFunctionsInvocationTrace2021.md of github.com/Azure/AzurePublicDataset: ``app``,
``func`` (unique only inside its app), ``end_timestamp`` and ``duration`` in seconds since
2021-01-31, cold starts excluded.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.readers.base import Reader, Stamp, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["Azure2021"]

_COLUMNS: Final = ("app", "func", "end_timestamp", "duration")
#: Times count from here.
_BEGIN: Final = dt.datetime(2021, 1, 31, tzinfo=dt.UTC)


class Azure2021(Reader):
    """One row per invocation."""

    name = "azure2021"
    title = "Azure Functions Invocation Trace 2021"
    stamp = Stamp.END
    throttles = "missing"

    def recognises(self, file: File) -> bool:
        """Whether it has the four columns."""
        return file.columns.issuperset(_COLUMNS)

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Take the duration from the end."""
        del options
        frames = [_scan(file) for file in files]
        micros = {
            name: (pl.col(column) * 1e6).round().cast(pl.Int64)
            for name, column in (("end", "end_timestamp"), ("span", "duration"))
        }
        begin = int(_BEGIN.timestamp()) * 1_000_000
        start = micros["end"] - micros["span"]
        frame = pl.concat(frames).select(
            (start.clip(0) + begin).cast(pl.Datetime("us", "UTC")).alias("timestamp"),
            pl.concat_str("app", pl.lit("/"), "func").cast(pl.Categorical()).alias("function"),
            pl.when(micros["span"] == 0)
            .then(1)
            .otherwise(micros["span"])
            .cast(pl.Duration("us"))
            .alias("duration_ms"),
            (start < 0).alias("_early"),
            (micros["span"] == 0).alias("_zero"),
        )
        report.inferred["timestamp"] = "end_timestamp minus duration"
        repair = {
            "start before the trace taken as its begin": pl.col("_early"),
            "duration 0 taken as 1 µs": pl.col("_zero"),
        }
        return counted(frame, report, repair=repair)


def _scan(file: File) -> pl.LazyFrame:
    numbers = ("end_timestamp", "duration")
    types = {name: pl.Float64() if name in numbers else pl.String() for name in file.header}
    if file.is_parquet:
        return (
            pl.scan_parquet(file.path, glob=False)
            .select(_COLUMNS)
            .cast({name: types[name] for name in _COLUMNS})
        )
    return pl.scan_csv(file.path, glob=False, schema=pl.Schema(types)).select(_COLUMNS)
