"""What a request looks like to those who answer it."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from failoverd.lab.simkernel import uapi as n
from failoverd.lab.simkernel import wire
from failoverd.lab.simkernel.inetmsg import Cause
from failoverd.lab.simkernel.net import Net
from failoverd.lab.simkernel.state import Refused

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
        """The fixed part. Raises Refused."""
        if len(self.body) < layout.size:
            raise Refused(errno.EINVAL)
        return layout.unpack_from(self.body)

    def attrs(self, layout: struct.Struct) -> dict[int, bytes]:
        """The attributes after the fixed part."""
        return wire.table(self.body[layout.size :])

    def wants(self, *flags: int) -> bool:
        """Whether every one of these flags is set."""
        return all(self.flags & flag for flag in flags)


Reply = tuple[int, bytes]
"""Type and payload of an answer."""

Row = tuple[int, bytes, int]
"""Type and payload of one message of a dump, and the count of changes that its table had reached."""

Handler = Callable[[Net, Request], list[Reply]]
Dumper = Callable[[Net, Request], Iterator[Row]]


def name_of(payload: bytes, room: int = n.IFNAMSIZ) -> str:
    """A name attribute, checked as nla_policy does. Raises Refused."""
    if len(payload.split(b"\0", 1)[0]) >= room:
        raise Refused(errno.ERANGE, POLICY)
    return wire.text(payload)


def number_of(payload: bytes, size: int = 4) -> int:
    """A number attribute. Raises Refused for one of the wrong size."""
    if len(payload) < size:
        raise Refused(errno.ERANGE, POLICY)
    return wire.number(payload[:size])
