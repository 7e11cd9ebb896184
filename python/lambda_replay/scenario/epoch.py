"""What holds from one instant to the next change: the account, and settings by function.

Owns which section a function gets its values from. Leaves defaults and presets to resolve.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from lambda_replay.names import LATEST, split
from lambda_replay.scenario.functions import runtime_family
from lambda_replay.scenario.limits import TYPICAL_INIT_MS
from lambda_replay.scenario.recurrence import Recurring
from lambda_replay.scenario.resolve_sources import ResolvedSource
from lambda_replay.scenario.units import ms_to_us

__all__ = [
    "Client",
    "Epoch",
    "Idle",
    "Pool",
    "ResolvedAccount",
    "ResolvedFunction",
    "Scaling",
    "Section",
]

#: Idle policy with its times in microseconds.
Idle: TypeAlias = (
    tuple[Literal["none"]]
    | tuple[Literal["fixed"], int]
    | tuple[Literal["uniform"], int, int]
    | tuple[Literal["halving"], int]
)


class Scaling(NamedTuple):
    """How fast environments may be added: ``refill`` is tokens and the microseconds they take."""

    capacity: int
    refill: tuple[int, int]
    step_us: int
    rps_coupling: bool


class Tracking(NamedTuple):
    """Target tracking; the target is an exact fraction."""

    target: tuple[int, int]
    min: int
    max: int


class Pool(NamedTuple):
    """Provisioned concurrency of a pool; ``qualifier`` None: of all rows of the name."""

    qualifier: str | None
    initial: int
    tracking: Tracking | None
    #: Instant, min, max; in order of time.
    schedule: tuple[tuple[int, int | None, int | None], ...]
    #: Where each of these stands in the schedule as given.
    places: tuple[int, ...] = ()
    recurring: tuple[Recurring, ...] = ()

    def within(self, span_us: tuple[int, int] | None) -> list[tuple[int, int | None, int | None]]:
        """Give the schedule with all that recurs in a stretch of time."""
        if not self.recurring or span_us is None:
            return list(self.schedule)
        found = [
            (at, place, low, high)
            for place, (at, low, high) in zip(self.places, self.schedule, strict=True)
        ]
        found += [
            (at, one.place, one.min, one.max)
            for one in self.recurring
            for at in one.instants(*span_us)
        ]
        found.sort(key=lambda entry: entry[:2])
        return [(at, low, high) for at, _, low, high in found]

    def most(self) -> int:
        """Give the most environments that it may have."""
        bounds = [(low, high) for _, low, high in self.schedule]
        bounds += [(one.min, one.max) for one in self.recurring]
        sizes = [self.initial, *(least or 0 for least, _ in bounds)]
        if self.tracking is not None:
            sizes += [self.tracking.max, *(most or 0 for _, most in bounds)]
        return max(sizes)


class Client(NamedTuple):
    """What a synchronous caller does about a 429; factor None: drawn from 0 to 1."""

    max_attempts: int
    base_us: int
    cap_us: int | None
    factor: float | None
    quota: int | None
    read_timeout_us: int | None
    #: Whether the callers of a function share a client that limits its own rate.
    adaptive: bool


@dataclass(frozen=True, slots=True)
class ResolvedAccount:
    """An account, explicit; times in microseconds.

    Attributes
    ----------
    concurrency, min_unreserved
        Units that all functions share (F1.1), and how many reservations must leave of them.
    era
        Name of the preset of dated rules.
    idle, max_lifetime_us, reuse_policy, error_reset, proactive_fraction
        What becomes of environments (Z4 … Z7, Z54).
    billing_unit_us, aborted_init_billed, region, free_tier
        What is billed, and at whose prices (Z40, Q12, F7).
    rps
        Requests per second of the account; None: no request-rate limit at any level (Q36).
    rps_mode, rps_window_us
        How they are counted (Q4).
    scaling
        None where environments may be added at any rate.
    scaling_scope, scaling_mode
        Who draws on one bucket, and how it is refilled; the same in all epochs.
    jitter_half, expiry, dispatch_us
        Asynchronous events (F5).
    """

    concurrency: int
    min_unreserved: int
    era: str
    idle: Idle
    max_lifetime_us: tuple[int, int] | None
    reuse_policy: str
    error_reset: str
    proactive_fraction: float
    billing_unit_us: int
    aborted_init_billed: bool
    region: str
    free_tier: bool
    rps: int | None
    rps_mode: str
    rps_window_us: int
    scaling: Scaling | None
    scaling_scope: str
    scaling_mode: str
    jitter_half: float
    expiry: str
    dispatch_us: int

    def limits(self) -> dict[str, Any]:
        """Give what the core takes anew in each epoch."""
        scaling = self.scaling
        return {
            "concurrency": self.concurrency,
            "rps": self.rps,
            "rps_on": self.rps is not None,
            "scaling": None if scaling is None else scaling._asdict(),
            "reuse": self.reuse_policy,
            "error_reset": self.error_reset,
            "proactive_fraction": self.proactive_fraction,
            "jitter_half": self.jitter_half,
            "expiry": self.expiry,
            "dispatch_us": self.dispatch_us,
        }


@dataclass(frozen=True, slots=True)
class ResolvedFunction:
    """A function, explicit; times in microseconds, None for "off".

    Attributes
    ----------
    memory_mb
        For cost. Where ``memory_is_own`` is false, a trace's own column comes first (Z43).
    memory_is_own
        Whether a section of the function, rather than [defaults], gave ``memory_mb``.
    default_memory_mb
        What [defaults] says.
    duration_factors
        By memory, what durations are multiplied by.
    init_us
        What a cold start adds where the trace has no ``init_ms``.
    reserved, provisioned
        By the bare name, whatever the qualifier (Z9).
    """

    memory_mb: int
    memory_is_own: bool
    default_memory_mb: int
    duration_factors: tuple[tuple[int, float], ...]
    architecture: str
    init_us: int
    init_billed: bool
    timeout_us: int | None
    init_timeout_us: int | None
    ephemeral_mb: int
    restore_us: int | None
    reserved: int | None
    provisioned: tuple[Pool, ...]
    max_event_age_us: int
    max_retries: int
    on_failure: str | None
    client: Client | None

    def core_epoch(self, span_us: tuple[int, int] | None = None) -> dict[str, Any]:
        """Give the plain values that the core takes for one epoch, but for the faults.

        ``span_us``: the stretch of time for which it needs the instants of what recurs.
        """
        client = self.client
        return {
            "init_us": self.init_us,
            "init_billed": self.init_billed,
            "timeout_us": self.timeout_us,
            "init_timeout_us": self.init_timeout_us,
            "memory_mb": self.memory_mb if self.memory_is_own else None,
            "default_memory_mb": self.default_memory_mb,
            "duration_factor": float(dict(self.duration_factors).get(self.memory_mb, 1)),
            "arm": self.architecture == "arm64",
            "ephemeral_mb": self.ephemeral_mb,
            "restore_us": self.restore_us,
            "reserved": self.reserved,
            "max_event_age_us": self.max_event_age_us,
            "max_retries": self.max_retries,
            "on_failure": self.on_failure,
            "provisioned": [
                (
                    pool.qualifier,
                    pool.initial,
                    None if pool.tracking is None else pool.tracking._asdict(),
                    pool.within(span_us),
                )
                for pool in self.provisioned
            ],
            "client": None if client is None else client._asdict(),
        }


@dataclass(frozen=True, slots=True)
class Section:
    """A table ``[functions.KEY]``.

    Attributes
    ----------
    key
        A name or glob.
    given
        What it says, in the units of the core.
    pattern
        None where the key is no glob.
    prefix
        What all names begin with that the glob matches.
    """

    key: str
    given: Mapping[str, Any]
    pattern: re.Pattern[str] | None
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What holds from one instant to the next change.

    Attributes
    ----------
    at_us
        From when on; None: from the start of the trace.
    account
        The one account and Region.
    default
        What functions have that no section names, in the units of the core.
    sections
        Those of [functions], by their key.
    globs
        Those of them that are globs, most specific first.
    sets_apart
        Whether any of them reserves or provisions units.
    sources
        Event sources by name, in bytewise order of their names.
    """

    at_us: int | None
    account: ResolvedAccount
    default: Mapping[str, Any] = field(hash=False)
    sections: Mapping[str, Section] = field(repr=False, hash=False)
    globs: tuple[Section, ...] = field(repr=False, hash=False)
    sets_apart: bool
    sources: Mapping[str, ResolvedSource] = field(default_factory=dict, repr=False, hash=False)
    _by_name: dict[str, ResolvedFunction] = field(default_factory=dict, repr=False, compare=False)
    _by_keys: dict[tuple[tuple[str, ...], tuple[str, ...]], ResolvedFunction] = field(
        default_factory=dict, repr=False, compare=False
    )

    def function(self, name: str) -> ResolvedFunction:
        """Give the settings of a function; see `Resolved.function`."""
        known = self._by_name.get(name)
        if known is None:
            keys = self.sections_for(name)
            bare, qualifier = split(name) or (name, LATEST)
            # Reserved and provisioned concurrency go by the bare name (Z9).
            shared = keys
            if self.sets_apart and qualifier != LATEST:
                shared = self.sections_for(bare)
            # Few combinations of sections serve many names.
            known = self._by_keys.get((keys, shared))
            if known is None:
                known = self._by_keys[keys, shared] = self.merge(keys, shared)
            self._by_name[name] = known
        return known

    def sections_for(self, name: str) -> tuple[str, ...]:
        """Name the sections of [functions] that apply to a function, most specific first."""
        return tuple(self._keys_for(name))

    def _keys_for(self, name: str) -> Iterator[str]:
        bare, qualifier = split(name) or (name, LATEST)
        qualified = f"{bare}:{qualifier}" if qualifier != LATEST else bare
        names = list(dict.fromkeys((name, qualified, bare)))
        yield from (key for key in names if key in self.sections)
        for section in self.globs:
            # A name such as [$LATEST] is a glob too; it has come already.
            if section.pattern is None or section.key in names:
                continue
            # Most sections fall out here, ten times as fast as by their pattern.
            if any(
                other.startswith(section.prefix) and section.pattern.match(other) for other in names
            ):
                yield section.key

    def merge(
        self, keys: tuple[str, ...], shared: tuple[str, ...] | None = None
    ) -> ResolvedFunction:
        """Merge sections, most specific first, over the defaults.

        Parameters
        ----------
        keys
            Sections by their keys.
        shared
            Those that give reserved and provisioned concurrency, where these are others.
        """
        values = dict(self.default)
        for key in reversed(keys):
            values.update(self.sections[key].given)
        if shared is not None and shared != keys:
            whole = self.merge(shared)
            values.update(reserved=whole.reserved, provisioned=whole.provisioned)
        values["memory_is_own"] = any("memory_mb" in self.sections[key].given for key in keys)
        values["default_memory_mb"] = self.default["memory_mb"]
        init, runtime = values.pop("init"), values.pop("runtime")
        if init == "typical":
            family = runtime_family(runtime or "") or ""
            init = ms_to_us(TYPICAL_INIT_MS.value.get(family, 0))
        return ResolvedFunction(init_us=init, **values)

    def own(self, name: str, key: str) -> bool:
        """Tell whether the section of that very name, no glob, says something about a key."""
        section = self.sections.get(name)
        return section is not None and key in section.given

    def __reduce__(self) -> tuple[Any, ...]:
        # Without what is only kept to be found faster.
        values = (self.at_us, self.account, self.default, self.sections, self.globs)
        return Epoch, (*values, self.sets_apart, self.sources)
