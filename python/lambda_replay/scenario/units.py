"""Seconds, milliseconds and instants to whole microseconds; numbers as they were written."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Final, TypeAlias

__all__ = ["Number", "Pair", "exact", "instant_us", "ms_to_us", "s_to_us", "show_instant"]

Number: TypeAlias = int | float
Pair: TypeAlias = tuple[Number, Number]

_WHOLE: Final = Decimal(1)


def s_to_us(seconds: Number) -> int:
    """Round seconds to the nearest microsecond, halves up (Z3)."""
    return _to_us(seconds, 1_000_000)


def ms_to_us(milliseconds: Number) -> int:
    """Round milliseconds to the nearest microsecond, halves up (Z3)."""
    return _to_us(milliseconds, 1_000)


def _to_us(value: Number, factor: int) -> int:
    if isinstance(value, int):
        return value * factor
    # The shortest decimal that names the float is what the user wrote: 1.0005 ms is 1001 us,
    # though the float itself lies below the half.
    return int((Decimal(repr(value)) * factor).quantize(_WHOLE, rounding=ROUND_HALF_UP))


def exact(number: Number | str) -> Fraction:
    """Give a number as it was written: 0.1 is a tenth, ``"500/60"`` is 25/3.

    Raises
    ------
    ValueError
        The text is no number, or a fraction with a denominator of 0.
    """
    try:
        return Fraction(repr(number) if isinstance(number, float) else number)
    except ZeroDivisionError:
        raise ValueError(number) from None


_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_FIRST: Final = (dt.datetime.min.replace(tzinfo=dt.UTC) - _EPOCH) // _MICROSECOND
_LAST: Final = (dt.datetime.max.replace(tzinfo=dt.UTC) - _EPOCH) // _MICROSECOND


def instant_us(value: object) -> int:
    """Read an instant as microseconds since the epoch.

    Parameters
    ----------
    value
        A date with or without time, without an offset in UTC; text in ISO 8601; or an integer of
        microseconds since the epoch, as the trace may have them.

    Raises
    ------
    TypeError
        It is none of these.
    ValueError
        The text is no instant, or it lies outside the years 1 to 9999.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if not _FIRST <= value <= _LAST:
            raise ValueError(value)
        return value
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    if not isinstance(value, dt.datetime):
        raise TypeError(value)
    if value.tzinfo is None:
        value = value.replace(tzinfo=dt.UTC)
    return (value - _EPOCH) // _MICROSECOND


def show_instant(us: int) -> str:
    """Print an instant in ISO 8601, without the digits that are not needed."""
    return f"{(_EPOCH + us * _MICROSECOND).replace(tzinfo=None).isoformat()}Z"
