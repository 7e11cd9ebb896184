"""Help pages, compared as text; ``UPDATE_HELP=1 pytest tests/cli`` writes them anew."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import lambda_replay

if TYPE_CHECKING:
    from conftest import Cli

SCENARIO = ["scenario", *(f"scenario {one}" for one in ("init", "check", "show", "schema"))]
ANSWERS = ["compare", "sweep", "size", "validate"]
PAGES = Path(__file__).parent / "help"


@pytest.mark.parametrize(
    "command",
    ["", "run", *ANSWERS, "report", "inspect", "convert", "generate", "samples", *SCENARIO],
)
def test_help_is_the_stored_page(cli: Cli, command: str) -> None:
    answer = cli(*command.split(), "--help")
    assert answer.code == 0
    assert answer.err == ""
    assert cli(*command.split(), "-h").out == answer.out
    page = PAGES / f"{'-'.join(['lambda-replay', *command.split()])}.txt"
    if os.environ.get("UPDATE_HELP"):
        page.write_text(answer.out, encoding="utf-8")
    assert answer.out == page.read_text(encoding="utf-8")


def test_help_is_plain_and_leads_with_examples(cli: Cli) -> None:
    lines = cli("run", "--help").lines
    assert lines[2].strip().startswith("lambda-replay run sample:")
    assert all(line.isascii() for line in lines)


def test_help_does_not_load_what_a_replay_needs(cli: Cli) -> None:
    started = time.monotonic()
    answer = cli("--help", env={"PYTHONPROFILEIMPORTTIME": "1"})
    # Loose: machines differ. What it must not import says more.
    assert time.monotonic() - started < 5
    imported = {line.rsplit("|", 1)[-1].strip() for line in answer.err.splitlines()}
    assert "click" in imported
    assert imported.isdisjoint({"polars", "pydantic", "rich", "numpy", "lambda_replay._core"})


def test_version(cli: Cli) -> None:
    answer = cli("--version")
    assert (answer.code, answer.out) == (0, f"lambda-replay {lambda_replay.__version__}\n")


def test_no_command_shows_the_help(cli: Cli) -> None:
    answer = cli()
    assert answer.code == 2
    assert answer.out == ""
    assert "Commands:" in answer.err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["rum"], ["No such command 'rum'", "Did you mean 'run'?"]),
        (["run"], ["Missing argument 'TRACE...'", "hint: lambda-replay run --help"]),
        (["run", "x", "--fomat", "csv"], ["No such option '--fomat'", "--format"]),
        (["run", "x", "--format", "yaml"], ["'yaml' is not one of"]),
        (["run", "x", "--seed", "-1"], ["--seed"]),
        (["run", ""], ["TRACE is empty text"]),
    ],
)
def test_wrong_usage_says_what_would_be_right(
    cli: Cli, arguments: list[str], parts: list[str]
) -> None:
    answer = cli(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    for part in parts:
        assert part in answer.err
