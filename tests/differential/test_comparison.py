"""The comparison itself: it finds every change of a single value, and nothing else.

The product's place is taken by the reference's own result in the product's clothes, so these
tests need no product.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from differential.comparison import (
    Observed,
    first_difference,
    minimise,
    observe,
    priced,
    show,
)
from differential.strategies import BEGIN, Case, Column
from reference import Result, replay

S = 1_000_000

CASE = Case(
    {"account": {"concurrency": 2, "era": "2019-12"}, "functions": {"f": {"init_ms": 7.5}}},
    {
        "timestamp": Column([BEGIN + at for at in (0, 0, S, 2 * S, 70 * S)], pl.Int64()),
        "function": Column(["f", "g", "f", "f", "f"], pl.String()),
        "duration_ms": Column([1_500.0, 60_000.0, 3.0, 4.5, 5.0], pl.Float64()),
        "request_id": Column(["a", "b", "c", "d", "e"], pl.String()),
    },
)


@dataclass(frozen=True)
class Summary:
    """Stands for the product's summary."""

    values: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers by name."""
        return self.values

    def __getattr__(self, name: str) -> Any:
        """Return a number."""
        return self.values[name]


def in_clothes(result: Result) -> SimpleNamespace:
    """Return a result of the reference as the product would give it."""

    def instants(frame: pl.DataFrame) -> pl.DataFrame:
        names = [name for name in ("timestamp", "start", "end", "settled") if name in frame.columns]
        return frame.with_columns(pl.col(names).cast(pl.Int64).cast(pl.Datetime("us")))

    no_throttles = {"account_concurrency": 0, "account_rps": 0}
    functions = [
        {
            **row,
            "throttles_by_limit": no_throttles | row["throttles_by_limit"],
            "spillover_by_reason": {"busy": 0} | row["spillover_by_reason"],
            "dropped_by_reason": {"EventAgeExceeded": 0} | row["dropped_by_reason"],
        }
        for row in priced(result.functions)
    ]
    extra = {"bad_rows": 0, "version": "0"}
    return SimpleNamespace(
        outcomes=instants(pl.DataFrame(result.outcomes, infer_schema_length=None)),
        attempts=instants(pl.DataFrame(result.attempts, infer_schema_length=None)),
        metrics=instants(pl.DataFrame(result.metrics, infer_schema_length=None)),
        functions=pl.DataFrame(functions, infer_schema_length=None),
        summary=Summary({**result.summary, **extra}),
        sources=pl.DataFrame(result.sources),
        source_metrics=pl.DataFrame(result.source_metrics),
    )


def expected_and_observed() -> tuple[Result, Observed]:
    """Return both sides of the case, without a difference."""
    expected = replay(CASE.sections, CASE.rows())
    return expected, observe(in_clothes(expected))


def changed(value: Any) -> Any:
    """Return the smallest change of a value that must be noticed."""
    if value is None:
        return 1
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "x"
    return value * (1 + 1e-8) + 1e-8 if isinstance(value, float) else value + 1


def test_a_result_does_not_differ_from_itself() -> None:
    expected, observed = expected_and_observed()
    assert first_difference(expected, observed) is None
    assert {outcome["outcome"] for outcome in expected.outcomes} == {"success", "throttled"}


def test_environment_and_batch_numbers_carry_identity_only() -> None:
    expected, observed = expected_and_observed()
    for row in (*observed.outcomes, *observed.attempts):
        if row["environment"] is not None:
            row["environment"] = 1_000 - row["environment"]
            row["batch"] = 77 * (row["batch"] + 1)
    assert first_difference(expected, observed) is None


@pytest.mark.parametrize("name", ["outcomes", "attempts"])
def test_two_runs_with_one_batch_are_a_difference(name: str) -> None:
    expected, observed = expected_and_observed()
    rows = getattr(observed, name)
    rows[1]["batch"] = rows[0]["batch"]
    assert f"{name}.batch: reference 1, product 0" in str(first_difference(expected, observed))


@pytest.mark.parametrize("name", ["outcomes", "attempts", "metrics", "functions"])
def test_every_single_change_of_a_table_is_noticed(name: str) -> None:
    expected, untouched = expected_and_observed()
    rows = getattr(untouched, name)
    for index, row in enumerate(rows):
        for column in row:
            keys = {
                "outcomes": ["row"],
                "attempts": ["row", "attempt"],
                "metrics": ["timestamp", "function"],
            }
            skipped = ("environment", "batch", *keys.get(name, ["function"]))
            if column in skipped or isinstance(row[column], dict):
                continue
            _, observed = expected_and_observed()
            cell = getattr(observed, name)[index]
            cell[column] = changed(cell[column])
            found = first_difference(expected, observed)
            assert found is not None, f"{column} of row {index}"
            assert found.startswith(f"{name}.{column}:"), found


@pytest.mark.parametrize("name", ["outcomes", "attempts", "metrics", "functions"])
def test_a_row_too_many_or_too_few_is_noticed(name: str) -> None:
    expected, observed = expected_and_observed()
    last = getattr(observed, name).pop()
    assert "the product lacks a row" in str(first_difference(expected, observed))
    getattr(observed, name).extend([last, dict(last)])
    assert "two rows" in str(first_difference(expected, observed))
    getattr(observed, name)[-1].update(row=99, timestamp=99, function="h", attempt=9)
    assert "the reference lacks a row" in str(first_difference(expected, observed))


def test_every_single_change_of_the_summary_is_noticed() -> None:
    expected, untouched = expected_and_observed()
    for key in expected.summary:
        _, observed = expected_and_observed()
        value = untouched.summary[key]
        if not isinstance(value, dict):
            observed.summary[key] = changed(value)
            found = first_difference(expected, observed)
            assert found is not None, key
            assert found.startswith(f"summary.{key}"), found
            continue
        for inner, number in value.items():
            if number is None:
                continue
            _, observed = expected_and_observed()
            estimated = key in ("wait_ms", "duration_ms") and inner.startswith("p") and number
            observed.summary[key][inner] = number * 1.011 if estimated else changed(number)
            found = first_difference(expected, observed)
            assert found is not None, (key, inner)
            assert found.startswith(f"summary.{key}"), found


def test_a_run_in_another_environment_is_noticed() -> None:
    expected, observed = expected_and_observed()
    ran = [outcome for outcome in observed.outcomes if outcome["environment"] is not None]
    assert ran[0]["environment"] != ran[1]["environment"]
    ran[1]["environment"] = ran[0]["environment"]
    assert "outcomes.environment: reference 1, product 0" in str(
        first_difference(expected, observed)
    )


def test_a_missing_column_is_noticed() -> None:
    expected, observed = expected_and_observed()
    for outcome in observed.outcomes:
        del outcome["conflicts"]
    assert "outcomes.conflicts: the product has no such key" in str(
        first_difference(expected, observed)
    )


def test_outcomes_out_of_order_are_noticed() -> None:
    expected, observed = expected_and_observed()
    observed.outcomes[0], observed.outcomes[1] = observed.outcomes[1], observed.outcomes[0]
    assert first_difference(expected, observed) is not None


def test_percentiles_may_be_off_by_one_per_cent() -> None:
    expected, observed = expected_and_observed()
    observed.summary["duration_ms"]["p50"] *= 1.009
    assert first_difference(expected, observed) is None


def test_a_limit_that_bound_nothing_is_noticed_in_the_counts() -> None:
    expected, observed = expected_and_observed()
    observed.functions[0]["throttles_by_limit"]["account_rps"] = 1
    assert "functions.throttles_by_limit" in str(first_difference(expected, observed))


def test_a_difference_is_cut_down_to_the_rows_that_make_it() -> None:
    def differs(case: Case) -> str | None:
        outcomes = replay(case.sections, case.rows()).outcomes
        refused = [outcome["row"] for outcome in outcomes if outcome["outcome"] == "throttled"]
        return f"refused {refused}" if refused else None

    case, text = minimise(CASE, differs)
    assert case.height == 3
    assert text == "refused [2]"
    shown = show(case, text)
    assert "refused [2]" in shown
    assert "account = {'concurrency': 2}" in shown
