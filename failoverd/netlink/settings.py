"""Read a device's settings out of its RTM_NEWLINK, and write those that rtnetlink can set.

By hand, as the codec does not know the arrays of IFLA_AF_SPEC, and every reader but the one of configurations passes
them over.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping
from functools import partial

from failoverd.model.inet import Setting
from failoverd.model.settings import ADDRESS_MODE, ALIAS, GROUP, IPV6_MTU, QUEUE_LENGTH, SYSCTLS, TOKEN, Sysctl
from failoverd.netlink.frames import Message, NetlinkError, attribute, attributes
from failoverd.netlink.links import INFO, text

AF_INET, AF_INET6 = 2, 10
IFLA_MTU, IFLA_TXQLEN, IFLA_IFALIAS, IFLA_AF_SPEC, IFLA_GROUP = 4, 13, 20, 26, 27
IFLA_INET_CONF = 1
IFLA_INET6_CONF, IFLA_INET6_TOKEN, IFLA_INET6_ADDR_GEN_MODE = 2, 7, 8
FAMILIES = {"ipv4": (AF_INET, IFLA_INET_CONF), "ipv6": (AF_INET6, IFLA_INET6_CONF)}
SIGNED = struct.Struct("=i")


def read_settings(message: Message) -> tuple[Setting, ...]:
    """Return every setting in the message that model/settings.py names. Raises NetlinkError."""
    found = dict(attributes(message.payload, INFO.size))
    families = dict(attributes(found.get(IFLA_AF_SPEC, b"")))
    settings = [(QUEUE_LENGTH, str(_unsigned(found.get(IFLA_TXQLEN, bytes(4)))))]
    settings += [(ALIAS, text(found.get(IFLA_IFALIAS, b""))), (GROUP, str(_unsigned(found.get(IFLA_GROUP, bytes(4)))))]
    inet6 = dict(attributes(families.get(AF_INET6, b"")))
    if len(token := inet6.get(IFLA_INET6_TOKEN, b"")) == 16:
        settings.append((TOKEN, socket.inet_ntop(socket.AF_INET6, token)))
    if mode := inet6.get(IFLA_INET6_ADDR_GEN_MODE, b""):
        settings.append((ADDRESS_MODE, str(mode[0])))
    arrays = {name: _array(name, families.get(kind, b""), conf) for name, (kind, conf) in FAMILIES.items()}
    sysctls = [one for row in SYSCTLS.values() if (one := _setting(row, arrays[row.family])) is not None]
    # An IPv6 MTU equal to the device's was not set by an administrator, and follows the device's.
    usual = (IPV6_MTU, str(_unsigned(found.get(IFLA_MTU, bytes(4)))))
    return (*settings, *(one for one in sysctls if one != usual))


def write_setting(name: str, value: str) -> bytes:
    """Return the attribute of RTM_SETLINK that gives a device this setting, one of model/settings.py's ATTRIBUTES.

    Raises KeyError for any other, and ValueError or OSError for a value that it cannot have.
    """
    return WRITERS[name](value)


def _number(kind: int, value: str) -> bytes:
    return attribute(kind, struct.pack("=I", int(value)))


def _alias(value: str) -> bytes:
    return attribute(IFLA_IFALIAS, value.encode("utf-8", "surrogateescape") + b"\0" if value else b"")


def _token(value: str) -> bytes:
    return _inet6(attribute(IFLA_INET6_TOKEN, socket.inet_pton(socket.AF_INET6, value)))


def _address_mode(value: str) -> bytes:
    return _inet6(attribute(IFLA_INET6_ADDR_GEN_MODE, bytes([int(value)])))


def _inet6(part: bytes) -> bytes:
    return attribute(IFLA_AF_SPEC, attribute(AF_INET6, part))


WRITERS: Mapping[str, Callable[[str], bytes]] = {
    QUEUE_LENGTH: partial(_number, IFLA_TXQLEN),
    GROUP: partial(_number, IFLA_GROUP),
    ALIAS: _alias,
    TOKEN: _token,
    ADDRESS_MODE: _address_mode,
}
"""A row for each of model/settings.py's ATTRIBUTES. `read_settings` reads each of them, too."""


def _array(family: str, payload: bytes, conf: int) -> bytes:
    """Return one family's numbers, from number 0 on. IPv4's begin with 1 (net/ipv4/devinet.c, inet_fill_link_af)."""
    raw = dict(attributes(payload)).get(conf, b"")
    return bytes(SIGNED.size) + raw if family == "ipv4" and raw else raw


def _setting(row: Sysctl, array: bytes) -> Setting | None:
    at = row.number * SIGNED.size
    if len(array) < at + SIGNED.size:
        return None
    return row.name, str(SIGNED.unpack_from(array, at)[0] // row.unit)


def _unsigned(data: bytes) -> int:
    if len(data) != 4:
        raise NetlinkError(f"an attribute of {len(data)} bytes that should have 4")
    return int(struct.unpack("=I", data)[0])
