"""What is foretold of requests, held to both kernels: the same requests by chance, one by one, to the kernel and to the
prediction, and after each the same answer and the same devices."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter

import pytest
import trio
from client import Refused, ifinfo
from toykernel import address, route
from worlds import Simulated, Stage, World, contract

from failoverd.kinds import Bond, NewDevice
from failoverd.model.links import Link
from failoverd.model.requests import (
    AddAddress,
    AddAltname,
    AddRoute,
    CreateLink,
    DropAddress,
    DropAltname,
    DropRoute,
    HearAll,
    Rename,
    Request,
    SetActive,
    SetAllMulticast,
    SetLinkLocal,
    SetMac,
    SetMaster,
    SetMtu,
    SetPromiscuous,
    SetUp,
    TryMaster,
)
from failoverd.netlink.frames import split
from failoverd.netlink.links import read_link
from failoverd.netlink.requests import write_request
from failoverd.plan.predict import predict
from failoverd.plan.predict.machine import Machine, machine_of
from failoverd_lab.simkernel import uapi as n

MACS = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")
IFA_ADDRESS, IFA_LOCAL = 1, 2
NAMES = ("nic0", "lan", "wan", "fo")
REQUESTS = 60
SEEDS = 4 if "FAILOVERD_REQUIRE_REAL" in os.environ else 20
"""Fewer in a guest, whose emulated CPU is thirty times slower."""
FIELDS = (
    *("name", "altnames", "kind", "info", "up", "carrier", "mtu", "master", "slave_kind", "link"),
    *("all_multicast", "promiscuous", "link_local"),
)
TICK = 0.25
"""Longer than a bond takes to look at its slaves."""


@dataclass
class Dice:
    """Requests by chance, about these devices; 77 is none."""

    seed: int
    devices: list[int]
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def throw(self) -> Request:
        return self.dice.choice(self._kinds())()

    def _one(self) -> int:
        return self.dice.choice([*self.devices * 4, 77])

    def _kinds(self) -> list[Callable[[], Request]]:
        pick, one = self.dice.choice, self._one()
        name, on = pick(NAMES), pick((True, False))
        here = self.dice.choice(self.devices)
        ip = address(pick(("10.0.0.2/24", "10.0.0.3/24", "2001:db8::2/64")), here)
        ip = replace(ip, attrs=((IFA_ADDRESS, ip.local), (IFA_LOCAL, ip.local)))
        way = pick(
            (
                route("10.1.0.0/16", here, "10.0.0.1"),
                route("10.2.0.0/16", here),
                route("2001:db8:1::/64", here, metric=7),
                route("2001:db8:2::/64", self.devices[0], "2001:db8::1", metric=7),
            )
        )
        return [
            *[partial(SetUp, one, on)] * 4,
            partial(SetMtu, one, pick((1280, 1400, 1500, 70_000))),
            partial(SetMac, one, pick((*MACS, "01:00:00:00:00:01", "00:00:00:00:00:00"))),
            partial(Rename, one, name),
            partial(AddAltname, one, name),
            partial(DropAltname, one, name),
            *[partial(SetMaster, one, pick((0, self._one(), self.devices[-1])))] * 4,
            partial(TryMaster, one, self._one()),
            *[partial(SetActive, self._one(), one)] * 2,
            partial(HearAll, one, on),
            partial(SetAllMulticast, one, on),
            partial(SetPromiscuous, one, on),
            partial(SetLinkLocal, one, on),
            *[partial(AddAddress, ip)] * 2,
            *[partial(DropAddress, ip)] * 2,
            *[partial(AddRoute, way)] * 2,
            *[partial(DropRoute, way)] * 2,
        ]


async def answer(stage: Stage, request: Request) -> int:
    """The kernel's errno."""
    (message,) = split(write_request(request, 0))
    try:
        await stage.client.ask(message.type, message.flags, message.payload)
    except Refused as refused:
        return refused.code
    return 0


async def seen(stage: Stage) -> dict[int, Link]:
    found = await stage.client.ask(n.RTM_GETLINK, n.NLM_F_DUMP, ifinfo())
    links = [read_link(message) for row in found for message in split(row.pack())]
    return {link.ifindex: link for link in links}


def shape(links: dict[int, Link]) -> dict[int, object]:
    """What is held to be the same."""
    fields = attrgetter(*FIELDS)
    return {i: dict(zip(FIELDS, fields(link), strict=True)) for i, link in links.items()}


async def told(stage: Stage, devices: list[int], seed: int) -> None:
    dice = Dice(seed, devices)
    renames = stage.world.release >= (6, 2)
    machine: Machine = machine_of((await seen(stage)).values(), {}, renames)
    done: list[tuple[Request, int]] = []
    for _ in range(REQUESTS):
        request = dice.throw()
        done.append((request, await answer(stage, request)))
        assert predict(machine, request) == done[-1][1], done
        await trio.sleep(TICK if stage.world.name == "sim" else 0)
        assert shape(machine.links) == shape(await seen(stage)), done


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_bond_and_two_nics(seed: int) -> None:
    """On the simulated kernel, whose clock does not keep anybody waiting for a bond."""

    @contract
    async def test(stage: Stage) -> None:
        nics = [await stage.nic(f"nic{i}", mac) for i, mac in enumerate(MACS)]
        options = Bond(mode=1, miimon=100, fail_over_mac=1, lp_interval=1)
        assert not await answer(stage, CreateLink(NewDevice("fo", MACS[0], 1400), options))
        (bond,) = [i for i, link in (await seen(stage)).items() if link.kind == "bond"]
        await told(stage, [*nics, bond], seed)

    test(Simulated())


@pytest.mark.parametrize("seed", range(SEEDS))
def test_two_nics(world: World, seed: int) -> None:
    @contract
    async def test(stage: Stage) -> None:
        await told(stage, [await stage.nic(f"nic{i}", mac) for i, mac in enumerate(MACS)], seed)

    test(world)
