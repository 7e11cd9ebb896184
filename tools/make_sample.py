"""Make the sample trace ``azure2019`` from an excerpt of the Azure Functions Trace 2019.

The excerpt holds counts per function and minute, duration quantiles per function and memory per
application; a replay needs one row per invocation. This script expands the counts once, so that
everybody replays the same rows, and writes

* ``azure2019.parquet``: the trace, with its provenance in the Parquet metadata;
* ``azure2019-functions.csv``: the published hashes and statistics behind each readable name.

What is measured and what is assumed is told in ``azure2019.md`` beside them.

Examples
--------
From a checkout of the repository that holds the excerpt::

    python tools/make_sample.py dirigent/scripts/invitro_traces/samples/100 \
        python/lambda_replay/samples

Notes
-----
Every random number is a function of (seed, hash of the function, minute, purpose) and of its
position inside that minute: neither the order of the rows in the source nor the order of the
computation changes a single row. Only the raw output of Philox is used, which NumPy promises to
keep (NEP 19), never the distributions of ``numpy.random.Generator``, which may change.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

SEED: Final = 2019
#: Midnight of the nominal day, 2019-07-15 (UTC), in microseconds since the epoch. The trace covers
#: 2019-07-15 to 2019-07-28; which of these days the excerpt shows is not recorded in it.
NOMINAL_MIDNIGHT_US: Final = 1_563_148_800_000_000
MINUTE_US: Final = 60_000_000

#: Azure counts whole milliseconds, so a reported 0 is "less than one": its middle.
ZERO_MS: Final = 0.5
#: Durations are whole multiples of this: 0.01 ms, the resolution of Lambda's own REPORT lines.
DURATION_STEP_US: Final = 10
#: Lambda functions are commonly sized in these steps; 128 MB is the smallest there is.
MEMORY_STEP_MB: Final = 128

#: Probabilities of the seven published quantiles, and the mass between neighbours.
PROBABILITIES: Final = np.array([0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0])
MASSES: Final = np.diff(PROBABILITIES)
INNER_PERCENTILES: Final = (1, 25, 50, 75, 99)
REPORTED_COLUMNS: Final = (
    "minimum_ms",
    "p1_ms",
    "p25_ms",
    "p50_ms",
    "p75_ms",
    "p99_ms",
    "maximum_ms",
)
#: Steepest power law between two quantiles; beyond it the curve is all but a step.
MAX_TILT: Final = 50.0

#: What a random number is for: a word of the counter, so that no two uses share one.
PLACEMENT: Final = 1
DURATION: Final = 2
PHASE: Final = 3

ROW_GROUP_ROWS: Final = 131_072
METADATA: Final = {
    "lambda_replay.measured": json.dumps(
        [
            "invocations per function and minute (Azure Functions 2019)",
            "trigger of each function",
            "duration quantiles, minimum, maximum and average of each function over its day",
            "memory of each application, shared out evenly over its functions",
        ]
    ),
    "lambda_replay.assumed": json.dumps(
        [
            "instant inside each minute (uniform, timers evenly spaced)",
            "each single duration (drawn from the function's quantiles, mean as reported)",
            "arrival in the minute that counted the invocation (Azure counts after the run)",
            "every invocation a synchronous request, whatever its trigger",
            "memory size of each function (its share rounded up to a multiple of 128 MB)",
            "calendar date (nominal: a day of 2019-07-15 to 2019-07-28, which one is unknown)",
        ]
    ),
    "lambda_replay.source": (
        "Azure Functions Trace 2019, Microsoft (Shahrad et al., Serverless in the Wild, "
        "USENIX ATC 2020), as excerpted in github.com/eth-easl/dirigent "
        "scripts/invitro_traces/samples/100 at commit 143f50a349db6198bcec17cf178b6925b01c2f06"
    ),
    "lambda_replay.licence": (
        "CC BY 4.0 (data, Microsoft, counts expanded to single invocations by lambda-replay), "
        "MIT (excerpt, Copyright (c) 2024 EASL)"
    ),
}


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the excerpt.

    Attributes
    ----------
    name
        Trigger and the first six hex digits of the function's hash.
    trigger
        ``http``, ``timer``, ``queue``, ``event``, ``storage``, ``orchestration`` or ``others``.
    hashes
        ``HashOwner``, ``HashApp`` and ``HashFunction`` as published.
    first_minute
        Minute of the day, 1-based as published, of the first count.
    counts
        Invocations per minute.
    reported_ms
        Minimum, percentiles 1, 25, 50, 75, 99, and maximum. The ends are the true extremes of the
        day, the percentiles are of averages over 30 seconds.
    average_ms
        Reported average of the day.
    memory_share_mb
        Largest minute average of the application's memory, divided by its number of functions.
    """

    name: str
    trigger: str
    hashes: tuple[str, str, str]
    first_minute: int
    counts: Integers
    reported_ms: tuple[float, ...]
    average_ms: float
    memory_share_mb: float

    @property
    def key(self) -> int:
        """Identity of the function in every random draw: 64 bits of its hash."""
        return int(self.hashes[2][:16], 16)

    @property
    def quantiles_ms(self) -> Floats:
        """The reported quantiles, rising, with ``ZERO_MS`` for zeros."""
        return np.maximum.accumulate(np.maximum(np.array(self.reported_ms), ZERO_MS))

    @property
    def memory_mb(self) -> int:
        """Smallest multiple of 128 MB that holds the function's share."""
        return MEMORY_STEP_MB * max(1, math.ceil(self.memory_share_mb / MEMORY_STEP_MB))


