"""--dry-run on a simulated kernel: it begins with all that a start begins with."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
import trio
from test_daemon_engine import FIRST, Machine, joined, on_a_machine
from trio.testing import MockClock

from failoverd.config.spec import Config
from failoverd.daemon.calls import carry_out
from failoverd.daemon.dryrun import foresee
from failoverd.daemon.store import MemoryStore
from failoverd.model.events import UdevDone
from failoverd.model.links import Link
from failoverd.netlink.transport import Transport
from failoverd_lab.simkernel import SimKernel


async def plan(machine: Machine, store: MemoryStore) -> list[str]:
    opened = machine.kernel.open(strict=True)
    now = trio.current_time()
    found = await foresee(Config(), opened, machine.open_inet, machine.complete, store, lambda _nic, _name: "", now)
    lines = found.lines
    return lines[lines.index("") + 1 :]


def test_a_drain_is_not_forgotten() -> None:
    """Without it the plan would be to give the traffic back to a VF that somebody is about to pull."""

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        await machine.until(lambda _state: machine.states() == {FIRST: "accelerated"})
        await carry_out(machine.engine, "drain", FIRST)
        assert machine.store.kept.drains.keys() == {FIRST}
        await trio.sleep(10)
        assert await plan(machine, machine.store) == ["nothing to do"]
        forgetful = MemoryStore()
        forgetful.kept.memory.update(machine.store.kept.memory)
        assert await plan(machine, forgetful) != ["nothing to do"]

    on_a_machine(body)


def test_what_was_released_stays_so_and_what_is_not_here_is_no_trouble() -> None:
    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        await carry_out(machine.engine, "release", FIRST)
        await machine.until(lambda state: not state.pairs[FIRST].joined)
        await trio.sleep(5)
        machine.store.kept.memory["52:54:00:00:00:77"] = "released"
        assert await plan(machine, machine.store) == ["nothing to do"]

    on_a_machine(body)


def test_what_is_said_is_what_the_daemon_then_does(caplog: pytest.LogCaptureFixture) -> None:
    """Request by request; the kernel says yes to each."""

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        await carry_out(machine.engine, "release", FIRST)
        await machine.until(lambda state: not state.pairs[FIRST].joined)
        await trio.sleep(5)
        said = await plan(machine, MemoryStore())
        caplog.set_level(logging.DEBUG, "failoverd")
        caplog.clear()
        await carry_out(machine.engine, "adopt", FIRST)
        await machine.until(lambda _state: machine.states() == {FIRST: "accelerated"})
        await trio.sleep(10)
        done = [line.removeprefix(f"{FIRST}: ") for line in caplog.messages]
        requests = [line for line in done if line[0] == " "]
        # The log has the names from before a datagram.
        renamed = requests.index("  rename fo525400000001 to ens3") + 1
        requests[renamed:] = [line.replace("fo525400000001", "ens3") for line in requests[renamed:]]
        assert [line for line in said if line[0] == " "] == requests

    on_a_machine(body)


def test_it_knows_the_name_that_the_configuration_has_for_the_pair() -> None:
    """The kernel has called the VF eth0 at this boot, and the network's configuration means the machine's one NIC."""

    async def body() -> None:
        kernel = SimKernel(trio.current_time, (6, 1))
        kernel.plug("eth1", FIRST, "virtio", "virtio_net", "virtio0")
        kernel.plug("eth0", FIRST, "pci", "mlx5_core", "0000:01")

        def complete(link: Link) -> Link:
            return replace(link, driver="" if link.kind else kernel.driver(link.ifindex))

        async def open_inet() -> Transport:
            return kernel.open(strict=True)

        async def plan(**known: Any) -> str:
            store, now = MemoryStore(), trio.current_time()
            opened = kernel.open(strict=True)
            found = await foresee(Config(), opened, open_inet, complete, store, lambda _nic, _name: "", now, **known)
            return "\n".join(found.lines)

        def by_the_kernel(ifindex: int, name: str) -> UdevDone:
            return UdevDone(ifindex, "", name.startswith("eth"))

        assert "to eth1" in await plan()
        assert "to eth0" in await plan(words=frozenset({"iface", "eth0"}), udev=by_the_kernel)

    trio.run(body, clock=MockClock(autojump_threshold=0))
