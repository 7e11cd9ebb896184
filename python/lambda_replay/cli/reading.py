"""Options about how traces are read, of every command that reads some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lambda_replay.cli.failures import warn
from lambda_replay.exceptions import show
from lambda_replay.readers import CANONICAL_NAME, NAMES, PLACEMENTS

if TYPE_CHECKING:
    from lambda_replay.ingest.bad_rows import BadRows
    from lambda_replay.readers.base import ReadOptions

__all__ = [
    "bad_row_options",
    "bad_rows",
    "read_options",
    "reading_options",
    "tell_bad_rows",
]

Command = TypeVar("Command", bound=Callable[..., Any])

_READING = {
    "format_": click.option(
        "--from",
        "format_",
        type=click.Choice((*NAMES, CANONICAL_NAME)),
        metavar="FORMAT",
        help="Format of the trace, where its content does not tell; docs/traces.md lists them.",
    ),
    "maps": click.option(
        "--map",
        "maps",
        metavar="COL=NAME,...",
        multiple=True,
        help="What columns are called in the trace: timestamp=ts,duration_ms=latency; numbers may"
        " have a unit: timestamp_s, duration_s, end_ms.",
    ),
    "function": click.option(
        "--function", metavar="NAME", help="Name of the function, where the trace tells none."
    ),
    "duration_ms": click.option(
        "--duration-ms",
        type=click.FloatRange(min=0),
        metavar="MS",
        help="Duration where the trace tells none.",
    ),
    "placement": click.option(
        "--placement",
        type=click.Choice(PLACEMENTS),
        help="Where counted invocations lie in their bucket. Default: uniform, timers equidistant.",
    ),
    "delay_unit": click.option(
        "--delay-unit",
        type=click.Choice(["s", "ms", "us"]),
        help="Unit of delays that a data set does not state (Huawei 2023).",
    ),
    "init_on_path": click.option(
        "--init-on-path",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="Whether requests waited for inits, where logs do not tell.",
    ),
}
_BAD = (
    click.option(
        "--on-bad-row",
        type=click.Choice(["error", "skip", "quarantine"]),
        default="error",
        show_default=True,
        help="What becomes of rows that cannot be replayed.",
    ),
    click.option(
        "--max-bad-rows",
        type=click.IntRange(min=0),
        metavar="N",
        help="More bad rows are an error. Default: 0.1 % of the rows, and at least 100.",
    ),
    click.option(
        "--bad-rows",
        "bad_rows_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Where quarantine writes them, as Parquet. Default: bad_rows.parquet beside the"
        " output.",
    ),
)


def reading_options(command: Command, own: Sequence[str] = ()) -> Command:
    """Add the options about reading, but for the arguments that the command has by its own."""
    for name, option in reversed(_READING.items()):
        if name not in own:
            command = option(command)
    return command


def bad_row_options(command: Command) -> Command:
    """Add the options about bad rows."""
    for option in reversed(_BAD):
        command = option(command)
    return command


def read_options(given: dict[str, Any], *, seed: int | None = None) -> ReadOptions:
    """Take what was given about reading out of a command's arguments."""
    from lambda_replay.readers.base import ReadOptions  # noqa: PLC0415 - imports Polars

    return ReadOptions(
        format=given.pop("format_"),
        columns=_columns(given.pop("maps")),
        function=given.pop("function"),
        duration_ms=given.pop("duration_ms"),
        placement=given.pop("placement"),
        delay_unit=given.pop("delay_unit"),
        init_on_path=given.pop("init_on_path"),
        merge_retries=given.pop("merge_retries", False),
        seed=seed or 0,
    )


def _columns(maps: Sequence[str]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for pair in (pair for text in maps for pair in text.split(",")):
        target, equals, name = pair.partition("=")
        if not (target.strip() and equals and name.strip()):
            message = f"--map takes COL=NAME,..., such as timestamp=ts; found {show(pair)}"
            raise click.UsageError(message)
        if target.strip() in columns:
            message = f"--map names {target.strip()} twice"
            raise click.UsageError(message)
        columns[target.strip()] = name.strip()
    return columns


def bad_rows(given: dict[str, Any], beside: Sequence[Path | None]) -> BadRows:
    """Take what was given about bad rows out of a command's arguments."""
    from lambda_replay.ingest.bad_rows import BadRows  # noqa: PLC0415 - imports Polars

    policy, most = given.pop("on_bad_row"), given.pop("max_bad_rows")
    path: Path | None = given.pop("bad_rows_file")
    if policy != "quarantine" and path is not None:
        message = f"--bad-rows goes with --on-bad-row quarantine, not with {policy}"
        raise click.UsageError(message)
    if policy == "error" and most is not None:
        message = "--max-bad-rows goes with --on-bad-row skip or quarantine"
        raise click.UsageError(message)
    if policy == "quarantine" and path is None:
        output = next((one for one in beside if one is not None), None)
        path = Path("bad_rows.parquet") if output is None else output.parent / "bad_rows.parquet"
    return BadRows.of(policy, most, path)


def tell_bad_rows(bad: BadRows) -> None:
    """Say on stderr what was set aside."""
    for sentence in bad.sentences():
        warn(sentence)
    if bad.count and bad.path is not None:
        warn(f"they are in {bad.path}")
