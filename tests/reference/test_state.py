"""Shared state, worked by hand: locks, optimistic writers, append."""

from typing import Any

import pytest

from reference import Result
from reference.worked import S, column, event, one, play, row, seconds


def write(at: float, duration: float = 1, function: str = "f", **columns: Any) -> dict[str, Any]:
    """Return a row that writes the record k."""
    return row(at, duration, function, **{"state_key": "k", **columns})


def read(at: float, duration: float = 1, function: str = "f", **columns: Any) -> dict[str, Any]:
    """Return a row that reads the record k."""
    return write(at, duration, function, state_access="read", **columns)


def state(*rows: dict[str, Any], f: Any = None, **section: Any) -> Result:
    """Replay rows that share state."""
    return play(*rows, f=f, sections={"state": section})


# ---- locks ---------------------------------------------------------------------------------


def test_state_writers_take_turns_in_the_order_of_their_begin() -> None:
    result = state(write(0, 3), write(1, 2), write(2, 1), row(2, 1))
    assert seconds(result, "end") == [3, 5, 6, 3]
    assert column(result, "lock_wait_ms") == [0, 2_000, 3_000, 0]
    # The wait is part of Duration, and billed.
    assert column(result, "billed_ms") == [3_000, 4_000, 4_000, 1_000]
    assert result.summary["lock_wait_s"] == 5
    assert column(result, "start") == [0, S, 2 * S, 2 * S]


def test_state_readers_share_and_wait_behind_a_waiting_writer() -> None:
    result = state(read(0, 5), read(1, 3), write(2, 2), read(3, 1), read(3, 1), write(4, 1))
    # The writer waits for both readers (5 s), the next readers wait behind it and go together.
    assert seconds(result, "end") == [5, 4, 7, 8, 8, 9]


def test_state_keys_are_global_unless_by_function() -> None:
    rows = [write(0, 3), write(1, 1, "g")]
    assert seconds(state(*rows), "end") == [3, 4]
    assert seconds(state(*rows, scope="function"), "end") == [3, 2]


def test_state_a_cold_start_asks_for_the_key_when_its_init_ends() -> None:
    # The second row arrives later, but its environment is ready earlier.
    result = state(write(0, 2, init_ms=3_000), write(1, 4, init_ms=1_000))
    assert seconds(result, "end") == [8, 6]
    assert column(result, "lock_wait_ms") == [3_000, 0]


def test_z31_a_key_is_held_to_the_release() -> None:
    result = state(write(0, 5, extension_ms=3_000), write(1, 1))
    assert seconds(result, "settled") == [2, 6]


def test_z10_a_run_still_waiting_at_its_timeout_is_cut() -> None:
    # Released at 4 s, the instant at which the second run's time-out comes: too late. The third
    # begins at 4 s.
    result = state(write(0, 4), write(1, 1), write(2, 1), f={"timeout_s": 3})
    assert seconds(result, "end") == [3, 4, 5]
    result = state(write(0, 3), write(0, 1), write(1, 1), f={"timeout_s": 3})
    assert seconds(result, "end") == [3, 3, 4]
    assert column(result, "reason") == [None, "TimedOut", None]
    assert one(result, 1, "lock_wait_ms", "billed_ms") == (3_000, 3_000)


def test_z10_the_wait_counts_towards_the_timeout() -> None:
    result = state(write(0, 2), write(0, 2), f={"timeout_s": 3})
    assert one(result, 1, "reason", "end", "lock_wait_ms", "billed_ms") == (
        "TimedOut", 3 * S, 2_000, 3_000,
    )  # fmt: skip


def test_z33_giving_up_is_a_handled_error_that_keeps_the_environment() -> None:
    rows = [write(0, 9, "g"), write(1, 1, error="crash"), row(5, 1)]
    result = state(*rows, max_lock_wait_s=2, f={"init_ms": 0})
    assert one(result, 1, "outcome", "reason", "end", "settled", "billed_ms") == (
        "error", "LockWaitExceeded", 3 * S, 3 * S, 2_000,
    )  # fmt: skip
    assert one(result, 2, "environment", "end") == (1, 6 * S)


def test_z33_the_limit_at_the_instant_of_a_release_gives_up() -> None:
    result = state(write(0, 2, "g"), write(0, 1), max_lock_wait_s=2)
    assert one(result, 1, "reason") == ("LockWaitExceeded",)


def test_z33_both_limits_together_are_a_timeout() -> None:
    result = state(write(0, 9, "g"), write(0, 1), max_lock_wait_s=2, f={"timeout_s": 2})
    assert one(result, 1, "reason") == ("TimedOut",)


def test_state_who_gives_up_lets_those_behind_it_through() -> None:
    # A writer gives up behind a reader; the reader behind it can go at once.
    rows = [read(0, 9, "g"), write(1, 1), read(2, 1)]
    assert seconds(state(*rows, max_lock_wait_s=3), "end") == [9, 4, 5]


def test_z10_a_wait_that_ends_now_is_not_granted_by_another_that_gives_up_now() -> None:
    # Both waits end at 4 s. The writer's giving up would let the reader behind it through.
    rows = [read(0, 9, "g"), write(1, 1), read(1, 1), read(3, 1, "g")]
    result = state(*rows, max_lock_wait_s=3)
    assert column(result, "reason") == [None, "LockWaitExceeded", "LockWaitExceeded", None]
    assert seconds(result, "end") == [9, 4, 4, 5]


