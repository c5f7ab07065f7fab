"""The conversation with the kernel about devices, without a socket: datagrams in, events out; requests in, datagrams
out.

One socket does everything: it is in the link group, and requests and dumps go over it too. So the kernel's queue is the
one order of truth. The message about what a request changed comes before the request's acknowledgement, and a row of a
dump is newer than every event before it; nothing has to be merged by guessing. (Rejected: two sockets, one for events
and one for requests. An answer could then overtake the event it belongs to, and the picture of the machine would jump
back and forth.)

The one message that matters may be far back in the queue (lookahead.py). And most of the queue may be about devices
that can be in no pair (bystanders.py): such a message is an event only where it changes something that is kept of the
device.

Traffic control on a device is part of the device: the socket is in RTNLGRP_TC as well, and qdiscs and filters are put
into `Link.tc`. So the active NIC is read off the kernel under the `tc` datapath, too.

The answer to every loss is a new dump: after an overrun (ENOBUFS), an incomplete dump, or a datagram that cannot be
read. Requests whose answers may have been lost are reported as unanswered. A socket has one dump at a time, and the
kernel refuses a second one (EBUSY), so a running dump is finished before the next is asked for.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import field, replace
from functools import partial

from failoverd.dataclass import dataclass
from failoverd.model.events import AddressSeen, Answered, Event, LinkGone, LinkSeen, Synced
from failoverd.model.links import BYSTANDERS, Link
from failoverd.model.owners import Ticket
from failoverd.model.requests import Request
from failoverd.netlink import tc
from failoverd.netlink.bystanders import read_bystander
from failoverd.netlink.dump import TRIES, Dump
from failoverd.netlink.frames import (
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSG_OVERRUN,
    Message,
    NetlinkError,
    pack,
    read_error,
    split,
)
from failoverd.netlink.inet import IFADDR, RTM_NEWADDR
from failoverd.netlink.links import AF_UNSPEC, IFF_LOWER_UP, IFF_UP, RTM_DELLINK, RTM_NEWLINK, head, read_link
from failoverd.netlink.lookahead import LookAhead
from failoverd.netlink.peeks import Peeks
from failoverd.netlink.requests import dump_links, get_link, peek_link, write_request
from failoverd.netlink.tc import Table

log = logging.getLogger("failoverd")

LARGEST = 1 << 16
"""Longest datagram sent, in bytes. The kernel accepts none longer than its send buffer (212,992 by default), and the
routes of one device can be more than that."""

Complete = Callable[[Link], Link]
"""Adds what is not in a device's message: its driver, its virtio features."""


@dataclass(slots=True)
class Batch:
    """Requests that the kernel has not answered in full: `answers` by sequence number; `asked` is when they were sent
    (seconds)."""

    ticket: Ticket
    requests: tuple[Request, ...]
    seqs: tuple[int, ...]
    asked: float
    answers: dict[int, tuple[int, str]] = field(default_factory=dict)


