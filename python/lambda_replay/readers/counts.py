"""Counts per bucket as a trace of single invocations that is made while it is read.

The compiled part places them and draws their durations (``CountExpander``); here functions get
their names, blocks of counts are cut into batches, and what is assumed is said.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from lambda_replay import _core
from lambda_replay.exceptions import TraceError, show
from lambda_replay.readers import PLACEMENTS
from lambda_replay.readers.base import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions

__all__ = [
    "DEFAULT_LAW",
    "QUANTILES",
    "Block",
    "Functions",
    "constant_law",
    "expand_counts",
    "log_normal_law",
]

#: Columns of the quantiles of a function's durations, and their shares.
QUANTILES: Final = {
    "q0": 0.0, "q1": 0.01, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q99": 0.99, "q100": 1.0
}  # fmt: skip
_SCORES: Final = (-3.090_232, -2.326_348, -0.674_490, 0.0, 0.674_490, 2.326_348, 3.090_232)

#: Rows of a batch, about.
_BATCH_ROWS: Final = 131_072

#: Average duration of a function that reports none: log-normal, μ and σ of ln seconds, as the
#: simulator dslab takes it from Shahrad et al., "Serverless in the Wild", USENIX ATC 2020.
DEFAULT_LAW: Final = (-0.38, 2.36)


class Block(NamedTuple):
    """Counts of consecutive buckets.

    Attributes
    ----------
    start, width
        Begin of the first bucket and length of each, µs.
    counts
        A UInt32 column per bucket, a row per function.
    means
        The same with mean durations in ms (Float64, NaN: not known), where the source has them.
    """

    start: int
    width: int
    counts: pl.DataFrame
    means: pl.DataFrame | None = None


@dataclass
class Functions:
    """The functions of a source, in the order of the rows of its blocks.

    Attributes
    ----------
    names
        As the trace will call them.
    laws
        Columns of :data:`QUANTILES` (Float64, ms) and ``average`` (Float64, ms, null: as the
        quantiles have it).
    timers
        Whether invocations are evenly spaced unless the user says otherwise.
    memory_mb
        UInt32, null where it is not known; None: the source does not say.
    init_ms
        Duration µs, or None.
    """

    names: pl.Series
    laws: pl.DataFrame
    timers: pl.Series | None = None
    memory_mb: pl.Series | None = None
    init_ms: pl.Series | None = None

    def table(self, options: ReadOptions) -> pl.DataFrame:
        """Give what the core needs of them."""
        placement = pl.Series([0] * len(self.names), dtype=pl.UInt8)
        if options.placement is not None:
            number = PLACEMENTS.index(options.placement)
            placement = pl.Series([number] * len(self.names), dtype=pl.UInt8)
        elif self.timers is not None:
            placement = self.timers.cast(pl.UInt8)
        keys = [
            int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
            for name in self.names
        ]
        laws = self.laws.select(*QUANTILES, "average").cast(pl.Float64)
        if options.durations == "average":
            flat = [pl.coalesce("average", "q50").alias(name) for name in QUANTILES]
            laws = laws.with_columns(flat)
        elif not options.rescale:
            laws = laws.with_columns(average=pl.lit(None, pl.Float64))
        return laws.with_columns(
            pl.Series("key", keys, dtype=pl.UInt64), placement.alias("placement")
        ).rechunk()


def constant_law(average: str = "average") -> list[pl.Expr]:
    """Express the law of runs that all take the average."""
    return [pl.col(average).alias(name) for name in (*QUANTILES, "average")]


def log_normal_law(mean: pl.Expr, sigma: float | pl.Expr) -> list[pl.Expr]:
    """Express a log-normal law by its mean in ms and the deviation of the logarithm."""
    middle = mean.log() - sigma * sigma / 2
    return [
        *((middle + sigma * score).exp().alias(name)
          for name, score in zip(QUANTILES, _SCORES, strict=True)),
        mean.alias("average"),
    ]  # fmt: skip


def expand_counts(
    known: Functions,
    blocks: Callable[[], Iterable[tuple[int, Block]]],
    report: IngestReport,
    options: ReadOptions,
) -> pl.LazyFrame:
    """Make a trace of counts.

    Parameters
    ----------
    known
        The functions of the source.
    blocks
        Begins a pass over the counts: how many of them are bad and left out, and the block, in
        order of time.
    report, options
        Of the reader.
    """
    if options.placement is not None and options.placement not in PLACEMENTS:
        message = f"placement is {show(options.placement)}; one of {', '.join(PLACEMENTS)}"
        raise TraceError(message, code="LR-T-OPTION")
    table = known.table(options)
    names = known.names.cast(pl.Categorical())
    codes = names.to_physical()
    extras = [
        (name, series)
        for name, series in (("init_ms", known.init_ms), ("memory_mb", known.memory_mb))
        if series is not None
    ]
    schema: dict[str, Any] = {
        "timestamp": pl.Datetime("us", "UTC"),
        "function": pl.Categorical(),
        "duration_ms": pl.Duration("us"),
    }
    schema.update({name: series.dtype for name, series in extras})
    _say(report, options, table)

    def batches() -> Iterator[pl.DataFrame]:
        expander = _core.CountExpander(options.seed, table)
        for bad, block in blocks():
            report.count(read=bad)
            report.drop("negative counts", bad)
            for first, last in _cuts(block.counts):
                counts = block.counts[:, first:last].rechunk()
                means = None if block.means is None else block.means[:, first:last].rechunk()
                start = block.start + first * block.width
                made = expander.expand(start // block.width, start, block.width, counts, means)
                rows = pl.DataFrame(made)
                report.count(read=rows.height)
                if not rows.height:
                    continue
                place = rows["function"]
                columns = [
                    rows["timestamp"].cast(pl.Datetime("us", "UTC")),
                    codes.gather(place).cat.to(schema["function"]).alias("function"),
                    rows["duration_ms"].cast(pl.Duration("us")),
                ]
                columns += [series.gather(place).alias(name) for name, series in extras]
                frame = pl.DataFrame(columns)
                for at in range(0, frame.height, _BATCH_ROWS):
                    yield frame[at : at + _BATCH_ROWS]

    return stream(schema, batches, report)


def _cuts(counts: pl.DataFrame) -> Iterator[tuple[int, int]]:
    """Cut consecutive buckets so that each part has about so many rows."""
    sums: Sequence[int] = counts.select(pl.all().cast(pl.UInt64).sum()).row(0)
    first = held = 0
    for place, rows in enumerate(sums):
        if held and held + rows > _BATCH_ROWS:
            yield first, place
            first, held = place, 0
        held += rows
    if first < len(sums):
        yield first, len(sums)


def _say(report: IngestReport, options: ReadOptions, table: pl.DataFrame) -> None:
    shown = options.placement
    if shown is None:
        some = table["placement"].sum()
        shown = "uniform, timers equidistant" if some else "uniform"
    report.inferred["timestamp"] = f"counts expanded inside their buckets ({shown})"
    if "duration_ms" not in report.inferred:
        how = "each function's average" if options.durations == "average" else (
            "drawn from each function's quantiles"
            + (", mean as reported" if options.rescale else "")
        )  # fmt: skip
        report.inferred["duration_ms"] = how
