"""Results as Markdown, for a comment under a pull request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lambda_replay.lines import name_of
from lambda_replay.measures import shown, shown_change
from lambda_replay.report import contents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambda_replay.report.material import (
        ComparisonMaterial,
        Material,
        RunMaterial,
        SweepMaterial,
    )

__all__ = ["markdown"]

_MOST: Final = 12
_FIRST: Final = (
    *("throttled", "dropped", "expired", "discarded", "error", "pending", "loss_rate", "throttles"),
    *("cold_starts", "spillover_invocations", "wait_ms.p99", "async_age_ms.p99"),
    *("iterator_age_ms.p99", "lock_wait_s", "max_concurrency", "billed_s", "cost_usd.total"),
)
_MARKS_OF_CHECKS: Final = {"better": "✅", "fails": "❌", "unclear": "❔"}
_MARKS: Final = {"better": "✅ better", "worse": "❌ worse"}
#: Names that nothing is made of wherever they stand: no markup, no address, nobody's handle.
_INERT: Final = re.compile(r"[A-Za-z0-9]+(?:[ -][A-Za-z0-9]+)*")
_TICKS: Final = re.compile(r"`+")


def _name(value: object, cells: int = 48) -> str:
    """Give a name from a trace or a scenario as itself: as code where it could mean something.

    In code GitHub sees no markup, no links and no mentions, and people can read it as it is.
    """
    plain = name_of(str(value), cells)
    if _INERT.fullmatch(plain):
        return plain
    fence = "`" * (1 + max((len(run) for run in _TICKS.findall(plain)), default=0))
    space = " " if plain[:1] in {"`", " ", ""} or plain[-1:] in {"`", " "} else ""
    return f"{fence}{space}{plain}{space}{fence}"


def _own(text: str) -> str:
    """Give words of ours: of what they are made of only this means something."""
    return text.replace("<", "&lt;")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> list[str]:
    """Set rows; the cells are harmless already."""
    if not rows:
        return []
    rule = ["---" if at < texts else "---:" for at in range(len(head))]
    lines = [[cell.replace("|", "\\|") for cell in row] for row in (head, rule, *rows)]
    return [f"| {' | '.join(row)} |" for row in lines] + [""]


def markdown(material: Material) -> str:
    """Give the answers of each part, then the numbers that lead to them, in GitHub's Markdown."""
    lines: list[str] = []
    for one in material.comparisons:
        lines += _comparison(one)
    for found in material.sweeps:
        lines += _sweep(found)
    if not material.comparisons:
        for run in material.runs:
            lines += _run(run)
    return "\n".join(lines).rstrip() + "\n"


def _comparison(one: ComparisonMaterial) -> list[str]:
    base, *others = one.names
    rows = []
    for row in one.table.to_dicts():
        verdicts = [row[f"{name}_verdict"] for name in others]
        if row["measure"] not in _FIRST or all(said in {None, "same"} for said in verdicts):
            continue
        cells = [f"`{row['measure']}`", shown(row["measure"], row[base])]
        for name, said in zip(others, verdicts, strict=True):
            change = shown_change(row["measure"], row[f"{name}_change"])
            mark = _MARKS.get(said or "", said or "")
            cells += [shown(row["measure"], row[name]), f"{change} {mark}".strip()]
        rows.append((row["measure"], cells))
    rows.sort(key=lambda pair: _FIRST.index(pair[0]))
    head = ["measure", _name(base)]
    for name in others:
        head += [_name(name), "difference"]
    lines = [f"### {', '.join(_name(name) for name in others)} against {_name(base)}", ""]
    lines += _table(head, [cells for _, cells in rows]) or ["No measure differs.", ""]
    worse = one.functions
    if not worse.is_empty():
        worse = worse.filter(worse["verdict"] == "worse")
    if not worse.is_empty():
        lines.append(
            f"<details><summary>Worse for {worse['function'].n_unique()} functions</summary>\n"
        )
        lines += _table(
            ["function", "scenario", "measure", "from", "to"],
            [
                [
                    _name(row["function"]),
                    _name(row["scenario"]),
                    f"`{row['measure']}`",
                    shown(row["measure"], row["base"]),
                    shown(row["measure"], row["value"]),
                ]
                for row in worse.head(_MOST).to_dicts()
            ],
            texts=3,
        )
        lines += ["</details>", ""]
    seeds = len(one.seeds)
    said = f"{seeds} seeds; better and worse are said where all agree" if seeds > 1 else "one seed"
    return [*lines, f"<sub>lambda-replay, {said}</sub>", ""]


def _run(run: RunMaterial) -> list[str]:
    lines = [f"### {_name(run.name)}", "", _own(contents.answer(run)), ""]
    if run.checks:
        rows = [
            [
                _name(one.get("expression", ""), 100),
                " ".join((_MARKS_OF_CHECKS[kind], said)),
                "-" if one.get("value") is None else f"{one['value']:,.6g}",
            ]
            for one in run.checks
            for said, kind in [contents.verdict(one)]
        ]
        lines += _table(["condition", "answer", "value"], rows, texts=2)
    rows = [[_own(label), _own(value)] for value, label, _ in contents.tiles(run)]
    lines += _table(["", ""], rows)
    return [*lines, f"<sub>{_name(contents.subtitle(run), 200)}</sub>", ""]


def _sweep(one: SweepMaterial) -> list[str]:
    points = one.points
    measures = [
        name
        for name in ("cost_usd.total", "loss_rate", "throttled", "cold_starts", "wait_ms.p99")
        if name in points.columns
    ]
    rows = [
        [
            *(_name(row[key], 30) for key in one.keys),
            *(shown(name, row[name]) for name in measures),
        ]
        for row in points.head(_MOST * 2).to_dicts()
    ]
    lines = [f"### {_name(one.name)}: {points.height:,} points", ""]
    head = [*(_name(key) for key in one.keys), *(f"`{name}`" for name in measures)]
    lines += _table(head, rows, texts=0)
    if points.height > len(rows):
        lines += [f"{points.height - len(rows):,} more points.", ""]
    return lines
