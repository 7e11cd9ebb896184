"""Nothing is lost and nothing is counted twice: every total is that of the outcomes."""

from collections import Counter
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given

from differential.strategies import Case, cases
from properties.replays import MINUTE, Outcome, bare, drawn, ran, replayed
from reference.marks import Marks

#: Of the functions table and of the summary, what adds up over functions.
ADDITIVE = (
    "records invocations success error throttled dropped expired discarded filtered pending"
    " throttles cold_starts warm_starts provisioned_invocations spillover_invocations"
    " environments_created never_ran conflicts"
).split()

#: The outcomes of interface.md §5.
KINDS = "success error throttled dropped expired discarded filtered pending".split()

#: Of the metrics, sums.
SUMS = "Invocations Errors Throttles Errors_samples Throttles_samples cold_starts".split()


def micros(milliseconds: float) -> int:
    """Return milliseconds as whole microseconds; they must be so many."""
    exact = milliseconds * 1_000
    assert abs(exact - round(exact)) < 0.001
    return round(exact)


@drawn(35)
@given(case=cases())
def test_every_row_comes_out_once_as_it_was_given(case: Case) -> None:
    replay = replayed(case)
    assert [outcome["row"] for outcome in replay.outcomes] == list(range(case.height))
    for row in replay.rows:
        outcome = replay.outcomes[row.position]
        assert outcome["timestamp"] == row.timestamp
        assert outcome["function"] == row.function
        assert outcome["source"] == "sync"
    if "request_id" in case.columns:
        given_ids = case.columns["request_id"].values
        assert [outcome["request_id"] for outcome in replay.outcomes] == given_ids


@drawn(35)
@given(case=cases())
def test_outcomes_add_up_to_the_records(case: Case) -> None:
    replay = replayed(case)
    summary = replay.summary
    counts = Counter(outcome["outcome"] for outcome in replay.outcomes)
    assert summary["records"] == case.height == sum(summary[kind] for kind in KINDS)
    assert {kind: summary[kind] for kind in KINDS} == {kind: counts[kind] for kind in KINDS}
    assert summary["invocations"] == summary["cold_starts"] + summary["warm_starts"]
    assert summary["invocations"] == len(replay.runs)
    assert summary["throttles"] == sum(outcome["throttles"] for outcome in replay.outcomes)
    assert summary["never_ran"] == summary["records"] - len(replay.runs)
    assert summary["throttles"] == sum(summary["throttles_by_limit"].values())
    assert summary["trace"]["rows"] == case.height


@drawn(35)
@given(case=cases())
def test_rows_without_a_run_have_no_value_of_one_z49(case: Case) -> None:
    of_runs = (
        "start end wait_ms lock_wait_ms init_ms cold provisioned environment batch billed_ms"
    ).split()
    for outcome in replayed(case).outcomes:
        ran_at_all = outcome["outcome"] == "success"
        assert all((outcome[name] is not None) == ran_at_all for name in of_runs)
        assert (outcome["reason"] is None) == (outcome["limit"] is None) == ran_at_all
        if ran_at_all:
            assert outcome["start"] == outcome["timestamp"]
            assert outcome["settled"] == outcome["end"] >= outcome["start"]
            assert outcome["wait_ms"] == 0
        else:
            assert outcome["outcome"] == "throttled"
            assert outcome["settled"] == outcome["timestamp"]
            assert outcome["reason"] == "ConcurrentInvocationLimitExceeded"
            assert outcome["limit"] == "account_concurrency"


@drawn(35)
@given(case=cases())
def test_m2_metrics_are_the_outcomes_grouped_by_function_and_minute_of_start(case: Case) -> None:
    replay = replayed(case)
    duration = {row.position: row.duration for row in replay.rows}
    expected: dict[tuple[int, str | None], list[Outcome]] = {}
    for outcome in replay.outcomes:
        minute = outcome["timestamp"] // MINUTE * MINUTE
        for name in (None, bare(outcome["function"])):
            expected.setdefault((minute, name), []).append(outcome)
    found = {(row["timestamp"], row["function"]): row for row in replay.metrics}
    assert len(found) == len(replay.metrics)
    assert set(expected) <= set(found)
    for key, row in found.items():
        here = expected.get(key, [])
        runs = ran(here)
        assert row["Invocations"] == (len(runs) or None)
        assert row["Throttles"] == (len(here) - len(runs) if here else None)
        assert row["Errors"] == (0 if here else None)
        assert row["Throttles_samples"] == row["Errors_samples"] == (len(here) or None)
        assert row["cold_starts"] == (sum(run["cold"] for run in runs) if runs else None)
        if runs:
            assert micros(row["Duration_sum"]) == sum(duration[run["row"]] for run in runs)
            assert micros(row["Duration_max"]) == max(duration[run["row"]] for run in runs)
        else:
            assert row["Duration_sum"] is row["Duration_max"] is None
        assert here or row["ConcurrentExecutions"] > 0, "a row without any activity"


