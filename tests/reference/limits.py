"""Limits that count over time: request rates and the rate of new environments.

Owns windows and buckets. A refused request changes nothing here: every ``take`` follows a request
that was accepted. Credit is exact.
"""

from collections.abc import Hashable
from fractions import Fraction

from reference.marks import Marks
from reference.settings import Scaling, Settings

SECOND = 1_000_000


class RequestRates:
    """Counts admitted requests by scope: the account, a function, a provisioned pool."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self.counts: dict[tuple[Hashable, int], int] = {}
        self.credits: dict[Hashable, tuple[Fraction, int]] = {}

    def full(
        self, scope: Hashable, per_second: Fraction | None, settings: Settings, now: int
    ) -> bool:
        """Tell whether a scope takes no further request."""
        if per_second is None:
            return False
        if settings.rps_mode == "token_bucket":
            return self.credit(scope, per_second, now) < 1
        # rule: Q4 (a counter per aligned window)
        window = settings.rps_window_us
        most = per_second * window / SECOND
        return self.counts.get((scope, now // window), 0) + 1 > most

    def credit(self, scope: Hashable, per_second: Fraction, now: int) -> Fraction:
        """Return a bucket's tokens."""
        # rule: Z17 (a bucket per scope, capacity = rate = the limit, full at start)
        if scope not in self.credits:
            return per_second
        left, since = self.credits[scope]
        return min(per_second, left + per_second * (now - since) / SECOND)

    def take(
        self, scope: Hashable, per_second: Fraction | None, settings: Settings, now: int
    ) -> None:
        """Count an admitted request."""
        # rule: Q32 (admitted ones only)
        key = (scope, now // settings.rps_window_us)
        self.counts[key] = self.counts.get(key, 0) + 1
        if per_second is not None and settings.rps_mode == "token_bucket":
            self.credits[scope] = (self.credit(scope, per_second, now) - 1, now)


class ScalingRate:
    """Tokens for new environments, a bucket per function or one for the region."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self.taken: dict[str | None, list[int]] = {}
        self.credits: dict[str | None, tuple[Fraction, int]] = {}

    def empty(self, name: str, scaling: Scaling | None, now: int) -> bool:
        """Tell whether a function gets no further environment now."""
        if scaling is None:
            return False
        scope = self.scope(name, scaling)
        taken = self.taken.get(scope, [])
        if scaling.mode == "step":
            # rule: Z18 (clock-aligned windows)
            window = now // scaling.step_us
            return sum(at // scaling.step_us == window for at in taken) >= scaling.capacity
        if scaling.mode == "sliding":
            # rule: Z18 ((t - 10, t])
            return sum(now - scaling.step_us < at for at in taken) >= scaling.capacity
        credit = self.credit(scope, scaling, now)
        if credit < 1 and credit > 0:
            self.marks.hit("Q33.fraction_of_a_token")
        elif credit == 1:
            self.marks.hit("Q33.exactly_one_token")
        return credit < 1

    def credit(self, scope: str | None, scaling: Scaling, now: int) -> Fraction:
        """Return a bucket's tokens."""
        # rule: Q1, Q33 (starts full, refilled continuously, credit kept with the last taking)
        if scope not in self.credits:
            return Fraction(scaling.capacity)
        left, since = self.credits[scope]
        filled = left + scaling.refill_per_s * (now - since) / SECOND
        return min(Fraction(scaling.capacity), filled)

    def take(self, name: str, scaling: Scaling | None, now: int) -> None:
        """Take a token."""
        if scaling is None:
            return
        scope = self.scope(name, scaling)
        self.taken.setdefault(scope, []).append(now)
        self.credits[scope] = (self.credit(scope, scaling, now) - 1, now)

    def scope(self, name: str, scaling: Scaling) -> str | None:
        """Return whose bucket a function draws on; null is the region's."""
        # rule: Z18 (region: all functions draw on one bucket)
        if scaling.scope == "region":
            self.marks.hit("Z18.region")
            return None
        return name
