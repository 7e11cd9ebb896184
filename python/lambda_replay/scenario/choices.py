"""Choices in force that AWS does not document (functions.md §9), and which runs they touch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final

from lambda_replay.scenario import limits
from lambda_replay.scenario.choice import Undocumented
from lambda_replay.scenario.origins import Origin
from lambda_replay.scenario.source_choices import source_choices

if TYPE_CHECKING:
    from lambda_replay.scenario.resolved import Resolved

__all__ = ["FACTS", "Undocumented", "touching", "undocumented_choices"]

#: What a run may have had.
FACTS: Final = frozenset(
    {
        "aborted_init",
        "async",
        "changes",
        "clients",
        "cold_starts",
        "errors",
        "proactive",
        "provisioned",
        "reserved",
        "retries",
        "rps",
        "scaling",
        "source_errors",
        "source_throttles",
        "sources",
        "sources_kafka",
        "sources_queue",
        "sources_stream",
        "state",
        "throttles",
    }
)


def touching(choices: Iterable[Undocumented], facts: AbstractSet[str]) -> list[Undocumented]:
    """List the choices that touch a run that had such facts."""
    return [one for one in choices if not one.facts or facts & {*one.facts}]


def undocumented_choices(resolved: Resolved) -> Iterator[Undocumented]:
    """List the choices in force, those that touch every run first."""
    found = {origin.key: origin for origin in resolved.origins()}
    yield from _environments(found)
    yield from _cold_starts(resolved, found)
    yield from _limits(resolved)
    yield from _open("Q14", "Q15", "Q16", "Q17", "Q35")
    yield from _async(resolved)
    yield from source_choices(resolved)
    yield from _rest(resolved)


def _one(key: str, value: object, rule: str, sentence: str, *facts: str) -> Undocumented:
    return Undocumented(key, value, rule, sentence, facts)


def _environments(found: dict[str, Origin]) -> Iterator[Undocumented]:
    policy = str(found["account.idle.policy"].value)
    seconds = None if policy == "none" else found["account.idle.seconds"].value
    what = {
        "none": "here idle environments are kept without end",
        "fixed": f"here an environment goes after {_seconds(seconds)} of idleness",
        "uniform": f"here an environment goes after {_seconds(seconds)} of idleness",
        "halving": f"here half of a function's idle environments go every {_seconds(seconds)}",
    }[policy]
    yield _one(
        "account.idle",
        policy if seconds is None else f"{policy}, {_seconds(seconds)}",
        "Q9",
        f"AWS does not document when idle environments go: {what}.",
    )
    if policy == "fixed":
        yield from _open("Q31")
    lifetime = found["account.env.max_lifetime"].value
    lives = "without end" if lifetime == "off" else _seconds(lifetime)
    yield _one(
        "account.env.max_lifetime",
        "off" if lifetime == "off" else lives,
        "Q10",
        f'AWS documents the lifetime of environments as "every few hours": here they live {lives}.',
    )
    policy = str(found["account.reuse_policy"].value)
    which = {
        "mru": "the one used most recently",
        "lru": "the one idle for longest",
        "fifo": "the one created first",
        "random": "any, by lot",
    }[policy]
    yield _one(
        "account.reuse_policy",
        policy,
        "Q8",
        f"AWS does not document which idle environment serves next: here it is {which}.",
    )


def _cold_starts(resolved: Resolved, found: dict[str, Origin]) -> Iterator[Undocumented]:
    account = resolved.account
    init = found["defaults.init_ms"]
    if init.origin == "default":
        yield _one(
            "defaults.init_ms",
            init.value,
            "Q28",
            "Where neither the trace nor the scenario gives an init time, a cold start costs none.",
        )
    share = account.proactive_fraction
    yield _one(
        "account.proactive_fraction",
        share,
        "Q11",
        "AWS initialises some environments ahead of requests and does not say how many: "
        f"here {share:.0%} of inits.",
        "proactive" if share else "cold_starts",
    )
    yield _one(
        "account.billing.aborted_init",
        account.aborted_init_billed,
        "Q12",
        "AWS does not document whether an aborted init is billed: here it is"
        f"{'' if account.aborted_init_billed else ' not'}.",
        "aborted_init",
    )
    yield from _open("Q13")


def _limits(resolved: Resolved) -> Iterator[Undocumented]:
    account = resolved.account
    if any(epoch.account.scaling is not None for epoch in resolved.epochs):
        yield _one(
            "account.scaling.mode",
            account.scaling_mode,
            "Q1",
            "AWS does not document how the scaling rate refills: "
            f"here the mode is {account.scaling_mode}.",
            "scaling",
        )
        yield from _open("Q2", "Q3")
        coupled = account.scaling is not None and account.scaling.rps_coupling
        yield _one(
            "account.scaling.rps_coupling",
            coupled,
            "Q5",
            "AWS does not document how requests per second grow with the scaling rate: here "
            f"{'warm starts beyond 10 a second and unit buy one' if coupled else 'freely'}.",
            "rps",
        )
        if coupled:
            yield from _open("Q37")
    if any(epoch.account.rps is not None for epoch in resolved.epochs):
        yield _one(
            "account.rps.mode",
            account.rps_mode,
            "Q4",
            "AWS does not document the window of request-rate limits: "
            f"here a {account.rps_mode.replace('_', ' ')} of {account.rps_window_us / 1e6:g} s.",
            "rps",
        )
        yield from _open("Q32")
    yield from _open("Q6", "Q25")
    yield _one(
        "account.min_unreserved",
        account.min_unreserved,
        "Q38",
        "AWS documents that 100 units stay unreserved, not how many where there are fewer: "
        f"here {account.min_unreserved}.",
        "reserved",
        "provisioned",
    )
    if len(resolved.epochs) > 1:
        yield from _open("Q27")


#: Choices that no key decides: what it is about, the sentence, the facts.
_OPEN: Final[dict[str, tuple[str, str, tuple[str, ...]]]] = {
    "Q2": (
        "scaling after errors",
        "whether re-initialising after an error counts towards the scaling rate: here it does not",
        ("errors",),
    ),
    "Q3": (
        "reason of scaling_rate",
        "the reason given when the scaling rate refuses: here ConcurrentInvocationLimitExceeded",
        ("scaling",),
    ),
    "Q6": (
        "order of checks",
        "which limit is tested first: the reason may differ where two bind",
        ("throttles",),
    ),
    "Q7": ("retries of clients", "how it counts a client's retries: here each", ("clients",)),
    "Q13": (
        "aborted init",
        "whether an aborted init holds its unit of concurrency: here it does",
        ("aborted_init",),
    ),
    "Q14": (
        "allocation",
        "how long provisioning takes: here 90 s and 1 s per 100",
        ("provisioned",),
    ),
    "Q15": (
        "change of size",
        "what serves while provisioned concurrency changes: here what was READY",
        ("provisioned",),
    ),
    "Q16": (
        "target tracking",
        "the steps of target tracking: here up as needed, down by 10 %",
        ("provisioned",),
    ),
    "Q17": ("spillover", "whose units a spilled run takes: here unreserved", ("provisioned",)),
    "Q19": ("first retry", "what a retry's wait counts from: here the run's end", ("retries",)),
    "Q20": ("back-off", "when the back-off starts anew: here after any run", ("retries",)),
    "Q23": ("backlog", "how its queue slows down under backlog: here not at all", ("async",)),
    "Q24": (
        "fairness",
        "who gets a unit that becomes free: here who asks first",
        ("async",),
    ),
    "Q25": (
        "ties",
        "what comes first at one instant, an end or a start: here ends",
        ("throttles",),
    ),
    "Q26": ("service errors", "how often its own service fails: here never", ("async", "clients")),
    "Q27": (
        "lowered limits",
        "what a lowered limit does to runs under way: here they finish",
        ("changes",),
    ),
    "Q31": (
        "idle time",
        "whether an environment idle for exactly its time is gone: here it is",
        (),
    ),
    "Q32": ("requests", "what request-rate limits count: here what is admitted", ("rps",)),
    "Q35": (
        "at the start",
        "what there is when a trace begins: here provisioned environments are READY",
        ("provisioned",),
    ),
    "Q37": ("first request", "whether a first request is coupled: here it is not", ("rps",)),
}


def _open(*rules: str) -> Iterator[Undocumented]:
    for rule in rules:
        about, sentence, facts = _OPEN[rule]
        value = limits.CHOICES[rule].value
        yield _one(about, value, rule, f"AWS does not document {sentence}.", *facts)


def _async(resolved: Resolved) -> Iterator[Undocumented]:
    account = resolved.account
    dispatch = f"{account.dispatch_us / 1e6:g} s"
    yield _one(
        "account.async.dispatch_s",
        dispatch,
        "Q18",
        f"AWS does not document how soon an event is tried: here after {dispatch}.",
        "async",
    )
    yield _one(
        "account.async.jitter_half",
        account.jitter_half,
        "Q21",
        "AWS does not document the jitter of its waits: "
        f"here up to {100 * account.jitter_half:g} % either way.",
        "retries",
    )
    yield _one(
        "account.async.expiry",
        account.expiry,
        "Q22",
        "AWS does not document when an event is too old: here "
        + (
            "when its next wait would not fit."
            if account.expiry == "predictive"
            else "at its deadline."
        ),
        "retries",
    )
    yield from _open("Q19", "Q20", "Q23", "Q24")


def _rest(resolved: Resolved) -> Iterator[Undocumented]:
    yield from _open("Q7", "Q26")
    yield _one(
        "state.discipline",
        resolved.state.discipline,
        "S",
        "Shared state is the workload's own, modelled here: "
        f"discipline {resolved.state.discipline}.",
        "state",
    )


def _seconds(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return f"{value[0]} to {value[1]} s"
    return f"{value} s"
