"""Conditions on the numbers of a summary: what ``--fail-if`` understands.

Owns the grammar, the measures that can be named and how a condition is judged. Leaves out what
follows from it: the command line prints the answer and leaves with 99 where a condition holds.

>>> check = parse("throttle_rate > 0.1%")
>>> check.evaluate({"records": 1000, "throttled": 2}).holds
True
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from lambda_replay.exceptions import LambdaReplayError, cut, show

__all__ = ["MEASURES", "Check", "CheckError", "CheckResult", "Unit", "measure", "parse", "unit_of"]

#: What a measure counts in.
Unit: TypeAlias = Literal["count", "share", "ms", "s", "USD"]

Number: TypeAlias = int | float

_COUNTS = (
    "records invocations success error throttled dropped expired discarded filtered pending"
    " throttles cold_starts warm_starts provisioned_invocations spillover_invocations"
    " max_concurrency mean_concurrency environments_created never_ran bad_rows conflicts"
    " errors deliveries worst_10s.throttles"
).split()
_CONCURRENCY = "mean p50 p99 p999 max".split()
_DISTRIBUTION = "mean p50 p90 p99 p999 max".split()
_LIMITS = (
    "account_concurrency reserved_concurrency reserved_zero latest_blocked account_rps"
    " reserved_rps scaling_rate fault"
).split()
_SPILLOVER = "busy request_rate".split()
_DROPS = "EventAgeExceeded ZeroReservedConcurrency".split()
_COSTS = "requests duration provisioned other adjustment total".split()
#: What shared records came to, by unit.
_STATE: Final[dict[Unit, list[str]]] = {
    "count": (
        "runs writers waits conflicts longest_queue longest_chain time_outs blocked_mean"
        " blocked_max throttles"
    ).split(),
    "s": ["wait_s", "wait_billed_s"],
    "ms": ["longest_wait_ms"],
    "USD": ["wait_billed_usd"],
}
_SPANS = "wait_ms duration_ms async_age_ms iterator_age_ms".split()

#: What each rate is of what, where it is not given; errors of asynchronous events are losses too.
_RATES: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "throttle_rate": (("throttled",), ("records",)),
    "cold_start_rate": (("cold_starts",), ("invocations",)),
    "loss_rate": (("throttled", "dropped", "expired", "discarded"), ("records",)),
    "attempt_throttle_rate": (("throttles",), ("throttles", "invocations")),
}

#: Every measure by its dotted name, with its unit.
MEASURES: Final[Mapping[str, Unit]] = {
    **dict.fromkeys(_RATES, "share"),
    **dict.fromkeys(_COUNTS, "count"),
    **dict.fromkeys((f"throttles_by_limit.{name}" for name in _LIMITS), "count"),
    **dict.fromkeys((f"spillover_by_reason.{name}" for name in _SPILLOVER), "count"),
    **dict.fromkeys((f"dropped_by_reason.{name}" for name in _DROPS), "count"),
    **dict.fromkeys((f"concurrency.{name}" for name in _CONCURRENCY), "count"),
    **dict.fromkeys((f"{span}.{name}" for span in _SPANS for name in _DISTRIBUTION), "ms"),
    **dict.fromkeys(("lock_wait_s", "billed_s", "init_s", "at_limit_s"), "s"),
    **dict.fromkeys((f"cost_usd.{name}" for name in _COSTS), "USD"),
    **{f"state.{name}": unit for unit, names in _STATE.items() for name in names},
    "utilisation": "share",
}

#: Tables of which a summary has what is above 0.
_LEFT_OUT: Final = frozenset({"throttles_by_limit", "spillover_by_reason", "dropped_by_reason"})

#: Those that only a function has, and those that only the whole account has.
_OF_FUNCTIONS: Final = frozenset({"utilisation"})
_OF_ACCOUNT: Final = frozenset(
    {"at_limit_s"}
    | {name for name in MEASURES if name.startswith("state.")}
    | {f"cost_usd.{name}" for name in _COSTS if name != "total"}
)
#: ``deliveries.NAME`` counts what went to one destination.
_DELIVERIES: Final = "deliveries."

_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}

_FUNCTION = re.compile(r"\s*function\s*=\s*(?P<name>.*?)\s*:(?P<rest>[^:]*)", re.DOTALL)
_COMPARISON = re.compile(r"\s*(?P<left>[^<>=!]*?)\s*(?P<operator>[<>=!]+)\s*(?P<right>.*?)\s*")
_NUMBER = re.compile(
    r"(?P<number>[+-]?(?:[0-9][0-9_]{0,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,2})?)"
    r"\s*(?P<unit>[^\s0-9]*)"
)
_EXAMPLE: Final = "write, for example, throttle_rate > 0.1% or duration_ms.p99 >= 2s"


class CheckError(LambdaReplayError, ValueError):
    """A condition that cannot be understood, or that is about a function that is not there."""

    exit_code = 2
    default_code = "LR-C000"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What became of a condition.

    Attributes
    ----------
    check
        The condition.
    holds
        Whether it holds, so that the run fails. False where there is no value.
    value
        What the measure is, in its own unit; None where it has no value.
    measured
        Whether it was judged at all: it holds, or it has a value and rows were replayed. What was
        not judged did not pass.
    """

    check: Check
    holds: bool
    value: Number | None
    measured: bool = True

    @property
    def shown(self) -> str:
        """The value for people."""
        return _show_value(self.value, self.check)

    def to_dict(self) -> dict[str, object]:
        """Give plain values, for JSON."""
        check = self.check
        return {
            "expression": check.text,
            "function": check.function,
            "measure": check.measure,
            "operator": check.operator,
            "threshold": check.threshold,
            "unit": check.unit,
            "value": self.value,
            "holds": self.holds,
            "measured": self.measured,
        }


