"""``lambda-replay scenario check``: what is wrong with scenario files."""

from __future__ import annotations

from dataclasses import replace

import click

from lambda_replay.cli.options import debug_option, set_option
from lambda_replay.cli.scenarios import load
from lambda_replay.cli.streams import write_result
from lambda_replay.exceptions import ScenarioError, escape

__all__ = ["check"]


@click.command(short_help="Say what is wrong with scenario files.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@set_option
@debug_option
def check(files: tuple[str, ...], sets: tuple[str, ...]) -> int:
    """\b
    lambda-replay scenario check prod.toml
    lambda-replay scenario check *.toml

    Print a line FILE:LINE:COLUMN: KEY: MESSAGE for everything that is wrong, as compilers do, and
    leave with 2 if anything is; "FILE: ok" for files that can be used. Lines with "warning:" tell
    what is right and may well be meant otherwise: reservations that leave little for the rest,
    time-outs shorter than inits, keys that the era did not have.
    """  # noqa: D205, D301, D400 - what the help page prints, examples first
    code = 0
    lines: list[str] = []
    for file in files:
        try:
            found = load(file, sets).findings()
        except ScenarioError as error:
            code = error.exit_code
            lines += str(error).split("\n")
        else:
            lines += [str(replace(one, message=f"warning: {one.message}")) for one in found]
            lines.append(f"{file}: ok")
    write_result("".join(f"{escape(line)}\n" for line in lines))
    return code
