"""What is counted: outcomes, attempts, metrics by minute, the functions table and the summary.

Owns every number that is derived from requests, runs and snapshots, but money. Percentiles and
shares are exact integers and fractions; a float is made only where a value is handed out.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, pairwise
from typing import Any

from reference.entities import Attempt, Request, Run
from reference.marks import Marks
from reference.model import Model, Snapshot
from reference.order import ARRIVAL
from reference.source_settings import STREAMS

MINUTE = 60_000_000
SECOND = 1_000_000

PERCENTILES = {
    "p50": Fraction(1, 2),
    "p90": Fraction(9, 10),
    "p99": Fraction(99, 100),
    "p999": Fraction(999, 1000),
}
LEVEL_PERCENTILES = ("p50", "p99", "p999")
OUTCOMES = (
    "success", "error", "throttled", "dropped", "expired", "discarded", "filtered", "pending",
)  # fmt: skip
# rule: E9 (metrics of event sources; sparse)
OF_SOURCES = (
    "PolledEventCount", "FilteredOutEventCount", "InvokedEventCount", "FailedInvokeEventCount",
    "DeletedEventCount", "DroppedEventCount", "OnFailureDestinationDeliveredEventCount",
)  # fmt: skip


def milliseconds(microseconds: int) -> float:
    """Return microseconds as milliseconds."""
    return microseconds / 1000


def of_function(requests: Sequence[Request], name: str | None) -> list[Request]:
    """Return the requests of a function, or all of them for the whole region."""
    return [request for request in requests if name in (None, request.row.name)]


def attempts_of(requests: Sequence[Request]) -> list[Attempt]:
    """Return the attempts of requests."""
    return [attempt for request in requests for attempt in request.attempts]


def calls_of(model: Model, name: str | None) -> list[Attempt]:
    """Return the tries of a function: one for each invocation, however many records it has."""
    return [call for call in model.calls if name in (None, call.row.name)]


def runs_of(model: Model, name: str | None) -> list[Run]:
    """Return the runs of a function that have ended."""
    runs = [call.run for call in calls_of(model, name) if call.run is not None]
    # rule: Z39, Z44 (a run unfinished at until is in no count)
    return [run for run in runs if run.released is not None]


def begun(model: Model, name: str | None) -> list[Run]:
    """Return all runs of a function, those too that are unfinished at the end of the replay."""
    return [call.run for call in calls_of(model, name) if call.run is not None]


def lost(request: Request) -> bool:
    """Tell whether a request counts among the dropped asynchronous events."""
    # rule: Z30 (error + dropped of async rows)
    return request.row.source == "async" and request.outcome in ("error", "dropped")


def level(counts: dict[str, int], name: str | None) -> int:
    """Return a function's part of a snapshot, or the sum for the whole region."""
    return sum(counts.values()) if name is None else counts.get(name, 0)


# ---- outcomes and attempts -----------------------------------------------------------------


def batch_numbers(calls: Sequence[Attempt]) -> dict[Run | Attempt, int]:
    """Return a number for each invocation, and for each refused try of a batch."""
    # rule: E0.6 (a throttled attempt has a batch number of its own)
    tries = [call.run or call for call in calls if call.run or call.request.records is not None]
    return {one: number for number, one in enumerate(tries)}


def of_run(run: Run | None, batches: dict[Run | Attempt, int]) -> dict[str, Any]:
    """Return what outcomes and attempts say about a run."""
    if run is None:
        # rule: Z49
        return dict.fromkeys(
            ("lock_wait_ms", "cold", "provisioned", "environment", "batch", "billed_ms")
        )
    ended = run.released is not None
    return {
        # rule: Z39 (still running: end, billed_ms, lock_wait_ms null)
        "lock_wait_ms": milliseconds(run.lock_wait) if ended else None,
        "cold": run.cold,
        "provisioned": run.provisioned,
        "environment": run.environment.number,
        "batch": batches[run],
        "billed_ms": run.billed_us // 1000 if ended else None,
    }


