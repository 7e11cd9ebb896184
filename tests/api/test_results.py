"""What a replay gives back: names, types and order of interface.md §5."""

import dataclasses
import json
from datetime import datetime

import polars as pl
import pytest

import lambda_replay as lr
from api.common import BEGIN, SCENARIO, S, one_row, outcomes, trace
from lambda_replay.results import ReplayResult
from lambda_replay.schema import MINUTE_SCHEMA, OUTCOME_SCHEMA

#: The numbers of **Functions** and **summary**, by name.
NUMBERS = (
    "records invocations success error throttled dropped expired discarded filtered pending"
    " throttles cold_starts warm_starts provisioned_invocations spillover_invocations"
    " max_concurrency mean_concurrency environments_created throttles_by_limit"
    " spillover_by_reason dropped_by_reason never_ran bad_rows"
    " concurrency worst_10s conflicts lock_wait_s wait_ms duration_ms async_age_ms"
    " iterator_age_ms cost_usd"
).split()
#: What the summary also has.
ALSO = "schema_version scenario trace seed version".split()
#: Rates that conditions name.
RATES = "throttle_rate cold_start_rate loss_rate attempt_throttle_rate".split()

DISTRIBUTION = "mean p50 p90 p99 p999 max".split()

#: Columns of **Outcomes**, in order; `limit` stands below the table there.
OUTCOMES = (
    "row timestamp function source outcome reason limit attempts throttles errors start end"
    " settled wait_ms lock_wait_ms conflicts init_ms cold provisioned spillover_reason"
    " environment batch billed_ms"
).split()


def replay() -> ReplayResult:
    return lr.replay(trace(), SCENARIO, outcomes=True)


def empty() -> pl.DataFrame:
    return trace().clear()


# ---- tables --------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_outcomes_and_metrics_have_the_documented_schemas_for_any_number_of_rows(
    rows: int,
) -> None:
    result = lr.replay(trace().head(rows), SCENARIO, outcomes=True)
    assert result.outcomes is not None
    assert result.metrics is not None
    assert result.outcomes.schema == OUTCOME_SCHEMA
    assert result.outcomes.columns == OUTCOMES
    assert result.metrics.schema == MINUTE_SCHEMA
    assert result.region.schema == {
        name: dtype for name, dtype in MINUTE_SCHEMA.items() if name != "function"
    }
    assert result.functions.schema == replay().functions.schema


def test_request_ids_come_last_and_have_a_column_even_without_rows() -> None:
    with_ids = trace(request_id=["a", "b", "c", "d"])
    for rows in (0, 4):
        found = lr.replay(with_ids.head(rows), SCENARIO, outcomes=True).outcomes
        assert found is not None
        assert found.schema == pl.Schema({**OUTCOME_SCHEMA, "request_id": pl.String()})


def test_outcomes_come_in_the_traces_order_though_rows_were_unsorted() -> None:
    order = [3, 0, 2, 1]
    given = trace(request_id=["a", "b", "c", "d"])[order]
    found = outcomes(given)
    assert found["row"].to_list() == [0, 1, 2, 3]
    for name in ("timestamp", "function", "request_id"):
        column = found[name]
        values = column.to_physical() if name == "timestamp" else column
        assert values.to_list() == given[name].to_list()
    # Of the tie the row that stands first is first: here f, so that g is refused.
    assert found["outcome"].to_list() == ["success", "success", "success", "throttled"]


def test_tables_that_nobody_asked_for_are_not_there() -> None:
    result = lr.replay(trace(), SCENARIO)
    assert result.outcomes is None
    assert result.metrics is not None


def test_metrics_are_ordered_by_time_the_region_first() -> None:
    rows = 20
    given = pl.DataFrame(
        {
            "timestamp": [BEGIN + row * 20 * S for row in range(rows)],
            "function": ["b", "a", "c", "a"] * 5,
            "duration_ms": [100.0] * rows,
        }
    )
    metrics = lr.replay(given).metrics
    assert metrics is not None
    places = [(at, name or "") for at, name in metrics.select("timestamp", "function").rows()]
    assert places == sorted(places)
    assert metrics["function"].null_count() == metrics["timestamp"].n_unique()


