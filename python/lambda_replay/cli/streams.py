"""Where results go: standard output, and nothing else does."""

from __future__ import annotations

import sys
from typing import TextIO

from lambda_replay.exceptions import OutputError

__all__ = ["write_result"]


def write_result(text: str) -> None:
    """Write a result to standard output.

    Raises
    ------
    OutputError
        Standard output is closed, or cannot be written to.
    BrokenPipeError
        Nobody reads it any more.
    """
    if sys.stdout is None:
        message = "cannot write the result: standard output is closed"
        raise OutputError(message)
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"cannot write to standard output: {error.strerror or error}"
        raise OutputError(message) from error


def _write(stream: TextIO, text: str) -> None:
    """Write all of a text, or fail."""
    binary = getattr(stream, "buffer", None)
    if binary is None:
        stream.write(text)
        return
    stream.flush()
    # Not everything in a name exists in every encoding.
    left = memoryview(text.encode(stream.encoding or "utf-8", "backslashreplace"))
    while left:
        # With PYTHONUNBUFFERED there is no buffer that would see to what a write leaves over, such
        # as all but the first line when the reader is gone.
        left = left[binary.write(left) :]
    binary.flush()
