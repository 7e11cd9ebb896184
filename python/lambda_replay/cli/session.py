"""What commands share while the process lives."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PROGRAM", "PipeClosed", "Session"]

PROGRAM = "lambda-replay"


class PipeClosed(BaseException):
    """Nobody reads what is written any more."""


@dataclass
class Session:
    """One run of the program.

    Attributes
    ----------
    arguments
        As given.
    debug
        Whether a failure shows where in the code it happened.
    """

    arguments: tuple[str, ...]
    debug: bool = False
