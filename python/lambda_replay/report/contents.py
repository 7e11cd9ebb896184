"""What a page says: sentences, tiles and tables, of the same numbers as the first screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.figures import (
    at_load,
    at_scale,
    clock,
    count,
    money,
    plural,
    share,
    span,
    span_ms,
)
from lambda_replay.measures import shown, shown_change
from lambda_replay.report.material import instant
from lambda_replay.report.tables import Cell, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lambda_replay.report.material import ComparisonMaterial, RunMaterial, SweepMaterial

__all__ = [
    "answer",
    "blame_table",
    "changed_table",
    "checks_table",
    "comparison_table",
    "functions_frame",
    "functions_table",
    "keys_table",
    "notes",
    "points_table",
    "sources_table",
    "subtitle",
    "tiles",
]

_LOST: Final = ("throttled", "dropped", "expired", "discarded", "error")
_OUTCOMES: Final = (*_LOST, "pending")
_MOST_ROWS: Final = 2_000
#: Pairs of victim and holder: their number is the square of that of functions.
_MOST_PAIRS: Final = 300


def subtitle(run: RunMaterial) -> str:
    """Say what was replayed."""
    trace = run.summary["trace"]
    first, last = instant(trace["first"]), instant(trace["last"])
    settings = run.summary["scenario"].get("replay", {})
    load = at_load(run.summary["records"], float(settings.get("load", 1)))
    parts = [f"{count(trace['rows'])} rows{load} of {', '.join(map(str, trace['paths']))}"]
    if first is not None and last is not None:
        scaled = at_scale(last - first, float(settings.get("time_scale", 1)))
        took = f"{span(last - first)}{scaled}"
        parts.append(f"{clock(first, day=True)} to {clock(last, day=True)} UTC ({took})")
    parts.append(f"seed {run.summary['seed']}")
    parts.append(f"lambda-replay {run.summary['version']}")
    return " · ".join(parts)


def answer(run: RunMaterial) -> str:
    """Say what became of the trace, and which limit bound, in one or two sentences."""
    s = run.summary
    lost = [
        f"{count(s[name])} {name} ({share(s[name], s['records'])})" for name in _LOST if s[name]
    ]
    if not s["records"]:
        return "The trace has no rows: nothing was replayed."
    if not lost:
        words = f"None of {plural(s['records'], 'record')} was lost"
    else:
        words = f"Of {plural(s['records'], 'record')}: {', '.join(lost)}"
    if s["throttles"]:
        limits = sorted(s["throttles_by_limit"].items(), key=lambda one: -one[1])
        bound = ", ".join(f"{name} {share(many, s['throttles'])}" for name, many in limits if many)
        words += f". {plural(s['throttles'], 'throttle')}, by the limit that bound: {bound}"
        worst = s["worst_10s"]
        at = None if worst is None else instant(worst["from"])
        if at is not None:
            words += f"; worst 10 s from {clock(at, day=True)}: {count(worst['throttles'])}"
    return f"{words}."


def tiles(run: RunMaterial) -> list[tuple[str, str, bool]]:
    """Give value, label, and whether it is bad, of the numbers that are asked for first."""
    s = run.summary
    lost = sum(s[name] for name in _LOST)
    found = [
        (
            count(lost),
            f"lost, of {count(s['records'])} records ({share(lost, s['records'])})",
            lost > 0,
        ),
        (count(s["throttles"]), "throttles, retries included", s["throttles"] > 0),
        (
            count(s["cold_starts"]),
            f"cold starts ({share(s['cold_starts'], s['invocations'])} of invocations)",
            False,
        ),
        (
            count(s["max_concurrency"]),
            f"peak concurrency; p99 {count(s['concurrency']['p99'])}",
            False,
        ),
        (span_ms(s["wait_ms"]["p99"]), f"wait, p99; most {span_ms(s['wait_ms']['max'])}", False),
        (
            span_ms(s["duration_ms"]["p99"]),
            f"run, p99; median {span_ms(s['duration_ms']['p50'])}",
            False,
        ),
    ]
    for key, label in (("async_age_ms", "async event age"), ("iterator_age_ms", "iterator age")):
        if s[key]["max"] is not None:
            found.append(
                (span_ms(s[key]["p99"]), f"{label}, p99; most {span_ms(s[key]['max'])}", False)
            )
    if s["lock_wait_s"]:
        found.append((span_ms(1_000 * s["lock_wait_s"]), "waited for records", False))
    if s["spillover_invocations"]:
        found.append((count(s["spillover_invocations"]), "spillover invocations", False))
    price = s["cost_usd"]
    found.append(("-" if price is None else money(price["total"]), "cost", False))
    return found


# ---------------------------------------------------------------------------- tables of a run


def functions_frame(run: RunMaterial) -> pl.DataFrame | None:
    """Give a row per function: the result's, or what the metrics add up to."""
    if run.functions is not None:
        return run.functions
    if run.metrics is None:
        return None
    found = (
        run.metrics.filter(pl.col("function").is_not_null())
        .group_by(pl.col("function").cast(pl.String))
        .agg(
            pl.col("Invocations").sum().alias("invocations"),
            pl.col("Throttles").sum().alias("throttles"),
            pl.col("Errors").sum().alias("errors"),
            pl.col("cold_starts").sum(),
            pl.col("ConcurrentExecutions").max().alias("max_concurrency"),
            (pl.col("Duration_sum").sum() / pl.col("Invocations").sum())
            .fill_nan(None)
            .alias("duration_ms_mean"),
        )
        .sort(["invocations", "function"], descending=[True, False])
        .collect(engine="streaming")
    )
    return None if found.is_empty() else found


