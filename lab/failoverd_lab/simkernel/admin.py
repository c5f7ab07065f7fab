"""An administrator's commands, by the same requests as a program's. Each raises Refused as the kernel does."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.inetmsg import IFADDR, KERNEL, RTMSG
from failoverd_lab.simkernel.linkmsg import IFINFO
from failoverd_lab.simkernel.neighbours import ADDRLABEL, NDMSG
from failoverd_lab.simkernel.requests import Request
from failoverd_lab.simkernel.sockets import Server
from failoverd_lab.simkernel.tcmsg import TCMSG
from failoverd_lab.simkernel.tcstate import ALL_PROTOCOLS

NEW = n.NLM_F_CREATE | n.NLM_F_EXCL


class Admin:
    """`ip link`, `ip address`, `ip route` and `tc`, as far as stories need them. Devices are given by ifindex."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def create(self, kind: str, name: str, mac: str = "", data: bytes = b"", lower: int = 0) -> None:
        """Create a device of a kind; `data` is its IFLA_INFO_DATA, `lower` the device below it."""
        info = [wire.string(n.IFLA_INFO_KIND, kind)] + ([wire.attr(n.IFLA_INFO_DATA, data)] if data else [])
        attrs = [wire.string(n.IFLA_IFNAME, name), wire.nest(n.IFLA_LINKINFO, *info)]
        attrs += [wire.attr(n.IFLA_ADDRESS, wire.mac_bytes(mac))] if mac else []
        attrs += [wire.u32(n.IFLA_LINK, lower)] if lower else []
        self._link(n.RTM_NEWLINK, 0, *attrs, flags=NEW)

    def delete(self, ifindex: int) -> None:
        """Remove a device that is not hardware."""
        self._link(n.RTM_DELLINK, ifindex)

    def set_up(self, ifindex: int, up: bool = True) -> None:
        """Bring it up or take it down."""
        self._ask(n.RTM_SETLINK, 0, IFINFO.pack(0, 0, ifindex, n.IFF_UP if up else 0, n.IFF_UP))

    def rename(self, ifindex: int, name: str) -> None:
        """Give it another name."""
        self._link(n.RTM_SETLINK, ifindex, wire.string(n.IFLA_IFNAME, name))

    def set_mtu(self, ifindex: int, mtu: int) -> None:
        """Change the MTU (bytes)."""
        self._link(n.RTM_SETLINK, ifindex, wire.u32(n.IFLA_MTU, mtu))

    def set_mac(self, ifindex: int, mac: str) -> None:
        """Change the MAC."""
        self._link(n.RTM_SETLINK, ifindex, wire.attr(n.IFLA_ADDRESS, wire.mac_bytes(mac)))

    def set_master(self, ifindex: int, master: int) -> None:
        """Put it into a master; 0 takes it out."""
        self._link(n.RTM_SETLINK, ifindex, wire.u32(n.IFLA_MASTER, master))

    def choose_active(self, bond: int, slave: int) -> None:
        """Make this slave the bond's active one."""
        data = wire.attr(n.IFLA_INFO_DATA, wire.u32(n.IFLA_BOND_ACTIVE_SLAVE, slave))
        self._link(n.RTM_NEWLINK, bond, wire.nest(n.IFLA_LINKINFO, wire.string(n.IFLA_INFO_KIND, "bond"), data))

    def add_altname(self, ifindex: int, name: str) -> None:
        """Give it an alternative name."""
        names = wire.nest(n.IFLA_PROP_LIST, wire.string(n.IFLA_ALT_IFNAME, name))
        self._link(n.RTM_NEWLINKPROP, ifindex, names, flags=NEW)

    def add_address(self, ifindex: int, cidr: str, flags: int = 0) -> None:
        """Add an address such as 192.0.2.1/24; `flags` are IFA_F_*."""
        self._ask(n.RTM_NEWADDR, NEW, _address(ifindex, cidr, flags))

    def configure(self, ifindex: int, cidrs: Iterable[str], gateway: str = "") -> None:
        """Bring it up, give it addresses (IPv6 usable at once), and a default route by `gateway`."""
        self.set_up(ifindex)
        for cidr in cidrs:
            self.add_address(ifindex, cidr, n.IFA_F_NODAD if ":" in cidr else 0)
        if gateway:
            self.add_route("::/0" if ":" in gateway else "0.0.0.0/0", ifindex, gateway)

    def del_address(self, ifindex: int, cidr: str) -> None:
        """Remove an address."""
        self._ask(n.RTM_DELADDR, 0, _address(ifindex, cidr, 0))

    def add_route(
        self, dst: str, ifindex: int, gateway: str = "", metric: int = 0, table: int = n.RT_TABLE_MAIN
    ) -> None:
        """Add a route; `dst` such as 0.0.0.0/0, `table` up to 255."""
        address, _, length = dst.partition("/")
        family, raw = _parse(address)
        scope = n.RT_SCOPE_UNIVERSE if gateway else n.RT_SCOPE_LINK
        head = RTMSG.pack(family, int(length), 0, 0, table, n.RTPROT_STATIC, scope, n.RTN_UNICAST, 0)
        parts = [wire.attr(n.RTA_DST, raw), wire.u32(n.RTA_OIF, ifindex)]
        parts += [wire.attr(n.RTA_GATEWAY, _parse(gateway)[1])] if gateway else []
        parts += [wire.u32(n.RTA_PRIORITY, metric)] if metric else []
        self._ask(n.RTM_NEWROUTE, NEW, head + wire.join(parts))

    def add_neighbour(self, ifindex: int, address: str, mac: str = "", proxy: bool = False) -> None:
        """Add a permanent neighbour, or with `proxy` an address that the machine answers for."""
        family, raw = _parse(address)
        state, flags = (0, n.NTF_PROXY) if proxy else (n.NUD_PERMANENT, 0)
        lladdr = wire.attr(n.NDA_LLADDR, wire.mac_bytes(mac)) if mac else b""
        head = NDMSG.pack(family, ifindex, state, flags, 0)
        self._ask(n.RTM_NEWNEIGH, NEW, head + wire.attr(n.NDA_DST, raw) + lladdr)

    def add_label(self, ifindex: int, prefix: str, label: int) -> None:
        """Add an IPv6 address label for one device."""
        address, _, length = prefix.partition("/")
        attrs = wire.attr(n.IFAL_ADDRESS, _parse(address)[1]) + wire.u32(n.IFAL_LABEL, label)
        self._ask(n.RTM_NEWADDRLABEL, NEW, ADDRLABEL.pack(n.AF_INET6, int(length), 0, ifindex, 0) + attrs)

    def describe(self, ifindex: int, queue_length: int, alias: str, group: int) -> None:
        """Set the length of its queue, its alias and its group."""
        numbers = wire.u32(n.IFLA_TXQLEN, queue_length), wire.u32(n.IFLA_GROUP, group)
        self._link(n.RTM_SETLINK, ifindex, *numbers, wire.string(n.IFLA_IFALIAS, alias))

    def add_qdisc(self, ifindex: int, kind: str, handle: int = 0) -> None:
        """Add a qdisc: clsact or ingress in the slot that both share, any other kind as the root (`handle` such as
        0x10000 for 1:)."""
        parent = n.TC_H_CLSACT if kind in ("clsact", "ingress") else n.TC_H_ROOT
        head = TCMSG.pack(0, ifindex, handle, parent, 0)
        self._ask(n.RTM_NEWQDISC, NEW, head + wire.string(n.TCA_KIND, kind))

    def del_qdisc(self, ifindex: int, parent: int = n.TC_H_CLSACT) -> None:
        """Empty the ingress slot, or with TC_H_ROOT the root's."""
        self._ask(n.RTM_DELQDISC, 0, TCMSG.pack(0, ifindex, 0, parent, 0))

    def add_filter(self, ifindex: int, minor: int, kind: str, prio: int, handle: int = 0, options: bytes = b"") -> None:
        """Add a filter for every protocol; `minor` is TC_H_MIN_INGRESS or TC_H_MIN_EGRESS.

        It has no effect, unless it is a u32 whose `options` (TCA_OPTIONS) have a mirred action.
        """
        attrs = wire.string(n.TCA_KIND, kind) + wire.attr(n.TCA_OPTIONS, options)
        self._ask(n.RTM_NEWTFILTER, NEW, _filters(ifindex, minor, prio, handle) + attrs)

    def del_filter(self, ifindex: int, minor: int, prio: int, handle: int = 0) -> None:
        """Remove one filter; without handle all of that priority."""
        self._ask(n.RTM_DELTFILTER, 0, _filters(ifindex, minor, prio, handle))

    def set_xdp(self, ifindex: int, program: int, generic: bool = False) -> None:
        """Attach an XDP program (any number from 0 on), or with -1 detach it; `generic` is the kernel's own mode."""
        flags = n.XDP_FLAGS_SKB_MODE if generic else 0
        asked = wire.attr(n.IFLA_XDP_FD, struct.pack("=i", program)) + wire.u32(n.IFLA_XDP_FLAGS, flags)
        self._link(n.RTM_SETLINK, ifindex, wire.nest(n.IFLA_XDP, asked))

    def _link(self, kind: int, ifindex: int, *attrs: bytes, flags: int = 0) -> None:
        self._ask(kind, flags, IFINFO.pack(0, 0, ifindex, 0, 0) + wire.join(attrs))

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        try:
            self._server.answer(Request(kind, flags, body, KERNEL))
        finally:
            self._server.settle()


def _filters(ifindex: int, minor: int, prio: int, handle: int) -> bytes:
    return TCMSG.pack(0, ifindex, handle, n.TC_H_CLSACT_HANDLE | minor, prio << 16 | ALL_PROTOCOLS)


def _address(ifindex: int, cidr: str, flags: int) -> bytes:
    address, _, length = cidr.partition("/")
    family, raw = _parse(address)
    local = wire.attr(n.IFA_LOCAL, raw) + wire.attr(n.IFA_ADDRESS, raw)
    return IFADDR.pack(family, int(length), flags, 0, ifindex) + local


def _parse(address: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return int(family), socket.inet_pton(family, address)
