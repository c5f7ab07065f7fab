"""What the project's pictures are made of: SVG as plain text, one style, texts that do not meet, an axis.

Plain string building: a plotting library would be the largest dependency of the project for two pictures. The colours
are Okabe and Ito's, which stay apart for colour-blind eyes; what is amiss is hatched, so nothing is told by colour
alone. Text is measured by guess, as no font is at hand. Lies below everything, and imports nothing: the lab draws
its stories with it, failoverctl the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, RIGHT = 1000.0, 24.0
LANE, PITCH, ROW = 24.0, 34.0, 17.0
GLYPH = 6.4
"""Pixels that a letter takes, more or less."""

STYLE = """
  .paper{fill:#fff} text{font:12px ui-sans-serif,system-ui,"DejaVu Sans",sans-serif;fill:#1d2329}
  .title{font-size:17px;font-weight:600} .sub,.tick{fill:#57606a} .end{text-anchor:end} .mid{text-anchor:middle}
  .halo{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}
  .grid{stroke:#d8dee4} .axis{stroke:#57606a} .mark{stroke:#57606a;stroke-dasharray:4 3}
  .vf{fill:#56b4e9} .pv{fill:#f0c04a} .other{fill:#b9c0c7} .heard{fill:#d5ebe4}
  .bar{fill:#1d2329} .lost{stroke:#d55e00;stroke-width:1.4} .quiet{stroke:#1d2329;fill:none}
  @media (prefers-color-scheme:dark){
  .paper{fill:#14181d} text{fill:#e6edf3} .sub,.tick{fill:#9aa5b1} .halo{stroke:#14181d}
  .grid{stroke:#2b323a} .axis,.mark{stroke:#9aa5b1} .heard{fill:#1f4038} .lost{stroke:#ff8c42}
  .other{fill:#8a939c} .bar{fill:#10151a} .quiet{stroke:#e6edf3}}
"""

HATCH = (
    '<pattern id="amiss" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect fill="#fff" width="3.5" height="7" opacity="0.62"/></pattern>'
)


@dataclass(frozen=True, slots=True)
class Label:
    """A text with its left edge, in a row above the lanes (0 is nearest to them), for the mark at `at`."""

    at: float
    left: float
    row: int
    text: str


def stagger(marks: Sequence[tuple[float, str]], right: float) -> list[Label]:
    """Give each text (`at` in pixels) a row where it meets no other, and none that a later mark's line would cross.

    From right to left: a text reaches to the right of its mark, so it must stand above the lines it spans. One
    that would leave the picture at `right` is moved to the left.
    """
    labels: list[Label] = []
    for at, text in sorted(marks, reverse=True):
        width = len(text) * GLYPH + 8
        left = max(min(at, right - width), 0.0)
        spanned = [label.row + 1 for label in labels if left <= label.at < left + width and label.at > at]
        row = max(spanned, default=0)
        while any(label.row == row and _meet(label, left, width) for label in labels):
            row += 1
        labels.append(Label(at, left, row, text))
    return labels[::-1]


def _meet(label: Label, left: float, width: float) -> bool:
    return left < label.left + len(label.text) * GLYPH + 8 and label.left < left + width


def nice_step(length: float, most: int = 12) -> float:
    """Seconds between two ticks of an axis: 1, 2 or 5 times a power of ten, for at most `most` of them or so."""
    step = 0.001
    while True:
        for times in (1, 2, 5):
            if length / (step * times) <= most:
                return step * times
        step *= 10


def text(x: float, y: float, words: str, kind: str) -> str:
    """A line of text in the class `kind`."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'
