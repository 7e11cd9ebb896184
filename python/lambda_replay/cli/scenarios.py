"""Which scenario a command uses, and how it is called on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lambda_replay import samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.scenario import Scenario

__all__ = ["Chosen", "choose", "load"]

SAMPLE = "sample:"


@dataclass(frozen=True)
class Chosen:
    """A scenario and where it is from.

    Attributes
    ----------
    scenario
        With what ``--set`` and ``--seed`` say.
    file
        As given with ``-s``; None where it was not.
    sample
        File name of the sample's own scenario, where that is used.
    sets
        What ``--set`` said.
    """

    scenario: Scenario
    file: str | None = None
    sample: str | None = None
    sets: tuple[str, ...] = ()


def choose(traces: Sequence[str], file: str | None, sets: Sequence[str]) -> Chosen:
    """Choose the scenario for traces: the given one, a sample's own, or AWS's defaults.

    Raises
    ------
    ScenarioError
        With every problem.
    TraceError
        There is no such sample.
    """
    from lambda_replay.scenario import Scenario  # noqa: PLC0415 - imports pydantic

    sample: Path | None = None
    if file is not None:
        scenario = Scenario.load(file)
    elif len(traces) == 1 and traces[0].startswith(SAMPLE):
        sample = samples.scenario_path(traces[0].removeprefix(SAMPLE))
        scenario = Scenario() if sample is None else Scenario.load(sample)
    else:
        scenario = Scenario()
    if sets:
        scenario = scenario.with_set(*sets)
    return Chosen(scenario, file, None if sample is None else sample.name, tuple(sets))


def load(file: str | None, sets: Sequence[str]) -> Scenario:
    """Load a scenario file, a sample's own scenario by ``sample:NAME``, or AWS's defaults.

    Raises
    ------
    ScenarioError
        With every problem.
    TraceError
        There is no such sample.
    """
    is_sample = file is not None and file.startswith(SAMPLE)
    return choose([file] if is_sample and file else [], None if is_sample else file, sets).scenario