@drawn(35)
@given(case=cases())
def test_functions_add_up_to_the_region_in_metrics_and_in_totals(case: Case) -> None:
    replay = replayed(case)
    for name in ADDITIVE:
        assert replay.summary[name] == sum(row[name] for row in replay.functions), name
    billed = sum(row["billed_ms"] for row in replay.functions)
    assert billed == round(replay.summary["billed_s"] * 1_000)
    limits = Counter[str]()
    for row in replay.functions:
        limits.update(row["throttles_by_limit"])
    assert +limits == Counter(replay.summary["throttles_by_limit"])
    names = {bare(outcome["function"]) for outcome in replay.outcomes}
    assert sorted(row["function"] for row in replay.functions) == sorted(names)

    region = {row["timestamp"]: row for row in replay.metrics if row["function"] is None}
    for minute, total in region.items():
        own = [
            row
            for row in replay.metrics
            if row["timestamp"] == minute and row["function"] is not None
        ]
        for name in SUMS:
            assert (total[name] or 0) == sum(row[name] or 0 for row in own), name
        spent = sum(micros(row["Duration_sum"] or 0.0) for row in own)
        assert micros(total["Duration_sum"] or 0.0) == spent
        # Highest values of different functions need not meet.
        assert total["ConcurrentExecutions"] <= sum(row["ConcurrentExecutions"] for row in own)
        assert total["ConcurrentExecutions"] >= max(row["ConcurrentExecutions"] for row in own)
    assert replay.result.metrics is not None
    rows = replay.result.metrics
    assert replay.result.region.equals(
        rows.filter(rows["function"].is_null()).drop("function"), null_equal=True
    )


def in_flight_at_most(runs: list[Outcome], begin: int, end: int) -> int:
    """Return the most runs in flight at one instant of [begin, end), from their intervals."""
    most = 0
    for instant in {begin, *(run["start"] for run in runs if begin <= run["start"] < end)}:
        lasting = [run for run in runs if run["start"] <= instant < run["end"]]
        most = max(most, len(lasting))
        for place, run in enumerate(runs):
            # Z55: a run of no length counts at its instant, on top of those that came before it.
            if run["start"] == run["end"] == instant:
                before = sum(other in lasting for other in runs[:place])
                most = max(most, before + 1)
    return most


@drawn(30)
@given(case=cases(large=False))
def test_m3_gauges_are_the_highest_values_of_the_intervals(case: Case) -> None:
    replay = replayed(case)
    of_name: dict[str | None, list[Outcome]] = {None: replay.runs}
    for run in replay.runs:
        of_name.setdefault(bare(run["function"]), []).append(run)
    peaks: dict[str | None, int] = {}
    for row in replay.metrics:
        name, begin = row["function"], row["timestamp"]
        peak = in_flight_at_most(of_name.get(name, []), begin, begin + MINUTE)
        assert row["ConcurrentExecutions"] == peak
        assert row["environments"] >= peak
        peaks[name] = max(peaks.get(name, 0), peak)
    assert replay.summary["max_concurrency"] == peaks[None]
    assert {row["function"]: row["max_concurrency"] for row in replay.functions} == {
        name: peak for name, peak in peaks.items() if name is not None
    }


def area_in_flight(runs: list[Outcome]) -> int:
    """Integrate the number of runs in flight, step by step."""
    steps = sorted([(run["start"], 1) for run in runs] + [(run["end"], -1) for run in runs])
    area = level = 0
    for (instant, change), (following, _) in pairwise([*steps, (steps[-1][0], 0)]):
        level += change
        area += level * (following - instant)
    return area


@drawn(35)
@given(case=cases())
def test_m4_littles_law_holds_to_the_microsecond(case: Case) -> None:
    replay = replayed(case)
    runs = replay.runs
    rows = {row.position: row for row in replay.rows}
    for run in runs:
        held = run["end"] - run["start"]
        assert held == micros(run["init_ms"]) + rows[run["row"]].duration
    area = area_in_flight(runs)
    assert area == sum(run["end"] - run["start"] for run in runs)

    first = min(row.timestamp for row in replay.rows)
    last = max(run["end"] for run in runs)
    for name, totals in [(None, replay.summary)] + [
        (row["function"], row) for row in replay.functions
    ]:
        own = [run for run in runs if name in (None, bare(run["function"]))]
        held = sum(run["end"] - run["start"] for run in own)
        mean = float(Fraction(held, last - first)) if last > first else 0.0
        assert totals["mean_concurrency"] == pytest.approx(mean, rel=1e-12, abs=0)
        assert round(totals["mean_concurrency"] * (last - first)) == held
        assert totals["concurrency"]["mean"] == totals["mean_concurrency"]


@drawn(30)
@given(case=cases())
def test_m6_billed_time_is_one_ceiling_over_what_the_era_bills(case: Case) -> None:
    replay = replayed(case)
    unit = 100 if case.sections.get("account", {}).get("era", "2025-08") < "2020-12" else 1
    rows = {row.position: row for row in replay.rows}
    total = 0
    for run in replay.runs:
        init = micros(run["init_ms"])
        billed = rows[run["row"]].duration
        if init and replay.settings.init_billed(run["function"], Marks()):
            billed += init
        expected = max(1, -(-billed // (unit * 1_000))) * unit
        assert run["billed_ms"] == expected
        total += expected
    assert round(replay.summary["billed_s"] * 1_000) == total


@drawn(30)
@given(case=cases())
def test_init_is_paid_by_cold_starts_alone_and_is_the_rows_own_first(case: Case) -> None:
    replay = replayed(case)
    rows = {row.position: row for row in replay.rows}
    for run in replay.runs:
        row = rows[run["row"]]
        own = row.init
        if own is None:
            own = replay.settings.init_us(row.function, Marks())
        assert micros(run["init_ms"]) == (own if run["cold"] else 0)
    paid = sum(micros(run["init_ms"]) for run in replay.runs)
    assert round(replay.summary["init_s"] * 1_000_000) == paid
