"""The ticks of an axis of real time and their labels: local time, in the steps of a clock and a calendar."""

from __future__ import annotations

import time

STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)
DAY = 86400


def ticks(start: float, end: float, most: int = 10) -> list[tuple[float, str]]:
    """Return at most `most` moments and labels: whole steps since local midnight; a day's first tick names the day."""
    length = end - start
    step = next((step for step in STEPS if length / step <= most - 1), 0)
    if not step:
        weeks = STEPS[-1]
        step = weeks * (int(length / weeks / (most - 1)) + 1)
    midnight = _midnight(start, 0)
    found: list[tuple[float, str]] = []
    days = ""
    first = 0 if step >= DAY else int((start - midnight) / step)
    for number in range(first, int((end - midnight) / step) + 2):
        at = _midnight(start, number * (step // DAY)) if step >= DAY else midnight + number * step
        if start <= at <= end:
            day = time.strftime("%d %b", time.localtime(at))
            form = "%d %b" if step >= DAY else "%H:%M" if step >= 60 else "%H:%M:%S"
            words = time.strftime(form, time.localtime(at))
            found.append((at, words if step >= DAY or day == days else f"{day} {words}"))
            days = day
    return found


def _midnight(at: float, days: int) -> float:
    """Return local midnight of that day, or so many days later: a day may have 23 or 25 hours."""
    day = time.localtime(at)
    return time.mktime((day.tm_year, day.tm_mon, day.tm_mday + days, 0, 0, 0, 0, 0, -1))


def lasting(seconds: float) -> str:
    """Format a length of time in one or two units."""
    if seconds < 1:
        return f"{seconds * 1000:.{0 if seconds >= 0.1 else 1}f} ms"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * DAY else f"{seconds / DAY:.0f} d"
