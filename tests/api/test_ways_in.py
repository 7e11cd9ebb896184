"""Whatever a trace is given as, it is the same trace (interface.md §1)."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lambda_replay as lr
from api.common import BEGIN, ROWS, SCENARIO, S, as_expected, one_row, outcomes, trace


def test_the_trace_of_these_tests_has_a_bit_of_everything() -> None:
    found = outcomes(trace())
    assert found["outcome"].to_list() == ["success", "success", "throttled", "success"]
    assert found["cold"].to_list() == [True, True, None, False]


# ---- objects -------------------------------------------------------------------------------


def reader(frame: pl.DataFrame) -> pa.RecordBatchReader:
    """Return a stream that can be read only once."""
    table = frame.to_arrow()

    def batches() -> Iterator[pa.RecordBatch]:
        yield from table.to_batches(max_chunksize=2)

    return pa.RecordBatchReader.from_batches(table.schema, batches())


class OnlyArrow:
    """Rows of a foreign library, which knows nothing but the PyCapsule protocol."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.frame.__arrow_c_stream__(requested_schema)


OBJECTS: dict[str, Callable[[pl.DataFrame], Any]] = {
    "DataFrame": lambda frame: frame,
    "LazyFrame": lambda frame: frame.lazy(),
    "pyarrow Table": lambda frame: frame.to_arrow(),
    "pyarrow Table of several chunks": lambda frame: pa.concat_tables(
        [frame.head(1).to_arrow(), frame.tail(3).to_arrow()]
    ),
    "pyarrow RecordBatch": lambda frame: frame.to_arrow().to_batches()[0],
    "pyarrow RecordBatchReader": reader,
    "an object with __arrow_c_stream__": OnlyArrow,
}


@pytest.mark.parametrize("kind", list(OBJECTS))
def test_frames_and_arrow_objects_are_traces(kind: str) -> None:
    assert as_expected(OBJECTS[kind](trace()))


@pytest.mark.parametrize("kind", list(OBJECTS))
def test_unsorted_frames_and_arrow_objects_are_sorted(kind: str) -> None:
    found = outcomes(OBJECTS[kind](trace().reverse()))
    # Backwards, the two rows of one instant change places: f comes first, and g is refused.
    assert found["row"].to_list() == [0, 1, 2, 3]
    assert found["outcome"].to_list() == ["success", "success", "throttled", "success"]
    assert found["function"].to_list() == ["f", "f", "g", "f"]


def test_a_frame_given_as_trace_is_left_as_it_was() -> None:
    frame = trace(note=["a", "b", "c", "d"])
    before = frame.clone()
    lr.replay(frame, SCENARIO)
    assert frame.equals(before)


def test_a_lazy_frame_is_read_only_where_columns_are_needed() -> None:
    # A column that is not of the contract would fail if it were computed.
    lazy = trace().lazy().with_columns(broken=pl.col("function").cast(pl.Int64, strict=True))
    assert as_expected(lazy)


# ---- files ---------------------------------------------------------------------------------


def test_a_path_is_a_trace_as_text_and_as_path(tmp_path: Path) -> None:
    path = tmp_path / "trace.parquet"
    trace().write_parquet(path)
    assert as_expected(path)
    assert as_expected(str(path))
    assert lr.replay(path).trace.names == (str(path),)


def test_a_path_relative_to_the_working_folder_is_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace().write_csv(tmp_path / "trace.csv")
    monkeypatch.chdir(tmp_path)
    assert as_expected("trace.csv")
    assert as_expected("*.csv")
    assert as_expected(".")


def test_paths_in_a_list_a_glob_and_a_folder_follow_each_other(tmp_path: Path) -> None:
    first, second = tmp_path / "a.parquet", tmp_path / "b.csv"
    trace().head(2).write_parquet(first)
    trace().tail(2).write_csv(second)
    assert as_expected([first, str(second)])
    assert as_expected((str(first), second))
    assert as_expected(str(tmp_path / "*"))
    assert as_expected(tmp_path)
    assert lr.replay(tmp_path).trace.names == (str(first), str(second))


def test_what_pyarrow_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.parquet"
    table = trace(timestamp=times("us")).to_arrow()
    pq.write_table(table, path, compression="snappy", version="1.0", row_group_size=2)
    assert as_expected(path)


