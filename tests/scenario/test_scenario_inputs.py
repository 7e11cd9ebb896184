"""What a scenario is read from: syntax, size, files, JSON, values from Python, anything at all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_replay.exceptions import Problem, ScenarioError
from lambda_replay.scenario import Scenario
from lambda_replay.scenario.read import parse_json


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ScenarioError) as caught:
        Scenario.loads(text, "s.toml")
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("[account]\nera = 2019-12\n", 2, 11, 'did you mean era = "2019-12"?'),
        ("[account]\nera = halving", 2, 7, "Invalid value; text needs quotes"),
        ("a = 1\na = 2\n", 2, 6, "given twice"),
        ("[functions.a]\n[functions.a]\n", 2, 13, "given twice"),
        ("a = [1,\n2", 2, 2, "Unclosed array"),
        ("a = '", 1, 6, ""),
        ("a", 1, 2, "Expected '='"),
        ("a = 1\n\x00", 2, 1, "Invalid statement"),
    ],
)
def test_syntax_errors(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.loads(text, "s.toml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.code) == (line, column, "LR-S001")
    assert problem.message.startswith("not valid TOML: ") and message in problem.message
    assert caught.value.hint is not None
    shown, caret = caught.value.hint.split("\n")
    assert shown.isprintable() and caret.strip() == "^"


def test_the_caret_stands_under_the_place() -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.loads("x = { a = 'é', b = ? }")
    assert caught.value.hint == "x = { a = 'é', b = ? }\n                   ^"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 100_000, "nested deeper than 32"),
        ("a." * 100_000 + "b = 1", "nested deeper than 32"),
        ("#" * (8 * 1024 * 1024 + 1), "larger than 8 MiB"),
        ("a = " + "9" * 5000, "too many digits"),
    ],
)
def test_bombs(text: str, message: str) -> None:
    (problem,) = problems_of(text)
    assert message in problem.message


# ---------------------------------------------------------------------------- files


def load_problem(path: Path | str) -> Problem:
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(path)
    assert caught.value.exit_code == 2
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    return problem


def test_missing_file(tmp_path: Path) -> None:
    (tmp_path / "prod.toml").touch()
    problem = load_problem(tmp_path / "prd.toml")
    assert "no such file" in problem.message and str(Path.cwd()) in problem.message
    assert problem.suggestion == str(tmp_path / "prod.toml")
    assert "did you mean" in problem.message
    assert "no such file" in load_problem(tmp_path / "none" / "x.toml").message
    assert "no such file" in load_problem("").message


def test_directory(tmp_path: Path) -> None:
    assert "is a directory" in load_problem(tmp_path).message


def test_path_with_a_null_byte() -> None:
    assert "is no path" in load_problem("a\0b").message


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    assert "permission denied" in load_problem(tmp_path / "x.toml").message


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes("[account]\n# é".encode() + b"\xff\n")
    problem = load_problem(path)
    assert (problem.line, problem.column) == (2, 4)
    assert "is not UTF-8: byte 0xff" in problem.message


def test_too_large_file(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes(b"#" * (8 * 1024 * 1024 + 1))
    assert "larger than 8 MiB" in load_problem(path).message


def test_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes(b"\xef\xbb\xbf[account]\r\nconcurrency = 0\r\n")
    problem = load_problem(path)
    assert (problem.line, problem.column) == (2, 1)


@pytest.mark.parametrize(
    ("text", "line", "column", "path", "message"),
    [
        (
            '{\n  "account": {"concurrency": "5"}\n}',
            2,
            15,
            "account.concurrency",
            "did you mean 5?",
        ),
        ('{"account": {"concurrency": null}}', 1, 14, "account.concurrency", "null is no value"),
        ('{"account": {\n"concurrency": 5,}}', 2, 18, "", "not valid JSON: "),
        ('{"account": {}, "account": {}}', None, None, "", "key 'account' is given twice"),
        ('{"replay": {"seed": NaN}}', None, None, "", "NaN is no JSON value"),
        ("[1]", 1, 1, "", "is not a scenario"),
        ("", 1, 1, "", "not valid JSON"),
        ('{"a":' * 50, 1, 161 + 1, "", "nested deeper than 32"),
    ],
)
def test_bad_json(
    tmp_path: Path, text: str, line: int | None, column: int | None, path: str, message: str
) -> None:
    file = tmp_path / "s.JSON"
    file.write_text(text)
    problem = load_problem(file)
    assert (problem.line, problem.column, problem.path) == (line, column, path)
    assert message in problem.message


# ---------------------------------------------------------------------------- values from Python


@pytest.mark.parametrize(
    ("sections", "path", "message"),
    [
        ({"account": None}, "account", "null is no value"),
        ({"account": {"concurrency": object}}, "account.concurrency", "TOML has no value"),
        ({"account": {1: 2}}, "account", "the key 1 is int; expected text"),
        ({"account": {"concurrency": math.nan}}, "account.concurrency", "nan is a decimal number"),
        ({"account": {"concurrency": {1, 2}}}, "account.concurrency", "{1, 2} is a set"),
        ({"acount": {}}, "acount", "did you mean 'account'?"),
    ],
)
def test_bad_python_values(sections: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario(**sections)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.path) == (None, None, path)
    assert message in problem.message
    assert str(caught.value) == f"{path}: {problem.message}"


def test_endless_python_values() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = endless
    with pytest.raises(ScenarioError, match="nested deeper than 32"):
        Scenario(account=endless)


def test_numbers_of_other_kinds_are_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    scenario = Scenario(
        account={"concurrency": numpy.int64(500), "idle": {"policy": "uniform", "seconds": (1, 2)}},
        defaults={"init_ms": numpy.float64(1.5)},
        functions={"f": {"init_ms": Fraction(1, 2)}},
    )
    data = scenario.to_dict()
    assert type(data["account"]["concurrency"]) is int
    assert type(data["defaults"]["init_ms"]) is float
    assert data["account"]["idle"]["seconds"] == [1, 2]
    assert scenario.resolve().function("f").init_us == 500


def test_errors_are_useful_whatever_the_value() -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario(account={"concurrency": "\x1b[31m" + "x" * 10_000})
    assert len(str(caught.value)) < 300 and str(caught.value).isprintable()


# ---------------------------------------------------------------------------- anything


KEYS = ["account", "defaults", "functions", "replay", "f", "memory_mb", "idle", "policy", "seconds"]
KEYS += ["changes", "faults", "at", "set", "for_s", "slow", "reserved_concurrency"]
KEYS += ["provisioned_concurrency", "initial", "schedule", "min", "client_retry", "async"]
KEYS += ["concurrency", "era", "seed", "state", "scaling", "env", "max_lifetime", "init_ms", "x"]

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["off", "none", "uniform", "fixed", "halving", "2019-12", "typical", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(KEYS), anything, max_size=4))
def test_any_data_is_accepted_or_refused_with_problems(sections: dict[str, Any]) -> None:
    try:
        scenario = Scenario(**sections)
    except ScenarioError as error:
        assert error.problems
        assert all(problem.message and problem.code for problem in error.problems)
        assert str(error).count("\n") == len(error.problems) - 1
    else:
        scenario.resolve().core_epochs()
        scenario.resolve().function_epochs("f:live")
        assert isinstance(scenario.findings(), tuple)
        scenario.digest()


lines = st.sampled_from(
    [
        "[account]",
        "[functions.f]",
        "[[changes]]",
        "concurrency = 1",
        "idle = 'fixed'",
        "memory_mb = [",
        "seed = 1",
        "era = 2019-12",
        "x = '''",
        "]",
        "'''",
        "a.b.c = {}",
        "\ufeff",
        "\x00",
        "é = 'é'",
    ]
)


@given(st.lists(lines | st.text(max_size=5), max_size=8))
def test_any_text_is_accepted_or_refused_with_problems(parts: list[str]) -> None:
    text = "\n".join(parts)
    try:
        Scenario.loads(text)
    except ScenarioError as error:
        assert error.problems and str(error)
        for problem in error.problems:
            assert problem.file == "<string>"
            if problem.line is not None and problem.path:
                assert 1 <= problem.line <= text.count("\n") + 1


@given(anything)
def test_json_and_python_agree(value: object) -> None:
    def outcome(make: Callable[[], Scenario]) -> str | list[tuple[str, str]]:
        try:
            return make().digest()
        except ScenarioError as error:
            # Positions decide the order, and Python's data has none.
            return sorted((p.path, p.message) for p in error.problems)

    sections = {"account": value}
    try:
        text = json.dumps(sections, allow_nan=False)
    except ValueError:
        return
    data = parse_json(text, "x").data
    assert outcome(lambda: Scenario(**data)) == outcome(lambda: Scenario(**sections))
