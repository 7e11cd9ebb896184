"""What a key takes: how a value is checked, what would be right, and its JSON Schema.

Owns the kinds of values. The models say which key takes which, problems.py puts errors into words.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, NoReturn, TypedDict

from pydantic import BaseModel, Field, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from lambda_replay.scenario.limits import DEFAULT_ERA, ERAS, MAX_SECONDS, MIN_SECONDS, Era, Range
from lambda_replay.scenario.units import Number, Pair, instant_us

__all__ = [
    "INSTANT",
    "INSTANT_OR_OFF",
    "Context",
    "Takes",
    "check_choice",
    "check_number",
    "check_seconds",
    "choice",
    "choices",
    "era_of",
    "fail",
    "flag",
    "number",
    "seconds",
    "table",
    "text",
    "texts",
    "whole",
]

Check = Callable[[object, Era], object]


class Context(TypedDict):
    """What a section must know of the rest: rules change with the era."""

    era: Era


def era_of(info: ValidationInfo) -> Era:
    """Give the era in force."""
    context: Context | None = info.context
    return context["era"] if context else ERAS[DEFAULT_ERA.value]


def fail(kind: str, **context: str) -> NoReturn:
    """Raise an error whose kind problems.py turns into words.

    ``detail`` says what is wrong where the kind does not, ``at`` names the key below the model that
    is to blame, ``suggestion`` what was probably meant, ``expected`` what would be right where the
    key does not tell, ``what`` and ``rule`` what waits for a later version.
    """
    raise PydanticCustomError(kind, "{kind}", {"kind": kind, **context})


class Takes:
    """What a key takes; stands in the annotation of a field.

    Parameters
    ----------
    check
        Gives the value to keep, or fails.
    expected
        What would be right, to go after "expected"; where it depends on the era, from the era.
    schema
        A type whose JSON Schema says the same, for editors.
    """

    __slots__ = ("_expected", "check", "schema")

    def __init__(self, check: Check, expected: str | Callable[[Era], str], schema: Any) -> None:
        self.check = check
        self._expected = expected
        self.schema = schema

    def expected(self, era: Era) -> str:
        """Say what would be right."""
        return self._expected if isinstance(self._expected, str) else self._expected(era)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            lambda value, info: self.check(value, era_of(info)),
            json_schema_input_schema=handler.generate_schema(self.schema),
        )


# ---------------------------------------------------------------------------- checks


def check_choice(value: object, among: tuple[str, ...], **later: str) -> str:
    """Check a word; ``later`` names those that wait for a later version, and what they are."""
    if not isinstance(value, str):
        fail("type")
    if value in later:
        fail("not_modelled", what=later[value], rule="Z56")
    if value not in among:
        near = difflib.get_close_matches(value[:100].lower(), among, n=1)
        fail("choice", **({"suggestion": near[0]} if near else {}))
    return value


def check_number(value: object, minimum: Number, maximum: Number) -> Number:
    """Check an integer or decimal number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        fail("type")
    if isinstance(value, float) and not math.isfinite(value):
        fail("range")
    if not minimum <= value <= maximum:
        fail("range")
    return value


def check_whole(value: object, valid: Range) -> int:
    """Check an integer, with the nearest step above where it lies between two."""
    if isinstance(value, bool) or not isinstance(value, int):
        fail("type")
    if value in valid:
        return value
    if not valid.minimum <= value <= valid.maximum:
        fail("range")
    below = value - (value - valid.minimum) % valid.step
    fail("range", suggestion=str(min(below + valid.step, valid.maximum)))


def _check_pair(value: list[object]) -> Pair:
    if len(value) != 2:
        fail("shape", detail=f"{len(value)} elements")
    low, high = (check_number(one, 0, MAX_SECONDS.value) for one in value)
    if low > high:
        fail("shape", detail="the first is above the second", suggestion=f"[{high}, {low}]")
    return low, high


def check_seconds(value: object) -> Number | Pair:
    """Check a number of seconds above 0, or a pair of bounds."""
    if isinstance(value, list):
        return _check_pair(value)
    return check_number(value, MIN_SECONDS.value, MAX_SECONDS.value)


# ---------------------------------------------------------------------------- kinds


