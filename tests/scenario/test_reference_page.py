"""The reference of keys says what the models say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def test_the_page_of_keys_is_up_to_date() -> None:
    tool = _ROOT / "tools" / "make_scenario_reference.py"
    spec = importlib.util.spec_from_file_location("make_scenario_reference", tool)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = (_ROOT / "docs" / "scenario.md").read_text(encoding="utf-8")
    assert found == module.page(), f"make it anew: python {tool.name} > docs/scenario.md"
