"""The slave that carries according to the kernel, and the reports of its changes: FailedOver, and announcements.

FailedOver is made here, from the kernel's messages, so that it can never state a mere wish. A failover away from a VF
that is down waits up to REASON_WAIT for its reason: the VF may be on its way out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from failoverd.dataclass import dataclass
from failoverd.model.actions import Action, Announce, Emit
from failoverd.model.links import Link
from failoverd.model.owners import Part
from failoverd.model.pairs import Goal, Pair, There
from failoverd.model.signals import FailedOver
from failoverd.policy.stacking import bridge_of, stacked_on

if TYPE_CHECKING:
    from failoverd.core.state import PairState, State

UNPLUGGED = "it was unplugged"
REASON_WAIT = 0.1
"""Seconds a failover signal waits for its reason: a VF that is unplugged is first closed, then unlinked, then gone."""


@dataclass(slots=True)
class Failovers:
    """The slave that carries according to the kernel, and the failovers that were signalled."""

    active: int | None = None
    """The ifindex of the slave that carried when last seen, 0 for none; None before the first look."""
    silent_since: float | None = None
    """The time since when that slave cannot carry, and no other one carries."""
    last_vf: Link | None = None
    """The VF that was unplugged last."""
    pending: FailedOver | None = None
    """A failover whose signal waits for its reason."""
    count: int = 0
    """Failovers since failoverd was started."""
    last: FailedOver | None = None
    """The last one that was signalled."""


def noticed(state: State, pair: PairState, now: float) -> list[Action]:
    """Compare the slave that carries with the one before, and report a change."""
    found = state.judgements.pair(pair.mac)
    master = state.link(found.master)
    was, carries = pair.failovers.active, state.active(found) if master is not None else None
    if pair.joined and pair.work.has(Part.CARRY) and was and not carries and was not in state.links:
        # The slave that carried is gone, and its filter leads nowhere. The next one has been asked for: that is one
        # failover.
        return []
    pair.failovers.active = carries
    if master is None or was is None or pair.failovers.active is None or was == pair.failovers.active:
        return []
    because = pair.carry.take_reason()
    silent_since = pair.failovers.silent_since
    pair.failovers.silent_since = None if pair.failovers.active else now if silent_since is None else silent_since
    journal = pair.move.journal
    if journal is not None and journal.cut and journal.toward is Goal.RELEASED:
        # The pair is being taken apart, in one datagram: the NIC carries, by itself.
        return []
    if not pair.joined:
        # A start found that the traffic led nowhere. That is not a failover, but the way may be new all the same.
        return _announce(state, pair, master)
    actions = settle_signal(pair, "")
    pair.failovers.count += 1
    old = state.link(was)
    reason = because or (_what_is_wrong_with(old) if was else "no slave could carry before")
    if old is None and pair.failovers.last_vf is not None and pair.failovers.last_vf.ifindex == was:
        old, reason = pair.failovers.last_vf, UNPLUGGED
    pair.failovers.pending = FailedOver(
        master.name,
        old.name if old else "",
        state.name(pair.failovers.active),
        reason,
        now,
        pair.mac,
        was,
        pair.failovers.active,
        now - silent_since if silent_since is not None else 0.0,
        role_of(found, pair.failovers.active),
    )
    may_be_leaving = was in state.links and not state.links[was].up
    actions += _announce(state, pair, master)
    return actions if may_be_leaving else actions + settle_signal(pair, reason)


def noticed_there(pair: PairState, there: There, now: float) -> list[Action]:
    """Compare the slave that carries in another network namespace with the one before, and report a change. The bond
    announces it by itself."""
    was = pair.residing.there
    if was is None or was.active == there.active:
        return []
    slaves = [link for link in (there.vf, there.nic) if link is not None]
    is_gone = bool(was.active) and all(link.ifindex != was.active for link in slaves)
    pair.failovers.count += 1
    pair.failovers.last = FailedOver(
        there.master.name,
        was.name(was.active),
        there.name(there.active),
        UNPLUGGED if is_gone else there.because if was.active else "no slave could carry before",
        now,
        pair.mac,
        was.active,
        there.active,
        role="" if not there.active else "primary" if there.is_vf(there.active) else "standby",
        namespace=pair.residing.namespace,
    )
    return [Emit(pair.failovers.last)]


def role_of(found: Pair, ifindex: int) -> str:
    """Return a slave's role in its pair: "primary" or "standby", "" if it is no slave of it."""
    return {found.vf: "primary", found.nic: "standby"}.get(ifindex, "") if ifindex else ""


def vanished(state: State, pair: PairState, link: Link) -> list[Action]:
    """A present or former device of this pair is gone, which is why the traffic has left it."""
    pending = pair.failovers.pending
    actions = settle_signal(pair, UNPLUGGED) if pending is not None and pending.old_ifindex == link.ifindex else []
    if (found := state.judgements.pairs.get(pair.mac)) is not None and found.vf == link.ifindex:
        pair.failovers.last_vf = link
    return actions


def settle_signal(pair: PairState, reason: str) -> list[Action]:
    """Send the signal of a failover whose reason is known, or will not become known any more."""
    signal = pair.failovers.pending
    if signal is None:
        return []
    pair.failovers.pending = None
    final = replace(signal, reason=reason or signal.reason)
    pair.failovers.last = final
    return [Emit(final)]


def next_signal(pair: PairState) -> float | None:
    """Return when a signal will have waited long enough for its reason."""
    return pair.failovers.pending.at + REASON_WAIT if pair.failovers.pending is not None else None


def overdue(pair: PairState, now: float) -> list[Action]:
    """Send a signal that has waited long enough for its reason."""
    is_late = pair.failovers.pending is not None and now >= pair.failovers.pending.at + REASON_WAIT
    return settle_signal(pair, "") if is_late else []


def watch_carrier(state: State, ifindex: int, carries: bool, now: float) -> None:
    """Note since when the slave that is active for the kernel cannot carry: from then on it is silent."""
    for _, pair in state.pairs_about(ifindex):
        if pair.failovers.active == ifindex:
            pair.failovers.silent_since = (
                None if carries else now if pair.failovers.silent_since is None else pair.failovers.silent_since
            )


def _announce(state: State, pair: PairState, master: Link) -> list[Action]:
    """Announce the addresses of the master and of everything stacked on it, unless the kernel does.

    The neighbours learn the way by a frame that takes it.
    """
    times = state.config.announce.times
    is_leaving = pair.orders.drain is not None or any(order.down for order in pair.orders.renames)
    if is_leaving:
        # The VF goes down next, so its neighbours have to know the way by then, and not only at a bond's next tick.
        times = max(times, 1)
    devices = [master, *(state.links[ifindex] for ifindex in stacked_on(master, state.links))]
    devices = [*pair.datapath.to_announce(devices, pair.joined, is_leaving)]
    if not devices or not times:
        return []
    pair.heard.announce()
    ports = tuple((link.ifindex, bridge) for link in devices if (bridge := bridge_of(link, state.links)))
    return [Announce(pair.mac, tuple((link.ifindex, link.mac) for link in devices), times, ports)]


def _what_is_wrong_with(link: Link | None) -> str:
    if link is None:
        return UNPLUGGED
    if not link.up:
        return "it is down"
    if not link.carrier:
        return "it has no carrier"
    return "the kernel chose another slave"
