"""Predicted against observed: how far the replay of a trace is from what really happened."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from lambda_replay.exceptions import TraceError, show
from lambda_replay.figures import count, mean, share_of
from lambda_replay.fits import FITS, Fit, fit_setting
from lambda_replay.ingest import open_trace
from lambda_replay.lines import name_of, set_table, wrap
from lambda_replay.observed import OBSERVED, ValidateError, Z, joined, pairs
from lambda_replay.readers.base import ReadOptions
from lambda_replay.replay import choose_scenario
from lambda_replay.schema import MINUTE_SCHEMA
from lambda_replay.several import Wanted, replay_several

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.ingest import TraceLike
    from lambda_replay.ingest.bad_rows import BadRows
    from lambda_replay.scenario import Scenario

__all__ = ["Fit", "ValidateError", "Validation", "validate"]

#: Metrics that are compared where both sides have them, and how minutes add up.
_METRICS: Final = {
    "Invocations": "sum",
    "Errors": "sum",
    "Throttles": "sum",
    "Duration_sum": "sum",
    "ConcurrentExecutions": "max",
    "ProvisionedConcurrencySpilloverInvocations": "sum",
    "AsyncEventsDropped": "sum",
}
#: Fewer observations than these say nothing about one function.
_LEAST: Final = 10


@dataclass(frozen=True)
class Validation:
    """How far a replay is from what was observed.

    Attributes
    ----------
    table
        A row per series and function (null: all): ``series``, ``function``, ``observed``,
        ``predicted``, ``error`` (relative; null where nothing was observed), ``low`` and ``high``
        (what chance alone explains around the observed count), ``verdict``: ``ok``, ``outside``, or
        ``few`` where there are too few observations.
    confusion
        For each series that is yes or no by row: ``both``, ``predicted_only``, ``observed_only``,
        ``neither``, and the shares ``precision`` and ``recall``.
    time
        By hour: ``series``, ``timestamp``, ``observed``, ``predicted``.
    fits
        What was fitted.
    tolerance
        Relative error within which a series is ok.
    """

    table: pl.DataFrame
    confusion: pl.DataFrame
    time: pl.DataFrame
    fits: tuple[Fit, ...]
    tolerance: float
    notes: tuple[str, ...] = ()
    summary: dict[str, Any] = field(default_factory=dict, repr=False)
    functions: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Whether every series of the whole is within the tolerance, or within chance."""
        whole = self.table.filter(pl.col("function").is_null())
        return not (whole["verdict"] == "outside").any()

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, for JSON."""
        return {
            "schema_version": 1,
            "ok": self.ok,
            "tolerance": self.tolerance,
            "table": self.table.to_dicts(),
            "confusion": self.confusion.to_dicts(),
            "time": self.time.to_dicts(),
            "fits": [
                {
                    **{
                        name: getattr(fit, name)
                        for name in ("what", "key", "value", "low", "high", "changes")
                    },
                    "alike": list(fit.alike),
                    "tried": fit.tried.to_dicts(),
                }
                for fit in self.fits
            ],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return "\n".join(_text(self))


class _Series(NamedTuple):
    series: str
    function: str | None
    observed: float
    predicted: float
    #: Runs or requests that it counts a part of; 0 for metrics.
    trials: int


def validate(
    trace: TraceLike,
    scenario: Scenario | None = None,
    *,
    observed: str | os.PathLike[str] | pl.DataFrame | None = None,
    tolerance: float = 0.1,
    fit: Sequence[str] = (),
    seed: int | None = None,
    read: ReadOptions | None = None,
    bad: BadRows | None = None,
) -> Validation:
    """Compare a replay with what really happened.

    Parameters
    ----------
    trace
        With ``cold_start``, ``throttled`` or ``init_ms`` of what was observed, unless ``observed``
        is given.
    scenario, seed
        As for :func:`lambda_replay.replay`.
    observed
        CloudWatch metrics: a frame, or a Parquet or CSV file, with ``timestamp`` (whole minutes),
        ``function`` (null or absent: the whole account) and metrics by CloudWatch's names.
    tolerance
        Relative error that is still right.
    fit
        Any of ``idle``, ``init``, ``lifetime`` and ``client``: settings to be found from the
        observations.
    read
        How the trace is read.
    bad
        What becomes of bad rows; afterwards it tells what was found.

    Returns
    -------
    Validation
        ``str()`` of it is for people.

    Raises
    ------
    ValidateError
        There is nothing observed, or nothing that a fit could use.
    TraceError
        The trace or the metrics cannot be read.
    """
    unknown = [one for one in fit if one not in FITS]
    if unknown:
        message = f"cannot fit {show(unknown[0])}; one of {', '.join(FITS)}"
        raise ValidateError(message)
    if not (math.isfinite(tolerance) and tolerance >= 0):
        message = f"tolerance is a share such as 0.1, not {show(tolerance)}"
        raise ValidateError(message)
    base = choose_scenario(trace, scenario, seed)
    rows = _observed_rows(trace, read)
    metrics = None if observed is None else _read_metrics(observed)
    if metrics is None and not any(name in rows.columns for name in OBSERVED):
        message = "the trace says nothing of what really happened"
        hint = "it needs cold_start, throttled or init_ms; or give CloudWatch metrics: observed="
        raise ValidateError(message, hint=hint)
    (result,) = replay_several(
        trace, [base], wanted=Wanted(metrics=True, outcomes=True), read=read, bad=bad
    )
    assert result.outcomes is not None
    both = joined(rows, result.outcomes)
    series, confusion, time = _by_row(both)
    notes = list(_notes(rows))
    if metrics is not None:
        assert result.metrics is not None
        more, by_hour = _by_minute(metrics, result.metrics)
        if not more:
            message = "none of the metrics is one that a replay gives"
            raise ValidateError(
                message, hint=f"columns by CloudWatch's names: {', '.join(_METRICS)}"
            )
        series, time = [*series, *more], pl.concat([time, by_hour])
    fits = tuple(fit_setting(one, trace, base, rows, both, read=read, bad=bad) for one in fit)
    return Validation(
        table=_table(series, tolerance),
        confusion=confusion,
        time=time.sort("series", "timestamp"),
        fits=fits,
        tolerance=tolerance,
        notes=tuple(notes),
        summary=result.summary.to_dict(),
        functions={row["function"]: row for row in result.functions.to_dicts()},
    )


# ---------------------------------------------------------------------------- what was observed


def _observed_rows(trace: TraceLike, read: ReadOptions | None) -> pl.DataFrame:
    """Read what the trace says of what really happened, with the position of each row."""
    source = open_trace(trace, read or ReadOptions())
    try:
        parts = []
        for frame in source.frames:
            schema = frame.collect_schema()
            have = [name for name in OBSERVED if name in schema and schema[name] != pl.Null]
            for name in ("cold_start", "throttled"):
                if name in have and schema[name] != pl.Boolean:
                    message = f"{name} is {schema[name]}; it must be true, false or null"
                    raise TraceError(message, source=source.label, column=name, code="LR-T-TYPE")
            columns = [pl.col(name) for name in have if name != "init_ms"]
            if "init_ms" in have:
                given = pl.col("init_ms")
                is_span = isinstance(schema["init_ms"], pl.Duration)
                micros = given.dt.total_microseconds() / 1_000
                columns.append(micros if is_span else given.cast(pl.Float64, strict=False))
            parts.append(frame.select(*columns, pl.lit(1, pl.UInt8).alias("_")).collect())
        rows = pl.concat(parts, how="diagonal_relaxed") if len(parts) > 1 else parts[0]
    finally:
        source.close()
    return rows.drop("_").with_row_index("row").with_columns(pl.col("row").cast(pl.UInt64))


def _read_metrics(observed: str | os.PathLike[str] | pl.DataFrame) -> pl.DataFrame:
    if isinstance(observed, pl.DataFrame):
        frame, label = observed, "observed"
    else:
        label = os.fspath(observed)
        try:
            frame = (
                pl.read_csv(label, try_parse_dates=True)
                if label.endswith(".csv")
                else pl.read_parquet(label)
            )
        except FileNotFoundError:
            message = f"no such file: {show(label)}"
            raise TraceError(message, source=label, code="LR-T-FILE") from None
        except (pl.exceptions.PolarsError, OSError) as error:
            message = f"cannot read metrics from {show(label)}: {error}"
            hint = "Parquet, or CSV if its name ends in .csv"
            raise TraceError(message, source=label, code="LR-T-FILE", hint=hint) from None
    if "timestamp" not in frame.columns or not isinstance(frame.schema["timestamp"], pl.Datetime):
        message = f"metrics need a timestamp, a date and time; {label} has {frame.columns}"
        raise TraceError(message, source=label, column="timestamp", code="LR-T-COLUMN")
    at = pl.col("timestamp")
    zone = frame.schema["timestamp"].time_zone
    if zone is not None:
        at = at.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if "function" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, pl.String).alias("function"))
    return frame.with_columns(
        at.dt.cast_time_unit("us").dt.truncate("1m"), pl.col("function").cast(pl.String)
    )


# ---------------------------------------------------------------------------- comparisons

_CONFUSION: Final = pl.Schema(
    {
        "series": pl.String(),
        "both": pl.Int64(),
        "predicted_only": pl.Int64(),
        "observed_only": pl.Int64(),
        "neither": pl.Int64(),
        "precision": pl.Float64(),
        "recall": pl.Float64(),
    }
)
_TIME: Final = pl.Schema(
    {
        "series": pl.String(),
        "timestamp": pl.Datetime("us"),
        "observed": pl.Float64(),
        "predicted": pl.Float64(),
    }
)


def _by_row(both: pl.DataFrame) -> tuple[list[_Series], pl.DataFrame, pl.DataFrame]:
    series: list[_Series] = []
    confusion: list[tuple[object, ...]] = []
    time = [pl.DataFrame(schema=_TIME)]
    sums = (
        pl.col("observed").sum().cast(pl.Float64),
        pl.col("predicted").sum().cast(pl.Float64),
    )
    for name, rows in pairs(both).items():
        seen, said = rows.select(*sums).row(0)
        series.append(_Series(name, None, seen, said, rows.height))
        by = rows.group_by("function").agg(*sums, pl.len().alias("n")).sort("function")
        series += [_Series(name, *row) for row in by.iter_rows()]
        yes, no = pl.col("observed"), pl.col("predicted")
        a, b, c, d = rows.select(
            (yes & no).sum().alias("a"),
            (~yes & no).sum().alias("b"),
            (yes & ~no).sum().alias("c"),
            (~yes & ~no).sum().alias("d"),
        ).row(0)
        precision, recall = (a / (a + b) if a + b else None), (a / (a + c) if a + c else None)
        confusion.append((name, a, b, c, d, precision, recall))
        hours = rows.group_by(pl.col("timestamp").dt.truncate("1h")).agg(*sums)
        time.append(
            hours.select(pl.lit(name).alias("series"), "timestamp", "observed", "predicted")
        )
    if "observed_init_ms" in both.columns:
        # The init that was observed, and the one that the replay's cold starts paid.
        inits = both.filter(pl.col("observed_init_ms") > 0)
        paid = both.filter(pl.col("cold") & (pl.col("init_ms") > 0))
        if inits.height and paid.height:
            one = float(inits["observed_init_ms"].sum()) / 1e3
            other = float(paid["init_ms"].sum()) / 1e3
            series.append(_Series("init_s", None, one, other, 0))
    frame = pl.DataFrame(confusion, schema=_CONFUSION, orient="row")
    return series, frame, pl.concat(time)


def _by_minute(metrics: pl.DataFrame, found: pl.DataFrame) -> tuple[list[_Series], pl.DataFrame]:
    """Compare metrics where both sides have the function, all minutes of both together."""
    series: list[_Series] = []
    time = [pl.DataFrame(schema=_TIME)]
    known = set(found["function"].drop_nulls())
    for name, how in _METRICS.items():
        if name not in metrics.columns or name not in MINUTE_SCHEMA:
            continue
        together = pl.col(name).cast(pl.Float64)
        together = together.max() if how == "max" else together.sum()
        one = metrics.group_by("function").agg(together.alias("observed"))
        other = found.group_by("function").agg(together.alias("predicted"))
        both = one.join(other, on="function", how="left", nulls_equal=True)
        for function, seen, replayed in both.sort("function").iter_rows():
            if function is None or function in known or (seen or 0) > 0:
                series.append(_Series(name, function, seen or 0.0, replayed or 0.0, 0))
        # The account's peak is not the sum of its functions'.
        if how == "sum" and not both["function"].is_null().any():
            seen, replayed = both.select(pl.col("observed").sum(), pl.col("predicted").sum()).row(0)
            series.append(_Series(name, None, seen, replayed, 0))
        region = metrics.filter(pl.col("function").is_null())
        mine = region if region.height else metrics
        hour = pl.col("timestamp").dt.truncate("1h")
        hours = mine.group_by(hour).agg(together.alias("observed"))
        theirs = (
            found.filter(pl.col("function").is_null())
            .group_by(hour)
            .agg(together.alias("predicted"))
        )
        joined = hours.join(theirs, on="timestamp", how="full", coalesce=True).fill_null(0.0)
        time.append(
            joined.select(pl.lit(name).alias("series"), "timestamp", "observed", "predicted")
        )
    return series, pl.concat(time)


def _table(series: Sequence[_Series], tolerance: float) -> pl.DataFrame:
    rows = []
    for one in series:
        error = one.predicted / one.observed - 1 if one.observed else None
        low, high = _chance(one)
        right = (
            one.observed == one.predicted
            or low <= one.predicted <= high
            or (error is not None and abs(error) <= tolerance)
        )
        if right:
            verdict = "ok"
        elif one.function is not None and max(one.observed, one.predicted) < _LEAST:
            verdict = "few"
        else:
            verdict = "outside"
        rows.append(
            (one.series, one.function, one.observed, one.predicted, error, low, high, verdict)
        )
    schema = {
        "series": pl.String(),
        "function": pl.String(),
        **dict.fromkeys(("observed", "predicted", "error", "low", "high"), pl.Float64()),
        "verdict": pl.String(),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _chance(one: _Series) -> tuple[float, float]:
    """Give what chance alone explains around an observed count (Wilson's interval, 95 %)."""
    if not one.trials:
        return one.observed, one.observed
    n, p = one.trials, one.observed / one.trials
    middle = p + Z**2 / (2 * n)
    half = Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n * n))
    scale = 1 + Z**2 / n
    return max(0.0, n * (middle - half) / scale), min(float(n), n * (middle + half) / scale)


