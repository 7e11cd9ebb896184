"""Runs contestants in turn, as processes of their own, and says what they took.

Owns what a run and a round are; knows nothing of what is compared. It must stay small: Linux starts
a child's peak memory from what its parent held at the fork, so nothing large is imported here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Claim", "Contestant", "Group", "Round", "Sample", "finish", "judge", "rounds", "spread"]


@dataclass(frozen=True)
class Sample:
    """One run of one contestant.

    Attributes
    ----------
    seconds
        What is compared: the wall time of the process, or the part of it that the process timed
        itself.
    wall_s, cpu_s
        Of the whole process, all its threads together.
    peak_mb
        Peak resident memory of the process, 10^6 bytes.
    facts
        What the process reported.
    """

    seconds: float
    wall_s: float
    cpu_s: float
    peak_mb: float
    facts: dict[str, Any]


@dataclass(frozen=True)
class Contestant:
    """A command that is run once per round.

    Attributes
    ----------
    name
        Unique in its group.
    command
        What is run.
    rows
        Rows that it goes through; 0 where speed is not the point.
    clock
        Key of the seconds in the JSON that it prints, where it times itself; else its wall time
        counts and what it prints does not.
    report
        A JSON file that it writes, where its facts are in one.
    check
        Raises if the facts are wrong.
    environment
        Variables besides the harness's own.
    """

    name: str
    command: Sequence[str | Path]
    rows: int = 0
    clock: str | None = None
    report: Path | None = None
    check: Callable[[dict[str, Any]], None] | None = None
    environment: Mapping[str, str] | None = None

    def run(self) -> Sample:
        """Run it once."""
        printed, wall_s, usage = finish(self.command, self.environment)
        facts: dict[str, Any] = {}
        if self.report is not None:
            facts = json.loads(self.report.read_text())
        elif self.clock is not None:
            facts = json.loads(printed)
        if self.check is not None:
            self.check(facts)
        return Sample(
            seconds=wall_s if self.clock is None else float(facts[self.clock]),
            wall_s=wall_s,
            cpu_s=usage.ru_utime + usage.ru_stime,
            peak_mb=usage.ru_maxrss * 1024 / 1e6,
            facts=facts,
        )


#: A sample of each contestant, taken one after the other.
Round = dict[str, Sample]


@dataclass(frozen=True)
class Claim:
    """A figure that the project promises, computed within each round.

    Attributes
    ----------
    label
        What the figure is.
    figure
        Computes it from a round.
    at_least, at_most
        What it is promised to be.
    """

    label: str
    figure: Callable[[Round], float]
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, value: float) -> bool:
        """Whether a value is within what is promised."""
        above = self.at_least is None or value >= self.at_least
        return above and (self.at_most is None or value <= self.at_most)

    @property
    def promise(self) -> str:
        """The promise in symbols."""
        if self.at_least is None:
            return f"≤ {self.at_most:g}"
        if self.at_most is None:
            return f"≥ {self.at_least:g}"
        return f"{self.at_least:g} to {self.at_most:g}"


@dataclass(frozen=True)
class Group:
    """Contestants whose samples are taken in turn, and the claims about them.

    Attributes
    ----------
    title
        Heading of its tables.
    contestants
        In the order in which they run.
    claims
        Figures promised.
    check
        Raises if the samples of a round contradict each other.
    """

    title: str
    contestants: Sequence[Contestant]
    claims: Sequence[Claim]
    check: Callable[[Round], None] | None = None


@dataclass(frozen=True)
class Spread:
    """Lowest, middle and highest of some values."""

    low: float
    middle: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Give the spread of values."""
    return Spread(min(values), median(values), max(values))


def finish(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> tuple[str, float, Any]:
    """Run a command to its end; give what it printed, its wall time and its resource usage."""
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, env={**os.environ, **(environment or {})})
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        printed = out.read().decode()
    if process.returncode != 0:
        sys.stderr.write(printed)
        raise subprocess.CalledProcessError(process.returncode, [str(part) for part in command])
    return printed, wall_s, usage


def rounds(group: Group, count: int) -> Iterator[Round]:
    """Run every contestant once per round: A B C A B C, so that all see the same machine."""
    for _ in range(count):
        samples = {contestant.name: contestant.run() for contestant in group.contestants}
        if group.check is not None:
            group.check(samples)
        yield samples


def judge(claim: Claim, taken: Sequence[Round]) -> tuple[Spread, bool]:
    """Give the spread of a claim's figure over the rounds, and whether its median holds."""
    figures = spread([claim.figure(samples) for samples in taken])
    return figures, claim.holds(figures.middle)