_FUNCTION_COLUMNS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("records", "records", ("records",)),
    ("invocations", "invocations", ("invocations",)),
    ("throttled", "throttled", ("throttled",)),
    ("dropped", "dropped", ("dropped",)),
    ("expired", "expired", ("expired",)),
    ("discarded", "discarded", ("discarded",)),
    ("error", "error", ("error",)),
    ("pending", "pending", ("pending",)),
    ("throttles", "throttles", ("throttles",)),
    ("errors", "errors", ("errors",)),
    ("cold starts", "cold_starts", ("cold_starts",)),
    ("spillover", "spillover_invocations", ("spillover_invocations",)),
    ("conc. p99", "concurrency.p99", ("concurrency", "p99")),
    ("conc. max", "max_concurrency", ("max_concurrency",)),
    ("wait p99", "wait_ms.p99", ("wait_ms", "p99")),
    ("run mean", "duration_ms.mean", ("duration_ms_mean",)),
    ("run p99", "duration_ms.p99", ("duration_ms", "p99")),
    ("async age p99", "async_age_ms.p99", ("async_age_ms", "p99")),
    ("iterator age p99", "iterator_age_ms.p99", ("iterator_age_ms", "p99")),
    ("lock wait", "lock_wait_s", ("lock_wait_s",)),
    ("utilisation", "utilisation", ("utilisation",)),
    ("cost", "cost_usd.total", ("cost_usd",)),
)
#: Columns that are shown though nothing was counted.
_ALWAYS: Final = frozenset(
    {"records", "invocations", "throttles", "cold_starts", "max_concurrency"}
)


