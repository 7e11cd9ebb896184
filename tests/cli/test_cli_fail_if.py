"""``--fail-if`` as the command has it; the grammar itself is in test_checks.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import polars as pl

    from conftest import Cli


@pytest.fixture
def crowded(cli: Cli, crowd: pl.DataFrame) -> list[str]:
    crowd.write_parquet(cli.folder / "t.parquet")
    return ["run", "t.parquet", "--set", "account.concurrency=4"]


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("throttle_rate > 0.1%", 99),
        ("throttle_rate > 60%", 0),
        ("throttle_rate >= 60%", 99),
        ("function=checkout: throttles_by_limit.account_concurrency == 18", 99),
        ("throttled == 0", 0),
    ],
)
def test_exit_code_says_whether_it_holds(
    cli: Cli, crowded: list[str], expression: str, code: int
) -> None:
    answer = cli(*crowded, "--fail-if", expression)
    assert (answer.code, answer.err) == (code, "")
    assert answer.lines[3].startswith("checks        ")
    word = "FAIL" if code else "ok"
    assert answer.lines[4].split()[0] == word
    assert expression in answer.lines[4]


def test_what_machines_read_stays_clean(cli: Cli, crowded: list[str]) -> None:
    conditions = ["--fail-if", "throttled > 5", "--fail-if", "iterator_age_ms.max > 1s"]
    answer = cli(*crowded, *conditions, "--format", "json")
    assert answer.code == 99
    assert [check["holds"] for check in json.loads(answer.out)["checks"]] == [True, False]
    assert answer.err.splitlines() == [
        "failed: throttled > 5 holds: 36",
        "warning: iterator_age_ms.max > 1s could not be judged: iterator_age_ms.max has no value",
    ]


def test_files_are_written_before_the_run_fails(cli: Cli, crowded: list[str]) -> None:
    assert cli(*crowded, "-o", "s.json", "--fail-if", "throttled > 0").code == 99
    assert json.loads((cli.folder / "s.json").read_text())["throttled"] == 36


def test_bad_expression_stops_before_anything_is_read(cli: Cli) -> None:
    answer = cli("run", "there-is-none.parquet", "--fail-if", "throtle_rate > 1%", "-o", "s.json")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.splitlines() == [
        "error: the condition 'throtle_rate > 1%' is wrong: there is no measure 'throtle_rate'",
        "hint: did you mean throttle_rate?",
    ]
    assert cli.state() == {}


def test_unknown_function_is_told_with_the_result(cli: Cli, crowded: list[str]) -> None:
    answer = cli(*crowded, "--fail-if", "function=chekout: throttled > 0")
    assert answer.code == 2
    assert "36 of 60 requests" in answer.out
    assert "names the function 'chekout', not in the trace" in answer.err
    assert "hint: nearest: 'checkout'" in answer.err
