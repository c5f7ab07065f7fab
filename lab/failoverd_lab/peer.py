"""A host on the lab's switch, in a few lines of Python, that talks to the guest.

It answers ARP and neighbour solicitations, sends probes to the guest, and receives the guest's. It believes whatever
the guest says of its MAC, announcements included, and never forgets it: a real host does so for as long as its entry is
fresh, and it is the hard case after a failover. It lives in the same process and clock as the switch, so its arrival
times are the switch's.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from failoverd_lab.frames import Address, Neighbour, Station, Udp, answer, ask, mac, parse, udp
from failoverd_lab.host import LabError
from failoverd_lab.nics import nic_of
from failoverd_lab.switch import Switch
from failoverd_lab.traffic import PORT, Diary, number_of, probe

FRESH = 1.0
"""Seconds. A guest without KVM may not run for half of that."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An announcement as it came in: when (time.monotonic), by which port of the switch, and for which address.

    `kind` is "gratuitous ARP" or "unsolicited NA".
    """

    at: float
    port: str
    kind: str
    address: Address


Service = Callable[[bytes, str, float], Sequence[bytes]]
"""A further service of a host: returns the frames that answer a frame, given the frame, its port and its time."""


class Peer:
    """The host. `ports` has the port by which each of the guest's probes in `diary` came in.

    `clock` must be the switch's, which is time.monotonic.
    """

    def __init__(
        self,
        switch: Switch,
        *,
        name: str,
        mac_address: str,
        addresses: tuple[str, ...],
        services: Sequence[Service] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.diary = Diary()
        self.ports: list[str] = []
        self.announcements: list[Heard] = []
        self.neighbours: dict[Address, bytes] = {}
        self._mac = mac(mac_address)
        self._stations = {ip: Station(self._mac, ip) for ip in map(ipaddress.ip_address, addresses)}
        self._services = services
        self._port = switch.attach(name, self._deliver)
        self._clock = clock
        self._learned = trio.Event()

    def close(self) -> None:
        """Leave the switch; safe to call twice."""
        self._port.close()

    def send(self, frame: bytes) -> None:
        """Put a frame on the wire."""
        self._port.send(frame)

    async def resolve(self, address: str, *, timeout: float = 30) -> None:
        """Solicit an address, once a second, until a station claims it. Raises LabError after `timeout` seconds."""
        target = ipaddress.ip_address(address)
        with trio.move_on_after(timeout):
            while target not in self.neighbours:
                self._port.send(ask(self._own(target), target))
                with trio.move_on_after(1):
                    await self._learned.wait()
            return
        raise LabError(f"no machine on the lab's switch answered for {address} within {timeout:g} s")

    async def send_probes(self, address: str, rate: float) -> None:
        """Send `rate` probes a second to an address until cancelled. Those to an unknown MAC are lost, as on a real
        network."""
        target = ipaddress.ip_address(address)
        own, number, start = self._own(target), 0, self._clock()
        while True:
            await trio.sleep(max(0.0, start + number / rate - self._clock()))
            number += 1
            self.diary.sent.append((number, self._clock()))
            known = self.neighbours.get(target)
            if known is not None:
                self._port.send(udp(own, Station(known, target), (PORT, PORT), probe(number)))

    def came_by(self) -> str:
        """Return the id of the NIC by which the guest's frames come in, "" where none has come for FRESH seconds."""
        is_fresh = bool(self.ports) and self._clock() - self.diary.heard[-1][1] < FRESH
        return nic_of(self.ports[-1]) if is_fresh else ""

    def _own(self, target: Address) -> Station:
        """Return this host's station of the same family."""
        for station in self._stations.values():
            if station.address.version == target.version:
                return station
        raise LabError(f"the peer has no address to reach {target} from")

    def _deliver(self, frame: bytes, port: str, at: float) -> None:
        for service in self._services:
            for told in service(frame, port, at):
                self._port.send(told)
        match parse(frame):
            case Udp() as datagram if datagram.destination in self._stations:
                number = number_of(datagram.payload)
                if number is not None:
                    self.diary.heard.append((number, at))
                    self.ports.append(port)
            case Neighbour() as message:
                self._neighbour(message, port, at)

    def _neighbour(self, message: Neighbour, port: str, at: float) -> None:
        if message.announcement:
            kind = "gratuitous ARP" if message.kind == "arp" else "unsolicited NA"
            self.announcements.append(Heard(at, port, kind, message.target))
        if message.sender is not None and not message.sender.is_unspecified:
            self.neighbours[message.sender] = message.sender_mac
            self._learned.set()
            self._learned = trio.Event()
        own = self._stations.get(message.target)
        if own is not None and message.request and message.sender is not None:
            self._port.send(answer(own, Station(message.sender_mac, message.sender)))
