"""The simulated world: the daemon's own engine on a simulated kernel and a virtual clock.

Only the kernel and the clock are simulated. The engine, the codec, the step and the planner are the daemon's, so a
story here goes through everything but sockets. Time jumps whenever every task waits, so a minute of story takes only
its computing time. Probes are not sent: for each moment of a probe, the kernel's state says whether it would have
arrived, and by which NIC.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import trio
from trio.testing import MockClock

from failoverd.config.load import from_mapping
from failoverd.config.spec import Config
from failoverd.core.call_answers import CallError
from failoverd.core.inputs import Configured
from failoverd.core.state import State
from failoverd.core.status import status
from failoverd.daemon.calls import carry_out, take_turn
from failoverd.daemon.engine import Engine
from failoverd.daemon.movefile import said
from failoverd.daemon.moveorders import CALLED
from failoverd.daemon.ports import Ports
from failoverd.daemon.store import MemoryStore
from failoverd.model.events import AboutPair
from failoverd.model.links import Link
from failoverd.model.requests import SetSysctl
from failoverd.netlink.transport import EVENTS
from failoverd_lab.lanes import Lanes
from failoverd_lab.simkernel import Namespaces, SimKernel, SimSocket, moves, run_timers
from failoverd_lab.simkernel.kernel import Bus
from failoverd_lab.simkernel.state import Device, Refused
from failoverd_lab.simlinks import SimDoors, SimLinks
from failoverd_lab.simmoves import Disk, SimMoves
from failoverd_lab.simsteps import STEPS
from failoverd_lab.story import DIRECTIONS, Nic, Scenario, Step, overlay
from failoverd_lab.world import Announcement, CannotTell, Probe, Recording

RELEASE = (6, 1)
"""The simulated kernel's version, Debian 12's: the stricter one about renames."""

ADDRESS = "10.111.0.2"
GUEST = (f"{ADDRESS}/24", "fd00:111::2/64")
PEER = "10.111.0.1"
DRIVERS: dict[Bus, str] = {"virtio": "virtio_net", "pci": "vmxnet3", "vmbus": "hv_netvsc"}


class SimWorld:
    """The world `sim`; see failoverd_lab.world.World. `nics` are the story's, `ifindexes` those of the plugged ones by
    id."""

    name = "sim"
    poll = 0.05

    def __init__(self, progress: Callable[[str], None]) -> None:
        self.clock = MockClock(autojump_threshold=0)
        self.kernel = SimKernel(self.clock.current_time, RELEASE)
        self.nics: dict[str, Nic] = {}
        self.ifindexes: dict[str, int] = {}
        self.engine: Engine | None = None
        self._links: SimLinks | None = None
        self._moves: SimMoves | None = None
        self._disk = Disk()
        self._devices: dict[str, Device] = {}
        self._had_links = False
        self._inside: trio.Nursery | None = None
        self._progress = progress
        self._config = Config()
        self._tree: Mapping[str, Any] = {}
        self._store = MemoryStore()
        self._nursery: trio.Nursery | None = None
        self._daemon = trio.CancelScope()
        self._ids: dict[int, str] = {}
        self._lanes = Lanes()
        self._netvsc = False
        self._rate = 0
        self._start = 0.0

    def joined_by(self, scenario: Scenario) -> str:
        """See World."""
        found = scenario.joined_by("bond")
        if found == "net_failover":
            raise CannotTell("the simulated kernel has no net_failover; tell it with --in vm")
        self._netvsc = found == "hv_netvsc"
        return found

    async def start(self, scenario: Scenario, nursery: trio.Nursery) -> None:
        """See World. The paravirtual NIC has addresses and a route before the daemon starts, as after a boot."""
        self._start = trio.current_time()
        self.namespaces = Namespaces(self.kernel)
        self._doors = SimDoors(self.namespaces)
        self._tree = scenario.config
        self._config = from_mapping(self._tree, f"{scenario.file}: config")
        self._rate = scenario.rate
        self.nics = {nic.id: nic for nic in scenario.nics}
        self.kernel.on_change(self._note)
        self._nursery = nursery
        nursery.start_soon(run_timers, self.kernel)
        for nic in scenario.nics:
            if nic.plugged:
                self.plug(nic.id)
        first = next((nic for nic in scenario.nics if nic.bus == "virtio"), scenario.nics[0])
        self.kernel.admin.configure(self.ifindexes[first.id], GUEST, PEER)
        await self.start_daemon()

    def now(self) -> float:
        """See World."""
        return trio.current_time() - self._start

    async def sleep_until(self, at: float) -> None:
        """See World."""
        await trio.sleep_until(self._start + at)

    async def do(self, step: Step) -> None:
        """See World."""
        action = STEPS.get(step.do)
        if action is None:
            raise CannotTell(f"the simulated world cannot do {step.do!r}; tell this story with --in vm")
        try:
            await action(self, **step.args)
        except (Refused, CallError) as error:
            raise CannotTell(f"it is refused: {_why(error)}") from error

    async def status(self) -> Mapping[str, object] | None:
        """See World."""
        return status(self.engine.state) if self.engine is not None else None

    async def links(self) -> Sequence[Mapping[str, object]]:
        """See World."""
        rows = [(kernel, seen) for kernel in self._kernels() for seen in kernel.links()]
        return [{**asdict(seen), "nic": self._nic_at(kernel, seen.ifindex)} for kernel, seen in rows]

    async def declared(self) -> Sequence[Mapping[str, object]]:
        """See World."""
        rows = self._links.rows() if self._links is not None else ()
        return [{"name": row.name, "state": row.state.value, "reason": row.reason} for row in rows]

    def carrier(self) -> str:
        """See World."""
        found = ((kernel, kernel.path_to(ADDRESS)) for kernel in self._kernels())
        return next((self._nic_at(kernel, ifindex) for kernel, ifindex in found if ifindex), "")

    async def finish(self) -> Recording:
        """See World."""
        length = self.now()
        moments = [number / self._rate for number in range(math.floor(length * self._rate))]
        probes = [Probe(way, at, at if self._passes(at) else None) for at in moments for way in DIRECTIONS]
        announcements = [
            Announcement(at - self._start, self._nic_at(kernel, ifindex) or self._ids.get(ifindex, ""), "announcement")
            for kernel in self._kernels()
            for at, ifindex in kernel.announcements
        ]
        return Recording(length, probes, self._lanes.spans(length), (), announcements, {"kernel": RELEASE})

    async def stop(self) -> None:
        """See World."""
        self._daemon.cancel()

    def plug(self, nic: str) -> None:
        """Plug the NIC in, as the host does; udev's rename is taken to be over."""
        told = self.nics[nic]
        number = len(self._ids)
        bus: Bus = "vmbus" if self._netvsc and told.bus == "virtio" else told.bus
        parent = f"{bus}{number}" if told.bus == "virtio" else f"0000:{number:02x}:00.0"
        name = told.name or f"ens{3 + list(self.nics).index(nic)}"
        try:
            ifindex = self.kernel.plug(name, told.mac, bus, DRIVERS[bus], parent, told.max_mtu)
        except Refused as error:
            raise CannotTell(f"{nic} cannot be called {name}: {_why(error)}; give it another name") from error
        self.ifindexes[nic], self._ids[ifindex] = ifindex, nic
        self._devices[nic] = self.kernel.net.devices[ifindex]
        self._note()

    def unplug(self, nic: str) -> None:
        """Unplug the NIC, as the host does."""
        kernel, ifindex = self.place_of(nic)
        del self.ifindexes[nic]
        kernel.unplug(ifindex)

    def place_of(self, nic: str) -> tuple[SimKernel, int]:
        """Return the network namespace that a NIC is in, and its ifindex there. Raises KeyError."""
        if nic not in self.ifindexes:
            raise KeyError(nic)
        device = self._devices[nic]
        return next(kernel for kernel in self._kernels() if kernel.net is device.net), device.index

    def _kernels(self) -> list[SimKernel]:
        return [self.namespaces[name] for name in ("", *sorted(self.namespaces.names))]

    def _nic_at(self, kernel: SimKernel, ifindex: int) -> str:
        """Return the story's id of a device, "" for one that is no NIC of it."""
        return next((nic for nic in self.ifindexes if self.place_of(nic) == (kernel, ifindex)), "")

    def move_device(self, nic: str, name: str) -> None:
        """Move a NIC by hand into another network namespace, "" for failoverd's own."""
        moves.move(self._devices[nic], self.namespaces[name].net)
        for kernel in self._kernels():
            kernel.settle()
        self._note()

    def set_namespace(self, name: str, present: bool) -> None:
        """Make a network namespace, or end it."""
        if present:
            self.namespaces.create(name).on_change(self._note)
        else:
            self.namespaces.delete(name)
        self._note()

    async def start_daemon(self) -> None:
        """Start a new engine, with the contents of the former one's store."""
        if self._nursery is None or self.engine is not None:
            raise CannotTell("the daemon is running already")
        self._store.kept.away = {record.mac: said(record.mac, record) for record in self._disk.records()}
        ports = Ports(
            link_socket=self.kernel.open(EVENTS, self._config.netlink.receive_buffer),
            open_inet=self._open,
            complete=self._complete,
            is_udev_done=lambda _ifindex: True,
            store=self._store,
            announce=self._announce,
            write_sysctl=self._write_sysctl,
            on_step=self._stepped,
        )
        self.engine = self.make_engine(self._config, ports)
        self._daemon = trio.CancelScope()
        ready = trio.Event()
        self._nursery.start_soon(self._run, self.engine, ready)
        await ready.wait()

    def make_engine(self, config: Config, ports: Ports) -> Engine:
        """Return the daemon's engine; a subclass may inject faults into it."""
        return Engine(config, ports)

    async def configure(self, config: Mapping[str, Any]) -> None:
        """Lay these keys over the configuration; a running daemon takes the new one."""
        await self.reconfigure(overlay(self._tree, config))

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """Have this configuration in place of the one before; a running daemon takes it."""
        self._tree = config
        self._config = from_mapping(self._tree, "configure")
        if self.engine is not None:
            await self.engine.tell(Configured(self._config))
            self._declare()
            self._place()

    def _place(self) -> None:
        """Start what carries out moves where the configuration or an earlier run wants it."""
        if self._moves is not None:
            self._moves.configure(self._config.residences)
        elif self._config.residences or self._disk.journals or self._disk.orders:
            self.moves()

    def moves(self) -> SimMoves:
        """Return what carries out moves, and start it with the first order."""
        if self._moves is None:
            if self.engine is None or self._inside is None:
                raise CannotTell("there is no daemon to move anything; start it first")
            engine = self.engine

            async def tell(event: AboutPair) -> None:
                await take_turn(engine, lambda _state, _now: (event,))

            self._moves = SimMoves(self.namespaces, self._disk, lambda: engine.state, tell, {})
            self._moves.configure(self._config.residences)
            self._inside.start_soon(self._moves.run, self._disk.records(), lambda: None)
        return self._moves

    def _declare(self) -> None:
        """Start the links engine with the first declaration, and after a restart where it has made some before."""
        self._had_links = self._had_links or bool(self._config.declared)
        if self._had_links and self._links is None and self._inside is not None:
            self._links = SimLinks(self._doors, lambda _signal: None, RELEASE >= (6, 2))
            self._inside.start_soon(self._links.run)
        if self._links is not None:
            self._links.declare(self._config.declared, self._config.links.retry_max, self._config.links.going_wait)

    def _stepped(self, state: State) -> None:
        if self._links is not None:
            self._links.stepped(state)
        if self._moves is not None:
            self._moves.stepped(state)

    def cut_daemon(self) -> None:
        """Have the daemon die where it is when it next waits; kill_daemon clears up behind it."""
        self._daemon.cancel()

    @property
    def is_cut(self) -> bool:
        """Whether it was cut, and not started since."""
        return self._daemon.cancel_called

    async def kill_daemon(self) -> None:
        """Kill the engine where it stands; none of its tasks runs any more when this returns."""
        self._daemon.cancel()
        self._doors.forget()
        self.engine = self._links = self._moves = self._inside = None
        await trio.testing.wait_all_tasks_blocked()

    async def tell_daemon(self, call: str, *arguments: str) -> None:
        """Make a call as failoverctl does. Raises CannotTell while there is no daemon."""
        if self.engine is None:
            raise CannotTell(f"there is no daemon to be told {call!r}; start it first")
        if call == "move":
            await CALLED[call](self.moves(), *arguments)
        else:
            await carry_out(self.engine, call, *arguments)

    async def _run(self, engine: Engine, ready: trio.Event) -> None:
        with self._daemon:
            async with trio.open_nursery() as self._inside:
                self._declare()

                def is_ready() -> None:
                    self._place()
                    ready.set()

                await engine.run(is_ready)

    async def _open(self) -> SimSocket:
        return self.kernel.open(strict=True)

    async def _announce(self, devices: Mapping[int, str], _ports: Mapping[int, int]) -> Sequence[str]:
        """Record an announcement: the frame leaves by the NIC that carries."""
        if carrier := self.kernel.path_to(ADDRESS):
            self.kernel.net.announcements += [(self.clock.current_time(), carrier, "sent by hand") for _ in devices]
        return ()

    def _write_sysctl(self, request: SetSysctl, _name: str) -> tuple[int, str]:
        try:
            self.kernel.write_sysctl(request.ifindex, request.name, int(request.value))
        except Refused as refused:
            return refused.code, refused.text
        return 0, ""

    def _complete(self, link: Link) -> Link:
        """Complete a link with its driver. A NIC that is gone by the time its message is read has none, as with
        ethtool."""
        try:
            return link if link.kind else replace(link, driver=self.kernel.driver(link.ifindex))
        except KeyError:
            return link

    def _passes(self, at: float) -> bool:
        return self._lanes.at("active", at) not in ("", "none")

    def _note(self) -> None:
        """Record what each lane shows from now on."""
        at = trio.current_time() - self._start
        self._lanes.note("active", at, self.carrier() or "none")
        for lane, bus in (("primary", "pci"), ("standby", "virtio")):
            texts = [self._text(nic.id) for nic in self.nics.values() if nic.bus == bus]
            self._lanes.note(lane, at, next((text for text in texts if text), ""))
        if self.namespaces.names or "namespace" in self._lanes.changes:
            self._lanes.note("namespace", at, self._answered_in())

    def _answered_in(self) -> str:
        """Return the namespace in which the master's address is answered, "home" for failoverd's own, "" for none."""
        names = ("", *sorted(self.namespaces.names))
        return next((name or "home" for name in names if self.namespaces[name].path_to(ADDRESS)), "")

    def _text(self, nic: str) -> str:
        if nic not in self.ifindexes:
            return ""
        kernel, ifindex = self.place_of(nic)
        trouble = kernel.trouble(ifindex)
        return "" if trouble is None else f"{nic}, {trouble}" if trouble else nic


def _why(error: Refused | CallError) -> str:
    """Return the kernel's or the daemon's text for a refused step."""
    return str(error) if isinstance(error, CallError) else error.text or os.strerror(error.code)
