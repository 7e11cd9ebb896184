"""One file through its reader: recognised, read, counted."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lambda_replay as lr
from lambda_replay.readers import find_reader
from lambda_replay.readers.base import IngestReport, ReadOptions
from lambda_replay.readers.files import File

AWS = Path(__file__).parent / "data_aws"
ID = "00000000-0000-4000-8000-000000000001"
STREAM = "2026/03/01/[$LATEST]0123456789abcdef0123456789abcdef"


def at(text: str) -> dt.datetime:
    """Give an instant of 2026-03-01."""
    return dt.datetime.fromisoformat(f"2026-03-01T{text}+00:00")


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def recognised(path: Path) -> str | None:
    found = find_reader(File(str(path), str(path)))
    return None if found is None else found.name


def read(path: Path | list[Path], **options: Any) -> tuple[pl.DataFrame, IngestReport]:
    """Read files by the reader that recognises the first of them; counts must agree, twice."""
    paths = path if isinstance(path, list) else [path]
    files = [File(str(one), str(one)) for one in paths]
    chosen = find_reader(files[0])
    assert chosen is not None, paths[0]
    report = chosen.report(files)
    frame = chosen.read(files, ReadOptions(**options), report)
    rows = frame.collect()
    assert frame.collect().equals(rows), "a frame can be collected again"
    assert frame.collect_schema() == rows.schema
    if not options.get("merge_retries"):
        assert report.read == rows.height + sum(report.dropped.values())
        assert report.kept == rows.height
    return rows, report


def refused(path: Path, code: str, *says: str, **options: Any) -> lr.LambdaReplayError:
    with pytest.raises(lr.LambdaReplayError) as caught:
        read(path, **options)
    error = caught.value
    assert error.code == code
    for part in says:
        assert part in f"{error} {error.hint}"
    return error
