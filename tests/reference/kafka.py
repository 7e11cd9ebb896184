"""Kafka: partitions in order, pollers that serve several of them.

Owns how many pollers there are and which partitions each serves.
"""

from functools import partial
from typing import Any

from reference.entities import Request
from reference.lanes import ENVELOPE, PAYLOAD, Lane, Lanes, encoded
from reference.order import ARRIVAL, BATCH, EXPIRY, RETRY, TIMER
from reference.sources import Sources, Step
from reference.streams import HASHES, hash_of
from reference.trace import Row

EVALUATION = 60_000_000  # rule: P24
EFFECT = 180_000_000  # rule: P24
PER_UNIT = 10  # rule: E6 (pollers of an event poller unit)


class Kafka(Lanes):
    """A topic with its mapping."""

    def __init__(self, name: str, model: Sources, rows: list[Row], start: int) -> None:
        super().__init__(name, model)
        source = self.source
        self.coming = {row: Request(row) for row in rows}
        self.unread: list[Request] = []
        self.skipped: list[Request] = []
        for row, request in self.coming.items():
            late = source.position_at is None or row.timestamp >= source.position_at
            (self.unread if late else self.skipped).append(request)
        # Records that were read and are in no batch yet, in the order of their arrival.
        self.waiting: list[Request] = []
        self.pollers = source.provisioned[0] if source.provisioned else 1
        self.pollers = min(self.pollers, source.shards)
        self.decided = self.pollers
        # From when on there are how many, for the bill.
        self.over_time = [(start, self.pollers)]
        self.decisions: list[tuple[int, int]] = []
        self.next_look = start + EVALUATION
        self.throttled = False
        self.lanes = [Lane(self, number) for number in range(source.shards)]
        for lane in self.lanes:
            lane.last_done = start + source.start_delay
        self.changed(start)

    def changed(self, now: int) -> None:
        """Follow a change of the configuration."""
        self.switch(now)

    def arrive(self, request: Request, now: int) -> None:
        """Take a record in: it is there already."""

    def partition(self, record: Request) -> int:
        """Return the partition of a record."""
        if record.row.shard is not None:
            if not record.row.shard < self.source.shards:
                message = f"partition {record.row.shard} of {self.name} is not there"
                raise ValueError(message)
            return record.row.shard
        return hash_of(record.row.key) * self.source.shards // HASHES

    # ---- pollers ---------------------------------------------------------------------------

    def look(self, now: int) -> None:
        """Evaluate the lag of all partitions."""
        self.next_look = now + EVALUATION
        source = self.source
        least, most = source.provisioned or (1, source.shards)
        most = min(most, source.shards)
        lag = any(record.row.timestamp <= now for record in self.unread)
        lag = lag or bool(self.waiting) or any(lane.cur or lane.todo for lane in self.lanes)
        # rule: P24 (x2 up, -1 down; throttles reduce pollers)
        wanted = self.decided * 2 if lag and not self.throttled else self.decided - 1
        self.throttled = False
        wanted = max(min(least, most), min(most, wanted))
        if wanted != self.decided:
            self.marks.hit("P24.up" if wanted > self.decided else "P24.down")
            self.decided = wanted
            self.decisions.append((now + EFFECT, wanted))

    def rebalance(self, now: int) -> None:
        """Let a decision take effect."""
        _, self.pollers = self.decisions.pop(0)
        self.over_time.append((now, self.pollers))

    def unit_us(self, end: int) -> int:
        """Return event poller units times time, in microseconds, up to an instant."""
        if not self.source.provisioned:
            return 0
        # rule: E6 (a unit is ten pollers)
        bounds = [*(since for since, _ in self.over_time[1:]), end]
        return sum(
            -(-pollers // PER_UNIT) * max(0, until - since)
            for (since, pollers), until in zip(self.over_time, bounds, strict=True)
        )

    # ---- lanes -----------------------------------------------------------------------------

    def available(self, lane: Lane) -> list[Request]:
        """Return the records that a poller may take."""
        # rule: E0.4 (a partition whose batch is not settled waits)
        taken = {
            self.partition(record)
            for other in self.lanes
            for records in (other.cur.records if other.cur else [], *other.todo)
            for record in records
        }
        return [
            record
            for record in self.waiting
            if self.partition(record) % self.pollers == lane.number
            and self.partition(record) not in taken
        ]

    def fitting(self, records: list[Request]) -> tuple[int, bool]:
        """Return how many records the next batch would have, and whether it waits for no more."""
        source, size = self.source, ENVELOPE
        for count, record in enumerate(records):
            size += encoded(source, record)
            if count == source.batch_size or (count and size > PAYLOAD):
                return count, True
        return len(records), len(records) == source.batch_size or size > PAYLOAD

    def take(self, lane: Lane) -> list[Request]:
        """Take the records of the next batch."""
        records = self.available(lane)
        taken = records[: self.fitting(records)[0]]
        if len({self.partition(record) for record in taken}) > 1:
            self.marks.hit("E0.4.several_partitions")
        self.waiting = [record for record in self.waiting if record not in taken]
        return taken

    def begin(self, lane: Lane, now: int) -> None:
        """Send the next batch of a poller."""
        super().begin(lane, now)
        if lane.cur is not None and lane.cur.throttles:
            self.throttled = True

    def lose(self, records: list[Request], now: int) -> None:
        """Let unread records go whose time is over."""
        while records and self.expired(records[0], now):
            self.marks.hit("E0.1.expired_unread")
            self.expire(records.pop(0), now)

    def read(self, now: int) -> None:
        """Read what has arrived."""
        while self.unread and self.unread[0].row.timestamp + self.source.prop <= now:
            if not self.active(now):
                return
            record = self.unread.pop(0)
            self.read_at[record] = now
            self.model.show(self, "PolledEventCount", 1, now)
            if record.row.filtered:
                self.marks.hit("E0.1.filtered")
                self.model.show(self, "FilteredOutEventCount", 1, now)
                self.model.settle_record(record, "filtered", None, now)
            else:
                self.waiting.append(record)

    # ---- what is due -----------------------------------------------------------------------

    def busy(self) -> bool:
        """Tell whether it has anything left to do."""
        return bool(self.unread or self.skipped or self.waiting) or any(
            lane.cur or lane.todo for lane in self.lanes
        )

    def start_at(self, lane: Lane) -> tuple[int, int, int] | None:
        """Return when a poller starts something, of which kind, and its first record's place."""
        batch, source = lane.cur, self.source
        if batch and batch.running:
            return None
        if batch:
            assert batch.next_at is not None
            place = batch.records[0].row.place
            return batch.next_at, RETRY if batch.again else BATCH, place
        earliest = lane.last_done + source.gap
        if lane.todo:
            return earliest, BATCH, lane.todo[-1][0].row.place
        records = self.available(lane)
        if not records:
            return None
        place = records[0].row.place
        _, full = self.fitting(records)
        if full or not source.window:
            return earliest, BATCH, place
        # rule: E2, E0.4 (the window starts with the first record)
        return max(earliest, self.read_at[records[0]] + source.window), BATCH, place

    def due(self, now: int, passed: int) -> list[tuple[int, int, tuple[Any, ...], Step]]:
        """List what will happen."""
        events = []
        since = self.since(now)
        for records in (self.unread, self.skipped):
            if records:
                at = max(now, records[0].row.timestamp + self.source.retention)
                events.append(self.step(at, EXPIRY, 0, -1, Step(partial(self.lose, records))))
        if since is not None and self.unread:
            at = max(since, self.unread[0].row.timestamp + self.source.prop)
            events.append(self.step(at, ARRIVAL, 0, -1, Step(self.read)))
        if self.busy() and since is not None:
            # looked at by an active mapping only, so one that is disabled for good ends the replay
            look = max(since, self.next_look)
            events.append(self.step(look, TIMER, 0, -2, Step(self.look)))
        if self.decisions:
            events.append(self.step(self.decisions[0][0], TIMER, 0, -1, Step(self.rebalance)))
        for lane in self.lanes:
            at_deadline = self.deadline(lane, now)
            if at_deadline is not None:
                assert lane.cur is not None
                place = lane.cur.records[0].row.place
                step = Step(partial(self.pass_deadline, lane))
                events.append(self.step(at_deadline, EXPIRY, lane.number, place, step))
            start = self.start_at(lane) if since is not None else None
            if start is not None and since is not None:
                at = max(start[0], since, now)
                step = Step(partial(self.begin, lane))
                events.append(self.step(at, start[1], lane.number, start[2], step))
        return events
