"""Several replays of one trace at once: decoded once, fed to all, on a thread per core.

Owns who replays which batch when. What a batch holds is the wire's, what becomes of it the
engine's.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from lambda_replay.engine import Engine, Progress, Unsorted
from lambda_replay.ingest.bad_rows import BadRows
from lambda_replay.readers.base import ReadOptions
from lambda_replay.replay import (
    count_rows,
    gather,
    join_outcomes,
    refuse_mixed_units,
    wire_of,
)
from lambda_replay.worker import Cancelled, call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import polars as pl

    from lambda_replay.ingest import TraceLike, Wire
    from lambda_replay.results import ReplayResult
    from lambda_replay.scenario import Scenario

__all__ = ["Wanted", "replay_several", "usable_cores"]

#: Batches by which one replay may be ahead of another; they are all in memory.
_AHEAD: Final = 4
#: Bytes of decoded batches that are kept for the replays to come, rather than decoded again.
_KEPT_BYTES: Final = 1 << 30
#: Replays at once for each core: enough to even out that some take longer, few enough for memory.
_PER_CORE: Final = 2
#: The same where each group of replays decodes the trace anew.
_PER_CORE_UNKEPT: Final = 8
_PROGRESS_EVERY_S: Final = 0.1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Wanted:
    """What is wanted of each replay.

    Attributes
    ----------
    metrics
        Rows of minutes by function.
    outcomes
        A row per row of the trace.
    blame
        Who held the capacity at refusals.
    """

    metrics: bool = False
    outcomes: bool = False
    blame: bool = False


def usable_cores() -> int:
    """Count the processors that this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:
        return os.cpu_count() or 1


def replay_several(
    trace: TraceLike,
    scenarios: Sequence[Scenario],
    *,
    wanted: Wanted | None = None,
    threads: int | None = None,
    done: Callable[[int, ReplayResult], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
    read: ReadOptions | None = None,
    bad: BadRows | None = None,
) -> list[ReplayResult]:
    """Replay a trace under several scenarios, decoding it once.

    Parameters
    ----------
    trace
        As for :func:`lambda_replay.replay`.
    scenarios
        Each with its own seed.
    wanted
        What is wanted of each.
    threads
        Replays at once; by default one per core.
    done
        Told of each result as soon as it is there, by its place, on a thread of its own.
        Results are then not kept: the answer is empty.
    progress
        Told how far all of them together are, in rows of replays.
    read
        How the trace is read.
    bad
        What becomes of bad rows; afterwards it tells what was found.

    Returns
    -------
    list of ReplayResult
        In the order of the scenarios, each as from a replay alone.

    Raises
    ------
    TraceError
        The trace cannot be read, or a row of it cannot be replayed.
    """
    job = _Several(
        trace,
        tuple(scenarios),
        wanted or Wanted(),
        threads or usable_cores(),
        done,
        progress,
        read or ReadOptions(),
        bad or BadRows(),
    )
    return call(job.work)


@dataclass
class _Batches:
    """The decoded trace; kept once it was decoded to its end, where it is small enough."""

    decode: Callable[[], Iterator[pl.DataFrame]]
    kept: list[pl.DataFrame] | None = field(default_factory=list)
    whole: bool = False

    def __iter__(self) -> Iterator[pl.DataFrame]:
        if self.whole and self.kept is not None:
            yield from self.kept
            return
        kept: list[pl.DataFrame] | None = [] if self.kept is not None else None
        size = 0
        for batch in self.decode():
            if kept is not None:
                size += int(batch.estimated_size())
                kept.append(batch)
                if size > _KEPT_BYTES:
                    kept = None
            yield batch
        self.kept, self.whole = kept, kept is not None


@dataclass(frozen=True)
class _Several:
    """One call of :func:`replay_several`."""

    trace: TraceLike
    scenarios: tuple[Scenario, ...]
    wanted: Wanted
    threads: int
    done: Callable[[int, ReplayResult], None] | None
    progress: Callable[[Progress], None] | None
    read: ReadOptions
    bad: BadRows

    def work(self, cancel: threading.Event) -> list[ReplayResult]:
        # What is found counts for this call alone.
        self.bad.forget()
        with wire_of(self.trace, self.read, self.bad, *self.scenarios) as wire:
            total = count_rows(wire.source) if self.progress is not None else None
            try:
                return self._all(wire, cancel, total, in_order=True)
            except Unsorted:
                self.bad.forget()
                return self._all(wire, cancel, total, in_order=False)

    def _all(
        self, wire: Wire, cancel: threading.Event, total: int | None, *, in_order: bool
    ) -> list[ReplayResult]:
        found: dict[int, ReplayResult] = {}
        waiting = list(range(len(self.scenarios)))
        batches: _Batches | None = None
        tell = _Teller(self.progress, None if total is None else total * len(waiting))
        while waiting:
            known = batches is None or batches.kept is not None
            many = self.threads * (_PER_CORE if known else _PER_CORE_UNKEPT)
            group, waiting = waiting[:many], waiting[many:]
            sides = [self._side(place, wire, in_order=in_order) for place in group]
            batches = batches or _Batches(sides[0].engine.batches)
            if not waiting and not batches.whole:
                batches.kept = None
            feeder = _Feeder(sides, lambda side: self._end(side, found))
            feeder.feed(batches, self.threads, cancel, tell)
        self.bad.write()
        return [found[place] for place in sorted(found)]

    def _side(self, place: int, wire: Wire, *, in_order: bool) -> _Side:
        engine = Engine(
            wire,
            self.scenarios[place].resolve(),
            outcomes=self.wanted.outcomes,
            function_minutes=self.wanted.metrics,
            blame=self.wanted.blame,
            in_order=in_order,
        )
        return _Side(place, engine)

    def _end(self, side: _Side, found: dict[int, ReplayResult]) -> None:
        engine = side.engine
        refuse_mixed_units(engine.wire, engine)
        result = gather(
            engine,
            self.scenarios[side.place],
            bad=self.bad,
            minutes=engine.minutes_table(),
            keep_minutes=self.wanted.metrics,
            outcomes=join_outcomes(engine, side.parts) if self.wanted.outcomes else None,
            attempts=None,
            seconds=time.monotonic() - side.started,
        )
        if self.done is None:
            found[side.place] = result
        else:
            self.done(side.place, result)


@dataclass
class _Side:
    """One of the replays."""

    place: int
    engine: Engine
    #: Batches that it has not been given yet; None is the end.
    ahead: deque[pl.DataFrame | None] = field(default_factory=deque)
    busy: bool = False
    parts: list[pl.DataFrame] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)


