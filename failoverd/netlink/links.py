"""Convert RTM_NEWLINK and RTM_DELLINK to the model."""

from __future__ import annotations

import struct
from typing import Any

from failoverd.kinds import KINDS, Data, Info
from failoverd.model.links import Link
from failoverd.netlink.frames import HEADER, Message, NetlinkError, attributes, keep, pick
from failoverd.netlink.messages import LinkMessage

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
AF_UNSPEC = 0
IFF_UP = 0x1
IFF_LOWER_UP = 0x10000
IFF_PROMISC = 0x100
IFF_ALLMULTI = 0x200
IF_OPER_UP = 6
AF_INET6 = 10
IFLA_INET6_ADDR_GEN_MODE = 8
IN6_ADDR_GEN_MODE_NONE = 1
IFLA_XDP_ATTACHED = 2
MII_LINK_UP = 0
"""BOND_LINK_UP (net/bonding.h): the bond's own value for BMSR_LSTATUS."""

UNDERLAY = {"vxlan": 3, "amt": 4}
"""IFLA_VXLAN_LINK, IFLA_AMT_LINK."""

INFO = struct.Struct("=BxHiII")
WANTED = frozenset(row[0] for row in LinkMessage.nla_map)


def head(message: Message) -> tuple[int, int, int]:
    """Return the address family, ifindex and flags. A bridge's ports send AF_BRIDGE messages in the same group."""
    if len(message.payload) < INFO.size:
        raise NetlinkError(f"a link message of {len(message.raw)} bytes")
    family, _, ifindex, flags, _ = INFO.unpack_from(message.payload)
    return family, ifindex, flags


def read_link(message: Message) -> Link:
    """Return one device. The driver and the virtio features are not in the message; `devices` adds them.

    Raises NetlinkError for a message that is not one of a device.
    """
    decoded = _decoded(message)
    attrs = _table(decoded)
    info = _table(attrs.get("LINKINFO"))
    slave = _table(info.get("SLAVE_DATA")) if info.get("SLAVE_KIND") == "bond" else {}
    kind = _word(info, "KIND")
    flags = decoded["flags"]
    return Link(
        ifindex=decoded["index"],
        name=text(attrs.get("IFNAME", b"")),
        mac=mac(attrs.get("ADDRESS", b"")),
        perm_mac=mac(attrs.get("PERM_ADDRESS", b"")),
        up=bool(flags & IFF_UP),
        carrier=bool(flags & IFF_LOWER_UP),
        operational="OPERSTATE" not in attrs or _number(attrs, "OPERSTATE") == IF_OPER_UP,
        medium="CARRIER" not in attrs or bool(_number(attrs, "CARRIER")),
        mtu=_number(attrs, "MTU"),
        max_mtu=_number(attrs, "MAX_MTU"),
        master=_number(attrs, "MASTER"),
        # An ifindex of another network namespace says nothing here.
        link=0 if "LINK_NETNSID" in attrs else _underlay(attrs, info),
        kind=kind,
        slave_kind=_word(info, "SLAVE_KIND"),
        bus=_word(attrs, "PARENT_DEV_BUS_NAME"),
        parent=_word(attrs, "PARENT_DEV_NAME"),
        hardware=decoded["ifi_type"],
        mii_up=_number(slave, "MII_STATUS") == MII_LINK_UP,
        info=_info(kind, attrs, info),
        altnames=_altnames(attrs.get("PROP_LIST")),
        carrier_losses=_number(attrs, "CARRIER_DOWN_COUNT"),
        all_multicast=bool(flags & IFF_ALLMULTI),
        promiscuous=bool(flags & IFF_PROMISC),
        promiscuity=_number(attrs, "PROMISCUITY"),
        link_local=_makes_link_local(attrs.get("AF_SPEC", b"")),
        xdp=any(dict(attributes(attrs.get("XDP", b""))).get(IFLA_XDP_ATTACHED, b"")),
    )


