"""The wording of what is wrong with a scenario, and where it stands."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from lambda_replay.exceptions import Problem, plain, show
from lambda_replay.scenario import models
from lambda_replay.scenario.keys import KeyPath, format_key
from lambda_replay.scenario.limits import (
    ARCHITECTURES,
    CONCURRENCY_RANGE,
    ERAS,
    INIT_MS_MAX,
    REUSE_POLICY,
    SEED_RANGE,
    Era,
)
from lambda_replay.scenario.read import Location
from lambda_replay.scenario.recognised import RECOGNISED, Recognised

__all__ = ["Where", "place_of", "problem_at", "problem_of", "value_at"]

Where = Mapping[KeyPath, Location]

#: Suggestions are for people; beyond so many problems nobody reads them, and they cost time.
_MAX_SUGGESTIONS = 100

_SECTIONS: Final[dict[str, type[BaseModel]]] = {
    "": models.ScenarioModel,
    "account": models.AccountSection,
    "account.idle": models.IdleSection,
    "account.env": models.EnvSection,
    "function": models.FunctionSection,
    "replay": models.ReplaySection,
}
#: Where a key belongs that was found elsewhere.
_HOME: Final = {
    "": "the top of the file",
    "account": "[account]",
    "account.idle": "[account.idle]",
    "account.env": "[account.env]",
    "function": "[defaults] or [functions.NAME]",
    "replay": "[replay]",
}

_SECONDS = "a number of seconds above 0"
_PAIR = "[a, b] with 0 <= a <= b"


def _choices(values: tuple[str, ...]) -> str:
    quoted = [f'"{value}"' for value in values]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


#: What would be right, by place and key.
_EXPECTED: Final[dict[str, Callable[[Era], str]]] = {
    "account.concurrency": lambda era: f"an integer from {CONCURRENCY_RANGE.value}",
    "account.era": lambda era: _choices(tuple(ERAS)),
    "account.idle": lambda era: "a table with policy and seconds, or a policy",
    "account.idle.policy": lambda era: _choices(models.IDLE_POLICIES),
    "account.idle.seconds": lambda era: f"{_SECONDS}, or {_PAIR} for policy uniform",
    "account.env.max_lifetime": lambda era: f'{_SECONDS}, {_PAIR}, or "off"',
    "account.reuse_policy": lambda era: _choices((REUSE_POLICY.value,)),
    "function.memory_mb": lambda era: f"an integer from {era.memory_mb.value} (MB, era {era.name})",
    "function.architecture": lambda era: _choices(ARCHITECTURES.value),
    "function.init_ms": lambda era: f"a number of milliseconds from 0 to {INIT_MS_MAX.value}",
    "function.init_billed": lambda era: "true or false",
    "function.timeout_s": lambda era: '"off"',
    "replay.seed": lambda era: f"an integer from {SEED_RANGE.value}",
}


def place_of(path: KeyPath) -> str | None:
    """Name the kind of section at a path, as in `RECOGNISED`; None where there is none."""
    if path == ("defaults",) or (len(path) == 2 and path[0] == "functions"):
        return "function"
    if path == ("functions",):
        return None
    name = ".".join(str(part) for part in path)
    return name if name in _SECTIONS else None


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
    path = _given_part(data, path)
    value = value_at(data, path)
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown(path, value, where, suggest=number < _MAX_SUGGESTIONS)
    suggestion = context.get("suggestion")
    place = place_of(path[:-1])
    key = f"{place}.{path[-1]}" if place else str(path[-1])
    expected = _EXPECTED[key](era) if key in _EXPECTED else None
    found = show(value)
    if kind == "not_modelled":
        message = _not_modelled_yet(context["what"], context["rule"])
        message = f"{found}: {message}; {'for now only ' + expected if expected else ''}"
        return problem_at(path, where, message.rstrip("; "), code="LR-S007", value=value)
    if kind == "contradiction":
        detail = context["detail"]
        message = detail if value is None else f"{found} does not fit: {detail}"
        return problem_at(path, where, message, code="LR-S006", value=value)
    if kind in ("model_type", "dict_type", "model_attributes_type") and expected is None:
        return problem_at(
            path, where, _no_table(path, value), code="LR-S004", value=value, suggestion=suggestion
        )
    if kind == "choice":
        code, wrong = "LR-S005", "is not one of the choices"
    elif kind in ("range", "greater_than_equal", "less_than_equal"):
        code, wrong = "LR-S005", "is out of range"
        if key == "function.memory_mb" and suggestion:
            wrong = "is not a valid step"
    elif kind == "shape":
        code, wrong = "LR-S005", f"has {context['detail']}"
        if suggestion:
            wrong = f"is the wrong way round: {context['detail']}"
    else:
        code, wrong = "LR-S004", f"is {_noun(value)}"
        suggestion = _meant(key, value)
    message = f"{found} {wrong}; expected {expected or error['msg']}"
    if suggestion:
        message += f"; did you mean {show(suggestion) if kind == 'choice' else suggestion}?"
    return problem_at(path, where, message, code=code, value=value, suggestion=suggestion)


def not_modelled(path: KeyPath, key: Recognised, value: object, where: Where) -> Problem:
    """Make the problem of a key that is recognised only."""
    message = _not_modelled_yet(key.what, key.rule)
    if not isinstance(value, (dict, list)):
        message = f"{show(value)}: {message}"
    # An int and the float that equals it are one value to a reader.
    words = [f'"{one}"' for one in key.accepted if isinstance(one, str)]
    words += [str(one) for one in key.accepted if isinstance(one, int)]
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
        known = [*_SECTIONS[place].model_fields, *RECOGNISED[place]]
        suggestion = _nearest(key, known)
        if suggestion is not None:
            message += f"; did you mean '{suggestion}'?"
        elif homes := [_HOME[other] for other in _SECTIONS if other and _belongs(key, other)]:
            message += f" here; '{key}' belongs in {' or '.join(homes)}"
        elif place == "function" and isinstance(value, dict) and path[0] == "functions":
            name = f"{path[1]}.{key}"
            suggestion = format_key((path[0], name))
            message += f"; a name with dots is quoted: {suggestion}"
        else:
            message += f"; known here: {', '.join(sorted(_SECTIONS[place].model_fields))}"
    return problem_at(path, where, message, code="LR-S003", value=value, suggestion=suggestion)


def _belongs(key: str, place: str) -> bool:
    return key in _SECTIONS[place].model_fields or key in RECOGNISED[place]


def _nearest(key: str, known: list[str]) -> str | None:
    # AWS writes MemorySize, others memory-mb; both mean a name in snake case.
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key[:100]).lower().replace("-", "_")
    near = difflib.get_close_matches(snake, known, n=1)
    return near[0] if near else None


def _no_table(path: KeyPath, value: object) -> str:
    key = format_key(path)
    if isinstance(value, list):
        return f"is an array; expected a table: write [{key}] rather than [[{key}]]"
    message = f"{show(value)} is {_noun(value)}; expected a table"
    if len(path) == 2 and path[0] == "functions":
        message += " [functions.NAME] (for all functions: [defaults])"
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


def _meant(key: str, value: object) -> str | None:
    """Guess the number behind a quoted one, or the integer behind 512.0."""
    if isinstance(value, str):
        if re.fullmatch(r"[+-]?\d{1,18}(_\d+)*", value):
            return str(int(value))
        if value.lower() in ("true", "false") and key == "function.init_billed":
            return value.lower()
        if re.fullmatch(r"[+-]?\d{1,18}\.\d{1,9}", value):
            return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, (dt.date, dt.datetime)) and key == "account.era":
        name = f"{value.year:04}-{value.month:02}"
        return f'"{name}"' if name in ERAS else None
    return None
