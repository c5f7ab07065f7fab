"""Recording -> text lanes for a terminal: the same picture as the SVG, one column a slice of time.

A column shows the worst of its slice: a lost probe is never averaged away, and a NIC that was amiss for a moment
shows it. A terminal that is not UTF-8 gets plain ASCII.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from failoverd.drawing import nice_step
from failoverd.lab.picture import LANES, kinds, silences
from failoverd.lab.report import Report
from failoverd.lab.story import DIRECTIONS, Direction

LABEL = 11


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of the lanes."""

    vf: str
    pv: str
    amiss: str
    none: str
    heard: str
    lost: str
    tick: str


UNICODE = Glyphs(vf="█", pv="▒", amiss="╌", none=" ", heard="·", lost="×", tick="┬")
ASCII = Glyphs(vf="#", pv="=", amiss="-", none=" ", heard=".", lost="x", tick="+")


def strip(report: Report, *, columns: int = 100, utf8: bool = True) -> str:
    """The recording as lines of at most `columns` characters (not less than 40), with a legend."""
    columns = max(columns, 40)
    drawing = _Strip(report, columns - LABEL, max(report.recording.length, 0.001), UNICODE if utf8 else ASCII)
    return "\n".join(line[:columns].rstrip() for line in drawing.lines())


@dataclass(frozen=True, slots=True)
class _Strip:
    report: Report
    width: int
    length: float
    glyphs: Glyphs

    def column(self, at: float) -> int:
        return min(max(int(at / self.length * self.width), 0), self.width - 1)

    def lines(self) -> Iterator[str]:
        yield from self._axis()
        if self.report.recording.marks:
            yield f"{'steps':<{LABEL}}{self._numbers()}"
        for lane in LANES:
            yield f"{lane:<{LABEL}}{self._lane(lane)}"
        for way in DIRECTIONS:
            yield f"{way:<{LABEL}}{self._probes(way)}"
        for number, mark in enumerate(self.report.recording.marks, 1):
            yield f"{number:>9}  {mark.at:7.3f} s  {mark.text}"
        for way in DIRECTIONS:
            for start, end in silences(self.report, way):
                yield f"{'silence':>9}  {start:7.3f} s  {way}, {(end - start) * 1000:.0f} ms"
        g = self.glyphs
        yield (
            f"{'legend':>9}  {g.vf} VF  {g.pv} paravirtual NIC  {g.amiss} something amiss"
            f"  {g.heard} heard  {g.lost} probe lost"
        )

    def _axis(self) -> Iterator[str]:
        words, ticks = [" "] * self.width, [" "] * self.width
        step = nice_step(self.length, max(self.width // 8, 1))
        for number in range(int(self.length / step + 1e-9) + 1):
            at = self.column(number * step)
            ticks[at] = self.glyphs.tick
            word = f"{number * step:g} s"
            if at + len(word) <= self.width:
                words[at : at + len(word)] = word
        yield f"{'':<{LABEL}}{''.join(words)}"
        yield f"{'':<{LABEL}}{''.join(ticks)}"

    def _numbers(self) -> str:
        """Each mark's number at its column, moved to the right where another one stands already."""
        line, free = [" "] * self.width, 0
        for number, mark in enumerate(self.report.recording.marks, 1):
            word = str(number)
            at = max(self.column(mark.at), free)
            line[at : at + len(word)] = word
            free = at + len(word) + 1
        return "".join(line)

    def _lane(self, lane: str) -> str:
        line = [self.glyphs.none] * self.width
        names: list[tuple[int, int, str]] = []
        for span in sorted(self.report.recording.spans, key=lambda span: span.start):
            if span.lane != lane:
                continue
            nic, _, amiss = span.text.partition(", ")
            kind = kinds(self.report).get(nic, "")
            glyph = self.glyphs.amiss if amiss or not kind else getattr(self.glyphs, kind)
            first, last = self.column(span.start), self.column(span.end)
            for at in range(first, last + 1):
                if line[at] != self.glyphs.amiss:
                    line[at] = glyph
            names.append((first, last, span.text))
        for first, last, text in names:
            word = next((word for word in (text, text.partition(",")[0]) if len(word) + 4 <= last - first), "")
            line[first + 1 : first + 1 + len(word)] = word
        return "".join(line)

    def _probes(self, way: Direction) -> str:
        line = [" "] * self.width
        for probe in self.report.recording.probes:
            at = self.column(probe.sent)
            if probe.direction == way and line[at] != self.glyphs.lost:
                line[at] = self.glyphs.lost if probe.arrived is None else self.glyphs.heard
        return "".join(line)
