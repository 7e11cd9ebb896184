"""Replays compared whose time is stretched, whose ties are turned, whose trace is doubled.

The ids are those of reliability.md: G always holds, T holds under the conditions named.
"""

from collections.abc import Mapping
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lambda_replay as lr
from properties.everything import Line, Rows, World, drawn_case, replayed, still, with_identity
from properties.replays import S, bare, drawn, fates, seconds_trace
from properties.test_metamorphic_of_everything import LOSS, SEEDS, ageless, apart

# ---- stretched time ------------------------------------------------------------------------

#: Keys whose values are spans or instants.
SPANS = frozenset(
    {
        "at", "backoff_ms", "base_s", "cap_s", "for_s", "init_ms", "init_timeout_s",
        "max_lifetime", "max_lock_wait_s", "read_timeout_s", "restore_ms", "seconds", "step_s",
        "timeout_s", "until", "window_s",
    }
)  # fmt: skip
#: Keys whose values are rates.
RATES = frozenset({"refill_per_s", "requests_per_second"})
#: What is in force where nothing is said, and would not be stretched.
SAID = {
    "requests_per_second": "off",
    "idle": {"policy": "halving", "seconds": 380},
    "env": {"max_lifetime": "off"},
}
TOKENS = {"capacity": 2, "refill_per_s": 0.5, "step_s": 10, "rps_coupling": False}


def stretched(value: Any, by: int) -> Any:
    """Return sections in which every span is longer and every rate lower."""
    if isinstance(value, Mapping):
        return {key: _stretched(key.rpartition(".")[2], inner, by) for key, inner in value.items()}
    return [stretched(inner, by) for inner in value] if isinstance(value, list) else value


def _stretched(key: str, value: Any, by: int) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value * by if key in SPANS else value / by if key in RATES else value
    return stretched(value, by)


def stretchable(seed: int, by: int) -> tuple[dict[str, Any], Rows]:
    """Return a case without anything that AWS counts in seconds of its own.

    Those are back-offs and retries of events, presets of clients, allocations, the rates of
    reserved and provisioned units, and the spread of copies. Drawn spans are left out as well:
    each is rounded to a microsecond by itself.
    """
    drawn_sections, rows = drawn_case(seed)
    sections = still(drawn_sections)
    account = {**SAID, **sections["account"]}
    if account["idle"].get("policy") == "uniform":
        account["idle"] = {"policy": "fixed", "seconds": 5}
    if isinstance(account["env"].get("max_lifetime"), list):
        account["env"] = {"max_lifetime": 11}
    scaling = account.get("scaling", TOKENS)
    account["scaling"] = scaling if scaling == "off" else {**TOKENS, **scaling}
    if account["scaling"] != "off":
        account["scaling"]["rps_coupling"] = False
    account.pop("async", None)
    # Whole numbers of requests on both sides, and a token's worth of microseconds on each.
    rate = account["requests_per_second"]
    bounded = any(
        "reserved_concurrency" in section or section.get("provisioned_concurrency")
        for section in sections["functions"].values()
    )
    account["requests_per_second"] = "off" if bounded or rate == "off" else rate * by
    account["rps"] = {"window_s": 1, **account.get("rps", {})}
    if account["rps"].get("mode") == "token_bucket":
        account["rps"] = {"window_s": 2}
    functions = {}
    for name, section in sections["functions"].items():
        kept = dict(section)
        if not isinstance(kept.get("client_retry"), Mapping):
            kept.pop("client_retry", None)
        functions[name] = kept
    faults = {"faults": drawn_sections["faults"]} if "faults" in drawn_sections else {}
    defaults = {"init_timeout_s": 10, "timeout_s": 9}
    state = {"max_lock_wait_s": "off", "backoff_ms": 0, **sections.get("state", {})}
    whole = {**sections, **faults, "account": account, "functions": functions}
    # A client's waits with luck in them are drawn and rounded too.
    for section in functions.values():
        if "client_retry" in section:
            section["client_retry"] = {"cap_s": 20, "factor": 1, **section["client_retry"]}
    return {**whole, "defaults": defaults, "state": state}, [
        {**row, "source": "sync"} for row in rows
    ]


def slower(rows: Rows, by: int) -> Rows:
    """Return rows in stretched time."""
    spans = ("timestamp", "duration_ms", "extension_ms", "init_ms")
    return [
        {name: value * by if name in spans else value for name, value in row.items()}
        for row in rows
    ]


def in_time(lines: list[Line], by: int) -> list[Line]:
    """Return lines in stretched time, without money, which has units of its own."""
    spans = ("timestamp", "start", "end", "settled", "wait_ms", "lock_wait_ms", "init_ms")
    return [
        {
            name: value * by if name in spans and value is not None else value
            for name, value in line.items()
            if name != "billed_ms"
        }
        for line in lines
    ]


