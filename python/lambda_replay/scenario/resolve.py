"""From what was given to what is in force: presets by era, defaults, microseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

from lambda_replay.scenario import limits
from lambda_replay.scenario.account import (
    AccountSection,
    AsyncSection,
    BillingSection,
    ErrorSection,
    PricingSection,
    RpsSection,
    ScalingSection,
    exact_refill,
)
from lambda_replay.scenario.epoch import (
    Client,
    Epoch,
    Idle,
    Pool,
    ResolvedAccount,
    Scaling,
    Section,
    Tracking,
)
from lambda_replay.scenario.eras import Era, IdlePolicy
from lambda_replay.scenario.functions import CLIENTS, ClientSection, FunctionSection, PoolSection
from lambda_replay.scenario.globs import compile_glob, literal_characters, literal_prefix
from lambda_replay.scenario.models import ScenarioModel
from lambda_replay.scenario.recurrence import Recurring, parse_rate
from lambda_replay.scenario.resolve_sources import resolve_sources
from lambda_replay.scenario.units import Number, Pair, ms_to_us, s_to_us

__all__ = ["idle_in_force", "or_default", "resolve_epoch", "section_of"]

T = TypeVar("T")


def resolve_epoch(model: ScenarioModel, era: Era, at_us: int | None = None) -> Epoch:
    """Resolve what holds from an instant on; None: from the start."""
    sections = {key: section_of(key, values) for key, values in model.functions.items()}
    # Sorting is stable: of equally specific globs the first of the file stays first.
    globs = sorted(
        (section for section in sections.values() if section.pattern is not None),
        key=lambda section: -literal_characters(section.key),
    )
    return Epoch(
        at_us=at_us,
        account=_account(model.account, era),
        default=_defaults(model.account, era) | _given(model.defaults),
        sections=sections,
        globs=tuple(globs),
        sets_apart=any({"reserved", "provisioned"} & one.given.keys() for one in sections.values()),
        sources=resolve_sources(model.event_sources, era),
    )


def section_of(key: str, values: FunctionSection) -> Section:
    """Resolve a table of [functions]."""
    return Section(key, _given(values), compile_glob(key), literal_prefix(key))


def or_default(given: T | None, default: T) -> T:
    """Give what was given, else the default."""
    return default if given is None else given


# ---------------------------------------------------------------------------- the account


def _account(account: AccountSection, era: Era) -> ResolvedAccount:
    policy, seconds = idle_in_force(account, era)
    concurrency = or_default(account.concurrency, limits.CONCURRENCY.value)
    unreserved = min(limits.MIN_UNRESERVED.value, concurrency)
    rps = limits.REQUESTS_PER_UNIT.value * concurrency
    window = account.rps or RpsSection()
    given = account.scaling if isinstance(account.scaling, ScalingSection) else ScalingSection()
    events = account.async_ or AsyncSection()
    errors = account.error or ErrorSection()
    billing = account.billing or BillingSection()
    pricing = account.pricing or PricingSection()
    dispatch = _or_off(events.dispatch_s, limits.DISPATCH_S.value)
    return ResolvedAccount(
        concurrency=concurrency,
        min_unreserved=count_or_off(account.min_unreserved, unreserved) or 0,
        era=era.name,
        idle=_idle_us(policy, seconds),
        max_lifetime_us=_lifetime_us(account),
        reuse_policy=or_default(account.reuse_policy, limits.REUSE_POLICY.value),
        error_reset=or_default(errors.reset, limits.ERROR_RESET.value),
        proactive_fraction=float(
            _or_off(account.proactive_fraction, limits.PROACTIVE_FRACTION.value) or 0
        ),
        billing_unit_us=era.billing_unit_us.value,
        aborted_init_billed=or_default(billing.aborted_init, limits.ABORTED_INIT_BILLED.value),
        region=region_of(account),
        free_tier=or_default(pricing.free_tier, limits.FREE_TIER.value),
        rps=count_or_off(account.requests_per_second, rps),
        rps_mode=or_default(window.mode, limits.RPS_MODE.value),
        rps_window_us=s_to_us(or_default(window.window_s, limits.RPS_WINDOW_S.value)),
        scaling=None if account.scaling == "off" else _scaling(given, era, region_of(account)),
        scaling_scope=or_default(given.scope, era.scaling.value.scope),
        scaling_mode=or_default(given.mode, limits.SCALING_MODE.value),
        jitter_half=float(_or_off(events.jitter_half, limits.JITTER_HALF.value) or 0),
        expiry=or_default(events.expiry, limits.EXPIRY.value),
        dispatch_us=s_to_us(dispatch or 0),
    )


def _or_off(given: Number | str | None, default: Number) -> Number | None:
    """Give a number, None for "off"."""
    if given is None:
        return default
    return None if isinstance(given, str) else given


def count_or_off(given: int | str | None, default: int | None) -> int | None:
    """Give an integer, None for "off"."""
    if given is None:
        return default
    return None if isinstance(given, str) else given


def region_of(account: AccountSection) -> str:
    """Give the Region: of prices, and of the burst in the eras that had one (Z18)."""
    return or_default((account.pricing or PricingSection()).region, limits.REGION.value)


def _scaling(given: ScalingSection, era: Era, region: str) -> Scaling:
    preset = era.scaling.value
    if given.refill_per_s is None:
        rate = exact_refill(preset.refill[0]) / preset.refill[1]
    else:
        rate = exact_refill(given.refill_per_s)
    per_us = rate / 1_000_000
    return Scaling(
        capacity=or_default(given.capacity, preset.capacity(region)),
        refill=(per_us.numerator, per_us.denominator),
        step_us=s_to_us(or_default(given.step_s, limits.SCALING_STEP_S.value)),
        rps_coupling=or_default(given.rps_coupling, preset.rps_coupling),
    )


def idle_in_force(account: AccountSection, era: Era) -> tuple[IdlePolicy, Number | Pair | None]:
    """Give the policy in force and its seconds; what is not given comes from the era (Z5)."""
    preset_policy, preset_seconds = era.idle.value
    policy, seconds = preset_policy, None
    if account.idle is not None:
        policy = cast("IdlePolicy", or_default(account.idle.policy, preset_policy))
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
    lifetime = or_default(given, limits.MAX_LIFETIME_S.value)
    low, high = lifetime if isinstance(lifetime, tuple) else (lifetime, lifetime)
    return s_to_us(low), s_to_us(high)


# ---------------------------------------------------------------------------- functions


def _defaults(account: AccountSection, era: Era) -> dict[str, Any]:
    """Give what functions have that say nothing."""
    return {
        "memory_mb": limits.MEMORY_MB.value,
        "duration_factors": (),
        "architecture": limits.ARCHITECTURE.value,
        "init": ms_to_us(limits.INIT_MS.value),
        "runtime": None,
        "init_billed": era.init_billed.value,
        "timeout_us": None,
        "init_timeout_us": _off_or_us(account.init_timeout_s, limits.INIT_TIMEOUT_S.value),
        "ephemeral_mb": limits.EPHEMERAL_STORAGE_MB.value,
        "restore_us": None,
        "reserved": None,
        "provisioned": (),
        "max_event_age_us": s_to_us(limits.EVENT_AGE_S.value),
        "max_retries": limits.RETRY_ATTEMPTS.value,
        "on_failure": None,
        "client": None,
    }


def _off_or_us(seconds: Number | str | None, default: Number | None = None) -> int | None:
    seconds = default if seconds is None else seconds
    return None if seconds is None or isinstance(seconds, str) else s_to_us(seconds)


def _off_or(value: object) -> object:
    return None if value == "off" else value


def _pools(value: Mapping[str | None, PoolSection] | str) -> tuple[Pool, ...]:
    if isinstance(value, str):
        return ()
    pools = (_pool(qualifier, pool) for qualifier, pool in value.items())
    # A pool of nothing is none.
    return tuple(
        pool for pool in pools if pool.most() or pool.tracking or pool.schedule or pool.recurring
    )


def _pool(qualifier: str | None, given: PoolSection) -> Pool:
    tracking = given.target_tracking
    entries = [
        (entry.at, place, entry.min, entry.max)
        for place, entry in enumerate(given.schedule)
        if entry.at is not None
    ]
    entries.sort(key=lambda entry: entry[0])
    return Pool(
        qualifier,
        or_default(given.initial, 0),
        None
        if tracking is None
        else Tracking(tracking.target.as_integer_ratio(), tracking.min, tracking.max),
        tuple((at, low, high) for at, _, low, high in entries),
        tuple(place for _, place, _, _ in entries),
        tuple(
            Recurring(
                place,
                entry.cron,
                or_default(entry.timezone, "UTC"),
                None if entry.rate is None else parse_rate(entry.rate),
                entry.start_time,
                entry.end_time,
                entry.min,
                entry.max,
            )
            for place, entry in enumerate(given.schedule)
            if entry.at is None
        ),
    )


def _client(value: ClientSection | str) -> Client | None:
    if isinstance(value, str):
        preset = CLIENTS[value]
        if preset is None:
            return None
        value = ClientSection.model_validate(preset)
    return Client(
        max_attempts=or_default(value.max_attempts, limits.CLIENT_ATTEMPTS.value),
        base_us=s_to_us(or_default(value.base_s, limits.CLIENT_BASE_S.value)),
        cap_us=_off_or_us(value.cap_s, limits.CLIENT_CAP_S.value),
        factor=float(value.factor) if isinstance(value.factor, (int, float)) else None,
        quota=count_or_off(value.quota, None),
        read_timeout_us=_off_or_us(value.read_timeout_s),
        adaptive=or_default(value.mode, limits.CLIENT_MODE.value) == "adaptive",
    )


#: Key of a section, name in the core, and how it gets there.
_GIVEN: Final[tuple[tuple[str, str, Callable[[Any], object]], ...]] = (
    ("memory_mb", "memory_mb", int),
    ("duration_factor", "duration_factors", lambda value: tuple(sorted(value.items()))),
    ("architecture", "architecture", str),
    ("init_ms", "init", lambda value: value if value == "typical" else ms_to_us(value)),
    ("runtime", "runtime", str),
    ("init_billed", "init_billed", bool),
    ("timeout_s", "timeout_us", _off_or_us),
    ("init_timeout_s", "init_timeout_us", _off_or_us),
    ("ephemeral_storage_mb", "ephemeral_mb", int),
    ("restore_ms", "restore_us", lambda value: None if value == "off" else ms_to_us(value)),
    ("reserved_concurrency", "reserved", _off_or),
    ("provisioned_concurrency", "provisioned", _pools),
    ("maximum_event_age_s", "max_event_age_us", s_to_us),
    ("maximum_retry_attempts", "max_retries", int),
    ("on_failure", "on_failure", _off_or),
    ("client_retry", "client", _client),
)


def _given(values: FunctionSection) -> dict[str, Any]:
    """Give what a section says, in the units of the core."""
    return {
        name: convert(value)
        for key, name, convert in _GIVEN
        if (value := getattr(values, key)) is not None
    }
