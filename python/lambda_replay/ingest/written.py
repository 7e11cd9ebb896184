"""Traces as we write them: canonical Parquet, sorted, with checksum, digest and provenance.

Row groups are as long as the engine's batches, columns are of the types that the core takes without
conversion, and the metadata says where every number comes from. Polars writes no page checksums
and reads none, so the checksum is one of the whole file, which a replay verifies before it reads.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay import _core
from lambda_replay.exceptions import IntegrityError, TraceError, escape
from lambda_replay.ingest.batches import scan_batches
from lambda_replay.ingest.formats import ASSUMED_KEY, INGEST_KEY, MEASURED_KEY
from lambda_replay.ingest.order import sorted_batches
from lambda_replay.ingest.wire import _instant, _span
from lambda_replay.output import ROW_GROUP_ROWS, atomic_path, sink_batches
from lambda_replay.schema import REQUIRED_COLUMNS, TRACE_COLUMNS
from lambda_replay.worker import Cancelled

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from lambda_replay.ingest.source import TraceSource

__all__ = ["Written", "canonical", "verify", "write_trace"]

DIGEST_KEY: Final = "lambda_replay.digest"
CRC_KEY: Final = "lambda_replay.crc32"
VERSION_KEY: Final = "lambda_replay.version"
#: Stands in the file where its own checksum will, and counts as this when it is computed.
_NO_CRC: Final = b"crc32:00000000"
#: The checksum is in the footer, which is at the end.
_FOOTER: Final = 1 << 20

_SPANS: Final = ("duration_ms", "init_ms", "extension_ms", "init_ahead_ms")
_NUMBERS: Final = {
    "memory_mb": pl.UInt32,
    "error_runs": pl.UInt32,
    "payload_bytes": pl.UInt64,
    "row_uid": pl.UInt64,
    "attempt": pl.UInt32,
    "max_memory_mb": pl.UInt32,
    "billed_ms": pl.UInt64,
}
_FLAGS: Final = ("filtered", "cold_start", "throttled")
#: Few different values: a dictionary in the file.
_CODED: Final = (
    "function",
    "source",
    "error",
    "state_access",
    "account",
    "region",
    "shard",
    "log_stream",
)


def canonical(source: TraceSource) -> pl.LazyFrame:
    """Give a trace as one frame of the columns of the contract, each of one type.

    Instants are Datetime µs in UTC, spans Duration µs, names that repeat Categorical.
    """
    frames = []
    for label, frame in zip(source.labels, source.frames, strict=True):
        schema = frame.collect_schema()
        # A column of nothing is no column.
        names = [name for name in TRACE_COLUMNS if schema.get(name, pl.Null) != pl.Null]
        columns = [_column(frame, name, schema[name], label) for name in names]
        if source.numbered:
            columns.append(pl.col("row"))
        frames.append(frame.select(columns))
    return pl.concat(frames, how="diagonal") if len(frames) > 1 else frames[0]


def _column(frame: pl.LazyFrame, name: str, dtype: pl.DataType, label: str) -> pl.Expr:
    column = pl.col(name)
    if name == "timestamp":
        return _instant(frame, dtype, label).cast(pl.Datetime("us", "UTC")).alias(name)
    if name in _SPANS:
        span = _span(name, dtype, label)
        if not isinstance(dtype, pl.Duration):
            # Halves up (Z3), as the core does.
            micros = (span * 1_000 + 0.5).floor()
            span = pl.when(span.is_finite() | span.is_null()).then(micros).cast(pl.Int64)
        return span.cast(pl.Duration("us")).alias(name)
    if name in _NUMBERS:
        return column.cast(_NUMBERS[name])
    if name in _FLAGS:
        return column.cast(pl.Boolean)
    if dtype.is_nested() or dtype == pl.Binary:
        message = f"{name} of {escape(label)} is of type {dtype}; it must be text"
        raise TraceError(message, source=label, column=name, code="LR-T-TYPE")
    return (
        column.cast(pl.String).cast(pl.Categorical()) if name in _CODED else column.cast(pl.String)
    )


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes
    ----------
    rows
        How many.
    digest
        Of their content.
    disorder
        How many rows of the source came before the one before them.
    """

    rows: int
    digest: str
    disorder: int


