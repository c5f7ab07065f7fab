"""Veths: two devices with a wire between them (drivers/net/veth.c; linux/veth.h, VETH_INFO_*)."""

from __future__ import annotations

from typing import ClassVar

from failoverd.dataclass import dataclass
from failoverd.kinds.base import Attributes, Data, NewDevice

PEER = 1


@dataclass(frozen=True, slots=True)
class Veth:
    """One end of a veth pair. The kernel reports only its other end, and no options."""

    kind: ClassVar = "veth"
    wanted: ClassVar[frozenset[int]] = frozenset()

    peer: int = 0
    """The ifindex of the other end."""

    nsid: int | None = None
    """The network namespace that the other end is in, by its number here; None for this one's own."""

    @classmethod
    def read(cls, data: Data) -> Veth:
        """Read the other end of an existing veth."""
        return cls(data.link, data.nsid)


@dataclass(frozen=True, slots=True)
class VethPair:
    """Both ends, created in one message. Each is created in its own `place`.

    IFF_UP cannot be asked for the far end: it would be brought up before it has another end (ENOTCONN).
    """

    kind: ClassVar = "veth"

    peer: NewDevice

    def write(self) -> Attributes:
        """Return the attributes that create a veth pair."""
        return ((PEER, self.peer),)

    def words(self) -> tuple[str, ...]:
        """Describe a new veth pair for the administrator."""
        place = self.peer.place
        where = "" if place is None else " here" if place.is_own else f" in network namespace {place.nsid}"
        return (f"peer {self.peer.name}{where}",)
