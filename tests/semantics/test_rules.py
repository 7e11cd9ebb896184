"""Rules that the examples of ``tests/reference`` do not name, worked by hand, in both."""

from typing import Any

import polars as pl
import pytest

import lambda_replay as lr
from reference.worked import S, change, column, event, one, play, row, seconds, tries

# ---- limits (F1, F2) -----------------------------------------------------------------------


def test_q25_ends_come_before_starts_of_the_same_instant() -> None:
    result = play(row(0, 5), row(5, 1), concurrency=1)
    assert column(result, "outcome") == ["success", "success"]
    assert column(result, "environment") == [0, 0]


def test_q24_a_caller_comes_before_the_retry_of_an_event_at_the_same_instant() -> None:
    # The event is refused at 0 s and knocks again at 1 s, where a caller arrives.
    result = play(row(0, 1, "g"), event(0, 1), row(1, 1, "g"), concurrency=1)
    assert tries(result, 1) == [(0, "throttled"), (1, "throttled"), (3, "success")]
    assert column(result, "outcome") == ["success"] * 3


def test_q32_a_refused_request_counts_in_no_window() -> None:
    # Four a second, one unit: refusals for the unit leave the window as it was.
    rows = [
        row(0, 0.5),
        row(0.1),
        row(0.2),
        row(0.3),
        row(0.6, 0.1),
        row(0.8, 0.1),
        row(0.95, 0.01),
    ]
    result = play(*rows, concurrency=1, requests_per_second=4)
    assert column(result, "limit") == [None, *["account_concurrency"] * 3, None, None, None]


def test_q33_a_refused_request_takes_no_token() -> None:
    scaling = {"capacity": 1, "refill_per_s": 0.1, "rps_coupling": False}
    # Refused at 0 … 9 s; the token is back at 10 s all the same.
    rows = [row(0, 30), *(row(at) for at in range(1, 10)), row(10, 1)]
    result = play(*rows, scaling=scaling)
    assert column(result, "limit") == [None, *["scaling_rate"] * 9, None]


def test_q5_coupling_buys_a_unit_for_a_warm_start_above_ten_a_second() -> None:
    # The eleventh of a second needs a second unit, of which there is none.
    rows = [row(at / 100, 0.005) for at in range(12)]
    tight = {"capacity": 1, "refill_per_s": 0.01}
    assert column(play(*rows, scaling=tight), "limit") == [None] * 10 + ["scaling_rate"] * 2
    assert column(play(*rows, scaling={**tight, "rps_coupling": False}), "limit") == [None] * 12
    # Asynchronous ones are exempt.
    events = [event(at / 100, 0.005) for at in range(12)]
    assert column(play(*events, scaling=tight), "throttles") == [0] * 12


# ---- environments (F3) ---------------------------------------------------------------------


def test_q31_an_environment_idle_for_exactly_its_time_is_gone() -> None:
    idle = {"policy": "fixed", "seconds": 10}
    result = play(row(0, 1), row(11, 1), row(21.999999, 1), idle=idle)
    assert column(result, "cold") == [True, True, False]


def test_f3_4_a_lifetime_ends_idle_environments_at_once_and_busy_ones_at_release() -> None:
    rows = [row(0, 1), row(3, 9), row(20, 1)]
    result = play(*rows, env={"max_lifetime": 5})
    assert column(result, "environment") == [0, 0, 1]


def test_f3_6_a_proactive_init_is_waited_for_by_nobody() -> None:
    result = play(row(0, 1, init_ms=500), proactive_fraction=1)
    assert one(result, 0, "cold", "init_ms", "end", "billed_ms") == (True, 0, S, 1_500)


@pytest.mark.parametrize(("era", "billed"), [("2017-12", 300), ("2020-12", 251), ("2025-08", 351)])
def test_f3_7_what_an_init_costs_by_era(era: str, billed: int) -> None:
    result = play(row(0, 0.25006, init_ms=100.77), era=era)
    assert one(result, 0, "init_ms", "billed_ms") == (100.77, billed)


def test_f3_8_restoring_a_snapshot_takes_the_place_of_init() -> None:
    result = play(row(0, 1, init_ms=5_000), f={"restore_ms": 200})
    assert one(result, 0, "init_ms", "end") == (200, 1_200_000)


# ---- what callers get (F4, Z15) ------------------------------------------------------------


def test_f4_1_errors_are_answers_and_throttles_are_not_invocations() -> None:
    rows = [row(0, 1), row(0, 1, "g", error="handled"), row(0, 1, "h")]
    result = play(*rows, concurrency=2)
    assert column(result, "outcome") == ["success", "error", "throttled"]
    names = ("invocations", "success", "error", "throttled", "throttles", "never_ran")
    assert [result.summary[name] for name in names] == [2, 1, 1, 1, 1, 1]
    assert column(result, "billed_ms") == [1_000, 1_000, None]


