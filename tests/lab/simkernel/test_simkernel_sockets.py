"""Sockets and time of the simulated kernel, where the real one cannot be made to show it."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from failoverd_lab.simkernel import SimKernel, SimSocket, inetmsg, linkmsg, run_timers, wire
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.timers import Timers

LINKS = 1 << (n.RTNLGRP_LINK - 1)
MAC = "52:54:00:fa:11:01"


def with_kernel(body: Callable[[SimKernel], Awaitable[None]], release: tuple[int, int] = (6, 1)) -> None:
    """Run a test with a kernel whose time passes."""

    async def main() -> None:
        kernel = SimKernel(trio.current_time, release)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_timers, kernel)
            await body(kernel)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))


def plug(kernel: SimKernel, name: str, up: bool = True) -> int:
    return kernel.plug(name, MAC, "pci", "vmxnet3", "0000:02:00.0", up=up)


async def flags_told(sock: SimSocket, ifindex: int) -> tuple[float, int]:
    """When the next message about this device came, and its flags."""
    while True:
        (message,) = wire.messages(await sock.recv())
        _, _, index, flags, _ = linkmsg.IFINFO.unpack_from(message.body)
        if index == ifindex:
            return trio.current_time(), flags


def get_link(ifindex: int) -> bytes:
    return wire.Message(n.RTM_GETLINK, n.NLM_F_REQUEST, 1, 0, linkmsg.IFINFO.pack(0, 0, ifindex, 0, 0)).pack()


def test_a_carrier_loss_after_an_unrelated_one_is_told_late() -> None:
    async def body(kernel: SimKernel) -> None:
        first, second = plug(kernel, "eth0"), plug(kernel, "eth1")
        await trio.sleep(5)
        sock = kernel.open(LINKS)
        start = trio.current_time()
        kernel.set_medium(first, False)
        assert (await flags_told(sock, first))[0] == start
        await trio.sleep(0.1)
        kernel.set_medium(second, False)
        at, flags = await flags_told(sock, second)
        assert at - start == pytest.approx(1.0)
        assert not flags & n.IFF_LOWER_UP

    with_kernel(body)


def test_a_carrier_that_comes_back_is_told_at_once() -> None:
    async def body(kernel: SimKernel) -> None:
        nic = plug(kernel, "eth0")
        await trio.sleep(5)
        sock = kernel.open(LINKS)
        kernel.set_medium(nic, False)
        await flags_told(sock, nic)
        await trio.sleep(0.1)
        start = trio.current_time()
        kernel.set_medium(nic, True)
        at, flags = await flags_told(sock, nic)
        assert (at, bool(flags & n.IFF_LOWER_UP)) == (start, True)

    with_kernel(body)


@pytest.mark.parametrize(("release", "wait"), [((6, 1), 0.9), ((6, 12), 0.0)])
def test_asking_for_the_link_tells_a_waiting_carrier_loss_from_6_8_on(release: tuple[int, int], wait: float) -> None:
    async def body(kernel: SimKernel) -> None:
        first, second = plug(kernel, "eth0"), plug(kernel, "eth1")
        await trio.sleep(5)
        sock, asking = kernel.open(LINKS), kernel.open()
        kernel.set_medium(first, False)
        await trio.sleep(0.1)
        kernel.set_medium(second, False)
        start = trio.current_time()
        await asking.send(get_link(second))
        (answer,) = wire.messages(await asking.recv())
        assert not linkmsg.IFINFO.unpack_from(answer.body)[3] & n.IFF_LOWER_UP
        assert (await flags_told(sock, second))[0] - start == pytest.approx(wait)

    with_kernel(body, release)


def test_hardware_says_where_it_is_plugged_and_what_its_mac_was() -> None:
    async def body(kernel: SimKernel) -> None:
        nic = plug(kernel, "eth0", up=False)
        kernel.admin.set_mac(nic, "02:00:00:00:00:99")
        sock = kernel.open()
        await sock.send(get_link(nic))
        (answer,) = wire.messages(await sock.recv())
        attrs = wire.table(answer.body[linkmsg.IFINFO.size :])
        assert wire.mac_text(attrs[n.IFLA_PERM_ADDRESS]) == MAC
        assert wire.mac_text(attrs[n.IFLA_ADDRESS]) == "02:00:00:00:00:99"
        assert wire.text(attrs[n.IFLA_PARENT_DEV_NAME]) == "0000:02:00.0"
        assert wire.text(attrs[n.IFLA_PARENT_DEV_BUS_NAME]) == "pci"
        assert n.IFLA_LINKINFO not in attrs

    with_kernel(body)


def test_a_virtio_nic_knows_its_carrier_while_down() -> None:
    async def body(kernel: SimKernel) -> None:
        nic = kernel.plug("eth0", MAC, "virtio", "virtio_net", "virtio1")
        sock = kernel.open()
        await sock.send(get_link(nic))
        (answer,) = wire.messages(await sock.recv())
        assert wire.table(answer.body[linkmsg.IFINFO.size :])[n.IFLA_CARRIER] == b"\1"
        assert not linkmsg.IFINFO.unpack_from(answer.body)[3] & n.IFF_LOWER_UP

    with_kernel(body)


def test_a_storm_overruns_whoever_listens() -> None:
    async def body(kernel: SimKernel) -> None:
        small, big, deaf = kernel.open(LINKS, receive_buffer=5000), kernel.open(LINKS), kernel.open()
        assert kernel.storm() > 92
        assert not deaf.congested
        for sock in (small, big):
            with pytest.raises(OSError, match="buffer") as overrun:
                await sock.recv()
            assert overrun.value.errno == errno.ENOBUFS
            kernel.storm()
            await sock.recv()
            assert sock.congested
        while small.congested:
            await small.recv()
        nic = plug(kernel, "eth0", up=False)
        await flags_told(small, nic)

    with_kernel(body)


def test_an_ipv6_address_without_detection_is_told_after_the_acknowledgement() -> None:
    async def body(kernel: SimKernel) -> None:
        nic = plug(kernel, "eth0")
        sock = kernel.open(1 << (n.RTNLGRP_IPV6_IFADDR - 1))
        address = inetmsg.IFADDR.pack(n.AF_INET6, 64, n.IFA_F_NODAD, 0, nic) + wire.attr(n.IFA_LOCAL, b"\x20" * 16)
        await sock.send(wire.Message(n.RTM_NEWADDR, n.NLM_F_REQUEST | n.NLM_F_ACK, 7, 0, address).pack())
        told = [message.type for _ in range(2) for message in wire.messages(await sock.recv())]
        assert told == [n.NLMSG_ERROR, n.RTM_NEWADDR]

    with_kernel(body)


def test_a_dump_asked_for_in_the_middle_of_an_overrun_comes_whole() -> None:
    async def body(kernel: SimKernel) -> None:
        sock = kernel.open(LINKS)
        nics = [plug(kernel, f"eth{i}", up=False) for i in range(30)]
        kernel.storm()
        with pytest.raises(OSError, match="buffer"):
            await sock.recv()
        ask = wire.Message(n.RTM_GETLINK, n.NLM_F_REQUEST | n.NLM_F_DUMP, 7, 0, linkmsg.IFINFO.pack(0, 0, 0, 0, 0))
        await sock.send(ask.pack())
        rows: list[wire.Message] = []
        while not rows or rows[-1].type != n.NLMSG_DONE:
            rows += [message for message in wire.messages(await sock.recv()) if message.seq == 7]
        assert [linkmsg.IFINFO.unpack_from(row.body)[2] for row in rows[:-1]] == [1, *nics]

    with_kernel(body)


def test_a_closed_socket_wakes_its_reader_and_hears_nothing_more() -> None:
    async def body(kernel: SimKernel) -> None:
        sock = kernel.open(LINKS)

        async def read() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await sock.recv()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            sock.close()
        sock.close()
        with pytest.raises(trio.ClosedResourceError):
            await sock.send(b"")
        plug(kernel, "eth0")

    with_kernel(body)


def test_timers_run_in_order_and_can_be_cancelled() -> None:
    timers, ran, sooner = Timers(), [], []
    timers.earlier = lambda: sooner.append(timers.due())
    for when in (3.0, 1.0, 2.0, 1.0):
        timers.at(when, lambda when=when: ran.append(when))  # type: ignore[misc]
    timers.at(0.5, lambda: ran.append(0.5)).cancel()
    while (timer := timers.pop(2.5)) is not None:
        timer.run()
    assert ran == [1.0, 1.0, 2.0]
    assert timers.due() == 3.0
    assert sooner == [3.0, 1.0, 0.5]
