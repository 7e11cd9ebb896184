"""Where every value in force came from, and which of them AWS does not document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lambda_replay.scenario import limits
from lambda_replay.scenario.check import Checked
from lambda_replay.scenario.keys import KeyPath, format_key
from lambda_replay.scenario.problems import Where
from lambda_replay.scenario.recognised import RECOGNISED
from lambda_replay.scenario.units import Number, Pair

__all__ = ["Origin", "Undocumented", "list_origins", "undocumented_choices"]


class Origin(NamedTuple):
    """One value in force.

    Attributes
    ----------
    key
        Dotted key.
    value
        In the key's own unit.
    origin
        ``default``, ``era 2019-12``, ``file:line``, ``--set``, or ``given`` (in Python).
    """

    key: str
    value: object
    origin: str


class Undocumented(NamedTuple):
    """A choice in force that AWS does not document, with its rule and a sentence for people."""

    key: str
    value: object
    rule: str
    sentence: str


def list_origins(
    checked: Checked, where: Where, policy: str, seconds: Number | Pair | None
) -> Iterator[Origin]:
    """List every value in force, sections in the order of the contract.

    Parameters
    ----------
    checked
        What was given.
    where
        Positions of its keys.
    policy, seconds
        The idle policy in force, which depends on several keys.
    """
    era, account, defaults = checked.era, checked.model.account, checked.model.defaults
    by_era = "default" if account.era is None else f"era {era.name}"

    def row(path: KeyPath, given: object, default: object, otherwise: str = "default") -> Origin:
        if given is None:
            return Origin(format_key(path), default, otherwise)
        return Origin(format_key(path), given, _origin(path, where))

    def accepted(place: str, section: str) -> Iterator[Origin]:
        # Values such as scaling = "off" that ask for what happens anyway.
        table = checked.data.get(section)
        if isinstance(table, dict):
            for key in RECOGNISED[place]:
                if key in table:
                    yield row((section, key), table[key], None)

    yield row(("account", "concurrency"), account.concurrency, limits.CONCURRENCY.value)
    yield row(("account", "era"), account.era, era.name)
    idle = account.idle
    yield row(("account", "idle", "policy"), idle and idle.policy, policy, by_era)
    if seconds is not None:
        is_preset = policy == era.idle.value[0]
        otherwise = by_era if is_preset else "default"
        yield row(("account", "idle", "seconds"), idle and idle.seconds, seconds, otherwise)
    lifetime = account.env and account.env.max_lifetime
    yield row(("account", "env", "max_lifetime"), lifetime, limits.MAX_LIFETIME_S.value)
    yield row(("account", "reuse_policy"), account.reuse_policy, limits.REUSE_POLICY.value)
    yield from accepted("account", "account")
    yield row(("defaults", "memory_mb"), defaults.memory_mb, limits.MEMORY_MB.value)
    yield row(("defaults", "architecture"), defaults.architecture, limits.ARCHITECTURE.value)
    yield row(("defaults", "init_ms"), defaults.init_ms, limits.INIT_MS.value)
    yield row(("defaults", "init_billed"), defaults.init_billed, era.init_billed.value, by_era)
    yield row(("defaults", "timeout_s"), defaults.timeout_s, limits.TIMEOUT_S.value)
    yield from accepted("function", "defaults")
    functions = checked.data.get("functions")
    for name, section in functions.items() if isinstance(functions, dict) else ():
        for key, value in section.items():
            yield row(("functions", name, key), value, None)
    yield row(("replay", "seed"), checked.model.replay.seed, limits.SEED.value)
    yield from accepted("replay", "replay")


def _origin(path: KeyPath, where: Where) -> str:
    near = (where[path[:end]] for end in range(len(path), 0, -1) if path[:end] in where)
    location = next(near, None)
    if location is None or location.file is None:
        return "given"
    return location.file if location.line is None else f"{location.file}:{location.line}"


def undocumented_choices(origins: Iterable[Origin]) -> Iterator[Undocumented]:
    """List the choices in force that AWS does not document (functions.md §9)."""
    found = {origin.key: origin for origin in origins}
    policy = str(found["account.idle.policy"].value)
    seconds = None if policy == "none" else found["account.idle.seconds"].value
    what = {
        "none": "here idle environments are kept without end",
        "fixed": f"here an environment goes after {_seconds(seconds)} of idleness",
        "uniform": f"here an environment goes after {_seconds(seconds)} of idleness",
        "halving": f"here half of a function's idle environments go every {_seconds(seconds)}",
    }[policy]
    yield Undocumented(
        "account.idle",
        policy if seconds is None else f"{policy}, {_seconds(seconds)}",
        "Q9",
        f"AWS does not document when idle environments go: {what}.",
    )
    lifetime = found["account.env.max_lifetime"].value
    lives = "without end" if lifetime == "off" else _seconds(lifetime)
    yield Undocumented(
        "account.env.max_lifetime",
        "off" if lifetime == "off" else lives,
        "Q10",
        f'AWS documents the lifetime of environments as "every few hours": here they live {lives}.',
    )
    yield Undocumented(
        "account.reuse_policy",
        found["account.reuse_policy"].value,
        "Q8",
        "AWS does not document which idle environment serves next: "
        "here it is the one used most recently.",
    )
    init = found["defaults.init_ms"]
    if init.origin == "default":
        yield Undocumented(
            "defaults.init_ms",
            init.value,
            "Q28",
            "Where neither the trace nor the scenario gives an init time, a cold start costs none.",
        )


def _seconds(value: object) -> str:
    if isinstance(value, tuple):
        return f"{value[0]} to {value[1]} s"
    return f"{value} s"
