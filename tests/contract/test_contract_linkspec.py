"""What the tc datapath asks of a NIC itself: allmulti, no IPv6 of its own, no XDP; and its carrier, as it is now."""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass

import trio
from client import Link, addr_of, ifinfo, link_of
from worlds import Stage, contract, needs

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire

EUI64, NONE = n.IN6_ADDR_GEN_MODE_EUI64, n.IN6_ADDR_GEN_MODE_NONE
INET6 = struct.pack("=BBBBI", n.AF_INET6, 0, 0, 0, 0)


async def flags(stage: Stage, index: int, value: int, change: int) -> None:
    await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(index, value, change))


def generate(mode: int) -> bytes:
    """IFLA_AF_SPEC that sets how link-local addresses come about."""
    nested = wire.NLA_F_NESTED
    asked = wire.u8(n.IFLA_INET6_ADDR_GEN_MODE, mode)
    return wire.nest(n.IFLA_AF_SPEC | nested, wire.nest(n.AF_INET6 | nested, asked))


def mode_of(link: Link) -> int | None:
    inet6 = wire.table(wire.table(link.attrs.get(n.IFLA_AF_SPEC, b"")).get(n.AF_INET6, b""))
    return wire.number(inet6[n.IFLA_INET6_ADDR_GEN_MODE]) if inet6 else None


async def link_locals(stage: Stage, index: int) -> list[str]:
    rows = [addr_of(row) for row in await stage.client.ask(n.RTM_GETADDR, n.NLM_F_DUMP, INET6)]
    return [row.cidr for row in rows if row.index == index]


