"""The inventory's answers to questions, as pieces of JSON, made of the stock and kept until it changes.

Long work is cut into slices, and other tasks have their turn between them. The caller takes care that nothing is taken
into the stock while an answer is made, so an answer is of one moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import trio

from failoverd.core.call_answers import CallError
from failoverd.inventory.answers import generation_only, head_of, is_meant, unchanged
from failoverd.inventory.find import NotFoundError, find
from failoverd.inventory.questions import ALL, LIST, ROW, TABLE
from failoverd.inventory.rows import line_of, listed, row_of
from failoverd.inventory.stock import Entry, Stock
from failoverd.inventory.xml import lines_of

STRETCH = 32
"""Lines of a document at a stretch."""
SLICE = 100
"""Rows that are made and joined at a stretch."""

LINES: Mapping[str, Callable[[Entry], bytes]] = {TABLE: line_of, LIST: listed}
"""The short rows, which take nothing that has to be looked for outside of netlink."""


def needs_little(question: str, arguments: Sequence[str]) -> bool:
    """Whether the answer has short rows only."""
    return question == "interfaces" and arguments[0] in LINES


class Answers:
    """The answers of one stock; see the module."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._made: dict[tuple[str, ...], tuple[int, list[bytes]]] = {}

    async def to(self, question: str, arguments: Sequence[str], is_sure: bool) -> list[bytes]:
        """Return the answer, in pieces. `is_sure`: nothing is known to have been missed. Raises CallError."""
        generation = self._stock.generation
        if question == "generation":
            return [generation_only(generation, is_sure)]
        if question == "interface":
            form, word = arguments
            return await self._one(form, word, is_sure)
        if question == "interface-xml":
            return await self._documents(list(arguments), is_sure)
        known = arguments[2] if len(arguments) > 2 else ""
        if known == str(generation) and is_sure:
            return [unchanged(generation)]
        key = (question, *arguments[:2], str(is_sure))
        made = self._made.get(key)
        if made is None or made[0] != generation:
            is_rows = question == "interfaces"
            pieces = await (self._interfaces(arguments, is_sure) if is_rows else self._documents(None, is_sure))
            made = self._made[key] = (generation, pieces)
        return made[1]

    async def _interfaces(self, arguments: Sequence[str], is_sure: bool) -> list[bytes]:
        which = arguments[1] if len(arguments) > 1 else ALL
        make: Callable[[Entry], bytes] = LINES.get(arguments[0]) or partial(row_of, self._stock)
        rows = [entry for entry in self._stock.in_order() if is_meant(entry, which)]
        pieces = [head_of(self._stock.generation, is_sure, "interfaces")]
        for start in range(0, len(rows), SLICE):
            pieces.append((b", " if start else b"") + b", ".join(map(make, rows[start : start + SLICE])))
            await trio.lowlevel.checkpoint()
        return [*pieces, b"]}"]

    async def _one(self, form: str, word: str, is_sure: bool) -> list[bytes]:
        """Return the row or the XML document of one interface. Raises CallError."""
        try:
            entry = find(self._stock, word)
            made = row_of(self._stock, entry) if form == ROW else await self._document(entry)
        except NotFoundError as error:
            raise CallError(str(error), error.kind) from error
        except ValueError as error:
            raise CallError(str(error), "NoDocument") from error
        what = "interfaces" if form == ROW else "documents"
        return [head_of(self._stock.generation, is_sure, what), made, b"]}"]

    async def _documents(self, words: list[str] | None, is_sure: bool) -> list[bytes]:
        """Return the XML documents of the interfaces that these words name, or of all."""
        refused: list[str] = []
        entries = self._stock.in_order() if words is None else await self._meant(words, refused)
        pieces: list[bytes] = [head_of(self._stock.generation, is_sure, "documents")]
        is_first = True
        for number, entry in enumerate(entries):
            if number % STRETCH == 0:
                await trio.lowlevel.checkpoint()
            try:
                document = await self._document(entry)
            except ValueError as error:
                refused.append(str(error))
                continue
            pieces += [document] if is_first else [b", ", document]
            is_first = False
        return [b"".join(pieces), b'], "refused": ' + json.dumps(refused).encode() + b"}"]

    async def _meant(self, words: list[str], refused: list[str]) -> list[Entry]:
        found = []
        for word in words:
            await trio.lowlevel.checkpoint()
            try:
                found.append(find(self._stock, word))
            except NotFoundError as error:
                refused.append(str(error))
        return found

    async def _document(self, entry: Entry) -> bytes:
        """Return its XML as a JSON string. Raises ValueError if there is none."""
        if entry.document is None:
            lines = []
            for line in lines_of(self._stock, entry):
                lines.append(line)
                if len(lines) % SLICE == 0:
                    await trio.lowlevel.checkpoint()
            entry.document = json.dumps("\n".join(lines) + "\n").encode()
        return entry.document
