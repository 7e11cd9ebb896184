"""The price table: US dollars per unit, exact, with where each price comes from.

Owns prices, tiers, the free tier and the discounts of savings plans. Leaves out arithmetic. One
table serves all eras (Z43).

Sources, as numbered in docs/semantics.md: S25 is https://aws.amazon.com/lambda/pricing/, S35 and
S36 are extracts of AWS' Price List API of 2025-10-28 and 2026-09-28, which agree. The tiers' ends
and their discounts of 10 and 20 % are those of
https://aws.amazon.com/blogs/compute/introducing-tiered-pricing-for-aws-lambda/ (2022-08).
"""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from lambda_replay.exceptions import Problem, ScenarioError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MB_MS_PER_GB_S",
    "MB_US_PER_GB_S",
    "REGIONS",
    "SAVINGS_PLANS",
    "ArchitecturePrices",
    "Prices",
    "SavingsPlan",
    "Tier",
]

#: MB·ms in one GB-s; GB = MB / 1024 (F7).
MB_MS_PER_GB_S: Final = 1024 * 1_000
#: MB·µs in one GB-s.
MB_US_PER_GB_S: Final = 1024 * 1_000_000

_BILLION: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Tier:
    """One step of a tiered price (F7).

    Attributes
    ----------
    up_to_gb_s
        GB-seconds a month at which the step ends, itself included; None for the last one.
    usd_per_gb_s
        Price within the step.
    """

    up_to_gb_s: int | None
    usd_per_gb_s: Fraction

    def __post_init__(self) -> None:
        if self.usd_per_gb_s < 0:
            raise ValueError(f"a price is at least 0, not {self.usd_per_gb_s}")


@dataclass(frozen=True, slots=True)
class ArchitecturePrices:
    """Prices that differ between x86 and Arm, in US dollars per GB-second (F7).

    Attributes
    ----------
    duration
        On-demand duration, steps in rising order.
    allocation
        Provisioned concurrency, configured amount × time.
    provisioned_duration
        Duration of runs on provisioned concurrency, and inits of its environments; no tiers.
    tenant_environment
        Per GB of memory and environment created under tenant isolation, once (F3.10).
    """

    duration: tuple[Tier, ...]
    allocation: Fraction
    provisioned_duration: Fraction
    tenant_environment: Fraction

    def __post_init__(self) -> None:
        ends = [tier.up_to_gb_s for tier in self.duration]
        inner = [end for end in ends[:-1] if end is not None]
        if not ends or ends[-1] is not None or len(inner) != len(ends) - 1:
            raise ValueError("every tier but the last has an end, the last has none")
        if inner != sorted(set(inner)) or (inner and inner[0] <= 0):
            raise ValueError(f"tiers' ends rise from above 0: {inner}")


@dataclass(frozen=True, slots=True)
class Prices:
    """All prices of one Region, in US dollars.

    Attributes
    ----------
    region
        Region's name, such as ``us-east-1``.
    request
        Per request, the same for x86 and Arm.
    x86, arm
        Prices by architecture.
    storage
        Ephemeral storage above 512 MB, per GB-second.
    snapstart_cache, snapstart_restore
        Per GB-second and per GB restored (F3.8).
    streamed_gb
        Response streaming, per GB of 1024 MB beyond 6 MB a request.
    poller_hour
        Event poller unit of a provisioned event source mapping, per hour, by ``kafka`` and ``sqs``.
    free_requests, free_gb_s, free_streamed_gb
        Free tier per account and UTC month, x86 and Arm together.
    assumed
        Items not known for this Region and taken from or derived by the ratios of us-east-1.
    """

    region: str
    request: Fraction
    x86: ArchitecturePrices
    arm: ArchitecturePrices
    storage: Fraction
    snapstart_cache: Fraction
    snapstart_restore: Fraction
    streamed_gb: Fraction
    poller_hour: Mapping[str, Fraction]
    free_requests: int = 1_000_000
    free_gb_s: int = 400_000
    free_streamed_gb: int = 100
    assumed: tuple[str, ...] = ()

    def of(self, *, arm: bool) -> ArchitecturePrices:
        """Give the prices of one architecture."""
        return self.arm if arm else self.x86

    @property
    def free_mb_ms(self) -> int:
        """The free GB-seconds of a month, in MB·ms."""
        return self.free_gb_s * MB_MS_PER_GB_S

    @classmethod
    def for_region(cls, region: str) -> Prices:
        """Look a Region's prices up.

        Parameters
        ----------
        region
            Name of a Region in :data:`REGIONS`.

        Raises
        ------
        ScenarioError
            The Region's prices are not known; the message lists those that are.

        Notes
        -----
        Rule F7. Most Regions share the tier 1 price of us-east-1 (S36), but which ones do is not
        recorded, so that nothing is guessed here.
        """
        try:
            return REGIONS[region]
        except KeyError:
            close = difflib.get_close_matches(region, REGIONS, n=1)
            problem = Problem(
                path="account.pricing.region",
                value=region,
                message=f"prices are known for {', '.join(REGIONS)}",
                suggestion=close[0] if close else None,
            )
            raise ScenarioError(
                problems=[problem],
                hint="most Regions share the duration price of us-east-1: use that name for them",
            ) from None


