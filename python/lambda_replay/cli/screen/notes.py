"""What the numbers rest on: measured, assumed, chosen without AWS's word, not modelled."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lambda_replay.cli.screen.look import MARGIN
from lambda_replay.schema import NOT_MODELLED_COLUMNS, OF_RECORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lambda_replay.cli.screen.look import Look
    from lambda_replay.results import ReplayResult

__all__ = ["notes"]

_UNLIMITED = 10_000


def notes(result: ReplayResult, look: Look, *, verbose: bool, most: int = _UNLIMITED) -> list[str]:
    """Give the notes, a paragraph each of at most so many lines, unless all is wanted.

    Short ones count what they leave out.
    """
    lines: list[str] = []
    for label, usual, joint, items in _paragraphs(result, verbose=verbose):
        harmless = [look.plain(item) for item in items]
        if not verbose and harmless:
            lines += look.wrap(label, harmless, MARGIN, min(usual, most), joint)
        elif verbose:
            for at, item in enumerate(harmless):
                lines += look.wrap("" if at else label, [item], MARGIN, _UNLIMITED, joint)
    return [look.dim(line[:MARGIN]) + line[MARGIN:] for line in lines]


def _paragraphs(
    result: ReplayResult, *, verbose: bool
) -> Iterator[tuple[str, int, str, list[str]]]:
    """Give label, most lines, what stands between the items, and the items."""
    trace, scenario = result.trace, result.scenario
    yield "measured", 3, "; ", _measured(result)
    yield "assumed", 4, "; ", _assumed(result)
    undocumented = [
        choice
        for choice in scenario.resolve().undocumented_touching(result.facts)
        # Where the trace has the column, nobody needs the scenario's.
        if not (choice.key == "defaults.init_ms" and trace.has_init)
    ]
    if verbose:
        yield "undocumented", 0, " ", [f"{one.rule}: {one.sentence}" for one in undocumented]
        yield "not modelled", 0, " ", list(scenario.not_modelled())
    else:
        chosen = [f"{one.key} = {one.value} ({one.rule})" for one in undocumented]
        yield "undocumented", 2, "; ", chosen
        yield "not modelled", 2, ", ", [_topic(one) for one in scenario.not_modelled()]
    yield "columns", 2, "; ", _columns(result)
    yield "note", 2, "; ", list(trace.notes)


def _measured(result: ReplayResult) -> list[str]:
    trace = result.trace
    if trace.measured or trace.assumed or trace.rows == 0:
        return list(trace.measured)
    given = "arrivals, durations" + (", init times" if trace.has_init else "")
    return [f"the trace does not say; its {given} are taken as they are"]


def _assumed(result: ReplayResult) -> list[str]:
    trace, summary = result.trace, result.summary
    items = []
    if summary.init_s > 0 and not trace.has_init:
        items.append("init times, which the scenario gives")
    elif summary.init_s > 0 and gives_init(result):
        items.append("the scenario's init times where the trace's are null")
    if summary.cost_usd is not None and (memory := assumed_memory(result)) is not None:
        items.append(
            f"{memory} MB of memory for the cost where neither trace nor scenario gives any"
        )
    return [*items, *trace.assumed]


def gives_init(result: ReplayResult) -> bool:
    """Tell whether the scenario says what a cold start costs, for some function."""
    return any(
        one.key.endswith((".init_ms", ".runtime")) and one.origin != "default"
        for one in result.scenario.resolve().origins()
    )


def assumed_memory(result: ReplayResult) -> int | None:
    """Give the memory that functions were priced with for want of any other; None: there is none.

    AWS's default, where neither the trace nor the scenario says how much a function has.
    """
    resolved = result.scenario.resolve()
    given = any(
        one.key == "defaults.memory_mb" and one.origin != "default" for one in resolved.origins()
    )
    if given or result.trace.has_memory:
        return None
    settings = [resolved.function(name) for name in result.functions["function"]]
    own = all(one.memory_is_own for one in settings)
    return None if own else resolved.defaults.memory_mb


def _columns(result: ReplayResult) -> list[str]:
    items = [
        f"{name} not used: {OF_RECORDS[name]}"
        if name in OF_RECORDS
        else f"{name} not used yet: {NOT_MODELLED_COLUMNS.get(name, '')}"
        for name in result.trace.not_modelled
    ]
    first, *others = [*result.trace.ignored, ""]
    if first:
        items += [f"unknown, ignored: {first}", *others[:-1]]
    return items


def _topic(sentence: str) -> str:
    """Shorten a sentence on a rule that is not applied to what it is about."""
    subject = re.split(r" \(| (?:are|is) not |: ", sentence, maxsplit=1)[0].rstrip(".")
    return subject[:1].lower() + subject[1:]
