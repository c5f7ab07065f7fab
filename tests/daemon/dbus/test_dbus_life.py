"""The bus comes, goes, hangs and breaks, and so does what is ours of it; failing over goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import trio
from busmachine import MAC, Machine, ended, heard, listener, on_a_machine
from privatebus import CLOSED, OPEN, PrivateBus

from failoverd.bus import service
from failoverd.bus.connection import BOUND
from failoverd.daemon.dbus import objects, presence
from failoverd.daemon.dbus.interfaces import NAME
from failoverd.daemon.dbus.presence import EVENTS
from failoverd.model.signals import FailedOver


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


def test_clients_hear_of_changes_also_where_the_name_was_denied_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a package's installation: the bus learns of the policy when the service runs already. Whoever waits for the
    bus while it is asked in vain must be woken when it gives the name."""
    denials = 0
    words = service.Service._denied

    def counted(one: service.Service) -> str:
        nonlocal denials
        denials += 1
        return words(one)

    monkeypatch.setattr(service.Service, "_denied", counted)
    denied = PrivateBus(tmp_path, CLOSED)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", denied.address)

    async def body(machine: Machine) -> None:
        await machine.until(lambda: denials > 2, "some refusals")
        denied.allow(OPEN)
        await machine.ready()
        process = await listener(machine, "hear", NAME, "FailedOver")
        machine.unplug()
        assert [member for _, _, member, _ in await heard(process) if member == "FailedOver"] == ["FailedOver"]

    with denied:
        on_a_machine(denied, body, is_ready=False)


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


def test_what_waited_for_a_bus_that_is_gone_is_not_told_to_the_next(
    bus: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    emit = service.Service.emit

    def noted(one: service.Service, message: Any) -> None:
        told.extend(str(body) for body in message.body if message.member == "FailedOver")
        emit(one, message)

    async def body(machine: Machine) -> None:
        presence = machine.presence
        bus.signal(signal.SIGSTOP)
        while not presence.lost:
            many(machine, 100)
            await trio.sleep(0.01)
        bus.kill()
        await machine.until(lambda: not presence.service.is_connected, "the loss of the bus")
        monkeypatch.setattr(service.Service, "emit", noted)
        bus.start()
        await machine.ready()
        machine.unplug()
        await machine.until(lambda: told and not presence._events, "the failover on the new bus")
        assert [words for words in told if words.startswith("reason ")] == []

    on_a_machine(bus, body)


def test_a_mistake_of_ours_ends_neither_the_engine_nor_the_bus_for_good(
    bus: PrivateBus, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "AGAIN", 0.1)
    mistakes = [KeyError("a mistake")]
    right = objects.objects

    def wrong(*arguments: Any) -> Any:
        if mistakes:
            raise mistakes.pop()
        return right(*arguments)

    monkeypatch.setattr(presence, "objects", wrong)

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
            await machine.until(lambda: "belongs to another program" in caplog.text, "the refusal")
            assert not second.presence.service.is_connected
            nursery.cancel_scope.cancel()

    on_a_machine(bus, body)
