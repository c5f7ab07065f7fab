"""RTM_NEWLINK as the kernel fills it (rtnl_fill_ifinfo in net/core/rtnetlink.c), attribute order included."""

from __future__ import annotations

import struct

from failoverd_lab.simkernel import linkspec, wire
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.state import Bond, BondPort, BridgeOptions, Device

IFINFO = struct.Struct("=BxHiII")
BR_STATE_DISABLED, BR_STATE_FORWARDING = 0, 3
BOND_CONSTANTS = (
    wire.u32(18, 0),
    wire.u32(20, 1),
    wire.u8(29, 1),
    wire.u8(21, 0),
    wire.u8(22, 0),
    wire.u8(27, 1),
    wire.u8(30, 2),
)
"""MIN_LINKS, PACKETS_PER_SLAVE, LACP_ACTIVE, LACP_RATE, AD_SELECT, TLB_DYNAMIC_LB, MISSED_MAX."""


def body(device: Device, change: int = 0, moved: tuple[int, int] | None = None) -> bytes:
    """Return the payload of RTM_NEWLINK and RTM_DELLINK. `moved` has its next nsid and ifindex."""
    broadcast = b"\xff" * 6 if device.type == n.ARPHRD_ETHER else bytes(6)
    parts = [
        wire.string(n.IFLA_IFNAME, device.name),
        wire.u32(n.IFLA_TXQLEN, device.queue_length),
        wire.u8(n.IFLA_OPERSTATE, device.operstate if device.up else n.IF_OPER_DOWN),
        wire.u8(n.IFLA_LINKMODE, 0),
        wire.u32(n.IFLA_MTU, device.mtu),
        wire.u32(n.IFLA_MIN_MTU, device.min_mtu),
        wire.u32(n.IFLA_MAX_MTU, device.max_mtu),
        wire.u32(n.IFLA_GROUP, device.group),
        wire.u32(n.IFLA_PROMISCUITY, int(bool(device.flags & n.IFF_PROMISC))),
        wire.u32(n.IFLA_ALLMULTI, int(bool(device.flags & n.IFF_ALLMULTI))),
        wire.u32(n.IFLA_MASTER, device.master.index) if device.master else b"",
        wire.u8(n.IFLA_CARRIER, int(device.carrier)),
        wire.string(n.IFLA_QDISC, device.root.kind),
        wire.u32(n.IFLA_CARRIER_CHANGES, device.ups + device.downs),
        wire.u32(n.IFLA_CARRIER_UP_COUNT, device.ups),
        wire.u32(n.IFLA_CARRIER_DOWN_COUNT, device.downs),
        wire.attr(n.IFLA_ADDRESS, device.mac),
        wire.attr(n.IFLA_BROADCAST, broadcast),
        _info(device),
        _link(device),
        wire.join(map(wire.i32, (n.IFLA_NEW_NETNSID, n.IFLA_NEW_IFINDEX), moved)) if moved else b"",
        wire.string(n.IFLA_IFALIAS, device.alias) if device.alias else b"",
        _xdp(device),
        linkspec.body(device),
        _names(device),
        *_hardware(device),
    ]
    return IFINFO.pack(n.AF_UNSPEC, device.type, device.index, device.reported_flags(), change) + wire.join(parts)


def bridge_body(device: Device) -> bytes:
    """Return the payload that a bridge sends about its port: family AF_BRIDGE, IFLA_PROTINFO (br_fill_ifinfo)."""
    state = BR_STATE_FORWARDING if device.forwarding and device.running else BR_STATE_DISABLED
    parts = [
        wire.string(n.IFLA_IFNAME, device.name),
        wire.u32(n.IFLA_MASTER, device.master.index if device.master else 0),
        wire.u32(n.IFLA_MTU, device.mtu),
        wire.u8(n.IFLA_OPERSTATE, device.operstate if device.up else n.IF_OPER_DOWN),
        wire.attr(n.IFLA_ADDRESS, device.mac),
        wire.nest(n.IFLA_PROTINFO | wire.NLA_F_NESTED, wire.u8(n.IFLA_BRPORT_STATE, state)),
    ]
    return IFINFO.pack(n.AF_BRIDGE, device.type, device.index, device.reported_flags(), 0) + wire.join(parts)


def _hardware(device: Device) -> list[bytes]:
    """Return the attributes of a device on a bus; a veth or a bridge has neither permanent address nor parent."""
    if not device.bus:
        return []
    return [
        wire.attr(n.IFLA_PERM_ADDRESS, device.perm),
        wire.string(n.IFLA_PARENT_DEV_NAME, device.parent),
        wire.string(n.IFLA_PARENT_DEV_BUS_NAME, device.bus),
    ]


def _xdp(device: Device) -> bytes:
    """rtnl_xdp_fill(). A driver's program and the kernel's own each have a further attribute."""
    program = b""
    if device.xdp:
        own = n.IFLA_XDP_PROG_ID + (2 if device.xdp == n.XDP_ATTACHED_SKB else 1)
        program = wire.u32(own, device.xdp_program) + wire.u32(n.IFLA_XDP_PROG_ID, device.xdp_program)
    return wire.nest(n.IFLA_XDP | wire.NLA_F_NESTED, wire.u8(n.IFLA_XDP_ATTACHED, device.xdp), program)


