"""Hypothesis strategies that draw a scenario and a trace together: the plain pool.

Limits, retries, state and the rest are drawn by ``everything``; here are many shapes of traces,
globs, long traces, and instants at which environments go. Swarm style: each example first draws
which features it has, then values. Half of the examples live on a coarse grid of time so that ties
are common; instants are often placed on, or one microsecond beside, the boundaries that the
scenario has. Examples of up to 60 rows are drawn by Hypothesis row by row, larger ones from a drawn
seed (their shrinking cuts rows off the end).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from random import Random
from typing import Any, Protocol, TypeVar

import polars as pl
from hypothesis import strategies as st

from reference import replay
from reference.settings import ERAS

T = TypeVar("T")

US, MS, S = 1, 1_000, 1_000_000
MINUTE = 60 * S
#: 2026-03-02 08:00:00 UTC: a whole minute, in the range in which timestamps make sense.
BEGIN = 1_772_438_400 * S
#: F3.1: what takes longer is aborted, which these cases leave to ``everything``.
LONGEST_INIT = 10 * S
#: Keeps the number of minutes a run covers small enough for the reference.
LONGEST_RUN = 3 * 3_600 * S

#: Rows that the product reads at a time: mostly all at once.
BATCHES = (131_072, 131_072, 131_072, 1, 2, 3, 7)

FUNCTIONS = ("f", "g", "img-a", "img-b")
QUALIFIED = ("f:live", "f:2", "img-a:live")
GLOBS = ("*", "img-*", "img-?", "i*", "img-a*", "?")


class Chooser(Protocol):
    """Where choices come from; the first choice is the simplest."""

    def index(self, count: int) -> int:
        """Choose an index below ``count``."""

    def integer(self, low: int, high: int) -> int:
        """Choose an integer from ``low`` to ``high``, both included."""


@lru_cache(maxsize=4_096)
def integers(low: int, high: int) -> st.SearchStrategy[int]:
    """Return a strategy; making one anew for each draw would take most of the time."""
    return st.integers(low, high)


class Drawn:
    """Chooses by Hypothesis, so that every choice can shrink by itself."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def index(self, count: int) -> int:
        """Choose an index below ``count``."""
        return self.draw(integers(0, count - 1))

    def integer(self, low: int, high: int) -> int:
        """Choose an integer from ``low`` to ``high``, both included."""
        return self.draw(integers(low, high))


