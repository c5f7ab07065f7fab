"""What came of requests: refusals, when they are tried again, and what is to be said of them."""

from __future__ import annotations

import errno
from dataclasses import replace

from failoverd.kinds import Vlan
from failoverd.links.events import LinksAction, Log
from failoverd.links.findings import Answers, Batch, Finding
from failoverd.links.state import FOUGHT, LATELY, LinksState, Memory, Refusal
from failoverd.model.linkstatus import LinkState
from failoverd.model.places import HERE
from failoverd.model.requests import AddAddress, AddRoute, CreateLink, MoveLink, Rename, Request, SetMtu, SetUp
from failoverd.model.requests.base import answer

GONE = "the network namespace was gone"


def take(state: LinksState, answers: tuple[tuple[Batch, Answers], ...], now: float) -> list[LinksAction]:
    """Take in the kernel's answers, and note what they have touched as doubtful."""
    actions: list[LinksAction] = []
    for batch, found in answers:
        state.dirty |= {batch.place, HERE} | ({batch.also} if batch.also is not None else set())
        memory = state.memory(batch.name)
        said = found if found is not None else ((0, GONE),) * len(batch.requests)
        all_refused = [
            (request, number, text)
            for request, (number, text) in zip(batch.requests, said, strict=True)
            if number or text == GONE
        ]
        refused = [one for one in all_refused if one[1] not in one[0].harmless]
        if batch.makes and (failure := _failure(batch, all_refused)) is not None:
            actions += _of_making(state, batch, memory, failure, now)
            continue
        if batch.makes:
            memory.making = None
            memory.made += 1
        for request, number, text in refused:
            last = memory.refusals.get(request)
            memory.refusals[request] = state.refused(last, batch.name, number, text, now)
            actions += _line(batch.name, request, number, text) if last is None else []
        _count(memory, [request for request in batch.requests if request not in memory.refusals], now)
    return actions


def _failure(batch: Batch, refused: list[tuple[Request, int, str]]) -> tuple[Request, int, str] | None:
    """Return the refusal because of which there is no device, or none where it belongs. The second request marks it,
    and what cannot be marked is deleted again."""
    decisive = (one for one in refused if one[0] in batch.requests[:2] or isinstance(one[0], MoveLink))
    return next(decisive, None)


def _of_making(
    state: LinksState, batch: Batch, memory: Memory, refused: tuple[Request, int, str], now: float
) -> list[LinksAction]:
    request, number, text = refused
    last, memory.making = memory.making, state.refused(memory.making, batch.name, number, text, now)
    is_new = last is None or last.number != number
    return _line(batch.name, request, number, text) if is_new else []


def _line(name: str, request: Request, number: int, text: str) -> list[LinksAction]:
    why = answer(number, text) if number else text
    return [Log("warning", f"link {name}: {request.describe(_nameless)} failed: {why}; it is tried again")]


def _nameless(ifindex: int) -> str:
    return f"device {ifindex}"


def _count(memory: Memory, done: list[Request], now: float) -> None:
    """Count what was put right about a device that had been as declared."""
    for request in done if memory.was_ready else ():
        lately = [at for at in memory.repairs.get(request, []) if at > now - LATELY]
        memory.repairs[request] = [*lately, now]
        memory.repaired += 1


def forget(state: LinksState, name: str) -> None:
    """Forget refusals and repairs, of all ends or of one."""
    for one, memory in state.memories.items():
        if name in {"", one}:
            memory.refusals.clear()
            memory.repairs.clear()
            memory.making = None
    state.blind.clear()
    state.released = {one for one in state.released if name not in {"", one}}


def judged(state: LinksState, name: str, finding: Finding, now: float) -> tuple[Finding, list[Batch]]:
    """Return the finding with what the kernel has said to it before, and the batches that may be sent now."""
    memory = state.memory(name)
    batches: list[Batch] = []
    for batch in finding.batches:
        if batch.makes:
            if memory.making is not None and now < memory.making.until:
                return _not_made(finding, batch, memory.making), []
            batches.append(batch)
            continue
        requests = _whole(
            batch.requests,
            tuple(one for one in batch.requests if not _waits(memory, one, now) and not _fought(memory, one, now)),
        )
        if requests:
            batches.append(replace(batch, requests=requests))
    if batches or not finding.batches:
        return finding, batches
    return _not_as_declared(finding, memory, finding.batches[0].requests, now), []


def _whole(every: tuple[Request, ...], some: tuple[Request, ...]) -> tuple[Request, ...]:
    """Return those requests of a batch that may be sent. A device that is set down for its new name alone, where the
    kernel renames none that is up, stays up if it cannot have that now."""
    bounce = [one for one in every if isinstance(one, SetUp | Rename)]
    if len(bounce) < 3 or all(one in some for one in bounce):
        return some
    return tuple(one for one in some if one not in bounce)


def _waits(memory: Memory, request: Request, now: float) -> bool:
    refusal = memory.refusals.get(request)
    return refusal is not None and now < refusal.until


def _fought(memory: Memory, request: Request, now: float) -> bool:
    return len([at for at in memory.repairs.get(request, []) if at > now - LATELY]) >= FOUGHT


def _not_made(finding: Finding, batch: Batch, refusal: Refusal) -> Finding:
    first = batch.requests[0]
    assert isinstance(first, CreateLink)
    if refusal.number == errno.EOPNOTSUPP:
        detail = f"this kernel has no {first.info.kind}; load or build its module"
        return Finding(LinkState.FAILED, "kind-unknown", detail)
    if refusal.number == errno.EEXIST and isinstance(first.info, Vlan):
        detail = f"VLAN {first.info.id} of what it stands on is another device, here or in a pod"
        return Finding(LinkState.CONFLICT, "id-taken", f"{detail}; remove that one, or give another `id`")
    if refusal.number == errno.EEXIST:
        detail = f"{first.device.name}, or the name of its other end, is an alternative name of another device there"
        return Finding(LinkState.CONFLICT, "name-taken", detail + "; give the link another `device`")
    why = answer(refusal.number, refusal.text) if refusal.number else refusal.text
    return replace(
        finding, state=LinkState.FAILED, reason="kernel-refused", detail=f"making it failed: {why}", batches=()
    )


def _not_as_declared(finding: Finding, memory: Memory, requests: tuple[Request, ...], now: float) -> Finding:
    """Return the finding of a device for which nothing can be done now."""
    for request in requests:
        if _fought(memory, request, now):
            detail = (
                f"another program undoes it again and again: {request.describe(_nameless)}; stop that program, then "
            )
            return _degraded(finding, "fought", detail + "failoverctl links resync")
    request = next(one for one in requests if _waits(memory, one, now))
    refusal = memory.refusals[request]
    why = answer(refusal.number, refusal.text) if refusal.number else refusal.text
    return _degraded(finding, _code(request, refusal.number), f"{request.describe(_nameless)} failed: {why}")


def _degraded(finding: Finding, reason: str, detail: str) -> Finding:
    return replace(finding, state=LinkState.DEGRADED, reason=reason, detail=detail, batches=())


def _code(request: Request, number: int) -> str:
    match request:
        case AddAddress():
            return "ipv6-disabled" if number == errno.EACCES else "address-refused"
        case AddRoute():
            return "route-refused"
        case SetMtu():
            return "mtu-refused"
        case _:
            return "kernel-refused"