def read_functions(folder: Path, prefix: str = "") -> list[Function]:
    """Read and join the three files of an excerpt.

    Parameters
    ----------
    folder
        Holds ``invocations.csv``, ``durations.csv`` and ``memory.csv``.
    prefix
        Of the three file names.

    Returns
    -------
    list[Function]
        Sorted by name. Columns are matched by name, never by position: published derivatives of
        the trace reorder them.

    Raises
    ------
    ValueError
        If a function has no durations or memory, occurs twice, or two names coincide.
    """
    keys = ["HashOwner", "HashApp", "HashFunction"]
    counts, durations, memory = (
        pl.read_csv(folder / f"{prefix}{kind}.csv", schema_overrides=dict.fromkeys(keys, pl.String))
        for kind in ("invocations", "durations", "memory")
    )
    minutes = sorted((column for column in counts.columns if column.isdigit()), key=int)
    if [int(minute) for minute in minutes] != list(range(int(minutes[0]), int(minutes[-1]) + 1)):
        msg = f"{prefix}invocations.csv: the minute columns are not consecutive"
        raise ValueError(msg)
    joined = counts.join(durations, on=keys, how="inner", validate="1:1").join(
        memory, on=keys, how="inner", validate="1:1"
    )
    if joined.height != counts.height:
        msg = f"{counts.height - joined.height} functions lack durations or memory"
        raise ValueError(msg)
    functions = sorted(
        (
            Function(
                name=f"{row['Trigger']}-{row['HashFunction'][:6]}",
                trigger=row["Trigger"],
                hashes=(row["HashOwner"], row["HashApp"], row["HashFunction"]),
                first_minute=int(minutes[0]),
                counts=np.array([row[minute] for minute in minutes], dtype=np.int64),
                reported_ms=(
                    float(row["Minimum"]),
                    *(float(row[f"percentile_Average_{p}"]) for p in INNER_PERCENTILES),
                    float(row["Maximum"]),
                ),
                average_ms=float(row["Average"]),
                memory_share_mb=float(row["AverageAllocatedMb_pct100"]),
            )
            for row in joined.iter_rows(named=True)
        ),
        key=lambda function: function.name,
    )
    if len({function.name for function in functions}) != len(functions):
        msg = "two functions would get the same name: take more digits of the hash"
        raise ValueError(msg)
    return functions


