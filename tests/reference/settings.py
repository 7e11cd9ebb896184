"""What a scenario says, with every preset, glob and default looked up.

Owns reading the scenario's sections. Keys that this reference does not model are refused, so that
nobody compares against rules it does not have.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

from reference.marks import Marks

ERAS = ("2017-12", "2018-10", "2019-12", "2020-12", "2023-11", "2025-08")

# rule: Z5 (later eras: halving)
ERA_IDLE: Mapping[str, Mapping[str, Any]] = {
    "2017-12": {"policy": "uniform", "seconds": [1620, 3780]},
    "2018-10": {"policy": "uniform", "seconds": [1620, 3780]},
    "2019-12": {"policy": "fixed", "seconds": 600},
}
HALVING_PERIOD_S = 380  # rule: Z4 (as measured)
MAX_LIFETIME_S = [14_400, 28_800]  # rule: F3.4 (every few hours)
CONCURRENCY = 1_000  # rule: F1.1 (default)

KNOWN_KEYS: Mapping[str, frozenset[str]] = {
    "account": frozenset({"concurrency", "era", "idle", "env"}),
    "account.idle": frozenset({"policy", "seconds"}),
    "account.env": frozenset({"max_lifetime"}),
    "defaults": frozenset({"init_ms", "init_billed"}),
    "function": frozenset({"init_ms", "init_billed"}),
    "replay": frozenset({"seed"}),
    "scenario": frozenset({"account", "defaults", "functions", "replay"}),
}


def seconds_to_us(value: float | Fraction) -> int:
    """Return a scenario's seconds in microseconds, to the nearest, halves up."""
    return math.floor(Fraction(value) * 1_000_000 + Fraction(1, 2))


def milliseconds_to_us(value: float | Fraction) -> int:
    """Return milliseconds in microseconds, to the nearest, halves up.

    A float is multiplied and rounded in IEEE doubles, as the product does it; anything else is
    exact.
    """
    # rule: Z3 (halves up)
    if isinstance(value, float):
        return math.floor(value * 1000.0 + 0.5)
    return math.floor(Fraction(value) * 1000 + Fraction(1, 2))


def is_glob(pattern: str) -> bool:
    """Tell whether a section's name is a glob."""
    return any(character in pattern for character in "*?")


def literal_characters(pattern: str) -> int:
    """Count the characters of a glob that stand for themselves."""
    return sum(character not in "*?" for character in pattern)


@dataclass(frozen=True)
class Idle:
    """Idle policy with its bounds in microseconds; ``halving`` has its period in both."""

    policy: str
    low: int
    high: int


@dataclass(frozen=True)
class Settings:
    """A scenario, resolved."""

    concurrency: int
    era: str
    idle: Idle
    max_lifetime: tuple[int, int] | None
    seed: int
    defaults: Mapping[str, Any]
    functions: Mapping[str, Mapping[str, Any]]

    def layers(self, name: str, marks: Marks) -> list[Mapping[str, Any]]:
        """Return the sections that apply to a function, the most specific first."""
        layers = []
        if name in self.functions:
            marks.hit("scenario.literal_name")
            layers.append(self.functions[name])
        globs = [
            pattern for pattern in self.functions if is_glob(pattern) and fnmatchcase(name, pattern)
        ]
        # Sorting is stable: among equals the section that comes first stays first.
        globs.sort(key=literal_characters, reverse=True)
        counts = [literal_characters(pattern) for pattern in globs]
        if len(set(counts)) > 1:
            marks.hit("scenario.most_literal_glob")
        if len(set(counts)) < len(counts):
            marks.hit("scenario.glob_tie")
        layers.extend(self.functions[pattern] for pattern in globs)
        layers.append(self.defaults)
        return layers

    def value(self, function: str, key: str, default: Any, marks: Marks) -> Any:
        """Return what holds for a function: the most specific section that has the key."""
        # rule: Z9 (settings go by the bare name)
        layers = self.layers(bare_name(function), marks)
        for depth, section in enumerate(layers):
            if key in section:
                if 0 < depth == len(layers) - 1:
                    marks.hit("scenario.defaults")
                elif depth > 0:
                    marks.hit("scenario.less_specific_section")
                return section[key]
        return default

    def init_us(self, function: str, marks: Marks) -> int:
        """Return the init time of a function's cold start, where the row has none."""
        return milliseconds_to_us(self.value(function, "init_ms", 0, marks))

    def init_billed(self, function: str, marks: Marks) -> bool:
        """Tell whether a function's init is billed."""
        # rule: Z43, F3.7
        by_era = self.era == "2025-08"
        billed = bool(self.value(function, "init_billed", by_era, marks))
        if billed != by_era:
            marks.hit("Z43.function_overrides_era")
        return billed

    @property
    def billing_unit_us(self) -> int:
        """Return the step in which time is billed."""
        # rule: Z40, F7
        return 100_000 if self.era < "2020-12" else 1_000


def bare_name(function: str) -> str:
    """Return a function's name without its qualifier."""
    # rule: Z9 (what comes after the colon is the qualifier)
    return function.partition(":")[0]


def check_keys(section: Mapping[str, Any], kind: str) -> None:
    """Refuse keys that this reference has no rule for."""
    unknown = sorted(set(section) - KNOWN_KEYS[kind])
    if unknown:
        message = f"the reference does not model {kind} keys {unknown}"
        raise ValueError(message)


def bounds_us(value: Any) -> tuple[int, int]:
    """Return seconds, or a pair of them, as bounds in microseconds."""
    low, high = value if isinstance(value, list | tuple) else (value, value)
    return seconds_to_us(low), seconds_to_us(high)


def resolve_idle(account: Mapping[str, Any], era: str, marks: Marks) -> Idle:
    """Return the idle policy: the scenario's, else the era's."""
    # rule: Z5 (presets of the eras)
    if "idle" in account:
        section = account["idle"]
        check_keys(section, "account.idle")
    else:
        section = ERA_IDLE.get(era, {"policy": "halving"})
        marks.hit(f"Z5.era_{section['policy']}")
    policy = section["policy"]
    if policy == "none":
        return Idle("none", 0, 0)
    if policy == "halving":
        return Idle("halving", *bounds_us(section.get("seconds", HALVING_PERIOD_S)))
    if policy in ("fixed", "uniform"):
        return Idle(policy, *bounds_us(section["seconds"]))
    message = f"the reference does not model the idle policy {policy!r}"
    raise ValueError(message)


def resolve(scenario: Mapping[str, Any], marks: Marks) -> Settings:
    """Look everything up that a replay needs to know of a scenario."""
    check_keys(scenario, "scenario")
    account = scenario.get("account", {})
    defaults = scenario.get("defaults", {})
    functions = scenario.get("functions", {})
    check_keys(account, "account")
    check_keys(defaults, "defaults")
    for section in functions.values():
        check_keys(section, "function")
    check_keys(scenario.get("replay", {}), "replay")
    check_keys(account.get("env", {}), "account.env")

    era = account.get("era", "2025-08")
    if era not in ERAS:
        message = f"no such era: {era!r}"
        raise ValueError(message)
    max_lifetime = account.get("env", {}).get("max_lifetime", MAX_LIFETIME_S)
    if max_lifetime == "off":
        marks.hit("Z5.lifetime_off")
    return Settings(
        concurrency=account.get("concurrency", CONCURRENCY),
        era=era,
        idle=resolve_idle(account, era, marks),
        max_lifetime=None if max_lifetime == "off" else bounds_us(max_lifetime),
        seed=scenario.get("replay", {}).get("seed", 0),
        defaults=defaults,
        functions=functions,
    )
