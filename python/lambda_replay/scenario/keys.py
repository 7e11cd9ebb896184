"""Dotted keys: how they are read from a command line and how they are printed."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from typing import TypeAlias

from lambda_replay.exceptions import show

__all__ = ["KeyPath", "KeySyntaxError", "format_key", "parse_key", "split_assignment"]

#: Path of a value: names of tables and keys, positions in arrays.
KeyPath: TypeAlias = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
# Wider than TOML's bare keys, so that a shell need not quote a glob such as img-* or f:live.
_LOOSE = re.compile(r"[^\s.=\"'\x00-\x1f\x7f]+")
_BASIC = re.compile(r'"(?:[^"\\\n]++|\\.)*+"')
_LITERAL = re.compile(r"'[^'\n]*+'")
_SPACE = re.compile(r"[ \t]*")


class KeySyntaxError(ValueError):
    """A text that is no dotted key."""


def format_key(path: Iterable[str | int]) -> str:
    """Print a path as TOML would have it: ``functions."img-*".memory_mb``, positions as ``[0]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        # JSON's escapes are TOML's, but for DEL, which only TOML forbids in the raw.
        quoted = json.dumps(part, ensure_ascii=False).replace("\x7f", "\\u007f")
        name = part if _BARE.fullmatch(part) else quoted
        text += f".{name}" if text else name
    return text


def _read_key(text: str) -> tuple[tuple[str, ...], int]:
    parts: list[str] = []
    at = 0
    while True:
        at = _space(text, at)
        if found := _BASIC.match(text, at):
            try:
                parts.append(tomllib.loads(f"k={found.group()}")["k"])
            except tomllib.TOMLDecodeError:
                raise KeySyntaxError(f"bad escape in {show(found.group())}") from None
        elif found := _LITERAL.match(text, at):
            parts.append(found.group()[1:-1])
        elif found := _LOOSE.match(text, at):
            parts.append(found.group())
        else:
            raise KeySyntaxError(f"a name is missing at character {at + 1} of {show(text)}")
        at = _space(text, found.end())
        if at >= len(text) or text[at] != ".":
            return tuple(parts), at
        at += 1


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def parse_key(text: str) -> tuple[str, ...]:
    """Read a dotted key.

    As in TOML, names with dots or spaces are quoted: ``functions."my.fn".memory_mb``. Beyond TOML,
    bare names may have any other character, so that globs need no quotes.

    Raises
    ------
    KeySyntaxError
        With what is wrong and where.
    """
    parts, end = _read_key(text)
    if end != len(text):
        raise KeySyntaxError(f"unexpected {show(text[end])} at character {end + 1} of {show(text)}")
    return parts


def split_assignment(text: str) -> tuple[tuple[str, ...], str]:
    """Split ``KEY=VALUE`` at the first ``=`` outside the key's quotes.

    Raises
    ------
    KeySyntaxError
        If there is no ``=``, or what precedes it is no key.
    """
    parts, end = _read_key(text)
    if end >= len(text) or text[end] != "=":
        raise KeySyntaxError(f"expected KEY=VALUE, found {show(text)}")
    return parts, text[end + 1 :].strip()
