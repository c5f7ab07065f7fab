"""Requests about devices themselves: creation and deletion, flags, names, masters."""

from __future__ import annotations

import errno
from typing import ClassVar

from failoverd.dataclass import dataclass
from failoverd.kinds import NewDevice, Place, Spec
from failoverd.kinds.bridge import BridgeRest
from failoverd.model.declared import Options
from failoverd.model.requests.base import NameOf, OfDevice, Request, Weight, answer, some

HELD = "look for a macvlan or an ipvlan on it, which may be a container's"


@dataclass(frozen=True, slots=True)
class CreateLink(Request):
    """Create a device of one of the kinds in kinds/. It is down."""

    weight: ClassVar = Weight.BIG

    device: NewDevice
    info: Spec

    @property
    def devices(self) -> frozenset[int]:
        """The lower device."""
        return some(self.device.lower)

    def describe(self, name_of: NameOf) -> str:
        new = self.device
        parts = [f"{what} {value}" for what, value in (("MAC", new.mac), ("MTU", new.mtu)) if value]
        parts += self.info.words()
        where = f" on {name_of(new.lower)}" if new.lower else ""
        where += f" in {_words(new.place)}" if new.place else ""
        options = f" with {', '.join(parts)}" if parts else ""
        return f"create {self.info.kind} {new.name}{where}{options}"


@dataclass(frozen=True, slots=True)
class ChangeLink(OfDevice):
    """Change the options of a device in place (rtnl_changelink). EOPNOTSUPP for a device of another kind."""

    info: Options | BridgeRest

    def describe(self, name_of: NameOf) -> str:
        options = ", ".join(self.info.words())
        return f"change {name_of(self.ifindex)}{f' to {options}' if options else ''}"


@dataclass(frozen=True, slots=True)
class DeleteLink(OfDevice):
    """Delete a device that failoverd made. The kernel releases and closes a bond's slaves."""

    weight: ClassVar = Weight.BIG

    def describe(self, name_of: NameOf) -> str:
        return f"delete {name_of(self.ifindex)}"


@dataclass(frozen=True, slots=True)
class DeleteMarked(Request):
    """Delete the device that has an alternative name (RTM_DELLINK with IFLA_ALT_IFNAME).

    Between the look and the deletion, an ifindex may have become another device's; the name is on one device only. So
    no device is deleted that has not got it.
    """

    weight: ClassVar = Weight.BIG
    harmless: ClassVar = frozenset({errno.ENODEV})

    altname: str

    @property
    def devices(self) -> frozenset[int]:
        """None: the ifindex is not known."""
        return frozenset()

    def describe(self, _name_of: NameOf) -> str:
        return f"delete the device with the alternative name {self.altname}"


@dataclass(frozen=True, slots=True)
class MoveLink(OfDevice):
    """Move a device to another network namespace (IFLA_NET_NS_FD).

    MTU, MAC and alternative names go along; addresses, routes, the master and IFF_UP are lost. It gets another ifindex
    where another device there has its own. EEXIST where one there has its name or one of its alternative names; EINVAL
    for a device that cannot be moved, such as a bond or a bridge (net/core/dev.c, __dev_change_net_namespace).
    """

    weight: ClassVar = Weight.BIG

    place: Place

    new_ifindex: int = 0
    """The ifindex to have there (EBUSY where another device has it); 0 for its own, if that is free."""

    name: str = ""
    """Its name from then on; "" for its own. It has its old name there for a moment."""

    def describe(self, name_of: NameOf) -> str:
        name = f" as {self.name}" if self.name else ""
        return f"move {name_of(self.ifindex)} to {_words(self.place)}{name}"


@dataclass(frozen=True, slots=True)
class SetUp(OfDevice):
    """Set or clear IFF_UP.

    A carrier that the device had before it came up is reported only with the kernel's next batch, up to a second later
    (net/core/link_watch.c; on newer kernels a query flushes it).
    """

    untold: ClassVar = True
    bounded: ClassVar = True

    up: bool

    def describe(self, name_of: NameOf) -> str:
        return f"set {name_of(self.ifindex)} {'up' if self.up else 'down'}"

    def undone(self, name_of: NameOf) -> str:
        return f"{name_of(self.ifindex)} was set up again; if it is down, look for a network manager that has it"


@dataclass(frozen=True, slots=True)
class SetMtu(OfDevice):
    """Set the MTU, in bytes."""

    bounded: ClassVar = True

    mtu: int

    def describe(self, name_of: NameOf) -> str:
        return f"set the MTU of {name_of(self.ifindex)} to {self.mtu}"


