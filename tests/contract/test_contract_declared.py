"""Declared links on the real kernel, in namespaces that each test makes.

This is what the small kernel of tests/links stands for.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from linksworld import IDENTITY, Driver, RealNamespaces, named
from privatenet import private_net

from failoverd.daemon.ports import can_rename_live
from failoverd.kinds import Bridge, Dummy, Ipvlan, Macvlan, Vlan, Vrf
from failoverd.kinds.macvlan import BRIDGE
from failoverd.links.events import ReleaseAsked
from failoverd.links.state import LinksState
from failoverd.model.declared import DeclaredRoute, DeviceRef, End, NamespaceRef, Options
from failoverd.model.places import HERE
from failoverd.model.requests import AddAltname, DeleteMarked, Request, SetMtu

RED, BLUE = named("red"), named("blue")
HOST = End("host", "veth", "web0", peer="pod", addresses=("192.0.2.1/24",))
POD = End(
    "pod",
    "veth",
    "eth1",
    namespace=RED,
    peer="host",
    addresses=("192.0.2.2/24", "2001:db8::2/64"),
    routes=(DeclaredRoute("10.0.0.0/8", "192.0.2.1", 50), DeclaredRoute("2001:db8:1::/48", "2001:db8::1")),
    mtu=1450,
)
READY = {"host": "ready", "pod": "ready"}
PATIENCE = 20.0
"""Seconds for what the kernel does in its own time: duplicate address detection, the end of a namespace."""


@contextmanager
def world() -> Iterator[tuple[Driver, RealNamespaces]]:
    """Namespaces and an engine. There is no duplicate address detection in a namespace whose default says so."""
    namespaces = RealNamespaces()
    try:
        yield driver_of(namespaces), namespaces
    finally:
        namespaces.close()


def driver_of(namespaces: RealNamespaces) -> Driver:
    """An engine that knows what this kernel can."""
    return Driver(namespaces, LinksState(IDENTITY, renames_live=can_rename_live(os.uname().release)))


def until(driver: Driver, states: dict[str, str]) -> None:
    """Look until the kernel has come to this."""
    end = time.monotonic() + PATIENCE
    while driver.states() != states:
        assert time.monotonic() < end, driver.states()
        time.sleep(0.05)
        driver.look_again()


def ip(*words: str, files: tuple[int, ...] = ()) -> str:
    """Run ip, which inherits these files."""
    return subprocess.run(("ip", *words), check=True, capture_output=True, text=True, pass_fds=files).stdout


@private_net
def test_a_pair_across_namespaces_is_made_and_carries() -> None:
    with world() as (driver, namespaces):
        red = namespaces.add("red")
        driver.declare(HOST, POD)
        until(driver, READY)
        assert "192.0.2.1/24" in ip("addr", "show", "web0")
        with red.inside():
            shown = ip("-d", "addr", "show", "eth1")
            assert "mtu 1450" in shown
            assert "2001:db8::2/64" in shown
            assert "10.0.0.0/8 via 192.0.2.1 dev eth1 proto 119 metric 50" in ip("route")
            assert "2001:db8:1::/48 via 2001:db8::1 dev eth1 proto 119" in ip("-6", "route")
            ip("route", "get", "192.0.2.1")


@private_net
def test_what_is_there_is_left_alone_by_a_restart_and_by_resync() -> None:
    with world() as (driver, namespaces):
        namespaces.add("red")
        driver.declare(HOST, POD)
        until(driver, READY)
        again = driver_of(namespaces)
        again.declare(HOST, POD)
        until(again, READY)
        assert again.sent == []


@private_net
def test_the_end_of_a_namespace_takes_the_pair_and_leaves_the_engine_waiting() -> None:
    with world() as (driver, namespaces):
        for _ in range(3):
            namespaces.add("red")
            driver.declare(HOST, POD)
            driver.look_again()
            until(driver, READY)
            namespaces.remove("red")
            until(driver, {"host": "pending namespace-absent", "pod": "pending namespace-absent"})
            assert "web0" not in ip("link")


@private_net
def test_a_pair_goes_when_half_of_it_is_no_longer_declared() -> None:
    with world() as (driver, namespaces):
        red = namespaces.add("red")
        driver.declare(HOST, POD)
        driver.declare(HOST)
        until(driver, {"host": "pending no-peer"})
        with red.inside():
            assert "eth1" not in ip("link")
        assert "web0" not in ip("link")


@private_net
def test_a_name_that_is_taken_in_either_namespace_hits_nothing() -> None:
    with world() as (driver, namespaces):
        red = namespaces.add("red")
        ip("link", "add", "web0", "type", "bridge")
        with red.inside():
            ip("link", "add", "br0", "type", "bridge")
            ip("link", "property", "add", "dev", "br0", "altname", "eth1")
        driver.declare(HOST, POD)
        assert driver.states()["host"] == "conflict name-taken"
        ip("link", "delete", "web0")
        driver.look_again()
        # Alternative names are found by the kernel alone.
        assert driver.states()["host"] == "conflict name-taken"
        with red.inside():
            assert "failoverd" not in ip("link")
            ip("link", "delete", "br0")
        assert "failoverd" not in ip("link")
        driver.wait()
        until(driver, READY)


@private_net
def test_root_in_a_container_can_only_harm_its_own_end() -> None:
    with world() as (driver, namespaces):
        red = namespaces.add("red")
        driver.declare(HOST, POD)
        until(driver, READY)
        with red.inside():
            # Kernels before 6.2 rename no device that is up.
            ip("link", "set", "eth1", "down")
            ip("link", "set", "eth1", "name", "mine")
            ip("link", "set", "mine", "up")
            driver_mark = "failoverd-link-0badcafe-other"
            ip("link", "add", "br7", "type", "bridge")
            ip("link", "property", "add", "dev", "br7", "altname", driver_mark)
        driver.look_again()
        until(driver, READY)
        with red.inside():
            # A device in the container that bears our mark is its own affair: it is deleted there, at most.
            ip("link", "set", "eth1", "down")
            ip("link", "delete", "eth1")
        driver.look_again()
        until(driver, READY)
        assert "web0" in ip("link")


@private_net
def test_an_end_that_the_container_moves_away_is_made_anew_where_it_belongs() -> None:
    with world() as (driver, namespaces):
        red = namespaces.add("red")
        driver.declare(HOST, POD)
        until(driver, READY)
        # Its peer is in a namespace that the engine does not look at.
        elsewhere = namespaces.add("elsewhere")
        with red.inside():
            ip("link", "set", "eth1", "netns", f"/proc/self/fd/{elsewhere.file}", files=(elsewhere.file,))
        driver.look_again()
        assert "DeleteMarked" in driver.sent
        until(driver, READY)
        with elsewhere.inside():
            assert "eth1" not in ip("link")


@private_net
def test_a_released_pair_stays_and_is_not_touched_again() -> None:
    with world() as (driver, namespaces):
        namespaces.add("red")
        driver.declare(HOST, POD)
        until(driver, READY)
        driver.tell(ReleaseAsked("pod"))
        driver.look_again()
        assert driver.states() == {"host": "released", "pod": "released"}
        assert "failoverd-link" not in ip("link")
        driver.declare()
        assert "web0" in ip("link")


@private_net
def test_both_ends_in_two_other_namespaces_are_taken_away_through_the_proven_one() -> None:
    with world() as (driver, namespaces):
        red, blue = namespaces.add("red"), namespaces.add("blue")
        driver.declare(replace(HOST, namespace=BLUE), POD)
        until(driver, READY)
        assert "web0" not in ip("link")
        driver.declare()
        for there in (red, blue):
            with there.inside():
                assert "@if" not in ip("link")


SINGLES: list[tuple[str, Options, NamespaceRef]] = [
    ("bridge", Bridge(stp=True), RED),
    ("macvlan", Macvlan(BRIDGE), RED),
    ("macvlan", Macvlan(BRIDGE), NamespaceRef()),
]


@pytest.mark.parametrize(("kind", "options", "namespace"), SINGLES)
@private_net
def test_single_devices(kind: str, options: Options, namespace: NamespaceRef) -> None:
    _made_and_taken_away(kind, options, namespace)


@pytest.mark.needs("dummy", "vlan", "ipvlan", "vrf")
@pytest.mark.parametrize("world", ["real"], indirect=True)
@private_net
def test_single_devices_of_kinds_that_not_every_kernel_has(world: object) -> None:
    assert world
    for kind, options in (("dummy", Dummy()), ("vlan", Vlan(7)), ("ipvlan", Ipvlan(0)), ("vrf", Vrf(10))):
        for namespace in (RED, NamespaceRef()):
            _made_and_taken_away(kind, options, namespace)


def _made_and_taken_away(kind: str, options: Options, namespace: NamespaceRef) -> None:
    with world() as (driver, namespaces):
        namespaces.add("red")
        ip("link", "add", "low0", "type", "veth", "peer", "name", "low1")
        ip("link", "set", "low0", "up")
        ip("link", "set", "low1", "up")
        lower = DeviceRef("device", "low0") if kind in {"macvlan", "vlan", "ipvlan"} else None
        port = (DeviceRef("device", "low1"),) if kind == "bridge" and namespace.by == "own" else ()
        end = End("it", kind, "it0", namespace=namespace, options=options, lower=lower, ports=port)
        driver.declare(end)
        # A bridge without ports has no carrier.
        until(driver, {"it": "degraded no-carrier" if kind == "bridge" else "ready"})
        assert driver.status("it").made == 1
        driver.declare()
        until(driver, {})
        ip("link", "delete", "low0")


@private_net
def test_counters_are_the_kernels_own_in_64_bits() -> None:
    with world() as (driver, namespaces):
        namespaces.add("red")
        driver.declare(HOST, POD)
        until(driver, READY)
        before = namespaces.counters(HERE, "web0")
        ip("neigh", "add", "192.0.2.9", "lladdr", "02:00:00:00:00:09", "dev", "web0")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(10):
                sock.sendto(bytes(1000), ("192.0.2.9", 9))
        after = namespaces.counters(HERE, "web0")
        assert after["tx_packets"] - before["tx_packets"] >= 10
        assert after["tx_bytes"] - before["tx_bytes"] >= 10_000


@private_net
def test_refusals_among_requests_that_were_sent_together_are_told_apart() -> None:
    with world() as (_, namespaces):
        add: list[Request] = [AddAltname(1, f"name{number}") for number in range(250)]
        lots = [[add[0], add[1]], [SetMtu(4711, 1400), add[2]], [add[0]], [], add[3:]]
        told = namespaces.ask(HERE, lots)
        assert [[number for number, _ in lot] for lot in told[:4]] == [[0, 0], [errno.ENODEV, 0], [errno.EEXIST], []]
        assert {number for number, _ in told[4]} == {0}
        assert "name249" in ip("link", "show", "lo")


@private_net
def test_many_are_deleted_together_and_nothing_else_with_them() -> None:
    with world() as (_, namespaces):
        marks = [f"mark{number}" for number in range(20)]
        for number, mark in enumerate(marks):
            ip("link", "add", f"a{number}", "type", "veth", "peer", "name", f"b{number}")
            ip("link", "property", "add", "dev", f"a{number}", "altname", mark)
        ip("link", "add", "other", "group", "77", "type", "bridge")
        lots: list[list[Request]] = [[DeleteMarked(mark)] for mark in (*marks[:9], "nobody", *marks[9:])]
        told = namespaces.ask(HERE, [*lots, [SetMtu(1, 60000)]])
        assert [number for ((number, _),) in told] == [errno.ENODEV if n == 9 else 0 for n in range(22)]
        assert {row["ifname"] for row in json.loads(ip("-j", "link"))} == {"lo", "other"}
        told = namespaces.ask(HERE, [[DeleteMarked("nobody")], [DeleteMarked("nothing")]])
        assert [number for ((number, _),) in told] == [errno.ENODEV, errno.ENODEV]
