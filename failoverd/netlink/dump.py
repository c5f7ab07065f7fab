"""A dump of all devices while it comes in: its rows, and whether they can be trusted.

Rows are never lost, the kernel waits with them until there is room. But what they say can be older than an event that
was lost meanwhile, the kernel may mark the dump as interrupted, and it may break it off; then it is asked for again.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field

from failoverd.model.links import Link
from failoverd.netlink.frames import NLM_F_DUMP_INTR, Message, read_done, read_error

TRIES = 8
"""How often an interrupted dump is asked for again. The last one counts: later changes come as events anyway."""

NOT_NOW = (errno.EBUSY, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.EINTR)
"""Refusals that pass: another dump is under way on this socket, or memory is short."""


@dataclass(slots=True)
class Dump:
    """One dump, asked for under `seq`; `heard` is when it last showed a sign of life (seconds), `tries` those left.

    `interrupted`: it may be out of date. `refused`: it was asked for while another one was under way, and has to be
    asked for again when that one ends. `failed` is an errno: rows are missing.
    """

    seq: int
    tries: int
    heard: float
    links: dict[int, Link] = field(default_factory=dict)
    interrupted: bool = False
    refused: bool = False
    failed: int = 0

    def take(self, link: Link, message: Message, now: float) -> None:
        """A device as a row or an event tells it; whichever came last is true."""
        self.links[link.ifindex] = link
        if message.seq == self.seq:
            self.heard = now
            self.interrupted |= bool(message.flags & NLM_F_DUMP_INTR)

    def refuse(self, message: Message) -> None:
        """The kernel's NLMSG_ERROR for it. Raises OSError for a refusal that will not pass."""
        number, words = read_error(message)
        if number and number not in NOT_NOW:
            raise OSError(number, f"the kernel refused to list its devices: {words or os.strerror(number)}")
        self.refused = bool(number)

    def is_whole(self, message: Message) -> bool:
        """Whether it is one to go by, at the NLMSG_DONE that ends it; if not, it has to be asked for again.

        Raises OSError where rows are still missing after the last try.
        """
        failed = read_done(message) or self.failed
        stale = self.interrupted or bool(message.flags & NLM_F_DUMP_INTR)
        if failed and self.tries <= 1:
            raise OSError(failed, f"the kernel broke off the list of its devices: {os.strerror(failed)}")
        return not failed and (not stale or self.tries <= 1)
