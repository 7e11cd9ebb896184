"""The numbers of the whole account: what was lost to which limit, when, and what the rest took."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from lambda_replay.cli.screen.figures import billed, clock, count, hours, plural, share, span_ms
from lambda_replay.cli.screen.spark import Grid, bars

if TYPE_CHECKING:
    from lambda_replay.cli.screen.look import Look
    from lambda_replay.results import ReplayResult

__all__ = ["MARGIN", "answer"]

#: Where the text begins; labels stand before it.
MARGIN = 14
#: Room for what stands after the bars of a line over time.
_AFTER_BARS = 26

_LIMITS = {
    "account_concurrency": "the account's concurrency limit",
    "reserved_concurrency": "reserved concurrency",
    "reserved_zero": "reserved concurrency of 0",
    "latest_blocked": "$LATEST being blocked",
    "account_rps": "the account's request rate",
    "reserved_rps": "the request rate of reserved concurrency",
    "scaling_rate": "the scaling rate",
}


def answer(result: ReplayResult, look: Look) -> list[str]:
    """Give the lines that answer the question."""
    if result.summary.records == 0:
        return ["the trace has no rows: nothing was replayed"]
    grid = Grid(result.region, look.width - MARGIN - _AFTER_BARS)
    blocks = [
        ("throttled", _throttled(result, grid, look)),
        ("cold starts", _cold_starts(result)),
        ("concurrency", _concurrency(result, grid, look)),
        ("durations", _durations(result)),
    ]
    return [
        ("" if at else label).ljust(MARGIN) + line
        for label, lines in blocks
        for at, line in enumerate(lines)
    ]


def _throttled(result: ReplayResult, grid: Grid, look: Look) -> list[str]:
    summary = result.summary
    limit = result.scenario.resolve().account.concurrency
    requests = plural(summary.records, "request")
    if summary.throttles == 0:
        none = look.paint("none", "green", bold=True)
        # True while the account's limit is the only one: before it binds, it changes nothing.
        lowest = f"nor under any from {count(summary.max_concurrency)} up"
        return [f"{none} of {requests} under a limit of {count(limit)}, {lowest}"]
    number = look.paint(count(summary.throttled), "red", bold=True)
    part = share(summary.throttled, summary.records)
    throttles = grid.total("Throttles")
    return [
        f"{number} of {requests} ({part}), {_by(summary.throttles_by_limit, limit)}",
        "; ".join(_worst(result)),
        f"{bars(throttles, look)}  up to {count(max(throttles))} per {grid}",
    ]


def _by(by_limit: dict[str, int], limit: int) -> str:
    """Say which limits did it, the worst first."""
    ordered = sorted(by_limit.items(), key=lambda item: -item[1])
    named = [
        (_LIMITS.get(name, name) + (f" of {count(limit)}" if name == "account_concurrency" else ""))
        for name, _ in ordered
    ]
    if len(ordered) == 1:
        return f"all by {named[0]}"
    first = f"{count(ordered[0][1])} by {named[0]}"
    second = f"{count(ordered[1][1])} by {named[1]}"
    left = sum(number for _, number in ordered[2:])
    return f"{first}, {second}" + (f", {count(left)} by others" if left else "")


def _worst(result: ReplayResult) -> list[str]:
    """Say when it was worst: ten seconds, and a minute."""
    trace, worst = result.trace, result.summary.worst_10s
    assert trace.first is not None
    assert trace.last is not None
    day = trace.first.date() != trace.last.date()
    texts = []
    if worst is not None:
        texts.append(f"worst 10 s: {count(worst.throttles)} from {clock(worst.from_, day=day)}")
    top = result.region.sort("Throttles", descending=True, nulls_last=True).row(0, named=True)
    at: datetime = top["timestamp"]
    tried = (top["Invocations"] or 0) + top["Throttles"]
    texts.append(
        f"worst minute: {count(top['Throttles'])} of {count(tried)} at"
        f" {clock(at, day=day, seconds=False)}"
    )
    return texts


def _cold_starts(result: ReplayResult) -> list[str]:
    summary = result.summary
    text = (
        f"{count(summary.cold_starts)} of {plural(summary.invocations, 'invocation')}"
        f" ({share(summary.cold_starts, summary.invocations)})"
    )
    if summary.init_s > 0:
        return [f"{text}, which waited {span_ms(summary.init_s * 1_000)} for init in all"]
    if summary.cold_starts and not result.trace.has_init:
        return [text, "they cost no time here: neither the trace nor the scenario has init times"]
    return [text]


def _concurrency(result: ReplayResult, grid: Grid, look: Look) -> list[str]:
    at = result.summary.concurrency
    limit = result.scenario.resolve().account.concurrency
    text = (
        f"mean {at.mean:.3g}, p50 {count(at.p50)}, p99 {count(at.p99)},"
        f" max {count(at.max)} of {count(limit)}"
    )
    if at.max >= limit:
        text += f"; used up for {span_ms(result.summary.at_limit_s * 1_000)}"
    peaks = grid.largest("ConcurrentExecutions")
    return [text, f"{bars(peaks, look)}  peaks per {grid}"]


def _durations(result: ReplayResult) -> list[str]:
    summary = result.summary
    at = summary.duration_ms
    if at.max is None:
        return ["nothing ran"]
    quantiles = f"p50 {span_ms(at.p50)}, p99 {span_ms(at.p99)}, max {span_ms(at.max)}"
    return [f"{quantiles}; billed {billed(summary.billed_s)}{hours(summary.billed_s)}"]
