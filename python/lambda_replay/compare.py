"""Several scenarios on one trace: what got better, what got worse, and for whom."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.checks import Number, unit_of
from lambda_replay.exceptions import IntegrityError, cut, show
from lambda_replay.figures import plural
from lambda_replay.lines import name_of, set_table, wrap
from lambda_replay.measures import (
    ACCOUNT_MEASURES,
    FUNCTION_MEASURES,
    better_when,
    flat,
    shown,
    shown_change,
    verdict,
)
from lambda_replay.results import ReplayResult
from lambda_replay.saved import Side, is_result, load_side, side_of
from lambda_replay.scenario import Scenario
from lambda_replay.several import Wanted, replay_several

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lambda_replay.engine import Progress
    from lambda_replay.ingest import TraceLike
    from lambda_replay.ingest.bad_rows import BadRows
    from lambda_replay.readers.base import ReadOptions

__all__ = ["Comparison", "compare"]

#: Names that columns of the table have already.
_TAKEN: Final = frozenset({"measure", "unit"})
#: What is said of one column about another: ``NAME_change``.
_ABOUT: Final = ("change", "low", "high", "verdict")
#: Measures of the first screen, the most asked for first.
_SCREEN: Final = (
    *("throttled", "dropped", "expired", "discarded", "error", "pending", "loss_rate", "throttles"),
    *("never_ran", "cold_starts", "spillover_invocations", "wait_ms.p99", "wait_ms.max"),
    *("async_age_ms.p99", "async_age_ms.max", "iterator_age_ms.p99", "iterator_age_ms.max"),
    *("lock_wait_s", "conflicts", "state.throttles", "init_s", "at_limit_s", "max_concurrency"),
    *("environments_created", "billed_s", "cost_usd.total"),
)
_ALWAYS: Final = ("throttled", "cold_starts", "wait_ms.p99", "max_concurrency", "cost_usd.total")
_MOST_MEASURES: Final = 16

SideLike = Scenario | ReplayResult | str | os.PathLike[str]


@dataclass(frozen=True)
class Comparison:
    """Several replays beside each other.

    Attributes
    ----------
    table
        A row per measure: ``measure`` (dotted name), ``unit``, a column per scenario, then for each
        scenario but the first ``NAME_change`` (its difference to the first), ``NAME_low`` and
        ``NAME_high`` (least and greatest difference over the seeds) and ``NAME_verdict``:
        ``better``, ``worse``, ``changed`` (neither good nor bad), ``same``, or ``unclear`` where
        zero lies within the band. With several seeds values and changes are means over them.
    functions
        For whom: a row per function, measure and scenario other than the first where something
        changed, with ``base``, ``value``, ``change``, ``low``, ``high`` and ``verdict``.
    result
        Results by name, as from :func:`lambda_replay.replay`, of the first seed; those that were
        given as files are not among them.
    names
        In order; the first is what the others are compared with.
    seeds
        Of each replay; empty where all sides were given as results.
    """

    table: pl.DataFrame
    functions: pl.DataFrame
    result: Mapping[str, ReplayResult]
    names: tuple[str, ...]
    seeds: tuple[int, ...]

    def summaries(self) -> dict[str, dict[str, Any]]:
        """Give the summaries of the first seed, by name."""
        return {name: one.summary.to_dict() for name, one in self.result.items()}

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, for JSON."""
        return {
            "schema_version": 1,
            "names": list(self.names),
            "seeds": list(self.seeds),
            "measures": self.table.to_dicts(),
            "functions": self.functions.to_dicts(),
        }

    def lines(self, most: int = 36) -> list[str]:
        """Say it in at most so many lines, 14 at least."""
        measures = _MOST_MEASURES
        while len(text := _text(self, measures)) > most and measures > 4:
            measures -= 1
        return text

    def __str__(self) -> str:
        return "\n".join(self.lines())


