"""The samples ``updates`` and ``updates-sync``: one workload by two doors."""

from __future__ import annotations

import polars as pl
import pytest

import make_updates_sample
from lambda_replay import samples


def test_the_files_are_what_the_script_draws() -> None:
    drawn = make_updates_sample.workload()
    for name in ("updates", "updates-sync"):
        shipped = pl.read_parquet(samples.trace_path(name))
        assert (
            shipped.with_columns(pl.col(pl.Categorical).cast(pl.String))
            .select(drawn.columns)
            .equals(drawn, null_equal=True)
        )
        assert samples.trace_path(name).stat().st_size < 1_000_000


def test_records_are_the_updates_keyed_by_customer() -> None:
    shipped = pl.read_parquet(samples.trace_path("updates"))
    update = shipped["function"].cast(pl.String) == "apply"
    assert set(shipped.filter(update)["source"].cast(pl.String)) == {"updates"}
    assert shipped.filter(~update)["source"].is_null().all()
    assert shipped["key"].cast(pl.String).eq_missing(shipped["state_key"].cast(pl.String)).all()


@pytest.mark.parametrize("name", ["updates", "updates-sync"])
def test_the_numbers_of_the_notes_are_right(name: str) -> None:
    counts = pl.read_parquet(samples.trace_path(name))["function"].value_counts()
    calls = dict(counts.with_columns(pl.col("function").cast(pl.String)).iter_rows())
    assert f"{calls['api']:,} calls" in samples.describe(name)
    assert f"{calls['apply']:,} updates" in samples.describe(name)


def test_another_seed_draws_other_rows() -> None:
    assert not make_updates_sample.workload(6).equals(make_updates_sample.workload())
