"""Charts as SVG and PNG, from the specifications that the page draws."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from lambda_replay.exceptions import OutputError
from lambda_replay.output import atomic_path, writing
from lambda_replay.report import charts
from lambda_replay.report.extra import check_extra, vl_convert
from lambda_replay.report.theme import LIGHT, Theme

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lambda_replay.report.material import Material

__all__ = ["write_pictures"]

_WIDTH: Final = 760
_OF_RUN: Final = (
    *("concurrency", "throttles", "throttles_by_limit", "blame", "cold_starts", "waits"),
    *("async_events", "async_age", "iterator_age", "backlog", "locks", "cost"),
)


def write_pictures(folder: Path, material: Material, theme: Theme = LIGHT) -> list[Path]:
    """Write each chart as ``NAME.svg`` and ``NAME.png``.

    Parameters
    ----------
    folder
        Made where it is not there. Of several runs, names begin with their number.
    material
        What is drawn.
    theme
        Colours.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    ResourceError
        Altair or vl-convert is not installed.
    OutputError
        A file cannot be written.
    """
    check_extra()
    convert = vl_convert()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot write into {folder}: {error.strerror or error}"
        raise OutputError(message) from None
    found = []
    for name, chart in _named(material, theme):
        spec = json.dumps(chart.properties(width=_WIDTH).to_dict())
        svg = convert.vegalite_to_svg(spec)
        for path, data in (
            (folder / f"{name}.svg", svg.encode()),
            (folder / f"{name}.png", convert.svg_to_png(svg, scale=2)),
        ):
            with writing(path), atomic_path(path) as temporary:
                temporary.write_bytes(data)
            found.append(path)
    return found


def _named(material: Material, theme: Theme) -> Iterator[tuple[str, Any]]:
    drawn: list[tuple[str, Any | None]] = []
    for at, one in enumerate(material.comparisons):
        drawn.append((f"comparison-{at}" if at else "comparison", charts.comparison(one, theme)))
    for at, points in enumerate(material.sweeps):
        drawn.append((f"sweep-{at}" if at else "sweep", charts.sweep(points, theme)))
    several = len(material.runs) > 1
    for at, run in enumerate(material.runs):
        head = f"{at}-" if several else ""
        drawn += [(f"{head}{name}", getattr(charts, name)(run, theme)) for name in _OF_RUN]
    for name, chart in drawn:
        if chart is not None:
            yield name, chart