class Seeded:
    """Chooses by a seed, for traces longer than Hypothesis can draw."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def index(self, count: int) -> int:
        """Choose an index below ``count``."""
        return self.random.randrange(count)

    def integer(self, low: int, high: int) -> int:
        """Choose an integer from ``low`` to ``high``, both included."""
        return self.random.randint(low, high)


def pick(chooser: Chooser, values: Sequence[T]) -> T:
    """Choose one of the values; a value given twice is twice as likely."""
    return values[chooser.index(len(values))]


def chance(chooser: Chooser, percent: int) -> bool:
    """Tell whether a feature is on."""
    return chooser.index(100) >= 100 - percent


@dataclass(frozen=True)
class Column:
    """A column of the trace: the physical values and the type they are to have."""

    values: list[Any]
    dtype: pl.DataType


@dataclass(frozen=True)
class Case:
    """A scenario and a trace, as the product and as the reference take them.

    Attributes
    ----------
    sections
        The scenario, by section.
    columns
        The trace, by column.
    batch_rows
        How many rows the product reads at a time; no result depends on it.
    """

    sections: dict[str, Any]
    columns: dict[str, Column]
    batch_rows: int = BATCHES[0]

    def frame(self) -> pl.DataFrame:
        """Return the trace for the product."""
        series = []
        for name, column in self.columns.items():
            if isinstance(column.dtype, pl.Datetime | pl.Duration):
                physical = pl.Series(name, column.values, pl.Int64)
                series.append(physical.cast(column.dtype))
            else:
                series.append(pl.Series(name, column.values, column.dtype))
        return pl.DataFrame(series)

    def rows(self) -> list[dict[str, Any]]:
        """Return the trace for the reference: exact values, independent of Polars."""
        per_us = {"ms": Fraction(1_000), "us": Fraction(1), "ns": Fraction(1, 1_000)}
        columns = {}
        for name, column in self.columns.items():
            values = column.values
            if isinstance(column.dtype, pl.Datetime):
                unit = per_us[column.dtype.time_unit]
                values = [value * unit for value in values]
            elif isinstance(column.dtype, pl.Duration):
                unit = per_us[column.dtype.time_unit] / 1_000
                values = [value * unit for value in values]
            columns[name] = values
        height = len(next(iter(columns.values())))
        return [{name: values[row] for name, values in columns.items()} for row in range(height)]

    def take(self, positions: Sequence[int]) -> "Case":
        """Return the case with only these rows."""
        columns = {
            name: Column([column.values[position] for position in positions], column.dtype)
            for name, column in self.columns.items()
        }
        return replace(self, columns=columns)

    @property
    def height(self) -> int:
        """Return the number of rows."""
        return len(self.columns["timestamp"].values)


# ---- scenario ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clock:
    """The times of an example: its grid and the period its boundaries are about."""

    coarse: bool
    unit: int
    long_times: bool


def draw_clock(chooser: Chooser) -> Clock:
    """Draw how time is laid out."""
    coarse = chance(chooser, 50)
    long_times = chance(chooser, 15)
    unit = pick(chooser, (S, 250 * MS, 10 * S, MS, 30 * S, US))
    return Clock(coarse=coarse, unit=10 * MINUTE if long_times else unit, long_times=long_times)


def seconds(microseconds: int) -> float:
    """Return microseconds as a scenario gives them: whole seconds as an integer."""
    return microseconds // S if microseconds % S == 0 else microseconds / S


def draw_period(chooser: Chooser, clock: Clock, most: int) -> int:
    """Draw a time limit, in microseconds."""
    period = clock.unit * chooser.integer(1, most)
    if not clock.coarse:
        period += pick(chooser, (0, 0, 1, -1, 7))
    return max(1, period)


def draw_range(chooser: Chooser, clock: Clock, most: int) -> list[float]:
    """Draw a range of seconds; narrow ones make its bounds likely."""
    low = draw_period(chooser, clock, most)
    width = pick(chooser, (0, 1, 2, clock.unit, 3 * clock.unit))
    return [seconds(low), seconds(low + width)]


def draw_account(chooser: Chooser, clock: Clock) -> dict[str, Any]:
    """Draw ``[account]``."""
    account: dict[str, Any] = {}
    if chance(chooser, 90):
        account["concurrency"] = pick(chooser, (1, 2, 3, 4, 5, 6, 2, 3))
    if chance(chooser, 70):
        account["era"] = pick(chooser, ERAS)
    # Halving has the most rules, so it has the most examples.
    policy = pick(
        chooser,
        ("era", "era", "none", "fixed", "uniform", "halving", "halving", "halving", "halving"),
    )
    if policy == "none":
        account["idle"] = {"policy": "none"}
    elif policy == "fixed":
        account["idle"] = {"policy": policy, "seconds": seconds(draw_period(chooser, clock, 4))}
    elif policy == "uniform":
        account["idle"] = {"policy": policy, "seconds": draw_range(chooser, clock, 4)}
    elif policy == "halving":
        account["idle"] = {"policy": policy}
        if chance(chooser, 90):
            account["idle"]["seconds"] = seconds(draw_period(chooser, clock, 4))
    lifetimes = ("default", "off", "fixed", "range", "off", "fixed")
    lifetime = pick(chooser, (*lifetimes, "fixed", "fixed") if policy == "halving" else lifetimes)
    if lifetime == "off":
        account["env"] = {"max_lifetime": "off"}
    elif lifetime == "fixed":
        account["env"] = {"max_lifetime": seconds(draw_period(chooser, clock, 9))}
    elif lifetime == "range":
        account["env"] = {"max_lifetime": draw_range(chooser, clock, 9)}
    return account


def draw_init(chooser: Chooser, clock: Clock) -> int:
    """Draw an init time, in microseconds."""
    if clock.coarse:
        init = clock.unit * pick(chooser, (0, 1, 2, 3))
        return init if init <= LONGEST_INIT else pick(chooser, (0, LONGEST_INIT))
    menu = (0, 1, 999, MS, 1_001, 250 * MS + 1, clock.unit, LONGEST_INIT)
    return min(pick(chooser, menu), LONGEST_INIT)


def draw_function_settings(chooser: Chooser, clock: Clock) -> dict[str, Any]:
    """Draw what ``[defaults]`` or a section of a function says."""
    section: dict[str, Any] = {}
    if chance(chooser, 70):
        init = draw_init(chooser, clock)
        section["init_ms"] = init // MS if init % MS == 0 else init / MS
    if chance(chooser, 40):
        section["init_billed"] = pick(chooser, (False, True))
    return section


def draw_sections(chooser: Chooser, clock: Clock, functions: Sequence[str]) -> dict[str, Any]:
    """Draw a scenario for a trace of these functions."""
    sections: dict[str, Any] = {}
    account = draw_account(chooser, clock)
    if account:
        sections["account"] = account
    if chance(chooser, 50):
        sections["defaults"] = draw_function_settings(chooser, clock)
    if chance(chooser, 60):
        # A literal name without a row would be no contradiction, but a warning: left out.
        names = [*{name.partition(":")[0]: None for name in functions}, *GLOBS]
        chosen = {pick(chooser, names): None for _ in range(chooser.integer(1, 5))}
        sections["functions"] = {name: draw_function_settings(chooser, clock) for name in chosen}
    if chance(chooser, 50):
        sections["replay"] = {"seed": pick(chooser, (0, 1, 7, 2**32, 2**63 - 1))}
    return sections


def periods(sections: dict[str, Any]) -> list[int]:
    """Return the time limits of a scenario, in microseconds, whatever they limit."""
    account = sections.get("account", {})
    given = [
        account.get("idle", {}).get("seconds", [380, 600, 1_620, 3_780]),
        account.get("env", {}).get("max_lifetime", [14_400, 28_800]),
    ]
    limits = set()
    for value in given:
        for bound in value if isinstance(value, list) else [value]:
            if bound != "off":
                limits.add(round(bound * S))
    return sorted(limits)


# ---- trace ---------------------------------------------------------------------------------


@dataclass
class Arrival:
    """A row while it is being drawn, in microseconds."""

    timestamp: int
    function: str
    duration: int
    init: int | None


def draw_duration(chooser: Chooser, clock: Clock, timestamp: int) -> int:
    """Draw a duration for a row that arrives at an instant."""
    if clock.coarse:
        return min(LONGEST_RUN, clock.unit * pick(chooser, (1, 0, 2, 3, 1, 0, 4, 5)))
    to_minute = MINUTE - timestamp % MINUTE
    near = pick(chooser, (0, 1, -1))
    menu = (
        clock.unit,
        0,
        1,
        100 * MS * pick(chooser, (1, 2)) + near,
        MS * pick(chooser, (1, 3)) + near,
        to_minute + near,
        2 * clock.unit + near,
        chooser.integer(0, 3 * clock.unit),
    )
    return min(LONGEST_RUN, max(0, pick(chooser, menu)))


def draw_timestamp(
    chooser: Chooser, clock: Clock, limits: Sequence[int], before: Sequence[Arrival]
) -> int:
    """Draw when the next row arrives, mostly not before the last one."""
    last = before[-1].timestamp
    step = clock.unit * pick(chooser, (0, 1, 0, 2, 1, 3))
    how = pick(chooser, ("step", "step", "end", "limit", "limit", "minute"))
    if how == "step":
        return last + step
    near = 0 if clock.coarse else pick(chooser, (0, 1, -1))
    if how == "minute":
        return (last // MINUTE + chooser.integer(1, 2)) * MINUTE + near
    other = pick(chooser, before[-4:])
    init = pick(chooser, (0, other.init or 0))
    release = other.timestamp + other.duration + init
    if how == "end":
        return max(last, release + near)
    # A limit counts from a release (idle) or from a creation (lifetime).
    begin = pick(chooser, (release, other.timestamp))
    return max(last, begin + pick(chooser, limits or (clock.unit,)) + near)


def draw_arrivals(
    chooser: Chooser,
    clock: Clock,
    limits: Sequence[int],
    functions: Sequence[str],
    count: int,
) -> list[Arrival]:
    """Draw the rows of a trace in order of time."""
    with_init = chance(chooser, 50)
    arrivals: list[Arrival] = []
    for _ in range(count):
        if arrivals:
            timestamp = draw_timestamp(chooser, clock, limits, arrivals)
        else:
            timestamp = BEGIN + pick(chooser, (0, 0, MINUTE - clock.unit % MINUTE, 1_234_567))
        init = None
        if with_init and chance(chooser, 70):
            init = draw_init(chooser, clock)
        arrivals.append(
            Arrival(
                timestamp=timestamp,
                function=pick(chooser, functions),
                duration=draw_duration(chooser, clock, timestamp),
                init=init,
            )
        )
    if chance(chooser, 25):
        # A long run keeps the clock going, so that timers have their time while others are idle.
        arrivals[0].duration = min(LONGEST_RUN, clock.unit * chooser.integer(10, 40))
    return arrivals


def timestamp_column(chooser: Chooser, arrivals: Sequence[Arrival]) -> Column:
    """Draw the type of ``timestamp`` and, where it is finer, what lies below a microsecond."""
    values = [arrival.timestamp for arrival in arrivals]
    kind = pick(chooser, ("integer", "us", "ms", "ns", "utc"))
    if kind == "integer":
        return Column(values, pl.Int64())
    if kind == "ms":
        return Column([value // MS for value in values], pl.Datetime("ms"))
    if kind == "ns":
        finer = [value * 1_000 + pick(chooser, (0, 1, 500, 999)) for value in values]
        return Column(finer, pl.Datetime("ns"))
    return Column(values, pl.Datetime("us", "UTC" if kind == "utc" else None))


def duration_column(chooser: Chooser, arrivals: Sequence[Arrival]) -> Column:
    """Draw the type of ``duration_ms`` and, where it is finer, what lies below a microsecond."""
    values = [arrival.duration for arrival in arrivals]
    kind = pick(chooser, ("float", "integer", "us", "ms", "ns", "halves"))
    if kind == "integer":
        return Column([value // MS for value in values], pl.Int64())
    if kind == "ms":
        return Column([value // MS for value in values], pl.Duration("ms"))
    if kind == "us":
        return Column(values, pl.Duration("us"))
    if kind == "ns":
        finer = [value * 1_000 + pick(chooser, (0, 499, 500, 501)) for value in values]
        return Column(finer, pl.Duration("ns"))
    if kind == "halves":
        # Halves of a microsecond are seldom exact in binary milliseconds: both ways occur.
        return Column([(value + pick(chooser, (0.0, 0.5))) / MS for value in values], pl.Float64())
    return Column([value / MS for value in values], pl.Float64())


def row_uid(row: int) -> int:
    """Return the uid of a row: unique, falling, and nobody's position."""
    return 2**62 - 1 if row == 1 else 3_000 - 3 * row


