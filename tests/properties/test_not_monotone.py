"""Plausible, but false: statements about limits, retries and locks, each with its counterexample.

Each test asserts that the statement fails (reliability.md §2.8), so that nobody takes one for a
bug, builds on it, or "repairs" it. Rows are (arrival, function, duration) in seconds. The ones of
the plain pool stand in ``test_metamorphic``.
"""

from collections.abc import Sequence
from typing import Any

from properties.everything import World, replayed
from properties.replays import S
from properties.test_metamorphic import fixed

#: Nothing but what a test names.
BARE = {
    "requests_per_second": "off",
    "scaling": "off",
    "idle": {"policy": "none"},
    "env": {"max_lifetime": "off"},
    "async": {"jitter_half": 0},
}
#: Tokens for new environments, at this capacity.
TOKENS = {"refill_per_s": 0.05, "rps_coupling": False}

Row = tuple[float, str, float]


def play(
    rows: Sequence[Row],
    functions: dict[str, Any] | None = None,
    columns: Sequence[dict[str, Any]] = (),
    sections: dict[str, Any] | None = None,
    **account: Any,
) -> World:
    """Replay rows under an account; ``columns`` adds to each row."""
    trace = [
        {
            "timestamp": round(at * S),
            "function": function,
            "duration_ms": duration * 1_000,
            **(columns[place] if columns else {}),
        }
        for place, (at, function, duration) in enumerate(rows)
    ]
    whole = {"account": {"concurrency": 1_000, **BARE, **account}, "functions": functions or {}}
    return replayed({**whole, **(sections or {})}, trace)


def ran(replay: World, function: str | None = None) -> list[float]:
    """Return the arrivals, in seconds, of rows that succeeded."""
    return [
        outcome["timestamp"] / S
        for outcome in replay.outcomes
        if outcome["outcome"] == "success" and function in (None, outcome["function"])
    ]


def reserved(function: str, units: int) -> dict[str, Any]:
    """Return ``[functions]`` with reserved units."""
    return {function: {"reserved_concurrency": units}}


def provisioned(function: str, units: int) -> dict[str, Any]:
    """Return ``[functions]`` with provisioned environments."""
    return {function: {"provisioned_concurrency": units}}


# ---- reserved and provisioned --------------------------------------------------------------


def test_false_that_reserving_units_for_one_takes_from_the_others() -> None:
    rows: list[Row] = [(0, "g", 2), (0, "g", 2), (1, "f", 1)]
    assert ran(play(rows, concurrency=2), "f") == []
    assert ran(play(rows, reserved("g", 1), concurrency=2), "f") == [1]


def test_false_that_reserving_units_for_a_function_helps_it() -> None:
    rows: list[Row] = [(0, "g", 1)] * 3
    assert len(ran(play(rows, concurrency=5))) == 3
    assert len(ran(play(rows, reserved("g", 2), concurrency=5))) == 2


def test_false_that_more_provisioned_environments_help_their_function() -> None:
    rows: list[Row] = [(3, "g", 3), (4, "f", 3), (5, "f", 2), (6, "f", 1)]
    assert ran(play(rows, provisioned("f", 1), concurrency=2), "f") == [4, 6]
    assert ran(play(rows, provisioned("f", 2), concurrency=2), "f") == [4, 5]


def test_false_that_a_provisioned_environment_with_a_unit_of_its_own_helps_its_function() -> None:
    rows: list[Row] = [(4, "f", 1), (4, "g", 3), (5, "g", 1), (5, "f", 2), (6, "f", 1)]
    assert 6 in ran(play(rows, concurrency=1), "f")
    assert 6 not in ran(play(rows, provisioned("f", 1), concurrency=2), "f")


# ---- scaling rate --------------------------------------------------------------------------


def test_false_that_with_tokens_a_higher_limit_keeps_every_accepted_request() -> None:
    rows: list[Row] = [(0, "f", 1), (0, "f", 1), (5, "f", 1)]
    tokens = {**fixed(3), "scaling": {**TOKENS, "capacity": 2}}
    assert ran(play(rows, concurrency=1, **tokens)) == [0, 5]
    assert ran(play(rows, concurrency=2, **tokens)) == [0, 0]


