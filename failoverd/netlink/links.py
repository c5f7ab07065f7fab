"""RTM_NEWLINK and RTM_DELLINK to the model."""

from __future__ import annotations

import struct
from typing import Any

from failoverd.model.links import Bond, Link
from failoverd.netlink.frames import HEADER, Message, NetlinkError, attributes, keep
from failoverd.netlink.messages import LinkMessage

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
AF_UNSPEC = 0
IFF_UP = 0x1
IFF_LOWER_UP = 0x10000
IFF_PROMISC = 0x100
IFF_ALLMULTI = 0x200
AF_INET6 = 10
IFLA_INET6_ADDR_GEN_MODE = 8
IN6_ADDR_GEN_MODE_NONE = 1
IFLA_XDP_ATTACHED = 2
MII_LINK_UP = 0
"""BMSR_LSTATUS turned into the bond's own words: BOND_LINK_UP (net/bonding.h)."""

INFO = struct.Struct("=BxHiII")
WANTED = frozenset(row[0] for row in LinkMessage.nla_map)


def head(message: Message) -> tuple[int, int, int]:
    """The address family, the ifindex and the flags. A bridge's ports send AF_BRIDGE messages in the same group."""
    if len(message.payload) < INFO.size:
        raise NetlinkError(f"a link message of {len(message.raw)} bytes")
    family, _, ifindex, flags, _ = INFO.unpack_from(message.payload)
    return family, ifindex, flags


def read_link(message: Message) -> Link:
    """One device. The driver and the virtio features are not in the message; `devices` adds them.

    Raises NetlinkError for a message that cannot be one of a device.
    """
    decoded = _decoded(message)
    attrs = _table(decoded)
    info = _table(attrs.get("LINKINFO"))
    slave = _table(info.get("SLAVE_DATA")) if info.get("SLAVE_KIND") == "bond" else {}
    kind = str(info.get("KIND", ""))
    flags = decoded["flags"]
    return Link(
        ifindex=decoded["index"],
        name=text(attrs.get("IFNAME", b"")),
        mac=_mac(attrs.get("ADDRESS", b"")),
        perm_mac=_mac(attrs.get("PERM_ADDRESS", b"")),
        up=bool(flags & IFF_UP),
        carrier=bool(flags & IFF_LOWER_UP),
        mtu=_number(attrs, "MTU"),
        max_mtu=_number(attrs, "MAX_MTU"),
        master=_number(attrs, "MASTER"),
        # An ifindex of another network namespace says nothing here.
        link=0 if "LINK_NETNSID" in attrs else _number(attrs, "LINK"),
        kind=kind,
        slave_kind=str(info.get("SLAVE_KIND", "")),
        bus=str(attrs.get("PARENT_DEV_BUS_NAME", "")),
        parent=str(attrs.get("PARENT_DEV_NAME", "")),
        hardware=decoded["ifi_type"],
        mii_up=_number(slave, "MII_STATUS") == MII_LINK_UP,
        bond=_bond(_table(info.get("DATA"))) if kind == "bond" else None,
        altnames=_altnames(attrs.get("PROP_LIST")),
        carrier_losses=_number(attrs, "CARRIER_DOWN_COUNT"),
        all_multicast=bool(flags & IFF_ALLMULTI),
        promiscuous=bool(flags & IFF_PROMISC),
        promiscuity=_number(attrs, "PROMISCUITY"),
        link_local=_makes_link_local(attrs.get("AF_SPEC", b"")),
        xdp=any(dict(attributes(attrs.get("XDP", b""))).get(IFLA_XDP_ATTACHED, b"")),
    )


def _makes_link_local(families: bytes) -> bool:
    """IFLA_AF_SPEC, by hand: of its hundreds of bytes one is of interest. Without IPv6 there is no such address."""
    inet6 = dict(attributes(families)).get(AF_INET6)
    mode = dict(attributes(inet6)).get(IFLA_INET6_ADDR_GEN_MODE, b"") if inet6 is not None else b"\1"
    return mode != bytes([IN6_ADDR_GEN_MODE_NONE])


def _decoded(message: Message) -> Any:
    """pyroute2 has no one class for what can go wrong with bytes: struct's, its own and Python's all come out."""
    decoded = LinkMessage(keep(message.raw, HEADER.size + INFO.size, WANTED))
    try:
        decoded.decode()
    except Exception as error:
        raise NetlinkError(f"a link message of {len(message.raw)} bytes: {error!r}") from error
    return decoded


def text(raw: bytes) -> str:
    """A device name as the kernel has it; bytes that are no UTF-8 survive the way there and back."""
    return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def raw_name(name: str) -> bytes:
    """The bytes of a device name, with the NUL the kernel wants."""
    return name.encode("utf-8", "surrogateescape") + b"\0"


def _table(decoded: Any) -> dict[str, Any]:
    """The attributes of a decoded message by name; pyroute2 gives tuples of two, or of three for nested ones."""
    if not isinstance(decoded, dict):
        return {}
    return {row[0]: row[1] for row in decoded.get("attrs", ())}


def _number(table: dict[str, Any], name: str) -> int:
    """An attribute's number, 0 for none. Of one too short for its number pyroute2 makes bytes."""
    value = table.get(name, 0)
    if not isinstance(value, int):
        raise NetlinkError(f"IFLA {name} is {value!r} and no number")
    return value


def _bond(data: dict[str, Any]) -> Bond:
    return Bond(
        mode=_number(data, "MODE"),
        active=_number(data, "ACTIVE_SLAVE"),
        miimon=_number(data, "MIIMON"),
        fail_over_mac=_number(data, "FAIL_OVER_MAC"),
        primary=_number(data, "PRIMARY"),
        hears_both=bool(_number(data, "ALL_SLAVES_ACTIVE")),
    )


def _altnames(decoded: Any) -> frozenset[str]:
    if not isinstance(decoded, dict):
        return frozenset()
    return frozenset(text(row[1]) for row in decoded.get("attrs", ()) if row[0] == "ALT_IFNAME")


def _mac(raw: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in raw)
