"""Pages of the documentation that are made from the code while it is built.

They are not kept in the repository, so none of them can be out of date: commands from Click,
columns from the schemas, the Python interface from its docstrings, examples from their files.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import polars as pl

import lambda_replay
from lambda_replay import schema
from lambda_replay.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_ROOT = Path(__file__).parents[1]
_EXAMPLES = _ROOT / "examples"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the generated pages, before links are checked."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - tests need no MkDocs

    for uri, content in pages().items():
        files.append(File.generated(config, uri, content=content))
    return files


def pages() -> dict[str, str]:
    """Give every generated page by its path."""
    return {
        "reference/commands.md": commands(),
        "reference/schemas.md": schemas(),
        "reference/python.md": python(),
        "examples.md": examples(),
    }


def commands() -> str:
    """Give the help of every command."""
    parts = ["# Commands\n", "What `--help` of each prints.\n"]
    for path, command in _walk(app, ("lambda-replay",)):
        context = click.Context(command, info_name=" ".join(path), max_content_width=100)
        context.terminal_width = 100
        parts += [f"## {' '.join(path)}\n", f"```text\n{command.get_help(context)}\n```\n"]
    return "\n".join(parts)


def _walk(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, below in sorted(command.commands.items()):
            yield from _walk(below, (*path, name))


def schemas() -> str:
    """Give names and types of the columns of every table."""
    parts = [
        "# Types of columns\n",
        "As Polars has them; [columns](../columns.md) says what each means.\n",
    ]
    for name, value in sorted(vars(schema).items()):
        if isinstance(value, pl.Schema):
            title = name.removesuffix("_SCHEMA").replace("_", " ").capitalize()
            rows = [f"| `{column}` | `{dtype}` |" for column, dtype in value.items()]
            parts += [f"## {title}\n", "| column | type |\n| --- | --- |", *rows, ""]
    return "\n".join(parts)


def python() -> str:
    """Give signatures and docstrings of what the package offers."""
    parts = ["# Python\n", "`import lambda_replay as lr`; all names below are its own.\n"]
    for name in lambda_replay.__all__:
        value = getattr(lambda_replay, name)
        if not callable(value):
            continue
        parts += [f"## {name}\n", f"```python\n{_signature(name, value)}\n```\n"]
        parts.append(f"```text\n{inspect.getdoc(value) or ''}\n```\n")
        if inspect.isclass(value) and not issubclass(value, BaseException):
            parts += _methods(value)
    return "\n".join(parts)


def _methods(owner: type) -> Iterator[str]:
    for name, value in sorted(vars(owner).items()):
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        yield f"### {owner.__name__}.{name}\n"
        yield f"```python\n{_signature(name, function)}\n```\n"
        yield f"```text\n{inspect.getdoc(function) or ''}\n```\n"


def _signature(name: str, value: Any) -> str:
    try:
        return f"{name}{inspect.signature(value)}"
    except ValueError:
        return name


def examples() -> str:
    """Give the example scripts, each under the question that it answers."""
    parts = [
        "# Examples\n",
        "Each runs as it stands, on the trace of the package or on one that is given to it.\n",
    ]
    for path in sorted(_EXAMPLES.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        question = source.split('"""', 2)[1].strip().splitlines()[0]
        parts += [f"## {question}\n", f"`examples/{path.name}`\n", f"```python\n{source}```\n"]
    return "\n".join(parts)