@drawn(60)
@given(seed=SEEDS, by=st.sampled_from([2, 5, 10]))
def test_g9_with_every_span_longer_all_is_longer_and_nothing_else(seed: int, by: int) -> None:
    sections, rows = stretchable(seed, by)
    first = replayed(sections, rows)
    later = replayed(stretched(sections, by), slower(rows, by))
    assert in_time(first.outcomes, by) == in_time(later.outcomes, 1)
    assert in_time(first.attempts, by) == in_time(later.attempts, 1)


def test_g9_is_about_refusals_waits_and_cold_starts() -> None:
    seen = {"throttled": 0, "cold": 0, "waited": 0, "rates": 0}
    for seed in range(60):
        replay = replayed(*stretchable(seed, 2))
        seen["throttled"] += replay.summary["throttles"]
        seen["cold"] += replay.summary["cold_starts"]
        seen["waited"] += replay.summary["lock_wait_s"] > 0
        seen["rates"] += any("rps" in (one["limit"] or "") for one in replay.refusals)
    assert all(seen.values()), seen


# ---- ties ----------------------------------------------------------------------------------


def turned(rows: Rows, order: list[int]) -> Rows:
    """Return rows with those of one instant in another order of functions."""
    rank = {name: order[place] for place, name in enumerate("fgh")}
    return sorted(rows, key=lambda row: (row["timestamp"], rank[bare(row["function"])]))


def by_identity(replay: World, rows: Rows) -> list[Line]:
    """Return what happened to rows, by their identity instead of their place."""
    order = sorted(range(len(rows)), key=lambda place: rows[place]["row_uid"])
    return fates(replay.outcomes[place] for place in order)


@drawn(40)
@given(seed=SEEDS, order=st.permutations([0, 1, 2]))
def test_g11_ties_of_functions_that_share_nothing_may_stand_in_any_order(
    seed: int, order: list[int]
) -> None:
    # Ties are broken by place in the trace (Z2), and that one may matter is a counterexample in
    # test_metamorphic. Canonical here is therefore the order within a function: between
    # functions it says nothing as long as they share nothing that runs out.
    sections, rows = drawn_case(seed)
    sections, rows = apart(sections), with_identity(rows)
    sections["account"] = {**sections["account"], "concurrency": 1_000}
    other = turned(rows, order)
    assert by_identity(replayed(sections, rows), rows) == by_identity(
        replayed(sections, other), other
    )


# ---- twice the trace -----------------------------------------------------------------------

TWINS = {"f": "z", "g": "y", "h": "x"}
#: Sums and gauges of the summary that double with the trace.
DOUBLED = (
    "records", "success", "error", "throttled", "dropped", "pending", "invocations", "throttles",
    "errors", "cold_starts", "warm_starts", "provisioned_invocations", "spillover_invocations",
    "max_concurrency", "environments_created", "never_ran", "conflicts", "billed_s",
)  # fmt: skip
#: Sums and gauges of a minute of the Region that do.
DOUBLED_MINUTES = (
    "Invocations", "Errors", "Throttles", "Errors_samples", "Throttles_samples", "Duration_sum",
    "ConcurrentExecutions", "UnreservedConcurrentExecutions", "ClaimedAccountConcurrency",
    "ProvisionedConcurrencyInvocations", "ProvisionedConcurrencySpilloverInvocations",
    "AsyncEventsReceived", "AsyncEventsDropped", "AsyncEventAge_sum", "cold_starts",
    "environments",
)  # fmt: skip


def twin(function: str) -> str:
    """Return another name, qualifier kept."""
    name, colon, qualifier = function.partition(":")
    return TWINS[name] + colon + qualifier


@drawn(40)
@given(seed=SEEDS)
def test_g14_a_second_trace_under_other_names_doubles_every_number(seed: int) -> None:
    sections, rows = drawn_case(seed)
    sections = ageless(apart(sections))
    # 1,000 units are no limit for 25 rows; luck goes with the identity of a row.
    sections["account"] = {**sections["account"], "concurrency": 1_000}
    # Runs of no length are over before the next begins, also before their twin (Z55).
    rows = [
        {**row, "request_id": f"r{place}", "duration_ms": row["duration_ms"] or 10}
        for place, row in enumerate(rows)
    ]
    functions = sections["functions"]
    both = {**functions, **{TWINS[name]: section for name, section in functions.items()}}
    doubled = [{**row, "function": name(row["function"])} for row in rows for name in (str, twin)]
    once = replayed(sections, rows)
    twice = replayed({**sections, "functions": both}, doubled)
    for name in DOUBLED:
        assert twice.summary[name] == 2 * once.summary[name], name
    for one, two in zip(regions(once), regions(twice), strict=True):
        for name in DOUBLED_MINUTES:
            assert two[name] == (None if one[name] is None else 2 * one[name]), name
    # And each half is what it was.
    half = fates(one for one in twice.outcomes if bare(one["function"]) in "fgh")
    assert half == told(once)


