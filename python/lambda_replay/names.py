"""Names of functions: what is the function and what its qualifier (Z9)."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["LATEST", "LONGEST_NAME", "split"]

#: The qualifier of a name without one.
LATEST: Final = "$LATEST"

#: No name or ARN is as long, nor any pair of hashes; longer ones are another column.
LONGEST_NAME: Final = 1_024

#: A name, a partial ARN or a full ARN, each with or without a qualifier.
_NAME: Final = re.compile(
    r"(?:arn:[^:]*:lambda:[^:]*:\d*:function:|(?:[^:]+:)?\d{12}:function:|\d{12}:)?"
    r"(?P<bare>[^:]+)(?::(?P<qualifier>[^:]*))?"
)


def split(name: str) -> tuple[str, str] | None:
    """Split the name of a function as the Invoke API takes it.

    Parameters
    ----------
    name
        ``checkout``, ``checkout:live``, or an ARN of either.

    Returns
    -------
    tuple of str, or None
        Bare name and qualifier; none is ``$LATEST``, so ``f`` and ``f:$LATEST`` are one pool (Z9).
        None where the text is no name of a function.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return match["bare"], match["qualifier"] or LATEST
