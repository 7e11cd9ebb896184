"""The product against the reference, on drawn scenarios and traces: every row must agree.

``LAMBDA_REPLAY_EXAMPLES`` sets how many examples are drawn (1,500 where it is not set). From
1,000 on, the test also demands that every rule of the reference was exercised: an oracle that
never got near a rule says nothing about it.
"""

import os
from collections import Counter
from importlib import import_module

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

from differential.comparison import (
    DifferenceError,
    Observed,
    first_difference,
    minimise,
    observe,
    show,
)
from differential.strategies import Case, Column, cases
from reference import missing, replay

EXAMPLES = int(os.environ.get("LAMBDA_REPLAY_EXAMPLES", "1500"))
ENOUGH_FOR_COVERAGE = 1_000


def product(case: Case) -> Observed:
    """Replay a case in the product.

    Raises
    ------
    DifferenceError
        The product raised an error: every drawn case is a valid one.
    """
    # Here and not above: the comparison's own tests run without the product, but a missing
    # product must fail these.
    lambda_replay = import_module("lambda_replay")
    try:
        scenario = lambda_replay.Scenario(**case.sections)
        return observe(lambda_replay.replay(case.frame(), scenario, outcomes=True))
    except Exception as error:
        text = f"the product raised {type(error).__name__}: {error}"
        raise DifferenceError(case, text) from error


def difference(case: Case, marks: Counter[str] | None = None) -> str | None:
    """Replay a case in both and return their first difference, or null.

    Parameters
    ----------
    case
        Scenario and trace.
    marks
        Counts in how many examples each rule of the reference was applied.
    """
    expected = replay(case.sections, case.rows())
    if marks is not None:
        marks.update(expected.marks.keys())
    try:
        return first_difference(expected, product(case))
    except DifferenceError as found:
        return found.text


def test_every_row_agrees_with_the_reference_and_every_rule_is_exercised() -> None:
    marks: Counter[str] = Counter()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(case=cases())
    def check(case: Case) -> None:
        text = difference(case, marks)
        if text:
            raise DifferenceError(case, text)

    try:
        check()
    except DifferenceError as found:
        # Hypothesis has shrunk what it can; rows of large traces it cannot take out one by one.
        case, text = minimise(found.case, difference)
        raise DifferenceError(case, show(case, text)) from found

    if EXAMPLES >= ENOUGH_FOR_COVERAGE:
        assert not missing(marks), f"rules that no example came near: {missing(marks)}"


@pytest.mark.parametrize("sections", [{}, {"account": {"concurrency": 1}}])
def test_an_empty_trace_agrees_with_the_reference(sections: dict[str, object]) -> None:
    types = {"timestamp": pl.Int64(), "function": pl.String(), "duration_ms": pl.Float64()}
    empty = Case(sections, {name: Column([], dtype) for name, dtype in types.items()})
    text = difference(empty)
    if text:
        raise DifferenceError(empty, show(empty, text))
