"""Rules of event sources, from a few records to the exact rows (E, P: event-sources.md)."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import lambda_replay as lr

#: 2026-03-02 08:00:00 UTC.
BEGIN = 1_772_438_400_000_000
MS = 1_000


def replay(rows: list[dict[str, Any]], kind: str = "kinesis", **keys: Any) -> lr.ReplayResult:
    """Replay records of one source; ``at`` is in milliseconds, runs take 10 ms a record."""
    sections = {
        name: keys.pop(name) for name in ("account", "functions", "changes") if name in keys
    }
    faults = keys.pop("faults", [])
    trace = pl.DataFrame(
        {
            "timestamp": [BEGIN + round(row["at"] * MS) for row in rows],
            "function": pl.Series([None] * len(rows), dtype=pl.String),
            "duration_ms": [float(row.get("ms", 10)) for row in rows],
            "source": ["s"] * len(rows),
            "key": [row.get("key") for row in rows],
            "error": pl.Series([row.get("error") for row in rows], dtype=pl.String),
            "error_runs": pl.Series([row.get("runs") for row in rows], dtype=pl.UInt32),
        }
    )
    source = {"type": kind, "function": "f", **keys}
    scenario = lr.Scenario(event_sources={"s": source}, faults=faults, **sections)
    return lr.replay(trace, scenario, outcomes=True, attempts=True)


def ms(column: pl.Series) -> list[float | None]:
    at = (column.dt.epoch("us") - BEGIN) / MS
    return at.to_list()


def runs(result: lr.ReplayResult) -> list[tuple[list[int], float, str]]:
    """Rows of each batch, its start in milliseconds, and how it ended for the first of them."""
    assert result.attempts is not None
    batches = result.attempts.group_by("batch", maintain_order=True).agg(
        "row", pl.col("start").first(), pl.col("outcome").first()
    )
    starts = ms(batches["start"])
    return [
        (rows, round(start or 0, 3), outcome)
        for rows, start, outcome in zip(
            batches["row"].to_list(), starts, batches["outcome"], strict=True
        )
    ]


def ends(result: lr.ReplayResult) -> list[tuple[str, str | None]]:
    assert result.outcomes is not None
    return list(zip(result.outcomes["outcome"], result.outcomes["reason"], strict=True))


def all_at_once(*errors: str | None) -> list[dict[str, Any]]:
    # A first record opens the trace at 0; the others are read by the poll at 1 s.
    return [{"at": 100 + i, "error": error} for i, error in enumerate(errors)]


FIRST = {"at": 0, "ms": 10}


def test_e0_6_2_a_shard_is_polled_once_a_second() -> None:
    found = replay([FIRST, {"at": 400}, {"at": 1_300}, {"at": 1_900}])
    # After each run it is read at once; what comes later waits for the next whole second.
    assert runs(found) == [
        ([0], 20.0, "success"),
        ([1], 1_000.0, "success"),
        ([2, 3], 2_000.0, "success"),
    ]


def test_e0_6_2_dynamodb_is_polled_four_times_a_second() -> None:
    found = replay([FIRST, {"at": 300}], kind="dynamodb")
    assert [start for _, start, _ in runs(found)] == [20.0, 500.0]


def test_p2_enhanced_fan_out_pushes() -> None:
    found = replay([FIRST, {"at": 300}], enhanced_fan_out=True)
    assert [start for _, start, _ in runs(found)] == [70.0, 370.0]


def test_e4_5_retries_wait_twice_as_long_each_time_and_end() -> None:
    found = replay([FIRST, *all_at_once("handled")], maximum_retry_attempts=2, on_failure="dlq")
    # 10 ms runs; 0.2 s and 0.4 s after their ends.
    assert runs(found)[1:] == [
        ([1], 1_000.0, "error"),
        ([1], 1_210.0, "error"),
        ([1], 1_620.0, "error"),
    ]
    assert ends(found)[1] == ("discarded", "RetryAttemptsExhausted")
    assert found.summary.deliveries == {"dlq": 1}
    assert found.summary.loss_rate == 0.5


def test_e4_6_bisect_halves_left_before_right() -> None:
    # AWS: [1,2,3,4] [1,2] [1] [2] [2] [3,4] where 2 is bad and R is 1.
    found = replay(
        [FIRST, *all_at_once(None, "handled", None, None)],
        maximum_retry_attempts=1,
        bisect_batch_on_function_error=True,
    )
    rows = [rows for rows, _, _ in runs(found)[1:]]
    assert rows == [[1, 2, 3, 4], [1, 2], [1], [2], [2], [3, 4]]
    assert [outcome for outcome, _ in ends(found)] == [
        *("success", "success", "discarded", "success", "success"),
    ]


def test_e4_7_a_partial_response_settles_what_comes_before_the_first_listed() -> None:
    # AWS, with bisect: [1,2,3,4] [2,3,4] [2] [2] [3,4].
    found = replay(
        [FIRST, *all_at_once(None, "item", None, None)],
        maximum_retry_attempts=1,
        bisect_batch_on_function_error=True,
        report_batch_item_failures=True,
    )
    rows = [rows for rows, _, _ in runs(found)[1:]]
    assert rows == [[1, 2, 3, 4], [2, 3, 4], [2], [2], [3, 4]]
    assert [outcome for outcome, _ in ends(found)][1:] == [
        *("success", "discarded", "success", "success"),
    ]


def test_e4_7_without_reporting_an_item_is_a_success() -> None:
    found = replay([FIRST, *all_at_once(None, "item")])
    assert {outcome for outcome, _ in ends(found)} == {"success"}


def test_e4_9_a_record_in_a_back_off_is_discarded_at_its_age() -> None:
    rows = [FIRST, *all_at_once("handled"), {"at": 30_000}]
    found = replay(rows, maximum_record_age_s=60)
    assert found.outcomes is not None
    assert ends(found)[1:] == [("discarded", "RecordAgeExceeded"), ("success", None)]
    assert ms(found.outcomes["settled"])[1] == 60_100.0
    row = found.sources.row(0, named=True)
    assert row["blocked_s"] > 50 and row["discarded"] == 1


def test_e4_9_retention_is_silent() -> None:
    found = replay([FIRST, *all_at_once("handled")], retention_s=5, on_failure="dlq")
    assert ends(found)[1] == ("expired", "RetentionExpired")
    assert found.summary.expired == 1 and found.summary.deliveries == {}


def test_e4_2_lanes_of_a_shard_run_side_by_side() -> None:
    rows = [FIRST, *({"at": 100 + i, "key": f"k{i}", "ms": 500} for i in range(8))]
    one = replay(rows, batch_size=2)
    many = replay(rows, batch_size=2, parallelization_factor=10)
    assert one.summary.max_concurrency == 1
    assert 1 < many.summary.max_concurrency <= 8


def test_e4_11_children_wait_for_their_parent_and_eight_seconds() -> None:
    rows = [FIRST, {"at": 500, "ms": 3_000}, {"at": 2_000, "key": "a"}]
    split = [{"at": BEGIN + 1_500 * MS, "split": 0}]
    found = replay(rows, reshard=split, batch_size=1)
    # The parent's last run ends at 4 s; 8 s later its children are polled, and wait the gap.
    assert [start for _, start, _ in runs(found)] == [20.0, 1_000.0, 12_020.0]


def test_e4_12_iterator_age_is_that_of_the_last_record_at_the_start() -> None:
    found = replay([FIRST, {"at": 400}, {"at": 900}])
    assert found.summary.iterator_age_ms.max == 100.0
    assert found.source_metrics["IteratorAge_max"].to_list() == [100.0]
    at_end = replay([FIRST, {"at": 400}, {"at": 900}], iterator_age_at="end")
    assert at_end.summary.iterator_age_ms.max == 120.0


def test_a_batch_takes_base_and_the_sum_or_the_longest() -> None:
    rows = [FIRST, {"at": 100, "ms": 30}, {"at": 101, "ms": 50}]
    summed = replay(rows, base_ms=5)
    longest = replay(rows, base_ms=5, batch_duration="max")
    assert (summed.summary.duration_ms.max, longest.summary.duration_ms.max) == (85.0, 55.0)
    assert summed.outcomes is not None
    # Both records carry the batch's own time and number.
    assert summed.outcomes["billed_ms"].to_list()[1:] == [85, 85]
    assert summed.outcomes["batch"].n_unique() == 2
    assert summed.summary.invocations == 2


def test_e8_a_throttled_batch_waits_and_keeps_its_retries() -> None:
    found = replay(
        [FIRST, *all_at_once(None)],
        maximum_retry_attempts=0,
        faults=[{"at": BEGIN + 900 * MS, "for_s": 0.5, "function": "f", "throttle": True}],
    )
    # Refused at 1.0, 1.2 s; 0.4 s later it runs.
    assert runs(found)[1:] == [
        ([1], 1_000.0, "throttled"),
        ([1], 1_200.0, "throttled"),
        ([1], 1_600.0, "success"),
    ]
    assert found.summary.throttles == 2 and found.summary.throttled == 0
    assert ends(found)[1] == ("success", None)


@pytest.mark.parametrize(("error", "reset"), [("crash", True), ("handled", False)])
def test_faults_reach_batches(error: str, reset: bool) -> None:
    fault = {"at": BEGIN + 900 * MS, "for_s": 0.2, "function": "f", "error": error}
    found = replay([FIRST, *all_at_once(None)], faults=[fault])
    assert [outcome for _, _, outcome in runs(found)] == ["success", "error", "success"]
    assert found.attempts is not None
    assert found.attempts["reason"].to_list()[1] == ("Crash" if reset else "Handled")


def test_changes_disable_and_enable_a_mapping() -> None:
    changes = [
        {"at": BEGIN + 500 * MS, "set": {"event_sources.s.enabled": False}},
        {"at": BEGIN + 5_500 * MS, "set": {"event_sources.s.enabled": True}},
    ]
    found = replay([FIRST, {"at": 700}], changes=changes)
    starts = [start for _, start, _ in runs(found)]
    assert starts[0] == 20.0 and starts[1] >= 5_500.0


def test_changes_of_batch_size_count_from_the_next_batch_on() -> None:
    rows = [FIRST, *({"at": 100 + i} for i in range(4)), *({"at": 2_100 + i} for i in range(4))]
    changes = [{"at": BEGIN + 2_000 * MS, "set": {"event_sources.s.batch_size": 2}}]
    sizes = [len(rows) for rows, _, _ in runs(replay(rows, changes=changes))]
    assert sizes == [1, 4, 2, 2]


def test_totals_reconcile() -> None:
    rows = [
        {"at": i * 37, "key": f"k{i % 6}", "error": ["handled", "crash", "item", None][i % 4]}
        for i in range(80)
    ]
    for row in rows[::3]:
        row["runs"] = 1
    found = replay(rows, shards=3, maximum_retry_attempts=2, on_failure="x", batch_size=7)
    assert found.outcomes is not None and found.attempts is not None
    counts = dict(found.outcomes["outcome"].value_counts().iter_rows())
    for name in ("success", "discarded", "expired", "filtered", "pending"):
        expected = counts.get(name, 0)
        assert getattr(found.summary, name) == expected
        assert found.sources[name].sum() == found.functions[name].sum() == expected
    assert found.sources["records"].sum() == found.summary.records == 80
    assert found.summary.invocations == found.attempts["batch"].n_unique()
    minutes = found.source_metrics
    # E11.14: Invoked = Σ of the batches' sizes; Dropped + delivered = discarded.
    assert minutes["InvokedEventCount"].sum() == found.attempts.height
    gone = (
        minutes["DroppedEventCount"].sum()
        + minutes["OnFailureDestinationDeliveredEventCount"].sum()
    )
    assert gone == found.summary.discarded == found.summary.deliveries["x"] > 0
    assert found.metrics is not None
    of_function = found.metrics.filter(pl.col("function") == "f")
    assert of_function["Invocations"].sum() == found.summary.invocations
    assert of_function["IteratorAge_max"].max() == found.summary.iterator_age_ms.max
