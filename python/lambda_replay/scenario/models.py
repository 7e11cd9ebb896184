"""The keys this version models, as pydantic models: names, types, ranges, and what fits together.

Owns what a single section may say. Leaves out defaults (resolve.py), keys recognised only
(recognised.py) and the wording of messages (problems.py), which all read limits.py.
None means "not given"; a null in the input never gets here.
"""

from __future__ import annotations

import difflib
import math
import re
from typing import Annotated, Any, Final, TypeAlias, TypedDict

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lambda_replay.scenario.limits import (
    ARCHITECTURES,
    CONCURRENCY_RANGE,
    DEFAULT_ERA,
    ERAS,
    INIT_MS_MAX,
    MAX_SECONDS,
    MIN_SECONDS,
    REUSE_POLICIES_LATER,
    REUSE_POLICY,
    SEED_RANGE,
    Era,
)
from lambda_replay.scenario.units import Number, Pair

__all__ = [
    "AccountSection",
    "Context",
    "EnvSection",
    "FunctionSection",
    "IdleSection",
    "ReplaySection",
    "ScenarioModel",
]

IDLE_POLICIES: Final = ("none", "fixed", "uniform", "halving")


class Context(TypedDict):
    """What a section must know of the rest: rules change with the era."""

    era: Era


def _era(info: ValidationInfo) -> Era:
    context: Context | None = info.context
    return context["era"] if context else ERAS[DEFAULT_ERA.value]


def _error(kind: str, **context: str) -> PydanticCustomError:
    """Give an error whose kind problems.py turns into words.

    ``detail`` says what is wrong where the kind does not, ``at`` names the key below the model that
    is to blame, ``suggestion`` what was probably meant, ``what`` and ``rule`` what waits for a
    later version.
    """
    return PydanticCustomError(kind, "{kind}", {"kind": kind, **context})


def _check_choice(value: object, choices: tuple[str, ...], **later: str) -> str:
    if not isinstance(value, str):
        raise _error("type")
    if value in later:
        raise _error("not_modelled", what=later[value], rule="Z56")
    if value not in choices:
        near = difflib.get_close_matches(value[:100].lower(), choices, n=1)
        raise _error("choice", **({"suggestion": near[0]} if near else {}))
    return value


def _check_number(value: object, minimum: Number, maximum: Number) -> Number:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _error("type")
    if not (math.isfinite(value) if isinstance(value, float) else True):
        raise _error("range")
    if not minimum <= value <= maximum:
        raise _error("range")
    return value


def _check_pair(value: list[object]) -> Pair:
    if len(value) != 2:
        raise _error("shape", detail=f"{len(value)} elements")
    low, high = (_check_number(number, 0, MAX_SECONDS.value) for number in value)
    if low > high:
        raise _error("shape", detail="the first is above the second", suggestion=f"[{high}, {low}]")
    return low, high


def _check_seconds(value: object) -> Number | Pair:
    if isinstance(value, list):
        return _check_pair(value)
    return _check_number(value, MIN_SECONDS.value, MAX_SECONDS.value)


def _check_era(value: object) -> str:
    if isinstance(value, str) and value not in ERAS and re.fullmatch(r"\d{4}-\d{2}", value):
        # By similarity 2019-11 would be near anything; the era in force then is what is meant.
        before = [name for name in ERAS if name <= value]
        raise _error("choice", suggestion=before[-1] if before else next(iter(ERAS)))
    return _check_choice(value, tuple(ERAS))


def _check_policy(value: object) -> str:
    # Z56: "off" switches a parameter off.
    policy = "none" if value == "off" else value
    return _check_choice(policy, IDLE_POLICIES, empirical="the idle policy 'empirical'")


def _check_lifetime(value: object) -> str | Number | Pair:
    return "off" if value == "off" else _check_seconds(value)


def _check_reuse(value: object) -> str:
    later = {name: f"the reuse policy '{name}'" for name in REUSE_POLICIES_LATER}
    return _check_choice(value, (REUSE_POLICY.value,), **later)


def _check_timeout(value: object) -> str:
    if value == "off" and isinstance(value, str):
        return "off"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise _error("not_modelled", what="time-outs", rule="F3.1")
    raise _error("type" if not isinstance(value, str) else "choice")


def _check_init_ms(value: object) -> Number:
    if value == "typical":
        raise _error("not_modelled", what="typical init times by runtime", rule="Z55")
    return _check_number(value, 0, INIT_MS_MAX.value)


