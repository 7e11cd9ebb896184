"""What the report says of shared records: whose they are, what waiting cost, the longest chain."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import lambda_replay as lr

_SECOND = 1_000_000


def _replay(state: dict[str, Any] | None = None, **account: Any) -> lr.ReplayResult:
    """Three runs of 2 s on one record, a second apart; the last is of another function."""
    trace = pl.DataFrame(
        {
            "timestamp": [0, _SECOND, 2 * _SECOND],
            "function": ["f", "f", "g"],
            "duration_ms": [2_000.0] * 3,
            "state_key": ["a"] * 3,
        }
    )
    functions = {"f": {"memory_mb": 1_024}, "g": {"memory_mb": 512, "architecture": "arm64"}}
    scenario = lr.Scenario(account=account, functions=functions, state=state or {})
    return lr.replay(trace, scenario)


def test_the_price_of_waiting_and_the_longest_chain() -> None:
    result = _replay()
    # f waits 1 s with 1 GB, g 2 s with half of it, on Arm.
    usd = 1 * 0.0000166667 + 1 * 0.0000133334
    state = result.summary.state
    assert state["wait_billed_s"] == 3.0
    assert state["longest_chain"] == 3
    assert state["wait_billed_usd"] == pytest.approx(usd, rel=1e-12)
    (key,) = result.keys.to_dicts()
    assert (key["state_key"], key["function"], key["longest_chain"]) == ("a", None, 3)
    assert key["wait_billed_usd"] == pytest.approx(usd, rel=1e-12)


def test_waiting_has_no_price_where_the_prices_of_the_region_are_not_known() -> None:
    result = _replay(pricing={"region": "xx-nowhere-1"})
    assert result.summary.cost_usd is None
    assert result.summary.state["wait_billed_usd"] is None
    assert result.keys["wait_billed_usd"].to_list() == [None]


def test_keys_of_functions_are_told_apart() -> None:
    keys = _replay({"scope": "function"}).keys
    assert keys.select("state_key", "function", "runs", "wait_ms", "longest_chain").rows() == [
        ("a", "f", 2, 1_000.0, 2),
        ("a", "g", 1, 0.0, 0),
    ]


def test_a_function_that_only_has_provisioned_environments_has_a_line() -> None:
    trace = pl.DataFrame({"timestamp": [0], "function": ["f"], "duration_ms": [1_000.0]})
    functions = {"idle": {"provisioned_concurrency": 2}, "none": {"memory_mb": 256}}
    result = lr.replay(trace, lr.Scenario(functions=functions))
    table = result.functions
    assert table["function"].to_list() == ["f", "idle"]
    assert table["records"].to_list() == [1, 0]
    cost = result.summary.cost_usd
    assert cost is not None
    assert table["cost_usd"].sum() + cost["adjustment"] == pytest.approx(cost["total"], rel=1e-9)
