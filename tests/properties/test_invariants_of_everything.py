"""Limits, environments, events and records, recomputed from the tables of results alone.

The ids are those of the catalogue of invariants: I account, function, environment, queue; L locks;
M metrics and money.
"""

from collections import Counter, defaultdict
from fractions import Fraction
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.everything import (
    Line,
    World,
    drawn_case,
    grouped,
    level_at,
    micros,
    peak,
    qualified,
    replayed,
    still,
)
from properties.replays import MINUTE, S, drawn

SEEDS = st.integers(0, 1_000_000)

#: The 429's Reason by what bound (F1.6).
REASONS = {
    "account_concurrency": "ConcurrentInvocationLimitExceeded",
    "reserved_concurrency": "ReservedFunctionConcurrentInvocationLimitExceeded",
    "reserved_zero": "ReservedFunctionConcurrentInvocationLimitExceeded",
    "latest_blocked": "ReservedFunctionConcurrentInvocationLimitExceeded",
    "account_rps": "FunctionInvocationRateLimitExceeded",
    "reserved_rps": "ReservedFunctionInvocationRateLimitExceeded",
    "scaling_rate": "ConcurrentInvocationLimitExceeded",
    "fault": "ConcurrentInvocationLimitExceeded",
}


def world(seed: int, *, stays: bool = False) -> World:
    """Return a replay of a drawn case."""
    sections, rows = drawn_case(seed)
    return replayed(still(sections) if stays else sections, rows)


def on_demand(runs: list[Line]) -> list[Line]:
    """Return runs that no provisioned environment served."""
    return [run for run in runs if not run["provisioned"]]


# ---- limits --------------------------------------------------------------------------------


@drawn(60)
@given(seed=SEEDS)
def test_i1_i2_i3_i4_no_pool_ever_holds_more_than_its_units(seed: int) -> None:
    replay = world(seed, stays=True)
    runs = replay.runs
    assert peak(runs) <= replay.account["concurrency"]
    unreserved = [run for run in on_demand(runs) if replay.reserved(run["name"]) is None]
    assert peak(unreserved) <= replay.unreserved_units
    for name, own in grouped(runs, "name").items():
        reserved, pools = replay.reserved(name), replay.provisioned(name)
        if reserved is not None:
            assert peak(own) <= reserved
            assert peak(on_demand(own)) <= reserved - sum(pools.values())
        served = [run for run in own if run["provisioned"]]
        for qualifier, units in pools.items():
            mine = [
                run
                for run in served
                if qualifier is None or run["function"] == f"{name}:{qualifier}"
            ]
            assert peak(mine) <= units
        if not sum(pools.values()):
            assert not served


@drawn(60)
@given(seed=SEEDS)
def test_i5_i7_the_limit_that_is_named_was_binding(seed: int) -> None:
    replay = world(seed, stays=True)
    runs = replay.runs
    unreserved = [run for run in on_demand(runs) if replay.reserved(run["name"]) is None]
    scaling = replay.account.get("scaling")
    for refusal in replay.refusals:
        name, now, limit = refusal["name"], refusal["start"], refusal["limit"]
        reserved, pools = replay.reserved(name), replay.provisioned(name)
        own = on_demand([run for run in runs if run["name"] == name])
        assert refusal["end"] == now
        if limit == "account_concurrency":
            assert reserved is None
            assert level_at(unreserved, now) == replay.unreserved_units
        elif limit == "reserved_concurrency":
            assert reserved
            assert level_at(own, now) == reserved - sum(pools.values())
        elif limit == "latest_blocked":
            assert reserved == sum(pools.values()) > 0
        elif limit == "reserved_zero":
            assert reserved == 0
        elif limit == "account_rps":
            assert refusal["source"] == "sync"
            assert full_window(replay, now, None)
        elif limit == "reserved_rps":
            assert refusal["source"] == "sync"
            assert full_window(replay, now, name)
        else:
            assert limit == "scaling_rate"
            assert scaling != "off"
        coupled = limit == "scaling_rate" and refusal["reason"] != REASONS[limit]
        assert refusal["reason"] == REASONS[limit] or coupled


