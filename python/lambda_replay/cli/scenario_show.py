"""``lambda-replay scenario show``: what a scenario says, or all that is in force."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from lambda_replay.cli.options import debug_option, set_option
from lambda_replay.cli.scenarios import load
from lambda_replay.cli.streams import write_result
from lambda_replay.exceptions import escape

if TYPE_CHECKING:
    from lambda_replay.scenario import Scenario

__all__ = ["show"]


@click.command(short_help="Show what a scenario says, or all that is in force.")
@click.argument("file", required=False)
@set_option
@click.option("--resolved", is_flag=True, help="Show every value in force and where it is from.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For people, or for machines.",
)
@debug_option
def show(file: str | None, sets: tuple[str, ...], resolved: bool, kind: str) -> None:
    """\b
    lambda-replay scenario show                              AWS's defaults of today
    lambda-replay scenario show prod.toml --resolved
    lambda-replay scenario show sample:azure2019 --set account.concurrency=20

    Show what a scenario says, as TOML; with --resolved every value in force, where it is from, and
    which of them AWS does not document. Without FILE and --set there is nothing said: AWS's
    defaults, resolved.
    """  # noqa: D205, D301, D400 - what the help page prints, examples first
    scenario = load(file, sets)
    resolved = resolved or (file is None and not sets)
    if kind == "json":
        document = _document(scenario) if resolved else scenario.to_dict()
        write_result(json.dumps(document, indent=2, default=str) + "\n")
    else:
        lines = _table(scenario) if resolved else _toml(scenario.to_dict())
        write_result("".join(f"{line}\n" for line in lines))


def _toml(table: Mapping[str, object], path: tuple[str, ...] = ()) -> Iterator[str]:
    """Print dotted keys, which are TOML as they are."""
    if not table:
        # A comment, so that what is printed stays the scenario that it is.
        yield "# nothing is set: AWS's defaults, which --resolved shows"
    from lambda_replay.scenario.keys import format_key  # noqa: PLC0415 - imports pydantic

    for key, value in table.items():
        here = (*path, key)
        if isinstance(value, Mapping) and value:
            yield from _toml(value, here)
        else:
            yield _visible(f"{format_key(here)} = {_value(value)}")


def _visible(line: str) -> str:
    """Escape, as TOML does, what a terminal would obey; it only stands in quotes."""
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in line)


def _value(value: object) -> str:
    """Print a value as TOML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes of what it must escape are TOML's.
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_value(key)} = {_value(one)}" for key, one in value.items())
        return f"{{{inner}}}"
    return str(value)


def _table(scenario: Scenario) -> Iterator[str]:
    resolved = scenario.resolve()
    rules = {choice.key: choice.rule for choice in resolved.undocumented()}
    rows = [
        (*map(escape, (one.key, _value(one.value), one.origin)), _rule(one.key, rules))
        for one in resolved.origins()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*cells, row[3]]).rstrip()
    yield ""
    yield "not documented by AWS:"
    for choice in resolved.undocumented():
        yield f"  {choice.rule:4} {escape(choice.sentence)}"
    yield "not modelled yet:"
    for sentence in scenario.not_modelled():
        yield f"  {escape(sentence)}"


def _rule(key: str, rules: Mapping[str, str]) -> str:
    """Name the rule of a choice that AWS does not document; a choice may cover several keys."""
    for choice, rule in rules.items():
        if key == choice or key.startswith(f"{choice}."):
            return f"undocumented, {rule}"
    return ""


def _document(scenario: Scenario) -> dict[str, object]:
    resolved = scenario.resolve()
    return {
        "digest": resolved.digest(),
        "values": [origin._asdict() for origin in resolved.origins()],
        "undocumented": [choice._asdict() for choice in resolved.undocumented()],
        "not_modelled": list(scenario.not_modelled()),
    }
