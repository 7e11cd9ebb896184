"""Charts as Vega-Lite specifications: the page, notebooks, SVG and PNG draw the same ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay.checks import unit_of
from lambda_replay.measures import shown, shown_change
from lambda_replay.report.extra import altair
from lambda_replay.report.series import by_function, by_source, limit_steps, region, step_of
from lambda_replay.report.theme import LIGHT, Theme

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from lambda_replay.report.material import ComparisonMaterial, RunMaterial, SweepMaterial

__all__ = [
    "async_age",
    "async_events",
    "backlog",
    "blame",
    "cold_starts",
    "comparison",
    "concurrency",
    "cost",
    "iterator_age",
    "locks",
    "sweep",
    "throttles",
    "throttles_by_limit",
    "waits",
]

_HEIGHT: Final = 210
_MOST_BARS: Final = 15
_PERCENTILES: Final = ("p50", "p90", "p99", "p999", "max")
_DISTRIBUTIONS: Final = {
    "wait_ms": "wait for the start",
    "duration_ms": "run",
    "async_age_ms": "age of asynchronous events",
    "iterator_age_ms": "iterator age",
}
#: Of a sweep's chart, what is drawn over cost, the first that says something.
_LOSSES: Final = ("loss_rate", "throttled", "wait_ms.p99", "cold_starts")
Rows = list[dict[str, Any]]


def _ms(at: datetime) -> int:
    """Give milliseconds since the epoch, the number that Vega takes for an instant."""
    return int(pl.Series([at]).dt.epoch("ms")[0])


def _rows(frame: pl.DataFrame) -> Rows:
    """Give plain rows with instants as numbers and no more digits than a chart shows."""
    return frame.with_columns(
        pl.col(pl.Datetime).dt.epoch("ms"), pl.col(pl.Float64).round_sig_figs(6)
    ).to_dicts()


def _data(rows: Iterable[dict[str, Any]]) -> Any:
    """Give rows as data of a chart, without the check against a schema, which takes seconds."""
    alt = altair()
    with alt.utils.schemapi.debug_mode(False):
        return alt.InlineData(values=list(rows))


#: Midnights by their day, other instants by their hour, in UTC as all of the results.
_CLOCK: Final = (
    "utcFormat(datum.value, utchours(datum.value) == 0 && utcminutes(datum.value) == 0"
    " ? '%d %b' : '%H:%M')"
)


def _time() -> Any:
    alt = altair()
    axis = alt.Axis(title=None, labelOverlap=True, grid=False, tickCount=6, labelExpr=_CLOCK)
    return alt.X("timestamp:T", scale=alt.Scale(type="utc"), axis=axis)


def _when() -> Any:
    alt = altair()
    return alt.Tooltip("timestamp:T", title="from (UTC)", format="%Y-%m-%d %H:%M", formatType="utc")


def _finish(chart: Any, theme: Theme, height: int = _HEIGHT) -> Any:
    return chart.properties(width="container", height=height).configure(**theme.config())


def _colour(
    names: Sequence[str], theme: Theme, field: str = "series", *, lines: bool = False
) -> Any:
    """Give each name its colour, those beyond the palette the last one."""
    alt = altair()
    last = len(theme.palette) - 1
    colours = [theme.palette[min(at, last)] for at in range(len(names))]
    scale = alt.Scale(domain=list(names), range=colours)
    if len(names) == 1 and lines:
        legend = None
    else:
        legend = alt.Legend(symbolType="stroke", symbolStrokeWidth=3) if lines else alt.Legend()
    return alt.Color(f"{field}:N", scale=scale, sort=list(names), legend=legend)


def _long(frame: pl.DataFrame, columns: dict[str, str]) -> Rows:
    """Give columns as series, by the names they are to have."""
    there = [name for name in columns if name in frame.columns]
    long = frame.select("timestamp", *there).unpivot(
        there, index="timestamp", variable_name="series", value_name="value"
    )
    return _rows(long.with_columns(pl.col("series").replace(columns)).drop_nulls("value"))


def concurrency(run: RunMaterial, theme: Theme = LIGHT) -> Any | None:
    """Draw peaks of concurrency against the account's limit; None without metrics."""
    frame = region(run)
    if frame is None:
        return None
    alt = altair()
    columns = {"ConcurrentExecutions": "in flight"}
    for name, label in (
        ("ClaimedAccountConcurrency", "claimed (with reserved and provisioned)"),
        ("ProvisionedConcurrentExecutions", "on provisioned concurrency"),
    ):
        if name in frame.columns and (frame[name].max() or 0) != 0:
            same = frame[name].equals(frame["ConcurrentExecutions"])
            columns |= {} if same else {name: label}
    labels = list(columns.values())
    line = (
        alt.Chart(_data(_long(frame, columns)))
        .mark_line(interpolate="step-after", strokeWidth=1.5)
        .encode(
            _time(),
            alt.Y("value:Q", title="peak per point", axis=alt.Axis(tickMinStep=1)),
            _colour(labels, theme, lines=True),
            tooltip=[
                _when(),
                alt.Tooltip("series:N", title="what"),
                alt.Tooltip("value:Q", format=","),
            ],
        )
    )
    ground = (
        alt.Chart(_data(_long(frame, {"ConcurrentExecutions": labels[0]})))
        .mark_area(interpolate="step-after", color=theme.palette[0], opacity=0.18)
        .encode(_time(), alt.Y("value:Q"))
    )
    lines = ground + line
    first, last = frame["timestamp"][0], frame["timestamp"][-1]
    steps = limit_steps(run, first, last)
    peak = max(max(frame[name].fill_null(0).to_list()) for name in columns)
    # A limit far above what was used would press the lines to the floor; the page says it in words.
    if min(limit for _, limit in steps) > 4 * max(peak, 1):
        return _finish(lines, theme)
    rule = (
        alt.Chart(_data({"timestamp": _ms(at), "value": limit} for at, limit in steps))
        .mark_line(interpolate="step-after", strokeDash=[6, 3], color=theme.limit, strokeWidth=1.5)
        .encode(
            _time(),
            alt.Y("value:Q"),
            tooltip=[_when(), alt.Tooltip("value:Q", title="the account's limit", format=",")],
        )
    )
    return _finish(lines + rule, theme)


