"""Money from exact sums: per function before tiers and free tier, and the account's bill.

Owns months, tiers, the free tier and what counts as which item. Leaves out prices and the items
that a replay does not charge by itself. Sums are integers, results are fractions: no float
decides anything here.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from lambda_replay.pricing.prices import MB_MS_PER_GB_S, MB_US_PER_GB_S, Prices, SavingsPlan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lambda_replay.pricing.prices import Tier

__all__ = [
    "AllocationRow",
    "Cost",
    "FreeSplit",
    "MeterRow",
    "Month",
    "account_cost",
    "function_costs",
    "resolve_free_split",
    "split_free_pot",
]

#: Year and month (1 to 12) in UTC.
Month: TypeAlias = tuple[int, int]

#: Provisioned concurrency is charged in steps of five minutes (F7, Z41).
_ALLOCATION_STEP_US: Final = 5 * 60 * 1_000_000


class FreeSplit(NamedTuple):
    """Free MB·ms of one month that each architecture used (Z42)."""

    x86_mb_ms: int
    arm_mb_ms: int


@dataclass(frozen=True, slots=True)
class MeterRow:
    """Sums of a function's runs; rows with equal keys add up.

    Attributes
    ----------
    function
        Name; with several accounts, one call per account.
    month
        UTC month of the runs' start (Z42).
    arm
        True for arm64, False for x86.
    provisioned_configured
        Whether the function had provisioned concurrency configured when the runs started: such
        runs take no free GB-seconds (Z42).
    kind
        ``provisioned`` for runs served by a provisioned environment; spilled runs are on demand.
    invocations
        Runs.
    extra_requests
        Requests charged for asynchronous payloads above 256 KB (Z29).
    mb_ms
        Σ memory_mb × billed_ms, billed init included (F3.7, Z40).
    storage_mb_ms
        Σ max(0, ephemeral_mb − 512) × billed_ms.
    init_mb_ms
        Σ memory_mb × billed init of provisioned environments, each init rounded up by itself.
    """

    function: str
    month: Month
    arm: bool
    provisioned_configured: bool
    kind: Literal["on_demand", "provisioned"]
    invocations: int
    extra_requests: int = 0
    mb_ms: int = 0
    storage_mb_ms: int = 0
    init_mb_ms: int = 0

    def __post_init__(self) -> None:
        _check_month(self.month)
        if self.kind not in {"on_demand", "provisioned"}:
            raise ValueError(f"kind is on_demand or provisioned, not {self.kind!r}")
        for name in ("invocations", "extra_requests", "mb_ms", "storage_mb_ms", "init_mb_ms"):
            _check_count(name, getattr(self, name))
        if self.kind == "on_demand" and self.init_mb_ms:
            raise ValueError("on-demand init is part of mb_ms; init_mb_ms is of provisioned rows")

    @property
    def requests(self) -> int:
        """Requests charged."""
        return self.invocations + self.extra_requests

    @property
    def free_mb_ms(self) -> int:
        """MB·ms that may come out of the free tier (Z42)."""
        return 0 if self.kind == "provisioned" or self.provisioned_configured else self.mb_ms


@dataclass(frozen=True, slots=True)
class AllocationRow:
    """Provisioned concurrency of one function over time, as charged (Z41); rows add up.

    Attributes
    ----------
    function
        Name.
    arm
        True for arm64, False for x86.
    mb_us
        ∫ amount × memory_mb dt in MB·µs, spans rounded up to five minutes.
    """

    function: str
    arm: bool
    mb_us: int

    def __post_init__(self) -> None:
        _check_count("mb_us", self.mb_us)

    @classmethod
    def of_span(
        cls,
        function: str,
        *,
        arm: bool,
        memory_mb: int,
        steps: Sequence[tuple[int, int]],
        end_us: int,
    ) -> AllocationRow:
        """Charge one span of provisioned concurrency of one qualifier.

        Parameters
        ----------
        function, arm, memory_mb
            As configured at the end of the replay.
        steps
            Instants in microseconds, rising, with the amount requested from then on, above 0. A
            removal ends the span; a later request opens another one.
        end_us
            Removal, last release or ``until``.

        Notes
        -----
        Rule Z41: the span is rounded up once, the time added counts at the last amount.
        """
        if not steps:
            raise ValueError("a span has at least one step")
        starts = [at for at, _ in steps]
        ends = [*starts[1:], end_us]
        if any(start > end for start, end in zip(starts, ends, strict=True)):
            raise ValueError("steps rise and come before the end of the span")
        if any(amount <= 0 for _, amount in steps):
            raise ValueError("an amount of 0 is a removal: it ends the span")
        length = end_us - starts[0]
        ends[-1] = starts[0] + -(-length // _ALLOCATION_STEP_US) * _ALLOCATION_STEP_US
        unit_us = sum(
            amount * (end - start) for (start, amount), end in zip(steps, ends, strict=True)
        )
        return cls(function, arm, memory_mb * unit_us)


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars, exact.

    Attributes
    ----------
    requests
        Requests, those for large asynchronous payloads included.
    duration
        Run time of all runs, provisioned ones at their own price.
    provisioned
        Provisioned concurrency and the inits of its environments.
    other
        Ephemeral storage above 512 MB; of an account the event pollers of provisioned mode, too.
    adjustment
        Of an account: its total − Σ totals of its functions, at most 0; None for a function.
    """

    requests: Fraction = Fraction(0)
    duration: Fraction = Fraction(0)
    provisioned: Fraction = Fraction(0)
    other: Fraction = Fraction(0)
    adjustment: Fraction | None = None

    @property
    def total(self) -> Fraction:
        """Sum of the items; ``adjustment`` is already within them."""
        return self.requests + self.duration + self.provisioned + self.other

    def usd(self) -> dict[str, float]:
        """Give ``cost_usd`` as floats, each the nearest to its exact value."""
        items = {
            "requests": float(self.requests),
            "duration": float(self.duration),
            "provisioned": float(self.provisioned),
            "other": float(self.other),
        }
        if self.adjustment is not None:
            items["adjustment"] = float(self.adjustment)
        return {**items, "total": float(self.total)}


