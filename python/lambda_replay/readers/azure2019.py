"""Azure Functions Trace 2019, and the excerpts of it that In-Vitro and Dirigent use.

Counts per function and minute, quantiles of durations per function and day, memory per application
and day; Microsoft, AzureFunctionsDataset2019.md of github.com/Azure/AzurePublicDataset. Files are
told apart by the names of their columns: derivatives reorder them, begin at another minute, and
give memory per function.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.exceptions import TraceError, escape
from lambda_replay.ingest.faults import reading
from lambda_replay.readers.base import Family, Reader, Stamp
from lambda_replay.readers.counts import (
    DEFAULT_LAW,
    QUANTILES,
    Block,
    Functions,
    constant_law,
    expand_counts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["Azure2019"]

_APP: Final = "HashApp"
_KEYS: Final = ("HashOwner", "HashApp", "HashFunction")
_MINUTE_US: Final = 60_000_000
#: The first day of the published files, d01.
_FIRST_DAY: Final = dt.datetime(2019, 7, 15, tzinfo=dt.UTC)
_DAY: Final = re.compile(r"(?:^|[._-])d(\d{2})(?:[._-]|$)")
#: Minutes that are read at a time; the whole day of 46,000 functions would take half a GiB.
_COLUMNS: Final = 240
#: Durations are in whole milliseconds; 0 is less than one.
_ZERO_MS: Final = 0.5
_MEMORY_STEP_MB: Final = 128


@dataclass(frozen=True)
class _Day:
    """The files of one day."""

    start: int
    counts: File
    minutes: tuple[int, ...]


class Azure2019(Reader):
    """Counts, durations and memory, joined."""

    name = "azure2019"
    title = "Azure Functions Trace 2019"
    family = Family.COUNTS
    stamp = Stamp.BUCKET
    throttles = "missing"

    def recognises(self, file: File) -> bool:
        """Whether it has hashes, and counts per minute, quantiles or memory."""
        return _kind(file) is not None

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Join and expand, day by day."""
        by_kind: dict[str, list[File]] = {"counts": [], "durations": [], "memory": []}
        for file in files:
            kind = _kind(file)
            if kind is None:
                message = f"{escape(file.shown)} has no columns of the Azure Functions Trace 2019"
                raise TraceError(message, source=file.shown, code="LR-T-FORMAT")
            by_kind[kind].append(file)
        label = files[0].shown
        if not by_kind["counts"]:
            message = f"{escape(label)} tells durations or memory, and no counts per minute"
            raise TraceError(
                message, source=label, code="LR-T-MISSING", hint=_siblings(files, "counts")
            )
        if not by_kind["durations"] and options.duration_ms is None:
            message = f"{escape(label)} counts invocations, and no file says how long they take"
            hint = _siblings(files, "durations")
            raise TraceError(message, source=label, code="LR-T-DURATION", hint=hint)
        _refuse_several(by_kind["counts"])
        days = sorted((_day(file) for file in by_kind["counts"]), key=lambda day: day.start)
        if all(_DAY.search(Path(day.counts.path).name) is None for day in days):
            report.inferred["date"] = f"{_FIRST_DAY:%Y-%m-%d}, the first day of the data set"
        index = _index(days, label)
        functions = _functions(index, by_kind, options, report)
        report.note(
            "invocations are counted after they ran, cold starts excluded from durations;"
            " quantiles are of averages over 30 s; every one replays as a synchronous request,"
            " whatever its trigger"
        )
        return expand_counts(
            functions,
            lambda: _blocks(days, index),
            report,
            options,
        )


def _kind(file: File) -> str | None:
    """Tell what a file of the data set holds."""
    columns = file.columns
    if _APP not in columns:
        return None
    if any(name.startswith("AverageAllocatedMb") for name in columns):
        return "memory"
    if "HashFunction" not in columns:
        return None
    if "Average" in columns or "percentile_Average_50" in columns:
        return "durations"
    return "counts" if any(name.isdigit() for name in columns) else None


def _siblings(files: Sequence[File], kind: str) -> str:
    """Name the files beside these that hold what is missing."""
    what = {"counts": "invocations", "durations": "durations"}[kind]
    hint = f"give the file with the {what} too"
    folder = Path(files[0].path).parent
    near = sorted(folder.glob(f"*{what.rstrip('s')}*.csv"))
    stem = Path(files[0].path).name.split(".")[0].rpartition("_")[0]
    own = [path for path in near if stem and path.name.startswith(stem)]
    near = (own or near)[:3]
    if near:
        hint += f": {', '.join(map(str, near))}"
    return hint + ("; or --duration-ms N for all of them" if kind == "durations" else "")


def _refuse_several(files: Sequence[File]) -> None:
    """Refuse two excerpts at once: they are of the same functions and the same hours."""
    seen: dict[str, File] = {}
    for file in files:
        tag = _DAY.search(Path(file.path).name)
        day = tag[1] if tag else ""
        if day in seen:
            message = (
                f"{escape(seen[day].shown)} and {escape(file.shown)} count the same day: they are"
                " excerpts of one data set"
            )
            hint = "name the files of one of them, such as dirigent100_*.csv"
            raise TraceError(message, source=file.shown, code="LR-T-SEVERAL", hint=hint)
        seen[day] = file


