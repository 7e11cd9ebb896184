"""Provisioned concurrency, worked by hand."""

from typing import Any

from reference.philox import between, fnv1a
from reference.worked import S, change, column, event, one, play, row, seconds


def changing(*changes: dict[str, Any]) -> dict[str, Any]:
    """Return a section of changes."""
    return {"changes": list(changes)}


def test_q35_ready_at_the_traces_start() -> None:
    result = play(row(5, 1, init_ms=500), f={"provisioned_concurrency": 1})
    assert one(result, 0, "provisioned", "cold", "init_ms", "end", "spillover_reason") == (
        True, False, 0, 6 * S, None,
    )  # fmt: skip
    assert result.summary["environments_created"] == 0
    assert result.summary["provisioned_invocations"] == 1
    assert result.summary["warm_starts"] == result.summary["cold_starts"] == 0


def test_z22_an_integer_serves_every_row_of_the_name_a_table_its_qualifiers() -> None:
    rows = [row(0), row(0, 1, "f:live"), row(0, 1, "f:2")]
    assert column(play(*rows, f={"provisioned_concurrency": 3}), "provisioned") == [True] * 3
    table = {"provisioned_concurrency": {"live": 3}}
    assert column(play(*rows, f=table), "provisioned") == [False, True, False]
    short = {"provisioned_concurrency": {"initial": 3}}
    assert column(play(*rows, f=short), "provisioned") == [True] * 3


def test_z24_busy_ones_spill_over_to_a_pool_of_their_own() -> None:
    rows = [row(0, 5), row(1, 1), row(3, 1), row(6, 1)]
    result = play(*rows, f={"provisioned_concurrency": 1})
    assert column(result, "provisioned") == [True, False, False, True]
    assert column(result, "spillover_reason") == [None, "busy", "busy", None]
    assert column(result, "cold") == [False, True, False, False]
    assert result.summary["spillover_invocations"] == 2
    assert result.summary["spillover_by_reason"] == {"busy": 2}
    (minute,) = (line for line in result.metrics if line["function"] == "f")
    assert minute["ProvisionedConcurrencyInvocations"] == 2
    assert minute["ProvisionedConcurrencySpilloverInvocations"] == 2
    assert minute["ProvisionedConcurrentExecutions"] == 1
    assert minute["ProvisionedConcurrencyUtilization"] == 1
    assert minute["environments"] == 2


def test_f1_4_above_ten_a_second_requests_spill_over() -> None:
    rows = [row(index / 100, 0) for index in range(11)] + [event(0.5, 0)]
    result = play(*rows, f={"provisioned_concurrency": 1}, scaling="off")
    assert column(result, "spillover_reason") == [None] * 10 + ["request_rate", None]
    # Z24: asynchronous runs are exempt.
    assert result.outcomes[11]["provisioned"]


def test_z24_choice_by_reuse_policy_fresh_ones_in_number_order() -> None:
    rows = [row(0), row(0), row(9)]
    f = {"provisioned_concurrency": 3}
    # Idle since the start: 0, 1, 2. The most recent goes first.
    assert column(play(*rows, f=f), "environment") == [2, 1, 1]
    assert column(play(*rows, f=f, reuse_policy="lru"), "environment") == [0, 1, 2]


def test_z23_ready_after_ninety_seconds_and_one_for_each_hundredth() -> None:
    rows = [row(0), row(90.019, 1), row(100, 1), row(100, 1)]
    f = {"provisioned_concurrency": 0}
    changes = changing(change(0, functions__f__provisioned_concurrency=2))
    result = play(*rows, f=f, sections=changes)
    assert column(result, "spillover_reason") == ["not_ready", "not_ready", None, None]
    assert column(result, "provisioned") == [False, False, True, True]
    # not_ready is no spillover: none was READY.
    assert result.summary["spillover_invocations"] == 0
    assert result.summary["spillover_by_reason"] == {}
    exactly = play(row(0), row(90.02, 1), f=f, sections=changes)
    assert column(exactly, "provisioned") == [False, True]


def test_z23_claimed_from_the_request() -> None:
    rows = [row(0, 1, "g"), row(2, 1, "g"), row(2, 1, "g")]
    changes = changing(change(1, functions__f__provisioned_concurrency=1))
    result = play(*rows, f={"provisioned_concurrency": 0}, sections=changes, concurrency=2)
    assert column(result, "limit") == [None, None, "account_concurrency"]


def test_z23_a_second_request_replaces_a_pending_one() -> None:
    changes = changing(
        change(0, functions__f__provisioned_concurrency=2),
        change(50, functions__f__provisioned_concurrency=1),
    )
    rows = [row(0), row(100), row(140.009), row(140.01)]
    result = play(*rows, f={"provisioned_concurrency": 0}, sections=changes)
    assert column(result, "provisioned") == [False, False, False, True]


