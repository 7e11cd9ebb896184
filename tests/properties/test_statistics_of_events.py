"""Shared records, asynchronous events and reserved units against closed forms, with fixed seeds.

As in ``test_statistics``: a simulated mean is compared within four standard errors of batch means.
"""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest

import lambda_replay as lr
from properties.replays import BEGIN, S
from properties.test_statistics import FOREVER, LAWS, erlang_b, poisson, standard_error

ROWS = 100_000
#: No limit binds.
ENDLESS = {
    **FOREVER,
    "concurrency": 1_000_000,
    "requests_per_second": "off",
    "scaling": "off",
    "async": {"jitter_half": 0},
}


def outcomes_of(trace: pl.DataFrame, **sections: object) -> pl.DataFrame:
    """Return the outcomes of a replay."""
    account = {**ENDLESS, **sections.pop("account", {})}  # type: ignore[dict-item]
    found = lr.replay(trace, lr.Scenario(account=account, **sections), outcomes=True).outcomes
    assert found is not None
    return found


# ---- shared records ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("law", "share"), [("exponential", 1.0), ("deterministic", 0.5), ("uniform", 2 / 3)]
)
@pytest.mark.parametrize("load", [0.3, 0.7])
def test_s_invariant_6_writers_of_one_record_wait_as_pollaczek_and_khinchine_say(
    law: str, share: float, load: float
) -> None:
    trace = poisson(load, LAWS[law], rows=ROWS, seed=11).with_columns(state_key=pl.lit("k"))
    outcomes = outcomes_of(trace)
    waits = outcomes["lock_wait_ms"].to_numpy() / 1_000
    # With mean durations of 1: load / (1 - load), times half the second moment.
    expected = share * load / (1 - load)
    assert waits.mean() == pytest.approx(expected, abs=4 * standard_error(waits))
    assert standard_error(waits) < 0.1
    # And to the microsecond, by Lindley's recursion.
    at = (outcomes["start"] - outcomes["start"][0]).dt.total_microseconds().to_list()
    lasts = (trace["duration_ms"] * 1_000).round().cast(pl.Int64).to_list()
    free, exact = 0, []
    for arrival, duration in zip(at, lasts, strict=True):
        begin = max(arrival, free)
        exact.append(begin - arrival)
        free = begin + duration
    assert np.rint(waits * S).astype(np.int64).tolist() == exact


def test_s_readers_of_one_record_never_wait_and_one_key_each_is_none() -> None:
    trace = poisson(5, LAWS["exponential"], rows=ROWS, seed=12)
    free = outcomes_of(trace)
    readers = trace.with_columns(state_key=pl.lit("k"), state_access=pl.lit("read"))
    distinct = trace.with_columns(state_key=pl.int_range(pl.len()))
    assert outcomes_of(readers).equals(free, null_equal=True)
    assert outcomes_of(distinct).equals(free, null_equal=True)


def test_s_a_wait_is_duration_and_holds_concurrency() -> None:
    # In an M/M/1 queue there are load / (1 - load) on average, waiting ones included.
    trace = poisson(0.6, LAWS["exponential"], rows=ROWS, seed=13).with_columns(state_key=pl.lit(1))
    summary = lr.replay(trace, lr.Scenario(account=ENDLESS)).summary
    assert summary.mean_concurrency == pytest.approx(0.6 / 0.4, rel=0.05)
    assert summary.duration_ms.mean == pytest.approx(1_000 / 0.4, rel=0.05)
    assert summary.state["runs"] == ROWS
    assert summary.state["waits"] / ROWS == pytest.approx(0.6, abs=0.01)


# ---- reserved units ------------------------------------------------------------------------


def test_reserved_units_are_a_loss_system_of_their_own() -> None:
    # The other function floods what is left of the account, and takes nothing away.
    trace = poisson(4, LAWS["lognormal"], rows=ROWS, seed=14)
    flood = poisson(40, LAWS["exponential"], rows=ROWS, seed=15).with_columns(function=pl.lit("g"))
    both = pl.concat([trace, flood]).sort("timestamp", maintain_order=True)
    scenario = {
        "account": {"concurrency": 15, "min_unreserved": 5},
        "functions": {"f": {"reserved_concurrency": 6}},
    }
    outcomes = outcomes_of(both, **scenario)
    for name, load, units in (("f", 4, 6), ("g", 40, 9)):
        own = outcomes.filter(pl.col("function") == name)
        refused = (own["outcome"] == "throttled").cast(pl.Float64).to_numpy()
        allowed = min(4 * standard_error(refused), 0.02)
        assert refused.mean() == pytest.approx(erlang_b(load, units), abs=allowed)


