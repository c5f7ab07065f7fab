"""IFLA_AF_SPEC and IFLA_XDP, the parts of a link message for other subsystems (inet6_set_link_af, dev_change_xdp_fd of
6.1).

The generation mode of IPv6's own addresses is reported at once, takes effect when the device next comes up, and leaves
an existing address in place. Like all of IPv6's state of a device it is forgotten below an MTU of 1280, where there is
no IPv6.
"""

from __future__ import annotations

import errno
import struct

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.conf import IPV6_MIN_MTU, conf
from failoverd_lab.simkernel.state import Device, Refused


def body(device: Device) -> bytes:
    """Return IFLA_AF_SPEC of a device's message, without counters; IPv6's part is missing where there is no IPv6."""
    parts = [wire.nest(n.AF_INET, wire.attr(n.IFLA_INET_CONF, conf(device, "ipv4")))]
    if device.mtu >= IPV6_MIN_MTU:
        inet6 = [wire.u32(n.IFLA_INET6_FLAGS, 0), wire.attr(n.IFLA_INET6_CONF, conf(device, "ipv6"))]
        inet6 += [wire.attr(n.IFLA_INET6_TOKEN, device.token), wire.u8(n.IFLA_INET6_ADDR_GEN_MODE, device.gen_mode)]
        parts.append(wire.nest(n.AF_INET6, *inet6))
    return wire.nest(n.IFLA_AF_SPEC, *parts)


def check(device: Device, attrs: dict[int, bytes]) -> None:
    """Check what validate_linkmsg() checks before any change. Raises Refused."""
    for family, payload in wire.attributes(attrs.get(n.IFLA_AF_SPEC, b"")):
        if family not in (n.AF_INET, n.AF_INET6) or (family == n.AF_INET6 and device.mtu < IPV6_MIN_MTU):
            raise Refused(errno.EAFNOSUPPORT)
        if family == n.AF_INET6:
            asked = wire.table(payload)
            mode = wire.number(asked.get(n.IFLA_INET6_ADDR_GEN_MODE, b"\0"))
            known = n.IFLA_INET6_TOKEN in asked or n.IFLA_INET6_ADDR_GEN_MODE in asked
            if not known or mode > n.IN6_ADDR_GEN_MODE_RANDOM:
                raise Refused(errno.EINVAL)


def change(device: Device, attrs: dict[int, bytes]) -> bool:
    """Apply the attributes; returns whether there were any. A stable address needs a secret, which is never set
    here."""
    inet6 = wire.table(wire.table(attrs.get(n.IFLA_AF_SPEC, b"")).get(n.AF_INET6, b""))
    if n.IFLA_INET6_ADDR_GEN_MODE in inet6:
        mode = wire.number(inet6[n.IFLA_INET6_ADDR_GEN_MODE])
        if mode == n.IN6_ADDR_GEN_MODE_STABLE:
            raise Refused(errno.EINVAL)
        device.gen_mode = mode
    if n.IFLA_INET6_TOKEN in inet6:
        device.token = inet6[n.IFLA_INET6_TOKEN]
    if n.IFLA_XDP in attrs:
        _attach(device, wire.table(attrs[n.IFLA_XDP]))
    return n.IFLA_AF_SPEC in attrs or n.IFLA_XDP in attrs


def _attach(device: Device, asked: dict[int, bytes]) -> None:
    """Attach a program, given as a descriptor; a negative one detaches it."""
    if n.IFLA_XDP_ATTACHED in asked or n.IFLA_XDP_PROG_ID in asked:
        raise Refused(errno.EINVAL)
    program = struct.unpack("=i", asked.get(n.IFLA_XDP_FD, b"\xff" * 4))[0]
    flags = wire.number(asked.get(n.IFLA_XDP_FLAGS, b"\0"))
    way = n.XDP_ATTACHED_SKB if flags & n.XDP_FLAGS_SKB_MODE else n.XDP_ATTACHED_DRV
    device.xdp, device.xdp_program = (way, program) if program >= 0 else (n.XDP_ATTACHED_NONE, 0)
