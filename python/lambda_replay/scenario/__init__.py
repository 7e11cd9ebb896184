"""Scenarios: what a trace is replayed under, from TOML to the explicit structure the core takes."""

from __future__ import annotations

from lambda_replay.scenario.origins import Origin, Undocumented
from lambda_replay.scenario.resolved import (
    AccountConfig,
    FunctionConfig,
    Idle,
    Resolved,
    ResolvedAccount,
    ResolvedFunction,
)
from lambda_replay.scenario.scenario import Scenario

__all__ = [
    "AccountConfig",
    "FunctionConfig",
    "Idle",
    "Origin",
    "Resolved",
    "ResolvedAccount",
    "ResolvedFunction",
    "Scenario",
    "Undocumented",
]
