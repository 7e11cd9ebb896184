"""What a report is made of: runs, comparisons and sweeps, from memory or from files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.exceptions import IntegrityError, OutputError, show
from lambda_replay.saved import SUMMARY_FILE, load_side

if TYPE_CHECKING:
    from lambda_replay.compare import Comparison
    from lambda_replay.results import ReplayResult

__all__ = [
    "ComparisonMaterial",
    "Material",
    "RunMaterial",
    "SweepMaterial",
    "instant",
    "load",
    "of_comparison",
    "of_result",
    "of_sweep",
]

#: Columns without which a file is no metrics.
_METRICS: Final = frozenset({"timestamp", "function", "Invocations", "Throttles"})
#: Files of a run's folder beside the summary.
_METRICS_FILE: Final = "metrics.parquet"
_FUNCTIONS_FILE: Final = "functions.parquet"
_POINTS_FILE: Final = "points.parquet"


@dataclass(frozen=True)
class RunMaterial:
    """One replay.

    Attributes
    ----------
    name
        What it is called beside others.
    summary
        ``Summary.to_dict()``, or what ``run -o`` wrote.
    metrics
        Rows per function and minute; None where they were not kept.
    functions
        Rows of the functions table; None where they were not kept.
    keys, blame, sources
        Tables of the result; None or empty where there are none.
    source_metrics
        Rows per event source and minute.
    notes
        What the numbers rest on, as ``run -o`` writes it.
    checks
        Conditions and what became of them.
    """

    name: str
    summary: dict[str, Any]
    metrics: pl.LazyFrame | None = None
    functions: pl.DataFrame | None = None
    keys: pl.DataFrame | None = None
    blame: pl.DataFrame | None = None
    sources: pl.DataFrame | None = None
    source_metrics: pl.DataFrame | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    checks: Sequence[Mapping[str, Any]] = ()

    @cached_property
    def region(self) -> pl.DataFrame | None:
        """Rows of the metrics about the whole Region: read once, for many charts."""
        if self.metrics is None:
            return None
        whole = self.metrics.filter(pl.col("function").is_null()).drop("function")
        return whole.collect(engine="streaming")


@dataclass(frozen=True)
class ComparisonMaterial:
    """Several scenarios on one trace: ``Comparison.table`` and ``.functions``."""

    names: tuple[str, ...]
    seeds: tuple[int, ...]
    table: pl.DataFrame
    functions: pl.DataFrame


@dataclass(frozen=True)
class SweepMaterial:
    """Points of a sweep: a column per key, then one per measure."""

    name: str
    keys: tuple[str, ...]
    points: pl.DataFrame


@dataclass(frozen=True)
class Material:
    """Everything that one report shows."""

    runs: tuple[RunMaterial, ...] = ()
    comparisons: tuple[ComparisonMaterial, ...] = ()
    sweeps: tuple[SweepMaterial, ...] = ()

    def __add__(self, other: Material) -> Material:
        return Material(
            self.runs + other.runs,
            self.comparisons + other.comparisons,
            self.sweeps + other.sweeps,
        )


def of_result(
    result: ReplayResult,
    *,
    name: str = "",
    metrics: pl.LazyFrame | None = None,
    notes: Mapping[str, Any] | None = None,
    checks: Sequence[Mapping[str, Any]] = (),
) -> Material:
    """Give a result as material.

    Parameters
    ----------
    result
        As from :func:`lambda_replay.replay`.
    name
        What it is called; the trace's name where left out.
    metrics
        The metrics, where they went to a file.
    notes, checks
        As ``run -o`` writes them.
    """
    if metrics is None:
        kept = result.metrics
        if kept is None:
            kept = result.region.with_columns(pl.lit(None, pl.String).alias("function"))
        metrics = kept.lazy()
    run = RunMaterial(
        name=name or ", ".join(result.trace.names),
        summary=result.summary.to_dict(),
        metrics=metrics,
        functions=result.functions,
        keys=result.keys,
        blame=result.blame,
        sources=result.sources,
        source_metrics=result.source_metrics,
        notes=notes or {},
        checks=checks,
    )
    return Material(runs=(run,))


def of_comparison(found: Comparison) -> Material:
    """Give a comparison as material, with each of its results."""
    material = Material(
        comparisons=(ComparisonMaterial(found.names, found.seeds, found.table, found.functions),)
    )
    for name, result in found.result.items():
        material += of_result(result, name=name)
    return material


def of_sweep(points: pl.DataFrame, keys: Sequence[str], *, name: str = "sweep") -> Material:
    """Give the points of a sweep as material; ``keys`` are the columns that were swept."""
    return Material(sweeps=(SweepMaterial(name, tuple(keys), points),))


# ---------------------------------------------------------------------------- files


def load(paths: Sequence[str | os.PathLike[str]]) -> Material:
    """Read results.

    Parameters
    ----------
    paths
        Each is what ``run -o FILE.json`` wrote, what its ``--metrics`` wrote (it belongs to the
        result before it), what ``compare -o`` wrote, the folder of ``sweep -o``, or a folder with
        ``summary.json`` and, where they are, ``functions.parquet`` and ``metrics.parquet``. Several
        runs of one trace are compared as well.

    Raises
    ------
    OutputError
        One cannot be read.
    IntegrityError
        One is no result, or metrics are not those of the result before them.
    """
    material = Material()
    documents: dict[str, Path] = {}
    for path in paths:
        place = Path(path)
        if place.suffix.lower() in {".parquet", ".pq"}:
            material = _with_table(material, place)
        elif place.is_dir() and not (place / SUMMARY_FILE).exists():
            material += _sweep(place)
        else:
            found = _document(place)
            if len(found.runs) == 1 and not found.comparisons:
                # Two folders may hold files of one name.
                name = found.runs[0].name
                name = str(place) if name in documents else name
                documents[name] = place
                found = Material((replace(found.runs[0], name=name),))
            material += found
    if len(documents) > 1 and not material.comparisons:
        material += _side_by_side(documents)
    return material


def _document(place: Path) -> Material:
    data = {} if place.is_dir() else _json(place)
    if "measures" in data and "names" in data:
        return _comparison(place, data)
    side = load_side(place)
    run = _run(_name(place), side.summary)
    if place.is_dir():
        metrics, functions = place / _METRICS_FILE, place / _FUNCTIONS_FILE
        if metrics.is_file():
            run = replace(run, metrics=_scan(metrics, run.summary))
        if functions.is_file():
            run = replace(run, functions=pl.read_parquet(functions))
    return Material(runs=(run,))


def _name(place: Path) -> str:
    return place.resolve().name if place.is_dir() else place.stem


def _json(place: Path) -> dict[str, Any]:
    try:
        data = json.loads(place.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"cannot read the result {show(str(place))}: {error.strerror}"
        raise OutputError(message) from None
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise _no_result(place)
    return data


def _no_result(place: Path) -> IntegrityError:
    message = f"{show(str(place))} is no result of lambda-replay"
    hint = "write one with: lambda-replay run TRACE -o FILE.json --metrics FILE.parquet"
    return IntegrityError(message, hint=hint)


def _run(name: str, data: dict[str, Any]) -> RunMaterial:
    """Take apart what ``run -o`` wrote: a summary, and tables beside it."""
    return RunMaterial(
        name=name,
        summary={key: value for key, value in data.items() if key not in _TABLES},
        keys=_frame(data.get("keys")),
        blame=_frame(data.get("blame")),
        sources=_frame(data.get("sources")),
        notes=data.get("notes") or {},
        checks=data.get("checks") or (),
    )


_TABLES: Final = frozenset({"keys", "blame", "sources", "notes", "checks"})


def _frame(rows: list[dict[str, Any]] | None) -> pl.DataFrame:
    return pl.DataFrame(rows or [], infer_schema_length=None)


def _comparison(place: Path, data: dict[str, Any]) -> Material:
    try:
        comparison = ComparisonMaterial(
            names=tuple(data["names"]),
            seeds=tuple(data["seeds"]),
            table=_frame(data["measures"]),
            functions=_frame(data["functions"]),
        )
        runs = tuple(_run(name, one) for name, one in (data.get("summaries") or {}).items())
    except (KeyError, TypeError, pl.exceptions.PolarsError):
        raise _no_result(place) from None
    if "measure" not in comparison.table or not set(comparison.names) <= {
        *comparison.table.columns
    }:
        raise _no_result(place)
    return Material(runs=runs, comparisons=(comparison,))


def _sweep(place: Path) -> Material:
    file = place / _POINTS_FILE
    if not file.is_file():
        message = f"{show(str(place))} holds no result"
        hint = "a folder of a run holds summary.json, one of a finished sweep points.parquet"
        raise IntegrityError(message, hint=hint)
    manifest = _json(place / "sweep.json")
    points = _read(file)
    keys = [key for key in manifest.get("keys", ()) if key in points.columns]
    if not keys:
        raise _no_result(place)
    return of_sweep(points, keys, name=_name(place))


def _read(file: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(file)
    except OSError as error:
        message = f"cannot read the result {show(str(file))}: {error.strerror or error}"
        raise OutputError(message) from None
    except pl.exceptions.PolarsError:
        raise _no_result(file) from None


def _with_table(material: Material, place: Path) -> Material:
    """Give the last run the metrics of a file."""
    if not material.runs:
        message = f"{show(str(place))} comes before the result that it belongs to"
        raise IntegrityError(message, hint="write: report RESULT.json METRICS.parquet")
    *others, last = material.runs
    if last.metrics is not None:
        message = f"{show(last.name)} has metrics already; {show(str(place))} belongs to no result"
        raise IntegrityError(message, hint="write: report A.json A.parquet B.json B.parquet")
    last = replace(last, metrics=_scan(place, last.summary))
    return replace(material, runs=(*others, last))


def _scan(place: Path, summary: Mapping[str, Any]) -> pl.LazyFrame:
    """Scan metrics, after a look whether they are those of the summary."""
    if not place.is_file():
        message = f"cannot read the metrics {show(str(place))}: no such file"
        raise OutputError(message)
    try:
        frame = pl.scan_parquet(place)
        if not set(frame.collect_schema().names()) >= _METRICS:
            message = f"{show(str(place))} holds no metrics"
            hint = "write them with: lambda-replay run TRACE --metrics FILE.parquet"
            raise IntegrityError(message, hint=hint)
        whole = frame.filter(pl.col("function").is_null())
        found = whole.select(pl.col("Invocations", "Throttles").sum()).collect().row(0)
    except pl.exceptions.PolarsError:
        message = f"{show(str(place))} is no Parquet file, or a damaged one"
        raise IntegrityError(message) from None
    wanted = summary["invocations"], summary["throttles"]
    if found != wanted:
        message = (
            f"{show(str(place))} counts {found[0]:,} invocations and {found[1]:,} throttles,"
            f" the result {wanted[0]:,} and {wanted[1]:,}"
        )
        raise IntegrityError(message, hint="give the metrics that the same run wrote")
    return frame


def _side_by_side(documents: Mapping[str, Path]) -> Material:
    """Compare runs where that makes sense: one trace, one version."""
    from lambda_replay.compare import compare  # noqa: PLC0415 - imports the whole verb

    try:
        return of_comparison(compare(None, dict(documents)))
    except (IntegrityError, ValueError):
        # They are of different traces: each is shown alone.
        return Material()


def instant(value: object) -> datetime | None:
    """Read an instant of a summary, which is text in a file."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=None)
    assert value is None or isinstance(value, datetime), "an instant, or none"
    return value