@dataclass(frozen=True, slots=True)
class SetMac(OfDevice):
    """Set the MAC."""

    mac: str
    """Lower case with colons."""

    def describe(self, name_of: NameOf) -> str:
        return f"set the MAC of {name_of(self.ifindex)} to {self.mac}"


@dataclass(frozen=True, slots=True)
class Rename(OfDevice):
    """Rename a device. Kernels before 6.2 refuse (EBUSY) while it is up."""

    name: str

    def describe(self, name_of: NameOf) -> str:
        return f"rename {name_of(self.ifindex)} to {self.name}"


@dataclass(frozen=True, slots=True)
class AddAltname(OfDevice):
    """Add an alternative name (RTM_NEWLINKPROP).

    The kernel sends no notification of one while the device is down (net/core/dev.c, netdev_state_change).
    """

    harmless: ClassVar = frozenset({errno.EEXIST})
    watched: ClassVar = True
    untold: ClassVar = True

    name: str

    def describe(self, name_of: NameOf) -> str:
        return f"add the alternative name {self.name} to {name_of(self.ifindex)}"


@dataclass(frozen=True, slots=True)
class DropAltname(OfDevice):
    """Remove an alternative name (RTM_DELLINKPROP)."""

    harmless: ClassVar = frozenset({errno.ENOENT})
    watched: ClassVar = True
    untold: ClassVar = True

    name: str

    def describe(self, name_of: NameOf) -> str:
        return f"drop the alternative name {self.name} of {name_of(self.ifindex)}"


@dataclass(frozen=True, slots=True)
class SetMaster(OfDevice):
    """Enslave a device, which must be down. Master 0: release it; the kernel closes it."""

    weight: ClassVar = Weight.BIG
    bounded: ClassVar = True

    master: int

    @property
    def devices(self) -> frozenset[int]:
        """The slave and its master."""
        return some(self.ifindex, self.master)

    def describe(self, name_of: NameOf) -> str:
        name = name_of(self.ifindex)
        return f"enslave {name} to {name_of(self.master)}" if self.master else f"free {name}"


@dataclass(frozen=True, slots=True)
class TryMaster(OfDevice):
    """Test whether a device could be enslaved, without enslaving it.

    The device is up, and bonding refuses devices that are up. Of a device that something else holds (a macvlan of any
    namespace) it says so first (EBUSY); of one that could be enslaved it says EPERM (drivers/net/bonding/bond_main.c,
    bond_enslave). The journal is written by then, so a kernel that did enslave it would lose nothing.
    """

    master: int

    @property
    def devices(self) -> frozenset[int]:
        """The slave and its master."""
        return some(self.ifindex, self.master)

    def describe(self, name_of: NameOf) -> str:
        return f"see whether the kernel would enslave {name_of(self.ifindex)} to {name_of(self.master)}"

    def refused(self, number: int, text: str, name_of: NameOf) -> str:
        return f"the kernel would not enslave it: {answer(number, text)}; {HELD}"


@dataclass(frozen=True, slots=True)
class SetActive(OfDevice):
    """Choose a bond's active slave (IFLA_BOND_ACTIVE_SLAVE). The kernel announces the change."""

    weight: ClassVar = Weight.SWITCH

    slave: int

    @property
    def devices(self) -> frozenset[int]:
        """The bond and its slave."""
        return some(self.ifindex, self.slave)

    def describe(self, name_of: NameOf) -> str:
        return f"make {name_of(self.slave)} the active slave of {name_of(self.ifindex)}"


@dataclass(frozen=True, slots=True)
class HearAll(OfDevice):
    """Let a bond take in frames on slaves that do not carry, or not (IFLA_BOND_ALL_SLAVES_ACTIVE)."""

    on: bool

    def describe(self, name_of: NameOf) -> str:
        return f"{_let(self.on)} {name_of(self.ifindex)} take in what comes to the slave that does not carry"


@dataclass(frozen=True, slots=True)
class SetAllMulticast(OfDevice):
    """Set or clear IFF_ALLMULTI: take in every multicast frame."""

    on: bool

    def describe(self, name_of: NameOf) -> str:
        return f"{_let(self.on)} {name_of(self.ifindex)} take in all multicast"


@dataclass(frozen=True, slots=True)
class SetPromiscuous(OfDevice):
    """Set or clear IFF_PROMISC: take in every frame, not only its own."""

    on: bool

    def describe(self, name_of: NameOf) -> str:
        return f"{_let(self.on)} {name_of(self.ifindex)} take in every frame, not only its own"


def _words(place: Place) -> str:
    return "failoverd's network namespace" if place.is_own else f"network namespace {place.nsid}"


def _let(on: bool) -> str:
    return "let" if on else "no longer let"
