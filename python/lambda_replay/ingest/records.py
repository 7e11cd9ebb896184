"""Rows that are records of event sources: from the columns of a trace to those of the core.

Owns which source, shard and key a row has and what is wrong with them (E0.5, E0.6). MD5 and the
ranges of shards are the core's; nothing here looks at single rows.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.exceptions import TraceError, cut, show
from lambda_replay.names import split
from lambda_replay.scenario.keys import format_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lambda_replay.scenario import Resolved

__all__ = ["NONE", "RECORD_COLUMNS", "Records", "section"]

#: No source, no key, no shard.
NONE: Final = 2**32 - 1
#: Columns of the contract that only records have.
RECORD_COLUMNS: Final = ("key", "shard", "filtered")
#: Names of shards end with their number: shardId-000000000003, topic-3.
_NUMBERED: Final = re.compile(r"(?:.*[-_])?(\d{1,18})", re.DOTALL)


@dataclass
class Records:
    """The event sources of a scenario, as the rows of a trace name them.

    Attributes
    ----------
    names, functions
        Of the sources, by number.
    shards
        Shards there ever are, by number of the source; 0 for queues, which have none.
    tumbling
        Whether records of a source cannot be filtered: it has tumbling windows.
    keys
        Categories of the column ``key``.
    registered
        Keys that the core knows, the first so many codes.
    """

    names: tuple[str, ...]
    functions: tuple[str, ...]
    shards: tuple[int, ...]
    tumbling: tuple[bool, ...]
    keys: Any = field(default_factory=pl.Categories.random)
    registered: int = 0
    _named_shards: dict[tuple[int, str], int] = field(default_factory=dict)
    _agreed: set[tuple[int, int]] = field(default_factory=set)

    @classmethod
    def of(cls, scenario: Resolved | None = None, keys: Any = None) -> Records:
        """Take over the sources of a scenario, and categories of keys where there are some."""
        sources = [] if scenario is None else [*scenario.epochs[0].sources.values()]
        return cls(
            names=tuple(source.name for source in sources),
            functions=tuple(source.function for source in sources),
            shards=tuple(0 if source.is_queue else source.shards for source in sources),
            tumbling=tuple(bool(source.values.get("tumbling_window_s")) for source in sources),
            **({} if keys is None else {"keys": keys}),
        )

    def columns(self, schema: pl.Schema, refuse: Callable[..., TraceError]) -> list[pl.Expr]:
        """Express the columns of records that a file has; ``refuse`` makes errors of types."""
        found: list[pl.Expr] = []
        for name in RECORD_COLUMNS:
            dtype = schema.get(name, pl.Null())
            if dtype == pl.Null:
                continue
            if name == "filtered":
                if dtype != pl.Boolean:
                    raise refuse(name, dtype, "true or false")
                found.append(pl.col(name))
                continue
            if dtype.is_nested() or dtype == pl.Binary or dtype.is_float():
                raise refuse(name, dtype, "text" if name == "key" else "an integer or text")
            if name == "key":
                codes = pl.col(name).cast(pl.String).cast(pl.Categorical(self.keys)).to_physical()
                found.append(codes.cast(pl.UInt32).fill_null(NONE).alias(name))
            elif dtype.is_integer():
                found.append(pl.col(name).cast(pl.Int64, strict=False))
            else:
                found.append(pl.col(name).cast(pl.String))
        return found

    def new_keys(self, batch: pl.DataFrame) -> pl.DataFrame | None:
        """Give the keys that the core has not seen, in the order of their codes; None: none."""
        if "key" not in batch.columns:
            return None
        used = batch["key"].filter(batch["key"] != NONE).max()
        if not isinstance(used, int) or used < self.registered:
            return None
        codes = pl.int_range(self.registered, used + 1, dtype=pl.UInt32, eager=True)
        self.registered = used + 1
        return self.key_names(codes).to_frame("key")

    def key_names(self, codes: pl.Series) -> pl.Series:
        """Give keys by their codes."""
        return codes.cat.to(pl.Categorical(self.keys)).cast(pl.String)

    # ------------------------------------------------------------------ rows

    def resolve(
        self,
        batch: pl.DataFrame,
        *,
        code_of: Callable[[str], int],
        names_of: Callable[[Sequence[int]], list[str]],
        refused: Callable[..., TraceError],
    ) -> pl.DataFrame:
        """Turn the columns of a batch into the core's.

        Parameters
        ----------
        batch
            With ``source`` as text.
        code_of
            Gives the code of a function that the trace may not have.
        names_of
            Gives the names of functions by their codes.
        refused
            Makes the error of a row: column, place, ``right``, ``code``, ``hint``.

        Raises
        ------
        TraceError
            A row names no source, another function than its source invokes, or no shard of it.
        """
        batch = self._sources(batch, refused)
        source = batch["event_source"]
        of_records = source != NONE
        if not of_records.any():
            return batch.drop("event_source", *RECORD_COLUMNS, strict=False)
        batch = self._functions(batch, of_records, code_of, names_of, refused)
        if "filtered" in batch.columns:
            filtered = batch["filtered"].fill_null(value=False) & of_records
            if any(self.tumbling) and filtered.any():
                windows = pl.Series(
                    [i for i, one in enumerate(self.tumbling) if one], dtype=pl.UInt32
                )
                odd = filtered & source.is_in(windows.implode())
                if odd.any():
                    place = odd.arg_max() or 0
                    name = show(self.names[source[place]])
                    hint = (
                        f"AWS refuses filters with tumbling windows (E1): {name} has "
                        "tumbling_window_s"
                    )
                    raise refused(
                        batch, "filtered", place, right="false", code="LR-T-FILTER", hint=hint
                    )
            batch = batch.with_columns(filtered.cast(pl.UInt8))
        if "shard" in batch.columns:
            batch = self._shards(batch, of_records, refused)
        return batch

    def _sources(self, batch: pl.DataFrame, refused: Callable[..., TraceError]) -> pl.DataFrame:
        """Tell synchronous and asynchronous rows from those of sources by number."""
        if "source" not in batch.columns:
            return batch.with_columns(pl.lit(NONE, pl.UInt32).alias("event_source"))
        words = {"sync": NONE - 1, "async": NONE - 2}
        words |= {name: number for number, name in enumerate(self.names)}
        column = batch["source"]
        codes = column.replace_strict(words, default=None, return_dtype=pl.UInt32)
        odd = column.is_not_null() & codes.is_null()
        if odd.any():
            place = odd.arg_max() or 0
            raise self._unknown(batch, place, refused)
        codes = codes.fill_null(NONE - 1)
        return batch.with_columns(
            codes.clip(upper_bound=NONE - 2).replace(NONE - 2, NONE).alias("event_source"),
            (codes == NONE - 2).cast(pl.UInt8).alias("source"),
        )

    def _unknown(
        self, batch: pl.DataFrame, place: int, refused: Callable[..., TraceError]
    ) -> TraceError:
        value = str(batch["source"][place])
        known = ("sync", "async", *self.names)
        near = difflib.get_close_matches(value, known, n=1) or difflib.get_close_matches(
            value.lower(), known, n=1
        )
        if near:
            hint = f"did you mean {near[0]}? "
        elif self.names:
            shown = ", ".join(self.names[:5]) + (", …" if len(self.names) > 5 else "")
            hint = f"the scenario has the event sources {shown}; "
        else:
            hint = "the scenario has no event sources; "
        hint += f"a new one is {section(value)} with type and function"
        right = "sync, async or the name of an event source in the scenario"
        return refused(batch, "source", place, right=right, code="LR-T-SOURCE", hint=hint)

    def _functions(
        self,
        batch: pl.DataFrame,
        of_records: pl.Series,
        code_of: Callable[[str], int],
        names_of: Callable[[Sequence[int]], list[str]],
        refused: Callable[..., TraceError],
    ) -> pl.DataFrame:
        """Fill in the function of records that name none (Z51), and check that of the others."""
        function, source = batch["function"], batch["event_source"]
        given = of_records & function.is_not_null()
        if given.any():
            pairs = (
                batch.lazy()
                .select("event_source", "function")
                .with_row_index("place")
                .filter(pl.lit(given))
                .group_by("event_source", "function")
                .agg(pl.col("place").min())
                .sort("place")
                .collect()
            )
            for number, code, place in pairs.iter_rows():
                if (number, code) in self._agreed:
                    continue
                mapped, name = self.functions[number], names_of([code])[0]
                ours, theirs = split(mapped), split(name)
                if theirs is not None and ours is not None and ours[0] != theirs[0]:
                    hint = (
                        f"batches of {show(self.names[number])} invoke {mapped}; leave function "
                        "empty in its rows"
                    )
                    raise refused(
                        batch,
                        "function",
                        place,
                        right=f"{mapped} or null",
                        code="LR-T-NAME",
                        hint=hint,
                        value=name,
                    )
                self._agreed.add((number, code))
        if not (of_records & function.is_null()).any():
            return batch
        codes = pl.Series([code_of(name) for name in self.functions], dtype=pl.UInt32)
        filled = pl.select(
            pl.when(pl.lit(of_records) & pl.lit(function).is_null())
            .then(pl.lit(codes).gather(pl.lit(source).replace(NONE, 0)))
            .otherwise(pl.lit(function))
        ).to_series()
        return batch.with_columns(filled.alias("function"))

    def _shards(
        self, batch: pl.DataFrame, of_records: pl.Series, refused: Callable[..., TraceError]
    ) -> pl.DataFrame:
        """Give shards their numbers; a queue has none."""
        shard, source = batch["shard"], batch["event_source"]
        if shard.dtype == pl.String:
            shard = self._numbered(shard, source, of_records)
        most = pl.Series(self.shards, dtype=pl.Int64)
        there = pl.select(pl.lit(most).gather(pl.lit(source).replace(NONE, 0))).to_series()
        counts = of_records & shard.is_not_null() & (there > 0)
        odd = counts & ((shard < 0) | (shard >= there))
        if odd.any():
            place = odd.arg_max() or 0
            number, count = source[place], there[place]
            name = self.names[number]
            hint = (
                f"source {show(name)} has {count} with those of its reshards: set shards in "
                f"{section(name)}; names are numbered by the digits that they end with, "
                "else as they come"
            )
            right = f"a shard from 0 to {count - 1}, or null" if count else "null"
            raise refused(batch, "shard", place, right=right, code="LR-T-SHARD", hint=hint)
        numbers = pl.select(
            pl.when(pl.lit(counts)).then(pl.lit(shard)).otherwise(pl.lit(NONE, pl.Int64))
        ).to_series()
        return batch.with_columns(numbers.cast(pl.UInt32).alias("shard"))

    def _numbered(self, shard: pl.Series, source: pl.Series, of_records: pl.Series) -> pl.Series:
        """Give numbers to names of shards, those of a source by themselves."""
        frame = pl.DataFrame({"source": source, "name": shard})
        used = frame.filter(of_records & shard.is_not_null()).unique(maintain_order=True)
        numbers = []
        for number, name in used.iter_rows():
            known = self._named_shards.get((number, name))
            if known is None:
                match = _NUMBERED.fullmatch(name)
                mine = [one for (other, _), one in self._named_shards.items() if other == number]
                known = int(match[1]) if match else max(mine, default=-1) + 1
                self._named_shards[number, name] = known
            numbers.append(known)
        used = used.with_columns(pl.Series("number", numbers, dtype=pl.Int64))
        joined = frame.join(used, on=["source", "name"], how="left", maintain_order="left")
        return joined["number"].alias("shard")


def section(name: str) -> str:
    """Name the table of a source as TOML has it; shortened, for a hint."""
    return f"[{format_key(('event_sources', cut(name, 24)))}]"
