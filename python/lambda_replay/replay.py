"""Replay a trace: the verb behind ``lambda-replay run`` and behind ``lambda_replay.replay``."""

from __future__ import annotations

import contextlib
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl
from polars.io.plugins import register_io_source

from lambda_replay import _core, samples
from lambda_replay.engine import Engine, Progress, Unsorted
from lambda_replay.exceptions import TraceError, show
from lambda_replay.ingest import TraceSource, Wire, open_trace
from lambda_replay.ingest.account import account_of, disorder_of
from lambda_replay.ingest.bad_rows import BadRows, set_aside
from lambda_replay.ingest.faults import reading
from lambda_replay.ingest.oddities import odd_names
from lambda_replay.ingest.written import verify
from lambda_replay.output import atomic_path, sink_batches
from lambda_replay.readers.base import ReadOptions
from lambda_replay.results import (
    ReplayResult,
    TraceReport,
    functions_table,
    instant,
    summarise,
)
from lambda_replay.scenario import Resolved, Scenario
from lambda_replay.schema import MINUTE_SCHEMA, OUTCOME_SCHEMA
from lambda_replay.worker import Cancelled, call, check_not_forked

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

    from lambda_replay.ingest import TraceLike

#: Lambda's preview, 2014-11-13, in µs since the epoch: no trace of it is older.
_PLAUSIBLE_FROM: Final = 1_415_836_800_000_000
#: Longest time-out of a function (F3.1).
LAMBDA_LONGEST_S: Final = 900

__all__ = ["Progress", "replay", "run", "sample_scenario", "scan_outcomes"]

if _core.DEBUG_BUILD:
    warnings.warn(
        "lambda_replay._core is a debug build: right, and some thirty times slower than a release"
        " build (maturin develop --release)",
        RuntimeWarning,
        stacklevel=2,
    )


def replay(
    trace: TraceLike,
    scenario: Scenario | None = None,
    *,
    outcomes: bool = False,
    attempts: bool = False,
    blame: bool = False,
    seed: int | None = None,
    read: ReadOptions | None = None,
    on_bad_row: str = "error",
    max_bad_rows: int | None = None,
    bad_rows: Path | None = None,
) -> ReplayResult:
    """Replay a trace under a scenario.

    Parameters
    ----------
    trace
        A path, a glob, a folder, a list of paths, ``"sample:NAME"``, a URL that Polars can scan, a
        Polars frame, or any object with ``__arrow_c_stream__``. Columns ``timestamp`` (Datetime or
        integer µs), ``function`` and ``duration_ms``; ``init_ms``, ``request_id`` and ``row_uid``
        where there are. Rows need not be sorted.
    scenario
        Settings of the account and its functions; AWS's defaults of today where there is none, or
        the sample's own where the trace is a sample.
    outcomes
        Whether to keep a row per row of the trace.
    attempts
        Whether to keep a row per row of the trace and attempt.
    blame
        Whether to note who held the capacity at each refusal.
    seed
        Seeds every draw, instead of the scenario's ``replay.seed``. Equal seeds give equal results.
    read
        How the trace is read; None: its format is recognised.
    on_bad_row
        What becomes of rows that cannot be replayed: ``error`` raises for the first, ``skip`` and
        ``quarantine`` set them aside.
    max_bad_rows
        More than so many are an error all the same; None: 0.1 % of the rows, and at least 100.
    bad_rows
        Where ``quarantine`` writes them, as Parquet.

    Returns
    -------
    ReplayResult
        Summary, functions, metrics per minute and, if wanted, outcomes in the trace's order.

    Raises
    ------
    TraceError
        The trace cannot be read, or a row of it cannot be replayed (``row`` says which).
    ScenarioError
        The scenario or the seed is not valid.
    ResourceError
        Memory or disk do not suffice.

    Notes
    -----
    Rules F1.1–F1.3, F3.1–F3.4, F3.7 and Z1–Z7; ``docs/semantics.md`` gives their sources.
    """
    return run(
        trace,
        scenario,
        outcomes=outcomes,
        attempts=attempts,
        metrics=True,
        blame=blame,
        seed=seed,
        read=read,
        bad=BadRows.of(on_bad_row, max_bad_rows, bad_rows),
    )