def function_costs(
    meter_rows: Iterable[MeterRow],
    allocation_rows: Iterable[AllocationRow],
    prices: Prices,
) -> dict[str, Cost]:
    """Price every function alone: before tiers, free tier and savings plans (Z42).

    Parameters
    ----------
    meter_rows, allocation_rows
        Sums in any order.
    prices
        Of the account's Region.

    Returns
    -------
    dict
        Cost by function, sorted by name. A function that only has allocations is in it.
    """
    requests: defaultdict[str, Fraction] = defaultdict(Fraction)
    duration: defaultdict[str, Fraction] = defaultdict(Fraction)
    provisioned: defaultdict[str, Fraction] = defaultdict(Fraction)
    other: defaultdict[str, Fraction] = defaultdict(Fraction)
    for row in meter_rows:
        own = prices.of(arm=row.arm)
        on_demand = row.kind == "on_demand"
        price = own.duration[0].usd_per_gb_s if on_demand else own.provisioned_duration
        requests[row.function] += row.requests * prices.request
        duration[row.function] += _gb_s(row.mb_ms) * price
        provisioned[row.function] += _gb_s(row.init_mb_ms) * own.provisioned_duration
        other[row.function] += _gb_s(row.storage_mb_ms) * prices.storage
    for span in allocation_rows:
        provisioned[span.function] += _allocation(span, prices)
    return {
        name: Cost(requests[name], duration[name], provisioned[name], other[name])
        for name in sorted(requests.keys() | provisioned.keys())
    }


def account_cost(
    meter_rows: Iterable[MeterRow],
    allocation_rows: Iterable[AllocationRow],
    *,
    free_tier: bool,
    prices: Prices,
    free_split: Mapping[Month, tuple[int, int]] | None = None,
    savings_plan: SavingsPlan | None = None,
) -> Cost:
    """Price an account in one Region: tiers by month and architecture, then the free tier.

    Parameters
    ----------
    meter_rows, allocation_rows
        Sums of all functions of the account, in any order.
    free_tier
        Whether the free requests and GB-seconds of each UTC month are taken off.
    prices
        Of the account's Region.
    free_split
        Free MB·ms by month as (x86, Arm), used first come in order of start. Needed only for
        months in which both architectures ask for more than there is.
    savings_plan
        Discount on duration, provisioned duration and allocation; it is part of ``adjustment``.

    Returns
    -------
    Cost
        The bill, with ``adjustment`` = its total − Σ :func:`function_costs`.

    Raises
    ------
    ValueError
        ``free_split`` is needed and missing, or is not what the rows allow.

    Notes
    -----
    Rules F7 and Z42. Tiers count GB-seconds on demand that remain after the free ones; provisioned
    duration has no tiers and no free GB-seconds; all requests count towards the free million.
    """
    rows, spans = tuple(meter_rows), tuple(allocation_rows)
    asked: defaultdict[Month, int] = defaultdict(int)
    on_demand: defaultdict[tuple[Month, bool], int] = defaultdict(int)
    duration = provisioned = other = Fraction(0)
    for row in rows:
        asked[row.month] += row.requests
        price = prices.of(arm=row.arm).provisioned_duration * _left(savings_plan, arm=row.arm)
        if row.kind == "on_demand":
            on_demand[row.month, row.arm] += row.mb_ms
        else:
            duration += _gb_s(row.mb_ms) * price
        provisioned += _gb_s(row.init_mb_ms) * price
        other += _gb_s(row.storage_mb_ms) * prices.storage
    for span in spans:
        provisioned += _allocation(span, prices) * _left(savings_plan, arm=span.arm)

    free = resolve_free_split(rows, prices, free_split) if free_tier else {}
    for (month, arm), mb_ms in on_demand.items():
        billable = mb_ms - free.get(month, FreeSplit(0, 0))[arm]
        tiered = _tiered(billable, prices.of(arm=arm).duration)
        duration += tiered * _left(savings_plan, arm=arm)

    free_requests = prices.free_requests if free_tier else 0
    billed = sum(max(0, count - free_requests) for count in asked.values())
    bill = Cost(billed * prices.request, duration, provisioned, other)
    alone = sum((cost.total for cost in function_costs(rows, spans, prices).values()), Fraction(0))
    return Cost(bill.requests, duration, provisioned, other, adjustment=bill.total - alone)