def _stacked(run: RunMaterial, column: str, unit: str, theme: Theme) -> Any | None:
    frame = by_function(run, column)
    if frame is None:
        return None
    alt = altair()
    names = frame.sort("rank")["function"].unique(maintain_order=True).to_list()
    top = pl.col("value").cum_sum().over("timestamp")
    frame = frame.with_columns(
        (pl.col("timestamp") + step_of(run.summary)).alias("end"),
        top.alias("top"),
        (top - pl.col("value")).alias("bottom"),
    )
    chart = (
        alt.Chart(_data(_rows(frame.drop("rank"))))
        .mark_rect()
        .encode(
            _time(),
            alt.X2("end:T"),
            alt.Y("bottom:Q", title=f"{unit} per point"),
            alt.Y2("top:Q"),
            _colour(names, theme, "function"),
            tooltip=[_when(), "function:N", alt.Tooltip("value:Q", title=unit, format=",")],
        )
    )
    return _finish(chart, theme)


def throttles(run: RunMaterial, theme: Theme = LIGHT) -> Any | None:
    """Draw 429s over time by function; None without any, or without metrics."""
    return _stacked(run, "Throttles", "throttles", theme)


def throttles_by_limit(run: RunMaterial, theme: Theme = LIGHT) -> Any | None:
    """Draw 429s by the limit that bound, of the functions with the most; None without any."""
    by_limit = {name: many for name, many in run.summary["throttles_by_limit"].items() if many}
    if not by_limit:
        return None
    alt = altair()
    limits = sorted(by_limit, key=lambda name: -by_limit[name])
    rows: Rows = []
    if run.functions is not None and "throttles_by_limit" in run.functions.columns:
        top = run.functions.filter(pl.col("throttles") > 0)
        top = top.sort(["throttles", "function"], descending=[True, False]).head(_MOST_BARS)
        for row in top.select("function", "throttles_by_limit").to_dicts():
            of_it = row["throttles_by_limit"]
            rows += [
                {"function": row["function"], "limit": name, "value": of_it[name]}
                for name in limits
                if of_it.get(name)
            ]
        order = top["function"].to_list()
    else:
        rows = [{"function": "all", "limit": name, "value": by_limit[name]} for name in limits]
        order = ["all"]
    chart = (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            alt.X("value:Q", title="throttles", axis=alt.Axis(tickCount=5, labelOverlap=True)),
            alt.Y("function:N", title=None, sort=order, axis=alt.Axis(labelLimit=120)),
            _colour(limits, theme, "limit"),
            tooltip=[
                "function:N",
                "limit:N",
                alt.Tooltip("value:Q", title="throttles", format=","),
            ],
        )
    )
    return _finish(chart, theme, 30 + 22 * len(order))


