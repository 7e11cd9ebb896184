"""The command line: parse, call the library, show, leave with the exit code of interface.md §4.

A module per command; ``process`` owns signals and exit codes, ``screen`` the first screen. Nothing
here imports Polars, pydantic or rich before a command needs them, so that help comes at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process.

    Parameters
    ----------
    arguments
        What follows the program's name; ``sys.argv`` if left out.
    """
    from lambda_replay.cli.process import run_process  # noqa: PLC0415 - importing is side-effect free

    run_process(arguments)
