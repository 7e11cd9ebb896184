"""What is counted by event source and shard, partition or message group.

Owns the rows of ``sources``: records by outcome, the busiest key, the backlog and how it drained.
A record is part of the backlog from its arrival until it is settled.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from reference.entities import Request
from reference.kafka import Kafka
from reference.measures import OUTCOMES, distribution_ms, iterator_ages_of
from reference.model import Model
from reference.queues import Queue
from reference.streams import Stream, hash_of

Place = int | str | None


def place_of(owner: Any, request: Request) -> Place:
    """Return the shard, partition or message group of a record; null in a standard queue."""
    if isinstance(owner, Stream):
        return owner.shard_of(request.row).number
    if isinstance(owner, Kafka):
        return owner.partition(request)
    return request.row.key if owner.fifo else None


def backlog_peak(requests: Iterable[Request]) -> int:
    """Return the most records that had arrived and were not settled."""
    steps = []
    for request in requests:
        steps.append((request.row.timestamp, 1, 1))
        if request.settled is not None:
            # What is settled at an instant is not there when others arrive at it (Z1), unless it
            # arrives then itself.
            later = request.settled > request.row.timestamp
            steps.append((request.settled, 0 if later else 2, -1))
    level = peak = 0
    for _, _, step in sorted(steps):
        level += step
        peak = max(peak, level)
    return peak


def receives_of(owner: Any, request: Request) -> int:
    """Return how often a record was received or read."""
    if isinstance(owner, Queue):
        message = owner.of.get(request)
        return 0 if message is None else message.receives + int(request.outcome == "filtered")
    return int(request in owner.read_at)


def line(
    model: Model, owner: Any, place: Place, requests: list[Request]
) -> dict[str, Any]:
    """Return the row of one shard, partition or group."""
    outcome = Counter(request.outcome for request in requests)
    keys = Counter(request.row.key for request in requests)
    # the key with the most records; of equals the one with the lowest hash (E0.6.7), which does
    # not ask for the order of the trace
    most = max(keys.values())
    equals = [key for key, count in keys.items() if count == most]
    busiest = min(equals, key=hash_of)
    settled = [request.settled for request in requests if request.settled is not None]
    # rule: Z39 (what comes at until or later has not arrived)
    until = model.settings.until
    sent = [one for one in requests if until is None or one.row.timestamp < until]
    last = max((request.row.timestamp for request in sent), default=0)
    return {
        "source": owner.name,
        "shard": place,
        "records": len(requests),
        **{
            name: outcome[name]
            for name in OUTCOMES
            if name not in ("error", "throttled", "dropped")
        },
        "never_ran": sum(
            not one.runs and one.outcome not in ("pending", "filtered") for one in requests
        ),
        "busiest_key": busiest,
        "busiest_key_share": float(Fraction(most, len(requests))),
        "receives": sum(receives_of(owner, request) for request in requests),
        "backlog_peak": backlog_peak(sent),
        "drain_s": max(0, max(settled) - last) / 1_000_000 if settled else None,
        "iterator_age_ms": distribution_ms(iterator_ages_of(model, owner.name, set(requests))),
    }


def sources(model: Model) -> list[dict[str, Any]]:
    """Return a row for every event source and shard, partition or group with records."""
    rows = []
    for name, owner in model.owners.items():
        places: dict[Place, list[Request]] = defaultdict(list)
        for request in model.requests:
            if request.row.source == name:
                places[place_of(owner, request)].append(request)
        rows += [line(model, owner, place, requests) for place, requests in places.items()]
    return rows
