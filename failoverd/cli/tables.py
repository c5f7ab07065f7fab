"""Tables that line up, and colour for those who see it."""

from __future__ import annotations

from failoverd.cli.quickos import environ
from failoverd.model import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

COLOURS = {
    "accelerated": "32",
    "active": "32",
    "on-standby": "33",
    "joining": "36",
    "releasing": "36",
    "released": "2",
    "degraded": "1;31",
    "unfit": "31",
    "refused": "31",
}
"""SGR parameters (ECMA-48) by state or verdict; those that are not here stay as they are."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], states: int = -1) -> list[str]:
    """The lines of a table; without a head where that is empty. The last column is as long as it likes; column `states`
    is coloured."""
    cells = [[printable(cell) for cell in row] for row in ((head, *rows) if head else rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]) - 1)] if cells else []
    lines = []
    for row in cells:
        shown = [paint(cell, i == states) for i, cell in enumerate(row)]
        gaps = [" " * (width - len(cell)) for cell, width in zip(row, widths, strict=False)]
        padded = [cell + gap for cell, gap in zip(shown, gaps, strict=False)]
        lines.append("  ".join([*padded, shown[-1]]).rstrip())
    return lines


def paint(state: str, colour: bool) -> str:
    """A state in its colour."""
    sgr = COLOURS.get(state) if colour else None
    return f"\x1b[{sgr}m{state}\x1b[0m" if sgr else state


def wants_colour(stream: TextIO, when: str = "auto") -> bool:
    """Whether a stream is to be coloured: as told, and where nothing is told, on a terminal that can, unless NO_COLOR
    (no-color.org) is set."""
    if when != "auto":
        return when == "always"
    return stream.isatty() and not environ("NO_COLOR") and environ("TERM", "dumb") != "dumb"


def printable(cell: str) -> str:
    """Names may hold any byte; a terminal should not have to. A text of nothing is a dash."""
    return text.printable(cell) or "-"


def each_line(lines: str) -> str:
    """A text of several lines, each made printable."""
    return "\n".join(text.printable(line) for line in lines.split("\n"))