def test_z23_a_request_not_above_ready_cancels_a_pending_one() -> None:
    changes = changing(
        change(1, functions__f__provisioned_concurrency=2),
        change(50, functions__f__provisioned_concurrency=1),
    )
    rows = [row(0), row(200, 1), row(200, 1)]
    result = play(*rows, f={"provisioned_concurrency": 1}, sections=changes)
    assert column(result, "provisioned") == [True, True, False]


def test_z23_the_old_amount_stays_until_the_new_is_ready() -> None:
    changes = changing(change(1, functions__f__provisioned_concurrency=2))
    rows = [row(0), row(50, 1), row(50, 1), row(95, 1), row(95, 1)]
    result = play(*rows, f={"provisioned_concurrency": 1}, sections=changes)
    assert column(result, "provisioned") == [True, True, False, True, True]


def test_z23_lowering_takes_idle_ones_at_once_busy_ones_at_release() -> None:
    changes = changing(change(2, functions__f__provisioned_concurrency=1))
    rows = [row(0, 5), row(0, 1), row(0, 6), row(7, 1), row(7, 1)]
    result = play(*rows, f={"provisioned_concurrency": 3}, sections=changes)
    # At 2 s one is idle (goes), two are busy: the first of them to end goes, too.
    assert column(result, "environment")[:3] == [2, 1, 0]
    gone = [(one.number, one.removed, one.cause) for one in result.environments if one.removed]
    assert gone == [(1, 2 * S, "lowered"), (2, 5 * S, "lowered")]
    assert column(result, "provisioned") == [True, True, True, True, False]
    assert result.environments[3].provisioned is False


def test_z23_a_crash_is_followed_by_a_suppressed_init() -> None:
    rows = [row(0, 1, error="crash"), row(2, 1, init_ms=700)]
    result = play(*rows, f={"provisioned_concurrency": 1})
    assert one(result, 1, "provisioned", "end", "init_ms", "billed_ms") == (
        True, 3_700_000, 0, 1_700,
    )  # fmt: skip
    destroyed = play(*rows, f={"provisioned_concurrency": 1}, error={"reset": "destroy"})
    assert one(destroyed, 1, "provisioned", "end", "environment") == (True, 3 * S, 1)


def test_z5_a_recycled_one_is_replaced_without_a_gap() -> None:
    # Idle at 10 s: replaced there. Busy at 20 s: replaced at its release.
    rows = [row(0, 1), row(12, 1), row(19, 5), row(25, 1)]
    result = play(*rows, f={"provisioned_concurrency": 1}, env={"max_lifetime": 10})
    assert column(result, "environment") == [0, 1, 1, 2]
    assert [(one.created, one.removed) for one in result.environments] == [
        (0, 10 * S), (10 * S, 24 * S), (24 * S, None),
    ]  # fmt: skip


def test_z5_lifetimes_are_drawn_by_pool_and_number() -> None:
    rows = [row(0, 1, "f:live"), row(0, 1, "f:live")]
    result = play(*rows, f={"provisioned_concurrency": {"live": 2}}, env={"max_lifetime": [1, 9]})
    for number, environment in enumerate(result.environments):
        drawn = between(
            S, 9 * S, seed=0, purpose="provlife", identity=(number, fnv1a("f:live")), attempt=0
        )
        assert environment.retires == drawn


def test_fnv1a_has_the_published_vectors() -> None:
    assert fnv1a("") == 0xCBF29CE484222325
    assert fnv1a("a") == 0xAF63DC4C8601EC8C
    assert fnv1a("foobar") == 0x85944171F73967E8


# ---- schedules and target tracking ---------------------------------------------------------


def test_z25_a_schedule_that_raises_min_above_the_size_requests_it_at_once() -> None:
    entry = {"at": "1970-01-01T00:00:10Z", "min": 2, "max": 5}
    f = {"provisioned_concurrency": {"initial": 1, "schedule": [entry]}}
    rows = [row(0, 1), row(100.009, 1), row(100.009, 1), row(102, 1), row(102, 1)]
    result = play(*rows, f=f)
    assert column(result, "provisioned") == [True, True, False, True, True]


def test_z25_a_schedule_that_lowers_max_below_the_size_lowers_it() -> None:
    f = {"provisioned_concurrency": {"initial": 2, "schedule": [{"at": 10 * S, "max": 0}]}}
    assert column(play(row(0), row(11), f=f), "provisioned") == [True, False]


