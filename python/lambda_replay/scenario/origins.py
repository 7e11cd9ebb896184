"""Where every value in force came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lambda_replay.scenario import limits
from lambda_replay.scenario.check import Checked
from lambda_replay.scenario.eras import Era
from lambda_replay.scenario.keys import KeyPath, format_key
from lambda_replay.scenario.problems import Where, value_at
from lambda_replay.scenario.recognised import RECOGNISED
from lambda_replay.scenario.resolve import idle_in_force
from lambda_replay.scenario.resolve_sources import ResolvedSource
from lambda_replay.scenario.units import show_instant

__all__ = ["Origin", "list_origins"]


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


def list_origins(checked: Checked, where: Where) -> Iterator[Origin]:
    """List every value in force, sections in the order of the contract.

    Parameters
    ----------
    checked
        What was given.
    where
        Positions of its keys.
    """
    era, data = checked.era, _long_form(checked.data)
    by_era = "default" if checked.model.account.era is None else f"era {era.name}"

    def row(path: KeyPath, default: object, otherwise: str = "default") -> Origin:
        given = value_at(data, path)
        if given is None:
            return Origin(format_key(path), default, otherwise)
        return Origin(format_key(path), given, _origin(path, where))

    for path, default, is_preset in _account(checked, era):
        yield row(("account", *path), default, by_era if is_preset else "default")
    yield from _accepted(data, ("account",), "account", row)
    for key, default, is_preset in _function(checked, era):
        yield row(("defaults", key), default, by_era if is_preset else "default")
    yield from _accepted(data, ("defaults",), "function", row)
    functions = data.get("functions")
    for name, section in functions.items() if isinstance(functions, dict) else ():
        for key in section:
            yield row(("functions", name, key), None)
    for name, source in checked.epochs[0].sources.items():
        for path, default, is_preset in _source(source):
            of_source = ("event_sources", name, *path)
            yield row(of_source, default, by_era if is_preset else "default")
        yield from _accepted(data, ("event_sources", name), "event_source", row)
        for path in _leaves(_given_reshards(data, name), ("event_sources", name, "reshard")):
            yield row(path, None)
    for key, default in _STATE:
        yield row(("state", key), default)
    for table in ("changes", "faults", "routes"):
        for path in _leaves(data.get(table, []), (table,)):
            yield row(path, None)
    for key, default in _REPLAY:
        yield row(("replay", key), default)


_STATE = (
    ("discipline", limits.DISCIPLINE.value),
    ("scope", limits.STATE_SCOPE.value),
    ("max_lock_wait_s", "off"),
    ("max_retries", limits.STATE_MAX_RETRIES.value),
    ("backoff_ms", limits.STATE_BACKOFF_MS.value),
    ("top", limits.STATE_TOP.value),
)
_REPLAY = (
    ("seed", limits.SEED.value),
    ("time_scale", limits.TIME_SCALE.value),
    ("load", limits.LOAD.value),
    ("until", "off"),
)


def _long_form(data: dict[str, Any]) -> dict[str, Any]:
    """Write the short form of idle in full."""
    account = data.get("account")
    if isinstance(account, dict) and isinstance(account.get("idle"), str):
        policy = "none" if account["idle"] == "off" else account["idle"]
        return {**data, "account": {**account, "idle": {"policy": policy}}}
    return data


def _account(checked: Checked, era: Era) -> Iterator[tuple[KeyPath, object, bool]]:
    """List path, value where it is not given, and whether that is the era's."""
    account, model = checked.epochs[0].account, checked.model.account
    policy, seconds = idle_in_force(model, era)
    preset = era.scaling.value
    yield ("concurrency",), limits.CONCURRENCY.value, False
    yield ("min_unreserved",), account.min_unreserved, False
    yield ("era",), era.name, False
    yield ("requests_per_second",), account.rps, False
    yield ("rps", "mode"), limits.RPS_MODE.value, False
    yield ("rps", "window_s"), limits.RPS_WINDOW_S.value, False
    if model.scaling == "off":
        yield ("scaling",), "off", False
    else:
        tokens, per = preset.refill
        yield ("scaling", "scope"), preset.scope, True
        yield ("scaling", "mode"), limits.SCALING_MODE.value, False
        yield ("scaling", "capacity"), preset.capacity(account.region), True
        yield ("scaling", "refill_per_s"), tokens if per == 1 else f"{tokens}/{per}", True
        yield ("scaling", "step_s"), limits.SCALING_STEP_S.value, False
        yield ("scaling", "rps_coupling"), preset.rps_coupling, True
    yield ("idle", "policy"), policy, True
    if seconds is not None:
        yield ("idle", "seconds"), seconds, policy == era.idle.value[0]
    yield ("env", "max_lifetime"), limits.MAX_LIFETIME_S.value, False
    yield ("reuse_policy",), limits.REUSE_POLICY.value, False
    yield ("error", "reset"), limits.ERROR_RESET.value, False
    yield ("proactive_fraction",), limits.PROACTIVE_FRACTION.value, False
    yield ("async", "jitter_half"), limits.JITTER_HALF.value, False
    yield ("async", "expiry"), limits.EXPIRY.value, False
    yield ("async", "dispatch_s"), limits.DISPATCH_S.value, False
    yield ("billing", "aborted_init"), limits.ABORTED_INIT_BILLED.value, False
    yield ("report", "clamp_timeout"), True, False
    yield ("pricing", "region"), limits.REGION.value, False
    yield ("pricing", "free_tier"), limits.FREE_TIER.value, False
    if model.init_timeout_s is not None:
        yield ("init_timeout_s",), limits.INIT_TIMEOUT_S.value, False


