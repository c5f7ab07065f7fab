"""Which datapath joins which pair, and the pairs that follow from it.

What is joined stays as it is, whatever the configuration says by now: a bond of ours, or our filters. For the others
the configuration chooses, and where it leaves it open the machine does: without bonding it has to be tc, and where a
bond would cost the machine its address (daemon/neighbours.py), too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from failoverd.core.marks import strangers
from failoverd.core.state import PairState, State
from failoverd.datapaths import bond, kernel, tc
from failoverd.datapaths.base import Datapath
from failoverd.model.pairs import Pair
from failoverd.policy.naming import is_touched
from failoverd.policy.pairing import judge

DATAPATHS: Mapping[str, Datapath] = {one.name: one for one in (bond.DATAPATH, tc.DATAPATH, kernel.DATAPATH)}


def rejudge(state: State) -> None:
    """Ask pairing anew, and keep a PairState for every MAC that has a pair or a journal."""
    if not state.synced:
        return
    wanted = state.config.master.datapath
    usual = DATAPATHS[("tc" if state.no_bond else "bond") if wanted == "auto" else wanted]
    found = judge(state.links, state.config.pairing, usual.in_place)
    pairs = {}
    for mac, pair in found.pairs.items():
        known = state.pairs.setdefault(mac, PairState(mac))
        known.datapath = _joined_by(state, pair) or usual
        pairs[mac] = _with_master(state, pair, known)
    for mac in [mac for mac, pair in state.pairs.items() if mac not in {*pairs, *found.spare} and _is_over(pair)]:
        del state.pairs[mac]
    state.judgements = replace(found, pairs=pairs)
    state.strangers = strangers(state.links, pairs)


def _is_over(pair: PairState) -> bool:
    """Whether there is nothing left to do or to remember of a pair that is gone. A machine may see many MACs."""
    is_owed = pair.journal is not None or pair.drain is not None or pair.marks != {} or pair.leaving is not None
    is_under_way = bool(pair.sent or pair.switching or pair.looking or pair.renames or pair.announcing)
    return not (is_owed or is_under_way or pair.held or pair.joined)


def why_tc(state: State, pair: PairState) -> str:
    """Why this pair is joined by tc where the configuration leaves it open, or ""."""
    is_chosen = state.config.master.datapath == "auto" and pair.datapath is tc.DATAPATH and state.no_bond
    return f"joined by tc and not by a bond: {state.no_bond}" if is_chosen else ""


def _joined_by(state: State, pair: Pair) -> Datapath | None:
    """What has joined this pair already."""
    if pair.adopted:
        return kernel.DATAPATH
    if pair.master:
        return bond.DATAPATH
    return tc.DATAPATH if _is_redirected(state, pair) else None


def _with_master(state: State, pair: Pair, known: PairState) -> Pair:
    """Where nothing is made, the paravirtual NIC is the master, once there is something to be the master of."""
    if not known.datapath.in_place or not pair.nic or pair.master:
        return pair
    create = state.config.master.create
    is_kept = create == "always" or (create == "remembered" and pair.mac in state.remembered)
    return replace(pair, master=pair.nic) if pair.vf or is_kept or _is_redirected(state, pair) else pair


def _is_redirected(state: State, pair: Pair) -> bool:
    """Whether something of ours is on one of the two."""
    links = (state.link(pair.nic), state.link(pair.vf))
    return any(is_touched(link) for link in links if link is not None)
