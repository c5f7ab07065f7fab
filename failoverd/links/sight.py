"""All that a judgement about declared links is made from, at one moment: what is declared, and what was seen.

Nothing in it remembers what was done before. So a plan can be cut anywhere, and a restart goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from failoverd.dataclass import dataclass
from failoverd.links.marks import Identity
from failoverd.links.picture import Device, Interest, Picture
from failoverd.model.declared import EXISTING, Declared, DeviceRef, End, NamespaceRef
from failoverd.model.places import HERE, Absent, Place


@dataclass(frozen=True, slots=True)
class Sight:
    """See the module."""

    identity: Identity
    declared: Declared
    places: Mapping[NamespaceRef, Place | Absent]
    """Where the references lead, as far as is known."""

    pictures: Mapping[Place, Picture]
    """What was seen of each place; none for a place that has not been looked at yet."""

    masters: Mapping[str, int]
    """The ifindexes of the failover masters that carry, by their names and MACs."""

    released: frozenset[str] = frozenset()
    """Ends that the administrator has taken out of failoverd's care."""

    renames_live: bool = False
    """Whether the kernel renames a device that is up, as from Linux 6.2 on."""

    loosened: Mapping[str, frozenset[DeviceRef]] = field(default_factory=dict)
    """Ports that were taken out of a declaration, by the name of the bridge or VRF that they may still be in."""

    is_complete: bool = True
    """Whether every source of declarations has spoken."""

    def place_of(self, end: End) -> Place | Absent | None:
        """Return the namespace that an end belongs into; None while that is not known."""
        return self.places.get(end.namespace)

    def device_of(self, end: End) -> Device | None:
        """Return the device that is this end's: marked, or for one that others make, the one of its name."""
        place = self.place_of(end)
        picture = self.pictures.get(place) if isinstance(place, Place) else None
        if picture is None:
            return None
        return picture.named(end.device if end.kind == EXISTING else self.identity.mark(end.name))

    def port(self, ref: DeviceRef, place: Place) -> Device | None:
        """Return the port that a declaration names, if it is in this namespace."""
        found = self.lookup(ref, place)
        return self.pictures[place].at(found[1]) if not isinstance(found, Absent) and found[0] == place else None

    def lookup(self, ref: DeviceRef, place: Place) -> tuple[Place, int] | Absent:
        """Return the namespace and ifindex of the device that a declaration names, or why there is none.

        `place` is the namespace that "device:NAME" means.
        """
        match ref.by:
            case "master":
                found = self.masters.get(ref.value, 0)
                why = f"no failover master {ref.value} is joined; see failoverctl status"
                return (HERE, found) if found else Absent("master-absent", why)
            case "link":
                return self._declared_device(ref.value)
            case _:
                picture = self.pictures.get(place)
                device = picture.named(ref.value) if picture is not None else None
                if device is None:
                    return Absent("lower-absent", f"there is no device {ref.value}; it is waited for")
                return place, device.link.ifindex

    def _declared_device(self, name: str) -> tuple[Place, int] | Absent:
        end = self.declared.get(name)
        if end is None:
            return Absent("lower-absent", f"no [link.{name}] is declared; declare it, or name another device")
        place, device = self.place_of(end), self.device_of(end)
        if not isinstance(place, Place) or device is None:
            return Absent("lower-absent", f"the link {name} is not there yet")
        return place, device.link.ifindex


def interests(sight: Sight, places: Iterable[Place]) -> dict[Place, Interest]:
    """Return what has to be looked at in namespaces: marked devices, and those that declarations name."""
    names: dict[Place, set[str]] = {place: set() for place in places}
    here = names.get(HERE, set())
    for end in sight.declared.values():
        place = sight.places.get(end.namespace)
        if isinstance(place, Place) and (there := names.get(place)) is not None:
            there.add(end.device)
            ports = (*end.ports, *sight.loosened.get(end.name, ()))
            there |= {ref.value for ref in ports if ref.by == "device"}
        if end.lower is not None and end.lower.by == "device":
            here.add(end.lower.value)
    masters = frozenset(sight.masters.values())
    return {
        place: Interest(sight.identity.prefix, frozenset(found), masters if place.is_own else frozenset())
        for place, found in names.items()
    }
