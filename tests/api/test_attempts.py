"""``attempts=True``: a row per row of the trace and attempt (interface.md §5, Z50)."""

from pathlib import Path

import polars as pl
from hypothesis import given
from polars.testing import assert_frame_equal

import lambda_replay as lr
from api.common import SCENARIO, outcomes, trace
from differential.strategies import Case, cases
from lambda_replay.replay import run
from lambda_replay.schema import ATTEMPT_SCHEMA
from properties.replays import drawn

#: Columns of **Attempts**, in order; `limit` stands below.
COLUMNS = (
    "row attempt batch outcome reason limit start end cold provisioned environment lock_wait_ms"
    " billed_ms"
).split()


def attempts(given_trace: pl.DataFrame) -> pl.DataFrame:
    found = lr.replay(given_trace, SCENARIO, attempts=True).attempts
    assert found is not None
    return found


def test_attempts_are_kept_only_where_they_are_asked_for() -> None:
    assert lr.replay(trace(), SCENARIO, outcomes=True).attempts is None
    result = lr.replay(trace(), SCENARIO, attempts=True)
    assert result.outcomes is None
    assert result.attempts is not None


def test_both_tables_may_be_asked_for_and_each_is_what_it_is_alone() -> None:
    result = lr.replay(trace(), SCENARIO, outcomes=True, attempts=True)
    assert result.outcomes is not None
    assert result.attempts is not None
    assert_frame_equal(result.outcomes, outcomes(trace()))
    assert_frame_equal(result.attempts, attempts(trace()))


def test_attempts_have_the_documented_schema_for_any_number_of_rows() -> None:
    for rows in (0, 1, 4):
        found = attempts(trace().head(rows))
        assert found.schema == ATTEMPT_SCHEMA
        assert found.columns == COLUMNS
        assert found.height == rows


def test_a_throttled_attempt_starts_and_ends_at_once_and_says_why() -> None:
    refused = attempts(trace()).row(2, named=True)
    assert refused["outcome"] == "throttled"
    assert refused["reason"] == "ConcurrentInvocationLimitExceeded"
    assert refused["limit"] == "account_concurrency"
    assert refused["start"] == refused["end"] == outcomes(trace())["timestamp"][2]
    for name in ("batch", "cold", "provisioned", "environment", "lock_wait_ms", "billed_ms"):
        assert refused[name] is None


def test_attempts_of_an_unsorted_trace_are_in_order_of_start_then_row() -> None:
    found = attempts(trace()[[3, 0, 2, 1]])
    assert found["row"].to_list() == [1, 2, 3, 0]
    assert found["start"].is_sorted()


@drawn(30)
@given(case=cases())
def test_in_this_version_every_request_has_one_attempt_that_its_outcome_tells(case: Case) -> None:
    result = lr.replay(case.frame(), lr.Scenario(**case.sections), outcomes=True, attempts=True)
    assert result.outcomes is not None
    assert result.attempts is not None
    assert result.attempts.select("start", "row").equals(
        result.attempts.select("start", "row").sort("start", "row")
    )
    by_row = result.attempts.sort("row")
    assert by_row["attempt"].to_list() == [1] * case.height
    same = [name for name in COLUMNS if name not in {"attempt", "start", "end"}]
    assert by_row.select(same).equals(result.outcomes.select(same), null_equal=True)
    ran = pl.col("outcome") == "success"
    for table in (by_row, result.outcomes):
        assert table.filter(ran)["start"].null_count() == 0
    runs = by_row.filter(ran).select("start", "end")
    assert runs.equals(result.outcomes.filter(ran).select("start", "end"))


def test_attempts_may_be_kept_while_outcomes_go_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.parquet"
    result = run(trace(), SCENARIO, outcomes=path, attempts=True)
    assert result.outcomes is None
    assert result.attempts is not None
    assert_frame_equal(result.attempts, attempts(trace()))
    assert_frame_equal(pl.read_parquet(path), outcomes(trace()))