def test_functions_are_ordered_by_records_then_by_name() -> None:
    given = pl.DataFrame(
        {
            "timestamp": [BEGIN + row * S for row in range(6)],
            "function": ["z", "b", "a", "z", "b", "z"],
            "duration_ms": [1.0] * 6,
        }
    )
    assert lr.replay(given).functions["function"].to_list() == ["z", "b", "a"]
    tied = given.filter(pl.col("function") != "z").head(2)
    assert lr.replay(tied).functions["function"].to_list() == ["a", "b"]


def test_the_functions_table_has_every_number_of_the_contract() -> None:
    columns = replay().functions.columns
    assert columns[0] == "function"
    assert [name for name in NUMBERS if name not in columns] == []


def test_distributions_of_functions_have_the_keys_of_the_summary() -> None:
    schema = replay().functions.schema
    for name in ("wait_ms", "duration_ms"):
        dtype = schema[name]
        assert isinstance(dtype, pl.Struct)
        assert [field.name for field in dtype.fields] == DISTRIBUTION
    concurrency = schema["concurrency"]
    assert isinstance(concurrency, pl.Struct)
    assert [field.name for field in concurrency.fields] == "mean p50 p99 p999 max".split()


# ---- summary -------------------------------------------------------------------------------


def test_the_summary_has_every_key_of_the_contract_as_key_and_as_attribute() -> None:
    summary = replay().summary
    values = summary.to_dict()
    missing = [name for name in (*NUMBERS, *ALSO, *RATES) if name not in values]
    assert missing == []
    assert list(values) == [field.name for field in dataclasses.fields(summary)]
    for name in (*NUMBERS, *ALSO, *RATES):
        value = getattr(summary, name)
        assert value == values[name] or dataclasses.is_dataclass(value), name


def test_what_the_summary_has_beyond_the_contract_is_documented() -> None:
    own = set(replay().summary.to_dict()) - {*NUMBERS, *ALSO, *RATES}
    described = lr.Summary.__doc__ or ""
    assert sorted(name for name in own if f"``{name}``" not in described) == []


def test_nested_values_have_the_keys_of_the_contract() -> None:
    values = replay().summary.to_dict()
    for name in ("wait_ms", "duration_ms", "async_age_ms", "iterator_age_ms"):
        assert list(values[name]) == DISTRIBUTION
    assert set(values["concurrency"]) >= {"mean", "p50", "p99", "p999", "max"}
    assert list(values["worst_10s"]) == ["from", "throttles"]
    assert set(values["trace"]) >= {"paths", "rows", "first", "last"}


def test_the_summary_says_what_happened() -> None:
    summary = replay().summary
    assert (summary.records, summary.invocations, summary.success, summary.throttled) == (
        4,
        3,
        3,
        1,
    )
    assert (summary.cold_starts, summary.warm_starts, summary.environments_created) == (2, 1, 2)
    assert summary.throttles_by_limit == {"account_concurrency": 1}
    assert summary.max_concurrency == summary.concurrency.max == 2
    # 1.5 s and 0.25 s and nothing, over the 2 s from the first arrival to the last release.
    assert summary.mean_concurrency == pytest.approx(1.75 / 2)
    assert summary.duration_ms.max == 1_500
    assert summary.duration_ms.mean == pytest.approx(1_750 / 3)
    assert summary.billed_s == pytest.approx(1.751)
    assert summary.throttle_rate == summary.loss_rate == summary.attempt_throttle_rate == 0.25
    assert summary.cold_start_rate == pytest.approx(2 / 3)
    assert summary.worst_10s is not None
    assert summary.worst_10s.from_ == datetime(2026, 3, 2, 8)
    assert summary.worst_10s.throttles == 1
    assert summary.wait_ms.max == 0
    assert summary.seed == 0
    assert summary.version == lr.__version__
    assert summary.trace["rows"] == 4
    assert summary.trace["first"] == datetime(2026, 3, 2, 8)
    assert summary.trace["last"] == datetime(2026, 3, 2, 8, 0, 2)


def test_an_empty_trace_has_zeros_and_no_rates() -> None:
    result = lr.replay(empty(), SCENARIO, outcomes=True)
    summary = result.summary
    values = summary.to_dict()
    assert all(values[name] == 0 for name in NUMBERS if isinstance(values[name], int))
    assert [values[name] for name in RATES] == [None] * 4
    assert summary.worst_10s is None
    assert summary.throttles_by_limit == {}
    assert summary.mean_concurrency == 0
    assert values["duration_ms"] == values["wait_ms"] == dict.fromkeys(DISTRIBUTION)
    assert summary.trace["first"] is summary.trace["last"] is None
    assert result.functions.height == result.metrics.height == 0  # type: ignore[union-attr]
    assert result.trace.rows == 0