def test_false_that_a_faster_refill_never_adds_throttles() -> None:
    rows: list[Row] = [(1, "f", 7), (5, "f", 3), (6, "f", 1), (7, "f", 1)]
    counts = [
        play(rows, scaling={**TOKENS, "capacity": 1, "refill_per_s": refill}).summary["throttles"]
        for refill in (0.2, 0.32)
    ]
    assert counts == [1, 2]


def test_false_that_a_larger_scaling_capacity_keeps_every_accepted_request() -> None:
    # Found anew, as all below that name no other source: idle for exactly the time is expired.
    arrivals = [(0, 5), (3, 1), (9, 7), (12, 7), (14, 5)]
    rows: list[Row] = [(at, "f", duration) for at, duration in arrivals]
    small, large = (
        ran(play(rows, scaling={**TOKENS, "capacity": capacity, "refill_per_s": 0.2}, **fixed(2.5)))
        for capacity in (1, 2)
    )
    assert (small, large) == ([0, 9, 14], [0, 3, 9, 12])


def test_false_that_a_larger_scaling_capacity_never_adds_throttles() -> None:
    arrivals = [(1, 3), (2, 1), (7, 7), (11, 2), (12, 3), (15, 2), (15, 3), (16, 7), (17, 3)]
    arrivals += [(18, 1), (20, 3), (20, 7)]
    rows: list[Row] = [(at, "f", duration) for at, duration in arrivals]
    counts = [
        play(
            rows, scaling={**TOKENS, "capacity": capacity, "refill_per_s": 0.2}, **fixed(1.5)
        ).summary["throttles"]
        for capacity in (1, 2)
    ]
    assert counts == [3, 4]


def test_false_that_with_tokens_a_longer_idle_time_never_adds_throttles() -> None:
    rows: list[Row] = [(8, "f", 3), (15, "f", 7), (17, "f", 7), (20, "f", 1), (21, "f", 1)]
    tokens = {**TOKENS, "capacity": 1, "refill_per_s": 0.2}
    counts = [play(rows, scaling=tokens, **fixed(idle)).summary["throttles"] for idle in (2.5, 4.5)]
    assert counts == [1, 2]


def test_false_that_a_higher_request_rate_and_limit_keep_every_accepted_request() -> None:
    rows: list[Row] = [(2, "f", 3), (2.5, "f", 3), (3.5, "f", 2), (3.5, "f", 2), (4.5, "f", 0.5)]
    low, high = (play(rows, concurrency=3 + more, requests_per_second=1 + more) for more in (0, 1))
    assert (ran(low), ran(high)) == ([2, 3.5, 4.5], [2, 2.5, 3.5, 3.5])


# ---- environments --------------------------------------------------------------------------


def test_false_that_the_longest_idle_one_has_no_more_cold_starts_than_the_latest() -> None:
    arrivals = [(1, 2), (2, 2), (12, 3), (13, 3), (22, 2), (26, 2)]
    rows: list[Row] = [(at, "f", duration) for at, duration in arrivals]
    counts = [
        play(
            rows, sections={"defaults": {"init_ms": 5_000}}, reuse_policy=policy, **fixed(4.5)
        ).summary["cold_starts"]
        for policy in ("mru", "lru")
    ]
    assert counts[1] > counts[0]


def test_false_that_with_cold_starts_a_higher_limit_never_adds_throttles() -> None:
    arrivals = [(0, 1), (4, 3), (12, 1), (18, 1), (19, 1), (20, 1), (22, 3)]
    rows: list[Row] = [(at, "f", duration) for at, duration in arrivals]
    counts = [
        play(
            rows, sections={"defaults": {"init_ms": 5_000}}, concurrency=limit, **fixed(4.5)
        ).summary["throttles"]
        for limit in (1, 2)
    ]
    assert counts == [1, 2]


