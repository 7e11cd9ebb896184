"""Amazon SQS, worked by hand from the examples of event-sources.md.

A message that finds an idle slot is received after 12 ms and sent 30 ms later.
"""

from typing import Any

import pytest

from reference import Result
from reference.worked import (
    S,
    change,
    column,
    one,
    pull,
    record,
    row,
    rows_sent,
    seconds,
    sent,
    tries,
    us,
)  # fmt: skip

#: From sent to the first receive of an idle slot, and from there to attempt 0.
P = 0.012
I = 0.03  # noqa: E741
FIRST = P + I


def queue(*rows: dict[str, Any], **section: Any) -> Result:
    """Replay rows with a standard queue."""
    return pull(*rows, **{"kind": "sqs", "backoff": "off", **section})


def fifo(*rows: dict[str, Any], **section: Any) -> Result:
    """Replay rows with a FIFO queue."""
    return queue(*rows, kind="sqs_fifo", **section)


def starts(result: Result) -> list[float]:
    """Return when batches were tried, in seconds."""
    return [at for at, _, _ in sent(result)]


def instants(*seconds: float) -> Any:
    """Return what instants in seconds are compared with."""
    return pytest.approx(list(seconds), abs=1e-9)


# ---- receiving -----------------------------------------------------------------------------


def test_p20_an_idle_slot_receives_after_its_latency_a_busy_one_at_once() -> None:
    rows = [record(0, 1), record(0.5, 1), record(0.9, 1)]
    result = queue(*rows, maximum_concurrency=2, batch_size=1)
    # Slots until 1.042 and 1.542; the third message is received at 1.042.
    assert starts(result) == instants(FIRST, 0.5 + FIRST, 1.042 + I)
    assert seconds(result, "settled") == instants(1.042, 1.542, 2.072)


def test_p20_no_concurrency_is_held_before_attempt_0() -> None:
    result = queue(record(0, 1), row(0.02, 0.02, "g"))
    (region,) = (line for line in result.metrics if line["function"] is None)
    assert region["ConcurrentExecutions"] == 1


def test_e0_2_messages_that_come_within_the_latency_go_together() -> None:
    result = queue(record(0, 0), record(0.012, 0), record(0.0121, 0))
    assert rows_sent(result) == [[0, 1], [2]]
    assert starts(result) == instants(FIRST, 0.0121 + FIRST)


def test_e0_6_11_filtered_messages_count_for_the_receive_alone() -> None:
    rows = [record(0, 0, filtered=True), *[record(0, 0) for _ in range(3)]]
    result = queue(*rows, batch_size=3)
    # One call of three: a filtered one and two more; the next slot has the last one.
    assert rows_sent(result) == [[1, 2], [3]]
    assert column(result, "outcome")[0] == "filtered"
    assert seconds(result, "settled")[0] == pytest.approx(P)
    result = queue(*rows, batch_size=3, maximum_batching_window_s=1)
    assert rows_sent(result) == [[1, 2, 3]]


def test_e5_1_five_batches_at_first_then_five_more_a_second() -> None:
    rows = [record(0, 10) for _ in range(9)]
    result = queue(*rows, batch_size=1)
    # The backlog begins at 0.012; a slot more every 0.2 s.
    assert starts(result) == instants(*[FIRST] * 5, *[FIRST + 0.2 * n for n in range(1, 5)])
    result = queue(*rows, batch_size=1, maximum_concurrency=6)
    assert starts(result)[:6] == instants(*[FIRST] * 5, FIRST + 0.2)
    assert starts(result)[6] == pytest.approx(10.042 + I)
    result = queue(*rows, batch_size=1, maximum_concurrency=2)
    assert starts(result)[:4] == instants(FIRST, FIRST, 10.072, 10.072)


def test_p15_growth_in_steps() -> None:
    rows = [record(0, 100) for _ in range(7)]
    result = queue(*rows, batch_size=1, ramp="step60", visibility_timeout_s=200)
    assert starts(result) == instants(*[FIRST] * 5, 60 + FIRST, 60 + FIRST)


