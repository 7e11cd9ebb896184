"""Files of every kind: what is read, and what is refused before anything is replayed."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lambda_replay as lr
from ingest.common import (
    BEGIN,
    CSV,
    HEADER,
    LINES,
    NDJSON,
    S,
    frame,
    good,
    is_good,
    outcomes,
    place,
    refused,
    write,
)


def parquet(trace: pl.DataFrame | None = None) -> bytes:
    file = io.BytesIO()
    (good() if trace is None else trace).write_parquet(file)
    return file.getvalue()


def ipc() -> bytes:
    file = io.BytesIO()
    good().write_ipc(file)
    return file.getvalue()


def zstd(content: str) -> bytes:
    packed: bytes = pa.compress(content.encode(), codec="zstd", asbytes=True)
    return packed


def zipped(content: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("trace.csv", content)
    return file.getvalue()


# ---- what is no trace ----------------------------------------------------------------------

REFUSED: dict[str, tuple[bytes, str, str, str | None]] = {
    "0 bytes": (b"", "LR-T-EMPTY", "empty", None),
    "white space": (b" \n\t\r\n ", "LR-T-EMPTY", "white space", None),
    "a byte order mark alone": (b"\xef\xbb\xbf\n", "LR-T-EMPTY", "white space", None),
    "HTML": (b"<!DOCTYPE html><html><body>Sign in", "LR-T-FORMAT", "HTML", "login"),
    "HTML after white space": (b"\n\n  <html>", "LR-T-FORMAT", "HTML", "login"),
    "XML": (b'<?xml version="1.0"?><Error><Code>AccessDenied', "LR-T-FORMAT", "XML", "login"),
    "a JSON array": (b'[{"timestamp":1}]', "LR-T-FORMAT", "JSON array", "jq -c '.[]'"),
    "a zip archive": (zipped(CSV), "LR-T-FORMAT", "zip archive", "unzip"),
    "a 7z archive": (b"7z\xbc\xaf\x27\x1c\x00\x04", "LR-T-FORMAT", "7z archive", "7z x"),
    "a rar archive": (b"Rar!\x1a\x07\x01\x00", "LR-T-FORMAT", "rar archive", "unrar"),
    "xz": (lzma.compress(CSV.encode()), "LR-T-FORMAT", "xz", "xz -d"),
    "bzip2": (bz2.compress(CSV.encode()), "LR-T-FORMAT", "bzip2", "bzip2 -d"),
    "a Git LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "LR-T-FORMAT",
        "Git LFS pointer",
        "git lfs pull",
    ),
    "UTF-16, little end first": (CSV.encode("utf-16"), "LR-T-FORMAT", "UTF-16", "iconv"),
    "UTF-16, big end first": (
        b"\xfe\xff" + CSV.encode("utf-16-be"), "LR-T-FORMAT", "UTF-16", "iconv",
    ),
    "NUL bytes": (CSV.encode() + b"\x00" * 8, "LR-T-FORMAT", "neither", None),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "LR-T-FORMAT", "neither", None),
    "packed HTML": (gzip.compress(b"<html>"), "LR-T-FORMAT", "HTML", "login"),
    "packed nothing": (gzip.compress(b""), "LR-T-EMPTY", "white space", None),
    "packed Parquet": (gzip.compress(parquet()), "LR-T-FORMAT", "neither", None),
}  # fmt: skip


@pytest.mark.parametrize("name", ["trace.csv", "trace.parquet", "trace"])
@pytest.mark.parametrize("kind", list(REFUSED))
def test_what_is_no_trace_is_called_by_its_name_whatever_the_files(
    kind: str, name: str, tmp_path: Path
) -> None:
    content, code, message, hint = REFUSED[kind]
    path = write(tmp_path / name, content)
    error = refused(path, code, says=[str(path), message])
    assert place(error) == (str(path), None, None, None)
    if hint is not None:
        assert error.hint is not None
        assert hint in error.hint


@pytest.mark.parametrize("kind", ["0 bytes", "HTML"])
def test_one_such_file_among_good_ones_is_named(kind: str, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", CSV)
    bad = write(tmp_path / "b.csv", REFUSED[kind][0])
    assert refused(tmp_path, REFUSED[kind][1]).source == str(bad)


# ---- no rows -------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [HEADER, HEADER.rstrip("\n"), "\ufeff" + HEADER])
def test_a_csv_file_of_a_header_alone_is_a_trace_without_rows(content: str, tmp_path: Path) -> None:
    result = lr.replay(write(tmp_path / "trace.csv", content), outcomes=True)
    assert result.summary.records == 0
    assert result.outcomes is not None
    assert result.outcomes.height == 0


def test_parquet_and_ipc_files_without_rows_are_traces_without_rows(tmp_path: Path) -> None:
    first, second = tmp_path / "a.parquet", tmp_path / "b.arrow"
    good().clear().write_parquet(first)
    good().clear().write_ipc(second)
    assert lr.replay(first).summary.records == 0
    assert lr.replay([first, second]).summary.records == 0


def test_a_file_without_rows_among_others_changes_nothing(tmp_path: Path) -> None:
    empty, full = write(tmp_path / "a.csv", HEADER), write(tmp_path / "b.csv", CSV)
    assert is_good([empty, full])
    assert is_good([full, empty])


# ---- damage --------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_truncated_parquet_file_is_refused_with_the_likely_cause(
    share: float, tmp_path: Path
) -> None:
    whole = parquet(frame([BEGIN + row for row in range(2_000)]))
    path = write(tmp_path / "trace.parquet", whole[: max(5, int(len(whole) * share))])
    error = refused(path, "LR-T-READ", says=[str(path)])
    assert error.source == str(path)
    assert error.hint is not None
    assert "copy interrupted" in error.hint


@pytest.mark.parametrize("cut", [1, 4, 8, 12])
def test_a_parquet_file_that_lacks_its_last_bytes_is_refused(cut: int, tmp_path: Path) -> None:
    path = write(tmp_path / "trace.parquet", parquet()[:-cut])
    error = refused(path, "LR-T-READ", says=[str(path)])
    assert error.hint is not None
    assert "copy interrupted" in error.hint


def test_a_parquet_file_with_a_damaged_footer_is_refused_whatever_bit_it_is(
    tmp_path: Path,
) -> None:
    whole = parquet()
    # The last eight bytes are the footer's length and the magic.
    for bit in range(8):
        for byte in range(-8, 0):
            content = bytearray(whole)
            content[byte] ^= 1 << bit
            path = write(tmp_path / f"{byte}.{bit}.parquet", bytes(content))
            assert refused(path, "LR-T-READ").source == str(path)


def test_a_parquet_file_with_flipped_bits_gives_an_error_or_a_result_and_never_a_panic(
    tmp_path: Path,
) -> None:
    whole = parquet()
    scenario = lr.Scenario()
    for byte in range(4, len(whole), 7):
        content = bytearray(whole)
        content[byte] ^= 1 << byte % 8
        path = write(tmp_path / f"{byte}.parquet", bytes(content))
        try:
            lr.replay(path, scenario)
        except lr.LambdaReplayError as error:
            assert not isinstance(error, lr.InternalError), f"byte {byte}: {error}"


def test_of_several_files_the_damaged_one_is_named(tmp_path: Path) -> None:
    first = write(tmp_path / "a.parquet", parquet())
    whole = parquet(frame([BEGIN + row for row in range(2_000)]))
    second = write(tmp_path / "b.parquet", whole[:-100])
    error = refused([first, second], "LR-T-READ")
    assert error.source == str(second)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_ipc_file_is_refused(share: float, tmp_path: Path) -> None:
    whole = ipc()
    path = write(tmp_path / "trace.arrow", whole[: int(len(whole) * share)])
    assert refused(path, "LR-T-READ", says=[str(path)]).source == str(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("rows", [3, 100_000])
def test_a_truncated_gzip_file_is_refused(rows: int, share: float, tmp_path: Path) -> None:
    text = HEADER + "".join(f"{BEGIN + row},f{row % 97},{row % 89}\n" for row in range(rows))
    whole = gzip.compress(text.encode())
    path = write(tmp_path / "trace.csv.gz", whole[: int(len(whole) * share)])
    error = refused(path, "LR-T-READ", says=[str(path)])
    assert error.source == str(path)


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    packer = zlib.compressobj(wbits=31)
    whole = bytearray(packer.compress(CSV.encode() * 50) + packer.flush())
    whole[12:16] = b"\xff\xff\xff\xff"
    path = write(tmp_path / "trace.csv.gz", bytes(whole))
    assert refused(path, "LR-T-READ", says=[str(path)]).source == str(path)


def test_a_truncated_zstandard_file_is_refused(tmp_path: Path) -> None:
    whole = zstd(HEADER + "".join(f"{BEGIN + row},f,{row % 89}\n" for row in range(5_000)))
    path = write(tmp_path / "trace.csv.zst", whole[: len(whole) // 2])
    assert refused(path, "LR-T-READ", says=[str(path)]).source == str(path)


# ---- text ----------------------------------------------------------------------------------

TEXTS: dict[str, tuple[str, bytes]] = {
    "CSV": ("trace.csv", CSV.encode()),
    "CSV without a last line end": ("trace.csv", CSV.rstrip("\n").encode()),
    "CSV with CRLF": ("trace.csv", CSV.replace("\n", "\r\n").encode()),
    "CSV with a byte order mark": ("trace.csv", b"\xef\xbb\xbf" + CSV.encode()),
    "CSV with a byte order mark and CRLF": (
        "trace.csv", b"\xef\xbb\xbf" + CSV.replace("\n", "\r\n").encode(),
    ),
    "CSV in quotes": (
        "trace.csv",
        "".join(
            ",".join(f'"{value}"' for value in line.split(",")) + "\n"
            for line in CSV.splitlines()
        ).encode(),
    ),
    "CSV in gzip": ("trace.csv.gz", gzip.compress(CSV.encode())),
    "CSV in gzip, of another name": ("trace.dat", gzip.compress(CSV.encode())),
    "CSV in zstandard": ("trace.csv.zst", zstd(CSV)),
    "NDJSON": ("trace.ndjson", NDJSON.encode()),
    "NDJSON without a last line end": ("trace.ndjson", NDJSON.rstrip("\n").encode()),
    "NDJSON with CRLF": ("trace.ndjson", NDJSON.replace("\n", "\r\n").encode()),
    "NDJSON with spaces": ("trace.jsonl", NDJSON.replace(":", " : ").encode()),
    "NDJSON in gzip": ("trace.ndjson.gz", gzip.compress(NDJSON.encode())),
    "NDJSON in zstandard": ("trace.jsonl.zst", zstd(NDJSON)),
    "columns in another order": (
        "trace.csv",
        b"duration_ms,timestamp,function\n"
        + "".join(
            ",".join([line.split(",")[2], *line.split(",")[:2]]) + "\n"
            for line in CSV.splitlines()[1:]
        ).encode(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(TEXTS))
def test_text_files_are_read(kind: str, tmp_path: Path) -> None:
    name, content = TEXTS[kind]
    assert is_good(write(tmp_path / name, content))


@pytest.mark.parametrize("compression", ["snappy", "gzip", "brotli", "zstd", "lz4", "none"])
def test_parquet_is_read_with_any_compression(compression: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.parquet"
    pq.write_table(good().to_arrow(), path, compression=compression, store_schema=False)
    assert is_good(path)


def test_parquet_with_old_timestamps_is_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.parquet"
    at = pl.col("timestamp").cast(pl.Datetime("ns"))
    table = good().with_columns((at.to_physical() * 1_000).cast(pl.Datetime("ns"))).to_arrow()
    pq.write_table(table, path, use_deprecated_int96_timestamps=True)
    assert is_good(path)


def test_columns_may_come_in_another_order_in_another_file(tmp_path: Path) -> None:
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    good().head(1).write_parquet(first)
    good().tail(2).select("duration_ms", "function", "timestamp").write_parquet(second)
    assert is_good([first, second])


# ---- several files, several types ----------------------------------------------------------

AT = [BEGIN, BEGIN + S]


def times(values: list[int], dtype: pl.DataType) -> pl.DataFrame:
    return frame(pl.Series(values).cast(dtype))


#: How the same two rows may be written, by the column that is written otherwise.
WRITTEN: dict[str, dict[str, pl.DataFrame]] = {
    "timestamp": {
        "integers": frame(AT),
        "ms": times([at // 1_000 for at in AT], pl.Datetime("ms")),
        "us": times(AT, pl.Datetime("us")),
        "ns": times([at * 1_000 for at in AT], pl.Datetime("ns")),
        "UTC": times(AT, pl.Datetime("us", "UTC")),
        "Berlin": times(AT, pl.Datetime("us", "Europe/Berlin")),
        "text": frame(["2026-03-02T08:00:00Z", "2026-03-02T08:00:01Z"]),
    },
    "duration_ms": {
        "floats": frame(AT),
        "integers": frame(AT, duration_ms=[1, 1]),
        "us": frame(AT, duration_ms=pl.Series([1_000] * 2).cast(pl.Duration("us"))),
        "ns": frame(AT, duration_ms=pl.Series([1_000_000] * 2).cast(pl.Duration("ns"))),
    },
    "init_ms": {
        "floats": frame(AT, init_ms=[5.0, 5.0]),
        "integers": frame(AT, init_ms=[5, 5]),
        "us": frame(AT, init_ms=pl.Series([5_000] * 2).cast(pl.Duration("us"))),
        "ms": frame(AT, init_ms=pl.Series([5] * 2).cast(pl.Duration("ms"))),
    },
    "function": {
        "text": frame(AT),
        "Categorical": frame(AT, function=pl.Series(["f", "f"], dtype=pl.Categorical)),
        "Enum": frame(AT, function=pl.Series(["f", "f"], dtype=pl.Enum(["x", "f"]))),
        "another Enum": frame(AT, function=pl.Series(["f", "f"], dtype=pl.Enum(["f"]))),
    },
}


def misread(folder: Path, column: str) -> tuple[list[str], list[str]]:
    """Return the pairs of files that are refused, and those that are taken for something else."""
    ways = WRITTEN[column]
    expected = outcomes(pl.concat([next(iter(ways.values()))] * 2))
    for name, trace in ways.items():
        trace.write_parquet(folder / name)
    refusals, wrong = [], []
    for first in ways:
        for second in ways:
            pair = f"{first}, then {second}"
            try:
                found = outcomes([folder / first, folder / second])
            except lr.TraceError:
                refusals.append(pair)
                continue
            except Exception as error:  # noqa: BLE001 - an error, but not one of ours
                wrong.append(f"{pair}: {type(error).__name__}")
                continue
            if not found.equals(expected, null_equal=True):
                wrong.append(pair)
    return refusals, wrong


@pytest.mark.parametrize("column", list(WRITTEN))
def test_files_of_different_types_are_never_taken_for_something_else(
    column: str, tmp_path: Path
) -> None:
    assert misread(tmp_path, column)[1] == []


@pytest.mark.parametrize("column", list(WRITTEN))
def test_files_of_different_types_follow_each_other(column: str, tmp_path: Path) -> None:
    assert misread(tmp_path, column)[0] == []


def test_csv_files_with_and_without_a_zone_follow_each_other(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", HEADER + "2026-03-02T08:00:00Z,f,1\n")
    second = write(tmp_path / "b.csv", HEADER + "2026-03-02T08:00:01,f,1\n")
    assert outcomes([first, second])["start"].to_physical().to_list() == AT


def test_a_column_that_only_some_files_have_is_null_in_the_others(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", HEADER + LINES[0])
    second = write(
        tmp_path / "b.csv", f"timestamp,function,duration_ms,init_ms,request_id\n{BEGIN},g,1,50,r\n"
    )
    found = outcomes([first, second])
    assert found["init_ms"].to_list() == [0, 50]
    assert found["request_id"].to_list() == [None, "r"]
