"""The description of a key, and the table of all keys, read out of the spec's own annotations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

from failoverd.config.kinds import ValueKind
from failoverd.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """A key's kind (type, limits, unit) and its meaning in a sentence or two."""

    kind: ValueKind
    doc: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table."""

    section: str
    name: str
    kind: ValueKind
    default: Any
    doc: str


def table(spec: type) -> Mapping[str, Mapping[str, Entry]]:
    """Return every key of a spec, by section and name, in the order of the spec."""
    sections = get_type_hints(spec)
    return {
        field.name: {entry.name: entry for entry in _entries(field.name, sections[field.name])}
        for field in dataclasses.fields(spec)
    }


def _entries(section: str, cls: type) -> Iterator[Entry]:
    hints = get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        key: Key = hints[field.name].__metadata__[0]
        yield Entry(section, field.name, key.kind, field.default, key.doc)
