"""The name of a pair, which has to be the same at every boot: stored when it is joined, looked up before it is.

The stored name is the one that the paravirtual NIC has on its own; the master's name follows from it. A name that could
not be had at one boot stays stored. A name that is given to the master while the pair is joined replaces it.
"""

from __future__ import annotations

from failoverd.core.state import PairState, State
from failoverd.model.actions import Action
from failoverd.model.links import Link
from failoverd.model.pairs import Pair
from failoverd.policy.boot_names import meant_name
from failoverd.policy.wanted import nic_name

BOOTING = 300.0
"""Seconds since boot (the engine's clock) in which only the initramfs can have configured a NIC."""


def meant(state: State, pair: PairState, found: Pair, now: float) -> str:
    """Return the name that the NIC of an unjoined pair was meant to have, "" if its name is right.

    After the boot, neither the stored nor the configured name counts for a pair that has a stored name: the
    administrator or another program may have named it since, and that name stays.
    """
    nic = pair.datapath.named_nic(state.link(found.nic))
    if nic is None or pair.joined or found.nic not in state.arrivals.plain:
        return ""
    vf, is_boot = state.link(found.vf), now < BOOTING
    remembered, words = state.memory.names.get(pair.mac, ""), state.configured
    if remembered and not is_boot:
        remembered, words = nic.name, frozenset()
    return meant_name(nic, vf, state.arrivals.plain[found.nic], remembered, words, state.links)


def remember_name(state: State, pair: PairState, found: Pair, master: Link) -> list[Action]:
    """Store the name that the NIC of a joined pair has on its own, if it is new or was changed with its master."""
    nic, called = pair.datapath.named_nic(state.link(found.nic)), pair.names.called
    pair.names.rests_as(master.name)
    is_known = pair.mac in state.memory.names and called in ("", master.name)
    if nic is None or is_known:
        return []
    naming = state.config.naming
    name = master.name if naming.master == "{nic}" else nic_name(nic, master.ifindex, pair.mac, naming, "", state.links)
    is_new = state.memory.names.get(pair.mac) != name and name.isascii()
    return state.memory.name(pair.mac, name) if is_new else []
