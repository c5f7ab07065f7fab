"""Moves on the simulated kernel: there and back, cut at any moment, refused at any request, the namespace ended."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Iterable

import pytest
import trio
from everycut import QUICK, cuts, share
from movesim import (
    ADDRESS,
    DEBIAN_12,
    DEBIAN_13,
    HOLD_DOWN,
    MAC,
    RED,
    CutError,
    Machine,
    all_moved,
    joined,
    make,
    on_machine,
    surrounded,
)

from failoverd.kinds import Dummy, NewDevice
from failoverd.model.linktable import LinkTable
from failoverd.model.places import HERE, Place
from failoverd.model.requests import (
    AddAltname,
    AddQdisc,
    CreateLink,
    DeleteLink,
    DropRule,
    MoveLink,
    Rename,
    Request,
    SetActive,
    SetMaster,
    SetSysctl,
)
from failoverd.moves import items as moves
from failoverd.moves.items import Toward
from failoverd.moves.plan import next_step
from failoverd.moves.steps import Tried, Turn
from failoverd_lab.simkernel import Seen, SimKernel, wire

AWAY, HOME = Toward.AWAY, Toward.HOME
NAME = RED.value
Shape = dict[str, object]


def is_reachable(machine: Machine) -> bool:
    """Whether frames to the master's address come in somewhere."""
    return any(machine.namespaces[name].path_to(ADDRESS) is not None for name in ("", *machine.namespaces.names))


async def watched(machine: Machine) -> None:
    assert is_reachable(machine), f"nothing answers before step {machine.steps}"


def each(
    body: Callable[[Machine, int | None], Awaitable[int]],
    choose: Callable[[int], Iterable[int]] = cuts,
    pair: Callable[[SimKernel], None] = joined,
) -> int:
    """Run a test for each moment of a move, or for those that are chosen; returns how many there are. With None for
    the moment nothing happens, and the test says how many it has seen."""

    def run(number: int | None) -> int:
        seen = 0

        async def one(machine: Machine) -> None:
            nonlocal seen
            seen = await body(machine, number)

        on_machine(one, pair=pair)
        return seen

    moments = run(None)
    for number in choose(moments):
        run(number)
    return moments


PAIRS = [(joined, cuts), *([] if QUICK > 1 else [(surrounded, share)])]
"""The larger one takes five times as long: it is for the whole test."""


@pytest.mark.parametrize("release", [DEBIAN_12, DEBIAN_13])
@pytest.mark.parametrize("pair", [joined, surrounded])
def test_all_that_stands_on_it_moves_and_comes_home_as_it_was(
    release: tuple[int, int], pair: Callable[[SimKernel], None]
) -> None:
    async def body(machine: Machine) -> None:
        before = await machine.shape()
        for _ in range(3):
            machine.on_step = lambda: watched(machine)
            rested = await machine.move(AWAY)
            assert rested.record is not None
            assert rested.record.is_over
            assert await machine.shape() == all_moved(before[""])
            await machine.move(HOME)
            assert machine.journal is None
            assert await machine.shape() == before

    on_machine(body, release, pair)


async def moved(machine: Machine, toward: Toward) -> tuple[Shape, Shape]:
    """Prepare a move, to home from where it has moved to; how all is at home, and how it is away."""
    home = await machine.shape()
    away = all_moved(home[""])
    if toward is HOME:
        await machine.move(AWAY)
        assert await machine.shape() == away
    machine.steps = 0
    machine.on_step = lambda: watched(machine)
    return home, away


@pytest.mark.parametrize("toward", [AWAY, HOME])
@pytest.mark.parametrize(("pair", "choose"), PAIRS)
def test_a_move_that_is_cut_anywhere_is_finished_by_the_next_start(
    toward: Toward, pair: Callable[[SimKernel], None], choose: Callable[[int], Iterable[int]]
) -> None:
    async def body(machine: Machine, cut: int | None) -> int:
        home, away = await moved(machine, toward)
        machine.cut = cut
        if cut is None:
            await machine.move(toward)
            return machine.steps
        with pytest.raises(CutError):
            await machine.move(toward)
        machine.cut = None
        begun = machine.journal is not None and machine.journal.toward is toward and machine.steps
        if machine.journal is not None:
            await machine.go_on()
        assert await machine.shape() == ((away if toward is AWAY else home) if begun else (home, away)[toward is HOME])
        return machine.steps

    assert each(body, choose, pair) > 10