def test_z15_reasons_of_errors() -> None:
    rows: list[dict[str, Any]] = [
        row(0, 9, "slow"), row(0, error="crash"), row(0, error="handled"),
        row(0, 5, state_key="k"), row(0, 1, state_key="k"),
        event(0, error="crash"),
    ]  # fmt: skip
    sections = {
        "functions": {"slow": {"timeout_s": 3}, "f": {"maximum_retry_attempts": 0}},
        "state": {"max_lock_wait_s": 2},
    }
    assert column(play(*rows, sections=sections), "reason") == [
        "TimedOut", "Crash", "Handled", None, "LockWaitExceeded", "RetriesExhausted",
    ]  # fmt: skip
    rows = [row(0, 5, state_key="k"), row(1, 1, state_key="k")]
    sections = {"state": {"discipline": "optimistic", "max_retries": 0}}
    # The second one is done first; the first one comes too late.
    assert column(play(*rows, sections=sections), "reason") == ["WriteConflict", None]


# ---- events (F5) ---------------------------------------------------------------------------


def test_f5_1_events_are_accepted_without_a_check() -> None:
    # Requests one a second at most: events do not count, though concurrency holds for them.
    rows = [event(0, 1), event(0, 1), row(0, 1, "g"), row(0, 1, "g")]
    result = play(*rows, concurrency=9, requests_per_second=1)
    assert column(result, "throttles") == [0, 0, 0, 1]
    assert column(result, "limit") == [None, None, None, "account_rps"]


def test_f5_7_payload_of_events_costs_requests_of_callers_does_not() -> None:
    def requests(**columns: Any) -> float:
        summary = play(row(0, 1, **columns)).summary
        return round(summary["cost_usd"]["requests"] / 0.0000002)

    assert requests(payload_bytes=300_000) == 1
    sizes = {262_144: 1, 262_145: 2, 262_144 + 65_536: 2, 262_145 + 65_536: 3}
    for size, count in sizes.items():
        assert requests(payload_bytes=size, source="async") == count


def test_q29_refused_attempts_of_events_cost_nothing() -> None:
    alone = play(event(0, 1)).summary["cost_usd"]["total"]
    blocked = play(row(0, 60, "g"), event(0, 1), concurrency=1)
    blocker = play(row(0, 60, "g")).summary["cost_usd"]["total"]
    assert one(blocked, 1, "throttles") == (6,)
    assert blocked.summary["cost_usd"]["total"] == pytest.approx(alone + blocker)


# ---- shared state (Z35) --------------------------------------------------------------------


def test_z35_a_wait_that_is_cut_is_the_wait_so_far() -> None:
    rows = [row(0, 9, "g", state_key="k"), row(1, 1, state_key="k")]
    result = play(*rows, f={"timeout_s": 3})
    assert one(result, 1, "outcome", "reason", "lock_wait_ms", "end", "billed_ms") == (
        "error", "TimedOut", 3_000, 4 * S, 3_000,
    )  # fmt: skip


def test_q27_a_limit_lowered_below_what_runs_lets_it_end() -> None:
    changes = {"changes": [change(1, account__concurrency=1)]}
    rows = [row(0, 5), row(0, 5), row(2, 1), row(5, 1), row(5, 1)]
    result = play(*rows, concurrency=2, sections=changes)
    assert column(result, "outcome") == [
        "success", "success", "throttled", "success", "throttled",
    ]  # fmt: skip
    assert seconds(result, "end") == [5, 5, None, 6, None]


# ---- the trace (Z51, Z52) ------------------------------------------------------------------


@pytest.mark.parametrize("source", ["sync", "async", None])
def test_z51_a_row_without_a_function_is_an_error(source: str | None) -> None:
    trace = pl.DataFrame(
        {"timestamp": [0, 1], "function": ["f", None], "duration_ms": [1.0, 1.0]}
    ).with_columns(source=pl.lit(source))
    with pytest.raises(lr.TraceError) as caught:
        lr.replay(trace)
    assert (caught.value.row, caught.value.column) == (1, "function")


def test_z52_several_accounts_are_refused_until_they_are_replayed() -> None:
    trace = pl.DataFrame(
        {
            "timestamp": [0, 1],
            "function": ["f"] * 2,
            "duration_ms": [1.0] * 2,
            "account": ["1", "2"],
        }
    )
    with pytest.raises(lr.TraceError) as caught:
        lr.replay(trace)
    assert caught.value.code == "LR-T-ACCOUNTS"
