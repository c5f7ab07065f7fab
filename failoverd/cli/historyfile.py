"""Read the history: <state>/history, as daemon/history.py writes it. Needs no daemon, and nothing but json.

The file may have been cut by a power loss, written by a newer failoverd, or edited by a user. A line that is not an
event is skipped, and a key of an event with an unexpected value is left out. So every key that a caller looks for
either has a value of the right type or is absent.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from typing import Any

from failoverd.config.regular import read_regular
from failoverd.core.signal_facts import keys
from failoverd.model.facts import Type

Event = dict[str, Any]

USUAL = "/var/lib/failoverd/history"
LARGEST = 64 << 20
"""Bytes of a history. The daemon keeps its own below a hundredth of that."""
LATEST = 1e11
"""Seconds since the epoch (the year 5138): a later time is nonsense that localtime(3) need not accept."""

KEYS = {key: row.type for key, row in keys().items() if key not in ("event", "time", "monotonic")}
"""The keys that an event may have beside these three, with the kind of each."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class HistoryError(Exception):
    """There is no history to read; the text says why and what to do."""


def place() -> str:
    """Return the path of the history."""
    return os.environ.get("FAILOVERD_HISTORY", USUAL)


def read(path: str) -> list[Event]:
    """Return all events, in the order in which they were written. Raises HistoryError."""
    try:
        lines = read_regular(path, LARGEST, follow=True).split(b"\n")
    except FileNotFoundError:
        raise HistoryError(f"no history at {path}; failoverd writes it as soon as it runs") from None
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror}; it should be a file that all users may read") from error
    return [event for event in map(_event, lines) if event is not None]


def select(events: Sequence[Event], master: str = "", since: float = 0.0, last: int | None = None) -> list[Event]:
    """Return the events of one master, since then, and of those the last ones.

    A master is named by its name or its MAC. A name also finds the events of the same pair's master under other names:
    it has a passing one while it is being joined.
    """
    if master:
        pairs = {event["mac"] for event in events if event.get("master") == master and "mac" in event}
        pairs.add(master.lower())
        events = [event for event in events if event.get("mac") in pairs or event.get("master") == master]
    found = [event for event in events if event["time"] >= since]
    return found if last is None else found[max(len(found) - last, 0) :]


def moment(text: str, now: float) -> float:
    """Parse a time on the command line into seconds since the epoch: how long ago ("90s", "15m", "2h", "3d", "1w"), or
    a local date and time ("2026-11-21", "2026-11-21 17:35"). Raises ValueError."""
    if found := re.fullmatch(r"([0-9]{1,9})([smhdw])", text):
        return now - int(found[1]) * UNITS[found[2]]
    for form in ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"):
        try:
            return time.mktime(time.strptime(text.replace("T", " "), form))
        except (ValueError, OverflowError):
            continue
    raise ValueError(f"{text!r} is no time; say how long ago, like 2h or 3d, or when, like '2026-11-21 17:35'")


def local(at: float) -> str:
    """Format a moment in local time, to the millisecond."""
    milliseconds = int(at * 1000)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(milliseconds // 1000)) + f".{milliseconds % 1000:03}"


def boot_id() -> str:
    """Return this boot's id as the history has it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
            return file.read().strip().replace("-", "")
    except (OSError, UnicodeDecodeError):
        return ""


def is_new_boot(before: Event | None, event: Event) -> bool:
    """Return whether the machine was booted between the two: by boot ids, else by a CLOCK_MONOTONIC that went back."""
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
        event: Event = {"event": found["event"], "time": float(found["time"]), "monotonic": float(found["monotonic"])}
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        return None
    if not (0 <= event["time"] < LATEST and 0 <= event["monotonic"] < LATEST):
        return None
    return event | {key: found[key] for key, kind in KEYS.items() if key in found and _fits(found[key], kind)}


def _fits(value: Any, kind: Type) -> bool:
    if kind is Type.FLAG:
        return isinstance(value, bool)
    if kind is Type.SECONDS:
        return _is_number(value) and 0 <= value < LATEST
    if kind is Type.TEXT:
        return isinstance(value, str)
    return isinstance(value, int) and _is_number(value) and 0 <= value < 1 << 63


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
