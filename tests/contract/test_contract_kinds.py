"""Kinds of device with options of their own: what the kernel tells of one, and what it makes of CreateLink."""

from __future__ import annotations

import errno

from client import Link, ifinfo, link_of
from worlds import Stage, contract, needs

from failoverd.kinds import Bond, Bridge, Dummy, Info, Ipvlan, Macvlan, NewDevice, Veth, VethPair, Vlan, Vrf
from failoverd.kinds.ipvlan import L2, L3
from failoverd.kinds.macvlan import BRIDGE, PASSTHRU, VEPA
from failoverd.model.declared import Options
from failoverd.model.requests import ChangeLink, CreateLink
from failoverd.netlink.frames import split
from failoverd.netlink.links import read_link
from failoverd.netlink.requests import write_request
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire

NEAR = NewDevice("v0", "02:00:00:00:00:0b", 1400, 4711)
FAR = NewDevice("v1", "02:00:00:00:00:0c", 1300, 4712)


async def info(stage: Stage, index: int) -> Info | None:
    """What failoverd reads of a device."""
    (answer,) = await stage.client.ask(n.RTM_GETLINK, 0, ifinfo(index))
    (message,) = split(answer.pack())
    return read_link(message).info


async def make(stage: Stage, request: CreateLink) -> Link:
    """Have the kernel make one, and see it."""
    (message,) = split(write_request(request, 0))
    await stage.client.ask(message.type, message.flags, message.payload)
    return next(link for link in (await stage.client.links()).values() if link.name == request.device.name)


async def veths(stage: Stage) -> tuple[int, int]:
    """A pair that another program has made."""
    peer = wire.attr(n.VETH_INFO_PEER, ifinfo() + wire.string(n.IFLA_IFNAME, "v1"))
    index = await stage.client.create("veth", "v0", data=peer)
    return index, (await stage.client.link(index)).number(n.IFLA_LINK)


@contract
async def test_each_end_of_a_veth_tells_the_other(stage: Stage) -> None:
    near, far = await veths(stage)
    assert (await info(stage, near), await info(stage, far)) == (Veth(far), Veth(near))
    assert (await stage.client.link(far)).name == "v1"
    told = [link for link in map(link_of, stage.client.heard) if link.name in ("v0", "v1")]
    assert [(link.name, link.number(n.IFLA_LINK), link.up) for link in told] == [("v1", 0, False), ("v0", far, False)]


@contract
async def test_a_veth_has_a_carrier_while_both_ends_are_up(stage: Stage) -> None:
    near, far = await veths(stage)
    await stage.client.set_link(near, up=True)
    link = await stage.client.link(near)
    if link.number(n.IFLA_OPERSTATE) != n.IF_OPER_LOWERLAYERDOWN:
        # Before 6.8, the link watch may not have been there yet: it is told when it has.
        link = await stage.client.until_link(
            lambda link: link.index == near and link.number(n.IFLA_OPERSTATE) == n.IF_OPER_LOWERLAYERDOWN
        )
    assert (link.up, link.carrier) == (True, False)
    await stage.client.set_link(far, up=True)
    for end in (far, near):
        await stage.client.until_operational(end)
        assert (await stage.client.link(end)).carrier
    await stage.client.set_link(far, up=False)
    lost = await stage.client.until_link(lambda link: link.index == near and not link.carrier)
    assert lost.up


@contract
async def test_a_veth_goes_with_its_other_end(stage: Stage) -> None:
    near, far = await veths(stage)
    await stage.client.ask(n.RTM_DELLINK, 0, ifinfo(far))
    await stage.client.links()
    gone = [link_of(message).index for message in stage.client.heard if message.type == n.RTM_DELLINK]
    assert gone == [far, near]
    assert await stage.client.refused(stage.client.link(near)) == (errno.ENODEV, "")


@contract
async def test_a_pair_of_veths_is_made_with_all_that_it_was_asked_for(stage: Stage) -> None:
    near = await make(stage, CreateLink(NEAR, VethPair(FAR)))
    assert (near.index, near.mac, near.mtu, near.kind, near.up) == (4711, NEAR.mac, 1400, "veth", False)
    far = await stage.client.link(4712)
    assert (far.name, far.mac, far.mtu, far.kind, far.up) == ("v1", FAR.mac, 1300, "veth", False)
    assert (await info(stage, 4711), await info(stage, 4712)) == (Veth(4712), Veth(4711))


