"""What failoverd may ask of the kernel. One class a kind of request; netlink/ turns them into messages.

Nothing else ever changes a device, so this file is the whole list of what can happen to a machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from failoverd.model.inet import Address, Route


@dataclass(frozen=True, slots=True)
class CreateBond:
    """A new active-backup bond, down and without slaves. `mtu` in bytes, `miimon` in milliseconds.

    The MAC goes into the creating message: udev's MACAddressPolicy rewrites a random one.
    """

    name: str
    mac: str
    mtu: int
    miimon: int
    peer_notifications: int


@dataclass(frozen=True, slots=True)
class DeleteLink:
    """Remove a device failoverd made; a bond's slaves are let go and closed by the kernel."""

    ifindex: int


@dataclass(frozen=True, slots=True)
class SetUp:
    """Set or clear IFF_UP."""

    ifindex: int
    up: bool


@dataclass(frozen=True, slots=True)
class SetMtu:
    """Set the MTU, in bytes."""

    ifindex: int
    mtu: int


@dataclass(frozen=True, slots=True)
class Rename:
    """Give a device another name; kernels before 6.2 refuse (EBUSY) while it is up."""

    ifindex: int
    name: str


@dataclass(frozen=True, slots=True)
class SetMaster:
    """Enslave a device (it must be down), or with master 0 let it go (the kernel closes it)."""

    ifindex: int
    master: int


@dataclass(frozen=True, slots=True)
class SetActive:
    """Choose a bond's active slave (IFLA_BOND_ACTIVE_SLAVE); the kernel announces the change."""

    ifindex: int
    slave: int


@dataclass(frozen=True, slots=True)
class HearAll:
    """Whether a bond takes in what comes to slaves that do not carry (IFLA_BOND_ALL_SLAVES_ACTIVE)."""

    ifindex: int
    on: bool


@dataclass(frozen=True, slots=True)
class AddAltname:
    """Add an alternative name (RTM_NEWLINKPROP)."""

    ifindex: int
    name: str


@dataclass(frozen=True, slots=True)
class DropAltname:
    """Take an alternative name away (RTM_DELLINKPROP)."""

    ifindex: int
    name: str


@dataclass(frozen=True, slots=True)
class AddAddress:
    """Add an address to `address.ifindex`, lifetimes and flags as they stand."""

    address: Address


@dataclass(frozen=True, slots=True)
class DropAddress:
    """Remove an address from `address.ifindex`."""

    address: Address


@dataclass(frozen=True, slots=True)
class AddRoute:
    """Add a route through `route.ifindex`, attribute by attribute as it was."""

    route: Route


@dataclass(frozen=True, slots=True)
class DropRoute:
    """Remove a route through `route.ifindex`."""

    route: Route


@dataclass(frozen=True, slots=True)
class SetAllMulticast:
    """Set or clear IFF_ALLMULTI: take in every multicast frame."""

    ifindex: int
    on: bool


@dataclass(frozen=True, slots=True)
class SetPromiscuous:
    """Set or clear IFF_PROMISC: take in every frame, whoever it is for."""

    ifindex: int
    on: bool


@dataclass(frozen=True, slots=True)
class SetLinkLocal:
    """Whether the kernel makes an IPv6 link-local address for the device (IFLA_INET6_ADDR_GEN_MODE)."""

    ifindex: int
    on: bool


@dataclass(frozen=True, slots=True)
class AddClsact:
    """Put a clsact qdisc into the device's ingress slot."""

    ifindex: int


@dataclass(frozen=True, slots=True)
class DropClsact:
    """Take it away, and with it every filter it has."""

    ifindex: int


@dataclass(frozen=True, slots=True)
class AddRedirect:
    """Send everything that passes a hook ("ingress", "egress") of a device to the same hook of another one."""

    ifindex: int
    hook: str
    target: int


@dataclass(frozen=True, slots=True)
class DropRedirect:
    """Take failoverd's filter off a hook: all of its priority, or only this handle where others share that."""

    ifindex: int
    hook: str
    handle: int = 0


Request = (
    CreateBond
    | DeleteLink
    | SetUp
    | SetMtu
    | Rename
    | SetMaster
    | SetActive
    | HearAll
    | AddAltname
    | DropAltname
    | AddAddress
    | DropAddress
    | AddRoute
    | DropRoute
    | SetAllMulticast
    | SetPromiscuous
    | SetLinkLocal
    | AddClsact
    | DropClsact
    | AddRedirect
    | DropRedirect
)
