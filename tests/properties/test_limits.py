"""Limits, environments and their times, rebuilt from the outcomes alone."""

from itertools import pairwise

from hypothesis import assume, given

from differential.strategies import Case, S, cases
from properties.replays import Outcome, by_environment, drawn, limit_of, ran, replayed


@drawn(35)
@given(case=cases())
def test_i1_in_flight_never_exceeds_the_limit(case: Case) -> None:
    runs = replayed(case).runs
    changes = sorted(
        # At one instant ends come before starts (Z1); a run of no length holds nothing for others.
        [(run["end"], 0, -1) for run in runs if run["end"] > run["start"]]
        + [(run["start"], 1, 1) for run in runs if run["end"] > run["start"]]
    )
    level = 0
    for _, _, change in changes:
        level += change
        assert level <= limit_of(case)


def held_before(outcomes: list[Outcome], index: int) -> int:
    """Return the units held when a row arrives, of those who came before it."""
    now = outcomes[index]["timestamp"]
    return sum(run["end"] > now for run in ran(outcomes[:index]))


@drawn(35)
@given(case=cases())
def test_i5_no_request_is_refused_below_the_limit(case: Case) -> None:
    arrivals = replayed(case).arrivals
    for index, outcome in enumerate(arrivals):
        if outcome["outcome"] == "throttled":
            assert held_before(arrivals, index) == limit_of(case)


@drawn(35)
@given(case=cases())
def test_i6_no_request_is_accepted_at_the_limit(case: Case) -> None:
    arrivals = replayed(case).arrivals
    for index, outcome in enumerate(arrivals):
        if outcome["outcome"] == "success":
            assert held_before(arrivals, index) < limit_of(case)


@drawn(35)
@given(case=cases())
def test_i8_an_environment_runs_one_invocation_at_a_time_of_one_function(case: Case) -> None:
    for runs in by_environment(replayed(case).runs).values():
        assert len({run["function"] for run in runs}) == 1
        for earlier, later in pairwise(runs):
            assert earlier["end"] <= later["start"]


@drawn(35)
@given(case=cases())
def test_i9_cold_means_the_first_run_of_an_environment(case: Case) -> None:
    replay = replayed(case)
    environments = by_environment(replay.runs)
    for runs in environments.values():
        assert [run["cold"] for run in runs] == [True] + [False] * (len(runs) - 1)
        assert all(run["init_ms"] == 0 for run in runs[1:])
    assert len(environments) == replay.summary["environments_created"]
    assert len(environments) == replay.summary["cold_starts"]


@drawn(35)
@given(case=cases())
def test_i9_i10_nobody_passes_over_an_idle_environment_that_is_used_later(case: Case) -> None:
    runs = replayed(case).runs
    environments = by_environment(runs)
    place = {run["row"]: number for number, run in enumerate(runs)}

    def became_idle(number: int, now: Outcome) -> tuple[int, int] | None:
        """Tell since when an environment is idle, where it is and will be used again."""
        own = environments[number]
        before = [run for run in own if place[run["row"]] < place[now["row"]]]
        if not before or len(before) == len(own) or before[-1]["end"] > now["start"]:
            return None
        return before[-1]["end"], place[before[-1]["row"]]

    for run in runs:
        others = {
            became_idle(number, run)
            for number, own in environments.items()
            if own[0]["function"] == run["function"] and number != run["environment"]
        } - {None}
        if run["cold"]:
            assert not others, "cold, though an environment was idle"
        else:
            mine = became_idle(run["environment"], run)
            assert mine is not None
            assert all(other is not None and other < mine for other in others), "not the last one"


@drawn(30)
@given(case=cases())
def test_i12_an_environment_is_idle_for_less_than_the_fixed_time(case: Case) -> None:
    account = case.sections.get("account", {})
    idle = account.get("idle") or {
        "2017-12": {"policy": "uniform", "seconds": [1_620, 3_780]},
        "2018-10": {"policy": "uniform", "seconds": [1_620, 3_780]},
        "2019-12": {"policy": "fixed", "seconds": 600},
    }.get(account.get("era", ""), {"policy": "halving"})
    assume(idle["policy"] in ("fixed", "uniform"))
    most = idle["seconds"][1] if isinstance(idle["seconds"], list) else idle["seconds"]
    for runs in by_environment(replayed(case).runs).values():
        for earlier, later in pairwise(runs):
            # Exactly the idle time is expired (Q31).
            assert later["start"] - earlier["end"] < round(most * S)


@drawn(35)
@given(case=cases())
def test_i11_no_run_starts_beyond_the_maximum_lifetime(case: Case) -> None:
    lifetime = case.sections.get("account", {}).get("env", {}).get("max_lifetime", [0, 28_800])
    assume(lifetime != "off")
    most = lifetime[1] if isinstance(lifetime, list) else lifetime
    for runs in by_environment(replayed(case).runs).values():
        # Counted from the start of its init; the instant itself is too late (Z1).
        assert runs[-1]["start"] - runs[0]["start"] < round(most * S)
