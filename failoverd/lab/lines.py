"""On which line of a scenario file a value stands, items of arrays of tables (`[[nic]]`, `[[then]]`) told apart.

`failoverd.config.locate` knows keys and headers but not which of several `[[then]]` is meant. So the text is cut
to the one entry first. Where an entry begins is found with tomllib itself: it begins on the line up to which the
text is a whole document that has the entry. That holds whatever strings and comments look like a header.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

from failoverd.config.locate import locate


def line_of(text: str, path: Sequence[str | int]) -> int:
    """The line (from 1) of the value at `path`, or of the nearest table around it; 0 if there is none.

    `text` is a document that tomllib accepts. An integer in the path counts entries of an array, from 0.
    """
    words = [word for word in path if isinstance(word, str)]
    if len(path) > 1 and isinstance(path[1], int):
        starts = _entries(text, str(path[0]))
        if path[1] < len(starts):
            first, *after = starts[path[1] : path[1] + 2]
            entry = text.split("\n")[first : after[0] if after else None]
            return first + locate("\n".join(entry), words)
    return locate(text, words)


def _entries(text: str, name: str) -> list[int]:
    """The line (from 0) of each `[[name]]` header."""
    header = re.compile(rf"\s*\[\[\s*[\"']?{re.escape(name)}[\"']?\s*\]\]")
    starts: list[int] = []
    above = ""
    for number, line in enumerate(text.split("\n")):
        above += line + "\n"
        if header.match(line) and _count(above, name) > len(starts):
            starts.append(number)
    return starts


def _count(text: str, name: str) -> int:
    """How many entries the array has so far; 0 inside a value that is not at its end yet."""
    try:
        return len(tomllib.loads(text)[name])
    except tomllib.TOMLDecodeError:
        return 0
