"""How much reserved concurrency should this function have, and what would N have done?

Replays the trace under several sizes and gives, for each, what is refused of the function and of
all others, and how high its concurrency went.
"""

from __future__ import annotations

import sys

import polars as pl

import lambda_replay as lr

FUNCTION = "http-bb5d90"


def answer(trace: str) -> pl.DataFrame:
    """Give throttles and peak of the function, and throttles of all others, by size."""
    base = lr.Scenario(account={"concurrency": 150}, defaults={"init_ms": 257})
    key = f"functions.{FUNCTION}.reserved_concurrency"
    rows = []
    for size in (1, 2, 4, 8):
        result = lr.replay(trace, base.with_(key, size))
        own = result.functions.filter(pl.col("function") == FUNCTION).row(0, named=True)
        rows.append(
            {
                "reserved": size,
                "throttles": own["throttles"],
                "max_concurrency": own["max_concurrency"],
                "throttles_of_others": result.summary.throttles - own["throttles"],
            }
        )
    return pl.DataFrame(rows)


if __name__ == "__main__":
    table = answer(sys.argv[1] if len(sys.argv) > 1 else "sample:azure2019")
    print(table)
    enough = table.filter(pl.col("throttles") == 0)["reserved"].min()
    print(f"smallest tried without a throttle: {enough}")
