"""The XML documents of all interfaces, found by name."""

from __future__ import annotations

from collections.abc import Iterable

from failoverd.inventory.xml import escaped


class Documents:
    """Documents, as of one generation of the inventory."""

    def __init__(self, generation: int, texts: Iterable[str]) -> None:
        self.generation = generation
        self._by_name = {_escaped_name(text): text.encode() for text in texts}

    def of(self, name: str) -> bytes | None:
        """Return the document of the interface of this name, None if there is none."""
        return self._by_name.get(escaped(name))


def _escaped_name(text: str) -> str:
    """Return the name that a document begins with, as it is written there: a quote in it is escaped."""
    return text.partition(" name='")[2].partition("'>")[0]
