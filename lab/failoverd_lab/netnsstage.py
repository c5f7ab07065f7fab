"""The stage of the netns world: a guest's namespace and NICs, the switch, the peer, the daemon. No story yet.

    guest's namespace           host's namespace (this process)
    daemon   guestprobe.py      peer --- switch
         ens3 ========= veth ======== packet port --+
         ens4 ========= veth ======== packet port --+

For a story `failoverd_lab.netns` drives it; so may any other program that needs real hot-plugs by the hundred:

    namespaces.enter()                        # once, before trio runs and while there is one thread
    async with open_stage(nics) as stage:     # nics: failoverd_lab.story.Nic
        await stage.plug("pv")
        await stage.configure("pv")
        await stage.daemon.start()
        await stage.start_traffic(1000, nursery)
        await stage.plug("vf"); await stage.set_link("vf", False); await stage.unplug("vf")
        guest = await stage.stop_traffic()    # the guest's diary; the peer's is stage.peer.diary

Both diaries are in seconds of time.monotonic, as are all other times here: guest and host have one clock. Both ends of
a veth get one ifindex, so that the kernel reports a lost carrier as late as it does for hardware (rtnl.veth).
"""

from __future__ import annotations

import errno
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import trio

from failoverd.model.requests import DeleteLink, SetUp
from failoverd_lab import netnsdaemon, rtnl
from failoverd_lab.hardware import DRIVERS, Hardware
from failoverd_lab.host import LabError
from failoverd_lab.lan import ADDRESS, GUEST, LAST, PEER, PEER_MAC
from failoverd_lab.namespaces import Namespace
from failoverd_lab.netnsguest import NetnsDaemon, Probes
from failoverd_lab.packetport import PacketPort
from failoverd_lab.peer import Peer
from failoverd_lab.rtnl import KernelRefusedError, Rtnl
from failoverd_lab.story import Nic
from failoverd_lab.switch import Switch, open_switch
from failoverd_lab.traffic import Diary
from failoverd_lab.world import CannotTell

LATE = "iavf"
"""The driver of a VF whose host may set its permanent MAC late."""
SETTLE = 10.0
"""Seconds within which the traffic has to run both ways to count as started."""

FIRST = 100
"""The first ifindex of a NIC; further ones count up from here. Devices that the guest makes itself get the kernel's own
count, from 2 on or behind the largest one so far."""

LO = 1


