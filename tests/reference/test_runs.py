"""Runs and their environments, worked by hand: time-outs, errors, inits, extensions, reuse."""

from typing import Any

import pytest

from reference.worked import S, change, column, one, play, row, seconds

# ---- time-outs -----------------------------------------------------------------------------


def test_z10_exactly_the_timeout_is_in_time() -> None:
    result = play(row(0, 3), row(9, 3.000001), f={"timeout_s": 3})
    assert column(result, "outcome") == ["success", "error"]
    assert column(result, "reason") == [None, "TimedOut"]
    assert seconds(result, "end") == [3, 12]
    assert column(result, "billed_ms") == [3_000, 3_000]


def test_f3_5_a_timeout_resets_the_environment_and_the_next_run_pays_its_init() -> None:
    # The second run: 2 s suppressed init, then 1 s; all of it Duration, no init paid.
    result = play(row(0, 9, init_ms=500), row(20, 1, init_ms=2_000), f={"timeout_s": 3})
    assert one(result, 0, "cold", "init_ms", "end", "billed_ms") == (True, 500, 3_500_000, 3_500)
    assert one(result, 1, "cold", "init_ms", "end", "billed_ms") == (False, 0, 23_000_000, 3_000)
    assert result.summary["duration_ms"]["max"] == 3_000


def test_z11_a_timeout_after_a_suppressed_init_reports_the_timeout_alone() -> None:
    # Measured: the clock of the handler starts after the suppressed init.
    result = play(row(0, 1, error="crash"), row(9, 5, init_ms=2_000), f={"timeout_s": 3})
    assert one(result, 1, "end", "billed_ms", "reason") == (14_000_000, 3_000, "TimedOut")


def test_z11_a_suppressed_init_of_exactly_the_timeout_is_in_time() -> None:
    f = {"timeout_s": 3}
    first = row(0, 1, error="crash")
    result = play(first, row(9, 1, init_ms=3_000), f=f)
    assert one(result, 1, "outcome", "end", "billed_ms") == ("success", 13_000_000, 4_000)
    result = play(first, row(9, 1, init_ms=3_000.001), f=f)
    assert one(result, 1, "outcome", "end", "billed_ms") == ("error", 12_000_000, 3_000)


def test_z12_a_long_init_is_aborted_and_repeated_inside_the_invocation() -> None:
    result = play(row(0, 1, init_ms=11_000), f={"timeout_s": 20})
    # 10 s aborted, 11 s again, 1 s handler; Duration 12 s.
    assert one(result, 0, "cold", "init_ms", "end", "billed_ms") == (True, 0, 22_000_000, 12_000)


def test_z12_a_timeout_in_the_repeated_init() -> None:
    # Published: init aborted at 10 s, time-out 3 s, caller waited 13 s, billed 3,000 ms.
    result = play(row(0, 1, init_ms=11_000), row(20, 1, init_ms=1_000), f={"timeout_s": 3})
    assert one(result, 0, "outcome", "end", "billed_ms") == ("error", 13_000_000, 3_000)
    # The environment was reset: a suppressed init again.
    assert one(result, 1, "cold", "end", "billed_ms") == (False, 22_000_000, 2_000)


def test_z12_exactly_ten_seconds_is_in_time_and_the_limit_may_be_off() -> None:
    assert one(play(row(0, 1, init_ms=10_000)), 0, "init_ms", "end") == (10_000, 11_000_000)
    result = play(row(0, 1, init_ms=20_000), f={"init_timeout_s": "off"})
    assert one(result, 0, "init_ms", "end") == (20_000, 21_000_000)


# ---- errors --------------------------------------------------------------------------------


def test_f3_5_a_handled_error_keeps_the_environment_a_crash_resets_it() -> None:
    rows = [row(0, 1, error="handled"), row(2, 1, error="crash"), row(4, 1), row(8, 1)]
    result = play(*rows, f={"init_ms": 1_000})
    assert column(result, "reason") == ["Handled", "Crash", None, None]
    assert column(result, "cold") == [True, False, False, False]
    # The third run has a suppressed init, the fourth has not.
    assert seconds(result, "end") == [2, 3, 6, 9]
    assert column(result, "errors") == [1, 1, 0, 0]
    assert result.summary["error"] == 2


def test_z7_destroyed_environments_are_gone_at_release() -> None:
    result = play(row(0, 1, error="crash"), row(2), error={"reset": "destroy"})
    assert column(result, "environment") == [0, 1]
    assert column(result, "cold") == [True, True]


def test_z7_needs_init_plays_no_part_in_the_choice() -> None:
    # Environment 1 is reset and most recent: it is taken, and pays.
    rows = [row(0, 1), row(0, 2, error="crash"), row(9, 1)]
    result = play(*rows, f={"init_ms": 500})
    assert column(result, "environment") == [0, 1, 1]
    assert one(result, 2, "end", "init_ms") == (10_500_000, 0)


def test_z14_error_runs_counts_runs() -> None:
    # A sync row has one run: it fails with error_runs 1, and succeeds with 0.
    result = play(row(0, error="crash", error_runs=1), row(9, error="crash", error_runs=0))
    assert column(result, "outcome") == ["error", "success"]


def test_z14_item_is_a_success_without_an_event_source() -> None:
    assert column(play(row(0, error="item")), "outcome") == ["success"]


def test_z14_a_timeout_beats_the_rows_error() -> None:
    result = play(row(0, 5, error="handled"), f={"timeout_s": 3})
    assert column(result, "reason") == ["TimedOut"]


# ---- extensions ----------------------------------------------------------------------------


