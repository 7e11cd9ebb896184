"""From what was given to what is in force: presets by era, defaults, microseconds."""

from __future__ import annotations

from typing import TypeVar, cast

from lambda_replay.scenario import limits
from lambda_replay.scenario.check import Checked
from lambda_replay.scenario.globs import compile_glob, literal_characters, literal_prefix
from lambda_replay.scenario.limits import Era, IdlePolicy
from lambda_replay.scenario.models import AccountSection
from lambda_replay.scenario.origins import list_origins
from lambda_replay.scenario.problems import Where
from lambda_replay.scenario.resolved import (
    Idle,
    Resolved,
    ResolvedAccount,
    ResolvedFunction,
    Section,
)
from lambda_replay.scenario.units import Number, Pair, ms_to_us, s_to_us

__all__ = ["resolve"]

T = TypeVar("T")


def resolve(checked: Checked, where: Where) -> Resolved:
    """Resolve a checked scenario.

    Parameters
    ----------
    checked
        What `check` gave.
    where
        Positions of the keys, for the origins.
    """
    model, era = checked.model, checked.era
    defaults = model.defaults
    policy, seconds = _idle(model.account, era)
    sections = {
        key: Section(key, values, compile_glob(key), literal_prefix(key))
        for key, values in model.functions.items()
    }
    # Sorting is stable: of equally specific globs the first of the file stays first.
    globs = sorted(
        (section for section in sections.values() if section.pattern is not None),
        key=lambda section: -literal_characters(section.key),
    )
    return Resolved(
        seed=_or(model.replay.seed, limits.SEED.value),
        account=ResolvedAccount(
            concurrency=_or(model.account.concurrency, limits.CONCURRENCY.value),
            era=era.name,
            idle=_idle_us(policy, seconds),
            max_lifetime_us=_lifetime_us(model.account),
            reuse_policy=_or(model.account.reuse_policy, limits.REUSE_POLICY.value),
            billing_unit_us=era.billing_unit_us.value,
        ),
        defaults=ResolvedFunction(
            memory_mb=_or(defaults.memory_mb, limits.MEMORY_MB.value),
            architecture=_or(defaults.architecture, limits.ARCHITECTURE.value),
            init_us=ms_to_us(_or(defaults.init_ms, limits.INIT_MS.value)),
            init_billed=_or(defaults.init_billed, era.init_billed.value),
        ),
        sections=sections,
        globs=tuple(globs),
        _origins=tuple(list_origins(checked, where, policy, seconds)),
    )


def _or(given: T | None, default: T) -> T:
    return default if given is None else given


def _idle(account: AccountSection, era: Era) -> tuple[IdlePolicy, Number | Pair | None]:
    """Give the policy in force and its seconds; what is not given comes from the era (Z5)."""
    preset_policy, preset_seconds = era.idle.value
    policy, seconds = preset_policy, None
    if account.idle is not None:
        policy = cast("IdlePolicy", _or(account.idle.policy, preset_policy))
        seconds = account.idle.seconds
    if seconds is None and policy == preset_policy:
        seconds = preset_seconds
    if seconds is None and policy == "halving":
        seconds = limits.HALVING_PERIOD_S.value
    return policy, seconds


def _idle_us(policy: IdlePolicy, seconds: Number | Pair | None) -> Idle:
    if policy == "none":
        return ("none",)
    if policy == "uniform":
        low, high = cast("Pair", seconds)
        return ("uniform", s_to_us(low), s_to_us(high))
    period = s_to_us(cast("Number", seconds))
    return ("fixed", period) if policy == "fixed" else ("halving", period)


def _lifetime_us(account: AccountSection) -> tuple[int, int] | None:
    given = account.env.max_lifetime if account.env is not None else None
    if isinstance(given, str):
        # "off" is the only text that the model lets through.
        return None
    lifetime = _or(given, limits.MAX_LIFETIME_S.value)
    low, high = lifetime if isinstance(lifetime, tuple) else (lifetime, lifetime)
    return s_to_us(low), s_to_us(high)
