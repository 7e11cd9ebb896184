"""Scenarios: what a trace is replayed under, from TOML to the explicit structure the core takes."""

from __future__ import annotations

from lambda_replay.scenario.choices import FACTS, Undocumented
from lambda_replay.scenario.epoch import Epoch, Idle, ResolvedAccount, ResolvedFunction
from lambda_replay.scenario.origins import Origin
from lambda_replay.scenario.resolved import Resolved
from lambda_replay.scenario.scenario import Scenario

__all__ = [
    "FACTS",
    "Epoch",
    "Idle",
    "Origin",
    "Resolved",
    "ResolvedAccount",
    "ResolvedFunction",
    "Scenario",
    "Undocumented",
]
