"""Replays the hand-worked examples of ``tests/reference`` in the product.

Owns the way there and back: rows to a typed frame, tables to plain values in the reference's form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import polars as pl

import lambda_replay as lr
import reference
from differential.comparison import ESTIMATED, compact, first_difference, observe
from reference import Result

#: Types of the columns that are not instants or spans.
TYPES: dict[str, pl.DataType] = {
    "function": pl.String(),
    "source": pl.String(),
    "error": pl.String(),
    "error_runs": pl.UInt32(),
    "memory_mb": pl.Int64(),
    "payload_bytes": pl.Int64(),
    "state_key": pl.String(),
    "state_access": pl.String(),
    "request_id": pl.String(),
    "row_uid": pl.UInt64(),
}
SPANS = ("duration_ms", "init_ms", "extension_ms")

_oracle = reference.replay


def instants(name: str, values: Sequence[Any]) -> pl.Series:
    """Return instants as integers where they are, else as nanoseconds, which thirds are not."""
    if not all(isinstance(value, int | Fraction) for value in values):
        return pl.Series(name, values)
    if all(Fraction(value).denominator == 1 for value in values):
        return pl.Series(name, [int(value) for value in values], pl.Int64)
    nanos = [Fraction(value) * 1_000 for value in values]
    assert all(value.denominator == 1 for value in nanos)
    return pl.Series(name, [int(value) for value in nanos], pl.Int64).cast(pl.Datetime("ns"))


def spans(name: str, values: Sequence[Any]) -> pl.Series:
    """Return spans as durations where they are exact, else as milliseconds in floats."""
    given = [value for value in values if value is not None]
    if not given or any(not isinstance(value, int | Fraction) for value in given):
        return pl.Series(name, values, strict=False)
    nanos = [None if value is None else Fraction(value) * 1_000_000 for value in values]
    assert all(value is None or value.denominator == 1 for value in nanos)
    whole = pl.Series(name, [None if value is None else int(value) for value in nanos], pl.Int64)
    return whole.cast(pl.Duration("ns"))


def frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return rows as a trace for the product."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = []
    for name in names or ("timestamp", "function", "duration_ms"):
        values = [row.get(name) for row in rows]
        if name == "timestamp":
            columns.append(instants(name, values))
        elif name in SPANS:
            columns.append(spans(name, values))
        else:
            columns.append(pl.Series(name, values, TYPES[name]))
    return pl.DataFrame(columns)


def replay_in_both(scenario: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Result:
    """Replay an example in the reference and in the product, which must agree.

    Parameters
    ----------
    scenario
        As for the reference.
    rows
        The same.

    Returns
    -------
    Result
        The product's outcomes, attempts, metrics and summary; what the product does not show
        (environments one by one, costs of a function in parts) is the reference's.
    """
    expected = _oracle(scenario, rows)
    # Examples reserve all there is, which AWS would not let them: that check is not their point.
    account = {"min_unreserved": 0, **scenario.get("account", {})}
    sections = {**scenario, "account": account}
    got = lr.replay(frame(rows), lr.Scenario(**sections), outcomes=True, attempts=True)
    found = observe(got)
    difference = first_difference(expected, found)
    assert difference is None, difference
    summary = {name: compact(name, value) for name, value in found.summary.items()}
    # Percentiles of times agree to within one per cent, and means to rounding.
    summary |= {name: expected.summary[name] for name in ESTIMATED if name in expected.summary}
    # The reference leaves out some of CloudWatch's columns, and has rows in an order of its own.
    metrics = {(line["timestamp"], line["function"]): line for line in found.metrics}
    return replace(
        expected,
        outcomes=found.outcomes,
        attempts=found.attempts,
        metrics=[
            {name: metrics[line["timestamp"], line["function"]][name] for name in line}
            for line in expected.metrics
        ],
        summary=summary,
    )
