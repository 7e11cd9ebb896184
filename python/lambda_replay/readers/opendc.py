"""OpenDC's FaaS workload traces: a CSV file per function, a row per minute.

github.com/atlarge-research/opendc, opendc-faas: names of columns begin with blanks, the stamp is
the end of the minute in milliseconds.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.ingest.faults import reading
from lambda_replay.readers.base import Family, Reader, Stamp
from lambda_replay.readers.counts import Functions, constant_law, expand_counts
from lambda_replay.readers.long_counts import blocks_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["OpenDC"]

_STAMP: Final = "Timestamp [ms]"
_SPAN: Final = "Avg Exec time per Invocation"
_MEMORY: Final = "Provisioned Memory [mb]"
_NEEDED: Final = frozenset((_STAMP, "Invocations", _SPAN, "name"))
_MINUTE: Final = 60_000
_ORIGIN: Final = int(dt.datetime(1970, 1, 1, tzinfo=dt.UTC).timestamp()) * 1_000_000


class OpenDC(Reader):
    """Counts and average durations per minute."""

    name = "opendc"
    title = "OpenDC FaaS trace"
    family = Family.COUNTS
    stamp = Stamp.BUCKET
    throttles = "missing"

    def recognises(self, file: File) -> bool:
        """Whether it has the columns, blanks aside."""
        return file.columns >= _NEEDED

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Expand the counts of all functions."""
        cells = pl.concat([_cells(file) for file in files])
        names = cells["name"].unique().sort()
        places = pl.DataFrame({"name": names}).with_row_index("function")
        cells = cells.join(places, on="name", maintain_order="left")
        known = places.join(
            cells.group_by("name").agg(pl.col("mean").mean(), pl.col("memory").max()),
            on="name",
            maintain_order="left",
        )
        functions = Functions(
            names=names,
            laws=known.select(constant_law("mean")),
            memory_mb=known["memory"].cast(pl.UInt32)
            if known["memory"].null_count() == 0
            else None,
        )
        report.inferred["duration_ms"] = "the minute's average"
        report.inferred["date"] = "1970-01-01: the data set counts from its first minute"
        columns = ["bucket", "function", "count", "mean"]
        return expand_counts(
            functions,
            lambda: blocks_of(cells.select(columns), len(names), _MINUTE * 1_000, _ORIGIN),
            report,
            options,
        )


def _cells(file: File) -> pl.DataFrame:
    """Read the minutes with invocations."""
    with reading(file.shown):
        raw = pl.scan_csv(file.path, glob=False, infer_schema=False)
        raw = raw.rename({name: name.strip() for name in raw.collect_schema().names()})
        number = {
            name: pl.col(name).str.strip_chars().cast(pl.Float64) for name in _NEEDED - {"name"}
        }
        memory = (
            pl.col(_MEMORY).str.strip_chars().cast(pl.Float64)
            if _MEMORY in file.columns
            else pl.lit(None, pl.Float64)
        )
        return (
            raw.select(
                # The stamp is the end of the minute.
                (number[_STAMP].cast(pl.Int64) // _MINUTE - 1).alias("bucket"),
                number["Invocations"].cast(pl.UInt32).alias("count"),
                number[_SPAN].alias("mean"),
                memory.alias("memory"),
                pl.col("name").str.strip_chars(),
            )
            .filter(pl.col("count") > 0)
            .collect()
        )
