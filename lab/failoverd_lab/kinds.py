"""The kinds of value that a scenario has beside the configuration's own: tables, and bounds for each direction.

`failoverd.config.kinds` defines what a kind is. A table knows its keys and takes each value by its kind. A wrong value
raises WrongError with its path, which the reader of the file turns into a line.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from failoverd.config.kinds import Choice, InvalidValueError, ValueKind, show
from failoverd.dataclass import dataclass
from failoverd_lab.story import DIRECTIONS

Path = tuple[str | int, ...]


class WrongError(ValueError):
    """A value is refused. `path` leads to it from the top of the document; the text says why, and what to do."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(text)
        self.path = path


@dataclass(frozen=True, slots=True)
class Text:
    """A text that matches `pattern` from end to end; `tidy` turns it into its usual form."""

    pattern: str
    words: str
    tidy: Callable[[str], str] = str.strip

    def take(self, value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value, re.DOTALL):
            raise InvalidValueError(f"{show(value)} is not one")
        return self.tidy(value)

    def describe(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True)
class Cidr:
    """An address with its prefix length."""

    def take(self, value: object) -> str:
        try:
            if isinstance(value, str) and "/" in value and "%" not in value:
                return str(ipaddress.ip_interface(value))
        except ValueError:
            pass
        raise InvalidValueError(f"{show(value)} is not one")

    def describe(self) -> str:
        return 'an address with its prefix length, such as "192.0.2.7/24"'


@dataclass(frozen=True, slots=True)
class OneOf(Choice):
    """A Choice that may have a single word."""

    def describe(self) -> str:
        return " or ".join(show(word) for word in self.words)


@dataclass(frozen=True, slots=True)
class Several:
    """A list of at least one word, each out of a few."""

    words: Sequence[str]

    def take(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            raise InvalidValueError(f"{show(value)} is no list with something in it")
        return tuple(OneOf(self.words).take(item) for item in value)

    def describe(self) -> str:
        return f"a list out of {', '.join(show(word) for word in self.words)}"


@dataclass(frozen=True, slots=True)
class EachWay:
    """One bound for both directions, or a table with one for each (or for only one)."""

    bound: ValueKind


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the keys that it must have and those that it may have, and no others. An empty one is refused."""

    required: Mapping[str, Any] = field(default_factory=dict)
    optional: Mapping[str, Any] = field(default_factory=dict)

    @property
    def keys(self) -> Mapping[str, Any]:
        return {**self.required, **self.optional}


@dataclass(frozen=True, slots=True)
class EachOf:
    """A table whose keys are names of the story's own; all its values are of one kind. An empty one is refused."""

    kind: ValueKind


@dataclass(frozen=True, slots=True)
class Anything:
    """A table that is passed on unchecked."""


def take(kind: Any, value: Any, path: Path) -> Any:
    """Return the value as the story keeps it. Raises WrongError, with the path of the value at fault."""
    if isinstance(kind, EachWay):
        if isinstance(value, dict):
            return take(Table(optional=dict.fromkeys(DIRECTIONS, kind.bound)), value, path)
        return dict.fromkeys(DIRECTIONS, take(kind.bound, value, path))
    if isinstance(kind, (Table, EachOf, Anything)):
        if not isinstance(value, dict):
            raise WrongError(path, f"{show(value)} is not a table; give {path[-1]} = {{...}} or [{path[-1]}]")
        if isinstance(kind, EachOf):
            kind = Table(optional=dict.fromkeys(value or ("NAME",), kind.kind))
        return value if isinstance(kind, Anything) else _table(kind, value, path)
    try:
        return kind.take(value)
    except InvalidValueError as why:
        raise WrongError(path, f"{why}; give {kind.describe()}") from None


def _table(kind: Table, value: Mapping[str, Any], path: Path) -> dict[str, Any]:
    for key in value:
        if key not in kind.keys:
            raise WrongError((*path, key), f"unknown key; {_nearest(key, kind.keys)}")
    for key in kind.required:
        if key not in value:
            raise WrongError(path, f"the key {key!r} is missing; add it")
    if not value:
        raise WrongError(path, f"it is empty; give at least one of {', '.join(kind.keys)}")
    return {key: take(kind.keys[key], inner, (*path, key)) for key, inner in value.items()}


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word[:60], list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else f"known here are {', '.join(known)}"
