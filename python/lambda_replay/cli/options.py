"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from lambda_replay.cli.session import Session

__all__ = ["debug_option", "set_option"]

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
