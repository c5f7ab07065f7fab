"""Messages of rtnetlink to bytes, and back: the few kinds that a VLAN in a pod needs.

Not by pyroute2: importing its codec takes several times as long as the whole of an ADD.
"""

from __future__ import annotations

import struct

from failoverd_cni.inet import AF_INET, AF_INET6

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from failoverd_cni.inet import Address

HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr (linux/netlink.h): length, type, flags, sequence number, port."""
LINK = struct.Struct("=BxHiII")
"""struct ifinfomsg (linux/rtnetlink.h): family, type, index, flags, change."""
ADDRESS = struct.Struct("=BBBBI")
"""struct ifaddrmsg (linux/if_addr.h): family, prefix length, flags, scope, index."""
ROUTE = struct.Struct("=BBBBBBBBI")
"""struct rtmsg (linux/rtnetlink.h): family, lengths, tos, table, protocol, scope, type, flags."""

REQUEST, ACK, DUMP, EXCL, CREATE = 0x1, 0x4, 0x300, 0x200, 0x400
ERROR, DONE = 2, 3
DUMP_INTERRUPTED, ACK_TLVS = 0x10, 0x200
NEWLINK, DELLINK, GETLINK, NEWADDR, DELADDR, GETADDR, NEWROUTE = 16, 17, 18, 20, 21, 22, 24
IFF_UP = 0x1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_LINKINFO, IFLA_LINK_NETNSID = 1, 3, 4, 5, 18, 37
INFO_KIND, INFO_DATA = 1, 2
VLAN_ID, VLAN_PROTOCOL = 1, 5
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS = 1, 2, 4, 8
NODAD, DADFAILED, TENTATIVE = 0x02, 0x08, 0x40
"""IFA_F_* (linux/if_addr.h)."""
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_METRICS, RTA_TABLE = 1, 4, 5, 6, 8, 15
RTAX_MTU, RTAX_ADVMSS = 2, 8
TABLE_MAIN, PROTOCOL_BOOT, SCOPE_UNIVERSE, SCOPE_LINK, UNICAST = 254, 3, 0, 253, 1
KIND = b"vlan"


class Link:
    """A device, as the kernel describes it."""

    __slots__ = ("elsewhere", "index", "kind", "lower", "mac", "mtu", "protocol", "up", "vid")

    def __init__(self, body: bytes) -> None:
        """Read the body of an RTM_NEWLINK. Raises struct.error if it is too short."""
        _, _, self.index, flags, _ = LINK.unpack_from(body)
        self.up = bool(flags & IFF_UP)
        found = dict(attributes(body, LINK.size))
        self.mac = found.get(IFLA_ADDRESS, b"")
        self.mtu = _number(found.get(IFLA_MTU, b""))
        """Bytes."""
        self.lower = _number(found.get(IFLA_LINK, b""))
        """The index of the device it stands on; 0 for none."""
        self.elsewhere = IFLA_LINK_NETNSID in found
        """The device it stands on is in another network namespace."""
        info = dict(attributes(found.get(IFLA_LINKINFO, b""), 0))
        self.kind = info.get(INFO_KIND, b"").rstrip(b"\0")
        data = dict(attributes(info.get(INFO_DATA, b""), 0)) if self.kind == KIND else {}
        self.vid = _number(data.get(VLAN_ID, b"\xff\xff"))
        """The VLAN's id; 65535 for no VLAN."""
        self.protocol = int.from_bytes(data.get(VLAN_PROTOCOL, b""))
        """The EtherType of its tag; 0 for no VLAN."""


def get_link(name: str) -> bytes:
    """Look a device up by its name. Not a dump: those are interrupted where pods come and go."""
    return message(GETLINK, ACK, LINK.pack(0, 0, 0, 0, 0) + _name(name))


def new_vlan(name: str, parent: int, vid: int, protocol: int, mtu: int, mac: bytes) -> bytes:
    """Make a VLAN, under its final name at once. `mtu` is in bytes."""
    data = attribute(VLAN_ID, _u16(vid)) + attribute(VLAN_PROTOCOL, protocol.to_bytes(2))
    info = attribute(INFO_KIND, KIND) + attribute(INFO_DATA, data)
    body = LINK.pack(0, 0, 0, 0, 0) + _name(name) + attribute(IFLA_LINK, _u32(parent)) + attribute(IFLA_MTU, _u32(mtu))
    body += attribute(IFLA_ADDRESS, mac) if mac else b""
    return message(NEWLINK, ACK | CREATE | EXCL, body + attribute(IFLA_LINKINFO, info))


def delete_link(index: int, name: str = "") -> bytes:
    """Delete a device, by its name if the index is 0."""
    return message(DELLINK, ACK, LINK.pack(0, 0, index, 0, 0) + (b"" if index else _name(name)))


def set_up(index: int) -> bytes:
    """Set a device up."""
    return message(NEWLINK, ACK, LINK.pack(0, 0, index, IFF_UP, IFF_UP))


