"""Draws cases with everything in them that the reference models: all features, swarm style.

Each case first draws which groups of features it has, then values. Times stand on a coarse grid,
so that ties are common; some are moved by a microsecond. Owns no rule but those that make a
scenario a valid one: what is reserved and provisioned fits into the account.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import polars as pl
from hypothesis import strategies as st

from differential.strategies import (
    BATCHES,
    BEGIN,
    MINUTE,
    MS,
    Case,
    Chooser,
    Column,
    Drawn,
    S,
    chance,
    pick,
    row_uid,
)
from reference.settings import ERAS

Section = dict[str, Any]
Row = dict[str, Any]
#: Steps from row to row, and durations, in microseconds.
Pace = tuple[tuple[int, ...], tuple[int, ...]]

NAMES = ("f", "g", "h")
#: A little before a month ends: what a month has is counted by month.
END_OF_MONTH = 1_775_001_590 * S
#: Eras with a choice of ephemeral storage, and those with much memory.
WITH_STORAGE = ("2023-11", "2025-08")
WITH_MEMORY = ("2020-12", *WITH_STORAGE)
MOST_MEMORY_MB = 3_008
GROUPS = (
    "pool", "limits", "scaling", "provisioned", "clients", "async", "errors", "timeouts",
    "extensions", "state", "changes", "faults", "replay", "money", "finer",
)  # fmt: skip
#: What some cases are about, with the groups it needs: rules that need several things at once.
THEMES: dict[str, tuple[str, ...]] = {
    "": (),
    "rates": ("async",),
    "tracking": ("provisioned",),
    "locks": ("state", "timeouts"),
    "callers": ("clients", "state", "limits"),
}


@dataclass(frozen=True)
class Draw:
    """What a case draws from: its chooser, its theme and groups of features, its times."""

    chooser: Chooser
    theme: str
    groups: frozenset[str]
    begin: int
    unit: int
    fine: bool

    def on(self, group: str, percent: int = 100) -> bool:
        """Tell whether a feature is on: its group is, and luck has it."""
        return group in self.groups and chance(self.chooser, percent)

    def some(self, percent: int, **values: Any) -> Section:
        """Return one of the values of each key, where luck has it."""
        return {
            key: pick(self.chooser, choices)
            for key, choices in values.items()
            if chance(self.chooser, percent)
        }

    def instant(self, most_s: int) -> int:
        """Draw an instant on the grid, or one microsecond beside it."""
        near = pick(self.chooser, (0, 0, 1, -1)) if self.fine else 0
        return self.begin + S * self.chooser.integer(0, most_s) + near


# ---- scenario ------------------------------------------------------------------------------


def draw_account(draw: Draw) -> Section:
    """Draw ``[account]``; at least what is reserved and provisioned below is its concurrency."""
    chooser = draw.chooser
    section: Section = {"min_unreserved": 0, "concurrency": pick(chooser, (6, 7, 8, 12))}
    if chance(chooser, 60):
        section["era"] = pick(chooser, ERAS)
    if draw.on("pool"):
        section |= draw.some(
            50,
            idle=(
                {"policy": "none"},
                {"policy": "fixed", "seconds": 5},
                {"policy": "fixed", "seconds": 2},
                {"policy": "halving", "seconds": 7},
                {"policy": "halving", "seconds": 3},
                {"policy": "uniform", "seconds": [2, 9]},
            ),
            env=({"max_lifetime": "off"}, {"max_lifetime": 11}, {"max_lifetime": [5, 30]}),
            reuse_policy=("mru", "lru", "fifo", "random"),
        )
        section |= draw.some(25, proactive_fraction=(0.5, 1.0), init_timeout_s=(2, "off"))
    if draw.on("errors"):
        section |= draw.some(50, error=({"reset": "destroy"}, {"reset": "suppressed_init"}))
    if draw.on("limits"):
        section |= draw.some(
            60,
            requests_per_second=("off", 1, 2, 3),
            rps=(
                {"mode": "token_bucket"},
                {"window_s": 2},
                {"mode": "token_bucket", "window_s": 3},
            ),
        )
    if draw.on("scaling"):
        section["scaling"] = draw_scaling(draw)
    if draw.on("async"):
        section["async"] = draw.some(
            50,
            jitter_half=(0, 0, 0.125, 0.5),
            expiry=("predictive", "deadline"),
            dispatch_s=(0, 1),
        )
    if draw.on("money"):
        section |= draw.some(60, pricing=({"free_tier": True},), billing=({"aborted_init": True},))
    return section


def draw_scaling(draw: Draw) -> Any:
    """Draw ``account.scaling``."""
    if chance(draw.chooser, 10):
        return "off"
    section: Section = {"capacity": pick(draw.chooser, (1, 2, 1, 3))}
    section["refill_per_s"] = pick(draw.chooser, (0.25, 0.5, 1))
    section |= draw.some(40, scope=("region", "function"), rps_coupling=(True, False))
    section |= draw.some(40, mode=("continuous", "step", "sliding"))
    if section.get("mode") == "step":
        section["step_s"] = pick(draw.chooser, (5, 2))
    return section


def draw_provisioned(draw: Draw, most: int) -> Any:
    """Draw provisioned concurrency of at most so many environments."""
    chooser = draw.chooser
    number = chooser.integer(0, most)
    least = chooser.integer(0, number)
    table = {
        "initial": number,
        "target_tracking": {"target": pick(chooser, (0.5, 0.7, 0.1)), "min": least, "max": most},
    }
    if chance(chooser, 50):
        least = chooser.integer(0, most)
        table["schedule"] = [{**draw_when(draw), "min": least, "max": most}]
        if chance(chooser, 30):
            table["schedule"].append({**draw_when(draw), "min": 0, "max": most})
            if len({entry.get("at", index) for index, entry in enumerate(table["schedule"])}) < 2:
                table["schedule"].pop()
    return pick(chooser, (number, number, table, {"live": number}, {"live": table}))


def draw_when(draw: Draw) -> Section:
    """Draw when an entry of a schedule takes place."""
    near = draw.begin + S * draw.chooser.integer(-100, 100)
    return pick(
        draw.chooser,
        (
            {"at": draw.instant(120)},
            {"at": draw.instant(120)},
            {"cron": "* * ? * * *"},
            {"cron": "1/2 * 1-31 * ? 2026"},
            {"cron": "0-5 8-10 ? MAR,APR MON-FRI *", "end_time": near + 70 * S},
            {"cron": "2 * ? * 2L *", "timezone": "Europe/Berlin"},
            {"cron": "* 8 1W * ? *", "start_time": near},
            {"rate": "1 minute", "start_time": near},
            {"rate": "rate(2 minutes)", "start_time": near - 1_000 * S, "end_time": near + 200 * S},
        ),
    )


def draw_tracked(draw: Draw) -> Section:
    """Draw provisioned concurrency that target tracking soon finds too little or too much."""
    target = pick(draw.chooser, (0.5, 0.7, 0.1, 0.9))
    number = pick(draw.chooser, (1, 2))
    return {
        "initial": number,
        "target_tracking": {"target": target, "min": draw.chooser.integer(0, 1), "max": 2},
    }


def draw_function(draw: Draw) -> Section:
    """Draw the section of a function."""
    chooser = draw.chooser
    section = draw.some(30, init_ms=(0, 1_000, 2_000, 10_000, 11_000, 0.001))
    if draw.on("limits", 40):
        section["reserved_concurrency"] = pick(chooser, (0, 1, 2, 2))
    if draw.theme == "tracking":
        section.pop("reserved_concurrency", None)
    if draw.on("timeouts"):
        section |= draw.some(60, timeout_s=(1, 2, 3, 5))
        section |= draw.some(20, init_timeout_s=(1, 2, "off"))
    if draw.on("money"):
        section |= draw.some(
            40,
            memory_mb=(128, 1_024, 10_240),
            duration_factor=({"128": 2.0, "3008": 0.5, "1024": 0.37}, "off"),
            architecture=("x86_64", "arm64"),
            init_billed=(True, False),
            ephemeral_storage_mb=(1_024,),
        )
    if draw.on("async"):
        section |= draw.some(
            40,
            maximum_event_age_s=(60, 61, 90, 240),
            maximum_retry_attempts=(0, 1, 2),
            on_failure=("dlq", "other"),
        )
    if draw.on("pool", 20):
        section["restore_ms"] = 500
    if draw.on("clients", 80):
        section["client_retry"] = pick(
            chooser,
            (
                "botocore_legacy",
                "botocore_standard_2020",
                "botocore_standard_2026",
                {"max_attempts": 3, "base_s": 1, "cap_s": 1, "factor": 1},
                {"max_attempts": 4, "base_s": 1, "factor": 0.5, "quota": 10},
                {"max_attempts": 3, "base_s": 1, "factor": 1, "read_timeout_s": 2},
                {"max_attempts": 2, "base_s": 0, "read_timeout_s": 1},
                "botocore_adaptive",
                {"mode": "adaptive", "max_attempts": 4, "base_s": 0.25, "factor": 1},
                {"mode": "adaptive", "max_attempts": 2, "base_s": 1, "read_timeout_s": 2},
            ),
        )
    if draw.theme == "rates":
        # One environment takes ten requests a second.
        limits: tuple[Section, ...] = (
            {"reserved_concurrency": 1},
            {"provisioned_concurrency": 1},
            {},
        )
        one = pick(chooser, limits)
        return {"init_ms": pick(chooser, (0, 1)), **one}
    if draw.theme == "tracking":
        return {**section, "provisioned_concurrency": draw_tracked(draw)}
    if draw.on("provisioned", 60):
        most = min(2, section.get("reserved_concurrency", 2))
        section["provisioned_concurrency"] = draw_provisioned(draw, most)
    return section


def draw_change(draw: Draw) -> Section:
    """Draw one change."""
    key, values = pick(
        draw.chooser,
        (
            ("functions.f.reserved_concurrency", ("off", 2, 0, 1)),
            ("functions.g.provisioned_concurrency", (1, 2, 0, {"live": 1}, {"live": 2})),
            ("functions.g.provisioned_concurrency", (0, 1, 2)),
            ("functions.g.timeout_s", (3, 1, "off")),
            ("functions.f.client_retry", ("none", "botocore_adaptive", {"read_timeout_s": 1})),
            ("functions.f.memory_mb", (128, 512)),
            ("functions.f.maximum_event_age_s", (60, 600)),
            ("functions.g.maximum_retry_attempts", (0, 2)),
            ("account.concurrency", (6, 9)),
            ("account.requests_per_second", (2, "off")),
            ("account.reuse_policy", ("lru", "fifo", "random", "mru")),
            ("account.error.reset", ("destroy", "suppressed_init")),
            ("account.proactive_fraction", (1.0, 0.5, "off")),
            ("account.async.jitter_half", (0.5, "off")),
            ("account.async.expiry", ("deadline", "predictive")),
            ("account.async.dispatch_s", (2, "off")),
            ("defaults.init_ms", (500, 0)),
        ),
    )
    most = pick(draw.chooser, (15, 100, 300))
    return {"at": draw.instant(most), "set": {key: pick(draw.chooser, values)}}


def draw_fault(draw: Draw) -> Section:
    """Draw one fault."""
    faults: tuple[Section, ...] = (
        {"slow": 2.0},
        {"slow": 0.5},
        {"init": 3.0},
        {"error": "crash"},
        {"error": "handled"},
        {"throttle": True},
    )
    what = pick(draw.chooser, faults)
    places: tuple[Section, ...] = ({}, {"function": "f"}, {"function": "?"})
    where = pick(draw.chooser, places)
    return {"at": draw.instant(20), "for_s": draw.chooser.integer(1, 20), **what, **where}


def draw_sections(draw: Draw) -> Section:
    """Draw a scenario."""
    chooser = draw.chooser
    sections: Section = {"account": draw_account(draw)}
    share = 100 if draw.theme else 80
    names = [name for name in NAMES[:2] if chance(chooser, share)]
    sections["functions"] = {name: draw_function(draw) for name in names}
    if draw.on("replay"):
        sections["replay"] = draw.some(
            40,
            seed=(1, 2**63 - 1),
            load=(2.0, 1.5, 0.5),
            time_scale=(2.0, 0.5),
            until=(draw.begin + 30 * S, draw.begin + 10 * S, draw.begin + 90 * S + 1),
        )
    if draw.on("changes"):
        count = chooser.integer(1, 3)
        sections["changes"] = [draw_change(draw) for _ in range(count)]
    if draw.on("faults"):
        sections["faults"] = [draw_fault(draw) for _ in range(chooser.integer(1, 2))]
    if draw.on("state"):
        sections["state"] = draw.some(
            60,
            discipline=("lock", "optimistic", "optimistic", "append"),
            scope=("account", "function"),
            max_lock_wait_s=(1, 2, "off"),
            max_retries=(0, 1),
            backoff_ms=(0, 500, 3_000),
        )
    return within_era(sections)


def within_era(sections: Section) -> Section:
    """Return a scenario without what its era does not have."""
    era = sections["account"].get("era", ERAS[-1])
    functions = {}
    for name, section in sections["functions"].items():
        own = dict(section)
        if era not in WITH_STORAGE:
            own.pop("ephemeral_storage_mb", None)
        if era not in WITH_MEMORY and "memory_mb" in own:
            own["memory_mb"] = min(own["memory_mb"], MOST_MEMORY_MB)
        functions[name] = own
    return {**sections, "functions": functions}


# ---- trace ---------------------------------------------------------------------------------


def draw_row(draw: Draw, at: int, names: tuple[str, ...], durations: tuple[int, ...]) -> Row:
    """Draw a row that arrives at an instant."""
    chooser = draw.chooser
    row: Row = {
        "timestamp": at,
        "function": pick(chooser, names),
        "duration_ms": pick(chooser, durations) / MS,
    }
    if draw.on("async", 50):
        row["source"] = "async"
        row |= draw.some(20, payload_bytes=(262_144, 262_145, 300_000, 400_000))
    if draw.on("extensions"):
        row |= draw.some(40, extension_ms=(500.0, 1_000.0, 3_000.0))
    if draw.on("pool"):
        row |= draw.some(30, init_ms=(0.0, 0.25, 1_000.0, 2_000.0, 12_000.0))
    if draw.on("errors"):
        row |= draw.some(50, error=("crash", "handled", "item"))
        row |= draw.some(30, error_runs=(1, 0, 2))
    if draw.on("money"):
        row |= draw.some(30, memory_mb=(256, 10_240))
    if draw.on("state", 80):
        row["state_key"] = pick(chooser, ("a", "a", "b"))
        row |= draw.some(60, state_access=("read", "write"))
    return row


def draw_rows(draw: Draw, count: int) -> list[Row]:
    """Draw a trace in order of time; a few last for minutes, so that slow things happen."""
    chooser = draw.chooser
    u = draw.unit
    usual: Pace = ((0, u, 0, 2 * u, 5 * u), (0, u, u, 2 * u, 3 * u))
    dense: Pace = ((0, 0, 50 * MS), (0, 10 * MS))
    slow: Pace = ((0, 20 * S, 30 * S, MINUTE), (u, 20 * S, 0, 40 * S))
    paces: dict[str, tuple[Pace, ...]] = {
        "": (usual, usual, usual, dense, slow),
        # More than ten a second, one after another.
        "rates": (((20 * MS,), (10 * MS, 0)), ((20 * MS, 50 * MS), (10 * MS,))),
        # Always or seldom busy for minutes.
        "tracking": (((20 * S, 30 * S), (40 * S,)), ((20 * S, 30 * S), (u,))),
        "locks": (((0, u, 0, 2 * u), (u, 2 * u, 3 * u)),),
        "callers": (((0, 100 * MS, 300 * MS), (100 * MS, u, 3 * u)), ((0, u), (u, 2 * u, 5 * u))),
    }
    steps, durations = pick(chooser, paces[draw.theme])
    if draw.fine:
        beside = tuple(one + pick(chooser, (1, -1)) for one in durations if one)
        durations = (*durations, *beside)
    if draw.on("money", 12):
        # Half a day at 10 GB is more than the free tier has.
        durations = (*durations, 43_200 * S)
    names = pick(
        chooser,
        (("f",), ("g",), ("f", "g"), ("f", "g", "f:live"), ("f", "g", "g:live", "h"), ("g:live",)),
    )
    if draw.theme in ("rates", "tracking"):
        names = (pick(chooser, NAMES[:2]),)
    rows: list[Row] = []
    at = draw.begin
    for _ in range(count):
        at += pick(chooser, steps)
        near = pick(chooser, (0, 0, 0, 1, -1)) if draw.fine else 0
        rows.append(draw_row(draw, at + near, names, durations))
    return rows


def column(name: str, rows: list[Row], dtype: pl.DataType) -> Column:
    """Return a column of the trace; null where a row lacks it."""
    return Column([row.get(name) for row in rows], dtype)


TYPES: dict[str, pl.DataType] = {
    "init_ms": pl.Float64(),
    "extension_ms": pl.Float64(),
    "source": pl.String(),
    "error": pl.Categorical(),
    "error_runs": pl.UInt32(),
    "memory_mb": pl.Int64(),
    "payload_bytes": pl.Int64(),
    "state_key": pl.String(),
    "state_access": pl.String(),
    "request_id": pl.String(),
    "row_uid": pl.Int64(),
}


def columns_of(rows: list[Row]) -> dict[str, Column]:
    """Return the columns of a trace, those that a row has."""
    columns = {
        "timestamp": column("timestamp", rows, pl.Int64()),
        "function": column("function", rows, pl.String()),
        "duration_ms": column("duration_ms", rows, pl.Float64()),
    }
    present = {name for row in rows for name in row}
    columns |= {name: column(name, rows, dtype) for name, dtype in TYPES.items() if name in present}
    return columns


def draw_columns(draw: Draw, rows: list[Row]) -> dict[str, Column]:
    """Draw how a trace is written down."""
    chooser = draw.chooser
    if draw.on("finer", 30):
        for position, row in enumerate(rows):
            row["row_uid"] = row_uid(position)
    if draw.on("finer", 30):
        for position, row in enumerate(rows):
            if chance(chooser, 70):
                row["request_id"] = f"r-{position}"
    columns = columns_of(rows)
    if draw.on("finer", 40):
        finer = [row["timestamp"] * 1_000 + pick(chooser, (0, 1, 999)) for row in rows]
        columns["timestamp"] = Column(finer, pl.Datetime("ns"))
    elif draw.on("finer", 40):
        columns["timestamp"] = column("timestamp", rows, pl.Datetime("us", "UTC"))
    if draw.on("finer", 40):
        exact = [
            int(Fraction(row["duration_ms"]) * MS) * 1_000 + pick(chooser, (0, 499, 500, 501))
            for row in rows
        ]
        columns["duration_ms"] = Column(exact, pl.Duration("ns"))
    return columns


def from_rows(sections: Section, rows: list[Row], batch_rows: int) -> Case:
    """Return a case of the reference's own generator, as the product takes it."""
    account = {**sections.get("account", {}), "min_unreserved": 0}
    rows = [
        {**row, **{name: float(row[name]) for name in row if name.endswith("_ms")}} for row in rows
    ]
    return Case(within_era({**sections, "account": account}), columns_of(rows), batch_rows)


@st.composite
def everything(draw: st.DrawFn) -> Case:
    """Draw a case of :func:`draw_everything`."""
    return draw_everything(Drawn(draw))


def draw_everything(chooser: Chooser) -> Case:
    """Draw a scenario and a trace of up to 25 rows."""
    share = pick(chooser, (20, 40, 60))
    theme = pick(chooser, ("", "", "", "", *THEMES))
    groups = {group for group in GROUPS if chance(chooser, share)}
    draw = Draw(
        chooser,
        theme,
        frozenset(groups.union(THEMES[theme])),
        begin=pick(chooser, (BEGIN, BEGIN, BEGIN + 45 * S, END_OF_MONTH)),
        unit=pick(chooser, (S, S, 500 * MS)),
        fine=chance(chooser, 25),
    )
    sections = draw_sections(draw)
    count = pick(chooser, (20, 25) if theme else (3, 1, 8, 15, 25))
    rows = draw_rows(draw, count)
    if chance(chooser, 15) and count > 1:
        place = chooser.integer(0, count - 2)
        rows[place], rows[place + 1] = rows[place + 1], rows[place]
    return Case(sections, draw_columns(draw, rows), pick(chooser, BATCHES))
