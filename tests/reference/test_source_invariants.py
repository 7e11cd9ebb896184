"""What must hold for event sources whatever is drawn: the invariants of event-sources.md §11.

Recomputed from the results of cases from seeds; numbers in the names are those of that list.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import ceil, log2
from typing import Any

from differential.sources import draw_sources
from differential.strategies import Case, Seeded
from reference import SOURCE_RULES, Result, missing, replay
from reference.worked import S, pull, record

SEEDS = range(400)
QUEUES = ("sqs", "sqs_fifo")
PAYLOAD = 6_291_456

Line = dict[str, Any]


@dataclass(frozen=True)
class Played:
    """A case with its result."""

    case: Case
    rows: list[Line]
    result: Result

    @property
    def sources(self) -> dict[str, Line]:
        """Return the sections of the event sources."""
        found: dict[str, Line] = self.case.sections["event_sources"]
        return found

    @property
    def still(self) -> bool:
        """Tell whether the configuration stays as it is."""
        return "changes" not in self.case.sections

    def of(self, name: str) -> list[Line]:
        """Return the outcomes of a source."""
        return [one for one in self.result.outcomes if one["source"] == name]

    def tries(self, name: str) -> list[Line]:
        """Return the attempts of a source's records."""
        own = {one["row"] for one in self.of(name)}
        return [one for one in self.result.attempts if one["row"] in own]

    def batches(self, name: str, *, runs: bool = False) -> list[list[Line]]:
        """Return the attempts of a source, by batch."""
        found: dict[int, list[Line]] = defaultdict(list)
        for attempt in self.tries(name):
            if not runs or attempt["outcome"] != "throttled":
                found[attempt["batch"]].append(attempt)
        return list(found.values())

    def in_order(self, attempt: Line) -> tuple[int, int]:
        """Return the place of an attempt's row in the order of arrival."""
        return self.rows[attempt["row"]]["timestamp"], attempt["row"]


@lru_cache(maxsize=1)
def played() -> list[Played]:
    """Return the replays that all statements look at."""
    cases = [draw_sources(Seeded(seed)) for seed in SEEDS]
    return [
        Played(case, case.rows(), replay(case.sections, case.rows()))
        for case in cases
        if case.sections.get("replay", {}).get("time_scale", 1) == 1
    ]


def each(*kinds: str) -> list[tuple[Played, str, Line]]:
    """Return every source of some types, with its replay and its section."""
    return [
        (one, name, section)
        for one in played()
        for name, section in one.sources.items()
        if not kinds or section["type"] in kinds
    ]


def end_of(attempt: Line) -> float:
    """Return when an attempt's run ended, for ever where it did not."""
    return float("inf") if attempt["end"] is None else attempt["end"]


# ---- fates ---------------------------------------------------------------------------------


def test_1_every_record_has_one_fate() -> None:
    for one, name, section in each():
        allowed = {"success", "filtered", "discarded", "expired", "pending"}
        if section["type"] in QUEUES and "max_receive_count" not in section:
            allowed.remove("discarded")
        for outcome in one.of(name):
            assert outcome["outcome"] in allowed
            assert (outcome["settled"] is None) == (outcome["outcome"] == "pending")
            assert (outcome["reason"] is None) == (
                outcome["outcome"] not in ("discarded", "expired")
            )
    for one in played():
        counts = Counter(outcome["outcome"] for outcome in one.result.outcomes)
        assert sum(counts.values()) == one.result.summary["records"]
        assert all(one.result.summary[name] == count for name, count in counts.items())


def test_2_nothing_is_sent_after_its_end() -> None:
    for one, name, _ in each():
        outcomes = {outcome["row"]: outcome for outcome in one.of(name)}
        for attempt in one.tries(name):
            settled = outcomes[attempt["row"]]["settled"]
            assert settled is None or attempt["start"] <= settled
            # A run that succeeded is a record's last, where no lease has ended under it.
        for outcome in outcomes.values():
            assert outcome["outcome"] != "filtered" or outcome["attempts"] == 0


def test_3_first_sends_of_a_key_are_in_order() -> None:
    for one, name, section in each("kinesis", "dynamodb", "sqs_fifo", "kafka"):
        # A limit of receives or an age may let a later one be the first that is sent: compared
        # are those that were sent at all.
        first: dict[int, int] = {}
        for attempt in one.tries(name):
            first.setdefault(attempt["row"], attempt["start"])
        by_key = defaultdict(list)
        for row in sorted(first, key=lambda row: (one.rows[row]["timestamp"], row)):
            key = one.rows[row].get("key"), one.rows[row].get("shard")
            by_key[key].append(first[row])
        if section["type"] == "sqs_fifo" and not one.still:
            continue
        for starts in by_key.values():
            assert starts == sorted(starts)