def compare(
    trace: TraceLike | None,
    scenarios: Mapping[str, SideLike],
    *,
    repeat: int = 1,
    seed: int | None = None,
    metrics: bool = True,
    blame: bool = False,
    progress: Callable[[Progress], None] | None = None,
    read: ReadOptions | None = None,
    bad: BadRows | None = None,
) -> Comparison:
    """Replay a trace under several scenarios and tell the differences.

    Parameters
    ----------
    trace
        As for :func:`lambda_replay.replay`; None where every side is a result.
    scenarios
        By name: scenarios, results, or paths of scenario files and of results that ``run`` wrote.
        The first is what the others are compared with. All replays have the same luck: a row's
        draws depend on the seed and the row alone.
    repeat
        So many seeds, the first being ``seed``; a difference is an improvement only where every
        one of them says so.
    seed
        Instead of the first scenario's ``replay.seed``; it is that of all sides.
    metrics, blame
        Whether results have metrics by function, and who held the capacity at refusals.
    progress
        Told how far all replays together are, in rows.
    read
        How the trace is read.
    bad
        What becomes of bad rows; afterwards it tells what was found.

    Returns
    -------
    Comparison
        ``str()`` of it is for people.

    Raises
    ------
    IntegrityError
        Sides are of different traces, or of versions with other rules.
    ValueError
        Fewer than two sides, a name that cannot be a column, or ``repeat`` below 1.

    Notes
    -----
    The band of a difference goes from the least to the greatest paired difference over the seeds,
    the same seed on both sides. Zero within it is no improvement.
    """
    names = _check_names(scenarios)
    if repeat < 1:
        message = f"repeat is at least 1, not {show(repeat)}"
        raise ValueError(message)
    fixed, alive, results = _sorted_out(scenarios)
    if fixed and repeat > 1:
        message = "results that are there already have one seed; repeat needs scenarios"
        raise ValueError(message)
    seeds: tuple[int, ...] = ()
    sides: dict[str, list[Side]] = {name: [side] for name, side in fixed.items()}
    if alive:
        if trace is None:
            message = f"a trace is needed to replay {', '.join(alive)}"
            raise ValueError(message)
        if seed is None:
            # Results have had their luck: the others get the same.
            seed = next((int(one.summary["seed"]) for one in fixed.values()), None)
        if seed is None:
            seed = next(iter(alive.values())).resolve().seed
        # Seeds go round at the end of their range.
        seeds = tuple((seed + more) % 2**64 for more in range(repeat))
        runs = [
            scenario if scenario.resolve().seed == one else scenario.with_("replay.seed", one)
            for one in seeds
            for scenario in alive.values()
        ]
        wanted = Wanted(metrics=metrics, blame=blame)
        found = replay_several(trace, runs, wanted=wanted, progress=progress, read=read, bad=bad)
        for place, result in enumerate(found):
            name = tuple(alive)[place % len(alive)]
            sides.setdefault(name, []).append(side_of(result, name))
            results.setdefault(name, result)
    ordered = {name: sides[name] for name in names}
    _check_same(ordered)
    return Comparison(
        table=_table(ordered),
        functions=_functions(ordered),
        result={name: results[name] for name in names if name in results},
        names=names,
        seeds=seeds,
    )


def _sorted_out(
    scenarios: Mapping[str, SideLike],
) -> tuple[dict[str, Side], dict[str, Scenario], dict[str, ReplayResult]]:
    """Tell what is there already from what is to be replayed."""
    fixed: dict[str, Side] = {}
    alive: dict[str, Scenario] = {}
    results: dict[str, ReplayResult] = {}
    for name, side in scenarios.items():
        if isinstance(side, ReplayResult):
            fixed[name], results[name] = side_of(side, name), side
        elif isinstance(side, Scenario):
            alive[name] = side
        elif not isinstance(side, str | os.PathLike):
            message = f"{name} is a Scenario, a ReplayResult or a path, not {show(side)}"
            raise TypeError(message)
        elif is_result(side):
            fixed[name] = load_side(side)
        else:
            alive[name] = Scenario.load(side)
    return fixed, alive, results


def _check_names(scenarios: Mapping[str, SideLike]) -> tuple[str, ...]:
    if not isinstance(scenarios, Mapping):
        message = f"scenarios is a mapping of names to scenarios, not {show(scenarios)}"
        raise TypeError(message)
    names = tuple(scenarios)
    if len(names) < 2:
        message = f"a comparison has two sides or more, not {len(names)}"
        raise ValueError(message)
    columns = {f"{name}_{about}" for name in names[1:] for about in _ABOUT} | _TAKEN
    for name in names:
        if not isinstance(name, str) or not name or name in columns:
            message = f"{show(name)} cannot be the name of a side: a column has it already"
            raise ValueError(message)
    return names


