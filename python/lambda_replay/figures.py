"""Numbers as people read them: never a rounded 0 for something, never 100 % for not quite all."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

__all__ = [
    "at_load",
    "at_scale",
    "billed",
    "clock",
    "count",
    "hours",
    "mean",
    "money",
    "plural",
    "rate",
    "share",
    "share_of",
    "span",
    "span_ms",
]


def count(number: int) -> str:
    """Print a whole number with its thousands apart."""
    return f"{number:,}"


def mean(value: float) -> str:
    """Print a mean of counts, three digits that count."""
    return f"{value:,.0f}" if value >= 999.5 else f"{value:.3g}"


def plural(number: int, noun: str) -> str:
    """Print a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def share(part: int, whole: int) -> str:
    """Print a share of a whole in percent, three digits that count."""
    if whole == 0:
        return "-"
    return share_of(part / whole) if part != whole else "100%"


def share_of(fraction: float) -> str:
    """Print a fraction of 1 in percent, three digits that count."""
    if fraction in (0, 1):
        return "0%" if fraction == 0 else "100%"
    percent = 100 * fraction
    if percent < 1e-4:
        return "<0.0001%"
    if percent > 99.9999:
        return ">99.9999%"
    digits = 3
    while float(f"{percent:.{digits}g}") >= 100:
        digits += 1
    text = f"{percent:.{digits}g}"
    return f"{text if 'e' not in text else f'{percent:.6f}'}%"


def span_ms(milliseconds: float | None) -> str:
    """Print a duration, three digits that count."""
    if milliseconds is None:
        return "-"
    if milliseconds == 0:
        return "0 ms"
    if milliseconds < 0.001:
        return "<1 µs"
    if milliseconds < 999.5:
        return f"{milliseconds:.3g} ms"
    if milliseconds < 59_950:
        return f"{milliseconds / 1_000:.3g} s"
    return span(timedelta(milliseconds=round(milliseconds)))


def span(time: timedelta) -> str:
    """Print a span by its two largest units."""
    seconds = round(time.total_seconds())
    if seconds < 60:
        return span_ms(time.total_seconds() * 1_000) if seconds < 10 else f"{seconds} s"
    for size, name, below, below_name in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            # Rounded in the smaller unit, so that 60 of it never stand there.
            units, rest = divmod(round(seconds / below), size // below)
            return f"{units} {name} {rest} {below_name}" if rest else f"{units} {name}"
    return f"{seconds} s"


def rate(number: int, seconds: float) -> str:
    """Print how many per second."""
    per_second = number / max(seconds, 1e-6)
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if per_second >= size:
            return f"{per_second / size:.1f} {name}/s"
    return f"{per_second:.0f}/s"


def billed(seconds: float) -> str:
    """Print seconds of billed time."""
    return f"{seconds:,.0f} s" if seconds >= 10 or seconds == 0 else f"{seconds:.3g} s"


def hours(seconds: float) -> str:
    """Print seconds as hours too, in brackets, where that says more."""
    if seconds < 360:
        return ""
    return f" ({seconds / 3_600:,.0f} h)" if seconds >= 360_000 else f" ({seconds / 3_600:.3g} h)"


def money(usd: float, of: float | None = None) -> str:
    """Print US dollars, three digits that count, or cents from ten dollars on.

    Parameters
    ----------
    usd
        How many.
    of
        A sum that they are part of, whose digits they get.
    """
    whole = usd if of is None else of
    if usd <= 0 or whole <= 0:
        return "$0"
    # As many decimals as three digits take; an exponent is no price.
    decimals = min(7, max(2, 2 - math.floor(math.log10(whole)))) if whole < 10_000 else 0
    least = 10.0**-decimals
    if usd < least / 2:
        return f"<${least:.{decimals}f}"
    text = f"{usd:,.{decimals}f}"
    if of is None and usd < 1:
        text = text.rstrip("0")
    return f"${text}"


def clock(at: datetime, *, day: bool, seconds: bool = True) -> str:
    """Print the time of an instant, with its day where a trace has several."""
    text = at.strftime("%H:%M:%S" if seconds else "%H:%M")
    return f"{at:%Y-%m-%d} {text}" if day else text


def at_load(records: int, load: float) -> str:
    """Say how many of a trace's rows were replayed, where replay.load made it another number."""
    return "" if load == 1 else f", {count(records)} at replay.load = {load:g},"


def at_scale(given: timedelta, scale: float) -> str:
    """Say how long a trace took, where replay.time_scale made it another time."""
    return "" if scale == 1 else f", {span(given * scale)} at replay.time_scale = {scale:g}"
