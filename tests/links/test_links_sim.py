"""Declared links on the simulated kernel: every kind, each moment at which the daemon can be killed, and a kernel that
does not rename devices that are up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from linkssim import DEBIAN_12, DEBIAN_13, CutError, SimDriver, SimNamespaces
from linksworld import IDENTITY, named

from failoverd.kinds import Bridge, Dummy, Macvlan, Vlan, Vrf
from failoverd.links.events import MastersSeen
from failoverd.model.declared import DeclaredRoute, DeviceRef, End
from failoverd.model.signals import LinkGone

RED, BLUE = named("red"), named("blue")
MASTER, NIC = DeviceRef("master", "ens3"), DeviceRef("device", "ens3")
HOST = End("host", "veth", "web0", peer="pod", addresses=("192.0.2.1/24", "2001:db8::1/64"))
POD = End(
    "pod",
    "veth",
    "eth1",
    RED,
    peer="host",
    addresses=("192.0.2.2/24",),
    routes=(DeclaredRoute("10.0.0.0/8", "192.0.2.1", 50),),
    mtu=1450,
)
EVERY = (
    HOST,
    POD,
    End("storage", "vlan", "ens3", RED, options=Vlan(7), lower=MASTER, addresses=("10.1.0.1/24",)),
    End("lan", "macvlan", "eth0", BLUE, options=Macvlan(4), lower=NIC, mtu=1400),
    End("switch", "bridge", "br0", BLUE, options=Bridge(), ports=(DeviceRef("link", "left"),)),
    End("left", "veth", "p0", BLUE, peer="right"),
    End("right", "veth", "p0", RED, peer="left"),
    End("blind", "dummy", "ens3", BLUE, options=Dummy(), addresses=("10.2.0.1/32",)),
    End("tenant", "vrf", "vrf0", RED, options=Vrf(10), ports=(DeviceRef("link", "right"),)),
    End("uplink", "existing", "ens9", addresses=("10.3.0.1/24",)),
)


def stage(release: tuple[int, int] = DEBIAN_12) -> SimNamespaces:
    """Two namespaces, a NIC that stands for a master, and another one."""
    sim = SimNamespaces(release)
    for name in ("red", "blue"):
        sim.add(name)
    for number, name in enumerate(("ens3", "ens9"), 3):
        sim.kernel.plug(name, f"02:00:00:00:00:0{number}", "virtio", "virtio_net", f"virtio{number}", up=True)
    return sim


def begin(sim: SimNamespaces) -> SimDriver:
    driver = SimDriver(sim)
    driver.tell(MastersSeen({"ens3": sim.devices()["ens3"].ifindex}))
    return driver


def shape(sim: SimNamespaces) -> object:
    """What there is in every namespace, without the numbers that depend on the way there."""
    return {
        name: sorted((s.name, s.kind, s.mac, s.mtu, s.up, s.master, s.altnames, s.addresses) for s in found.values())
        for name in ("", "red", "blue")
        for found in [sim.devices(name)]
    }


def test_a_pair_is_ready_when_its_addresses_are_and_follows_its_namespace() -> None:
    sim = SimNamespaces()
    driver = SimDriver(sim)
    driver.declare(HOST, POD)
    assert driver.states() == {"host": "pending namespace-absent", "pod": "pending namespace-absent"}
    for _ in range(3):
        sim.add("red")
        driver.look_again()
        assert driver.states() == {"host": "making address-tentative", "pod": "ready"}
        driver.let_pass(3)
        assert driver.states() == {"host": "ready", "pod": "ready"}
        assert sim.devices("red")["eth1"].mac == IDENTITY.mac("pod")
        sent = len(driver.sent)
        driver.look_again()
        assert len(driver.sent) == sent, "nothing is asked of what is as declared"
        sim.world.delete("red")
        driver.look_again()
        assert sim.devices() == {}
        assert driver.states() == {"host": "pending namespace-absent", "pod": "pending namespace-absent"}


@pytest.mark.parametrize("release", [DEBIAN_12, DEBIAN_13])
def test_every_kind_is_made_kept_and_taken_away(release: tuple[int, int]) -> None:
    sim = stage(release)
    before = shape(sim)
    driver = begin(sim)
    driver.declare(*EVERY)
    driver.let_pass(5)
    assert set(driver.states().values()) == {"ready"}, driver.states()
    assert driver.lines == []
    assert (set(sim.devices("red")), set(sim.devices("blue"))) == (
        {"eth1", "ens3", "p0", "vrf0"},
        {"eth0", "br0", "p0", "ens3"},
    )
    assert sim.devices("blue")["p0"].master == "br0"
    assert sim.devices("red")["p0"].master == "vrf0"
    sent = len(driver.sent)
    driver.let_pass(60)
    assert len(driver.sent) == sent
    driver.declare()
    driver.let_pass(5)
    sim.kernel.admin.del_address(sim.devices()["ens9"].ifindex, "10.3.0.1/24")
    assert shape(sim) == before


def test_a_plan_can_be_cut_before_any_of_its_datagrams() -> None:
    """The next daemon knows nothing of the one before. It ends with the same devices, and with nothing else."""
    whole = stage()
    driver = begin(whole)
    driver.declare(*EVERY)
    driver.let_pass(5)
    for cut in range(whole.batches):
        sim = stage()
        sim.cut = cut
        with pytest.raises(CutError):
            begin(sim).declare(*EVERY)
        sim.cut = None
        driver = begin(sim)
        driver.declare(*EVERY)
        driver.let_pass(5)
        assert set(driver.states().values()) == {"ready"}, (cut, driver.states())
        assert shape(sim) == shape(whole), cut


@pytest.mark.parametrize("release", [DEBIAN_12, DEBIAN_13])
def test_a_device_gets_another_name(release: tuple[int, int]) -> None:
    """Before 6.2 the kernel renames none that is up."""
    sim = stage(release)
    driver = begin(sim)
    driver.declare(HOST, POD)
    driver.let_pass(5)
    was = sim.devices()["web0"].ifindex
    driver.declare(replace(HOST, device="web1"), POD)
    driver.let_pass(5)
    assert driver.states() == {"host": "ready", "pod": "ready"}
    assert sim.devices()["web1"].ifindex == was
    assert sim.devices()["web1"].addresses[:2] == ("192.0.2.1/24", "2001:db8::1/64")


def test_a_device_that_cannot_have_its_new_name_stays_up() -> None:
    """Before 6.2 it would be set down for it, each time that is tried, and lose its IPv6 addresses."""
    sim = stage(DEBIAN_12)
    driver = begin(sim)
    driver.declare(HOST, POD)
    driver.let_pass(5)
    sim.kernel.admin.create("dummy", "web1")
    driver.declare(replace(HOST, device="web1", addresses=(*HOST.addresses, "192.0.2.7/24")), POD)
    before = len(driver.sent)
    driver.let_pass(20)
    assert driver.states()["host"] == "degraded kernel-refused"
    assert driver.sent[before:].count("SetUp") <= 2 * driver.sent[before:].count("Rename")
    assert driver.sent[before:].count("Rename") < 10
    assert sim.devices()["web0"].up
    assert "192.0.2.7/24" in sim.devices()["web0"].addresses
    sim.kernel.admin.delete(sim.devices()["web1"].ifindex)
    driver.let_pass(70)
    assert driver.states()["host"] == "ready"
    assert "web1" in sim.devices()


def test_an_address_does_not_keep_an_end_from_being_ready_that_is_to_have_no_carrier() -> None:
    """Duplicate address detection waits for the link, and so for ever."""
    sim = stage()
    driver = begin(sim)
    driver.declare(replace(HOST, up=False), POD)
    driver.let_pass(5)
    assert driver.states() == {"host": "ready", "pod": "ready"}
    driver.declare(HOST, replace(POD, up=False))
    driver.let_pass(5)
    assert driver.states() == {"host": "ready", "pod": "ready"}
    driver.declare(HOST, POD)
    driver.let_pass(0.1)
    assert driver.states() == {"host": "making address-tentative", "pod": "ready"}
    driver.let_pass(5)
    assert driver.states() == {"host": "ready", "pod": "ready"}


class Witness(SimDriver):
    """Looks at the kernel whenever a device is said to be gone. `gone`: the end, and whether the device is there."""

    def __init__(self, sim: SimNamespaces) -> None:
        super().__init__(sim)
        self.gone: list[tuple[str, bool]] = []

    def _note(self, signal: object) -> None:
        if isinstance(signal, LinkGone):
            there = self.sim.devices(signal.namespace.removeprefix("name ").removeprefix("own"))
            mark = IDENTITY.mark(signal.name)
            self.gone.append((signal.name, any(mark in seen.altnames for seen in there.values())))
        super()._note(signal)


def test_a_device_is_said_to_be_gone_when_it_is() -> None:
    sim = stage()
    driver = Witness(sim)
    driver.tell(MastersSeen({"ens3": sim.devices()["ens3"].ifindex}))
    driver.declare(*EVERY)
    driver.let_pass(5)
    moved = [replace(end, namespace=RED, device="ens4") if end.name == "blind" else end for end in EVERY[1:]]
    driver.declare(*moved)
    driver.let_pass(5)
    assert sorted(driver.gone) == [("blind", False), ("host", False), ("pod", False)]
    assert driver.states()["blind"] == "ready"
