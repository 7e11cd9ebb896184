"""Rows that cannot be replayed, set aside instead of ending the replay (``--on-bad-row``).

By default the first of them is an error. ``skip`` counts them, ``quarantine`` writes them to a file
too. Either way rows keep their positions, so outcomes name the same rows as without.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay import _core
from lambda_replay.exceptions import TraceError, show
from lambda_replay.ingest.batches import scan_batches
from lambda_replay.ingest.canonical import CANONICAL, Canonical
from lambda_replay.ingest.faults import reading
from lambda_replay.ingest.formats import Format, detect
from lambda_replay.names import LONGEST_NAME
from lambda_replay.output import TemporaryFolder, atomic_path, writing
from lambda_replay.readers.base import ReadOptions
from lambda_replay.readers.files import File
from lambda_replay.schema import TRACE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lambda_replay.ingest.source import TraceSource

__all__ = ["POLICIES", "BadRows", "set_aside"]

POLICIES: Final = ("error", "skip", "quarantine")
#: Unless the user says otherwise: so many, or this share of all rows if that is more.
_LEAST_MOST: Final = 100
_MOST_SHARE: Final = 0.001

_BATCH_ROWS: Final = 131_072
#: Instants and spans that the core takes.
_INSTANTS: Final = (-62_135_596_800_000_000, 253_402_300_799_999_999)
_SPAN_MS: Final = 366 * 86_400_000.0

_SPANS: Final = ("duration_ms", "init_ms", "extension_ms", "init_ahead_ms")
#: Whole numbers: type, least, most.
_WHOLE: Final[dict[str, tuple[type[pl.DataType], int, int]]] = {
    "error_runs": (pl.UInt32, 0, 2**32 - 2),
    "memory_mb": (pl.UInt32, 1, 2**32 - 1),
    "payload_bytes": (pl.UInt64, 0, 2**63 - 1),
    "row_uid": (pl.UInt64, 0, 2**64 - 1),
    "attempt": (pl.UInt32, 0, 2**32 - 1),
}
_WORDS: Final = {
    "error": ("handled", "crash", "item"),
    "state_access": ("read", "write"),
}
_FLAGS: Final = ("filtered", "cold_start", "throttled")


@dataclass
class BadRows:
    """What to do with bad rows, and what was found.

    Attributes
    ----------
    policy
        One of :data:`POLICIES`.
    most
        More than so many are an error; None: 0.1 % of the rows, and at least 100.
    path
        Where ``quarantine`` writes them, as Parquet.
    sources
        Words that ``source`` may be; None: any.
    found
        How many by reason, with the first row of each.
    """

    policy: str = "error"
    most: int | None = None
    path: Path | None = None
    sources: frozenset[str] | None = None
    found: dict[str, tuple[int, int]] = field(default_factory=dict)
    _kept: list[pl.DataFrame] = field(default_factory=list)
    _last: tuple[pl.DataFrame, str] | None = None
    _lines: int = 0

    @classmethod
    def of(cls, policy: str, most: int | None, path: Path | None) -> BadRows:
        """Check what the user says.

        Raises
        ------
        TraceError
            There is no such policy, or no file for the rows.
        """
        if policy not in POLICIES:
            message = f"on_bad_row is {show(policy)}; one of {', '.join(POLICIES)}"
            raise TraceError(message, code="LR-T-OPTION")
        if policy == "quarantine" and path is None:
            message = "quarantine needs a file for the rows (bad_rows)"
            raise TraceError(message, code="LR-T-OPTION")
        return cls(policy, most, path)

    def forget(self) -> None:
        """Forget what was found: the trace is read again."""
        self.found.clear()
        self._kept.clear()

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(rows for rows, _ in self.found.values())

    def begin(self) -> None:
        """Begin a pass over the trace."""
        self.found.clear()
        self._kept.clear()
        self._last, self._lines = None, 0

    def add(self, bad: pl.DataFrame, raw: Callable[[], pl.DataFrame], source: str) -> None:
        """Note bad rows: ``row``, ``reason``, ``column``, ``value``; and what they were."""
        firsts = bad.group_by("reason", maintain_order=True).agg(pl.len(), pl.col("row").first())
        for reason, rows, first in firsts.iter_rows():
            before, earliest = self.found.get(reason, (0, first))
            self.found[reason] = (before + rows, earliest)
        self._last = (bad, source)
        if self.most is not None:
            self._check(self.most, bad, source)
        if self.policy == "quarantine":
            fields = [json.dumps(row, default=str) for row in raw().iter_rows(named=True)]
            self._kept.append(
                bad.with_columns(
                    pl.lit(source).alias("file"), pl.Series("raw", fields, dtype=pl.String)
                )
            )

    def add_lines(self, lines: pl.DataFrame, source: str) -> None:
        """Note lines that never became rows: ``line`` (from 1), ``reason``, ``text``."""
        bad = lines.select(
            pl.col("line").cast(pl.UInt64).alias("row"),
            "reason",
            pl.lit("line").alias("column"),
            pl.col("text").alias("value"),
        )
        self._lines += lines.height
        self.add(bad, lambda: lines, source)

    def end(self, rows: int) -> None:
        """End a pass over so many rows, lines that became none not counted."""
        if self.most is None and self._last is not None:
            most = max(_LEAST_MOST, int((rows + self._lines) * _MOST_SHARE))
            self._check(most, *self._last)

    def _check(self, most: int, bad: pl.DataFrame, source: str) -> None:
        if self.count <= most:
            return
        row, reason, column, value = bad.select("row", "reason", "column", "value").row(-1)
        reasons = "; ".join(f"{rows:,} × {why}" for why, (rows, _) in list(self.found.items())[:5])
        message = f"more than {most:,} bad rows ({reasons}); the last of them: {reason}"
        raise TraceError(
            message,
            source=source,
            row=row,
            column=column,
            value=value,
            code="LR-T-BAD-ROWS",
            hint="is a column mapped wrongly? --max-bad-rows N allows more",
        )

    def write(self) -> None:
        """Write what was set aside, if that is wanted.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        if self.policy != "quarantine" or self.path is None:
            return
        schema = {
            "row": pl.UInt64, "file": pl.String, "reason": pl.String, "column": pl.String,
            "value": pl.String, "raw": pl.String,
        }  # fmt: skip
        parts = [part.select(pl.col(n).cast(t) for n, t in schema.items()) for part in self._kept]
        frame = pl.concat([pl.DataFrame(schema=schema), *parts])
        with atomic_path(self.path) as temporary, writing(self.path):
            frame.write_parquet(temporary, compression="zstd")

    def sentences(self) -> list[str]:
        """Say what was set aside, a sentence per reason."""
        return [
            f"{rows:,} row{'s' if rows > 1 else ''} set aside: {reason} (first: row {first:,})"
            for reason, (rows, first) in self.found.items()
        ]


