"""From plain data to checked models, or to all that is wrong with it at once."""

from __future__ import annotations

import datetime as dt
import numbers
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from lambda_replay.exceptions import Problem, ScenarioError, show
from lambda_replay.scenario.keys import KeyPath
from lambda_replay.scenario.limits import DEFAULT_ERA, ERAS, MAX_DEPTH, Era
from lambda_replay.scenario.models import Context, ScenarioModel
from lambda_replay.scenario.problems import Where, place_of, problem_at, problem_of, value_at
from lambda_replay.scenario.recognised import RECOGNISED

__all__ = ["Checked", "check"]


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
    """

    data: dict[str, object]
    model: ScenarioModel
    era: Era


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
    data = _plain_table(given, (), where, found)
    era = _era(data)
    context: Context = {"era": era}
    model = ScenarioModel()
    try:
        model = ScenarioModel.model_validate(_without_accepted(data), context=context)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            found.append(problem_of(one, data, where, era, len(found)))
    found.extend(_unnamed(data, where))
    if found:
        raise ScenarioError(problems=found)
    return Checked(data, model, era)


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


def _without_accepted(data: dict[str, object]) -> dict[str, object]:
    """Copy the tables without the keys whose values ask for what happens anyway."""

    def kept(table: object, path: KeyPath) -> object:
        if not isinstance(table, dict):
            return table
        place = place_of(path)
        recognised = {} if place is None else RECOGNISED[place]
        return {
            key: value
            for key, value in table.items()
            if key not in recognised or not recognised[key].accepts(value)
        }

    top = kept(data, ())
    assert isinstance(top, dict)
    for name in ("account", "defaults", "replay"):
        if name in top:
            top[name] = kept(top[name], (name,))
    functions = top.get("functions")
    if isinstance(functions, dict):
        top["functions"] = {
            name: kept(section, ("functions", name)) for name, section in functions.items()
        }
    return top


# ---------------------------------------------------------------------------- plain data


def _plain_table(
    table: Mapping[str, object], path: KeyPath, where: Where, problems: list[Problem]
) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in table.items():
        if not isinstance(key, str):
            message = f"the key {show(key)} is {type(key).__name__}; expected text"
            problems.append(problem_at(path, where, message, code="LR-S004", value=key))
            continue
        name = str.__str__(key)
        keep, plain = _plain(value, (*path, name), where, problems)
        if keep:
            result[name] = plain
    return result


def _plain(
    value: object, path: KeyPath, where: Where, problems: list[Problem]
) -> tuple[bool, object]:
    """Copy a value as TOML has it: numpy and enum scalars become numbers and text, tuples arrays.

    What has no place in TOML is reported and left out.
    """
    kind = type(value)
    if kind in (bool, int, float, str) or isinstance(value, (dt.date, dt.time)):
        return True, value
    if len(path) > MAX_DEPTH.value:
        message = f"nested deeper than {MAX_DEPTH.value}"
        problems.append(problem_at(path[:3], where, message, code="LR-S002"))
        return False, None
    if isinstance(value, Mapping):
        return True, _plain_table(value, path, where, problems)
    if isinstance(value, (list, tuple)):
        items = [_plain(item, (*path, i), where, problems) for i, item in enumerate(value)]
        return True, [item for keep, item in items if keep]
    if isinstance(value, str):
        return True, str.__str__(value)
    # numpy's scalars among them.
    if isinstance(value, numbers.Integral):
        return True, int(value)
    if isinstance(value, numbers.Real):
        return True, float(value)
    if value is None:
        message = "null is no value; leave the key out to have the default"
    else:
        message = f"{show(value)} is a {kind.__name__}, which TOML has no value for"
    problems.append(problem_at(path, where, message, code="LR-S004"))
    return False, None
