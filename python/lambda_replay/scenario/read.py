"""From a file or text to plain data with positions; judges syntax and size, not content."""

from __future__ import annotations

import difflib
import itertools
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from lambda_replay.exceptions import Problem, ScenarioError, escape, show
from lambda_replay.scenario.keys import KeyPath
from lambda_replay.scenario.limits import MAX_FILE_BYTES
from lambda_replay.scenario.locate import Position, TooLargeError, locate_json, locate_toml

__all__ = ["Document", "Location", "parse_json", "parse_toml", "parse_value", "read_document"]

_AT = re.compile(
    r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)"
)
_BARE_ERA = re.compile(r"\s*era\s*=\s*(\d{4}-\d{2})\b")


class Location(NamedTuple):
    """Where a value was given; all None for values given in Python."""

    file: str | None = None
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed text: its data, and where each key of it stands."""

    data: dict[str, object]
    where: Mapping[KeyPath, Location]


def read_document(path: str | os.PathLike[str]) -> Document:
    """Read a scenario file: JSON if its name ends in ``.json``, else TOML.

    Raises
    ------
    ScenarioError
        If it cannot be read, is too large, is not UTF-8 or is not valid.
    """
    name = os.fspath(path)
    text = _decode(_read(name), name)
    return parse_json(text, name) if name.lower().endswith(".json") else parse_toml(text, name)


def parse_toml(text: str, source: str) -> Document:
    """Parse TOML; ``source`` names the text in messages."""
    _check_size(text, source)
    text = text.replace("\r\n", "\n")
    where = _locate(text, source, is_json=False)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _fail_toml(error, text, source)
    except RecursionError:
        _fail(source, message="not valid TOML: nested too deeply", code="LR-S001")
    except ValueError:
        # All that tomllib lets through is Python's own limit of 4,300 digits.
        _fail(source, message="not valid TOML: a number has too many digits", code="LR-S001")
    return Document(data, where)


def parse_json(text: str, source: str) -> Document:
    """Parse JSON; as strict as TOML: no key twice, no NaN."""
    _check_size(text, source)
    where = _locate(text, source, is_json=True)
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        position = Position(error.lineno, error.colno)
        _fail(source, position, message=f"not valid JSON: {error.msg}", text=text, code="LR-S001")
    except RecursionError:
        _fail(source, message="not valid JSON: nested too deeply", code="LR-S001")
    except ValueError as error:
        _fail(source, message=f"not valid JSON: {error}", code="LR-S001")
    if not isinstance(data, dict):
        _fail(
            source,
            Position(1, 1),
            message=f"{show(data)} is not a scenario; expected an object with keys such as account",
            code="LR-S004",
        )
    return Document(data, where)


def parse_value(text: str) -> object:
    """Read the VALUE of ``--set KEY=VALUE``: a TOML value, else the text itself.

    So ``2019-12``, which is no TOML value, needs no quotes within the shell's.
    """
    try:
        data = parse_toml(f"v = {text}", "--set").data
    except ScenarioError as error:
        if error.code == "LR-S002":
            raise
        return text
    # A line end in the text could have begun another key.
    return data["v"] if data.keys() == {"v"} else text


# ---------------------------------------------------------------------------- files


def _read(name: str) -> bytes:
    try:
        with open(name, "rb") as file:  # noqa: PTH123 - Path("") is the present folder
            # One byte more than allowed tells "too large" without trusting the size of a pipe.
            content = file.read(MAX_FILE_BYTES.value + 1)
    except FileNotFoundError:
        near = _nearest_file(name)
        message = f"no such file (looked from {Path.cwd()})"
        if near is not None:
            message += f"; did you mean {show(near)}?"
        _fail(name, message=message, suggestion=near)
    except IsADirectoryError:
        _fail(name, message="is a directory; expected a TOML or JSON file")
    except PermissionError:
        _fail(name, message="may not be read: permission denied")
    except OSError as error:
        _fail(name, message=f"could not be read: {error.strerror or error}")
    except ValueError as error:
        _fail(name, message=f"is no path: {error}")
    if len(content) > MAX_FILE_BYTES.value:
        _fail_size(name)
    return content


def _nearest_file(name: str) -> str | None:
    path = Path(name)
    try:
        with os.scandir(path.parent) as entries:
            # Bounded: a hint is not worth reading a directory of a million files.
            names = [entry.name for entry in itertools.islice(entries, 2_000)]
    except (OSError, ValueError):
        return None
    near = difflib.get_close_matches(path.name[:200], names, n=1)
    return str(path.with_name(near[0])) if near else None


def _decode(content: bytes, name: str) -> str:
    try:
        # A byte order mark is what some editors put first; it means nothing.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line_start = before.rfind(b"\n") + 1
        column = len(before[line_start:].decode("utf-8", "replace")) + 1
        position = Position(before.count(b"\n") + 1, column)
        _fail(name, position, message=f"is not UTF-8: byte 0x{content[error.start]:02x}")


def _check_size(text: str, source: str) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_FILE_BYTES.value:
        _fail_size(source)


def _fail_size(source: str) -> NoReturn:
    _fail(source, message=f"is larger than {MAX_FILE_BYTES.value // 1024**2} MiB")


# ---------------------------------------------------------------------------- syntax


def _locate(text: str, source: str, *, is_json: bool) -> dict[KeyPath, Location]:
    try:
        found = locate_json(text) if is_json else locate_toml(text)
    except TooLargeError as error:
        _fail(source, error.position, message=error.message)
    return {path: Location(source, *position) for path, position in found.items()}


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    data = dict(pairs)
    if len(data) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key {show(twice)} is given twice")
    return data


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _fail_toml(error: tomllib.TOMLDecodeError, text: str, source: str) -> NoReturn:
    match = _AT.fullmatch(str(error))
    what = match["what"] if match else str(error)
    if match and match["line"]:
        position = Position(int(match["line"]), int(match["column"]))
    else:
        position = Position(text.count("\n") + 1, len(text) - text.rfind("\n"))
    line = _line(text, position.line)
    suggestion = None
    if era := _BARE_ERA.match(line):
        suggestion = f'era = "{era[1]}"'
        what += f"; did you mean {suggestion}?"
    elif what.startswith(("Cannot declare", "Cannot overwrite", "Cannot redefine")):
        what = f"a table or key is given twice ({what})"
    elif what == "Invalid value":
        what += "; text needs quotes"
    _fail(
        source,
        position,
        message=f"not valid TOML: {what}",
        text=text,
        suggestion=suggestion,
        code="LR-S001",
    )


def _line(text: str, number: int) -> str:
    return next(itertools.islice(text.split("\n"), number - 1, None), "")


def _fail(
    source: str,
    position: Position | None = None,
    *,
    message: str,
    text: str | None = None,
    suggestion: str | None = None,
    code: str = "LR-S002",
) -> NoReturn:
    hint = value = None
    if text is not None and position is not None:
        value = _line(text, position.line)
        # The 60 characters around the place, with a caret under it.
        start = max(0, position.column - 40)
        excerpt = escape(value[start : position.column - 1])
        hint = f"{excerpt}{escape(value[position.column - 1 : start + 60])}\n{' ' * len(excerpt)}^"
    problem = Problem(
        file=source,
        line=position.line if position else None,
        column=position.column if position else None,
        value=value,
        message=message,
        suggestion=suggestion,
        code=code,
    )
    raise ScenarioError(problems=[problem], hint=hint)
