"""Helpers of the examples worked by hand: times in seconds, environments for ever, no jitter."""

from fractions import Fraction
from typing import Any

from reference import Result, replay

S = 1_000_000

#: What would blur an example, switched off.
STILL = {
    "idle": {"policy": "none"},
    "env": {"max_lifetime": "off"},
    "async": {"jitter_half": 0},
}


def us(seconds: float) -> int:
    """Return seconds in microseconds."""
    return round(seconds * S)


def row(at: float, duration: float = 1, function: str = "f", **columns: Any) -> dict[str, Any]:
    """Return a row of the trace; ``at`` and ``duration`` are seconds."""
    return {
        "timestamp": us(at),
        "function": function,
        "duration_ms": Fraction(us(duration), 1_000),
        **columns,
    }


def event(at: float, duration: float = 1, function: str = "f", **columns: Any) -> dict[str, Any]:
    """Return an asynchronous row."""
    return row(at, duration, function, source="async", **columns)


def play(*rows: dict[str, Any], f: Any = None, sections: Any = None, **account: Any) -> Result:
    """Replay rows; ``f`` is the section of the function of that name."""
    scenario: dict[str, Any] = {"account": {**STILL, **account}, **(sections or {})}
    if f is not None:
        scenario["functions"] = {**scenario.get("functions", {}), "f": f}
    return replay(scenario, list(rows))


def change(at: float, **values: Any) -> dict[str, Any]:
    """Return a change; keys are dotted with ``__``."""
    return {"at": us(at), "set": {key.replace("__", "."): value for key, value in values.items()}}


def column(result: Result, name: str) -> list[Any]:
    """Return one column of the outcomes."""
    return [outcome[name] for outcome in result.outcomes]


def seconds(result: Result, name: str) -> list[float | None]:
    """Return a column of instants in seconds."""
    return [None if value is None else value / S for value in column(result, name)]


def tries(result: Result, position: int = 0) -> list[tuple[float, str | None]]:
    """Return when a row was tried, in seconds, and how that ended."""
    return [
        (attempt["start"] / S, attempt["outcome"])
        for attempt in result.attempts
        if attempt["row"] == position
    ]


def one(result: Result, position: int, *names: str) -> tuple[Any, ...]:
    """Return some columns of one outcome."""
    return tuple(result.outcomes[position][name] for name in names)


# ---- event sources -------------------------------------------------------------------------


def record(at: float, duration: float = 1, **columns: Any) -> dict[str, Any]:
    """Return a record of the source s."""
    return row(at, duration, "f", **{"source": "s", **columns})


def pull(*rows: dict[str, Any], kind: str = "kinesis", **section: Any) -> Result:
    """Replay rows with a source s of the function f; keys of the function come under ``f``.

    ``sections`` are other sections of the scenario.
    """
    f, sections = section.pop("f", None), section.pop("sections", {})
    source = {"type": kind, "function": "f", **section}
    return play(*rows, f=f, sections={"event_sources": {"s": source}, **sections})


def sent(result: Result) -> list[tuple[float, str | None, list[int]]]:
    """Return every try of a batch: when, how the first record's ended, and the rows in it."""
    batches: dict[int, list[dict[str, Any]]] = {}
    for attempt in result.attempts:
        batches.setdefault(attempt["batch"], []).append(attempt)
    return [
        (own[0]["start"] / S, own[0]["outcome"], [attempt["row"] for attempt in own])
        for own in batches.values()
    ]


def rows_sent(result: Result) -> list[list[int]]:
    """Return the rows of every try of a batch, in order of time."""
    return [rows for _, _, rows in sent(result)]
