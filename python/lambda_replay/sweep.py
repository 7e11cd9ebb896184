"""Many values of some keys: a grid, pairs, or a sample of them, over one decode of the trace."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import io
import itertools
import json
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lambda_replay import _core
from lambda_replay.checks import Number
from lambda_replay.exceptions import IntegrityError, OutputError, show
from lambda_replay.measures import ACCOUNT_MEASURES, flat
from lambda_replay.output import atomic_path, writing
from lambda_replay.replay import choose_scenario
from lambda_replay.several import replay_several

if TYPE_CHECKING:
    from collections.abc import Callable

    from lambda_replay.engine import Progress
    from lambda_replay.ingest import TraceLike
    from lambda_replay.ingest.bad_rows import BadRows
    from lambda_replay.readers.base import ReadOptions
    from lambda_replay.results import ReplayResult
    from lambda_replay.scenario import Scenario

__all__ = ["MOST_POINTS", "pareto_front", "points_of", "sweep"]

#: More points than these are a mistake rather than a question.
MOST_POINTS: Final = 100_000
_MANIFEST: Final = "sweep.json"
_POINTS: Final = "points"
_TABLE: Final = "points.parquet"


def sweep(
    trace: TraceLike,
    scenario: Scenario | None = None,
    grid: Mapping[str, Sequence[object]] | None = None,
    *,
    zipped: bool = False,
    samples: int | None = None,
    seed: int | None = None,
    output: str | os.PathLike[str] | None = None,
    scheduler: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    read: ReadOptions | None = None,
    bad: BadRows | None = None,
) -> pl.DataFrame:
    """Replay a trace under every combination of some values.

    Parameters
    ----------
    trace, scenario, seed
        As for :func:`lambda_replay.replay`.
    grid
        Values by dotted key.
    zipped
        Take the values of all keys in step rather than every combination.
    samples
        Replay so many of the combinations, drawn by the seed.
    output
        A folder that keeps finished points: what is there already is not replayed again.
    scheduler
        Address of a Dask scheduler whose workers replay the points; they read the trace
        themselves, under the same name.
    progress
        Told how far all replays together are, in rows.
    read
        How the trace is read.
    bad
        What becomes of bad rows; afterwards it tells what was found.

    Returns
    -------
    DataFrame
        A row per point, in the order of the grid (the last key changes fastest): a column per key
        and one per measure of the summary, by its dotted name.

    Raises
    ------
    ScenarioError
        A point is no valid scenario; nothing was replayed then.
    IntegrityError
        The folder is that of another sweep.
    ResourceError
        The scheduler is not reached, or its workers are lost.
    ValueError
        There are no values, or too many points.
    """
    given = {} if grid is None else grid
    points = points_of(given, zipped=zipped, samples=samples, seed=seed or 0)
    base = choose_scenario(trace, scenario, seed)
    scenarios = [_at(base, point) for point in points]
    folder = (
        None if output is None else _Folder.open(Path(output), base, given, trace, _way(read, bad))
    )
    found: dict[int, dict[str, Number | None]] = {}
    if folder is not None:
        for place, one in enumerate(scenarios):
            if (measures := folder.read(one)) is not None:
                found[place] = measures
    left = [place for place in range(len(points)) if place not in found]

    def keep(place: int, measures: dict[str, Number | None], about: Mapping[str, Any]) -> None:
        found[left[place]] = measures
        if folder is not None:
            folder.write(scenarios[left[place]], points[left[place]], measures, about)

    def finished(place: int, result: ReplayResult) -> None:
        keep(place, flat(result.summary.to_dict()), result.summary.trace)

    chosen = [scenarios[place] for place in left]
    if not chosen:
        pass
    elif scheduler is None:
        replay_several(trace, chosen, done=finished, progress=progress, read=read, bad=bad)
    else:
        from lambda_replay.distributed import replay_on  # noqa: PLC0415 - an extra

        if bad is not None and bad.policy == "quarantine":
            message = "workers have no file for bad rows: skip them, or put them aside with convert"
            raise ValueError(message)
        replay_on(scheduler, _paths(trace), chosen, keep, read=read, bad=bad)
    frame = _frame(given, points, [found[place] for place in range(len(points))])
    if folder is not None:
        folder.finish(frame)
    return frame


def points_of(
    grid: Mapping[str, Sequence[object]],
    *,
    zipped: bool = False,
    samples: int | None = None,
    seed: int = 0,
) -> list[dict[str, object]]:
    """List the points of a grid.

    Raises
    ------
    ValueError
        There are no values, too many points, or, in step, not as many of each.
    """
    if not isinstance(grid, Mapping) or not grid:
        message = 'nothing to sweep: give values by key, {"account.concurrency": [500, 1000]}'
        raise ValueError(message)
    for key, values in grid.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            message = f"{key} needs a list of values, not {show(values)}"
            raise ValueError(message)
    lengths = {key: len(values) for key, values in grid.items()}
    if zipped:
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{key} has {many}" for key, many in lengths.items())
            message = f"taken in step, keys have as many values each: {counts}"
            raise ValueError(message)
        rows = list(zip(*grid.values(), strict=True))
    else:
        many = 1
        for length in lengths.values():
            many *= length
        if many > MOST_POINTS and samples is None:
            message = (
                f"{many:,} points; at most {MOST_POINTS:,} are replayed, or draw some: samples"
            )
            raise ValueError(message)
        if samples is not None and samples < many:
            drawn = sorted(random.Random(seed).sample(range(many), samples))  # noqa: S311
            return [_point(grid, number) for number in drawn]
        rows = list(itertools.product(*grid.values()))
    found = [dict(zip(grid, row, strict=True)) for row in rows]
    if samples is not None and samples < len(found):
        drawn = sorted(random.Random(seed).sample(range(len(found)), samples))  # noqa: S311
        return [found[number] for number in drawn]
    return found


def _point(grid: Mapping[str, Sequence[object]], number: int) -> dict[str, object]:
    """Give one combination by its place in the grid."""
    point: dict[str, object] = {}
    for key in reversed(list(grid)):
        values = grid[key]
        number, place = divmod(number, len(values))
        point[key] = values[place]
    return {key: point[key] for key in grid}


def _at(base: Scenario, point: Mapping[str, object]) -> Scenario:
    return base.with_many(point)


def _paths(trace: TraceLike) -> list[str]:
    """Name the files of a trace, for those who read it elsewhere."""
    names = list(trace) if isinstance(trace, list | tuple) else [trace]
    files = [os.fspath(name) for name in names if isinstance(name, str | os.PathLike)]
    if "-" in files or len(files) < len(names):
        message = (
            "workers read the trace themselves: give the path of a file that they see, or a URL"
        )
        raise ValueError(message)
    return files


def _frame(
    grid: Mapping[str, Sequence[object]],
    points: Sequence[Mapping[str, object]],
    found: Sequence[Mapping[str, Number | None]],
) -> pl.DataFrame:
    columns: list[pl.Series] = []
    for key in grid:
        values = [point[key] for point in points]
        kinds = {type(value) for value in values}
        if kinds <= {int, float} and len(kinds) > 1:
            values = [float(value) for value in values if isinstance(value, int | float)]
        elif len(kinds) > 1 or not kinds <= {int, float, str, bool}:
            values = [value if isinstance(value, str) else json.dumps(value) for value in values]
        columns.append(pl.Series(key, values))
    for name in ACCOUNT_MEASURES:
        measures = [one.get(name) for one in found]
        whole = all(isinstance(value, int) for value in measures if value is not None)
        kind = pl.Int64() if whole and any(one is not None for one in measures) else pl.Float64()
        columns.append(pl.Series(name, measures, dtype=kind, strict=False))
    return pl.DataFrame(columns)


def pareto_front(
    frame: pl.DataFrame, cost: str = "cost_usd.total", against: str = "loss_rate"
) -> pl.Series:
    """Tell which points no other one beats: none is as good in both and better in one.

    Parameters
    ----------
    frame
        What :func:`sweep` gave.
    cost, against
        Two measures, both better when lower.

    Returns
    -------
    Series
        Boolean, by row; false where a measure has no value.
    """
    rows = list(zip(frame[cost].to_list(), frame[against].to_list(), strict=True))
    order = sorted(
        (place for place, row in enumerate(rows) if None not in row), key=lambda place: rows[place]
    )
    front: set[int] = set()
    best: float | None = None
    last: tuple[object, object] | None = None
    for place in order:
        row = rows[place]
        if best is None or row[1] < best:
            best, last = row[1], row
            front.add(place)
        elif row == last:
            front.add(place)
    return pl.Series("pareto", [place in front for place in range(len(rows))])


@dataclass(frozen=True)
class _Folder:
    """Finished points of a sweep, a file each."""

    path: Path

    @classmethod
    def open(
        cls,
        path: Path,
        base: Scenario,
        grid: Mapping[str, Sequence[object]],
        trace: TraceLike,
        way: object,
    ) -> _Folder:
        about = {
            "schema_version": 1,
            "version": _core.__version__,
            "trace": _identity(trace),
            "reading": way,
            "keys": list(grid),
            "scenario": base.digest(),
        }
        manifest = path / _MANIFEST
        try:
            (path / _POINTS).mkdir(parents=True, exist_ok=True)
            known = json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else None
        except OSError as error:
            message = f"cannot keep points in {show(str(path))}: {error.strerror}"
            raise OutputError(message) from None
        except ValueError:
            known = {}
        if known is None:
            with writing(manifest), atomic_path(manifest) as temporary:
                temporary.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        elif known != about:
            odd = ", ".join(key for key in about if known.get(key) != about[key]) or "its manifest"
            message = f"{show(str(path))} holds another sweep: {odd} differ"
            raise IntegrityError(message, hint="give another folder, or remove that one")
        return cls(path)

    def _file(self, scenario: Scenario) -> Path:
        return self.path / _POINTS / f"{scenario.digest()[:32]}.json"

    def read(self, scenario: Scenario) -> dict[str, Number | None] | None:
        file = self._file(scenario)
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            data = None
        if not isinstance(data, dict) or data.get("scenario") != scenario.digest():
            message = f"{show(str(file))} is no point of this sweep"
            raise IntegrityError(message, hint="remove it, and it is replayed again")
        measures: dict[str, Number | None] = data["measures"]
        return measures

    def write(
        self,
        scenario: Scenario,
        point: Mapping[str, object],
        measures: Mapping[str, Number | None],
        about: Mapping[str, Any],
    ) -> None:
        file = self._file(scenario)
        document = {
            "scenario": scenario.digest(),
            "point": dict(point),
            "measures": dict(measures),
            "rows": about["rows"],
        }
        with writing(file), atomic_path(file) as temporary:
            temporary.write_text(json.dumps(document) + "\n", encoding="utf-8")

    def finish(self, frame: pl.DataFrame) -> None:
        file = self.path / _TABLE
        with writing(file), atomic_path(file) as temporary:
            frame.write_parquet(temporary)


def _way(read: ReadOptions | None, bad: BadRows | None) -> object:
    """Tell one way of reading a trace from another."""
    policy = None if bad is None else [bad.policy, bad.most]
    return [None if read is None else repr(read), policy]


def _identity(trace: TraceLike) -> object:
    """Tell one trace from another without reading it: names, sizes and times of its files."""
    if isinstance(trace, pl.DataFrame):
        return [trace.height, trace.columns, _digest(trace)]
    names = list(trace) if isinstance(trace, list | tuple) else [trace]
    found: list[object] = []
    for name in names:
        if not isinstance(name, str | os.PathLike):
            message = "points of a trace that is neither files nor a data frame cannot be kept"
            raise ValueError(message)  # noqa: TRY004 - the combination is what is wrong
        found.extend(_state(os.fspath(name)))
    return found


def _state(name: str) -> list[object]:
    """Give size and time of a file, of those of a folder, or of those that a pattern finds."""
    path = Path(name)
    files = [path] if path.is_file() else sorted(path.rglob("*")) if path.is_dir() else []
    if not files and "://" not in name:
        files = [Path(one) for one in sorted(glob.glob(name, recursive=True))]  # noqa: PTH207
    states: list[object] = []
    for file in files:
        with contextlib.suppress(OSError):
            state = file.stat()
            states.append([str(file), state.st_size, state.st_mtime_ns])
    return [name, states]


def _digest(frame: pl.DataFrame) -> str:
    """Tell frames apart by every value."""
    written = io.BytesIO()
    frame.write_ipc(written, compression="uncompressed")
    return hashlib.sha256(written.getbuffer()).hexdigest()
