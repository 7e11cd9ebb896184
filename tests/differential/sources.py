"""Draws cases with event sources: one or two of them, beside a few callers.

Swarm style, as in ``everything``: a case first draws which groups of features it has, then values.
Times stand on a coarse grid and most delays are drawn from it, so that ties are common. Owns the
rules that make a scenario a valid one, and those that keep a replay short: what always fails ends
by its age, its retries or its receives, or its back-off grows until retention ends it.
"""

from typing import Any

import polars as pl
from hypothesis import strategies as st

from differential.everything import TYPES, Draw, Row, Section, column
from differential.strategies import BATCHES, BEGIN, MS, Case, Chooser, Drawn, S, chance, pick

GROUPS = (
    "limits", "scaling", "errors", "items", "timeouts", "extensions", "state", "changes", "faults",
    "replay", "filters", "sizes", "timing", "options", "callers", "inits",
)  # fmt: skip
KINDS = ("kinesis", "dynamodb", "sqs", "sqs_fifo", "kafka")
KEYS = ("a", "b", "c", "d", None)
DAY_S = 86_400
MOST_VISIBILITY_S = 30


def draw_account(draw: Draw) -> Section:
    """Draw ``[account]``."""
    chooser = draw.chooser
    section: Section = {"min_unreserved": 0, "concurrency": pick(chooser, (10, 2, 3, 1))}
    if draw.on("limits", 40):
        section["requests_per_second"] = pick(chooser, (1, 2, "off"))
    if draw.on("scaling"):
        section["scaling"] = {
            "capacity": pick(chooser, (1, 2)),
            "refill_per_s": pick(chooser, (0.25, 1)),
        }
    if draw.on("inits"):
        section |= draw.some(
            60,
            idle=(
                {"policy": "none"},
                {"policy": "fixed", "seconds": 2},
                {"policy": "halving", "seconds": 3},
            ),
            reuse_policy=("mru", "lru", "fifo"),
        )
    if draw.on("errors", 40):
        section["error"] = {"reset": "destroy"}
    return section


def draw_function(draw: Draw) -> Section:
    """Draw the section of a function."""
    section: Section = {}
    if draw.on("inits"):
        section["init_ms"] = pick(draw.chooser, (0, 500, 1_000))
    if draw.on("limits"):
        section |= draw.some(60, reserved_concurrency=(1, 0, 1))
    if draw.on("timeouts"):
        section["timeout_s"] = pick(draw.chooser, (1, 2, 3))
    return section


def draw_stream(draw: Draw, kind: str) -> Section:
    """Draw a mapping of a stream."""
    chooser = draw.chooser
    section: Section = {
        "type": kind,
        "batch_size": pick(chooser, (1, 2, 3, 4, 10)),
        "shards": pick(chooser, (1, 2, 3)),
        **draw.some(40, maximum_batching_window_s=(1, 2, 5), batch_duration=("max",)),
    }
    if draw.on("options", 70):
        section |= draw.some(
            50,
            bisect_batch_on_function_error=(True,),
            on_failure=("dlq",),
            base_ms=(500, 10),
            lookahead=(1, 2, 4),
            window_anchor=("first_record",),
            iterator_age_at=("end",),
        )
    section |= draw.some(65, maximum_retry_attempts=(0, 1, 2, 3), maximum_record_age_s=(60, 61))
    if "maximum_record_age_s" in section:
        section |= draw.some(40, retry_cap_s=(1, 10), age_check=("next_attempt", "deadline"))
    else:
        # Else what is always refused would be tried each minute of a day.
        section["retry_cap_s"] = 30_000
    if draw.on("items"):
        section["report_batch_item_failures"] = chance(chooser, 80)
    if kind == "kinesis" and chance(chooser, 25):
        section["enhanced_fan_out"] = True
    if draw.on("options", 60) and not draw.on("filters"):
        section["tumbling_window_s"] = pick(chooser, (1, 2, 5, 10))
    elif chance(chooser, 40):
        section["parallelization_factor"] = pick(chooser, (2, 3))
        section |= draw.some(30, lane_block=("shard",))
    if draw.on("timing"):
        section |= draw.some(
            50,
            gap_s=(0, 1, 0.5),
            retry_s=(1, 0.5),
            child_delay_s=(0, 1, 2),
            prop_delay_s=(0, 0.5, 1),
            start_delay_s=(1, 2),
        )
    if draw.on("options", 40):
        section["reshard"] = draw_reshard(draw, section["shards"])
    return section


def draw_reshard(draw: Draw, shards: int) -> list[Section]:
    """Draw which shards are split and merged."""
    at = draw.instant(8)
    entries: list[Section] = [{"at": at, "split": draw.chooser.integer(0, shards - 1)}]
    if shards > 1 and chance(draw.chooser, 50):
        entries = [{"at": at, "merge": [0, 1]}]
    elif chance(draw.chooser, 50):
        # The children again, which are neighbours.
        entries.append({"at": at + 3 * S, "merge": [shards, shards + 1]})
    return entries


