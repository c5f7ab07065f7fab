"""The socket itself: acknowledgements, dumps, overruns, and the order of it all."""

from __future__ import annotations

import errno
import struct

import pytest
import trio
from client import Client, ifinfo, link_of
from worlds import Stage, contract

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.wire import Message

REQUEST, ACK = n.NLM_F_REQUEST, n.NLM_F_ACK


async def hear(client: Client) -> list[Message]:
    return list(wire.messages(await client.sock.recv()))


def packed(kind: int, flags: int, seq: int, body: bytes) -> bytes:
    return Message(kind, flags, seq, 0, body).pack()


@contract
async def test_what_a_request_causes_stands_before_its_acknowledgement(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    body = ifinfo(nic) + wire.u32(n.IFLA_MTU, 1400)
    await stage.client.sock.send(packed(n.RTM_SETLINK, REQUEST | ACK, 7, body))
    heard = await hear(stage.client)
    while heard[-1].type != n.NLMSG_ERROR:
        heard += await hear(stage.client)
    told = next(m for m in heard if m.type == n.RTM_NEWLINK and link_of(m).index == nic)
    assert (told.seq, told.pid, link_of(told).mtu) == (0, 0, 1400)
    ack = heard[-1]
    assert (ack.seq, ack.body[:4]) == (7, bytes(4))
    assert ack.pid != 0


@contract
async def test_acknowledgement_and_refusal_as_they_are_built(stage: Stage) -> None:
    nic, client = await stage.nic("nic0"), Client(stage.world.socket())
    request = packed(n.RTM_SETLINK, REQUEST | ACK, 7, ifinfo(nic))
    await client.sock.send(request)
    (ack,) = await hear(client)
    assert (ack.flags, ack.body) == (n.NLM_F_CAPPED, bytes(4) + request[:16])
    request = packed(n.RTM_SETLINK, REQUEST | ACK, 8, ifinfo(nic) + wire.u32(n.IFLA_MTU, 1))
    await client.sock.send(request)
    (refusal,) = await hear(client)
    assert refusal.flags == n.NLM_F_ACK_TLVS
    assert refusal.body[: 4 + len(request)] == struct.pack("=i", -errno.EINVAL) + request
    assert wire.table(refusal.body[4 + len(request) :])[n.NLMSGERR_ATTR_MSG] == b"mtu less than device minimum\0"


@contract
async def test_without_the_flag_only_errors_are_acknowledged(stage: Stage) -> None:
    nic, client = await stage.nic("nic0"), Client(stage.world.socket())
    datagram = [
        packed(n.RTM_SETLINK, REQUEST, 7, ifinfo(nic)),
        packed(n.RTM_SETLINK, REQUEST, 8, ifinfo(4711)),
        packed(n.RTM_SETLINK, REQUEST | ACK, 9, ifinfo(nic)),
    ]
    await client.sock.send(b"".join(datagram))
    acks = [(message.seq, message.body[:4]) for _ in range(2) for message in await hear(client)]
    assert acks == [(8, struct.pack("=i", -errno.ENODEV)), (9, bytes(4))]


@contract
async def test_a_message_that_is_no_request_is_only_acknowledged(stage: Stage) -> None:
    nic, client = await stage.nic("nic0"), Client(stage.world.socket())
    await client.sock.send(packed(n.RTM_SETLINK, ACK, 7, ifinfo(nic) + wire.u32(n.IFLA_MTU, 1400)))
    (ack,) = await hear(client)
    assert (ack.seq, ack.body[:4]) == (7, bytes(4))
    assert (await client.link(nic)).mtu == 1500


@contract
async def test_a_type_nobody_knows(stage: Stage) -> None:
    assert await stage.client.refused(stage.client.ask(240, 0, ifinfo())) == (errno.EOPNOTSUPP, "")


@contract
async def test_a_request_too_short(stage: Stage) -> None:
    code, _ = await stage.client.refused(stage.client.ask(n.RTM_SETLINK, 0, b"\0" * 4))
    assert code == errno.EINVAL


@contract
async def test_a_dump_is_many_messages_and_a_done(stage: Stage) -> None:
    nic, client = await stage.nic("nic0"), Client(stage.world.socket())
    await client.sock.send(packed(n.RTM_GETLINK, REQUEST | n.NLM_F_DUMP, 7, ifinfo()))
    rows: list[Message] = []
    while not rows or rows[-1].type != n.NLMSG_DONE:
        rows += await hear(client)
    assert {(row.seq, row.flags) for row in rows} == {(7, n.NLM_F_MULTI)}
    assert len({row.pid for row in rows}) == 1
    assert rows[0].pid != 0
    indexes = [link_of(row).index for row in rows[:-1]]
    assert nic in indexes
    assert indexes == sorted(indexes)
    assert rows[-1].body[:4] == bytes(4)


async def crowd(stage: Stage, count: int = 30) -> list[int]:
    """So many devices that a dump of them takes several datagrams."""
    return [await stage.nic(f"nic{i}") for i in range(count)]


@contract
async def test_a_dump_says_when_the_table_changed_under_it(stage: Stage) -> None:
    nics = await crowd(stage)
    other = Client(stage.world.socket())
    await other.sock.send(packed(n.RTM_GETLINK, REQUEST | n.NLM_F_DUMP, 7, ifinfo()))
    rows = await hear(other)
    assert not any(row.flags & n.NLM_F_DUMP_INTR for row in rows)
    await stage.world.unplug(nics[-1])
    while rows[-1].type != n.NLMSG_DONE:
        rows += await hear(other)
    assert any(row.flags & n.NLM_F_DUMP_INTR for row in rows)


@contract
async def test_events_during_a_dump_come_between_its_rows(stage: Stage) -> None:
    nics = await crowd(stage)
    await stage.client.sock.send(packed(n.RTM_GETLINK, REQUEST | n.NLM_F_DUMP, 7, ifinfo()))
    other = Client(stage.world.socket())
    await other.set_link(nics[-1], wire.u32(n.IFLA_MTU, 1400))
    seen: list[tuple[int, int]] = []
    done = False
    while not done:
        for message in await hear(stage.client):
            done |= message.type == n.NLMSG_DONE
            if message.type == n.RTM_NEWLINK and link_of(message).index == nics[-1]:
                seen.append((message.seq, link_of(message).mtu))
    assert seen == [(0, 1400), (7, 1400)]


@contract
async def test_one_dump_at_a_time(stage: Stage) -> None:
    await crowd(stage)
    sock = stage.client.sock
    await sock.send(packed(n.RTM_GETLINK, REQUEST | n.NLM_F_DUMP, 7, ifinfo()))
    await sock.send(packed(n.RTM_GETLINK, REQUEST | n.NLM_F_DUMP, 8, ifinfo()))
    codes, done = [], False
    while not done:
        for message in await hear(stage.client):
            done |= message.type == n.NLMSG_DONE
            if message.type == n.NLMSG_ERROR:
                codes.append((message.seq, -struct.unpack_from("=i", message.body)[0]))
    assert codes == [(8, errno.EBUSY)]


@contract
async def test_an_overrun_is_said_once_and_first_and_the_socket_goes_on(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    other = Client(stage.world.socket(), n.RTNLGRP_LINK)
    other.sock.set_receive_buffer(10_000)
    for i in range(40):
        await stage.client.set_link(nic, wire.u32(n.IFLA_MTU, 1000 + i))
    with pytest.raises(OSError, match=r".*") as overrun:
        await other.sock.recv()
    assert overrun.value.errno == errno.ENOBUFS
    kept = await drain(other, nic)
    assert kept == [1000 + i for i in range(len(kept))]
    assert 0 < len(kept) < 40
    await stage.client.set_link(nic, wire.u32(n.IFLA_MTU, 1400))
    assert (await other.until_link(lambda link: link.index == nic)).mtu == 1400


async def drain(client: Client, nic: int) -> list[int]:
    """The MTUs of a device in all that is queued. Nothing more is under way, so a moment of silence is the end."""
    mtus = []
    while True:
        with trio.move_on_after(0.1) as silence:
            links = [link_of(message) for message in await hear(client)]
            mtus += [link.mtu for link in links if link.index == nic]
        if silence.cancelled_caught:
            return mtus
