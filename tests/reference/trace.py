"""The trace as the model reads it: whole microseconds, in the order of arrival.

Owns the conversion of one row's values and the order of rows. Columns mean what interface.md §1
says; only synchronous rows are modelled.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from reference.marks import Marks
from reference.philox import identity_of_request
from reference.settings import bare_name, milliseconds_to_us

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

KNOWN_COLUMNS = frozenset(
    {"timestamp", "function", "duration_ms", "init_ms", "source", "request_id", "row_uid"}
)


@dataclass(frozen=True)
class Row:
    """One row of the trace.

    ``position`` is where the row stands in the trace as given, ``place`` where it stands in the
    order of arrival. ``init`` is null where the trace has none.
    """

    position: int
    place: int
    timestamp: int
    function: str
    duration: int
    init: int | None
    identity: tuple[int, int]

    @property
    def name(self) -> str:
        """Return the function's bare name, by which it is counted."""
        return bare_name(self.function)


def instant_us(value: int | Fraction | datetime, marks: Marks) -> int:
    """Return a timestamp in whole microseconds since the epoch.

    Integers and fractions are microseconds; a naive ``datetime`` is UTC.
    """
    # rule: Z3 (timestamps are floored)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return (aware - EPOCH) // MICROSECOND
    if value != math.floor(value):
        marks.hit("Z3.timestamp_floored")
    return math.floor(value)


def duration_us(value: float | Fraction | timedelta, marks: Marks) -> int:
    """Return a duration in whole microseconds; numbers are milliseconds."""
    # rule: Z3 (durations go to the nearest microsecond)
    if isinstance(value, timedelta):
        return value // MICROSECOND
    exact = Fraction(value) * 1000
    if not isinstance(value, float) and exact % 1 == Fraction(1, 2):
        marks.hit("Z3.half_goes_up")
    elif exact % 1 > 0:
        marks.hit("Z3.duration_rounded")
    return milliseconds_to_us(value)


def identity(row: Mapping[str, Any], position: int, marks: Marks) -> tuple[int, int]:
    """Return the 128 bits, (low, high), that name a row in every random draw."""
    # rule: Q34 (hash of request_id, else row_uid, else the position)
    if row.get("request_id") is not None:
        marks.hit("Q34.request_id")
        return identity_of_request(row["request_id"])
    if row.get("row_uid") is not None:
        marks.hit("Q34.row_uid")
        return row["row_uid"], 0
    marks.hit("Q34.position")
    return position, 0


def read(rows: Sequence[Mapping[str, Any]], marks: Marks) -> list[Row]:
    """Return the rows in the order of their arrival."""
    instants = [instant_us(row["timestamp"], marks) for row in rows]
    # rule: Z2 (the order is that of the floored timestamps, then of the positions)
    order = sorted(range(len(rows)), key=lambda position: (instants[position], position))
    if order != sorted(order):
        marks.hit("Z2.unsorted")
    arrivals = []
    for place, position in enumerate(order):
        row = rows[position]
        unknown = sorted(set(row) - KNOWN_COLUMNS)
        if unknown:
            message = f"the reference does not model columns {unknown}"
            raise ValueError(message)
        if row.get("source", "sync") != "sync":
            message = f"the reference does not model source {row['source']!r}"
            raise ValueError(message)
        init = row.get("init_ms")
        arrivals.append(
            Row(
                position=position,
                place=place,
                timestamp=instants[position],
                function=row["function"],
                duration=duration_us(row["duration_ms"], marks),
                init=None if init is None else duration_us(init, marks),
                identity=identity(row, position, marks),
            )
        )
    return arrivals
