"""Long traces against closed forms of queueing theory, with fixed seeds: no luck is involved.

A simulated share of ``n`` requests is compared within four standard errors, which are taken from
the means of batches, since requests near each other share their fate.
"""

import math
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import lambda_replay as lr
from properties.replays import BEGIN, S

ROWS = 200_000
FOREVER = {"idle": {"policy": "none"}, "env": {"max_lifetime": "off"}}

Floats = NDArray[np.float64]
Law = Callable[[np.random.Generator, int], Floats]

#: Laws of durations with mean 1.
LAWS: dict[str, Law] = {
    "exponential": lambda random, count: random.exponential(1.0, count),
    "deterministic": lambda random, count: np.ones(count),
    "uniform": lambda random, count: random.uniform(0.0, 2.0, count),
    "lognormal": lambda random, count: random.lognormal(-0.5, 1.0, count),
    "of two sizes": lambda random, count: random.choice([0.1, 9.1], count, p=[0.9, 0.1]),
}


def poisson(rate: float, law: Law, *, rows: int = ROWS, seed: int = 1) -> pl.DataFrame:
    """Return Poisson arrivals with durations of mean 1 s, so that ``rate`` is the offered load."""
    random = np.random.default_rng(seed)
    at = np.cumsum(random.exponential(1 / rate, rows))
    return pl.DataFrame(
        {
            "timestamp": BEGIN + np.rint(at * S).astype(np.int64),
            "function": pl.repeat("f", rows, dtype=pl.String, eager=True),
            "duration_ms": law(random, rows) * 1_000,
        }
    )


def replay(trace: pl.DataFrame, **account: object) -> tuple[lr.Summary, pl.DataFrame]:
    """Return the summary and the outcomes."""
    result = lr.replay(trace, lr.Scenario(account={**FOREVER, **account}), outcomes=True)
    assert result.outcomes is not None
    return result.summary, result.outcomes


