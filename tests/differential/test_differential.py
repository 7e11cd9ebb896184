"""The product against the reference, on drawn scenarios and traces: every row must agree.

``LAMBDA_REPLAY_EXAMPLES`` sets how many cases are drawn (5,000 where it is not set): one in ten
by Hypothesis, which can shrink what it finds, the others from seeds, which is faster. From 4,000
on, the seeds must also exercise every rule of the reference: an oracle that never got near a rule
says nothing about it.
"""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from unittest import mock

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis.strategies import SearchStrategy

from differential.both import Found, NotCountedError, difference, differs, look, seeded_case
from differential.comparison import DifferenceError, minimise, show
from differential.everything import everything
from differential.strategies import Case, Column, cases
from reference import missing

EXAMPLES = int(os.environ.get("LAMBDA_REPLAY_EXAMPLES", "5000"))
DRAWN = max(1, EXAMPLES // 20)
SEEDS = range(max(1, EXAMPLES - 2 * DRAWN))
ENOUGH_FOR_COVERAGE = 4_000
#: Six billion GB-seconds in a month are more than a short trace can have; worked by hand in
#: ``test_money.py``.
OUT_OF_REACH = frozenset({"F7.tier_crossed"})
#: Most of the cases must say something.
MOST_SKIPPED = 0.1
PART = 100


def shown(case: Case) -> DifferenceError:
    """Return the error of a case with a difference, made small."""
    case, text = minimise(case, differs)
    return DifferenceError(case, show(case, text))


@pytest.mark.parametrize("strategy", [cases(), everything()], ids=["plain", "everything"])
def test_every_row_of_a_drawn_case_agrees(strategy: SearchStrategy[Case]) -> None:
    @settings(
        max_examples=DRAWN,
        deadline=None,
        database=None,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(case=strategy)
    def check(case: Case) -> None:
        try:
            text = difference(case)
        except NotCountedError:
            assume(condition=False)
        if text:
            raise DifferenceError(case, text)

    try:
        check()
    except DifferenceError as found:
        # Hypothesis has shrunk what it can; rows of large traces it cannot take out one by one.
        raise shown(found.case) from found


def spread(work: Callable[[range], Found], seeds: range) -> Found:
    """Do the work in processes, one for each processor."""
    parts = [seeds[begin : begin + PART] for begin in range(0, len(seeds), PART)]
    found = Found()
    # Small frames are fastest on one thread.
    with (
        mock.patch.dict(os.environ, {"POLARS_MAX_THREADS": "1"}),
        ProcessPoolExecutor(mp_context=get_context("spawn")) as pool,
    ):
        for part in pool.map(work, parts):
            found.add(part)
    return found


def test_every_row_of_a_case_from_a_seed_agrees_and_every_rule_is_exercised() -> None:
    found = spread(look, SEEDS)
    if found.differing:
        seed, text = found.differing[0]
        seeds = [seed for seed, _ in found.differing]
        pytest.fail(f"{len(seeds)} seeds differ: {seeds[:20]}\n{text}\n{shown(seeded_case(seed))}")
    assert found.skipped <= MOST_SKIPPED * len(SEEDS) + 1
    unseen = set(missing(found.marks)) - OUT_OF_REACH
    if EXAMPLES >= ENOUGH_FOR_COVERAGE:
        assert not unseen, f"rules that no case came near: {sorted(unseen)}"


@pytest.mark.parametrize("sections", [{}, {"account": {"concurrency": 1, "min_unreserved": 0}}])
def test_an_empty_trace_agrees_with_the_reference(sections: dict[str, object]) -> None:
    types = {"timestamp": pl.Int64(), "function": pl.String(), "duration_ms": pl.Float64()}
    empty = Case(sections, {name: Column([], dtype) for name, dtype in types.items()})
    text = difference(empty)
    if text:
        raise DifferenceError(empty, show(empty, text))
