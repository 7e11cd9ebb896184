"""``lambda-replay generate``: synthetic traces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lambda_replay.cli.options import debug_option
from lambda_replay.cli.outputs import check_outputs
from lambda_replay.cli.streams import write_result

if TYPE_CHECKING:
    import datetime as dt

__all__ = ["generate"]


@click.command(short_help="Write a synthetic trace with the shape of published ones.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="OUT",
    help="The Parquet file to write.",
)
@click.option(
    "--invocations",
    type=click.IntRange(1, 10**12),
    default=1_000_000,
    show_default=True,
    metavar="N",
    help="Rows of the trace.",
)
@click.option(
    "--functions",
    type=click.IntRange(1, 10**6),
    metavar="N",
    help="Functions. Default: as many as have so many invocations in the published data.",
)
@click.option(
    "--days",
    type=click.FloatRange(1 / 1_440, 3_660),
    default=1.0,
    show_default=True,
    help="Length of the trace.",
)
@click.option(
    "--start",
    type=click.DateTime(),
    default="2026-03-02",
    show_default=True,
    help="When it begins, UTC.",
)
@click.option(
    "--profile",
    type=click.Choice(["azure2019", "web", "queue", "cron"]),
    default="azure2019",
    show_default=True,
    help="The published mix, requests alone, bursts of messages, or timers.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Seed of every draw; equal options give equal rows.",
)
@debug_option
def generate(
    *,
    output: Path,
    invocations: int,
    functions: int | None,
    days: float,
    start: dt.datetime,
    profile: str,
    seed: int,
) -> int:
    """\b
    lambda-replay generate -o trace.parquet
    lambda-replay generate -o web.parquet --profile web --invocations 100000 --days 0.25

    Write a synthetic trace with the popularity, triggers, durations, memory and rhythm of published
    ones; docs/traces.md gives every parameter with its source.
    """  # noqa: D205, D301, D400 - what the help page prints, examples first
    check_outputs({"--output": (output, "Parquet")}, (), None)
    from lambda_replay.synthetic import write  # noqa: PLC0415 - imports Polars

    written = write(
        output,
        seed=seed,
        invocations=invocations,
        functions=functions,
        days=days,
        start=start,
        profile=profile,
    )
    write_result(f"{output}: {written.rows:,} rows, digest {written.digest[:16]}\n")
    return 0
