"""Colours of charts: fixed ones for pictures and notebooks, the page's own for the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

__all__ = ["DARK", "LIGHT", "PAGE", "Theme"]

_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Theme:
    """Colours by what they are for.

    The palette is that of Okabe and Ito, which people with colour-blindness tell apart, lightened
    for the dark.
    """

    background: str
    text: str
    muted: str
    grid: str
    limit: str
    better: str
    worse: str
    palette: tuple[str, ...]

    def config(self) -> dict[str, Any]:
        """Give the configuration of Vega-Lite."""
        return {
            "background": self.background,
            "font": _FONT,
            "view": {"stroke": None},
            "axis": {
                "labelColor": self.muted,
                "titleColor": self.muted,
                "gridColor": self.grid,
                "domainColor": self.grid,
                "tickColor": self.grid,
                "labelFontSize": 11,
                "titleFontSize": 11,
                "titleFontWeight": "normal",
            },
            "legend": {
                "labelColor": self.text,
                "titleColor": self.muted,
                "labelFontSize": 11,
                "labelLimit": 150,
                "symbolType": "square",
                "orient": "top",
                "columns": 2,
                "title": None,
            },
            "range": {"category": list(self.palette)},
            "text": {"color": self.text},
        }


LIGHT: Final = Theme(
    background="#ffffff",
    text="#1a1d21",
    muted="#5a626c",
    grid="#dfe3e8",
    limit="#b3261e",
    better="#007a5a",
    worse="#c2410c",
    palette=(
        *("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8c7a00"),
        "#8a929c",
    ),
)
DARK: Final = Theme(
    background="#15181c",
    text="#e6e9ed",
    muted="#a0a9b4",
    grid="#343b44",
    limit="#ff8a80",
    better="#4cd3a5",
    worse="#ff9d66",
    palette=(
        *("#4da6e0", "#f2b632", "#2fc79a", "#f07f3c", "#e29cc4", "#8fd0f5", "#cdbb3a"),
        "#8a929c",
    ),
)
#: Names of the page's own properties, which follow the reader's preference and the print.
PAGE: Final = Theme(
    background="transparent",
    text="var(--text)",
    muted="var(--muted)",
    grid="var(--grid)",
    limit="var(--limit)",
    better="var(--better)",
    worse="var(--worse)",
    palette=tuple(f"var(--c{at})" for at in range(1, len(LIGHT.palette) + 1)),
)
