"""The central property: joined and then released, cut anywhere, with any accident, everything is where it belongs.

A daemon that is killed after any action starts anew from the kernel and its journals. The answers of any datagram may
be lost, the disk may be full, the kernel may refuse things. In the end the master, or after the release the NIC, has
the name, the addresses and the routes; on the way nothing was nowhere; and no step went in circles. (The idea of
cutting a policy everywhere is Patroni's, tests/test_quorum.py.)
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from everycut import cuts, examples
from hypothesis import given, settings
from hypothesis import strategies as st
from pairdriver import Driver
from toykernel import MAC, ToyKernel, address, route

from failoverd.config.spec import Config, Master
from failoverd.model.events import AdoptAsked, ReleaseAsked
from failoverd.model.pairs import Inet
from failoverd.model.requests import DropAddress, Request, SetActive
from failoverd.plan.inet_sets import union
from failoverd.policy.naming import mark

FOUR, SIX, VFS = "10.0.0.2/24", "2001:db8::2/64", "10.9.0.4/24"


@dataclass(frozen=True)
class Shape:
    """How a machine looks before failoverd sees it."""

    vf: bool = True
    vf_wire: bool = True
    vf_up: bool = False
    vf_own: bool = False
    nic_up: bool = True
    live_renames: bool = False
    by_hand: bool = False


SHAPES = {
    "vf": Shape(),
    "new-kernel": Shape(live_renames=True),
    "no-vf": Shape(vf=False),
    "no-carrier": Shape(vf_wire=False),
    "vf-own": Shape(vf_up=True, vf_own=True),
    "vf-only": Shape(vf_up=True, vf_own=True, nic_up=False),
    "nic-down": Shape(nic_up=False),
    "network-manager": Shape(by_hand=True),
}


def machine(shape: Shape) -> ToyKernel:
    """A NIC with what NICs have, and its VF."""
    kernel = ToyKernel(live_renames=shape.live_renames)
    nic = kernel.plug("ens3", "virtio", up=shape.nic_up)
    kernel.links[nic] = replace(kernel.links[nic], mtu=1400, altnames=frozenset({"enp1s0"}))
    flags = 0x200 if shape.by_hand else 0
    parts = [address(FOUR, nic, flags, "ens3"), address("10.0.0.3/24", nic, flags, "ens3")]
    kernel.inet[nic] = Inet(tuple(parts))
    if shape.nic_up:
        six = replace(address(SIX, nic), valid=3600, preferred=1800)
        local = kernel.inet[nic].addresses
        kernel.inet[nic] = Inet((*local, six, address("fe80::5054:ff:fefa:1101/64", nic)))
        routes = [route("10.0.0.0/24", nic, protocol=2), route("2001:db8::/64", nic, protocol=2)]
        routes += [route("0.0.0.0/0", nic, "10.0.0.1"), route("::/0", nic, "2001:db8::1", metric=1024)]
        kernel.inet[nic] = Inet(kernel.inet[nic].addresses, tuple(routes))
    if shape.vf:
        vf = kernel.plug("ens4", "pci", wire=shape.vf_wire, up=shape.vf_up)
        if shape.vf_own:
            kernel.do_all(address("10.9.0.4/24", vf, label="ens4"), address("2001:db8:9::4/64", vf))
            kernel.do_all(route("10.99.0.0/16", vf, "10.9.0.1"))
    kernel.news.clear()
    return kernel


def drive(shape: Shape, **accidents: Any) -> Driver:
    return Driver(machine(shape), Config(master=Master(create="always", datapath="bond")), **accidents)


def assert_joined(driver: Driver) -> None:
    kernel = driver.kernel
    master = kernel.named("ens3")
    assert master is not None
    assert master.kind == "bond", [link.name for link in kernel.links.values()]
    assert mark(MAC) in master.altnames
    assert "enp1s0" in master.altnames
    assert driver.on("ens3") >= driver.precious
    nics = [link for link in kernel.links.values() if link.perm_mac == MAC]
    for nic in nics:
        assert nic.master == master.ifindex
        assert nic.up
        assert driver.on(nic.name) == frozenset()
    assert not driver.journals
    assert driver.memory == {MAC: "joined"}
    assert master.mtu == 1400
    assert driver.state.pairs[MAC].joined


def assert_released(driver: Driver, up: bool = True) -> None:
    kernel = driver.kernel
    assert not [link for link in kernel.links.values() if link.kind == "bond"]
    nic = kernel.named("ens3")
    assert nic is not None
    assert nic.bus == "virtio"
    assert nic.up == up
    assert nic.mtu == 1400
    assert "enp1s0" in nic.altnames
    assert driver.on("ens3") >= driver.precious
    assert not driver.journals
    assert driver.memory == {MAC: "released"}


def tell_all(driver: Driver) -> None:
    """The whole history: joined, released, adopted again."""
    driver.settle()
    assert_joined(driver)
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 1000)
    master_was_up = bool(driver.precious & {SIX, "10.9.0.4/24"})
    assert_released(driver, master_was_up)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_joined_and_released(shape: Shape) -> None:
    driver = drive(shape)
    tell_all(driver)
    driver.tell(AdoptAsked(MAC))
    driver.settle(driver.now + 1000)
    assert_joined(driver)


def test_a_vf_carries_while_a_release_waits_for_its_nic() -> None:
    """Without the NIC the master keeps the addresses; a VF that comes meanwhile is all that can carry."""
    driver = drive(SHAPES["no-vf"])
    driver.settle()
    driver.kernel.unplug(driver.state.judgements.pairs[MAC].nic)
    driver.settle()
    driver.tell(ReleaseAsked(MAC))
    driver.settle()
    assert not driver.is_reachable(FOUR)
    vf = driver.kernel.plug("ens4", "pci", wire=True)
    driver.settle()
    assert driver.is_reachable(FOUR)
    assert driver.kernel.links[vf].master == driver.kernel.named("ens3").ifindex  # type: ignore[union-attr]
    driver.kernel.plug("ens7", "virtio")
    driver.settle(driver.now + 1000)
    assert_released(driver)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("accident", ["kill_at", "lose_at", "full_at"])
def test_with_one_accident_after_any_action(shape: Shape, accident: str) -> None:
    whole = drive(shape)
    tell_all(whole)
    for number in cuts(whole.done):
        tell_all(drive(shape, **{accident: frozenset({number})}))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_killed_after_every_single_action_in_turn(shape: Shape) -> None:
    """Not even a daemon that gets one action done between two crashes is stuck, as long as it gets further."""
    for period in (3, 4, 5, 7):
        tell_all(drive(shape, kill_at=frozenset(range(period, 200, period))))


@pytest.mark.parametrize("shape", [SHAPES["vf"], SHAPES["new-kernel"], SHAPES["network-manager"]])
def test_traffic_is_there_between_any_two_datagrams(shape: Shape) -> None:
    """Every datagram leaves the addresses on a device that carries, whether the daemon lives on or not."""
    driver = drive(shape)

    def see(_number: int) -> None:
        assert driver.is_reachable(FOUR)
        assert driver.is_reachable(SIX)

    driver.on_action = see
    tell_all(driver)


@pytest.mark.parametrize("name", ["vf-own", "vf-only"])
def test_a_vf_that_is_in_use_is_reachable_between_any_two_datagrams(name: str) -> None:
    """The root of a machine may come by the VF's own address, since its initramfs."""
    driver = drive(SHAPES[name])
    vf = driver.kernel.named("ens4")
    assert vf is not None
    six = route("2001:db8:a::/48", vf.ifindex, "2001:db8:9::1", metric=1024)
    driver.kernel.inet[vf.ifindex] = union(driver.kernel.inet[vf.ifindex], Inet((), (six,)))
    driver.precious = driver.configured()
    driver.on_action = lambda _number: None if driver.is_reachable(VFS) else pytest.fail(f"after {driver.sent[-1:]}")
    driver.settle()
    assert_joined(driver)
    assert len(driver.sent) < 10


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("number", [errno.EBUSY, errno.EINVAL, errno.ENODEV, errno.EEXIST])
def test_any_one_request_refused_once(shape: Shape, number: int) -> None:
    whole = drive(shape)
    tell_all(whole)
    every = sum(map(len, whole.sent))
    for victim in cuts(every):
        driver = drive(shape)
        driver.kernel.refuse = refusing(frozenset({victim}), number)
        tell_all(driver)


