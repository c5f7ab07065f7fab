"""Declared links: what the administrator wants to be there, one device at a time.

The unit is the *end*. A veth is two ends that name each other, and so two authors may declare one each; a device of any
other kind is an end of its own. Ends come from sources (the configuration's files) as complete snapshots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

from failoverd.dataclass import dataclass
from failoverd.kinds import Bridge, Dummy, Ipvlan, Macvlan, Vlan, Vrf

EXISTING = "existing"
"""The kind of a device that another program makes, and failoverd only configures."""

Options = Bridge | Dummy | Ipvlan | Macvlan | Vlan | Vrf
"""The options of the kinds that are one device each."""


@dataclass(frozen=True, slots=True)
class NamespaceRef:
    """How a declaration names a network namespace."""

    by: str = "own"
    """"own" (failoverd's), "name" (below /run/netns), "pid", "path" or "container"."""

    value: str = ""
    """The name, the pid in decimal, the path, or the container ("label:K=V", "env:K=V", "name:N", "id:I", "pod:NS/N",
    "machine:N").
    """

    create: bool = False
    """Whether a missing one is to be made; by name only."""

    def __str__(self) -> str:
        """name red"""
        return f"{self.by} {self.value}" if self.value else self.by

    @property
    def word(self) -> str:
        """The word by which `failoverctl move` takes it, such as "red" or "pid:47"; "" for failoverd's own."""
        if self.by == "name" and self.value.partition(":")[0] not in ("name", "pid", "path", "container"):
            return self.value
        return f"{self.by}:{self.value}" if self.value else ""

    def is_like(self, other: NamespaceRef | None) -> bool:
        """Whether both name the same, whatever is done where it is missing."""
        return other is not None and (self.by, self.value) == (other.by, other.value)


OWN = NamespaceRef()


@dataclass(frozen=True, slots=True)
class DeviceRef:
    """How a declaration names another device: the lower device of a VLAN, the port of a bridge."""

    by: str
    """"master" (a failover master, by name or MAC), "link" (another declared link), or "device" (by name, in the
    namespace of failoverd for a lower device).
    """

    value: str

    def __str__(self) -> str:
        """master:ens3"""
        return f"{self.by}:{self.value}"


@dataclass(frozen=True, slots=True)
class DeclaredRoute:
    """A route through a declared device."""

    to: str
    """A prefix as `ipaddress` writes it; 0.0.0.0/0 or ::/0 for the default route."""

    via: str = ""
    """The gateway's address; "" for a prefix that is on the link."""

    metric: int = 0
    """0 for the kernel's own choice."""

    table: int = 254

    def __str__(self) -> str:
        """10.0.0.0/8 via 192.168.22.1 metric 50 table 7"""
        via = f" via {self.via}" if self.via else ""
        metric = f" metric {self.metric}" if self.metric else ""
        return f"{self.to}{via}{metric}" + (f" table {self.table}" if self.table != 254 else "")


@dataclass(frozen=True, slots=True)
class End:
    """One declared device."""

    name: str
    """Its identity on this machine: the [link.NAME] of its table. "NAME.peer" is the far end of a veth whose `peer` is
    a table.
    """

    kind: str
    """A kind of kinds/, or EXISTING."""

    device: str
    """The device's name in its namespace."""

    namespace: NamespaceRef = OWN
    peer: str = ""
    """The name of a veth's other end."""

    options: Options | None = None
    """None for a veth and for EXISTING."""

    lower: DeviceRef | None = None
    """What a VLAN, a macvlan or an ipvlan stands on."""

    ports: tuple[DeviceRef, ...] = ()
    """The ports of a bridge, and the devices of a VRF; sorted by their texts."""

    up: bool = True
    mac: str = ""
    """Lower case with colons. "" leaves it to failoverd, which derives one that is the same after every re-creation."""

    mtu: int = 0
    """In bytes; 0 leaves it as it is."""

    addresses: tuple[str, ...] = ()
    """As `ipaddress.ip_interface` writes them."""

    routes: tuple[DeclaredRoute, ...] = ()
    keeps_foreign_addresses: bool = True
    """Whether addresses that others have put on it stay."""

    source: str = field(default="", compare=False)
    """Where it was declared, for people: the file and the line. It is no part of what is declared: a comment above it
    changes it."""

    owner: str = field(default="", compare=False)
    """The pod that an attachment is for, as people know it; "" for what files and etcd declare."""

    network: str = field(default="", compare=False)
    """The name of an attachment's network, as its container runtime has it."""


Declared = Mapping[str, End]
"""The ends by their names."""

NOTHING: Declared = MappingProxyType({})
