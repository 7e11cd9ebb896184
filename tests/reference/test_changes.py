"""Changes, faults, load, time scale and the end of the replay, worked by hand."""

from datetime import UTC, datetime
from typing import Any

import pytest

from reference import replay
from reference.philox import between, chance
from reference.worked import STILL, S, change, column, event, one, play, row, seconds, tries

# ---- changes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "at", [S, "1970-01-01T00:00:01Z", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)]
)
def test_changes_take_instants_in_three_forms(at: Any) -> None:
    changes = [{"at": at, "set": {"account.concurrency": 1}}]
    rows = [row(0, 9), row(0.5, 9), row(0.5, 9, "g"), row(1, 9)]
    result = play(*rows, sections={"changes": changes}, concurrency=3)
    assert column(result, "outcome") == ["success"] * 3 + ["throttled"]


def test_z20_how_environments_and_events_are_handled_may_change() -> None:
    changes = [
        change(10, account__error__reset="destroy", account__proactive_fraction=1),
        change(10, account__async__dispatch_s=5),
    ]
    result = play(
        row(0, 1, error="crash"), row(5, 1, init_ms=1_000), row(11, 1, error="crash"),
        row(15, 1, init_ms=1_000), event(20, 1),
        sections={"changes": changes},
    )  # fmt: skip
    # Reset, then its init within the run; destroyed, then a new one whose init nobody waits for.
    assert column(result, "cold") == [True, False, False, True, False]
    assert column(result, "end") == [1 * S, 7 * S, 12 * S, 16 * S, 26 * S]


def test_z20_the_choice_of_an_environment_may_change() -> None:
    changes = [change(10, account__reuse_policy="lru")]
    rows = [row(0, 1), row(0, 2), row(5, 1), row(11, 1)]
    environments = column(play(*rows, sections={"changes": changes}), "environment")
    # The second became idle last at 2 s and again at 6 s.
    assert environments == [0, 1, 1, 0]


def test_z1_a_change_comes_before_everything_else_at_its_instant() -> None:
    sections = {"changes": [change(1, account__concurrency=2)]}
    result = play(row(0, 9), row(1, 9), sections=sections, concurrency=1)
    assert column(result, "outcome") == ["success", "success"]


def test_z1_several_changes_of_one_instant_go_in_file_order() -> None:
    sections = {"changes": [change(1, account__concurrency=2), change(1, account__concurrency=1)]}
    result = play(row(0, 9), row(1, 9), sections=sections, concurrency=1)
    assert column(result, "outcome") == ["success", "throttled"]


def test_z20_off_unsets() -> None:
    sections = {"changes": [change(1, functions__f__reserved_concurrency="off")]}
    result = play(row(0, 9), row(1, 9), sections={**sections}, f={"reserved_concurrency": 1})
    assert column(result, "outcome") == ["success", "success"]


def test_changes_of_the_defaults_and_of_globs_reach_their_functions() -> None:
    sections = {
        "changes": [
            change(1, defaults__init_ms=500, **{"functions__g*__init_ms": 700}),
        ]
    }
    result = play(row(0), row(2, 1, "h"), row(2, 1, "g1"), sections=sections)
    assert column(result, "init_ms") == [0, 500, 700]


# ---- faults --------------------------------------------------------------------------------


def faulty(*rows: dict[str, Any], f: Any = None, **fault: Any) -> Any:
    """Replay rows with one fault from 10 s to 20 s."""
    faults = [{"at": 10 * S, "for_s": 10, **fault}]
    return play(*rows, f=f, sections={"faults": faults})


def test_z36_slow_is_a_factor_on_runs_that_start_in_the_window() -> None:
    rows = [row(9, 2), row(10, 2, extension_ms=1_000), row(19.999999, 2), row(20, 2)]
    result = faulty(*rows, slow=2.0)
    assert seconds(result, "end") == [11, 14, 23.999999, 22]
    assert seconds(result, "settled")[1] == 12


