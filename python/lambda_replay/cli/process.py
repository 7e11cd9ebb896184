"""Runs a command as a process: signals, exit codes, and what is left behind.

Whatever ends a run early, files that were written whole stay and nothing half written does.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from lambda_replay.cli.app import app
from lambda_replay.cli.failures import describe, exit_code_of, say
from lambda_replay.cli.session import PROGRAM, PipeClosed, Session
from lambda_replay.output import discard_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

__all__ = ["Stopped", "run_process"]

#: Exit code where nobody reads what is written: 128 + SIGPIPE.
PIPE_CLOSED = 128 + signal.SIGPIPE

#: Objects made between two searches for cycles: what imports make stays, and needs no search.
_COLLECT_EVERY = 100_000

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}


class Stopped(BaseException):
    """A signal asks the process to leave."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run_process(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave with its exit code."""
    session = Session(tuple(sys.argv[1:] if arguments is None else arguments))
    gc.set_threshold(_COLLECT_EVERY)
    try:
        _listen()
        code = _run(session)
        _flush()
    except Stopped as stop:
        _leave_now(stop.number)
    # The system takes it all back anyway; looking for cycles first would take its time.
    gc.freeze()
    sys.exit(code)


def _run(session: Session) -> int:
    try:
        answer = app.main(
            args=list(session.arguments), prog_name=PROGRAM, standalone_mode=False, obj=session
        )
        if sys.stdout is not None:
            sys.stdout.flush()
    except Stopped:
        raise
    except (KeyboardInterrupt, click.Abort):
        # SIGINT was ignored or handled by somebody else when the process started.
        raise Stopped(signal.SIGINT) from None
    except (PipeClosed, BrokenPipeError):
        return PIPE_CLOSED
    except BaseException as error:  # noqa: BLE001 - the last one who can turn it into an exit code
        with contextlib.suppress(OSError):
            say(describe(error, session))
        return exit_code_of(error)
    return answer if isinstance(answer, int) else 0


# ---------------------------------------------------------------------------- signals


def _listen() -> None:
    """Turn the signals that end a process into :class:`Stopped`."""
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        nonlocal stopping
        if stopping:
            _leave_now(number)
        stopping = True
        raise Stopped(number)

    for number in _WORDS:
        # Whoever started us with a signal ignored, such as nohup, wants it so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def _leave_now(number: int) -> NoReturn:
    """Leave without waiting for anybody: a query of Polars may still run on another thread."""
    discard_all()
    with contextlib.suppress(Exception):
        if sys.stderr.isatty():
            # A progress bar may have hidden the cursor.
            sys.stderr.write("\x1b[?25h")
        say([f"{_WORDS[signal.Signals(number)]}"])
    os._exit(128 + number)


def _flush() -> None:
    """Write what is left; Python would complain at exit of what cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
