"""From what the core metered to what it costs: the only place where bills meet prices."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import polars as pl

from lambda_replay.exceptions import ScenarioError
from lambda_replay.pricing import (
    AllocationRow,
    FreeSplit,
    MeterRow,
    Month,
    Prices,
    account_cost,
    function_costs,
    poller_cost,
)
from lambda_replay.pricing.prices import MB_MS_PER_GB_S

if TYPE_CHECKING:
    from lambda_replay.engine import Engine

__all__ = ["Costs", "costs_of"]


@dataclass(frozen=True)
class Costs:
    """What a replay would have cost, US dollars.

    Attributes
    ----------
    account
        The keys of ``cost_usd``; None where the prices of the Region are not known.
    functions
        Totals by function, before tiers and free tier (Z42).
    missing
        Why there are no prices.
    prices
        Those of the Region; None where they are not known.
    """

    account: dict[str, float] | None
    functions: dict[str, float] = field(default_factory=dict)
    missing: str | None = None
    prices: Prices | None = None

    def waits(self, x86: int, arm: int, x86_provisioned: int, arm_provisioned: int) -> float | None:
        """Price MB ms of billed waits, before tiers and free tier (Z42); None without prices."""
        if self.prices is None:
            return None
        usd = Fraction(0)
        for is_arm, on_demand, provisioned in (
            (False, x86, x86_provisioned),
            (True, arm, arm_provisioned),
        ):
            own = self.prices.of(arm=is_arm)
            usd += Fraction(on_demand, MB_MS_PER_GB_S) * own.duration[0].usd_per_gb_s
            usd += Fraction(provisioned, MB_MS_PER_GB_S) * own.provisioned_duration
        return float(usd)


def costs_of(engine: Engine) -> Costs:
    """Price what the core metered. Complete once the replay is finished."""
    account = engine.scenario.account
    try:
        prices = Prices.for_region(account.region)
    except ScenarioError as error:
        return Costs(None, missing=str(error.problems[0] if error.problems else error))
    bills = pl.DataFrame(engine.core.bills()).to_dicts()
    rows = [
        MeterRow(
            function=engine.names[bill["function"]],
            month=_month(bill["month"]),
            arm=bill["arm"],
            provisioned_configured=bill["configured"],
            kind="provisioned" if bill["provisioned"] else "on_demand",
            invocations=bill["requests"],
            extra_requests=bill["extra_requests"],
            mb_ms=bill["mb_ms"],
            storage_mb_ms=bill["storage_mb_ms"],
        )
        for bill in bills
    ]
    pools = engine.core.provisioned_pools()
    first = engine.first_month()
    unit = account.billing_unit_us
    for pool in pools:
        billed_ms = -(-max(pool["init_us"], 1) // unit) * unit // 1_000 if pool["init_us"] else 0
        rows.append(
            MeterRow(
                function=engine.names[pool["function"]],
                month=first,
                arm=pool["arm"],
                provisioned_configured=True,
                kind="provisioned",
                invocations=0,
                init_mb_ms=pool["inits"] * billed_ms * pool["memory_mb"],
            )
        )
    allocations = [
        AllocationRow(
            engine.names[pool["function"]], pool["arm"], pool["billed_us"] * pool["memory_mb"]
        )
        for pool in pools
    ]
    split: dict[Month, FreeSplit] | None = None
    if account.free_tier:
        parts: dict[Month, list[int]] = defaultdict(lambda: [0, 0])
        for bill in bills:
            parts[_month(bill["month"])][bill["arm"]] += bill["free_mb_ms"]
        split = {month: FreeSplit(*part) for month, part in parts.items()}
    total = account_cost(
        rows, allocations, free_tier=account.free_tier, prices=prices, free_split=split
    )
    totals = {name: cost.total for name, cost in function_costs(rows, allocations, prices).items()}
    pollers = Fraction(0)
    for function, kind, units_us in engine.poller_units():
        price = poller_cost([units_us], prices, source="kafka" if kind == "kafka" else "sqs")
        pollers += price
        totals[function] = totals.get(function, Fraction(0)) + price
    total = dataclasses.replace(total, other=total.other + pollers)
    by_name = {name: float(cost) for name, cost in totals.items()}
    return Costs(total.usd(), by_name, prices=prices)


def _month(number: int) -> Month:
    """Year and month of year x 12 + month - 1."""
    return number // 12, number % 12 + 1
