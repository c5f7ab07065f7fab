"""The stage of the netns world: a guest's namespace and NICs, the switch, the peer, the daemon. No story yet.

    guest's namespace           host's namespace (this process)
    daemon   guestprobe.py      peer --- switch
         ens3 ========= veth ======== packet port --+
         ens4 ========= veth ======== packet port --+

For a story `failoverd.lab.netns` drives it; so may anything else that wants real hot-plugs by the hundred:

    namespaces.enter()                        # once, before trio runs and while there is one thread
    async with open_stage(nics) as stage:     # nics: failoverd.lab.story.Nic
        await stage.plug("pv")
        await stage.configure("pv")
        await stage.daemon.start()
        await stage.start_traffic(1000, nursery)
        await stage.plug("vf"); await stage.set_link("vf", False); await stage.unplug("vf")
        guest = await stage.stop_traffic()    # the guest's diary; the peer's is stage.peer.diary

Both diaries are in seconds of time.monotonic, as is everything else here: guest and host have one clock.
"""

from __future__ import annotations

import errno
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from failoverd.lab import netnsdaemon, rtnl
from failoverd.lab.hardware import DRIVERS, Hardware
from failoverd.lab.host import LabError
from failoverd.lab.lan import ADDRESS, GUEST, LAST, PEER, PEER_MAC
from failoverd.lab.namespaces import Namespace
from failoverd.lab.netnsguest import NetnsDaemon, Probes
from failoverd.lab.packetport import PacketPort
from failoverd.lab.peer import Peer
from failoverd.lab.rtnl import KernelRefusedError, Rtnl
from failoverd.lab.story import Nic
from failoverd.lab.switch import Switch, open_switch
from failoverd.lab.traffic import Diary
from failoverd.lab.world import CannotTell
from failoverd.model.requests import DeleteLink, SetUp

SETTLE = 10.0
"""Seconds in which the traffic must run both ways; then it is said to have started."""

FIRST = 100
"""The first ifindex that is given to a NIC; further ones count up from here. What the guest makes itself gets the
kernel's own count, from 2 on or behind the largest one there has been."""

LO = 1


class Stage:
    """See the module. `guest` makes changes to links in the guest, as its administrator; `host` in the host."""

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

    async def plug(self, nic: str) -> None:
        """The host plugs the NIC in: a new device, with a new ifindex. Raises CannotTell where there are no veths."""
        told, number, ifindex = self.nics[nic], list(self.nics).index(nic), self._next
        parent = f"virtio{ifindex}" if told.bus == "virtio" else f"0000:{number + 1:02x}:00.0"
        self._shelf.put(ifindex, Hardware(told.bus, DRIVERS[told.bus], parent, told.mac, told.max_mtu))
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
        # The port listens before the wire carries anything.
        self._ports[nic] = PacketPort(self.switch, f"{nic}@netns", wire)
        self.switch.start(self._ports[nic])
        await self.host.ask(SetUp(ifindex, True))

    async def unplug(self, nic: str) -> None:
        """The host takes the NIC away. When this returns the guest's kernel has told of it."""
        await self.host.ask(DeleteLink(self.ifindexes.pop(nic)))
        self._ports.pop(nic).close()

    async def set_link(self, nic: str, up: bool) -> None:
        """The host cuts the NIC's cable, or mends it."""
        await self.host.ask(SetUp(self.ifindexes[nic], up))

    async def configure(self, nic: str) -> None:
        """Bring the NIC up in the guest, with the guest's addresses and its default route, as after a boot."""
        ifindex = self.ifindexes[nic]
        await self.guest.ask(SetUp(LO, True))
        await self.guest.ask(SetUp(ifindex, True))
        for address in GUEST:
            await self.guest.ask(rtnl.add_address(ifindex, address))
        await self.guest.ask(rtnl.default_route(ifindex, PEER[0]))

    async def links(self) -> list[dict[str, Any]]:
        """What the guest's kernel has; see World.links."""
        ids = {ifindex: nic for nic, ifindex in self.ifindexes.items()}
        return [{**row, "nic": ids.get(row["ifindex"], "")} for row in await self.guest.look()]

    async def start_traffic(self, rate: float, nursery: trio.Nursery) -> None:
        """Probes both ways, `rate` a second each, until `stop_traffic`. Raises LabError where none comes through."""
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
        """End it, and hear what is under way; the guest's diary."""
        self._sending.cancel()
        await trio.sleep(LAST)
        return await self._probes.stop()

    async def close(self) -> None:
        """End the processes, and take the NICs away."""
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
    """A stage with nothing plugged in and no daemon started. `config` is the daemon's, `bus` the bus it is on, if any.

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
