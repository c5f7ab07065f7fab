"""Random histories of declared links: declarations, namespaces, other programs, a kernel that refuses, and kills.

The engine is the daemon's own, on the simulated kernel and a virtual clock (simlinks.py). It is killed between any two
of its datagrams. When everything has been quiet for QUIET seconds, what is there has to be what is declared
(invariants.py, `LINKS_SOON`). What belongs to others has to be there at any moment.
"""

from __future__ import annotations

import contextlib
import errno
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import trio
from trio.testing import MockClock

from failoverd.daemon.open_namespace import OpenNamespace
from failoverd.kinds import Bridge, Dummy, Macvlan, Place
from failoverd.links.state import HOPELESS
from failoverd.model.declared import Declared, DeviceRef, End, NamespaceRef
from failoverd.model.signals import Signal
from failoverd_lab.chaos.faults import Faults, Refusing, refusals
from failoverd_lab.chaos.run import judged
from failoverd_lab.invariants import LINKS_ALWAYS, LINKS_SOON, Space
from failoverd_lab.simkernel import Namespaces, Refused, SimKernel, run_timers
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.linkmsg import IFINFO
from failoverd_lab.simkernel.requests import Request
from failoverd_lab.simlinks import IDENTITY, SimDoors, SimLinks

RETRY_MAX = 1.0
"""Seconds: what was refused is tried again within QUIET."""
QUIET = 3.0
RELEASES = ((6, 1), (6, 12))
NAMES = ("red", "blue")
RED, BLUE = (NamespaceRef("name", name) for name in NAMES)
NIC = DeviceRef("device", "ens9")
ERRNOS = tuple({errno.ENOMEM, errno.EBUSY, errno.ENOBUFS, errno.EPERM} - HOPELESS)
PAUSES = (0.0, 0.0, 0.001, 0.01, 0.05, 0.1, 0.3, 0.7, 1.5)
"""Seconds between two events."""
POOL = (
    (
        End("host", "veth", "web0", peer="pod", addresses=("192.0.2.1/24",)),
        End("pod", "veth", "eth1", RED, peer="host", addresses=("192.0.2.2/24", "2001:db8::2/64"), mtu=1450),
    ),
    (End("left", "veth", "eth1", BLUE, peer="right"), End("right", "veth", "p0", RED, peer="left", up=False)),
    (End("one", "veth", "lo1", peer="two"), End("two", "veth", "lo2", peer="one", mtu=1400)),
    (End("blind", "dummy", "ens9", BLUE, options=Dummy(), addresses=("10.2.0.1/32",)),),
    (End("lan", "macvlan", "eth0", RED, options=Macvlan(4), lower=NIC),),
    (End("switch", "bridge", "br0", options=Bridge(), ports=(DeviceRef("link", "host"),)),),
    (End("nic", "existing", "ens9", addresses=("10.3.0.1/24",)),),
)
"""What may be declared, in lots that one author writes."""
MTUS, ADDRESS = (0, 1300, 1480), "198.51.100.7/24"


class KilledError(BaseException):
    """The daemon is killed here."""


class _Doors(SimDoors):
    """Says before each datagram that it is about to be sent. The kernel processes one as a whole, whoever is killed."""

    def __init__(self, namespaces: Namespaces, sends: Callable[[], None]) -> None:
        super().__init__(namespaces)
        self._sends = sends

    def open(self, place: Place) -> OpenNamespace:
        """See Doors."""
        opened = super().open(place)
        send = opened.socket.send

        def after_all(datagram: bytes) -> int:
            self._sends()
            return send(datagram)

        opened.socket.send = after_all  # type: ignore[assignment, method-assign]
        return opened


