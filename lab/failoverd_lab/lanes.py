"""The lanes of the picture, recorded as they change."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from failoverd_lab.world import Span


@dataclass(slots=True)
class Lanes:
    """The changes of each lane: a time (seconds of the story), and the text from then on."""

    changes: dict[str, list[tuple[float, str]]] = field(default_factory=dict)

    def note(self, lane: str, at: float, text: str) -> None:
        """Note that the lane shows `text` from `at` on; "" for nothing. Of several notes at one time the last one
        counts."""
        rows = self.changes.setdefault(lane, [])
        if rows and rows[-1][0] == at:
            rows.pop()
        if not rows or rows[-1][1] != text:
            rows.append((at, text))

    def at(self, lane: str, moment: float) -> str:
        """Return the lane's text at this time."""
        rows = self.changes.get(lane, [])
        found = bisect_right(rows, moment, key=lambda row: row[0])
        return rows[found - 1][1] if found else ""

    def spans(self, end: float) -> list[Span]:
        """Return the spans from the story's beginning to `end`, without those that show nothing."""
        spans = []
        for lane, rows in self.changes.items():
            ends = [at for at, _ in rows[1:]] + [end]
            for (at, text), until in zip(rows, ends, strict=True):
                if text and until > 0:
                    spans.append(Span(lane, max(at, 0.0), until, text))
        return spans
