"""The one next command that a screen ends with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl

from lambda_replay.cli.session import PROGRAM
from lambda_replay.exceptions import ScenarioError

if TYPE_CHECKING:
    from lambda_replay.cli.screen.compose import Asked
    from lambda_replay.cli.screen.look import Look
    from lambda_replay.results import ReplayResult

__all__ = ["next_command"]

#: A key that needs no quotes in TOML nor in a shell.
_BARE = re.compile(r"[A-Za-z0-9_-]+")
#: A cause of less than half is not the first to look at.
_MOSTLY = 0.5


def next_command(result: ReplayResult, asked: Asked, look: Look) -> str:
    """Propose what to look at next, as a command that can be copied."""
    if result.summary.records == 0:
        return f"next: {PROGRAM} run sample:azure2019"
    for reason, assignment in _changes(result):
        try:
            result.scenario.with_set(assignment).resolve()
        except ScenarioError:
            # Half of the account is reserved already, say.
            continue
        line = _line(f"next, {reason}", ["--set", assignment], asked, look)
        if len(line) <= look.width:
            return look.paint(line, bold=True)
    line = _line("next, a row per request", ["--outcomes", "outcomes.parquet"], asked, look)
    return look.paint(line, bold=True)


def _line(why: str, addition: list[str], asked: Asked, look: Look) -> str:
    """Write the command out where there is room for it."""
    command = shlex.join([PROGRAM, "run", *_repeated(asked, addition), *addition])
    line = f"{why}: {command}"
    odd = any(trace.startswith("-") for trace in asked.traces)
    if odd or len(line) > look.width or look.plain(line) != line:
        line = f"{why}: the same command with {shlex.join(addition)}"
    if len(line) > look.width:
        line = f"next: the same command with {shlex.join(addition)}"
    return line


def _changes(result: ReplayResult) -> Iterator[tuple[str, str]]:
    """Give changes of the scenario that are about what refused most, the likeliest first."""
    summary = result.summary
    resolved = result.scenario.resolve()
    account = resolved.account
    if len(resolved.epochs) > 1:
        # What holds at the start may be long gone where it matters.
        return
    if summary.state and summary.state["throttles"] > _MOSTLY * summary.throttles:
        yield "if nothing had to wait for shared state", "state.discipline=append"
    limit = max(summary.throttles_by_limit, key=summary.throttles_by_limit.__getitem__, default="")
    if limit == "account_concurrency":
        yield "with twice the limit", f"account.concurrency={2 * account.concurrency}"
    elif limit == "account_rps" and account.rps is not None:
        yield "with twice the rate", f"account.requests_per_second={2 * account.rps}"
    elif limit == "scaling_rate":
        yield "without the scaling rate", "account.scaling=off"
    elif limit in {"reserved_concurrency", "reserved_rps"}:
        by = pl.col("throttles_by_limit").struct.field(limit)
        name = result.functions.sort(by, descending=True)["function"][0]
        reserved = resolved.function(name).reserved
        if reserved and _BARE.fullmatch(name):
            key = f"functions.{name}.reserved_concurrency"
            yield "with twice as much reserved", f"{key}={2 * reserved}"
    if summary.spillover_invocations and not summary.throttles:
        spilled = result.functions.sort("spillover_invocations", descending=True)
        name = spilled["function"][0]
        pools = resolved.function(name).provisioned
        plain = (
            len(pools) == 1
            and pools[0].tracking is None
            and not pools[0].schedule
            and not pools[0].recurring
        )
        if plain and _BARE.fullmatch(name):
            key = f"functions.{name}.provisioned_concurrency"
            if pools[0].qualifier is not None:
                key += f".{pools[0].qualifier}"
            yield "with twice as much provisioned", f"{key}={2 * pools[0].initial}"


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
