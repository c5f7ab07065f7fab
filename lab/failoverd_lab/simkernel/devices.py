"""Operations on any device: bring it up and down, rename it, change MTU and MAC, add and remove it.

Follows net/core/dev.c of 6.1. The messages are in the kernel's order: RTM_NEWLINK first, then those of the notifier
chain (addresses, routes, VLANs, bonds).
"""

from __future__ import annotations

import errno

from failoverd_lab.simkernel import linkmsg
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.net import Event, Net
from failoverd_lab.simkernel.state import Device, Refused
from failoverd_lab.simkernel.tcstate import default_qdisc
from failoverd_lab.simkernel.wire import Message

CREATED = 0xFFFFFFFF
"""ifi_change of the first and of the last message about a device."""
INTERNAL = n.IFF_UP | n.IFF_RUNNING
"""ifi_change where the kernel itself opens or closes a device (dev_open, dev_close)."""


def register(net: Net, device: Device) -> None:
    """Add a device to the table without a message: `tell` sends it when the caller has configured the device."""
    net.devices[device.index] = device
    device.net, device.conf = net, dict(net.default_conf)
    device.gen_mode, device.token, device.ipv6_ready = n.IN6_ADDR_GEN_MODE_EUI64, bytes(16), False
    net.link_seq += 1


def unlist(net: Net, device: Device) -> None:
    """unlist_netdevice()."""
    del net.devices[device.index]
    net.link_seq += 1


def tell(net: Net, device: Device) -> None:
    """rtnl_configure_link(): the first message about a device."""
    device.registered = True
    net.announce_link(device, CREATED)


def unregister(net: Net, device: Device) -> None:
    """unregister_netdevice(): down, out of its master, addresses gone, then RTM_DELLINK. Does nothing for one that is
    gone, as a veth may be by its other end."""
    if net.devices.get(device.index) is not device:
        return
    close(net, device, INTERNAL)
    device.registered = False
    net.call(Event.UNREGISTER, device)
    # The message is made before the device lets go of its slaves and sent after (unregister_netdevice_many).
    goodbye = Message(n.RTM_DELLINK, 0, 0, 0, linkmsg.body(device, CREATED))
    net.kinds[device.kind].removed(net, device)
    net.publish(n.RTNLGRP_LINK, goodbye)
    net.watch.forget(device)
    unlist(net, device)


def open_(net: Net, device: Device, change: int = n.IFF_UP) -> None:
    """Bring it up. Raises Refused."""
    if device.up:
        return
    device.flags |= n.IFF_UP
    try:
        net.kinds[device.kind].open(net, device)
    except Refused:
        device.flags &= ~n.IFF_UP
        raise
    activate(device)
    net.announce_link(device, change)
    net.call(Event.UP, device)


def close(net: Net, device: Device, change: int = n.IFF_UP) -> None:
    """Take it down."""
    if not device.up:
        return
    device.flags &= ~n.IFF_UP
    net.kinds[device.kind].stop(net, device)
    net.announce_link(device, change)
    net.call(Event.DOWN, device)


def activate(device: Device) -> None:
    """dev_activate(): a device that comes up without a root qdisc gets a default one, and keeps it when down."""
    if device.root.builtin:
        device.root = default_qdisc(device.bus)


def change_flags(net: Net, device: Device, flags: int, change: int) -> None:
    """dev_change_flags() for IFF_UP, IFF_ALLMULTI, IFF_PROMISC, with one message for all. Raises Refused.

    A change mask of 0 means "all of them" (rtnl_dev_combine_flags); other flags are not modelled.
    """
    asked = (flags ^ device.flags) & (change or 0xFFFFFFFF)
    hearing = asked & (n.IFF_ALLMULTI | n.IFF_PROMISC)
    device.flags ^= hearing
    if asked & n.IFF_UP:
        (close if device.up else open_)(net, device, n.IFF_UP | hearing)
    elif hearing:
        net.announce_link(device, hearing)


def rename(net: Net, device: Device, name: str) -> None:
    """dev_change_name(). Raises Refused: EBUSY for a device that is up before Linux 6.2, even for its own name."""
    if device.up and net.release < (6, 2):
        raise Refused(errno.EBUSY)
    if name == device.name:
        return
    device.name = valid_name(net, name)
    net.announce_link(device)
    net.call(Event.CHANGENAME, device)


def valid_name(net: Net, name: str) -> str:
    """dev_get_valid_name(): checked, free, and with its `%d` filled in. Raises Refused."""
    if name in ("", ".", "..") or any(c in "/:" or c.isspace() for c in name):
        raise Refused(errno.EINVAL)
    if "%" in name:
        if name.count("%") != 1 or "%d" not in name:
            raise Refused(errno.EINVAL)
        return net.name_for(name)
    if net.device(name) is not None:
        raise Refused(errno.EEXIST)
    return name


def set_mtu(net: Net, device: Device, mtu: int) -> None:
    """dev_set_mtu_ext(). Raises Refused."""
    if mtu == device.mtu:
        return
    if mtu < device.min_mtu:
        raise Refused(errno.EINVAL, "mtu less than device minimum")
    if 0 < device.max_mtu < mtu:
        raise Refused(errno.EINVAL, "mtu greater than device maximum")
    net.kinds[device.kind].set_mtu(net, device, mtu)
    device.mtu = mtu
    net.announce_link(device)
    net.call(Event.CHANGEMTU, device)


def check_mac(mac: bytes) -> None:
    """Check a MAC as eth_mac_addr() does. Raises Refused."""
    if len(mac) < 6:
        raise Refused(errno.EINVAL)
    if mac[0] & 1 or not any(mac[:6]):
        raise Refused(errno.EADDRNOTAVAIL)


def set_mac(net: Net, device: Device, mac: bytes) -> None:
    """dev_set_mac_address(). Raises Refused."""
    check_mac(mac)
    device.assigned = "set"
    net.kinds[device.kind].set_mac(net, device, mac[:6])
    mac_changed(net, device)


def mac_changed(net: Net, device: Device) -> None:
    """NETDEV_CHANGEADDR, sent even where the address is the old one."""
    net.announce_link(device)
    net.call(Event.CHANGEADDR, device)


def set_master(net: Net, device: Device, master: int) -> None:
    """do_set_master(). Not atomic: the old master is left first, whatever becomes of the rest. Raises Refused."""
    if device.master is not None:
        if device.master.index == master:
            return
        net.kinds[device.master.kind].del_slave(net, device.master, device)
    if not master:
        return
    upper = net.devices.get(master)
    if upper is None:
        raise Refused(errno.EINVAL)
    net.kinds[upper.kind].add_slave(net, upper, device)
