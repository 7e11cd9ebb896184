"""What must hold whatever a scenario says, recomputed from the results of random ones.

The ids are those of reliability.md §2. Ties make the exact order matter, so most statements look
at half-open intervals.
"""

from collections import defaultdict
from functools import lru_cache
from itertools import pairwise
from typing import Any

import pytest

from reference import RULES, Result, replay
from reference.random_cases import Rows, Scenario, case
from reference.settings import bare_name
from reference.worked import S

SEEDS = range(900)
MINUTE = 60 * S


@lru_cache(maxsize=1)
def replays() -> list[tuple[Scenario, Rows, Result]]:
    """Return the random replays that all statements look at."""
    found = []
    for seed in SEEDS:
        scenario, rows = case(seed)
        found.append((scenario, rows, replay(scenario, rows)))
    return found


def ran(result: Result) -> list[dict[str, Any]]:
    """Return the attempts with a run."""
    return [attempt for attempt in result.attempts if attempt["outcome"] != "throttled"]


def function_of(attempt: dict[str, Any], rows: Rows) -> str:
    """Return the bare name of an attempt's function."""
    return bare_name(rows[attempt["row"]]["function"])


def in_flight(runs: list[dict[str, Any]], instant: int) -> int:
    """Return how many runs are in flight at an instant."""
    return sum(
        run["start"] <= instant and (run["end"] is None or instant < run["end"]) for run in runs
    )


def test_every_row_has_exactly_one_outcome() -> None:
    for _, rows, result in replays():
        summary = result.summary
        names = ("success", "error", "throttled", "dropped", "pending")
        assert summary["records"] == len(result.outcomes) == sum(summary[name] for name in names)
        for outcome in result.outcomes:
            assert (outcome["settled"] is None) == (outcome["outcome"] == "pending")
            assert outcome["outcome"] != "throttled" or outcome["source"] == "sync"
            assert outcome["outcome"] != "dropped" or outcome["source"] == "async"
            if outcome["outcome"] == "success":
                assert outcome["reason"] is None
        assert len(rows) >= len({outcome["row"] for outcome in result.outcomes})


def test_attempts_and_outcomes_agree() -> None:
    for _, _, result in replays():
        by_row = defaultdict(list)
        for attempt in result.attempts:
            by_row[attempt["row"], attempt.get("copy", 0)].append(attempt)
        for outcome in result.outcomes:
            own = by_row[outcome["row"], outcome.get("copy", 0)]
            assert [attempt["attempt"] for attempt in own] == list(range(1, len(own) + 1))
            assert outcome["attempts"] == len(own)
            assert outcome["throttles"] == sum(one["outcome"] == "throttled" for one in own)
            assert outcome["errors"] == sum(one["outcome"] == "error" for one in own)
            runs = [one for one in own if one["outcome"] != "throttled"]
            for name in ("start", "end", "environment", "billed_ms", "cold", "batch"):
                assert outcome[name] == (runs[-1][name] if runs else None)


def test_i1_i2_no_limit_is_exceeded_but_after_a_change() -> None:
    for scenario, rows, result in replays():
        if "changes" in scenario:
            continue
        runs = ran(result)
        for run in runs:
            # Runs of no length are over at once, so those that last are counted.
            assert in_flight(runs, run["start"]) <= scenario["account"]["concurrency"]
            name = function_of(run, rows)
            reserved = scenario["functions"].get(name, {}).get("reserved_concurrency")
            own = [one for one in runs if function_of(one, rows) == name]
            if reserved is not None:
                assert in_flight(own, run["start"]) <= reserved


def test_i8_an_environment_has_one_run_at_a_time() -> None:
    for _, rows, result in replays():
        by_environment = defaultdict(list)
        for run in ran(result):
            by_environment[run["environment"]].append(run)
        for number, runs in by_environment.items():
            assert len({function_of(run, rows) for run in runs}) == 1
            # I9: cold is the first run of an environment on demand, and no other.
            first = not result.environments[number].provisioned
            assert [run["cold"] for run in sorted(runs, key=lambda one: one["batch"])] == (
                [first] + [False] * (len(runs) - 1)
            )
            for one, other in pairwise(sorted(runs, key=lambda run: run["batch"])):
                assert one["end"] is not None
                assert one["end"] <= other["start"]


