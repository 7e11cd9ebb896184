"""What a batch's run leaves in attempts and in the functions' table (Z13, Z53)."""

import polars as pl

from lambda_replay import Scenario, replay

SOURCE = {"type": "kinesis", "function": "f", "shards": 1, "maximum_retry_attempts": 0}


def trace(**columns: list[object]) -> pl.DataFrame:
    """Return a trace of one record."""
    row = {
        "timestamp": [0],
        "function": ["f"],
        "source": ["s"],
        "key": ["a"],
        "duration_ms": [2_000.0],
        **columns,
    }
    return pl.DataFrame(row)


def test_z13_an_extension_that_overruns_is_an_error_of_a_settled_batch() -> None:
    scenario = Scenario(functions={"f": {"timeout_s": 1}}, event_sources={"s": SOURCE})
    result = replay(trace(extension_ms=[1_500.0]), scenario, outcomes=True, attempts=True)
    attempt = result.attempts.row(0, named=True)
    assert (attempt["outcome"], attempt["reason"]) == ("error", None)
    outcome = result.outcomes.row(0, named=True)
    assert (outcome["outcome"], outcome["errors"]) == ("success", 1)


def test_z53_records_that_a_source_delivers_are_deliveries_of_its_function() -> None:
    source = {**SOURCE, "on_failure": "dlq"}
    result = replay(trace(error=["handled"]), Scenario(event_sources={"s": source}))
    assert result.summary.deliveries == {"dlq": 1}
    assert result.functions["deliveries"].to_list() == [1]
