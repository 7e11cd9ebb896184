"""``lambda-replay scenario``: the group, with a module per command."""

from __future__ import annotations

import click

from lambda_replay.cli.scenario_check import check
from lambda_replay.cli.scenario_init import init
from lambda_replay.cli.scenario_schema import schema
from lambda_replay.cli.scenario_show import show

__all__ = ["scenario"]


@click.group(short_help="Start, check or show a scenario.", no_args_is_help=True)
def scenario() -> None:
    """\b
    lambda-replay scenario init prod.toml
    lambda-replay scenario check prod.toml
    lambda-replay scenario show prod.toml --resolved

    Start a scenario, check it, or show what it says and what is in force besides.
    """  # noqa: D205, D301, D400 - what the help page prints, examples first


scenario.add_command(init)
scenario.add_command(check)
scenario.add_command(show)
scenario.add_command(schema)
