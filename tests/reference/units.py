"""How a scenario writes times and numbers, and switches things off."""

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def seconds_to_us(value: float | Fraction) -> int:
    """Return a scenario's seconds in microseconds, to the nearest, halves up."""
    return math.floor(Fraction(value) * 1_000_000 + Fraction(1, 2))


def milliseconds_to_us(value: float | Fraction) -> int:
    """Return milliseconds in microseconds, to the nearest, halves up.

    A float is multiplied and rounded in IEEE doubles, as the product does it; anything else is
    exact.
    """
    # rule: Z3 (halves up)
    if isinstance(value, float):
        return math.floor(value * 1000.0 + 0.5)
    return math.floor(Fraction(value) * 1000 + Fraction(1, 2))


def exact(value: Any) -> Fraction:
    """Return a number as it is written: 0.1 is a tenth."""
    return Fraction(str(value)) if isinstance(value, float) else Fraction(value)


def instant_of(value: int | Fraction | str | datetime) -> int:
    """Return an instant of the scenario in microseconds since the epoch."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return (aware - EPOCH) // MICROSECOND
    return math.floor(Fraction(value))


def is_off(value: object) -> bool:
    """Tell whether something is switched off, or not there."""
    return value is None or value == "off"


def one_of(value: Any, *known: Any) -> Any:
    """Return a value that is among those known."""
    if value not in known:
        message = f"the reference does not model {value!r}, only {known}"
        raise ValueError(message)
    return value
