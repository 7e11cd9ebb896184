"""What callers and the asynchronous queue do about refusals, errors and missing answers.

Owns when a request is tried again, when it is given up, and what its outcome is.
"""

import math

from reference.entities import Attempt, Request, Run
from reference.limiter import RateLimiter
from reference.marks import Marks
from reference.philox import between
from reference.settings import ClientRetry, Settings

SECOND = 1_000_000
LONGEST_THROTTLE_WAIT_S = 300  # rule: F5.4
FIRST_ERROR_WAIT_S = 60  # rule: F5.3
RETRY_COST = 5  # rule: F4.2 (tokens of a retry quota)


class Retries:
    """The outside world of one account."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        #: By function: its callers' client, where that limits its own rate.
        self.limiters: dict[str, RateLimiter] = {}

    def heard(self, request: Request, now: int, *, throttled: bool) -> None:
        """Let a client that limits its own rate hear of a request of its own."""
        if request.limited:
            self.limiters[request.row.name].answered(now, throttled=throttled)

    # ---- what happened ---------------------------------------------------------------------

    def started(self, request: Request, run: Run, settings: Settings, now: int) -> None:
        """Note that a run of a request has begun."""
        # rule: Q20 (the counter starts anew after any run)
        request.throttles_in_row = 0
        if request.row.source == "sync":
            request.client_waits = run
            patience = settings.client_retry(request.row.name, self.marks).read_timeout_us
            if patience is not None:
                request.client_until = now + patience

    def refused(self, request: Request, attempt: Attempt, settings: Settings, now: int) -> None:
        """Do something about a 429."""
        if request.row.source == "sync":
            self.heard(request, now, throttled=True)
            wait = self.client_wait(request, settings)
            if wait is None:
                self.settle(request, "throttled", attempt.reason, attempt.limit, now)
            else:
                self.marks.hit("Z28.client_retries")
                request.next_at = now + wait
            return
        # rule: F5.4 (min(300, 2^k) s, k counts throttles since the last run)
        seconds = min(LONGEST_THROTTLE_WAIT_S, 2**request.throttles_in_row)
        self.marks.hit("F5.4.cap" if seconds == LONGEST_THROTTLE_WAIT_S else "F5.4.throttle_wait")
        request.throttles_in_row += 1
        self.wait(request, seconds * SECOND, settings, now, attempt.limit)

    def answered(self, request: Request, run: Run, settings: Settings, now: int) -> None:
        """Do something about the answer of a run."""
        if request.row.source == "sync":
            # rule: Z28 (the outcome is that of the first answer in time)
            if request.client_waits is not run:
                self.marks.hit("Z28.answer_too_late")
                return
            request.client_waits = request.client_until = None
            self.heard(request, now, throttled=False)
            outcome = "error" if run.failure else "success"
            self.settle(request, outcome, run.failure, None, now)
            return
        if run.failure is None:
            self.settle(request, "success", None, None, now)
            return
        request.failed_runs += 1
        # rule: Z8 (age and retries are read at each failure), F5.5 (retries before age)
        if request.failed_runs > settings.retry_attempts(request.row.name, self.marks):
            self.marks.hit("F5.5.retries_exhausted")
            self.settle(request, "error", "RetriesExhausted", None, now)
            self.deliver(request, settings)
            return
        # rule: F5.3 (60 s, then 120 s, from the end of the failed run)
        self.marks.hit("F5.3.first" if request.failed_runs == 1 else "F5.3.second")
        seconds = FIRST_ERROR_WAIT_S * 2 ** (request.failed_runs - 1)
        self.wait(request, seconds * SECOND, settings, now, None)

    def unanswered(self, request: Request, settings: Settings, now: int) -> None:
        """Let a client give up waiting for an answer, the run goes on."""
        self.marks.hit("Z28.read_timeout")
        request.client_waits = request.client_until = None
        self.heard(request, now, throttled=False)
        wait = self.client_wait(request, settings)
        if wait is None:
            self.settle(request, "error", "TimedOut", None, now)
        else:
            request.next_at = now + wait

    def reserved_zero(self, request: Request, settings: Settings, now: int) -> None:
        """Give an event up because its function may not run."""
        # rule: F5.6 (no throttle)
        self.marks.hit("F5.6.reserved_zero")
        self.settle(request, "dropped", "ZeroReservedConcurrency", "reserved_zero", now)
        self.deliver(request, settings)

    def expired(self, request: Request, settings: Settings, now: int) -> None:
        """Give an event up that has reached its maximum age."""
        request.drop_at = None
        last = request.attempts[-1]
        self.settle(request, "dropped", "EventAgeExceeded", last.limit, now)
        self.deliver(request, settings)

    # ---- waits -----------------------------------------------------------------------------

    def wait(
        self, request: Request, base: int, settings: Settings, now: int, limit: str | None
    ) -> None:
        """Put an event back into the queue, or give it up for its age."""
        row = request.row
        # rule: Q21 (1 + J, J in +-jitter_half)
        half = math.floor(base * settings.jitter_half + 0.5)
        drawn = between(
            base - half,
            base + half,
            seed=settings.seed,
            purpose="jitter",
            identity=row.identity,
            attempt=len(request.attempts),
            copy=row.copy,
        )
        oldest = settings.event_age_us(row.name, self.marks)
        age = now + drawn - row.timestamp
        if age <= oldest:
            if age == oldest:
                self.marks.hit("F5.5.exactly_maximum_age")
            request.next_at = now + drawn
        elif settings.expiry == "predictive":
            # rule: F5.5 (age + next wait > maximum: dropped at once)
            self.marks.hit("F5.5.predictive")
            self.settle(request, "dropped", "EventAgeExceeded", limit, now)
            self.deliver(request, settings)
        else:
            # rule: Z27 (dropped at timestamp + maximum age)
            self.marks.hit("Z27.deadline")
            request.drop_at = max(now, row.timestamp + oldest)

    def client_wait(self, request: Request, settings: Settings) -> int | None:
        """Return how long a client waits before it tries again; null if it does not."""
        client = settings.client_retry(request.row.name, self.marks)
        tries = len(request.attempts)
        if tries >= client.max_attempts:
            if client.max_attempts > 1:
                self.marks.hit("Z28.attempts_used_up")
            return None
        # rule: Z28 (quota: each row its own client)
        if client.quota is not None and RETRY_COST * tries > client.quota:
            self.marks.hit("Z28.quota_used_up")
            return None
        return self.client_backoff(request, client, settings)

    def client_backoff(self, request: Request, client: ClientRetry, settings: Settings) -> int:
        """Return the back-off after the last try."""
        row, tries = request.row, len(request.attempts)
        # rule: F4.2 (base x 2^(n-1), capped)
        most: int = client.base_us * 2 ** (tries - 1)
        if client.cap_us is not None and most > client.cap_us:
            self.marks.hit("Z28.cap")
            most = client.cap_us
        if client.factor is not None:
            self.marks.hit("Z28.fixed_factor")
            return math.floor(most * client.factor + 0.5)
        return between(
            0,
            most,
            seed=settings.seed,
            purpose="client",
            identity=row.identity,
            attempt=tries,
            copy=row.copy,
        )

    # ---- ends ------------------------------------------------------------------------------

    def settle(
        self, request: Request, outcome: str, reason: str | None, limit: str | None, now: int
    ) -> None:
        """Decide the outcome of a request."""
        request.outcome, request.reason, request.limit = outcome, reason, limit
        request.settled = now

    def deliver(self, request: Request, settings: Settings) -> None:
        """Deliver a failed event to its destination."""
        # rule: Z53 (one per error or dropped async row)
        request.delivered = settings.on_failure(request.row.name, self.marks)
        if request.delivered is not None:
            self.marks.hit("Z53.delivered")
