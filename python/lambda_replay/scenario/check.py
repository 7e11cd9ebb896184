"""From plain data to checked models and their epochs, or to all that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from lambda_replay.exceptions import Problem, ScenarioError
from lambda_replay.scenario.changes import epochs_of
from lambda_replay.scenario.epoch import Epoch
from lambda_replay.scenario.eras import DEFAULT_ERA, ERAS, Era
from lambda_replay.scenario.keys import KeyPath
from lambda_replay.scenario.models import ScenarioModel
from lambda_replay.scenario.plain import plain_table
from lambda_replay.scenario.problems import Where, problem_at, problem_of, value_at
from lambda_replay.scenario.recognised import drop_accepted
from lambda_replay.scenario.route_checks import route_problems
from lambda_replay.scenario.takes import Context

__all__ = ["Checked", "check"]

#: Tables of tables by name: one that is wrong leaves the others right.
_BY_NAME = ("functions", "event_sources")


@dataclass(frozen=True, slots=True)
class Checked:
    """A scenario without problems.

    Attributes
    ----------
    data
        What was given, as plain data of its own.
    model
        The keys that this version models.
    era
        The era in force.
    epochs
        What holds between changes.
    """

    data: dict[str, object]
    model: ScenarioModel
    era: Era
    epochs: tuple[Epoch, ...]


def check(given: Mapping[str, object], where: Where) -> Checked:
    """Check a scenario.

    Parameters
    ----------
    given
        Sections by name.
    where
        Positions of the keys, as far as known.

    Raises
    ------
    ScenarioError
        With every problem.
    """
    found: list[Problem] = []
    data = plain_table(given, (), where, found)
    era = _era(data)
    model, right = _model(data, where, era, found)
    found.extend(_unnamed(data, where))
    epochs, problems = epochs_of(model, right, where, era)
    found.extend(problems)
    # What is wrong with sections by themselves comes first: routes name others.
    if not found:
        found.extend(route_problems(model, where))
    if found:
        raise ScenarioError(problems=found)
    return Checked(data, model, era, epochs)


def _era(data: dict[str, object]) -> Era:
    name = value_at(data, ("account", "era"))
    # A wrong era is reported by itself; the rest is then judged by today's rules.
    return ERAS[name if isinstance(name, str) and name in ERAS else DEFAULT_ERA.value]


def _unnamed(data: dict[str, object], where: Where) -> list[Problem]:
    functions = data.get("functions")
    if not isinstance(functions, dict) or "" not in functions:
        return []
    message = "the name of a function is empty; expected a name or a glob"
    return [problem_at(("functions", ""), where, message, code="LR-S005")]


def _model(
    data: dict[str, Any], where: Where, era: Era, found: list[Problem]
) -> tuple[ScenarioModel, dict[str, Any]]:
    """Give the sections that are right, as models and as data; others' faults are noted.

    What is right is judged together all the same, so that all is reported at once.
    """
    context: Context = {"era": era}
    try:
        return ScenarioModel.model_validate(drop_accepted(data, ""), context=context), data
    except ValidationError as error:
        errors = error.errors(include_url=False)
    for one in errors:
        found.append(problem_of(one, data, where, era, len(found)))
    wrong = {
        tuple(one["loc"][:2] if one["loc"][0] in _BY_NAME else one["loc"][:1]) for one in errors
    }
    # Without the account nothing can be said about sums.
    right = {} if ("account",) in wrong else _right(data, wrong)
    return ScenarioModel.model_validate(drop_accepted(right, ""), context=context), right


def _right(data: dict[str, Any], wrong: set[KeyPath]) -> dict[str, Any]:
    right = {key: value for key, value in data.items() if (key,) not in wrong}
    for table in _BY_NAME:
        named = right.get(table)
        if isinstance(named, dict):
            right[table] = {name: one for name, one in named.items() if (table, name) not in wrong}
    return right
