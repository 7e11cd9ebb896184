"""What became of records: which source lost or waited, which shard was blocked, what was oldest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from lambda_replay.figures import count, mean, plural, share, span_ms

if TYPE_CHECKING:
    from lambda_replay.cli.screen.look import Look
    from lambda_replay.results import ReplayResult

__all__ = ["event_sources"]

#: Room for a name in the middle of a sentence.
_NAME_CELLS = 24
#: From how many receives per message on somebody should know.
_RECEIVES = 1.05


def event_sources(result: ReplayResult, look: Look, most: int) -> list[str]:
    """Say what event sources came to, those that lost or waited most first.

    Parameters
    ----------
    result
        What the replay says.
    look
        What the stream can show.
    most
        Sources to name; each takes two lines at most, one where ``most`` is 1.
    """
    used = result.sources.filter(pl.col("records") > 0)
    if not used.height:
        return []
    rows = _by_source(used)
    lines: list[str] = []
    for row in rows[:most]:
        lines += look.fill(_parts(row, used, look), min(most, 2), joint="; ")
    left = len(rows) - most
    if left > 0:
        rest = rows[most:]
        lost = sum(row["lost"] for row in rest)
        others = plural(left, "other source")
        lines.append(f"{others}: {count(lost) if lost else 'none'} of {_records(rest)} lost")
    return lines


def _records(rows: list[dict[str, Any]]) -> str:
    return plural(sum(row["records"] for row in rows), "record")


def _by_source(used: pl.DataFrame) -> list[dict[str, Any]]:
    ages = pl.max_horizontal(
        pl.col("iterator_age_ms").struct.field("max").max(),
        pl.col("message_age_ms").struct.field("max").max(),
        pl.col("oldest_message_s").max() * 1_000,
    )
    sums = ("records", "expired", "discarded", "filtered", "never_ran", "receives", "delivered")
    return (
        used.group_by("source", "type", maintain_order=True)
        .agg(
            *(pl.col(name).sum() for name in sums),
            (pl.col("expired") + pl.col("discarded")).sum().alias("lost"),
            pl.col("backlog_peak").sum(),
            pl.col("blocked_s").max(),
            ages.alias("oldest_ms"),
        )
        .sort("lost", "blocked_s", "oldest_ms", descending=True, nulls_last=True)
        .to_dicts()
    )


def _parts(row: dict[str, Any], used: pl.DataFrame, look: Look) -> list[str]:
    name, records = look.name(row["source"], _NAME_CELLS), row["records"]
    is_queue = row["type"] in {"sqs", "sqs_fifo"}
    noun = "message" if is_queue else "record"
    if row["lost"]:
        number = look.paint(count(row["lost"]), "red", bold=True)
        how = [f"{count(row[one])} {one}" for one in ("discarded", "expired") if row[one]]
        lost = f"{number} of {plural(records, noun)} lost ({share(row['lost'], records)})"
        parts = [f"{name}: {lost}: {' and '.join(how)}"]
        if row["never_ran"]:
            parts.append(f"{count(row['never_ran'])} of them without one run")
    else:
        none = look.paint("none", "green", bold=True)
        parts = [f"{name}: {none} of {plural(records, noun)} lost"]
    if row["blocked_s"]:
        parts.append(_blocked(row, used, look))
    if row["oldest_ms"] is not None:
        what = "oldest message" if is_queue else "oldest record"
        parts.append(f"{what} {span_ms(row['oldest_ms'])}")
    if is_queue and row["receives"] > _RECEIVES * records:
        parts.append(f"{mean(row['receives'] / records)} receives each")
    parts.append(f"backlog up to {count(row['backlog_peak'])}")
    return parts


def _blocked(row: dict[str, Any], used: pl.DataFrame, look: Look) -> str:
    units = used.filter(pl.col("source") == row["source"], pl.col("blocked_s") > 0)
    worst = units.sort("blocked_s", descending=True, maintain_order=True).row(0, named=True)
    if row["type"] == "sqs_fifo":
        group = worst["group"]
        which = "the group without a key" if group is None else f"group {look.name(group, 12)}"
    else:
        which = f"{'partition' if row['type'] == 'kafka' else 'shard'} {worst['shard']}"
    return f"{which} blocked for {span_ms(worst['blocked_s'] * 1_000)}"