def _day(file: File) -> _Day:
    tag = _DAY.search(Path(file.path).name)
    number = int(tag[1]) if tag else 1
    start = _FIRST_DAY + dt.timedelta(days=number - 1)
    minutes = tuple(sorted(int(name) for name in file.header if name.isdigit()))
    return _Day(int(start.timestamp()) * 1_000_000, file, minutes)


def _scan(file: File) -> pl.LazyFrame:
    """Scan a file; hashes are text, whatever they look like, all else a number."""
    types = {
        name: pl.String() if name.startswith("Hash") or name == "Trigger" else pl.Float64()
        for name in file.header
    }
    if file.is_parquet:
        return pl.scan_parquet(file.path, glob=False).cast(types)  # type: ignore[arg-type]
    return pl.scan_csv(file.path, glob=False, has_header=True, schema=pl.Schema(types))


def _keys(file: File) -> list[str]:
    return [name for name in _KEYS if name in file.columns]


def _name() -> pl.Expr:
    return pl.concat_str(_APP, pl.lit("/"), "HashFunction").alias("name")


def _index(days: Sequence[_Day], label: str) -> pl.DataFrame:
    """Give the functions of all days, by name: columns name, HashApp, trigger."""
    frames = []
    for day in days:
        with reading(day.counts.shown):
            trigger = pl.col("Trigger") if "Trigger" in day.counts.columns else pl.lit("others")
            frames.append(
                _scan(day.counts).select(_name(), _APP, trigger.alias("trigger")).collect()
            )
    # Many functions are "others" on the first day and have a trigger on a later one.
    telling = pl.col("trigger").filter(pl.col("trigger") != "others").last()
    index = (
        pl.concat(frames)
        .group_by("name", _APP, maintain_order=True)
        .agg(telling.fill_null("others"))
        .sort("name")
    )
    if index["name"].null_count():
        message = f"{escape(label)} has a row without a hash of its function"
        raise TraceError(message, source=label, column="HashFunction", code="LR-T-NULL")
    return index


def _functions(
    index: pl.DataFrame,
    by_kind: dict[str, list[File]],
    options: ReadOptions,
    report: IngestReport,
) -> Functions:
    memory = _memory(index, by_kind["memory"], report)
    return Functions(
        names=index["name"],
        laws=_laws(index, by_kind["durations"], options, report),
        timers=index["trigger"] == "timer",
        memory_mb=memory,
    )


def _laws(
    index: pl.DataFrame, files: Sequence[File], options: ReadOptions, report: IngestReport
) -> pl.DataFrame:
    """Give the law of each function's durations, over all days and duplicates."""
    if not files:
        report.inferred["duration_ms"] = f"{options.duration_ms:g} ms for all (--duration-ms)"
        same = pl.repeat(options.duration_ms, pl.len(), dtype=pl.Float64)
        given = index.select(same.alias("average"))
        return given.select(constant_law())
    known = pl.concat([_reported(file) for file in files])
    duplicates = known.height - known["name"].n_unique()
    weight = pl.col("Count").fill_null(1).clip(1)
    largest = pl.col("Count").fill_null(0).arg_max()
    one = known.group_by("name").agg(
        ((pl.col("average") * weight).sum() / weight.filter(pl.col("average").is_not_null()).sum()),
        pl.col("q0").min(),
        pl.col("q100").max(),
        *(pl.col(name).get(largest) for name in QUANTILES if name not in ("q0", "q100")),
    )
    if duplicates:
        report.note(f"{duplicates:,} functions have several rows of durations: joined by weight")
    laws = index.select("name").join(one, on="name", how="left", maintain_order="left")
    unknown = laws["q50"].is_null()
    if unknown.any():
        mu, sigma = DEFAULT_LAW
        report.note(
            f"{unknown.sum():,} of {index.height:,} functions have no durations: each runs as long"
            f" as a draw from the log-normal law of all functions (median {2.718281828**mu:.2f} s)"
        )
        laws = laws.with_columns(_drawn(laws["name"], mu, sigma, options.seed))
        laws = laws.with_columns(
            pl.coalesce(name, "drawn").alias(name) for name in (*QUANTILES, "average")
        )
    return laws


def _drawn(names: pl.Series, mu: float, sigma: float, seed: int) -> pl.Series:
    """Draw an average per function in ms, by its name and the seed alone."""
    import hashlib  # noqa: PLC0415 - rarely needed
    from statistics import NormalDist  # noqa: PLC0415

    law = NormalDist(mu, sigma)
    draws = []
    for name in names:
        digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
        share = (int.from_bytes(digest, "little") + 0.5) / 2**64
        draws.append(min(900_000.0, 1_000 * 2.718281828459045 ** law.inv_cdf(share)))
    return pl.Series("drawn", draws, dtype=pl.Float64)


