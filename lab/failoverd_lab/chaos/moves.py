"""Random histories of a master that moves: orders, configurations, namespaces and NICs that come and go, a kernel that
refuses, overruns, and kills between any two datagrams.

The daemon is the whole one of the simulated world (failoverd_lab/sim.py): its engine, the moves, what is to be where.
When all trouble is over and QUIET has passed, the master is where it is wanted if that is there, at home if it is not,
or parked: whole, in one place, with its address once, on the VF. Then no request comes any more, and a daemon that is
started anew finds nothing to do.
"""

from __future__ import annotations

import contextlib
import errno
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from failoverd.core.call_answers import CallError
from failoverd.core.status import status
from failoverd.model.residence import HOME, PARK
from failoverd_lab.chaos.faults import Faults, Refusing, refusals
from failoverd_lab.chaos.run import judged
from failoverd_lab.sim import ADDRESS, SimWorld
from failoverd_lab.simkernel import SimKernel
from failoverd_lab.simkernel.requests import Request
from failoverd_lab.story import Nic, Scenario
from failoverd_lab.world import CannotTell

MAC = "52:54:00:fa:11:01"
NICS = (Nic("pv", "virtio", MAC, "ens3"), Nic("vf", "pci", MAC, "ens4"))
WHOLE = ["ens3", "ens3nsby", "ens4"]
"""The devices of the pair, wherever it is joined."""
NAMES = ("red", "blue")
MASTER: dict[str, Any] = {"datapath": "bond"}
KEYS: dict[str, Any] = {
    "master": MASTER,
    "damping": {"enabled": False},
    "failback": {"hold_down": 2.0},
    "netlink": {"receive_buffer": 65536},
}
"""A VF that goes this often would be left to the standby."""
ERRNOS = (errno.ENOMEM, errno.EBUSY, errno.ENOBUFS, errno.EPERM)
PAUSES = (0.0, 0.0, 0.001, 0.01, 0.05, 0.2, 1.0, 4.0)
"""Seconds between two events."""
SOON = 5.0
QUIET = 200.0
"""Seconds: what nobody has ordered is tried again once a minute at the least, and a drain ends behind that."""
RESTED = 60.0
"""Seconds without a request behind that."""


