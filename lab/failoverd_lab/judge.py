"""Turn the records of peer and guest into the contents of a recording. Pure.

The two sides have two clocks. The guest's stands still whenever the guest does, so it falls back by the downtime of
every migration; a single offset for a whole story would be wrong on one side of it. So the offset is found anew for
each half second of the guest's clock, as NTP does: no probe arrives before it was sent, so a probe to the guest bounds
the offset from above and a probe from the guest from below, and the offset is taken to be in the middle of the tightest
bounds. Within the half second of a migration a time may be wrong by the downtime.

For that reason a silence towards the guest is not judged by the guest's clock alone: it is at least as long as the time
between the *sending* of the last probe that arrived before it and of the first that arrived after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from failoverd_lab.lanes import Lanes
from failoverd_lab.nics import nic_of
from failoverd_lab.peer import Heard
from failoverd_lab.story import Direction
from failoverd_lab.traffic import Diary
from failoverd_lab.world import Announcement, Probe, Span

SPAN = 0.5
"""Seconds of the guest's clock that share one offset."""


GAP = 0.1
"""Seconds without one of the guest's probes after which the picture shows no carrying NIC."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A time in which nothing arrived: from `start`, for `length` (seconds of the story)."""

    start: float
    length: float


def probes(host: Diary, guest: Diary, start: float, *, one_clock: bool = False) -> list[Probe]:
    """Return every probe sent, in seconds of the story, which began at `start` of the host's clock.

    With `one_clock` both sides read the same clock, and there is no offset to find.
    """
    on_host = float if one_clock else GuestClock(host, guest).on_host
    at_guest = {number: on_host(at) for number, at in _first(guest.heard).items()}
    at_host = _first(host.heard)
    there = [_probe("to-guest", sent, at_guest.get(number), start) for number, sent in host.sent]
    back = [_probe("from-guest", on_host(sent), at_host.get(number), start) for number, sent in guest.sent]
    return there + back


def announcements(heard: Iterable[Heard], start: float) -> list[Announcement]:
    """Return the guest's announcements, each with the NIC that sent it."""
    return [Announcement(one.at - start, nic_of(one.port), one.kind) for one in heard]


def carried(host: Diary, ports: Sequence[str], start: float, length: float) -> list[Span]:
    """Return the spans of the carrying NIC: the one by which the guest's probes came in, and "none" in a gap longer
    than GAP.

    `ports` are those of the probes in the host's diary; the spans' lane is "active".
    """
    came = [(at - start, nic_of(port)) for (_, at), port in zip(host.heard, ports, strict=True)]
    came = [(0.0, came[0][1] if came else "none"), *(row for row in came if 0 <= row[0] <= length)]
    lanes = Lanes()
    for (since, nic), (until, _) in pairwise([*came, (length, "")]):
        lanes.note("active", since, nic)
        if until - since > GAP:
            lanes.note("active", since + GAP / 2, "none")
    return lanes.spans(length)


def silence(probes: Iterable[Probe], way: Direction, start: float, end: float) -> Silence:
    """Return the longest silence in one direction between two moments of the story, the edges included."""
    came = sorted((p.arrived, p.sent) for p in probes if p.direction == way and p.arrived is not None)
    came = [(arrived, sent) for arrived, sent in came if start < arrived < end]
    moments = [start, *(arrived for arrived, _ in came), end]
    found = [Silence(a, b - a) for a, b in pairwise(moments)]
    if way == "to-guest":
        found += [Silence(a, later - sooner) for (a, sooner), (_, later) in pairwise(came)]
    return max(found, key=lambda one: one.length)


def lost(probes: Iterable[Probe], way: Direction, start: float, end: float) -> int:
    """Return how many of the probes sent between two moments never arrived."""
    return sum(p.arrived is None and p.direction == way and start <= p.sent <= end for p in probes)


def outage(probes: Iterable[Probe], way: Direction, start: float, end: float) -> float:
    """Return the longest time (seconds) for which nothing that was sent in one direction arrived: from the sending of
    the last probe that came through to that of the next one that did. 0 where none was lost.

    Unlike the silence, a sender or receiver that waited for the CPU does not lengthen it.
    """
    longest, came, losing = 0.0, start, False
    for probe in sorted((p for p in probes if p.direction == way and start <= p.sent <= end), key=lambda p: p.sent):
        if probe.arrived is None:
            losing = True
            continue
        if losing:
            longest = max(longest, probe.sent - came)
        came, losing = probe.sent, False
    return max(longest, end - came) if losing else longest


def noise(probes: Sequence[Probe], start: float, end: float) -> float:
    """Return the longest silence (seconds) while nothing happened: the lab cannot tell a shorter outage from none."""
    ways: tuple[Direction, ...] = ("to-guest", "from-guest")
    return max(silence(probes, way, start, end).length for way in ways)


class GuestClock:
    """Converts the guest's clock to the host's (see the module)."""

    def __init__(self, host: Diary, guest: Diary) -> None:
        host_sent, guest_sent = dict(host.sent), dict(guest.sent)
        above: dict[int, float] = {}
        below: dict[int, float] = {}
        for number, at in guest.heard:
            if number in host_sent:
                above[_span(at)] = min(above.get(_span(at), at - host_sent[number]), at - host_sent[number])
        for number, at in host.heard:
            if number in guest_sent:
                sent = guest_sent[number]
                below[_span(sent)] = max(below.get(_span(sent), sent - at), sent - at)
        self._offsets = {span: (above[span] + below[span]) / 2 for span in above if span in below}
        if not self._offsets:
            self._offsets = {0: _guess(above, below, host, guest)}

    def on_host(self, at: float) -> float:
        """Convert a time of the guest's clock: by its own half second's offset, or by the nearest known one."""
        span = _span(at)
        nearest = span if span in self._offsets else min(self._offsets, key=lambda known: abs(known - span))
        return at - self._offsets[nearest]


def _guess(above: Mapping[int, float], below: Mapping[int, float], host: Diary, guest: Diary) -> float:
    """Guess the offset where no half second has probes of both directions: one bound, or else that both sides began
    together."""
    if above:
        return min(above.values())
    if below:
        return max(below.values())
    return guest.sent[0][1] - host.sent[0][1] if guest.sent and host.sent else 0.0


def _first(heard: Iterable[tuple[int, float]]) -> dict[int, float]:
    """Return when each probe arrived first; a flooded or doubled one may arrive again."""
    arrivals: dict[int, float] = {}
    for number, at in heard:
        arrivals.setdefault(number, at)
    return arrivals


def _probe(way: Direction, sent: float, arrived: float | None, start: float) -> Probe:
    """Return a probe in seconds of the story; one that seems to arrive before it was sent shows a clock's error."""
    return Probe(way, sent - start, None if arrived is None else max(arrived, sent) - start)


def _span(at: float) -> int:
    return int(at // SPAN)