def draw_columns(chooser: Chooser, arrivals: Sequence[Arrival]) -> dict[str, Column]:
    """Draw how a trace is written down."""
    count = len(arrivals)
    names = [arrival.function for arrival in arrivals]
    text = pick(chooser, (pl.String(), pl.Categorical(), pl.Enum(sorted(set(names)))))
    columns = {
        "timestamp": timestamp_column(chooser, arrivals),
        "function": Column(names, text),
        "duration_ms": duration_column(chooser, arrivals),
    }
    if any(arrival.init is not None for arrival in arrivals):
        inits = [arrival.init for arrival in arrivals]
        if chance(chooser, 50):
            whole = [None if init is None else init // MS for init in inits]
            columns["init_ms"] = Column(whole, pl.Int64())
        else:
            exact = [None if init is None else init / MS for init in inits]
            columns["init_ms"] = Column(exact, pl.Float64())
    if chance(chooser, 30):
        columns["row_uid"] = Column([row_uid(row) for row in range(count)], pl.Int64())
    if chance(chooser, 30):
        some_null = chance(chooser, 50)
        ids = [None if some_null and chance(chooser, 50) else f"r-{row}" for row in range(count)]
        columns["request_id"] = Column(ids, pl.String())
    if chance(chooser, 20):
        columns["source"] = Column(["sync"] * count, pl.String())
    return columns


def at_the_end_of_an_environment(chooser: Chooser, case: Case) -> Case:
    """Add a row that arrives exactly when an environment goes, or one microsecond earlier.

    Only the reference can say when that is where idle times and lifetimes are drawn at random; a
    draw that is off by one microsecond then shows in this row's ``cold``.
    """
    ends = [
        (environment.pool, end)
        for environment in replay(case.sections, case.rows()).environments
        for end in (environment.removed, environment.expires, environment.retires)
        if end is not None
    ]
    if not ends:
        return case
    pool, end = pick(chooser, ends)
    timestamp = end - pick(chooser, (0, 1))
    dtype = case.columns["timestamp"].dtype
    if isinstance(dtype, pl.Datetime):
        timestamp = {"ms": timestamp // MS, "us": timestamp, "ns": timestamp * 1_000}[
            dtype.time_unit
        ]
    new = {
        "timestamp": timestamp,
        "function": pool,
        "row_uid": row_uid(case.height),
        "request_id": f"r-{case.height}",
    }
    columns = {
        name: Column([*column.values, new.get(name, column.values[-1])], column.dtype)
        for name, column in case.columns.items()
    }
    return replace(case, columns=columns)


def with_a_lifetime_that_ends_at_a_tick(chooser: Chooser, case: Case) -> Case:
    """Set the lifetime so that one ends at an instant at which halving evicts from its pool.

    Creation, release, period and lifetime have to agree for that, which they seldom do by chance.
    """
    account = case.sections.get("account", {})
    endless = {**case.sections, "account": {**account, "env": {"max_lifetime": "off"}}}
    environments = replay(endless, case.rows()).environments
    lifetimes = [
        evicted.removed - other.created
        for evicted in environments
        for other in environments
        if evicted.removed is not None
        and evicted.cause == "halving"
        and evicted.pool == other.pool
        # Whatever was created before the other has gone by its own lifetime.
        and other.created < evicted.created
        and (other.removed is None or other.removed >= evicted.removed)
    ]
    if not lifetimes:
        return case
    env = {"max_lifetime": seconds(pick(chooser, lifetimes))}
    return replace(case, sections={**case.sections, "account": {**account, "env": env}})


def draw_case(chooser: Chooser, count: int) -> Case:
    """Draw a scenario and a trace of so many rows, or a few more."""
    clock = draw_clock(chooser)
    most = 2 if count > 60 else 4
    functions = list(FUNCTIONS[: pick(chooser, (1, 2, 1, most))])
    if chance(chooser, 20):
        functions += QUALIFIED[: chooser.integer(1, 3)]
    sections = draw_sections(chooser, clock, functions)
    if count > 60 and clock.long_times:
        clock = Clock(clock.coarse, S, long_times=False)
    arrivals = draw_arrivals(chooser, clock, periods(sections), functions, count)
    if chance(chooser, 30):
        # Swaps of neighbours keep a shrunk trace readable.
        for left, right in pairwise(range(count)):
            if chance(chooser, 40):
                arrivals[left], arrivals[right] = arrivals[right], arrivals[left]
    used = {arrival.function.partition(":")[0] for arrival in arrivals}
    if "functions" in sections:
        sections["functions"] = {
            name: section
            for name, section in sections["functions"].items()
            if name in used or name in GLOBS
        }
    case = Case(sections, draw_columns(chooser, arrivals), pick(chooser, BATCHES))
    if count <= 60:
        if chance(chooser, 40):
            case = with_a_lifetime_that_ends_at_a_tick(chooser, case)
        for _ in range(pick(chooser, (0, 0, 1, 2))):
            case = at_the_end_of_an_environment(chooser, case)
    return case


@st.composite
def cases(draw: st.DrawFn, *, large: bool = True) -> Case:
    """Draw a case: mostly up to 8 rows, some up to 60, few up to 400.

    Parameters
    ----------
    draw
        Given by Hypothesis.
    large
        Whether there are cases of more than 60 rows.
    """
    chooser = Drawn(draw)
    size = chooser.index(100)
    if size < 68:
        return draw_case(chooser, chooser.integer(1, 8))
    if size < 96 or not large:
        return draw_case(chooser, chooser.integer(9, 60))
    count = chooser.integer(61, 400)
    return draw_case(Seeded(draw(st.integers(0, 2**32 - 1))), count)
