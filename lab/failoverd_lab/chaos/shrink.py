"""Find the shortest history that still breaks the same invariant: leave events out, many at a time, then one by one."""

from __future__ import annotations

from dataclasses import replace

from failoverd_lab.chaos.draw import Event, History
from failoverd_lab.chaos.run import run

TRIES = 400
"""Most runs of a history while it is shrunk."""


def shrink(history: History, kind: str = "") -> tuple[str, History] | None:
    """Return the invariant that is broken, and the shortest history; None where none is. `kind` chooses among
    several."""
    broken = sorted({failure.kind for failure in run(history).failures})
    if not broken or (kind and kind not in broken):
        return None
    kind = kind or broken[0]
    tries = TRIES

    def still_breaks(events: list[Event]) -> bool:
        nonlocal tries
        tries -= 1
        told = run(replace(history, events=tuple(events)))
        return any(failure.kind == kind for failure in told.failures)

    events = list(history.events)
    size = max(1, len(events) // 2)
    while tries > 0:
        at = 0
        shorter = False
        while at < len(events) and tries > 0:
            rest = events[:at] + events[at + size :]
            if still_breaks(rest):
                events, shorter = rest, True
            else:
                at += size
        if size == 1 and not shorter:
            break
        size = max(1, size // 2)
    for at, event in enumerate(events):
        calm = [*events[:at], {**event, "dt": 6.0}, *events[at + 1 :]]
        if event["dt"] != 0 and tries > 0 and still_breaks(calm):
            events = calm
    return kind, replace(history, events=tuple(events))
