"""Measure lambda-replay: the core, the pipeline, memory and start-up, beside what else there is.

Makes the traces, builds what is needed, runs all contestants of a group in turn (A B C A B C …) and
prints what each took and whether the project's promises hold. Nothing here fails for being slow;
a wrong result does.

Examples
--------
::

    python benches/run.py --peers ../peers --large --json results.json
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contestants import WORKLOADS, Tools, core_group, end_to_end_group, start_up_group
from measure import finish, judge, rounds, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from measure import Group, Round

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
#: Beyond this, (max - min) / median is marked: somebody else was using the machine.
NOISY: Final = 0.2


def main() -> int:
    """Run the benchmarks; 1 where two engines disagree."""
    arguments = parse()
    arguments.data.mkdir(parents=True, exist_ok=True)
    tools = build(arguments.data.resolve(), arguments.peers)
    make_traces(tools, large=arguments.large)
    groups = [core_group(tools, workload) for workload in WORKLOADS]
    groups.append(end_to_end_group(tools, large=arguments.large))
    groups.append(start_up_group())
    document: dict[str, Any] = {"machine": machine(), "groups": []}
    print("\n".join(f"{key}: {value}" for key, value in document["machine"].items()))
    if tools.peers is None:
        print("baselines: skipped; --peers DIR or LAMBDA_REPLAY_PEERS says where they are")
    try:
        for group in groups:
            taken = list(rounds(group, arguments.runs))
            print_group(group, taken)
            document["groups"].append(describe(group, taken))
    except ValueError as error:
        print(f"engines disagree: {error}", file=sys.stderr)
        return 1
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    peers = os.environ.get("LAMBDA_REPLAY_PEERS")
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--peers",
        type=Path,
        default=Path(peers) if peers else None,
        help="folder with rust_heap.rs, numba_heap.py and common.py (LAMBDA_REPLAY_PEERS)",
    )
    parser.add_argument("--large", action="store_true", help="50 M rows end to end, not 10 M")
    parser.add_argument("--runs", type=int, default=5, help="rounds per group (default: 5)")
    parser.add_argument("--data", type=Path, default=HERE / "data", help="where the traces go")
    parser.add_argument("--json", type=Path, help="file for every sample")
    return parser.parse_args()


def build(data: Path, peers: Path | None) -> Tools:
    """Build the core's program, and the baseline where its source is."""
    core = build_core()
    # As the baseline is built, in a folder of its own so that neither has to be built anew.
    native = "--config=build.rustflags=['-C','target-cpu=native']"
    core_native = build_core(native, "--target-dir", str(ROOT / "target" / "native"))
    rust_heap = None
    if peers is not None:
        rust_heap = data / "rust_heap"
        flags = ("--edition", "2021", "-C", "opt-level=3", "-C", "target-cpu=native")
        finish(("rustc", *flags, peers / "rust_heap.rs", "-o", rust_heap))
    return Tools(data, core, core_native, peers, rust_heap)


def build_core(*options: str) -> Path:
    """Build the core's program; where it is."""
    command = ["cargo", "build", "--release", "--quiet", "--message-format", "json", *options]
    command += ["--manifest-path", str(ROOT / "Cargo.toml")]
    command += ["--package", "lambda-replay-core", "--example", "core_bench"]
    built, *_ = finish(command)
    messages = [json.loads(line) for line in built.splitlines()]
    return next(Path(m["executable"]) for m in reversed(messages) if m.get("executable"))


def make_traces(tools: Tools, *, large: bool) -> None:
    """Generate what is missing, in a process of its own: this one must stay small."""
    wanted = {
        1: {"raw": ".raw", "peers": ".peers.parquet"},
        10: {"trace": ".parquet", "raw": ".raw", "peers": ".peers.parquet"},
    }
    if large:
        wanted[50] = {"trace": ".parquet", "raw": ".raw"}
    for millions, forms in wanted.items():
        stem = tools.data / f"{millions}m"
        missing = [form for form, suffix in forms.items() if not Path(f"{stem}{suffix}").exists()]
        if tools.peers is None and "peers" in missing:
            missing.remove("peers")
        if missing:
            command = [sys.executable, str(HERE / "generate.py"), str(stem)]
            command += ["--rows", str(millions * 1_000_000), "--forms", *missing]
            print(finish(command)[0], end="")


def print_group(group: Group, taken: list[Round]) -> None:
    """Print what each contestant of a group took, and the claims."""
    print(f"\n### {group.title}\n")
    head = ("", "min s", "median s", "max s", "M rows/s", "CPU s", "peak MB", "")
    rows = []
    for contestant in group.contestants:
        samples = [samples[contestant.name] for samples in taken]
        times = spread([sample.seconds for sample in samples])
        noisy = times.high - times.low > NOISY * times.middle
        rows.append(
            (
                contestant.name,
                *(f"{value:.3f}" for value in (times.low, times.middle, times.high)),
                f"{contestant.rows / times.middle / 1e6:.1f}" if contestant.rows else "",
                f"{spread([sample.cpu_s for sample in samples]).middle:.2f}",
                f"{max(sample.peak_mb for sample in samples):.0f}",
                "noisy" if noisy else "",
            )
        )
    print_table(head, rows)
    if not group.claims:
        return
    rows = []
    for claim in group.claims:
        figures, holds = judge(claim, taken)
        values = (f"{value:.3g}" for value in (figures.low, figures.middle, figures.high))
        rows.append((claim.label, *values, claim.promise, "pass" if holds else "MISS"))
    print()
    print_table(("per round", "min", "median", "max", "promised", ""), rows)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table whose columns line up, all but the first to the right."""
    widths = [max(3, *map(len, column)) for column in zip(head, *rows, strict=True)]
    rules = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for row in (head, rules, *rows):
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[0] = row[0].ljust(widths[0])
        print("| " + " | ".join(cells) + " |")
    sys.stdout.flush()


def describe(group: Group, taken: list[Round]) -> dict[str, Any]:
    """Everything that was measured in a group, for the JSON file."""
    claims = []
    for claim in group.claims:
        figures, holds = judge(claim, taken)
        claims.append(
            {
                "label": claim.label,
                "promised": claim.promise,
                "holds": holds,
                **asdict(figures),
                "rounds": [claim.figure(samples) for samples in taken],
            }
        )
    samples = [{name: asdict(sample) for name, sample in round_.items()} for round_ in taken]
    return {"title": group.title, "rounds": samples, "claims": claims}


def machine() -> dict[str, str]:
    """Say where and on what this was measured."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = next(line for line in cpuinfo.splitlines() if line.startswith("model name"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = subprocess.run(
        ("git", "-C", ROOT, "describe", "--always", "--dirty"),
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{model.partition(': ')[2]}, {os.cpu_count()} cores, {memory:.0f} GiB",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "commit": commit or "unknown",
        "versions": ", ".join(
            [
                f"Python {platform.python_version()}",
                *(f"{name} {_version(name)}" for name in ("polars", "numpy", "numba")),
                finish(("rustc", "--version"))[0].partition(" (")[0],
            ]
        ),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


if __name__ == "__main__":
    sys.exit(main())
