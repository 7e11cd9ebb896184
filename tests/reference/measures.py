"""What is counted: metrics by minute, the functions table and the summary.

Owns every number that is derived from rows, runs and snapshots. Percentiles and shares are exact
integers and fractions; a float is made only where a value is handed out.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from reference.marks import Marks
from reference.model import ARRIVAL, Attempt, Run, Snapshot

MINUTE = 60_000_000
SECOND = 1_000_000

PERCENTILES = {
    "p50": Fraction(1, 2),
    "p90": Fraction(9, 10),
    "p99": Fraction(99, 100),
    "p999": Fraction(999, 1000),
}
LEVEL_PERCENTILES = ("p50", "p99", "p999")


def milliseconds(microseconds: int) -> float:
    """Return microseconds as milliseconds."""
    return microseconds / 1000


def of_function(attempts: Sequence[Attempt], name: str | None) -> list[Attempt]:
    """Return the attempts of a function, or all of them for the whole region."""
    return [attempt for attempt in attempts if name in (None, attempt.row.name)]


def runs_of(attempts: Sequence[Attempt]) -> list[Run]:
    """Return the runs among attempts."""
    return [attempt.run for attempt in attempts if attempt.run is not None]


def level(counts: dict[str, int], name: str | None) -> int:
    """Return a function's part of a snapshot, or the sum for the whole region."""
    return sum(counts.values()) if name is None else counts.get(name, 0)


# ---- outcomes ------------------------------------------------------------------------------


def outcome_row(attempt: Attempt, batch: int, request_id: dict[str, Any]) -> dict[str, Any]:
    """Return the outcome of one row of the trace."""
    row, run = attempt.row, attempt.run
    known = {
        "row": row.position,
        "timestamp": row.timestamp,
        "function": row.function,
        "source": "sync",
        "attempts": 1,
        "errors": 0,
        "conflicts": 0,
        "spillover_reason": None,
        **request_id,
    }
    if run is None:
        # rule: Z49, F1.6
        return known | {
            "outcome": "throttled",
            "reason": "ConcurrentInvocationLimitExceeded",
            "limit": "account_concurrency",
            "throttles": 1,
            "start": None,
            "end": None,
            "settled": row.timestamp,
            "wait_ms": None,
            "lock_wait_ms": None,
            "init_ms": None,
            "cold": None,
            "provisioned": None,
            "environment": None,
            "batch": None,
            "billed_ms": None,
        }
    return known | {
        "outcome": "success",
        "reason": None,
        "limit": None,
        "throttles": 0,
        "start": run.start,
        "end": run.end,
        "settled": run.end,
        "wait_ms": milliseconds(run.start - row.timestamp),
        "lock_wait_ms": 0.0,
        "init_ms": milliseconds(run.init),  # rule: Z49 (warm: 0)
        "cold": run.cold,
        "provisioned": False,
        "environment": run.environment.number,
        "batch": batch,
        "billed_ms": run.billed_us // 1000,
    }


# ---- metrics -------------------------------------------------------------------------------


def minutes_of(attempts: Sequence[Attempt]) -> list[int]:
    """Return the first instants of the minutes in which there was an attempt or a run."""
    minutes = set()
    for attempt in attempts:
        minute = attempt.row.timestamp // MINUTE * MINUTE
        minutes.add(minute)
        # rule: Z45 (a minute in which something only runs on has a row; [start, end))
        while attempt.run and minute < attempt.run.end:
            minutes.add(minute)
            minute += MINUTE
    return sorted(minutes)


