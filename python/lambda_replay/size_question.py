"""Questions about sizes: which keys are set, in which bounds, and what is to hold.

Owns what can be asked and what is said of a question that makes no sense. How the answer is found
is size.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import polars as pl

from lambda_replay.checks import Check, parse
from lambda_replay.exceptions import LambdaReplayError, show
from lambda_replay.names import split
from lambda_replay.scenario.keys import format_key
from lambda_replay.scenario.source_limits import MAXIMUM_CONCURRENCY_RANGE, SHARDS_RANGE

if TYPE_CHECKING:
    from lambda_replay.results import ReplayResult
    from lambda_replay.scenario import Scenario

__all__ = [
    "CHEAPEST",
    "UNLIMITED",
    "Named",
    "Question",
    "SizeError",
    "What",
    "aside",
    "check_unchanged",
    "question_of",
    "row_of",
]

What = Literal["account", "reserved", "provisioned", "downstream", "maximum_concurrency", "shards"]

#: No limit that any trace would meet.
UNLIMITED: Final = 1_000_000
CHEAPEST: Final = "cheapest"
_DEFAULT_TARGET: Final[dict[str, str]] = {
    "account": "throttles <= 0",
    "reserved": "throttles <= 0",
    "provisioned": "cold_starts <= 0",
    "downstream": "connections <= limit",
}


class SizeError(LambdaReplayError, ValueError):
    """A question about sizes that cannot be asked so."""

    exit_code = 2
    default_code = "LR-Z000"


@dataclass(frozen=True)
class Question:
    """What is to be sized, in which bounds, and when a size is good."""

    what: str
    #: Keys that are set to the size.
    keys: tuple[str, ...]
    function: str | None
    target: str
    check: Check | None
    #: Sizes that make sense at all.
    least: int
    most: int
    current: int | None
    #: Functions of a downstream service, its limit, and connections of an environment.
    service: tuple[tuple[str, ...], int, int] | None = None
    #: Event source.
    source: str | None = None


class Named(NamedTuple):
    """What a question names."""

    function: str | None
    source: str | None
    downstream: str | None


def question_of(
    base: Scenario,
    what: str,
    named: Named,
    target: str | None,
) -> Question:
    """Make sense of a question, or say why there is none."""
    if what in {"maximum_concurrency", "shards"}:
        return _of_source(base, what, named.source, target)
    function = named.function
    resolved = base.resolve()
    account = resolved.account
    text = target or _DEFAULT_TARGET[what]
    if what == "provisioned" and target is None and function is not None:
        text = f"function={function}: {text}"
    check = None
    if text not in {CHEAPEST, _DEFAULT_TARGET["downstream"]}:
        check = parse(text)
    if what == "downstream":
        return _downstream(base, named.downstream, text, check)
    if what == "account":
        check_unchanged(base, "account.concurrency")
        units = aside(base)
        return Question(
            what,
            ("account.concurrency",),
            None,
            text,
            check,
            max(1, units),
            UNLIMITED,
            account.concurrency,
        )
    if function is None:
        message = f"{what} concurrency of which function? Name it: function="
        raise SizeError(message, hint="on the command line: --function NAME")
    bare = function.partition(":")[0]
    settings = resolved.function(bare)
    key = format_key(("functions", bare, f"{what}_concurrency"))
    check_unchanged(base, key)
    if what == "reserved":
        own = settings.reserved or 0
        most = max(0, account.concurrency - min(100, account.concurrency) - (aside(base) - own))
        return Question(what, (key,), bare, text, check, 0, most, settings.reserved)
    pools = base.to_dict().get("functions", {}).get(bare, {}).get("provisioned_concurrency")
    if isinstance(pools, dict):
        message = f"{bare} has provisioned concurrency by qualifier or by schedule already"
        raise SizeError(message, hint=f"take {key} out of the scenario, or sweep one of its keys")
    if settings.reserved is not None:
        most = settings.reserved
    else:
        own = pools if isinstance(pools, int) else 0
        most = max(0, account.concurrency - min(100, account.concurrency) - (aside(base) - own))
    return Question(
        what, (key,), bare, text, check, 0, most, pools if isinstance(pools, int) else None
    )


def aside(base: Scenario) -> int:
    """Units that functions named in the scenario have set aside."""
    resolved = base.resolve()
    total = 0
    for name in resolved.literal_names():
        one = resolved.function(name)
        if one.reserved is not None:
            total += one.reserved
    return total


def check_unchanged(base: Scenario, key: str) -> None:
    """Refuse a key that the scenario changes on the way."""
    for change in base.to_dict().get("changes", []):
        if key in change.get("set", {}):
            message = f"{key} changes at {change['at']}: there is no one size of it"
            raise SizeError(message, hint="take it out of [[changes]]")


def _downstream(base: Scenario, name: str | None, text: str, check: Check | None) -> Question:
    services = base.downstream()
    if name is None or name not in services:
        known = ", ".join(services) or "none"
        message = (
            "which downstream service?" if name is None else f"there is no downstream {show(name)}"
        )
        hint = f"[downstream.NAME] in the scenario: {known}; on the command line --downstream NAME"
        raise SizeError(message, hint=hint)
    service = services[name]
    keys = tuple(
        format_key(("functions", one, "reserved_concurrency")) for one in service.functions
    )
    for key in keys:
        check_unchanged(base, key)
    account = base.resolve().account
    most = max(0, account.concurrency - min(100, account.concurrency))
    own = (service.functions, service.limit, service.per_environment or 1)
    return Question("downstream", keys, None, text, check, 0, most, None, own)


def _of_source(base: Scenario, what: str, name: str | None, target: str | None) -> Question:
    """Ask about an event source: the smallest that loses nothing, unless told otherwise."""
    sources = base.resolve().epochs[0].sources
    if name is None or name not in sources:
        known = ", ".join(sources) or "none"
        message = (
            "which event source?" if name is None else f"there is no event source {show(name)}"
        )
        hint = f"[event_sources.NAME] in the scenario: {known}; on the command line --source NAME"
        raise SizeError(message, code="LR-Z-SOURCE", hint=hint)
    source = sources[name]
    if (what == "shards") == source.is_queue:
        other = "maximum_concurrency" if source.is_queue else "shards"
        message = f"{show(name)} is of type {source.type}, which has no {what}"
        raise SizeError(message, code="LR-Z-SOURCE", hint=f"size its {other}")
    key = format_key(("event_sources", name, what))
    check_unchanged(base, key)
    if what == "shards" and source.values.get("reshard"):
        message = f"the shards of {show(name)} are split or merged on the way: there is no one size"
        raise SizeError(message, code="LR-Z-SOURCE", hint="take reshard out of its section")
    if what == "maximum_concurrency" and source.pollers is not None:
        message = f"{show(name)} has provisioned_pollers, which exclude maximum_concurrency (E5.5)"
        raise SizeError(message, code="LR-Z-SOURCE", hint="take provisioned_pollers out")
    if what == "shards" and target == CHEAPEST:
        message = "what shards cost is not in the bill of Lambda, so none is cheapest"
        raise SizeError(message, code="LR-Z-SOURCE", hint="name a target: iterator_age_ms.p99 < 1s")
    bare = (split(source.function) or (source.function, ""))[0]
    text = target or f"function={bare}: loss_rate <= 0"
    bounds = SHARDS_RANGE if what == "shards" else MAXIMUM_CONCURRENCY_RANGE
    return Question(
        what,
        (key,),
        bare,
        text,
        None if text == CHEAPEST else parse(text),
        bounds.value.minimum,
        bounds.value.maximum,
        source.values[what],
        source=name,
    )


def row_of(result: ReplayResult, function: str) -> dict[str, Any] | None:
    """Find the row of a function in the functions of a result."""
    rows = result.functions.filter(pl.col("function") == function).to_dicts()
    return rows[0] if rows else None
