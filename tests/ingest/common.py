"""Small traces as text, and what is raised for bad ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lambda_replay as lr
from lambda_replay import replay

S = 1_000_000
#: 2026-03-02 08:00:00 UTC.
BEGIN = 1_772_438_400 * S

HEADER = "timestamp,function,duration_ms\n"
#: Three rows, as CSV and as NDJSON.
LINES = [f"{BEGIN},f,100\n", f"{BEGIN + S},g,200\n", f"{BEGIN + 2 * S},f,300\n"]
CSV = HEADER + "".join(LINES)
NDJSON = "".join(
    f'{{"timestamp":{BEGIN + row * S},"function":"{name}","duration_ms":{100 * row + 100}}}\n'
    for row, name in enumerate("fgf")
)


def good() -> pl.DataFrame:
    """Return those three rows."""
    return frame([BEGIN + row * S for row in range(3)], function=["f", "g", "f"]).with_columns(
        duration_ms=pl.Series([100.0, 200.0, 300.0])
    )


def frame(timestamps: Sequence[Any] | pl.Series, **columns: Any) -> pl.DataFrame:
    """Return a trace with these instants, one function and 1 ms, some columns given otherwise."""
    count = len(timestamps)
    plain = {"timestamp": timestamps, "function": ["f"] * count, "duration_ms": [1.0] * count}
    return pl.DataFrame({**plain, **columns})


def write(path: Path, content: str | bytes) -> Path:
    """Write a file and give its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def outcomes(trace: Any) -> pl.DataFrame:
    """Return the outcomes of a trace."""
    found = replay(trace, outcomes=True).outcomes
    assert found is not None
    return found


def is_good(trace: Any) -> bool:
    """Tell whether a trace replays as the three rows."""
    return outcomes(trace).equals(outcomes(good()), null_equal=True)


def refused(trace: Any, code: str | None = None, *, says: Sequence[str] = ()) -> lr.TraceError:
    """Replay a trace that must be refused, and give the error.

    Parameters
    ----------
    trace
        A bad one.
    code
        What the error must have.
    says
        Parts of its text.
    """
    with pytest.raises(lr.TraceError) as caught:
        replay(trace)
    error = caught.value
    if code is not None:
        assert error.code == code
    text = f"{error}"
    for part in says:
        assert part in text
    assert text.isprintable(), "a message is one line, without control characters"
    assert error.exit_code == 3
    return error


def place(error: lr.TraceError) -> tuple[str | None, int | None, str | None, object]:
    """Return what an error knows of the place."""
    return error.source, error.row, error.column, error.value
