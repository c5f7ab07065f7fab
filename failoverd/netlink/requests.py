"""Requests to rtnetlink messages. Each becomes one message of its own: RTM_SETLINK is not atomic, and in a message that
both brings a device up and enslaves it, "up" would come first and the enslaving be refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

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
from failoverd.netlink import tc
from failoverd.netlink.frames import (
    HEADER,
    NLM_F_ACK,
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    attribute,
    build,
)
from failoverd.netlink.inet import (
    AF_INET6,
    RTM_DELADDR,
    RTM_DELROUTE,
    RTM_NEWADDR,
    RTM_NEWROUTE,
    without_label,
    write_address,
    write_route,
)
from failoverd.netlink.links import (
    IFF_ALLMULTI,
    IFF_PROMISC,
    IFF_UP,
    IFLA_INET6_ADDR_GEN_MODE,
    IN6_ADDR_GEN_MODE_NONE,
    INFO,
    RTM_DELLINK,
    RTM_GETLINK,
    RTM_NEWLINK,
    raw_name,
)
from failoverd.netlink.messages import LinkMessage

RTM_SETLINK = 19
RTM_NEWLINKPROP, RTM_DELLINKPROP = 108, 109
IFLA_LINKINFO = 18
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_BOND_ACTIVE_SLAVE, IFLA_BOND_ALL_SLAVES_ACTIVE = 2, 17
ACTIVE_BACKUP = 1
FOLLOW_ACTIVE = 1
ON_FAILURE = 2
"""BOND_PRI_RESELECT_FAILURE. From 6.0 on slaves have priorities, the first one that is up is preferred, and enslaving
another would make the kernel go back to it whatever was chosen (seen on 6.1)."""

IFLA_AF_SPEC, IFLA_EXT_MASK = 26, 29
RTEXT_FILTER_SKIP_STATS = 8
IN6_ADDR_GEN_MODE_EUI64 = 0

Attrs = list[tuple[str, Any]]


def write_request(request: Request, seq: int) -> bytes:
    """The message for a request; the kernel acknowledges it under `seq`."""
    writer: Callable[[Any, int], bytes] = WRITERS[type(request)]
    return writer(request, seq)


def dump_links(seq: int) -> bytes:
    """Ask for every device."""
    return build(RTM_GETLINK, NLM_F_DUMP, seq, INFO.pack(0, 0, 0, 0, 0))


def get_link(ifindex: int, seq: int) -> bytes:
    """Ask for one device; the answer is its RTM_NEWLINK and an acknowledgement."""
    return build(RTM_GETLINK, NLM_F_ACK, seq, INFO.pack(0, 0, ifindex, 0, 0))


def peek_link(ifindex: int, seq: int) -> bytes:
    """Ask for one device without its statistics, so that the answer is the same as long as the device is."""
    mask = attribute(IFLA_EXT_MASK, struct.pack("=I", RTEXT_FILTER_SKIP_STATS))
    return build(RTM_GETLINK, 0, seq, INFO.pack(0, 0, ifindex, 0, 0) + mask)


def _link(kind: int, flags: int, seq: int, ifindex: int, attrs: Attrs, up: bool | None = None) -> bytes:
    message = LinkMessage()
    message["index"] = ifindex
    message["flags"] = IFF_UP if up else 0
    message["change"] = 0 if up is None else IFF_UP
    message["attrs"] = attrs
    message.encode()
    return build(kind, flags | NLM_F_ACK, seq, bytes(message.data[HEADER.size :]))


def _create_bond(request: CreateBond, seq: int) -> bytes:
    options: Attrs = [
        ("MODE", ACTIVE_BACKUP),
        ("MIIMON", request.miimon),
        ("PRIMARY_RESELECT", ON_FAILURE),
        ("FAIL_OVER_MAC", FOLLOW_ACTIVE),
        ("NUM_PEER_NOTIF", request.peer_notifications),
    ]
    attrs: Attrs = [
        ("IFNAME", raw_name(request.name)),
        ("ADDRESS", bytes.fromhex(request.mac.replace(":", ""))),
        ("MTU", request.mtu),
        ("LINKINFO", {"attrs": [("KIND", "bond"), ("DATA", {"attrs": options})]}),
    ]
    return _link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, seq, 0, attrs)


def _set_active(request: SetActive, seq: int) -> bytes:
    """By hand: this one is waited for while traffic is lost, and the codec takes twenty times as long."""
    return _bond_option(request.ifindex, attribute(IFLA_BOND_ACTIVE_SLAVE, struct.pack("=I", request.slave)), seq)


def _hear_all(request: HearAll, seq: int) -> bytes:
    return _bond_option(request.ifindex, attribute(IFLA_BOND_ALL_SLAVES_ACTIVE, bytes([request.on])), seq)


def _bond_option(ifindex: int, option: bytes, seq: int) -> bytes:
    info = attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, b"bond\0") + attribute(IFLA_INFO_DATA, option))
    return build(RTM_NEWLINK, NLM_F_ACK, seq, INFO.pack(0, 0, ifindex, 0, 0) + info)


def _flag(ifindex: int, flag: int, on: bool, seq: int) -> bytes:
    return build(RTM_SETLINK, NLM_F_ACK, seq, INFO.pack(0, 0, ifindex, flag if on else 0, flag))


def _link_local(request: SetLinkLocal, seq: int) -> bytes:
    mode = bytes([IN6_ADDR_GEN_MODE_EUI64 if request.on else IN6_ADDR_GEN_MODE_NONE])
    families = attribute(IFLA_AF_SPEC, attribute(AF_INET6, attribute(IFLA_INET6_ADDR_GEN_MODE, mode)))
    return build(RTM_SETLINK, NLM_F_ACK, seq, INFO.pack(0, 0, request.ifindex, 0, 0) + families)


def _altname(kind: int, flags: int, request: AddAltname | DropAltname, seq: int) -> bytes:
    attrs: Attrs = [("PROP_LIST", {"attrs": [("ALT_IFNAME", raw_name(request.name))]})]
    return _link(kind, flags, seq, request.ifindex, attrs)


def _add_route(request: AddRoute, seq: int) -> bytes:
    """IPv4 may hold several routes to one place that differ in the next hop alone: append. IPv6 would take an appended
    one for a further path of the first (net/ipv6/ip6_fib.c, fib6_add_rt2node): only what is not there."""
    last = NLM_F_EXCL if request.route.family == AF_INET6 else NLM_F_APPEND
    return build(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | last, seq, write_route(request.route))


WRITERS: dict[type[Request], Callable[[Any, int], bytes]] = {
    CreateBond: _create_bond,
    SetActive: _set_active,
    HearAll: _hear_all,
    AddRoute: _add_route,
    DeleteLink: lambda r, seq: _link(RTM_DELLINK, 0, seq, r.ifindex, []),
    SetUp: lambda r, seq: _link(RTM_SETLINK, 0, seq, r.ifindex, [], up=r.up),
    SetMtu: lambda r, seq: _link(RTM_SETLINK, 0, seq, r.ifindex, [("MTU", r.mtu)]),
    Rename: lambda r, seq: _link(RTM_SETLINK, 0, seq, r.ifindex, [("IFNAME", raw_name(r.name))]),
    SetMaster: lambda r, seq: _link(RTM_SETLINK, 0, seq, r.ifindex, [("MASTER", r.master)]),
    AddAltname: lambda r, seq: _altname(RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND, r, seq),
    DropAltname: lambda r, seq: _altname(RTM_DELLINKPROP, 0, r, seq),
    AddAddress: lambda r, seq: build(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, seq, write_address(r.address)),
    SetAllMulticast: lambda r, seq: _flag(r.ifindex, IFF_ALLMULTI, r.on, seq),
    SetPromiscuous: lambda r, seq: _flag(r.ifindex, IFF_PROMISC, r.on, seq),
    SetLinkLocal: _link_local,
    AddClsact: lambda r, seq: tc.add_clsact(r.ifindex, seq),
    DropClsact: lambda r, seq: tc.drop_clsact(r.ifindex, seq),
    AddRedirect: lambda r, seq: tc.add_redirect(r.ifindex, r.hook, r.target, seq),
    DropRedirect: lambda r, seq: tc.drop_redirect(r.ifindex, r.hook, r.handle, seq),
    DropAddress: lambda r, seq: build(RTM_DELADDR, NLM_F_ACK, seq, write_address(without_label(r.address))),
    DropRoute: lambda r, seq: build(RTM_DELROUTE, NLM_F_ACK, seq, write_route(r.route)),
}
"""One row a kind of request. A test holds that no kind is missing."""
