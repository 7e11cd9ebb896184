"""Callers that try again, worked by hand."""

from itertools import pairwise
from typing import Any

from reference.philox import between
from reference.worked import S, column, one, play, row, tries

BLOCKER = row(0, 100, "g")


def retrying(client: Any, *rows: dict[str, Any], **account: Any) -> Any:
    """Replay rows of f, whose callers try again, behind a run that holds the only unit."""
    return play(*rows, f={"client_retry": client}, **{"concurrency": 1, **account})


def test_z28_none_by_default() -> None:
    assert one(play(BLOCKER, row(1), concurrency=1), 1, "outcome", "attempts") == ("throttled", 1)


def test_z28_a_custom_table_waits_from_each_refusal() -> None:
    client = {"max_attempts": 4, "base_s": 1, "cap_s": 3, "factor": 1}
    result = retrying(client, BLOCKER, row(10))
    # Waits 1, 2, min(4, 3).
    assert [at for at, _ in tries(result, 1)] == [10, 11, 13, 16]
    assert one(result, 1, "outcome", "reason", "limit", "attempts", "throttles", "settled") == (
        "throttled", "ConcurrentInvocationLimitExceeded", "account_concurrency", 4, 4, 16 * S,
    )  # fmt: skip
    assert result.summary["throttles"] == 4
    assert result.summary["throttled"] == 1


def test_z28_a_retry_that_runs_counts_and_waits_from_the_timestamp() -> None:
    client = {"max_attempts": 3, "base_s": 1, "factor": 0.5}
    result = retrying(client, row(0, 1.2, "g"), row(0, 1))
    # 0, 0.5 (wait 0.5), 1.5 (wait 1).
    assert tries(result, 1) == [(0, "throttled"), (0.5, "throttled"), (1.5, "success")]
    assert one(result, 1, "outcome", "reason", "attempts", "throttles", "wait_ms") == (
        "success", None, 3, 2, 1_500,
    )  # fmt: skip


def test_z28_uniform_factor_is_drawn_by_the_refused_try() -> None:
    client = {"max_attempts": 3, "base_s": 2, "cap_s": 3}
    result = retrying(client, BLOCKER, row(1))
    first = between(0, 2 * S, seed=0, purpose="client", identity=(1, 0), attempt=1)
    second = between(0, 3 * S, seed=0, purpose="client", identity=(1, 0), attempt=2)
    starts = [attempt["start"] for attempt in result.attempts if attempt["row"] == 1]
    assert starts == [S, S + first, S + first + second]


def test_f4_2_botocore_legacy_has_five_attempts_without_a_cap() -> None:
    result = retrying("botocore_legacy", BLOCKER, row(1))
    starts = [attempt["start"] for attempt in result.attempts if attempt["row"] == 1]
    waits = [
        between(0, 2**n * S, seed=0, purpose="client", identity=(1, 0), attempt=n + 1)
        for n in range(4)
    ]
    assert [later - start for start, later in pairwise(starts)] == waits


def test_f4_2_botocore_standard_has_three_attempts() -> None:
    for client in ("botocore_standard_2020", "botocore_standard_2026"):
        assert one(retrying(client, BLOCKER, row(1)), 1, "attempts") == (3,)


def test_z28_a_quota_of_ten_pays_two_retries() -> None:
    client = {"max_attempts": 9, "base_s": 1, "factor": 1, "quota": 10}
    assert [at for at, _ in tries(retrying(client, BLOCKER, row(1), row(2)), 1)] == [1, 2, 4]
    # Each row is its own client.
    assert column(retrying(client, BLOCKER, row(1), row(2)), "attempts") == [1, 3, 3]


def test_z28_only_429s_are_retried() -> None:
    result = play(row(0, error="crash"), f={"client_retry": "botocore_legacy"})
    assert one(result, 0, "outcome", "attempts") == ("error", 1)


def test_z28_every_try_is_a_request_of_its_own() -> None:
    # Two requests a second: the second try falls into the same window and is refused there.
    client = {"max_attempts": 3, "base_s": 0.25, "factor": 1}
    rows = [row(0, 0, "g"), row(0, 0, "g"), row(0.5, 0)]
    result = retrying(client, *rows, requests_per_second=2, scaling="off")
    assert tries(result, 2) == [(0.5, "throttled"), (0.75, "throttled"), (1.25, "success")]


def test_f5_6_reserved_zero_is_retried_by_callers() -> None:
    client = {"max_attempts": 2, "base_s": 1, "factor": 1}
    result = play(row(0), f={"client_retry": client, "reserved_concurrency": 0})
    assert one(result, 0, "limit", "attempts", "settled") == ("reserved_zero", 2, S)


def test_z28_a_read_timeout_starts_a_duplicate_and_the_first_answer_in_time_counts() -> None:
    # The first run takes 5 s, the client waits 2 s and tries again at 3 s: an environment of
    # its own, since the first is busy. The second run takes 5 s, too: no answer in time.
    client = {"max_attempts": 2, "base_s": 1, "factor": 1, "read_timeout_s": 2}
    result = play(row(0, 5), f={"client_retry": client})
    assert tries(result) == [(0, "success"), (3, "success")]
    assert one(result, 0, "outcome", "reason", "settled", "attempts", "end") == (
        "error", "TimedOut", 5 * S, 2, 8 * S,
    )  # fmt: skip
    assert result.summary["invocations"] == 2
    assert result.summary["max_concurrency"] == 2


