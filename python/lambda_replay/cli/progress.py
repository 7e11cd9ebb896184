"""How far a replay is, on stderr: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING

from lambda_replay.cli.failures import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lambda_replay.replay import Progress

__all__ = ["showing_progress"]

#: A short run says nothing where there is no terminal; a long one shows that it lives.
FIRST_LINE_S, EVERY_S = 2.0, 30.0


@contextlib.contextmanager
def showing_progress(
    traces: Sequence[str], *, quiet: bool
) -> Iterator[Callable[[Progress], None] | None]:
    """Show progress while the block runs.

    Parameters
    ----------
    traces
        What is being replayed.
    quiet
        Whether nothing is to be shown.

    Yields
    ------
    callable or None
        What the replay is to call.
    """
    from lambda_replay.cli.screen.look import Look, is_terminal  # noqa: PLC0415 - imports rich

    if quiet or sys.stderr is None:
        yield None
        return
    name = "standard input" if traces[0] == "-" else Look.of(sys.stderr).name(traces[0], 30)
    if len(traces) > 1:
        name += f" and {len(traces) - 1} more"
    with _bar(name) if is_terminal(sys.stderr) else _lines(name) as tell:
        yield tell


@contextlib.contextmanager
def _bar(name: str) -> Iterator[Callable[[Progress], None]]:
    """Show a bar with rows per second and the time left, which goes when the replay is done."""
    from rich import progress as rich  # noqa: PLC0415 - not needed elsewhere
    from rich.console import Console  # noqa: PLC0415

    columns = [
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(bar_width=24),
        rich.TaskProgressColumn(),
        rich.TextColumn("{task.fields[said]}", markup=False),
        rich.TimeRemainingColumn(compact=True),
    ]
    bar = rich.Progress(
        *columns,
        console=Console(stderr=True, markup=False, highlight=False),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with bar:
        task = bar.add_task(name, total=None, said="reading")

        def tell(progress: Progress) -> None:
            bar.update(task, completed=progress.rows, total=progress.total, said=_said(progress))

        yield tell


@contextlib.contextmanager
def _lines(name: str) -> Iterator[Callable[[Progress], None]]:
    """Write a line soon and then every half minute."""
    done = threading.Event()
    last: list[Progress] = []

    def tell(progress: Progress) -> None:
        last[:] = [progress]

    def talk() -> None:
        pause = FIRST_LINE_S
        while not done.wait(pause):
            pause = EVERY_S
            with contextlib.suppress(OSError, ValueError):
                say([f"{name}: {_line(last[0]) if last else 'reading'}"])

    thread = threading.Thread(target=talk, name="progress", daemon=True)
    thread.start()
    try:
        yield tell
    finally:
        done.set()


def _line(progress: Progress) -> str:
    said = _said(progress)
    if not progress.total or not progress.rows:
        return said
    left = progress.seconds * (progress.total - progress.rows) / progress.rows
    return f"{100 * progress.rows / progress.total:.0f}%, {said}, {left:.0f} s left"


def _said(progress: Progress) -> str:
    from lambda_replay.figures import rate  # noqa: PLC0415 - imports Polars

    text = f"{progress.rows:,} rows, {rate(progress.rows, progress.seconds)}"
    return text if progress.now is None else f"{text}, at {progress.now:%Y-%m-%d %H:%M}"
