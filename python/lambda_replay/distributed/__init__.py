"""Points of a sweep on a cluster; imported only where somebody names a scheduler."""

from __future__ import annotations

from lambda_replay.distributed.dask import replay_on

__all__ = ["replay_on"]
