"""Marks of rules about what happens at one instant, found in the log after the replay.

Owns nothing but the looking: the rules themselves are the order of events in ``model.py``.
"""

from itertools import groupby

from reference.entities import Attempt, Environment, Request, Run
from reference.marks import Marks
from reference.model import (
    HALVING,
    IDLE,
    LIFETIME,
    Event,
)
from reference.order import ARRIVAL, CHANGE, END, RETRY, TIMER, WAIT
from reference.settings import Settings
from reference.sources import Step
from reference.trace import Row


def pool_of(event: Event) -> str:
    """Return the pool an event is about."""
    subject = event.subject
    if isinstance(subject, Step):
        return ""
    if isinstance(subject, Run):
        return subject.environment.pool
    if isinstance(subject, Environment):
        return subject.pool
    if isinstance(subject, Row):
        return subject.pool
    if isinstance(subject, Request):
        return subject.row.pool
    return str(subject)


def is_timer_of(event: Event, which: int) -> bool:
    """Tell whether an event is a timer of one sort."""
    return event.kind == TIMER and event.order[0] == which


def is_request(event: Event) -> bool:
    """Tell whether an arrival is one of a request, not of a record that nobody reads yet."""
    return event.subject.source in ("sync", "async")


def mark_coincidences(
    log: list[Event], attempts: list[Attempt], settings: Settings, marks: Marks
) -> None:
    """Count every meeting of events that a rule decides."""
    ticks = {(pool_of(event), event.instant) for event in log if is_timer_of(event, HALVING)}
    for pool, instant in ticks:
        if (pool, instant - settings.idle.low) in ticks:
            marks.hit("Z4.tick_again")
    cold = {attempt.row.place for attempt in attempts if attempt.run and attempt.run.cold}
    for _, together in groupby(log, key=lambda event: event.instant):
        mark_instant(list(together), cold, settings, marks)


def mark_instant(events: list[Event], cold: set[int], settings: Settings, marks: Marks) -> None:
    """Count the meetings of one instant, whose events are given in the order they happened."""
    mark_kinds(events, marks)
    own = [event for event in events if not isinstance(event.subject, Step)]
    events = [event for event in own if not isinstance(event.subject, Row) or is_request(event)]
    ends = [event for event in events if event.kind == END]
    timers = [event for event in events if event.kind == TIMER]
    arrivals = [event for event in events if event.kind == ARRIVAL]
    if len({event.subject for event in ends}) > 1:
        marks.hit("Z1.ends_by_arrival")
    if len(arrivals) > 1:
        marks.hit("Z2.position_breaks_tie")
    if {pool_of(event) for event in ends} & {pool_of(event) for event in timers}:
        marks.hit("Z1.end_before_timer")
    if ends and arrivals and events.index(ends[0]) < events.index(arrivals[0]):
        marks.hit("Z1.end_before_arrival")
    if ends and arrivals and events.index(ends[-1]) > events.index(arrivals[0]):
        marks.hit("Z55.zero_length")
        if events.index(ends[-1]) < events.index(arrivals[-1]):
            marks.hit("Z1.zero_length_ends_at_once")
    for timer in timers:
        pool = pool_of(timer)
        arriving = [event for event in arrivals if pool_of(event) == pool]
        if is_timer_of(timer, LIFETIME) and any(
            is_timer_of(other, HALVING) and pool_of(other) == pool for other in timers
        ):
            marks.hit("Z4.lifetime_first")
        if not arriving:
            continue
        if is_timer_of(timer, HALVING):
            marks.hit("Z4.start_at_tick")
        else:
            marks.hit("Z1.timer_before_arrival")
        fixed = is_timer_of(timer, IDLE) and settings.idle.policy == "fixed"
        if fixed and arriving[0].subject.place in cold:
            marks.hit("Q31.exactly_idle_time")


def mark_kinds(events: list[Event], marks: Marks) -> None:
    """Count the pairs of kinds that meet at one instant."""
    kinds = {event.kind for event in events}
    if CHANGE in kinds and len(kinds) > 1:
        marks.hit("Z1.change_first")
    if {WAIT, END} <= kinds:
        marks.hit("Z1.give_up_before_end")
    if {ARRIVAL, RETRY} <= kinds:
        marks.hit("Z1.arrival_before_retry")
    if {END, RETRY} <= kinds:
        marks.hit("Z1.end_before_retry")
    if sum(event.kind == RETRY for event in events) > 1:
        marks.hit("Z1.retries_by_arrival")
