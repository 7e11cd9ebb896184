"""Provisioned concurrency: environments that are there before anybody asks for them.

Owns how many there are of each pool, when they become READY, and who changes the number: the
scenario, a schedule, target tracking. Which run takes which stands in ``model.py``.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from reference.entities import Environment
from reference.marks import Marks
from reference.settings import Provision, ScheduleEntry
from reference.trace import Row

MINUTE = 60_000_000
PREPARATION_US = 90_000_000  # rule: Q14
PER_ENVIRONMENT_US = 10_000  # rule: Q14 (6,000 a minute)
LOOKS = 3  # rule: Z25


@dataclass(eq=False)
class Pool:
    """The provisioned environments of a qualifier, or of a whole function.

    Attributes
    ----------
    ready
        Environments that are READY, busy ones included.
    requested
        How many there should be.
    pending
        When the requested ones become READY, while they are not.
    amounts
        Instants at which another number was requested, with that number.
    scheduled
        By entry of the schedule, the first instant that is not past.
    levels
        Instants at which the number of busy or READY ones changed, with both.
    """

    name: str
    function: str
    provision: Provision
    begin: int
    configured: int = 0
    removed: bool = False
    requested: int = 0
    pending: int | None = None
    ready: list[Environment] = field(default_factory=list)
    made: int = 0
    least: int = 0
    most: int | None = None
    scheduled: list[int] = field(default_factory=list)
    values: list[Fraction] = field(default_factory=list)
    next_look: int = 0
    amounts: list[tuple[int, int]] = field(default_factory=list)
    inits: list[int] = field(default_factory=list)
    levels: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def claimed(self) -> int:
        """Return the units that nobody else may use."""
        # rule: Z23 (max(READY, requested))
        return max(len(self.ready), self.requested)

    @property
    def busy(self) -> int:
        """Return how many have a run."""
        return sum(environment.idle_since is None for environment in self.ready)

    def idle(self) -> list[Environment]:
        """Return the idle ones, longest idle first."""
        idle = [one for one in self.ready if one.idle_since is not None]
        return sorted(idle, key=lambda one: (one.idle_since, one.idle_order))

    def sample(self) -> Fraction | None:
        """Return the share that is busy now."""
        return Fraction(self.busy, len(self.ready)) if self.ready else None

    def note(self, now: int) -> None:
        """Remember how many are busy and READY from now on."""
        self.levels.append((now, self.busy, len(self.ready)))

    def over_time(self, begin: int, end: int) -> list[tuple[int, int, int]]:
        """Return (length, busy, READY) of every stretch between two instants."""
        stretches = []
        for index, (since, busy, ready) in enumerate(self.levels):
            until = self.levels[index + 1][0] if index + 1 < len(self.levels) else end
            length = min(until, end) - max(since, begin)
            if length > 0:
                stretches.append((length, busy, ready))
        return stretches

    def utilisation(self, begin: int, end: int) -> Fraction | None:
        """Return the time-weighted mean of busy / READY, null where none was busy."""
        # rule: Z25
        weighted, weight = Fraction(0), 0
        for length, busy, ready in self.over_time(begin, end):
            if ready:
                weighted += Fraction(busy, ready) * length
                weight += length
        # rule: Z25 (no value where none was busy)
        return weighted / weight if weighted else None


class Provisioned:
    """Every pool of provisioned environments of an account."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self.pools: dict[str, Pool] = {}

    def serving(self, row: Row, provisions: Iterable[Provision]) -> Pool | None:
        """Return the pool that may serve a row."""
        # rule: Z22 (an integer: all rows of the name; a table: those of its qualifiers)
        for provision in provisions:
            if provision.everything or provision.pool == row.pool:
                return self.pools[provision.pool]
        if provisions:
            self.marks.hit("Z22.not_served")
        return None

    def of_function(self, name: str) -> list[Pool]:
        """Return the pools of a function."""
        return [pool for pool in self.pools.values() if pool.function == name]

    def claimed(self, name: str) -> int:
        """Return what a function's pools claim."""
        return sum(pool.claimed for pool in self.of_function(name))

    def add(self, provision: Provision, function: str, now: int) -> Pool:
        """Make a pool that has nothing yet."""
        pool = Pool(
            name=provision.pool,
            function=function,
            provision=provision,
            begin=now,
            next_look=(now // MINUTE + 1) * MINUTE,
        )
        self.pools[provision.pool] = pool
        self.bound(pool, now)
        return pool

    def configure(self, provision: Provision, function: str, now: int) -> Pool:
        """Return the pool of a configuration, with what is new in it."""
        pool = self.pools.get(provision.pool)
        if pool is None:
            return self.add(provision, function, now)
        old, pool.provision = pool.provision, provision
        if pool.removed or (old.tracking, old.schedule) != (
            provision.tracking, provision.schedule,
        ):  # fmt: skip
            self.bound(pool, now)
        if pool.removed or old.tracking != provision.tracking:
            # rule: Z25 (other tracking counts its minutes anew)
            pool.next_look = (now // MINUTE + 1) * MINUTE
            pool.values.clear()
        pool.removed = False
        return pool

    def remove(self, pool: Pool) -> None:
        """Take a pool out of the configuration, with its schedule and its tracking."""
        pool.provision = replace(pool.provision, initial=0, tracking=None, schedule=())
        pool.configured = 0
        pool.removed = True

    def bound(self, pool: Pool, now: int) -> None:
        """Take the bounds of target tracking; what a schedule has past is past."""
        tracking = pool.provision.tracking
        pool.least = tracking.least if tracking else 0
        pool.most = tracking.most if tracking else None
        pool.scheduled = [now] * len(pool.provision.schedule)

    def request(self, pool: Pool, size: int, now: int) -> list[Environment]:
        """Ask for another size; return the idle environments that go."""
        pool.requested = size
        pool.amounts.append((now, size))
        ready = len(pool.ready)
        if size > ready:
            # rule: Z23 (90 s + N/100; a second request replaces a pending one)
            self.marks.hit("Z23.replaced" if pool.pending is not None else "Z23.requested")
            pool.pending = now + PREPARATION_US + (size - ready) * PER_ENVIRONMENT_US
            return []
        if pool.pending is not None:
            # rule: Z23 (one <= READY cancels it)
            self.marks.hit("Z23.cancelled")
            pool.pending = None
        # rule: Z23 (lowering: idle ones go longest idle first, busy ones at release)
        surplus = pool.idle()[: ready - size]
        if surplus:
            self.marks.hit("Z23.idle_go")
        if len(surplus) < ready - size:
            self.marks.hit("Z23.busy_stay")
        return surplus

    def scheduled_size(self, pool: Pool, entry: ScheduleEntry) -> int:
        """Take the bounds of a schedule's entry; return the size they allow."""
        # rule: Z25 (a schedule that raises min above the size requests it at once)
        pool.least = pool.least if entry.least is None else entry.least
        pool.most = pool.most if entry.most is None else entry.most
        size = max(pool.requested, pool.least)
        return size if pool.most is None else min(size, pool.most)

    def look(self, pool: Pool, now: int) -> int | None:
        """Look at the minute that ends now; return the size that target tracking asks for."""
        tracking = pool.provision.tracking
        assert tracking is not None
        pool.next_look = now + MINUTE
        value = pool.utilisation(now - MINUTE, now)
        # rule: Z25 (counted anew after a minute without a value)
        if value is None:
            self.marks.hit("Z25.no_value")
            pool.values.clear()
            return None
        pool.values.append(value)
        last = pool.values[-LOOKS:]
        # rule: Z25 (no action while an allocation is pending)
        if pool.pending is not None:
            self.marks.hit("Z25.pending")
            return None
        if len(last) < LOOKS:
            return None
        size, metric, target = pool.requested, value, tracking.target
        if all(one > target for one in last):
            wanted = math.ceil(size * metric / target)
            wanted = wanted if pool.most is None else min(wanted, pool.most)
            if wanted > size:
                self.marks.hit("Z25.out")
                pool.values.clear()
                return wanted
        elif all(one < target * Fraction(9, 10) for one in last):
            wanted = max(math.floor(size * metric / target), 9 * size // 10, pool.least)
            if wanted < size:
                self.marks.hit("Z25.in")
                pool.values.clear()
                return wanted
        return None
