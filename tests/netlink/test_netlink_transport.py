from __future__ import annotations

import errno
import socket

import kernelbytes as kernel
import pytest
import trio
from privatenet import private_net

from failoverd.model.events import Synced
from failoverd.model.requests import SetMtu
from failoverd.netlink.conversation import Conversation
from failoverd.netlink.requests import dump_links, write_request
from failoverd.netlink.transport import RTMGRP_LINK, KernelSocket, is_overrun


@private_net
def test_what_another_process_sends_is_passed_over() -> None:
    async def overheard() -> None:
        sock = await KernelSocket.open()
        other = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        with other:
            other.sendto(kernel.link(7, b"forged"), sock._sock.getsockname())
            await sock.send(dump_links(1))
            assert b"forged" not in await sock.recv()
        sock.close()

    trio.run(overheard)


@private_net
def test_an_overrun_in_a_dump_is_survived() -> None:
    """A queue that is full of events, a dump in the middle, and the kernel's EBUSY for a second one."""

    async def flood() -> None:
        listener = await KernelSocket.open(RTMGRP_LINK, 4096)
        actor = await KernelSocket.open()
        talk = Conversation(lambda link: link)
        talk.resync(0.0)
        for datagram in talk.out:
            await listener.send(datagram)
        talk.out.clear()
        for mtu in range(1000, 1400):
            await actor.send(write_request(SetMtu(1, mtu), 1))
            await actor.recv()
        overruns, synced = 0, None
        while synced is None:
            try:
                events = list(talk.feed(await listener.recv(), 0.0))
            except OSError as error:
                if not is_overrun(error):
                    raise
                overruns += 1
                events = talk.overrun(0.0)
            for datagram in talk.out:
                await listener.send(datagram)
            talk.out.clear()
            synced = next((event for event in events if isinstance(event, Synced)), None)
        assert overruns
        assert [link.mtu for link in synced.links if link.ifindex == 1] == [1399]
        listener.close()
        actor.close()

    trio.run(flood)


@private_net
def test_a_closed_socket_says_so() -> None:
    async def closed() -> None:
        sock = await KernelSocket.open()
        sock.close()
        sock.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            await sock.recv()

    trio.run(closed)


@private_net
def test_the_receive_buffer_is_as_large_as_was_asked_for() -> None:
    async def size() -> None:
        sock = await KernelSocket.open(RTMGRP_LINK, 1 << 20)
        # The kernel doubles it, for what it keeps beside the messages.
        assert sock._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 1 << 21
        sock.resize(1 << 21)
        assert sock._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 1 << 22
        sock.close()

    trio.run(size)


@pytest.mark.parametrize(("number", "is_one"), [(errno.ENOBUFS, True), (errno.ENOMEM, True), (errno.EBADF, False)])
def test_what_an_overrun_is(number: int, is_one: bool) -> None:
    assert is_overrun(OSError(number, "")) is is_one
