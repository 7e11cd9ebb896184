"""Who runs against whom, on what, and which figures the project promises.

The facts of the workloads (counts and digests) are those that every engine of ``--peers`` agrees
on; a digest is the wrapping sum of ``end_us * (row + 1)`` over accepted rows, so whoever reproduces
it replays every single row the same.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from measure import Claim, Contestant, Group, Round

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["WORKLOADS", "Tools", "Workload", "core_group", "end_to_end_group", "start_up_group"]

HERE: Final = Path(__file__).parent

#: Promises of the project for one core and for the pipeline.
CORE_OVER_HEAP: Final = 1.2
CORE_OVER_NUMBA: Final = 2.0
RUN_OVER_SLOWER: Final = 1.3
PEAK_MB: Final = 400
PEAK_DRIFT: Final = 0.1
HELP_S: Final = 0.3
SAMPLE_S: Final = 2.0


@dataclass(frozen=True)
class Workload:
    """One trace under one account.

    Attributes
    ----------
    name
        What the tables call it.
    rows
        Rows of the trace.
    limit, idle_s
        Account concurrency, and the time after which an idle environment goes.
    facts
        What every engine must find, where it is known.
    """

    name: str
    rows: int
    limit: int
    idle_s: int
    facts: dict[str, int] | None = None

    @property
    def stem(self) -> str:
        """Name of its files, without suffix."""
        return f"{self.rows // 1_000_000}m"

    def check(self, who: str) -> Callable[[dict[str, Any]], None]:
        """Give a check of what ``who`` found."""

        def check(found: dict[str, Any]) -> None:
            for key, expected in (self.facts or {}).items():
                if found[key] != expected:
                    message = f"{who} on {self.name}: {key} is {found[key]}, not {expected}"
                    raise ValueError(message)

        return check


W1: Final = Workload(
    "w1", 1_000_000, 1_000, 600,
    {"throttled": 1_598, "cold": 4_439, "peak": 1_000, "digest": 18_060_391_168_750_948_158},
)  # fmt: skip
W2: Final = Workload(
    "w2", 1_000_000, 760, 5,
    {"throttled": 54_279, "cold": 25_068, "peak": 760, "digest": 14_442_163_299_159_972_050},
)  # fmt: skip
W1_LONG: Final = Workload(
    "w1, 10 M rows", 10_000_000, 1_000, 600,
    {"throttled": 1_245, "cold": 5_802, "peak": 1_000, "digest": 11_866_884_258_774_245_750},
)  # fmt: skip
W2_LONG: Final = Workload("w2, 10 M rows", 10_000_000, 760, 5)
W1_HUGE: Final = Workload("w1, 50 M rows", 50_000_000, 1_000, 600)

#: What the core is measured on.
WORKLOADS: Final = (W1, W2, W1_LONG, W2_LONG)


@dataclass(frozen=True)
class Tools:
    """What was built or found.

    Attributes
    ----------
    data
        Folder of the traces and of what is built.
    core
        The program ``core_bench``, built as the package is: for any processor of its kind.
    core_native
        The same, built for this processor as the std-heap baseline is.
    peers
        Folder with the baselines' sources, where there is one.
    rust_heap
        The std-heap baseline, compiled.
    """

    data: Path
    core: Path
    core_native: Path
    peers: Path | None
    rust_heap: Path | None

    def file(self, workload: Workload, suffix: str) -> Path:
        """Path of one form of a workload's trace."""
        return self.data / f"{workload.stem}{suffix}"


def core_group(tools: Tools, workload: Workload) -> Group:
    """Core alone against the baselines, columns in memory."""
    contestants = [_core(tools.core_native, tools, workload)]
    claims = []
    if tools.rust_heap is not None:
        raw = tools.file(workload, ".raw")
        heap = (tools.rust_heap, raw, str(workload.limit), str(workload.idle_s))
        contestants.append(_baseline("std heap", heap, tools, workload))
        claims.append(
            Claim(
                "speed of the core / std heap",
                lambda r: r["std heap"].seconds / r["core"].seconds,
                at_least=CORE_OVER_HEAP,
            )
        )
    if tools.peers is not None:
        script = tools.peers / "numba_heap.py"
        trace = tools.file(workload, ".peers.parquet")
        limits = ("--limit", str(workload.limit), "--keepalive-s", str(workload.idle_s))
        numba = (sys.executable, script, trace, *limits)
        contestants.append(_baseline("Numba", numba, tools, workload))
        claims.append(
            Claim(
                "speed of the core / Numba",
                lambda r: r["Numba"].seconds / r["core"].seconds,
                at_least=CORE_OVER_NUMBA,
            )
        )
    return Group(f"Core alone, {workload.name}", contestants, claims)


