"""What is said of each end, and the signals about it. They follow from what the kernel has shown, never from what was
asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from failoverd.links.events import LinksAction, Tell
from failoverd.links.findings import Finding
from failoverd.links.judge import UNKNOWN
from failoverd.links.state import LinksState, Memory
from failoverd.model.declared import EXISTING, End
from failoverd.model.linkstatus import LinkState, LinkStatus
from failoverd.model.signals import (
    LinkConflict,
    LinkDegraded,
    LinkFailed,
    LinkGoing,
    LinkGone,
    LinkPending,
    LinkReady,
)

LinkSignal = LinkReady | LinkPending | LinkDegraded | LinkConflict | LinkFailed | LinkGoing | LinkGone

SIGNALS: Mapping[LinkState, type[LinkSignal]] = {
    LinkState.READY: LinkReady,
    LinkState.PENDING: LinkPending,
    LinkState.DEGRADED: LinkDegraded,
    LinkState.CONFLICT: LinkConflict,
    LinkState.FAILED: LinkFailed,
}
"""The states that are told of when an end gets into them."""


def tell(state: LinksState, findings: Mapping[str, Finding], now: float, clock: float) -> list[LinksAction]:
    """Note what is to be said of the declared ends, and return the signals about what has changed."""
    actions: list[LinksAction] = []
    for name, finding in findings.items():
        end, memory = state.declared[name], state.memory(name)
        before, after = state.statuses.get(name), _status(end, finding, memory, now, clock)
        if before is not None and before.ifindex and _device(before) != _device(after):
            after = _not_gone_yet(before, after, memory)
        if before is not None and before.state is after.state and before.reason == after.reason:
            after = replace(after, since=before.since)
        state.statuses[name] = before if before == after and before is not None else after
        if before is not None and before.ifindex and _device(before) != _device(after):
            actions += _gone(before, memory)
        memory.was_ready |= after.state is LinkState.READY
        kind = SIGNALS.get(after.state)
        if kind is not None and memory.told != (after.state, after.reason):
            memory.told = after.state, after.reason
            actions.append(Tell(_signal(kind, after)))
    return actions


def _not_gone_yet(before: LinkStatus, after: LinkStatus, memory: Memory) -> LinkStatus:
    """Return what is to be said of an end while the device that it had is still there, or may be."""
    if after.reason in UNKNOWN:
        return replace(after, ifindex=before.ifindex)
    if memory.going_until is not None:
        return replace(before, state=LinkState.REMOVING, reason="", detail=after.detail, since=after.since)
    return after


def _device(status: LinkStatus) -> tuple[str, int]:
    """Return what tells one device from another. Anew, it may get the same ifindex in another namespace."""
    return status.namespace, status.ifindex


def leaving(state: LinksState, names: set[str], clock: float) -> list[LinksAction]:
    """Note what is to be said of ends that are no longer declared: `names` have a device yet, and the others none."""
    actions: list[LinksAction] = []
    for name in [name for name in state.statuses if name not in state.declared]:
        status = state.statuses[name]
        if name not in names:
            # The device of an existing one stays.
            has_gone = status.ifindex and status.kind != EXISTING
            actions += _gone(status, state.memory(name)) if has_gone else []
            del state.statuses[name]
        elif status.state is not LinkState.REMOVING:
            detail = "it is no longer declared"
            state.statuses[name] = replace(status, state=LinkState.REMOVING, reason="", detail=detail, since=clock)
    for name in [name for name in state.memories if name not in state.declared and name not in names]:
        del state.memories[name]
    return actions


def going(state: LinksState, name: str) -> list[LinksAction]:
    """Return the signal that the device of this end is about to be deleted, if there was one."""
    status = state.statuses.get(name)
    return [Tell(_signal(LinkGoing, status))] if status is not None and status.ifindex else []


def _gone(status: LinkStatus, memory: Memory) -> list[LinksAction]:
    memory.was_ready, memory.told = False, None
    memory.repairs.clear()
    return [Tell(_signal(LinkGone, status))]


def _signal(kind: type[LinkSignal], status: LinkStatus) -> LinkSignal:
    s = status
    return kind(s.name, s.kind, s.device, s.namespace, s.ifindex, s.reason, s.detail)


def _status(end: End, finding: Finding, memory: Memory, now: float, clock: float) -> LinkStatus:
    untils = [refusal.until for refusal in (*memory.refusals.values(), memory.making) if refusal is not None]
    at = min((until for until in untils if until > now), default=None)
    return LinkStatus(
        end.name,
        end.kind,
        end.device,
        str(end.namespace),
        finding.state,
        finding.reason,
        finding.detail,
        clock,
        end.peer,
        str(end.lower) if end.lower is not None else "",
        finding.ifindex,
        end.source,
        memory.making.times if memory.making is not None else 0,
        clock + at - now if at is not None else 0.0,
        memory.made,
        memory.repaired,
        owner=end.owner,
        network=end.network,
        ports=tuple(map(str, end.ports)),
    )
