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


def test_q7_asynchronous_events_have_no_client() -> None:
    result = play(BLOCKER, row(1, source="async"), concurrency=1, f={"client_retry": "none"})
    assert one(result, 1, "outcome", "throttles") == ("success", 7)
