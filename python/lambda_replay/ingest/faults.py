"""What a reader of files complains of, in the words of this project."""

from __future__ import annotations

import contextlib
import zlib
from typing import TYPE_CHECKING

import polars as pl

from lambda_replay.exceptions import LambdaReplayError, ResourceError, TraceError, cut, escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["reading"]


@contextlib.contextmanager
def reading(source: str, blame: Callable[[], TraceError | None] | None = None) -> Iterator[None]:
    """Turn what Polars and the system say while reading ``source`` into :class:`TraceError`.

    ``blame`` is asked for the field that is to blame.

    Raises
    ------
    TraceError
        The file is not what it says, is cut off, or holds a value of another type.
    ResourceError
        It cannot be reached or does not fit into memory.
    """
    try:
        yield
    except LambdaReplayError:
        raise
    except MemoryError as error:
        message = f"{source} does not fit into memory"
        raise ResourceError(message) from error
    except (pl.exceptions.PolarsError, OSError, UnicodeError, EOFError, zlib.error) as error:
        located = None
        with contextlib.suppress(pl.exceptions.PolarsError, OSError):
            located = None if blame is None else blame()
        if located is not None:
            raise located from error
        message = f"{escape(source)} cannot be read: {_first_line(error)}"
        raise TraceError(message, source=source, code="LR-T-READ", hint=_hint(error)) from error
    except BaseException as error:
        # A panic of Polars derives from BaseException, so nobody else would catch it.
        if type(error).__name__ != "PanicException":
            raise
        message = f"{source} cannot be read: the file is damaged ({_first_line(error)})"
        raise TraceError(message, source=source, code="LR-T-READ") from error


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return cut(escape(text.splitlines()[0]), 300) if text else type(error).__name__


def _hint(error: BaseException) -> str | None:
    text = str(error).lower()
    if "out of spec" in text or "footer" in text or "magic" in text or "eof" in text:
        return "the file is cut off or damaged: was a copy interrupted?"
    if "utf-8" in text or "utf8" in text:
        return "the file must be UTF-8"
    if "permission" in text:
        return "read permission is needed"
    return None
