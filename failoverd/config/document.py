"""One parsed document of the configuration, and how its places are named in an error."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from failoverd.config.errors import Problem
from failoverd.config.kinds import show
from failoverd.config.locate import Places
from failoverd.dataclass import dataclass

_BARE = re.compile(r"[A-Za-z0-9_-]{1,60}")


@dataclass(frozen=True, slots=True)
class TomlDocument:
    """One parsed document: `file` names it in errors, `places` gives the line numbers."""

    file: str
    tree: Mapping[str, Any]
    places: Places = field(default_factory=lambda: Places(""))

    def problem(self, table: Sequence[str], key: Sequence[str | int], text: str) -> Problem:
        """Return a problem with a key of a table, both by their words; with the table itself, if the key has none.

        A number in the key counts the entries of the list before it, from 0.
        """
        header = "[" + ".".join(map(spell, table)) + "]"
        spelt = "".join(f"[{word}]" if isinstance(word, int) else f".{spell(word)}" for word in key)[1:]
        return Problem(self.file, self.places.line((*table, *key)), f"{header} {spelt}".rstrip(), text)


def spell(word: str) -> str:
    """Return a key in TOML's spelling."""
    return word if _BARE.fullmatch(word) else show(word)


def suggest(word: str, known: Iterable[str], form: str, otherwise: str) -> str:
    """Suggest the nearest known word, or list them all if none is near."""
    names = list(known)
    near = difflib.get_close_matches(word[:60], names, n=1)
    if near:
        return f"did you mean {form.format(near[0])}?"
    return f"{otherwise} " + ", ".join(form.format(name) for name in names)
