"""Traces out of order: sorted in memory, or on the disk, with the same result (Z2)."""

import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lambda_replay as lr
from ingest.common import BEGIN, S, frame, outcomes
from lambda_replay.ingest.order import ROWS_IN_MEMORY, sorted_batches


def in_order(instants: list[int | None]) -> pl.DataFrame:
    """Return what sorting must give: by instant, then by position."""
    numbers = range(len(instants))
    trace = pl.DataFrame(
        {"timestamp": pl.Series(instants, dtype=pl.Int64), "value": [f"v{n}" for n in numbers]}
    )
    return (
        trace.with_row_index("row")
        .with_columns(pl.col("row").cast(pl.UInt64))
        .sort("timestamp", "row")
    )


def sorted_frame(instants: list[int | None], rows_in_memory: int, chunk: int = 7) -> pl.DataFrame:
    """Return what sorting gives."""
    numbers = range(len(instants))
    trace = pl.LazyFrame(
        {"timestamp": pl.Series(instants, dtype=pl.Int64), "value": [f"v{n}" for n in numbers]}
    )
    batches = list(sorted_batches(trace, chunk, rows_in_memory))
    assert all(batch.height <= chunk for batch in batches)
    return pl.concat(batches) if batches else in_order([])


def mixed(seed: int, rows: int, span: int) -> list[int | None]:
    chooser = random.Random(seed)
    return [BEGIN + chooser.randrange(span) for _ in range(rows)]


TRACES: dict[str, list[int | None]] = {
    "wide": mixed(1, 500, 86_400 * S),
    "narrow, with ties": mixed(2, 500, 20),
    "in order": [BEGIN + row for row in range(500)],
    "backwards": [BEGIN - row for row in range(500)],
    "one instant": [BEGIN] * 500,
    "two instants": [BEGIN + row % 2 for row in range(500)],
    "nearly all at one instant": [BEGIN] * 450 + mixed(3, 50, S),
    "a crowd and one far away": [*mixed(4, 400, 10), BEGIN + 10**15, BEGIN - 10**15],
    "before 1970": [-1 - row * 7 % 500 for row in range(500)],
    "as wide as it gets": [-(2**61), 2**61, 0] * 100,
    "beyond what a float can tell apart": [2**60 + row * 7 % 300 for row in range(500)],
}


@pytest.mark.parametrize("rows_in_memory", [1, 10, 100, 499])
@pytest.mark.parametrize("kind", list(TRACES))
def test_sorting_on_the_disk_is_sorting_in_memory(
    kind: str, rows_in_memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    instants = TRACES[kind]
    if rows_in_memory == 1 and kind == "wide":
        instants = instants[:40]
    found = sorted_frame(instants, rows_in_memory)
    assert found.select("row", "timestamp", "value").equals(in_order(instants))
    assert sorted_frame(instants, ROWS_IN_MEMORY).equals(found)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=15, deadline=None, database=None)
@given(
    instants=st.lists(st.integers(0, 60) | st.integers(-(2**61), 2**61), min_size=1, max_size=60),
    rows_in_memory=st.integers(1, 30),
)
def test_any_trace_is_sorted_stably_whatever_fits(
    instants: list[int | None], rows_in_memory: int
) -> None:
    found = sorted_frame(instants, rows_in_memory).select("row", "timestamp", "value")
    assert found.equals(in_order(instants))


@pytest.mark.parametrize("instants", [[BEGIN, None, BEGIN - 5] * 20, [None] * 60])
def test_a_null_is_not_lost_on_the_disk(instants: list[int | None]) -> None:
    # It is refused later, by its row; lost, it would only be missing.
    found = sorted_frame(instants, 10)
    assert sorted(found["row"].to_list()) == list(range(60))
    nulls = [row for row, instant in enumerate(instants) if instant is None]
    assert sorted(found.filter(pl.col("timestamp").is_null())["row"].to_list()) == nulls


def test_an_empty_trace_has_no_batches_with_rows() -> None:
    assert sorted_frame([], 10).height == 0


def test_what_was_put_on_the_disk_goes_when_nobody_reads_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    trace = pl.LazyFrame({"timestamp": TRACES["wide"]})
    batches = sorted_batches(trace, 10, 50)
    next(batches)
    assert len(list(tmp_path.iterdir())) == 1
    batches.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


def test_what_was_put_on_the_disk_goes_when_the_trace_breaks_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    trace = pl.LazyFrame({"timestamp": TRACES["wide"], "text": ["1"] * 499 + ["x"]}).with_columns(
        number=pl.col("text").cast(pl.Int64)
    )
    with pytest.raises(pl.exceptions.PolarsError):
        list(sorted_batches(trace, 10, 50))
    assert list(tmp_path.iterdir()) == []


def test_a_replay_that_sorts_on_the_disk_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    chooser = random.Random(5)
    rows = 3_000
    trace = frame(
        [BEGIN + chooser.randrange(500) * S for _ in range(rows)],
        duration_ms=[chooser.randrange(5_000) for _ in range(rows)],
        request_id=[f"r{row}" for row in range(rows)],
    )
    expected = outcomes(trace)
    rows_there = sorted_batches.__defaults__
    assert rows_there == (ROWS_IN_MEMORY,)
    monkeypatch.setattr(sorted_batches, "__defaults__", (200,))
    assert outcomes(trace).equals(expected, null_equal=True)
    scanned = lr.scan_outcomes(trace).collect().sort("row")
    assert scanned.equals(expected, null_equal=True)
    assert list(tmp_path.iterdir()) == []


def test_unsorted_rows_are_reported_and_sorted_rows_are_not() -> None:
    backwards = lr.replay(frame([BEGIN + S, BEGIN])).trace
    assert not backwards.was_sorted
    assert len(backwards.notes) == 1
    assert "sorted" in backwards.notes[0]
    forwards = lr.replay(frame([BEGIN, BEGIN, BEGIN + S])).trace
    assert forwards.was_sorted
    assert forwards.notes == ()


def test_rows_out_of_order_in_a_later_batch_or_between_batches_are_sorted_too() -> None:
    rows = 250_000
    base = pl.select(
        timestamp=pl.int_range(BEGIN, BEGIN + rows),
        function=pl.lit("f"),
        duration_ms=pl.lit(0.0),
    )
    for low in (99_999, 100_000, 199_999, 249_998):
        swapped = base.with_columns(
            timestamp=pl.when(pl.int_range(rows) == low)
            .then(pl.col("timestamp") + 1)
            .when(pl.int_range(rows) == low + 1)
            .then(pl.col("timestamp") - 1)
            .otherwise(pl.col("timestamp"))
        )
        result = lr.replay(swapped, outcomes=True)
        assert not result.trace.was_sorted
        assert result.outcomes is not None
        assert result.outcomes["row"].to_list()[low : low + 2] == [low, low + 1]
        assert result.outcomes["timestamp"].equals(swapped["timestamp"].cast(pl.Datetime("us")))
