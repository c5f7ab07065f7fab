"""The objects in which the rows of the tables of properties (core/document.py) find their values."""

from __future__ import annotations

from typing import NamedTuple

from failoverd.core.state import PairState, State
from failoverd.model.links import Link
from failoverd.model.pairs import Pair
from failoverd.policy.naming import is_named


class MasterOf(NamedTuple):
    """A pair, in which the facts about its master are found."""

    state: State
    pair: PairState
    found: Pair
    link: Link | None
    nic: Link | None
    vf: Link | None
    name: str
    active: int
    """The ifindex of the slave that carries, 0 for none."""


class SlaveOf(NamedTuple):
    """One of the two NICs of a joined pair."""

    master: MasterOf
    link: Link
    role: str


class Nic(NamedTuple):
    """A device and its verdict."""

    link: Link
    verdict: str
    reason: str


def master_of(state: State, pair: PairState, found: Pair) -> MasterOf:
    """Return the present view of a pair."""
    link, nic, vf = state.link(found.master), state.link(found.nic), state.link(found.vf)
    if pair.residing.there is not None:
        # Devices at home that bear its MAC are none of those that carry.
        link = nic = vf = None
    # While the master has a passing name, it is shown under the name of the NIC that it will get it from.
    shown = link if link is not None and is_named(link, pair.mac) else nic
    name = pair.away_name or (shown.name if shown is not None else "")
    return MasterOf(state, pair, found, link, nic, vf, name, state.active(found))
