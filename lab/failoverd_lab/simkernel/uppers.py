"""Macvlans and ipvlans, which stand on a lower device and share its frames, and VRFs (drivers/net of 6.1).

The first macvlan or ipvlan on a device takes its receive handler, which a bond and a bridge need, too.
"""

from __future__ import annotations

import errno
from functools import partial

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.devices import INTERNAL, close, mac_changed, open_, set_mtu, unregister
from failoverd_lab.simkernel.net import Event, LinkKind, Net
from failoverd_lab.simkernel.state import Device, Refused

MACVLAN_MODES = (1, 2, 4, 8, 16)
MACVLAN_MODE_VEPA, MACVLAN_MODE_PASSTHRU = 2, 8
IPVLAN_MODE_L3, IPVLAN_MODE_MAX = 1, 3
IP6_MAX_MTU = 65575


def is_taken(net: Net, device: Device) -> bool:
    """netdev_is_rx_handler_busy(): tell whether a macvlan or an ipvlan has the device's receive handler."""
    return any(True for _ in net.uppers_of(device, "macvlan", "ipvlan"))


def _lower(net: Net, kind: str, attrs: dict[int, bytes]) -> Device:
    """Find the device that a new one is to stand on. On one of its own kind it gets that one's lower device."""
    if n.IFLA_LINK not in attrs:
        raise Refused(errno.EINVAL)
    lower = net.devices.get(wire.number(attrs[n.IFLA_LINK]))
    if lower is None:
        raise Refused(errno.ENODEV)
    if lower.kind == kind and lower.lower is not None:
        lower = lower.lower
    return lower


def _numbers(data: bytes) -> dict[int, int]:
    return {place: wire.number(value) for place, value in wire.table(data).items()}


def _stand_on(net: Net, device: Device, lower: Device, attrs: dict[int, bytes]) -> None:
    """Take MTU and carrier from the lower device (macvlan_common_newlink, macvlan_init)."""
    if n.IFLA_MTU not in attrs:
        device.mtu = lower.mtu
    elif device.mtu > lower.mtu:
        raise Refused(errno.EINVAL)
    if lower.type != n.ARPHRD_ETHER:
        raise Refused(errno.EINVAL)
    others = {other.kind for other in net.uppers_of(lower, "macvlan", "ipvlan")} - {device.kind}
    if others or lower.slave or lower.master is not None:
        raise Refused(errno.EBUSY)
    device.lower, device.carrier = lower, lower.carrier
    device.operstate = n.IF_OPER_UP if lower.carrier else n.IF_OPER_LOWERLAYERDOWN


class Macvlan(LinkKind):
    """The kind "macvlan"."""

    name = "macvlan"

    def create(self, net: Net, device: Device, attrs: dict[int, bytes], data: bytes) -> None:
        """See LinkKind."""
        mode, flags = self._asked(data, MACVLAN_MODE_VEPA, 0)
        _stand_on(net, device, _lower(net, self.name, attrs), attrs)
        device.options = [wire.u32(n.IFLA_MACVLAN_MODE, mode), wire.u16(n.IFLA_MACVLAN_FLAGS, flags)]

    def change(self, _net: Net, device: Device, data: bytes) -> None:
        """macvlan_changelink(). A device does not become passthru, and does not cease to be it."""
        old = _numbers(wire.join(device.options))
        mode, flags = self._asked(data, old[n.IFLA_MACVLAN_MODE], old[n.IFLA_MACVLAN_FLAGS])
        if (mode == MACVLAN_MODE_PASSTHRU) != (old[n.IFLA_MACVLAN_MODE] == MACVLAN_MODE_PASSTHRU):
            raise Refused(errno.EINVAL)
        device.options = [wire.u32(n.IFLA_MACVLAN_MODE, mode), wire.u16(n.IFLA_MACVLAN_FLAGS, flags)]

    def _asked(self, data: bytes, mode: int, flags: int) -> tuple[int, int]:
        """Return what is asked for, after macvlan_validate(); `mode` and `flags` are what it is without that."""
        asked = _numbers(data)
        mode, flags = asked.get(n.IFLA_MACVLAN_MODE, mode), asked.get(n.IFLA_MACVLAN_FLAGS, flags)
        if mode not in MACVLAN_MODES or flags & ~1:
            raise Refused(errno.EINVAL)
        return mode, flags

    def set_mtu(self, _net: Net, device: Device, mtu: int) -> None:
        """macvlan_change_mtu()."""
        if device.lower is not None and mtu > device.lower.mtu:
            raise Refused(errno.EINVAL)


