"""What each lane of the picture showed, noted as it changes."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from failoverd.lab.world import Span


@dataclass(slots=True)
class Lanes:
    """The changes of each lane: since when (seconds of the story), and what it shows from then on."""

    changes: dict[str, list[tuple[float, str]]] = field(default_factory=dict)

    def note(self, lane: str, at: float, text: str) -> None:
        """From `at` on the lane shows `text`; "" for nothing. Of several notes of one moment the last one counts."""
        rows = self.changes.setdefault(lane, [])
        if rows and rows[-1][0] == at:
            rows.pop()
        if not rows or rows[-1][1] != text:
            rows.append((at, text))

    def at(self, lane: str, moment: float) -> str:
        """What the lane showed at this moment."""
        rows = self.changes.get(lane, [])
        found = bisect_right(rows, moment, key=lambda row: row[0])
        return rows[found - 1][1] if found else ""

    def spans(self, end: float) -> list[Span]:
        """All of it from the story's beginning to `end`, as far as it was something."""
        spans = []
        for lane, rows in self.changes.items():
            ends = [at for at, _ in rows[1:]] + [end]
            for (at, text), until in zip(rows, ends, strict=True):
                if text and until > 0:
                    spans.append(Span(lane, max(at, 0.0), until, text))
        return spans
