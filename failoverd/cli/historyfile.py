"""Reading the history: <state>/history, as daemon/history.py writes it. Needs no daemon, and nothing but json.

The file may have been cut by a power loss, written by a newer failoverd, or edited by somebody. A line that is not an
event is passed over; what of an event is not as expected is left out of it. So every key a reader looks for either has
a value of the right type or is not there.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Event = dict[str, Any]

USUAL = "/var/lib/failoverd/history"
LATEST = 1e11
"""Seconds since the epoch (the year 5138): a time beyond is nonsense that localtime(3) need not take."""

TEXTS = ("master", "mac", "ifname", "from", "to", "role", "reason", "active", "active_role", "boot", "version")
NUMBERS = ("ifindex", "from_ifindex", "to_ifindex", "active_ifindex", "silence_usec")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class HistoryError(Exception):
    """There is no history to be read; the text says why and what to do."""


def place() -> str:
    """Where the history is."""
    return os.environ.get("FAILOVERD_HISTORY", USUAL)


def read(path: str) -> list[Event]:
    """All events, in the order in which they were written. Raises HistoryError."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes longer to load than all of this
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        raise HistoryError(f"no history at {path}; failoverd writes it as soon as it runs") from None
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror}; it should be a file that everybody may read") from error
    return [event for event in map(_event, lines) if event is not None]


def select(events: Sequence[Event], master: str = "", since: float = 0.0, last: int | None = None) -> list[Event]:
    """The events of one master, since then, and of those the last ones.

    A master is named by its name or its MAC. A name also finds what the same pair's master did under other names: it
    has a passing one while it is being joined.
    """
    if master:
        pairs = {event["mac"] for event in events if event.get("master") == master and "mac" in event}
        pairs.add(master.lower())
        events = [event for event in events if event.get("mac") in pairs or event.get("master") == master]
    found = [event for event in events if event["at"] >= since]
    return found if last is None else found[max(len(found) - last, 0) :]


def moment(text: str, now: float) -> float:
    """A time on the command line, in seconds since the epoch: how long ago ("90s", "15m", "2h", "3d", "1w"), or a date
    and time of this place ("2026-11-21", "2026-11-21 17:35"). Raises ValueError."""
    if found := re.fullmatch(r"([0-9]{1,9})([smhdw])", text):
        return now - int(found[1]) * UNITS[found[2]]
    for form in ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"):
        try:
            return time.mktime(time.strptime(text.replace("T", " "), form))
        except (ValueError, OverflowError):
            continue
    raise ValueError(f"{text!r} is no time; say how long ago, like 2h or 3d, or when, like '2026-11-21 17:35'")


def local(at: float) -> str:
    """A moment in this place's time, to the millisecond."""
    milliseconds = int(at * 1000)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(milliseconds // 1000)) + f".{milliseconds % 1000:03}"


def boot_id() -> str:
    """This boot's id as the history has it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
            return file.read().strip().replace("-", "")
    except (OSError, UnicodeDecodeError):
        return ""


def is_new_boot(before: Event | None, event: Event) -> bool:
    """Whether the machine was started between the two; by the clock that starts at zero where no boot has its id."""
    if before is None:
        return False
    if before.get("boot") and event.get("boot"):
        return bool(before["boot"] != event["boot"])
    return bool(event["monotonic"] < before["monotonic"])


def _event(line: bytes) -> Event | None:
    try:
        found = json.loads(line)
        if not isinstance(found, dict) or not isinstance(found["event"], str):
            return None
        event: Event = {"event": found["event"], "at": float(found["at"]), "monotonic": float(found["monotonic"])}
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        return None
    if not (0 <= event["at"] < LATEST and 0 <= event["monotonic"] < LATEST):
        return None
    return event | _typed(found, TEXTS, _is_text) | _typed(found, NUMBERS, _is_count)


def _typed(found: Event, names: Iterable[str], fits: Callable[[Any], bool]) -> Event:
    return {name: found[name] for name in names if name in found and fits(found[name])}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63
