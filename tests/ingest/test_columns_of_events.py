"""Columns that make a row more than a request that ends well: right ones, wrong ones, missing ones.

What the rows then lead to is the business of ``tests/semantics``.
"""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import lambda_replay as lr
from ingest.common import BEGIN, S, frame, place, refused

NAN, INF = float("nan"), float("inf")

#: One at a time, no jitter: an event waits for its turn by known times.
SCENARIO = lr.Scenario(account={"concurrency": 1, "async": {"jitter_half": 0}})

#: Five rows with every column: a failure, refusals, a reader, extensions.
EVENTS: dict[str, list[Any]] = {
    "timestamp": [BEGIN, BEGIN + S, BEGIN + 9 * S, BEGIN + 9 * S, BEGIN + 400 * S],
    "function": ["f", "g", "f", "g", "f"],
    "duration_ms": [2_000.0, 500.0, 250.5, 10.0, 1_000.0],
    "init_ms": [100.0, None, 0.5, None, 1.0],
    "extension_ms": [None, 100.0, 0.0, 10.0, 400.0],
    "source": ["async", "async", None, "sync", "async"],
    "error": ["crash", None, "handled", "item", None],
    "error_runs": [1, None, 5, 0, None],
    "memory_mb": [512, None, 128, 1_024, 128],
    "payload_bytes": [300_000, 0, None, 1, 2],
    "state_key": ["a", None, "a", "b", "a"],
    "state_access": ["write", None, "read", "write", "read"],
    "request_id": ["r0", "r1", "r2", "r3", "r4"],
}


def events() -> pl.DataFrame:
    """Return those rows."""
    return pl.DataFrame(EVENTS)


def results(trace: Any, scenario: lr.Scenario = SCENARIO) -> tuple[pl.DataFrame, ...]:
    """Return everything that a replay of a trace leads to."""
    result = lr.replay(trace, scenario, outcomes=True, attempts=True)
    assert result.outcomes is not None
    assert result.attempts is not None
    assert result.metrics is not None
    return result.outcomes, result.attempts, result.functions, result.metrics


def same(trace: Any, other: Any) -> None:
    """Demand that two traces lead to the same."""
    for one, two in zip(results(trace), results(other), strict=True):
        assert_frame_equal(one, two)


# ---- ways of writing them down -------------------------------------------------------------


def test_the_rows_lead_to_what_their_columns_say() -> None:
    outcomes, attempts, *_ = results(events())
    assert outcomes["outcome"].to_list() == ["success", "success", "error", "throttled", "success"]
    assert outcomes["errors"].to_list() == [1, 0, 1, 0, 0]
    # The second one is refused at 1 s and 2 s, while the first one runs to 2.1 s.
    assert attempts.filter(pl.col("row") == 1)["outcome"].to_list() == [
        "throttled", "throttled", "success",
    ]  # fmt: skip
    assert outcomes["request_id"].to_list() == EVENTS["request_id"]


def test_every_format_leads_to_the_same(tmp_path: Path) -> None:
    trace = events()
    trace.write_parquet(tmp_path / "trace.parquet")
    trace.write_csv(tmp_path / "trace.csv")
    trace.write_ndjson(tmp_path / "trace.ndjson")
    trace.write_ipc(tmp_path / "trace.arrow")
    for name in ("trace.parquet", "trace.csv", "trace.ndjson", "trace.arrow"):
        same(tmp_path / name, trace)


@pytest.mark.parametrize("number", [pl.Int64, pl.UInt32, pl.Float64, pl.Int16, pl.Float32])
def test_whole_numbers_may_have_any_type_of_numbers(number: type[pl.DataType]) -> None:
    trace = events().with_columns(memory_mb=pl.col("memory_mb").clip(upper_bound=1_024))
    small = trace.with_columns(pl.col("payload_bytes").clip(upper_bound=9))
    same(small.with_columns(pl.col("error_runs", "memory_mb", "payload_bytes").cast(number)), small)


@pytest.mark.parametrize("text", [pl.Categorical(), pl.Enum(["a", "b", "unused"])])
def test_words_may_be_categorical(text: pl.DataType) -> None:
    same(events().with_columns(pl.col("state_key").cast(text)), events())
    words = pl.col("source", "error", "state_access", "request_id").cast(pl.Categorical)
    same(events().with_columns(words), events())


