"""``lambda-replay convert``: any known format to canonical Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lambda_replay.cli.failures import say
from lambda_replay.cli.options import debug_option
from lambda_replay.cli.outputs import check_outputs
from lambda_replay.cli.reading import (
    bad_row_options,
    bad_rows,
    read_options,
    reading_options,
    tell_bad_rows,
)
from lambda_replay.cli.streams import write_result

if TYPE_CHECKING:
    from lambda_replay.traces import Conversion

__all__ = ["convert"]


@click.command(short_help="Write a trace of any known format as canonical Parquet.")
@click.argument("trace", nargs=-1, required=True, metavar="IN...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="OUT",
    help="The Parquet file to write.",
)
@reading_options
@click.option(
    "--merge-retries",
    is_flag=True,
    help="One row per request of a log, with its failed runs, instead of one per run.",
)
@click.option(
    "--anonymize",
    is_flag=True,
    help="Replace names by pseudonyms, under the secret in --key-file or a new one.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Secret of --anonymize: equal secrets give equal pseudonyms.",
)
@bad_row_options
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    metavar="N",
    help="Seed of what is drawn where counts are expanded.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="What goes to standard output.",
)
@debug_option
def convert(
    *,
    trace: tuple[str, ...],
    output: Path,
    anonymize: bool,
    key_file: Path | None,
    seed: int | None,
    kind: str,
    **given: Any,
) -> int:
    """\b
    lambda-replay convert trace.csv -o trace.parquet
    lambda-replay convert logs/ -o trace.parquet --function checkout
    lambda-replay convert requests.csv -o trace.parquet --map timestamp_ms=ts,duration_s=latency
    lambda-replay convert dirigent100_*.csv -o azure.parquet

    Write a trace of any known format as canonical Parquet: sorted, with a checksum, a digest of its
    rows, and what is measured and what assumed in it.
    """  # noqa: D205, D301, D400 - what the help page prints, examples first
    if key_file is not None and not anonymize:
        message = "--key-file goes with --anonymize"
        raise click.UsageError(message)
    bad = bad_rows(given, (output,))
    check_outputs(
        {"--output": (output, "Parquet"), "--bad-rows": (bad.path, "Parquet")}, trace, None
    )
    secret = _secret(key_file) if anonymize else None
    from lambda_replay.traces import convert as write  # noqa: PLC0415 - imports Polars

    done = write(
        list(trace), output, read=read_options(given, seed=seed), bad=bad, anonymize=secret
    )
    tell_bad_rows(bad)
    if kind == "json":
        from lambda_replay.cli.documents import to_json  # noqa: PLC0415

        document = {"output": str(output), "rows": done.rows, "digest": done.digest}
        write_result(to_json({**document, "ingest": list(done.ingest), "bad_rows": bad.count}))
    else:
        write_result("".join(f"{line}\n" for line in _lines(done, output)))
    return 0


def _secret(key_file: Path | None) -> str:
    """Read the secret, or make one that nobody can find out."""
    if key_file is not None:
        text = key_file.read_text(encoding="utf-8").strip()
        if not text:
            message = f"--key-file {key_file} is empty"
            raise click.UsageError(message)
        return text
    import secrets  # noqa: PLC0415 - rarely needed

    say(["note: a new secret is used and forgotten; --key-file keeps pseudonyms the same"])
    return secrets.token_hex(32)


def _lines(done: Conversion, output: Path) -> list[str]:
    lines = [f"{output}: {done.rows:,} rows, digest {done.digest[:16]}"]
    for report in done.ingest:
        read, kept = report["rows_read"], report["rows_kept"]
        lines.append(
            f"read as {report['format']} ({report['family']}, time stamp: "
            f"{report['timestamp_kind']}): {read:,} read, {kept:,} kept"
        )
        lines += [f"  dropped {rows:,}: {why}" for why, rows in report["dropped"].items()]
        lines += [f"  changed {rows:,}: {what}" for what, rows in report["repaired"].items()]
        lines += [f"  inferred {name}: {how}" for name, how in report["inferred"].items()]
        if report["disorder"]:
            lines.append(f"  sorted: {report['disorder']:,} rows came before the one before them")
        lines += [f"  note: {note}" for note in report["notes"]]
    return lines
