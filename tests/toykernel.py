"""A toy of a kernel on the model's own nouns, for the tests of plan and core: stricter than `plan.foresee`, no bytes.

It refuses what the kernel refuses, and it loses what the kernel loses: a device that goes down loses its IPv6 addresses
and its routes; a rename and an enslaving need a device that is down; a gateway needs a route to it. A filter that
redirects to a device that goes stays, leads nowhere from then on, and nobody is told. (The simulated kernel of the lab
is the real judge, but it speaks netlink; here thousands of histories have to be cheap.)
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from failoverd.model.events import AddressSeen, Event, LinkGone, LinkSeen
from failoverd.model.inet import Address, Route
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

Hearing = SetAllMulticast | SetPromiscuous
MAC = "52:54:00:fa:11:01"
RTA_DST, RTA_GATEWAY, RTA_PRIORITY = 1, 5, 6
IFA_LABEL = 3
KERNEL, STATIC = 2, 4
PREFERENCE, HANDLE = 64_023, 0x80000001
"""Where failoverd's filters are, and what the kernel makes of the handle they ask for: the first key of a table."""


def address(text: str, ifindex: int, flags: int = 0, label: str = "") -> Address:
    """10.0.0.2/24"""
    found = ipaddress.ip_interface(text)
    family = 2 if found.version == 4 else 10
    attrs = ((IFA_LABEL, label.encode()),) if label else ()
    scope = 253 if found.is_link_local and family == 10 else 0
    return Address(ifindex, family, found.network.prefixlen, scope, flags, found.packed, attrs)


def route(text: str, ifindex: int, via: str = "", protocol: int = STATIC, table: int = 254, metric: int = 0) -> Route:
    """10.1.0.0/16 via 10.0.0.1"""
    net = ipaddress.ip_network(text)
    attrs = [(RTA_DST, net.network_address.packed)] if net.prefixlen else []
    attrs += [(RTA_GATEWAY, ipaddress.ip_address(via).packed)] if via else []
    attrs += [(RTA_PRIORITY, metric.to_bytes(4, "little"))] if metric else []
    family = 2 if net.version == 4 else 10
    return Route(ifindex, family, net.prefixlen, 0, 0, table, protocol, 0, 1, 0, tuple(attrs))


def address_words(found: Address) -> str:
    return f"{ipaddress.ip_address(found.local)}/{found.prefixlen}"


def route_words(found: Route) -> str:
    attrs = dict(found.attrs)
    zero = bytes(4 if found.family == 2 else 16)
    via = attrs.get(RTA_GATEWAY, b"")
    words = f"{ipaddress.ip_address(attrs.get(RTA_DST, zero))}/{found.dst_len}"
    return words + (f" via {ipaddress.ip_address(via)}" if via else "")


