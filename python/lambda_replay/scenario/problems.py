"""The wording of what is wrong with a scenario, and where it stands."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Mapping
from typing import Any, Final

from lambda_replay.exceptions import Problem, plain, show
from lambda_replay.scenario.eras import ERAS, Era
from lambda_replay.scenario.functions import OF_POOL
from lambda_replay.scenario.keys import KeyPath, format_key
from lambda_replay.scenario.models import SECTIONS
from lambda_replay.scenario.read import Location
from lambda_replay.scenario.recognised import RECOGNISED, Recognised
from lambda_replay.scenario.section import fields_of, takes_of

__all__ = ["Where", "expected_at", "place_of", "problem_at", "problem_of", "value_at"]

Where = Mapping[KeyPath, Location]

#: Suggestions are for people; beyond so many problems nobody reads them, and they cost time.
_MAX_SUGGESTIONS = 100

#: Where a key belongs that was found elsewhere, where that is not [PLACE].
_HOMES: Final = {
    "function": "[defaults] or [functions.NAME]",
    "event_source": "[event_sources.NAME]",
    "event_source.provisioned_pollers": "provisioned_pollers",
    "event_source.poller_step": "poller_step",
    "event_source.reshard": "[[event_sources.NAME.reshard]]",
    "changes": "[[changes]]",
    "faults": "[[faults]]",
    "routes": "[[routes]]",
}


def place_of(path: KeyPath) -> str | None:
    """Name the kind of section at a path, as in `SECTIONS`; None where there is none."""
    names = [part for part in path if isinstance(part, str)]
    if names[:1] == ["defaults"]:
        names[:1] = ["function"]
    elif names[:1] == ["functions"] and len(names) > 1:
        names[:2] = ["function"]
    elif names[:1] == ["downstream"]:
        # The table is of names; below each of them it is a section.
        names = ["downstream", *names[2:]] if len(names) > 1 else ["downstream of"]
    elif names[:1] == ["event_sources"] and len(names) > 1:
        names[:2] = ["event_source"]
    if names[:2] == ["function", "provisioned_concurrency"] and names[2:3]:
        # A qualifier, unless the table is a pool itself.
        names = names[:2] + (names[2:] if names[2] in OF_POOL else names[3:])
    name = ".".join(names)
    return name if name in SECTIONS and path not in {("functions",), ("event_sources",)} else None


def expected_at(path: KeyPath, era: Era) -> str | None:
    """Say what would be right at a path; None where that is a plain table or unknown."""
    if path[-2:-1] == ("provisioned_concurrency",) and path[-1] not in OF_POOL:
        return 'an integer from 0, a table with initial, target_tracking and schedule, or "off"'
    place = place_of(path[:-1])
    field = fields_of(SECTIONS[place]).get(str(path[-1])) if place is not None else None
    takes = takes_of(field) if field is not None else None
    return None if takes is None else takes.expected(era)


def value_at(data: object, path: KeyPath) -> object:
    """Look a path up in plain data; None where it leads nowhere."""
    for part in path:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data


def problem_at(
    path: KeyPath,
    where: Where,
    message: str,
    *,
    code: str,
    value: object = None,
    suggestion: str | None = None,
) -> Problem:
    """Make a problem of the key at ``path``, located there or at the nearest table around it."""
    location = next(
        (where[path[:end]] for end in range(len(path), 0, -1) if path[:end] in where),
        where.get((), Location()),
    )
    return Problem(
        file=location.file,
        line=location.line,
        column=location.column,
        path=format_key(path),
        value=plain(value),
        message=message,
        suggestion=suggestion,
        code=code,
    )


def problem_of(
    error: Mapping[str, Any], data: dict[str, object], where: Where, era: Era, number: int
) -> Problem:
    """Turn one error of pydantic into a problem.

    Parameters
    ----------
    error
        An item of ``ValidationError.errors()``.
    data
        What was validated.
    where
        Positions of its keys.
    era
        The era in force: it decides what would be right.
    number
        How many problems came before.
    """
    context = error.get("ctx", {})
    path: KeyPath = tuple(error["loc"])
    if at := context.get("at"):
        path += (at,)
    kind = error["type"]
    if kind in ("missing", "missing_key"):
        expected = context.get("expected") or expected_at(path, era) or "a table"
        message = f"{path[-1]} is missing; expected {expected}"
        return problem_at(path, where, message, code="LR-S009")
    path = _given_part(data, path)
    value = value_at(data, path)
    if kind == "extra_forbidden":
        return _unknown(path, value, where, suggest=number < _MAX_SUGGESTIONS)
    suggestion = context.get("suggestion")
    expected = context.get("expected") or expected_at(path, era)
    found = show(value)
    if kind == "not_modelled":
        message = _not_modelled_yet(context["what"], context["rule"])
        message = f"{found}: {message}; {'for now only ' + expected if expected else ''}"
        return problem_at(path, where, message.rstrip("; "), code="LR-S007", value=value)
    if kind == "contradiction":
        detail = context["detail"]
        is_plain = value is not None and not isinstance(value, (dict, list))
        told = value is None or (isinstance(value, dict) or path[-1:] == ("schedule",))
        message = detail if told and not is_plain else f"{found} does not fit: {detail}"
        return problem_at(path, where, message, code="LR-S006", value=value)
    if kind in _NO_TABLE and expected is None:
        return problem_at(
            path, where, _no_table(path, value), code="LR-S004", value=value, suggestion=suggestion
        )
    code, wrong = _wrong(kind, context, path, value)
    if code == "LR-S004":
        suggestion = _meant(path, value, expected or "")
    message = f"{found} {wrong}; expected {expected or error['msg']}"
    if suggestion:
        message += f"; did you mean {show(suggestion) if kind == 'choice' else suggestion}?"
    return problem_at(path, where, message, code=code, value=value, suggestion=suggestion)


_NO_TABLE: Final = ("model_type", "dict_type", "model_attributes_type", "list_type")


def _wrong(kind: str, context: Mapping[str, Any], path: KeyPath, value: object) -> tuple[str, str]:
    """Give the code of an error and what is wrong with the value."""
    if kind == "choice":
        return "LR-S005", "is not one of the choices"
    if kind == "range":
        is_step = path[-1] == "memory_mb" and "suggestion" in context
        return "LR-S005", "is not a valid step" if is_step else "is out of range"
    if kind == "instant":
        return "LR-S005", "is no instant"
    if kind == "shape":
        wrong = f"has {context['detail']}"
        if "suggestion" in context:
            wrong = f"is the wrong way round: {context['detail']}"
        return "LR-S005", wrong
    return "LR-S004", f"is {_noun(value)}"


def not_modelled(path: KeyPath, key: Recognised, value: object, where: Where) -> Problem:
    """Make the problem of a key that is recognised only."""
    message = _not_modelled_yet(key.what, key.rule)
    if not isinstance(value, (dict, list)):
        message = f"{show(value)}: {message}"
    # An int and the float that equals it are one value to a reader.
    words = [f'"{one}"' for one in key.accepted if isinstance(one, str)]
    words += [show(one) for one in key.accepted if isinstance(one, int)]
    if words:
        message += f"; for now only {' or '.join(words)}"
    else:
        message += "; leave it out to replay without"
    return problem_at(path, where, message, code="LR-S007", value=value)


def _not_modelled_yet(what: str, rule: str) -> str:
    return f"this version of lambda-replay does not model {what} yet ({rule})"


def _given_part(data: object, path: KeyPath) -> KeyPath:
    """Cut what lies below a value that is no table, such as the short form of idle."""
    for end in range(len(path)):
        if not isinstance(value_at(data, path[:end]), (dict, list)):
            return path[:end]
    return path


def _unknown(path: KeyPath, value: object, where: Where, *, suggest: bool) -> Problem:
    place = place_of(path[:-1])
    key = str(path[-1])
    recognised = RECOGNISED.get(place, {}).get(key) if place is not None else None
    if recognised is not None:
        return not_modelled(path, recognised, value, where)
    message, suggestion = "unknown key", None
    if place is not None and suggest:
        known = _known(place)
        suggestion = _nearest(key, known)
        if suggestion is not None:
            message += f"; did you mean '{suggestion}'?"
        elif homes := [_HOMES.get(one, f"[{one}]") for one in SECTIONS if _belongs(key, one)]:
            message += f" here; '{key}' belongs in {' or '.join(homes)}"
        elif place == "function" and isinstance(value, dict) and path[0] == "functions":
            name = f"{path[1]}.{key}"
            suggestion = format_key((path[0], name))
            message += f"; a name with dots is quoted: {suggestion}"
        else:
            message += f"; known here: {', '.join(sorted(fields_of(SECTIONS[place])))}"
    return problem_at(path, where, message, code="LR-S003", value=value, suggestion=suggestion)


def _known(place: str) -> list[str]:
    return [*fields_of(SECTIONS[place]), *RECOGNISED.get(place, {})]


def _belongs(key: str, place: str) -> bool:
    # Words such as at, min or mode are in many places, and belong to none of them.
    return bool(place) and len(key) > 3 and key in _known(place) and "provisioned" not in place


def _nearest(key: str, known: list[str]) -> str | None:
    # AWS writes MemorySize, others memory-mb; both mean a name in snake case.
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key[:100]).lower().replace("-", "_")
    near = difflib.get_close_matches(snake, known, n=1)
    return near[0] if near else None


def _no_table(path: KeyPath, value: object) -> str:
    key = format_key(path)
    if path in {("changes",), ("faults",), ("routes",)} or path[2:] == ("reshard",):
        return f"is {_noun(value)}; expected an array of tables: write [[{key}]]"
    if isinstance(value, list):
        return f"is an array; expected a table: write [{key}] rather than [[{key}]]"
    message = f"{show(value)} is {_noun(value)}; expected a table"
    if len(path) == 2 and path[0] == "functions":
        message += " [functions.NAME] (for all functions: [defaults])"
    if len(path) == 2 and path[0] == "event_sources":
        message += " [event_sources.NAME]"
    return message


def _noun(value: object) -> str:
    nouns: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "a boolean"),
        (int, "an integer"),
        (float, "a decimal number"),
        (str, "text"),
        (dict, "a table"),
        ((list, tuple), "an array"),
        ((dt.date, dt.time), "a date or time"),
    )
    return next((noun for kind, noun in nouns if isinstance(value, kind)), type(value).__name__)


def _meant(path: KeyPath, value: object, expected: str) -> str | None:
    """Guess the number behind a quoted one, or the integer behind 512.0."""
    if isinstance(value, str):
        if re.fullmatch(r"[+-]?\d{1,18}(_\d+)*", value):
            return str(int(value))
        if value.lower() in ("true", "false") and expected.startswith("true"):
            return value.lower()
        if re.fullmatch(r"[+-]?\d{1,18}\.\d{1,9}", value):
            return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, (dt.date, dt.datetime)) and path[-1] == "era":
        name = f"{value.year:04}-{value.month:02}"
        return f'"{name}"' if name in ERAS else None
    return None