def told(replay: World) -> list[Line]:
    """Return what happened to rows."""
    return fates(replay.outcomes)


def regions(replay: World) -> list[Line]:
    """Return the minutes of the Region."""
    return [line for line in replay.metrics if line["function"] is None]


# ---- limits that are shared ----------------------------------------------------------------


def test_g15_two_accounts_with_a_unit_each_refuse_what_one_with_two_takes() -> None:
    rows: list[tuple[float, float]] = [(0, 2), (1, 2)]

    def throttles(limit: int, *traces: pl.DataFrame) -> int:
        account = {"concurrency": limit, "min_unreserved": 0}
        return lr.replay(pl.concat(traces), lr.Scenario(account=account)).summary.throttles

    busy, idle = seconds_trace(rows), seconds_trace([(10, 1)], "g")
    assert throttles(1, busy) + throttles(1, idle) == 1
    assert throttles(2, busy, idle) == 0


def test_g15_twice_the_traffic_on_twice_the_units_loses_a_smaller_share() -> None:
    # Erlang: B(2, 1.5) = 0.31 and B(4, 3) = 0.21. Copies come up to a minute later, which spreads
    # them as well as if they were drawn anew.
    random, at = Random(7), 0.0
    rows: list[tuple[float, float]] = []
    for _ in range(4_000):
        at += random.expovariate(1.5)
        rows.append((at, 1))
    trace = seconds_trace(rows)
    account = {"requests_per_second": "off", "min_unreserved": 0}
    small = lr.replay(trace, lr.Scenario(account={**account, "concurrency": 2}))
    large = lr.replay(
        trace, lr.Scenario(account={**account, "concurrency": 4}, replay={"load": 2.0})
    )
    one, two = small.summary.throttle_rate, large.summary.throttle_rate
    assert one is not None
    assert two is not None
    assert one == pytest.approx(0.31, abs=0.03)
    assert two == pytest.approx(0.21, abs=0.03)


# ---- servers with a queue ------------------------------------------------------------------

#: A queue whose messages wait in order for one of so many batches of one message each.
QUEUE = {
    "type": "sqs",
    "function": "f",
    "batch_size": 1,
    "visibility_timeout_s": 3_600,
    "poll_latency_s": 0,
    "invoke_latency_s": 0,
}


def begun(rows: list[tuple[int, int]], servers: int) -> list[int]:
    """Return when each message of (sent, duration) in seconds is run."""
    trace = pl.DataFrame(
        {
            "timestamp": [at * S for at, _ in rows],
            "function": ["f"] * len(rows),
            "source": ["q"] * len(rows),
            "duration_ms": [duration * 1_000.0 for _, duration in rows],
        }
    )
    scenario = lr.Scenario(
        account={**LOSS, "concurrency": 1_000},
        defaults={"timeout_s": 600},
        event_sources={"q": {**QUEUE, "maximum_concurrency": servers}},
    )
    outcomes = lr.replay(trace, scenario, outcomes=True).outcomes
    assert outcomes is not None
    starts = outcomes["start"].dt.epoch("us").to_list()
    assert None not in starts
    return starts


def recursion(rows: list[tuple[int, int]], servers: int) -> list[int]:
    """Return the starts by the recursion of Kiefer and Wolfowitz."""
    free, starts = [0] * servers, []
    for at, duration in rows:
        free.sort()
        starts.append(max(at, free[0]))
        free[0] = starts[-1] + duration
    return [start * S for start in starts]


JOBS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9)), min_size=1, max_size=15)


@drawn(40)
@given(jobs=JOBS, servers=st.integers(2, 4), place=st.integers(0, 14))
def test_t8_with_a_server_more_or_a_shorter_job_nobody_begins_later(
    jobs: list[tuple[int, int]], servers: int, place: int
) -> None:
    # Servers with a queue in order of arrival are, in the product, a queue of messages with a
    # maximum concurrency (from 2 on, as AWS allows; one server is the lock of T9). More than 5
    # would start by and by (E5.1).
    jobs = sorted(jobs, key=lambda job: job[0])
    starts = begun(jobs, servers)
    assert starts == recursion(jobs, servers)
    for early, late in zip(begun(jobs, servers + 1), starts, strict=True):
        assert early <= late
    place %= len(jobs)
    at, duration = jobs[place]
    longer = [*jobs[:place], (at, duration + 5), *jobs[place + 1 :]]
    for early, late in zip(starts, begun(longer, servers), strict=True):
        assert early <= late
