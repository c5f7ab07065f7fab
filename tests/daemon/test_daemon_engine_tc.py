"""The engine where traffic control joins the pair: looking at the carrier, announcing, and ending safely."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Mapping

import pytest
import trio
from test_daemon_engine import FIRST, Machine, causes, joined, on_a_machine
from trio.testing import MockClock

from failoverd.config.spec import Announce, Config, Failback, Master, Tc
from failoverd.core.call_answers import CallError
from failoverd.core.state import State
from failoverd.daemon.background import Background
from failoverd.daemon.calls import carry_out
from failoverd.daemon.ports import nothing
from failoverd.model.actions import Announce as Asked
from failoverd.model.events import Event
from failoverd.model.signals import FailedOver
from failoverd.netlink.fetch import InterruptedDumpError
from failoverd.netlink.frames import NetlinkError
from failoverd.netlink.transport import KernelSocket

TC = Config(master=Master(datapath="tc"), failback=Failback(hold_down=0.2))
RTM_GETLINK = 18


def carried_by(bus: str) -> Callable[[State], bool]:
    """Whether the one pair's traffic goes by its NIC on this bus."""

    def is_so(state: State) -> bool:
        found = state.judgements.pairs.get(FIRST)
        active = state.link(state.active(found)) if found is not None else None
        return active is not None and active.bus == bus

    return is_so


async def accelerated(machine: Machine) -> int:
    """Wait until the VF carries; its ifindex."""
    await machine.until(joined(FIRST))
    await machine.until(carried_by("pci"))
    return machine.engine.state.judgements.pairs[FIRST].vf


def test_a_lost_carrier_is_found_by_looking_and_not_when_the_kernel_tells_of_it() -> None:
    """After another device's event the kernel keeps one for up to a second (net/core/link_watch.c)."""

    async def body(machine: Machine) -> None:
        vf = await accelerated(machine)
        other = machine.kernel.plug("ens20", "52:54:00:00:00:09", "pci", "vmxnet3", "0000:20", up=True)
        await machine.until(lambda state: other in state.links)
        machine.kernel.set_medium(other, False)
        await trio.sleep(0.15)
        machine.kernel.set_medium(vf, False)
        before = trio.current_time()
        await machine.until(carried_by("virtio"))
        assert trio.current_time() - before <= 2 * TC.tc.carrier_poll
        (signal,) = [one for one in machine.signals if isinstance(one, FailedOver) and one.new == "ens3"]
        assert signal.reason == "the VF cannot carry: it has no carrier"

    on_a_machine(body, config=TC)


def test_it_looks_only_while_the_vf_carries() -> None:
    async def body(machine: Machine) -> None:
        vf = await accelerated(machine)
        machine.link_socket.asked.clear()
        await trio.sleep(1)
        looks = machine.link_socket.asked.count(RTM_GETLINK)
        assert looks == pytest.approx(1 / TC.tc.carrier_poll, rel=0.1)
        machine.kernel.set_medium(vf, False)
        await machine.until(carried_by("virtio"))
        machine.link_socket.asked.clear()
        await trio.sleep(1)
        assert machine.link_socket.asked == []

    on_a_machine(body, config=TC)


def test_what_the_looking_brings_is_not_a_step_each_time() -> None:
    """An answer like the last one changes nothing and wakes nobody but the engine."""

    async def body(machine: Machine) -> None:
        await accelerated(machine)
        await trio.sleep(1)
        assert machine.engine.state.pairs[FIRST].failovers.count == 1

    on_a_machine(body, config=TC)


def test_every_switch_is_announced_so_many_times(caplog: pytest.LogCaptureFixture) -> None:
    config = Config(master=TC.master, failback=TC.failback, announce=Announce(times=3))

    async def body(machine: Machine) -> None:
        vf = await accelerated(machine)
        await trio.sleep(1)
        machine.announced.clear()
        machine.announce_says = ["no way out", OSError(errno.EIO, "no"), NetlinkError("odd")]
        machine.kernel.unplug(vf)
        await machine.until(carried_by("virtio"))
        switched = trio.current_time()
        await trio.sleep(1)
        nic = machine.engine.state.judgements.pairs[FIRST].nic
        # The last of the three was none, so there is another one.
        assert [devices for _, devices in machine.announced] == [{nic: FIRST}] * 4
        assert [at - switched for at, _ in machine.announced] == pytest.approx([0, 0.1, 0.2, 0.4], abs=0.01)

    on_a_machine(body, config=config)
    assert "the neighbours may send to the wrong NIC for a while: no way out" in caplog.text
    assert "the addresses cannot be announced: [Errno 5] no" in caplog.text
    assert "the addresses cannot be announced: odd" in caplog.text


