"""What only some workloads have: each block is there where it has something to say.

Blocks that may be long get the most lines that a paragraph of theirs may take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from lambda_replay.figures import billed, count, mean, money, plural, share, span_ms

if TYPE_CHECKING:
    from lambda_replay.cli.screen.look import Look
    from lambda_replay.results import ReplayResult

__all__ = ["async_events", "cost", "errors", "holders", "pending", "provisioned", "state"]

#: Room for a name in the middle of a sentence.
_NAME_CELLS = 24


def errors(result: ReplayResult, look: Look) -> list[str]:
    """Say what ended in error."""
    summary = result.summary
    if summary.errors == 0:
        return []
    requests = plural(summary.records, "request")
    runs = f"{count(summary.errors)} of {plural(summary.invocations, 'run')} failed"
    if summary.error == 0:
        return [f"none of {requests} for good; {runs}"]
    number = look.paint(count(summary.error), "red", bold=True)
    text = f"{number} of {requests} ended in error ({share(summary.error, summary.records)})"
    return [text if summary.error == summary.errors else f"{text}; {runs}"]


def holders(result: ReplayResult, look: Look) -> list[str]:
    """Say who held the capacity while others were refused."""
    blame = result.blame
    if blame is None or not blame.height:
        return []
    held = blame.filter(pl.col("holder").is_not_null())
    if not held.height:
        return ["nobody: no limit that refused is about units in use"]
    worst = held.filter(
        (pl.col("victim") == held["victim"][0]) & (pl.col("limit") == held["limit"][0])
    )
    victim = look.name(held["victim"][0], _NAME_CELLS)
    parts = [
        f"{look.name(row['holder'], _NAME_CELLS)} {mean(row['held_mean'])}"
        f" (at most {count(row['held_max'])})"
        for row in worst.head(3).to_dicts()
    ]
    waiting = float(worst["waiting_mean"].sum())
    if waiting:
        parts.append(f"runs that waited for a record {mean(waiting)}")
    if worst.height > 3:
        parts.append(f"{plural(worst.height - 3, 'other')}")
    lead = f"while {victim} was throttled: "
    return look.fill([lead + parts[0], *parts[1:]], 2)


def async_events(result: ReplayResult, look: Look, most: int) -> list[str]:
    """Say what became of asynchronous events."""
    summary = result.summary
    received = int(result.region["AsyncEventsReceived"].sum())
    if not received:
        return []
    # Of what is lost, the rest is throttled or dropped.
    lost = round((summary.loss_rate or 0) * summary.records)
    failed = lost - summary.throttled - summary.dropped
    parts = []
    if summary.dropped:
        dropped = look.paint(count(summary.dropped), "red", bold=True)
        part = share(summary.dropped, received)
        first, *others = _dropped_by(result)
        parts += [f"{dropped} dropped ({part}): {first}", *others]
    if failed:
        parts.append(f"{count(failed)} ended in error")
    lines = look.fill([f"{count(received)} received", *(parts or ["none lost"])], most)
    age = summary.async_age_ms
    parts = []
    if age.max is not None:
        parts.append(
            f"age when run p50 {span_ms(age.p50)}, p99 {span_ms(age.p99)}, max {span_ms(age.max)}"
        )
    sent = [
        f"{count(number)} to {look.name(name, _NAME_CELLS)}"
        for name, number in sorted(summary.deliveries.items(), key=lambda item: -item[1])
    ]
    if sent:
        parts.append("delivered: " + ", ".join(sent[:2]) + (", …" if len(sent) > 2 else ""))
    return lines + look.fill(parts, most, joint="; ")


def _dropped_by(result: ReplayResult) -> list[str]:
    """Tell drops by age from those by reserved concurrency of 0, where the configuration tells."""
    resolved = result.scenario.resolve()
    by_zero = by_age = unclear = 0
    dropped = result.functions.filter(pl.col("dropped") > 0).select("function", "dropped")
    for name, number in dropped.iter_rows():
        zero = {epoch.function(name).reserved == 0 for epoch in resolved.epochs}
        if zero == {True}:
            by_zero += number
        elif zero == {False}:
            by_age += number
        else:
            unclear += number
    if unclear:
        return ["for age or at reserved concurrency 0"]
    if by_zero and by_age:
        return [f"{count(by_age)} for age", f"{count(by_zero)} at reserved concurrency 0"]
    return ["all at reserved concurrency 0" if by_zero else "all for age"]


def pending(result: ReplayResult, look: Look) -> list[str]:
    """Say what was not decided when the replay ended."""
    summary = result.summary
    if summary.pending == 0:
        return []
    number = look.paint(count(summary.pending), "yellow", bold=True)
    part = share(summary.pending, summary.records)
    which = f"{number} of {plural(summary.records, 'request')} ({part})"
    return [f"{which}: undecided when the replay ended (replay.until)"]


def provisioned(result: ReplayResult, look: Look, most: int) -> list[str]:
    """Say what provisioned concurrency did."""
    summary = result.summary
    if "provisioned" not in result.facts:
        return []
    used, spilled = summary.provisioned_invocations, summary.spillover_invocations
    if used + spilled == 0:
        return ["no invocation used it"]
    part = share(used, used + spilled)
    parts = [f"{count(used)} of {plural(used + spilled, 'invocation')} ({part})"]
    if spilled:
        parts.append(f"{look.paint(count(spilled), 'yellow', bold=True)} spilled over")
    shares = result.functions.filter(pl.col("utilisation").is_not_null()).sort("utilisation")
    if shares.height:
        low, high = shares.row(0, named=True), shares.row(-1, named=True)
        text = f"utilisation {_percent(high['utilisation'])}"
        if shares.height > 1:
            text = (
                f"utilisation {_percent(low['utilisation'])}"
                f" ({look.name(low['function'], _NAME_CELLS)}) to"
                f" {_percent(high['utilisation'])} ({look.name(high['function'], _NAME_CELLS)})"
            )
        parts.append(text)
    return look.fill(parts, most, joint="; ")


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.3g}%"


def state(result: ReplayResult, look: Look, most: int) -> list[str]:
    """Say what runs that must take turns came to."""
    at = result.summary.state
    if not at:
        return []
    runs = plural(at["runs"], "run")
    if not at["waits"] and not at["time_outs"]:
        return [f"{runs} touched shared records, and none had to wait"]
    part = f"{count(at['waits'])} of {runs} ({share(at['waits'], at['runs'])})"
    spent, paid = span_ms(at["wait_s"] * 1_000), billed(at["wait_billed_s"])
    if at["conflicts"]:
        parts = [f"{part} started over, {plural(at['conflicts'], 'time')} in all"]
        parts.append(f"{spent} run in vain, {paid} billed")
    else:
        parts = [f"{part} waited {spent} in all, {span_ms(at['longest_wait_ms'])} at most"]
        parts.append(f"{paid} billed for it")
    if at["time_outs"]:
        parts.append(f"{count(at['time_outs'])} timed out waiting")
    if at["blocked_max"]:
        parts.append(
            f"waiting, they held {mean(at['blocked_mean'])} units on average,"
            f" {count(at['blocked_max'])} at most"
        )
    if at["throttles"]:
        number = look.paint(count(at["throttles"]), "red", bold=True)
        parts.append(f"{number} throttles for want of those")
    lines = look.fill(parts, most + 1, joint="; ")
    return lines if most == 1 else lines + _hottest(result, look)


def _hottest(result: ReplayResult, look: Look) -> list[str]:
    if not result.keys.height:
        return []
    top = result.keys.row(0, named=True)
    whole = result.summary.state["wait_s"] * 1_000
    text = (
        f"hottest record {look.name(top['state_key'], _NAME_CELLS)}: {plural(top['runs'], 'run')},"
        f" {share(round(top['wait_ms']), round(whole))} of that time"
    )
    if top["longest_queue"]:
        text += f", queue of {count(top['longest_queue'])}"
    return [text]


def cost(result: ReplayResult, look: Look, most: int) -> list[str]:
    """Say what it would have cost."""
    account = result.scenario.resolve().account
    usd = result.summary.cost_usd
    if usd is None:
        region = look.name(account.region, _NAME_CELLS)
        return [f"prices of {region} are not known; set account.pricing.region=us-east-1 for those"]
    parts = [
        f"{name} {money(usd[name])}"
        for name in ("requests", "duration", "provisioned", "other")
        if usd[name] or name in {"requests", "duration"}
    ]
    total = look.paint(money(usd["total"]), bold=True)
    free = "after the free tier" if account.free_tier else "no free tier"
    return look.fill([f"{total} in {account.region}: {', '.join(parts)}", free], most, joint="; ")
