"""Single values that no replay can use: class, code, row, column and value are told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lambda_replay as lr
from ingest.common import BEGIN, HEADER, S, frame, place, refused, write

NAN, INF = float("nan"), float("inf")
REQUIRED = "a number of milliseconds from 0 to 366 days"


def four(column: str, value: Any, row: int, *, kind: str = "sorted") -> pl.DataFrame:
    """Return a trace of four rows, one value of which is another."""
    columns: dict[str, list[Any]] = {
        "timestamp": [BEGIN + place * S for place in range(4)],
        "function": ["f"] * 4,
        "duration_ms": [1.0] * 4,
        "init_ms": [1.0] * 4,
    }
    if kind == "unsorted":
        columns["timestamp"].reverse()
    columns[column][row] = value
    return pl.DataFrame(columns)


# ---- null ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sorted", "unsorted"])
@pytest.mark.parametrize("row", range(4))
@pytest.mark.parametrize("column", ["timestamp", "function", "duration_ms"])
def test_a_null_is_named_by_row_and_column(column: str, row: int, kind: str) -> None:
    error = refused(four(column, None, row, kind=kind), "LR-T-NULL", says=["is null"])
    assert place(error) == ("frame", row, column, None)


@pytest.mark.parametrize("column", ["timestamp", "function", "duration_ms"])
def test_a_column_of_nulls_is_a_null_in_row_0(column: str) -> None:
    for nothing in (pl.Series([None] * 2), pl.Series([None] * 2, dtype=pl.String)):
        trace = frame([BEGIN] * 2, **{column: nothing})
        if column == "duration_ms" and nothing.dtype == pl.String:
            continue
        assert place(refused(trace, "LR-T-NULL")) == ("frame", 0, column, None)


def test_a_null_in_a_later_batch_has_its_row() -> None:
    rows, bad = 250_000, 123_456
    trace = pl.select(
        timestamp=pl.int_range(BEGIN, BEGIN + rows),
        function=pl.lit("f"),
        duration_ms=pl.when(pl.int_range(rows) != bad).then(1.0),
    )
    assert refused(trace, "LR-T-NULL").row == bad
    # Out of order, rows are still numbered as given.
    backwards = trace.reverse()
    assert refused(backwards, "LR-T-NULL").row == rows - 1 - bad


# ---- range ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sorted", "unsorted"])
@pytest.mark.parametrize("column", ["duration_ms", "init_ms"])
@pytest.mark.parametrize("value", [NAN, INF, -INF, -1.0, -0.0001, 1e15, 1e300])
def test_a_span_that_is_none_is_named_by_row_column_and_value(
    value: float, column: str, kind: str
) -> None:
    error = refused(four(column, value, 2, kind=kind), "LR-T-VALUE", says=[REQUIRED, column])
    assert (error.source, error.row, error.column) == ("frame", 2, column)
    assert repr(error.value) == repr(value)


@pytest.mark.parametrize("column", ["duration_ms", "init_ms"])
def test_a_duration_that_is_negative_is_named_in_milliseconds(column: str) -> None:
    spans = pl.Series([1_000, -1]).cast(pl.Duration("us"))
    error = refused(frame([BEGIN] * 2, **{column: spans}), "LR-T-VALUE")
    assert place(error) == ("frame", 1, column, -0.001)


def test_a_negative_init_of_a_row_that_would_be_warm_is_refused_all_the_same() -> None:
    trace = frame([BEGIN, BEGIN + S], init_ms=[0.0, -5.0])
    assert place(refused(trace, "LR-T-VALUE")) == ("frame", 1, "init_ms", -5.0)


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-9, 1e9])
def test_spans_at_the_edges_are_replayed(value: float) -> None:
    assert lr.replay(frame([BEGIN], duration_ms=[value])).summary.records == 1


@pytest.mark.parametrize("value", [2**62, -(2**62), 2**63 - 1, -(2**63)])
def test_an_instant_far_away_is_named_by_row_column_and_value(value: int) -> None:
    rows = [value, BEGIN] if value < 0 else [BEGIN, value]
    error = refused(frame(rows), "LR-T-VALUE", says=["timestamp"])
    assert (error.row, error.column) == (rows.index(value), "timestamp")
    assert error.value == pytest.approx(value)


@pytest.mark.parametrize(
    "micros",
    [BEGIN * 1_000, 253_402_300_800 * S, -62_135_596_801 * S, 2 * 10**18],
    ids=["nanoseconds taken for microseconds", "year 10000", "year 0", "year 65000"],
)
def test_an_instant_that_no_calendar_has_is_refused_by_row(micros: int) -> None:
    # Python's datetime ends with the year 9999, and nobody's trace does not.
    error = refused(frame([micros]), "LR-T-VALUE")
    assert (error.row, error.column) == (0, "timestamp")


@pytest.mark.parametrize("dtype", [pl.UInt64, pl.Int128])
def test_integers_beyond_64_bits_are_refused_by_row(dtype: Any) -> None:
    error = refused(frame(pl.Series([BEGIN, 2**63], dtype=dtype)))
    assert (error.row, error.column, error.value) == (1, "timestamp", 2**63)


#: Milliseconds that are a plausible number of microseconds once they have wrapped round.
WRAPPING = 2**64 // 1_000 + 5


def test_milliseconds_that_overflow_are_refused_and_not_taken_for_other_instants() -> None:
    wrapped = pl.Series([WRAPPING + BEGIN // 1_000]).cast(pl.Datetime("ms"))
    error = refused(frame(wrapped))
    assert (error.row, error.column) == (0, "timestamp")


@pytest.mark.parametrize("column", ["duration_ms", "init_ms"])
def test_spans_that_overflow_are_refused_and_not_taken_for_other_spans(column: str) -> None:
    wrapped = pl.Series([WRAPPING]).cast(pl.Duration("ms"))
    error = refused(frame([BEGIN], **{column: wrapped}))
    assert (error.row, error.column) == (0, column)


def test_of_several_bad_rows_of_a_batch_one_is_named_and_always_the_same() -> None:
    trace = frame([BEGIN] * 4, duration_ms=[1.0, -2.0, NAN, -4.0])
    assert {refused(trace, "LR-T-VALUE").row for _ in range(3)} == {1}


# ---- text ----------------------------------------------------------------------------------

NOT_TIMES = ["yesterday", "", "2026-02-30T00:00:00Z"]


@pytest.mark.parametrize("text", NOT_TIMES)
def test_a_text_that_is_no_instant_is_named_by_row_column_and_value(text: str) -> None:
    error = refused(frame(["2026-03-02T08:00:00Z", "2026-03-02T08:00:00Z", text]))
    assert place(error) == ("frame", 2, "timestamp", text)


def test_texts_none_of_which_is_an_instant_are_refused_by_the_first() -> None:
    error = refused(frame(["soon", "later"]))
    assert place(error) == ("frame", 0, "timestamp", "soon")


CSV_COLUMNS = "timestamp,function,duration_ms,init_ms\n"


def csv(rows: int, bad: int, line: str) -> str:
    """Return a CSV file one line of which is another."""
    lines = [f"{BEGIN + row},f,1.5,\n" for row in range(rows)]
    lines[bad] = line
    return CSV_COLUMNS + "".join(lines)


@pytest.mark.parametrize(
    ("rows", "bad", "line", "column", "value"),
    [
        (3, 0, f"{BEGIN + S},f,abc,\n", "duration_ms", "abc"),
        (3, 1, f"{BEGIN + S},f,1 ms,\n", "duration_ms", "1 ms"),
        (3, 2, f'{BEGIN + S},f,"1,5",\n', "duration_ms", "1,5"),
        (3, 1, f"{BEGIN + S},f,1,x\n", "init_ms", "x"),
        # Beyond the rows by which types are told.
        (20_000, 19_999, f"{BEGIN + S},f,abc,\n", "duration_ms", "abc"),
    ],
)
def test_text_in_a_number_column_of_a_csv_file_is_named_by_row_column_and_value(
    rows: int, bad: int, line: str, column: str, value: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "trace.csv", csv(rows, bad, line))
    assert place(refused(path)) == (str(path), bad, column, value)


@pytest.mark.parametrize("value", ["NaN", "inf", "-inf", "-1", "1e400"])
def test_numbers_of_a_csv_file_that_are_no_spans_are_named(value: str, tmp_path: Path) -> None:
    path = write(tmp_path / "trace.csv", csv(3, 1, f"{BEGIN},f,{value},\n"))
    error = refused(path, "LR-T-VALUE")
    assert (error.source, error.row, error.column) == (str(path), 1, "duration_ms")


def test_too_few_fields_are_a_null_of_that_row(tmp_path: Path) -> None:
    path = write(tmp_path / "trace.csv", f"{HEADER}{BEGIN},f,1\n{BEGIN},f\n{BEGIN},f,1\n")
    assert place(refused(path, "LR-T-NULL")) == (str(path), 1, "duration_ms", None)


FINE = f'{{"timestamp":{BEGIN},"function":"f","duration_ms":1}}\n'


@pytest.mark.parametrize(
    ("old", "new", "column", "row"),
    [
        # The column as a whole is text then.
        ('"duration_ms":1', '"duration_ms":"abc"', "duration_ms", None),
        (',"duration_ms":1', "", "duration_ms", 2),
        ('"f"', "null", "function", 2),
    ],
)
def test_a_bad_value_of_an_ndjson_file_is_named(
    old: str, new: str, column: str, row: int | None, tmp_path: Path
) -> None:
    content = FINE * 2 + FINE.replace(old, new) + FINE
    path = write(tmp_path / "trace.ndjson", content)
    error = refused(path)
    assert (error.source, error.column) == (str(path), column)
    assert error.row in {row, 2}


@pytest.mark.parametrize("bad", ["{oops\n", "not json\n", '{"timestamp":\n'])
def test_a_line_that_is_no_json_is_refused(bad: str, tmp_path: Path) -> None:
    path = write(tmp_path / "trace.ndjson", FINE * 2 + bad + FINE)
    assert refused(path, "LR-T-READ").source == str(path)


def test_invalid_utf_8_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "trace.csv", f"{HEADER}{BEGIN},f".encode() + b"\xff\xfe,1\n")
    error = refused(path, "LR-T-READ", says=[str(path)])
    assert error.hint == "the file must be UTF-8"


# ---- whatever happens ----------------------------------------------------------------------

ANYTHING: list[Callable[[], pl.DataFrame]] = [
    lambda: frame(["x" * 100_000]),
    lambda: frame(["\x1b]52;c;boom\x07"]),
    lambda: frame([BEGIN], source=["\x1b[2J" * 100]),
    lambda: frame([BEGIN], source=["<script>alert(1)</script>"]),
    lambda: frame([BEGIN] * 2, account=["a" * 10_000, "b\n\n\nb"]),
    lambda: frame([BEGIN], **{"\x07" * 500: [1]}).drop("function"),
]


@pytest.mark.parametrize("number", range(len(ANYTHING)))
def test_messages_are_one_short_line_without_control_characters(number: int) -> None:
    error = refused(ANYTHING[number]())
    assert len(str(error)) < 1_000
    assert (error.hint or "").isprintable()


def test_every_refusal_is_an_error_of_ours_and_never_something_else() -> None:
    odd: list[Any] = [None, True, -1, 2**70, 1.5, NAN, "", "f", b"f", [1], {"a": 1}]
    for column in ("timestamp", "function", "duration_ms", "init_ms", "request_id", "row_uid",
                   "source", "account", "region"):  # fmt: skip
        for value in odd:
            series = pl.Series([value], dtype=pl.Int128 if value == 2**70 else None)
            try:
                lr.replay(frame([BEGIN], **{column: series}))
            except lr.TraceError:
                continue
            except Exception as error:  # noqa: BLE001 - that is the claim
                pytest.fail(f"{column} = {value!r}: {type(error).__name__}: {error}")