def test_z28_a_second_try_may_answer_in_time() -> None:
    # The cold start makes the first try too slow; the second finds the environment at 3.5 s.
    client = {"max_attempts": 2, "base_s": 1.5, "factor": 1, "read_timeout_s": 2}
    result = play(row(0, 1, init_ms=2_000), f={"client_retry": client})
    assert one(result, 0, "outcome", "settled", "attempts", "throttles", "cold") == (
        "success", 4_500_000, 2, 0, False,
    )  # fmt: skip


def test_z1_an_answer_exactly_at_the_read_timeout_is_too_late() -> None:
    client = {"max_attempts": 1, "read_timeout_s": 2}
    assert one(play(row(0, 2), f={"client_retry": client}), 0, "outcome") == ("error",)
    assert one(play(row(0, 1.9), f={"client_retry": client}), 0, "outcome") == ("success",)


def test_z28_a_run_that_waits_for_its_record_goes_on_without_its_client() -> None:
    client = {"max_attempts": 2, "base_s": 1, "factor": 1, "read_timeout_s": 2}
    # The first holds the record up to 10 s. The second waits from 1 s on, its client until 3 s;
    # its second try queues behind its first at 4 s and is given up at 6 s. Both runs end at last:
    # 10 to 11 s, 11 to 12 s.
    result = play(
        row(0, 10, "g", state_key="a"), row(1, 1, state_key="a"), f={"client_retry": client}
    )
    assert tries(result, 1) == [(1, "success"), (4, "success")]
    assert one(result, 1, "outcome", "reason", "settled", "attempts", "end", "lock_wait_ms") == (
        "error", "TimedOut", 6 * S, 2, 12 * S, 7_000,
    )  # fmt: skip
    assert result.summary["invocations"] == 3


def test_z28_an_error_nobody_waits_for_counts_all_the_same() -> None:
    client = {"max_attempts": 2, "base_s": 0, "factor": 1, "read_timeout_s": 2}
    # Given up waiting at 3 s; the first run fails at 11 s, when the second has answered: a reader
    # that the record lets in at 10 s together with the first is no more than 2 s late.
    key = {"state_key": "a", "state_access": "read"}
    result = play(
        row(0, 4, "g", state_key="a"),
        row(1, 1, error="handled", error_runs=1, **key),
        f={"client_retry": client},
    )
    assert tries(result, 1) == [(1, "error"), (3, "success")]
    assert one(result, 1, "outcome", "settled", "attempts", "errors") == ("error", 5 * S, 2, 1)


def test_z28_patience_ends_before_a_wait_for_a_record_does() -> None:
    client = {"max_attempts": 1, "read_timeout_s": 2}
    result = play(
        row(0, 10, "g", state_key="a"),
        row(1, 1, state_key="a"),
        f={"client_retry": client},
        sections={"state": {"max_lock_wait_s": 2}},
    )
    assert one(result, 1, "outcome", "reason", "errors") == ("error", "TimedOut", 1)


def test_f4_2_an_adaptive_client_sends_freely_until_the_first_throttle() -> None:
    rows = [row(0, 1) for _ in range(5)]
    result = play(*rows, f={"client_retry": {"mode": "adaptive", "max_attempts": 1}})
    assert column(result, "wait_ms") == [0] * 5


def test_f4_2_after_a_throttle_an_adaptive_client_keeps_requests_back() -> None:
    client = {"mode": "adaptive", "max_attempts": 1}
    # The throttle at 1 s finds no rate measured yet: 0, so the bucket fills at the least rate, one
    # token in 2 s. The second request finds half a token and goes at 3 s; 2 answers in 2 s are 1 a
    # second, times 0.8, the bucket's 0.5 is less, times 0.7 is below 0.5: the next goes at 5 s.
    result = play(
        row(0, 100, "g"), row(1), row(2), row(2.1), concurrency=1, f={"client_retry": client}
    )
    assert [tries(result, position) for position in (1, 2, 3)] == [
        [(1, "throttled")], [(3, "throttled")], [(5, "throttled")],
    ]  # fmt: skip


def test_f4_2_an_adaptive_client_waits_for_its_token_after_its_back_off() -> None:
    client = {"mode": "adaptive", "max_attempts": 3, "base_s": 0.5, "factor": 1}
    # Back-off 0.5 s, but the token comes 2 s after the throttle; then 1 s, and again 2 s.
    result = play(row(0, 3, "g"), row(1), concurrency=1, f={"client_retry": client})
    assert tries(result, 1) == [(1, "throttled"), (3, "success")]
    assert one(result, 1, "wait_ms", "attempts", "throttles") == (2_000, 2, 1)
    result = play(row(0, 100, "g"), row(1), concurrency=1, f={"client_retry": client})
    assert [at for at, _ in tries(result, 1)] == [1, 3, 5]


def test_f4_2_the_callers_of_other_functions_have_clients_of_their_own() -> None:
    sections = {"defaults": {"client_retry": {"mode": "adaptive", "max_attempts": 1}}}
    result = play(
        row(0, 3, "g"), row(1), row(2, function="h"), row(3, function="g"),
        concurrency=1, sections=sections,
    )  # fmt: skip
    assert [tries(result, position)[0][0] for position in (1, 2, 3)] == [1, 2, 3]


def test_q7_asynchronous_events_have_no_client() -> None:
    result = play(BLOCKER, row(1, source="async"), concurrency=1, f={"client_retry": "none"})
    assert one(result, 1, "outcome", "throttles") == ("success", 7)