# ---- asynchronous events -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_s", "attempts", "dropped_s"),
    [(60, 6, 31), (180, 8, 127), (300, 9, 255), (3_600, 20, 3_511), (21_600, 80, 21_511)],
)
def test_f5_4_without_jitter_ages_of_attempts_are_powers_of_two_up_to_five_minutes(
    age_s: int, attempts: int, dropped_s: int
) -> None:
    trace = pl.DataFrame(
        {
            "timestamp": [BEGIN, BEGIN],
            "function": ["g", "f"],
            "duration_ms": [30_000_000.0, 1.0],
            "source": ["sync", "async"],
        }
    )
    scenario = lr.Scenario(
        account={**FOREVER, "concurrency": 1, "async": {"jitter_half": 0}},
        functions={"f": {"maximum_event_age_s": age_s}},
    )
    result = lr.replay(trace, scenario, outcomes=True, attempts=True)
    assert result.outcomes is not None
    assert result.attempts is not None
    event = result.outcomes.row(1, named=True)
    assert (event["outcome"], event["reason"]) == ("dropped", "EventAgeExceeded")
    assert event["attempts"] == event["throttles"] == attempts
    assert (event["settled"] - event["timestamp"]).total_seconds() == dropped_s
    tried = result.attempts.filter(pl.col("row") == 1)["start"]
    ages = (tried - event["timestamp"]).dt.total_microseconds().to_list()
    waits = [later - earlier for earlier, later in pairwise(ages)]
    assert waits == [min(300, 2**number) * S for number in range(attempts - 1)]
    # The metric is over every attempt.
    assert result.summary.async_age_ms.max == dropped_s * 1_000
    assert result.summary.async_age_ms.mean == pytest.approx(sum(ages) / attempts / 1_000)


def test_q21_jitter_is_uniform_and_of_every_event_its_own() -> None:
    rows = 50_000
    trace = pl.select(
        timestamp=pl.int_range(BEGIN, BEGIN + rows * S, S),
        function=pl.lit("f"),
        duration_ms=pl.lit(0.0),
        source=pl.lit("async"),
        error=pl.lit("handled"),
    )
    scenario = lr.Scenario(account={**ENDLESS, "async": {}})
    attempts = lr.replay(trace, scenario, attempts=True).attempts
    assert attempts is not None
    starts = attempts.sort("row", "attempt").select(
        (pl.col("start").diff().over("row").dt.total_microseconds() / S).alias("wait"), "attempt"
    )
    for number, wait in ((2, 60), (3, 120)):
        waits = starts.filter(pl.col("attempt") == number)["wait"].to_numpy() / wait
        assert len(waits) == rows
        assert waits.min() >= 0.875
        assert waits.max() <= 1.125
        spread = 0.25 / np.sqrt(12 * rows)
        assert waits.mean() == pytest.approx(1, abs=4 * spread)
        # Kolmogorov and Smirnov: 1.95 / sqrt(n) is passed once in a thousand times.
        ordered = np.sort((waits - 0.875) / 0.25)
        assert np.abs(ordered - np.arange(rows) / rows).max() < 1.95 / np.sqrt(rows)


def test_a_queue_before_one_unit_loses_no_event_and_works_all_the_time() -> None:
    # Half a unit of load: every event gets through, and what ran is what was sent.
    trace = poisson(0.5, LAWS["exponential"], rows=ROWS, seed=16).with_columns(
        source=pl.lit("async")
    )
    scenario = lr.Scenario(account={**ENDLESS, "concurrency": 1})
    summary = lr.replay(trace, scenario).summary
    assert summary.success == ROWS
    assert summary.max_concurrency == 1
    assert summary.throttles > ROWS / 2
    worked = summary.billed_s
    assert worked == pytest.approx(trace["duration_ms"].sum() / 1_000, rel=0.001)
    # Whoever is refused waits at least until the unit is free: more than in a queue in order.
    assert summary.wait_ms.mean is not None
    assert summary.wait_ms.mean > 1_000 * 0.5 / 0.5


# ---- cold starts ---------------------------------------------------------------------------


def test_a_slow_function_with_asynchronous_rows_starts_cold_as_a_synchronous_one() -> None:
    trace = poisson(1 / 600, LAWS["deterministic"], rows=ROWS, seed=17).with_columns(
        duration_ms=pl.lit(0.001)
    )
    idle = {"account": {"idle": {"policy": "fixed", "seconds": 600}}, "defaults": {"init_ms": 0}}
    cold = outcomes_of(trace, **idle)["cold"]
    assert cold.mean() == pytest.approx(np.exp(-1), abs=4 * np.sqrt(0.25 / ROWS))
    events = outcomes_of(trace.with_columns(source=pl.lit("async")), **idle)
    assert events["cold"].equals(cold)
