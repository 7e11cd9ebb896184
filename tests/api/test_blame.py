"""``result.blame``: who held the capacity at each refusal, recomputed from the outcomes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lambda_replay as lr
from properties.replays import S, drawn

BARE: dict[str, Any] = {
    "requests_per_second": "off",
    "scaling": "off",
    "idle": {"policy": "none"},
    "env": {"max_lifetime": "off"},
}

rows = st.lists(
    st.tuples(st.integers(0, 20), st.sampled_from("abc"), st.integers(1, 8)),
    min_size=1,
    max_size=25,
)


def trace_of(drawn_rows: list[tuple[int, str, int]]) -> pl.DataFrame:
    ordered = sorted(drawn_rows, key=lambda row: row[0])
    return pl.DataFrame(
        {
            "timestamp": [at * S for at, _, _ in ordered],
            "function": [name for _, name, _ in ordered],
            "duration_ms": [float(1_000 * length) for _, _, length in ordered],
        }
    )


def expected(outcomes: pl.DataFrame, reserved: dict[str, int]) -> dict[tuple[str, str], Any]:
    """By victim and limit: refusals, and for each holder its units at each of them."""
    found: dict[tuple[str, str], list[dict[str, int]]] = defaultdict(list)
    flying: list[tuple[Any, str]] = []
    for row in outcomes.sort("row").to_dicts():
        at = row["timestamp"]
        # Ends come before arrivals at one instant (Z1).
        flying = [(end, name) for end, name in flying if end > at]
        if row["outcome"] != "throttled":
            flying.append((row["end"], row["function"]))
            continue
        held: dict[str, int] = defaultdict(int)
        for _, name in flying:
            held[name] += 1
        if row["limit"] == "account_concurrency":
            held = {**{n: k for n, k in held.items() if n not in reserved}, **reserved}
        else:
            held = {row["function"]: held[row["function"]]}
        found[row["function"], row["limit"]].append({n: k for n, k in held.items() if k})
    return found


@drawn(150)
@given(rows=rows, limit=st.integers(1, 4))
def test_holders_are_those_in_flight(rows: list[tuple[int, str, int]], limit: int) -> None:
    check(rows, lr.Scenario(account={"concurrency": limit, **BARE}), {})


@drawn(150)
@given(rows=rows, units=st.integers(1, 3), left=st.integers(0, 3))
def test_units_set_aside_are_held_by_whom_they_are_for(
    rows: list[tuple[int, str, int]], units: int, left: int
) -> None:
    scenario = lr.Scenario(
        account={"concurrency": units + 100 + left, **BARE},
        functions={"a": {"reserved_concurrency": units}},
    )
    check(rows * 5 if left else rows, scenario, {"a": units})


def check(
    rows: list[tuple[int, str, int]], scenario: lr.Scenario, reserved: dict[str, int]
) -> None:
    result = lr.replay(trace_of(rows), scenario, outcomes=True, blame=True)
    assert result.blame is not None and result.outcomes is not None
    wanted = expected(result.outcomes, reserved)
    seen: dict[tuple[str, str], dict[str, tuple[float, int]]] = defaultdict(dict)
    for row in result.blame.to_dicts():
        key = (row["victim"], row["limit"])
        assert row["throttles"] == len(wanted[key])
        assert row["first"] <= row["last"]
        seen[key][row["holder"]] = (row["held_mean"], row["held_max"])
    assert seen.keys() == wanted.keys()
    for key, refusals in wanted.items():
        names = {name for held in refusals for name in held}
        assert seen[key].keys() == names
        for name in names:
            units = [held.get(name, 0) for held in refusals]
            assert seen[key][name] == (sum(units) / len(units), max(units))


def test_what_only_waits_for_a_record_is_told_apart() -> None:
    trace = pl.DataFrame(
        {
            "timestamp": [0, S, 2 * S, 3 * S],
            "function": ["a", "a", "b", "c"],
            "duration_ms": [10_000.0] * 4,
            "state_key": ["k", "k", None, None],
        }
    )
    scenario = lr.Scenario(account={"concurrency": 3, **BARE}, state={"discipline": "lock"})
    result = lr.replay(trace, scenario, blame=True)
    assert result.blame is not None
    rows = {row["holder"]: row for row in result.blame.to_dicts()}
    assert (rows["a"]["held_max"], rows["a"]["waiting_max"]) == (1, 1)
    assert (rows["b"]["held_max"], rows["b"]["waiting_max"]) == (1, 0)


def test_nobody_holds_a_switched_off_function() -> None:
    trace = trace_of([(0, "a", 1)])
    scenario = lr.Scenario(functions={"a": {"reserved_concurrency": 0}})
    result = lr.replay(trace, scenario, blame=True)
    assert result.blame is not None
    (row,) = result.blame.to_dicts()
    assert row["limit"] == "reserved_zero" and row["holder"] is None and row["held_max"] is None


def test_who_does_not_ask_gets_none_and_the_same_numbers() -> None:
    scenario = lr.Scenario(account={"concurrency": 10})
    plain = lr.replay("sample:azure2019", scenario)
    blamed = lr.replay("sample:azure2019", scenario, blame=True)
    assert plain.blame is None
    assert plain.summary == blamed.summary
    assert blamed.blame is not None
    by_victim = blamed.blame.group_by("victim", "limit").agg(
        pl.col("throttles").first(), pl.col("held_mean").sum()
    )
    assert by_victim["throttles"].sum() == plain.summary.throttles
    # Whenever the account's limit refuses, all of it is held.
    assert by_victim["held_mean"].to_list() == pytest.approx([10.0] * by_victim.height)
