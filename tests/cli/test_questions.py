"""Outputs in docs/questions.md are those of its commands; ``UPDATE_DOCS=1`` writes them anew."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Cli

PAGE = Path(__file__).parents[2] / "docs" / "questions.md"
EXAMPLE = re.compile(
    r"(```\nlambda-replay (?P<command>[^\n]*)\n```\n\nprints\n\n```\n)(?P<output>.*?)(```)",
    re.DOTALL,
)
#: How long it took is of the machine.
TOOK = re.compile(r" in [\d.]+ m?s$", re.MULTILINE)


def test_examples_print_what_the_page_says(cli: Cli) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len(EXAMPLE.findall(page)) == 3

    def run(found: re.Match[str]) -> str:
        answer = cli(*shlex.split(found["command"]), "-q")
        assert answer.code == 0, answer.err
        return f"{found[1]}{answer.out}{found[4]}"

    now = EXAMPLE.sub(run, page)
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(now, encoding="utf-8")
    assert TOOK.sub("", now) == TOOK.sub("", page)


def test_the_page_names_every_answer() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for command in ("run", "compare", "sweep", "size", "validate"):
        assert f"lambda-replay {command}" in page
