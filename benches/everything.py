"""Measure the careful way: a third of the requests asynchronous, locks, provisioned, scaling.

Prints rows per second of the whole replay in memory, three rounds each, for the plain pool, for
AWS's defaults and for everything at once on the same arrivals.

Examples
--------
::

    python benches/everything.py --rows 3000000
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time

import numpy as np
import polars as pl

import lambda_replay as lr

EPOCH_US = 1_700_000_000_000_000
PLAIN = lr.Scenario(
    account={
        "concurrency": 1_000,
        "requests_per_second": "off",
        "scaling": "off",
        "idle": {"policy": "fixed", "seconds": 600},
        "env": {"max_lifetime": "off"},
    }
)
EVERYTHING = lr.Scenario(
    account={"concurrency": 760},
    functions={"f1": {"provisioned_concurrency": 50, "timeout_s": 10}},
)


def trace(rows: int) -> pl.DataFrame:
    """Poisson arrivals of 1,000 functions, lognormal durations; about 750 in flight."""
    rng = np.random.default_rng(1)
    at = np.cumsum(rng.exponential(1 / 4_547, rows))
    function = np.minimum(rng.zipf(1.3, rows), 1_000)
    return pl.DataFrame(
        {
            "timestamp": (at * 1e6).astype(np.int64) + EPOCH_US,
            "function": pl.Series(function),
            "duration_ms": rng.lognormal(np.log(100), 1, rows),
            "source": pl.Series(rng.choice(["sync", "async"], rows, p=[2 / 3, 1 / 3])),
            "key": rng.integers(0, 100_000, rows),
            "keyed": rng.random(rows) < 0.1,
        }
    ).with_columns(pl.format("f{}", "function").cast(pl.Categorical).alias("function"))


def waiting(rows: int) -> None:
    """Events that all wait in back-off at once: the memory of each above the trace's own."""
    frame = pl.DataFrame(
        {
            "timestamp": pl.int_range(EPOCH_US, EPOCH_US + rows, eager=True),
            "function": pl.repeat("f", rows, eager=True).cast(pl.Categorical),
            "duration_ms": pl.repeat(1.0, rows, eager=True),
            "source": pl.repeat("async", rows, eager=True),
        }
    )
    # Nobody gets in until long after: a fault refuses everything for the first hour.
    scenario = lr.Scenario(
        faults=[{"at": EPOCH_US, "for_s": 3_600, "throttle": True}],
        replay={"until": EPOCH_US + 4_000_000},
        account={"requests_per_second": "off", "scaling": "off"},
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = lr.replay(frame, scenario)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    each = (peak - before) * 1_024 / rows
    print(f"{result.summary.pending:,} events wait: {each:.0f} bytes each above the frame")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--waiting", type=int, default=0, help="events in back-off at once")
    arguments = parser.parse_args()
    if arguments.waiting:
        waiting(arguments.waiting)
        return
    full = trace(arguments.rows)
    plain = full.select("timestamp", "function", "duration_ms")
    key = pl.when("keyed").then(pl.format("k{}", "key")).alias("state_key")
    everything = full.select("timestamp", "function", "duration_ms", "source", key)
    for name, frame, scenario in (
        ("plain pool", plain, PLAIN),
        ("AWS's defaults", plain, lr.Scenario()),
        ("everything", everything, EVERYTHING),
    ):
        rates = []
        for _ in range(3):
            started = time.perf_counter()
            lr.replay(frame, scenario)
            rates.append(arguments.rows / (time.perf_counter() - started) / 1e6)
        print(
            f"{name:16} {min(rates):.2f} {statistics.median(rates):.2f} {max(rates):.2f} M rows/s"
        )


if __name__ == "__main__":
    main()
