"""What clients can do to a real daemon on a real bus: 10,000 signals that nobody reads, 1,000 calls that are none, and
calls without end, which must not keep an order from being heard.

The daemon runs on this kernel, in a namespace, with veths for NICs; the signals come of real renames.
"""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import trio
from malformed import COST_THE_CONNECTION, REACH_THE_DAEMON, send_a_file
from malformed import call as malformed_call
from privatebus import OPEN, PrivateBus
from privatenet import private_net
from rawbus import RawBus, fields

from failoverd.daemon.journald import BURST, WINDOW
from failoverd.model.requests import Rename
from failoverd_lab import namespaces
from failoverd_lab.netnsstage import Stage, open_stage
from failoverd_lab.story import Nic

pytestmark = pytest.mark.usefixtures("namespaces_are_to_be_had")

MAC = "52:54:00:fa:11:01"
PV, VF = Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC)
RENAMES, CALLS = 10_000, 1_000
MOST_MEMORY = 60 << 20
MOST_LINES = 12
"""Lines of the log that all of it may cost: five in a minute for each kind of complaint."""
NAME, ROOT = "org.failoverd1", "/org/failoverd1"
BUS_NAME, MASTER = NAME.encode(), f"{ROOT}/master/{MAC.replace(':', '_')}".encode()
FLOOD = Path(__file__).parents[2] / "busflood.py"
FLOODED, HEARD = 4.0, 10.0
"""Seconds after which an order comes into a flood, and within which it is carried out."""


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[PrivateBus]:
    with PrivateBus(tmp_path) as made:
        yield made


Test = Callable[[Stage, PrivateBus], Awaitable[None]]


def with_a_pair(test: Test) -> Callable[[PrivateBus], None]:
    """Run a test with a joined pair, whose daemon is on the bus, in a process of its own."""

    async def main(bus: PrivateBus) -> None:
        with trio.fail_after(120):
            async with open_stage([PV, VF], bus=bus.address) as stage:
                await stage.plug("pv")
                await stage.configure("pv")
                await stage.plug("vf")
                await stage.daemon.start()
                await joined(stage, bus)
                await test(stage, bus)

    @functools.wraps(test)
    def run(bus: PrivateBus) -> None:
        namespaces.enter()
        trio.run(main, bus)

    del run.__wrapped__
    return private_net(run)


async def joined(stage: Stage, bus: PrivateBus) -> None:
    """Wait until the bus says so."""
    with trio.move_on_after(20):
        while "accelerated" not in state(bus):
            await trio.sleep(0.05)
        return
    raise AssertionError(f"the pair is not joined, or the bus does not say so: {stage.daemon.log}")


def state(bus: PrivateBus) -> str:
    """The master's state, by a client that is not ours; "" before there is one."""
    place = (NAME, f"{ROOT}/master/{MAC.replace(':', '_')}", f"{NAME}.Master", "State")
    command = ["busctl", f"--address={bus.address}", "get-property", *place]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout


