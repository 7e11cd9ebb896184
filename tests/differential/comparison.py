"""Finds the first difference between what the reference and the product say.

Owns what counts as a difference, column by column, and how a difference is shown. Values are
compared exactly but for three kinds: floats (rounding), percentiles of times (1 %, Z46), and
numbers that carry identity only (``environment``, ``batch``).
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isclose
from typing import Any

import polars as pl

from differential.strategies import Case
from reference import Result

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

#: Distributions whose percentiles may be off by one per cent.
ESTIMATED = frozenset({"wait_ms", "duration_ms", "async_age_ms", "iterator_age_ms"})
PERCENTILES = frozenset({"p50", "p90", "p99", "p999"})
#: Rounding of floats; money is a difference of sums, so it may be off by parts of its terms.
RELATIVE = 1e-9
ABSOLUTE = 1e-12
INSTANTS = frozenset({"timestamp", "start", "end", "settled"})

#: Counts by name; what is not there was not counted.
COUNTS = frozenset({"throttles_by_limit", "spillover_by_reason", "dropped_by_reason", "deliveries"})

Table = list[dict[str, Any]]


@dataclass(frozen=True)
class Observed:
    """What the product gave, in plain values: instants are integer microseconds."""

    outcomes: Table
    attempts: Table
    metrics: Table
    functions: Table
    summary: dict[str, Any]
    sources: Table
    source_metrics: Table


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
        attempts=table(result.attempts),
        metrics=table(result.metrics),
        functions=table(result.functions),
        summary=plain(summary),
        sources=table(result.sources),
        source_metrics=table(result.source_metrics),
    )


# ---- values --------------------------------------------------------------------------------


def compact(name: str, value: Any) -> Any:
    """Return a value of the product in the form that the reference gives it."""
    if name in COUNTS and isinstance(value, dict | None):
        # As a struct it has a field for every name there is.
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
    if name in PERCENTILES and path[-2] in ESTIMATED:
        return isclose(want, got, rel_tol=0.01, abs_tol=ABSOLUTE)
    return isclose(want, got, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def differing(path: Sequence[str], want: Any, got: Any) -> str | None:
    """Return the first difference between two values, or null."""
    got = compact(path[-1], got)
    if isinstance(want, dict):
        if got is None and path[-1] in ESTIMATED:
            got = dict.fromkeys(want)
        if not isinstance(got, dict):
            return f"{'.'.join(path)}: reference {want!r}, product {got!r}"
        if path[-1] in COUNTS and set(got) - set(want):
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


def in_order_of_runs(attempts: Table, name: str) -> dict[Any, int]:
    """Return the numbers of a column, each with the place at which it first appears."""
    numbers: dict[Any, int] = {}
    for attempt in attempts:
        value = attempt.get(name)
        if value is not None:
            numbers.setdefault(value, len(numbers))
    return numbers


def relabelled(rows: Table, labels: Mapping[str, Mapping[Any, int]]) -> Table:
    """Return rows whose numbers that carry identity only are their labels."""
    renamed = []
    for row in rows:
        new = dict(row)
        for name, numbers in labels.items():
            value = row.get(name)
            if value is not None:
                new[name] = numbers.get(value, f"{value}, which no attempt has")
        renamed.append(new)
    return renamed


def identities(attempts: Table) -> dict[str, dict[Any, int]]:
    """Return the labels of environments and batches: the order in which runs began."""
    return {name: in_order_of_runs(attempts, name) for name in ("environment", "batch")}


def differing_rows(
    name: str, keys: Sequence[str], want: Table, got: Table, *, ordered: bool = True
) -> str | None:
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
    places = [key_of(row) for row in got]
    if ordered and places != [key_of(row) for row in want]:
        return f"{name}: not in order, but {places!r}"
    return None


def priced(functions: Table) -> Table:
    """Return functions whose cost and deliveries are totals, as the product's table has them."""
    return [
        {
            **line,
            "cost_usd": line["cost_usd"]["total"],
            "deliveries": sum(line["deliveries"].values()),
        }
        for line in functions
    ]


def of_records(sources: Table) -> Table:
    """Return what the product says of shards and groups that had records, as the reference does."""
    rows = []
    for row in sources:
        if not row["records"]:
            continue
        # A group is a place as a shard is.
        place = row["group"] if row["type"] == "sqs_fifo" else row["shard"]
        rows.append({**row, "shard": place, "busiest_key_share": row["busiest_share"]})
    return rows


def within_peaks(want: Table, got: Table) -> Table:
    """Return the product's rows with the reference's peak where theirs is between its bounds.

    The order of arrivals and ends of records at one instant is settled for some of them only.
    """
    bounds = {
        (row["source"], row["shard"]): (row["backlog_peak_least"], row["backlog_peak"])
        for row in want
    }
    rows = []
    for row in got:
        least, most = bounds.get((row["source"], row["shard"]), (0, 0))
        peak = most if least <= row["backlog_peak"] <= most else row["backlog_peak"]
        rows.append({**row, "backlog_peak": peak, "backlog_peak_least": least})
    return rows