def test_without_any_run_there_are_no_durations() -> None:
    # The only unit is taken by one long run of another function.
    given = pl.DataFrame(
        {
            "timestamp": [BEGIN, BEGIN + S],
            "function": ["f", "g"],
            "duration_ms": [5_000.0, 1.0],
        }
    )
    result = lr.replay(given, lr.Scenario(account={"concurrency": 1}))
    refused = result.functions.filter(pl.col("function") == "g").row(0, named=True)
    assert refused["duration_ms"] == dict.fromkeys(DISTRIBUTION)
    assert refused["wait_ms"] == dict.fromkeys(DISTRIBUTION)
    assert refused["mean_concurrency"] == 0
    assert refused["max_concurrency"] == 0
    assert refused["never_ran"] == 1


def test_the_summary_can_be_written_as_json() -> None:
    text = json.dumps(replay().summary.to_dict(), default=str, allow_nan=False)
    assert json.loads(text)["records"] == 4


def test_the_seed_in_the_summary_is_the_one_that_was_used() -> None:
    scenario = SCENARIO.with_("replay.seed", 5)
    assert lr.replay(trace(), scenario).summary.seed == 5
    result = lr.replay(trace(), scenario, seed=6)
    assert result.summary.seed == 6
    assert result.summary.scenario["replay"]["seed"] == 6


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "7"])
def test_a_seed_that_is_none_is_refused_before_anything_is_read(seed: object) -> None:
    for verb in (lr.replay, lr.scan_outcomes):
        with pytest.raises(lr.ScenarioError) as caught:
            verb("there is no such file", seed=seed)  # type: ignore[arg-type]
        assert [problem.path for problem in caught.value.problems] == ["replay.seed"]


def test_the_largest_seed_works() -> None:
    assert lr.replay(trace(), seed=2**64 - 1).summary.seed == 2**64 - 1


def test_a_result_shows_itself_on_one_line() -> None:
    shown = repr(replay())
    assert "\n" not in shown
    for part in ("4 records", "3 success", "1 throttled", "2 cold starts", "peak concurrency 2"):
        assert part in shown


def test_without_a_scenario_the_defaults_of_today_hold() -> None:
    result = lr.replay(trace())
    assert result.scenario == lr.Scenario()
    assert result.summary.throttled == 0


def test_a_sample_brings_its_own_scenario_unless_another_is_given() -> None:
    sample = "sample:azure2019"
    assert lr.replay(sample).scenario != lr.Scenario()
    assert lr.replay([sample]).scenario == lr.replay(sample).scenario
    assert lr.replay(sample, lr.Scenario()).scenario == lr.Scenario()


# ---- extremes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "micros",
    [-62_135_596_800 * S, -1, 0, 253_402_300_799 * S],
    ids=["0001", "1969", "1970", "9999"],
)
def test_instants_from_year_1_to_9999_are_replayed(micros: int) -> None:
    result = lr.replay(one_row(timestamp=[micros], duration_ms=[0.0]), outcomes=True)
    assert result.outcomes is not None
    assert result.outcomes["start"].to_physical().to_list() == [micros]
    assert result.trace.first == result.trace.last == result.outcomes["timestamp"][0]


def test_a_run_of_four_months_has_a_row_for_each_of_its_minutes() -> None:
    minutes = 120 * 24 * 60
    result = lr.replay(one_row(duration_ms=[minutes * 60_000.0]))
    assert result.region.height == minutes
    assert result.region["ConcurrentExecutions"].unique().to_list() == [1]


def test_more_functions_than_a_byte_or_two_can_count_keep_their_names() -> None:
    count = 70_000
    names = [f"fn-{row}" for row in range(count)]
    given = pl.DataFrame(
        {
            "timestamp": [BEGIN + row for row in range(count)],
            "function": names,
            "duration_ms": [0.0] * count,
        }
    )
    result = lr.replay(given, outcomes=True)
    assert result.outcomes is not None
    assert result.outcomes["function"].to_list() == names
    assert result.functions.height == count
