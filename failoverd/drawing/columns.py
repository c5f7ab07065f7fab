"""Lanes as lines of text: a column is a slice of time, and shows the worst that happened in it.

No short failure is averaged away. A terminal that is not UTF-8 gets plain ASCII.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from failoverd.dataclass import dataclass

UNICODE = {"": " ", "heard": "·", "vf": "█", "pv": "▒", "other": "▓", "amiss": "╌", "none": "×", "lost": "×"}
ASCII = {"": " ", "heard": ".", "vf": "#", "pv": "=", "other": "+", "amiss": "-", "none": "x", "lost": "x"}
WORST = tuple(UNICODE)
"""The kinds, from best to worst."""


@dataclass(frozen=True, slots=True)
class Columns:
    """`width` columns for the time from `start` to `end`."""

    start: float
    end: float
    width: int
    utf8: bool

    def at(self, moment: float) -> int:
        """Return the column of a moment; for one outside, the nearest."""
        column = int((moment - self.start) / (self.end - self.start) * self.width)
        return min(max(column, 0), self.width - 1)

    def lane(self, spans: Iterable[tuple[float, float, str]]) -> str:
        """Return a line of spans (start, end, kind)."""
        kinds = [""] * self.width
        for start, end, kind in spans:
            for column in range(self.at(start), self.at(end) + 1):
                kinds[column] = max(kinds[column], kind, key=WORST.index)
        return "".join(map(self.glyph, kinds))

    def axis(self, ticks: Sequence[tuple[float, str]]) -> str:
        """Return a line with the label of each tick at its moment, without those that would run into the one before."""
        line = [" "] * self.width
        free = 0
        for moment, words in ticks:
            column = self.at(moment)
            if column >= free and column + len(words) + 1 <= self.width:
                line[column : column + len(words) + 1] = f"|{words}"
                free = column + len(words) + 2
        return "".join(line)

    def legend(self, words: dict[str, str]) -> str:
        """Return a line that explains the kinds."""
        return "  ".join(f"{self.glyph(kind)} {text}" for kind, text in words.items())

    def glyph(self, kind: str) -> str:
        """Return the character of a kind."""
        return (UNICODE if self.utf8 else ASCII)[kind]
