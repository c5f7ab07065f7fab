"""The beginning of an answer of the inventory, and the choice of its interfaces. The rest of it is rows, joined."""

from __future__ import annotations

from failoverd.inventory.questions import ACTIVE, ALL
from failoverd.inventory.stock import Entry


def head_of(generation: int, is_sure: bool, what: str) -> bytes:
    """Return the document up to its list."""
    return f'{{"generation": {generation}, "sure": {"true" if is_sure else "false"}, "{what}": ['.encode()


def generation_only(generation: int, is_sure: bool) -> bytes:
    """Return the document that has nothing but the generation."""
    return f'{{"generation": {generation}, "sure": {"true" if is_sure else "false"}}}'.encode()


def unchanged(generation: int) -> bytes:
    """Return the document for a client that has this generation."""
    return f'{{"generation": {generation}, "sure": true, "unchanged": true}}'.encode()


def is_meant(entry: Entry, which: str) -> bool:
    """Return whether an interface is among all, the active or the inactive."""
    return which == ALL or entry.seen.is_active == (which == ACTIVE)