def uniforms(seed: int, key: int, minute: int, purpose: int, count: int) -> Floats:
    """Draw ``count`` numbers from [0, 1) that depend on nothing but the arguments.

    Parameters
    ----------
    seed, key
        The two words of the Philox key: the seed of the sample and the function's ``key``.
    minute, purpose
        Two words of the Philox counter: minute of the day, and what the numbers are for.
    count
        How many; a longer draw begins with the same numbers.

    Returns
    -------
    NDArray[np.float64]
    """
    philox = np.random.Philox(
        counter=np.array([0, minute, purpose, 0], dtype=np.uint64),
        key=np.array([seed, key], dtype=np.uint64),
    )
    raw = philox.random_raw(count)
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def mean_ms(quantiles_ms: Floats, tilt: float) -> float:
    """Return the exact mean, in ms, of the law that `durations_us` draws from.

    Between neighbours a < b the density is proportional to x ** -(1 + tilt), so with L = ln(b/a)
    the mean there is a * tilt / (1 - exp(-tilt * L)) * (exp((1 - tilt) * L) - 1) / (1 - tilt).
    """
    total = 0.0
    for mass, low, high in zip(MASSES, quantiles_ms[:-1], quantiles_ms[1:], strict=True):
        log_ratio = math.log(high / low)
        density = 1 / _growth(-tilt, log_ratio) if log_ratio > 0 else 1.0
        weight = _growth(1 - tilt, log_ratio) if log_ratio > 0 else 1.0
        total += float(mass) * float(low) * density * weight
    return total


def _growth(rate: float, length: float) -> float:
    """Return the integral of exp(rate * x) for x from 0 to ``length``."""
    exponent = rate * length
    return length if abs(exponent) < 1e-12 else length * math.expm1(exponent) / exponent


