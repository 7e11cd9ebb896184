"""The functions that lost most, the rest in one line, and all of them together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from lambda_replay.cli.screen.figures import billed, count, share, span_ms
from lambda_replay.cli.screen.table import Column, lay_out

if TYPE_CHECKING:
    from lambda_replay.cli.screen.look import Look
    from lambda_replay.results import ReplayResult

__all__ = ["functions_table"]

_SHORT_LIMITS = {
    "account_concurrency": "account",
    "reserved_concurrency": "reserved",
    "reserved_zero": "reserved 0",
    "latest_blocked": "$LATEST",
    "account_rps": "account rate",
    "reserved_rps": "reserved rate",
    "scaling_rate": "scaling rate",
}

_SUMS = ("records", "invocations", "throttled", "throttles", "cold_starts", "billed_ms")


def functions_table(result: ReplayResult, most: int, look: Look) -> list[str]:
    """Lay out the functions.

    Parameters
    ----------
    result
        What the replay says.
    most
        Functions to show by name.
    look
        What the stream can show.
    """
    functions = result.functions.sort(
        ["throttled", "records", "function"], descending=[True, True, False]
    )
    if functions.height == most + 1:
        # A line for the rest would take as much room as the function itself.
        most += 1
    rows: list[dict[str, Any]] = functions.head(most).to_dicts()
    names = [row["function"] for row in rows]
    rest = functions.slice(most)
    if rest.height:
        rows.append(rest.select(pl.col(*_SUMS).sum()).row(0, named=True))
        names.append(f"{count(rest.height)} others")
    if functions.height > 1:
        rows.append(_total(result))
        names.append(f"all {count(functions.height)}")
    by_loss = result.summary.throttles > 0
    order = "most throttled first" if by_loss else "most requests first"
    lines = lay_out(f"function, {order}", names, _columns(result, rows), look)
    return [look.paint(lines[0], bold=True), *lines[1:]]


def _total(result: ReplayResult) -> dict[str, Any]:
    summary = result.summary.to_dict()
    return {**summary, "billed_ms": summary["billed_s"] * 1_000}


def _columns(result: ReplayResult, rows: list[dict[str, Any]]) -> list[Column]:
    columns = [Column("requests", [count(row["records"]) for row in rows], drop=3)]
    if result.summary.throttles:
        columns += [
            Column("throttled", [count(row["throttled"]) for row in rows]),
            Column("share", [share(row["throttled"], row["records"]) for row in rows]),
        ]
        limits = [_by(row.get("throttles_by_limit")) for row in rows]
        if len(result.summary.throttles_by_limit) > 1:
            columns.append(Column("by", limits, left=True, drop=6))
    else:
        columns.append(Column("throttled", [count(row["throttled"]) for row in rows], drop=2))
    return [
        *columns,
        Column("cold", [count(row["cold_starts"]) for row in rows]),
        Column("run p99", [_p99(row) for row in rows]),
        Column("conc. p99/max", [_at_once(row) for row in rows], drop=5),
        Column("billed", [billed(row["billed_ms"] / 1_000) for row in rows], drop=4),
    ]


def _by(by_limit: dict[str, int] | None) -> str:
    found = {name: number for name, number in (by_limit or {}).items() if number}
    if not found:
        return ""
    worst = max(found, key=lambda name: found[name])
    others = f" +{len(found) - 1}" if len(found) > 1 else ""
    return _SHORT_LIMITS.get(worst, worst) + others


def _p99(row: dict[str, Any]) -> str:
    duration = row.get("duration_ms")
    return "" if duration is None else span_ms(duration["p99"])


def _at_once(row: dict[str, Any]) -> str:
    at_once = row.get("concurrency")
    return "" if at_once is None else f"{count(at_once['p99'])}/{count(at_once['max'])}"