def new_address(index: int, address: Address, flags: int) -> bytes:
    """Give a device an address."""
    body = ADDRESS.pack(address.family, address.bits, 0, 0, index)
    body += attribute(IFA_LOCAL, address.raw) + attribute(IFA_ADDRESS, address.raw) + attribute(IFA_FLAGS, _u32(flags))
    broadcast = address.broadcast()
    return message(NEWADDR, ACK | CREATE | EXCL, body + (attribute(IFA_BROADCAST, broadcast) if broadcast else b""))


def delete_address(index: int, family: int, raw: bytes, bits: int) -> bytes:
    """Take an address from a device."""
    return message(DELADDR, ACK, ADDRESS.pack(family, bits, 0, 0, index) + attribute(IFA_LOCAL, raw))


def get_addresses(index: int) -> bytes:
    """Look up the addresses of one device; with NETLINK_GET_STRICT_CHK the kernel passes over the others."""
    return message(GETADDR, DUMP, ADDRESS.pack(0, 0, 0, 0, index))


def get_address(index: int, address: Address) -> bytes:
    """Look up one IPv6 address."""
    return message(GETADDR, ACK, ADDRESS.pack(AF_INET6, 0, 0, 0, index) + attribute(IFA_ADDRESS, address.raw))


def read_address(body: bytes) -> tuple[int, tuple[int, bytes, int], int]:
    """Return the device's index, (family, address, prefix length) and the flags of an RTM_NEWADDR."""
    family, bits, flags, _, index = ADDRESS.unpack_from(body)
    found = dict(attributes(body, ADDRESS.size))
    # IFA_ADDRESS is the other end's on a point-to-point device; IPv6 has no IFA_LOCAL there without a peer.
    raw = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS, b"")
    return index, (family, raw, bits), _number(found[IFA_FLAGS]) if IFA_FLAGS in found else flags


def new_route(index: int, dst: Address, gateway: Address | None, numbers: dict[str, int]) -> bytes:
    """Add a route through a device. `numbers` may have priority, table, scope, mtu and advmss."""
    scope = numbers.get("scope", SCOPE_UNIVERSE if gateway or dst.family != AF_INET else SCOPE_LINK)
    body = ROUTE.pack(dst.family, dst.bits, 0, 0, 0, PROTOCOL_BOOT, scope, UNICAST, 0)
    body += attribute(RTA_TABLE, _u32(numbers.get("table", TABLE_MAIN))) + attribute(RTA_OIF, _u32(index))
    body += attribute(RTA_DST, dst.network()) if dst.bits else b""
    body += attribute(RTA_GATEWAY, gateway.raw) if gateway else b""
    body += attribute(RTA_PRIORITY, _u32(numbers["priority"])) if "priority" in numbers else b""
    kinds = (("mtu", RTAX_MTU), ("advmss", RTAX_ADVMSS))
    metrics = b"".join(attribute(kind, _u32(numbers[key])) for key, kind in kinds if key in numbers)
    return message(NEWROUTE, ACK | CREATE | EXCL, body + (attribute(RTA_METRICS, metrics) if metrics else b""))


def message(kind: int, flags: int, body: bytes) -> bytes:
    """Return a request; its sequence number is put in by `numbered`."""
    return HEADER.pack(HEADER.size + len(body), kind, REQUEST | flags, 0, 0) + body


def numbered(request: bytes, number: int) -> bytes:
    """Return a request with its sequence number."""
    return request[:8] + _u32(number) + request[12:]


def messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Return type, flags, sequence number and body of each message of a datagram."""
    at = 0
    while at + HEADER.size <= len(data):
        length, kind, flags, number, _ = HEADER.unpack_from(data, at)
        if length < HEADER.size:
            return
        yield kind, flags, number, data[at + HEADER.size : at + length]
        at += length + -length % 4


def refusal(body: bytes, flags: int) -> tuple[int, str]:
    """Return the errno of an NLMSG_ERROR, 0 for an acknowledgement, and the kernel's own words if it has any.

    With NETLINK_CAP_ACK the request's header follows the number, and then attributes.
    """
    words = dict(attributes(body, 4 + HEADER.size)).get(1, b"") if flags & ACK_TLVS else b""
    return -int(struct.unpack_from("=i", body)[0]), words.rstrip(b"\0").decode(errors="replace")


def attributes(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Return the attributes from `at` on, without the flag for nested ones."""
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += length + -length % 4


def attribute(kind: int, data: bytes) -> bytes:
    """Return an attribute."""
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _name(name: str) -> bytes:
    return attribute(IFLA_IFNAME, name.encode(errors="surrogateescape") + b"\0")


def _u16(value: int) -> bytes:
    return struct.pack("=H", value)


def _u32(value: int) -> bytes:
    return struct.pack("=I", value)


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "little" if struct.pack("=H", 1)[0] else "big")