def test_a_file_in_memory_is_read_through_polars() -> None:
    file = io.BytesIO()
    trace().write_parquet(file)
    file.seek(0)
    assert as_expected(pl.scan_parquet(file))


# ---- timestamp -----------------------------------------------------------------------------


def times(unit: Any, zone: str | None = None) -> pl.Series:
    """Return the instants of the rows as Datetime."""
    micros = pl.Series([BEGIN + at for at, _, _ in ROWS]).cast(pl.Datetime("us", zone))
    return micros.dt.cast_time_unit(unit)


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_any_datetime_is_a_timestamp_and_naive_is_utc(unit: str, zone: str | None) -> None:
    assert as_expected(trace(timestamp=times(unit, zone)))


@pytest.mark.parametrize("dtype", [pl.Int64, pl.UInt64, pl.Int128])
def test_integers_are_microseconds(dtype: Any) -> None:
    assert as_expected(trace(timestamp=pl.Series([BEGIN + at for at, _, _ in ROWS], dtype=dtype)))


def test_small_integers_are_microseconds_too() -> None:
    found = outcomes(one_row(timestamp=pl.Series([7], dtype=pl.UInt8)))
    assert found["timestamp"].to_physical().to_list() == [7]


def test_a_date_is_its_first_instant() -> None:
    found = outcomes(one_row(timestamp=pl.Series([BEGIN // (86_400 * S)]).cast(pl.Date)))
    assert found["timestamp"].dt.hour().to_list() == [0]


@pytest.mark.parametrize(
    "texts",
    [
        ["2026-03-02T08:00:00Z", "2026-03-02T08:00:00.5Z"],
        ["2026-03-02T08:00:00.000Z", "2026-03-02T08:00:00.500Z"],
        ["2026-03-02T08:00:00", "2026-03-02T08:00:00.5"],
        ["2026-03-02 08:00:00", "2026-03-02 08:00:00.500000"],
        ["2026-03-02T09:00:00+01:00", "2026-03-02T09:00:00.5+01:00"],
        ["2026-03-02T09:00:00+01:00", "2026-03-02T03:00:00.5-05:00"],
        ["2026-03-02T08:00:00Z", "2026-03-02T09:00:00.5+01:00"],
        ["2026-03-02T08:00:00+0000", "2026-03-02T08:00:00.500+0000"],
        ["2026-03-02T08:00:00.000000999Z", "2026-03-02T08:00:00.500000999Z"],
    ],
)
@pytest.mark.parametrize("way", ["frame", "CSV", "NDJSON"])
def test_iso_texts_are_timestamps_with_z_with_an_offset_and_without(
    texts: list[str], way: str, tmp_path: Path
) -> None:
    first, second = texts
    frame = trace(timestamp=[first, second, second, first.replace(":00:00", ":00:02")])
    path = tmp_path / "trace"
    if way == "CSV":
        frame.write_csv(path)
    elif way == "NDJSON":
        frame.write_ndjson(path)
    assert as_expected(frame if way == "frame" else path)


@pytest.mark.parametrize("way", ["frame", "CSV", "NDJSON"])
def test_texts_with_and_without_an_offset_in_one_column_are_read_or_refused_by_row(
    way: str, tmp_path: Path
) -> None:
    naive, aware = "2026-03-02T08:00:00", "2026-03-02T09:00:00.5+01:00"
    frame = trace(timestamp=[naive, aware, aware, "2026-03-02T08:00:02Z"])
    path = tmp_path / "trace"
    if way == "CSV":
        frame.write_csv(path)
    elif way == "NDJSON":
        frame.write_ndjson(path)
    try:
        # Naive is UTC, so that nothing is ambiguous here.
        assert as_expected(frame if way == "frame" else path)
    except lr.TraceError as error:
        assert (error.row, error.column, error.value) == (1, "timestamp", aware)


# ---- duration_ms ---------------------------------------------------------------------------


def durations(dtype: Any) -> pl.Series:
    """Return the durations as numbers of milliseconds."""
    return pl.Series([duration / 1_000 for _, _, duration in ROWS]).cast(dtype)


def spans(unit: Any) -> pl.Series:
    """Return the durations as Duration."""
    micros = pl.Series([duration for _, _, duration in ROWS]).cast(pl.Duration("us"))
    return micros.dt.cast_time_unit(unit)


@pytest.mark.parametrize(
    "dtype",
    [pl.Int64, pl.UInt16, pl.Int32, pl.Int128, pl.Float64, pl.Float32, pl.Decimal(12, 3)],
)
def test_any_number_is_a_duration_in_milliseconds(dtype: Any) -> None:
    assert as_expected(trace(duration_ms=durations(dtype)))


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_any_duration_is_one_whatever_the_name_says(unit: str) -> None:
    assert as_expected(trace(duration_ms=spans(unit)))


def test_a_float32_is_taken_to_the_nearest_microsecond() -> None:
    found = outcomes(one_row(duration_ms=pl.Series([1234.567], dtype=pl.Float32)))
    assert (found["end"] - found["start"]).dt.total_microseconds().to_list() == [1_234_567]


def test_decimals_are_as_exact_as_a_microsecond() -> None:
    values = pl.Series(["0.001", "123456.789", "0.0005"]).cast(pl.Decimal(18, 4))
    frame = pl.DataFrame({"timestamp": [BEGIN] * 3, "function": ["f"] * 3, "duration_ms": values})
    found = outcomes(frame, lr.Scenario())
    held = (found["end"] - found["start"]).dt.total_microseconds()
    assert held.to_list() == [1, 123_456_789, 1]


@pytest.mark.parametrize(
    ("nanoseconds", "micros"), [(499, 0), (500, 1), (1_499, 1), (1_500, 2), (2_500, 3)]
)
def test_nanoseconds_go_to_the_nearest_microsecond_half_up(nanoseconds: int, micros: int) -> None:
    span = pl.Series([nanoseconds]).cast(pl.Duration("ns"))
    found = outcomes(one_row(duration_ms=span))
    assert (found["end"] - found["start"]).dt.total_microseconds().to_list() == [micros]


# ---- init_ms -------------------------------------------------------------------------------

INITS = [None, 20, 30, 40]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series(INITS, dtype=pl.Int64),
        pl.Series(INITS, dtype=pl.Float64),
        pl.Series(INITS, dtype=pl.Float32),
        pl.Series(INITS).cast(pl.Decimal(8, 2)),
        pl.Series(INITS).cast(pl.Duration("ms")),
        (pl.Series(INITS) * 1_000).cast(pl.Duration("us")),
        (pl.Series(INITS) * 1_000_000).cast(pl.Duration("ns")),
    ],
    ids=lambda column: str(column.dtype),
)
def test_a_row_without_an_init_takes_the_scenarios(column: pl.Series) -> None:
    scenario = SCENARIO.with_("defaults.init_ms", 7)
    found = outcomes(trace(init_ms=column), scenario)
    # The last one is warm, and the third one did not run.
    assert found["init_ms"].to_list() == [7, 20, None, 0]
    report = lr.replay(trace(init_ms=column), scenario).trace
    assert report.has_init


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([None] * 4),
        pl.Series([None] * 4, dtype=pl.Float64),
        pl.Series([None] * 4, dtype=pl.Duration("us")),
    ],
    ids=lambda column: str(column.dtype),
)
def test_inits_that_are_all_null_are_as_good_as_none(column: pl.Series) -> None:
    scenario = SCENARIO.with_("defaults.init_ms", 7)
    found = outcomes(trace(init_ms=column), scenario)
    assert found.equals(outcomes(trace(), scenario), null_equal=True)
    assert found["init_ms"].to_list() == [7, 7, None, 0]


