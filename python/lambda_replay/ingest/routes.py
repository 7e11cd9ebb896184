"""Routes: rows of a function that come through another door than the trace has them.

Owns which rows of a batch are routed, and what their source and key become (``[[routes]]``).
Who a row is stays as it is, and with it every random draw.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.exceptions import Problem, ScenarioError, TraceError, escape, show
from lambda_replay.figures import plural
from lambda_replay.ingest.records import NONE
from lambda_replay.names import split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lambda_replay.ingest.records import Records
    from lambda_replay.scenario import Resolved
    from lambda_replay.scenario.resolved import Route

__all__ = ["KEY_PREFIX", "Routes", "key_columns"]

#: Columns that routes take keys from, on their way: the name of the trace's column follows.
KEY_PREFIX: Final = "key from "
#: Sources that are no event sources.
_DIRECT: Final = ("sync", "async")


def key_columns(
    scenarios: Iterable[Resolved],
    schemas: Sequence[tuple[str, pl.Schema]],
    keys: Any,
    refuse: Callable[..., TraceError],
) -> list[list[pl.Expr]]:
    """Express the columns of a trace that some route takes its keys from, file by file.

    Parameters
    ----------
    scenarios
        Whose routes.
    schemas
        Name and columns of each file.
    keys
        Categories of keys.
    refuse
        Makes the error of a type: column, type, name of the file, what would be right.

    Raises
    ------
    TraceError
        A column is in none of the files, or cannot be a key.
    """
    wanted = dict.fromkeys(
        route.key for one in scenarios for route in one.routes if route.key is not None
    )
    for name in wanted:
        if all(schema.get(name, pl.Null()) == pl.Null for _, schema in schemas):
            label, schema = schemas[0]
            message = (
                f"{escape(label)} has no column {show(name)}, which a route takes its keys from"
            )
            raise TraceError(
                message,
                source=label,
                column=name,
                code="LR-T-COLUMN",
                hint=f"key of [[routes]] is one of its columns: {', '.join(map(escape, schema))}",
            )
    found = []
    for label, schema in schemas:
        columns = []
        for name in wanted:
            dtype = schema.get(name, pl.Null())
            if dtype == pl.Null:
                continue
            if dtype.is_nested() or dtype == pl.Binary or dtype.is_float():
                raise refuse(name, dtype, label, "text or an integer where a route has it as key")
            codes = pl.col(name).cast(pl.String).cast(pl.Categorical(keys)).to_physical()
            columns.append(codes.cast(pl.UInt32).fill_null(NONE).alias(KEY_PREFIX + name))
        found.append(columns)
    return found


@dataclass
class Routes:
    """The routes of a scenario, and how many rows each had so far."""

    routes: tuple[Route, ...] = ()
    rows: list[int] = field(default_factory=list)
    #: Rows whose key column had none.
    keyless: list[int] = field(default_factory=list)
    #: Number of the route by code of the function; the number of routes where there is none.
    _by_code: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.UInt32))

    @classmethod
    def of(cls, scenario: Resolved | None = None) -> Routes:
        """Take over the routes of a scenario."""
        routes = () if scenario is None else scenario.routes
        return cls(routes, [0] * len(routes), [0] * len(routes))

    def apply(
        self,
        batch: pl.DataFrame,
        records: Records,
        *,
        code_of: Callable[[str], int],
        names_of: Callable[[Sequence[int]], list[str]],
    ) -> pl.DataFrame:
        """Send the rows of a batch through their doors.

        Parameters
        ----------
        batch
            With ``function`` as codes and ``source``, where it has one, as text.
        records
            The event sources of the scenario.
        code_of, names_of
            Give the code of a function, and the names of functions by their codes.

        Returns
        -------
        DataFrame
            With ``source`` and, where there are keys, ``key`` and ``shard`` as routed; columns that
            only routes needed are gone.
        """
        if self.routes and batch.height:
            batch = self._routed(batch, records, code_of, names_of)
        return batch.drop(name for name in batch.columns if name.startswith(KEY_PREFIX))

    def _routed(
        self,
        batch: pl.DataFrame,
        records: Records,
        code_of: Callable[[str], int],
        names_of: Callable[[Sequence[int]], list[str]],
    ) -> pl.DataFrame:
        function = batch["function"]
        if "source" not in batch.columns:
            batch = batch.with_columns(pl.lit(None, pl.String).alias("source"))
        elif records.names and function.has_nulls():
            # Records that name no function have that of their source (Z51).
            mapped = dict(zip(records.names, map(code_of, records.functions), strict=True))
            own = batch["source"].replace_strict(mapped, default=None, return_dtype=pl.UInt32)
            function = pl.select(pl.coalesce(pl.lit(function), pl.lit(own))).to_series()
        none = len(self.routes)
        number = self._numbers(function, names_of)
        counts = dict(number.value_counts(name="count").iter_rows())
        if set(counts) == {none}:
            return batch
        for i in range(none):
            self.rows[i] += counts.get(i, 0)
        doors = pl.Series([*(one.source for one in self.routes), None], dtype=pl.String)
        door = doors.gather(number)
        was = pl.col("source").fill_null("sync")
        to, place = pl.lit(door), pl.lit(number)
        fresh = to.is_not_null() & (to != was)
        changed = [pl.coalesce(to, pl.col("source")).alias("source")]
        keyed = [i for i, one in enumerate(self.routes) if one.key is not None]
        if keyed:
            key = pl.col("key") if "key" in batch.columns else pl.lit(NONE, pl.UInt32)
            for i in keyed:
                new = batch[f"{KEY_PREFIX}{self.routes[i].key}"].fill_null(NONE)
                self.keyless[i] += int(((number == i) & (new == NONE)).sum())
                key = pl.when(place == i).then(pl.lit(new)).otherwise(key)
                fresh |= place == i
            changed.append(key.alias("key"))
        if "shard" in batch.columns:
            # The shard of another stream, or of another key, says nothing here.
            changed.append(pl.when(~fresh).then(pl.col("shard")).alias("shard"))
        return batch.with_columns(changed)

    def _numbers(
        self, function: pl.Series, names_of: Callable[[Sequence[int]], list[str]]
    ) -> pl.Series:
        """Find the route of each row by the code of its function."""
        none, known = len(self.routes), len(self._by_code)
        most = function.max()
        if isinstance(most, int) and most >= known:
            codes = list(range(known, most + 1))
            more = [self._find(name) for name in names_of(codes)]
            self._by_code = pl.concat([self._by_code, pl.Series(more, dtype=pl.UInt32)])
        if not len(self._by_code):
            return pl.repeat(none, len(function), dtype=pl.UInt32, eager=True)
        return self._by_code.gather(function).fill_null(none)

    def _find(self, name: str | None) -> int:
        bare = None if name is None else (split(name) or (name,))[0]
        if bare is None:
            return len(self.routes)
        matching = (i for i, one in enumerate(self.routes) if one.concerns(bare))
        return next(matching, len(self.routes))

    # ------------------------------------------------------------------ what was found

    def check(self, names: Sequence[str]) -> None:
        """Refuse routes that no row of the trace came by, at its end.

        Parameters
        ----------
        names
            Functions of the trace.

        Raises
        ------
        ScenarioError
            With all such routes, each where it stands.
        """
        problems = []
        for route, rows in zip(self.routes, self.rows, strict=True):
            if rows:
                continue
            close = _nearest(route.function, names)
            message = f"{show(route.function)} has no row in the trace, so nothing is routed" + (
                f"; did you mean {show(close)}?" if close else "; leave the route out"
            )
            problems.append(
                Problem(
                    file=route.location.file,
                    line=route.location.line,
                    column=route.location.column,
                    path=f"routes[{route.number}].function",
                    value=route.function,
                    message=message,
                    suggestion=close,
                    code="LR-S011",
                )
            )
        if problems:
            raise ScenarioError(problems=problems)

    def sentences(self) -> list[str]:
        """Say what came by another door than in the trace."""
        found = []
        for route, rows, keyless in zip(self.routes, self.rows, self.keyless, strict=True):
            door = route.source if route.source in _DIRECT else f"the source {show(route.source)}"
            of_key = f", keys from {route.key}" if route.key is not None else ""
            without = f" ({keyless:,} without one share a key)" if keyless else ""
            whose = f"{plural(rows, 'row')} of {show(route.function)}"
            found.append(f"routed: {whose} by {door}{of_key}{without}")
        return found


def _nearest(function: str, names: Sequence[str]) -> str | None:
    import difflib  # noqa: PLC0415 - of errors alone

    near = difflib.get_close_matches(function, names, n=1)
    return near[0] if near else None
