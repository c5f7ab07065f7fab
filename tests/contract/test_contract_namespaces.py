"""Several network namespaces: devices across them, devices that move, and the end of one."""

from __future__ import annotations

import errno
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from client import PATIENCE, Addr, Client, Link, addr_of, gateway, ifaddr, ifinfo, link_of, oif, path_of, rtmsg
from test_contract_settings import ACCEPT_RA, conf6
from worlds import Elsewhere, Stage, contract, needs

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.wire import Message

NEW = n.NLM_F_CREATE | n.NLM_F_EXCL
HERE, THERE = 4711, 4712
MAC, FAR_MAC = "02:00:00:00:00:0b", "02:00:00:00:00:0c"
PROPERTIES = n.IFLA_PROP_LIST | wire.NLA_F_NESTED
MARK = "failoverd-link-0123abcd-a-name-that-is-longer-than-a-device-may-have"


@asynccontextmanager
async def another(stage: Stage) -> AsyncIterator[tuple[Elsewhere, Client]]:
    """A further namespace, and a client in it."""
    red = stage.world.another()
    sock = red.socket()
    try:
        yield red, Client(sock, n.RTNLGRP_LINK, n.RTNLGRP_NSID)
    finally:
        sock.close()
        red.close()


def fd(red: Elsewhere) -> bytes:
    return wire.u32(n.IFLA_NET_NS_FD, red.descriptor)


def info(kind: str, *data: bytes) -> bytes:
    return wire.nest(n.IFLA_LINKINFO, wire.string(n.IFLA_INFO_KIND, kind), wire.nest(n.IFLA_INFO_DATA, *data))


def veth(red: Elsewhere, name: str = "v1", index: int = THERE, flags: int = 0) -> bytes:
    """IFLA_LINKINFO of a veth whose far end is there."""
    attrs = [wire.string(n.IFLA_IFNAME, name), wire.attr(n.IFLA_ADDRESS, wire.mac_bytes(FAR_MAC))]
    peer = ifinfo(index, flags) + wire.join([*attrs, wire.u32(n.IFLA_MTU, 1300), fd(red)])
    return info("veth", wire.attr(n.VETH_INFO_PEER, peer))


async def make(stage: Stage, red: Elsewhere, name: str = "v0", index: int = HERE, far: str = "v1") -> Link:
    """A pair with one end here and one there; the near end."""
    attrs = [wire.string(n.IFLA_IFNAME, name), wire.attr(n.IFLA_ADDRESS, wire.mac_bytes(MAC))]
    await stage.client.ask(n.RTM_NEWLINK, NEW, ifinfo(index), *attrs, wire.u32(n.IFLA_MTU, 1400), veth(red, far))
    return await stage.client.link(index)


async def mark(client: Client, index: int, *names: str) -> None:
    names_ = wire.nest(PROPERTIES, *(wire.string(n.IFLA_ALT_IFNAME, name) for name in names))
    await client.ask(n.RTM_NEWLINKPROP, NEW | n.NLM_F_APPEND, ifinfo(index), names_)


def nsid(link: Link) -> int | None:
    """The number of the other end's namespace."""
    raw = link.attrs.get(n.IFLA_LINK_NETNSID)
    return None if raw is None else int(struct.unpack("=i", raw)[0])


def number(message: Message) -> int:
    """The nsid that an RTM_NEWNSID or DELNSID is about."""
    return int(struct.unpack("=i", wire.table(message.body[4:])[n.NETNSA_NSID])[0])


def told(client: Client, *kinds: int) -> list[Message]:
    return [message for message in client.heard if message.type in kinds]


async def answers(client: Client, *rows: Message) -> list[tuple[int, int]]:
    """What the kernel answers to the messages of one datagram: sequence numbers and errnos."""
    await client.sock.send(b"".join(row.pack() for row in rows))
    found: list[tuple[int, int]] = []
    while len(found) < len(rows):
        heard = [m for m in wire.messages(await client.sock.recv()) if m.type == n.NLMSG_ERROR]
        found += [(message.seq, -struct.unpack_from("=i", message.body)[0]) for message in heard]
    return found


async def addresses(client: Client) -> list[Addr]:
    return [addr_of(row) for row in await client.ask(n.RTM_GETADDR, n.NLM_F_DUMP, bytes(8))]