def test_an_init_of_zero_is_not_an_init_unknown() -> None:
    scenario = SCENARIO.with_("defaults.init_ms", 7)
    found = outcomes(trace(init_ms=[0, None, None, None]), scenario)
    assert found["init_ms"].to_list() == [0, 7, None, 0]


# ---- function ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype",
    [pl.String(), pl.Categorical(), pl.Enum(["g", "f"]), pl.Enum(["unused", "f", "h", "g"])],
    ids=["String", "Categorical", "Enum", "Enum with names that do not occur"],
)
def test_names_may_be_text_categorical_or_enum(dtype: pl.DataType) -> None:
    assert as_expected(trace(function=pl.Series([name for _, name, _ in ROWS], dtype=dtype)))


def test_dictionary_encoded_names_of_arrow_are_read() -> None:
    table = trace().to_arrow()
    place = table.schema.get_field_index("function")
    encoded = table.column("function").cast(pa.string()).dictionary_encode()
    assert as_expected(table.set_column(place, "function", encoded))


def test_odd_names_stay_as_they_are(tmp_path: Path) -> None:
    names = ["naïve-ß", "日本", 'quo"te, comma', " lead", "tab\there", "Ω" * 200, "λ:live", "A"]
    frame = pl.DataFrame(
        {
            "timestamp": [BEGIN + row for row in range(len(names))],
            "function": names,
            "duration_ms": [1.0] * len(names),
        }
    )
    assert outcomes(frame, lr.Scenario())["function"].to_list() == names
    for write in ("write_csv", "write_ndjson", "write_parquet", "write_ipc"):
        path = tmp_path / write
        getattr(frame, write)(path)
        assert outcomes(path, lr.Scenario())["function"].to_list() == names, write


