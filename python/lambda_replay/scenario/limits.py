"""Every default, quota and range of a scenario, once, with its source.

The models, the messages and the resolved scenario read them here. Rule ids: F… functions.md,
Z… settled.md, Q… the open questions of functions.md §9, all in the semantics documents.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Final, Generic, Literal, TypeAlias, TypeVar

__all__ = ["DEFAULT_ERA", "ERAS", "Era", "IdlePolicy", "Range", "Setting"]

T = TypeVar("T")

IdlePolicy: TypeAlias = Literal["none", "fixed", "uniform", "halving"]
#: Policy and what ``seconds`` is for it; None where it takes none or has no default.
IdlePreset: TypeAlias = tuple[IdlePolicy, int | tuple[int, int] | None]


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """One number or choice, with the rule that gives it.

    Attributes
    ----------
    value
        The value itself.
    rule
        Id of the rule in the semantics documents; ``-`` for a bound of our own.
    source
        Where the rule has it from, or why we chose it.
    documented
        Whether AWS says so. False marks a choice that a run has to name.
    """

    value: T
    _: KW_ONLY
    rule: str
    source: str
    documented: bool


@dataclass(frozen=True, slots=True)
class Range:
    """Whole numbers from ``minimum`` to ``maximum``, both included."""

    minimum: int
    maximum: int
    step: int = 1

    def __contains__(self, value: int) -> bool:
        return self.minimum <= value <= self.maximum and (value - self.minimum) % self.step == 0

    def __str__(self) -> str:
        steps = f" in steps of {self.step}" if self.step != 1 else ""
        return f"{self.minimum} to {self.maximum}{steps}"


# ---------------------------------------------------------------------------- the file itself

MAX_FILE_BYTES: Final = Setting(
    8 * 1024 * 1024,
    rule="-",
    source="bound of our own; 2,000 functions take about 110 KiB",
    documented=False,
)
MAX_DEPTH: Final = Setting(
    32, rule="-", source="bound of our own; the deepest key of the contract has 6", documented=False
)
MAX_KEYS: Final = Setting(
    1_000_000, rule="-", source="bound of our own, keys and array elements", documented=False
)

# ---------------------------------------------------------------------------- [account]

#: Units of concurrency per account and Region.
CONCURRENCY: Final = Setting(
    1_000,
    rule="F1.1",
    source="AWS Lambda quotas: 1,000 concurrent executions per account and Region",
    documented=True,
)
CONCURRENCY_RANGE: Final = Setting(
    Range(1, 2**31 - 1),
    rule="F1.1",
    source="AWS raises the quota to tens of thousands; the upper end leaves room for 'no limit'",
    documented=False,
)

#: Period in which half of the idle environments go.
HALVING_PERIOD_S: Final = Setting(
    380,
    rule="Z4",
    source="SeBS (Middleware'21) and the single-instance data of 2021-01 agree on 380 s",
    documented=False,
)
#: Bound of any number of seconds, so that sums of microseconds stay far from overflow.
MAX_SECONDS: Final = Setting(
    1_000_000_000, rule="-", source="bound of our own, 31 years", documented=False
)
#: Time is counted in microseconds (Z3); a shorter period would be none at all.
MIN_SECONDS: Final = Setting(0.000001, rule="Z3", source="resolution of time", documented=False)

#: Lifetime of an environment, drawn between the two.
MAX_LIFETIME_S: Final = Setting(
    (14_400, 28_800),
    rule="Q10",
    source="AWS: 'every few hours'; ATC'18 measured a median of 6.2 h",
    documented=False,
)
REUSE_POLICY: Final = Setting(
    "mru", rule="Q8", source="functions.md §3.2: stopping idle ones needs it", documented=False
)
#: Policies of the contract that wait for a later version.
REUSE_POLICIES_LATER: Final = ("lru", "random", "fifo")

# ---------------------------------------------------------------------------- functions

MEMORY_MB: Final = Setting(
    128, rule="F3.1", source="AWS Lambda: default MemorySize", documented=True
)
ARCHITECTURES: Final = Setting(
    ("x86_64", "arm64"), rule="F7", source="AWS Lambda: Architectures", documented=True
)
ARCHITECTURE: Final = Setting(
    "x86_64", rule="F7", source="AWS Lambda: default of Architectures", documented=True
)
INIT_MS: Final = Setting(
    0, rule="Q28", source="Z55: default where the trace has none either", documented=False
)
INIT_MS_MAX: Final = Setting(
    86_400_000, rule="-", source="bound of our own, one day", documented=False
)

TIMEOUT_S: Final = Setting(
    "off",
    rule="F3.1",
    source="interface.md §2: AWS's default of 3 s would cut durations that were really observed",
    documented=False,
)

# ---------------------------------------------------------------------------- [replay]

SEED: Final = Setting(0, rule="-", source="interface.md §2", documented=False)
SEED_RANGE: Final = Setting(
    Range(0, 2**64 - 1), rule="-", source="key of the counter-based generator", documented=False
)

# ---------------------------------------------------------------------------- eras


@dataclass(frozen=True, slots=True)
class Era:
    """What the dated rules were from a month on."""

    name: str
    idle: Setting[IdlePreset]
    memory_mb: Setting[Range]
    billing_unit_us: Setting[int]
    init_billed: Setting[bool]


_UNIFORM: Final[Setting[IdlePreset]] = Setting(
    ("uniform", (1_620, 3_780)),
    rule="Z5",
    source="Shilkov 2019-02 … 06, n = 3,731: 27 to 63 minutes",
    documented=False,
)
_FIXED: Final[Setting[IdlePreset]] = Setting(
    ("fixed", 600),
    rule="Z5",
    source="Shilkov 2019-08 … 2020-04: 10 minutes sharp",
    documented=False,
)
_HALVING: Final[Setting[IdlePreset]] = Setting(
    ("halving", HALVING_PERIOD_S.value),
    rule="Z4",
    source=HALVING_PERIOD_S.source,
    documented=False,
)
_MEMORY_64: Final = Setting(
    Range(128, 3_008, 64),
    rule="F3.1",
    source="AWS Lambda limits before 2020-12-01",
    documented=True,
)
_MEMORY_1: Final = Setting(
    Range(128, 10_240),
    rule="F3.1",
    source="AWS Lambda quotas since 2020-12-01",
    documented=True,
)
_UNIT_100_MS: Final = Setting(
    100_000, rule="Z40", source="AWS Lambda pricing before 2020-12-01", documented=True
)
_UNIT_1_MS: Final = Setting(
    1_000, rule="Z40", source="AWS Lambda pricing since 2020-12-01", documented=True
)
_INIT_FREE: Final = Setting(
    False,
    rule="F3.7",
    source="until 2025-07-31 not billed with a managed runtime and a zip archive",
    documented=True,
)
_INIT_BILLED: Final = Setting(
    True, rule="F3.7", source="AWS blog: billed everywhere since 2025-08-01", documented=True
)

#: Every era by its name, oldest first (functions.md §8; idle times: Z5).
ERAS: Final[dict[str, Era]] = {
    era.name: era
    for era in (
        Era("2017-12", _UNIFORM, _MEMORY_64, _UNIT_100_MS, _INIT_FREE),
        Era("2018-10", _UNIFORM, _MEMORY_64, _UNIT_100_MS, _INIT_FREE),
        Era("2019-12", _FIXED, _MEMORY_64, _UNIT_100_MS, _INIT_FREE),
        Era("2020-12", _HALVING, _MEMORY_1, _UNIT_1_MS, _INIT_FREE),
        Era("2023-11", _HALVING, _MEMORY_1, _UNIT_1_MS, _INIT_FREE),
        Era("2025-08", _HALVING, _MEMORY_1, _UNIT_1_MS, _INIT_BILLED),
    )
}
DEFAULT_ERA: Final = Setting("2025-08", rule="F8", source="rules of today", documented=True)
