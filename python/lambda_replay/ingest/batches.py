"""The one place that pulls batches out of a lazy frame.

``LazyFrame.collect_batches`` is marked unstable by Polars, so nothing else calls it. It decodes the
next batches on Polars's threads while the caller works on this one, and holds only a few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

__all__ = ["scan_batches"]


def scan_batches(frame: pl.LazyFrame, chunk_size: int) -> Iterator[pl.DataFrame]:
    """Give the rows of ``frame`` in order, ``chunk_size`` at a time."""
    yield from frame.collect_batches(chunk_size=chunk_size, maintain_order=True)
