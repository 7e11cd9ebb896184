"""Huawei cloud functions 2023, and the time series of 2025: requests per bucket and function.

github.com/sir-lab/data-release (Joosen et al., SoCC 2023 and EuroSys 2025), CC BY 4.0. Folders say
what the numbers are (``requests_minute``, ``function_delay_minute``, …), the files all look alike.
An empty field is no data.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.exceptions import TraceError, escape, show
from lambda_replay.ingest.batches import scan_batches
from lambda_replay.ingest.faults import reading
from lambda_replay.readers.base import Family, Reader, Stamp
from lambda_replay.readers.counts import (
    Block,
    Functions,
    constant_law,
    expand_counts,
    log_normal_law,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["Huawei2023"]

_FUNCTION: Final = re.compile(r"\d+(---\d+---pool\d+-\d+-(?P<memory>\d+))?")
_DELAY: Final = "function_delay"
_NOT_REQUESTS: Final = (
    "platform_delay", "cpu_usage", "memory_usage", "cpu_limit", "memory_limit", "instances",
)  # fmt: skip
_UNITS_MS: Final = {"s": 1_000.0, "ms": 1.0, "us": 0.001}
#: Buckets that are read at a time.
_BUCKETS: Final = 240
#: Deviation of the logarithm of single durations around a mean: median of
#: sqrt(2 ln(average / median)) over the functions of the Azure Functions Trace 2019
#: in github.com/eth-easl/dirigent.
SIGMA: Final = 0.85


class Huawei2023(Reader):
    """Requests per second or minute, and mean delays where they are given."""

    name = "huawei2023"
    title = "Huawei cloud functions, requests per bucket"
    family = Family.COUNTS
    stamp = Stamp.BUCKET
    throttles = "missing"

    def recognises(self, file: File) -> bool:
        """Whether it begins with day and time, and all else is a function."""
        header = file.header
        return (
            len(header) > 2
            and header[:2] == ["day", "time"]
            and all(_FUNCTION.fullmatch(name) for name in header[2:])
        )

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Expand day after day."""
        requests = [file for file in files if _kind(file) == "requests"]
        delays = {Path(file.path).name: file for file in files if _kind(file) == _DELAY}
        label = files[0].shown
        if not requests:
            message = f"{escape(label)} has no requests; its folder tells of {_kind(files[0])}"
            raise TraceError(message, source=label, code="LR-T-MISSING")
        if not delays and options.duration_ms is None:
            message = f"{escape(label)} counts requests, and no file says how long they take"
            hint = "give the folder function_delay_… too, with --delay-unit; or --duration-ms N"
            raise TraceError(message, source=label, code="LR-T-DURATION", hint=hint)
        if delays and options.delay_unit not in _UNITS_MS:
            message = (
                f"the data set does not state the unit of function_delay in {escape(label)}"
                if options.delay_unit is None
                else f"the unit of delays is {show(options.delay_unit)}"
            )
            hint = f"give --delay-unit: one of {', '.join(_UNITS_MS)}"
            raise TraceError(message, source=label, code="LR-T-OPTION", hint=hint)
        unit = _UNITS_MS.get(options.delay_unit or "", 1.0)
        requests = sorted(requests, key=_begin)
        names = list(dict.fromkeys(name for file in requests for name in file.header[2:]))
        known = pl.DataFrame({"name": names}).with_columns(
            average=_averages(names, list(delays.values()), unit, options.duration_ms)
        )
        mean = pl.col("average")
        laws = known.select(log_normal_law(mean, SIGMA) if delays else constant_law())
        memory = [found["memory"] for name in names if (found := _FUNCTION.fullmatch(name))]
        has_memory = all(one is not None for one in memory)
        functions = Functions(
            names=known["name"],
            laws=laws,
            memory_mb=pl.Series(memory, dtype=pl.String).cast(pl.UInt32) if has_memory else None,
        )
        report.inferred["date"] = "1970-01-01: the data set counts seconds from its first day"
        report.inferred["duration_ms"] = (
            f"log-normal (σ {SIGMA}) around the bucket's mean delay"
            if delays
            else f"{options.duration_ms:g} ms for all (--duration-ms)"
        )
        return expand_counts(
            functions,
            lambda: _blocks(requests, delays, names, unit),
            report,
            options,
        )