def test_names_that_look_like_numbers_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    trace(function=["007", "7", "007", "1e3"]).write_csv(path)
    assert outcomes(path)["function"].to_list() == ["007", "7", "007", "1e3"]


def test_names_that_differ_only_in_case_are_two_functions() -> None:
    result = lr.replay(trace(function=["f", "F", "f", "F"]))
    assert sorted(result.functions["function"]) == ["F", "f"]


def test_a_qualifier_is_a_pool_of_its_own_and_counts_with_its_function_z9() -> None:
    frame = pl.DataFrame(
        {
            "timestamp": [BEGIN, BEGIN + 2 * S, BEGIN + 4 * S],
            "function": ["f:live", "f", "f:live"],
            "duration_ms": [1.0] * 3,
        }
    )
    result = lr.replay(frame, outcomes=True)
    assert result.outcomes is not None
    assert result.outcomes["function"].to_list() == ["f:live", "f", "f:live"]
    assert result.outcomes["cold"].to_list() == [True, True, False]
    assert result.functions["function"].to_list() == ["f"]
    assert result.functions["records"].to_list() == [3]
    assert result.metrics is not None
    assert set(result.metrics["function"]) == {None, "f"}


# ---- identity ------------------------------------------------------------------------------


def test_request_ids_are_carried_through_in_the_traces_order() -> None:
    ids = ["d", None, "a", ""]
    assert outcomes(trace(request_id=ids))["request_id"].to_list() == ids
    backwards = trace(request_id=ids).reverse()
    found = outcomes(backwards)
    assert found["request_id"].to_list() == ids[::-1]
    assert found.columns[-1] == "request_id"


@pytest.mark.parametrize("dtype", [pl.String(), pl.Categorical(), pl.Int64()])
def test_request_ids_become_text(dtype: pl.DataType) -> None:
    ids = pl.Series(["4", "3", "2", "1"]).cast(dtype)
    assert outcomes(trace(request_id=ids))["request_id"].to_list() == ["4", "3", "2", "1"]


def test_without_request_ids_there_is_no_such_column() -> None:
    assert "request_id" not in outcomes(trace()).columns


LUCK = lr.Scenario(account={"idle": {"policy": "uniform", "seconds": [1, 100]}})


def draws(**columns: Any) -> list[bool | None]:
    """Return which of 200 requests, 50 s apart, find the environment gone by luck."""
    count = 200
    frame = pl.DataFrame(
        {
            "timestamp": [BEGIN + row * 50 * S for row in range(count)],
            "function": ["f"] * count,
            "duration_ms": [0.0] * count,
            **columns,
        }
    )
    return outcomes(frame, LUCK)["cold"].to_list()


