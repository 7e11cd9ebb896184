"""The limits that could refuse: what was in force, and what it is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from lambda_replay.figures import count, plural

if TYPE_CHECKING:
    from lambda_replay.cli.screen.look import Look
    from lambda_replay.results import ReplayResult
    from lambda_replay.scenario.epoch import Scaling

__all__ = ["InForce"]

_NAMES = {
    "account_concurrency": "the account's concurrency limit",
    "reserved_concurrency": "reserved concurrency",
    "reserved_zero": "reserved concurrency of 0",
    "latest_blocked": "$LATEST being blocked",
    "account_rps": "the account's request rate",
    "reserved_rps": "the request rate of reserved concurrency",
    "scaling_rate": "the scaling rate",
    "fault": "faults of the scenario",
}
#: Room for the name of a function in the middle of a sentence.
_NAME_CELLS = 24


@dataclass(frozen=True)
class InForce:
    """The limits of a replay, over all its epochs.

    Attributes
    ----------
    concurrency, rps
        Of the account, each value it had; no ``rps``: no request-rate limit at any level.
    rps_follows
        Whether the request rate is that of AWS, ten times the concurrency.
    scaling
        Each scaling rate there was.
    scaling_scope
        Who draws on one bucket.
    reserved
        Functions of the trace that had reserved concurrency.
    provisioned
        Whether anything was provisioned.
    """

    concurrency: tuple[int, ...]
    rps: tuple[int, ...]
    rps_follows: bool
    scaling: tuple[Scaling, ...]
    scaling_scope: str
    reserved: tuple[str, ...]
    provisioned: bool

    @classmethod
    def of(cls, result: ReplayResult) -> InForce:
        """Find out what could refuse in a replay."""
        resolved = result.scenario.resolve()
        accounts = [epoch.account for epoch in resolved.epochs]
        origin = {one.key: one.origin for one in resolved.origins()}
        reserved = [
            name
            for name in result.functions["function"]
            if "reserved" in result.facts
            and any(epoch.function(name).reserved is not None for epoch in resolved.epochs)
        ]
        return cls(
            concurrency=tuple(dict.fromkeys(one.concurrency for one in accounts)),
            rps=tuple(dict.fromkeys(one.rps for one in accounts if one.rps is not None)),
            rps_follows=origin.get("account.requests_per_second") == "default",
            scaling=tuple(dict.fromkeys(one.scaling for one in accounts if one.scaling)),
            scaling_scope=resolved.account.scaling_scope,
            reserved=tuple(reserved),
            provisioned="provisioned" in result.facts,
        )

    @property
    def limit(self) -> str:
        """The account's concurrency, or the least and the most that it was."""
        return _range(self.concurrency)

    def none(self, result: ReplayResult) -> list[str]:
        """Say how far off a refusal was, where there was none: two parts of a sentence."""
        peak = count(result.summary.max_concurrency)
        if len(self.concurrency) > 1:
            return [f"under limits of {self.limit}"]
        if self.reserved or self.provisioned:
            most = count(claimed(result))
            return [f"under a limit of {self.limit}", f"of which at most {most} were claimed"]
        text = f"under a limit of {self.limit}"
        if self.rps and self.rps_follows:
            # A lower limit lowers the request rate too, whose peak by the second nobody knows.
            return [text, f"of which at most {peak} were in use"]
        return [text, f"nor under any from {peak} up"]

    def names(self) -> list[str]:
        """List what could have refused."""
        parts = [f"concurrency {self.limit}"]
        if self.rps:
            parts.append(f"{_range(self.rps)} requests/s")
        if len(self.scaling) == 1:
            tokens, micros = self.scaling[0].refill
            per_10_s = f"{10_000_000 * tokens / micros:,.4g}" if micros else "no"
            per = " and function" if self.scaling_scope == "function" else ""
            parts.append(f"scaling {per_10_s} per 10 s{per}")
        elif self.scaling:
            parts.append("scaling rates")
        if self.reserved:
            parts.append(f"reserved concurrency of {plural(len(self.reserved), 'function')}")
        return [f"in force: {parts[0]}", *parts[1:]]

    def called(self, limit: str, result: ReplayResult, look: Look) -> str:
        """Call a limit that refused by its name and size."""
        name = _NAMES.get(limit, limit)
        if limit == "account_concurrency":
            return f"{name} of {self.limit}"
        if limit == "account_rps" and self.rps:
            return f"{name} of {_range(self.rps)}/s"
        if limit in {"reserved_concurrency", "reserved_zero", "reserved_rps"}:
            by = pl.col("throttles_by_limit").struct.field(limit)
            whose = result.functions.filter(by > 0)["function"]
            if len(whose) == 1:
                return f"{name} ({look.name(whose[0], _NAME_CELLS)})"
        return name


def claimed(result: ReplayResult) -> int:
    """Give the most units of the account that were claimed, in use or not."""
    most = result.region["ClaimedAccountConcurrency"].max()
    return max(result.summary.max_concurrency, most if isinstance(most, int) else 0)


def _range(values: tuple[int, ...]) -> str:
    least, most = min(values), max(values)
    return count(least) if least == most else f"{count(least)} to {count(most)}"
