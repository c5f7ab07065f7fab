"""Bonds: made, filled, chosen in, failing over, emptied. The heart of what failoverd leans on."""

from __future__ import annotations

import errno

from client import Client, Link, ifinfo, link_of
from worlds import Stage, contract, needs

from failoverd.kinds.bond import HEARING, SIGNATURE
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire

MAC, OTHER = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
INVALID = (errno.EINVAL, "invalid option value")
HAS_SLAVES = (errno.ENOTEMPTY, "unable to set option because the bond device has slaves")


def master(index: int) -> bytes:
    return wire.u32(n.IFLA_MASTER, index)


def active(index: int) -> bytes:
    return wire.u32(n.IFLA_BOND_ACTIVE_SLAVE, index)


def state(link: Link) -> tuple[int, int]:
    """Bonding's state and its opinion of the link."""
    status = (n.IFLA_BOND_SLAVE_STATE, n.IFLA_BOND_SLAVE_MII_STATUS)
    return wire.number(link.slave[status[0]]), wire.number(link.slave[status[1]])


async def pair(stage: Stage, miimon: int = 100) -> tuple[int, int, int]:
    """A bond that is up, with two slaves; the first is active."""
    first, second = await stage.nic("nic0", MAC), await stage.nic("nic1", MAC)
    bond = await stage.bond("bond7", up=True, miimon=miimon)
    await stage.enslave(bond, first, second)
    assert (await stage.client.link(bond)).active == first
    return bond, first, second


async def active_now(client: Client, bond: int) -> int:
    return (await client.link(bond)).active


@needs("bond")
@contract
async def test_a_bond_as_it_is_made(stage: Stage) -> None:
    mode = wire.u8(n.IFLA_BOND_MODE, 1) + wire.u32(n.IFLA_BOND_MIIMON, 100) + wire.u8(n.IFLA_BOND_FAIL_OVER_MAC, 1)
    attrs = wire.attr(n.IFLA_ADDRESS, wire.mac_bytes(MAC)) + wire.u32(n.IFLA_MTU, 1400)
    bond = await stage.client.create("bond", "bond7", attrs, data=mode)
    (told,) = stage.client.take_links(bond)
    assert (told.change, told.kind, told.mac, told.mtu, told.up) == (0xFFFFFFFF, "bond", MAC, 1400, False)
    assert told.flags & n.IFF_MASTER
    values = {kind: wire.number(value) for kind, value in told.data.items()}
    assert (values[n.IFLA_BOND_MODE], values[n.IFLA_BOND_MIIMON], values[n.IFLA_BOND_FAIL_OVER_MAC]) == (1, 100, 1)
    assert values[n.IFLA_BOND_NUM_PEER_NOTIF] == 1
    assert n.IFLA_BOND_ACTIVE_SLAVE not in values


