"""A netlink conversation that blocks, for a thread of its own: what declared links need of the kernel.

A socket into another network namespace keeps that alive, so it is opened for a request and closed right after it.
"""

from __future__ import annotations

import os
import secrets
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count, islice
from typing import Protocol

from failoverd.links.addresses import PROTOCOL
from failoverd.links.picture import Device, Interest, Picture
from failoverd.model.inet import Address, Route
from failoverd.model.links import Link
from failoverd.model.requests import DeleteMarked, Request
from failoverd.netlink.fetch import TRIES, InterruptedDumpError
from failoverd.netlink.frames import (
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    Message,
    build,
    pack,
    pick,
    read_done,
    read_error,
    split,
    without_ack,
)
from failoverd.netlink.inet import (
    IFADDR,
    RTM_GETADDR,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWROUTE,
    RTMSG,
    read_address,
    read_route,
)
from failoverd.netlink.links import INFO, RTM_NEWLINK, head
from failoverd.netlink.requests import Descriptors, dump_links, dump_links_plainly, write_group, write_request
from failoverd.netlink.slim import read_device

IFLA_IFNAME, IFLA_STATS64 = frozenset({3}), frozenset({23})
STATS64 = struct.Struct("=8Q")
COUNTERS = (
    "rx_packets",
    "tx_packets",
    "rx_bytes",
    "tx_bytes",
    "rx_errors",
    "tx_errors",
    "rx_dropped",
    "tx_dropped",
)
LARGEST = 1 << 16
"""Longest datagram sent, in bytes."""
TOGETHER = 100
"""Requests that are sent at a time. The answers to all have to fit into the socket's buffer, where the kernel refuses
each of them."""

DELETED, LEFT_TO_OTHERS = 8, 0.05
"""Marked devices that are deleted at a time, and the longest pause behind that, in seconds."""

Answers = tuple[tuple[int, str], ...]


class BlockingSocket(Protocol):
    """A NETLINK_ROUTE socket in some network namespace, with strict checking and extended acknowledgements."""

    def send(self, datagram: bytes) -> object:
        """Send a datagram to the kernel, which processes its messages before this returns. Raises OSError."""

    def recv(self, size: int, /) -> bytes:
        """Return the next datagram. Raises OSError, TimeoutError among them."""


