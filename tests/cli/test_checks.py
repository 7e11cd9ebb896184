"""The grammar of conditions, and how they are judged."""

from __future__ import annotations

import dataclasses
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lambda_replay as lr
from lambda_replay import _core
from lambda_replay.checks import MEASURES, CheckError, parse
from lambda_replay.results import Concurrency, Distribution


@pytest.mark.parametrize(
    ("expression", "function", "measure", "operator", "threshold"),
    [
        ("throttle_rate > 0.1%", None, "throttle_rate", ">", 0.001),
        ("throttle_rate>0.7%", None, "throttle_rate", ">", 0.007),
        ("cold_start_rate <= 0.25", None, "cold_start_rate", "<=", 0.25),
        ("  duration_ms.p99  >=  2s ", None, "duration_ms.p99", ">=", 2000),
        ("duration_ms.p99 >= 1.5 ms", None, "duration_ms.p99", ">=", 1.5),
        ("billed_s < 500ms", None, "billed_s", "<", 0.5),
        ("throttled != 0", None, "throttled", "!=", 0),
        ("records == 1_000_000", None, "records", "==", 1_000_000),
        ("records == 1e6", None, "records", "==", 1_000_000),
        ("function=f: throttled > 0", "f", "throttled", ">", 0),
        ("function = f:live : throttled > 0", "f:live", "throttled", ">", 0),
        ("function=a > b == c: throttled > 0", "a > b == c", "throttled", ">", 0),
        ("cost_usd.total > 12.5", None, "cost_usd.total", ">", 12.5),
        ("state.wait_s >= 500ms", None, "state.wait_s", ">=", 0.5),
        ("state.longest_wait_ms > 2s", None, "state.longest_wait_ms", ">", 2000),
        ("throttles_by_limit.scaling_rate > 0", None, "throttles_by_limit.scaling_rate", ">", 0),
        ("async_age_ms.p99 > 60s", None, "async_age_ms.p99", ">", 60_000),
        ("deliveries.dead letters > 0", None, "deliveries.dead letters", ">", 0),
        ("function=f: cost_usd.total > 1", "f", "cost_usd.total", ">", 1),
        ("function=f: deliveries > 1", "f", "deliveries", ">", 1),
        ("function=f: utilisation < 50%", "f", "utilisation", "<", 0.5),
    ],
)
def test_parse(
    expression: str, function: str | None, measure: str, operator: str, threshold: float
) -> None:
    check = parse(expression)
    assert check.function == function
    assert (check.measure, check.operator, check.threshold) == (measure, operator, threshold)
    assert check.text == expression.strip()


@pytest.mark.parametrize(
    ("expression", "message", "hint"),
    [
        ("", "compares nothing", "throttle_rate > 0.1%"),
        ("throttled", "compares nothing", "throttle_rate > 0.1%"),
        ("> 5", "measure is missing", "throttle_rate > 0.1%"),
        ("throttled >", "number is missing", "throttle_rate"),
        ("throttled > many", "'many' is no number", "throttle_rate"),
        ("throttled > nan", "'nan' is no number", None),
        ("throttled > 1 2", "is no number", None),
        ("throttled = 1", "no operator =", "=="),
        ("throttled =< 1", "no operator =<", "<="),
        ("throttled > 1%", "is a count and takes no unit", "throttle_rate"),
        ("throttle_rate > 5", "at most 100%", "5%"),
        ("throttle_rate > 200%", "at most 100%", None),
        ("throttle_rate > 5ms", "takes % or no unit", None),
        ("duration_ms.p99 > 5m", "takes ms, s or no unit", None),
        ("duration_ms > 5", "several numbers", "duration_ms.p99"),
        ("p99 > 5", "no measure 'p99'", "duration_ms.p99"),
        ("throtle_rate > 1%", "no measure", "throttle_rate"),
        ("xyzzy > 1", "no measure 'xyzzy'", "duration_ms.*"),
        ("function=: throttled > 1", "name of the function is missing", None),
        ("scenario == 1", "no measure", None),
        ("cost_usd > 1", "several numbers", "cost_usd.total"),
        ("cost_usd.total > 5%", "US dollars", None),
        ("utilisation < 50%", "only a function has utilisation", "function=NAME"),
        ("function=f: state.wait_s > 1", "only the whole account has state.wait_s", None),
        ("function=f: cost_usd.duration > 1", "only the whole account", "cost_usd.total"),
        ("function=f: deliveries.dlq > 1", "only the whole account", "has deliveries"),
        ("deliveries. > 1", "no measure", None),
        ("throttled > 1\n", None, None),
    ],
)
def test_bad_expressions_say_what_would_be_right(
    expression: str, message: str | None, hint: str | None
) -> None:
    if message is None:
        assert parse(expression).threshold == 1
        return
    with pytest.raises(CheckError, match="condition") as caught:
        parse(expression)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2
    if hint is not None:
        assert caught.value.hint is not None
        assert hint in caught.value.hint


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        check = parse(text)
    except CheckError as error:
        assert "\n" not in str(error)
    else:
        assert check.measure in MEASURES


def numbers(values: Any, path: str = "") -> set[str]:
    """Names of all numbers of a summary."""
    found = set()
    for field in dataclasses.fields(values):
        name = f"{path}{field.name}"
        if field.type in {"Distribution", "Concurrency"}:
            found |= numbers({"D": Distribution, "C": Concurrency}[str(field.type)[0]], f"{name}.")
        elif field.type in {"int", "float", "int | None", "float | None"}:
            found.add(name)
    return found


def test_measures_are_the_numbers_of_the_summary() -> None:
    nested = (
        "throttles_by_limit.",
        "spillover_by_reason.",
        "dropped_by_reason.",
        "cost_usd.",
        "state.",
    )
    own = {name for name in MEASURES if not name.startswith(nested)}
    others = {"worst_10s.throttles", "deliveries", "utilisation"}
    assert own - others == numbers(lr.Summary) - {"seed", "schema_version"}


