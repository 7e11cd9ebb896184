"""The shipped sample ``azure2019`` still says what its source says.

What the source says is kept here and in ``azure2019-functions.csv``; the source itself is not
needed. To compare with it as well, set ``LAMBDA_REPLAY_AZURE2019`` to the folder that holds
``dirigent100_invocations.csv`` and its two companions.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import make_sample
from lambda_replay import samples

#: Minute 480 of the day, of which minute 1 is 00:00 (labels as published).
BEGIN = datetime(2019, 7, 15, 7, 59)
MINUTES = 480
INVOCATIONS = 339_657
#: SHA-256 of the source's counts: little-endian 32-bit integers, functions by name, then minutes.
#: Computed from dirigent100_invocations.csv with nothing but ``csv``, ``struct`` and ``hashlib``.
COUNTS_SHA256 = "7c16c0a31cd5149aa7a2d5b2a9f06c0a8b12a38e33890443d0b77534d3235941"
ZERO_MS = 0.5


@pytest.fixture(scope="module")
def trace() -> pl.DataFrame:
    return pl.read_parquet(samples.trace_path("azure2019"))


@pytest.fixture(scope="module")
def functions() -> pl.DataFrame:
    path = samples.trace_path("azure2019")
    return pl.read_csv(path.with_name("azure2019-functions.csv"))


@pytest.fixture(scope="module")
def drawn(trace: pl.DataFrame, functions: pl.DataFrame) -> pl.DataFrame:
    """Join what the source reports of each function with the durations that were drawn."""
    durations_ms = pl.col("duration_ms").dt.total_microseconds() / 1_000
    return functions.join(
        trace.group_by(pl.col("function").cast(pl.String)).agg(
            pl.len().alias("rows"),
            durations_ms.alias("durations_ms"),
            pl.col("memory_mb").unique().alias("memories"),
        ),
        on="function",
        validate="1:1",
    )


def test_schema_is_canonical(trace: pl.DataFrame) -> None:
    assert dict(trace.schema) == {
        "timestamp": pl.Datetime("us"),
        "function": pl.Categorical(),
        "duration_ms": pl.Duration("us"),
        "memory_mb": pl.Int32(),
    }
    assert trace.null_count().row(0) == (0, 0, 0, 0)


def test_rows_are_sorted_and_inside_the_eight_hours(trace: pl.DataFrame) -> None:
    assert trace.height == INVOCATIONS
    assert trace["timestamp"].is_sorted()
    assert trace["timestamp"][0] >= BEGIN
    assert trace["timestamp"][-1] < BEGIN + timedelta(minutes=MINUTES)


def test_counts_per_function_and_minute_are_the_published_ones(
    trace: pl.DataFrame, functions: pl.DataFrame
) -> None:
    names = sorted(functions["function"])
    row = (
        trace["function"].cast(pl.String).replace_strict(dict(zip(names, range(100), strict=True)))
    )
    minute = (trace["timestamp"] - BEGIN).dt.total_minutes()
    counts = np.zeros((100, MINUTES), dtype="<i4")
    np.add.at(counts, (row.to_numpy(), minute.to_numpy()), 1)
    assert hashlib.sha256(counts.tobytes()).hexdigest() == COUNTS_SHA256
    assert dict(zip(names, counts.sum(axis=1).tolist(), strict=True)) == dict(
        functions.select("function", "invocations").iter_rows()
    )
    assert dict(zip(names, np.count_nonzero(counts, axis=1).tolist(), strict=True)) == dict(
        functions.select("function", "active_minutes").iter_rows()
    )


def test_names_are_trigger_and_hash(functions: pl.DataFrame) -> None:
    assert functions["function"].n_unique() == functions.height == 100
    expected = functions["trigger"] + "-" + functions["hash_function"].str.slice(0, 6)
    assert functions["function"].to_list() == expected.to_list()
    for column in ("hash_owner", "hash_app", "hash_function"):
        assert functions[column].str.contains("^[0-9a-f]{64}$").all()


def test_durations_stay_between_the_true_extremes(drawn: pl.DataFrame) -> None:
    for row in drawn.iter_rows(named=True):
        assert max(row["minimum_ms"], ZERO_MS) <= min(row["durations_ms"]), row["function"]
        assert max(row["durations_ms"]) <= max(row["maximum_ms"], ZERO_MS), row["function"]


def test_the_model_has_the_reported_average(drawn: pl.DataFrame) -> None:
    off = drawn.filter(
        (pl.col("modelled_mean_ms") - pl.max_horizontal("average_ms", pl.lit(ZERO_MS))).abs()
        > 0.001 * pl.max_horizontal("average_ms", pl.lit(10.0))
    )
    # No law with these quantiles has that mean; azure2019.md names them.
    assert set(off["function"]) == {"http-6ef2ac", "http-94cb1e", "orchestration-bd5ee3"}


def test_drawn_means_are_within_sampling_error_of_the_average(drawn: pl.DataFrame) -> None:
    points = (np.arange(200_000) + 0.5) / 200_000
    for row in drawn.iter_rows(named=True):
        quantiles = np.array([row[column] for column in make_sample.REPORTED_COLUMNS])
        quantiles = np.maximum(quantiles, ZERO_MS)
        law = make_sample.durations_us(quantiles, row["tilt"], points) / 1_000
        tolerance = 5 * law.std() / math.sqrt(row["rows"]) + 0.01 * row["modelled_mean_ms"]
        mean = sum(row["durations_ms"]) / row["rows"]
        assert mean == pytest.approx(row["modelled_mean_ms"], abs=tolerance), row["function"]


def test_total_work_is_the_measured_work(drawn: pl.DataFrame) -> None:
    drawn_ms = drawn["durations_ms"].list.sum().sum()
    measured_ms = (drawn["invocations"] * drawn["average_ms"]).sum()
    assert drawn_ms == pytest.approx(measured_ms, rel=0.005)


def test_drawn_quantiles_are_the_measured_ones(drawn: pl.DataFrame) -> None:
    checked = 0
    for row in drawn.iter_rows(named=True):
        for column, probability in (("p25_ms", 0.25), ("p50_ms", 0.5), ("p75_ms", 0.75)):
            durations_ms = np.array(row["durations_ms"])
            # Azure's whole milliseconds give neighbouring quantiles the same value.
            share_below = float((durations_ms < max(row[column], ZERO_MS)).mean())
            share_up_to = float((durations_ms <= max(row[column], ZERO_MS)).mean())
            error = 5 * math.sqrt(probability * (1 - probability) / row["rows"])
            assert share_below - error <= probability <= share_up_to + error, row["function"]
            checked += row["rows"] > 400
    assert checked == 3 * 21


def test_memory_holds_the_share_in_steps_of_128_mb(drawn: pl.DataFrame) -> None:
    for row in drawn.iter_rows(named=True):
        assert row["memories"] == [row["memory_mb"]]
        assert row["memory_mb"] % 128 == 0
        assert row["memory_mb"] - 128 < max(row["memory_share_mb"], 1) <= row["memory_mb"]


def test_timers_are_evenly_spaced_and_keep_their_phase(trace: pl.DataFrame) -> None:
    timer = trace.filter(pl.col("function").cast(pl.String) == "timer-08d3e5")
    gaps_us = timer["timestamp"].diff().dt.total_microseconds().drop_nulls()
    assert timer.height == 60 * MINUTES
    assert gaps_us.is_between(999_999, 1_000_001).all()


def test_metadata_says_what_is_measured_and_what_assumed() -> None:
    metadata = pl.read_parquet_metadata(samples.trace_path("azure2019"))
    for key in ("lambda_replay.measured", "lambda_replay.assumed"):
        sentences = json.loads(metadata[key])
        assert sentences
        for sentence in sentences:
            assert isinstance(sentence, str)
            assert not set(sentence) & {";", "\n"}
            assert len(sentence) <= 90
    assert "143f50a349db6198bcec17cf178b6925b01c2f06" in metadata["lambda_replay.source"]
    assert "CC BY 4.0" in metadata["lambda_replay.licence"]
    assert "MIT" in metadata["lambda_replay.licence"]


def test_file_is_small() -> None:
    assert samples.trace_path("azure2019").stat().st_size < 2_500_000


def test_notes_carry_licences_and_source() -> None:
    notes = samples.trace_path("azure2019").with_suffix(".md").read_text(encoding="utf-8")
    for part in (
        "https://creativecommons.org/licenses/by/4.0/",
        "© Microsoft",
        "Serverless in the Wild",
        "Copyright (c) 2024 EASL",
        "The above copyright notice and this permission notice",
        "143f50a349db6198bcec17cf178b6925b01c2f06",
        f"{INVOCATIONS:,}",
    ):
        assert part in notes


def test_scenario_has_a_limit_and_no_name_that_the_trace_has_not(functions: pl.DataFrame) -> None:
    path = samples.scenario_path("azure2019")
    assert path is not None
    scenario = tomllib.loads(path.read_text(encoding="utf-8"))
    assert scenario["account"]["concurrency"] == 10
    assert scenario["defaults"]["init_ms"] > 0
    # memory_mb here would hide the trace's own.
    assert "memory_mb" not in scenario["defaults"]
    assert set(scenario.get("functions", {})) <= set(functions["function"])


@pytest.mark.skipif("LAMBDA_REPLAY_AZURE2019" not in os.environ, reason="needs the source files")
def test_source_expands_to_the_shipped_rows(trace: pl.DataFrame, functions: pl.DataFrame) -> None:
    folder = Path(os.environ["LAMBDA_REPLAY_AZURE2019"])
    source = make_sample.read_functions(folder, "dirigent100_")
    rebuilt = make_sample.expand(source)
    assert rebuilt.equals(trace)
    assert make_sample.describe_functions(source).equals(functions)
