"""What the README shows is what there is."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import lambda_replay as lr

if TYPE_CHECKING:
    from conftest import Cli

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def fenced(kind: str) -> str:
    return README.partition(f"```{kind}\n")[2].partition("```")[0]


def test_screen_is_that_of_the_sample(cli: Cli) -> None:
    shown = fenced("text").splitlines()
    printed = cli("run", "sample:azure2019").lines
    # The first line ends with how long it took.
    assert shown[0].partition(", replayed in ")[0] == printed[0].partition(", replayed in ")[0]
    assert shown[1:] == printed[1:]


def test_scenario_is_valid() -> None:
    text = fenced("toml")
    lr.Scenario(**tomllib.loads(text)).resolve()


def test_python_runs() -> None:
    exec(compile(fenced("python"), "README.md", "exec"), {})  # noqa: S102 - our own
