"""Two replays compared: what may be changed without changing the rest (reliability.md §2.5, §2.7).

At the end stand statements that sound right and are wrong (§2.8): each test asserts a
counterexample, so that nobody takes one for a bug, builds on it, or "repairs" it.
"""

from typing import Any

import polars as pl
from hypothesis import assume, given
from hypothesis import strategies as st

import lambda_replay as lr
from differential.strategies import Case, Column, cases
from properties.replays import (
    MINUTE,
    Outcome,
    Replayed,
    drawn,
    fate,
    fates,
    limit_of,
    ran,
    replayed,
    seconds_trace,
    with_account,
    with_identity,
    without_init,
)

UNLIMITED = 10_000


def accepted(outcomes: list[Outcome]) -> set[int]:
    """Return the rows that ran."""
    return {outcome["row"] for outcome in ran(outcomes)}


def cold(outcomes: list[Outcome]) -> set[int]:
    """Return the rows that ran and started cold."""
    return {outcome["row"] for outcome in outcomes if outcome["cold"]}


def fixed(seconds: float) -> dict[str, Any]:
    """Return ``[account]`` with a fixed idle time and no lifetime."""
    return {
        "idle": {"policy": "fixed", "seconds": seconds},
        "env": {"max_lifetime": "off"},
    }


# ---- what holds for the whole model --------------------------------------------------------


@drawn(30)
@given(case=cases())
def test_g1_refused_requests_leave_no_trace(case: Case) -> None:
    case = with_identity(case)
    outcomes = replayed(case).outcomes
    kept = sorted(accepted(outcomes))
    assume(len(kept) < case.height)
    again = replayed(case.take(kept))
    assert again.summary["throttles"] == 0
    assert [fate(one) for one in again.outcomes] == [fate(outcomes[row]) for row in kept]


@drawn(30)
@given(case=cases())
def test_g2_replaying_what_was_accepted_accepts_it_once_more(case: Case) -> None:
    case = with_identity(case)
    once = case.take(sorted(accepted(replayed(case).outcomes)))
    twice = once.take(sorted(accepted(replayed(once).outcomes)))
    assert twice == once


@drawn(30)
@given(case=cases(), more=st.sampled_from([1, 2, 1_000]))
def test_g3_two_limits_agree_up_to_where_the_tighter_one_binds(case: Case, more: int) -> None:
    tight = replayed(case).arrivals
    wide = replayed(case, concurrency=limit_of(case) + more).arrivals
    for one, other in zip(tight, wide, strict=True):
        if one["outcome"] == "throttled":
            break
        assert fate(one) == fate(other)


@drawn(30)
@given(case=cases())
def test_g4_no_throttles_from_the_peak_of_the_unlimited_run_on_and_some_below(case: Case) -> None:
    unlimited = replayed(case, concurrency=UNLIMITED)
    peak = unlimited.summary["max_concurrency"]
    at_peak = replayed(case, concurrency=peak)
    assert at_peak.summary["throttles"] == 0
    assert at_peak.outcomes == unlimited.outcomes
    if peak > 1:
        assert replayed(case, concurrency=peak - 1).summary["throttles"] > 0


@drawn(20)
@given(case=cases(large=False))
def test_g5_without_a_binding_limit_functions_do_not_meet(case: Case) -> None:
    case = with_identity(case)
    together = replayed(case, concurrency=UNLIMITED).outcomes
    names = case.columns["function"].values
    for name in set(names):
        own = [row for row, other in enumerate(names) if other == name]
        # A literal section of a name without a row would be a contradiction.
        alone = replayed(Case(sections_for(case, name), case.take(own).columns)).outcomes
        by_arrival = sorted(own, key=lambda row: (together[row]["timestamp"], row))
        order = {row: place for place, row in enumerate(own)}
        assert fates(alone[order[row]] for row in by_arrival) == fates(
            together[row] for row in by_arrival
        )


def sections_for(case: Case, name: str) -> dict[str, Any]:
    """Return a case's scenario without a limit, for one function."""
    sections = with_account(case.sections, concurrency=UNLIMITED)
    bare = name.partition(":")[0]
    if "functions" in sections:
        sections["functions"] = {
            key: section
            for key, section in sections["functions"].items()
            if key == bare or any(character in key for character in "*?")
        }
    return sections


@drawn(30)
@given(case=cases(), other=cases(large=False))
def test_g6_without_init_nobody_is_accepted_for_the_sake_of_an_environment(
    case: Case, other: Case
) -> None:
    case = without_init(case)
    account = other.sections.get("account", {})
    swapped = {name: account[name] for name in ("idle", "env") if name in account}
    first, second = replayed(case), replayed(case, **swapped)
    assert accepted(first.outcomes) == accepted(second.outcomes)


