"""``scenario check``, ``scenario show`` and ``samples``."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING

import lambda_replay as lr

if TYPE_CHECKING:
    from conftest import Cli


def test_check_prints_a_line_per_problem(cli: Cli) -> None:
    (cli.folder / "good.toml").write_text("defaults.init_ms = 9\n[account]\nconcurrency = 10\n")
    (cli.folder / "bad.toml").write_text("[account]\nconcurency = 10\nera = '1999'\n")
    answer = cli("scenario", "check", "good.toml")
    assert (answer.code, answer.out, answer.err) == (0, "good.toml: ok\n", "")
    answer = cli("scenario", "check", "bad.toml", "good.toml")
    assert (answer.code, answer.err) == (2, "")
    assert [line.split(" ")[0] for line in answer.lines] == [
        "bad.toml:2:1:",
        "bad.toml:3:1:",
        "good.toml:",
    ]
    assert "did you mean 'concurrency'?" in answer.lines[0]
    answer = cli("scenario", "check", "good.toml", "--set", "account.concurrency=0")
    assert answer.code == 2
    assert answer.out.startswith("--set: account.concurrency: ")


def test_check_warns_of_what_may_be_meant_otherwise(cli: Cli) -> None:
    text = "[account]\nconcurrency = 1000\n[functions.f]\nreserved_concurrency = 0\n"
    (cli.folder / "s.toml").write_text(text)
    answer = cli("scenario", "check", "s.toml")
    assert (answer.code, answer.err) == (0, "")
    assert [line.split(": ")[:3] for line in answer.lines[:2]] == [
        ["s.toml", "defaults.init_ms", "warning"],
        ["s.toml:4:1", "functions.f.reserved_concurrency", "warning"],
    ]
    assert answer.lines[2:] == ["s.toml: ok"]


def test_init_writes_a_scenario_that_is_right(cli: Cli) -> None:
    answer = cli("scenario", "init", "new.toml")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "new.toml: written; next: lambda-replay scenario check new.toml\n"
    assert cli("scenario", "check", "new.toml").out == "new.toml: ok\n"
    text = (cli.folder / "new.toml").read_text()
    assert cli("scenario", "init", "-").out == text
    again = cli("scenario", "init", "new.toml")
    assert (again.code, again.out) == (4, "")
    assert "'new.toml' exists" in again.err
    assert (cli.folder / "new.toml").read_text() == text
    assert cli("scenario", "init", "no/such/folder.toml").code == 4


def test_all_that_init_comments_out_is_right_too(cli: Cli) -> None:
    text = re.sub(r"(?m)^#(?=[a-z\[])", "", cli("scenario", "init", "-").out)
    (cli.folder / "all.toml").write_text(text)
    assert cli("scenario", "check", "all.toml").out == "all.toml: ok\n"
    data = tomllib.loads(text)
    assert {"changes", "faults", "state", "replay"} <= set(data)
    shown = cli("scenario", "show", "all.toml").out
    assert tomllib.loads(shown) == data


def test_schema_is_json(cli: Cli) -> None:
    answer = cli("scenario", "schema")
    assert (answer.code, answer.err) == (0, "")
    schema = json.loads(answer.out)
    assert schema["additionalProperties"] is False
    assert {"account", "functions", "changes", "faults", "state"} <= set(schema["properties"])


def test_show_is_toml_that_says_the_same(cli: Cli) -> None:
    text = (
        '[account]\nconcurrency = 10\nidle = { policy = "uniform", seconds = [300, 900.5] }\n'
        '[functions."img-*"]\nmemory_mb = 512\n[functions."a\\u001b[31m\\u202e\U0001f600\\"."]\n'
        "init_billed = true\n"
    )
    (cli.folder / "s.toml").write_text(text, encoding="utf-8")
    answer = cli("scenario", "show", "s.toml", "--set", "replay.seed=3")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.replace("\n", "").isprintable()
    assert tomllib.loads(answer.out) == {**tomllib.loads(text), "replay": {"seed": 3}}
    as_json = cli("scenario", "show", "s.toml", "--format", "json")
    assert json.loads(as_json.out) == tomllib.loads(text)


def test_show_resolved_tells_every_value_and_its_origin(cli: Cli) -> None:
    (cli.folder / "s.toml").write_text('[account]\nera = "2019-12"\nconcurrency = 10\n')
    arguments = ("scenario", "show", "s.toml", "--set", "defaults.init_ms=5", "--resolved")
    answer = cli(*arguments)
    assert (answer.code, answer.err) == (0, "")
    rows = [line.split() for line in answer.lines]
    assert ["account.concurrency", "10", "s.toml:3"] in rows
    assert ["defaults.init_ms", "5", "--set"] in rows
    assert ["replay.seed", "0", "default"] in rows
    assert any(row[-2:] == ["undocumented,", "Q8"] for row in rows if row)
    for sentence in lr.Scenario().not_modelled():
        assert sentence in answer.out
    document = json.loads(cli(*arguments, "--format", "json").out)
    scenario = lr.Scenario(account={"era": "2019-12", "concurrency": 10}, defaults={"init_ms": 5})
    assert document["digest"] == scenario.digest()
    keys = [value["key"] for value in document["values"]]
    assert keys == [origin.key for origin in scenario.resolve().origins()]


def test_show_without_a_file_is_what_aws_gives(cli: Cli) -> None:
    assert "account.concurrency" in cli("scenario", "show").out
    sample = cli("scenario", "show", "sample:azure2019")
    assert "account.concurrency = 10\n" in sample.out


def test_samples_lists_them(cli: Cli) -> None:
    answer = cli("samples")
    assert (answer.code, answer.err) == (0, "")
    assert answer.lines[0] == "sample:azure2019"
    assert "  lambda-replay run sample:azure2019" in answer.lines
    assert max(map(len, answer.lines)) <= 100
