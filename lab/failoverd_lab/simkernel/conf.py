"""Per-device sysctls: those of /proc/sys/net/ipv4/conf and ipv6/conf, which IFLA_INET_CONF and IFLA_INET6_CONF report.

A device starts with the values of `default`. Only those that a story may need are here; the others are reported as 0.
`ipv6/mtu` is the device's own MTU unless it has been set.
"""

from __future__ import annotations

import struct

from failoverd_lab.simkernel.state import Device

IPV6_MIN_MTU = 1280
IPV4 = {"forwarding": 1, "proxy_arp": 3, "rp_filter": 8, "disable_policy": 16, "arp_announce": 18, "arp_ignore": 19}
IPV6 = {"forwarding": 0, "mtu": 2, "accept_ra": 3, "use_tempaddr": 10, "disable_ipv6": 26, "accept_dad": 27}
LENGTHS = {"ipv4": 33, "ipv6": 58}
DEFAULTS = {"ipv6/accept_ra": 1, "ipv6/accept_dad": 1}
OFF = "ipv6/disable_ipv6"


def conf(device: Device, family: str) -> bytes:
    """Return the array of one family as the kernel reports it. IPv4's begins with number 1."""
    numbers, first = (IPV4, 1) if family == "ipv4" else (IPV6, 0)
    array = [0] * LENGTHS[family]
    for name, number in numbers.items():
        array[number - first] = value(device, f"{family}/{name}")
    return struct.pack(f"={len(array)}i", *array)


def value(device: Device, name: str) -> int:
    """Return the value of a file."""
    return device.conf.get(name, device.mtu if name == "ipv6/mtu" else 0)


def is_off(device: Device) -> bool:
    """Return whether IPv6 is off on this device."""
    return bool(value(device, OFF))
