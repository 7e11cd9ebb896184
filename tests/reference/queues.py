"""Amazon SQS: standard and FIFO queues, and the pollers that serve them.

Owns visibility, receive counts, redrive, the number of pollers, gathering, and retries of refused
batches within their lease.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from reference.entities import Request, Run
from reference.lanes import ENVELOPE, PAYLOAD, Lanes, encoded
from reference.order import ARRIVAL, BATCH, EXPIRY, RETRY
from reference.source_settings import PER_POLLER, SQS_CAP
from reference.sources import Batch, Sources, Step
from reference.trace import Row

SECOND = 1_000_000
MINUTE = 60 * SECOND
CALL = 10  # rule: E5.2 (messages of one receive)
FIRST = 5  # rule: E5.1
LOW = 2  # rule: E5.1, E5.4
GROWTH = Fraction(5)  # rule: E5.1 (300 a minute)
IDLE = 60 * SECOND  # rule: P16
LONG_IDLE = 900 * SECOND  # rule: P16
ERRORS = 60 * SECOND  # rule: P18


@dataclass(eq=False)
class Message:
    """A message that is in the queue: visible where it has no lease."""

    record: Request
    since: int
    receives: int = 0
    lease_end: int | None = None

    @property
    def row(self) -> Row:
        """Return its row."""
        return self.record.row


class Queue(Lanes):
    """A queue with its mapping."""

    def __init__(self, name: str, model: Sources, rows: list[Row], start: int) -> None:
        super().__init__(name, model)
        self.fifo = self.source.type == "sqs_fifo"
        self.messages: list[Message] = []
        self.of: dict[Request, Message] = {}
        self.busy_slots: list[Batch] = []
        self.gathering: Batch | None = None
        self.window_end: int | None = None
        # rule: E0.6.14 (windows of free slots, by their ends)
        self.windows: list[int] = []
        # How many slots look for messages at once, since they were free a moment ago.
        self.eager = (start, 0)
        # Groups that a receive would find, and since when it would.
        self.groups: dict[str | None, int] = {}
        self.started = start
        self.size: Fraction | None = None
        self.growing = 0
        self.counted_to = start
        self.empty_since: int | None = None
        self.ended: list[tuple[int, bool]] = []
        self.coming = {row: Request(row) for row in rows}
        self.changed(start)

    # ---- settings of the moment ------------------------------------------------------------

    def changed(self, now: int) -> None:
        """Follow a change of the configuration."""
        self.switch(now)
        if self.size is not None:
            self.size = min(self.size, Fraction(self.cap))

    @property
    def timeout(self) -> int:
        """Return the function's time-out in leases; off counts as 0."""
        # rule: E0.6.18
        settings = self.model.settings
        return settings.timeout_us(self.source.function, self.marks) or 0

    @property
    def visibility(self) -> int:
        """Return how long a receive hides a message."""
        # rule: E5.2 (if W > 0 and W + timeout > VT: W + timeout + 30 s)
        source = self.source
        if source.window and source.window + self.timeout > source.visibility:
            self.marks.hit("E5.2.effective_visibility")
            return source.window + self.timeout + 30 * SECOND
        return source.visibility

    # ---- slots -----------------------------------------------------------------------------

    @property
    def cap(self) -> int:
        """Return the most slots."""
        source = self.source
        if source.provisioned:
            return PER_POLLER * source.provisioned[1]
        # rule: E5.1
        return source.maximum_concurrency or SQS_CAP

    @property
    def first(self) -> int:
        """Return the slots to begin with."""
        source = self.source
        if source.provisioned:
            return PER_POLLER * source.provisioned[0]
        return min(self.cap, FIRST)

    def share(self, now: int) -> Fraction:
        """Return which share of the slots errors leave."""
        # rule: E0.6.16, P18 (function errors among the runs that ended in the last 60 s)
        failed = [one for at, one in self.ended if now - ERRORS < at <= now]
        if not self.source.backoff or not any(failed):
            return Fraction(1)
        p = sum(failed) / len(failed)
        return Fraction(min(1.0, 0.417 * (p / 0.01) ** -0.285))

    def slots(self, now: int) -> int:
        """Return how many slots there are."""
        size, share = self.size or Fraction(self.first), self.share(now)
        if share < 1:
            self.marks.hit("E5.4.fewer")
            # whole slots, of which errors leave a share
            whole = math.floor(size)
            return min(whole, max(LOW, math.floor(whole * share)))
        return math.floor(size)

    def free(self, now: int) -> int:
        """Return how many slots are free."""
        return self.slots(now) - len(self.busy_slots)

    def backlog(self, now: int) -> bool:
        """Tell whether a message waits for a slot."""
        # rule: E0.6.10 (a visible, unlocked message and no free slot)
        blocked = self.free(now) <= 0 and self.gathering is None
        return blocked and self.active(now) and bool(self.visible(now))

    def grown(self, waited: int) -> Fraction:
        """Return the size after so long a backlog."""
        source, size = self.source, self.size or Fraction(self.first)
        if source.provisioned:
            # rule: P23
            return min(Fraction(self.cap), size + source.prov_growth * waited / SECOND)
        if source.ramp == "step60":
            # rule: P15 (+300 each minute)
            steps = (self.growing + waited) // MINUTE - self.growing // MINUTE
            return min(Fraction(self.cap), size + 300 * steps)
        return min(Fraction(self.cap), size + GROWTH * waited / SECOND)

    def advance(self, now: int) -> None:
        """Let time pass: slots grow while there is a backlog."""
        waited = now - self.counted_to
        if waited > 0 and self.size is not None and self.backlog(self.counted_to):
            self.marks.hit("E5.1.growth")
            self.size = self.grown(waited)
            self.growing += waited
        self.counted_to = max(now, self.counted_to)

    def next_slot(self, now: int) -> int | None:
        """Return when a backlog brings the next slot, or errors are forgotten."""
        if not self.backlog(now):
            return None
        instants = [at + ERRORS for at, failed in self.ended if failed and at + ERRORS > now]
        instants += [at + ERRORS for at, failed in self.ended if not failed and at + ERRORS > now]
        source = self.source
        assert self.size is not None
        wanted = math.floor(self.size) + 1
        if wanted <= self.cap:
            if source.ramp == "step60" and not source.provisioned:
                instants.append(now + MINUTE - self.growing % MINUTE)
            else:
                rate = source.prov_growth if source.provisioned else GROWTH
                instants.append(now + math.ceil((wanted - self.size) / rate * SECOND))
        return min(instants, default=None)

    # ---- messages --------------------------------------------------------------------------

    def arrive(self, request: Request, now: int) -> None:
        """Put a message into the queue."""
        if not self.messages:
            self.scale_in(now)
        message = Message(request, now)
        self.messages.append(message)
        self.of[request] = message

    def scale_in(self, now: int) -> None:
        """Have fewer slots after a time without messages."""
        source = self.source
        if self.size is None:
            self.size = Fraction(self.first)
            return
        assert self.empty_since is not None
        idle = now - self.empty_since
        # rule: P16, E0.6.10 (no message visible or leased for 60 s -> 5, 900 s -> 2)
        if not source.scale_in or idle < IDLE:
            return
        self.marks.hit("P16.idle")
        self.size = min(self.size, Fraction(self.first))
        if idle >= LONG_IDLE and not source.provisioned and source.maximum_concurrency is None:
            self.marks.hit("P16.long_idle")
            self.size = Fraction(LOW)
        self.growing = 0

    def group(self, message: Message) -> str | None:
        """Return what must keep its order."""
        return message.row.key

    def visible(self, now: int) -> list[Message]:
        """Return the messages that a receive may give, in its order."""
        # rule: P19 (oldest first, ties by position)
        seen = [one for one in self.messages if one.lease_end is None]
        if not self.fifo:
            return seen
        # rule: E0.3 (a group is locked while any of its messages is leased)
        locked = {self.group(one) for one in self.messages if one.lease_end is not None}
        seen = [one for one in seen if self.group(one) not in locked]
        # rule: E0.6.13 (the group of the oldest message, then the next such group)
        groups = list(dict.fromkeys(self.group(one) for one in seen))
        return [one for group in groups for one in seen if self.group(one) == group]

    def remove(self, message: Message, now: int) -> None:
        """Take a message out of the queue for good."""
        self.messages.remove(message)
        if not self.messages:
            self.empty_since = now

    def end_lease(self, message: Message, now: int) -> None:
        """Let a message come back."""
        message.lease_end = None
        if self.expired(message.record, now):
            # rule: E0.6.12 (retention acts at the end of a lease)
            self.marks.hit("E0.6.12.end_of_lease")
            self.lose(message, now)
            return
        self.marks.hit("E0.2.returned")
        message.since = now

    def lose(self, message: Message, now: int) -> None:
        """Let a message go whose time is over."""
        if message.lease_end is None and message in self.messages:
            self.marks.hit("E0.6.12.retention")
            self.expire(message.record, now)
            self.remove(message, now)

    # ---- receiving -------------------------------------------------------------------------

    def receive(self, now: int) -> None:
        """Let a slot receive what there is."""
        self.look_again(now, -1)
        source, batch = self.source, self.gathering
        if not self.active(now) or (batch is None and self.free(now) <= 0):
            return
        window_end = None
        if batch is None:
            batch = Batch(self, [])
            if source.window and self.windows:
                # rule: E0.6.14 (the free slot whose window is open and ends first)
                self.marks.hit("E0.6.14.open_window")
                window_end = self.windows.pop(0)
        more = True
        while more:
            more = self.call(batch, now) and bool(source.window)
        if not batch.records:
            # Filtered, or moved away: the slot is as it was, and looks again.
            if window_end is not None:
                self.windows.insert(0, window_end)
            if self.visible(now):
                self.look_again(now, 1)
            return
        if batch not in self.busy_slots:
            self.busy_slots.append(batch)
        if batch is not self.gathering:
            self.gathering = batch
            self.window_end = now + source.window if window_end is None else window_end
        if len(batch.records) == source.batch_size or not source.window:
            self.gathered(now)
        elif self.blocked(batch, now):
            self.marks.hit("E2.payload")
            self.gathered(now)

    def blocked(self, batch: Batch, now: int) -> bool:
        """Tell whether the next message does not fit into a batch."""
        seen = self.visible(now)
        return bool(seen) and self.payload(batch, seen[0]) > PAYLOAD

    def payload(self, batch: Batch, message: Message) -> int:
        """Return the payload of a batch with one more message."""
        records = [*batch.records, message.record]
        return ENVELOPE + sum(encoded(self.source, one) for one in records)

    def call(self, batch: Batch, now: int) -> bool:
        """Receive once; tell whether another call would give more."""
        source, received = self.source, 0
        most = min(CALL, source.batch_size - len(batch.records))
        for message in self.visible(now):
            if received == most:
                break
            if batch.records and self.payload(batch, message) > PAYLOAD:
                return False
            if source.max_receives is not None and message.receives >= source.max_receives:
                # rule: E5.2 (at the receive after the last allowed one)
                self.marks.hit("E5.2.dead_letter")
                self.model.settle_record(
                    message.record, "discarded", "MaxReceiveCountExceeded", now
                )
                self.deliveries.append(str(source.dead_letter))
                self.remove(message, now)
                continue
            received += 1
            self.model.show(self, "PolledEventCount", 1, now)
            if message.row.filtered:
                # rule: E0.2, E0.6.11 (counts for the call, not for the batch)
                self.marks.hit("E0.2.filtered")
                self.model.show(self, "FilteredOutEventCount", 1, now)
                self.model.show(self, "DeletedEventCount", 1, now)
                self.model.settle_record(message.record, "filtered", None, now)
                self.remove(message, now)
                continue
            message.receives += 1
            message.lease_end = now + self.visibility
            if not batch.records:
                batch.lease_end = message.lease_end
            batch.records.append(message.record)
            batch.receipts.append(message.receives)
        return received > 0 and len(batch.records) < source.batch_size and bool(self.visible(now))

    def gathered(self, now: int) -> None:
        """Send what was gathered."""
        batch, self.gathering, self.window_end = self.gathering, None, None
        assert batch is not None
        # rule: P20 (between the last receive and attempt 0, no concurrency held)
        batch.next_at = batch.first_at = now + self.source.invoke_latency

    # ---- sending ---------------------------------------------------------------------------

    def attempt(self, batch: Batch, now: int) -> None:
        """Send a batch, or give its lease up."""
        batch.next_at = None
        source = self.source
        refused = self.model.send(batch, now)
        if not refused:
            batch.throttles = 0
            return
        batch.throttles += 1
        # rule: E5.3, E0.6.9 (c (2^j - 1) from attempt 0, where it leaves the function its time)
        again = batch.first_at + source.throttle_step * (2**batch.throttles - 1)
        if source.headroom and again + self.timeout <= batch.lease_end:
            self.marks.hit("E5.3.same_lease")
            batch.next_at, batch.again = again, True
            return
        self.marks.hit("E5.3.given_up")
        self.free_slot(batch, now)

    def free_slot(self, batch: Batch, now: int) -> None:
        """Make a slot free; it looks for messages at once."""
        self.busy_slots.remove(batch)
        if self.source.window:
            # rule: E0.6.14 (its window is open from the end of its invocation, or from the
            # instant at which it gave its lease up)
            self.windows.append(now + self.source.window)
            self.windows.sort()
        self.look_again(now, 1)

    def look_again(self, now: int, slots: int) -> None:
        """Have more or fewer slots look for messages at this instant."""
        at, count = self.eager
        self.eager = (now, max(0, (count if at == now else 0) + slots))

    def done(self, batch: Batch, run: Run, now: int) -> None:
        """Delete what a run has settled."""
        source = self.source
        # rule: E0.6.16 (p counts function errors only)
        self.ended.append((now, run.failure is not None))
        kept = batch.records if run.failure else (run.listed if source.report else [])
        if run.listed and not run.failure:
            self.marks.hit("E5.7.partial" if source.report else "E5.7.off")
        self.model.leave_unsettled(batch, kept, len(kept), now)
        for record, receipt in zip(batch.records, batch.receipts, strict=True):
            message = self.of[record]
            if record in kept or message not in self.messages:
                continue
            if message.receives != receipt:
                # rule: E0.6.12 (a delete with the older receipt fails silently)
                self.marks.hit("E0.6.12.old_receipt")
                continue
            self.model.show(self, "DeletedEventCount", 1, now)
            self.model.settle_record(record, "success", None, now)
            self.remove(message, now)
        batch.running = None
        self.free_slot(batch, now)

    # ---- what is due -----------------------------------------------------------------------

    def busy(self) -> bool:
        """Tell whether it has anything left to do."""
        return bool(self.messages or self.busy_slots)

    def due(self, now: int, passed: int) -> list[tuple[int, int, tuple[Any, ...], Step]]:
        """List what will happen."""
        events = []
        for message in self.messages:
            place = message.row.place
            if message.lease_end is not None:
                step = Step(partial(self.end_lease, message))
                events.append(self.step(message.lease_end, EXPIRY, 0, place, step))
            else:
                at = max(now, message.row.timestamp + self.source.retention)
                step = Step(partial(self.lose, message))
                events.append(self.step(at, EXPIRY, 0, place, step))
        for batch in self.busy_slots:
            if batch.next_at is not None:
                kind = RETRY if batch.again else BATCH
                step = Step(partial(self.attempt, batch))
                place = batch.records[0].row.place
                events.append(self.step(batch.next_at, kind, 0, place, step))
        if self.window_end is not None and self.gathering is not None:
            place = self.gathering.records[0].row.place
            at = max(now, self.window_end)
            events.append(self.step(at, BATCH, 0, place, Step(self.gathered)))
        events += [
            self.step(max(now, at), BATCH, 0, -1, Step(self.close_windows)) for at in self.windows
        ]
        at_receive = self.receive_at(now)
        if at_receive is not None:
            events.append(self.step(at_receive, ARRIVAL, 0, -1, Step(self.receive)))
        slot = self.next_slot(now)
        if slot is not None:
            events.append(self.step(slot, ARRIVAL, 0, -1, Step(self.grow)))
        return events

    def grow(self, now: int) -> None:
        """Let new slots look for messages at once."""
        self.look_again(now, max(0, self.free(now)))

    def close_windows(self, now: int) -> None:
        """Make slots idle whose window has ended empty."""
        self.windows = [at for at in self.windows if at > now]

    def receive_at(self, now: int) -> int | None:
        """Return when a slot receives, if one will."""
        since = self.since(now)
        seen = self.visible(now)
        waiting = dict.fromkeys(self.group(one) for one in seen) if self.fifo else {}
        self.groups = {group: self.groups.get(group, now) for group in waiting}
        if since is None or not seen:
            return None
        if self.gathering is not None:
            return since
        if self.free(now) <= 0:
            return None
        at, eager = self.eager
        if (at == now and eager) or self.windows:
            return since
        if since == self.active_from != self.started:
            # rule: E0.6.15 (no idle slot has waited: all begin at this instant)
            return since
        # rule: P20 (only where an idle slot waits for a message, sent or returned, or for a group
        # that is unlocked)
        if self.fifo:
            oldest = min(self.groups[self.group(one)] for one in seen)
        else:
            oldest = min(one.since for one in seen)
        return max(since, oldest + self.source.poll_latency)
