"""What was read, put into words, once a replay or conversion has come to its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from lambda_replay.ingest.canonical import CANONICAL
from lambda_replay.ingest.faults import reading
from lambda_replay.readers.base import Family

if TYPE_CHECKING:
    from lambda_replay.ingest.source import TraceSource
    from lambda_replay.ingest.wire import Wire
    from lambda_replay.readers.base import IngestReport

__all__ = ["Account", "account_of", "disorder_of"]

_FAMILIES = {
    Family.ROWS: "a row per invocation",
    Family.COUNTS: "counts per bucket, expanded to single invocations",
    Family.ARRIVALS: "arrivals, without durations of their own",
}


@dataclass(frozen=True)
class Account:
    """What people are told of the reading: what is measured, assumed, and odd."""

    measured: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def account_of(source: TraceSource, rows: int, bad: int, disorder: int | None) -> Account:
    """Complete the reports of a trace that was read to its end, and put them into words.

    Parameters
    ----------
    source
        The trace.
    rows, bad
        Rows replayed or written, and rows set aside.
    disorder
        Rows before the one before them.
    """
    others = sum(report.kept or 0 for report in source.reports if report.format != CANONICAL.name)
    measured: list[str] = []
    assumed: list[str] = []
    notes: list[str] = []
    for report in source.reports:
        if report.format == CANONICAL.name:
            report.kept = max(0, rows - others)
            report.read = report.kept
            if bad and not others:
                report.read += bad
                report.dropped["set aside"] = bad
        if len(source.reports) == 1:
            report.disorder = disorder
        if report.format != CANONICAL.name:
            measured.append(f"{report.title}: {_FAMILIES[report.family]}")
        assumed += [f"{column}: {how}" for column, how in report.inferred.items()]
        notes += _notes(report)
    if source.skipped:
        shown = ", ".join(source.skipped[:3])
        notes.append(f"{len(source.skipped)} files of the folder are no traces: {shown}")
    return Account(tuple(measured), tuple(assumed), tuple(notes))


def _notes(report: IngestReport) -> list[str]:
    notes = []
    if report.format != CANONICAL.name:
        notes.append(f"{report.title}: its time stamp is the {report.stamp}")
        if report.dropped:
            left = ", ".join(f"{rows:,} {why}" for why, rows in report.dropped.items())
            notes.append(f"left out of {report.read or 0:,}: {left}")
    notes += [f"{rows:,} rows: {what}" for what, rows in report.repaired.items()]
    notes += report.notes
    if report.format != CANONICAL.name and report.throttles == "missing":
        notes.append("requests that were refused are not in such a source: demand may be higher")
    return notes


def disorder_of(wire: Wire) -> int | None:
    """Count rows that come before the one before them."""
    with reading(wire.label):
        found = wire.frame.select((pl.col("timestamp").diff() < 0).sum())
        count: int | None = found.collect(engine="streaming").item()
    return count
