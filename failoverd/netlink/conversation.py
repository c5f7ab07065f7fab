"""The talk with the kernel about devices, without a socket: datagrams in, events out; requests in, datagrams out.

One socket does everything: it is in the link group, and the requests and the dumps go over it too. So the kernel's queue is one
order of truth. The message that says what a request changed stands before the request's acknowledgement, and a row of
a dump is younger than every event in front of it; nothing has to be merged by guessing. (Two sockets, one for events and one for
requests, were the first thought. Then an answer can overtake the event it belongs to, and the picture of the machine
jumps back and forth.)

What is lost is answered by asking for everything again: an overrun (ENOBUFS), a dump the kernel marks as interrupted, a message
that cannot be read. Requests whose answers may be among what was lost are reported as unanswered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from failoverd.model.events import Answered, Event, LinkGone, LinkSeen, Synced
from failoverd.model.links import Link
from failoverd.model.requests import AddAltname, DropAltname, Request
from failoverd.netlink.frames import (
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSG_OVERRUN,
    Message,
    NetlinkError,
    read_error,
    split,
)
from failoverd.netlink.links import AF_UNSPEC, RTM_DELLINK, RTM_NEWLINK, family_and_index, read_link
from failoverd.netlink.requests import dump_links, get_link, write_request

DUMP_TRIES = 8
"""How often an interrupted dump is asked for again. The last one counts: later changes come as events anyway."""

Complete = Callable[[Link], Link]
"""Adds to a device what is not in its message: its driver, its virtio features."""


@dataclass(slots=True)
class Batch:
    """Requests that are with the kernel; `answers` by sequence number, `asked` when they were sent (seconds)."""

    mac: str
    requests: tuple[Request, ...]
    seqs: tuple[int, ...]
    asked: float
    answers: dict[int, tuple[int, str]] = field(default_factory=dict)


@dataclass(slots=True)
class Dump:
    """A dump that is coming in. `tries` are those left."""

    seq: int
    tries: int
    asked: float
    links: dict[int, Link] = field(default_factory=dict)
    interrupted: bool = False


class Conversation:
    """See the module. `out` holds the datagrams that have to be sent next, in order."""

    def __init__(self, complete: Complete) -> None:
        self._complete = complete
        self._seq = 0
        self._batches: list[Batch] = []
        self._dump: Dump | None = None
        self.out: list[bytes] = []

    def request(self, mac: str, requests: tuple[Request, ...], now: float) -> None:
        """Put a batch on its way: one datagram, which the kernel works through in one go.

        Of alternative names the kernel tells nothing while a device is down (net/core/dev.c, netdev_state_change), so
        the devices are asked for behind them.
        """
        writers = [partial(write_request, request) for request in requests]
        quiet = {r.ifindex for r in requests if isinstance(r, AddAltname | DropAltname)}
        writers += [partial(get_link, ifindex) for ifindex in sorted(quiet)]
        seqs = tuple(self._next() for _ in writers)
        self._batches.append(Batch(mac, requests, seqs, now))
        self.out.append(b"".join(write(seq) for write, seq in zip(writers, seqs, strict=True)))

    def resync(self, now: float, tries: int = DUMP_TRIES) -> None:
        """Ask for every device, unless that is under way; the answer is one Synced."""
        if self._dump is None:
            self._ask(now, tries)

    def overrun(self, now: float) -> list[Event]:
        """Events were lost, and maybe answers. Whatever was expected is reported as lost, and all is asked for anew."""
        lost = [Answered(batch.mac, batch.requests, None) for batch in self._batches]
        self._batches.clear()
        self._ask(now, DUMP_TRIES)
        return list(lost)

    def overdue(self, now: float, timeout: float) -> list[Event]:
        """Answers that did not come within `timeout` seconds are lost: report it, and ask for everything."""
        asked = [batch.asked for batch in self._batches] + ([self._dump.asked] if self._dump else [])
        return self.overrun(now) if any(now >= at + timeout for at in asked) else []

    def deadline(self, timeout: float) -> float | None:
        """When `overdue` has to be asked at the latest, None while nothing is expected."""
        asked = [batch.asked for batch in self._batches] + ([self._dump.asked] if self._dump else [])
        return min(asked) + timeout if asked else None

    def feed(self, datagram: bytes, now: float) -> list[Event]:
        """Take in one datagram and say what happened."""
        events: list[Event] = []
        try:
            for message in split(datagram):
                events += self._message(message, now)
        except NetlinkError:
            events += self.overrun(now)
        return events

    def _message(self, message: Message, now: float) -> list[Event]:
        if message.type in (RTM_NEWLINK, RTM_DELLINK):
            return self._device(message)
        if message.type == NLMSG_ERROR:
            return self._answer(message)
        if message.type == NLMSG_DONE:
            return self._done(message, now)
        return self.overrun(now) if message.type == NLMSG_OVERRUN else []

    def _device(self, message: Message) -> list[Event]:
        family, ifindex = family_and_index(message)
        if family != AF_UNSPEC:
            return []
        dump = self._dump
        is_row = dump is not None and message.seq == dump.seq
        if message.type == RTM_DELLINK:
            if dump is not None:
                dump.links.pop(ifindex, None)
            return [LinkGone(ifindex)]
        link = self._complete(read_link(message))
        if dump is not None:
            dump.links[ifindex] = link
            dump.interrupted |= is_row and bool(message.flags & NLM_F_DUMP_INTR)
        return [] if is_row else [LinkSeen(link)]

    def _answer(self, message: Message) -> list[Event]:
        number, words = read_error(message)
        if self._dump is not None and message.seq == self._dump.seq:
            self._dump = None
            if number:
                raise OSError(number, f"the kernel refused to list its devices: {words or number}")
        for batch in self._batches:
            if message.seq in batch.seqs:
                batch.answers[message.seq] = (number, words)
                return self._completed(batch)
        return []

    def _completed(self, batch: Batch) -> list[Event]:
        if len(batch.answers) < len(batch.seqs):
            return []
        self._batches.remove(batch)
        answers = tuple(batch.answers[seq] for seq in batch.seqs[: len(batch.requests)])
        return [Answered(batch.mac, batch.requests, answers)]

    def _done(self, message: Message, now: float) -> list[Event]:
        dump = self._dump
        if dump is None or message.seq != dump.seq:
            return []
        self._dump = None
        if (dump.interrupted or message.flags & NLM_F_DUMP_INTR) and dump.tries > 1:
            self._ask(now, dump.tries - 1)
            return []
        return [Synced(tuple(dump.links.values()))]

    def _ask(self, now: float, tries: int) -> None:
        self._dump = Dump(self._next(), tries, now)
        self.out.append(dump_links(self._dump.seq))

    def _next(self) -> int:
        self._seq = self._seq % 0xFFFFFFFF + 1
        return self._seq