def outcome_row(
    request: Request, batches: dict[Run | Attempt, int], extra: dict[str, Any]
) -> dict[str, Any]:
    """Return the outcome of one row of the trace."""
    row, runs = request.row, request.runs
    run = runs[-1] if runs else None
    return {
        "row": row.position,
        "timestamp": row.timestamp,
        "function": row.function,
        "source": row.source,
        "outcome": request.outcome,
        "reason": request.reason,
        "limit": request.limit,
        "attempts": len(request.attempts),
        "throttles": sum(attempt.run is None for attempt in request.attempts),
        "errors": sum(attempt.outcome == "error" for attempt in request.attempts),
        "start": run.start if run else None,
        "end": run.released if run else None,
        "settled": request.settled,
        "wait_ms": milliseconds(run.start - row.timestamp) if run else None,
        "conflicts": run.conflicts if run else 0,
        "init_ms": milliseconds(run.init) if run else None,  # rule: Z49 (warm: 0)
        "spillover_reason": run.spillover if run else None,
        **of_run(run, batches),
        **extra,
    }


def outcomes(
    model: Model, rows: Sequence[Any], batches: dict[Run | Attempt, int]
) -> list[dict[str, Any]]:
    """Return the outcomes in the trace's order."""
    table = []
    for request in sorted(model.requests, key=lambda one: (one.row.position, one.row.copy)):
        given = rows[request.row.position]
        extra = {}
        if "request_id" in given:
            extra["request_id"] = given["request_id"]
        if model.settings.load > 1:
            # rule: Z38
            extra["copy"] = request.row.copy
        table.append(outcome_row(request, batches, extra))
    return table


def reason_of(attempt: Attempt, run: Run) -> str | None:
    """Return why a run did not settle a record."""
    # rule: E4.7, E5.7 (what a partial response leaves is an error of its own kind)
    return run.failure or ("BatchItemFailure" if attempt.unsettled else None)


def attempts(model: Model, batches: dict[Run | Attempt, int]) -> list[dict[str, Any]]:
    """Return every try of every row, in order of time."""
    table = []
    # rule: Z50 (by start, then row)
    for attempt in sorted(
        model.attempts, key=lambda one: (one.instant, one.row.position, one.row.copy, one.number)
    ):
        run = attempt.run
        table.append(
            {
                "row": attempt.row.position,
                "attempt": attempt.number,
                "outcome": attempt.outcome,
                # rule: Z13 (the extension cut: reason null)
                "reason": attempt.reason if run is None else reason_of(attempt, run),
                "limit": attempt.limit,
                "start": attempt.instant,
                "end": run.released if run else attempt.instant,
                **of_run(run, batches),
                **({"batch": batches[attempt.whole]} if attempt.whole and run is None else {}),
                **({"copy": attempt.row.copy} if model.settings.load > 1 else {}),
            }
        )
    return table


# ---- metrics -------------------------------------------------------------------------------


