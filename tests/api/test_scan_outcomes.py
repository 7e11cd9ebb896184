"""``scan_outcomes``: outcomes as a lazy frame that replays as it is read."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

import lambda_replay as lr
from api.common import BEGIN, SCENARIO, S, one_row, outcomes, trace
from lambda_replay.schema import OUTCOME_SCHEMA


def scan(given: pl.DataFrame | None = None) -> pl.LazyFrame:
    return lr.scan_outcomes(trace() if given is None else given, SCENARIO)


def test_collected_it_is_what_replay_gives() -> None:
    assert_frame_equal(scan().collect(), outcomes(trace()))


def test_its_schema_is_known_without_a_replay() -> None:
    assert scan().collect_schema() == OUTCOME_SCHEMA
    with_ids = scan(trace(request_id=["a", "b", "c", "d"]))
    assert with_ids.collect_schema() == pl.Schema({**OUTCOME_SCHEMA, "request_id": pl.String()})
    assert with_ids.collect()["request_id"].to_list() == ["a", "b", "c", "d"]


def test_each_collection_replays_anew_and_gives_the_same() -> None:
    frame = scan()
    assert_frame_equal(frame.collect(), frame.collect())
    assert_frame_equal(frame.collect(engine="streaming"), frame.collect(engine="in-memory"))


def test_filter_projection_head_and_aggregation_are_those_of_the_whole() -> None:
    whole = outcomes(trace())
    refused = pl.col("outcome") == "throttled"
    for derive in (
        lambda frame: frame.filter(refused),
        lambda frame: frame.filter(~refused).select("row", "function"),
        lambda frame: frame.select("billed_ms"),
        lambda frame: frame.select(pl.col("billed_ms").sum()),
        lambda frame: frame.head(2),
        lambda frame: frame.head(0),
        lambda frame: frame.head(100),
        lambda frame: frame.slice(1, 2),
        lambda frame: frame.tail(2),
        lambda frame: frame.filter(refused).head(1),
        lambda frame: frame.head(1).filter(refused),
        lambda frame: frame.head(3).filter(refused).select("row"),
        lambda frame: frame.select(pl.len()),
        lambda frame: frame.group_by("function", maintain_order=True).len(),
        lambda frame: frame.with_row_index("place").select("place", "row"),
        lambda frame: frame.sort("function", "row", descending=True),
    ):
        assert_frame_equal(derive(scan()).collect(), derive(whole.lazy()).collect())


def test_several_batches_are_cut_where_they_should_be() -> None:
    rows = 250_000
    long = pl.select(
        timestamp=pl.int_range(BEGIN, BEGIN + rows * 1_000, 1_000),
        function=pl.lit("f"),
        duration_ms=pl.lit(0.5),
    )
    frame = lr.scan_outcomes(long)
    for wanted in (1, 99_999, 100_000, 100_001, 249_999, rows, rows + 1):
        assert frame.head(wanted).select("row").collect().height == min(wanted, rows)
    assert (
        frame.select(pl.col("row").is_sorted() & (pl.col("row").n_unique() == rows))
        .collect()
        .item()
    )
    assert frame.filter(pl.col("row") % 100_000 == 7).collect()["row"].to_list() == [
        7, 100_007, 200_007,
    ]  # fmt: skip


def test_of_an_unsorted_trace_rows_come_in_order_of_time_with_their_position() -> None:
    given = trace(request_id=["a", "b", "c", "d"])[[3, 0, 2, 1]]
    found = scan(given).collect()
    assert found["row"].to_list() == [1, 2, 3, 0]
    assert found["request_id"].to_list() == ["a", "c", "b", "d"]
    assert_frame_equal(found.sort("row"), outcomes(given))


def test_it_sinks_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "throttled.parquet"
    scan().filter(pl.col("outcome") == "throttled").sink_parquet(path)
    assert pl.read_parquet(path)["row"].to_list() == [2]


def test_two_scans_join() -> None:
    wide = lr.scan_outcomes(trace(), SCENARIO.with_("account.concurrency", 3))
    both = scan().join(wide, on="row", suffix="_wide").sort("row").collect()
    assert both.select("outcome", "outcome_wide").row(2) == ("throttled", "success")


def test_a_stream_that_can_be_read_once_is_scanned_again_and_again() -> None:
    table = trace().to_arrow()
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches())
    frame = lr.scan_outcomes(reader, SCENARIO)
    assert_frame_equal(frame.collect(), outcomes(trace()))
    assert_frame_equal(frame.collect(), outcomes(trace()))


def test_what_a_stream_put_on_the_disk_goes_with_the_lazy_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    table = trace().to_arrow()
    frame = lr.scan_outcomes(pa.RecordBatchReader.from_batches(table.schema, table.to_batches()))
    assert frame.collect().height == 4
    del frame
    assert list(tmp_path.iterdir()) == []


def test_an_empty_trace_has_no_outcomes() -> None:
    assert_frame_equal(scan(trace().clear()).collect(), pl.DataFrame(schema=OUTCOME_SCHEMA))


def test_a_seed_counts() -> None:
    rows = 100
    given = pl.DataFrame(
        {
            "timestamp": [BEGIN + row * 50 * S for row in range(rows)],
            "function": ["f"] * rows,
            "duration_ms": [0.0] * rows,
        }
    )
    scenario = lr.Scenario(account={"idle": {"policy": "uniform", "seconds": [1, 100]}})
    frames = [lr.scan_outcomes(given, scenario, seed=seed).collect() for seed in (1, 1, 2)]
    assert frames[0].equals(frames[1], null_equal=True)
    assert not frames[0].equals(frames[2], null_equal=True)
    seeded = lr.replay(given, scenario, seed=2, outcomes=True).outcomes
    assert seeded is not None
    assert frames[2].equals(seeded, null_equal=True)


def test_what_cannot_be_read_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(lr.TraceError) as missing:
        lr.scan_outcomes(tmp_path / "nowhere.parquet")
    assert missing.value.code == "LR-T-MISSING"
    with pytest.raises(lr.TraceError) as column:
        lr.scan_outcomes(trace().drop("function"))
    assert column.value.code == "LR-T-COLUMN"
    with pytest.raises(lr.TraceError) as accounts:
        lr.scan_outcomes(trace(account=["a", "a", "b", "b"]))
    assert accounts.value.code == "LR-T-ACCOUNTS"


def test_a_bad_row_is_refused_when_it_is_reached() -> None:
    frame = lr.scan_outcomes(one_row(duration_ms=[-1.0]))
    # Polars may wrap what a source raises; what matters must be in it.
    with pytest.raises(Exception, match=r"row 0, column duration_ms: found -1\.0"):
        frame.collect()
    with pytest.raises(Exception, match="row 1, column source: source is 'orders'"):
        lr.scan_outcomes(trace(source=["sync", "orders", "sync", "sync"])).collect()
