"""``lr.size`` of event sources: what it says is what replaying every size says."""

from __future__ import annotations

import re
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lambda_replay as lr
from api.test_size import brute
from ingest.common import BEGIN, S
from lambda_replay.size import SizeError

QUEUE: dict[str, Any] = {"type": "sqs", "function": "apply", "batch_size": 1}
STREAM: dict[str, Any] = {"type": "kinesis", "function": "apply", "batch_size": 2}

KEY = "event_sources.flow.shards"


def trace_of(rows: list[tuple[int, int, str]], source: str) -> pl.DataFrame:
    rows = sorted(rows)
    return pl.DataFrame(
        {
            "timestamp": [BEGIN + at * S // 4 for at, _, _ in rows],
            "function": ["apply"] * len(rows),
            "duration_ms": [500.0 * length for _, length, _ in rows],
            "source": [source] * len(rows),
            "key": [key for _, _, key in rows],
        }
    )


ROWS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 8), st.sampled_from("abcdefgh")),
    min_size=1,
    max_size=40,
)


@settings(max_examples=15, deadline=None)
@given(rows=ROWS, most=st.sampled_from([600, 2_000, 6_000]))
def test_shards_are_those_of_trying_all(rows: list[tuple[int, int, str]], most: int) -> None:
    trace = trace_of(rows, "flow")
    under = lr.Scenario(event_sources={"flow": STREAM})
    target = f"iterator_age_ms.max < {most}"
    found = lr.size(trace, under, what="shards", source="flow", target=target)
    if found.smallest is None:
        # A batch of one key is as slow on any number of shards.
        assert not found.exact
        assert brute(trace, under, KEY, range(1, 4), target)[1] is None
        return
    value, smallest, failing = brute(trace, under, KEY, range(1, found.peak + 1), target)
    assert (found.value, found.smallest, list(found.failing)) == (value, smallest, failing)
    assert found.exact


@settings(max_examples=15, deadline=None)
@given(rows=ROWS, most=st.sampled_from([1_000, 3_000, 10_000]))
def test_maximum_concurrency_is_that_of_trying_all(
    rows: list[tuple[int, int, str]], most: int
) -> None:
    trace = trace_of(rows, "line")
    under = lr.Scenario(event_sources={"line": QUEUE})
    target = f"function=apply: wait_ms.max < {most}"
    found = lr.size(trace, under, what="maximum_concurrency", source="line", target=target)
    sizes = range(2, max(2, found.peak) + 1)
    key = "event_sources.line.maximum_concurrency"
    value, smallest, failing = brute(trace, under, key, sizes, target)
    assert (found.value, found.smallest, list(found.failing)) == (value, smallest, failing)
    assert found.exact


def test_by_default_nothing_may_be_lost() -> None:
    """Records that wait for their turn on one shard grow too old; on more they do not."""
    trace = trace_of([(i, 4, "abcdefgh"[i % 8]) for i in range(60)], "flow")
    flow = STREAM | {"maximum_record_age_s": 60, "batch_size": 1}
    under = lr.Scenario(event_sources={"flow": flow})
    found = lr.size(trace, under, what="shards", source="flow")
    assert found.target == "function=apply: loss_rate <= 0"
    assert found.value is not None
    assert found.value > 1
    meets = dict(found.table.select("size", "meets").iter_rows())
    assert meets[found.value] and not meets[found.value - 1]
    (text,) = [text for about, text in found.notes if about == "by factor"]
    pairs = re.findall(r"(\d+) shards? with factor (\d+)", text)
    assert len(pairs) == 10
    for shards, factor in pairs:
        other = under.with_("event_sources.flow.parallelization_factor", int(factor))
        assert lr.replay(trace, other.with_(KEY, int(shards))).summary.discarded == 0
        if int(shards) > 1:
            assert lr.replay(trace, other.with_(KEY, int(shards) - 1)).summary.discarded > 0


WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"what": "shards", "source": "line"}, {"line": QUEUE}, "of type sqs, which has no shards"),
    (
        {"what": "maximum_concurrency", "source": "flow"},
        {"flow": STREAM},
        "of type kinesis, which has no maximum_concurrency",
    ),
    ({"what": "shards", "source": "fl"}, {"flow": STREAM}, "there is no event source 'fl'"),
    (
        {"what": "shards", "source": "flow", "target": "cheapest"},
        {"flow": STREAM},
        "not in the bill",
    ),
    (
        {"what": "maximum_concurrency", "source": "line"},
        {"line": QUEUE | {"provisioned_pollers": {"min": 2, "max": 4}}},
        "exclude maximum_concurrency",
    ),
    (
        {"what": "shards", "source": "flow"},
        {"flow": STREAM | {"reshard": [{"at": "2026-03-02T08:00:00Z", "split": 0}]}},
        "split or merged on the way",
    ),
    (
        {"what": "shards", "source": "gone"},
        {"flow": STREAM, "gone": STREAM},
        "has no record in the trace",
    ),
]


@pytest.mark.parametrize(("options", "sources", "part"), WRONG)
def test_questions_that_make_no_sense(
    options: dict[str, Any], sources: dict[str, Any], part: str
) -> None:
    trace = trace_of([(0, 1, "a")], next(iter(sources)))
    with pytest.raises(SizeError, match=part) as caught:
        lr.size(trace, lr.Scenario(event_sources=sources), **options)
    assert caught.value.exit_code == 2
    assert caught.value.hint


def test_a_trace_that_names_its_shards_has_no_other_number() -> None:
    trace = trace_of([(0, 1, "a"), (1, 1, "b")], "flow").with_columns(shard=pl.Series([0, 3]))
    with pytest.raises(SizeError, match="names the shards of 'flow'"):
        lr.size(trace, lr.Scenario(event_sources={"flow": STREAM}), what="shards", source="flow")


@pytest.mark.parametrize(
    ("what", "name", "source", "column"),
    [
        ("shards", "flow", STREAM, "iterator_age_ms"),
        ("maximum_concurrency", "line", QUEUE, "wait_ms"),
    ],
)
def test_ages_are_told_of_the_sizes_that_the_proof_names(
    what: Any, name: str, source: dict[str, Any], column: str
) -> None:
    trace = trace_of([(i // 4, 4, "abcdefgh"[i % 8]) for i in range(16)], name)
    under = lr.Scenario(event_sources={name: source})
    found = lr.size(
        trace, under, what=what, source=name, target=f"function=apply: {column}.max < 99s"
    )
    sizes = found.table["size"].to_list()
    assert f"all sizes from {sizes[0]} to {sizes[-1]} replayed" in found.proof
    key = f"event_sources.{name}.{what}"
    for size, most in found.table.select("size", f"function.{column}.max").iter_rows():
        functions = lr.replay(trace, under.with_(key, size)).functions
        assert functions[column].struct.field("max").item() == most
    head = next(line for line in str(found).splitlines() if line.startswith("size"))
    assert f"its {column}.p99  its {column}.max" in head