def test_z25_a_schedule_may_recur() -> None:
    # One asked for at 120 s would be READY at 210.01 s, and at 180 s none is wanted. The one of
    # 240 s would be READY at 330.01 s, but the rate makes it two at 300 s, and at 360 s it is one
    # again, READY at 450.01 s.
    schedule = [
        {"cron": "0/2 * * * ? *", "min": 1, "max": 1},
        {"cron": "1/2 * * * ? *", "min": 0, "max": 0, "end_time": 200 * S},
        {"rate": "5 minutes", "start_time": 0, "end_time": 400 * S, "min": 2, "max": 2},
    ]
    f = {"provisioned_concurrency": {"schedule": schedule}}
    rows = [row(1, 1), row(215, 1), row(331, 1), row(395, 1), row(451, 1)]
    assert column(play(*rows, f=f), "provisioned") == [False, False, False, False, True]


def tracked(target: float, least: int, most: int, initial: int) -> dict[str, Any]:
    """Return a function with target tracking."""
    tracking = {"target": target, "min": least, "max": most}
    return {"provisioned_concurrency": {"initial": initial, "target_tracking": tracking}}


def test_z25_three_minutes_above_the_target_scale_out() -> None:
    # One environment, busy 45 s of each minute: 0.75 > 0.5. At 180 s: ceil(0.75 / 0.5) = 2,
    # READY at 180 + 90.01 s.
    rows = [row(60 * index, 45) for index in range(4)] + [row(270, 1), row(270.02, 1)]
    rows += [row(270.02, 1)]
    result = play(*rows, f=tracked(0.5, 1, 9, 1))
    assert column(result, "provisioned") == [True] * 6 + [False]
    assert len([one for one in result.environments if one.provisioned]) == 2
    (fresh,) = (one for one in result.environments if one.provisioned and one.created)
    assert fresh.created == 270_010_000


def test_z25_exactly_the_target_is_no_reason() -> None:
    rows = [row(60 * index, 42) for index in range(5)]
    result = play(*rows, f=tracked(0.7, 1, 9, 1))
    assert len(result.environments) == 1


def test_z25_a_minute_without_a_value_starts_the_count_anew() -> None:
    rows = [row(60 * index, 45) for index in (0, 1, 3, 4)] + [row(300, 5)]
    result = play(*rows, f=tracked(0.5, 1, 9, 1))
    assert len(result.environments) == 1


def test_z25_a_minute_without_a_value_counts_after_one_in_which_a_run_only_ended() -> None:
    # Values at 120 and 180 s, of one run; none at 240 s; one at 300 s, the first of a new count.
    result = play(row(75, 90), row(240, 45), row(300, 5), f=tracked(0.5, 1, 9, 1))
    assert len(result.environments) == 1


def test_z22_a_pool_that_the_configuration_has_no_more_serves_nobody() -> None:
    # One of two is still busy when the function has none, or a version's alone: nothing spills.
    for now in ("off", {"live": 1}):
        changes = [{"at": 10 * S, "set": {"functions.f.provisioned_concurrency": now}}]
        f = {"provisioned_concurrency": 2}
        result = play(row(0, 90), row(20, 1), f=f, sections={"changes": changes})
        assert column(result, "provisioned") == [True, False]
        assert column(result, "spillover_reason") == [None, None]


def test_z25_below_nine_tenths_of_the_target_scales_in_by_a_tenth_at_most() -> None:
    # 20 environments, one busy for 6 s: 0.1 / 20. floor(0.9 * 20) = 18, three minutes later 16.
    rows = [row(60 * index, 6) for index in range(7)]
    result = play(*rows, f=tracked(0.5, 17, 30, 20))
    gone = [one.removed for one in result.environments if one.removed]
    assert sorted(gone) == [180 * S] * 2 + [360 * S]


def test_z25_no_action_while_an_allocation_is_pending() -> None:
    # Tracking asks at 180 s for two; at 240 s, still pending, nothing is asked for.
    rows = [row(60 * index, 45) for index in range(6)]
    result = play(*rows, f=tracked(0.5, 1, 9, 1))
    assert [one.created for one in result.environments] == [0, 270_010_000]
    assert seconds(result, "end")[-1] == 345


def test_z22_an_integer_of_0_is_none_as_off_is() -> None:
    # The one that is busy when the function has none any more is no pool to spill from.
    for now in (0, "off"):
        changes = [{"at": 4 * S, "set": {"functions.f.provisioned_concurrency": now}}]
        rows = (row(3.5, 1.5), row(4.5, 1), row(6, 1))
        result = play(*rows, f={"provisioned_concurrency": 1}, sections={"changes": changes})
        assert column(result, "provisioned") == [True, False, False]
        assert column(result, "spillover_reason") == [None, None, None]
