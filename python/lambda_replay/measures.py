"""Which way a measure is better, and how its values read.

The names and units of measures are those of :mod:`lambda_replay.checks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from lambda_replay.checks import MEASURES, Number, measure, unit_of
from lambda_replay.figures import count, mean, money, share_of, span_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ACCOUNT_MEASURES",
    "FUNCTION_MEASURES",
    "Verdict",
    "better_when",
    "flat",
    "shown",
    "shown_change",
    "verdict",
]

#: What is said of a difference; ``changed`` is neither good nor bad, ``unclear`` has a band of
#: differences in which zero lies.
Verdict: TypeAlias = Literal["better", "worse", "changed", "unclear", "same"]

_NEUTRAL: Final = frozenset(
    (
        "records invocations filtered warm_starts provisioned_invocations max_concurrency"
        " mean_concurrency environments_created bad_rows utilisation state.runs state.writers"
        " deliveries billed_s success"
    ).split()
)
_NEUTRAL_HEADS: Final = ("concurrency.", "duration_ms.", "deliveries.", "cost_usd.")

#: Measures of the whole account, in the order of tables.
ACCOUNT_MEASURES: Final = tuple(name for name in MEASURES if name != "utilisation")
#: Those that say for whom something changed.
FUNCTION_MEASURES: Final = (
    *("throttled", "dropped", "expired", "discarded", "error", "throttles", "never_ran"),
    *("cold_starts", "spillover_invocations", "conflicts", "lock_wait_s"),
    *("wait_ms.p99", "wait_ms.max", "async_age_ms.p99", "async_age_ms.max"),
    *("iterator_age_ms.p99", "iterator_age_ms.max", "cost_usd.total"),
)


def better_when(name: str) -> int:
    """Tell whether a measure is better when lower (-1), higher (1), or neither (0)."""
    if name in {"success", "cost_usd.total"}:
        return 1 if name == "success" else -1
    if name in _NEUTRAL or name.startswith(_NEUTRAL_HEADS):
        return 0
    return -1


def flat(
    values: Mapping[str, Any], names: tuple[str, ...] = ACCOUNT_MEASURES
) -> dict[str, Number | None]:
    """Give measures of a summary, or of a row of functions, by their dotted names."""
    return {name: measure(values, name) for name in names}


def verdict(name: str, low: float, high: float) -> Verdict:
    """Judge a band of differences to the first scenario."""
    if low == high == 0:
        return "same"
    if low <= 0 <= high:
        return "unclear"
    way = better_when(name)
    if way == 0:
        return "changed"
    return "better" if (high < 0) == (way < 0) else "worse"


def shown(name: str, value: Number | None) -> str:
    """Give a value for people."""
    if value is None:
        return "-"
    unit = unit_of(name)
    if unit == "share":
        return share_of(value)
    if unit in {"ms", "s"}:
        return span_ms(value * (1_000 if unit == "s" else 1))
    if unit == "USD":
        return money(value)
    return count(int(value)) if float(value).is_integer() else mean(value)


def shown_change(name: str, change: Number | None) -> str:
    """Give a difference for people, with its sign."""
    if change is None:
        return "-"
    if change == 0:
        return "0"
    value: Number = change if change > 0 else -change
    if float(value).is_integer() and unit_of(name) == "count":
        value = int(value)
    text = shown(name, value)
    if unit_of(name) == "share":
        text = text.replace("%", " pp")
    return ("+" if change > 0 else "-") + text