@pytest.mark.parametrize("toward", [AWAY, HOME])
@pytest.mark.parametrize(
    ("lasting", "pair"), [(False, joined), (True, joined), *([] if QUICK > 1 else [(False, surrounded)])]
)
def test_a_request_that_is_refused_leads_back_or_is_done_without(
    toward: Toward, lasting: bool, pair: Callable[[SimKernel], None]
) -> None:
    async def body(machine: Machine, number: int | None) -> int:
        home, away = await moved(machine, toward)
        seen: list[tuple[Place, Request]] = []

        def refuse(place: Place, request: Request) -> int:
            seen.append((place, request))
            if number is None:
                return 0
            is_it = len(seen) == number + 1 or (lasting and len(seen) > number and seen[-1] == seen[number])
            return errno.EINVAL if is_it else 0

        machine.refuse = refuse
        rested = await machine.move(toward)
        if number is None:
            return len(seen)
        if rested.record is not None and not rested.record.is_over:
            machine.refuse = lambda _place, _request: 0
            await machine.go_on()
        _, request = seen[number]
        goal = machine.namespaces[NAME if toward is AWAY else ""]
        if isinstance(request, SetActive):
            # What carries is no reason to turn back, and is put right later.
            make(goal, request)
        if isinstance(request, DropRule):
            # A copy of a rule that leads nowhere may stay behind.
            make(machine.namespaces[NAME], request)
        if isinstance(request, AddQdisc) and request.ifindex in goal.net.devices:
            make(goal, request)
        if isinstance(request, SetSysctl) and request.ifindex in goal.net.devices:
            # Neither is a setting once the traffic has moved.
            goal.write_sysctl(request.ifindex, request.name, int(request.value))
        assert await machine.shape() in (home, away), seen[number]
        return len(seen)

    assert each(body, share if lasting or pair is surrounded else cuts, pair) > 30


@pytest.mark.parametrize("is_dead", [False, True])
@pytest.mark.parametrize(("pair", "choose"), PAIRS)
def test_the_namespace_ends_at_any_moment_and_all_is_at_home_as_it_was(
    is_dead: bool, pair: Callable[[SimKernel], None], choose: Callable[[int], Iterable[int]]
) -> None:
    async def body(machine: Machine, number: int | None) -> int:
        home = await machine.shape()
        has_ended = False

        async def end() -> None:
            nonlocal has_ended
            if number is not None and machine.steps == number + 1:
                has_ended = True
                machine.namespaces.delete(NAME)
                if is_dead:
                    raise CutError

        machine.on_step = end
        try:
            await machine.move(AWAY)
        except CutError:
            machine.on_step = None
        if number is None:
            return machine.steps
        assert has_ended
        if machine.journal is not None:
            await machine.go_on()
        assert machine.journal is None
        assert await machine.shape() == {"": home[""]}
        return machine.steps

    assert each(body, choose, pair) > 10


def away(body: Callable[[Machine], Awaitable[None]]) -> None:
    """Run a test on a machine whose pair has moved."""

    async def main(machine: Machine) -> None:
        machine.home = await machine.shape()
        await machine.move(AWAY)
        await body(machine)

    on_machine(main)


def find(kernel: SimKernel, name: str) -> Seen:
    return next(link for link in kernel.links() if link.name == name)


def active(kernel: SimKernel) -> str:
    carrier = kernel.path_to(ADDRESS)
    return next((link.name for link in kernel.links() if link.ifindex == carrier), "")


def test_a_vf_that_is_plugged_in_at_home_is_sent_on_and_carries_when_it_has_been_steady() -> None:
    async def body(machine: Machine) -> None:
        home, red = machine.kernel, machine.namespaces[NAME]
        assert active(red) == "ens4"
        red.unplug(find(red, "ens4").ifindex)
        await trio.sleep(1)
        assert active(red) == "ens3nsby"
        home.plug("ens9", MAC, "pci", "vmxnet3", "0000:03:00.0")
        await machine.follow(HOLD_DOWN / 2)
        assert [link.name for link in home.links()] == []
        assert find(red, "ens9").master == "ens3"
        assert active(red) == "ens3nsby", "it has not been steady yet"
        await machine.follow(2 * HOLD_DOWN)
        assert active(red) == "ens9"
        await machine.move(HOME)
        assert active(home) == "ens9"

    away(body)


def test_a_slave_that_is_taken_away_by_hand_is_brought_back() -> None:
    async def body(machine: Machine) -> None:
        moved, red = await machine.shape(), machine.namespaces[NAME]
        make(red, SetMaster(find(red, "ens4").ifindex, 0))
        await machine.send(machine.where_red(), HERE, [MoveLink(find(red, "ens4").ifindex, HERE)])
        make(machine.kernel, Rename(find(machine.kernel, "ens4").ifindex, "mine"))
        await machine.follow(2 * HOLD_DOWN)
        assert await machine.shape() == moved

    away(body)


def test_a_master_that_is_deleted_there_is_made_at_home_as_it_was_there_at_first() -> None:
    async def body(machine: Machine) -> None:
        red = machine.namespaces[NAME]
        red.admin.delete(find(red, "ens3").ifindex)
        await machine.go_on()
        assert machine.journal is None
        assert await machine.shape() == {"": machine.home[""], NAME: {}}

    away(body)


def test_another_namespace_of_that_name_is_none_of_the_pairs() -> None:
    async def body(machine: Machine) -> None:
        machine.namespaces.delete(NAME)
        machine.namespaces.create(NAME)
        await machine.go_on()
        assert machine.journal is None
        assert await machine.shape() == {"": machine.home[""], NAME: {}}

    away(body)