async def destinations(client: Client) -> set[str]:
    """The prefixes of IPv4 in the table main."""
    rows = map(path_of, await client.ask(n.RTM_GETROUTE, n.NLM_F_DUMP, rtmsg("0.0.0.0/0")))
    return {path.dst for path in rows if path.table == n.RT_TABLE_MAIN and ":" not in path.dst}


# Devices across two namespaces


@contract
async def test_a_pair_across_two_namespaces_is_made_in_one_message(stage: Stage) -> None:
    stage.client.sock.join(n.RTNLGRP_NSID)
    async with another(stage) as (red, there):
        near = await make(stage, red)
        assert (near.name, near.mac, near.mtu, near.up) == ("v0", MAC, 1400, False)
        assert (near.number(n.IFLA_LINK), nsid(near)) == (THERE, 0)
        far = await there.link(THERE)
        assert (far.name, far.mac, far.mtu, far.up) == ("v1", FAR_MAC, 1300, False)
        assert (far.number(n.IFLA_LINK), nsid(far)) == (HERE, 0)
        assert [number(message) for message in told(stage.client, n.RTM_NEWNSID)] == [0]
        assert [link_of(m).name for m in told(there, n.RTM_NEWLINK)] == ["v1"], "it is never here under another name"
        assert "v1" not in {link.name for link in (await stage.client.links()).values()}


@contract
async def test_a_pair_has_a_carrier_while_both_ends_are_up(stage: Stage) -> None:
    async with another(stage) as (red, there):
        await make(stage, red)
        await stage.client.set_link(HERE, up=True)
        assert not (await stage.client.link(HERE)).carrier
        await there.set_link(THERE, up=True)
        await stage.client.until_operational(HERE)
        assert (await stage.client.link(HERE)).carrier
        assert (await there.link(THERE)).carrier
        await there.set_link(THERE, up=False)
        lost = await stage.client.until_link(lambda link: link.index == HERE and not link.carrier)
        assert lost.up


@contract
async def test_a_pair_that_cannot_be_made_leaves_nothing_in_either(stage: Stage) -> None:
    async with another(stage) as (red, there):
        await make(stage, red)
        for index, name, far, far_index, code in (
            (HERE, "v2", "v3", 9, errno.EEXIST),
            (8, "v0", "v3", 9, errno.EEXIST),
            (8, "v2", "v1", 9, errno.EEXIST),
            (8, "v2", "v3", THERE, errno.EBUSY),
        ):
            attrs = [wire.string(n.IFLA_IFNAME, name), veth(red, far, far_index)]
            refused = await stage.client.refused(stage.client.ask(n.RTM_NEWLINK, NEW, ifinfo(index), *attrs))
            assert refused[0] == code, (index, name, far, far_index)
        assert {link.name for link in (await stage.client.links()).values()} == {"lo", "v0"}
        assert {link.name for link in (await there.links()).values()} == {"lo", "v1"}


@contract
async def test_the_far_end_cannot_be_brought_up_in_that_message(stage: Stage) -> None:
    async with another(stage) as (red, there):
        name, up = wire.string(n.IFLA_IFNAME, "v0"), n.IFF_UP
        make_up = stage.client.ask(n.RTM_NEWLINK, NEW, ifinfo(HERE), name, veth(red, flags=up))
        assert (await stage.client.refused(make_up))[0] == errno.ENOTCONN
        assert {link.name for link in (await there.links()).values()} == {"lo"}
        await stage.client.ask(n.RTM_NEWLINK, NEW, ifinfo(HERE, up, up), name, veth(red))
        assert (await stage.client.link(HERE)).up


@contract
async def test_both_ends_may_have_one_name_and_one_ifindex(stage: Stage) -> None:
    async with another(stage) as (red, there):
        attrs = [wire.string(n.IFLA_IFNAME, "v0"), veth(red, "v0", HERE)]
        await stage.client.ask(n.RTM_NEWLINK, NEW, ifinfo(HERE), *attrs)
        assert [(await client.link(HERE)).name for client in (stage.client, there)] == ["v0", "v0"]
        assert (await stage.client.link(HERE)).number(n.IFLA_LINK) == HERE


