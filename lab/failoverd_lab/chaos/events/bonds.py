"""Other programs change bonds, failoverd's and their own."""

from __future__ import annotations

import struct

from failoverd_lab.chaos.events.base import link
from failoverd_lab.chaos.machine import ChaosMachine, ChaosPair
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.state import Device

BOND_OPTIONS = {
    "miimon": (n.IFLA_BOND_MIIMON, "=I"),
    "primary": (n.IFLA_BOND_PRIMARY, "=I"),
    "active": (n.IFLA_BOND_ACTIVE_SLAVE, "=I"),
    "reselect": (n.IFLA_BOND_PRIMARY_RESELECT, "=B"),
    "all": (n.IFLA_BOND_ALL_SLAVES_ACTIVE, "=B"),
    "peers": (n.IFLA_BOND_NUM_PEER_NOTIF, "=B"),
}


def bond_option(chaos: ChaosMachine, pair: ChaosPair, opt: str, value: int | str) -> None:
    """Another program changes an option of the pair's bond."""
    if (bond := chaos.bond(pair)) is not None:
        chaos.touched.add("bond")
        _set_option(chaos, pair, bond, opt, value)


def foreign_option(chaos: ChaosMachine, pair: ChaosPair) -> None:
    """The other program's bond gets a third gratuitous announcement, which does not concern failoverd."""
    bond = chaos.device(chaos.foreign["bond9"])
    if bond is not None and bond.kind == "bond":
        _set_option(chaos, pair, bond, "peers", 3)


def _set_option(chaos: ChaosMachine, pair: ChaosPair, bond: Device, opt: str, value: int | str) -> None:
    kind, layout = BOND_OPTIONS[opt]
    number = getattr(pair, value) if isinstance(value, str) else value
    data = wire.attr(n.IFLA_INFO_DATA, wire.attr(kind, struct.pack(layout, number)))
    info = wire.nest(n.IFLA_LINKINFO, wire.string(n.IFLA_INFO_KIND, "bond"), data)
    link(chaos, n.RTM_NEWLINK, bond.index, info)


def no_master(chaos: ChaosMachine, pair: ChaosPair) -> None:
    """An administrator deletes the pair's bond, with all that is on it."""
    if (bond := chaos.bond(pair)) is not None:
        chaos.touched.add("bond")
        chaos.kernel.admin.delete(bond.index)
