"""What a request would change, without sending it: for --dry-run the planner goes on from what is foreseen here.

Only what the planner looks at is foreseen, and every request is taken to succeed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from failoverd.model.links import Bond, Filter, Link, Tc
from failoverd.model.pairs import Inet
from failoverd.model.requests import (
    AddAddress,
    AddAltname,
    AddClsact,
    AddRedirect,
    AddRoute,
    CreateBond,
    DeleteLink,
    DropAddress,
    DropAltname,
    DropClsact,
    DropRedirect,
    DropRoute,
    HearAll,
    Rename,
    Request,
    SetActive,
    SetAllMulticast,
    SetLinkLocal,
    SetMaster,
    SetMtu,
    SetPromiscuous,
    SetUp,
)


@dataclass(slots=True)
class Foreseen:
    """Devices and their IP configuration as they would be."""

    links: dict[int, Link]
    inet: dict[int, Inet] = field(default_factory=dict)

    def look(self, ifindexes: tuple[int, ...]) -> Mapping[int, Inet]:
        """The IP configuration of these devices."""
        return {ifindex: self.inet.get(ifindex, Inet()) for ifindex in ifindexes}

    def apply(self, request: Request) -> tuple[int, ...]:
        """Take a request as done. Returns the ifindexes of the devices that would tell of a change."""
        match request:
            case CreateBond(name, mac, mtu, miimon, _):
                ifindex = max(self.links, default=0) + 1
                bond = Bond(mode=1, miimon=miimon, fail_over_mac=1)
                self.links[ifindex] = Link(ifindex, name, mac=mac, mtu=mtu, kind="bond", bond=bond)
                return (ifindex,)
            case DeleteLink(ifindex):
                return self._delete(ifindex)
            case SetMaster(ifindex, master):
                return self._enslave(ifindex, master)
            case SetActive(ifindex, slave):
                return self._activate(ifindex, slave)
            case AddAddress() | DropAddress() | AddRoute() | DropRoute():
                return self._configure(request)
            case AddClsact() | DropClsact() | AddRedirect() | DropRedirect():
                link = self.links[request.ifindex]
                self.links[request.ifindex] = replace(link, tc=_redirected(link.tc, request))
                return (request.ifindex,)
            case _:
                self.links[request.ifindex] = _changed(self.links[request.ifindex], request)
                return (request.ifindex,)

    def _delete(self, ifindex: int) -> tuple[int, ...]:
        slaves = tuple(i for i, link in self.links.items() if link.master == ifindex)
        for slave in slaves:
            self._enslave(slave, 0)
        del self.links[ifindex]
        return (*slaves, ifindex)

    def _enslave(self, ifindex: int, master: int) -> tuple[int, ...]:
        """Bonding opens a device it takes, gives it the bond's MTU, and closes it when it lets it go."""
        link, was = self.links[ifindex], self.links[ifindex].master
        above = self.links.get(master)
        mtu = above.mtu if above else link.mtu
        self.links[ifindex] = replace(link, master=master, up=bool(master), carrier=bool(master), mtu=mtu)
        if above is not None and above.bond is not None and not above.bond.active:
            self._activate(master, ifindex)
        return (ifindex, master or was)

    def _activate(self, ifindex: int, slave: int) -> tuple[int, ...]:
        link = self.links[ifindex]
        self.links[ifindex] = replace(link, carrier=True, bond=replace(link.bond or Bond(), active=slave))
        return (ifindex,)

    def _configure(self, request: AddAddress | DropAddress | AddRoute | DropRoute) -> tuple[int, ...]:
        if isinstance(request, AddRoute | DropRoute):
            inet = self.inet.get(request.route.ifindex, Inet())
            routes = tuple(route for route in inet.routes if route != request.route)
            new = (request.route,) if isinstance(request, AddRoute) else ()
            self.inet[request.route.ifindex] = replace(inet, routes=(*routes, *new))
            return ()
        ifindex = request.address.ifindex
        inet = self.inet.get(ifindex, Inet())
        others = tuple(a for a in inet.addresses if a.local != request.address.local)
        added = (request.address,) if isinstance(request, AddAddress) else ()
        self.inet[ifindex] = replace(inet, addresses=(*others, *added))
        return ()


def _redirected(tc: Tc, request: AddClsact | DropClsact | AddRedirect | DropRedirect) -> Tc:
    match request:
        case AddClsact():
            return replace(tc, slot="clsact")
        case DropClsact():
            return replace(tc, slot="", filters=frozenset())
        case AddRedirect(_, hook, target):
            return replace(tc, filters=tc.filters | {Filter(hook, 0, 1, "u32", target, ours=True)})
        case _:
            kept = (found for found in tc.filters if not found.ours or found.hook != request.hook)
            return replace(tc, filters=frozenset(kept))


Change = HearAll | SetUp | SetMtu | Rename | SetAllMulticast | SetPromiscuous | SetLinkLocal | AddAltname | DropAltname


def _changed(link: Link, request: Change) -> Link:
    match request:
        case HearAll():
            return link
        case SetAllMulticast(_, on):
            return replace(link, all_multicast=on)
        case SetPromiscuous(_, on):
            return replace(link, promiscuous=on)
        case SetLinkLocal(_, on):
            return replace(link, link_local=on)
        case SetUp(_, up):
            return replace(link, up=up, carrier=up and link.carrier)
        case SetMtu(_, mtu):
            return replace(link, mtu=mtu)
        case Rename(_, name):
            return replace(link, name=name)
        case AddAltname(_, name):
            return replace(link, altnames=link.altnames | {name})
        case _:
            return replace(link, altnames=link.altnames - {request.name})
