"""The netns world: a story on this machine's kernel, in namespaces of its own, with veths for NICs.

Nothing is booted and nothing simulated: the daemon is a process as in a guest, the kernel passes the frames and reports
the events, and a story takes real time. A veth cannot show a driver: its hot-plug takes no time, and it accepts any MTU
and any MAC. And nothing migrates. That is what the guest world is for.

The picture's lanes of the NICs show what was done to them. The NIC that carried is read off the switch, as in the guest
world.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import trio

from failoverd_lab import judge, namespaces, rtnl
from failoverd_lab.lanes import Lanes
from failoverd_lab.netnsstage import Stage, open_stage
from failoverd_lab.netnssteps import STEPS, unsupported_reason
from failoverd_lab.story import Nic, Scenario, Step
from failoverd_lab.world import CannotTell, Recording


class NetnsWorld:
    """The world `netns`; see failoverd_lab.world.World. Made before trio runs, while this process has one thread.
    Raises CannotTell."""

    name = "netns"
    poll = 0.02

    def __init__(self, progress: Callable[[str], None]) -> None:
        namespaces.enter()
        self._progress = progress
        self._nics: dict[str, Nic] = {}
        self._texts: dict[str, str] = {}
        self._lanes = Lanes()
        self._over = trio.Event()
        self._ended = trio.Event()
        self._ended.set()
        self._begun = time.monotonic()

    def joined_by(self, scenario: Scenario) -> str:
        """See World. Where the kernel has no bonding, the daemon chooses tc."""
        has_bonding = rtnl.makes("bond")
        found = scenario.joined_by("bond" if has_bonding else "tc")
        if found == "hv_netvsc":
            raise CannotTell("hv_netvsc needs Hyper-V; tell it with --in sim")
        if found == "net_failover":
            raise CannotTell("the kernel's own failover needs a hypervisor that offers it; tell it with --in vm")
        if found == "bond" and not has_bonding:
            raise CannotTell("this kernel has no bonding (CONFIG_BONDING); tell it with --datapath tc or --in vm")
        return found

    async def start(self, scenario: Scenario, nursery: trio.Nursery) -> None:
        """See World. The paravirtual NIC has addresses and a route before the daemon starts, as after a boot."""
        if why := unsupported_reason(scenario):
            raise CannotTell(why)
        self._nics = {nic.id: nic for nic in scenario.nics}
        self.config = scenario.config
        self._ended = trio.Event()
        opened = trio.Event()
        nursery.start_soon(self._hold, scenario, opened)
        await opened.wait()
        for nic in scenario.nics:
            if nic.plugged:
                await self.stage.plug(nic.id)
        await self.stage.configure(next(nic.id for nic in scenario.nics if nic.bus == "virtio"))
        await self.stage.start_traffic(scenario.rate, nursery)
        self._begun = time.monotonic()
        for nic in scenario.nics:
            self._show(nic.id, nic.id if nic.plugged else "")
        self._progress("starting the daemon")
        await self.stage.daemon.start()

    def now(self) -> float:
        """See World."""
        return time.monotonic() - self._begun

    async def sleep_until(self, at: float) -> None:
        """See World."""
        await trio.sleep(max(0.0, at - self.now()))

    async def do(self, step: Step) -> None:
        """See World."""
        await STEPS[step.do](self, **step.args)

    async def status(self) -> Mapping[str, Any] | None:
        """See World."""
        return await self.stage.daemon.ask("status")

    async def links(self) -> Sequence[Mapping[str, Any]]:
        """See World."""
        return await self.stage.links()

    async def declared(self) -> Sequence[Mapping[str, Any]]:
        """See World."""
        found: Sequence[Mapping[str, Any]] = (await self.stage.daemon.ask("links") or {"links": ()})["links"]
        return found

    def carrier(self) -> str:
        """See World."""
        return self.stage.peer.came_by()

    async def finish(self) -> Recording:
        """See World."""
        length = self.now()
        guest = await self.stage.stop_traffic()
        peer, begun = self.stage.peer, self._begun
        probes = [p for p in judge.probes(peer.diary, guest, begun, one_clock=True) if 0 <= p.sent <= length]
        spans = [*self._lanes.spans(length), *judge.carried(peer.diary, peer.ports, begun, length)]
        heard = judge.announcements(peer.announcements, begun)
        return Recording(length, probes, spans, (), heard, {"log": self.stage.daemon.log})

    async def stop(self) -> None:
        """See World."""
        self._over.set()
        await self._ended.wait()

    async def plug(self, nic: str) -> None:
        """Plug the NIC in, as the host does."""
        await self.stage.plug(nic)
        self._show(nic, nic)

    async def unplug(self, nic: str) -> None:
        """Unplug the NIC, as the host does."""
        await self.stage.unplug(nic)
        self._show(nic, "")

    async def set_link(self, nic: str, up: bool) -> None:
        """Cut the NIC's cable, or mend it, as the host does."""
        await self.stage.set_link(nic, up)
        self._show(nic, nic if up else f"{nic}, no carrier")

    async def master(self) -> Mapping[str, Any]:
        """Return the one master, as the daemon has it. Raises CannotTell while there is none, or several."""
        masters = (await self.status() or {"masters": []})["masters"]
        if len(masters) != 1:
            raise CannotTell(f"the step speaks of the master, and the daemon has {len(masters)}")
        found: Mapping[str, Any] = masters[0]
        return found

    async def device(self, nic: str) -> int:
        """Return the ifindex of a NIC of the story, or of the one master. Raises CannotTell."""
        return int((await self.master())["ifindex"]) if nic == "master" else self.stage.ifindexes[nic]

    async def _hold(self, scenario: Scenario, opened: trio.Event) -> None:
        """Keep the stage until `stop`."""
        try:
            async with open_stage(scenario.nics, scenario.config) as stage:
                self.stage: Stage = stage
                opened.set()
                await self._over.wait()
        finally:
            self._ended.set()

    def _show(self, nic: str, text: str) -> None:
        """Show a text in the NIC's lane. A lane shows one NIC: the first of its kind that is plugged in."""
        self._texts[nic] = text
        bus = self._nics[nic].bus
        texts = [self._texts.get(other.id, "") for other in self._nics.values() if other.bus == bus]
        shown = next((text for text in texts if text), "")
        self._lanes.note("standby" if bus == "virtio" else "primary", self.now(), shown)
