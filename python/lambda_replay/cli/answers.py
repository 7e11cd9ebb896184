"""How commands that answer a question begin, and hand over what they found."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lambda_replay.cli.outputs import check_outputs
from lambda_replay.cli.progress import showing_progress
from lambda_replay.cli.reading import bad_rows, read_options, tell_bad_rows
from lambda_replay.cli.scenarios import Chosen, choose
from lambda_replay.cli.streams import write_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import polars as pl

    from lambda_replay.ingest.bad_rows import BadRows
    from lambda_replay.readers.base import ReadOptions
    from lambda_replay.replay import Progress

__all__ = ["Asked", "asking", "write_answer"]


@dataclass(frozen=True)
class Asked:
    """What is replayed under what, and how.

    Attributes
    ----------
    chosen
        The scenario.
    bad
        What becomes of bad rows.
    read
        How the trace is read.
    progress
        To be told how far it is.
    """

    chosen: Chosen
    bad: BadRows
    read: ReadOptions
    progress: Callable[[Progress], None] | None


@contextlib.contextmanager
def asking(
    trace: tuple[str, ...],
    scenario: str | None,
    sets: tuple[str, ...],
    reading: dict[str, Any],
    *,
    output: Path | None,
    seed: int | None,
    quiet: bool,
) -> Iterator[Asked]:
    """Make ready what a command was given, and show progress while the block runs.

    ``reading`` are the arguments about reading and bad rows, which are taken out of it.
    """
    with showing_progress(trace, quiet=quiet) as progress:
        bad = bad_rows(reading, (output,))
        chosen = choose(trace, scenario, sets)
        outputs = {"--bad-rows": (bad.path, "Parquet"), "--output": (output, "JSON")}
        check_outputs(outputs, trace, scenario)
        yield Asked(chosen, bad, read_options(reading, seed=seed), progress)
    tell_bad_rows(bad)


def write_answer(
    document: Mapping[str, Any],
    table: pl.DataFrame,
    lines: Callable[[], list[str]],
    *,
    kind: str,
    output: Path | None,
) -> None:
    """Write a document to a file where one is wanted, and what is asked for to standard output.

    Parameters
    ----------
    document
        For JSON.
    table
        For CSV.
    lines
        Gives the screen.
    kind
        ``table``, ``json`` or ``csv``.
    output
        Takes the document; whole or not at all.
    """
    from lambda_replay.cli.documents import frame_csv, to_json  # noqa: PLC0415 - imports Polars
    from lambda_replay.output import atomic_path  # noqa: PLC0415

    if output is not None:
        with atomic_path(output) as temporary:
            temporary.write_text(to_json(document), encoding="utf-8")
    if kind == "json":
        write_result(to_json(document))
    elif kind == "csv":
        write_result(frame_csv(table))
    else:
        write_result("".join(f"{line}\n" for line in lines()))
