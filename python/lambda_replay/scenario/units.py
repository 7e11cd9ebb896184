"""Seconds and milliseconds to whole microseconds."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final, TypeAlias

__all__ = ["Number", "Pair", "ms_to_us", "s_to_us"]

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
