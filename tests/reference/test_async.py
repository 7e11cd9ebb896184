"""Asynchronous events, worked by hand: waits, retries, maximum age, reserved zero."""

from reference.philox import between
from reference.worked import S, change, column, event, one, play, row, seconds, tries


def test_f5_3_two_retries_sixty_and_a_hundred_and_twenty_seconds_after_the_failed_run() -> None:
    result = play(event(0, 10, error="handled"))
    assert tries(result) == [(0, "error"), (70, "error"), (200, "error")]
    assert one(result, 0, "outcome", "reason", "attempts", "errors", "settled", "start") == (
        "error", "RetriesExhausted", 3, 3, 210 * S, 200 * S,
    )  # fmt: skip
    assert [attempt["reason"] for attempt in result.attempts] == ["Handled"] * 3


def test_f5_3_the_wait_counts_from_the_answer() -> None:
    result = play(event(0, 10, error="handled", extension_ms=4_000))
    assert [at for at, _ in tries(result)] == [0, 66, 192]


def test_f5_2_fewer_retries_where_configured() -> None:
    result = play(event(0, error="crash"), f={"maximum_retry_attempts": 0})
    assert one(result, 0, "outcome", "attempts") == ("error", 1)


def test_z14_error_runs_lets_a_retry_succeed() -> None:
    result = play(event(0, 1, error="crash", error_runs=1))
    assert tries(result) == [(0, "error"), (61, "success")]
    assert one(result, 0, "outcome", "errors", "wait_ms") == ("success", 1, 61_000)


def test_f5_4_throttle_waits_double_and_reproduce_the_measured_minute() -> None:
    # Measured: a 60-s run blocks a second event; with no jitter it is tried at 0, 1, 3, 7, 15,
    # 31 and runs at 63 s.
    result = play(event(0, 60), event(0, 1), f={"reserved_concurrency": 1})
    assert [at for at, _ in tries(result, 1)] == [0, 1, 3, 7, 15, 31, 63]
    assert one(result, 1, "throttles", "attempts", "outcome", "limit") == (6, 7, "success", None)


def test_f5_4_the_wait_is_at_most_five_minutes_and_six_hours_give_eighty_attempts() -> None:
    blocker = row(0, 30_000)
    result = play(blocker, event(0, 1), concurrency=1)
    starts = [at for at, _ in tries(result, 1)]
    assert len(starts) == 80
    assert starts[8:11] == [255, 511, 811]
    # Age 21,511 s + 300 s would be more than 21,600 s.
    assert one(result, 1, "outcome", "reason", "settled", "limit") == (
        "dropped", "EventAgeExceeded", 21_511 * S, "account_concurrency",
    )  # fmt: skip


def test_f5_5_attempts_by_maximum_age() -> None:
    for age, count, dropped in [(60, 6, 31), (180, 8, 127), (300, 9, 255), (3_600, 20, 3_511)]:
        result = play(row(0, 9_999), event(0), concurrency=1, sections={
            "defaults": {"maximum_event_age_s": age}})  # fmt: skip
        assert one(result, 1, "attempts", "settled") == (count, dropped * S)


def test_f5_5_exactly_the_maximum_age_is_still_tried() -> None:
    # Throttled at 0, 1, 3, ..., 31: the next wait ends at age 63 s.
    f = {"maximum_event_age_s": 63}
    assert one(play(row(0, 50, "g"), event(0), f=f, concurrency=1), 1, "outcome", "start") == (
        "success", 63 * S,
    )  # fmt: skip


def test_f5_5_a_failed_run_that_does_not_fit_is_dropped_at_its_end() -> None:
    result = play(event(0, 130, error="handled"), f={"maximum_event_age_s": 180})
    assert one(result, 0, "outcome", "reason", "settled", "errors") == (
        "dropped", "EventAgeExceeded", 130 * S, 1,
    )  # fmt: skip


def test_f5_5_exhausted_retries_are_tested_before_age() -> None:
    f = {"maximum_event_age_s": 60, "maximum_retry_attempts": 0}
    assert column(play(event(0, 100, error="handled"), f=f), "reason") == ["RetriesExhausted"]


def test_q20_a_run_resets_the_throttle_back_off() -> None:
    # Runs and fails at 0..1; at 61 s the blocker is there: throttled at 61, 62, 64.
    rows = [event(0, 1, error="handled", error_runs=1), row(60, 5, "g")]
    assert tries(play(*rows, concurrency=1)) == [
        (0, "error"), (61, "throttled"), (62, "throttled"), (64, "throttled"), (68, "success"),
    ]  # fmt: skip


def test_q21_jitter_is_drawn_by_row_and_attempt() -> None:
    result = play(event(0, 1, error="handled"), **{"async": {"jitter_half": 0.125}})
    first = between(52_500_000, 67_500_000, seed=0, purpose="jitter", identity=(0, 0), attempt=1)
    second = between(105_000_000, 135_000_000, seed=0, purpose="jitter", identity=(0, 0), attempt=2)
    starts = [attempt["start"] for attempt in result.attempts]
    assert starts == [0, S + first, 2 * S + first + second]


