"""What a reader of traces is: how it is chosen, what it says of its rows, how it counts them.

A reader turns files of one format into a lazy frame of canonical columns
(:mod:`lambda_replay.schema`). It is chosen by what the files hold, never by their names alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl
from polars.io.plugins import register_io_source

if TYPE_CHECKING:
    from lambda_replay.readers.files import File

__all__ = ["Family", "IngestReport", "ReadOptions", "Reader", "Stamp", "counted", "stream"]

#: Rows of a batch.
_BATCH_ROWS: Final = 131_072


class Family(StrEnum):
    """What a row of the source stands for."""

    #: One invocation.
    ROWS = "rows"
    #: A number of invocations in a bucket of time, to be expanded to single ones.
    COUNTS = "counts"
    #: An arrival whose duration the source does not know.
    ARRIVALS = "arrivals"


class Stamp(StrEnum):
    """What the source's time stamp means; the canonical one is always the arrival."""

    ARRIVAL = "arrival"
    START = "start"
    END = "end"
    BUCKET = "bucket"
    LOG = "log"


@dataclass(frozen=True)
class ReadOptions:
    """What the user says about reading.

    Attributes
    ----------
    format
        Name of the reader; None: recognise it.
    function
        Name of the function where the source does not tell.
    columns
        Canonical column by the file's own name for it (``--map timestamp=ts`` is
        ``{"timestamp": "ts"}``).
    merge_retries
        One row per request instead of one per run, for logs.
    placement
        Where invocations lie in their bucket: ``uniform``, ``equidistant`` or ``exponential``.
    durations
        How durations are drawn: ``quantiles`` or ``average``.
    rescale
        Whether durations are rescaled to the average that the source reports.
    duration_ms
        Duration of arrivals, and of counts whose source has none, in milliseconds.
    delay_unit
        Unit of delays where the source does not state it: ``s``, ``ms`` or ``us``.
    init_on_path
        For logs: whether an init was waited for where they do not tell: ``auto``, ``always`` or
        ``never``.
    seed
        Of every draw that a reader makes.
    """

    format: str | None = None
    function: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    merge_retries: bool = False
    placement: str | None = None
    durations: str = "quantiles"
    rescale: bool = True
    duration_ms: float | None = None
    delay_unit: str | None = None
    init_on_path: str = "auto"
    seed: int = 0