def blame(run: RunMaterial, theme: Theme = LIGHT) -> Any | None:
    """Draw who held the capacity while others were refused; None where that is not known."""
    if run.blame is None or run.blame.is_empty():
        return None
    held = run.blame.filter(pl.col("holder").is_not_null())
    if held.is_empty():
        return None
    alt = altair()
    cells = (
        held.with_columns((pl.col("throttles") * pl.col("held_mean")).alias("units"))
        .group_by("victim", "holder")
        .agg(
            pl.col("limit").unique().sort().str.join(", "),
            pl.col("throttles", "units").sum(),
            pl.col("held_max").max(),
        )
        .with_columns((pl.col("units") / pl.col("throttles")).alias("held_mean"))
    )
    top = {}
    for name in ("victim", "holder"):
        most = cells.group_by(name).agg(pl.col("units").sum())
        top[name] = most.sort(["units", name], descending=[True, False])[name].head(10).to_list()
    cells = cells.filter(*(pl.col(name).is_in(names) for name, names in top.items()))
    chart = (
        alt.Chart(_data(_rows(cells.drop("units").sort("victim", "holder"))))
        .mark_rect(color=theme.palette[0])
        .encode(
            alt.X(
                "holder:N",
                title="held by",
                sort=top["holder"],
                axis=alt.Axis(labelLimit=110, labelAngle=-40),
            ),
            alt.Y("victim:N", title="refused", sort=top["victim"], axis=alt.Axis(labelLimit=110)),
            alt.Opacity("held_mean:Q", title="units held, mean", scale=alt.Scale(range=[0.08, 1])),
            tooltip=[
                alt.Tooltip("victim:N", title="refused"),
                alt.Tooltip("holder:N", title="held by"),
                "limit:N",
                alt.Tooltip("throttles:Q", format=","),
                alt.Tooltip("held_mean:Q", title="held, mean", format=",.3~g"),
                alt.Tooltip("held_max:Q", title="held, most", format=","),
            ],
        )
    )
    return _finish(chart, theme, 30 + 24 * len(top["victim"]))


def _lines(rows: Rows, names: Sequence[str], unit: str, theme: Theme, field: str = "series") -> Any:
    alt = altair()
    chart = (
        alt.Chart(_data(rows))
        .mark_line(interpolate="step-after", strokeWidth=1.5)
        .encode(
            _time(),
            alt.Y("value:Q", title=unit),
            _colour(names, theme, field, lines=True),
            tooltip=[_when(), f"{field}:N", alt.Tooltip("value:Q", title=unit, format=",.4~g")],
        )
    )
    return _finish(chart, theme)


def cold_starts(run: RunMaterial, theme: Theme = LIGHT) -> Any | None:
    """Draw cold starts over time, with spillover where there is any; None without metrics."""
    frame = region(run)
    if frame is None:
        return None
    columns = {"cold_starts": "cold starts"}
    spilled = "ProvisionedConcurrencySpilloverInvocations"
    if (frame[spilled].sum() if spilled in frame.columns else 0) > 0:
        columns[spilled] = "spillover invocations"
    return _lines(_long(frame, columns), list(columns.values()), "per point", theme)


def waits(run: RunMaterial, theme: Theme = LIGHT) -> Any | None:
    """Draw percentiles of waits, runs and ages, on a logarithmic scale; None without any."""
    alt = altair()
    rows: Rows = []
    for key, label in _DISTRIBUTIONS.items():
        values = run.summary[key]
        if values["max"]:
            rows += [
                {
                    "what": label,
                    "at": name,
                    "ms": values[name],
                    "shown": shown(f"{key}.{name}", values[name]),
                }
                for name in _PERCENTILES
                # Zero has no place on a logarithmic scale.
                if values[name]
            ]
    if not rows:
        return None
    names = list(dict.fromkeys(row["what"] for row in rows))
    least, greatest = min(row["ms"] for row in rows), max(row["ms"] for row in rows)
    powers = [
        10.0**at for at in range(math.floor(math.log10(least)), math.ceil(math.log10(greatest)) + 1)
    ]
    chart = (
        alt.Chart(_data(rows))
        .mark_line(point=alt.OverlayMarkDef(size=45), strokeWidth=1.5)
        .encode(
            alt.X("at:O", sort=list(_PERCENTILES), title="percentile", axis=alt.Axis(labelAngle=0)),
            alt.Y(
                "ms:Q",
                title="milliseconds",
                scale=alt.Scale(type="log"),
                axis=alt.Axis(format=",~g", values=powers),
            ),
            _colour(names, theme, "what", lines=True),
            tooltip=[
                "what:N",
                alt.Tooltip("at:O", title="percentile"),
                alt.Tooltip("shown:N", title="value"),
            ],
        )
    )
    return _finish(chart, theme)


