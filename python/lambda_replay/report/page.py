"""One HTML file that opens without a network: everything it needs stands in it."""

from __future__ import annotations

import base64
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lambda_replay.output import atomic_path, writing
from lambda_replay.report import charts, contents
from lambda_replay.report.extra import check_extra, vl_convert
from lambda_replay.report.tables import text
from lambda_replay.report.theme import PAGE

if TYPE_CHECKING:
    from pathlib import Path

    from lambda_replay.report.material import (
        ComparisonMaterial,
        Material,
        RunMaterial,
        SweepMaterial,
    )

__all__ = ["page", "write_report"]


@dataclass
class _Body:
    """HTML as it grows, and the specifications of its charts by the id of their element."""

    parts: list[str] = field(default_factory=list)
    specs: dict[str, Any] = field(default_factory=dict)

    def add(self, *parts: str) -> None:
        self.parts += parts

    def figures(self, *drawn: tuple[str, str, Any | None], wide: bool = False) -> bool:
        """Add those charts that there are, side by side where there is room."""
        there = [(title, said, chart) for title, said, chart in drawn if chart is not None]
        if not there:
            return False
        self.add('<div class="charts">')
        for title, said, chart in there:
            name = f"chart-{len(self.specs)}"
            spec = chart.to_dict(validate=False)
            spec["autosize"] = {"type": "fit-x", "contains": "padding"}
            spec["description"] = title
            self.specs[name] = spec
            kind = ' class="wide"' if wide or len(there) == 1 else ""
            self.add(
                f"<figure{kind}><h3>{text(title)}</h3><figcaption>{text(said)}</figcaption>",
                f'<div class="chart" id="{name}"></div></figure>',
            )
        self.add("</div>")
        return True


def write_report(path: Path, material: Material, *, title: str = "") -> None:
    """Write the page; the file appears complete or not at all.

    Raises
    ------
    ResourceError
        Altair or vl-convert is not installed.
    OutputError
        The file cannot be written.
    """
    written = page(material, title=title)
    with writing(path), atomic_path(path) as temporary:
        temporary.write_text(written, encoding="utf-8")


def page(material: Material, *, title: str = "") -> str:
    """Give the page as HTML.

    Parameters
    ----------
    material
        What it shows.
    title
        Its title; the name of what it shows where left out.

    Raises
    ------
    ResourceError
        Altair or vl-convert is not installed.

    Notes
    -----
    Texts of the trace and of the scenario are data: they are escaped in HTML and in the JSON of the
    charts. The policy of the page names its three inline parts by their digests and allows nothing
    else, so that a text that got past the escaping could still not run, load or send anything.
    """
    check_extra()
    # Putting Vega together takes seconds, and so does reading the metrics.
    with ThreadPoolExecutor(1) as worker:
        vega = worker.submit(_vega)
        body = _body(material, title)
        return _document(body, _title(material, title), vega.result())


def _body(material: Material, title: str) -> _Body:
    body = _Body()
    _head(body, material, title)
    for at, one in enumerate(material.comparisons):
        _comparison(body, one, at)
    for at, found in enumerate(material.sweeps):
        _sweep(body, found, at)
    for at, run in enumerate(material.runs):
        _run(body, run, at, alone=len(material.runs) == 1 and not material.comparisons)
    return body


def _title(material: Material, title: str) -> str:
    if title:
        return title
    if material.comparisons:
        first, *others = material.comparisons[0].names
        return f"{', '.join(others)} against {first}"
    if len(material.runs) == 1 and not material.sweeps:
        return (
            ", ".join(map(str, material.runs[0].summary["trace"]["paths"])) or material.runs[0].name
        )
    named = [*(one.name for one in material.runs), *(one.name for one in material.sweeps)]
    return ", ".join(named) or "nothing"


def _head(body: _Body, material: Material, title: str) -> None:
    body.add(f"<h1>{text(_title(material, title))}</h1>")
    links = [(f"comparison-{at}", "differences") for at, _ in enumerate(material.comparisons)]
    links += [(f"sweep-{at}", one.name) for at, one in enumerate(material.sweeps)]
    links += [(f"run-{at}", one.name) for at, one in enumerate(material.runs)]
    if len(links) > 1:
        said = "".join(f'<a href="#{name}">{text(label)}</a>' for name, label in links)
        body.add(f"<nav>{said}</nav>")


def _comparison(body: _Body, one: ComparisonMaterial, at: int) -> None:
    base = one.names[0]
    body.add(f'<h2 id="comparison-{at}">Differences to {text(base)}</h2>')
    if len(one.seeds) > 1:
        said = (
            f"{len(one.seeds)} seeds, the same on all sides. The band goes from the least to the"
            " greatest difference; zero within it is no improvement."
        )
    else:
        said = "One seed, the same luck on all sides; compare --repeat 5 gives bands."
    body.add(f'<p class="muted">{text(said)}</p>')
    drawn = charts.comparison(one, PAGE)
    body.figures(("Relative differences", "per measure; lines are bands over the seeds", drawn))
    body.add(contents.comparison_table(one))
    if moved := contents.changed_table(one):
        body.add("<h3>For whom</h3>", moved)


