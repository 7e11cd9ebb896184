"""Results for machines: the summary as JSON, the functions as CSV."""

from __future__ import annotations

import io
import json
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

import polars as pl

from lambda_replay.cli.screen.notes import assumed_memory
from lambda_replay.exceptions import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.checks import CheckResult
    from lambda_replay.results import ReplayResult

__all__ = ["frame_csv", "functions_csv", "notes_of", "summary_json", "to_json"]


def summary_json(result: ReplayResult, checks: Sequence[CheckResult]) -> str:
    """Give the summary, the hottest shared records, what all rests on, and the conditions.

    One JSON document. Instants are ISO 8601 in UTC. Equal runs give equal bytes: nothing in it
    depends on the clock.
    """
    document = result.summary.to_dict()
    document["keys"] = result.keys.to_dicts()
    if result.blame is not None:
        document["blame"] = result.blame.to_dicts()
    document["sources"] = result.sources.to_dicts()
    document["notes"] = notes_of(result)
    if checks:
        document["checks"] = [check.to_dict() for check in checks]
    return to_json(document)


def to_json(document: object) -> str:
    """Write plain values, and instants, as JSON."""
    return json.dumps(document, indent=2, allow_nan=False, default=_plain) + "\n"


def frame_csv(frame: pl.DataFrame) -> str:
    """Write a flat frame as CSV."""
    text = io.StringIO()
    frame.write_csv(text, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
    return text.getvalue()


def notes_of(result: ReplayResult) -> dict[str, Any]:
    """Whatever the first screen says under the numbers, in full."""
    trace, resolved = result.trace, result.scenario.resolve()
    account = resolved.account
    return {
        "measured": list(trace.measured),
        "assumed": list(trace.assumed),
        "init_times": "trace" if trace.has_init else "scenario",
        "assumed_memory_mb": assumed_memory(result),
        "prices": {"region": account.region, "free_tier": account.free_tier},
        "facts": sorted(result.facts),
        "undocumented": [
            choice._asdict() for choice in resolved.undocumented_touching(result.facts)
        ],
        "not_modelled": list(result.scenario.not_modelled()),
        "columns_not_modelled": list(trace.not_modelled),
        "columns_ignored": list(trace.ignored),
        "was_sorted": trace.was_sorted,
        "other": list(trace.notes),
    }


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
    if isinstance(value, date | time):
        return value.isoformat()
    message = f"no JSON for {type(value).__name__}"
    raise TypeError(message)


def functions_csv(functions: pl.DataFrame, *, harmless: bool) -> str:
    """Give the functions table as CSV, complete; fields of structs become columns of their own.

    Parameters
    ----------
    functions
        As in the result.
    harmless
        Whether names are shown to people, on a terminal that would obey what stands in them;
        otherwise they are exact.
    """
    text = io.StringIO()
    if harmless:
        names = [escape(name) for name in functions["function"]]
        functions = functions.with_columns(pl.Series("function", names, dtype=pl.String))
    flatten(functions).write_csv(text, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
    return text.getvalue()


def flatten(frame: pl.DataFrame) -> pl.DataFrame:
    """Replace each struct by its fields, named ``duration_ms_p99`` and so on."""
    columns: list[pl.Expr] = []
    for name, dtype in frame.schema.items():
        if isinstance(dtype, pl.Struct):
            columns += [
                pl.col(name).struct.field(field.name).alias(f"{name}_{field.name}")
                for field in dtype.fields
            ]
        else:
            columns.append(pl.col(name))
    return frame.select(columns)
