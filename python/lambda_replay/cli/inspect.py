"""``lambda-replay inspect``: what a trace holds, and what it can answer."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from lambda_replay.cli.options import (
    debug_option,
    trace_argument,
)
from lambda_replay.cli.reading import (
    read_options,
    reading_options,
)
from lambda_replay.cli.streams import write_result
from lambda_replay.exceptions import cut, escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lambda_replay.inspection import Inspection

__all__ = ["inspect"]

_MARGIN = 14
_WIDTH = 100


@click.command(short_help="Say what a trace holds, and what it can and cannot answer.")
@trace_argument
@reading_options
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="What goes to standard output.",
)
@debug_option
def inspect(*, trace: tuple[str, ...], kind: str, **given: Any) -> int:
    """\b
    lambda-replay inspect trace.parquet
    lambda-replay inspect logs/ --format json

    Say what a trace holds: rows, span, rates, functions, gaps, disorder, which columns are
    missing and what is not known without them, and whether refused requests are in it. Nothing is
    replayed.
    """  # noqa: D205, D301, D400 - what the help page prints, examples first
    from lambda_replay.inspection import inspect as look  # noqa: PLC0415 - imports Polars

    found = look(list(trace), read=read_options(given))
    if kind == "json":
        from lambda_replay.cli.documents import to_json  # noqa: PLC0415

        write_result(to_json(found.to_dict()))
    else:
        write_result("".join(f"{line}\n" for line in _lines(found)))
    return 0


def _lines(found: Inspection) -> Iterator[str]:
    from lambda_replay.lines import name_of  # noqa: PLC0415 - imports rich

    shown = found.paths[0] if len(found.paths) == 1 else f"{len(found.paths)} files"
    formats = " and ".join(dict.fromkeys(str(one["format"]) for one in found.ingest))
    stamps = " and ".join(dict.fromkeys(str(one["timestamp_kind"]) for one in found.ingest))
    yield f"{name_of(shown, 40)}: {formats}, {found.rows:,} rows of {found.functions:,} functions"
    if found.first is not None:
        yield _row("span", f"{found.first} to {found.last} UTC, {_span(found.span_s)}")
    yield _row("time stamp", f"the source's is the {stamps}; here it is the arrival")
    rate = found.rate
    yield _row(
        "arrivals",
        f"{rate['mean']:,.3g}/s on average, {rate['peak_minute']:,.3g}/s in the busiest minute,"
        f" {rate['peak_second']:,.0f} in the busiest second",
    )
    times = found.duration_ms
    if times["mean"] is not None:
        yield _row(
            "durations",
            f"mean {times['mean']:,.1f} ms, p50 {times['p50']:,.1f}, p99 {times['p99']:,.1f},"
            f" longest {times['max']:,.1f}; {found.mean_concurrency:,.3g} at a time on average",
        )
    gaps = found.gaps
    yield _row(
        "gaps",
        f"longest {_span(gaps['longest_s'])}"
        + (f" from {gaps['from']}" if gaps["from"] and gaps["longest_s"] else "")
        + f"; {gaps['empty_minutes']:,} minutes without an arrival",
    )
    duplicates = "no request_id" if found.duplicates is None else f"{found.duplicates:,}"
    yield _row("order", f"{found.disorder:,} rows before the one before; duplicates: {duplicates}")
    yield _row("throttles", found.throttles)
    yield _row("integrity", found.integrity)
    yield from _reading(found)
    yield ""
    yield f"{'rows':>12} {'share':>6} {'mean ms':>12} {'max ms':>12}  function"
    for row in found.top:
        yield (
            f"{row['rows']:>12,} {row['share']:>6.1%} {row['mean_ms'] or 0:>12,.1f}"
            f" {row['max_ms'] or 0:>12,.1f}  {cut(escape(str(row['function'])), 52)}"
        )
    yield ""
    for label, items in (
        ("answers", found.answers),
        ("cannot tell", found.cannot),
        ("not in it", [f"{name}: {why}" for name, why in found.missing.items()]),
        ("look at", found.odd),
    ):
        for place, item in enumerate(items):
            yield from _wrapped(label if not place else "", escape(item))


def _reading(found: Inspection) -> Iterator[str]:
    for report in found.ingest:
        if report["dropped"] or report["rows_read"] != report["rows_kept"]:
            left = ", ".join(f"{rows:,} {why}" for why, rows in report["dropped"].items())
            yield _row("read", f"{report['rows_read']:,}, kept {report['rows_kept']:,}: {left}")
        for column, how in report["inferred"].items():
            yield from _wrapped("inferred", f"{column}: {how}")


def _row(label: str, text: str) -> str:
    return f"{label:<{_MARGIN}}{text}"


def _wrapped(label: str, text: str) -> list[str]:
    lines = textwrap.wrap(text, _WIDTH - _MARGIN) or [""]
    return [_row(label if not place else "", line) for place, line in enumerate(lines)]


def _span(seconds: float) -> str:
    if seconds >= 2 * 86_400:
        return f"{seconds / 86_400:,.1f} days"
    if seconds >= 2 * 3_600:
        return f"{seconds / 3_600:,.1f} h"
    return f"{seconds:,.3g} s" if seconds < 120 else f"{seconds / 60:,.1f} min"
