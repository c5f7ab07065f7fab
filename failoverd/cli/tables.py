"""Tables that line up."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table. The last column is as long as it likes."""
    cells = [[printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head) - 1)]
    lines = []
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*padded, row[-1]]).rstrip())
    return lines


def printable(text: str) -> str:
    """Names may hold any byte; a terminal should not have to. A text of nothing is a dash."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text) or "-"