def _function(checked: Checked, era: Era) -> Iterator[tuple[str, object, bool]]:
    weakest = checked.model.account.init_timeout_s
    yield "memory_mb", limits.MEMORY_MB.value, False
    yield "timeout_s", limits.TIMEOUT_S.value, False
    yield "init_ms", limits.INIT_MS.value, False
    if checked.model.defaults.runtime is not None:
        yield "runtime", None, False
    yield "init_billed", era.init_billed.value, True
    yield "init_timeout_s", limits.INIT_TIMEOUT_S.value if weakest is None else weakest, False
    yield "architecture", limits.ARCHITECTURE.value, False
    yield "ephemeral_storage_mb", limits.EPHEMERAL_STORAGE_MB.value, False
    yield "restore_ms", "off", False
    yield "reserved_concurrency", "off", False
    yield "provisioned_concurrency", "off", False
    yield "maximum_event_age_s", limits.EVENT_AGE_S.value, False
    yield "maximum_retry_attempts", limits.RETRY_ATTEMPTS.value, False
    yield "on_failure", "off", False
    yield "client_retry", "none", False


#: Keys whose defaults are the era's.
_OF_ERA = ("maximum_retry_attempts", "maximum_record_age_s")


def _source(source: ResolvedSource) -> Iterator[tuple[KeyPath, object, bool]]:
    """List the keys that the type of a source has, as for an account."""
    yield ("type",), source.type, False
    yield ("function",), source.function, False
    for key, value in source.values.items():
        if key == "reshard":
            continue
        if key == "provisioned_pollers" and value is not None:
            value = value._asdict()  # noqa: PLW2901 - a table like the others
        if isinstance(value, dict):
            for part, one in value.items():
                yield (key, part), one, False
            continue
        shown = show_instant(value) if key == "starting_position_timestamp" and value else value
        yield (key,), "off" if shown is None else shown, source.is_stream and key in _OF_ERA


def _given_reshards(data: dict[str, Any], name: str) -> object:
    """Give what was given of a source's reshards."""
    return value_at(data, ("event_sources", name, "reshard")) or []


def _accepted(data: Mapping[str, Any], path: KeyPath, place: str, row: Any) -> Iterator[Origin]:
    """List values such as recursion = "off" that ask for what happens anyway."""
    table = value_at(data, path)
    if isinstance(table, dict):
        for key in RECOGNISED.get(place, {}):
            if key in table:
                yield row((*path, key), None)


def _leaves(value: object, path: KeyPath) -> Iterator[KeyPath]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and (value and isinstance(value[0], dict)):
        for number, item in enumerate(value):
            yield from _leaves(item, (*path, number))
    elif value != []:
        yield path


def _origin(path: KeyPath, where: Where) -> str:
    near = (where[path[:end]] for end in range(len(path), 0, -1) if path[:end] in where)
    location = next(near, None)
    if location is None or location.file is None:
        return "given"
    return location.file if location.line is None else f"{location.file}:{location.line}"
