"""Synthetic traces with the shape of published ones.

Popularity, triggers, durations, memory, dispersion and daily rhythm follow what is known of Azure
Functions in 2019; init times follow lambda-perf. docs/traces.md gives every parameter with its
source, and a test computes the published shape again from what is generated.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay import _core
from lambda_replay.exceptions import TraceError, show
from lambda_replay.ingest.formats import ASSUMED_KEY, MEASURED_KEY
from lambda_replay.ingest.written import Written, write_trace
from lambda_replay.readers.base import Family, IngestReport, ReadOptions, Stamp
from lambda_replay.readers.counts import Block, Functions, expand_counts, log_normal_law
from lambda_replay.worker import call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PROFILES", "Plan", "generate", "plan", "write"]

_MINUTE_US: Final = 60_000_000
_MINUTES: Final = 1_440
#: Buckets drawn at a time.
_BUCKETS: Final = 60
#: A Monday.
_START: Final = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)

#: Calls per day by the share of functions that have more: 17,577 applications of Azure 2019 with a
#: call on the day, 910,042,048 calls, from github.com/ubc-cirrus-lab/femux. Log-normal with μ 5.09
#: and σ 3.16 in its middle, steeper at both ends; a power of 1.11 over the first 100.
_POPULARITY: Final = (
    (1.0, 1.0), (0.95, 1.0), (0.9, 2.0), (0.75, 15.0), (0.5, 288.0), (0.25, 1_415.0),
    (0.1, 8_573.0), (0.05, 35_948.0), (0.01, 493_984.0), (100 / 17_577, 768_000.0),
    (1 / 17_577, 127_471_700.0),
)  # fmt: skip
#: Timers of every 5 minutes and every minute among them: calls per day, share of functions.
_ATOMS: Final = {288: 0.055, 1_440: 0.023}

#: Trigger: shares of functions and of invocations (Shahrad et al., "Serverless in the Wild",
#: USENIX ATC 2020, figure 2), dispersion of minute counts, median and 90th percentile (500
#: functions of github.com/eth-easl/dirigent).
_TRIGGERS: Final = {
    "http": (0.550, 0.359, 1.0, 5.8),
    "queue": (0.152, 0.335, 1.0, 14.4),
    "event": (0.022, 0.247, 2.5, 11.4),
    "orchestration": (0.069, 0.023, 1.7, 34.8),
    "timer": (0.156, 0.020, 0.9, 1.0),
    "storage": (0.028, 0.007, 1.0, 5.8),
    "others": (0.022, 0.010, 1.0, 5.8),
}
_BURSTING: Final = ("queue", "event", "orchestration")
#: Average duration per function in s, ln: simulator dslab, from the same paper.
_DURATION: Final = NormalDist(-0.38, 2.36)
#: Within a function: median over functions of sqrt(2 ln(average / median)), dirigent's 500.
_SIGMA: Final = 0.85
_LONGEST_MS: Final = 900_000.0
#: Memory of an application: Burr XII, c, k, scale in MB (dslab, from the same paper, figure 8).
_MEMORY: Final = (11.652, 0.221, 107.083)
#: Init of a hello-world in ms, ln: mean and deviation by runtime (github.com/maxday/lambda-perf,
#: 2026-06-16); real code takes longer.
_INITS: Final = {
    "python3.13": (4.86, 0.37),
    "nodejs22": (5.31, 0.33),
    "java21": (5.67, 0.30),
    "go": (3.86, 0.34),
    "dotnet8": (5.83, 0.28),
}
_WEEKEND: Final = 0.92
_AMPLITUDE: Final = 0.3
#: Calls of timers per day: what a schedule can ask for, in whole minutes.
_PERIODS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1_440)

#: Triggers of each profile; their shares are kept in proportion.
PROFILES: Final = {
    "azure2019": tuple(_TRIGGERS),
    "web": ("http",),
    "queue": ("queue", "event"),
    "cron": ("timer",),
}


@dataclass(frozen=True)
class Plan:
    """What is generated, before anything is drawn bucket by bucket.

    Attributes
    ----------
    functions
        A row per function: ``name``, ``trigger``, ``per_day``, ``average_ms``, ``memory_mb``,
        ``init_ms``, and how its calls are spread.
    minutes
        Length.
    start
        First instant, UTC.
    """

    functions: pl.DataFrame
    minutes: int
    start: dt.datetime


def generate(
    seed: int = 0,
    invocations: int = 1_000_000,
    *,
    functions: int | None = None,
    days: float = 1.0,
    start: dt.datetime = _START,
    profile: str = "azure2019",
) -> pl.LazyFrame:
    """Generate a trace.

    Parameters
    ----------
    seed
        Of every draw; equal arguments give equal rows.
    invocations
        How many rows.
    functions
        How many functions; None: as many as have so many invocations in the published data.
    days
        How long the trace is, in days of 24 hours; whole minutes.
    start
        When it begins; naive is UTC.
    profile
        ``azure2019`` for the published mix, ``web`` for requests alone, ``queue`` for bursts,
        ``cron`` for timers.

    Returns
    -------
    LazyFrame
        ``timestamp``, ``function``, ``duration_ms``, ``init_ms``, ``memory_mb``, in order of time,
        made as it is read.

    Raises
    ------
    TraceError
        A number is out of its range.
    """
    made = plan(seed, invocations, functions=functions, days=days, start=start, profile=profile)
    known = made.functions
    source = Functions(
        names=known["name"],
        laws=known.select(log_normal_law(pl.col("average_ms"), _SIGMA)),
        timers=known["trigger"] == "timer",
        memory_mb=known["memory_mb"],
        init_ms=(known["init_ms"] * 1_000).round().cast(pl.Int64).cast(pl.Duration("us")),
    )
    report = IngestReport("generate", "generated", Family.COUNTS, Stamp.BUCKET)
    report.inferred["duration_ms"] = "log-normal around a function's own mean"
    begin = int(made.start.timestamp()) * 1_000_000
    days_from_monday = made.start.weekday() + (made.start.hour * 60 + made.start.minute) / _MINUTES
    generator = _core.CountGenerator(seed, known.rechunk(), _MINUTES, days_from_monday, _WEEKEND)
    missing = invocations - sum(_totals(generator, made.minutes))

    def blocks() -> Iterator[tuple[int, Block]]:
        owed = 0
        for first in range(0, made.minutes, _BUCKETS):
            count = min(_BUCKETS, made.minutes - first)
            counts = pl.DataFrame(generator.counts(first, count))
            columns = []
            for place, name in enumerate(counts.columns):
                at = first + place
                owed += missing * (at + 1) // made.minutes - missing * at // made.minutes
                column, owed = _settled(counts[name], owed)
                columns.append(column)
            yield 0, Block(begin + first * _MINUTE_US, _MINUTE_US, pl.DataFrame(columns))

    return expand_counts(source, blocks, report, ReadOptions(seed=seed))


def _totals(generator: _core.CountGenerator, minutes: int) -> Iterator[int]:
    for first in range(0, minutes, _BUCKETS):
        counts = pl.DataFrame(generator.counts(first, min(_BUCKETS, minutes - first)))
        yield int(sum(counts.select(pl.all().cast(pl.UInt64).sum()).row(0)))


def _settled(counts: pl.Series, owed: int) -> tuple[pl.Series, int]:
    """Add what a bucket owes, or take it away, from the most called functions on."""
    if owed == 0:
        return counts, 0
    if owed > 0:
        # In proportion to what is there, so that no function stands out.
        total = counts.cast(pl.UInt64).sum()
        if total:
            share = (counts.cast(pl.Float64) * (owed / total)).floor().cast(pl.UInt32)
            counts, owed = counts + share, owed - int(share.sum())
        place = int(counts.arg_max() or 0)
        return counts.scatter(place, counts[place] + owed), 0
    total = int(counts.cast(pl.UInt64).sum())
    take = min(-owed, total)
    share = (
        (counts.cast(pl.Float64) * (take / total)).floor().cast(pl.UInt32) if total else counts * 0
    )
    counts, left = counts - share, take - int(share.sum())
    while left:
        place = int(counts.arg_max() or 0)
        some = min(left, int(counts[place]))
        counts = counts.scatter(place, counts[place] - some)
        left -= some
    return counts, owed + take


def plan(
    seed: int = 0,
    invocations: int = 1_000_000,
    *,
    functions: int | None = None,
    days: float = 1.0,
    start: dt.datetime = _START,
    profile: str = "azure2019",
) -> Plan:
    """Say which functions :func:`generate` makes, and how often each is called on average."""
    _check(seed, invocations, functions, days, profile)
    minutes = max(1, round(days * _MINUTES))
    days = minutes / _MINUTES
    number = functions
    if number is None:
        # A short trace keeps some variety.
        number = max(_number(invocations / days, invocations), min(20, invocations // 50), 1)
    rates, atoms = _rates(number)
    scale = max(1e-9, (invocations / days - sum(atoms)) / max(1e-9, sum(rates)))
    if functions is not None and invocations / days < 2 * sum(atoms):
        # Few invocations for so many functions: timers must be slower, too.
        scale = invocations / days / (sum(rates) + sum(atoms))
        atoms = [rate * scale for rate in atoms]
    per_day = sorted((*atoms, *(rate * scale for rate in rates)), reverse=True)
    triggers = _triggers(per_day, set(atoms), PROFILES[profile])
    rows = [
        _function(seed, place, trigger, rate)
        for place, (trigger, rate) in enumerate(zip(triggers, per_day, strict=True))
    ]
    at = start.replace(tzinfo=dt.UTC) if start.tzinfo is None else start.astimezone(dt.UTC)
    schema = {
        "name": pl.String, "trigger": pl.String, "per_day": pl.Float64, "average_ms": pl.Float64,
        "memory_mb": pl.UInt32, "init_ms": pl.Float64, "key": pl.UInt64, "rate": pl.Float64,
        "pattern": pl.UInt8, "period": pl.UInt64, "calls": pl.UInt32, "dispersion": pl.Float64,
        "amplitude": pl.Float64, "phase": pl.Float64,
    }  # fmt: skip
    return Plan(pl.DataFrame(rows, schema=schema, orient="row"), minutes, at)


def _check(seed: int, invocations: int, functions: int | None, days: float, profile: str) -> None:
    for name, value, least, most in (
        ("seed", seed, 0, 2**64 - 1),
        ("invocations", invocations, 1, 10**12),
        ("functions", 1 if functions is None else functions, 1, 10**6),
        ("days", days, 1 / _MINUTES, 3_660),
    ):
        if isinstance(value, bool) or not isinstance(value, int | float) or not (
            least <= value <= most
        ):  # fmt: skip
            message = f"{name} is {show(value)}; it must be from {least:g} to {most:,}"
            raise TraceError(message, column=name, value=value, code="LR-T-OPTION")
    if profile not in PROFILES:
        message = f"profile is {show(profile)}; one of {', '.join(PROFILES)}"
        raise TraceError(message, column="profile", value=profile, code="LR-T-OPTION")


def _rates(number: int) -> tuple[list[float], list[float]]:
    """Give calls per day of so many functions: quantiles of the law, so that the shape is exact.

    Those nearest to a timer's become one.
    """
    rates = [_quantile((place + 0.5) / number) for place in range(number)]
    atoms: list[float] = []
    for atom, share in _ATOMS.items():
        near = sorted(rates, key=lambda rate: abs(math.log(rate / atom)))[: round(share * number)]
        for rate in near:
            rates.remove(rate)
        atoms += [float(atom)] * len(near)
    return rates, atoms


def _quantile(more: float) -> float:
    """Give the calls per day that this share of functions exceeds, log-log between points."""
    for (above, low), (below, high) in itertools.pairwise(_POPULARITY):
        if more >= below:
            span = math.log(above / below)
            within = math.log(above / more) / span
            return float(low * (high / low) ** within)
    return _POPULARITY[-1][1]


def _number(per_day: float, invocations: int) -> int:
    """Find how many functions have so many calls per day between them."""
    low, high = 1, max(1, min(1_000_000, invocations))
    while low < high:
        middle = (low + high) // 2
        total = sum(_quantile((place + 0.5) / middle) for place in range(middle))
        if total < per_day:
            low = middle + 1
        else:
            high = middle
    return low


def _triggers(per_day: list[float], atoms: set[float], names: tuple[str, ...]) -> list[str]:
    """Give each function, the most called first, the trigger that lacks most invocations.

    So both shares of each trigger are met: that of functions and that of invocations.
    """
    total = sum(per_day)
    weight = sum(_TRIGGERS[name][0] for name in names)
    calls = sum(_TRIGGERS[name][1] for name in names)
    left = {name: _TRIGGERS[name][0] / weight * len(per_day) for name in names}
    owed = {name: _TRIGGERS[name][1] / calls * total for name in names}
    chosen = []
    for rate in per_day:
        open_ = [name for name in names if left[name] > 0] or list(names)
        if rate in atoms and left.get("timer", 0) > 0:
            name = "timer"
        else:
            name = max(open_, key=lambda one: owed[one])
            if owed[name] < rate:
                # Nobody is owed as much: whoever has the most functions to come.
                name = max(open_, key=lambda one: left[one])
        chosen.append(name)
        left[name] -= 1
        owed[name] -= rate
    return chosen


def _function(seed: int, place: int, trigger: str, per_day: float) -> tuple[object, ...]:
    """Draw what one function is like, by its name and the seed alone."""
    name = f"{trigger}-{place:05d}"
    words = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=64).digest()
    key, *draws = (int.from_bytes(words[at : at + 8], "little") for at in range(0, len(words), 8))
    shares = [(draw + 0.5) / 2**64 for draw in draws]
    average = min(_LONGEST_MS, max(1.0, 1_000 * math.exp(_DURATION.inv_cdf(shares[0]))))
    c, k, scale = _MEMORY
    burr = scale * ((1 - shares[1]) ** (-1 / k) - 1) ** (1 / c)
    memory = min(10_240, 128 * max(1, math.ceil(burr / 128)))
    runtimes = list(_INITS.values())
    mu, sigma = runtimes[int(shares[2] * len(runtimes))]
    init = math.exp(NormalDist(mu, sigma).inv_cdf(shares[3]))
    rate = per_day / _MINUTES
    period, calls, pattern = 1, 0, 2 if trigger in _BURSTING else 1
    if trigger == "timer":
        pattern = 0
        if rate >= 1:
            calls = max(1, round(rate))
        else:
            calls, period = 1, min(_PERIODS, key=lambda one: abs(math.log(one * rate)))
    _, _, median, high = _TRIGGERS[trigger]
    dispersion = (
        1 + (median - 1) * shares[4] / 0.5
        if shares[4] <= 0.5
        else median * (high / median) ** ((shares[4] - 0.5) / 0.4)
    )
    amplitude = 0.0 if pattern == 0 or per_day < _MINUTES else _AMPLITUDE * shares[5]
    return (
        name, trigger, per_day, average, memory, init, key, rate, pattern, period, calls,
        max(1.0, dispersion), amplitude, shares[6] * 0.25 + 0.2,
    )  # fmt: skip


def write(
    path: Path,
    seed: int = 0,
    invocations: int = 1_000_000,
    *,
    functions: int | None = None,
    days: float = 1.0,
    start: dt.datetime = _START,
    profile: str = "azure2019",
) -> Written:
    """Write what :func:`generate` gives, as ``convert`` would."""
    frame = generate(
        seed, invocations, functions=functions, days=days, start=start, profile=profile
    )
    told = {
        "seed": seed,
        "invocations": invocations,
        "functions": functions,
        "days": days,
        "start": start.isoformat(),
        "profile": profile,
    }
    assumed = ["everything: the trace is synthetic", f"generated with {json.dumps(told)}"]

    def metadata(written: Written) -> dict[str, str]:
        del written
        return {MEASURED_KEY: "[]", ASSUMED_KEY: json.dumps(assumed)}

    return call(lambda cancel: write_trace(frame, path, metadata, cancel))
