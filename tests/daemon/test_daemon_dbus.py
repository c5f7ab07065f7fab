"""failoverd on a real dbus-daemon, the engine on the simulated kernel and the real clock; clients that are not ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import trio
from dbus_next import introspection as intr
from privatebus import CLOSED, PrivateBus

from failoverd.bus import service
from failoverd.bus.connection import BOUND
from failoverd.config.spec import Config
from failoverd.core.calls import CallError
from failoverd.daemon import dbus
from failoverd.daemon.dbus import EVENTS, Presence
from failoverd.daemon.dbusfaces import FACES, NAME, ROOT
from failoverd.daemon.engine import Engine, Outside
from failoverd.daemon.main import _carry_out
from failoverd.daemon.speeds import Speeds
from failoverd.daemon.store import MemoryStore
from failoverd.lab.simkernel import SimKernel
from failoverd.lab.simkernel.clockwork import run_timers
from failoverd.model.links import Link
from failoverd.model.signals import FailedOver
from failoverd.netlink.transport import EVENTS as LINK_EVENTS

MAC = "52:54:00:00:00:01"
MASTER = f"{ROOT}/master/52_54_00_00_00_01"
CLIENT = Path(__file__).parents[1] / "busclient.py"
POLICY = Path(__file__).parents[2] / "units" / "org.failoverd1.conf"
NOBODY = 65534


class Machine:
    """A guest with one pair whose failoverd is on this bus, or will be."""

    def __init__(self, bus: PrivateBus) -> None:
        self.bus = bus
        self.problems: list[str] = []
        self.kernel = SimKernel(trio.current_time, (6, 1))
        self.kernel.plug("ens3", MAC, "virtio", "virtio_net", "virtio0", up=True)
        self.kernel.plug("ens13", MAC, "pci", "vmxnet3", "0000:00")
        self.presence = Presence(self._serve, self._reload, Speeds(lambda _name: 10_000))
        outside = Outside(
            self.kernel.open(LINK_EVENTS, receive_buffer=1 << 20),
            self._open_inet,
            self._complete,
            lambda _ifindex: True,
            MemoryStore(),
            self._announce,
            self.presence.signalled,
            self.presence.stepped,
        )
        self.engine = Engine(Config(), outside)

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for something."""
        with trio.move_on_after(20):
            while not condition():
                await trio.sleep(0.01)
            return
        raise AssertionError(f"{what} has not come")

    async def ready(self) -> None:
        """Wait until the pair is joined and failoverd has its name."""
        await self.until(lambda: MAC in self.engine.state.pairs and self.engine.state.pairs[MAC].joined, "the master")
        await self.until(lambda: self.presence.service.is_connected, "the name")

    def unplug(self) -> None:
        """The host takes the VF away."""
        self.kernel.unplug(self.engine.state.judgements.pairs[MAC].vf)

    async def call(self, path: str, interface: str, member: str, *rest: Any, **how: Any) -> dict[str, Any]:
        """Have somebody call a method of failoverd's. `rest` is the signature and the arguments."""
        more = [rest[0], json.dumps(list(rest[1:]))] if rest else []
        lines = await self.client("call", NAME, path, interface, member, *more, **how)
        answer: dict[str, Any] = json.loads(lines)
        return answer

    async def client(self, *words: str, **how: Any) -> str:
        """Run the client to its end and give what it printed."""
        command = [sys.executable, str(CLIENT), self.bus.address, *words]
        with trio.fail_after(60):
            done = await trio.run_process(command, capture_stdout=True, **how)
        return str(done.stdout.decode())

    async def get(self, name: str, path: str = MASTER, face: str = "Master") -> Any:
        """The value of a property."""
        answer = await self.call(path, "org.freedesktop.DBus.Properties", "Get", "ss", f"{NAME}.{face}", name)
        assert answer["error"] is None, answer
        return answer["body"][0]

    async def _serve(self, call: str, argument: str) -> dict[str, Any]:
        return await _carry_out(self.engine, call, argument)

    async def _reload(self) -> list[str]:
        return self.problems

    async def _open_inet(self) -> Any:
        return self.kernel.open(strict=True)

    async def _announce(self, *_: Any) -> None:
        raise AssertionError("a bond announces by itself")

    def _complete(self, link: Link) -> Link:
        with suppress(KeyError):
            return replace(link, driver="" if link.kind else self.kernel.driver(link.ifindex))
        return link


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateBus]:
    made = PrivateBus(tmp_path)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", made.address)
    with made:
        yield made


