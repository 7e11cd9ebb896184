"""Feeds the core with batches and drains it: the only caller of ``_core``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay import _core
from lambda_replay.exceptions import TraceError, show
from lambda_replay.ingest.faults import reading
from lambda_replay.ingest.formats import find_unreadable
from lambda_replay.ingest.order import sorted_batches
from lambda_replay.names import LATEST, split
from lambda_replay.schema import ATTEMPT_SCHEMA, INSTANT, MINUTE_SCHEMA, OUTCOME_SCHEMA
from lambda_replay.worker import Cancelled

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from lambda_replay.ingest import Wire
    from lambda_replay.scenario import Resolved

__all__ = ["BATCH_ROWS", "Engine", "Progress", "Unsorted"]

#: Rows per batch: those of the row groups that we write, which then need no cutting and joining;
#: much larger ones leave the cache between decoding and replaying.
BATCH_ROWS: Final = 131_072

#: How often somebody is told how far it is.
_PROGRESS_EVERY_S: Final = 0.1

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LIMIT_NAMES: Final = pl.Series([name for name, _ in _core.LIMITS], dtype=pl.String)
_LIMIT_REASONS: Final = pl.Series([reason for _, reason in _core.LIMITS], dtype=pl.String)


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
    outcomes
        Whether outcomes are wanted.
    function_minutes
        Whether rows of minutes are wanted for each function, not for the Region alone.
    names, is_function
        Names by the number that the core knows them by, and whether that is a function or one of
        its qualifiers.
    in_order
        Whether the trace is taken as sorted; :class:`Unsorted` is raised where it is not.
    """

    wire: Wire
    scenario: Resolved
    outcomes: bool = False
    function_minutes: bool = False
    in_order: bool = True
    total: int | None = None
    cancel: threading.Event | None = None
    progress: Callable[[Progress], None] | None = None
    batch_rows: int = BATCH_ROWS
    names: list[str] = field(default_factory=list)
    is_function: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.core = _core.Replay(
            self.scenario.core_config(),
            outcomes=self.outcomes,
            function_minutes=self.function_minutes,
        )
        self._numbers: dict[str, int] = {}
        #: Names as the trace gives them, by code.
        self._shown: list[str | None] = []

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
        fed = 0
        for batch in self._batches():
            if self.cancel is not None and self.cancel.is_set():
                raise Cancelled
            self._feed(batch, fed)
            fed += batch.height
            if self.outcomes:
                yield self._decided(batch)
            now = time.monotonic()
            if self.progress is not None and batch.height and now - told >= _PROGRESS_EVERY_S:
                told = now
                at = _EPOCH + timedelta(microseconds=batch["timestamp"][-1])
                self.progress(Progress(fed, self.total, now - started, at))
        self.core.finish()
        # The core holds them as tightly as a frame would, and one is cheaper than one per batch.
        self._minutes = pl.DataFrame(self.core.take_minutes())

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
        batch = self.wire.check(batch, fed)
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
            parts = split(name)
            if parts is None:
                message = f"function is {show(name)}, which is no name of a function"
                raise TraceError(
                    message,
                    source=self.wire.label,
                    column="function",
                    value=name,
                    code="LR-T-NAME",
                    hint="use name, name:qualifier or an ARN",
                )
            bare, qualifier = parts
            function = self._number(bare, entries)
            number = function
            if qualifier != LATEST:
                number = self._number(f"{bare}:{qualifier}", entries, function)
            entries.append({"code": code, "number": number, "config": None, "function": None})
            self._shown.extend([None] * (code + 1 - len(self._shown)))
            self._shown[code] = name
        return entries

    def _number(self, name: str, entries: list[dict[str, Any]], function: int | None = None) -> int:
        """Give a name its number, and note its configuration if it is new."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
            self.is_function.append(function is None)
            config = dict(self.scenario.function(name).core_config())
            entries.append({"code": None, "number": number, "config": config, "function": function})
        return number

    def _decided(self, batch: pl.DataFrame) -> pl.DataFrame:
        # Every row is decided in the batch that brings it, in its order.
        raw = pl.DataFrame(self.core.take_outcomes())
        shown = pl.Series(self._shown, dtype=pl.String).gather(batch["function"])
        outcomes = outcome_columns(raw.with_columns(shown.alias("function")))
        if self.wire.has_request_id:
            outcomes = outcomes.with_columns(batch["request_id"])
        return outcomes

    def longest_run_s(self) -> float:
        """Longest handler time of all runs; 0 where nothing ran."""
        return (pl.DataFrame(self.core.totals())["duration_max_ms"].item() or 0) / 1e3

    def minutes(self) -> pl.DataFrame:
        """Metrics per function and minute, the Region's with a null function, in order of time.

        Complete once :meth:`run` has come to its end.
        """
        names = pl.Series(self.names, dtype=pl.String)
        # The place of a name among all names sorts as the name does, in less time and memory.
        place = pl.lit(names.rank("ordinal")).gather(pl.col("function"))
        raw = self._minutes.sort("timestamp", place, nulls_last=False)
        return minute_columns(raw, names)


def outcome_columns(raw: pl.DataFrame) -> pl.DataFrame:
    """Outcomes as users know them, from what the core decides (interface §5)."""
    ran, refused = pl.col("ran"), ~pl.col("ran")
    of_runs = pl.when(ran)
    limit = pl.col("limit").cast(pl.UInt32)
    columns = {
        "row": pl.col("row"),
        "timestamp": pl.col("timestamp").cast(INSTANT),
        "function": pl.col("function"),
        "source": pl.lit("sync"),
        "outcome": of_runs.then(pl.lit("success")).otherwise(pl.lit("throttled")),
        "reason": pl.lit(_LIMIT_REASONS).gather(limit),
        "limit": pl.lit(_LIMIT_NAMES).gather(limit),
        "attempts": pl.lit(1, pl.UInt32),
        "throttles": refused.cast(pl.UInt32),
        "errors": pl.lit(0, pl.UInt32),
        "start": pl.col("start").cast(INSTANT),
        "end": pl.col("end").cast(INSTANT),
        # A refusal is final at once, the answer to a run comes at its end.
        "settled": pl.coalesce("end", "timestamp").cast(INSTANT),
        # A synchronous request that runs starts when it arrives.
        "wait_ms": of_runs.then(0.0),
        "lock_wait_ms": of_runs.then(0.0),
        "conflicts": pl.lit(0, pl.UInt32),
        "init_ms": pl.col("init_ms"),
        "cold": pl.col("cold"),
        "provisioned": of_runs.then(pl.lit(value=False)),
        "spillover_reason": pl.lit(None, pl.String),
        "environment": pl.col("environment"),
        "batch": pl.col("invocation"),
        "billed_ms": pl.col("billed_ms"),
    }
    frame = raw.select(**columns)
    assert frame.schema == OUTCOME_SCHEMA, "the schema is what the documentation says"
    return frame


def attempt_columns(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Give attempts in order of time (Z50); in this version every request has exactly one."""
    ran = pl.col("outcome") == "success"
    start = pl.coalesce("start", "timestamp")
    columns = {
        "row": pl.col("row"),
        "attempt": pl.lit(1, pl.UInt32),
        "batch": pl.col("batch"),
        "outcome": pl.col("outcome"),
        "reason": pl.col("reason"),
        "limit": pl.col("limit"),
        "start": start,
        "end": pl.when(ran).then(pl.col("end")).otherwise(start),
        **{
            name: pl.col(name)
            for name in ("cold", "provisioned", "environment", "lock_wait_ms", "billed_ms")
        },
    }
    frame = outcomes.select(**columns).sort("start", "row")
    assert frame.schema == ATTEMPT_SCHEMA, "the schema is what the documentation says"
    return frame


