"""From any mapping to plain data, as TOML has it."""

from __future__ import annotations

import datetime as dt
import numbers
from collections.abc import Mapping
from typing import Any

from lambda_replay.exceptions import Problem, show
from lambda_replay.scenario.keys import KeyPath
from lambda_replay.scenario.limits import MAX_DEPTH
from lambda_replay.scenario.problems import Where, problem_at

__all__ = ["plain_table", "put", "without"]


def plain_table(
    table: Mapping[str, object], path: KeyPath, where: Where, problems: list[Problem]
) -> dict[str, object]:
    """Copy a table; what has no place in TOML is reported and left out."""
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
        return True, plain_table(value, path, where, problems)
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


def put(data: dict[str, Any], path: KeyPath, value: object) -> KeyPath | None:
    """Set a value; if a part of the path is no table, give the path of that part.

    ``data`` is changed, tables inside it are replaced rather than changed.
    """
    table = data
    for end, name in enumerate(path[:-1], start=1):
        inner = table.get(str(name), {})
        if path[:end] == ("account", "idle") and isinstance(inner, str):
            # The short form, as if it had been written in full.
            inner = {"policy": inner}
        if path[:end] == ("account", "scaling") and inner == "off":
            inner = {}
        if not isinstance(inner, dict):
            return path[:end]
        table[str(name)] = inner = dict(inner)
        table = inner
    table[str(path[-1])] = value
    return None


def without(data: dict[str, Any], path: KeyPath) -> None:
    """Take a key out, where it is there; tables inside are replaced rather than changed."""
    table = data
    for name in path[:-1]:
        inner = table.get(str(name))
        if not isinstance(inner, dict):
            return
        table[str(name)] = inner = dict(inner)
        table = inner
    table.pop(str(path[-1]), None)
