"""Replays cases in the product and in the reference.

Owns how a case gets into the product, which cases count, and the loop over cases from seeds.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from random import Random
from typing import Any
from unittest import mock

from differential.comparison import DifferenceError, Observed, first_difference, observe
from differential.everything import draw_everything, from_rows
from differential.strategies import BATCHES, Case, Seeded, draw_case
from reference import replay
from reference.random_cases import case as reference_case

#: How the difference begins where the product refuses the scenario or the trace.
NO_CASE = ("the product raised ScenarioError", "the product raised TraceError")


class NotCountedError(Exception):
    """The case says nothing: its scenario is none, or there is no rule for it yet."""


def product(case: Case) -> Observed:
    """Replay a case in the product.

    Raises
    ------
    NotCountedError
        A change makes a scenario that contradicts itself.
    DifferenceError
        The product raised an error.
    """
    # Here and not above: the comparison's own tests run without the product, but a missing
    # product must fail these.
    lambda_replay = import_module("lambda_replay")
    module = import_module("lambda_replay.replay")
    small = partial(import_module("lambda_replay.engine").Engine, batch_rows=case.batch_rows)
    try:
        scenario = lambda_replay.Scenario(**case.sections)
        with mock.patch.object(module, "Engine", small):
            return observe(
                lambda_replay.replay(case.frame(), scenario, outcomes=True, attempts=True)
            )
    except Exception as error:
        problems = getattr(error, "problems", ())
        if problems and all(str(problem).startswith("changes[") for problem in problems):
            raise NotCountedError from error
        text = f"the product raised {type(error).__name__}: {error}"
        raise DifferenceError(case, text) from error


def unruled(case: Case) -> bool:
    """Tell whether a case meets a question that no rule answers yet."""
    functions = list(case.sections.get("functions", {}).values())
    # Who gets the free GB-seconds where runs wait for records: what such a run is billed is known
    # at its end, and Z42 asks for the order of starts.
    sections = [case.sections.get("defaults", {}), *functions]
    architectures = {section.get("architecture", "x86_64") for section in sections}
    free_tier = case.sections.get("account", {}).get("pricing", {}).get("free_tier", False)
    if free_tier and "state_key" in case.columns and "arm64" in architectures:
        return True
    until = case.sections.get("replay", {}).get("until")
    # In which shard a record is counted that comes after the end, where shards were split or
    # merged meanwhile.
    sources = case.sections.get("event_sources", {}).values()
    if until is not None and any(source.get("reshard") for source in sources):
        return True
    # What is provisioned before a replay that ends before it begins.
    rows = case.rows() if until is not None else []
    return bool(rows) and until <= min(row["timestamp"] for row in rows)


def difference(case: Case, marks: Counter[str] | None = None) -> str | None:
    """Replay a case in both and return their first difference, or null.

    Parameters
    ----------
    case
        Scenario and trace.
    marks
        Counts in how many examples each rule of the reference was applied.

    Raises
    ------
    NotCountedError
        The case says nothing.
    """
    if unruled(case):
        raise NotCountedError
    try:
        observed = product(case)
    except DifferenceError as found:
        return found.text
    expected = replay(case.sections, case.rows())
    if marks is not None:
        marks.update(expected.marks.keys())
    return first_difference(expected, observed)


def differs(case: Case) -> str | None:
    """Return the difference of a case that counts, or null."""
    try:
        text = difference(case)
    except (NotCountedError, ValueError, KeyError, TypeError):
        # Something was taken away that the scenario needs.
        return None
    # What is taken away may leave a scenario or a trace that is none, which is another matter.
    return None if text and text.startswith(NO_CASE) else text


# ---- cases from seeds ----------------------------------------------------------------------


def seeded_case(seed: int) -> Case:
    """Return a case: of ten, two of the reference's own, two plain ones, six of everything."""
    kind = seed % 10
    if kind < 2:
        return from_rows(*reference_case(seed), batch_rows=Random(seed).choice(BATCHES))
    chooser = Seeded(seed)
    if kind < 4:
        return draw_case(chooser, chooser.integer(1, 25))
    return draw_everything(chooser)


@dataclass
class Found:
    """What a part of the seeds came to.

    Attributes
    ----------
    marks
        In how many cases each rule of the reference was applied.
    counted, skipped
        Cases that were compared, and those that say nothing.
    differing
        Seeds of cases with a difference, with what it is.
    """

    marks: Counter[str] = field(default_factory=Counter)
    counted: int = 0
    skipped: int = 0
    differing: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: "Found") -> None:
        """Take what another part came to."""
        self.marks.update(other.marks)
        self.counted += other.counted
        self.skipped += other.skipped
        self.differing += other.differing


def look(seeds: Iterable[int]) -> Found:
    """Compare the cases of some seeds."""
    found = Found()
    for seed in seeds:
        try:
            text: Any = difference(seeded_case(seed), found.marks)
        except NotCountedError:
            found.skipped += 1
            continue
        found.counted += 1
        if text:
            found.differing.append((seed, text))
    return found
