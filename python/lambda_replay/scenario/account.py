"""What ``[account]`` and its tables may say (F1, F2, F3, F5, F7, Z56)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationInfo, model_validator

from lambda_replay.scenario import limits
from lambda_replay.scenario.eras import ERAS, Era
from lambda_replay.scenario.section import Section, about
from lambda_replay.scenario.takes import (
    Context,
    Takes,
    check_choice,
    check_number,
    check_seconds,
    choice,
    choices,
    era_of,
    fail,
    flag,
    number,
    seconds,
    table,
    whole,
)
from lambda_replay.scenario.units import Number, Pair, exact

__all__ = [
    "IDLE_POLICIES",
    "AccountSection",
    "AsyncSection",
    "BillingSection",
    "EnvSection",
    "ErrorSection",
    "IdleSection",
    "PricingSection",
    "ReportSection",
    "RpsSection",
    "ScalingSection",
    "exact_refill",
]

IDLE_POLICIES: Final = ("none", "fixed", "uniform", "halving")
_COUNTS: Final = limits.COUNT_RANGE.value
_PAIR: Final = "[a, b] with 0 <= a <= b"
_SECONDS: Final = "a number of seconds above 0"


def _check_era(value: object, _era: Era) -> str:
    if isinstance(value, str) and value not in ERAS and re.fullmatch(r"\d{4}-\d{2}", value):
        # By similarity 2019-11 would be near anything; the era in force then is what is meant.
        before = [name for name in ERAS if name <= value]
        fail("choice", suggestion=before[-1] if before else next(iter(ERAS)))
    return check_choice(value, tuple(ERAS))


def _check_policy(value: object, _era: Era) -> str:
    # Z56: "off" switches a parameter off.
    policy = "none" if value == "off" else value
    return check_choice(policy, IDLE_POLICIES, empirical="the idle policy 'empirical'")


class IdleSection(Section):
    """``[account.idle]``: when idle environments go (F3.3, Z4, Z5)."""

    policy: Annotated[
        str | None,
        Takes(_check_policy, choices(IDLE_POLICIES), Literal[("off", *IDLE_POLICIES)]),
    ] = Field(default=None, description="What removes idle environments. Default by era (Q9).")
    seconds: Annotated[
        Number | Pair | None,
        Takes(
            lambda value, era: check_seconds(value),
            f"{_SECONDS}, or {_PAIR} for policy uniform",
            float | list[float],
        ),
    ] = Field(default=None, description="fixed: idle time; uniform: [a, b]; halving: its period.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"policy": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits(self, info: ValidationInfo) -> IdleSection:
        era = era_of(info)
        preset_policy, preset_seconds = era.idle.value
        policy = self.policy or preset_policy
        given = self.seconds
        if given is None and policy == preset_policy:
            given = preset_seconds
        asked = f'policy "{policy}"'
        if self.policy is None:
            asked += f" (the default of era {era.name})"
        if policy == "none" and given is not None:
            fail("contradiction", at="seconds", detail=f"{asked} takes no seconds")
        if policy == "fixed" and not isinstance(given, (int, float)):
            detail = f"{asked} needs seconds, a number above 0"
            fail("contradiction", at="seconds", detail=detail)
        if policy == "uniform" and not isinstance(given, tuple):
            detail = f"{asked} needs seconds = [a, b] with 0 <= a <= b"
            fail("contradiction", at="seconds", detail=detail)
        if policy == "halving" and isinstance(given, tuple):
            detail = f"{asked} takes one number of seconds, its period"
            fail("contradiction", at="seconds", detail=detail)
        return self


class EnvSection(Section):
    """``[account.env]``: what holds for every environment (F3.4)."""

    max_lifetime: Annotated[
        str | Number | Pair | None,
        Takes(
            lambda value, era: "off" if value == "off" else check_seconds(value),
            f'{_SECONDS}, {_PAIR}, or "off"',
            float | list[float] | str,
        ),
    ] = Field(
        default=None,
        description=about("Seconds an environment lives, [a, b], or off.", limits.MAX_LIFETIME_S),
    )


class ErrorSection(Section):
    """``[account.error]``: what a crash or time-out does to its environment (F3.5)."""

    reset: Annotated[str | None, choice(*limits.ERROR_RESETS)] = Field(
        default=None, description=about("What becomes of the environment.", limits.ERROR_RESET)
    )


class RpsSection(Section):
    """``[account.rps]``: how requests per second are counted (Q4)."""

    mode: Annotated[str | None, choice(*limits.RPS_MODES)] = Field(
        default=None, description=about("Shape of the window.", limits.RPS_MODE)
    )
    window_s: Annotated[Number | None, seconds()] = Field(
        default=None, description=about("Length of the window.", limits.RPS_WINDOW_S)
    )


#: Decimals after the point that a rate may have, as a text may.
_FINEST_REFILL: Final = 10**9


def _check_refill(value: object, _era: Era) -> Number | str:
    if not isinstance(value, str):
        number = check_number(value, 0, limits.FACTOR_MAX.value)
        # Credit is exact (Z18): a third is "1/3", and 0.3333333333333333 something else.
        if exact(number).denominator > _FINEST_REFILL:
            fail("choice")
        return number
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?(/[1-9]\d{0,8})?", value):
        fail("choice")
    if exact_refill(value) > limits.FACTOR_MAX.value:
        fail("range")
    return value


def exact_refill(value: Number | str) -> Any:
    """Give tokens per second as they were written."""
    if isinstance(value, str) and "/" in value:
        tokens, _, per = value.partition("/")
        return exact(tokens) / exact(per)
    return exact(value)


class ScalingSection(Section):
    """``[account.scaling]``: how fast environments may be added (F2, Z18)."""

    scope: Annotated[str | None, choice(*limits.SCALING_SCOPES)] = Field(
        default=None, description="A bucket for each function, or one. Default by era."
    )
    mode: Annotated[str | None, choice(*limits.SCALING_MODES)] = Field(
        default=None, description=about("How tokens come back.", limits.SCALING_MODE)
    )
    capacity: Annotated[int | None, whole(_COUNTS)] = Field(
        default=None, description="Tokens of a full bucket. Default by era and Region."
    )
    refill_per_s: Annotated[
        Number | str | None,
        Takes(
            _check_refill,
            f'a number of tokens from 0 to {limits.FACTOR_MAX.value}, or a fraction as "500/60"',
            Annotated[float, Field(ge=0)] | str,
        ),
    ] = Field(default=None, description='Tokens per second, or text such as "500/60".')
    step_s: Annotated[Number | None, seconds()] = Field(
        default=None,
        description=about("Window of modes step and sliding.", limits.SCALING_STEP_S),
    )
    rps_coupling: Annotated[bool | None, flag()] = Field(
        default=None, description="Whether warm starts beyond 10 a second buy units (Z19)."
    )


class AsyncSection(Section):
    """``[account.async]``: the queue of asynchronous events (F5)."""

    jitter_half: Annotated[Number | str | None, number(0, 1, "a number", "off")] = Field(
        default=None, description=about("Half width of the waits' jitter.", limits.JITTER_HALF)
    )
    expiry: Annotated[str | None, choice(*limits.EXPIRIES)] = Field(
        default=None, description=about("When an event has become too old.", limits.EXPIRY)
    )
    dispatch_s: Annotated[Number | str | None, seconds("off", least=0)] = Field(
        default=None, description=about("Time from event to first attempt.", limits.DISPATCH_S)
    )


class BillingSection(Section):
    """``[account.billing]`` (Q12)."""

    aborted_init: Annotated[bool | None, flag()] = Field(
        default=None,
        description=about("Whether an aborted init is billed.", limits.ABORTED_INIT_BILLED),
    )


def _check_clamp(value: object, _era: Era) -> bool:
    if value is False:
        fail("not_modelled", what="durations beyond the time-out", rule="F3.7")
    if value is not True:
        fail("type")
    return True


class ReportSection(Section):
    """``[account.report]`` (F3.7)."""

    clamp_timeout: Annotated[bool | None, Takes(_check_clamp, "true", bool)] = Field(
        default=None, description="Whether Duration ends at the time-out: true."
    )


def _check_region(value: object, _era: Era) -> str:
    if not isinstance(value, str):
        fail("type")
    if not re.fullmatch(r"[a-z]{2}(-[a-z]{2,12}){1,3}-\d{1,2}", value):
        fail("choice")
    return value


class PricingSection(Section):
    """``[account.pricing]`` (F7)."""

    region: Annotated[
        str | None, Takes(_check_region, "the code of a Region such as us-east-1", str)
    ] = Field(
        default=None,
        description=about("Whose prices, and whose burst in eras before 2023-11.", limits.REGION),
    )
    free_tier: Annotated[bool | None, flag()] = Field(
        default=None, description=about("Whether the free tier is taken off.", limits.FREE_TIER)
    )


class AccountSection(Section):
    """``[account]``: one account in one Region (F1)."""

    concurrency: Annotated[int | None, whole(limits.CONCURRENCY_RANGE.value)] = Field(
        default=None,
        description=about("Units of concurrency that all functions share.", limits.CONCURRENCY),
    )
    min_unreserved: Annotated[int | str | None, whole(_COUNTS, "", "off")] = Field(
        default=None,
        description="Units that must stay unreserved. Default 100, or all where there are fewer.",
    )
    era: Annotated[str | None, Takes(_check_era, choices(tuple(ERAS)), Literal[tuple(ERAS)])] = (
        Field(default=None, description=about("Preset of every dated rule.", limits.DEFAULT_ERA))
    )
    requests_per_second: Annotated[
        int | str | None, whole(limits.CONCURRENCY_RANGE.value, "", "off")
    ] = Field(
        default=None,
        description='Requests per second of the account; "off": no such limit at any level (Q36). '
        "Default 10 x concurrency.",
    )
    rps: RpsSection | None = None
    scaling: Annotated[
        ScalingSection | str | None,
        table(ScalingSection, 'a table with capacity, refill_per_s, …, or "off"', "off"),
    ] = Field(default=None, description='How fast environments may be added; "off": at any rate.')
    idle: Annotated[
        IdleSection | None,
        Takes(
            lambda value, era: IdleSection.model_validate(value, context=Context(era=era)),
            "a table with policy and seconds, or a policy",
            IdleSection | Literal[("off", *IDLE_POLICIES)],
        ),
    ] = Field(default=None, description="When idle environments go (Q9).")
    env: EnvSection | None = None
    error: ErrorSection | None = None
    reuse_policy: Annotated[str | None, choice(*limits.REUSE_POLICIES)] = Field(
        default=None, description=about("Which idle environment serves next.", limits.REUSE_POLICY)
    )
    proactive_fraction: Annotated[Number | str | None, number(0, 1, "a number", "off")] = Field(
        default=None,
        description=about("Share of inits nobody waits for.", limits.PROACTIVE_FRACTION),
    )
    init_timeout_s: Annotated[Number | str | None, seconds("off")] = Field(
        default=None,
        description="Limit of the init phase where no function or default says.",
    )
    async_: AsyncSection | None = Field(default=None, alias="async")
    billing: BillingSection | None = None
    report: ReportSection | None = None
    pricing: PricingSection | None = None
