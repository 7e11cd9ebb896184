"""The scanner that says where each key stands."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_replay.scenario import locate
from lambda_replay.scenario.limits import MAX_DEPTH, MAX_KEYS
from lambda_replay.scenario.locate import TooLargeError, locate_json, locate_toml

Path = tuple[str | int, ...]


def paths_of(value: Any, path: Path = ()) -> set[Path]:
    """All paths in parsed data."""
    found: set[Path] = {path} if path else set()
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        found |= paths_of(item, (*path, key))
    return found


@pytest.mark.parametrize(
    ("text", "path", "position"),
    [
        ("a = 1", ("a",), (1, 1)),
        ("\n  a = 1", ("a",), (2, 3)),
        ("# x\n\n[t]\n a = 1\n", ("t", "a"), (4, 2)),
        ("[functions.checkout]\n", ("functions", "checkout"), (1, 12)),
        ("[ functions . checkout ]\n", ("functions", "checkout"), (1, 15)),
        ("[functions]\nf.memory_mb = 1", ("functions", "f", "memory_mb"), (2, 3)),
        ('[functions."my.fn"]\nmemory_mb = 1', ("functions", "my.fn", "memory_mb"), (2, 1)),
        ("[functions.'img-*']\nmemory_mb = 1", ("functions", "img-*"), (1, 12)),
        ('"a\\u0041" = 1', ("aA",), (1, 1)),
        ('"a\\"b" . c = 1', ('a"b', "c"), (1, 10)),
        ("idle = { policy = 'x', seconds = 3 }", ("idle", "seconds"), (1, 24)),
        ("a = { b.c = 1, d = { e = 2 } }", ("a", "d", "e"), (1, 22)),
        ("a = { b.c = 1, d = { e = 2 } }", ("a", "b", "c"), (1, 9)),
        ("a = [\n  1, # one ]\n  2,\n]\nb = 1", ("b",), (5, 1)),
        ("a = [\n  1, # one ]\n  2,\n]\nb = 1", ("a", 1), (3, 3)),
        ("a = [[1, 2], [{ x = 1 }]]", ("a", 1, 0, "x"), (1, 17)),
        ('a = """\n[b]\nc = 1\n"""\nd = 1', ("d",), (5, 1)),
        ('a = """x\\""" y"""\nb = 1', ("b",), (2, 1)),
        ('a = """x"""""\nb = 1', ("b",), (2, 1)),
        ('a = ""\nb = 1', ("b",), (2, 1)),
        ('a = """"""\nb = 1', ("b",), (2, 1)),
        ("a = ''''x'''''\nb = 1", ("b",), (2, 1)),
        ("a = '''\n'' '\n'''\nb = 1", ("b",), (4, 1)),
        ("a = '\\'\nb = 1", ("b",), (2, 1)),
        ('a = "# no comment" # b = 2\nc = 1', ("c",), (2, 1)),
        ("a = 1979-05-27 07:32:00\nb = 1", ("b",), (2, 1)),
        ("a = [1979-05-27 07:32:00, 1]\nb = 1", ("a", 1), (1, 27)),
        ("[[changes]]\nat = 1\n[[changes]]\nat = 2", ("changes", 1, "at"), (4, 1)),
        ("[[changes]]\n[[changes]]\n", ("changes", 1), (2, 3)),
        ("[[a]]\n[[a.b]]\n[[a.b]]\nx = 1\n[[a]]\n[a.c]\ny = 1", ("a", 0, "b", 1, "x"), (4, 1)),
        ("[[a]]\n[[a.b]]\n[[a.b]]\nx = 1\n[[a]]\n[a.c]\ny = 1", ("a", 1, "c", "y"), (7, 1)),
        ("[a.b]\n[a]\nx = 1", ("a",), (1, 2)),
        ("é = 1\n'ü' = 2", ("ü",), None),
        ("a = 1\r\nb = 2\r\n", ("b",), (2, 1)),
        ("a = { 'ü' = 1, b = 2 }", ("a", "b"), (1, 16)),
        ("\ta = 1", ("a",), (1, 2)),
    ],
)
def test_positions(text: str, path: Path, position: tuple[int, int] | None) -> None:
    assert locate_toml(text).get(path) == position