class Ipvlan(LinkKind):
    """The kind "ipvlan"."""

    name = "ipvlan"

    def create(self, net: Net, device: Device, attrs: dict[int, bytes], data: bytes) -> None:
        """ipvlan_link_new(). It has the lower device's MAC, whatever was asked for; all on one device have one mode."""
        lower = _lower(net, self.name, attrs)
        _stand_on(net, device, lower, attrs)
        device.mac, device.assigned = lower.mac, "stolen"
        self._set(device, data, IPVLAN_MODE_L3, 0)

    def change(self, _net: Net, device: Device, data: bytes) -> None:
        """ipvlan_nl_changelink()."""
        old = _numbers(wire.join(device.options))
        self._set(device, data, old[n.IFLA_IPVLAN_MODE], old[n.IFLA_IPVLAN_FLAGS])

    def _set(self, device: Device, data: bytes, mode: int, flags: int) -> None:
        """Set what is asked for, after ipvlan_nl_validate(), on all that stand on one device."""
        asked = _numbers(data)
        mode, flags = asked.get(n.IFLA_IPVLAN_MODE, mode), asked.get(n.IFLA_IPVLAN_FLAGS, flags)
        if mode >= IPVLAN_MODE_MAX or flags & ~3 or flags == 3:
            raise Refused(errno.EINVAL)
        others = device.net.uppers_of(device.lower, self.name) if device.lower is not None else ()
        for end in (device, *others):
            end.options = [wire.u16(n.IFLA_IPVLAN_MODE, mode), wire.u16(n.IFLA_IPVLAN_FLAGS, flags)]

    def set_mac(self, _net: Net, _device: Device, _mac: bytes) -> None:
        """An ipvlan has no ndo_set_mac_address."""
        raise Refused(errno.EOPNOTSUPP)


class Vrf(LinkKind):
    """The kind "vrf", as far as messages go: routes stay in the tables they were put in."""

    name = "vrf"
    master = True

    def create(self, _net: Net, device: Device, attrs: dict[int, bytes], data: bytes) -> None:
        """vrf_newlink()."""
        asked = wire.table(data)
        if n.IFLA_VRF_TABLE not in asked:
            raise Refused(errno.EINVAL, "VRF table id is missing")
        table = wire.number(asked[n.IFLA_VRF_TABLE])
        if not table:
            raise Refused(errno.EINVAL, "Invalid VRF table id")
        device.flags |= n.IFF_MASTER | n.IFF_NOARP
        device.min_mtu, device.max_mtu = 1280, IP6_MAX_MTU
        if n.IFLA_MTU not in attrs:
            device.mtu = IP6_MAX_MTU
        device.carrier, device.operstate = True, n.IF_OPER_UP
        device.options = [wire.u32(n.IFLA_VRF_TABLE, table)]

    def add_slave(self, net: Net, master: Device, device: Device) -> None:
        """vrf_add_slave(). A device that is up is taken down and up again, so that its routes move."""
        if device.kind == self.name:
            raise Refused(errno.EINVAL, "Can not enslave an L3 master device to a VRF")
        device.master = master
        master.ports.append(device)
        net.announce_link(device)
        _cycle(net, device)

    def del_slave(self, net: Net, master: Device, device: Device) -> None:
        """vrf_del_slave()."""
        device.master = None
        master.ports.remove(device)
        net.announce_link(device)
        _cycle(net, device)

    def removed(self, net: Net, device: Device) -> None:
        """See LinkKind."""
        for port in list(device.ports):
            self.del_slave(net, device, port)


def _cycle(net: Net, device: Device) -> None:
    """cycle_netdev()."""
    if device.up:
        close(net, device, INTERNAL)
        open_(net, device)


def uppers_follow(net: Net, event: Event, device: Device) -> None:
    """macvlan_device_event(), ipvlan_device_event(). A move of the lower device is nothing to them."""
    for upper in list(net.uppers_of(device, "macvlan", "ipvlan")):
        if event in (Event.UP, Event.DOWN, Event.CHANGE):
            net.watch.set_carrier(upper, device.carrier)
        elif event is Event.CHANGEMTU and (upper.kind == "ipvlan" or upper.mtu > device.mtu):
            set_mtu(upper.net, upper, device.mtu)
        elif event is Event.CHANGEADDR and upper.kind == "ipvlan":
            upper.mac = device.mac
            mac_changed(upper.net, upper)
        elif event is Event.UNREGISTER and not device.registered:
            net.urgent.append(partial(unregister, upper.net, upper))
