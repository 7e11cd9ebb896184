"""A choice in force that AWS does not document: what a run names when it touched its numbers."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Undocumented"]


class Undocumented(NamedTuple):
    """A choice in force that AWS does not document.

    Attributes
    ----------
    key
        The key that decides it; where none does, what it is about.
    value
        In words or in the key's own unit.
    rule
        In the semantics documents.
    sentence
        For people.
    facts
        Of `choices.FACTS`: it touches runs that had one of them; every run where there are none.
    """

    key: str
    value: object
    rule: str
    sentence: str
    facts: tuple[str, ...] = ()
