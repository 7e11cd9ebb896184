"""What the model moves about: environments, requests, their attempts and runs.

Owns the data, no rules. Instants and durations are microseconds.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from reference.trace import Row


@dataclass(eq=False)
class Environment:
    """An execution environment: of one pool, with at most one run at a time.

    ``idle_since``, ``idle_order`` and ``expires`` are null while it is busy. ``idle_order`` counts
    the releases of the whole replay, so it says which of two became idle first at one instant.
    ``obsolete``: the configuration it was made for has changed. ``needs_init``: it was reset.
    """

    number: int
    pool: str
    created: int
    retires: int | None
    provisioned: bool = False
    idle_since: int | None = None
    idle_order: int | None = None
    expires: int | None = None
    needs_init: bool = False
    obsolete: bool = False
    removed: int | None = None
    cause: str | None = None


@dataclass(eq=False)
class Run:
    """One invocation: its environment is taken from ``start`` to ``released``.

    Attributes
    ----------
    init
        The init that was paid: 0 where it was warm, aborted or hidden.
    init_billed
        The part of the init that is billed.
    suppressed
        An init inside the invocation, part of its Duration.
    begin
        When the handler may begin; null where the suppressed init runs into the time-out.
    try_begin
        When the handler really began (lock) or began last (optimistic); null while it waits.
    begin_at, limit_at, answer_at, end_at
        What is due next: the begin, the end of waiting for a lock, answer and release.
    cut
        The time-out comes before the answer.
    overrun
        The time-out comes between answer and release.
    failure
        The reason of an error of the handler; null where it answered well.
    keys
        The records of shared state it touches, ascending, each with whether it writes.
    held
        How many of its keys it holds; where it waits, it waits for the next one.
    versions
        The versions of its keys when it began last.
    sample
        Busy / READY of the provisioned pool that serves it, or from which it spilled over, right
        after its start.
    batch
        What an event source sent, where the run is of one.
    listed
        The records that its partial response names.
    """

    request: "Request"
    attempt: int
    environment: Environment
    start: int
    cold: bool
    provisioned: bool
    spillover: str | None
    duration: int
    extension: int
    timeout: int | None
    error: str | None
    memory_mb: int
    architecture: str
    ephemeral_mb: int
    free_tier: bool
    init: int = 0
    init_billed: int = 0
    suppressed: int = 0
    begin: int | None = None
    try_begin: int | None = None
    begin_at: int | None = None
    limit_at: int | None = None
    answer_at: int | None = None
    end_at: int | None = None
    keys: tuple[tuple[str, bool], ...] = ()
    held: int = 0
    versions: tuple[int, ...] = ()
    conflicts: int = 0
    gave_up: bool = False
    cut: bool = False
    overrun: bool = False
    failure: str | None = None
    answered: int | None = None
    released: int | None = None
    lock_wait: int = 0
    reported: int = 0
    billed_us: int = 0
    sample: Fraction | None = None
    batch: Any = None
    listed: list["Request"] = field(default_factory=list)

    @property
    def row(self) -> Row:
        """Return the row whose run it is."""
        return self.request.row

    @property
    def failed(self) -> bool:
        """Tell whether it counts as an error."""
        return self.failure is not None or self.overrun


@dataclass(eq=False)
class Attempt:
    """A try of a request: with a run, or refused for a reason.

    ``whole`` is the try of the batch whose record's try this is. ``unsettled``: the run went on
    without settling the record.
    """

    request: "Request"
    number: int
    instant: int
    run: Run | None = None
    limit: str | None = None
    reason: str | None = None
    whole: "Attempt | None" = None
    unsettled: bool = False

    @property
    def row(self) -> Row:
        """Return the row whose attempt it is."""
        return self.request.row

    @property
    def outcome(self) -> str | None:
        """Return how it ended; null while its run goes on."""
        if self.run is None:
            return "throttled"
        if self.run.released is None:
            return None
        # rule: Z13 (the extension cut: error)
        return "error" if self.run.failed or self.unsettled else "success"


@dataclass(eq=False)
class Request:
    """A row on its way through the model.

    Attributes
    ----------
    next_at
        When it is tried again.
    drop_at
        When its age drops it, no try coming before.
    client_waits
        The run whose answer a synchronous caller still waits for, and until when.
    held_back
        Whether its client keeps it until there is a token.
    limited
        Whether its last try went through the rate limiter of its client.
    throttles_in_row, failed_runs
        What the waits of an asynchronous event depend on.
    delivered
        The name under which it was delivered after it failed.
    records
        The records of a batch, where it stands for one.
    """

    row: Row
    attempts: list[Attempt] = field(default_factory=list)
    next_at: int | None = None
    drop_at: int | None = None
    client_waits: Run | None = None
    client_until: int | None = None
    held_back: bool = False
    limited: bool = False
    throttles_in_row: int = 0
    failed_runs: int = 0
    outcome: str = "pending"
    reason: str | None = None
    limit: str | None = None
    settled: int | None = None
    delivered: str | None = None
    records: "list[Request] | None" = None

    @property
    def runs(self) -> list[Run]:
        """Return its runs, in order of their start."""
        return [attempt.run for attempt in self.attempts if attempt.run is not None]