def fit_tilt(quantiles_ms: Floats, average_ms: float) -> float:
    """Return the tilt at which the mean is the reported average.

    Tilt 0, which is piecewise log-linear interpolation, overstates the work of this excerpt by
    29 %, mostly because it stretches the last per cent towards one extreme run. Multiplying every
    duration by average / mean would repair the mean and spoil the quantiles: the median of the
    largest function would fall from the measured 816 ms to 606 ms. Tilting the density between the
    quantiles, a power law with one exponent per function, repairs the mean, keeps every quantile,
    and cannot leave [minimum, maximum].

    Parameters
    ----------
    quantiles_ms
        Seven rising positive quantiles.
    average_ms
        Reported average; 0 counts as ``ZERO_MS``.

    Returns
    -------
    float
        Above 0 the mass lies nearer to the lower quantile of each pair, below 0 to the upper.
        Where none reaches the average (a function of few invocations, or of less than 1 ms),
        ``MAX_TILT`` with the better sign.
    """
    if quantiles_ms[0] == quantiles_ms[-1]:
        return 0.0
    target = max(average_ms, ZERO_MS)
    low, high = -MAX_TILT, MAX_TILT
    for _ in range(60):
        middle = (low + high) / 2
        # The mean falls as the tilt grows.
        if mean_ms(quantiles_ms, middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def durations_us(quantiles_ms: Floats, tilt: float, draws: Floats) -> Integers:
    """Map draws from [0, 1) to durations in whole steps of 10 µs."""
    segment = np.searchsorted(PROBABILITIES, draws, side="right") - 1
    within = (draws - PROBABILITIES[segment]) / MASSES[segment]
    low, high = quantiles_ms[segment], quantiles_ms[segment + 1]
    log_ratio = np.log(high / low)
    if abs(tilt) < 1e-9:
        logarithm = within * log_ratio
    else:
        logarithm = np.log1p(within * np.expm1(-tilt * log_ratio)) / -tilt
    duration_ms = np.minimum(low * np.exp(logarithm), high)
    steps: Integers = np.rint(duration_ms * (1_000 / DURATION_STEP_US)).astype(np.int64)
    return steps * DURATION_STEP_US


def placements_us(function: Function, minute: int, count: int, phase: float, seed: int) -> Integers:
    """Place ``count`` invocations inside a minute, in µs from its beginning, rising.

    Timers are evenly spaced with a phase that the function keeps; all else is uniform, which given
    the count is the same as a Poisson process.
    """
    if function.trigger == "timer":
        instants = (np.arange(count) + phase) * (MINUTE_US / count)
    else:
        instants = np.sort(uniforms(seed, function.key, minute, PLACEMENT, count)) * MINUTE_US
    placed: Integers = np.minimum(instants.astype(np.int64), MINUTE_US - 1)
    return placed


def expand(functions: Sequence[Function], seed: int = SEED) -> pl.DataFrame:
    """Expand counts to one row per invocation.

    Parameters
    ----------
    functions
        In any order.
    seed
        Of every random draw.

    Returns
    -------
    pl.DataFrame
        ``timestamp`` (Datetime, µs), ``function`` (Categorical), ``duration_ms`` (Duration, µs),
        ``memory_mb`` (Int32); sorted by timestamp, ties by name.
    """
    parts = []
    for function in sorted(functions, key=lambda function: function.name):
        tilt = fit_tilt(function.quantiles_ms, function.average_ms)
        phase = float(uniforms(seed, function.key, 0, PHASE, 1)[0])
        timestamps, durations = [], []
        for index in np.flatnonzero(function.counts):
            count = int(function.counts[index])
            minute = function.first_minute + int(index)
            # Minute 1 is 00:00:00 to 00:00:59.
            begin_us = NOMINAL_MIDNIGHT_US + (minute - 1) * MINUTE_US
            timestamps.append(begin_us + placements_us(function, minute, count, phase, seed))
            draws = uniforms(seed, function.key, minute, DURATION, count)
            durations.append(durations_us(function.quantiles_ms, tilt, draws))
        parts.append(
            pl.DataFrame(
                {
                    "timestamp": np.concatenate(timestamps),
                    "function": function.name,
                    "duration_ms": np.concatenate(durations),
                    "memory_mb": function.memory_mb,
                },
                schema={
                    "timestamp": pl.Int64,
                    "function": pl.String,
                    "duration_ms": pl.Int64,
                    "memory_mb": pl.Int32,
                },
            )
        )
    # The sort is stable, so ties stay in order of name.
    return (
        pl.concat(parts)
        .sort("timestamp", maintain_order=True)
        .with_columns(
            pl.col("timestamp").cast(pl.Datetime("us")),
            pl.col("function").cast(pl.Categorical),
            pl.col("duration_ms").cast(pl.Duration("us")),
        )
    )


def describe_functions(functions: Sequence[Function]) -> pl.DataFrame:
    """Return the table that leads from readable names back to what was published."""
    rows = []
    for function in sorted(functions, key=lambda function: function.name):
        tilt = fit_tilt(function.quantiles_ms, function.average_ms)
        rows.append(
            {
                "function": function.name,
                "trigger": function.trigger,
                "invocations": int(function.counts.sum()),
                "active_minutes": int(np.count_nonzero(function.counts)),
                **dict(zip(REPORTED_COLUMNS, function.reported_ms, strict=True)),
                "average_ms": function.average_ms,
                "tilt": round(tilt, 4),
                "modelled_mean_ms": round(mean_ms(function.quantiles_ms, tilt), 2),
                "memory_share_mb": round(function.memory_share_mb, 2),
                "memory_mb": function.memory_mb,
                "hash_owner": function.hashes[0],
                "hash_app": function.hashes[1],
                "hash_function": function.hashes[2],
            }
        )
    return pl.DataFrame(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        description="Expand an excerpt of the Azure Functions Trace 2019 to the sample azure2019."
    )
    parser.add_argument(
        "source",
        type=Path,
        help="folder with invocations.csv, durations.csv and memory.csv",
    )
    parser.add_argument("output", type=Path, help="folder for the trace and its table of functions")
    parser.add_argument("--prefix", default="", help="of the three file names (dirigent100_)")
    parser.add_argument("--seed", type=int, default=SEED, help="default %(default)s")
    options = parser.parse_args(arguments)

    functions = read_functions(options.source, options.prefix)
    trace = expand(functions, options.seed)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "azure2019.parquet"
    trace.write_parquet(
        path,
        compression="zstd",
        compression_level=22,
        row_group_size=ROW_GROUP_ROWS,
        metadata=METADATA,
    )
    describe_functions(functions).write_csv(options.output / "azure2019-functions.csv")
    sys.stderr.write(
        f"{path}: {trace.height} invocations of {len(functions)} functions, "
        f"{path.stat().st_size} bytes\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
