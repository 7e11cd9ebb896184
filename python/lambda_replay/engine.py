"""Feeds the core with batches and drains it: the only caller of ``_core``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay import _core
from lambda_replay.costs import Costs, costs_of
from lambda_replay.exceptions import ScenarioError, TraceError, show
from lambda_replay.ingest.faults import reading
from lambda_replay.ingest.formats import find_unreadable
from lambda_replay.ingest.order import sorted_batches
from lambda_replay.ingest.records import NONE
from lambda_replay.minutes import Minutes
from lambda_replay.names import LATEST, LONGEST_NAME, split
from lambda_replay.scenario.units import show_instant
from lambda_replay.schema import (
    ATTEMPT_SCHEMA,
    BLAME_SCHEMA,
    INSTANT,
    KEY_SCHEMA,
    MINUTE_SCHEMA,
    OUTCOME_SCHEMA,
    SOURCE_SCHEMA,
)
from lambda_replay.source_results import (
    deliveries,
    function_deliveries,
    function_parts,
    poller_units,
    source_minutes,
    sources_table,
)
from lambda_replay.spool import Spool, stretches
from lambda_replay.worker import Cancelled

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from lambda_replay.ingest import Wire
    from lambda_replay.scenario import Resolved
    from lambda_replay.scenario.resolve_sources import ResolvedSource

__all__ = ["BATCH_ROWS", "Engine", "Progress", "Unsorted"]

#: Rows per batch: those of the row groups that we write, which then need no cutting and joining;
#: much larger ones leave the cache between decoding and replaying.
BATCH_ROWS: Final = 131_072

#: How often somebody is told how far it is.
_PROGRESS_EVERY_S: Final = 0.1

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Names of the core's numbers, by column.
_NAMES: Final = {
    "outcome": pl.Series(_core.OUTCOMES, dtype=pl.String),
    "reason": pl.Series(_core.REASONS, dtype=pl.String),
    "limit": pl.Series(_core.LIMITS, dtype=pl.String),
    "spillover_reason": pl.Series(_core.SPILLOVER_REASONS, dtype=pl.String),
}
_ATTEMPT_OUTCOMES: Final = pl.Series(_core.ATTEMPT_OUTCOMES, dtype=pl.String)
#: MB ms that the free tier pays in a month: 400,000 GB-s (F7).
_FREE_MB_MS: Final = 400_000 * 1_024 * 1_000
#: Billed waits by price: on demand on x86 and Arm, provisioned on x86 and Arm.
_MB_MS: Final = ("mb_ms_0", "mb_ms_1", "mb_ms_2", "mb_ms_3")
#: Recurring scheduled actions are looked up so far beyond the last arrival.
_SCHEDULED_US: Final = 31 * 86_400_000_000


@dataclass(frozen=True)
class Progress:
    """How far a replay is.

    Attributes
    ----------
    rows
        Rows replayed.
    total
        Rows of the trace, where that is known.
    seconds
        Wall time so far.
    now
        Instant of the trace, UTC.
    """

    rows: int
    total: int | None
    seconds: float
    now: datetime | None


class Unsorted(Exception):  # noqa: N818 - not an error of the user's: the trace is sorted then
    """A row arrives before the one before it."""


@dataclass
class Engine:
    """One replay of one trace under one scenario.

    Attributes
    ----------
    wire
        The trace.
    scenario
        The scenario, resolved.
    outcomes, attempts
        Whether outcomes and attempts are wanted.
    function_minutes
        Whether rows of minutes are wanted for each function, not for the Region alone.
    blame
        Whether it is wanted who held the capacity at refusals.
    names, is_function
        Names by the number that the core knows them by, and whether that is a function or one of
        its qualifiers.
    in_order
        Whether the trace is taken as sorted; :class:`Unsorted` is raised where it is not.
    """

    wire: Wire
    scenario: Resolved
    outcomes: bool = False
    attempts: bool = False
    function_minutes: bool = False
    blame: bool = False
    in_order: bool = True
    total: int | None = None
    cancel: threading.Event | None = None
    progress: Callable[[Progress], None] | None = None
    batch_rows: int = BATCH_ROWS
    names: list[str] = field(default_factory=list)
    is_function: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wire = self.wire.under(self.scenario)
        account = self.scenario.core_epochs()
        account["free_mb_ms"] = _FREE_MB_MS if self.scenario.account.free_tier else None
        self.core = _core.Replay(
            account,
            outcomes=self.outcomes,
            attempts=self.attempts,
            function_minutes=self.function_minutes,
            blame=self.blame,
        )
        self._fed = 0
        self._numbers: dict[str, int] = {}
        #: Names as the trace gives them, by code.
        self._shown: list[str | None] = []
        self._minutes = Minutes()
        self._attempts = Spool("at")
        #: Rows that are not decided yet, where outcomes must tell their request_id.
        self._open: pl.DataFrame | None = None
        self._rows_seen = 0
        self._costs: Costs | None = None
        self._scheduled = self._stretch() if self.scenario.recurs() else None
        entries: list[dict[str, Any]] = []
        for name in self.scenario.literal_names():
            self._number(name, entries)
        sources = self.wire.records
        mapped = [self._number_of(name, entries) for name in sources.functions]
        self.core.add_functions(entries)
        self.core.add_sources(
            [
                {"function": number, "epochs": self.scenario.source_epochs(name)}
                for name, number in zip(sources.names, mapped, strict=True)
            ]
        )
        self._source_names = pl.Series((*_core.SOURCES, *sources.names), dtype=pl.String)
        self._source_minutes: list[pl.DataFrame] = []
        self._sources_table: pl.DataFrame | None = None
        self._state_keys = 0

    def run(self) -> Iterator[pl.DataFrame]:
        """Replay the whole trace.

        Yields
        ------
        DataFrame
            Outcomes as they are decided (:data:`~lambda_replay.schema.OUTCOME_SCHEMA`); nothing
            where they are not wanted.

        Raises
        ------
        Unsorted
            The trace was taken as sorted and is not.
        TraceError
            A row cannot be replayed.
        """
        started = told = time.monotonic()
        for batch in self._batches():
            if self.cancel is not None and self.cancel.is_set():
                raise Cancelled
            yield from self.step(batch)
            now = time.monotonic()
            if self.progress is not None and batch.height and now - told >= _PROGRESS_EVERY_S:
                told = now
                at = _EPOCH + timedelta(microseconds=batch["timestamp"][-1])
                self.progress(Progress(self._fed, self.total, now - started, at))
        yield from self.end()

    def step(self, batch: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Replay the next batch of the trace; several engines may share one.

        Yields
        ------
        DataFrame
            Outcomes decided meanwhile; nothing where they are not wanted.
        """
        self._feed(batch, self._fed)
        self._fed += batch.height
        if self.outcomes:
            yield self._decided(batch)
        self._keep(all_of_it=False)

    def end(self) -> Iterator[pl.DataFrame]:
        """Replay what is left once all batches were given; yields as :meth:`step` does."""
        self.core.finish()
        if self._fed:
            self.wire.routes.check(self._shown_names())
        self._check_schedules()
        if self.outcomes and (rest := self._decided(None)).height:
            yield rest
        self._keep(all_of_it=True)
        if self._source_minutes:
            bare = [(split(name) or (name,))[0] for name in self.wire.records.functions]
            numbers = [self._numbers[name] for name in bare]
            self._minutes.add_extras(function_parts(self._source_minutes, numbers))

    def _shown_names(self) -> list[str]:
        """Name the functions of the trace, without their qualifiers."""
        return [name for name, whole in zip(self.names, self.is_function, strict=True) if whole]

    def _stretch(self) -> tuple[int, int] | None:
        """Find the stretch of time in which scheduled actions can matter."""
        with reading(self.wire.label, self._blame):
            at = pl.col("timestamp")
            ends = self.wire.frame.select(at.min().alias("first"), at.max().alias("last"))
            first, last = ends.collect(engine="streaming").row(0)
        if first is None:
            return None
        last = first + math.ceil((last - first) * self.scenario.time_scale)
        # Copies of rows come within a minute (Z38); the rest is for what still runs then.
        last += 60_000_000 + _SCHEDULED_US
        until = self.scenario.until_us
        changes = [epoch.at_us for epoch in self.scenario.epochs if epoch.at_us is not None]
        return min(first, *changes) if changes else first, last if until is None else until

    def _check_schedules(self) -> None:
        """Refuse a replay that went on for longer than its schedules were looked up."""
        end = self.core.extent()["last_release"]
        if self._scheduled is None or end is None or end <= self._scheduled[1]:
            return
        days = _SCHEDULED_US // 86_400_000_000
        message = (
            f"the replay goes on for more than {days} days after the last arrival, up to"
            f" {show_instant(end)}; scheduled actions with cron or rate are looked up no further"
        )
        raise ScenarioError(message, hint="set replay.until")

    def batches(self) -> Iterator[pl.DataFrame]:
        """Decode the trace: what :meth:`step` takes."""
        return self._batches()

    def _batches(self) -> Iterator[pl.DataFrame]:
        with reading(self.wire.label, self._blame):
            if self.in_order:
                yield from self.wire.batches(self.batch_rows)
            else:
                yield from sorted_batches(self.wire.frame, self.batch_rows)

    def _blame(self) -> TraceError | None:
        """Find the field that a reader stumbled over."""
        return find_unreadable(self.wire.source.files) or self.wire.find_unreadable()

    def _feed(self, batch: pl.DataFrame, fed: int) -> None:
        batch = self.wire.core_names(self.wire.check(batch, fed))
        if (keys := self.wire.records.new_keys(batch)) is not None:
            self.core.add_keys(keys)
        if self.wire.records.names and "state_key" in batch.columns:
            used = batch["state_key"].filter(batch["state_key"] != NONE).max()
            if isinstance(used, int) and used >= self._state_keys:
                names = self.wire.state_key_names(self._state_keys, used + 1)
                self.core.add_state_keys(names.to_frame("key"))
                self._state_keys = used + 1
        try:
            self.core.feed(batch, self._register)
        except TraceError as error:
            if self.in_order and error.code == "LR-T-UNSORTED":
                raise Unsorted from error
            if error.row is not None:
                error.source = self.wire.source.file_of(error.row)
            raise

    def _register(self, codes: list[int]) -> list[dict[str, Any]]:
        """Answer the core's question for names that it sees for the first time."""
        entries: list[dict[str, Any]] = []
        for code, name in zip(codes, self.wire.names(codes), strict=True):
            if not name.strip() or len(name) > LONGEST_NAME or split(name) is None:
                message = f"function is {show(name)}, which is no name of a function"
                raise TraceError(
                    message,
                    source=self.wire.label,
                    column="function",
                    value=name,
                    code="LR-T-NAME",
                    hint=f"use name, name:qualifier or an ARN, at most {LONGEST_NAME} letters",
                )
            number = self._number_of(name, entries)
            known = {"name": "", "config": None, "function": None}
            entries.append({"code": code, "number": number, **known})
            self._shown.extend([None] * (code + 1 - len(self._shown)))
            self._shown[code] = name
        return entries

    def _number_of(self, name: str, entries: list[dict[str, Any]]) -> int:
        """Give a name its number, with its qualifier where it has one."""
        bare, qualifier = split(name) or (name, LATEST)
        function = self._number(bare, entries)
        if qualifier == LATEST:
            return function
        return self._number(f"{bare}:{qualifier}", entries, function)

    def _number(self, name: str, entries: list[dict[str, Any]], function: int | None = None) -> int:
        """Give a name its number, and note its configuration if it is new."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
            self.is_function.append(function is None)
            entry: dict[str, Any] = {
                "code": None,
                "number": number,
                "name": name,
                "function": function,
            }
            entry["config"] = self.scenario.function_epochs(name, self._scheduled)
            entries.append(entry)
        return number

    def _keep(self, *, all_of_it: bool) -> None:
        """Take what the core has put aside, if it is much."""
        self._minutes.add(pl.DataFrame(self.core.take_minutes(everything=all_of_it)))
        self._minutes.add_extras(pl.DataFrame(self.core.take_extras(everything=all_of_it)))
        if self.wire.records.names:
            minutes = pl.DataFrame(self.core.take_source_minutes(everything=all_of_it))
            if minutes.height:
                self._source_minutes.append(minutes)
        if self.attempts:
            self._attempts.add(pl.DataFrame(self.core.take_attempts()))

    def _decided(self, batch: pl.DataFrame | None) -> pl.DataFrame:
        """Give the outcomes decided since the last time; ``batch`` is what was fed."""
        raw = pl.DataFrame(self.core.take_outcomes())
        shown = pl.Series(self._shown, dtype=pl.String)
        copies = self.scenario.load > 1
        named = raw.with_columns(pl.lit(shown).gather(pl.col("function")).alias("function"))
        outcomes = outcome_columns(named, self._source_names, copies=copies)
        if not self.wire.has_request_id:
            return outcomes
        return outcomes.with_columns(self._request_ids(raw["row"], batch, keep_all=copies))

    def _request_ids(
        self, rows: pl.Series, batch: pl.DataFrame | None, *, keep_all: bool
    ) -> pl.Series:
        """Find the request ids of decided rows, and remember those of rows still open."""
        waiting = [] if self._open is None else [self._open]
        if batch is not None:
            if "row" not in batch.columns:
                start = self._rows_seen
                numbers = pl.int_range(start, start + batch.height, dtype=pl.UInt64, eager=True)
                batch = batch.with_columns(numbers.alias("row"))
            self._rows_seen += batch.height
            if not waiting and not keep_all and batch["row"].equals(rows):
                # The usual case: every row is decided in the batch that brings it, in its order.
                return batch["request_id"]
            waiting.append(batch.select("row", "request_id"))
        if not waiting:
            return pl.Series("request_id", [None] * len(rows), dtype=pl.String)
        known = pl.concat(waiting)
        found = rows.to_frame("row").join(known, on="row", how="left", maintain_order="left")
        left = known if keep_all else known.join(rows.to_frame("row"), on="row", how="anti")
        self._open = left if left.height else None
        return found["request_id"]

    def close(self) -> None:
        """Remove what waits on the disk; there are no metrics and attempts any more."""
        self._minutes.close()
        self._attempts.close()

    def attempt_schema(self) -> pl.Schema:
        """Columns of the attempts; a row replayed more than once tells its copies apart."""
        copies = {"copy": pl.UInt32()} if self.scenario.load > 1 else {}
        return pl.Schema({**ATTEMPT_SCHEMA, **copies})

    def attempts_table(self) -> pl.DataFrame:
        """Give all of :meth:`attempt_tables` as one frame."""
        return pl.concat([pl.DataFrame(schema=self.attempt_schema()), *self.attempt_tables()])

    def attempt_tables(self) -> Iterator[pl.DataFrame]:
        """Give attempts in order of time (Z50), a stretch of it at a time.

        Complete once :meth:`run` has come to its end.
        """
        for stretch in stretches(self._attempts):
            rows = self._attempts.rows(*stretch)
            if rows is not None:
                yield attempt_columns(rows, copies=self.scenario.load > 1)

    def costs(self) -> Costs:
        """Price the finished replay, once."""
        if self._costs is None:
            self._costs = costs_of(self)
        return self._costs

    def first_month(self) -> tuple[int, int]:
        """Calendar month of the first arrival."""
        first = _EPOCH + timedelta(microseconds=self.core.extent()["first"] or 0)
        return first.year, first.month

    def utilisation(self) -> list[float | None]:
        """Mean of busy over READY of each function's provisioned environments, over time."""
        sums: dict[int, list[int]] = {}
        for pool in self.core.provisioned_pools():
            busy, ready = sums.setdefault(pool["function"], [0, 0])
            sums[pool["function"]] = [busy + pool["busy_us"], ready + pool["ready_us"]]
        shares = {number: busy / ready for number, (busy, ready) in sums.items() if ready}
        return [shares.get(number) for number in range(len(self.names))]

    def is_charged(self) -> pl.Series:
        """Tell which functions are charged for provisioned environments, rows or not."""
        charged = {
            pool["function"]
            for pool in self.core.provisioned_pools()
            if pool["billed_us"] > 0 or pool["inits"] * pool["init_us"] > 0
        }
        return pl.Series([number in charged for number in range(len(self.names))], dtype=pl.Boolean)

    def shared_state(self) -> dict[str, Any]:
        """Say what shared records came to; empty where there are none."""
        state = self.core.shared_state()
        if not state["runs"]:
            return {}
        extent = self.core.extent()
        span = (extent["last_release"] or 0) - (extent["first"] or 0)
        return {
            **{name: state[name] for name in ("runs", "writers", "waits", "conflicts")},
            "wait_s": state["wait_us"] / 1e6,
            "longest_wait_ms": state["longest_wait_us"] / 1e3,
            "longest_queue": state["longest_queue"],
            "longest_chain": state["longest_chain"],
            "time_outs": state["time_outs"],
            "wait_billed_s": state["wait_billed_ms"] / 1e3,
            "wait_billed_usd": self._wait_usd(state),
            "blocked_mean": state["blocked_us"] / span if span > 0 else 0.0,
            "blocked_max": state["most_blocked"],
            "throttles": state["throttles"],
        }

    def keys_table(self) -> pl.DataFrame:
        """Give the hottest shared records, by the time that runs waited for them."""
        raw = pl.DataFrame(self.core.hottest_keys(self.scenario.state.top))
        if not raw.height:
            return pl.DataFrame(schema=KEY_SCHEMA)
        keys = pl.Series("state_key", self.wire.key_names(raw["key"].to_list()), dtype=pl.String)
        owners = pl.lit(pl.Series(self.names, dtype=pl.String)).gather(pl.col("function"))
        prices = [self._wait_usd(row) for row in raw.select(_MB_MS).to_dicts()]
        paid = pl.Series("wait_billed_usd", prices, dtype=pl.Float64)
        named = raw.with_columns(keys, paid, owners.alias("function"))
        return named.select(KEY_SCHEMA.names()).filter(pl.col("runs") > 0)

    def _wait_usd(self, mb_ms: dict[str, int]) -> float | None:
        """Price billed waits, before tiers and free tier; None where prices are not known."""
        return self.costs().waits(*(mb_ms[name] for name in _MB_MS))

    def blame_table(self) -> pl.DataFrame | None:
        """Say who held the capacity at refusals; None where that was not wanted."""
        if not self.blame:
            return None
        raw = pl.DataFrame(self.core.blame())
        names = pl.lit(pl.Series(self.names, dtype=pl.String))
        held = pl.when(pl.col("holder").is_not_null())
        throttles = pl.col("throttles")
        frame = raw.select(
            names.gather(pl.col("victim")).alias("victim"),
            _named("limit").alias("limit"),
            names.gather(pl.col("holder")).alias("holder"),
            throttles,
            held.then(pl.col("held_sum") / throttles).alias("held_mean"),
            held.then(pl.col("held_max")).alias("held_max"),
            held.then(pl.col("waiting_sum") / throttles).alias("waiting_mean"),
            held.then(pl.col("waiting_max")).alias("waiting_max"),
            pl.col("first").cast(INSTANT),
            pl.col("last").cast(INSTANT),
        ).sort(
            ["throttles", "victim", "limit", "held_mean", "holder"],
            descending=[True, False, False, True, False],
            nulls_last=True,
        )
        assert frame.schema == BLAME_SCHEMA, "the schema is what the documentation says"
        return frame

    def facts(self) -> frozenset[str]:
        """Say what the finished replay exercised (:data:`lambda_replay.scenario.FACTS`)."""
        row = pl.DataFrame(self.core.totals()).row(0, named=True)
        scenario = self.scenario
        epochs = range(len(scenario.epochs))
        functions = [epoch.function(name) for epoch in scenario.epochs for name in self.names]
        found = {
            "async": row["async_age_max_ms"] is not None or row["dropped"] > 0,
            "changes": len(epochs) > 1,
            "clients": any(function.client is not None for function in functions),
            "cold_starts": row["cold_starts"] > 0,
            "errors": row["errors"] > 0,
            "retries": row["async_age_max_ms"] is not None and row["throttles"] + row["errors"] > 0,
            "proactive": scenario.account.proactive_fraction > 0,
            "provisioned": bool(self.core.provisioned_pools()),
            "reserved": any(function.reserved is not None for function in functions),
            "rps": row["throttles_account_rps"] + row["throttles_reserved_rps"] > 0,
            "scaling": row["throttles_scaling_rate"] > 0,
            "state": self.core.shared_state()["runs"] > 0,
            "throttles": row["throttles"] > 0,
            **self._source_facts(),
        }
        return frozenset(name for name, holds in found.items() if holds)

    def _source_facts(self) -> dict[str, bool]:
        units = self.sources_table()
        used = set(units.filter(pl.col("records") > 0)["type"])
        batches = _sums(self._source_minutes, "failed", "invoked")
        refused = pl.DataFrame(self.core.totals())["throttles"].item()
        return {
            "sources": bool(used),
            "sources_stream": bool(used & {"kinesis", "dynamodb"}),
            "sources_queue": bool(used & {"sqs", "sqs_fifo"}),
            "sources_kafka": "kafka" in used,
            "source_errors": batches["failed"] > 0,
            "source_throttles": batches["failed"] > 0 and refused > 0,
        }

    def _resolved_sources(self) -> list[ResolvedSource]:
        return [*self.scenario.epochs[0].sources.values()]

    def source_minutes(self) -> pl.DataFrame:
        """Give metrics per event source and minute. Complete once :meth:`run` has ended."""
        return source_minutes(self._source_minutes, self._resolved_sources())

    def sources_table(self) -> pl.DataFrame:
        """Give a row per event source and shard, partition, group or queue, by name.

        Complete once :meth:`run` has ended, and not to be asked for before.
        """
        if not self.wire.records.names:
            return pl.DataFrame(schema=SOURCE_SCHEMA)
        if self._sources_table is not None:
            return self._sources_table
        units = pl.DataFrame(self.core.source_units())
        sources = self._resolved_sources()
        self._sources_table = sources_table(
            units, self.source_minutes(), sources, self.wire.records
        )
        return self._sources_table

    def source_deliveries(self) -> dict[str, int]:
        """Give records by the name of the destination or dead-letter queue that they went to."""
        return deliveries(self.sources_table(), self._resolved_sources())

    def source_function_deliveries(self) -> dict[str, int]:
        """Give the same by the bare name of the function that the source invokes."""
        return function_deliveries(self.sources_table())

    def poller_units(self) -> list[tuple[str, str, int]]:
        """Give the bare function, the type and the unit-microseconds of provisioned pollers."""
        units = poller_units(self._source_minutes)
        return [
            ((split(source.function) or (source.function,))[0], source.type, units[number])
            for number, source in enumerate(self._resolved_sources())
            if number in units
        ]

    def longest_run_s(self) -> float:
        """Longest handler time of all runs; 0 where nothing ran."""
        return (pl.DataFrame(self.core.totals())["duration_max_ms"].item() or 0) / 1e3

    def minutes(self) -> Iterator[pl.DataFrame]:
        """Give metrics per function and minute, a stretch of time at once; no function: the Region.

        Complete once :meth:`run` has come to its end.
        """
        names = pl.Series(self.names, dtype=pl.String)
        return self._minutes.tables(names, functions=self.function_minutes)

    def minutes_table(self) -> pl.DataFrame:
        """Give all of :meth:`minutes` as one frame."""
        return pl.concat([pl.DataFrame(schema=MINUTE_SCHEMA), *self.minutes()])


