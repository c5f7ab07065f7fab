"""The central property for the tc datapath: joined and released, cut anywhere, with any accident.

The paravirtual NIC keeps its configuration, so there is less to lose than with a bond. What can go wrong instead is the
way of the traffic: a filter on the master that leads to a VF that is not there, or has no carrier, drops everything.
So at every rest the traffic has a way, and in the end nothing of ours is left and nothing of others is gone.
"""

from __future__ import annotations

import errno
from typing import Any

import pytest
from everycut import cuts, examples
from hypothesis import given, settings
from hypothesis import strategies as st
from pairdriver import Driver
from test_core_histories import FOUR, SIX, Shape, machine, refusing_but
from toykernel import MAC, ToyKernel

from failoverd.config.spec import Config, Master, Tc
from failoverd.model.events import AdoptAsked, ReleaseAsked
from failoverd.model.links import Link
from failoverd.model.requests import CreateLink, DropAddress
from failoverd.policy.naming import own_altnames

SHAPES = {
    "vf": Shape(),
    "no-vf": Shape(vf=False),
    "no-carrier": Shape(vf_wire=False),
    "vf-up": Shape(vf_up=True),
    "vf-own": Shape(vf_up=True, vf_own=True),
    "vf-only": Shape(vf_up=True, vf_own=True, nic_up=False),
    "nic-down": Shape(nic_up=False),
    "network-manager": Shape(by_hand=True),
}
KERNELS = {"tc": True, "auto": False}
"""The datapath that is configured, and whether the kernel has bonding."""
EVERY = [pytest.param(shape, way, id=f"{name}-{way}") for name, shape in SHAPES.items() for way in KERNELS]
QUIET = Tc(carrier_poll=1e6)
"""The polling never rests, and the toy kernel tells of a carrier at once."""


def drive(shape: Shape, way: str = "tc", foreign: bool = False, **accidents: Any) -> Driver:
    kernel = machine(shape)
    kernel.bonding = KERNELS[way]
    if foreign:
        strange(kernel)
    return Driver(kernel, Config(master=Master(create="always", datapath=way), tc=QUIET), **accidents)


def strange(kernel: ToyKernel) -> None:
    """Filters of others, where they do no harm."""
    for link in list(kernel.links.values()):
        kernel.filter_by_others(link.ifindex, "ingress" if link.bus == "virtio" else "egress")
    kernel.news.clear()


def nics(driver: Driver) -> tuple[Link, Link | None]:
    """The paravirtual NIC and the VF."""
    nic = next(link for link in driver.kernel.links.values() if link.bus == "virtio")
    return nic, next((link for link in driver.kernel.links.values() if link.bus == "pci"), None)


def assert_joined(driver: Driver) -> None:
    nic, vf = nics(driver)
    assert len(driver.kernel.links) == (2 if vf else 1)
    assert (nic.name, nic.mtu, own_altnames(nic)) == ("ens3", 1400, ("enp1s0",))
    assert driver.on("ens3") >= driver.precious
    assert not driver.journals
    assert driver.memory == {MAC: "joined"}
    assert driver.state.pairs[MAC].joined
    if vf is None:
        assert not ours(nic)
        assert not nic.up or driver.state.pairs[MAC].state == "on-standby"
        return
    assert vf.up
    assert vf.all_multicast
    assert not vf.link_local
    assert ours(vf) == {("ingress", nic.ifindex)}
    assert not driver.kernel.inet.get(vf.ifindex) or not driver.kernel.inet[vf.ifindex].addresses
    assert driver.on(vf.name) == frozenset()
    if not nic.up:
        assert (driver.state.pairs[MAC].state, ours(nic)) == ("degraded", frozenset())
        return
    carries = vf.carrier
    assert ours(nic) == ({("egress", vf.ifindex)} if carries else frozenset())
    assert driver.state.pairs[MAC].state == ("accelerated" if carries else "on-standby")
    assert driver.carries(nic)


def ours(link: Link) -> frozenset[tuple[str, int]]:
    return frozenset((f.hook, f.redirect) for f in link.tc.filters if f.ours)


