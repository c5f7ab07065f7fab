"""The state of a joined pair in one word, and its reason: what the status shows while the plan rests."""

from __future__ import annotations

from failoverd.core.paths import by_links
from failoverd.core.slave_guard import is_undoing
from failoverd.core.state import PairState, State
from failoverd.core.switch import missing_slave_reason
from failoverd.model.links import Link
from failoverd.model.pairs import Inet, Pair
from failoverd.model.requests import Request
from failoverd.policy.conditions import standby_down


def settled_state(state: State, pair: PairState, found: Pair, master: Link) -> tuple[str, str]:
    active = state.active(found)
    if flaws := pair.datapath.flaws(master, state.link(found.vf), state.link(found.nic)):
        return "degraded", flaws
    if lost := lost_text(pair.move.lost, master.name):
        return "degraded", lost
    if not master.up:
        return "degraded", f"{master.name} is down"
    carrier = state.link(active)
    if carrier is None or (carrier is master and not master.carrier):
        return "degraded", "no slave can carry"
    if active == found.vf:
        lonely = _no_standby_reason(state, pair, found, master)
        return ("degraded", lonely) if lonely else ("accelerated", _standby_not_ready_reason(state, pair, found))
    if pair.conditions.late:
        return "degraded", pair.conditions.late
    return "on-standby", _refused(pair, found.vf) or pair.carry.election


def _no_standby_reason(state: State, pair: PairState, found: Pair, master: Link) -> str:
    """A VF that carries alone is one unplug away from silence."""
    nic = state.link(found.nic)
    if not pair.datapath.misses(nic, master):
        return ""
    why = _refused(pair, found.nic) if nic is not None else missing_slave_reason(state, found)
    if nic is not None and not why and found.nic in state.arrivals.held_on:
        why = f"waiting for the network manager to release {nic.name}"
    return f"{master.name} has no standby: {why or 'the paravirtual NIC is not there'}"


def _standby_not_ready_reason(state: State, pair: PairState, found: Pair) -> str:
    """Return why the standby could not take over from the VF that carries, or "".

    A host may keep its link down on purpose.
    """
    stands = by_links(state, pair, found)
    return standby_down(stands) if stands is not None else ""


def _refused(pair: PairState, ifindex: int) -> str:
    """Return the kernel's refusal of a request about this slave."""
    texts = (refusal.text for request, refusal in pair.work.refusals.items() if _is_about(request, ifindex))
    return next(texts, "")


def _is_about(request: Request, ifindex: int) -> bool:
    return ifindex in request.devices and not is_undoing(request)


def lost_text(lost: Inet, name: str) -> str:
    """Return the lost configuration of a device, in words, or ""."""
    parts = [f"{address}" for address in lost.addresses] + [f"the route to {route}" for route in lost.routes]
    parts += [f"{thing}" for thing in (*lost.neighbours, *lost.labels)]
    what = f"{name} has lost {', '.join(parts)}"
    return f"{what}; failoverd keeps it, and a release tries to give it back" if parts else ""
