"""Errors that lambda-replay raises on purpose.

Owns the classes, their exit codes and how found values are printed. Leaves out who raises them and
who prints them: the command line shows ``str(error)`` with the hint and leaves with ``exit_code``.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import numbers
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

__all__ = [
    "IntegrityError",
    "InternalError",
    "LambdaReplayError",
    "OutputError",
    "Problem",
    "ResourceError",
    "ScenarioError",
    "TraceError",
    "show",
]

#: Longest text of a found value in a message.
SHOWN_CHARACTERS = 80
#: Longest list of problems in a message; ``problems`` has all of them.
SHOWN_PROBLEMS = 200

_PLAIN = frozenset(
    {
        type(None),
        bool,
        int,
        float,
        str,
        bytes,
        decimal.Decimal,
        dt.datetime,
        dt.date,
        dt.time,
        dt.timedelta,
    }
)

_short = reprlib.Repr()
_short.maxdict = _short.maxlist = _short.maxtuple = _short.maxset = 12
_short.maxstring = _short.maxother = SHOWN_CHARACTERS


def escape(text: str) -> str:
    """Escape what a terminal would obey rather than print: control and format characters."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def cut(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """Shorten a text to ``limit`` characters, the last one an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def show(value: object) -> str:
    """Print any value on one line of at most 80 characters, control characters escaped.

    Never raises, whatever the value's own ``__repr__`` does.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 4 * SHOWN_CHARACTERS:
        # Python refuses to print integers of more than 4,300 digits.
        return f"an integer of {value.bit_length()} bits"
    # A hostile __repr__ must not hide the error that is being reported.
    with contextlib.suppress(Exception):
        if isinstance(value, str):
            return cut(repr(value[: 2 * SHOWN_CHARACTERS]))
        if isinstance(value, (int, float)):
            return cut(repr(value))
        containers = (list, tuple, dict, set, frozenset)
        return cut(escape(_short.repr(value) if isinstance(value, containers) else repr(value)))
    return f"<{type(value).__name__}>"


def plain(value: object) -> object:
    """Keep a value that can be pickled anywhere; replace any other by the text that shows it."""
    try:
        return _plain(value)
    except RecursionError:
        return show(value)


def _plain(value: object) -> object:
    if type(value) in _PLAIN:
        return value
    if type(value) in (list, tuple):
        items = [_plain(item) for item in value]  # type: ignore[attr-defined]
        return items if type(value) is list else tuple(items)
    if type(value) is dict:
        return {_plain(key): _plain(item) for key, item in value.items()}
    # As in show: foreign number types may do anything.
    with contextlib.suppress(Exception):
        if isinstance(value, numbers.Integral):
            return int(value)
        if isinstance(value, numbers.Real):
            return float(value)
    return show(value)


class LambdaReplayError(Exception):
    """Base class of every error that lambda-replay raises on purpose.

    Parameters
    ----------
    message
        Where, what was found, what would be accepted.
    code
        Stable name of the kind of error, such as ``LR-S003``; the class's own if left out.
    hint
        What to do about it, where there is more to say than the message does.
    """

    #: What the command line exits with (interface.md §4).
    exit_code: ClassVar[int] = 1
    #: ``code`` where none is given.
    default_code: ClassVar[str] = "LR-E000"

    def __init__(
        self, message: str = "", *, code: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code if code is not None else self.default_code
        self.hint = hint

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a scenario.

    Attributes
    ----------
    file
        Where the value was given: a path, ``--set``, or None for values given in Python.
    line, column
        Position of the key, both from 1; None where there is no text.
    path
        Dotted key as in TOML, such as ``functions.checkout.memory_mb``; empty for the whole file.
    value
        What was found.
    message
        What is wrong and what would be right.
    suggestion
        The key or value that was probably meant.
    code
        Kind of problem, ``LR-S001`` …
    """

    file: str | None = None
    line: int | None = None
    column: int | None = None
    path: str = ""
    value: object = field(default=None, hash=False)
    message: str = ""
    suggestion: str | None = None
    code: str = "LR-S000"

    def __str__(self) -> str:
        where = "" if self.file is None else escape(self.file) + ":"
        if self.line is not None:
            where += f"{self.line}:"
            if self.column is not None:
                where += f"{self.column}:"
        key = f"{escape(cut(self.path, 2 * SHOWN_CHARACTERS))}:" if self.path else ""
        return " ".join(part for part in (where, key, escape(self.message)) if part)


