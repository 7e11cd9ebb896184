"""``lambda-replay report``: results as one page, as Markdown, or as pictures."""

from __future__ import annotations

from pathlib import Path

import click

from lambda_replay.cli.failures import say
from lambda_replay.cli.options import debug_option
from lambda_replay.cli.outputs import check_outputs
from lambda_replay.cli.streams import write_result
from lambda_replay.output import atomic_path

__all__ = ["report"]

_PATH = click.Path(path_type=Path)
_MARKDOWN = (".md", ".markdown")


@click.command(short_help="Show results as one offline HTML page, or as Markdown.")
@click.argument("result", nargs=-1, required=True, metavar="RESULT...", type=_PATH)
@click.option(
    "-o",
    "--output",
    type=_PATH,
    metavar="FILE",
    help="Write the page there, as HTML; as Markdown where the name ends in .md.",
)
@click.option(
    "--markdown", is_flag=True, help="Print Markdown, for a comment under a pull request."
)
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write each chart there, as SVG and PNG.",
)
@click.option("--title", metavar="TEXT", default="", help="Title of the page.")
@debug_option
def report(
    *,
    result: tuple[Path, ...],
    output: Path | None,
    markdown: bool,
    pictures: Path | None,
    title: str,
) -> int:
    """\b
    lambda-replay run trace.parquet -o today.json --metrics today.parquet
    lambda-replay report today.json today.parquet -o today.html
    lambda-replay report today.json wider.json -o both.html
    lambda-replay report comparison.json --markdown

    Show results as one HTML file that opens without a network, as Markdown, or as pictures.

    RESULT is what run -o wrote, what its --metrics wrote (right after the result it belongs to;
    charts over time need it), what compare -o wrote, the folder of sweep -o, or a folder with
    summary.json and, where they are, functions.parquet and metrics.parquet. Several results of
    one trace are compared as well.

    The page and the pictures need an extra: pip install 'lambda-replay[report]'. In the page are
    concurrency against the limit, throttles by cause and function, cold starts, waits, ages,
    event sources, shared records and cost, and tables that sort by a click.

    \b
    Exit codes: 0 done, 2 wrong usage, 4 cannot read or write, or the extra is missing,
    5 a file is no result, or metrics belong to another one, 1 a bug.
    """  # noqa: D205, D301, D400 - what the help page prints, examples first
    if output is None and pictures is None and not markdown:
        message = "nothing to make: give -o FILE.html, -o FILE.md, --markdown or --pictures DIR"
        raise click.UsageError(message)
    is_text = output is not None and output.suffix.lower() in _MARKDOWN
    kind = "Markdown" if is_text else "HTML"
    check_outputs({"--output": (output, kind)}, [str(one) for one in result], None)
    if is_text and title:
        message = "--title is of the page; Markdown has a heading per result"
        raise click.UsageError(message)
    from lambda_replay import report as work  # noqa: PLC0415 - imports Polars

    if (output is not None and not is_text) or pictures is not None:
        work.check_extra()
    material = work.load(result)
    if output is not None:
        if is_text:
            with atomic_path(output) as temporary:
                temporary.write_text(work.markdown(material), encoding="utf-8")
        else:
            work.write_report(output, material, title=title)
        say([f"wrote {output} ({kind})"])
    if pictures is not None:
        work.write_pictures(pictures, material)
        say([f"wrote the charts into {pictures} (SVG and PNG)"])
    if markdown:
        write_result(work.markdown(material))
    return 0
