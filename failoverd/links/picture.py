"""What was seen of one network namespace: the devices that declared links have to do with, and what is on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from failoverd.dataclass import dataclass
from failoverd.links.marks import Identity
from failoverd.model.inet import Address, Route
from failoverd.model.links import Link


@dataclass(frozen=True, slots=True)
class Device:
    """One device, its addresses, and the routes through it that bear failoverd's protocol."""

    link: Link
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()


class Picture:
    """The devices of one namespace at one moment. It has at least those that were asked for; others may be missing."""

    def __init__(self, devices: Iterable[Device] = ()) -> None:
        self._at = {device.link.ifindex: device for device in devices}
        self._named = {name: device for device in self._at.values() for name in _names(device.link)}
        self._marked: list[tuple[str, Device]] | None = None

    def __iter__(self) -> Iterator[Device]:
        return iter(self._at.values())

    def __contains__(self, ifindex: object) -> bool:
        return ifindex in self._at

    def at(self, ifindex: int) -> Device | None:
        """Return the device with this ifindex."""
        return self._at.get(ifindex)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self._at == other._at

    __hash__ = None  # type: ignore[assignment]

    def marked(self, identity: Identity) -> Sequence[tuple[str, Device]]:
        """Return the devices that bear a mark, each with the name of the end that it stands for."""
        if self._marked is None:
            names = ((identity.marked(device.link.altnames), device) for device in self)
            self._marked = [(name, device) for name, device in names if name]
        return self._marked

    def named(self, name: str) -> Device | None:
        """Return the device that has this name, or bears it as an alternative name."""
        return self._named.get(name)


def _names(link: Link) -> frozenset[str]:
    return link.altnames | {link.name}


@dataclass(frozen=True, slots=True)
class Interest:
    """What a look at a namespace is about. A namespace may have thousands of devices that no declaration concerns."""

    prefix: str
    """Devices that bear an alternative name that begins so."""

    names: frozenset[str] = frozenset()
    """Devices with these names."""

    ifindexes: frozenset[int] = frozenset()
    """Devices with these numbers."""