def choices(values: tuple[str, ...]) -> str:
    """List words as a sentence has them."""
    quoted = [f'"{value}"' for value in values]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def choice(*among: str, **later: str) -> Takes:
    """Take one of some words."""
    return Takes(
        lambda value, era: check_choice(value, among, **later), choices(among), Literal[among]
    )


def flag() -> Takes:
    """Take true or false."""

    def check(value: object, _era: Era) -> bool:
        if not isinstance(value, bool):
            fail("type")
        return value

    return Takes(check, "true or false", bool)


def _or_word(
    check: Check, expected: str | Callable[[Era], str], schema: Any, words: tuple[str, ...]
) -> Takes:
    if not words:
        return Takes(check, expected, schema)

    def either(value: object, era: Era) -> object:
        if not isinstance(value, str):
            return check(value, era)
        if value in words or difflib.get_close_matches(value[:100].lower(), words, n=1):
            return check_choice(value, words)
        fail("type")

    def both(era: Era) -> str:
        first = expected if isinstance(expected, str) else expected(era)
        return f"{first}, or {choices(words)}"

    return Takes(either, both, schema | Literal[words])


def whole(valid: Range | Callable[[Era], Range], unit: str = "", *words: str) -> Takes:
    """Take an integer, or one of some words such as "off"; the range may depend on the era."""
    if isinstance(valid, Range):
        bounds = Annotated[int, Field(ge=valid.minimum, le=valid.maximum)]
        expected = f"an integer from {valid}{unit}"
        return _or_word(lambda value, era: check_whole(value, valid), expected, bounds, words)
    by_era = valid
    widest = by_era(ERAS[DEFAULT_ERA.value])
    return _or_word(
        lambda value, era: check_whole(value, by_era(era)),
        lambda era: f"an integer from {by_era(era)} ({unit or 'by era'}, era {era.name})",
        Annotated[int, Field(ge=1, le=widest.maximum)],
        words,
    )


def number(minimum: Number, maximum: Number, what: str = "a number", *words: str) -> Takes:
    """Take an integer or decimal number, or one of some words such as "off"."""
    return _or_word(
        lambda value, era: check_number(value, minimum, maximum),
        f"{what} from {minimum} to {maximum}",
        Annotated[float, Field(ge=minimum, le=maximum)],
        words,
    )


def seconds(*words: str, least: Number = MIN_SECONDS.value) -> Takes:
    """Take a number of seconds, or one of some words such as "off"."""
    return _or_word(
        lambda value, era: check_number(value, least, MAX_SECONDS.value),
        "a number of seconds, 0 or more" if least == 0 else "a number of seconds above 0",
        Annotated[float, Field(ge=least, le=MAX_SECONDS.value)],
        words,
    )


def table(model: type[BaseModel], expected: str, *words: str, **later: str) -> Takes:
    """Take a table, or one of some words."""

    def check(value: object, era: Era) -> object:
        if isinstance(value, str) and words:
            return check_choice(value, words, **later)
        return model.model_validate(value, context=Context(era=era))

    return Takes(check, expected, model | Literal[words] if words else model)


def _check_instant(value: object, _era: Era) -> int:
    try:
        return instant_us(value)
    except TypeError:
        fail("type")
    except (ValueError, OverflowError):
        fail("instant")


#: An instant, kept as microseconds since the epoch.
INSTANT: Final = Takes(
    _check_instant,
    "a date and time such as 2026-03-01T12:00:00Z (UTC where it has no offset)",
    str | int,
)


def _check_instant_or_off(value: object, era: Era) -> int | str:
    return "off" if value == "off" else _check_instant(value, era)


INSTANT_OR_OFF: Final = Takes(
    _check_instant_or_off, 'a date and time such as 2026-03-01T12:00:00Z, or "off"', str | int
)


def text(what: str) -> Takes:
    """Take text that is not empty."""

    def check(value: object, _era: Era) -> str:
        if not isinstance(value, str):
            fail("type")
        if not value:
            fail("choice")
        return value

    return Takes(check, what, str)


def texts(what: str, wrong: Callable[[str], str | None] | None = None) -> Takes:
    """Take an array of texts; ``wrong`` says what is wrong with one, if anything is."""

    def check(value: object, _era: Era) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            fail("type")
        if not value or "" in value:
            fail("choice")
        for one in value:
            if wrong is not None and (detail := wrong(one)):
                fail("contradiction", detail=detail)
        return tuple(value)

    return Takes(check, what, list[str])
