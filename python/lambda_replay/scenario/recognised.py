"""What the contract names and this version does not model yet: one table.

Owns which keys are recognised (never silently ignored), which of their values say what this version
does anyway and are therefore accepted, and the sentences about rules that are not applied. A key
leaves this table when its model arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["NOT_APPLIED", "RECOGNISED", "NotApplied", "Recognised"]


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
        "downstream": Recognised("limits of downstream services", "interface.md §2", ({},)),
        "event_sources": Recognised("event sources", "E0", ({},)),
        # No empty table here: [state] alone already means discipline = "lock".
        "state": Recognised("shared state", "S"),
        "changes": Recognised("configuration that changes during the trace", "Z1", ([],)),
        "faults": Recognised("faults", "Z36", ([],)),
        "routes": Recognised("routes through another door", "interface.md §2", ([],)),
        "checks": Recognised("checks kept in the scenario", "interface.md §4", ({},)),
    },
    "account": {
        "requests_per_second": Recognised("request-rate limits", "F1.4", ("off",)),
        "rps": Recognised("request-rate limits", "F1.4"),
        "scaling": Recognised("the scaling rate", "F2", ("off",)),
        "pricing": Recognised("prices", "F7"),
        "min_unreserved": Recognised("units that must stay unreserved", "F1.1"),
        "error": Recognised("the reset of environments after errors", "F3.5"),
        "proactive_fraction": Recognised(
            "environments initialised ahead of requests", "F3.6", ("off", 0, 0.0)
        ),
        "init_timeout_s": Recognised("the limit of the init phase", "Z12", ("off",)),
        "async": Recognised("asynchronous invocation", "F5"),
        "billing": Recognised("billing options", "Q12"),
        "report": Recognised("report options", "F3.7"),
        "metrics": Recognised("sampled metrics", "F6"),
        "recursion": Recognised("recursive-loop detection", "F5.7", ("off",)),
        "system_error_rate": Recognised("errors of the service", "Q26", ("off", 0, 0.0)),
    },
    "account.idle": {},
    "account.env": {},
    "function": {
        "reserved_concurrency": Recognised("reserved concurrency", "F1.1", ("off",)),
        "provisioned_concurrency": Recognised("provisioned concurrency", "F3.9", ("off", 0)),
        "duration_factor": Recognised("durations by memory", "interface.md §2"),
        "maximum_event_age_s": Recognised("asynchronous invocation", "F5.2"),
        "maximum_retry_attempts": Recognised("asynchronous invocation", "F5.2"),
        "on_failure": Recognised("failure destinations", "F5.2"),
        "client_retry": Recognised("retries by clients", "F4.2", ("none", "off")),
        "ephemeral_storage_mb": Recognised("ephemeral storage", "F7"),
        "restore_ms": Recognised("SnapStart", "F3.8", ("off",)),
        "init_timeout_s": Recognised("the limit of the init phase", "Z12", ("off",)),
    },
    "replay": {
        "time_scale": Recognised("stretched or squeezed time", "Z37", ("off", 1, 1.0)),
        "load": Recognised("thinned or repeated traffic", "Z38", ("off", 1, 1.0)),
        "until": Recognised("an end before the trace's", "Z39", ("off",)),
    },
}


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
    NotApplied(
        "Request-rate limits (10 x concurrency per second, F1.4) are not applied.",
        ("account.requests_per_second",),
    ),
    NotApplied(
        "The scaling rate (1,000 new environments per function and 10 s, F2) is not applied.",
        ("account.scaling",),
    ),
    NotApplied(
        "Reserved and provisioned concurrency (F1.1, F3.9) are not modelled: "
        "all functions share the account's concurrency."
    ),
    NotApplied(
        "Time-outs of functions (F3.1) are not applied: durations are taken as observed.",
        ("defaults.timeout_s",),
    ),
    NotApplied(
        "The 10 s limit of the init phase (Z12) is not applied.",
        ("account.init_timeout_s", "defaults.init_timeout_s"),
    ),
    NotApplied("Errors do not reset their environment (F3.5): no run pays a suppressed init."),
    NotApplied(
        "Asynchronous invocation (F5: queue, retries, event age, destinations) is not modelled."
    ),
    NotApplied("Event sources (streams, queues, Kafka) are not modelled."),
    NotApplied("Shared state is not modelled: no run waits for another's record."),
    NotApplied(
        "Environments initialised ahead of requests (F3.6) and SnapStart (F3.8) are not modelled.",
        ("account.proactive_fraction",),
    ),
)
