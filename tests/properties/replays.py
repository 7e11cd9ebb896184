"""Replays cases through the public API and hands them out in whole microseconds.

Owns how a result is taken apart, rebuilt and digested; the claims stand in the tests.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from hypothesis import HealthCheck, settings

import lambda_replay as lr
from differential.comparison import plain, table
from differential.strategies import Case, Column, S
from lambda_replay.engine import Engine
from lambda_replay.ingest import Wire, open_trace
from lambda_replay.results import ReplayResult
from reference.marks import Marks
from reference.settings import Settings, resolve
from reference.trace import Row, read

MINUTE = 60 * S
#: 2026-03-02 08:00:00 UTC, a whole minute.
BEGIN = 1_772_438_400 * S

Outcome = dict[str, Any]

EXAMPLES = int(os.environ.get("LAMBDA_REPLAY_EXAMPLES", "1500"))


def drawn(examples: int) -> settings:
    """Return settings for so many examples, in step with ``LAMBDA_REPLAY_EXAMPLES``."""
    return settings(
        max_examples=max(1, examples * EXAMPLES // 1500),
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
        ],
    )


# ---- one replay ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Replayed:
    """A result, and the case it came from as the rules read it.

    Attributes
    ----------
    result
        As the API gives it.
    outcomes
        In the trace's order, instants as integer microseconds.
    rows
        The trace, read by the reference: whole microseconds, in order of arrival.
    settings
        The scenario, resolved by the reference.
    """

    result: ReplayResult
    outcomes: list[Outcome]
    rows: list[Row]
    settings: Settings

    @property
    def summary(self) -> dict[str, Any]:
        """The summary in plain values."""
        summary: dict[str, Any] = plain(self.result.summary.to_dict())
        return summary

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Rows of the metrics in plain values."""
        assert self.result.metrics is not None
        return table(self.result.metrics)

    @property
    def functions(self) -> list[dict[str, Any]]:
        """Rows of the functions table in plain values."""
        return table(self.result.functions)

    @property
    def arrivals(self) -> list[Outcome]:
        """Outcomes in the order of arrival (Z2)."""
        return sorted(self.outcomes, key=lambda outcome: (outcome["timestamp"], outcome["row"]))

    @property
    def runs(self) -> list[Outcome]:
        """Outcomes that have a run, in the order of arrival."""
        return ran(self.arrivals)


