"""The history as text: a line for each master, a column for a slice of time.

A column shows the worst of its slice: a moment in which nobody carried is never averaged away. A terminal that
is not UTF-8 gets plain ASCII.
"""

from __future__ import annotations

from failoverd.cli.lanes import Lane, Record
from failoverd.cli.timeaxis import ticks
from failoverd.model.text import printable

UNICODE = {"off": " ", "vf": "█", "pv": "▒", "other": "▓", "unsure": "╌", "none": "×"}
ASCII = {"off": " ", "vf": "#", "pv": "=", "other": "+", "unsure": "-", "none": "x"}
WORST = tuple(UNICODE)
"""From best to worst."""
WORDS = {"vf": "VF", "pv": "standby", "none": "nobody", "unsure": "not known"}


def strip(record: Record, *, columns: int = 100, utf8: bool = True) -> str:
    """The lanes as lines of at most `columns` characters (not less than 40), with an axis and a legend."""
    glyphs = UNICODE if utf8 else ASCII
    label = min(max((len(printable(lane.name)) for lane in record.lanes), default=0), 15) + 2
    width = max(columns, 40) - label
    lines = [" " * label + _axis(record, width)]
    lines += [f"{printable(lane.name):<{label}}"[:label] + _lane(record, lane, width, glyphs) for lane in record.lanes]
    lines.append(" " * label + "  ".join(f"{glyphs[kind]} {words}" for kind, words in WORDS.items()))
    return "\n".join(line.rstrip() for line in lines)


def _column(record: Record, at: float, width: int) -> int:
    return min(max(int((at - record.start) / (record.end - record.start) * width), 0), width - 1)


def _lane(record: Record, lane: Lane, width: int, glyphs: dict[str, str]) -> str:
    kinds = ["off"] * width
    for span in lane.spans:
        kind = span.kind if span.is_sure or span.kind == "none" else "unsure"
        for at in range(_column(record, span.start, width), _column(record, span.end, width) + 1):
            kinds[at] = max(kinds[at], kind, key=WORST.index)
    return "".join(glyphs[kind] for kind in kinds)


def _axis(record: Record, width: int) -> str:
    line = [" "] * width
    free = 0
    for at, words in ticks(record.start, record.end, max(width // 12, 2)):
        column = _column(record, at, width)
        if column >= free and column + len(words) + 1 <= width:
            line[column : column + len(words) + 1] = f"|{words}"
            free = column + len(words) + 2
    return "".join(line)
