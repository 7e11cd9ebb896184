"""Kinesis and DynamoDB Streams: shards that are polled, lanes that keep the order of keys.

Owns shards (which there are, when they open and end), reading, and what a lane takes next.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from reference.entities import Request
from reference.lanes import ENVELOPE, PAYLOAD, Lane, Lanes, encoded
from reference.order import ARRIVAL, BATCH, EXPIRY, RETRY
from reference.source_settings import POLL_S, READ
from reference.sources import Sources, Step
from reference.trace import Row
from reference.units import seconds_to_us

HASHES = 2**128


def unmarked(_mark: str) -> None:
    """Count nothing: somebody only looks."""


def hash_of(key: str | None) -> int:
    """Return the place of a key among all hash keys; null is one key."""
    # rule: E0.6.7 (MD5 as a 128-bit number)
    return int.from_bytes(hashlib.md5((key or "").encode(), usedforsecurity=False).digest())


@dataclass(eq=False)
class Shard:
    """A shard: its range of hash keys, its times, what is unread, its lanes."""

    number: int
    low: int
    high: int
    begins: int | None = None
    ends: int | None = None
    parents: list["Shard"] = field(default_factory=list)
    opened: int | None = None
    unread: list[Request] = field(default_factory=list)
    skipped: list[Request] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    last_poll: int | None = None
    last_settled: int | None = None
    buffered: list[Request] = field(default_factory=list)


class Stream(Lanes):
    """A stream with its mapping."""

    def __init__(self, name: str, model: Sources, rows: list[Row], start: int) -> None:
        super().__init__(name, model)
        source = self.source
        self.shards = make_shards(source.shards)
        for one in source.reshard:
            self.reshard(one.shards, one.at)
        for shard in self.shards:
            shard.lanes = [Lane(shard, number) for number in range(source.lanes)]
        # What will arrive: the shards hold it from now on, but nobody reads it before its time.
        self.coming = {row: Request(row) for row in rows}
        for row, request in self.coming.items():
            shard = self.shard_of(row)
            # rule: E0.6.1 (LATEST takes arrivals >= start)
            late = source.position_at is None or row.timestamp >= source.position_at
            (shard.unread if late else shard.skipped).append(request)
        self.changed(start)

    def changed(self, now: int) -> None:
        """Follow a change of the configuration."""
        self.switch(now)
        if not self.source.enabled:
            for shard in self.shards:
                late = shard.opened is not None and shard.opened > now
                if late or now <= self.model.start_at:
                    shard.opened = None

    def arrive(self, request: Request, now: int) -> None:
        """Take a record in: it is there already."""

    # ---- shards ----------------------------------------------------------------------------

    def reshard(self, numbers: tuple[int, ...], at: int) -> None:
        """End shards and begin their children, numbered on."""
        parents = [self.shards[number] for number in numbers]
        if any(shard.ends is not None for shard in parents):
            message = f"shard {numbers} has ended before"
            raise ValueError(message)
        for shard in parents:
            shard.ends = at
        low, high = min(one.low for one in parents), max(one.high for one in parents)
        if len(parents) == 1:
            # rule: E4.11 (in the middle, the lower half numbered first)
            self.marks.hit("E4.11.split")
            middle = (low + high) // 2
            ranges = [(low, middle), (middle, high)]
        else:
            if sum(one.high - one.low for one in parents) != high - low:
                message = f"shards {numbers} are not neighbours"
                raise ValueError(message)
            self.marks.hit("E4.11.merge")
            ranges = [(low, high)]
        for range_low, range_high in ranges:
            child = Shard(len(self.shards), range_low, range_high, begins=at, parents=parents)
            self.shards.append(child)

    def shard_of(self, row: Row) -> Shard:
        """Return the shard that a record arrives in."""
        if row.shard is not None:
            self.marks.hit("E0.6.7.shard_of_trace")
            shard = self.shards[row.shard]
            if not is_there(shard, row.timestamp):
                message = f"shard {row.shard} of {self.name} is not there at {row.timestamp}"
                raise ValueError(message)
            return shard
        place = hash_of(row.key)
        (shard,) = (
            one
            for one in self.shards
            if one.low <= place < one.high and is_there(one, row.timestamp)
        )
        return shard

    def drained(self, shard: Shard, now: int) -> int | None:
        """Return when the last record of an ended shard was settled; null while there are any."""
        # rule: E4.11 (a shard that ended before its own parents were drained opens first)
        opened = self.opened(shard, now)
        if opened is None or shard.ends is None or shard.unread or shard.buffered:
            return None
        if any(lane.cur or lane.window is not None for lane in shard.lanes):
            return None
        return max(opened, shard.ends, shard.last_settled or shard.ends)

    def opened(self, shard: Shard, now: int) -> int | None:
        """Return when a shard is or will be open; null while that is not known."""
        if shard.opened is None:
            since = self.since(now)
            drains = [self.drained(parent, now) for parent in shard.parents]
            if since is None or None in drains:
                return None
            # rule: E4.11 (after all parents have drained; both for a merge)
            delayed = [one + self.source.child_delay for one in drains if one is not None]
            shard.opened = max([since, *delayed])
            for lane in shard.lanes:
                # rule: E0.6.3 (last_done starts as open(s))
                lane.last_done = shard.opened
        return shard.opened

    # ---- reading ---------------------------------------------------------------------------

    def read_next(self, shard: Shard, now: int, passed: int) -> int | None:
        """Return when a shard is read next, if there will be anything to read."""
        opened, since, source = self.opened(shard, now), self.since(now), self.source
        full = len(shard.buffered) >= source.lookahead
        if opened is None or since is None or not shard.unread or full:
            return None
        earliest = max(since, opened, shard.unread[0].row.timestamp + source.prop)
        if source.fan_out:
            # rule: E0.1 (pushed at arrival + 0.07)
            return earliest
        if shard.last_poll is not None:
            earliest = max(earliest, shard.last_poll + 1)
        if earliest == now and passed > ARRIVAL:
            earliest += 1
        # rule: E0.6.2 (polled at open + phase + k P whatever happens between)
        base = opened + source.phase
        period = seconds_to_us(POLL_S[source.type])
        return base + max(0, -(-(earliest - base) // period)) * period

    def poll(self, shard: Shard, now: int) -> None:
        """Read a shard at its time."""
        shard.last_poll = now
        self.read(shard, now)

    def read(self, shard: Shard, now: int) -> None:
        """Read what has arrived, as much as one read gives."""
        source = self.source
        opened = self.opened(shard, now)
        if not self.active(now) or opened is None or opened > now:
            return
        if len(shard.buffered) >= source.lookahead:
            self.marks.hit("P9.full")
            return
        most, bytes_left = READ[source.type]
        fetched = 0
        while shard.unread and fetched < most:
            record = shard.unread[0]
            if record.row.timestamp + source.prop > now:
                break
            if fetched and record.row.payload_bytes > bytes_left:
                self.marks.hit("E3.bytes_of_a_read")
                break
            fetched += 1
            bytes_left -= record.row.payload_bytes
            shard.unread.pop(0)
            self.read_at[record] = now
            self.model.show(self, "PolledEventCount", 1, now)
            if record.row.filtered:
                # rule: E0.1 (filter miss: terminal)
                self.marks.hit("E0.1.filtered")
                self.model.show(self, "FilteredOutEventCount", 1, now)
                self.model.settle_record(record, "filtered", None, now)
                shard.last_settled = now
            else:
                shard.buffered.append(record)
                lane = hash_of(record.row.key) % source.lanes
                if lane:
                    self.marks.hit("E4.2.other_lane")
                shard.lanes[lane].queue.append(record)

    def lose(self, shard: Shard, now: int) -> None:
        """Let unread records go whose time is over."""
        for records in (shard.unread, shard.skipped):
            while records and self.expired(records[0], now):
                self.marks.hit("E0.1.expired_unread")
                self.expire(records.pop(0), now)
                shard.last_settled = now

    # ---- lanes -----------------------------------------------------------------------------

    def fitting(self, lane: Lane, hit: Callable[[str], None] = unmarked) -> tuple[int, bool]:
        """Return how many records the next batch would have, and whether it waits for no more."""
        source = self.source
        size = ENVELOPE
        for count, record in enumerate(lane.queue):
            size += encoded(source, record)
            if count == source.batch_size:
                return count, True
            if count and size > PAYLOAD:
                hit("E2.payload")
                return count, True
            if source.tumbling and self.window_of(record) != self.window_of(lane.queue[0]):
                hit("E4.10.boundary")
                return count, True
        # at its limit it waits for no more
        full = len(lane.queue) == source.batch_size or size > PAYLOAD
        return len(lane.queue), full

    def final_at(self, lane: Lane, now: int) -> int | None:
        """Return when the final call of a lane's window is due, but for the gap."""
        if lane.window is None:
            return None
        if lane.queue:
            later = self.window_of(lane.queue[0]) != lane.window
            if later:
                self.marks.hit("E4.10.later_record")
            return now if later else None
        source = self.source
        limits = [(lane.window + 1) * source.tumbling + source.idle_final]
        ends = lane.shard.ends
        if ends is not None and not lane.shard.unread:
            limits.append(ends)
        return max(now, min(limits))

    def ready(self, lane: Lane, now: int) -> int | None:
        """Return when a lane's next batch starts, after the gap."""
        source = self.source
        earliest = lane.last_done + source.gap
        if lane.todo:
            return earliest
        final = self.final_at(lane, now)
        if final is not None:
            return max(earliest, final)
        if not lane.queue:
            return None
        _, full = self.fitting(lane)
        if full or not source.window:
            return earliest
        since = self.read_at[lane.queue[0]]
        if source.first_record:
            self.marks.hit("P10.first_record")
            return max(earliest, since + source.window)
        # rule: E2, E0.6.3 (from last_done on, re-armed at expiry when empty)
        windows = max(1, -(-(since - lane.last_done) // source.window))
        if windows > 1:
            self.marks.hit("P10.rearmed")
        return max(earliest, lane.last_done + windows * source.window)

    def take(self, lane: Lane) -> list[Request]:
        """Take the records of the next batch; none for the final call of a window."""
        if lane.window is not None and (
            not lane.queue or self.window_of(lane.queue[0]) != lane.window
        ):
            self.marks.hit("E4.10.final")
            return []
        count, _ = self.fitting(lane, self.marks.hit)
        taken, lane.queue = lane.queue[:count], lane.queue[count:]
        return taken

    def after_run(self, lane: Lane, now: int) -> None:
        """Read again at the end of a run."""
        # rule: E0.6.2 (reads at the end of a run move no poll)
        self.tidy(lane.shard, now)
        self.read(lane.shard, now)

    def tidy(self, shard: Shard, now: int) -> None:
        """Forget the records that are settled."""
        left = [one for one in shard.buffered if one.settled is None]
        if len(left) < len(shard.buffered):
            shard.buffered, shard.last_settled = left, now

    def finish(self, lane: Lane, now: int) -> None:
        """Go on after the last record of a batch is settled."""
        super().finish(lane, now)
        self.tidy(lane.shard, now)
        lane.shard.last_settled = now

    def pass_deadline(self, lane: Lane, now: int) -> None:
        """Trim a batch in its back-off."""
        super().pass_deadline(lane, now)
        self.tidy(lane.shard, now)

    # ---- what is due -----------------------------------------------------------------------

    def busy(self) -> bool:
        """Tell whether it has anything left to do."""
        return any(
            shard.unread
            or shard.skipped
            or shard.buffered
            or any(lane.cur or lane.window is not None for lane in shard.lanes)
            for shard in self.shards
        )

    def due(self, now: int, passed: int) -> list[tuple[int, int, tuple[Any, ...], Step]]:
        """List what will happen."""
        events = []
        since = self.since(now)
        for shard in self.shards:
            number = shard.number
            for records in (shard.unread, shard.skipped):
                if records:
                    at = max(now, records[0].row.timestamp + self.source.retention)
                    step = Step(partial(self.lose, shard))
                    events.append(self.step(at, EXPIRY, number, -1, step))
            reads = self.read_next(shard, now, passed)
            if reads is not None:
                events.append(
                    self.step(reads, ARRIVAL, number, -1, Step(partial(self.poll, shard)))
                )
            for lane in shard.lanes:
                at_deadline = self.deadline(lane, now)
                if at_deadline is not None:
                    step = Step(partial(self.pass_deadline, lane))
                    events.append(self.step(at_deadline, EXPIRY, number, self.place(lane), step))
                if since is None:
                    continue
                start = self.start_at(lane, now)
                if start is not None:
                    at, kind = max(start[0], since, now), start[1]
                    step = Step(partial(self.begin, lane))
                    events.append(self.step(at, kind, number, self.place(lane), step))
        return events

    def place(self, lane: Lane) -> int:
        """Return the place in the trace of the first record that a lane sends next."""
        if lane.cur and lane.cur.records:
            return lane.cur.records[0].row.place
        if lane.todo:
            return lane.todo[-1][0].row.place
        if lane.window is not None and lane.window_last is not None:
            return lane.window_last.row.place
        return lane.queue[0].row.place if lane.queue else -1

    def start_at(self, lane: Lane, now: int) -> tuple[int, int] | None:
        """Return when a lane starts something, and of which kind that is."""
        batch = lane.cur
        if batch and batch.running:
            return None
        if batch and batch.again:
            assert batch.next_at is not None
            return batch.next_at, RETRY
        if self.source.shard_blocks and any(
            other.cur and other.cur.again for other in lane.shard.lanes if other is not lane
        ):
            # rule: P8, E4.3 (a failing lane stops its sisters until its batch is settled)
            if lane.queue:
                self.marks.hit("P8.shard")
            return None
        if batch:
            assert batch.next_at is not None
            return batch.next_at, BATCH
        at = self.ready(lane, now)
        return None if at is None else (at, BATCH)


def is_there(shard: Shard, at: int) -> bool:
    """Tell whether records arrive in a shard at an instant."""
    # rule: E0.6 (a configuration change comes before everything else at its instant)
    return (shard.begins is None or shard.begins <= at) and (shard.ends is None or at < shard.ends)


def make_shards(count: int) -> list[Shard]:
    """Return the shards a stream begins with, in even ranges."""
    # rule: E0.6.7 (floor(h shards / 2^128))
    bounds = [-(-number * HASHES // count) for number in range(count + 1)]
    return [Shard(number, bounds[number], bounds[number + 1]) for number in range(count)]
