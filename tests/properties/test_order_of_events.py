"""What comes first at one instant (Z1), among rows of one instant (Z2), and unsorted traces."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lambda_replay as lr
from differential.strategies import Case, cases
from properties.replays import (
    BEGIN,
    S,
    digest,
    drawn,
    fate,
    replayed,
    seconds_trace,
    with_identity,
)

FOREVER = {"idle": {"policy": "none"}, "env": {"max_lifetime": "off"}}
ONE = lr.Scenario(account={"concurrency": 1, **FOREVER})
MICROSECOND = 0.000_001


def outcomes(rows: list[tuple[float, float]], scenario: lr.Scenario = ONE) -> list[str]:
    """Return the outcome of each row of (arrival, duration) in seconds."""
    found = lr.replay(seconds_trace(rows), scenario, outcomes=True).outcomes
    assert found is not None
    return found["outcome"].to_list()


def colds(rows: list[tuple[float, float]], scenario: lr.Scenario) -> list[bool | None]:
    """Return whether each row started cold."""
    found = lr.replay(seconds_trace(rows), scenario, outcomes=True).outcomes
    assert found is not None
    return found["cold"].to_list()


def test_z1_a_run_ends_before_an_arrival_of_the_same_microsecond() -> None:
    assert outcomes([(0, 1), (1, 1), (2, 1)]) == ["success"] * 3


def test_z1_a_microsecond_earlier_it_is_still_running() -> None:
    assert outcomes([(0, 1), (1 - MICROSECOND, 1)]) == ["success", "throttled"]


def test_z1_what_ends_at_an_arrival_gives_it_its_environment() -> None:
    wide = lr.Scenario(account={"concurrency": 5, **FOREVER})
    assert colds([(0, 1), (1, 1)], wide) == [True, False]
    assert colds([(0, 1), (1 - MICROSECOND, 1)], wide) == [True, True]


@pytest.mark.parametrize(("gap", "cold"), [(10 - MICROSECOND, False), (10, True)])
def test_z1_q31_an_idle_time_that_is_just_over_comes_before_an_arrival(
    gap: float, cold: bool
) -> None:
    scenario = lr.Scenario(
        account={"idle": {"policy": "fixed", "seconds": 10}, "env": {"max_lifetime": "off"}}
    )
    assert colds([(0, 1), (1 + gap, 1)], scenario) == [True, cold]


@pytest.mark.parametrize(("at", "cold"), [(20 - MICROSECOND, False), (20, True)])
def test_z1_z5_a_lifetime_that_is_just_over_comes_before_an_arrival(at: float, cold: bool) -> None:
    scenario = lr.Scenario(account={"idle": {"policy": "none"}, "env": {"max_lifetime": 20}})
    assert colds([(0, 1), (at, 1)], scenario) == [True, cold]


def test_z2_rows_of_one_instant_keep_their_order_in_the_file() -> None:
    short_first, long_first = [(1, 1), (1, 2), (2, 1)], [(1, 2), (1, 1), (2, 1)]
    assert outcomes(short_first) == ["success", "throttled", "success"]
    assert outcomes(long_first) == ["success", "throttled", "throttled"]


def test_z2_ties_keep_their_order_when_others_are_out_of_order() -> None:
    assert outcomes([(2, 1), (1, 2), (1, 1)]) == ["throttled", "success", "throttled"]
    assert outcomes([(2, 1), (1, 1), (1, 2)]) == ["success", "success", "throttled"]


def test_a_run_of_no_length_is_over_before_the_next_arrival_of_its_instant() -> None:
    assert outcomes([(0, 0), (0, 0), (0, 1), (0, 0)]) == ["success"] * 3 + ["throttled"]


def test_z3_instants_are_floored_and_durations_go_to_the_nearest_half_up() -> None:
    trace = pl.DataFrame(
        {
            "timestamp": pl.Series([BEGIN * 1_000 + 999]).cast(pl.Datetime("ns")),
            "function": ["f"],
            "duration_ms": pl.Series([1_500]).cast(pl.Duration("ns")),
        }
    )
    row = lr.replay(trace, outcomes=True).outcomes
    assert row is not None
    assert row["start"].to_physical().to_list() == [BEGIN]
    assert row["end"].to_physical().to_list() == [BEGIN + 2]


def test_z3_instants_before_1970_are_floored_too() -> None:
    trace = pl.DataFrame(
        {
            "timestamp": pl.Series([-1_001, -1_000, -1]).cast(pl.Datetime("ns")),
            "function": ["f"] * 3,
            "duration_ms": [0.0] * 3,
        }
    )
    rows = lr.replay(trace, outcomes=True).outcomes
    assert rows is not None
    assert rows["timestamp"].to_physical().to_list() == [-2, -1, -1]


@drawn(30)
@given(case=cases(), data=st.data())
def test_z2_an_unsorted_trace_is_the_stably_sorted_one(case: Case, data: st.DataObject) -> None:
    case = with_identity(case)
    frame = case.frame()
    in_order = frame.with_columns(
        # Floored first: two instants of one microsecond are one.
        key=pl.col("timestamp").cast(pl.Datetime("us")).to_physical()
        if frame.schema["timestamp"] != pl.Int64
        else pl.col("timestamp")
    ).sort("key", maintain_order=True)
    # Any interleaving that keeps rows of one instant in their order.
    instants = in_order["key"].to_list()
    shuffle = data.draw(st.permutations(instants))
    waiting: dict[int, list[int]] = {}
    for position, instant in enumerate(instants):
        waiting.setdefault(instant, []).append(position)
    order = [waiting[instant].pop(0) for instant in shuffle]
    scenario = lr.Scenario(**case.sections)
    expected = lr.replay(in_order.drop("key"), scenario, outcomes=True)
    found = lr.replay(in_order[order].drop("key"), scenario, outcomes=True)
    assert expected.outcomes is not None
    assert found.outcomes is not None
    assert found.outcomes["row"].to_list() == list(range(len(order)))
    assert found.trace.was_sorted == (shuffle == instants)
    placed = found.outcomes.with_columns(row=pl.Series(order, dtype=pl.UInt64)).sort("row")
    assert placed.equals(expected.outcomes, null_equal=True)
    for name in ("metrics", "functions", "summary"):
        assert digest(found)[name] == digest(expected)[name]


def test_values_in_milliseconds_do_not_depend_on_the_number_of_rows() -> None:
    trace = seconds_trace([(0, 0.001_001), (0, 0.001_001)])
    scenario = lr.Scenario(defaults={"init_ms": 1.001})
    for rows in (1, 2):
        result = lr.replay(trace.head(rows), scenario, outcomes=True)
        assert result.outcomes is not None
        assert result.metrics is not None
        assert result.outcomes["init_ms"].to_list() == [1.001] * rows
        assert result.summary.duration_ms.mean == 1.001
        assert result.metrics["Duration_max"].to_list() == [1.001] * 2
        functions = result.functions.unnest("duration_ms", separator=".")
        assert functions["duration_ms.mean"].to_list() == [1.001]


@drawn(30)
@given(case=cases(), data=st.data())
def test_g12_what_comes_later_changes_nothing_before(case: Case, data: st.DataObject) -> None:
    case = with_identity(case)
    whole = replayed(case).arrivals
    count = data.draw(st.integers(1, len(whole)))
    kept = sorted(outcome["row"] for outcome in whole[:count])
    part = replayed(case.take(kept)).arrivals
    assert [fate(one) for one in part] == [fate(one) for one in whole[:count]]


def test_ends_of_one_instant_are_taken_in_order_of_arrival_z6() -> None:
    # Both end at 3 s; the one that arrived last is released last, so it is the most recently used.
    trace = pl.DataFrame(
        {
            "timestamp": [BEGIN, BEGIN + S, BEGIN + 3 * S],
            "function": ["f"] * 3,
            "duration_ms": [3_000.0, 2_000.0, 1.0],
        }
    )
    rows = lr.replay(trace, lr.Scenario(account=FOREVER), outcomes=True).outcomes
    assert rows is not None
    assert rows["environment"][2] == rows["environment"][1] != rows["environment"][0]
