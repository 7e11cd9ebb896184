"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from lambda_replay.cli.reading import bad_row_options, reading_options
from lambda_replay.cli.session import Session

__all__ = [
    "blame_option",
    "debug_option",
    "fail_if_option",
    "output_options",
    "quiet_option",
    "replaying_options",
    "scenario_option",
    "seed_option",
    "set_option",
    "trace_argument",
]

Command = TypeVar("Command", bound=Callable[..., Any])


def _keep_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    del parameter
    if value:
        context.ensure_object(Session).debug = True


def debug_option(command: Command) -> Command:
    """Add ``--debug``."""
    option = click.option(
        "--debug",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_keep_debug,
        help="Where it fails, show where in the code.",
    )
    return option(command)


def set_option(command: Command) -> Command:
    """Add ``--set``."""
    option = click.option(
        "--set",
        "sets",
        metavar="KEY=VALUE",
        multiple=True,
        help="Any key of the scenario, over what the file says; may be repeated.",
    )
    return option(command)


def fail_if_option(command: Command) -> Command:
    """Add ``--fail-if``."""
    option = click.option(
        "--fail-if",
        metavar="EXPR",
        multiple=True,
        help="Leave with 99 if this holds, such as 'throttle_rate > 0.1%'; may be repeated.",
    )
    return option(command)


def seed_option(command: Command) -> Command:
    """Add ``--seed``."""
    option = click.option(
        "--seed",
        type=click.IntRange(0, 2**64 - 1),
        metavar="N",
        help="Seed of every random draw; equal seeds give equal results.",
    )
    return option(command)


def quiet_option(command: Command) -> Command:
    """Add ``--quiet``."""
    return click.option("-q", "--quiet", is_flag=True, help="Show no progress.")(command)


def blame_option(command: Command) -> Command:
    """Add ``--blame``."""
    option = click.option(
        "--blame", is_flag=True, help="Say who held the capacity while others were throttled."
    )
    return option(command)


def scenario_option(command: Command) -> Command:
    """Add ``-s`` for one scenario."""
    option = click.option(
        "-s",
        "--scenario",
        "scenario_file",
        metavar="FILE",
        help="The scenario, TOML. Default: AWS's defaults of today, or a sample's own scenario.",
    )
    return option(command)


def output_options(what: str) -> Callable[[Command], Command]:
    """Add ``-o`` for a JSON file and ``--format``; ``what`` says what a table of CSV has."""

    def add(command: Command) -> Command:
        command = click.option(
            "--format",
            "kind",
            type=click.Choice(["table", "json", "csv"]),
            default="table",
            show_default=True,
            help=f"What goes to standard output: a screen, JSON, or {what}.",
        )(command)
        return click.option(
            "-o",
            "--output",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Write the answer there, as JSON.",
        )(command)

    return add


def trace_argument(command: Command) -> Command:
    """Add TRACE..., of which none may be empty text."""
    argument = click.argument(
        "trace", nargs=-1, required=True, metavar="TRACE...", callback=_check_traces
    )
    return argument(command)


def _check_traces(
    context: click.Context, parameter: click.Parameter, traces: tuple[str, ...]
) -> tuple[str, ...]:
    del context, parameter
    if "" in traces:
        message = "TRACE is empty text; was a variable of the shell not set?"
        raise click.UsageError(message)
    return traces


def replaying_options(*own: str) -> Callable[[Command], Command]:
    """Add what every command that replays takes: conditions, seed, reading and the rest.

    ``own`` are arguments about reading that the command has by another option.
    """

    def add(command: Command) -> Command:
        command = debug_option(command)
        command = bad_row_options(command)
        command = reading_options(command, own)
        for option in (quiet_option, seed_option, fail_if_option):
            command = option(command)
        return command

    return add