def test_p16_fewer_slots_after_a_minute_and_after_fifteen() -> None:
    def later(idle: float) -> list[float]:
        rows = [record(0, 1) for _ in range(10)] + [record(2.3 + idle, 1) for _ in range(10)]
        return starts(queue(*rows, batch_size=1))[10:]

    # The backlog lasts from 0.012 to 1.012: ten slots, then free until the queue is filled again.
    assert sum(at == pytest.approx(2.3 + 30 + FIRST) for at in later(30)) == 10
    assert sum(at == pytest.approx(2.3 + 60 + FIRST) for at in later(60)) == 5
    assert sum(at == pytest.approx(2.3 + 1000 + FIRST) for at in later(1000)) == 2


# ---- window --------------------------------------------------------------------------------


def test_e0_2_a_window_from_the_first_message_of_an_idle_slot() -> None:
    rows = [record(0, 1), record(1, 1), record(4, 1), record(8.5, 1)]
    result = queue(*rows, maximum_batching_window_s=5, batch_size=3)
    # Received at 0.012, 1 and 4: full then. Its next window is open from 7.03 to 12.03.
    assert starts(result) == instants(4.03, 12.06)
    assert rows_sent(result) == [[0, 1, 2], [3]]
    result = queue(*rows[:2], maximum_batching_window_s=5)
    assert starts(result) == instants(5.012 + I)


def test_e0_6_14_a_window_that_ends_empty_makes_the_slot_idle() -> None:
    rows = [record(0, 0), record(10.5, 0)]
    result = queue(*rows, maximum_batching_window_s=5)
    # First sent at 5.042, window open until 10.042; the second is received at 10.512.
    assert starts(result) == instants(5.042, 15.542)


def test_e5_2_the_effective_visibility() -> None:
    rows = [record(0, 0, error="handled", error_runs=1)]
    result = queue(*rows, maximum_batching_window_s=5, f={"timeout_s": 26})
    # W + timeout > 30: 5 + 26 + 30 = 61 s from the receive at 0.012.
    assert starts(result) == instants(5.042, 61.024 + 5 + I)
    result = queue(*rows, maximum_batching_window_s=5, f={"timeout_s": 25})
    assert starts(result) == instants(5.042, 30.024 + 5 + I)


# ---- failures and leases -------------------------------------------------------------------


def test_e0_2_a_failed_batch_comes_back_at_the_end_of_its_lease() -> None:
    rows = [record(0, 1, error="handled", error_runs=2), record(0, 1)]
    result = queue(*rows)
    assert rows_sent(result) == [[0, 1]] * 3
    assert starts(result) == instants(FIRST, 30.012 + FIRST, 60.024 + FIRST)
    assert column(result, "outcome") == ["success", "success"]
    assert column(result, "errors") == [2, 2]


def test_e5_7_listed_messages_stay() -> None:
    rows = [record(0, 1, error="item", error_runs=1), record(0, 1)]
    result = queue(*rows, report_batch_item_failures=True)
    assert rows_sent(result) == [[0, 1], [0]]
    assert [attempt["outcome"] for attempt in result.attempts] == ["error", "success", "success"]
    assert rows_sent(queue(*rows)) == [[0, 1]]


@pytest.mark.parametrize("receives", [1, 2, 3])
def test_e5_2_a_message_moves_at_the_receive_after_the_last_allowed_one(receives: int) -> None:
    rows = [record(0, 0, error="handled")]
    result = queue(*rows, max_receive_count=receives, dead_letter_queue="dlq")
    assert one(result, 0, "outcome", "reason", "attempts") == (
        "discarded", "MaxReceiveCountExceeded", receives,
    )  # fmt: skip
    # Each lease ends 30 s after its receive, the next receive 12 ms later.
    assert one(result, 0, "settled") == (us(P + 30.012 * receives),)
    assert result.summary["deliveries"] == {"dlq": 1}


def held(*busy: tuple[float, float], **section: Any) -> Result:
    """Replay a message while the function's one unit is held from time to time."""
    holds = [row(begin, end - begin, "f") for begin, end in busy]
    limits = {"reserved_concurrency": 1, "timeout_s": 60}
    return queue(record(0, 1), *holds, f=limits, **section)


def test_e5_3_with_headroom_on_the_same_lease() -> None:
    # Measured: 2 failed tries, success at 10.970, receive count 1.
    result = held((0, 10.008), visibility_timeout_s=120)
    assert tries(result, 0) == [
        (0.042, "throttled"), (3.642, "throttled"), (10.842, "success"),
    ]  # fmt: skip


