"""What kind of file holds a trace, by its content, and how Polars scans it."""

from __future__ import annotations

import glob
import gzip
import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.exceptions import ResourceError, TraceError, show
from lambda_replay.ingest.faults import reading

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Detected",
    "Format",
    "Notes",
    "detect",
    "find_unreadable",
    "named_otherwise",
    "scan_file",
    "scan_text",
]

#: Enough to tell any format.
_HEAD = 64 << 10

#: Types that text files do not carry; numbers in names of functions would become numbers.
TEXT_TYPES: Final[dict[str, Any]] = {
    "function": pl.String(),
    "duration_ms": pl.Float64(),
    "init_ms": pl.Float64(),
    "source": pl.String(),
    "key": pl.String(),
    "shard": pl.String(),
    "request_id": pl.String(),
    "account": pl.String(),
    "region": pl.String(),
    "row_uid": pl.UInt64(),
}

MEASURED_KEY: Final = "lambda_replay.measured"
ASSUMED_KEY: Final = "lambda_replay.assumed"
INGEST_KEY: Final = "lambda_replay.ingest"


class Format(Enum):
    """Kinds of files."""

    PARQUET = "Parquet"
    IPC = "Arrow IPC"
    CSV = "CSV"
    NDJSON = "NDJSON"


#: What names of files promise.
_SUFFIXES: Final = {
    (".parquet", ".pq"): Format.PARQUET,
    (".arrow", ".ipc", ".feather"): Format.IPC,
    (".csv",): Format.CSV,
    (".ndjson", ".jsonl"): Format.NDJSON,
}


@dataclass(frozen=True)
class Notes:
    """What a trace says of its own numbers."""

    measured: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    #: What was read when the file was written, a report per format.
    ingest: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Detected:
    """A file that can be scanned."""

    format: Format
    notes: Notes = Notes()


def detect(path: Path, *, shown: str) -> Detected:
    """Tell the format of a file by its first bytes.

    Parameters
    ----------
    path
        A regular file.
    shown
        What the user called it.

    Raises
    ------
    TraceError
        It is empty, cannot be read, or is something that must be unpacked first.
    """
    with reading(shown):
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if not head:
            message = f"{shown} is empty: 0 bytes"
            raise TraceError(message, source=shown, code="LR-T-EMPTY")
        _refuse_containers(head, shown)
        if head.startswith(b"PAR1"):
            _refuse_claims(path, shown)
            return Detected(Format.PARQUET, _notes(path))
        if head.startswith(b"ARROW1"):
            return Detected(Format.IPC)
        if head.startswith(b"\x1f\x8b"):
            _refuse_bomb(path, shown)
            with gzip.open(path) as file:
                head = file.read(_HEAD)
        elif head.startswith(b"\x28\xb5\x2f\xfd"):
            named = path.name.removesuffix(".zst")
            ndjson = named.endswith((".ndjson", ".jsonl", ".json"))
            return Detected(Format.NDJSON if ndjson else Format.CSV)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        message = f"{shown} holds nothing but white space"
        raise TraceError(message, source=shown, code="LR-T-EMPTY")
    if b"\x00" in head:
        message = f"{shown} is neither Parquet, Arrow IPC nor text"
        raise TraceError(message, source=shown, code="LR-T-FORMAT")
    if text.startswith(b"<"):
        message = f"{shown} is a page of HTML or XML, not a trace"
        raise TraceError(message, source=shown, code="LR-T-FORMAT", hint="was a login page saved?")
    if text.startswith(b"["):
        message = f"{shown} is one JSON array; a trace has one JSON object per line"
        hint = "convert it, for example with: jq -c '.[]'"
        raise TraceError(message, source=shown, code="LR-T-FORMAT", hint=hint)
    return Detected(Format.NDJSON if text.startswith(b"{") else Format.CSV)


_PICKLE: Final = "a pickle, which runs whatever code is in it when it is read"
_UNPICKLE: Final = "pandas.read_pickle(...).to_parquet(...), in an environment you can lose"

_CONTAINERS: Final = {
    b"PK\x03\x04": ("a zip archive", "unzip"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "7z x"),
    b"Rar!": ("a rar archive", "unrar x"),
    b"\xfd7zXZ\x00": ("packed with xz", "xz -d"),
    b"BZh": ("packed with bzip2", "bzip2 -d"),
    b"\x80\x04": (_PICKLE, _UNPICKLE),
    b"\x80\x05": (_PICKLE, _UNPICKLE),
}


def _refuse_containers(head: bytes, shown: str) -> None:
    for magic, (kind, command) in _CONTAINERS.items():
        if head.startswith(magic):
            message = f"{shown} is {kind}"
            verb = "convert" if kind == _PICKLE else "unpack"
            hint = f"{verb} it first: {command}"
            raise TraceError(message, source=shown, code="LR-T-FORMAT", hint=hint)
    if head.startswith(b"version https://git-lfs"):
        message = f"{shown} is a Git LFS pointer, not the file itself"
        raise TraceError(message, source=shown, code="LR-T-FORMAT", hint="run: git lfs pull")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        message = f"{shown} is UTF-16"
        hint = "convert it: iconv -f UTF-16 -t UTF-8"
        raise TraceError(message, source=shown, code="LR-T-FORMAT", hint=hint)


