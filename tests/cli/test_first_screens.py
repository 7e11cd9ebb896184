"""What a fresh reader stumbles over: the words and numbers of a screen fit each other."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from conftest import Cli, Inside


def test_the_head_tells_rows_of_the_trace_from_those_of_the_load(
    inside: Inside, crowd: pl.DataFrame
) -> None:
    crowd.write_parquet("t.parquet")
    doubled = inside("run", "t.parquet", "--set", "replay.load=2")
    assert doubled.lines[0].startswith(
        "t.parquet: 60 requests, 120 at replay.load = 2, to 2 functions, replayed in "
    )
    assert "of 120 requests" in doubled.lines[3]
    slow = inside("run", "t.parquet", "--set", "replay.time_scale=3")
    assert slow.lines[0].startswith("t.parquet: 60 requests to 2 functions, replayed in ")
    assert slow.lines[1].startswith(
        "2026-03-01 12:00:00 to 12:05:00 UTC, 5 min, 15 min at replay.time_scale = 3; "
    )


def test_no_scenario_at_all_shows_the_defaults(inside: Inside) -> None:
    answer = inside("scenario", "show")
    assert answer.code == 0
    assert any(
        line.split()[:3] == ["account.concurrency", "1000", "default"] for line in answer.lines
    )
    assert inside("scenario", "show", "--resolved").out == answer.out
    (inside.folder / "s.toml").write_text("")
    empty = inside("scenario", "show", "s.toml")
    assert empty.out == "# nothing is set: AWS's defaults, which --resolved shows\n"
    assert tomllib.loads(empty.out) == {}


def test_a_report_is_what_its_name_says(inside: Inside, crowd: pl.DataFrame) -> None:
    crowd.write_parquet("t.parquet")
    inside("run", "t.parquet", "-o", "r.json", "--format", "csv")
    answer = inside("report", "r.json", "-o", "r.md")
    assert (answer.code, answer.out, answer.err) == (0, "", "wrote r.md (Markdown)\n")
    text = (inside.folder / "r.md").read_text()
    assert text.startswith("### r\n")
    assert inside("report", "r.json", "--markdown").out == text
    wrong = inside("report", "r.json", "-o", "r.csv")
    assert (wrong.code, "is the name of a CSV file" in wrong.err) == (2, True)


def test_every_command_that_replays_reads_as_run_does(cli: Cli, inside: Inside) -> None:
    rows = "".join(f"2026-03-01T12:00:0{at},1000\n" for at in range(3))
    (inside.folder / "t.csv").write_text(f"ts,took\n{rows}")
    reading = ["--map", "timestamp=ts,duration_ms=took", "--function", "f"]
    for words in (
        ["size", "t.csv", "--what", "reserved"],
        ["validate", "t.csv", "--observed", "m.csv"],
        ["compare", "t.csv", "--set", "b:account.concurrency=2"],
        ["sweep", "t.csv", "--set", "account.concurrency=1,2"],
    ):
        (inside.folder / "m.csv").write_text("timestamp,Invocations\n2026-03-01T12:00:00,3\n")
        answer = inside(*words, *reading)
        assert (answer.code, answer.err) == (0, "")
    # Standard input is put aside, and then read as often as need be.
    piped = cli("size", "-", *reading, stdin=(inside.folder / "t.csv").read_bytes())
    assert piped.lines[0].startswith("standard input: ")
    assert piped.lines[2] == "account.concurrency = 1"