@contract
async def test_a_namespace_that_is_not_there(stage: Stage) -> None:
    bad = wire.u32(n.IFLA_NET_NS_FD, 999_999)
    attrs = [wire.string(n.IFLA_IFNAME, "v0"), info("veth", wire.attr(n.VETH_INFO_PEER, ifinfo() + bad))]
    assert (await stage.client.refused(stage.client.ask(n.RTM_NEWLINK, NEW, ifinfo(), *attrs)))[0] == errno.EBADF
    nic = await stage.nic("nic0")
    assert (await stage.client.refused(stage.client.ask(n.RTM_SETLINK, 0, ifinfo(nic), bad)))[0] == errno.EBADF


@needs("macvlan")
@contract
async def test_a_macvlan_is_created_in_another_namespace_on_a_device_of_this_one(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    async with another(stage) as (red, there):
        attrs = [wire.string(n.IFLA_IFNAME, "mv0"), wire.u32(n.IFLA_LINK, nic), fd(red), info("macvlan")]
        await stage.client.ask(n.RTM_NEWLINK, NEW, ifinfo(THERE), *attrs)
        made = await there.link(THERE)
        assert (made.name, made.number(n.IFLA_LINK), nsid(made)) == ("mv0", nic, 0)
        assert "mv0" not in {link_of(message).name for message in told(stage.client, n.RTM_NEWLINK)}
        await there.set_link(THERE, up=True)
        await there.until_operational(THERE)
        await stage.client.set_link(nic, up=False)
        await there.until_link(lambda link: link.index == THERE and not link.carrier)
        await stage.world.unplug(nic)
        gone = await there.until(lambda message: message.type == n.RTM_DELLINK)
        assert link_of(gone).index == THERE


@needs("macvlan")
@contract
async def test_a_name_that_is_taken_here_may_hinder_a_device_elsewhere(stage: Stage) -> None:
    """Before 6.14 the kernel looks for the device in the namespace of the socket."""
    nic = await stage.nic("nic0")
    async with another(stage) as (red, there):
        attrs = [wire.string(n.IFLA_IFNAME, "nic0"), wire.u32(n.IFLA_LINK, nic), fd(red), info("macvlan")]
        ask = stage.client.ask(n.RTM_NEWLINK, NEW, ifinfo(), *attrs)
        if stage.world.release < (6, 14):
            assert (await stage.client.refused(ask))[0] == errno.EEXIST
        else:
            await ask
            assert "nic0" in {link.name for link in (await there.links()).values()}


@needs("macvlan")
@contract
async def test_with_an_ifindex_of_its_own_its_name_may_be_taken_here(stage: Stage) -> None:
    """A device is looked for by its ifindex where it has one, and by its name only where it has none."""
    nic = await stage.nic("nic0")
    async with another(stage) as (red, there):
        attrs = [wire.string(n.IFLA_IFNAME, "nic0"), wire.u32(n.IFLA_LINK, nic), fd(red), info("macvlan")]
        await stage.client.ask(n.RTM_NEWLINK, NEW, ifinfo(THERE), *attrs)
        assert (await there.link(THERE)).name == "nic0"


@needs("macvlan")
@contract
async def test_a_passing_name_a_mark_and_a_move_in_one_datagram(stage: Stage) -> None:
    """How a device that stands on another one gets into its namespace, whatever names are taken here."""
    nic = await stage.nic("nic0")
    async with another(stage) as (red, there):
        attrs = [wire.string(n.IFLA_IFNAME, "fo4712"), wire.u32(n.IFLA_LINK, nic), info("macvlan")]
        names = wire.nest(PROPERTIES, wire.string(n.IFLA_ALT_IFNAME, MARK))
        flags = n.NLM_F_REQUEST | n.NLM_F_ACK
        rows = [
            Message(n.RTM_NEWLINK, NEW | flags, 7, 0, ifinfo(THERE) + wire.join(attrs)),
            Message(n.RTM_NEWLINKPROP, NEW | n.NLM_F_APPEND | flags, 8, 0, ifinfo(THERE) + names),
            Message(n.RTM_SETLINK, flags, 9, 0, ifinfo(THERE) + fd(red) + wire.string(n.IFLA_IFNAME, "nic0")),
        ]
        assert await answers(stage.client, *rows) == [(7, 0), (8, 0), (9, 0)]
        made = await there.link(THERE)
        assert (made.name, made.altnames, made.number(n.IFLA_LINK), nsid(made)) == ("nic0", {MARK}, nic, 0)
        assert {link.name for link in (await stage.client.links()).values()} >= {"lo", "nic0"}


@needs("vlan")
@contract
async def test_a_vlan_goes_elsewhere_and_follows_its_lower_device(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    async with another(stage) as (red, there):
        tag = info("vlan", wire.u16(n.IFLA_VLAN_ID, 7))
        attrs = [wire.string(n.IFLA_IFNAME, "nic0.7"), wire.u32(n.IFLA_LINK, nic), tag]
        await stage.client.ask(n.RTM_NEWLINK, NEW, ifinfo(THERE), *attrs)
        await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(THERE), fd(red))
        moved = await there.link(THERE)
        assert (moved.name, moved.number(n.IFLA_LINK), nsid(moved)) == ("nic0.7", nic, 0)
        again = stage.client.ask(n.RTM_NEWLINK, NEW, ifinfo(HERE), wire.u32(n.IFLA_LINK, nic), tag)
        assert (await stage.client.refused(again))[0] == errno.EEXIST
        await there.set_link(THERE, up=True)
        await there.until_operational(THERE)
        await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(nic), wire.u32(n.IFLA_MTU, 1300))
        assert (await there.link(THERE)).mtu == 1300
        await stage.client.set_link(nic, up=False)
        await there.until_link(lambda link: link.index == THERE and not link.up)
        await stage.world.unplug(nic)
        gone = await there.until(lambda message: message.type == n.RTM_DELLINK)
        assert link_of(gone).index == THERE


