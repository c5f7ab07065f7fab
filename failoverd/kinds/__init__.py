"""The kinds of device that have options of their own: one file each.

A file has the options that the kernel reports for such a device (IFLA_INFO_DATA), those of them that are read, and the
attributes that create one. Kinds without a file are known by their names alone. A further kind is its file and its name
in Info, Spec, KINDS and `__all__` here. It takes more places than these to declare a link of it: docs/adding.md has
them.
"""

from __future__ import annotations

from collections.abc import Mapping

from failoverd.kinds.base import Data, NewDevice, Place
from failoverd.kinds.bond import Bond
from failoverd.kinds.bridge import Bridge
from failoverd.kinds.dummy import Dummy
from failoverd.kinds.ipvlan import Ipvlan
from failoverd.kinds.macvlan import Macvlan
from failoverd.kinds.veth import Veth, VethPair
from failoverd.kinds.vlan import Vlan
from failoverd.kinds.vrf import Vrf

__all__ = [
    "KINDS",
    "Bond",
    "Bridge",
    "Data",
    "Dummy",
    "Info",
    "Ipvlan",
    "Macvlan",
    "NewDevice",
    "Place",
    "Spec",
    "Veth",
    "VethPair",
    "Vlan",
    "Vrf",
]

Info = Bond | Bridge | Dummy | Ipvlan | Macvlan | Veth | Vlan | Vrf
"""The options of an existing device of one of these kinds."""

Spec = Bond | Bridge | Dummy | Ipvlan | Macvlan | VethPair | Vlan | Vrf
"""The options of a new device of one of these kinds."""

KINDS: Mapping[str, type[Info]] = {kind.kind: kind for kind in (Bond, Bridge, Dummy, Ipvlan, Macvlan, Veth, Vlan, Vrf)}
"""By the kernel's name of the kind (IFLA_INFO_KIND)."""