def test_i13_environments_are_created_within_the_bucket() -> None:
    for scenario, _, result in replays():
        scaling = scenario["account"].get("scaling")
        if not isinstance(scaling, dict) or "mode" in scaling:
            continue
        by_scope = defaultdict(list)
        for environment in result.environments:
            if not environment.provisioned:
                region = scaling.get("scope") == "region"
                by_scope["" if region else bare_name(environment.pool)].append(environment.created)
        for created in by_scope.values():
            for first, begin in enumerate(created):
                for last, end in enumerate(created[first:]):
                    most = scaling["capacity"] + scaling["refill_per_s"] * (end - begin) / S
                    assert last + 1 <= most


def test_i17_reserved_zero_runs_nothing() -> None:
    for scenario, _, result in replays():
        if "changes" in scenario:
            continue
        for outcome in result.outcomes:
            name = bare_name(outcome["function"])
            if scenario["functions"].get(name, {}).get("reserved_concurrency") != 0:
                continue
            assert outcome["start"] is None
            if outcome["outcome"] != "pending":
                assert outcome["limit"] == "reserved_zero"
            if outcome["source"] == "async":
                assert outcome["throttles"] == 0


def test_i19_failed_runs_are_at_most_one_more_than_retries() -> None:
    for scenario, _, result in replays():
        for outcome in result.outcomes:
            section = scenario["functions"].get(bare_name(outcome["function"]), {})
            if outcome["source"] == "async":
                assert outcome["errors"] <= 1 + section.get("maximum_retry_attempts", 2)


def test_i20_no_attempt_is_older_than_the_maximum_age() -> None:
    for scenario, _, result in replays():
        timestamps = {(one["row"], one.get("copy", 0)): one for one in result.outcomes}
        for attempt in result.attempts:
            outcome = timestamps[attempt["row"], attempt.get("copy", 0)]
            section = scenario["functions"].get(bare_name(outcome["function"]), {})
            if outcome["source"] == "async" and "changes" not in scenario:
                oldest = section.get("maximum_event_age_s", 21_600) * S
                assert attempt["start"] - outcome["timestamp"] <= oldest


def test_m1_counts_add_up() -> None:
    for _, _, result in replays():
        summary = result.summary
        assert summary["invocations"] == (
            summary["cold_starts"] + summary["warm_starts"] + summary["provisioned_invocations"]
        )
        for name in ("records", "invocations", "throttles", "cold_starts", "error", "conflicts"):
            assert summary[name] == sum(line[name] for line in result.functions)
        assert sum(summary["throttles_by_limit"].values()) == summary["throttles"]


def test_m2_metrics_add_up_to_the_summary() -> None:
    for _, _, result in replays():
        for name in (None, *(line["function"] for line in result.functions)):
            lines = [line for line in result.metrics if line["function"] == name]
            whole = result.summary
            if name is not None:
                (whole,) = (line for line in result.functions if line["function"] == name)

            def added(key: str, lines: list[dict[str, Any]] = lines) -> int:
                return sum(line[key] or 0 for line in lines)

            assert added("Invocations") == whole["invocations"]
            assert added("Throttles") == whole["throttles"]
            assert added("cold_starts") == whole["cold_starts"]
            assert added("ProvisionedConcurrencyInvocations") == whole["provisioned_invocations"]
            assert (
                added("ProvisionedConcurrencySpilloverInvocations")
                == (whole["spillover_invocations"])
            )
            peak = max((line["ConcurrentExecutions"] for line in lines), default=0)
            assert peak == whole["max_concurrency"]


def test_m4_littles_law() -> None:
    for scenario, _, result in replays():
        runs = ran(result)
        until = scenario["replay"].get("until")
        ends = [run["end"] for run in runs if run["end"] is not None]
        if not result.outcomes or not (ends or until):
            continue
        first = min(outcome["timestamp"] for outcome in result.outcomes)
        last = max(ends, default=first) if until is None else max(first, until)
        busy = sum((until if run["end"] is None else run["end"]) - run["start"] for run in runs)
        mean = busy / (last - first) if last > first else 0
        assert result.summary["mean_concurrency"] == pytest.approx(mean)