def with_data(want: Table, got: Table) -> Table:
    """Return the product's minutes, less those in which sources alone had something to measure.

    Such a minute has a row for the gauges of queues and topics, which the reference leaves out.
    """
    places = {(row["timestamp"], row["function"]) for row in want}
    gauges = ("Approximate", "OffsetLag")
    return [
        row
        for row in got
        if (row["timestamp"], row["function"]) in places
        or any(
            value
            for name, value in row.items()
            if name not in ("timestamp", "function", "environments") and not name.startswith(gauges)
        )
    ]


def counting(want: Table, got: Table) -> Table:
    """Return the product's minutes of event sources in which the reference counts anything, too.

    A minute of the product may stand for a gauge alone: it is left out where all counts are 0.
    """
    names = [name for name in (want[0] if want else {}) if name not in ("timestamp", "source")]
    places = {(row["timestamp"], row["source"]) for row in want}
    rows = [{**row, **{name: row[name] or 0 for name in names}} for row in got]
    # The reference does not count what Kafka commits.
    counts = [
        name
        for name in (got[0] if got else {})
        if name.endswith("EventCount") and name != "CommittedEventCount"
    ]
    return [
        row
        for row in rows
        if (row["timestamp"], row["source"]) in places or any(row[name] for name in counts)
    ]


def first_difference(expected: Result, observed: Observed) -> str | None:
    """Return the first difference between the two results, or null."""
    copy = ["copy"] if expected.outcomes and "copy" in expected.outcomes[0] else []
    wanted, given = identities(expected.attempts), identities(observed.attempts)
    outcomes = sorted(
        relabelled(expected.outcomes, wanted), key=lambda row: (row["row"], row.get("copy", 0))
    )
    found = (
        differing_rows(
            "attempts",
            ["row", *copy, "attempt"],
            relabelled(expected.attempts, wanted),
            relabelled(observed.attempts, given),
        )
        or differing_rows(
            "outcomes", ["row", *copy], outcomes, relabelled(observed.outcomes, given)
        )
        or differing_rows(
            "metrics",
            ["timestamp", "function"],
            expected.metrics,
            with_data(expected.metrics, observed.metrics),
            ordered=False,
        )
        or differing_rows(
            "functions", ["function"], priced(expected.functions), observed.functions, ordered=False
        )
        or differing(("summary",), expected.summary, observed.summary)
        or differing_rows(
            "source_metrics",
            ["timestamp", "source"],
            expected.source_metrics,
            counting(expected.source_metrics, observed.source_metrics),
            ordered=False,
        )
        or differing_rows(
            "sources",
            ["source", "shard"],
            expected.sources,
            within_peaks(expected.sources, of_records(observed.sources)),
            ordered=False,
        )
    )
    if not found and observed.outcomes:
        has_ids = any("request_id" in row for row in expected.outcomes)
        if has_ids != ("request_id" in observed.outcomes[0]):
            return f"outcomes: request_id {'is missing' if has_ids else 'though not given'}"
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
    for path in paths(case.sections):
        simpler = replace(case, sections=without(case.sections, path))
        found = differs(simpler)
        if found:
            case, text = simpler, found
    for name in list(case.columns)[3:]:
        rest = {other: column for other, column in case.columns.items() if other != name}
        simpler = replace(case, columns=rest)
        found = differs(simpler)
        if found:
            case, text = simpler, found
    return case, text


def paths(value: Any) -> list[tuple[Any, ...]]:
    """Return where the parts of nested tables and lists stand, the outer ones first."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        # From the end, so that what is taken away moves nothing that comes later.
        keys = list(reversed(range(len(value))))
    inner = [(key, *path) for key in keys for path in paths(value[key])]
    return [*((key,) for key in keys), *inner]


def without(sections: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """Return sections without one part; where it is gone already, they stay as they are."""
    copied = deepcopy(sections)
    part: Any = copied
    try:
        for key in path[:-1]:
            part = part[key]
        del part[path[-1]]
    except (KeyError, IndexError, TypeError):
        return sections
    return copied


def show(case: Case, text: str | None) -> str:
    """Return a difference with everything needed to look at it again."""
    lines = ["", f"{text}", "", "scenario:"]
    lines += [f"  {name} = {section!r}" for name, section in case.sections.items()]
    types = ", ".join(f"{name}: {column.dtype}" for name, column in case.columns.items())
    lines += ["", f"trace ({types}), physical values, {case.batch_rows:,} rows at a time:"]
    columns = [column.values for column in case.columns.values()]
    lines += [f"  {index}: {row!r}" for index, row in enumerate(zip(*columns, strict=True))]
    return "\n".join(lines)
