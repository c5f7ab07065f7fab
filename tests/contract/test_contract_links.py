"""Devices: made, brought up and down, changed, taken away; bridges and VLANs as far as they meet failoverd."""

from __future__ import annotations

import errno

from client import ifinfo, link_of
from worlds import Stage, contract, needs

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire

CREATED = 0xFFFFFFFF
MAC = "02:00:00:00:00:0a"


def mac(text: str) -> bytes:
    return wire.attr(n.IFLA_ADDRESS, wire.mac_bytes(text))


def mtu(value: int) -> bytes:
    return wire.u32(n.IFLA_MTU, value)


@contract
async def test_a_new_nic_is_told_once_and_down(stage: Stage) -> None:
    await stage.world.plug("nic0", MAC)
    link = await stage.client.until_link(lambda link: link.name == "nic0")
    assert (link.change, link.up, link.carrier, link.mac, link.family) == (CREATED, False, False, MAC, n.AF_UNSPEC)
    assert (link.mtu, link.master, link.number(n.IFLA_MAX_MTU), link.altnames) == (1500, 0, 65535, set())


@contract
async def test_up_is_told_before_the_operstate_follows(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await stage.client.set_link(nic, up=True)
    running = await stage.client.until_link(lambda link: link.index == nic)
    assert (running.change, running.up, running.carrier) == (n.IFF_UP, True, True)
    assert running.number(n.IFLA_OPERSTATE) != n.IF_OPER_UP
    after = await stage.client.until_link(lambda link: link.index == nic)
    assert (after.change, after.number(n.IFLA_OPERSTATE)) == (0, n.IF_OPER_UP)
    assert after.flags & n.IFF_RUNNING


@contract
async def test_up_twice_is_told_once(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    await stage.client.set_link(nic, up=True)
    assert stage.client.take_links(nic) == []


@contract
async def test_down_is_told_with_its_change(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    await stage.client.set_link(nic, up=False)
    (down,) = stage.client.take_links(nic)
    assert (down.change, down.up, down.carrier) == (n.IFF_UP, False, False)
    assert down.number(n.IFLA_OPERSTATE) == n.IF_OPER_DOWN


@contract
async def test_carrier_comes_and_goes(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    await stage.world.set_medium(nic, False)
    lost = await stage.client.until_link(lambda link: link.index == nic and not link.carrier)
    assert lost.up
    assert (lost.number(n.IFLA_CARRIER), lost.change) == (0, 0)
    await stage.world.set_medium(nic, True)
    back = await stage.client.until_link(lambda link: link.index == nic and bool(link.flags & n.IFF_RUNNING))
    assert (back.carrier, back.number(n.IFLA_OPERSTATE)) == (True, n.IF_OPER_UP)


@contract
async def test_up_without_a_medium_has_no_carrier(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True, carrier=False)
    link = await stage.client.link(nic)
    assert (link.up, link.carrier, link.number(n.IFLA_CARRIER)) == (True, False, 0)


@contract
async def test_unplugged_while_up_it_is_told_down_then_gone(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    await stage.world.unplug(nic)
    down = await stage.client.until_link(lambda link: link.index == nic)
    assert (down.up, down.change) == (False, n.IFF_UP | n.IFF_RUNNING)
    gone = link_of(await stage.client.until(lambda m: m.type == n.RTM_DELLINK and link_of(m).index == nic))
    assert (gone.family, gone.change, gone.name) == (n.AF_UNSPEC, CREATED, "nic0")
    assert await stage.client.refused(stage.client.link(nic)) == (errno.ENODEV, "")


@contract
async def test_an_ifindex_is_not_used_again(stage: Stage) -> None:
    first = await stage.nic("nic0")
    await stage.world.unplug(first)
    assert await stage.nic("nic0") > first


@contract
async def test_mtu(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await stage.client.set_link(nic, mtu(1400))
    assert [link.mtu for link in stage.client.take_links(nic)] == [1400]
    await stage.client.set_link(nic, mtu(1400))
    assert stage.client.take_links(nic) == []
    ask = stage.client.refused
    assert await ask(stage.client.set_link(nic, mtu(67))) == (errno.EINVAL, "mtu less than device minimum")
    assert await ask(stage.client.set_link(nic, mtu(65536))) == (errno.EINVAL, "mtu greater than device maximum")


@contract
async def test_mac(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    for _ in range(2):
        await stage.client.set_link(nic, mac("02:00:00:00:00:99"))
        assert [link.mac for link in stage.client.take_links(nic)] == ["02:00:00:00:00:99"]
    ask = stage.client.refused
    assert await ask(stage.client.set_link(nic, mac("01:00:00:00:00:01"))) == (errno.EADDRNOTAVAIL, "")
    assert await ask(stage.client.set_link(nic, mac("00:00:00:00:00:00"))) == (errno.EADDRNOTAVAIL, "")
    assert await ask(stage.client.set_link(nic, wire.attr(n.IFLA_ADDRESS, bytes(4)))) == (errno.EINVAL, "")


@contract
async def test_requests_about_nothing(stage: Stage) -> None:
    ask, client = stage.client.refused, stage.client
    name = wire.string(n.IFLA_IFNAME, "nobody")
    assert await ask(client.set_link(4711, mtu(1400))) == (errno.ENODEV, "")
    assert await ask(client.set_link(0)) == (errno.EINVAL, "")
    assert await ask(client.set_link(0, name)) == (errno.ENODEV, "")
    assert await ask(client.ask(n.RTM_DELLINK, 0, ifinfo(4711))) == (errno.ENODEV, "")
    assert await ask(client.ask(n.RTM_DELLINK, 0, ifinfo())) == (errno.EINVAL, "")
    assert await ask(client.ask(n.RTM_NEWLINK, 0, ifinfo(), name)) == (errno.ENODEV, "")
    unknown = (errno.EOPNOTSUPP, "Unknown device type")
    assert await ask(client.ask(n.RTM_NEWLINK, n.NLM_F_CREATE, ifinfo(), name)) == unknown
    assert await ask(client.create("nosuchkind", "x0")) == unknown
    assert await ask(client.ask(n.RTM_DELLINK, 0, ifinfo(1))) == (errno.EOPNOTSUPP, "")


@contract
async def test_newlink_with_index_0_picks_by_name(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await stage.client.ask(n.RTM_NEWLINK, 0, ifinfo(), wire.string(n.IFLA_IFNAME, "nic0"), mtu(1300))
    assert (await stage.client.link(nic)).mtu == 1300


@contract
async def test_a_link_cannot_be_replaced(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    flags = n.NLM_F_CREATE | n.NLM_F_REPLACE
    assert await stage.client.refused(stage.client.ask(n.RTM_NEWLINK, flags, ifinfo(nic))) == (errno.EOPNOTSUPP, "")
    flags = n.NLM_F_CREATE | n.NLM_F_EXCL
    assert await stage.client.refused(stage.client.ask(n.RTM_NEWLINK, flags, ifinfo(nic))) == (errno.EEXIST, "")


@contract
async def test_masters_that_are_none(stage: Stage) -> None:
    nic, other = await stage.nic("nic0"), await stage.nic("nic1")
    ask, client = stage.client.refused, stage.client
    assert await ask(client.set_link(nic, wire.u32(n.IFLA_MASTER, 4711))) == (errno.EINVAL, "")
    assert await ask(client.set_link(nic, wire.u32(n.IFLA_MASTER, other))) == (errno.EOPNOTSUPP, "")
    await client.set_link(nic, wire.u32(n.IFLA_MASTER, 0))


@contract
async def test_a_request_is_no_transaction(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    both = stage.client.set_link(nic, mtu(1400), wire.u32(n.IFLA_MASTER, 4711))
    assert await stage.client.refused(both) == (errno.EINVAL, "")
    assert (await stage.client.link(nic)).mtu == 1400


@needs("dummy")
@contract
async def test_a_dummy_has_a_carrier_and_no_operstate(stage: Stage) -> None:
    dummy = await stage.client.create("dummy", "dummy7", mac(MAC), mtu(1400), up=True)
    (told,) = stage.client.take_links(dummy)
    assert (told.change, told.up, told.carrier, told.mac, told.mtu) == (CREATED, True, True, MAC, 1400)
    assert (told.kind, told.number(n.IFLA_OPERSTATE)) == ("dummy", n.IF_OPER_UNKNOWN)
    assert await stage.client.refused(stage.client.create("dummy", "dummy7")) == (errno.EEXIST, "")
    zero = stage.client.create("dummy", "dummy8", mac("00:00:00:00:00:00"))
    assert await stage.client.refused(zero) == (errno.EADDRNOTAVAIL, "")
    await stage.client.ask(n.RTM_DELLINK, 0, ifinfo(dummy))
    assert dummy not in await stage.client.links()


@needs("bridge")
@contract
async def test_a_bridge_port_is_told_by_two_families(stage: Stage) -> None:
    nic, bridge = await stage.nic("nic0"), await stage.client.create("bridge", "br7")
    stage.client.take_links()
    await stage.client.set_link(nic, wire.u32(n.IFLA_MASTER, bridge))
    told = stage.client.take_links(nic)
    assert {link.family for link in told} == {n.AF_UNSPEC, n.AF_BRIDGE}
    assert {link.master for link in told} == {bridge}
    assert {link.slave_kind for link in told if link.family == n.AF_UNSPEC} == {"bridge"}
    await stage.client.set_link(nic, wire.u32(n.IFLA_MASTER, 0))
    left = [link_of(m) for m in stage.client.heard if m.type == n.RTM_DELLINK]
    assert [(link.index, link.family) for link in left] == [(nic, n.AF_BRIDGE)]
    last = stage.client.take_links(nic)[-1]
    assert (last.family, last.master) == (n.AF_UNSPEC, 0)


@needs("vlan")
@contract
async def test_a_vlan_follows_its_lower_device(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    number = wire.u16(n.IFLA_VLAN_ID, 5)
    lower = wire.u32(n.IFLA_LINK, nic)
    vlan = await stage.client.create("vlan", "nic0.5", lower, data=number)
    link = await stage.client.link(vlan)
    assert (link.kind, link.mac, link.number(n.IFLA_LINK)) == ("vlan", MAC, nic)
    ask, client = stage.client.refused, stage.client
    twice = client.create("vlan", "again", lower, data=number)
    assert await ask(twice) == (errno.EEXIST, "8021q: VLAN device already exists")
    assert await ask(client.create("vlan", "x", data=number)) == (errno.EINVAL, "8021q: link not specified")
    assert await ask(client.create("vlan", "x", lower)) == (errno.EINVAL, "8021q: VLAN properties not specified")
    assert await ask(client.set_link(vlan, up=True)) == (errno.ENETDOWN, "")
    await client.set_link(nic, up=True)
    await client.until_link(lambda link: link.index == vlan and bool(link.flags & n.IFF_RUNNING))
    await client.set_link(nic, mtu(1400))
    await client.set_link(nic, mac("02:00:00:00:00:77"))
    link = await client.link(vlan)
    assert (link.mtu, link.mac) == (1400, "02:00:00:00:00:77")
    await client.set_link(nic, up=False)
    assert not (await client.link(vlan)).up
    await stage.world.unplug(nic)
    await client.until(lambda m: m.type == n.RTM_DELLINK and link_of(m).index == vlan)
    await client.until(lambda m: m.type == n.RTM_DELLINK and link_of(m).index == nic)
