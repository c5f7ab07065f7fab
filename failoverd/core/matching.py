"""Pairing, MAC by MAC: the MACs that a change concerns are judged anew, and each pair found gets its datapath.

core/scope.py finds the MACs, core/datapath_choice.py chooses the datapath.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from failoverd.core.datapath_choice import chosen, joined_by, left_unjoined_reason, with_master
from failoverd.core.scope import every_mac, kept_master, kept_nic, macs_of, neighbourhood, related
from failoverd.core.state import PairState, State
from failoverd.kinds import Bond
from failoverd.model.links import Link
from failoverd.model.owners import PairOf
from failoverd.model.pairs import Inet, Judgement, Pair, Verdict
from failoverd.policy.naming import is_left_over, is_marked
from failoverd.policy.pairing import judge

READ = (
    "name",
    "mac",
    "perm_mac",
    "master",
    "link",
    "kind",
    "slave_kind",
    "bus",
    "parent",
    "driver",
    "hardware",
    "altnames",
    "standby_feature",
    "tc",
    "xdp",
)
READ_OF_BOND = ("lp_interval",)
"""The only fields of a Link, and of its Bond, that `rejudge` reads: two that agree in them are judged alike. (A bond's
active slave is not one of them: it changes at every failover.)
"""
_read, _read_of_bond = attrgetter(*READ), attrgetter(*READ_OF_BOND)


def is_judged_anew(old: Link, new: Link) -> bool:
    """Whether a device has changed in a field that pairing reads."""
    bonds = [_read_of_bond(link.info) if isinstance(link.info, Bond) else None for link in (old, new)]
    return bool(_read(old) != _read(new) or bonds[0] != bonds[1])


def rejudge(state: State, macs: Iterable[str] | None = None) -> None:
    """Judge these MACs anew, or all there are, and have their pairs looked at.

    There is a PairState for every MAC that has a pair, a journal or leftovers.
    """
    if not state.synced:
        return
    wanted = related(state, every_mac(state) if macs is None else macs)
    if not wanted:
        return
    nearby = neighbourhood(state, wanted)
    kept = {ifindex: mac for mac in wanted if (ifindex := kept_nic(state, mac))}
    masters = {ifindex: mac for ifindex, link in nearby.items() if (mac := kept_master(state, link))}
    found = judge(nearby, state.config.pairing, lambda nic: _is_in_place(state, nic), kept, masters)
    judged = state.judgements
    for mac in wanted:
        judged.forget(mac)
    for ifindex, judgement in found.verdicts.items():
        for mac in macs_of(nearby[ifindex], kept, masters) & wanted:
            judged.say(mac, ifindex, judgement)
    judged.refused_nics |= {mac: ifindex for mac, ifindex in found.refused_nics.items() if mac in wanted}
    for mac in sorted(wanted & found.pairs.keys()):
        _settle(state, mac, found.pairs[mac])
    judged.misplaced = (judged.misplaced - nearby.keys()) | {*found.misplaced}
    for mac in sorted(wanted):
        _note_others(state, mac)
        drop_if_over(state, mac)
        state.attention.relate(PairOf(mac), _members(state, mac))
    state.attention.concern(*(PairOf(mac) for mac in wanted))


def _is_in_place(state: State, nic: Link) -> bool:
    """Whether this NIC's pair is joined without a master of its own."""
    return chosen(state, nic).own_master(nic.ifindex) != 0


def drop_if_over(state: State, mac: str) -> None:
    """Forget a pair that is gone for good."""
    judged, known = state.judgements, state.pairs.get(mac)
    is_kept = mac in judged.pairs or mac in judged.refused_nics or mac in judged.leftovers
    if known is not None and not is_kept and _is_over(known):
        state.drop(mac)


def _members(state: State, mac: str) -> tuple[int, ...]:
    """Return the devices of a MAC's pair, its refused paravirtual NIC, and its leftovers."""
    judged = state.judgements
    pair = judged.pair(mac)
    found = (pair.nic, pair.vf, pair.master, judged.refused_nics.get(mac, 0), *judged.leftovers.get(mac, ()))
    return tuple(ifindex for ifindex in found if ifindex)


def _settle(state: State, mac: str, pair: Pair) -> None:
    """Take in a pair: its datapath and its master."""
    judged = state.judgements
    known = state.pair(mac)
    if pair.nic and is_marked(state.links[pair.nic], "vf"):
        # Its paravirtual NIC is gone, and the VF has taken that place. First it must lose everything it bears as a VF.
        return
    by = joined_by(state, pair)
    known.datapath = by or chosen(state, state.links[pair.nic])
    if known.datapath.own_master(pair.nic):
        # The bond that could not be had is gone, and nothing of it is left to undo.
        known.move.try_anew()
    if by is None and (why := left_unjoined_reason(state, known, pair)):
        for ifindex in (pair.nic, pair.vf):
            judged.say(mac, ifindex, Judgement(Verdict.REFUSED, why))
        judged.deaf.add(mac)
    else:
        judged.take(with_master(state, pair, known))


def _note_others(state: State, mac: str) -> None:
    """Note the NICs of a MAC that are in no pair.

    Those are the NICs that bear something of failoverd's, and those that udev has to tell from the pair's.
    """
    judged = state.judgements
    pair = judged.pairs.get(mac)
    nics = [link for link in state.links.with_mac(mac) if not link.kind]
    outside = [link for link in nics if link.ifindex not in judged.members]
    left = tuple(link.ifindex for link in outside if (link.perm_mac or link.mac) == mac and is_left_over(link))
    if left:
        judged.leftovers[mac] = left
        state.pair(mac)
    if pair is not None:
        members = (pair.nic, pair.vf, pair.master)
        strange = (link for link in nics if link.ifindex not in members and link.mac == mac and link.parent)
        judged.strangers[mac] = tuple(link.parent for link in strange)


def _is_over(pair: PairState) -> bool:
    """Whether nothing is left to do or to remember of a pair that is gone. A machine may see many MACs."""
    is_kept = pair.move.journal is not None or pair.move.lost != Inet() or pair.orders.drain is not None
    is_owed = is_kept or pair.marking.files != {} or pair.failovers.pending is not None
    is_under_way = bool(pair.work.batches or pair.work.looking or pair.orders.renames or pair.heard.announcing)
    return not (is_owed or is_under_way or pair.held or pair.joined or pair.away)
