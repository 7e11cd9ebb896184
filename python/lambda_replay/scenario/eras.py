"""The dated rules: what was in force from a month on (functions.md §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from lambda_replay.scenario.setting import Range, Setting

__all__ = [
    "DEFAULT_ERA",
    "ERAS",
    "Era",
    "IdlePolicy",
    "IdlePreset",
    "ScalingPreset",
    "SourcesPreset",
]

IdlePolicy: TypeAlias = Literal["none", "fixed", "uniform", "halving"]
#: Policy and what ``seconds`` is for it; None where it takes none or has no default.
IdlePreset: TypeAlias = tuple[IdlePolicy, int | tuple[int, int] | None]


@dataclass(frozen=True, slots=True)
class ScalingPreset:
    """How fast environments may be added.

    Attributes
    ----------
    scope
        ``function``: a bucket for each; ``region``: one for all.
    capacities
        Tokens of a full bucket by Region; ``""`` for any other.
    refill
        Tokens, and the seconds in which they come.
    rps_coupling
        Whether the rate of warm starts is limited too.
    """

    scope: Literal["function", "region"]
    capacities: tuple[tuple[str, int], ...]
    refill: tuple[int, int]
    rps_coupling: bool

    def capacity(self, region: str) -> int:
        """Give the tokens of a full bucket in a Region."""
        found = dict(self.capacities)
        return found.get(region, found[""])


@dataclass(frozen=True, slots=True)
class SourcesPreset:
    """What event sources were like.

    Attributes
    ----------
    ramp_per_minute
        Batches more per minute that SQS adds while messages wait.
    most_batches
        Batches of one queue at once without MaximumConcurrency.
    retry_attempts, record_age_s
        Defaults of streams; None: no limit.
    """

    ramp_per_minute: int
    most_batches: int
    retry_attempts: int | None
    record_age_s: int | None


@dataclass(frozen=True, slots=True)
class Era:
    """What the dated rules were from a month on."""

    name: str
    idle: Setting[IdlePreset]
    memory_mb: Setting[Range]
    timeout_s: Setting[Range]
    ephemeral_storage_mb: Setting[Range]
    scaling: Setting[ScalingPreset]
    billing_unit_us: Setting[int]
    init_billed: Setting[bool]
    sources: Setting[SourcesPreset]


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
    ("halving", 380),
    rule="Z4",
    source="SeBS (Middleware'21) and the single-instance data of 2021-01 agree on 380 s",
    documented=False,
)
_MEMORY_64: Final = Setting(
    Range(128, 3_008, 64),
    rule="F3.1",
    source="AWS Lambda limits before 2020-12-01",
    documented=True,
)
_MEMORY_1: Final = Setting(
    Range(128, 10_240), rule="F3.1", source="AWS Lambda quotas since 2020-12-01", documented=True
)
_TIMEOUT_300: Final = Setting(
    Range(1, 300), rule="F3.1", source="AWS Lambda limits before October 2018", documented=True
)
_TIMEOUT_900: Final = Setting(
    Range(1, 900), rule="F3.1", source="AWS Lambda quotas since October 2018", documented=True
)
_STORAGE_512: Final = Setting(
    Range(512, 512), rule="F3.1", source="AWS Lambda limits before 2022", documented=True
)
_STORAGE_10_GB: Final = Setting(
    Range(512, 10_240), rule="F3.1", source="AWS Lambda quotas since 2022", documented=True
)
_FAST: Final = (("us-east-1", 3_000), ("us-west-2", 3_000), ("eu-west-1", 3_000))
_MIDDLE: Final = (("ap-northeast-1", 1_000), ("eu-central-1", 1_000))
_BURST: Final = Setting(
    ScalingPreset("region", (*_FAST, *_MIDDLE, ("", 500)), (500, 60), rps_coupling=False),
    rule="F2.2",
    source="AWS Lambda Developer Guide until 2020-08: burst by Region, then 500 a minute",
    documented=True,
)
_BURST_2020: Final = Setting(
    ScalingPreset(
        "region",
        (*_FAST, *_MIDDLE, ("us-east-2", 1_000), ("", 500)),
        (500, 60),
        rps_coupling=False,
    ),
    rule="F2.2",
    source="AWS Lambda Developer Guide from 2020-08-19 to 2023-10: us-east-2 raised to 1,000",
    documented=True,
)
_BY_FUNCTION: Final = Setting(
    ScalingPreset("function", (("", 1_000),), (100, 1), rps_coupling=True),
    rule="F2.1",
    source="AWS blog of 2023-11-27: 1,000 environments per function and 10 s, refilled steadily",
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

_SOURCES_2018: Final = Setting(
    SourcesPreset(60, 1_000, None, None),
    rule="E5.1",
    source="AWS Lambda Developer Guide until 2019-11: no limits of retries",
    documented=True,
)
_SOURCES_2019: Final = Setting(
    SourcesPreset(60, 1_000, 10_000, 604_800),
    rule="E5.1",
    source="AWS Lambda Developer Guide from 2019-11-25 to 2023-10",
    documented=True,
)
_SOURCES_2023: Final = Setting(
    SourcesPreset(300, 1_250, None, None),
    rule="E5.1",
    source="AWS blog of 2023-11 and services-sqs-scaling; API defaults of -1",
    documented=True,
)

_OLD: Final = (_STORAGE_512, _BURST, _UNIT_100_MS, _INIT_FREE)
#: Every era by its name, oldest first (functions.md §8; idle times: Z5).
ERAS: Final[dict[str, Era]] = {
    era.name: era
    for era in (
        Era("2017-12", _UNIFORM, _MEMORY_64, _TIMEOUT_300, *_OLD, _SOURCES_2018),
        Era("2018-10", _UNIFORM, _MEMORY_64, _TIMEOUT_900, *_OLD, _SOURCES_2018),
        Era("2019-12", _FIXED, _MEMORY_64, _TIMEOUT_900, *_OLD, _SOURCES_2019),
        Era(
            "2020-12",
            _HALVING,
            _MEMORY_1,
            _TIMEOUT_900,
            _STORAGE_512,
            _BURST_2020,
            _UNIT_1_MS,
            _INIT_FREE,
            _SOURCES_2019,
        ),
        Era(
            "2023-11",
            _HALVING,
            _MEMORY_1,
            _TIMEOUT_900,
            _STORAGE_10_GB,
            _BY_FUNCTION,
            _UNIT_1_MS,
            _INIT_FREE,
            _SOURCES_2023,
        ),
        Era(
            "2025-08",
            _HALVING,
            _MEMORY_1,
            _TIMEOUT_900,
            _STORAGE_10_GB,
            _BY_FUNCTION,
            _UNIT_1_MS,
            _INIT_BILLED,
            _SOURCES_2023,
        ),
    )
}
DEFAULT_ERA: Final = Setting("2025-08", rule="F8", source="rules of today", documented=True)
