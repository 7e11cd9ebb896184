"""The reference against examples worked by hand: the shortest traces that show a rule.

Rows are (timestamp, function, duration) or (timestamp, function, duration, init), all in
microseconds; a comment gives the arithmetic where it is not plain.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reference import RULES, Result, missing, replay
from reference.marks import Marks
from reference.measures import distribution_ms
from reference.philox import between, identity_of_request, philox, purpose_key
from reference.settings import resolve
from reference.units import seconds_to_us

MS = 1_000
S = 1_000_000
MINUTE = 60 * S

FOREVER = {"idle": {"policy": "none"}, "env": {"max_lifetime": "off"}}


def rows_of(*rows: tuple[Any, ...], **columns: Sequence[Any]) -> list[dict[str, Any]]:
    """Return trace rows; columns add further values, one for each row."""
    trace = []
    for index, (timestamp, function, duration, *init) in enumerate(rows):
        row = {
            "timestamp": timestamp,
            "function": function,
            "duration_ms": Fraction(duration, 1000),
        }
        if init:
            row["init_ms"] = None if init[0] is None else Fraction(init[0], 1000)
        row.update({name: values[index] for name, values in columns.items()})
        trace.append(row)
    return trace


def run(*rows: tuple[Any, ...], sections: Any = None, **account: Any) -> Result:
    """Replay rows under an account; environments last for ever unless it says otherwise."""
    return replay({"account": {**FOREVER, **account}, **(sections or {})}, rows_of(*rows))


def fixed(seconds: float) -> dict[str, Any]:
    """Return a fixed idle time."""
    return {"policy": "fixed", "seconds": seconds}


def halving(seconds: float) -> dict[str, Any]:
    """Return halving with a period."""
    return {"policy": "halving", "seconds": seconds}


def column(result: Result, name: str) -> list[Any]:
    """Return one column of the outcomes."""
    return [outcome[name] for outcome in result.outcomes]


def removals(result: Result) -> list[tuple[int | None, str | None]]:
    """Return when and why each environment went."""
    return [(environment.removed, environment.cause) for environment in result.environments]


def minutes(result: Result, function: str | None, name: str) -> dict[int, Any]:
    """Return one metric of a function by minute number."""
    return {
        row["timestamp"] // MINUTE: row[name]
        for row in result.metrics
        if row["function"] == function
    }


# ---- random draws --------------------------------------------------------------------------


def test_q34_philox_gives_the_published_vector() -> None:
    assert philox((1, 0, 0, 0), (42, 7))[:2] == (0xA64064F34E84B9A3, 0xE287959A866A08FD)


def test_q34_philox_gives_the_vectors_of_random123() -> None:
    ones = (1 << 64) - 1
    # kat_vectors of Random123, philox4x64 10 rounds: all zero, all ones, digits of pi.
    assert philox((0, 0, 0, 0), (0, 0)) == (
        0x16554D9ECA36314C,
        0xDB20FE9D672D0FDC,
        0xD7E772CEE186176B,
        0x7E68B68AEC7BA23B,
    )
    assert philox((ones,) * 4, (ones,) * 2) == (
        0x87B092C3013FE90B,
        0x438C3C67BE8D0224,
        0x9CC7D7C69CD777B6,
        0xA09CAEBF594F0BA0,
    )


def test_q34_philox_equals_numpy() -> None:
    words = np.random.default_rng(20261123).integers(1, 2**64, size=(300, 6), dtype=np.uint64)
    for block in words:
        c0, c1, c2, c3, k0, k1 = block.tolist()
        # NumPy counts up before it makes a block.
        generator = np.random.Philox(
            counter=np.array([c0 - 1, c1, c2, c3], dtype=np.uint64), key=block[4:]
        )
        assert philox((c0, c1, c2, c3), (k0, k1)) == tuple(generator.random_raw(4).tolist())


def test_q34_purposes_are_padded_little_endian() -> None:
    assert purpose_key("idle") == 0x65_6C_64_69
    assert purpose_key("lifetime") == 0x65_6D_69_74_65_66_69_6C


def test_q34_identity_of_a_request_is_its_blake2b() -> None:
    # b2sum -l 128: "a" -> 27c35e6e9373877f29e562464e46497e
    assert identity_of_request("a") == (0x7F8773936E5EC327, 0x7E49464E4662E529)


def test_q34_draws_include_both_bounds_and_nothing_else() -> None:
    drawn = {
        between(10, 12, seed=0, purpose="idle", identity=(position, 0)) for position in range(100)
    }
    assert drawn == {10, 11, 12}


def test_q34_a_draw_is_the_high_half_of_word_times_width() -> None:
    word = philox((5, 0, 1, 0), (3, purpose_key("idle")))[0]
    drawn = between(100, 1_099, seed=3, purpose="idle", identity=(5, 0))
    assert drawn == 100 + word * 1_000 // 2**64


def test_q34_identity_is_request_id_else_row_uid_else_position() -> None:
    account = {"idle": {"policy": "none"}, "env": {"max_lifetime": [1, 1_000]}}
    trace = rows_of(
        (0, "f", 1), (1, "g", 1), (2, "h", 1), request_id=["a", None, None], row_uid=[7, 8, 9]
    )
    without_uid = [{key: value for key, value in row.items() if key != "row_uid"} for row in trace]

    def lifetimes(rows: list[dict[str, Any]]) -> list[int | None]:
        created = replay({"account": account, "replay": {"seed": 5}}, rows).environments
        return [one.retires - one.created for one in created if one.retires is not None]

    def drawn(identity: tuple[int, int]) -> int:
        return between(S, 1_000 * S, seed=5, purpose="lifetime", identity=identity)

    by_request = drawn(identity_of_request("a"))
    assert lifetimes(trace) == [by_request, drawn((8, 0)), drawn((9, 0))]
    assert lifetimes(without_uid) == [by_request, drawn((1, 0)), drawn((2, 0))]


# ---- order ---------------------------------------------------------------------------------


def test_z1_end_comes_before_arrival() -> None:
    result = run((0, "f", 5), (5, "f", 1), concurrency=1)
    assert column(result, "outcome") == ["success", "success"]
    assert column(result, "environment") == [0, 0]


def test_z1_arrival_one_microsecond_before_an_end_is_refused() -> None:
    result = run((0, "f", 5), (4, "f", 1), concurrency=1)
    assert column(result, "outcome") == ["success", "throttled"]


def test_z1_run_of_no_length_ends_before_the_next_arrival_of_its_instant() -> None:
    result = run((0, "f", 0), (0, "f", 0), (0, "f", 1), (0, "f", 0), concurrency=1)
    assert column(result, "outcome") == ["success"] * 3 + ["throttled"]
    assert column(result, "environment") == [0, 0, 0, None]
    assert result.summary["max_concurrency"] == 1


def test_z1_timer_comes_before_arrival() -> None:
    result = run((0, "f", 1), (1 + S, "f", 1), idle=fixed(1))
    assert column(result, "cold") == [True, True]


def test_z1_end_comes_before_timer() -> None:
    # Idle since 1 and 11 s: the tick at 11 s finds two and evicts the older; without the end it
    # would have found one and evicted that, too, but then the second would still be there at 20 s.
    result = run(
        (0, "f", S), (0, "f", 11 * S), (12 * S, "f", S), (12 * S, "f", S), idle=halving(10)
    )
    assert column(result, "environment") == [0, 1, 1, 2]
    assert removals(result)[0] == (11 * S, "halving")


def test_z1_ends_of_one_instant_go_by_arrival() -> None:
    # Both end at 10; the later arrival is released last, so it is the most recent.
    result = run((0, "f", 10), (1, "f", 9), (20, "f", 1), (20, "f", 1))
    assert column(result, "environment") == [0, 1, 1, 0]


def test_z2_ties_go_by_position_and_row_is_the_position_as_given() -> None:
    result = run((5, "f", 9), (3, "f", 1), (3, "f", 2), concurrency=1)
    assert column(result, "row") == [0, 1, 2]
    # Arrivals: row 1 at 3, row 2 at 3 (refused), row 0 at 5.
    assert column(result, "outcome") == ["success", "success", "throttled"]
    assert column(result, "start") == [5, 3, None]


def test_z2_ties_are_those_of_floored_timestamps() -> None:
    trace = rows_of((Fraction(1900, 1000), "f", 5), (Fraction(1100, 1000), "f", 5))
    result = replay({"account": {"concurrency": 1}}, trace)
    assert column(result, "outcome") == ["success", "throttled"]
    assert column(result, "timestamp") == [1, 1]


@pytest.mark.parametrize(
    ("duration_ms", "microseconds"),
    [
        (1, 1_000),
        (0.0004, 0),
        (0.0005, 1),
        (0.0015, 2),
        (1.0005, 1_001),
        # 8.1235 * 1000.0 is 8123.500000000001 in doubles, 4.0825 * 1000.0 is 4082.4999999999995.
        (8.1235, 8_124),
        (4.0825, 4_082),
        (Fraction(40_825, 10_000), 4_083),
        (Fraction(1_499, 1_000_000), 1),
        (Fraction(1_500, 1_000_000), 2),
        (timedelta(microseconds=7), 7),
    ],
)
def test_z3_durations_go_to_the_nearest_microsecond_halves_up(
    duration_ms: Any, microseconds: int
) -> None:
    row = {"timestamp": 0, "function": "f", "duration_ms": duration_ms}
    assert column(replay({}, [row]), "end") == [microseconds]


@pytest.mark.parametrize(
    ("timestamp", "microseconds"),
    [
        (Fraction(1_999, 1_000), 1),
        (Fraction(-1, 1_000), -1),
        (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC).replace(tzinfo=None), S),
        (datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=UTC), S + 1),
    ],
)
def test_z3_timestamps_are_floored(timestamp: Any, microseconds: int) -> None:
    row = {"timestamp": timestamp, "function": "f", "duration_ms": 1}
    assert column(replay({}, [row]), "timestamp") == [microseconds]


# ---- limit ---------------------------------------------------------------------------------


def test_f1_1_the_limit_is_shared_by_all_functions() -> None:
    result = run((0, "f", 9), (1, "g", 9), (2, "h", 9), concurrency=2)
    assert column(result, "outcome") == ["success", "success", "throttled"]


def test_f1_1_the_limit_is_a_thousand_by_default() -> None:
    assert resolve({}, Marks()).concurrency == 1_000


def test_f1_3_a_cold_start_holds_its_unit_for_init_and_handler() -> None:
    result = run((0, "f", 5, 10), (14, "f", 1, 0), (15, "f", 1, 0), concurrency=1)
    assert column(result, "end") == [15, None, 16]


def test_f1_6_a_refusal_says_which_limit() -> None:
    outcome = run((0, "f", 9), (1, "f", 1), concurrency=1).outcomes[1]
    assert outcome == {
        "row": 1,
        "timestamp": 1,
        "function": "f",
        "source": "sync",
        "outcome": "throttled",
        "reason": "ConcurrentInvocationLimitExceeded",
        "limit": "account_concurrency",
        "attempts": 1,
        "throttles": 1,
        "errors": 0,
        "start": None,
        "end": None,
        "settled": 1,
        "wait_ms": None,
        "lock_wait_ms": None,
        "conflicts": 0,
        "init_ms": None,
        "cold": None,
        "provisioned": None,
        "spillover_reason": None,
        "environment": None,
        "batch": None,
        "billed_ms": None,
    }


def test_f1_6_a_refusal_touches_no_environment() -> None:
    # While g runs, f's environment idles on; the refused request at 5 s must not have used it.
    result = run(
        (0, "f", S), (2 * S, "g", 6 * S), (5 * S, "f", S), (11 * S, "f", S),
        concurrency=1, idle=fixed(10),
    )  # fmt: skip
    assert column(result, "outcome") == ["success", "success", "throttled", "success"]
    assert column(result, "cold") == [True, True, None, True]
    assert removals(result)[0] == (11 * S, "idle")


def test_interface_5_a_run_has_all_its_columns() -> None:
    trace = rows_of((7, "f:live", 1_500, 250), request_id=["r"])
    assert replay({"account": FOREVER}, trace).outcomes == [
        {
            "row": 0,
            "timestamp": 7,
            "function": "f:live",
            "source": "sync",
            "outcome": "success",
            "reason": None,
            "limit": None,
            "attempts": 1,
            "throttles": 0,
            "errors": 0,
            "start": 7,
            "end": 1_757,
            "settled": 1_757,
            "wait_ms": 0.0,
            "lock_wait_ms": 0.0,
            "conflicts": 0,
            "init_ms": 0.25,
            "cold": True,
            "provisioned": False,
            "spillover_reason": None,
            "environment": 0,
            "batch": 0,
            "billed_ms": 2,
            "request_id": "r",
        }
    ]


# ---- environments --------------------------------------------------------------------------


def test_f3_2_pools_are_those_of_the_function_as_given() -> None:
    # rule: Z9 (a qualifier has a pool of its own; the functions table goes by the bare name)
    result = run((0, "f", 1), (10, "f:live", 1), (20, "f:2", 1), (30, "f:live", 1), (40, "g", 1))
    assert column(result, "environment") == [0, 1, 2, 1, 3]
    assert [(row["function"], row["records"]) for row in result.functions] == [("f", 4), ("g", 1)]
    assert minutes(result, "f", "Invocations") == {0: 4}
    assert minutes(result, "f", "environments") == {0: 3}


def test_f3_2_init_is_the_rows_else_the_functions_and_paid_once() -> None:
    sections = {"functions": {"f": {"init_ms": 2}}}
    result = run(
        (0, "f", 10, None), (1, "f", 10, 3_000), (9_000, "f", 10, 4_000), sections=sections
    )
    assert column(result, "init_ms") == [2.0, 3.0, 0.0]
    assert column(result, "end") == [2_010, 3_011, 9_010]


def test_f3_1_an_init_of_exactly_ten_seconds_is_in_time() -> None:
    assert column(run((0, "f", 1, 10 * S)), "end") == [10 * S + 1]


def test_f3_2_a_row_with_init_zero_has_no_init() -> None:
    result = run((0, "f", 10, 0), sections={"defaults": {"init_ms": 5}})
    assert column(result, "init_ms") == [0.0]


def test_z6_most_recently_idle_is_reused() -> None:
    # Idle since 30 (env 0), 20 (env 1), 25 (env 2).
    result = run((0, "f", 30), (0, "f", 20), (0, "f", 25), (40, "f", 9), (41, "f", 9), (42, "f", 9))
    assert column(result, "environment") == [0, 1, 2, 0, 2, 1]


def test_z6_ties_go_by_order_of_release() -> None:
    result = run((0, "f", 20), (1, "f", 19), (2, "f", 18), (30, "f", 1), (31, "f", 1))
    assert column(result, "environment") == [0, 1, 2, 2, 2]


@pytest.mark.parametrize(("late", "cold"), [(-1, False), (0, True), (1, True)])
def test_q31_idle_for_exactly_the_fixed_time_is_expired(late: int, cold: bool) -> None:
    result = run((0, "f", 5), (5 + 10 * S + late, "f", 5), idle=fixed(10))
    assert column(result, "cold") == [True, cold]


def test_f3_3_fixed_time_counts_from_the_last_release() -> None:
    # Idle from 1 and, after its second run, from 9: gone at 19, not at 11.
    result = run(
        (0, "f", S), (8 * S, "f", S), (18 * S, "f", S), (28 * S, "f", S), (50 * S, "f", S),
        idle=fixed(10),
    )  # fmt: skip
    assert column(result, "cold") == [True, False, False, False, True]


def test_f3_3_fixed_time_may_be_a_fraction_of_a_second() -> None:
    result = run((0, "f", 0), (1_000, "f", 0), (2_000, "f", 0), idle=fixed(0.001001))
    assert column(result, "cold") == [True, False, False]
    result = run((0, "f", 0), (1_001, "f", 0), idle=fixed(0.001001))
    assert column(result, "cold") == [True, True]


def test_f3_3_none_never_expires() -> None:
    result = run((0, "f", 1), (10**15, "f", 1))
    assert column(result, "cold") == [True, False]


@pytest.mark.parametrize(("late", "cold"), [(-1, False), (0, True), (1, True)])
def test_z4_a_single_environment_goes_at_the_first_tick(late: int, cold: bool) -> None:
    # Idle since 5; the tick is at 5 + 380 s, and starts come after it.
    result = run((0, "f", 5), (5 + 380 * S + late, "f", 5), idle={"policy": "halving"})
    assert column(result, "cold") == [True, cold]


def test_z4_half_rounded_up_goes_at_each_tick_longest_idle_first() -> None:
    # Five become idle at 1, 2, 3, 4, 5 s. Ticks at 11 s (5: three go), 21 s (2: one), 31 s (1).
    result = run(
        *[(0, "f", (5 - index) * S) for index in range(5)], (100 * S, "g", 1), idle=halving(10)
    )
    assert removals(result)[:5] == [
        (31 * S, "halving"),
        (21 * S, "halving"),
        (11 * S, "halving"),
        (11 * S, "halving"),
        (11 * S, "halving"),
    ]


def test_z4_ties_go_in_the_order_of_becoming_idle() -> None:
    # All idle since 10 s, released in the order of arrival: 0, 1, 2, 3. The tick takes 0 and 1.
    result = run(
        *[(index * S, "f", (10 - index) * S) for index in range(4)], (25 * S, "g", 1),
        idle=halving(10),
    )  # fmt: skip
    assert [when for when, _ in removals(result)[:4]] == [20 * S, 20 * S, None, None]


def test_z4_the_timer_runs_from_the_first_idle_not_from_each() -> None:
    # Idle since 1 s and 9 s: at 11 s one of two goes (the older), at 21 s the other.
    result = run((0, "f", S), (0, "f", 9 * S), (100 * S, "g", 1), idle=halving(10))
    assert [when for when, _ in removals(result)[:2]] == [11 * S, 21 * S]


def test_z4_the_timer_stops_when_none_is_idle_and_starts_anew() -> None:
    # Idle 1 s .. 5 s, busy, idle again from 6 s: the tick is at 16 s, not at 11 s.
    early = run((0, "f", S), (5 * S, "f", S), (16 * S - 1, "f", S), idle=halving(10))
    assert column(early, "cold") == [True, False, False]
    late = run((0, "f", S), (5 * S, "f", S), (16 * S, "f", S), idle=halving(10))
    assert column(late, "cold") == [True, False, True]


def test_z4_the_timer_goes_on_while_another_is_idle() -> None:
    # Two idle from 1 s; one is used 5 s .. 6 s. At 11 s two are idle: the older goes.
    result = run((0, "f", S), (0, "f", S), (5 * S, "f", S), (30 * S, "g", 1), idle=halving(10))
    assert column(result, "environment")[:3] == [0, 1, 1]
    assert [when for when, _ in removals(result)[:2]] == [11 * S, 21 * S]


def test_z4_a_release_at_a_tick_is_counted_and_stays() -> None:
    # Idle since 1 s and 11 s = tick: one of two goes, the one that just ended stays to 21 s.
    result = run((0, "f", S), (0, "f", 11 * S), (100 * S, "g", 1), idle=halving(10))
    assert [when for when, _ in removals(result)[:2]] == [11 * S, 21 * S]


def test_z4_a_release_just_after_a_tick_starts_a_new_timer() -> None:
    result = run((0, "f", S), (0, "f", 11 * S + 1), (100 * S, "g", 1), idle=halving(10))
    assert [when for when, _ in removals(result)[:2]] == [11 * S, 21 * S + 1]


def test_z4_a_run_of_no_length_restarts_the_timer() -> None:
    result = run((0, "f", 0), (5 * S, "f", 0), (15 * S - 1, "f", 0), idle=halving(10))
    assert column(result, "cold") == [True, False, False]
    result = run((0, "f", 0), (5 * S, "f", 0), (15 * S, "f", 0), idle=halving(10))
    assert column(result, "cold") == [True, False, True]


def test_z4_lifetime_ends_before_the_tick() -> None:
    # Idle since 1 s (env 0), 2 s (env 1); lifetime 11 s ends for both at 11 s = the tick of env
    # 0's timer, so nothing is left to halve. Env 2 is created at 3 s and idle since 4 s: alone
    # at the tick, it goes by it.
    result = run(
        (0, "f", S), (0, "f", 2 * S), (3 * S, "f", S), (100 * S, "g", 1),
        idle=halving(10), env={"max_lifetime": 11},
    )  # fmt: skip
    # The run at 3 s takes env 1 (most recent): it is idle since 4 s.
    assert column(result, "environment")[:3] == [0, 1, 1]
    assert removals(result)[:2] == [(11 * S, "lifetime"), (11 * S, "lifetime")]

    result = run(
        (0, "f", S), (S // 2, "f", S), (S // 2, "f", S), (100 * S, "g", 1),
        idle=halving(10), env={"max_lifetime": 11},
    )  # fmt: skip
    # At 11 s: env 0's lifetime, then the tick finds envs 1 and 2 and evicts env 1 only; env 2
    # goes by its lifetime at 11.5 s.
    assert removals(result)[:3] == [
        (11 * S, "lifetime"),
        (11 * S, "halving"),
        (11 * S + S // 2, "lifetime"),
    ]


def test_z4_the_timer_stops_when_a_lifetime_takes_the_last_idle_one() -> None:
    # Env 0: idle from 1 s, lifetime over at 5 s. Env 1 is created at 2 s, busy until 6 s: its
    # timer starts at 6 s and would tick at 16 s, but its own lifetime ends at 7 s.
    result = run(
        (0, "f", 2 * S), (S, "f", 3 * S), (3 * S, "g", 97 * S),
        idle=halving(10), env={"max_lifetime": 5},
    )  # fmt: skip
    assert removals(result)[:2] == [(5 * S, "lifetime"), (6 * S, "lifetime")]


def test_z4_pools_have_timers_of_their_own() -> None:
    result = run(
        (0, "f", S), (3 * S, "g", S), (3 * S, "f:1", S), (50 * S, "h", 1), idle=halving(10)
    )
    assert [when for when, _ in removals(result)[:3]] == [11 * S, 14 * S, 14 * S]


def test_z5_uniform_is_drawn_anew_by_the_row_just_ended() -> None:
    trace = rows_of((0, "f", S), (2 * S, "f", S), (50 * S, "g", 60 * S), row_uid=[10, 11, 12])
    account = {**FOREVER, "idle": {"policy": "uniform", "seconds": [5, 40]}}
    result = replay({"account": account, "replay": {"seed": 9}}, trace)
    drawn = between(5 * S, 40 * S, seed=9, purpose="idle", identity=(11, 0))
    assert removals(result)[0] == (3 * S + drawn, "idle")


@pytest.mark.parametrize(("late", "cold"), [(-1, False), (0, True)])
def test_z5_uniform_of_equal_bounds_is_fixed(late: int, cold: bool) -> None:
    result = run(
        (0, "f", 1), (1 + 3 * S + late, "f", 1), idle={"policy": "uniform", "seconds": [3, 3]}
    )
    assert column(result, "cold") == [True, cold]


@pytest.mark.parametrize(("late", "cold"), [(-1, False), (0, True), (1, True)])
def test_z5_an_idle_environment_goes_at_the_end_of_its_lifetime(late: int, cold: bool) -> None:
    # Counted from the start of its init.
    result = run((100, "f", 5, 20), (100 + 3 * S + late, "f", 5, 20), env={"max_lifetime": 3})
    assert column(result, "cold") == [True, cold]


@pytest.mark.parametrize(
    ("duration", "cold", "cause"),
    [
        (2 * S - 1, True, "lifetime"),
        (2 * S, True, "lifetime at release"),
        (2 * S + 1, True, "lifetime at release"),
    ],
)
def test_z5_a_busy_environment_goes_at_its_release(duration: int, cold: bool, cause: str) -> None:
    result = run(
        (0, "f", 1), (S, "f", duration), (S + duration + 1, "f", 1), env={"max_lifetime": 3}
    )
    assert column(result, "cold") == [True, False, cold]
    assert removals(result)[0] == (max(3 * S, S + duration), cause)


def test_z5_lifetime_is_drawn_by_the_row_that_created_the_environment() -> None:
    trace = rows_of((0, "f", 1), (5 * S, "f", 1), (100 * S, "g", 1), row_uid=[4, 5, 6])
    account = {"idle": {"policy": "none"}, "env": {"max_lifetime": [10, 90]}}
    result = replay({"account": account, "replay": {"seed": 2}}, trace)
    drawn = between(10 * S, 90 * S, seed=2, purpose="lifetime", identity=(4, 0))
    assert removals(result)[0] == (drawn, "lifetime")


def test_z5_lifetime_is_four_to_eight_hours_by_default() -> None:
    result = replay({"account": {"idle": {"policy": "none"}}}, rows_of((0, "f", 1)))
    drawn = between(14_400 * S, 28_800 * S, seed=0, purpose="lifetime", identity=(0, 0))
    assert result.environments[0].retires == drawn


@pytest.mark.parametrize(
    ("era", "first", "last"),
    [
        ("2017-12", 1_620 * S, 3_780 * S),
        ("2018-10", 1_620 * S, 3_780 * S),
        ("2019-12", 600 * S, 600 * S),
        ("2020-12", 380 * S, 380 * S),
        ("2023-11", 380 * S, 380 * S),
        ("2025-08", 380 * S, 380 * S),
    ],
)
def test_z5_every_era_has_its_idle_policy(era: str, first: int, last: int) -> None:
    account = {"era": era, "env": {"max_lifetime": "off"}}
    for position in range(3):
        trace = rows_of(*[(0, f"f{index}", 0) for index in range(3)], (10**10, "g", 0))
        gone = replay({"account": account}, trace).environments[position].removed
        drawn = between(first, last, seed=0, purpose="idle", identity=(position, 0))
        assert gone == drawn


def test_z5_nothing_happens_after_the_last_release() -> None:
    result = run((0, "f", S), (0, "f", 5 * S), idle=fixed(4))
    # Env 0 goes at 5 s, the instant of the last release; env 1 would go later.
    assert removals(result) == [(5 * S, "idle"), (None, None)]


# ---- billing -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("era", "duration", "init", "billed"),
    [
        # Published REPORT lines, functions.md §3.7.
        ("2025-08", 250_060, 100_770, 351),
        ("2025-08", 3_004_920, 111_230, 3_117),
        ("2025-08", 133_610, 80_000, 214),
        ("2025-08", 3_016_780, 84_000, 3_101),
        ("2023-11", 250_060, 100_770, 251),
        ("2020-12", 250_060, 100_770, 251),
        ("2019-12", 250_060, 100_770, 300),
        ("2018-10", 200_000, 0, 200),
        ("2017-12", 200_001, 0, 300),
        # At least one unit.
        ("2017-12", 0, 0, 100),
        ("2019-12", 1, 50, 100),
        ("2020-12", 0, 0, 1),
        ("2025-08", 0, 0, 1),
        # Exactly a unit, and one microsecond beside it.
        ("2025-08", 999, 0, 1),
        ("2025-08", 1_000, 0, 1),
        ("2025-08", 1_001, 0, 2),
        ("2025-08", 500, 500, 1),
        ("2025-08", 500, 501, 2),
        ("2019-12", 99_999, 0, 100),
        ("2019-12", 100_000, 0, 100),
        ("2019-12", 100_001, 0, 200),
    ],
)
def test_z40_billed_in_units_with_one_ceiling(
    era: str, duration: int, init: int, billed: int
) -> None:
    result = run((0, "f", duration, init), era=era)
    assert column(result, "billed_ms") == [billed]


@pytest.mark.parametrize(
    ("era", "init_billed", "billed"),
    [("2025-08", False, 1), ("2025-08", True, 3), ("2023-11", True, 3), ("2023-11", False, 1)],
)
def test_z43_init_billed_by_function_overrides_the_era(
    era: str, init_billed: bool, billed: int
) -> None:
    sections = {"functions": {"f": {"init_billed": init_billed}}}
    result = run((0, "f", 500, 2_000), (9_000, "f", 500, 2_000), sections=sections, era=era)
    assert column(result, "billed_ms") == [billed, 1]


# ---- scenario ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "init_ms"),
    [
        ("img-a", 1.0),  # its own name
        ("img-a:live", 1.0),  # settings go by the bare name
        ("img-ab", 3.0),  # img-a* has more literal characters than img-*
        ("img-b", 2.0),
        ("imga", 9.0),  # only *
        ("IMG-b", 9.0),  # case counts
    ],
)
def test_scenario_the_most_specific_section_wins(function: str, init_ms: float) -> None:
    functions = {
        "*": {"init_ms": 9},
        "img-*": {"init_ms": 2},
        "img-a*": {"init_ms": 3},
        "img-a": {"init_ms": 1},
    }
    result = run((0, function, 1), sections={"functions": functions})
    assert column(result, "init_ms") == [init_ms]


def test_scenario_a_key_falls_back_to_the_next_section_then_to_the_defaults() -> None:
    sections = {
        "defaults": {"init_ms": 4, "init_billed": False},
        "functions": {"img-*": {"init_ms": 2}, "img-a": {"init_billed": True}},
    }
    result = run((0, "img-a", 1), (1, "img-b", 1), (2, "f", 1), sections=sections)
    assert column(result, "init_ms") == [2.0, 2.0, 4.0]
    assert column(result, "billed_ms") == [3, 1, 1]


def test_scenario_among_equal_globs_the_first_wins() -> None:
    for first, second, init_ms in [("a*", "*b", 1.0), ("*b", "a*", 1.0)]:
        functions = {first: {"init_ms": 1}, second: {"init_ms": 2}}
        result = run((0, "ab", 1), sections={"functions": functions})
        assert column(result, "init_ms") == [init_ms]


def test_scenario_init_goes_to_the_nearest_microsecond() -> None:
    result = run((0, "f", 0), sections={"defaults": {"init_ms": 0.0015}})
    assert column(result, "end") == [2]


@pytest.mark.parametrize(("tenths", "microseconds"), [(14, 1), (15, 2), (16, 2), (24, 2), (25, 3)])
def test_scenario_seconds_go_to_the_nearest_microsecond_halves_up(
    tenths: int, microseconds: int
) -> None:
    assert seconds_to_us(Fraction(tenths, 10_000_000)) == microseconds


@pytest.mark.parametrize(
    "scenario",
    [
        {"account": {"requests": 10}},
        {"account": {"env": {"lifetime": 1}}},
        {"account": {"idle": {"policy": "fixed", "seconds": 1, "minutes": 1}}},
        {"defaults": {"memory": 128}},
        {"replay": {"loads": 2}},
        {"functions": {"f": {"timeout": 3}}},
        {"event_sources": {"q": {"type": "mq", "function": "f"}}},
        {"changes": [{"at": 0, "set": {"account.idle.policy": "none"}}]},
        {"account": {"pricing": {"region": "af-south-1"}}},
        {"functions": {"f": {"init_ms": "typical"}}},
        {"account": {"era": "2024-01"}},
        {"account": {"idle": {"policy": "lru", "seconds": 1}}},
    ],
)
def test_reference_refuses_a_scenario_it_does_not_model(scenario: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"does not model|no such era"):
        replay(scenario, rows_of((0, "f", 1)))


@pytest.mark.parametrize("columns", [{"source": "orders"}, {"error": "exit"}, {"attempt": 1}])
def test_reference_refuses_a_trace_it_does_not_model(columns: dict[str, Any]) -> None:
    row = {"timestamp": 0, "function": "f", "duration_ms": 1, **columns}
    with pytest.raises(ValueError, match="does not model"):
        replay({}, [row])


# ---- metrics -------------------------------------------------------------------------------


def test_z44_a_run_belongs_to_the_minute_of_its_start() -> None:
    result = run((59 * S, "f", 90 * S, S), (60 * S, "f", 3_000, 0))
    rows = [row for row in result.metrics if row["function"] == "f"]
    none = dict.fromkeys(
        (
            "ProvisionedConcurrentExecutions",
            "ProvisionedConcurrencyInvocations",
            "ProvisionedConcurrencySpilloverInvocations",
            "ProvisionedConcurrencyUtilization",
            "AsyncEventsReceived",
            "AsyncEventsDropped",
            "AsyncEventsDropped_samples",
            "AsyncEventAge_max",
        )
    )
    assert rows == [
        {
            **none,
            "timestamp": 0,
            "function": "f",
            "Invocations": 1,
            "Errors": 0,
            "Throttles": 0,
            "Errors_samples": 1,
            "Throttles_samples": 1,
            "Duration_sum": 90_000.0,
            "Duration_max": 90_000.0,
            "ConcurrentExecutions": 1,
            "UnreservedConcurrentExecutions": None,
            "ClaimedAccountConcurrency": None,
            "cold_starts": 1,
            "lock_wait_ms_sum": 0.0,
            "environments": 1,
        },
        {
            **none,
            "timestamp": MINUTE,
            "function": "f",
            "Invocations": 1,
            "Errors": 0,
            "Throttles": 0,
            "Errors_samples": 1,
            "Throttles_samples": 1,
            "Duration_sum": 3.0,
            "Duration_max": 3.0,
            "ConcurrentExecutions": 2,
            "UnreservedConcurrentExecutions": None,
            "ClaimedAccountConcurrency": None,
            "cold_starts": 1,
            "lock_wait_ms_sum": 0.0,
            "environments": 2,
        },
        # The first run goes on to 150 s: no sample of anything but the gauges.
        {
            **none,
            "timestamp": 2 * MINUTE,
            "function": "f",
            "Invocations": None,
            "Errors": None,
            "Throttles": None,
            "Errors_samples": None,
            "Throttles_samples": None,
            "Duration_sum": None,
            "Duration_max": None,
            "ConcurrentExecutions": 1,
            "UnreservedConcurrentExecutions": None,
            "ClaimedAccountConcurrency": None,
            "cold_starts": None,
            "lock_wait_ms_sum": None,
            "environments": 2,
        },
    ]


def test_z45_throttles_alone_give_samples_but_no_invocations() -> None:
    result = run((0, "g", 5), (1, "f", 1), (2, "f", 1), concurrency=1)
    (row,) = (row for row in result.metrics if row["function"] == "f")
    assert row["Throttles"] == row["Throttles_samples"] == row["Errors_samples"] == 2
    assert row["Errors"] == row["ConcurrentExecutions"] == row["environments"] == 0
    nulls = {"Invocations", "Duration_sum", "Duration_max", "cold_starts", "lock_wait_ms_sum"}
    assert all(row[name] is None for name in nulls)


def test_z45_the_region_has_rows_of_its_own() -> None:
    result = run((0, "f", 70 * S), (1, "g", 5), (2, "f", 1), concurrency=2)
    region = [row for row in result.metrics if row["function"] is None]
    assert [row["timestamp"] for row in region] == [0, MINUTE]
    assert region[0]["Invocations"] == 2
    assert region[0]["Throttles"] == 1
    assert region[0]["Duration_sum"] == 70_000.005
    assert region[0]["Duration_max"] == 70_000.0
    for name in ("ConcurrentExecutions", "UnreservedConcurrentExecutions"):
        assert [row[name] for row in region] == [2, 1]
    assert [row["ClaimedAccountConcurrency"] for row in region] == [2, 1]
    assert [row["environments"] for row in region] == [2, 2]


@pytest.mark.parametrize(("late", "rows"), [(-1, {0: 1}), (0, {0: 1}), (1, {0: 1, 1: 1})])
def test_z45_a_run_that_ends_at_a_minutes_first_instant_is_not_in_it(
    late: int, rows: dict[int, int]
) -> None:
    result = run((0, "f", MINUTE + late))
    assert minutes(result, "f", "ConcurrentExecutions") == rows
    assert minutes(result, None, "ConcurrentExecutions") == rows


def test_z45_at_a_minutes_first_instant_ends_come_before_arrivals() -> None:
    result = run((0, "f", MINUTE), (0, "f", MINUTE), (MINUTE, "f", 1), (MINUTE, "f", 1))
    assert minutes(result, "f", "ConcurrentExecutions") == {0: 2, 1: 2}
    result = run((0, "f", MINUTE), (0, "f", MINUTE), (MINUTE, "f", 1))
    assert minutes(result, "f", "ConcurrentExecutions") == {0: 2, 1: 1}


@pytest.mark.parametrize(("late", "environments"), [(-1, 0), (0, 0), (1, 1)])
def test_z45_an_environment_gone_at_a_minutes_first_instant_is_not_in_it(
    late: int, environments: int
) -> None:
    # Idle from 1 to 60 s + late. A row of f in minute 1 needs an attempt: a refused one, later.
    result = run(
        (0, "f", S), (S, "g", 80 * S), (70 * S, "f", 1),
        concurrency=1, idle=fixed(59 + late / S),
    )  # fmt: skip
    assert minutes(result, "f", "environments") == {0: 1, 1: environments}
    assert minutes(result, "f", "ConcurrentExecutions") == {0: 1, 1: 0}


def test_z45_environments_counts_idle_ones_carried_over() -> None:
    result = run((0, "f", S), (0, "f", S), (70 * S, "f", S), (200 * S, "f", S), idle=fixed(100))
    # 70 s: two, one of them idle. Idle ones go at 101 s and, after the run, at 171 s.
    assert minutes(result, "f", "environments") == {0: 2, 1: 2, 3: 1}


def test_z55_a_run_of_no_length_counts_at_its_instant() -> None:
    result = run((0, "f", 5), (3, "f", 0))
    assert minutes(result, "f", "ConcurrentExecutions") == {0: 2}
    assert result.summary["max_concurrency"] == 2
    result = run((MINUTE, "f", 0))
    assert minutes(result, "f", "ConcurrentExecutions") == {1: 1}
    assert minutes(result, "f", "environments") == {1: 1}


def test_z55_two_runs_of_no_length_at_one_instant_are_not_in_flight_together() -> None:
    result = run((0, "f", 0), (0, "f", 0))
    assert minutes(result, "f", "ConcurrentExecutions") == {0: 1}
    assert column(result, "environment") == [0, 0]


# ---- functions and summary -----------------------------------------------------------------


def test_z48_the_summary_adds_up() -> None:
    result = run((0, "f", 10, 5), (0, "g", 20), (1, "f", 1), (30, "f", 2, 5), concurrency=2)
    expected = {
        "records": 4,
        "invocations": 3,
        "success": 3,
        "error": 0,
        "throttled": 1,
        "dropped": 0,
        "expired": 0,
        "discarded": 0,
        "filtered": 0,
        "pending": 0,
        "throttles": 1,
        "cold_starts": 2,
        "warm_starts": 1,
        "max_concurrency": 2,
        "environments_created": 2,
        "throttles_by_limit": {"account_concurrency": 1},
        "never_ran": 1,
    }
    assert {name: result.summary[name] for name in expected} == expected
    by_name = {row["function"]: row for row in result.functions}
    assert by_name["f"]["records"] == 3
    assert by_name["f"]["warm_starts"] == 1
    assert by_name["f"]["max_concurrency"] == 1
    assert by_name["g"]["throttles_by_limit"] == {}
    assert by_name["g"]["worst_10s"] is None


def test_z47_mean_concurrency_is_over_the_whole_traces_span() -> None:
    # Span 7 .. 47: f is busy 10 + 5 of it, g 20.
    result = run((7, "f", 10), (12, "g", 20), (42, "f", 5))
    assert result.summary["mean_concurrency"] == 35 / 40
    assert result.summary["concurrency"]["mean"] == 35 / 40
    means = {row["function"]: row["mean_concurrency"] for row in result.functions}
    assert means == {"f": 15 / 40, "g": 20 / 40}


def test_z47_an_empty_span_has_mean_zero() -> None:
    result = run((7, "f", 0), (7, "g", 0))
    assert result.summary["mean_concurrency"] == 0.0
    assert result.summary["concurrency"] == {"mean": 0.0, "p50": 0, "p99": 0, "p999": 0, "max": 1}


def test_interface_5_concurrency_over_time_is_weighted() -> None:
    # Levels: 1 for 0..500, 0 for 500..990, 2 for 990..999, 1 for 999..1000.
    result = run((0, "f", 500), (990, "f", 9), (990, "f", 10))
    assert result.summary["concurrency"] == {
        "mean": (500 + 9 + 10) / 1_000, "p50": 1, "p99": 1, "p999": 2, "max": 2,
    }  # fmt: skip


def test_interface_5_a_percentile_is_the_smallest_level_with_that_share() -> None:
    # Level 0 for 500 of 1,000: exactly half, so p50 is 0. Level 1 up to 99 %: p99 is 1.
    result = run((0, "f", 500), (1_000 - 10, "f", 10), (1_000 - 10, "g", 10))
    # Levels: 1 for 500, 0 for 490, 2 for 10.
    assert result.summary["concurrency"] == {
        "mean": 0.52, "p50": 1, "p99": 1, "p999": 2, "max": 2,
    }  # fmt: skip
    result = run((0, "f", 490), (990, "f", 10))
    assert result.summary["concurrency"] == {
        "mean": 0.5, "p50": 0, "p99": 1, "p999": 1, "max": 1,
    }  # fmt: skip


def test_interface_5_concurrency_of_a_function_has_the_same_span() -> None:
    result = run((0, "f", 1), (0, "g", 1_000))
    by_name = {row["function"]: row["concurrency"] for row in result.functions}
    assert by_name["f"] == {"mean": 0.001, "p50": 0, "p99": 0, "p999": 0, "max": 1}
    assert by_name["g"] == {"mean": 1.0, "p50": 1, "p99": 1, "p999": 1, "max": 1}


@pytest.mark.parametrize(
    ("instants", "begin", "throttles"),
    [
        ([5 * S], 5, 1),
        ([5 * S + S // 2], 5, 1),
        ([0, 9 * S + 999_999], 0, 2),
        ([0, 10 * S], 0, 1),
        # Of equals the one whose first throttle is earliest, from the second of that throttle.
        ([3 * S + 1, 40 * S], 3, 1),
        ([0, 8 * S, 12 * S, 40 * S, 41 * S], 0, 2),
        ([0, 8 * S, 12 * S, 17 * S, 40 * S, 41 * S], 8, 3),
        ([0, 9 * S, 10 * S, 18 * S], 9, 3),
    ],
)
def test_interface_5_worst_ten_seconds(instants: list[int], begin: int, throttles: int) -> None:
    result = run((0, "g", 100 * S), *[(at, "f", 1) for at in instants], concurrency=1)
    worst = {"from": begin * S, "throttles": throttles}
    assert result.summary["worst_10s"] == worst
    assert [row["worst_10s"] for row in result.functions] == [worst, None]


def test_z46_durations_leave_init_and_throttles_out() -> None:
    rows = [(index * MINUTE, "f", (index + 1) * 1_000, 700) for index in range(10)]
    result = run(*rows, (0, "f", 9_999_000), concurrency=1)
    assert result.summary["duration_ms"] == {
        "mean": 5.5, "p50": 5.0, "p90": 9.0, "p99": 10.0, "p999": 10.0, "max": 10.0,
    }  # fmt: skip
    assert set(result.summary["wait_ms"].values()) == {0.0}


def test_z46_a_percentile_is_the_smallest_value_with_that_share() -> None:
    # One to ten thousand microseconds: the n-th of them has a share of n in 10,000.
    assert distribution_ms(range(1, 10_001)) == {
        "mean": 5.0005, "p50": 5.0, "p90": 9.0, "p99": 9.9, "p999": 9.99, "max": 10.0,
    }  # fmt: skip


def test_z46_without_runs_there_is_no_datum() -> None:
    result = run((0, "g", 9), (1, "f", 1), concurrency=1)
    (f,) = (row for row in result.functions if row["function"] == "f")
    assert set(f["duration_ms"].values()) == set(f["wait_ms"].values()) == {None}


def test_reference_takes_an_empty_trace() -> None:
    result = replay({}, [])
    assert result.outcomes == result.metrics == result.functions == []
    assert result.summary["records"] == result.summary["max_concurrency"] == 0
    assert result.summary["worst_10s"] is None


# ---- marks ---------------------------------------------------------------------------------

TWO_IDLE = [(0, "f", 2), (0, "f", 1), (9, "f", 1)]
THREE_FOR_A_TICK = [(0, "f", S), (0, "f", S), (0, "f", 2 * S), (40 * S, "g", 1)]


@pytest.mark.parametrize(
    ("rows", "account", "there", "not_there"),
    [
        (TWO_IDLE, {}, {"Z6.most_recent"}, {"Z6.tie_by_release", "F1.6.account_concurrency"}),
        ([(0, "f", 1), (0, "f", 1), (9, "f", 1)], {}, {"Z6.tie_by_release"}, {"Z6.most_recent"}),
        ([(0, "f", 1), (9, "f", 1)], {}, {"F3.2.warm"}, {"Z6.most_recent", "F3.2.busy"}),
        ([(0, "f", 2), (1, "f", 1)], {}, {"F3.2.busy"}, {"F3.2.warm", "Z1.end_before_arrival"}),
        ([(0, "f", 2), (2, "f", 1)], {}, {"Z1.end_before_arrival"}, {"Z55.zero_length"}),
        (
            [(0, "f", 0), (0, "f", 1)],
            {},
            {"Z55.zero_length", "Z1.zero_length_ends_at_once", "Z40.least_unit"},
            {"Z1.end_before_arrival", "Z47.empty_span"},
        ),
        ([(0, "f", 0)], {}, {"Z47.empty_span"}, {"Z1.zero_length_ends_at_once", "Z40.exact_unit"}),
        ([(0, "f", MS)], {}, {"Z40.exact_unit", "F7.one_ms"}, {"Z40.least_unit", "Z40.hundred_ms"}),
        ([(0, "f", MS + 1)], {}, set(), {"Z40.exact_unit", "Z44.run_over_minutes"}),
        ([(0, "f", 500, 500)], {}, {"F3.7.one_ceiling", "Z43.init_billed"}, {"Z40.least_unit"}),
        ([(0, "f", 1_000, 500)], {}, {"Z43.init_billed"}, {"F3.7.one_ceiling"}),
        ([(0, "f", 1, 5), (4, "g", 1)], {"concurrency": 1}, {"F1.3.init_holds_unit"}, set()),
        (
            [(0, "f", 1, 5), (5, "f", 1)],
            {"concurrency": 1},
            {"F1.6.account_concurrency"},
            {"F1.3.init_holds_unit", "F1.1.shared"},
        ),
        ([(0, "g", 5), (1, "f", 1)], {"concurrency": 1}, {"F1.1.shared"}, {"worst_10s.tie"}),
        ([(0, "f", 1), (0, "f", 1)], {}, {"Z1.ends_by_arrival", "Z2.position_breaks_tie"}, set()),
        ([(1, "f", 1), (0, "f", 1)], {}, {"Z2.unsorted"}, {"Z2.position_breaks_tie"}),
        ([(0, "f", 1), (S, "f", 1)], {"idle": fixed(1)}, set(), {"Z1.timer_before_arrival"}),
        (
            [(0, "f", 1), (S + 1, "f", 1)],
            {"idle": fixed(1)},
            {"Z1.timer_before_arrival", "Q31.exactly_idle_time"},
            {"Z4.start_at_tick"},
        ),
        (
            [(0, "f", 1), (S + 1, "g", 1)],
            {"idle": fixed(1)},
            {"F3.3.fixed"},
            {"Z1.timer_before_arrival", "Q31.exactly_idle_time", "Z5.uniform"},
        ),
        (
            THREE_FOR_A_TICK,
            {"idle": halving(10)},
            {"Z4.tick_odd", "Z4.tick_one"},
            {"Z4.tick_even", "Z4.tie", "Z4.release_at_tick"},
        ),
        (
            THREE_FOR_A_TICK[1:],
            {"idle": halving(10)},
            {"Z4.tick_even", "Z4.tick_one", "Z4.tick_again"},
            {"Z4.tick_odd", "Z4.tie", "Z4.started_again", "Z4.stopped_by_start"},
        ),
        (
            [(0, "f", S), (0, "f", S), (20 * S, "g", 1)],
            {"idle": halving(10)},
            {"Z4.tie", "Z4.tick_even"},
            {"Z4.tick_odd", "Z4.lifetime_first"},
        ),
        (
            [(0, "f", S), (0, "f", 11 * S), (11 * S, "f", 1)],
            {"idle": halving(10)},
            {"Z4.release_at_tick", "Z4.start_at_tick", "Z1.end_before_timer"},
            {"Z1.timer_before_arrival", "Z4.tick_again"},
        ),
        (
            [(0, "f", S), (2 * S, "f", S), (4 * S, "f", S)],
            {"idle": halving(10)},
            {"Z4.stopped_by_start", "Z4.started_again"},
            {"Z4.tick_one"},
        ),
        (
            [(0, "f", S), (20 * S, "g", 1)],
            {"idle": halving(15), "env": {"max_lifetime": 5}},
            {"Z4.stopped_by_lifetime", "Z5.lifetime_idle"},
            {"Z4.tick_one", "Z5.lifetime_busy", "Z5.lifetime_at_release", "Z5.lifetime_drawn"},
        ),
        ([(0, "f", 5 * S)], {"env": {"max_lifetime": 5}}, {"Z5.lifetime_at_release"}, set()),
        ([(0, "f", 6 * S)], {"env": {"max_lifetime": 5}}, {"Z5.lifetime_busy"}, set()),
        ([(0, "f", 61 * S)], {}, {"Z44.run_over_minutes", "Z45.carried_over"}, set()),
        ([(0, "f", 60 * S)], {}, set(), {"Z44.run_over_minutes", "Z45.carried_over"}),
        (
            [(0, "f", 60 * S), (0, "f", 61 * S)],
            {},
            {"Z45.nothing_at_first_instant"},
            {"Z45.only_throttles"},
        ),
    ],
)
def test_marks_say_what_happened(
    rows: list[tuple[Any, ...]], account: dict[str, Any], there: set[str], not_there: set[str]
) -> None:
    marks = set(run(*rows, **account).marks)
    assert there <= marks
    assert not marks & not_there


def test_an_unknown_mark_is_an_error() -> None:
    with pytest.raises(KeyError):
        Marks().hit("Z99")


def test_missing_marks_are_those_of_no_replay() -> None:
    marks = run((0, "f", 1)).marks
    assert "F3.2.cold" not in missing(marks)
    assert "F3.2.warm" in missing(marks)
    assert set(missing(marks)) | set(marks) == set(RULES)