def test_m7_functions_and_adjustment_add_up_to_the_cost() -> None:
    for scenario, _, result in replays():
        seen = {line["function"] for line in result.functions}
        if "changes" in scenario or any(name not in seen for name in scenario["functions"]):
            # A function without rows is in the total alone.
            continue
        cost = result.summary["cost_usd"]
        whole = sum(line["cost_usd"]["total"] for line in result.functions)
        assert cost["total"] == pytest.approx(whole + cost["adjustment"], abs=1e-15)


def test_g8_a_shift_by_whole_minutes_shifts_everything() -> None:
    for scenario, rows, result in replays()[:150]:
        moved = {**scenario, "replay": dict(scenario["replay"])}
        if "until" in moved["replay"]:
            moved["replay"]["until"] += MINUTE
        for key in ("changes", "faults"):
            if key in moved:
                moved[key] = [{**one, "at": one["at"] + MINUTE} for one in moved[key]]
        moved["functions"] = {
            name: {**section, "provisioned_concurrency": 0}
            if "provisioned_concurrency" in section
            else section
            for name, section in scenario["functions"].items()
        }
        first = result
        if moved["functions"] != scenario["functions"]:
            first = replay({**scenario, "functions": moved["functions"]}, rows)
        later = [{**row, "timestamp": row["timestamp"] + MINUTE} for row in rows]
        other = replay(moved, later)
        for one, two in zip(first.attempts, other.attempts, strict=True):
            end = None if one["end"] is None else one["end"] + MINUTE
            assert {**one, "start": one["start"] + MINUTE, "end": end} == two


def lock_intervals(result: Result, rows: Rows) -> dict[str, list[tuple[int, int, bool]]]:
    """Return when a key was held by runs without init, extension and time-out, and how."""
    held: dict[str, list[tuple[int, int, bool]]] = defaultdict(list)
    for run in ran(result):
        row = rows[run["row"]]
        if row.get("state_key") is None or run["end"] is None:
            continue
        begin = run["end"] - row["duration_ms"] * 1_000
        writes = row.get("state_access", "write") == "write"
        held[row["state_key"]].append((begin, run["end"], writes))
    return held


def test_l1_a_writer_is_alone() -> None:
    checked = 0
    for scenario, rows, result in replays():
        state = scenario["state"]
        plain = state.get("discipline", "lock") == "lock" and state.get("scope") != "function"
        if not plain or "max_lock_wait_s" in state or "faults" in scenario:
            continue
        if any("timeout_s" in section for section in scenario["functions"].values()):
            continue
        if any("functions.g.timeout_s" in one["set"] for one in scenario.get("changes", [])):
            continue
        for intervals in lock_intervals(result, rows).values():
            for index, (begin, end, writes) in enumerate(intervals):
                for other_begin, other_end, other_writes in intervals[index + 1 :]:
                    if writes or other_writes:
                        checked += 1
                        assert end <= other_begin or other_end <= begin
    assert checked > 50


#: What only an example made for it comes near; worked by hand in the other files.
RARE = frozenset(
    {
        "F3.1.duration_factor",
        "F4.2.held_back",
        "F4.2.sent_later",
        "F4.2.switched_on",
        "F4.2.throttled_again",
        "F4.2.twice_measured",
        "F1.6.reserved_rps",
        "F7.tier_crossed",
        "Q34.row_uid",
        "Z19.bought",
        "Z19.refused",
        "Z23.busy_stay",
        "Z23.gone_at_release",
        "Z23.replaced",
        "Z24.async_exempt",
        "Z24.request_rate",
        "Z25.out",
        "Z25.in",
        "Z25.pending",
        "Z32.cut_in_backoff",
        "Z3.duration_rounded",
        "Z3.half_goes_up",
        "Z3.timestamp_floored",
        "Z4.lifetime_first",
        "Z42.free_used_up",
        "state.gives_up_next",
    }
)


def test_the_random_replays_come_near_every_other_rule() -> None:
    hit = {mark for _, _, result in replays() for mark in result.marks}
    scenario = {mark for mark in RULES if mark.startswith("scenario.")}
    assert sorted(set(RULES) - hit - RARE - scenario) == []