def async_events(run: RunMaterial, theme: Theme = LIGHT) -> Any | None:
    """Draw asynchronous events received and dropped; None without any."""
    frame = region(run)
    if frame is None or frame["AsyncEventsReceived"].sum() == 0:
        return None
    columns = {"AsyncEventsReceived": "received", "AsyncEventsDropped": "dropped"}
    return _lines(_long(frame, columns), list(columns.values()), "events per point", theme)


def async_age(run: RunMaterial, theme: Theme = LIGHT) -> Any | None:
    """Draw the greatest age of asynchronous events; None without any."""
    frame = region(run)
    if frame is None or frame["AsyncEventsReceived"].sum() == 0:
        return None
    columns = {"AsyncEventAge_max": "oldest"}
    frame = frame.with_columns(pl.col("AsyncEventAge_max") / 1_000)
    return _lines(_long(frame, columns), ["oldest"], "seconds", theme)


def iterator_age(run: RunMaterial, theme: Theme = LIGHT) -> Any | None:
    """Draw the iterator age of each event source; None where no result has it."""
    return _of_sources(run, "IteratorAge_max", 1_000, "seconds", theme)


def backlog(run: RunMaterial, theme: Theme = LIGHT) -> Any | None:
    """Draw messages that wait in each queue; None where there are none."""
    return _of_sources(run, "ApproximateNumberOfMessagesVisible_max", 1, "messages", theme)


def _of_sources(run: RunMaterial, column: str, divisor: int, unit: str, theme: Theme) -> Any | None:
    frame = by_source(run, column)
    if frame is None:
        return None
    names = frame["source"].unique().sort().to_list()
    frame = frame.with_columns(pl.col("value") / divisor)
    return _lines(_rows(frame), names, unit, theme, "source")


def locks(run: RunMaterial, theme: Theme = LIGHT) -> Any | None:
    """Draw the time that runs waited for shared records; None without any."""
    frame = region(run)
    if frame is None or frame["lock_wait_ms_sum"].sum() == 0:
        return None
    frame = frame.with_columns(pl.col("lock_wait_ms_sum") / 1_000)
    columns = {"lock_wait_ms_sum": "waited for records"}
    return _lines(_long(frame, columns), list(columns.values()), "seconds per point", theme)


def cost(run: RunMaterial, theme: Theme = LIGHT) -> Any | None:
    """Draw what the cost is made of, and what costs most; None where prices are not known."""
    parts = run.summary["cost_usd"]
    if parts is None:
        return None
    alt = altair()
    rows: Rows = [
        {"what": name, "of": "by part", "usd": value}
        for name, value in parts.items()
        if name != "total" and value
    ]
    if run.functions is not None and "cost_usd" in run.functions.columns:
        top = run.functions.filter(pl.col("cost_usd") > 0)
        top = top.sort(["cost_usd", "function"], descending=[True, False]).head(8)
        rows += [
            {"what": row["function"], "of": "by function", "usd": row["cost_usd"]}
            for row in top.select("function", "cost_usd").to_dicts()
        ]
    if not rows:
        return None
    for row in rows:
        row["shown"] = shown("cost_usd.total", row["usd"])
        # A function may have the name of a part.
        row["id"] = f"{row['of']}/{row['what']}"
    order = [row["id"] for row in rows]
    axis = alt.Axis(labelLimit=120, labelExpr="slice(datum.label, indexof(datum.label, '/') + 1)")
    chart = (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            alt.X(
                "usd:Q",
                title="US dollars",
                axis=alt.Axis(tickCount=5, format="~g", labelOverlap=True),
            ),
            alt.Y("id:N", sort=order, title=None, axis=axis),
            _colour(["by part", "by function"], theme, "of"),
            tooltip=["what:N", alt.Tooltip("shown:N", title="cost")],
        )
    )
    return _finish(chart, theme, 30 + 22 * len(order))


# ---------------------------------------------------------------------------- several runs

_COMPARED: Final = (
    *("throttled", "dropped", "expired", "discarded", "error", "throttles", "cold_starts"),
    *("spillover_invocations", "wait_ms.p99", "async_age_ms.p99", "iterator_age_ms.p99"),
    *("lock_wait_s", "max_concurrency", "environments_created", "billed_s", "cost_usd.total"),
)


