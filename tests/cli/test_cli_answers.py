"""The commands that answer questions, as the installed command has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

if TYPE_CHECKING:
    from conftest import Cli

SCREENS = {
    "compare": "compare sample:azure2019 --set wider:account.concurrency=20 --repeat 2",
    "many": "compare sample:azure2019 --set a:account.concurrency=5 --set b:account.concurrency=15"
    " --set c:account.concurrency=20 --set d:account.concurrency=30 --fail-if throttled>0",
    "sweep": "sweep sample:azure2019 --set account.concurrency=1..40 --fail-if throttled>0",
    "grid": "sweep sample:azure2019 --set account.concurrency=10,20 --set"
    " account.idle.policy=halving,none --set functions.http-bb5d90.memory_mb=128,256",
    "account": "size sample:azure2019 --fail-if throttled>0",
    "scan": "size sample:azure2019 --target throttle_rate<=1%",
    "reserved": "size sample:azure2019 --set account.concurrency=300 --what reserved"
    " --function queue-1fa065",
    "provisioned": "size sample:azure2019 --set account.concurrency=300 --what provisioned"
    " --function http-bb5d90",
    "blame": "run sample:azure2019 --blame --set account.concurrency=12 --fail-if throttled>0",
}


@pytest.mark.parametrize("name", SCREENS)
def test_the_first_screen_fits(cli: Cli, name: str) -> None:
    answer = cli(*SCREENS[name].split(), "-q")
    assert answer.code in {0, 99}, answer.err
    assert answer.err == ""
    assert 8 <= len(answer.lines) <= 40
    assert max(map(len, answer.lines)) <= 100
    assert "next" in answer.lines[-1]
    assert (answer.code == 99) == ("FAIL" in answer.out)


def test_compare_says_what_got_better_and_for_whom(cli: Cli) -> None:
    answer = cli("compare", "sample:azure2019", "--set", "wider:account.concurrency=20", "-q")
    assert answer.code == 0, answer.err
    assert "wider" in answer.lines[0]
    text = " ".join(answer.out.split())
    assert "better: throttled -82,717" in text and "for queue-1fa065 (throttled" in text
    assert "worse: cold_starts" in text


def test_compare_of_files_and_of_results(cli: Cli) -> None:
    (cli.folder / "today.toml").write_text("[account]\nconcurrency = 10\n")
    (cli.folder / "wide.toml").write_text("[account]\nconcurrency = 40\n")
    run = cli("run", "sample:azure2019", "-s", "today.toml", "-o", "today.json", "-q")
    assert run.code == 0
    answer = cli(
        *("compare", "sample:azure2019", "-s", "old=today.json", "-s", "wide.toml"),
        *("-s", "today.toml", "--format", "json", "-q"),
    )
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    assert document["names"] == ["old", "wide", "today"]
    row = next(one for one in document["measures"] if one["measure"] == "throttled")
    assert row["today_change"] == 0 and row["wide"] == 0 and row["old"] > 0
    csv = cli(
        "compare", "sample:azure2019", "-s", "today.toml", "-s", "wide.toml", "--format", "csv"
    )
    frame = pl.read_csv(csv.out.encode())
    assert frame.columns[:4] == ["measure", "unit", "today", "wide"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ("", "there is one side"),
        ("--set account.concurrency=5", "has no name of a side"),
        ("-s a=x.toml -s a=y.toml", "x.toml"),
        ("--set a:account.concurrency=5 --fail-if b@throttled>0", "names no side"),
        ("--set a:account.concurency=5", "did you mean"),
    ],
)
def test_compare_refuses_what_it_cannot_compare(cli: Cli, arguments: str, part: str) -> None:
    answer = cli("compare", "sample:azure2019", *arguments.split(), "-q")
    assert answer.code == 2
    assert part in answer.err
    assert answer.out == ""


def test_a_condition_may_be_about_one_side(cli: Cli) -> None:
    base = ("compare", "sample:azure2019", "--set", "w:account.concurrency=99", "-q", "--fail-if")
    assert cli(*base, "throttled > 0").code == 0
    assert cli(*base, "w@throttled > 0").code == 0
    assert cli(*base, "base@throttled > 0").code == 99


def test_checks_of_the_scenario_are_judged_by_every_command(cli: Cli) -> None:
    (cli.folder / "s.toml").write_text(
        "[account]\nconcurrency = 10\n[checks]\nfail_if = ['throttled > 10', 'errors > 0']\n"
    )
    run = cli("run", "sample:azure2019", "-s", "s.toml", "-q", "--fail-if", "dropped > 0")
    assert run.code == 99
    assert [line.split()[0] for line in run.lines[4:7]] == ["FAIL", "ok", "ok"]
    sweep = cli(
        "sweep", "sample:azure2019", "-s", "s.toml", "--set", "account.concurrency=9,40", "-q"
    )
    assert sweep.code == 99 and "1 of 2 points fail" in sweep.out
    size = cli("size", "sample:azure2019", "-s", "s.toml", "-q")
    assert size.code == 0 and "none of 2 fails at that size" in size.out
    compare = cli(
        *("compare", "sample:azure2019", "-s", "s.toml", "-q"),
        *("--set", "wide:account.concurrency=40", "--set", "tight:account.concurrency=8"),
    )
    assert compare.code == 99
    assert "1 of 4 fail" in compare.out
    assert "FAIL  tight: throttled > 10" in compare.out and "ok    wide: throttled" in compare.out


def test_sweep_reads_lists_ranges_and_steps(cli: Cli) -> None:
    answer = cli(
        *("sweep", "sample:azure2019", "--format", "csv", "-q"),
        *("--set", "account.concurrency=8..12:2", "--set", "replay.load=0.5..1:0.25", "--zip"),
        *("-o", "kept"),
    )
    assert answer.code == 0, answer.err
    frame = pl.read_csv(answer.out.encode())
    assert frame["account.concurrency"].to_list() == [8, 10, 12]
    assert frame["replay.load"].to_list() == [0.5, 0.75, 1.0]
    assert len(list((cli.folder / "kept" / "points").iterdir())) == 3
    assert frame["pareto"].any()


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        ("--set account.concurrency=12..8", 2, "a range goes up"),
        ("--set account.concurrency=1..9:0", 2, "a range goes up"),
        ("--set account.concurrency=1,,2", 2, "empty value"),
        ("--set account.concurrency", 2, "expected KEY=VALUE"),
        ("--set account.concurrency=1 --set account.concurrency=2", 2, "names account"),
        ("--set account.concurrency=1,2 --set replay.load=1 --zip", 2, "as many values each"),
        ("--set account.concurency=1,2", 2, "did you mean"),
        ("--set account.concurrency=1..999999999", 2, "at most 100,000"),
        ("--set account.concurrency=5 --fail-if function=f:throttled>0", 2, "not judged here"),
        ("--set account.concurrency=5 --objective nothing", 2, "there is no measure"),
    ],
)
def test_sweep_refuses_what_is_no_grid(cli: Cli, arguments: str, code: int, part: str) -> None:
    answer = cli("sweep", "sample:azure2019", *arguments.split(), "-q")
    assert answer.code == code, answer.err
    assert part in " ".join(answer.err.split())


def test_the_folder_of_another_sweep_is_5(cli: Cli) -> None:
    first = ("sweep", "sample:azure2019", "-q", "-o", "kept", "--set")
    assert cli(*first, "account.concurrency=20").code == 0
    answer = cli(*first, "replay.load=0.5")
    assert answer.code == 5 and "another sweep" in answer.err


def test_size_as_json_and_in_a_file(cli: Cli) -> None:
    answer = cli("size", "sample:azure2019", "--format", "json", "-o", "size.json", "-q")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    assert document == json.loads((cli.folder / "size.json").read_text())
    assert document["value"] == document["smallest"] == 29 and document["exact"]
    by_size = {row["size"]: row["meets"] for row in document["table"]}
    assert by_size == {28: False, 29: True, 30: True}


def test_size_of_shards_end_to_end(cli: Cli) -> None:
    """Ten records a second, half a second each: five shards' worth of work."""
    rows = 240
    pl.DataFrame(
        {
            "timestamp": [1_772_438_400_000_000 + i * 100_000 for i in range(rows)],
            "function": ["apply"] * rows,
            "duration_ms": [500.0] * rows,
            "source": ["flow"] * rows,
            "key": [f"k{i % 40}" for i in range(rows)],
        }
    ).write_parquet(cli.folder / "t.parquet")
    flow = {"type": '"kinesis"', "function": '"apply"', "batch_size": 1}
    sets = [f"--set=event_sources.flow.{key}={value}" for key, value in flow.items()]
    target = ["--target", "iterator_age_ms.max < 8s"]
    answer = cli("size", "t.parquet", "--what", "shards", "--source", "flow", "-q", *sets, *target)
    assert answer.code == 0, answer.err
    assert "event_sources.flow.shards = " in answer.out
    assert "by factor" in answer.out and "parallelization_factor" in answer.out
    unknown = cli("size", "t.parquet", "--what", "shards", "--source", "flo", "-q", *sets)
    assert unknown.code == 2
    assert "there is no event source 'flo'" in unknown.err and "NAME" in unknown.err


