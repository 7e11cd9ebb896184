"""When an entry of a schedule takes place next: every minute is looked at, one after the other.

Owns AWS's cron and rate expressions. A day is compared with what an expression says of it; nothing
is computed ahead.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from reference.settings import ScheduleEntry
from reference.units import EPOCH, MICROSECOND

MINUTE = 60_000_000
#: Examples last for minutes; what comes later than so many days is no matter.
HORIZON_DAYS = 4
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
WEEKDAYS = "SUN MON TUE WED THU FRI SAT".split()


def next_time(entry: ScheduleEntry, since: int) -> int | None:
    """Return when an entry takes place next, from an instant on; null where it does not."""
    if entry.at is not None:
        return entry.at if entry.at >= since else None
    if entry.begin is not None:
        since = max(since, entry.begin)
    at = None
    if entry.begin == since:
        # rule: Z25 (a start time is the first time, whatever the expression says)
        at = since
    elif entry.rate is not None:
        number, unit = entry.rate.removeprefix("rate(").removesuffix(")").split()
        period = int(number) * {"m": 60, "h": 3_600, "d": 86_400}[unit[0]] * 1_000_000
        assert entry.begin is not None
        at = entry.begin + -(-(since - entry.begin) // period) * period
    else:
        first = -(-since // MINUTE) * MINUTE
        for minute in range(first, first + HORIZON_DAYS * 1_440 * MINUTE, MINUTE):
            if is_due(entry, minute):
                at = minute
                break
    return None if at is None or (entry.end is not None and at > entry.end) else at


def is_due(entry: ScheduleEntry, at: int) -> bool:
    """Tell whether a cron expression names a minute, the first of two with one local time."""
    assert entry.cron is not None
    moment = EPOCH + at * MICROSECOND
    zone = UTC if entry.timezone == "UTC" else ZoneInfo(entry.timezone)
    local = moment.astimezone(zone)
    if local.fold:
        return False
    fields = entry.cron.removeprefix("cron(").removesuffix(")").split()
    minute, hour, day, month, weekday, year = fields
    return (
        says(minute, local.minute, 0, 59)
        and says(hour, local.hour, 0, 23)
        and says(month, local.month, 1, 12, MONTHS)
        and says(year, local.year, 1970, 2199)
        and (says_day(day, local) if weekday == "?" else says_weekday(weekday, local))
    )


def says(field: str, value: int, low: int, high: int, names: list[str] | None = None) -> bool:
    """Tell whether a field has a value."""

    def number(text: str) -> int:
        return names.index(text) + low if names and text in names else int(text)

    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin = low if span == "*" else number(first)
        end = high if span == "*" or (step and not last) else number(last or first)
        if begin <= end:
            if begin <= value <= end and (value - begin) % int(step or 1) == 0:
                return True
        elif value >= begin or value <= end:
            return True
    return False


def says_day(field: str, day: datetime) -> bool:
    """Tell whether a day of the month is meant."""
    tomorrow = day + timedelta(days=1)
    if field == "L":
        return tomorrow.month != day.month
    if field.endswith("W"):
        if day.isoweekday() > 5:
            return False
        days = [one for one in range(1, 32) if is_day(day, one)]
        goal = days[-1] if field == "LW" else min(int(field[:-1]), days[-1])
        workdays = [one for one in days if day.replace(day=one).isoweekday() <= 5]
        return day.day == min(workdays, key=lambda one: (abs(one - goal), one))
    return says(field, day.day, 1, 31)


def is_day(of: datetime, number: int) -> bool:
    """Tell whether a month has a day."""
    try:
        of.replace(day=number)
    except ValueError:
        return False
    return True


def says_weekday(field: str, day: datetime) -> bool:
    """Tell whether a day of the week is meant."""
    number = day.isoweekday() % 7 + 1
    if field == "L":
        return number == 7
    if "#" in field:
        own, _, which = field.partition("#")
        return says(own, number, 1, 7, WEEKDAYS) and -(-day.day // 7) == int(which)
    if field.endswith("L"):
        last = (day + timedelta(days=7)).month != day.month
        return last and says(field[:-1], number, 1, 7, WEEKDAYS)
    return says(field, number, 1, 7, WEEKDAYS)