@needs("bond")
@contract
async def test_options_that_are_refused_at_creation(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    ask, create = stage.client.refused, stage.client.create
    assert await ask(create("bond", "bond7", data=wire.u8(n.IFLA_BOND_MODE, 9))) == INVALID
    assert await ask(create("bond", "bond7", data=wire.u8(n.IFLA_BOND_MODE, 1) + active(nic))) == INVALID
    assert {link.name for link in (await stage.client.links()).values() if link.kind == "bond"} == set()


@needs("bond")
@contract
async def test_what_cannot_be_enslaved(stage: Stage) -> None:
    nic, bond = await stage.nic("nic0", up=True), await stage.bond("bond7")
    ask, client = stage.client.refused, stage.client
    up = (errno.EPERM, "Device can not be enslaved while up")
    assert await ask(client.set_link(nic, master(bond))) == up
    assert await ask(client.set_link(bond, master(bond))) == (errno.EPERM, "Cannot enslave bond to itself.")
    await client.set_link(nic, up=False)
    assert await ask(client.set_link(nic, master(bond), up=True)) == up
    assert (await client.link(nic)).up


@needs("bond")
@contract
async def test_the_bond_opens_its_slave_and_says_so_step_by_step(stage: Stage) -> None:
    nic, bond = await stage.nic("nic0"), await stage.bond("bond7")
    await stage.client.set_link(nic, master(bond))
    told = stage.client.take_links(nic)
    assert (told[0].up, told[0].master, told[0].change) == (True, 0, n.IFF_UP | n.IFF_RUNNING)
    assert told[0].flags & n.IFF_SLAVE
    with_master = [link for link in told if link.master == bond]
    assert with_master[0].slave_kind == "bond"
    assert state(with_master[0]) == (n.BOND_STATE_BACKUP, n.BOND_LINK_UP)
    now = await stage.client.link(nic)
    assert state(now) == (n.BOND_STATE_ACTIVE, n.BOND_LINK_UP)
    assert wire.mac_text(now.slave[n.IFLA_BOND_SLAVE_PERM_HWADDR]) == MAC
    bonded = await stage.client.link(bond)
    assert (bonded.active, bonded.up, bonded.number(n.IFLA_CARRIER)) == (nic, False, 1)


@needs("bond")
@contract
async def test_enslaving_again_changes_nothing(stage: Stage) -> None:
    bond, first, _ = await pair(stage)
    await stage.client.set_link(first, master(bond))
    assert stage.client.take_links(first) == []


@needs("bond")
@contract
async def test_a_slave_takes_the_bonds_mtu_and_gets_its_own_back(stage: Stage) -> None:
    nic, bond = await stage.nic("nic0"), await stage.bond("bond7", up=True)
    await stage.client.set_link(nic, wire.u32(n.IFLA_MTU, 1300))
    await stage.enslave(bond, nic)
    assert (await stage.client.link(nic)).mtu == 1500
    await stage.client.set_link(bond, wire.u32(n.IFLA_MTU, 1400))
    # On a busy kernel a late word of its carrier comes first.
    told = [link.mtu for link in stage.client.take_links(nic, bond)]
    assert [mtu for mtu in told if mtu != 1500] == [1400, 1400]
    await stage.client.set_link(nic, wire.u32(n.IFLA_MTU, 1450))
    assert ((await stage.client.link(nic)).mtu, (await stage.client.link(bond)).mtu) == (1450, 1400)
    await stage.client.set_link(nic, master(0))
    assert (await stage.client.link(nic)).mtu == 1300


@needs("bond", "vlan")
@contract
async def test_an_mtu_the_slave_cannot_do_refuses_it_without_a_word(stage: Stage) -> None:
    nic, bond = await stage.nic("nic0"), await stage.bond("bond7")
    jumbo = wire.u32(n.IFLA_MTU, 65535)
    vlan = await stage.client.create("vlan", "nic0.5", wire.u32(n.IFLA_LINK, nic), data=wire.u16(n.IFLA_VLAN_ID, 5))
    await stage.client.set_link(bond, jumbo)
    assert await stage.client.refused(stage.client.set_link(vlan, master(bond))) == (errno.ERANGE, "")
    link = await stage.client.link(vlan)
    assert (link.master, link.up, link.mtu) == (0, False, 1500)


@needs("bond")
@contract
async def test_a_bond_of_random_mac_takes_its_first_slaves(stage: Stage) -> None:
    nic, bond = await stage.nic("nic0", OTHER), await stage.bond("bond7", mac="")
    await stage.enslave(bond, nic)
    assert (await stage.client.link(bond)).mac == OTHER


@needs("bond")
@contract
async def test_the_bond_follows_the_mac_of_its_active_slave(stage: Stage) -> None:
    first, second = await stage.nic("nic0", MAC), await stage.nic("nic1", OTHER)
    bond = await stage.bond("bond7", up=True)
    await stage.enslave(bond, first, second)
    await stage.client.change_bond(bond, active(second))
    links = await stage.client.links()
    assert (links[bond].mac, links[first].mac, links[second].mac) == (OTHER, MAC, OTHER)
    await stage.client.set_link(bond, wire.attr(n.IFLA_ADDRESS, wire.mac_bytes("02:00:00:00:00:77")))
    assert (await stage.client.link(bond)).mac == OTHER


@needs("bond")
@contract
async def test_an_emptied_bond_has_a_random_mac_and_no_carrier(stage: Stage) -> None:
    nic, bond = await stage.nic("nic0"), await stage.bond("bond7", up=True)
    await stage.enslave(bond, nic)
    await stage.client.set_link(nic, master(0))
    link = await stage.client.until_link(lambda link: link.index == bond and not link.flags & n.IFF_RUNNING)
    assert (link.carrier, link.active, link.up) == (False, 0, True)
    assert link.mac != MAC


@needs("bond")
@contract
async def test_the_active_slave_is_chosen(stage: Stage) -> None:
    bond, first, second = await pair(stage)
    await stage.client.change_bond(bond, active(second))
    told = stage.client.take_links(bond, first, second)
    assert [(link.index, state(link)[0]) for link in told if link.index != bond] == [(first, 1), (second, 0)]
    assert (told[-1].index, told[-1].active) == (bond, second)
    await stage.client.change_bond(bond, active(second))
    assert {(link.index, link.active) for link in stage.client.take_links(bond, first, second)} == {(bond, second)}
    await stage.client.change_bond(bond, active(0))
    assert await active_now(stage.client, bond) == first


@needs("bond")
@contract
async def test_slaves_that_cannot_be_chosen(stage: Stage) -> None:
    bond, first, second = await pair(stage)
    other = await stage.nic("nic2")
    ask, client = stage.client.refused, stage.client
    assert await ask(client.change_bond(bond, active(other))) == INVALID
    assert await ask(client.change_bond(bond, active(4711))) == (errno.ENODEV, "")
    await client.set_link(second, up=False)
    assert await ask(client.change_bond(bond, active(second))) == INVALID
    assert await active_now(client, bond) == first


@needs("bond")
@contract
async def test_an_option_of_another_mode_is_kept_and_told(stage: Stage) -> None:
    """failoverd knows by it a bond that it has made and not marked yet: it is there from the first message on."""
    data = wire.u8(n.IFLA_BOND_MODE, 1) + wire.u32(n.IFLA_BOND_LP_INTERVAL, SIGNATURE)
    bond = await stage.client.create("bond", "bond7", wire.attr(n.IFLA_ADDRESS, wire.mac_bytes(MAC)), data=data)
    (told,) = stage.client.take_links(bond)
    assert (told.mac, wire.number(told.data[n.IFLA_BOND_LP_INTERVAL])) == (MAC, SIGNATURE)
    await stage.client.set_link(bond, up=True)
    for on, sign in ((1, HEARING), (0, SIGNATURE)):
        both = wire.u8(n.IFLA_BOND_ALL_SLAVES_ACTIVE, on) + wire.u32(n.IFLA_BOND_LP_INTERVAL, sign)
        await stage.client.change_bond(bond, both)
        options = (await stage.client.link(bond)).data
        assert [wire.number(options[i]) for i in (n.IFLA_BOND_ALL_SLAVES_ACTIVE, n.IFLA_BOND_LP_INTERVAL)] == [on, sign]
    other = await stage.client.create("bond", "bond8", data=wire.u8(n.IFLA_BOND_MODE, 1))
    assert wire.number((await stage.client.link(other)).data[n.IFLA_BOND_LP_INTERVAL]) == 1
    nothing = wire.u32(n.IFLA_BOND_LP_INTERVAL, 0)
    assert await stage.client.refused(stage.client.change_bond(other, nothing)) == INVALID


@needs("bond")
@contract
async def test_a_bond_that_its_last_slave_leaves_has_another_mac(stage: Stage) -> None:
    nic, bond = await stage.nic("nic0"), await stage.bond("bond7", MAC)
    await stage.enslave(bond, nic)
    await stage.client.set_link(nic, master(0))
    assert (await stage.client.link(bond)).mac != MAC


@needs("bond")
@contract
async def test_options_of_a_bond_with_slaves(stage: Stage) -> None:
    bond, _, _ = await pair(stage)
    ask, client = stage.client.refused, stage.client
    assert await ask(client.change_bond(bond, wire.u8(n.IFLA_BOND_MODE, 1))) == HAS_SLAVES
    assert await ask(client.change_bond(bond, wire.u8(n.IFLA_BOND_FAIL_OVER_MAC, 1))) == HAS_SLAVES
    await client.change_bond(bond, wire.u32(n.IFLA_BOND_MIIMON, 50) + wire.u8(n.IFLA_BOND_NUM_PEER_NOTIF, 3))
    data = (await client.link(bond)).data
    assert wire.number(data[n.IFLA_BOND_MIIMON]) == 50
    assert wire.number(data[n.IFLA_BOND_NUM_PEER_NOTIF]) == 3


@needs("bond")
@contract
async def test_mode_of_a_bond_that_is_up(stage: Stage) -> None:
    bond = await stage.bond("bond7", up=True)
    words = (errno.EBUSY, "unable to set option because the bond is up")
    assert await stage.client.refused(stage.client.change_bond(bond, wire.u8(n.IFLA_BOND_MODE, 0))) == words


@needs("bond")
@contract
async def test_data_for_another_kind(stage: Stage) -> None:
    bond = await stage.bond("bond7")
    info = wire.string(n.IFLA_INFO_KIND, "bridge") + wire.attr(n.IFLA_INFO_DATA, wire.u32(1, 1))
    change = stage.client.ask(n.RTM_NEWLINK, 0, ifinfo(bond), wire.attr(n.IFLA_LINKINFO, info))
    assert await stage.client.refused(change) == (errno.EOPNOTSUPP, "")


@needs("bond")
@contract
async def test_carrier_loss_is_told_at_once_and_acted_on_at_the_next_tick(stage: Stage) -> None:
    # A long miimon: on a busy machine a tick every 100 ms may come before the message of the loss is written.
    bond, first, second = await pair(stage, miimon=2000)
    await stage.world.set_medium(first, False)
    lost = await stage.client.until_link(lambda link: link.index == first and not link.carrier)
    assert state(lost) == (n.BOND_STATE_ACTIVE, n.BOND_LINK_UP)
    noticed = await stage.client.until_link(lambda link: link.index == first)
    assert state(noticed)[1] == n.BOND_LINK_DOWN
    assert wire.number(noticed.slave[n.IFLA_BOND_SLAVE_LINK_FAILURE_COUNT]) == 1
    taken = await stage.client.until_link(lambda link: link.index == second)
    assert state(taken) == (n.BOND_STATE_ACTIVE, n.BOND_LINK_UP)
    over = await stage.client.until_link(lambda link: link.index == bond)
    assert (over.active, over.carrier) == (second, True)


@needs("bond")
@contract
async def test_before_the_tick_a_manager_can_choose_the_other(stage: Stage) -> None:
    bond, first, second = await pair(stage)
    await stage.world.set_medium(first, False)
    await stage.client.until_link(lambda link: link.index == first and not link.carrier)
    await stage.client.change_bond(bond, active(second))
    assert await active_now(stage.client, bond) == second


@needs("bond")
@contract
async def test_without_a_primary_the_active_slave_stays_when_the_first_comes_back(stage: Stage) -> None:
    bond, first, second = await pair(stage)
    await stage.world.set_medium(first, False)
    await stage.client.until_link(lambda link: link.index == bond and link.active == second)
    await stage.world.set_medium(first, True)
    back = lambda link: link.index == first and link.master == bond and state(link)[1] == n.BOND_LINK_UP  # noqa: E731
    assert state(await stage.client.until_link(back))[0] == n.BOND_STATE_BACKUP
    assert await active_now(stage.client, bond) == second


@needs("bond")
@contract
async def test_since_linux_6_0_the_first_slave_is_preferred_when_another_is_enslaved(stage: Stage) -> None:
    bond, first, second = await pair(stage)
    await stage.client.change_bond(bond, active(second))
    await stage.enslave(bond, await stage.nic("nic2"))
    assert await active_now(stage.client, bond) == (first if stage.world.release >= (6, 0) else second)


@needs("bond")
@contract
async def test_with_primary_reselect_failure_the_active_slave_stays_when_another_is_enslaved(stage: Stage) -> None:
    bond, _, second = await pair(stage)
    await stage.client.change_bond(bond, wire.u8(n.IFLA_BOND_PRIMARY_RESELECT, 2))
    await stage.client.change_bond(bond, active(second))
    await stage.enslave(bond, await stage.nic("nic2"))
    assert await active_now(stage.client, bond) == second


@needs("bond")
@contract
async def test_a_primary_takes_over_when_it_is_named_and_when_it_comes_back(stage: Stage) -> None:
    bond, first, second = await pair(stage)
    await stage.client.change_bond(bond, wire.u32(n.IFLA_BOND_PRIMARY, second))
    assert await active_now(stage.client, bond) == second
    await stage.world.set_medium(second, False)
    await stage.client.until_link(lambda link: link.index == bond and link.active == first)
    await stage.world.set_medium(second, True)
    await stage.client.until_link(lambda link: link.index == bond and link.active == second)


@needs("bond")
@contract
async def test_the_last_slaves_carrier_is_the_bonds(stage: Stage) -> None:
    nic, bond = await stage.nic("nic0"), await stage.bond("bond7", up=True)
    await stage.enslave(bond, nic)
    await stage.world.set_medium(nic, False)
    down = await stage.client.until_link(lambda link: link.index == bond and not link.flags & n.IFF_RUNNING)
    assert (down.carrier, down.active, down.up) == (False, 0, True)
    await stage.world.set_medium(nic, True)
    up = await stage.client.until_link(lambda link: link.index == bond and bool(link.flags & n.IFF_RUNNING))
    assert (up.carrier, up.active) == (True, nic)


@needs("bond")
@contract
async def test_without_a_monitor_a_slave_counts_as_up_whatever_its_carrier(stage: Stage) -> None:
    nic, bond = await stage.nic("nic0"), await stage.bond("bond7", up=True, miimon=0)
    await stage.world.set_medium(nic, False)
    await stage.client.set_link(nic, master(bond))
    link = await stage.client.link(nic)
    assert (link.carrier, state(link)[1]) == (False, n.BOND_LINK_UP)
    assert await active_now(stage.client, bond) == nic


@needs("bond")
@contract
async def test_a_slave_taken_down_by_hand_fails_over(stage: Stage) -> None:
    bond, first, second = await pair(stage)
    await stage.client.set_link(first, up=False)
    await stage.client.until_link(lambda link: link.index == bond and link.active == second)
    assert (await stage.client.link(first)).master == bond


@needs("bond")
@contract
async def test_an_unplugged_slave_is_released_and_replaced_at_once(stage: Stage) -> None:
    bond, first, second = await pair(stage)
    await stage.world.unplug(first)
    closed = await stage.client.until_link(lambda link: link.index == first)
    assert (closed.up, closed.master) == (False, bond)
    taken = await stage.client.until_link(lambda link: link.index == second)
    assert state(taken) == (n.BOND_STATE_ACTIVE, n.BOND_LINK_UP)
    over = await stage.client.until_link(lambda link: link.index == bond)
    assert over.active == second
    gone = link_of(await stage.client.until(lambda m: m.type == n.RTM_DELLINK and link_of(m).index == first))
    assert gone.master == 0


@needs("bond")
@contract
async def test_leaving_is_told_before_closing(stage: Stage) -> None:
    bond, first, second = await pair(stage)
    await stage.client.set_link(first, master(0))
    told = [(link.index, link.master, link.up) for link in stage.client.take_links(first, second, bond)]
    left, taken, closed = (first, 0, True), (second, bond, True), (first, 0, False)
    assert told.index(left) < told.index(taken) < told.index(closed)
    assert await active_now(stage.client, bond) == second
    assert not (await stage.client.link(first)).flags & n.IFF_SLAVE


@needs("bond")
@contract
async def test_a_slave_moves_to_another_bond_in_one_request(stage: Stage) -> None:
    bond, first, _ = await pair(stage)
    other = await stage.bond("bond8")
    await stage.client.set_link(first, master(other))
    assert (await stage.client.link(first)).master == other
    assert await stage.client.refused(stage.client.set_link(first, master(4711))) == (errno.EINVAL, "")
    link = await stage.client.link(first)
    assert (link.master, link.up) == (0, False)
    assert bond in await stage.client.links()


@needs("bond")
@contract
async def test_a_deleted_bond_lets_its_slaves_go_and_closes_them(stage: Stage) -> None:
    bond, first, second = await pair(stage)
    await stage.client.ask(n.RTM_DELLINK, 0, ifinfo(bond))
    goodbye = [link_of(m) for m in stage.client.heard if m.type == n.RTM_DELLINK]
    assert [(link.index, link.active) for link in goodbye] == [(bond, first)]
    links = await stage.client.links()
    assert [(links[nic].master, links[nic].up) for nic in (first, second)] == [(0, False), (0, False)]


@needs("bond")
@contract
async def test_neither_bond_nor_slave_is_renamed_while_up_before_linux_6_2(stage: Stage) -> None:
    bond, first, _ = await pair(stage)
    for index in (bond, first):
        rename = stage.client.set_link(index, wire.string(n.IFLA_IFNAME, f"new{index}"))
        if stage.world.release < (6, 2):
            assert await stage.client.refused(rename) == (errno.EBUSY, "")
        else:
            await rename


@needs("bond")
@contract
async def test_a_bond_that_is_down_watches_nothing_and_remembers(stage: Stage) -> None:
    bond, first, second = await pair(stage)
    await stage.client.set_link(bond, up=False)
    await stage.world.set_medium(first, False)
    await stage.client.until_link(lambda link: link.index == first and not link.carrier)
    link = await stage.client.link(bond)
    assert (link.active, link.number(n.IFLA_CARRIER)) == (first, 1)
    await stage.client.set_link(bond, up=True)
    await stage.client.until_link(lambda link: link.index == bond and link.active == second)


@needs("bond")
@contract
async def test_several_messages_in_one_datagram_are_done_in_order_past_an_error(stage: Stage) -> None:
    nic, bond = await stage.nic("nic0", up=True), await stage.bond("bond7", up=True)
    flags = n.NLM_F_REQUEST | n.NLM_F_ACK
    steps = [
        ifinfo(nic) + master(bond),
        ifinfo(nic, 0, n.IFF_UP),
        ifinfo(nic) + master(bond),
        ifinfo(nic) + wire.string(n.IFLA_IFNAME, "late"),
    ]
    packed = [wire.Message(n.RTM_SETLINK, flags, 900 + i, 0, body).pack() for i, body in enumerate(steps)]
    await stage.client.sock.send(b"".join(packed))
    codes: dict[int, int] = {}
    while len(codes) < len(steps):
        for message in wire.messages(await stage.client.sock.recv()):
            if message.type == n.NLMSG_ERROR:
                codes[message.seq] = -int.from_bytes(message.body[:4], "little", signed=True)
    expected = [errno.EPERM, 0, 0, errno.EBUSY if stage.world.release < (6, 2) else 0]
    assert codes == dict(zip(range(900, 904), expected, strict=True))
