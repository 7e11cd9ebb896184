"""A synchronous trace goes the plain way; asking for attempts makes it go the careful one."""

from typing import Any

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

import lambda_replay as lr
from differential.comparison import table
from properties.replays import BEGIN, S, drawn

#: Limits near what a drawn trace asks for, and none.
RATES = st.one_of(st.just("off"), st.integers(0, 12))


@st.composite
def accounts(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an account whose limits of rates bind now and then."""
    mode = draw(st.sampled_from(["continuous", "step", "sliding"]))
    scaling: dict[str, Any] = {
        "scope": draw(st.sampled_from(["function", "region"])),
        "mode": mode,
        "capacity": draw(st.integers(1, 4)),
        "rps_coupling": draw(st.booleans()),
    }
    return {
        "concurrency": draw(st.integers(1, 12)),
        "requests_per_second": draw(RATES),
        "scaling": draw(st.sampled_from([scaling, scaling, "off"])),
        "idle": {"policy": "fixed", "seconds": draw(st.integers(1, 3))},
    }


def trace(seed: int, rows: int) -> pl.DataFrame:
    """Return rows of three functions, many at one instant, some with an init over ten seconds."""
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "timestamp": np.sort(random.integers(0, 12 * S, rows) // 250_000 * 250_000) + BEGIN,
            "function": random.choice(["f", "g", "g:live"], rows).astype(object),
            "duration_ms": random.integers(0, 5, rows) * 125.0,
            "init_ms": random.choice(
                [0.0, 300.0, 300.0, 10_000.0, 10_001.0], rows, p=[0.4, 0.3, 0.2, 0.08, 0.02]
            ),
        },
        schema_overrides={"function": pl.String},
    )


@drawn(60)
@given(account=accounts(), seed=st.integers(0, 1_000), rows=st.integers(1, 160))
def test_both_ways_through_the_loop_agree_where_rates_bind(
    account: dict[str, Any], seed: int, rows: int
) -> None:
    scenario = lr.Scenario(account=account, defaults={"init_ms": 250})
    plain, careful = (
        lr.replay(trace(seed, rows), scenario, outcomes=True, attempts=attempts)
        for attempts in (False, True)
    )
    assert table(plain.outcomes) == table(careful.outcomes)
    assert table(plain.metrics) == table(careful.metrics)
    assert table(plain.functions) == table(careful.functions)
    assert plain.summary.to_dict() == careful.summary.to_dict()


def test_every_limit_of_rates_binds_in_the_plain_pool() -> None:
    account = {
        "concurrency": 30,
        "requests_per_second": 12,
        "scaling": {"capacity": 3, "rps_coupling": True},
        "idle": {"policy": "none"},
    }
    result = lr.replay(trace(3, 2_000).drop("init_ms"), lr.Scenario(account=account), outcomes=True)
    limits = set(result.outcomes["limit"].drop_nulls())
    assert {"account_rps", "scaling_rate"} <= limits
