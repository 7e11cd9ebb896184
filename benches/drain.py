"""Polars alone: stream the columns of a trace and drop them. Prints one line of JSON."""

from __future__ import annotations

import json
import sys
import time

import polars as pl

COLUMNS = ("timestamp", "function", "duration_ms", "init_ms")


def main() -> None:
    """Drain the file named on the command line."""
    start = time.perf_counter()
    frame = pl.scan_parquet(sys.argv[1]).select(COLUMNS)
    rows = 0
    for batch in frame.collect_batches(chunk_size=100_000, maintain_order=True):
        rows += batch.height
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
