"""The keys this version models, as pydantic models: names, types, ranges, and what fits together.

Owns what a single section may say. Leaves out defaults (resolve.py), keys recognised only
(recognised.py), what several sections say together (contradictions.py) and the wording of messages
(problems.py), which all read limits.py.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, ValidationInfo, model_validator

from lambda_replay.scenario import functions, limits
from lambda_replay.scenario.eras import ERAS, Era
from lambda_replay.scenario.functions import FunctionSection
from lambda_replay.scenario.section import Section, about
from lambda_replay.scenario.takes import (
    INSTANT,
    INSTANT_OR_OFF,
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
    text,
    whole,
)
from lambda_replay.scenario.units import Number, Pair, exact

__all__ = [
    "IDLE_POLICIES",
    "SECTIONS",
    "AccountSection",
    "ChangeSection",
    "FaultSection",
    "IdleSection",
    "ReplaySection",
    "ScalingSection",
    "ScenarioModel",
    "StateSection",
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


def _check_refill(value: object, _era: Era) -> Number | str:
    if not isinstance(value, str):
        return check_number(value, 0, limits.FACTOR_MAX.value)
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


class StateSection(Section):
    """``[state]``: what a run does when another has its state_key (S)."""

    discipline: Annotated[str | None, choice(*limits.DISCIPLINES)] = Field(
        default=None, description=about("Wait, start over, or never touch.", limits.DISCIPLINE)
    )
    scope: Annotated[str | None, choice(*limits.STATE_SCOPES)] = Field(
        default=None, description=about("Who shares keys.", limits.STATE_SCOPE)
    )
    max_lock_wait_s: Annotated[Number | str | None, seconds("off", least=0)] = Field(
        default=None, description='When a wait is given up. Default "off".'
    )
    max_retries: Annotated[int | None, whole(_COUNTS)] = Field(
        default=None, description=about("Times started over.", limits.STATE_MAX_RETRIES)
    )
    backoff_ms: Annotated[
        Number | str | None,
        number(0, limits.INIT_MS_MAX.value, "a number of milliseconds", "off"),
    ] = Field(default=None, description=about("Wait before that.", limits.STATE_BACKOFF_MS))
    top: Annotated[int | None, whole(_COUNTS)] = Field(
        default=None, description=about("Hottest keys to report.", limits.STATE_TOP)
    )


class ChangeSection(Section):
    """``[[changes]]``: configuration that changes while the trace runs (Z1, Z20)."""

    at: Annotated[int, INSTANT] = Field(description="When.")
    set: dict[str, Any] = Field(description='Dotted keys: "functions.f.reserved_concurrency" = 0.')


_FACTOR: Final = number(0, limits.FACTOR_MAX.value, "a factor")


class FaultSection(Section):
    """``[[faults]]``: what goes wrong, when (Z21, Z36)."""

    at: Annotated[int, INSTANT] = Field(description="From when on.")
    for_s: Annotated[Number, seconds()] = Field(description="For how long.")
    function: Annotated[str | None, text("the name of a function or a glob")] = Field(
        default=None, description="A name or glob; all functions where it is missing."
    )
    slow: Annotated[Number | None, _FACTOR] = Field(
        default=None, description="Factor of durations, init not among them."
    )
    init: Annotated[Number | None, _FACTOR] = Field(default=None, description="Factor of inits.")
    error: Annotated[str | None, choice("crash", "handled")] = Field(
        default=None, description="Every run that starts in the window ends so."
    )
    throttle: Annotated[bool | None, flag()] = Field(
        default=None, description="Every request in the window is refused."
    )

    @model_validator(mode="after")
    def _one(self) -> FaultSection:
        kinds = ("slow", "init", "error", "throttle")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            detail = f"a fault is one of slow, init, error or throttle; found {found}"
            fail("contradiction", detail=detail)
        if self.function is not None and ":" in self.function:
            detail = "faults go by the name of a function without its qualifier (Z36)"
            fail("contradiction", at="function", detail=detail)
        if self.throttle is False:
            fail("contradiction", at="throttle", detail="a fault that is none; leave it out")
        return self


class ReplaySection(Section):
    """``[replay]``: the run rather than AWS."""

    seed: Annotated[int | None, whole(limits.SEED_RANGE.value)] = Field(
        default=None, description=about("Same seed, trace and scenario: same bytes.", limits.SEED)
    )
    time_scale: Annotated[
        Number | str | None, number(*limits.TIME_SCALE_RANGE.value, "a number", "off")
    ] = Field(
        default=None,
        description=about("Arrivals squeezed (below 1) or stretched.", limits.TIME_SCALE),
    )
    load: Annotated[Number | str | None, number(0, limits.LOAD_MAX.value, "a number", "off")] = (
        Field(default=None, description=about("Traffic thinned or repeated.", limits.LOAD))
    )
    until: Annotated[int | str | None, INSTANT_OR_OFF] = Field(
        default=None, description='When the replay ends. Default "off": when nothing is left.'
    )


class ScenarioModel(Section):
    """A whole scenario."""

    account: AccountSection = AccountSection()
    defaults: FunctionSection = FunctionSection()
    functions: dict[str, FunctionSection] = Field(default_factory=dict)
    state: StateSection | None = None
    changes: list[ChangeSection] = Field(default_factory=list)
    faults: list[FaultSection] = Field(default_factory=list)
    replay: ReplaySection = ReplaySection()


#: Sections by their place: "" is the top of the file, "function" is [defaults] and
#: [functions.NAME] alike; below it provisioned_concurrency is one pool of it.
SECTIONS: Final[dict[str, type[BaseModel]]] = {
    "": ScenarioModel,
    "account": AccountSection,
    "account.idle": IdleSection,
    "account.env": EnvSection,
    "account.error": ErrorSection,
    "account.rps": RpsSection,
    "account.scaling": ScalingSection,
    "account.async": AsyncSection,
    "account.billing": BillingSection,
    "account.report": ReportSection,
    "account.pricing": PricingSection,
    "function": FunctionSection,
    "function.client_retry": functions.ClientSection,
    "function.provisioned_concurrency": functions.PoolSection,
    "function.provisioned_concurrency.target_tracking": functions.TrackingSection,
    "function.provisioned_concurrency.schedule": functions.ScheduleSection,
    "state": StateSection,
    "changes": ChangeSection,
    "faults": FaultSection,
    "replay": ReplaySection,
}
