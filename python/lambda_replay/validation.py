"""What :func:`lambda_replay.validate` answers, and how people read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from lambda_replay.figures import count, mean, share_of
from lambda_replay.fits import Fit
from lambda_replay.lines import name_of, set_table, wrap

__all__ = ["Validation"]


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
