"""What provisioned pollers of event sources cost, from a replay to the bill (E5.6, E6, F7)."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest

import lambda_replay as lr

BEGIN = 1_772_438_400_000_000
USD_PER_UNIT_HOUR = {"sqs": 0.00925, "sqs_fifo": 0.00925, "kafka": 0.185}


def replay(kind: str, seconds: int = 200, **keys: Any) -> lr.ReplayResult:
    count = seconds * 2
    trace = pl.DataFrame(
        {
            "timestamp": [BEGIN + i * 500_000 for i in range(count)],
            "function": pl.Series([None] * count, dtype=pl.String),
            "duration_ms": [20.0] * count,
            "source": ["s"] * count,
            "key": [f"k{i % 9}" for i in range(count)],
        }
    )
    source = {"type": kind, "function": "f:live", **keys}
    return lr.replay(trace, lr.Scenario(event_sources={"s": source}))


@pytest.mark.parametrize("kind", ["sqs", "sqs_fifo", "kafka"])
def test_pollers_are_billed_by_unit_and_second(kind: str) -> None:
    shards = {"shards": 4} if kind == "kafka" else {}
    plain = replay(kind, **shards)
    result = replay(kind, provisioned_pollers={"min": 2}, **shards)
    units_s = result.source_metrics["EventPollerUnit"].sum() * 60
    # Two pollers for as long as the trace lasts; of Kafka's, ten make a unit.
    assert units_s == pytest.approx(200 if kind == "kafka" else 400, abs=2)
    expected = math.ceil(round(units_s, 6)) / 3_600 * USD_PER_UNIT_HOUR[kind]
    cost, without = result.summary.cost_usd, plain.summary.cost_usd
    assert cost is not None and without is not None
    assert without["other"] == 0 and plain.source_metrics["EventPollerUnit"].null_count() > 0
    assert cost["other"] == pytest.approx(expected, rel=1e-9)
    parts = (cost[name] for name in ("requests", "duration", "provisioned", "other"))
    assert cost["total"] == pytest.approx(math.fsum(parts))
    # The function bears them.
    row = result.functions.row(0, named=True)
    assert row["function"] == "f" and row["cost_usd"] == pytest.approx(cost["total"])
    assert cost["adjustment"] == 0


def test_a_minute_is_the_least() -> None:
    result = replay("sqs", seconds=1, provisioned_pollers={"min": 2})
    assert result.summary.cost_usd is not None
    assert result.summary.cost_usd["other"] >= 60 / 3_600 * 0.00925
