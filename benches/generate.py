"""Make the synthetic trace that every contestant of the benchmarks replays.

Poisson arrivals at the rate that keeps 750 warm runs in flight, a truncated Zipf law over 1,000
functions, lognormal durations, and an init time per function. Only NumPy's PCG64 is drawn from,
column after column, so a seed gives the same facts as the project's other generators of this trace:
the digests in ``benches/workloads.py`` hold for it.

Examples
--------
::

    python benches/generate.py benches/data/1m --rows 1_000_000 --forms trace raw
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SEED: Final = 20_260_801
FUNCTIONS: Final = 1_000
ZIPF: Final = 1.1
IN_FLIGHT: Final = 750
#: Median (µs) and sigma of the lognormal laws.
DURATION: Final = (100e3, 1.0)
INIT: Final = (300e3, 0.5)

#: What `lambda-replay convert` writes, and what suits a pipeline: docs/decisions.
ROW_GROUP: Final = 131_072


@dataclass(frozen=True)
class Facts:
    """One row per invocation, in order of arrival.

    Attributes
    ----------
    at_us
        Arrival, microseconds from 0.
    function
        Number of the function; 0 is the most popular.
    duration_us
        Handler time, at least 1.
    init_us
        Init time of each function.
    """

    at_us: NDArray[np.int64]
    function: NDArray[np.uint32]
    duration_us: NDArray[np.int64]
    init_us: NDArray[np.int64]


def draw(rows: int) -> Facts:
    """Draw the facts; the order of the draws is part of the trace."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    median_us, sigma = DURATION
    rate_per_s = IN_FLIGHT / (median_us / 1e6 * math.exp(sigma * sigma / 2.0))
    at = rng.exponential(1e6 / rate_per_s, rows)
    np.cumsum(at, out=at)
    at_us = np.floor(at, out=at).astype(np.int64)
    del at
    weights = np.arange(1, FUNCTIONS + 1, dtype=np.float64) ** -ZIPF
    shares = np.cumsum(weights) / weights.sum()
    place = np.searchsorted(shares, rng.random(rows), side="right")
    function = np.minimum(place, FUNCTIONS - 1).astype(np.uint32)
    del place
    duration = _lognormal(rng, DURATION, rows)
    np.maximum(duration, 1, out=duration)
    return Facts(at_us, function, duration, _lognormal(rng, INIT, FUNCTIONS))


def _lognormal(rng: np.random.Generator, law: tuple[float, float], count: int) -> NDArray[np.int64]:
    median, sigma = law
    values = rng.normal(math.log(median), sigma, count)
    np.exp(values, out=values)
    return np.rint(values, out=values).astype(np.int64)


def write_trace(facts: Facts, path: Path) -> None:
    """Write the canonical trace: what a user would hand to ``lambda-replay run``."""
    names = pl.Enum([f"fn-{number:04}" for number in range(FUNCTIONS)])
    span = pl.Duration("us")
    frame = pl.DataFrame(
        [
            pl.Series("timestamp", facts.at_us).cast(pl.Datetime("us")),
            pl.Series("function", facts.function).cat.to(names).cast(pl.Categorical()),
            pl.Series("duration_ms", facts.duration_us).cast(span),
            pl.Series("init_ms", facts.init_us[facts.function]).cast(span),
        ]
    )
    frame.write_parquet(path, compression="zstd", row_group_size=ROW_GROUP)


def write_raw(facts: Facts, path: Path) -> None:
    """Write four i64 columns after each other: arrival, function, duration, init."""
    with path.open("wb") as out:
        for column in (
            facts.at_us,
            facts.function,
            facts.duration_us,
            facts.init_us[facts.function],
        ):
            np.ascontiguousarray(column, dtype="<i8").tofile(out)


def write_peers(facts: Facts, path: Path) -> None:
    """Write the columns that the peers' scripts read."""
    frame = pl.DataFrame(
        {
            "ts_us": facts.at_us,
            "fn": facts.function,
            "dur_us": facts.duration_us,
            "init_us": facts.init_us[facts.function],
        }
    )
    frame.write_parquet(path, compression="zstd")


#: Suffix and writer of each form of the trace.
FORMS: Final[dict[str, tuple[str, Callable[[Facts, Path], None]]]] = {
    "trace": (".parquet", write_trace),
    "raw": (".raw", write_raw),
    "peers": (".peers.parquet", write_peers),
}


def main() -> None:
    """Write the forms asked for, each whole or not at all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("stem", type=Path, help="path without suffix")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    arguments = parser.parse_args()
    facts = draw(arguments.rows)
    for form in arguments.forms:
        suffix, write = FORMS[form]
        path = Path(f"{arguments.stem}{suffix}")
        unfinished = path.with_name(f".{path.name}.unfinished")
        write(facts, unfinished)
        unfinished.replace(path)
        print(f"wrote {path}: {arguments.rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