def _core(program: Path, tools: Tools, workload: Workload) -> Contestant:
    raw = tools.file(workload, ".raw")
    return Contestant(
        "core",
        (program, raw, str(workload.limit), str(workload.idle_s)),
        workload.rows,
        clock="seconds",
        check=workload.check("core"),
    )


def _baseline(
    name: str, command: tuple[str | Path, ...], tools: Tools, workload: Workload
) -> Contestant:
    return Contestant(
        name,
        command,
        workload.rows,
        clock="replay_s",
        check=workload.check(name),
        # Nothing is left behind in the peers' folder.
        environment={
            "NUMBA_CACHE_DIR": str(tools.data / "numba"),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )


def end_to_end_group(tools: Tools, *, large: bool) -> Group:
    """``lambda-replay run`` on a Parquet file, against its two halves."""
    workload = W1_HUGE if large else W1_LONG
    trace = tools.file(workload, ".parquet")
    contestants = [
        _run("run", tools, workload),
        Contestant(
            "Polars, drained",
            (sys.executable, HERE / "drain.py", trace),
            workload.rows,
            clock="seconds",
        ),
        _core(tools.core, tools, workload),
    ]
    claims = [
        Claim(
            "wall of run / slower of core and Polars",
            lambda r: r["run"].seconds / max(r["core"].seconds, r["Polars, drained"].seconds),
            at_most=RUN_OVER_SLOWER,
        ),
        Claim("peak memory of run, MB", lambda r: r["run"].peak_mb, at_most=PEAK_MB),
    ]
    if large:
        contestants.append(_run("run, 10 M rows", tools, W1_LONG))
        claims.append(
            Claim(
                "peak memory, 50 M / 10 M rows",
                lambda r: r["run"].peak_mb / r["run, 10 M rows"].peak_mb,
                at_least=1 - PEAK_DRIFT,
                at_most=1 + PEAK_DRIFT,
            )
        )
    return Group(f"End to end, {workload.name}", contestants, claims, _check_agreement)


def _run(name: str, tools: Tools, workload: Workload) -> Contestant:
    out = tools.data / "out"
    out.mkdir(exist_ok=True)
    scenario = out / f"{workload.stem}.toml"
    scenario.write_text(
        "[account]\n"
        f"concurrency = {workload.limit}\n"
        f'idle = {{ policy = "fixed", seconds = {workload.idle_s} }}\n'
        'env = { max_lifetime = "off" }\n'
        # As the baselines: the limit and the idle time, and nothing else.
        'requests_per_second = "off"\n'
        'scaling = "off"\n'
    )
    summary = out / f"{workload.stem}.json"
    command = (
        command_line(), "run", tools.file(workload, ".parquet"), "-s", scenario,
        "--metrics", out / f"{workload.stem}.metrics.parquet", "-o", summary, "--quiet",
    )  # fmt: skip
    return Contestant(name, command, workload.rows, report=summary)


def _check_agreement(samples: Round) -> None:
    run, core = samples["run"].facts, samples["core"].facts
    for name, other in (("throttled", "throttled"), ("cold_starts", "cold")):
        if run[name] != core[other]:
            message = f"run says {name} = {run[name]}, core {core[other]}"
            raise ValueError(message)


def start_up_group() -> Group:
    """How long a user waits for the first sign of life."""
    program = command_line()
    return Group(
        "Start-up",
        [
            Contestant("--help", (program, "--help")),
            Contestant("run sample:azure2019", (program, "run", "sample:azure2019")),
        ],
        [
            Claim("--help, s", lambda r: r["--help"].seconds, at_most=HELP_S),
            Claim("the sample, s", lambda r: r["run sample:azure2019"].seconds, at_most=SAMPLE_S),
        ],
    )


def command_line() -> Path:
    """Find the installed ``lambda-replay``, that of this interpreter first."""
    beside = Path(sys.executable).parent / "lambda-replay"
    found = beside if beside.exists() else shutil.which("lambda-replay")
    if found is None:
        message = "lambda-replay is not installed: make setup"
        raise FileNotFoundError(message)
    return Path(found)
