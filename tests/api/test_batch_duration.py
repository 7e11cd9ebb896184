"""What a batch takes by its size, fitted from batches that were observed."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lambda_replay as lr


def fitted(durations: list[float], sizes: list[int]) -> dict[str, object]:
    seen = {"function": ["f"] * len(sizes), "duration_ms": durations, "batch_size": sizes}
    return lr.fit_batch_duration(pl.DataFrame(seen)).row(0, named=True)


@settings(max_examples=50, deadline=None)
@given(
    base=st.floats(0, 1e4),
    each=st.floats(0.01, 1e3),
    sizes=st.lists(st.integers(1, 10_000), min_size=2, max_size=50).filter(
        lambda n: len(set(n)) > 1
    ),
)
def test_a_line_is_found_again(base: float, each: float, sizes: list[int]) -> None:
    found = fitted([base + each * size for size in sizes], sizes)
    assert found["per_record_ms"] == pytest.approx(each, rel=1e-6)
    assert found["base_ms"] == pytest.approx(base, rel=1e-6, abs=1e-6 * each * max(sizes))
    assert found["batches"] == len(sizes)
    assert found["r_squared"] == pytest.approx(1)


def test_least_squares_by_hand() -> None:
    # x 1, 2, 3; y 10, 30, 20: slope 5, start 10, explained 50 of 200.
    found = fitted([10, 30, 20], [1, 2, 3])
    assert (found["base_ms"], found["per_record_ms"]) == (pytest.approx(10), pytest.approx(5))
    assert (found["r_squared"], found["method"]) == (pytest.approx(0.25), "least_squares")


@pytest.mark.parametrize(
    ("durations", "sizes"), [([10, 20, 90], [5, 5, 5]), ([90, 20, 10], [1, 2, 3]), ([20], [4])]
)
def test_without_a_rise_the_median_and_nothing(durations: list[float], sizes: list[int]) -> None:
    found = fitted(durations, sizes)
    assert (found["base_ms"], found["per_record_ms"]) == (20, 0)
    assert found["method"] == "median"


def test_a_line_that_would_start_below_nought_goes_through_it() -> None:
    # Σxy / Σx² = (1·1 + 10·100) / 101.
    found = fitted([1, 100], [1, 10])
    assert found["base_ms"] == 0 and found["method"] == "through_origin"
    assert found["per_record_ms"] == pytest.approx(1_001 / 101)


def test_functions_are_apart_and_nulls_left_out() -> None:
    seen = pl.DataFrame(
        {
            "function": ["b", "a", "b", None, "a", "b"],
            "duration_ms": pl.Series([10, 5, 20, 7, None, 30]) * 1.0,
            "batch_size": [1, 1, 2, 1, 2, 3],
        }
    )
    found = lr.fit_batch_duration(seen.lazy())
    assert found["function"].to_list() == ["a", "b"]
    assert found["batches"].to_list() == [1, 3]
    spans = seen.with_columns((pl.col("duration_ms") * 1_000).cast(pl.Duration("us")))
    assert lr.fit_batch_duration(spans).equals(found, null_equal=True)


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("batch_size", [0, 1], "LR-T-VALUE"),
        ("duration_ms", [-1.0, 1.0], "LR-T-VALUE"),
        ("duration_ms", [float("nan"), 1.0], "LR-T-VALUE"),
        ("batch_size", ["1", "2"], "LR-T-TYPE"),
        ("batch_size", None, "LR-T-COLUMN"),
    ],
)
def test_what_cannot_be_is_refused(column: str, value: list[object] | None, code: str) -> None:
    seen = pl.DataFrame({"function": ["f"] * 2, "duration_ms": [1.0] * 2, "batch_size": [1, 2]})
    seen = seen.drop(column) if value is None else seen.with_columns(pl.Series(column, value))
    with pytest.raises(lr.TraceError) as caught:
        lr.fit_batch_duration(seen)
    assert (caught.value.code, caught.value.column) == (code, column)
