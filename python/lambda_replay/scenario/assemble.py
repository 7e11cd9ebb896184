"""From a checked scenario to the whole explicit structure."""

from __future__ import annotations

from lambda_replay.scenario import limits
from lambda_replay.scenario.check import Checked
from lambda_replay.scenario.globs import compile_glob, literal_characters
from lambda_replay.scenario.models import FaultSection, RouteSection, StateSection
from lambda_replay.scenario.origins import list_origins
from lambda_replay.scenario.problems import Where
from lambda_replay.scenario.read import Location
from lambda_replay.scenario.resolve import or_default
from lambda_replay.scenario.resolved import Fault, Resolved, ResolvedState, Route, fault_of
from lambda_replay.scenario.units import Number, ms_to_us, s_to_us

__all__ = ["resolve"]


def resolve(checked: Checked, where: Where) -> Resolved:
    """Resolve a checked scenario.

    Parameters
    ----------
    checked
        What `check` gave.
    where
        Positions of the keys, for the origins.
    """
    model = checked.model
    replay = model.replay
    return Resolved(
        seed=or_default(replay.seed, limits.SEED.value),
        epochs=checked.epochs,
        state=_state(model.state),
        faults=tuple(_fault(fault) for fault in model.faults),
        routes=_routes(model.routes, where),
        until_us=replay.until if isinstance(replay.until, int) else None,
        time_scale=_factor(replay.time_scale, limits.TIME_SCALE.value),
        load=_factor(replay.load, limits.LOAD.value),
        _origins=tuple(list_origins(checked, where)),
    )


def _factor(given: Number | str | None, default: float) -> float:
    return default if given is None or isinstance(given, str) else float(given)


def _state(given: StateSection | None) -> ResolvedState:
    state = given or StateSection()
    wait, backoff = state.max_lock_wait_s, state.backoff_ms
    if backoff is None:
        backoff = limits.STATE_BACKOFF_MS.value
    return ResolvedState(
        given=given is not None,
        discipline=or_default(state.discipline, limits.DISCIPLINE.value),
        scope=or_default(state.scope, limits.STATE_SCOPE.value),
        max_lock_wait_us=None if wait is None or isinstance(wait, str) else s_to_us(wait),
        max_retries=or_default(state.max_retries, limits.STATE_MAX_RETRIES.value),
        backoff_us=0 if isinstance(backoff, str) else ms_to_us(backoff),
        top=or_default(state.top, limits.STATE_TOP.value),
    )


def _fault(given: FaultSection) -> Fault:
    return fault_of(
        given.function,
        given.at,
        given.at + s_to_us(given.for_s),
        slow=None if given.slow is None else float(given.slow),
        init=None if given.init is None else float(given.init),
        error=given.error,
        throttle=given.throttle is True,
    )


def _routes(given: list[RouteSection], where: Where) -> tuple[Route, ...]:
    """Order routes as sections of functions: names, globs that fix more, then the first."""
    routes = [
        Route(
            one.function,
            one.source,
            one.key,
            compile_glob(one.function),
            number,
            where.get(("routes", number, "function"), Location()),
        )
        for number, one in enumerate(given)
    ]
    return tuple(
        sorted(
            routes,
            key=lambda one: (
                one.pattern is not None,
                -literal_characters(one.function),
                one.number,
            ),
        )
    )
