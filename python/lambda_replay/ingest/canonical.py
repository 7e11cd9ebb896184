"""Traces in canonical columns, or in columns that the user maps to them.

The reader of whatever no other reader recognises. ``--map`` names columns of the file for canonical
ones; a unit behind an underscore says what their numbers mean: ``timestamp_s``, ``timestamp_ms``,
``end_s``, ``duration_s``, ``duration_us``, ``init_s``.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

import polars as pl

from lambda_replay.exceptions import TraceError, cut, escape
from lambda_replay.ingest.faults import reading
from lambda_replay.readers.base import Reader
from lambda_replay.schema import TRACE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.readers.base import IngestReport, ReadOptions
    from lambda_replay.readers.files import File

__all__ = ["CANONICAL", "Canonical"]

#: Units of numbers, in microseconds.
_UNITS: Final = {"s": 1_000_000.0, "ms": 1_000.0, "us": 1.0, "ns": 0.001}
_INSTANTS: Final = ("timestamp", "end")
_SPANS: Final = ("duration", "init", "extension")
_TARGET: Final = re.compile(r"(timestamp|end|duration|init|extension)_(s|ms|us|ns)")


class Canonical(Reader):
    """The canonical columns."""

    name = "canonical"
    title = "canonical columns"

    def recognises(self, file: File) -> bool:
        """Whether no other reader does is not this one's business."""
        del file
        return False

    def read(
        self, files: Sequence[File], options: ReadOptions, report: IngestReport
    ) -> pl.LazyFrame:
        """Canonical files keep a frame each (:mod:`lambda_replay.ingest.source`)."""
        raise NotImplementedError

    def report_of(self, names: tuple[str, ...]) -> IngestReport:
        """Begin the report on files or frames of these names."""
        report = self.report(())
        report.files = names
        return report

    @staticmethod
    def mapped(
        frame: pl.LazyFrame, options: ReadOptions, report: IngestReport, *, label: str
    ) -> pl.LazyFrame:
        """Give a frame the canonical names that the user says its columns have.

        Raises
        ------
        TraceError
            A column that is mapped is not there, or there is no such canonical column.
        """
        if options.columns:
            frame = _rename(frame, options, report, label)
        elif options.function is None and options.duration_ms is None:
            return frame
        with reading(label):
            present = frame.collect_schema().names()
        added = []
        if options.function is not None and "function" not in present:
            added.append(pl.lit(options.function).alias("function"))
            report.inferred["function"] = f"{options.function} (--function)"
        if options.duration_ms is not None and "duration_ms" not in present:
            added.append(pl.lit(options.duration_ms, pl.Float64).alias("duration_ms"))
            report.inferred["duration_ms"] = f"{options.duration_ms:g} ms (--duration-ms)"
        return frame.with_columns(added) if added else frame


CANONICAL: Final = Canonical()


def _rename(
    frame: pl.LazyFrame, options: ReadOptions, report: IngestReport, label: str
) -> pl.LazyFrame:
    with reading(label):
        schema = frame.collect_schema()
    columns: dict[str, pl.Expr] = {}
    for target, name in options.columns.items():
        if name not in schema:
            near = difflib.get_close_matches(name, schema.names(), n=1)
            shown = ", ".join(escape(cut(one)) for one in schema.names()[:20])
            message = f"{escape(label)} has no column {escape(cut(name))}; it has {shown}"
            raise TraceError(
                message,
                source=label,
                column=name,
                code="LR-T-COLUMN",
                hint=f"did you mean {target}={near[0]}?" if near else None,
            )
        canonical, column = _target(target, pl.col(name), schema[name], label)
        columns[canonical] = column.alias(canonical)
        report.inferred[canonical] = f"column {escape(cut(name))} (--map {escape(target)})"
    taken = set(options.columns.values())
    others = [name for name in schema.names() if name not in taken and name not in columns]
    renamed = frame.select(*others, *columns.values())
    if "end" in columns:
        if "duration_ms" not in (*others, *columns):
            message = f"an end is mapped for {escape(label)}, and no duration to take from it"
            raise TraceError(message, source=label, column="end", code="LR-T-COLUMN")
        span = (pl.col("duration_ms") * 1_000).round().cast(pl.Int64)
        renamed = renamed.with_columns((pl.col("end") - span).alias("timestamp")).drop("end")
        report.inferred["timestamp"] = "end minus duration (--map end)"
    return renamed


def _target(target: str, column: pl.Expr, dtype: pl.DataType, label: str) -> tuple[str, pl.Expr]:
    """Give the canonical column that a target stands for, and how it is made."""
    if target in TRACE_COLUMNS:
        return target, column
    found = _TARGET.fullmatch(target)
    if found is None and target != "end":
        near = difflib.get_close_matches(target, TRACE_COLUMNS, n=1)
        message = f"--map: there is no column {escape(cut(target))}"
        known = "one of timestamp, function, duration_ms, …, or with a unit: timestamp_s, end_ms, "
        hint = f"did you mean {near[0]}?" if near else f"{known}duration_s, init_s"
        raise TraceError(message, column=target, code="LR-T-COLUMN", hint=hint)
    kind, unit = (found[1], found[2]) if found is not None else ("end", "us")
    if isinstance(dtype, pl.Datetime) and kind in _INSTANTS:
        return kind, column.cast(pl.Datetime("us")).to_physical()
    if not dtype.is_numeric():
        message = f"column {column.meta.output_name()} of {escape(label)} is of type {dtype}"
        raise TraceError(f"{message}; --map {target} needs numbers", source=label, code="LR-T-TYPE")
    if kind in _SPANS:
        return f"{kind}_ms", column.cast(pl.Float64) * (_UNITS[unit] / 1_000)
    if dtype.is_integer():
        # Whole numbers stay exact.
        factor = _UNITS[unit]
        whole = column.cast(pl.Int64)
        return kind, whole * int(factor) if factor >= 1 else whole // int(1 / factor)
    return kind, (column * _UNITS[unit]).round().cast(pl.Int64)
