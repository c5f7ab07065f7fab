"""Devices and their IP configuration as the kernel has them, or would have them."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from dataclasses import field, replace

from failoverd.dataclass import dataclass
from failoverd.kinds import Bond, Veth, Vlan
from failoverd.model.events import Event, LinkGone, LinkSeen
from failoverd.model.inet import Rule
from failoverd.model.links import Filter, Link, Tc
from failoverd.model.pairs import Inet
from failoverd.model.places import HERE, Place


class RefusedError(Exception):
    """The kernel refuses, with an errno."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass
class Machine:
    """One network namespace. The functions beside this module change it as the kernel would."""

    live_renames: bool = False
    """Whether a device may be renamed while it is up, as from Linux 6.2 on."""

    place: Place = HERE
    """Which namespace it is."""

    bonding: bool = True
    """Whether the kernel has the bonding driver."""

    links: dict[int, Link] = field(default_factory=dict)

    inet: dict[int, Inet] = field(default_factory=dict)

    rules: list[Rule] = field(default_factory=list)
    """The policy rules that are known."""

    last: int = 1
    """The last ifindex that the kernel gave. None is given twice."""

    wires: dict[int, bool] = field(default_factory=dict)
    """Whether there is a link at the other end of a NIC's wire. True where nothing is known."""

    mtus: dict[int, int] = field(default_factory=dict)
    """The former MTUs of slaves, which bonding restores; in the order in which it enslaved them."""

    busy: set[int] = field(default_factory=set)
    """NICs that are the lower device of a device in another namespace: no bond enslaves them."""

    news: list[Event] = field(default_factory=list)
    """The kernel's notifications since this was last emptied."""

    def link(self, ifindex: int) -> Link:
        """Return the device with this ifindex. Raises RefusedError."""
        if (found := self.links.get(ifindex)) is None:
            raise RefusedError(errno.ENODEV)
        return found

    def named(self, name: str) -> Link | None:
        """Return the device that has this name or alternative name."""
        return next((x for x in self.links.values() if name == x.name or name in x.altnames), None)

    def free_name(self, name: str) -> None:
        """Check that no device has this name or alternative name. Raises RefusedError."""
        if self.named(name):
            raise RefusedError(errno.EEXIST)

    def look(self, ifindexes: tuple[int, ...]) -> dict[int, Inet]:
        """Return the IP configuration of these devices."""
        return {ifindex: self.inet_of(ifindex) for ifindex in ifindexes}

    def inet_of(self, ifindex: int) -> Inet:
        """Return the IP configuration of one device."""
        return self.inet.get(ifindex, Inet())

    def put(self, link: Link) -> None:
        """Set a device's state. Its carrier follows from other devices. A change is reported in `news`."""
        carrier = link.up and self._has_carrier(link)
        link = replace(link, carrier=carrier, mii_up=self._is_mii_up(link, carrier))
        known = self.links.get(link.ifindex)
        if known == link:
            return
        self.links[link.ifindex] = link
        self.news.append(LinkSeen(link))
        other = self.links.get(link.info.peer) if isinstance(link.info, Veth) else None
        if other is not None and known is not None and known.up != link.up:
            self.put(other)
        if known is not None and known.carrier != link.carrier:
            for vlan in [x for x in self.links.values() if x.link == link.ifindex and isinstance(x.info, Vlan)]:
                self.put(vlan)

    def put_tc(self, ifindex: int, tc: Tc) -> None:
        """Set a device's traffic control."""
        self.put(replace(self.links[ifindex], tc=tc))

    def forget(self, ifindex: int) -> None:
        """Remove a device.

        A filter that redirects to it stays and leads nowhere (net/sched/act_mirred.c, mirred_device_event). The kernel
        does not report that; the conversation does.
        """
        del self.links[ifindex]
        self.inet.pop(ifindex, None)
        self.news.append(LinkGone(ifindex))
        for link in list(self.links.values()):
            self.put_tc(link.ifindex, replace(link.tc, filters=_without_target(link.tc, ifindex)))

    def _is_mii_up(self, link: Link, carrier: bool) -> bool:
        """A bond's opinion of its slave. While the bond is down, the kernel does not look at slaves (bond_close)."""
        above = self.links.get(link.master)
        if above is None or not isinstance(above.info, Bond):
            return True
        return carrier if above.up else link.mii_up

    def _has_carrier(self, link: Link) -> bool:
        """A bond has its active slave's carrier, a veth has one while both ends are up, a NIC has its wire's."""
        match link.info:
            case Bond(active=active):
                slave = self.links.get(active)
                return slave is not None and slave.carrier
            case Veth(peer, None) if peer in self.links:
                return self.links[peer].up
            case Vlan() if link.link in self.links:
                return self.links[link.link].carrier
            case _:
                return self.wires.get(link.ifindex, True)


def machine_of(links: Iterable[Link], inet: Mapping[int, Inet], live_renames: bool) -> Machine:
    """Return a machine in the state that was found. A NIC that is down is assumed to have a link once it is up: few
    drivers know it before.
    """
    there = {link.ifindex: link for link in links}
    wires = {link.ifindex: link.carrier for link in there.values() if link.up}
    return Machine(live_renames, links=there, inet=dict(inet), last=max(there, default=0), wires=wires)


def _without_target(tc: Tc, ifindex: int) -> frozenset[Filter]:
    return frozenset(replace(f, redirect=0) if f.redirect == ifindex else f for f in tc.filters)
