"""What can be asked of failoverd over D-Bus, and how it is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from busmachine import MAC, MASTER, Machine, heard, listener, on_a_machine
from privatebus import PrivateBus
from rawbus import RawBus, fields, text

from failoverd.bus.call_limits import CALLS_OF_ONE
from failoverd.core.call_answers import CallError
from failoverd.core.calls import CALLS
from failoverd.daemon.calls import carry_out
from failoverd.daemon.dbus.calls import DOINGS
from failoverd.daemon.dbus.interfaces import INTERFACES, INVENTORY, LINK, NAME, ROOT


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
        assert (await machine.call(ROOT, f"{NAME}.Manager", "Reload"))["body"] == [["[failback] hold_down: 2.0 -> 3.0"]]
        machine.problems.append("failoverd.toml:3: no such key")
        answer = await machine.call(ROOT, f"{NAME}.Manager", "Reload")
        assert answer["error"] == f"{NAME}.Error.ConfigurationInvalid"
        assert "failoverd.toml:3: no such key" in answer["body"][0]

    on_a_machine(bus, body)


def test_a_drain_ends_when_the_vf_is_told_to_carry(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        async def tell(member: str, *rest: Any) -> Any:
            answer = await machine.call(MASTER, f"{NAME}.Master", member, *rest)
            assert answer["error"] is None, answer
            return await machine.get("Active")

        assert (await machine.get("Drained"), await machine.get("DrainEnds")) == (False, 0)
        now = trio.current_time()
        assert await tell("Drain", "u", 60) == f"{ROOT}/slave/2"
        assert await machine.get("Drained")
        assert now + 60 <= await machine.get("DrainEnds") < now + 90
        assert await tell("SwitchTo", "o", f"{ROOT}/slave/3") == f"{ROOT}/slave/3"
        assert not await machine.get("Drained")
        assert await tell("SwitchTo", "o", f"{ROOT}/slave/2") == f"{ROOT}/slave/2"
        assert (await machine.get("Drained"), await machine.get("DrainEnds")) == (True, 0)
        await tell("Undrain")
        await tell("ResetDamping")
        assert not await machine.get("Drained")

    on_a_machine(bus, body)


def test_what_cannot_be_ordered_is_refused_by_name(bus: PrivateBus) -> None:
    wrong: list[tuple[str, tuple[Any, ...], str]] = [
        ("Undrain", (), "NotDrained"),
        ("Drain", ("u", 4_000_000_000), "BadArgument"),
        ("SwitchTo", ("o", f"{ROOT}/slave/77"), "NoSuchSlave"),
        ("SwitchTo", ("o", MASTER), "NoSuchSlave"),
        ("SwitchTo", ("o", "/"), "NoSuchSlave"),
    ]
    names: list[tuple[tuple[str, str], str]] = [
        (("ens13", "a/b"), "InvalidName"),
        (("ens13", "ens3"), "NameTaken"),
        (("eth9", "new"), "NoSuchPair"),
    ]

    async def body(machine: Machine) -> None:
        for member, rest, error in wrong:
            answer = await machine.call(MASTER, f"{NAME}.Master", member, *rest)
            assert answer["error"] == f"{NAME}.Error.{error}", (member, answer)
        for words, error in names:
            answer = await machine.call(ROOT, f"{NAME}.Manager", "RenameLink", "ss", *words)
            assert answer["error"] == f"{NAME}.Error.{error}", (words, answer)
        machine.unplug()
        await machine.until(lambda: machine.engine.state.pairs[MAC].state == "on-standby", "the failover")
        answer = await machine.call(MASTER, f"{NAME}.Master", "SwitchTo", "o", f"{ROOT}/slave/3")
        assert answer["error"] == f"{NAME}.Error.NoSuchSlave"

    on_a_machine(bus, body)


def test_a_rename_is_answered_when_it_is_so(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        process = await listener(machine, "hear", NAME, "Renamed")
        answer = await machine.call(ROOT, f"{NAME}.Manager", "RenameLink", "ss", "ens13", "vf0")
        assert answer["error"] is None, answer
        assert await machine.get("Name", f"{ROOT}/slave/3", "Slave") == "vf0"
        assert (f"{ROOT}/slave/3", ["ens13", "vf0"]) in [(path, body[:2]) for path, _, _, body in await heard(process)]

    on_a_machine(bus, body)


def test_calls_that_wait_hold_up_nobody_and_do_not_pile_up(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        comes_true, waiting = trio.Event(), 0

        async def slow(call: str, *arguments: str) -> dict[str, Any]:
            nonlocal waiting
            if call == "rename":
                waiting += 1
                await comes_true.wait()
                return {}
            return await carry_out(machine.engine, call, *arguments)

        machine.presence._serve = slow
        with RawBus(str(bus.socket)) as client:
            rename = fields(
                path=ROOT.encode(),
                interface=f"{NAME}.Manager".encode(),
                member=b"RenameLink",
                destination=NAME.encode(),
                signature=b"ss",
            )
            for _ in range(20):
                client.send(rename, text(b"aaa") + text(b"b"))
            await trio.to_thread.run_sync(client.count, b"Error.LimitsExceeded\0", 20 - CALLS_OF_ONE)
            await machine.until(lambda: waiting == CALLS_OF_ONE, "the calls that wait")
            assert await machine.get("State") == "accelerated"
            assert (await machine.call(ROOT, f"{NAME}.Manager", "Explain", "s", ""))["error"] is None
            machine.unplug()
            await machine.until(lambda: machine.engine.state.pairs[MAC].state == "on-standby", "the failover")
            comes_true.set()
            await machine.until(lambda: not machine.presence.service.under_way, "the end of the calls")

    on_a_machine(bus, body)


def test_a_move_is_planned_and_made_by_its_pair(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        planned = await machine.call(MASTER, f"{NAME}.Master", "PlanMove", "s", "web")
        assert planned["body"] == ["in use", [["ens3", "bond", "refused", "in use", ["2 routes"], []]]]
        for namespace in ("pid:4711", ""):
            assert (await machine.call(MASTER, f"{NAME}.Master", "Move", "s", namespace))["error"] is None
        mac = machine.moves[0][1]
        assert machine.moves == [("move-plan", mac, "web"), ("move", mac, "pid:4711"), ("move", mac)]

    on_a_machine(bus, body)


def test_every_call_of_the_table_can_be_made_and_changes_what_it_says() -> None:
    # Those two have calls of their own (test_dbus_links.py, test_dbus_inventory.py).
    calling = [interface for interface in INTERFACES if interface not in (INVENTORY, LINK)]
    made = {DOINGS[method.name].call: method.changes for interface in calling for method in interface.methods}
    # attach and detach are for failoverd-cni, which has no bus.
    beside = {"status", "attach", "detach"}
    mine = {name: call for name, call in CALLS.items() if name not in beside and not name.startswith("links")}
    assert made == {name: call.changes for name, call in mine.items()}


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
        async def broken(call: str, *arguments: str) -> dict[str, Any]:
            raise RuntimeError("broken")

        machine.presence._serve = broken
        answer = await machine.call(ROOT, f"{NAME}.Manager", "Explain", "s", "")
        assert answer["error"] == "org.freedesktop.DBus.Error.Failed"
        assert "broken" not in answer["body"][0]
        assert await machine.get("State") == "accelerated"

        async def refused(call: str, *arguments: str) -> dict[str, Any]:
            raise CallError("a NUL \0 in it")

        machine.presence._serve = refused
        answer = await machine.call(ROOT, f"{NAME}.Manager", "Explain", "s", "")
        assert answer["error"] == f"{NAME}.Error.Failed"
        assert await machine.get("State") == "accelerated"

    on_a_machine(bus, body)
    assert [record.exc_info for record in caplog.records if "failed" in record.message] == [None]
