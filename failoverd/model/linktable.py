"""The devices of one network namespace, with indexes so that a lookup costs the same on every machine."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping

from failoverd.model.links import PEERS, Link

WITH_MAC = frozenset({"", "bond"})
"""Kinds of devices that are looked up by MAC: hardware, and the bonds made of it."""


class Index:
    """The ifindexes of devices by something they have in common."""

    def __init__(self) -> None:
        self._found: dict[Hashable, set[int]] = {}

    def add(self, key: Hashable, ifindex: int) -> None:
        """Put a device under a key."""
        self._found.setdefault(key, set()).add(ifindex)

    def discard(self, key: Hashable, ifindex: int) -> None:
        """Remove a device from a key, if it is there."""
        found = self._found.get(key, set())
        found.discard(ifindex)
        if not found:
            self._found.pop(key, None)

    def get(self, key: Hashable) -> list[int]:
        """Return all devices under a key, in order."""
        return sorted(self._found.get(key, ()))


class LinkTable(dict[int, Link]):
    """Devices by ifindex. Set and delete them as in any dictionary; the indexes follow."""

    wished: set[str]
    """Names that could not be had. When one of them becomes free, the pair is worth another look."""

    def __init__(self, links: Iterable[Link] = ()) -> None:
        super().__init__()
        self.wished = set()
        self._names: dict[str, int] = {}
        self._macs = Index()
        self._slaves = Index()
        self._nics = Index()
        self._uppers = Index()
        for link in links:
            self[link.ifindex] = link

    @classmethod
    def of(cls, links: Mapping[int, Link]) -> LinkTable:
        """Return the same devices with indexes. A table is returned as it is."""
        return links if isinstance(links, cls) else cls(links.values())

    def __setitem__(self, ifindex: int, link: Link) -> None:
        if (old := self.get(ifindex)) is not None:
            self._take_out(old)
        super().__setitem__(ifindex, link)
        for name in (link.name, *link.altnames):
            self._names[name] = ifindex
        for index, key in self._places(link):
            index.add(key, ifindex)

    def __delitem__(self, ifindex: int) -> None:
        self._take_out(self[ifindex])
        super().__delitem__(ifindex)

    def named(self, name: str) -> Link | None:
        """Return the device with this name or alternative name."""
        ifindex = self._names.get(name)
        return None if ifindex is None else self[ifindex]

    def other(self, name: str, *mine: int) -> Link | None:
        """Return the device with this name or alternative name that is none of `mine`.

        If there is one, the name is noted in `wished`.
        """
        found = self.named(name)
        if found is None or found.ifindex in mine:
            return None
        self.wished.add(name)
        return found

    def with_mac(self, mac: str) -> Iterator[Link]:
        """Iterate over the NICs and bonds that have this MAC, permanently or at the moment."""
        return (self[ifindex] for ifindex in self._macs.get(mac))

    def slaves(self, master: int) -> Iterator[Link]:
        """Iterate over the devices whose master is this one."""
        return (self[ifindex] for ifindex in self._slaves.get(master))

    def nics_of(self, master: int) -> Iterator[Link]:
        """Iterate over the slaves of this master that are hardware."""
        return (self[ifindex] for ifindex in self._nics.get(master))

    def uppers(self, lower: int) -> Iterator[Link]:
        """Iterate over the upper devices of this one: VLANs, macvlans, tunnels. The other end of a veth is none."""
        return (self[ifindex] for ifindex in self._uppers.get(lower))

    def _take_out(self, link: Link) -> None:
        for name in (link.name, *link.altnames):
            # Another device may have got the name before this one was seen to lose it.
            if self._names.get(name) == link.ifindex:
                del self._names[name]
        for index, key in self._places(link):
            index.discard(key, link.ifindex)

    def _places(self, link: Link) -> list[tuple[Index, Hashable]]:
        """Return the index entries of a device. A veth that is in no bridge has none."""
        places: list[tuple[Index, Hashable]] = []
        if link.kind in WITH_MAC:
            places += [(self._macs, mac) for mac in {link.perm_mac, link.mac} if mac]
        if link.master:
            places.append((self._slaves, link.master))
            places += [(self._nics, link.master)] if not link.kind else []
        if link.link not in (0, link.ifindex) and link.kind not in PEERS:
            places.append((self._uppers, link.link))
        return places
