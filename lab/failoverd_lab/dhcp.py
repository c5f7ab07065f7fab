"""A DHCPv4 server for the lab's network: one subnet, a lease for every client, and a record of each request's client
and port.

The server exists for the record. A guest with a pair should have one lease, requested on its master; a client that runs
on a slave as well shows here as a second identifier, or as frames by a port that was not carrying. So leases go by the
client's identifier as RFC 2131 (4.2) has it, and not by its MAC, which the NICs of a pair share.

Pure: a frame in, frames out; a `Peer` carries it. Addresses are never taken back, and a client is not told when its
lease has run out: one that does not renew loses its address by its own clock, which the lab wants to see.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from failoverd_lab.frames import BROADCAST, Station, Udp, parse, udp

HEAD = struct.Struct("!BBBB4sHH4s4s4s4s16s")
"""op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr (RFC 2131, 2)."""
BLANK = bytes(64 + 128)
"""sname and file, which are not used."""
COOKIE = b"\x63\x82\x53\x63"
SERVER, CLIENT = 67, 68
BROADCAST_FLAG = 0x8000

PAD, END = 0, 255
MASK, ROUTER, HOSTNAME, WANTED, LEASE, KIND, CHOSEN, IDENTIFIER = 1, 3, 12, 50, 51, 53, 54, 61
"""Options of RFC 2132. WANTED is the requested address, KIND the message's type, CHOSEN the server's identifier."""
KINDS = {1: "discover", 3: "request", 4: "decline", 7: "release", 8: "inform"}
OFFER, ACK, NAK = 2, 5, 6


@dataclass(frozen=True, slots=True)
class Asked:
    """A client's message: when (time.monotonic), by which port of the switch, its type, and its client's identity.

    `identifier` is its client identifier, or its MAC where it has none: the lease goes by it.
    """

    at: float
    port: str
    kind: str
    mac: bytes
    identifier: bytes
    hostname: str


@dataclass(slots=True)
class Dhcp:
    """The server, for one /24. `own` is its station; the first client gets `first`, the next one the address after it.

    `lease` is in seconds; clients renew when half of it is over.
    """

    own: Station
    first: ipaddress.IPv4Address
    lease: int = 120
    asked: list[Asked] = field(default_factory=list)
    leases: dict[bytes, ipaddress.IPv4Address] = field(default_factory=dict)

    def answer(self, frame: bytes, port: str, at: float) -> Sequence[bytes]:
        """Return the frames that answer a frame from this port."""
        datagram = parse(frame)
        if not isinstance(datagram, Udp) or datagram.destination_port != SERVER:
            return ()
        message = _read(datagram.payload)
        if message is None:
            return ()
        hostname = message.options.get(HOSTNAME, b"").decode("ascii", "replace")
        self.asked.append(Asked(at, port, message.kind, message.mac, message.identifier, hostname))
        is_ours = message.options.get(CHOSEN, self._id) == self._id
        return (self._reply(message),) if message.kind in ("discover", "request") and is_ours else ()

    @property
    def _id(self) -> bytes:
        return self.own.address.packed

    def _reply(self, message: _Message) -> bytes:
        """Build an offer for a discover; for a request an ack, or a nak where the address is not the client's own."""
        address = self.leases.setdefault(message.identifier, self.first + len(self.leases))
        wanted = message.options.get(WANTED, message.current)
        told = OFFER if message.kind == "discover" else ACK if wanted == address.packed else NAK
        given = {KIND: bytes([told]), CHOSEN: self._id}
        if told != NAK:
            given |= {LEASE: self.lease.to_bytes(4, "big"), MASK: b"\xff\xff\xff\0", ROUTER: self._id}
        head = HEAD.pack(
            *(2, 1, 6, 0, message.xid, 0, message.flags, message.current),
            *(bytes(4) if told == NAK else address.packed, self._id, bytes(4), message.mac),
        )
        # A client without an address receives unicast to the one that it is offered, or asks for a broadcast (4.1).
        to = Station(message.mac, address)
        if told == NAK or message.flags & BROADCAST_FLAG:
            to = Station(BROADCAST, ipaddress.IPv4Address("255.255.255.255"))
        return udp(self.own, to, (SERVER, CLIENT), head + BLANK + COOKIE + _options(given))


@dataclass(frozen=True, slots=True)
class _Message:
    """The relevant parts of a client's message. `current` is the address that it has (ciaddr)."""

    kind: str
    xid: bytes
    flags: int
    current: bytes
    mac: bytes
    options: Mapping[int, bytes]

    @property
    def identifier(self) -> bytes:
        return self.options.get(IDENTIFIER, self.mac)


def _read(payload: bytes) -> _Message | None:
    """Parse a client's message; None for any other payload."""
    start = HEAD.size + len(BLANK)
    if payload[start : start + 4] != COOKIE or payload[0] != 1:
        return None
    options, rest = dict[int, bytes](), payload[start + 4 :]
    while rest and rest[0] != END:
        if rest[0] == PAD:
            rest = rest[1:]
        elif len(rest) < 2 or len(rest) < 2 + rest[1]:
            return None
        else:
            options[rest[0]] = rest[2 : 2 + rest[1]]
            rest = rest[2 + rest[1] :]
    kind = KINDS.get(int.from_bytes(options.get(KIND, b""), "big"), "")
    _, _, _, _, xid, _, flags, current, _, _, _, hardware = HEAD.unpack_from(payload)
    return _Message(kind, xid, flags, current, hardware[:6], options) if kind else None


def _options(given: Mapping[int, bytes]) -> bytes:
    return b"".join(bytes([code, len(data)]) + data for code, data in given.items()) + bytes([END])
