"""Make the samples ``updates`` and ``updates-sync``: one workload with shared state, two doors.

Both hold the same requests: calls of an API, and updates of customers' records, of which one
customer gets far more than fit for two minutes. In ``updates-sync`` the updates are synchronous
calls that wait for each other's locks; in ``updates`` they are records of the event source
``updates``, with the customer as their key.

Examples
--------
From the root of the repository::

    python tools/make_updates_sample.py python/lambda_replay/samples

Notes
-----
Nothing is measured: all rows are drawn from a seed. Of the generator only ``random.random`` is
used, whose sequence Python promises to keep.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from pathlib import Path
from typing import Final

import polars as pl

from lambda_replay.ingest.formats import ASSUMED_KEY, MEASURED_KEY

__all__ = ["main", "workload"]

SEED: Final = 5
#: 2026-03-02 09:00 UTC, a Monday, in microseconds since the epoch.
BEGIN_US: Final = 1_772_442_000_000_000
SECOND_US: Final = 1_000_000
#: Ten minutes; in two of them one customer's updates come faster than they can be applied.
SPAN_S: Final = 600
BURST_S: Final = (180, 300)
CALLS_PER_S: Final = 20.0
UPDATES_PER_S: Final = 10.0
BURST_PER_S: Final = 6.0
CUSTOMERS: Final = 400
#: Medians and spreads of log-normal durations.
CALL_MS: Final = (40.0, 0.5)
UPDATE_MS: Final = (250.0, 0.25)
#: The one whose updates come in a burst.
BUSY: Final = "customer-007"


def _normal(draw: random.Random) -> float:
    """Draw from the standard normal distribution (Box and Muller)."""
    radius = math.sqrt(-2.0 * math.log(1.0 - draw.random()))
    return radius * math.cos(2.0 * math.pi * draw.random())


def _duration_ms(draw: random.Random, median: float, spread: float) -> float:
    return round(median * math.exp(spread * _normal(draw)), 2)


def _arrivals(draw: random.Random, per_s: float, begin_s: float, end_s: float) -> list[int]:
    """Draw a Poisson process: microseconds from the begin of the trace on."""
    found, at = [], begin_s
    while True:
        at += -math.log(1.0 - draw.random()) / per_s
        if at >= end_s:
            return found
        found.append(int(at * SECOND_US))


def workload(seed: int = SEED) -> pl.DataFrame:
    """Draw all rows, in order of time.

    Returns
    -------
    DataFrame
        ``timestamp``, ``function``, ``duration_ms``, ``state_key`` (the customer; null for calls).
    """
    draw = random.Random(seed)  # noqa: S311 - nothing secret
    rows: list[tuple[int, str, float, str | None]] = [
        (at, "api", _duration_ms(draw, *CALL_MS), None)
        for at in _arrivals(draw, CALLS_PER_S, 0, SPAN_S)
    ]
    for at in _arrivals(draw, UPDATES_PER_S, 0, SPAN_S):
        # Squared, so that some customers are busier than others.
        customer = f"customer-{int(CUSTOMERS * draw.random() ** 2):03}"
        rows.append((at, "apply", _duration_ms(draw, *UPDATE_MS), customer))
    rows += [
        (at, "apply", _duration_ms(draw, *UPDATE_MS), BUSY)
        for at in _arrivals(draw, BURST_PER_S, *BURST_S)
    ]
    schema = {
        "timestamp": pl.Int64,
        "function": pl.String,
        "duration_ms": pl.Float64,
        "state_key": pl.String,
    }
    return (
        pl.DataFrame(rows, schema=schema, orient="row")
        .sort("timestamp", maintain_order=True)
        .with_columns((pl.col("timestamp") + BEGIN_US).cast(pl.Datetime("us")))
    )


def main() -> None:
    """Write both samples into the folder given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    frame = workload()
    update = pl.col("function") == "apply"
    records = frame.with_columns(
        pl.when(update).then(pl.lit("updates")).alias("source"),
        pl.col("state_key").alias("key"),
    )
    metadata = {
        MEASURED_KEY: json.dumps(["nothing: every row is drawn by tools/make_updates_sample.py"]),
        ASSUMED_KEY: json.dumps(["arrivals, durations and keys"]),
    }
    for name, rows in (("updates-sync", frame), ("updates", records)):
        text = pl.col(pl.String).cast(pl.Categorical)
        rows.with_columns(text).write_parquet(
            folder / f"{name}.parquet", compression="zstd", metadata=metadata
        )


if __name__ == "__main__":
    main()
