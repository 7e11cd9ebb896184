"""What follows from a size: the demand, a quota request, break-even, a schedule."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import polars as pl

from lambda_replay.figures import at_load, clock, count, mean, money, plural, share_of
from lambda_replay.lines import name_of
from lambda_replay.measures import shown
from lambda_replay.size_sources import by_factor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lambda_replay.recommendation import Recommendation
    from lambda_replay.results import ReplayResult
    from lambda_replay.size import Search

__all__ = ["notes_on"]


def notes_on(
    found: Recommendation, search: Search, free: ReplayResult | None
) -> Iterable[tuple[str, str]]:
    """Give what follows from a size, each under a word."""
    if free is not None and found.what == "account":
        at = free.summary.concurrency
        yield (
            "demand",
            (
                f"without the limit: mean {mean(at.mean)}, p50 {count(at.p50)},"
                f" p99 {count(at.p99)}, p99.9 {count(at.p999)}, max {count(at.max)};"
                f" at most {count(found.peak)} claimed"
            ),
        )
        if found.value is not None:
            yield "quota", _quota(found, free)
    if found.what == "reserved" and found.value is not None:
        account = search.base.resolve().account
        left = account.concurrency - found.value - (search.set_aside() - (found.current or 0))
        least = min(100, account.concurrency)
        word = "as AWS wants at least" if left >= least else "AWS wants"
        yield "pool", f"leaves {count(left)} unreserved ({word} {count(least)})"
    if found.what == "provisioned":
        yield from _provisioned(found, search, free)
    if found.what == "shards" and found.value is not None and _has_factor(search):
        yield "by factor", _factors(search, found.value)
    if search.question.service is not None:
        names, limit, each = search.question.service
        yield (
            "service",
            (
                f"{count(limit)} connections, {plural(each, 'connection')} per environment, for"
                f" {', '.join(name_of(one, 20) for one in names[:4])}; environments are counted by"
                " minute, each function at its most"
            ),
        )
        if found.result is not None:
            one = found.result.summary
            yield (
                "what it costs",
                (
                    f"{count(one.throttled)} throttled, {count(one.dropped)} dropped, async age p99"
                    f" {shown('async_age_ms.p99', one.async_age_ms.p99)}"
                ),
            )


def _has_factor(search: Search) -> bool:
    assert search.question.source is not None
    return search.base.resolve().epochs[0].sources[search.question.source].is_stream


def _factors(search: Search, value: int) -> str:
    """Say how many shards do with each parallelization factor, factors that need as many as one."""
    pairs = by_factor(search, value)
    parts = []
    for number in sorted({shards for _, shards in pairs}, reverse=True):
        least = min(factor for factor, shards in pairs if shards == number)
        parts.append(f"{plural(number, 'shard')} from parallelization_factor {least} on")
    # What holds "from … on" must hold for every factor that was tried above.
    falling = all(one >= other for (_, one), (_, other) in itertools.pairwise(pairs))
    if not falling:
        parts = [f"{plural(shards, 'shard')} with factor {factor}" for factor, shards in pairs]
    return f"each replayed: {'; '.join(parts)}; records of one key stay in order"


def _quota(found: Recommendation, free: ReplayResult) -> str:
    """Write a paragraph for a quota request."""
    trace, at = free.trace, free.summary.concurrency
    assert found.value is not None
    span = ""
    if trace.first is not None and trace.last is not None:
        span = f" from {clock(trace.first, day=True)} to {clock(trace.last, day=True)} UTC"
    settings = free.scenario.resolve()
    load = at_load(free.summary.records, settings.load)
    runs = free.summary.invocations
    seconds = (trace.last - trace.first).total_seconds() if trace.first and trace.last else 0.0
    seconds *= settings.time_scale
    rate = f"{runs / seconds:,.4g} invocations/s of " if seconds > 0 else ""
    duration = free.summary.duration_ms.mean
    each = f"{duration:,.4g} ms on average" if duration is not None else "no duration"
    now = f" (now {count(found.current)})" if found.current is not None else ""
    return (
        f"We request a Lambda concurrent executions quota of {count(found.value)}{now}. A replay of"
        f" {count(trace.rows)} recorded requests{load}{span} needs {rate}{each}, that is"
        f" {mean(at.mean)} concurrent executions on average, {count(at.p99)} for 99% of the time"
        f" and {count(found.peak)} at the peak; {count(found.value)} is the smallest quota at which"
        f" {found.target} holds."
    )


def _provisioned(
    found: Recommendation, search: Search, free: ReplayResult | None
) -> Iterable[tuple[str, str]]:
    """Break-even, and a schedule by hour of the day."""
    costs = {
        number: row["cost_usd.total"]
        for number, (_, row) in search.known.items()
        if row["cost_usd.total"] is not None
    }
    if 0 not in costs and search.question.least == 0:
        search.try_all([0])
        costs = {number: row["cost_usd.total"] for number, (_, row) in search.known.items()}
    if costs.get(0) is not None:
        nothing = costs[0]
        paying = [number for number, cost in costs.items() if number and cost <= nothing]
        best = min(costs, key=lambda number: (costs[number], number))
        text = (
            f"up to {max(paying)} the total costs no more than without ({money(nothing)})"
            if paying
            else f"every size that was tried costs more than none ({money(nothing)})"
        )
        text += f"; {best} costs least ({money(costs[best])})"
        if found.value and found.value in search.known:
            cold = search.known[0][1]["function.cold_starts"]
            left = search.known[found.value][1]["function.cold_starts"]
            more, fewer = costs[found.value] - nothing, (cold or 0) - (left or 0)
            if fewer > 0 and more > 0:
                text += f"; each cold start avoided costs {money(more / fewer)}"
            used = search.known[found.value][1]["function.utilisation"]
            if used is not None:
                text += f"; utilisation {share_of(used)}"
        yield "break-even", text
    if free is None or free.metrics is None or search.question.function is None:
        return
    hours = (
        free.metrics.filter(pl.col("function") == search.question.function)
        .group_by(pl.col("timestamp").dt.hour().alias("hour"))
        .agg(pl.col("ConcurrentExecutions").max().alias("most"))
        .sort("hour")
    )
    stretches: list[tuple[int, int, int]] = []
    for hour, most in hours.iter_rows():
        level = int(most or 0)
        if stretches and stretches[-1][1] == hour and stretches[-1][2] == level:
            stretches[-1] = (stretches[-1][0], hour + 1, level)
        else:
            stretches.append((hour, hour + 1, level))
    if stretches:
        parts = [f"{begin:02d}-{end:02d} h: {count(level)}" for begin, end, level in stretches]
        yield "schedule", f"most at once by hour of the day, UTC: {', '.join(parts)}"