def run(
    trace: TraceLike,
    scenario: Scenario | None = None,
    *,
    outcomes: bool | Path = False,
    attempts: bool | Path = False,
    metrics: bool | Path = False,
    blame: bool = False,
    seed: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    read: ReadOptions | None = None,
    bad: BadRows | None = None,
) -> ReplayResult:
    """Replay a trace; results may go to files while it runs.

    Parameters
    ----------
    trace, scenario, seed
        As for :func:`replay`.
    outcomes, attempts, metrics
        Whether to keep them, or the Parquet file to write them to. A file appears whole at the end
        or not at all.
    blame
        Whether to note who held the capacity at each refusal.
    progress
        Told how far it is, about ten times a second, on another thread.
    read
        How the trace is read.
    bad
        What becomes of bad rows; afterwards it tells what was found.

    Returns
    -------
    ReplayResult
        As for :func:`replay`; ``outcomes``, ``attempts`` and ``metrics`` are None where they went
        to a file.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    wanted_files = (("outcomes", outcomes), ("attempts", attempts), ("metrics", metrics))
    for name, wanted in wanted_files:
        if not isinstance(wanted, bool | Path):
            message = f"{name} is True, False or a pathlib.Path, not {show(wanted)}"
            raise TypeError(message)
    job = _Job(
        trace,
        choose_scenario(trace, scenario, seed),
        outcomes,
        attempts,
        metrics,
        blame,
        progress,
        read or ReadOptions(),
        bad or BadRows(),
    )
    return call(job.work)


def choose_scenario(trace: TraceLike, scenario: Scenario | None, seed: int | None) -> Scenario:
    """Choose the scenario: the given one, the sample's own, or AWS's defaults; and its seed."""
    if scenario is None:
        scenario = sample_scenario(trace) or Scenario()
    if not isinstance(scenario, Scenario):
        message = f"scenario is a Scenario, not {show(scenario)}; Scenario.load(path) reads a file"
        raise TypeError(message)
    return scenario if seed is None else scenario.with_("replay.seed", seed)


def sample_scenario(trace: TraceLike) -> Scenario | None:
    """Give the scenario that goes with a sample, where the trace is one and has one."""
    if isinstance(trace, list | tuple) and len(trace) == 1:
        trace = trace[0]
    if not isinstance(trace, str) or not trace.startswith("sample:"):
        return None
    path = samples.scenario_path(trace.removeprefix("sample:"))
    return None if path is None else Scenario.load(path)


@dataclass(frozen=True)
class _Job:
    """One call of :func:`run`."""

    trace: TraceLike
    scenario: Scenario
    outcomes: bool | Path
    attempts: bool | Path
    metrics: bool | Path
    blame: bool
    progress: Callable[[Progress], None] | None
    read: ReadOptions
    bad: BadRows

    def work(self, cancel: threading.Event) -> ReplayResult:
        started = time.monotonic()
        with wire_of(self.trace, self.read, self.bad, self.scenario) as wire:
            total = count_rows(wire.source) if self.progress is not None else None
            try:
                return self._attempt(wire, started, cancel, total, in_order=True)
            except Unsorted:
                return self._attempt(wire, started, cancel, total, in_order=False)

    def _attempt(
        self,
        wire: Wire,
        started: float,
        cancel: threading.Event,
        total: int | None,
        *,
        in_order: bool,
    ) -> ReplayResult:
        engine = Engine(
            wire,
            self.scenario.resolve(),
            outcomes=self.outcomes is not False,
            attempts=self.attempts is not False,
            function_minutes=self.metrics is not False,
            blame=self.blame,
            in_order=in_order,
            total=total,
            cancel=cancel,
            progress=self.progress,
        )
        with contextlib.ExitStack() as files:
            files.callback(engine.close)
            kept = self._drain(engine, files, cancel)
            refuse_mixed_units(wire, engine)
            self.bad.write()
            attempts = self._attempts(engine, files)
            minutes = self._minutes(engine, files)
        return gather(
            engine,
            self.scenario,
            bad=self.bad,
            minutes=minutes,
            keep_minutes=self.metrics is True,
            outcomes=kept if self.outcomes is True else None,
            attempts=attempts,
            seconds=time.monotonic() - started,
        )

    def _drain(
        self, engine: Engine, files: contextlib.ExitStack, cancel: threading.Event
    ) -> pl.DataFrame | None:
        """Run the engine to its end; outcomes go where they are wanted."""
        if isinstance(self.outcomes, Path):
            temporary = files.enter_context(atomic_path(self.outcomes))
            schema = _outcome_schema(engine.wire, engine.scenario)
            sink_batches(engine.run(), schema, temporary, self.outcomes)
            if cancel.is_set():
                raise Cancelled
            return None
        if not engine.outcomes:
            for _ in engine.run():
                pass
            return None
        return join_outcomes(engine, engine.run())

    def _attempts(self, engine: Engine, files: contextlib.ExitStack) -> pl.DataFrame | None:
        """Give the attempts, or write them, as wanted."""
        if self.attempts is False:
            return None
        if self.attempts is True:
            return engine.attempts_table()
        schema, tables = engine.attempt_schema(), engine.attempt_tables()
        sink_batches(tables, schema, files.enter_context(atomic_path(self.attempts)), self.attempts)
        return None

    def _minutes(self, engine: Engine, files: contextlib.ExitStack) -> pl.DataFrame:
        """Give the metrics; the Region's alone where those of functions go into a file."""
        if not isinstance(self.metrics, Path):
            return engine.minutes_table()
        region: list[pl.DataFrame] = []

        def tables() -> Iterator[pl.DataFrame]:
            for table in engine.minutes():
                region.append(table.filter(pl.col("function").is_null()))
                yield table

        temporary = files.enter_context(atomic_path(self.metrics))
        sink_batches(tables(), pl.Schema(MINUTE_SCHEMA), temporary, self.metrics)
        return pl.concat([pl.DataFrame(schema=MINUTE_SCHEMA), *region])


