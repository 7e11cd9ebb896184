"""The state machine of Lambda, one event after the other: slow, and meant to be read.

Owns what happens to requests and environments. What is counted afterwards stands in
``measures.py``. Everything due is listed anew for each step and the earliest is taken, so nothing
has to be cancelled and no index can go stale.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from reference.marks import Marks
from reference.philox import between
from reference.settings import Settings
from reference.trace import Row

# rule: Z1 (order of what happens at one instant)
END, TIMER, ARRIVAL = 0, 1, 2
# rule: Z4 (lifetime ends come before the halving tick; single idle times never meet a tick)
LIFETIME, IDLE, HALVING = 0, 1, 2

# F3.1: a longer init is aborted and repeated, which this reference does not model.
LONGEST_INIT_US = 10_000_000


@dataclass(eq=False)
class Environment:
    """An execution environment: of one pool, with at most one run at a time.

    ``idle_since``, ``idle_order`` and ``expires`` are null while it is busy. ``idle_order`` counts
    the releases of the whole replay, so it says which of two became idle first at one instant.
    """

    number: int
    pool: str
    created: int
    retires: int | None
    idle_since: int | None = None
    idle_order: int | None = None
    expires: int | None = None
    removed: int | None = None
    cause: str | None = None


@dataclass(eq=False)
class Run:
    """One invocation: its environment is taken from ``start`` to ``end``."""

    row: Row
    environment: Environment
    start: int
    end: int
    init: int
    cold: bool
    billed_us: int


@dataclass(frozen=True)
class Attempt:
    """A request and its run; without one it was throttled."""

    row: Row
    run: Run | None


@dataclass(frozen=True)
class Snapshot:
    """How many runs and environments there are, by bare name, after one event."""

    instant: int
    kind: int
    in_flight: dict[str, int]
    alive: dict[str, int]


@dataclass(frozen=True, order=True)
class Event:
    """Something due. Fields are in the order by which events are taken."""

    instant: int
    kind: int
    order: int
    then: int
    subject: Run | Environment | str | Row = field(compare=False)


class Model:
    """State of one account and everything that happened in it."""

    def __init__(self, settings: Settings, rows: Iterable[Row], marks: Marks) -> None:
        self.settings = settings
        self.marks = marks
        self.arrivals = list(rows)
        self.in_flight: list[Run] = []
        self.alive: list[Environment] = []
        self.environments: list[Environment] = []
        # rule: Z4 (by pool: the instant from which the next period counts)
        self.halving_since: dict[str, int] = {}
        self.halved_before: set[str] = set()
        self.releases = 0
        self.attempts: list[Attempt] = []
        self.log: list[Event] = []
        self.snapshots: list[Snapshot] = []

    def run(self) -> None:
        """Let everything happen up to the last release."""
        while self.arrivals or self.in_flight:
            event = min(self.due())
            if self.log and event.instant < self.log[-1].instant:
                message = f"time went backwards: {self.log[-1]} then {event}"
                raise AssertionError(message)
            self.log.append(event)
            self.handle(event)
            self.snapshots.append(
                Snapshot(
                    instant=event.instant,
                    kind=event.kind,
                    in_flight=count(run.row.name for run in self.in_flight),
                    alive=count(bare(environment) for environment in self.alive),
                )
            )

    def due(self) -> list[Event]:
        """List everything that will happen if nothing else does before."""
        # rule: Z1 (ends: by arrival; a run of no length ends before the next arrival)
        events = [Event(run.end, END, run.row.place, 0, run) for run in self.in_flight]
        for environment in self.idle():
            # rule: Z5 (an idle environment goes at the end of its lifetime, at that instant)
            if environment.retires is not None:
                number = environment.number
                events.append(Event(environment.retires, TIMER, LIFETIME, number, environment))
            # rule: Q31 (idle exactly that long: gone, since a timer comes before an arrival)
            if environment.expires is not None:
                number = environment.number
                events.append(Event(environment.expires, TIMER, IDLE, number, environment))
        for order, (pool, since) in enumerate(sorted(self.halving_since.items())):
            # rule: Z4 (every period, counted from the first environment's becoming idle)
            events.append(Event(since + self.settings.idle.low, TIMER, HALVING, order, pool))
        if self.arrivals:
            # rule: Z2 (they are in that order already)
            row = self.arrivals[0]
            events.append(Event(row.timestamp, ARRIVAL, row.place, 0, row))
        return events

    def handle(self, event: Event) -> None:
        """Let one event happen."""
        now, subject = event.instant, event.subject
        if isinstance(subject, Run):
            self.release(subject, now)
        elif isinstance(subject, Environment):
            self.expire(subject, event.order, now)
        elif isinstance(subject, str):
            self.halve(subject, now)
        else:
            self.arrivals.pop(0)
            self.arrive(subject, now)

    def idle(self, pool: str | None = None) -> list[Environment]:
        """Return the idle environments, of one pool or of all, longest idle first."""
        idle = [
            environment
            for environment in self.alive
            if environment.idle_since is not None and pool in (None, environment.pool)
        ]
        return sorted(idle, key=lambda one: (one.idle_since, one.idle_order))

    # ---- requests --------------------------------------------------------------------------

    def arrive(self, row: Row, now: int) -> None:
        """Accept or refuse a request."""
        # rule: F0.3 (account limit: units in flight, of all functions together)
        if len(self.in_flight) >= self.settings.concurrency:
            self.refuse(row, now)
            return
        # rule: F0.4 (a warm environment of the pool is reused), else F0.5 (one is created)
        idle = self.idle(row.function)
        environment = self.reuse(idle) if idle else self.create(row, now)
        cold = not idle
        init = self.init_us(row) if cold else 0
        if not cold and row.init:
            self.marks.hit("Z49.warm_pays_no_init")
        run = Run(
            row=row,
            environment=environment,
            start=now,
            # rule: F1.3 (a cold start holds its unit for init and handler)
            end=now + init + row.duration,
            init=init,
            cold=cold,
            billed_us=self.billed_us(row, init),
        )
        self.in_flight.append(run)
        self.attempts.append(Attempt(row, run))

    def refuse(self, row: Row, now: int) -> None:
        """Answer 429. A refusal leaves no trace in any state."""
        self.marks.hit("F1.6.account_concurrency")
        if any(now < run.start + run.init for run in self.in_flight):
            self.marks.hit("F1.3.init_holds_unit")
        if any(run.row.name != row.name for run in self.in_flight):
            self.marks.hit("F1.1.shared")
        self.attempts.append(Attempt(row, None))

    def reuse(self, idle: list[Environment]) -> Environment:
        """Take the most recently used of the idle environments of a pool."""
        # rule: Z6 (by the instant of becoming idle, ties by order of release)
        chosen = idle[-1]
        self.marks.hit("F3.2.warm")
        if len(idle) > 1:
            tie = idle[-2].idle_since == chosen.idle_since
            self.marks.hit("Z6.tie_by_release" if tie else "Z6.most_recent")
        chosen.idle_since = chosen.idle_order = chosen.expires = None
        # rule: Z4 (the timer stops when none is idle)
        if len(idle) == 1 and self.halving_since.pop(chosen.pool, None) is not None:
            self.marks.hit("Z4.stopped_by_start")
        return chosen

    def create(self, row: Row, now: int) -> Environment:
        """Create an environment for a request that found no idle one."""
        self.marks.hit("F3.2.cold")
        if any(environment.pool == row.function for environment in self.alive):
            self.marks.hit("F3.2.busy")
        environment = Environment(
            number=len(self.environments),
            pool=row.function,
            created=now,
            retires=self.retires(row, now),
        )
        self.environments.append(environment)
        self.alive.append(environment)
        return environment

    def init_us(self, row: Row) -> int:
        """Return what a cold start adds to a run: the row's own init, else the function's."""
        init = row.init
        if init is None:
            init = self.settings.init_us(row.function, self.marks)
            self.marks.hit("F3.2.init_of_function")
        else:
            self.marks.hit("F3.2.init_of_row")
        if init > LONGEST_INIT_US:
            message = f"the reference does not model an init of {init} microseconds"
            raise ValueError(message)
        return init

    def billed_us(self, row: Row, init: int) -> int:
        """Return what a run is billed."""
        billed = row.duration
        unit = self.settings.billing_unit_us
        if init:
            # rule: Z43 (by function, else by era)
            if self.settings.init_billed(row.function, self.marks):
                self.marks.hit("Z43.init_billed")
                billed += init
                if -(-init // unit) - (-row.duration // unit) > -(-billed // unit):
                    self.marks.hit("F3.7.one_ceiling")
            else:
                self.marks.hit("Z43.init_not_billed")
        self.marks.hit("Z40.hundred_ms" if unit == 100_000 else "F7.one_ms")
        if billed == 0:
            self.marks.hit("Z40.least_unit")
        elif billed % unit == 0:
            self.marks.hit("Z40.exact_unit")
        # rule: F3.7 (one ceiling, over the sum), Z40 (at least one unit)
        return max(1, -(-billed // unit)) * unit

    # ---- environments ----------------------------------------------------------------------

    def retires(self, row: Row, now: int) -> int | None:
        """Return the end of the lifetime of an environment that a row creates now."""
        # rule: Z5 (counted from the start of its init, drawn by the row that created it)
        if self.settings.max_lifetime is None:
            return None
        low, high = self.settings.max_lifetime
        if low < high:
            self.marks.hit("Z5.lifetime_drawn")
        return now + between(
            low, high, seed=self.settings.seed, purpose="lifetime", identity=row.identity
        )

    def release(self, run: Run, now: int) -> None:
        """End a run: its unit is free, its environment idle unless its lifetime is over."""
        self.in_flight.remove(run)
        environment = run.environment
        # rule: Z5 (a busy environment goes at its release)
        if environment.retires is not None and environment.retires <= now:
            at_release = environment.retires == now
            self.marks.hit("Z5.lifetime_at_release" if at_release else "Z5.lifetime_busy")
            self.remove(environment, now, "lifetime at release")
            return
        environment.idle_since = now
        environment.idle_order = self.releases
        self.releases += 1
        policy = self.settings.idle
        if policy.policy in ("fixed", "uniform"):
            # rule: Z5 (uniform: drawn anew each time, keyed by the row just ended)
            environment.expires = now + between(
                policy.low,
                policy.high,
                seed=self.settings.seed,
                purpose="idle",
                identity=run.row.identity,
            )
        elif policy.policy == "halving":
            # rule: Z4 (the timer starts when the first environment of the pool becomes idle)
            if environment.pool not in self.halving_since:
                if environment.pool in self.halved_before:
                    self.marks.hit("Z4.started_again")
                self.halved_before.add(environment.pool)
                self.halving_since[environment.pool] = now
        else:
            self.marks.hit("F3.3.none")

    def expire(self, environment: Environment, timer: int, now: int) -> None:
        """End an idle environment whose time has come."""
        if timer == LIFETIME:
            self.marks.hit("Z5.lifetime_idle")
            self.remove(environment, now, "lifetime")
        else:
            policy = self.settings.idle.policy
            self.marks.hit("F3.3.fixed" if policy == "fixed" else "Z5.uniform")
            self.remove(environment, now, "idle")

    def halve(self, pool: str, now: int) -> None:
        """Evict half of a pool's idle environments, the odd one too."""
        # rule: Z4 (half rounded up, longest idle first)
        idle = self.idle(pool)
        evicted = (len(idle) + 1) // 2
        parity = "tick_odd" if len(idle) % 2 else "tick_even"
        self.marks.hit("Z4.tick_one" if len(idle) == 1 else f"Z4.{parity}")
        if evicted < len(idle) and idle[evicted - 1].idle_since == idle[evicted].idle_since:
            self.marks.hit("Z4.tie")
        if idle[-1].idle_since == now:
            self.marks.hit("Z4.release_at_tick")
        for environment in idle[:evicted]:
            self.remove(environment, now, "halving")
        if pool in self.halving_since:
            self.halving_since[pool] = now

    def remove(self, environment: Environment, now: int, cause: str) -> None:
        """Take an environment out of its pool for good."""
        environment.removed = now
        environment.cause = cause
        self.alive.remove(environment)
        # rule: Z4 (the timer stops when none is idle)
        timed = environment.pool in self.halving_since
        if timed and not self.idle(environment.pool):
            del self.halving_since[environment.pool]
            if cause == "lifetime":
                self.marks.hit("Z4.stopped_by_lifetime")


def bare(environment: Environment) -> str:
    """Return the bare name of an environment's function."""
    # rule: Z9 (a qualifier has a pool of its own, but is counted with its function)
    return environment.pool.partition(":")[0]


def count(names: Iterable[str]) -> dict[str, int]:
    """Count how often each name occurs."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts
