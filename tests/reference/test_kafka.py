"""Kafka, worked by hand."""

from typing import Any

import pytest

from reference.worked import S, column, pull, record, rows_sent, seconds, sent

G = 0.02


def topic(*rows: dict[str, Any], **section: Any) -> Any:
    """Replay rows with a topic."""
    return pull(*rows, kind="kafka", **section)


def test_e0_4_a_window_of_half_a_second_starts_with_the_first_record() -> None:
    result = topic(record(0, 1), record(0.4, 1), record(2, 1), record(7, 1))
    assert [at for at, _, _ in sent(result)] == pytest.approx([0.5, 2.52, 7.5])
    assert rows_sent(result) == [[0, 1], [2], [3]]


def test_e0_4_a_batch_may_hold_several_partitions() -> None:
    rows = [record(0, 0, shard=0), record(0, 0, shard=1), record(0, 0, shard=0)]
    assert rows_sent(topic(*rows, shards=2)) == [[0, 1, 2]]


def test_e6_a_failing_batch_blocks_its_poller_until_retention() -> None:
    rows = [record(0, 0, error="handled"), record(1, 0)]
    result = topic(*rows, retention_s=5)
    assert column(result, "outcome") == ["expired", "success"]
    # Tried at 0.5, 0.7, 1.1, 1.9, 3.5; expired at 5.
    assert column(result, "attempts") == [5, 1]
    assert seconds(result, "start") == pytest.approx([3.5, 5.02])


def test_e6_no_limit_of_retries_with_a_destination_is_ten() -> None:
    result = topic(record(0, 0, error="handled"), on_failure="dlq", retry_cap_s=0.2,
                   provisioned_pollers={"min": 1, "max": 1})  # fmt: skip
    assert column(result, "attempts") == [11]
    assert column(result, "outcome") == ["discarded"]


def test_e0_6_17_on_demand_starts_with_one_poller_and_doubles() -> None:
    # Lag at 60 s; two pollers from 240 s on.
    rows = [record(0, 100, shard=n % 2) for n in range(8)]
    result = topic(*rows, shards=2, batch_size=1)
    begins = [round(at) for at, _, _ in sent(result)]
    # The poller left at 240 keeps its batch of partition 0 until 300; the other begins at once.
    assert begins == [0, 100, 200, 240, 300, 340, 400, 440]
    assert S == 1_000_000


def test_e1_a_topic_reports_only_in_place() -> None:
    rows = [record(0, 0), record(0, 0, error="item", error_runs=1)]
    result = topic(*rows, report_batch_item_failures=True,
                   provisioned_pollers={"min": 1, "max": 1})  # fmt: skip
    assert rows_sent(result) == [[0, 1], [1]]


def test_p24_throttles_and_no_lag_take_pollers_away() -> None:
    # Lag at 60 s: two pollers from 240 s on. None at 120 s: one again from 300 s on.
    rows = [record(0, 100, shard=0)]
    rows += [record(at, 10, shard=shard) for at in (250, 300) for shard in (0, 1)]
    result = topic(*rows, shards=2, batch_size=1)
    assert seconds(result, "start") == pytest.approx([0.02, 250, 250, 300, 310.02])
