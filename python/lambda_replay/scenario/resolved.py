"""The explicit structure that a replay takes: nothing is left out, and the core has no defaults.

Owns what the core is handed, and the digest. Leaves what holds when to epoch.py, presets and
defaults to resolve.py, where values came from to origins.py.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from lambda_replay.names import LATEST, split
from lambda_replay.scenario.choices import Undocumented, touching, undocumented_choices
from lambda_replay.scenario.epoch import Epoch, ResolvedAccount, ResolvedFunction, Section
from lambda_replay.scenario.globs import compile_glob
from lambda_replay.scenario.origins import Origin
from lambda_replay.scenario.read import Location

__all__ = ["Fault", "Resolved", "ResolvedState", "Route", "fault_of"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong from an instant on until another, and with which functions (Z36)."""

    from_us: int
    to_us: int
    slow: float | None
    init: float | None
    error: str | None
    throttle: bool
    function: str | None = None
    pattern: re.Pattern[str] | None = None

    def concerns(self, bare: str) -> bool:
        """Tell whether it is about a function, by its bare name."""
        if self.pattern is not None:
            return self.pattern.match(bare) is not None
        return self.function is None or self.function == bare

    def core_config(self) -> dict[str, Any]:
        """Give the plain values that the core takes."""
        names = ("from_us", "to_us", "slow", "init", "error", "throttle")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Route:
    """By which door rows of a function come, whatever the trace says.

    Attributes
    ----------
    function, pattern
        A bare name, or a glob and what it matches.
    source
        ``sync``, ``async`` or an event source.
    key
        Column of the trace that becomes the key; None: its own column ``key``.
    number, location
        Which entry of [[routes]] it is, and where that stands.
    """

    function: str
    source: str
    key: str | None
    pattern: re.Pattern[str] | None
    number: int = field(compare=False)
    location: Location = field(compare=False)

    def concerns(self, bare: str) -> bool:
        """Tell whether it is about a function, by its bare name."""
        if self.pattern is not None:
            return self.pattern.match(bare) is not None
        return self.function == bare


@dataclass(frozen=True, slots=True)
class ResolvedState:
    """Shared state, explicit; ``given`` is false where the scenario has no [state]."""

    given: bool
    discipline: str
    scope: str
    max_lock_wait_us: int | None
    max_retries: int
    backoff_us: int
    top: int


