"""What a replay says: the summary, the functions table, and where the numbers come from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay import _core
from lambda_replay.schema import INSTANT

if TYPE_CHECKING:
    from lambda_replay.engine import Engine
    from lambda_replay.plot import ResultPlot
    from lambda_replay.scenario import Scenario

__all__ = [
    "Concurrency",
    "Distribution",
    "ReplayResult",
    "Summary",
    "TraceReport",
    "WorstWindow",
    "functions_table",
    "summarise",
]

#: Version of the keys of the summary.
SCHEMA_VERSION: Final = 1

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - instants of results are naive UTC
_LIMITS: Final = tuple(_core.LIMITS)
_SPILLOVER: Final = tuple(_core.SPILLOVER_COUNTED)
_DROPS: Final = tuple(_core.DROP_REASONS)
#: What counts as lost (Z48).
_LOST: Final = ("throttled", "dropped", "expired", "discarded", "async_error")


@dataclass(frozen=True)
class Distribution:
    """Milliseconds over runs, requests or events; all null where there are none.

    A percentile is the smallest value with that cumulative share, to within 0.8 % (Z46); mean and
    maximum are exact.
    """

    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None


@dataclass(frozen=True)
class Concurrency:
    """Requests in flight over time, between the first arrival and the last release; exact."""

    mean: float
    p50: int
    p99: int
    p999: int
    max: int


@dataclass(frozen=True)
class WorstWindow:
    """The ten seconds with the most throttles; it starts on a whole second, UTC."""

    from_: datetime
    throttles: int

    def to_dict(self) -> dict[str, Any]:
        """Give the window with the keys of the contract, ``from`` and ``throttles``."""
        return {"from": self.from_, "throttles": self.throttles}


@dataclass(frozen=True)
class TraceReport:
    """What was replayed and what its columns are worth.

    Attributes
    ----------
    names
        The files, as the user called them.
    rows
        Rows replayed.
    first, last
        First and last arrival, naive UTC.
    was_sorted
        Whether the rows were in order as given.
    ignored
        Columns that are none of the contract's.
    not_modelled
        Columns of the contract that this version does not model.
    measured, assumed
        What the trace's own notes say of its numbers.
    has_init
        Whether the trace says what a cold start costs.
    has_memory
        Whether it says how much memory functions have.
    notes
        What else a reader of the numbers must know.
    ingest
        What was read, a report per format.
    bad_rows
        Rows set aside.
    """

    names: tuple[str, ...]
    rows: int
    first: datetime | None
    last: datetime | None
    was_sorted: bool
    ignored: tuple[str, ...]
    not_modelled: tuple[str, ...]
    measured: tuple[str, ...]
    assumed: tuple[str, ...]
    has_init: bool
    has_memory: bool = False
    notes: tuple[str, ...] = ()
    ingest: tuple[dict[str, Any], ...] = ()
    bad_rows: int = 0


@dataclass(frozen=True)
class Summary:
    """Totals of a replay; the fields are those of the contract.

    ``success`` … ``pending`` are rows by outcome and add up to ``records``; ``throttles`` counts
    429s, ``errors`` runs that ended in error. ``billed_s`` is the billed time of all runs,
    ``init_s`` the init that requests waited for, ``at_limit_s`` the time during which the account's
    concurrency was used up. ``deliveries`` counts failed events by destination, ``state`` says what
    shared records came to (empty where there are none). ``cost_usd`` is null where the prices of
    the Region are not known.
    """

    records: int
    invocations: int
    success: int
    error: int
    throttled: int
    dropped: int
    expired: int
    discarded: int
    filtered: int
    pending: int
    throttles: int
    cold_starts: int
    warm_starts: int
    provisioned_invocations: int
    spillover_invocations: int
    max_concurrency: int
    mean_concurrency: float
    environments_created: int
    throttles_by_limit: dict[str, int]
    spillover_by_reason: dict[str, int]
    dropped_by_reason: dict[str, int]
    never_ran: int
    bad_rows: int
    concurrency: Concurrency
    worst_10s: WorstWindow | None
    conflicts: int
    lock_wait_s: float
    wait_ms: Distribution
    duration_ms: Distribution
    async_age_ms: Distribution
    iterator_age_ms: Distribution
    cost_usd: dict[str, float] | None
    errors: int
    deliveries: dict[str, int]
    state: dict[str, Any]
    billed_s: float
    init_s: float
    at_limit_s: float
    throttle_rate: float | None
    cold_start_rate: float | None
    loss_rate: float | None
    attempt_throttle_rate: float | None
    schema_version: int
    version: str
    seed: int
    scenario: dict[str, Any]
    trace: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Give the summary as nested plain values; instants are datetimes."""
        values = dataclasses.asdict(self)
        values["worst_10s"] = None if self.worst_10s is None else self.worst_10s.to_dict()
        return values


