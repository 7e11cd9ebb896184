"""How text may look on a stream: width, colour, characters; names made harmless."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import click
from rich.cells import cell_len

from lambda_replay.exceptions import escape
from lambda_replay.lines import fitting, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MARGIN", "Look", "is_terminal"]

#: Where the text begins; labels stand before it.
MARGIN = 14

#: The screen never gets wider, so that it looks the same everywhere and fits a log.
WIDTH = 100
#: Below this a table is no table any more; lines then wrap as they must.
NARROWEST = 60


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a stream is a terminal that understands cursor movements and colours."""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:
        return False


@dataclass(frozen=True)
class Look:
    """What a stream can show.

    Attributes
    ----------
    width
        Cells per line.
    colour
        Whether escape sequences are wanted.
    encoding
        What the characters will be written in.
    """

    width: int = WIDTH
    colour: bool = False
    encoding: str = "utf-8"

    @classmethod
    def of(cls, stream: TextIO | None) -> Look:
        """Find out what a stream can show."""
        terminal = is_terminal(stream)
        width = shutil.get_terminal_size((WIDTH, 40)).columns if terminal else WIDTH
        return cls(
            width=max(NARROWEST, min(WIDTH, width)),
            colour=terminal and not os.environ.get("NO_COLOR"),
            encoding=getattr(stream, "encoding", None) or "utf-8",
        )

    @property
    def ellipsis(self) -> str:
        """What stands for what is left out."""
        return "…" if self.can("…") else "~"

    def can(self, text: str) -> bool:
        """Tell whether all of a text exists in the encoding."""
        try:
            text.encode(self.encoding)
        except UnicodeError:
            return False
        return True

    def plain(self, text: str) -> str:
        """Make any text harmless: one line, nothing that a terminal obeys, encodable."""
        shown = escape(text)
        return shown.encode(self.encoding, "backslashreplace").decode(self.encoding)

    def name(self, text: str, cells: int) -> str:
        """Make a name harmless and at most ``cells`` wide, shortened in the middle."""
        return name_of(text, cells, self.plain, self.ellipsis)

    def pad(self, text: str, cells: int, *, right: bool = False) -> str:
        """Fill up to ``cells`` with spaces."""
        space = " " * max(0, cells - cell_len(text))
        return space + text if right else text + space

    def wrap(
        self, label: str, items: Iterable[str], indent: int, most: int, joint: str
    ) -> list[str]:
        """Set items as a paragraph beside a label.

        Parameters
        ----------
        label
            Stands in the margin of the first line.
        items
            Harmless texts; breaks fall between words.
        indent
            Width of the margin.
        most
            Lines that it may take; items that do not fit are counted at the end.
        joint
            Stands between items.
        """
        given = list(items)
        for shown in range(len(given), -1, -1):
            left = len(given) - shown
            more = [f"{left} more with --verbose"] if left else []
            lines = self._filled(joint.join([*given[:shown], *more]), self.width - indent)
            if len(lines) <= most or shown == 0:
                break
        return [(label if at == 0 else "").ljust(indent) + text for at, text in enumerate(lines)]

    def _filled(self, text: str, cells: int) -> list[str]:
        lines: list[str] = []
        for word in text.split():
            short = self.name(word, cells)
            if lines and cell_len(lines[-1]) + 1 + cell_len(short) <= cells:
                lines[-1] += f" {short}"
            else:
                lines.append(short)
        return lines

    def fill(self, parts: Iterable[str], most: int, joint: str = ", ") -> list[str]:
        """Set parts, painted or not, on lines beside the margin; breaks fall between parts.

        Parameters
        ----------
        parts
            In order.
        most
            Lines that they may take; the last may get too long.
        joint
            Stands between parts.
        """
        room, lines = self.width - MARGIN, [""]
        for part in parts:
            longer = f"{lines[-1]}{joint}{part}"
            end = len(joint.rstrip())
            fits = cell_len(click.unstyle(longer)) + end <= room or len(lines) == most
            if not lines[-1]:
                lines[-1] = part
            elif fits:
                lines[-1] = longer
            else:
                lines[-1] += joint.rstrip()
                lines.append(part)
        return [line for line in lines if line]

    def clip(self, line: str) -> str:
        """Cut a line that is too long after all; on a narrow terminal long lines may wrap."""
        bare = click.unstyle(line)
        if cell_len(bare) <= WIDTH:
            return line
        return fitting(bare, WIDTH - 1) + self.ellipsis

    def paint(self, text: str, colour: str | None = None, *, bold: bool = False) -> str:
        """Colour a text where that is wanted."""
        return click.style(text, fg=colour, bold=bold or None) if self.colour else text

    def dim(self, text: str) -> str:
        """Make a text recede where that is possible."""
        return click.style(text, dim=True) if self.colour else text
