"""What a master has to have from its NIC: sysctls by their files, attributes, permanent neighbours, address labels."""

from __future__ import annotations

import errno
import struct

from client import Link, ifaddr, ifinfo, oif, parse_ip, rtmsg
from worlds import Stage, contract

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire

NDMSG = struct.Struct("=BxxxiHBB")
ADDRLABEL = struct.Struct("=BxBBII")
NEW = n.NLM_F_CREATE | n.NLM_F_EXCL
OFF = "ipv6/disable_ipv6"
SIX = "fd00::2/64"
ARP_IGNORE, RP_FILTER = 19, 8
MTU6, ACCEPT_RA, DISABLE_IPV6 = 2, 3, 26


def families(link: Link) -> dict[int, bytes]:
    return wire.table(link.attrs[n.IFLA_AF_SPEC])


def conf4(link: Link, number: int) -> int:
    array = wire.table(families(link)[n.AF_INET])[n.IFLA_INET_CONF]
    return int(struct.unpack_from("=i", array, (number - 1) * 4)[0])


def conf6(link: Link, number: int) -> int:
    array = wire.table(families(link)[n.AF_INET6])[n.IFLA_INET6_CONF]
    return int(struct.unpack_from("=i", array, number * 4)[0])


def neighbour(index: int, address: str, mac: str = "", proxy: bool = False) -> bytes:
    family, raw = parse_ip(address)
    state, flags = (0, n.NTF_PROXY) if proxy else (n.NUD_PERMANENT, 0)
    lladdr = wire.attr(n.NDA_LLADDR, wire.mac_bytes(mac)) if mac else b""
    return NDMSG.pack(family, index, state, flags, 0) + wire.attr(n.NDA_DST, raw) + lladdr


async def neighbours(stage: Stage, index: int, proxy: bool = False) -> list[tuple[bytes, int, int]]:
    """Address, state, flags of what is on this device, as a strict socket's filter gives it."""
    head = NDMSG.pack(0, 0, 0, n.NTF_PROXY if proxy else 0, 0)
    rows = await stage.client.ask(n.RTM_GETNEIGH, n.NLM_F_DUMP, head, wire.u32(n.NDA_IFINDEX, index))
    found = []
    for row in rows:
        _, at, state, flags, _ = NDMSG.unpack_from(row.body)
        assert at == index
        if proxy or state & n.NUD_PERMANENT:
            found.append((wire.table(row.body[NDMSG.size :])[n.NDA_DST], state, flags))
    return found


def label(index: int, prefix: str, number: int) -> bytes:
    address, _, length = prefix.partition("/")
    attrs = wire.attr(n.IFAL_ADDRESS, parse_ip(address)[1]) + wire.u32(n.IFAL_LABEL, number)
    return ADDRLABEL.pack(n.AF_INET6, int(length), 0, index, 0) + attrs


async def labels(stage: Stage, index: int) -> list[tuple[int, int]]:
    rows = await stage.client.ask(n.RTM_GETADDRLABEL, n.NLM_F_DUMP, ADDRLABEL.pack(n.AF_INET6, 0, 0, 0, 0))
    heads = [(ADDRLABEL.unpack_from(row.body), wire.table(row.body[ADDRLABEL.size :])) for row in rows]
    return [(head[1], wire.number(attrs[n.IFAL_LABEL])) for head, attrs in heads if head[3] == index]


