"""Limits and the scaling rate, worked by hand: who is refused, by which limit."""

from fractions import Fraction
from typing import Any

import pytest

from reference.marks import Marks
from reference.settings import Scaling, resolve
from reference.worked import S, change, column, event, one, play, row, seconds, tries

RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded"
CONCURRENT = "ConcurrentInvocationLimitExceeded"


def limits(*rows: dict[str, Any], **scenario: Any) -> list[str | None]:
    """Return which limit refused each row."""
    return column(play(*rows, **scenario), "limit")


# ---- concurrency ---------------------------------------------------------------------------


def test_f1_1_reserved_is_ceiling_and_floor() -> None:
    # 3 units, one of them f's: g has two, f one, whatever the other does.
    result = play(
        row(0, 9), row(1, 9), row(1, 9, "g"), row(1, 9, "g"), row(1, 9, "g"),
        f={"reserved_concurrency": 1}, concurrency=3,
    )  # fmt: skip
    assert column(result, "limit") == [
        None, "reserved_concurrency", None, None, "account_concurrency",
    ]  # fmt: skip
    assert column(result, "reason") == [None, RESERVED, None, None, CONCURRENT]


def test_f1_1_reserved_zero_refuses_synchronous_requests() -> None:
    result = play(row(0), f={"reserved_concurrency": 0})
    assert one(result, 0, "outcome", "reason", "limit", "throttles") == (
        "throttled", RESERVED, "reserved_zero", 1,
    )  # fmt: skip


def test_f1_2_provisioned_without_reserved_is_claimed_though_idle() -> None:
    # 3 units, 2 provisioned for f: one is left for everybody else.
    rows = [row(0, 9, "g"), row(1, 9, "g"), row(2, 9), row(2, 9), row(2, 9)]
    result = play(*rows, f={"provisioned_concurrency": 2}, concurrency=3)
    assert column(result, "limit") == [
        None, "account_concurrency", None, None, "account_concurrency",
    ]  # fmt: skip
    assert column(result, "provisioned") == [False, None, True, True, None]


def test_f1_2_with_reserved_only_the_reserved_units_count() -> None:
    rows = [row(0, 9, "g"), row(0, 9, "g"), row(1, 9), row(1, 9), row(1, 9)]
    f = {"provisioned_concurrency": 1, "reserved_concurrency": 2}
    result = play(*rows, f=f, concurrency=4)
    # f: one provisioned, one on demand (RC - PC = 1), then full.
    assert column(result, "limit") == [None, None, None, None, "reserved_concurrency"]
    assert column(result, "provisioned")[2:] == [True, False, None]


def test_f3_9_all_reserved_units_provisioned_blocks_latest() -> None:
    f = {"provisioned_concurrency": {"live": 1}, "reserved_concurrency": 1}
    result = play(row(0, 1, "f"), row(0, 9, "f:live"), row(1, 1, "f:live"), f=f)
    assert column(result, "limit") == ["latest_blocked", None, "reserved_concurrency"]
    assert column(result, "reason") == [RESERVED, None, RESERVED]


def test_z20_a_glob_is_taken_from_the_first_row_a_literal_name_from_the_start() -> None:
    rows = [row(0, 9, "g"), row(0, 9, "g"), row(1, 1, "f"), row(2, 9, "g")]
    glob = {"functions": {"f*": {"reserved_concurrency": 1}}}
    literal = {"functions": {"f": {"reserved_concurrency": 1}}}
    # Two units: with the glob g takes both before f is seen; f then has its own on top.
    assert limits(*rows, sections=glob, concurrency=2) == [
        None, None, None, "account_concurrency",
    ]  # fmt: skip
    assert limits(*rows, sections=literal, concurrency=2) == [
        None, "account_concurrency", None, "account_concurrency",
    ]  # fmt: skip