@contextlib.contextmanager
def wire_of(
    trace: TraceLike, read: ReadOptions, bad: BadRows, *scenarios: Scenario
) -> Iterator[Wire]:
    """Open a trace, ready for the core under any of the scenarios.

    A source that is open already is left open: whoever opened it reads it again.
    """
    source = open_trace(trace, read)
    try:
        for file, shown in zip(source.files, source.labels, strict=False):
            if "://" not in file:
                verify(Path(file), shown)
        resolved = [scenario.resolve() for scenario in scenarios]
        if bad.policy != "error":
            if resolved and not any(one.routes for one in resolved):
                # A row must mean something under each of them: all replay the same rows.
                named = [frozenset(one.source_names()) for one in resolved]
                # Routed rows may leave a door that no scenario has: the wire judges them.
                bad.sources = frozenset.intersection(*named) | {"sync", "async"}
            source = set_aside(source, bad, read)
        wire = Wire.of(source, *resolved)
        wire.check_accounts()
        yield wire
    finally:
        if not isinstance(trace, TraceSource):
            source.close()


def gather(
    engine: Engine,
    scenario: Scenario,
    *,
    bad: BadRows | None = None,
    minutes: pl.DataFrame,
    keep_minutes: bool,
    outcomes: pl.DataFrame | None,
    attempts: pl.DataFrame | None,
    seconds: float,
) -> ReplayResult:
    """Put together what a finished engine says."""
    source, wire = engine.wire.source, engine.wire
    trace = _report(source, wire, engine, bad or BadRows(), was_sorted=engine.in_order)
    return ReplayResult(
        summary=summarise(engine, scenario, trace, engine.scenario.seed),
        functions=functions_table(engine),
        metrics=minutes if keep_minutes else None,
        region=minutes.filter(pl.col("function").is_null()).drop("function"),
        outcomes=outcomes,
        attempts=attempts,
        keys=engine.keys_table(),
        sources=engine.sources_table(),
        source_metrics=engine.source_minutes(),
        facts=engine.facts(),
        trace=trace,
        scenario=scenario,
        seconds=seconds,
        blame=engine.blame_table(),
    )


