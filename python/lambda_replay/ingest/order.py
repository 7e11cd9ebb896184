"""Sorting what is not sorted, in memory where it fits and on the disk where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.ingest.batches import scan_batches
from lambda_replay.output import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ROWS_IN_MEMORY", "sorted_batches"]

#: Rows that are sorted in memory at once; about 2 GB at the peak with every column present.
ROWS_IN_MEMORY: Final = 20_000_000

#: Bins of equal width that the span of a trace is cut into before they are put together again.
_BINS: Final = 4_096


def sorted_batches(
    frame: pl.LazyFrame, chunk_size: int, rows_in_memory: int = ROWS_IN_MEMORY
) -> Iterator[pl.DataFrame]:
    """Give the rows of a trace in order of time, rows of one instant in the order given (Z2).

    Parameters
    ----------
    frame
        Columns of :class:`~lambda_replay.ingest.wire.Wire`.
    chunk_size
        Rows per batch.
    rows_in_memory
        A longer trace is cut by time into parts of at most about so many rows, which wait on the
        disk; a part that one instant fills alone may be longer.

    Yields
    ------
    DataFrame
        Batches with a column ``row`` (UInt64): the position in the trace as given.
    """
    numbered = frame
    if "row" not in frame.collect_schema():
        numbered = frame.with_row_index("row").with_columns(pl.col("row").cast(pl.UInt64))
    rows = numbered.select(pl.len()).collect(engine="streaming").item()
    if rows <= rows_in_memory:
        yield from scan_batches(numbered.sort("timestamp", maintain_order=True), chunk_size)
        return
    edges = _edges(frame, rows_in_memory)
    with TemporaryFolder() as folder:
        # A row without an instant falls into the first part, to be refused.
        part = pl.sum_horizontal(
            pl.lit(0, pl.UInt32), *((pl.col("timestamp") >= edge).cast(pl.UInt32) for edge in edges)
        )
        parted = numbered.with_columns(part.alias("part"))
        target = pl.PartitionBy(folder, key="part", include_key=False)
        # Where the trace breaks off, a writer may still be at work while the folder is removed: it
        # must not be able to make it anew.
        for number in range(len(edges) + 1):
            (folder / f"part={number}").mkdir()
        parted.sink_parquet(target, compression="lz4", mkdir=False)
        for number in range(len(edges) + 1):
            files = sorted(folder.glob(f"part={number}/**/*.parquet"))
            if files:
                one = pl.scan_parquet(files, hive_partitioning=False)
                yield from scan_batches(one.sort("timestamp", "row"), chunk_size)
                for file in files:
                    file.unlink()


def _edges(frame: pl.LazyFrame, rows_in_memory: int) -> list[int]:
    """Cut the span so that each part has at most about so many rows."""
    time = pl.col("timestamp")
    first, last = (
        frame.select(time.min().alias("first"), time.max().alias("last"))
        .collect(engine="streaming")
        .row(0)
    )
    if first is None:
        return []
    width = max(1, -(-(last - first + 1) // _BINS))
    bins = (
        frame.group_by(((time - first) // width).alias("bin"))
        .len()
        .collect(engine="streaming")
        .sort("bin")
    )
    edges: list[int] = []
    held = 0
    for number, rows in bins.iter_rows():
        if held and held + rows > rows_in_memory:
            edges.append(first + number * width)
            held = 0
        held += rows
    return edges