class Stage:
    """The stage (see the module). `guest` changes links in the guest, as its administrator; `host` in the host."""

    def __init__(
        self, nics: Sequence[Nic], guest: Namespace, switch: Switch, directory: Path, daemon: NetnsDaemon
    ) -> None:
        self.nics = {nic.id: nic for nic in nics}
        self.ifindexes: dict[str, int] = {}
        self.switch = switch
        self.peer = Peer(switch, name="peer", mac_address=PEER_MAC, addresses=PEER)
        self.daemon = daemon
        self.host = Rtnl()
        with guest.inside():
            self.guest = Rtnl()
        self._namespace = guest
        self._shelf = netnsdaemon.shelf(directory)
        self._probes = Probes(guest, directory)
        self._ports: dict[str, PacketPort] = {}
        self._next = FIRST
        self._sending = trio.CancelScope()

    async def plug(self, nic: str, permanent_mac: bool = True) -> None:
        """Plug the NIC in, as the host does: a new device, with a new ifindex. Raises CannotTell where there are no
        veths.

        With `permanent_mac` false it is a VF without a permanent MAC, as the host has not set it.
        """
        told, number, ifindex = self.nics[nic], list(self.nics).index(nic), self._next
        parent = f"virtio{ifindex}" if told.bus == "virtio" else f"0000:{number + 1:02x}:00.0"
        hardware = Hardware(told.bus, DRIVERS[told.bus], parent, told.mac, told.max_mtu)
        self._shelf.put(ifindex, hardware if permanent_mac else replace(hardware, driver=LATE, perm_mac=""))
        wire = f"wire{ifindex}"
        pair = rtnl.veth(self._namespace.file, told.name or f"ens{3 + number}", told.mac, ifindex, wire)
        try:
            await self.host.ask(pair)
        except KernelRefusedError as error:
            if error.errno == errno.EOPNOTSUPP:
                raise CannotTell("this kernel has no veth devices (CONFIG_VETH); as root: modprobe veth") from error
            raise
        self._next += 1
        self.ifindexes[nic] = ifindex
        # The port listens before the wire carries a frame.
        self._ports[nic] = PacketPort(self.switch, f"{nic}@netns", wire)
        self.switch.start(self._ports[nic])
        await self.host.ask(SetUp(ifindex, True))

    async def identify(self, nic: str, mac: str) -> None:
        """Set the permanent MAC of a plugged NIC, as the host does; its driver takes it over with its next reset."""
        told, ifindex = self.nics[nic], self.ifindexes[nic]
        parent = f"0000:{list(self.nics).index(nic) + 1:02x}:00.0"
        self._shelf.put(ifindex, Hardware(told.bus, LATE, parent, mac, told.max_mtu))
        for up in (True, False):
            await self.guest.ask(SetUp(ifindex, up))

    async def unplug(self, nic: str) -> None:
        """Unplug the NIC, as the host does. When this returns the guest's kernel has sent its event."""
        await self.host.ask(DeleteLink(self.ifindexes.pop(nic)))
        self._ports.pop(nic).close()

    async def set_link(self, nic: str, up: bool) -> None:
        """Cut the NIC's cable, or mend it, as the host does."""
        await self.host.ask(SetUp(self.ifindexes[nic], up))

    def set_port(self, nic: str, alive: bool) -> None:
        """Let the switch drop every frame from and to the NIC's port, or pass them again; the link stays up."""
        self._ports[nic].is_dead = not alive

    async def configure(self, nic: str) -> None:
        """Bring the NIC up in the guest, with the guest's addresses and its default route, as after a boot."""
        ifindex = self.ifindexes[nic]
        await self.guest.ask(SetUp(LO, True))
        await self.guest.ask(SetUp(ifindex, True))
        for address in GUEST:
            await self.guest.ask(rtnl.add_address(ifindex, address))
        await self.guest.ask(rtnl.default_route(ifindex, PEER[0]))

    async def links(self) -> list[dict[str, Any]]:
        """Return the devices of the guest's kernel; see World.links."""
        ids = {ifindex: nic for nic, ifindex in self.ifindexes.items()}
        return [{**row, "nic": ids.get(row["ifindex"], "")} for row in await self.guest.look()]

    async def start_traffic(self, rate: float, nursery: trio.Nursery) -> None:
        """Send probes both ways, `rate` a second each, until `stop_traffic`. Raises LabError where none comes
        through."""
        self._probes.start(rate)
        await self.peer.resolve(ADDRESS, timeout=SETTLE)
        self._sending = trio.CancelScope()
        nursery.start_soon(self._send, rate)
        with trio.move_on_after(SETTLE):
            while not self.peer.diary.heard:
                await trio.sleep(1 / rate)
            return
        raise LabError(f"no probe came from the guest within {SETTLE:g} s")

    async def stop_traffic(self) -> Diary:
        """Stop the probes, wait for those under way, and return the guest's diary."""
        self._sending.cancel()
        await trio.sleep(LAST)
        return await self._probes.stop()

    async def close(self) -> None:
        """End the processes, and unplug the NICs."""
        self._sending.cancel()
        await self._probes.stop()
        await self.daemon.end(signal.SIGKILL)
        for nic in list(self.ifindexes):
            await self.unplug(nic)
        self.guest.close()
        self.host.close()

    async def _send(self, rate: float) -> None:
        with self._sending:
            await self.peer.send_probes(ADDRESS, rate)


@asynccontextmanager
async def open_stage(
    nics: Sequence[Nic], config: Mapping[str, Any] | None = None, bus: str = ""
) -> AsyncIterator[Stage]:
    """Open a stage with no NIC plugged in and no daemon started. `config` is the daemon's, `bus` its bus, if any.

    The process must have entered a namespace of its own (`namespaces.enter`). Raises CannotTell.
    """
    with tempfile.TemporaryDirectory(prefix="failoverd-lab-") as directory:
        guest = Namespace.new()
        try:
            async with open_switch() as switch:
                daemon = NetnsDaemon(guest, Path(directory), config or {}, bus)
                stage = Stage(nics, guest, switch, Path(directory), daemon)
                try:
                    yield stage
                finally:
                    with trio.CancelScope(shield=True):
                        await stage.close()
        finally:
            guest.close()
