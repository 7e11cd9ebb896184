"""How commands that answer a question hand over what they found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lambda_replay.cli.streams import write_result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import polars as pl

__all__ = ["write_answer"]


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
