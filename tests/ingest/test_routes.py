"""``[[routes]]``: a routed trace replays as one that was written with the other door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import lambda_replay as lr
from ingest.common import BEGIN, S, frame
from lambda_replay.ingest.bad_rows import BadRows
from lambda_replay.several import replay_several

SOURCES: dict[str, Any] = {
    "line": {"type": "sqs_fifo", "function": "apply"},
    "flow": {"type": "kinesis", "function": "apply", "shards": 3},
}
ACCOUNT: dict[str, Any] = {"concurrency": 3}


def scenario(*routes: dict[str, Any], **sections: Any) -> lr.Scenario:
    given_sections = {"account": ACCOUNT, "event_sources": SOURCES, "routes": list(routes)}
    return lr.Scenario(**{**given_sections, **sections})


def results(trace: Any, under: lr.Scenario) -> list[pl.DataFrame]:
    result = lr.replay(trace, under, outcomes=True, attempts=True)
    assert result.outcomes is not None
    assert result.attempts is not None
    assert result.metrics is not None
    return [result.outcomes, result.attempts, result.functions, result.metrics, result.sources]


def same(trace: Any, under: lr.Scenario, other: Any, plainly: lr.Scenario) -> None:
    for one, two in zip(results(trace, under), results(other, plainly), strict=True):
        assert_frame_equal(one, two)


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.integers(0, 40),
            "function": st.sampled_from(["apply", "apply", "apply:live", "other"]),
            "ms": st.integers(1, 4_000),
            "source": st.sampled_from([None, "sync", "async", "line", "flow", "gone"]),
            "state_key": st.sampled_from([None, "a", "b", "c"]),
            "key": st.sampled_from([None, "k", "l"]),
            "shard": st.sampled_from([None, 0, 2]),
            "error": st.sampled_from([None, None, "handled", "crash"]),
        }
    ),
    min_size=1,
    max_size=25,
)


def trace_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    rows = sorted(rows, key=lambda row: row["at"])
    for row in rows:
        # A source is for its function alone; what is not routed must name one that exists.
        if row["function"] == "other" and row["source"] not in {None, "async"}:
            row["source"] = "sync"
    return pl.DataFrame(
        {
            "timestamp": [BEGIN + row["at"] * S // 4 for row in rows],
            "function": [row["function"] for row in rows],
            "duration_ms": [float(row["ms"]) for row in rows],
            "source": pl.Series([row["source"] for row in rows], dtype=pl.String),
            "state_key": pl.Series([row["state_key"] for row in rows], dtype=pl.String),
            "key": pl.Series([row["key"] for row in rows], dtype=pl.String),
            "shard": pl.Series([row["shard"] for row in rows], dtype=pl.Int64),
            "error": pl.Series([row["error"] for row in rows], dtype=pl.String),
            "error_runs": [1] * len(rows),
            "request_id": [f"r{i}" for i in range(len(rows))],
        }
    )


@settings(max_examples=40, deadline=None)
@given(
    rows=ROWS,
    door=st.sampled_from(["sync", "async", "line", "flow"]),
    key=st.sampled_from([None, "state_key", "request_id"]),
    dtype=st.sampled_from(
        [pl.String(), pl.Categorical(), pl.Enum(["other", "apply:live", "apply"])]
    ),
)
def test_a_route_is_the_trace_written_that_way(
    rows: list[dict[str, Any]], door: str, key: str | None, dtype: pl.DataType
) -> None:
    if door in {"sync", "async"}:
        key = None
    trace = trace_of(rows).with_columns(pl.col("function").cast(dtype))
    mine = pl.col("function").cast(pl.String).is_in(["apply", "apply:live"])
    if not trace.select(mine.any()).item():
        return
    same_door = pl.col("source").fill_null("sync") == door
    written = trace.with_columns(
        pl.when(mine).then(pl.lit(door)).otherwise("source").alias("source"),
        pl.when(~mine | (same_door & pl.lit(key is None))).then("shard").alias("shard"),
        pl.when(mine).then(key or "key").otherwise("key").alias("key"),
    )
    route = {"function": "apply", "source": door} | ({"key": key} if key else {})
    same(trace, scenario(route), written, scenario())


@pytest.mark.parametrize("load", [0.5, 1.5])
def test_routed_rows_keep_their_luck(load: float) -> None:
    rows = [BEGIN + i * S // 7 for i in range(200)]
    trace = frame(rows, function=["apply", "other"] * 100, state_key=list("abcd") * 50)
    written = trace.with_columns(
        source=pl.when(pl.col("function") == "apply")
        .then(pl.lit("flow"))
        .otherwise(pl.lit("sync")),
        key=pl.col("state_key"),
    )
    route = {"function": "apply", "source": "flow", "key": "state_key"}
    replay = {"load": load, "seed": 7}
    one = results(trace, scenario(route, replay=replay))
    two = results(written, scenario(replay=replay))
    assert_frame_equal(one[0], two[0])
    # The others do not notice: the same of them are there as without the route.
    plain = results(trace, scenario(replay=replay))[0].filter(pl.col("function") == "other")
    other = one[0].filter(pl.col("function") == "other")
    assert plain["row"].to_list() == other["row"].to_list()
    assert plain["timestamp"].to_list() == other["timestamp"].to_list()


def test_the_sample_by_one_door_is_the_sample_by_the_other() -> None:
    """``sample:updates`` and ``sample:updates-sync`` are one workload, written by two doors."""
    own = lr.replay("sample:updates", outcomes=True)
    route = {"function": "apply", "source": "updates", "key": "state_key"}
    routed = lr.replay("sample:updates-sync", own.scenario.with_("routes", [route]), outcomes=True)
    back = {"function": "apply", "source": "sync"}
    direct = lr.replay("sample:updates-sync", outcomes=True)
    returned = lr.replay("sample:updates", direct.scenario.with_("routes", [back]), outcomes=True)
    for one, two in ((own, routed), (direct, returned)):
        assert one.outcomes is not None
        assert two.outcomes is not None
        assert_frame_equal(one.outcomes, two.outcomes)
    assert own.summary.throttled == 0 < direct.summary.throttled
    assert any(
        "6,737 rows of 'apply' by the source 'updates', keys from state_key" in note
        for note in routed.trace.notes
    )


def test_compare_asks_by_which_door() -> None:
    """One trace, four doors, one decode; each side is the replay alone."""
    doors = {
        "today": scenario(),
        "async": scenario({"function": "apply", "source": "async"}),
        "queue": scenario({"function": "apply", "source": "line", "key": "state_key"}),
        "stream": scenario({"function": "apply", "source": "flow", "key": "state_key"}),
    }
    rows = [BEGIN + i * S // 20 for i in range(300)]
    keys = list("aaab") * 75
    trace = frame(rows, function=["apply"] * 300, state_key=keys).with_columns(
        duration_ms=pl.lit(300.0)
    )
    found = lr.compare(trace, doors)
    for name, one in doors.items():
        assert found.result[name].summary.to_dict() == lr.replay(trace, one).summary.to_dict()
    assert found.result["today"].summary.throttled > 0
    assert found.result["queue"].summary.throttled == 0
    assert set(found.result["queue"].sources["group"].drop_nulls()) == {"a", "b"}


def test_a_glob_moves_many_and_the_most_specific_wins() -> None:
    trace = frame([BEGIN + i * S for i in range(4)], function=["img-a", "img-b", "img-a:live", "x"])
    under = lr.Scenario(
        routes=[{"function": "img-*", "source": "async"}, {"function": "img-b", "source": "sync"}]
    )
    found = lr.replay(trace, under, outcomes=True).outcomes
    assert found is not None
    assert found.sort("row")["source"].to_list() == ["async", "sync", "async", "sync"]


def test_several_files_and_sides_that_share_them(tmp_path: Path) -> None:
    first = frame([BEGIN, BEGIN + S], function=["apply"] * 2, customer=[1, 2])
    second = frame([BEGIN + 2 * S], function=["apply"])
    first.write_parquet(tmp_path / "a.parquet")
    second.write_parquet(tmp_path / "b.parquet")
    under = scenario({"function": "apply", "source": "line", "key": "customer"})
    result = lr.replay(str(tmp_path), under, outcomes=True)
    line = result.sources.filter(pl.col("source") == "line")
    assert line["records"].sum() == 3
    assert {"1", "2"} <= set(line["group"])
    assert "customer" not in result.trace.ignored
    assert any("(1 without one share a key)" in note for note in result.trace.notes)


# ---- what cannot be ------------------------------------------------------------------------

WRONG = [
    ("function = 'apply'\nsource = 'lines'", 6, "source", "did you mean 'line'?"),
    ("function = 'apply'\nsource = 'zzz'", 6, "source", "expected sync, async, line"),
    ("function = 'apply'", 4, "source", "source is missing"),
    ("source = 'sync'", 4, "function", "function is missing"),
    ("function = 'apply:live'\nsource = 'sync'", 5, "function", "without its qualifier"),
    ("function = 'f'\nsource = 'sync'\nkey = 'state_key'", 7, "key", "sync rows have no key"),
    ("function = 'other'\nsource = 'line'", 6, "source", "batches of 'line' invoke apply"),
    ("function = 'app*'\nsource = 'line'", 5, "function", "write function = 'apply'"),
    ("function = 'apply'\nsource = 'sync'\nwhen = 1", 7, "when", "unknown key"),
]


@pytest.mark.parametrize(("text", "line", "key", "part"), WRONG)
def test_wrong_routes_are_told_where_they_stand(text: str, line: int, key: str, part: str) -> None:
    before = "[event_sources.line]\ntype = 'sqs_fifo'\nfunction = 'apply'\n"
    with pytest.raises(lr.ScenarioError) as caught:
        lr.Scenario.loads(f"{before}[[routes]]\n{text}\n", "s.toml")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.path) == ("s.toml", line, f"routes[0].{key}")
    assert part in problem.message


def test_two_routes_for_one_function_are_refused() -> None:
    text = (
        "[[routes]]\nfunction = 'f'\nsource = 'sync'\n[[routes]]\nfunction = 'f'\nsource = 'async'"
    )
    with pytest.raises(lr.ScenarioError, match="has a route already") as caught:
        lr.Scenario.loads(text, "s.toml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (5, "routes[1].function")


def test_keys_of_a_standard_queue_are_refused() -> None:
    with pytest.raises(lr.ScenarioError, match="a standard queue, which has no keys"):
        lr.Scenario(
            event_sources={"q": {"type": "sqs", "function": "f"}},
            routes=[{"function": "f", "source": "q", "key": "state_key"}],
        )


def test_a_function_that_the_trace_does_not_have_is_told() -> None:
    text = "[[routes]]\nfunction = 'aply'\nsource = 'async'"
    under = lr.Scenario.loads(text, "s.toml")
    with pytest.raises(lr.ScenarioError, match="did you mean 'apply'") as caught:
        lr.replay(frame([BEGIN], function=["apply"]), under)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.path) == ("s.toml", 2, "routes[0].function")


def test_a_column_that_the_trace_does_not_have_is_told() -> None:
    under = scenario({"function": "apply", "source": "line", "key": "customer"})
    with pytest.raises(lr.TraceError, match="no column 'customer'") as caught:
        lr.replay(frame([BEGIN], function=["apply"]), under)
    assert (caught.value.code, caught.value.column) == ("LR-T-COLUMN", "customer")


def test_a_column_that_cannot_be_a_key_is_told() -> None:
    under = scenario({"function": "apply", "source": "line", "key": "duration_ms"})
    with pytest.raises(lr.TraceError, match=r"duration_ms of .* is of type Float64") as caught:
        lr.replay(frame([BEGIN], function=["apply"]), under)
    assert caught.value.code == "LR-T-TYPE"


def test_routes_count_for_the_digest_and_come_from_set() -> None:
    plain = scenario()
    routed = plain.with_set('routes=[{function="apply",source="async"}]')
    assert routed.digest() != plain.digest()
    assert plain.with_("routes", []).digest() == plain.digest()
    assert any(origin.key == "routes[0].source" for origin in routed.resolve().origins())


def test_a_routed_row_is_not_bad_for_the_door_that_it_leaves() -> None:
    trace = frame([BEGIN, BEGIN + S], function=["apply"] * 2, source=["gone", "sync"])
    under = scenario({"function": "apply", "source": "async"})
    (result,) = replay_several(trace, [under], bad=BadRows.of("skip", None, None))
    assert (result.summary.records, result.summary.bad_rows) == (2, 0)
