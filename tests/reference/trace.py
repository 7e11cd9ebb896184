"""The trace as the model reads it: whole microseconds, in the order of arrival.

Owns the conversion of one row's values, the order of rows, and what ``load`` and ``time_scale``
make of them. Columns mean what interface.md §1 says.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from reference.marks import Marks
from reference.philox import between, chance, identity_of_request
from reference.settings import Settings, bare_name, pool_name
from reference.units import EPOCH, MICROSECOND, milliseconds_to_us

KNOWN_COLUMNS = frozenset(
    "timestamp function duration_ms extension_ms init_ms source error error_runs memory_mb "
    "payload_bytes state_key state_access request_id row_uid key shard filtered".split()
)
COPY_SPREAD_US = 60_000_000  # rule: Z38


@dataclass(frozen=True)
class Row:
    """One row of the trace.

    ``position`` is where the row stands in the trace as given, ``place`` where it stands in the
    order of arrival. ``init`` is null where the trace has none. ``copy`` counts from 1 where
    ``load`` made more than one of it.
    """

    position: int
    place: int
    timestamp: int
    function: str
    duration: int
    init: int | None
    identity: tuple[int, int]
    copy: int = 0
    source: str = "sync"
    extension: int = 0
    error: str | None = None
    error_runs: int | None = None
    memory_mb: int | None = None
    payload_bytes: int = 0
    state_key: str | None = None
    writes: bool = True
    key: str | None = None
    shard: int | None = None
    filtered: bool = False

    @property
    def name(self) -> str:
        """Return the function's bare name, by which it is counted."""
        return bare_name(self.function)

    @property
    def pool(self) -> str:
        """Return the name of the pool that serves it."""
        return pool_name(self.function)


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


def read_row(
    row: Mapping[str, Any],
    position: int,
    instant: int,
    marks: Marks,
    settings: Settings | None = None,
) -> Row:
    """Return one row; its place is not known yet."""
    unknown = sorted(set(row) - KNOWN_COLUMNS)
    if unknown:
        message = f"the reference does not model columns {unknown}"
        raise ValueError(message)
    source = row.get("source") or "sync"
    sources = settings.sources if settings else {}
    if source not in ("sync", "async", *sources):
        message = f"the reference does not model source {source!r}"
        raise ValueError(message)
    if row.get("error") not in (None, "handled", "crash", "item"):
        message = f"the reference does not model error {row['error']!r}"
        raise ValueError(message)
    # rule: Z51 (rows with null function are resolved by their source)
    function = row.get("function")
    if source in sources:
        if function not in (None, sources[source].function):
            message = f"the reference does not model rows of {source} for {function}"
            raise ValueError(message)
        function = sources[source].function
    init, extension = row.get("init_ms"), row.get("extension_ms")
    key = row.get("state_key")
    return Row(
        position=position,
        place=-1,
        timestamp=instant,
        function=str(function),
        duration=duration_us(row["duration_ms"], marks),
        init=None if init is None else duration_us(init, marks),
        identity=identity(row, position, marks),
        source=source,
        extension=0 if extension is None else duration_us(extension, marks),
        error=row.get("error"),
        error_runs=row.get("error_runs"),
        memory_mb=row.get("memory_mb"),
        payload_bytes=row.get("payload_bytes") or 0,
        state_key=None if key is None else str(key),
        writes=(row.get("state_access") or "write") == "write",
        key=row.get("key"),
        shard=None if row.get("shard") is None else int(row["shard"]),
        filtered=source in sources and row.get("filtered") is True,
    )


def copies(row: Row, settings: Settings, marks: Marks) -> list[Row]:
    """Return what ``load`` makes of a row: nothing, itself, or several."""
    luck: dict[str, Any] = {"seed": settings.seed, "identity": row.identity, "attempt": 0}
    if settings.load == 1:
        return [row]
    if settings.load < 1:
        # rule: Z38 (kept if U(row) < load; rows left out have no outcome)
        kept = chance(settings.load, purpose="load", **luck)
        marks.hit("Z38.kept" if kept else "Z38.left_out")
        return [row] if kept else []
    whole = math.floor(settings.load)
    count = whole
    # rule: Z38 (copies up to floor(load) are always made, one more where its chance says so)
    if settings.load > whole and chance(settings.load - whole, purpose="load", copy=whole, **luck):
        marks.hit("Z38.fraction_of_a_copy")
        count += 1
    marks.hit("Z38.copies")
    made = [row]
    for copy in range(1, count):
        # rule: Z38 (copy c of a row arrives at timestamp + U(0, 60 s))
        later = between(0, COPY_SPREAD_US, purpose="copies", copy=copy, **luck)
        made.append(replace(row, copy=copy, timestamp=row.timestamp + later))
    return made


def read(
    rows: Sequence[Mapping[str, Any]], marks: Marks, settings: Settings | None = None
) -> list[Row]:
    """Return the rows in the order of their arrival."""
    given = instants = [instant_us(row["timestamp"], marks) for row in rows]
    if settings and settings.time_scale != 1 and instants:
        # rule: Z37 (t' = first + floor((t - first) s), in doubles; first of the whole trace)
        marks.hit("Z37.time_scale")
        first = min(instants)
        instants = [first + math.floor((at - first) * settings.time_scale) for at in instants]
    arrivals = []
    for position, (row, instant) in enumerate(zip(rows, instants, strict=True)):
        one = read_row(row, position, instant, marks, settings)
        arrivals += copies(one, settings, marks) if settings else [one]
    # rule: Z2 (the order is that of the floored timestamps, then of the positions), Z37 (which
    # stays where a scale makes instants fall together)
    ordered = sorted(
        arrivals, key=lambda row: (row.timestamp, given[row.position], row.position, row.copy)
    )
    if ordered != arrivals:
        marks.hit("Z2.unsorted")
    return [replace(row, place=place) for place, row in enumerate(ordered)]
