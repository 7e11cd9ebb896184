"""What a fresh reader stumbles over: the words and numbers of a screen fit each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from conftest import Inside


def test_the_head_tells_rows_of_the_trace_from_those_of_the_load(
    inside: Inside, crowd: pl.DataFrame
) -> None:
    crowd.write_parquet("t.parquet")
    doubled = inside("run", "t.parquet", "--set", "replay.load=2")
    assert doubled.lines[0].startswith(
        "t.parquet: 60 requests, 120 at replay.load = 2, to 2 functions, replayed in "
    )
    assert "of 120 requests" in doubled.lines[3]
    slow = inside("run", "t.parquet", "--set", "replay.time_scale=3")
    assert slow.lines[0].startswith("t.parquet: 60 requests to 2 functions, replayed in ")
    assert slow.lines[1].startswith(
        "2026-03-01 12:00:00 to 12:05:00 UTC, 5 min, 15 min at replay.time_scale = 3; "
    )
