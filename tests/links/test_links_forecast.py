"""What is foretold for declared links is what the engine then asks for, request by request."""

from __future__ import annotations

import errno
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

from linksworld import IDENTITY, Driver, ToyNamespaces, ends, named

from failoverd.kinds import Bridge, Dummy, Macvlan, NewDevice, Place, Veth, VethPair
from failoverd.links.events import MastersSeen, ReleaseAsked
from failoverd.links.findings import Answers, Batch
from failoverd.links.forecast import Asked, Forecast, foretell
from failoverd.links.picture import Device, Interest, Picture
from failoverd.links.state import LinksState
from failoverd.model.declared import DeclaredRoute, DeviceRef, End
from failoverd.model.inet import Address
from failoverd.model.links import Link
from failoverd.model.places import HERE
from failoverd.model.requests import AddAltname, CreateLink, DropAltname, MoveLink, Request
from failoverd.plan.predict.places import Places, done, new_namespace

RED = named("red")
HOST = End("web-host", "veth", "web0", peer="web-ct", addresses=("192.0.2.1/24",))
POD = End("web-ct", "veth", "eth1", namespace=RED, peer="web-host", addresses=("192.0.2.2/24",))
BRIDGE = End("br", "bridge", "br0", options=Bridge(), ports=(DeviceRef("link", "web-host"),))
NIC = Link(2, "ens3", "52:54:00:00:00:01", up=True, mtu=1500)


