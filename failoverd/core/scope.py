"""The MACs that a device's change concerns, and the devices that pairing has to know to judge a MAC.

Pairing judges one MAC at a time. A change matters to the MACs that the device may have a part in (`concerned`). They
are judged together with those that they cannot be told from (`related`), on the devices that pairing has to know for it
(`neighbourhood`). tests/core/test_core_judged.py checks that the result is that of judging all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from failoverd.core.state import State
from failoverd.kinds import Vlan
from failoverd.model.links import PEERS, Link
from failoverd.model.linktable import WITH_MAC
from failoverd.policy.exclusion import NO_MAC
from failoverd.policy.naming import mark, marked_mac, unmarked_mac


def concerned(state: State, link: Link) -> set[str]:
    """Return the MACs whose pairs may be others because of this device."""
    lower = 0 if link.kind in PEERS else link.link
    below = state.links.get(lower)
    # What stands on a VLAN decides whether that one can go along with the NIC below.
    lowest = below.link if below is not None and below.kind == Vlan.kind else 0
    near = [link, *state.links.nics_of(link.ifindex)]
    near += [other for ifindex in (link.master, lower, lowest) if (other := state.links.get(ifindex)) is not None]
    found = {mac for one in near for mac in _macs(state, one)}
    found |= {state.judgements.members.get(ifindex, "") for ifindex in (link.ifindex, link.master, lower, lowest)}
    return found - {*NO_MAC}


def related(state: State, macs: Iterable[str]) -> frozenset[str]:
    """Return these MACs and those that must be judged with them.

    A NIC may be in the master of another MAC's pair, or be kept by a pair whose MAC it no longer has.
    """
    found: set[str] = set()
    todo = [mac for mac in macs if mac not in NO_MAC]
    while todo:
        mac = todo.pop()
        if mac in found:
            continue
        found.add(mac)
        for link in _candidates(state, mac):
            above = state.links.get(link.master)
            near = [link, *state.links.nics_of(link.ifindex), *([above] if above is not None else [])]
            others = {mac for one in near for mac in _macs(state, one)}
            todo += (others | {state.judgements.members.get(link.ifindex, "")}) - {*NO_MAC}
    return frozenset(found)


def neighbourhood(state: State, macs: Iterable[str]) -> dict[int, Link]:
    """Return the devices of these MACs, and all others that pairing has to know to judge them."""
    links, found = state.links, dict[int, Link]()
    for mac in macs:
        for link in _candidates(state, mac):
            uppers = list(links.uppers(link.ifindex))
            near = [link, *links.slaves(link.ifindex), *uppers]
            near += [above for vlan in uppers if vlan.kind == Vlan.kind for above in links.uppers(vlan.ifindex)]
            if (above := links.get(link.master)) is not None:
                near += [above, *(() if above.kind else links.slaves(above.ifindex))]
            found |= {one.ifindex: one for one in near}
    return dict(sorted(found.items()))


def _candidates(state: State, mac: str) -> list[Link]:
    found = list(state.links.with_mac(mac))
    marked, kept = state.links.named(mark(mac)), state.links.get(kept_nic(state, mac))
    known = map(state.links.named, sorted(_names(state, mac)))
    lost = [link for link in known if link is not None and kept_master(state, link) == mac]
    return found + [link for link in dict.fromkeys((marked, kept, *lost)) if link is not None and link not in found]


def _macs(state: State, link: Link) -> set[str]:
    """Return the MACs in whose judging a device may have a part."""
    if not link.kind:
        return {link.perm_mac, link.mac}
    return _bonds_macs(link) | ({mac} if (mac := kept_master(state, link)) else set())


def _bonds_macs(link: Link) -> set[str]:
    return {mac for mac in (marked_mac(link), unmarked_mac(link)) if mac}


def macs_of(link: Link, kept: Mapping[int, str], masters: Mapping[int, str]) -> set[str]:
    """Return the MACs from whose judging a device's verdict results."""
    if link.kind:
        return {masters[link.ifindex]} if link.ifindex in masters else _bonds_macs(link)
    return {kept.get(link.ifindex, link.perm_mac or link.mac), link.perm_mac}


def every_mac(state: State) -> set[str]:
    macs = {mac for link in state.links.values() if link.kind in WITH_MAC for mac in (link.perm_mac, link.mac)}
    return macs | {mac for link in state.links.values() for mac in _bonds_macs(link)} | state.pairs.keys()


def kept_master(state: State, link: Link) -> str:
    """Return the MAC of the pair that a bond without its mark was made for, by its name as it was written down, or "".

    Its own MAC does not tell that: the kernel gives it another one when its last slave leaves.
    """
    if not unmarked_mac(link):
        return ""
    return next((mac for mac in {**state.memory.names, **state.pairs} if link.name in _names(state, mac)), "")


def _names(state: State, mac: str) -> set[str]:
    """Return the names of a pair's master as they were written down: for its joining, and for a move under way."""
    pair = state.pairs.get(mac)
    moving = pair.move.journal.name if pair is not None and pair.move.journal is not None else ""
    return {name for name in (state.memory.names.get(mac, ""), moving) if name}


def kept_nic(state: State, mac: str) -> int:
    """Return the paravirtual NIC of a pair that has a master, or is on its way to one; 0 for none.

    A move that has begun is finished on the same device, even if its permanent MAC is another one by now.
    """
    pair = state.pairs.get(mac)
    if pair is None:
        return 0
    if pair.move.journal is not None and pair.move.journal.cut and pair.move.journal.nic:
        return pair.move.journal.nic if pair.move.journal.nic in state.links else 0
    kept = pair.datapath.kept_nic(pair.nic) if pair.joined else 0
    return kept if kept in state.links else 0