def test_an_announcement_goes_on_until_it_is_one_or_there_is_a_newer_one() -> None:
    """A drain does not end before: the VF is pulled then."""
    config = Config(master=TC.master, failback=TC.failback, announce=Announce(times=1))

    async def body(machine: Machine) -> None:
        vf = await accelerated(machine)
        await trio.sleep(1)
        machine.announced.clear()
        begun = trio.current_time()
        machine.announce_says = [InterruptedDumpError("odd")] * 4
        document = await carry_out(machine.engine, "drain", str(vf))
        assert document["active"] == machine.engine.state.name(machine.engine.state.judgements.pairs[FIRST].nic)
        assert len(machine.announced) == 5
        assert trio.current_time() - begun == pytest.approx(0.2 + 0.4 + 0.8 + 1.6, abs=0.2)
        machine.announce_says = [InterruptedDumpError("odd")] * 100
        await carry_out(machine.engine, "undrain", FIRST)
        await machine.until(carried_by("pci"))
        await trio.sleep(20)
        machine.announce_says.clear()
        assert machine.engine.state.pairs[FIRST].heard.announcing == 1
        await trio.sleep(6)
        assert machine.engine.state.pairs[FIRST].heard.announcing == 0
        machine.announce_says = [InterruptedDumpError("odd")] * 100
        with pytest.raises(CallError, match="not come true"):
            await carry_out(machine.engine, "drain", FIRST)
        await trio.sleep(60)
        assert machine.engine.state.pairs[FIRST].heard.announcing == 0
        with pytest.raises(CallError, match="carries, but the neighbours could not be told, see the log; keep the VF"):
            await carry_out(machine.engine, "drain", FIRST)

    on_a_machine(body, config=config)


def test_an_announcement_that_breaks_down_costs_that_one_alone(caplog: pytest.LogCaptureFixture) -> None:
    """And is said once for each kind, with its place."""
    config = Config(master=TC.master, failback=TC.failback, announce=Announce(times=5))

    async def body(machine: Machine) -> None:
        vf = await accelerated(machine)
        await trio.sleep(1)
        machine.announced.clear()
        machine.announce_says = [ValueError("odd"), ValueError("odder"), LookupError("none"), ValueError("oddest")]
        machine.kernel.unplug(vf)
        await machine.until(carried_by("virtio"))
        await trio.sleep(1)
        assert len(machine.announced) == 5
        assert not machine.engine.state.pairs[FIRST].heard.announcing
        machine.kernel.plug("ens14", FIRST, "pci", "vmxnet3", "0000:09")
        await machine.until(carried_by("pci"))

    with caplog.at_level(logging.INFO, "failoverd"):
        on_a_machine(body, config=config)
    broken = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info and record.exc_info[0] for record in broken] == [ValueError, LookupError]
    assert all("the neighbours may send to the wrong NIC" in record.message for record in broken)
    assert "in announce" in caplog.text


def test_an_end_goes_through_an_announcement() -> None:
    """Survived is what fails, not what ends the engine."""

    async def main() -> None:
        async def announce(_devices: Mapping[int, str], _ports: Mapping[int, int]) -> list[str]:
            if interrupted:
                raise KeyboardInterrupt
            await trio.sleep_forever()

        async def tell(_event: Event) -> None:
            raise AssertionError("it was not done")

        async def open_inet() -> KernelSocket:
            raise AssertionError("nobody asked")

        with trio.move_on_after(1) as scope:
            async with trio.open_nursery() as nursery:
                Background(nursery, open_inet, announce, nothing).do(Asked(FIRST, ((2, FIRST),), 1), tell)
        assert scope.cancelled_caught

    interrupted = False
    trio.run(main, clock=MockClock(autojump_threshold=0))
    interrupted = True
    with pytest.raises((KeyboardInterrupt, BaseExceptionGroup)) as caught:
        trio.run(main)
    assert [type(cause) for cause in causes(caught.value)] == [KeyboardInterrupt]


def test_an_end_leads_the_traffic_to_where_it_needs_nobody() -> None:
    """And waits until the neighbours have been told."""

    async def body(machine: Machine) -> None:
        await accelerated(machine)
        await trio.sleep(1)
        machine.announced.clear()
        machine.announce_takes = 0.3
        before = trio.current_time()
        await machine.engine.retire()
        assert trio.current_time() - before == pytest.approx(0.3, abs=0.02)
        assert len(machine.announced) == 1
        assert not machine.engine.state.at_risk()
        nic = machine.engine.state.judgements.pairs[FIRST].nic
        assert machine.kernel.carries(nic) == nic
        await trio.sleep(5)
        assert carried_by("virtio")(machine.engine.state), "and not back again"

    on_a_machine(body, config=TC)


def test_an_end_takes_no_time_where_all_is_safe() -> None:
    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        await trio.sleep(3)
        before = trio.current_time()
        await machine.engine.retire()
        assert trio.current_time() == before
        assert carried_by("pci")(machine.engine.state)

    on_a_machine(body, config=Config())


def test_an_end_does_not_wait_for_ever() -> None:
    """Where nobody but the VF can carry, there is nothing better than to leave it."""

    async def body(machine: Machine) -> None:
        await accelerated(machine)
        machine.kernel.set_medium(machine.engine.state.judgements.pairs[FIRST].nic, False)
        await trio.sleep(2)
        before = trio.current_time()
        await machine.engine.retire()
        assert trio.current_time() - before == pytest.approx(1.0, abs=0.05)
        assert machine.engine.state.at_risk()

    on_a_machine(body, config=TC)


def test_addresses_that_cannot_be_read_are_said(caplog: pytest.LogCaptureFixture) -> None:
    async def body(machine: Machine) -> None:
        machine.announce_says = [InterruptedDumpError("the routing tables keep changing")]
        await accelerated(machine)
        await trio.sleep(1)

    on_a_machine(body, config=TC)
    assert "the addresses cannot be announced: the routing tables keep changing" in caplog.text


def test_the_period_is_the_configured_one() -> None:
    slow = Config(master=TC.master, failback=TC.failback, tc=Tc(carrier_poll=0.25))

    async def body(machine: Machine) -> None:
        await accelerated(machine)
        machine.link_socket.asked.clear()
        await trio.sleep(1)
        assert machine.link_socket.asked.count(RTM_GETLINK) == 4

    on_a_machine(body, config=slow)
