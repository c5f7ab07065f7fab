"""The numbers that a network namespace has for others (net/core/net_namespace.c).

A number is given when a message has to name the other namespace, or by RTM_NEWNSID. It is the smallest free one, and is
free again as soon as the other namespace is gone.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.wire import Message

if TYPE_CHECKING:
    from failoverd_lab.simkernel.net import Net

UNKNOWN = -1
"""NETNSA_NSID_NOT_ASSIGNED."""


class Nsids:
    """The numbers of one namespace."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self._nets: dict[int, Net] = {}

    def number_of(self, other: Net) -> int:
        """__peernet2id(): the number, UNKNOWN for none."""
        return next((number for number, net in self._nets.items() if net is other), UNKNOWN)

    def give(self, other: Net) -> int:
        """peernet2id_alloc(): the number, a new one if there is none. UNKNOWN for a namespace that is dying."""
        number = self.number_of(other)
        if number != UNKNOWN or not other.alive:
            return number
        number = next(number for number in range(len(self._nets) + 1) if number not in self._nets)
        self.set(number, other)
        return number

    def set(self, number: int, other: Net, seq: int = 0, pid: int = 0) -> None:
        """Give a free number, and report it."""
        self._nets[number] = other
        self._tell(n.RTM_NEWNSID, number, seq, pid)

    def forget(self, other: Net) -> None:
        """unhash_nsid()."""
        if (number := self.number_of(other)) != UNKNOWN:
            del self._nets[number]
            self._tell(n.RTM_DELNSID, number)

    def net(self, number: int) -> Net | None:
        """get_net_ns_by_id()."""
        return self._nets.get(number)

    @property
    def all(self) -> list[int]:
        """All numbers, in order."""
        return sorted(self._nets)

    def _tell(self, kind: int, number: int, seq: int = 0, pid: int = 0) -> None:
        self._net.publish(n.RTNLGRP_NSID, Message(kind, 0, seq, pid, body(number)))


def body(number: int) -> bytes:
    """Return the payload of RTM_NEWNSID and RTM_DELNSID."""
    return bytes(4) + wire.attr(n.NETNSA_NSID, struct.pack("=i", number))
