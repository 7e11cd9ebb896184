"""Azure Functions Invocation Trace 2021: a row per invocation, stamped at its end.

Microsoft, AzureFunctionsInvocationTrace2021.md of github.com/Azure/AzurePublicDataset: ``app``,
``func`` (unique only inside its app), ``end_timestamp`` and ``duration`` in seconds since
2021-01-31, cold starts excluded.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.ingest.batches import scan_batches
from lambda_replay.readers.base import Reader, Stamp, stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["Azure2021"]

_COLUMNS: Final = ("app", "func", "end_timestamp", "duration")
_BATCH_ROWS: Final = 131_072
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
        micros = {
            name: (pl.col(column) * 1e6).round().cast(pl.Int64)
            for name, column in (("end", "end_timestamp"), ("span", "duration"))
        }
        begin = int(_BEGIN.timestamp()) * 1_000_000
        start = micros["end"] - micros["span"]
        code = pl.Categorical()
        frame = pl.concat([_scan(file) for file in files]).select(
            (start.clip(0) + begin).cast(pl.Datetime("us", "UTC")).alias("timestamp"),
            pl.when(micros["span"] == 0)
            .then(1)
            .otherwise(micros["span"])
            .cast(pl.Duration("us"))
            .alias("duration_ms"),
            pl.col("app").cast(code),
            pl.col("func").cast(code),
            (start < 0).alias("early"),
            (micros["span"] == 0).alias("zero"),
        )
        report.inferred["timestamp"] = "end_timestamp minus duration"
        schema = {
            "timestamp": pl.Datetime("us", "UTC"),
            "function": pl.Categorical(),
            "duration_ms": pl.Duration("us"),
        }

        def batches() -> Iterator[pl.DataFrame]:
            names = _Names()
            for batch in scan_batches(frame, _BATCH_ROWS):
                report.count(read=batch.height)
                report.repair(
                    "start before the trace taken as its begin", int(batch["early"].sum())
                )
                report.repair("duration 0 taken as 1 µs", int(batch["zero"].sum()))
                yield batch.select("timestamp", names.of(batch), "duration_ms")

        return stream(schema, batches, report)


class _Names:
    """Names of functions by the pairs of their parts: few, where rows are many."""

    def __init__(self) -> None:
        self._known = pl.DataFrame(schema={"pair": pl.UInt64, "function": pl.Categorical()})

    def of(self, batch: pl.DataFrame) -> pl.Series:
        """Give a function per row."""
        app, func = (batch[name].to_physical().cast(pl.UInt64) for name in ("app", "func"))
        pairs = batch.select("app", "func", (app * 2**32 + func).alias("pair"))
        new = pairs.unique("pair").join(self._known, on="pair", how="anti")
        if new.height:
            parts = [pl.col(name).cast(pl.String) for name in ("app", "func")]
            name = pl.concat_str(parts, separator="/").cast(pl.Categorical()).alias("function")
            self._known = pl.concat([self._known, new.select("pair", name)])
        found = pairs.select("pair").join(
            self._known, on="pair", how="left", maintain_order="left", nulls_equal=True
        )
        return found["function"]


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