def test_3_sends_after_a_failure_repeat_what_is_left() -> None:
    for one, name, section in each("kinesis", "dynamodb"):
        if section.get("parallelization_factor", 1) > 1:
            continue
        done: set[int] = set()
        for attempt in one.tries(name):
            assert attempt["row"] not in done
            if attempt["outcome"] == "success":
                done.add(attempt["row"])


def test_4_two_batches_in_flight_share_no_key() -> None:
    for one, name, section in each("kinesis", "dynamodb", "kafka", "sqs_fifo"):
        batches = one.batches(name, runs=True)
        lease = section.get("visibility_timeout_s", 0) * S
        for index, batch in enumerate(batches):
            keys = {(one.rows[a["row"]].get("key"), one.rows[a["row"]].get("shard")) for a in batch}
            begin, end = batch[0]["start"], end_of(batch[0])
            if section["type"] == "sqs_fifo":
                end = min(end, begin + lease - 5 * S)
            for other in batches[index + 1 :]:
                others = {
                    (one.rows[a["row"]].get("key"), one.rows[a["row"]].get("shard")) for a in other
                }
                # An extension works on after the answer, at which the next batch may begin.
                if keys & others and "extension_ms" not in one.case.columns:
                    assert other[0]["start"] >= end or end_of(other[0]) <= begin


def test_4_batches_in_flight_are_bounded() -> None:
    for one, name, section in each():
        if "reshard" in section or "extension_ms" in one.case.columns:
            continue
        most = section.get("shards", 1) * section.get("parallelization_factor", 1)
        if section["type"] in QUEUES:
            most = section.get("maximum_concurrency", 1_250)
        batches = one.batches(name, runs=True)
        for batch in batches:
            at = batch[0]["start"]
            together = sum(other[0]["start"] <= at < end_of(other[0]) for other in batches)
            assert together <= most


def test_5_children_wait_for_their_parents() -> None:
    waited = 0
    for seed in range(60):
        chooser = Seeded(seed)
        keys = "abcdef"
        rows = [
            record(
                chooser.integer(0, 12) / 2,
                chooser.integer(1, 4),
                key=keys[chooser.index(6)],
                error="handled",
                error_runs=chooser.integer(0, 2),
            )
            for _ in range(8)
        ]
        begin = chooser.integer(1, 5) * S
        entries: list[Line] = [{"at": begin, "split": 0}, {"at": begin, "merge": [1, 2]}]
        one = pull(*rows, reshard=entries[: chooser.integer(1, 2)], child_delay_s=1)
        parents = [own["settled"] for own in one.outcomes if own["timestamp"] < begin]
        for own in one.outcomes:
            if own["timestamp"] >= begin and parents:
                waited += 1
                first = min(each["start"] for each in one.attempts if each["row"] == own["row"])
                assert first >= max(begin, *parents) + S
    assert waited > 50


def test_6_runs_are_bounded_by_the_retries() -> None:
    for one, name, section in each("kinesis", "dynamodb", "kafka"):
        retries = section.get("maximum_retry_attempts")
        if retries is None or not one.still or section.get("report_batch_item_failures"):
            continue
        splits = 0
        if section.get("bisect_batch_on_function_error"):
            splits = ceil(log2(section["batch_size"]))
        for outcome in one.of(name):
            assert outcome["attempts"] - outcome["throttles"] <= splits + retries + 1


def test_7_nothing_is_sent_too_old() -> None:
    for one, name, section in each("kinesis", "dynamodb", "kafka"):
        age = section.get("maximum_record_age_s")
        default = {"kafka": 3_600}.get(section["type"], 86_400)
        for attempt in one.tries(name):
            waited = attempt["start"] - one.rows[attempt["row"]]["timestamp"]
            assert 0 <= waited < section.get("retention_s", default) * S
            assert age is None or waited < age * S
        for outcome in one.of(name):
            if outcome["reason"] == "RecordAgeExceeded":
                assert outcome["settled"] >= outcome["timestamp"] + age * S


