"""The group of all commands."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import click

from lambda_replay.cli.compare import compare
from lambda_replay.cli.convert import convert
from lambda_replay.cli.generate import generate
from lambda_replay.cli.inspect import inspect
from lambda_replay.cli.report import report
from lambda_replay.cli.run import run
from lambda_replay.cli.samples import samples
from lambda_replay.cli.scenario import scenario
from lambda_replay.cli.session import PROGRAM, PipeClosed
from lambda_replay.cli.size import size
from lambda_replay.cli.sweep import sweep
from lambda_replay.cli.validate import validate

__all__ = ["app"]


def _print_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    del parameter
    if not value or context.resilient_parsing:
        return
    from lambda_replay import __version__  # noqa: PLC0415 - loads the core

    click.echo(f"{PROGRAM} {__version__}")
    context.exit()


@contextlib.contextmanager
def _telling_closed_pipes() -> Iterator[None]:
    """Keep click from leaving by itself, with 1, where it finds the pipe closed."""
    try:
        yield
    except BrokenPipeError as error:
        raise PipeClosed from error


class _Group(click.Group):
    """The group, which leaves it to the process how to end."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _telling_closed_pipes():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _telling_closed_pipes():
            return super().invoke(ctx)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and leave.",
)
def app() -> None:
    """\b
    lambda-replay run sample:azure2019                            a first look, no data needed
    lambda-replay run trace.parquet -s prod.toml                  your trace, your account
    lambda-replay run trace.parquet --set account.concurrency=500
    lambda-replay compare trace.parquet -s today.toml -s candidate.toml
    lambda-replay sweep trace.parquet --set account.concurrency=500..2000:100
    lambda-replay size trace.parquet -s prod.toml --what account
    lambda-replay validate trace.parquet -s prod.toml
    lambda-replay scenario check prod.toml

    What would my AWS Lambda workload have done under another configuration? Replays a trace of
    invocations through a faithful model of AWS Lambda, and says what became of every request.

    A trace is a Parquet, CSV, NDJSON or Arrow file with the columns timestamp, function and
    duration_ms; a scenario is a TOML file that says how the account is set up.
    """  # noqa: D205, D301, D400 - what the help page prints, examples first


app.add_command(run)
app.add_command(compare)
app.add_command(sweep)
app.add_command(report)
app.add_command(inspect)
app.add_command(convert)
app.add_command(generate)
app.add_command(size)
app.add_command(validate)
app.add_command(scenario)
app.add_command(samples)
