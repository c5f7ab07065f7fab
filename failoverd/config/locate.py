"""Find the line of a TOML text on which a key stands.

tomllib gives values without their places, and the parsers that keep places are not in a stock Debian installation. An
error without a line is a poor error, so this module finds the line afterwards, and only when there is an error to
report. It is not a second parser: tomllib has already accepted the text. So it is enough to skip over values, which
requires knowing strings, comments and brackets, and to read headers and keys, which tomllib itself decodes. Keys inside
an inline table get the line on which the inline table begins.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cached_property

from failoverd.dataclass import dataclass

Path = tuple[str, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_WORD = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_DOTTED = rf"{_WORD}(?:[ \t]*\.[ \t]*{_WORD})*"
_QUOTE = re.compile("[\"']")
_HEADER = re.compile(rf"\[\[?[ \t]*({_DOTTED})[ \t]*\]\]?")
_ASSIGNED = re.compile(rf"({_DOTTED})[ \t]*=")
_PIECE = re.compile(
    r'''"""(?:[^\\]|\\.)*?"""(?!")|\'\'\'.*?\'\'\'(?!\')'''
    r"""|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
    r"""|\#[^\n]*|[\[{]|[\]}]|\n|[^"'\#\[\]{}\n]+""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Place:
    """A header or an assigned key, in full, and the line (from 1) on which it stands. `opens` is for `[[header]]`."""

    line: int
    path: Path
    opens: bool


class Places:
    """The places of everything in a text. The text is read once, however many places are asked for.

    `text` must be a TOML document that tomllib accepts. A table that is written in several places has the line of the
    first.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def line(self, path: Sequence[str | int]) -> int:
        """Return the line on which `path` is given; that of its nearest parent if it has none; else 0.

        A number counts the entries of the array of tables (`[[then]]`) that the words before it name, from 0.
        """
        words = tuple(word for word in path if isinstance(word, str))
        at = next((at for at, word in enumerate(path) if isinstance(word, int)), 0)
        starts = self._entries.get(words[:at], []) if at else []
        number = path[at] if at else 0
        if not isinstance(number, int) or number >= len(starts):
            return _nearest(self._lines, words)
        first, *after = starts[number : number + 2]
        return _nearest(_first_lines(self._all[first : after[0] if after else None]), words)

    @cached_property
    def _all(self) -> list[Place]:
        return list(_places(self._text))

    @cached_property
    def _lines(self) -> dict[Path, int]:
        return _first_lines(self._all)

    @cached_property
    def _entries(self) -> dict[Path, list[int]]:
        """By the words of an array of tables, the numbers of the places that open an entry of it."""
        found: dict[Path, list[int]] = {}
        for number, place in enumerate(self._all):
            if place.opens:
                found.setdefault(place.path, []).append(number)
        return found


def locate(text: str, path: Sequence[str | int]) -> int:
    """Return the line of one place; see Places."""
    return Places(text).line(path)


def _first_lines(places: Sequence[Place]) -> dict[Path, int]:
    """Return the first line of every path and of every parent of one."""
    lines: dict[Path, int] = {}
    for place in places:
        for words in range(1, len(place.path) + 1):
            lines.setdefault(place.path[:words], place.line)
    return lines


def _nearest(lines: dict[Path, int], words: Path) -> int:
    return next((lines[words[:n]] for n in range(len(words), 0, -1) if words[:n] in lines), 0)


def _places(text: str) -> Iterator[Place]:
    table: Path = ()
    at = _after(_BLANK, text, 0)
    line, counted = 1, 0
    while at < len(text):
        line, counted = line + text.count("\n", counted, at), at
        if header := _HEADER.match(text, at):
            table = _decode(header[1])
            yield Place(line, table, text.startswith("[[", at))
            at = header.end()
        elif assigned := _ASSIGNED.match(text, at):
            yield Place(line, table + _decode(assigned[1]), opens=False)
            at = _skip_value(text, assigned.end())
        else:
            raise ValueError(f"no TOML at character {at}: {text[at : at + 20]!r}")
        at = _after(_BLANK, text, at)


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _decode(dotted: str) -> Path:
    """Return the words of a dotted key, with quotes and escapes undone."""
    if not _QUOTE.search(dotted):
        return tuple(word.strip() for word in dotted.split("."))
    words = []
    tree = tomllib.loads(f"{dotted} = 0")
    while isinstance(tree, dict):
        ((word, tree),) = tree.items()
        words.append(word)
    return tuple(words)


def _skip_value(text: str, at: int) -> int:
    """Return the end of the value that begins at `at`: a line's end outside all brackets, or the text's."""
    depth = 0
    for piece in _PIECE.finditer(text, at):
        depth += (piece[0] in ("[", "{")) - (piece[0] in ("]", "}"))
        if piece[0] == "\n" and depth == 0:
            return piece.end()
    return len(text)
