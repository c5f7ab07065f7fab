"""The common base of all kinds: the options that the kernel reports, and what every new device may be given."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

from failoverd.dataclass import dataclass

Options = Mapping[int, bytes]
"""Attributes of IFLA_INFO_DATA, by type."""


@dataclass(frozen=True, slots=True)
class Data:
    """The part of a message that describes a device's options."""

    options: Options
    """The options that the kind wants."""

    link: int = 0
    """IFLA_LINK: the ifindex of the lower device, or of the other end of the wire; 0 for none."""

    nsid: int | None = None
    """IFLA_LINK_NETNSID: the network namespace that `link` is in, by its number here; None for the device's own."""


class Place(NamedTuple):
    """One existing network namespace. Two references that lead to one namespace have equal places.

    The identity is the number that the namespace has in failoverd's own one (its nsid), together with a number that no
    other namespace gets, as the kernel gives an nsid to another one at once. It is a tuple, as it is the key of most
    tables of declared links, and Python hashes and compares no class of ours as fast.
    """

    nsid: int
    """-1 for failoverd's own namespace."""

    epoch: int = 0
    """The namespace's cookie (SO_NETNS_COOKIE); 0 for failoverd's own."""

    @property
    def is_own(self) -> bool:
        """Whether it is the namespace that failoverd runs in."""
        return self.nsid < 0


@dataclass(frozen=True, slots=True)
class NewDevice:
    """The attributes that a new device of any kind may be given in the message that creates it."""

    name: str

    mac: str = ""
    """Lower case with colons. With "" the kernel chooses one, and udev's MACAddressPolicy may rewrite it."""

    mtu: int = 0
    """In bytes; 0 for the kind's default."""

    ifindex: int = 0
    """The ifindex of the new device, so that it can be addressed before the kernel has reported it. 0 lets the kernel
    choose. EBUSY where another device has it.
    """

    lower: int = 0
    """The ifindex of the lower device, in the namespace of the socket that creates the new one; 0 for none."""

    place: Place | None = None
    """The network namespace that the device is created in (IFLA_NET_NS_FD); None for that of the socket. The device is
    never seen in any other one.
    """


Attributes = tuple[tuple[int, bytes | NewDevice], ...]
"""The content of IFLA_INFO_DATA. A NewDevice in it stands for its own struct ifinfomsg and attributes."""

_U8, _U16, _BE16, _U32 = struct.Struct("=B"), struct.Struct("=H"), struct.Struct("!H"), struct.Struct("=I")


def u8(options: Options, place: int) -> int:
    """Return the number at `place`, 0 if it is absent. Raises struct.error if it is too short."""
    return _number(options, place, _U8)


def u16(options: Options, place: int) -> int:
    """Like u8, but two bytes."""
    return _number(options, place, _U16)


def be16(options: Options, place: int) -> int:
    """Like u16, but in network byte order."""
    return _number(options, place, _BE16)


def u32(options: Options, place: int) -> int:
    """Like u8, but four bytes."""
    return _number(options, place, _U32)


def _number(options: Options, place: int, shape: struct.Struct) -> int:
    raw = options.get(place)
    return int(shape.unpack_from(raw)[0]) if raw is not None else 0


def from_u8(number: int) -> bytes:
    """Return a number as the kernel wants it."""
    return _U8.pack(number)


def from_u16(number: int) -> bytes:
    """Like from_u8, but two bytes."""
    return _U16.pack(number)


def from_be16(number: int) -> bytes:
    """Like from_u16, but in network byte order."""
    return _BE16.pack(number)


def from_u32(number: int) -> bytes:
    """Like from_u8, but four bytes."""
    return _U32.pack(number)
