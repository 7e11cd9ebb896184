"""Bad inputs, a test per kind: exit code, what the message says, and no output touched.

The numbers are those of the catalogue in docs/traces.md.
"""

from __future__ import annotations

import gzip
import os
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from readers.common import run, state

BEGIN = 1_772_438_400_000_000
HEAD = b"timestamp,function,duration_ms\n"
ROW = f"{BEGIN},f,100\n".encode()


def table(**columns: object) -> pl.DataFrame:
    plain = {
        "timestamp": [BEGIN, BEGIN + 1_000_000], "function": ["f", "g"], "duration_ms": [1.0, 2.0],
    }  # fmt: skip
    return pl.DataFrame({**plain, **columns})


def parquet(**columns: object) -> Callable[[Path], None]:
    return lambda path: table(**columns).write_parquet(path)


def text(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def damaged(change: Callable[[bytearray], bytearray]) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        table().write_parquet(path)
        path.write_bytes(change(bytearray(path.read_bytes())))

    return make


def odd_codec(path: Path) -> None:
    pq.write_table(pa.table({"timestamp": [1], "function": ["f"], "duration_ms": [[1.0]]}), path)


def bomb(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(64):
            file.write(b"0" * (1 << 20))


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    # Paths of sockets are short.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def footer(length: int) -> Callable[[Path], object]:
    return damaged(
        lambda raw: raw[:-8] + bytearray(length.to_bytes(4, "little", signed=True)) + b"PAR1"
    )


def csv(*rows: bytes, head: bytes = HEAD) -> Callable[[Path], object]:
    return text(head + b"".join(rows))


def value(column: str, given: bytes, name: bytes = b"") -> Callable[[Path], object]:
    fields = {b"timestamp": str(BEGIN).encode(), b"function": b"f", b"duration_ms": b"1"}
    fields[column.encode()] = given
    del name
    return text(b",".join(fields) + b"\n" + b",".join(fields.values()) + b"\n")


@dataclass(frozen=True)
class Case:
    number: int
    name: str
    make: Callable[[Path], object]
    code: int
    says: tuple[str, ...] = ()


CASES = [
    Case(1, "missing.csv", lambda path: None, 3, ("there is no file", "missing.csv")),
    Case(2, "pipe.csv", pipe, 3, ("no regular file", "use - to read standard input")),
    Case(2, "socket.csv", unix_socket, 3, ("no regular file",)),
    Case(4, "empty.csv", text(b""), 3, ("is empty", "0 bytes")),
    Case(4, "blank.csv", text(b" \n\n"), 3, ("nothing but white space",)),
    Case(5, "rows0.parquet", lambda p: table().clear().write_parquet(p), 0, ("has no rows",)),
    Case(6, "header.csv", text(HEAD), 0, ("has no rows",)),
    Case(7, "cut.parquet", damaged(lambda raw: raw[: len(raw) // 2]), 3, ("a copy interrupted",)),
    Case(8, "page.parquet", text(b"<!DOCTYPE html><html>"), 3, ("HTML", "login page")),
    Case(8, "array.parquet", text(b'[{"timestamp":1}]'), 3, ("JSON array", "jq -c")),
    Case(8, "zip.csv", text(b"PK\x03\x04...."), 3, ("zip archive", "unzip")),
    Case(8, "a.7z.csv", text(b"7z\xbc\xaf\x27\x1c..."), 3, ("7z archive", "7z x")),
    Case(8, "rar.csv", text(b"Rar!\x1a\x07\x01\x00"), 3, ("rar archive", "unrar x")),
    Case(8, "xz.csv", text(b"\xfd7zXZ\x00..."), 3, ("packed with xz",)),
    Case(8, "lfs.csv", text(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), 3,
         ("Git LFS pointer", "git lfs pull")),
    Case(8, "pickle.csv", text(b"\x80\x04\x95..."), 3, ("pickle", "runs whatever code")),
    Case(8, "binary.csv", text(b"\x7fELF\x00\x00"), 3, ("neither Parquet",)),
    Case(8, "text.parquet", text(HEAD + ROW), 0, ("text.parquet holds CSV, not Parquet",)),
    Case(8, "lines.csv", lambda p: table().write_ndjson(p), 0, ("holds NDJSON, not CSV",)),
    Case(11, "codec.parquet", odd_codec, 3, ("duration_ms", "List")),
    Case(13, "bomb.csv.gz", bomb, 4, ("unpacks from",)),
    Case(14, "cut.csv.gz", lambda p: p.write_bytes(gzip.compress(HEAD + ROW * 5_000)[:60]), 3, ()),
    Case(15, "long.parquet", footer(2**31 - 1), 3, ()),
    Case(15, "negative.parquet", footer(-5), 3, ()),
    Case(17, "bom.csv", text(b"\xef\xbb\xbf" + HEAD + ROW), 0, ()),
    Case(18, "crlf.csv", text((HEAD + ROW).replace(b"\n", b"\r\n")), 0, ()),
    Case(18, "cr.csv", text((HEAD + ROW).replace(b"\n", b"\r")), 3, ()),
    Case(19, "long.csv", csv(ROW, ROW[:-1] + b",9\n"), 3, ()),
    Case(19, "short.csv", csv(ROW, f"{BEGIN},f\n".encode()), 3, ("duration_ms", "null")),
    Case(20, "quote.csv", csv(ROW, b'1,"f,3\n' * 3), 3, ()),
    Case(21, "nul.csv", csv(f"{BEGIN},f\0,1\n".encode()), 3, ()),
    Case(21, "latin.csv", csv(f"{BEGIN},caf\xe9,1\n".encode("latin-1")), 3, ()),
    Case(21, "utf16.csv", text("timestamp".encode("utf-16")), 3, ("UTF-16", "iconv")),
    Case(22, "semicolon.csv", text(HEAD.replace(b",", b";") + b"1;f;2\n"), 3, ("commas",)),
    Case(23, "twice.csv", text(b"timestamp,function,function,duration_ms\n1,a,b,2\n"), 3,
         ("function more than once",)),
    Case(23, "case.csv", text(b"Timestamp ,Function,Duration_ms\n1,f,2\n"), 3,
         ("rename 'Timestamp '",)),
    Case(24, "column.csv", text(b"ts,fn,latency\n1,f,2\n"), 3, ("no column timestamp", "ts, fn")),
    Case(25, "extra.csv", text(HEAD[:-1] + b",colour\n" + ROW[:-1] + b",red\n"), 0, ("colour",)),
    Case(26, "comma.csv", csv(f'{BEGIN},f,"1.234,5"\n'.encode()), 3,
         ("row 0", "duration_ms", "1.234,5", "decimal point")),
    Case(27, "float.parquet", parquet(timestamp=[1.7e15, 1.8e15]), 3, ("Float64", "timestamp")),
    Case(28, "null_time.parquet", parquet(timestamp=[BEGIN, None]), 3, ("row 1", "timestamp")),
    Case(28, "null_name.parquet", parquet(function=["f", None]), 3, ("row 1", "function")),
    Case(28, "null_span.parquet", parquet(duration_ms=[1.0, None]), 3, ("row 1", "duration_ms")),
    Case(29, "nan.parquet", parquet(duration_ms=[1.0, float("nan")]), 3, ("row 1", "duration_ms")),
    Case(29, "inf.parquet", parquet(duration_ms=[float("inf"), 1.0]), 3, ("row 0", "duration_ms")),
    Case(30, "minus.parquet", parquet(duration_ms=[1.0, -1.0]), 3, ("row 1", "-1")),
    Case(30, "minus_init.parquet", parquet(init_ms=[-2.0, None]), 3, ("row 0", "init_ms")),
    Case(31, "zero.parquet", parquet(duration_ms=[0.0, 0.0]), 0, ()),
    Case(32, "long_run.parquet", parquet(duration_ms=[1.0, 901_000.0]), 0, ("901 s",)),
    Case(34, "disorder.parquet", parquet(timestamp=[BEGIN + 5, BEGIN]), 0, ("sorted",)),
    Case(36, "same_id.parquet", parquet(request_id=["a", "a"]), 0, ()),
    Case(37, "retried.parquet", parquet(request_id=["a", "a"], duration_ms=[1.0, 7.0]), 0,
         ("2 requests",)),
    Case(38, "naive.csv", csv(b"2026-03-01T00:00:00,f,1\n"), 0, ()),
    Case(39, "offset.csv", csv(b"2026-03-01T00:00:00+01:00,f,1\n2026-03-01T00:00:00Z,f,1\n"), 0),
    Case(40, "local.csv", csv(b"01/02/2026 03:04,f,1\n"), 3, ("ISO 8601", "01/02/2026")),
    Case(41, "seconds.parquet", parquet(timestamp=[1_772_438_400, 1_772_438_401]), 0,
         ("wrong for s or ms",)),
    Case(42, "units.parquet", parquet(timestamp=[1_772_438_400, BEGIN]), 3,
         ("some of the numbers", "--map timestamp_ms")),
    Case(43, "year.parquet", parquet(timestamp=[BEGIN, 2**62]), 3, ("row 1", "timestamp")),
    Case(44, "overflow.parquet", parquet(duration_ms=[1.0, 1e300]), 3, ("row 1", "duration_ms")),
    Case(45, "before.parquet", parquet(timestamp=[-5, 5]), 0, ()),
    Case(46, "leap.csv", csv(b"2026-03-01T00:00:00Z,f,1\n2016-12-31T23:59:60Z,f,1\n"), 0,
         ("2017-01-01 00:00",)),
    Case(47, "memory.parquet", parquet(memory_mb=[0, 128]), 3, ("row 0", "memory_mb")),
    Case(47, "little.parquet", parquet(memory_mb=[64, 128]), 0, ("memory_mb outside",)),
    Case(48, "nameless.parquet", parquet(function=["f", ""]), 3, ("function",)),
    Case(48, "blank_name.parquet", parquet(function=["f", "  "]), 3, ("function",)),
    Case(48, "long_name.parquet", parquet(function=["f", "x" * 70_000]), 3, ("1024 letters",)),
    Case(49, "ids.parquet", lambda p: pl.DataFrame(
        {"timestamp": range(BEGIN, BEGIN + 500), "function": [f"id{i}" for i in range(500)],
         "duration_ms": [1.0] * 500}).write_parquet(p), 0, ("mapped to function",)),
    Case(50, "alike.parquet", parquet(function=["pay\u200bment", "payment"]), 0, ("look alike",)),
    Case(51, "case.parquet", parquet(function=["Api", "api"]), 0, ("look alike",)),
    Case(52, "path.parquet", parquet(function=["../../etc/cron.d/x", "CON"]), 0, ()),
    Case(53, "script.parquet", parquet(function=["<script>alert(1)</script>", "${{x}}"]), 0, ()),
    Case(54, "ansi.parquet", parquet(function=["\x1b[31mred\x07", "f"]), 0, ()),
    Case(56, "word.parquet", parquet(error=["crsh", None]), 3, ("row 0", "did you mean crash")),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number}-{case.name}")
def test_bad_input(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "outcomes.parquet").write_bytes(b"what was there before")
    before = state(folder)
    path = tmp_path / case.name
    case.make(path)
    answer = run(
        capsys, "run", path, "--quiet", "--verbose",
        *(["--outcomes", folder / "outcomes.parquet"] if case.code else []),
    )  # fmt: skip
    told = " ".join((answer.out + answer.err).split())
    assert answer.code == case.code, told
    for part in case.says:
        assert part in told
    assert state(folder) == before
    assert "Traceback" not in told
    assert "\x1b" not in answer.out + answer.err and "\x07" not in answer.out + answer.err
    if case.code:
        assert case.name.split(".")[0] in told


def test_no_permission(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # 3
    path = tmp_path / "secret.csv"
    path.write_bytes(HEAD + ROW)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("whoever runs the tests may read anything")
    answer = run(capsys, "run", path)
    assert answer.code == 3 and "permission" in answer.err


def test_bits_flipped_in_what_we_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # 9, 10
    plain = tmp_path / "plain.csv"
    plain.write_bytes(HEAD + ROW * 300)
    path = tmp_path / "trace.parquet"
    assert run(capsys, "convert", plain, "-o", path).code == 0
    assert run(capsys, "run", path).code == 0
    whole = path.read_bytes()
    draw = random.Random(3)
    for _ in range(40):
        raw = bytearray(whole)
        raw[draw.randrange(4, len(raw) - 8)] ^= 1 << draw.randrange(8)
        path.write_bytes(raw)
        answer = run(capsys, "run", path)
        # The footer may no longer say that there is a checksum; then it cannot be read either.
        assert answer.code in {3, 5}, answer.out
        if answer.code == 5:
            assert "not as lambda-replay wrote it" in answer.err


def test_claims_of_a_billion_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # 12
    path = tmp_path / "bomb.parquet"
    rows = 60_000_000
    indices = pa.DictionaryArray.from_arrays(pa.array([0] * 1, pa.int8()), pa.array(["f"]))
    del indices
    columns = {"timestamp": pl.repeat(0, rows, dtype=pl.Int8, eager=True)}
    pl.DataFrame(columns).write_parquet(path, compression="zstd", row_group_size=rows)
    if path.stat().st_size * 20 > rows:
        pytest.skip("this Polars packs it less")
    answer = run(capsys, "run", path)
    assert answer.code == 4 and "60,000,000 rows" in answer.err


def test_brackets_in_names_are_no_pattern(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "2026-03-01-[$LATEST]0123.csv"
    path.write_bytes(HEAD + ROW)
    assert "1 request" in run(capsys, "run", path).out
    folder = tmp_path / "[$LATEST]"
    folder.mkdir()
    (folder / "a.csv").write_bytes(HEAD + ROW * 2)
    assert "2 requests" in run(capsys, "run", folder).out


def test_files_that_overlap_are_merged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # 35
    for name, shift in (("a.csv", 0), ("b.csv", -500)):
        rows = b"".join(f"{BEGIN + shift + at},f,1\n".encode() for at in range(0, 2_000, 1_000))
        (tmp_path / name).write_bytes(HEAD + rows)
    found = run(capsys, "inspect", tmp_path, "--format", "json")
    assert found.code == 0 and '"disorder": 1' in found.out


@pytest.mark.parametrize("policy", ["skip", "quarantine"])
@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_bad_rows_reconcile(
    policy: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"trace.{kind}"
    rows = [
        (BEGIN, "f", 1.0),
        (BEGIN + 1, None, 1.0),
        (BEGIN + 2, "f", -1.0),
        (BEGIN + 3, "g", 2.0),
    ]
    frame = pl.DataFrame(rows, schema=["timestamp", "function", "duration_ms"], orient="row")
    if kind == "parquet":
        frame.write_parquet(path)
    elif kind == "ndjson":
        frame.write_ndjson(path)
        path.write_bytes(path.read_bytes() + b"{oops\n")
    else:
        frame.write_csv(path)
        path.write_bytes(path.read_bytes() + f"{BEGIN},f\n{BEGIN},f,1,2\n{BEGIN},f,x\n".encode())
    assert run(capsys, "run", path).code == 3
    outcomes, aside = tmp_path / "outcomes.parquet", tmp_path / "bad_rows.parquet"
    answer = run(
        capsys, "run", path, "--on-bad-row", policy, "--outcomes", outcomes, "--format", "json"
    )
    assert answer.code == 0, answer.err
    import json

    summary = json.loads(answer.out)
    bad = {"csv": 5, "ndjson": 3, "parquet": 2}[kind]
    assert (summary["records"], summary["bad_rows"]) == (2, bad)
    (report,) = summary["trace"]["ingest"]
    assert report["rows_read"] == report["rows_kept"] + sum(report["dropped"].values()) == 2 + bad
    assert pl.read_parquet(outcomes)["row"].to_list() == [0, 3], "rows keep their positions"
    assert "set aside" in answer.err
    assert aside.exists() == (policy == "quarantine")
    if aside.exists():
        kept = pl.read_parquet(aside)
        assert kept["row"].to_list() == [1, 2, *range(4, 2 + bad)]
        assert kept["reason"][:2].to_list() == ["function is null", "duration_ms is negative"]
        assert kept["value"][1] == "-1.0"


def test_too_many_bad_rows_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(HEAD + ROW * 10 + f"{BEGIN},f,-1\n".encode() * 101)
    skip = ("run", path, "--on-bad-row", "skip")
    answer = run(capsys, *skip)
    assert answer.code == 3 and "more than 100 bad rows" in answer.err
    assert run(capsys, *skip, "--max-bad-rows", "101").code == 0
    assert run(capsys, *skip, "--max-bad-rows", "100").code == 3
    assert run(capsys, "run", path, "--max-bad-rows", "5").code == 2


def test_lines_of_logs_are_set_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, aside = tmp_path / "app.log", tmp_path / "aside.parquet"
    good = "Duration: 1.00 ms\tBilled Duration: 1 ms\tMemory Size: 128 MB\tMax Memory Used: 9 MB"
    ends = [good, "Duration: x ms", good, "Billed Dur"]
    path.write_text("".join(
        f"2026-03-01T10:00:0{n}.000Z REPORT RequestId: {n}14ba7cb-071e-4181-9a09-fa41db5bccad\t"
        f"{end}\n"
        for n, end in enumerate(ends)
    ))  # fmt: skip
    given = ("run", path, "--function", "f", "--format", "json")
    import json

    plain = json.loads(run(capsys, *given).out)
    assert plain["records"] == 2
    answer = run(capsys, *given, "--on-bad-row", "quarantine", "--bad-rows", aside)
    assert answer.code == 0, answer.err
    summary = json.loads(answer.out)
    assert (summary["records"], summary["bad_rows"]) == (2, 2)
    (report,) = summary["trace"]["ingest"]
    assert report["rows_read"] == 4 == report["rows_kept"] + sum(report["dropped"].values())
    kept = pl.read_parquet(aside)
    assert kept.select("row", "file", "column").rows() == [
        (2, str(path), "line"), (4, str(path), "line"),
    ]  # fmt: skip
    assert kept["reason"].to_list() == [
        "a number that cannot be read", "no duration: the line is cut",
    ]  # fmt: skip
    assert "Duration: x ms" in kept["value"][0]
    answer = run(capsys, *given, "--on-bad-row", "skip", "--max-bad-rows", "1")
    assert answer.code == 3 and "more than 1 bad rows" in answer.err


def test_sources_that_the_scenario_does_not_have_are_bad_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trace.csv"
    rows = [f"{BEGIN},f,1,sync\n", f"{BEGIN},f,1,orders\n", f"{BEGIN},f,1,async\n"]
    path.write_bytes(HEAD[:-1] + b",source\n" + "".join(rows).encode())
    assert run(capsys, "run", path).code == 3
    answer = run(capsys, "run", path, "--on-bad-row", "skip")
    assert answer.code == 0, answer.err
    assert "2 requests" in answer.out and "source is none of async, sync" in answer.err
