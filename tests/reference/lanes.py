"""Batches that are sent one after another, in order, until they are settled: streams and Kafka.

Owns retries, bisecting, partial responses, age and retention of what a lane works on. What a lane
takes next stands in ``streams.py`` and ``kafka.py``.
"""

from dataclasses import dataclass, field
from typing import Any

from reference.entities import Request, Run
from reference.source_settings import Source
from reference.sources import Batch, Sources, Step

# rule: E2, E0.6.8 (the invocation's payload and what an event adds to its record)
PAYLOAD = 6_291_456
ENVELOPE = 14
METADATA = 600


@dataclass(eq=False)
class Lane:
    """One worker: what it will take, what is left of what it took, what it works on."""

    shard: Any
    number: int
    queue: list[Request] = field(default_factory=list)
    todo: list[list[Request]] = field(default_factory=list)
    cur: Batch | None = None
    last_done: int = 0
    window: int | None = None
    window_last: Request | None = None


def encoded(source: Source, record: Request) -> int:
    """Return the size of a record in the payload of an invocation."""
    # rule: E0.6.8
    size = record.row.payload_bytes
    if source.type in ("kinesis", "kafka"):
        return 4 * -(-size // 3) + METADATA + len((record.row.key or "").encode())
    return size + METADATA


class Lanes:
    """A source whose records are processed in order."""

    def __init__(self, name: str, model: Sources) -> None:
        self.name = name
        self.model = model
        self.marks = model.marks
        self.shown: list[tuple[str, int, int]] = []
        self.read_at: dict[Request, int] = {}
        self.deliveries: list[str] = []
        # When the mapping became active, and when it stops being so.
        self.active_from: int | None = None
        self.active_until: int | None = None

    @property
    def source(self) -> Source:
        """Return what holds now."""
        return self.model.mapping(self.name)

    # ---- on and off ------------------------------------------------------------------------

    def active(self, now: int) -> bool:
        """Tell whether the mapping reads and sends."""
        if self.active_from is None or now < self.active_from:
            return False
        return self.active_until is None or now < self.active_until

    def since(self, now: int) -> int | None:
        """Return from when on the mapping is active, now or later; null if it is not."""
        if self.active_from is None:
            return None
        if self.active_until is not None and max(now, self.active_from) >= self.active_until:
            return None
        return max(now, self.active_from)

    def switch(self, now: int) -> None:
        """Follow a change of ``enabled``."""
        source = self.source
        on = self.active_from is not None and self.active_until is None
        if source.enabled and not on:
            # rule: E3 (start_delay)
            begins = max(now, self.model.start_at)
            self.active_from, self.active_until = begins + source.start_delay, None
        elif not source.enabled and on:
            self.marks.hit("E3.disabled")
            if self.has_not_begun(now):
                self.active_from = None
            else:
                self.active_until = now + source.stop_delay

    def has_not_begun(self, now: int) -> bool:
        """Tell whether the mapping was never active, though it was to be."""
        assert self.active_from is not None
        # rule: Z1, E0.6.1 (what changes at the very beginning has never been otherwise)
        return now < self.active_from or now <= self.model.start_at

    # ---- trim ------------------------------------------------------------------------------

    def expired(self, record: Request, now: int) -> bool:
        """Tell whether a record has left its source."""
        # rule: P28 (arrival + retention == t is expired)
        return record.row.timestamp + self.source.retention <= now

    def too_old(self, record: Request, now: int) -> bool:
        """Tell whether a record has reached the maximum age."""
        age = self.source.age
        return age is not None and now - record.row.timestamp >= age

    def trim(self, batch: Batch, now: int, *, ages: bool) -> None:
        """Take away what has expired, then what is too old."""
        while batch.records and self.expired(batch.records[0], now):
            self.marks.hit("E4.9.retention")
            self.expire(batch.records.pop(0), now)
        gone = []
        while batch.records and ages and self.too_old(batch.records[0], now):
            gone.append(batch.records.pop(0))
        if gone:
            self.marks.hit("E4.9.age_never_ran" if not batch.runs else "E4.9.age")
            if batch.records:
                self.marks.hit("E4.9.prefix")
            self.discard(gone, "RecordAgeExceeded", now)

    def expire(self, record: Request, now: int) -> None:
        """Let a record go without a word."""
        self.model.settle_record(record, "expired", "RetentionExpired", now)

    def discard(self, records: list[Request], reason: str, now: int) -> None:
        """Give records up, with one document to the destination."""
        if not records:
            return
        destination = self.source.on_failure
        for record in records:
            self.model.settle_record(record, "discarded", reason, now)
        if destination is None:
            self.model.show(self, "DroppedEventCount", len(records), now)
        else:
            self.marks.hit("E4.9.destination")
            # rule: Z53 (one per row)
            self.deliveries += [destination] * len(records)
            metric = "OnFailureDestinationDeliveredEventCount"
            self.model.show(self, metric, len(records), now)

    def deadline(self, lane: Lane, now: int) -> int | None:
        """Return when something of a batch in its back-off has to go."""
        batch, source = lane.cur, self.source
        if batch is None or batch.running or not batch.again or not batch.records:
            return None
        # rule: E0.6.5 (in a back-off both age and retention act at their very moment)
        first = batch.records[0].row.timestamp
        limits = [first + source.retention]
        if source.age is not None and source.age_at_deadline:
            limits.append(first + source.age)
        return max(now, min(limits))

    def pass_deadline(self, lane: Lane, now: int) -> None:
        """Trim a batch in its back-off."""
        assert lane.cur is not None
        self.marks.hit("E0.6.5.in_backoff")
        # rule: P11 (the age only at the next attempt, where it is so)
        self.trim(lane.cur, now, ages=self.source.age_at_deadline)
        if not lane.cur.records:
            self.finish(lane, now)

    # ---- starts ----------------------------------------------------------------------------

    def backoff(self, exponent: int) -> int:
        """Return a wait before a retry."""
        # rule: E4.4 (0.2 s x 2^j, capped)
        source = self.source
        wait: int = source.retry * 2 ** min(exponent, 60)
        if wait > source.retry_cap:
            self.marks.hit("P4.cap")
        return min(source.retry_cap, wait)

    def begin(self, lane: Lane, now: int) -> None:
        """Send the next batch of a lane."""
        batch = lane.cur
        if batch is None:
            records = lane.todo.pop() if lane.todo else self.take(lane)
            batch = Batch(self, records, lane, window=None if records else lane.window)
            lane.cur = batch
        if batch.records:
            self.trim(batch, now, ages=True)
            if not batch.records:
                # rule: E0.6.4 (last_done, run or not)
                self.marks.hit("E0.6.4.gone_before_run")
                self.finish(lane, now)
                return
        elif batch.runs or batch.throttles:
            # rule: E4.10 (a failing final call: under the same R/AGE)
            assert lane.window_last is not None
            if self.too_old(lane.window_last, now) or self.expired(lane.window_last, now):
                self.marks.hit("E4.10.final_given_up")
                lane.window = None
                self.finish(lane, now)
                return
        source = self.source
        if ENVELOPE + sum(encoded(source, one) for one in batch.records) > PAYLOAD:
            # rule: E4.8 (never reaches the function, counts against R)
            self.marks.hit("E4.8.too_large")
            batch.runs += 1
            self.failed(lane, batch, now)
            return
        if batch.again:
            self.marks.hit("E4.4.retry")
        if self.model.send(batch, now):
            # rule: E0.1 (a throttle leaves the quota untouched)
            batch.throttles += 1
            batch.again = True
            batch.next_at = now + self.backoff(batch.throttles - 1)
            return
        batch.runs += 1
        batch.throttles = 0
        if source.tumbling and batch.records:
            lane.window = self.window_of(batch.records[-1])
            lane.window_last = batch.records[-1]

    def window_of(self, record: Request) -> int:
        """Return the tumbling window of a record, by its number."""
        # rule: E4.10 (by arrival, epoch-aligned)
        return record.row.timestamp // self.source.tumbling

    def take(self, lane: Lane) -> list[Request]:
        """Take the records of the next batch; none for the final call of a window."""
        raise NotImplementedError

    # ---- ends ------------------------------------------------------------------------------

    def done(self, batch: Batch, run: Run, now: int) -> None:
        """Do something about the answer of a run."""
        lane, source = batch.lane, self.source
        if run.failure is not None:
            self.model.leave_unsettled(batch, batch.records, len(batch.records), now)
            batch.running = None
            self.failed(lane, batch, now)
        else:
            listed = run.listed if source.report else []
            if run.listed and not source.report:
                # rule: E4.7 (reporting off: response ignored)
                self.marks.hit("E4.7.off")
            place = min((batch.records.index(one) for one in listed), default=len(batch.records))
            settled, rest = batch.records[:place], batch.records[place:]
            self.model.leave_unsettled(batch, rest, len(listed), now)
            batch.running = None
            for record in settled:
                self.model.settle_record(record, "success", None, now)
            if not rest:
                if batch.window is not None:
                    lane.window = None
                self.finish(lane, now)
            elif place == 0:
                # rule: E4.7 (nothing settled: as a failure)
                self.marks.hit("E4.7.first")
                self.failed(lane, batch, now)
            else:
                # rule: E4.7, E0.6.6 (the rest is a new batch)
                self.marks.hit("E4.7.suffix")
                lane.cur = Batch(self, rest, lane, next_at=now + source.gap)
        self.after_run(lane, now)

    def failed(self, lane: Lane, batch: Batch, now: int) -> None:
        """Do something about a failed run: split, try again, or give up."""
        source = self.source
        if source.bisect and len(batch.records) > 1:
            # rule: E4.6 (at floor(n/2), the left half first; uses no quota)
            self.marks.hit("E4.6.odd" if len(batch.records) % 2 else "E4.6.even")
            middle = len(batch.records) // 2
            lane.todo.append(batch.records[middle:])
            lane.cur = Batch(self, batch.records[:middle], lane, next_at=now + source.gap)
        elif source.retries is not None and batch.runs > source.retries:
            # rule: E4.5 (attempts = R + 1)
            self.marks.hit("E4.5.exhausted")
            if batch.window is not None:
                self.marks.hit("E4.10.final_given_up")
                lane.window = None
            self.discard(batch.records, "RetryAttemptsExhausted", now)
            self.finish(lane, now)
        else:
            batch.again = True
            batch.next_at = now + self.backoff(batch.runs - 1)

    def finish(self, lane: Lane, now: int) -> None:
        """Go on after the last record of a batch is settled."""
        lane.cur = None
        lane.last_done = now

    def after_run(self, lane: Lane, now: int) -> None:
        """Do what follows the end of a run."""

    def advance(self, now: int) -> None:
        """Let time pass."""

    # ---- what is due -----------------------------------------------------------------------

    def step(
        self, instant: int, kind: int, number: int, place: int, step: Step
    ) -> tuple[int, int, tuple[Any, ...], Step]:
        """Return something due."""
        # rule: E0.6 (sync before sources, sources by name, shard, sequence of the first record)
        return instant, kind, (1, self.name, number, place), step
