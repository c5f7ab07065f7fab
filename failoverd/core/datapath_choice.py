"""The choice of the datapath for each pair.

A joined pair stays as it is, whatever the configuration says by now: a bond that failoverd made, or its filters. For
the others the configuration chooses. Where it leaves the choice open, each pair gets a bond unless something speaks
against one (bond_obstacle): a kernel without bonding, a network manager that could not follow to a bond
(daemon/configurers), or something that hangs on its paravirtual NIC and would be cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from failoverd.core.state import NO_BONDING, PairState, State
from failoverd.datapaths import bond, kernel, netvsc, tc
from failoverd.datapaths.base import Datapath
from failoverd.model.links import Link
from failoverd.model.pairs import Pair
from failoverd.policy.naming import is_touched
from failoverd.policy.stacking import enslaving_obstacle, programs_on

JOINING: tuple[Datapath, ...] = (bond.DATAPATH, tc.DATAPATH, kernel.DATAPATH, netvsc.DATAPATH)
DATAPATHS: Mapping[str, Datapath] = {one.name: one for one in JOINING}
BOND, WITHOUT_BONDING = "bond", "tc"
"""The default datapath where the configuration leaves it open, and the one for pairs that cannot have a bond."""


def joined_by(state: State, pair: Pair) -> Datapath | None:
    """Return the datapath that has joined this pair already."""
    is_touched = _is_redirected(state, pair)
    return next((one for one in DATAPATHS.values() if one.has_joined(pair, is_touched)), None)


def chosen(state: State, nic: Link) -> Datapath:
    """Return the datapath for the pair of this paravirtual NIC, which is not joined yet."""
    wanted = state.config.master.datapath
    if wanted == "auto":
        wanted = WITHOUT_BONDING if bond_obstacle(state, nic) else BOND
    return DATAPATHS[wanted]


def with_master(state: State, pair: Pair, known: PairState) -> Pair:
    """Return the pair with its master. In place, the paravirtual NIC is the master, once it has something to be master
    of.
    """
    master = known.datapath.own_master(pair.nic)
    if not master or pair.master:
        return pair
    create = state.config.master.create
    is_kept = create == "always" or (create == "remembered" and pair.mac in state.memory.joined)
    return replace(pair, master=master) if pair.vf or is_kept or _is_redirected(state, pair) else pair


def left_unjoined_reason(state: State, known: PairState, pair: Pair) -> str:
    """Return why an unjoined pair is better left so, or "".

    It can have no bond, and joined by tc the machine would be deaf.
    """
    nic, vf = state.link(pair.nic), state.link(pair.vf)
    is_open = state.config.master.datapath == "auto" and not known.held and known.move.journal is None
    if nic is None or vf is None or not is_open or not known.datapath.is_deaf(nic):
        return ""
    way_out = "" if state.bonding.missing else ", or set [master] datapath to bond"
    name, bondless = known.datapath.name, bond_obstacle(state, nic)
    return (
        f"it would have to be joined by {name} ({bondless}), and {nic.name} has no carrier: the kernel would drop all "
        f"that {vf.name} receives for it; have the host set the link of {nic.name} up{way_out}"
    )


def can_decide(state: State, old: Link, link: Link) -> bool:
    """Whether this change of a NIC's link may decide the datapath of its pair, which is not joined yet."""
    if (old.up, old.carrier, old.medium) == (link.up, link.carrier, link.medium):
        return False
    pair, found = state.pairs.get(link.perm_mac), state.judgements.pairs.get(link.perm_mac)
    is_open = pair is not None and found is not None and found.vf != 0 and not pair.joined
    return link.perm_mac in state.judgements.deaf or (is_open and state.config.master.datapath == "auto")


def bond_obstacle(state: State, nic: Link) -> str:
    """Return why the pair of this paravirtual NIC has no bond where the configuration leaves it open, or "".

    The one place where that is decided: machine-wide facts first, then the facts about this NIC.
    """
    if state.bonding.missing:
        return NO_BONDING
    known = state.pairs.get(nic.perm_mac)
    seen = known.obstacles.unbondable.get(nic.ifindex, "") if known is not None else ""
    return enslaving_obstacle(nic, state.links) or seen or state.bonding.configurers.get(nic.ifindex, "")


def datapath_reason(state: State, pair: PairState, nic: Link) -> str:
    """Return why this pair is joined by tc where the configuration leaves it open, or what speaks against its bond.

    The latter is for a bond that the configuration asks for. "" for neither.
    """
    wanted, name = state.config.master.datapath, pair.datapath.name
    if wanted == "auto" and name == WITHOUT_BONDING:
        why = bond_obstacle(state, nic)
        return f"joined by {name} and not by a bond: {why}" if why else ""
    why = state.bonding.configurers.get(nic.ifindex, "") or programs_on(nic)
    return f"joined by a bond, as the configuration says, although {why}" if why and name == wanted == BOND else ""


def _is_redirected(state: State, pair: Pair) -> bool:
    """Whether failoverd has left a mark or a filter on one of the two."""
    links = (state.link(pair.nic), state.link(pair.vf))
    return any(is_touched(link) for link in links if link is not None)
