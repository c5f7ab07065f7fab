"""Convert requests to rtnetlink messages, one message each.

RTM_SETLINK is not atomic: in a message that both brings a device up and enslaves it, "up" would come first and the
enslaving be refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from failoverd.kinds import NewDevice, Place, Spec
from failoverd.kinds.bond import ACTIVE_SLAVE, ALL_SLAVES_ACTIVE, HEARING, LP_INTERVAL, SIGNATURE
from failoverd.kinds.bridge import BridgeRest
from failoverd.model.requests import (
    AddAddress,
    AddAltname,
    AddClsact,
    AddLabel,
    AddNeighbour,
    AddQdisc,
    AddRedirect,
    AddRoute,
    AddRule,
    ChangeLink,
    CreateLink,
    DeleteLink,
    DeleteMarked,
    DropAddress,
    DropAltname,
    DropClsact,
    DropRedirect,
    DropRoute,
    DropRule,
    HearAll,
    MoveLink,
    Rename,
    Request,
    SetActive,
    SetAllMulticast,
    SetAttribute,
    SetLinkLocal,
    SetMac,
    SetMaster,
    SetMtu,
    SetPromiscuous,
    SetUp,
    TryMaster,
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
from failoverd.netlink.neighbours import RTM_NEWADDRLABEL, RTM_NEWNEIGH, write_label, write_neighbour
from failoverd.netlink.qdiscs import add_root
from failoverd.netlink.rules import RTM_DELRULE, RTM_NEWRULE, write_rule
from failoverd.netlink.settings import write_setting

RTM_SETLINK = 19
RTM_NEWLINKPROP, RTM_DELLINKPROP = 108, 109
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_LINKINFO = 1, 3, 4, 5, 18
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_AF_SPEC, IFLA_GROUP, IFLA_NET_NS_FD, IFLA_EXT_MASK, IFLA_NEW_IFINDEX, IFLA_ALT_IFNAME = 26, 27, 28, 29, 49, 53
RTEXT_FILTER_SKIP_STATS = 8
IN6_ADDR_GEN_MODE_EUI64 = 0

_WITHOUT_STATISTICS = attribute(IFLA_EXT_MASK, struct.pack("=I", RTEXT_FILTER_SKIP_STATS))

NEW = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL

Attrs = list[tuple[str, Any]]
Descriptors = Mapping[Place, int]
"""File descriptors of network namespaces."""

NO_DESCRIPTORS: Descriptors = MappingProxyType({})


def write_request(request: Request, seq: int, descriptors: Descriptors = NO_DESCRIPTORS) -> bytes:
    """Return the message for a request; the kernel acknowledges it under `seq`.

    `descriptors` has the network namespaces that the request names. They have to be open until the message is sent.
    Raises KeyError for one that is missing.
    """
    if (placed := PLACED_WRITERS.get(type(request))) is not None:
        return placed(request, seq, descriptors)
    return WRITERS[type(request)](request, seq)


def dump_links(seq: int) -> bytes:
    """Build the dump request for every device."""
    return build(RTM_GETLINK, NLM_F_DUMP, seq, INFO.pack(0, 0, 0, 0, 0))


def dump_links_plainly(seq: int) -> bytes:
    """Build the dump request for every device, without statistics: a message changes only when its device does."""
    return build(RTM_GETLINK, NLM_F_DUMP, seq, INFO.pack(0, 0, 0, 0, 0) + _WITHOUT_STATISTICS)


def get_link(ifindex: int, seq: int) -> bytes:
    """Build the request for one device; the answer is its RTM_NEWLINK and an acknowledgement."""
    return build(RTM_GETLINK, NLM_F_ACK, seq, INFO.pack(0, 0, ifindex, 0, 0))


def peek_link(ifindex: int, seq: int) -> bytes:
    """Build the request for one device without its statistics, so that the answer changes only when the device does."""
    return build(RTM_GETLINK, 0, seq, INFO.pack(0, 0, ifindex, 0, 0) + _WITHOUT_STATISTICS)


def _link(kind: int, flags: int, seq: int, ifindex: int, attrs: Attrs, up: bool | None = None) -> bytes:
    message = LinkMessage()
    message["index"] = ifindex
    message["flags"] = IFF_UP if up else 0
    message["change"] = 0 if up is None else IFF_UP
    message["attrs"] = attrs
    message.encode()
    return build(kind, flags | NLM_F_ACK, seq, bytes(message.data[HEADER.size :]))


def _create_link(request: CreateLink, seq: int, descriptors: Descriptors) -> bytes:
    return build(RTM_NEWLINK, NEW, seq, _new_device(request.device, descriptors) + _info(request.info, descriptors))


def _change_link(request: ChangeLink, seq: int) -> bytes:
    return build(RTM_NEWLINK, NLM_F_ACK, seq, INFO.pack(0, 0, request.ifindex, 0, 0) + _info(request.info))


def _info(info: Spec | BridgeRest, descriptors: Descriptors = NO_DESCRIPTORS) -> bytes:
    options = b"".join(
        attribute(place, _new_device(value, descriptors) if isinstance(value, NewDevice) else value)
        for place, value in info.write()
    )
    kind = attribute(IFLA_INFO_KIND, info.kind.encode() + b"\0")
    return attribute(IFLA_LINKINFO, kind + attribute(IFLA_INFO_DATA, options))


def _new_device(new: NewDevice, descriptors: Descriptors) -> bytes:
    """Build the part that is the same for every kind, and for the far end of a veth."""
    body = INFO.pack(0, 0, new.ifindex, 0, 0) + attribute(IFLA_IFNAME, raw_name(new.name))
    body += attribute(IFLA_ADDRESS, bytes.fromhex(new.mac.replace(":", ""))) if new.mac else b""
    body += attribute(IFLA_MTU, struct.pack("=I", new.mtu)) if new.mtu else b""
    body += attribute(IFLA_LINK, struct.pack("=I", new.lower)) if new.lower else b""
    return body + (_namespace(descriptors[new.place]) if new.place else b"")


def _namespace(descriptor: int) -> bytes:
    return attribute(IFLA_NET_NS_FD, struct.pack("=I", descriptor))


def _move(request: MoveLink, seq: int, descriptors: Descriptors) -> bytes:
    body = INFO.pack(0, 0, request.ifindex, 0, 0) + _namespace(descriptors[request.place])
    body += attribute(IFLA_IFNAME, raw_name(request.name)) if request.name else b""
    body += attribute(IFLA_NEW_IFINDEX, struct.pack("=i", request.new_ifindex)) if request.new_ifindex else b""
    return build(RTM_SETLINK, NLM_F_ACK, seq, body)


def _set_mac(request: SetMac, seq: int) -> bytes:
    mac = attribute(IFLA_ADDRESS, bytes.fromhex(request.mac.replace(":", "")))
    return build(RTM_SETLINK, NLM_F_ACK, seq, INFO.pack(0, 0, request.ifindex, 0, 0) + mac)


def write_group(altnames: Sequence[str], group: int, seqs: Sequence[int]) -> Iterator[bytes]:
    """Yield the messages that put the devices with these alternative names into a group (IFLA_GROUP), and last the one
    that deletes all that are in it. ENODEV where none is (net/core/rtnetlink.c, rtnl_group_dellink)."""
    number = attribute(IFLA_GROUP, struct.pack("=I", group))
    for altname, seq in zip(altnames, seqs, strict=False):
        mark = attribute(IFLA_ALT_IFNAME, raw_name(altname))
        yield build(RTM_SETLINK, NLM_F_ACK, seq, INFO.pack(0, 0, 0, 0, 0) + mark + number)
    yield build(RTM_DELLINK, NLM_F_ACK, seqs[-1], INFO.pack(0, 0, 0, 0, 0) + number)


def _delete_marked(request: DeleteMarked, seq: int) -> bytes:
    mark = attribute(IFLA_ALT_IFNAME, raw_name(request.altname))
    return build(RTM_DELLINK, NLM_F_ACK, seq, INFO.pack(0, 0, 0, 0, 0) + mark)


def _set_active(request: SetActive, seq: int) -> bytes:
    """Build SetActive by hand: traffic is lost until it is sent, and the codec takes twenty times as long."""
    return _bond_option(request.ifindex, attribute(ACTIVE_SLAVE, struct.pack("=I", request.slave)), seq)


def _hear_all(request: HearAll, seq: int) -> bytes:
    """Build HearAll, with the mark by which a restarted failoverd knows that it has to end this."""
    sign = struct.pack("=I", HEARING if request.on else SIGNATURE)
    return _bond_option(
        request.ifindex, attribute(ALL_SLAVES_ACTIVE, bytes([request.on])) + attribute(LP_INTERVAL, sign), seq
    )


def _bond_option(ifindex: int, options: bytes, seq: int) -> bytes:
    info = attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, b"bond\0") + attribute(IFLA_INFO_DATA, options))
    return build(RTM_NEWLINK, NLM_F_ACK, seq, INFO.pack(0, 0, ifindex, 0, 0) + info)


def _flag(ifindex: int, flag: int, on: bool, seq: int) -> bytes:
    return build(RTM_SETLINK, NLM_F_ACK, seq, INFO.pack(0, 0, ifindex, flag if on else 0, flag))


def _link_local(request: SetLinkLocal, seq: int) -> bytes:
    mode = bytes([IN6_ADDR_GEN_MODE_EUI64 if request.on else IN6_ADDR_GEN_MODE_NONE])
    families = attribute(IFLA_AF_SPEC, attribute(AF_INET6, attribute(IFLA_INET6_ADDR_GEN_MODE, mode)))
    return build(RTM_SETLINK, NLM_F_ACK, seq, INFO.pack(0, 0, request.ifindex, 0, 0) + families)


def _attribute(request: SetAttribute, seq: int) -> bytes:
    setting = write_setting(request.name, request.value)
    return build(RTM_SETLINK, NLM_F_ACK, seq, INFO.pack(0, 0, request.ifindex, 0, 0) + setting)


def _altname(kind: int, flags: int, request: AddAltname | DropAltname, seq: int) -> bytes:
    attrs: Attrs = [("PROP_LIST", {"attrs": [("ALT_IFNAME", raw_name(request.name))]})]
    return _link(kind, flags, seq, request.ifindex, attrs)


def _add_route(request: AddRoute, seq: int) -> bytes:
    """Build AddRoute, with append for IPv4 and exclusive creation for IPv6.

    IPv4 may hold several routes to one place that differ only in the next hop. IPv6 would take an appended one for a
    further path of the first (net/ipv6/ip6_fib.c, fib6_add_rt2node).
    """
    last = NLM_F_EXCL if request.route.family == AF_INET6 else NLM_F_APPEND
    return build(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | last, seq, write_route(request.route))


WRITERS: dict[type[Request], Callable[[Any, int], bytes]] = {
    SetActive: _set_active,
    HearAll: _hear_all,
    AddRoute: _add_route,
    DeleteLink: lambda r, seq: _link(RTM_DELLINK, 0, seq, r.ifindex, []),
    ChangeLink: _change_link,
    DeleteMarked: _delete_marked,
    SetMac: _set_mac,
    SetUp: lambda r, seq: _link(RTM_SETLINK, 0, seq, r.ifindex, [], up=r.up),
    SetMtu: lambda r, seq: _link(RTM_SETLINK, 0, seq, r.ifindex, [("MTU", r.mtu)]),
    Rename: lambda r, seq: _link(RTM_SETLINK, 0, seq, r.ifindex, [("IFNAME", raw_name(r.name))]),
    SetMaster: lambda r, seq: _link(RTM_SETLINK, 0, seq, r.ifindex, [("MASTER", r.master)]),
    TryMaster: lambda r, seq: _link(RTM_SETLINK, 0, seq, r.ifindex, [("MASTER", r.master)]),
    AddAltname: lambda r, seq: _altname(RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND, r, seq),
    DropAltname: lambda r, seq: _altname(RTM_DELLINKPROP, 0, r, seq),
    AddAddress: lambda r, seq: build(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, seq, write_address(r.address)),
    SetAllMulticast: lambda r, seq: _flag(r.ifindex, IFF_ALLMULTI, r.on, seq),
    SetPromiscuous: lambda r, seq: _flag(r.ifindex, IFF_PROMISC, r.on, seq),
    SetLinkLocal: _link_local,
    SetAttribute: _attribute,
    AddNeighbour: lambda r, seq: build(RTM_NEWNEIGH, NEW, seq, write_neighbour(r.neighbour)),
    AddLabel: lambda r, seq: build(RTM_NEWADDRLABEL, NEW, seq, write_label(r.label)),
    AddRule: lambda r, seq: build(RTM_NEWRULE, NEW, seq, write_rule(r.rule)),
    DropRule: lambda r, seq: build(RTM_DELRULE, NLM_F_ACK, seq, write_rule(r.rule)),
    AddClsact: lambda r, seq: tc.add_clsact(r.ifindex, seq),
    DropClsact: lambda r, seq: tc.drop_clsact(r.ifindex, seq),
    AddQdisc: lambda r, seq: add_root(r.ifindex, r.qdisc, seq),
    AddRedirect: lambda r, seq: tc.add_redirect(r.ifindex, r.hook, r.target, seq),
    DropRedirect: lambda r, seq: tc.drop_redirect(r.ifindex, r.hook, r.handle, seq),
    DropAddress: lambda r, seq: build(RTM_DELADDR, NLM_F_ACK, seq, write_address(without_label(r.address))),
    DropRoute: lambda r, seq: build(RTM_DELROUTE, NLM_F_ACK, seq, write_route(r.route)),
}
"""By the kind of request."""

PLACED_WRITERS: dict[type[Request], Callable[[Any, int, Descriptors], bytes]] = {
    CreateLink: _create_link,
    MoveLink: _move,
}
"""Those that may name another network namespace.

Together they have one row for each kind of request but SetSysctl, which is written to a file. A test holds that.
"""
