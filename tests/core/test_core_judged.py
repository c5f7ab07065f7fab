"""What pairing reads of a device is what makes it judge anew: else it would judge otherwise after a restart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from pairdriver import Driver
from test_core_adopted import machine as adopted_pair
from test_core_histories import SHAPES, machine
from test_core_orders import NIC, VF
from toykernel import ToyKernel

from failoverd.config.spec import Config, Master, Pairing
from failoverd.core.matching import READ, READ_OF_BOND, rejudge
from failoverd.kinds import Bond
from failoverd.model.events import LinkSeen
from failoverd.model.links import Filter, Link, Tc
from failoverd.model.linktable import LinkTable

FIELDS = {field.name for field in fields(Link)} - {"ifindex", "info"}
FIELDS_OF_BOND = {field.name for field in fields(Bond)}
ODD = Filter("ingress", 1, 1, "u32", redirect=NIC, ours=True)
seen: set[str] = set()


class BondSpy(Bond):
    def __getattribute__(self, name: str) -> Any:
        if name in FIELDS_OF_BOND:
            seen.add(f"bond.{name}")
        return super().__getattribute__(name)


class Spy(Link):
    """A device that notes what is read of it."""

    def __getattribute__(self, name: str) -> Any:
        if name in FIELDS:
            seen.add(name)
        return super().__getattribute__(name)

    def __eq__(self, other: object) -> bool:
        """In pairing it is asked whether this is the same device."""
        return isinstance(other, Link) and self.ifindex == other.ifindex

    def __hash__(self) -> int:
        return hash(self.ifindex)


def spied(link: Link) -> Spy:
    bond = BondSpy(*(getattr(link.info, field.name) for field in fields(Bond))) if link.info is not None else None
    return Spy(ifindex=link.ifindex, info=bond, **{name: getattr(link, name) for name in FIELDS})


def bond() -> ToyKernel:
    return machine(SHAPES["vf"])


def stacked() -> ToyKernel:
    kernel = machine(SHAPES["vf"])
    for kind in ("vlan", "veth", "bridge", "gre"):
        ifindex = kernel.plug(f"{kind}0", "", mac="52:54:00:fa:11:09")
        kernel.links[ifindex] = replace(kernel.links[ifindex], kind=kind, link=NIC, perm_mac="")
    vrf = kernel.plug("vrf0", "", mac="52:54:00:fa:11:0a")
    kernel.links[vrf] = replace(kernel.links[vrf], kind="vrf", perm_mac="")
    kernel.links[NIC] = replace(kernel.links[NIC], master=vrf, slave_kind="vrf")
    return kernel


def adopted() -> ToyKernel:
    return adopted_pair().kernel


def crowded() -> ToyKernel:
    kernel = machine(SHAPES["vf"])
    for bus in ("virtio", "pci", "usb"):
        kernel.plug(f"{bus}9", bus)
    return kernel


@pytest.mark.parametrize("make", [bond, stacked, crowded, adopted])
@pytest.mark.parametrize("datapath", ["auto", "bond", "tc"])
def test_pairing_reads_nothing_that_does_not_make_it_judge_anew(make: Callable[[], ToyKernel], datapath: str) -> None:
    config = Config(master=Master(create="always", datapath=datapath), pairing=Pairing(ignore_drivers=("none",)))
    driver = Driver(make(), config)
    driver.settle(3.0)
    seen.clear()
    driver.state.links = LinkTable(spied(link) for link in driver.state.links.values())
    seen.clear()
    rejudge(driver.state)
    assert seen
    read = {*READ, *(f"bond.{name}" for name in READ_OF_BOND)}
    assert seen <= read, f"{sorted(seen - read)}: add it to READ in core/matching.py"


@pytest.mark.parametrize(
    "change",
    [
        {"tc": Tc("clsact", filters=frozenset({ODD}))},
        {"hardware": 32},
        {"standby_feature": True},
        {"altnames": frozenset({"left0"})},
        {"slave_kind": "vrf", "master": 99},
        {"bus": "usb"},
        {"driver": "other"},
        {"parent": "0000:07:00.0"},
    ],
)
@pytest.mark.parametrize("who", [NIC, VF])
@pytest.mark.parametrize("datapath", ["bond", "tc"])
def test_a_restart_judges_as_before(change: dict[str, Any], who: int, datapath: str) -> None:
    pairing = Pairing(ignore=("left0",), ignore_drivers=("other",))
    driver = Driver(machine(SHAPES["vf"]), Config(master=Master(datapath=datapath), pairing=pairing))
    driver.udev_hangs = True
    driver.start()
    driver.tell()
    driver.tell(LinkSeen(replace(driver.state.links[who], **change)))
    verdicts, strangers = dict(driver.state.judgements.verdicts), dict(driver.state.judgements.strangers)
    pairs = dict(driver.state.judgements.pairs)
    rejudge(driver.state)
    assert driver.state.judgements.verdicts == verdicts
    assert driver.state.judgements.strangers == strangers
    assert driver.state.judgements.pairs == pairs
