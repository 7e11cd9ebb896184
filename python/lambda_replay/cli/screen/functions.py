"""The functions that lost most, the rest in one line, and all of them together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from lambda_replay.cli.screen.table import Column, lay_out
from lambda_replay.figures import billed, count, money, share, span_ms

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
    "fault": "fault",
}

_SUMS = (
    *("records", "invocations", "throttled", "throttles", "dropped", "error", "cold_starts"),
    *("lost", "lock_wait_s", "billed_ms", "cost_usd"),
)


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
    # The rate is of whole numbers.
    lost = (pl.col("loss_rate") * pl.col("records")).round().cast(pl.UInt64).alias("lost")
    functions = result.functions.with_columns(lost).sort(
        ["lost", "throttles", "records", "function"], descending=[True, True, True, False]
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
    lines = lay_out(f"function, {_order(result)}", names, _columns(result, rows), look)
    return [look.paint(lines[0], bold=True), *lines[1:]]


def _order(result: ReplayResult) -> str:
    summary = result.summary
    if not summary.loss_rate and not summary.throttles:
        return "most requests first"
    only_throttled = summary.loss_rate == summary.throttle_rate
    return "most throttled first" if only_throttled else "most lost first"


def _total(result: ReplayResult) -> dict[str, Any]:
    summary = result.summary.to_dict()
    cost = summary["cost_usd"]
    return {
        **summary,
        "lost": round((summary["loss_rate"] or 0) * summary["records"]),
        "billed_ms": summary["billed_s"] * 1_000,
        "cost_usd": None if cost is None else cost["total"],
    }


def _columns(result: ReplayResult, rows: list[dict[str, Any]]) -> list[Column]:
    summary, facts = result.summary, result.facts

    def counts(head: str, name: str, drop: int = 0) -> Column:
        return Column(head, [count(row[name]) for row in rows], drop=drop)

    columns = [counts("requests", "records", drop=3)]
    if summary.throttles or not summary.loss_rate:
        columns.append(counts("throttled", "throttled", drop=0 if summary.throttled else 2))
    if summary.dropped:
        columns.append(counts("dropped", "dropped"))
    if summary.error:
        columns.append(counts("errors", "error", drop=4))
    if summary.loss_rate:
        head = "share" if summary.loss_rate == summary.throttle_rate else "lost"
        columns.append(Column(head, [share(row["lost"], row["records"]) for row in rows]))
    if len(summary.throttles_by_limit) > 1:
        limits = [_by(row.get("throttles_by_limit")) for row in rows]
        columns.append(Column("by", limits, left=True, drop=9))
    columns += [
        counts("cold", "cold_starts"),
        Column("run p99", [_p99(row) for row in rows]),
        Column("conc. p99/max", [_at_once(row) for row in rows], drop=8),
    ]
    if "provisioned" in facts:
        used = [_percent(row.get("utilisation")) for row in rows]
        columns.append(Column("prov. use", used, drop=6))
    if summary.lock_wait_s:
        waits = [span_ms(row["lock_wait_s"] * 1_000) for row in rows]
        columns.append(Column("lock wait", waits, drop=7))
    columns.append(Column("billed", [billed(row["billed_ms"] / 1_000) for row in rows], drop=5))
    if summary.cost_usd is not None:
        whole = summary.cost_usd["total"]
        costs = [money(row["cost_usd"] or 0, whole) for row in rows]
        columns.append(Column("cost", costs, drop=1))
    return columns


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


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:.3g}%"