@dataclass
class IngestReport:
    """What a reader did with its files; counts are those of the last pass over them.

    Attributes
    ----------
    format
        Name of the reader.
    title
        The format for people.
    family, stamp
        What a row and a time stamp of the source mean.
    files
        As the user called them.
    read
        Rows, records or buckets of the source. For counts: invocations.
    kept
        Rows of the trace that came of them.
    dropped
        How many by reason; ``read == kept + sum(dropped.values())`` after a whole pass.
    repaired
        How many were kept with another value, by what was done.
    inferred
        Canonical columns that the source does not state, and how they were made.
    throttles
        ``included``, ``missing`` (the source cannot hold them) or ``unknown``.
    notes
        What else a reader of the numbers must know, a sentence each.
    duplicates, disorder
        Rows with the request id of another; rows that come before the one before them. None: not
        counted.
    """

    format: str
    title: str
    family: Family
    stamp: Stamp
    files: tuple[str, ...] = ()
    read: int | None = None
    kept: int | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    repaired: dict[str, int] = field(default_factory=dict)
    inferred: dict[str, str] = field(default_factory=dict)
    throttles: str = "unknown"
    notes: list[str] = field(default_factory=list)
    duplicates: int | None = None
    disorder: int | None = None
    #: Takes lines that could not be read (``line``, ``reason``, ``text``), if anybody wants them.
    set_aside: Callable[[pl.DataFrame], None] | None = field(
        default=None, repr=False, compare=False
    )

    def begin(self) -> None:
        """Begin a pass over the files: counts start at nothing."""
        self.read = self.kept = 0
        self.dropped.clear()
        self.repaired.clear()

    def count(self, *, read: int = 0, kept: int = 0) -> None:
        """Count rows of the source, and of the trace."""
        self.read = (self.read or 0) + read
        self.kept = (self.kept or 0) + kept

    def drop(self, reason: str, rows: int) -> None:
        """Count rows that are left out."""
        if rows:
            self.dropped[reason] = self.dropped.get(reason, 0) + rows

    def repair(self, what: str, rows: int) -> None:
        """Count rows that are kept with another value."""
        if rows:
            self.repaired[what] = self.repaired.get(what, 0) + rows

    def note(self, sentence: str) -> None:
        """Say something once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def to_dict(self) -> dict[str, Any]:
        """Give the report with plain values, for JSON."""
        return {
            "format": self.format,
            "family": str(self.family),
            "timestamp_kind": str(self.stamp),
            "files": list(self.files),
            "rows_read": self.read,
            "rows_kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "repaired": dict(sorted(self.repaired.items())),
            "inferred": dict(self.inferred),
            "throttles": self.throttles,
            "duplicates": self.duplicates,
            "disorder": self.disorder,
            "notes": list(self.notes),
        }


class Reader(ABC):
    """A format.

    Attributes
    ----------
    name
        What ``format=`` and ``--from`` take.
    title
        For people.
    family, stamp
        What a row and a time stamp of the source mean.
    throttles
        Whether refused requests are in such a source: ``included``, ``missing`` or ``unknown``.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    family: ClassVar[Family] = Family.ROWS
    stamp: ClassVar[Stamp] = Stamp.ARRIVAL
    throttles: ClassVar[str] = "unknown"

    def recognises(self, file: File) -> bool:
        """Whether a file is of this format, by its content."""
        raise NotImplementedError

    @abstractmethod
    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Read files of this format as one trace.

        Parameters
        ----------
        files
            All files of the trace that are of this format, in the user's order.
        options
            What the user says.
        report
            To be filled: what is inferred at once, counts while the frame is drained.

        Returns
        -------
        LazyFrame
            Canonical columns. It can be collected any number of times, each time anew.

        Raises
        ------
        TraceError
            Something is missing; the message says what and how to give it.
        """

    def report(self, files: Sequence[File]) -> IngestReport:
        """Begin the report on files of this format."""
        return IngestReport(
            format=self.name,
            title=self.title,
            family=self.family,
            stamp=self.stamp,
            files=tuple(file.shown for file in files),
            throttles=self.throttles,
        )


def stream(
    schema: Mapping[str, Any],
    batches: Callable[[], Iterable[pl.DataFrame]],
    report: IngestReport,
) -> pl.LazyFrame:
    """Make a lazy frame of batches that are made as they are asked for.

    Parameters
    ----------
    schema
        Columns and types of every batch.
    batches
        Begins a pass over the source. Every pass begins the counts of ``report`` anew; rows that
        leave are counted as kept here, so ``batches`` counts only what it reads and drops.
    report
        Of the reader.
    """

    def source(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        del batch_size
        left = n_rows
        report.begin()
        for batch in batches():
            report.count(kept=batch.height)
            chosen = batch if left is None else batch.head(left)
            if left is not None:
                left -= chosen.height
            if predicate is not None:
                chosen = chosen.filter(predicate)
            yield chosen if with_columns is None else chosen.select(with_columns)
            if left is not None and left <= 0:
                return

    return register_io_source(source, schema=pl.Schema(schema))


def counted(
    frame: pl.LazyFrame,
    report: IngestReport,
    *,
    drop: Mapping[str, pl.Expr] | None = None,
    repair: Mapping[str, pl.Expr] | None = None,
) -> pl.LazyFrame:
    """Count the rows of a frame as they pass, and leave some out.

    Parameters
    ----------
    frame
        Canonical columns, and whatever the conditions need besides; columns whose names begin with
        an underscore stay behind.
    report
        Of the reader.
    drop, repair
        By reason: which rows are left out, and which are kept with another value.
    """
    # Imported here: the engine's side of ingest imports this module.
    from lambda_replay.ingest.batches import scan_batches  # noqa: PLC0415

    drop, repair = drop or {}, repair or {}
    schema = frame.collect_schema()
    kept = [name for name in schema if not name.startswith("_")]

    def batches() -> Iterator[pl.DataFrame]:
        for batch in scan_batches(frame, _BATCH_ROWS):
            report.count(read=batch.height)
            rows = batch
            for reason, condition in drop.items():
                left = rows.filter(~condition.fill_null(value=False))
                report.drop(reason, rows.height - left.height)
                rows = left
            for what, condition in repair.items():
                report.repair(what, int(rows.select(condition.sum()).item() or 0))
            yield rows.select(kept)

    return stream({name: schema[name] for name in kept}, batches, report)
