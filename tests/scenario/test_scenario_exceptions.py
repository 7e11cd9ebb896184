"""The error classes: what they carry, how they print, that they survive pickling."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_replay import exceptions as ex


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Unpicklable:
    def __repr__(self) -> str:
        return "<thing\nwith a line end>"

    def __reduce__(self) -> Any:
        raise TypeError("no")


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (ex.InternalError, 1),
        (ex.ScenarioError, 2),
        (ex.TraceError, 3),
        (ex.OutputError, 4),
        (ex.ResourceError, 4),
        (ex.IntegrityError, 5),
    ],
)
def test_exit_codes_and_codes(kind: type[ex.LambdaReplayError], exit_code: int) -> None:
    error = kind("what happened", hint="what to do")
    assert isinstance(error, ex.LambdaReplayError)
    assert error.exit_code == exit_code
    assert error.code.startswith("LR-") and error.code == kind.default_code
    assert error.hint == "what to do"
    assert str(error) == "what happened"
    assert kind("x", code="LR-Z999").code == "LR-Z999"


def test_user_errors_are_value_errors() -> None:
    assert issubclass(ex.ScenarioError, ValueError)
    assert issubclass(ex.TraceError, ValueError)
    assert not issubclass(ex.OutputError, ValueError)


@pytest.mark.parametrize("kind", ["ScenarioError", "TraceError", "InternalError"])
def test_only_the_message_is_positional(kind: str) -> None:
    with pytest.raises(TypeError):
        getattr(ex, kind)("message", "LR-S001")


def test_trace_error_says_where_and_what() -> None:
    error = ex.TraceError(
        "must be a number of milliseconds from 0 up",
        source="day.csv",
        row=17,
        column="duration_ms",
        value=-3.5,
    )
    assert str(error) == (
        "day.csv, row 17, column duration_ms: found -3.5: "
        "must be a number of milliseconds from 0 up"
    )
    assert (error.source, error.row, error.column, error.value) == (
        "day.csv",
        17,
        "duration_ms",
        -3.5,
    )


def test_trace_error_without_a_place() -> None:
    assert str(ex.TraceError("no rows")) == "no rows"
    assert str(ex.TraceError("null", row=0)) == "row 0: null"


def test_problems_are_sorted_and_printed_a_line_each() -> None:
    late = ex.Problem(file="b.toml", line=1, column=1, path="z", message="late", code="LR-S009")
    middle = ex.Problem(file="a.toml", line=10, column=2, path="y", message="middle")
    early = ex.Problem(file="a.toml", line=2, column=7, path="x", message="early", code="LR-S003")
    error = ex.ScenarioError(problems=[late, middle, early])
    assert error.problems == (early, middle, late)
    assert error.code == "LR-S003"
    assert str(error).splitlines() == [
        "a.toml:2:7: x: early",
        "a.toml:10:2: y: middle",
        "b.toml:1:1: z: late",
    ]


def test_problems_without_file_or_line() -> None:
    assert str(ex.Problem(path="account.era", message="wrong")) == "account.era: wrong"
    assert str(ex.Problem(file="--set", path="a", message="wrong")) == "--set: a: wrong"
    assert str(ex.Problem(file="x.toml", message="no such file")) == "x.toml: no such file"


def test_a_flood_of_problems_is_kept_but_not_printed() -> None:
    error = ex.ScenarioError(problems=[ex.Problem(path=f"k{i}", message="m") for i in range(1000)])
    assert len(error.problems) == 1000
    assert len(str(error).splitlines()) == 201
    assert str(error).endswith("… and 800 more problems")


def test_control_characters_never_reach_the_terminal() -> None:
    nasty = "a\x1b[31m\nb\u202e"
    problem = ex.Problem(file=nasty, line=1, column=1, path=nasty, message=nasty)
    for text in (str(problem), str(ex.TraceError("m", source=nasty, column=nasty, value=nasty))):
        assert text.isprintable()
        assert r"\x1b" in text and r"\u202e" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "true"),
        (512, "512"),
        (0.5, "0.5"),
        ("it's", '"it\'s"'),
        ("a\tb", r"'a\tb'"),
        (None, "None"),
        ([1, "x"], "[1, 'x']"),
        (2**5000, "an integer of 5001 bits"),
        (Hostile(), "<Hostile>"),
        (Unpicklable(), r"<thing\nwith a line end>"),
    ],
)
def test_shown_values(value: object, shown: str) -> None:
    assert ex.show(value) == shown


@pytest.mark.parametrize(
    "value", ["x" * 10_000, "\x00" * 10_000, list(range(9999)), 10**70, b"y" * 999]
)
def test_shown_values_are_cut_to_80_characters(value: object) -> None:
    assert len(ex.show(value)) <= 80


@given(st.recursive(st.none() | st.text() | st.integers() | st.floats(), st.lists))
def test_show_gives_one_printable_line(value: object) -> None:
    text = ex.show(value)
    assert len(text) <= 80 and text.isprintable()


@pytest.mark.parametrize(
    "error",
    [
        ex.LambdaReplayError("m", code="LR-E001", hint="h"),
        ex.ScenarioError(problems=[ex.Problem(path="p", value={"a": [1]}, message="m")], hint="h"),
        ex.TraceError("m", source="s", row=2**40, column="c", value=Unpicklable()),
        ex.InternalError("m", details={"seed": 7, "config": Unpicklable()}),
        ex.OutputError("m"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("way", ["pickle", "deepcopy", "copy"])
def test_errors_survive_copies(error: ex.LambdaReplayError, way: str) -> None:
    copies = {"pickle": lambda e: pickle.loads(pickle.dumps(e)), "deepcopy": copy.deepcopy}
    other = copies.get(way, copy.copy)(error)
    assert type(other) is type(error)
    assert vars(other) == vars(error)
    assert str(other) == str(error)


def test_endless_values_are_kept_as_text() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert ex.TraceError("m", value=endless).value == ex.show(endless)


def test_internal_error_carries_a_report() -> None:
    error = ex.InternalError("time went backwards", details={"seed": 7, "row": 12})
    assert error.report() == "LR-X000: time went backwards\nseed: 7\nrow: 12"
    assert error.hint is not None and "report" in error.hint


def test_problem_is_hashable_whatever_the_value() -> None:
    assert len({ex.Problem(path="a", value=[1]), ex.Problem(path="a", value=[1])}) == 1
