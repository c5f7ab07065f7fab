"""The status document: what `failoverctl status --json` prints, made from the tables of core/document.py."""

from __future__ import annotations

from failoverd.core import document
from failoverd.core.auto_naming import name_deviations
from failoverd.core.datapath_choice import datapath_reason
from failoverd.core.document import Document
from failoverd.core.reasons import lost_text
from failoverd.core.state import PairState, State
from failoverd.core.views import Nic, master_of
from failoverd.model.links import Link
from failoverd.model.pairs import Pair, Verdict
from failoverd.policy.exclusion import excluded
from failoverd.policy.health import suppressed_reason


def status(state: State) -> Document:
    """Return failoverd, every master, and every NIC with its verdict."""
    return {**masters(state), "nics": nics(state)}


def masters(state: State) -> Document:
    """Return failoverd and every master. It costs nothing for a NIC that is in no pair."""
    pairs = [(pair, state.judgements.pair(mac)) for mac, pair in sorted(state.pairs.items())]
    shown = [master_of(state, pair, found) for pair, found in pairs if _is_shown(pair, found)]
    return {**document.DAEMON.of(state), "masters": [document.MASTER.of(master) for master in shown]}


def hardware(state: State) -> Document:
    """Return the status with devices on a bus only: the part reported after steps, even among thousands of other
    devices.
    """
    return {**masters(state), "nics": nics(state, on_a_bus=True)}


def nics(state: State, on_a_bus: bool = False) -> list[Document]:
    """Return the verdict on every device but loopback, and its reason; or only on those on a bus."""
    rows = []
    for ifindex, link in sorted(state.links.items()):
        if on_a_bus and not link.bus:
            continue
        judgement = state.judgements.verdicts.get(ifindex) or excluded(link, state.links, state.config.pairing)
        if link.name == "lo" or judgement is None:
            continue
        pair = state.pairs.get(link.perm_mac)
        verdict, reason = judgement.verdict, judgement.reason
        if why := _left_over(state, link):
            reason = f"{reason}; {why}"
        if verdict is Verdict.PAIRED and pair is not None:
            found = state.judgements.pair(pair.mac)
            chosen = [why] if link.ifindex == found.nic and (why := datapath_reason(state, pair, link)) else []
            flaws = _flaws(state, pair, found, link)
            names = name_deviations(state, pair, found, link)
            reason = "; ".join([reason, *chosen, *flaws, *_troubles(pair, link), *names])
            if link.ifindex in pair.obstacles.unbondable and pair.move.undo_reason:
                verdict = Verdict.REFUSED
            if conflict := _conflict(state, pair, link):
                verdict, reason = Verdict.REFUSED, conflict
        rows.append(document.NIC.of(Nic(link, verdict.value, reason)))
    return rows


def _flaws(state: State, pair: PairState, found: Pair, link: Link) -> list[str]:
    """Return why a joined pair is degraded, at its paravirtual NIC, and why its VF cannot carry for long, at the VF."""
    master = state.link(found.master)
    if master is None or not pair.datapath.holds(link, master):
        return []
    is_vf = link.ifindex == found.vf
    flaws = (
        pair.datapath.mtu_mismatch(link, master) if is_vf else pair.datapath.flaws(master, state.link(found.vf), link)
    )
    damped = suppressed_reason(pair.health.damping, state.config.damping) if is_vf else ""
    return [words for words in (flaws, damped) if words]


def _left_over(state: State, link: Link) -> str:
    """Return what is still on a NIC that is in no pair, and why if the kernel keeps it, or ""."""
    mac = link.perm_mac or link.mac
    if link.ifindex not in state.judgements.leftovers.get(mac, ()):
        return ""
    texts = state.pairs[mac].work.refusal_about(link.ifindex)
    return "; ".join(["what was put on it for its pair is being taken off", *texts])


def _is_shown(pair: PairState, found: Pair) -> bool:
    """Whether to show the pair. A pair that is only remembered, as a release is for ever, says nothing about this
    machine.
    """
    is_here = bool(found.nic or found.vf or pair.move.journal)
    return bool(found.master or pair.away) or (is_here and pair.state != "alone")


def _conflict(state: State, pair: PairState, link: Link) -> str:
    """Return why this VF is not joined as long as another program's setup is in the way, or ""."""
    found = state.judgements.pair(pair.mac)
    master = state.link(found.master)
    return pair.datapath.conflict(link, master) if master is not None and link.ifindex == found.vf else ""


def _troubles(pair: PairState, link: Link) -> list[str]:
    texts = pair.work.refusal_about(link.ifindex)
    if pair.held:
        texts.append("released by an administrator; failoverctl adopt joins it again")
    texts += [waits] if (waits := pair.residing.pending_text()) else []
    texts += [lost] if (lost := lost_text(pair.move.lost, link.name)) else []
    return texts + ([pair.move.undo_reason] if pair.move.undo_reason else [])
