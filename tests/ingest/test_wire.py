"""What reaches the core is the same whether a query converts it or the batch is only viewed."""

from typing import Any

import polars as pl
import pytest

from lambda_replay.ingest import Wire, open_trace

MICROS = [0, 1_500_000, 1_500_000, 9_000_001]
NAMES = ["b", "a", "b", "c:live"]


def columns(**others: pl.Series) -> dict[str, pl.Series]:
    """Return columns of a trace of which views are enough."""
    millis = pl.Series([71, None, 2, 0], dtype=pl.Int64)
    return {
        "timestamp": pl.Series(MICROS).cast(pl.Datetime("us")),
        "function": pl.Series(NAMES, dtype=pl.Categorical),
        "duration_ms": pl.Series([1.5, 0.0, 20.25, 3.0]),
        "init_ms": (millis * 1_000).cast(pl.Duration("us")),
        **others,
    }


TEXT = pl.Series(["x", None, "y", "z"])
UIDS = pl.Series([3, None, 1, 0], dtype=pl.UInt64)


@pytest.mark.parametrize(
    ("others", "viewed"),
    [
        ({}, True),
        ({"timestamp": pl.Series(MICROS).cast(pl.Datetime("us", "Asia/Tokyo"))}, True),
        ({"request_id": TEXT, "row_uid": UIDS, "account": TEXT}, True),
        ({"function": pl.Series(NAMES)}, False),
        ({"function": pl.Series(NAMES, dtype=pl.Enum(["a", "b", "c:live"]))}, False),
        ({"function": pl.Series(NAMES, dtype=pl.Categorical(pl.Categories("n", "s", pl.UInt8)))},
         False),
        ({"timestamp": pl.Series(MICROS)}, False),
        ({"timestamp": pl.Series(MICROS).cast(pl.Datetime("ns"))}, False),
        ({"timestamp": pl.Series(["2026-03-01T12:00:00Z"] * 4)}, False),
        ({"duration_ms": pl.Series([1, 2, 3, 4])}, False),
        ({"init_ms": pl.Series([1, 2, None, 4]).cast(pl.Duration("ms"))}, False),
        ({"row_uid": pl.Series([3, None, 1, 0])}, False),
        ({"request_id": TEXT.cast(pl.Categorical)}, False),
    ],
)  # fmt: skip
def test_batches_are_the_rows_of_the_frame(others: dict[str, Any], viewed: bool) -> None:
    wire = Wire.of(open_trace(pl.DataFrame(columns(**others))))
    frame = wire.frame.collect()
    batches = list(wire.batches(3))
    assert all(batch.height <= 3 for batch in batches)
    assert pl.concat(batches).equals(frame)
    assert pl.concat(batches).schema == frame.schema
    assert (wire._views is not None) is viewed
    assert [wire.names([code])[0] for code in frame["function"]] == NAMES