@pytest.mark.parametrize("toward", [AWAY, HOME])
def test_nothing_is_done_while_no_namespace_can_be_asked_for(toward: Toward) -> None:
    async def body(machine: Machine) -> None:
        if toward is HOME:
            await machine.order(HOME)
        moved, steps = await machine.shape(), machine.steps
        machine.closed = "door-closed"
        moving = machine.moving()
        rested = await moving.go_on()
        assert (rested.why, machine.steps) == ("it cannot be asked for", steps)
        later = await moving.go_on()
        assert later.at - trio.current_time() == pytest.approx(2 * (rested.at - trio.current_time()))
        assert await machine.shape() == moved

    away(body)


def test_what_the_old_master_gets_meanwhile_goes_along() -> None:
    async def body(machine: Machine) -> None:
        async def change() -> None:
            home = machine.kernel
            if machine.steps == 4:
                master = find(home, "ens3").ifindex
                home.admin.add_address(master, "192.0.2.7/32")
                home.admin.create("vlan", "late", data=wire.attr(1, b"\x09\x00"), lower=master)

        machine.on_step = change
        await machine.move(AWAY)
        red = machine.namespaces[NAME]
        assert "192.0.2.7/32" in find(red, "ens3").addresses
        assert find(red, "late").kind == "vlan"

    on_machine(body)


def test_what_cannot_be_cloned_and_comes_meanwhile_turns_the_move_back() -> None:
    async def body(machine: Machine) -> None:
        before = await machine.shape()

        async def change() -> None:
            if machine.steps == 4:
                machine.kernel.admin.add_qdisc(find(machine.kernel, "ens3").ifindex, "clsact")

        machine.on_step = change
        rested = await machine.move(AWAY)
        assert rested.record is None
        machine.kernel.admin.del_qdisc(find(machine.kernel, "ens3").ifindex)
        assert await machine.shape() == before

    on_machine(body)


def test_names_and_numbers_that_are_taken_on_the_way_home() -> None:
    async def body(machine: Machine) -> None:
        home, red = machine.kernel, machine.namespaces[NAME]
        nic, vf = find(red, "ens3nsby").ifindex, find(red, "ens4").ifindex
        make(home, CreateLink(NewDevice("dummy0", ifindex=nic), Dummy()))
        make(home, CreateLink(NewDevice("ens3nsby", ifindex=vf), Dummy()))
        machine.namespaces.delete(NAME)
        make(home, Rename(vf, "dummy1"))
        await machine.go_on()
        assert machine.journal is None
        make(home, DeleteLink(nic), DeleteLink(vf))
        assert await machine.shape() == {"": machine.home[""]}

    away(body)


def test_a_nic_that_udev_calls_like_the_master_gives_the_name_back() -> None:
    async def body(machine: Machine) -> None:
        home = machine.kernel
        machine.namespaces.delete(NAME)
        nic = find(home, "ens3nsby").ifindex
        make(home, AddAltname(nic, "wan"), Rename(nic, "ens3"))
        await machine.go_on()
        assert await machine.shape() == {"": machine.home[""]}

    away(body)


@pytest.mark.parametrize(("back_after", "carries"), [(1.0, "ens4"), (100.0, "ens3nsby")])
def test_a_vf_whose_carrier_comes_late_is_waited_for_a_while(back_after: float, carries: str) -> None:
    async def body(machine: Machine) -> None:
        red = machine.namespaces[NAME]

        async def lose() -> None:
            if any(link.name == "ens4" for link in red.links()) and machine.kernel.links():
                red.set_medium(find(red, "ens4").ifindex, False)
                machine.on_step = None

        async def mend() -> None:
            await trio.sleep(back_after)
            red.set_medium(find(red, "ens4").ifindex, True)

        machine.on_step = lose
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mend)
            rested = await machine.move(AWAY)
            nursery.cancel_scope.cancel()
        assert rested.record is not None
        assert rested.record.is_over
        assert active(red) == carries

    on_machine(body)


def test_a_nic_that_is_unplugged_on_the_way_home_is_waited_for() -> None:
    async def body(machine: Machine) -> None:
        home = machine.kernel
        machine.namespaces.delete(NAME)

        async def unplug() -> None:
            for link in [link for link in home.links() if not link.kind]:
                home.unplug(link.ifindex)
            machine.on_step = None

        machine.on_step = unplug
        rested = await machine.go_on()
        assert (rested.why, active(home)) == (f"neither NIC of {MAC} is there", "")
        home.plug("eth9", MAC, "virtio", "virtio_net", "virtio9")
        await machine.go_on()
        assert machine.journal is None
        assert active(home) == "eth9"

    away(body)


def test_the_plan_turns_back_where_what_has_moved_is_gone() -> None:
    async def body(machine: Machine) -> None:
        assert machine.journal is not None
        nothing = moves.Seen(LinkTable(), {})
        step = next_step(machine.journal, nothing, nothing, HERE, Tried({}))
        assert step == Turn("ens3 is no longer there")

    away(body)
