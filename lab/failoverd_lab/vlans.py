"""Further hosts behind a peer's MAC, in VLANs, which can ask any host for an echo. A service of a `Peer`.

A device on a guest's NIC exists if it answers, and is on the right NIC if the answer comes by the right port. The
guest's kernel answers an echo, so no program has to run there. The tag is IEEE 802.1Q's.
"""

from __future__ import annotations

import ipaddress
import itertools
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import trio

from failoverd_lab.frames import Neighbour, Station, answer, echo, echoed, parse
from failoverd_lab.host import LabError

TAG = b"\x81\x00"
PAUSE = 0.25
"""Seconds after which an echo is requested again."""


def tagged(frame: bytes, vlan: int) -> bytes:
    """Return the frame in this VLAN; 0 leaves it as it is."""
    return frame[:12] + TAG + struct.pack("!H", vlan) + frame[12:] if vlan else frame


def untagged(frame: bytes) -> tuple[int, bytes]:
    """Return the VLAN of a frame, 0 for none, and the frame without its tag."""
    if frame[12:14] != TAG or len(frame) < 18:
        return 0, frame
    return int.from_bytes(frame[14:16], "big") & 0xFFF, frame[:12] + frame[16:]


@dataclass(frozen=True, slots=True)
class Answered:
    """An echo as it came back: when (time.monotonic), by which port of the switch, and in which VLAN."""

    at: float
    port: str
    vlan: int


@dataclass(slots=True)
class Vlans:
    """The hosts. `hosts` has their MAC and addresses by VLAN, 0 for none: there the `Peer` itself answers for them."""

    hosts: dict[int, tuple[Station, ...]]
    answers: dict[int, Answered] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def answer(self, frame: bytes, port: str, at: float) -> Sequence[bytes]:
        """Return the frames that answer a frame from this port."""
        vlan, bare = untagged(frame)
        if back := echoed(bare):
            self.answers[back[1]] = Answered(at, port, vlan)
        match parse(bare):
            case Neighbour(request=True, sender=sender) as asked if vlan and sender is not None:
                own = [host for host in self.hosts.get(vlan, ()) if host.address == asked.target]
                return [tagged(answer(host, Station(asked.sender_mac, sender)), vlan) for host in own]
        return ()

    async def ask(
        self, send: Callable[[bytes], None], to: Station, vlan: int = 0, size: int = 56, patience: float = 10
    ) -> Answered:
        """Request an echo from a host until it comes. Raises LabError after `patience` seconds."""
        numbers = []
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            numbers.append(next(self._numbers))
            send(tagged(echo(self._own(to, vlan), to, numbers[-1], size), vlan))
            with trio.move_on_after(PAUSE):
                while not (back := [self.answers[n] for n in numbers if n in self.answers]):
                    await trio.sleep(0.005)
                return back[0]
        where = f" in VLAN {vlan}" if vlan else ""
        raise LabError(f"{to.address} ({to.mac.hex(':')}){where} sends no echo of {size} bytes back")

    async def burst(self, send: Callable[[bytes], None], to: Station, size: int, count: int) -> float:
        """Request `count` echoes at once. Returns the seconds from the first answer to the last one that comes."""
        numbers = [next(self._numbers) for _ in range(count)]
        for number in numbers:
            send(echo(self._own(to, 0), to, number, size))
            await trio.sleep(0)
        with trio.move_on_after(15):
            while not all(number in self.answers for number in numbers):
                await trio.sleep(0.01)
        times = [self.answers[number].at for number in numbers if number in self.answers]
        if len(times) < count / 2:
            raise LabError(f"of {count} echoes of {size} bytes {len(times)} came back from {to.address}")
        return max(times) - min(times)

    def _own(self, to: Station, vlan: int) -> Station:
        """Return the own host that shares a network with this one."""
        for host in self.hosts.get(vlan, ()):
            if host.address.version == to.address.version and _net(host) == _net(to):
                return host
        raise LabError(f"no host here is in the network of {to.address} in VLAN {vlan}")


def _net(station: Station) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    length = 24 if station.address.version == 4 else 64
    return ipaddress.ip_network((station.address, length), strict=False)


def hosts(mac: bytes, addresses: Iterable[str]) -> tuple[Station, ...]:
    """Return one MAC with several addresses."""
    return tuple(Station(mac, ipaddress.ip_address(address)) for address in addresses)
