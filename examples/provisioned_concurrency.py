"""Is provisioned concurrency worth it, and where is the break-even?

Sweeps the size and gives cost, cold starts, spillover and the price of each cold start avoided.
"""

from __future__ import annotations

import sys

import polars as pl

import lambda_replay as lr

FUNCTION = "queue-1fa065"


def answer(trace: str) -> pl.DataFrame:
    """Give a row per size; ``usd_per_cold_start_avoided`` is against none provisioned."""
    scenario = lr.Scenario(account={"concurrency": 1_000}, defaults={"init_ms": 257})
    key = f"functions.{FUNCTION}.provisioned_concurrency"
    points = lr.sweep(trace, scenario, {key: [0, 5, 10, 20]})
    cost, cold = pl.col("cost_usd.total"), pl.col("cold_starts")
    avoided = cold.first() - cold
    return points.select(
        pl.col(key).alias("provisioned"),
        cost.alias("cost_usd"),
        cold,
        pl.col("spillover_invocations"),
        pl.when(avoided > 0)
        .then((cost - cost.first()) / avoided)
        .alias("usd_per_cold_start_avoided"),
    )


if __name__ == "__main__":
    print(answer(sys.argv[1] if len(sys.argv) > 1 else "sample:azure2019"))
