"""A simulated machine with a pair, its failoverd on a bus that is real, and clients that are not ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import trio
from linksfake import FakeLinks
from privatebus import PrivateBus

from failoverd.config.spec import Config
from failoverd.core.call_answers import CallError
from failoverd.daemon.calls import carry_out
from failoverd.daemon.clock import MonotonicClock
from failoverd.daemon.control import Ask, no_inventory
from failoverd.daemon.dbus.interfaces import ERROR, INTERFACES, NAME, ROOT
from failoverd.daemon.dbus.presence import Presence
from failoverd.daemon.engine import Engine
from failoverd.daemon.linkcalls import CALLED, LinkCalls
from failoverd.daemon.ports import Ports
from failoverd.daemon.speeds import Speeds
from failoverd.daemon.store import MemoryStore
from failoverd.model.links import Link
from failoverd.netlink.transport import EVENTS as LINK_EVENTS
from failoverd_lab.simkernel import SimKernel
from failoverd_lab.simkernel.clockwork import run_timers

MAC = "52:54:00:00:00:01"
MASTER = f"{ROOT}/master/52_54_00_00_00_01"
CLIENT = Path(__file__).with_name("busclient.py")
POLICY = Path(__file__).parents[1] / "units" / "org.failoverd1.conf"
DAEMON, NO_MAC = 1, 65534
"""Users that every system has."""


class Machine:
    """A guest with one pair whose failoverd is on this bus, or will be."""

    def __init__(self, bus: PrivateBus) -> None:
        self.bus = bus
        self.problems: list[str] = []
        self.kernel = SimKernel(trio.current_time, (6, 1))
        self.kernel.plug("ens3", MAC, "virtio", "virtio_net", "virtio0", up=True)
        self.kernel.plug("ens13", MAC, "pci", "vmxnet3", "0000:00")
        self.ask: Ask = no_inventory
        self.links = FakeLinks()
        self.link_calls = LinkCalls(lambda: self.links)
        self.moves: list[tuple[str, ...]] = []
        self.presence = Presence(self._serve, Speeds(lambda _name: 10_000), self._answer, self.link_calls.names)
        ports = Ports(
            self.kernel.open(LINK_EVENTS, receive_buffer=1 << 20),
            self._open_inet,
            self._complete,
            lambda _ifindex: True,
            MemoryStore(),
            self._announce,
            self.presence.signalled,
            self.presence.stepped,
        )
        self.engine = Engine(Config(), ports)

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
        error = str(answer.get("error", ""))
        documented = {(face.name, method.name): method.errors for face in INTERFACES for method in face.methods}
        prefix, _, own = error.rpartition(".")
        assert prefix != ERROR or own in documented.get((interface, member), ()), answer
        return answer

    async def client(self, *words: str, **how: Any) -> str:
        """Run the client to its end and give what it printed."""
        command = [sys.executable, str(CLIENT), self.bus.address, *words]
        with trio.fail_after(60):
            done = await trio.run_process(command, capture_stdout=True, **how)
        return str(done.stdout.decode())

    async def get(self, name: str, path: str = MASTER, interface: str = "Master") -> Any:
        """The value of a property."""
        answer = await self.call(path, "org.freedesktop.DBus.Properties", "Get", "ss", f"{NAME}.{interface}", name)
        assert answer["error"] is None, answer
        return answer["body"][0]

    async def _serve(self, call: str, *arguments: str) -> dict[str, Any]:
        if call == "reload":
            if self.problems:
                raise CallError("; ".join(self.problems), "ConfigurationInvalid")
            return {"changes": ["[failback] hold_down: 2.0 -> 3.0"]}
        if call in ("move", "move-plan"):
            self.moves.append((call, *arguments))
            row = {
                "device": "ens3",
                "kind": "bond",
                "how": "refused",
                "why": "in use",
                "takes": ["2 routes"],
                "leaves": [],
            }
            return {"refused": "in use", "devices": [row]}
        if call in CALLED:
            return await self.link_calls.serve(call, *arguments)
        return await carry_out(self.engine, call, *arguments)

    async def _answer(self, question: str, arguments: Sequence[str]) -> list[bytes]:
        return await self.ask(question, arguments)

    async def _open_inet(self) -> Any:
        return self.kernel.open(strict=True)

    async def _announce(self, *_: Any) -> list[str]:
        return []

    def _complete(self, link: Link) -> Link:
        with suppress(KeyError):
            return replace(link, driver="" if link.kind else self.kernel.driver(link.ifindex))
        return link


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

    trio.run(main, clock=MonotonicClock())
    return found[0]


async def listener(machine: Machine, *words: str, **how: Any) -> trio.Process:
    """A client that has subscribed to failoverd's signals."""
    command = [sys.executable, str(CLIENT), machine.bus.address, *words]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, **how)
    assert process.stdout is not None
    said = b""
    with trio.fail_after(20):
        while b"ready\n" not in said:
            said += await process.stdout.receive_some()
    return process


async def heard(process: trio.Process) -> list[Any]:
    """The signals it heard until it ended."""
    assert process.stdout is not None
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
    assert process.stdout is not None
    await process.stdout.aclose()