def read_underlay(message: Message) -> tuple[str, int, int]:
    """Return a device's kind, the ifindex of the device below it, and the nsid of that one's namespace, -1 for its own.

    Raises NetlinkError as read_link does.
    """
    attrs = _table(_decoded(message))
    info = _table(attrs.get("LINKINFO"))
    nsid = _number(attrs, "LINK_NETNSID") if "LINK_NETNSID" in attrs else -1
    return _word(info, "KIND"), _underlay(attrs, info), nsid


def _underlay(attrs: dict[str, Any], info: dict[str, Any]) -> int:
    """Return the ifindex of the device below: IFLA_LINK, or for some kinds one of their own options."""
    if place := UNDERLAY.get(_word(info, "KIND")):
        data = info.get("DATA", b"")
        raw = dict(attributes(data)).get(place, b"") if isinstance(data, bytes) else b""
        return int(struct.unpack("=I", raw)[0]) if len(raw) == 4 else 0
    return _number(attrs, "LINK")


def _makes_link_local(families: bytes) -> bool:
    """Read the address generation mode out of IFLA_AF_SPEC, by hand: one of hundreds of bytes matters. Without IPv6
    there is no link-local address."""
    inet6 = dict(attributes(families)).get(AF_INET6)
    mode = dict(attributes(inet6)).get(IFLA_INET6_ADDR_GEN_MODE, b"") if inet6 is not None else b"\1"
    return mode != bytes([IN6_ADDR_GEN_MODE_NONE])


def _decoded(message: Message) -> Any:
    """Decode a message. pyroute2 has no single error class for malformed bytes: struct's, its own and Python's all come
    out."""
    decoded = LinkMessage(keep(message.raw, HEADER.size + INFO.size, WANTED))
    try:
        decoded.decode()
    except Exception as error:
        raise NetlinkError(f"a link message of {len(message.raw)} bytes: {error!r}") from error
    return decoded


def text(raw: bytes) -> str:
    """Return a device name as text; bytes that are not UTF-8 survive the round trip."""
    return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def raw_name(name: str) -> bytes:
    """Return the bytes of a device name, with the NUL that the kernel expects."""
    return name.encode("utf-8", "surrogateescape") + b"\0"


def _table(decoded: Any) -> dict[str, Any]:
    """Return the attributes of a decoded message by name; pyroute2 gives tuples of two, or of three for nested ones."""
    if not isinstance(decoded, dict):
        return {}
    return {row[0]: row[1] for row in decoded.get("attrs", ())}


def _number(table: dict[str, Any], name: str) -> int:
    """Return an attribute's number, 0 for none. pyroute2 gives bytes for one that is too short."""
    value = table.get(name, 0)
    if not isinstance(value, int):
        raise NetlinkError(f"IFLA {name} is {value!r} and no number")
    return value


def _word(table: dict[str, Any], name: str) -> str:
    """Return an attribute's text, "" for none. pyroute2 gives bytes for one that is cut."""
    value = table.get(name, "")
    if not isinstance(value, str):
        raise NetlinkError(f"IFLA {name} is {value!r} and no text")
    return value


def _info(kind: str, attrs: dict[str, Any], info: dict[str, Any]) -> Info | None:
    """Return the options of a kind that has a file in kinds/, None for any other."""
    if (known := KINDS.get(kind)) is None:
        return None
    options = pick(info.get("DATA", b""), known.wanted)
    nsid = _number(attrs, "LINK_NETNSID") if "LINK_NETNSID" in attrs else None
    try:
        return known.read(Data(options, _number(attrs, "LINK"), nsid))
    except struct.error as error:
        raise NetlinkError(f"the options of a {kind}: {error}") from error


def _altnames(decoded: Any) -> frozenset[str]:
    if not isinstance(decoded, dict):
        return frozenset()
    return frozenset(text(row[1]) for row in decoded.get("attrs", ()) if row[0] == "ALT_IFNAME")


def mac(raw: bytes) -> str:
    """Return a hardware address as text."""
    return ":".join(f"{byte:02x}" for byte in raw)
