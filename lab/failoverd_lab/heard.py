"""Judge the recording by what was expected of it: one small function for each key of `heard`.

Each reports its measurement even when it holds: that 0.25 s were not exceeded says less than the 21 ms that were seen.
An expectation that could not have failed, for want of probes or of time, counts as failed: silence about nothing proves
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from failoverd_lab.checks import Answer, Verdict, tell
from failoverd_lab.story import Direction
from failoverd_lab.world import Probe, Recording, Span


def heard(what: Mapping[str, Any], recording: Recording, start: float, end: float) -> list[Answer]:
    """Judge every key of a `heard` over the recording from `start` to `end` (seconds of the story)."""
    return [
        Answer(f"{key} {'=' if key == 'announced' else '<='} {tell(want)}", *HEARD[key](want, recording, start, end))
        for key, want in what.items()
    ]


def gaps(probes: Sequence[Probe], way: Direction, start: float, end: float) -> list[tuple[float, float]]:
    """Return the times between arrivals in one direction, in seconds of the story, the edges of the window included.

    So a window in which nothing arrives is one silence as long as itself.
    """
    came = sorted(p.arrived for p in probes if p.direction == way and p.arrived is not None)
    moments = [start, *(at for at in came if start < at < end), end]
    return list(pairwise(moments))


def longest(spans: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the longest of some spans, the first of equals."""
    return max(spans, key=lambda span: span[1] - span[0])


def _silence(want: Mapping[Direction, float], recording: Recording, start: float, end: float) -> Verdict:
    if end - start <= max(want.values()):
        return False, f"only {end - start:.3f} s were looked at, which is less than the bound; give it a longer wait"
    parts, ok = [], True
    for way, bound in want.items():
        since, until = longest(gaps(recording.probes, way, start, end))
        ok = ok and until - since <= bound
        parts.append(f"{way} {(until - since) * 1000:.0f} ms")
    return ok, ", ".join(parts)


def _lost(want: Mapping[Direction, int], recording: Recording, start: float, end: float) -> Verdict:
    parts, ok = [], True
    for way, most in want.items():
        sent = [p for p in recording.probes if p.direction == way and start <= p.sent < end]
        gone = sum(p.arrived is None for p in sent)
        ok = ok and bool(sent) and gone <= most
        parts.append(f"{way} {gone} of {len(sent)}")
    return ok, ", ".join(parts)


def _switches(want: int, recording: Recording, start: float, end: float) -> Verdict:
    lane = sorted((s for s in recording.spans if s.lane == "active" and s.end > start), key=lambda s: s.start)
    lane = [span for span in lane if span.start < end and not _is_stutter(span, recording)]
    if not lane:
        return False, "the recording tells nothing of the active slave in this time"
    path = [lane[0].text] + [b.text for a, b in pairwise(lane) if b.text != a.text]
    return len(path) - 1 <= want, f"{len(path) - 1} ({' -> '.join(path)})"


def _is_stutter(span: Span, recording: Recording) -> bool:
    """Tell whether nothing carried only because a busy machine sent and took in nothing for a while: all that was sent
    has arrived."""
    sent = [probe for probe in recording.probes if span.start <= probe.sent < span.end]
    return span.text == "none" and bool(sent) and all(probe.arrived is not None for probe in sent)


def _announced(want: str, recording: Recording, start: float, end: float) -> Verdict:
    seen = [a for a in recording.announcements if start <= a.at < end]
    text = ", ".join(f"{a.kind} by {a.nic} at {a.at:.3f} s" for a in seen[:4]) or "no announcement"
    return any(a.nic == want for a in seen), text


HEARD: Mapping[str, Callable[[Any, Recording, float, float], Verdict]] = {
    "silence": _silence,
    "lost": _lost,
    "switches": _switches,
    "announced": _announced,
}
