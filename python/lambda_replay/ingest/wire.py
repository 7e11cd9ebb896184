"""From the columns of a trace to those that the core takes.

Owns which types a column may have and how each becomes microseconds or a code. The expressions run
inside the scan, so a column that the core does not need is never read.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from lambda_replay.exceptions import TraceError, cut, escape, show
from lambda_replay.ingest.batches import scan_batches
from lambda_replay.ingest.faults import reading
from lambda_replay.ingest.records import NONE, RECORD_COLUMNS, Records, section
from lambda_replay.ingest.routes import KEY_PREFIX, Routes, key_columns
from lambda_replay.schema import (
    NOT_MODELLED_COLUMNS,
    OF_RECORDS,
    REQUIRED_COLUMNS,
    TRACE_COLUMNS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lambda_replay.ingest.source import TraceSource
    from lambda_replay.scenario import Resolved

__all__ = ["Wire"]

#: Names of columns that only guard the trace; the core never sees them.
GUARDS: Final = ("account", "region")
#: No instant and no span.
_NO_INSTANT: Final = 2**63 - 1
#: Types of which a column comes to the core as it is; all others are text.
_VIEWED: Final = {
    "timestamp": pl.Datetime,
    "duration_ms": pl.Float64,
    "init_ms": pl.Float64,
    "row_uid": pl.UInt64,
}
#: Columns of spans, by their names on the way to the core.
SPANS: Final = {"duration": "duration_ms", "init": "init_ms", "extension": "extension_ms"}
#: Words of columns, in the order of the core's numbers.
WORDS: Final = {
    "source": ("sync", "async"),
    # An item that failed is a success of a synchronous or asynchronous row (Z14).
    "error": (None, "handled", "crash", "item"),
    "state_access": ("write", "read"),
}


class Whole(NamedTuple):
    """A column of whole numbers.

    Attributes
    ----------
    name, dtype
        How the core knows it.
    missing
        What stands for "not given" there.
    least, most
        Bounds of what may be given.
    """

    name: str
    dtype: type[pl.DataType]
    missing: int
    least: int
    most: int


NUMBERS: Final = {
    # Every run fails.
    "error_runs": Whole("error_runs", pl.UInt32, 2**32 - 1, 0, 2**32 - 2),
    "memory_mb": Whole("memory", pl.UInt32, 0, 1, 2**32 - 1),
    "payload_bytes": Whole("payload", pl.UInt64, 0, 0, 2**63 - 1),
}
#: Memory that Lambda offers (F3.1).
_MEMORY_MB: Final = (128, 10_240)
#: Columns that are computed from those of the file.
_COMPUTED: Final = ("extension", "state_key", "key", "shard", "filtered")
#: No record of shared state.
_NO_KEY: Final = 2**32 - 1


@dataclass(frozen=True)
class Wire:
    """The columns of a trace, ready for the core.

    Attributes
    ----------
    frame
        ``timestamp`` (Int64, µs), ``function`` (UInt32 codes), ``duration`` and ``init`` (Int64 µs
        or Float64 ms), ``request_id``, ``row_uid``, and the guards, where the trace has them.
    ignored
        Columns that are none of the contract's.
    known
        Every column of the trace.
    source
        Where it comes from.
    has_init, has_request_id
        Whether the trace has the column.
    guards
        Columns that only guard the trace.
    present
        Columns that are there, under the trace's names.
    checked
        Columns of words and whole numbers that :meth:`check` turns into the core's.

    counts_micros
        Whether instants are given as integers.
    records
        The event sources that rows may belong to.
    routes
        The doors by which rows come that the trace has by another.
    notes
        How a column was read, where there are several ways, and what was odd in the rows so far.
    """

    frame: pl.LazyFrame
    source: TraceSource
    ignored: tuple[str, ...]
    known: tuple[str, ...]
    has_init: bool
    has_request_id: bool
    guards: tuple[str, ...]
    checked: tuple[str, ...]
    present: frozenset[str]
    counts_micros: bool
    notes: list[str] = field(hash=False)
    records: Records
    routes: Routes
    _categories: Any
    _keys: Any
    #: Views of the columns of :attr:`_plain` that make :attr:`frame`, where views are enough.
    _views: tuple[pl.Expr, ...] | None = None
    _plain: pl.LazyFrame | None = None
    #: Functions of sources that an Enum of the file does not have.
    _added: list[str] = field(default_factory=list, hash=False)

    @classmethod
    def of(cls, source: TraceSource, *scenarios: Resolved) -> Wire:
        """Prepare the columns of a trace, each file by its own types.

        Parameters
        ----------
        source
            The trace.
        *scenarios
            Whose event sources its rows may belong to: those of the first, until :meth:`under`.

        Raises
        ------
        TraceError
            A required column is missing or a column has a type it cannot have.
        """
        files = source.labels
        schemas = []
        for name, frame in zip(files, source.frames, strict=True):
            with reading(name):
                schemas.append(frame.collect_schema())
            _check_names(schemas[-1].names(), name)
        several = len(schemas) > 1
        # Codes and units of several files must be the same.
        shared = pl.Categories.random() if several else None
        keys = pl.Categories.random()
        sided = [one for one in scenarios if one.source_names()]
        records = Records.of(*scenarios[:1])
        routed = key_columns(
            scenarios,
            list(zip(files, schemas, strict=True)),
            records.keys,
            _refuse,
        )
        parts = []
        columns: list[pl.Expr] = []
        for name, frame, schema, of_routes in zip(
            files, source.frames, schemas, routed, strict=True
        ):
            columns = _columns(frame, schema, name, shared, keys)
            if source.numbered:
                columns.append(pl.col("row"))
            if sided:
                columns += _of_records(records, schema, name)
            columns += of_routes
            if several:
                columns = [
                    _in_millis(column, schema) if column.meta.output_name() in SPANS else column
                    for column in columns
                ]
            parts.append(frame.select(columns))
        present = [name for schema in schemas for name in schema if schema[name] != pl.Null]
        known = dict.fromkeys(name for schema in schemas for name in schema)
        function = schemas[0]["function"]
        frame = parts[0] if not several else pl.concat(parts, how="diagonal_relaxed")
        categories: Any = shared
        if isinstance(function, pl.Enum | pl.Categorical) and not several:
            categories = function.categories
        if categories is None:
            categories = pl.Categories.random()
            frame = frame.with_columns(
                pl.col("function").cast(pl.Categorical(categories)).to_physical()
            )
        viewed = not several and _are_views(columns, schemas[0])
        used = [column.meta.root_names()[0] for column in columns] if viewed else []
        return cls(
            frame=frame,
            source=source,
            ignored=tuple(
                name
                for name in known
                if name not in TRACE_COLUMNS
                and not (source.numbered and name == "row")
                and not any(route.key == name for one in scenarios for route in one.routes)
            ),
            known=tuple(known),
            has_init="init_ms" in present,
            has_request_id="request_id" in present,
            present=frozenset(present),
            guards=tuple(name for name in GUARDS if name in present),
            checked=tuple(name for name in (*WORDS, *NUMBERS) if name in present),
            counts_micros=any(schema["timestamp"].is_integer() for schema in schemas),
            notes=_notes(schemas),
            records=records,
            routes=Routes.of(*scenarios[:1]),
            _categories=categories,
            _keys=keys,
            _views=tuple(columns) if viewed else None,
            _plain=source.frames[0].select(used) if viewed else None,
        )

    def batches(self, chunk_size: int) -> Iterator[pl.DataFrame]:
        """Give the rows of :attr:`frame` as the trace has them, ``chunk_size`` at a time."""
        if self._plain is None or self._views is None:
            yield from scan_batches(self.frame, chunk_size)
            return
        # A node of its own in the query would buffer as many batches again, for no work.
        for batch in scan_batches(self._plain, chunk_size):
            yield batch.select_seq(self._views)

    def under(self, scenario: Resolved) -> Wire:
        """Give the same rows for a replay of its own, under a scenario with its event sources."""
        return dataclasses.replace(
            self,
            records=Records.of(scenario, keys=self.records.keys),
            routes=Routes.of(scenario),
        )

    @property
    def not_modelled(self) -> tuple[str, ...]:
        """Columns of the contract that this version or the scenario does not model."""
        unused = () if self.records.names else OF_RECORDS
        return tuple(name for name in self.known if name in NOT_MODELLED_COLUMNS or name in unused)

    @property
    def label(self) -> str:
        """One name of the trace for messages."""
        return self.source.label

    def names(self, codes: Sequence[int]) -> list[str]:
        """Names of functions by their codes."""
        names = self._categories
        if isinstance(names, pl.Series):
            names = pl.concat([names.cast(pl.String), pl.Series(self._added, dtype=pl.String)])
            found: list[str] = names.gather(list(codes)).to_list()
            return found
        return list(names.to_series().gather(list(codes)))

    def code_of(self, name: str) -> int:
        """Give a function its code, though no row of the trace may name it."""
        names = self._categories
        if not isinstance(names, pl.Series):
            dtype = pl.Categorical(names)
            return int(pl.Series([name]).cast(dtype).to_physical()[0])
        place = names.cast(pl.String).index_of(name)
        if place is not None:
            return place
        if name not in self._added:
            self._added.append(name)
        return len(names) + self._added.index(name)

    def key_names(self, codes: Sequence[int]) -> list[str]:
        """Names of shared records by their codes."""
        names: list[str] = self._keys.to_series().gather(list(codes)).to_list()
        return names

    def state_key_names(self, first: int, end: int) -> pl.Series:
        """Names of shared records whose codes lie in a range."""
        codes = pl.int_range(first, end, dtype=pl.UInt32, eager=True)
        return codes.cat.to(pl.Categorical(self._keys)).cast(pl.String)

    def find_unreadable(self) -> TraceError | None:
        """Find the first instant given as text that cannot be read as the first one is."""
        row = 0
        text = pl.col("timestamp")
        for frame in self.source.frames:
            if isinstance(frame.collect_schema()["timestamp"], pl.String):
                odd = text.is_not_null() & _parsed(text, strict=False).is_null()
                found = (
                    frame.select("timestamp")
                    .with_row_index("row")
                    .filter(odd)
                    .head(1)
                    .collect(engine="streaming")
                )
                if found.height:
                    place, value = found.row(0)
                    row += place
                    message = f"timestamp is {show(value)}, not written as the ones before it"
                    return TraceError(
                        message,
                        source=self.source.file_of(row),
                        row=row,
                        column="timestamp",
                        value=value,
                        code="LR-T-VALUE",
                        hint="write all as ISO 8601, all with an offset or all without",
                    )
            row += frame.select(pl.len()).collect(engine="streaming").item()
        return None

    def check(self, batch: pl.DataFrame, first: int) -> pl.DataFrame:
        """Check the guards of a batch and take them out.

        Parameters
        ----------
        batch
            A batch of :attr:`frame`, perhaps with a column ``row``.
        first
            Position of its first row where it has no such column.

        Raises
        ------
        TraceError
            A row belongs to a source or an account that this version cannot replay.
        """
        if self.guards:
            batch = batch.drop(self.guards)
        # Where several files make the trace, some of them may lack a column.
        gaps = {"extension": 0, "state_key": _NO_KEY, "key": NONE}
        holes = [name for name in gaps if name in batch.columns and batch[name].has_nulls()]
        if holes:
            batch = batch.with_columns(pl.col(name).fill_null(gaps[name]) for name in holes)
        batch = self.routes.apply(batch, self.records, code_of=self.code_of, names_of=self.names)
        if self.records.names:
            batch = self.records.resolve(
                batch, code_of=self.code_of, names_of=self.names, refused=self._refusing(first)
            )
        else:
            batch = batch.drop(RECORD_COLUMNS, strict=False)
        for name in (*self.checked, *self._routed_columns(batch)):
            if name != "source" or not self.records.names:
                batch = batch.with_columns(self._checked(batch, name, first))
        return batch

    def _routed_columns(self, batch: pl.DataFrame) -> tuple[str, ...]:
        """Name the column ``source`` where routes gave one to a trace without."""
        return ("source",) if "source" in batch.columns and "source" not in self.checked else ()

    def _refusing(self, first: int) -> Callable[..., TraceError]:
        def refused(batch: pl.DataFrame, name: str, place: int, **about: Any) -> TraceError:
            return self._refused(batch, name, place, first, **about)

        return refused

    def _checked(self, batch: pl.DataFrame, name: str, first: int) -> pl.Series:
        """Turn one column of words or whole numbers into the core's."""
        column = batch[name]
        if name in WORDS:
            words = WORDS[name]
            codes = column.replace_strict(
                {word: code for code, word in enumerate(words) if word is not None},
                default=255,
                return_dtype=pl.UInt8,
            )
            # A null is the first word, or none at all.
            known = pl.when(column.is_null()).then(pl.lit(0, pl.UInt8)).otherwise(codes)
            found: pl.Series = pl.select(known).to_series().alias(name)
            if (odd := found == 255).any():
                raise self._odd_word(batch, name, odd, first)
            if name == "error" and "event_source" not in batch.columns:
                # 3 is an item.
                return found.replace({3: 0})
            return found
        return self._whole(batch, name, first)

    def _whole(self, batch: pl.DataFrame, name: str, first: int) -> pl.Series:
        """Check one column of whole numbers."""
        column, number = batch[name], NUMBERS[name]
        whole = column.cast(number.dtype, strict=False)
        right = (whole.cast(pl.Float64) == column.cast(pl.Float64)) & whole.is_between(
            number.least, number.most
        )
        odd = (column.is_not_null() & ~right.fill_null(value=False)).alias(name)
        if odd.any():
            expected = f"a whole number from {number.least} to {number.most:,}"
            place = odd.arg_max() or 0
            raise self._refused(batch, name, place, first, right=expected, code="LR-T-VALUE")
        if name == "memory_mb":
            self._note_memory(whole)
        return whole.fill_null(number.missing)

    def _note_memory(self, memory: pl.Series) -> None:
        """Note memory that Lambda does not offer, once."""
        least, most = _MEMORY_MB
        beyond = memory.filter(~memory.is_between(least, most))
        about = f"memory_mb outside Lambda's {least} to {most:,} MB"
        if len(beyond) and not any(note.startswith(about) for note in self.notes):
            self.notes.append(f"{about}, such as {beyond[0]:,}: priced as it is")

    def _odd_word(self, batch: pl.DataFrame, name: str, odd: pl.Series, first: int) -> TraceError:
        place = odd.arg_max() or 0
        value = str(batch[name][place])
        words = [word for word in WORDS[name] if word is not None]
        near = difflib.get_close_matches(value.lower(), words, n=1)
        if name == "source":
            # Without event sources in the scenario no other source can be meant.
            hint = f"an event source is {section(value)} of the scenario, with type and function"
            code = "LR-T-SOURCE"
        else:
            hint, code = f"one of {', '.join(words)}, or null", "LR-T-VALUE"
        if near:
            hint = f"did you mean {near[0]}? {hint}"
        right = ", ".join(words)
        return self._refused(batch, name, place, first, right=right, code=code, hint=hint)

    def _refused(
        self,
        batch: pl.DataFrame,
        name: str,
        place: int,
        first: int,
        *,
        right: str,
        code: str,
        hint: str | None = None,
        value: object = None,
    ) -> TraceError:
        value = batch[name][place] if value is None else value
        row = int(batch["row"][place]) if "row" in batch.columns else first + place
        return TraceError(
            f"{name} is {show(value)}; it must be {right}",
            source=self.source.file_of(row),
            row=row,
            column=name,
            value=value,
            code=code,
            hint=hint,
        )

    def core_names(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Name the columns as the core knows them, and leave out what it does not."""
        names = {name: number.name for name, number in NUMBERS.items()}
        names["state_access"] = "reads"
        return batch.rename(names, strict=False)

    def check_accounts(self) -> None:
        """Check that all rows belong to one account and Region.

        Raises
        ------
        TraceError
            There are several; each would have limits of its own.
        """
        names = [name for name in ("account", "region") if name in self.guards]
        if not names:
            return
        with reading(self.label):
            pairs = self.frame.select(pl.struct(names).unique()).collect(engine="streaming")
        if pairs.height > 1:
            shown = pairs.to_series().head(3).to_list()
            message = (
                f"the trace holds {pairs.height} accounts and Regions ({show(shown)}), each with"
                " limits of its own; this version replays one"
            )
            raise TraceError(
                message,
                source=self.label,
                column=names[0],
                code="LR-T-ACCOUNTS",
                hint="filter the trace to one of them and replay each by itself",
            )


#: What other tools call the required columns.
_USUAL: Final = {
    "timestamp": ("ts", "time", "@timestamp", "datetime", "date", "start", "start_time"),
    "function": ("func", "fn", "name", "app", "lambda"),
    "duration_ms": ("duration", "latency", "latency_ms", "elapsed", "elapsed_ms", "ms"),
}


def _check_names(names: list[str], label: str) -> None:
    missing = [name for name in REQUIRED_COLUMNS if name not in names]
    if not missing:
        return
    folded = {name.strip().lower(): name for name in names}
    hints, maps = [], []
    for name in missing:
        usual = next((folded[other] for other in _USUAL[name] if other in folded), None)
        near = folded.get(name) or next(
            iter(difflib.get_close_matches(name, names, 1, 0.75)), usual
        )
        if near is not None:
            hints.append(f"rename {near!r} to {name!r}")
            maps.append(f"{name}={near}")
    if len(names) == 1 and any(separator in names[0] for separator in ";\t|"):
        hints, maps = ["fields of a CSV file must be separated by commas"], []
    if len(maps) > 1:
        hints.append(f"or: --map {escape(','.join(maps))}")
    shown = [escape(cut(name)) for name in names[:20]]
    message = (
        f"{escape(label)} has no column {' and no column '.join(missing)};"
        f" it has {', '.join(shown) or 'none'}{', …' if len(names) > 20 else ''}"
    )
    raise TraceError(
        message,
        source=label,
        column=missing[0],
        code="LR-T-COLUMN",
        hint="; ".join([*hints, *([f"or: --map {escape(','.join(maps))}"] if maps else [])])
        or "every trace needs timestamp, function and duration_ms",
    )


def _refuse(column: str, dtype: pl.DataType, label: str, right: str) -> TraceError:
    message = f"{column} of {label} is of type {dtype}; it must be {right}"
    return TraceError(message, source=label, column=column, value=str(dtype), code="LR-T-TYPE")


def _columns(
    frame: pl.LazyFrame, schema: pl.Schema, label: str, shared: Any, keys: Any
) -> list[pl.Expr]:
    """Express the columns that the core takes, those that the file has."""
    columns = [
        _instant(frame, schema["timestamp"], label).alias("timestamp"),
        _code(schema["function"], label, shared).alias("function"),
        _span("duration_ms", schema["duration_ms"], label).alias("duration"),
    ]
    present = {name for name in schema if schema[name] != pl.Null}
    if "init_ms" in present:
        columns.append(_span("init_ms", schema["init_ms"], label).alias("init"))
    if "extension_ms" in present:
        extension = _span("extension_ms", schema["extension_ms"], label)
        columns.append(extension.fill_null(0).alias("extension"))
    if "state_key" in present:
        columns.append(_key(schema["state_key"], label, keys))
    for name in NUMBERS:
        if name in present:
            if not schema[name].is_numeric():
                raise _refuse(name, schema[name], label, "a whole number")
            columns.append(pl.col(name))
    for name in ("request_id", *GUARDS, *WORDS):
        if name in present:
            if schema[name].is_nested() or schema[name] == pl.Binary:
                raise _refuse(name, schema[name], label, "text")
            columns.append(pl.col(name).cast(pl.String))
    if "row_uid" in present:
        if not schema["row_uid"].is_integer():
            raise _refuse("row_uid", schema["row_uid"], label, "an integer, 0 or more")
        columns.append(pl.col("row_uid").cast(pl.UInt64))
    return columns


def _of_records(records: Records, schema: pl.Schema, label: str) -> list[pl.Expr]:
    def refuse(name: str, dtype: pl.DataType, right: str) -> TraceError:
        return _refuse(name, dtype, label, right)

    return records.columns(schema, refuse)


def _key(dtype: pl.DataType, label: str, shared: Any) -> pl.Expr:
    """Express the names of shared records as codes."""
    if dtype.is_nested() or dtype == pl.Binary:
        raise _refuse("state_key", dtype, label, "text")
    codes = pl.col("state_key").cast(pl.String).cast(pl.Categorical(shared)).to_physical()
    return codes.cast(pl.UInt32).fill_null(_NO_KEY).alias("state_key")


def _are_views(columns: Sequence[pl.Expr], schema: pl.Schema) -> bool:
    """Whether the core's columns are those of the file by other names and types, bit for bit."""
    function = schema["function"]
    outputs = [column.meta.output_name() for column in columns]
    if any(name in _COMPUTED or name.startswith(KEY_PREFIX) for name in outputs):
        return False
    views = isinstance(function, pl.Categorical) and function.categories.physical() == pl.UInt32
    for column in columns:
        name = column.meta.root_names()[0]
        dtype = schema[name]
        if isinstance(dtype, pl.Datetime | pl.Duration):
            views &= dtype.time_unit == "us"
        elif name not in ("function", *NUMBERS):
            views &= dtype == _VIEWED.get(name, pl.String)
    return views


def _in_millis(column: pl.Expr, schema: pl.Schema) -> pl.Expr:
    """Bring a span to Float64 ms, which every file can have."""
    name = column.meta.output_name()
    if isinstance(schema[SPANS[name]], pl.Duration):
        return (column / 1_000).alias(name)
    return column


def _notes(schemas: Sequence[pl.Schema]) -> list[str]:
    types = [schema["timestamp"] for schema in schemas]
    if any(isinstance(dtype, pl.Datetime) and dtype.time_zone is None for dtype in types):
        return ["timestamps without a time zone are taken as UTC"]
    return []


def _instant(frame: pl.LazyFrame, dtype: pl.DataType, label: str) -> pl.Expr:
    """Express instants in whole µs since the epoch, floored (Z3); naive ones are UTC."""
    column = pl.col("timestamp")
    if isinstance(dtype, pl.Datetime):
        physical = column.to_physical()
        if dtype.time_unit == "ms":
            return _thousandfold(physical)
        return physical if dtype.time_unit == "us" else physical // 1_000
    if isinstance(dtype, pl.Date):
        return column.cast(pl.Datetime("us")).to_physical()
    if dtype.is_integer() or isinstance(dtype, pl.Null):
        # What does not fit is no instant either: the core refuses it.
        fits = column.cast(pl.Int64, strict=False)
        return pl.when(column.is_not_null()).then(fits.fill_null(_NO_INSTANT))
    if isinstance(dtype, pl.String):
        with reading(label):
            first = frame.select(column.drop_nulls().first()).collect(engine="streaming").item()
        # 01/02/2026 is a day in January or in February, depending on who wrote it.
        if first is not None and re.match(r"\s*[+-]?\d{4}-\d{2}-\d{2}", first) is None:
            message = (
                f"timestamp is {show(first)} where ISO 8601 is expected (2026-03-01T12:00:00Z)"
            )
            raise TraceError(
                message, source=label, row=0, column="timestamp", value=first, code="LR-T-VALUE"
            )
        return _parsed(column, strict=True).to_physical()
    right = "a Datetime, an ISO 8601 text or an integer of µs since the epoch"
    raise _refuse("timestamp", dtype, label, right)


def _thousandfold(millis: pl.Expr) -> pl.Expr:
    """Multiply by 1,000; what would overflow becomes a value that the core refuses."""
    fits = millis.abs() <= _NO_INSTANT // 1_000
    return pl.when(fits | millis.is_null()).then(millis * 1_000).otherwise(_NO_INSTANT)


def _parsed(column: pl.Expr, *, strict: bool) -> pl.Expr:
    return column.str.to_datetime(time_unit="us", time_zone="UTC", strict=strict)


def _span(name: str, dtype: pl.DataType, label: str) -> pl.Expr:
    """Express a span as Int64 µs or as Float64 ms, whichever needs no conversion here."""
    column = pl.col(name)
    if isinstance(dtype, pl.Duration):
        physical = column.to_physical()
        # Halves up (Z3).
        if dtype.time_unit == "ms":
            return _thousandfold(physical)
        return physical if dtype.time_unit == "us" else (physical + 500) // 1_000
    if dtype.is_numeric() or isinstance(dtype, pl.Null):
        return column.cast(pl.Float64)
    raise _refuse(name, dtype, label, "a number of milliseconds or a Duration")


def _code(dtype: pl.DataType, label: str, shared: Any) -> pl.Expr:
    """Express names as codes where the file has them or ``shared`` gives them."""
    column = pl.col("function")
    if not isinstance(dtype, pl.Enum | pl.Categorical | pl.String | pl.Null):
        raise _refuse("function", dtype, label, "text or Categorical")
    if shared is not None:
        return column.cast(pl.String).cast(pl.Categorical(shared)).to_physical()
    if isinstance(dtype, pl.Enum | pl.Categorical):
        return column.to_physical().cast(pl.UInt32)
    return column.cast(pl.String)
