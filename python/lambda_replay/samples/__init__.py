"""Traces that ship with the package: ``sample:NAME`` wherever a trace is expected.

A sample is a file ``NAME.parquet`` in this folder. Beside it stand ``NAME.md`` (what it is, what
in it is measured and what assumed, licence) and, where one goes with it, the scenario
``NAME.toml``. How the traces were made: ``tools/make_sample.py``.

This module only finds files; it reads no trace and imports no Polars.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from lambda_replay.exceptions import TraceError

__all__ = ["describe", "names", "scenario_path", "trace_path"]

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return the names of the samples, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.parquet"))


def trace_path(name: str) -> Path:
    """Return the Parquet file of a sample.

    Parameters
    ----------
    name
        As in ``sample:NAME``, without ``sample:``.

    Returns
    -------
    Path
        A file in the canonical trace schema, sorted by ``timestamp``.

    Raises
    ------
    TraceError
        If there is no such sample; the message lists those there are.
    """
    return _FOLDER / f"{_known(name)}.parquet"


def scenario_path(name: str) -> Path | None:
    """Return the scenario that goes with a sample, or None if none does.

    Parameters
    ----------
    name
        As for `trace_path`.

    Returns
    -------
    Path or None
        A TOML file; its comments give the reason and source of every value.

    Raises
    ------
    TraceError
        If there is no such sample.
    """
    path = _FOLDER / f"{_known(name)}.toml"
    return path if path.is_file() else None


def describe(name: str) -> str:
    """Return one paragraph about a sample, on one line.

    Parameters
    ----------
    name
        As for `trace_path`.

    Returns
    -------
    str
        The first paragraph of ``NAME.md`` below its heading.

    Raises
    ------
    TraceError
        If there is no such sample.
    """
    notes = (_FOLDER / f"{_known(name)}.md").read_text(encoding="utf-8")
    paragraphs = (block.strip() for block in notes.split("\n\n"))
    first = next(block for block in paragraphs if block and not block.startswith("#"))
    return " ".join(first.split())


def _known(name: str) -> str:
    """Return the name if it is that of a sample."""
    known = names()
    if name in known:
        return name
    nearest = get_close_matches(name.lower(), known, n=1)
    message = f"there is no sample {name!r}; samples: {', '.join(known)}"
    raise TraceError(
        message,
        source=f"sample:{name}",
        value=name,
        hint=f"did you mean sample:{nearest[0]}?" if nearest else f"try sample:{known[0]}",
    )