def set_aside(source: TraceSource, bad: BadRows, options: ReadOptions) -> TraceSource:
    """Take the bad rows out of a trace; the others keep their positions, in a column ``row``."""
    # Only the frame is made here, so nothing is read yet.
    from dataclasses import replace  # noqa: PLC0415

    from polars.io.plugins import register_io_source  # noqa: PLC0415

    for report in source.reports:
        if report.format != CANONICAL.name:
            label = report.files[0] if len(report.files) == 1 else source.label
            report.set_aside = partial(bad.add_lines, source=label)
    parts = _parts(source, options)
    present: dict[str, None] = {}
    extra: dict[str, None] = {}
    for part in parts:
        for name in part.names:
            (present if name in TRACE_COLUMNS else extra)[name] = None
    typed = _types(list(present))
    types = {"row": pl.UInt64(), **typed, **dict.fromkeys(extra, pl.Null())}
    schema = pl.Schema(types)

    def rows(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        del batch_size
        bad.begin()
        place, left = 0, n_rows
        for part in parts:
            for batch in part.batches():
                good, refused = _judge(batch, place, typed, bad.sources)
                place += batch.height
                if refused.height:
                    taken = refused["row"] - (place - batch.height)
                    bad.add(refused, lambda b=batch, t=taken: b[t], part.label)  # type: ignore[misc]
                good = good.with_columns(pl.lit(None).alias(name) for name in extra)
                good = good.select(schema.names())
                if left is not None:
                    good = good.head(left)
                    left -= good.height
                if predicate is not None:
                    good = good.filter(predicate)
                yield good if with_columns is None else good.select(with_columns)
                if left is not None and left <= 0:
                    return
        bad.end(place)

    frame = register_io_source(rows, schema=schema)
    return replace(source, frames=(frame,), labels=(source.label,), files=(), numbered=True)


@dataclass(frozen=True)
class _Part:
    """One file or frame as columns; text where the file is text, perhaps with ``_fault``."""

    label: str
    names: tuple[str, ...]
    batches: Callable[[], Iterator[pl.DataFrame]]


def _parts(source: TraceSource, options: ReadOptions) -> list[_Part]:
    parts = []
    canonical = iter(source.files)
    for label, frame in zip(source.labels, source.frames, strict=True):
        is_file = any(
            report.format == CANONICAL.name and label in report.files for report in source.reports
        )
        path = next(canonical, None) if is_file and source.files else None
        text = None if path is None or "://" in path else detect(Path(path), shown=label).format
        if path is not None and text in (Format.CSV, Format.NDJSON):
            parts.append(_text_part(label, path, text is Format.CSV, options))
        else:
            names = tuple(frame.collect_schema().names())
            parts.append(_Part(label, names, lambda one=frame: scan_batches(one, _BATCH_ROWS)))  # type: ignore[misc]
    return parts


def _text_part(label: str, path: str, is_csv: bool, options: ReadOptions) -> _Part:
    """Read a text file without believing anything of its fields."""
    if is_csv:
        folder = TemporaryFolder()
        plain = _plain(path, folder)
        names = _core.CsvRecords(plain).header()
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            message = f"{label} has the column {twice} more than once"
            raise TraceError(message, source=label, column=twice, code="LR-T-COLUMN")

        def raw() -> Iterator[pl.DataFrame]:
            records = _core.CsvRecords(plain)
            assert folder is not None, "what is unpacked lives as long as it is read"
            while (table := records.take(_BATCH_ROWS)) is not None:
                frame = pl.DataFrame(table)
                frame.columns = [*names, "_fault"]
                yield frame
    else:
        names = _keys(label, path)

        def raw() -> Iterator[pl.DataFrame]:
            yield from _json_lines(path, names)

    report = CANONICAL.report_of((label,))

    def mapped(frame: pl.DataFrame) -> pl.DataFrame:
        if not options.columns and options.function is None and options.duration_ms is None:
            return frame
        numbers = _numbers_of(options, frame)
        return Canonical.mapped(numbers.lazy(), options, report, label=label).collect()

    shape = mapped(pl.DataFrame(schema=dict.fromkeys(names, pl.String)))
    return _Part(label, tuple(shape.columns), lambda: map(mapped, raw()))


def _numbers_of(options: ReadOptions, frame: pl.DataFrame) -> pl.DataFrame:
    """Make numbers of what is mapped with a unit; what is none becomes NaN, which is refused."""
    with_unit = [
        name for target, name in options.columns.items()
        if target not in TRACE_COLUMNS and name in frame.columns
    ]  # fmt: skip
    return frame.with_columns(
        pl.when(pl.col(name).is_not_null()).then(
            pl.coalesce(pl.col(name).cast(pl.Float64, strict=False), float("nan"))
        )
        for name in with_unit
    )


def _plain(path: str, folder: TemporaryFolder) -> str:
    """Unpack a file, if it is packed."""
    packed = File(path, path).packed
    if packed is None:
        return path
    target = folder.path / "plain.csv"
    with reading(path):
        if packed == "gzip":
            with gzip.open(path) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
        else:
            pl.scan_lines(path, glob=False).sink_csv(
                target, include_header=False, quote_style="never"
            )
    return str(target)


def _keys(label: str, path: str) -> list[str]:
    """Give the keys of the first lines that are objects, in their order."""
    with reading(label):
        lines = pl.scan_lines(path, glob=False).head(10_000).collect().to_series()
    keys: dict[str, None] = {}
    for line in lines:
        found = _decoded(line)
        if isinstance(found, dict):
            keys.update(dict.fromkeys(found))
    return list(keys)


def _decoded(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _json_lines(path: str, names: list[str]) -> Iterator[pl.DataFrame]:
    schema = dict.fromkeys(names, pl.String)
    for batch in scan_batches(pl.scan_lines(path, glob=False), _BATCH_ROWS):
        lines = batch.to_series().filter(batch.to_series().str.strip_chars() != "")
        try:
            text = "\n".join(lines).encode()
            yield pl.read_ndjson(io.BytesIO(text), schema=schema).with_columns(
                pl.lit(None, pl.String).alias("_fault")
            )
        except pl.exceptions.PolarsError:
            rows = []
            for line in lines:
                found = _decoded(line)
                if isinstance(found, dict):
                    row = {k: _text(v) for k, v in found.items() if k in schema}
                    rows.append({**row, "_fault": None})
                else:
                    rows.append({"_fault": f"no JSON object: {show(line)}"})
            yield pl.DataFrame(rows, schema={**schema, "_fault": pl.String})


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _types(names: list[str]) -> dict[str, Any]:
    """Types of the columns that leave."""
    types: dict[str, Any] = {}
    for name in names:
        if name == "timestamp":
            types[name] = pl.Datetime("us", "UTC")
        elif name in _SPANS:
            types[name] = pl.Float64()
        elif name in _WHOLE:
            types[name] = _WHOLE[name][0]()
        elif name in _FLAGS:
            types[name] = pl.Boolean()
        else:
            types[name] = pl.String()
    return types


def _judge(
    batch: pl.DataFrame, first: int, types: dict[str, Any], sources: frozenset[str] | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split a batch into rows that can be replayed, typed, and those that cannot, with reasons."""
    reasons: list[tuple[str, pl.Expr, str]] = []
    columns: list[pl.Expr] = []
    if "_fault" in batch.columns:
        reasons.append(("", pl.col("_fault").is_not_null(), ""))
    for name, dtype in types.items():
        if name not in batch.columns:
            columns.append(pl.lit(None, dtype).alias(name))
            if name in ("timestamp", "function", "duration_ms"):
                reasons.append((name, pl.lit(value=True), f"{name} is missing"))
            continue
        made, odd = _column(name, batch.schema[name], sources)
        if name == "function" and "source" in batch.columns:
            # Records of an event source need no function: the source has one.
            called = pl.col("source").cast(pl.String).fill_null("sync").is_in(["sync", "async"])
            odd = [(condition & called, reason) for condition, reason in odd]
        columns.append(made.alias(name))
        reasons += [(name, condition, reason) for condition, reason in odd]
    number = pl.lit(None, pl.UInt16)
    for place, (_, condition, _) in reversed(list(enumerate(reasons))):
        holds = condition.fill_null(value=False)
        number = pl.when(holds).then(pl.lit(place, pl.UInt16)).otherwise(number)
    rows = pl.int_range(first, first + batch.height, dtype=pl.UInt64, eager=True).alias("row")
    judged = batch.select(number.alias("_reason"), *columns).with_columns(rows)
    good = judged.filter(pl.col("_reason").is_null()).drop("_reason")
    if good.height == batch.height:
        return good, pl.DataFrame(schema={"row": pl.UInt64})
    told = judged.select("row", "_reason").filter(pl.col("_reason").is_not_null())
    names = pl.Series([name for name, _, _ in reasons], dtype=pl.String)
    texts = pl.Series([text for _, _, text in reasons], dtype=pl.String)
    places = (told["row"] - first).cast(pl.UInt32)
    values = [
        None if not names[reason] or names[reason] not in batch.columns
        else str(batch[names[reason]][place])
        for place, reason in zip(places, told["_reason"], strict=True)
    ]  # fmt: skip
    faults = (
        batch["_fault"].gather(places) if "_fault" in batch.columns
        else pl.Series([None] * len(places), dtype=pl.String)
    )  # fmt: skip
    refused = told.select(
        "row",
        pl.coalesce(faults.alias("f"), texts.gather(told["_reason"])).alias("reason"),
        names.gather(told["_reason"]).replace("", None).alias("column"),
        pl.Series("value", values, dtype=pl.String),
    )
    return good, refused


_Odd = list[tuple[pl.Expr, str]]


def _column(name: str, given: pl.DataType, sources: frozenset[str] | None) -> tuple[pl.Expr, _Odd]:
    """Express a column as it leaves, and which of its values are odd."""
    column = pl.col(name)
    if name == "timestamp":
        return _instant(column, given)
    if name in _SPANS:
        return _span(name, column, given)
    if name in _WHOLE:
        return _whole(name, column)
    if name in _FLAGS:
        words = {"true": True, "false": False, "1": True, "0": False}
        folded = column.cast(pl.String).str.to_lowercase()
        made = folded.replace_strict(words, default=None, return_dtype=pl.Boolean)
        odd = column.is_not_null() & made.is_null()
        return made, [(odd, f"{name} is neither true nor false")]
    text = column.cast(pl.String)
    if name == "function":
        return text, [
            (text.is_null(), "function is null"),
            (text.str.strip_chars() == "", "function is empty"),
            (text.str.len_chars() > LONGEST_NAME, f"function has more than {LONGEST_NAME} letters"),
        ]
    words_of = {**_WORDS, **({} if sources is None else {"source": tuple(sorted(sources))})}
    if name in words_of:
        known = text.is_in(list(words_of[name]))
        return text, [
            (text.is_not_null() & ~known, f"{name} is none of {', '.join(words_of[name])}")
        ]
    return text, []


def _instant(column: pl.Expr, given: pl.DataType) -> tuple[pl.Expr, _Odd]:
    low, high = _INSTANTS
    if isinstance(given, pl.String):
        number = column.cast(pl.Int64, strict=False)
        parsed = column.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
        micros = pl.coalesce(number, parsed.to_physical())
    elif isinstance(given, pl.Datetime | pl.Date):
        micros = column.cast(pl.Datetime("us"), strict=False).to_physical()
    elif given.is_float():
        # Instants are whole numbers of µs; a fraction is a unit that nobody told of.
        micros = column.cast(pl.Int64, strict=False)
        micros = pl.when(micros.cast(pl.Float64) == column).then(micros)
    else:
        micros = column.cast(pl.Int64, strict=False)
    fits = micros.is_between(low, high)
    made = pl.when(fits).then(micros).cast(pl.Datetime("us", "UTC"))
    return made, [
        (column.is_null(), "timestamp is null"),
        (micros.is_null(), "timestamp is no instant"),
        (~fits, "timestamp is outside the years 1 to 9999"),
    ]


def _span(name: str, column: pl.Expr, given: pl.DataType) -> tuple[pl.Expr, _Odd]:
    if isinstance(given, pl.Duration):
        scale = {"ns": 1e6, "us": 1e3, "ms": 1.0}[given.time_unit]
        made = column.to_physical() / scale
    else:
        made = column.cast(pl.Float64, strict=False)
    odd = [
        (column.is_not_null() & (made.is_null() | made.is_nan()), f"{name} is no number"),
        (made < 0, f"{name} is negative"),
        (made > _SPAN_MS, f"{name} is more than 366 days"),
    ]
    return made, [(column.is_null(), f"{name} is null"), *odd] if name == "duration_ms" else odd


def _whole(name: str, column: pl.Expr) -> tuple[pl.Expr, _Odd]:
    dtype, least, most = _WHOLE[name]
    made = column.cast(pl.String).str.replace(r"\.0*$", "").cast(dtype, strict=False)
    fits = made.is_between(pl.lit(least, dtype), pl.lit(min(most, 2**64 - 1), dtype))
    odd = column.is_not_null() & ~fits.fill_null(value=False)
    return made, [(odd, f"{name} is no whole number from {least} to {most:,}")]
