"""A file and its beginning, which is enough to tell what it is."""

from __future__ import annotations

import bz2
import contextlib
import csv
import io
import json
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import polars as pl

__all__ = ["BOM", "HEAD", "File"]

#: Enough to tell any format; the header of a day per minute takes 7 kB.
HEAD: Final = 256 << 10
BOM: Final = b"\xef\xbb\xbf"
_PACKED: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2"}


@dataclass(frozen=True)
class File:
    """One file of a trace.

    Attributes
    ----------
    shown
        What the user calls it.
    path
        Where it is: a path, or a URL.
    """

    shown: str
    path: str

    @property
    def is_remote(self) -> bool:
        """Whether it is no file of this machine."""
        return "://" in self.path

    @cached_property
    def raw(self) -> bytes:
        """First bytes as they lie there; nothing of a remote file."""
        if self.is_remote:
            return b""
        with Path(self.path).open("rb") as file:
            return file.read(HEAD)

    @cached_property
    def packed(self) -> str | None:
        """How it is packed: ``gzip``, ``zstd``, ``bzip2`` or not at all."""
        return next((kind for magic, kind in _PACKED.items() if self.raw.startswith(magic)), None)

    @cached_property
    def head(self) -> bytes:
        """First bytes, unpacked, without a byte order mark."""
        head = self.raw
        match self.packed:
            case "gzip":
                # What comes before damage tells the format; its reader tells the damage.
                with contextlib.suppress(zlib.error):
                    head = zlib.decompressobj(wbits=31).decompress(head, HEAD)
            case "bzip2":
                with bz2.open(self.path) as file:
                    head = file.read(HEAD)
            case "zstd":
                # Polars unpacks it; only whole lines come, which is all that is asked for.
                lines = pl.scan_lines(self.path, glob=False).head(200).collect().to_series()
                head = "\n".join(lines.to_list()).encode()[:HEAD]
        return head.removeprefix(BOM)

    @cached_property
    def is_parquet(self) -> bool:
        """Whether it is a Parquet file."""
        return self.raw.startswith(b"PAR1")

    @cached_property
    def text(self) -> str:
        """The beginning as text; what is no UTF-8 is replaced."""
        return self.head.decode("utf-8", errors="replace")

    @cached_property
    def lines(self) -> list[str]:
        """First lines that are not empty; the last may be cut off."""
        return [line for line in self.text.splitlines() if line.strip()]

    @cached_property
    def header(self) -> list[str]:
        """Fields of the first line as CSV, stripped; names of columns, for Parquet."""
        if self.is_parquet:
            return list(self.parquet_schema)
        if not self.lines or self.text.lstrip().startswith(("{", "[", "<")):
            return []
        try:
            return [name.strip() for name in next(csv.reader(io.StringIO(self.lines[0])), [])]
        except csv.Error:  # a field of more than 128 KiB is no name
            return []

    @cached_property
    def columns(self) -> frozenset[str]:
        """Names of :attr:`header`."""
        return frozenset(self.header)

    @cached_property
    def parquet_schema(self) -> dict[str, Any]:
        """Columns of a Parquet file."""
        return dict(pl.scan_parquet(self.path, glob=False).collect_schema())

    @cached_property
    def first_json(self) -> Any:
        """First JSON value, if it ends within the head; else None."""
        text = self.text.lstrip()
        if not text.startswith(("{", "[")):
            return None
        try:
            return json.JSONDecoder().raw_decode(text)[0]
        except ValueError:
            return None

    @cached_property
    def json_keys(self) -> frozenset[str]:
        """Keys of the first JSON object; if it is cut off, whatever looks like a key of it."""
        first = self.first_json
        if isinstance(first, list) and first:
            first = first[0]
        if isinstance(first, dict):
            return frozenset(first)
        text = self.text.lstrip()
        if first is not None or not text.startswith(("{", "[")):
            return frozenset()
        return frozenset(_outer_keys(text))


def _outer_keys(text: str) -> list[str]:
    """Find keys of the outermost object of a JSON text that is cut off."""
    keys: list[str] = []
    depth, place = 0, 0
    outer = 2 if text.startswith("[") else 1
    decoder = json.JSONDecoder()
    while place < len(text):
        letter = text[place]
        if letter == '"':
            try:
                word, place = decoder.raw_decode(text, place)
            except ValueError:
                break
            if depth == outer and text[place:].lstrip().startswith(":"):
                keys.append(word)
            continue
        depth += (letter in "{[") - (letter in "}]")
        place += 1
    return keys
