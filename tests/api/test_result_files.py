"""Outcomes and metrics that go to files while the replay runs (``lambda_replay.replay.run``)."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

import lambda_replay as lr
from api.common import SCENARIO, one_row, outcomes, trace
from lambda_replay.replay import run
from lambda_replay.schema import MINUTE_SCHEMA, OUTCOME_SCHEMA


def test_outcomes_in_a_file_are_those_of_the_result(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.parquet"
    given = trace(request_id=["a", "b", "c", "d"])
    result = run(given, SCENARIO, outcomes=path)
    assert result.outcomes is None
    assert_frame_equal(pl.read_parquet(path), outcomes(given))
    assert list(tmp_path.iterdir()) == [path]


def test_metrics_in_a_file_are_those_of_the_result(tmp_path: Path) -> None:
    path = tmp_path / "metrics.parquet"
    result = run(trace(), SCENARIO, metrics=path)
    assert result.metrics is None
    whole = lr.replay(trace(), SCENARIO)
    assert whole.metrics is not None
    assert_frame_equal(pl.read_parquet(path), whole.metrics)
    assert_frame_equal(result.region, whole.region)


def test_outcomes_of_an_unsorted_trace_are_in_order_of_time_with_their_position(
    tmp_path: Path,
) -> None:
    path = tmp_path / "outcomes.parquet"
    given = trace(request_id=["a", "b", "c", "d"])[[3, 0, 2, 1]]
    result = run(given, SCENARIO, outcomes=path)
    assert not result.trace.was_sorted
    written = pl.read_parquet(path)
    assert written["timestamp"].is_sorted()
    assert_frame_equal(written.sort("row"), outcomes(given))


@pytest.mark.parametrize("rows", [0, 1])
def test_files_have_the_documented_schemas_for_any_number_of_rows(
    rows: int, tmp_path: Path
) -> None:
    first, second = tmp_path / "outcomes.parquet", tmp_path / "metrics.parquet"
    run(trace().head(rows), SCENARIO, outcomes=first, metrics=second)
    assert pl.read_parquet(first).schema == OUTCOME_SCHEMA
    assert pl.read_parquet(second).schema == MINUTE_SCHEMA
    assert pl.read_parquet(first).height == rows


def test_other_readers_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.parquet"
    run(trace(), SCENARIO, outcomes=path)
    table = pq.read_table(path)
    assert table.column_names == list(OUTCOME_SCHEMA)
    assert_frame_equal(pl.DataFrame(table), outcomes(trace()))


def test_the_same_replay_writes_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        run(trace(), SCENARIO, outcomes=tmp_path / name, metrics=tmp_path / f"{name}.m")
        contents.append([(tmp_path / name).read_bytes(), (tmp_path / f"{name}.m").read_bytes()])
    assert contents[0] == contents[1]


def test_an_existing_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.parquet"
    path.write_text("old")
    run(trace(), SCENARIO, outcomes=path)
    assert pl.read_parquet(path).height == 4


@pytest.mark.parametrize("bad", [{"duration_ms": [-1.0]}, {"source": ["orders"]}])
def test_a_bad_row_leaves_the_former_file_and_nothing_else(
    bad: dict[str, list[object]], tmp_path: Path
) -> None:
    path = tmp_path / "outcomes.parquet"
    path.write_text("old")
    with pytest.raises(lr.TraceError) as caught:
        run(one_row(**bad), SCENARIO, outcomes=path, metrics=tmp_path / "metrics.parquet")
    assert caught.value.row == 0
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    path = tmp_path / "no such folder" / "outcomes.parquet"
    for option in ("outcomes", "metrics"):
        with pytest.raises(lr.OutputError) as caught:
            run(trace(), SCENARIO, **{option: path})  # type: ignore[arg-type]
        assert str(path) in str(caught.value)
        assert caught.value.hint is not None
        assert "does not exist" in caught.value.hint


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(lr.OutputError, match="it is a folder"):
        run(trace(), SCENARIO, outcomes=tmp_path)


FULL_DISK = """
import json, os, random, resource, sys, tempfile
from pathlib import Path
import polars as pl
import pyarrow as pa
from lambda_replay import replay
from lambda_replay.replay import run

folder, way = Path(sys.argv[1]), sys.argv[2]
tempfile.tempdir = str(folder)
rows, begin = 200_000, 1_772_438_400_000_000
# As many minutes as rows are more than stay in memory.
step = 60_000_000 if way == "aside" else 10_000_000
trace = pl.select(
    timestamp=pl.int_range(begin, begin + rows * step, step),
    function=pl.lit("f"),
    duration_ms=pl.Series([random.random() for _ in range(rows)]),
)
# Whoever writes more than this is told that the file is too large, much as on a full disk.
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    if way == "stream":
        table = trace.to_arrow()
        replay(pa.RecordBatchReader.from_batches(table.schema, table.to_batches()))
    else:
        run(trace, **{"metrics" if way == "aside" else way: folder / "out.parquet"})
except Exception as error:
    said = [type(error).__name__, str(error)]
    error.__traceback__ = None
    del error
    print(json.dumps([*said, sorted(os.listdir(folder))]))
"""


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        ("outcomes", "OutputError"),
        ("metrics", "OutputError"),
        ("aside", "ResourceError"),
        ("stream", "ResourceError"),
    ],
)
def test_a_disk_that_is_full_is_no_fault_of_the_trace_and_leaves_nothing_behind(
    way: str, kind: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), way],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    raised, message, left = json.loads(done.stdout)
    assert left == []
    assert raised == kind, message
    assert "File too large" in message
    # What the user called it, and not what it is called while it is written.
    assert kind == "ResourceError" or str(tmp_path / "out.parquet") in message
    assert ".tmp-" not in message