def resolve_free_split(
    meter_rows: Iterable[MeterRow],
    prices: Prices,
    free_split: Mapping[Month, tuple[int, int]] | None = None,
) -> dict[Month, FreeSplit]:
    """Say how much of each month's free GB-seconds x86 and Arm use (Z42).

    Where what was asked for fits, or comes from one architecture only, the rows decide alone, and
    a split given for that month must agree. Elsewhere the order of start decides, so that
    ``free_split`` must have the month.

    Parameters
    ----------
    meter_rows
        Sums of all functions of the account.
    prices
        For the size of the pot.
    free_split
        As (x86, Arm) MB·ms by month; months without runs must have (0, 0).

    Raises
    ------
    ValueError
        A month is missing, or a split is not exactly min(pot, asked), or one architecture gets
        more than it asked for.
    """
    wanted: defaultdict[Month, list[int]] = defaultdict(lambda: [0, 0])
    for row in meter_rows:
        wanted[row.month][row.arm] += row.free_mb_ms
    given = {} if free_split is None else free_split
    for month in given:
        _check_month(month)
    found: dict[Month, FreeSplit] = {}
    for month in sorted(wanted.keys() | given.keys()):
        x86, arm = wanted.get(month, (0, 0))
        used = min(prices.free_mb_ms, x86 + arm)
        split = given.get(month)
        if split is None:
            if used < x86 + arm and x86 and arm:
                raise ValueError(
                    f"free_split has no {month}: x86 and Arm ask for {x86} and {arm} MB·ms of"
                    f" {used}, and the order of start decides who gets them"
                )
            split = (min(used, x86), min(used, arm))
        if not (0 <= split[0] <= x86 and 0 <= split[1] <= arm and sum(split) == used):
            raise ValueError(
                f"free_split[{month}] is {split}: x86 and Arm ask for {x86} and {arm} MB·ms and"
                f" get {used} together"
            )
        found[month] = FreeSplit(*split)
    return found


def split_free_pot(
    runs: Iterable[tuple[Month, bool, int]], prices: Prices
) -> dict[Month, FreeSplit]:
    """Hand the free GB-seconds out, first come first served: what the core does, spelled out.

    Parameters
    ----------
    runs
        (month, arm, mb_ms) of runs that may take free GB-seconds, in order of start, arrival and
        attempt. A run that the pot's end falls into is split.
    prices
        For the size of the pot.
    """
    used: defaultdict[Month, list[int]] = defaultdict(lambda: [0, 0])
    for month, arm, mb_ms in runs:
        taken = used[month]
        taken[arm] += min(mb_ms, prices.free_mb_ms - sum(taken))
    return {month: FreeSplit(x86, arm) for month, (x86, arm) in used.items()}


def _tiered(mb_ms: int, tiers: Sequence[Tier]) -> Fraction:
    """Price a month's MB·ms of one architecture; what crosses an end is split there (Z42)."""
    usd, start = Fraction(0), 0
    for tier in tiers:
        end = mb_ms if tier.up_to_gb_s is None else tier.up_to_gb_s * MB_MS_PER_GB_S
        inside = max(0, min(mb_ms, end) - start)
        usd += _gb_s(inside) * tier.usd_per_gb_s
        start = end
    return usd


def _allocation(row: AllocationRow, prices: Prices) -> Fraction:
    return Fraction(row.mb_us, MB_US_PER_GB_S) * prices.of(arm=row.arm).allocation


def _left(plan: SavingsPlan | None, *, arm: bool) -> Fraction:
    return Fraction(1) if plan is None else plan.factor(arm=arm)


def _gb_s(mb_ms: int) -> Fraction:
    return Fraction(mb_ms, MB_MS_PER_GB_S)


def _check_count(name: str, value: int) -> None:
    if value < 0:
        raise ValueError(f"{name} is at least 0, not {value}")


def _check_month(month: Month) -> None:
    if not 1 <= month[1] <= 12:
        raise ValueError(f"a month is (year, 1 to 12), not {month}")