def test_validate_end_to_end(cli: Cli, crowd: pl.DataFrame) -> None:
    crowd.with_columns(throttled=pl.int_range(pl.len()) % 10 >= 4).write_parquet(
        cli.folder / "t.parquet"
    )
    right = cli("validate", "t.parquet", "--set", "account.concurrency=4", "-q")
    assert right.code == 0, right.err
    assert "agrees with what was observed" in right.out
    assert "60 of 60 rows alike" in right.out
    wrong = cli(
        *("validate", "t.parquet", "--set", "account.concurrency=9", "-q", "--format", "json"),
        *("--fail-if", "throttled > 3"),
    )
    assert wrong.code == 99
    document = json.loads(wrong.out)
    assert document["ok"] is False
    assert document["table"][0]["observed"] == 36 and document["table"][0]["predicted"] == 6
    assert "failed: throttled > 3 holds" in wrong.err


def test_validate_of_nothing_observed(cli: Cli) -> None:
    answer = cli("validate", "sample:azure2019", "-q")
    assert answer.code == 2 and "says nothing of what really happened" in answer.err
    assert cli("validate", "-", "-q").code == 3


def test_blame_is_on_the_screen_and_in_the_document(cli: Cli) -> None:
    base = ("run", "sample:azure2019", "--set", "account.concurrency=10", "--blame", "-q")
    screen = cli(*base)
    assert "held by       while queue-1fa065 was throttled: queue-1fa065" in screen.out
    rows = json.loads(cli(*base, "--format", "json").out)["blame"]
    assert rows[0]["victim"] == rows[0]["holder"] == "queue-1fa065"
    assert "held by" not in cli(*base[:-2], "-q").out


