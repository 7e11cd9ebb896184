"""Whatever is wrong: the right exit code, a message that helps, and nothing left behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

if TYPE_CHECKING:
    from conftest import Cli

Spoil = Callable[[pl.DataFrame, Path], object]


def with_last(column: str, value: object) -> Spoil:
    """Write a trace whose last row holds a value."""

    def spoil(frame: pl.DataFrame, path: Path) -> None:
        values = [*frame[column].to_list()[:-1], value]
        frame.with_columns(pl.Series(column, values)).write_parquet(path)

    return spoil


def cut(frame: pl.DataFrame, path: Path) -> None:
    frame.write_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])


def damaged(frame: pl.DataFrame, path: Path) -> None:
    frame.write_parquet(path)
    data = bytearray(path.read_bytes())
    data[4:200] = b"\xff" * 196
    path.write_bytes(bytes(data))


# name of the file, how it is spoiled, parts of the message
TRACES: dict[str, tuple[str, Spoil | None, list[str]]] = {
    "missing column": (
        "t.parquet",
        lambda frame, path: frame.rename({"duration_ms": "Duration_MS"}).write_parquet(path),
        ["no column duration_ms", "rename 'Duration_MS' to 'duration_ms'"],
    ),
    "wrong type of function": (
        "t.parquet",
        lambda frame, path: frame.with_columns(function=pl.lit(1.5)).write_parquet(path),
        ["t.parquet", "column function", "Float64"],
    ),
    "wrong type of timestamp": (
        "t.parquet",
        lambda frame, path: frame.with_columns(timestamp=pl.lit(1.5)).write_parquet(path),
        ["column timestamp", "Float64", "µs since the epoch"],
    ),
    "text for a number": (
        "t.csv",
        lambda frame, path: frame.with_columns(duration_ms=pl.lit("slow")).write_csv(path),
        ["t.csv", "slow", "duration_ms"],
    ),
    "text for a time": (
        "t.csv",
        lambda frame, path: frame.with_columns(timestamp=pl.lit("yesterday")).write_csv(path),
        ["t.csv"],
    ),
    "null function": (
        "t.parquet",
        with_last("function", None),
        ["row 59", "column function", "null"],
    ),
    "null timestamp": (
        "t.parquet",
        with_last("timestamp", None),
        ["row 59", "column timestamp", "null"],
    ),
    "null duration": (
        "t.parquet",
        with_last("duration_ms", None),
        ["row 59", "column duration_ms", "null"],
    ),
    "negative duration": (
        "t.parquet",
        with_last("duration_ms", -1.0),
        ["row 59", "column duration_ms", "-1"],
    ),
    "NaN duration": (
        "t.parquet",
        with_last("duration_ms", float("nan")),
        ["row 59", "column duration_ms", "NaN"],
    ),
    "infinite duration": (
        "t.parquet",
        with_last("duration_ms", float("inf")),
        ["row 59", "column duration_ms", "inf"],
    ),
    "rows of an event source": (
        "t.parquet",
        lambda frame, path: frame.with_columns(source=pl.lit("orders")).write_parquet(path),
        ["row 0", "column source", "'orders'", "sync"],
    ),
    "truncated Parquet": ("t.parquet", cut, ["t.parquet", "was a copy interrupted?"]),
    "damaged Parquet": ("t.parquet", damaged, ["t.parquet", "cannot be read"]),
    "empty file": ("t.parquet", lambda _, path: path.touch(), ["t.parquet", "empty", "0 bytes"]),
    "web page": (
        "t.parquet",
        lambda _, path: path.write_text("<!doctype html><title>Log in</title>"),
        ["t.parquet", "HTML"],
    ),
    "missing file": ("t.parquet", None, ["no file t.parquet"]),
    "empty glob": ("t*.parquet", None, ["no file matches t*.parquet"]),
    "unknown sample": ("sample:azure2091", None, ["no sample", "did you mean sample:azure2019?"]),
}


@pytest.mark.parametrize("case", TRACES)
def test_bad_trace(cli: Cli, crowd: pl.DataFrame, case: str) -> None:
    name, spoil, parts = TRACES[case]
    if spoil is not None:
        spoil(crowd, cli.folder / name)
    before = cli.state()
    answer = cli(
        *("run", name, "--outcomes", "o.parquet", "--metrics", "m.parquet", "-o", "s.json")
    )
    assert (answer.code, answer.out) == (3, ""), answer.err
    assert answer.err.startswith("error: ")
    assert "Traceback" not in answer.err
    for part in parts:
        assert part in answer.err
    assert cli.state() == before


@pytest.mark.parametrize(
    ("scenario", "sets", "parts"),
    [
        (
            "[account]\nconcurrency = 10\n\n[defaults]\nmemory = 128\n",
            [],
            ["error: the scenario has 1 problem", "s.toml:5:1: defaults.memory:", "memory_mb"],
        ),
        (
            "[account]\nconcurrency = 0\nera = '1999'\n",
            [],
            ["2 problems", "s.toml:2:1:", "s.toml:3:1:"],
        ),
        ("[account\n", [], ["s.toml:1", "TOML"]),
        ("", ["account.concurency=5"], ["--set: account.concurency", "concurrency"]),
        ("", ["account.concurrency"], ["--set", "KEY=VALUE"]),
        (None, [], ["s.toml", "no such file"]),
    ],
)
def test_bad_scenario(
    cli: Cli, crowd: pl.DataFrame, scenario: str | None, sets: list[str], parts: list[str]
) -> None:
    crowd.write_parquet(cli.folder / "t.parquet")
    if scenario is not None:
        (cli.folder / "s.toml").write_text(scenario)
    before = cli.state()
    given = [word for one in sets for word in ("--set", one)]
    answer = cli("run", "t.parquet", "-s", "s.toml", *given, "--outcomes", "o.parquet")
    assert (answer.code, answer.out) == (2, "")
    for part in parts:
        assert part in answer.err
    assert cli.state() == before


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        (["-o", "no/such/s.json"], 4, ["cannot write no/such/s.json", "no/such does not exist"]),
        (["--outcomes", "folder"], 4, ["cannot write folder", "folder"]),
        (["-o", "t.parquet/s.json"], 4, ["cannot write t.parquet/s.json"]),
        (["-o", "n" * 300 + ".json"], 4, ["too long"]),
        (["--outcomes", "t.parquet"], 2, ["would overwrite the trace"]),
        (["--metrics", "./folder/../t.parquet"], 2, ["would overwrite the trace"]),
        (["--attempts", "t.parquet"], 2, ["would overwrite the trace"]),
        (["--attempts", "x", "--outcomes", "x"], 2, ["--outcomes and --attempts", "same file"]),
        (["--attempts", "a.csv"], 2, ["writes Parquet", "CSV"]),
        (["--metrics", "link.parquet"], 2, ["would overwrite the trace"]),
        (["-s", "s.toml", "-o", "s.toml"], 2, ["would overwrite the scenario"]),
        (["-o", "x", "--outcomes", "./x"], 2, ["--outcomes and --output", "same file"]),
        (["--outcomes", "o.csv"], 2, ["writes Parquet", "CSV"]),
        (["-o", "-"], 2, ["--format json"]),
        (["-o", "/dev/null"], 2, ["no regular file"]),
    ],
)
def test_bad_output(
    cli: Cli, crowd: pl.DataFrame, arguments: list[str], code: int, parts: list[str]
) -> None:
    crowd.write_parquet(cli.folder / "t.parquet")
    (cli.folder / "s.toml").touch()
    (cli.folder / "folder").mkdir()
    (cli.folder / "link.parquet").symlink_to("t.parquet")
    before = cli.state()
    answer = cli("run", "t.parquet", *arguments)
    assert (answer.code, answer.out) == (code, ""), answer.err
    for part in parts:
        assert part in answer.err
    assert cli.state() == before
    assert Path("/dev/null").is_char_device()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_output_folder_without_permission(cli: Cli, crowd: pl.DataFrame) -> None:
    crowd.write_parquet(cli.folder / "t.parquet")
    locked = cli.folder / "locked"
    locked.mkdir(mode=0o500)
    answer = cli("run", "t.parquet", "-o", "locked/s.json")
    assert answer.code == 4
    assert "no permission" in answer.err


def test_output_in_the_traces_own_folder(cli: Cli, crowd: pl.DataFrame) -> None:
    (cli.folder / "in").mkdir()
    crowd.write_parquet(cli.folder / "in" / "t.parquet")
    answer = cli("run", "in", "--outcomes", "in/o.parquet")
    assert answer.code == 2
    assert "inside the trace's folder" in answer.err
    assert cli("run", "in/*.parquet", "--outcomes", "in/t.parquet").code == 2
    assert cli("run", "in", "-o", "in/s.json").code == 0


def test_debug_shows_where_and_nothing_else_does(cli: Cli) -> None:
    plain, debug = cli("run", "nope.csv"), cli("run", "nope.csv", "--debug")
    assert plain.code == debug.code == 3
    assert "Traceback" not in plain.err
    assert debug.err.startswith(plain.err)
    assert "Traceback" in debug.err


def test_a_bug_is_told_with_what_a_report_needs(cli: Cli) -> None:
    (cli.folder / "sitecustomize.py").write_text(
        "import lambda_replay.samples as s\n"
        "def bug(): raise KeyError('\\x1b[31mboo')\n"
        "s.names = bug\n"
    )
    answer = cli("samples", env={"PYTHONPATH": str(cli.folder)})
    assert (answer.code, answer.out) == (1, "")
    assert "\x1b" not in answer.err
    lines = answer.err.splitlines()
    assert lines[0].startswith("error: unexpected KeyError: ")
    assert "bug of lambda-replay" in lines[1]
    assert lines[2].startswith("  lambda-replay ")
    assert lines[-1] == "  lambda-replay samples"
    assert "Traceback" in cli("samples", "--debug", env={"PYTHONPATH": str(cli.folder)}).err
