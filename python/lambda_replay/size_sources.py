"""What an event source would take without its limit, and what shards do for each factor."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lambda_replay.exceptions import show
from lambda_replay.scenario.keys import format_key
from lambda_replay.scenario.source_limits import PARALLELIZATION_FACTOR_RANGE
from lambda_replay.several import Wanted
from lambda_replay.size_question import SizeError, row_of

if TYPE_CHECKING:
    from lambda_replay.results import ReplayResult
    from lambda_replay.size import Search
    from lambda_replay.size_question import Question

__all__ = ["by_factor", "free_of_source", "named_shards"]

#: Shards up to which doubling goes on, where no target was met.
_MOST_SHARDS: Final = 512
#: Shards up to which every factor is looked at.
_FEW_SHARDS: Final = 32


def named_shards(question: Question) -> SizeError:
    """Say that the trace itself says which shard a record is of."""
    message = f"the trace names the shards of {show(question.source)}: their number is given"
    return SizeError(
        message, code="LR-Z-SOURCE", hint="leave out the column shard; key then decides"
    )


def free_of_source(search: Search) -> tuple[ReplayResult, int]:
    """Replay an event source without its limit; gives the most units that were wanted of it.

    Shards have no such demand: they are doubled until the target is met, as far as it makes sense.
    """
    question = search.question
    if question.what == "shards":
        most = min(question.most, _MOST_SHARDS)
        number = 1
        search.try_all([number])
        while not search.meets(number) and number < most:
            number = min(most, 2 * number)
            search.try_all([number])
        result = search.result(number)
        assert result is not None
        _check_records(result, question)
        return result, number
    scenario = search.base.with_many(dict.fromkeys(question.keys, "off"))
    (found,) = search.replay([scenario], wanted=Wanted(metrics=True))
    _check_records(found, question)
    assert question.function is not None
    mine = row_of(found, question.function)
    return found, 0 if mine is None else int(mine["max_concurrency"])


def _check_records(result: ReplayResult, question: Question) -> None:
    ours = [row for row in result.sources.to_dicts() if row["source"] == question.source]
    if not sum(row["records"] for row in ours):
        message = f"the event source {show(question.source)} has no record in the trace"
        raise SizeError(
            message, code="LR-Z-SOURCE", hint="[[routes]] sends rows of a function by it"
        )


def by_factor(search: Search, value: int) -> list[tuple[int, int]]:
    """Find the shards that each parallelization factor needs, each by its own replays.

    Returns
    -------
    list of tuple
        Factor and the smallest number of shards from which on every larger one up to ``value``
        meets the target; factors that need more are left out.
    """
    question = search.question
    assert question.source is not None
    factors = PARALLELIZATION_FACTOR_RANGE.value
    key = format_key(("event_sources", question.source, "parallelization_factor"))
    chosen = range(int(factors.minimum), int(factors.maximum) + 1)
    if value > _FEW_SHARDS:
        chosen = range(int(factors.minimum), int(factors.maximum) + 1, 3)
    found = []
    for factor in chosen:
        other = replace(
            search, base=search.base.with_(key, factor), known={}, results={}, invalid=set()
        )
        number = value
        other.try_all([number])
        while other.meets(number) and number > question.least:
            other.try_all([number - 1])
            if not other.meets(number - 1):
                break
            number -= 1
        if other.meets(number):
            found.append((factor, number))
    return found
