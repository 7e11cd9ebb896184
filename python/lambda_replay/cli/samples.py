"""``lambda-replay samples``: the traces that ship with the package."""

from __future__ import annotations

import textwrap

import click

from lambda_replay import samples as shipped
from lambda_replay.cli.options import debug_option
from lambda_replay.cli.session import PROGRAM
from lambda_replay.cli.streams import write_result

__all__ = ["samples"]


@click.command(short_help="List the traces that ship with the package.")
@debug_option
def samples() -> None:
    """\b
    lambda-replay samples
    lambda-replay run sample:azure2019

    List the traces that ship with the package. A sample can stand wherever a trace can, as
    sample:NAME; most come with a scenario of their own, which is used where no other is given.
    """  # noqa: D205, D301, D400 - what the help page prints, examples first
    write_result("\n".join(_paragraph(name) for name in shipped.names()))


def _paragraph(name: str) -> str:
    own = shipped.scenario_path(name)
    lines = [
        f"sample:{name}",
        *textwrap.wrap(shipped.describe(name), 96),
        f"scenario: {own.name if own else 'none of its own'}",
        f"{PROGRAM} run sample:{name}",
    ]
    return "\n  ".join(lines) + "\n"
