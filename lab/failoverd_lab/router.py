"""An IPv6 router for the lab's network: it advertises one prefix, from which hosts make their addresses (SLAAC).

It answers solicitations and records their senders, and sends unsolicited advertisements at a given interval. It never
forwards. The formats are RFC 4861's (4.1, 4.2, 4.6.2). Pure, but for `advertise`; a `Peer` carries it.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio

from failoverd_lab.frames import Station, icmp6

SOLICIT, ADVERT = 133, 134
ON_LINK_AND_AUTONOMOUS = 0xC0
ALL_NODES = Station(b"\x33\x33\0\0\0\1", ipaddress.IPv6Address("ff02::1"))
IP_HEAD = 14 + 40


@dataclass(frozen=True, slots=True)
class Solicited:
    """A router solicitation: when (time.monotonic), by which port of the switch, and from which MAC."""

    at: float
    port: str
    mac: bytes


@dataclass(slots=True)
class Router:
    """The router. `own` is its station, with a link-local address; times are in seconds."""

    own: Station
    prefix: ipaddress.IPv6Network
    lifetime: int = 1800
    asked: list[Solicited] = field(default_factory=list)

    def answer(self, frame: bytes, port: str, at: float) -> Sequence[bytes]:
        """Return the frames that answer a frame from this port."""
        if frame[12:14] != b"\x86\xdd" or frame[20:21] != b"\x3a" or frame[IP_HEAD : IP_HEAD + 1] != bytes([SOLICIT]):
            return ()
        self.asked.append(Solicited(at, port, frame[6:12]))
        return (self.advertisement(),)

    def advertisement(self) -> bytes:
        """Build the advertisement of the router and its prefix, to all nodes."""
        body = struct.pack("!BBHII", 64, 0, self.lifetime, 0, 0) + b"\x01\x01" + self.own.mac
        times = struct.pack("!III", self.lifetime * 2, self.lifetime, 0)
        prefix = bytes([3, 4, self.prefix.prefixlen, ON_LINK_AND_AUTONOMOUS]) + times
        return icmp6(self.own, ALL_NODES, ADVERT, body + prefix + self.prefix.network_address.packed)

    async def advertise(self, send: Callable[[bytes], None], every: float) -> None:
        """Advertise until cancelled."""
        while True:
            send(self.advertisement())
            await trio.sleep(every)