def full_window(replay: World, now: int, name: str | None) -> bool:
    """Tell whether the window of requests at an instant is full, as far as that can be seen."""
    rps = replay.account.get("rps", {})
    if rps.get("mode") == "token_bucket":
        return True
    window = int(rps.get("window_s", 1)) * S
    limit = replay.account["concurrency"] if name is None else replay.reserved(name)
    assert limit is not None
    per_second = 10 * int(limit)
    if name is None:
        per_second = replay.account.get("requests_per_second", per_second)
    admitted = [
        run
        for run in replay.runs
        if run["source"] == "sync"
        and run["start"] // window == now // window
        and name in (None, run["name"])
    ]
    return len(admitted) == per_second * window // S


@drawn(60)
@given(seed=SEEDS)
def test_i15_no_window_admits_more_than_its_limit(seed: int) -> None:
    replay = world(seed, stays=True)
    rps, limit = replay.account.get("rps", {}), replay.account.get("requests_per_second")
    window = int(rps.get("window_s", 1)) * S
    if limit in (None, "off") or rps.get("mode") == "token_bucket":
        return
    sync = [run for run in replay.runs if run["source"] == "sync"]
    windows = Counter(run["start"] // window for run in sync)
    assert all(count <= limit * window // S for count in windows.values())


@drawn(60)
@given(seed=SEEDS)
def test_i13_environments_are_made_no_faster_than_the_scaling_rate(seed: int) -> None:
    replay = world(seed, stays=True)
    scaling = replay.account.get("scaling", {})
    if scaling == "off" or "capacity" not in scaling or scaling.get("mode"):
        return
    capacity, refill = scaling["capacity"], Fraction(str(scaling["refill_per_s"]))
    created = [run for run in replay.runs if run["cold"]]
    scopes = [created] if scaling.get("scope") == "region" else grouped(created, "name").values()
    for made in scopes:
        instants = sorted(run["start"] for run in made)
        for begin, first in enumerate(instants):
            for end, last in enumerate(instants[begin:], begin):
                assert end - begin + 1 <= capacity + refill * Fraction(last - first, S)


@drawn(60)
@given(seed=SEEDS)
def test_i17_reserved_zero_runs_nothing(seed: int) -> None:
    sections, rows = drawn_case(seed)
    calm = still(sections)
    calm["functions"] = {**calm["functions"], "f": {"reserved_concurrency": 0}}
    replay = replayed(calm, rows)
    assert not [run for run in replay.runs if run["name"] == "f"]
    for outcome in replay.outcomes:
        if outcome["function"].partition(":")[0] != "f":
            continue
        assert outcome["limit"] == "reserved_zero"
        if outcome["source"] == "async":
            assert outcome["outcome"] == "dropped"
            assert outcome["reason"] == "ZeroReservedConcurrency"
            assert outcome["attempts"] == outcome["throttles"] == 0
            assert outcome["settled"] >= outcome["timestamp"]
        else:
            assert (outcome["outcome"], outcome["throttles"]) == ("throttled", 1)


# ---- environments --------------------------------------------------------------------------


@drawn(60)
@given(seed=SEEDS)
def test_i8_i9_an_environment_runs_one_at_a_time_for_one_pool_and_is_cold_once(seed: int) -> None:
    replay = world(seed)
    # A run of no length is over before the next one of its instant begins, in order of runs.
    runs = sorted(
        replay.runs,
        key=lambda run: (run["start"], inf if run["end"] is None else run["end"], run["batch"]),
    )
    for own in grouped(runs, "environment").values():
        assert len({qualified(run["function"]) for run in own}) == 1 or own[0]["provisioned"]
        assert len({run["name"] for run in own}) == 1
        assert len({run["provisioned"] for run in own}) == 1
        for earlier, later in pairwise(own):
            assert earlier["end"] is not None
            assert earlier["end"] <= later["start"]
        colds = [run["cold"] for run in own]
        assert colds == [not own[0]["provisioned"]] + [False] * (len(own) - 1)
    cold = sum(run["cold"] for run in replay.runs)
    assert replay.summary["environments_created"] == cold


@drawn(60)
@given(seed=SEEDS)
def test_i11_i12_no_run_begins_after_the_lifetime_or_the_idle_time(seed: int) -> None:
    replay = world(seed, stays=True)
    idle, lifetime = replay.account.get("idle", {}), replay.account.get("env", {})
    for own in grouped(on_demand(replay.runs), "environment").values():
        if idle.get("policy") in ("fixed", "uniform"):
            most = idle["seconds"][1] if idle["policy"] == "uniform" else idle["seconds"]
            assert all(
                later["start"] - earlier["end"] < most * S for earlier, later in pairwise(own)
            )
        if lifetime.get("max_lifetime", "off") != "off":
            given_life = lifetime["max_lifetime"]
            most = given_life[1] if isinstance(given_life, list) else given_life
            assert all(run["start"] - own[0]["start"] < most * S for run in own[1:])


@drawn(60)
@given(seed=SEEDS, idle=st.integers(1, 30))
def test_i16_busy_idle_and_init_are_the_life_of_the_environments(seed: int, idle: int) -> None:
    # The product has no table of environments, but says how many there were at most in every
    # minute. With a fixed idle time the lives follow from the runs: each second of one is of an
    # init, of a run or idle, and as many are alive as the metric says.
    sections, rows = drawn_case(seed)
    sections = still(sections)
    account = {"idle": {"policy": "fixed", "seconds": idle}, "env": {"max_lifetime": "off"}}
    # An environment that is reset in place lives on.
    reset = {"error": {"reset": "suppressed_init"}}
    sections["account"] = {**sections["account"], **account, **reset}
    sections["functions"] = {
        name: {key: value for key, value in section.items() if key != "provisioned_concurrency"}
        for name, section in sections["functions"].items()
    }
    replay = replayed(sections, [{**row, "duration_ms": row["duration_ms"] or 1} for row in rows])
    over = max((run["end"] for run in replay.runs), default=0)
    lives = defaultdict(list)
    held = defaultdict(int)
    for own in grouped(replay.runs, "environment").values():
        begin, end = own[0]["start"], min(own[-1]["end"] + idle * S, over)
        gaps = [later["start"] - earlier["end"] for earlier, later in pairwise(own)]
        assert all(0 <= gap < idle * S for gap in gaps)
        name = own[0]["name"]
        # Init is the beginning of the first run.
        held[name] += sum(run["end"] - run["start"] for run in own)
        assert sum(run["end"] - run["start"] for run in own) + sum(gaps) == (own[-1]["end"] - begin)
        lives[name].append((begin, end))
    span = over - min(outcome["timestamp"] for outcome in replay.outcomes)
    for row in replay.functions:
        # Of the busy time the product has a mean of its own, over the span of the replay.
        mean = row["mean_concurrency"] * span
        assert mean == pytest.approx(held[row["function"]], rel=1e-9, abs=1)
        assert row["environments_created"] == len(lives[row["function"]])
    for line in replay.metrics:
        if line["function"] is None:
            continue
        begin, end = line["timestamp"], line["timestamp"] + MINUTE
        own_lives = lives[line["function"]]
        instants = [begin, *(born for born, _ in own_lives if begin < born < end)]
        alive = max(sum(born <= at < gone for born, gone in own_lives) for at in instants)
        assert line["environments"] == alive, line


# ---- events --------------------------------------------------------------------------------


@drawn(60)
@given(seed=SEEDS)
def test_i18_every_event_is_in_one_state_and_counts_agree_with_its_attempts(seed: int) -> None:
    replay = world(seed)
    sections, rows = replay.sections, replay.rows
    if sections.get("replay", {}).get("load", 1) == 1:
        assert [outcome["row"] for outcome in replay.outcomes] == list(range(len(rows)))
        by_row = grouped(replay.attempts, "row")
        for outcome in replay.outcomes:
            own = by_row[outcome["row"]]
            refused = sum(attempt["outcome"] == "throttled" for attempt in own)
            assert outcome["attempts"] == len(own)
            assert outcome["throttles"] == refused
            assert outcome["errors"] == sum(attempt["outcome"] == "error" for attempt in own)
            assert [attempt["attempt"] for attempt in own] == list(range(1, len(own) + 1))
            if outcome["source"] == "async":
                assert outcome["outcome"] in {"success", "error", "dropped", "pending"}
            else:
                assert outcome["outcome"] in {"success", "error", "throttled", "pending"}
            assert (outcome["reason"] is None) == (outcome["outcome"] in {"success", "pending"})
    summary = replay.summary
    received = sum(row["AsyncEventsReceived"] or 0 for row in replay.metrics if not row["function"])
    lost = sum(row["AsyncEventsDropped"] or 0 for row in replay.metrics if not row["function"])
    events = [outcome for outcome in replay.outcomes if outcome["source"] == "async"]
    until = sections.get("replay", {}).get("until")
    assert received == sum(until is None or event["timestamp"] < until for event in events)
    assert lost == sum(event["outcome"] in {"error", "dropped"} for event in events)
    kinds = Counter(outcome["outcome"] for outcome in replay.outcomes)
    assert {kind: summary[kind] for kind in kinds} == kinds
    assert summary["records"] == len(replay.outcomes)


@drawn(60)
@given(seed=SEEDS)
def test_i19_i20_i21_retries_are_bounded_and_wait_as_long_as_the_rule_says(seed: int) -> None:
    replay = world(seed, stays=True)
    settings = replay.account.get("async", {})
    half = settings.get("jitter_half", 0.125)
    ends = settings.get("expiry", "predictive")
    by_row = grouped(replay.attempts, "row")
    for outcome in replay.outcomes:
        if outcome["source"] != "async":
            continue
        section = replay.function(outcome["function"].partition(":")[0])
        own = by_row[outcome["row"]]
        retries = section.get("maximum_retry_attempts", 2)
        assert outcome["errors"] <= 1 + retries
        most = section.get("maximum_event_age_s", 21_600) * S
        if outcome["reason"] == "RetriesExhausted":
            assert outcome["outcome"] == "error"
            assert outcome["errors"] == 1 + retries
        refusals = failures = 0
        for earlier, later in pairwise(own):
            if earlier["outcome"] == "throttled":
                wait = later["start"] - earlier["start"]
                ideal = min(300, 2**refusals) * S
                refusals += 1
            else:
                assert earlier["outcome"] == "error"
                refusals, failures = 0, failures + 1
                extension = replay.rows[outcome["row"]].get("extension_ms") or 0
                # The wait counts from the answer, which the extension follows.
                assert later["start"] > earlier["start"]
                wait = later["start"] - earlier["end"]
                ideal = 60 * failures * S
                assert wait <= ideal * (1 + half) + 1
                assert wait >= ideal * (1 - half) - extension * 1_000 - 1
                continue
            assert abs(wait - ideal) <= half * ideal + 1
        for attempt in own[1:]:
            assert attempt["start"] - outcome["timestamp"] <= most
        if outcome["reason"] == "EventAgeExceeded" and ends == "deadline" and not outcome["errors"]:
            dispatched = settings.get("dispatch_s", 0) * S
            assert outcome["settled"] in (
                outcome["timestamp"] + most,
                outcome["timestamp"] + most + dispatched,
            )


# ---- shared records ------------------------------------------------------------------------


def locking(seed: int) -> tuple[World, list[Line]]:
    """Return a replay whose runs hold records from a known instant, and those runs.

    No inits, which would shift the beginning of a handler, and no time-outs while waiting.
    """
    sections, rows = drawn_case(seed)
    calm = still(sections, clients=False)
    calm["functions"] = {
        name: {
            key: value
            for key, value in section.items()
            if key not in ("init_ms", "restore_ms", "timeout_s")
        }
        for name, section in calm["functions"].items()
    }
    calm["state"] = {"discipline": "lock"}
    keyed = [
        {
            **{name: value for name, value in row.items() if name != "init_ms"},
            "state_key": row.get("state_key") or "ab"[place % 2],
        }
        for place, row in enumerate(rows)
    ]
    replay = replayed(calm, keyed)
    runs = []
    for run in replay.runs:
        row = keyed[run["row"]]
        writes = row.get("state_access", "write") == "write"
        granted = run["start"] + micros(run["lock_wait_ms"])
        runs.append({**run, "key": row["state_key"], "writes": writes, "granted": granted})
    return replay, runs


@drawn(60)
@given(seed=SEEDS)
def test_l1_l2_l3_l4_l8_records_are_held_in_turn_and_no_longer_than_needed(seed: int) -> None:
    _, runs = locking(seed)
    for own in grouped(runs, "key").values():
        # In the order in which they asked: that of the attempts (Z34, Z50).
        instants = {run["start"] for run in own} | {run["end"] for run in own}
        for place, run in enumerate(own):
            assert run["granted"] in instants, "L3: granted when nothing happened to the record"
            assert run["granted"] <= run["end"]
            for other in own[:place]:
                if not (run["writes"] or other["writes"]):
                    continue
                lasting = [one for one in (run, other) if one["end"] > one["granted"]]
                if len(lasting) == 2:
                    assert run["granted"] >= other["end"] or other["granted"] >= run["end"], "L1"
                if other["start"] < run["start"]:
                    assert other["granted"] <= run["granted"], "L2"
            before = [one for one in own if one is not run and one["granted"] <= run["granted"]]
            held = sum(one["end"] - one["granted"] for one in before)
            assert run["granted"] - run["start"] <= held, "L4"
            if run["granted"] > run["start"]:
                assert any(one["end"] == run["granted"] for one in own), "L3"


@drawn(20)
@given(seed=SEEDS)
def test_l6_readers_alone_distinct_keys_and_append_are_as_no_key(seed: int) -> None:
    sections, rows = drawn_case(seed)
    # Copies of a row would share its key.
    sections = {**sections, "replay": {}}
    # A handler of no length that follows an init ends at the instant of a timer, after the ends of
    # that instant (Z1); without a key its end is one of them.
    rows = [{**row, "duration_ms": max(1, row["duration_ms"])} for row in rows]
    free = [
        {name: value for name, value in row.items() if not name.startswith("state_")}
        for row in rows
    ]
    # A run tried again, or twice at a time, meets itself.
    lone = still({**sections, "functions": {}}, clients=False)
    alone = replayed(lone, free)
    readers = [{**row, "state_key": "a", "state_access": "read"} for row in free]
    distinct = [{**row, "state_key": f"k{place}"} for place, row in enumerate(free)]
    for discipline in ("lock", "optimistic", "append"):
        state = {**lone, "state": {"discipline": discipline}}
        for keyed in (readers, distinct, *([rows] if discipline == "append" else [])):
            other = replayed(state, keyed)
            assert other.outcomes == alone.outcomes
            assert other.attempts == alone.attempts


# ---- metrics and money ---------------------------------------------------------------------


@drawn(60)
@given(seed=SEEDS)
def test_m1_m2_m5_counts_of_every_minute_are_those_of_the_attempts(seed: int) -> None:
    replay = world(seed)
    until = replay.sections.get("replay", {}).get("until")
    ended = [run for run in replay.runs if run["end"] is not None]
    assert until is not None or ended == replay.runs
    expected: dict[tuple[int, str | None], Counter[str]] = {}
    for attempt in [*ended, *replay.refusals]:
        for name in (None, attempt["name"]):
            counts = expected.setdefault((attempt["start"] // MINUTE * MINUTE, name), Counter())
            if attempt["outcome"] == "throttled":
                counts["Throttles"] += 1
                continue
            counts["Invocations"] += 1
            counts["ProvisionedConcurrencyInvocations"] += attempt["provisioned"]
            counts["cold_starts"] += attempt["cold"]
    for row in replay.metrics:
        counts = expected.pop((row["timestamp"], row["function"]), Counter())
        for name in (
            "Invocations",
            "Throttles",
            "cold_starts",
            "ProvisionedConcurrencyInvocations",
        ):
            assert (row[name] or 0) == counts[name], name
        tried = counts["Invocations"] + counts["Throttles"]
        assert (row["Throttles_samples"] or 0) == (row["Errors_samples"] or 0) == tried
        assert (row["Errors"] or 0) <= counts["Invocations"]
    assert not expected
    for totals in [replay.summary, *replay.functions]:
        assert totals["invocations"] == (
            totals["cold_starts"] + totals["warm_starts"] + totals["provisioned_invocations"]
        )
        assert totals["throttles"] == sum(totals["throttles_by_limit"].values())
    assert replay.summary["invocations"] == len(ended)
    assert replay.summary["throttles"] == len(replay.refusals)


@drawn(80)
@given(seed=SEEDS)
def test_m3_m4_gauges_and_means_are_those_of_the_intervals(seed: int) -> None:
    replay = world(seed, stays=True)
    runs = replay.runs
    begin = min(outcome["timestamp"] for outcome in replay.outcomes)
    end = max((run["end"] for run in runs), default=begin)
    span = end - begin
    totals = [(None, replay.summary), *((row["function"], row) for row in replay.functions)]
    for name, numbers in totals:
        own = [run for run in runs if name in (None, run["name"])]
        held = sum(run["end"] - run["start"] for run in own)
        mean = float(Fraction(held, span)) if span else 0.0
        assert numbers["mean_concurrency"] == pytest.approx(mean, rel=1e-12, abs=0)
        # Runs of no length count at their instant (Z55).
        assert numbers["max_concurrency"] >= peak(own)
    for row in replay.metrics:
        own = [run for run in runs if row["function"] in (None, run["name"])]
        here = [
            run
            for run in own
            if run["start"] < row["timestamp"] + MINUTE and run["end"] > row["timestamp"]
        ]
        instants = [row["timestamp"], *(max(run["start"], row["timestamp"]) for run in here)]
        level = max(level_at(here, instant) for instant in instants)
        assert row["ConcurrentExecutions"] >= level
        if all(run["end"] > run["start"] for run in own):
            assert row["ConcurrentExecutions"] == level


@drawn(60)
@given(seed=SEEDS)
def test_m6_m7_money_is_whole_units_and_adds_up(seed: int) -> None:
    replay = world(seed)
    era = replay.account.get("era", "2025-08")
    unit = 100 if era < "2020-12" else 1
    for run in replay.runs:
        if run["end"] is not None:
            assert run["billed_ms"] >= unit
            assert run["billed_ms"] % unit == 0
        else:
            assert run["billed_ms"] is None
    cost = replay.summary["cost_usd"]
    parts = ("requests", "duration", "provisioned", "other")
    assert cost["total"] == pytest.approx(sum(cost[name] for name in parts), abs=1e-12)
    by_function = sum(row["cost_usd"] for row in replay.functions) + cost["adjustment"]
    # A function without a row has no line of its own, but its provisioned environments cost.
    idle = {"f", "g", "h"} - {row["function"] for row in replay.functions}
    changed = {key for change in replay.sections.get("changes", []) for key in change["set"]}
    if any(
        replay.function(name).get("provisioned_concurrency")
        or f"functions.{name}.provisioned_concurrency" in changed
        for name in idle
    ):
        assert by_function <= cost["total"] + 1e-12
    else:
        assert by_function == pytest.approx(cost["total"], abs=1e-12)
    assert all(value >= 0 for name, value in cost.items() if name != "adjustment")


@drawn(25)
@given(seed=SEEDS)
def test_m8_t11_more_memory_never_costs_less(seed: int) -> None:
    sections, rows = drawn_case(seed)
    calm = still(sections)
    costs = []
    for memory in (128, 129, 1_024):
        functions = {
            name: {**calm["functions"].get(name, {}), "memory_mb": memory} for name in "fgh"
        }
        names = {row["function"].partition(":")[0] for row in rows}
        kept = {name: functions[name] for name in functions if name in names | {"f", "g"}}
        replay = replayed({**calm, "functions": kept}, rows)
        assert replay.summary["cost_usd"] is not None
        costs.append(replay.summary["cost_usd"]["total"])
    assert costs == sorted(costs)


def test_m6_published_reports_are_reproduced() -> None:
    # F3.7: Duration, Init Duration, Billed Duration, all in ms.
    reports = [
        (250.06, 100.77, 351), (3_004.92, 111.23, 3_117), (133.61, 80.00, 214),
        (3_016.78, 84.00, 3_101),
    ]  # fmt: skip
    for duration, init, billed in reports:
        row = {"timestamp": 0, "function": "f", "duration_ms": duration, "init_ms": init}
        outcome = replayed({"account": {"concurrency": 9}}, [row]).outcomes[0]
        assert outcome["billed_ms"] == billed
        old = {"account": {"concurrency": 9, "era": "2020-12"}}
        assert replayed(old, [row]).outcomes[0]["billed_ms"] == -int(-duration // 1)


def test_the_rules_of_this_file_are_not_about_nothing() -> None:
    seen: Counter[str] = Counter()
    for seed in range(150):
        sections, rows = drawn_case(seed)
        replay = replayed(still(sections), rows)
        seen.update(attempt["limit"] for attempt in replay.refusals)
        seen.update(outcome["outcome"] for outcome in replay.outcomes)
        seen["provisioned"] += sum(run["provisioned"] for run in replay.runs)
        seen["waits"] += sum((run["lock_wait_ms"] or 0) > 0 for run in replay.runs)
    limits = {limit for limit in REASONS if limit not in ("fault", "reserved_rps")}
    wanted = limits | {"success", "error", "throttled", "dropped", "provisioned", "waits"}
    assert {name for name in wanted if seen[name] < 2} == set()
