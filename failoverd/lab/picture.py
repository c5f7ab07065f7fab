"""Recording -> SVG: what the story looked like, on one time axis.

Lanes for the primary, the standby and the active NIC, a strip for the probes of each direction, and a dashed line
for each step. What it is made of, and why so, is in failoverd.drawing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from failoverd.drawing import GLYPH, HATCH, LANE, PITCH, RIGHT, ROW, STYLE, WIDTH, nice_step, stagger, text
from failoverd.lab.heard import gaps
from failoverd.lab.report import Report
from failoverd.lab.story import DIRECTIONS, Direction
from failoverd.lab.world import Span

LEFT, BAND = 96.0, 48.0
LABELLED = 5
"""Silences that are labelled in each direction, the longest ones."""

NOISE = 0.030
"""Seconds; a guest without KVM is silent for 10 to 25 ms by itself."""

LANES = ("primary", "standby", "active")

def svg(report: Report) -> str:
    """The whole picture as an SVG document, about 1000 pixels wide."""
    return "\n".join(_Canvas(report, max(report.recording.length, 0.001)).draw()) + "\n"


def kinds(report: Report) -> dict[str, str]:
    """Each NIC's kind by id, "vf" or "pv": what it is drawn as."""
    return {nic.id: "vf" if nic.bus == "pci" else "pv" for nic in report.scenario.nics}


def noise(report: Report) -> float:
    """Silences no longer than this (seconds) are not worth a word: the world's own, and one lost probe's."""
    return max(NOISE, 2.5 / report.scenario.rate)


def silences(report: Report, way: Direction) -> list[tuple[float, float]]:
    """The few longest silences of one direction that stand out from the noise, in seconds of the story."""
    recording = report.recording
    found = [(a, b) for a, b in gaps(recording.probes, way, 0.0, recording.length) if b - a > noise(report)]
    return sorted(sorted(found, key=lambda gap: gap[0] - gap[1])[:LABELLED])


