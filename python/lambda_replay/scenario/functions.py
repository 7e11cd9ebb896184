"""What ``[defaults]`` and ``[functions.NAME]`` may say (F3, F5, Z56)."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, Final, cast

from pydantic import Field, RootModel, model_validator

from lambda_replay.scenario import limits
from lambda_replay.scenario.eras import Era
from lambda_replay.scenario.recurrence import CronError, is_timezone, parse_cron, parse_rate
from lambda_replay.scenario.section import Section, about
from lambda_replay.scenario.takes import (
    INSTANT,
    Context,
    Takes,
    check_number,
    check_whole,
    choice,
    choices,
    fail,
    flag,
    number,
    seconds,
    table,
    text,
    whole,
)
from lambda_replay.scenario.units import Number, exact

__all__ = [
    "CLIENTS",
    "OF_POOL",
    "ClientSection",
    "FunctionSection",
    "PoolSection",
    "ScheduleSection",
    "TrackingSection",
    "runtime_family",
]

_COUNTS: Final = limits.COUNT_RANGE.value
#: Keys of one pool; a table without any of them has pools by qualifier (Z22).
OF_POOL: Final = ("initial", "target_tracking", "schedule")


def _check_target(value: object, _era: Era) -> Fraction:
    return exact(check_number(value, *limits.TARGET_RANGE.value))


class TrackingSection(Section):
    """``target_tracking``: Application Auto Scaling of a pool (F3.9, Z25)."""

    target: Annotated[
        Fraction,
        Takes(
            _check_target,
            "a number from {} to {}".format(*limits.TARGET_RANGE.value),
            Annotated[float, Field(ge=0.1, le=0.9)],
        ),
    ] = Field(description="Utilisation to keep, 0.1 to 0.9.")
    min: Annotated[int, whole(_COUNTS)] = Field(description="Fewest environments.")
    max: Annotated[int, whole(_COUNTS)] = Field(description="Most environments.")

    @model_validator(mode="after")
    def _fits(self) -> TrackingSection:
        _check_bounds(self.min, self.max)
        return self


_CRON: Final = 'six fields as AWS has them, such as "0 8 ? * MON-FRI *"'
_RATE: Final = 'a rate as AWS has it, such as "5 minutes"'
_TIMEZONE: Final = 'a name of the IANA database, such as "Europe/Berlin"'


def _check_cron(value: object, _era: Era) -> str:
    if not isinstance(value, str):
        fail("type")
    try:
        parse_cron(value)
    except CronError as error:
        fail("contradiction", detail=str(error))
    return value


def _check_rate(value: object, _era: Era) -> str:
    if not isinstance(value, str):
        fail("type")
    try:
        parse_rate(value)
    except CronError as error:
        fail("contradiction", detail=str(error))
    return value


def _check_timezone(value: object, _era: Era) -> str:
    if not isinstance(value, str):
        fail("type")
    if not is_timezone(value):
        fail("choice")
    return value


class ScheduleSection(Section):
    """An entry of ``schedule``: other bounds from an instant on, or again and again (Z25)."""

    at: Annotated[int | None, INSTANT] = Field(default=None, description="From when on.")
    cron: Annotated[str | None, Takes(_check_cron, _CRON, str)] = Field(
        default=None,
        description="When, again and again: AWS's six fields minutes, hours, day of month, month, "
        "day of week, year.",
    )
    rate: Annotated[str | None, Takes(_check_rate, _RATE, str)] = Field(
        default=None, description="How often, from start_time on."
    )
    timezone: Annotated[str | None, Takes(_check_timezone, _TIMEZONE, str)] = Field(
        default=None, description='Of cron. Default "UTC".'
    )
    start_time: Annotated[int | None, INSTANT] = Field(
        default=None, description="First time of what recurs; it takes place then, too."
    )
    end_time: Annotated[int | None, INSTANT] = Field(
        default=None, description="What recurs does not take place after it."
    )
    min: Annotated[int | None, whole(_COUNTS)] = Field(
        default=None, description="Fewest environments from then on."
    )
    max: Annotated[int | None, whole(_COUNTS)] = Field(
        default=None, description="Most environments from then on."
    )

    @model_validator(mode="after")
    def _fits(self) -> ScheduleSection:
        given = [key for key in ("at", "cron", "rate") if getattr(self, key) is not None]
        if not given:
            fail(
                "missing_key",
                at="at",
                expected="a date and time such as 2026-03-01T12:00:00Z, or cron or rate",
            )
        if len(given) > 1:
            fail("contradiction", at=given[1], detail=f"{given[0]} says already when")
        if self.timezone is not None and self.cron is None:
            fail("contradiction", at="timezone", detail="it is for cron; instants have their own")
        if self.rate is not None and self.start_time is None:
            fail("contradiction", at="rate", detail="it needs start_time to count from")
        if self.at is not None:
            for key in ("start_time", "end_time"):
                if getattr(self, key) is not None:
                    fail("contradiction", at=key, detail="at is an instant of its own")
        if self.end_time is not None and self.end_time < (self.start_time or self.end_time):
            fail("contradiction", at="end_time", detail="it is before start_time")
        if self.min is None and self.max is None:
            fail("contradiction", detail="an entry needs min, max or both")
        _check_bounds(self.min, self.max)
        return self


def _check_bounds(least: int | None, most: int | None) -> None:
    if least is not None and most is not None and least > most:
        fail("contradiction", at="min", detail=f"min {least} is above max {most}")


class PoolSection(Section):
    """Provisioned concurrency of one pool (Z22)."""

    initial: Annotated[int | None, whole(_COUNTS)] = Field(
        default=None, description="Environments that are READY when the trace starts. Default 0."
    )
    target_tracking: TrackingSection | None = None
    schedule: list[ScheduleSection] = Field(
        default_factory=list, description="Other bounds from an instant on."
    )

    @model_validator(mode="after")
    def _fits(self) -> PoolSection:
        """Refuse entries that contradict each other or what came before."""
        bounds = self.target_tracking
        least, most = (bounds.min, bounds.max) if bounds is not None else (0, None)
        seen: dict[int, int] = {}
        for i, entry in sorted(enumerate(self.schedule), key=lambda item: item[1].at or 0):
            if entry.at is None:
                continue
            if entry.at in seen:
                detail = f"schedule[{seen[entry.at]}] and schedule[{i}] are for the same instant"
                fail("contradiction", at="schedule", detail=detail)
            seen[entry.at] = i
            least = least if entry.min is None else entry.min
            most = most if entry.max is None else entry.max
            if most is not None and least > most:
                detail = f"from schedule[{i}] on min {least} is above max {most}"
                fail("contradiction", at="schedule", detail=detail)
        self._check_recurring()
        return self

    def _check_recurring(self) -> None:
        """Refuse bounds that may cross: what recurs may come after any other entry."""
        if all(entry.at is not None for entry in self.schedule):
            return
        bounds = [(i, entry.min, entry.max) for i, entry in enumerate(self.schedule)]
        if self.target_tracking is not None:
            bounds.append((-1, self.target_tracking.min, self.target_tracking.max))
        for i, least, most in bounds:
            for j, other_least, other_most in bounds:
                if least is None or other_most is None or least <= other_most:
                    continue
                # One that gives both leaves nothing of another.
                if (most is None and i >= 0) or (other_least is None and j >= 0):
                    one = f"schedule[{i}]" if i >= 0 else "target_tracking"
                    other = f"schedule[{j}]" if j >= 0 else "target_tracking"
                    detail = (
                        f"min {least} of {one} may meet max {other_most} of {other}; "
                        "write min and max in both"
                    )
                    fail("contradiction", at="schedule", detail=detail)


class _ByQualifier(RootModel[dict[str, PoolSection]]):
    """Pools by qualifier."""


#: ``{None: pool}``: one pool for all rows of the name; else pools by qualifier; "off".
Provisioned = dict[str | None, PoolSection]

_PROVISIONED: Final = (
    "an integer from 0, a table with initial, target_tracking and schedule, "
    'a table of these by qualifier, or "off"'
)


def _check_provisioned(value: object, era: Era) -> Provisioned | str:
    context = Context(era=era)
    if value == "off":
        return "off"
    if not isinstance(value, dict):
        return {None: PoolSection(initial=check_whole(value, _COUNTS))}
    if any(key in OF_POOL for key in value):
        return {None: PoolSection.model_validate(value, context=context)}
    if "$LATEST" in value:
        detail = "provisioned concurrency is for versions and aliases, never for $LATEST (F3.9)"
        fail("contradiction", at="$LATEST", detail=detail)
    if "" in value:
        fail("contradiction", detail="the name of a qualifier is empty")
    # The short form of a pool: live = 15.
    tables = {
        key: {"initial": one} if isinstance(one, int) and not isinstance(one, bool) else one
        for key, one in value.items()
        if one != "off"
    }
    return cast("Provisioned", _ByQualifier.model_validate(tables, context=context).root)


# ---------------------------------------------------------------------------- clients


class ClientSection(Section):
    """``client_retry`` as a table: what a synchronous caller does about a 429 (Z28)."""

    mode: Annotated[str | None, choice(*limits.CLIENT_MODES)] = Field(
        default=None,
        description=about(
            "AWS's name of the retry mode; adaptive: the callers of a function share a client "
            "that limits its own rate.",
            limits.CLIENT_MODE,
        ),
    )
    max_attempts: Annotated[int | None, whole(limits.CLIENT_ATTEMPTS_RANGE.value)] = Field(
        default=None, description=about("Tries in all.", limits.CLIENT_ATTEMPTS)
    )
    base_s: Annotated[Number | None, seconds(least=0)] = Field(
        default=None, description=about("First wait; it doubles.", limits.CLIENT_BASE_S)
    )
    cap_s: Annotated[Number | str | None, seconds("off", least=0)] = Field(
        default=None, description=about("Longest wait.", limits.CLIENT_CAP_S)
    )
    factor: Annotated[
        Number | str | None, number(0, limits.FACTOR_MAX.value, "a number", "uniform")
    ] = Field(
        default=None,
        description=about(
            "What the wait is multiplied by; uniform: drawn from 0 to 1.", limits.CLIENT_FACTOR
        ),
    )
    quota: Annotated[int | str | None, whole(_COUNTS, "", "off")] = Field(
        default=None, description='Tokens for retries, 5 each. Default "off".'
    )
    read_timeout_s: Annotated[Number | str | None, seconds("off")] = Field(
        default=None, description='When the caller stops waiting for an answer. Default "off".'
    )


#: Presets of ``client_retry`` by name (F4.2): the table that says the same.
CLIENTS: Final[dict[str, dict[str, Any] | None]] = {
    "none": None,
    "off": None,
    "botocore_legacy": {"max_attempts": 5, "base_s": 1, "cap_s": "off", "factor": "uniform"},
    "botocore_standard_2020": {"max_attempts": 3, "base_s": 1, "cap_s": 20, "factor": "uniform"},
    "botocore_standard_2026": {"max_attempts": 3, "base_s": 1, "cap_s": 20, "factor": "uniform"},
    "botocore_adaptive": {
        "mode": "adaptive",
        "max_attempts": 3,
        "base_s": 1,
        "cap_s": 20,
        "factor": "uniform",
    },
    # AWS's best practice: interval 2 s, 6 retries, back-off 2.
    "step_functions": {"max_attempts": 7, "base_s": 2, "cap_s": "off", "factor": 1},
}


# ---------------------------------------------------------------------------- init


def runtime_family(runtime: str) -> str | None:
    """Give the row of the table of typical init times: ``python3.12`` is ``python``."""
    known = limits.TYPICAL_INIT_MS.value
    return next((family for family in known if runtime.lower().startswith(family)), None)


def _check_runtime(value: object, _era: Era) -> str:
    if not isinstance(value, str):
        fail("type")
    if runtime_family(value) is None:
        fail("choice")
    return value


_FACTORS: Final = 'a table of factors by memory in MB, such as { "512" = 2.0 }, or "off"'


def _check_factors(value: object, era: Era) -> dict[int, Number]:
    if value == "off":
        return {}
    if not isinstance(value, dict):
        fail("type")
    found: dict[int, Number] = {}
    for key, factor in value.items():
        size = int(key) if re.fullmatch(r"[1-9]\d{0,8}", key) else 0
        if size not in era.memory_mb.value:
            valid = era.memory_mb.value
            detail = f"{key} is no size of memory: {valid.minimum} to {valid.maximum} MB"
            fail("contradiction", detail=detail)
        if (
            isinstance(factor, bool)
            or not isinstance(factor, (int, float))
            or not limits.DURATION_FACTOR_MIN.value <= factor <= limits.FACTOR_MAX.value
        ):
            low, high = limits.DURATION_FACTOR_MIN.value, limits.FACTOR_MAX.value
            fail("type", at=key, expected=f"a number from {low} to {high}")
        found[size] = factor
    return found


class FunctionSection(Section):
    """``[defaults]`` or ``[functions.NAME]``."""

    memory_mb: Annotated[int | None, whole(lambda era: era.memory_mb.value, "MB")] = Field(
        default=None, description=about("Memory of the function, for cost.", limits.MEMORY_MB)
    )
    duration_factor: Annotated[
        dict[int, Number] | None, Takes(_check_factors, _FACTORS, dict[str, float] | str)
    ] = Field(
        default=None,
        description="Durations by memory_mb, relative to the trace's; a size that is not listed "
        'keeps them. Default "off".',
    )
    timeout_s: Annotated[
        int | str | None, whole(lambda era: era.timeout_s.value, "seconds", "off")
    ] = Field(default=None, description=about("Time-out of the function.", limits.TIMEOUT_S))
    init_ms: Annotated[
        Number | str | None,
        number(0, limits.INIT_MS_MAX.value, "a number of milliseconds", "typical"),
    ] = Field(
        default=None,
        description=about(
            "What a cold start adds where the trace does not say; typical: by runtime.",
            limits.INIT_MS,
        ),
    )
    runtime: Annotated[
        str | None,
        Takes(
            _check_runtime,
            f"{choices(tuple(limits.TYPICAL_INIT_MS.value))} or an identifier such as python3.12",
            str,
        ),
    ] = Field(default=None, description='For init_ms = "typical" alone (Z55).')
    init_billed: Annotated[bool | None, flag()] = Field(
        default=None,
        description=about("Whether the init phase is billed.", by_era="Default by era (F3.7)."),
    )
    init_timeout_s: Annotated[Number | str | None, seconds("off")] = Field(
        default=None,
        description=about("Limit of the init phase on demand.", limits.INIT_TIMEOUT_S),
    )
    architecture: Annotated[str | None, choice(*limits.ARCHITECTURES.value)] = Field(
        default=None, description=about("Instruction set, for cost.", limits.ARCHITECTURE)
    )
    ephemeral_storage_mb: Annotated[
        int | None, whole(lambda era: era.ephemeral_storage_mb.value, "MB")
    ] = Field(default=None, description=about("Size of /tmp.", limits.EPHEMERAL_STORAGE_MB))
    restore_ms: Annotated[
        Number | str | None,
        number(0, limits.INIT_MS_MAX.value, "a number of milliseconds", "off"),
    ] = Field(
        default=None,
        description='SnapStart: what restoring takes in place of any init (Z54). Default "off".',
    )
    reserved_concurrency: Annotated[int | str | None, whole(_COUNTS, "", "off")] = Field(
        default=None,
        description="Units for this function alone, and its limit; 0 stops it (F1.1). "
        'Default "off".',
    )
    provisioned_concurrency: Annotated[
        Provisioned | str | None,
        Takes(_check_provisioned, _PROVISIONED, int | str | PoolSection | dict[str, Any]),
    ] = Field(
        default=None,
        description="Environments kept READY: an integer for all rows of the name, a table "
        '{ initial, target_tracking, schedule }, or a table of these by qualifier. Default "off".',
    )
    maximum_event_age_s: Annotated[int | None, whole(limits.EVENT_AGE_RANGE.value)] = Field(
        default=None,
        description=about("How old an asynchronous event may become.", limits.EVENT_AGE_S),
    )
    maximum_retry_attempts: Annotated[int | None, whole(limits.RETRY_ATTEMPTS_RANGE.value)] = Field(
        default=None,
        description=about("Retries of an event after a function error.", limits.RETRY_ATTEMPTS),
    )
    on_failure: Annotated[str | None, text("a name that deliveries are counted under")] = Field(
        default=None,
        description='Where failed events are delivered: a name to count under. Default "off".',
    )
    client_retry: Annotated[
        ClientSection | str | None,
        table(ClientSection, f"{choices(tuple(CLIENTS))}, or a table", *CLIENTS),
    ] = Field(
        default=None, description='What synchronous callers do about a 429 (F4.2). Default "none".'
    )
