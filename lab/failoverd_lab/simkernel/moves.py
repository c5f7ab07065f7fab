"""Devices that move to another network namespace, and namespaces that end (net/core/dev.c, net_namespace.c).

A namespace ends when nothing holds it any more. Its numbers are taken back, then its devices are deleted, with those in
other namespaces that cannot be without them. Hardware returns to the first namespace, down, and as devN where its name
is taken.
"""

from __future__ import annotations

import errno

from failoverd_lab.simkernel import devices, linkmsg
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.net import Event, Net
from failoverd_lab.simkernel.state import Device, Refused
from failoverd_lab.simkernel.wire import Message

IMMOVABLE = frozenset({"bond", "bridge", "vrf"})
"""Kinds with NETIF_F_NETNS_LOCAL."""


def move(device: Device, target: Net, pattern: str = "", index: int = 0) -> None:
    """__dev_change_net_namespace(). `pattern` is its name where its own is taken there. Raises Refused."""
    net = device.net
    if device.kind in IMMOVABLE or device.type == n.ARPHRD_LOOPBACK:
        raise Refused(errno.EINVAL)
    if target is net:
        return
    name = _name(device, target, pattern)
    if any(target.device(other) is not None for other in device.altnames):
        raise Refused(errno.EEXIST)
    if index in target.devices:
        raise Refused(errno.EBUSY)
    devices.close(net, device, devices.INTERNAL)
    devices.unlist(net, device)
    net.call(Event.UNREGISTER, device)
    nsid = net.nsids.give(target)
    index = index or (target.new_index() if device.index in target.devices else device.index)
    goodbye = linkmsg.body(device, devices.CREATED, (nsid, index))
    net.publish(n.RTNLGRP_LINK, Message(n.RTM_DELLINK, 0, 0, 0, goodbye))
    # The sysctls of a device go with it (inetdev_destroy, addrconf_ifdown), and it gets those of new ones there.
    device.index, device.name, device.conf = index, name, dict(target.default_conf)
    devices.register(target, device)
    devices.tell(target, device)


def let_go(net: Net) -> None:
    """End a namespace if nothing holds it (cleanup_net)."""
    system = net.system
    if not net.alive or system.is_held(net):
        return
    net.alive = False
    for other in system.nets:
        other.nsids.forget(net)
    for device in [d for d in net.devices.values() if not d.kind and d.type != n.ARPHRD_LOOPBACK]:
        move(device, system.nets[0], f"dev{device.index}")
    while net.devices:
        devices.unregister(net, net.devices[max(net.devices)])
        system.settle()
    system.nets.remove(net)


def _name(device: Device, target: Net, pattern: str) -> str:
    if target.device(device.name) is None:
        return device.name
    if not pattern:
        raise Refused(errno.EEXIST)
    return devices.valid_name(target, pattern)
