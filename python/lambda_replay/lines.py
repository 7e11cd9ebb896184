"""Results as a few lines of plain text of at most 100 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from lambda_replay.exceptions import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["WIDTH", "fitting", "name_of", "set_table", "trace_name", "wrap"]

WIDTH: Final = 100
_GAP: Final = 2


def name_of(
    text: str, cells: int = 32, plain: Callable[[str], str] = escape, ellipsis: str = "…"
) -> str:
    """Make a name from a trace or a scenario harmless, and short by leaving out its middle."""
    if len(text) > 8 * cells:
        # Its ends are all that can show; names of a megabyte are no reason to wait.
        text = text[: 4 * cells] + text[-4 * cells :]
    shown = plain(text)
    if cell_len(shown) <= cells:
        return shown
    tail = (cells - 1) // 2
    head = cells - 1 - tail
    return fitting(shown, head) + ellipsis + fitting(shown[::-1], tail)[::-1]


def trace_name(traces: Sequence[str], cells: int) -> str:
    """Call a trace by what was given, the first of several by its name."""
    more = f" and {len(traces) - 1} more" if len(traces) > 1 else ""
    first = "standard input" if traces[0] == "-" else name_of(traces[0], max(8, cells - len(more)))
    return first + more


def fitting(text: str, cells: int) -> str:
    """Take as many characters from the start as fit."""
    used = 0
    for at, character in enumerate(text):
        used += cell_len(character)
        if used > cells:
            return text[:at]
    return text


def set_table(rows: Sequence[Sequence[str]], *, left: int = 1, indent: int = 0) -> list[str]:
    """Set rows as columns, the first of them being the head.

    Parameters
    ----------
    rows
        Harmless texts, as many in each.
    left
        So many columns begin on the left, the others end on the right.
    indent
        Spaces before each line.
    """
    widths = [max(cell_len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for at, (text, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - cell_len(text))
            cells.append(text + space if at < left else space + text)
        lines.append(fitting((" " * indent + (" " * _GAP).join(cells)).rstrip(), WIDTH))
    return lines


def wrap(
    label: str, items: Sequence[str], *, joint: str = ", ", margin: int = 14, most: int = 3
) -> list[str]:
    """Set items as a paragraph beside a label; those that do not fit are counted."""
    for shown in range(len(items), -1, -1):
        left = len(items) - shown
        text = joint.join([*items[:shown], *([f"and {left} more"] if left else [])])
        lines: list[str] = []
        for word in text.split(" "):
            if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= WIDTH - margin:
                lines[-1] += f" {word}"
            else:
                lines.append(fitting(word, WIDTH - margin))
        if len(lines) <= most or shown == 0:
            return [
                (label if at == 0 else "").ljust(margin) + line for at, line in enumerate(lines)
            ]
    return []
