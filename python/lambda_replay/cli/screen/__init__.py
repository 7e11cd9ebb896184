"""The first screen of a run: at most 40 lines of 100 columns, whatever the trace is like."""

from __future__ import annotations

from lambda_replay.cli.screen.compose import Asked, compose
from lambda_replay.cli.screen.look import Look, is_terminal

__all__ = ["Asked", "Look", "compose", "is_terminal"]
