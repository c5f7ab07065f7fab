"""Find the interface that a word names."""

from __future__ import annotations

from failoverd.inventory.stock import Entry, Stock
from failoverd.model.text import printable


class NotFoundError(Exception):
    """There is no such interface, or there are several; the text says which, and so does `kind`, for programs."""

    def __init__(self, text: str, kind: str = "NoSuchInterface") -> None:
        super().__init__(text)
        self.kind = kind


def find(stock: Stock, word: str) -> Entry:
    """Find by name, alternative name, name as it is shown, MAC if it is unique, ifindex. The first match counts, as a
    name may be `7`.

    Raises NotFoundError.
    """
    entries = stock.in_order()
    for names_of in (_name, _altnames, *([_shown] if "\\" in word else [])):
        for entry in entries:
            if word in names_of(entry):
                return entry
    if found := [entry for entry in entries if entry.seen.mac and entry.seen.mac == word.lower()]:
        if len(found) > 1:
            names = ", ".join(printable(entry.seen.name) for entry in found[:8]) + (", ..." if len(found) > 8 else "")
            text = f"{len(found)} interfaces have the MAC {printable(word)}: {names}; name one of them"
            raise NotFoundError(text, "SeveralInterfaces")
        return found[0]
    if word.isascii() and word.isdigit() and len(word) < 11 and (entry_of := stock.entries.get(int(word))) is not None:
        return entry_of
    text = f"there is no interface {printable(word)!r}; failoverctl interfaces lists those there are"
    raise NotFoundError(text)


def _name(entry: Entry) -> tuple[str, ...]:
    return (entry.seen.name,)


def _altnames(entry: Entry) -> tuple[str, ...]:
    return entry.seen.altnames


def _shown(entry: Entry) -> tuple[str, ...]:
    return (printable(entry.seen.name),)
