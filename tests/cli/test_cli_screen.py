"""The first screen fits, and shows names without obeying them."""

from __future__ import annotations

import os
import pty
import random
from typing import TYPE_CHECKING

import polars as pl
import pytest
from rich.cells import cell_len

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Answer, Cli

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]52;c;aGk=\x07",
    "[bold red]markup[/bold red] [link=file:///etc/passwd]x[/link]",
    "line\nbreak\rreturn\ttab",
    "\u202eoverride\u202c\u200b\ufeff",
    "名前" * 60,
    "e\u0301" * 200,
    "a" * 1_000,
    "$(rm -rf /) `id` ${{ secrets }} <script>alert(1)</script>",
    "../../etc/cron.d/x",
    "😀👩‍👩‍👧‍👦",
]


def check_fit(answer: Answer) -> None:
    assert len(answer.lines) <= 40
    assert max(map(cell_len, answer.lines)) <= 100
    assert answer.out.replace("\n", "").isprintable()


CHECKS = [f"--fail-if=throttled >= {number}" for number in range(12)]


@pytest.mark.parametrize("checks", [[], CHECKS], ids=["plain", "checks"])
@pytest.mark.parametrize("limit", [1, 1_000])
def test_hostile_names_fit_and_are_inert(
    cli: Cli,
    trace_of: Callable[[list[str]], pl.DataFrame],
    limit: int,
    checks: list[str],
) -> None:
    trace_of(HOSTILE * 20).with_columns(
        **{f"\x1b[3{at}mcolumn {'x' * 50}": 1 for at in range(9)}
    ).write_parquet(cli.folder / "t.parquet")
    answer = cli("run", "t.parquet", "--set", f"account.concurrency={limit}", *checks)
    assert answer.code == (99 if checks else 0)
    check_fit(answer)
    # Of a function or of a column, whichever there is room for.
    assert r"\x1b[3" in answer.out
    assert "…" in answer.out


def test_five_thousand_functions_fit(
    cli: Cli, trace_of: Callable[[list[str]], pl.DataFrame]
) -> None:
    names = [f"service-{number:05}-{'y' * (number % 90)}" for number in range(5_000)]
    random.Random(1).shuffle(names)
    trace_of(names * 2).write_parquet(cli.folder / "t.parquet")
    answer = cli("run", "t.parquet", "--set", "account.concurrency=1")
    check_fit(answer)
    assert " others " in answer.out
    assert "all 5,000" in answer.out
    row = next(line for line in answer.lines if line.startswith("all 5,000"))
    assert row.split()[2] == "10,000"


def test_sample_fits_with_any_format_of_stdout(cli: Cli) -> None:
    check_fit(cli("run", "sample:azure2019"))
    ascii_only = cli("run", "sample:azure2019", env={"PYTHONIOENCODING": "ascii"})
    check_fit(ascii_only)
    assert ascii_only.out.isascii()


def test_long_paths_and_values_fit(cli: Cli, crowd: pl.DataFrame) -> None:
    name = "n" * 180 + ".parquet"
    crowd.write_parquet(cli.folder / name)
    (cli.folder / ("s" * 180 + ".toml")).write_text("[account]\nconcurrency = 4\n")
    answer = cli("run", name, "-s", "s" * 180 + ".toml", "--set", "account.era=2019-12")
    check_fit(answer)
    assert answer.lines[-1] == (
        "next, with twice the limit: the same command with --set account.concurrency=8"
    )


def at_terminal(cli: Cli, *arguments: object, env: dict[str, str]) -> str:
    """Run with standard output, and only that, on a terminal."""
    master, slave = pty.openpty()
    process = cli.start(*arguments, stdout=slave, env=env)
    os.close(slave)
    parts = []
    while True:
        try:
            part = os.read(master, 65_536)
        except OSError:
            break
        if not part:
            break
        parts.append(part)
    assert process.wait() == 0
    process.communicate()
    os.close(master)
    return b"".join(parts).decode()


def test_colours_only_where_they_are_wanted(
    cli: Cli, trace_of: Callable[[list[str]], pl.DataFrame]
) -> None:
    trace_of(HOSTILE).write_parquet(cli.folder / "t.parquet")
    arguments = ("run", "t.parquet", "--set", "account.concurrency=1")
    piped = cli(*arguments, env={"TERM": "xterm-256color"})
    assert "\x1b" not in piped.out
    wide = {"TERM": "xterm-256color", "COLUMNS": "100"}
    coloured = at_terminal(cli, *arguments, env=wide)
    assert "\x1b[31m" in coloured
    assert "\x1b]52" not in coloured
    assert "\x1b" not in at_terminal(cli, *arguments, env={**wide, "NO_COLOR": "1"})
    assert "\x1b" not in at_terminal(cli, *arguments, env={**wide, "TERM": "dumb"})
    narrow = at_terminal(cli, *arguments, env={**wide, "NO_COLOR": "1", "COLUMNS": "70"})
    table = narrow.splitlines()
    rows = table[next(at for at, line in enumerate(table) if line.startswith("function")) :]
    assert max(map(cell_len, rows[: rows.index("")])) <= 70


def test_csv_on_a_terminal_is_inert(
    cli: Cli, trace_of: Callable[[list[str]], pl.DataFrame]
) -> None:
    trace_of(HOSTILE).write_parquet(cli.folder / "t.parquet")
    shown = at_terminal(cli, "run", "t.parquet", "--format", "csv", env={"TERM": "xterm"})
    assert "\x1b" not in shown
    assert r"\x1b[31mred\x1b[0m" in shown
