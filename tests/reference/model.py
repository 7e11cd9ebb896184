"""The state machine of Lambda, one event after the other: slow, and meant to be read.

Owns the order of events and what happens to requests; environments stand in ``environments.py``,
what callers and queues do about a failure in ``retries.py``. What is counted afterwards stands in
``measures.py``. Everything due is listed anew for each step and the earliest is taken, so nothing
has to be cancelled and no index can go stale.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from reference.entities import Attempt, Environment, Request, Run
from reference.environments import Environments
from reference.limits import RequestRates, ScalingRate
from reference.marks import Marks
from reference.provisioned import Pool, Provisioned
from reference.retries import Retries
from reference.settings import RPS_PER_UNIT, Fault, Settings, is_glob
from reference.state import Keys
from reference.trace import Row

# rule: Z1 (order of what happens at one instant)
CHANGE, WAIT, END, TIMER, ARRIVAL, RETRY = range(6)
# rule: Z1 (changes in file order), then schedules, READY, target tracking
SET, SCHEDULE, READY, LOOK = range(4)
# rule: Z4 (lifetime ends come before the halving tick; single idle times never meet a tick)
BEGIN, LIFETIME, IDLE, HALVING = range(4)

SECOND = 1_000_000

# rule: F1.6, Z17, Z21 (the reason of a 429 where reserved concurrency has a part in it, and else)
RESERVED_REASON = "ReservedFunctionConcurrentInvocationLimitExceeded"
REASONS = {
    "account_concurrency": "ConcurrentInvocationLimitExceeded",
    "reserved_concurrency": RESERVED_REASON,
    "reserved_zero": RESERVED_REASON,
    "latest_blocked": RESERVED_REASON,
    "account_rps": "FunctionInvocationRateLimitExceeded",
    "reserved_rps": "ReservedFunctionInvocationRateLimitExceeded",
    "scaling_rate": "ConcurrentInvocationLimitExceeded",
}


@dataclass(frozen=True)
class Snapshot:
    """How many runs and environments there are after one event, by bare name."""

    instant: int
    kind: int
    in_flight: dict[str, int]
    alive: dict[str, int]
    provisioned_busy: dict[str, int]
    unreserved: int
    claimed: int


class Event(NamedTuple):
    """Something due; the first three fields are the order by which events are taken."""

    instant: int
    kind: int
    order: tuple[Any, ...]
    subject: Any


class Refusal(NamedTuple):
    """Why a request is answered with 429."""

    limit: str
    reason: str


class Place(NamedTuple):
    """Where a request may run."""

    environment: Environment
    cold: bool
    pool: Pool | None
    spillover: str | None


class Model:
    """State of one account and everything that happened in it."""

    def __init__(self, settings: Settings, rows: Iterable[Row], marks: Marks) -> None:
        self.settings = settings
        self.marks = marks
        self.arrivals = list(rows)
        self.changes = list(enumerate(settings.changes))
        self.requests: list[Request] = []
        self.in_flight: list[Run] = []
        self.environments = Environments(marks)
        self.provisioned = Provisioned(marks)
        self.rates = RequestRates(marks)
        self.scaling = ScalingRate(marks)
        self.keys = Keys(marks)
        self.retries = Retries(marks)
        self.on_demand_starts: dict[tuple[str, int], int] = {}
        self.bought: dict[str, list[int | None]] = {}
        self.seen: set[str] = set()
        self.attempts: list[Attempt] = []
        self.log: list[Event] = []
        self.snapshots: list[Snapshot] = []
        # rule: Q35 (provisioned in the scenario: READY at the trace's start)
        if self.arrivals:
            begins = [self.arrivals[0].timestamp, *(change.at for change in settings.changes)]
            self.configure(min(begins), at_once=True)

    # ---- the loop --------------------------------------------------------------------------

    def run(self) -> None:
        """Let everything happen up to the last release, or to the end of the replay."""
        until = self.settings.until
        while True:
            event = min(self.due(), default=None, key=lambda event: event[:3])
            # rule: Z39 ([first, until))
            if event is None or (until is not None and event.instant >= until):
                break
            if self.log and event.instant < self.log[-1].instant:
                message = f"time went backwards: {self.log[-1]} then {event}"
                raise AssertionError(message)
            self.log.append(event)
            self.handle(event)
            self.snapshots.append(self.snapshot(event))
        self.close()

    def busy(self) -> bool:
        """Tell whether anything is left to do but to wait for timers."""
        return bool(self.arrivals or self.in_flight) or any(
            request.next_at is not None
            or request.drop_at is not None
            or request.client_until is not None
            for request in self.requests
        )

    def due(self) -> list[Event]:
        """List everything that will happen if nothing else does before."""
        busy = self.busy()
        if not busy and self.settings.until is None:
            return []
        events = self.due_changes(looks=busy)
        if busy:
            events += self.due_requests() + self.due_runs() + self.due_timers()
        return events

    def due_changes(self, *, looks: bool) -> list[Event]:
        """List changes of configuration."""
        events = [Event(one.at, CHANGE, (SET, index), one) for index, one in self.changes]
        for pool in self.provisioned.pools.values():
            for index, entry in enumerate(pool.provision.schedule):
                if index not in pool.scheduled:
                    events.append(Event(entry.at, CHANGE, (SCHEDULE, pool.name, index), pool))
            if pool.pending is not None:
                events.append(Event(pool.pending, CHANGE, (READY, pool.name), pool))
            # rule: Z25 (at the end of every clock minute, until the last release)
            if looks and pool.provision.tracking:
                events.append(Event(pool.next_look, CHANGE, (LOOK, pool.name), pool))
        return events

    def due_requests(self) -> list[Event]:
        """List arrivals, retries and the ends of patience."""
        events = []
        if self.arrivals:
            # rule: Z2 (they are in that order already)
            row = self.arrivals[0]
            events.append(Event(row.timestamp, ARRIVAL, (row.place,), row))
        for request in self.requests:
            order = (request.row.place, len(request.attempts))
            # rule: Z27 (dropped at its deadline)
            if request.drop_at is not None:
                events.append(Event(request.drop_at, WAIT, order, request))
            # rule: Z28 (the client gives up waiting for an answer)
            if request.client_until is not None:
                events.append(Event(request.client_until, WAIT, order, request))
            if request.next_at is not None:
                events.append(Event(request.next_at, RETRY, order, request))
        return events

    def due_runs(self) -> list[Event]:
        """List what is due of the runs in flight."""
        events = []
        for run in self.in_flight:
            order = (run.row.place, run.attempt)
            if run.begin_at is not None:
                events.append(Event(run.begin_at, TIMER, (BEGIN, *order), run))
            if run.limit_at is not None:
                events.append(Event(run.limit_at, WAIT, order, run))
            # rule: Z1 (ends: by arrival, then attempt; the answer, then the release)
            if run.answer_at is not None:
                events.append(Event(run.answer_at, END, (*order, 0), run))
            elif run.end_at is not None:
                events.append(Event(run.end_at, END, (*order, 1), run))
        return events

    def due_timers(self) -> list[Event]:
        """List the ends of idle times and lifetimes."""
        events = []
        for environment in self.environments.idle():
            number = environment.number
            # rule: Z5 (an idle environment goes at the end of its lifetime, at that instant)
            if environment.retires is not None:
                events.append(Event(environment.retires, TIMER, (LIFETIME, number), environment))
            # rule: Q31 (idle exactly that long: gone, since a timer comes before an arrival)
            if environment.expires is not None:
                events.append(Event(environment.expires, TIMER, (IDLE, number), environment))
        for pool in self.provisioned.pools.values():
            for environment in pool.idle():
                if environment.retires is not None:
                    order = (LIFETIME, environment.number)
                    events.append(Event(environment.retires, TIMER, order, environment))
        for index, (name, since) in enumerate(sorted(self.environments.halving_since.items())):
            # rule: Z4 (every period, counted from the first environment's becoming idle)
            events.append(Event(since + self.settings.idle.low, TIMER, (HALVING, index), name))
        return events

    def handle(self, event: Event) -> None:
        """Let one event happen."""
        now, subject = event.instant, event.subject
        if event.kind == CHANGE:
            self.change(event)
        elif event.kind == WAIT:
            if isinstance(subject, Run):
                self.give_up(subject, now)
            elif subject.drop_at is not None:
                self.retries.expired(subject, self.settings, now)
            else:
                self.retries.unanswered(subject, self.settings, now)
        elif event.kind == END:
            if subject.answer_at is not None:
                self.answer(subject, now)
            else:
                self.release(subject, now)
        elif event.kind == TIMER:
            self.timer(event)
        elif event.kind == ARRIVAL:
            self.arrivals.pop(0)
            self.arrive(subject, now)
        else:
            subject.next_at = None
            self.attempt(subject, now)

    def timer(self, event: Event) -> None:
        """Let a timer run out."""
        now, subject = event.instant, event.subject
        if isinstance(subject, Run):
            self.begin(subject, now)
        elif isinstance(subject, str):
            self.environments.halve(subject, now)
        elif subject.provisioned:
            self.marks.hit("Z5.provisioned_recycled")
            self.recycle(subject, now)
        else:
            self.environments.expire(subject, self.settings, event.order[0] == LIFETIME, now)

    def snapshot(self, event: Event) -> Snapshot:
        """Count what there is now."""
        in_flight: dict[str, int] = {}
        provisioned: dict[str, int] = {}
        alive: dict[str, int] = {}
        for run in self.in_flight:
            name = run.row.name
            in_flight[name] = in_flight.get(name, 0) + 1
            if run.provisioned:
                provisioned[name] = provisioned.get(name, 0) + 1
        for environment in self.environments.alive:
            name = environment.pool.partition(":")[0]
            alive[name] = alive.get(name, 0) + 1
        for pool in self.provisioned.pools.values():
            if pool.ready:
                alive[pool.function] = alive.get(pool.function, 0) + len(pool.ready)
        unreserved = self.unreserved_in_flight()
        return Snapshot(
            instant=event.instant,
            kind=event.kind,
            in_flight=in_flight,
            alive=alive,
            provisioned_busy=provisioned,
            unreserved=unreserved,
            claimed=unreserved + self.allocated(),
        )

    def close(self) -> None:
        """Leave what the end of the replay has cut off."""
        until = self.settings.until
        if until is None:
            return
        for run in self.in_flight:
            request = run.request
            if run is request.runs[-1]:
                # rule: Z39 (still running, though it may have answered)
                self.marks.hit("Z39.still_running")
                request.outcome, request.settled = "pending", None
                request.reason = request.limit = request.delivered = None
        for row in self.arrivals:
            # rule: Z39 (later rows: pending, attempts 0)
            self.marks.hit("Z39.later_row")
            self.requests.append(Request(row))

    # ---- configuration ---------------------------------------------------------------------

    def change(self, event: Event) -> None:
        """Change the configuration, or the number of provisioned environments."""
        now, subject, which = event.instant, event.subject, event.order[0]
        if which == SET:
            self.changes = [one for one in self.changes if one[0] != event.order[1]]
            names = sorted(self.seen)
            before = {name: self.settings.shape(name, self.marks) for name in names}
            self.settings = self.settings.changed(subject.values, self.marks)
            for name in names:
                # rule: Z8 (memory, time-out, architecture, storage end idle environments at once)
                if self.settings.shape(name, self.marks) != before[name]:
                    self.environments.make_obsolete(name, now)
            self.configure(now, at_once=False)
        elif which == SCHEDULE:
            index = event.order[2]
            subject.scheduled.add(index)
            size = self.provisioned.scheduled_size(subject, subject.provision.schedule[index])
            if size != subject.requested:
                self.marks.hit("Z25.schedule")
                self.resize(subject, size, now)
        elif which == READY:
            self.marks.hit("Z23.ready")
            subject.pending = None
            self.make_ready(subject, now)
        else:
            size = self.provisioned.look(subject, now)
            if size is not None:
                self.resize(subject, size, now)

    def configure(self, now: int, *, at_once: bool) -> None:
        """Bring the provisioned pools in line with the settings."""
        for name in self.names():
            if not self.takes(name, "provisioned_concurrency"):
                continue
            wanted = {one.pool: one for one in self.settings.provisions(name, self.marks)}
            for pool in self.provisioned.of_function(name):
                if pool.name not in wanted and pool.configured:
                    pool.configured = 0
                    self.resize(pool, 0, now)
            for provision in wanted.values():
                pool = self.provisioned.pools.get(provision.pool)
                if pool is None:
                    pool = self.provisioned.add(provision, name, now)
                elif pool.provision != provision:
                    pool.provision = provision
                    self.provisioned.bound(pool, now)
                if provision.initial == pool.configured:
                    continue
                pool.configured = provision.initial
                if at_once:
                    # rule: Q35 (READY at once)
                    pool.requested = provision.initial
                    pool.amounts.append((now, provision.initial))
                    self.make_ready(pool, now)
                else:
                    self.resize(pool, provision.initial, now)

    def resize(self, pool: Pool, size: int, now: int) -> None:
        """Request another number of provisioned environments."""
        for environment in self.provisioned.request(pool, size, now):
            self.remove_provisioned(pool, environment, now, "lowered")
        pool.note(now)

    def make_ready(self, pool: Pool, now: int) -> None:
        """Make as many environments READY as were requested."""
        while len(pool.ready) < pool.requested:
            # rule: Z24 (fresh ones became idle at READY in number order)
            self.add_provisioned(pool, now)
        pool.note(now)

    def add_provisioned(self, pool: Pool, now: int) -> Environment:
        """Add one READY environment to a pool."""
        environment = self.environments.provision(pool.name, pool.made, self.settings, now)
        pool.made += 1
        pool.ready.append(environment)
        # rule: Z24 (their init is billed once each)
        pool.inits.append(now)
        return environment

    def remove_provisioned(
        self, pool: Pool, environment: Environment, now: int, cause: str
    ) -> None:
        """Take a provisioned environment away."""
        environment.removed, environment.cause = now, cause
        environment.idle_since = environment.idle_order = None
        pool.ready.remove(environment)

    def recycle(self, environment: Environment, now: int) -> None:
        """Replace a provisioned environment without a gap."""
        # rule: Z5 (init is billed, nothing else changes)
        pool = self.provisioned.pools[environment.pool]
        since, order = environment.idle_since, environment.idle_order
        self.remove_provisioned(pool, environment, now, "recycled")
        fresh = self.add_provisioned(pool, now)
        if since is not None:
            fresh.idle_since, fresh.idle_order = since, order

    def names(self) -> list[str]:
        """Return the names that may have settings of their own: literal ones and those seen."""
        literal = {name for name in self.settings.functions if not is_glob(name)}
        return sorted(literal | self.seen)

    def takes(self, name: str, key: str) -> bool:
        """Tell whether a function has taken its units yet."""
        # rule: Z20 (of a glob from its first row on, of a literal name from the start)
        return name in self.seen or key in self.settings.functions.get(name, {})

    # ---- units -----------------------------------------------------------------------------

    def reserved(self, name: str) -> int | None:
        """Return a function's reserved concurrency, once it is taken."""
        if not self.takes(name, "reserved_concurrency"):
            return None
        return self.settings.reserved(name, self.marks)

    def allocated(self) -> int:
        """Return the units that are set apart: reserved, and provisioned without reserved."""
        # rule: F1.2, Z16 (alloc follows the settings at once)
        total = 0
        for name in {*self.names(), *(pool.function for pool in self.provisioned.pools.values())}:
            reserved = self.reserved(name)
            total += self.provisioned.claimed(name) if reserved is None else reserved
        return total

    def on_demand_in_flight(self, name: str) -> int:
        """Return a function's runs that no provisioned environment serves."""
        return sum(not run.provisioned and run.row.name == name for run in self.in_flight)

    def unreserved_in_flight(self) -> int:
        """Return the runs on unreserved units."""
        # rule: Z16 (a run counts where its function's setting of the moment puts it)
        return sum(
            not run.provisioned and self.reserved(run.row.name) is None for run in self.in_flight
        )

    def out_of_units(self, name: str, served: bool) -> str | None:
        """Return the limit of concurrency that binds, if any does."""
        reserved = self.reserved(name)
        if reserved is None:
            # rule: F0.3 (unreserved in flight < L - sum(RC) - sum(PC of f without RC))
            free = self.settings.concurrency - self.allocated()
            return "account_concurrency" if self.unreserved_in_flight() >= free else None
        # rule: F0.3 (on demand in flight < RC - PC)
        provisioned = self.provisioned.claimed(name)
        if self.on_demand_in_flight(name) < reserved - provisioned:
            return None
        # rule: F3.9 (all reserved units are provisioned, so $LATEST is throttled)
        if provisioned >= reserved and not served:
            return "latest_blocked"
        return "reserved_concurrency"

    # ---- requests --------------------------------------------------------------------------

    def arrive(self, row: Row, now: int) -> None:
        """Take a row in: a synchronous request is tried at once, an event is queued."""
        if row.name not in self.seen:
            self.seen.add(row.name)
            self.configure(now, at_once=True)
        request = Request(row)
        self.requests.append(request)
        if row.source == "async":
            # rule: F5.6, Z26 (new events are given up at once, settled = timestamp)
            if self.reserved(row.name) == 0:
                self.retries.reserved_zero(request, self.settings, now)
                return
            if self.settings.dispatch_us:
                # rule: Q18
                self.marks.hit("Q18.dispatch")
                request.next_at = now + self.settings.dispatch_us
                return
        self.attempt(request, now)

    def attempt(self, request: Request, now: int) -> None:
        """Try to run a request."""
        row = request.row
        if row.source == "async" and self.reserved(row.name) == 0:
            # rule: Z26 (queued before: at their next attempt)
            self.marks.hit("Z26.queued")
            self.retries.reserved_zero(request, self.settings, now)
            return
        attempt = Attempt(request, len(request.attempts) + 1, now)
        place = self.admit(row, attempt.number, now)
        request.attempts.append(attempt)
        self.attempts.append(attempt)
        if isinstance(place, Refusal):
            self.mark_refusal(row, place.limit, now)
            attempt.limit, attempt.reason = place
            self.retries.refused(request, attempt, self.settings, now)
            return
        attempt.run = self.start(request, attempt.number, place, now)
        self.retries.started(request, attempt.run, self.settings, now)

    def admit(self, row: Row, number: int, now: int) -> Place | Refusal:
        """Find a place for a request, in the order of checks; a refusal leaves no trace."""
        # rule: F1.5 (RC = 0, request rates, provisioned, concurrency, warm reuse, scaling)
        name, settings = row.name, self.settings
        refusal = self.refused_outright(row, now)
        if refusal:
            return refusal
        pool = self.provisioned.serving(row, settings.provisions(name, self.marks))
        spillover = self.spillover(pool, row, now) if pool else None
        if pool and pool.ready and not spillover:
            environment = self.environments.choose(pool.idle(), row, number, settings)
            self.environments.take(environment)
            self.count(row, pool, now)
            pool.note(now)
            return Place(environment, cold=False, pool=pool, spillover=None)
        limit = self.out_of_units(name, served=pool is not None)
        if limit:
            return Refusal(limit, REASONS[limit])
        idle = self.environments.idle(row.pool)
        # rule: Z19 (tested only where a warm environment would be reused)
        coupled = bool(idle) and row.source == "sync" and self.coupled(name, now)
        # rule: F0.5 (a token for each environment, and for each unit bought)
        if (coupled or not idle) and self.scaling.empty(name, settings.scaling, now):
            limit = "scaling_rate"
            if coupled:
                # rule: Z17 (coupling: as its function)
                self.marks.hit("Z19.refused")
                limit = "account_rps" if self.reserved(name) is None else "reserved_rps"
            return Refusal("scaling_rate", REASONS[limit])
        if idle:
            environment = self.environments.choose(idle, row, number, settings)
            self.environments.take(environment)
        else:
            environment = self.environments.create(row, number, settings, now)
        if coupled:
            self.marks.hit("Z19.bought")
            self.buy(name, now)
        if coupled or not idle:
            self.scaling.take(name, settings.scaling, now)
        self.count(row, None, now)
        return Place(environment, cold=not idle, pool=None, spillover=spillover)

    def refused_outright(self, row: Row, now: int) -> Refusal | None:
        """Return why a request is refused before anybody looks for a place, if it is."""
        name, settings = row.name, self.settings
        reserved = self.reserved(name)
        if reserved == 0:
            return Refusal("reserved_zero", RESERVED_REASON)
        # rule: Z21 (after the check for reserved 0; the reason as concurrency)
        if any(fault.throttle for fault in self.faults(name, now)):
            reason = REASONS["account_concurrency"] if reserved is None else RESERVED_REASON
            return Refusal("fault", reason)
        # rule: F1.4 (synchronous requests only)
        if row.source != "sync":
            return None
        if self.rates.full("account", settings.rps_account(), settings, now):
            return Refusal("account_rps", REASONS["account_rps"])
        if reserved is not None and self.rates.full(
            ("reserved", name), settings.rps_units(reserved), settings, now
        ):
            return Refusal("reserved_rps", REASONS["reserved_rps"])
        return None

    def spillover(self, pool: Pool, row: Row, now: int) -> str | None:
        """Return why a request does not get a provisioned environment."""
        if not pool.ready:
            return "not_ready" if pool.requested else None
        if not pool.idle():
            return "busy"
        # rule: Z24 (asynchronous runs are exempt)
        per_second = self.settings.rps_units(len(pool.ready))
        scope = ("provisioned", pool.name)
        if self.rates.full(scope, per_second, self.settings, now):
            if row.source == "sync":
                return "request_rate"
            self.marks.hit("Z24.async_exempt")
        return None

    def count(self, row: Row, pool: Pool | None, now: int) -> None:
        """Count an admitted request in the windows it belongs to."""
        # rule: Q32 (provisioned ones included, asynchronous ones in none)
        if row.source != "sync":
            return
        settings, reserved = self.settings, self.reserved(row.name)
        self.rates.take("account", settings.rps_account(), settings, now)
        of_reserved = None if reserved is None else settings.rps_units(reserved)
        self.rates.take(("reserved", row.name), of_reserved, settings, now)
        if pool:
            per_second = settings.rps_units(len(pool.ready))
            self.rates.take(("provisioned", pool.name), per_second, settings, now)
        else:
            # rule: Z19 (on-demand runs admitted in the aligned second)
            second = (row.name, now // SECOND)
            self.on_demand_starts[second] = self.on_demand_starts.get(second, 0) + 1

    def coupled(self, name: str, now: int) -> bool:
        """Tell whether a warm start needs another unit bought."""
        # rule: Z19 (rate >= 10 x (live on-demand environments + bought units))
        scaling = self.settings.scaling
        if scaling is None or not scaling.rps_coupling:
            return False
        rate = self.on_demand_starts.get((name, now // SECOND), 0)
        live = sum(one.pool.partition(":")[0] == name for one in self.environments.alive)
        bought = sum(end is None or now < end for end in self.bought.get(name, []))
        return rate >= RPS_PER_UNIT * (live + bought)

    def buy(self, name: str, now: int) -> None:
        """Buy a unit, which lives the idle time."""
        # rule: Z19 (halving 380 s, uniform b, none for ever)
        idle = self.settings.idle
        end = None if idle.policy == "none" else now + idle.high
        self.bought.setdefault(name, []).append(end)

    def mark_refusal(self, row: Row, limit: str, now: int) -> None:
        """Count which limit refused which kind of request."""
        self.marks.hit(f"F1.6.{limit}")
        if row.source == "async":
            self.marks.hit(f"F1.6.{limit}.async")
        if any(run.begin is not None and now < run.begin for run in self.in_flight):
            self.marks.hit("F1.3.init_holds_unit")
        if any(run.answered is not None for run in self.in_flight):
            self.marks.hit("F1.3.extension_holds_unit")
        if limit == "account_concurrency" and any(
            run.row.name != row.name for run in self.in_flight
        ):
            self.marks.hit("F1.1.shared")

    # ---- runs ------------------------------------------------------------------------------

    def faults(self, name: str, now: int) -> list[Fault]:
        """Return the faults that a run of a function has that starts now."""
        return [fault for fault in self.settings.faults if fault.concerns(name, now)]

    def start(self, request: Request, number: int, place: Place, now: int) -> Run:
        """Begin a run: its init, if it has any, then its handler."""
        row, settings, name = request.row, self.settings, request.row.name
        faults = self.faults(name, now)
        # rule: Z36 (slow: a factor on the duration, extension with it)
        slow = math.prod(fault.slow for fault in faults if fault.slow is not None)
        duration = self.scaled(row.duration, slow)
        run = Run(
            request=request,
            attempt=number,
            environment=place.environment,
            start=now,
            cold=place.cold,
            provisioned=place.pool is not None,
            spillover=place.spillover,
            duration=duration,
            # rule: Z13 (at most the duration)
            extension=min(duration, self.scaled(row.extension, slow)),
            # rule: Z8 (a run keeps the settings of its start)
            timeout=settings.timeout_us(name, self.marks),
            error=self.error_of(request, faults),
            memory_mb=settings.memory_mb(name, row.memory_mb, self.marks),
            architecture=settings.architecture(name, self.marks),
            ephemeral_mb=settings.ephemeral_mb(name, self.marks),
            # rule: Z42 (none where provisioned concurrency is configured)
            free_tier=not any(
                one.initial or one.tracking or one.schedule
                for one in settings.provisions(name, self.marks)
            ),
            key=self.key_of(row),
        )
        self.in_flight.append(run)
        if place.pool:
            self.marks.hit("Z24.provisioned")
        elif place.spillover:
            self.marks.hit(f"Z24.{place.spillover}")
        if slow != 1:
            self.marks.hit("Z36.slow")
        begin = now + self.init(run, faults)
        if run.suppressed and run.timeout is not None and run.suppressed > run.timeout:
            # rule: Z11, Z12 (the suppressed init is limited by the time-out by itself)
            self.marks.hit("Z11.suppressed_init_cut")
            run.suppressed, run.cut = run.timeout, True
            run.answer_at = run.end_at = begin + run.timeout
            return run
        run.begin = begin + run.suppressed
        if run.key is None:
            run.try_begin = run.begin
            self.plan(run, run.begin)
        elif run.begin == now:
            self.begin(run, now)
        else:
            run.begin_at = run.begin
        return run

    def scaled(self, length: int, factor: float) -> int:
        """Return a length times a factor, to the nearest microsecond."""
        # rule: Z3, Z36
        return length if factor == 1 else math.floor(length * factor + 0.5)

    def error_of(self, request: Request, faults: list[Fault]) -> str | None:
        """Return how the handler of a run ends."""
        row = request.row
        errors = {fault.error for fault in faults}
        # rule: Z14 (a fault's error beats error_runs; error_runs counts runs)
        runs = len(request.runs) + 1
        if row.error_runs is None or runs <= row.error_runs:
            errors.add(row.error)
        elif row.error in ("handled", "crash"):
            self.marks.hit("Z14.error_runs_over")
        # rule: Z14 (item on a sync or async row is a success)
        if "item" in errors:
            self.marks.hit("Z14.item")
        # rule: Z36 (crash before handled)
        if any(fault.error for fault in faults):
            self.marks.hit("Z36.error")
        if "crash" in errors:
            return "crash"
        return "handled" if "handled" in errors else None

    def key_of(self, row: Row) -> str | None:
        """Return the record of shared state that a row's run takes turns at."""
        state = self.settings.state
        if row.state_key is None:
            return None
        if state.discipline == "append":
            self.marks.hit("state.append")
            return None
        # rule: state (global in an account unless state.scope = "function")
        if state.by_function:
            self.marks.hit("state.by_function")
            return f"{row.name}\0{row.state_key}"
        return row.state_key

    def init_us(self, row: Row, faults: list[Fault]) -> int:
        """Return how long an init takes: the row's own, else the function's."""
        settings, name = self.settings, row.name
        init = settings.restore_us(name, self.marks)
        if init is not None:
            # rule: Z54 (restore_ms replaces init_ms)
            self.marks.hit("Z54.restore")
        elif row.init is None:
            init = settings.init_us(name, self.marks)
            self.marks.hit("F3.2.init_of_function")
        else:
            init = row.init
            self.marks.hit("F3.2.init_of_row")
        # rule: Z36 (init: a factor on init_ms)
        factor = math.prod(fault.init for fault in faults if fault.init is not None)
        if factor != 1:
            self.marks.hit("Z36.init")
        return self.scaled(init, factor)

    def init(self, run: Run, faults: list[Fault]) -> int:
        """Initialise a run's environment; return what passes before the invocation itself."""
        settings, row, environment = self.settings, run.row, run.environment
        if not run.cold:
            if environment.needs_init:
                # rule: F3.5, Z7, Z23 (suppressed init, with that row's init_ms)
                self.marks.hit("Z7.suppressed_provisioned" if run.provisioned else "Z7.suppressed")
                run.suppressed = self.init_us(row, faults)
                environment.needs_init = False
            elif row.init:
                self.marks.hit("Z49.warm_pays_no_init")
            return 0
        init = self.init_us(row, faults)
        if self.environments.hidden(row, run.attempt, settings):
            # rule: Z54 (begins at its start, init_ms 0, init billed as the era says)
            self.marks.hit("Z54.proactive")
            run.init_billed = init
            return 0
        limit = settings.init_timeout_us(row.name, self.marks)
        if limit is not None and init > limit:
            # rule: Z12 (aborted at 10 s, then once more in full as a suppressed init)
            self.marks.hit("Z12.aborted")
            run.suppressed = init
            run.init_billed = limit if settings.aborted_init_billed else 0
            return limit
        if limit is not None and init == limit:
            self.marks.hit("Z12.exactly_in_time")
        run.init = run.init_billed = init
        return init

    def plan(self, run: Run, begin: int) -> None:
        """Set when the handler answers and the environment is released, if it begins then."""
        assert run.begin is not None
        run.answer_at = begin + run.duration - run.extension
        run.end_at = begin + run.duration
        if run.timeout is None:
            return
        # rule: Z10 (exactly timeout_s is in time)
        limit = run.begin + run.timeout
        if run.end_at == limit:
            self.marks.hit("Z10.exactly_in_time")
        if run.answer_at > limit:
            run.cut = True
            run.answer_at = run.end_at = limit
        elif run.end_at > limit:
            # rule: Z13 (handler in time and extension not)
            run.overrun = True
            run.end_at = limit

    def begin(self, run: Run, now: int) -> None:
        """Begin the handler of a run with shared state, or begin it once more."""
        run.begin_at = None
        if self.settings.state.discipline == "optimistic":
            # rule: state (remember the version)
            run.try_begin = now
            run.version = self.keys.of(run).version
            self.plan(run, now)
        elif self.keys.request(run):
            run.try_begin = now
            self.plan(run, now)
        else:
            # rule: Z10, Z33 (limits of waiting: the time-out, max_lock_wait_s)
            longest = self.settings.state.max_lock_wait_us
            limits = [one for one in (run.timeout, longest) if one is not None]
            run.limit_at = now + min(limits) if limits else None

    def grant(self, runs: list[Run], now: int) -> None:
        """Let runs begin that waited for their key."""
        for run in runs:
            assert run.begin is not None
            self.marks.hit("state.granted")
            run.limit_at = None
            run.try_begin = now
            run.lock_wait = now - run.begin
            self.plan(run, now)

    def give_up(self, run: Run, now: int) -> None:
        """End a run that has waited too long for its key."""
        assert run.begin is not None
        run.limit_at = None
        run.lock_wait = now - run.begin
        # rule: Z33 (where both fall together: a time-out)
        if run.timeout is not None and now == run.begin + run.timeout:
            self.marks.hit("Z10.cut_while_waiting")
            run.cut = True
        else:
            self.marks.hit("Z33.gave_up")
            run.gave_up = True
        granted = self.keys.leave(run)
        run.key = None
        run.end_at = now
        self.answer(run, now)
        self.grant(granted, now)

    def conflict(self, run: Run, now: int) -> bool:
        """Compare and set at the answer; tell whether the run starts over."""
        state = self.settings.state
        if run.key is None or state.discipline != "optimistic" or not run.row.writes:
            return False
        # rule: Z32 (a run that fails anyway compares and writes nothing)
        if run.cut or run.error:
            self.marks.hit("Z32.failed_writes_nothing")
            return False
        key = self.keys.of(run)
        if key.version == run.version:
            self.marks.hit("Z32.written")
            key.version += 1
            return False
        if run.conflicts >= state.max_retries:
            self.marks.hit("Z32.too_many")
            run.failure = "WriteConflict"
            return False
        self.marks.hit("Z32.started_over")
        run.conflicts += 1
        run.answer_at = run.end_at = None
        run.overrun = False
        again = now + state.backoff_us
        assert run.begin is not None
        if run.timeout is not None and again > run.begin + run.timeout:
            self.marks.hit("Z32.cut_in_backoff")
            run.cut = True
            run.answer_at = run.end_at = run.begin + run.timeout
        elif state.backoff_us:
            self.marks.hit("Z32.backoff")
            run.begin_at = again
        else:
            self.begin(run, now)
        return True

    def answer(self, run: Run, now: int) -> None:
        """Answer: what happens now decides what caller and queue see."""
        run.answer_at = None
        if self.conflict(run, now):
            return
        # rule: Z14 (a time-out beats the row's error)
        if run.cut:
            self.marks.hit("Z14.timed_out")
            run.failure = "TimedOut"
        elif run.gave_up:
            run.failure = "LockWaitExceeded"
        elif run.error and run.failure is None:
            run.failure = {"crash": "Crash", "handled": "Handled"}[run.error]
            self.marks.hit(f"F3.5.{run.error}")
        run.answered = now
        self.retries.answered(run.request, run, self.settings, now)
        if run.end_at == now:
            self.release(run, now)
        else:
            self.marks.hit("Z13.answer_before_release")

    def release(self, run: Run, now: int) -> None:
        """End a run: its unit is free, its environment idle unless its time is over."""
        self.in_flight.remove(run)
        run.end_at, run.released = None, now
        self.account(run, now)
        if run.key is not None and self.settings.state.discipline == "lock":
            # rule: Z31 (a key is held to the release)
            self.grant(self.keys.leave(run), now)
        if run.overrun:
            self.marks.hit("Z13.overrun")
        reset = run.cut or run.overrun or run.failure == "Crash"
        if run.provisioned:
            self.release_provisioned(run, reset, now)
        else:
            self.environments.release(run, self.settings, reset, now)

    def release_provisioned(self, run: Run, reset: bool, now: int) -> None:
        """Give a provisioned environment back to its pool."""
        environment = run.environment
        pool = self.provisioned.pools[environment.pool]
        if len(pool.ready) > pool.requested:
            # rule: Z23 (lowering: busy ones go at release)
            self.marks.hit("Z23.gone_at_release")
            self.remove_provisioned(pool, environment, now, "lowered")
        else:
            self.environments.idle_again(environment, now)
            over = environment.retires is not None and environment.retires <= now
            destroyed = reset and self.settings.error_reset == "destroy"
            if over or destroyed:
                # rule: Z5, Z7 (replaced at once)
                self.marks.hit("Z7.provisioned_destroyed" if destroyed else "Z5.provisioned_busy")
                self.recycle(environment, now)
            elif reset:
                environment.needs_init = True
        pool.note(now)

    def account(self, run: Run, now: int) -> None:
        """Set what a run reports and is billed."""
        settings, unit = self.settings, self.settings.billing_unit_us
        if run.begin is not None and run.try_begin is not None:
            # rule: Z35 (the wait; optimistic: begin of the last try - begin)
            run.lock_wait = run.try_begin - run.begin
        if (run.cut or run.overrun) and run.timeout is not None:
            # rule: Z11 (on a time-out Duration is timeout_s, though the unit was held longer)
            run.reported = run.timeout
        else:
            assert run.begin is not None
            run.reported = run.suppressed + now - run.begin
        billed = run.reported
        if run.init_billed:
            # rule: Z43 (by function, else by era)
            if settings.init_billed(run.row.name, self.marks):
                self.marks.hit("Z43.init_billed")
                billed += run.init_billed
                if -(-run.init_billed // unit) - (-run.reported // unit) > -(-billed // unit):
                    self.marks.hit("F3.7.one_ceiling")
            else:
                self.marks.hit("Z43.init_not_billed")
        self.marks.hit("Z40.hundred_ms" if unit == 100_000 else "F7.one_ms")
        if billed == 0:
            self.marks.hit("Z40.least_unit")
        elif billed % unit == 0:
            self.marks.hit("Z40.exact_unit")
        # rule: F3.7 (one ceiling, over the sum), Z40 (at least one unit)
        run.billed_us = max(1, -(-billed // unit)) * unit