def gauges(
    snapshots: Sequence[Snapshot], name: str | None, minute: int, marks: Marks
) -> tuple[int, int]:
    """Return the most runs in flight and the most environments alive in a minute."""
    # rule: Z45 (carried over: what there is before the minute's first arrival, once what ends or
    # runs out at its first instant is gone)
    carried = (0, 0)
    after_arrivals = []
    for snapshot in snapshots:
        value = (level(snapshot.in_flight, name), level(snapshot.alive, name))
        if snapshot.instant >= minute + MINUTE:
            break
        if snapshot.instant >= minute and snapshot.kind == ARRIVAL:
            # rule: Z55 (an accepted run counts at its instant, though it may be over with it)
            after_arrivals.append(value)
        elif snapshot.instant <= minute and not after_arrivals:
            if snapshot.instant == minute and value < carried:
                marks.hit("Z45.nothing_at_first_instant")
            carried = value
    seen = [carried, *after_arrivals]
    return max(runs for runs, _ in seen), max(alive for _, alive in seen)


def metrics_row(
    attempts: Sequence[Attempt],
    snapshots: Sequence[Snapshot],
    name: str | None,
    minute: int,
    marks: Marks,
) -> dict[str, Any]:
    """Return the metrics of one minute of a function, or of the region."""
    # rule: Z44 (a run belongs to the minute of its start, a throttle to that of its instant)
    here = [one for one in attempts if minute <= one.row.timestamp < minute + MINUTE]
    runs = runs_of(here)
    throttles = len(here) - len(runs)
    in_flight, alive = gauges(snapshots, name, minute, marks)
    if not here:
        marks.hit("Z45.carried_over")
    elif not runs:
        marks.hit("Z45.only_throttles")
    if alive > in_flight:
        marks.hit("Z45.idle_counted")
    if any(run.end > minute + MINUTE for run in runs):
        marks.hit("Z44.run_over_minutes")
    # rule: Z45 (null is no datum, 0 is one)
    return {
        "timestamp": minute,
        "function": name,
        "Invocations": len(runs) if runs else None,
        "Errors": 0 if here else None,
        "Throttles": throttles if here else None,
        "Errors_samples": len(here) if here else None,
        "Throttles_samples": len(here) if here else None,
        "Duration_sum": milliseconds(sum(run.row.duration for run in runs)) if runs else None,
        "Duration_max": milliseconds(max(run.row.duration for run in runs)) if runs else None,
        "ConcurrentExecutions": in_flight,
        "UnreservedConcurrentExecutions": in_flight if name is None else None,
        "ClaimedAccountConcurrency": in_flight if name is None else None,
        "cold_starts": sum(run.cold for run in runs) if runs else None,
        "lock_wait_ms_sum": 0.0 if runs else None,
        "environments": alive,
    }


def metrics(
    attempts: Sequence[Attempt], snapshots: Sequence[Snapshot], marks: Marks
) -> list[dict[str, Any]]:
    """Return the metrics of the region and of every function, minute by minute."""
    names: list[str | None] = [None, *sorted({attempt.row.name for attempt in attempts})]
    rows = []
    for name in names:
        own = of_function(attempts, name)
        rows += [metrics_row(own, snapshots, name, minute, marks) for minute in minutes_of(own)]
    return rows


# ---- functions and summary -----------------------------------------------------------------


def smallest_with_share(weights: Sequence[tuple[int, int]], share: Fraction) -> int:
    """Return the smallest value up to which at least that share of the weight lies."""
    # rule: Z46 (the smallest with a cumulative share of at least that)
    total = sum(weight for _, weight in weights)
    reached = 0
    for value, weight in sorted(weights):
        reached += weight
        if reached >= share * total:
            return value
    message = "no weights"
    raise ValueError(message)


def distribution_ms(values: Sequence[int]) -> dict[str, float | None]:
    """Return mean, percentiles and maximum of microseconds, as milliseconds."""
    if not values:
        return dict.fromkeys(("mean", *PERCENTILES, "max"))
    weights = [(value, 1) for value in values]
    percentiles = {
        name: milliseconds(smallest_with_share(weights, share))
        for name, share in PERCENTILES.items()
    }
    mean = float(Fraction(sum(values), len(values) * 1000))
    return {"mean": mean, **percentiles, "max": milliseconds(max(values))}