def with_account(sections: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """Return a scenario with other values under ``[account]``."""
    return {**sections, "account": {**sections.get("account", {}), **values}}


def replayed(case: Case, **account: Any) -> Replayed:
    """Replay a case, with other values under ``[account]``."""
    sections = with_account(case.sections, **account) if account else case.sections
    result = lr.replay(case.frame(), lr.Scenario(**sections), outcomes=True)
    assert result.outcomes is not None
    return Replayed(
        result=result,
        outcomes=table(result.outcomes),
        rows=read(case.rows(), Marks()),
        settings=resolve(sections, Marks()),
    )


def ran(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes that have a run."""
    return [outcome for outcome in outcomes if outcome["start"] is not None]


def bare(function: str) -> str:
    """Return a name without its qualifier (Z9)."""
    return function.partition(":")[0]


def limit_of(case: Case) -> int:
    """Return a case's account limit."""
    return int(case.sections.get("account", {}).get("concurrency", 1_000))


def by_environment(runs: Sequence[Outcome]) -> dict[int, list[Outcome]]:
    """Return the runs of each environment, in the order given."""
    environments: dict[int, list[Outcome]] = defaultdict(list)
    for run in runs:
        environments[run["environment"]].append(run)
    return environments


def fate(outcome: Outcome) -> Outcome:
    """Return what happened to a row, without numbers that carry identity or place only."""
    return {name: value for name, value in outcome.items() if name not in ("row", "batch")}


def fates(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return what happened to rows, environments numbered as they first appear."""
    numbers: dict[int, int] = {}
    told = []
    for outcome in outcomes:
        kept = fate(outcome)
        if kept["environment"] is not None:
            kept["environment"] = numbers.setdefault(kept["environment"], len(numbers))
        told.append(kept)
    return told


# ---- cases ---------------------------------------------------------------------------------


def with_identity(case: Case) -> Case:
    """Return the case with identities that do not depend on the place of a row."""
    if "row_uid" in case.columns or "request_id" in case.columns:
        case = without(case, "request_id", "row_uid")
    frame = case.frame().with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("row_uid"))
    return with_column(case, "row_uid", frame["row_uid"])


def with_column(case: Case, name: str, series: pl.Series) -> Case:
    """Return the case with another column, given by its physical values."""
    column = Column(series.to_physical().to_list(), series.dtype)
    return Case(case.sections, {**case.columns, name: column})


def without(case: Case, *names: str) -> Case:
    """Return the case without some columns."""
    kept = {name: column for name, column in case.columns.items() if name not in names}
    return Case(case.sections, kept)


def without_init(case: Case) -> Case:
    """Return the case so that no cold start takes time."""
    sections = {
        name: section for name, section in case.sections.items() if name in ("account", "replay")
    }
    return Case(sections, without(case, "init_ms").columns)


def seconds_trace(rows: Sequence[tuple[float, float]], function: str = "f") -> pl.DataFrame:
    """Return a trace from (arrival, duration) in seconds."""
    return pl.DataFrame(
        {
            "timestamp": [BEGIN + round(at * S) for at, _ in rows],
            "function": [function] * len(rows),
            "duration_ms": [duration * 1_000.0 for _, duration in rows],
        },
        schema={"timestamp": pl.Int64, "function": pl.String, "duration_ms": pl.Float64},
    )


# ---- bytes ---------------------------------------------------------------------------------


def digest(result: ReplayResult) -> dict[str, str]:
    """Return a hash of each table and of the summary, less the paths and the wall time."""
    summary = result.summary.to_dict()
    summary["trace"].pop("paths")
    summary["trace"].pop("ingest", None)
    return {
        "outcomes": _digest_of(result.outcomes),
        **({} if result.attempts is None else {"attempts": _digest_of(result.attempts)}),
        "metrics": _digest_of(result.metrics),
        "functions": _digest_of(result.functions),
        "region": _digest_of(result.region),
        "summary": hashlib.sha256(repr(summary).encode()).hexdigest(),
    }


def _digest_of(frame: pl.DataFrame | None) -> str:
    assert frame is not None
    content = repr(frame.schema).encode() + frame.write_ndjson().encode()
    return hashlib.sha256(content).hexdigest()


def engine_digest(
    trace: pl.DataFrame | pl.LazyFrame, scenario: lr.Scenario, batch_rows: int, *, in_order: bool
) -> dict[str, str]:
    """Replay in batches of so many rows and hash what comes out."""
    wire = Wire.of(open_trace(trace))
    engine = Engine(
        wire,
        scenario.resolve(),
        outcomes=True,
        attempts=True,
        function_minutes=True,
        in_order=in_order,
        batch_rows=batch_rows,
    )
    # Events are decided late, and in another order than they came.
    batches = [batch for batch in engine.run() if batch.height]
    order = ["row", "copy"] if batches and "copy" in batches[0].columns else ["row"]
    return {
        "outcomes": _digest_of(pl.concat(batches).sort(order)) if batches else "",
        "attempts": _digest_of(engine.attempts_table()),
        "keys": _digest_of(engine.keys_table()),
        "state": repr(engine.shared_state()),
        "costs": repr(engine.costs()),
        "metrics": _digest_of(engine.minutes_table()),
        "functions": _digest_of(pl.DataFrame(engine.core.function_totals())),
        "totals": _digest_of(pl.DataFrame(engine.core.totals())),
        "extent": repr(engine.core.extent()),
    }
