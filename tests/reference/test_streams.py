"""Kinesis and DynamoDB Streams, worked by hand from the examples of event-sources.md.

Every shard opens at the first row, so its first batch starts one gap (20 ms) after it at the
earliest.
"""

from typing import Any

import pytest

from reference import Result, replay
from reference.streams import HASHES, hash_of, make_shards
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
)  # fmt: skip

#: Gap between batches of a lane.
G = 0.02


def handled(at: float, duration: float = 1, **columns: Any) -> dict[str, Any]:
    """Return a record whose runs fail."""
    return record(at, duration, error="handled", **columns)


def starts(result: Result) -> list[float]:
    """Return when batches were tried, in seconds."""
    return [at for at, _, _ in sent(result)]


def instants(*seconds: float) -> Any:
    """Return what instants in seconds are compared with."""
    return pytest.approx(list(seconds), abs=1e-9)


# ---- reading and batching ------------------------------------------------------------------


def test_e0_6_2_an_idle_shard_is_polled_on_its_grid() -> None:
    result = pull(record(0), record(2.3), record(4), record(4.000001))
    # Read at 0, 3, 4 and, because a run ends then, at 5.
    assert starts(result) == instants(G, 3, 4.02, 5.04)
    result = pull(record(0), record(1.3), kind="dynamodb")
    assert starts(result) == instants(G, 1.5)
    result = pull(record(0), record(2.3), poll_phase_s=0.5)
    assert starts(result) == instants(0.5, 2.5)
    result = pull(record(0), record(2.3), prop_delay_s=0.8)
    # A record that becomes visible at 0.8 is read at 1; one that does at 3.1, at 4.
    assert starts(result) == instants(1, 4)


def test_e0_6_2_a_read_at_the_end_of_a_run_moves_no_poll() -> None:
    result = pull(record(0, 0.5), record(0.3, 0.1), record(0.8, 0.1))
    # 0.52: end and read, second batch 0.54 to 0.64; the third waits for the poll at 1.
    assert starts(result) == instants(G, 0.54, 1)


def test_e3_enhanced_fan_out_pushes() -> None:
    result = pull(record(0), record(3.3, 0.1), enhanced_fan_out=True)
    assert starts(result) == instants(0.07, 3.37)


def test_e2_batches_fill_and_the_next_window_starts_with_the_end_of_the_last() -> None:
    # Measured: [1, 2], [3, 4] 23 ms later, [5] 4.992 s after the second.
    rows = [record(0, 0) for _ in range(5)]
    result = pull(*rows, kind="dynamodb", batch_size=2, maximum_batching_window_s=5)
    assert rows_sent(result) == [[0, 1], [2, 3], [4]]
    assert starts(result) == instants(G, 0.04, 5.04)


def test_p10_a_window_that_ends_empty_is_armed_again() -> None:
    rows = [record(0, 1), record(7), record(12.5)]
    result = pull(*rows, maximum_batching_window_s=5)
    # The first window from 0 to 5; run to 6; windows to 11 and to 16.
    assert starts(result) == instants(5, 11, 17)
    result = pull(*rows, maximum_batching_window_s=5, window_anchor="first_record")
    # Read at 0, 7 and 13 (polls).
    assert starts(result) == instants(5, 12, 18)


def test_p10_a_window_armed_again_ends_at_its_instant_with_the_record_read_then() -> None:
    result = pull(record(0, 0), record(10, 0), maximum_batching_window_s=5)
    assert starts(result) == instants(5, 10)


def test_e2_a_batch_ends_with_its_payload() -> None:
    # Encoded: 4 x 1,000,000 / 3 + 600 + 1; four fit into 6,291,456 bytes, five do not.
    rows = [record(0, 0, payload_bytes=1_000_000, key="k") for _ in range(5)]
    assert rows_sent(pull(*rows, maximum_batching_window_s=5)) == [[0, 1, 2, 3], [4]]
    rows = [record(0, 0, payload_bytes=3_145_107) for _ in range(2)]
    # DynamoDB: 2 (3,145,107 + 600) + 14 = 6,291,428; one read gives a megabyte, then the next.
    result = pull(*rows, kind="dynamodb", maximum_batching_window_s=5)
    assert rows_sent(result) == [[0, 1]]
    rows = [record(0, 0, payload_bytes=3_145_122) for _ in range(2)]
    result = pull(*rows, kind="dynamodb", maximum_batching_window_s=5)
    assert rows_sent(result) == [[0], [1]]


