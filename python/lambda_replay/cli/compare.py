"""``lambda-replay compare``: replay a trace under several scenarios and tell the differences."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lambda_replay.checks import Check, CheckError, CheckResult, parse
from lambda_replay.cli.answers import write_answer
from lambda_replay.cli.judging import all_checks, block_of, conclude, judge, tell
from lambda_replay.cli.options import (
    output_options,
    replaying_options,
    trace_argument,
)
from lambda_replay.cli.outputs import check_outputs
from lambda_replay.cli.progress import showing_progress
from lambda_replay.cli.reading import (
    bad_rows,
    read_options,
    tell_bad_rows,
)
from lambda_replay.cli.scenarios import choose
from lambda_replay.exceptions import show
from lambda_replay.figures import plural, span

if TYPE_CHECKING:
    from lambda_replay.compare import Comparison, SideLike
    from lambda_replay.scenario import Scenario

__all__ = ["compare"]

_NAME = re.compile(r"[\w.-]+")
#: Lines of a screen.
_LINES = 40
#: Name of the first side where -s does not give any.
_BASE = "base"


@click.command(short_help="Replay a trace under several scenarios and tell the differences.")
@trace_argument
@click.option(
    "-s",
    "--scenario",
    "files",
    metavar="[NAME=]FILE",
    multiple=True,
    help="A scenario, or a result of run -o; the first is what others are compared with.",
)
@click.option(
    "--set",
    "sets",
    metavar="NAME:KEY=VALUE",
    multiple=True,
    help="Change a key of a scenario, or make a new one of that name from the first.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 1_000),
    default=1,
    show_default=True,
    metavar="N",
    help="Replay with so many seeds; better and worse are said where all agree.",
)
@output_options("a row per measure")
@replaying_options()
def compare(
    *,
    trace: tuple[str, ...],
    files: tuple[str, ...],
    sets: tuple[str, ...],
    repeat: int,
    output: Path | None,
    kind: str,
    fail_if: tuple[str, ...],
    seed: int | None,
    quiet: bool,
    **reading: Any,
) -> int:
    """\b
    lambda-replay compare trace.parquet -s today.toml -s candidate.toml
    lambda-replay compare trace.parquet -s today.toml --set wider:account.concurrency=2000
    lambda-replay compare trace.parquet -s a.toml -s b.toml --repeat 5
    lambda-replay compare sample:azure2019 --set tight:account.concurrency=20

    Replay a trace under several scenarios and tell the differences.

    The first scenario is what the others are compared with; NAME is the file's stem unless given.
    All have the same luck. With --repeat, a difference counts as better or worse only where every
    seed says so.

    EXPR of --fail-if is as in run, and is judged on every scenario but the first; NAME@ before it
    picks one of them: wider@throttled > 0.

    \b
    Exit codes: 0 done, 99 done and a --fail-if holds, 2 wrong usage or scenario, 3 bad trace or
    nothing in it to judge a --fail-if on, 4 cannot read, write or fit, 5 results of different
    traces or versions, 1 a bug.
    """  # noqa: D205, D301, D400 - what the help page prints, examples first
    given = [_condition(expression) for expression in fail_if]
    started = time.monotonic()
    with showing_progress(trace, quiet=quiet) as progress:
        bad = bad_rows(reading, (output,))
        sides = _sides(trace, files, sets)
        check_outputs(
            {"--bad-rows": (bad.path, "Parquet"), "--output": (output, "JSON")}, trace, None
        )
        names = list(sides)
        for name, _, expression in given:
            if name is not None and name not in names:
                message = (
                    f"--fail-if {show(expression)} names no side; there are {', '.join(names)}"
                )
                raise click.UsageError(message)
        from lambda_replay.compare import compare as work  # noqa: PLC0415 - imports Polars

        found = work(
            list(trace),
            sides,
            repeat=repeat,
            seed=seed,
            metrics=False,
            progress=progress,
            read=read_options(reading, seed=seed),
            bad=bad,
        )
    tell_bad_rows(bad)
    judged, wrong = _judged(found, given)
    seconds = time.monotonic() - started
    _answer(found, trace, judged, seconds, kind=kind, output=output)
    return conclude([check for checks in judged.values() for check in checks], wrong)


def _condition(text: str) -> tuple[str | None, Check, str]:
    """Read ``[NAME@]EXPR``."""
    name, at, rest = text.partition("@")
    if at and _NAME.fullmatch(name.strip()):
        return name.strip(), parse(rest), text
    return None, parse(text), text


def _sides(
    trace: tuple[str, ...], files: tuple[str, ...], sets: tuple[str, ...]
) -> dict[str, SideLike]:
    """Load what is to be compared, by name."""
    from lambda_replay.saved import is_result  # noqa: PLC0415 - imports Polars
    from lambda_replay.scenario import Scenario  # noqa: PLC0415 - imports pydantic

    sides: dict[str, SideLike] = {}
    for text in files:
        name, path = _named(text)
        if name in sides:
            message = f"two sides are called {show(name)}; give one another name: NAME=FILE"
            raise click.UsageError(message)
        sides[name] = path if is_result(path) else Scenario.load(path)
    if not sides:
        sides[_BASE] = choose(trace, None, ()).scenario
    base = next(iter(sides.values()))
    changes: dict[str, list[str]] = {}
    for text in sets:
        name, colon, assignment = text.partition(":")
        if not colon or not _NAME.fullmatch(name):
            message = f"--set {show(text)} has no name of a side; write NAME:KEY=VALUE"
            raise click.UsageError(message)
        changes.setdefault(name, []).append(assignment)
    for name, assignments in changes.items():
        scenario: Scenario | SideLike = sides.get(name, base)
        if not isinstance(scenario, Scenario):
            which = name if name in sides else next(iter(sides))
            message = f"{show(which)} is a result: no key of it can be set any more"
            raise click.UsageError(message)
        sides[name] = scenario.with_set(*assignments)
    if len(sides) < 2:
        message = "there is one side; give another with -s FILE or --set NAME:KEY=VALUE"
        raise click.UsageError(message)
    return sides


def _named(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if equals and _NAME.fullmatch(name) and not Path(text).exists():
        return name, path
    return Path(text).stem or text, text


def _judged(
    found: Comparison, given: list[tuple[str | None, Check, str]]
) -> tuple[dict[str, list[CheckResult]], CheckError | None]:
    """Judge the conditions on every side that was replayed, but the first."""
    judged: dict[str, list[CheckResult]] = {}
    wrong: CheckError | None = None
    for name in found.names:
        result = found.result.get(name)
        mine = [
            check
            for side, check, _ in given
            if side == name or (side is None and name != found.names[0])
        ]
        if result is None:
            if mine:
                wrong = wrong or CheckError(f"{show(name)} is a file: no condition is judged on it")
            continue
        if name != found.names[0]:
            mine = all_checks(mine, result.scenario)
        functions = {row["function"]: row for row in result.functions.to_dicts()}
        checks, error = judge(mine, result.summary.to_dict(), functions)
        wrong = wrong or error
        if checks:
            judged[name] = checks
    return judged, wrong


def _answer(
    found: Comparison,
    trace: tuple[str, ...],
    judged: dict[str, list[CheckResult]],
    seconds: float,
    *,
    kind: str,
    output: Path | None,
) -> None:
    from lambda_replay.lines import name_of, trace_name  # noqa: PLC0415 - imports rich

    document = {
        **found.to_dict(),
        "summaries": found.summaries(),
        "checks": {name: [check.to_dict() for check in checks] for name, checks in judged.items()},
    }

    def lines() -> list[str]:
        took = span(timedelta(seconds=seconds))
        names = ", ".join(name_of(name, 16) for name in found.names[1:4])
        replays = plural(len(found.result) * max(1, len(found.seeds)), "replay")
        head = f"{trace_name(trace, 40)}: {names} against {name_of(found.names[0], 16)}"
        pairs = [(name, check) for name, checks in judged.items() for check in checks]
        above = [f"{head}; {replays} in {took}", "", *block_of(pairs)]
        again = "" if len(found.seeds) > 1 else "the same command with --repeat 5; "
        # Two lines are for what follows, one for the shell's prompt.
        room = _LINES - len(above) - 3
        return [*above, *found.lines(room), "", f"next: {again}--format json has all of it"]

    write_answer(document, found.table, lines, kind=kind, output=output)
    if kind != "table":
        tell([check for checks in judged.values() for check in checks])
