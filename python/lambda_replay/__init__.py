"""Replays a trace of invocations through a faithful state machine of AWS Lambda.

What would my workload have done under another configuration?

>>> import lambda_replay as lr
>>> result = lr.replay("sample:azure2019", lr.Scenario(account={"concurrency": 10}))
>>> result.summary.throttled > 0
True
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lambda_replay.batch_duration import fit_batch_duration
    from lambda_replay.compare import Comparison, compare
    from lambda_replay.exceptions import (
        IntegrityError,
        InternalError,
        LambdaReplayError,
        OutputError,
        Problem,
        ResourceError,
        ScenarioError,
        TraceError,
    )
    from lambda_replay.replay import replay, scan_outcomes
    from lambda_replay.results import ReplayResult, Summary, TraceReport
    from lambda_replay.scenario import Scenario
    from lambda_replay.size import Recommendation, size
    from lambda_replay.sweep import pareto_front, sweep
    from lambda_replay.synthetic import generate
    from lambda_replay.traces import read_trace
    from lambda_replay.validate import Validation, validate

# The command line must start without Polars and pydantic, so names are imported when asked for.
_HOMES = {
    "batch_duration": ("fit_batch_duration",),
    "exceptions": (
        "IntegrityError",
        "InternalError",
        "LambdaReplayError",
        "OutputError",
        "Problem",
        "ResourceError",
        "ScenarioError",
        "TraceError",
    ),
    "compare": ("Comparison", "compare"),
    "replay": ("replay", "scan_outcomes"),
    "results": ("ReplayResult", "Summary", "TraceReport"),
    "scenario": ("Scenario",),
    "size": ("Recommendation", "size"),
    "sweep": ("pareto_front", "sweep"),
    "synthetic": ("generate",),
    "traces": ("read_trace",),
    "validate": ("Validation", "validate"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Comparison",
    "IntegrityError",
    "InternalError",
    "LambdaReplayError",
    "OutputError",
    "Problem",
    "Recommendation",
    "ReplayResult",
    "ResourceError",
    "Scenario",
    "ScenarioError",
    "Summary",
    "TraceError",
    "TraceReport",
    "Validation",
    "__version__",
    "compare",
    "fit_batch_duration",
    "generate",
    "pareto_front",
    "read_trace",
    "replay",
    "scan_outcomes",
    "size",
    "sweep",
    "validate",
]


class _Package(ModuleType):
    """A package whose functions are not hidden by its modules of the same name."""

    def __setattr__(self, name: str, value: object) -> None:
        # Importing lambda_replay.replay, the module, would hide lambda_replay.replay, the function.
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("lambda_replay._core").__version__
    if name in _HOME_OF:
        value = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
        globals()[name] = value
        return value
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted(__all__)