def test_keys_of_shared_state_may_be_numbers() -> None:
    numbered = events().with_columns(
        pl.col("state_key").replace_strict({"a": 7, "b": -8}, return_dtype=pl.Int64)
    )
    same(numbered, events())


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_extensions_may_be_durations(unit: Any) -> None:
    whole = (pl.col("extension_ms") * 1_000).cast(pl.Int64).cast(pl.Duration("us"))
    same(events().with_columns(whole.cast(pl.Duration(unit))), events())


@pytest.mark.parametrize("name", [name for name in EVENTS if name not in ("timestamp", "function")])
def test_a_column_without_a_value_is_as_no_column(name: str) -> None:
    if name == "duration_ms":
        refused(events().with_columns(pl.lit(None).alias(name)))
        return
    for empty in (pl.lit(None), pl.lit(None, events().schema[name])):
        with_it, without = events().with_columns(empty.alias(name)), events().drop(name)
        left, right = results(with_it), results(without)
        told = [name] if name == "request_id" and empty.meta.eq(pl.lit(None, pl.String)) else []
        # A column of ids is carried through, and here says nothing.
        dropped = [frame.drop(told, strict=False) for frame in left]
        for one, two in zip(dropped, right, strict=True):
            assert_frame_equal(one, two)


def test_files_may_lack_columns_that_others_have(tmp_path: Path) -> None:
    rows = events()
    plain = rows.head(2).select("timestamp", "function", "duration_ms")
    plain.write_parquet(tmp_path / "1.parquet")
    rows[2:4].drop("extension_ms", "payload_bytes", "source").write_csv(tmp_path / "2.csv")
    last = rows[4:].with_columns(
        pl.col("memory_mb").cast(pl.Float64), pl.col("state_key").cast(pl.Categorical)
    )
    last.write_parquet(tmp_path / "3.parquet")
    files = [tmp_path / name for name in ("1.parquet", "2.csv", "3.parquet")]
    together = rows.with_columns(
        *(
            pl.when(pl.int_range(pl.len()) < 2).then(None).otherwise(pl.col(name)).alias(name)
            for name in rows.columns[3:]
        )
    ).with_columns(
        pl.when(pl.int_range(pl.len()) < 4).then(None).otherwise(pl.col(name)).alias(name)
        for name in ("extension_ms", "payload_bytes", "source")
    )
    same(files, together)


def test_keys_of_several_files_are_the_same_records(tmp_path: Path) -> None:
    # Two writers of one record, in two files: the second one waits.
    for number in range(2):
        frame([BEGIN + number], duration_ms=[1_000.0], state_key=["k"]).write_parquet(
            tmp_path / f"{number}.parquet"
        )
    assert results(tmp_path, lr.Scenario())[0]["lock_wait_ms"].to_list() == [0, 999.999]


# ---- bad values ----------------------------------------------------------------------------

BAD_VALUES: list[tuple[str, list[Any], str]] = [
    ("error", ["crash", "Crash"], "handled, crash, item"),
    ("error", ["crash", "timeout"], "handled, crash, item"),
    ("error", [None, ""], "handled, crash, item"),
    ("state_access", ["read", "update"], "write, read"),
    ("state_access", [None, "WRITE"], "write, read"),
    ("error_runs", [0, -1], "0 to 4,294,967,294"),
    ("error_runs", [0.0, NAN], "0 to 4,294,967,294"),
    ("error_runs", [0.0, 0.5], "0 to 4,294,967,294"),
    ("error_runs", [0, 2**32 - 1], "0 to 4,294,967,294"),
    ("error_runs", [0, 2**63 - 1], "0 to 4,294,967,294"),
    ("memory_mb", [128, 0], "1 to 4,294,967,295"),
    ("memory_mb", [128, -1], "1 to 4,294,967,295"),
    ("memory_mb", [128.0, 128.5], "1 to 4,294,967,295"),
    ("memory_mb", [128.0, INF], "1 to 4,294,967,295"),
    ("memory_mb", [128, 2**32], "1 to 4,294,967,295"),
    ("payload_bytes", [0, -1], "from 0"),
    ("payload_bytes", [0.0, 0.25], "from 0"),
    ("payload_bytes", [0.0, NAN], "from 0"),
    ("extension_ms", [0.0, -1.0], "from 0 to 366 days"),
    ("extension_ms", [0.0, NAN], "from 0 to 366 days"),
    ("extension_ms", [0.0, INF], "from 0 to 366 days"),
    ("extension_ms", [0.0, 366.0 * 86_400_000 + 1], "from 0 to 366 days"),
]