@dataclass(frozen=True, slots=True)
class Check:
    """A condition on one measure.

    Attributes
    ----------
    text
        As it was given.
    function
        Whose measure is meant; None is the whole account.
    measure
        A key of :data:`MEASURES`, or ``deliveries.`` and the name of a destination.
    operator
        ``<``, ``<=``, ``>``, ``>=``, ``==`` or ``!=``.
    threshold
        In the measure's own unit; a share is a fraction of 1.
    """

    text: str
    function: str | None
    measure: str
    operator: str
    threshold: Number

    @property
    def unit(self) -> Unit:
        """What the measure counts in."""
        return unit_of(self.measure)

    def evaluate(
        self,
        summary: Mapping[str, Any],
        functions: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> CheckResult:
        """Judge the condition.

        Parameters
        ----------
        summary
            ``Summary.to_dict()``.
        functions
            Rows of the functions table by the function's name; only needed where a condition names
            a function.

        Raises
        ------
        CheckError
            There is no such function, or no such destination.
        """
        values, replayed = summary, bool(summary.get("records", 1))
        if self.function is not None:
            known = functions or {}
            if not known and not replayed:
                return self.unmeasured()
            if self.function not in known:
                raise _unknown_function(self, known)
            values = known[self.function]
        elif self.measure.startswith(_DELIVERIES):
            _check_destination(self, summary)
        return self.evaluate_value(measure(values, self.measure), replayed=replayed)

    def evaluate_value(self, value: Number | None, *, replayed: bool = True) -> CheckResult:
        """Judge the condition on a value of its measure, whoever has it.

        Where nothing was ``replayed``, a count of 0 says nothing: a condition can hold then, but
        not pass.
        """
        holds = value is not None and _OPERATORS[self.operator](value, self.threshold)
        return CheckResult(self, holds, value, holds or (value is not None and replayed))

    def unmeasured(self) -> CheckResult:
        """Give the answer where there is nothing to judge the condition on."""
        return CheckResult(self, holds=False, value=None, measured=False)


def parse(expression: str) -> Check:
    """Read ``[function=NAME:] MEASURE OP NUMBER[%|ms|s]``.

    Parameters
    ----------
    expression
        MEASURE is a key of :data:`MEASURES` or ``deliveries.NAME``, OP one of
        ``< <= > >= == !=``. A number without a unit counts in the measure's own; a rate is a share
        of 1, so that 0.1% is 0.001.

    Raises
    ------
    CheckError
        With what is wrong and what would be right.
    """
    function, rest = None, expression
    if narrowed := _FUNCTION.fullmatch(expression):
        function, rest = narrowed["name"], narrowed["rest"]
        if not function:
            raise _wrong(expression, "the name of the function is missing")
    parts = _COMPARISON.fullmatch(rest)
    if parts is None:
        raise _wrong(expression, "it compares nothing", hint=_EXAMPLE)
    measure = parts["left"]
    _check_measure(expression, measure)
    _check_scope(expression, measure, function)
    if parts["operator"] not in _OPERATORS:
        found = "for equality write ==" if parts["operator"] == "=" else "use < <= > >= == or !="
        raise _wrong(expression, f"there is no operator {parts['operator']}", hint=found)
    threshold = _threshold(expression, measure, parts["right"])
    return Check(expression.strip(), function, measure, parts["operator"], threshold)


def _wrong(expression: str, why: str, *, hint: str | None = None) -> CheckError:
    return CheckError(f"the condition {show(expression)} is wrong: {why}", hint=hint)


def unit_of(measure: str) -> Unit:
    """Say what a measure counts in."""
    return "count" if measure.startswith(_DELIVERIES) else MEASURES[measure]


def _check_scope(expression: str, measure: str, function: str | None) -> None:
    """Refuse what only the account has of a function, and the reverse."""
    if function is None and measure in _OF_FUNCTIONS:
        why = f"only a function has {measure}"
        raise _wrong(expression, why, hint=f"write function=NAME: {measure} …")
    if function is not None and (measure in _OF_ACCOUNT or measure.startswith(_DELIVERIES)):
        head = measure.partition(".")[0]
        own = {"cost_usd": "cost_usd.total", "deliveries": "deliveries"}.get(head)
        hint = None if own is None else f"a function has {own}"
        raise _wrong(expression, f"only the whole account has {measure}", hint=hint)


def _check_measure(expression: str, measure: str) -> None:
    if measure in MEASURES or (measure.startswith(_DELIVERIES) and measure != _DELIVERIES):
        return
    if not measure:
        raise _wrong(expression, "the measure is missing", hint=_EXAMPLE)
    below = [name for name in MEASURES if name.startswith(f"{measure}.")]
    if below:
        why = f"{measure} is several numbers"
        raise _wrong(expression, why, hint=f"name one of them: {', '.join(below)}")
    near = difflib.get_close_matches(measure, MEASURES, n=1) or [
        name
        for name in (f"duration_ms.{measure}", *MEASURES)
        if name in MEASURES and (name.endswith(f".{measure}") or name.startswith(measure))
    ]
    hint = f"did you mean {near[0]}?" if near else f"measures: {', '.join(_heads())}"
    raise _wrong(expression, f"there is no measure {show(measure)}", hint=hint)


def _heads() -> list[str]:
    """Names of measures, those with several numbers once."""
    heads = dict.fromkeys(name.partition(".")[0] for name in MEASURES)
    return [head if head in MEASURES else f"{head}.*" for head in heads]


def _threshold(expression: str, measure: str, text: str) -> Number:
    """Read a number into the unit of the measure."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        if not text:
            raise _wrong(expression, "the number is missing", hint=_EXAMPLE)
        raise _wrong(expression, f"{show(text)} is no number", hint=_EXAMPLE)
    number, given, unit = Decimal(found["number"]), found["unit"], unit_of(measure)
    factors: dict[str, dict[str, str]] = {
        "count": {"": "1"},
        "share": {"": "1", "%": "0.01"},
        "ms": {"": "1", "ms": "1", "s": "1000"},
        "s": {"": "1", "s": "1", "ms": "0.001"},
        "USD": {"": "1"},
    }
    if given not in factors[unit]:
        raise _wrong(
            expression,
            f"{measure} {_takes(unit)}, not {show(given)}",
            hint=_rate_of(measure) if given == "%" else None,
        )
    # Decimal, so that 0.7% is the same number as 7 of 1,000.
    value = number * Decimal(factors[unit][given])
    if unit == "share" and value > 1:
        raise _wrong(
            expression, f"{measure} is at most 100%, which is 1", hint=f"did you mean {number}%?"
        )
    return int(value) if value == value.to_integral_value() else float(value)


def _takes(unit: Unit) -> str:
    return {
        "count": "is a count and takes no unit",
        "share": "takes % or no unit",
        "ms": "takes ms, s or no unit, which is ms",
        "s": "takes s, ms or no unit, which is s",
        "USD": "is in US dollars and takes no unit",
    }[unit]


def _rate_of(measure: str) -> str | None:
    rates = {
        "throttled": "throttle_rate",
        "cold_starts": "cold_start_rate",
        "throttles": "attempt_throttle_rate",
    }
    return f"the share is {rates[measure]}" if measure in rates else None


def _unknown_function(check: Check, known: Mapping[str, object]) -> CheckError:
    assert check.function is not None
    near = difflib.get_close_matches(check.function, known, n=3)
    message = f"{show(check.text)} names the function {show(check.function)}, not in the trace"
    if near:
        hint = f"nearest: {', '.join(map(show, near))}"
    elif known:
        few = list(known)[:3]
        hint = f"functions of the trace: {', '.join(map(show, few))}"
        hint += ", …" if len(known) > len(few) else ""
    else:
        hint = "the trace has no rows"
    return CheckError(message, hint=hint)


def _check_destination(check: Check, summary: Mapping[str, Any]) -> None:
    """Refuse a destination that neither got anything nor is in the scenario."""
    name = check.measure.removeprefix(_DELIVERIES)
    known = {*(summary.get("deliveries") or {}), *_destinations(summary.get("scenario"))}
    if name in known:
        return
    message = f"{show(check.text)} names the destination {show(name)}, not in the scenario"
    hint = f"destinations: {', '.join(map(show, sorted(known)))}" if known else "there is none"
    raise CheckError(message, hint=hint)


def _destinations(data: object) -> Iterator[str]:
    """Find what on_failure names, wherever it stands."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            if str(key).rpartition(".")[2] == "on_failure" and isinstance(value, str):
                yield value
            yield from _destinations(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from _destinations(value)


# ---------------------------------------------------------------------------- values


def measure(values: Mapping[str, Any], name: str) -> Number | None:
    """Find a measure among the numbers of a summary or of a function."""
    if name.startswith(_DELIVERIES):
        return int(values["deliveries"].get(name.removeprefix(_DELIVERIES), 0))
    if name == "deliveries" and isinstance(values.get(name), Mapping):
        return int(sum(values[name].values()))
    if name == "cost_usd.total" and not isinstance(values.get("cost_usd"), Mapping):
        # Of a function there is only the total.
        name = "cost_usd"
    if name in _RATES and name not in values:
        part, whole = (sum(values.get(key) or 0 for key in keys) for keys in _RATES[name])
        return part / whole if whole else None
    if name == "billed_s" and name not in values and "billed_ms" in values:
        return float(values["billed_ms"]) / 1_000
    value: Any = values
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None and name.partition(".")[0] in _LEFT_OUT:
        # Limits that bound nobody, and reasons of nothing, are left out of the summary.
        return 0
    return value if isinstance(value, int | float) else None


def _show_value(value: Number | None, check: Check) -> str:
    if value is None:
        return "no value"
    factor = 100 if check.unit == "share" else 1
    unit = {"count": "", "share": "%", "ms": " ms", "s": " s", "USD": " USD"}[check.unit]

    def rounded(number: Number) -> str:
        if isinstance(number, int) or number == int(number):
            return f"{int(number) * factor:,}"
        return f"{number * factor:,.0f}" if number * factor >= 10_000 else f"{number * factor:.4g}"

    text = rounded(value)
    if value != check.threshold and text == rounded(check.threshold):
        # Rounded, it would seem to be what it just misses.
        text = repr(value * factor)
    return cut(text) + unit
