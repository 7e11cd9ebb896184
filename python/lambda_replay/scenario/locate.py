"""Where each key of a TOML or JSON text stands.

The standard parsers give no positions. This scanner reads the structure only (keys, brackets, where
strings end) and leaves judging the syntax to them: on text that is not valid it stops and returns
what it has found so far. It also bounds depth and size before a parser sees the text, since both
parsers recurse and dotted keys cost tomllib the square of their length.
"""

from __future__ import annotations

import contextlib
import json
import re
import tomllib
from bisect import bisect_right
from typing import NamedTuple

from lambda_replay.scenario.keys import KeyPath
from lambda_replay.scenario.limits import MAX_DEPTH, MAX_KEYS

__all__ = ["Position", "TooLargeError", "locate_json", "locate_toml"]

_SPACE = re.compile(r"[ \t]*+")
_BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_BARE = re.compile(r"[A-Za-z0-9_-]++")
_BASIC = re.compile(r'"(?:[^"\\\n]++|\\.)*+"')
_LITERAL = re.compile(r"'[^'\n]*+'")
# A multi-line string may end in one or two quotes of its own before the closing three.
_LONG_BASIC = re.compile(r'"""(?:[^"\\]++|\\.|"(?!""))*+"""(?:"{0,2})', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''(?:[^']++|'(?!''))*+'''(?:'{0,2})")
# Numbers, booleans and dates; a date may have a space inside, so only what ends a value ends it.
_SCALAR = re.compile(r"[^,\]}#\n]++")


class Position(NamedTuple):
    """Line and column of a key, both from 1, columns counted in characters."""

    line: int
    column: int


class TooLargeError(Exception):
    """The text is nested too deeply or has too many keys."""

    def __init__(self, message: str, position: Position) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


class _LostError(Exception):
    """The text is not valid here; whoever parses it next says why."""


def locate_toml(text: str) -> dict[KeyPath, Position]:
    r"""Map every key, table and array element of a TOML text to its first position.

    Parameters
    ----------
    text
        With ``\n`` as line end (``\r\n`` is harmless: it only lengthens lines).

    Returns
    -------
    dict
        From path to position. Elements of arrays and of arrays of tables have their index in the
        path; a table is where its name first appears, in a header or a dotted key.

    Raises
    ------
    TooLargeError
        Beyond ``limits.MAX_DEPTH`` or ``limits.MAX_KEYS``.
    """
    scanner = _Scanner(text, separator="=")
    with contextlib.suppress(_LostError):
        scanner.document()
    return scanner.found


def locate_json(text: str) -> dict[KeyPath, Position]:
    """Map every key and array element of a JSON text to its first position; see `locate_toml`."""
    scanner = _Scanner(text, separator=":")
    with contextlib.suppress(_LostError):
        scanner.skip(_BLANK)
        scanner.value(())
    return scanner.found


class _Scanner:
    def __init__(self, text: str, *, separator: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[KeyPath, Position] = {}
        self._separator = separator
        self._line_starts = [0, *(m.end() for m in re.finditer("\n", text))]
        #: Tables so far in each array of tables.
        self._elements: dict[KeyPath, int] = {}

    # ------------------------------------------------------------------ statements

    def document(self) -> None:
        base: KeyPath = ()
        while True:
            self.skip(_BLANK)
            if self.at >= len(self.text):
                return
            if self.text[self.at] == "[":
                base = self._header()
            else:
                self._pair(base)

    def _header(self) -> KeyPath:
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        names = self._key()
        self._expect("]]" if is_array else "]")
        path: KeyPath = ()
        for i, (name, at) in enumerate(names):
            path += (name,)
            self._record(path, at)
            if is_array and i == len(names) - 1:
                count = self._elements.get(path, 0)
                self._elements[path] = count + 1
                path += (count,)
                self._record(path, at)
            elif path in self._elements:
                # A header below an array of tables means its last element.
                path += (self._elements[path] - 1,)
        return path

    def _pair(self, base: KeyPath) -> None:
        path = base
        for name, at in self._key():
            path += (name,)
            self._record(path, at)
        self._expect(self._separator)
        self.skip(_SPACE if self._separator == "=" else _BLANK)
        self.value(path)

    def _key(self) -> list[tuple[str, int]]:
        names: list[tuple[str, int]] = []
        while True:
            self.skip(_SPACE)
            start = self.at
            if len(names) >= MAX_DEPTH.value:
                raise TooLargeError(_deep(), self._position(start))
            if match := _BASIC.match(self.text, start):
                names.append((self._unquote(match.group()), start))
            elif self._separator == ":":
                raise _LostError
            elif match := _LITERAL.match(self.text, start):
                names.append((match.group()[1:-1], start))
            elif match := _BARE.match(self.text, start):
                names.append((match.group(), start))
            else:
                raise _LostError
            self.at = match.end()
            self.skip(_SPACE if self._separator == "=" else _BLANK)
            if self._separator == ":" or not self.text.startswith(".", self.at):
                return names
            self.at += 1

    # ------------------------------------------------------------------ values

    def value(self, path: KeyPath) -> None:
        first = self.text[self.at : self.at + 1]
        if first == "[":
            self._array(path)
            return
        if first == "{":
            self._table(path)
            return
        if first == '"':
            is_long = self.text.startswith('"""', self.at) and self._separator == "="
            pattern = _LONG_BASIC if is_long else _BASIC
        elif first == "'":
            pattern = _LONG_LITERAL if self.text.startswith("'''", self.at) else _LITERAL
        else:
            pattern = _SCALAR
        match = pattern.match(self.text, self.at)
        if match is None:
            raise _LostError
        self.at = match.end()

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while True:
            self.skip(_BLANK)
            if self.text.startswith("]", self.at):
                self.at += 1
                return
            element = (*path, index)
            self._record(element, self.at)
            self.value(element)
            index += 1
            self._comma_before("]")

    def _table(self, path: KeyPath) -> None:
        self.at += 1
        while True:
            self.skip(_BLANK)
            if self.text.startswith("}", self.at):
                self.at += 1
                return
            self._pair(path)
            self._comma_before("}")

    def _comma_before(self, closing: str) -> None:
        self.skip(_BLANK)
        if self.text.startswith(",", self.at):
            self.at += 1
        elif not self.text.startswith(closing, self.at):
            raise _LostError

    # ------------------------------------------------------------------ characters

    def skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()

    def _expect(self, token: str) -> None:
        if not self.text.startswith(token, self.at):
            raise _LostError
        self.at += len(token)

    def _record(self, path: KeyPath, at: int) -> None:
        if path in self.found:
            return
        if len(path) > MAX_DEPTH.value:
            raise TooLargeError(_deep(), self._position(at))
        if len(self.found) >= MAX_KEYS.value:
            raise TooLargeError(
                f"more than {MAX_KEYS.value} keys and array elements", self._position(at)
            )
        self.found[path] = self._position(at)

    def _position(self, at: int) -> Position:
        line = bisect_right(self._line_starts, at)
        return Position(line, at - self._line_starts[line - 1] + 1)

    def _unquote(self, token: str) -> str:
        if "\\" not in token:
            return token[1:-1]
        try:
            if self._separator == ":":
                return str(json.loads(token))
            return str(tomllib.loads(f"k={token}")["k"])
        except ValueError:
            raise _LostError from None


def _deep() -> str:
    return f"nested deeper than {MAX_DEPTH.value}"
