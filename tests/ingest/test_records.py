"""Rows of event sources: which source, function, shard and key they have, and what is wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lambda_replay as lr
from ingest.common import BEGIN, S, frame, write

SOURCES: dict[str, Any] = {
    "orders": {"type": "kinesis", "function": "apply", "shards": 4},
    "mails": {"type": "kinesis", "function": "mail:live", "tumbling_window_s": 60},
}


def replay(trace: Any, **sections: Any) -> lr.ReplayResult:
    scenario = lr.Scenario(event_sources=SOURCES, **sections)
    return lr.replay(trace, scenario, outcomes=True, attempts=True)


def records(count: int, **columns: Any) -> pl.DataFrame:
    columns = {"source": ["orders"] * count, "function": [None] * count} | columns
    types = {"function": pl.String(), "source": pl.String()}
    made = frame([BEGIN + i * S for i in range(count)], **columns)
    return made.with_columns(pl.col(name).cast(dtype) for name, dtype in types.items())


def refused(trace: Any, code: str) -> lr.TraceError:
    with pytest.raises(lr.TraceError) as caught:
        replay(trace)
    error = caught.value
    assert error.code == code
    text = f"{error} {error.hint or ''}"
    assert text.isprintable()
    return error


def outcomes(trace: Any, **sections: Any) -> pl.DataFrame:
    found = replay(trace, **sections).outcomes
    assert found is not None
    return found


# ---- sources and functions -------------------------------------------------------------------


def test_a_record_without_a_function_has_that_of_its_source() -> None:
    found = outcomes(records(3, source=["orders", "mails", "sync"], function=[None, None, "g"]))
    assert found["function"].to_list() == ["apply", "mail:live", "g"]
    assert found["source"].to_list() == ["orders", "mails", "sync"]
    assert set(found["outcome"]) == {"success"}


@pytest.mark.parametrize("dtype", [pl.Categorical(), pl.Enum(["g", "apply"]), pl.Enum(["g"])])
def test_functions_may_come_as_categories_that_lack_the_sources(dtype: Any) -> None:
    trace = records(2, source=["orders", "sync"], function=[None, "g"])
    found = outcomes(trace.with_columns(pl.col("function").cast(dtype)))
    assert found["function"].to_list() == ["apply", "g"]


def test_a_request_without_a_function_is_still_refused() -> None:
    error = refused(records(2, source=["orders", None]), "LR-T-NULL")
    assert (error.row, error.column) == (1, "function")


@pytest.mark.parametrize("name", ["apply", "apply:live", "apply:$LATEST"])
def test_a_record_may_name_the_function_of_its_source(name: str) -> None:
    assert outcomes(records(1, function=[name]))["function"].to_list() == [name]


def test_a_record_of_another_function_is_refused() -> None:
    error = refused(records(3, function=["apply", "apply", "other"]), "LR-T-NAME")
    assert (error.row, error.column, error.value) == (2, "function", "other")
    assert "apply or null" in str(error)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("order", "did you mean orders?"),
        ("ORDERS", "did you mean orders?"),
        ("synch", "did you mean sync?"),
        ("xyzzy", "the scenario has the event sources mails, orders"),
        ("my queue", '[event_sources."my queue"] with type and function'),
    ],
)
def test_an_unknown_source_is_named_with_the_nearest(name: str, hint: str) -> None:
    error = refused(records(3, source=["orders", name, "nope"]), "LR-T-SOURCE")
    assert (error.row, error.column, error.value) == (1, "source", name)
    assert hint in (error.hint or "")


def test_unknown_sources_without_any_in_the_scenario() -> None:
    with pytest.raises(lr.TraceError) as caught:
        lr.replay(records(1))
    assert "[event_sources.orders] of the scenario" in (caught.value.hint or "")


def test_columns_of_records_alone_are_said_to_be_unused_without_sources() -> None:
    found = lr.replay(frame([BEGIN], key=["a"], shard=[1], filtered=[True]))
    assert set(found.trace.not_modelled) == {"key", "shard", "filtered"}
    assert replay(records(1, key=["a"])).trace.not_modelled == ()


# ---- keys and shards -------------------------------------------------------------------------


def shard_of(key: str, shards: int) -> int:
    return int.from_bytes(hashlib.md5(key.encode()).digest()) * shards >> 128  # noqa: S324 - E0.6.7


def test_keys_go_to_shards_by_their_md5_as_kinesis_has_it() -> None:
    keys = [f"key {number} é" for number in range(40)]
    found = replay(records(40, key=keys)).sources.filter(pl.col("source") == "orders")
    counts = [sum(shard_of(key, 4) == shard for key in keys) for shard in range(4)]
    assert found["records"].to_list() == counts and min(counts) > 0


def test_null_is_one_key() -> None:
    found = replay(records(5, key=[None, "a", None, None, "a"])).sources
    by_shard = found.filter(pl.col("source") == "orders")["records"].to_list()
    expected = [0] * 4
    expected[shard_of("", 4)] += 3
    expected[shard_of("a", 4)] += 2
    assert by_shard == expected


@pytest.mark.parametrize(
    "shards",
    [
        [3, 0, 3],
        ["3", "0", "3"],
        ["shardId-000000000003", "shardId-000000000000", "shardId-000000000003"],
        ["topic-3", "topic_0", "topic-3"],
        pl.Series([3, 0, 3], dtype=pl.UInt8),
    ],
)
def test_shards_are_numbers_or_names_that_end_with_one(shards: Any) -> None:
    found = replay(records(3, shard=shards)).sources.filter(pl.col("source") == "orders")
    assert found["records"].to_list() == [1, 0, 0, 2]


def test_other_names_of_shards_are_numbered_as_they_come() -> None:
    found = replay(records(4, shard=["left", "right", None, "left"], key=["x"] * 4)).sources
    expected = [2, 1, 0, 0]
    expected[shard_of("x", 4)] += 1
    assert found.filter(pl.col("source") == "orders")["records"].to_list() == expected


@pytest.mark.parametrize(
    ("shards", "row"), [([0, 4, 9], 1), ([0, 0, -1], 2), (["a-0", "a-3", "a-4"], 2)]
)
def test_a_shard_that_is_not_there_is_refused(shards: list[Any], row: int) -> None:
    error = refused(records(3, shard=shards), "LR-T-SHARD")
    assert (error.row, error.column) == (row, "shard")
    assert "0 to 3" in str(error) and "[event_sources.orders]" in (error.hint or "")


def test_shards_of_reshards_count() -> None:
    reshard = [{"at": BEGIN, "split": 0}]
    sources = {"orders": {**SOURCES["orders"], "reshard": reshard}}
    found = lr.replay(records(1, shard=[4]), lr.Scenario(event_sources=sources))
    assert found.sources.height == 6 and found.summary.success == 1


# ---- filters ---------------------------------------------------------------------------------


def test_what_a_filter_takes_out_never_runs() -> None:
    found = outcomes(records(3, filtered=[True, None, False]))
    assert found["outcome"].to_list() == ["filtered", "success", "success"]
    assert found["attempts"].to_list() == [0, 1, 1]


def test_filters_do_not_reach_requests() -> None:
    found = outcomes(records(1, source=["sync"], function=["g"], filtered=[True]))
    assert found["outcome"].to_list() == ["success"]


def test_filters_do_not_go_with_tumbling_windows() -> None:
    error = refused(records(2, source=["orders", "mails"], filtered=[True, True]), "LR-T-FILTER")
    assert (error.row, error.column) == (1, "filtered")


# ---- types and files -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("filtered", [1]),
        ("filtered", ["true"]),
        ("key", [["a"]]),
        ("key", [1.5]),
        ("shard", [1.0]),
    ],
)
def test_columns_of_other_types_are_refused(column: str, values: list[Any]) -> None:
    error = refused(records(1, **{column: values}), "LR-T-TYPE")
    assert error.column == column


def test_keys_and_shards_in_csv_are_text(tmp_path: Path) -> None:
    lines = "".join(f"{BEGIN + i * S},,1,orders,00{i % 2},shard-{i % 4}\n" for i in range(8))
    file = write(tmp_path / "t.csv", f"timestamp,function,duration_ms,source,key,shard\n{lines}")
    found = replay(file).sources.filter(pl.col("source") == "orders")
    assert found["records"].to_list() == [2] * 4
    assert set(found["busiest_key"]) == {"000", "001"}


def test_several_files_and_any_batch_size_say_the_same(tmp_path: Path) -> None:
    count = 30
    columns = {
        "key": [None if i % 7 == 0 else f"k{i % 5}" for i in range(count)],
        "source": ["orders" if i % 3 else "sync" for i in range(count)],
        "function": [None if i % 3 else "g" for i in range(count)],
        "error": ["handled" if i % 8 == 1 else None for i in range(count)],
        "error_runs": [1] * count,
    }
    trace = records(count, **columns)
    whole = outcomes(trace)
    trace.head(11).write_parquet(tmp_path / "a.parquet")
    trace.tail(19).drop("key").with_columns(key=trace["key"].tail(19)).write_parquet(
        tmp_path / "b.parquet"
    )
    assert outcomes(tmp_path / "*.parquet").equals(whole, null_equal=True)
    # Unsorted rows are sorted on the way in; positions are those given.
    back = outcomes(trace.reverse()).sort("timestamp").drop("row")
    assert back.equals(whole.drop("row"), null_equal=True)


def test_scenarios_side_by_side_have_sources_of_their_own() -> None:
    trace = records(20, key=[f"k{i}" for i in range(20)], source=["orders"] * 20)
    one = lr.Scenario(event_sources={"orders": {"type": "kinesis", "function": "f", "shards": 2}})
    other = lr.Scenario(
        event_sources={
            "aaa": {"type": "kinesis", "function": "z"},
            "orders": {"type": "dynamodb", "function": "g", "shards": 3},
        }
    )
    compared = lr.compare(trace, {"one": one, "other": other})
    for name, scenario in (("one", one), ("other", other)):
        alone = lr.replay(trace, scenario)
        assert compared.result[name].sources.equals(alone.sources, null_equal=True)
        assert compared.result[name].functions["function"].to_list() == [
            scenario.to_dict()["event_sources"]["orders"]["function"]
        ]


def test_batches_take_shared_records_in_the_order_of_their_names() -> None:
    # Rows long before bring the names in another order, and with it other codes.
    count = 120
    columns = {
        "source": [("orders", "notes")[i % 2] for i in range(count)],
        "key": [f"k{i % 3}" for i in range(count)],
        "state_key": [f"s{i * 7 % 5}" for i in range(count)],
        "duration_ms": [float(100 + i * 37 % 900) for i in range(count)],
    }
    trace = records(count, **columns).with_columns(
        timestamp=BEGIN + pl.int_range(pl.len()) * 200_000, function=pl.lit(None, pl.String)
    )
    before = pl.DataFrame(
        {
            "timestamp": [BEGIN - 10**12] * 5,
            "function": ["z"] * 5,
            "source": ["sync"] * 5,
            "state_key": [f"s{i}" for i in reversed(range(5))],
            "duration_ms": [1.0] * 5,
        }
    )
    scenario = lr.Scenario(
        event_sources={
            "orders": {
                "type": "sqs",
                "function": "f",
                "batch_size": 5,
                "visibility_timeout_s": 400,
                "maximum_batching_window_s": 1,
            },
            "notes": {"type": "kinesis", "function": "g", "shards": 2, "batch_size": 7},
        }
    )
    told = ["start", "end", "lock_wait_ms"]
    alone = lr.replay(trace, scenario, outcomes=True).outcomes
    both = pl.concat([trace, before], how="diagonal_relaxed")
    later = lr.replay(both, scenario, outcomes=True).outcomes
    assert alone is not None and later is not None
    assert alone["lock_wait_ms"].sum() > 0
    # Streams are read from the first row of the trace on: whole seconds, so that polls are alike.
    assert later.head(count).select(told).equals(alone.select(told))
