"""Requests and refusals in words, for the log, for --dry-run and for explain."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Callable

from failoverd.model.inet import Address, Route
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

NameOf = Callable[[int], str]
RTA_DST = 1
AF_INET6 = 10

ADVICE = {
    errno.EBUSY: "another program holds it, or it is up on a kernel before 6.2; see failoverctl explain",
    errno.EPERM: "failoverd needs CAP_NET_ADMIN; start it by its systemd unit or as root",
    errno.EOPNOTSUPP: "this kernel or driver cannot do it; load the bonding module, or look for the driver's limits",
    errno.EEXIST: "the name is taken; free it or choose another in [naming]",
    errno.EINVAL: "the driver refuses the master's settings; compare the MTU of the master with what the VF can do",
    errno.ENODEV: "the device is gone; nothing needs to be done",
}


def describe(request: Request, name_of: NameOf) -> str:
    """What a request does, with the devices' names."""
    match request:
        case CreateBond(name, mac, mtu, miimon, _):
            return f"create bond {name} with MAC {mac}, MTU {mtu}, miimon {miimon} ms"
        case DeleteLink(ifindex):
            return f"delete {name_of(ifindex)}"
        case SetUp(ifindex, up):
            return f"set {name_of(ifindex)} {'up' if up else 'down'}"
        case SetMtu(ifindex, mtu):
            return f"set the MTU of {name_of(ifindex)} to {mtu}"
        case Rename(ifindex, name):
            return f"rename {name_of(ifindex)} to {name}"
        case SetMaster(ifindex, master):
            return f"enslave {name_of(ifindex)} to {name_of(master)}" if master else f"free {name_of(ifindex)}"
        case SetActive(ifindex, slave):
            return f"make {name_of(slave)} the active slave of {name_of(ifindex)}"
        case AddAltname() | DropAltname() | AddAddress() | DropAddress() | AddRoute() | DropRoute():
            return _describe_parts(request, name_of)
        case _:
            return _describe_ways(request, name_of)


Ways = HearAll | SetAllMulticast | SetPromiscuous | SetLinkLocal | AddClsact | DropClsact | AddRedirect | DropRedirect


def _describe_ways(request: Ways, name_of: NameOf) -> str:
    name = name_of(request.ifindex)
    match request:
        case HearAll(_, on):
            return f"{'let' if on else 'no longer let'} {name} take in what comes to the slave that does not carry"
        case SetAllMulticast(_, on):
            return f"{'let' if on else 'no longer let'} {name} take in all multicast"
        case SetPromiscuous(_, on):
            return f"{'let' if on else 'no longer let'} {name} take in every frame, whoever it is for"
        case SetLinkLocal(_, on):
            return f"{'let' if on else 'do not let'} the kernel make a link-local address for {name}"
        case AddClsact():
            return f"add a clsact qdisc to {name}"
        case DropClsact():
            return f"drop the clsact qdisc of {name}"
        case AddRedirect(_, hook, target):
            return f"redirect the {hook} of {name} to that of {name_of(target)}"
        case _:
            return f"drop the redirection on the {request.hook} of {name}"


Parts = AddAltname | DropAltname | AddAddress | DropAddress | AddRoute | DropRoute


def _describe_parts(request: Parts, name_of: NameOf) -> str:
    match request:
        case AddAltname(ifindex, name):
            return f"add the alternative name {name} to {name_of(ifindex)}"
        case DropAltname(ifindex, name):
            return f"drop the alternative name {name} of {name_of(ifindex)}"
        case AddAddress(address):
            return f"add {address_text(address)} to {name_of(address.ifindex)}"
        case DropAddress(address):
            return f"drop {address_text(address)} from {name_of(address.ifindex)}"
        case DropRoute(route):
            return f"drop the route to {route_text(route)} through {name_of(route.ifindex)}"
        case _:
            route = request.route
            return f"add the route to {route_text(route)} through {name_of(route.ifindex)}"


def devices(request: Request) -> frozenset[int]:
    """The ifindexes of the devices a request is about."""
    match request:
        case CreateBond():
            found = {0}
        case AddAddress(address) | DropAddress(address):
            found = {address.ifindex}
        case AddRoute(route) | DropRoute(route):
            found = {route.ifindex}
        case SetMaster(ifindex, other) | SetActive(ifindex, other) | AddRedirect(ifindex, _, other):
            found = {ifindex, other}
        case _:
            found = {request.ifindex}
    return frozenset(found - {0})


def refusal_text(request: Request, number: int, text: str, name_of: NameOf) -> str:
    """An error as an administrator wants it: device, action, the kernel's answer, the next step."""
    if not number and isinstance(request, DropAddress | DropRoute):
        what = address_text(request.address) if isinstance(request, DropAddress) else route_text(request.route)
        name = name_of(next(iter(devices(request))))
        return f"{what} was taken off {name}; if it comes back, look for a DHCP client or a network manager that has it"
    if not number and isinstance(request, SetUp):
        return f"{name_of(request.ifindex)} was set up again; if it is down, look for a network manager that has it"
    if not number:
        return f"{describe(request, name_of)} was done, and is undone again; look for another program that manages it"
    code = errno.errorcode.get(number, str(number))
    advice = ADVICE.get(number, "see the kernel's log (dmesg)")
    if number == errno.EEXIST and isinstance(request, AddAddress | AddRoute):
        advice = "there is one like it; compare with ip address and ip route"
    return f"{describe(request, name_of)} failed: {code}{f' ({text})' if text else ''}; {advice}"


def address_text(address: Address) -> str:
    """10.0.0.2/24"""
    return f"{_ip(address.local)}/{address.prefixlen}"


def route_text(route: Route) -> str:
    """10.1.0.0/16 (table 254)"""
    found = dict(route.attrs).get(RTA_DST)
    where = f"{_ip(found)}/{route.dst_len}" if found else "default"
    return f"{where} (table {route.table})"


def _ip(packed: bytes) -> str:
    try:
        return str(ipaddress.ip_address(packed))
    except ValueError:
        return packed.hex()
