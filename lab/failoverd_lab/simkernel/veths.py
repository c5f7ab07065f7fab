"""Veths: two devices with a wire between them (drivers/net/veth.c)."""

from __future__ import annotations

import errno
from functools import partial

from failoverd_lab.simkernel import devices, nsidmsg, wire
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.net import LinkKind, Net
from failoverd_lab.simkernel.state import Device, Refused

HEAD = 16
"""Bytes of the struct ifinfomsg in front of the peer's attributes."""


class Veth(LinkKind):
    """The kind "veth"."""

    name = "veth"

    def create(self, net: Net, device: Device, _attrs: dict[int, bytes], data: bytes) -> None:
        """veth_newlink(): the peer is made and reported first, before it has another end.

        An ifindex for the peer is heeded only where the device itself was given one. The peer cannot come up yet
        (rtnl_configure_link opens it, and veth_open has no other end).
        """
        asked = wire.table(data).get(n.VETH_INFO_PEER, b"")
        attrs = wire.table(asked[HEAD:])
        name = wire.text(attrs[n.IFLA_IFNAME]) if n.IFLA_IFNAME in attrs else "veth%d"
        mac = attrs.get(n.IFLA_ADDRESS, b"")[:6]
        if mac:
            devices.check_mac(mac)
        index = wire.number(asked[4:8]) if asked and device.index else 0
        flags = wire.number(asked[8:12]) if asked else 0
        there = nsidmsg.target(net, attrs)
        if index in there.devices:
            raise Refused(errno.EBUSY)
        name = devices.valid_name(there, name)
        if name == device.name and there is device.net:
            raise Refused(errno.EEXIST)
        if flags & n.IFF_UP:
            raise Refused(errno.ENOTCONN)
        peer = Device(index or there.new_index(), name, mac or net.system.random_mac(), self.name)
        peer.assigned = "set" if mac else "random"
        peer.mtu = wire.number(attrs[n.IFLA_MTU]) if n.IFLA_MTU in attrs else peer.mtu
        peer.operstate = device.operstate = n.IF_OPER_LOWERLAYERDOWN
        devices.register(there, peer)
        devices.tell(there, peer)
        peer.peer, device.peer = device, peer

    def open(self, net: Net, device: Device) -> None:
        """veth_open(): a carrier takes both ends."""
        if device.peer is None:
            raise Refused(errno.ENOTCONN)
        if device.peer.up:
            for end in (device, device.peer):
                net.watch.set_carrier(end, True)

    def stop(self, net: Net, device: Device) -> None:
        """veth_close()."""
        for end in (device, device.peer):
            if end is not None:
                net.watch.set_carrier(end, False)

    def removed(self, net: Net, device: Device) -> None:
        """veth_dellink(): the other end goes, too, and is reported second."""
        peer, device.peer = device.peer, None
        if peer is not None:
            peer.peer = None
            net.urgent.append(partial(devices.unregister, peer.net, peer))
