"""``lr.compare``: the same luck on all sides, and what may be said of differences."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given

import lambda_replay as lr
from differential.strategies import Case, cases
from lambda_replay.cli.documents import summary_json
from lambda_replay.measures import verdict
from lambda_replay.several import Wanted, replay_several
from properties.replays import drawn

BASE = lr.Scenario(account={"concurrency": 10})
TRACE = "sample:azure2019"


@pytest.fixture(scope="module")
def comparison() -> lr.Comparison:
    wider = BASE.with_("account.concurrency", 20)
    return lr.compare(TRACE, {"today": BASE, "wider": wider, "again": BASE}, metrics=True)


def test_sides_are_as_replayed_alone(comparison: lr.Comparison) -> None:
    for name, scenario in {"today": BASE, "wider": BASE.with_("account.concurrency", 20)}.items():
        alone = lr.replay(TRACE, scenario)
        side = comparison.result[name]
        assert side.summary == alone.summary
        assert side.functions.equals(alone.functions)
        assert side.metrics is not None and side.metrics.equals(alone.metrics)


def test_the_table_has_a_row_per_measure_and_differences_to_the_first(
    comparison: lr.Comparison,
) -> None:
    table = comparison.table
    assert table.columns[:5] == ["measure", "unit", "today", "wider", "again"]
    row = table.row(by_predicate=pl.col("measure") == "throttled", named=True)
    today, wider = (comparison.result[name].summary for name in ("today", "wider"))
    assert row["today"] == today.throttled and row["wider"] == wider.throttled
    assert row["wider_change"] == wider.throttled - today.throttled
    assert row["wider_verdict"] == "better"
    cost = table.row(by_predicate=pl.col("measure") == "cost_usd.total", named=True)
    assert cost["wider_verdict"] == "worse"


def test_a_scenario_compared_with_itself_has_no_differences(comparison: lr.Comparison) -> None:
    assert set(comparison.table["again_change"].drop_nulls()) == {0.0}
    assert set(comparison.table["again_verdict"].drop_nulls()) == {"same"}
    assert comparison.functions.filter(pl.col("scenario") == "again").height == 0


def test_it_says_for_whom(comparison: lr.Comparison) -> None:
    said = comparison.functions.filter(
        (pl.col("measure") == "throttled") & (pl.col("scenario") == "wider")
    )
    both = comparison.result["today"].functions.join(
        comparison.result["wider"].functions, on="function"
    )
    differ = both.filter(pl.col("throttled") != pl.col("throttled_right"))
    assert set(said["function"]) == set(differ["function"])


@drawn(25)
@given(case=cases(large=False))
def test_several_at_once_are_as_each_alone(case: Case) -> None:
    frame = case.frame()
    scenario = lr.Scenario(**case.sections)
    others = [scenario.with_("account.concurrency", 1 + at) for at in range(3)]
    wanted = Wanted(metrics=True, outcomes=True, blame=True)
    found = replay_several(frame, [scenario, *others], wanted=wanted)
    for one, result in zip([scenario, *others], found, strict=True):
        alone = lr.replay(frame, one, outcomes=True, blame=True)
        assert result.summary == alone.summary
        assert result.outcomes is not None and result.outcomes.equals(alone.outcomes)
        assert result.metrics is not None and result.metrics.equals(alone.metrics)
        assert result.blame is not None and result.blame.equals(alone.blame)


def test_unsorted_traces_are_sorted_for_all() -> None:
    rows = pl.DataFrame(
        {
            "timestamp": [3_000_000, 1_000_000, 2_000_000],
            "function": ["a", "b", "a"],
            "duration_ms": [1_500.0, 1_500.0, 10.0],
        }
    )
    one = lr.Scenario(account={"concurrency": 1})
    c = lr.compare(rows, {"one": one, "two": one.with_("account.concurrency", 2)})
    assert c.result["one"].summary == lr.replay(rows, one).summary
    assert c.result["one"].summary.throttled == 1
    assert not c.result["one"].trace.was_sorted


@pytest.mark.parametrize(
    ("name", "low", "high", "said"),
    [
        ("throttled", -3, -1, "better"),
        ("throttled", 1, 3, "worse"),
        ("throttled", -3, 1, "unclear"),
        ("throttled", -3, 0, "unclear"),
        ("throttled", 0, 0, "same"),
        ("success", 1, 2, "better"),
        ("max_concurrency", 1, 2, "changed"),
    ],
)
def test_no_improvement_is_claimed_where_the_band_contains_zero(
    name: str, low: float, high: float, said: str
) -> None:
    assert verdict(name, low, high) == said


def test_repeated_seeds_give_bands_of_paired_differences() -> None:
    # Lifetimes are drawn: what is cold depends on the seed.
    trace = pl.DataFrame(
        {
            "timestamp": [at * 60_000_000 for at in range(600)],
            "function": ["f"] * 600,
            "duration_ms": [100.0] * 600,
        }
    )
    short = lr.Scenario(account={"env": {"max_lifetime": [600, 7_200]}})
    longer = short.with_("account.env.max_lifetime", [650, 7_200])
    c = lr.compare(trace, {"short": short, "longer": longer}, repeat=6, seed=3)
    assert c.seeds == (3, 4, 5, 6, 7, 8)
    differences = []
    for seed in c.seeds:
        one, other = (lr.replay(trace, s, seed=seed).summary for s in (short, longer))
        differences.append(other.cold_starts - one.cold_starts)
    row = c.table.row(by_predicate=pl.col("measure") == "cold_starts", named=True)
    assert (row["longer_low"], row["longer_high"]) == (min(differences), max(differences))
    assert min(differences) < max(differences)
    assert row["longer_change"] == pytest.approx(sum(differences) / 6)
    expected = verdict("cold_starts", min(differences), max(differences))
    assert row["longer_verdict"] == expected


def test_saved_results_are_sides(tmp_path: Path) -> None:
    today = lr.replay(TRACE, BASE)
    file = tmp_path / "today.json"
    file.write_text(summary_json(today, []), encoding="utf-8")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "summary.json").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    today.functions.write_parquet(folder / "functions.parquet")
    wider = BASE.with_("account.concurrency", 20)
    direct = lr.compare(TRACE, {"a": today, "b": wider})
    for saved in (file, folder, str(folder)):
        c = lr.compare(TRACE, {"a": saved, "b": wider})
        assert c.table.equals(direct.table)
    assert lr.compare(TRACE, {"a": folder, "b": wider}).functions.equals(direct.functions)
    assert lr.compare(None, {"a": file, "b": folder}).table["b_change"].drop_nulls().sum() == 0


def test_other_traces_and_other_rules_are_refused(tmp_path: Path) -> None:
    today = lr.replay(TRACE, BASE)
    document = json.loads(summary_json(today, []))
    for change, part in (
        ({"trace": {**document["trace"], "rows": 5}}, "different traces"),
        ({"version": "0.0.0"}, "their rules may differ"),
    ):
        file = tmp_path / "other.json"
        file.write_text(json.dumps({**document, **change}), encoding="utf-8")
        with pytest.raises(lr.IntegrityError, match=part):
            lr.compare(None, {"a": today, "b": file})
    (tmp_path / "summary.json").write_text("{}", encoding="utf-8")
    with pytest.raises(lr.IntegrityError, match="is no result"):
        lr.compare(None, {"a": today, "b": tmp_path})
    (tmp_path / "summary.json").unlink()
    with pytest.raises(lr.OutputError, match="cannot read the result"):
        lr.compare(None, {"a": today, "b": tmp_path})


@pytest.mark.parametrize(
    ("sides", "part"),
    [({"a": BASE}, "two sides or more"), ({"measure": BASE, "b": BASE}, "cannot be the name")],
)
def test_wrong_sides(sides: dict[str, lr.Scenario], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        lr.compare(TRACE, sides)


def test_a_bad_row_is_told_as_by_replay() -> None:
    rows = pl.DataFrame({"timestamp": [1, 2], "function": ["f", "f"], "duration_ms": [1.0, -1.0]})
    with pytest.raises(lr.TraceError) as caught:
        lr.compare(rows, {"a": BASE, "b": BASE})
    assert caught.value.row == 1


def test_for_people_it_fits_the_screen(comparison: lr.Comparison) -> None:
    lines = str(comparison).splitlines()
    assert len(lines) <= 34 and max(map(len, lines)) <= 100
    assert "better" in str(comparison) and "worse" in str(comparison)
