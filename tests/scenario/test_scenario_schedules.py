"""Scheduled actions that recur: AWS's cron and rate expressions (Z25)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

import lambda_replay as lr
from lambda_replay.exceptions import ScenarioError
from lambda_replay.scenario import Scenario
from lambda_replay.scenario.recurrence import CronError, Recurring, parse_cron, parse_rate

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY = 86_400_000_000


def _us(text: str) -> int:
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def _days(cron: str, first: str, days: int, timezone: str = "UTC") -> list[str]:
    """List when an expression takes place, in UTC."""
    start = _us(first)
    found = parse_cron(cron).instants(start, start + days * _DAY - 1, timezone)
    return [(_EPOCH + dt.timedelta(microseconds=at)).strftime("%m-%d %H:%M") for at in found]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        # March 2026: the 1st is a Sunday.
        ("30 6 ? * MON *", [f"03-{day} 06:30" for day in ("02", "09", "16", "23", "30")]),
        ("cron(0 10 L * ? *)", ["03-31 10:00"]),
        ("0 10 LW * ? *", ["03-31 10:00"]),
        ("0 10 1W * ? *", ["03-02 10:00"]),
        ("0 10 14W * ? *", ["03-13 10:00"]),
        ("0 10 15W * ? *", ["03-16 10:00"]),
        ("0 10 ? * 6#3 *", ["03-20 10:00"]),
        ("0 10 ? * FRI#5 *", []),
        ("0 10 ? MAR 2L 2026-2027", ["03-30 10:00"]),
        ("0 10 ? * L *", [f"03-{day} 10:00" for day in ("07", "14", "21", "28")]),
        ("0 10 ? 4-12 * *", []),
        ("0/30 8-9 5 * ? *", ["03-05 08:00", "03-05 08:30", "03-05 09:00", "03-05 09:30"]),
        ("0 22-1 5 * ? *", ["03-05 00:00", "03-05 01:00", "03-05 22:00", "03-05 23:00"]),
        ("0 0 */15 * ? *", ["03-01 00:00", "03-16 00:00", "03-31 00:00"]),
        ("0 0 1 * ? 2025", []),
    ],
)
def test_z25_what_a_cron_expression_names(cron: str, expected: list[str]) -> None:
    assert _days(cron, "2026-03-01", 31) == expected


def test_z25_a_time_zone_changes_its_clock() -> None:
    daily = "30 2 * * ? *"
    # Berlin: 2:30 is 1:30 UTC; on the 29th it does not exist; then it is 0:30 UTC.
    assert _days(daily, "2026-03-28", 3, "Europe/Berlin") == ["03-28 01:30", "03-30 00:30"]
    # On 25 October it comes twice, at 0:30 and 1:30 UTC.
    assert _days(daily, "2026-10-25", 1, "Europe/Berlin") == ["10-25 00:30"]


@pytest.mark.parametrize(
    ("cron", "part"),
    [
        ("* * * * *", "5 fields"),
        ("0 8 * * * *", "exactly one is ?"),
        ("0 8 ? * ? *", "exactly one is ?"),
        ("60 8 * * ? *", "minutes: 60 is not 0 to 59"),
        ("0 24 * * ? *", "hours: 24"),
        ("0 8 32 * ? *", "day of month: 32"),
        ("0 8 40W * ? *", "day of month: 40"),
        ("0 8 * FOO ? *", "month: FOO is not 1 to 12 or JAN to DEC"),
        ("0 8 ? * 0 *", "day of week: 0 is not 1 to 7 or SUN to SAT"),
        ("0 8 ? * 2#6 *", "day of week"),
        ("0 8 * * ? 1969", "year: 1969"),
        ("*/0 8 * * ? *", "minutes: */0 has no step"),
        ("0,,1 8 * * ? *", "minutes: nothing"),
    ],
)
def test_z25_what_a_cron_expression_may_not_be(cron: str, part: str) -> None:
    with pytest.raises(CronError) as caught:
        parse_cron(cron)
    assert part in str(caught.value)


def test_z25_rates() -> None:
    minute = 60_000_000
    rates = ["1 minute", "rate(5 minutes)", "1 hour", "2 days"]
    assert [parse_rate(one) // minute for one in rates] == [1, 5, 60, 2_880]


@pytest.mark.parametrize(
    "wrong", ["5 minute", "1 minutes", "0 minutes", "5m", "rate(5 minutes", "5 weeks"]
)
def test_z25_what_a_rate_may_not_be(wrong: str) -> None:
    with pytest.raises(CronError):
        parse_rate(wrong)


def test_z25_start_and_end() -> None:
    start, end = _us("2026-03-01T00:00:30"), _us("2026-03-01T00:03:00")
    each = Recurring(0, "* * * * ? *", "UTC", None, start, end, 1, 2)
    minutes = [(at - start) // 1_000_000 for at in each.instants(start - _DAY, start + _DAY)]
    assert minutes == [0, 30, 90, 150]
    rate = Recurring(0, None, "UTC", 60_000_000, start, end, 1, 2)
    found = [(at - start) // 1_000_000 for at in rate.instants(start + 1, start + _DAY)]
    assert found == [60, 120]


def _pool(*schedule: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"f": {"provisioned_concurrency": {**keys, "schedule": list(schedule)}}}


_DAILY = {"cron": "0 8 * * ? *", "min": 1}


@pytest.mark.parametrize(
    ("entry", "key", "part"),
    [
        ({**_DAILY, "rate": "1 hour"}, "rate", "cron says already when"),
        ({**_DAILY, "at": "2026-03-01"}, "cron", "at says already when"),
        ({"rate": "1 hour", "min": 1}, "rate", "needs start_time"),
        ({"rate": "1 hours", "min": 1, "start_time": 0}, "rate", "AWS writes hour after 1"),
        ({**_DAILY, "timezone": "Europe/Berlim"}, "timezone", "is not one of the choices"),
        ({"at": 0, "timezone": "UTC", "min": 1}, "timezone", "it is for cron"),
        ({"at": 0, "end_time": 1, "min": 1}, "end_time", "an instant of its own"),
        ({**_DAILY, "start_time": 2, "end_time": 1}, "end_time", "before start_time"),
        ({"min": 1}, "at", "or cron or rate"),
        ({"cron": 8, "min": 1}, "cron", "six fields as AWS has them"),
    ],
)
def test_z25_entries_that_are_none(entry: dict[str, Any], key: str, part: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario(functions=_pool(entry))
    (problem,) = caught.value.problems
    assert problem.path == f"functions.f.provisioned_concurrency.schedule[0].{key}"
    assert part in problem.message


def test_z25_bounds_that_may_cross() -> None:
    up, down = {"cron": "0 8 * * ? *", "min": 5}, {"cron": "0 20 * * ? *", "max": 3}
    with pytest.raises(ScenarioError, match=r"min 5 of schedule\[0\] may meet max 3"):
        Scenario(functions=_pool(up, down))
    Scenario(functions=_pool({**up, "max": 9}, {**down, "min": 0}))


def test_z25_a_daily_schedule_in_a_replay() -> None:
    """Three environments from 8 to 20 o'clock in Berlin, READY 90 s and 10 ms each later."""
    berlin = {"timezone": "Europe/Berlin"}
    functions = _pool(
        {"cron": "0 8 * * ? *", "min": 3, "max": 3, **berlin},
        {"cron": "0 20 * * ? *", "min": 0, "max": 0, **berlin},
    )
    hours = [6, 7, 8, 18, 19, 20, 31]  # UTC; Berlin is an hour ahead
    times = [_us("2026-03-02") + hour * 3_600_000_000 + 100_000_000 for hour in hours]
    trace = pl.DataFrame({"timestamp": times, "function": ["f"] * 7, "duration_ms": [10.0] * 7})
    result = lr.replay(trace, Scenario(functions=functions), outcomes=True)
    assert result.outcomes is not None
    served = [hour for hour, own in zip(hours, result.outcomes["provisioned"], strict=True) if own]
    assert served == [7, 8, 18, 31]


def test_z25_a_replay_that_goes_on_beyond_what_was_looked_up() -> None:
    functions = _pool({**_DAILY, "max": 1})
    forty_days_ms = 40 * 86_400_000.0
    trace = pl.DataFrame({"timestamp": [0], "function": ["f"], "duration_ms": [forty_days_ms]})
    with pytest.raises(ScenarioError, match="more than 31 days after the last arrival"):
        lr.replay(trace, Scenario(functions=functions))


def test_what_recurs_is_part_of_the_digest() -> None:
    hours = ("0 8 * * ? *", "0 9 * * ? *")
    digests = {
        Scenario(functions=_pool({"cron": one, "min": 1})).resolve().digest() for one in hours
    }
    assert len(digests) == 2
