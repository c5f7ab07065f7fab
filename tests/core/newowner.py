"""A kind of owner that no module of failoverd knows: a device that is kept up. It is its class and a row, no more."""

from __future__ import annotations

import errno

from failoverd.core.owners import Steps
from failoverd.core.state import State
from failoverd.core.work import SOON, Refusal, Work
from failoverd.dataclass import dataclass
from failoverd.model.actions import Action, FetchInet, Say
from failoverd.model.events import Answered, InetSeen, ToOwner
from failoverd.model.owners import Owner, Part
from failoverd.model.requests import SetUp


@dataclass(frozen=True, slots=True)
class KeptUp(Owner):
    """The owner."""

    ifindex: int

    def __str__(self) -> str:
        return f"device {self.ifindex}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An event of its own: keep this device up from now on."""

    owner: KeptUp


@dataclass(slots=True)
class Kept:
    """What is remembered of it."""

    work: Work
    is_settled: bool = False
    gone: bool = False
    seen: int = 0
    """Configurations that were looked up."""

    def forget(self, ifindex: int) -> None:
        self.work.forget(ifindex)
        self.gone = True


def take(state: State, owner: KeptUp, event: ToOwner | Wanted, now: float) -> list[Action]:
    match event:
        case Wanted():
            state.others[owner] = Kept(Work(owner))
            state.attention.relate(owner, [owner.ifindex])
            return []
    if owner not in state.others:
        # An answer may come when its device is gone.
        return []
    work, kept = state.others[owner].work, known(state, owner)
    match event:
        case Answered(ticket, requests, answers):
            work.answered(ticket)
            for request, (number, _) in zip(requests, answers or (), strict=False):
                if number:
                    work.refuse(request, Refusal(1, errno.errorcode[number], now + SOON, number))
            if answers is None:
                work.lost(requests, now, SOON)
        case InetSeen():
            kept.seen += 1
        case _:
            work.unsent(now + SOON)
    return []


def look_at(state: State, owners: list[KeptUp], now: float) -> list[Action]:
    actions: list[Action] = []
    for owner in (one for one in owners if one in state.others):
        kept, link = known(state, owner), state.link(owner.ifindex)
        if kept.gone or link is None:
            del state.others[owner]
            actions.append(Say("info", f"{owner} is gone"))
            continue
        up = SetUp(owner.ifindex, up=True)
        kept.is_settled = link.up
        if not link.up and not kept.work.is_busy and not kept.work.is_blocked([up], now):
            look = FetchInet(owner, (owner.ifindex,))
            actions += [look, kept.work.send(Part.MOVE, [up], "it is to be kept up")]
        state.times.note(owner, kept.work.next_retry(now))
    return actions


def known(state: State, owner: KeptUp) -> Kept:
    found = state.others[owner]
    assert isinstance(found, Kept)
    return found


STEPS: dict[type[Owner], Steps] = {KeptUp: Steps(take, look_at)}
"""The row."""