def memory(stage: Stage) -> int:
    """The daemon's resident memory in bytes."""
    return int(Path(f"/proc/{stage.daemon.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def lines(stage: Stage) -> int:
    """How many the log has."""
    return len(stage.daemon.log.splitlines())


@with_a_pair
async def test_ten_thousand_renames_while_a_subscriber_reads_nothing(stage: Stage, bus: PrivateBus) -> None:
    rule = b"type='signal',sender='org.failoverd1'"
    with RawBus(str(bus.socket)) as deaf, RawBus(str(bus.socket)) as hearing:
        deaf.subscribe(rule)
        hearing.subscribe(rule + b",member='LinkRenamed'")
        before = lines(stage)
        names = itertools.cycle(("vf-a", "vf-b"))
        began = trio.current_time()
        for _ in range(RENAMES // 100):
            for _ in range(100):
                await stage.guest.ask(Rename(stage.ifindexes["vf"], next(names)))
            await trio.to_thread.run_sync(hearing.count, b"LinkRenamed\0", 100)
        took, used, said = trio.current_time() - began, memory(stage), lines(stage) - before
        print(f"{RENAMES} renames in {took:.1f} s; {used / 2**20:.1f} MiB; {said} lines")
        assert "accelerated" in state(bus)
        assert used < MOST_MEMORY
        assert said <= MOST_LINES + BURST * (1 + took / WINDOW), stage.daemon.log[-3000:]


@with_a_pair
async def test_a_thousand_calls_that_are_none(stage: Stage, bus: PrivateBus) -> None:
    before = lines(stage)
    path = str(bus.socket)
    kinds = [*REACH_THE_DAEMON.values(), *COST_THE_CONNECTION.values()]
    for number in range(-(-CALLS // len(kinds))):
        with RawBus(path) as client:
            for header, body, how in REACH_THE_DAEMON.values():
                client.send(header, body, **how)
            assert not client.is_hung_up()
        for what, (header, body, how) in COST_THE_CONNECTION.items():
            with RawBus(path) as client:
                client.send(header, body, **how)
                assert number or client.is_hung_up(), what
        send_a_file(path)
        await trio.lowlevel.checkpoint()
    used, said = memory(stage), lines(stage) - before
    print(f"{CALLS} malformed calls; {used / 2**20:.1f} MiB; {said} lines")
    assert "accelerated" in state(bus)
    assert used < MOST_MEMORY
    assert said <= MOST_LINES, stage.daemon.log[-3000:]


@pytest.mark.parametrize("kind", ["quiet", "signals", "hungry", "many"])
def test_an_order_is_heard_through_a_flood(bus: PrivateBus, kind: str) -> None:
    @with_a_pair
    async def flooded(stage: Stage, bus: PrivateBus) -> None:
        flood = subprocess.Popen([sys.executable, FLOOD, str(bus.socket), kind], stdout=subprocess.PIPE)
        assert flood.stdout is not None
        try:
            assert await trio.to_thread.run_sync(flood.stdout.readline) == b"begun\n"
            before, began = cpu(stage), trio.current_time()
            await trio.sleep(FLOODED)
            took = []
            with RawBus(str(bus.socket)) as client:
                for member, signature, body in ((b"Drain", b"u", struct.pack("<I", 60)), (b"Undrain", b"", b"")):
                    asked = trio.current_time()
                    header = fields(
                        path=MASTER, interface=b"org.failoverd1.Master", member=member, destination=BUS_NAME
                    )
                    client.send(header + (fields(signature=signature) if signature else []), body)
                    await trio.to_thread.run_sync(client.reply)
                    took.append(trio.current_time() - asked)
            share = (cpu(stage) - before) / (trio.current_time() - began)
            print(f"{kind}: Drain {took[0]:.2f} s, Undrain {took[1]:.2f} s, {share:.2f} of a CPU")
            assert max(took) < HEARD
        finally:
            flood.kill()
            flood.wait()
            flood.stdout.close()

    flooded(bus)


@pytest.mark.skipif(os.geteuid() != 0, reason="two users are needed to tell them apart")
def test_roots_question_has_a_place_beside_a_user_with_many_connections() -> None:
    """A connection's first call comes before it is known whose it is."""

    @with_a_pair
    async def flooded(stage: Stage, bus: PrivateBus) -> None:
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, str(FLOOD)]
        flood = subprocess.Popen([*command, str(bus.socket), "many"], stdout=subprocess.PIPE)
        assert flood.stdout is not None
        try:
            assert await trio.to_thread.run_sync(flood.stdout.readline) == b"begun\n"
            await trio.sleep(1.0)
            for _ in range(5):
                with RawBus(str(bus.socket)) as client:
                    header, body, how = malformed_call(b"Explain", b"s", struct.pack("<I", 0) + b"\0")
                    client.send(header, body, **how)
                    answer = await trio.to_thread.run_sync(client.reply)
                    assert b"LimitsExceeded" not in answer
                    assert b"virtio" in answer
        finally:
            flood.kill()
            flood.wait()
            flood.stdout.close()

    where = Path(tempfile.mkdtemp(prefix="failoverd-test-"))
    where.chmod(0o755)
    try:
        with PrivateBus(where, OPEN + '<policy context="default"><allow user="*"/></policy>') as bus:
            flooded(bus)
    finally:
        shutil.rmtree(where)


def cpu(stage: Stage) -> float:
    """Seconds of CPU the daemon has used."""
    user, system = Path(f"/proc/{stage.daemon.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
