"""Pages made from the code name all that the code has."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import lambda_replay
from lambda_replay import schema
from lambda_replay.cli.app import app

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_pages", _ROOT / "tools" / "docs_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_and_option_has_its_place(tool: ModuleType) -> None:
    page = tool.commands()
    for name, command in app.commands.items():
        assert f"## lambda-replay {name}\n" in page
        for parameter in command.params:
            for option in parameter.opts:
                assert not option.startswith("-") or option in page


def test_every_column_has_its_type(tool: ModuleType) -> None:
    page = tool.schemas()
    for column, dtype in schema.OUTCOME_SCHEMA.items():
        assert f"| `{column}` | `{dtype}` |" in page


def test_every_public_name_is_explained(tool: ModuleType) -> None:
    page = tool.python()
    for name in lambda_replay.__all__:
        assert name.startswith("__") or f"## {name}\n" in page


def test_every_example_is_shown_under_its_question(tool: ModuleType) -> None:
    page = tool.examples()
    scripts = sorted((_ROOT / "examples").glob("*.py"))
    assert len(scripts) >= 5
    for path in scripts:
        assert path.read_text(encoding="utf-8") in page
