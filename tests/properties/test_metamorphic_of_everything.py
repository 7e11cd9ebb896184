"""Two replays of everything compared: what may be changed without changing the rest.

The ids are those of reliability.md: G always holds, T holds under the conditions named.
"""

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from properties.everything import Line, Rows, World, drawn_case, replayed, still, with_identity
from properties.replays import MINUTE, S, bare, drawn, fates

SEEDS = st.integers(0, 1_000_000)


def without_clients(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scenario in which nobody tries again but Lambda, and all rows are replayed once."""
    functions = {
        name: {key: value for key, value in section.items() if key != "client_retry"}
        for name, section in sections.get("functions", {}).items()
    }
    until = {key: value for key, value in sections.get("replay", {}).items() if key == "until"}
    return {**sections, "functions": functions, "replay": until}


def ageless(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scenario whose provisioned environments do not grow old.

    They are READY at the trace's start (Q35), from which their lifetime would count, so that the
    first row would matter to all.
    """
    provisioned = any(
        section.get("provisioned_concurrency") for section in sections["functions"].values()
    )
    if not provisioned:
        return dict(sections)
    return {**sections, "account": {**sections["account"], "env": {"max_lifetime": "off"}}}


def apart(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scenario in which functions share nothing but the account's concurrency."""
    calm = still(sections)
    scaling = calm["account"].get("scaling", {})
    if scaling != "off":
        scaling = {**scaling, "scope": "function"}
    calm["account"] = {**calm["account"], "requests_per_second": "off", "scaling": scaling}
    calm["state"] = {**calm.get("state", {}), "scope": "function"}
    return calm


def told(replay: World, kept: Any = None) -> list[Line]:
    """Return what happened to rows, or to those whose positions are given."""
    return fates(outcome for outcome in replay.outcomes if kept is None or outcome["row"] in kept)


def decided(replay: World, before: int) -> list[Line]:
    """Return how attempts began that began before an instant."""
    names = ("row", "attempt", "start", "cold", "provisioned", "limit")
    return [
        {name: attempt[name] for name in names}
        for attempt in replay.attempts
        if attempt["start"] < before
    ]


def accepted(replay: World, function: str | None = None) -> set[int]:
    """Return the rows that ran, of one function or of all."""
    return {
        outcome["row"]
        for outcome in replay.outcomes
        if outcome["start"] is not None and function in (None, bare(outcome["function"]))
    }


# ---- what holds for the whole model --------------------------------------------------------


@drawn(30)
@given(seed=SEEDS)
def test_g1_g1b_g2_refused_requests_leave_no_trace(seed: int) -> None:
    sections, rows = drawn_case(seed)
    sections, rows = ageless(without_clients(sections)), with_identity(rows)
    whole = replayed(sections, rows)
    kept = [outcome["row"] for outcome in whole.outcomes if outcome["outcome"] != "throttled"]
    if not kept:
        return
    less = replayed(sections, [rows[row] for row in kept])
    assert told(less) == told(whole, set(kept))


@drawn(30)
@given(seed=SEEDS, more=st.integers(1, 3))
def test_g3_two_limits_agree_up_to_where_the_tighter_one_binds(seed: int, more: int) -> None:
    sections, rows = drawn_case(seed)
    account = sections["account"]
    if "requests_per_second" not in account:
        account = {**account, "requests_per_second": "off"}
    wider = {**account, "concurrency": account["concurrency"] + more}
    # A change of the limit would make both the same again.
    tight = replayed({**sections, "account": account}, rows)
    wide = replayed({**sections, "account": wider}, rows)
    binding = [one["start"] for one in tight.refusals if one["limit"] == "account_concurrency"]
    first = min(binding, default=2**62)
    assert decided(tight, first) == decided(wide, first)


@drawn(30)
@given(seed=SEEDS)
def test_g5_a_function_with_reserved_units_meets_nobody(seed: int) -> None:
    sections, rows = drawn_case(seed)
    sections, rows = apart(sections), with_identity(rows)
    own = {**sections["functions"].get("f", {}), "reserved_concurrency": 2}
    sections["functions"] = {**sections["functions"], "f": own}
    sections = ageless(sections)
    mine = [place for place, row in enumerate(rows) if bare(row["function"]) == "f"]
    if not mine:
        return
    together = replayed(sections, rows)
    alone = replayed({**sections, "functions": {"f": own}}, [rows[place] for place in mine])
    assert told(alone) == told(together, set(mine))


def shifted(sections: Mapping[str, Any], by: int) -> dict[str, Any]:
    """Return a scenario whose instants are later by so many microseconds."""

    def moved(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                key: inner + by if key in {"at", "until"} else moved(inner)
                for key, inner in value.items()
            }
        return [moved(inner) for inner in value] if isinstance(value, list) else value

    later: dict[str, Any] = moved(sections)
    return later


def earlier(lines: list[Line], by: int) -> list[Line]:
    """Return lines whose instants are earlier by so many microseconds."""
    instants = ("timestamp", "start", "end", "settled")
    return [
        {
            name: value - by if name in instants and value is not None else value
            for name, value in line.items()
        }
        for line in lines
    ]


@drawn(30)
@given(seed=SEEDS, minutes=st.integers(1, 20_000))
def test_g8_a_shift_by_whole_minutes_shifts_everything(seed: int, minutes: int) -> None:
    sections, rows = drawn_case(seed)
    by = minutes * MINUTE
    first = replayed(sections, rows)
    later = replayed(
        shifted(sections, by), [{**row, "timestamp": row["timestamp"] + by} for row in rows]
    )
    assert earlier(later.outcomes, by) == first.outcomes
    assert earlier(later.attempts, by) == first.attempts
    assert earlier(later.metrics, by) == first.metrics


@drawn(30)
@given(seed=SEEDS)
def test_g10_names_do_not_matter(seed: int) -> None:
    sections, rows = drawn_case(seed)
    new = {"f": "z", "g": "a", "h": "m"}
    # The lifetime of a provisioned environment is drawn by the name of its pool: no row is there.
    lifetime = sections["account"].get("env", {}).get("max_lifetime", "off")
    fixed = 11 if isinstance(lifetime, list) else lifetime
    sections = {**sections, "account": {**sections["account"], "env": {"max_lifetime": fixed}}}

    def renamed(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {_renamed_key(key): renamed(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [renamed(inner) for inner in value]
        return new.get(value, value) if isinstance(value, str) else value

    def _renamed_key(key: str) -> str:
        if key.startswith("functions."):
            _, name, setting = key.split(".")
            return f"functions.{new[name]}.{setting}"
        return new.get(key, key)

    def name_of(function: str) -> str:
        name, colon, qualifier = function.partition(":")
        return new[name] + colon + qualifier

    first = replayed(sections, rows)
    other = replayed(
        renamed(sections), [{**row, "function": name_of(row["function"])} for row in rows]
    )
    assert [
        {**outcome, "function": name_of(outcome["function"])} for outcome in first.outcomes
    ] == other.outcomes
    without = ("function", "name")
    assert [
        {key: value for key, value in attempt.items() if key not in without}
        for attempt in first.attempts
    ] == [
        {key: value for key, value in attempt.items() if key not in without}
        for attempt in other.attempts
    ]


@drawn(30)
@given(seed=SEEDS, share=st.floats(0, 1))
def test_g12_what_comes_later_changes_nothing_before(seed: int, share: float) -> None:
    sections, rows = drawn_case(seed)
    # The traffic of a load above one is spread over the minute after each row.
    sections = {**sections, "replay": {}}
    last = rows[int(share * (len(rows) - 1))]["timestamp"]
    whole = replayed(sections, rows)
    part = replayed(sections, [row for row in rows if row["timestamp"] <= last])

    def over(replay: World) -> list[Line]:
        return [attempt for attempt in replay.attempts if attempt["end"] < last]

    assert fates(over(part)) == fates(over(whole))


@drawn(30)
@given(seeds=st.tuples(SEEDS, SEEDS))
def test_g13_after_a_long_silence_nothing_is_remembered(seeds: tuple[int, int]) -> None:
    sections, first = drawn_case(seeds[0])
    _, second = drawn_case(seeds[1])
    calm = still(sections, clients=False)
    calm["functions"] = {
        name: {key: value for key, value in section.items() if key != "provisioned_concurrency"}
        for name, section in calm["functions"].items()
    }
    account = {"idle": {"policy": "fixed", "seconds": 5}, "env": {"max_lifetime": [5, 30]}}
    calm["account"] = {**calm["account"], **account}
    # Longer than the longest age of an event, and whole windows of every kind.
    silence = 10 * 60 * MINUTE
    later = [
        {**row, "timestamp": row["timestamp"] + silence}
        for row in with_identity(first + second)[len(first) :]
    ]
    together = replayed(calm, with_identity(first) + later)
    alone = replayed(calm, later)
    assert told(alone) == told(together, set(range(len(first), len(first) + len(second))))
    before = replayed(calm, with_identity(first))
    assert told(before) == told(together, set(range(len(first))))


# ---- what a higher limit or a longer time is sure to do ------------------------------------

#: Nothing but units: no init, no tokens, no rates, no retries.
LOSS = {
    "requests_per_second": "off",
    "scaling": "off",
    "idle": {"policy": "none"},
    "env": {"max_lifetime": "off"},
}


def loss(seed: int) -> Rows:
    """Return a trace of plain requests."""
    _, rows = drawn_case(seed)
    return [
        {
            "timestamp": row["timestamp"],
            "function": bare(row["function"]),
            "duration_ms": row["duration_ms"],
        }
        for row in rows
    ]


@drawn(25)
@given(seed=SEEDS, limit=st.integers(2, 5), reserved=st.integers(0, 2), more=st.integers(1, 2))
def test_t2_more_reserved_units_help_their_function_and_nobody_else(
    seed: int, limit: int, reserved: int, more: int
) -> None:
    rows = loss(seed)
    account = {**LOSS, "concurrency": limit + 1}
    small, large = (
        replayed({"account": account, "functions": {"g": {"reserved_concurrency": units}}}, rows)
        for units in (reserved, min(limit + 1, reserved + more))
    )
    assert accepted(small, "g") <= accepted(large, "g")
    for name in "fh":
        assert accepted(large, name) <= accepted(small, name)


@drawn(25)
@given(seed=SEEDS, more=st.integers(1, 3))
def test_t2b_reserving_new_units_of_the_account_touches_nobody_else(seed: int, more: int) -> None:
    sections, rows = drawn_case(seed)
    sections = apart(sections)
    own = {**sections["functions"].get("f", {}), "reserved_concurrency": 2}
    more_units = {**own, "reserved_concurrency": 2 + more}
    account = sections["account"]
    wider = {**account, "concurrency": account["concurrency"] + more}
    small = replayed({**sections, "functions": {**sections["functions"], "f": own}}, rows)
    large = replayed(
        {
            **sections,
            "account": wider,
            "functions": {**sections["functions"], "f": more_units},
        },
        rows,
    )
    others = {place for place, row in enumerate(rows) if bare(row["function"]) != "f"}
    assert told(small, others) == told(large, others)
    refused = [one["start"] for one in small.refusals if one["name"] == "f"]
    first = min(refused, default=2**62)
    assert decided(small, first) == decided(large, first)


@drawn(25)
@given(seed=SEEDS, limit=st.integers(1, 4), units=st.integers(0, 3))
def test_t6_a_provisioned_environment_with_a_unit_of_its_own_helps(
    seed: int, limit: int, units: int
) -> None:
    rows = [{**row, "function": "f"} for row in loss(seed)]
    units = min(units, limit)
    small, large = (
        replayed(
            {
                "account": {**LOSS, "concurrency": limit + more},
                "functions": {"f": {"provisioned_concurrency": units + more}},
            },
            rows,
        )
        for more in (0, 1)
    )
    assert accepted(small) <= accepted(large)


@drawn(25)
@given(seed=SEEDS, limit=st.integers(1, 3), window=st.integers(1, 10))
def test_t7_a_higher_request_rate_accepts_whatever_the_lower_one_did(
    seed: int, limit: int, window: int
) -> None:
    rows = loss(seed)
    few, many = (
        replayed(
            {
                "account": {
                    **LOSS,
                    "concurrency": 1_000,
                    "requests_per_second": limit + more,
                    "rps": {"window_s": window},
                }
            },
            rows,
        )
        for more in (0, 1)
    )
    assert accepted(few) <= accepted(many)


@drawn(25)
@given(seed=SEEDS, idle=st.integers(1, 20))
def test_t4_without_init_the_longest_idle_one_starts_cold_least(seed: int, idle: int) -> None:
    rows = loss(seed)
    cold = []
    for policy in ("lru", "random", "mru"):
        account = {**LOSS, "concurrency": 1_000, "reuse_policy": policy}
        account["idle"] = {"policy": "fixed", "seconds": idle}
        replay = replayed({"account": account}, rows)
        cold.append({outcome["row"] for outcome in replay.outcomes if outcome["cold"]})
    assert cold[0] <= cold[1] <= cold[2]


@drawn(25)
@given(seed=SEEDS, gone=st.integers(0, 24))
def test_t9_l7_without_a_job_no_other_gets_its_record_later(seed: int, gone: int) -> None:
    _, drawn_rows = drawn_case(seed)
    kinds = ("write", "read", "write")
    rows = [
        {**row, "state_key": "ab"[place % 5 // 3], "state_access": kinds[place % 3]}
        for place, row in enumerate(loss(seed))
    ]
    assert len(rows) == len(drawn_rows)
    sections = {"account": {**LOSS, "concurrency": 1_000}}
    gone %= len(rows)
    kept = [place for place in range(len(rows)) if place != gone]
    if not kept:
        return
    whole = replayed(sections, rows)
    less = replayed(sections, [rows[place] for place in kept])
    for outcome, place in zip(less.outcomes, kept, strict=True):
        assert outcome["end"] <= whole.outcomes[place]["end"]
    # As a reader instead, it makes nobody wait longer either.
    reader = [{**row, "state_access": "read"} if at == gone else row for at, row in enumerate(rows)]
    for one, other in zip(replayed(sections, reader).outcomes, whole.outcomes, strict=True):
        assert one["end"] <= other["end"]
    # And a longer one helps nobody.
    longer = [
        {**row, "duration_ms": row["duration_ms"] + S / 1_000} if at == gone else row
        for at, row in enumerate(rows)
    ]
    for one, other in zip(replayed(sections, longer).outcomes, whole.outcomes, strict=True):
        assert one["end"] >= other["end"]
