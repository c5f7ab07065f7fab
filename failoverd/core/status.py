"""The status document: what `failoverctl status --json` prints. Plain values only."""

from __future__ import annotations

from typing import Any

from failoverd import __version__
from failoverd.core.choice import why_tc
from failoverd.core.state import PairState, State
from failoverd.core.wishes import why_so_called
from failoverd.core.words import devices
from failoverd.model.links import Link
from failoverd.model.pairs import Pair, Verdict
from failoverd.policy.election import why_unfit
from failoverd.policy.naming import is_passing_name

Document = dict[str, Any]


def status(state: State) -> Document:
    """Every master, and every NIC with its verdict."""
    pairs = [(pair, state.judgements.pairs.get(mac, Pair(mac))) for mac, pair in sorted(state.pairs.items())]
    return {
        "version": __version__,
        "masters": [_master(state, pair, found) for pair, found in pairs if _is_shown(pair, found)],
        "nics": nics(state),
    }


def nics(state: State) -> list[Document]:
    """What was made of every device but loopback, and why."""
    rows = []
    for ifindex, judgement in sorted(state.judgements.verdicts.items()):
        link = state.link(ifindex)
        if link is None or link.name == "lo":
            continue
        pair = state.pairs.get(link.perm_mac)
        verdict, reason = judgement.verdict, judgement.reason
        if verdict is Verdict.PAIRED and pair is not None:
            found = state.judgements.pairs.get(pair.mac, Pair(pair.mac))
            chosen = [why] if link.ifindex == found.nic and (why := why_tc(state, pair)) else []
            reason = "; ".join([reason, *chosen, *_troubles(pair, link), *why_so_called(state, pair, found, link)])
            if conflict := _conflict(state, pair, link):
                verdict, reason = Verdict.REFUSED, conflict
        rows.append(
            {
                "name": link.name,
                "ifindex": ifindex,
                "mac": link.perm_mac or link.mac,
                "driver": link.driver,
                "bus": link.bus,
                "verdict": verdict.value,
                "reason": reason,
            }
        )
    return rows


def _is_shown(pair: PairState, found: Pair) -> bool:
    """What is only remembered, as a release is for ever, says nothing about this machine as it is."""
    is_here = bool(found.nic or found.vf or pair.journal)
    return bool(found.master) or (is_here and pair.state != "alone")


def _conflict(state: State, pair: PairState, link: Link) -> str:
    """Why this VF is not joined as long as things are as somebody else has set them up, or ""."""
    found = state.judgements.pairs.get(pair.mac, Pair(pair.mac))
    master = state.link(found.master)
    return pair.datapath.conflict(link, master) if master is not None and link.ifindex == found.vf else ""


def _troubles(pair: PairState, link: Link) -> list[str]:
    texts = [refusal.text for request, refusal in pair.refusals.items() if link.ifindex in devices(request)]
    if pair.held:
        texts.append("released by an administrator; failoverctl adopt joins it again")
    return texts + ([pair.undo_reason] if pair.undo_reason else [])


def _master(state: State, pair: PairState, found: Pair) -> Document:
    master = state.link(found.master)
    shown = master is not None and not is_passing_name(master.name)
    nic = state.link(found.nic)
    return {
        "name": master.name if master is not None and shown else nic.name if nic else "",
        "ifindex": found.master,
        "mac": pair.mac,
        "datapath": pair.datapath.name,
        "state": pair.state,
        "reason": pair.reason,
        "active": state.name(state.active(found)) or None if master else None,
        "primary": _slave(pair, state.link(found.vf), master, is_standby=False),
        "standby": _slave(pair, nic, master, is_standby=True),
        "mtu": master.mtu if master else 0,
        "failovers": pair.failovers,
        "last_failover": _last(pair),
        "drain": {"until": pair.drain.until} if pair.drain is not None else None,
    }


def _slave(pair: PairState, link: Link | None, master: Link | None, is_standby: bool) -> Document | None:
    if link is None or master is None or not pair.datapath.holds(link, master):
        return None
    return {
        "name": link.name,
        "ifindex": link.ifindex,
        "driver": link.driver,
        "parent": link.parent,
        "up": link.up,
        "carrier": link.carrier,
        "carrier_losses": link.carrier_losses,
        "mtu": link.mtu,
        "fit": not why_unfit(link, joined=True) and (is_standby or not pair.datapath.conflict(link, master)),
    }


def _last(pair: PairState) -> Document | None:
    if pair.last is None:
        return None
    last = pair.last
    return {"from": last.old, "to": last.new, "reason": last.reason, "monotonic": last.at, "silence": last.silence}