@dataclass(frozen=True)
class ReplayResult:
    """What became of a trace.

    Attributes
    ----------
    summary
        Totals.
    functions
        A row per function.
    metrics
        A row per function and minute (:data:`~lambda_replay.schema.MINUTE_SCHEMA`); None where they
        were not wanted or went to a file.
    region
        Those rows of the metrics that are about the whole Region; always there.
    keys
        The hottest shared records (:data:`~lambda_replay.schema.KEY_SCHEMA`); empty where there are
        none.
    sources
        A row per event source and shard, partition, message group or queue
        (:data:`~lambda_replay.schema.SOURCE_SCHEMA`); empty where there are none.
    source_metrics
        A row per event source and minute
        (:data:`~lambda_replay.schema.SOURCE_MINUTE_SCHEMA`); always there.
    facts
        What the run exercised: which undocumented choices can have touched its numbers.
    outcomes
        A row per row of the trace, in the trace's order
        (:data:`~lambda_replay.schema.OUTCOME_SCHEMA`); None where they were not wanted or went to a
        file.
    attempts
        A row per row of the trace and attempt, in order of time
        (:data:`~lambda_replay.schema.ATTEMPT_SCHEMA`); None where they were not wanted.
    trace
        What was replayed.
    scenario
        Under what.
    seconds
        Wall time, reading included.
    blame
        Who held the capacity while others were refused: a row per victim, limit and holder
        (:data:`~lambda_replay.schema.BLAME_SCHEMA`); None where that was not wanted.
    """

    summary: Summary
    functions: pl.DataFrame
    metrics: pl.DataFrame | None
    region: pl.DataFrame
    keys: pl.DataFrame
    sources: pl.DataFrame
    source_metrics: pl.DataFrame
    facts: frozenset[str]
    outcomes: pl.DataFrame | None
    attempts: pl.DataFrame | None
    trace: TraceReport
    scenario: Scenario
    seconds: float
    blame: pl.DataFrame | None = None

    @property
    def plot(self) -> ResultPlot:
        """Charts for notebooks; they need the extra ``report``."""
        from lambda_replay.plot import ResultPlot  # noqa: PLC0415 - few want it

        return ResultPlot(self)

    def __repr__(self) -> str:
        s = self.summary
        return (
            f"ReplayResult({s.records:,} records: {s.success:,} success, {s.error:,} error,"
            f" {s.throttled:,} throttled, {s.dropped:,} dropped,"
            f" {s.cold_starts:,} cold starts, peak concurrency {s.max_concurrency:,})"
        )


def instant(micros: int | None) -> datetime | None:
    """Give an instant of the core as a naive UTC datetime."""
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)


def _distribution(row: dict[str, Any], name: str) -> Distribution:
    return Distribution(
        **{field.name: row[f"{name}_{field.name}_ms"] for field in dataclasses.fields(Distribution)}
    )