def test_luck_goes_by_request_id_then_by_row_uid_then_by_position_q34() -> None:
    positions = list(range(200))
    others = [7_000 + row for row in positions]
    texts = [f"id-{row}" for row in positions]
    assert draws(row_uid=positions) == draws()
    assert draws(row_uid=others) != draws()
    assert draws(request_id=texts) != draws()
    assert draws(request_id=texts, row_uid=others) == draws(request_id=texts)
    nothing = pl.Series([None] * 200, dtype=pl.String)
    assert draws(request_id=nothing, row_uid=others) == draws(row_uid=others)
    assert draws(row_uid=pl.Series([None] * 200, dtype=pl.Int64)) == draws()


def test_position_is_luck_in_the_trace_as_given_not_in_order_of_time() -> None:
    count = 200
    frame = pl.DataFrame(
        {
            "timestamp": [BEGIN + row * 50 * S for row in range(count)],
            "function": ["f"] * count,
            "duration_ms": [0.0] * count,
        }
    )
    backwards = outcomes(frame.reverse(), LUCK)
    named = frame.with_columns(row_uid=pl.int_range(count, dtype=pl.Int64).reverse())
    assert backwards["cold"].to_list()[::-1] == outcomes(named, LUCK)["cold"].to_list()


# ---- other columns -------------------------------------------------------------------------


def test_columns_of_no_contract_are_ignored_and_named() -> None:
    report = lr.replay(trace(note=["a"] * 4, cost=[1.5] * 4)).trace
    assert report.ignored == ("note", "cost")
    assert report.not_modelled == ()


def test_columns_that_this_version_does_not_model_are_named() -> None:
    report = lr.replay(
        trace(memory_mb=[128] * 4, shard=["s"] * 4, attempt=[1] * 4, cold_start=[True] * 4)
    ).trace
    assert sorted(report.not_modelled) == ["attempt", "shard"]
    assert report.ignored == ()


def test_sync_rows_and_rows_without_a_source_are_the_same() -> None:
    assert as_expected(trace(source=["sync", None, "sync", None]))
    assert as_expected(trace(source=pl.Series(["sync"] * 4, dtype=pl.Categorical())))
    assert as_expected(trace(source=pl.Series([None] * 4)))


def test_one_account_and_region_is_fine() -> None:
    assert as_expected(trace(account=["1"] * 4, region=["eu-west-1"] * 4))


# ---- what no trace is ----------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [None, 5, 1.5, b"trace.csv", object(), [], [1, 2], (), {1: 2}])
def test_anything_else_is_refused_by_its_type(wrong: Any) -> None:
    with pytest.raises(lr.TraceError) as caught:
        lr.replay(wrong)
    assert caught.value.code == "LR-T-KIND"
    assert type(wrong).__name__ in str(caught.value)
    assert "__arrow_c_stream__" in str(caught.value)


def test_an_empty_path_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An unset variable of a shell must not replay whatever lies in the working folder.
    trace().write_csv(tmp_path / "trace.csv")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(lr.TraceError):
        lr.replay("")


def test_a_stream_that_breaks_off_says_why_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    table = trace().to_arrow()

    def batches() -> Iterator[pa.RecordBatch]:
        yield from table.to_batches()
        message = "the source went away"
        raise ValueError(message)

    with pytest.raises(lr.TraceError, match="the source went away") as caught:
        lr.replay(pa.RecordBatchReader.from_batches(table.schema, batches()))
    assert caught.value.code == "LR-T-READ"
    assert caught.value.source == "RecordBatchReader"
    assert list(tmp_path.iterdir()) == []


def test_a_stream_put_aside_on_the_disk_is_gone_after_the_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert as_expected(reader(trace()))
    assert as_expected(reader(trace().reverse())) is False
    assert list(tmp_path.iterdir()) == []


def test_verbs_that_replay_again_read_a_stream_once() -> None:
    frame = trace(cold_start=[True, True, False, False])
    sized = lr.size(reader(frame))
    assert sized.value == lr.size(frame).value == 3
    held = lr.validate(reader(frame), SCENARIO, fit=["idle"])
    assert held.table.equals(lr.validate(frame, SCENARIO).table)
    assert lr.sweep(reader(frame), SCENARIO, {"account.concurrency": [1, 2]}).height == 2
    table = lr.compare(reader(frame), {"a": SCENARIO, "b": lr.Scenario()}, repeat=2).table
    assert table.filter(pl.col("measure") == "records")["a"].item() == 4