def test_e5_3_without_headroom_once_a_lease() -> None:
    # Measured: one try on the first lease, success at 60.024.
    result = held((0, 33.03), visibility_timeout_s=60)
    assert tries(result, 0) == [(0.042, "throttled"), (60.054, "success")]


def test_e5_3_reserved_zero_counts_as_any_throttle() -> None:
    # Measured: tries at about 0 and 60 throttled, success at 120.048, receive count 3.
    key = "functions.f.reserved_concurrency"
    changes = [change(0, **{key: 0}), change(88.42, **{key: 1})]
    result = queue(
        record(0, 1),
        visibility_timeout_s=60,
        f={"timeout_s": 60},
        sections={"changes": changes},
    )
    assert tries(result, 0) == [
        (0.042, "throttled"), (60.054, "throttled"), (120.066, "success"),
    ]  # fmt: skip
    assert sum(line["Throttles"] or 0 for line in result.metrics if line["function"]) == 2


def test_e5_3_no_retries_on_the_lease() -> None:
    result = held((0, 10.008), visibility_timeout_s=120, throttle_retry="none")
    assert tries(result, 0) == [(0.042, "throttled"), (120.054, "success")]


def test_e0_6_9_a_try_may_end_exactly_with_the_lease() -> None:
    # Received at 0.012, so the lease ends at 33.612 + 0.042 - 0.012 = 33.642 of timeout 30.
    limits = {"reserved_concurrency": 1, "timeout_s": 30}
    rows = [record(0, 1), row(0, 3, "f")]
    result = queue(*rows, f=limits, visibility_timeout_s=33.63)
    assert tries(result, 0) == [(0.042, "throttled"), (3.642, "success")]
    result = queue(*rows, f=limits, visibility_timeout_s=33.629)
    assert tries(result, 0) == [(0.042, "throttled"), (33.683, "success")]


def test_e0_6_9_a_lease_given_up_frees_the_slot() -> None:
    rows = [record(0, 1), record(0, 1), row(0, 3, "f"), record(1, 0)]
    result = queue(
        *rows, f={"reserved_concurrency": 1, "timeout_s": 30}, batch_size=1, maximum_concurrency=2
    )
    # Both slots are free again at 0.042.
    assert tries(result, 3)[0][0] == pytest.approx(1 + FIRST)


def test_e0_6_12_a_run_longer_than_its_lease() -> None:
    result = queue(record(0, 40), visibility_timeout_s=30, retention_s=80)
    # The delete at 40.042 comes with the older receipt; so does the next one at 70.054, when a
    # third run has begun at 60.066, whose lease ends after the retention.
    assert starts(result) == instants(FIRST, 30.012 + FIRST, 60.024 + FIRST)
    assert one(result, 0, "outcome", "settled", "errors") == ("expired", us(90.036), 0)


def test_e0_6_12_a_delete_after_the_lease_works_while_nobody_received_it() -> None:
    rows = [record(0, 40), *[record(0.02, 60) for _ in range(4)]]
    changes = [change(20, **{"event_sources.s.enabled": False})]
    result = queue(*rows[:1], sections={"changes": changes})
    assert one(result, 0, "outcome", "attempts", "settled") == ("success", 1, us(40.042))


def test_e0_6_12_retention_at_the_end_of_a_lease() -> None:
    rows = [record(0, 0, error="handled")]
    result = queue(*rows, retention_s=70)
    assert one(result, 0, "outcome", "reason", "settled", "attempts") == (
        "expired", "RetentionExpired", us(90.036), 3,
    )  # fmt: skip


# ---- scaling by errors ---------------------------------------------------------------------


def test_e5_4_errors_leave_fewer_slots() -> None:
    rows = [record(0, 1, error="handled") for _ in range(5)]
    rows += [record(2, 50) for _ in range(5)] + [record(2, 0) for _ in range(2)]
    result = queue(*rows, batch_size=1, backoff="ratio", visibility_timeout_s=1_000,
                   retention_s=900, maximum_concurrency=5)  # fmt: skip
    # All five failed: ratio 0.11, so two slots until the errors are a minute old at 61.042.
    later = [at for at, _, own in sent(result) if own[0] >= 5]
    assert later[:2] == instants(2 + FIRST, 2 + FIRST)
    assert later[2] == pytest.approx(52.042 + I)
    # Without a limit the backlog brings slots: three at 27 of them (27 · 0.1122 = 3.03), which is
    # 4.4 s later.
    result = queue(*rows, batch_size=1, backoff="ratio", visibility_timeout_s=1_000,
                   retention_s=900)  # fmt: skip
    later = [at for at, _, own in sent(result) if own[0] >= 5]
    assert later[2] == pytest.approx(6.412 + I)