def test_z16_a_run_counts_where_the_setting_of_the_moment_puts_it() -> None:
    # f's run began on unreserved units; reserved from 1 s on, it counts there.
    rows = [row(0, 9), row(2, 9, "g"), row(2, 9, "g"), row(2, 9)]
    changes = {"changes": [change(1, functions__f__reserved_concurrency=1)]}
    assert limits(*rows, sections=changes, concurrency=2) == [
        None, None, "account_concurrency", "reserved_concurrency",
    ]  # fmt: skip


def test_q27_a_limit_lowered_below_what_runs_refuses_until_below() -> None:
    rows = [row(0, 4), row(0, 6), row(3, 1), row(4, 1), row(6, 1)]
    changes = {"changes": [change(2, account__concurrency=1)]}
    result = play(*rows, sections=changes, concurrency=2)
    assert seconds(result, "end") == [4, 6, None, None, 7]


def test_f1_3_an_extension_holds_the_unit_after_the_answer() -> None:
    # Measured: answered at 1.35 s, refused 1 ms later, released 3 s after the answer.
    f = {"reserved_concurrency": 1}
    rows = [row(0, 4.35, extension_ms=3_000), row(1.351), row(4.35)]
    result = play(*rows, f=f)
    assert seconds(result, "settled") == [1.35, 1.351, 5.35]
    assert seconds(result, "end") == [4.35, None, 5.35]
    assert column(result, "environment") == [0, None, 0]


# ---- request rates -------------------------------------------------------------------------


def test_f1_4_ten_requests_a_second_for_each_unit_of_the_account() -> None:
    rows = [row(index / 100, 0) for index in range(12)] + [row(1, 0)]
    result = play(*rows, concurrency=1, scaling="off")
    assert column(result, "limit") == [None] * 10 + ["account_rps"] * 2 + [None]
    assert result.outcomes[10]["reason"] == "FunctionInvocationRateLimitExceeded"


def test_f1_4_ten_requests_a_second_for_each_reserved_unit() -> None:
    rows = [row(index / 100, 0) for index in range(11)] + [row(0.5, 0, "g")]
    result = play(*rows, f={"reserved_concurrency": 1}, scaling="off")
    assert column(result, "limit") == [None] * 10 + ["reserved_rps", None]
    assert result.outcomes[10]["reason"] == "ReservedFunctionInvocationRateLimitExceeded"


def test_f1_4_asynchronous_requests_have_no_request_rate() -> None:
    rows = [event(index / 100, 0) for index in range(12)] + [row(0.5, 0)]
    assert limits(*rows, concurrency=1, scaling="off") == [None] * 13


def test_q32_a_refused_request_counts_in_no_window() -> None:
    # One request a second: the one at 0.2 is refused for concurrency and leaves the window alone.
    rows = [row(0, 1, "g"), row(1, 0.1, "g"), row(1.05, 1), row(1.2, 0.1)]
    result = play(*rows, concurrency=1, requests_per_second=2, scaling="off")
    assert column(result, "limit") == [None, None, "account_concurrency", None]


def test_q36_off_switches_every_level_off() -> None:
    rows = [row(index / 100, 0) for index in range(30)]
    f = {"reserved_concurrency": 1}
    assert limits(*rows, f=f, requests_per_second="off", scaling="off") == [None] * 30


def test_z17_the_default_follows_the_limit_through_changes() -> None:
    rows = [row(index / 100, 0) for index in range(22)]
    changes = {"changes": [change(0.055, account__concurrency=2)]}
    found = limits(*rows, sections=changes, concurrency=1, scaling="off")
    assert found == [None] * 20 + ["account_rps"] * 2


def test_z17_a_token_bucket_is_full_at_start_and_admits_twice_the_limit() -> None:
    # Capacity 2, 2 a second: 0, 0 use it up; 0.25 has half a token, 0.5 exactly one.
    rows = [row(0, 0), row(0, 0), row(0.25, 0), row(0.5, 0), row(0.75, 0)]
    found = limits(*rows, requests_per_second=2, rps={"mode": "token_bucket"}, scaling="off")
    assert found == [None, None, "account_rps", None, "account_rps"]


