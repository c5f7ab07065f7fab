"""Marks for udev: the properties that a NIC of a pair has from its first event on.

    step -> KeepMarks -> files in /run/failoverd/udev -> udev-rules/70-failoverd.rules imports one at each event

The rules only name files, so everything is decided here, before udev asks. A file is written before the request that
causes the event it is for, and the one for a VF before the VF is plugged: a listener to udev never sees a slave without
its marks. A switch of the active slave comes before the marks that follow from it. No process is ever spawned for a
mark.

Which file is a NIC's? Its own name is no help, as a new VF's is not known yet. Its MAC is, but the paravirtual NIC (and
so the kernel's own master) has the same, and may be the one NIC that carries everything: to mark that one as unmanaged
would take a machine off the network. So a NIC that is here has a file of its own, named by MAC and parent device, and
one by MAC and driver for when it is plugged in anew while failoverd is not running. The file that bears the MAC alone
is for any other NIC that appears with it: the VF. The own files come first in the mapping, and are written first.

    <mac>-<parent>, <mac>-<driver>   the paravirtual NIC: standby (bond), master (in place, net_failover), or empty
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
from dataclasses import field
from typing import TYPE_CHECKING

from failoverd.dataclass import dataclass
from failoverd.model.actions import Action, KeepMarks, Say, Send
from failoverd.model.links import Link
from failoverd.model.owners import Part
from failoverd.model.pairs import Goal, Pair
from failoverd.policy.naming import is_named

if TYPE_CHECKING:
    from failoverd.core.state import PairState, State

UNMANAGED = "NM_UNMANAGED=1\n"
PLAIN = re.compile("[A-Za-z0-9#+.:=@_-]*")
IN_A_FILE_NAME = re.compile("[A-Za-z0-9.:_-]+")


@dataclass(slots=True)
class Marking:
    """The files of a pair for udev."""

    files: Mapping[str, str] | None = field(default_factory=dict)
    """The files as last kept, by name; None where others may be there."""
    again_at: float = 0.0
    """When to write them again after a failure."""
    failures: int = 0
    """The number of failures in a row."""


def with_marks(state: State, pair: PairState, actions: list[Action], now: float) -> list[Action]:
    """Return a pair's actions, with the marks if they have changed: first, but behind a switch of the active slave.

    Marks that could not be written are tried again when it is time.
    """
    files = marks(state, pair)
    if files == pair.marking.files or now < pair.marking.again_at:
        return actions
    if pair.marking.files is not None:
        pair.marking.failures = 0
    pair.marking.files = files
    keep = KeepMarks(pair.mac, files)
    is_switch = any(isinstance(action, Send) and action.ticket.part is Part.CARRY for action in actions)
    return [*actions, keep] if is_switch else [keep, *actions]


def next_try(pair: PairState, now: float) -> float | None:
    """Return when marks that could not be written are tried again."""
    return pair.marking.again_at if now < pair.marking.again_at and pair.marking.files is None else None


def not_marked(state: State, pair: PairState, why: str, now: float) -> list[Action]:
    """The marks could not be written, so it is unknown which are there. That is logged once."""
    pair.marking.files, pair.marking.failures = None, pair.marking.failures + 1
    wait = min(state.config.join.retry * 2.0 ** min(pair.marking.failures - 1, 32), state.config.join.retry_max)
    pair.marking.again_at = now + wait
    text = f"{pair.mac}: cannot write the marks for udev: {why}; its NICs stay as they are marked until that works"
    return [Say("error", text)] if pair.marking.failures == 1 else []


def marks(state: State, pair: PairState) -> Mapping[str, str]:
    """Return the files of this pair, by name, those of present NICs first; empty where it is no pair."""
    found = state.judgements.pairs.get(pair.mac)
    if found is None:
        return {}
    nic = state.link(found.nic)
    files = {f"{pair.mac}-{parent}": "" for parent in state.judgements.strangers.get(pair.mac, ()) if _is_fit(parent)}
    if nic is not None:
        own = [f"{pair.mac}-{word}" for word in (nic.parent, nic.driver) if _is_fit(word)]
        if not own:
            # Where it could not be told from the VF, no marks are better than the VF's on it.
            return {}
        files |= dict.fromkeys(own, _of_nic(state, pair, found, nic))
        if pair.datapath.nic_is(found) == "one of three":
            files[f"{pair.mac}-sby"] = _slave(state, pair, found, "standby", found.nic)
    if _is_ours(state, pair, found):
        files[pair.mac] = _slave(state, pair, found, "primary", found.vf)
    return files


def plain(name: str) -> str:
    r"""Escape a device's name for udev: every byte but letters, digits and #+-.:=@_ as \xNN, as udev writes it."""
    if PLAIN.fullmatch(name):
        return name
    raw = name.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if PLAIN.fullmatch(chr(byte)) else f"\\x{byte:02x}" for byte in raw)


def _of_nic(state: State, pair: PairState, found: Pair, nic: Link) -> str:
    match pair.datapath.nic_is(found):
        case "one of three":
            return _properties(state, pair, found, "master")
        case "master" if _is_ours(state, pair, found):
            return _properties(state, pair, found, "master") + _active(state, found, nic.ifindex)
        case "standby" if _is_standby(state, pair, found, nic):
            return _slave(state, pair, found, "standby", nic.ifindex)
        case _:
            return ""


def _is_ours(state: State, pair: PairState, found: Pair) -> bool:
    """Whether a VF of this pair is failoverd's to mark: until the pair is released, and the release is over."""
    vf, master = state.link(found.vf), state.link(found.master)
    return not pair.held or (vf is not None and master is not None and pair.datapath.holds(vf, master))


def _is_standby(state: State, pair: PairState, found: Pair, nic: Link) -> bool:
    """Whether the NIC is the standby: from giving its name away until getting it back, as those renames are events."""
    if pair.move.journal is not None and pair.move.journal.cut:
        return pair.move.journal.toward is Goal.JOINED
    master = state.link(found.master)
    return nic.ifindex in state.arrivals.held_on or (master is not None and pair.datapath.holds(nic, master))


def _slave(state: State, pair: PairState, found: Pair, role: str, ifindex: int) -> str:
    return UNMANAGED + _properties(state, pair, found, role) + _active(state, found, ifindex)


def _properties(state: State, pair: PairState, found: Pair, role: str) -> str:
    return f"FAILOVERD_MASTER={plain(_master_name(state, pair, found))}\nFAILOVERD_ROLE={role}\n"


def _active(state: State, found: Pair, ifindex: int) -> str:
    return f"FAILOVERD_ACTIVE={int(ifindex != 0 and state.active(found) == ifindex)}\n"


def _master_name(state: State, pair: PairState, found: Pair) -> str:
    """Return the master's name, now or to be."""
    master = state.link(found.master)
    if master is not None and is_named(master, pair.mac):
        return master.name
    journal = pair.move.journal
    return journal.name if journal is not None else state.name(found.nic) or state.name(found.master)


def _is_fit(word: str) -> bool:
    """Whether this can be part of a file's name, and is what udev puts into a path (it rewrites odd characters)."""
    return IN_A_FILE_NAME.fullmatch(word) is not None
