"""A recording as SVG: the story on one time axis.

There are lanes for the primary, the standby and the active NIC, one for the network namespace of the master where it
moves, a strip for the probes of each direction, and a dashed line for each step. The elements are failoverd's
(failoverd.drawing).
"""

from __future__ import annotations

from collections.abc import Iterator

from failoverd.drawing.labels import GLYPH
from failoverd.drawing.picture import BELOW, LANE, RIGHT, WIDTH, Picture, text
from failoverd_lab.heard import gaps
from failoverd_lab.report import Report
from failoverd_lab.story import DIRECTIONS, Direction
from failoverd_lab.world import Span

LEFT, PITCH, BAND = 96.0, 34.0, 48.0
LABELLED = 5
"""Silences labelled in each direction, the longest ones."""

NOISE = 0.030
"""Seconds; a guest without KVM is silent for 10 to 25 ms by itself."""

LANES = ("primary", "standby", "active", "namespace")


def svg(report: Report) -> str:
    """Return the picture as an SVG document, 1000 pixels wide."""
    length = length_of(report)
    drawn, lanes = Picture(0.0, length, LEFT), lanes_of(report)
    tall = len(lanes) * PITCH + len(DIRECTIONS) * BAND
    top, labels = drawn.labels([(mark.at, mark.text) for mark in report.recording.marks], "mark", tall)
    bottom = top + tall
    ways = [(way, top + len(lanes) * PITCH + number * BAND) for number, way in enumerate(DIRECTIONS)]
    lines = list(drawn.axis(ticks(length), top, bottom))
    for _, y in ways:
        width = WIDTH - LEFT - RIGHT
        lines.append(f'<rect class="heard" x="{LEFT}" y="{y:.1f}" width="{width}" height="{LANE:.0f}"/>')
    lines += labels
    for number, lane in enumerate(lanes):
        y = top + number * PITCH
        lines.append(text(LEFT - 12, y + LANE / 2 + 4, lane, "end"))
        for span in report.recording.spans:
            if span.lane == lane:
                lines += _bar(drawn, report, span, y)
    for way, y in ways:
        lines += _probes(drawn, report, way, y)
    lines += drawn.legend(
        [
            ("box", "vf", "VF"),
            ("box", "pv", "paravirtual NIC"),
            ("hatched", "other", "no carrier, or not a slave"),
            ("box", "heard", "probes heard"),
            ("upright", "lost", "probe lost"),
            ("bracket", "quiet", f"silence over {noise(report) * 1000:.0f} ms"),
        ],
        bottom,
    )
    summary = "; ".join(
        f"{way}: longest silence {t.silence * 1000:.0f} ms, {t.lost} of {t.sent} probes lost"
        for way, t in report.traffic.items()
    )
    about = f"{' '.join(report.scenario.story.split())} {summary}"
    return drawn.document(f"{report.scenario.name}, told in {report.world}", summary, about, bottom + BELOW, lines)


def lanes_of(report: Report) -> list[str]:
    """Return the lanes of the picture. A master that never moves needs none for its network namespace."""
    shown = {*LANES[:3], *(span.lane for span in report.recording.spans)}
    return [lane for lane in LANES if lane in shown]


def length_of(report: Report) -> float:
    """Return the recording's length in seconds; never 0."""
    return max(report.recording.length, 0.001)


def ticks(length: float, most: int = 12) -> list[tuple[float, str]]:
    """Return the ticks of an axis of this length in seconds: times, and their labels."""
    step = nice_step(length, most)
    return [(number * step, f"{number * step:g} s") for number in range(int(length / step + 1e-9) + 1)]


def nice_step(length: float, most: int = 12) -> float:
    """Return the seconds between two ticks of an axis: 1, 2 or 5 times a power of ten, for about `most` ticks at
    most."""
    step = 0.001
    while True:
        for times in (1, 2, 5):
            if length / (step * times) <= most:
                return step * times
        step *= 10


def kinds(report: Report) -> dict[str, str]:
    """Return each NIC's kind in the picture by id, "vf" or "pv"."""
    return {nic.id: "vf" if nic.bus == "pci" else "pv" for nic in report.scenario.nics}


def noise(report: Report) -> float:
    """Return the length (seconds) up to which silences are not labelled: the world's own noise, and one lost
    probe's."""
    return max(NOISE, 2.5 / report.scenario.rate)


def silences(report: Report, way: Direction) -> list[tuple[float, float]]:
    """Return the few longest silences of one direction above the noise, in seconds of the story."""
    recording = report.recording
    found = [(a, b) for a, b in gaps(recording.probes, way, 0.0, recording.length) if b - a > noise(report)]
    return sorted(sorted(found, key=lambda gap: gap[0] - gap[1])[:LABELLED])


def _bar(drawn: Picture, report: Report, span: Span, y: float) -> Iterator[str]:
    """Draw one span: coloured by its NIC, hatched if something is amiss."""
    nic, _, amiss = span.text.partition(", ")
    tip = f"{span.text}, {span.start:.3f} to {span.end:.3f} s"
    kind = kinds(report).get(nic, "other")
    return drawn.bar(span.start, span.end, y, kind, tip, bool(amiss) or nic == "none", (span.text, nic))


def _probes(drawn: Picture, report: Report, way: Direction, y: float) -> Iterator[str]:
    """Draw a tick for each lost probe, and below a bracket for each silence over the noise."""
    yield text(LEFT - 12, y + LANE / 2 + 4, way, "end")
    lost = sorted(p.sent for p in report.recording.probes if p.direction == way and p.arrived is None)
    if uprights := "".join(f"M{drawn.x(at):.1f} {y:.1f}v{LANE:.0f}" for at in lost):
        yield f'<path class="lost" d="{uprights}"/>'
    free = 0.0
    for start, end in silences(report, way):
        words, x, far, below = f"{(end - start) * 1000:.0f} ms", drawn.x(start), drawn.x(end), y + LANE + 3
        yield f'<path class="quiet" d="M{x:.1f} {below - 2:.1f}v4H{far:.1f}v-4"/>'
        half = len(words) * GLYPH / 2
        middle = min((x + far) / 2, WIDTH - 4 - half)
        if middle - half >= free:
            yield text(middle, below + 14, words, "mid halo")
            free = middle + half + 4
