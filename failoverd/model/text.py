"""Text that came from elsewhere, made fit to be shown."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text in one line that steers no terminal: names may hold any byte. What is escaped already stays so."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
