"""``lambda-replay scenario init``: a scenario to start from."""

from __future__ import annotations

from pathlib import Path

import click

from lambda_replay.cli.options import debug_option
from lambda_replay.cli.streams import write_result
from lambda_replay.exceptions import OutputError, escape, show

__all__ = ["init"]


@click.command(short_help="Write a commented scenario to start from.")
@click.argument("file")
@debug_option
def init(file: str) -> None:
    """\b
    lambda-replay scenario init prod.toml
    lambda-replay scenario init -            to standard output

    Write a scenario with the most important keys, each with its default and a comment. A file that
    exists is left alone.
    """  # noqa: D205, D301, D400 - what the help page prints, examples first
    from lambda_replay.scenario.template import TEMPLATE  # noqa: PLC0415 - imports pydantic

    if file == "-":
        write_result(TEMPLATE)
        return
    try:
        with Path(file).open("x", encoding="utf-8", newline="\n") as target:
            target.write(TEMPLATE)
    except FileExistsError:
        hint = "give another name, or remove it first"
        raise OutputError(f"{show(file)} exists", hint=hint) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{show(file)} could not be written: {reason}") from None
    write_result(f"{escape(file)}: written; next: lambda-replay scenario check {escape(file)}\n")