def _check_same(sides: Mapping[str, Sequence[Side]]) -> None:
    """Refuse to compare what differs in more than the scenario."""
    (first_name, first), *others = ((name, group[0]) for name, group in sides.items())
    for name, side in others:
        if side.semantics != first.semantics:
            message = (
                f"{show(name)} is of version {side.semantics[1]} and {show(first_name)} of"
                f" {first.semantics[1]}: their rules may differ"
            )
            raise IntegrityError(message, hint="replay both with one version")
        if side.identity != first.identity:
            message = (
                f"{show(name)} and {show(first_name)} are of different traces:"
                f" {_trace(side)}, and {_trace(first)}"
            )
            raise IntegrityError(message, hint="replay one trace under both scenarios")


def _trace(side: Side) -> str:
    rows, first, last = side.identity
    return f"{rows} rows from {first} to {last}"


# ---------------------------------------------------------------------------- tables


@dataclass(frozen=True)
class _Change:
    """A measure on one side and on the first, over the seeds."""

    base: Number | None
    value: Number | None
    change: Number | None
    low: Number | None
    high: Number | None
    verdict: str | None

    @classmethod
    def of(
        cls, name: str, base: Sequence[Number | None], values: Sequence[Number | None]
    ) -> _Change:
        pairs = zip(base, values, strict=True)
        changes = [new - old for old, new in pairs if old is not None and new is not None]
        if not changes:
            return cls(_mean(base), _mean(values), None, None, None, None)
        low, high = min(changes), max(changes)
        said = verdict(name, low, high)
        return cls(_mean(base), _mean(values), _mean(changes), low, high, said)


def _mean(values: Sequence[Number | None]) -> Number | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    if all(value == known[0] for value in known):
        return known[0]
    return sum(known) / len(known)


def _table(sides: Mapping[str, Sequence[Side]]) -> pl.DataFrame:
    values = {name: [flat(side.summary) for side in group] for name, group in sides.items()}
    first, *others = values
    columns: dict[str, list[Any]] = {
        "measure": list(ACCOUNT_MEASURES),
        "unit": [unit_of(name) for name in ACCOUNT_MEASURES],
    }
    for name, group in values.items():
        columns[name] = [
            _float(_mean([one[measure] for one in group])) for measure in ACCOUNT_MEASURES
        ]
    for name in others:
        found = [
            _Change.of(
                measure,
                [one[measure] for one in values[first]],
                [one[measure] for one in values[name]],
            )
            for measure in ACCOUNT_MEASURES
        ]
        columns[f"{name}_change"] = [_float(one.change) for one in found]
        columns[f"{name}_low"] = [_float(one.low) for one in found]
        columns[f"{name}_high"] = [_float(one.high) for one in found]
        columns[f"{name}_verdict"] = [one.verdict for one in found]
    texts = {"measure", "unit", *(f"{name}_verdict" for name in others)}
    schema = {name: pl.String() if name in texts else pl.Float64() for name in columns}
    return pl.DataFrame(columns, schema=schema)


def _float(value: Number | None) -> float | None:
    return None if value is None else float(value)


_FUNCTIONS_SCHEMA: Final = pl.Schema(
    {
        "function": pl.String(),
        "measure": pl.String(),
        "scenario": pl.String(),
        "base": pl.Float64(),
        "value": pl.Float64(),
        "change": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "verdict": pl.String(),
    }
)


def _functions(sides: Mapping[str, Sequence[Side]]) -> pl.DataFrame:
    first, *others = sides
    rows: list[tuple[object, ...]] = []
    known = {
        name: [one.functions for one in group]
        for name, group in sides.items()
        if all(one.functions is not None for one in group)
    }
    if first not in known:
        return pl.DataFrame(schema=_FUNCTIONS_SCHEMA)
    for function in known[first][0] or ():
        base = [flat((one or {}).get(function, {}), FUNCTION_MEASURES) for one in known[first]]
        for name in others:
            if name not in known:
                continue
            values = [flat((one or {}).get(function, {}), FUNCTION_MEASURES) for one in known[name]]
            for measure in FUNCTION_MEASURES:
                one = _Change.of(
                    measure,
                    [side[measure] for side in base],
                    [side[measure] for side in values],
                )
                if one.verdict not in {None, "same"}:
                    numbers = (one.base, one.value, one.change, one.low, one.high)
                    rows.append((function, measure, name, *map(_float, numbers), one.verdict))
    return pl.DataFrame(rows, schema=_FUNCTIONS_SCHEMA, orient="row")