#: Rows that a byte of Parquet can stand for in a trace of any size, whose instants differ.
_ROWS_PER_BYTE: Final = 20
_MANY_ROWS: Final = 50_000_000
#: How much smaller text gets; more is a bomb, or nothing but one letter.
_RATIO: Final = 1_000
_DEFLATE_RATIO: Final = 1_032


def _refuse_claims(path: Path, shown: str) -> None:
    """Refuse a file that unpacks to what no trace is like, before it fills the memory."""
    size = path.stat().st_size
    rows = int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())
    if rows > _MANY_ROWS and rows > _ROWS_PER_BYTE * size:
        message = f"{shown} claims {rows:,} rows in {size:,} bytes: it would not fit into memory"
        raise ResourceError(message, code="LR-R-BOMB", hint="is it a trace?")


def _refuse_bomb(path: Path, shown: str) -> None:
    """Refuse a gzip file that says of itself that it unpacks to far more than text does."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 4))
        # Modulo 2^32, which is enough for what is small.
        unpacked = int.from_bytes(file.read(4), "little")
    # Deflate packs 1,032 : 1 at most; a number above that is no length, and the file is cut off.
    if _RATIO * size < unpacked <= _DEFLATE_RATIO * size:
        message = f"{shown} unpacks from {size:,} to {unpacked:,} bytes: no text is so regular"
        raise ResourceError(message, code="LR-R-BOMB", hint="is it a trace?")


def _notes(path: Path) -> Notes:
    metadata = pl.read_parquet_metadata(path)

    def sentences(key: str) -> tuple[str, ...]:
        try:
            value = json.loads(metadata.get(key, "[]"))
        except ValueError:
            return ()
        return tuple(map(str, value)) if isinstance(value, list) else (str(value),)

    try:
        told = json.loads(metadata.get(INGEST_KEY, "[]"))
    except ValueError:
        told = []
    ingest = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    return Notes(sentences(MEASURED_KEY), sentences(ASSUMED_KEY), tuple(ingest))


def named_otherwise(file: str, found: Format) -> str | None:
    """Give the format that the name of a file promises, where it holds another."""
    name = file.removesuffix(".gz").removesuffix(".zst")
    for suffixes, promised in _SUFFIXES.items():
        if name.endswith(suffixes):
            return None if promised is found else promised.value
    return None


def scan_file(file: str) -> pl.LazyFrame:
    """Scan a file; a URL is taken for Parquet unless its name says otherwise.

    Raises
    ------
    TraceError
        It is no trace.
    """
    kind = _by_name(file) if "://" in file else detect(Path(file), shown=file).format
    match kind:
        case Format.PARQUET:
            return pl.scan_parquet(file, glob=_is_pattern(file))
        case Format.IPC:
            return pl.scan_ipc(_literal(file))
        case Format.NDJSON:
            # A key may come late, and a column of whole numbers may end with a fraction: only the
            # whole file tells.
            return pl.scan_ndjson(_literal(file), infer_schema_length=None)
        case Format.CSV:
            header = scan_text(file).collect_schema().names()
            twice = [name for name in header if f"{name}_duplicated_0" in header]
            if twice:
                message = f"{file} has the column {twice[0]} more than once"
                raise TraceError(message, source=file, column=twice[0], code="LR-T-COLUMN")
            types = {name: TEXT_TYPES[name] for name in header if name in TEXT_TYPES}
            return pl.scan_csv(
                file, glob=_is_pattern(file), schema_overrides=types, infer_schema_length=10_000
            )


def scan_text(file: str) -> pl.LazyFrame:
    """Scan a CSV file without making anything of its fields."""
    return pl.scan_csv(file, glob=_is_pattern(file), infer_schema=False)


def find_unreadable(files: Sequence[str]) -> TraceError | None:
    """Find the first field of CSV files that is no number where a number must be."""
    row = 0
    for file in files:
        if "://" in file or detect(Path(file), shown=file).format is not Format.CSV:
            return None
        frame = scan_text(file)
        for column in frame.collect_schema().names():
            if column in TEXT_TYPES and TEXT_TYPES[column].is_numeric():
                text = pl.col(column)
                odd = text.is_not_null() & text.cast(TEXT_TYPES[column], strict=False).is_null()
                found = (
                    frame.select(column)
                    .with_row_index("row")
                    .filter(odd)
                    .head(1)
                    .collect(engine="streaming")
                )
                if found.height:
                    place, value = found.row(0)
                    message = f"{column} is {show(value)} where a number is expected"
                    return TraceError(
                        message,
                        source=file,
                        row=row + place,
                        column=column,
                        value=value,
                        code="LR-T-VALUE",
                        hint="numbers have no thousands separators and a decimal point",
                    )
        row += frame.select(pl.len()).collect(engine="streaming").item()
    return None


def _is_pattern(file: str) -> bool:
    """Whether Polars must list what a URL stands for; files here are listed by us."""
    return "://" in file and ("*" in file or file.endswith("/"))


def _literal(file: str) -> str:
    """Take brackets for themselves: log streams are called [$LATEST]."""
    return file if "://" in file else glob.escape(file)


def _by_name(url: str) -> Format:
    name = url.removesuffix(".gz").removesuffix(".zst")
    if name.endswith((".ndjson", ".jsonl")):
        return Format.NDJSON
    if name.endswith(".csv"):
        return Format.CSV
    if name.endswith((".arrow", ".ipc", ".feather")):
        return Format.IPC
    return Format.PARQUET
