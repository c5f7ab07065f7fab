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

    of: tuple[str, ...] = ()
    """The kinds of link that have the key; () for all, and for keys of sections."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table."""

    section: str
    name: str
    kind: ValueKind
    default: Any
    doc: str
    of: tuple[str, ...] = ()


WITHIN = {"etcd_allow": ("etcd", "allow")}
"""The sections that are tables within another one: the spec's attribute, and the words of the header."""


def header(section: str) -> tuple[str, ...]:
    """Return the words of a section's header."""
    return WITHIN.get(section, (section,))


def table(spec: type) -> Mapping[str, Mapping[str, Entry]]:
    """Return every key of a spec's sections, by section and name, in the order of the spec.

    A field whose type is only named in quotes is no section.
    """
    return {
        field.name: {entry.name: entry for entry in entries(field.name, field.type)}
        for field in dataclasses.fields(spec)
        if isinstance(field.type, type)
    }


def entries(section: str, cls: type) -> Iterator[Entry]:
    """Yield the keys of a section, or of another table, in the order of its class."""
    hints = get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        key: Key = hints[field.name].__metadata__[0]
        yield Entry(section, field.name, key.kind, field.default, key.doc, key.of)
