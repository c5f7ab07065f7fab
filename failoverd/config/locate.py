"""On which line of a TOML text a key stands.

tomllib gives values without their places, and the parsers that keep places are no part of a stock Debian
installation. An error that names no line is a poor error, so this module finds the line afterwards, and only
when there is an error to report. It is no second parser: tomllib has already accepted the text, so it is
enough to skip over values, which takes knowing strings, comments and brackets, and to read headers and keys,
which tomllib itself decodes. Keys inside an inline table get the line on which the inline table begins.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence

Path = tuple[str, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_WORD = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_DOTTED = rf"{_WORD}(?:[ \t]*\.[ \t]*{_WORD})*"
_HEADER = re.compile(rf"\[\[?[ \t]*({_DOTTED})[ \t]*\]\]?")
_ASSIGNED = re.compile(rf"({_DOTTED})[ \t]*=")
_PIECE = re.compile(
    r'''"""(?:[^\\]|\\.)*?"""(?!")|\'\'\'.*?\'\'\'(?!\')'''
    r"""|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
    r"""|\#[^\n]*|[\[{]|[\]}]|\n|[^"'\#\[\]{}\n]+""",
    re.DOTALL,
)


def locate(text: str, path: Sequence[str]) -> int:
    """The line (from 1) on which `path` is given; that of its nearest parent if it has none; else 0.

    `text` must be a TOML document that tomllib accepts. A table that is written to in several places has the
    line of the first.
    """
    wanted = tuple(path)
    best, line = 0, 0
    for at, found in _keys(text):
        shared = _shared(found, wanted)
        if shared > best:
            best, line = shared, text.count("\n", 0, at) + 1
    return line


def _shared(found: Path, wanted: Path) -> int:
    """How many leading words of `wanted` are also those of `found`."""
    count = 0
    for mine, theirs in zip(found, wanted, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def _keys(text: str) -> Iterator[tuple[int, Path]]:
    """Every header and every assigned key, in full, with the place it begins at."""
    table: Path = ()
    at = _after(_BLANK, text, 0)
    while at < len(text):
        if header := _HEADER.match(text, at):
            table = _decode(header[1])
            yield at, table
            at = header.end()
        elif assigned := _ASSIGNED.match(text, at):
            yield at, table + _decode(assigned[1])
            at = _skip_value(text, assigned.end())
        else:
            raise ValueError(f"no TOML at character {at}: {text[at : at + 20]!r}")
        at = _after(_BLANK, text, at)


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _decode(dotted: str) -> Path:
    """The words of a dotted key, quotes and escapes undone."""
    words = []
    tree = tomllib.loads(f"{dotted} = 0")
    while isinstance(tree, dict):
        ((word, tree),) = tree.items()
        words.append(word)
    return tuple(words)


def _skip_value(text: str, at: int) -> int:
    """The end of the value that begins at `at`: a line's end outside all brackets, or the text's."""
    depth = 0
    for piece in _PIECE.finditer(text, at):
        depth += (piece[0] in ("[", "{")) - (piece[0] in ("]", "}"))
        if piece[0] == "\n" and depth == 0:
            return piece.end()
    return len(text)
