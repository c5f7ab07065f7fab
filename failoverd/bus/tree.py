"""The objects that are there, and the signals that follow when others take their place.

Who publishes hands over all objects anew, and the difference is what clients are told: ObjectManager's InterfacesAdded
and InterfacesRemoved, from the root as the specification has it, and PropertiesChanged with the new values. So a client
can never miss a change that two states some time apart have between them, and nobody has to remember to tell of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dbus_next import Message, Variant

from failoverd.bus.faces import Face, Objects, Values

PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"


class Tree:
    """Objects below and at `root`, each with some of these faces."""

    def __init__(self, root: str, faces: tuple[Face, ...]) -> None:
        self.root = root
        self.faces: Mapping[str, Face] = {face.name: face for face in faces}
        self.objects: Objects = {}

    def replace(self, objects: Objects) -> list[Message]:
        """These are the objects from now on; the signals that say what is different."""
        old, self.objects = self.objects, objects
        messages = [
            self._removed(path, gone) for path in old if (gone := old[path].keys() - objects.get(path, {}).keys())
        ]
        for path, faces in objects.items():
            before = old.get(path, {})
            added = {name: values for name, values in faces.items() if name not in before}
            if added and path != self.root:
                messages.append(self._added(path, added))
            for name in faces.keys() & before.keys():
                messages += self._changed(path, name, before[name], faces[name])
        return messages

    def managed(self) -> dict[str, dict[str, dict[str, Variant]]]:
        """Every object below the root with its faces and their properties, as GetManagedObjects gives them."""
        return {
            path: {name: self.variants(name, values) for name, values in faces.items()}
            for path, faces in self.objects.items()
            if path != self.root
        }

    def variants(self, face: str, values: Values) -> dict[str, Variant]:
        """The values with the signatures of their properties."""
        return {found.name: Variant(found.signature, values[found.name]) for found in self.faces[face].properties}

    def children(self, path: str) -> list[str]:
        """The names one step below this path."""
        prefix = path.rstrip("/") + "/"
        return sorted({known[len(prefix) :].split("/")[0] for known in self.objects if known.startswith(prefix)})

    def _added(self, path: str, faces: Mapping[str, Values]) -> Message:
        body = [path, {name: self.variants(name, values) for name, values in faces.items()}]
        return Message.new_signal(self.root, OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", body)

    def _removed(self, path: str, names: set[str]) -> Message:
        return Message.new_signal(self.root, OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, sorted(names)])

    def _changed(self, path: str, name: str, old: Values, new: Values) -> Iterator[Message]:
        variants = {key: value for key, value in self.variants(name, new).items() if old[key] != new[key]}
        if variants:
            yield Message.new_signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [name, variants, []])
