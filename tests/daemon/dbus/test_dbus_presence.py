"""failoverd on a real dbus-daemon, the engine on the simulated kernel and the real clock: objects and signals."""

from __future__ import annotations

import time
from typing import Any
from xml.etree import ElementTree

import pytest
import trio
from busmachine import MAC, MASTER, Machine, heard, listener, on_a_machine
from dbus_next import introspection as intr
from linksfake import HOST, FakeLinks
from privatebus import PrivateBus

from failoverd.daemon.dbus.interfaces import INTERFACES, NAME, ROOT
from failoverd.daemon.dbus.objects import link_path


def test_the_objects_say_what_the_status_says(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        await machine.until(lambda: machine.presence._speeds.of(2), "the speed")
        answer = await machine.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        objects = answer["body"][0]
        assert sorted(objects) == [MASTER, f"{ROOT}/slave/2", f"{ROOT}/slave/3"]
        master = objects[MASTER][f"{NAME}.Master"]
        assert master["Name"] == "ens3"
        assert master["State"] == "accelerated"
        assert (master["Active"], master["Primary"], master["Standby"]) == (
            f"{ROOT}/slave/3",
            f"{ROOT}/slave/3",
            f"{ROOT}/slave/2",
        )
        assert master["LastFailover"] == {}
        slave = objects[f"{ROOT}/slave/3"][f"{NAME}.Slave"]
        assert (slave["Name"], slave["Role"], slave["Driver"], slave["Mac"]) == (
            "ens13",
            "primary",
            "vmxnet3",
            MAC,
        )
        assert (slave["Carrier"], slave["Speed"], slave["Master"]) == (True, 10_000, MASTER)
        assert await machine.get("Datapaths", ROOT, "Manager") == ["bond", "tc", "net_failover", "hv_netvsc"]

    on_a_machine(bus, body)


def test_a_failover_is_told_in_full(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        one = await listener(machine, "hear", NAME, "FailedOver")
        other = await listener(machine, "hear", NAME, "InterfacesRemoved")
        machine.unplug()
        signals = await heard(one)
        changed: dict[str, Any] = {}
        for path, _, member, body in signals:
            if (path, member) == (MASTER, "PropertiesChanged"):
                interface, values, invalid = body
                assert (interface, invalid) == (f"{NAME}.Master", [])
                changed |= values
        assert (changed["Active"], changed["Failovers"]) == (f"{ROOT}/slave/2", 1)
        gone = {(path, member): body for path, _, member, body in await heard(other)}
        assert gone[ROOT, "InterfacesRemoved"] == [f"{ROOT}/slave/3", [f"{NAME}.Slave"]]
        assert (await machine.get("State"), await machine.get("Primary")) == ("on-standby", "/")
        path, _, _, (old, new, role, reason, silence, namespace, at, monotonic) = signals[-1]
        assert (path, namespace) == (MASTER, "")
        assert (old, new, role) == (f"{ROOT}/slave/3", f"{ROOT}/slave/2", "standby")
        assert reason == "it was unplugged"
        now = trio.current_time()
        assert now - 20 < monotonic <= now
        assert abs((time.time() - at) - (now - monotonic)) < 1
        assert 0 < silence < 1
        last = await machine.get("LastFailover")
        assert (last["Monotonic"], last["SilenceSeconds"]) == (pytest.approx(monotonic), silence)
        assert (last["From"], last["FromIfindex"], last["ToRole"]) == ("ens13", 3, "standby")

    on_a_machine(bus, body)


def test_a_rename_is_told_by_manager_and_slave(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        process = await listener(machine, "hear", NAME, "Renamed")
        assert (await machine.call(MASTER, f"{NAME}.Master", "Release"))["error"] is None
        signals = [(path, member, body) for path, _, member, body in await heard(process)]
        said = [(path, member, body[:-2]) for path, member, body in signals]
        assert (ROOT, "LinkRenamed", [2, "ens3nsby", "ens3", False, MASTER, "standby"]) in said
        assert (f"{ROOT}/slave/2", "Renamed", ["ens3nsby", "ens3", False]) in said
        assert await machine.get("State") == "released"

    on_a_machine(bus, body)


def test_introspection_is_what_other_tools_understand(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        machine.links = FakeLinks(HOST)
        paths = [ROOT, MASTER, f"{ROOT}/slave/3", link_path(HOST.name), ROOT]
        for path, interface in zip(paths, INTERFACES, strict=True):
            xml = (await machine.call(path, "org.freedesktop.DBus.Introspectable", "Introspect"))["body"][0]
            found = next(one for one in intr.Node.parse(xml).interfaces if one.name == interface.name)
            assert [one.name for one in found.methods] == [one.name for one in interface.methods]
            assert [one.signature for one in found.properties] == [one.signature for one in interface.properties]
            assert [one.signature for one in found.signals] == [
                "".join(a.signature for a in one.args) for one in interface.signals
            ]
            ours = ElementTree.fromstring(xml).find(f"interface[@name='{interface.name}']")
            assert ours is not None
            emits = ours.findall("property/annotation[@name='org.freedesktop.DBus.Property.EmitsChangedSignal']")
            assert [one.get("value") for one in emits] == [one.emits for one in interface.properties]
            for element in ours.iter():
                if element.tag in ("method", "property", "signal", "arg", "interface"):
                    doc = element.find("annotation[@name='org.gtk.GDBus.DocString']")
                    assert doc is not None, f"{element.attrib} has no documentation"
        for command in (
            ["busctl", f"--address={machine.bus.address}", "tree", "--list", NAME],
            ["busctl", f"--address={machine.bus.address}", "introspect", NAME, MASTER],
        ):
            done = await trio.run_process(command, capture_stdout=True)
            assert b"52_54_00_00_00_01" in done.stdout or b"FailedOver" in done.stdout

    on_a_machine(bus, body)