@needs("dummy")
@needs("vrf")
@needs("bond")
@contract
async def test_a_dummy_moves_and_masters_do_not(stage: Stage) -> None:
    dummy, vrf = await stage.client.create("dummy", "dm0"), wire.u32(n.IFLA_VRF_TABLE, 10)
    immovable = [await stage.client.create("vrf", "red", data=vrf), await stage.bond("fo")]
    async with another(stage) as (red, there):
        await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(dummy), fd(red), wire.u32(n.IFLA_NEW_IFINDEX, THERE))
        assert (await there.link(THERE)).name == "dm0"
        for index in immovable:
            move = stage.client.ask(n.RTM_SETLINK, 0, ifinfo(index), fd(red))
            assert (await stage.client.refused(move))[0] == errno.EINVAL


@contract
async def test_addresses_and_routes_are_those_of_their_namespace(stage: Stage) -> None:
    async with another(stage) as (red, there):
        await make(stage, red)
        await stage.client.set_link(HERE, up=True)
        await there.set_link(THERE, up=True)
        await stage.client.ask(n.RTM_NEWADDR, NEW, ifaddr(HERE, "10.0.0.1/24"))
        await there.ask(n.RTM_NEWADDR, NEW, ifaddr(THERE, "10.0.0.2/24"))
        await there.ask(n.RTM_NEWADDR, NEW, ifaddr(THERE, "2001:db8::2/64"))
        assert {a.cidr for a in await addresses(there)} >= {"10.0.0.2/24", "2001:db8::2/64"}
        assert "10.0.0.2/24" not in {a.cidr for a in await addresses(stage.client)}
        (six,) = [a for a in await addresses(there) if a.cidr == "2001:db8::2/64"]
        assert six.flags & n.IFA_F_TENTATIVE
        away = oif(THERE), gateway("10.0.0.1")
        await there.ask(n.RTM_NEWROUTE, NEW, rtmsg("10.9.0.0/16"), *away)
        unreachable = stage.client.ask(n.RTM_NEWROUTE, NEW, rtmsg("10.9.0.0/16"), oif(HERE), gateway("10.7.0.1"))
        assert (await stage.client.refused(unreachable))[0] == errno.ENETUNREACH
        assert {"10.0.0.0/24", "10.9.0.0/16"} <= await destinations(there)
        await there.ask(n.RTM_DELADDR, 0, ifaddr(THERE, "10.0.0.2/24"))
        assert not {"10.0.0.0/24", "10.9.0.0/16"} & await destinations(there)
        assert "10.0.0.0/24" in await destinations(stage.client)
        await there.ask(n.RTM_DELLINK, 0, ifinfo(THERE))
        assert not await destinations(stage.client)


