"""Counts given as (bucket, function, number), as blocks of a column per bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.readers.counts import Block

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["blocks_of"]

#: Buckets of a block.
_BUCKETS: Final = 240


def blocks_of(
    cells: pl.DataFrame, functions: int, width: int, origin: int
) -> Iterator[tuple[int, Block]]:
    """Give blocks of cells.

    Parameters
    ----------
    cells
        ``bucket`` (Int64, from ``origin``), ``function`` (place, UInt32), ``count`` (UInt32), and
        ``mean`` (Float64, ms) where it is known.
    functions
        How many there are.
    width, origin
        Of a bucket, and begin of bucket 0, µs.
    """
    cells = cells.filter(pl.col("count") > 0).sort("bucket")
    parts = cells.with_columns((pl.col("bucket") // _BUCKETS).alias("part"))
    for (part,), block in parts.partition_by("part", as_dict=True, maintain_order=True).items():
        first = int(str(part)) * _BUCKETS
        yield (
            0,
            Block(
                origin + first * width,
                width,
                _matrix(block, functions, first, "count").cast(pl.UInt32),
                _matrix(block, functions, first, "mean") if "mean" in block.columns else None,
            ),
        )


def _matrix(block: pl.DataFrame, functions: int, first: int, value: str) -> pl.DataFrame:
    """Spread cells over a column per bucket and a row per function."""
    empty: float = 0 if value == "count" else float("nan")
    joint = pl.col(value).sum() if value == "count" else pl.col(value).mean()
    every = pl.DataFrame({"function": pl.int_range(functions, dtype=pl.UInt32, eager=True)})
    spread = (
        block.group_by("function", "bucket")
        .agg(joint)
        .pivot("bucket", index="function", values=value)
    )
    wide = every.join(spread, on="function", how="left", maintain_order="left")
    columns = [
        pl.col(str(bucket)).fill_null(empty).cast(pl.Float64)
        if str(bucket) in wide.columns
        else pl.lit(empty, pl.Float64).alias(str(bucket))
        for bucket in range(first, first + _BUCKETS)
    ]
    return wide.select(columns)
