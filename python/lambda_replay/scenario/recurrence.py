"""When a recurring scheduled action takes place (F3.9, Z25).

Owns AWS's cron expressions of six fields, its rate expressions, and their instants in a stretch of
time. As documented for scheduled actions of Application Auto Scaling and, for the fields, in the
"Cron expressions reference" of the Amazon EventBridge User Guide; none of the cron libraries reads
this dialect (a year, ``?``, ``L``, ``W`` and ``#``, Sunday as 1).
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["Cron", "CronError", "Recurring", "is_timezone", "parse_cron", "parse_rate"]

_MONTHS: Final = (
    "JAN",
    "FEB",
    "MAR",
    "APR",
    "MAY",
    "JUN",
    "JUL",
    "AUG",
    "SEP",
    "OCT",
    "NOV",
    "DEC",
)
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_UNITS: Final = {"minute": 60, "hour": 3_600, "day": 86_400}
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


class CronError(ValueError):
    """What is wrong with an expression."""


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_FIELDS: Final = (
    _Field("minutes", 0, 59),
    _Field("hours", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 1, 7, _DAYS),
    _Field("year", 1970, 2199),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression, read.

    Attributes
    ----------
    minutes, hours, months, years
        What matches.
    days
        Days of the month; None where the day of the week decides.
    weekdays
        Days of the week from 1, Sunday; None where the day of the month decides.
    last
        ``L``: the last day of the month, or the last such weekday of it.
    nearest
        ``3W``: the weekday nearest to that day, within the month; 31 with ``last``: ``LW``.
    nth
        ``6#3``: the third of its weekdays in the month.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    months: frozenset[int]
    years: frozenset[int]
    days: frozenset[int] | None = None
    weekdays: frozenset[int] | None = None
    last: bool = False
    nearest: int | None = None
    nth: int | None = None

    def matches(self, day: dt.date) -> bool:
        """Tell whether it takes place on a day."""
        if day.year not in self.years or day.month not in self.months:
            return False
        length = calendar.monthrange(day.year, day.month)[1]
        if self.weekdays is not None:
            if day.isoweekday() % 7 + 1 not in self.weekdays:
                return False
            if self.last:
                return day.day > length - 7
            return self.nth is None or (day.day - 1) // 7 + 1 == self.nth
        if self.nearest is not None:
            return day.day == _nearest_weekday(day.replace(day=1), self.nearest, length)
        if self.last:
            return day.day == length
        return self.days is not None and day.day in self.days

    def instants(self, first_us: int, last_us: int, timezone: str) -> Iterator[int]:
        """List its instants within a stretch of time, ends included, in microseconds.

        A local time that a change of the clock leaves out does not take place; of one that comes
        twice, the first does.
        """
        zone = dt.UTC if timezone == "UTC" else zoneinfo.ZoneInfo(timezone)
        day = _local_day(first_us, zone)
        while day <= _local_day(last_us, zone):
            if self.matches(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        naive = dt.datetime.combine(day, dt.time(hour, minute))
                        at = naive.replace(tzinfo=zone).astimezone(dt.UTC)
                        if at.astimezone(zone).replace(tzinfo=None) != naive:
                            continue
                        us = (at - _EPOCH) // _MICROSECOND
                        if first_us <= us <= last_us:
                            yield us
            day += dt.timedelta(days=1)


def _local_day(us: int, zone: dt.tzinfo) -> dt.date:
    return (_EPOCH + us * _MICROSECOND).astimezone(zone).date()


def _nearest_weekday(first: dt.date, day: int, length: int) -> int:
    """Find the Monday to Friday nearest to a day, without leaving the month."""
    day = min(day, length)
    weekday = first.replace(day=day).isoweekday()
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 7:
        return day + 1 if day < length else day - 2
    return day


# ---------------------------------------------------------------------------- reading


def parse_cron(text: str) -> Cron:
    """Read ``cron(…)`` or the six fields alone.

    Raises
    ------
    CronError
        With the field and what it may be.
    """
    found = re.fullmatch(r"\s*cron\((.*)\)\s*", text, re.DOTALL)
    fields = (found[1] if found else text).upper().split()
    if len(fields) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        raise CronError(f"it has {len(fields)} fields; AWS's cron has six: {names}")
    minutes, hours, _, months, _, years = (
        frozenset() if field.name.startswith("day") else _values(given, field)
        for given, field in zip(fields, _FIELDS, strict=True)
    )
    days, weekdays = fields[2], fields[4]
    if (days == "?") == (weekdays == "?"):
        raise CronError("of day of month and day of week exactly one is ?, since the other decides")
    if weekdays == "?":
        if days == "L":
            return Cron(minutes, hours, months, years, last=True)
        if days == "LW":
            return Cron(minutes, hours, months, years, nearest=31)
        if found := re.fullmatch(r"(\d{1,2})W", days):
            near = _number(found[1], _FIELDS[2])
            return Cron(minutes, hours, months, years, nearest=near)
        return Cron(minutes, hours, months, years, days=_values(days, _FIELDS[2]))
    if weekdays == "L":
        # By itself it is the last day of the week, Saturday.
        return Cron(minutes, hours, months, years, weekdays=frozenset({7}))
    if found := re.fullmatch(r"(\w+)#([1-5])", weekdays):
        own = frozenset({_number(found[1], _FIELDS[4])})
        return Cron(minutes, hours, months, years, weekdays=own, nth=int(found[2]))
    if found := re.fullmatch(r"([1-7]|[A-Z]{3})L", weekdays):
        own = frozenset({_number(found[1], _FIELDS[4])})
        return Cron(minutes, hours, months, years, weekdays=own, last=True)
    return Cron(minutes, hours, months, years, weekdays=_values(weekdays, _FIELDS[4]))


def _values(text: str, field: _Field) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        low, dash, high = span.partition("-")
        if span == "*":
            first, last = field.low, field.high
        else:
            first = _number(low, field)
            last = _number(high, field) if dash else (field.high if slash else first)
        if slash and not re.fullmatch(r"[1-9]\d{0,3}", step):
            raise CronError(f"{field.name}: {part} has no step from 1 after its /")
        if first > last:
            # FRI-MON: over the end of the week, the hours of a night.
            values.update(range(first, field.high + 1), range(field.low, last + 1))
        else:
            values.update(range(first, last + 1, int(step) if slash else 1))
    return frozenset(values)


def _number(text: str, field: _Field) -> int:
    if text in field.names:
        return field.names.index(text) + field.low
    if not re.fullmatch(r"\d{1,4}", text) or not field.low <= int(text) <= field.high:
        words = f" or {field.names[0]} to {field.names[-1]}" if field.names else ""
        raise CronError(
            f"{field.name}: {text or 'nothing'} is not {field.low} to {field.high}{words}"
        )
    return int(text)


def parse_rate(text: str) -> int:
    """Read ``rate(5 minutes)`` or ``5 minutes``, in microseconds.

    Raises
    ------
    CronError
        It is none.
    """
    found = re.fullmatch(
        r"(?:rate\()?\s*([1-9]\d{0,5})\s+(minute|hour|day)(s?)\s*\)?", text.strip()
    )
    if found is None or text.strip().startswith("rate(") != text.strip().endswith(")"):
        raise CronError("it is no rate; write a number and minutes, hours or days: 5 minutes")
    if (found[1] == "1") == bool(found[3]):
        raise CronError(f"AWS writes {found[2]} after 1, and {found[2]}s after more")
    return int(found[1]) * _UNITS[found[2]] * 1_000_000


def is_timezone(name: str) -> bool:
    """Tell whether the IANA database has a time zone of that name."""
    if name == "UTC":
        return True
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return False
    return True


# ---------------------------------------------------------------------------- scheduled actions


class Recurring(NamedTuple):
    """A scheduled action that recurs; instants in microseconds.

    Attributes
    ----------
    place
        Among the entries of its schedule.
    cron, timezone
        An expression, in that time zone; None for a rate.
    every_us
        The period of a rate, from ``start_us`` on; None for a cron expression.
    start_us, end_us
        It takes place at the start, too, and no more after the end.
    min, max
        The bounds that it sets.
    """

    place: int
    cron: str | None
    timezone: str
    every_us: int | None
    start_us: int | None
    end_us: int | None
    min: int | None
    max: int | None

    def instants(self, first_us: int, last_us: int) -> Iterator[int]:
        """List its instants within a stretch of time, ends included, each once."""
        last_us = last_us if self.end_us is None else min(last_us, self.end_us)
        start = self.start_us
        if self.every_us is not None:
            assert start is not None, "a rate counts from its start"
            steps = max(0, -(-(first_us - start) // self.every_us))
            yield from range(start + steps * self.every_us, last_us + 1, self.every_us)
            return
        assert self.cron is not None, "either a rate or a cron expression"
        if start is not None and first_us <= start <= last_us:
            yield start
        first_us = first_us if start is None else max(first_us, start + 1)
        yield from parse_cron(self.cron).instants(first_us, last_us, self.timezone)
