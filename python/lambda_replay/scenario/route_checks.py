"""What routes say that the rest of a scenario rules out: unknown doors, two doors at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Final

from lambda_replay.exceptions import Problem, show
from lambda_replay.names import LATEST, split
from lambda_replay.scenario.globs import compile_glob
from lambda_replay.scenario.keys import KeyPath
from lambda_replay.scenario.models import ScenarioModel
from lambda_replay.scenario.problems import Where, problem_at
from lambda_replay.scenario.source_limits import QUEUES

__all__ = ["route_problems"]

_DIRECT: Final = ("sync", "async")


def route_problems(model: ScenarioModel, where: Where) -> Iterator[Problem]:
    """List what is wrong with routes, each by itself valid.

    Parameters
    ----------
    model
        The scenario.
    where
        Positions of its keys.
    """
    first: dict[str, int] = {}
    for number, route in enumerate(model.routes):
        at: KeyPath = ("routes", number)
        if route.function in first:
            message = (
                f"{show(route.function)} has a route already, routes[{first[route.function]}]; "
                "one function comes by one door"
            )
            yield problem_at(
                (*at, "function"), where, message, code="LR-S006", value=route.function
            )
            continue
        first[route.function] = number
        if route.source in _DIRECT:
            continue
        source = model.event_sources.get(route.source)
        path: KeyPath = (*at, "source")
        if source is None:
            known = (*_DIRECT, *model.event_sources)
            near = difflib.get_close_matches(route.source, known, n=1)
            message = f"{show(route.source)} is no event source of the scenario" + (
                f"; did you mean {show(near[0])}?"
                if near
                else f"; expected {', '.join(known[:6])}{', …' if len(known) > 6 else ''}"
            )
            suggestion = near[0] if near else None
            yield problem_at(
                path,
                where,
                message,
                code="LR-S005",
                value=route.source,
                suggestion=suggestion,
            )
            continue
        invoked = (split(source.function) or (source.function, LATEST))[0]
        if compile_glob(route.function) is not None:
            message = (
                f"{show(route.source)} invokes {invoked} alone, and {show(route.function)} is a "
                f"glob; write function = {show(invoked)}"
            )
            yield problem_at((*at, "function"), where, message, code="LR-S006", suggestion=invoked)
        elif invoked != route.function:
            message = (
                f"batches of {show(route.source)} invoke {invoked}, so {show(route.function)} "
                "cannot come by it; give it an event source of its own"
            )
            yield problem_at(path, where, message, code="LR-S006", value=route.source)
        elif route.key is not None and source.type in QUEUES and source.type != "sqs_fifo":
            message = (
                f"{show(route.source)} is a standard queue, which has no keys; take key out or "
                'make its type "sqs_fifo"'
            )
            yield problem_at((*at, "key"), where, message, code="LR-S006", value=route.key)