def join_outcomes(engine: Engine, parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Give the outcomes of an engine in the trace's order."""
    schema = _outcome_schema(engine.wire, engine.scenario)
    kept = pl.concat([pl.DataFrame(schema=schema), *parts])
    by = ["row", "copy"] if "copy" in schema else ["row"]
    return kept if kept["row"].is_sorted() and len(by) == 1 else kept.sort(by)


def _outcome_schema(wire: Wire, scenario: Resolved) -> pl.Schema:
    copies = {"copy": pl.UInt32()} if scenario.load > 1 else {}
    extra = {"request_id": pl.String()} if wire.has_request_id else {}
    return pl.Schema({**OUTCOME_SCHEMA, **copies, **extra})


def scan_outcomes(
    trace: TraceLike, scenario: Scenario | None = None, *, seed: int | None = None
) -> pl.LazyFrame:
    """Give the outcomes as a lazy frame that replays as it is read.

    Memory does not grow with the trace: filter, aggregate or sink it. Each collection replays anew.

    Parameters
    ----------
    trace, scenario, seed
        As for :func:`replay`.

    Returns
    -------
    LazyFrame
        Columns of :data:`~lambda_replay.schema.OUTCOME_SCHEMA`, and ``request_id`` where the trace
        has it. Rows come in order of time; ``row`` is the position in the trace as given.

    Raises
    ------
    TraceError
        At once where the trace cannot be read; a row that cannot be replayed shows when the frame
        is collected, wrapped by Polars.

    Examples
    --------
    >>> import polars as pl
    >>> import lambda_replay as lr
    >>> outcomes = lr.scan_outcomes("sample:azure2019")
    >>> outcomes.filter(pl.col("outcome") == "throttled").select(pl.len()).collect().item() > 0
    True
    """
    check_not_forked()
    resolved = choose_scenario(trace, scenario, seed).resolve()
    source = open_trace(trace)
    wire = Wire.of(source, resolved)
    wire.check_accounts()
    schema = _outcome_schema(wire, resolved)

    def batches(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        del batch_size
        check_not_forked()
        left = n_rows
        with reading(wire.label):
            disorder = pl.col("timestamp").diff() < 0
            frame = wire.frame.select(disorder.any()).collect(engine="streaming")
        engine = Engine(wire, resolved, outcomes=True, in_order=not frame.item())
        for batch in engine.run():
            chosen = batch
            if left is not None:
                chosen = chosen.head(left)
                left -= chosen.height
            if predicate is not None:
                chosen = chosen.filter(predicate)
            if with_columns is not None:
                chosen = chosen.select(with_columns)
            yield chosen
            if left == 0:
                return

    return register_io_source(batches, schema=schema)


def count_rows(source: TraceSource) -> int | None:
    """Count rows where that costs nothing: footers of Parquet files."""
    if not source.files or any(not file.endswith((".parquet", ".pq")) for file in source.files):
        return None
    with reading(source.label):
        return sum(int(frame.select(pl.len()).collect().item()) for frame in source.frames)


def refuse_mixed_units(wire: Wire, engine: Engine) -> None:
    """Refuse integers of which some are µs since 1970 and some are not."""
    extent = engine.core.extent()
    first, last = extent["first"], extent["last"]
    if wire.counts_micros and first is not None and first < _PLAUSIBLE_FROM <= (last or 0):
        message = (
            f"timestamp goes from {instant(first)} to {instant(last)}: some of the numbers are µs"
            " since 1970, others must be s or ms"
        )
        raise TraceError(
            message,
            source=wire.label,
            column="timestamp",
            code="LR-T-UNITS",
            hint="bring all to one unit; --map timestamp_ms=NAME takes milliseconds",
        )


def _report(
    source: TraceSource, wire: Wire, engine: Engine, bad: BadRows, *, was_sorted: bool
) -> TraceReport:
    extent = engine.core.extent()
    notes = list(wire.notes)
    first, longest = extent["first"], engine.longest_run_s()
    if wire.counts_micros and first is not None and first < _PLAUSIBLE_FROM:
        notes.append(
            f"timestamp is taken as µs since 1970, so the trace begins {instant(first)}: right for"
            " relative times, wrong for s or ms"
        )
    if longest > LAMBDA_LONGEST_S:
        notes.append(
            f"the longest run takes {longest:,.0f} s, more than Lambda's {LAMBDA_LONGEST_S} s:"
            " replayed as it is"
        )
    if not was_sorted:
        notes.append("the rows were not in order of time: sorted, ties in the order given")
    notes += odd_names(engine.names, extent["rows"] or 0)
    disorder = 0 if was_sorted else disorder_of(wire)
    notes += wire.routes.sentences()
    told = account_of(source, extent["rows"] or 0, bad.count, disorder)
    return TraceReport(
        names=source.names,
        rows=extent["rows"] or 0,
        first=instant(extent["first"]),
        last=instant(extent["last"]),
        was_sorted=was_sorted,
        ignored=wire.ignored,
        not_modelled=wire.not_modelled,
        measured=source.measured + told.measured,
        assumed=source.assumed + told.assumed,
        has_init=wire.has_init,
        has_memory="memory_mb" in wire.checked,
        notes=(*told.notes, *bad.sentences(), *notes),
        ingest=tuple(report.to_dict() for report in source.reports),
        bad_rows=bad.count,
    )
