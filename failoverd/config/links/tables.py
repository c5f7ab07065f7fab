"""Tables and lists of tables as values: the namespace of a link, its routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from failoverd.config.document import suggest
from failoverd.config.keys import Entry, entries
from failoverd.config.kinds import InvalidValueError, wrong_type
from failoverd.config.links.values import each_once
from failoverd.dataclass import dataclass


class InvalidKeyError(InvalidValueError):
    """A value in a table is refused. `path` leads to it from the table's own key; the text says what to do, too."""

    def __init__(self, path: tuple[str | int, ...], text: str) -> None:
        super().__init__(text)
        self.path = path


@dataclass(frozen=True, slots=True)
class Table:
    """A table with keys of its own. `spec` has them, annotated; `make` makes the value, and refuses contradictions."""

    spec: type
    make: Callable[[Mapping[str, Any]], Any]
    of: str

    def take(self, value: object) -> Any:
        if not isinstance(value, Mapping):
            raise wrong_type(value)
        keys = _keys(self.spec)
        given = {key: entry.default for key, entry in keys.items()}
        for key, item in value.items():
            given[key] = _taken(keys, key, item)
        return self.make(given)

    def describe(self) -> str:
        return self.of


@dataclass(frozen=True, slots=True)
class Tables:
    """A list of such tables."""

    each: Table

    def take(self, value: object) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise wrong_type(value)
        return tuple(each_once(self._item(number, item) for number, item in enumerate(value)))

    def _item(self, number: int, item: object) -> Any:
        try:
            return self.each.take(item)
        except InvalidKeyError as refused:
            raise InvalidKeyError((number, *refused.path), str(refused)) from None
        except InvalidValueError as refused:
            raise InvalidKeyError((number,), f"{refused}; give {self.each.describe()}") from None

    def describe(self) -> str:
        return f"a list, each of it {self.each.describe()}"


@cache
def _keys(spec: type) -> Mapping[str, Entry]:
    return {entry.name: entry for entry in entries("", spec)}


def _taken(keys: Mapping[str, Entry], key: str, item: object) -> Any:
    if key not in keys:
        raise InvalidKeyError((key,), "no such key; " + suggest(key, keys, "{}", "the keys are"))
    try:
        return keys[key].kind.take(item)
    except InvalidValueError as refused:
        raise InvalidKeyError((key,), f"{refused}; give {keys[key].kind.describe()}") from None
