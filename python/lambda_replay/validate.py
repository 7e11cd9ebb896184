"""Predicted against observed: how far the replay of a trace is from what really happened."""

from __future__ import annotations

import contextlib
import math
import os
from typing import TYPE_CHECKING

import polars as pl

from lambda_replay.agreement import METRICS, by_minute, by_row, notes_on_rows, table_of
from lambda_replay.exceptions import TraceError, show
from lambda_replay.fits import FITS, Fit, fit_setting
from lambda_replay.ingest import open_trace
from lambda_replay.observed import OBSERVED, ValidateError, joined
from lambda_replay.replay import choose_scenario
from lambda_replay.several import Wanted, replay_several
from lambda_replay.validation import Validation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.ingest import TraceLike, TraceSource
    from lambda_replay.ingest.bad_rows import BadRows
    from lambda_replay.readers.base import ReadOptions
    from lambda_replay.scenario import Scenario

__all__ = ["Fit", "ValidateError", "Validation", "validate"]


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
    metrics = None if observed is None else _read_metrics(observed)
    # Once: what comes as a stream is put aside, and then read as often as need be.
    with contextlib.closing(open_trace(trace, read)) as source:
        return _validate(source, base, metrics, tolerance=tolerance, fit=fit, read=read, bad=bad)


def _validate(
    trace: TraceSource,
    base: Scenario,
    metrics: pl.DataFrame | None,
    *,
    tolerance: float,
    fit: Sequence[str],
    read: ReadOptions | None,
    bad: BadRows | None,
) -> Validation:
    rows = _observed_rows(trace)
    if metrics is None and not any(name in rows.columns for name in OBSERVED):
        message = "the trace says nothing of what really happened"
        hint = "it needs cold_start, throttled or init_ms; or give CloudWatch metrics: observed="
        raise ValidateError(message, hint=hint)
    (result,) = replay_several(
        trace, [base], wanted=Wanted(metrics=True, outcomes=True), read=read, bad=bad
    )
    assert result.outcomes is not None
    both = joined(rows, result.outcomes)
    series, confusion, time = by_row(both)
    notes = list(notes_on_rows(rows))
    if metrics is not None:
        assert result.metrics is not None
        more, by_hour = by_minute(metrics, result.metrics)
        if not more:
            message = "none of the metrics is one that a replay gives"
            raise ValidateError(
                message, hint=f"columns by CloudWatch's names: {', '.join(METRICS)}"
            )
        series, time = [*series, *more], pl.concat([time, by_hour])
    fits = tuple(fit_setting(one, trace, base, rows, both, read=read, bad=bad) for one in fit)
    return Validation(
        table=table_of(series, tolerance),
        confusion=confusion,
        time=time.sort("series", "timestamp"),
        fits=fits,
        tolerance=tolerance,
        notes=tuple(notes),
        summary=result.summary.to_dict(),
        functions={row["function"]: row for row in result.functions.to_dicts()},
    )


# ---------------------------------------------------------------------------- what was observed


def _observed_rows(source: TraceSource) -> pl.DataFrame:
    """Read what the trace says of what really happened, with the position of each row."""
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
        # A column as long as the file, where that says nothing else.
        filled = pl.repeat(1, pl.len(), dtype=pl.UInt8).alias("_")
        parts.append(frame.select(*columns, filled).collect())
    rows = pl.concat(parts, how="diagonal_relaxed") if len(parts) > 1 else parts[0]
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