def standard_error(hits: Floats, batches: int = 50) -> float:
    """Return the standard error of a mean, from the means of batches."""
    means = hits[: len(hits) // batches * batches].reshape(batches, -1).mean(axis=1)
    return float(means.std(ddof=1) / math.sqrt(batches))


def erlang_b(load: float, servers: int) -> float:
    """Return the share of requests that a loss system refuses."""
    blocking = 1.0
    for count in range(1, servers + 1):
        blocking = load * blocking / (count + load * blocking)
    return blocking


@pytest.mark.parametrize(("load", "servers"), [(0.5, 1), (8, 10), (80, 100)])
def test_throttles_follow_erlang_b(load: float, servers: int) -> None:
    trace = poisson(load, LAWS["exponential"])
    summary, outcomes = replay(trace, concurrency=servers)
    refused = (outcomes["outcome"] == "throttled").cast(pl.Float64).to_numpy()
    assert summary.throttle_rate == pytest.approx(refused.mean())
    # A bound of our own keeps a broken standard error from allowing anything.
    allowed = min(4 * standard_error(refused), 0.02)
    assert summary.throttle_rate == pytest.approx(erlang_b(load, servers), abs=allowed)


@pytest.mark.parametrize("law", list(LAWS))
def test_throttles_do_not_depend_on_the_law_of_durations_but_on_their_mean(law: str) -> None:
    summary, outcomes = replay(poisson(8, LAWS[law], seed=2), concurrency=10)
    refused = (outcomes["outcome"] == "throttled").cast(pl.Float64).to_numpy()
    allowed = min(4 * standard_error(refused), 0.02)
    assert summary.throttle_rate == pytest.approx(erlang_b(8, 10), abs=allowed)


@pytest.mark.parametrize("load", [0.3, 5.0, 60.0])
def test_without_a_limit_concurrency_is_poisson_with_the_offered_load(load: float) -> None:
    summary, _ = replay(poisson(load, LAWS["exponential"], seed=3), concurrency=1_000_000)
    assert summary.throttles == 0
    seconds = ROWS / load
    # The number in flight is correlated over one mean duration.
    error = math.sqrt(2 * load / seconds)
    assert summary.mean_concurrency == pytest.approx(load, abs=4 * error)
    share = {"p50": 0.5, "p99": 0.99}
    for name, wanted in share.items():
        term = cumulated = math.exp(-load)
        level = 0
        while cumulated < wanted:
            level += 1
            term *= load / level
            cumulated += term
        assert abs(getattr(summary.concurrency, name) - level) <= (1 if load > 1 else 0)


@pytest.mark.parametrize("mean_gap_over_ttl", [0.5, 1.0, 3.0])
def test_a_slow_function_starts_cold_with_probability_e_to_minus_rate_times_idle_time(
    mean_gap_over_ttl: float,
) -> None:
    rows, idle_s = 100_000, 600
    rate = 1 / (mean_gap_over_ttl * idle_s)
    # Runs take no time to speak of, so that one environment serves them all, one after the other.
    trace = poisson(rate, LAWS["deterministic"], rows=rows, seed=4).with_columns(
        pl.lit(0.001).alias("duration_ms")
    )
    summary, outcomes = replay(trace, idle={"policy": "fixed", "seconds": idle_s})
    assert summary.max_concurrency == 1
    share = math.exp(-rate * idle_s)
    error = math.sqrt(share * (1 - share) / rows)
    assert summary.cold_start_rate == pytest.approx(share, abs=4 * error)
    # And exactly: cold where the gap to the last release is not below the idle time.
    gaps = (outcomes["start"] - outcomes["end"].shift(1)).dt.total_microseconds()
    assert outcomes["cold"].to_list() == (gaps.fill_null(2**62) >= idle_s * S).to_list()


def test_halving_keeps_a_single_environment_for_less_than_one_period() -> None:
    rows, period_s, gap_s = 100_000, 380, 300
    trace = poisson(1 / gap_s, LAWS["deterministic"], rows=rows, seed=5).with_columns(
        pl.lit(0.001).alias("duration_ms")
    )
    summary, outcomes = replay(trace, idle={"policy": "halving"})
    assert summary.max_concurrency == 1
    # Half of one, rounded up, is one: gone at the first tick, which its release started.
    gaps = (outcomes["start"] - outcomes["end"].shift(1)).dt.total_microseconds()
    assert outcomes["cold"].to_list() == (gaps.fill_null(2**62) >= period_s * S).to_list()
    share = math.exp(-period_s / gap_s)
    error = math.sqrt(share * (1 - share) / rows)
    assert summary.cold_start_rate == pytest.approx(share, abs=4 * error)


@pytest.mark.parametrize("periods", range(8))
def test_of_a_burst_half_the_environments_survive_each_period_of_halving(periods: int) -> None:
    burst, period = 64, 380 * S
    first, second = BEGIN, BEGIN + S + periods * period + S
    trace = pl.DataFrame(
        {
            "timestamp": [first] * burst + [second] * burst,
            "function": ["f"] * (2 * burst),
            "duration_ms": [1_000.0] * (2 * burst),
        }
    )
    summary, _ = replay(trace, idle={"policy": "halving"})
    # Half rounded up goes: 64, 32, 16, … 1, none.
    assert summary.warm_starts == burst >> periods


def test_uniform_idle_times_are_uniform() -> None:
    low, high, rows = 100, 300, 40_000
    # Gaps of one length: warm with the probability that the drawn time is longer.
    for gap in (100, 150, 200, 250, 300):
        trace = pl.DataFrame(
            {
                "timestamp": BEGIN + np.arange(rows, dtype=np.int64) * gap * S,
                "function": pl.repeat("f", rows, dtype=pl.String, eager=True),
                "duration_ms": np.zeros(rows),
            }
        )
        summary, _ = replay(trace, idle={"policy": "uniform", "seconds": [low, high]})
        share = (gap - low) / (high - low)
        error = math.sqrt(max(share * (1 - share), 1 / rows) / rows)
        assert summary.cold_start_rate == pytest.approx(share, abs=4 * error)


def test_lifetimes_are_uniform_and_independent_of_idle_times() -> None:
    low, high, rows = 1_000, 5_000, 400_000
    # A request every second of one environment at a time: it is renewed after each lifetime.
    trace = pl.DataFrame(
        {
            "timestamp": BEGIN + np.arange(rows, dtype=np.int64) * S,
            "function": pl.repeat("f", rows, dtype=pl.String, eager=True),
            "duration_ms": np.zeros(rows),
        }
    )
    _, outcomes = replay(trace, env={"max_lifetime": [low, high]})
    born = outcomes.filter(pl.col("cold"))["row"].to_numpy().astype(np.int64)
    ages = np.diff(born)
    assert ages.min() >= low
    assert ages.max() <= high + 1
    mean, spread = (low + high) / 2, (high - low) / math.sqrt(12)
    assert ages.mean() == pytest.approx(mean + 0.5, abs=4 * spread / math.sqrt(len(ages)))