class ScenarioError(LambdaReplayError, ValueError):
    """A scenario that cannot be used, with everything that is wrong with it.

    Parameters
    ----------
    message
        Used where there are no problems to list.
    problems
        All of them; kept sorted by file, line and column.
    code
        Code of the first problem if left out.

    Notes
    -----
    ``str()`` gives a line ``file:line:column: key: message`` per problem.
    """

    exit_code = 2
    default_code = "LR-S000"

    def __init__(
        self,
        message: str = "",
        *,
        problems: Iterable[Problem] = (),
        code: str | None = None,
        hint: str | None = None,
    ) -> None:
        found = tuple(
            sorted(problems, key=lambda p: (p.file or "", p.line or 0, p.column or 0, p.path))
        )
        if code is None and found:
            code = found[0].code
        super().__init__(message, code=code, hint=hint)
        self.problems = found

    def __str__(self) -> str:
        if not self.problems:
            return self.message
        lines = [str(problem) for problem in self.problems[:SHOWN_PROBLEMS]]
        left = len(self.problems) - len(lines)
        if left:
            lines.append(f"… and {left} more problems")
        return "\n".join(lines)


class TraceError(LambdaReplayError, ValueError):
    """A trace that cannot be replayed.

    Parameters
    ----------
    message
        What is wrong and what would be right.
    source
        File or object that the row came from.
    row
        Position of the row, from 0, as in the outcomes.
    column
        Column of the canonical schema or of the file.
    value
        What was found there.

    Notes
    -----
    ``str()`` puts what is known of the place and the value before the message.
    """

    exit_code = 3
    default_code = "LR-T000"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        hint: str | None = None,
        source: str | None = None,
        row: int | None = None,
        column: str | None = None,
        value: object = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.source = source
        self.row = row
        self.column = column
        self.value = plain(value)

    def __str__(self) -> str:
        # A message about the file itself names it already.
        named = self.source is None or self.source in self.message
        where = [] if named else [escape(self.source or "")]
        if self.row is not None:
            where.append(f"row {self.row}")
        if self.column is not None:
            where.append(f"column {escape(cut(self.column))}")
        told = self.value is None or show(self.value).strip("'").lower() in self.message.lower()
        found = [] if told else [f"found {show(self.value)}"]
        return ": ".join([*([", ".join(where)] if where else []), *found, self.message])


class OutputError(LambdaReplayError):
    """A file or stream could not be read, written or reached."""

    exit_code = 4
    default_code = "LR-O000"


class ResourceError(LambdaReplayError):
    """The work does not fit: memory, disk, workers."""

    exit_code = 4
    default_code = "LR-R000"


class IntegrityError(LambdaReplayError):
    """A digest, checkpoint or result that does not match."""

    exit_code = 5
    default_code = "LR-I000"


class InternalError(LambdaReplayError):
    """A bug of lambda-replay.

    Parameters
    ----------
    message
        What was found to be impossible.
    details
        What is needed to report and repeat it: version, seed, scenario digest, row, …
    """

    exit_code = 1
    default_code = "LR-X000"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        hint: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        if hint is None:
            hint = "this is a bug of lambda-replay; please report it with all that stands here"
        super().__init__(message, code=code, hint=hint)
        self.details: dict[str, object] = {
            str(key): plain(value) for key, value in (details or {}).items()
        }

    def report(self) -> str:
        """Text for a bug report: the message, then a line per detail."""
        lines = [f"{self.code}: {escape(self.message)}"]
        lines += [f"{key}: {show(value)}" for key, value in self.details.items()]
        return "\n".join(lines)