@drawn(30)
@given(case=cases(), minutes=st.integers(-10_000, 10_000))
def test_g8_a_shift_by_whole_minutes_shifts_everything(case: Case, minutes: int) -> None:
    shift = minutes * MINUTE
    column = case.columns["timestamp"]
    per_us = {"ms": (1, 1_000), "us": (1, 1), "ns": (1_000, 1)}
    times, parts = per_us[getattr(column.dtype, "time_unit", "us")]
    moved = Column([value + shift * times // parts for value in column.values], column.dtype)
    later = replayed(Case(case.sections, {**case.columns, "timestamp": moved}))
    first = replayed(case)

    def shifted(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
        instants = ("timestamp", "start", "end", "settled")
        return [
            {
                name: value + shift if name in instants and value is not None else value
                for name, value in row.items()
            }
            for row in table
        ]

    assert shifted(first.outcomes) == later.outcomes
    assert shifted(first.metrics) == later.metrics
    assert numbers(first, shift) == numbers(later, 0)


def test_z45_a_run_that_ends_with_a_minute_is_not_in_the_next() -> None:
    # Where the instant is a multiple of 64 µs the end was once found after the minute had opened.
    for shift in (0, -321):
        begin = 1_772_438_460_000_000 + shift * 60_000_000
        trace = pl.DataFrame({"timestamp": [begin], "function": "f", "duration_ms": 600_000.0})
        metrics = lr.replay(trace, lr.Scenario()).metrics
        assert metrics is not None
        assert metrics.filter(pl.col("function").is_null()).height == 10


def numbers(replay: Replayed, shift: int) -> dict[str, Any]:
    """Return the numbers of a summary, its instants shifted."""
    summary = replay.summary
    del summary["trace"]
    if summary["worst_10s"] is not None:
        summary["worst_10s"] = {
            **summary["worst_10s"],
            "from": summary["worst_10s"]["from"] + shift,
        }
    return summary


@drawn(30)
@given(case=cases())
def test_g10_names_do_not_matter(case: Case) -> None:
    assume("functions" not in case.sections)
    new = {"f": "zz", "g": "a", "img-a": "m", "img-b": "b"}

    def renamed(name: str) -> str:
        bare, colon, qualifier = name.partition(":")
        return new[bare] + colon + qualifier

    names = [renamed(name) for name in case.columns["function"].values]
    other = Case(case.sections, {**case.columns, "function": Column(names, pl.String())})
    first, second = replayed(case), replayed(other)
    assert [{**one, "function": renamed(one["function"])} for one in first.outcomes] == (
        second.outcomes
    )
    assert first.summary == second.summary


# ---- what a higher limit or a longer time is sure to do ------------------------------------


@drawn(30)
@given(case=cases(), more=st.integers(1, 3))
def test_t1_without_init_a_higher_limit_accepts_whatever_the_lower_one_did(
    case: Case, more: int
) -> None:
    case = without_init(case)
    tight = replayed(case)
    wide = replayed(case, concurrency=limit_of(case) + more)
    assert accepted(tight.outcomes) <= accepted(wide.outcomes)


@drawn(30)
@given(case=cases(), seconds=st.tuples(st.integers(1, 60), st.integers(1, 60)))
def test_t3_t5_without_init_a_longer_fixed_time_only_removes_cold_starts(
    case: Case, seconds: tuple[int, int]
) -> None:
    case = without_init(case)
    short, long = (replayed(case, **fixed(one)) for one in sorted(seconds))
    # T5: at a finite limit too, since nobody is accepted or refused for it (G6).
    assert accepted(short.outcomes) == accepted(long.outcomes)
    assert cold(long.outcomes) <= cold(short.outcomes)


@drawn(30)
@given(case=cases(), limit=st.integers(2, 5), seconds=st.integers(1, 60))
def test_t10_without_init_any_limit_above_one_has_no_fewer_cold_starts_than_one(
    case: Case, limit: int, seconds: int
) -> None:
    case = without_init(case)
    one = replayed(case, concurrency=1, **fixed(seconds))
    more = replayed(case, concurrency=limit, **fixed(seconds))
    assert one.summary["cold_starts"] <= more.summary["cold_starts"]


@drawn(30)
@given(case=cases(), limit=st.integers(1, 5))
def test_t12_the_peak_is_the_smaller_of_the_limit_and_the_unlimited_peak(
    case: Case, limit: int
) -> None:
    peak = replayed(case, concurrency=limit).summary["max_concurrency"]
    unlimited = replayed(case, concurrency=UNLIMITED).summary["max_concurrency"]
    # By G3 both runs agree until the limit is reached.
    assert peak == min(limit, unlimited)


# ---- plausible, but false ------------------------------------------------------------------


def summary(rows: list[tuple[float, float]], *, init_s: float = 0, **account: Any) -> lr.Summary:
    """Return the summary of a trace of (arrival, duration) in seconds."""
    scenario = lr.Scenario(account=account, defaults={"init_ms": init_s * 1_000})
    return lr.replay(seconds_trace(rows), scenario).summary


def test_false_that_a_shorter_request_never_adds_throttles() -> None:
    longer = summary([(2, 3), (4, 3), (5, 1), (6, 1)], concurrency=1)
    shorter = summary([(2, 2), (4, 3), (5, 1), (6, 1)], concurrency=1)
    assert (longer.throttles, shorter.throttles) == (1, 2)


def test_false_that_deleting_a_request_never_adds_throttles() -> None:
    whole = summary([(4, 1), (4, 3), (5, 1), (6, 1)], concurrency=1)
    less = summary([(4, 3), (5, 1), (6, 1)], concurrency=1)
    assert (whole.throttles, less.throttles) == (1, 2)


def test_false_that_the_accepted_count_is_concave_in_the_limit() -> None:
    rows: list[tuple[float, float]] = [(0, 2), (0, 1), (1, 1), (2, 1), (2, 1)]
    counts = [summary(rows, concurrency=limit).invocations for limit in (1, 2, 3)]
    # The limit 0 accepts none: gains of 2, 3, 0.
    assert counts == [2, 5, 5]


def test_false_that_a_longer_idle_time_never_adds_cold_starts() -> None:
    # Half a second more than in reliability.md: exactly the idle time is expired (Q31).
    rows: list[tuple[float, float]] = [(4, 1), (14, 1), (21, 1), (22, 1)]
    counts = [summary(rows, init_s=6, **fixed(time)).cold_starts for time in (2, 3.5)]
    assert counts == [2, 3]


def test_false_that_a_longer_halving_period_never_adds_cold_starts() -> None:
    # Found anew under Z4: the clock of a pool starts when its first environment becomes idle.
    rows: list[tuple[float, float]] = [(2, 5), (3, 6), (4, 2), (9, 2), (16, 6)]
    counts = [
        summary(
            rows, idle={"policy": "halving", "seconds": period}, env={"max_lifetime": "off"}
        ).cold_starts
        for period in (4, 5)
    ]
    assert counts == [3, 4]


def test_false_that_a_ping_less_never_adds_cold_starts() -> None:
    with_ping = summary([(0, 1), (1, 1), (14, 1)], **fixed(12.5))
    without_ping = summary([(0, 1), (14, 1)], **fixed(12.5))
    assert (with_ping.cold_starts, without_ping.cold_starts) == (1, 2)


def test_false_that_a_longer_init_never_spares_a_cold_start() -> None:
    # The longer init ends later, so that the environment is still warm for the next request.
    rows: list[tuple[float, float]] = [(3, 2), (13, 1)]
    counts = [summary(rows, init_s=init, **fixed(5.5)).cold_starts for init in (2, 3)]
    assert counts == [2, 1]


def test_false_that_with_cold_starts_a_higher_limit_keeps_every_accepted_request() -> None:
    rows: list[tuple[float, float]] = [(0, 1), (1, 1), (9, 1), (14, 1), (14, 1), (15, 1)]
    last = []
    for limit in (1, 2):
        scenario = lr.Scenario(
            account={"concurrency": limit, **fixed(3.5)}, defaults={"init_ms": 4_000}
        )
        outcomes = lr.replay(seconds_trace(rows), scenario, outcomes=True).outcomes
        assert outcomes is not None
        last.append(outcomes["outcome"].to_list())
    lost = [
        row
        for row, (tight, wide) in enumerate(zip(*last, strict=True))
        if tight == "success" and wide == "throttled"
    ]
    assert lost == [5]


def test_false_that_the_order_of_simultaneous_rows_never_matters() -> None:
    first = summary([(1, 1), (1, 2), (2, 1)], concurrency=1)
    second = summary([(1, 2), (1, 1), (2, 1)], concurrency=1)
    assert (first.throttles, second.throttles) == (1, 2)
