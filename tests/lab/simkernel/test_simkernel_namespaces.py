"""Who holds a namespace of the simulated kernel, and sockets in one for code that blocks."""

from __future__ import annotations

import errno
import struct

import pytest
import trio
import trio.testing
from hands import Hands

from failoverd.kinds import NewDevice, Place, Veth, VethPair
from failoverd.model.inet import Address
from failoverd.model.links import Link
from failoverd.model.requests import AddAddress, CreateLink, DeleteMarked, MoveLink, Request, SetUp
from failoverd.netlink.frames import NLM_F_DUMP, NLMSG_DONE, NLMSG_ERROR, build, read_error, split
from failoverd.netlink.inet import RTM_GETADDR, read_address
from failoverd.netlink.links import read_link
from failoverd.netlink.requests import dump_links, write_request
from failoverd_lab.simkernel import BlockingSocket, Namespaces, SimKernel, run_timers, wire
from failoverd_lab.simkernel import uapi as n

RED = Place(7)
TENTATIVE = 0x40


def make(sock: BlockingSocket, *requests: Request, red: int = 0) -> list[int]:
    """Ask for all of it in one datagram; the errnos."""
    sock.send(b"".join(write_request(request, seq, {RED: red}) for seq, request in enumerate(requests, 1)))
    errnos: list[int] = []
    while len(errnos) < len(requests):
        errnos += [read_error(message)[0] for message in split(sock.recv()) if message.type == NLMSG_ERROR]
    return errnos


def links(sock: BlockingSocket) -> dict[str, Link]:
    sock.send(dump_links(9))
    found: dict[str, Link] = {}
    while True:
        for message in split(sock.recv()):
            if message.type == NLMSG_DONE:
                return found
            link = read_link(message)
            found[link.name] = link


def pair(red: int, sock: BlockingSocket, near: str = "v0", far: str = "v1") -> None:
    assert make(sock, CreateLink(NewDevice(near), VethPair(NewDevice(far, place=RED))), red=red) == [0]


def test_a_namespace_lives_while_a_name_a_process_a_descriptor_or_a_socket_holds_it() -> None:
    kernel = Hands().kernel
    world, here = Namespaces(kernel), kernel.open_blocking()
    red = world.create("red")
    with pytest.raises(FileExistsError):
        world.create("red")
    assert world.names == {"red"}
    world.start(77, "red")
    descriptor, sock = world.descriptor("red"), red.open_blocking()
    pair(descriptor, here)
    assert links(here)["v0"].info == Veth(links(sock)["v1"].ifindex, 0)
    world.delete("red")
    assert world.names == frozenset()
    world.end(77)
    world.close(descriptor)
    assert set(links(sock)) == {"lo", "v1"}
    assert set(links(here)) == {"lo", "v0"}
    sock.close()
    assert set(links(here)) == {"lo"}
    assert make(here, CreateLink(NewDevice("v0"), VethPair(NewDevice("v1", place=RED))), red=descriptor) == [9]
    with pytest.raises(TimeoutError):
        here.recv()


def test_a_process_stands_for_its_namespace() -> None:
    kernel = Hands().kernel
    world = Namespaces(kernel)
    world.create("red")
    world.start(77, "red")
    sock = kernel.open_blocking(groups=1 << n.RTNLGRP_NSID - 1)
    attrs = wire.u32(n.NETNSA_PID, 77) + wire.i32(n.NETNSA_NSID, -1)
    sock.send(build(n.RTM_NEWNSID, n.NLM_F_ACK, 1, bytes(4) + attrs))
    (told,) = split(sock.recv())
    assert (told.type, struct.unpack("=i", told.payload[8:12])) == (n.RTM_NEWNSID, (0,))
    assert [read_error(message)[0] for message in split(sock.recv())] == [0]
    both = wire.u32(n.IFLA_NET_NS_PID, 77) + wire.u32(n.IFLA_NET_NS_FD, 5)
    for attr, code in ((wire.u32(n.IFLA_NET_NS_PID, 78), errno.ESRCH), (both, errno.EINVAL)):
        sock.send(build(n.RTM_SETLINK, n.NLM_F_ACK, 2, struct.pack("=BxHiII", 0, 0, 1, 0, 0) + attr))
        assert [read_error(message)[0] for message in split(sock.recv())] == [code]


def test_hardware_returns_to_the_first_namespace() -> None:
    """From the kernel's source (default_device_exit_net): no machine here has hardware that may be given away."""
    hands = Hands()
    kernel = hands.kernel
    world = Namespaces(kernel)
    red = world.create("red")
    nics = [kernel.plug(name, f"02:00:00:00:00:0{i}", "pci", "vf", f"0000:0{i}:00.0") for i, name in enumerate("ab")]
    here, descriptor = kernel.open_blocking(), world.descriptor("red")
    assert make(here, *(MoveLink(nic, RED) for nic in nics), red=descriptor) == [0, 0]
    kernel.plug("a", "02:00:00:00:00:0f", "pci", "vf", "0000:09:00.0")
    assert [seen.name for seen in red.links()] == ["a", "b"]
    world.close(descriptor)
    world.delete("red")
    assert [(seen.name, seen.ifindex, seen.up) for seen in kernel.links()] == [
        ("a", 4, False),
        (f"dev{nics[0]}", nics[0], False),
        ("b", nics[1], False),
    ]


def test_a_deletion_by_mark_finds_nothing_in_another_namespace() -> None:
    kernel = Hands().kernel
    world = Namespaces(kernel)
    red, here = world.create("red").open_blocking(), kernel.open_blocking()
    pair(world.descriptor("red"), here)
    kernel.admin.add_altname(links(here)["v0"].ifindex, "a-mark-of-one-namespace")
    assert make(red, DeleteMarked("a-mark-of-one-namespace")) == [errno.ENODEV]
    assert make(here, DeleteMarked("a-mark-of-one-namespace")) == [0]
    assert set(links(red)) == {"lo"}


def tentative(sock: BlockingSocket) -> set[bool]:
    sock.send(build(RTM_GETADDR, NLM_F_DUMP, 1, struct.pack("=BBBBI", 10, 0, 0, 0, 0)))
    found: set[bool] = set()
    while True:
        for message in split(sock.recv()):
            if message.type == NLMSG_DONE:
                return found
            found.add(bool(read_address(message).flags & TENTATIVE))


def test_time_passes_in_every_namespace_and_a_thread_beside_the_loop_may_ask() -> None:
    """Duplicate address detection ends there, too."""

    async def main() -> None:
        kernel = SimKernel(trio.current_time)
        world = Namespaces(kernel)
        red, here = world.create("red").open_blocking(), kernel.open_blocking()

        def work() -> None:
            pair(world.descriptor("red"), here)
            v1 = links(red)["v1"].ifindex
            local = bytes.fromhex("20010db8000000000000000000000002")
            address = Address(v1, 10, 64, 0, 0, local, ((1, local), (2, local)))
            assert make(here, SetUp(links(here)["v0"].ifindex, up=True)) == [0]
            assert make(red, SetUp(v1, up=True), AddAddress(address)) == [0, 0]

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_timers, kernel)
            await trio.to_thread.run_sync(work)
            assert tentative(red) == {True}
            clock.jump(3)
            await trio.testing.wait_all_tasks_blocked()
            assert tentative(red) == {False}
            nursery.cancel_scope.cancel()

    clock = trio.testing.MockClock()
    trio.run(main, clock=clock)
