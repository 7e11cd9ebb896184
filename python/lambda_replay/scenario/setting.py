"""What a default or a range is made of: the value, the rule, the source, whether AWS says so."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Generic, TypeVar

__all__ = ["Range", "Setting"]

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Setting(Generic[T_co]):
    """One number or choice, with the rule that gives it.

    Attributes
    ----------
    value
        The value itself.
    rule
        Id of the rule in the semantics documents; ``-`` for a bound of our own.
    source
        Where the rule has it from, or why we chose it.
    documented
        Whether AWS says so. False marks a choice that a run has to name.
    """

    value: T_co
    _: KW_ONLY
    rule: str
    source: str
    documented: bool


@dataclass(frozen=True, slots=True)
class Range:
    """Whole numbers from ``minimum`` to ``maximum``, both included."""

    minimum: int
    maximum: int
    step: int = 1

    def __contains__(self, value: int) -> bool:
        return self.minimum <= value <= self.maximum and (value - self.minimum) % self.step == 0

    def __str__(self) -> str:
        if self.minimum == self.maximum:
            return f"{self.minimum} only"
        steps = f" in steps of {self.step}" if self.step != 1 else ""
        return f"{self.minimum} to {self.maximum}{steps}"