def _sums(parts: list[pl.DataFrame], *names: str) -> dict[str, int]:
    return {name: sum(int(part[name].sum()) for part in parts) for name in names}


def _named(column: str) -> pl.Expr:
    return pl.lit(_NAMES[column]).gather(pl.col(column).cast(pl.UInt32))


def outcome_columns(raw: pl.DataFrame, sources: pl.Series, *, copies: bool) -> pl.DataFrame:
    """Outcomes as users know them, from what the core decides (interface §5)."""
    columns = {
        "row": pl.col("row"),
        "timestamp": pl.col("timestamp").cast(INSTANT),
        "function": pl.col("function"),
        "source": pl.lit(sources).gather(pl.col("source")),
        **{name: _named(name) for name in ("outcome", "reason", "limit")},
        **{name: pl.col(name) for name in ("attempts", "throttles", "errors")},
        **{name: pl.col(name).cast(INSTANT) for name in ("start", "end", "settled")},
        "wait_ms": pl.col("wait_ms"),
        "lock_wait_ms": pl.col("lock_wait_ms"),
        **{name: pl.col(name) for name in ("conflicts", "init_ms", "cold", "provisioned")},
        "spillover_reason": _named("spillover_reason"),
        **{name: pl.col(name) for name in ("environment", "batch", "billed_ms")},
    }
    frame = raw.select(**columns)
    assert frame.schema == OUTCOME_SCHEMA, "the schema is what the documentation says"
    return frame.with_columns(raw["copy"]) if copies else frame


def attempt_columns(raw: pl.DataFrame, *, copies: bool) -> pl.DataFrame:
    """Give attempts as users know them, in order of time (Z50)."""
    at = pl.col("at")
    columns = {
        **{name: pl.col(name) for name in ("row", "attempt", "batch")},
        "outcome": pl.lit(_ATTEMPT_OUTCOMES).gather(pl.col("outcome").cast(pl.UInt32)),
        "reason": _named("reason"),
        "limit": _named("limit"),
        "start": at.cast(INSTANT),
        # A refusal is over at once.
        "end": pl.when(pl.col("ran")).then(pl.col("end")).otherwise(at).cast(INSTANT),
        **{
            name: pl.col(name)
            for name in ("cold", "provisioned", "environment", "lock_wait_ms", "billed_ms")
        },
    }
    frame = raw.sort("at", "row", "copy", "attempt", maintain_order=True)
    shown = frame.select(**columns)
    assert shown.schema == ATTEMPT_SCHEMA, "the schema is what the documentation says"
    return shown.with_columns(frame["copy"]) if copies else shown