def comparison(one: ComparisonMaterial, theme: Theme = LIGHT) -> Any | None:
    """Draw differences relative to the first scenario, with bands; None where all is equal.

    A measure that is 0 in the first scenario has no relative difference: the table tells it.
    """
    alt = altair()
    base, *others = one.names
    rows: Rows = []
    for row in one.table.to_dicts():
        name, of = row["measure"], row[base]
        if name not in _COMPARED or not of:
            continue
        for other in others:
            change = row[f"{other}_change"]
            if change is None or row[f"{other}_verdict"] == "same":
                continue
            rows.append(
                {
                    "measure": name,
                    "scenario": other,
                    "change": change / of,
                    "low": row[f"{other}_low"] / of,
                    "high": row[f"{other}_high"] / of,
                    "verdict": row[f"{other}_verdict"],
                    "shown": shown_change(name, change),
                }
            )
    if not rows:
        return None
    order = [name for name in _COMPARED if any(row["measure"] == name for row in rows)]
    shades = {
        "better": theme.better,
        "worse": theme.worse,
        "changed": theme.palette[0],
        "unclear": theme.muted,
    }
    shades = {
        name: shade for name, shade in shades.items() if any(row["verdict"] == name for row in rows)
    }
    colour = alt.Color("verdict:N", scale=alt.Scale(domain=[*shades], range=[*shades.values()]))
    y = alt.Y("measure:N", sort=order, title=None, axis=alt.Axis(labelLimit=140))
    offset = alt.YOffset("scenario:N", sort=list(others))
    tooltip = [
        "measure:N",
        "scenario:N",
        alt.Tooltip("shown:N", title="difference"),
        alt.Tooltip("change:Q", title="relative", format="+.2%"),
        alt.Tooltip("low:Q", title="least", format="+.2%"),
        alt.Tooltip("high:Q", title="greatest", format="+.2%"),
        "verdict:N",
    ]
    bars = (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            alt.X(
                "change:Q",
                title=f"difference to {base[:40]}",
                axis=alt.Axis(format="+.0%", tickCount=5),
            ),
            y,
            offset,
            colour,
            tooltip=tooltip,
        )
    )
    height = 40 + len(order) * max(22, 14 * len(others))
    banded = [row for row in rows if row["low"] != row["high"]]
    if not banded:
        return _finish(bars, theme, height)
    bands = (
        alt.Chart(_data(banded))
        .mark_rule(strokeWidth=2, color=theme.text)
        .encode(alt.X("low:Q"), alt.X2("high:Q"), y, offset, tooltip=tooltip)
    )
    return _finish(bars + bands, theme, height)


def sweep(one: SweepMaterial, theme: Theme = LIGHT) -> Any | None:
    """Draw cost against what is lost or waited for, a dot per point; None without costs."""
    alt = altair()
    points = one.points
    if "cost_usd.total" not in points.columns:
        return None
    named = [name for name in _LOSSES if name in points.columns]
    against = next((name for name in named if points[name].n_unique() > 1), None)
    if against is None:
        return None
    from lambda_replay.sweep import pareto_front  # noqa: PLC0415 - imports the whole verb

    front = pareto_front(points, "cost_usd.total", against).to_list()
    rows: Rows = [
        {
            "cost": row["cost_usd.total"],
            "value": row[against],
            "point": ", ".join(f"{key}={row[key]}" for key in one.keys),
            "kind": "nothing beats it" if best else "another is better in both",
            "shown": shown(against, row[against]),
        }
        for row, best in zip(points.to_dicts(), front, strict=True)
        if row["cost_usd.total"] is not None and row[against] is not None
    ]
    share = unit_of(against) == "share"
    encoded = {
        "x": alt.X(
            "cost:Q",
            title="cost_usd.total",
            scale=alt.Scale(zero=False),
            axis=alt.Axis(tickCount=5, format="~g"),
        ),
        "y": alt.Y("value:Q", title=against, axis=alt.Axis(format="~%" if share else "~s")),
    }
    best = [row for row in rows if row["kind"] == "nothing beats it"]
    line = (
        alt.Chart(_data(best))
        .mark_line(color=theme.palette[0], strokeWidth=1.2, strokeDash=[4, 3])
        .encode(**encoded)
    )
    dots = (
        alt.Chart(_data(rows))
        .mark_circle(size=70, opacity=1)
        .encode(
            **encoded,
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(
                    domain=["nothing beats it", "another is better in both"],
                    range=[theme.palette[0], theme.palette[-1]],
                ),
            ),
            tooltip=[
                "point:N",
                alt.Tooltip("shown:N", title=against),
                alt.Tooltip("cost:Q", format="$.6~g"),
            ],
        )
    )
    return _finish(line + dots, theme, 260)
