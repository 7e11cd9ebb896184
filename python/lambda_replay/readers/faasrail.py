"""FaaSRail specifications: how many requests of each kind of work in each minute of an experiment.

github.com/cslab-ntua/faasrail: ``avg`` is the mean duration in ms, ``mapped_wreq`` the work as
JSON, and each further column a minute of the experiment, labelled by the minutes of Azure's day
that it stands for.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.ingest.faults import reading
from lambda_replay.readers.base import Family, Reader, Stamp
from lambda_replay.readers.counts import Block, Functions, constant_law, expand_counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["FaaSRail"]

_RANGE: Final = re.compile(r"(\d+)(?:-\d+)?")
_MINUTE_US: Final = 60_000_000


class FaaSRail(Reader):
    """Counts per minute and kind of work."""

    name = "faasrail"
    title = "FaaSRail specification"
    family = Family.COUNTS
    stamp = Stamp.BUCKET
    throttles = "missing"

    def recognises(self, file: File) -> bool:
        """Whether it has a mean, the work and labels of minutes."""
        return file.columns >= {"avg", "mapped_wreq"} and bool(_minutes(file.header))

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Expand the minutes of the experiment; several files follow each other."""
        frames = []
        for file in files:
            with reading(file.shown):
                frames.append(pl.read_csv(file.path, glob=False, infer_schema=False))
        tables = [
            pl.DataFrame({"name": _names(frame["mapped_wreq"])}).with_columns(
                frame["avg"].cast(pl.Float64).alias("average")
            )
            for frame in frames
        ]
        known = pl.concat(tables).unique("name", keep="first", maintain_order=True)
        functions = Functions(names=known["name"], laws=known.select(constant_law()))

        def blocks() -> Iterator[tuple[int, Block]]:
            start = 0
            for frame, table in zip(frames, tables, strict=True):
                minutes = _minutes(frame.columns)
                own = frame.select(pl.col(minutes).cast(pl.Float64).round().cast(pl.UInt32))
                joined = known.select("name").join(
                    own.with_columns(table["name"]), on="name", how="left", maintain_order="left"
                )
                yield 0, Block(start, _MINUTE_US, joined.select(pl.col(minutes).fill_null(0)))
                start += len(minutes) * _MINUTE_US

        report.inferred["duration_ms"] = "the work's mean"
        report.inferred["date"] = "1970-01-01: an experiment begins when it is started"
        return expand_counts(functions, blocks, report, options)


def _minutes(header: Sequence[str]) -> list[str]:
    found = [name for name in header if _RANGE.fullmatch(name.strip())]
    return sorted(found, key=lambda name: int(name.strip().split("-")[0]))


def _names(work: pl.Series) -> list[str]:
    """Name each row by its benchmark and place."""
    names = []
    for place, text in enumerate(work):
        try:
            bench = str(json.loads(text)["bench"])
        except (ValueError, KeyError, TypeError):
            bench = "work"
        names.append(f"{bench}-{place}")
    return names
