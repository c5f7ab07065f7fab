"""Random histories of moves on the simulated kernel: there, home, cut, refused, the namespace ended, a VF that goes and
comes. After each event all of it is in one of the two places, whole, with every address, and answers.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from everycut import examples
from movesim import (
    ADDRESS,
    FOREIGN,
    HOLD_DOWN,
    MAC,
    RED,
    RULED,
    RULES,
    CutError,
    Machine,
    joined,
    make,
    on_machine,
    surrounded,
)

from failoverd.model.places import Place
from failoverd.model.requests import AddQdisc, AddRule, DropRule, Request, SetActive, SetMaster, SetSysctl, SetUp
from failoverd.moves.items import Toward
from failoverd_lab.simkernel import SimKernel

LONGEST, STEPS = 8, 30
"""Events of a history, and the most steps of a move before which one is cut, refused or ended."""
NOT_VITAL = (AddQdisc, DropRule, SetActive, SetSysctl)
"""What a move goes on without."""
EXTRA = "192.0.2."
VF = "ens4"
Event = Callable[["History"], Awaitable[None]]


class History:
    """One machine, and what has to be true of it."""

    def __init__(self, machine: Machine, dice: random.Random) -> None:
        self.machine, self.dice = machine, dice
        self.added: set[str] = set()
        self.added_at_home: set[str] = set()
        self.whole: dict[str, Any] = {}
        self.told: list[str] = []

    @property
    def place(self) -> str:
        """The namespace that the pair is in, by the journal."""
        return RED.value if self.machine.journal is not None else ""

    def kernel(self) -> SimKernel:
        """The pair's namespace."""
        kernel: SimKernel = self.machine.namespaces[self.place]
        return kernel

    def index(self, name: str) -> int:
        """A device in it, 0 for none."""
        return next((link.ifindex for link in self.kernel().links() if link.name == name), 0)

    async def order(self, toward: Toward) -> None:
        """Order a move, which may be cut or refused."""
        if self.place == ("" if toward is Toward.AWAY else RED.value):
            if toward is Toward.AWAY:
                self.added_at_home = set(self.added)
            await self.machine.move(toward)

    async def check(self) -> None:
        """All of it is in one place, whole."""
        machine = self.machine
        assert machine.journal is None or machine.journal.is_over, self.told
        shape = await machine.shape()
        found = plain(shape.pop(self.place))
        if self.place:
            assert found.pop(RULED) == [*RULES], self.told
        self.whole = self.whole or found
        assert found == self.whole, self.told
        assert not any(shape.values()), self.told
        addresses = {a for link in self.kernel().links() for a in link.addresses if a.startswith(EXTRA)}
        assert addresses == self.added, self.told
        assert self.kernel().path_to(ADDRESS) is not None, self.told


def plain(devices: Any) -> dict[str, Any]:
    """What the devices of a namespace have, without what events change: the VF, who carries, addresses added later."""
    found = {name: row for name, row in devices.items() if name not in (VF, RULED)}
    kept = {name: (row[0][:4], row[1], without(row[3]), row[4]) for name, row in found.items()}
    return {**kept, RULED: devices[RULED]} if RULED in devices else kept


def without(words: Any) -> Any:
    addresses, routes, *others = words
    return [row for row in addresses if EXTRA not in row[0]], [r for r in routes if EXTRA not in r[0]], *others


async def away(history: History) -> None:
    await history.order(Toward.AWAY)


async def home(history: History) -> None:
    await history.order(Toward.HOME)


async def other_way(history: History) -> None:
    await history.order(Toward.HOME if history.place else Toward.AWAY)


async def cut(history: History) -> None:
    machine = history.machine
    machine.cut = machine.steps + history.dice.randrange(STEPS)
    try:
        await other_way(history)
    except CutError:
        machine.cut = None
        if machine.journal is not None:
            await machine.go_on()
    machine.cut = None


async def refused(history: History) -> None:
    machine, number = history.machine, history.dice.randrange(4 * STEPS)

    def refuse(_place: Place, request: Request) -> int:
        nonlocal number
        number -= 1
        return errno.EINVAL if number == 0 and not isinstance(request, NOT_VITAL) else 0

    machine.refuse = refuse
    await other_way(history)
    machine.refuse = lambda _place, _request: 0
    if machine.journal is not None:
        await machine.go_on()


async def ended(history: History) -> None:
    """The namespace ends while something moves, or right behind that; the next one has the same name."""
    machine, at = history.machine, history.machine.steps + 1 + history.dice.randrange(STEPS)

    async def end() -> None:
        if machine.steps == at:
            machine.namespaces.delete(RED.value)

    machine.on_step = end
    await other_way(history)
    machine.on_step = None
    await anew(machine)


async def ended_at_rest(history: History) -> None:
    """The namespace ends; what the master has got there goes with it."""
    if history.place:
        history.added = set(history.added_at_home)
    await anew(history.machine)


async def anew(machine: Machine) -> None:
    """End the namespace, let the daemon follow, and make another one of that name."""
    if RED.value in machine.namespaces.names:
        machine.namespaces.delete(RED.value)
    if machine.journal is not None:
        await machine.go_on()
    make(machine.namespaces.create(RED.value), AddRule(FOREIGN))


async def vf_goes(history: History) -> None:
    if vf := history.index(VF):
        history.kernel().unplug(vf)


async def vf_comes(history: History) -> None:
    if history.index(VF):
        return
    vf = history.machine.kernel.plug(VF, MAC, "pci", "vmxnet3", "0000:02:00.0")
    if history.place:
        await history.machine.follow(3 * HOLD_DOWN)
    else:
        bond = history.index("ens3")
        make(history.kernel(), SetUp(vf, up=False), SetMaster(vf, bond), SetActive(bond, vf))


async def address(history: History) -> None:
    one = f"{EXTRA}{history.dice.randrange(1, 250)}/32"
    if one not in history.added:
        history.kernel().admin.add_address(history.index("ens3"), one)
        history.added.add(one)


EVENTS: tuple[Event, ...] = (away, home, other_way, cut, cut, refused, ended, ended_at_rest, vf_goes, vf_comes, address)


@pytest.mark.parametrize("seed", range(examples(48)))
def test_whatever_happens_it_is_whole_in_one_place(seed: int) -> None:
    dice = random.Random(seed)

    async def body(machine: Machine) -> None:
        history = History(machine, dice)
        await history.check()
        for _ in range(dice.randrange(2, LONGEST)):
            event = dice.choice(EVENTS)
            history.told.append(event.__name__)
            await event(history)
            await history.check()

    on_machine(body, pair=surrounded if seed % 3 == 0 else joined)