def draw_queue(draw: Draw, kind: str) -> Section:
    """Draw a mapping of a queue; its function's time-out is at most its visibility time-out."""
    chooser = draw.chooser
    section: Section = {
        "type": kind,
        "batch_size": pick(chooser, (1, 2, 3, 10)),
        "visibility_timeout_s": pick(chooser, (MOST_VISIBILITY_S, 3, 5, 10)),
        "retention_s": pick(chooser, (60, 90)),
        **draw.some(40, batch_duration=("max",)),
    }
    if kind == "sqs":
        section |= draw.some(40, maximum_batching_window_s=(1, 2, 5))
    if draw.on("items"):
        section["report_batch_item_failures"] = chance(chooser, 80)
    if draw.on("options", 80):
        section |= draw.some(50, base_ms=(500, 10), backoff=("off",))
        if chance(chooser, 50):
            section |= {
                "max_receive_count": pick(chooser, (1, 2, 3)),
                "dead_letter_queue": "dead",
            }
        section |= draw.some(60, maximum_concurrency=(2, 3))
    if draw.on("timing"):
        section |= draw.some(
            50,
            poll_latency_s=(0, 0.5, 1),
            invoke_latency_s=(0, 0.5, 1),
            throttle_retry_s=(1, 0.5),
            throttle_retry=("none",),
            start_delay_s=(1, 2),
        )
    return section


def draw_topic(draw: Draw) -> Section:
    """Draw a mapping of a topic."""
    chooser = draw.chooser
    section: Section = {
        "type": "kafka",
        "batch_size": pick(chooser, (1, 2, 3, 10)),
        "shards": pick(chooser, (1, 2, 3)),
        "retention_s": 3_600,
        "retry_cap_s": 3_000,
        **draw.some(50, maximum_batching_window_s=(1, 2), batch_duration=("max",)),
    }
    if draw.on("options"):
        section["provisioned_pollers"] = {"min": 1, "max": section["shards"]}
        section |= draw.some(
            50,
            maximum_retry_attempts=(0, 1, 2),
            maximum_record_age_s=(60, 61),
            bisect_batch_on_function_error=(True,),
            on_failure=("dlq",),
        )
        if draw.on("items"):
            section["report_batch_item_failures"] = True
    if draw.on("timing"):
        section |= draw.some(50, gap_s=(0, 1, 0.5), retry_s=(1, 0.5))
    return section


def draw_source(draw: Draw, kind: str, function: str) -> Section:
    """Draw the section of an event source."""
    if kind in ("sqs", "sqs_fifo"):
        section = draw_queue(draw, kind)
    elif kind == "kafka":
        section = draw_topic(draw)
    else:
        section = draw_stream(draw, kind)
    if kind not in ("sqs", "sqs_fifo") and draw.on("options", 10):
        section["starting_position"] = pick(draw.chooser, ("LATEST", "TRIM_HORIZON"))
    return {**section, "function": function}


def draw_change(draw: Draw, names: tuple[str, ...]) -> Section:
    """Draw one change."""
    chooser = draw.chooser
    name = pick(chooser, names)
    own: tuple[tuple[str, tuple[Any, ...]], ...] = (
        (f"event_sources.{name}.enabled", (False, True)),
        (f"event_sources.{name}.enabled", (True, False)),
        (f"event_sources.{name}.batch_size", (1, 2, 5)),
        ("functions.f.reserved_concurrency", ("off", 1, 0)),
        ("account.concurrency", (3, 9)),
    )
    key, values = pick(chooser, own)
    return {"at": draw.instant(15), "set": {key: pick(chooser, values)}}


def draw_fault(draw: Draw) -> Section:
    """Draw one fault."""
    faults: tuple[Section, ...] = (
        {"error": "handled"},
        {"error": "crash"},
        {"throttle": True},
        {"slow": 2.0},
    )
    what = pick(draw.chooser, faults)
    return {"at": draw.instant(10), "for_s": draw.chooser.integer(1, 10), **what}


def draw_sections(draw: Draw, kinds: tuple[str, ...]) -> Section:
    """Draw a scenario."""
    chooser = draw.chooser
    names = ("s", "q")[: len(kinds)]
    sources = {
        name: draw_source(draw, kind, pick(chooser, ("f", "f", "g")))
        for name, kind in zip(names, kinds, strict=True)
    }
    sections: Section = {
        "account": draw_account(draw),
        "functions": {name: draw_function(draw) for name in ("f", "g") if chance(chooser, 80)},
        "event_sources": sources,
    }
    reserved = [one.get("reserved_concurrency", 0) for one in sections["functions"].values()]
    least = sum(reserved)
    sections["account"]["concurrency"] = max(least, sections["account"]["concurrency"])
    if draw.on("changes"):
        count = chooser.integer(1, 2)
        sections["changes"] = [draw_change(draw, names) for _ in range(count)]
    if draw.on("faults"):
        sections["faults"] = [draw_fault(draw) for _ in range(chooser.integer(1, 2))]
    if draw.on("replay"):
        sections["replay"] = draw.some(
            50,
            until=(draw.begin + 10 * S, draw.begin + 5 * S + 1, draw.begin + 62 * S),
            time_scale=(2.0, 0.5),
        )
    if draw.on("state"):
        sections["state"] = draw.some(
            60,
            discipline=("lock", "optimistic", "append"),
            max_lock_wait_s=(1, 2),
            max_retries=(1,),
        )
    return sections