# Marks


@contract
async def test_a_device_is_deleted_by_its_mark_or_not_at_all(stage: Stage) -> None:
    async with another(stage) as (red, there):
        await make(stage, red)
        await mark(stage.client, HERE, MARK)
        by_mark = wire.string(n.IFLA_ALT_IFNAME, MARK)
        for client in (there, stage.client):
            other = client.ask(n.RTM_DELLINK, 0, ifinfo(), wire.string(n.IFLA_ALT_IFNAME, MARK + "-2"))
            assert (await client.refused(other))[0] == errno.ENODEV
        assert (await there.refused(there.ask(n.RTM_DELLINK, 0, ifinfo(), by_mark)))[0] == errno.ENODEV
        await stage.client.ask(n.RTM_DELLINK, 0, ifinfo(), by_mark)
        for client in (there, stage.client):
            assert {link.name for link in (await client.links()).values()} == {"lo"}
        (gone,) = told(stage.client, n.RTM_DELLINK)
        assert (link_of(gone).index, link_of(gone).number(n.IFLA_LINK), nsid(link_of(gone))) == (HERE, 0, None)
        (gone,) = told(there, n.RTM_DELLINK)
        assert (link_of(gone).index, link_of(gone).number(n.IFLA_LINK), nsid(link_of(gone))) == (THERE, 0, None)


@contract
async def test_a_mark_is_unique_in_its_namespace_alone(stage: Stage) -> None:
    async with another(stage) as (red, there):
        await make(stage, red)
        await mark(stage.client, HERE, MARK)
        await mark(there, THERE, MARK)
        assert [(await c.link(i)).altnames for c, i in ((stage.client, HERE), (there, THERE))] == [{MARK}, {MARK}]
        nic = await stage.nic("nic0")
        assert (await stage.client.refused(mark(stage.client, nic, MARK)))[0] == errno.EEXIST
        assert (await stage.client.refused(mark(stage.client, nic, "v0")))[0] == errno.EEXIST


@contract
async def test_what_a_message_is_refused_does_not_stop_the_next_of_its_datagram(stage: Stage) -> None:
    """So a mark is put on by ifindex: by name it would be put on a device that others have made."""
    nic = await stage.nic("v0")
    async with another(stage) as (red, _):
        attrs = wire.string(n.IFLA_IFNAME, "v0") + veth(red)
        create = Message(n.RTM_NEWLINK, NEW | n.NLM_F_REQUEST | n.NLM_F_ACK, 7, 0, ifinfo(HERE) + attrs)
        names = wire.nest(PROPERTIES, wire.string(n.IFLA_ALT_IFNAME, MARK))
        flags = NEW | n.NLM_F_APPEND | n.NLM_F_REQUEST | n.NLM_F_ACK
        marked = Message(n.RTM_NEWLINKPROP, flags, 8, 0, ifinfo(HERE) + names)
        assert await answers(stage.client, create, marked) == [(7, errno.EEXIST), (8, errno.ENODEV)]
        assert (await stage.client.link(nic)).altnames == set()


# Moves


@contract
async def test_a_device_that_moves_keeps_its_names_and_loses_its_addresses(stage: Stage) -> None:
    async with another(stage) as (red, there):
        nic = await stage.nic("nic0", MAC, up=True)
        await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(nic), wire.u32(n.IFLA_MTU, 1400))
        await mark(stage.client, nic, MARK)
        await stage.client.ask(n.RTM_NEWADDR, NEW, ifaddr(nic, "10.0.0.2/24"))
        await stage.client.ask(n.RTM_NEWROUTE, NEW, rtmsg("10.9.0.0/16"), oif(nic))
        stage.client.heard.clear()
        await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(nic), fd(red))
        (gone,) = [link_of(message) for message in told(stage.client, n.RTM_DELLINK)]
        assert (gone.index, gone.number(n.IFLA_NEW_NETNSID), gone.number(n.IFLA_NEW_IFINDEX)) == (nic, 0, nic)
        assert [m.type for m in stage.client.heard if m.type == n.RTM_DELADDR and m.body[0] == 2] == [n.RTM_DELADDR]
        moved = await there.link(nic)
        assert (moved.name, moved.mac, moved.mtu, moved.altnames, moved.up) == ("nic0", MAC, 1400, {MARK}, False)
        assert [link_of(message).name for message in told(there, n.RTM_NEWLINK)] == ["nic0"]
        assert not [m for m in await there.ask(n.RTM_GETADDR, n.NLM_F_DUMP, ifinfo()) if m.body[4] == nic]
        assert (await stage.client.refused(stage.client.link(nic)))[0] == errno.ENODEV


