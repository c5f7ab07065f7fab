"""The history as lanes: for each master, which slave carried when, the failovers, and the times that are unknown.

The drawing has to show what failoverd did not see. While it did not run, it saw nothing (a bond worked on all the
same). If it ended without an event (kill -9, a power loss), nothing is known from its last event to its next start, or
to the boot if the machine went too; that time is shown as it was last, and marked as unsure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Literal

from failoverd.cli.historyfile import Event, is_new_boot
from failoverd.dataclass import dataclass

LaneKind = Literal["vf", "pv", "none", "other"]
KINDS: dict[str, LaneKind] = {"primary": "vf", "standby": "pv"}


@dataclass(frozen=True, slots=True)
class Span:
    """One state of a master from `start` to `end` (seconds since the epoch): which slave carried. `is_sure` is false if
    failoverd did not see the end."""

    start: float
    end: float
    kind: LaneKind
    name: str
    is_sure: bool = True


@dataclass(frozen=True, slots=True)
class Failover:
    """One change of the carrying slave; `silence` in seconds."""

    at: float
    old: str
    new: str
    reason: str
    silence: float


@dataclass(slots=True)
class Lane:
    """One master, by its pair's MAC; its name is the latest."""

    name: str
    mac: str
    spans: list[Span] = field(default_factory=list)
    failovers: list[Failover] = field(default_factory=list)


@dataclass(slots=True)
class Record:
    """All lanes from `start` to `end`; `boots` are moments, `gaps` are when failoverd did not run."""

    start: float
    end: float
    lanes: list[Lane]
    boots: list[float]
    gaps: list[tuple[float, float]]


def follow(events: Sequence[Event], now: float, boot: str = "", since: float = 0.0, master: str = "") -> Record:
    """Return what the events say, from `since` up to `now` in the boot with this id."""
    follower = _Follower()
    before = None
    for event, at in zip(events, _steady(events, now), strict=True):
        follower.take(event, at, before)
        before = event
    follower.finish(now, before is not None and bool(boot) and before.get("boot", boot) != boot)
    start = max(since, follower.first if follower.first is not None else now)
    end = max(now, start + 1.0)
    lanes = list(follower.lanes.values())
    if master:
        lanes = [lane for lane in lanes if master == lane.name or master.lower() == lane.mac]
    for lane in lanes:
        lane.spans = [
            Span(max(one.start, start), one.end, one.kind, one.name, one.is_sure)
            for one in lane.spans
            if one.end > max(one.start, start)
        ]
        lane.failovers = [one for one in lane.failovers if one.at >= start]
    gaps = [(max(a, start), b) for a, b in follower.gaps if b > start]
    return Record(start, end, lanes, [at for at in follower.boots if at >= start], gaps)


def _steady(events: Sequence[Event], now: float) -> list[float]:
    """Return the events' moments by the wall clock, none after a later one's: a clock set back was wrong before."""
    moments = []
    for event in reversed(events):
        now = min(now, event["time"])
        moments.append(now)
    return moments[::-1]


class _Follower:
    """Goes through the events in order."""

    def __init__(self) -> None:
        self.lanes: dict[str, Lane] = {}
        self.boots: list[float] = []
        self.gaps: list[tuple[float, float]] = []
        self.first: float | None = None
        self._open: dict[str, tuple[float, LaneKind, str]] = {}
        self._last = 0.0
        self._down: float | None = None

    def take(self, event: Event, at: float, before: Event | None) -> None:
        """Take in the next event, which happened at this moment."""
        if self.first is None:
            self.first = self._last = at
        if is_new_boot(before, event):
            booted = max(self._last, at - event["monotonic"])
            self.boots.append(booted)
            self._unseen(booted)
            self._down = booted if self._down is None else self._down
        if event["event"] == "started":
            self._unseen(at)
            if self._down is not None:
                self.gaps.append((self._down, at))
                self._down = None
        elif event["event"] == "stopped":
            self._close_all(at)
            self._down = at
        elif "master" in event:
            self._about_master(event, at)
        self._last = at

    def finish(self, now: float, is_other_boot: bool) -> None:
        """Close all spans at `now`, as there are no more events."""
        if is_other_boot:
            self._unseen(now)
        self._close_all(now)
        if self._down is not None:
            self.gaps.append((self._down, now))

    def _about_master(self, event: Event, at: float) -> None:
        kind = event["event"]
        mac = str(event.get("mac", event["master"]))
        if kind == "released":
            self._close(mac, at)
        elif kind == "joined":
            self._lane(mac, event).name = event["master"]
            self._carries(mac, at, event.get("active", ""), event.get("active_role", ""))
        elif kind == "failed-over":
            old, new = event.get("from", ""), event.get("to", "")
            silence = event.get("silence_seconds", 0.0)
            self._lane(mac, event).failovers.append(Failover(at, old, new, event.get("reason", ""), silence))
            self._carries(mac, at, new, event.get("to_role", ""))
        elif kind == "link-renamed" and event.get("role") == "master" and mac in self.lanes:
            self.lanes[mac].name = event["master"]

    def _lane(self, mac: str, event: Event) -> Lane:
        return self.lanes.setdefault(mac, Lane(event["master"], event.get("mac", "")))

    def _carries(self, mac: str, at: float, name: str, role: str) -> None:
        self._close(mac, at)
        self._open[mac] = (at, KINDS.get(role, "other") if name else "none", name)

    def _close(self, mac: str, at: float, is_sure: bool = True) -> None:
        if found := self._open.pop(mac, None):
            start, kind, name = found
            self.lanes[mac].spans.append(Span(start, at, kind, name, is_sure))

    def _close_all(self, at: float, is_sure: bool = True) -> None:
        for mac in list(self._open):
            self._close(mac, at, is_sure)

    def _unseen(self, until: float) -> None:
        """Mark the time since the last event as unsure: the slave that carried then may have gone on, or not."""
        for mac, (start, kind, name) in list(self._open.items()):
            self._close(mac, max(self._last, start))
            self._open[mac] = (max(self._last, start), kind, name)
            self._close(mac, until, is_sure=False)
