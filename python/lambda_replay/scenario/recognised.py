"""What the contract names and this version does not model yet: one table.

Owns which keys are recognised (never silently ignored), which of their values say what this version
does anyway and are therefore accepted, and the sentences about rules that are not applied. A key
leaves this table when its model arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["NOT_APPLIED", "RECOGNISED", "NotApplied", "Recognised", "drop_accepted"]


@dataclass(frozen=True, slots=True)
class Recognised:
    """A key of the contract that this version cannot act upon.

    Attributes
    ----------
    what
        What it is about, to go into "does not model … yet".
    rule
        Where the semantics or the contract have it.
    accepted
        Values that ask for exactly what happens anyway.
    """

    what: str
    rule: str
    accepted: tuple[object, ...] = ()

    def accepts(self, value: object) -> bool:
        """Tell whether the value changes nothing; the type counts (``true`` is not 1)."""
        return any(type(value) is type(one) and value == one for one in self.accepted)


#: By place, then by key. Places: "" is the top of the file, "function" is [defaults] and
#: [functions.NAME] alike.
RECOGNISED: Final[dict[str, dict[str, Recognised]]] = {
    "": {
        "accounts": Recognised("several accounts or regions", "Z52", ({},)),
    },
    "account": {
        "metrics": Recognised("sampled metrics", "F6"),
        "recursion": Recognised("recursive-loop detection", "F5.7", ("off",)),
        "system_error_rate": Recognised("errors of the service", "Q26", ("off", 0, 0.0)),
    },
    "account.scaling": {
        "token_on_suppressed_init": Recognised(
            "tokens taken by suppressed inits", "Q2", (False, "off")
        ),
    },
    "account.async": {
        "backlog_factor": Recognised("a slower queue under backlog", "Q23", ("off", 1, 1.0)),
        "dup_prob": Recognised("events delivered twice", "F5.7", ("off", 0, 0.0)),
        "loss_prob": Recognised("events lost", "F5.7", ("off", 0, 0.0)),
    },
    "event_source": {
        "dup_prob": Recognised("records delivered twice", "P26", ("off", 0, 0.0)),
        "filter": Recognised("filters but the column filtered", "P26", ("trace",)),
        "gather": Recognised("other ways of gathering", "P21", ("consecutive",)),
        "count_for_age": Recognised("documents of destinations", "P12", ("runs",)),
        "consumption_mode": Recognised("Kafka share groups", "E6", ("stream",)),
    },
    "state": {
        "purge_lag_s": Recognised("old versions kept by append", "S", ("off", 0, 0.0)),
    },
}


def drop_accepted(table: object, place: str) -> object:
    """Copy a table without the keys whose values ask for what happens anyway."""
    if not isinstance(table, dict):
        return table
    recognised = RECOGNISED.get(place, {})
    kept: dict[str, object] = {}
    for key, value in table.items():
        if key in recognised and recognised[key].accepts(value):
            continue
        if key == "defaults" and not place:
            kept[key] = drop_accepted(value, "function")
        elif key == "functions" and not place and isinstance(value, dict):
            kept[key] = {name: drop_accepted(one, "function") for name, one in value.items()}
        elif key == "event_sources" and not place and isinstance(value, dict):
            kept[key] = {name: drop_accepted(one, "event_source") for name, one in value.items()}
        elif place in {"", "account"} and isinstance(value, dict):
            kept[key] = drop_accepted(value, f"{place}.{key}" if place else key)
        else:
            kept[key] = value
    return kept


@dataclass(frozen=True, slots=True)
class NotApplied:
    """A rule of Lambda that this version leaves out.

    Attributes
    ----------
    sentence
        For the output.
    unless
        Keys that silence it: whoever wrote one of them asked for it.
    """

    sentence: str
    unless: tuple[str, ...] = ()


NOT_APPLIED: Final[tuple[NotApplied, ...]] = (
    NotApplied("Other accounts and Regions are not modelled: all rows share one account."),
    NotApplied(
        "Durations by memory come from duration_factor alone: for a size that it does not list, "
        "a change of memory_mb changes cost and durations are kept."
    ),
    NotApplied(
        "Recursive-loop detection (F5.7) is not modelled: no event is dropped for it.",
        ("account.recursion",),
    ),
)
