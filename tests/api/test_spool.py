"""Tables that grow with the trace: put aside on the disk, and given back in order of time."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import lambda_replay as lr
from lambda_replay import engine, minutes
from lambda_replay.replay import run
from lambda_replay.spool import Spool, stretches

HOUR = 3_600_000_000
INSTANTS = st.integers(-3 * HOUR, 9 * HOUR)
PARTS = st.lists(st.lists(INSTANTS, max_size=6), max_size=8)


def table(instants: list[int], first: int) -> pl.DataFrame:
    number = range(first, first + len(instants))
    return pl.DataFrame(
        {"at": instants, "number": list(number)}, schema={"at": pl.Int64, "number": pl.Int64}
    )


def spooled(parts: list[list[int]], rows_in_memory: int) -> tuple[Spool, pl.DataFrame]:
    spool, whole, rows = Spool("at", rows_in_memory), [table([], 0)], 0
    for part in parts:
        whole.append(table(part, rows))
        spool.add(whole[-1])
        rows += len(part)
    return spool, pl.concat(whole)


@given(PARTS, PARTS, st.integers(0, 9), st.integers(1, 9))
def test_stretches_together_are_the_whole_and_cut_at_full_hours(
    parts: list[list[int]], others: list[list[int]], in_memory: int, at_once: int
) -> None:
    one, whole = spooled(parts, in_memory)
    other, _ = spooled(others, in_memory)
    cuts = list(stretches(one, other, rows_in_memory=at_once))
    assert [first for first, _ in cuts] == [None, *(last for _, last in cuts[:-1])]
    assert cuts[-1][1] is None
    found = [rows for cut in cuts if (rows := one.rows(*cut)) is not None]
    for rows, (first, last) in zip(found, cuts, strict=False):
        hours = rows["at"] // HOUR
        assert first is None or rows.is_empty() or hours.min() >= first  # type: ignore[operator]
        assert last is None or rows.is_empty() or hours.max() < last  # type: ignore[operator]
    together = pl.concat([table([], 0), *found])
    assert_frame_equal(together.sort("number"), whole)


@given(PARTS, st.integers(1, 9))
def test_a_stretch_is_short_unless_an_hour_alone_is_long(
    parts: list[list[int]], at_once: int
) -> None:
    spool, whole = spooled(parts, 3)
    by_hour = whole.group_by(pl.col("at") // HOUR).len()["len"]
    for cut in stretches(spool, rows_in_memory=at_once):
        rows = spool.rows(*cut)
        assert rows is None or rows.height <= max(at_once, by_hour.max() or 0)  # type: ignore[type-var]


def test_a_spool_without_rows_has_one_stretch_of_nothing() -> None:
    assert list(stretches(Spool("at"))) == [(None, None)]
    assert Spool("at").rows(None, None) is None


def test_files_written_from_the_disk_are_those_written_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = lr.generate(seed=3, invocations=3_000, functions=5, days=1.0).collect()
    half = pl.int_range(pl.len()) % 2 == 0
    trace = trace.with_columns(source=pl.when(half).then(pl.lit("async")).otherwise(pl.lit("sync")))
    scenario = lr.Scenario(account={"concurrency": 2}, defaults={"client_retry": "botocore_legacy"})

    def written(folder: Path) -> list[bytes]:
        folder.mkdir()
        files = [folder / name for name in ("attempts.parquet", "metrics.parquet")]
        run(trace, scenario, attempts=files[0], metrics=files[1])
        return [pl.read_parquet(file).serialize() for file in files]

    in_memory = written(tmp_path / "memory")
    for module in (engine, minutes):
        monkeypatch.setattr(module, "Spool", partial(Spool, rows_in_memory=50))
        monkeypatch.setattr(module, "stretches", partial(stretches, rows_in_memory=50))
    assert written(tmp_path / "disk") == in_memory
