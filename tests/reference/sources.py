"""What all event sources have in common: batches, how they are sent, what becomes of records.

Owns the way from a batch to an invocation under the rules of ``admission.py`` and ``runs.py``, and
the outcomes of records. When a batch is made and tried stands with the kinds of sources:
``streams.py``, ``queues.py``, ``kafka.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from reference.admission import Refusal
from reference.entities import Attempt, Request, Run
from reference.runs import Runs
from reference.source_settings import Source
from reference.trace import Row


@dataclass(eq=False)
class Batch:
    """Records that are sent together, in order.

    Attributes
    ----------
    owner
        The source that sends it.
    lane
        What of the source it blocks: a lane of a shard, or nothing.
    runs, throttles
        Its runs, and its throttles since the last of them.
    next_at, again
        When it is tried next, and whether that is a retry of the same batch.
    running
        Its run in flight.
    window
        The tumbling window that it ends, where it is a final call without records.
    receipts
        How often each of its messages had been received when it was.
    """

    owner: Any
    records: list[Request]
    lane: Any = None
    runs: int = 0
    throttles: int = 0
    next_at: int | None = None
    again: bool = False
    running: Run | None = None
    window: int | None = None
    first_at: int = 0
    lease_end: int = 0
    receipts: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """Something that a source does at an instant."""

    act: Callable[[int], None]
    row: Row | None = None


class Owner(Protocol):
    """An event source."""

    name: str
    coming: dict[Row, Request]
    shown: list[tuple[str, int, int]]
    deliveries: list[str]

    def arrive(self, request: Request, now: int) -> None:
        """Take a record in."""

    def done(self, batch: Batch, run: Run, now: int) -> None:
        """Do something about the answer of a batch's run."""

    def due(self, now: int, passed: int) -> list[tuple[int, int, tuple[Any, ...], Step]]:
        """List what will happen, as (instant, kind, order, step)."""

    def changed(self, now: int) -> None:
        """Note that the configuration may have changed."""

    def advance(self, now: int) -> None:
        """Let time pass."""

    def since(self, now: int) -> int | None:
        """Return from when on it is active; null if it is not."""

    def busy(self) -> bool:
        """Tell whether it has anything left to do."""


class Sources(Runs):
    """Sends batches, and settles records."""

    owners: dict[str, Owner]
    start_at: int
    calls: list[Attempt]

    def mapping(self, name: str) -> Source:
        """Return what holds for a source now."""
        return self.settings.sources[name]

    def batch_row(self, source: Source, batch: Batch) -> Row:
        """Return the row that stands for a batch: its first record's, with the batch's times."""
        rows = [record.row for record in batch.records]
        first = rows[0] if rows else batch.lane.window_last.row
        lengths = [row.duration for row in rows] or [0]
        # rule: Z13 (at most its row's duration)
        extensions = [min(row.extension, row.duration) for row in rows] or [0]
        combine = max if source.longest else sum
        if len(rows) > 1:
            self.marks.hit("batch.longest" if source.longest else "batch.sum")
        # rule: interface 2 (base_ms + the sum or the maximum of its records' duration_ms)
        return replace(
            first,
            duration=source.base + combine(lengths),
            extension=combine(extensions),
            error=None,
            state_key=None,
        )

    def send(self, batch: Batch, now: int) -> Refusal | None:
        """Try to run a batch; return why it was refused, if it was."""
        source = self.mapping(batch.owner.name)
        # a copy: what is trimmed or split later was sent all the same
        whole = Request(self.batch_row(source, batch), records=list(batch.records))
        template = batch.records[0] if batch.records else batch.lane.window_last
        number = len(template.attempts) + 1
        place = self.admit(whole.row, number, now)
        call = Attempt(whole, number, now)
        whole.attempts.append(call)
        self.calls.append(call)
        own = []
        for record in batch.records:
            own.append(Attempt(record, len(record.attempts) + 1, now, whole=call))
            record.attempts.append(own[-1])
        self.attempts += own
        owner, count = batch.owner, len(batch.records)
        # rule: E9 (records x attempts, throttled attempts included)
        self.show(owner, "InvokedEventCount", count, now)
        if isinstance(place, Refusal):
            self.mark_refusal(whole.row, place.limit, now)
            self.marks.hit("E8.throttled")
            for attempt in (call, *own):
                attempt.limit, attempt.reason = place
            self.show(owner, "FailedInvokeEventCount", count, now)
            return place
        call.run = run = self.start(whole, number, place, now)
        run.batch = batch
        batch.running = run
        for attempt in own:
            attempt.run = run
        return None

    def show(self, owner: Any, metric: str, amount: int, now: int) -> None:
        """Count something under a metric of event sources."""
        if amount:
            owner.shown.append((metric, now, amount))

    def leave_unsettled(self, batch: Batch, records: list[Request], failed: int, now: int) -> None:
        """Note which records the run of a batch has not settled; ``failed`` counts as failed."""
        assert batch.running is not None
        for record in records:
            for attempt in record.attempts:
                if attempt.run is batch.running:
                    attempt.unsettled = True
        # rule: E9 (with partial response only the listed records; stamped at the end)
        self.show(batch.owner, "FailedInvokeEventCount", failed, now)

    def settle_record(self, record: Request, outcome: str, reason: str | None, now: int) -> None:
        """Decide the outcome of a record, once."""
        assert record.settled is None, f"row {record.row.position} was settled before"
        limit = None
        if outcome in ("discarded", "expired") and record.attempts:
            limit = record.attempts[-1].limit
        self.retries.settle(record, outcome, reason, limit, now)