def span(attempts: Sequence[Attempt]) -> tuple[int, int]:
    """Return the first timestamp and the last release of the whole trace."""
    runs = runs_of(attempts)
    if not runs:
        return 0, 0
    return min(attempt.row.timestamp for attempt in attempts), max(run.end for run in runs)


def concurrency(
    snapshots: Sequence[Snapshot], name: str | None, first: int, last: int
) -> dict[str, float | int]:
    """Return the distribution over time of the runs in flight."""
    weights = []
    for snapshot, following in pairwise(snapshots):
        weights.append((level(snapshot.in_flight, name), following.instant - snapshot.instant))
    peak = max((level(snapshot.in_flight, name) for snapshot in snapshots), default=0)
    if first == last:
        return {"mean": 0.0, **dict.fromkeys(LEVEL_PERCENTILES, 0), "max": peak}
    area = sum(value * weight for value, weight in weights)
    percentiles = {key: smallest_with_share(weights, PERCENTILES[key]) for key in LEVEL_PERCENTILES}
    return {"mean": float(Fraction(area, last - first)), **percentiles, "max": peak}


def worst_10s(instants: Sequence[int], marks: Marks) -> dict[str, int] | None:
    """Return the ten seconds with the most throttles."""
    seconds = [instant // SECOND for instant in instants]
    if not seconds:
        return None
    # A window may begin with the second of its first throttle: moved there it loses nothing.
    counts = {
        begin: sum(begin <= second < begin + 10 for second in seconds) for begin in sorted(seconds)
    }
    most = max(counts.values())
    worst = [begin for begin, count in counts.items() if count == most]
    if len(worst) > 1:
        marks.hit("worst_10s.tie")
    if any(worst[0] < second < worst[0] + 10 for second in seconds):
        marks.hit("worst_10s.over_seconds")
    return {"from": worst[0] * SECOND, "throttles": most}


def totals(
    attempts: Sequence[Attempt], snapshots: Sequence[Snapshot], name: str | None, marks: Marks
) -> dict[str, Any]:
    """Return the numbers of a function over the whole trace, or of the whole region."""
    first, last = span(attempts)
    if attempts and first == last:
        marks.hit("Z47.empty_span")
    own = of_function(attempts, name)
    runs = runs_of(own)
    throttled = [attempt.row.timestamp for attempt in own if attempt.run is None]
    if throttled:
        marks.hit("Z49.never_ran")
    cold = sum(run.cold for run in runs)
    busy = sum(run.end - run.start for run in runs)
    over_time = concurrency(snapshots, name, first, last)
    return {
        "records": len(own),
        "invocations": len(runs),
        "success": len(runs),
        "error": 0,
        "throttled": len(throttled),
        "dropped": 0,
        "expired": 0,
        "discarded": 0,
        "filtered": 0,
        "pending": 0,
        "throttles": len(throttled),
        "cold_starts": cold,
        # rule: Z48 (neither is provisioned here)
        "warm_starts": len(runs) - cold,
        "max_concurrency": over_time["max"],
        # rule: Z47 (per function over the whole trace's span)
        "mean_concurrency": float(Fraction(busy, last - first)) if last > first else 0.0,
        "environments_created": len({run.environment.number for run in runs}),
        "throttles_by_limit": {"account_concurrency": len(throttled)} if throttled else {},
        "never_ran": len(throttled),
        "concurrency": over_time,
        "worst_10s": worst_10s(throttled, marks),
        "wait_ms": distribution_ms([run.start - run.row.timestamp for run in runs]),
        "duration_ms": distribution_ms([run.row.duration for run in runs]),
    }


def functions(
    attempts: Sequence[Attempt], snapshots: Sequence[Snapshot], marks: Marks
) -> list[dict[str, Any]]:
    """Return a row for every function of the trace."""
    # rule: Z9 (by the bare name)
    names = sorted({attempt.row.name for attempt in attempts})
    for name in names:
        if len({one.row.function for one in attempts if one.row.name == name}) > 1:
            marks.hit("Z9.qualifier")
    return [{"function": name, **totals(attempts, snapshots, name, marks)} for name in names]