@contract
async def test_the_other_end_of_what_moves_knows_where_it_is(stage: Stage) -> None:
    async with another(stage) as (red, there):
        near = await make(stage, red)
        await there.ask(n.RTM_NEWLINK, NEW, ifinfo(), wire.string(n.IFLA_IFNAME, "w0"), info("veth"))
        w1 = next(link for link in (await there.links()).values() if link.name == "veth0")
        here = next(link for link in (await there.links()).values() if link.name == "w0")
        assert (nsid(w1), w1.number(n.IFLA_LINK), nsid(near)) == (None, here.index, 0)
        back = stage.world.another()
        await there.ask(n.RTM_SETLINK, 0, ifinfo(w1.index), fd(back))
        stayed = await there.link(here.index)
        assert (stayed.number(n.IFLA_LINK), nsid(stayed)) == (w1.index, 1)
        back.close()
        await there.until(lambda m: m.type == n.RTM_DELLINK and link_of(m).index == here.index)


@contract
async def test_a_move_to_where_the_name_the_mark_or_the_ifindex_is_taken(stage: Stage) -> None:
    async with another(stage) as (red, there):
        await make(stage, red)
        nic = await stage.nic("v1")

        async def move(*attrs: bytes) -> None:
            await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(nic), fd(red), *attrs)

        assert (await stage.client.refused(move()))[0] == errno.EEXIST
        taken = wire.u32(n.IFLA_NEW_IFINDEX, THERE)
        assert (await stage.client.refused(move(wire.string(n.IFLA_IFNAME, "x0"), taken)))[0] == errno.EBUSY
        await mark(there, THERE, MARK)
        await mark(stage.client, nic, MARK)
        assert (await stage.client.refused(move(wire.string(n.IFLA_IFNAME, "x0"))))[0] == errno.EEXIST
        drop = wire.nest(PROPERTIES, wire.string(n.IFLA_ALT_IFNAME, MARK))
        await stage.client.ask(n.RTM_DELLINKPROP, 0, ifinfo(nic), drop)
        await move(wire.string(n.IFLA_IFNAME, "x0"), wire.u32(n.IFLA_NEW_IFINDEX, 99))
        assert (await there.link(99)).name == "x0"


@contract
async def test_a_device_gets_another_ifindex_where_its_own_is_taken(stage: Stage) -> None:
    async with another(stage) as (red, there):
        await make(stage, red)
        attrs = [wire.string(n.IFLA_IFNAME, "w0"), info("veth", wire.attr(n.VETH_INFO_PEER, ifinfo()))]
        await stage.client.ask(n.RTM_NEWLINK, NEW, ifinfo(THERE), *attrs)
        stage.client.heard.clear()
        await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(THERE), fd(red))
        (gone,) = [link_of(message) for message in told(stage.client, n.RTM_DELLINK)]
        new = gone.number(n.IFLA_NEW_IFINDEX)
        assert new != THERE
        assert (await there.link(new)).name == "w0"


@contract
async def test_a_move_to_where_it_is_changes_nothing(stage: Stage) -> None:
    async with another(stage) as (red, there):
        await make(stage, red)
        await there.set_link(THERE, up=True)
        there.heard.clear()
        await there.ask(n.RTM_SETLINK, 0, ifinfo(THERE), fd(red))
        assert (await there.link(THERE)).up
        assert not told(there, n.RTM_DELLINK)


@needs("bridge")
@contract
async def test_what_cannot_move(stage: Stage) -> None:
    bridge = await stage.client.create("bridge", "br0")
    async with another(stage) as (red, _):
        for index in (1, bridge):
            move = stage.client.ask(n.RTM_SETLINK, 0, ifinfo(index), fd(red))
            assert (await stage.client.refused(move))[0] == errno.EINVAL


