"""Declared links on D-Bus: an object for each end.

A machine may have two thousand ends. Their properties are asked for, as the inventory's are: PropertiesChanged only
names them, and GetManagedObjects has none of their values, so that neither makes failoverd compute for long. What
happens to a link is told by its signals. Objects come and go a few at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dbus_next import Variant

from failoverd.bus.dispatch import Asked
from failoverd.bus.interfaces import Objects
from failoverd.core.link_facts import LINK as FACTS
from failoverd.daemon.control import Serve
from failoverd.daemon.dbus.interfaces import LINK
from failoverd.daemon.dbus.objects import ENCODE, link_path
from failoverd.model.facts import camel

SLICE = 50
"""Objects that come or go at a stretch."""


class LinkObjects:
    """The objects of the links that clients know of. `names` returns those of all that are declared."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self._names = names
        self.objects: Objects = {}
        self.by_path: dict[str, str] = {}
        """The names of the ends, by their objects' paths."""

    def follow(self) -> tuple[bool, bool]:
        """Take up what has been declared or is no longer, SLICE ends at most. Returns whether anything was taken up,
        and whether there is more."""
        wanted, known = set(self._names()), set(self.by_path.values())
        gone, new = sorted(known - wanted), sorted(wanted - known)
        if not gone and not new:
            return False, False
        objects = dict(self.objects)
        for name in gone[:SLICE]:
            del objects[link_path(name)], self.by_path[link_path(name)]
        for name in new[:SLICE]:
            self.by_path[link_path(name)] = name
            objects[link_path(name)] = {LINK.name: {}}
        self.objects = objects
        return True, len(gone) > SLICE or len(new) > SLICE


async def answer(asked: Asked, name: str, serve: Serve) -> list[Any]:
    """Return the answer to a call of the interface, or to a reading of its properties. Raises CallError."""
    if asked.method.name == "GetStatistics":
        (counted,) = (await serve("links-stats", name))["statistics"] or ({},)
        return [{camel(key): count for key, count in counted.items() if isinstance(count, int)}]
    if asked.method.changes:
        await serve(f"links-{asked.method.name.lower()}", name)
        return []
    (row,) = (await serve("links", name))["links"]
    values = {
        camel(fact.key): Variant(fact.type.signature, ENCODE[fact.type](row[fact.key], {})) for fact in FACTS.rows
    }
    return [values[asked.arguments[0]] if asked.method.name == "Get" else values]
