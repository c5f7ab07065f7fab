"""What was found of one end: its state, in words, and the requests that would take it further."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from failoverd.dataclass import dataclass
from failoverd.links.picture import Device
from failoverd.model.declared import End
from failoverd.model.linkstatus import LinkState
from failoverd.model.places import Absent, Place
from failoverd.model.requests import CreateLink, DeleteLink, MoveLink, Request


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests for one datagram, sent by a socket in `place`, on behalf of an end."""

    place: Place
    name: str
    requests: tuple[Request, ...]
    makes: bool = False
    """Whether they make the device."""

    also: Place | None = None
    """Another namespace that they change something in; in which they make something, where `makes` is set."""

    then: Batch | None = None
    """What is sent right after it, to `also`, if the kernel has done all of it: so a veth's far end is configured
    without another look."""


Answers = tuple[tuple[int, str], ...] | None
"""The kernel's answers to a batch: for each request the errno (0: done) and its text; None where the namespace was gone
before it was sent."""


Send = Callable[[Sequence[Batch]], Sequence[Answers]]


def carried_out(batches: Sequence[Batch], send: Send) -> Iterator[tuple[Batch, Answers]]:
    """Send batches, and then what follows those that were done; yield all that was sent, with the answers.

    A device that was made and could not be marked is deleted at once: without its mark it would be another's.
    """
    following: list[Batch] = []
    unmarked: list[Batch] = []
    for batch, answers in zip(batches, send(batches), strict=True):
        yield batch, answers
        numbers = [number for number, _ in answers or ()]
        first = batch.requests[0]
        if batch.makes and isinstance(first, CreateLink) and numbers[:1] == [0] and numbers[1]:
            has_moved = isinstance(batch.requests[-1], MoveLink) and numbers[-1] == 0
            place = batch.also if has_moved and batch.also is not None else batch.place
            unmarked.append(Batch(place, batch.name, (DeleteLink(first.device.ifindex),)))
        elif batch.then is not None and numbers and not any(numbers):
            following.append(batch.then)
    for more in filter(None, (*([one] for one in unmarked), following)):
        yield from zip(more, send(more), strict=True)


@dataclass(frozen=True, slots=True)
class Finding:
    """One end as it is."""

    state: LinkState
    reason: str = ""
    detail: str = ""
    batches: tuple[Batch, ...] = ()
    ifindex: int = 0

    doubt: Place | None = None
    """A namespace that has to be looked at before this can be believed, unless it was looked at last."""


def pending(why: Absent) -> Finding:
    """Return the finding of an end that waits."""
    return Finding(LinkState.PENDING, why.reason, why.detail)


def taken(end: End, place: Place, device: Device, mark: str) -> Finding:
    """Return the finding of an end whose name another device has.

    One that bears the end's own mark may be its device, which is gone by now: nothing tells that a look is outdated.
    """
    link = device.link
    kind = f"a {link.kind}" if link.kind else "hardware"
    name = f"{end.device} is the name of" if link.name == end.device else f"{end.device} is an alternative name of"
    detail = f"{name} another device (ifindex {link.ifindex}, {kind}), which is not failoverd's; "
    detail += "rename one of them, or give the link another `device`"
    doubt = place if mark in link.altnames else None
    return Finding(LinkState.CONFLICT, "name-taken", detail, doubt=doubt)


def looking() -> Finding:
    """Return the finding of an end whose namespace has not been looked at yet."""
    return Finding(LinkState.MAKING, "", "its network namespace is being looked at")
