"""What a trace holds, and what it can and cannot answer, without replaying it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.ingest import open_trace
from lambda_replay.ingest.account import account_of
from lambda_replay.ingest.faults import reading
from lambda_replay.ingest.formats import find_unreadable
from lambda_replay.ingest.oddities import odd_names
from lambda_replay.ingest.written import DIGEST_KEY, canonical, content_digest, verify
from lambda_replay.readers.base import ReadOptions
from lambda_replay.results import instant
from lambda_replay.worker import call

if TYPE_CHECKING:
    import threading

    from lambda_replay.ingest import TraceLike, TraceSource

__all__ = ["Inspection", "inspect"]

#: Lambda's preview, 2014-11-13, in µs since the epoch: no trace of it is older.
_PREVIEW: Final = 1_415_836_800_000_000
_SECOND, _MINUTE = 1_000_000, 60_000_000
_TOP: Final = 10
_LAMBDA_LONGEST_S: Final = 900
_MEMORY_MB: Final = (128, 10_240)

#: What is not known where a column is missing.
_WITHOUT: Final = {
    "init_ms": "how long cold starts take: the scenario's init_ms is used",
    "memory_mb": "what memory costs: the scenario's memory_mb is used",
    "source": "how functions are called: every row is a synchronous request",
    "error": "which runs fail: all succeed unless they time out",
    "request_id": "which rows are retries of one request",
    "payload_bytes": "whether batches and payloads are within their limits",
    "state_key": "which runs share a record: nothing waits for another",
    "key": "which records must stay in order in a stream or queue",
    "cold_start": "which requests really met a cold start: validate needs it",
}


@dataclass(frozen=True)
class Inspection:
    """What a trace holds.

    Attributes
    ----------
    paths
        The files, as the user called them.
    rows, functions
        How many.
    first, last
        First and last arrival, naive UTC.
    span_s
        Between them.
    rate
        Arrivals per second: ``mean``, and ``peak_second`` and ``peak_minute`` (per second, too).
    duration_ms
        ``mean``, ``p50``, ``p99``, ``max``; ``zero`` counts runs of no length.
    mean_concurrency
        Work per time: the sum of durations over the span.
    gaps
        ``longest_s`` without an arrival, where it begins (``from``), and ``empty_minutes``.
    top
        The functions with the most rows: ``function``, ``rows``, ``share``, ``mean_ms``,
        ``max_ms``.
    columns, missing
        Columns of the contract that are there, and what is not known for want of others.
    answers, cannot
        What the trace can answer, and what it cannot.
    odd
        What should be looked at.
    duplicates, disorder
        Rows with the request id of another; rows before the one before them.
    throttles
        Whether refused requests are in it: ``included``, ``missing`` or ``unknown``.
    integrity
        Whether its checksum and digest hold.
    ingest
        What was read, a report per format.
    """

    paths: tuple[str, ...]
    rows: int
    functions: int
    first: datetime | None
    last: datetime | None
    span_s: float
    rate: dict[str, float]
    duration_ms: dict[str, float | None]
    mean_concurrency: float
    gaps: dict[str, Any]
    top: list[dict[str, Any]]
    columns: tuple[str, ...]
    missing: dict[str, str]
    answers: tuple[str, ...]
    cannot: tuple[str, ...]
    odd: tuple[str, ...]
    duplicates: int | None
    disorder: int
    throttles: str
    integrity: str
    ingest: tuple[dict[str, Any], ...] = field(default_factory=tuple)

    def to_dict(self) -> dict[str, Any]:
        """Give it as nested plain values; instants are datetimes."""
        return asdict(self)


def inspect(trace: TraceLike, *, read: ReadOptions | None = None) -> Inspection:
    """Look into a trace.

    Parameters
    ----------
    trace
        As for :func:`lambda_replay.replay`.
    read
        How it is read.

    Raises
    ------
    TraceError
        It cannot be read.
    IntegrityError
        It is not as lambda-replay wrote it.
    """

    def work(cancel: threading.Event) -> Inspection:
        del cancel
        source = open_trace(trace, read or ReadOptions())
        try:
            with reading(source.label, lambda: find_unreadable(source.files)):
                return _inspect(source)
        finally:
            source.close()

    return call(work)


def _inspect(source: TraceSource) -> Inspection:
    integrity = _integrity(source)
    frame = canonical(source)
    columns = tuple(frame.collect_schema().names())
    at = pl.col("timestamp").to_physical()
    span = pl.col("duration_ms").to_physical() / 1_000
    whole = frame.select(
        pl.len().alias("rows"),
        at.min().alias("first"),
        at.max().alias("last"),
        (at.diff() < 0).sum().alias("disorder"),
        (pl.col("timestamp").is_null() | pl.col("function").is_null() | span.is_null())
        .sum()
        .alias("incomplete"),
        (span < 0).sum().alias("negative"),
        (span == 0).sum().alias("zero"),
        span.sum().alias("work"),
        span.mean().alias("mean"),
        span.quantile(0.5, "lower").alias("p50"),
        span.quantile(0.99, "lower").alias("p99"),
        span.max().alias("max"),
    ).collect(engine="streaming").row(0, named=True)  # fmt: skip
    by_function = (
        frame.select(pl.col("function").cast(pl.String), span.alias("ms"))
        .group_by("function")
        .agg(pl.len().alias("rows"), pl.col("ms").mean().alias("mean_ms"),
             pl.col("ms").max().alias("max_ms"))
        .collect(engine="streaming")
        .sort("rows", "function", descending=[True, False])
    )  # fmt: skip
    seconds = (
        frame.select((at // _SECOND).alias("second"))
        .group_by("second").len().collect(engine="streaming").sort("second")
    )  # fmt: skip
    duplicates = _duplicates(frame, columns)
    rows = whole["rows"]
    told = account_of(source, rows, 0, whole["disorder"])
    for report in source.reports:
        report.duplicates = duplicates if len(source.reports) == 1 else report.duplicates
    span_s = 0.0 if whole["first"] is None else (whole["last"] - whole["first"]) / 1e6
    throttles = _throttles(source, columns)
    answers, cannot = _answers(columns, source, throttles)
    return Inspection(
        paths=source.names,
        rows=rows,
        functions=by_function.height,
        first=instant(whole["first"]),
        last=instant(whole["last"]),
        span_s=span_s,
        rate=_rates(seconds, rows, span_s),
        duration_ms={name: whole[name] for name in ("mean", "p50", "p99", "max", "zero")},
        mean_concurrency=(whole["work"] or 0.0) / 1e3 / span_s if span_s else 0.0,
        gaps=_gaps(seconds),
        top=by_function.head(_TOP)
        .with_columns((pl.col("rows") / max(1, rows)).alias("share"))
        .to_dicts(),
        columns=columns,
        missing={name: why for name, why in _WITHOUT.items() if name not in columns},
        answers=answers,
        cannot=cannot,
        odd=(*_odd(whole, by_function, frame, columns), *told.notes),
        duplicates=duplicates,
        disorder=whole["disorder"] or 0,
        throttles=throttles,
        integrity=integrity,
        ingest=tuple(report.to_dict() for report in source.reports),
    )


def _integrity(source: TraceSource) -> str:
    """Check what files say of their own content."""
    from lambda_replay.exceptions import IntegrityError  # noqa: PLC0415 - only where one fails

    checked = 0
    for path, shown in zip(source.files, source.labels, strict=False):
        if "://" in path:
            continue
        with Path(path).open("rb") as file:
            if file.read(4) != b"PAR1":
                continue
        told = pl.read_parquet_metadata(path).get(DIGEST_KEY)
        if told is None:
            continue
        verify(Path(path), shown)
        found = content_digest(pl.scan_parquet(path, glob=False))
        if found != told:
            message = f"{shown} is not as lambda-replay wrote it: its rows have another digest"
            raise IntegrityError(message, code="LR-I-DIGEST")
        checked += 1
    if not checked:
        return "no checksum: nothing vouches for the bytes"
    return "checksum and digest hold" if checked == len(source.files) else "some files have none"


def _duplicates(frame: pl.LazyFrame, columns: tuple[str, ...]) -> int | None:
    if "request_id" not in columns:
        return None
    ids = pl.col("request_id").drop_nulls()
    found = frame.select(ids.len() - ids.n_unique()).collect(engine="streaming").item()
    return int(found)


def _rates(seconds: pl.DataFrame, rows: int, span_s: float) -> dict[str, float]:
    if not rows:
        return {"mean": 0.0, "peak_second": 0.0, "peak_minute": 0.0}
    minutes = seconds.group_by(pl.col("second") // 60).agg(pl.col("len").sum())
    most = minutes["len"].max()
    peak = seconds["len"].max()
    return {
        "mean": rows / span_s if span_s else float(rows),
        "peak_second": float(peak if isinstance(peak, int) else 0),
        "peak_minute": (most if isinstance(most, int) else 0) / 60,
    }


def _gaps(seconds: pl.DataFrame) -> dict[str, Any]:
    known = seconds.drop_nulls()
    if known.height < 2:
        return {"longest_s": 0, "from": None, "empty_minutes": 0}
    widths = known["second"].diff()
    place = int(widths.fill_null(0).arg_max() or 0)
    minutes = (known["second"] // 60).unique()
    first, last = known["second"][0] // 60, known["second"][-1] // 60
    return {
        "longest_s": max(0, int(widths[place] or 0) - 1),
        "from": instant(int(known["second"][max(0, place - 1)] + 1) * _SECOND),
        "empty_minutes": int(last - first + 1 - len(minutes)),
    }


def _throttles(source: TraceSource, columns: tuple[str, ...]) -> str:
    if "throttled" in columns:
        return "included"
    kinds = {report.throttles for report in source.reports}
    return kinds.pop() if len(kinds) == 1 else "unknown"


def _answers(
    columns: tuple[str, ...], source: TraceSource, throttles: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    counted = any(report.family == "counts" for report in source.reports)
    can = ["throttles, concurrency and cost under other limits, reserved and provisioned"]
    cannot = []
    if "init_ms" in columns:
        can.append("what cold starts cost in time")
    else:
        cannot.append("what cold starts cost in time, unless the scenario gives init_ms")
    if "state_key" in columns:
        can.append("what runs wait for shared records")
    if "cold_start" in columns or throttles == "included":
        can.append("validate: how near the model is to what happened")
    if counted:
        cannot.append("what happens within a bucket: arrivals there are drawn")
    if throttles == "missing":
        cannot.append("how many requests were refused: they are not in it")
    elif throttles == "unknown":
        cannot.append(
            "whether requests were refused: if the Throttles metric was not 0, demand was higher"
        )
    return tuple(can), tuple(cannot)


def _odd(
    whole: dict[str, Any], functions: pl.DataFrame, frame: pl.LazyFrame, columns: tuple[str, ...]
) -> list[str]:
    odd = []
    rows = whole["rows"]
    if rows == 0:
        return ["the trace has no rows"]
    for name, what in (("incomplete", "timestamp, function or duration"), ("negative", "")):
        if whole[name]:
            why = f"lack {what}" if what else "have a negative duration"
            odd.append(f"{whole[name]:,} rows {why}: a replay stops there; --on-bad-row skip")
    if whole["first"] is not None and whole["first"] < _PREVIEW:
        odd.append("it begins before Lambda existed: right for relative times, wrong for s or ms")
    if (whole["max"] or 0) > _LAMBDA_LONGEST_S * 1_000:
        odd.append(f"the longest run takes {whole['max'] / 1e3:,.0f} s; Lambda's limit is 900 s")
    odd += odd_names(functions["function"].drop_nulls().to_list(), rows)
    if "memory_mb" in columns:
        low, high = _MEMORY_MB
        beyond = (~pl.col("memory_mb").is_between(low, high)).sum()
        count = frame.select(beyond).collect(engine="streaming").item()
        if count:
            odd.append(f"{count:,} rows have memory_mb outside Lambda's {low} to {high:,}")
    return odd