def _kind(file: File) -> str:
    """Tell what the numbers are, by the names of folders and file."""
    path = file.shown
    if _DELAY in path:
        return _DELAY
    return next((kind for kind in _NOT_REQUESTS if kind in path), "requests")


def _begin(file: File) -> float:
    """Give the first second of a file."""
    line = file.lines[1].split(",") if len(file.lines) > 1 else ["0", "0"]
    return float(line[1])


def _scan(file: File) -> pl.LazyFrame:
    # Columns that begin empty would be taken for text.
    types = dict.fromkeys(file.header, pl.Float64())
    return pl.scan_csv(file.path, glob=False, schema=pl.Schema(types))


def _averages(
    names: Sequence[str], delays: Sequence[File], unit: float, fixed: float | None
) -> pl.Series:
    """Give each function's mean over all buckets, ms; the mean of all where it has none."""
    if not delays:
        return pl.Series([fixed] * len(names), dtype=pl.Float64)
    means = []
    for file in delays:
        with reading(file.shown):
            row = _scan(file).select(pl.exclude("day", "time").mean()).collect(engine="streaming")
        means.append(row)
    joined = pl.concat(means, how="diagonal").mean()
    known = [joined[name][0] if name in joined.columns else None for name in names]
    series = pl.Series(known, dtype=pl.Float64) * unit
    fallback = fixed if fixed is not None else series.mean()
    return series.fill_null(fallback if isinstance(fallback, float) else 1.0)


def _blocks(
    requests: Sequence[File], delays: dict[str, File], names: Sequence[str], unit: float
) -> Iterator[tuple[int, Block]]:
    for file in requests:
        delay = delays.get(Path(file.path).name)
        with reading(file.shown):
            pieces = scan_batches(_scan(file), _BUCKETS)
            means = None if delay is None else scan_batches(_scan(delay), _BUCKETS)
            width: int | None = None
            for rows in pieces:
                times = rows["time"]
                other = None if means is None else next(means, None)
                if other is not None and not other["time"].equals(times):
                    message = f"{escape(file.shown)} and its delays are not of the same times"
                    raise TraceError(message, source=file.shown, column="time", code="LR-T-VALUE")
                if width is None:
                    step = times.diff().drop_nulls().min()
                    width = int(step if isinstance(step, float) else 60) * 1_000_000
                for first, last in _runs(times, width):
                    part = rows[first:last]
                    counts = _turned(part, names, 0.0)
                    negative = counts.select(pl.all().clip(upper_bound=0).abs().sum()).row(0)
                    mean = None if other is None else _turned(other[first:last], names, None)
                    yield (
                        int(sum(negative)),
                        Block(
                            round(times[first]) * 1_000_000,
                            width,
                            counts.select(pl.all().clip(0).round().cast(pl.UInt32)),
                            None if mean is None else mean * unit,
                        ),
                    )


def _runs(times: pl.Series, width: int) -> Iterator[tuple[int, int]]:
    """Cut where the next bucket is not the following one."""
    first = 0
    gaps = times.diff().to_list()
    for place, gap in enumerate(gaps):
        if gap is not None and round(gap) * 1_000_000 != width:
            yield first, place
            first = place
    if first < len(times):
        yield first, len(times)


def _turned(rows: pl.DataFrame, names: Sequence[str], empty: float | None) -> pl.DataFrame:
    """Turn rows of buckets into a column per bucket and a row per function."""
    absent = pl.lit(None, pl.Float64)
    every = rows.select(
        pl.col(name) if name in rows.columns else absent.alias(name) for name in names
    )
    fill = float("nan") if empty is None else empty
    return every.transpose().select(pl.all().cast(pl.Float64).fill_null(fill))
