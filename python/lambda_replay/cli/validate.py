"""``lambda-replay validate``: hold a replay against what really happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lambda_replay.checks import parse
from lambda_replay.cli.answers import asking, write_answer
from lambda_replay.cli.judging import all_checks, block, conclude, judge, tell
from lambda_replay.cli.options import (
    output_options,
    replaying_options,
    scenario_option,
    set_option,
    trace_argument,
)

__all__ = ["validate"]


@click.command(short_help="Hold a replay against what really happened.")
@trace_argument
@scenario_option
@set_option
@click.option(
    "--observed",
    metavar="METRICS",
    help="CloudWatch metrics by minute, Parquet or CSV: timestamp, function, Invocations, ...",
)
@click.option(
    "--fit",
    metavar="WHAT,...",
    default="",
    help="Find settings from the observations: idle, init, lifetime, client.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    metavar="PCT",
    help="Relative error that is still right, in percent.",
)
@output_options("a row per series and function")
@replaying_options()
def validate(
    *,
    trace: tuple[str, ...],
    scenario_file: str | None,
    sets: tuple[str, ...],
    observed: str | None,
    fit: str,
    tolerance: float,
    output: Path | None,
    kind: str,
    fail_if: tuple[str, ...],
    seed: int | None,
    quiet: bool,
    **reading: Any,
) -> int:
    """\b
    lambda-replay validate trace.parquet -s prod.toml
    lambda-replay validate trace.parquet --observed cloudwatch.csv --tolerance 5
    lambda-replay validate trace.parquet --fit idle,init

    Hold a replay against what really happened: by the columns cold_start, throttled and init_ms of
    the trace, and by CloudWatch's metrics where they are given.

    EXPR of --fail-if is as in run, and is judged on the replay.

    \b
    Exit codes: 0 done, 99 done and a --fail-if holds, 2 wrong usage or scenario, 3 bad trace or
    nothing in it to judge a --fail-if on, 4 cannot read, write or fit, 1 a bug.
    """  # noqa: D205, D301, D400 - what the help page prints, examples first
    given = [parse(expression) for expression in fail_if]
    wanted = tuple(dict.fromkeys(one.strip() for one in fit.split(",") if one.strip()))
    with asking(
        trace, scenario_file, sets, reading, output=output, seed=seed, quiet=quiet
    ) as asked:
        from lambda_replay.validate import validate as work  # noqa: PLC0415 - imports Polars

        found = work(
            list(trace),
            asked.chosen.scenario,
            observed=observed,
            tolerance=tolerance / 100,
            fit=wanted,
            seed=seed,
            read=asked.read,
            bad=asked.bad,
        )
    checks = all_checks(given, asked.chosen.scenario)
    judged, wrong = judge(checks, found.summary, found.functions)
    from lambda_replay.lines import trace_name  # noqa: PLC0415 - imports rich

    def lines() -> list[str]:
        more = "--format json has every function and hour"
        following = more if wanted else f"--fit idle,init finds settings; {more}"
        head = [trace_name(trace, 80), "", *block(judged)]
        return [*head, *str(found).splitlines(), "", f"next: {following}"]

    document = {**found.to_dict(), "checks": [check.to_dict() for check in judged]}
    write_answer(document, found.table, lines, kind=kind, output=output)
    if kind != "table":
        tell(judged)
    return conclude(judged, wrong)
