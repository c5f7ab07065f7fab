"""failoverd on a real dbus-daemon, the engine on the simulated kernel and the real clock: objects and signals."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import trio
from busmachine import MAC, MASTER, Machine, heard, listener, on_a_machine
from dbus_next import introspection as intr
from privatebus import PrivateBus

from failoverd.daemon.dbusfaces import FACES, NAME, ROOT
from failoverd.daemon.dbusobjects import usec


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
        assert (slave["Name"], slave["Role"], slave["Driver"], slave["PermanentMac"]) == (
            "ens13",
            "primary",
            "vmxnet3",
            MAC,
        )
        assert (slave["Carrier"], slave["Speed"], slave["Master"]) == (True, 10_000, MASTER)
        assert await machine.get("Datapaths", ROOT, "Manager") == ["bond", "tc", "net_failover"]

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
                face, values, invalid = body
                assert (face, invalid) == (f"{NAME}.Master", [])
                changed |= values
        assert (changed["Active"], changed["Failovers"]) == (f"{ROOT}/slave/2", 1)
        gone = {(path, member): body for path, _, member, body in await heard(other)}
        assert gone[ROOT, "InterfacesRemoved"] == [f"{ROOT}/slave/3", [f"{NAME}.Slave"]]
        assert (await machine.get("State"), await machine.get("Primary")) == ("on-standby", "/")
        path, _, _, (old, new, reason, at, silence) = signals[-1]
        assert path == MASTER
        assert (old, new, reason) == (f"{ROOT}/slave/3", f"{ROOT}/slave/2", "it was unplugged")
        now = usec(trio.current_time())
        assert now - 20_000_000 < at <= now
        assert 0 < silence < 1_000_000
        last = await machine.get("LastFailover")
        assert (last["MonotonicUsec"], last["SilenceEstimateUsec"], last["From"]) == (at, silence, "ens13")

    on_a_machine(bus, body)


def test_a_rename_is_told_by_manager_and_slave(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        process = await listener(machine, "hear", NAME, "Renamed")
        assert (await machine.call(MASTER, f"{NAME}.Master", "Release"))["error"] is None
        signals = [(path, member, body) for path, _, member, body in await heard(process)]
        assert (ROOT, "LinkRenamed", [2, "ens3nsby", "ens3", False, MASTER, "standby"]) in signals
        assert (f"{ROOT}/slave/2", "Renamed", ["ens3nsby", "ens3"]) in signals
        assert await machine.get("State") == "released"

    on_a_machine(bus, body)


def test_introspection_is_what_other_tools_understand(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        paths = [ROOT, MASTER, f"{ROOT}/slave/3"]
        for path, face in zip(paths, FACES, strict=True):
            xml = (await machine.call(path, "org.freedesktop.DBus.Introspectable", "Introspect"))["body"][0]
            found = next(one for one in intr.Node.parse(xml).interfaces if one.name == face.name)
            assert [one.name for one in found.methods] == [one.name for one in face.methods]
            assert [one.signature for one in found.properties] == [one.signature for one in face.properties]
            assert [one.signature for one in found.signals] == [
                "".join(a.signature for a in one.args) for one in face.signals
            ]
            ours = ElementTree.fromstring(xml).find(f"interface[@name='{face.name}']")
            assert ours is not None
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
