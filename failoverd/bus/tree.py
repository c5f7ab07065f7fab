"""The published objects, and the signals that follow when they change.

A publisher hands over all objects anew, and clients are sent the difference: ObjectManager's InterfacesAdded and
InterfacesRemoved, from the root as the specification has it, and PropertiesChanged with the new values. So a client
cannot miss a change between two states, and no code has to remember to signal one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dbus_next import Message, Variant

from failoverd.bus.interfaces import Interface, Objects, Values

PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"


class Tree:
    """The objects at and below `root`, each with some of these interfaces."""

    def __init__(self, root: str, interfaces: tuple[Interface, ...]) -> None:
        self.root = root
        self.interfaces: Mapping[str, Interface] = {interface.name: interface for interface in interfaces}
        self.objects: Objects = {}

    def replace(self, objects: Objects) -> list[Message]:
        """Replace the objects. Returns the signals for the difference."""
        old, self.objects = self.objects, objects
        messages = [
            self._removed(path, gone) for path in old if (gone := old[path].keys() - objects.get(path, {}).keys())
        ]
        for path, interfaces in objects.items():
            before = old.get(path, {})
            added = {name: values for name, values in interfaces.items() if name not in before}
            if added and path != self.root:
                messages.append(self._added(path, added))
            if interfaces is before:
                continue
            for name in interfaces.keys() & before.keys():
                messages += self._changed(path, name, before[name], interfaces[name])
        return messages

    def managed(self) -> dict[str, dict[str, dict[str, Variant]]]:
        """Return every object below the root with its interfaces and their properties, for GetManagedObjects."""
        return {
            path: {name: self.variants(name, values) for name, values in interfaces.items()}
            for path, interfaces in self.objects.items()
            if path != self.root
        }

    def variants(self, interface: str, values: Values) -> dict[str, Variant]:
        """Return the values with the signatures of their properties, but for those that have to be asked for."""
        properties = self.interfaces[interface].properties
        return {found.name: Variant(found.signature, values[found.name]) for found in properties if not found.asked}

    def children(self, path: str) -> list[str]:
        """Return the names one step below this path."""
        prefix = path.rstrip("/") + "/"
        return sorted({known[len(prefix) :].split("/")[0] for known in self.objects if known.startswith(prefix)})

    def _added(self, path: str, interfaces: Mapping[str, Values]) -> Message:
        body = [path, {name: self.variants(name, values) for name, values in interfaces.items()}]
        return Message.new_signal(self.root, OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", body)

    def _removed(self, path: str, names: set[str]) -> Message:
        return Message.new_signal(self.root, OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, sorted(names)])

    def _changed(self, path: str, name: str, old: Values, new: Values) -> Iterator[Message]:
        variants = {key: value for key, value in self.variants(name, new).items() if old[key] != new[key]}
        if variants:
            yield Message.new_signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [name, variants, []])