def _taken(row: dict[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = row
    for part in path:
        value = None if value is None else value.get(part)
    return value


def functions_table(frame: pl.DataFrame) -> str:
    """Give every function with the measures that say something on this trace."""
    rows = frame.to_dicts()
    columns = [
        (label, name, path)
        for label, name, path in _FUNCTION_COLUMNS
        if name in _ALWAYS & {*frame.columns} or any(_taken(row, path) for row in rows)
    ]
    cells = [
        [
            Cell(row["function"]),
            *(_measure(name, _taken(row, path)) for _, name, path in columns),
        ]
        for row in rows
    ]
    return table(["function", *(label for label, _, _ in columns)], cells)


def _measure(name: str, value: float | None, kind: str = "") -> Cell:
    return Cell(shown(name, value), None if value is None else float(value), kind)


def _generic(
    frame: pl.DataFrame,
    formats: dict[str, Callable[[Any], str]],
    texts: Sequence[str],
    most: int = _MOST_ROWS,
) -> str:
    """Give a frame as it is, the columns named first, those with nothing in them left out."""
    columns = [
        name
        for name in (*texts, *formats)
        if name in frame.columns and (name in texts or frame[name].null_count() < frame.height)
    ]
    cells = []
    for row in frame.head(most).select(columns).to_dicts():
        line = []
        for name in columns:
            value = row[name]
            if name in texts:
                line.append(Cell("" if value is None else str(value)))
            else:
                number = float(value) if isinstance(value, int | float) else None
                line.append(Cell("-" if value is None else formats[name](value), number))
        cells.append(line)
    places = frozenset(at for at, name in enumerate(columns) if name in texts)
    caption = ""
    if frame.height > most:
        caption = f"the first {count(most)} of {count(frame.height)} rows"
    return table([name.replace("_", " ") for name in columns], cells, caption=caption, texts=places)


def _seconds(value: float) -> str:
    return span_ms(1_000 * value)


def _held(value: float) -> str:
    return f"{value:,.3g}" if value < 1_000 else f"{value:,.0f}"


def blame_table(frame: pl.DataFrame) -> str:
    """Give who held the capacity at refusals."""
    return _generic(
        frame.sort(["throttles", "held_mean"], descending=True, nulls_last=True),
        {"throttles": count, "held_mean": _held, "held_max": count, "waiting_mean": _held},
        ["victim", "limit", "holder"],
        _MOST_PAIRS,
    )


def keys_table(frame: pl.DataFrame) -> str:
    """Give the hottest shared records."""
    whole = dict.fromkeys(("runs", "writers", "waits"), count)
    more = dict.fromkeys(("longest_queue", "longest_chain", "time_outs", "conflicts"), count)
    spans: dict[str, Callable[[Any], str]] = {"wait_ms": span_ms, "longest_wait_ms": span_ms}
    return _generic(
        frame,
        {**whole, **spans, **more, "wait_billed_usd": money},
        ["state_key", "function"],
    )


def sources_table(frame: pl.DataFrame) -> str:
    """Give event sources by shard, partition or group."""
    for name in ("iterator_age_ms", "message_age_ms"):
        if name in frame.columns and isinstance(frame.schema[name], pl.Struct):
            p99 = pl.col(name).struct.field("p99").alias(f"{name}_p99")
            frame = frame.with_columns(p99)
    counts = ("records", "success", "expired", "discarded", "filtered", "pending", "never_ran")
    formats: dict[str, Callable[[Any], str]] = dict.fromkeys(counts, count)
    formats |= {
        "receives_per_record": _held,
        "busiest_share": lambda value: shown("loss_rate", value),
        "blocked_s": _seconds,
        "backlog_peak": count,
        "drain_s": _seconds,
        "iterator_age_ms_p99": span_ms,
        "message_age_ms_p99": span_ms,
        "oldest_message_s": _seconds,
    }
    return _generic(frame, formats, ["source", "type", "shard", "group", "busiest_key"])


def verdict(check: Mapping[str, Any]) -> tuple[str, str]:
    """Say what became of a condition, and what kind of answer that is."""
    if check.get("holds"):
        return "holds: fails", "fails"
    if not check.get("measured", True):
        return "could not be judged", "unclear"
    return "passes", "better"


def checks_table(run: RunMaterial) -> str:
    """Give the conditions and what became of them."""
    rows = []
    for one in run.checks:
        said, kind = verdict(one)
        value = one.get("value")
        rows.append(
            [
                Cell(str(one.get("expression", ""))),
                Cell(said, kind=kind),
                Cell("-" if value is None else f"{value:,.6g}", value),
            ]
        )
    return table(["condition", "answer", "value"], rows, texts=frozenset({0, 1}))


def notes(run: RunMaterial) -> list[tuple[str, list[str]]]:
    """Give what the numbers rest on: a label and its sentences."""
    given = run.notes
    undocumented = [
        f"{one.get('rule', '')}: {one.get('sentence') or one.get('key', '')}".strip(": ")
        for one in given.get("undocumented", ())
    ]
    found = [
        ("measured", list(given.get("measured", ()))),
        ("assumed", list(given.get("assumed", ()))),
        ("not documented by AWS", undocumented),
        ("not modelled", list(given.get("not_modelled", ()))),
        ("columns not modelled", list(given.get("columns_not_modelled", ()))),
        ("columns ignored", list(given.get("columns_ignored", ()))),
        ("notes", list(given.get("other", ()))),
    ]
    if run.summary["bad_rows"]:
        found.insert(0, ("rows set aside", [count(run.summary["bad_rows"])]))
    return [(label, [str(one) for one in items]) for label, items in found if items]


# ---------------------------------------------------------------------------- several runs


def _moved(one: ComparisonMaterial, row: dict[str, Any]) -> bool:
    verdicts = (row.get(f"{name}_verdict") for name in one.names[1:])
    return any(verdict not in {None, "same"} for verdict in verdicts)


def comparison_table(one: ComparisonMaterial) -> str:
    """Give every measure that changed anywhere, with differences, bands and verdicts."""
    base, *others = one.names
    banded = len(one.seeds) > 1
    head = ["measure", base]
    for name in others:
        head += [
            name,
            f"{name} − {base}",
            *([f"{name}: band"] if banded else []),
            f"{name}: verdict",
        ]
    texts = {0, *(at for at, title in enumerate(head) if title.endswith(": verdict"))}
    rows = []
    for row in one.table.to_dicts():
        if not _moved(one, row):
            continue
        measure = row["measure"]
        cells = [Cell(measure), _measure(measure, row[base])]
        for name in others:
            verdict = row[f"{name}_verdict"] or ""
            kind = verdict if verdict in {"better", "worse"} else ""
            change = row[f"{name}_change"]
            cells += [
                _measure(measure, row[name]),
                Cell(shown_change(measure, change), change, kind),
            ]
            if banded:
                low, high = row[f"{name}_low"], row[f"{name}_high"]
                cells.append(
                    Cell(f"{shown_change(measure, low)} … {shown_change(measure, high)}", low)
                )
            cells.append(Cell(verdict, kind=kind))
        rows.append(cells)
    if not rows:
        return "<p>No measure differs.</p>"
    return table(head, rows, texts=frozenset(texts))


def changed_table(one: ComparisonMaterial) -> str:
    """Give for whom something changed; the largest differences first."""
    if one.functions.is_empty():
        return ""
    rows = [
        [
            Cell(row["function"]),
            Cell(row["scenario"]),
            Cell(row["measure"]),
            _measure(row["measure"], row["base"]),
            _measure(row["measure"], row["value"]),
            Cell(
                shown_change(row["measure"], row["change"]),
                row["change"],
                row["verdict"] if row["verdict"] in {"better", "worse"} else "",
            ),
            Cell(row["verdict"] or ""),
        ]
        for row in one.functions.head(_MOST_ROWS).to_dicts()
    ]
    caption = ""
    if one.functions.height > _MOST_ROWS:
        caption = f"the first {count(_MOST_ROWS)} of {count(one.functions.height)} rows"
    head = ["function", "scenario", "measure", one.names[0], "value", "difference", "verdict"]
    return table(head, rows, caption=caption, texts=frozenset({0, 1, 2, 6}))


_POINT_COLUMNS: Final = (
    *("cost_usd.total", "loss_rate", *_OUTCOMES, "throttles", "cold_starts"),
    *("spillover_invocations", "wait_ms.p99", "async_age_ms.p99", "iterator_age_ms.p99"),
    "max_concurrency",
)


def points_table(one: SweepMaterial) -> str:
    """Give the points of a sweep."""
    points = one.points
    measures = [
        name
        for name in _POINT_COLUMNS
        if name in points.columns and any(points[name].fill_null(0).to_list())
    ]
    numeric = {key for key in one.keys if points.schema[key].is_numeric()}
    rows = [
        [
            *(
                Cell(
                    str(row[key]),
                    float(row[key]) if key in numeric and row[key] is not None else None,
                )
                for key in one.keys
            ),
            *(_measure(name, row[name]) for name in measures),
        ]
        for row in points.head(_MOST_ROWS).to_dicts()
    ]
    texts = frozenset(at for at, key in enumerate(one.keys) if key not in numeric)
    return table([*one.keys, *measures], rows, texts=texts)
