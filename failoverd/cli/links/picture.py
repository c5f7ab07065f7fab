"""The declared links as a picture: a box for each namespace with its devices, and the wires between them, as SVG.

The namespace of failoverd is the left column; the others stand to the right of it, so that most wires go from left to
right. A device that is not there is dashed. Below it says what waits for what.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from failoverd.cli.links.graph import Graph, Row, place_name
from failoverd.cli.links.show import owner, why
from failoverd.cli.show import text as value
from failoverd.drawing.labels import GLYPH
from failoverd.drawing.picture import RIGHT, TOP, WIDTH, Picture, text
from failoverd.model.text import printable

LEFT, GAP, DEVICE, STEP = 16.0, 260.0, 44.0, 56.0
"""Pixels: the margin, between the columns, a device's height, and from one device to the next."""
HEAD, FOOT, BETWEEN = 30.0, 8.0, 22.0
"""Pixels of a namespace's box above and below its devices, and between two boxes."""
BEND = 28.0
"""How far a wire between two devices of a column swings out."""
COLUMN = (WIDTH - LEFT - RIGHT - GAP) / 2
LINE = 18.0

KINDS = {
    "ready": ("there", "ready"),
    "degraded": ("amiss", "not as declared"),
    "conflict": ("bad", "in conflict, refused"),
    "failed": ("bad", "in conflict, refused"),
    "released": ("free", "released"),
}
WAITS = ("waits", "waits")
"""By the state: the class of a device's box, and its words in the legend; for every other state WAITS."""

STYLE = """
  .space{fill:none;stroke:#57606a} .wire{stroke:#1d2329;fill:none;stroke-width:1.6} .broken{stroke-dasharray:5 4}
  .there{fill:#c9e8dc;stroke:#009e73} .amiss{fill:#fbe6b0;stroke:#e69f00} .bad{fill:#f6c9b3;stroke:#d55e00}
  .waits{fill:none;stroke:#57606a;stroke-dasharray:5 4} .free{fill:none;stroke:#9aa5b1}
  @media (prefers-color-scheme:dark){.wire{stroke:#e6edf3} .space,.waits{stroke:#9aa5b1}
  .there{fill:#12483a} .amiss{fill:#5a4300} .bad{fill:#612b0a}}
"""


def svg(found: Graph) -> str:
    """Return the whole picture, 1000 pixels wide."""
    places, bottom = _arranged(found)
    lines = [line for name, top in _boxes(found) for line in _box(name, found.namespaces[name], top)]
    lines += [line for one, other in found.wires for line in _wire(one, other, places)]
    lines += [line for row, _, lower in found.stands if lower for line in _wire(row, lower, places)]
    lines += [line for row, _, port in found.ports if port for line in _wire(row, port, places)]
    for rows in found.namespaces.values():
        for row in rows:
            lines += _device(row, *places[value(row, "name")])
    lines += _legend(bottom + 14)
    bottom += 44
    if found.waits:
        lines.append(text(LEFT, bottom, "What waits for what", ""))
    for row, _ in found.waits:
        bottom += LINE
        lines.append(text(LEFT, bottom, printable(f"{value(row, 'name')}: {why(row) or value(row, 'state')}"), "sub"))
    number = sum(map(len, found.namespaces.values())) - len(found.masters)
    summary = f"{number} ends in {len(found.namespaces)} namespaces; {len(found.waits)} not ready"
    about = "; ".join(printable(f"{value(a, 'name')} and {value(b, 'name')} are one wire") for a, b in found.wires)
    picture = Picture(0, 1, LEFT)
    return picture.document("Declared links", summary, about or summary, bottom + 24, lines, STYLE)


def _boxes(found: Graph) -> Iterator[tuple[str, float]]:
    """Yield each namespace with the top of its box: failoverd's own on the left, the others one below the other."""
    top = TOP
    for place, rows in found.namespaces.items():
        if place == "own":
            yield place, TOP
        else:
            yield place, top
            top += HEAD + len(rows) * STEP + FOOT + BETWEEN


def _arranged(found: Graph) -> tuple[dict[str, tuple[float, float]], float]:
    """Return where each device stands (its left and its top), and the bottom of the lowest box."""
    places: dict[str, tuple[float, float]] = {}
    bottom = TOP
    for place, top in _boxes(found):
        for number, row in enumerate(found.namespaces[place]):
            places[value(row, "name")] = _left(place) + 12, top + HEAD + number * STEP
        bottom = max(bottom, top + HEAD + len(found.namespaces[place]) * STEP + FOOT)
    return places, bottom


def _left(place: str) -> float:
    return LEFT if place == "own" else LEFT + COLUMN + GAP


def _box(place: str, rows: list[Row], top: float) -> Iterator[str]:
    height = HEAD + len(rows) * STEP + FOOT
    where = f'x="{_left(place):.1f}" y="{top:.1f}" width="{COLUMN:.1f}" height="{height:.1f}"'
    yield f'<rect class="space" rx="6" {where}/>'
    yield text(_left(place) + 12, top + 20, _cut(place_name(place), COLUMN - 24), "sub")


def _device(row: Row, x: float, y: float) -> Iterator[str]:
    kind, _ = KINDS.get(value(row, "state"), WAITS)
    width = COLUMN - 24
    tip = f"{value(row, 'name')}: {value(row, 'state')}{f': {why(row)}' if why(row) else ''}"
    lower = f", on {value(row, 'lower')}" if value(row, "lower") else ""
    yield f"<g><title>{escape(printable(tip))}</title>"
    yield f'<rect class="{kind}" rx="4" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{DEVICE:.0f}"/>'
    yield text(x + 10, y + 18, _cut(f"{value(row, 'device')}  ({owner(row) or value(row, 'name')})", width - 20), "")
    yield text(x + 10, y + 35, _cut(f"{value(row, 'kind')}, {value(row, 'state')}{lower}", width - 20), "sub")
    yield "</g>"


def _wire(one: Row, other: Row, places: dict[str, tuple[float, float]]) -> Iterator[str]:
    """A wire from one device to another; dashed where it is not there. Between two of a column it goes around."""
    (x1, y1), (x2, y2) = sorted((places[value(one, "name")], places[value(other, "name")]))
    is_there = {value(one, "state"), value(other, "state")} <= {"ready", "degraded", "released"}
    kind = "wire" if is_there else "wire broken"
    y1, y2 = y1 + DEVICE / 2, y2 + DEVICE / 2
    if x1 == x2:
        side = x1 + COLUMN - 24
        path = f"M{side:.1f} {y1:.1f}C{side + BEND:.1f} {y1:.1f} {side + BEND:.1f} {y2:.1f} {side:.1f} {y2:.1f}"
    else:
        left, middle = x1 + COLUMN - 24, (x1 + COLUMN - 24 + x2) / 2
        path = f"M{left:.1f} {y1:.1f}C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    yield f'<path class="{kind}" d="{path}"/>'


def _legend(y: float) -> Iterator[str]:
    x = LEFT
    for kind, words in dict([*KINDS.values(), WAITS]).items():
        yield f'<rect class="{kind}" rx="2" x="{x:.1f}" y="{y - 10:.1f}" width="22" height="12"/>'
        yield text(x + 29, y, words, "sub")
        x += 29 + len(words) * GLYPH + 22


def _cut(words: str, width: float) -> str:
    """Return a text that fits into so many pixels, more or less."""
    shown, most = printable(words), int(width / GLYPH)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
