"""Pairs, verdicts, and the record of a configuration that moves from one device to another."""

from __future__ import annotations

from enum import Enum

from failoverd.dataclass import dataclass
from failoverd.kinds import Vlan
from failoverd.model.inet import Address, Label, Neighbour, Route, Setting
from failoverd.model.links import Link


class Verdict(Enum):
    """What pairing made of a NIC. The value is the word that `failoverctl explain` prints."""

    PAIRED = "paired"
    ALONE = "alone"
    REFUSED = "refused"
    IGNORED = "ignored"
    LEFT_ALONE = "left-alone"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and its reason, in words for the administrator."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A paravirtual NIC, the VF with its permanent MAC, and the master that joins them; ifindexes, 0 for none.

    `adopted`: the kernel has joined them itself (net_failover; hv_netvsc, where the paravirtual NIC is the master).
    """

    mac: str
    nic: int = 0
    vf: int = 0
    master: int = 0
    adopted: bool = False


class Goal(Enum):
    """The state that a pair is on its way to."""

    JOINED = "joined"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Inet:
    """The IP configuration of one device at one moment. `settings` are sysctls and the like, by name."""

    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    labels: tuple[Label, ...] = ()
    settings: tuple[Setting, ...] = ()


@dataclass(frozen=True, slots=True)
class StackedVlan:
    """A VLAN on the device whose configuration moves, which is made anew on the other device.

    It has that device's MAC. `up`, `mtu` and `altnames` as in `Journal`.
    """

    name: str
    info: Vlan
    up: bool
    mtu: int
    altnames: tuple[str, ...] = ()
    inet: Inet = Inet()

    @property
    def key(self) -> tuple[int, int]:
        """What the kernel lets no two VLANs on one device have in common: the protocol and the number."""
        return (self.info.protocol, self.info.id)


@dataclass(frozen=True, slots=True)
class Journal:
    """The configuration that is on its way to another device, so that it survives a crash in the middle.

    `name`, `up`, `mtu` and `altnames` are those of the device that the rest of the machine deals with. `extra` is the
    VF's own configuration. With `cut` set, the move may have begun, and the journal is the truth; before, the devices
    are. `toward` says which way the configuration goes. `nic` is the ifindex of the paravirtual NIC that had the name,
    0 for unknown. `vlans` are those on the device that go along.
    """

    mac: str
    toward: Goal
    name: str
    up: bool
    mtu: int
    altnames: tuple[str, ...] = ()
    inet: Inet = Inet()
    extra: Inet = Inet()
    cut: bool = False
    nic: int = 0
    vlans: tuple[StackedVlan, ...] = ()


@dataclass(frozen=True, slots=True)
class There:
    """A joined pair in another network namespace, as it was last seen. Its ifindexes are that namespace's."""

    master: Link
    nic: Link | None
    """The paravirtual NIC."""
    vf: Link | None
    active: int
    """The ifindex of the slave that carries, 0 for none."""
    bad_primary: str
    """Why the VF cannot carry whatever its MTU, or ""."""
    bad_standby: str
    """Why the paravirtual NIC cannot, or ""."""
    is_told: bool
    """Whether the neighbours were told of the last switch."""
    text: str
    """Which slave carries, and why, in words."""
    because: str = ""
    """Why it does and not the one before it, in words; "" before the first change."""
    mtu_mismatch: str = ""
    """Why the VF's MTU does not fit the master's, or ""."""

    @property
    def unfit(self) -> str:
        """Why the VF cannot carry, or ""."""
        return self.bad_primary or self.mtu_mismatch

    def words(self) -> set[str]:
        """Return every word by which a user may name one of its devices."""
        links = [link for link in (self.master, self.nic, self.vf) if link is not None]
        return set[str]().union(*({link.name, *link.altnames} for link in links))

    def is_vf(self, ifindex: int) -> bool:
        """Whether this is its VF."""
        return self.vf is not None and self.vf.ifindex == ifindex

    def name(self, ifindex: int) -> str:
        """Return the name of one of its devices, "" for another one."""
        links = (self.master, self.nic, self.vf)
        return next((link.name for link in links if link is not None and link.ifindex == ifindex), "")