class Conversation:
    """The conversation over one socket (see the module). `out` holds the datagrams to send next, in order."""

    def __init__(self, complete: Complete) -> None:
        self._complete = complete
        self._known: dict[int, Link] = {}
        self._tables: dict[int, Table] = {}
        self._peeks = Peeks()
        self._ahead = LookAhead(self._known)
        self._is_behind = False
        self._seq = 0
        self._batches: list[Batch] = []
        self._dump: Dump | None = None
        self.out: list[bytes] = []

    def request(self, ticket: Ticket, requests: tuple[Request, ...], now: float) -> None:
        """Queue a batch for sending: one datagram if it fits, which the kernel works through in one go.

        Devices whose change the kernel may not report by itself are asked for behind it (Request.untold).
        """
        writers = [partial(write_request, request) for request in requests]
        untold = {ifindex for request in requests if request.untold for ifindex in request.devices}
        writers += [partial(get_link, ifindex) for ifindex in sorted(untold)]
        seqs = tuple(self._next() for _ in writers)
        self._batches.append(Batch(ticket, requests, seqs, now))
        self.out += pack((write(seq) for write, seq in zip(writers, seqs, strict=True)), LARGEST)

    def peek(self, ifindex: int) -> None:
        """Ask for a device's present state. An answer equal to the last one makes no event."""
        seq = self._next()
        self._peeks.ask(seq)
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
        return self._lost(now)

    def deadline(self, timeout: float) -> float | None:
        """The time by which `overdue` has to be called, None while no answer is awaited."""
        asked = [batch.asked for batch in self._batches] + ([self._dump.heard] if self._dump else [])
        return min(asked) + timeout if asked else None

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
        for link in self._ahead.losses():
            self._known[link.ifindex] = link
            yield LinkSeen(link)

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
        lost: list[Event] = [Answered(batch.ticket, batch.requests, None) for batch in self._batches]
        self._batches.clear()
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
            return self._device(message, now)
        if message.type == RTM_NEWADDR:
            return self._address(message)
        if message.type in tc.MESSAGES:
            return self._traffic_control(message, now)
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

    def _device(self, message: Message, now: float) -> Iterator[Event]:
        family, ifindex, flags = head(message)
        if family != AF_UNSPEC:
            return
        dump = self._dump
        if message.type == RTM_DELLINK:
            if dump is not None:
                dump.links.pop(ifindex, None)
                dump.tables.pop(ifindex, None)
            self._tables.pop(ifindex, None)
            self._peeks.forget(ifindex)
            self._known.pop(ifindex, None)
            yield LinkGone(ifindex)
            yield from self._led_to(ifindex)
            return
        if self._peeks.is_old_news(message, ifindex):
            return
        is_row = dump is not None and message.seq == dump.seq
        if not is_row:
            yield from self._lost_link(ifindex, flags)
        try:
            link = self._ahead.as_known(self._read(message))
            if (table := self._tables.get(ifindex)) is not None:
                link = replace(link, tc=table.tc())
        except NetlinkError as error:
            # A new dump would bring the same message, and other devices must not suffer from it.
            log.warning("what the kernel says of device %d cannot be read: %s; it is left alone", ifindex, error)
            return
        known, self._known[ifindex] = self._known.get(ifindex), link
        if dump is not None:
            dump.take(link, message, now)
        if not is_row and not (link == known and (link.kind in BYSTANDERS or self._is_answer(message))):
            yield LinkSeen(link)

    def _is_answer(self, message: Message) -> bool:
        """Whether this is the state that was asked for behind a batch. Such a message may have nothing new; any other
        one was sent because something changed."""
        return any(message.seq in batch.seqs for batch in self._batches)

    def _read(self, message: Message) -> Link:
        """Read a device, by hand where that is enough. The lab's veths stand for hardware: `complete` tells which."""
        bystander = read_bystander(message)
        if bystander is not None and self._complete(bystander) is bystander:
            return bystander
        return self._complete(read_link(message))

    def _led_to(self, ifindex: int) -> Iterator[Event]:
        """Clear the redirects to a device that is gone.

        They lead nowhere even when the device comes back with its ifindex, as from another namespace: act_mirred
        forgets it at NETDEV_UNREGISTER (mirred_device_event), and sends no message.
        """
        for table in self._dump.tables.values() if self._dump is not None else ():
            table.forget_target(ifindex)
        for index, table in self._tables.items():
            if table.forget_target(ifindex) and (known := self._known.get(index)) is not None:
                self._known[index] = replace(known, tc=table.tc())
                yield LinkSeen(self._known[index])

    def _address(self, message: Message) -> Iterator[Event]:
        """Report an address only on hardware: nothing else can be a slave, and a master gets its addresses anew with
        every router advertisement."""
        if len(message.payload) < IFADDR.size:
            raise NetlinkError(f"an address message of {len(message.payload)} bytes")
        known = self._known.get(IFADDR.unpack_from(message.payload)[4])
        if known is not None and known.perm_mac and not known.kind:
            yield AddressSeen(known.ifindex)

    def _lost_link(self, ifindex: int, flags: int) -> Iterator[Event]:
        """Report that a slave is down or has no carrier, ahead of everything else in its message.

        Both flags are in the message's header. Decoding the rest takes ten times as long as a switch.
        """
        known = self._known.get(ifindex)
        if known is None or not known.carrier or (flags & IFF_UP and flags & IFF_LOWER_UP):
            return
        up = bool(flags & IFF_UP)
        self._known[ifindex] = replace(known, up=up, carrier=False)
        yield LinkSeen(self._known[ifindex])

    def _traffic_control(self, message: Message, now: float) -> Iterator[Event]:
        """Apply a traffic control message; during a dump, both to the known state and to what the dump has listed so
        far."""
        dump, ifindex = self._dump, tc.head(message)[1]
        if dump is not None and dump.parts is not None:
            dump.tables.setdefault(ifindex, Table()).take(message)
        if dump is not None and message.seq == dump.seq:
            dump.heard = now
            dump.interrupted |= bool(message.flags & NLM_F_DUMP_INTR)
            return
        table = self._tables.setdefault(ifindex, Table())
        table.take(message)
        if (known := self._known.get(ifindex)) is not None and known.tc != table.tc():
            self._known[ifindex] = replace(known, tc=table.tc())
            yield LinkSeen(self._known[ifindex])

    def _answer(self, message: Message, now: float) -> list[Event]:
        if self._dump is not None and message.seq == self._dump.seq:
            return [] if self._dump.refuse(message) else self._next_part(self._dump, now)
        for batch in self._batches:
            if message.seq in batch.seqs:
                batch.answers[message.seq] = read_error(message)
                return self._completed(batch)
        return []

    def _completed(self, batch: Batch) -> list[Event]:
        if len(batch.answers) < len(batch.seqs):
            return []
        self._batches.remove(batch)
        answers = tuple(batch.answers[seq] for seq in batch.seqs[: len(batch.requests)])
        return [Answered(batch.ticket, batch.requests, answers)]

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
        self._dump, self._tables = None, dump.tables
        self._known.clear()
        self._known |= {link.ifindex: link for link in links}
        return [Synced(links)]

    def _ask(self, now: float, tries: int) -> None:
        self._dump = Dump(self._next(), tries, now)
        self.out.append(dump_links(self._dump.seq))

    def _next(self) -> int:
        self._seq = self._seq % 0xFFFFFFFF + 1
        return self._seq
