"""Tables of a page: every text is data, and numbers say what they sort by."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lambda_replay.exceptions import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Cell", "table", "text"]


def text(value: object) -> str:
    """Give any text as harmless HTML; characters that do not print are shown as escapes."""
    return html.escape(escape(str(value)), quote=True)


@dataclass(frozen=True)
class Cell:
    """What a cell shows, what it sorts by, and its class."""

    shown: str
    value: float | None = None
    kind: str = ""


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    caption: str = "",
    texts: frozenset[int] = frozenset({0}),
) -> str:
    """Give a table that sorts by a click on its head.

    Parameters
    ----------
    head
        Names of the columns.
    rows
        As many cells in each.
    caption
        What it is.
    texts
        Places of columns that are text.
    """
    said = f"<caption>{text(caption)}</caption>" if caption else ""
    heads = "".join(
        f'<th scope="col"{_class("text" if at in texts else "")}>'
        f'<button type="button">{text(name)}</button></th>'
        for at, name in enumerate(head)
    )
    body = "".join(
        "<tr>" + "".join(_cell(cell, is_text=at in texts) for at, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table class="sorts">{said}<thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _class(names: str) -> str:
    return f' class="{names}"' if names else ""


def _cell(cell: Cell, *, is_text: bool) -> str:
    kind = " ".join(part for part in ("text" if is_text else "", cell.kind) if part)
    sort: Any = "" if is_text or cell.value is None else f' data-v="{cell.value:.9g}"'
    return f"<td{_class(kind)}{sort}>{text(cell.shown)}</td>"