@dataclass(slots=True)
class _Canvas:
    """Draws top down; `y` is where the next thing goes."""

    report: Report
    length: float
    y: float = 0.0

    def x(self, at: float) -> float:
        """The pixel of a moment."""
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(at, 0.0), self.length) / self.length

    def draw(self) -> Iterator[str]:
        marks = self.report.recording.marks
        labels = stagger([(self.x(mark.at), mark.text) for mark in marks], WIDTH - 4)
        rows = 1 + max((label.row for label in labels), default=-1)
        top = 62 + rows * ROW + (8 if rows else 0)
        bottom = top + len(LANES) * PITCH + len(DIRECTIONS) * BAND
        height = bottom + 66
        yield from self._head(height)
        yield from self._axis(top, bottom)
        for number in range(len(DIRECTIONS)):
            y = top + len(LANES) * PITCH + number * BAND
            width = WIDTH - LEFT - RIGHT
            yield f'<rect class="heard" x="{LEFT}" y="{y:.1f}" width="{width}" height="{LANE:.0f}"/>'
        for label in labels:
            y = 62 + (rows - label.row) * ROW
            yield f'<path class="mark" d="M{label.at:.1f} {y - 4:.1f}V{bottom:.1f}"/>'
            yield text(label.left + 4, y - 3, label.text, "halo")
        self.y = top
        for lane in LANES:
            yield from self._lane(lane)
        for way in DIRECTIONS:
            yield from self._probes(way)
        yield from self._legend(bottom + 52)
        yield "</svg>"

    def _head(self, height: float) -> Iterator[str]:
        scenario, told = self.report.scenario, self.report.traffic
        title = f"{scenario.name}, told in {self.report.world}"
        summary = "; ".join(
            f"{way}: longest silence {t.silence * 1000:.0f} ms, {t.lost} of {t.sent} probes lost"
            for way, t in told.items()
        )
        yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img"'
        yield f' width="{WIDTH:.0f}" height="{height:.0f}" aria-labelledby="title desc">'
        yield f'<title id="title">{escape(title)}</title>'
        yield f'<desc id="desc">{escape(" ".join(scenario.story.split()))} {escape(summary)}</desc>'
        yield f"<style>{STYLE}</style><defs>{HATCH}</defs>"
        yield f'<rect class="paper" width="{WIDTH:.0f}" height="{height:.0f}"/>'
        yield text(16, 28, title, "title")
        yield text(16, 48, summary, "sub")

    def _axis(self, top: float, bottom: float) -> Iterator[str]:
        step = nice_step(self.length)
        for number in range(int(self.length / step + 1e-9) + 1):
            x = self.x(number * step)
            yield f'<path class="grid" d="M{x:.1f} {top:.1f}V{bottom:.1f}"/>'
            yield text(x, bottom + 18, f"{number * step:g} s", "tick mid")
        yield f'<path class="axis" d="M{LEFT} {bottom:.1f}H{WIDTH - RIGHT}"/>'

    def _lane(self, lane: str) -> Iterator[str]:
        yield text(LEFT - 12, self.y + LANE / 2 + 4, lane, "end")
        for span in self.report.recording.spans:
            if span.lane == lane:
                yield from self._bar(span)
        self.y += PITCH

    def _bar(self, span: Span) -> Iterator[str]:
        """One span: coloured by its NIC, hatched if something is amiss, its text if there is room."""
        nic, _, amiss = span.text.partition(", ")
        x, width = self.x(span.start), max(self.x(span.end) - self.x(span.start), 1.0)
        place = f'x="{x:.1f}" y="{self.y:.1f}" width="{width:.1f}" height="{LANE:.0f}"'
        yield f"<g><title>{escape(span.text)}, {span.start:.3f} to {span.end:.3f} s</title>"
        yield f'<rect class="{kinds(self.report).get(nic, "other")}" rx="2" {place}/>'
        if amiss or nic == "none":
            yield f'<rect fill="url(#amiss)" {place}/>'
        fitting = next((text for text in (span.text, nic) if len(text) * GLYPH + 12 < width), "")
        if fitting:
            yield text(x + 7, self.y + LANE / 2 + 4, fitting, "bar")
        yield "</g>"

    def _probes(self, way: Direction) -> Iterator[str]:
        """A tick for each lost probe, and below a bracket for each silence over the noise."""
        yield text(LEFT - 12, self.y + LANE / 2 + 4, way, "end")
        lost = sorted(p.sent for p in self.report.recording.probes if p.direction == way and p.arrived is None)
        ticks = "".join(f"M{self.x(at):.1f} {self.y:.1f}v{LANE:.0f}" for at in lost)
        if ticks:
            yield f'<path class="lost" d="{ticks}"/>'
        free = 0.0
        for start, end in silences(self.report, way):
            words, x, y = f"{(end - start) * 1000:.0f} ms", self.x(start), self.y + LANE + 3
            far = self.x(end)
            yield f'<path class="quiet" d="M{x:.1f} {y - 2:.1f}v4H{far:.1f}v-4"/>'
            half = len(words) * GLYPH / 2
            middle = min((x + far) / 2, WIDTH - 4 - half)
            if middle - half >= free:
                yield text(middle, y + 14, words, "mid halo")
                free = middle + half + 4
        self.y += BAND

    def _legend(self, y: float) -> Iterator[str]:
        entries = (
            ("vf", "VF"),
            ("pv", "paravirtual NIC"),
            ("amiss", "no carrier, or not a slave"),
            ("heard", "probes heard"),
            ("lost", "probe lost"),
            ("quiet", f"silence over {noise(self.report) * 1000:.0f} ms"),
        )
        x = LEFT
        for kind, words in entries:
            if kind == "amiss":
                yield f'<rect class="other" x="{x}" y="{y - 10}" width="22" height="12"/>'
                yield f'<rect fill="url(#amiss)" x="{x}" y="{y - 10}" width="22" height="12"/>'
            elif kind == "lost":
                yield f'<path class="lost" d="M{x + 11} {y - 10}v12"/>'
            elif kind == "quiet":
                yield f'<path class="quiet" d="M{x} {y - 6}v4h22v-4"/>'
            else:
                yield f'<rect class="{kind}" x="{x}" y="{y - 10}" width="22" height="12"/>'
            yield text(x + 29, y, words, "sub")
            x += 29 + len(words) * GLYPH + 26