class Exchange:
    """See the module. All methods raise OSError, and NetlinkError for an answer that is no netlink message."""

    def __init__(self, sock: BlockingSocket, known: dict[bytes, Link] | None = None) -> None:
        """`known` are devices that were read before, by their messages. A look reads only others, and updates it."""
        self._sock = sock
        self._known = known if known is not None else {}
        self._numbers = count(1)

    def make(self, lots: Sequence[Sequence[Request]], descriptors: Descriptors) -> list[Answers]:
        """Send lots of requests, several in one datagram, and return for each lot the errnos (0: done) and the
        kernel's texts. No lot is divided, unless it is too long for a datagram.

        `descriptors` has the other namespaces that the requests name.
        """
        marks = {number: mark for number, lot in enumerate(lots) if (mark := _removed(lot))}
        if len(marks) < 2:
            return self._made(lots, descriptors)
        gone = self._delete(list(marks.values()))
        made = iter(self._made([lot for number, lot in enumerate(lots) if number not in marks], descriptors))
        return [(gone[marks[number]],) if number in marks else next(made) for number in range(len(lots))]

    def _made(self, lots: Sequence[Sequence[Request]], descriptors: Descriptors) -> list[Answers]:
        found: list[Answers] = []
        for some in _together(lots):
            seqs = [next(self._numbers) for lot in some for _ in lot]
            requests = zip(chain.from_iterable(some), seqs, strict=True)
            answers = iter(self._answers([write_request(request, seq, descriptors) for request, seq in requests], seqs))
            found += [tuple(islice(answers, len(lot))) for lot in some]
        return found

    def _delete(self, marks: Sequence[str]) -> dict[str, tuple[int, str]]:
        """Delete the devices with these alternative names, and return the answers.

        A veth's deletion keeps its sender waiting for 16 ms, and that of a group of devices no longer. So those with a
        mark are put into a group that nothing else is in, and that is deleted. Others wait for the kernel's lock
        meanwhile: for as long as with one device, if there are few in the group. Then it is left to them for as long as
        it was held.
        """
        answers: dict[str, tuple[int, str]] = {}
        for start in range(0, len(marks), DELETED):
            some = marks[start : start + DELETED]
            group, seqs = secrets.randbelow(1 << 30) + (1 << 30), [next(self._numbers) for _ in range(len(some) + 1)]
            begun = time.monotonic()
            *put, (number, text) = self._answers([*write_group(some, group, seqs)], seqs)
            if start + DELETED < len(marks):
                time.sleep(min(time.monotonic() - begun, LEFT_TO_OTHERS))
            for mark, answer in zip(some, put, strict=True):
                answers[mark] = answer if answer[0] else (number, text)
        return answers

    def _answers(self, written: Sequence[bytes], seqs: Sequence[int]) -> list[tuple[int, str]]:
        """Send messages with these numbers, and return their answers.

        Only the last one asks to be acknowledged. The kernel tells of refusals in any case, and has processed all
        messages when it comes to that one (net/netlink/af_netlink.c, netlink_rcv_skb). For each answer that is read,
        this thread would have to wait for its turn.
        """
        for datagram in pack([*map(without_ack, written[:-1]), *written[-1:]], LARGEST):
            self._sock.send(datagram)
        answers: dict[int, tuple[int, str]] = {}
        while seqs and seqs[-1] not in answers:
            for message in split(self._sock.recv(1 << 18)):
                if message.type == NLMSG_ERROR:
                    answers[message.seq] = read_error(message)
        return [answers.get(seq, (0, "")) for seq in seqs]

    def look(self, interest: Interest) -> Picture:
        """Return what there is of interest, with addresses and with the routes of our protocol.

        Raises InterruptedDumpError where the tables change during each of several reads.
        """
        for _ in range(TRIES):
            try:
                return self._look(interest)
            except InterruptedDumpError:
                continue
        raise InterruptedDumpError("the tables of the network namespace keep changing")

    def statistics(self, interest: Interest) -> dict[int, tuple[Link, Mapping[str, int]]]:
        """Return the counters of the devices of interest, with the devices, by ifindex. Raises as `look` does."""
        rows = ((read_device(message), _counters(message)) for message in self._rows(interest, with_statistics=True))
        return {link.ifindex: (link, counters) for link, counters in rows}

    def _look(self, interest: Interest) -> Picture:
        read = {
            message.payload: self._known.get(message.payload) or read_device(message)
            for message in self._rows(interest)
        }
        self._known.clear()
        self._known.update(read)
        found = {link.ifindex: link for link in read.values()}
        if not found:
            return Picture()
        addresses: dict[int, list[Address]] = {ifindex: [] for ifindex in found}
        for message in self._dump(RTM_GETADDR, IFADDR.pack(0, 0, 0, 0, 0), RTM_NEWADDR):
            if (address := read_address(message)).ifindex in found:
                addresses[address.ifindex].append(address)
        routes: dict[int, list[Route]] = {ifindex: [] for ifindex in found}
        # The kernel filters them by their protocol, as a router's table may hold a million.
        for family in (2, 10):
            body = RTMSG.pack(family, 0, 0, 0, 0, PROTOCOL, 0, 0, 0)
            for message in self._dump(RTM_GETROUTE, body, RTM_NEWROUTE):
                route = read_route(message)
                if route is not None and route.protocol == PROTOCOL and route.ifindex in found:
                    routes[route.ifindex].append(route)
        return Picture(
            Device(link, tuple(addresses[ifindex]), tuple(routes[ifindex])) for ifindex, link in found.items()
        )

    def _rows(self, interest: Interest, with_statistics: bool = False) -> Iterator[Message]:
        """Yield the messages of the devices of interest. The others are not decoded.

        Without statistics, the message of a device is the same until the device changes.
        """
        prefix = interest.prefix.encode()
        names = {name.encode("utf-8", "surrogateescape") + b"\0" for name in interest.names}
        ask = dump_links if with_statistics else dump_links_plainly
        for message in self._messages(ask(seq := next(self._numbers)), seq):
            if message.type != RTM_NEWLINK:
                continue
            family, ifindex, _ = head(message)
            if family == 0 and (
                prefix in message.raw
                or ifindex in interest.ifindexes
                or pick(message.payload[INFO.size :], IFLA_IFNAME).get(3, b"") in names
            ):
                yield message

    def _dump(self, kind: int, body: bytes, answer: int) -> Iterator[Message]:
        seq = next(self._numbers)
        for message in self._messages(build(kind, NLM_F_DUMP, seq, body), seq):
            if message.type == answer:
                yield message

    def _messages(self, ask: bytes, seq: int) -> Iterator[Message]:
        """Yield the rows of a dump. Raises InterruptedDumpError behind the last one."""
        self._sock.send(ask)
        interrupted = False
        while True:
            for message in split(self._sock.recv(1 << 18)):
                if message.seq != seq:
                    continue
                interrupted |= bool(message.flags & NLM_F_DUMP_INTR)
                number = read_error(message)[0] if message.type == NLMSG_ERROR else 0
                number = read_done(message) if message.type == NLMSG_DONE else number
                if number:
                    raise OSError(number, os.strerror(number))
                if message.type == NLMSG_DONE:
                    if interrupted:
                        raise InterruptedDumpError
                    return
                yield message


def _removed(lot: Sequence[Request]) -> str:
    """Return the mark of the device that these requests delete, "" if they do something else."""
    request = lot[0] if len(lot) == 1 else None
    return request.altname if isinstance(request, DeleteMarked) else ""


def _together(lots: Sequence[Sequence[Request]]) -> Iterator[list[Sequence[Request]]]:
    """Yield the lots in groups of TOGETHER requests at most, or of one lot that has more."""
    group: list[Sequence[Request]] = []
    for lot in lots:
        if group and sum(map(len, group)) + len(lot) > TOGETHER:
            yield group
            group = []
        group.append(lot)
    if group:
        yield group


def _counters(message: Message) -> Mapping[str, int]:
    """Return a device's counters: the first eight numbers of struct rtnl_link_stats64 (linux/if_link.h)."""
    raw = pick(message.payload[INFO.size :], IFLA_STATS64).get(23, b"")
    numbers = STATS64.unpack_from(raw) if len(raw) >= STATS64.size else (0,) * len(COUNTERS)
    return dict(zip(COUNTERS, numbers, strict=True))
