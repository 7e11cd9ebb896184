"""``lambda-replay scenario schema``: the JSON Schema of scenarios."""

from __future__ import annotations

import json

import click

from lambda_replay.cli.options import debug_option
from lambda_replay.cli.streams import write_result

__all__ = ["schema"]


@click.command(short_help="Print the JSON Schema of scenarios, for editors.")
@debug_option
def schema() -> None:
    """\b
    lambda-replay scenario schema > scenario.schema.json

    Print the JSON Schema of scenarios. Editors that know TOML complete and check a file whose
    first line is "#:schema ./scenario.schema.json".
    """  # noqa: D205, D301, D400 - what the help page prints, examples first
    from lambda_replay.scenario.json_schema import json_schema  # noqa: PLC0415 - imports pydantic

    write_result(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