def below(head: str) -> set[str]:
    return {name.removeprefix(head) for name in MEASURES if name.startswith(head)}


def test_nested_measures_are_those_of_a_replay() -> None:
    trace = pl.DataFrame(
        {"timestamp": [0, 1], "function": ["f", "f"], "duration_ms": [5.0, 5.0], "state_key": "k"}
    )
    result = lr.replay(trace)
    assert below("throttles_by_limit.") == set(_core.LIMITS)
    assert below("spillover_by_reason.") == set(_core.SPILLOVER_COUNTED)
    assert below("dropped_by_reason.") == set(_core.DROP_REASONS)
    assert result.summary.cost_usd is not None
    assert below("cost_usd.") == set(result.summary.cost_usd)
    assert below("state.") == set(result.summary.state)


def test_rates_are_those_of_the_contract() -> None:
    row = {
        "records": 200,
        "invocations": 100,
        "throttled": 50,
        "throttles": 300,
        "cold_starts": 25,
        "dropped": 10,
        "expired": 5,
        "discarded": 5,
    }
    rates = {
        "throttle_rate": 0.25,
        "cold_start_rate": 0.25,
        "loss_rate": 0.35,
        "attempt_throttle_rate": 0.75,
    }
    for name, value in rates.items():
        result = parse(f"function=f: {name} == {value}").evaluate({}, {"f": row})
        assert (result.value, result.holds) == (value, True)


def test_null_never_holds() -> None:
    for expression in ("throttle_rate >= 0", "throttle_rate != 0.5", "duration_ms.p99 < 1"):
        result = parse(expression).evaluate({"records": 0, "duration_ms": {"p99": None}})
        assert (result.value, result.holds, result.shown) == (None, False, "no value")


def test_a_limit_that_bound_nobody_is_zero() -> None:
    summary = {"throttles_by_limit": {"account_concurrency": 3}}
    assert parse("throttles_by_limit.scaling_rate == 0").evaluate(summary).holds
    assert parse("throttles_by_limit.account_concurrency == 3").evaluate(summary).holds


def test_deliveries_by_destination() -> None:
    summary = {"deliveries": {"dlq": 3}, "scenario": {"functions": {"f": {"on_failure": "late"}}}}
    for expression in ("deliveries == 3", "deliveries.dlq == 3", "deliveries.late == 0"):
        assert parse(expression).evaluate(summary).holds
    with pytest.raises(CheckError, match="'dql', not in the scenario") as caught:
        parse("deliveries.dql > 0").evaluate(summary)
    assert caught.value.hint == "destinations: 'dlq', 'late'"


def test_a_function_has_its_own_cost_and_losses() -> None:
    trace = pl.DataFrame(
        {
            "timestamp": [0, 1, 2],
            "function": ["f", "f", "g"],
            "duration_ms": [1e6, 1.0, 1.0],
            "source": ["sync", "async", "async"],
            "error": [None, "handled", None],
        }
    )
    result = lr.replay(trace)
    functions = {row["function"]: row for row in result.functions.to_dicts()}
    summary = result.summary.to_dict()
    # The asynchronous event whose every run fails is lost, as in the whole account.
    assert parse("function=f: loss_rate == 50%").evaluate(summary, functions).holds
    assert parse("loss_rate > 33%").evaluate(summary, functions).holds
    cost = parse("function=f: cost_usd.total > 0.002").evaluate(summary, functions)
    assert cost.holds
    assert cost.value == functions["f"]["cost_usd"]


def test_unknown_function_names_the_nearest() -> None:
    check = parse("function=chekout: throttled > 0")
    with pytest.raises(CheckError, match="chekout") as caught:
        check.evaluate({}, {"checkout": {}, "thumbs": {}})
    assert caught.value.hint == "nearest: 'checkout'"


@pytest.mark.parametrize(
    ("expression", "value", "shown"),
    [
        ("throttle_rate > 0.1%", 0.2488, "24.88%"),
        ("throttle_rate > 0.1%", 0.00100000001, "0.100000001%"),
        ("throttle_rate > 0.1%", 0.001, "0.1%"),
        ("throttled > 1", 12_345_678, "12,345,678"),
        ("duration_ms.p99 > 2s", 3850.24, "3850 ms"),
        ("billed_s > 1", 231_320.4, "231,320 s"),
    ],
)
def test_values_are_shown_so_that_they_do_not_seem_to_be_the_threshold(
    expression: str, value: float, shown: str
) -> None:
    check = parse(expression)
    summary: dict[str, Any] = {}
    inner = summary
    *path, last = check.measure.split(".")
    for part in path:
        inner = inner.setdefault(part, {})
    inner[last] = value
    assert check.evaluate(summary).shown == shown


def test_checks_agree_with_a_replay() -> None:
    result = lr.replay("sample:azure2019")
    summary = result.summary.to_dict()
    functions = {row["function"]: row for row in result.functions.to_dicts()}
    for measure in MEASURES.keys() - {"utilisation"}:
        value = parse(f"{measure} > 0").evaluate(summary).value
        assert value is None or value >= 0
        try:
            check = parse(f"function=queue-1fa065: {measure} > 0")
        except CheckError as error:
            assert "only the whole account" in str(error)
        else:
            check.evaluate(summary, functions)
    whole = parse("throttle_rate > 0").evaluate(summary).value
    assert whole == summary["throttle_rate"]
    billed = parse("function=queue-1fa065: billed_s > 0").evaluate(summary, functions)
    assert billed.value == functions["queue-1fa065"]["billed_ms"] / 1_000