def refusing(victims: frozenset[int], number: int) -> Callable[[Request], int]:
    """Refuse the requests with these numbers, but the choice of the active slave: that is only an advice."""
    return refusing_but(victims, number, SetActive)


def refusing_but(victims: frozenset[int], number: int, *spared: type[Request]) -> Callable[[Request], int]:
    count = iter(range(1_000_000))
    return lambda request: number if not isinstance(request, spared) and next(count) in victims else 0


numbers = st.frozensets(st.integers(0, 120), max_size=6)
twice = st.frozensets(st.integers(0, 120), max_size=2)
"""An address that is refused three times is given up, and said so."""


@settings(max_examples=examples(150))
@given(st.sampled_from(list(SHAPES.values())), numbers, numbers, numbers, twice, st.sampled_from([16, 22, 19, 1]))
def test_with_any_accidents(
    shape: Shape,
    kills: frozenset[int],
    losses: frozenset[int],
    full: frozenset[int],
    refused: frozenset[int],
    no: int,
) -> None:
    """A kernel that refuses, twice, to drop an address it has, is too odd to be planned for: it stays on the slave."""
    driver = drive(shape, kill_at=kills, lose_at=losses, full_at=full)
    driver.kernel.refuse = refusing_but(refused, no, SetActive, DropAddress)
    tell_all(driver)
