"""The simple kinds of device: a NIC, loopback, dummy, a VLAN, a bridge. Bonds are in bonding.py."""

from __future__ import annotations

import errno

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.devices import INTERNAL, close, mac_changed, open_, set_mtu, unregister
from failoverd_lab.simkernel.linkwatch import operstate
from failoverd_lab.simkernel.net import Event, LinkKind, Net
from failoverd_lab.simkernel.state import BridgeOptions, Device, Refused
from failoverd_lab.simkernel.uppers import is_taken


class Nic(LinkKind):
    """A NIC on a bus: no rtnl kind, cannot be deleted, its carrier is the medium's.

    A virtio NIC has its carrier whether it is up or not; others (vmxnet3, most VFs) have none while they are down.
    """

    deletable = False

    def open(self, net: Net, device: Device) -> None:
        """See LinkKind."""
        net.watch.set_carrier(device, device.medium)

    def stop(self, net: Net, device: Device) -> None:
        """See LinkKind."""
        if device.bus == "pci":
            net.watch.set_carrier(device, False)


class Dummy(LinkKind):
    """Always has a carrier, and so no operstate but "unknown" (drivers/net/dummy.c)."""

    name = "dummy"

    def create(self, _net: Net, device: Device, _attrs: dict[int, bytes], _data: bytes) -> None:
        """See LinkKind."""
        device.flags = n.IFF_BROADCAST | n.IFF_NOARP
        device.min_mtu = device.max_mtu = 0
        device.carrier, device.operstate = True, n.IF_OPER_UNKNOWN


class Vlan(LinkKind):
    """An 802.1Q device on a lower one, whose state it follows (net/8021q)."""

    name = "vlan"

    def create(self, net: Net, device: Device, attrs: dict[int, bytes], data: bytes) -> None:
        """See LinkKind. Texts as in vlan_validate() and vlan_newlink()."""
        options = wire.table(data)
        if not data:
            raise Refused(errno.EINVAL, "8021q: VLAN properties not specified")
        if n.IFLA_VLAN_ID not in options:
            raise Refused(errno.EINVAL, "8021q: VLAN id not specified")
        if n.IFLA_LINK not in attrs:
            raise Refused(errno.EINVAL, "8021q: link not specified")
        lower = net.devices.get(wire.number(attrs[n.IFLA_LINK]))
        if lower is None:
            raise Refused(errno.ENODEV, "8021q: link does not exist")
        number = wire.number(options[n.IFLA_VLAN_ID])
        if any(other.vlan_id == number for other in net.uppers_of(lower, "vlan")):
            raise Refused(errno.EEXIST, "8021q: VLAN device already exists")
        device.lower, device.vlan_id, device.min_mtu = lower, number, 0
        device.operstate = n.IF_OPER_LOWERLAYERDOWN
        if n.IFLA_ADDRESS not in attrs:
            device.mac, device.assigned = lower.mac, "stolen"
        if n.IFLA_MTU not in attrs:
            device.mtu = lower.mtu

    def open(self, net: Net, device: Device) -> None:
        """See LinkKind."""
        if device.lower is None or not device.lower.up:
            raise Refused(errno.ENETDOWN)
        net.watch.set_carrier(device, device.lower.carrier)

    def stop(self, net: Net, device: Device) -> None:
        """See LinkKind."""
        net.watch.set_carrier(device, False)

    def set_mtu(self, _net: Net, device: Device, mtu: int) -> None:
        """See LinkKind."""
        if device.lower is not None and mtu > device.lower.mtu:
            raise Refused(errno.ERANGE)


