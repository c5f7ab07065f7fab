"""The kernel's answers to a lookup: of a device's addresses and routes, of what stands on it, of sockets bound to it.

An input is a list of datagrams, which answer whatever is asked; behind the last the socket fails. A lookup ends with
what it has found, or by one of its three errors.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import kernelbytes as kernel
import trio
from fuzz_netlink import MAC, WORDS
from fuzz_netlink import seeds as told
from fuzzing import Harness, joined, parts

from failoverd.netlink import elsewhere, fetch, sockdiag
from failoverd.netlink.bridge_hosts import fetch_bridge_hosts
from failoverd.netlink.frames import NetlinkError
from failoverd.netlink.transport import Transport


class Canned:
    """A socket that gives these datagrams, whatever is asked, and then fails."""

    def __init__(self, datagrams: Iterator[bytes]) -> None:
        self._datagrams = datagrams

    async def send(self, datagram: bytes) -> None:
        """Pass it over."""

    async def recv(self) -> bytes:
        """See Transport."""
        found = self.recv_nowait()
        if found is None:
            raise OSError(errno.ETIMEDOUT, "no more")
        return found

    def recv_nowait(self) -> bytes | None:
        """See Transport."""
        return next(self._datagrams, None)

    def close(self) -> None:
        """See Transport."""


Lookup = Callable[[fetch.Opener], Awaitable[Any]]
LOOKUPS: tuple[Lookup, ...] = (
    lambda opener: fetch.fetch_inet(opener, (2,)),
    lambda opener: fetch.fetch_addresses(opener, (2, 3)),
    lambda opener: fetch_bridge_hosts(opener, 9, 2),
    lambda opener: elsewhere.upper_elsewhere(opener, 2),
    lambda opener: elsewhere.mac_elsewhere(opener, 2),
    lambda opener: sockdiag.bound_to(opener, 2),
)


def one(data: bytes) -> None:
    """The first byte says what is looked up."""
    datagrams = parts(data[1:])

    async def opener() -> Transport:
        return Canned(datagrams)

    with contextlib.suppress(OSError, NetlinkError, fetch.InterruptedDumpError):
        trio.run(LOOKUPS[data[0] % len(LOOKUPS) if data else 0], opener)


def seeds() -> list[bytes]:
    """Whole answers, with the sequence numbers that lookups use."""
    ends = [kernel.done(seq) for seq in (1, 2, 3, fetch.NEIGHBOURS, fetch.PROXIES, fetch.LABELS)]
    settings = kernel.nic(2, b"ens3", MAC, b"virtio", seq=fetch.SETTINGS) + kernel.ack(fetch.SETTINGS)
    nsid = kernel.message(88, bytes(4) + kernel.number(1, 3), seq=1)
    own = kernel.message(88, bytes(4) + kernel.number(1, 4), seq=1)
    macvlan = kernel.attr(18, kernel.attr(1, b"macvlan\0")) + kernel.number(5, 2) + kernel.number(37, 4)
    upper = kernel.link(5, b"m0", macvlan, seq=1)
    socket = kernel.message(20, b"\2\x0a\0\0\0\x50" + bytes(46) + b"\2\0\0\0" + bytes(20), seq=1)
    whole = joined(*ends, settings)
    return [
        b"\0" + whole,
        *(bytes([number % len(LOOKUPS)]) + row + whole for number, row in enumerate(told())),
        b"\3" + joined(nsid, ends[0], own, upper, ends[0], own, ends[0]),
        b"\4" + joined(kernel.message(28, b"\7\0\0\0\2\0\0\0\0\0\2\0" + kernel.attr(2, b"\2" * 6), seq=1), *ends),
        b"\5" + joined(socket, ends[0], *ends[:1] * 9),
    ]


HARNESS = Harness("lookup", one, seeds, (*WORDS, kernel.done(1), kernel.ack(1, 19)))