def levels(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """Return the snapshots that count.

    Of each instant those from its first start on, and the last one before: what ends at an instant
    is not in flight at it, what starts counts though it may be over with it.
    """
    # rule: Z45 ([start, end)), Z55 (a run of length 0 counts at its instant)
    kept: list[Snapshot] = []
    for _, together in groupby(snapshots, key=lambda one: one.instant):
        before: list[Snapshot] = []
        starts: list[Snapshot] = []
        for snapshot in together:
            if starts or snapshot.kind >= ARRIVAL:
                starts.append(snapshot)
            else:
                before.append(snapshot)
        kept += before[-1:] + starts
    return kept


def gauged(snapshot: Snapshot, name: str | None) -> dict[str, int]:
    """Return the gauges of a function, or of the whole region, at a snapshot."""
    values = {
        "ConcurrentExecutions": level(snapshot.in_flight, name),
        "environments": level(snapshot.alive, name),
        "ProvisionedConcurrentExecutions": level(snapshot.provisioned_busy, name),
    }
    if name is None:
        values["UnreservedConcurrentExecutions"] = snapshot.unreserved
        values["ClaimedAccountConcurrency"] = snapshot.claimed
    return values


def gauges(
    before: Sequence[Snapshot],
    inside: Sequence[Snapshot],
    name: str | None,
    minute: int,
    marks: Marks,
) -> dict[str, int | None]:
    """Return the highest values in a minute, from what stood before and what happened inside."""
    # rule: Z45 (what is carried over counts, unless it ends at the minute's first instant)
    if inside and inside[0].instant == minute and inside[0].kind < ARRIVAL:
        if before and (
            level(inside[0].in_flight, name) < level(before[0].in_flight, name)
            or level(inside[0].alive, name) < level(before[0].alive, name)
        ):
            marks.hit("Z45.nothing_at_first_instant")
        before = []
    values: dict[str, int | None] = {
        "UnreservedConcurrentExecutions": None,
        "ClaimedAccountConcurrency": None,
    }
    seen = [gauged(one, name) for one in [*before, *inside]]
    for key in seen[0]:
        values[key] = max(one[key] for one in seen)
    # rule: F6 (nothing when idle)
    if not values["ProvisionedConcurrentExecutions"]:
        values["ProvisionedConcurrentExecutions"] = None
    return values


def drop_samples(requests: Sequence[Request]) -> list[tuple[int, int]]:
    """Return when asynchronous events were settled, with 1 for those that were lost."""
    # rule: F6 (an event that ends well puts a 0 at its end)
    return [
        (request.settled, int(lost(request)))
        for request in requests
        if request.row.source == "async" and request.settled is not None
    ]


def ages(requests: Sequence[Request]) -> list[tuple[int, int]]:
    """Return the instants of attempts of asynchronous events, with the age there."""
    # rule: F6 (at every attempt, including throttled ones)
    return [
        (attempt.instant, attempt.instant - attempt.row.timestamp)
        for attempt in attempts_of(requests)
        if attempt.row.source == "async"
    ]


def received(model: Model, requests: Sequence[Request]) -> list[int]:
    """Return when asynchronous events were accepted."""
    until = model.settings.until
    return [
        request.row.timestamp
        for request in requests
        if request.row.source == "async" and (until is None or request.row.timestamp < until)
    ]


def by_minute(pairs: Iterable[tuple[int, Any]]) -> dict[int, list[Any]]:
    """Return values by the minute of their instants."""
    minutes: dict[int, list[Any]] = defaultdict(list)
    for instant, value in pairs:
        minutes[instant // MINUTE * MINUTE].append(value)
    return minutes


@dataclass(frozen=True)
class Minutes:
    """What a function, or the region, has in each minute."""

    runs: dict[int, list[Run]]
    throttles: dict[int, list[Attempt]]
    ages: dict[int, list[int]]
    dropped: dict[int, list[int]]
    received: dict[int, list[int]]
    iterator_ages: dict[int, list[int]]
    going_on: set[int]

    def all(self) -> list[int]:
        """Return the first instants of the minutes in which there was any activity."""
        parts = (self.runs, self.throttles, self.ages, self.dropped, self.received)
        parts = (*parts, self.iterator_ages)
        return sorted(self.going_on.union(*parts))


def minutes_of(model: Model, name: str | None) -> Minutes:
    """Return what a function has in each minute."""
    going_on = set()
    requests, calls = of_function(model.requests, name), calls_of(model, name)
    for run in [call.run for call in calls if call.run is not None]:
        # rule: Z45 (a minute in which something only runs on has a row; [start, end))
        end = model.settings.until if run.released is None else run.released
        assert end is not None
        minute = run.start // MINUTE * MINUTE
        going_on.add(minute)
        while minute < end:
            going_on.add(minute)
            minute += MINUTE
    refused = [call for call in calls if call.run is None]
    return Minutes(
        # rule: Z44 (a run belongs to the minute of its start, a throttle to that of its instant)
        runs=by_minute((run.start, run) for run in runs_of(model, name)),
        throttles=by_minute((attempt.instant, attempt) for attempt in refused),
        ages=by_minute(ages(requests)),
        dropped=by_minute(drop_samples(requests)),
        received=by_minute((instant, 1) for instant in received(model, requests)),
        iterator_ages=by_minute(iterator_ages(model, name)),
        going_on=going_on,
    )


def iterator_age(model: Model, run: Run) -> int | None:
    """Return the age of the last record of a stream's run; null for other runs."""
    # rule: E4.12 (one for each attempt that was sent; final calls have no record), P25
    records, source = run.request.records, model.settings.sources.get(run.row.source)
    if not records or source is None or source.type not in STREAMS:
        return None
    at = run.answered if source.age_of_end else run.start
    # rule: Z44 (an age belongs to its own instant, and is known before its run ends)
    return None if at is None else at - records[-1].row.timestamp


def iterator_ages(model: Model, name: str | None) -> list[tuple[int, int]]:
    """Return when the ages of the last records of streams' runs were known, with these."""
    found = []
    for run in begun(model, name):
        age = iterator_age(model, run)
        if age is not None:
            # rule: Z44 (ages belong to their own instant)
            found.append((run.request.records[-1].row.timestamp + age, age))
    return found


def iterator_ages_of(model: Model, source: str, records: set[Request]) -> list[int]:
    """Return the ages of a source's runs whose last record is among some."""
    ages = [
        iterator_age(model, run)
        for run in begun(model, None)
        if run.row.source == source and run.request.records and run.request.records[-1] in records
    ]
    return [age for age in ages if age is not None]


def source_metrics(model: Model) -> list[dict[str, Any]]:
    """Return what each event source counts, minute by minute; 0 where it counts something else."""
    # rule: E9 (the dimension is the event source mapping)
    counts: dict[tuple[str, int], Counter[str]] = {}
    for name, owner in model.owners.items():
        for metric, instant, amount in owner.shown:
            minute = instant - instant % MINUTE
            counts.setdefault((name, minute), Counter())[metric] += amount
    return [
        {"timestamp": minute, "source": name, **{metric: counted[metric] for metric in OF_SOURCES}}
        for (name, minute), counted in counts.items()
    ]


def total(values: Sequence[int]) -> int | None:
    """Return a sum; without values there is no datum."""
    # rule: Z45 (null is no datum, 0 is one)
    return sum(values) if values else None


def highest_sample(runs: Sequence[Run]) -> float | None:
    """Return the highest of the samples that invocations of provisioned pools take."""
    # rule: F6 (busy / allocated, emitted at each invocation)
    samples = [run.sample for run in runs if run.sample is not None]
    return float(max(samples)) if samples else None


def metrics_row(
    model: Model,
    minutes: Minutes,
    values: dict[str, int | None],
    name: str | None,
    minute: int,
    marks: Marks,
) -> dict[str, Any]:
    """Return the metrics of one minute of a function, or of the region, given its gauges."""
    runs = minutes.runs.get(minute, [])
    throttles = len(minutes.throttles.get(minute, []))
    samples = len(runs) + throttles
    if not samples:
        marks.hit("Z45.carried_over")
    elif not runs:
        marks.hit("Z45.only_throttles")
    if (values["environments"] or 0) > (values["ConcurrentExecutions"] or 0):
        marks.hit("Z45.idle_counted")
    if any(run.released is not None and run.released > minute + MINUTE for run in runs):
        marks.hit("Z44.run_over_minutes")
    durations = [run.reported for run in runs]
    # rule: Z24 (spillover = ran on demand while READY > 0)
    spilled = [run for run in runs if run.spillover in ("busy", "request_rate")]
    provisioned = [run for run in runs if run.provisioned]
    served = bool(spilled or provisioned)
    iterator = minutes.iterator_ages.get(minute, [])
    of_sources = {"IteratorAge_max": milliseconds(max(iterator)) if iterator else None}
    dropped, age = minutes.dropped.get(minute, []), minutes.ages.get(minute, [])
    return {
        "timestamp": minute,
        "function": name,
        "Invocations": len(runs) if runs else None,
        "Errors": sum(run.failed for run in runs) if samples else None,
        "Throttles": throttles if samples else None,
        "Errors_samples": samples or None,
        "Throttles_samples": samples or None,
        "Duration_sum": milliseconds(sum(durations)) if runs else None,
        "Duration_max": milliseconds(max(durations)) if runs else None,
        **values,
        "ProvisionedConcurrencyInvocations": len(provisioned) if served else None,
        "ProvisionedConcurrencySpilloverInvocations": len(spilled) if served else None,
        "ProvisionedConcurrencyUtilization": highest_sample(runs),
        "AsyncEventsReceived": len(minutes.received.get(minute, [])) or None,
        "AsyncEventsDropped": total(dropped),
        "AsyncEventsDropped_samples": len(dropped) or None,
        "AsyncEventAge_max": milliseconds(max(age)) if age else None,
        **(of_sources if model.owners else {}),
        "cold_starts": sum(run.cold for run in runs) if runs else None,
        "lock_wait_ms_sum": milliseconds(sum(run.lock_wait for run in runs)) if runs else None,
    }


def metrics(model: Model, marks: Marks) -> list[dict[str, Any]]:
    """Return the metrics of the region and of every function, minute by minute."""
    names: list[str | None] = [None, *sorted({request.row.name for request in model.requests})]
    kept = by_minute((one.instant, one) for one in levels(model.snapshots))
    rows = []
    for name in names:
        minutes = minutes_of(model, name)
        for minute in minutes.all():
            earlier = [one for one in kept if one < minute]
            before = kept[max(earlier)][-1:] if earlier else []
            values = gauges(before, kept.get(minute, []), name, minute, marks)
            rows.append(metrics_row(model, minutes, values, name, minute, marks))
    return rows


# ---- functions and summary -----------------------------------------------------------------


def smallest_with_share(weights: Sequence[tuple[int, int]], share: Fraction) -> int:
    """Return the smallest value up to which at least that share of the weight lies."""
    # rule: Z46 (the smallest with a cumulative share of at least that)
    whole = sum(weight for _, weight in weights)
    reached = 0
    for value, weight in sorted(weights):
        reached += weight
        if reached * share.denominator >= share.numerator * whole:
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


def span(model: Model) -> tuple[int, int]:
    """Return the first timestamp and the last release of the whole trace."""
    # rule: Z47 (to until where set)
    if not model.requests:
        return 0, 0
    first = min(request.row.timestamp for request in model.requests)
    if model.settings.until is not None:
        return first, max(first, model.settings.until)
    ends = [run.released for run in runs_of(model, None) if run.released is not None]
    return first, max(ends, default=first)


def concurrency(
    snapshots: Sequence[Snapshot], name: str | None, first: int, last: int
) -> dict[str, float | int]:
    """Return the distribution over time of the runs in flight."""
    peak = max((level(snapshot.in_flight, name) for snapshot in snapshots), default=0)
    if first == last:
        return {"mean": 0.0, **dict.fromkeys(LEVEL_PERCENTILES, 0), "max": peak}
    steps = [(first, 0)]
    steps += [(one.instant, level(one.in_flight, name)) for one in snapshots]
    steps.append((max(last, steps[-1][0]), 0))
    weights = []
    for (since, value), (until, _) in pairwise(steps):
        length = min(until, last) - max(since, first)
        if length > 0:
            weights.append((value, length))
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
    model: Model, name: str | None, cost_usd: dict[str, float], marks: Marks
) -> dict[str, Any]:
    """Return the numbers of a function over the whole trace, or of the whole region."""
    first, last = span(model)
    if model.requests and first == last:
        marks.hit("Z47.empty_span")
    own = of_function(model.requests, name)
    runs = runs_of(model, name)
    refused = [call for call in calls_of(model, name) if call.run is None]
    # given up without one run
    never = [one for one in own if not one.runs and one.outcome not in ("pending", "filtered")]
    if never:
        marks.hit("Z49.never_ran")
    cold = sum(run.cold for run in runs)
    provisioned = sum(run.provisioned for run in runs)
    over_time = concurrency(model.snapshots, name, first, last)
    outcome = Counter(request.outcome for request in own)
    deliveries = Counter(one.delivered for one in own if one.delivered is not None)
    for owner in model.owners.values():
        if name in (None, model.mapping(owner.name).function):
            deliveries.update(owner.deliveries)
    created = [
        one
        for one in model.environments.all
        if not one.provisioned and name in (None, one.pool.partition(":")[0])
    ]
    # rule: Z46 (wait_ms over rows that ran)
    waits = [
        request.runs[-1].start - request.row.timestamp
        for request in own
        if request.runs and request.runs[-1].released is not None
    ]
    return {
        "records": len(own),
        "invocations": len(runs),
        **{key: outcome[key] for key in OUTCOMES},
        "throttles": len(refused),
        "cold_starts": cold,
        # rule: Z48 (invocations - cold - provisioned)
        "warm_starts": len(runs) - cold - provisioned,
        "provisioned_invocations": provisioned,
        "spillover_invocations": sum(run.spillover in ("busy", "request_rate") for run in runs),
        "max_concurrency": over_time["max"],
        # rule: Z47 (per function over the whole trace's span)
        "mean_concurrency": over_time["mean"],
        # rule: Z24 (provisioned ones are not counted)
        "environments_created": len(created),
        "throttles_by_limit": dict(Counter(attempt.limit for attempt in refused)),
        # rule: Z24 (not_ready is no spillover)
        "spillover_by_reason": dict(
            Counter(run.spillover for run in runs if run.spillover in ("busy", "request_rate"))
        ),
        "dropped_by_reason": dict(Counter(one.reason for one in own if one.outcome == "dropped")),
        "never_ran": len(never),
        "concurrency": over_time,
        "worst_10s": worst_10s([attempt.instant for attempt in refused], marks),
        "conflicts": sum(run.conflicts for run in runs),
        "lock_wait_s": sum(run.lock_wait for run in runs) / SECOND,
        "wait_ms": distribution_ms(waits),
        "duration_ms": distribution_ms([run.reported for run in runs]),
        "async_age_ms": distribution_ms([age for _, age in ages(own)]),
        **(
            {"iterator_age_ms": distribution_ms([age for _, age in iterator_ages(model, name)])}
            if model.owners
            else {}
        ),
        "deliveries": dict(deliveries),
        "cost_usd": cost_usd,
    }


def utilisation(model: Model, name: str) -> float | None:
    """Return which share of a function's provisioned environments was busy, over time."""
    stretches = [
        stretch
        for pool in model.provisioned.of_function(name)
        for stretch in pool.over_time(*span(model))
    ]
    ready = sum(length * ready for length, _, ready in stretches)
    busy = sum(length * busy for length, busy, _ in stretches)
    return float(Fraction(busy, ready)) if ready else None


def functions(
    model: Model, costs: dict[str | None, dict[str, float]], marks: Marks
) -> list[dict[str, Any]]:
    """Return a row for every function of the trace."""
    # rule: Z9 (by the bare name)
    names = sorted({request.row.name for request in model.requests})
    # Whoever is charged for provisioned concurrency has a line, rows or not.
    charged = [name for name, cost in costs.items() if name is not None and cost["total"] > 0]
    names = sorted({*names, *charged})
    for name in names:
        if len({one.row.pool for one in model.requests if one.row.name == name}) > 1:
            marks.hit("Z9.qualifier")
    return [
        {
            "function": name,
            **totals(model, name, costs[name], marks),
            "utilisation": utilisation(model, name),
        }
        for name in names
    ]
