"""A request as its handlers see it."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.inetmsg import Cause
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.state import Refused

POLICY = "Attribute failed policy validation"


@dataclass(frozen=True, slots=True)
class Request:
    """One message from a socket; `strict` is that socket's NETLINK_GET_STRICT_CHK."""

    type: int
    flags: int
    body: bytes
    cause: Cause
    strict: bool = False

    def head(self, layout: struct.Struct) -> tuple[int, ...]:
        """Return the fixed part. Raises Refused."""
        if len(self.body) < layout.size:
            raise Refused(errno.EINVAL)
        return layout.unpack_from(self.body)

    def attrs(self, layout: struct.Struct) -> dict[int, bytes]:
        """Return the attributes behind the fixed part."""
        return wire.table(self.body[layout.size :])

    def wants(self, *flags: int) -> bool:
        """Return whether all of these flags are set."""
        return all(self.flags & flag for flag in flags)


Reply = tuple[int, bytes]
"""Type and payload of an answer."""

Row = tuple[int, bytes, int]
"""Type and payload of one message of a dump, and its table's count of changes."""

Handler = Callable[[Net, Request], list[Reply]]
Dumper = Callable[[Net, Request], Iterator[Row]]


def name_of(payload: bytes, room: int = n.IFNAMSIZ) -> str:
    """Return a name attribute, checked as nla_policy does. Raises Refused."""
    if len(payload.split(b"\0", 1)[0]) >= room:
        raise Refused(errno.ERANGE, POLICY)
    return wire.text(payload)


def number_of(payload: bytes, size: int = 4) -> int:
    """Return a number attribute. Raises Refused for one of the wrong size."""
    if len(payload) < size:
        raise Refused(errno.ERANGE, POLICY)
    return wire.number(payload[:size])
