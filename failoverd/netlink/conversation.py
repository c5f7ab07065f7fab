"""The conversation with the kernel about devices, without a socket: datagrams in, events out; requests in, datagrams
out.

One socket does everything: it is in the link group, and requests and dumps go over it too. So the kernel's queue is the
one order of truth. The message about what a request changed comes before the request's acknowledgement, and a row of a
dump is newer than every event before it; nothing has to be merged by guessing. (Rejected: two sockets, one for events
and one for requests. An answer could then overtake the event it belongs to, and the picture of the machine would jump
back and forth.)

The one message that matters may be far back in the queue (lookahead.py). What the messages about devices tell is kept
in known_devices.py. Traffic control on a device is part of the device: the socket is in RTNLGRP_TC as well.

The answer to every loss is a new dump: after an overrun (ENOBUFS), an incomplete dump, or a datagram that cannot be
read. Requests whose answers may have been lost are reported as unanswered. A socket has one dump at a time, and the
kernel refuses a second one (EBUSY), so a running dump is finished before the next is asked for.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Iterator

from failoverd.model.events import Event, Synced
from failoverd.model.owners import Ticket
from failoverd.model.requests import Request
from failoverd.netlink import tc
from failoverd.netlink.batches import Batches
from failoverd.netlink.dump import TRIES, Dump
from failoverd.netlink.frames import NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN, Message, NetlinkError, split
from failoverd.netlink.inet import RTM_NEWADDR
from failoverd.netlink.known_devices import Complete, KnownDevices
from failoverd.netlink.links import AF_UNSPEC, RTM_DELLINK, RTM_NEWLINK, head
from failoverd.netlink.requests import dump_links, peek_link

log = logging.getLogger("failoverd")


class Conversation:
    """The conversation over one socket (see the module). `out` holds the datagrams to send next, in order."""

    def __init__(self, complete: Complete) -> None:
        self._devices = KnownDevices(complete)
        self._ahead = self._devices.ahead
        self._is_behind = False
        self._seq = 0
        self._batches = Batches(self._next)
        self._dump: Dump | None = None
        self.out: list[bytes] = []

    def request(self, ticket: Ticket, requests: tuple[Request, ...], now: float) -> None:
        """Queue a batch for sending; Answered follows."""
        self.out += self._batches.add(ticket, requests, now)

    def peek(self, ifindex: int) -> None:
        """Ask for a device's present state. An answer equal to the last one makes no event."""
        seq = self._next()
        self._devices.peeks.ask(seq)
        self.out.append(peek_link(ifindex, seq))

    def resync(self, now: float, tries: int = TRIES) -> None:
        """Ask for every device, unless a dump is under way; the result is one Synced."""
        if self._dump is None:
            self._ask(now, tries)

    def overrun(self, now: float) -> list[Event]:
        """Handle an overrun: events were lost, and perhaps answers. Report all outstanding requests as lost, and ask
        for everything again."""
        if self._dump is not None:
            self._dump.tries = TRIES
        self._is_behind = self._is_behind or self._dump is None
        return self._lost(now)

    def overdue(self, now: float, timeout: float) -> list[Event]:
        """Report answers that did not come within `timeout` seconds as lost, and ask for everything."""
        due = self.deadline(timeout)
        if due is None or now < due:
            return []
        if self._dump is not None and now >= self._dump.heard + timeout:
            self._dump = None
            self.out.clear()
        return self._lost(now)

    def deadline(self, timeout: float) -> float | None:
        """The time by which `overdue` has to be called, None while no answer is awaited."""
        asked = (self._batches.oldest(), self._dump.heard if self._dump else None)
        return min((at + timeout for at in asked if at is not None), default=None)

    @property
    def is_behind(self) -> bool:
        """Whether datagrams are queued here."""
        return bool(self._ahead)

    @property
    def has_room(self) -> bool:
        """Whether more datagrams may be queued here."""
        return self._ahead.has_room

    def queue(self, datagram: bytes) -> None:
        """Queue a datagram, to be read after those before it."""
        self._ahead.put(datagram)

    def foresee(self) -> Iterator[Event]:
        """Report the NICs that have lost their link by the end of the queue, ahead of everything else."""
        return self._devices.foresee()

    def work(self, now: float) -> Iterator[Event]:
        """Read the oldest queued datagram, as `feed` does."""
        return self.feed(self._ahead.take(), now)

    def feed(self, datagram: bytes, now: float) -> Iterator[Event]:
        """Read one datagram and yield its events one by one, so that the first can be acted on before the next is read.

        Raises OSError where the kernel refuses to list its devices.
        """
        try:
            for message in split(datagram):
                yield from self._message(message, now)
        except NetlinkError as error:
            log.warning("a datagram of the kernel cannot be read: %s; looking at all devices again", error)
            if self._dump is not None:
                self._dump.failed = errno.EBADMSG
            yield from self._lost(now)

    def _lost(self, now: float) -> list[Event]:
        self._ahead.forget()
        # A request that is reported as lost must not be sent after all.
        self.out = self._batches.others(self.out)
        lost = self._batches.lose()
        if self._dump is None:
            self._ask(now, TRIES)
        else:
            self._dump.interrupted = True
        return lost

    def _message(self, message: Message, now: float) -> Iterable[Event]:
        if message.type == RTM_NEWLINK and (about := head(message))[0] == AF_UNSPEC:
            self._ahead.passed(about[1])
        if self._is_stale(message):
            return []
        if message.type in (RTM_NEWLINK, RTM_DELLINK):
            return self._devices.device(message, self._dump, now, self._batches.has)
        if message.type == RTM_NEWADDR:
            return self._devices.address(message)
        if message.type in tc.MESSAGES:
            return self._devices.traffic_control(message, self._dump, now)
        if message.type == NLMSG_ERROR:
            return self._answer(message, now)
        if message.type == NLMSG_DONE:
            return self._done(message, now)
        return self.overrun(now) if message.type == NLMSG_OVERRUN else []

    def _is_stale(self, message: Message) -> bool:
        """Whether this message was queued before the dump that answers an overrun.

        There may be thousands of such messages. The dump's rows are newer than all of them, as the dump does not begin
        before there is room in the queue again.
        """
        if self._is_behind and self._dump is not None and message.seq == self._dump.seq:
            self._is_behind = False
        return self._is_behind

    def _answer(self, message: Message, now: float) -> list[Event]:
        if self._dump is not None and message.seq == self._dump.seq:
            return [] if self._dump.refuse(message) else self._next_part(self._dump, now)
        return self._batches.answer(message)

    def _done(self, message: Message, now: float) -> list[Event]:
        dump = self._dump
        if dump is None or not (dump.refused or message.seq == dump.seq):
            return []
        if dump.refused:
            self._ask(now, dump.tries)
        elif not dump.is_whole(message):
            self._ask(now, dump.tries - 1)
        else:
            return self._next_part(dump, now)
        return []

    def _next_part(self, dump: Dump, now: float) -> list[Event]:
        """Ask for the next part of a dump, or report that it is complete."""
        ask = dump.next_part()
        if ask is not None:
            dump.seq, dump.heard = self._next(), now
            self.out.append(ask(dump.seq))
            return []
        links = dump.whole()
        self._dump = None
        self._devices.replace_all(links, dump.tables)
        return [Synced(links)]

    def _ask(self, now: float, tries: int) -> None:
        self._dump = Dump(self._next(), tries, now)
        self.out.append(dump_links(self._dump.seq))

    def _next(self) -> int:
        self._seq = self._seq % 0xFFFFFFFF + 1
        return self._seq
