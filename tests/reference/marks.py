"""Which rules a replay touched.

Owns the list of marks. A mark names a rule (or one side of it) and is counted where the reference
applies it, so that a run of random examples can prove that no rule went untested.
"""

from collections import Counter
from collections.abc import Iterable

#: Every mark, with the situation it stands for.
RULES = {
    "Z1.end_before_timer": "a run ended at the instant of a timer, in the same pool",
    "Z1.end_before_arrival": "a run that had begun earlier ended at the instant of an arrival",
    "Z1.timer_before_arrival": "an environment went at the instant of an arrival of its function",
    "Z1.ends_by_arrival": "two runs ended at one instant",
    "Z1.zero_length_ends_at_once": "an arrival at the instant of an earlier run of no length",
    "Z2.position_breaks_tie": "two arrivals at one instant",
    "Z2.unsorted": "the trace is not in order of time",
    "Z3.duration_rounded": "a duration between two microseconds",
    "Z3.half_goes_up": "a duration exactly between two microseconds",
    "Z3.timestamp_floored": "a timestamp between two microseconds",
    "Z4.tick_one": "halving with one idle environment",
    "Z4.tick_even": "halving with an even number of idle environments",
    "Z4.tick_odd": "halving with three, five, ... idle environments",
    "Z4.tick_again": "a second tick of the same timer",
    "Z4.tie": "environments idle since one instant, of which one stays and one goes",
    "Z4.stopped_by_start": "the last idle environment was taken, so the timer stopped",
    "Z4.stopped_by_lifetime": "the last idle environment reached its lifetime",
    "Z4.started_again": "the timer of a pool started a second time",
    "Z4.lifetime_first": "a lifetime ended at the instant of a tick that then found others",
    "Z4.release_at_tick": "a tick counted an environment that became idle at that instant",
    "Z4.start_at_tick": "an arrival at the instant of a tick of its pool",
    "Z5.uniform": "an idle time was drawn and ran out",
    "Z5.lifetime_idle": "an idle environment reached its lifetime",
    "Z5.lifetime_busy": "an environment passed its lifetime during a run",
    "Z5.lifetime_at_release": "an environment reached its lifetime at the instant of its release",
    "Z5.lifetime_drawn": "a lifetime was drawn from a range",
    "Z5.lifetime_off": "no lifetime",
    "Z5.era_uniform": "the era's idle policy is uniform",
    "Z5.era_fixed": "the era's idle policy is fixed",
    "Z5.era_halving": "the era's idle policy is halving",
    "F3.3.fixed": "an environment was idle for the fixed time",
    "F3.3.none": "an environment became idle for ever",
    "Q31.exactly_idle_time": "an arrival exactly when the fixed time of its function's only idle "
    "environment was over",
    "Z6.most_recent": "a choice among environments idle since different instants",
    "Z6.tie_by_release": "a choice among environments idle since one instant",
    "F3.2.cold": "a cold start",
    "F3.2.warm": "a warm start",
    "F3.2.busy": "a cold start though its pool had environments, all busy",
    "F1.3.init_holds_unit": "refused while a run of the account was still in its init",
    "F1.1.shared": "refused while another function held units",
    "F1.6.account_concurrency": "refused by the account's limit",
    "F3.2.init_of_row": "a cold start took its init from the row",
    "F3.2.init_of_function": "a cold start took its init from the scenario",
    "Z49.warm_pays_no_init": "a warm start of a row that has an init",
    "F3.7.one_ceiling": "two ceilings would have billed more",
    "Z43.init_billed": "an init was billed",
    "Z43.init_not_billed": "an init was not billed",
    "Z43.function_overrides_era": "init billed by function, against the era",
    "Z40.least_unit": "a run of no length billed one unit",
    "Z40.exact_unit": "a run of a whole number of units",
    "Z40.hundred_ms": "billed in units of 100 ms",
    "F7.one_ms": "billed in units of 1 ms",
    "Z9.qualifier": "two pools of one function",
    "Q34.position": "identity by position",
    "Q34.row_uid": "identity by row_uid",
    "Q34.request_id": "identity by request_id",
    "scenario.literal_name": "a section of the function's own name",
    "scenario.most_literal_glob": "two globs, one with more literal characters",
    "scenario.glob_tie": "two globs with as many literal characters",
    "scenario.less_specific_section": "the most specific section lacked the key",
    "scenario.defaults": "the key stood in [defaults], though a section matched",
    "Z44.run_over_minutes": "a run that ended in a later minute than it began",
    "Z45.carried_over": "a minute of a function in which a run only ran on",
    "Z45.only_throttles": "a minute of a function with attempts and no run",
    "Z45.nothing_at_first_instant": "what ended at a minute's first instant is not in its gauges",
    "Z45.idle_counted": "more environments than runs in a minute",
    "Z47.empty_span": "no time between the first timestamp and the last release",
    "Z49.never_ran": "a row without a run",
    "Z55.zero_length": "a run of no length",
    "worst_10s.tie": "two windows with the most throttles",
    "worst_10s.over_seconds": "the worst window is longer than one second",
}


class Marks:
    """Counts how often each rule was applied."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def hit(self, mark: str) -> None:
        """Count one application of a rule."""
        if mark not in RULES:
            message = f"no such mark: {mark!r}"
            raise KeyError(message)
        self.counts[mark] += 1


def missing(counts: Iterable[str]) -> list[str]:
    """Return the marks that are not among those given."""
    return sorted(set(RULES) - set(counts))
