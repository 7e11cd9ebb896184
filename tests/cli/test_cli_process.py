"""Signals, closed pipes and full devices: how the process ends, and what it leaves."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import polars as pl
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Cli

#: Takes seconds to replay, however fast the machine, since its outcomes must be written.
ROWS = 6_000_000
#: The promise is 0.2 s; a busy machine that runs tests may take longer.
SOON_S = 2.0


@pytest.fixture(scope="module")
def long_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.parquet"
    (
        pl.select(at=pl.int_range(ROWS))
        .select(
            # Not in order, so that Polars has to sort them first.
            timestamp=pl.col("at").reverse() * 1_000,
            function=pl.format("f{}", pl.col("at") % 50),
            duration_ms=(pl.col("at") % 997).cast(pl.Float64),
        )
        .write_parquet(path)
    )
    return path


def wait_for_work(cli: Cli, process: subprocess.Popen[bytes]) -> None:
    """Wait until the replay has begun to write."""
    for _ in range(6_000):
        if any(cli.folder.glob(".*tmp*")) and process.poll() is None:
            # Into the middle of it.
            time.sleep(0.2)
            return
        time.sleep(0.005)
    pytest.fail("the replay did not begin")


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 129, "hung up"),
    ],
)
def test_signals_end_it_soon_and_leave_nothing(
    cli: Cli, long_trace: Path, number: signal.Signals, code: int, word: str
) -> None:
    (cli.folder / "o.parquet").write_text("an older file")
    before = cli.state()
    process = cli.start(
        *("run", long_trace, "--outcomes", "o.parquet", "-o", "s.json", "--quiet"),
        # Whoever runs the tests may ignore it.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    wait_for_work(cli, process)
    sent = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    took = time.monotonic() - sent
    assert (process.returncode, out, err.decode()) == (code, b"", f"{word}\n")
    assert took < SOON_S
    assert cli.state() == before


def test_interrupt_while_waiting_for_standard_input(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    process = cli.start(
        "run", "-", "--quiet", stdin=subprocess.PIPE, env={"TMPDIR": str(tmp_path / "tmp")}
    )
    for _ in range(2_000):
        # Not the file by which Python tries whether it may write there.
        if any((tmp_path / "tmp").glob("lambda-replay-*")):
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    process.communicate()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_ignored_signals_stay_ignored(cli: Cli, crowd: pl.DataFrame) -> None:
    process = cli.start(
        "run",
        "-",
        stdin=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    time.sleep(0.5)
    process.send_signal(signal.SIGHUP)
    process.communicate(crowd.write_csv().encode(), timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_closed_pipe_is_quiet(cli: Cli, unbuffered: str) -> None:
    names = pl.Series([f"function-{at:05}" for at in range(3_000)])
    frame = pl.DataFrame({"timestamp": range(3_000), "function": names, "duration_ms": 1.0})
    frame.write_parquet(cli.folder / "t.parquet")
    # The table is longer than what a pipe holds, so that the writer notices.
    process = cli.start("run", "t.parquet", "--format", "csv", env={"PYTHONUNBUFFERED": unbuffered})
    head = subprocess.run(
        ["head", "-1"], stdin=process.stdout, capture_output=True, check=True, timeout=30
    )
    assert process.stdout is not None
    process.stdout.close()
    assert head.stdout.startswith(b"function,records,")
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) == 141


@pytest.mark.parametrize("arguments", [["--help"], ["samples"], ["run", "t.parquet"]])
def test_pipe_closed_from_the_start(cli: Cli, crowd: pl.DataFrame, arguments: list[str]) -> None:
    crowd.write_parquet(cli.folder / "t.parquet")
    reader, writer = os.pipe()
    os.close(reader)
    process = cli.start(*arguments, stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (141, b"")


def test_full_or_closed_standard_output_is_an_error(cli: Cli, crowd: pl.DataFrame) -> None:
    crowd.write_parquet(cli.folder / "t.parquet")
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        process = cli.start("run", "t.parquet", stdout=full)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 4
    assert err.decode() == "error: cannot write to standard output: No space left on device\n"
    closed = cli.start("run", "t.parquet", stdout=None, preexec_fn=lambda: os.close(1))
    _, err = closed.communicate(timeout=30)
    assert closed.returncode == 4
    assert err.decode() == "error: cannot write the result: standard output is closed\n"


def terminal_output(cli: Cli, *arguments: object, env: dict[str, str]) -> tuple[str, bytes]:
    """Run with standard error, and only that, on a terminal."""
    master, slave = pty.openpty()
    process = cli.start(*arguments, stderr=slave, env=env)
    os.close(slave)
    parts = []
    try:
        while part := os.read(master, 65_536):
            parts.append(part)
    except OSError:
        pass
    out, _ = process.communicate(timeout=30)
    os.close(master)
    assert process.returncode == 0
    return b"".join(parts).decode(), out


def test_progress_is_a_bar_on_a_terminal_only(cli: Cli, crowd: pl.DataFrame) -> None:
    name = "[red]t.parquet"
    crowd.write_parquet(cli.folder / name)
    env = {"TERM": "xterm-256color", "COLUMNS": "100"}
    bar, out = terminal_output(cli, "run", name, env=env)
    assert name in bar
    assert "reading" in bar
    assert bar.rindex("\x1b[?25h") > bar.rindex("\x1b[?25l")
    assert b"60 requests" in out
    assert terminal_output(cli, "run", name, "--quiet", env=env)[0] == ""
    assert terminal_output(cli, "run", name, env={"TERM": "dumb"})[0] == ""
    assert cli("run", name).err == ""


def test_a_long_run_shows_elsewhere_that_it_lives(cli: Cli, crowd: pl.DataFrame) -> None:
    process = cli.start("run", "-", stdin=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stderr.readline() == b"standard input: reading\n"
    out, err = process.communicate(crowd.write_csv().encode(), timeout=30)
    assert (process.returncode, err) == (0, b"")
    assert out.startswith(b"standard input: 60 requests")
