"""``lr.sweep``: points are as single runs, finished ones stay, and the front is what it says."""

from __future__ import annotations

import json
import math
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lambda_replay as lr
from lambda_replay.measures import ACCOUNT_MEASURES, flat
from lambda_replay.sweep import points_of
from properties.replays import drawn

TRACE = "sample:azure2019"
GRID = {"account.concurrency": [8, 12, 30], "account.idle.policy": ["halving", "none"]}


def test_a_sweep_is_as_single_runs() -> None:
    frame = lr.sweep(TRACE, lr.Scenario(), GRID)
    assert frame.height == 6
    assert frame.columns == [*GRID, *ACCOUNT_MEASURES]
    for row in frame.to_dicts():
        scenario = lr.Scenario().with_many({key: row[key] for key in GRID})
        wanted = flat(lr.replay(TRACE, scenario).summary.to_dict())
        for name in ACCOUNT_MEASURES:
            assert row[name] == wanted[name], name


def test_the_last_key_changes_fastest() -> None:
    points = points_of({"a": [1, 2], "b": [3, 4]})
    assert [tuple(point.values()) for point in points] == [(1, 3), (1, 4), (2, 3), (2, 4)]
    zipped = points_of({"a": [1, 2], "b": [3, 4]}, zipped=True)
    assert [tuple(point.values()) for point in zipped] == [(1, 3), (2, 4)]


def test_samples_are_points_of_the_grid() -> None:
    grid = {"a": range(100_000), "b": range(100_000)}
    drawn_points = points_of(grid, samples=5, seed=1)
    assert drawn_points == points_of(grid, samples=5, seed=1)
    assert len(drawn_points) == 5
    assert all(point["a"] in grid["a"] and point["b"] in grid["b"] for point in drawn_points)
    assert points_of({"a": [1, 2]}, samples=9) == points_of({"a": [1, 2]})
    whole = {tuple(point.values()) for point in points_of({"a": [1, 2], "b": [3, 4]})}
    some = points_of({"a": [1, 2], "b": [3, 4]}, samples=3, seed=2)
    assert {tuple(point.values()) for point in some} < whole


@pytest.mark.parametrize(
    ("grid", "options", "part"),
    [
        ({}, {}, "nothing to sweep"),
        ({"a": []}, {}, "needs a list of values"),
        ({"a": "xy"}, {}, "needs a list of values"),
        ({"a": [1], "b": [1, 2]}, {"zipped": True}, "as many values each"),
        ({"a": range(1_000), "b": range(1_000)}, {}, "1,000,000 points"),
    ],
)
def test_wrong_grids(grid: dict[str, list[object]], options: dict[str, bool], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        points_of(grid, **options)


def test_a_wrong_point_is_told_before_anything_is_replayed(tmp_path: Path) -> None:
    with pytest.raises(lr.ScenarioError, match="concurrency"):
        lr.sweep("missing.parquet", lr.Scenario(), {"account.concurrency": [10, -1]})


def test_values_of_several_kinds_share_a_column() -> None:
    frame = lr.sweep(TRACE, lr.Scenario(), {"functions.http-bb5d90.timeout_s": ["off", 1]})
    assert frame["functions.http-bb5d90.timeout_s"].to_list() == ["off", "1"]


def test_finished_points_are_not_replayed_again(tmp_path: Path) -> None:
    first = lr.sweep(TRACE, lr.Scenario(), {"account.concurrency": [10, 20]}, output=tmp_path)
    points = sorted((tmp_path / "points").iterdir())
    assert len(points) == 2
    # A mark that only a point that was read can bear.
    document = json.loads(points[0].read_text())
    document["measures"]["throttled"] = 123_456_789
    points[0].write_text(json.dumps(document))
    points[1].unlink()
    again = lr.sweep(TRACE, lr.Scenario(), {"account.concurrency": [10, 20]}, output=tmp_path)
    assert sum(again["throttled"] == 123_456_789) == 1
    assert sum(again["throttled"] == first["throttled"]) == 1
    assert pl.read_parquet(tmp_path / "points.parquet").equals(again)
    more = lr.sweep(TRACE, lr.Scenario(), {"account.concurrency": [10, 20, 25]}, output=tmp_path)
    assert more.height == 3


def test_the_folder_of_another_sweep_is_refused(tmp_path: Path) -> None:
    lr.sweep(TRACE, lr.Scenario(), {"account.concurrency": [20]}, output=tmp_path)
    other = lr.Scenario(defaults={"init_ms": 5})
    with pytest.raises(lr.IntegrityError, match="scenario differ"):
        lr.sweep(TRACE, other, {"account.concurrency": [20]}, output=tmp_path)
    next((tmp_path / "points").iterdir()).write_text("{")
    with pytest.raises(lr.IntegrityError, match="no point of this sweep"):
        lr.sweep(TRACE, lr.Scenario(), {"account.concurrency": [20]}, output=tmp_path)


values = st.one_of(st.none(), st.integers(0, 4).map(float))


@drawn(300)
@given(rows=st.lists(st.tuples(values, values), max_size=12))
def test_nothing_beats_the_front(rows: list[tuple[float | None, float | None]]) -> None:
    frame = pl.DataFrame(
        {"c": [one for one, _ in rows], "x": [other for _, other in rows]},
        schema={"c": pl.Float64, "x": pl.Float64},
    )
    front = lr.pareto_front(frame, "c", "x").to_list()

    def beats(
        one: tuple[float | None, float | None], row: tuple[float | None, float | None]
    ) -> bool:
        a, b = (math.inf if value is None else value for value in one)
        c, d = (math.inf if value is None else value for value in row)
        return None not in one and a <= c and b <= d and (a < c or b < d)

    for row, on_it in zip(rows, front, strict=True):
        assert on_it == (None not in row and not any(beats(one, row) for one in rows))


def test_a_frame_cannot_be_replayed_elsewhere() -> None:
    frame = pl.DataFrame({"timestamp": [1], "function": ["f"], "duration_ms": [1.0]})
    with pytest.raises(ValueError, match="workers read the trace themselves"):
        lr.sweep(frame, None, {"account.concurrency": [5]}, scheduler="tcp://127.0.0.1:1")