# ---- retries -------------------------------------------------------------------------------


def test_false_that_retries_of_clients_add_successes() -> None:
    rows: list[Row] = [(0, "f", 1), (0, "f", 7), (5, "f", 1), (6, "f", 1)]
    retry = {"max_attempts": 2, "base_s": 4, "cap_s": 4, "factor": 1}
    assert len(ran(play(rows, concurrency=1))) == 3
    assert len(ran(play(rows, {"f": {"client_retry": retry}}, concurrency=1))) == 2


def test_false_that_with_retries_of_clients_a_higher_limit_keeps_every_success() -> None:
    arrivals = [(0, 2), (0, 3), (1, 9), (4, 7), (6, 9)]
    rows: list[Row] = [(at, "f", duration) for at, duration in arrivals]
    retry = {"max_attempts": 2, "base_s": 2, "cap_s": 2, "factor": 1}
    low, high = (play(rows, {"f": {"client_retry": retry}}, concurrency=limit) for limit in (1, 2))
    assert (ran(low), ran(high)) == ([0, 0, 6], [0, 0, 1, 4])


def test_false_that_with_retries_of_clients_a_higher_limit_adds_successes() -> None:
    arrivals = [(0, 9), (1, 3), (2, 3), (3, 1), (5, 3), (5, 5)]
    rows: list[Row] = [(at, "f", duration) for at, duration in arrivals]
    retry = {"max_attempts": 3, "base_s": 2, "cap_s": 2, "factor": 1}
    counts = [
        len(ran(play(rows, {"f": {"client_retry": retry}}, concurrency=limit))) for limit in (2, 3)
    ]
    assert counts == [6, 5]


def test_false_that_a_higher_limit_loses_fewer_events() -> None:
    # The two events that were late before are now served before the requests, which are refused.
    arrivals = [(1, 5), (1, 10), (13, 80), (17, 30), (18, 5), (23, 1)]
    rows: list[Row] = [(at, "f", duration) for at, duration in arrivals]
    columns = [{"source": "sync" if at in (13, 18, 23) else "async"} for at, _ in arrivals]
    aged = {"f": {"maximum_event_age_s": 60}}
    counts = [len(ran(play(rows, aged, columns, concurrency=limit))) for limit in (1, 2)]
    assert counts == [5, 4]


def test_false_that_a_longer_age_of_events_loses_fewer() -> None:
    # The second event waits long enough to run, and takes the unit from two others.
    rows: list[Row] = [(2, "f", 80), (29, "f", 80), (62, "f", 1), (64, "f", 10)]
    columns = [{"source": "async"}] * 4
    counts = [
        len(ran(play(rows, {"f": {"maximum_event_age_s": age}}, columns, concurrency=1)))
        for age in (60, 90)
    ]
    assert counts == [3, 2]


def test_false_that_more_retries_of_events_add_successes() -> None:
    rows: list[Row] = [(0, "f", 7), (68, "f", 1), (70, "f", 1)]
    columns: list[dict[str, Any]] = [
        {"source": "async", "error": "handled", "error_runs": 1},
        {"source": "sync"},
        {"source": "sync"},
    ]
    counts = [
        len(ran(play(rows, {"f": {"maximum_retry_attempts": tries}}, columns, concurrency=1)))
        for tries in (0, 1)
    ]
    assert counts == [2, 1]


# ---- shared records ------------------------------------------------------------------------


def test_false_that_without_a_lock_nobody_is_refused_who_was_not() -> None:
    locked = [(0, 2, "k"), (0, 3, "k"), (3, 5, None), (3, 5, "k"), (5, 1, "k"), (7, 1, None)]
    rows: list[Row] = [(at, "f", duration) for at, duration, _ in locked]
    columns = [{"state_key": key} for _, _, key in locked]
    with_locks, without = play(rows, None, columns, concurrency=2), play(rows, concurrency=2)
    assert (len(ran(with_locks)), len(ran(without))) == (5, 4)
