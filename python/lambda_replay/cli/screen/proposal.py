"""The one next command that a screen ends with."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from lambda_replay.cli.session import PROGRAM

if TYPE_CHECKING:
    from lambda_replay.cli.screen.compose import Asked
    from lambda_replay.cli.screen.look import Look
    from lambda_replay.results import ReplayResult

__all__ = ["next_command"]

_CONCURRENCY = "account.concurrency"


def next_command(result: ReplayResult, asked: Asked, look: Look) -> str:
    """Propose what to look at next, as a command that can be copied."""
    summary = result.summary
    if summary.records == 0:
        return f"next: {PROGRAM} run sample:azure2019"
    if summary.throttles:
        limit = result.scenario.resolve().account.concurrency
        why, addition = "next, with twice the limit", ["--set", f"{_CONCURRENCY}={2 * limit}"]
    else:
        why, addition = "next, a row per request", ["--outcomes", "outcomes.parquet"]
    command = shlex.join([PROGRAM, "run", *_repeated(asked, addition), *addition])
    line = f"{why}: {command}"
    odd = any(trace.startswith("-") for trace in asked.traces)
    if odd or len(line) > look.width or look.plain(line) != line:
        line = f"{why}: the same command with {shlex.join(addition)}"
    return look.paint(line, bold=True)


def _repeated(asked: Asked, addition: list[str]) -> list[str]:
    """Repeat what decides the result, without what the addition replaces."""
    words = list(asked.traces)
    if asked.chosen.file is not None:
        words += ["-s", asked.chosen.file]
    replaced = addition[1].partition("=")[0] if addition[0] == "--set" else None
    for assignment in asked.chosen.sets:
        if assignment.partition("=")[0].strip() != replaced:
            words += ["--set", assignment]
    if asked.seed is not None:
        words += ["--seed", str(asked.seed)]
    return words