@dataclass(frozen=True, slots=True)
class SavingsPlan:
    """Discount of a Compute Savings Plan that covers all use (F7, S36).

    Attributes
    ----------
    discount
        Share taken off duration, provisioned duration and allocation: 3/25 is 12 %.
    arm
        Whether Arm is discounted, too; the recorded rates are those of x86.

    Notes
    -----
    The commitment is not modelled: neither hours in which less is used than was bought, nor use
    beyond it. That the discount holds in every tier is an assumption. Requests, storage and
    everything else are not discounted.
    """

    discount: Fraction
    arm: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.discount <= 1:
            raise ValueError(f"a discount is between 0 and 1, not {self.discount}")

    def factor(self, *, arm: bool) -> Fraction:
        """Give what is left of a price."""
        return 1 - self.discount if self.arm or not arm else Fraction(1)


#: Compute Savings Plans on x86 (S36): no upfront payment and all of it.
SAVINGS_PLANS: Final[Mapping[str, SavingsPlan]] = MappingProxyType(
    {
        "no_upfront": SavingsPlan(Fraction("0.12")),
        "all_upfront": SavingsPlan(Fraction("0.17")),
    }
)


def _tiers(ends: tuple[int, int], usd: tuple[Fraction, Fraction, Fraction]) -> tuple[Tier, ...]:
    return (Tier(ends[0], usd[0]), Tier(ends[1], usd[1]), Tier(None, usd[2]))


_X86_ENDS: Final = (6 * _BILLION, 15 * _BILLION)
_ARM_ENDS: Final = (7_500_000_000, 18_750_000_000)

#: Complete and exact: S35, S36; all but the tiers also in S25's examples.
_US_EAST_1: Final = Prices(
    region="us-east-1",
    request=Fraction("0.0000002"),
    x86=ArchitecturePrices(
        duration=_tiers(
            _X86_ENDS,
            (Fraction("0.0000166667"), Fraction("0.0000150000"), Fraction("0.0000133334")),
        ),
        allocation=Fraction("0.0000041667"),
        provisioned_duration=Fraction("0.0000097222"),
        tenant_environment=Fraction("0.000166667"),
    ),
    arm=ArchitecturePrices(
        duration=_tiers(
            _ARM_ENDS,
            (Fraction("0.0000133334"), Fraction("0.0000120001"), Fraction("0.0000106667")),
        ),
        allocation=Fraction("0.0000033334"),
        provisioned_duration=Fraction("0.0000077778"),
        tenant_environment=Fraction("0.000133333"),
    ),
    storage=Fraction("0.0000000309"),
    snapstart_cache=Fraction("0.0000015046"),
    snapstart_restore=Fraction("0.0001397998"),
    streamed_gb=Fraction("0.008"),
    poller_hour=MappingProxyType({"kafka": Fraction("0.185"), "sqs": Fraction("0.00925")}),
)

#: What is not known of the Regions below; see :func:`_elsewhere`.
_ASSUMED: Final = (
    "request",
    "x86.duration tiers 2 and 3",
    "x86 other than duration",
    "arm.duration tiers 2 and 3",
    "arm other than duration",
    "storage",
    "snapstart",
    "streamed_gb",
    "poller_hour",
)


def _elsewhere(region: str, x86: str, arm: str) -> Prices:
    """Make a Region of which only the tier 1 prices are known.

    Higher tiers take the 10 and 20 % off that hold in every Region; the rest is us-east-1's.
    """

    def scaled(first: Fraction, ends: tuple[int, int]) -> tuple[Tier, ...]:
        return _tiers(ends, (first, first * Fraction(9, 10), first * Fraction(4, 5)))

    base = _US_EAST_1
    return dataclasses.replace(
        base,
        region=region,
        x86=dataclasses.replace(base.x86, duration=scaled(Fraction(x86), _X86_ENDS)),
        arm=dataclasses.replace(base.arm, duration=scaled(Fraction(arm), _ARM_ENDS)),
        assumed=_ASSUMED,
    )


#: Known Regions by name. Tier 1 prices: x86 from S36; Arm from the table of artillery 2.0.28,
#: ``lib/platform/aws-lambda/prices.js`` (app.unpkg.com), whose x86 prices are S36's.
REGIONS: Final[Mapping[str, Prices]] = MappingProxyType(
    {
        prices.region: prices
        for prices in (
            _US_EAST_1,
            _elsewhere("af-south-1", x86="0.0000221", arm="0.00001768"),
            _elsewhere("ap-east-1", x86="0.00002292", arm="0.0000183"),
            _elsewhere("eu-south-1", x86="0.0000195172", arm="0.0000156138"),
            _elsewhere("me-south-1", x86="0.0000206667", arm="0.0000165334"),
        )
    }
)