class _Teller:
    """Tells how far it is, now and then."""

    def __init__(self, progress: Callable[[Progress], None] | None, total: int | None) -> None:
        self._progress, self._total = progress, total
        self._rows, self._started = 0, time.monotonic()
        self._told = self._started

    def add(self, rows: int, batch: pl.DataFrame) -> None:
        self._rows += rows
        now = time.monotonic()
        if self._progress is None or not batch.height or now - self._told < _PROGRESS_EVERY_S:
            return
        self._told = now
        at = _EPOCH + timedelta(microseconds=batch["timestamp"][-1])
        self._progress(Progress(self._rows, self._total, now - self._started, at))


@dataclass
class _Feeder:
    """Feeds every batch to every side, in order; whoever is furthest behind comes first."""

    sides: Sequence[_Side]
    end: Callable[[_Side], None]
    changed: threading.Condition = field(default_factory=threading.Condition)
    failures: list[BaseException] = field(default_factory=list)
    ended: bool = False

    def feed(
        self,
        batches: Iterable[pl.DataFrame],
        threads: int,
        cancel: threading.Event,
        tell: _Teller,
    ) -> None:
        """Feed all batches and wait until every side has come to its end."""
        workers = [
            threading.Thread(target=self._work, name="lambda-replay-side", daemon=True)
            for _ in range(min(threads, len(self.sides)))
        ]
        for worker in workers:
            worker.start()
        try:
            for batch in batches:
                if cancel.is_set():
                    self._fail(Cancelled())
                self._give(batch)
                if self.failures:
                    break
                tell.add(batch.height * len(self.sides), batch)
            self._give(None)
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            with self.changed:
                self.ended = True
                self.changed.notify_all()
            for worker in workers:
                worker.join()
        if self.failures:
            # Which of them saw a bad row first is chance; that the trace is not sorted comes first.
            unsorted = (one for one in self.failures if isinstance(one, Unsorted))
            raise next(unsorted, self.failures[0])

    def _fail(self, error: BaseException) -> None:
        with self.changed:
            self.failures.append(error)
            self.changed.notify_all()

    def _give(self, batch: pl.DataFrame | None) -> None:
        with self.changed:
            while not self.failures and max(len(side.ahead) for side in self.sides) >= _AHEAD:
                self.changed.wait()
            for side in self.sides:
                side.ahead.append(batch)
            self.changed.notify_all()

    def _choose(self) -> _Side | None:
        ready = [side for side in self.sides if side.ahead and not side.busy]
        return max(ready, key=lambda side: len(side.ahead), default=None)

    def _take(self) -> tuple[_Side, pl.DataFrame | None] | None:
        """Wait for a side that has something to do; None where nothing will come any more."""
        with self.changed:
            while (side := self._choose()) is None or self.failures:
                if self.failures or (self.ended and not any(one.ahead for one in self.sides)):
                    return None
                self.changed.wait()
            side.busy = True
            return side, side.ahead.popleft()

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            side, batch = taken
            try:
                if batch is not None:
                    side.parts += side.engine.step(batch)
                else:
                    side.parts += side.engine.end()
                    self.end(side)
            except BaseException as error:  # noqa: BLE001 - raised again on the caller's thread
                self._fail(error)
                return
            with self.changed:
                side.busy = False
                self.changed.notify_all()
