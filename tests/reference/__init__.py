"""A second implementation of lambda-replay: slow, obvious, and written from the documents alone.

It is the oracle of the differential tests, so it shares no code with the product. ``replay`` is
its only verb. Modelled are synchronous and asynchronous invocations and event sources in one
account and Region, with everything that decides their fate, shared state and money. Whatever else a
scenario or a trace asks for is refused with ``ValueError``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reference.coincidences import mark_coincidences
from reference.entities import Environment
from reference.marks import RULES, SOURCE_RULES, Marks, missing
from reference.measures import (
    attempts,
    batch_numbers,
    functions,
    metrics,
    outcomes,
    source_metrics,
    totals,
)
from reference.model import Model
from reference.money import costs
from reference.settings import resolve
from reference.source_tables import sources
from reference.trace import read

__all__ = ["RULES", "SOURCE_RULES", "Environment", "Result", "missing", "replay"]


@dataclass(frozen=True)
class Result:
    """What a replay gives.

    Attributes
    ----------
    outcomes
        A row per row of the trace, in the trace's order.
    attempts
        A row per row of the trace and attempt, throttled ones included, in order of time.
    metrics
        A row per function and minute; ``function`` is null for the whole region.
    functions
        A row per function.
    summary
        The numbers of the whole region.
    sources
        A row per event source and shard, partition or message group.
    source_metrics
        A row per event source and minute in which it counted anything.
    environments
        Every environment there was, in the order of creation.
    marks
        How often each rule was applied.
    """

    outcomes: list[dict[str, Any]]
    attempts: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    functions: list[dict[str, Any]]
    summary: dict[str, Any]
    sources: list[dict[str, Any]]
    source_metrics: list[dict[str, Any]]
    environments: list[Environment]
    marks: Counter[str]


def replay(scenario: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Result:
    """Replay a trace against a scenario.

    Parameters
    ----------
    scenario
        The structure of the TOML file: ``{"account": {...}, "functions": {...}, ...}``.
    rows
        The trace as given, need not be sorted. ``timestamp`` is an integer (or a fraction) of
        microseconds or a ``datetime``, ``duration_ms`` a number of milliseconds or a
        ``timedelta``. Fractions stand for columns finer than a microsecond.

    Returns
    -------
    Result
        Instants are integer microseconds since the epoch.

    Raises
    ------
    ValueError
        The scenario or the trace has something that is not modelled.
    """
    marks = Marks()
    settings = resolve(scenario, marks)
    model = Model(settings, read(rows, marks, settings), marks)
    model.run()
    mark_coincidences(model.log, model.attempts, settings, marks)
    batches = batch_numbers(model.calls)
    cost_usd = costs(model, marks)
    return Result(
        outcomes=outcomes(model, rows, batches),
        attempts=attempts(model, batches),
        metrics=metrics(model, marks),
        functions=functions(model, cost_usd, marks),
        summary=totals(model, None, cost_usd[None], marks),
        sources=sources(model),
        source_metrics=source_metrics(model),
        environments=model.environments.all,
        marks=marks.counts,
    )
