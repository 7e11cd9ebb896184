"""A small trace, and what every way of writing it down must lead to."""

from typing import Any

import polars as pl

import lambda_replay as lr
from lambda_replay import replay

S = 1_000_000
#: 2026-03-02 08:00:00 UTC.
BEGIN = 1_772_438_400 * S

#: Microseconds after BEGIN, function, duration in microseconds.
ROWS = [(0, "f", 1_500_000), (500_000, "g", 250_000), (500_000, "f", 1_000), (2_000_000, "f", 0)]

#: Two at a time: the third row is refused.
SCENARIO = lr.Scenario(account={"concurrency": 2, "idle": {"policy": "none"}})


def trace(**columns: Any) -> pl.DataFrame:
    """Return the rows, some columns replaced or added."""
    plain: dict[str, Any] = {
        "timestamp": [BEGIN + at for at, _, _ in ROWS],
        "function": [function for _, function, _ in ROWS],
        "duration_ms": [duration / 1_000 for _, _, duration in ROWS],
    }
    return pl.DataFrame({**plain, **columns})


def one_row(**columns: Any) -> pl.DataFrame:
    """Return a trace of one row, some columns replaced or added."""
    return pl.DataFrame({"timestamp": [BEGIN], "function": ["f"], "duration_ms": [1.0], **columns})


def outcomes(given: Any, scenario: lr.Scenario = SCENARIO) -> pl.DataFrame:
    """Return the outcomes of a trace."""
    found = replay(given, scenario, outcomes=True).outcomes
    assert found is not None
    return found


def as_expected(given: Any) -> bool:
    """Tell whether a trace replays as the rows above."""
    return outcomes(given).equals(outcomes(trace()), null_equal=True)
