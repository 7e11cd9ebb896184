"""Long work beside the main thread, so that Ctrl-C is answered at once.

A Polars query or a replay on the main thread would be noticed by a signal only when it ends.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Cancelled", "call", "check_not_forked"]

T = TypeVar("T")

#: How long a signal may wait for an answer.
_PATIENCE_S = 0.05

#: How long the interpreter's end waits for a worker.
_LEAVE_S = 5.0

#: How long the interpreter's end waits for threads of Polars that a query left behind: they may be
#: in the middle of a generator or stream of the user's, and nobody says when they have left it.
_GRACE_S = 0.25

#: How often a stale interrupt is overlooked.
_STALE_INTERRUPTS = 40

_PID = os.getpid()


class Cancelled(BaseException):
    """The caller is gone: whoever sees this on the worker's side stops and cleans up."""


#: Workers whose callers may be gone.
_LIVE: dict[threading.Thread, threading.Event] = {}

#: Set once a caller has left before its answer.
_LEFT_EARLY = threading.Event()


@atexit.register
def _wait_for_workers() -> None:
    """Let workers come to their end: Polars aborts where the interpreter ends under it."""
    for thread, cancel in list(_LIVE.items()):
        cancel.set()
        thread.join(_LEAVE_S)
    if _LEFT_EARLY.is_set():
        time.sleep(_GRACE_S)


def _uninterrupted(work: Callable[[threading.Event], T], cancel: threading.Event) -> T:
    """Do the work in spite of interrupts that were meant for another query.

    Signals go to the main thread; Polars remembers one that a query did not live to see, and tells
    the next query of it, on any thread.
    """
    for _ in range(_STALE_INTERRUPTS):
        try:
            return work(cancel)
        except KeyboardInterrupt:
            if cancel.wait(_PATIENCE_S):
                raise
    return work(cancel)


def check_not_forked() -> None:
    """Refuse to work where Polars would hang.

    Raises
    ------
    RuntimeError
        The process was forked after import: threads of Polars do not survive that.
    """
    if os.getpid() != _PID:
        message = (
            "lambda_replay was imported before this process was forked, and Polars does not survive"
            " a fork; start processes with the 'spawn' or 'forkserver' method"
        )
        raise RuntimeError(message)


def call(work: Callable[[threading.Event], T]) -> T:
    """Run ``work`` on a thread of its own and wait for it.

    Parameters
    ----------
    work
        Gets an event that is set when its answer is not wanted any more; it should then raise
        :class:`Cancelled` soon.

    Returns
    -------
    T
        What ``work`` returns. Its exceptions are raised here.

    """
    check_not_forked()
    cancel = threading.Event()
    answers: list[T] = []
    failures: list[BaseException] = []

    def target() -> None:
        try:
            answers.append(_uninterrupted(work, cancel))
        except Cancelled:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again on the caller's thread
            failures.append(error)

    thread = threading.Thread(target=target, name="lambda-replay", daemon=True)
    thread.start()
    _LIVE[thread] = cancel
    try:
        while thread.is_alive():
            thread.join(_PATIENCE_S)
    except BaseException:
        cancel.set()
        _LEFT_EARLY.set()
        # Between two batches it is gone at once; a query of Polars may take its time alone.
        with contextlib.suppress(BaseException):
            thread.join(2 * _PATIENCE_S)
        raise
    finally:
        if not thread.is_alive():
            _LIVE.pop(thread, None)
    if failures:
        raise failures[0]
    return answers[0]