def on_a_machine(bus: PrivateBus, body: Callable[[Machine], Awaitable[None]], is_ready: bool = True) -> Machine:
    found: list[Machine] = []

    async def main() -> None:
        machine = Machine(bus)
        found.append(machine)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_timers, machine.kernel)
            nursery.start_soon(machine.engine.run)
            nursery.start_soon(machine.presence.run)
            if is_ready:
                await machine.ready()
            await body(machine)
            nursery.cancel_scope.cancel()

    trio.run(main)
    return found[0]


async def listener(machine: Machine, *words: str, **how: Any) -> trio.Process:
    """A client that has subscribed to failoverd's signals."""
    command = [sys.executable, str(CLIENT), machine.bus.address, *words]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, **how)
    said = b""
    with trio.fail_after(20):
        while b"ready\n" not in said:
            said += await process.stdout.receive_some()
    return process


async def heard(process: trio.Process) -> list[Any]:
    """The signals it heard until it ended."""
    said = b""
    with trio.fail_after(60):
        async for data in process.stdout:
            said += data
        await process.wait()
    await process.stdout.aclose()
    return [json.loads(line) for line in said.splitlines()]


async def ended(process: trio.Process) -> None:
    process.kill()
    await process.wait()
    await process.stdout.aclose()


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
        process = await listener(machine, "hear", NAME, "FailedOver")
        machine.unplug()
        signals = {(path, member): body for path, _, member, body in await heard(process)}
        assert signals[ROOT, "InterfacesRemoved"] == [f"{ROOT}/slave/3", [f"{NAME}.Slave"]]
        face, changed, invalid = signals[MASTER, "PropertiesChanged"]
        assert (face, invalid) == (f"{NAME}.Master", [])
        assert changed["State"] == "on-standby"
        assert (changed["Active"], changed["Primary"], changed["Failovers"]) == (f"{ROOT}/slave/2", "/", 1)
        old, new, reason, at, silence = signals[MASTER, "FailedOver"]
        assert (old, new, reason) == (f"{ROOT}/slave/3", f"{ROOT}/slave/2", "it was unplugged")
        now = machine.presence._moment(trio.current_time())
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