def _reported(file: File) -> pl.DataFrame:
    """Read one file of durations: name, Count, average, quantiles; oddities put right."""
    columns = file.columns
    with reading(file.shown):
        frame = _scan(file)
        count = pl.col("Count") if "Count" in columns else pl.lit(None, pl.Float64)
        inner = {f"q{number}": f"percentile_Average_{number}" for number in (1, 25, 50, 75, 99)}
        ends = {"q0": "Minimum", "q100": "Maximum"}
        ends = {
            name: end if end in columns else f"percentile_Average_{name[1:]}"
            for name, end in ends.items()
        }
        average = pl.col("Average") if "Average" in columns else pl.lit(None, pl.Float64)
        quantiles = {**inner, **ends}
        missing = [name for name in quantiles.values() if name not in columns]
        if missing:
            message = f"{escape(file.shown)} has no column {missing[0]}"
            raise TraceError(message, source=file.shown, column=missing[0], code="LR-T-COLUMN")
        half = pl.col(quantiles["q50"])
        return frame.select(
            _name(),
            count.alias("Count"),
            # 0 with positive quantiles, and less than 0, are known defects of the data set.
            pl.when((average > 0) | ((average == 0) & (half <= 0)))
            .then(average.clip(_ZERO_MS))
            .otherwise(None)
            .alias("average"),
            *(pl.col(column).clip(_ZERO_MS).alias(name) for name, column in quantiles.items()),
        ).collect()


def _memory(index: pl.DataFrame, files: Sequence[File], report: IngestReport) -> pl.Series | None:
    """Give the memory of each function: the application's, in steps of 128 MB."""
    if not files:
        return None
    frames = []
    for file in files:
        own = "HashFunction" in file.columns
        highest = "AverageAllocatedMb_pct100"
        column = highest if highest in file.columns else "AverageAllocatedMb"
        with reading(file.shown):
            name = _name() if own else pl.lit(None, pl.String).alias("name")
            frames.append(_scan(file).select(name, _APP, pl.col(column).alias("mb")).collect())
    known = pl.concat(frames)
    by_name = known.filter(pl.col("name").is_not_null()).group_by("name").agg(pl.col("mb").max())
    apps = known.filter(pl.col("name").is_null()).group_by(_APP).agg(pl.col("mb").max())
    joined = (
        index.select("name", _APP)
        .join(by_name, on="name", how="left", maintain_order="left")
        .join(apps, on=_APP, how="left", suffix="_app", maintain_order="left")
    )
    megabytes = pl.coalesce("mb", "mb_app")
    steps = (megabytes / _MEMORY_STEP_MB).ceil().clip(1, 10_240 // _MEMORY_STEP_MB)
    memory = joined.select((steps * _MEMORY_STEP_MB).cast(pl.UInt32).alias("memory_mb"))
    report.inferred["memory_mb"] = (
        "largest average of the application, or its function's share, in steps of 128 MB"
    )
    return memory.to_series()


def _blocks(days: Sequence[_Day], index: pl.DataFrame) -> Iterator[tuple[int, Block]]:
    """Give the counts of day after day, some hours at a time."""
    for day in days:
        with reading(day.counts.shown):
            names = _scan(day.counts).select(_name()).collect()
        # Without duplicates, which are rare, rows need only be put in order.
        places = None if names["name"].is_duplicated().any() else _places(names, index)
        for run in _runs(day.minutes):
            columns = [str(minute) for minute in run]
            whole = pl.col(columns).fill_null(0).fill_nan(0).round().cast(pl.Int32)
            with reading(day.counts.shown):
                # As whole numbers at once: hundreds of columns of Float64 take twice the memory.
                frame = _scan(day.counts).select(whole).collect(engine="streaming")
            negative = frame.select(pl.all().clip(upper_bound=0).cast(pl.Int64).abs().sum()).row(0)
            counts = frame.select(pl.all().clip(0).cast(pl.UInt32))
            del frame
            if places is None:
                summed = counts.with_columns(names["name"]).group_by("name").sum()
                order = _places(summed, index)
                counts = summed.select(columns)
            else:
                order = places
            block = counts.select(pl.all().gather(order).fill_null(0))
            start = day.start + (run[0] - 1) * _MINUTE_US
            yield int(sum(negative)), Block(start, _MINUTE_US, block)


def _places(rows: pl.DataFrame, index: pl.DataFrame) -> pl.Series:
    """Give the place of each function's row, null where it has none."""
    numbered = rows.select("name").with_row_index("place")
    joined = index.select("name").join(numbered, "name", how="left", maintain_order="left")
    return joined["place"]


def _runs(minutes: Sequence[int]) -> Iterator[list[int]]:
    """Cut minutes where one is missing, and where there are many."""
    run: list[int] = []
    for minute in minutes:
        if run and (minute != run[-1] + 1 or len(run) == _COLUMNS):
            yield run
            run = []
        run.append(minute)
    if run:
        yield run