@dataclass(frozen=True, slots=True)
class Resolved:
    """A scenario in which nothing is left out.

    Attributes
    ----------
    seed
        Of every random draw.
    epochs
        What holds between changes; the first from the start of the trace on.
    state
        Shared state.
    faults
        In the order of the file.
    routes
        The most specific first.
    until_us
        When the replay ends; None: when nothing is left.
    time_scale, load
        What is done to arrivals (Z37, Z38).
    """

    seed: int
    epochs: tuple[Epoch, ...]
    state: ResolvedState
    faults: tuple[Fault, ...]
    routes: tuple[Route, ...]
    until_us: int | None
    time_scale: float
    load: float
    _origins: tuple[Origin, ...] = field(repr=False, compare=False)

    @property
    def account(self) -> ResolvedAccount:
        """The one account and Region, at the start of the trace."""
        return self.epochs[0].account

    @property
    def sections(self) -> Mapping[str, Section]:
        """Tables of [functions] by their key, at the start of the trace."""
        return self.epochs[0].sections

    @property
    def globs(self) -> tuple[Section, ...]:
        """Those of them that are globs, most specific first."""
        return self.epochs[0].globs

    @property
    def defaults(self) -> ResolvedFunction:
        """What functions have that no section names, at the start of the trace."""
        return self.epochs[0].merge(())

    def function(self, name: str) -> ResolvedFunction:
        """Give the settings of a function at the start of the trace.

        Parameters
        ----------
        name
            As in the trace: ``name`` or ``name:qualifier``.

        Notes
        -----
        The section with that very name comes first, then the one of the name without its qualifier
        (Z9), then globs: more literal characters before fewer, ties as in the file. What a section
        does not say comes from the next of these, and in the end from [defaults]. Reserved and
        provisioned concurrency go by the bare name.
        """
        return self.epochs[0].function(name)

    def sections_for(self, name: str) -> tuple[str, ...]:
        """Name the sections of [functions] that apply to a function, most specific first."""
        return self.epochs[0].sections_for(name)

    # ------------------------------------------------------------------ for the core

    def core_epochs(self) -> dict[str, Any]:
        """Give the plain values that the core takes for the account: times in microseconds.

        ``limits`` has an entry for each epoch: its instant, None for the first, and what holds.
        """
        account, state = self.account, self.state
        return {
            "seed": self.seed,
            "billing_unit_us": account.billing_unit_us,
            "idle": account.idle,
            "max_lifetime_us": account.max_lifetime_us,
            "aborted_init_billed": account.aborted_init_billed,
            "rps_mode": account.rps_mode,
            "rps_window_us": account.rps_window_us,
            "scaling_scope": account.scaling_scope,
            "scaling_mode": account.scaling_mode,
            "discipline": state.discipline if state.given else None,
            "state_scope": state.scope,
            "max_lock_wait_us": state.max_lock_wait_us,
            "max_retries": state.max_retries,
            "backoff_us": state.backoff_us,
            "state_top": state.top,
            "until_us": self.until_us,
            "time_scale": self.time_scale,
            "load": self.load,
            "limits": [(epoch.at_us, epoch.account.limits()) for epoch in self.epochs],
            "faults": [fault.core_config() for fault in self.faults],
        }

    def recurs(self) -> bool:
        """Tell whether anything is scheduled again and again."""
        return any(
            pool.recurring
            for epoch in self.epochs
            for given in (epoch.default, *(one.given for one in epoch.sections.values()))
            for pool in given.get("provisioned", ())
        )

    def function_epochs(
        self, name: str, span_us: tuple[int, int] | None = None
    ) -> list[tuple[int, dict[str, Any]]]:
        """Give the plain values that the core takes for a function.

        Parameters
        ----------
        name
            As in the trace.
        span_us
            The stretch of time for which it needs the instants of what recurs.

        Returns
        -------
        list of tuple
            Number of an epoch and what holds from then on: the first, and every one in which
            something differs from the one before.
        """
        bare = (split(name) or (name, LATEST))[0]
        faults = [i for i, fault in enumerate(self.faults) if fault.concerns(bare)]
        found: list[tuple[int, dict[str, Any]]] = []
        last: tuple[ResolvedFunction, bool, bool] | None = None
        for number, epoch in enumerate(self.epochs):
            now = epoch.function(name), epoch.own(bare, "reserved"), epoch.own(bare, "provisioned")
            if now != last:
                function, reserved, provisioned = last = now
                by_name = {"reserved_by_name": reserved, "provisioned_by_name": provisioned}
                found.append(
                    (number, {**function.core_epoch(span_us), **by_name, "faults": faults})
                )
        return found

    def source_names(self) -> tuple[str, ...]:
        """Name the event sources in bytewise order: the core's numbers of them."""
        return tuple(self.epochs[0].sources)

    def source_epochs(self, name: str) -> list[tuple[int, dict[str, Any]]]:
        """Give the plain values that the core takes for an event source, as for a function."""
        found: list[tuple[int, dict[str, Any]]] = []
        for number, epoch in enumerate(self.epochs):
            source = epoch.sources[name]
            config = source.core_config(epoch.function(source.function).timeout_us)
            if not found or found[-1][1] != config:
                found.append((number, config))
        return found

    def literal_names(self) -> tuple[str, ...]:
        """Name the functions, bare, that have a section of their own in any epoch.

        Their own reserved and provisioned concurrency counts from the start, rows or not (Z20).
        """
        names = (
            (split(key) or (key, LATEST))[0]
            for epoch in self.epochs
            for key, section in epoch.sections.items()
            if section.pattern is None
        )
        return tuple(dict.fromkeys(names))

    # ------------------------------------------------------------------ for people

    def origins(self) -> list[Origin]:
        """List every value in force with where it came from, in the order of the contract."""
        return list(self._origins)

    def undocumented(self) -> list[Undocumented]:
        """List the choices in force that AWS does not document."""
        return list(undocumented_choices(self))

    def undocumented_touching(self, facts: AbstractSet[str]) -> list[Undocumented]:
        """List those of them that touch what a run did.

        Parameters
        ----------
        facts
            Of `choices.FACTS`: what the run had, such as ``async`` or ``provisioned``.
        """
        return touching(self.undocumented(), facts)

    # ------------------------------------------------------------------ identity

    def canonical(self) -> str:
        """Print the resolved scenario as canonical JSON: equal for scenarios that replay alike."""
        content = {
            "format": 2,
            **self.core_epochs(),
            "discipline": self.state.discipline,
            "prices": [self.account.region, self.account.free_tier],
            "era": self.account.era,
            "faults": [(one.core_config(), one.function) for one in self.faults],
            "functions": [_canonical(epoch) for epoch in self.epochs],
        }
        if self.routes:
            # Without any, a scenario is what it was before there were routes.
            content["routes"] = [(one.function, one.source, one.key) for one in self.routes]
        return json.dumps(content, sort_keys=True, separators=(",", ":"), default=_json)

    def digest(self) -> str:
        """Give the SHA-256 of `canonical`, in hexadecimal."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


def _json(value: Any) -> object:
    """Give what JSON has no type for: sections of pydantic, exact fractions, tuples of names."""
    return value.model_dump() if isinstance(value, BaseModel) else list(value)


def _canonical(epoch: Epoch) -> dict[str, Any]:
    """Give what an epoch says about functions; sections that change nothing are left out."""
    literal = {}
    for key in sorted(epoch.sections):
        section = epoch.sections[key]
        if section.pattern is not None:
            continue
        given = dict(section.given)
        if len(epoch.sections_for(key)) == 1:
            # Only [defaults] is below: what says the same changes nothing, but that memory of its
            # own comes before the trace's.
            given = {
                name: value
                for name, value in given.items()
                if name == "memory_mb" or value != epoch.default[name]
            }
        if given:
            literal[key] = given
    globs = [(section.key, section.given) for section in epoch.globs if section.given]
    sources = {
        name: [source.type, source.function, source.values, dataclasses.astuple(source.preset)]
        for name, source in epoch.sources.items()
    }
    content = {"defaults": epoch.default, "literal": literal, "globs": globs}
    # Without any, a scenario is what it was before there were event sources.
    return {**content, "sources": sources} if sources else content


def fault_of(function: str | None, from_us: int, to_us: int, **what: Any) -> Fault:
    """Make a fault; ``function`` is a name, a glob, or None for all."""
    pattern = None if function is None else compile_glob(function)
    return Fault(from_us, to_us, function=function, pattern=pattern, **what)