def test_z27_under_deadline_an_event_waits_for_its_maximum_age() -> None:
    result = play(
        row(0, 999, "g"), event(0), concurrency=1, f={"maximum_event_age_s": 60},
        **{"async": {"jitter_half": 0, "expiry": "deadline"}},
    )  # fmt: skip
    assert one(result, 1, "outcome", "attempts", "settled") == ("dropped", 6, 60 * S)


def test_z27_under_deadline_an_attempt_exactly_then_still_runs() -> None:
    result = play(
        row(0, 50, "g"), event(0), concurrency=1, f={"maximum_event_age_s": 63},
        **{"async": {"jitter_half": 0, "expiry": "deadline"}},
    )  # fmt: skip
    assert one(result, 1, "outcome", "start") == ("success", 63 * S)


def test_z27_under_deadline_a_run_that_ends_too_late_is_dropped_at_its_end() -> None:
    result = play(
        event(0, 100, error="handled"), f={"maximum_event_age_s": 60},
        **{"async": {"jitter_half": 0, "expiry": "deadline"}},
    )  # fmt: skip
    assert one(result, 0, "outcome", "settled") == ("dropped", 100 * S)


def test_f5_6_reserved_zero_drops_at_once_without_a_throttle() -> None:
    result = play(event(5), f={"reserved_concurrency": 0, "on_failure": "dlq"})
    assert one(result, 0, "outcome", "reason", "limit", "settled", "attempts", "throttles") == (
        "dropped", "ZeroReservedConcurrency", "reserved_zero", 5 * S, 0, 0,
    )  # fmt: skip
    assert result.attempts == []
    assert result.summary["never_ran"] == 1
    assert result.summary["deliveries"] == {"dlq": 1}
    (minute,) = (line for line in result.metrics if line["function"] == "f")
    assert (minute["AsyncEventsReceived"], minute["AsyncEventsDropped"]) == (1, 1)
    assert minute["Throttles"] is None


def test_z26_reserved_zero_set_while_queued_acts_at_the_next_attempt() -> None:
    changes = {"changes": [change(10, functions__f__reserved_concurrency=0)]}
    result = play(event(0, 1, error="handled"), sections=changes)
    assert one(result, 0, "outcome", "reason", "settled", "attempts") == (
        "dropped", "ZeroReservedConcurrency", 61 * S, 1,
    )  # fmt: skip


def test_z8_age_and_retries_are_read_at_each_failure() -> None:
    changes = {"changes": [change(10, functions__f__maximum_retry_attempts=1)]}
    assert column(play(event(0, 1, error="handled"), sections=changes), "attempts") == [2]
    changes = {"changes": [change(10, functions__f__maximum_event_age_s=60)]}
    result = play(event(0, 1, error="handled"), sections=changes)
    # The wait until 61 s goes on; the next failure at 62 s drops it.
    assert one(result, 0, "outcome", "settled") == ("dropped", 62 * S)


def test_q18_dispatch_delays_the_first_attempt() -> None:
    result = play(event(0), **{"async": {"dispatch_s": 2}})
    assert one(result, 0, "start", "wait_ms") == (2 * S, 2_000)


def test_z13_an_extension_cut_by_the_timeout_is_a_success_for_the_queue() -> None:
    result = play(event(0, 5, extension_ms=3_000), f={"timeout_s": 4})
    assert one(result, 0, "outcome", "errors", "attempts", "settled") == ("success", 1, 1, 2 * S)
    assert result.summary["success"] == 1
    (minute,) = (line for line in result.metrics if line["function"] == "f")
    assert (minute["Errors"], minute["AsyncEventsDropped"]) == (1, 0)


def test_z1_arrivals_come_before_retries_of_the_same_instant() -> None:
    # At 1 s: the blocker ends, g arrives, and only then the event is tried again.
    rows = [row(0, 1, "h"), event(0, 1), row(1, 9, "g")]
    result = play(*rows, concurrency=1)
    assert column(result, "outcome")[2] == "success"
    assert tries(result, 1)[1] == (1, "throttled")


def test_z1_retries_of_one_instant_go_by_arrival() -> None:
    rows = [row(0, 1, "h"), event(0, 9), event(0, 9)]
    result = play(*rows, concurrency=1)
    assert [attempt["row"] for attempt in result.attempts if attempt["start"] == S] == [1, 2]
    assert tries(result, 1)[1] == (1, "success")
    assert tries(result, 2)[1] == (1, "throttled")


def test_z53_a_delivery_for_each_error_and_drop() -> None:
    rows = [event(0, error="crash"), event(0), event(0, 1, "g", error="crash")]
    result = play(*rows, f={"on_failure": "dlq"})
    assert result.summary["deliveries"] == {"dlq": 1}
    assert [line["deliveries"] for line in result.functions] == [{"dlq": 1}, {}]


def test_z30_received_is_what_became_of_the_events() -> None:
    rows = [event(0), event(0, error="crash"), event(1, 1, "g", error="handled")]
    result = play(*rows, sections={"functions": {"g": {"maximum_event_age_s": 60}}})
    region = [line for line in result.metrics if line["function"] is None]
    assert sum(line["AsyncEventsReceived"] or 0 for line in region) == 3
    assert sum(line["AsyncEventsDropped"] or 0 for line in region) == 2
    assert sum(line["AsyncEventsDropped_samples"] or 0 for line in region) == 3
    assert seconds(result, "settled")[2] == 2
    assert max(line["AsyncEventAge_max"] or 0 for line in region) == 182_000
