"""Scenarios made from others: ``with_`` and ``with_set``, and the keys they take."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_replay.exceptions import ScenarioError
from lambda_replay.scenario import Scenario
from lambda_replay.scenario.keys import KeySyntaxError, format_key, parse_key, split_assignment


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("account.concurrency", ("account", "concurrency")),
        ('functions."my.fn".memory_mb', ("functions", "my.fn", "memory_mb")),
        ("functions.'my.fn'.memory_mb", ("functions", "my.fn", "memory_mb")),
        ("functions.img-*.memory_mb", ("functions", "img-*", "memory_mb")),
        ("functions.img-[a-c]?.memory_mb", ("functions", "img-[a-c]?", "memory_mb")),
        ("functions.f:live.memory_mb", ("functions", "f:live", "memory_mb")),
        ("functions.[$LATEST].memory_mb", ("functions", "[$LATEST]", "memory_mb")),
        ("functions.é.x", ("functions", "é", "x")),
        (' a . "b" ', ("a", "b")),
        ('"a\\"b\\u0041"', ('a"bA',)),
        ("''", ("",)),
        ("a", ("a",)),
    ],
)
def test_keys(text: str, path: tuple[str, ...]) -> None:
    assert parse_key(text) == path
    assert split_assignment(f"{text}=x=y") == (path, "x=y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a name is missing at character 1"),
        ("a.", "a name is missing at character 3"),
        (".a", "a name is missing at character 1"),
        ("a..b", "a name is missing at character 3"),
        ("a b", "unexpected 'b' at character 3"),
        ('"a', "a name is missing"),
        ('"\\q"', "bad escape"),
        ("a=1", "unexpected '='"),
        ("a\n", "unexpected"),
    ],
)
def test_bad_keys(text: str, message: str) -> None:
    with pytest.raises(KeySyntaxError, match=message):
        parse_key(text)
    with pytest.raises(ScenarioError, match="is no dotted key") as caught:
        Scenario().with_(text, 1)
    assert caught.value.code == "LR-S008"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_keys_are_printed_as_they_are_read(path: list[str]) -> None:
    text = format_key(path)
    assert parse_key(text) == tuple(path)
    data: Any = tomllib.loads(f"{text} = 1")
    for name in path:
        data = data[name]
    assert data == 1


@given(st.text())
def test_any_text_is_a_key_or_not(text: str) -> None:
    try:
        path = parse_key(text)
    except KeySyntaxError:
        return
    assert path


# ---------------------------------------------------------------------------- with_


def test_with_gives_another_scenario() -> None:
    base = Scenario.loads("[functions.f]\nmemory_mb = 512\n", "p.toml")
    other = base.with_("functions.f.memory_mb", 1024).with_('functions."a.b".init_ms', 3)
    assert base.resolve().function("f").memory_mb == 512
    assert other.resolve().function("f").memory_mb == 1024
    assert other.resolve().function("a.b").init_us == 3000
    assert other.source == "p.toml"
    assert base.with_("functions.f.memory_mb", 512) == base


def test_with_takes_tables_and_globs() -> None:
    scenario = Scenario().with_("functions.img-*", {"memory_mb": 256, "init_ms": 1})
    assert scenario.resolve().function("img-7").memory_mb == 256
    assert scenario.with_("functions", {}).resolve().function("img-7").memory_mb == 128
    assert scenario.with_("account.idle", "none").resolve().account.idle == ("none",)


def test_with_opens_the_short_form_of_idle() -> None:
    scenario = Scenario(account={"idle": "halving"}).with_("account.idle.seconds", 60)
    assert scenario.to_dict() == {"account": {"idle": {"policy": "halving", "seconds": 60}}}


def test_with_refuses_what_the_scenario_refuses() -> None:
    base = Scenario.loads("[functions.f]\nmemory_mb = 500\n", "p.toml")
    with pytest.raises(ScenarioError) as caught:
        base.with_("account.concurrency", 0)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.path) == (None, None, "account.concurrency")
    assert str(caught.value).startswith("account.concurrency: 0 is out of range")
    # What the change makes wrong elsewhere is still shown where it stands.
    with pytest.raises(ScenarioError) as caught:
        base.with_("account.era", "2019-12")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column) == ("p.toml", 2, 1)
    assert problem.path == "functions.f.memory_mb"


def test_with_forgets_the_positions_below() -> None:
    base = Scenario.loads("[functions.f]\nmemory_mb = 500\n", "p.toml")
    with pytest.raises(ScenarioError) as caught:
        base.with_("functions.f", {"memory_mb": 1})
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (None, None)


def test_with_refuses_keys_below_values() -> None:
    base = Scenario.loads("[account]\nconcurrency = 5\n")
    with pytest.raises(ScenarioError, match=r"account\.concurrency is 5, not a table") as caught:
        base.with_("account.concurrency.x", 1)
    assert caught.value.problems[0].path == "account.concurrency.x"


def test_with_refuses_none() -> None:
    with pytest.raises(ScenarioError, match="leave the key out"):
        Scenario().with_("account.concurrency", None)


# ---------------------------------------------------------------------------- with_set


@pytest.mark.parametrize(
    ("text", "section", "value"),
    [
        ("account.concurrency=500", "account", {"concurrency": 500}),
        ("account.concurrency = 1_000", "account", {"concurrency": 1000}),
        ("account.era=2019-12", "account", {"era": "2019-12"}),
        ('account.era="2019-12"', "account", {"era": "2019-12"}),
        ("account.idle=none", "account", {"idle": "none"}),
        (
            "account.idle={policy = 'uniform', seconds = [1, 2.5]}",
            "account",
            {"idle": {"policy": "uniform", "seconds": [1, 2.5]}},
        ),
        ("account.env.max_lifetime=[1,2]", "account", {"env": {"max_lifetime": [1, 2]}}),
        ("defaults.init_billed=false", "defaults", {"init_billed": False}),
        ("defaults.init_ms=1.5", "defaults", {"init_ms": 1.5}),
        ("functions.img-*.memory_mb=512", "functions", {"img-*": {"memory_mb": 512}}),
        ('functions."a=b".memory_mb=512', "functions", {"a=b": {"memory_mb": 512}}),
    ],
)
def test_set(text: str, section: str, value: object) -> None:
    assert Scenario().with_set(text).to_dict() == {section: value}


def test_set_takes_several_the_last_wins() -> None:
    scenario = Scenario().with_set("replay.seed=1", "account.idle=none", "replay.seed=2")
    assert scenario.to_dict() == {"replay": {"seed": 2}, "account": {"idle": "none"}}
    assert Scenario().with_set() == Scenario()


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("account.concurrency", "", "expected KEY=VALUE, found 'account.concurrency'"),
        ("=5", "", "a name is missing"),
        ("account.concurrency=1e3", "account.concurrency", "did you mean 1000?"),
        ("account.concurrency=many", "account.concurrency", "'many' is text"),
        ("account.concurrency=", "account.concurrency", "'' is text"),
        ("account.concurrency=1\nseed=2", "account.concurrency", r"'1\nseed=2' is text"),
        ("account.era=2019-11", "account.era", "did you mean '2018-10'?"),
        ("acount.era=2019-12", "acount", "did you mean 'account'?"),
        ("functions.my.fn.memory_mb=1", "functions.my.fn", 'functions."my.fn"'),
        (
            "functions.f.duration_factor=5",
            "functions.f.duration_factor",
            "5 is an integer; expected a table of factors by memory in MB",
        ),
        ("account.idle=" + "[" * 100, "", "nested deeper than 32"),
    ],
)
def test_bad_set(text: str, path: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario().with_set(text)
    (problem,) = caught.value.problems
    assert problem.file == "--set" and problem.path == path
    assert message in problem.message
    assert str(problem).startswith("--set:")


def test_bad_sets_are_reported_together() -> None:
    base = Scenario.loads("[defaults]\nmemory_mb = 500\n", "p.toml")
    with pytest.raises(ScenarioError) as caught:
        base.with_set("x", "account.concurrency=0", "account.era=2019-12", "replay.seed.x=1")
    assert [(p.file, p.path) for p in caught.value.problems] == [
        ("--set", ""),
        ("--set", "account.concurrency"),
        ("--set", "replay.seed"),
        ("p.toml", "defaults.memory_mb"),
    ]


@given(st.text())
def test_any_value_is_taken_or_refused(value: str) -> None:
    try:
        Scenario().with_set(f"account.idle={value}")
    except ScenarioError as error:
        assert all(problem.file == "--set" for problem in error.problems)
