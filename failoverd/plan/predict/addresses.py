"""Addresses of a device and what belongs to them: routes to their networks, labels, neighbours, settings."""

from __future__ import annotations

import errno
import ipaddress
from dataclasses import replace

from failoverd.model.events import AddressSeen
from failoverd.model.inet import RTA_DST, Address, Route
from failoverd.model.pairs import Inet
from failoverd.model.requests import AddAddress, AddLabel, AddNeighbour, DropAddress, SetAttribute, SetSysctl
from failoverd.plan.predict.machine import Machine, RefusedError

AF_INET, AF_INET6 = 2, 10
IFA_LABEL = 3
IFA_F_NOPREFIXROUTE = 0x200
SCOPE_LINK = 253
PROMOTE = "ipv4/promote_secondaries"
RT_TABLE_MAIN, RTPROT_KERNEL, RTN_UNICAST = 254, 2, 1


def add(machine: Machine, request: AddAddress) -> None:
    """IPv4 allows an address several times on a device with different prefixes, IPv6 once."""
    found = request.address
    inet = machine.inet_of(machine.link(found.ifindex).ifindex)
    for other in inet.addresses:
        if other.local == found.local and (found.family == AF_INET6 or other.prefixlen == found.prefixlen):
            raise RefusedError(errno.EEXIST)
    machine.inet[found.ifindex] = replace(inet, addresses=(*inet.addresses, found))
    _make_route(machine, found)
    machine.news.append(AddressSeen(found.ifindex))


def drop(machine: Machine, request: DropAddress) -> None:
    """Remove an address, and everything that the kernel removes along with it.

    The kernel's route to its network goes with it, with the first IPv4 address in a network the others there, and with
    the last one of a device all its IPv4 routes (net/ipv4/fib_frontend.c, fib_inetaddr_event).
    """
    found = request.address
    inet = machine.inet_of(machine.link(found.ifindex).ifindex)
    gone = [address for address in inet.addresses if _is_meant(found, address)]
    if not gone:
        raise RefusedError(errno.EADDRNOTAVAIL)
    if dict(inet.settings).get(PROMOTE, "0") == "0":
        gone += _followers(inet, gone[0])
    kept = tuple(address for address in inet.addresses if address not in gone)
    is_last = found.family == AF_INET and not any(address.family == AF_INET for address in kept)
    routes = tuple(r for r in inet.routes if r.protocol != RTPROT_KERNEL and not (is_last and r.family == AF_INET))
    machine.inet[found.ifindex] = replace(inet, addresses=kept, routes=routes)
    for address in kept:
        _make_route(machine, address)


def _is_meant(asked: Address, there: Address) -> bool:
    """inet_rtm_deladdr(): the label counts where one is given."""
    label = dict(asked.attrs).get(IFA_LABEL)
    is_same = (there.local, there.prefixlen) == (asked.local, asked.prefixlen)
    return is_same and label in (None, dict(there.attrs).get(IFA_LABEL))


def _followers(inet: Inet, first: Address) -> list[Address]:
    """Return the IPv4 addresses that go with this one (net/ipv4/devinet.c, __inet_del_ifa).

    They are those that came later to its network, if it came first.
    """
    if first.family != AF_INET:
        return []
    same = [a for a in inet.addresses if a.family == AF_INET and _network(a) == _network(first)]
    return same[1:] if same[:1] == [first] else []


def come_up(machine: Machine, ifindex: int, is_slave: bool = False) -> None:
    """inetdev_event() and addrconf_notify(): make the routes to the addresses' networks, and a link-local address.

    Nothing of IPv6 is made on a bond's slave. (That IPv6 waits for a carrier is not predicted.)
    """
    link, inet = machine.links[ifindex], machine.inet_of(ifindex)
    addresses = inet.addresses
    if is_slave:
        addresses = tuple(a for a in addresses if a.family == AF_INET)
    elif link.link_local and link.mac and not any(a.scope == SCOPE_LINK for a in addresses):
        addresses += (Address(ifindex, AF_INET6, 64, SCOPE_LINK, 0, _link_local(link.mac)),)
        machine.inet[ifindex] = replace(inet, addresses=addresses)
    for address in addresses:
        _make_route(machine, address)


def go_down(machine: Machine, ifindex: int) -> None:
    """Remove the IPv6 addresses, routes and neighbours of a device that goes down.

    See addrconf_ifdown, fib_disable_ip, neigh_ifdown.
    """
    inet = machine.inet_of(ifindex)
    kept = tuple(a for a in inet.addresses if a.family == AF_INET)
    machine.inet[ifindex] = replace(inet, addresses=kept, routes=(), neighbours=())


def relabel(machine: Machine, ifindex: int, name: str) -> None:
    """An IPv4 label is the device's name."""
    inet = machine.inet_of(ifindex)
    labels = ((IFA_LABEL, name.encode("utf-8", "surrogateescape")),)
    done = tuple(replace(a, attrs=labels) if dict(a.attrs).get(IFA_LABEL) else a for a in inet.addresses)
    machine.inet[ifindex] = replace(inet, addresses=done)


def add_neighbour(machine: Machine, request: AddNeighbour) -> None:
    """neigh_add()."""
    found = request.neighbour
    inet = machine.inet_of(machine.link(found.ifindex).ifindex)
    if found in inet.neighbours:
        raise RefusedError(errno.EEXIST)
    machine.inet[found.ifindex] = replace(inet, neighbours=(*inet.neighbours, found))


def add_label(machine: Machine, request: AddLabel) -> None:
    """ip6addrlbl_add()."""
    found = request.label
    inet = machine.inet_of(machine.link(found.ifindex).ifindex)
    if any((other.prefix, other.prefixlen) == (found.prefix, found.prefixlen) for other in inet.labels):
        raise RefusedError(errno.EEXIST)
    machine.inet[found.ifindex] = replace(inet, labels=(*inet.labels, found))


def set_setting(machine: Machine, request: SetAttribute | SetSysctl) -> None:
    """The kernel takes every setting; its consequences are not predicted."""
    inet = machine.inet_of(machine.link(request.ifindex).ifindex)
    settings = tuple({**dict(inet.settings), request.name: request.value}.items())
    machine.inet[request.ifindex] = replace(inet, settings=settings)


def _make_route(machine: Machine, found: Address) -> None:
    """The route to an address's network."""
    inet = machine.inet_of(found.ifindex)
    attrs = ((RTA_DST, _network(found).network_address.packed),)
    fixed = (found.ifindex, found.family, found.prefixlen, 0, 0, RT_TABLE_MAIN, RTPROT_KERNEL, 0, RTN_UNICAST, 0)
    made = Route(*fixed, attrs)
    if machine.links[found.ifindex].up and not found.flags & IFA_F_NOPREFIXROUTE and made not in inet.routes:
        machine.inet[found.ifindex] = replace(inet, routes=(*inet.routes, made))


def _network(address: Address) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network((address.local, address.prefixlen), strict=False)


def _link_local(mac: str) -> bytes:
    """RFC 4291, appendix A."""
    raw = bytes.fromhex(mac.replace(":", ""))
    return b"\xfe\x80" + bytes(6) + bytes([raw[0] ^ 2]) + raw[1:3] + b"\xff\xfe" + raw[3:6]
