"""The expansion of counts to invocations, on sources small enough to see through."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import make_sample

if TYPE_CHECKING:
    from pathlib import Path

MAX_TILT = make_sample.MAX_TILT
QUANTILES = st.lists(st.floats(0.5, 900_000), min_size=7, max_size=7).map(sorted).map(np.array)


def function(
    digit: str, trigger: str = "http", counts: tuple[int, ...] = (3, 0, 40)
) -> make_sample.Function:
    return make_sample.Function(
        name=f"{trigger}-{digit * 6}",
        trigger=trigger,
        hashes=("a" * 64, "b" * 64, digit * 64),
        first_minute=480,
        counts=np.array(counts, dtype=np.int64),
        reported_ms=(0, 2, 10, 20, 40, 400, 5_000),
        average_ms=30,
        memory_share_mb=130,
    )


def write_source(folder: Path, functions: list[make_sample.Function]) -> None:
    """Write functions as the three files of an excerpt, columns in an order of our own."""
    columns = ("HashOwner", "HashApp", "HashFunction")
    keys = [dict(zip(columns, f.hashes, strict=True)) for f in functions]
    counts: list[dict[str, int | str]] = [
        {str(480 + i): int(n) for i, n in enumerate(f.counts)} | {"Trigger": f.trigger, **key}
        for f, key in zip(functions, keys, strict=True)
    ]
    reported = ["Minimum", *(f"percentile_Average_{p}" for p in (1, 25, 50, 75, 99)), "Maximum"]
    durations = [
        dict(zip(reported, f.reported_ms, strict=True)) | {"Average": f.average_ms} | key
        for f, key in zip(functions, keys, strict=True)
    ]
    memory = [
        {"AverageAllocatedMb_pct100": f.memory_share_mb} | key
        for f, key in zip(functions, keys, strict=True)
    ]
    pl.DataFrame(counts).write_csv(folder / "invocations.csv")
    pl.DataFrame(durations[::-1]).write_csv(folder / "durations.csv")
    pl.DataFrame(memory).write_csv(folder / "memory.csv")


def test_expands_every_count_inside_its_minute() -> None:
    trace = make_sample.expand([function("c"), function("d", "timer")])
    midnight = pl.lit(make_sample.NOMINAL_MIDNIGHT_US).cast(pl.Datetime("us"))
    minutes = trace.group_by(
        pl.col("function").cast(pl.String),
        (pl.col("timestamp") - midnight).dt.total_minutes().alias("minute"),
    ).len()
    assert sorted(minutes.iter_rows()) == [
        ("http-cccccc", 479, 3),
        ("http-cccccc", 481, 40),
        ("timer-dddddd", 479, 3),
        ("timer-dddddd", 481, 40),
    ]


def test_rows_of_a_function_do_not_depend_on_the_others_nor_on_their_order() -> None:
    first, second, third = function("c"), function("d"), function("e", "timer")
    together = make_sample.expand([third, first, second])
    assert together.equals(make_sample.expand([first, second, third]))
    alone = make_sample.expand([second])
    assert together.filter(pl.col("function").cast(pl.String) == second.name).equals(alone)


def test_a_minute_does_not_depend_on_the_other_minutes() -> None:
    full = make_sample.expand([function("c", counts=(3, 5, 40))])
    last = make_sample.expand([function("c", counts=(0, 0, 40))])
    assert full.tail(40).equals(last)


def test_another_seed_moves_instants_and_durations() -> None:
    one, two = (make_sample.expand([function("c")], seed=seed) for seed in (1, 2))
    assert not one["timestamp"].equals(two["timestamp"])
    assert not one["duration_ms"].equals(two["duration_ms"])


def philox4x64(counter: list[int], key: list[int]) -> list[int]:
    """Ten rounds of Philox 4x64 (Salmon et al., SC 2011), from the paper and not from NumPy."""
    mask = 2**64 - 1
    (a, b, c, d), (k, m) = counter, key
    for _ in range(10):
        ab, cd = a * 0xD2E7470EE14C6C93, c * 0xCA5A826395121157
        a, b, c, d = (cd >> 64) ^ b ^ k, cd & mask, (ab >> 64) ^ d ^ m, ab & mask
        k, m = (k + 0x9E3779B97F4A7C15) & mask, (m + 0xBB67AE8584CAA73B) & mask
    return [a, b, c, d]


def test_random_numbers_are_those_of_philox() -> None:
    # NumPy counts up before each block of four.
    raw = philox4x64([1, 480, 2, 0], [2019, 7]) + philox4x64([2, 480, 2, 0], [2019, 7])
    expected = [(word >> 11) * 2.0**-53 for word in raw]
    assert make_sample.uniforms(2019, 7, 480, 2, 8).tolist() == expected
    assert make_sample.uniforms(2019, 7, 480, 2, 3).tolist() == expected[:3]


def test_instants_and_durations_come_from_different_draws() -> None:
    one = function("c")
    instants, durations = (
        make_sample.uniforms(make_sample.SEED, one.key, 480, purpose, 40)
        for purpose in (make_sample.PLACEMENT, make_sample.DURATION)
    )
    assert not set(instants) & set(durations)
    placed = make_sample.placements_us(one, 480, 40, 0.5, make_sample.SEED)
    assert placed.tolist() == np.sort(instants * 60_000_000).astype(np.int64).tolist()
    trace = make_sample.expand([function("c", counts=(40,))])
    tilt = make_sample.fit_tilt(one.quantiles_ms, one.average_ms)
    expected = make_sample.durations_us(one.quantiles_ms, tilt, durations)
    assert trace["duration_ms"].to_physical().to_list() == expected.tolist()


def test_timers_are_evenly_spaced_each_with_a_phase_of_its_own() -> None:
    phases = set()
    for digit in "cde":
        timestamps = make_sample.expand([function(digit, "timer", counts=(4, 4))])["timestamp"]
        gaps = timestamps.diff().drop_nulls().dt.total_microseconds()
        assert gaps.is_between(14_999_999, 15_000_001).all()
        phases.add((timestamps.dt.timestamp("us") % 15_000_000).max())
    assert len(phases) == 3


@settings(deadline=None)
@given(QUANTILES, st.floats(-8, 8))
def test_mean_is_that_of_the_durations(quantiles: np.ndarray, tilt: float) -> None:
    points = (np.arange(100_000) + 0.5) / 100_000
    integral = make_sample.durations_us(quantiles, tilt, points).mean() / 1_000
    # The grid is coarse where the curve is steep: at most one step of it between the extremes.
    tolerance = 0.01 + quantiles[-1] / 10_000
    assert make_sample.mean_ms(quantiles, tilt) == pytest.approx(integral, abs=tolerance)


@settings(deadline=None)
@given(QUANTILES, st.floats(-MAX_TILT, MAX_TILT))
def test_tilt_meets_every_average_that_it_can_make(quantiles: np.ndarray, tilt: float) -> None:
    average = make_sample.mean_ms(quantiles, tilt)
    fitted = make_sample.fit_tilt(quantiles, average)
    assert make_sample.mean_ms(quantiles, fitted) == pytest.approx(average, rel=1e-9)
    lowest, highest = make_sample.MASSES @ quantiles[:-1], make_sample.MASSES @ quantiles[1:]
    assert lowest * (1 - 1e-9) <= average <= highest * (1 + 1e-9)


@settings(deadline=None)
@given(
    QUANTILES,
    st.floats(-MAX_TILT, MAX_TILT),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1),
)
def test_durations_keep_quantiles_and_extremes(
    quantiles: np.ndarray, tilt: float, draws: list[float]
) -> None:
    durations = make_sample.durations_us(quantiles, tilt, np.array(draws)) / 1_000
    assert (durations >= quantiles[0] - 0.005001).all()
    assert (durations <= quantiles[-1] + 0.005001).all()
    at_quantiles = make_sample.durations_us(quantiles, tilt, make_sample.PROBABILITIES[:-1])
    assert np.allclose(at_quantiles / 1_000, quantiles[:-1], atol=0.005001, rtol=0)


def test_without_tilt_the_curve_is_piecewise_log_linear() -> None:
    quantiles = np.array([1, 2, 10, 20, 40, 400, 5_000.0])
    draws = np.array([0.005, 0.13, 0.625, 0.87, 0.995])
    expected = [math.sqrt(q) for q in (1 * 2, 2 * 10, 20 * 40, 40 * 400, 400 * 5_000)]
    found = make_sample.durations_us(quantiles, 0, draws) / 1_000
    assert found.tolist() == pytest.approx(expected, abs=0.005001)


def test_reads_columns_by_name_and_writes_the_two_files(tmp_path: Path) -> None:
    functions = [function("d", "timer"), function("c")]
    write_source(tmp_path, functions)
    assert make_sample.main([str(tmp_path), str(tmp_path / "out")]) == 0
    written = pl.read_parquet(tmp_path / "out" / "azure2019.parquet")
    assert written.equals(make_sample.expand(functions))
    table = pl.read_csv(tmp_path / "out" / "azure2019-functions.csv")
    assert table["function"].to_list() == ["http-cccccc", "timer-dddddd"]
    assert table["p99_ms"].to_list() == [400.0, 400.0]
    assert table["memory_mb"].to_list() == [256, 256]


def test_a_hash_of_decimal_digits_stays_text(tmp_path: Path) -> None:
    write_source(tmp_path, [function("7")])
    assert make_sample.read_functions(tmp_path)[0].hashes[2] == "7" * 64


def test_refuses_a_function_without_memory(tmp_path: Path) -> None:
    write_source(tmp_path, [function("c"), function("d")])
    memory = pl.read_csv(tmp_path / "memory.csv")
    memory.head(1).write_csv(tmp_path / "memory.csv")
    with pytest.raises(ValueError, match="1 functions lack durations or memory"):
        make_sample.read_functions(tmp_path)


def test_refuses_minutes_with_a_gap(tmp_path: Path) -> None:
    write_source(tmp_path, [function("c")])
    counts = pl.read_csv(tmp_path / "invocations.csv")
    counts.drop("481").write_csv(tmp_path / "invocations.csv")
    with pytest.raises(ValueError, match="not consecutive"):
        make_sample.read_functions(tmp_path)
