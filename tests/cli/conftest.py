"""Runs the command as a user does, in a process of its own."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lambda_replay.cli.process import _run
from lambda_replay.cli.session import Session

#: Nothing that a test runs takes nearly as long.
PATIENCE_S = 60

START = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC).replace(tzinfo=None)


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass(frozen=True)
class Cli:
    """The command in a folder of its own."""

    folder: Path

    def env(self, **changes: str) -> dict[str, str]:
        """An environment in which nothing of the tester's decides how output looks."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in {"NO_COLOR", "FORCE_COLOR", "TERM", "LINES", "PYTHONIOENCODING"}
        }
        return {**kept, "COLUMNS": "80", "LC_ALL": "C.UTF-8", **changes}

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "lambda_replay", *map(str, arguments)]

    def __call__(
        self, *arguments: object, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> Answer:
        done = subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            timeout=PATIENCE_S,
            cwd=self.folder,
            env=self.env(**(env or {})),
            check=False,
        )
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        env = options.pop("env", {})
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.env(**env),
            **{**pipes, **options},
        )

    def state(self) -> dict[str, str]:
        """Every file of the folder, hidden ones too, by its content."""
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    folder = tmp_path / "here"
    folder.mkdir()
    return Cli(folder)


@dataclass(frozen=True)
class Inside(Cli):
    """The command in this process: for what does not depend on it being one of its own."""

    capsys: pytest.CaptureFixture[str]

    def __call__(
        self, *arguments: object, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> Answer:
        assert not stdin, "standard input belongs to a process"
        assert not env, "so does the environment"
        code = _run(Session(tuple(map(str, arguments))))
        return Answer(code, *self.capsys.readouterr())


@pytest.fixture
def inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Inside:
    monkeypatch.chdir(tmp_path)
    return Inside(tmp_path, capsys)


@pytest.fixture
def crowd() -> pl.DataFrame:
    """Ten requests at each of six instants, a second long each: a limit of 4 refuses 36 of them."""
    rows = [(minute, index) for minute in range(6) for index in range(10)]
    return pl.DataFrame(
        {
            "timestamp": [START + dt.timedelta(minutes=minute) for minute, _ in rows],
            "function": ["checkout" if index < 7 else "thumbs" for _, index in rows],
            "duration_ms": [1_000.0] * len(rows),
        }
    )


@pytest.fixture
def trace_of() -> Callable[[list[str]], pl.DataFrame]:
    """Give a trace with a request every 100 ms, to the functions in turn."""

    def make(names: list[str]) -> pl.DataFrame:
        count = len(names)
        return pl.DataFrame(
            {
                "timestamp": [START + dt.timedelta(milliseconds=100 * at) for at in range(count)],
                "function": names,
                "duration_ms": [250.0] * count,
            }
        )

    return make