def _deliveries(engine: Engine, raw: pl.DataFrame) -> dict[str, int]:
    """Failed events, discarded records and dead letters by the name of where they went (Z53)."""
    found: dict[str, int] = {}
    for name, count in zip(engine.names, raw["deliveries"], strict=True):
        if count:
            target = engine.scenario.function(name).on_failure or "on_failure"
            found[target] = found.get(target, 0) + count
    for target, count in engine.source_deliveries().items():
        found[target] = found.get(target, 0) + count
    return found


def summarise(engine: Engine, scenario: Scenario, trace: TraceReport, seed: int) -> Summary:
    """Put the totals of a finished replay together."""
    row = pl.DataFrame(engine.core.totals()).row(0, named=True)
    functions = pl.DataFrame(engine.core.function_totals())
    invocations, throttles = row["invocations"], row["throttles"]
    records = sum(row[name] for name in _core.OUTCOMES)
    worst = instant(row["worst_10s_from"])
    concurrency = Concurrency(
        mean=row["concurrency_mean"],
        p50=row["concurrency_p50"],
        p99=row["concurrency_p99"],
        p999=row["concurrency_p999"],
        max=row["max_concurrency"],
    )
    lost = sum(row[name] for name in _LOST)
    attempts = throttles + invocations
    limit = engine.scenario.account.concurrency
    by_limit = {name: row[f"throttles_{name}"] for name in _LIMITS}
    return Summary(
        records=records,
        invocations=invocations,
        success=row["success"],
        error=row["error"],
        throttled=row["throttled"],
        dropped=row["dropped"],
        expired=row["expired"],
        discarded=row["discarded"],
        filtered=row["filtered"],
        pending=row["pending"],
        throttles=throttles,
        cold_starts=row["cold_starts"],
        warm_starts=invocations - row["cold_starts"] - row["provisioned_invocations"],
        provisioned_invocations=row["provisioned_invocations"],
        spillover_invocations=row["spillover_invocations"],
        max_concurrency=concurrency.max,
        mean_concurrency=concurrency.mean,
        environments_created=row["environments_created"],
        throttles_by_limit={name: count for name, count in by_limit.items() if count},
        spillover_by_reason={
            name: row[f"spillover_{name}"] for name in _SPILLOVER if row[f"spillover_{name}"]
        },
        dropped_by_reason={
            name: row[f"dropped_{name}"] for name in _DROPS if row[f"dropped_{name}"]
        },
        never_ran=row["never_ran"],
        bad_rows=trace.bad_rows,
        concurrency=concurrency,
        worst_10s=None if worst is None else WorstWindow(worst, row["worst_10s_throttles"]),
        conflicts=row["conflicts"],
        lock_wait_s=row["lock_wait_s"],
        wait_ms=_distribution(row, "wait"),
        duration_ms=_distribution(row, "duration"),
        async_age_ms=_distribution(row, "async_age"),
        iterator_age_ms=_distribution(row, "iterator_age"),
        cost_usd=engine.costs().account,
        errors=row["errors"],
        deliveries=_deliveries(engine, functions),
        state=engine.shared_state(),
        billed_s=row["billed_ms"] / 1_000,
        init_s=row["init_s"],
        at_limit_s=row["time_at_peak_us"] / 1_000_000 if row["time_at_peak"] >= limit else 0.0,
        throttle_rate=row["throttled"] / records if records else None,
        cold_start_rate=row["cold_starts"] / invocations if invocations else None,
        loss_rate=lost / records if records else None,
        attempt_throttle_rate=throttles / attempts if attempts else None,
        schema_version=SCHEMA_VERSION,
        version=_core.__version__,
        seed=seed,
        scenario=scenario.to_dict(),
        trace={
            "paths": list(trace.names),
            "rows": trace.rows,
            "first": trace.first,
            "last": trace.last,
            "ingest": list(trace.ingest),
        },
    )


def _rate(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole)


