"""Globs as names of functions: ``*``, ``?`` and ``[…]``, case-sensitive, as in `fnmatch`."""

from __future__ import annotations

import fnmatch
import re

__all__ = ["compile_glob", "literal_characters", "literal_prefix"]


def compile_glob(key: str) -> re.Pattern[str] | None:
    """Compile a glob; None where the key has no wildcard and so is a plain name."""
    if not _count(key)[1]:
        return None
    # fnmatch's own matching keeps few patterns compiled, and folds case on Windows.
    return re.compile(fnmatch.translate(key))


def literal_characters(key: str) -> int:
    """Count what a glob fixes: the characters outside its wildcards."""
    return _count(key)[0]


def literal_prefix(key: str) -> str:
    """Give what every name begins with that the glob matches."""
    return re.split(r"[*?[]", key, maxsplit=1)[0]


def _count(key: str) -> tuple[int, int]:
    literal = wild = at = 0
    while at < len(key):
        end = _class_end(key, at) if key[at] == "[" else None
        if end is not None:
            wild, at = wild + 1, end
            continue
        if key[at] in "*?":
            wild += 1
        else:
            literal += 1
        at += 1
    return literal, wild


def _class_end(key: str, at: int) -> int | None:
    """Find the end of ``[…]``: a first ``]`` is a member of it, and without an end it is text."""
    first = at + 1
    if key.startswith("!", first):
        first += 1
    if key.startswith("]", first):
        first += 1
    end = key.find("]", first)
    return None if end < 0 else end + 1