def _notes(rows: pl.DataFrame) -> list[str]:
    notes = []
    if "cold_start" in rows.columns and not bool(rows["cold_start"].is_null().all()):
        known = rows["cold_start"].is_not_null().sum()
        if known < rows.height:
            notes.append(f"cold_start is known of {count(int(known))} of {count(rows.height)} rows")
    if "throttled" not in rows.columns:
        notes.append("the trace does not say what was throttled: requests that never ran may lack")
    return notes


# ---------------------------------------------------------------------------- for people


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return count(int(value)) if float(value).is_integer() else mean(value)


def _text(found: Validation) -> list[str]:
    whole = found.table.filter(pl.col("function").is_null())
    functions = found.table.filter(pl.col("function").is_not_null())
    word = "agrees with what was observed" if found.ok else "differs from what was observed"
    lines = [f"the replay {word} (tolerance {share_of(found.tolerance)})", ""]
    table = [["series", "observed", "replayed", "error", "verdict"]]
    for row in whole.to_dicts()[:10]:
        error = "-" if row["error"] is None else f"{100 * row['error']:+.3g}%"
        table.append(
            [
                row["series"],
                _number(row["observed"]),
                _number(row["predicted"]),
                error,
                row["verdict"],
            ]
        )
    lines += set_table(table)
    for row in found.confusion.to_dicts():
        hit = row["both"] + row["neither"]
        total = hit + row["predicted_only"] + row["observed_only"]
        text = f"{count(hit)} of {count(total)} rows alike"
        if row["recall"] is not None:
            text += f"; {share_of(row['recall'])} of the observed were predicted"
        if row["precision"] is not None:
            text += f", {share_of(row['precision'])} of the predicted were observed"
        lines += wrap(row["series"], [text], most=2)
    odd = functions.filter(pl.col("verdict") == "outside").with_columns(
        (pl.col("predicted") - pl.col("observed")).abs().alias("off")
    )
    if functions.height:
        lines.append("")
        right = functions.filter(pl.col("verdict") == "ok").height
        few = functions.filter(pl.col("verdict") == "few").height
        lines += wrap(
            "by function",
            [
                (
                    f"{count(right)} series ok, {count(odd.height)} outside, {count(few)} with too"
                    " few observations"
                )
            ],
        )
        for row in odd.sort("off", descending=True).head(5).to_dicts():
            lines.append(
                f"{'':14}{name_of(row['function'], 30)}: {row['series']} {_number(row['observed'])}"
                f" observed, {_number(row['predicted'])} replayed"
            )
    for fit in found.fits:
        lines.append("")
        ends = f" ({_number(fit.low)} to {_number(fit.high)} fit as well)" if fit.low else ""
        more = "" if fit.low else f" (as well: {', '.join(map(str, fit.alike))})"
        value = _number(fit.value) if isinstance(fit.value, int | float) else str(fit.value)
        lines += wrap(f"fit {fit.what}", [f"{fit.key} = {value}{ends or more}: {fit.changes}"])
    if found.notes:
        lines.append("")
        lines += wrap("note", list(found.notes), joint="; ")
    return lines
