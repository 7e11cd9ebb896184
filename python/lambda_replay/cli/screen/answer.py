"""The numbers of the whole account: what was lost to which limit, when, and what the rest took."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from lambda_replay.cli.screen.blocks import (
    async_events,
    cost,
    errors,
    holders,
    pending,
    provisioned,
    state,
)
from lambda_replay.cli.screen.limits import InForce, claimed
from lambda_replay.cli.screen.look import MARGIN
from lambda_replay.cli.screen.sources import event_sources
from lambda_replay.cli.screen.spark import Grid, bars
from lambda_replay.figures import (
    billed,
    clock,
    count,
    hours,
    mean,
    plural,
    share,
    span_ms,
)

if TYPE_CHECKING:
    from lambda_replay.cli.screen.look import Look
    from lambda_replay.results import ReplayResult

__all__ = ["answer"]

#: Room for what stands after the bars of a line over time.
_AFTER_BARS = 26


def answer(result: ReplayResult, look: Look, *, tight: bool = False, most: int = 2) -> list[str]:
    """Give the lines that answer the question.

    Parameters
    ----------
    result
        What the replay says.
    look
        What the stream can show.
    tight
        Whether bars are left out.
    most
        Lines of a paragraph.
    """
    if result.summary.records == 0:
        return ["the trace has no rows: nothing was replayed"]
    grid = None if tight else Grid(result.region, look.width - MARGIN - _AFTER_BARS)
    force = InForce.of(result)
    blocks = [
        ("throttled", _throttled(result, force, grid, look, most)),
        ("held by", holders(result, look)),
        ("errors", errors(result, look)),
        ("async events", async_events(result, look, most)),
        ("event sources", event_sources(result, look, most)),
        ("pending", pending(result, look)),
        ("shared state", state(result, look, most)),
        ("provisioned", provisioned(result, look, most)),
        ("cold starts", _cold_starts(result, tight=tight)),
        ("concurrency", _concurrency(result, force, grid, look)),
        ("durations", _durations(result)),
        ("cost", cost(result, look, most)),
    ]
    return [
        ("" if at else label).ljust(MARGIN) + line
        for label, lines in blocks
        for at, line in enumerate(lines)
    ]


def _throttled(
    result: ReplayResult, force: InForce, grid: Grid | None, look: Look, most: int
) -> list[str]:
    summary = result.summary
    requests = plural(summary.records, "request")
    if summary.throttles == 0:
        none = look.paint("none", "green", bold=True)
        first, *others = force.none(result)
        answers = look.fill([f"{none} of {requests} {first}", *others], most)
        return answers + look.fill(force.names(), most, joint="; ")
    lost = look.paint(count(summary.throttled), "red", bold=True) if summary.throttled else "none"
    first = f"{lost} of {requests}"
    if summary.throttled:
        first += f" ({share(summary.throttled, summary.records)})"
    by = _by(result, force, look, most)
    if summary.throttles != summary.throttled:
        # Asynchronous events and clients try again.
        refusals = plural(summary.throttles, "refusal")
        lines = [*look.fill([f"{first} for good", f"{refusals} with retries:"], most, "; "), *by]
    elif len(by) == 1 and len(summary.throttles_by_limit) == 1:
        lines = [f"{first}, {by[0]}"]
    else:
        lines = [f"{first}:", *by]
    lines.append("; ".join(_worst(result)))
    if grid is not None:
        throttles = grid.total("Throttles")
        lines.append(f"{bars(throttles, look)}  up to {count(max(throttles))} per {grid}")
    return lines


def _by(result: ReplayResult, force: InForce, look: Look, most: int) -> list[str]:
    """Say which limits did it, the worst first."""
    ordered = sorted(result.summary.throttles_by_limit.items(), key=lambda item: -item[1])
    names = [force.called(limit, result, look) for limit, _ in ordered]
    if len(ordered) == 1:
        return [f"all by {names[0]}"]
    parts = [f"{count(number)} by {name}" for (_, number), name in zip(ordered, names, strict=True)]
    return look.fill(parts, most)


def _worst(result: ReplayResult) -> list[str]:
    """Say when it was worst: ten seconds, and a minute."""
    worst = result.summary.worst_10s
    times = result.region["timestamp"].dt.date()
    day = times.min() != times.max()
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


def _cold_starts(result: ReplayResult, *, tight: bool) -> list[str]:
    summary = result.summary
    text = (
        f"{count(summary.cold_starts)} of {plural(summary.invocations, 'invocation')}"
        f" ({share(summary.cold_starts, summary.invocations)})"
    )
    if summary.init_s > 0:
        return [f"{text}, which waited {span_ms(summary.init_s * 1_000)} for init in all"]
    if summary.cold_starts and not result.trace.has_init:
        free = "they cost no time here: neither the trace nor the scenario has init times"
        return [f"{text}, without init times"] if tight else [text, free]
    return [text]


def _concurrency(result: ReplayResult, force: InForce, grid: Grid | None, look: Look) -> list[str]:
    summary, at = result.summary, result.summary.concurrency
    text = (
        f"mean {mean(at.mean)}, p50 {count(at.p50)}, p99 {count(at.p99)},"
        f" max {count(at.max)} of {force.limit}"
    )
    if len(force.concurrency) == 1 and at.max >= force.concurrency[0]:
        text += f"; used up for {span_ms(summary.at_limit_s * 1_000)}"
    elif (units := claimed(result)) > at.max:
        text += f"; {count(units)} claimed at most"
    if grid is None:
        return [text]
    peaks = grid.largest("ConcurrentExecutions")
    return [text, f"{bars(peaks, look)}  peaks per {grid}"]


def _durations(result: ReplayResult) -> list[str]:
    summary = result.summary
    at = summary.duration_ms
    if at.max is None:
        return ["nothing ran"]
    quantiles = f"p50 {span_ms(at.p50)}, p99 {span_ms(at.p99)}, max {span_ms(at.max)}"
    return [f"{quantiles}; billed {billed(summary.billed_s)}{hours(summary.billed_s)}"]
