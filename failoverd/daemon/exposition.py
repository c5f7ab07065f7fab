"""Prometheus' text format 0.0.4: families of samples to lines.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from failoverd.model.text import printable

ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Family:
    """A metric with its samples; `kind` is its TYPE, `words` its HELP."""

    def __init__(self, name: str, kind: str, words: str) -> None:
        self.name = name
        self.kind = kind
        self.words = words
        self.lines: list[str] = []

    def add(self, value: float, **labels: str) -> None:
        """Add one sample."""
        self._add("", value, labels)

    def add_histogram(self, bounds: Sequence[float], counts: Sequence[int], total: float, **labels: str) -> None:
        """Add a histogram: how many values fell under each bound and over the one before it, and a last count for the
        rest."""
        below = 0
        for bound, count in zip((*(f"{bound:g}" for bound in bounds), "+Inf"), counts, strict=True):
            below += count
            self._add("_bucket", below, labels | {"le": bound})
        self._add("_sum", total, labels)
        self._add("_count", below, labels)

    def _add(self, suffix: str, value: float, labels: dict[str, str]) -> None:
        told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        self.lines.append(f"{self.name}{suffix}{{{told}}} {value!r}" if told else f"{self.name}{suffix} {value!r}")


def render(families: Iterable[Family]) -> str:
    """Return the whole file. A family without samples is left out."""
    lines: list[str] = []
    for family in families:
        if family.lines:
            lines += [f"# HELP {family.name} {family.words}", f"# TYPE {family.name} {family.kind}", *family.lines]
    return "\n".join(lines) + "\n"


@lru_cache(4096)
def _escaped(text: str) -> str:
    """Escape a label's value: valid UTF-8, whatever bytes a name is made of."""
    return printable(text).translate(ESCAPES)