def test_z17_windows_may_be_longer_than_a_second() -> None:
    rows = [row(0, 0), row(1.9, 0), row(1.9, 0), row(2, 0)]
    found = limits(*rows, requests_per_second=1, rps={"window_s": 2}, scaling="off")
    assert found == [None, None, "account_rps", None]


# ---- scaling -------------------------------------------------------------------------------


def test_f2_1_a_token_for_each_environment_none_for_a_warm_start() -> None:
    # Capacity 2, one more every ten seconds.
    scaling = {"capacity": 2, "refill_per_s": 0.1}
    rows = [row(0, 5), row(0, 5), row(0, 5), row(6, 5), row(6, 5), row(6, 5), row(10, 5)]
    result = play(*rows, scaling=scaling)
    assert column(result, "limit") == [
        None, None, "scaling_rate", None, None, "scaling_rate", None,
    ]  # fmt: skip
    assert column(result, "cold") == [True, True, None, False, False, None, True]
    assert result.outcomes[2]["reason"] == CONCURRENT


def test_f2_1_functions_have_buckets_of_their_own_qualifiers_have_not() -> None:
    scaling = {"capacity": 1, "refill_per_s": 0.1}
    rows = [row(0), row(0, 1, "g"), row(0, 1, "f:live")]
    assert limits(*rows, scaling=scaling) == [None, None, "scaling_rate"]


def test_z18_in_a_region_all_draw_on_one_bucket() -> None:
    scaling = {"capacity": 1, "refill_per_s": 0.1, "scope": "region"}
    assert limits(row(0), row(0, 1, "g"), scaling=scaling) == [None, "scaling_rate"]


def test_q33_a_refusal_leaves_the_credit_alone() -> None:
    # Half a token at 5 s: refused, and still a whole one at 10 s.
    scaling = {"capacity": 1, "refill_per_s": 0.1}
    rows = [row(0, 99), row(5, 99), row(9.999999, 99), row(10, 99)]
    assert limits(*rows, scaling=scaling) == [None, "scaling_rate", "scaling_rate", None]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        # Two environments in any window of ten seconds, clock-aligned or sliding.
        ("step", [None, None, None, None, "scaling_rate", None]),
        ("sliding", [None, None, "scaling_rate", "scaling_rate", None, "scaling_rate"]),
    ],
)
def test_z18_step_is_clock_aligned_sliding_is_half_open(
    mode: str, expected: list[str | None]
) -> None:
    scaling = {"capacity": 2, "mode": mode}
    rows = [row(9, 99), row(9.5, 99), row(10, 99), row(18.999999, 99), row(19, 99), row(20, 99)]
    if mode == "sliding":
        # (9, 19] has one environment, that of 9.5; (10, 20] has those of 19.
        expected = [None, None, "scaling_rate", "scaling_rate", None, None]
    assert limits(*rows, scaling=scaling) == expected


@pytest.mark.parametrize(
    ("era", "expected"),
    [
        ("2017-12", Scaling("region", "continuous", 3_000, Fraction(500, 60), 10 * S, False)),
        ("2020-12", Scaling("region", "continuous", 3_000, Fraction(500, 60), 10 * S, False)),
        ("2023-11", Scaling("function", "continuous", 1_000, Fraction(100), 10 * S, True)),
        ("2025-08", Scaling("function", "continuous", 1_000, Fraction(100), 10 * S, True)),
    ],
)
def test_f2_3_every_era_has_its_scaling_rate(era: str, expected: Scaling) -> None:
    assert resolve({"account": {"era": era}}, Marks()).scaling == expected


