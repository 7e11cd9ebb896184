"""The explicit structure that a replay takes: nothing is left out, and the core has no defaults.

Owns which section a function gets its values from, and the digest. Leaves presets and defaults to
resolve.py, where values came from to origins.py.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypedDict

from lambda_replay.names import LATEST, split
from lambda_replay.scenario.models import FunctionSection
from lambda_replay.scenario.origins import Origin, Undocumented, undocumented_choices
from lambda_replay.scenario.units import ms_to_us

__all__ = [
    "AccountConfig",
    "FunctionConfig",
    "Idle",
    "Resolved",
    "ResolvedAccount",
    "ResolvedFunction",
    "Section",
]

#: Idle policy with its times in microseconds.
Idle: TypeAlias = (
    tuple[Literal["none"]]
    | tuple[Literal["fixed"], int]
    | tuple[Literal["uniform"], int, int]
    | tuple[Literal["halving"], int]
)


class AccountConfig(TypedDict):
    """What the core takes for an account."""

    seed: int
    concurrency: int
    idle: Idle
    max_lifetime_us: tuple[int, int] | None
    billing_unit_us: int


class FunctionConfig(TypedDict):
    """What the core takes for a function."""

    init_us: int
    init_billed: bool


@dataclass(frozen=True, slots=True)
class ResolvedAccount:
    """An account, explicit.

    Attributes
    ----------
    concurrency
        Units that all functions share (F1.1).
    era
        Name of the preset of dated rules.
    idle
        Idle policy and its times in microseconds (Z4, Z5).
    max_lifetime_us
        Bounds of the lifetime that is drawn for each environment; None without end.
    reuse_policy
        Which idle environment serves next (Q8).
    billing_unit_us
        What billed durations are rounded up to (Z40).
    """

    concurrency: int
    era: str
    idle: Idle
    max_lifetime_us: tuple[int, int] | None
    reuse_policy: str
    billing_unit_us: int


@dataclass(frozen=True, slots=True)
class ResolvedFunction:
    """A function, explicit.

    Attributes
    ----------
    memory_mb
        For cost. Where ``memory_is_own`` is false, a trace's own column comes first (Z43).
    architecture
        ``x86_64`` or ``arm64``.
    init_us
        What a cold start adds where the trace has no ``init_ms``.
    init_billed
        Whether the init phase is billed (F3.7).
    memory_is_own
        Whether a section of the function, rather than [defaults], gave ``memory_mb``.
    """

    memory_mb: int
    architecture: str
    init_us: int
    init_billed: bool
    memory_is_own: bool = False

    def core_config(self) -> FunctionConfig:
        """Give the plain values that the core takes."""
        return {"init_us": self.init_us, "init_billed": self.init_billed}


@dataclass(frozen=True, slots=True)
class Section:
    """A table ``[functions.KEY]``.

    ``pattern`` is None where the key is no glob; ``prefix`` is what all names begin with that the
    glob matches.
    """

    key: str
    values: FunctionSection
    pattern: re.Pattern[str] | None
    prefix: str = ""

    def canonical(self) -> dict[str, object]:
        """Give what the section says, in the units of the core."""
        values = self.values
        given: dict[str, object] = {
            "memory_mb": values.memory_mb,
            "architecture": values.architecture,
            "init_us": None if values.init_ms is None else ms_to_us(values.init_ms),
            "init_billed": values.init_billed,
        }
        return {key: value for key, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A scenario in which nothing is left out.

    Attributes
    ----------
    seed
        Of every random draw.
    account
        The one account and Region.
    defaults
        What functions have that no section names.
    sections
        Those of [functions], by their key.
    globs
        Those of them that are globs, most specific first.
    """

    seed: int
    account: ResolvedAccount
    defaults: ResolvedFunction
    sections: dict[str, Section] = field(repr=False, hash=False)
    globs: tuple[Section, ...] = field(repr=False, hash=False)
    _origins: tuple[Origin, ...] = field(repr=False, compare=False)
    _by_name: dict[str, ResolvedFunction] = field(default_factory=dict, repr=False, compare=False)
    _by_keys: dict[tuple[str, ...], ResolvedFunction] = field(
        default_factory=dict, repr=False, compare=False
    )

    def function(self, name: str) -> ResolvedFunction:
        """Give the settings of a function.

        Parameters
        ----------
        name
            As in the trace: ``name`` or ``name:qualifier``.

        Notes
        -----
        The section with that very name comes first, then the one of the name without its qualifier
        (Z9), then globs: more literal characters before fewer, ties as in the file. What a section
        does not say comes from the next of these, and in the end from [defaults].
        """
        known = self._by_name.get(name)
        if known is None:
            keys = self.sections_for(name)
            # Few combinations of sections serve many names.
            known = self._by_keys.get(keys)
            if known is None:
                known = self._by_keys[keys] = self._merge(keys)
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

    def _merge(self, keys: tuple[str, ...]) -> ResolvedFunction:
        memory, architecture = self.defaults.memory_mb, self.defaults.architecture
        init_us, init_billed = self.defaults.init_us, self.defaults.init_billed
        is_own = False
        for key in reversed(keys):
            values = self.sections[key].values
            if values.memory_mb is not None:
                memory, is_own = values.memory_mb, True
            if values.architecture is not None:
                architecture = values.architecture
            if values.init_ms is not None:
                init_us = ms_to_us(values.init_ms)
            if values.init_billed is not None:
                init_billed = values.init_billed
        return ResolvedFunction(memory, architecture, init_us, init_billed, is_own)

    def core_config(self) -> AccountConfig:
        """Give the plain values that the core takes for the account."""
        return {
            "seed": self.seed,
            "concurrency": self.account.concurrency,
            "idle": self.account.idle,
            "max_lifetime_us": self.account.max_lifetime_us,
            "billing_unit_us": self.account.billing_unit_us,
        }

    def origins(self) -> list[Origin]:
        """List every value in force with where it came from, in the order of the contract."""
        return list(self._origins)

    def undocumented(self) -> list[Undocumented]:
        """List the choices in force that AWS does not document."""
        return list(undocumented_choices(self._origins))

    def canonical(self) -> str:
        """Print the resolved scenario as canonical JSON: equal for scenarios that replay alike."""
        account = self.account
        ranked = {section.key for section in self.globs}
        literal = [self.sections[key] for key in sorted(self.sections) if key not in ranked]
        sections = [(section.key, section.canonical()) for section in (*literal, *self.globs)]
        content = {
            "format": 1,
            "seed": self.seed,
            "account": {
                "concurrency": account.concurrency,
                "era": account.era,
                "idle": account.idle,
                "max_lifetime_us": account.max_lifetime_us,
                "reuse_policy": account.reuse_policy,
                "billing_unit_us": account.billing_unit_us,
            },
            "defaults": {
                "memory_mb": self.defaults.memory_mb,
                "architecture": self.defaults.architecture,
                **self.defaults.core_config(),
            },
            # A section that says nothing changes nothing.
            "functions": [section for section in sections if section[1]],
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    def digest(self) -> str:
        """Give the SHA-256 of `canonical`, in hexadecimal."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()
