"""Results of earlier runs as sides of a comparison: a summary file, or a folder with one in it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from lambda_replay.exceptions import IntegrityError, OutputError, show

if TYPE_CHECKING:
    from lambda_replay.results import ReplayResult

__all__ = ["SUMMARY_FILE", "Side", "is_result", "load_side", "side_of"]

#: What a run's folder holds.
SUMMARY_FILE = "summary.json"
_FUNCTIONS_FILE = "functions.parquet"


@dataclass(frozen=True)
class Side:
    """What a comparison needs of one replay.

    Attributes
    ----------
    summary
        ``Summary.to_dict()``.
    functions
        Rows of the functions table by name; None where they were not kept.
    label
        Where it is from, for messages.
    """

    summary: dict[str, Any]
    functions: dict[str, dict[str, Any]] | None
    label: str

    @property
    def identity(self) -> tuple[object, ...]:
        """What must be equal for two sides to be of one trace: rows, first and last arrival."""
        trace = self.summary["trace"]
        return trace["rows"], _instant(trace["first"]), _instant(trace["last"])

    @property
    def semantics(self) -> tuple[object, ...]:
        """What must be equal for two sides to follow the same rules."""
        return self.summary["schema_version"], self.summary["version"]


def _instant(value: object) -> datetime | None:
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=None)
    assert value is None or isinstance(value, datetime), "an instant, or none"
    return value


def side_of(result: ReplayResult, label: str) -> Side:
    """Give a result as a side."""
    functions = {row["function"]: row for row in result.functions.to_dicts()}
    return Side(result.summary.to_dict(), functions, label)


def is_result(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path is a result of an earlier run rather than a scenario."""
    place = Path(path)
    if place.is_dir():
        return True
    if place.suffix.lower() != ".json" or not place.is_file():
        return False
    try:
        data = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and "schema_version" in data and "records" in data


def load_side(path: str | os.PathLike[str]) -> Side:
    """Read a result.

    Parameters
    ----------
    path
        What ``run -o FILE.json`` wrote, or a folder with ``summary.json`` and, where there is one,
        ``functions.parquet``.

    Raises
    ------
    OutputError
        It cannot be read.
    IntegrityError
        It is no result.
    """
    place = Path(path)
    file = place / SUMMARY_FILE if place.is_dir() else place
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"cannot read the result {show(str(file))}: {error.strerror}"
        hint = "a folder of a run holds summary.json" if place.is_dir() else None
        raise OutputError(message, hint=hint) from None
    except ValueError:
        data = None
    known = isinstance(data, dict) and {"schema_version", "records", "trace", "version"} <= set(
        data
    )
    if not known:
        message = f"{show(str(file))} is no result of lambda-replay"
        raise IntegrityError(message, hint="write one with: lambda-replay run TRACE -o FILE.json")
    functions = None
    table = place / _FUNCTIONS_FILE
    if place.is_dir() and table.is_file():
        functions = {row["function"]: row for row in pl.read_parquet(table).to_dicts()}
    return Side(data, functions, str(path))