def test_8_batches_have_their_size() -> None:
    for one, name, section in each():
        most = section["batch_size"]
        if not one.still:
            most = max(most, 5)
        for batch in one.batches(name):
            assert 1 <= len(batch) <= most
            sizes = [one.rows[attempt["row"]].get("payload_bytes") or 0 for attempt in batch]
            assert sum(sizes) <= PAYLOAD
            assert len({attempt["start"] for attempt in batch}) == 1
            if "tumbling_window_s" in section:
                width = section["tumbling_window_s"] * S
                assert len({one.rows[a["row"]]["timestamp"] // width for a in batch}) == 1


def test_9_no_short_batch_leaves_before_its_window_ends() -> None:
    short = 0
    for seed in range(60):
        chooser = Seeded(seed)
        rows = [record(chooser.integer(0, 20) / 2, 0.5) for _ in range(8)]
        one = pull(*rows, batch_size=3, maximum_batching_window_s=2)
        batches: dict[int, list[Line]] = defaultdict(list)
        for attempt in one.attempts:
            batches[attempt["batch"]].append(attempt)
        for before, batch in pairwise(batches.values()):
            if len(batch) < 3:
                short += 1
                assert batch[0]["start"] - before[0]["end"] >= 2 * S
            else:
                assert batch[0]["start"] - before[0]["end"] >= S // 50
    assert short > 20


def test_10_receives_are_bounded_and_apart() -> None:
    for one, name, section in each(*QUEUES):
        if not one.still:
            continue
        most = section.get("max_receive_count")
        for outcome in one.of(name):
            if most is not None:
                # Throttles on one lease are tries of one receive.
                assert outcome["attempts"] - outcome["throttles"] <= most
        if "maximum_batching_window_s" in section or one.result.summary["throttles"]:
            continue
        starts = defaultdict(list)
        for attempt in one.tries(name):
            starts[attempt["row"]].append(attempt["start"])
        for own in starts.values():
            for begin, again in pairwise(own):
                assert again - begin >= section["visibility_timeout_s"] * S


def test_14_metrics_agree_with_the_attempts() -> None:
    for one in played():
        if one.case.sections.get("replay", {}).get("until"):
            continue
        lines = one.result.source_metrics

        def added(name: str, lines: list[Line] = lines) -> int:
            return sum(line[name] or 0 for line in lines)

        own = [attempt for name in one.sources for attempt in one.tries(name)]
        assert added("InvokedEventCount") == len(own)
        outcomes = [outcome for name in one.sources for outcome in one.of(name)]
        filtered = sum(outcome["outcome"] == "filtered" for outcome in outcomes)
        assert added("FilteredOutEventCount") == filtered
        moved = sum(outcome["reason"] == "MaxReceiveCountExceeded" for outcome in outcomes)
        discarded = sum(outcome["outcome"] == "discarded" for outcome in outcomes) - moved
        delivered = added("OnFailureDestinationDeliveredEventCount")
        assert added("DroppedEventCount") + delivered == discarded
        deleted = [
            outcome
            for name, section in one.sources.items()
            for outcome in one.of(name)
            if section["type"] in QUEUES and outcome["outcome"] in ("success", "filtered")
        ]
        assert added("DeletedEventCount") == len(deleted)


def test_15_the_order_of_rows_with_other_instants_is_nothing() -> None:
    for one in played()[:100]:
        # Sorting is stable: rows of one instant keep their order.
        order = sorted(range(len(one.rows)), key=lambda row: -one.rows[row]["timestamp"])
        rows = [{"row_uid": row, **one.rows[row]} for row in range(len(one.rows))]
        first = replay(one.case.sections, rows)
        other = replay(one.case.sections, [rows[row] for row in order])
        for place, row in enumerate(order):
            got, want = other.outcomes[place], first.outcomes[row]
            assert {**got, "row": 0, "batch": 0} == {**want, "row": 0, "batch": 0}


# ---- two replays ---------------------------------------------------------------------------


def test_12_more_retries_never_lower_what_succeeds_one_by_one() -> None:
    for seed in range(40):
        chooser = Seeded(seed)
        rows = [
            record(chooser.integer(0, 5), 0.5, error="handled", error_runs=chooser.integer(0, 4))
            for _ in range(6)
        ]
        counts = [
            pull(*rows, batch_size=1, maximum_retry_attempts=retries).summary["success"]
            for retries in range(5)
        ]
        assert counts == sorted(counts)
        assert counts[-1] == len(rows)


def test_13_a_blocked_shard_changes_nothing_for_others() -> None:
    for seed in range(40):
        chooser = Seeded(seed)
        # Two instants of their own, so that the first row stays the first.
        rows = [record(0, 0.5, shard=1)]
        rows += [
            record(chooser.integer(0, 6) / 2, 0.5, shard=chooser.integer(0, 1)) for _ in range(8)
        ]
        bad = [{**row, "error": "handled"} if row["shard"] == 0 else row for row in rows]
        options = {"shards": 2, "batch_size": 2, "maximum_retry_attempts": 3}
        well, ill = pull(*rows, **options), pull(*bad, **options)
        for one, other in zip(well.outcomes, ill.outcomes, strict=True):
            if rows[one["row"]]["shard"] == 1:
                assert (one["start"], one["end"]) == (other["start"], other["end"])


def test_the_cases_come_near_every_rule() -> None:
    marks = {mark for one in played() for mark in one.result.marks}
    rare = {
        "E3.bytes_of_a_read", "E4.10.boundary", "E4.10.final_given_up", "P16.long_idle", "P24.down",
    }  # fmt: skip
    assert set(missing(marks, SOURCE_RULES)) <= rare
