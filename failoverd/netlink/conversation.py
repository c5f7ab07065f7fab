"""The talk with the kernel about devices, without a socket: datagrams in, events out; requests in, datagrams out.

One socket does everything: it is in the link group, and the requests and the dumps go over it too. So the kernel's
queue is one order of truth. The message that says what a request changed stands before the request's acknowledgement,
and a row of a dump is younger than every event in front of it; nothing has to be merged by guessing. (Two sockets, one
for events and one for requests, were the first thought. Then an answer can overtake the event it belongs to, and the
picture of the machine jumps back and forth.)

What is lost is answered by asking for everything again: an overrun (ENOBUFS), a dump that is not whole, a datagram that
cannot be read. Requests whose answers may be among what was lost are reported as unanswered. A socket has one dump at a
time, and the kernel refuses a second one (EBUSY), so a dump that is under way is finished before the next is asked for.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from failoverd.model.events import AddressSeen, Answered, Event, LinkGone, LinkSeen, Synced
from failoverd.model.links import Link
from failoverd.model.requests import AddAltname, DropAltname, Request, SetLinkLocal, SetUp
from failoverd.netlink import tc
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
from failoverd.netlink.peeks import Peeks
from failoverd.netlink.requests import dump_links, get_link, peek_link, write_request
from failoverd.netlink.tc import Table

log = logging.getLogger("failoverd")

LARGEST = 1 << 16
"""Longest datagram sent, in bytes. The kernel takes none that is longer than its send buffer (212,992 by default), and
the routes of one device can be more than that."""

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


class Conversation:
    """See the module. `out` holds the datagrams that have to be sent next, in order."""

    def __init__(self, complete: Complete) -> None:
        self._complete = complete
        self._known: dict[int, Link] = {}
        self._tables: dict[int, Table] = {}
        self._peeks = Peeks()
        self._is_behind = False
        self._seq = 0
        self._batches: list[Batch] = []
        self._dump: Dump | None = None
        self.out: list[bytes] = []

    def request(self, mac: str, requests: tuple[Request, ...], now: float) -> None:
        """Put a batch on its way: one datagram if it fits, which the kernel works through in one go.

        Of alternative names and of the making of link-local addresses the kernel tells nothing while a device is down
        (net/core/dev.c, netdev_state_change), and of a carrier that a device had before it came up only with the next
        batch, up to a second later (net/core/link_watch.c; on newer kernels asking flushes it). So these devices are
        asked for behind them.
        """
        writers = [partial(write_request, request) for request in requests]
        quiet = {r.ifindex for r in requests if isinstance(r, AddAltname | DropAltname | SetLinkLocal | SetUp)}
        writers += [partial(get_link, ifindex) for ifindex in sorted(quiet)]
        seqs = tuple(self._next() for _ in writers)
        self._batches.append(Batch(mac, requests, seqs, now))
        self.out += pack((write(seq) for write, seq in zip(writers, seqs, strict=True)), LARGEST)

    def peek(self, ifindex: int) -> None:
        """Ask how a device is now. An answer that is like the last one is not told again."""
        seq = self._next()
        self._peeks.ask(seq)
        self.out.append(peek_link(ifindex, seq))

    def resync(self, now: float, tries: int = TRIES) -> None:
        """Ask for every device, unless that is under way; the answer is one Synced."""
        if self._dump is None:
            self._ask(now, tries)

    def overrun(self, now: float) -> list[Event]:
        """Events were lost, and maybe answers. Whatever was expected is reported as lost, and all is asked for anew."""
        if self._dump is not None:
            self._dump.tries = TRIES
        self._is_behind = self._is_behind or self._dump is None
        return self._lost(now)

    def overdue(self, now: float, timeout: float) -> list[Event]:
        """Answers that did not come within `timeout` seconds are lost: report it, and ask for everything."""
        due = self.deadline(timeout)
        if due is None or now < due:
            return []
        if self._dump is not None and now >= self._dump.heard + timeout:
            self._dump = None
        return self._lost(now)

    def deadline(self, timeout: float) -> float | None:
        """When `overdue` has to be asked at the latest, None while nothing is expected."""
        asked = [batch.asked for batch in self._batches] + ([self._dump.heard] if self._dump else [])
        return min(asked) + timeout if asked else None

    def feed(self, datagram: bytes, now: float) -> Iterator[Event]:
        """Take in one datagram and say what happened, event by event: the first can be acted on before the next is
        read. Raises OSError where the kernel will not list its devices."""
        try:
            for message in split(datagram):
                yield from self._message(message, now)
        except NetlinkError as error:
            log.warning("a datagram of the kernel cannot be read: %s; looking at all devices again", error)
            if self._dump is not None:
                self._dump.failed = errno.EBADMSG
            yield from self._lost(now)

    def _lost(self, now: float) -> list[Event]:
        lost: list[Event] = [Answered(batch.mac, batch.requests, None) for batch in self._batches]
        self._batches.clear()
        if self._dump is None:
            self._ask(now, TRIES)
        else:
            self._dump.interrupted = True
        return lost

    def _message(self, message: Message, now: float) -> Iterable[Event]:
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
        """Whether this was queued before the dump that an overrun was answered with. Thousands of messages may be, the
        dump's rows are younger than all of them, and it does not begin before there is room in the queue again."""
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
            return
        if self._peeks.is_old_news(message, ifindex):
            return
        is_row = dump is not None and message.seq == dump.seq
        if not is_row:
            yield from self._lost_link(ifindex, flags)
        try:
            link = self._complete(read_link(message))
            if (table := self._tables.get(ifindex)) is not None:
                link = replace(link, tc=table.tc())
        except NetlinkError as error:
            # Asking again would bring the same. The others must not suffer from it.
            log.warning("what the kernel says of device %d cannot be read: %s; it is left alone", ifindex, error)
            return
        self._known[ifindex] = link
        if dump is not None:
            dump.take(link, message, now)
        if not is_row:
            yield LinkSeen(link)

    def _address(self, message: Message) -> Iterator[Event]:
        """Only hardware can be a slave, and a master gets its addresses anew with every router advertisement."""
        if len(message.payload) < IFADDR.size:
            raise NetlinkError(f"an address message of {len(message.payload)} bytes")
        known = self._known.get(IFADDR.unpack_from(message.payload)[4])
        if known is not None and known.perm_mac and not known.kind:
            yield AddressSeen(known.ifindex)

    def _lost_link(self, ifindex: int, flags: int) -> Iterator[Event]:
        """Tell that a slave is down or has no carrier ahead of everything else its message says.

        Both stand in the message's header. To decode the rest takes ten times as long as to switch.
        """
        known = self._known.get(ifindex)
        if known is None or not known.carrier or (flags & IFF_UP and flags & IFF_LOWER_UP):
            return
        up = bool(flags & IFF_UP)
        self._known[ifindex] = replace(known, up=up, carrier=False)
        yield LinkSeen(self._known[ifindex])

    def _traffic_control(self, message: Message, now: float) -> Iterator[Event]:
        """What happens while a dump comes in holds for what was known and for what the dump has told so far."""
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
        return [Answered(batch.mac, batch.requests, answers)]

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
        """Ask for what is still missing of a dump, or say that it is whole."""
        ask = dump.next_part()
        if ask is not None:
            dump.seq, dump.heard = self._next(), now
            self.out.append(ask(dump.seq))
            return []
        links = dump.whole()
        self._dump, self._tables = None, dump.tables
        self._known = {link.ifindex: link for link in links}
        return [Synced(links)]

    def _ask(self, now: float, tries: int) -> None:
        self._dump = Dump(self._next(), tries, now)
        self.out.append(dump_links(self._dump.seq))

    def _next(self) -> int:
        self._seq = self._seq % 0xFFFFFFFF + 1
        return self._seq
