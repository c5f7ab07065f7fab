"""The machine of a history: its pairs, the devices of other programs, and a daemon that comes and goes."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import random
import socket
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from failoverd.config.load import from_mapping
from failoverd.core.call_answers import CallError
from failoverd.core.inputs import Input
from failoverd.daemon.calls import carry_out
from failoverd.daemon.ports import Ports, can_rename_live
from failoverd.model.actions import Action, Peek, WakeAt
from failoverd.model.events import Event
from failoverd.model.links import Link
from failoverd.model.requests import SetSysctl
from failoverd.model.signals import Signal
from failoverd.netlink.transport import EVENTS
from failoverd_lab.chaos.catalogue import FOREIGN_MAC, MACS
from failoverd_lab.chaos.draw import History
from failoverd_lab.chaos.faults import Faults, FaultyEngine, FaultyStore, InetSocket, LinkSocket, refusals
from failoverd_lab.chaos.ledger import Item, Ledger, configuration, subject
from failoverd_lab.simkernel import Refused, SimKernel, SimSocket, run_timers, wire
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.requests import Request
from failoverd_lab.simkernel.state import Device

DRIVERS = {"virtio": "virtio_net", "pci": "mlx5_core"}
SPIN = 20_000
"""Steps at one moment of the clock after which the engine is taken to loop."""
MOST_FAILURES = 20

log = logging.getLogger("failoverd")


@dataclass(slots=True)
class ChaosPair:
    """A pair as the host knows it: the ifindexes of its NICs, 0 for one that is not plugged in."""

    number: int
    mac: str
    nic: int = 0
    vf: int = 0
    vf2: int = 0
    wants_up: bool = True

    @property
    def address(self) -> str:
        """The address at which the machine is reached by this pair, until it is removed."""
        return f"10.0.{self.number}.2"


@dataclass(frozen=True, slots=True)
class Failure:
    """A violation: the invariant, when it was broken (seconds of the clock), and how."""

    kind: str
    at: float
    text: str


class ChaosMachine:
    """The machine (see the module). `report` receives everything that happens, in words; `failures` has the
    violations."""

    def __init__(self, history: History, report: Callable[[str], None] | None = None) -> None:
        self.history = history
        self.clock = MockClock(autojump_threshold=0)
        self.dice = random.Random(history.seed)  # noqa: S311 (histories, not secrets)
        setup = history.setup
        self.kernel = SimKernel(self.clock.current_time, setup.release, setup.without)
        self.faults = Faults(self.dice, self.clock.current_time)
        self.ledger = Ledger()
        self.pairs = [ChaosPair(number, MACS[number]) for number in range(setup.pairs)]
        self.config = from_mapping(setup.config, "chaos")
        self.store = FaultyStore(self.faults)
        self.failures: list[Failure] = []
        self.signals: list[tuple[int, Signal]] = []
        self.touched: set[str] = set()
        self.strays: set[Item] = set()
        self.doubled: set[Item] = set()
        self.removed: set[Item] = set()
        self.engine: FaultyEngine | None = None
        self.link: SimSocket | None = None
        self.nursery: trio.Nursery | None = None
        self.foreign: dict[str, int] = {}
        self.udev_until: dict[int, float] = {}
        self.no_bond = ""
        self.lives = self.steps = 0
        self._plugged = 0
        self._spinning = (0.0, 0)
        self._scope = trio.CancelScope()
        self._report = report

    # Used by all parts

    def now(self) -> float:
        """Seconds of the clock."""
        return self.clock.current_time()

    def say(self, text: str) -> None:
        """Pass a line to `report`."""
        if self._report is not None:
            self._report(f"{self.now():10.3f} {text}")

    def fail(self, kind: str, text: str) -> None:
        """Record a broken invariant; a repetition is recorded once."""
        is_known = any((failure.kind, failure.text) == (kind, text) for failure in self.failures)
        if not is_known and len(self.failures) < MOST_FAILURES:
            self.failures.append(Failure(kind, round(self.now(), 3), text))
            self.say(f"BROKEN {kind}: {text}")

    def device(self, ifindex: int) -> Device | None:
        """Return the kernel's device."""
        return self.kernel.net.devices.get(ifindex)

    def holder(self, pair: ChaosPair) -> Device | None:
        """Return the device that has the pair's address. Where several have it, a slave's is another program's."""
        raw = socket.inet_aton(pair.address)
        found = (d for d in self.kernel.net.devices.values() if any(a.local == raw for a in d.v4))
        return min(found, key=lambda device: device.master is not None, default=None)

    def bond(self, pair: ChaosPair) -> Device | None:
        """Return the bond that failoverd has made for this pair."""
        mark = f"failoverd-{pair.mac.replace(':', '')}"
        bonds = (d for d in self.kernel.net.devices.values() if d.kind == "bond")
        return next((d for d in bonds if mark in d.altnames), None)

    def start_soon(self, what: Callable[..., Awaitable[object]], *arguments: object) -> None:
        """Start a background task beside the history."""
        if self.nursery is not None:
            self.nursery.start_soon(what, *arguments)

    # The host and the machine at its boot

    def boot(self) -> None:
        """Make everything that exists before the daemon starts."""
        setup, admin = self.history.setup, self.kernel.admin
        refusals(self.kernel, self.faults, self._is_asked)
        self.start_soon(run_timers, self.kernel)
        has_bonding = "bond" not in setup.without
        self._others(has_bonding)
        for pair in self.pairs:
            self.plug(pair, "nic", f"ens{3 + 2 * pair.number}")
            gateway = f"10.0.{pair.number}.1" if pair.number == 0 else ""
            admin.configure(pair.nic, (f"{pair.address}/24", f"fd00:{pair.number}::2/64"), gateway)
            pair.wants_up = True
            if setup.vf_first[pair.number]:
                self.plug(pair, "vf", f"ens{4 + 2 * pair.number}", up=setup.vf_up[pair.number])
                if setup.vf_up[pair.number] and setup.vf_address[pair.number]:
                    admin.add_address(pair.vf, f"10.70.{pair.number}.5/24")

    def _others(self, has_bonding: bool) -> None:
        """Make devices that do not concern failoverd, and a bridge and a bond that enslave others."""
        admin, foreign = self.kernel.admin, self.foreign
        admin.create("dummy", "dummy9")
        admin.create("bridge", "br9")
        foreign |= {name: self._named(name) for name in ("dummy9", "br9")}
        admin.configure(foreign["dummy9"], ["10.200.0.1/24"])
        foreign["enp9"] = self.kernel.plug("enp9", FOREIGN_MAC, "pci", "e1000", "0000:99:00.0")
        foreign["bond9"] = foreign["br9"]
        if has_bonding:
            options = wire.u8(n.IFLA_BOND_MODE, 1) + wire.u32(n.IFLA_BOND_MIIMON, 1000)
            admin.create("bond", "bond9", mac=FOREIGN_MAC, data=options)
            foreign["bond9"] = self._named("bond9")
            admin.set_master(foreign["enp9"], foreign["bond9"])
            admin.set_up(foreign["bond9"], True)

    def _named(self, name: str) -> int:
        found = self.kernel.net.device(name)
        return found.index if found is not None else 0

    def plug(
        self, pair: ChaosPair, role: str, name: str, *, up: bool = False, carrier: bool = True, max_mtu: int = 9190
    ) -> None:
        """Plug a NIC in, as the host does: "nic", "vf", or a second VF of that MAC, "vf2"."""
        self._plugged += 1
        bus = "virtio" if role == "nic" else "pci"
        parent = f"virtio{self._plugged}" if role == "nic" else f"0000:{self._plugged:02x}:00.0"
        free = name if self.kernel.net.device(name) is None else "eth%d"
        wait = self.dice.choice([0.5, 3, 30]) if self.faults.lasts(self.faults.udev_slow) else 0.0
        ifindex = self.kernel.plug(
            free, pair.mac, "virtio" if role == "nic" else "pci", DRIVERS[bus], parent, max_mtu, up=up,
            carrier_when_up=carrier,
        )  # fmt: skip
        self.udev_until[ifindex] = self.now() + wait
        setattr(pair, role, ifindex)
        if role == "nic" and self.bond(pair) is None:
            pair.wants_up = up

    # The daemon

    async def start(self) -> None:
        """Start a new daemon, with the former one's store."""
        if self.engine is not None:
            return
        self.lives += 1
        self.link = self.kernel.open(EVENTS, self.config.netlink.receive_buffer)
        ports = Ports(
            link_socket=LinkSocket(self.link, self.faults, self._booking),
            open_inet=self._open,
            complete=self._complete,
            is_udev_done=lambda ifindex: self.now() >= self.udev_until.get(ifindex, 0.0),
            store=self.store,
            announce=self._announce,
            on_signal=self._signalled,
            no_bond=self._bond_obstacle,
            renames_live=can_rename_live(".".join(map(str, self.history.setup.release))),
            write_sysctl=self._write_sysctl,
        )
        self.engine = engine = FaultyEngine(self.config, ports)
        engine.faults, engine.killed = self.faults, self._killed
        engine.told, engine.doing = self._stepped, self._acted
        self._scope = trio.CancelScope()
        self.start_soon(self._run, engine, self._scope, self.link)

    async def _run(self, engine: FaultyEngine, scope: trio.CancelScope, link: SimSocket) -> None:
        try:
            with scope:
                await engine.run()
        except Exception as error:
            causes = [cause for cause in _leaves(error) if not isinstance(cause, trio.Cancelled)]
            self.fail("no-exception", f"{causes[0]!r:.160} at {where(causes[0])}")
            self.say("".join(traceback.format_exception(error)))
        finally:
            link.close()
            if self.engine is engine:
                self.engine = None

    async def kill(self) -> None:
        """Kill the daemon where it stands."""
        self._scope.cancel()
        self.engine = None
        await wait_all_tasks_blocked()

    async def stop(self) -> None:
        """Stop the daemon in good order."""
        if self.engine is not None:
            await self.engine.retire()
            await self.kill()

    async def order(self, call: str, arguments: Sequence[str], check: Callable[[], None] | None = None) -> None:
        """Make a call as failoverctl does; `check` judges the machine at the moment of a good answer.

        What happened in the same moment and is still unread is no reason against an answer: nothing could know of it.
        """
        if self.engine is None:
            return
        try:
            await carry_out(self.engine, call, *arguments)
        except CallError as error:
            self.say(f"{call} {' '.join(arguments)}: {error}")
            if "its log says more" in str(error):
                self.fail("no-exception", f"{call}: {error}")
        else:
            self.say(f"{call} {' '.join(arguments)}: done")
            if check is not None and self.link is not None and not self.link.has_unread:
                check()

    def _killed(self, action: Action) -> None:
        self.say(f"killed before {type(action).__name__}")
        self._scope.cancel()
        self.engine = None

    def _stepped(self, event: Event | Input) -> None:
        self.steps += 1
        at, count = self._spinning
        self._spinning = (at, count + 1) if at == self.now() else (self.now(), 0)
        if count > SPIN:
            self.fail("no-circles", f"{count} steps at one moment, the last for {str(event)[:120]}")
            self._scope.cancel()
        if self._report is not None:
            self.say(f"  . {str(event)[:200]}")

    def _acted(self, action: Action) -> None:
        if self._report is not None and not isinstance(action, WakeAt | Peek):
            self.say(f"    -> {str(action)[:400]}")

    def _signalled(self, signal: Signal) -> None:
        self.signals.append((self.lives, signal))
        self.say(f"  signal {signal}")

    # The daemon's view of the world

    def _is_asked(self, request: Request) -> bool:
        """Return whether this is a change requested by the daemon; it is recorded, and must be of a device that
        concerns it."""
        is_change = request.type % 4 != n.RTM_GETLINK % 4
        if self.link is None or request.cause.pid != self.link.pid or not is_change:
            return False
        self.ledger.asked(request.type)
        device = self.device(subject(request))
        if device is not None and not self._is_its_business(device):
            self.fail("only-ours", f"{self.ledger.requests[-1]} for {device.name} ({device.kind or 'hardware'})")
        return True

    def _is_its_business(self, device: Device) -> bool:
        if device.kind == "":
            return wire.mac_text(device.perm) in MACS
        if device.kind == "vlan" and device.lower is not None:
            return self._is_its_business(device.lower)
        return device.kind == "bond" and device.index not in self.foreign.values()

    @contextlib.contextmanager
    def _booking(self) -> Iterator[None]:
        """Book one message of the daemon's while the kernel works through it."""
        before = configuration(self.kernel.net)
        yield
        self.ledger.booked(before, configuration(self.kernel.net))

    async def _open(self) -> InetSocket:
        if self.faults.lasts(self.faults.dumps, 0.1):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return InetSocket(self.kernel.open(strict=True), self.faults)

    async def _announce(self, devices: Mapping[int, str], _ports: Mapping[int, int]) -> Sequence[str]:
        if self.faults.lasts(self.faults.unheard, 0.7):
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        for ifindex in devices:
            if self.device(ifindex) is not None:
                self.kernel.announce(ifindex, "arp")
        return ()

    async def _bond_obstacle(self, _nic: Link, _name: str) -> str:
        return self.no_bond

    def _complete(self, link: Link) -> Link:
        device = self.device(link.ifindex)
        return link if link.kind or device is None else replace(link, driver=self.kernel.driver(link.ifindex))

    def _write_sysctl(self, request: SetSysctl, _name: str) -> tuple[int, str]:
        try:
            self.kernel.write_sysctl(request.ifindex, request.name, int(request.value))
        except Refused as refused:
            return refused.code, refused.text
        return 0, ""


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def where(error: BaseException) -> str:
    """Return the line of failoverd's code that raised an error."""
    found = [frame for frame in traceback.extract_tb(error.__traceback__) if "/failoverd" in frame.filename]
    return f"{found[-1].filename.rpartition('/failoverd')[2]}:{found[-1].lineno}" if found else "?"
