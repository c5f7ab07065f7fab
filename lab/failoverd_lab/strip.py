"""A recording as text lanes for a terminal: the same picture as the SVG, one column for each slice of time."""

from __future__ import annotations

from collections.abc import Iterator

from failoverd.drawing.columns import Columns
from failoverd_lab.picture import kinds, lanes_of, length_of, silences, ticks
from failoverd_lab.report import Report
from failoverd_lab.story import DIRECTIONS, Direction
from failoverd_lab.world import Span

LABEL = 11
WORDS = {"vf": "VF", "pv": "paravirtual NIC", "amiss": "something amiss", "heard": "heard", "lost": "probe lost"}
WHERE = {"other": "network namespace"}


def strip(report: Report, *, columns: int = 100, utf8: bool = True) -> str:
    """Return the recording as lines of at most `columns` characters (not less than 40), with a legend."""
    columns = max(columns, 40)
    drawn = Columns(0.0, length_of(report), columns - LABEL, utf8)
    return "\n".join(line[:columns].rstrip() for line in _lines(drawn, report))


def _lines(drawn: Columns, report: Report) -> Iterator[str]:
    marks = report.recording.marks
    yield f"{'':<{LABEL}}{drawn.axis(ticks(drawn.end, max(drawn.width // 8, 1)))}"
    if marks:
        yield f"{'steps':<{LABEL}}{_numbers(drawn, report)}"
    for lane in lanes_of(report):
        yield f"{lane:<{LABEL}}{_lane(drawn, report, lane)}"
    for way in DIRECTIONS:
        yield f"{way:<{LABEL}}{_probes(drawn, report, way)}"
    for number, mark in enumerate(marks, 1):
        yield f"{number:>9}  {mark.at:7.3f} s  {mark.text}"
    for way in DIRECTIONS:
        for start, end in silences(report, way):
            yield f"{'silence':>9}  {start:7.3f} s  {way}, {(end - start) * 1000:.0f} ms"
    yield f"{'legend':>9}  {drawn.legend(WORDS | (WHERE if 'namespace' in lanes_of(report) else {}))}"


def _numbers(drawn: Columns, report: Report) -> str:
    """Return the line of the marks' numbers, each at its column or further to the right where that is taken."""
    line, free = [" "] * drawn.width, 0
    for number, mark in enumerate(report.recording.marks, 1):
        word = str(number)
        at = max(drawn.at(mark.at), free)
        line[at : at + len(word)] = word
        free = at + len(word) + 1
    return "".join(line)


def _lane(drawn: Columns, report: Report, lane: str) -> str:
    """Return a lane's line: its spans, with their texts where there is room."""
    spans = [span for span in report.recording.spans if span.lane == lane]
    line = list(drawn.lane((span.start, span.end, _kind(report, span)) for span in spans))
    for span in spans:
        first, last = drawn.at(span.start), drawn.at(span.end)
        words = (span.text, span.text.partition(",")[0])
        word = next((word for word in words if len(word) + 4 <= last - first), "")
        line[first + 1 : first + 1 + len(word)] = word
    return "".join(line)


def _kind(report: Report, span: Span) -> str:
    if span.lane == "namespace":
        return "other"
    nic, _, amiss = span.text.partition(", ")
    return "amiss" if amiss else kinds(report).get(nic, "amiss")


def _probes(drawn: Columns, report: Report, way: Direction) -> str:
    probes = [probe for probe in report.recording.probes if probe.direction == way]
    return drawn.lane((p.sent, p.sent, "lost" if p.arrived is None else "heard") for p in probes)
