"""A gate that judged nothing is not open: exit code 3, and the block of checks says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import polars as pl

    from conftest import Inside

GATES = ("--fail-if", "throttle_rate > 0.1%", "--fail-if", "throttled > 0")


@pytest.fixture(params=["empty", "bad"])
def nothing(inside: Inside, request: pytest.FixtureRequest) -> list[str]:
    """A trace of which no row is replayed."""
    row = "2026-03-01T12:00:00,f,-5\n" if request.param == "bad" else ""
    (inside.folder / "t.csv").write_text(f"timestamp,function,duration_ms\n{row}")
    return ["t.csv", "--on-bad-row", "skip"]


def test_no_row_was_replayed(inside: Inside, nothing: list[str]) -> None:
    answer = inside("run", *nothing, *GATES, "-o", "s.json")
    assert answer.code == 3
    assert answer.lines[3] == "checks        none of 2 fails this run, 2 could not be judged"
    assert answer.lines[4].split()[0] == answer.lines[5].split()[0] == "OPEN"
    assert answer.err.splitlines()[-2:] == [
        (
            "error: the condition 'throttle_rate > 0.1%' and 1 more could not be judged:"
            " throttle_rate has no value"
        ),
        "hint: what was not judged did not pass; leave the condition out where it means nothing",
    ]
    checks = json.loads((inside.folder / "s.json").read_text())["checks"]
    assert [(one["holds"], one["measured"]) for one in checks] == [(False, False)] * 2
    # Without a condition an empty trace is a result, with a warning.
    assert inside("run", *nothing).code == 0
    # A function that is not there is no mistake of the condition where nothing is there.
    assert inside("run", *nothing, "--fail-if", "function=f: throttled > 0").code == 3
    # What can be said of nothing holds all the same.
    assert inside("run", *nothing, "--fail-if", "records < 1").code == 99


@pytest.mark.parametrize(
    "command",
    [
        ["compare", "--set", "other:account.concurrency=2"],
        ["sweep", "--set", "account.concurrency=1,2"],
        ["size"],
    ],
    ids=lambda words: words[0],
)
def test_no_command_passes_a_gate_on_nothing(
    inside: Inside, nothing: list[str], command: list[str]
) -> None:
    verb, *options = command
    answer = inside(verb, *nothing, *options, "--fail-if", "throttled > 0")
    assert (answer.code, "could not be judged" in answer.err) == (3, True), answer


def test_what_holds_comes_before_what_was_not_judged(inside: Inside, crowd: pl.DataFrame) -> None:
    crowd.write_parquet(inside.folder / "t.parquet")
    conditions = ["--fail-if", "async_age_ms.p99 > 1s", "--fail-if", "records > 1"]
    answer = inside("run", "t.parquet", *conditions)
    assert (answer.code, answer.err) == (99, "")
    assert answer.lines[3] == "checks        1 of 2 fail this run, 1 could not be judged"
    assert answer.lines[5].split() == [
        *("OPEN", "async_age_ms.p99", ">", "1s", "async_age_ms.p99", "has", "no", "value")
    ]
    # A function that never ran has no durations: no reason to let it pass.
    slow = ["--fail-if", "function=thumbs: duration_ms.p99 > 2s"]
    shut = ["--set", "functions.thumbs.reserved_concurrency=0"]
    answer = inside("run", "t.parquet", *slow, *shut, "--format", "json")
    assert answer.code == 3
    assert json.loads(answer.out)["checks"][0]["measured"] is False


def test_a_gate_on_a_size_that_does_not_exist(inside: Inside, crowd: pl.DataFrame) -> None:
    crowd.write_parquet(inside.folder / "t.parquet")
    base = ["size", "t.parquet", "--target", "cold_starts < 0"]
    assert "account.concurrency: no size" in inside(*base).out
    answer = inside(*base, "--fail-if", "throttled > 0")
    assert (answer.code, "could not be judged" in answer.err) == (3, True)


def test_a_sweep_marks_points_that_nobody_judged(inside: Inside, crowd: pl.DataFrame) -> None:
    crowd.write_parquet(inside.folder / "t.parquet")
    grid = ["sweep", "t.parquet", "--set", "defaults.reserved_concurrency=0,1"]
    answer = inside(*grid, "--fail-if", "duration_ms.max > 5s")
    assert answer.code == 3
    assert answer.lines[2] == (
        "checks        none of 2 points fails, 1 could not be judged: duration_ms.max > 5s"
    )
    assert [line.split()[0] for line in answer.lines if "OPEN" in line] == ["0"]
