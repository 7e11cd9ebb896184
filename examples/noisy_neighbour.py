"""One function starves the others: what would a cap on it change, and for whom?

Compares eight times the traffic of today with the same under a reservation for the largest
function, which is a cap as well.
"""

from __future__ import annotations

import sys

import polars as pl

import lambda_replay as lr

NOISY = "queue-1fa065"


def answer(trace: str) -> tuple[lr.Comparison, pl.DataFrame]:
    """Give the comparison, and how many functions it is better and worse for, by measure."""
    today = lr.Scenario(account={"concurrency": 115}, replay={"load": 8.0})
    capped = today.with_(f"functions.{NOISY}.reserved_concurrency", 15)
    found = lr.compare(trace, {"today": today, "capped": capped})
    by_measure = found.functions.group_by("measure", "verdict").agg(pl.len().alias("functions"))
    return found, by_measure.sort("measure", "verdict")


if __name__ == "__main__":
    comparison, moved = answer(sys.argv[1] if len(sys.argv) > 1 else "sample:azure2019")
    print(comparison)
    print(moved)