@pytest.mark.parametrize(("column", "values", "says"), BAD_VALUES, ids=repr)
def test_a_bad_value_is_refused_by_row_with_what_it_must_be(
    column: str, values: list[Any], says: str
) -> None:
    error = refused(frame([BEGIN] * 2, **{column: values}), "LR-T-VALUE", says=[column, says])
    bad = values[1]
    assert place(error)[:3] == ("frame", 1, column)
    assert error.value == bad or (bad != bad and error.value != error.value)  # noqa: PLR0124


def test_a_word_that_is_nearly_right_is_recognised() -> None:
    assert "did you mean crash?" in (refused(frame([BEGIN], error=["crashed"])).hint or "")
    assert "did you mean async?" in (refused(frame([BEGIN], source=["Async"])).hint or "")
    assert "did you mean read?" in (refused(frame([BEGIN], state_access=["reads"])).hint or "")


def test_the_row_of_a_bad_value_is_its_position_as_given(tmp_path: Path) -> None:
    backwards = frame(
        [BEGIN + 3, BEGIN + 2, BEGIN + 1, BEGIN], source=["async"] * 4, memory_mb=[1, 0, 1, 1]
    )
    assert refused(backwards, "LR-T-VALUE").row == 1
    good = frame([BEGIN] * 3, error=[None, None, "item"])
    good.write_parquet(tmp_path / "a.parquet")
    good.with_columns(error=pl.Series([None, "no", "no"])).write_parquet(tmp_path / "b.parquet")
    error = refused(tmp_path, "LR-T-VALUE")
    assert error.row == 4
    assert error.source is not None
    assert error.source.endswith("b.parquet")


@pytest.mark.parametrize(
    ("column", "series"),
    [
        *((name, pl.Series([["a"]])) for name in ("error", "source", "state_key", "state_access")),
        ("state_key", pl.Series([{"a": 1}])),
        ("state_key", pl.Series([b"a"])),
        *(
            (name, series)
            for name in ("error_runs", "memory_mb", "payload_bytes")
            for series in (pl.Series(["1"]), pl.Series([True]), pl.Series([[1]]))
        ),
        ("extension_ms", pl.Series(["1"])),
        ("extension_ms", pl.Series([True])),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.dtype),
)
def test_a_column_of_a_wrong_type_is_named(column: str, series: pl.Series) -> None:
    error = refused(frame([BEGIN], **{column: series}), "LR-T-TYPE", says=[column, "must be"])
    assert place(error) == ("frame", None, column, str(series.dtype))


