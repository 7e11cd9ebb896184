"""The state machine of Lambda, one event after the other: slow, and meant to be read.

Owns the order of events and what an event sets off. What is counted afterwards stands in
``measures.py``. Everything due is listed anew for each step and the earliest is taken, so nothing
has to be cancelled and no index can go stale.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from reference.admission import Refusal
from reference.entities import Attempt, Request, Run
from reference.kafka import Kafka
from reference.limiter import RateLimiter
from reference.marks import Marks
from reference.order import ARRIVAL, CHANGE, END, RETRY, TIMER, WAIT
from reference.queues import Queue
from reference.recurrence import next_time
from reference.settings import Settings
from reference.source_settings import QUEUES
from reference.sources import Owner, Sources, Step
from reference.streams import Stream
from reference.trace import Row

# rule: Z1 (changes in file order), then schedules, READY, target tracking
SET, SCHEDULE, READY, LOOK = range(4)
# rule: Z4 (lifetime ends come before the halving tick; single idle times never meet a tick)
BEGIN, LIFETIME, IDLE, HALVING = range(4)


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


class Model(Sources):
    """One replay."""

    def __init__(self, settings: Settings, rows: Iterable[Row], marks: Marks) -> None:
        super().__init__(settings, marks)
        self.arrivals = list(rows)
        self.changes = list(enumerate(settings.changes))
        self.log: list[Event] = []
        self.snapshots: list[Snapshot] = []
        self.calls: list[Attempt] = []
        # rule: E0.6.1 (start = the first row of the whole trace)
        self.start_at = self.arrivals[0].timestamp if self.arrivals else 0
        self.owners: dict[str, Owner] = {}
        for name in sorted(settings.sources) if self.arrivals else ():
            self.owners[name] = self.owner(name)
        # rule: Q35 (provisioned in the scenario: READY at the trace's start)
        if self.arrivals:
            begins = [self.arrivals[0].timestamp, *(change.at for change in settings.changes)]
            self.configure(min(begins), at_once=True)

    def owner(self, name: str) -> Any:
        """Return an event source as it is before the first row."""
        rows = [row for row in self.arrivals if row.source == name]
        kinds: dict[str, Any] = dict.fromkeys(QUEUES, Queue) | {"kafka": Kafka}
        first = self.arrivals[0].timestamp
        return kinds.get(self.mapping(name).type, Stream)(name, self, rows, first)

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
            for owner in self.owners.values():
                owner.advance(event.instant)
            self.log.append(event)
            self.handle(event)
            self.snapshots.append(self.snapshot(event))
        self.close()

    def busy(self) -> bool:
        """Tell whether anything is left to do but to wait for timers."""
        if any(owner.busy() for owner in self.owners.values()):
            return True
        return bool(self.arrivals or self.in_flight) or any(
            request.next_at is not None
            or request.held_back
            or request.drop_at is not None
            or request.client_until is not None
            for request in self.requests
        )

    def due(self) -> list[Event]:
        """List everything that will happen if nothing else does before."""
        busy = self.busy()
        if not busy and self.settings.until is None:
            # rule: Z1 (what is due at the instant of the last release still happens)
            last = self.log[-1].instant if self.log else 0
            return [event for event in self.due_timers() if event.instant <= last]
        events = self.due_changes(looks=busy)
        # rule: Z39 (the replay lasts up to until, and so do its timers)
        events += self.due_timers()
        if busy:
            events += self.due_requests() + self.due_runs()
            now, passed = self.start_at, CHANGE
            if self.log:
                now, passed = self.log[-1].instant, self.log[-1].kind
            for owner in self.owners.values():
                events += [Event(*due) for due in owner.due(now, passed)]
        return events

    def due_changes(self, *, looks: bool) -> list[Event]:
        """List changes of configuration."""
        events = [Event(one.at, CHANGE, (SET, index), one) for index, one in self.changes]
        for pool in self.provisioned.pools.values():
            for index, entry in enumerate(pool.provision.schedule):
                at = next_time(entry, pool.scheduled[index])
                if at is not None:
                    events.append(Event(at, CHANGE, (SCHEDULE, pool.name, index), pool))
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
            events.append(Event(row.timestamp, ARRIVAL, (0, row.place), row))
        for request in self.requests:
            order = (0, request.row.place, len(request.attempts))
            # rule: Z27 (dropped at its deadline)
            if request.drop_at is not None:
                events.append(Event(request.drop_at, WAIT, (*order, 0), request))
            # rule: Z28 (the client gives up waiting for an answer)
            if request.client_until is not None:
                events.append(Event(request.client_until, WAIT, (*order, 0), request))
            if request.held_back:
                # rule: F4.2 (adaptive: one client for a function's callers, first come first)
                limiter = self.retries.limiters[request.row.name]
                if limiter.waiting[0] is request:
                    sent = limiter.next(self.log[-1].instant)
                    events.append(Event(sent, RETRY, order, request))
            if request.next_at is not None:
                events.append(Event(request.next_at, RETRY, order, request))
        return events

    def due_runs(self) -> list[Event]:
        """List what is due of the runs in flight."""
        events = []
        for run in self.in_flight:
            order: tuple[Any, ...] = (0, run.row.place, run.attempt)
            if run.batch is not None:
                # rule: E0.6 (sync before sources, by name, shard, first record)
                lane = run.batch.lane
                shard = 0 if lane is None else getattr(lane.shard, "number", lane.number)
                order = (1, run.row.source, shard, run.row.place, run.attempt)
            if run.begin_at is not None:
                events.append(Event(run.begin_at, TIMER, (BEGIN, *order), run))
            # rule: Z28 (after the end of its client's patience: then an answer is too late)
            if run.limit_at is not None:
                events.append(Event(run.limit_at, WAIT, (*order, 1), run))
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
        if isinstance(subject, Step):
            subject.act(now)
        elif event.kind == CHANGE:
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
            self.try_again(subject, now)

    def try_again(self, subject: Request, now: int) -> None:
        """Send what waited to be sent, or retried."""
        if subject.held_back:
            self.marks.hit("F4.2.sent_later")
            limiter = self.retries.limiters[subject.row.name]
            assert limiter.take(now)
            limiter.waiting.remove(subject)
            subject.held_back, subject.limited = False, True
            self.attempt_now(subject, now)
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
        self.leave_unsent(until)
        if until is None:
            return
        unfinished = [
            (one, request)
            for one in self.in_flight
            for request in ([one.request] if one.batch is None else one.request.records or ())
        ]
        for run, request in unfinished:
            if run is request.runs[-1]:
                # rule: Z39 (still running, though it may have answered)
                self.marks.hit("Z39.still_running")
                request.outcome, request.settled = "pending", None
                request.reason = request.limit = request.delivered = None
        for row in self.arrivals:
            # rule: Z39 (later rows: pending, attempts 0)
            self.marks.hit("Z39.later_row")
            self.requests.append(Request(row))

    def leave_unsent(self, until: int | None) -> None:
        """Let records go that a mapping read and, disabled for good, never sends."""
        running = {record for run in self.in_flight for record in run.request.records or ()}
        for owner in self.owners.values():
            if not self.log or owner.since(self.log[-1].instant) is not None:
                continue
            for request in self.requests:
                gone = request.row.timestamp + self.mapping(owner.name).retention
                left = request.row.source == owner.name and request.settled is None
                if left and request not in running and (until is None or gone < until):
                    # rule: E0.1 (retention, whoever has read it)
                    self.settle_record(request, "expired", "RetentionExpired", gone)

    # ---- what an event sets off ------------------------------------------------------------

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
            for owner in self.owners.values():
                owner.changed(now)
        elif which == SCHEDULE:
            index = event.order[2]
            subject.scheduled[index] = now + 1
            size = self.provisioned.scheduled_size(subject, subject.provision.schedule[index])
            if size != subject.requested:
                self.marks.hit("Z25.schedule")
                self.resize(subject, size, now)
        elif which == READY:
            self.marks.hit("Z23.ready")
            subject.pending = None
            self.make_ready(subject, now)
        else:
            wanted = self.provisioned.look(subject, now)
            if wanted is not None:
                self.resize(subject, wanted, now)

    def arrive(self, row: Row, now: int) -> None:
        """Take a row in: a synchronous request is tried at once, an event is queued."""
        if row.name not in self.seen:
            self.seen.add(row.name)
            self.configure(now, at_once=True)
        if row.source in self.owners:
            owner = self.owners[row.source]
            self.requests.append(owner.coming[row])
            owner.arrive(owner.coming[row], now)
            return
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
        """Try to run a request, unless its client holds it back."""
        row = request.row
        request.limited = False
        if row.source == "sync" and self.settings.client_retry(row.name, self.marks).adaptive:
            limiter = self.retries.limiters.setdefault(row.name, RateLimiter(now, self.marks))
            if limiter.waiting or not limiter.take(now):
                limiter.waiting.append(request)
                request.held_back = True
                return
            request.limited = True
        self.attempt_now(request, now)

    def attempt_now(self, request: Request, now: int) -> None:
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
        self.calls.append(attempt)
        if isinstance(place, Refusal):
            self.mark_refusal(row, place.limit, now)
            attempt.limit, attempt.reason = place
            self.retries.refused(request, attempt, self.settings, now)
            return
        attempt.run = self.start(request, attempt.number, place, now)
        self.retries.started(request, attempt.run, self.settings, now)
