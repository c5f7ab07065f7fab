"""A dump of all devices while it comes in: its rows, and whether they can be trusted.

It has several parts, requested one after the other, each with a sequence number of its own: the devices, then the
qdiscs of all devices, then the filters on the hooks of each hardware NIC, as no other dump lists those.

Rows are never lost: the kernel holds them back until there is room. But a row can be older than an event that was lost
meanwhile, and the kernel may mark the dump as interrupted or break it off. The dump is then requested again.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from dataclasses import field, replace
from functools import partial

from failoverd.dataclass import dataclass
from failoverd.model.links import Link
from failoverd.netlink.frames import NLM_F_DUMP_INTR, Message, read_done, read_error
from failoverd.netlink.tc import HOOKS, Table, dump_filters, dump_qdiscs

TRIES = 8
"""How often an interrupted dump is requested again. The last one counts: later changes come as events anyway."""

NOT_NOW = (errno.EBUSY, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.EINTR)
"""Refusals that pass by themselves: another dump is under way on this socket, or memory is short."""


@dataclass(slots=True)
class Dump:
    """One dump; `seq` is the sequence number of its current part.

    `heard` is when its last message came (seconds), `tries` those left. `tables` has the traffic control state by
    ifindex. `parts` has the requests still to be sent, each a function of its sequence number; None while the devices
    come in.

    `interrupted`: it may be out of date. `refused`: it was requested while another dump was under way, and has to be
    requested again when that one ends. `failed` is an errno: rows are missing.
    """

    seq: int
    tries: int
    heard: float
    links: dict[int, Link] = field(default_factory=dict)
    tables: dict[int, Table] = field(default_factory=dict)
    parts: deque[Callable[[int], bytes]] | None = None
    interrupted: bool = False
    refused: bool = False
    failed: int = 0

    def take(self, link: Link, message: Message, now: float) -> None:
        """Take in a device from a row or an event; the later one is true."""
        self.links[link.ifindex] = link
        if message.seq == self.seq:
            self.heard = now
            self.interrupted |= bool(message.flags & NLM_F_DUMP_INTR)

    def next_part(self) -> Callable[[int], bytes] | None:
        """Return the request for the next part as a function of its sequence number, None when all parts are there."""
        if self.parts is None:
            nics = [link.ifindex for link in self.links.values() if link.perm_mac and not link.kind]
            asks = [partial(dump_filters, ifindex, hook) for ifindex in nics for hook in HOOKS]
            self.parts = deque([dump_qdiscs, *asks] if nics else [])
        return self.parts.popleft() if self.parts else None

    def whole(self) -> tuple[Link, ...]:
        """Return all devices, with their traffic control state."""
        empty = Table()
        return tuple(replace(link, tc=self.tables.get(i, empty).tc()) for i, link in self.links.items())

    def refuse(self, message: Message) -> bool:
        """Handle the kernel's NLMSG_ERROR. False: this part is not available and can be passed over.

        Raises OSError where the kernel refuses for good to list the devices themselves.
        """
        number, words = read_error(message)
        if number and number not in NOT_NOW and self.parts is not None:
            # The device is gone, or this kernel has no traffic control: there is nothing to list.
            return False
        if number and number not in NOT_NOW:
            raise OSError(number, f"the kernel refused to list its devices: {words or os.strerror(number)}")
        self.refused = bool(number)
        return True

    def is_whole(self, message: Message) -> bool:
        """Return whether the dump can be used, at the NLMSG_DONE that ends it; if not, it has to be requested again.

        Raises OSError where rows are still missing after the last try.
        """
        failed = self.failed or (read_done(message) if self.parts is None else 0)
        stale = self.interrupted or bool(message.flags & NLM_F_DUMP_INTR)
        if failed and self.tries <= 1:
            raise OSError(failed, f"the kernel broke off the list of its devices: {os.strerror(failed)}")
        return not failed and (not stale or self.tries <= 1)