def test_z36_slow_leaves_init_alone_and_the_timeout_applies() -> None:
    result = faulty(row(10, 2, init_ms=1_000), slow=2.0, f={"timeout_s": 3})
    assert one(result, 0, "reason", "end") == ("TimedOut", 14 * S)


def test_z36_init_is_a_factor_on_inits() -> None:
    result = faulty(row(10, 2, init_ms=1_000), row(9, 1, "g", init_ms=1_000), init=3.0)
    assert column(result, "init_ms") == [3_000, 1_000]


def test_z36_several_factors_multiply() -> None:
    faults = [
        {"at": 0, "for_s": 10, "slow": 2.0},
        {"at": 0, "for_s": 10, "slow": 1.5, "function": "f*"},
        {"at": 0, "for_s": 10, "slow": 9.0, "function": "g"},
    ]
    assert seconds(play(row(0, 2), sections={"faults": faults}), "end") == [6]


def test_z36_crash_before_handled_and_z14_a_faults_error_beats_error_runs() -> None:
    faults = [
        {"at": 0, "for_s": 10, "error": "handled"},
        {"at": 5 * S, "for_s": 5, "error": "crash"},
    ]
    rows = [row(0, error="handled", error_runs=0), row(5), row(20)]
    result = play(*rows, sections={"faults": faults})
    assert column(result, "reason") == ["Handled", "Crash", None]


def test_z21_throttle_comes_after_reserved_zero_and_reaches_provisioned_ones() -> None:
    result = faulty(row(10), throttle=True, f={"reserved_concurrency": 0})
    assert one(result, 0, "limit") == ("reserved_zero",)
    result = faulty(row(10), throttle=True, f={"provisioned_concurrency": 1})
    assert one(result, 0, "limit", "reason") == ("fault", "ConcurrentInvocationLimitExceeded")
    result = faulty(row(10), throttle=True, f={"reserved_concurrency": 1})
    assert one(result, 0, "reason") == ("ReservedFunctionConcurrentInvocationLimitExceeded",)
    assert result.summary["throttles_by_limit"] == {"fault": 1}


def test_z21_throttle_leaves_no_trace_in_windows() -> None:
    faults = [{"at": 10 * S, "for_s": 0.5, "throttle": True}]
    rows = [row(10, 0), row(10.5, 0), row(10.6, 0)]
    result = play(*rows, sections={"faults": faults}, requests_per_second=1)
    assert column(result, "limit") == ["fault", None, "account_rps"]


def test_z21_events_are_throttled_too() -> None:
    result = faulty(event(19), throttle=True)
    assert tries(result) == [(19, "throttled"), (20, "success")]


# ---- load and time scale -------------------------------------------------------------------


def test_z38_a_lower_load_keeps_a_subset() -> None:
    rows = [row(index) for index in range(40)]
    kept = {}
    for load in (0.2, 0.5, 0.9):
        result = play(*rows, sections={"replay": {"load": load}})
        kept[load] = set(column(result, "row"))
        assert kept[load] == {
            position
            for position in range(40)
            if chance(load, seed=0, purpose="load", identity=(position, 0), attempt=0)
        }
        assert result.summary["records"] == len(kept[load])
    assert kept[0.2] < kept[0.5] < kept[0.9]


def test_z38_a_higher_load_makes_copies_within_a_minute() -> None:
    result = play(row(0), row(5, 1, "g"), sections={"replay": {"load": 2.0}})
    assert column(result, "row") == [0, 0, 1, 1]
    assert column(result, "copy") == [0, 1, 0, 1]
    later = between(0, 60 * S, seed=0, purpose="copies", identity=(0, 0), attempt=0, copy=1)
    assert column(result, "timestamp")[:2] == [0, later]
    assert [attempt["copy"] for attempt in result.attempts if attempt["row"] == 0] == [0, 1]


def test_z38_a_fraction_is_made_by_chance() -> None:
    rows = [row(index) for index in range(20)]
    result = play(*rows, sections={"replay": {"load": 1.5}})
    made = [
        position
        for position in range(20)
        if chance(0.5, seed=0, purpose="load", identity=(position, 0), attempt=0, copy=1)
    ]
    assert [one["row"] for one in result.outcomes if one["copy"] == 1] == made