class _Unsorted(Exception):  # noqa: N818 - the trace is sorted then
    """A row comes before the one before it."""


def write_trace(
    frame: pl.LazyFrame,
    path: Path,
    metadata: Callable[[Written], dict[str, str]],
    cancel: threading.Event | None = None,
    change: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
) -> Written:
    """Write a trace, sorted; rows of one instant stay in the order given (Z2).

    Parameters
    ----------
    frame
        As :func:`canonical` gives it. ``row`` is written as ``row_uid``, where there is none.
    path
        The file to be; it appears whole or not at all.
    metadata
        Gives what the file says of itself, once all rows are written.
    cancel
        Set when nobody wants the file any more.
    change
        Done to each batch before it is written.
    """
    try:
        job = _Job(frame, path, metadata, cancel, change)
        return job.write(_in_order(frame), 0)
    except _Unsorted:
        disorder = frame.select((pl.col("timestamp").diff() < pl.duration()).sum())
        count = int(disorder.collect(engine="streaming").item() or 0)
        micros = frame.with_columns(pl.col("timestamp").to_physical())
        batches = sorted_batches(micros, ROW_GROUP_ROWS)
        return job.write(batches, count)


def _in_order(frame: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Give batches with their positions as long as they are in order."""
    last: int | None = None
    place = 0
    for batch in scan_batches(frame, ROW_GROUP_ROWS):
        if not batch.height:
            continue
        at = batch["timestamp"].to_physical()
        first = at[0]
        if not at.is_sorted() or (last is not None and first is not None and first < last):
            raise _Unsorted
        last = at[-1]
        numbered = batch
        if "row" not in batch.columns:
            rows = pl.int_range(place, place + batch.height, dtype=pl.UInt64, eager=True)
            numbered = batch.with_columns(rows.alias("row"))
        place += batch.height
        yield numbered


@dataclass(frozen=True)
class _Job:
    """One file to be written."""

    frame: pl.LazyFrame
    path: Path
    metadata: Callable[[Written], dict[str, str]]
    cancel: threading.Event | None
    change: Callable[[pl.DataFrame], pl.DataFrame] | None

    def write(self, batches: Iterator[pl.DataFrame], disorder: int) -> Written:
        """Write batches in order of time; each has a column ``row``."""
        columns = self.frame.collect_schema()
        schema = {name: dtype for name, dtype in columns.items() if name != "row"}
        schema.setdefault("row_uid", pl.UInt64())
        digest = _core.RowDigest()
        rows = 0

        def prepared() -> Iterator[pl.DataFrame]:
            nonlocal rows
            for batch in batches:
                whole = self._prepared(batch, schema)
                digest.update(_plain(whole))
                rows += whole.height
                yield whole

        def told(context: object) -> dict[str, str]:
            del context
            written = Written(rows, digest.hexdigest(), disorder)
            return {
                **self.metadata(written),
                DIGEST_KEY: written.digest,
                VERSION_KEY: _core.__version__,
                CRC_KEY: _NO_CRC.decode(),
            }

        with atomic_path(self.path) as temporary:
            sink_batches(prepared(), pl.Schema(schema), temporary, self.path, told)
            _seal(temporary)
        return Written(rows, digest.hexdigest(), disorder)

    def _prepared(self, batch: pl.DataFrame, schema: dict[str, Any]) -> pl.DataFrame:
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled
        whole = batch
        if "row_uid" not in batch.columns:
            whole = batch.with_columns(pl.col("row").alias("row_uid"))
        whole = whole.with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))
        _check(whole)
        if self.change is not None:
            whole = self.change(whole)
        return whole.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _check(batch: pl.DataFrame) -> None:
    """Refuse the first row that no replay would take."""
    spans = [name for name in _SPANS if name in batch.columns]
    nulls = {name: pl.col(name).is_null() for name in REQUIRED_COLUMNS if name in batch.columns}
    if "source" in batch.columns and "function" in nulls:
        # Records of an event source need no function: the source has one.
        nulls["function"] &= (
            pl.col("source").cast(pl.String).fill_null("sync").is_in(["sync", "async"])
        )
    negative = {name: pl.col(name).to_physical() < 0 for name in spans}
    odd = batch.filter(pl.any_horizontal(*nulls.values(), *negative.values()))
    if not odd.height:
        return
    first = odd.sort("row").head(1)
    at = first.row(0, named=True)
    name: str | None = next((one for one in nulls if first.select(nulls[one]).item()), None)
    if name is not None:
        message = f"{name} is null, or no value that it can have; every row needs one"
        code, value = "LR-T-NULL", None
    else:
        name = next(one for one in spans if at[one] is not None and at[one].total_seconds() < 0)
        message, code, value = f"{name} is negative", "LR-T-VALUE", at[name].total_seconds() * 1e3
    raise TraceError(
        message, row=at["row"], column=name, value=value, code=code, hint="--on-bad-row skip"
    )


def _plain(batch: pl.DataFrame) -> pl.DataFrame:
    """Give columns of the types that have a digest."""
    columns = []
    for name, dtype in batch.schema.items():
        if isinstance(dtype, pl.Datetime | pl.Duration):
            columns.append(pl.col(name).to_physical())
        elif isinstance(dtype, pl.Categorical | pl.Enum):
            columns.append(pl.col(name).cast(pl.String))
        else:
            columns.append(pl.col(name))
    return batch.select(columns)


def content_digest(frame: pl.LazyFrame) -> str:
    """Give the digest of the rows of a file that we wrote."""
    digest = _core.RowDigest()
    for batch in scan_batches(frame, ROW_GROUP_ROWS):
        digest.update(_plain(batch))
    return digest.hexdigest()


def _seal(path: Path) -> None:
    """Put the checksum of a file into it."""
    place = _place(path)
    assert place is not None, "the checksum's place was written"
    checksum = _crc(path, place)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"crc32:%08x" % checksum)


def verify(path: Path, shown: str) -> None:
    """Check a file that we wrote against its own checksum; any other passes.

    Raises
    ------
    IntegrityError
        It is not as it was written.
    """
    place = _place(path)
    if place is None:
        return
    with path.open("rb") as file:
        file.seek(place)
        told = file.read(len(_NO_CRC))
    found = b"crc32:%08x" % _crc(path, place)
    if told != found:
        message = (
            f"{escape(shown)} is not as lambda-replay wrote it: its checksum is {found.decode()},"
            f" and {told.decode(errors='replace')} is noted in it"
        )
        raise IntegrityError(message, code="LR-I-CHECKSUM", hint="copy or convert it again")


def _place(path: Path) -> int | None:
    """Find where in a file its checksum stands."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _FOOTER))
        footer = file.read()
    key = footer.rfind(CRC_KEY.encode())
    at = footer.find(b"crc32:", key + len(CRC_KEY)) if key >= 0 else -1
    if at >= 0:
        return max(0, size - _FOOTER) + at
    if footer.endswith(b"PAR1") and any(
        one.encode() in footer for one in (DIGEST_KEY, VERSION_KEY)
    ):
        message = f"{escape(str(path))} is not as lambda-replay wrote it: its checksum is gone"
        raise IntegrityError(message, code="LR-I-CHECKSUM", hint="copy or convert it again")
    return None


def _crc(path: Path, place: int) -> int:
    """Compute a file's checksum, its own place left blank."""
    checksum = 0
    done = 0
    with path.open("rb") as file:
        while part := bytearray(file.read(1 << 22)):
            for offset in range(len(_NO_CRC)):
                at = place + offset - done
                if 0 <= at < len(part):
                    part[at] = _NO_CRC[offset]
            checksum = zlib.crc32(part, checksum)
            done += len(part)
    return checksum


def provenance(
    source: TraceSource, measured: tuple[str, ...], assumed: tuple[str, ...]
) -> dict[str, str]:
    """Give what a file says of where its numbers come from."""
    return {
        MEASURED_KEY: json.dumps(list(measured)),
        ASSUMED_KEY: json.dumps(list(assumed)),
        INGEST_KEY: json.dumps([report.to_dict() for report in source.reports]),
    }