def _names(device: Device) -> bytes:
    if not device.altnames:
        return b""
    names = [wire.string(n.IFLA_ALT_IFNAME, name) for name in device.altnames]
    return wire.nest(n.IFLA_PROP_LIST | wire.NLA_F_NESTED, *names)


def _info(device: Device) -> bytes:
    parts = [wire.string(n.IFLA_INFO_KIND, device.kind)] if device.kind else []
    if device.bond is not None:
        parts.append(wire.nest(n.IFLA_INFO_DATA, *_bond_data(device.bond)))
    if device.bridge is not None:
        parts.append(wire.nest(n.IFLA_INFO_DATA, *_bridge_data(device.bridge)))
    if device.kind == "vlan":
        parts.append(wire.nest(n.IFLA_INFO_DATA, *_vlan_data(device)))
    if device.options:
        parts.append(wire.nest(n.IFLA_INFO_DATA, *device.options))
    if device.port is not None and device.master is not None:
        parts.append(wire.string(n.IFLA_INFO_SLAVE_KIND, "bond"))
        parts.append(wire.nest(n.IFLA_INFO_SLAVE_DATA, *_slave_data(device.port)))
    elif device.master is not None and device.master.kind:
        parts.append(wire.string(n.IFLA_INFO_SLAVE_KIND, device.master.kind))
    return wire.nest(n.IFLA_LINKINFO, *parts) if parts else b""


def _link(device: Device) -> bytes:
    """Return IFLA_LINK: the device below, the other end of a veth; 0 where a veth has none yet, or no longer.

    Of one in another namespace also its number (rtnl_fill_link_netnsid), which it is given here if it has none.
    """
    other = device.lower or (device.peer if device.registered else None)
    if other is None:
        return wire.u32(n.IFLA_LINK, 0) if device.kind == "veth" else b""
    link = wire.u32(n.IFLA_LINK, other.index)
    return link if other.net is device.net else link + wire.i32(n.IFLA_LINK_NETNSID, device.net.nsids.give(other.net))


def _bridge_data(options: BridgeOptions) -> list[bytes]:
    return [
        wire.u32(n.IFLA_BR_FORWARD_DELAY, options.forward_delay),
        wire.u32(n.IFLA_BR_STP_STATE, options.stp),
        wire.u8(n.IFLA_BR_VLAN_FILTERING, options.vlan_filtering),
    ]


def _vlan_data(device: Device) -> list[bytes]:
    return [
        wire.attr(n.IFLA_VLAN_PROTOCOL, b"\x81\x00"),
        wire.u16(n.IFLA_VLAN_ID, device.vlan_id),
        wire.attr(n.IFLA_VLAN_FLAGS, struct.pack("=II", 1, 0xFFFFFFFF)),
    ]


def _slave_data(port: BondPort) -> list[bytes]:
    return [
        wire.u8(n.IFLA_BOND_SLAVE_STATE, port.state),
        wire.u8(n.IFLA_BOND_SLAVE_MII_STATUS, port.link),
        wire.u32(n.IFLA_BOND_SLAVE_LINK_FAILURE_COUNT, port.failures),
        wire.attr(n.IFLA_BOND_SLAVE_PERM_HWADDR, port.perm),
        wire.u16(n.IFLA_BOND_SLAVE_QUEUE_ID, 0),
        wire.u32(n.IFLA_BOND_SLAVE_PRIO, 0),
    ]


def _bond_data(bond: Bond) -> list[bytes]:
    """bond_fill_info(). No IFLA_BOND_ACTIVE_SLAVE while there is none."""
    return [
        wire.u8(n.IFLA_BOND_MODE, bond.mode),
        wire.u32(n.IFLA_BOND_ACTIVE_SLAVE, bond.active.index) if bond.active else b"",
        wire.u32(n.IFLA_BOND_MIIMON, bond.miimon),
        wire.u32(n.IFLA_BOND_UPDELAY, bond.updelay),
        wire.u32(n.IFLA_BOND_DOWNDELAY, bond.downdelay),
        wire.u32(n.IFLA_BOND_PEER_NOTIF_DELAY, bond.peer_notif_delay),
        wire.u8(n.IFLA_BOND_USE_CARRIER, 1),
        wire.u32(n.IFLA_BOND_ARP_INTERVAL, 0),
        wire.u32(n.IFLA_BOND_PRIMARY, bond.primary.index) if bond.primary else b"",
        wire.u8(n.IFLA_BOND_PRIMARY_RESELECT, bond.primary_reselect),
        wire.u8(n.IFLA_BOND_FAIL_OVER_MAC, bond.fail_over_mac),
        wire.u32(n.IFLA_BOND_RESEND_IGMP, 1),
        wire.u8(n.IFLA_BOND_NUM_PEER_NOTIF, bond.num_peer_notif),
        wire.u8(n.IFLA_BOND_ALL_SLAVES_ACTIVE, bond.all_slaves_active),
        wire.u32(n.IFLA_BOND_LP_INTERVAL, bond.lp_interval),
        *BOND_CONSTANTS,
    ]
