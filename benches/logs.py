"""REPORT lines to columns: the compiled reader against expressions of Polars, on the same file.

``python benches/logs.py [LINES]`` writes an export task's lines, reads them by turns in fresh
processes of one thread each, and prints lines per second of processor time: smallest, middle and
greatest of five.
"""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

ROUNDS = 5

READ_OURS = """
import time, sys
from lambda_replay import _core
begin = time.process_time()
runs, rows = _core.LogRuns([sys.argv[1]], [sys.argv[1]], function="f"), 0
while (taken := runs.take()) is not None:
    rows += len(taken[0])
print(rows / (time.process_time() - begin))
"""

READ_POLARS = r"""
import time, sys
import polars as pl
begin = time.process_time()
line = pl.col("line")
number = lambda pattern: line.str.extract(pattern).cast(pl.Float64)
frame = (
    pl.scan_lines(sys.argv[1], glob=False)
    .filter(line.str.contains("REPORT RequestId: ", literal=True))
    .select(
        line.str.slice(0, 23).str.to_datetime("%Y-%m-%dT%H:%M:%S%.3f", time_unit="us").alias("at"),
        line.str.extract(r"REPORT RequestId:\s+([\w-]+)").alias("request_id"),
        number(r"RequestId:\s+[\w-]+\s+Duration:\s+([\d.]+) ms").alias("duration_ms"),
        number(r"Billed Duration:\s+([\d.]+) ms").alias("billed_ms"),
        number(r"Memory Size:\s+(\d+) MB").alias("memory_mb"),
        number(r"Max Memory Used:\s+(\d+) MB").alias("max_memory_mb"),
        number(r"Init Duration:\s+([\d.]+) ms").alias("init_ms"),
    )
    .collect()
)
print(frame.height / (time.process_time() - begin))
"""


def write(path: Path, lines: int) -> None:
    """Write REPORT lines, a fiftieth of them with an init."""
    draws = random.Random(1)
    with gzip.open(path, "wt", compresslevel=6) if path.suffix == ".gz" else path.open("w") as file:
        for number in range(lines):
            seconds, millis = divmod(number * 7, 1000)
            clock = (
                f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{millis:03}"
            )
            request = uuid.UUID(int=draws.getrandbits(128), version=4)
            took = draws.lognormvariate(4, 1.5)
            init = f"Init Duration: {draws.uniform(100, 900):.2f} ms\t" if number % 50 == 0 else ""
            file.write(
                f"2026-03-01T{clock}Z REPORT RequestId: {request}\tDuration: {took:.2f} ms\t"
                f"Billed Duration: {int(took) + 1} ms\tMemory Size: 128 MB\t"
                f"Max Memory Used: {draws.randint(40, 100)} MB\t{init}\n"
            )


def rate(script: str, path: Path) -> float:
    """Read the file once in a process of its own."""
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        check=True, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    return float(done.stdout)


def main() -> None:
    """Print a table."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        for name in ("lines.log", "lines.log.gz"):
            path = Path(folder) / name
            write(path, lines)
            found: dict[str, list[float]] = {"lambda-replay": [], "Polars": []}
            for _ in range(ROUNDS):
                found["lambda-replay"].append(rate(READ_OURS, path))
                found["Polars"].append(rate(READ_POLARS, path))
            middle = {}
            for reader, rates in found.items():
                low, *_, high = sorted(rates)
                middle[reader] = sorted(rates)[ROUNDS // 2]
                shown = " / ".join(f"{one / 1e6:.2f}" for one in (low, middle[reader], high))
                print(f"{name:14} {reader:14} {shown} M lines/s")
            print(f"{name:14} {middle['lambda-replay'] / middle['Polars']:.1f} times as fast")


if __name__ == "__main__":
    main()