def test_interface_a_batch_runs_as_long_as_its_records_together_or_the_longest() -> None:
    rows = [record(0, 1), record(0, 2), record(0, 0.5)]
    assert seconds(pull(*rows, base_ms=100), "end") == instants(3.62, 3.62, 3.62)
    assert seconds(pull(*rows, base_ms=100, batch_duration="max"), "end") == (
        instants(2.12, 2.12, 2.12)
    )


def test_e0_1_filtered_records_are_settled_when_they_are_read() -> None:
    result = pull(record(0), record(0.5, filtered=True), record(0.5))
    assert column(result, "outcome") == ["success", "filtered", "success"]
    assert seconds(result, "settled") == instants(1.02, 1, 2.04)
    assert one(result, 1, "attempts", "start", "reason") == (0, None, None)
    assert result.summary["filtered"] == 1


def test_p9_a_shard_is_read_only_where_there_is_room() -> None:
    rows = [record(0, 3), record(0.5, 0), record(0.5, 0), record(3.5, 0)]
    result = pull(*rows, batch_size=1, lookahead=2)
    # Read at 1: two more, one beyond the room. Polls at 2 and 3 find none; the end at 3.02 does
    # not either.
    assert starts(result) == instants(G, 3.04, 3.06, 4)


# ---- order, keys, shards -------------------------------------------------------------------


