"""Tables that line up, and colours."""

from __future__ import annotations

from failoverd.cli.quick import environ
from failoverd.model import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

COLOURS = {
    "accelerated": "32",
    "active": "32",
    "ready": "32",
    "pending": "33",
    "making": "36",
    "removing": "36",
    "conflict": "1;31",
    "invalid": "1;31",
    "suspect": "33",
    "failed": "1;31",
    "on-standby": "33",
    "joining": "36",
    "releasing": "36",
    "released": "2",
    "degraded": "1;31",
    "parked": "1;31",
    "unfit": "31",
    "refused": "31",
}
"""SGR parameters (ECMA-48) by state or verdict; others stay uncoloured."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], states: int = -1) -> list[str]:
    """Return the lines of a table; without a head if `head` is empty. The last column is not padded or cut; column
    `states` is coloured."""
    cells = [[terminal_text(cell) for cell in row] for row in ((head, *rows) if head else rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]) - 1)] if cells else []
    lines = []
    for row in cells:
        shown = [paint(cell, i == states) for i, cell in enumerate(row)]
        gaps = [" " * (width - len(cell)) for cell, width in zip(row, widths, strict=False)]
        padded = [cell + gap for cell, gap in zip(shown, gaps, strict=False)]
        lines.append("  ".join([*padded, shown[-1]]).rstrip())
    return lines


def paint(state: str, colour: bool) -> str:
    """Return a state in its colour."""
    sgr = COLOURS.get(state) if colour else None
    return f"\x1b[{sgr}m{state}\x1b[0m" if sgr else state


def wants_colour(stream: TextIO, when: str = "auto") -> bool:
    """Return whether to colour a stream: as told, else on a capable terminal, unless NO_COLOR (no-color.org) is set."""
    if when != "auto":
        return when == "always"
    return stream.isatty() and not environ("NO_COLOR") and environ("TERM", "dumb") != "dumb"


def terminal_text(cell: str) -> str:
    """Make a cell safe for a terminal, as names may hold any byte. An empty text is a dash."""
    return text.printable(cell) or "-"


def each_line(lines: str) -> str:
    """Make each line of a text printable."""
    return "\n".join(text.printable(line) for line in lines.split("\n"))
