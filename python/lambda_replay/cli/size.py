"""``lambda-replay size``: how large a limit must be."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from lambda_replay.checks import parse
from lambda_replay.cli.answers import asking, write_answer
from lambda_replay.cli.judging import all_checks, block, conclude, judge_result, tell
from lambda_replay.cli.options import (
    output_options,
    replaying_options,
    scenario_option,
    set_option,
    trace_argument,
)
from lambda_replay.figures import plural, span

__all__ = ["size"]


@click.command(short_help="Say how large a limit must be, and prove it by replaying.")
@trace_argument
@scenario_option
@set_option
@click.option(
    "--what",
    type=click.Choice(
        ["account", "reserved", "provisioned", "downstream", "maximum_concurrency", "shards"]
    ),
    default="account",
    show_default=True,
    help="Which limit.",
)
@click.option(
    "--function",
    metavar="F",
    help="Whose reserved or provisioned concurrency; whose rows, where the trace tells none.",
)
@click.option("--source", metavar="E", help="Whose maximum concurrency or shards.")
@click.option("--downstream", metavar="D", help="Which table of [downstream] to protect.")
@click.option(
    "--target",
    metavar="EXPR",
    help="What is to hold, or cheapest. Default: throttles <= 0; provisioned: no cold starts;"
    " maximum_concurrency, shards: nothing lost.",
)
@output_options("the sizes that were replayed")
@replaying_options("function")
def size(
    *,
    trace: tuple[str, ...],
    scenario_file: str | None,
    sets: tuple[str, ...],
    what: str,
    function: str | None,
    source: str | None,
    downstream: str | None,
    target: str | None,
    output: Path | None,
    kind: str,
    fail_if: tuple[str, ...],
    seed: int | None,
    quiet: bool,
    **reading: Any,
) -> int:
    """\b
    lambda-replay size trace.parquet -s prod.toml
    lambda-replay size trace.parquet --what reserved --function api --target 'throttle_rate <= 0.1%'
    lambda-replay size trace.parquet --what provisioned --function api --target cheapest
    lambda-replay size trace.parquet -s prod.toml --what downstream --downstream orders-db

    Say how large a limit must be, and prove it by replaying that size and its neighbours.

    The answer is the smallest size from which on every larger one, up to the demand's peak, meets
    the target; where a smaller one meets it too, that is said, with the sizes between that fail.
    For downstream it is the largest cap up to which every smaller one keeps within the limit.

    EXPR is as in run and is about the whole account unless it begins with function=NAME:. Those of
    --fail-if are judged on the replay of the answer.

    \b
    Exit codes: 0 done, 99 done and a --fail-if holds, 2 wrong usage or scenario, 3 bad trace or
    nothing in it to judge a --fail-if on, 4 cannot read, write or fit, 1 a bug.
    """  # noqa: D205, D301, D400 - what the help page prints, examples first
    given = [parse(expression) for expression in fail_if]
    started = time.monotonic()
    reading["function"] = function
    with asking(
        trace, scenario_file, sets, reading, output=output, seed=seed, quiet=quiet
    ) as asked:
        from lambda_replay.size import size as work  # noqa: PLC0415 - imports Polars

        found = work(
            list(trace),
            asked.chosen.scenario,
            what=what,  # type: ignore[arg-type]  # click has checked it
            function=function,
            source=source,
            downstream=downstream,
            target=target,
            seed=seed,
            progress=asked.progress,
            read=asked.read,
            bad=asked.bad,
        )
    checks = all_checks(given, asked.chosen.scenario)
    judged, wrong = judge_result(checks, found.result)
    from lambda_replay.lines import trace_name  # noqa: PLC0415 - imports rich

    def lines() -> list[str]:
        took = span(timedelta(seconds=time.monotonic() - started))
        sizes = plural(found.table.height, "size")
        head = [f"{trace_name(trace, 60)}: {sizes} replayed in {took}", ""]
        checked = block(judged, " at that size")
        following = _next(found.what, found.value, found.key)
        return [*head, *checked, *str(found).splitlines(), "", following]

    document = {**found.to_dict(), "checks": [check.to_dict() for check in judged]}
    write_answer(document, found.table, lines, kind=kind, output=output)
    if kind != "table":
        tell(judged)
    return conclude(judged, wrong)


def _next(what: str, value: int | None, key: str) -> str:
    from lambda_replay.lines import name_of  # noqa: PLC0415 - imports rich

    if value is None:
        return "next: the same command with another --target"
    if what == "downstream":
        return "next: lambda-replay compare with those caps says who waits for them"
    return f"next: lambda-replay compare ... --set new:{name_of(f'{key}={value}', 60)}"