def test_e0_6_7_keys_go_to_shards_as_kinesis_splits_them() -> None:
    shards = make_shards(3)
    assert [shard.low for shard in shards] == [0, -(-HASHES // 3), -(-2 * HASHES // 3)]
    for key in "abcdefgh":
        number = hash_of(key) * 3 // HASHES
        assert shards[number].low <= hash_of(key) < shards[number].high
    assert hash_of(None) == hash_of("") == 0xD41D8CD98F00B204E9800998ECF8427E


def test_e4_3_a_failing_shard_blocks_itself_alone() -> None:
    rows = [handled(0, 0, shard=0), record(0, 0, shard=1), record(0, 0, shard=0)]
    result = pull(*rows, shards=2, batch_size=1, maximum_retry_attempts=1)
    assert column(result, "outcome") == ["discarded", "success", "success"]
    assert seconds(result, "start") == instants(0.22, 0.02, 0.24)


def test_e4_2_lanes_keep_the_order_of_keys() -> None:
    keys = ["a", "b", "a", "b", "c"]
    lanes = [hash_of(key) % 2 for key in keys]
    rows = [record(0, 1, key=key) for key in keys]
    result = pull(*rows, parallelization_factor=2)
    assert sorted(rows_sent(result)) == sorted(
        [at for at, lane in enumerate(lanes) if lane == number] for number in set(lanes)
    )
    assert starts(result) == instants(*[G] * len(set(lanes)))


def test_p8_a_failing_lane_may_stop_its_sisters() -> None:
    by_lane = {hash_of(key) % 2: key for key in "abcdefgh"}
    bad = handled(0, 0.01, key=by_lane[0])
    rows = [bad, record(0, 1, key=by_lane[1]), record(0.5, 1, key=by_lane[1])]
    options = {"parallelization_factor": 2, "maximum_retry_attempts": 3, "batch_size": 1}
    assert seconds(pull(*rows, **options), "start") == instants(1.45, G, 1.04)
    # Tried at 0.02, 0.23, 0.64 and 1.45; the sister's second batch waits for the end of that try.
    assert seconds(pull(*rows, **options, lane_block="shard"), "start") == (instants(1.45, G, 1.46))


# ---- failures ------------------------------------------------------------------------------


@pytest.mark.parametrize(("retries", "runs"), [(0, 1), (1, 2), (2, 3), (3, 4)])
def test_e4_5_attempts_are_one_more_than_retries(retries: int, runs: int) -> None:
    result = pull(handled(0, 0), maximum_retry_attempts=retries)
    waits = [0, 0.2, 0.6, 1.4]
    assert starts(result) == instants(*[G + wait for wait in waits[:runs]])
    assert one(result, 0, "outcome", "reason", "attempts", "errors", "settled") == (
        "discarded", "RetryAttemptsExhausted", runs, runs, round(starts(result)[-1] * S),
    )  # fmt: skip


def test_e4_4_waits_double_from_the_end_of_a_run() -> None:
    result = pull(handled(0, 1, error_runs=3))
    assert tries(result) == [
        (0.02, "error"), (1.22, "error"), (2.62, "error"), (4.42, "success"),
    ]  # fmt: skip
    assert one(result, 0, "outcome", "errors", "batch") == ("success", 3, 3)
    result = pull(handled(0, 0, error_runs=4), retry_cap_s=0.4)
    assert starts(result) == instants(0.02, 0.22, 0.62, 1.02, 1.42)


@pytest.mark.parametrize(("age", "runs"), [(10, 8), (34, 8), (36, 7), (47, 7)])
def test_e4_4_k15_as_many_runs_as_measured(age: int, runs: int) -> None:
    # The first record fixes the start of polling; the second is first tried at that age.
    rows = [record(0, age - G, shard=0), handled(0, 0, shard=0)]
    result = pull(*rows, batch_size=1, maximum_record_age_s=60)
    first = one(result, 1, "outcome", "reason", "attempts", "settled")
    assert first == ("discarded", "RecordAgeExceeded", runs, 60 * S)


def test_e4_5_without_limits_retention_ends_it() -> None:
    result = pull(handled(0, 0), retention_s=3, on_failure="dlq")
    assert starts(result) == instants(0.02, 0.22, 0.62, 1.42)
    assert one(result, 0, "outcome", "reason", "settled") == ("expired", "RetentionExpired", 3 * S)
    assert result.summary["deliveries"] == {}


def test_e4_6_bisecting_goes_left_first() -> None:
    rows = [record(0, 0), handled(0, 0), record(0, 0), record(0, 0)]
    result = pull(*rows, bisect_batch_on_function_error=True, maximum_retry_attempts=1)
    assert rows_sent(result) == [[0, 1, 2, 3], [0, 1], [0], [1], [1], [2, 3]]
    assert starts(result) == instants(0.02, 0.04, 0.06, 0.08, 0.28, 0.30)
    assert column(result, "outcome") == ["success", "discarded", "success", "success"]
    assert column(result, "attempts") == [3, 4, 2, 2]


def test_e4_6_bisecting_with_partial_responses() -> None:
    rows = [record(0, 0), record(0, 0, error="item"), record(0, 0), record(0, 0)]
    result = pull(
        *rows,
        bisect_batch_on_function_error=True,
        maximum_retry_attempts=1,
        report_batch_item_failures=True,
    )
    assert rows_sent(result) == [[0, 1, 2, 3], [1, 2, 3], [1], [1], [2, 3]]
    assert starts(result) == instants(0.02, 0.04, 0.06, 0.26, 0.28)
    outcomes = [attempt["outcome"] for attempt in result.attempts]
    assert outcomes == [
        "success", "error", "error", "error", *["error"] * 3, "error", "error", *["success"] * 2,
    ]  # fmt: skip
    # No run was a function error.
    assert sum(line["Errors"] or 0 for line in result.metrics) == 0


def test_e4_6_an_odd_batch_has_the_smaller_half_first() -> None:
    rows = [handled(0, 0, error_runs=1) for _ in range(3)]
    result = pull(*rows, bisect_batch_on_function_error=True)
    assert rows_sent(result) == [[0, 1, 2], [0], [1, 2]]


def test_e4_7_the_lowest_listed_record_begins_the_rest() -> None:
    item = {"error": "item", "error_runs": 1}
    rows = [record(0, 0), record(0, 0), record(0, 0, **item), record(0, 0), record(0, 0, **item)]
    result = pull(*rows, report_batch_item_failures=True)
    assert rows_sent(result) == [[0, 1, 2, 3, 4], [2, 3, 4]]
    assert starts(result) == instants(G, 0.04)
    # A first record that is listed fails the batch: unchanged, after its back-off.
    result = pull(record(0, 0, **item), record(0, 0), report_batch_item_failures=True)
    assert rows_sent(result) == [[0, 1], [0, 1]]
    assert starts(result) == instants(G, 0.22)
    # Off: acknowledged.
    result = pull(*rows)
    assert rows_sent(result) == [[0, 1, 2, 3, 4]]


def test_e4_7_a_new_batch_has_its_own_quota() -> None:
    rows = [record(0, 0), record(0, 0, error="item")]
    result = pull(*rows, report_batch_item_failures=True, maximum_retry_attempts=1)
    assert rows_sent(result) == [[0, 1], [1], [1]]
    assert starts(result) == instants(G, 0.04, 0.24)


@pytest.mark.parametrize(("retries", "settled"), [(0, 0.02), (2, 0.62)])
def test_e4_8_a_record_that_no_payload_holds_is_discarded(retries: int, settled: float) -> None:
    rows = [record(0, 0, payload_bytes=5 * 2**20), record(0, 0)]
    result = pull(*rows, maximum_retry_attempts=retries)
    assert one(result, 0, "outcome", "reason", "start") == (
        "discarded", "RetryAttemptsExhausted", None,
    )  # fmt: skip
    assert seconds(result, "settled") == instants(settled, settled + G)
    assert rows_sent(result) == [[1]]


def test_e0_1_throttles_leave_the_quota_alone() -> None:
    rows = [row(0, 1, "g"), handled(0, 0)]
    sections = {"changes": [change(0, **{"account.concurrency": 1})]}
    result = pull(*rows, maximum_retry_attempts=1, sections=sections)
    assert tries(result, 1) == [
        (0.02, "throttled"), (0.22, "throttled"), (0.62, "throttled"), (1.42, "error"),
        (1.62, "error"),
    ]  # fmt: skip
    assert one(result, 1, "attempts", "throttles", "errors", "outcome") == (5, 3, 2, "discarded")
    batches = [one["batch"] for one in result.attempts if one["row"] == 1]
    assert len(set(batches)) == 5


# ---- age and retention ---------------------------------------------------------------------


def test_e4_9_a_prefix_that_is_too_old_is_cut_off() -> None:
    # Measured: six records, the first 80 s old, maximum 60 s: one discarded, five delivered.
    rows = [record(0, 0), *[record(30, 0) for _ in range(5)]]
    result = pull(*rows, maximum_record_age_s=60, start_delay_s=80)
    assert column(result, "outcome") == ["discarded"] + ["success"] * 5
    assert one(result, 0, "reason", "attempts", "settled") == (
        "RecordAgeExceeded", 0, 80_020_000,
    )  # fmt: skip
    assert rows_sent(result) == [[1, 2, 3, 4, 5]]
    assert result.summary["never_ran"] == 1


def test_e0_6_5_in_a_backoff_age_acts_at_its_very_moment() -> None:
    rows = [handled(0, 0), record(58, 0), record(59, 0)]
    result = pull(*rows, batch_size=1, maximum_record_age_s=60)
    assert one(result, 0, "settled", "reason") == (60 * S, "RecordAgeExceeded")
    assert seconds(result, "start")[1:] == instants(60.02, 60.04)
    result = pull(*rows, batch_size=1, maximum_record_age_s=60, age_check="next_attempt")
    # Tried at 0.02 + 0.2 (2^n - 1): 25.42 and 51.02 are too early, 102.22 is not.
    assert one(result, 0, "settled", "attempts") == (round((51.02 + 51.2 + 0) * S), 9)


def test_e0_6_5_the_rest_of_a_trimmed_batch_keeps_its_next_attempt() -> None:
    rows = [record(0, 25), handled(1, 0), handled(20, 0)]
    result = pull(*rows, maximum_record_age_s=60, batch_size=2)
    # Both at 25.04 + 0.2 (2^n - 1); the older one goes at 61, in the back-off from 50.44 to 76.04.
    assert one(result, 1, "settled", "attempts") == (61 * S, 8)
    assert tries(result, 2)[-1] == (76.04, "error")
    assert one(result, 2, "settled", "reason", "attempts") == (80 * S, "RecordAgeExceeded", 9)


def test_p28_unread_records_go_with_their_retention() -> None:
    changes = [change(0.5, **{"event_sources.s.enabled": False})]
    result = pull(record(0, 0), record(1, 0), retention_s=10, sections={"changes": changes})
    assert one(result, 1, "outcome", "reason", "settled", "attempts") == (
        "expired", "RetentionExpired", 11 * S, 0,
    )  # fmt: skip


def test_e3_a_disabled_mapping_goes_on_where_it_was() -> None:
    changes = [
        change(0.5, **{"event_sources.s.enabled": False}),
        change(5.5, **{"event_sources.s.enabled": True}),
    ]
    rows = [record(0, 1), record(0.2, 0), record(3, 0)]
    result = pull(*rows, sections={"changes": changes})
    assert starts(result) == instants(0.02, 6)
    assert rows_sent(result) == [[0], [1, 2]]


def test_e4_9_discards_go_to_their_destination_record_by_record() -> None:
    rows = [handled(0, 0), record(0, 0)]
    result = pull(*rows, maximum_retry_attempts=0, on_failure="dlq")
    assert result.summary["deliveries"] == {"dlq": 2}
    (line,) = result.source_metrics
    assert line["OnFailureDestinationDeliveredEventCount"] == 2
    assert line["DroppedEventCount"] == 0


# ---- tumbling windows ----------------------------------------------------------------------


def test_e4_10_a_later_record_ends_a_window() -> None:
    rows = [record(0, 0), record(1, 0), record(11, 0)]
    result = pull(*rows, tumbling_window_s=10, base_ms=100)
    assert rows_sent(result) == [[0], [1], [2]]
    # The final call takes 100 ms from 11 on; the last window has no later record.
    assert starts(result) == instants(G, 1, 11.12)
    assert result.summary["invocations"] == 5
    assert result.summary["records"] == 3
    # Idle: two minutes after the window's end.
    assert [line["timestamp"] // S for line in result.metrics if line["function"] == "f"] == [
        0, 120,
    ]  # fmt: skip


def test_e4_10_a_batch_mixes_no_windows() -> None:
    rows = [record(0, 5), record(1, 0), record(2, 0), record(4, 0)]
    result = pull(*rows, tumbling_window_s=3, maximum_batching_window_s=60)
    # [0] alone is a batch once a record of the next window is read at 4.
    assert rows_sent(result) == [[0, 1, 2], [3]]
    assert starts(result)[0] == pytest.approx(4)


def test_e4_10_a_failing_final_call_blocks_under_the_same_retries() -> None:
    rows = [record(0, 0), record(11, 0)]
    fault = {"at": 11 * S, "for_s": 0.3, "error": "handled"}
    result = pull(
        *rows, tumbling_window_s=10, maximum_retry_attempts=5, sections={"faults": [fault]}
    )
    # The final call fails at 11 and 11.2, ends well at 11.6.
    assert starts(result) == instants(G, 11.62)
    result = pull(
        *rows, tumbling_window_s=10, maximum_retry_attempts=0, sections={"faults": [fault]}
    )
    # Given up at once; the record of the next window fails at 11.02.
    assert starts(result) == instants(G, 11.02)


# ---- shards that end -----------------------------------------------------------------------


def resharded(*rows: dict[str, Any], entries: list[dict[str, Any]], **section: Any) -> Result:
    """Replay records of a stream with other shards."""
    return pull(*rows, reshard=entries, **section)


def test_e4_11_children_wait_for_their_parent() -> None:
    rows = [record(0, 0, shard=0), record(1, 4, shard=0), record(2, 0, shard=1),
            record(2, 0, shard=2)]  # fmt: skip
    result = resharded(*rows, entries=[{"at": 2 * S, "split": 0}])
    # The parent's last record ends at 5; both children open 8 s later, and go on side by side.
    assert seconds(result, "start") == instants(G, 1, 13.02, 13.02)


def test_e4_11_a_merged_child_waits_for_both_parents() -> None:
    rows = [record(0, 1, shard=0), record(0, 3, shard=1), record(2, 0, shard=2)]
    result = resharded(*rows, entries=[{"at": 1 * S, "merge": [0, 1]}], shards=2)
    assert seconds(result, "start") == instants(G, G, 11.04)


def test_e4_11_a_parent_without_records_is_drained_when_it_ends() -> None:
    result = resharded(record(0, 0, shard=0), record(5, 0, key="a"),
                       entries=[{"at": 4 * S, "split": 0}])  # fmt: skip
    assert seconds(result, "start") == instants(G, 12.02)


# ---- start, results ------------------------------------------------------------------------


def test_e0_6_1_start_is_the_first_row_of_the_whole_trace() -> None:
    result = pull(row(-0.4, 0, "g"), record(0, 0), starting_position="LATEST")
    # Polled at -0.4, 0.6.
    assert starts(result)[-1] == pytest.approx(0.6)
    rows = [record(0, 0), record(2, 0)]
    at = {"starting_position": "AT_TIMESTAMP", "starting_position_timestamp": 1 * S}
    result = pull(*rows, **at, retention_s=10)
    assert column(result, "outcome") == ["expired", "success"]


def test_e4_12_iterator_age_is_that_of_the_last_record_when_it_is_sent() -> None:
    rows = [record(0, 2), record(0.5, 0), record(1.5, 0)]
    result = pull(*rows)
    # 20 ms; the second batch of both starts at 2.04.
    assert result.summary["iterator_age_ms"]["max"] == pytest.approx(540)
    result = pull(*rows, iterator_age_at="end")
    assert result.summary["iterator_age_ms"]["max"] == pytest.approx(2_020)


def test_e9_metrics_count_records_and_attempts() -> None:
    result = pull(handled(0, 0, error_runs=2), record(0, 0), record(0, 0, filtered=True))
    (line,) = (one for one in result.metrics if one["function"] == "f")
    (counted,) = result.source_metrics
    assert counted["PolledEventCount"] == 3
    assert counted["FilteredOutEventCount"] == 1
    assert counted["InvokedEventCount"] == 6
    assert counted["FailedInvokeEventCount"] == 4
    assert (line["Invocations"], line["Errors"]) == (3, 2)


def test_state_a_batch_takes_its_keys_in_order_and_keeps_those_it_has() -> None:
    # The synchronous run holds b from 0 to 2; the batch takes a, waits for b, and so a third run
    # that wants a waits for the batch.
    rows = [
        row(0, 2, "g", state_key="b"),
        record(0, 1, state_key="b"),
        record(0, 1, state_key="a"),
        row(1, 1, "g", state_key="a"),
    ]
    result = pull(*rows)
    assert seconds(result, "end") == instants(2, 4, 4, 5)
    assert column(result, "lock_wait_ms") == [0, 1_980, 1_980, 3_000]


def test_functions_may_be_null_for_rows_of_a_source() -> None:
    section = {"event_sources": {"s": {"type": "kinesis", "function": "f"}}}
    rows = [{"timestamp": 0, "function": None, "duration_ms": 1, "source": "s"}]
    assert replay(section, rows).outcomes[0]["function"] == "f"


def test_interface_5_sources_are_counted_by_shard() -> None:
    rows = [record(0, 1, shard=0, key="a"), record(0, 1, shard=0, key="b"),
            record(0, 1, shard=0, key="b"), handled(0, 0, shard=1)]  # fmt: skip
    result = pull(*rows, shards=2, maximum_retry_attempts=1)
    first, second = result.sources
    assert (first["source"], first["shard"], first["records"], first["success"]) == ("s", 0, 3, 3)
    assert (first["busiest_key"], first["busiest_key_share"]) == ("b", pytest.approx(2 / 3))
    assert (first["backlog_peak"], first["drain_s"], first["receives"]) == (3, 3.02, 3)
    assert (second["shard"], second["discarded"], second["never_ran"]) == (1, 1, 0)
    assert second["iterator_age_ms"]["max"] == pytest.approx(220)