class LinksMachine:
    """The machine of a seed: namespaces, a NIC, what others have made, and a daemon that comes and goes."""

    def __init__(self, seed: int, report: Callable[[str], None] | None = None) -> None:
        self.dice = random.Random(seed)  # noqa: S311 (histories, not secrets)
        self.clock = MockClock(autojump_threshold=0)
        self.kernel = SimKernel(self.clock.current_time, self.dice.choice(RELEASES))
        self.spaces = Namespaces(self.kernel)
        self.faults = Faults(self.dice, self.clock.current_time)
        self.failures: list[str] = []
        self.declared: Declared = {}
        self.strangers: set[tuple[str, str]] = set()
        """The namespaces and names of devices that others have made."""
        self.links: SimLinks | None = None
        self.requests = 0
        self._kill_in: int | None = None
        self._report = report
        self._doors = _Doors(self.spaces, self._sends)
        self._is_daemons = False
        self._scope = trio.CancelScope()

    # Around the daemon

    async def tell(self, events: int) -> None:
        """Tell a history of so many events, and judge it."""
        self.kernel.plug("ens9", "02:00:00:00:00:09", "virtio", "virtio_net", "virtio9", up=True)
        undo = self._watched(self.kernel)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_timers, self.kernel)
            nursery.start_soon(self._live)
            for _ in range(events):
                self._event()
                self._judge(LINKS_ALWAYS, "")
                await trio.sleep(self.dice.choice(PAUSES))
            await self._quiet()
            nursery.cancel_scope.cancel()
        undo()

    async def _quiet(self) -> None:
        """End all trouble, and judge what comes of it: twice, the second time with a daemon that knows nothing."""
        for again in ("", " after another start"):
            self.faults.over()
            self._kill_in = None
            for space, name in sorted(self.strangers):
                if space in {"", *self.spaces.names}:
                    self.say(f"others delete {name} in {space or 'the own namespace'}")
                    self._change(space, name, "delete")
            self.strangers.clear()
            await trio.sleep(QUIET / 2)
            if self.links is not None and any(row.reason == "fought" for row in self.links.rows()):
                # What others have undone again and again is left to them until somebody wants it otherwise.
                self.links.resync()
            await trio.sleep(QUIET)
            self._judge((*LINKS_ALWAYS, *LINKS_SOON), again)
            before = self.requests
            await trio.sleep(10 * QUIET)
            if self.requests != before:
                self.fail(f"{self.requests - before} requests at rest{again}")
            self._scope.cancel()
            await trio.sleep(QUIET)

    async def _live(self) -> None:
        """Run one daemon after the other."""
        while True:
            self.links = SimLinks(self._doors, self._signalled, self.kernel.net.release >= (6, 2))
            self.links.declare(self.declared, RETRY_MAX, 0.3)
            self._scope = trio.CancelScope()
            try:
                with self._scope:
                    await self.links.run()
            except BaseException as error:
                if not _is_of(error, KilledError):
                    raise
            self.say("the daemon has ended")
            self._doors.forget()
            await trio.sleep(self.dice.choice(PAUSES))

    def _signalled(self, signal: Signal) -> None:
        self.say(f"signal {signal!r:.150}")

    def _watched(self, kernel: SimKernel) -> Callable[[], None]:
        """Have the kernel refuse the daemon's requests, and the daemon be killed, where that is the trouble."""
        return refusals(kernel, self.faults, self._asked)

    def _asked(self, request: Request) -> bool:
        """Note a request. Whether it is the daemon's, and one that may be refused: what others ask goes through
        `_change`, and the deletion of what could not be marked by its ifindex."""
        if self._is_daemons:
            return False
        self.requests += 1
        self.say(f"asked {request!r:.150}")
        return request.type != n.RTM_DELLINK or not request.head(IFINFO)[2]

    def _sends(self) -> None:
        """The daemon is about to send a datagram. Raises KilledError."""
        if self._kill_in is not None:
            self._kill_in -= 1
            if self._kill_in < 0:
                self._kill_in = None
                raise KilledError

    def say(self, text: str) -> None:
        """Pass a line to `report`."""
        if self._report is not None:
            self._report(f"{self.clock.current_time():10.3f} {text}")

    def fail(self, text: str) -> None:
        """Record what is broken."""
        self.say(f"BROKEN {text}")
        self.failures.append(f"at {self.clock.current_time():.3f}: {text}")

    def _judge(self, invariants: tuple[Callable[..., Iterator[str]], ...], more: str) -> None:
        seen = {name: self.spaces[name].links() for name in ("", *self.spaces.names)}
        space = Space(seen, self.declared, frozenset(self.strangers), IDENTITY)
        for text in (text for invariant in invariants for text in invariant(space)):
            self.fail(text + more)

    # What happens

    def _event(self) -> None:
        kind = self.dice.choices(list(EVENTS), weights=list(EVENTS.values()))[0]
        kind(self)

    def declare(self) -> None:
        """Another declaration: any of the lots, with values of their own."""
        ends = [end for lot in POOL if self.dice.random() < 0.6 for end in lot]
        if ends and self.dice.random() < 0.2:
            ends.remove(self.dice.choice(ends))
        varied = [self._varied(end) if self.dice.random() < 0.2 else end for end in ends]
        self.declared = {end.name: end for end in varied}
        self.say(f"declared {', '.join(map(repr, varied))}")
        if self.links is not None:
            self.links.declare(self.declared, RETRY_MAX, 0.3)

    def _varied(self, end: End) -> End:
        if end.kind == "existing":
            return replace(end, addresses=(ADDRESS,))
        match self.dice.randrange(4):
            case 0:
                return replace(end, mtu=self.dice.choice(MTUS))
            case 1:
                return replace(end, addresses=(*end.addresses, ADDRESS))
            case 2:
                return replace(end, up=not end.up)
        return replace(end, device=f"{end.device}x")

    def namespace(self) -> None:
        """A namespace comes or goes."""
        name = self.dice.choice(NAMES)
        if name in self.spaces.names:
            self.say(f"namespace {name} goes")
            self.strangers = {one for one in self.strangers if one[0] != name}
            self.spaces.delete(name)
        else:
            self.say(f"namespace {name} comes")
            self._watched(self.spaces.create(name))

    def disturb(self) -> None:
        """Another program changes a device."""
        name = self.dice.choice(["", *self.spaces.names])
        found = [seen for seen in self.spaces[name].links() if seen.ifindex != 1 and seen.name != "ens9"]
        if found:
            seen = self.dice.choice(found)
            what = self.dice.choice(("delete", "down", "mtu", "rename", "mac", "address"))
            if what in ("delete", "rename") and (name, seen.name) in self.strangers:
                return
            self.say(f"others: {what} {seen.name} in {name or 'the own namespace'}")
            self._change(name, seen.name, what)

    def _change(self, space: str, name: str, what: str) -> None:
        admin = self.spaces[space].admin
        index = next((seen.ifindex for seen in self.spaces[space].links() if seen.name == name), 0)
        self._is_daemons = True
        with contextlib.suppress(Refused):
            match what:
                case "delete":
                    admin.delete(index)
                case "down":
                    admin.set_up(index, False)
                case "mtu":
                    admin.set_mtu(index, 1333)
                case "mac":
                    admin.set_mac(index, "02:00:00:00:aa:bb")
                case "rename":
                    admin.set_up(index, False)
                    admin.rename(index, f"z{index % 1000}")
                case _:
                    admin.add_address(index, "203.0.113.9/24")
        self._is_daemons = False

    def stranger(self) -> None:
        """Another program makes a device, with a name that may be wanted."""
        space = self.dice.choice(["", *self.spaces.names])
        name = self.dice.choice(("web0", "eth1", "br0", "other"))
        if any(seen.name == name for seen in self.spaces[space].links()):
            return
        self.say(f"others make {name} in {space or 'the own namespace'}")
        self._is_daemons = True
        self.spaces[space].admin.create("dummy", name)
        self._is_daemons = False
        self.strangers.add((space, name))

    def refuse(self) -> None:
        """The kernel refuses requests for a while."""
        self.faults.refusing = Refusing(
            self.clock.current_time() + self.dice.choice(PAUSES), self.dice.choice((0.3, 1.0)), ERRNOS
        )

    def kill(self) -> None:
        """The daemon is killed, now or after some requests."""
        self._kill_in = self.dice.randrange(12)
        if self.dice.random() < 0.3:
            self._scope.cancel()

    def overrun(self) -> None:
        """The kernel has to drop what it has to tell."""
        self.kernel.storm()

    def resync(self) -> None:
        """The administrator wants everything looked at."""
        if self.links is not None:
            self.links.resync()


EVENTS: dict[Callable[[LinksMachine], None], int] = {
    LinksMachine.declare: 6,
    LinksMachine.namespace: 4,
    LinksMachine.disturb: 6,
    LinksMachine.stranger: 2,
    LinksMachine.refuse: 2,
    LinksMachine.kill: 3,
    LinksMachine.overrun: 1,
    LinksMachine.resync: 1,
}
"""With how likely each is."""


def run_links(seed: int, events: int, report: Callable[[str], None] | None = None) -> list[str]:
    """Tell the history of a seed, and return what was broken."""
    machine = LinksMachine(seed, report)
    judged(seed, partial(trio.run, machine.tell, events, clock=machine.clock), machine.fail)
    return machine.failures


def _is_of(error: BaseException, kind: type[BaseException]) -> bool:
    """Return whether it is of this kind, or all that it wraps is."""
    inner = getattr(error, "exceptions", ())
    return isinstance(error, kind) or (bool(inner) and all(_is_of(one, kind) for one in inner))
