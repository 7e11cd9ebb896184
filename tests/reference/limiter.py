"""The rate limiter of a client in AWS's retry mode ``adaptive``.

Owns the rate at which one client sends. Rates and tokens are fractions, but measured and set ones
are floored to a millionth, so that none needs a root of its own.
"""

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from reference.marks import Marks

if TYPE_CHECKING:
    from reference.entities import Request

S = 1_000_000
#: rule: F4.2 (never below half a request per second)
LEAST = Fraction(1, 2)
#: rule: F4.2 (measured over parts of half a second)
PART = 500_000


def millionths(rate: Fraction) -> Fraction:
    """Return a rate floored to a millionth of a request per second."""
    return Fraction(math.floor(rate * S), S)


def root_us(cube: Fraction) -> int:
    """Return the cube root of cubic seconds in microseconds, floored."""
    goal = math.floor(cube * S**3)
    root = round(goal ** (1 / 3))
    while root**3 > goal:
        root -= 1
    while (root + 1) ** 3 <= goal:
        root += 1
    return root


class RateLimiter:
    """One client: its bucket, its curve, and the rate that it measures."""

    def __init__(self, now: int, marks: Marks) -> None:
        self.marks = marks
        self.waiting: list[Request] = []
        self.on = False
        self.rate = Fraction(1)
        self.capacity = Fraction(1)
        self.tokens = Fraction(0)
        self.filled = now
        self.top, self.root, self.throttled_at = Fraction(0), 0, now
        self.measured = Fraction(0)
        self.part = now // S * S
        self.count = 0

    def fill(self, now: int) -> None:
        """Let tokens come back at the rate that held until now."""
        self.tokens += Fraction(now - self.filled, S) * self.rate
        self.tokens = min(self.tokens, self.capacity)
        self.filled = now

    def next(self, now: int) -> int:
        """Return when there is a token if the rate stays."""
        self.fill(now)
        if not self.on:
            return now
        return now + max(0, math.ceil((1 - self.tokens) / self.rate * S))

    def take(self, now: int) -> bool:
        """Take a token if there is one; before the first throttle none is needed."""
        if self.next(now) > now:
            self.marks.hit("F4.2.held_back")
            return False
        if self.on:
            self.tokens -= 1
        return True

    def answered(self, now: int, *, throttled: bool) -> None:
        """Set another rate after an answer."""
        self.measure(now)
        if throttled:
            # rule: F4.2 (on throttle rate x 0.7; K = (w_max x 0.3 / 0.4)^(1/3))
            self.marks.hit("F4.2.throttled_again" if self.on else "F4.2.switched_on")
            self.top = min(self.measured, self.rate) if self.on else self.measured
            self.root = root_us(self.top * 3 / 4)
            self.throttled_at, self.on = now, True
            rate = millionths(self.top * 7 / 10)
        else:
            # rule: F4.2 (0.4 x (dt - K)^3 + w_max)
            after = Fraction(now - self.throttled_at - self.root, S)
            rate = millionths(Fraction(4, 10) * after**3) + self.top
        # rule: F4.2 (at most twice the measured rate)
        if self.on and rate > 2 * self.measured:
            self.marks.hit("F4.2.twice_measured")
        rate = min(rate, 2 * self.measured)
        self.fill(now)
        self.rate = max(rate, LEAST)
        self.capacity = max(rate, Fraction(1))
        self.tokens = min(self.tokens, self.capacity)

    def measure(self, now: int) -> None:
        """Count an answer; the rate is smoothed, 0.8 of it the newest."""
        self.count += 1
        part = now // PART * PART
        if part > self.part:
            newest = millionths(Fraction(self.count * S, part - self.part))
            self.measured = millionths((8 * newest + 2 * self.measured) / 10)
            self.count, self.part = 0, part
