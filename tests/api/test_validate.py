"""``lr.validate``: a replay held against observations that another replay made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lambda_replay as lr
from lambda_replay.observed import ValidateError

TRUTH = lr.Scenario(
    account={"concurrency": 8, "idle": {"policy": "fixed", "seconds": 300}},
    defaults={"init_ms": 250},
)


@pytest.fixture(scope="module")
def plain() -> pl.DataFrame:
    source = Path(lr.__file__).parent / "samples" / "azure2019.parquet"
    return pl.read_parquet(source).head(30_000).drop("init_ms", strict=False)


@pytest.fixture(scope="module")
def observed(plain: pl.DataFrame) -> pl.DataFrame:
    outcomes = lr.replay(plain, TRUTH, outcomes=True).outcomes
    assert outcomes is not None
    return plain.with_columns(
        cold_start=outcomes["cold"], throttled=outcomes["outcome"] == "throttled"
    )


def test_what_happened_so_is_predicted_so(observed: pl.DataFrame) -> None:
    found = lr.validate(observed, TRUTH)
    assert found.ok
    whole = found.table.filter(pl.col("function").is_null())
    assert whole["series"].to_list() == ["cold_starts", "throttled"]
    assert set(found.table["verdict"]) == {"ok"}
    for row in found.confusion.to_dicts():
        assert (row["predicted_only"], row["observed_only"]) == (0, 0)
        assert row["both"] > 0 and row["precision"] == row["recall"] == 1
    assert (found.time["observed"] == found.time["predicted"]).all()


def test_another_expiry_is_told_and_fitted(observed: pl.DataFrame) -> None:
    wrong = TRUTH.with_("account.idle.seconds", 60)
    found = lr.validate(observed, wrong, fit=["idle"])
    assert not found.ok
    (fit,) = found.fits
    assert fit.value == 300 and fit.key == "account.idle.seconds"
    assert fit.low is not None and fit.high is not None and fit.low <= 300 <= fit.high
    tried = fit.tried.filter(pl.col("value") == "300").row(0, named=True)
    assert tried["difference"] == 0 and tried["predicted"] == tried["observed"]
    assert "instead of" in fit.changes


def test_counts_by_function_are_group_bys(observed: pl.DataFrame) -> None:
    scenario = TRUTH.with_("account.concurrency", 12)
    outcomes = lr.replay(observed, scenario, outcomes=True).outcomes
    assert outcomes is not None
    both = outcomes.with_columns(
        seen=observed["throttled"], said=outcomes["outcome"] == "throttled"
    )
    wanted = both.group_by("function").agg(pl.col("seen").sum(), pl.col("said").sum())
    found = lr.validate(observed, scenario).table.filter(
        (pl.col("series") == "throttled") & pl.col("function").is_not_null()
    )
    joined = found.join(wanted, on="function", how="full", coalesce=True)
    assert (joined["observed"] == joined["seen"]).all()
    assert (joined["predicted"] == joined["said"]).all()


def test_metrics_of_cloudwatch_beside_the_trace(plain: pl.DataFrame, tmp_path: Path) -> None:
    metrics = lr.replay(plain, TRUTH).metrics
    assert metrics is not None
    assert lr.validate(plain, TRUTH, observed=metrics).ok
    file = tmp_path / "m.csv"
    metrics.select("timestamp", "function", "Invocations", "Throttles").write_csv(file)
    found = lr.validate(plain, TRUTH.with_("account.concurrency", 5), observed=file)
    rows = {
        row["series"]: row for row in found.table.filter(pl.col("function").is_null()).to_dicts()
    }
    assert (
        rows["Throttles"]["observed"]
        == metrics.filter(pl.col("function").is_null())["Throttles"].sum()
    )
    assert rows["Throttles"]["verdict"] == "outside" and not found.ok
    zoned = metrics.with_columns(
        pl.col("timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    )
    assert lr.validate(plain, TRUTH, observed=zoned).ok


def test_inits_that_were_observed_are_fitted(observed: pl.DataFrame) -> None:
    inits = [
        100.0 + 10 * (row % 21) if cold else None for row, cold in enumerate(observed["cold_start"])
    ]
    trace = observed.with_columns(init_ms=pl.Series(inits, dtype=pl.Float64))
    found = lr.validate(trace, TRUTH, fit=["init"])
    (fit,) = found.fits
    assert isinstance(fit.value, float) and fit.low is not None and fit.high is not None
    median = trace["init_ms"].median()
    assert isinstance(median, float) and fit.low <= median <= fit.high
    assert "init_s" in found.table["series"].to_list()


def test_chance_explains_small_counts(plain: pl.DataFrame) -> None:
    some = plain.head(2_000).with_columns(
        throttled=pl.int_range(pl.len()) < 2, cold_start=pl.lit(None, pl.Boolean)
    )
    found = lr.validate(some, lr.Scenario())
    row = found.table.filter(pl.col("function").is_null() & (pl.col("series") == "throttled"))
    assert row["low"].item() < 2 < row["high"].item()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({}, "says nothing of what really happened"),
        ({"fit": ["age"]}, "one of idle, init, lifetime, client"),
        ({"tolerance": -1.0}, "tolerance is a share"),
    ],
)
def test_nothing_to_hold_it_against(
    plain: pl.DataFrame, options: dict[str, Any], part: str
) -> None:
    with pytest.raises(ValidateError, match=part):
        lr.validate(plain, TRUTH, **options)


def test_wrong_observations(observed: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ValidateError, match="no init_ms"):
        lr.validate(observed, TRUTH, fit=["init"])
    with pytest.raises(lr.TraceError, match="it must be true, false or null"):
        lr.validate(observed.with_columns(cold_start=pl.lit("yes")), TRUTH)
    with pytest.raises(lr.TraceError, match="no such file"):
        lr.validate(observed, TRUTH, observed=tmp_path / "m.parquet")
    with pytest.raises(lr.TraceError, match="need a timestamp"):
        lr.validate(observed, TRUTH, observed=pl.DataFrame({"Throttles": [1]}))
    with pytest.raises(ValidateError, match="none of the metrics"):
        lr.validate(
            observed,
            TRUTH,
            observed=pl.DataFrame(
                {"timestamp": [None], "x": [1]}, schema_overrides={"timestamp": pl.Datetime}
            ),
        )


def test_for_people_it_fits_the_screen(observed: pl.DataFrame) -> None:
    text = str(lr.validate(observed, TRUTH.with_("account.idle.seconds", 60), fit=["idle"]))
    lines = text.splitlines()
    assert len(lines) <= 37 and max(map(len, lines)) <= 100
    assert lines[0].startswith("the replay differs")
