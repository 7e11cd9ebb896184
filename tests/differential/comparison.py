"""Finds the first difference between what the reference and the product say.

Owns what counts as a difference, column by column, and how a difference is shown. Values are
compared exactly but for three kinds: means (float rounding), percentiles of times (1 %, Z46), and
numbers that carry identity only (``environment``, ``batch``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isclose
from typing import Any

import polars as pl

from differential.strategies import Case
from reference import Result

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

#: Distributions whose percentiles may be off by one per cent.
ESTIMATED = frozenset({"wait_ms", "duration_ms"})
PERCENTILES = frozenset({"p50", "p90", "p99", "p999"})
MEANS = frozenset({"mean", "mean_concurrency"})
INSTANTS = frozenset({"timestamp", "start", "end", "settled"})

Table = list[dict[str, Any]]


@dataclass(frozen=True)
class Observed:
    """What the product gave, in plain values: instants are integer microseconds."""

    outcomes: Table
    metrics: Table
    functions: Table
    summary: dict[str, Any]


class DifferenceError(AssertionError):
    """The product and the reference disagree about a case."""

    def __init__(self, case: Case, text: str) -> None:
        super().__init__(text)
        self.case = case
        self.text = text


# ---- what the product says -----------------------------------------------------------------


def plain(value: Any) -> Any:
    """Return a value with every instant in it as integer microseconds since the epoch."""
    if isinstance(value, datetime):
        # Results are naive, and UTC.
        return (value.replace(tzinfo=value.tzinfo or UTC) - EPOCH) // MICROSECOND
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return value


def table(frame: pl.DataFrame) -> Table:
    """Return a frame's rows in plain values.

    Raises
    ------
    AssertionError
        An instant is not of the type that results promise.
    """
    for name, dtype in frame.schema.items():
        if name in INSTANTS:
            assert dtype == pl.Datetime("us"), f"{name} is {dtype}"
    return [plain(row) for row in frame.to_dicts()]


def observe(result: Any) -> Observed:
    """Return the product's result in plain values.

    Raises
    ------
    AssertionError
        The summary's attributes are not those of its ``to_dict``.
    """
    summary = result.summary.to_dict()
    for name, value in summary.items():
        if isinstance(value, int | float | str):
            attribute = getattr(result.summary, name)
            assert attribute == value, f"summary.{name} is {attribute!r}, to_dict has {value!r}"
    return Observed(
        outcomes=table(result.outcomes),
        metrics=table(result.metrics),
        functions=table(result.functions),
        summary=plain(summary),
    )


# ---- values --------------------------------------------------------------------------------


def compact(name: str, value: Any) -> Any:
    """Return a value of the product in the form that the reference gives it."""
    if name == "throttles_by_limit" and isinstance(value, dict | None):
        # As a struct it has a field for every limit there is.
        return {limit: count for limit, count in (value or {}).items() if count}
    if name == "worst_10s" and isinstance(value, dict):
        if all(inner is None for inner in value.values()):
            return None
        begin = value.get("from")
        if isinstance(begin, str):
            return {**value, "from": plain(datetime.fromisoformat(begin))}
    return value


def same(path: Sequence[str], want: Any, got: Any) -> bool:
    """Tell whether two single values are the same, as far as their name asks for it."""
    if want is None or got is None:
        return want is got
    if isinstance(want, bool) or isinstance(got, bool):
        return isinstance(want, bool) and isinstance(got, bool) and want == got
    name = path[-1]
    if not isinstance(want, float) or not isinstance(got, int | float):
        return bool(want == got)
    if name in MEANS:
        return isclose(want, got, rel_tol=1e-12, abs_tol=1e-12)
    if name in PERCENTILES and path[-2] in ESTIMATED:
        return isclose(want, got, rel_tol=0.01, abs_tol=1e-9)
    # Every other float is a whole number of microseconds, in milliseconds.
    return abs(want - got) < 0.0004


def differing(path: Sequence[str], want: Any, got: Any) -> str | None:
    """Return the first difference between two values, or null."""
    got = compact(path[-1], got)
    if isinstance(want, dict):
        if got is None and path[-1] in ESTIMATED:
            got = dict.fromkeys(want)
        if not isinstance(got, dict):
            return f"{'.'.join(path)}: reference {want!r}, product {got!r}"
        if path[-1] == "throttles_by_limit" and set(got) - set(want):
            return f"{'.'.join(path)}: reference {want!r}, product {got!r}"
        for key, inner in want.items():
            if key not in got:
                return f"{'.'.join((*path, key))}: the product has no such key"
            found = differing((*path, key), inner, got[key])
            if found:
                return found
        return None
    if same(path, want, got):
        return None
    return f"{'.'.join(path)}: reference {want!r}, product {got!r}"


# ---- tables --------------------------------------------------------------------------------


def relabelled(outcomes: Table) -> Table:
    """Return outcomes whose environments are numbered as they first appear.

    ``batch`` keeps only whether there is one: its numbers are looked at by ``repeated_batch``.
    """
    numbers: dict[Any, int] = {}
    rows = []
    for outcome in outcomes:
        row = dict(outcome)
        if row.get("environment") is not None:
            row["environment"] = numbers.setdefault(row["environment"], len(numbers))
        if row.get("batch") is not None:
            row["batch"] = "some"
        rows.append(row)
    return rows


def repeated_batch(outcomes: Table) -> str | None:
    """Return the first batch number that two runs share, or null."""
    seen = set()
    for outcome in outcomes:
        batch = outcome.get("batch")
        if batch is not None and batch in seen:
            return f"outcomes row {outcome['row']}: batch {batch!r} is that of an earlier run"
        seen.add(batch)
    return None


def differing_rows(name: str, keys: Sequence[str], want: Table, got: Table) -> str | None:
    """Return the first difference between two tables, both rows with it, or null."""
    missing_keys = [key for key in keys if got and key not in got[0]]
    if missing_keys:
        return f"{name}: the product has no column {missing_keys[0]!r}"

    def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[key] for key in keys)

    by_key: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in got:
        if key_of(row) in by_key:
            return f"{name}: the product has two rows {key_of(row)!r}"
        by_key[key_of(row)] = row
    for row in want:
        other = by_key.pop(key_of(row), None)
        if other is None:
            return f"{name}: the product lacks a row\n  reference {row!r}"
        found = differing((name,), row, other)
        if found:
            return f"{found}\n  reference {row!r}\n  product   {other!r}"
    if by_key:
        extra = next(iter(by_key.values()))
        return f"{name}: the reference lacks a row\n  product   {extra!r}"
    return None


def first_difference(expected: Result, observed: Observed) -> str | None:
    """Return the first difference between the two results, or null."""
    positions: list[int] = [outcome.get("row", 0) for outcome in observed.outcomes]
    found = (
        differing_rows(
            "outcomes", ("row",), relabelled(expected.outcomes), relabelled(observed.outcomes)
        )
        or repeated_batch(observed.outcomes)
        or differing_rows("metrics", ("timestamp", "function"), expected.metrics, observed.metrics)
        or differing_rows("functions", ("function",), expected.functions, observed.functions)
        or differing(("summary",), expected.summary, observed.summary)
    )
    if not found and positions != sorted(positions):
        return f"outcomes: not in the trace's order, but in that of rows {positions!r}"
    if not found and observed.outcomes:
        wanted = "request_id" in expected.outcomes[0]
        if wanted != ("request_id" in observed.outcomes[0]):
            return f"outcomes: request_id {'is missing' if wanted else 'though not given'}"
    return found


# ---- showing it ----------------------------------------------------------------------------


def minimise(
    case: Case, differs: Callable[[Case], str | None], tries: int = 400
) -> tuple[Case, str | None]:
    """Take rows and sections away while a difference stays.

    Parameters
    ----------
    case
        A case with a difference.
    differs
        Returns the difference of a case, or null.
    tries
        How many cases may be looked at.

    Returns
    -------
    tuple of Case and str
        The smallest case found, and its difference.
    """
    text = differs(case)
    size = max(1, case.height // 2)
    while size and tries > 0:
        begin = 0
        while begin < case.height and tries > 0:
            kept = [row for row in range(case.height) if not begin <= row < begin + size]
            tries -= 1
            smaller = case.take(kept)
            found = differs(smaller) if kept else None
            if found:
                case, text = smaller, found
            else:
                begin += size
        size //= 2
    for section in list(case.sections):
        rest = {name: value for name, value in case.sections.items() if name != section}
        simpler = Case(rest, case.columns)
        found = differs(simpler)
        if found:
            case, text = simpler, found
    return case, text


def show(case: Case, text: str | None) -> str:
    """Return a difference with everything needed to look at it again."""
    lines = ["", f"{text}", "", "scenario:"]
    lines += [f"  {name} = {section!r}" for name, section in case.sections.items()]
    types = ", ".join(f"{name}: {column.dtype}" for name, column in case.columns.items())
    lines += ["", f"trace ({types}), physical values:"]
    columns = [column.values for column in case.columns.values()]
    lines += [f"  {index}: {row!r}" for index, row in enumerate(zip(*columns, strict=True))]
    return "\n".join(lines)
