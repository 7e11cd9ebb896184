"""Numbers as people read them."""

from __future__ import annotations

import pytest

from lambda_replay.figures import mean, money


@pytest.mark.parametrize(
    ("usd", "of", "text"),
    [
        (0, None, "$0"),
        (0.000_000_01, None, "<$0.0000001"),
        (0.000_012_4, None, "$0.0000124"),
        (0.04, None, "$0.04"),
        (0.5859, None, "$0.586"),
        (1.5, None, "$1.50"),
        (123.456, None, "$123.46"),
        (12_345.6, None, "$12,346"),
        (0.0004, 0.586, "<$0.001"),
        (0.03, 0.586, "$0.030"),
        (3.0, 12_345.6, "$3"),
        (0.2, 12_345.6, "<$1"),
        (0.0, 5.0, "$0"),
    ],
)
def test_money(usd: float, of: float | None, text: str) -> None:
    assert money(usd, of) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.01234, "0.0123"), (10.64, "10.6"), (999.6, "1,000"), (1_018.3, "1,018")]
)
def test_mean(value: float, text: str) -> None:
    assert mean(value) == text
