"""Puts the first screen together: the answer first, then who lost what, then what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from lambda_replay.cli.judging import block
from lambda_replay.cli.screen.answer import answer
from lambda_replay.cli.screen.functions import functions_table
from lambda_replay.cli.screen.notes import notes
from lambda_replay.cli.screen.proposal import next_command
from lambda_replay.figures import at_load, at_scale, clock, count, plural, rate, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.checks import CheckResult
    from lambda_replay.cli.scenarios import Chosen
    from lambda_replay.cli.screen.look import Look
    from lambda_replay.results import ReplayResult

__all__ = ["Asked", "compose"]

#: Lines of the screen; one more than these is for the shell's prompt.
LINES = 39
#: Functions that are shown; more would push the answer out of sight.
MOST_FUNCTIONS = 10


class _Fit(NamedTuple):
    """How much the parts of a screen may take."""

    #: Functions that there should be room for.
    rows: int
    #: Lines of a note.
    notes: int
    checks: int
    #: Whether bars are left out, and how many lines a paragraph of the answer may take.
    tight: bool
    lines: int = 2


#: From roomy to tight: the first that fits is taken.
_FITS = (
    _Fit(rows=5, notes=4, checks=4, tight=False),
    _Fit(rows=4, notes=2, checks=4, tight=False),
    _Fit(rows=3, notes=1, checks=4, tight=False),
    _Fit(rows=2, notes=1, checks=3, tight=True),
    _Fit(rows=1, notes=1, checks=2, tight=True),
    _Fit(rows=1, notes=1, checks=2, tight=True, lines=1),
)


@dataclass(frozen=True)
class Asked:
    """What the user asked for.

    Attributes
    ----------
    traces
        As given.
    chosen
        The scenario and where it is from.
    seed
        As given; None where it was not.
    verbose
        Whether the notes may take as many lines as they need.
    """

    traces: tuple[str, ...]
    chosen: Chosen
    seed: int | None = None
    verbose: bool = False


def compose(
    result: ReplayResult, asked: Asked, checks: Sequence[CheckResult], look: Look
) -> list[str]:
    """Give the lines of the screen.

    Parameters
    ----------
    result
        What the replay says.
    asked
        What was asked for.
    checks
        The conditions, judged.
    look
        What the stream can show.

    Returns
    -------
    list of str
        At most 40 lines of ``look.width`` cells, unless ``asked.verbose``.
    """
    head = [*_head(result, asked, look), ""]
    last = ["", next_command(result, asked, look)]
    for fit in _FITS:
        above = list(head)
        if checks:
            about = " this run"
            above += block(
                checks, about, most=fit.checks, width=look.width, name=look.name, paint=look.paint
            )
        above += [*answer(result, look, tight=fit.tight, most=fit.lines), ""]
        below = [*notes(result, look, verbose=asked.verbose, most=fit.notes), *last]
        # The table's head, what it leaves out, its total, and the empty line after it.
        room = LINES - len(above) - len(below) - 4
        if room >= fit.rows:
            break
    table: list[str] = []
    if result.summary.records:
        rows = max(1, min(MOST_FUNCTIONS, room))
        table = [*functions_table(result, rows, look), ""]
    return [look.clip(line) for line in [*above, *table, *below]]


def _head(result: ReplayResult, asked: Asked, look: Look) -> list[str]:
    """Say what was replayed, under what, how fast."""
    trace = result.trace
    scenario = result.scenario.resolve()
    rest = f": {plural(trace.rows, 'request')}"
    if trace.rows:
        rest += at_load(result.summary.records, scenario.load)
        rest += f" to {plural(result.functions.height, 'function')}"
    speed = f" ({rate(trace.rows, result.seconds)})" if trace.rows >= 1_000 else ""
    rest += f", replayed in {span(timedelta(seconds=result.seconds))}{speed}"
    others = len(trace.names) - 1
    if others > 0:
        rest = f" and {count(others)} more{rest}"
    name = look.name(trace.names[0] if trace.names else "-", max(8, look.width - len(rest)))
    return [look.paint(name, bold=True) + rest, _under(result, asked, look)]


def _under(result: ReplayResult, asked: Asked, look: Look) -> str:
    trace, chosen = result.trace, asked.chosen
    parts = []
    if trace.first is not None and trace.last is not None:
        several = trace.first.date() != trace.last.date()
        text = clock(trace.first, day=True, seconds=not several)
        if trace.last > trace.first:
            last = clock(trace.last, day=several, seconds=not several)
            text += f" to {last} UTC, {span(trace.last - trace.first)}"
            text += at_scale(trace.last - trace.first, result.scenario.resolve().time_scale)
        else:
            text += " UTC"
        parts.append(text)
    seed = f"seed {result.summary.seed}"
    room = look.width - sum(len(part) + 2 for part in [*parts, seed])
    parts += [_scenario(chosen, look, room), seed]
    return look.dim("; ".join(parts))


def _scenario(chosen: Chosen, look: Look, room: int) -> str:
    if chosen.file is not None:
        text, prefix = chosen.file, "scenario "
    elif chosen.sample is not None:
        text, prefix = "" if chosen.sets else chosen.sample, "its own scenario "
    else:
        text, prefix = "AWS's defaults", ""
    if chosen.sets:
        text = f"{text} with {', '.join(chosen.sets)}".lstrip()
    return prefix + look.name(text, max(8, room - len(prefix)))
