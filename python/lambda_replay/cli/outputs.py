"""The files that a run writes: checked before any work is done."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lambda_replay.exceptions import show
from lambda_replay.output import check_writable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["check_outputs"]

#: What a file is by its suffix, where it could not be what we write.
_OTHER_KINDS = {
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".json": "JSON",
    ".csv": "CSV",
    ".tsv": "TSV",
    ".ndjson": "NDJSON",
    ".jsonl": "NDJSON",
    ".arrow": "Arrow IPC",
    ".ipc": "Arrow IPC",
    ".feather": "Arrow IPC",
    ".toml": "TOML",
    ".html": "HTML",
    ".htm": "HTML",
    ".md": "Markdown",
    ".markdown": "Markdown",
    ".xlsx": "Excel",
}


def check_outputs(
    outputs: Mapping[str, tuple[Path | None, str]],
    traces: Sequence[str],
    scenario: str | None,
) -> None:
    """Check where results are to go.

    Parameters
    ----------
    outputs
        By option: the file, if any, and the kind that is written, ``Parquet`` or ``JSON``.
    traces, scenario
        What is read.

    Raises
    ------
    UsageError
        Two outputs are one file, or one of them is an input.
    OutputError
        A file could not be written.
    """
    wanted = {option: (path, kind) for option, (path, kind) in outputs.items() if path is not None}
    seen: dict[Path, str] = {}
    for option, (path, kind) in wanted.items():
        same = seen.setdefault(_real(path), option)
        if same != option:
            message = f"{same} and {option} name the same file: {show(str(path))}"
            raise click.UsageError(message)
        _check_inputs(option, path, kind, traces, scenario)
        _check_kind(option, path, kind)
    for path, _ in wanted.values():
        check_writable(path)


def _check_kind(option: str, path: Path, kind: str) -> None:
    if str(path) == "-":
        message = f"{option} needs a file; for the summary on standard output use --format json"
        raise click.UsageError(message)
    if path.exists() and not path.is_file() and not path.is_dir():
        message = f"{option} {show(str(path))} is no regular file"
        raise click.UsageError(message)
    other = _OTHER_KINDS.get(path.suffix.lower(), kind)
    if other != kind:
        message = f"{option} writes {kind}, but {show(path.name)} is the name of a {other} file"
        raise click.UsageError(message)


def _check_inputs(
    option: str, path: Path, kind: str, traces: Sequence[str], scenario: str | None
) -> None:
    if scenario is not None and _is_same(path, Path(scenario)):
        message = f"{option} would overwrite the scenario {show(scenario)}"
        raise click.UsageError(message)
    for trace in traces:
        if "://" in trace:
            continue
        inputs = [Path(trace)]
        if glob.has_magic(trace) and not inputs[0].exists():
            inputs = [Path(name) for name in glob.glob(trace, recursive=True)]  # noqa: PTH207 - as the reader does
        if any(_is_same(path, one) for one in inputs):
            message = f"{option} would overwrite the trace {show(str(path))}"
            raise click.UsageError(message)
        folder = next((one for one in inputs if one.is_dir()), None)
        if kind == "Parquet" and folder is not None and _real(folder) in _real(path).parents:
            message = (
                f"{option} {show(str(path))} is inside the trace's folder {show(str(folder))}:"
                " the next run would take it for a part of the trace"
            )
            raise click.UsageError(message)


def _real(path: Path) -> Path:
    """Resolve symbolic links; what is not there yet may be named in several ways too."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path.absolute()


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return _real(one) == _real(other)