def test_z13_a_crash_with_an_extension_resets_at_release() -> None:
    rows = [row(0, 5, extension_ms=3_000, error="crash"), row(3, 1), row(6, 1)]
    result = play(*rows, f={"init_ms": 1_000})
    # The answer comes at 1 + 2 s, the release at 6 s: the second row needs an environment.
    assert one(result, 0, "settled", "end", "reason") == (3_000_000, 6_000_000, "Crash")
    assert column(result, "cold") == [True, True, False]
    # At 6 s the first environment is the only idle one but the second: most recent is the first.
    assert one(result, 2, "environment", "end") == (0, 8_000_000)


def test_z13_an_extension_that_runs_into_the_timeout() -> None:
    rows = [row(0, 5, extension_ms=3_000), row(9, 1)]
    result = play(*rows, f={"timeout_s": 4, "init_ms": 1_000})
    # Begin 1 s, answer 3 s, cut at 5 s; billed init 1 s and the time-out of 4 s.
    assert one(result, 0, "outcome", "reason", "errors", "settled", "end", "billed_ms") == (
        "success", None, 1, 3_000_000, 5_000_000, 5_000,
    )  # fmt: skip
    assert result.attempts[0]["outcome"] == "error"
    assert result.attempts[0]["reason"] is None
    # The environment was reset.
    assert one(result, 1, "end") == (11_000_000,)


def test_z13_an_extension_is_at_most_the_duration() -> None:
    result = play(row(0, 2, extension_ms=5_000))
    assert one(result, 0, "settled", "end") == (0, 2_000_000)


# ---- environments --------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "chosen"), [("mru", 1), ("lru", 2), ("fifo", 0)])
def test_z6_reuse_policies(policy: str, chosen: int) -> None:
    # Created 0, 1, 2; idle since 2, 3, 1 s.
    rows = [row(0, 2), row(0, 3), row(0, 1), row(9, 1)]
    result = play(*rows, reuse_policy=policy)
    assert result.outcomes[3]["environment"] == chosen


def test_z6_random_is_drawn_by_the_row() -> None:
    rows = [row(0, 2), row(0, 3), row(0, 1)] + [row(9 + 2 * index, 1) for index in range(40)]
    result = play(*rows, reuse_policy="random")
    assert set(column(result, "environment")[3:]) == {0, 1, 2}


def test_z8_a_change_of_memory_ends_idle_environments_at_once_busy_ones_at_release() -> None:
    rows = [row(0, 1), row(0, 5), row(3, 1), row(6, 1, "f"), row(6, 1, "g")]
    changes = {"changes": [change(2, functions__f__memory_mb=512)]}
    result = play(*rows, sections=changes)
    assert [(one.removed, one.cause) for one in result.environments[:2]] == [
        (2_000_000, "obsolete"), (5_000_000, "obsolete at release"),
    ]  # fmt: skip
    # The third row has a new environment, which the fourth finds.
    assert column(result, "environment") == [0, 1, 2, 2, 3]


def test_z8_a_change_of_concurrency_touches_no_environment() -> None:
    changes = {"changes": [change(2, functions__f__reserved_concurrency=5)]}
    assert column(play(row(0), row(3), sections=changes), "environment") == [0, 0]


def test_z8_a_run_keeps_the_settings_of_its_start() -> None:
    changes = {"changes": [change(1, functions__f__timeout_s=2)]}
    result = play(row(0, 5), row(9, 5), sections=changes)
    assert column(result, "outcome") == ["success", "error"]


def test_z9_latest_is_the_pool_without_a_qualifier() -> None:
    result = play(row(0), row(2, 1, "f:$LATEST"), row(4, 1, "f:live"))
    assert column(result, "environment") == [0, 0, 1]


def test_z54_a_hidden_init_is_billed_and_not_waited_for() -> None:
    result = play(row(0, 1, init_ms=500), proactive_fraction=1)
    assert one(result, 0, "cold", "init_ms", "end", "billed_ms") == (True, 0, 1_000_000, 1_500)


def test_z54_restore_replaces_every_init() -> None:
    result = play(row(0, 1, init_ms=5_000), f={"restore_ms": 200, "init_ms": 700})
    assert one(result, 0, "init_ms", "end") == (200, 1_200_000)


def test_z12_aborted_inits_are_not_billed_unless_asked() -> None:
    def billed(**account: Any) -> int:
        return play(row(0, 1, init_ms=11_000), **account).outcomes[0]["billed_ms"]

    assert billed() == 12_000
    assert billed(billing={"aborted_init": True}) == 22_000
    assert billed(billing={"aborted_init": True}, era="2023-11") == 12_000


def test_f3_1_durations_by_memory_are_those_of_the_trace_times_a_factor() -> None:
    f = {"memory_mb": 512, "duration_factor": {"512": 2.5, "1024": 0.5}}
    later = change(50, functions__f__memory_mb=1_024), change(70, functions__f__memory_mb=2_048)
    result = play(
        row(0, 2, extension_ms=1_000), row(60, 2), row(80, 2), f=f,
        sections={"changes": list(later)},
    )  # fmt: skip
    assert column(result, "end") == [5 * S, 61 * S, 82 * S]
    # The answer comes before the extension's 2.5 s.
    assert column(result, "settled")[0] == 2_500_000


def test_f3_1_the_memory_of_the_trace_keeps_its_durations() -> None:
    defaults = {"memory_mb": 512, "duration_factor": {"512": 2}}
    rows = [row(0, 1, memory_mb=512), row(10, 1)]
    assert [end / S for end in column(play(*rows[:1], sections={"defaults": defaults}), "end")] == [
        1
    ]
    result = play(
        row(0, 1, memory_mb=512), row(10, 1, memory_mb=None), sections={"defaults": defaults}
    )
    assert column(result, "end") == [1 * S, 12 * S]
    # What the function has of its own comes before the trace's (Z43).
    assert column(play(*rows[:1], f=defaults), "end") == [2 * S]