def test_z38_without_more_load_there_is_no_column() -> None:
    assert "copy" not in play(row(0)).outcomes[0]


def test_z37_time_scale_moves_arrivals_only() -> None:
    sections = {"replay": {"time_scale": 0.5}, "changes": [change(13, account__concurrency=1)]}
    rows = [row(10, 5), row(13.000001, 5), row(16, 5)]
    result = play(*rows, sections=sections)
    assert column(result, "timestamp") == [10_000_000, 11_500_000, 13_000_000]
    assert column(result, "outcome") == ["success", "success", "throttled"]


# ---- until ---------------------------------------------------------------------------------


def test_z39_until_leaves_later_rows_and_running_ones_pending() -> None:
    rows = [row(0, 3), row(1, 9, init_ms=500), row(5, 1), event(1, 1, "g", error="crash")]
    result = play(*rows, sections={"replay": {"until": 5 * S}})
    assert column(result, "outcome") == ["success", "pending", "pending", "pending"]
    assert one(result, 1, "start", "environment", "cold", "init_ms", "wait_ms", "attempts") == (
        S, 1, True, 500, 0, 1,
    )  # fmt: skip
    assert one(result, 1, "end", "billed_ms", "lock_wait_ms", "settled", "reason") == (None,) * 5
    assert one(result, 2, "attempts", "start", "settled") == (0, None, None)
    assert one(result, 3, "attempts", "errors", "end") == (1, 1, 2 * S)
    assert result.summary["invocations"] == 2
    assert result.summary["pending"] == 3
    # 3 s and 1 s ended, 4 s still running, of 5 s.
    assert result.summary["mean_concurrency"] == 8 / 5
    assert result.summary["max_concurrency"] == 3


def test_z39_what_happens_at_until_does_not_happen() -> None:
    result = play(row(0, 5), sections={"replay": {"until": 5 * S}})
    assert one(result, 0, "outcome", "end") == ("pending", None)
    assert result.attempts[0]["outcome"] is None


def test_z47_with_until_the_span_goes_to_it() -> None:
    result = play(row(0, 5), sections={"replay": {"until": 20 * S}})
    assert result.summary["mean_concurrency"] == 0.25


# ---- everything together -------------------------------------------------------------------


def test_z50_attempts_are_sorted_by_start_then_row() -> None:
    rows = [event(1, 1), row(0, 2), event(1, 1)]
    result = play(*rows, concurrency=1)
    order = [(attempt["start"], attempt["row"], attempt["attempt"]) for attempt in result.attempts]
    assert order == [
        (0, 1, 1), (S, 0, 1), (S, 2, 1), (2 * S, 0, 2), (2 * S, 2, 2), (4 * S, 2, 3),
    ]  # fmt: skip


def test_interface_5_an_attempt_has_all_its_columns() -> None:
    result = play(row(0, 1.5), row(1, 1), concurrency=1)
    assert result.attempts == [
        {
            "row": 0, "attempt": 1, "batch": 0, "outcome": "success", "reason": None,
            "limit": None, "start": 0, "end": 1_500_000, "cold": True, "provisioned": False,
            "environment": 0, "lock_wait_ms": 0.0, "billed_ms": 1_500,
        },
        {
            "row": 1, "attempt": 1, "batch": None, "outcome": "throttled",
            "reason": "ConcurrentInvocationLimitExceeded", "limit": "account_concurrency",
            "start": S, "end": S, "cold": None, "provisioned": None, "environment": None,
            "lock_wait_ms": None, "billed_ms": None,
        },
    ]  # fmt: skip


def test_same_seed_same_result() -> None:
    rows = [event(index / 3, 2, error="crash") for index in range(6)]
    scenario = {"account": {**STILL, "concurrency": 2, "async": {}}, "replay": {"seed": 9}}
    assert replay(scenario, rows).outcomes == replay(scenario, rows).outcomes
    other = replay({**scenario, "replay": {"seed": 8}}, rows)
    assert replay(scenario, rows).outcomes != other.outcomes
