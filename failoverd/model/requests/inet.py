"""Requests about a device's IP configuration: addresses, routes, neighbours, address labels and settings."""

from __future__ import annotations

import errno
from typing import ClassVar

from failoverd.dataclass import dataclass
from failoverd.model.inet import Address, Label, Neighbour, Route, Rule
from failoverd.model.requests.base import NameOf, OfDevice, Request
from failoverd.model.settings import full_name


@dataclass(frozen=True, slots=True)
class _OfAddress(Request):
    watched: ClassVar = True

    address: Address

    @property
    def devices(self) -> frozenset[int]:
        """The device that has the address."""
        return frozenset((self.address.ifindex,))


@dataclass(frozen=True, slots=True)
class _OfRoute(Request):
    watched: ClassVar = True

    route: Route

    @property
    def devices(self) -> frozenset[int]:
        """The device that the route goes through."""
        return frozenset((self.route.ifindex,))


@dataclass(frozen=True, slots=True)
class AddAddress(_OfAddress):
    """Add an address to `address.ifindex`, with its lifetimes and flags."""

    harmless: ClassVar = frozenset({errno.EEXIST})
    regained: ClassVar = True

    def describe(self, name_of: NameOf) -> str:
        return f"add {self.address} to {name_of(self.address.ifindex)}"

    def advice(self, number: int) -> str:
        return _compare(number) or Request.advice(self, number)


@dataclass(frozen=True, slots=True)
class DropAddress(_OfAddress):
    """Remove an address from `address.ifindex`."""

    harmless: ClassVar = frozenset({errno.EADDRNOTAVAIL})

    def describe(self, name_of: NameOf) -> str:
        return f"drop {self.address} from {name_of(self.address.ifindex)}"

    def undone(self, name_of: NameOf) -> str:
        return _back(f"{self.address}", name_of(self.address.ifindex))


@dataclass(frozen=True, slots=True)
class AddRoute(_OfRoute):
    """Add a route through `route.ifindex`, with every attribute it had."""

    harmless: ClassVar = frozenset({errno.EEXIST})
    regained: ClassVar = True

    def describe(self, name_of: NameOf) -> str:
        return f"add the route to {self.route} through {name_of(self.route.ifindex)}"

    def advice(self, number: int) -> str:
        return _compare(number) or Request.advice(self, number)


@dataclass(frozen=True, slots=True)
class DropRoute(_OfRoute):
    """Remove a route through `route.ifindex`."""

    harmless: ClassVar = frozenset({errno.ESRCH})

    def describe(self, name_of: NameOf) -> str:
        return f"drop the route to {self.route} through {name_of(self.route.ifindex)}"

    def undone(self, name_of: NameOf) -> str:
        return _back(f"{self.route}", name_of(self.route.ifindex))


@dataclass(frozen=True, slots=True)
class AddNeighbour(Request):
    """Add a permanent or a proxy neighbour entry to `neighbour.ifindex`."""

    harmless: ClassVar = frozenset({errno.EEXIST})
    watched: ClassVar = True
    regained: ClassVar = True

    neighbour: Neighbour

    @property
    def devices(self) -> frozenset[int]:
        """The device that has the entry."""
        return frozenset((self.neighbour.ifindex,))

    def describe(self, name_of: NameOf) -> str:
        return f"add {self.neighbour} to {name_of(self.neighbour.ifindex)}"


@dataclass(frozen=True, slots=True)
class AddLabel(Request):
    """Add an IPv6 address label for `label.ifindex`."""

    harmless: ClassVar = frozenset({errno.EEXIST})
    watched: ClassVar = True
    regained: ClassVar = True

    label: Label

    @property
    def devices(self) -> frozenset[int]:
        """The device that the label is for."""
        return frozenset((self.label.ifindex,))

    def describe(self, name_of: NameOf) -> str:
        return f"add {self.label} for {name_of(self.label.ifindex)}"


@dataclass(frozen=True, slots=True)
class _OfRule(Request):
    rule: Rule

    @property
    def devices(self) -> frozenset[int]:
        """None: a rule has names."""
        return frozenset()


@dataclass(frozen=True, slots=True)
class AddRule(_OfRule):
    """Add a policy rule, with every attribute it had."""

    harmless: ClassVar = frozenset({errno.EEXIST})

    def describe(self, name_of: NameOf) -> str:
        return f"add {self.rule}"

    def advice(self, number: int) -> str:
        return _compare(number, "ip rule") or Request.advice(self, number)


@dataclass(frozen=True, slots=True)
class DropRule(_OfRule):
    """Remove a policy rule that is like this one."""

    harmless: ClassVar = frozenset({errno.ENOENT, errno.ESRCH})

    def describe(self, name_of: NameOf) -> str:
        return f"drop {self.rule}"


@dataclass(frozen=True, slots=True)
class _Setting(OfDevice):
    watched: ClassVar = True
    setting: ClassVar = True

    name: str
    value: str

    def describe(self, name_of: NameOf) -> str:
        return f"set {full_name(self.name, name_of(self.ifindex))} to {self.value or 'nothing'}"


@dataclass(frozen=True, slots=True)
class SetAttribute(_Setting):
    """Set one of the settings that rtnetlink can write (model/settings.py)."""


@dataclass(frozen=True, slots=True)
class SetSysctl(_Setting):
    """Set one of the settings that only a file below /proc/sys/net can write (model/settings.py)."""

    def advice(self, number: int) -> str:
        return "failoverd has to be able to write there; give it /proc/sys/net/ipv4/conf and ipv6/conf for writing"


@dataclass(frozen=True, slots=True)
class SetLinkLocal(OfDevice):
    """Let the kernel generate an IPv6 link-local address for the device, or not (IFLA_INET6_ADDR_GEN_MODE)."""

    untold: ClassVar = True

    on: bool

    def describe(self, name_of: NameOf) -> str:
        return f"{'let' if self.on else 'do not let'} the kernel make a link-local address for {name_of(self.ifindex)}"


def _compare(number: int, where: str = "ip address and ip route") -> str:
    return f"there is one like it; compare with {where}" if number == errno.EEXIST else ""


def _back(what: str, name: str) -> str:
    return f"{what} was taken off {name}; if it comes back, look for a DHCP client or a network manager that has it"
