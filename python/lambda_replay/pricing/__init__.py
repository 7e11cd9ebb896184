"""What a replay would have cost: the price table and the arithmetic on exact sums.

Owns prices with their sources and the rules of tiers, free tier and rounding (F7, Z40 to Z43).
Leaves out how sums are metered: the core hands over integers, and nothing here reads a row of a
trace. Everything is exact until :meth:`Cost.usd` turns it into floats.
"""

from lambda_replay.pricing.cost import (
    AllocationRow,
    Cost,
    FreeSplit,
    MeterRow,
    Month,
    account_cost,
    function_costs,
    resolve_free_split,
    split_free_pot,
)
from lambda_replay.pricing.extras import (
    chargeable_stream_bytes,
    poller_cost,
    snapstart_cost,
    streaming_cost,
    tenant_isolation_cost,
)
from lambda_replay.pricing.prices import (
    REGIONS,
    SAVINGS_PLANS,
    ArchitecturePrices,
    Prices,
    SavingsPlan,
    Tier,
)

__all__ = [
    "REGIONS",
    "SAVINGS_PLANS",
    "AllocationRow",
    "ArchitecturePrices",
    "Cost",
    "FreeSplit",
    "MeterRow",
    "Month",
    "Prices",
    "SavingsPlan",
    "Tier",
    "account_cost",
    "chargeable_stream_bytes",
    "function_costs",
    "poller_cost",
    "resolve_free_split",
    "snapstart_cost",
    "split_free_pot",
    "streaming_cost",
    "tenant_isolation_cost",
]
