"""Lets the hand-worked examples of ``tests/reference`` run in the product."""

from importlib import import_module

import pytest

#: Modules of examples, with what each owns.
MODULES = (
    *("async", "changes", "clients", "limits", "measures", "money", "provisioned", "reference"),
    *("runs", "state"),
)
for _name in MODULES:
    pytest.register_assert_rewrite(f"reference.test_{_name}")


@pytest.fixture(autouse=True)
def in_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every example replay in the product as well as in the reference."""
    from semantics.product import replay_in_both

    for name in ("worked", *(f"test_{module}" for module in MODULES)):
        module = import_module(f"reference.{name}")
        if hasattr(module, "replay"):
            monkeypatch.setattr(module, "replay", replay_in_both)