@pytest.mark.parametrize(
    "text", ["a = ", "a = [1, 2", "[a", "a = 'x", "= 1", "a b = 1", "a = {b", "]"]
)
def test_invalid_text_gives_what_was_found(text: str) -> None:
    found = locate_toml("ok = 1\n" + text)
    assert found[("ok",)] == (1, 1)


@given(st.text(alphabet="ab.=[]{}'\"\\#,\n 1-"))
def test_any_text_is_scanned_without_error(text: str) -> None:
    found = locate_toml(text)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(found) == paths_of(data)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = 1\na = " + "[" * 10_000, 2),
        ("a = " + "{b=" * 10_000, 1),
        (".".join("a" * (MAX_DEPTH.value + 1)) + " = 1", 1),
        ("[" + ".".join("a" * 100_000) + "]", 1),
    ],
)
def test_depth_is_bounded(text: str, line: int) -> None:
    with pytest.raises(TooLargeError, match="deeper than 32") as caught:
        locate_toml(text)
    assert caught.value.position.line == line


def test_depth_up_to_the_bound_is_fine() -> None:
    assert len(locate_toml(".".join("a" * MAX_DEPTH.value) + " = 1")) == MAX_DEPTH.value


def test_number_of_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_KEYS.value == 1_000_000
    monkeypatch.setattr(locate, "MAX_KEYS", dataclasses.replace(MAX_KEYS, value=100))
    assert len(locate_toml("a=[" + "1," * 99 + "]")) == 100
    with pytest.raises(TooLargeError, match="more than 100 keys") as caught:
        locate_toml("a=[\n" + "1,\n" * 200 + "]")
    assert caught.value.position == (101, 1)


def test_json_positions() -> None:
    text = '{\n  "account": {"concurrency": 5},\n  "x": [1, {"a\\u0041": "}"}], "y": null\n}'
    found = locate_json(text)
    assert found[("account",)] == (2, 3)
    assert found[("account", "concurrency")] == (2, 15)
    assert found[("x", 1, "aA")] == (3, 13)
    assert found[("y",)] == (3, 31)
    assert set(found) == paths_of(json.loads(text))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=15,
)


