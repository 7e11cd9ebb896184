"""The optional extra that charts need."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lambda_replay.exceptions import ResourceError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["altair", "check_extra", "vl_convert"]


def _need(module: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError:
        message = f"charts need {package}, which is not installed"
        hint = "pip install 'lambda-replay[report]'"
        raise ResourceError(message, code="LR-R-REPORT", hint=hint) from None


def altair() -> Any:
    """Import Altair.

    Raises
    ------
    ResourceError
        It is not installed; the hint names the extra.
    """
    return _need("altair", "Altair")


def vl_convert() -> Any:
    """Import vl-convert, which holds Vega and draws without a browser.

    Raises
    ------
    ResourceError
        It is not installed; the hint names the extra.
    """
    return _need("vl_convert", "vl-convert-python")


def check_extra() -> None:
    """Check that both are there, before work is spent on a result.

    Raises
    ------
    ResourceError
        One of them is not installed.
    """
    altair()
    vl_convert()