@needs("bridge")
@contract
async def test_a_port_that_moves_leaves_its_bridge(stage: Stage) -> None:
    bridge = await stage.client.create("bridge", "br0")
    async with another(stage) as (red, there):
        nic = await stage.nic("nic0")
        await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(nic), wire.u32(n.IFLA_MASTER, bridge))
        await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(nic), fd(red))
        assert (await there.link(nic)).master == 0


@needs("macvlan")
@contract
async def test_a_macvlan_stays_when_what_it_stands_on_moves(stage: Stage) -> None:
    async with another(stage) as (red, there):
        nic = await stage.client.create("veth", "nic0", data=wire.attr(n.VETH_INFO_PEER, ifinfo()))
        mv = await stage.client.create("macvlan", "mv0", wire.u32(n.IFLA_LINK, nic))
        await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(nic), fd(red))
        stayed = await stage.client.link(mv)
        assert (stayed.number(n.IFLA_LINK), nsid(stayed)) == (nic, 0)
        await there.ask(n.RTM_DELLINK, 0, ifinfo(nic))
        await stage.client.until(lambda m: m.type == n.RTM_DELLINK and link_of(m).index == mv)


@contract
async def test_a_device_that_moves_gets_the_sysctls_of_new_ones(stage: Stage) -> None:
    """Its attributes go along."""
    async with another(stage) as (red, there):
        nic = await stage.nic("nic0")
        new = conf6(await stage.client.link(nic), ACCEPT_RA)
        assert await stage.world.sysctl(nic, "ipv6/accept_ra", 2) == 0
        await stage.client.set_link(nic, wire.u32(n.IFLA_TXQLEN, 777), wire.u32(n.IFLA_GROUP, 7))
        assert conf6(await stage.client.link(nic), ACCEPT_RA) == 2
        await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(nic), fd(red))
        moved = await there.link(nic)
        assert conf6(moved, ACCEPT_RA) == new
        assert (moved.number(n.IFLA_TXQLEN), moved.number(n.IFLA_GROUP)) == (777, 7)


@needs("bond")
@contract
async def test_a_slave_that_moves_leaves_its_bond_and_has_its_own_mtu_again(stage: Stage) -> None:
    bond, (first, second) = await stage.bond("fo", MAC), [await stage.nic(f"nic{i}", MAC) for i in (1, 2)]
    await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(first), wire.u32(n.IFLA_MTU, 1400))
    await stage.client.set_link(bond, up=True)
    await stage.enslave(bond, first, second)
    assert ((await stage.client.link(first)).mtu, (await stage.client.link(bond)).active) == (1500, first)
    async with another(stage) as (red, there):
        await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(first), fd(red))
        moved = await there.link(first)
        assert (moved.master, moved.mtu, moved.up) == (0, 1400, False)
        assert (await stage.client.link(bond)).active == second


# The end of a namespace


@contract
async def test_the_near_ends_go_with_their_namespace(stage: Stage) -> None:
    stage.client.sock.join(n.RTNLGRP_NSID)
    red = stage.world.another()
    await make(stage, red)
    await stage.client.ask(n.RTM_NEWLINK, NEW, ifinfo(8), wire.string(n.IFLA_IFNAME, "v2"), veth(red, "v3", 9))
    stage.client.heard.clear()
    red.close()
    first = await stage.client.until(lambda message: message.type in (n.RTM_DELNSID, n.RTM_DELLINK))
    assert (first.type, number(first)) == (n.RTM_DELNSID, 0)
    gone = [await stage.client.until(lambda message: message.type == n.RTM_DELLINK) for _ in range(2)]
    assert {link_of(message).index for message in gone} == {HERE, 8}
    assert {link.name for link in (await stage.client.links()).values()} == {"lo"}


@contract
async def test_a_socket_keeps_its_namespace_alive(stage: Stage) -> None:
    async with another(stage) as (red, there):
        await make(stage, red)
        red.close()
        assert (await there.link(THERE)).name == "v1"
        assert nsid(await stage.client.link(HERE)) == 0
    await stage.client.until(lambda m: m.type == n.RTM_DELLINK and link_of(m).index == HERE)


# Numbers of namespaces