def test_z18_five_hundred_a_minute_is_exact() -> None:
    # A token takes 0.12 s: after three of them exactly three are there.
    scaling = {"capacity": 4, "refill_per_s": "500/60"}
    rows = [*[row(0, 99)] * 4, row(0.119999, 99), row(0.12, 99), row(0.24, 99), row(0.24, 99)]
    assert limits(*rows, scaling=scaling, rps={"window_s": 99}) == [
        *[None] * 4, "scaling_rate", None, None, "scaling_rate",
    ]  # fmt: skip


def test_f2_3_scaling_off_has_no_limit() -> None:
    rows = [row(0, 9)] * 4
    assert limits(*rows, scaling={"capacity": 3}) == [None] * 3 + ["scaling_rate"]
    assert limits(*rows, scaling="off") == [None] * 4


def test_z19_a_warm_start_beyond_ten_a_second_for_each_unit_buys_one() -> None:
    # One environment: ten starts in the second are its own, the eleventh buys a unit, the 21st
    # would need a third token.
    rows = [row(index / 100, 0) for index in range(22)]
    scaling = {"capacity": 2, "refill_per_s": 0.001}
    result = play(*rows, scaling=scaling)
    assert column(result, "limit") == [None] * 20 + ["scaling_rate"] * 2
    assert result.outcomes[20]["reason"] == "FunctionInvocationRateLimitExceeded"
    assert result.summary["environments_created"] == 1


def test_z19_coupling_has_the_reason_of_its_function() -> None:
    rows = [row(index / 100, 0) for index in range(11)]
    scaling = {"capacity": 1, "refill_per_s": 0.001}
    result = play(*rows, scaling=scaling, f={"reserved_concurrency": 2})
    assert one(result, 10, "limit", "reason") == (
        "scaling_rate", "ReservedFunctionInvocationRateLimitExceeded",
    )  # fmt: skip


def test_z19_a_bought_unit_lives_the_idle_time() -> None:
    # Bought at 0.1 s, gone at 1.1 s: before it one more unit carries twenty starts.
    first = [row(index / 100, 0) for index in range(11)]
    second = [row(1 + index / 1_000, 0) for index in range(20)]
    third = [row(2 + index / 1_000, 0) for index in range(11)]
    scaling = {"capacity": 2, "refill_per_s": 0.000001}
    idle = {"policy": "fixed", "seconds": 1}
    result = play(*first, *second, *third, scaling=scaling, idle=idle)
    assert column(result, "limit") == [None] * 41 + ["scaling_rate"]


def test_z19_asynchronous_runs_are_neither_tested_nor_counted() -> None:
    rows = [event(index / 100, 0) for index in range(12)] + [row(0.5, 0)]
    assert limits(*rows, scaling={"capacity": 1, "refill_per_s": 0.001}) == [None] * 13


# ---- order of checks -----------------------------------------------------------------------


def test_f1_5_the_first_check_that_binds_gives_the_reason() -> None:
    f = {"reserved_concurrency": 1}
    rows = [row(0, 9), *[row(0, 9)] * 2]
    scaling = {"capacity": 1, "refill_per_s": 0.001}
    # Request rate before concurrency, concurrency before scaling.
    assert limits(*rows, f=f, scaling=scaling, requests_per_second=1) == [
        None, "account_rps", "account_rps",
    ]  # fmt: skip
    assert limits(*rows, f=f, scaling=scaling) == [None, *["reserved_concurrency"] * 2]
    assert limits(*rows, scaling=scaling) == [None, *["scaling_rate"] * 2]


def test_f1_6_asynchronous_attempts_meet_the_same_limits() -> None:
    # Refused at 0 and 1 (waits 1, 2), runs at 3.
    result = play(event(0, 2.5), event(0, 1), concurrency=1)
    assert tries(result, 1) == [(0, "throttled"), (1, "throttled"), (3, "success")]
    assert result.attempts[1]["limit"] == "account_concurrency"
    assert result.attempts[1]["reason"] == CONCURRENT
