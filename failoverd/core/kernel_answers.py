"""The kernel's answers to a pair's requests: which were done, which were refused, and when those are tried again.

It all relies on the planner: it asks only for what it sees missing, so a request that comes again was tried in vain.
"""

from __future__ import annotations

import errno

from failoverd.core.matching import rejudge
from failoverd.core.orders import renamed
from failoverd.core.state import NO_BONDING, SELDOM, PairState, State
from failoverd.core.work import SOON, Refusal
from failoverd.kinds import Bond
from failoverd.model.actions import Action, Say
from failoverd.model.events import Answered
from failoverd.model.owners import Part
from failoverd.model.pairs import Inet
from failoverd.model.requests import AddAltname, CreateLink, HearAll, Request, TryMaster, Weight


def answered(state: State, pair: PairState, event: Answered, now: float) -> list[Action]:
    """Take in the kernel's answers to a batch, or that they were lost."""
    pair.work.answered(event.ticket)
    is_rename = event.ticket.part is Part.NAMES
    actions = renamed(state, pair, event, now) if is_rename else []
    if event.answers is None:
        return _unanswered(state, pair, event.requests, now)
    pair.work.heard()
    if is_rename:
        return actions
    match event.requests:
        case (TryMaster() as attempt,):
            return _tried(state, pair, attempt, *event.answers[0], now)
    return _done(state, pair, event, event.answers, now)


def _done(
    state: State, pair: PairState, event: Answered, answers: tuple[tuple[int, str], ...], now: float
) -> list[Action]:
    requests = event.requests
    is_repair = pair.move.journal is not None and all(request.watched for request in requests)
    is_repair = is_repair or event.ticket.part is Part.GUARD
    is_repair = is_repair or any(request.setting for request in requests[:1])
    is_repair = is_repair or (_is_regaining(pair) and all(request.regained for request in requests))
    actions: list[Action] = []
    for request, (number, text) in zip(requests, answers, strict=True):
        if number and request.weight is Weight.SWITCH:
            # Even if its device is gone; else the next one would never be switched to for the same reason.
            pair.carry.switched_in_vain()
        if number and isinstance(request, HearAll):
            pair.heard.unknown()
        if not number and not is_repair:
            pair.work.done(request)
        elif not number or not _is_void(state, request, number):
            actions += _refused(state, pair, request, number, text, now)
    return actions


def _unanswered(state: State, pair: PairState, requests: tuple[Request, ...], now: float) -> list[Action]:
    pair.carry.switched_in_vain()
    pair.heard.unknown()
    pair.names.unanswered(requests)
    pair.work.lost(requests, now, state.config.join.retry)
    return [Say("warning", f"{pair.mac}: the kernel's answers were lost; looking at all devices again")]


def _tried(state: State, pair: PairState, request: TryMaster, number: int, text: str, now: float) -> list[Action]:
    """Take in the answer to a trial. EPERM, as the NIC is up, means that it is free; so does success."""
    if number in (0, errno.EPERM):
        pair.obstacles.tried(request, request.ifindex, is_free=True)
    elif not _is_void(state, request, number):
        words = request.refused(number, text, state.name)
        pair.obstacles.tried(request, request.ifindex, is_free=False)
        pair.work.refuse(request, Refusal(1, words, now + state.config.join.retry_max))
    return []


def _is_void(state: State, request: Request, number: int) -> bool:
    """Whether a request was refused because its device is gone, or has the wanted name already."""
    if isinstance(request, AddAltname) and number == errno.EEXIST:
        link = state.link(request.ifindex)
        return link is not None and request.name in (link.name, *link.altnames)
    return number == errno.ENODEV and not request.devices <= state.links.keys()


def _refused(state: State, pair: PairState, request: Request, number: int, text: str, now: float) -> list[Action]:
    is_bond = isinstance(request, CreateLink) and isinstance(request.info, Bond)
    if number == errno.EOPNOTSUPP and is_bond:
        state.bonding.is_missing()
        rejudge(state)
        if way := pair.datapath.without_bonding():
            return [Say("info", f"{pair.mac}: {NO_BONDING}; {way}")]
    return _in_vain(state, pair, request, number, text, now)


def _is_regaining(pair: PairState) -> bool:
    """Whether something is lost, and no move is under way that would bring it back."""
    return pair.move.lost != Inet() and pair.move.journal is None


def _in_vain(state: State, pair: PairState, request: Request, number: int, text: str, now: float) -> list[Action]:
    """Count a failed try. The planner only asks for what it sees missing, so a request that comes again was in vain."""
    config = state.config.join
    times, known = pair.work.times(request), pair.work.refusals.get(request)
    wait = pair.work.wait(request, config.retry, config.retry_max)
    words = request.refused(number, text, state.name) if number else request.undone(state.name)
    is_known = known is not None and known.text == words
    if _is_regaining(pair) and request.regained:
        # What the kernel carried out is checked soon: it is there, or another program has removed it again.
        wait = SELDOM if number else min(SOON * 2.0 ** min(times - 1, 32), SELDOM)
    until = now + wait if number or pair.move.journal is None else now
    pair.work.refuse(request, Refusal(times, words, until, number))
    is_said = request.setting or (is_known and wait >= SELDOM)
    if not number or number in request.harmless or is_said:
        return []
    return [Say("warning", f"{words}; trying again in {wait:g} s")]