def test_names_on_screens_are_data(cli: Cli, trace_of: object, tmp_path: Path) -> None:
    assert callable(trace_of)
    names = ["\x1b[31mred\x1b[0m", "x" * 300]
    trace_of(names).write_parquet(cli.folder / "t.parquet")
    answer = cli("compare", "t.parquet", "--set", "one:account.concurrency=1", "-q")
    assert answer.code == 0, answer.err
    assert "\x1b" not in answer.out and max(map(len, answer.lines)) <= 100


@pytest.mark.parametrize(
    "command",
    [
        "compare t.csv --set one:account.concurrency=1",
        "sweep t.csv --set account.concurrency=1,2",
        "size t.csv",
    ],
)
def test_bad_rows_are_as_in_run(cli: Cli, command: str) -> None:
    (cli.folder / "t.csv").write_text(
        "timestamp,function,duration_ms\n1000000,f,5\n2000000,f,-5\n3000000,f,5\n"
    )
    refused = cli(*command.split(), "-q")
    assert refused.code == 3 and "row 1" in refused.err
    skipped = cli(*command.split(), "-q", "--on-bad-row", "skip")
    assert skipped.code == 0, skipped.err
    assert "1 row set aside" in skipped.err


@pytest.mark.parametrize(
    "command",
    [
        ["compare", "t.parquet", "--set", "a:account.concurrency=9"],
        ["size", "t.parquet"],
        ["validate", "t.parquet"],
    ],
)
def test_bad_rows_are_never_written_over_the_trace(
    cli: Cli, crowd: pl.DataFrame, command: list[str]
) -> None:
    crowd.with_columns(cold_start=pl.lit(value=False)).write_parquet(cli.folder / "t.parquet")
    before = (cli.folder / "t.parquet").read_bytes()
    answer = cli(*command, "-q", "--on-bad-row", "quarantine", "--bad-rows", "t.parquet")
    assert answer.code == 2
    assert "--bad-rows" in answer.err
    assert (cli.folder / "t.parquet").read_bytes() == before
