"""``lr.size``: what it says is what replaying every size says."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lambda_replay as lr
from lambda_replay.checks import parse
from lambda_replay.size import SizeError
from properties.replays import S, drawn

BARE: dict[str, Any] = {"idle": {"policy": "fixed", "seconds": 3}, "env": {"max_lifetime": "off"}}

rows = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from("ab"), st.integers(1, 6)), min_size=1, max_size=18
)


def trace_of(given_rows: list[tuple[float, str, float]], **columns: Any) -> pl.DataFrame:
    ordered = sorted(given_rows, key=lambda row: row[0])
    return pl.DataFrame(
        {
            "timestamp": [round(at * S) for at, _, _ in ordered],
            "function": [name for _, name, _ in ordered],
            "duration_ms": [1_000.0 * length for _, _, length in ordered],
            **columns,
        }
    )


def brute(
    trace: pl.DataFrame, scenario: lr.Scenario, key: str, sizes: range, target: str
) -> tuple[int | None, int | None, list[int]]:
    """Replay every size; gives value, smallest, and what fails in between."""
    check = parse(target)
    meeting: dict[int, bool] = {}
    for number in sizes:
        result = lr.replay(trace, scenario.with_(key, number))
        functions = {row["function"]: row for row in result.functions.to_dicts()}
        judged = check.evaluate(result.summary.to_dict(), functions)
        meeting[number] = judged.holds or judged.value is None
    good = [number for number in sizes if meeting[number]]
    if not good:
        return None, None, []
    value = None
    for number in reversed(sizes):
        if not meeting[number]:
            break
        value = number
    return value, good[0], [n for n in sizes if n > good[0] and not meeting[n]]


TARGETS = ("throttles <= 0", "throttled <= 2", "loss_rate < 25%", "cold_starts <= 3")


@drawn(60)
@given(
    rows=rows,
    init=st.sampled_from([0, 4_000]),
    tokens=st.booleans(),
    rates=st.booleans(),
    target=st.sampled_from(TARGETS),
)
def test_account_is_as_brute_force(
    rows: list[tuple[float, str, float]], init: int, tokens: bool, rates: bool, target: str
) -> None:
    scaling: Any = {"capacity": 2, "refill_per_s": 0.1, "rps_coupling": False} if tokens else "off"
    account = {"concurrency": 3, "scaling": scaling, **BARE}
    if not rates:
        account["requests_per_second"] = "off"
    scenario = lr.Scenario(account=account, defaults={"init_ms": init})
    trace = trace_of(rows)
    found = lr.size(trace, scenario, target=target)
    sizes = range(1, found.peak + 1)
    value, smallest, failing = brute(trace, scenario, "account.concurrency", sizes, target)
    if found.value is not None and found.value > found.peak:
        # The request rate that follows the limit asks for more than the peak of units.
        assert value is None
        return
    assert (found.value, found.smallest) == (value, smallest)
    assert list(found.failing) == (failing if value != smallest else [])
    assert found.exact


@drawn(40)
@given(rows=rows, target=st.sampled_from(["throttles <= 0", "function=a: throttles <= 0"]))
def test_reserved_is_as_brute_force(rows: list[tuple[float, str, float]], target: str) -> None:
    if not any(name == "a" for _, name, _ in rows):
        return
    scenario = lr.Scenario(
        account={"concurrency": 104, "scaling": "off", "requests_per_second": "off", **BARE}
    )
    trace = trace_of(rows * 3)
    found = lr.size(trace, scenario, what="reserved", function="a", target=target)
    key = "functions.a.reserved_concurrency"
    top = min(found.peak, 4)
    value, smallest, _ = brute(trace, scenario, key, range(top + 1), target)
    assert (found.value, found.smallest) == (value, smallest)


def test_a_larger_size_that_fails_is_shown() -> None:
    """More is not always better: tokens go to the wrong requests (docs/decisions/0018)."""
    trace = trace_of([(0, "f", 1), (0, "f", 1), (5, "f", 1), (7, "f", 1)])
    account = {
        "concurrency": 1,
        "requests_per_second": "off",
        "scaling": {"capacity": 2, "refill_per_s": 0.05, "rps_coupling": False},
        **BARE,
    }
    scenario = lr.Scenario(account=account)
    throttles = {
        number: lr.replay(trace, scenario.with_("account.concurrency", number)).summary.throttles
        for number in (1, 2)
    }
    assert throttles == {1: 1, 2: 2}
    found = lr.size(trace, scenario, target="throttles <= 1")
    assert (found.value, found.smallest, found.failing) == (None, 1, (2,))
    assert "not every size in between: 2 fails" in str(found)


def test_the_answer_was_replayed_and_so_were_its_neighbours() -> None:
    found = lr.size("sample:azure2019", lr.Scenario())
    assert found.value is not None and found.value == found.smallest
    rows = {row["size"]: row for row in found.table.to_dicts()}
    assert rows[found.value]["meets"] and not rows[found.value - 1]["meets"]
    assert rows[found.value + 1]["meets"]
    assert found.result is not None and found.result.summary.throttles == 0
    notes = dict(found.notes)
    assert f"quota of {found.value}" in notes["quota"]
    assert max(map(len, str(found).splitlines())) <= 100
    assert len(str(found).splitlines()) <= 36


def test_what_other_limits_refuse_no_size_helps() -> None:
    trace = trace_of([(0, "a", 1)])
    scenario = lr.Scenario(functions={"a": {"reserved_concurrency": 0}})
    found = lr.size(trace, scenario)
    assert found.value is None and found.smallest is None
    assert "reserved_zero 1" in found.proof
    assert found.to_dict()["value"] is None


def test_provisioned_says_break_even_and_schedule() -> None:
    trace = trace_of([(hour * 3_600, "a", 1) for hour in range(10) for _ in range(3)])
    found = lr.size(trace, lr.Scenario(), what="provisioned", function="a")
    assert found.value == 3 and found.target == "function=a: cold_starts <= 0"
    notes = dict(found.notes)
    assert "break-even" in notes and "00-10 h: 3" in notes["schedule"]
    cheapest = lr.size(trace, lr.Scenario(), what="provisioned", function="a", target="cheapest")
    costs = dict(cheapest.table.select("size", "cost_usd.total").iter_rows())
    assert cheapest.value == min(costs, key=lambda number: (costs[number], number)) == 0


def test_downstream_is_the_largest_cap_within_its_limit() -> None:
    trace = trace_of([(at, name, 4) for at in range(6) for name in ("api-a", "api-b")])
    scenario = lr.Scenario(
        account={"concurrency": 300},
        downstream={"db": {"functions": ["api-*"], "limit": 10, "per_environment": 2}},
    )
    found = lr.size(trace, scenario, what="downstream", downstream="db")
    assert found.value == 2 and found.smallest == 2
    for number, limit in ((2, 10), (3, 10)):
        scoped = scenario.with_('functions."api-*".reserved_concurrency', number)
        metrics = lr.replay(trace, scoped).metrics
        assert metrics is not None
        alive = metrics.filter(pl.col("function").is_not_null()).group_by("timestamp")
        most = alive.agg(pl.col("environments").sum())["environments"].max()
        assert isinstance(most, int) and (2 * most <= limit) == (number <= 2)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"what": "shards", "source": "orders"}, "there is no event source 'orders'"),
        ({"what": "maximum_concurrency"}, "which event source"),
        ({"what": "nothing"}, "is one of account, reserved"),
        ({"what": "reserved"}, "of which function"),
        ({"what": "reserved", "function": "zzz"}, "not in the trace"),
        ({"what": "downstream"}, "which downstream service"),
        ({"what": "downstream", "downstream": "db"}, "there is no downstream 'db'"),
        ({"target": "throttledd > 0"}, "there is no measure"),
    ],
)
def test_wrong_questions(options: dict[str, Any], part: str) -> None:
    with pytest.raises(ValueError, match=part) as caught:
        lr.size("sample:azure2019", lr.Scenario(), **options)
    assert caught.value.exit_code == 2  # type: ignore[attr-defined]


def test_a_limit_that_changes_has_no_one_size() -> None:
    change = {"at": "2019-07-15T10:00:00Z", "set": {"account.concurrency": 5}}
    with pytest.raises(SizeError, match="changes at"):
        lr.size("sample:azure2019", lr.Scenario(changes=[change]))