@contract
async def test_a_link_tells_the_sysctls_that_were_written_to_its_files(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    assert await stage.world.sysctl(nic, "ipv4/arp_ignore", 2) == 0
    assert await stage.world.sysctl(nic, "ipv6/accept_ra", 2) == 0
    link = await stage.client.link(nic)
    assert (conf4(link, ARP_IGNORE), conf6(link, ACCEPT_RA), conf6(link, MTU6)) == (2, 2, 1500)
    assert await stage.world.sysctl(nic, "ipv6/mtu", 1400) == 0
    assert await stage.world.sysctl(nic, "ipv6/mtu", 9000) == errno.EINVAL
    assert conf6(await stage.client.link(nic), MTU6) == 1400
    await stage.client.set_link(nic, wire.u32(n.IFLA_MTU, 1450))
    assert conf6(await stage.client.link(nic), MTU6) == 1450
    assert await stage.world.sysctl(nic, "ipv6/mtu", 1400) == 0
    await stage.client.set_link(nic, up=True)
    link = await stage.client.link(nic)
    assert (conf4(link, ARP_IGNORE), conf6(link, ACCEPT_RA), conf6(link, MTU6)) == (2, 2, 1450)


@contract
async def test_ipv6_takes_the_mtu_of_the_device_when_its_link_comes(stage: Stage) -> None:
    peer = wire.attr(n.VETH_INFO_PEER, ifinfo() + wire.string(n.IFLA_IFNAME, "v1"))
    near = await stage.client.create("veth", "v0", data=peer)
    far = (await stage.client.link(near)).number(n.IFLA_LINK)
    await stage.client.set_link(near, up=True)
    assert await stage.world.sysctl(near, "ipv6/mtu", 1400) == 0
    assert conf6(await stage.client.link(near), MTU6) == 1400
    await stage.client.set_link(far, up=True)
    await stage.client.until_operational(near)
    assert conf6(await stage.client.link(near), MTU6) == 1500
    assert await stage.world.sysctl(near, "ipv6/mtu", 1400) == 0
    await stage.client.set_link(far, up=False)
    await stage.client.until_link(lambda link: link.index == near and not link.carrier)
    await stage.client.set_link(far, up=True)
    await stage.client.until_operational(near)
    assert conf6(await stage.client.link(near), MTU6) == 1400


@contract
async def test_a_new_device_has_what_is_set_for_new_ones(stage: Stage) -> None:
    old = await stage.nic("nic0")
    assert await stage.world.sysctl(0, OFF, 1) == 0
    assert await stage.world.sysctl(0, "ipv6/accept_ra", 0) == 0
    new = await stage.nic("nic1", "02:00:00:00:00:0b")
    before, after = await stage.client.link(old), await stage.client.link(new)
    assert (conf6(before, DISABLE_IPV6), conf6(after, DISABLE_IPV6)) == (0, 1)
    assert (conf6(before, ACCEPT_RA), conf6(after, ACCEPT_RA)) == (1, 0)


@contract
async def test_where_ipv6_is_off_there_are_no_addresses_and_no_routes(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    await stage.client.ask(n.RTM_NEWADDR, NEW, ifaddr(nic, SIX, n.IFA_F_NODAD))
    assert await stage.world.sysctl(nic, OFF, 1) == 0
    address = stage.client.ask(n.RTM_NEWADDR, NEW, ifaddr(nic, SIX, n.IFA_F_NODAD))
    assert (await stage.client.refused(address))[0] == errno.EACCES
    path = stage.client.ask(n.RTM_NEWROUTE, NEW, rtmsg("2001:db8::/32"), oif(nic))
    assert (await stage.client.refused(path))[0] == errno.EACCES
    assert await stage.world.sysctl(nic, OFF, 0) == 0
    await stage.client.ask(n.RTM_NEWADDR, NEW, ifaddr(nic, SIX, n.IFA_F_NODAD))


@contract
async def test_queue_length_group_alias_and_token(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    token = wire.nest(n.AF_INET6, wire.attr(n.IFLA_INET6_TOKEN, bytes(15) + b"\5"))
    await stage.client.set_link(nic, wire.u32(n.IFLA_TXQLEN, 77), wire.u32(n.IFLA_GROUP, 5))
    await stage.client.set_link(nic, wire.string(n.IFLA_IFALIAS, "uplink"))
    await stage.client.set_link(nic, wire.nest(n.IFLA_AF_SPEC, token))
    link = await stage.client.link(nic)
    assert (link.number(n.IFLA_TXQLEN), link.number(n.IFLA_GROUP)) == (77, 5)
    assert wire.text(link.attrs[n.IFLA_IFALIAS]) == "uplink"
    assert wire.table(families(link)[n.AF_INET6])[n.IFLA_INET6_TOKEN] == bytes(15) + b"\5"
    await stage.client.set_link(nic, wire.attr(n.IFLA_IFALIAS, b""))
    assert n.IFLA_IFALIAS not in (await stage.client.link(nic)).attrs


@contract
async def test_neighbours_go_when_their_device_goes_down_and_labels_stay(stage: Stage) -> None:
    stage.client.sock.set_strict()
    nic = await stage.nic("nic0", up=True)
    other = await stage.nic("nic1", "02:00:00:00:00:0b", up=True)
    entry = neighbour(nic, "10.0.0.9", "02:00:00:00:00:09")
    await stage.client.ask(n.RTM_NEWNEIGH, NEW, entry)
    assert (await stage.client.refused(stage.client.ask(n.RTM_NEWNEIGH, NEW, entry)))[0] == errno.EEXIST
    for address in ("10.0.0.10", "fd00::10"):
        await stage.client.ask(n.RTM_NEWNEIGH, NEW, neighbour(nic, address, proxy=True))
        await stage.client.ask(n.RTM_NEWNEIGH, NEW, neighbour(nic, address, proxy=True))
    await stage.client.ask(n.RTM_NEWNEIGH, NEW, neighbour(other, "10.0.0.11", "02:00:00:00:00:0b"))
    await stage.client.ask(n.RTM_NEWADDRLABEL, NEW, label(nic, "2001:db8::/32", 99))
    again = stage.client.ask(n.RTM_NEWADDRLABEL, NEW, label(nic, "2001:db8::/32", 98))
    assert (await stage.client.refused(again))[0] == errno.EEXIST
    assert await neighbours(stage, nic) == [(bytes([10, 0, 0, 9]), n.NUD_PERMANENT, 0)]
    proxies = await neighbours(stage, nic, proxy=True)
    assert {(dst, flags) for dst, _, flags in proxies} == {
        (parse_ip(address)[1], n.NTF_PROXY) for address in ("10.0.0.10", "fd00::10")
    }
    mac = wire.attr(n.IFLA_ADDRESS, wire.mac_bytes("02:00:00:00:00:0a"))
    await stage.client.set_link(nic, mac)
    assert await neighbours(stage, nic) == []
    assert len(await neighbours(stage, nic, proxy=True)) == 2
    await stage.client.ask(n.RTM_NEWNEIGH, NEW, entry)
    await stage.client.set_link(nic, up=False)
    assert await neighbours(stage, nic) == []
    assert await neighbours(stage, nic, proxy=True) == []
    assert await labels(stage, nic) == [(32, 99)]
    assert len(await neighbours(stage, other)) == 1


@contract
async def test_neighbours_and_labels_of_a_device_that_is_not_there(stage: Stage) -> None:
    nobodys = stage.client.ask(n.RTM_NEWNEIGH, NEW, neighbour(99, "10.0.0.9", "02:00:00:00:00:09"))
    assert (await stage.client.refused(nobodys))[0] == errno.ENODEV
    short = NDMSG.pack(n.AF_INET, 1, n.NUD_PERMANENT, 0, 0) + wire.attr(n.NDA_DST, b"\n")
    assert (await stage.client.refused(stage.client.ask(n.RTM_NEWNEIGH, NEW, short)))[0] == errno.EINVAL
    nowhere = stage.client.ask(n.RTM_NEWADDRLABEL, NEW, label(99, "2001:db8::/32", 99))
    assert (await stage.client.refused(nowhere))[0] == errno.EINVAL
    assert (await stage.client.ask(n.RTM_GETLINK, 0, ifinfo(1)))[0].type == n.RTM_NEWLINK
