"""Declared links on a real dbus-daemon."""

from __future__ import annotations

from dataclasses import replace

import pytest
from busmachine import Machine, heard, listener, on_a_machine
from linksfake import ABSENT, CONTAINER, HOST, FakeLinks, counters
from privatebus import PrivateBus
from signals import GOING, PENDING, READY

from failoverd.core.link_facts import LINK as FACTS
from failoverd.daemon.dbus.interfaces import LINK, NAME, ROOT
from failoverd.daemon.dbus.links import SLICE, LinkObjects
from failoverd.daemon.dbus.objects import link_path
from failoverd.model.facts import camel


@pytest.mark.parametrize(
    ("name", "escaped"),
    [("web", "web"), ("web-host", "web_2dhost"), ("lab.peer", "lab_2epeer"), ("1a1", "_31a1"), ("a_b", "a_5fb")],
)
def test_a_links_path_is_escaped_as_sd_bus_does(name: str, escaped: str) -> None:
    assert link_path(name) == f"{ROOT}/link/{escaped}"


def test_signals_come_from_the_links_object(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        hears = await listener(machine, "hear", NAME, "LinkGoing")
        machine.presence.signalled(PENDING)
        machine.presence.signalled(GOING)
        pending, going = [one for one in await heard(hears) if one[1] == f"{NAME}.Link"]
        assert pending[:3] == [f"{ROOT}/link/web_2dct", f"{NAME}.Link", "LinkPending"]
        assert pending[3][:6] == ["veth", "eth1", PENDING.namespace, 0, "container-absent", PENDING.detail]
        assert (going[2], going[3][3:5]) == ("LinkGoing", [4, "undeclared"])

    on_a_machine(bus, body)


def test_a_change_of_properties_is_told_by_their_names(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        hears = await listener(machine, "hear", NAME, "LinkGoing")
        machine.presence.signalled(PENDING)
        machine.presence.signalled(GOING)
        machine.presence.signalled(GOING)
        told = [one for one in await heard(hears) if one[2] == "PropertiesChanged" and "/link/" in one[0]]
        assert told[0][0] == f"{ROOT}/link/web_2dct"
        name, values, changed = told[0][3]
        assert (name, values) == (LINK.name, {})
        assert {"State", "Reason", "Ifindex", "Made"} <= set(changed)
        assert "Name" not in changed

    on_a_machine(bus, body)


def test_an_end_is_an_object_whose_properties_are_its_status(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        machine.links = links = FakeLinks(HOST, ABSENT)
        path = f"{ROOT}/link/web_2dct"
        assert [await machine.get(name, path, "Link") for name in ("Name", "State", "Reason", "Namespace", "Made")] == [
            "web-ct",
            "pending",
            "container-absent",
            "container label:role=web",
            2,
        ]
        found = (await machine.call(path, "org.freedesktop.DBus.Properties", "GetAll", "s", LINK.name))["body"][0]
        assert found == {camel(key): value for key, value in FACTS.of(ABSENT).items()}
        managed = (await machine.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"))["body"][0]
        assert {name: value for name, value in managed.items() if "/link/" in name} == {
            path: {LINK.name: {}},
            f"{ROOT}/link/web_2dhost": {LINK.name: {}},
        }
        links.told.remove(HOST)
        gone = await machine.call(
            f"{ROOT}/link/web_2dhost", "org.freedesktop.DBus.Properties", "GetAll", "s", LINK.name
        )
        assert gone["error"] == "org.freedesktop.DBus.Error.UnknownObject"

    on_a_machine(bus, body)


def test_what_can_be_done_with_it(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        machine.links = links = FakeLinks(replace(HOST, state=CONTAINER.state), ABSENT)
        host, container = f"{ROOT}/link/web_2dhost", f"{ROOT}/link/web_2dct"
        counted = (await machine.call(host, LINK.name, "GetStatistics"))["body"][0]
        assert counted == {camel(key): value for key, value in counters(17).items()}
        assert (await machine.call(container, LINK.name, "GetStatistics"))["body"] == [{}]
        assert (await machine.call(host, LINK.name, "Resync"))["error"] is None
        assert (await machine.call(container, LINK.name, "Release"))["error"] is None
        assert links.asked == [("resync", "web-host"), ("release", "web-ct")]

    on_a_machine(bus, body)


def test_many_come_a_few_at_a_time() -> None:
    names = {f"l{number}" for number in range(SLICE + 7)}
    objects = LinkObjects(lambda: names)
    assert objects.follow() == (True, True)
    assert len(objects.objects) == len(objects.by_path) == SLICE
    before = objects.objects
    assert objects.follow() == (True, False)
    assert set(objects.by_path.values()) == names
    assert all(objects.objects[path] is known for path, known in before.items()), "which is not compared again"
    assert objects.follow() == (False, False)
    names.clear()
    assert objects.follow() == (True, True)
    assert objects.follow() == (True, False)
    assert objects.objects == {}


def test_every_object_comes_without_being_asked_for(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        hears = await listener(machine, "hear", NAME, "LinkReady")
        machine.links = FakeLinks(*(replace(HOST, name=f"l{number}") for number in range(SLICE * 2 + 1)))
        machine.presence.signalled(READY)
        await machine.until(lambda: len(machine.presence.service.tree.objects) > SLICE * 2, "the last of the objects")
        added = [one[3][0] for one in await heard(hears) if one[2] == "InterfacesAdded"]
        assert added[0] == f"{ROOT}/link/l0"

    on_a_machine(bus, body)
