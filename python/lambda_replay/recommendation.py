"""How large, and why: what :func:`lambda_replay.size` answers, and how people read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len

from lambda_replay.checks import parse
from lambda_replay.figures import count
from lambda_replay.lines import WIDTH, name_of, set_table, wrap
from lambda_replay.measures import shown

if TYPE_CHECKING:
    import polars as pl

    from lambda_replay.checks import Number
    from lambda_replay.results import ReplayResult

__all__ = ["Recommendation"]


@dataclass(frozen=True)
class Recommendation:
    """How large, and why.

    Attributes
    ----------
    what, key
        What was sized, and the key of the scenario that was set.
    target
        What was to be met.
    value
        The smallest size from which on every larger one up to the demand's peak meets the target
        (``downstream``: the largest up to which every smaller one does); None where there is none.
    smallest
        The smallest size that meets it at all (``downstream``: the largest).
    table
        A row per size that was replayed: ``size``, ``meets``, then measures.
    failing
        Sizes between ``smallest`` and ``value`` that fail.
    exact
        Whether every size that could change the answer was replayed, or is known from a proof.
    proof
        Why.
    current
        What the scenario says now; None where nothing.
    peak
        What the demand needs at most, without the limit.
    notes
        What else follows: break-even, schedule, a paragraph for a quota request.
    result
        The replay of :attr:`value`, or of the smallest that meets the target; None where none does.
    """

    what: str
    key: str
    target: str
    value: int | None
    smallest: int | None
    table: pl.DataFrame
    failing: tuple[int, ...]
    exact: bool
    proof: str
    current: int | None
    peak: int
    notes: tuple[tuple[str, str], ...] = ()
    result: ReplayResult | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, for JSON."""
        names = ("what", "key", "target", "value", "smallest", "exact", "proof", "current", "peak")
        return {
            "schema_version": 1,
            **{name: getattr(self, name) for name in names},
            "failing": list(self.failing),
            "notes": [{"about": about, "text": text} for about, text in self.notes],
            "table": self.table.to_dicts(),
        }

    def __str__(self) -> str:
        return "\n".join(_text(self))


# ---------------------------------------------------------------------------- for people


def _text(found: Recommendation) -> list[str]:
    now = "now none" if found.current is None else f"now {count(found.current)}"
    if found.value is None and found.smallest is None:
        lines = [f"{found.key}: no size", f"target        {found.target} ({now})"]
        lines += wrap("why", [found.proof])
    else:
        head = "from some size on: none" if found.value is None else count(found.value)
        lines = [f"{found.key} = {head}", f"target        {found.target} ({now})"]
        if found.smallest != found.value and found.smallest is not None:
            word = "largest" if found.what == "downstream" else "smallest"
            lines += wrap(
                word,
                [
                    f"{count(found.smallest)} meets it too, but not every size in between:"
                    f" {', '.join(map(count, found.failing[:8]))}"
                    + (f" and {len(found.failing) - 8} more" if len(found.failing) > 8 else "")
                    + (" fails" if len(found.failing) == 1 else " fail")
                ],
            )
        lines += wrap("proof", [found.proof])
    if not found.exact:
        lines += wrap("", ["not every size was replayed: one in between might differ"])
    lines.append("")
    lines += _rows(found)
    lines.append("")
    for about, text in found.notes:
        lines += wrap(about, [text], most=6)
    return lines


def _rows(found: Recommendation) -> list[str]:
    """Show the sizes around the answer, and an even choice of the others."""
    rows = found.table.to_dicts()
    if not rows:
        return []
    sizes = [row["size"] for row in rows]
    near = {
        one
        for end in (found.value, found.smallest, found.current)
        if end is not None
        for one in (end - 1, end, end + 1)
    }
    step = max(1, len(sizes) // 6)
    wanted = {*(one for one in sizes if one in near), *sizes[::step], sizes[-1], *found.failing[:3]}
    columns = _columns(found)
    table = [["size", "meets", *columns.values()]]
    for row in rows:
        if row["size"] in wanted:
            cells = [
                _cell(parse(found.target).measure if name == "target" else name, row[name])
                for name in columns
            ]
            table.append([count(row["size"]), "yes" if row["meets"] else "no", *cells])
    return set_table(_narrow(table[:20]), left=0)


#: Columns that are left out first where a table gets too wide, by their heads.
_LEFT_OUT: Final = (
    *("its spillover_invocations", "its wait_ms.max", "its iterator_age_ms.max", "cold_starts"),
    *("its cold_starts", "cost_usd.total"),
)


def _columns(found: Recommendation) -> dict[str, str]:
    """Choose the columns that are shown: names and heads."""
    there = found.table.columns
    own = [
        name
        for name in there
        if name.startswith("function.") and not found.table[name].is_null().all()
    ]
    common = ["throttled", "loss_rate", "cold_starts", "connections"]
    if found.what in {"maximum_concurrency", "shards"}:
        # How late records are; a stream's wait says the same as its iterator age.
        names = ["loss_rate", *own[:2], "cost_usd.total"]
    else:
        names = [*common, "cost_usd.total"]
        names += [name for name in own if name != "function.utilisation"][:2]
    heads = {name: name.replace("function.", "its ") for name in names if name in there}
    return _target_column(found) | heads


def _target_column(found: Recommendation) -> dict[str, str]:
    """Give the column of what was to be met, where no other one shows it."""
    if "target" not in found.table.columns:
        return {}
    check = parse(found.target)
    if check.function is None:
        return {} if check.measure in found.table.columns else {"target": check.measure}
    if f"function.{check.measure}" in found.table.columns:
        return {}
    return {"target": f"{check.measure} of {name_of(check.function, 20)}"}


def _narrow(table: list[list[str]]) -> list[list[str]]:
    """Leave out columns until the table fits."""
    for head in _LEFT_OUT:
        widths = [max(cell_len(row[at]) for row in table) for at in range(len(table[0]))]
        if sum(widths) + 2 * (len(widths) - 1) <= WIDTH:
            break
        if head in table[0]:
            place = table[0].index(head)
            table = [row[:place] + row[place + 1 :] for row in table]
    return table


def _cell(name: str, value: Number | None) -> str:
    if name == "connections":
        return "-" if value is None else count(int(value))
    return shown(name.removeprefix("function."), value)