# ---- odd, but right ------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [10_241, 127, 1, 2**32 - 1])
def test_memory_that_lambda_does_not_offer_is_noted_once_and_priced(memory: int) -> None:
    result = lr.replay(frame([BEGIN] * 3, memory_mb=[memory, 128, memory], duration_ms=[1e3] * 3))
    (note,) = result.trace.notes
    assert "memory_mb" in note
    assert "128 to 10,240" in note
    assert f"{memory:,}" in note
    assert result.summary.cost_usd is not None
    expected = (2 * memory + 128) / 1_024 * 0.0000166667
    assert result.summary.cost_usd["duration"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("memory", [128, 10_240])
def test_memory_at_the_ends_of_the_range_needs_no_note(memory: int) -> None:
    assert lr.replay(frame([BEGIN], memory_mb=[memory])).trace.notes == ()


def test_z13_an_extension_is_at_most_the_duration() -> None:
    rows = {"duration_ms": [1_000.0, 1_000.0], "source": ["async", "sync"]}
    long = frame([BEGIN, BEGIN + 9 * S], extension_ms=[5_000.0, 1_000.001], **rows)
    same(long, long.with_columns(extension_ms=pl.lit(1_000.0)))
    outcomes = results(long)[0]
    # The answer comes at once, the release after a second.
    assert (outcomes["settled"] - outcomes["timestamp"]).dt.total_microseconds().to_list() == [0, 0]
    assert (outcomes["end"] - outcomes["start"]).dt.total_microseconds().to_list() == [S, S]


def test_odd_names_of_records_are_names() -> None:
    keys = ["", " ", "a\x00b", "é", "a", "A", "null", "k" * 10_000]
    trace = frame([BEGIN] * 2 * len(keys), state_key=keys * 2, duration_ms=[1e3] * 2 * len(keys))
    waits = results(trace, lr.Scenario())[0]["lock_wait_ms"].to_list()
    assert waits == [0.0] * len(keys) + [1_000.0] * len(keys)


def test_extreme_numbers_of_every_column_do_no_harm() -> None:
    # Not longer: a minute in which something runs on has a row.
    most = 20 * 86_400_000.0
    trace = frame(
        [BEGIN + row * S for row in range(3)],
        source=["async", "async", "sync"],
        duration_ms=[most] * 3,
        extension_ms=[most] * 3,
        init_ms=[most] * 3,
        error=["crash"] * 3,
        error_runs=[2**32 - 2] * 3,
        memory_mb=[2**32 - 1] * 3,
        payload_bytes=[2**63 - 1] * 3,
        state_key=["k"] * 3,
    )
    summary = lr.replay(trace, lr.Scenario()).summary
    assert summary.records == 3
    assert summary.cost_usd is not None
    assert 0 < summary.cost_usd["total"] < INF


# ---- identity ------------------------------------------------------------------------------


def late(rows: int) -> pl.DataFrame:
    """Return events of which most are decided long after later rows have come and gone."""
    return pl.select(
        timestamp=pl.int_range(BEGIN, BEGIN + rows * S, S),
        function=pl.concat_str(pl.lit("f"), pl.int_range(rows) % 3),
        duration_ms=(pl.int_range(rows) % 7) * 400.0,
        source=pl.when(pl.int_range(rows) % 3 > 0).then(pl.lit("async")).otherwise(pl.lit("sync")),
        error=pl.when(pl.int_range(rows) % 5 == 1).then(pl.lit("crash")),
        request_id=pl.concat_str(pl.lit("id-"), pl.int_range(rows)),
    )


@pytest.mark.parametrize("order", ["sorted", "reversed", "shuffled"])
def test_request_ids_reach_the_outcomes_however_late_they_are_decided(order: str) -> None:
    trace = late(400)
    if order == "reversed":
        trace = trace.reverse()
    elif order == "shuffled":
        trace = trace.sample(fraction=1, shuffle=True, seed=1)
    result = lr.replay(trace, SCENARIO, outcomes=True, attempts=True)
    assert result.outcomes is not None
    assert result.outcomes["row"].to_list() == list(range(400))
    assert result.outcomes["request_id"].to_list() == trace["request_id"].to_list()
    assert result.summary.errors > 20
    assert (result.outcomes["attempts"] > 1).sum() > 50
    # Luck goes by the id, so what befalls a request does not depend on its place.
    told = result.outcomes.drop("row", "batch", "environment").sort("request_id")
    first = lr.replay(late(400), SCENARIO, outcomes=True).outcomes
    assert first is not None
    assert_frame_equal(told, first.drop("row", "batch", "environment").sort("request_id"))


def test_request_ids_reach_a_stream_of_outcomes_and_a_file(tmp_path: Path) -> None:
    trace = late(300)
    kept = lr.replay(trace, SCENARIO, outcomes=True).outcomes
    assert kept is not None
    streamed = lr.scan_outcomes(trace, SCENARIO).collect()
    assert_frame_equal(streamed.sort("row"), kept)
    lr.scan_outcomes(trace, SCENARIO).sink_parquet(tmp_path / "outcomes.parquet")
    assert_frame_equal(pl.read_parquet(tmp_path / "outcomes.parquet").sort("row"), kept)


def test_copies_of_a_row_carry_its_request_id() -> None:
    trace = late(60)
    result = lr.replay(trace, SCENARIO.with_("replay.load", 2.5), outcomes=True)
    assert result.outcomes is not None
    assert result.outcomes.height > 120
    ids = pl.concat_str(pl.lit("id-"), "row")
    assert result.outcomes.select((pl.col("request_id") == ids).all()).item()
