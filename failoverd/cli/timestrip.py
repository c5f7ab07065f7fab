"""The history as text: a line for each master."""

from __future__ import annotations

from failoverd.cli.lanes import Record, Span
from failoverd.cli.timeaxis import ticks
from failoverd.drawing.columns import Columns
from failoverd.model.text import printable

WORDS = {"vf": "VF", "pv": "standby", "none": "none", "amiss": "not known"}


def strip(record: Record, *, columns: int = 100, utf8: bool = True) -> str:
    """Return the lanes as lines of at most `columns` characters (not less than 40), with an axis and a legend."""
    label = min(max((len(printable(lane.name)) for lane in record.lanes), default=0), 15) + 2
    drawn = Columns(record.start, record.end, max(columns, 40) - label, utf8)
    lines = [" " * label + drawn.axis(ticks(record.start, record.end, max(drawn.width // 12, 2)))]
    for lane in record.lanes:
        spans = drawn.lane((span.start, span.end, _kind(span)) for span in lane.spans)
        lines.append(f"{printable(lane.name):<{label}}"[:label] + spans)
    lines.append(" " * label + drawn.legend(WORDS))
    return "\n".join(line.rstrip() for line in lines)


def _kind(span: Span) -> str:
    return span.kind if span.is_sure or span.kind == "none" else "amiss"
