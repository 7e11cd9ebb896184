"""Columns that are missing, of a wrong type, or of no use here."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lambda_replay as lr
from ingest.common import BEGIN, CSV, frame, good, place, refused, write

# ---- missing -------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["timestamp", "function", "duration_ms"])
def test_a_missing_column_is_named_with_those_there_are(missing: str) -> None:
    trace = good().drop(missing).with_columns(x1=1, x2=2)
    error = refused(trace, "LR-T-COLUMN", says=[f"no column {missing}", "x1", "x2"])
    assert place(error) == ("frame", None, missing, None)
    assert error.hint is not None


@pytest.mark.parametrize(
    ("column", "near"),
    [
        ("timestamp", "Timestamp "),
        ("timestamp", "TIMESTAMP"),
        ("timestamp", " timestamp"),
        ("timestamp", "timestamps"),
        ("timestamp", "time_stamp"),
        ("function", "Function"),
        ("function", "function_name"),
        ("duration_ms", "Duration_ms"),
        ("duration_ms", "duration"),
        ("duration_ms", "durationMs"),
    ],
)
def test_a_column_of_nearly_that_name_is_suggested(column: str, near: str) -> None:
    error = refused(good().rename({column: near}), "LR-T-COLUMN")
    assert error.column == column
    assert error.hint == f"rename {near!r} to {column!r}; or: --map {column}={near}"


@pytest.mark.parametrize("near", ["ts", "time"])
def test_usual_names_of_other_tools_are_suggested(near: str) -> None:
    error = refused(good().rename({"timestamp": near}), "LR-T-COLUMN")
    assert error.hint is not None
    assert repr(near) in error.hint


def test_all_missing_columns_are_named_at_once() -> None:
    error = refused(
        pl.DataFrame({"a": [1]}),
        "LR-T-COLUMN",
        says=["no column timestamp", "no column function", "no column duration_ms", "it has a"],
    )
    assert error.column == "timestamp"


def test_a_trace_of_a_hundred_columns_lists_some_of_them() -> None:
    error = refused(pl.DataFrame({f"c{number}": [1] for number in range(100)}), "LR-T-COLUMN")
    assert "c19, …" in str(error)
    assert "c20" not in str(error)


def test_a_frame_without_columns_is_told_what_every_trace_needs() -> None:
    error = refused(pl.DataFrame(), "LR-T-COLUMN", says=["it has none"])
    assert error.hint == "every trace needs timestamp, function and duration_ms"


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_csv_file_with_another_separator_says_so(separator: str, tmp_path: Path) -> None:
    path = write(tmp_path / "trace.csv", CSV.replace(",", separator))
    error = refused(path, "LR-T-COLUMN")
    assert error.hint is not None
    assert "comma" in error.hint or "separator" in error.hint


def test_a_csv_file_without_a_header_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "trace.csv", "".join(CSV.splitlines(keepends=True)[1:]))
    refused(path, "LR-T-COLUMN", says=["no column timestamp", str(BEGIN)])


def test_a_csv_file_with_a_column_twice_is_refused(tmp_path: Path) -> None:
    # Which of the two is meant, nobody knows.
    path = write(
        tmp_path / "trace.csv", f"timestamp,function,duration_ms,function\n{BEGIN},f,1,g\n"
    )
    error = refused(path, says=["function"])
    assert error.column == "function"


def test_control_characters_in_names_are_shown_escaped() -> None:
    trace = good().rename({"function": "\x1b[31mfunction\x07"})
    error = refused(trace, "LR-T-COLUMN")
    assert "\x1b" not in str(error)
    assert "\x1b" not in (error.hint or "")


# ---- type ----------------------------------------------------------------------------------

WRONG_TYPES: dict[str, list[pl.Series]] = {
    "timestamp": [
        pl.Series([1.5]),
        pl.Series([True]),
        pl.Series([1]).cast(pl.Duration("us")),
        pl.Series([1]).cast(pl.Time),
        pl.Series([[1]]),
        pl.Series([b"x"]),
        pl.Series(["1.5"]).cast(pl.Decimal(5, 1)),
    ],
    "function": [
        pl.Series([1]),
        pl.Series([1.5]),
        pl.Series([b"f"]),
        pl.Series([["f"]]),
        pl.Series([{"name": "f"}]),
        pl.Series([True]),
    ],
    "duration_ms": [
        pl.Series(["1"]),
        pl.Series([True]),
        pl.Series([1]).cast(pl.Datetime("us")),
        pl.Series([[1.0]]),
    ],
    "init_ms": [
        pl.Series(["1"]),
        pl.Series([True]),
        pl.Series([1]).cast(pl.Datetime("us")),
        pl.Series([[1.0]]),
    ],
}


@pytest.mark.parametrize(
    ("column", "series"),
    [(column, series) for column, wrong in WRONG_TYPES.items() for series in wrong],
    ids=lambda value: value if isinstance(value, str) else str(value.dtype),
)
def test_a_column_of_a_wrong_type_is_named_with_what_it_must_be(
    column: str, series: pl.Series
) -> None:
    error = refused(frame([BEGIN], **{column: series}), "LR-T-TYPE", says=[column, "must be"])
    assert place(error) == ("frame", None, column, str(series.dtype))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("row_uid", 1.5),
        ("row_uid", "a"),
        ("row_uid", [1]),
        ("request_id", [1]),
        ("source", [1]),
        ("account", [1]),
    ],
    ids=str,
)
def test_identities_and_guards_of_a_wrong_type_are_refused_by_name(column: str, value: Any) -> None:
    assert refused(frame([BEGIN], **{column: [value]})).column == column


# ---- not modelled, ignored -----------------------------------------------------------------


def test_columns_are_sorted_into_known_not_modelled_and_ignored(tmp_path: Path) -> None:
    header = "timestamp,function,duration_ms,note,memory_mb,key,cold_start,Source,source"
    path = write(tmp_path / "trace.csv", f"{header}\n{BEGIN},f,1,x,128,k,true,y,sync\n")
    report = lr.replay(path).trace
    assert report.ignored == ("note", "Source")
    assert report.not_modelled == ("key",)


def test_a_trace_of_canonical_columns_has_nothing_to_report() -> None:
    report = lr.replay(good()).trace
    assert report.ignored == report.not_modelled == report.notes == ()
    assert not report.has_init
    assert lr.replay(good().with_columns(init_ms=1.0)).trace.has_init


# ---- accounts and sources ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "first"),
    [
        ({"account": ["1", "2"]}, "account"),
        ({"region": ["eu-west-1", "us-east-1"]}, "region"),
        ({"account": ["1", "1"], "region": ["eu-west-1", "us-east-1"]}, "account"),
    ],
)
def test_several_accounts_or_regions_are_refused(columns: dict[str, Any], first: str) -> None:
    error = refused(frame([BEGIN] * 2, **columns), "LR-T-ACCOUNTS", says=["2 accounts"])
    assert error.column == first
    assert error.hint is not None
    assert "filter" in error.hint


@pytest.mark.parametrize("source", ["asynchronous", "orders", "", "SYNC", "Async"])
def test_a_source_other_than_sync_and_async_is_refused_by_row(source: str) -> None:
    error = refused(frame([BEGIN] * 3, source=["sync", None, source]), "LR-T-SOURCE", says=["sync"])
    assert place(error) == ("frame", 2, "source", source)
    assert error.hint is not None


def test_the_row_of_a_source_is_its_position_in_the_trace_as_given() -> None:
    trace = frame([BEGIN + 3, BEGIN + 2, BEGIN + 1], source=["sync", "async", "orders"])
    assert refused(trace, "LR-T-SOURCE").row == 2
    # In a later batch, too.
    rows = 250_000
    late = pl.select(
        timestamp=pl.int_range(BEGIN, BEGIN + rows),
        function=pl.lit("f"),
        duration_ms=pl.lit(0.0),
        source=pl.when(pl.int_range(rows) == 201_234)
        .then(pl.lit("orders"))
        .otherwise(pl.lit("sync")),
    )
    assert refused(late, "LR-T-SOURCE").row == 201_234
