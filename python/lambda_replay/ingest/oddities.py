"""Names of functions at which a user should look twice."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["odd_names"]

#: One name in so many rows looks like a column of ids.
_ROWS_PER_NAME: Final = 10
_FEW_NAMES: Final = 100
_PAIRS: Final = 5


def odd_names(names: Sequence[str], rows: int) -> list[str]:
    """Say what is odd about the names of a trace's functions.

    Parameters
    ----------
    names
        All of them.
    rows
        Of the trace.
    """
    odd = []
    if len(names) > _FEW_NAMES and len(names) * _ROWS_PER_NAME > rows:
        odd.append(f"{len(names):,} functions in {rows:,} rows: was an id mapped to function?")
    seen: dict[str, str] = {}
    pairs = 0
    for name in names:
        folded = unicodedata.normalize("NFKC", name).casefold().strip()
        if not folded.isascii():
            folded = "".join(c for c in folded if unicodedata.category(c) != "Cf")
        other = seen.setdefault(folded, name)
        if other != name:
            pairs += 1
            if pairs <= _PAIRS:
                odd.append(f"{other!a} and {name!a} look alike and are two functions")
    return odd