def functions_table(engine: Engine) -> pl.DataFrame:
    """Put the totals of each function together, the most records first."""
    raw = pl.DataFrame(engine.core.function_totals())
    names = pl.Series("function", engine.names, dtype=pl.String)
    zero = pl.lit(0, pl.UInt64)
    runs = pl.col("invocations")
    records = pl.sum_horizontal(*_core.OUTCOMES)

    def distribution(name: str) -> pl.Expr:
        fields = [field.name for field in dataclasses.fields(Distribution)]
        return pl.struct(pl.col(f"{name}_{field}_ms").alias(field) for field in fields)

    worst = pl.struct(
        pl.col("worst_10s_from").cast(INSTANT).alias("from"),
        pl.col("worst_10s_throttles").alias("throttles"),
    )
    costs = engine.costs()
    # What never ran and has no environments provisioned costs nothing.
    nought = None if costs.account is None else 0.0
    prices = [costs.functions.get(name, nought) for name in engine.names]
    cost = pl.Series("cost_usd", prices, pl.Float64)
    utilisation = pl.Series("utilisation", engine.utilisation(), pl.Float64)
    outcomes = [pl.col(name) for name in ("success", "error", "throttled", "dropped")]
    is_function = pl.Series(engine.is_function, dtype=pl.Boolean)
    delivered = engine.source_function_deliveries()
    by_sources = pl.Series([delivered.get(name, 0) for name in engine.names], dtype=pl.UInt64)
    return (
        raw.with_columns(names, cost, utilisation, pl.col("deliveries") + by_sources)
        .select(
            "function",
            records.alias("records"),
            runs,
            *outcomes,
            *("expired", "discarded", "filtered"),
            "pending",
            "throttles",
            "cold_starts",
            (runs - pl.col("cold_starts") - pl.col("provisioned_invocations")).alias("warm_starts"),
            "provisioned_invocations",
            "spillover_invocations",
            "max_concurrency",
            pl.col("concurrency_mean").alias("mean_concurrency"),
            "environments_created",
            pl.struct(pl.col(f"throttles_{name}").alias(name) for name in _LIMITS).alias(
                "throttles_by_limit"
            ),
            pl.struct(pl.col(f"spillover_{name}").alias(name) for name in _SPILLOVER).alias(
                "spillover_by_reason"
            ),
            pl.struct(pl.col(f"dropped_{name}").alias(name) for name in _DROPS).alias(
                "dropped_by_reason"
            ),
            "never_ran",
            pl.struct(
                pl.col("concurrency_mean").alias("mean"),
                pl.col("concurrency_p50").alias("p50"),
                pl.col("concurrency_p99").alias("p99"),
                pl.col("concurrency_p999").alias("p999"),
                pl.col("max_concurrency").alias("max"),
            ).alias("concurrency"),
            pl.when(pl.col("throttles") > 0).then(worst).alias("worst_10s"),
            "conflicts",
            "lock_wait_s",
            distribution("wait").alias("wait_ms"),
            distribution("duration").alias("duration_ms"),
            distribution("async_age").alias("async_age_ms"),
            distribution("iterator_age").alias("iterator_age_ms"),
            "cost_usd",
            zero.alias("bad_rows"),
            "errors",
            "deliveries",
            "utilisation",
            "billed_ms",
            "init_s",
            _rate(pl.col("throttled"), records).alias("throttle_rate"),
            _rate(pl.col("cold_starts"), runs).alias("cold_start_rate"),
            _rate(pl.sum_horizontal(*_LOST), records).alias("loss_rate"),
            _rate(pl.col("throttles"), pl.col("throttles") + runs).alias("attempt_throttle_rate"),
        )
        # What has a qualifier is counted with its function (Z9); what had no row is listed
        # where it was charged for provisioned concurrency.
        .filter(is_function & ((pl.col("records") > 0) | engine.is_charged()))
        .sort(["records", "function"], descending=[True, False])
    )
