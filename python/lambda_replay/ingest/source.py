"""Where a trace is: files, globs, folders, standard input, samples, URLs, frames, Arrow streams.

Owns the way from what a user points at to a lazy frame that can be scanned again and again.
What the columns mean is the business of :mod:`lambda_replay.ingest.wire`.
"""

from __future__ import annotations

import contextlib
import difflib
import glob
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

import polars as pl

from lambda_replay import samples
from lambda_replay.exceptions import ResourceError, TraceError, escape
from lambda_replay.ingest.faults import reading
from lambda_replay.ingest.formats import detect, scan_file
from lambda_replay.output import TemporaryFolder

__all__ = ["TraceLike", "TraceSource", "open_trace"]


@runtime_checkable
class ArrowStream(Protocol):
    """Anything that exports its rows by the Arrow PyCapsule protocol."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


#: What a trace may be given as.
TraceLike: TypeAlias = (
    "str | os.PathLike[str] | pl.DataFrame | pl.LazyFrame | ArrowStream"
    " | Sequence[str | os.PathLike[str]]"
)

STDIN: Final = "-"
SAMPLE: Final = "sample:"
#: Suffixes of what a folder is searched for.
SUFFIXES: Final = (".parquet", ".pq", ".csv", ".ndjson", ".jsonl", ".arrow", ".ipc", ".feather")
COMPRESSED: Final = (".gz", ".zst")


@dataclass(frozen=True)
class TraceSource:
    """A trace that can be scanned any number of times.

    Attributes
    ----------
    names
        What the user called it, one name per file.
    frames
        All its columns, a frame per file, in the order given.
    files
        Where each file is; empty where the trace is no file.
    measured, assumed
        What the trace's own notes say of its numbers.
    """

    names: tuple[str, ...]
    frames: tuple[pl.LazyFrame, ...]
    measured: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    _folder: TemporaryFolder | None = None

    @property
    def label(self) -> str:
        """One name for messages."""
        return self.names[0] if len(self.names) == 1 else f"{self.names[0]} and others"

    def file_of(self, row: int) -> str:
        """Name the file that holds a row; rows count from 0 and run on through the files (Z2)."""
        if len(self.files) > 1:
            for name, frame in zip(self.names, self.frames, strict=True):
                rows = frame.select(pl.len()).collect(engine="streaming").item()
                if row < rows:
                    return name
                row -= rows
        return self.label

    def close(self) -> None:
        """Remove what was put aside on the disk."""
        if self._folder is not None:
            self._folder.close()


def open_trace(trace: TraceLike) -> TraceSource:
    """Find a trace and make it a lazy frame.

    Parameters
    ----------
    trace
        A path, a glob, a folder, ``-`` for standard input, ``sample:NAME``, a URL that Polars can
        scan, several of these, a frame, or an object with ``__arrow_c_stream__``. Files of a glob
        or folder follow each other in bytewise order of their paths (Z2).

    Raises
    ------
    TraceError
        Nothing is there, or it is nothing that can be read.
    """
    if isinstance(trace, pl.LazyFrame):
        return TraceSource(("frame",), (trace,))
    if isinstance(trace, pl.DataFrame):
        return TraceSource(("frame",), (trace.lazy(),))
    if isinstance(trace, str | os.PathLike):
        return _open_names([os.fspath(trace)])
    if isinstance(trace, ArrowStream) and not isinstance(trace, pl.Series):
        return _open_stream(trace)
    if isinstance(trace, Iterable) and not isinstance(trace, Mapping | pl.Series):
        names = list(trace)
        if names and all(isinstance(name, str | os.PathLike) for name in names):
            return _open_names([os.fspath(name) for name in names])
    message = (
        f"a trace cannot be of type {type(trace).__name__}; give a path, a list of paths, a Polars"
        " frame or an object with __arrow_c_stream__"
    )
    raise TraceError(message, code="LR-T-KIND")


def _open_names(names: list[str]) -> TraceSource:
    if names.count(STDIN) > 1:
        message = "standard input can be read once, and - is given more than once"
        raise TraceError(message, source=STDIN, code="LR-T-KIND")
    folder = TemporaryFolder() if STDIN in names else None
    try:
        return _open_files(names, folder)
    except BaseException:
        if folder is not None:
            folder.close()
        raise


def _open_files(names: list[str], folder: TemporaryFolder | None) -> TraceSource:
    files: list[tuple[str, str]] = []
    for name in names:
        if name == STDIN and folder is not None:
            files.append(("standard input", str(_spool_stdin(folder))))
        elif name.startswith(SAMPLE):
            files.append((name, str(samples.trace_path(name.removeprefix(SAMPLE)))))
        else:
            files.extend((file, file) for file in _expand(name))
    measured: list[str] = []
    assumed: list[str] = []
    for shown, file in files:
        if "://" not in file:
            notes = detect(Path(file), shown=shown).notes
            measured.extend(notes.measured)
            assumed.extend(notes.assumed)
    frames = []
    for shown, file in files:
        with reading(shown):
            frames.append(scan_file(file))
    return TraceSource(
        names=tuple(shown for shown, _ in files),
        frames=tuple(frames),
        measured=tuple(dict.fromkeys(measured)),
        assumed=tuple(dict.fromkeys(assumed)),
        files=tuple(file for _, file in files),
        _folder=folder,
    )


def _expand(name: str) -> list[str]:
    """List the files that a name stands for."""
    if "://" in name:
        return [name]
    if not name:
        message = "a path is empty"
        raise TraceError(message, code="LR-T-MISSING")
    path = Path(name)
    # A name with brackets may be a file and not a glob: log streams are called [$LATEST].
    is_folder = is_there = False
    with contextlib.suppress(OSError, ValueError):  # a name too long, or with a NUL
        is_folder, is_there = path.is_dir(), path.exists()
    if is_folder:
        return _in_folder(path)
    if is_there:
        _check_node(path)
        return [name]
    if glob.has_magic(name):
        # Path.glob takes no absolute patterns.
        found = sorted(glob.glob(name, recursive=True), key=os.fsencode)  # noqa: PTH207
        files = [file for file in found if Path(file).is_file()]
        if not files:
            message = f"no file matches {escape(name)} (in {Path.cwd()})"
            raise TraceError(message, source=name, code="LR-T-MISSING")
        return files
    message = f"there is no file {escape(name)} (in {Path.cwd()})"
    raise TraceError(message, source=name, code="LR-T-MISSING", hint=_nearest(path))


def _check_node(path: Path) -> None:
    if not path.is_file():
        message = f"{path} is no regular file"
        raise TraceError(
            message, source=str(path), code="LR-T-KIND", hint="use - to read standard input"
        )


def _nearest(path: Path) -> str | None:
    with contextlib.suppress(OSError, ValueError):
        near = difflib.get_close_matches(path.name, os.listdir(path.parent), n=1)  # noqa: PTH208
        if near:
            return f"did you mean {path.parent / near[0]}?"
    return None


def _in_folder(folder: Path) -> list[str]:
    suffixes = {*SUFFIXES, *(kind + packed for kind in SUFFIXES for packed in COMPRESSED)}
    files = [
        str(file)
        for file in folder.rglob("*")
        if file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and any(file.name.endswith(suffix) for suffix in suffixes)
    ]
    if not files:
        message = f"the folder {folder} holds no trace; looked for {', '.join(SUFFIXES)}"
        raise TraceError(message, source=str(folder), code="LR-T-MISSING")
    return sorted(files, key=os.fsencode)


def _spool_stdin(folder: TemporaryFolder) -> Path:
    """Put standard input on the disk: it can be read only once, and sorting needs more."""
    if sys.stdin is None or sys.stdin.closed:
        message = "standard input is closed"
        raise TraceError(message, source=STDIN, code="LR-T-MISSING")
    path = folder.path / "trace"
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
    return path


def _open_stream(stream: Any) -> TraceSource:
    """Take a table as it is, and put a stream, which can be read only once, on the disk."""
    label = type(stream).__name__
    with reading(label):
        if hasattr(stream, "num_rows") or hasattr(stream, "__len__"):
            return TraceSource((label,), (pl.DataFrame(stream).lazy(),))
        folder = TemporaryFolder()
        path = folder.path / "trace.parquet"
        try:
            pl.scan_arrow_c_stream(stream).sink_parquet(path, compression="lz4")
        except BaseException as error:
            folder.close()
            if "io error" in str(error).lower():
                message = f"{label} cannot be put aside on the disk: {str(error).splitlines()[0]}"
                raise ResourceError(message, hint="is the disk full?") from error
            raise
        return TraceSource((label,), (pl.scan_parquet(path),), _folder=folder)
