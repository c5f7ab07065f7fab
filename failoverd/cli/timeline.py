"""The history as a picture: a lane for each master on an axis of real time, as one SVG document.

The lane has the colour of the slave that carried; if none did, it is dark and hatched. A failover is a line across the
lane with a dot on top, its reason in the tooltip, and for the few with the longest silence also above the lanes. A
dashed line is a boot.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from failoverd.cli.historyfile import local
from failoverd.cli.lanes import Failover, Lane, Record, Span
from failoverd.cli.timeaxis import lasting, ticks
from failoverd.drawing.picture import BELOW, LANE, Picture, Shape, text
from failoverd.model.text import printable

LEFT, PITCH = 150.0, 44.0
LABELLED = 10
"""Failovers with a text above the lanes."""

WORDS = {"vf": "VF", "pv": "standby", "none": "no slave", "other": "another slave"}
OWN = """
  .none{fill:#8c2d04} .off{stroke:#9aa5b1;stroke-dasharray:2 4} .fail{stroke:#1d2329;fill:#1d2329}
  @media (prefers-color-scheme:dark){.none{fill:#e0642a} .fail{stroke:#e6edf3;fill:#e6edf3}}
"""


LEGEND: tuple[tuple[Shape, str, str], ...] = (
    ("box", "vf", "VF"),
    ("box", "pv", "standby"),
    ("hatched", "none", "no slave"),
    ("hatched", "other", "not known"),
    ("dashes", "off", "failoverd did not run"),
    ("upright", "fail", "failover"),
    ("upright", "mark", "boot"),
)


def svg(record: Record) -> str:
    """Return the whole picture, 1000 pixels wide."""
    drawn = Picture(record.start, record.end, LEFT)
    top, labels = drawn.labels(_longest(record), "grid")
    bottom = top + max(len(record.lanes), 1) * PITCH
    lines = [*drawn.axis(ticks(record.start, record.end), top, bottom), *labels]
    for number, lane in enumerate(record.lanes):
        lines += _lane(drawn, record, lane, top + number * PITCH)
    if not record.lanes:
        lines.append(text(LEFT, top + 20, "no pair was joined in this time", "sub"))
    for at in record.boots:
        lines.append(f"<g><title>boot, {local(at)[:-4]}</title>")
        lines.append(f'<path class="mark" d="M{drawn.x(at):.1f} {top - 4:.1f}V{bottom:.1f}"/></g>')
    lines += drawn.legend(LEGEND, bottom)
    summary = _summary(record)
    return drawn.document("Which slave carried the traffic", summary, summary, bottom + BELOW, lines, OWN)


def _longest(record: Record) -> list[tuple[float, str]]:
    """Return the failovers with the longest silence: the moment, and the silence in words."""
    found = [(one, lane) for lane in record.lanes for one in lane.failovers]
    found.sort(key=lambda pair: (-pair[0].silence, -pair[0].at))
    marks = []
    for one, lane in found[:LABELLED]:
        whose = f"{lane.name}: " if len(record.lanes) > 1 else ""
        silence = f", {lasting(one.silence)}" if one.silence else ""
        marks.append((one.at, printable(f"{whose}{one.reason}{silence}")))
    return marks


def _summary(record: Record) -> str:
    failovers = [one for lane in record.lanes for one in lane.failovers]
    longest = max((one.silence for one in failovers), default=0.0)
    silence = f", the longest silence {lasting(longest)}" if longest else ""
    return f"{local(record.start)[:-4]} to {local(record.end)[:-4]}; {len(failovers)} failovers{silence}"


def _lane(drawn: Picture, record: Record, lane: Lane, y: float) -> Iterator[str]:
    yield text(16, y + LANE / 2 - 1, printable(lane.name), "")
    yield text(16, y + LANE / 2 + 13, printable(lane.mac), "sub")
    for start, end in record.gaps:
        yield f"<g><title>failoverd did not run, {_when(start, end)}</title>"
        yield f'<path class="off" d="M{drawn.x(start):.1f} {y + LANE / 2:.1f}H{drawn.x(end):.1f}"/></g>'
    for span in lane.spans:
        yield from _bar(drawn, span, y)
    for one in lane.failovers:
        x = drawn.x(one.at)
        yield f"<g><title>{escape(_told(one))}</title>"
        yield f'<path class="fail" d="M{x:.1f} {y - 4:.1f}v{LANE + 4:.0f}"/>'
        yield f'<circle class="fail" cx="{x:.1f}" cy="{y - 4:.1f}" r="2.5"/></g>'


def _bar(drawn: Picture, span: Span, y: float) -> Iterator[str]:
    name = printable(span.name)
    words = f"{name} ({WORDS[span.kind]})" if name else WORDS[span.kind]
    doubt = "" if span.is_sure else "; how long is not known, for failoverd ended without a word"
    hatched = span.kind == "none" or not span.is_sure
    tip = f"{words}, {_when(span.start, span.end)}{doubt}"
    return drawn.bar(span.start, span.end, y, span.kind, tip, hatched, () if hatched else (name,))


def _when(start: float, end: float) -> str:
    return f"{local(start)} to {local(end)}, {lasting(end - start)}"


def _told(one: Failover) -> str:
    silence = f"; silent for {lasting(one.silence)}" if one.silence else ""
    return printable(f"{local(one.at)}: from {one.old or 'no slave'} to {one.new or 'no slave'}: {one.reason}{silence}")
