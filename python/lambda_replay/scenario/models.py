"""The keys this version models, as pydantic models: names, types, ranges, and what fits together.

Owns what a single section may say. Leaves out defaults (resolve.py), keys recognised only
(recognised.py), what several sections say together (contradictions.py) and the wording of messages
(problems.py), which all read limits.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, model_validator

from lambda_replay.checks import CheckError, parse
from lambda_replay.scenario import account, functions, limits
from lambda_replay.scenario.account import AccountSection
from lambda_replay.scenario.functions import FunctionSection
from lambda_replay.scenario.globs import compile_glob
from lambda_replay.scenario.limits import Range
from lambda_replay.scenario.section import Section, about
from lambda_replay.scenario.sources import (
    PollersSection,
    PollerStepSection,
    ReshardSection,
    SourceSection,
)
from lambda_replay.scenario.takes import (
    INSTANT,
    INSTANT_OR_OFF,
    choice,
    fail,
    flag,
    number,
    seconds,
    text,
    texts,
    whole,
)
from lambda_replay.scenario.units import Number

__all__ = [
    "SECTIONS",
    "ChangeSection",
    "ChecksSection",
    "DownstreamSection",
    "FaultSection",
    "ReplaySection",
    "RouteSection",
    "ScenarioModel",
    "StateSection",
]

_COUNTS: Final = limits.COUNT_RANGE.value


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


class RouteSection(Section):
    """``[[routes]]``: rows of a function come through another door than in the trace."""

    function: Annotated[str, text("the name of a function or a glob")] = Field(
        description="Whose rows: a name, or a glob where source is sync or async."
    )
    source: Annotated[str, text("sync, async or the name of an event source")] = Field(
        description="The door: sync, async or an event source that invokes the function."
    )
    key: Annotated[str | None, text("the name of a column of the trace")] = Field(
        default=None,
        description="Column that becomes the partition key or message group; else the column key.",
    )

    @model_validator(mode="after")
    def _whole_function(self) -> RouteSection:
        if ":" in self.function and compile_glob(self.function) is None:
            detail = "routes go by the name of a function without its qualifier"
            fail("contradiction", at="function", detail=detail)
        if self.key is not None and self.source in {"sync", "async"}:
            detail = f"{self.source} rows have no key; a key goes with an event source"
            fail("contradiction", at="key", detail=detail)
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


def _wrong_condition(expression: str) -> str | None:
    """Say what is wrong with a condition."""
    try:
        parse(expression)
    except CheckError as error:
        return f"{error}{f' ({error.hint})' if error.hint else ''}"
    return None


class ChecksSection(Section):
    """``[checks]``: conditions that fail a run, as ``--fail-if`` has them."""

    fail_if: Annotated[
        tuple[str, ...] | None,
        texts('an array of conditions such as ["throttle_rate > 0.1%"]', _wrong_condition),
    ] = Field(default=None, description="Leave with 99 if one of these holds.")


class DownstreamSection(Section):
    """``[downstream.NAME]``: what stands behind functions and takes so many connections."""

    functions: Annotated[tuple[str, ...], texts("an array of names of functions or globs")] = Field(
        description="Names or globs."
    )
    limit: Annotated[int, whole(Range(1, limits.COUNT_RANGE.value.maximum))] = Field(
        description="Connections that it takes."
    )
    per_environment: Annotated[int | None, whole(Range(1, limits.COUNT_RANGE.value.maximum))] = (
        Field(default=None, description="Connections of each execution environment. Default 1.")
    )


class ScenarioModel(Section):
    """A whole scenario."""

    account: AccountSection = AccountSection()
    defaults: FunctionSection = FunctionSection()
    functions: dict[str, FunctionSection] = Field(default_factory=dict)
    event_sources: dict[str, SourceSection] = Field(default_factory=dict)
    state: StateSection | None = None
    changes: list[ChangeSection] = Field(default_factory=list)
    faults: list[FaultSection] = Field(default_factory=list)
    routes: list[RouteSection] = Field(default_factory=list)
    replay: ReplaySection = ReplaySection()
    checks: ChecksSection = ChecksSection()
    downstream: dict[str, DownstreamSection] = Field(default_factory=dict, description="By name.")


#: Sections by their place: "" is the top of the file, "function" is [defaults] and
#: [functions.NAME] alike, "event_source" is [event_sources.NAME]; below "function"
#: provisioned_concurrency is one pool of it.
SECTIONS: Final[dict[str, type[BaseModel]]] = {
    "": ScenarioModel,
    "account": AccountSection,
    "account.idle": account.IdleSection,
    "account.env": account.EnvSection,
    "account.error": account.ErrorSection,
    "account.rps": account.RpsSection,
    "account.scaling": account.ScalingSection,
    "account.async": account.AsyncSection,
    "account.billing": account.BillingSection,
    "account.report": account.ReportSection,
    "account.pricing": account.PricingSection,
    "function": FunctionSection,
    "function.client_retry": functions.ClientSection,
    "function.provisioned_concurrency": functions.PoolSection,
    "function.provisioned_concurrency.target_tracking": functions.TrackingSection,
    "function.provisioned_concurrency.schedule": functions.ScheduleSection,
    "event_source": SourceSection,
    "event_source.provisioned_pollers": PollersSection,
    "event_source.poller_step": PollerStepSection,
    "event_source.reshard": ReshardSection,
    "state": StateSection,
    "changes": ChangeSection,
    "faults": FaultSection,
    "routes": RouteSection,
    "replay": ReplaySection,
    "checks": ChecksSection,
    "downstream": DownstreamSection,
}