class MovesMachine:
    """The machine of a seed."""

    def __init__(self, seed: int, report: Callable[[str], None] | None = None) -> None:
        self.dice = random.Random(seed)  # noqa: S311 (histories, not secrets)
        self.world = SimWorld(lambda _text: None)
        self.faults = Faults(self.dice, self.world.clock.current_time)
        self.failures: list[str] = []
        self.requests = 0
        self.when_gone = HOME
        self._kill_in: int | None = None
        self._report = report
        self._nursery: trio.Nursery | None = None

    async def tell(self, events: int) -> None:
        """Tell a history of so many events, and judge it."""
        async with trio.open_nursery() as self._nursery:
            await self.world.start(Scenario("moves", "a master moves", NICS, (), config=KEYS), self._nursery)
            self._watch(self.world.kernel)
            await trio.sleep(SOON)
            for _ in range(events):
                kind = self.dice.choices(list(EVENTS), weights=list(EVENTS.values()))[0]
                await kind(self)
                await trio.sleep(self.dice.choice(PAUSES))
                await self._revive()
            await self._quiet()
            self._nursery.cancel_scope.cancel()

    # Around the daemon

    def _watch(self, kernel: SimKernel) -> None:
        """Have this kernel refuse the daemon's requests, and the daemon be killed, where that is the trouble."""
        refusals(kernel, self.faults, self._asked)

    def _asked(self, request: Request) -> bool:
        """Note a request of the daemon's."""
        self.requests += 1
        self.say(f"asked {request!r:.150}")
        if self._kill_in is not None:
            self._kill_in -= 1
            if self._kill_in < 0:
                self._kill_in = None
                self.say("killed")
                self.world.cut_daemon()
        return True

    async def _revive(self) -> None:
        """Start the daemon anew if it was killed."""
        if self.world.is_cut:
            await self.world.kill_daemon()
            await trio.sleep(self.dice.choice(PAUSES))
            self.say("started")
            await self.world.start_daemon()

    async def _quiet(self) -> None:
        """End all trouble, and judge what comes of it: twice, the second time with a daemon that was started anew."""
        self.faults.over()
        self._kill_in = None
        await self._revive()
        self._mend()
        with contextlib.suppress(CallError):
            await self.world.tell_daemon("undrain", MAC)
        self.say("QUIET")
        await trio.sleep(QUIET)
        self._judge("")
        await self._rests("")
        self.world.cut_daemon()
        await self._revive()
        await trio.sleep(SOON)
        self._judge(" after another start")
        await self._rests(" after another start")

    async def _rests(self, more: str) -> None:
        before = self.requests
        await trio.sleep(RESTED)
        if self.requests != before:
            self.fail(f"{self.requests - before} requests at rest{more}")

    def _mend(self) -> None:
        """Have both NICs there, with their carriers."""
        if "vf" not in self.world.ifindexes:
            self.world.plug("vf")
        for nic in self.world.ifindexes:
            kernel, ifindex = self.world.place_of(nic)
            kernel.set_medium(ifindex, True)

    def _judge(self, more: str) -> None:
        """Judge where it is, and whether it is whole."""
        assert self.world.engine is not None
        (master,) = status(self.world.engine.state)["masters"]
        names = self.world.namespaces.names
        wanted = master["wanted_namespace"]
        is_parked = bool(wanted) and wanted not in names and master["state"] == "parked"
        place = wanted if wanted in names else ""
        state = "parked" if is_parked else "away" if place else "accelerated"
        if is_parked and self.when_gone != PARK:
            self.fail(f"it is parked, which nobody has asked for{more}")
        if (master["state"], self.world.carrier()) != (state, "" if is_parked else "vf"):
            found = f"{master['state']} ({master['reason']}), {self.world.carrier() or 'nothing'} carries"
            self.fail(f"it is wanted {f'in {wanted}' if wanted else 'at home'}, {state}, and is {found}{more}")
        for name in ("", *names):
            links = self.world.namespaces[name].links()
            here = sorted(link.name for link in links)
            expected = [] if name != place else WHOLE
            if len(here) != 2 if is_parked and not name else here != expected:
                self.fail(f"in {name or 'the own namespace'} there are {here}{more}")
            times = sum(address.startswith(f"{ADDRESS}/") for link in links for address in link.addresses)
            if times != (name == place and not is_parked):
                self.fail(f"in {name or 'the own namespace'} its address is there {times} times{more}")

    def say(self, text: str) -> None:
        """Pass a line to `report`."""
        if self._report is not None:
            self._report(f"{self.world.clock.current_time():10.3f} {text}")

    def fail(self, text: str) -> None:
        """Record what is broken."""
        self.say(f"BROKEN {text}")
        self.failures.append(f"at {self.world.clock.current_time():.3f}: {text}")

    # What happens

    async def _call(self, *words: str) -> None:
        """Order something, which may take a while and be refused."""
        self.say(f"order {' '.join(words)}")

        async def call() -> None:
            try:
                await self.world.tell_daemon(*words)
            except (CallError, CannotTell) as error:
                self.say(f"{' '.join(words)}: {error}")

        assert self._nursery is not None
        self._nursery.start_soon(call)
        await trio.sleep(0)

    async def order(self) -> None:
        """Somebody orders a move there, or home."""
        await self._call("move", MAC, *self.dice.choice([(NAMES[0],), (NAMES[0],), (NAMES[1],), ()]))

    async def configure(self) -> None:
        """Another [master.ens3]."""
        self.when_gone = self.dice.choice((HOME, PARK))
        wanted = self.dice.choice(("", *NAMES))
        self.say(f"configured: {wanted or 'nowhere else'}, {self.when_gone}")
        keys = {"namespace": wanted} if wanted else {}
        await self.world.reconfigure(
            {**KEYS, "master": {**KEYS["master"], "ens3": {**keys, "when_gone": self.when_gone}}}
        )

    async def namespace(self) -> None:
        """A namespace comes or goes."""
        name = self.dice.choice(NAMES)
        is_there = name in self.world.namespaces.names
        self.say(f"namespace {name} {'goes' if is_there else 'comes'}")
        self.world.set_namespace(name, not is_there)
        if not is_there:
            self._watch(self.world.namespaces[name])

    async def vf(self) -> None:
        """The VF is unplugged, or plugged in."""
        is_there = "vf" in self.world.ifindexes
        self.say(f"the VF is {'unplugged' if is_there else 'plugged in'}")
        (self.world.unplug if is_there else self.world.plug)("vf")

    async def carrier(self) -> None:
        """A NIC's cable is cut, or mended."""
        nic, is_up = self.dice.choice(sorted(self.world.ifindexes)), self.dice.random() < 0.6
        kernel, ifindex = self.world.place_of(nic)
        self.say(f"the cable of {nic} is {'mended' if is_up else 'cut'}")
        kernel.set_medium(ifindex, is_up)

    async def drain(self) -> None:
        """An administrator drains the VF for a while, or ends that."""
        await self._call(*self.dice.choice([("drain", MAC, "20"), ("undrain", MAC)]))

    async def refuse(self) -> None:
        """The kernel refuses requests for a while."""
        self.faults.refusing = Refusing(
            self.world.clock.current_time() + self.dice.choice(PAUSES), self.dice.choice((0.1, 0.3, 1.0)), ERRNOS
        )

    async def kill(self) -> None:
        """The daemon is killed, after some requests."""
        self._kill_in = self.dice.randrange(40)

    async def overrun(self) -> None:
        """The kernel has to drop what it has to tell."""
        self.world.kernel.storm()


EVENTS: dict[Callable[[MovesMachine], Awaitable[None]], int] = {
    MovesMachine.order: 6,
    MovesMachine.configure: 2,
    MovesMachine.namespace: 5,
    MovesMachine.vf: 4,
    MovesMachine.carrier: 3,
    MovesMachine.drain: 1,
    MovesMachine.refuse: 2,
    MovesMachine.kill: 3,
    MovesMachine.overrun: 1,
}
"""With how likely each is."""


def run_moves(seed: int, events: int, report: Callable[[str], None] | None = None) -> list[str]:
    """Tell the history of a seed, and return what was broken."""
    machine = MovesMachine(seed, report)
    judged(seed, partial(trio.run, machine.tell, events, clock=machine.world.clock), machine.fail)
    return machine.failures
