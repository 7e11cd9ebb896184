"""``lambda-replay sweep``: replay a trace under many values of some keys."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lambda_replay.checks import CheckError, CheckResult, parse
from lambda_replay.cli.failures import say
from lambda_replay.cli.judging import all_checks, conclude
from lambda_replay.cli.options import (
    replaying_options,
    scenario_option,
    trace_argument,
)
from lambda_replay.cli.progress import showing_progress
from lambda_replay.cli.reading import (
    bad_rows,
    read_options,
    tell_bad_rows,
)
from lambda_replay.cli.scenarios import choose
from lambda_replay.cli.streams import write_result
from lambda_replay.exceptions import show
from lambda_replay.figures import plural, span

if TYPE_CHECKING:
    import polars as pl

    from lambda_replay.checks import Check

__all__ = ["sweep"]

#: Values of one range.
_MOST_VALUES = 100_000
_MOST_ROWS = 24
_COLUMNS = ("throttled", "loss_rate", "cold_starts", "wait_ms.p99", "max_concurrency")
_COST = "cost_usd.total"


@click.command(short_help="Replay a trace under many values of some keys.")
@trace_argument
@scenario_option
@click.option(
    "--set",
    "sets",
    metavar="KEY=VALUES",
    multiple=True,
    required=True,
    help="v1,v2,... or A..B or A..B:STEP; several keys make a grid.",
)
@click.option("--zip", "zipped", is_flag=True, help="Take values of all keys in step, no grid.")
@click.option(
    "--samples",
    type=click.IntRange(1),
    metavar="N",
    help="Replay so many of the combinations, drawn by the seed.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep finished points there: what is there already is not replayed again.",
)
@click.option(
    "--scheduler", metavar="ADDRESS", help="A Dask scheduler whose workers replay: tcp://HOST:8786."
)
@click.option(
    "--objective",
    metavar="MEASURE",
    default="loss_rate",
    show_default=True,
    help="What the Pareto front sets against the cost; lower is better.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="What goes to standard output: a screen, or every point with all its measures.",
)
@replaying_options()
def sweep(
    *,
    trace: tuple[str, ...],
    scenario_file: str | None,
    sets: tuple[str, ...],
    zipped: bool,
    samples: int | None,
    output: Path | None,
    scheduler: str | None,
    objective: str,
    kind: str,
    fail_if: tuple[str, ...],
    seed: int | None,
    quiet: bool,
    **reading: Any,
) -> int:
    """\b
    lambda-replay sweep trace.parquet --set account.concurrency=500,1000,2000
    lambda-replay sweep trace.parquet --set functions.api.provisioned_concurrency=0..200:10
    lambda-replay sweep trace.parquet --set functions.api.memory_mb=512,1024 \\
        --set account.concurrency=100..400:100 -o points
    lambda-replay sweep /shared/trace.parquet --set account.concurrency=100..1000:10 \\
        --scheduler tcp://10.0.0.1:8786

    Replay a trace under many values of some keys, decoding it once, and mark the points that no
    other one beats in both cost and the objective.

    EXPR of --fail-if is as in run, and is judged on every point.

    \b
    Exit codes: 0 done, 99 done and a --fail-if holds, 2 wrong usage or scenario, 3 bad trace or
    nothing in it to judge a --fail-if on, 4 cannot read, write, reach or fit, 5 the folder is that
    of another sweep, 1 a bug.
    """  # noqa: D205, D301, D400 - what the help page prints, examples first
    given = [parse(expression) for expression in fail_if]
    if any(check.function is not None for check in given):
        message = "points keep the measures of the whole account: function=NAME: is not judged here"
        raise click.UsageError(message)
    if objective != parse(f"{objective} > 0").measure:
        message = f"--objective {show(objective)} is no measure"
        raise click.UsageError(message)
    started = time.monotonic()
    grid = _grid(sets)
    with showing_progress(trace, quiet=quiet) as progress:
        bad = bad_rows(reading, ())
        chosen = choose(trace, scenario_file, ())
        from lambda_replay.sweep import pareto_front  # noqa: PLC0415 - imports Polars
        from lambda_replay.sweep import sweep as work  # noqa: PLC0415

        try:
            frame = work(
                list(trace),
                chosen.scenario,
                grid,
                zipped=zipped,
                samples=samples,
                seed=seed,
                output=output,
                scheduler=scheduler,
                progress=progress,
                read=read_options(reading, seed=seed),
                bad=bad,
            )
        except ValueError as error:
            if hasattr(error, "exit_code"):
                raise
            raise click.UsageError(str(error)) from None
        frame = frame.with_columns(pareto_front(frame, _COST, objective))
    tell_bad_rows(bad)
    judged = _judge(frame, all_checks(given, chosen.scenario), list(grid))
    failing = sum(any(one.holds for one in checks) for checks in judged)
    if kind == "csv":
        from lambda_replay.cli.documents import frame_csv  # noqa: PLC0415

        write_result(frame_csv(frame))
    elif kind == "json":
        from lambda_replay.cli.documents import to_json  # noqa: PLC0415

        write_result(to_json({"schema_version": 1, "points": frame.to_dicts()}))
    else:
        lines = _screen(
            frame,
            list(grid),
            trace,
            objective=objective,
            judged=judged,
            seconds=time.monotonic() - started,
        )
        if output is not None:
            lines[-1] = f"all of it: {show(str(output / 'points.parquet'))}"
        write_result("".join(f"{line}\n" for line in lines))
    if kind != "table" and failing:
        say([f"failed: {plural(failing, 'point')} by a condition"])
    return conclude([check for checks in judged for check in checks], None)


def _grid(sets: tuple[str, ...]) -> dict[str, list[object]]:
    """Read ``KEY=VALUES`` texts."""
    from lambda_replay.scenario.keys import (  # noqa: PLC0415 - imports pydantic
        KeySyntaxError,
        format_key,
        split_assignment,
    )

    grid: dict[str, list[object]] = {}
    for text in sets:
        try:
            path, values = split_assignment(text)
        except KeySyntaxError as error:
            message = f"--set {show(text)}: {error}"
            raise click.UsageError(message) from None
        key = format_key(path)
        if key in grid:
            message = f"--set names {key} twice; write its values in one: {key}=v1,v2"
            raise click.UsageError(message)
        grid[key] = _values(text, values)
    return grid


def _values(text: str, values: str) -> list[object]:
    from lambda_replay.scenario.read import parse_value  # noqa: PLC0415 - imports pydantic

    first, dots, rest = values.partition("..")
    if dots and (found := _range(text, first, rest)) is not None:
        return found
    parts = [part.strip() for part in _split(values)]
    if "" in parts:
        message = f"--set {show(text)} has an empty value; write KEY=v1,v2 or KEY=A..B:STEP"
        raise click.UsageError(message)
    return [parse_value(part) for part in parts]


def _range(text: str, first: str, rest: str) -> list[object] | None:
    """Read ``A..B[:STEP]``; both ends are part of it. Not numbers are no range."""
    last, _, step = rest.partition(":")
    try:
        low, high, by = Decimal(first), Decimal(last), Decimal(step or "1")
    except InvalidOperation:
        return None
    if by <= 0 or high < low:
        message = f"--set {show(text)}: a range goes up, by a step above 0"
        raise click.UsageError(message)
    many = int((high - low) / by) + 1
    if many > _MOST_VALUES:
        message = f"--set {show(text)} has {many:,} values; at most {_MOST_VALUES:,}"
        raise click.UsageError(message)
    values = [low + by * at for at in range(many)]
    return [int(one) if one == one.to_integral_value() else float(one) for one in values]


def _split(text: str) -> list[str]:
    """Split at commas outside brackets and quotes."""
    parts, depth, quote, begin = [], 0, "", 0
    for at, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[begin:at])
            begin = at + 1
    return [*parts, text[begin:]]


def _judge(frame: pl.DataFrame, checks: list[Check], keys: list[str]) -> list[list[CheckResult]]:
    """Judge every point; gives what became of each condition, point by point."""
    for check in checks:
        if (
            check.function is not None
            or check.measure not in frame.columns
            or check.measure in keys
        ):
            message = f"{show(check.text)} is not judged on the points of a sweep"
            raise CheckError(message)
    return [
        [
            check.evaluate_value(row[check.measure], replayed=bool(row.get("records", 1)))
            for check in checks
        ]
        for row in frame.to_dicts()
    ]


def _screen(
    frame: pl.DataFrame,
    keys: list[str],
    trace: tuple[str, ...],
    *,
    objective: str,
    judged: list[list[CheckResult]],
    seconds: float,
) -> list[str]:
    from lambda_replay.lines import name_of, set_table, trace_name  # noqa: PLC0415 - imports rich
    from lambda_replay.measures import shown  # noqa: PLC0415

    measures = list(dict.fromkeys([_COST, objective, *_COLUMNS]))[: max(2, 6 - len(keys))]
    rows = list(enumerate(frame.to_dicts()))
    # Where there are too many, an even choice with both ends.
    many = len(rows)
    room = min(many, _MOST_ROWS)
    shown_places = {at * (many - 1) // max(1, room - 1) for at in range(room)}
    marked = [_mark(checks) for checks in judged]
    candidates = [place for place, row in rows if row["pareto"] and not marked[place]]
    cheapest = min(candidates, key=lambda place: rows[place][1][_COST], default=None)
    if cheapest is not None:
        shown_places.add(cheapest)
    short = [key.rpartition(".")[2] if len(keys) == 1 else key.split(".", 1)[-1] for key in keys]
    failing = any(marked)
    marks = [""] * (2 if failing else 1)
    table = [[*(name_of(key, 22) for key in short), *marks, *measures]]
    for place, row in rows:
        if place in shown_places:
            mark = "pareto" if row["pareto"] else ""
            table.append(
                [
                    *(name_of(str(row[key]), 22) for key in keys),
                    mark,
                    *([marked[place]] if failing else []),
                    *(shown(name, row[name]) for name in measures),
                ]
            )
    took = span(timedelta(seconds=seconds))
    lines = [f"{trace_name(trace, 40)}: {plural(len(rows), 'point')} in {took}", ""]
    if any(judged):
        lines += [*_checks(judged, marked), ""]
    lines += set_table(table, left=len(keys) + len(marks))
    if len(shown_places) < len(rows):
        lines.append(f"{len(rows) - len(shown_places)} more with --format csv")
    lines.append("")
    lines.append(f"pareto: no other point has both less {objective} and less {_COST}")
    if cheapest is not None:
        row = rows[cheapest][1]
        sets = ", ".join(f"{key}={row[key]}" for key in keys)
        cost, reached = shown(_COST, row[_COST]), shown(objective, row[objective])
        what = "cheapest that passes" if failing else "cheapest"
        lines.append(f"{what}: {name_of(sets, 60)} at {cost}, {objective} {reached}")
    return [*lines, "", "next: the same command with -o DIR keeps finished points"]


def _mark(checks: list[CheckResult]) -> str:
    """Mark a point at which a condition holds, or could not be judged."""
    if any(check.holds for check in checks):
        return "FAIL"
    return "" if all(check.measured for check in checks) else "OPEN"


def _checks(judged: list[list[CheckResult]], marked: list[str]) -> list[str]:
    """Say at how many points conditions hold, and which."""
    from lambda_replay.lines import name_of  # noqa: PLC0415 - imports rich

    points = plural(len(judged), "point")
    failing, unmeasured = marked.count("FAIL"), marked.count("OPEN")
    word = f"{failing:,} of {points} fail" if failing else f"none of {points} fails"
    if unmeasured:
        word += f", {unmeasured:,} could not be judged"
    odd = (check for checks in judged for check in checks if check.holds or not check.measured)
    texts = dict.fromkeys(check.check.text for check in odd)
    return [f"checks        {word}" + (f": {name_of('; '.join(texts), 50)}" if texts else "")]
