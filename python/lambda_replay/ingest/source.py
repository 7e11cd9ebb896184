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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, runtime_checkable

import polars as pl

from lambda_replay import samples
from lambda_replay.exceptions import ResourceError, TraceError, escape, show
from lambda_replay.ingest.canonical import CANONICAL, Canonical
from lambda_replay.ingest.faults import reading
from lambda_replay.ingest.formats import detect, named_otherwise, scan_file
from lambda_replay.output import TemporaryFolder
from lambda_replay.readers import NAMES, find_reader, reader
from lambda_replay.readers.base import IngestReport, ReadOptions
from lambda_replay.readers.files import File

if TYPE_CHECKING:
    from lambda_replay.readers.base import Reader

__all__ = ["TraceLike", "TraceSource", "open_trace"]


@runtime_checkable
class ArrowStream(Protocol):
    """Anything that exports its rows by the Arrow PyCapsule protocol."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


#: What a trace may be given as.
TraceLike: TypeAlias = (
    "str | os.PathLike[str] | pl.DataFrame | pl.LazyFrame | ArrowStream"
    " | Sequence[str | os.PathLike[str]] | TraceSource"
)

STDIN: Final = "-"
SAMPLE: Final = "sample:"
#: Suffixes of what a folder is searched for.
SUFFIXES: Final = (".parquet", ".pq", ".csv", ".ndjson", ".jsonl", ".arrow", ".ipc", ".feather")
COMPRESSED: Final = (".gz", ".zst", ".bz2")
#: Suffixes of what a folder may also hold, and what is passed over there if it is no trace.
LOOSE_SUFFIXES: Final = (".json", ".log", ".txt", ".gz", ".bz2", ".zst")


@dataclass(frozen=True)
class TraceSource:
    """A trace that can be scanned any number of times.

    Attributes
    ----------
    names
        What the user called it, one name per file.
    frames
        All its columns, a frame per canonical file and one per other format, in the order given.
    labels
        A name per frame.
    files
        Where each frame's file is, where frames are canonical files; empty where the trace is no
        file.
    measured, assumed
        What the trace's own notes say of its numbers.
    reports
        What was read, a report per format.
    skipped
        Files of a folder that hold no trace.
    numbered
        Whether a column ``row`` tells the position in the trace as given.
    """

    names: tuple[str, ...]
    frames: tuple[pl.LazyFrame, ...]
    labels: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    reports: tuple[IngestReport, ...] = ()
    skipped: tuple[str, ...] = ()
    numbered: bool = False
    _folder: TemporaryFolder | None = None

    def __post_init__(self) -> None:
        if not self.labels:
            object.__setattr__(self, "labels", self.names)
        if not self.reports:
            object.__setattr__(self, "reports", (CANONICAL.report_of(self.names),))

    @property
    def label(self) -> str:
        """One name for messages."""
        return self.names[0] if len(self.names) == 1 else f"{self.names[0]} and others"

    def file_of(self, row: int) -> str:
        """Name the file that holds a row; rows count from 0 and run on through the files (Z2)."""
        if len(self.frames) > 1:
            for name, frame in zip(self.labels, self.frames, strict=True):
                rows = frame.select(pl.len()).collect(engine="streaming").item()
                if row < rows:
                    return name
                row -= rows
        return self.label

    def close(self) -> None:
        """Remove what was put aside on the disk."""
        if self._folder is not None:
            self._folder.close()


def open_trace(trace: TraceLike, options: ReadOptions | None = None) -> TraceSource:
    """Find a trace and make it a lazy frame.

    Parameters
    ----------
    trace
        A path, a glob, a folder, ``-`` for standard input, ``sample:NAME``, a URL that Polars can
        scan, several of these, a frame, or an object with ``__arrow_c_stream__``. Files of a glob
        or folder follow each other in bytewise order of their paths (Z2). A source that is open
        already is given back as it is.
    options
        What the user says about reading; None: everything is recognised.

    Raises
    ------
    TraceError
        Nothing is there, or it is nothing that can be read.
    """
    options = options or ReadOptions()
    if isinstance(trace, TraceSource):
        return trace
    if isinstance(trace, pl.LazyFrame):
        return _of_frame("frame", trace, options)
    if isinstance(trace, pl.DataFrame):
        return _of_frame("frame", trace.lazy(), options)
    if isinstance(trace, str | os.PathLike):
        return _open_names([os.fspath(trace)], options)
    if isinstance(trace, ArrowStream) and not isinstance(trace, pl.Series):
        return _open_stream(trace, options)
    if isinstance(trace, Iterable) and not isinstance(trace, Mapping | pl.Series):
        names = list(trace)
        if names and all(isinstance(name, str | os.PathLike) for name in names):
            return _open_names([os.fspath(name) for name in names], options)
    message = (
        f"a trace cannot be of type {type(trace).__name__}; give a path, a list of paths, a Polars"
        " frame or an object with __arrow_c_stream__"
    )
    raise TraceError(message, code="LR-T-KIND")


def _of_frame(
    name: str, frame: pl.LazyFrame, options: ReadOptions, folder: TemporaryFolder | None = None
) -> TraceSource:
    """Take a frame for a trace in canonical columns, or in those that are mapped."""
    report = CANONICAL.report_of((name,))
    frame = Canonical.mapped(frame, options, report, label=name)
    return TraceSource((name,), (frame,), reports=(report,), _folder=folder)


def _open_names(names: list[str], options: ReadOptions) -> TraceSource:
    if names.count(STDIN) > 1:
        message = "standard input can be read once, and - is given more than once"
        raise TraceError(message, source=STDIN, code="LR-T-KIND")
    folder = TemporaryFolder() if STDIN in names else None
    try:
        return _open_files(names, options, folder)
    except BaseException:
        if folder is not None:
            folder.close()
        raise


def _open_files(
    names: list[str], options: ReadOptions, folder: TemporaryFolder | None
) -> TraceSource:
    files: list[tuple[File, bool]] = []
    for name in names:
        if name == STDIN and folder is not None:
            files.append((File("standard input", str(_spool_stdin(folder))), False))
        elif name.startswith(SAMPLE):
            path = samples.trace_path(name.removeprefix(SAMPLE))
            files.append((File(name, str(path)), False))
        else:
            found, loose = _expand(name)
            files.extend((File(file, file), file in loose) for file in found)
    groups: dict[Reader, list[File]] = {}
    skipped: list[str] = []
    for file, is_loose in files:
        chosen = _reader_of(file, options, is_loose=is_loose)
        if chosen is None:
            skipped.append(file.shown)
        else:
            groups.setdefault(chosen, []).append(file)
    if not groups:
        raise _no_trace(names[0], f"none of its {len(skipped)} files is one")
    source = TraceSource((), (), reports=(CANONICAL.report_of(()),))
    for chosen, members in groups.items():
        source = _with_group(source, chosen, members, options)
    return replace(source, skipped=tuple(skipped), _folder=folder, reports=source.reports[1:])


def _reader_of(file: File, options: ReadOptions, *, is_loose: bool) -> Reader | None:
    """Choose the reader of a file; None: it is no trace and need not be one."""
    remote = file.is_remote and options.format not in (None, CANONICAL.name)
    if remote:
        message = f"{escape(file.shown)}: from object storage only canonical columns are read"
        hint = "copy it here first, for example with: aws s3 cp --recursive"
        raise TraceError(message, source=file.shown, code="LR-T-REMOTE", hint=hint)
    if options.format is not None:
        if options.format not in (*NAMES, CANONICAL.name):
            near = difflib.get_close_matches(options.format, NAMES, n=1)
            message = f"there is no format {show(options.format)}; one of {', '.join(NAMES)}"
            nearest = f"did you mean {near[0]}?" if near else None
            raise TraceError(message, source=file.shown, code="LR-T-OPTION", hint=nearest)
        return CANONICAL if options.format == CANONICAL.name else reader(options.format)
    if file.is_remote or options.columns:
        return CANONICAL
    with reading(file.shown):
        found = find_reader(file)
    if found is not None:
        return found
    return None if is_loose else CANONICAL


def _with_group(
    source: TraceSource, chosen: Reader, members: list[File], options: ReadOptions
) -> TraceSource:
    """Add the files of one format."""
    shown = tuple(file.shown for file in members)
    report = chosen.report(members)
    measured, assumed = list(source.measured), list(source.assumed)
    frames, paths, labels = list(source.frames), list(source.files), list(source.labels)
    if chosen is CANONICAL:
        for file in members:
            if not file.is_remote:
                found = detect(Path(file.path), shown=file.shown)
                if (named := named_otherwise(file.shown, found.format)) is not None:
                    report.note(f"{escape(file.shown)} holds {found.format.value}, not {named}")
                notes = found.notes
                measured.extend(notes.measured)
                assumed.extend(notes.assumed)
                for former in notes.ingest:
                    report.throttles = str(former.get("throttles", report.throttles))
                    if former.get("format") != CANONICAL.name:
                        report.note(f"converted from {former.get('format')}")
        for file in members:
            with reading(file.shown):
                frame = scan_file(file.path)
                frames.append(Canonical.mapped(frame, options, report, label=file.shown))
            paths.append(file.path)
            labels.append(file.shown)
    else:
        label = shown[0] if len(shown) == 1 else f"{shown[0]} and {len(shown) - 1} others"
        with reading(label):
            frames.append(chosen.read(members, options, report))
        labels.append(label)
    return replace(
        source,
        names=source.names + shown,
        frames=tuple(frames),
        labels=tuple(labels),
        files=tuple(paths),
        measured=tuple(dict.fromkeys(measured)),
        assumed=tuple(dict.fromkeys(assumed)),
        reports=(*source.reports, report),
    )


def _expand(name: str) -> tuple[list[str], set[str]]:
    """List the files that a name stands for, and those of them that need not be traces."""
    if "://" in name:
        return [name], set()
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
        return [name], set()
    if glob.has_magic(name):
        # Path.glob takes no absolute patterns.
        found = sorted(glob.glob(name, recursive=True), key=os.fsencode)  # noqa: PTH207
        files = [file for file in found if Path(file).is_file()]
        if not files:
            message = f"no file matches {escape(name)} (in {Path.cwd()})"
            raise TraceError(message, source=name, code="LR-T-MISSING")
        return files, set()
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


def _in_folder(folder: Path) -> tuple[list[str], set[str]]:
    suffixes = (*SUFFIXES, *(kind + packed for kind in SUFFIXES for packed in COMPRESSED))
    found: dict[str, bool] = {}
    for file in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if hidden or not file.is_file():
            continue
        if file.name.endswith(suffixes):
            found[str(file)] = False
        elif file.name.endswith(LOOSE_SUFFIXES):
            found[str(file)] = True
    if not found:
        raise _no_trace(str(folder), "it has no such files")
    return sorted(found, key=os.fsencode), {name for name, loose in found.items() if loose}


def _no_trace(folder: str, why: str) -> TraceError:
    looked = ", ".join((*SUFFIXES, *LOOSE_SUFFIXES[:3]))
    message = f"the folder {folder} holds no trace; looked for {looked}: {why}"
    return TraceError(message, source=folder, code="LR-T-MISSING")


def _spool_stdin(folder: TemporaryFolder) -> Path:
    """Put standard input on the disk: it can be read only once, and sorting needs more."""
    if sys.stdin is None or sys.stdin.closed:
        message = "standard input is closed"
        raise TraceError(message, source=STDIN, code="LR-T-MISSING")
    path = folder.path / "trace"
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
    return path


def _open_stream(stream: Any, options: ReadOptions) -> TraceSource:
    """Take a table as it is, and put a stream, which can be read only once, on the disk."""
    label = type(stream).__name__
    with reading(label):
        if hasattr(stream, "num_rows") or hasattr(stream, "__len__"):
            return _of_frame(label, pl.DataFrame(stream).lazy(), options)
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
        return _of_frame(label, pl.scan_parquet(path), options, folder)