@contract
async def test_a_pair_that_cannot_be_made_leaves_nothing(stage: Stage) -> None:
    other = await stage.nic("nic0")
    taken, same = NewDevice("nic0"), NewDevice("v0")
    for new, peer, number in (
        (NEAR, taken, errno.EEXIST),
        (taken, FAR, errno.EEXIST),
        (same, same, errno.EEXIST),
        (NEAR, NewDevice("v1", ifindex=other), errno.EBUSY),
    ):
        assert await stage.client.refused(make(stage, CreateLink(new, VethPair(peer)))) == (number, "")
    assert not {"v0", "v1"} & {link.name for link in (await stage.client.links()).values()}


@contract
async def test_an_ifindex_for_the_far_end_alone_is_not_heeded(stage: Stage) -> None:
    near = await make(stage, CreateLink(NewDevice("v0"), VethPair(FAR)))
    assert near.number(n.IFLA_LINK) != FAR.ifindex


@needs("vlan")
@contract
async def test_a_vlan(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    tag = wire.u16(n.IFLA_VLAN_ID, 7)
    vlan = await stage.client.create("vlan", "nic0.7", wire.u32(n.IFLA_LINK, nic), data=tag)
    assert await info(stage, vlan) == Vlan(7)
    made = await make(stage, CreateLink(NewDevice("nic0.8", mtu=1400, lower=nic), Vlan(8)))
    assert (await info(stage, made.index), made.number(n.IFLA_LINK), made.mtu) == (Vlan(8), nic, 1400)


@needs("bridge")
@contract
async def test_a_bridge(stage: Stage) -> None:
    plain = await stage.client.create("bridge", "br0")
    assert await info(stage, plain) == Bridge(1500)
    bridge = await stage.client.create("bridge", "br1", data=wire.u32(n.IFLA_BR_STP_STATE, 1))
    assert await info(stage, bridge) == Bridge(1500, stp=True)
    asked = Bridge(200, stp=True)
    made = await make(stage, CreateLink(NewDevice("br2", "02:00:00:00:00:0d"), asked))
    assert (await info(stage, made.index), made.mac) == (asked, "02:00:00:00:00:0d")
    too_soon = wire.nest(n.IFLA_LINKINFO, wire.string(n.IFLA_INFO_KIND, "bridge"), wire.nest(2, wire.u32(1, 100)))
    change = stage.client.ask(n.RTM_NEWLINK, 0, ifinfo(made.index), too_soon)
    assert (await stage.client.refused(change))[0] == errno.ERANGE


@needs("bond")
@contract
async def test_a_bond(stage: Stage) -> None:
    asked = Bond(mode=1, miimon=50, fail_over_mac=1, peer_notifications=2, lp_interval=77)
    made = await make(stage, CreateLink(NewDevice("fo", "02:00:00:00:00:0d", 1400), asked))
    assert (made.mac, made.mtu, made.up) == ("02:00:00:00:00:0d", 1400, False)
    assert await info(stage, made.index) == asked


@needs("macvlan")
@contract
async def test_a_macvlan(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    plain = await stage.client.create("macvlan", "mv0", wire.u32(n.IFLA_LINK, nic))
    assert await info(stage, plain) == Macvlan(VEPA)
    new = NewDevice("mv1", "02:00:00:00:00:0d", 1400, lower=plain)
    made = await make(stage, CreateLink(new, Macvlan(BRIDGE)))
    assert await info(stage, made.index) == Macvlan(BRIDGE)
    assert (made.number(n.IFLA_LINK), made.mac, made.mtu) == (nic, "02:00:00:00:00:0d", 1400)
    for new, asked, number in (
        (NewDevice("mv2"), Macvlan(BRIDGE), errno.EINVAL),
        (NewDevice("mv2", lower=4711), Macvlan(BRIDGE), errno.ENODEV),
        (NewDevice("mv2", lower=nic), Macvlan(3), errno.EINVAL),
        (NewDevice("mv2", mtu=1501, lower=nic), Macvlan(BRIDGE), errno.EINVAL),
    ):
        assert (await stage.client.refused(make(stage, CreateLink(new, asked))))[0] == number


async def change(stage: Stage, index: int, info: Options) -> None:
    """Have the kernel change the options of one that is there."""
    (message,) = split(write_request(ChangeLink(index, info), 0))
    await stage.client.ask(message.type, message.flags, message.payload)


@needs("macvlan")
@contract
async def test_the_mode_of_a_macvlan_is_changed_in_place(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    made = await make(stage, CreateLink(NewDevice("mv0", lower=nic), Macvlan(BRIDGE)))
    await change(stage, made.index, Macvlan(VEPA))
    assert await info(stage, made.index) == Macvlan(VEPA)
    for mode in (PASSTHRU, 3):
        assert (await stage.client.refused(change(stage, made.index, Macvlan(mode))))[0] == errno.EINVAL
    assert await info(stage, made.index) == Macvlan(VEPA)


@needs("ipvlan")
@contract
async def test_the_mode_of_an_ipvlan_is_changed_in_place(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    ends = [await make(stage, CreateLink(NewDevice(name, lower=nic), Ipvlan(L2))) for name in ("iv0", "iv1")]
    await change(stage, ends[0].index, Ipvlan(L3))
    assert [await info(stage, end.index) for end in ends] == [Ipvlan(L3)] * 2
    assert (await stage.client.refused(change(stage, ends[0].index, Ipvlan(7))))[0] == errno.EINVAL


@needs("macvlan")
@contract
async def test_a_macvlan_follows_what_it_stands_on(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await stage.client.set_link(nic, up=True)
    await stage.client.until_operational(nic)
    mv = await stage.client.create("macvlan", "mv0", wire.u32(n.IFLA_LINK, nic))
    await stage.client.set_link(mv, up=True)
    await stage.client.until_operational(mv)
    await stage.client.set_link(nic, up=False)
    lost = await stage.client.until_link(lambda link: link.index == mv and not link.carrier)
    assert lost.up
    await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(nic), wire.u32(n.IFLA_MTU, 1300))
    assert (await stage.client.link(mv)).mtu == 1300


@needs("macvlan")
@needs("bridge")
@contract
async def test_a_device_with_a_macvlan_on_it_becomes_nobodys_slave(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await stage.client.create("macvlan", "mv0", wire.u32(n.IFLA_LINK, nic))
    bridge = await stage.client.create("bridge", "br0")
    enslave = stage.client.ask(n.RTM_SETLINK, 0, ifinfo(nic), wire.u32(n.IFLA_MASTER, bridge))
    assert (await stage.client.refused(enslave))[0] == errno.EBUSY


@needs("ipvlan")
@contract
async def test_an_ipvlan(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    mac = (await stage.client.link(nic)).mac
    plain = await stage.client.create("ipvlan", "iv0", wire.u32(n.IFLA_LINK, nic))
    assert await info(stage, plain) == Ipvlan(L3)
    made = await make(stage, CreateLink(NewDevice("iv1", lower=plain), Ipvlan(L2)))
    assert (await info(stage, made.index), made.number(n.IFLA_LINK), made.mac) == (Ipvlan(L2), nic, mac)
    assert await info(stage, plain) == Ipvlan(L2)


@needs("dummy")
@contract
async def test_a_dummy(stage: Stage) -> None:
    made = await make(stage, CreateLink(NewDevice("dm0", "02:00:00:00:00:0d", 1400), Dummy()))
    assert (await info(stage, made.index), made.mac, made.mtu) == (Dummy(), "02:00:00:00:00:0d", 1400)


@needs("vrf")
@contract
async def test_a_vrf(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    made = await make(stage, CreateLink(NewDevice("red"), Vrf(10)))
    assert (await info(stage, made.index), made.mtu) == (Vrf(10), 65575)
    await stage.client.ask(n.RTM_SETLINK, 0, ifinfo(nic), wire.u32(n.IFLA_MASTER, made.index))
    assert (await stage.client.link(nic)).number(n.IFLA_MASTER) == made.index
    refused = make(stage, CreateLink(NewDevice("blue"), Vrf()))
    assert await stage.client.refused(refused) == (errno.EINVAL, "Invalid VRF table id")