def assert_released(driver: Driver, up: bool, foreign: bool) -> None:
    nic, vf = nics(driver)
    assert (nic.name, nic.mtu, nic.altnames, nic.up) == ("ens3", 1400, {"enp1s0"}, up)
    assert driver.on("ens3") >= driver.precious
    assert not driver.journals
    assert driver.memory == {MAC: "released"}
    for link in (nic, vf):
        if link is not None:
            assert not ours(link)
            assert len(link.tc.filters) == foreign
            assert link.tc.slot == ("clsact" if foreign else ""), f"left on {link.name}"
    if vf is not None:
        assert (vf.up, vf.all_multicast, vf.link_local) == (False, False, True)


def tell_all(driver: Driver, foreign: bool = False) -> None:
    """The whole history: joined, released, adopted again."""
    driver.settle()
    assert_joined(driver)
    was_up = nics(driver)[0].up
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 1000)
    assert_released(driver, was_up, foreign)


@pytest.mark.parametrize(("shape", "way"), EVERY)
@pytest.mark.parametrize("foreign", [False, True])
def test_joined_and_released(shape: Shape, way: str, foreign: bool) -> None:
    driver = drive(shape, way, foreign)
    tell_all(driver, foreign)
    driver.tell(AdoptAsked(MAC))
    driver.settle(driver.now + 1000)
    assert_joined(driver)
    assert not driver.said or all("joining by tc" in line for line in driver.said)


def test_a_vf_that_was_the_only_one_in_use_leaves_the_machine_reachable() -> None:
    driver = drive(SHAPES["vf-only"])
    assert driver.is_reachable("10.9.0.4/24")
    driver.settle()
    assert driver.is_reachable("10.9.0.4/24")
    assert driver.is_reachable("2001:db8:9::4/64")


@pytest.mark.parametrize(("shape", "way"), EVERY)
@pytest.mark.parametrize("accident", ["kill_at", "lose_at", "full_at"])
def test_with_one_accident_after_any_action(shape: Shape, way: str, accident: str) -> None:
    whole = drive(shape, way)
    tell_all(whole)
    for number in cuts(whole.done):
        accidents: dict[str, Any] = {accident: frozenset({number})}
        tell_all(drive(shape, way, **accidents))


@pytest.mark.parametrize(("shape", "way"), EVERY)
def test_killed_after_every_single_action_in_turn(shape: Shape, way: str) -> None:
    for period in (3, 4, 5, 7):
        tell_all(drive(shape, way, kill_at=frozenset(range(period, 200, period))))


@pytest.mark.parametrize("name", ["vf", "no-carrier", "vf-up", "network-manager"])
@pytest.mark.parametrize("way", KERNELS)
def test_traffic_is_there_between_any_two_datagrams(name: str, way: str) -> None:
    driver = drive(SHAPES[name], way)

    def see(_number: int) -> None:
        assert driver.is_reachable(FOUR)
        assert driver.is_reachable(SIX)

    driver.on_action = see
    tell_all(driver)


@pytest.mark.parametrize(("shape", "way"), EVERY)
@pytest.mark.parametrize("number", [errno.EBUSY, errno.EINVAL, errno.ENODEV, errno.EEXIST, errno.ENOENT])
def test_any_one_request_refused_once(shape: Shape, way: str, number: int) -> None:
    whole = drive(shape, way)
    tell_all(whole)
    for victim in cuts(sum(map(len, whole.sent))):
        driver = drive(shape, way)
        driver.kernel.refuse = refusing_but(frozenset({victim}), number, CreateLink)
        tell_all(driver)


numbers = st.frozensets(st.integers(0, 60), max_size=6)
twice = st.frozensets(st.integers(0, 60), max_size=2)


@settings(max_examples=examples(150))
@given(
    st.sampled_from(list(SHAPES.values())),
    st.sampled_from(list(KERNELS)),
    st.booleans(),
    numbers,
    numbers,
    twice,
    st.sampled_from([16, 22, 19, 1]),
)
def test_with_any_accidents(
    shape: Shape,
    way: str,
    foreign: bool,
    kills: frozenset[int],
    losses: frozenset[int],
    refused: frozenset[int],
    no: int,
) -> None:
    driver = drive(shape, way, foreign, kill_at=kills, lose_at=losses)
    driver.kernel.refuse = refusing_but(refused, no, CreateLink, DropAddress)
    tell_all(driver, foreign)
