"""Lines of bars: what a number did over time, in the width of a line of text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from lambda_replay.cli.screen.look import Look

__all__ = ["Grid", "bars"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = "._-:=+*#"
_MINUTE = timedelta(minutes=1)
#: Minutes per bar that people can count in.
_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440)


class Grid:
    """Columns of equal length in time that cover a trace.

    Parameters
    ----------
    region
        Rows of the Region by minute; minutes without activity may be left out.
    columns
        How many columns there may be.
    """

    def __init__(self, region: pl.DataFrame, columns: int) -> None:
        times = region["timestamp"]
        first, last = times.min(), times.max()
        assert isinstance(first, datetime)
        assert isinstance(last, datetime)
        self.minutes = (last - first) // _MINUTE + 1
        needed = -(-self.minutes // columns)
        # Round steps, so that a bar can be named; longer traces get whole days.
        self.step = next((step for step in _STEPS if step >= needed), -(-needed // 1440) * 1440)
        self.columns = -(-self.minutes // self.step)
        at = (pl.col("timestamp") - first).dt.total_minutes() // self.step
        self._region = region.with_columns(at.alias("column"))

    def largest(self, name: str) -> list[int]:
        """Give the largest value of a metric in each column."""
        return self._each(name, pl.col(name).max())

    def total(self, name: str) -> list[int]:
        """Give the sum of a metric in each column."""
        return self._each(name, pl.col(name).sum())

    def _each(self, name: str, expression: pl.Expr) -> list[int]:
        values = [0] * self.columns
        grouped = self._region.group_by("column").agg(expression.fill_null(0).alias(name))
        for column, value in grouped.iter_rows():
            values[column] = int(value)
        return values

    def __str__(self) -> str:
        if self.step == 1:
            return "minute"
        if self.step < 60:
            return f"{self.step} min"
        if self.step < 1440:
            return f"{self.step // 60} h"
        return f"{self.step // 1440} d"


def bars(values: Sequence[int], look: Look) -> str:
    """Draw a bar per value; the tallest is the largest value, a dot or space is nothing at all."""
    blocks, nothing = (_BLOCKS, "·") if look.can(_BLOCKS + "·") else (_ASCII, " ")
    top = max(values, default=0)
    # Whatever is not nothing shows.
    return "".join(
        nothing if value == 0 else blocks[max(0, -(-value * len(blocks) // top) - 1)]
        for value in values
    )