def ask_nsid(*attrs: bytes) -> bytes:
    return bytes(4) + wire.join(attrs)


@contract
async def test_a_namespace_is_given_a_number(stage: Stage) -> None:
    client = stage.client
    client.sock.join(n.RTNLGRP_NSID)
    red, blue = stage.world.another(), stage.world.another()
    of_red, of_blue = (wire.u32(n.NETNSA_FD, place.descriptor) for place in (red, blue))
    (answer,) = await client.ask(n.RTM_GETNSID, 0, ask_nsid(of_red))
    assert number(answer) == -1
    await client.ask(n.RTM_NEWNSID, 0, ask_nsid(of_red, wire.i32(n.NETNSA_NSID, 7)))
    assert [number(message) for message in told(client, n.RTM_NEWNSID)] == [7]
    for attrs, code in (
        ((of_red, wire.i32(n.NETNSA_NSID, 8)), errno.EEXIST),
        ((of_blue, wire.i32(n.NETNSA_NSID, 7)), errno.EEXIST),
        ((of_blue,), errno.EINVAL),
        ((wire.i32(n.NETNSA_NSID, 8),), errno.EINVAL),
        ((wire.u32(n.NETNSA_FD, 999_999), wire.i32(n.NETNSA_NSID, 8)), errno.EBADF),
        ((wire.u32(n.NETNSA_PID, 0x7FFFFFFF), wire.i32(n.NETNSA_NSID, 8)), errno.ESRCH),
    ):
        assert (await client.refused(client.ask(n.RTM_NEWNSID, 0, ask_nsid(*attrs))))[0] == code
    await client.ask(n.RTM_NEWNSID, 0, ask_nsid(of_blue, wire.i32(n.NETNSA_NSID, -1)))
    assert {number(m) for m in await client.ask(n.RTM_GETNSID, n.NLM_F_DUMP, ask_nsid())} == {0, 7}
    (answer,) = await client.ask(n.RTM_GETNSID, 0, ask_nsid(of_blue))
    assert number(answer) == 0
    unknown = client.ask(n.RTM_GETNSID, 0, ask_nsid(wire.i32(n.NETNSA_NSID, 3)))
    assert (await client.refused(unknown))[0] == errno.ENOENT
    red.close()
    gone = await client.until(lambda message: message.type == n.RTM_DELNSID)
    assert number(gone) == 7
    blue.close()


@contract
async def test_a_number_is_used_again(stage: Stage) -> None:
    client = stage.client
    client.sock.join(n.RTNLGRP_NSID)
    for index in (HERE, HERE + 1):
        red = stage.world.another()
        assert nsid(await make(stage, red, index=index)) == 0
        red.close()
        await client.until(lambda message: message.type == n.RTM_DELNSID)
        await client.until(lambda message: message.type == n.RTM_DELLINK)


async def hear(client: Client, name: str) -> int | None:
    """Wait for what is told of a device of this name; the number of its namespace."""
    with trio.fail_after(PATIENCE):
        while True:
            for message in wire.messages(await client.sock.recv()):
                if message.type == n.RTM_NEWLINK and link_of(message).name == name:
                    return client.sock.nsid
                assert link_of(message).name != "silent"


@contract
async def test_one_socket_hears_the_namespaces_that_have_a_number(stage: Stage) -> None:
    sock = stage.world.socket()
    sock.listen_all()
    ear = Client(sock, n.RTNLGRP_LINK)
    async with another(stage) as (red, there), another(stage) as (_, unknown):
        await stage.client.ask(
            n.RTM_NEWNSID, 0, ask_nsid(wire.u32(n.NETNSA_FD, red.descriptor), wire.i32(n.NETNSA_NSID, 5))
        )
        for client, name in ((unknown, "silent"), (there, "heard"), (stage.client, "own")):
            peer = info("veth", wire.attr(n.VETH_INFO_PEER, ifinfo()))
            await client.ask(n.RTM_NEWLINK, NEW, ifinfo(), wire.string(n.IFLA_IFNAME, name), peer)
        heard = [message for message in told(unknown, n.RTM_NEWLINK) if link_of(message).name == "silent"]
        assert heard, "it is told there"
        assert await hear(ear, "heard") == 5
        assert await hear(ear, "own") is None
