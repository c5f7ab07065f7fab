"""Veth pairs: made when both ends can be, kept, and taken away again."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from linksworld import IDENTITY, Driver, ToyNamespaces, ends, named

from failoverd.kinds import Dummy, Veth
from failoverd.links.events import MastersSeen, PlaceChanged, ReleaseAsked, Resolved, ResyncAsked, Wanted
from failoverd.model.declared import OWN, DeclaredRoute, End
from failoverd.model.links import Link
from failoverd.model.places import HERE, Absent
from failoverd.model.requests import (
    AddAddress,
    AddAltname,
    AddRoute,
    CreateLink,
    DeleteMarked,
    DropAltname,
    Request,
    SetMtu,
    SetUp,
)
from failoverd.plan.predict import predict

RED = named("red")
HOST = End("web-host", "veth", "web0", peer="web-ct", addresses=("192.0.2.1/24", "2001:db8::1/64"), source="f.toml:1")
POD = End(
    "web-ct",
    "veth",
    "eth1",
    namespace=RED,
    peer="web-host",
    addresses=("192.0.2.2/24",),
    routes=(DeclaredRoute("10.0.0.0/8", "192.0.2.1", 50),),
    mtu=1450,
)


def ready() -> tuple[Driver, ToyNamespaces]:
    world = ToyNamespaces()
    world.appear(RED)
    driver = Driver(world)
    driver.declare(HOST, POD)
    assert driver.states() == {"web-ct": "ready", "web-host": "ready"}
    return driver, world


def only(links: dict[int, Link]) -> Link:
    (link,) = links.values()
    return link


def test_nothing_is_looked_at_before_the_source_has_spoken() -> None:
    driver = Driver(ToyNamespaces())
    driver.tell(ResyncAsked())
    assert (driver.signals, driver.sent) == ([], [])


def test_a_pair_is_made_across_namespaces_with_all_that_was_declared() -> None:
    driver, world = ready()
    red = world.machines[driver.state.places[RED]]  # type: ignore[index]
    near, far = only(world.here.links), only(red.links)
    assert (near.name, far.name, far.mtu) == ("web0", "eth1", 1450)
    assert near.altnames == {"failoverd-link-0badcafe-web-host"}
    assert far.altnames == {"failoverd-link-0badcafe-web-ct"}
    assert near.mac == IDENTITY.mac("web-host") != far.mac
    addresses = [str(one) for one in world.here.inet_of(near.ifindex).addresses if one.scope == 0]
    assert addresses == ["192.0.2.1/24", "2001:db8::1/64"]
    assert [str(one) for one in red.inet_of(far.ifindex).routes if one.protocol == 119] == ["10.0.0.0/8 (table 254)"]
    assert sorted(driver.signals) == ["LinkReady web-ct", "LinkReady web-host"]
    status = driver.status("web-host")
    assert (status.peer, status.ifindex, status.source, status.made) == ("web-ct", near.ifindex, "f.toml:1", 1)


def test_an_end_without_a_carrier_waits_for_the_other_one() -> None:
    driver, world = ready()
    red = world.machines[driver.state.places[RED]]  # type: ignore[index]
    near, far = only(world.here.links), only(red.links)
    driver.refuse = lambda request: errno.ENOMEM if isinstance(request, SetUp) else 0
    predict(red, SetUp(far.ifindex, up=False))
    world.here.wires[near.ifindex] = False
    world.here.put(near)
    signals = len(driver.signals)
    driver.look_again()
    assert driver.states() == {"web-ct": "degraded kernel-refused", "web-host": "making no-carrier"}
    assert driver.signals[signals:] == ["LinkDegraded web-ct kernel-refused"]


def test_a_pair_that_is_there_is_left_alone() -> None:
    driver, _ = ready()
    before = list(driver.sent)
    driver.tell(ResyncAsked())
    driver.look_again()
    assert driver.sent == before


def test_a_restart_takes_up_what_it_finds() -> None:
    _, world = ready()
    again = Driver(world)
    again.declare(HOST, POD)
    assert again.states() == {"web-ct": "ready", "web-host": "ready"}
    assert again.sent == []


def test_half_a_pair_waits_for_the_other_half() -> None:
    world = ToyNamespaces()
    world.appear(RED)
    driver = Driver(world)
    driver.declare(HOST)
    assert driver.states() == {"web-host": "pending no-peer"}
    assert not world.here.links
    driver.declare(HOST, POD)
    assert driver.states() == {"web-ct": "ready", "web-host": "ready"}


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        (End("web-ct", "dummy", "eth1", options=Dummy()), "peer-invalid"),
        (replace(POD, peer="other"), "peer-names-another"),
    ],
)
def test_a_peer_that_is_none_is_named(peer: End, reason: str) -> None:
    driver = Driver(ToyNamespaces())
    driver.declare(HOST, peer)
    assert driver.states()["web-host"] == f"pending {reason}"


def test_both_ends_wait_for_a_namespace_and_are_made_when_it_comes() -> None:
    world = ToyNamespaces()
    driver = Driver(world)
    driver.declare(HOST, POD)
    assert driver.states() == {"web-ct": "pending namespace-absent", "web-host": "pending namespace-absent"}
    assert "its other end web-ct waits: there is no network namespace red" in driver.status("web-host").detail
    world.appear(RED)
    driver.look_again()
    assert driver.states() == {"web-ct": "ready", "web-host": "ready"}


def test_each_end_says_what_it_waits_for_itself() -> None:
    driver = Driver(ToyNamespaces())
    driver.declare(replace(HOST, namespace=named("blue")), POD)
    assert driver.status("web-host").detail == "there is no network namespace blue"
    assert driver.status("web-ct").detail == "there is no network namespace red"
    driver.tell(ResyncAsked())


def test_a_namespace_that_is_not_known_yet_is_waited_for() -> None:
    driver = Driver(ToyNamespaces())
    driver.declare(HOST, POD)
    del driver.state.places[RED]
    driver.tell(ResyncAsked())
    assert driver.states() == {"web-ct": "making", "web-host": "making"}


def test_both_ends_may_be_in_one_namespace_or_in_two_others() -> None:
    world, blue = ToyNamespaces(), named("blue")
    world.appear(RED)
    world.appear(blue)
    driver = Driver(world)
    here = [replace(HOST, name="a", device="a", peer="b"), replace(POD, name="b", device="b", peer="a", namespace=OWN)]
    there = [replace(HOST, name="c", peer="d", namespace=blue), replace(POD, name="d", peer="c")]
    driver.declare(*here, *there)
    assert driver.states() == dict.fromkeys("abcd", "ready")
    assert sorted(link.name for link in world.here.links.values()) == ["a", "b"]
    before = list(driver.sent)
    driver.declare()
    assert driver.states() == {}
    assert [machine.links for machine in world.machines.values()] == [{}, {}, {}]
    assert set(driver.sent[len(before) :]) == {"DeleteMarked"}
    assert driver.watched == frozenset()


def test_the_end_of_a_namespace_takes_the_pair_and_it_waits_again() -> None:
    driver, world = ready()
    world.remove(RED)
    driver.look_again()
    assert driver.states() == {"web-ct": "pending namespace-absent", "web-host": "pending namespace-absent"}
    assert driver.signals[-4:] == [
        "LinkGone web-ct",
        "LinkPending web-ct namespace-absent",
        "LinkGone web-host",
        "LinkPending web-host namespace-absent",
    ]


def test_a_reference_that_ends_while_the_namespace_lives_takes_the_pair_away() -> None:
    driver, world = ready()
    driver.tell(Resolved(RED, Absent("process-gone", "it has ended")))
    assert not world.here.links
    assert driver.states() == {"web-ct": "pending process-gone", "web-host": "pending process-gone"}
    assert "LinkGoing web-host" in driver.signals


@pytest.mark.parametrize("reason", ["door-closed", "runtime-unreachable"])
def test_nothing_is_deleted_because_a_namespace_cannot_be_asked_for(reason: str) -> None:
    driver, world = ready()
    before = list(driver.sent)
    driver.tell(Resolved(RED, Absent(reason)))
    assert driver.states() == {"web-ct": f"pending {reason}", "web-host": f"pending {reason}"}
    assert driver.status("web-host").ifindex == only(world.here.links).ifindex
    driver.look_again()
    assert driver.states() == {"web-ct": "ready", "web-host": "ready"}
    assert driver.sent == before
    assert not any("Gone" in signal for signal in driver.signals)


def test_where_a_reference_leads_is_of_no_interest_once_it_is_not_wanted() -> None:
    driver = Driver(ToyNamespaces())
    driver.declare(HOST)
    driver.tell(Resolved(RED, HERE))
    assert RED not in driver.state.places


def test_one_end_that_is_no_longer_declared_takes_the_pair_away() -> None:
    driver, world = ready()
    driver.declare(HOST)
    assert [machine.links for machine in world.machines.values()] == [{}, {}]
    assert driver.states() == {"web-host": "pending no-peer"}
    assert driver.signals.index("LinkGoing web-host") < driver.signals.index("LinkGone web-host")
    driver.declare(HOST, POD)
    assert driver.states() == {"web-ct": "ready", "web-host": "ready"}


def test_an_end_that_moves_to_another_namespace_is_watched_until_it_has_left() -> None:
    driver, world = ready()
    blue = named("blue")
    driver.holds_going = True
    driver.declare(HOST, replace(POD, namespace=blue))
    assert driver.watched == {RED, blue}
    driver.wait()
    world.appear(blue)
    driver.look_again()
    assert driver.states() == {"web-ct": "ready", "web-host": "ready"}
    assert driver.watched == {blue}


def test_an_end_whose_namespace_goes_with_it_has_left() -> None:
    driver, world = ready()
    driver.holds_going = True
    driver.declare(HOST)
    world.remove(RED)
    driver.look_again()
    assert driver.watched == frozenset()


def test_where_an_end_that_left_was_is_waited_for() -> None:
    driver, _ = ready()
    driver.holds_going = True
    driver.declare(HOST)
    del driver.state.places[RED]
    driver.tell(ResyncAsked())
    assert driver.watched == {RED}


def test_an_end_that_is_not_there_may_change() -> None:
    driver = Driver(ToyNamespaces())
    driver.declare(HOST)
    driver.declare(replace(HOST, mtu=1400))
    assert driver.states() == {"web-host": "pending no-peer"}
    assert driver.signals == ["LinkPending web-host no-peer"]


def test_a_device_stays_while_hooks_hear_that_it_is_going() -> None:
    driver, world = ready()
    driver.holds_going = True
    driver.declare()
    assert only(world.here.links).name == "web0"
    assert driver.states() == {"web-ct": "removing", "web-host": "removing"}
    assert driver.wake_at == driver.now + 2
    driver.wait()
    assert not world.here.links
    assert driver.states() == {}


def test_a_device_that_is_declared_again_in_time_stays() -> None:
    driver, world = ready()
    driver.holds_going = True
    driver.declare()
    driver.declare(HOST, POD)
    driver.now += 10
    driver.tell(ResyncAsked())
    assert only(world.here.links).name == "web0"
    assert driver.states() == {"web-ct": "ready", "web-host": "ready"}


def test_what_others_change_is_put_right_and_left_after_three_times() -> None:
    driver, world = ready()
    near = only(world.here.links).ifindex
    for _ in range(4):
        predict(world.here, SetMtu(near, 9000))
        driver.declare(replace(HOST, mtu=1400), POD) if not driver.status("web-host").repairs else driver.look_again()
    for _ in range(3):
        predict(world.here, SetUp(near, up=False))
        driver.look_again()
    assert driver.status("web-host").repairs >= 3
    predict(world.here, SetUp(near, up=False))
    driver.look_again()
    assert driver.states()["web-host"] == "degraded fought"
    assert "failoverctl links resync" in driver.status("web-host").detail
    driver.tell(ResyncAsked("web-ct"))
    assert driver.states()["web-host"] == "degraded fought"
    driver.tell(ResyncAsked("web-host"))
    assert driver.states()["web-host"] == "ready"


def test_repairs_of_long_ago_do_not_count() -> None:
    driver, world = ready()
    near = only(world.here.links).ifindex
    for _ in range(8):
        driver.now += 400
        predict(world.here, SetUp(near, up=False))
        driver.look_again()
        assert driver.states()["web-host"] == "ready"


def test_a_stranger_with_the_name_is_a_conflict_and_is_left_alone() -> None:
    world = ToyNamespaces()
    red = world.appear(RED)
    red.put(Link(7, "eth1", kind="veth"))
    driver = Driver(world)
    driver.declare(HOST, POD)
    assert driver.states() == {"web-ct": "conflict name-taken", "web-host": "pending peer-conflict"}
    assert "ifindex 7, a veth" in driver.status("web-ct").detail
    world.here.put(Link(9, "ens9", altnames=frozenset({"web0"})))
    world.here.put(Link(10, "web0"))
    driver.look_again()
    assert driver.states() == {"web-ct": "conflict name-taken", "web-host": "conflict name-taken"}
    assert "hardware" in driver.status("web-host").detail
    red.forget(7)
    driver.look_again()
    assert driver.states() == {"web-ct": "pending peer-conflict", "web-host": "conflict name-taken"}
    assert driver.sent == []
    world.here.forget(10)
    driver.look_again()
    # The kernel is the first to know of an alternative name.
    assert driver.states() == {"web-ct": "making", "web-host": "conflict name-taken"}
    assert "alternative name" in driver.status("web-host").detail
    world.here.forget(9)
    driver.wait()
    assert driver.states() == {"web-ct": "ready", "web-host": "ready"}


def test_a_look_that_is_outdated_is_taken_again_before_a_conflict_is_said() -> None:
    driver, world = ready()
    red = world.machines[driver.state.places[RED]]  # type: ignore[index]
    far = only(red.links)
    world.here.forget(only(world.here.links).ifindex)
    red.forget(far.ifindex)
    driver.tell(PlaceChanged(HERE))
    assert driver.states() == {"web-ct": "ready", "web-host": "ready"}
    assert not any("Conflict" in signal for signal in driver.signals)
    # A device of the container's that bears the mark is no conflict that is looked at for ever.
    far = only(red.links)
    world.here.forget(only(world.here.links).ifindex)
    red.put(replace(far, info=Veth(99)))
    driver.tell(PlaceChanged(HERE))
    assert driver.states() == {"web-ct": "conflict name-taken", "web-host": "pending peer-conflict"}


def test_two_ends_that_claim_one_name_are_told_apart_by_what_references_lead_to() -> None:
    world, also_red = ToyNamespaces(), named("also-red")
    world.appear(RED)
    world._names[also_red] = world._names[RED]
    driver = Driver(world)
    other = replace(POD, name="z", namespace=also_red, peer="y"), replace(HOST, name="y", device="y0", peer="z")
    driver.declare(HOST, POD, *other)
    assert driver.states() == {
        "web-ct": "ready",
        "web-host": "ready",
        "y": "pending peer-conflict",
        "z": "conflict name-claimed",
    }


def test_a_pair_whose_far_end_was_moved_is_made_anew() -> None:
    driver, world = ready()
    red = world.machines[driver.state.places[RED]]  # type: ignore[index]
    far = only(red.links)
    blue = world.appear(named("blue"))
    blue.put(replace(far, name="moved"))
    del red.links[far.ifindex]
    near = only(world.here.links)
    world.here.put(replace(near, info=Veth(far.ifindex, blue.place.nsid)))
    driver.look_again()
    assert driver.states() == {"web-ct": "ready", "web-host": "ready"}
    assert only(red.links).name == "eth1"
    assert driver.sent.count("CreateLink") == 2


def test_a_mark_in_a_container_proves_nothing() -> None:
    driver, world = ready()
    red = world.machines[driver.state.places[RED]]  # type: ignore[index]
    red.put(Link(7, "lan", kind="veth", info=Veth(99), altnames=frozenset({IDENTITY.mark("stranger")})))
    driver.look_again()
    assert 7 in red.links
    # Nor does the mark of an end that is declared, on another device than the near end's peer.
    far = next(link for link in red.links.values() if link.name == "eth1")
    red.put(replace(far, altnames=frozenset()))
    red.put(Link(7, "lan", kind="veth", info=Veth(99), altnames=frozenset({IDENTITY.mark("web-ct")})))
    driver.look_again()
    assert 7 in red.links
    assert driver.states()["web-ct"] == "degraded mark-forged"


def test_an_orphan_of_an_earlier_run_goes_when_the_source_has_spoken() -> None:
    world = ToyNamespaces()
    world.here.put(Link(7, "left", kind="dummy", info=Dummy(), altnames=frozenset({IDENTITY.mark("left")})))
    world.here.put(Link(8, "others", kind="dummy", altnames=frozenset({"failoverd-link-11111111-left"})))
    driver = Driver(world)
    driver.declare()
    assert list(world.here.links) == [8]


def test_an_orphan_stays_as_long_as_a_source_has_not_spoken() -> None:
    world = ToyNamespaces()
    world.appear(RED)
    world.here.put(Link(7, "left", kind="dummy", info=Dummy(), altnames=frozenset({IDENTITY.mark("left")})))
    driver = Driver(world)
    driver.tell(Wanted(ends(HOST, POD), is_complete=False))
    assert driver.states() == {"web-ct": "ready", "web-host": "ready"}
    assert 7 in world.here.links
    driver.declare(HOST, POD)
    assert 7 not in world.here.links


def test_a_released_link_stays_without_its_mark() -> None:
    driver, world = ready()
    driver.tell(ReleaseAsked("web-host"))
    driver.tell(ReleaseAsked("unknown"))
    driver.look_again()
    assert driver.states() == {"web-ct": "released", "web-host": "released"}
    assert [link.altnames for machine in world.machines.values() for link in machine.links.values()] == [set(), set()]
    driver.tell(ResyncAsked())
    assert driver.states() == {"web-ct": "conflict name-taken", "web-host": "conflict name-taken"}


def test_a_release_that_the_kernel_refuses_is_tried_again() -> None:
    driver, world = ready()
    driver.refuse = lambda request: errno.ENOMEM if isinstance(request, DropAltname) else 0
    driver.tell(ReleaseAsked("web-host"))
    assert only(world.here.links).altnames
    driver.refuse = lambda _: 0
    driver.wait()
    driver.wait()
    assert not only(world.here.links).altnames


def test_a_refused_pair_is_tried_again_later_and_later() -> None:
    world = ToyNamespaces()
    world.appear(RED)
    driver = Driver(world)
    driver.refuse = lambda request: errno.ENOMEM if isinstance(request, CreateLink) else 0
    driver.declare(HOST, POD)
    assert driver.states() == {"web-ct": "making", "web-host": "failed kernel-refused"}
    assert driver.signals == ["LinkFailed web-host kernel-refused"]
    waits = []
    for _ in range(12):
        assert driver.wake_at is not None
        waits.append(driver.wake_at - driver.now)
        driver.wait()
    assert waits[0] < 0.13
    assert 48 <= waits[-1] <= 72
    assert driver.status("web-host").attempts == 13
    assert driver.lines == ["link web-host: create veth web0 with " + driver.lines[0].split(" with ", 1)[1]]
    driver.refuse = lambda _: 0
    driver.tell(ResyncAsked())
    assert driver.states() == {"web-ct": "ready", "web-host": "ready"}
    assert driver.status("web-host").attempts == 0


def test_a_kernel_without_the_kind_is_tried_rarely() -> None:
    world = ToyNamespaces()
    world.appear(RED)
    driver = Driver(world)
    driver.refuse = lambda request: errno.EOPNOTSUPP if isinstance(request, CreateLink) else 0
    driver.declare(HOST, POD)
    assert driver.states()["web-host"] == "failed kind-unknown"
    assert driver.wake_at == driver.now + 300
    assert driver.status("web-host").next_try == 300


@pytest.mark.parametrize(
    ("kind", "number", "reason"),
    [
        (AddAddress, errno.EACCES, "ipv6-disabled"),
        (AddAddress, errno.ENOMEM, "address-refused"),
        (AddRoute, errno.ENETUNREACH, "route-refused"),
        (SetMtu, errno.EINVAL, "mtu-refused"),
        (AddAltname, errno.ENOMEM, "kernel-refused"),
    ],
)
def test_what_the_kernel_refuses_on_a_device_is_said_and_tried_again(
    kind: type[Request], number: int, reason: str
) -> None:
    driver, world = ready()
    driver.refuse = lambda request: number if isinstance(request, kind) else 0
    other = replace(POD, addresses=("192.0.2.3/24",), routes=(DeclaredRoute("10.9.0.0/16"),), mtu=1200)
    if kind is AddAltname:
        red = world.machines[driver.state.places[RED]]  # type: ignore[index]
        red.put(replace(only(red.links), altnames=frozenset()))
        other = POD
    driver.declare(HOST, other)
    if kind is AddAltname:
        driver.look_again()
    assert driver.states()["web-ct"] == f"degraded {reason}"
    assert errno.errorcode[number] in driver.status("web-ct").detail
    driver.refuse = lambda _: 0
    driver.wait()
    assert driver.states()["web-ct"] == "ready"


def test_a_namespace_that_goes_while_it_is_worked_on_is_no_failure_of_the_engine() -> None:
    world = ToyNamespaces()
    red = world.appear(RED)
    driver = Driver(world)
    place = red.place
    del world.machines[place]
    driver.declare(HOST, POD)
    assert driver.states() == {"web-ct": "making", "web-host": "making"}
    world.machines[place] = red
    driver.wait()
    assert driver.states() == {"web-ct": "ready", "web-host": "ready"}


def test_a_namespace_that_goes_before_the_pair_is_made() -> None:
    driver, world = ready()
    place = driver.state.places[RED]
    driver.declare()
    machine = world.machines[place]  # type: ignore[index]

    def vanish(request: Request) -> int:
        world.machines.pop(place, None)  # type: ignore[arg-type]
        return errno.ENOMEM if isinstance(request, CreateLink) else 0

    driver.refuse = vanish
    driver.declare(HOST, POD)
    driver.refuse = lambda _: 0
    driver.wait()
    world.machines[place] = machine  # type: ignore[index]
    while driver.states() != {"web-ct": "ready", "web-host": "ready"}:
        driver.wait()


def test_a_deletion_that_fails_is_tried_again() -> None:
    driver, world = ready()
    driver.refuse = lambda request: errno.ENOMEM if isinstance(request, DeleteMarked) else 0
    driver.declare()
    assert only(world.here.links).name == "web0"
    driver.refuse = lambda _: 0
    driver.wait()
    assert not world.here.links


def test_masters_are_noted_and_only_a_change_leads_to_a_look() -> None:
    driver, _ = ready()
    driver.tell(MastersSeen({"ens3": 4}))
    driver.tell(MastersSeen({"ens3": 4}))
    assert driver.state.masters == {"ens3": 4}


def test_a_device_that_could_not_be_marked_is_deleted_at_once_and_made_again_later() -> None:
    world = ToyNamespaces()
    red = world.appear(RED)
    driver = Driver(world)
    driver.refuse = lambda request: errno.ENOMEM if isinstance(request, AddAltname) else 0
    driver.declare(HOST, POD)
    assert driver.states() == {"web-ct": "making", "web-host": "failed kernel-refused"}
    assert "ENOMEM" in driver.status("web-host").detail
    assert not world.here.links
    assert not red.links
    driver.refuse = lambda _: 0
    driver.wait()
    assert driver.states() == {"web-ct": "ready", "web-host": "ready"}