def minute_columns(raw: pl.DataFrame, names: pl.Series) -> pl.DataFrame:
    """Metrics as CloudWatch names them (F6); null is no datum, 0 is one (Z45)."""
    runs, attempts = pl.col("invocations"), pl.col("invocations") + pl.col("throttles")
    where_run, where_tried = pl.when(runs > 0), pl.when(attempts > 0)
    region = pl.when(pl.col("function").is_null())
    columns = {
        "timestamp": pl.col("timestamp").cast(INSTANT),
        "function": pl.lit(names).gather(pl.col("function")),
        "Invocations": where_run.then(runs),
        "Errors": where_tried.then(pl.lit(0, pl.UInt64)),
        "Throttles": where_tried.then(pl.col("throttles")),
        "Errors_samples": where_tried.then(attempts),
        "Throttles_samples": where_tried.then(attempts),
        "Duration_sum": where_run.then(pl.col("duration_ms")),
        "Duration_max": where_run.then(pl.col("duration_max_ms")),
        "ConcurrentExecutions": pl.col("concurrency"),
        # Nothing is reserved or provisioned: all of it is unreserved, and claimed.
        "UnreservedConcurrentExecutions": region.then(pl.col("concurrency")),
        "ClaimedAccountConcurrency": region.then(pl.col("concurrency")),
        "cold_starts": where_run.then(pl.col("cold_starts")),
        "lock_wait_ms_sum": where_run.then(0.0),
        "environments": pl.col("environments"),
    }
    frame = raw.select(**columns)
    assert frame.schema == MINUTE_SCHEMA, "the schema is what the documentation says"
    return frame
