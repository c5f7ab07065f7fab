"""Devices that are one end each, what they stand on, and their ports."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from linksworld import IDENTITY, Driver, ToyNamespaces, named

from failoverd.kinds import Bridge, Dummy, Ipvlan, Macvlan, Vlan, Vrf
from failoverd.kinds.macvlan import BRIDGE, PASSTHRU, VEPA
from failoverd.links.addresses import IFA_F_DADFAILED, IFA_F_TENTATIVE, address
from failoverd.links.events import MastersSeen
from failoverd.links.picture import Device, Picture
from failoverd.model.declared import DeclaredRoute, DeviceRef, End
from failoverd.model.links import Link
from failoverd.model.pairs import Inet
from failoverd.model.requests import AddAddress, AddAltname, AddRoute, MoveLink, Rename, SetMac, SetMaster
from failoverd.plan.predict import predict

RED = named("red")
NIC = Link(2, "eth7", mac="52:54:00:00:00:07", up=True, carrier=True)
STORAGE = End("storage", "vlan", "stor0", options=Vlan(120), lower=DeviceRef("device", "eth7"))


def world_with(*links: Link) -> tuple[Driver, ToyNamespaces]:
    world = ToyNamespaces()
    for link in links:
        world.here.put(link)
    return Driver(world), world


def device(world: ToyNamespaces, name: str) -> Link:
    found = world.here.named(name)
    assert found is not None
    return found


def test_a_dummy_is_made_and_is_ready() -> None:
    driver, world = world_with()
    driver.declare(End("lo1", "dummy", "lo1", options=Dummy(), addresses=("192.0.2.9/32",)))
    assert driver.states() == {"lo1": "ready"}
    assert device(world, "lo1").mac == IDENTITY.mac("lo1")


def test_a_vlan_waits_for_what_it_stands_on_and_has_its_mac() -> None:
    driver, world = world_with()
    driver.declare(STORAGE)
    assert driver.states() == {"storage": "pending lower-absent"}
    world.here.put(NIC)
    driver.look_again()
    assert driver.states() == {"storage": "ready"}
    assert (device(world, "stor0").link, device(world, "stor0").mac) == (2, NIC.mac)
    assert driver.status("storage").lower == "device:eth7"


def test_a_vlan_waits_for_the_master_and_follows_it() -> None:
    driver, world = world_with(NIC)
    driver.declare(replace(STORAGE, lower=DeviceRef("master", "ens3")))
    assert driver.states() == {"storage": "pending master-absent"}
    driver.tell(MastersSeen({"ens3": 2}))
    assert driver.states() == {"storage": "ready"}
    world.here.put(replace(NIC, ifindex=3, name="ens3"))
    driver.tell(MastersSeen({"ens3": 3}))
    assert driver.states() == {"storage": "ready"}
    assert device(world, "stor0").link == 3


def test_a_device_may_be_made_below_and_moved_into_its_namespace() -> None:
    driver, world = world_with(NIC)
    red = world.appear(RED)
    driver.declare(replace(STORAGE, namespace=RED))
    assert driver.states() == {"storage": "ready"}
    assert driver.sent[:3] == ["CreateLink", "AddAltname", "MoveLink"]
    assert [link.name for link in red.links.values()] == ["stor0"]
    driver.declare()
    assert not red.links
    assert driver.states() == {}


def test_a_device_that_cannot_be_moved_is_tried_again_later_and_leaves_nothing() -> None:
    driver, world = world_with(NIC)
    red = world.appear(RED)
    driver.refuse = lambda request: errno.EBUSY if isinstance(request, MoveLink) else 0
    driver.declare(replace(STORAGE, namespace=RED))
    assert driver.states() == {"storage": "failed kernel-refused"}
    assert list(world.here.links) == [2]
    driver.refuse = lambda _: 0
    driver.wait()
    assert driver.states() == {"storage": "ready"}
    assert [link.name for link in red.links.values()] == ["stor0"]


def test_a_device_waits_for_its_namespace_and_a_look_at_it() -> None:
    driver, world = world_with(NIC)
    driver.declare(replace(STORAGE, namespace=RED))
    assert driver.states() == {"storage": "pending namespace-absent"}
    red = world.appear(RED)
    del world.machines[red.place]
    driver.look_again()
    assert driver.states() == {"storage": "making"}


@pytest.mark.parametrize("lower", ["base", "nowhere"])
def test_a_device_may_stand_on_another_declared_link(lower: str) -> None:
    driver, world = world_with()
    base = End("base", "dummy", "base", namespace=RED, options=Dummy())
    upper = End("upper", "macvlan", "mv0", RED, options=Macvlan(BRIDGE), lower=DeviceRef("link", lower))
    driver.declare(base, upper)
    assert driver.states()["upper"] == "pending namespace-absent"
    red = world.appear(RED)
    driver.look_again()
    assert driver.states()["upper"] == ("ready" if lower == "base" else "pending lower-absent")
    assert ("mv0" in {link.name for link in red.links.values()}) == (lower == "base")


def test_a_link_that_waits_for_another_names_it() -> None:
    driver, _ = world_with()
    base = End("base", "dummy", "base", namespace=RED, options=Dummy())
    driver.declare(base, End("upper", "macvlan", "mv0", options=Macvlan(), lower=DeviceRef("link", "base")))
    assert driver.states() == {"base": "pending namespace-absent", "upper": "pending lower-absent"}
    assert driver.status("upper").detail == "the link base is not there yet"


@pytest.mark.parametrize(
    ("before", "after", "in_place"),
    [
        (Macvlan(BRIDGE), Macvlan(VEPA), True),
        (Macvlan(PASSTHRU), Macvlan(VEPA), False),
        (Ipvlan(0), Ipvlan(1), True),
        (Vlan(7), Vlan(8), False),
    ],
)
def test_options_are_changed_in_place_where_the_kernel_can(before: object, after: object, in_place: bool) -> None:
    driver, world = world_with(NIC)
    end = replace(STORAGE, kind=before.kind, options=before, device="x0")  # type: ignore[attr-defined, arg-type]
    driver.declare(end)
    first = device(world, "x0").ifindex
    driver.declare(replace(end, options=after))  # type: ignore[arg-type]
    assert driver.states() == {"storage": "ready"}
    assert device(world, "x0").info == after
    assert ("ChangeLink" in driver.sent, "DeleteMarked" in driver.sent) == (in_place, not in_place)
    assert first or in_place


@pytest.mark.parametrize(
    ("before", "after", "in_place"),
    [
        (Bridge(), Bridge(stp=True), True),
        (Bridge(), Bridge(vlan_filtering=True), True),
        (Bridge(vlan_filtering=True), Bridge(), False),
    ],
)
def test_a_bridge_keeps_its_ports_where_its_options_change(before: Bridge, after: Bridge, in_place: bool) -> None:
    driver, world = world_with()
    driver.declare(End("br", "bridge", "br0", options=before))
    driver.declare(End("br", "bridge", "br0", options=after))
    assert device(world, "br0").info == after
    assert ("DeleteMarked" not in driver.sent) == in_place


def test_another_kind_is_another_device() -> None:
    driver, world = world_with()
    driver.declare(End("x", "dummy", "x0", options=Dummy()))
    driver.declare(End("x", "bridge", "x0", options=Bridge()))
    assert device(world, "x0").kind == "bridge"
    assert driver.states() == {"x": "ready"}


def test_a_stranger_with_the_name_of_a_single_device_is_a_conflict() -> None:
    driver, _ = world_with(replace(NIC, kind="dummy"))
    driver.declare(End("x", "dummy", "eth7", options=Dummy()))
    assert driver.states() == {"x": "conflict name-taken"}


def test_ports_join_their_bridge_as_they_come() -> None:
    driver, world = world_with(NIC)
    ports = (DeviceRef("device", "eth7"), DeviceRef("device", "eth8"), DeviceRef("link", "v"))
    world.appear(RED)
    v = End("v", "dummy", "v0", namespace=RED, options=Dummy())
    driver.declare(End("br", "bridge", "br0", options=Bridge(), ports=ports), v)
    assert device(world, "eth7").master == device(world, "br0").ifindex
    assert driver.states()["br"] == "degraded port-absent"
    world.here.put(replace(NIC, ifindex=8, name="eth8"))
    driver.look_again()
    assert device(world, "eth8").master == device(world, "br0").ifindex
    assert driver.states()["br"] == "degraded port-absent"
    assert "another network namespace" in driver.status("br").detail
    driver.declare(End("br", "bridge", "br0", options=Bridge(), ports=ports[:2]), v)
    assert driver.states()["br"] == "ready"


def test_a_port_that_is_no_longer_declared_leaves_its_bridge() -> None:
    driver, world = world_with(NIC)
    eth7, eth8 = DeviceRef("device", "eth7"), DeviceRef("device", "eth8")
    world.here.put(replace(NIC, ifindex=8, name="eth8"))
    br = End("br", "bridge", "br0", options=Bridge(), ports=(eth7, eth8))
    driver.declare(br)
    bridge = device(world, "br0").ifindex
    driver.declare(replace(br, ports=(eth8,)))
    assert [device(world, name).master for name in ("eth7", "eth8")] == [0, bridge]
    # Another program puts it into the bridge again, which is its affair from then on.
    world.here.put(replace(device(world, "eth7"), master=bridge))
    driver.look_again()
    driver.declare(replace(br, ports=(eth8,), up=False))
    assert device(world, "eth7").master == bridge


def test_a_port_that_cannot_leave_yet_is_kept_in_mind() -> None:
    driver, world = world_with(NIC)
    eth7 = DeviceRef("device", "eth7")
    br = End("br", "bridge", "br0", options=Bridge(), ports=(eth7,))
    driver.declare(br)
    driver.refuse = lambda request: errno.EBUSY if isinstance(request, SetMaster) else 0
    driver.declare(replace(br, ports=()))
    assert driver.states()["br"] == "degraded kernel-refused"
    driver.declare(replace(br, ports=(), mtu=1400))
    assert driver.state.loosened == {"br": {eth7}}
    # The bridge that is made anew has the same ifindex.
    world.here.forget(device(world, "br0").ifindex)
    driver.refuse = lambda _: 0
    driver.look_again()
    assert (device(world, "eth7").master, driver.state.loosened) == (0, {})
    driver.declare(replace(br, ports=(eth7,)))
    driver.declare()
    assert driver.state.loosened == {}


def test_a_port_in_a_namespace_that_is_gone_is_kept_in_mind() -> None:
    driver, world = world_with()
    world.appear(RED)
    port = End("v", "dummy", "v0", namespace=RED, options=Dummy())
    br = End("br", "bridge", "br0", namespace=RED, options=Bridge(), ports=(DeviceRef("link", "v"),))
    driver.declare(br, port)
    world.remove(RED)
    driver.look_again()
    driver.declare(replace(br, ports=()), port)
    assert driver.states()["br"] == "pending namespace-absent"
    world.appear(RED)
    driver.look_again()
    assert set(driver.states().values()) == {"ready"}
    assert driver.state.loosened == {}


def test_a_device_that_could_not_be_marked_is_deleted_where_it_has_moved_to() -> None:
    driver, world = world_with(NIC)
    red = world.appear(RED)
    driver.refuse = lambda request: errno.ENOMEM if isinstance(request, AddAltname) else 0
    driver.declare(
        End("mv", "macvlan", "mv0", namespace=RED, options=Macvlan(BRIDGE), lower=DeviceRef("device", "eth7"))
    )
    assert driver.states() == {"mv": "failed kernel-refused"}
    assert driver.sent[-4:] == ["CreateLink", "AddAltname", "MoveLink", "DeleteLink"]
    assert not red.links
    assert set(world.here.links) == {NIC.ifindex}


def test_a_master_is_a_port_too() -> None:
    driver, world = world_with(NIC)
    driver.tell(MastersSeen({"eth7": 2}))
    driver.declare(End("vrf", "vrf", "blue", options=Vrf(10), ports=(DeviceRef("master", "eth7"),)))
    assert driver.states() == {"vrf": "ready"}
    assert device(world, "eth7").master == device(world, "blue").ifindex


def test_a_device_of_others_is_configured_and_never_deleted() -> None:
    driver, world = world_with()
    end = End("wan", "existing", "eth7", addresses=("192.0.2.7/24",), routes=(DeclaredRoute("0.0.0.0/0", "192.0.2.1"),))
    driver.declare(end)
    assert driver.states() == {"wan": "pending device-absent"}
    world.here.put(NIC)
    driver.look_again()
    assert driver.states() == {"wan": "ready"}
    assert [str(one) for one in world.here.inet_of(2).addresses] == ["192.0.2.7/24"]
    driver.declare(replace(end, addresses=(), routes=()))
    assert not world.here.inet_of(2).addresses
    driver.declare()
    assert device(world, "eth7").name == "eth7"
    assert driver.states() == {}
    assert "LinkGone wan" not in driver.signals


def test_no_carrier_and_addresses_that_are_not_unique_are_said() -> None:
    driver, world = world_with()
    end = End("d", "dummy", "d0", options=Dummy(), addresses=("2001:db8::9/64",))
    driver.declare(end)
    there = device(world, "d0")
    ours = address("2001:db8::9/64", there.ifindex)
    for flags, state in (
        (IFA_F_TENTATIVE, "making address-tentative"),
        (IFA_F_TENTATIVE | IFA_F_DADFAILED, "degraded address-refused"),
    ):
        world.here.inet[there.ifindex] = Inet((replace(ours, flags=flags),))
        driver.look_again()
        assert driver.states() == {"d": state}
    world.here.inet[there.ifindex] = Inet((ours,))
    world.here.wires[there.ifindex] = False
    world.here.put(there)
    driver.look_again()
    assert driver.states() == {"d": "degraded no-carrier"}


def test_addresses_of_others_stay_unless_they_are_not_wanted() -> None:
    driver, world = world_with()
    end = End(
        "d", "dummy", "d0", options=Dummy(), addresses=("192.0.2.9/24",), routes=(DeclaredRoute("::/0", metric=5),)
    )
    driver.declare(end)
    i = device(world, "d0").ifindex
    other = replace(address("192.0.2.10/31", i), attrs=address("192.0.2.10/31", i).attrs[:2])
    predict(world.here, AddAddress(other))
    driver.look_again()
    assert len([one for one in world.here.inet_of(i).addresses if one.scope == 0]) == 2
    driver.declare(replace(end, keeps_foreign_addresses=False, routes=()))
    addresses = [str(one) for one in world.here.inet_of(i).addresses if one.scope == 0]
    assert addresses == ["192.0.2.9/24"]
    assert not [one for one in world.here.inet_of(i).routes if one.protocol == 119]


def test_name_and_mac_are_put_right_and_a_device_that_is_to_be_down_has_no_routes() -> None:
    driver, world = world_with()
    end = End("d", "dummy", "d0", options=Dummy(), mac="02:00:00:00:00:01", routes=(DeclaredRoute("10.0.0.0/8"),))
    driver.declare(end)
    i = device(world, "d0").ifindex
    predict(world.here, Rename(i, "e0"))
    predict(world.here, SetMac(i, "02:00:00:00:00:02"))
    driver.look_again()
    assert (device(world, "d0").ifindex, device(world, "d0").mac) == (i, "02:00:00:00:00:01")
    driver.declare(replace(end, up=False))
    assert driver.states() == {"d": "ready"}
    assert not device(world, "d0").up
    assert driver.status("d").repairs == 2
    assert AddRoute.__name__ not in driver.sent[-1:]


def test_a_picture_knows_its_devices_by_number_and_by_name() -> None:
    picture = Picture([Device(NIC)])
    assert (2 in picture, 3 in picture) == (True, False)
    assert picture.named("eth7") == picture.at(2) == Device(NIC)
