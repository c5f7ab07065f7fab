"""Marks for udev: what a NIC of a pair carries as properties from its first event on.

    step -> KeepMarks -> files in /run/failoverd/udev -> udev-rules/70-failoverd.rules imports one at each event

The rules only name files, so everything is decided here, before udev asks. A file is written before the request that
makes the event it is for, and the one for a VF before the VF is plugged: whoever listens to udev never sees a slave
without its marks. Nothing is ever spawned for a mark.

Which file is a NIC's? Its own name is no help, as a new VF's is not known yet. Its MAC is, but the paravirtual NIC (and
so the kernel's own master) has the same, and may be the one NIC that carries everything: to mark that one as unmanaged
would take a machine off the network. So a NIC that is here has a file of its own, named by MAC and parent device, and
one by MAC and driver for when it is plugged in anew while nobody is there to write. The file that bears the MAC alone
is for whoever else turns up with it: the VF. The own files come first in the mapping, and are to be written first.

    <mac>-<parent>, <mac>-<driver>   the paravirtual NIC: standby (bond), master (tc, net_failover), or empty: no marks
    <mac>-sby                        net_failover's standby; udev tells it by its phys_port_name
    <mac>-<parent>                   any other NIC with that MAC that is refused or not to be touched: empty
    <mac>                            the VF, here or to come

Rejected: a file per ifindex or name (a new VF has neither before its event), `PROGRAM` or `RUN` in the rules (a process
for each event of each NIC), the driver's name alone (ethtool's is not always the one in sysfs).

NetworkManager leaves a device with NM_UNMANAGED=1 alone. For systemd-networkd there are two .network files that match
FAILOVERD_ROLE (neighbours/systemd). Not ID_NET_MANAGED_BY, which both obey in newer releases: networkd 257 leaves a
device that gets it at once and as it is, with a DHCP client that goes on renewing the lease, on the slave.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from failoverd.core.state import PairState, State
from failoverd.model.actions import Action, KeepMarks, Send
from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Pair
from failoverd.policy.naming import is_passing_name

UNMANAGED = "NM_UNMANAGED=1\n"
PLAIN = re.compile("[A-Za-z0-9#+.:=@_-]*")
IN_A_FILE_NAME = re.compile("[A-Za-z0-9.:_-]+")


def with_marks(state: State, pair: PairState, actions: list[Action]) -> list[Action]:
    """A pair's actions, and the marks where they have changed: before all, but behind a switch of who carries."""
    files = marks(state, pair)
    if files == pair.marks:
        return actions
    pair.marks = files
    keep = KeepMarks(pair.mac, files)
    is_switch = any(isinstance(action, Send) and action.requests == pair.switching for action in actions)
    return [*actions, keep] if is_switch else [keep, *actions]


def marks(state: State, pair: PairState) -> Mapping[str, str]:
    """The files of this pair, by name, those of NICs that are here first. None where it is no pair."""
    found = state.judgements.pairs.get(pair.mac)
    if found is None:
        return {}
    nic = state.link(found.nic)
    files = {f"{pair.mac}-{parent}": "" for parent in state.strangers.get(pair.mac, ()) if _is_fit(parent)}
    if nic is not None:
        own = [f"{pair.mac}-{word}" for word in (nic.parent, nic.driver) if _is_fit(word)]
        if not own:
            # Where it could not be told from the VF, no marks are better than the VF's on it.
            return {}
        files |= dict.fromkeys(own, _of_nic(state, pair, found, nic))
        if pair.datapath.adopted:
            files[f"{pair.mac}-sby"] = _slave(state, pair, found, "standby", found.nic)
    if _is_ours(state, pair, found):
        files[pair.mac] = _slave(state, pair, found, "primary", found.vf)
    return files


def strangers(links: Mapping[int, Link], pairs: Mapping[str, Pair]) -> Mapping[str, tuple[str, ...]]:
    """By MAC of a pair, the parent devices of those NICs that have the MAC and are not in the pair."""
    found: dict[str, tuple[str, ...]] = {}
    for link in links.values():
        pair = pairs.get(link.mac)
        if pair is None or link.kind or not link.parent:
            continue
        if link.ifindex not in (pair.nic, pair.vf, pair.master):
            found[link.mac] = (*found.get(link.mac, ()), link.parent)
    return found


def plain(name: str) -> str:
    r"""A device's name as a value for udev: every byte but letters, digits and #+-.:=@_ as \xNN, as udev writes it."""
    if PLAIN.fullmatch(name):
        return name
    raw = name.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if PLAIN.fullmatch(chr(byte)) else f"\\x{byte:02x}" for byte in raw)


def _of_nic(state: State, pair: PairState, found: Pair, nic: Link) -> str:
    if pair.datapath.adopted:
        return _properties(state, pair, found, "master")
    if pair.datapath.in_place:
        is_master = found.master == nic.ifindex and _is_ours(state, pair, found)
        return _properties(state, pair, found, "master") + _active(state, found, nic.ifindex) if is_master else ""
    return _slave(state, pair, found, "standby", nic.ifindex) if _is_standby(state, pair, found, nic) else ""


def _is_ours(state: State, pair: PairState, found: Pair) -> bool:
    """Whether a VF of this pair is ours: until it is released, and that is over."""
    vf, master = state.link(found.vf), state.link(found.master)
    return not pair.held or (vf is not None and master is not None and pair.datapath.holds(vf, master))


def _is_standby(state: State, pair: PairState, found: Pair, nic: Link) -> bool:
    """From when it begins to give its name away until it begins to get it back: those renames are events."""
    if pair.journal is not None and pair.journal.cut:
        return pair.journal.toward is Goal.JOINED
    master = state.link(found.master)
    return nic.ifindex in state.held_on or (master is not None and pair.datapath.holds(nic, master))


def _slave(state: State, pair: PairState, found: Pair, role: str, ifindex: int) -> str:
    return UNMANAGED + _properties(state, pair, found, role) + _active(state, found, ifindex)


def _properties(state: State, pair: PairState, found: Pair, role: str) -> str:
    return f"FAILOVERD_MASTER={plain(_master_name(state, pair, found))}\nFAILOVERD_ROLE={role}\n"


def _active(state: State, found: Pair, ifindex: int) -> str:
    return f"FAILOVERD_ACTIVE={int(ifindex != 0 and state.active(found) == ifindex)}\n"


def _master_name(state: State, pair: PairState, found: Pair) -> str:
    """What the master is called, or will be."""
    master = state.name(found.master)
    if master and not is_passing_name(master):
        return master
    return pair.journal.name if pair.journal is not None else state.name(found.nic) or master


def _is_fit(word: str) -> bool:
    """Whether this can be part of a file's name, and is what udev puts into a path (it rewrites odd characters)."""
    return IN_A_FILE_NAME.fullmatch(word) is not None
