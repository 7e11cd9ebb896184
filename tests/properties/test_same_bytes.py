"""The same trace, scenario and seed give the same bytes, however they are cut up and brought in."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import lambda_replay as lr
from differential.strategies import Case, Column, cases
from properties.everything import drawn_case, scenario_of
from properties.replays import BEGIN, S, digest, drawn, engine_digest
from semantics.product import frame as frame_of

BATCHES = (1, 2, 3, 7, 1_000, 100_000)

#: Settings under which everything that is drawn is drawn.
DRAWING = {
    "account": {
        "concurrency": 12,
        "idle": {"policy": "uniform", "seconds": [1, 6]},
        "env": {"max_lifetime": [5, 60]},
    },
    "defaults": {"init_ms": 250},
}


def busy_trace(rows: int, seed: int = 0) -> pl.DataFrame:
    """Return a trace with ties, bursts, several functions and an init that is known now and then.

    Values survive any text format: whole microseconds, and halves of milliseconds.
    """
    random = np.random.default_rng(seed)
    # Several rows share an instant, and some lie on whole seconds.
    at = np.sort(random.integers(0, max(1, rows // 40), rows)) * S
    at += random.choice([0, 0, 1, 250_000, 999_999], rows)
    init = random.integers(0, 1_000, rows) / 2
    return pl.DataFrame(
        {
            "timestamp": pl.Series(np.sort(at) + BEGIN).cast(pl.Datetime("us")),
            "function": random.choice(["f", "g", "g:live", "img-ä"], rows).astype(object),
            "duration_ms": random.integers(0, 4_000, rows) / 2,
            "init_ms": pl.Series([None if i % 3 else value for i, value in enumerate(init)]),
            "request_id": [f"r-{row}" for row in range(rows)],
        },
        schema_overrides={"function": pl.String, "init_ms": pl.Float64},
    )


def shuffled(trace: pl.DataFrame, seed: int = 1) -> pl.DataFrame:
    """Return a trace out of order."""
    return trace.sample(fraction=1.0, shuffle=True, seed=seed)


# ---- batches -------------------------------------------------------------------------------

#: 1,001 µs are 1.001 ms, whether they stand alone in a batch or beside others: a column divided by
#: a number is not always the number divided (Polars multiplies by the reciprocal, but not for one).
ODD_MILLISECONDS = Case(
    {"defaults": {"init_ms": 1.001}},
    {
        "timestamp": Column([BEGIN] * 3, pl.Int64()),
        "function": Column(["f"] * 3, pl.String()),
        "duration_ms": Column([1.001] * 3, pl.Float64()),
    },
)


@drawn(10)
@given(case=cases(), in_order=st.booleans())
@example(case=ODD_MILLISECONDS, in_order=True)
def test_any_batch_size_gives_the_same_bytes(case: Case, in_order: bool) -> None:
    frame = case.frame()
    if in_order:
        frame = frame.sort("timestamp", maintain_order=True)
    scenario = lr.Scenario(**case.sections)
    digests = [engine_digest(frame, scenario, rows, in_order=in_order) for rows in BATCHES]
    assert digests == [digests[0]] * len(BATCHES)


@pytest.mark.parametrize("in_order", [True, False])
def test_any_batch_size_gives_the_same_bytes_for_a_long_trace(in_order: bool) -> None:
    trace = busy_trace(5_000)
    trace = trace if in_order else shuffled(trace)
    scenario = lr.Scenario(**DRAWING)
    digests = [engine_digest(trace, scenario, rows, in_order=in_order) for rows in BATCHES[2:]]
    assert digests == [digests[0]] * len(digests)


#: Everything that makes a row more than a request: refusals wait, failures are tried again, runs
#: take turns, and all that is drawn is drawn.
EVERYTHING = {
    "account": {
        "concurrency": 6,
        "requests_per_second": 40,
        "min_unreserved": 1,
        "idle": {"policy": "uniform", "seconds": [1, 6]},
        "env": {"max_lifetime": [5, 60]},
        "scaling": {"capacity": 3, "refill_per_s": 2},
        "reuse_policy": "random",
        "proactive_fraction": 0.2,
    },
    "defaults": {"init_ms": 250, "timeout_s": 2},
    "functions": {
        "f": {"reserved_concurrency": 2, "client_retry": "botocore_standard_2026"},
        "g": {"provisioned_concurrency": 1, "maximum_event_age_s": 90},
    },
}


def eventful_trace(rows: int, seed: int = 0) -> pl.DataFrame:
    """Return a busy trace of which some rows are events, fail, and share records."""
    random = np.random.default_rng(seed)

    def some(values: list[object]) -> pl.Series:
        return pl.Series([values[place] for place in random.integers(0, len(values), rows)])

    return busy_trace(rows, seed).with_columns(
        source=some(["sync", "async", "async", None]),
        error=some([None, None, None, "handled", "crash", "item"]),
        error_runs=some([None, 0, 1, 2]),
        extension_ms=some([None, 0.5, 100.0]),
        memory_mb=some([None, 128, 512]),
        payload_bytes=some([None, 0, 300_000]),
        state_key=some([None, "a", "b", "c"]),
        state_access=some(["read", "write", None]),
    )


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("discipline", ["lock", "optimistic"])
def test_any_batch_size_gives_the_same_bytes_with_events_and_shared_records(
    discipline: str, in_order: bool
) -> None:
    trace = eventful_trace(250)
    trace = trace if in_order else shuffled(trace)
    scenario = lr.Scenario(**EVERYTHING, state={"discipline": discipline})
    digests = [
        engine_digest(trace, scenario, rows, in_order=in_order) for rows in (1, 2, 3, 7, 100_000)
    ]
    assert digests == [digests[0]] * len(digests)


@drawn(20)
@given(seed=st.integers(0, 100_000))
def test_any_batch_size_gives_the_same_bytes_whatever_the_scenario(seed: int) -> None:
    sections, rows = drawn_case(seed)
    scenario = scenario_of(sections)
    digests = [
        engine_digest(frame_of(rows), scenario, count, in_order=True) for count in (1, 2, 3, 7, 99)
    ]
    assert digests == [digests[0]] * len(digests)


# ---- where it comes from -------------------------------------------------------------------


def in_files(folder: Path, trace: pl.DataFrame, cuts: int, suffix: str) -> list[Path]:
    """Write a trace as several files, one after the other."""
    height = -(-trace.height // cuts)
    paths = []
    for number, part in enumerate(trace.iter_slices(height)):
        path = folder / f"{number:03}{suffix}"
        match suffix:
            case ".csv":
                part.write_csv(path)
            case ".ndjson":
                part.write_ndjson(path)
            case ".arrow":
                part.write_ipc(path)
            case _:
                part.write_parquet(path, row_group_size=max(1, height // 3))
        paths.append(path)
    return paths


def one_file(suffix: str) -> Callable[[Path, pl.DataFrame], object]:
    return lambda folder, trace: in_files(folder, trace, 1, suffix)[0]


def row_groups(rows: int) -> Callable[[Path, pl.DataFrame], object]:
    def write(folder: Path, trace: pl.DataFrame) -> object:
        path = folder / "trace.parquet"
        trace.write_parquet(path, row_group_size=rows)
        return path

    return write


def stream(trace: pl.DataFrame, rows: int) -> pa.RecordBatchReader:
    table = trace.to_arrow()
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=rows))


WAYS: dict[str, Callable[[Path, pl.DataFrame], object]] = {
    "lazy frame": lambda folder, trace: trace.lazy(),
    "frame of many chunks": lambda folder, trace: pl.concat(
        list(trace.iter_slices(17)), rechunk=False
    ),
    "Parquet": one_file(".parquet"),
    "Parquet, a row per group": row_groups(1),
    "Parquet, 7 rows per group": row_groups(7),
    "Parquet, 1,000 rows per group": row_groups(1_000),
    "CSV": one_file(".csv"),
    "NDJSON": one_file(".ndjson"),
    "Arrow IPC": one_file(".arrow"),
    "3 Parquet files": lambda folder, trace: in_files(folder, trace, 3, ".parquet"),
    "50 Parquet files in a folder": lambda folder, trace: [
        in_files(folder, trace, 50, ".parquet"), folder,
    ][1],
    "4 CSV files": lambda folder, trace: in_files(folder, trace, 4, ".csv"),
    "3 NDJSON files by a glob": lambda folder, trace: [
        in_files(folder, trace, 3, ".ndjson"), str(folder / "*.ndjson"),
    ][1],
    "Arrow table": lambda folder, trace: trace.to_arrow(),
    "Arrow stream": lambda folder, trace: stream(trace, 100),
    "Arrow stream, a row per batch": lambda folder, trace: stream(trace.head(300), 1),
}  # fmt: skip


@pytest.mark.parametrize("order", ["sorted", "unsorted"])
@pytest.mark.parametrize("way", list(WAYS))
def test_any_way_in_gives_the_same_bytes(way: str, order: str, tmp_path: Path) -> None:
    trace = busy_trace(300)
    if order == "unsorted":
        trace = shuffled(trace)
    scenario = lr.Scenario(**DRAWING)
    expected = lr.replay(trace, scenario, outcomes=True)
    assert 0 < expected.summary.throttled < 300
    assert expected.summary.warm_starts > 0
    given_as = WAYS[way](tmp_path, trace)
    assert digest(lr.replay(given_as, scenario, outcomes=True)) == digest(expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ["sorted", "unsorted"])
@pytest.mark.parametrize("way", ["Parquet, 7 rows per group", "CSV", "NDJSON", "3 Parquet files"])
def test_any_way_in_gives_the_same_bytes_with_events(way: str, order: str, tmp_path: Path) -> None:
    trace = eventful_trace(400)
    if order == "unsorted":
        trace = shuffled(trace)
    scenario = lr.Scenario(**EVERYTHING)
    expected = lr.replay(trace, scenario, outcomes=True, attempts=True)
    assert {"success", "error", "throttled", "dropped"} <= set(expected.outcomes["outcome"])
    found = lr.replay(WAYS[way](tmp_path, trace), scenario, outcomes=True, attempts=True)  # type: ignore[arg-type]
    assert digest(found) == digest(expected)


@drawn(10)
@given(case=cases(large=False), rows=st.integers(1, 9))
def test_drawn_cases_do_not_depend_on_row_groups_or_chunks(case: Case, rows: int) -> None:
    frame = case.frame()
    scenario = lr.Scenario(**case.sections)
    expected = digest(lr.replay(frame, scenario, outcomes=True))
    chunks = pl.concat(list(frame.iter_slices(rows)), rechunk=False)
    assert digest(lr.replay(chunks, scenario, outcomes=True)) == expected
    file = io.BytesIO()
    frame.write_parquet(file, row_group_size=rows)
    file.seek(0)
    scanned = pl.scan_parquet(file)
    assert digest(lr.replay(scanned, scenario, outcomes=True)) == expected


# ---- luck ----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    trace = busy_trace(2_000)
    scenario = lr.Scenario(**DRAWING)
    first, again, other = (
        lr.replay(trace, scenario, outcomes=True, seed=seed) for seed in (7, 7, 8)
    )
    assert digest(first) == digest(again)
    assert digest(first)["outcomes"] != digest(other)["outcomes"]
    eventful = eventful_trace(1_000)
    first, again, other = (
        lr.replay(eventful, lr.Scenario(**EVERYTHING), outcomes=True, attempts=True, seed=seed)
        for seed in (7, 7, 8)
    )
    assert digest(first) == digest(again)
    assert digest(first)["attempts"] != digest(other)["attempts"]


def test_without_anything_drawn_the_seed_changes_nothing_but_itself() -> None:
    trace = busy_trace(2_000)
    scenario = lr.Scenario(
        account={"concurrency": 12, "idle": {"policy": "halving"}, "env": {"max_lifetime": "off"}}
    )
    first, other = (lr.replay(trace, scenario, outcomes=True, seed=seed) for seed in (7, 8))
    for name in ("outcomes", "metrics", "functions", "region"):
        assert digest(first)[name] == digest(other)[name]


def test_luck_belongs_to_the_request_not_to_its_place_in_the_trace() -> None:
    trace = busy_trace(2_000)
    scenario = lr.Scenario(**DRAWING)
    # Rows of another function, which takes no part in anything, shift every position.
    filler = trace.head(50).with_columns(
        pl.lit("other").alias("function"), pl.lit(0.0).alias("duration_ms"),
        pl.format("x-{}", "request_id").alias("request_id"),
    )  # fmt: skip
    wide = scenario.with_("account.concurrency", 100_000)
    alone = lr.replay(trace, wide, outcomes=True).outcomes
    beside = lr.replay(pl.concat([filler, trace]), wide, outcomes=True).outcomes
    assert alone is not None
    assert beside is not None
    beside = beside.filter(pl.col("function") != "other")
    for name in ("request_id", "start", "end", "cold", "init_ms", "billed_ms"):
        assert alone[name].equals(beside[name], null_equal=True)


SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import lambda_replay as lr
from properties.replays import digest
from properties.test_same_bytes import DRAWING, EVERYTHING, busy_trace, eventful_trace, shuffled
trace = busy_trace(110_000)
scenario = lr.Scenario(**DRAWING)
found = [digest(lr.replay(one, scenario, outcomes=True)) for one in (trace, shuffled(trace))]
events = lr.replay(eventful_trace(20_000), lr.Scenario(**EVERYTHING), outcomes=True, attempts=True)
print(json.dumps([*found, digest(events)]))
"""


def test_neither_hash_seed_nor_threads_nor_locale_matter() -> None:
    tests = str(Path(__file__).resolve().parents[1])
    answers = []
    for hash_seed, threads, zone in (("0", "1", "UTC"), ("1", "2", "Asia/Kolkata")):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": hash_seed,
            "POLARS_MAX_THREADS": threads,
            "TZ": zone,
            "LC_ALL": "C",
        }
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, tests],
            env=environment,
            capture_output=True,
            check=True,
            timeout=60,
        )
        answers.append(json.loads(done.stdout))
    trace = busy_trace(110_000)
    here = [
        digest(lr.replay(one, lr.Scenario(**DRAWING), outcomes=True))
        for one in (trace, shuffled(trace))
    ]
    events = lr.replay(
        eventful_trace(20_000), lr.Scenario(**EVERYTHING), outcomes=True, attempts=True
    )
    here.append(digest(events))
    assert answers == [here, here]