class RefusedError(Exception):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass
class ToyKernel:
    """Devices by ifindex, their IP configuration, and whether each NIC's wire is alive.

    `live_renames`: an UP device may be renamed, as from Linux 6.2 on. `bonding`: it has the bonding driver.
    """

    live_renames: bool = False
    bonding: bool = True
    links: dict[int, Link] = field(default_factory=dict)
    inet: dict[int, Inet] = field(default_factory=dict)
    wires: dict[int, bool] = field(default_factory=dict)
    news: list[Event] = field(default_factory=list)
    refuse: Callable[[Request], int] = lambda _request: 0
    last: int = 1
    mtus: dict[int, int] = field(default_factory=dict)

    # What the world does

    def plug(
        self, name: str, bus: str, up: bool = False, wire: bool = True, mac: str = MAC, max_mtu: int = 9000
    ) -> int:
        self.last += 1
        self.wires[self.last] = wire
        link = Link(self.last, name, mac, mac, bus=bus, parent=f"{bus}{self.last}", driver="some", max_mtu=max_mtu)
        self._put(replace(link, link_local=True))
        if up:
            self.set_up(self.last, True)
        return self.last

    @property
    def hearing(self) -> set[int]:
        """The bonds that take in what comes to any slave."""
        return {link.ifindex for link in self.links.values() if link.bond is not None and link.bond.hears_both}

    def unplug(self, ifindex: int) -> None:
        """The kernel closes it, unlinks it from its bond, and says it is gone."""
        self.set_up(ifindex, False)
        self._free(ifindex)
        self._forget(ifindex)
        for link in list(self.links.values()):
            self.links[link.ifindex] = replace(link, tc=replace(link.tc, filters=_without_target(link.tc, ifindex)))

    def filter_by_others(self, ifindex: int, hook: str, kind: str = "bpf", pref: int = 1) -> None:
        """Another program's filter, and the qdisc it needs."""
        tc = self.links[ifindex].tc
        self._put_tc(ifindex, replace(tc, slot="clsact", filters=tc.filters | {Filter(hook, pref, 1, kind)}))

    def wire(self, ifindex: int, alive: bool) -> None:
        self.wires[ifindex] = alive
        self._put(self.links[ifindex])
        self._reselect(self.links[ifindex].master)

    def look(self, ifindexes: tuple[int, ...]) -> dict[int, Inet]:
        return {i: self.inet.get(i, Inet()) for i in ifindexes}

    def named(self, name: str) -> Link | None:
        return next((x for x in self.links.values() if name == x.name or name in x.altnames), None)

    # What is asked of it

    def do(self, requests: tuple[Request, ...]) -> tuple[tuple[int, str], ...]:
        return tuple((self._answer(request), "") for request in requests)

    def do_all(self, *items: Address | Route) -> None:
        """What an administrator configures."""
        for item in items:
            assert not self._answer(AddAddress(item) if isinstance(item, Address) else AddRoute(item))

    def by_others(self, *requests: Request) -> None:
        """What other programs ask for; they are refused only what any kernel would refuse."""
        for request in requests:
            self._try(request)

    def _answer(self, request: Request) -> int:
        return self.refuse(request) or self._try(request)

    def _try(self, request: Request) -> int:
        try:
            self._dispatch(request)
        except RefusedError as error:
            return error.number
        except KeyError:
            return errno.ENODEV
        return 0

    def _dispatch(self, request: Request) -> None:
        match request:
            case AddAddress(found):
                self._add_address(found)
            case DropAddress(found):
                self._drop_address(found)
            case AddRoute(found):
                self._add_route(found)
            case DropRoute(found):
                self._drop_route(found)
            case AddClsact() | DropClsact() | AddRedirect() | DropRedirect():
                self._redirect(request)
            case CreateBond() | DeleteLink() | SetMaster() | SetActive():
                self._join(request)
            case _:
                self._set(request)

    def _join(self, request: CreateBond | DeleteLink | SetMaster | SetActive) -> None:
        match request:
            case CreateBond():
                self._create(request)
            case DeleteLink(ifindex):
                self._delete(ifindex)
            case SetMaster(ifindex, master):
                self._enslave(ifindex, master) if master else self._free(ifindex)
            case SetActive(ifindex, slave):
                if self.links[slave].master != ifindex or not self.links[slave].carrier:
                    raise RefusedError(errno.EINVAL)
                self._activate(ifindex, slave)

    def _redirect(self, request: AddClsact | DropClsact | AddRedirect | DropRedirect) -> None:
        tc = self.links[request.ifindex].tc
        match request:
            case AddClsact(ifindex):
                if tc.slot:
                    raise RefusedError(errno.EEXIST)
                self._put_tc(ifindex, replace(tc, slot="clsact"))
            case DropClsact(ifindex):
                if tc.slot != "clsact":
                    raise RefusedError(errno.EINVAL if tc.slot else errno.ENOENT)
                self._put_tc(ifindex, replace(tc, slot="", filters=frozenset()))
            case AddRedirect(ifindex, hook, target):
                self._put_tc(ifindex, replace(tc, filters=tc.filters | {self._new_filter(tc, hook, target)}))
            case DropRedirect(ifindex, hook, handle):
                there = {f for f in tc.filters if (f.hook, f.pref) == (hook, PREFERENCE)}
                gone = {f for f in there if handle in (0, f.handle)}
                if not gone:
                    raise RefusedError(errno.ENOENT if tc.slot else errno.EINVAL)
                self._put_tc(ifindex, replace(tc, filters=tc.filters - gone))

    def _new_filter(self, tc: Tc, hook: str, target: int) -> Filter:
        """The hook, the device it leads to and the place are looked at, as the kernel does."""
        if tc.slot != "clsact" and (tc.slot, hook) != ("ingress", "ingress"):
            raise RefusedError(errno.EINVAL)
        if target not in self.links:
            raise RefusedError(errno.ENODEV)
        there = [f for f in tc.filters if (f.hook, f.pref) == (hook, PREFERENCE)]
        if any(f.kind != "u32" for f in there):
            raise RefusedError(errno.EINVAL)
        if any(f.handle == HANDLE for f in there):
            raise RefusedError(errno.ENOSPC)
        return Filter(hook, PREFERENCE, HANDLE, "u32", target, ours=True)

    def _set(
        self, request: SetUp | SetMtu | Rename | AddAltname | DropAltname | Hearing | SetLinkLocal | HearAll
    ) -> None:
        link = self.links[request.ifindex]
        match request:
            case SetUp(ifindex, up):
                self.set_up(ifindex, up)
            case SetMtu(ifindex, mtu):
                self._set_mtu(ifindex, mtu)
            case Rename(ifindex, name):
                self._rename(ifindex, name)
            case HearAll(ifindex, on):
                self._put(replace(link, bond=replace(link.bond or Bond(), hears_both=on)))
            case SetAllMulticast() | SetPromiscuous():
                self._put(_hearing(link, request))
            case SetLinkLocal(_, on):
                self._put(replace(link, link_local=on))
            case AddAltname(_, name):
                self._free_name(name)
                self._put(replace(link, altnames=link.altnames | {name}))
            case DropAltname(_, name):
                if name not in link.altnames:
                    raise RefusedError(errno.ENOENT)
                self._put(replace(link, altnames=link.altnames - {name}))

    def _rename(self, ifindex: int, name: str) -> None:
        link = self.links[ifindex]
        if link.up and not self.live_renames:
            raise RefusedError(errno.EBUSY)
        if name != link.name:
            self._free_name(name)
        self._put(replace(link, name=name))
        self._relabel(ifindex, name)

    def _create(self, request: CreateBond) -> None:
        if not self.bonding:
            raise RefusedError(errno.EOPNOTSUPP)
        self._free_name(request.name)
        self.last += 1
        bond = Bond(mode=1, miimon=request.miimon, fail_over_mac=1)
        link = Link(self.last, request.name, request.mac, mtu=request.mtu, max_mtu=65535, kind="bond", bond=bond)
        self._put(link)

    def _delete(self, ifindex: int) -> None:
        """What stands on a device goes with it."""
        for slave in [x.ifindex for x in self.links.values() if x.master == ifindex]:
            self._free(slave)
        for upper in [x.ifindex for x in self.links.values() if x.link == ifindex]:
            self._forget(upper)
        self._forget(ifindex)

    # Devices

    def _put(self, link: Link) -> None:
        """Every device's carrier follows from its wire, or from the active slave."""
        if link.bond is not None:
            slave = self.links.get(link.bond.active)
            carrier = link.up and slave is not None and slave.carrier
        else:
            carrier = link.up and self.wires.get(link.ifindex, True)
        link = replace(link, carrier=carrier, mii_up=carrier if link.master else True)
        if self.links.get(link.ifindex) != link:
            self.links[link.ifindex] = link
            self.news.append(LinkSeen(link))

    def _put_tc(self, ifindex: int, tc: Tc) -> None:
        self._put(replace(self.links[ifindex], tc=tc))

    def _forget(self, ifindex: int) -> None:
        del self.links[ifindex]
        self.inet.pop(ifindex, None)
        self.news.append(LinkGone(ifindex))

    def _free_name(self, name: str) -> None:
        if self.named(name):
            raise RefusedError(errno.EEXIST)

    def set_up(self, ifindex: int, up: bool) -> None:
        link = self.links[ifindex]
        if link.up == up:
            return
        self._put(replace(link, up=up))
        if up and not link.master:
            self._configure_itself(ifindex)
        if not up:
            self._flush(ifindex)
        self._reselect(link.master)
        if link.bond is not None:
            self._put(self.links[ifindex])

    def _flush(self, ifindex: int) -> None:
        kept = tuple(a for a in self.inet.get(ifindex, Inet()).addresses if a.family == 2)
        self.inet[ifindex] = Inet(kept)

    def _set_mtu(self, ifindex: int, mtu: int) -> None:
        group = [self.links[ifindex], *(x for x in self.links.values() if x.master == ifindex)]
        if any(x.max_mtu < mtu for x in group):
            raise RefusedError(errno.EINVAL)
        for link in reversed(group):
            self._put(replace(link, mtu=mtu))

    def _enslave(self, ifindex: int, master: int) -> None:
        link, above = self.links[ifindex], self.links.get(master)
        if above is None or above.bond is None:
            raise RefusedError(errno.EINVAL)
        if link.up:
            raise RefusedError(errno.EPERM)
        if link.master:
            raise RefusedError(errno.EBUSY)
        self.mtus[ifindex] = link.mtu
        self._set_mtu(ifindex, above.mtu)
        self._put(replace(self.links[ifindex], up=True))
        self._put(replace(self.links[ifindex], master=master))
        self._reselect(master)

    def _free(self, ifindex: int) -> None:
        link = self.links[ifindex]
        if not link.master:
            return
        self._put(replace(link, master=0))
        self._reselect(link.master)
        self._put(replace(self.links[ifindex], up=False, mtu=self.mtus[ifindex]))
        self._flush(ifindex)

    def _reselect(self, master: int) -> None:
        above = self.links.get(master)
        if above is None or above.bond is None:
            return
        able = [x.ifindex for x in self.links.values() if x.master == master and x.carrier]
        if above.bond.active not in able:
            self._activate(master, next(iter(able), 0))

    def _activate(self, master: int, slave: int) -> None:
        above = self.links[master]
        assert above.bond is not None
        self._put(replace(above, bond=replace(above.bond, active=slave)))

    # Addresses and routes

    def _configure_itself(self, ifindex: int) -> None:
        inet = self.inet.get(ifindex, Inet())
        is_local = self.links[ifindex].link_local or bool(self.links[ifindex].kind)
        if is_local and not any(a.scope == 253 for a in inet.addresses):
            own = address("fe80::5054:ff:fefa:1101/64", ifindex)
            self.inet[ifindex] = replace(inet, addresses=(*inet.addresses, own))
        for found in self.inet.get(ifindex, Inet()).addresses:
            self._prefix_route(found)

    def _prefix_route(self, found: Address) -> None:
        inet = self.inet.get(found.ifindex, Inet())
        net = ipaddress.ip_network((found.local, found.prefixlen), strict=False)
        made = route(str(net), found.ifindex, protocol=KERNEL)
        if self.links[found.ifindex].up and not found.flags & 0x200 and made not in inet.routes:
            self.inet[found.ifindex] = replace(inet, routes=(*inet.routes, made))

    def _add_address(self, found: Address) -> None:
        assert self.links[found.ifindex]
        inet = self.inet.get(found.ifindex, Inet())
        for other in inet.addresses:
            if other.local == found.local and (found.family == 10 or other.prefixlen == found.prefixlen):
                raise RefusedError(errno.EEXIST)
        self.inet[found.ifindex] = replace(inet, addresses=(*inet.addresses, found))
        self._prefix_route(found)
        self.news.append(AddressSeen(found.ifindex))

    def _relabel(self, ifindex: int, name: str) -> None:
        """Labels follow the name (net/ipv4/devinet.c, inetdev_changename)."""
        inet = self.inet.get(ifindex, Inet())
        labels = ((IFA_LABEL, name.encode()),)
        done = tuple(replace(a, attrs=labels) if dict(a.attrs).get(IFA_LABEL) else a for a in inet.addresses)
        self.inet[ifindex] = replace(inet, addresses=done)

    def _drop_address(self, found: Address) -> None:
        assert self.links[found.ifindex]
        inet = self.inet.get(found.ifindex, Inet())
        label = dict(found.attrs).get(IFA_LABEL)
        gone = [
            a
            for a in inet.addresses
            if (a.local, a.prefixlen) == (found.local, found.prefixlen)
            and label in (None, dict(a.attrs).get(IFA_LABEL))
        ]
        if not gone:
            raise RefusedError(errno.EADDRNOTAVAIL)
        kept = tuple(a for a in inet.addresses if a not in gone)
        up = self.links[found.ifindex].up
        # With its last IPv4 address a device loses its IPv4 routes (net/ipv4/fib_frontend.c, fib_inetaddr_event).
        lost = 0 if any(a.family == 2 for a in kept) else 2
        routes = tuple(r for r in inet.routes if r.protocol != KERNEL and r.family != lost)
        self.inet[found.ifindex] = Inet(kept, routes)
        for left in kept if up else ():
            self._prefix_route(left)

    def _drop_route(self, found: Route) -> None:
        inet = self.inet.get(found.ifindex, Inet())
        if found not in inet.routes:
            raise RefusedError(errno.ESRCH)
        self.inet[found.ifindex] = replace(inet, routes=tuple(r for r in inet.routes if r != found))

    def _add_route(self, found: Route) -> None:
        if not self.links[found.ifindex].up:
            raise RefusedError(errno.ENETDOWN)
        inet = self.inet.get(found.ifindex, Inet())
        attrs = dict(found.attrs)
        if RTA_GATEWAY in attrs and not self._is_on_link(inet, attrs[RTA_GATEWAY]):
            raise RefusedError(errno.ENETUNREACH)
        same = [r for i, other in self.inet.items() for r in other.routes if found.family == 10 or i == found.ifindex]
        for other in same:
            there = dict(other.attrs)
            place = (found.dst_len, attrs.get(RTA_DST), attrs.get(RTA_PRIORITY))
            if place == (other.dst_len, there.get(RTA_DST), there.get(RTA_PRIORITY)) and (
                found.family == 10 or other == found
            ):
                raise RefusedError(errno.EEXIST)
        self.inet[found.ifindex] = replace(inet, routes=(*inet.routes, found))

    def _is_on_link(self, inet: Inet, gateway: bytes) -> bool:
        for found in inet.routes:
            attrs = dict(found.attrs)
            if RTA_GATEWAY not in attrs and RTA_DST in attrs and len(attrs[RTA_DST]) == len(gateway):
                net = ipaddress.ip_network((attrs[RTA_DST], found.dst_len))
                if ipaddress.ip_address(gateway) in net:
                    return True
        return False


def _without_target(tc: Tc, ifindex: int) -> frozenset[Filter]:
    """net/sched/act_mirred.c, mirred_device_event: the action forgets its device and drops what comes."""
    return frozenset(replace(f, redirect=0) if f.redirect == ifindex else f for f in tc.filters)


def _hearing(link: Link, request: Hearing) -> Link:
    if isinstance(request, SetAllMulticast):
        return replace(link, all_multicast=request.on)
    more = request.on - link.promiscuous
    return replace(link, promiscuous=request.on, promiscuity=link.promiscuity + more)
