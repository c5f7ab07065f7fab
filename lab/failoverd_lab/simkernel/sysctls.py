"""Write a per-device sysctl (conf.py has their values)."""

from __future__ import annotations

import errno

from failoverd_lab.simkernel import inet6
from failoverd_lab.simkernel.conf import IPV4, IPV6, IPV6_MIN_MTU, OFF, is_off
from failoverd_lab.simkernel.net import Event, Net
from failoverd_lab.simkernel.state import Device, Refused


def write(net: Net, device: Device, name: str, number: int) -> None:
    """Write a file. Raises Refused."""
    family, _, file = name.partition("/")
    if file not in (IPV4 if family == "ipv4" else IPV6) or (family == "ipv6" and device.mtu < IPV6_MIN_MTU):
        raise Refused(errno.ENOENT)
    if name == "ipv6/mtu" and not IPV6_MIN_MTU <= number <= device.mtu:
        raise Refused(errno.EINVAL)
    is_turned = name == OFF and bool(number) != is_off(device)
    device.conf[name] = number
    if is_turned and number:
        inet6.lose_all(net, device)
    elif is_turned and device.up:
        inet6.follow(net, Event.UP, device)


def follow(_net: Net, event: Event, device: Device) -> None:
    """Forget the MTU that was written for IPv6, as the kernel does when a device's MTU changes, or when it comes up
    with a link.

    A device that comes up without a link forgets it when the link comes: once, until it is down again (addrconf_notify,
    IF_READY).
    """
    if event in (Event.DOWN, Event.UNREGISTER):
        device.ipv6_ready = False
    elif event is Event.CHANGEMTU:
        device.conf.pop("ipv6/mtu", None)
    elif event in (Event.UP, Event.CHANGE) and device.running:
        if event is Event.UP or not device.ipv6_ready:
            device.conf.pop("ipv6/mtu", None)
        device.ipv6_ready = True