# ---------------------------------------------------------------------------- for people


def _text(one: Comparison, most: int) -> list[str]:
    """Give the table of what changed, who gained and who lost, and how sure that is."""
    rows = {row["measure"]: row for row in one.table.to_dicts()}
    others = one.names[1:]
    moved = [
        name
        for name in _SCREEN
        if name in _ALWAYS
        or any(rows[name][f"{other}_verdict"] not in {None, "same"} for other in others)
    ]
    chosen = [name for name in moved if any(rows[name][side] is not None for side in one.names)]
    # As many sides as there is room for; the table has them all.
    room = max(1, 66 // (12 if len(one.names) > 3 else 22))
    sides = others[:room]
    heads = ["", *(name_of(name, 14) for name in one.names[: room + 1])]
    table = [
        [*heads, *(f"{name_of(name, 12)} - {name_of(one.names[0], 12)}" for name in sides)]
        if len(sides) < 3
        else heads
    ]
    for name in chosen[:most]:
        row = rows[name]
        cells = [name, *(shown(name, row[side]) for side in one.names[: room + 1])]
        if len(sides) < 3:
            cells += [_cell(name, row, other) for other in sides]
        table.append(cells)
    lines = set_table(table)
    lines.append("")
    for other in others[:3]:
        lines += _said(one, rows, other)
    if len(others) > 3:
        lines.append(f"and {plural(len(others) - 3, 'more side')}, in the table")
    lines += _sure(one)
    return lines


def _cell(name: str, row: Mapping[str, Any], other: str) -> str:
    change, said = row[f"{other}_change"], row[f"{other}_verdict"]
    text = shown_change(name, change)
    return text if said in {None, "same", "changed"} else f"{text} {said}"


def _said(one: Comparison, rows: Mapping[str, Mapping[str, Any]], other: str) -> list[str]:
    """Say what got better and what worse, and for whom."""
    lines = []
    label = name_of(other, 13)
    for word in ("better", "worse", "unclear"):
        items = [
            f"{name} {shown_change(name, rows[name][f'{other}_change'])}"
            for name in _SCREEN
            if rows[name][f"{other}_verdict"] == word and better_when(name)
        ]
        whom = _whom(one.functions, other, word)
        if items or whom:
            parts = [f"{word}: {items[0] if items else 'nothing in all'}", *items[1:4]]
            if len(items) > 4:
                parts[-1] += f" and {len(items) - 4} more"
            if whom:
                parts[-1] += f"; for {whom[0]}"
                parts += whom[1:]
            lines += wrap(label, parts, most=2)
            label = ""
    if not lines:
        lines = wrap(label, ["no difference in anything that is good or bad"])
    return lines


def _whom(functions: pl.DataFrame, other: str, word: str) -> list[str]:
    """Name the functions to which it mattered most, by what they lose or gain most of."""
    said = functions.filter((pl.col("scenario") == other) & (pl.col("verdict") == word))
    order = {name: place for place, name in enumerate(FUNCTION_MEASURES)}
    said = said.with_columns(
        pl.col("measure").replace_strict(order, return_dtype=pl.Int64).alias("place")
    )
    said = said.sort("place", pl.col("change").abs(), descending=[False, True])
    first = said.unique("function", keep="first", maintain_order=True)
    parts = [
        f"{name_of(row['function'], 20)} ({row['measure']}"
        f" {shown(row['measure'], row['base'])} to {shown(row['measure'], row['value'])})"
        for row in first.head(2).to_dicts()
    ]
    if first.height > 2:
        parts[-1] += f" and {first.height - 2} more"
    return parts


def _sure(one: Comparison) -> list[str]:
    if not one.seeds:
        return []
    if len(one.seeds) == 1:
        text = f"one seed ({one.seeds[0]}), the same luck on all sides"
        return wrap("luck", [f"{text}; --repeat 5 says whether another would tell otherwise"])
    text = (
        f"{len(one.seeds)} seeds from {one.seeds[0]}, the same on all sides: better and worse are"
        " said where every seed agrees; values are means"
    )
    return wrap("luck", [cut(text, 300)])
