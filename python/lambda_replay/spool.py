"""Tables that grow with the trace, wanted in order of time: on the disk once they are long."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.exceptions import ResourceError
from lambda_replay.output import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ROWS_IN_MEMORY", "Spool", "stretches"]

#: Rows of one table that stay in memory, and of a stretch that is put in order at once.
ROWS_IN_MEMORY: Final = 100_000

#: The finest cut: minutes are whole in it.
_HOUR_US: Final = 3_600_000_000


class Spool:
    """Rows put aside as they come, to be read stretch of time by stretch of time.

    Parameters
    ----------
    at
        Column of the instant, microseconds.
    rows_in_memory
        Beyond, the rows go to a temporary folder.

    Attributes
    ----------
    hours
        Rows by hour since the epoch.
    """

    def __init__(self, at: str, rows_in_memory: int = ROWS_IN_MEMORY) -> None:
        self.hours: Counter[int] = Counter()
        self._at = at
        self._rows_in_memory = rows_in_memory
        self._none: pl.DataFrame | None = None
        self._held: list[pl.DataFrame] = []
        self._held_rows = 0
        self._closed = False
        self._busy = threading.RLock()
        self._folder: TemporaryFolder | None = None
        #: First and last hour in it, and the file.
        self._files: list[tuple[int, int, Path]] = []

    def add(self, rows: pl.DataFrame) -> None:
        """Put rows aside."""
        with self._busy:
            if not rows.height or self._closed:
                return
            if self._none is None:
                self._none = rows.clear()
            self._held.append(rows)
            self._held_rows += rows.height
            if self._held_rows > self._rows_in_memory:
                self._spill()

    def rows(self, first: int | None, last: int | None) -> pl.DataFrame | None:
        """Give the rows of the hours from ``first`` on and before ``last``, in no order.

        ``None`` is the beginning, or the end. Gives ``None`` where no rows were ever added.
        """
        if self._none is None:
            return None
        parts = [self._none.lazy()]
        parts += [
            pl.scan_parquet(path)
            for low, high, path in self._files
            if (last is None or low < last) and (first is None or high >= first)
        ]
        if self._held:
            # Many small ones would be many nodes of the query.
            self._held = [pl.concat(self._held, how="diagonal")]
            parts.append(self._held[0].lazy())
        frame = pl.concat(parts, how="diagonal")
        at = pl.col(self._at)
        if first is not None:
            frame = frame.filter(at >= first * _HOUR_US)
        if last is not None:
            frame = frame.filter(at < last * _HOUR_US)
        return frame.collect()

    def close(self) -> None:
        """Forget the rows, those to come too, and remove what is on the disk."""
        # A query that broke off may still pull rows on a thread of Polars.
        with self._busy:
            self._closed = True
            self._held, self._held_rows, self._files = [], 0, []
            if self._folder is not None:
                self._folder.close()
                self._folder = None

    def count(self) -> Counter[int]:
        """Count the rows by hour; those in memory were not yet."""
        return self.hours + self._by_hour(self._held)

    def _by_hour(self, held: list[pl.DataFrame]) -> Counter[int]:
        if not held:
            return Counter()
        hour = pl.concat([part[self._at].to_physical() for part in held]) // _HOUR_US
        return Counter(dict(hour.value_counts().iter_rows()))

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = TemporaryFolder()
        hours = self._by_hour(self._held)
        self.hours += hours
        path = self._folder.path / f"{len(self._files)}.parquet"
        try:
            pl.concat(self._held, how="diagonal").write_parquet(path, compression="lz4")
        except (OSError, pl.exceptions.PolarsError) as error:
            self.close()
            said = str(error).splitlines()[0]
            message = f"results cannot be put aside on the disk: {said}"
            raise ResourceError(message, hint="is the disk full?") from error
        self._files.append((min(hours), max(hours), path))
        self._held, self._held_rows = [], 0


def stretches(
    *spools: Spool, rows_in_memory: int = ROWS_IN_MEMORY
) -> Iterator[tuple[int | None, int | None]]:
    """Cut time, at full hours, so that the spools together have about so many rows in each part.

    Yields
    ------
    tuple
        First hour, and the one after the last, as :meth:`Spool.rows` takes them; the first part
        begins and the last ends with time itself.
    """
    hours: Counter[int] = Counter()
    for spool in spools:
        hours += spool.count()
    first, held = None, 0
    for hour in sorted(hours):
        if held and held + hours[hour] > rows_in_memory:
            yield first, hour
            first, held = hour, 0
        held += hours[hour]
    yield first, None
