"""Texts above the lanes that do not meet. The width of a text is an estimate, as no font is at hand."""

from __future__ import annotations

from collections.abc import Sequence

from failoverd.dataclass import dataclass

GLYPH = 6.4
"""Pixels that a letter takes, more or less."""


@dataclass(frozen=True, slots=True)
class Label:
    """A text with its left edge, in a row above the lanes (0 is nearest to them), for the mark at `at`."""

    at: float
    left: float
    row: int
    text: str


def stagger(marks: Sequence[tuple[float, str]], right: float) -> list[Label]:
    """Give each text (`at` in pixels) a row where it meets no other text, and where no later mark's line would cross
    it.

    It works from right to left: a text reaches to the right of its mark, so it must stand above the lines it spans. A
    text that would leave the picture at `right` is moved to the left.
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
