"""What is said when a command fails, and the exit code it leaves with."""

from __future__ import annotations

import platform
import shlex
import sys
import traceback
from typing import TYPE_CHECKING

import click

from lambda_replay.cli.session import PROGRAM
from lambda_replay.exceptions import InternalError, LambdaReplayError, ScenarioError, escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lambda_replay.cli.session import Session

__all__ = ["describe", "exit_code_of", "say", "warn"]

USAGE, CANNOT, BUG = 2, 4, 1


def exit_code_of(error: BaseException) -> int:
    """Give the exit code of a failure (interface.md §4)."""
    match error:
        case LambdaReplayError():
            return error.exit_code
        case click.ClickException():
            return USAGE
        case OSError() | MemoryError():
            return CANNOT
        case _:
            return BUG


def describe(error: BaseException, session: Session) -> list[str]:
    """Say what went wrong in lines for people, and what to do about it."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            # Its message is the help page.
            return error.format_message().split("\n")
        case click.UsageError():
            lines = _headed(error.format_message())
            command = error.ctx.command_path if error.ctx is not None else PROGRAM
            lines.append(f"hint: {command} --help")
        case click.ClickException():
            lines = _headed(error.format_message())
        case ScenarioError() if error.problems:
            lines = _scenario(error)
        case InternalError():
            lines = [*_headed(error.message), *_hint(error.hint), *error.report().split("\n")[1:]]
            lines += _about(session)
        case LambdaReplayError():
            lines = [*_headed(str(error)), *_hint(error.hint)]
        case MemoryError():
            lines = ["error: there is not enough memory"]
        case OSError():
            lines = _headed(f"{error.strerror or error}{_file_of(error)}")
        case _:
            what = f"{type(error).__name__}: {error}".rstrip(": ")
            lines = [
                *_headed(f"unexpected {what}"),
                "hint: this is a bug of lambda-replay; please report it with all that stands here"
                + ("" if session.debug else ", and with what --debug adds"),
                *_about(session),
            ]
    if session.debug:
        lines += "".join(traceback.format_exception(error)).rstrip().split("\n")
    return lines


def _headed(message: str) -> list[str]:
    first, *rest = message.split("\n")
    return [f"error: {first}", *rest]


def _hint(hint: str | None) -> list[str]:
    return [] if hint is None else [f"hint: {line}" for line in hint.split("\n")]


def _scenario(error: ScenarioError) -> list[str]:
    count = len(error.problems)
    head = f"error: the scenario has {count} problem{'s' if count > 1 else ''}"
    return [head, *str(error).split("\n"), *_hint(error.hint)]


def _file_of(error: OSError) -> str:
    return "" if error.filename is None else f": {error.filename}"


def _about(session: Session) -> list[str]:
    """Say what a report of a bug needs."""
    try:
        from lambda_replay import __version__ as version  # noqa: PLC0415 - loads the core
    except ImportError as missing:
        version = f"(core not loaded: {missing})"
    polars = sys.modules.get("polars")
    libraries = "" if polars is None else f", polars {getattr(polars, '__version__', '?')}"
    return [
        f"  {PROGRAM} {version}, Python {platform.python_version()}{libraries}",
        f"  {platform.platform()}",
        f"  {shlex.join([PROGRAM, *session.arguments])}",
    ]


def say(lines: Iterable[str]) -> None:
    """Write lines to stderr; what a terminal would obey is escaped."""
    if sys.stderr is None:
        return
    sys.stderr.write("".join(f"{escape(line)}\n" for line in lines))
    sys.stderr.flush()


def warn(message: str) -> None:
    """Write a warning to stderr."""
    say([f"warning: {message}"])
