"""Read RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE and RTM_NEWNEXTHOP for the inventory, by hand.

Apart from the engine's own reader (links.py): the inventory needs other attributes, and of every link, and decoding
those must not slow the engine's path.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping

from failoverd.inventory.facts import (
    OPERSTATES,
    BondOptions,
    BridgeOptions,
    DefaultRoute,
    Interface,
    IpAddress,
    Options,
    VlanOptions,
)
from failoverd.inventory.gateways import Nexthop
from failoverd.model.links import PEERS
from failoverd.netlink.frames import (
    HEADER,
    NLM_F_DUMP,
    Message,
    NetlinkError,
    align,
    attribute,
    attributes,
    build,
    pick,
)
from failoverd.netlink.inet import IFADDR, NEXTHOP, RTM_F_CLONED, RTM_GETADDR, RTM_GETROUTE, RTMSG
from failoverd.netlink.links import IFF_LOWER_UP, IFF_UP, INFO, RTM_GETLINK, head, text

RTM_NEWNEXTHOP, RTM_DELNEXTHOP, RTM_GETNEXTHOP = 104, 105, 106
IFF_RUNNING = 0x40

ADDRESS, IFNAME, MTU, LINK, MASTER, OPERSTATE, LINKINFO, LINK_NETNSID = 1, 3, 4, 5, 10, 16, 18, 37
PROP_LIST, PERM_ADDRESS, ALT_IFNAME = 52, 54, 53
WANTED = frozenset((ADDRESS, IFNAME, MTU, LINK, MASTER, OPERSTATE, LINKINFO, LINK_NETNSID, PROP_LIST, PERM_ADDRESS))
KIND, DATA = 1, 2

IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS, IFA_PROTO = 1, 2, 8, 11
IFA_F_MANAGETEMPADDR, IFAPROT_KERNEL_RA = 0x100, 2

RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_MULTIPATH, RTA_TABLE, RTA_VIA, RTA_NH_ID = (
    4,
    5,
    6,
    7,
    9,
    15,
    18,
    30,
)
RT_TABLE_MAIN, RTN_UNICAST, RTPROT_KERNEL, RTNH_F_DEAD = 254, 1, 2, 1
NHA_ID, NHA_GROUP, NHA_OIF, NHA_GATEWAY = 1, 2, 5, 6
NHMSG, MEMBER = struct.Struct("=BBBxI"), struct.Struct("=IBBH")

FAMILIES: Mapping[int, int] = {socket.AF_INET: 4, socket.AF_INET6: 6}
LENGTHS = {4: socket.AF_INET, 16: socket.AF_INET6}

BOND_MODES = ("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb")
ARP_VALIDATE = ("none", "active", "backup", "all")
NUMBERS = {1: struct.Struct("=B"), 2: struct.Struct("=H"), 4: struct.Struct("=I")}


def read_interface(message: Message) -> Interface:
    """Return one interface. Raises NetlinkError for a message that is not one of an interface."""
    _, ifindex, flags = head(message)
    found = pick(message.raw[HEADER.size + INFO.size :], WANTED)
    info = dict(attributes(found.get(LINKINFO, b"")))
    kind = info.get(KIND, b"").rstrip(b"\0").decode("ascii", "replace")
    state = _number(found, OPERSTATE)
    is_elsewhere = LINK_NETNSID in found or kind in PEERS
    names = attributes(found.get(PROP_LIST, b""))
    return Interface(
        ifindex=ifindex,
        name=text(found.get(IFNAME, b"")),
        kind=kind,
        mac=found.get(ADDRESS, b"").hex(":"),
        permanent_mac=found.get(PERM_ADDRESS, b"").hex(":"),
        up=bool(flags & IFF_UP),
        running=bool(flags & IFF_RUNNING),
        carrier=bool(flags & IFF_LOWER_UP),
        operstate=OPERSTATES[state] if state < len(OPERSTATES) else OPERSTATES[0],
        mtu=_number(found, MTU),
        master=_number(found, MASTER),
        lower=0 if is_elsewhere else _number(found, LINK),
        altnames=tuple(sorted(text(name) for place, name in names if place == ALT_IFNAME)),
        options=_options(kind, info.get(DATA, b"")),
    )


def _options(kind: str, data: bytes) -> Options | None:
    if kind not in ("bond", "bridge", "vlan"):
        return None
    found = dict(attributes(data))
    if kind == "vlan":
        return VlanOptions(_number(found, 1))
    if kind == "bridge":
        return BridgeOptions(bool(_number(found, 5)), _number(found, 1))
    mode, validate = _number(found, 1), _number(found, 9)
    targets = [target for _, target in attributes(found.get(8, b"")) if len(target) == 4 and any(target)]
    return BondOptions(
        mode=BOND_MODES[mode] if mode < len(BOND_MODES) else "",
        primary=_number(found, 11),
        miimon=_number(found, 3),
        updelay=_number(found, 4),
        downdelay=_number(found, 5),
        netif_carrier=6 not in found or bool(_number(found, 6)),
        arp_interval=_number(found, 7),
        arp_validate=ARP_VALIDATE[validate] if validate < len(ARP_VALIDATE) else "",
        arp_target=_ip(targets[0]) if targets else "",
    )


def read_ip(message: Message) -> tuple[int, IpAddress | None]:
    """Return the ifindex and the address, None where it is neither IPv4 nor IPv6. Raises NetlinkError."""
    if len(message.payload) < IFADDR.size:
        raise NetlinkError(f"an address message of {len(message.payload)} bytes")
    family, prefix, flags, _, ifindex = IFADDR.unpack_from(message.payload)
    found = dict(attributes(message.payload, IFADDR.size))
    local = found.get(IFA_LOCAL, found.get(IFA_ADDRESS, b""))
    if family not in FAMILIES or LENGTHS.get(len(local)) != family:
        return ifindex, None
    flags = _number(found, IFA_FLAGS) if IFA_FLAGS in found else flags
    from_router = bool(flags & IFA_F_MANAGETEMPADDR) or _number(found, IFA_PROTO) == IFAPROT_KERNEL_RA
    return ifindex, IpAddress(FAMILIES[family], _ip(local), prefix, from_router and FAMILIES[family] == 6)


def read_default(message: Message) -> tuple[DefaultRoute, ...]:
    """Return the paths of a default route of table main, none for any other route. Raises NetlinkError.

    A dead path (RTNH_F_DEAD) is left out. A path that is in a nexthop object and not in the route's own message
    (net.ipv4.nexthop_compat_mode) has no ifindex.
    """
    payload = message.raw[HEADER.size :]
    if len(payload) < RTMSG.size:
        raise NetlinkError(f"a route message of {len(payload)} bytes")
    family, dst_len, src_len, tos, table, protocol, _, kind, flags = RTMSG.unpack_from(payload)
    if (
        dst_len
        or src_len
        or tos
        or kind != RTN_UNICAST
        or family not in FAMILIES
        or flags & (RTM_F_CLONED | RTNH_F_DEAD)
    ):
        return ()
    found = dict(attributes(payload, RTMSG.size))
    if (_number(found, RTA_TABLE) or table) != RT_TABLE_MAIN:
        return ()
    rest = {
        "metric": _number(found, RTA_PRIORITY),
        "protocol": protocol,
        "nexthop": _number(found, RTA_NH_ID),
    }
    source = _ip(found.get(RTA_PREFSRC, b""))
    ways = [(_number(found, RTA_OIF), found)] if RTA_MULTIPATH not in found else _hops(found[RTA_MULTIPATH])
    return tuple(
        DefaultRoute(family=FAMILIES[family], ifindex=ifindex, gateway=_gateway(about), source=source, **rest)
        for ifindex, about in ways
    )


def read_prefix(message: Message) -> int:
    """Return the ifindex of the interface with whose address this IPv6 prefix came or went; 0 for any other route."""
    payload = message.raw[HEADER.size :]
    if len(payload) < RTMSG.size:
        raise NetlinkError(f"a route message of {len(payload)} bytes")
    family, dst_len, _, _, _, protocol, _, _, _ = RTMSG.unpack_from(payload)
    if family != socket.AF_INET6 or not dst_len or protocol != RTPROT_KERNEL:
        return 0
    return _number(dict(attributes(payload, RTMSG.size)), RTA_OIF)


def _hops(data: bytes) -> Iterator[tuple[int, dict[int, bytes]]]:
    offset = 0
    while offset + NEXTHOP.size <= len(data):
        length, flags, _, ifindex = NEXTHOP.unpack_from(data, offset)
        if length < NEXTHOP.size or offset + length > len(data):
            raise NetlinkError(f"a next hop says it has {length} bytes and {len(data) - offset} are left")
        if not flags & RTNH_F_DEAD:
            yield ifindex, dict(attributes(data[offset : offset + length], NEXTHOP.size))
        offset += align(length)


def _gateway(found: Mapping[int, bytes]) -> str:
    """Return RTA_GATEWAY, or the address in RTA_VIA, which stands behind its family."""
    return _ip(found.get(RTA_GATEWAY, found.get(RTA_VIA, b"")[2:]))


def read_nexthop(message: Message) -> Nexthop:
    """Return a nexthop object. Raises NetlinkError."""
    if len(message.payload) < NHMSG.size:
        raise NetlinkError(f"a nexthop message of {len(message.payload)} bytes")
    found = dict(attributes(message.payload, NHMSG.size))
    group = found.get(NHA_GROUP, b"")
    members = tuple(int(MEMBER.unpack_from(group, at)[0]) for at in range(0, len(group) - MEMBER.size + 1, MEMBER.size))
    return Nexthop(_number(found, NHA_ID), _number(found, NHA_OIF), _ip(found.get(NHA_GATEWAY, b"")), members)


def ask_links(seq: int) -> bytes:
    """Build the dump request for every link."""
    return build(RTM_GETLINK, NLM_F_DUMP, seq, INFO.pack(0, 0, 0, 0, 0))


def ask_addresses(seq: int, family: int, ifindex: int = 0) -> bytes:
    """Build the dump request for the addresses of a family, on one interface or all."""
    return build(RTM_GETADDR, NLM_F_DUMP, seq, IFADDR.pack(family, 0, 0, 0, ifindex))


def ask_routes(seq: int, family: int, ifindex: int = 0) -> bytes:
    """Build the dump request for the unicast routes of a family in table main, through one interface or all."""
    head = RTMSG.pack(family, 0, 0, 0, RT_TABLE_MAIN, 0, 0, RTN_UNICAST, 0)
    through = attribute(RTA_OIF, struct.pack("=i", ifindex)) if ifindex else b""
    return build(RTM_GETROUTE, NLM_F_DUMP, seq, head + through)


def ask_nexthops(seq: int) -> bytes:
    """Build the dump request for every nexthop object."""
    return build(RTM_GETNEXTHOP, NLM_F_DUMP, seq, NHMSG.pack(0, 0, 0, 0))


def _number(found: Mapping[int, bytes], place: int) -> int:
    """Return an attribute's number, 0 for none. Raises NetlinkError for one of an odd length."""
    data = found.get(place)
    if data is None:
        return 0
    shape = NUMBERS.get(len(data))
    if shape is None:
        raise NetlinkError(f"attribute {place} of {len(data)} bytes is no number")
    return int(shape.unpack(data)[0])


def _ip(data: bytes) -> str:
    return socket.inet_ntop(LENGTHS[len(data)], data) if len(data) in LENGTHS else ""