def _check_memory(value: int, info: ValidationInfo) -> int:
    valid = _era(info).memory_mb.value
    if value in valid:
        return value
    if not valid.minimum <= value <= valid.maximum:
        raise _error("range")
    below = value - (value - valid.minimum) % valid.step
    raise _error("range", suggestion=str(min(below + valid.step, valid.maximum)))


def _check_architecture(value: object) -> str:
    return _check_choice(value, ARCHITECTURES.value)


Seconds: TypeAlias = Annotated[
    Number | Pair, PlainValidator(_check_seconds, json_schema_input_type=float | list[float])
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class IdleSection(_Section):
    """``[account.idle]``: when idle environments go (F3.3, Z4, Z5)."""

    policy: Annotated[str, PlainValidator(_check_policy, json_schema_input_type=str)] | None = (
        Field(default=None, description="What removes idle environments.")
    )
    seconds: Seconds | None = Field(
        default=None, description="fixed: idle time; uniform: [a, b]; halving: its period."
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"policy": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits(self, info: ValidationInfo) -> IdleSection:
        preset_policy, preset_seconds = _era(info).idle.value
        policy = self.policy or preset_policy
        seconds = self.seconds
        if seconds is None and policy == preset_policy:
            seconds = preset_seconds
        asked = f'policy "{policy}"'
        if self.policy is None:
            asked += f" (the default of era {_era(info).name})"
        if policy == "none" and seconds is not None:
            raise _error("contradiction", at="seconds", detail=f"{asked} takes no seconds")
        if policy == "fixed" and not isinstance(seconds, (int, float)):
            detail = f"{asked} needs seconds, a number above 0"
            raise _error("contradiction", at="seconds", detail=detail)
        if policy == "uniform" and not isinstance(seconds, tuple):
            detail = f"{asked} needs seconds = [a, b] with 0 <= a <= b"
            raise _error("contradiction", at="seconds", detail=detail)
        if policy == "halving" and isinstance(seconds, tuple):
            detail = f"{asked} takes one number of seconds, its period"
            raise _error("contradiction", at="seconds", detail=detail)
        return self


class EnvSection(_Section):
    """``[account.env]``: what holds for every environment (F3.4)."""

    max_lifetime: (
        Annotated[
            str | Number | Pair,
            PlainValidator(_check_lifetime, json_schema_input_type=str | float | list[float]),
        ]
        | None
    ) = Field(default=None, description="Seconds an environment lives, [a, b], or off.")


class AccountSection(_Section):
    """``[account]``: one account in one Region (F1)."""

    concurrency: int | None = Field(
        default=None,
        ge=CONCURRENCY_RANGE.value.minimum,
        le=CONCURRENCY_RANGE.value.maximum,
        description="Units of concurrency that all functions share.",
    )
    era: Annotated[str, PlainValidator(_check_era, json_schema_input_type=str)] | None = Field(
        default=None, description="Preset of every dated rule."
    )
    idle: IdleSection | None = None
    env: EnvSection | None = None
    reuse_policy: (
        Annotated[str, PlainValidator(_check_reuse, json_schema_input_type=str)] | None
    ) = Field(default=None, description="Which idle environment serves next.")


class FunctionSection(_Section):
    """``[defaults]`` or ``[functions.NAME]``."""

    memory_mb: Annotated[int, AfterValidator(_check_memory)] | None = Field(
        default=None, description="Memory of the function, for cost."
    )
    architecture: (
        Annotated[str, PlainValidator(_check_architecture, json_schema_input_type=str)] | None
    ) = Field(default=None, description="Instruction set, for cost.")
    init_ms: (
        Annotated[Number, PlainValidator(_check_init_ms, json_schema_input_type=float)] | None
    ) = Field(default=None, description="What a cold start adds where the trace does not say.")
    init_billed: bool | None = Field(default=None, description="Whether the init phase is billed.")
    timeout_s: Annotated[str, PlainValidator(_check_timeout, json_schema_input_type=str)] | None = (
        Field(default=None, description="Time-out of the function.")
    )


class ReplaySection(_Section):
    """``[replay]``: the run rather than AWS."""

    seed: int | None = Field(
        default=None,
        ge=SEED_RANGE.value.minimum,
        le=SEED_RANGE.value.maximum,
        description="Same seed, trace and scenario: same bytes.",
    )


class ScenarioModel(_Section):
    """A whole scenario."""

    account: AccountSection = AccountSection()
    defaults: FunctionSection = FunctionSection()
    functions: dict[str, FunctionSection] = Field(default_factory=dict)
    replay: ReplaySection = ReplaySection()
