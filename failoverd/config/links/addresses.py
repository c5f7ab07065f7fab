"""The addresses of a declared link, and the prefixes and gateways of its routes."""

from __future__ import annotations

import ipaddress
import re

from failoverd.config.kinds import InvalidValueError, show, wrong_type
from failoverd.config.links.values import each_once, plain
from failoverd.dataclass import dataclass

_WITH_LENGTH = re.compile(r"[^/%]+/[0-9]{1,3}")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses of a device, each with the length of its prefix."""

    def take(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)):
            raise wrong_type(value)
        return tuple(each_once(_interface(item) for item in value))

    def describe(self) -> str:
        return 'a list of addresses with the lengths of their prefixes, such as "192.168.22.1/24"'


def _interface(value: object) -> str:
    text = plain(value)
    _need_length(text)
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        raise InvalidValueError(f"{show(text)} is no address") from None
    _one_device(text, found.ip)
    return str(found)


@dataclass(frozen=True, slots=True)
class Prefix:
    """Where a route leads to."""

    def take(self, value: object) -> str:
        text = plain(value)
        _need_length(text)
        try:
            found = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise InvalidValueError(f"{show(text)} is no prefix") from None
        if found.network_address != ipaddress.ip_interface(text).ip:
            raise InvalidValueError(f"{show(text)} has bits behind its prefix, which is {found}")
        return str(found)

    def describe(self) -> str:
        return 'a prefix such as "10.0.0.0/8"; "0.0.0.0/0" or "::/0" for the default route'


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway of a route."""

    def take(self, value: object) -> str:
        text = plain(value)
        try:
            found = ipaddress.ip_address(text)
        except ValueError:
            raise InvalidValueError(f"{show(text)} is no address") from None
        if "%" in text:
            raise InvalidValueError(f"{show(text)} names a device, and a route is through its own")
        _one_device(text, found)
        return str(found)

    def describe(self) -> str:
        return "an address"


def _need_length(text: str) -> None:
    if not _WITH_LENGTH.fullmatch(text):
        raise InvalidValueError(f"{show(text)} is no address with a prefix length")


def _one_device(text: str, address: Address) -> None:
    """Refuse what the kernel gives to no device (ipv6_add_addr; inet_rtm_newaddr)."""
    if address.is_multicast:
        raise InvalidValueError(f"{show(text)} is a multicast address")
    if address.is_unspecified:
        raise InvalidValueError(f"{show(text)} is no device's address")