def test_state_a_failed_run_holds_the_key_for_its_whole_duration() -> None:
    rows = [write(0, 3, error="crash"), write(1, 1), event(10, 1)]
    assert seconds(state(*rows), "end")[:2] == [3, 4]


def test_state_a_retry_queues_anew() -> None:
    # The event fails at 1 s and comes back at 61 s, behind the run that holds the key to 65 s.
    retried = event(0, 1, error="handled", error_runs=1, state_key="k")
    result = state(retried, write(60, 5))
    assert one(result, 0, "start", "end", "lock_wait_ms") == (61 * S, 66 * S, 4_000)


def test_z34_at_one_instant_requests_queue_in_the_order_of_events() -> None:
    # All three ask at 2 s: the init that ends is a timer, the arrivals follow by position.
    rows = [write(2, 1), write(2, 1), write(1, 1, init_ms=1_000)]
    assert seconds(state(*rows), "end") == [4, 5, 3]


# ---- optimistic ----------------------------------------------------------------------------


def test_z32_a_writer_that_was_overtaken_starts_over() -> None:
    result = state(write(0, 3), write(1, 3), discipline="optimistic")
    assert seconds(result, "end") == [3, 7]
    assert column(result, "conflicts") == [0, 1]
    assert column(result, "lock_wait_ms") == [0, 3_000]
    assert column(result, "billed_ms") == [3_000, 6_000]
    assert result.summary["conflicts"] == 1


def test_z32_of_two_that_end_together_the_later_arrival_starts_over() -> None:
    result = state(write(0, 3), write(1, 2), discipline="optimistic")
    assert seconds(result, "end") == [3, 5]


def test_z32_readers_never_start_over() -> None:
    result = state(write(0, 3), read(1, 3), discipline="optimistic")
    assert seconds(result, "end") == [3, 4]


def test_z32_after_max_retries_it_is_a_handled_error() -> None:
    rows = [write(0, 4), *[write(index, 1) for index in range(1, 9)]]
    result = state(*rows, discipline="optimistic", max_retries=1)
    # Row 0 would end at 4 s and again at 8 s; somebody wrote before both.
    assert one(result, 0, "outcome", "reason", "end", "conflicts") == (
        "error", "WriteConflict", 8 * S, 1,
    )  # fmt: skip


def test_z32_the_extension_comes_once() -> None:
    rows = [write(0, 2), write(1, 3, extension_ms=1_000)]
    result = state(*rows, discipline="optimistic")
    # Answer at 3 s conflicts; again 2 s, then the extension of 1 s.
    assert one(result, 1, "settled", "end", "lock_wait_ms") == (5 * S, 6 * S, 2_000)


def test_z32_with_a_backoff_the_version_is_remembered_at_the_new_begin() -> None:
    # Conflict at 3 s, again from 4 s; the third writes at 3.5 s, which no longer matters.
    rows = [write(0, 2), write(1, 2), write(2.5, 1)]
    result = state(*rows, discipline="optimistic", backoff_ms=1_000)
    assert seconds(result, "end") == [2, 6, 3.5]
    assert one(result, 1, "conflicts", "lock_wait_ms") == (1, 3_000)


def test_z32_a_run_that_fails_anyway_writes_nothing() -> None:
    result = state(write(0, 2, error="handled"), write(1, 3), discipline="optimistic")
    assert column(result, "conflicts") == [0, 0]


def test_z32_redone_time_counts_towards_the_timeout() -> None:
    rows = [write(0, 2), write(1, 3)]
    result = state(*rows, discipline="optimistic", f={"timeout_s": 4})
    # Begin of the last try at 4 s, cut at 5 s.
    assert one(result, 1, "reason", "end", "conflicts", "lock_wait_ms") == (
        "TimedOut", 5 * S, 1, 3_000,
    )  # fmt: skip


def test_z32_a_backoff_beyond_the_timeout_is_cut() -> None:
    rows = [write(0, 2), write(1, 3)]
    result = state(*rows, discipline="optimistic", backoff_ms=5_000, f={"timeout_s": 4})
    assert one(result, 1, "reason", "end", "lock_wait_ms") == ("TimedOut", 5 * S, 0)


# ---- append and all ------------------------------------------------------------------------

MIXED = [
    write(0, 3, init_ms=1_000), read(1, 2), event(1, 2, error="crash", state_key="k"), write(2, 0),
]  # fmt: skip


def test_state_append_equals_a_trace_without_keys() -> None:
    bare = [{key: value for key, value in one.items() if key != "state_key"} for one in MIXED]
    assert state(*MIXED, discipline="append").outcomes == play(*bare).outcomes


@pytest.mark.parametrize("discipline", ["lock", "optimistic"])
def test_state_with_keys_all_distinct_nothing_waits(discipline: str) -> None:
    bare = [{key: value for key, value in one.items() if key != "state_key"} for one in MIXED]
    distinct = [{**one, "state_key": f"k{index}", "error": None} for index, one in enumerate(MIXED)]
    bare = [{**one, "error": None} for one in bare]
    assert state(*distinct, discipline=discipline).outcomes == play(*bare).outcomes