def _sweep(body: _Body, one: SweepMaterial, at: int) -> None:
    body.add(f'<h2 id="sweep-{at}">{text(one.name)}: {one.points.height:,} points</h2>')
    drawn = charts.sweep(one, PAGE)
    body.figures(("Cost against loss", "a dot per point", drawn))
    body.add(contents.points_table(one))


def _run(body: _Body, run: RunMaterial, at: int, *, alone: bool) -> None:
    if not alone:
        body.add(f'<h2 id="run-{at}">{text(run.name)}</h2>')
    body.add(
        f'<p class="muted">{text(contents.subtitle(run))}</p>',
        f'<p class="answer">{text(contents.answer(run))}</p>',
    )
    if run.checks:
        body.add("<h3>Checks</h3>", contents.checks_table(run))
    body.add('<div class="tiles">')
    for value, label, bad in contents.tiles(run):
        kind = "tile bad" if bad else "tile"
        body.add(f'<div class="{kind}"><b>{text(value)}</b><span>{text(label)}</span></div>')
    body.add("</div>")
    if run.metrics is None:
        said = "No charts over time: run … --metrics FILE writes what they need."
        body.add(f'<p class="muted">{text(said)}</p>')
    _charts(body, run)
    if run.blame is not None and not run.blame.is_empty():
        body.add("<h2>Who held the capacity</h2>")
        body.figures(
            (
                "Held at refusals",
                "mean over refusals; stronger: more units",
                charts.blame(run, PAGE),
            )
        )
        body.add(contents.blame_table(run.blame))
    if run.sources is not None and not run.sources.is_empty():
        body.add("<h2>Event sources</h2>", contents.sources_table(run.sources))
    if run.keys is not None and not run.keys.is_empty():
        body.add("<h2>Shared records</h2>", contents.keys_table(run.keys))
    functions = contents.functions_frame(run)
    if functions is not None:
        body.add("<h2>Functions</h2>", contents.functions_table(functions))
    if said_of := contents.notes(run):
        body.add("<h2>What the numbers rest on</h2><dl>")
        for label, items in said_of:
            body.add(f"<dt>{text(label)}</dt><dd>{'<br>'.join(text(one) for one in items)}</dd>")
        body.add("</dl>")


def _charts(body: _Body, run: RunMaterial) -> None:
    over_time = (
        (
            "Concurrency",
            "peaks; dashed: the account's limit, where it is near",
            charts.concurrency(run, PAGE),
        ),
        ("Throttles by function", "429s, retries included", charts.throttles(run, PAGE)),
    )
    body.figures(*over_time, wide=True)
    body.figures(
        ("Throttles by cause", "the limit that bound", charts.throttles_by_limit(run, PAGE)),
        ("Cold starts", "requests that waited for an init", charts.cold_starts(run, PAGE)),
        ("Waits and runs", "percentiles, logarithmic", charts.waits(run, PAGE)),
        ("Asynchronous events", "received and dropped", charts.async_events(run, PAGE)),
        ("Age of asynchronous events", "the oldest", charts.async_age(run, PAGE)),
        ("Iterator age", "by event source, the oldest", charts.iterator_age(run, PAGE)),
        ("Backlog", "messages visible in each queue", charts.backlog(run, PAGE)),
        ("Waits for shared records", "all runs together", charts.locks(run, PAGE)),
        ("Cost", "what it is made of, and what costs most", charts.cost(run, PAGE)),
    )


# ---------------------------------------------------------------------------- the document


@cache
def _vega() -> str:
    """Give Vega, Vega-Lite and their embedding as one script."""
    bundle: str = vl_convert().javascript_bundle()
    # Nothing in a script may look like its end.
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _own(name: str) -> str:
    return files("lambda_replay.report").joinpath(name).read_text(encoding="utf-8")


def _digest(part: str) -> str:
    found = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
    return f"'sha256-{found}'"


def _json(value: object) -> str:
    """Write JSON that no HTML parser takes for markup."""
    written = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for character in "<>&\u2028\u2029":
        written = written.replace(character, f"\\u{ord(character):04x}")
    return written


def _document(body: _Body, title: str, vega: str) -> str:
    script, style = _own("page.js"), _own("page.css")
    policy = (
        f"default-src 'none'; script-src {_digest(vega)} {_digest(script)};"
        f" style-src {_digest(style)}; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{text(title)} · lambda-replay</title>\n"
        f"<style>{style}</style></head>\n<body>\n"
        + "\n".join(body.parts)
        + "\n<noscript><p>Charts and sorting need JavaScript; all numbers are in the tables.</p>"
        f'</noscript>\n<script type="application/json" id="charts">{_json(body.specs)}</script>\n'
        f"<script>{vega}</script>\n<script>{script}</script>\n</body></html>\n"
    )