# ---- FIFO ----------------------------------------------------------------------------------


def test_e5_8_groups_are_locked_while_their_messages_are_leased() -> None:
    keys = ["A", "B", "A", "B", "A", "B"]
    result = fifo(*[record(0, 0.5, key=key) for key in keys], batch_size=2)
    assert rows_sent(result) == [[0, 2], [1, 3], [4, 5]]
    assert starts(result) == instants(FIRST, FIRST, 1.042 + I)


def test_e0_6_13_a_receive_fills_up_with_the_next_group() -> None:
    keys = ["A", "B", "A", "C"]
    result = fifo(*[record(0, 0, key=key) for key in keys], batch_size=3)
    assert rows_sent(result) == [[0, 2, 1], [3]] or rows_sent(result) == [[0, 1, 2], [3]]
    # In the attempts a batch's rows stand in the trace's order; C is left for the next slot.
    assert {tuple(sorted(rows)) for rows in rows_sent(result)} == {(0, 1, 2), (3,)}


def test_e5_1_concurrency_is_at_most_the_number_of_groups() -> None:
    rows = [record(0, 5, key=f"g{n % 6}") for n in range(24)]
    result = fifo(*rows, batch_size=1, maximum_concurrency=10)
    assert result.summary["max_concurrency"] == 6


def test_e5_8_one_group_never_has_two_environments() -> None:
    result = fifo(*[record(0, 5, key="g") for _ in range(5)], batch_size=1)
    assert result.summary["environments_created"] == 1
    assert starts(result) == instants(FIRST, *[FIRST + n * (5 + I) for n in range(1, 5)])


def test_e0_3_a_failed_batch_keeps_its_group_locked_until_the_lease_ends() -> None:
    rows = [record(0, 1, key="g", error="handled", error_runs=1), record(5, 1, key="g"),
            record(5, 1, key="h")]  # fmt: skip
    result = fifo(*rows, batch_size=1)
    assert seconds(result, "start") == instants(30.012 + FIRST, 31.084, 5 + FIRST)
    rows = [record(0, 1, key="g", error="handled"), record(5, 1, key="g")]
    result = fifo(*rows, batch_size=1, max_receive_count=1, dead_letter_queue="dlq")
    # Moved at 30.024, which unlocks the group in the same receive.
    assert one(result, 0, "outcome", "settled") == ("discarded", us(30.024))
    assert starts(result)[-1] == pytest.approx(30.024 + I)


def test_e9_every_message_sent_is_accounted_for() -> None:
    rows = [record(0, 1), record(0, 1, error="item"), record(0, 1, filtered=True)]
    result = queue(
        *rows, report_batch_item_failures=True, max_receive_count=2, dead_letter_queue="dlq"
    )
    lines = result.source_metrics
    counted = {
        metric: sum(line[metric] for line in lines)
        for metric in ("PolledEventCount", "InvokedEventCount", "DeletedEventCount")
    }
    assert counted == {"PolledEventCount": 4, "InvokedEventCount": 3, "DeletedEventCount": 2}


def test_e0_6_18_a_receive_limit_needs_a_dead_letter_queue() -> None:
    with pytest.raises(ValueError, match="dead_letter_queue"):
        queue(record(0, 1), max_receive_count=3)


def test_e5_6_provisioned_pollers_have_ten_each() -> None:
    rows = [record(0, 100) for _ in range(22)]
    result = queue(*rows, batch_size=1, provisioned_pollers={"min": 2, "max": 3},
                   visibility_timeout_s=900)  # fmt: skip
    # 1,000 a minute more: a slot each 60 ms.
    assert starts(result)[19:] == instants(FIRST, FIRST + 0.06, FIRST + 0.12)
    assert S == 1_000_000
