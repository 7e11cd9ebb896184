"""The command in this process, and the samples."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from lambda_replay.cli.process import _run
from lambda_replay.cli.session import Session

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> Answer:
    """Run one command here: starting a process for each would take most of the time."""
    capsys.readouterr()
    code = _run(Session(tuple(map(str, arguments))))
    caught = capsys.readouterr()
    return Answer(code, caught.out, caught.err)


def state(folder: Path) -> dict[str, str]:
    """Every file of a folder by its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
