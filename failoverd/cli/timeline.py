"""The history as a picture: a lane for each master on an axis of real time, as one SVG document.

The lane has the colour of who carried; where nobody did it is dark and hatched. A failover is a line across the lane
with a dot on top, its reason in the tooltip, and for the few with the longest silence also above the lanes. A dashed
line is a boot. Light and dark are the reader's choice (prefers-color-scheme), as in the lab's pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from failoverd.cli.historyfile import local
from failoverd.cli.lanes import Failover, Lane, Record, Span
from failoverd.cli.timeaxis import lasting, ticks
from failoverd.drawing import GLYPH, HATCH, LANE, RIGHT, ROW, STYLE, WIDTH, Label, stagger, text
from failoverd.model.text import printable

LEFT, PITCH = 150.0, 44.0
LABELLED = 10
"""Failovers with a text above the lanes."""

WORDS = {"vf": "VF", "pv": "standby", "none": "nobody", "other": "another slave"}
OWN = """
  .none{fill:#8c2d04} .off{stroke:#9aa5b1;stroke-dasharray:2 4} .fail{stroke:#1d2329;fill:#1d2329}
  @media (prefers-color-scheme:dark){.none{fill:#e0642a} .fail{stroke:#e6edf3;fill:#e6edf3}}
"""


def svg(record: Record) -> str:
    """The whole picture, 1000 pixels wide."""
    return "\n".join(_Canvas(record).draw()) + "\n"


@dataclass(frozen=True, slots=True)
class _Canvas:
    record: Record

    def x(self, at: float) -> float:
        """The pixel of a moment."""
        start, end = self.record.start, self.record.end
        return LEFT + (WIDTH - LEFT - RIGHT) * (min(max(at, start), end) - start) / (end - start)

    def draw(self) -> Iterator[str]:
        labels = self._labels()
        rows = 1 + max((label.row for label in labels), default=-1)
        top = 66 + rows * ROW + (8 if rows else 0)
        bottom = top + max(len(self.record.lanes), 1) * PITCH
        yield from self._head(bottom + 62)
        yield from self._axis(top, bottom)
        for label in labels:
            y = 66 + (rows - label.row) * ROW
            yield f'<path class="grid" d="M{label.at:.1f} {y - 4:.1f}V{top:.1f}"/>'
            yield text(label.left + 4, y - 3, label.text, "halo")
        for number, lane in enumerate(self.record.lanes):
            yield from self._lane(lane, top + number * PITCH)
        if not self.record.lanes:
            yield text(LEFT, top + 20, "no pair was joined in this time", "sub")
        yield from self._boots(top, bottom)
        yield from _legend(bottom + 48)
        yield "</svg>"

    def _labels(self) -> list[Label]:
        """The failovers of the longest silence, in words."""
        found = [(one, lane) for lane in self.record.lanes for one in lane.failovers]
        found.sort(key=lambda pair: (-pair[0].silence, -pair[0].at))
        marks = []
        for one, lane in found[:LABELLED]:
            whose = f"{lane.name}: " if len(self.record.lanes) > 1 else ""
            silence = f", {lasting(one.silence)}" if one.silence else ""
            marks.append((self.x(one.at), printable(f"{whose}{one.reason}{silence}")))
        return stagger(marks, WIDTH - 4)

    def _head(self, height: float) -> Iterator[str]:
        record = self.record
        count = sum(len(lane.failovers) for lane in record.lanes)
        longest = max((one.silence for lane in record.lanes for one in lane.failovers), default=0.0)
        silence = f", the longest silence {lasting(longest)}" if longest else ""
        summary = f"{local(record.start)[:-4]} to {local(record.end)[:-4]}; {count} failovers{silence}"
        yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img"'
        yield f' width="{WIDTH:.0f}" height="{height:.0f}" aria-labelledby="title desc">'
        yield '<title id="title">Who carried the traffic</title>'
        yield f'<desc id="desc">{escape(summary)}</desc>'
        yield f"<style>{STYLE}{OWN}</style><defs>{HATCH}</defs>"
        yield f'<rect class="paper" width="{WIDTH:.0f}" height="{height:.0f}"/>'
        yield text(16, 28, "Who carried the traffic", "title")
        yield text(16, 48, summary, "sub")

    def _axis(self, top: float, bottom: float) -> Iterator[str]:
        for at, words in ticks(self.record.start, self.record.end):
            x = self.x(at)
            yield f'<path class="grid" d="M{x:.1f} {top:.1f}V{bottom:.1f}"/>'
            half = len(words) * GLYPH / 2
            yield text(min(x, WIDTH - 4 - half), bottom + 18, words, "tick mid")
        yield f'<path class="axis" d="M{LEFT} {bottom:.1f}H{WIDTH - RIGHT}"/>'

    def _lane(self, lane: Lane, y: float) -> Iterator[str]:
        yield text(16, y + LANE / 2 - 1, printable(lane.name), "")
        yield text(16, y + LANE / 2 + 13, printable(lane.mac), "sub")
        for start, end in self.record.gaps:
            yield f"<g><title>failoverd did not run, {_when(start, end)}</title>"
            yield f'<path class="off" d="M{self.x(start):.1f} {y + LANE / 2:.1f}H{self.x(end):.1f}"/></g>'
        for span in lane.spans:
            yield from self._bar(span, y)
        for one in lane.failovers:
            x = self.x(one.at)
            yield f"<g><title>{escape(_told(one))}</title>"
            yield f'<path class="fail" d="M{x:.1f} {y - 4:.1f}v{LANE + 4:.0f}"/>'
            yield f'<circle class="fail" cx="{x:.1f}" cy="{y - 4:.1f}" r="2.5"/></g>'

    def _bar(self, span: Span, y: float) -> Iterator[str]:
        x, width = self.x(span.start), max(self.x(span.end) - self.x(span.start), 1.0)
        place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{LANE:.0f}"'
        name = printable(span.name)
        words = f"{name} ({WORDS[span.kind]})" if name else WORDS[span.kind]
        doubt = "" if span.is_sure else "; how long is not known, for failoverd ended without a word"
        yield f"<g><title>{escape(words)}, {_when(span.start, span.end)}{doubt}</title>"
        yield f'<rect class="{span.kind}" {place}/>'
        if span.kind == "none" or not span.is_sure:
            yield f'<rect fill="url(#amiss)" {place}/>'
        elif len(name) * GLYPH + 12 < width:
            yield text(x + 7, y + LANE / 2 + 4, name, "bar")
        yield "</g>"

    def _boots(self, top: float, bottom: float) -> Iterator[str]:
        for at in self.record.boots:
            x = self.x(at)
            yield f"<g><title>boot, {local(at)[:-4]}</title>"
            yield f'<path class="mark" d="M{x:.1f} {top - 4:.1f}V{bottom:.1f}"/></g>'


def _when(start: float, end: float) -> str:
    return f"{local(start)} to {local(end)}, {lasting(end - start)}"


def _told(one: Failover) -> str:
    silence = f"; silent for {lasting(one.silence)}" if one.silence else ""
    return printable(f"{local(one.at)}: from {one.old or 'nobody'} to {one.new or 'nobody'}: {one.reason}{silence}")


def _legend(y: float) -> Iterator[str]:
    entries = (
        ("vf", "VF"),
        ("pv", "standby"),
        ("none", "nobody"),
        ("amiss", "not known"),
        ("off", "failoverd did not run"),
        ("fail", "failover"),
        ("mark", "boot"),
    )
    x = LEFT
    for kind, words in entries:
        if kind == "off":
            yield f'<path class="off" d="M{x} {y - 4}h22"/>'
        elif kind in ("fail", "mark"):
            yield f'<path class="{kind}" d="M{x + 11} {y - 11}v14"/>'
        else:
            yield f'<rect class="{"other" if kind == "amiss" else kind}" x="{x}" y="{y - 10}" width="22" height="12"/>'
            if kind in ("none", "amiss"):
                yield f'<rect fill="url(#amiss)" x="{x}" y="{y - 10}" width="22" height="12"/>'
        yield text(x + 29, y, words, "sub")
        x += 29 + len(words) * GLYPH + 22
