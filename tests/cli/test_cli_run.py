"""What a run prints and writes."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import polars as pl
import pytest

import lambda_replay as lr
from lambda_replay.schema import ATTEMPT_SCHEMA

if TYPE_CHECKING:
    from conftest import Cli

#: Functions of the trace `crowd`.
NAMES = ("checkout", "thumbs")


def test_sample_needs_nothing_else(cli: Cli) -> None:
    answer = cli("run", "sample:azure2019")
    assert (answer.code, answer.err) == (0, "")
    head = answer.lines[0]
    assert head.startswith("sample:azure2019: 339,657 requests to 100 functions, replayed in ")
    assert "its own scenario azure2019.toml" in answer.lines[1]
    summary = lr.replay("sample:azure2019").summary
    assert f"throttled     {summary.throttled:,} of 339,657 requests" in answer.out
    assert "all by the account's concurrency limit of 10" in answer.out
    assert answer.lines[-1] == (
        "next, with twice the limit: lambda-replay run sample:azure2019"
        " --set account.concurrency=20"
    )
    for label in ("cost", "measured", "assumed", "undocumented", "not modelled"):
        assert f"\n{label} " in answer.out
    assert cli.state() == {}


def test_next_command_of_the_sample_runs_and_replaces_the_limit(cli: Cli) -> None:
    words = cli("run", "sample:azure2019").lines[-1].partition("lambda-replay ")[2].split()
    answer = cli(*words)
    assert answer.code == 0
    assert "; its own scenario with account.concurrency=20; seed 0" in answer.lines[1]
    assert answer.lines[-1].endswith("run sample:azure2019 --set account.concurrency=40")


def test_screen_tells_who_lost_what_when(cli: Cli, crowd: pl.DataFrame) -> None:
    crowd.write_parquet(cli.folder / "t.parquet")
    answer = cli("run", "t.parquet", "--set", "account.concurrency=4", "--seed", "7")
    assert answer.code == 0
    assert answer.lines[1] == (
        "2026-03-01 12:00:00 to 12:05:00 UTC, 5 min; AWS's defaults with account.concurrency=4;"
        " seed 7"
    )
    assert "36 of 60 requests (60%), all by the account's concurrency limit of 4" in answer.out
    assert "worst 10 s: 6 from 12:00:00; worst minute: 6 of 10 at 12:00" in answer.out
    assert "max 4 of 4; used up for" in answer.out
    rows = [line.split() for line in answer.lines]
    checkout, thumbs = (next(row for row in rows if row[:1] == [name]) for name in NAMES)
    assert checkout[1:5] == ["42", "18", "42.9%", "4"]
    assert checkout[-4:-1] == ["4/4", "24", "s"]
    assert thumbs[1:] == ["18", "18", "100%", "0", "-", "0/0", "0", "s", "$0"]
    assert answer.lines[-1].endswith("t.parquet --seed 7 --set account.concurrency=8")


def test_screen_without_throttles_names_the_lowest_limit(cli: Cli, crowd: pl.DataFrame) -> None:
    crowd.write_parquet(cli.folder / "t.parquet")
    answer = cli("run", "t.parquet")
    # A lower limit brings a lower request rate, whose peak nobody knows.
    assert (
        "none of 60 requests under a limit of 1,000, of which at most 10 were in use" in answer.out
    )
    assert "in force: concurrency 1,000; 10,000 requests/s; scaling 1,000 per 10 s" in answer.out
    alone = cli("run", "t.parquet", "--set", "account.requests_per_second=off")
    assert "none of 60 requests under a limit of 1,000, nor under any from 10 up" in alone.out
    assert "they cost no time here: neither the trace nor the scenario has init" in answer.out
    at_ten = cli("run", "t.parquet", "--set", "account.concurrency=10", "--format", "json")
    assert json.loads(at_ten.out)["throttled"] == 0
    at_nine = cli("run", "t.parquet", "--set", "account.concurrency=9", "--format", "json")
    assert json.loads(at_nine.out)["throttled"] == 6


def test_json_is_the_summary_and_what_it_rests_on(cli: Cli, crowd: pl.DataFrame) -> None:
    crowd.with_columns(colour=pl.lit("red"), shard=1).write_parquet(cli.folder / "t.parquet")
    arguments = ["run", "t.parquet", "--set", "account.concurrency=4"]
    answer = cli(*arguments, "--format", "json", "-o", "s.json", "--fail-if", "throttled < 0")
    assert (answer.code, answer.err) == (0, "")
    summary = json.loads(answer.out)
    assert (cli.folder / "s.json").read_text(encoding="utf-8") == answer.out
    expected = lr.replay(
        str(cli.folder / "t.parquet"), lr.Scenario(account={"concurrency": 4})
    ).summary.to_dict()
    assert set(expected) <= set(summary)
    for key in ("records", "throttled", "cold_starts", "duration_ms", "throttle_rate"):
        assert summary[key] == expected[key]
    assert summary["trace"]["first"] == "2026-03-01T12:00:00.000000Z"
    assert summary["trace"]["paths"] == ["t.parquet"]
    assert summary["worst_10s"] == {"from": "2026-03-01T12:00:00.000000Z", "throttles": 6}
    assert summary["scenario"] == {"account": {"concurrency": 4}}
    assert summary["notes"]["columns_ignored"] == ["colour"]
    assert summary["notes"]["columns_not_modelled"] == ["shard"]
    assert summary["notes"]["facts"] == ["cold_starts", "throttles"]
    assert summary["notes"]["assumed_memory_mb"] == 128
    assert summary["notes"]["prices"] == {"region": "us-east-1", "free_tier": False}
    rules = {one["rule"] for one in summary["notes"]["undocumented"]}
    # Those that touched the numbers, and no others: nothing asynchronous or provisioned was there.
    assert rules >= {"Q8", "Q9", "Q10", "Q25"}
    assert rules.isdisjoint({"Q14", "Q21", "Q38", "S"})
    assert summary["keys"] == []
    assert summary["checks"][0]["holds"] is False
    assert cli(*arguments, "--format", "json").out == cli(*arguments, "--format", "json").out


def test_csv_is_the_whole_functions_table(cli: Cli, crowd: pl.DataFrame) -> None:
    hostile = '\x1b[2J a,b\n"c" ' + "x" * 300
    renamed = crowd.with_columns(pl.col("function").replace("thumbs", hostile))
    renamed.write_parquet(cli.folder / "t.parquet")
    answer = cli("run", "t.parquet", "--set", "account.concurrency=4", "--format", "csv")
    assert (answer.code, answer.err) == (0, "")
    table = pl.read_csv(io.StringIO(answer.out), try_parse_dates=True)
    functions = lr.replay(renamed, lr.Scenario(account={"concurrency": 4})).functions
    assert table["function"].to_list() == functions["function"].to_list()
    assert hostile in table["function"]
    p99 = functions["duration_ms"].struct.field("p99")
    assert table["duration_ms_p99"].to_list() == p99.to_list()
    assert table["throttles_by_limit_account_concurrency"].to_list() == [18, 18]
    at = functions["worst_10s"].struct.field("from")
    assert table["worst_10s_from"].dt.replace_time_zone(None).to_list() == at.to_list()
    flat = sum(len(t.fields) if isinstance(t, pl.Struct) else 1 for t in functions.dtypes)
    assert table.width == flat


def test_outcomes_attempts_and_metrics_go_to_files(cli: Cli, crowd: pl.DataFrame) -> None:
    crowd.write_parquet(cli.folder / "t.parquet")
    (cli.folder / "m.parquet").write_text("an older file")
    answer = cli(
        *("run", "t.parquet", "--set", "account.concurrency=4"),
        *("--outcomes", "o.parquet", "--metrics", "m.parquet", "--quiet"),
        *("--attempts", "a.parquet"),
    )
    assert (answer.code, answer.err) == (0, "")
    outcomes = pl.read_parquet(cli.folder / "o.parquet")
    assert outcomes["row"].to_list() == list(range(60))
    assert outcomes["outcome"].value_counts().sort("outcome").rows() == [
        ("success", 24),
        ("throttled", 36),
    ]
    attempts = pl.read_parquet(cli.folder / "a.parquet")
    assert attempts.schema == ATTEMPT_SCHEMA
    assert attempts["outcome"].to_list().count("throttled") == 36
    metrics = pl.read_parquet(cli.folder / "m.parquet")
    assert metrics.filter(pl.col("function").is_null())["Throttles"].sum() == 36
    assert sorted(cli.state()) == ["a.parquet", "m.parquet", "o.parquet", "t.parquet"]


def test_standard_input_is_a_trace(cli: Cli, crowd: pl.DataFrame) -> None:
    answer = cli("run", "-", stdin=crowd.write_csv().encode())
    assert answer.code == 0
    assert answer.lines[0].startswith("standard input: 60 requests to 2 functions")
    assert cli.state() == {}


def test_several_files_globs_and_folders_are_one_trace(cli: Cli, crowd: pl.DataFrame) -> None:
    for at in range(3):
        crowd[20 * at : 20 * at + 20].write_csv(cli.folder / f"part{at}.csv")
    for arguments in (["part0.csv", "part1.csv", "part2.csv"], ["part*.csv"], ["."]):
        answer = cli("run", *arguments)
        assert "part0.csv and 2 more: 60 requests to 2 functions" in answer.lines[0]


def test_trace_without_rows_is_a_result_with_a_warning(cli: Cli, crowd: pl.DataFrame) -> None:
    crowd.head(0).write_parquet(cli.folder / "t.parquet")
    answer = cli("run", "t.parquet")
    assert answer.code == 0
    assert answer.err == "warning: the trace has no rows: nothing was replayed\n"
    assert answer.lines[0].startswith("t.parquet: 0 requests, replayed in")
    as_json = cli("run", "t.parquet", "--format", "json")
    assert json.loads(as_json.out)["throttle_rate"] is None
    assert cli("run", "t.parquet", "--format", "csv").out.startswith("function,records,")


def test_unsorted_rows_and_odd_columns_are_told(cli: Cli, crowd: pl.DataFrame) -> None:
    crowd.reverse().with_columns(key=pl.lit(None, pl.String), **{"my col\x07": 1}).write_parquet(
        cli.folder / "t.parquet"
    )
    answer = cli("run", "t.parquet")
    assert answer.code == 0
    assert "the rows were not in order of time" in answer.out
    assert "key not used: the scenario has no event_sources" in answer.out
    assert r"unknown, ignored: my col\x07" in answer.out


def test_verbose_leaves_nothing_out(cli: Cli) -> None:
    short, long = cli("run", "sample:azure2019"), cli("run", "sample:azure2019", "--verbose")
    assert "more with --verbose" in short.out
    assert "more with --verbose" not in long.out
    text = " ".join(long.out.split())
    for sentence in lr.Scenario().not_modelled():
        assert sentence in text
    for sentence in lr.replay("sample:azure2019").trace.assumed:
        assert sentence in text


@pytest.mark.parametrize("kind", ["table", "json", "csv"])
def test_given_scenario_comes_before_the_samples_own(cli: Cli, kind: str) -> None:
    (cli.folder / "s.toml").write_text("[account]\nconcurrency = 500\n")
    answer = cli("run", "sample:azure2019", "-s", "s.toml", "--format", kind)
    assert answer.code == 0
    if kind == "table":
        assert "; scenario s.toml; seed 0" in answer.lines[1]
        assert "none of 339,657 requests under a limit of 500" in answer.out
    elif kind == "json":
        assert json.loads(answer.out)["scenario"] == {"account": {"concurrency": 500}}