@given(json_values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_every_json_key_is_found(value: object, indent: int | str | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert set(locate_json(text)) == paths_of(value)


# ---------------------------------------------------------------------------- generated TOML


class Writer:
    """Writes TOML and notes where each key goes."""

    def __init__(self) -> None:
        self.text = ""
        self.positions: dict[Path, tuple[int, int]] = {}
        self.count = 0

    def put(self, text: str) -> None:
        self.text += text

    def here(self) -> tuple[int, int]:
        line = self.text.count("\n") + 1
        return line, len(self.text) - (self.text.rfind("\n") + 1) + 1

    def note(self, path: Path) -> None:
        self.positions.setdefault(path, self.here())


NAMES = [
    "a",
    "b-1",
    "_",
    "7",
    "x.y",
    "img-*",
    "é",
    'q"q',
    "q'q",
    "back\\slash",
    "tab\t",
    "[z]",
    "#",
    "",
]
SCALARS = [
    "1",
    "0xff",
    "1.5e3",
    "inf",
    "true",
    "1979-05-27",
    "1979-05-27 07:32:00Z",
    "07:32:00",
    '""',
    "''",
    '"]"',
    "'[a]'",
    '"# = {"',
    '"\\"\\\\"',
    '"""\n[t]\nk = 1\n"""',
    '"""a""b"""',
    '"""a"""""',
    "'''\n'x''y\n'''",
    "'''a'''''",
]
SPACES = ["", " ", "\t ", "  "]
BREAKS = ["", " ", "\n", "\n  ", " # ] } , =\n\t"]


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    """Draw a TOML document with known positions: every way TOML has to write a key."""
    out = Writer()

    def fresh(path: Path) -> str:
        out.count += 1
        return f"{draw(st.sampled_from(NAMES))}{out.count}"

    def key(names: list[str], base: Path) -> tuple[int, int]:
        path = base
        position = out.here()
        for i, name in enumerate(names):
            if i:
                out.put(draw(st.sampled_from(SPACES)) + "." + draw(st.sampled_from(SPACES)))
            path += (name,)
            position = out.here()
            out.note(path)
            out.put(quoted(name))
        return position

    def quoted(name: str) -> str:
        ways = [json.dumps(name, ensure_ascii=draw(st.booleans()))]
        if "'" not in name and "\t" not in name:
            ways.append(f"'{name}'")
        if name.isascii() and name.replace("-", "").replace("_", "").isalnum():
            ways.append(name)
        return draw(st.sampled_from(ways))

    def value(path: Path, depth: int) -> None:
        kind = draw(st.sampled_from(["scalar", "scalar", "array", "table"])) if depth else "scalar"
        if kind == "scalar":
            out.put(draw(st.sampled_from(SCALARS)))
            return
        size = draw(st.integers(0, 3))
        if kind == "array":
            out.put("[")
            for i in range(size):
                out.put(draw(st.sampled_from(BREAKS)))
                out.note((*path, i))
                value((*path, i), depth - 1)
                out.put(draw(st.sampled_from(BREAKS)))
                if i < size - 1 or draw(st.booleans()):
                    out.put(",")
            out.put(draw(st.sampled_from(BREAKS)) + "]")
            return
        out.put("{")
        for i in range(size):
            out.put(draw(st.sampled_from(SPACES)))
            pair(path, depth - 1, in_line=True)
            out.put("," if i < size - 1 else "")
        out.put(draw(st.sampled_from(SPACES)) + "}")

    def pair(base: Path, depth: int, *, in_line: bool = False) -> None:
        names = [fresh(base) for _ in range(draw(st.integers(1, 3)))]
        key(names, base)
        out.put(draw(st.sampled_from(SPACES)) + "=" + draw(st.sampled_from(SPACES)))
        value((*base, *names), depth)
        out.put(
            draw(st.sampled_from(SPACES)) if in_line else draw(st.sampled_from(["\n", " # c\n"]))
        )

    def body(base: Path) -> None:
        for _ in range(draw(st.integers(0, 2))):
            out.put(draw(st.sampled_from(["", "\n", "  ", "# [x]\n"])))
            pair(base, 2)

    body(())
    for _ in range(draw(st.integers(0, 3))):
        names = [fresh(()) for _ in range(draw(st.integers(1, 2)))]
        if draw(st.booleans()):
            out.put("[")
            key(names, ())
            out.put("]\n")
            body(tuple(names))
            if draw(st.booleans()):
                inner = fresh(())
                out.put("[")
                key([*names, inner], ())
                out.put("] # more\n")
                body((*names, inner))
            continue
        for index in range(draw(st.integers(1, 3))):
            out.put("[[")
            # The element's position is that of the array's name in this header.
            element: Path = (*names, index)
            out.positions[element] = key(names, ())
            out.put("]]\n")
            body(element)
            if draw(st.booleans()):
                inner = fresh(())
                out.put("[")
                for i, name in enumerate([*names, inner]):
                    out.put("." if i else "")
                    if i == len(names):
                        out.note((*element, inner))
                    out.put(json.dumps(name))
                out.put("]\n")
                body((*element, inner))
    return out


@given(documents())
def test_generated_documents(document: Writer) -> None:
    data = tomllib.loads(document.text)
    assert paths_of(data) == set(document.positions)
    assert locate_toml(document.text) == document.positions
