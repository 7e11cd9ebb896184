"""``lambda-replay run``: replay a trace under one scenario."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lambda_replay.checks import CheckResult, parse
from lambda_replay.cli.failures import warn
from lambda_replay.cli.judging import all_checks, conclude, judge_result, tell
from lambda_replay.cli.options import (
    blame_option,
    replaying_options,
    scenario_option,
    set_option,
    trace_argument,
)
from lambda_replay.cli.outputs import check_outputs
from lambda_replay.cli.progress import showing_progress
from lambda_replay.cli.reading import (
    bad_rows,
    read_options,
    tell_bad_rows,
)
from lambda_replay.cli.scenarios import Chosen, choose
from lambda_replay.cli.streams import write_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.output import TemporaryFolder
    from lambda_replay.results import ReplayResult

__all__ = ["run"]

_FILE = click.Path(path_type=Path)


@click.command(short_help="Replay a trace under a scenario and say what happened.")
@trace_argument
@scenario_option
@set_option
@click.option(
    "--outcomes", type=_FILE, metavar="FILE", help="Write a row per request there, as Parquet."
)
@click.option(
    "--attempts",
    type=_FILE,
    metavar="FILE",
    help="Write a row per request and attempt, refused ones too, there, as Parquet.",
)
@click.option(
    "--metrics",
    type=_FILE,
    metavar="FILE",
    help="Write a row per function and minute there, as Parquet, under CloudWatch's names.",
)
@click.option(
    "--report",
    "page",
    type=_FILE,
    metavar="FILE",
    help="Write one offline HTML page with charts there; needs the extra report.",
)
@click.option(
    "-o", "--output", type=_FILE, metavar="FILE", help="Write the summary there, as JSON."
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="What goes to standard output: a screen, the summary, or a row per function.",
)
@blame_option
@click.option("-v", "--verbose", is_flag=True, help="Show the notes under the numbers in full.")
@replaying_options()
def run(
    *,
    trace: tuple[str, ...],
    scenario_file: str | None,
    sets: tuple[str, ...],
    outcomes: Path | None,
    attempts: Path | None,
    metrics: Path | None,
    page: Path | None,
    output: Path | None,
    kind: str,
    blame: bool,
    fail_if: tuple[str, ...],
    seed: int | None,
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> int:
    """\b
    lambda-replay run sample:azure2019
    lambda-replay run trace.parquet -s prod.toml --outcomes outcomes.parquet
    lambda-replay run 'logs/*.csv' --set account.concurrency=500
    lambda-replay run - --fail-if 'throttle_rate > 0.1%' < trace.csv
    lambda-replay run trace.parquet --fail-if 'function=checkout: duration_ms.p99 > 2s'

    Replay a trace under a scenario and say what happened.

    TRACE is a file (Parquet, CSV, NDJSON, Arrow IPC), a glob, a folder, a URL, - for standard
    input, or sample:NAME; several make one trace. A row is a request, an event or a record of an
    event source. Its columns:

    \b
    timestamp, function, duration_ms    when, which, how long the handler runs; needed
    init_ms, memory_mb                  what a cold start adds; memory, for the cost
    source                              sync (also where there is none), async, or the name of an
                                        event source of the scenario
    key, shard, filtered                partition key or group; shard; what a filter takes out
    error, error_runs                   handled or crash; how many runs fail before one succeeds
    extension_ms, payload_bytes         extensions after the response; size, for the cost
    state_key, state_access             shared record that a run touches; read or write
    request_id, row_uid                 who a row is; request_id is given back in the outcomes

    EXPR of --fail-if is [function=NAME:] MEASURE OP NUMBER[%|ms|s]. MEASURE is any number of the
    summary by its dotted name (throttled, duration_ms.p99, cost_usd.total, state.wait_s, ...) or
    one of throttle_rate, cold_start_rate, loss_rate, attempt_throttle_rate; OP one of < <= > >= ==
    !=.

    \b
    Exit codes: 0 done, 99 done and a --fail-if holds, 2 wrong usage or scenario, 3 bad trace or
    nothing in it to judge a --fail-if on, 4 cannot read, write or fit, 1 a bug, 130 interrupted,
    143 terminated, 141 pipe closed.
    """  # noqa: D205, D301, D400 - what the help page prints, examples first
    gates = [parse(expression) for expression in fail_if]
    with showing_progress(trace, quiet=quiet) as progress:
        chosen = choose(trace, scenario_file, sets)
        bad = bad_rows(given, (output, outcomes, attempts, metrics, page))
        check_outputs(
            {
                "--bad-rows": (bad.path, "Parquet"),
                "--outcomes": (outcomes, "Parquet"),
                "--attempts": (attempts, "Parquet"),
                "--metrics": (metrics, "Parquet"),
                "--report": (page, "HTML"),
                "--output": (output, "JSON"),
            },
            trace,
            scenario_file,
        )
        from lambda_replay.replay import run as replay  # noqa: PLC0415 - imports Polars

        # A page needs the metrics, which may be larger than memory: they go through a file.
        folder, kept = _kept_metrics(metrics, page)
        result = replay(
            list(trace),
            chosen.scenario,
            outcomes=outcomes or False,
            attempts=attempts or False,
            metrics=kept or False,
            blame=blame,
            seed=seed,
            progress=progress,
            read=read_options(given, seed=seed),
            bad=bad,
        )
    tell_bad_rows(bad)
    if result.trace.rows == 0:
        warn("the trace has no rows: nothing was replayed")
    judged, wrong = judge_result(all_checks(gates, chosen.scenario), result)
    if output is not None:
        _write(output, result, judged)
    if page is not None and kept is not None:
        _report(page, result, judged, kept)
    if folder is not None:
        folder.close()
    if kind == "table":
        _show(result, trace, chosen, seed, judged, verbose=verbose)
    else:
        _print(result, judged, kind)
    return conclude(judged, wrong)


def _write(path: Path, result: ReplayResult, checks: Sequence[CheckResult]) -> None:
    from lambda_replay.cli.documents import summary_json  # noqa: PLC0415 - imports Polars
    from lambda_replay.output import atomic_path  # noqa: PLC0415

    with atomic_path(path) as temporary:
        temporary.write_text(summary_json(result, checks), encoding="utf-8")


def _kept_metrics(
    metrics: Path | None, page: Path | None
) -> tuple[TemporaryFolder | None, Path | None]:
    """Give where metrics go, and the folder to close afterwards if only the page needs them.

    Raises
    ------
    ResourceError
        There is to be a page, and what it needs is not installed.
    """
    if page is None:
        return None, metrics
    from lambda_replay.output import TemporaryFolder  # noqa: PLC0415
    from lambda_replay.report import check_extra  # noqa: PLC0415 - imports Altair

    check_extra()
    if metrics is not None:
        return None, metrics
    folder = TemporaryFolder()
    return folder, folder.path / "metrics.parquet"


def _report(page: Path, result: ReplayResult, checks: Sequence[CheckResult], metrics: Path) -> None:
    import polars as pl  # noqa: PLC0415

    from lambda_replay.cli.documents import notes_of  # noqa: PLC0415
    from lambda_replay.report import of_result, write_report  # noqa: PLC0415

    material = of_result(
        result,
        metrics=pl.scan_parquet(metrics),
        notes=notes_of(result),
        checks=[check.to_dict() for check in checks],
    )
    write_report(page, material)


def _show(
    result: ReplayResult,
    trace: tuple[str, ...],
    chosen: Chosen,
    seed: int | None,
    checks: Sequence[CheckResult],
    *,
    verbose: bool,
) -> None:
    from lambda_replay.cli.screen import Asked, Look, compose  # noqa: PLC0415 - imports Polars

    asked = Asked(trace, chosen, seed, verbose)
    lines = compose(result, asked, checks, Look.of(sys.stdout))
    write_result("".join(f"{line}\n" for line in lines))


def _at_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _print(result: ReplayResult, checks: Sequence[CheckResult], kind: str) -> None:
    """Print for machines; what people must know of the conditions goes to stderr."""
    from lambda_replay.cli.documents import functions_csv, summary_json  # noqa: PLC0415

    if kind == "json":
        write_result(summary_json(result, checks))
    else:
        write_result(functions_csv(result.functions, harmless=_at_terminal()))
    tell(checks)
