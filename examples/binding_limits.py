"""Why are there throttles, and by which limit?

Splits them by the limit that bound, and says when it was worst and who held the capacity.
"""

from __future__ import annotations

import sys

import polars as pl

import lambda_replay as lr


def answer(trace: str) -> tuple[dict[str, int], pl.DataFrame]:
    """Give throttles by limit, and the holders of the capacity by what they held on average."""
    result = lr.replay(trace, lr.Scenario(account={"concurrency": 10}), blame=True)
    assert result.blame is not None
    units = pl.col("throttles") * pl.col("held_mean")
    holders = (
        result.blame.group_by("holder")
        .agg(units.sum() / pl.col("throttles").sum())
        .rename({"throttles": "held_mean"})
        .sort("held_mean", descending=True)
    )
    return result.summary.throttles_by_limit, holders.head(5)


if __name__ == "__main__":
    limits, held = answer(sys.argv[1] if len(sys.argv) > 1 else "sample:azure2019")
    print(limits)
    print(held)