def draw_row(draw: Draw, at: int, sources: Section, durations: tuple[int, ...]) -> Row:
    """Draw a record, or a request of a caller."""
    chooser = draw.chooser
    row: Row = {"timestamp": at, "duration_ms": pick(chooser, durations) / MS}
    if draw.on("callers", 30):
        row |= {"source": pick(chooser, ("sync", "async")), "function": pick(chooser, ("f", "g"))}
    else:
        name = pick(chooser, tuple(sources))
        row |= {"source": name, "key": pick(chooser, KEYS)}
        section = sources[name]
        if chance(chooser, 10):
            row["function"] = section["function"]
        if draw.on("filters", 30):
            row["filtered"] = True
        if "shards" in section and "reshard" not in section and chance(chooser, 25):
            row["shard"] = chooser.integer(0, section["shards"] - 1)
        if draw.on("sizes", 50):
            row["payload_bytes"] = pick(chooser, (200_000, 1_000_000, 1))
            if section["type"] == "kinesis" and chance(chooser, 30):
                row["payload_bytes"] = pick(chooser, (3_000_000, 5_242_880))
    draw_work(draw, row)
    if sources.get(row["source"], {}).get("type") == "kafka" and "error" in row:
        row.setdefault("error_runs", 3)
    return row


def draw_work(draw: Draw, row: Row) -> None:
    """Draw what a row's runs do."""
    chooser = draw.chooser
    if draw.on("errors", 40):
        row["error"] = pick(chooser, ("handled", "crash"))
    elif draw.on("items", 40):
        row["error"] = "item"
    if "error" in row:
        row |= draw.some(75, error_runs=(1, 0, 2))
    if draw.on("extensions"):
        row |= draw.some(40, extension_ms=(500.0, 1_000.0))
    if draw.on("inits"):
        row |= draw.some(30, init_ms=(0.0, 1_000.0))
    if draw.on("state", 80):
        row["state_key"] = pick(chooser, ("k", "k", "l", "m"))
        row |= draw.some(50, state_access=("read", "write"))


SOURCE_TYPES: dict[str, pl.DataType] = {
    **TYPES,
    "key": pl.String(),
    "shard": pl.Int64(),
    "filtered": pl.Boolean(),
}


def draw_sources(chooser: Chooser, kind: str | None = None) -> Case:
    """Draw a scenario with event sources and a trace of up to 16 rows.

    Parameters
    ----------
    chooser
        Where choices come from.
    kind
        The type of the first source; any where it is null.
    """
    share = pick(chooser, (20, 40, 60))
    groups = {group for group in GROUPS if chance(chooser, share)}
    fine = chance(chooser, 20)
    draw = Draw(chooser, "", frozenset(groups), BEGIN, pick(chooser, (S, 500 * MS)), fine=fine)
    kinds: tuple[str, ...] = (kind or pick(chooser, KINDS),)
    if chance(chooser, 25):
        kinds = (*kinds, pick(chooser, KINDS))
    sections = draw_sections(draw, kinds)
    u = draw.unit
    steps, durations = pick(
        chooser,
        (
            ((0, 0, u, 2 * u), (0, u, u, 2 * u)),
            ((0, 0, 0, 20 * MS), (0, 10 * MS, 500 * MS)),
            ((0, 5 * u, 20 * u), (u, 0, 5 * u)),
            ((0, 0, 65 * S, 905 * S), (u, 0)),
        ),
    )
    at, rows = BEGIN, []
    for _ in range(pick(chooser, (3, 1, 6, 10, 16))):
        at += pick(chooser, steps)
        near = pick(chooser, (0, 0, 1, -1)) if fine else 0
        rows.append(draw_row(draw, at + near, sections["event_sources"], durations))
    columns = {
        "timestamp": column("timestamp", rows, pl.Int64()),
        "function": column("function", rows, pl.String()),
        "duration_ms": column("duration_ms", rows, pl.Float64()),
    }
    present = {name for row in rows for name in row}
    columns |= {
        name: column(name, rows, dtype) for name, dtype in SOURCE_TYPES.items() if name in present
    }
    return Case(sections, columns, pick(chooser, BATCHES))


@st.composite
def sources(draw: st.DrawFn, kind: str | None = None) -> Case:
    """Draw a case of :func:`draw_sources`."""
    return draw_sources(Drawn(draw), kind)