def test_pairs_are_released_and_adopted_and_refusals_have_names(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        state = machine.engine.state
        assert (await machine.call(MASTER, f"{NAME}.Master", "Release")) == {"error": None, "body": []}
        await machine.until(lambda: state.pairs[MAC].state == "released", "the release")
        again = await machine.call(MASTER, f"{NAME}.Master", "Release")
        assert again["error"] == f"{NAME}.Error.AlreadyReleased"
        assert again["body"][0].startswith(f"Release at {MASTER}: ")
        assert (await machine.call(ROOT, f"{NAME}.Manager", "Adopt", "s", "ens3")) == {"error": None, "body": [MASTER]}
        await machine.until(lambda: state.pairs[MAC].state == "accelerated", "the master")
        for member, error in (("Adopt", "NoSuchPair"), ("Explain", "NoSuchDevice")):
            answer = await machine.call(ROOT, f"{NAME}.Manager", member, "s", "eth9")
            assert answer["error"] == f"{NAME}.Error.{error}"
        rows = (await machine.call(ROOT, f"{NAME}.Manager", "Explain", "s", "ens13"))["body"][0]
        assert [row[:6] for row in rows] == [["ens13", 3, MAC, "vmxnet3", "pci", "paired"]]

    on_a_machine(bus, body)


def test_a_wrong_configuration_is_told_to_who_reloads(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        assert (await machine.call(ROOT, f"{NAME}.Manager", "Reload"))["error"] is None
        machine.problems.append("failoverd.toml:3: no such key")
        answer = await machine.call(ROOT, f"{NAME}.Manager", "Reload")
        assert answer["error"] == f"{NAME}.Error.ConfigurationInvalid"
        assert "failoverd.toml:3: no such key" in answer["body"][0]

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


def test_the_name_comes_when_the_bus_does_and_comes_back(
    bus: PrivateBus, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LONGEST_WAIT", 1.0)
    caplog.set_level("INFO")
    bus.kill()
    bus.socket.unlink()

    async def body(machine: Machine) -> None:
        await machine.until(lambda: MAC in machine.engine.state.pairs, "the pair")
        await machine.until(lambda: machine.engine.state.pairs[MAC].joined, "the master")
        assert not machine.presence.service.is_connected
        bus.start()
        await machine.ready()
        assert await machine.get("State") == "accelerated"
        bus.kill()
        await machine.until(lambda: not machine.presence.service.is_connected, "the loss of the bus")
        machine.unplug()
        await machine.until(lambda: machine.engine.state.pairs[MAC].state == "on-standby", "the failover")
        bus.start()
        await machine.ready()
        assert await machine.get("State") == "on-standby"
        assert await machine.get("Failovers") == 1

    on_a_machine(bus, body, is_ready=False)
    lines = [record.message for record in caplog.records if "bus" in record.message]
    assert 1 <= len([line for line in lines if line.startswith("not on a bus")]) <= 2
    assert len([line for line in lines if line.startswith("the bus is gone")]) == 1
    assert len([line for line in lines if line.startswith("on the bus as")]) == 2


def memory() -> int:
    """Bytes of memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def many(machine: Machine, count: int) -> None:
    for number in range(count):
        machine.presence.signalled(FailedOver("ens3", "a", "b", f"reason {number}", trio.current_time(), MAC, 3, 2))


def test_a_client_that_never_reads_costs_a_bounded_memory(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        process = await listener(machine, "deaf", NAME)
        many(machine, 100)
        await machine.until(lambda: not machine.presence._events, "the first signals")
        before = memory()
        for _ in range(100):
            many(machine, 100)
            await machine.until(lambda: not machine.presence._events, "the signals")
        assert machine.presence.lost == 0
        assert memory() - before < 8 << 20
        assert await machine.get("State") == "accelerated"
        await ended(process)

    on_a_machine(bus, body)


def test_a_bus_that_does_not_read_holds_up_nothing(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        bus.signal(signal.SIGSTOP)
        try:
            before = memory()
            for _ in range(100):
                many(machine, 100)
                await trio.sleep(0.01)
                assert machine.presence.service.queued < BOUND
            machine.unplug()
            await machine.until(lambda: machine.engine.state.pairs[MAC].state == "on-standby", "the failover")
            assert memory() - before < 8 << 20
            assert machine.presence.lost >= 10_000 - EVENTS - BOUND // 100 - 4096
        finally:
            bus.signal(signal.SIGCONT)
        assert await machine.get("State") == "on-standby"

    on_a_machine(bus, body)


def test_a_thousand_mistakes_are_answered_and_fill_no_log(bus: PrivateBus, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    seen: list[int] = []

    async def body(machine: Machine) -> None:
        seen.append(len(caplog.records))
        errors = json.loads(await machine.client("mischief", NAME, "80"))
        assert sum(errors.values()) == 80 * 13
        assert errors == {
            "org.freedesktop.DBus.Error.UnknownMethod": 80 * 5,
            "org.freedesktop.DBus.Error.InvalidArgs": 80 * 2,
            "org.freedesktop.DBus.Error.LimitsExceeded": 80,
            "org.freedesktop.DBus.Error.UnknownProperty": 80,
            "org.freedesktop.DBus.Error.UnknownInterface": 80,
            "org.freedesktop.DBus.Error.PropertyReadOnly": 80,
            "org.freedesktop.DBus.Error.UnknownObject": 80,
            f"{NAME}.Error.NoSuchDevice": 80,
        }
        assert await machine.get("State") == "accelerated"

    on_a_machine(bus, body)
    assert len(caplog.records) - seen[0] <= 5


def test_a_call_that_breaks_is_an_answer_and_one_line(bus: PrivateBus, caplog: pytest.LogCaptureFixture) -> None:
    async def body(machine: Machine) -> None:
        async def broken(_call: str, _argument: str) -> dict[str, Any]:
            raise RuntimeError("broken")

        machine.presence._serve = broken
        answer = await machine.call(ROOT, f"{NAME}.Manager", "Explain", "s", "")
        assert answer["error"] == "org.freedesktop.DBus.Error.Failed"
        assert "broken" not in answer["body"][0]
        assert await machine.get("State") == "accelerated"

        async def refused(_call: str, _argument: str) -> dict[str, Any]:
            raise CallError("a NUL \0 in it")

        machine.presence._serve = refused
        answer = await machine.call(ROOT, f"{NAME}.Manager", "Explain", "s", "")
        assert answer["error"] == f"{NAME}.Error.Failed"
        assert await machine.get("State") == "accelerated"

    on_a_machine(bus, body)
    assert [record.exc_info for record in caplog.records if "failed" in record.message] == [None]


def test_a_mistake_of_ours_ends_neither_the_engine_nor_the_bus_for_good(
    bus: PrivateBus, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbus, "AGAIN", 0.1)
    mistakes = [KeyError("a mistake")]
    right = dbus.objects

    def wrong(*arguments: Any) -> Any:
        if mistakes:
            raise mistakes.pop()
        return right(*arguments)

    monkeypatch.setattr(dbus, "objects", wrong)

    async def body(machine: Machine) -> None:
        await machine.until(lambda: "D-Bus broke down" in caplog.text, "the mistake")
        machine.unplug()
        await machine.until(lambda: machine.engine.state.pairs[MAC].state == "on-standby", "the failover")
        await machine.ready()
        assert await machine.get("State") == "on-standby"

    on_a_machine(bus, body)


def test_a_second_failoverd_waits_for_the_name(bus: PrivateBus, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def body(machine: Machine) -> None:
        second = Machine(bus)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second.presence.run)
            await machine.until(lambda: "belongs to somebody else" in caplog.text, "the refusal")
            assert not second.presence.service.is_connected
            nursery.cancel_scope.cancel()

    on_a_machine(bus, body)


@pytest.mark.skipif(os.getuid() != 0, reason="needs two users")
def test_reading_is_everybodys_and_changing_is_roots(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = tmp_path_factory.mktemp("open")
    for folder in (where, *where.parents[:2]):
        folder.chmod(0o755)
    made = PrivateBus(where, CLOSED + f"<include>{POLICY}</include>")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", made.address)

    async def body(machine: Machine) -> None:
        busctl = ["busctl", f"--address={made.address}"]

        async def as_nobody(*words: str) -> subprocess.CompletedProcess[bytes]:
            command = [*busctl, *words]
            how = {"capture_stdout": True, "capture_stderr": True, "check": False, "user": NOBODY, "group": NOBODY}
            return await trio.run_process(command, **how)

        read = await as_nobody("get-property", NAME, MASTER, f"{NAME}.Master", "State")
        assert read.stdout.strip() == b's "accelerated"', read
        explained = await as_nobody("call", NAME, ROOT, f"{NAME}.Manager", "Explain", "s", "")
        assert explained.returncode == 0, explained
        for path, face, member, *rest in (
            (MASTER, "Master", "Release"),
            (ROOT, "Manager", "Adopt", "s", "ens3"),
            (ROOT, "Manager", "Reload"),
        ):
            refused = await as_nobody("call", NAME, path, f"{NAME}.{face}", member, *rest)
            assert refused.returncode != 0
            assert b"denied" in refused.stderr.lower(), refused
        assert machine.engine.state.pairs[MAC].state == "accelerated"
        assert (await machine.call(MASTER, f"{NAME}.Master", "Release"))["error"] is None

    with made:
        on_a_machine(made, body)