@contract
async def test_allmulti_is_told_even_of_a_nic_that_is_down(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await flags(stage, nic, n.IFF_ALLMULTI, n.IFF_ALLMULTI)
    (told,) = stage.client.take_links(nic)
    assert (told.change, told.flags & n.IFF_ALLMULTI, told.up) == (n.IFF_ALLMULTI, n.IFF_ALLMULTI, False)
    await flags(stage, nic, n.IFF_ALLMULTI, n.IFF_ALLMULTI)
    assert stage.client.take_links(nic) == []
    await flags(stage, nic, 0, n.IFF_ALLMULTI)
    (told,) = stage.client.take_links(nic)
    assert (told.change, told.flags & n.IFF_ALLMULTI) == (n.IFF_ALLMULTI, 0)


@contract
async def test_up_and_allmulti_in_one_request_are_one_message(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    both = n.IFF_UP | n.IFF_ALLMULTI
    await flags(stage, nic, both, both)
    told = stage.client.take_links(nic)[0]
    assert (told.change, told.flags & both) == (both, both)
    await flags(stage, nic, n.IFF_PROMISC, n.IFF_PROMISC | n.IFF_ALLMULTI)
    told = stage.client.take_links(nic)[-1]
    assert told.change == n.IFF_PROMISC | n.IFF_ALLMULTI
    assert (told.up, told.flags & n.IFF_ALLMULTI, told.flags & n.IFF_PROMISC) == (True, 0, n.IFF_PROMISC)
    await stage.client.set_link(nic, up=False)
    assert (await stage.client.link(nic)).flags & n.IFF_PROMISC


@contract
async def test_without_ipv6_of_its_own_a_nic_comes_up_with_no_address(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    assert mode_of(await stage.client.link(nic)) == EUI64
    await stage.client.set_link(nic, generate(NONE))
    assert stage.client.take_links(nic) == []
    assert mode_of(await stage.client.link(nic)) == NONE
    await stage.client.set_link(nic, up=True)
    await stage.client.until_link(lambda link: link.index == nic and bool(link.flags & n.IFF_RUNNING))
    await trio.sleep(0.3)
    assert await link_locals(stage, nic) == []
    await stage.client.set_link(nic, up=False)
    await stage.client.set_link(nic, generate(EUI64))
    await stage.client.set_link(nic, up=True)
    await stage.client.until_addr("fe80::ff:fe00:a/64")


@contract
async def test_the_mode_is_told_of_a_nic_that_is_up_and_leaves_its_address(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    await stage.client.until_addr("fe80::ff:fe00:a/64")
    await stage.client.set_link(nic, generate(NONE))
    (told,) = stage.client.take_links(nic)
    assert (mode_of(told), told.change) == (NONE, 0)
    assert await link_locals(stage, nic) == ["fe80::ff:fe00:a/64"]
    await stage.client.set_link(nic, up=False)
    await stage.client.set_link(nic, up=True)
    await stage.client.until_link(lambda link: link.index == nic and bool(link.flags & n.IFF_RUNNING))
    await trio.sleep(0.3)
    assert await link_locals(stage, nic) == []


@contract
async def test_below_the_least_mtu_of_ipv6_the_mode_is_forgotten(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await stage.client.set_link(nic, generate(NONE))
    await stage.client.set_link(nic, wire.u32(n.IFLA_MTU, 1000))
    assert mode_of(await stage.client.link(nic)) is None
    assert await stage.client.refused(stage.client.set_link(nic, generate(NONE))) == (errno.EAFNOSUPPORT, "")
    await stage.client.set_link(nic, wire.u32(n.IFLA_MTU, 1500))
    assert mode_of(await stage.client.link(nic)) == EUI64


@contract
async def test_modes_that_are_refused(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    for mode in (9, n.IN6_ADDR_GEN_MODE_STABLE):
        assert await stage.client.refused(stage.client.set_link(nic, generate(mode))) == (errno.EINVAL, "")
    empty = wire.nest(n.IFLA_AF_SPEC, wire.nest(n.AF_INET6))
    assert await stage.client.refused(stage.client.set_link(nic, empty)) == (errno.EINVAL, "")
    unknown = wire.nest(n.IFLA_AF_SPEC, wire.nest(77, wire.u8(8, 1)))
    assert (await stage.client.refused(stage.client.set_link(nic, unknown)))[0] == errno.EAFNOSUPPORT


@contract
async def test_a_nic_says_that_it_has_no_xdp_program(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    skip = wire.u32(n.IFLA_EXT_MASK, n.RTEXT_FILTER_SKIP_STATS)
    (answer,) = await stage.client.ask(n.RTM_GETLINK, 0, ifinfo(nic), skip)
    for link in (link_of(answer), await stage.client.link(nic)):
        assert wire.table(link.attrs[n.IFLA_XDP]) == {n.IFLA_XDP_ATTACHED: b"\0"}
        assert mode_of(link) == EUI64


@needs("bridge")
@contract
async def test_an_answer_has_the_carrier_of_now_while_the_notice_waits(stage: Stage) -> None:
    """The kernel tells lost carriers once a second, of all devices together: but not those of a bond's ports, of
    VLANs and of veths (linkwatch_urgent_event() of net/core/link_watch.c). So here it is bridges that lose theirs."""
    first, second = await bridge_with_carrier(stage, 0), await bridge_with_carrier(stage, 1)
    await stage.client.set_link(first.port, up=False)
    await stage.client.until_link(lambda link: link.index == first.index and not link.flags & n.IFF_RUNNING)
    # One round is just over, the next is a second away.
    await stage.client.set_link(second.port, up=False)
    await stage.quiet(first.index)
    asked = await stage.client.link(second.index)
    assert not asked.carrier
    told = stage.client.take_links(second.index)
    if stage.world.release >= (6, 8):
        assert [link.carrier for link in told] == [False]
    else:
        assert (told, bool(asked.flags & n.IFF_RUNNING)) == ([], True)
        lost = await stage.client.until_link(lambda link: link.index == second.index)
        assert (lost.carrier, lost.flags & n.IFF_RUNNING) == (False, 0)


@dataclass
class Bridge:
    """A bridge with one port that makes its carrier."""

    index: int
    port: int


async def bridge_with_carrier(stage: Stage, number: int) -> Bridge:
    port = await stage.nic(f"nic{number}", mac=f"02:00:00:00:00:1{number}", up=True)
    bridge = await stage.client.create("bridge", f"br{number}")
    await stage.client.set_link(port, wire.u32(n.IFLA_MASTER, bridge))
    await stage.client.set_link(bridge, up=True)
    await stage.client.until_link(
        lambda link: link.index == bridge and link.carrier and link.number(n.IFLA_OPERSTATE) == n.IF_OPER_UP
    )
    await stage.quiet(bridge)
    return Bridge(bridge, port)
