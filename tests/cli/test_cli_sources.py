"""Event sources on the command line: what is said of them, and the page that shows it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import polars as pl
import pytest

import lambda_replay as lr
from cli.conftest import Cli
from lambda_replay.replay import sample_scenario

PAGE = Path(__file__).parents[2] / "docs" / "event-sources.md"
BEGIN = 1_772_438_400_000_000

SCENARIO = """
[event_sources.orders]
type = "kinesis"
function = "apply"
maximum_retry_attempts = 1
on_failure = "lost"
[event_sources.mails]
type = "sqs"
function = "mail"
max_receive_count = 2
dead_letter_queue = "dlq"
[event_sources.idle]
type = "kinesis"
function = "apply"
"""


@pytest.fixture
def files(cli: Cli) -> Cli:
    count = 60
    pl.DataFrame(
        {
            "timestamp": [BEGIN + i * 100_000 for i in range(count)],
            "function": pl.Series([None] * count, dtype=pl.String),
            "duration_ms": [20.0] * count,
            "source": ["orders", "mails", "mails"] * (count // 3),
            "key": [f"k{i % 4}" for i in range(count)],
            "error": ["handled" if i in {30, 31} else None for i in range(count)],
        }
    ).write_parquet(cli.folder / "t.parquet")
    (cli.folder / "s.toml").write_text(SCENARIO)
    return cli


def test_the_screen_says_which_source_lost_what(files: Cli) -> None:
    answer = files("run", "t.parquet", "-s", "s.toml")
    assert answer.code == 0, answer.err
    assert len(answer.lines) <= 40
    text = " ".join(answer.out.split())
    assert re.search(r"event sources orders: \d+ of 20 records lost \(.*?\): \d+ discarded", text)
    assert "shard 0 blocked for" in text and "oldest message" in text
    assert "idle:" not in text


def test_json_has_the_sources_and_csv_their_outcomes(files: Cli) -> None:
    answer = files("run", "t.parquet", "-s", "s.toml", "--format", "json")
    document = json.loads(answer.out)
    rows = {row["source"]: row for row in document["sources"]}
    assert rows["orders"]["discarded"] == document["deliveries"]["lost"] > 0
    assert rows["mails"]["discarded"] == document["deliveries"]["dlq"] > 0
    assert rows["idle"]["records"] == 0
    assert document["discarded"] == sum(row["discarded"] for row in rows.values())
    assert "sources_queue" in document["notes"]["facts"]
    table = pl.read_csv(files("run", "t.parquet", "-s", "s.toml", "--format", "csv").out.encode())
    assert table["discarded"].sum() == document["discarded"]


def test_conditions_reach_records(files: Cli) -> None:
    answer = files("run", "t.parquet", "-s", "s.toml", "--fail-if", "discarded > 0")
    assert answer.code == 99
    age = "function=apply: iterator_age_ms.max > 1s"
    assert files("run", "t.parquet", "-s", "s.toml", "--fail-if", age).code in {0, 99}


def test_keys_may_be_set_and_are_checked(files: Cli) -> None:
    more = files(
        "run", "t.parquet", "-s", "s.toml", "--set", "event_sources.orders.shards=3",
        "--format", "json",
    )  # fmt: skip
    found = [row for row in json.loads(more.out)["sources"] if row["source"] == "orders"]
    assert [row["shard"] for row in found] == [0, 1, 2]
    bad = files("run", "t.parquet", "-s", "s.toml", "--set", "event_sources.mails.shards=3")
    assert bad.code == 2 and "type sqs has no shards" in bad.err


def test_an_unknown_source_names_the_nearest(files: Cli) -> None:
    (files.folder / "s.toml").write_text(SCENARIO.replace("mails", "mail"))
    answer = files("run", "t.parquet", "-s", "s.toml")
    assert answer.code == 3
    assert "row 1" in answer.err and "'mails'" in answer.err and "did you mean mail?" in answer.err


# ---- the page --------------------------------------------------------------------------------


def blocks() -> list[tuple[str, list[str]]]:
    found = re.findall(
        r"```console\n\$ (lambda-replay [^\n]*)\n(.*?)```", PAGE.read_text(), re.DOTALL
    )
    return [(command, text.splitlines()) for command, text in found]


@pytest.mark.parametrize(("command", "lines"), blocks(), ids=range(len(blocks())))
def test_the_page_shows_what_is_printed(cli: Cli, command: str, lines: list[str]) -> None:
    arguments = shlex.split(command)[1:]
    answer = cli(*arguments, env=cli.env(COLUMNS="100"))
    assert answer.code == 0, answer.err
    missing = [line for line in lines if line not in answer.lines]
    assert not missing, answer.out
    assert len(lines) >= 3


def test_the_table_of_the_page_is_right() -> None:
    changes = {
        "synchronous, locks": ("updates-sync", {}),
        "FIFO queue": ("updates", {}),
        "keyed stream, 8 shards": (
            "updates",
            {"event_sources.updates.type": "kinesis", "event_sources.updates.shards": 8},
        ),
        "append-only": ("updates-sync", {"state.discipline": "append"}),
    }
    for name, (sample, sets) in changes.items():
        scenario = sample_scenario(f"sample:{sample}")
        assert scenario is not None
        for key, value in sets.items():
            scenario = scenario.with_(key, value)
        result = lr.replay(f"sample:{sample}", scenario, outcomes=True)
        assert result.outcomes is not None
        updates = result.outcomes.filter(
            pl.col("function") == "apply", pl.col("outcome") == "success"
        )
        late = (updates["settled"] - updates["timestamp"]).dt.total_microseconds() / 1e6
        summary = result.summary
        (line,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {name} |")]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1].split(",")[0 if summary.throttled == 0 else slice(0, 2)] in (
            "0",
            f"{summary.throttled:,}".split(","),
        )
        assert float(cells[3].removesuffix(" s")) == pytest.approx(late.max(), abs=0.051)
        assert float(cells[2].removesuffix(" s")) == pytest.approx(late.quantile(0.99), rel=0.01)
        assert cells[4].split(" ")[0] == str(summary.max_concurrency)
        assert cells[5] == f"{summary.billed_s:,.0f} s"
        assert summary.cost_usd is not None
        assert cells[6] == f"${summary.cost_usd['total']:.4f}"
