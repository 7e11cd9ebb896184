"""Columns of text that fit the width: the first gives way, then whole columns do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from lambda_replay.cli.screen.look import Look

__all__ = ["Column", "lay_out"]

_GAP = 2
_NAME_LEAST, _NAME_MOST = 20, 44
#: Room for the head of the first column.
_SHORTEST = len("function")


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    head
        What stands above it.
    cells
        Its texts, harmless ones.
    left
        Whether texts begin on the left.
    drop
        The column with the highest number goes first where there is no room; 0 stays.
    """

    head: str
    cells: Sequence[str]
    left: bool = False
    drop: int = 0

    @property
    def width(self) -> int:
        """What it needs."""
        return max(map(cell_len, [self.head, *self.cells]))


def lay_out(head: str, names: Sequence[str], columns: Sequence[Column], look: Look) -> list[str]:
    """Lay out a table.

    Parameters
    ----------
    head, names
        The first column: raw names, which are made harmless and shortened here, below a head that
        loses what follows its comma where there is no room.
    columns
        The others.
    look
        Width and characters.

    Returns
    -------
    list of str
        The head, then a line per name, unpainted.
    """
    kept = list(columns)
    # Short names need less.
    widest = max(cell_len(look.name(name, _NAME_LEAST)) for name in names)
    least = max(_SHORTEST, min(_NAME_LEAST, widest))
    while True:
        room = look.width - sum(column.width + _GAP for column in kept)
        droppable = [column for column in kept if column.drop]
        if room >= least or not droppable:
            break
        kept.remove(max(droppable, key=lambda column: column.drop))
    room = max(_SHORTEST, min(room, _NAME_MOST))
    shown = [look.name(name, room) for name in names]
    if cell_len(head) > room:
        head = head.partition(",")[0]
    width = max(map(cell_len, [head, *shown]))
    lines = []
    for at, name in enumerate([head, *shown]):
        parts = [look.pad(name, width)]
        for column in kept:
            cell = column.head if at == 0 else column.cells[at - 1]
            parts.append(look.pad(cell, column.width, right=not column.left))
        lines.append((" " * _GAP).join(parts).rstrip())
    return lines
