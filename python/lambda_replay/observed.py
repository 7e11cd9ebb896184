"""What really happened by row, beside what a replay says of the same rows."""

from __future__ import annotations

from typing import Final

import polars as pl

from lambda_replay.exceptions import LambdaReplayError

__all__ = ["OBSERVED", "ValidateError", "Z", "joined", "pairs"]

#: Columns of a trace that a replay can be held against.
OBSERVED: Final = ("cold_start", "throttled", "init_ms")
#: Width of intervals: 95 % of a normal distribution.
Z: Final = 1.96


class ValidateError(LambdaReplayError, ValueError):
    """Something cannot be validated, for want of observations."""

    exit_code = 2
    default_code = "LR-V000"


def joined(rows: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """Join observed columns, as observed_NAME, to the outcomes of the same rows."""
    names: dict[str, str] = {name: f"observed_{name}" for name in OBSERVED if name in rows.columns}
    return outcomes.join(rows.rename(names), on="row", how="left", maintain_order="left")


def pairs(both: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Rows where a yes or no was observed, with what was predicted for them."""
    found: dict[str, pl.DataFrame] = {}
    if "observed_cold_start" in both.columns:
        # What was refused in the replay has no start, warm or cold: it is no prediction of one.
        found["cold_starts"] = both.filter(
            pl.col("observed_cold_start").is_not_null() & pl.col("cold").is_not_null()
        ).with_columns(
            pl.col("observed_cold_start").alias("observed"), pl.col("cold").alias("predicted")
        )
    if "observed_throttled" in both.columns:
        found["throttled"] = both.filter(pl.col("observed_throttled").is_not_null()).with_columns(
            pl.col("observed_throttled").alias("observed"),
            (pl.col("outcome") == "throttled").alias("predicted"),
        )
    return found