def vlans_follow(net: Net, event: Event, device: Device) -> None:
    """vlan_device_event(): what happens to a device happens to the VLANs on it, too. A move is nothing to them."""
    for vlan in net.uppers_of(device, "vlan"):
        if event is Event.UP:
            open_(vlan.net, vlan)
        elif event is Event.DOWN:
            close(vlan.net, vlan, INTERNAL)
        elif event is Event.CHANGE and vlan.up:
            net.watch.set_carrier(vlan, device.carrier)
        elif event is Event.CHANGEMTU and vlan.mtu > device.mtu:
            set_mtu(vlan.net, vlan, device.mtu)
        elif event is Event.CHANGEADDR and vlan.assigned == "stolen":
            vlan.mac = device.mac
            mac_changed(vlan.net, vlan)
        elif event is Event.NOTIFY_PEERS:
            vlan.net.announce_link(vlan)
            vlan.net.call(event, vlan)
        elif event is Event.UNREGISTER and not device.registered:
            unregister(vlan.net, vlan)


SHORTEST, LONGEST = 200, 3000
"""Bounds of a bridge's forward delay, in hundredths of a second (net/bridge/br_private_stp.h)."""


class Bridge(LinkKind):
    """A bridge, as far as a port's messages go: it forwards nothing here."""

    name = "bridge"
    master = True

    def create(self, net: Net, device: Device, _attrs: dict[int, bytes], data: bytes) -> None:
        """See LinkKind. It has a carrier before its first port; from then on it follows its ports."""
        device.bridge = BridgeOptions()
        self.change(net, device, data)
        device.carrier, device.operstate = True, n.IF_OPER_UNKNOWN

    def change(self, _net: Net, device: Device, data: bytes) -> None:
        """br_changelink(), in its order. The forward delay matters, and is checked, only with STP."""
        asked = {place: wire.number(value) for place, value in wire.table(data).items()}
        options = device.bridge or BridgeOptions()
        if n.IFLA_BR_FORWARD_DELAY in asked:
            if options.stp and not SHORTEST <= asked[n.IFLA_BR_FORWARD_DELAY] <= LONGEST:
                raise Refused(errno.ERANGE)
            options.forward_delay = asked[n.IFLA_BR_FORWARD_DELAY]
        options.stp = asked.get(n.IFLA_BR_STP_STATE, options.stp)
        options.vlan_filtering = asked.get(n.IFLA_BR_VLAN_FILTERING, options.vlan_filtering)

    def add_slave(self, net: Net, master: Device, device: Device) -> None:
        """br_add_if(). The port is reported twice, by its own family and as AF_BRIDGE."""
        if device.type != n.ARPHRD_ETHER:
            raise Refused(errno.EINVAL)
        if device.kind == self.name:
            raise Refused(errno.ELOOP, "Can not enslave a bridge to a bridge")
        if is_taken(net, device):
            raise Refused(errno.EBUSY)
        device.master, device.forwarding = master, True
        master.ports.append(device)
        net.announce_link(device)
        net.announce_link(master)
        net.announce_port(device)
        self._follow(net, master)

    def del_slave(self, net: Net, master: Device, device: Device) -> None:
        """br_del_if(). The DELLINK is of family AF_BRIDGE: the device has left the bridge and still exists."""
        device.forwarding = False
        net.announce_port(device)
        net.announce_port(device, n.RTM_DELLINK)
        master.ports.remove(device)
        device.master = None
        net.announce_link(device)
        net.announce_link(master)
        self._follow(net, master)

    def removed(self, net: Net, device: Device) -> None:
        """See LinkKind."""
        for port in list(device.ports):
            self.del_slave(net, device, port)

    def follow(self, net: Net, event: Event, device: Device) -> None:
        """br_device_event()."""
        if device.master is None or device.master.kind != self.name:
            return
        if event is Event.UNREGISTER:
            self.del_slave(net, device.master, device)
        elif event in (Event.UP, Event.DOWN, Event.CHANGE):
            net.announce_port(device)
            self._follow(net, device.master)

    def _follow(self, net: Net, master: Device) -> None:
        """Update a bridge by its ports: its MAC is their lowest unless it has been set; its carrier is that of any
        port."""
        lowest = min((port.mac for port in master.ports), default=bytes(6))
        if master.assigned != "set" and master.mac != lowest:
            master.mac = lowest
            mac_changed(net, master)
        if master.operstate == n.IF_OPER_UNKNOWN:
            master.operstate = operstate(master)
        net.watch.set_carrier(master, any(port.running for port in master.ports))