class Recording(ToyNamespaces):
    """A small kernel that writes down what it is really asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, Place, tuple[str, ...]]] = []

    def make(self, batch: Batch, refuse: Callable[[Request], int] = done) -> Answers:
        words: list[str] = []

        def before(request: Request) -> int:
            words.append(request.describe(lambda ifindex: self.name(batch.place, ifindex)))
            return refuse(request)

        answers = super().make(batch, before)
        self.asked.append((batch.name, batch.place, tuple(words)))
        return answers


def foretold(driver: Driver, world: ToyNamespaces, *given: End, released: frozenset[str] = frozenset()) -> Forecast:
    """The forecast that is made beside the engine: from what it has declared, and how far that is."""
    state = LinksState(IDENTITY, renames_live=True, declared=driver.state.declared, masters=driver.state.masters)
    state.statuses = {**driver.state.statuses}
    return foretell(state, ends(*given), deepcopy(world), released=released)


def as_told(found: Forecast) -> list[tuple[str, Place, tuple[str, ...]]]:
    return [(one.name, one.place, one.requests) for one in found.asked]


def test_what_is_foretold_is_asked_then_and_nothing_before() -> None:
    world = Recording()
    world.appear(RED)
    driver = Driver(world)
    first = foretold(driver, world, HOST, POD, BRIDGE)
    assert world.asked == []
    assert not world.here.links
    driver.declare(HOST, POD, BRIDGE)
    assert as_told(first) == world.asked
    assert "enslave web0 to br0" in world.asked[-1][2]
    assert {name: row.state.value for name, row in first.statuses.items()} == dict.fromkeys(
        ("br", "web-ct", "web-host"), "ready"
    )
    again = foretold(driver, world, HOST, POD, BRIDGE)
    assert again.asked == []
    world.asked.clear()
    changed = (replace(HOST, mtu=1400, addresses=()), POD, replace(BRIDGE, ports=()))
    found = foretold(driver, world, *changed)
    driver.declare(*changed)
    assert sorted(as_told(found)) == sorted(world.asked)
    assert ("br", HERE, ("free web0",)) in world.asked


def test_what_is_withdrawn_goes_and_what_is_released_stays() -> None:
    world = Recording()
    world.appear(RED)
    driver = Driver(world)
    driver.declare(HOST, POD)
    plain = End("plain", "dummy", "plain0", options=Dummy())
    driver.declare(HOST, POD, plain)
    driver.tell(ReleaseAsked("plain"))
    stays = foretold(driver, world, HOST, POD, plain, released=frozenset({"plain", "no-more"}))
    assert (stays.asked, stays.statuses["plain"].state.value) == ([], "released")
    assert foretold(driver, world, HOST, POD, plain).statuses["plain"].reason == "name-taken"
    found = foretold(driver, world)
    assert as_told(found)[0] == (
        "web-host",
        HERE,
        (f"delete the device with the alternative name {IDENTITY.mark('web-host')}",),
    )
    assert found.statuses == {}
    world.asked.clear()
    driver.declare()
    assert as_told(found) == world.asked


def test_what_waits_says_for_what() -> None:
    world = Recording()
    driver = Driver(world)
    on_master = End("pod", "macvlan", "pod0", lower=DeviceRef("master", "ens3"), options=Macvlan())
    found = foretold(driver, world, HOST, POD, on_master)
    assert found.asked == []
    reasons = {name: row.reason for name, row in found.statuses.items()}
    assert reasons == {"pod": "master-absent", "web-ct": "namespace-absent", "web-host": "namespace-absent"}
    world.here.put(NIC)
    driver.tell(MastersSeen({"ens3": 2}))
    assert "create macvlan pod0 on ens3" in foretold(driver, world, on_master).asked[0].requests[0]


def test_a_device_that_moves_is_made_before() -> None:
    world = Recording()
    world.appear(RED)
    world.here.put(NIC)
    driver = Driver(world)
    driver.tell(MastersSeen({"ens3": 2}))
    pod = End("pod", "macvlan", "eth0", namespace=RED, lower=DeviceRef("master", "ens3"), options=Macvlan())
    found = foretold(driver, world, pod)
    driver.declare(pod)
    assert as_told(found) == world.asked
    assert found.statuses["pod"].state.value == "ready"


class Stubborn(ToyNamespaces):
    """A kernel of which it is foretold that it does nothing, and says that it has."""

    def make(self, batch: Batch, refuse: Callable[[Request], int] = done) -> Answers:
        for request in batch.requests:
            refuse(request)
        return ((0, ""),) * len(batch.requests)


def test_what_the_prediction_does_not_know_is_told_once() -> None:
    state = LinksState(IDENTITY)
    found = foretell(state, ends(End("plain", "dummy", "plain0", options=Dummy())), Stubborn())
    assert [one.name for one in found.asked] == ["plain"]


class Shut(ToyNamespaces):
    """Namespaces that are gone when something is sent."""

    def make(self, batch: Batch, refuse: Callable[[Request], int] = done) -> Answers:
        return None


def test_what_cannot_be_sent_is_not_told() -> None:
    found = foretell(LinksState(IDENTITY), ends(End("plain", "dummy", "plain0", options=Dummy())), Shut())
    assert found.asked == []
    assert found.statuses["plain"].reason == "kernel-refused"


def test_places_follow_veths_across_namespaces_whatever_numbers_they_have_there() -> None:
    """As they are really seen: each namespace numbers the others in its own way."""
    world = ToyNamespaces()
    world.appear(RED)
    driver = Driver(world)
    driver.declare(HOST, POD)
    red = driver.state.places[RED]
    assert isinstance(red, Place)
    seen, there = Places(), (world.look(HERE, everything(world, HERE)), world.look(red, everything(world, red)))
    for place, picture in zip((HERE, red), there, strict=True):
        assert picture is not None
        seen.add(place, Picture(renumbered(device) for device in picture))
    gone = Batch(HERE, "web-host", (DropAltname(1, "no such"),))
    assert seen.make(gone) == ((errno.ENODEV, ""),)
    seen.end(red)
    assert not seen.machines[HERE].links
    assert seen.make(Batch(red, "web-ct", (AddAltname(4, "alt"),))) is None
    assert seen.look(red, Interest("")) is None
    assert seen.name(HERE, 7) == "device 7"


def everything(world: ToyNamespaces, place: Place) -> Interest:
    return Interest("failoverd", ifindexes=frozenset(world.machines[place].links))


def renumbered(device: Device) -> Device:
    assert isinstance(device.link.info, Veth)
    return replace(device, link=replace(device.link, info=replace(device.link.info, nsid=0)))


def test_places_have_the_routes_that_gateways_need() -> None:
    """A look shows the routes of failoverd's alone."""
    there = Link(
        4, "plain0", "02:00:00:00:00:01", up=True, carrier=True, kind="dummy", info=Dummy(), altnames=frozenset({"m"})
    )
    address = Address(4, 2, 24, 0, 0, bytes([192, 0, 2, 1]), ())
    world = Places()
    world.add(HERE, Picture([Device(there, (address,))]))
    end = End("plain", "dummy", "plain0", options=Dummy(), routes=(DeclaredRoute("10.0.0.0/8", "192.0.2.9"),))
    marked = replace(there, altnames=frozenset({IDENTITY.mark("plain")}), mac=IDENTITY.mac("plain"))
    world.machines[HERE].links[4] = marked

    class Own(ToyNamespaces):
        def __init__(self) -> None:
            super().__init__()
            self.machines = world.machines

    found = foretell(LinksState(IDENTITY), ends(end), Own())
    assert found.asked == [Asked("plain", HERE, ("add the route to 10.0.0.0/8 (table 254) through plain0",))]
    assert found.statuses["plain"].state.value == "ready"


def test_a_pair_whose_far_name_is_taken_is_not_made_at_all() -> None:
    world = Places()
    red = Place(1, 1)
    world.add(HERE, Picture())
    world.add(red, new_namespace())
    pair = CreateLink(NewDevice("web0", ifindex=70), VethPair(NewDevice("lo", ifindex=71, place=red)))
    assert world.make(Batch(HERE, "web", (pair,), makes=True, also=red)) == ((errno.EEXIST, ""),)
    assert not world.machines[HERE].links
    assert [link.name for link in world.machines[red].links.values()] == ["lo"]


def test_a_move_to_where_it_is_does_nothing_and_one_that_is_refused_moves_nothing() -> None:
    world = ToyNamespaces()
    world.appear(RED)
    world.here.put(NIC)
    red = world.place(RED)
    assert isinstance(red, Place)
    stays = Batch(HERE, "a", (MoveLink(2, HERE, name="other"),))
    assert world.make(stays) == ((0, ""),)
    assert world.here.links[2].name == "ens3"
    nothing = Batch(HERE, "a", (MoveLink(9, red, name="eth0"), AddAltname(2, "alt")), also=red)
    assert world.make(nothing) == ((errno.ENODEV, ""), (0, ""))
