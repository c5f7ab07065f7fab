"""Lanes as SVG: plain text, one style, an axis, bars, texts that do not meet, a legend.

The code builds strings: a plotting library would be the largest dependency of the project, for two pictures. The
colours are Okabe and Ito's, which colour-blind readers can tell apart; failures are hatched as well, so that no fact
depends on colour alone. Light and dark follow the reader's choice (prefers-color-scheme).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal
from xml.sax.saxutils import escape

from failoverd.dataclass import dataclass
from failoverd.drawing.labels import GLYPH, stagger

WIDTH, RIGHT = 1000.0, 24.0
LANE, ROW = 24.0, 17.0
TOP = 66.0
"""The top of the labels, below title and summary."""
BELOW = 62.0
"""The height of axis and legend below the lanes."""

Shape = Literal["box", "hatched", "upright", "dashes", "bracket"]
"""The shape of a kind in the legend."""

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
class Picture:
    """Draws the time from `start` to `end` (seconds), right of `left` pixels for the lanes' names."""

    start: float
    end: float
    left: float

    def x(self, at: float) -> float:
        """Return the pixel of a moment; for one outside, the nearest."""
        at = min(max(at, self.start), self.end)
        return self.left + (WIDTH - self.left - RIGHT) * (at - self.start) / (self.end - self.start)

    def document(
        self, title: str, summary: str, about: str, height: float, lanes: Iterable[str], style: str = ""
    ) -> str:
        """Return the whole picture, with these lanes in it; `about` is its text alternative for screen readers."""
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img"',
            f' width="{WIDTH:.0f}" height="{height:.0f}" aria-labelledby="title desc">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape(about)}</desc>',
            f"<style>{STYLE}{style}</style><defs>{HATCH}</defs>",
            f'<rect class="paper" width="{WIDTH:.0f}" height="{height:.0f}"/>',
            text(16, 28, title, "title"),
            text(16, 48, summary, "sub"),
        ]
        return "\n".join([*lines, *lanes, "</svg>"]) + "\n"

    def labels(self, marks: Sequence[tuple[float, str]], kind: str, down: float = 0.0) -> tuple[float, list[str]]:
        """Return texts (moment, words) above the lanes, each with a line of this class down to the lanes' top and
        `down` further. Returns that top, too."""
        labels = stagger([(self.x(at), words) for at, words in marks], WIDTH - 4)
        rows = 1 + max((label.row for label in labels), default=-1)
        top = TOP + rows * ROW + (8 if rows else 0)
        lines = []
        for label in labels:
            y = TOP + (rows - label.row) * ROW
            lines.append(f'<path class="{kind}" d="M{label.at:.1f} {y - 4:.1f}V{top + down:.1f}"/>')
            lines.append(text(label.left + 4, y - 3, label.text, "halo"))
        return top, lines

    def axis(self, ticks: Iterable[tuple[float, str]], top: float, bottom: float) -> Iterator[str]:
        """Yield a grid line over all lanes for each tick (moment, words), and the axis below them."""
        for at, words in ticks:
            x = self.x(at)
            yield f'<path class="grid" d="M{x:.1f} {top:.1f}V{bottom:.1f}"/>'
            yield text(min(x, WIDTH - 4 - len(words) * GLYPH / 2), bottom + 18, words, "tick mid")
        yield f'<path class="axis" d="M{self.left} {bottom:.1f}H{WIDTH - RIGHT}"/>'

    def bar(
        self, start: float, end: float, y: float, kind: str, tip: str, hatched: bool, words: Sequence[str]
    ) -> Iterator[str]:
        """Yield a span in the colour of its kind, with the first of these words that fits."""
        x, width = self.x(start), max(self.x(end) - self.x(start), 1.0)
        place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{LANE:.0f}"'
        yield f"<g><title>{escape(tip)}</title>"
        yield f'<rect class="{kind}" rx="2" {place}/>'
        if hatched:
            yield f'<rect fill="url(#amiss)" {place}/>'
        if fitting := next((word for word in words if len(word) * GLYPH + 12 < width), ""):
            yield text(x + 7, y + LANE / 2 + 4, fitting, "bar")
        yield "</g>"

    def legend(self, entries: Iterable[tuple[Shape, str, str]], bottom: float) -> Iterator[str]:
        """Yield the legend: the meaning of shapes of these classes (shape, class, words)."""
        x, y = self.left, bottom + 48
        for shape, kind, words in entries:
            box = f'x="{x:.1f}" y="{y - 10:.1f}" width="22" height="12"'
            if shape in ("box", "hatched"):
                yield f'<rect class="{kind}" {box}/>'
            if shape == "hatched":
                yield f'<rect fill="url(#amiss)" {box}/>'
            if shape in STROKES:
                yield f'<path class="{kind}" d="{STROKES[shape].format(x=x, middle=x + 11, y=y)}"/>'
            yield text(x + 29, y, words, "sub")
            x += 29 + len(words) * GLYPH + 22


STROKES = {
    "upright": "M{middle:.1f} {y:.1f}m0 -11v14",
    "dashes": "M{x:.1f} {y:.1f}m0 -4h22",
    "bracket": "M{x:.1f} {y:.1f}m0 -6v4h22v-4",
}


def text(x: float, y: float, words: str, kind: str) -> str:
    """Return a line of text in the class `kind`."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'
