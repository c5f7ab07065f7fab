"""Filters: u32 with a mirred action on a clsact, the kernel's rows of them, its refusals, and what it tells."""

from __future__ import annotations

import errno

import pytest
from client import link_of
from tcclient import (
    COOKIE,
    EGRESS,
    INGRESS,
    IPV4,
    MATCH_ALL,
    NEW,
    NO_KEYS,
    OURS,
    TABLE,
    U32,
    add,
    at,
    clsact,
    filters,
    kind,
    mirred,
    options,
    take,
    tc_of,
    tcmsg,
    u32,
)  # fmt: skip
from worlds import Stage, World, contract

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.wire import Message

AUTO = 0x80000800
"""800::800, what u32 gives a filter that asks for no handle."""
NO_CHAIN = (errno.ENOENT, "Cannot find specified filter chain")
NOT_FOUND = (errno.ENOENT, "Filter with specified priority/protocol not found")


async def pair(stage: Stage) -> tuple[int, int]:
    """Two NICs that are up, both with a clsact; from now on filters are heard of."""
    nics = await stage.nic("nic0", up=True), await stage.nic("nic1", up=True)
    stage.client.sock.join(n.RTNLGRP_TC)
    await clsact(stage.client, *nics)
    return nics


async def drop(stage: Stage, index: int, handle: int, prio: int, parent: int = EGRESS) -> None:
    await stage.client.ask(n.RTM_DELTFILTER, 0, tcmsg(index, handle, parent, at(prio) if prio else 0))


@contract
async def test_a_filter_is_told_after_its_chain_and_before_the_acknowledgement(stage: Stage) -> None:
    nic, target = await pair(stage)
    # The first filter of all has the kernel load a module and start over, which tells of the chain twice.
    await add(stage.client, u32(nic, EGRESS, target))
    await drop(stage, nic, 0, 0)
    take(stage.client)
    await add(stage.client, u32(nic, EGRESS, target))
    chain, told = take(stage.client)
    assert (chain.type, chain.index, chain.parent, chain.info) == (n.RTM_NEWCHAIN, nic, n.TC_H_CLSACT_HANDLE, 0)
    assert (chain.seq, chain.pid, chain.flags) == (0, 0, NEW)
    assert chain.attrs == {n.TCA_CHAIN: bytes(4)}
    assert (told.type, told.index, told.handle, told.parent) == (n.RTM_NEWTFILTER, nic, OURS, EGRESS)
    assert (told.info, told.kind, told.flags) == (at(1), "u32", NEW | n.NLM_F_REQUEST | n.NLM_F_ACK)
    assert told.seq != 0
    assert told.pid != 0
    _, capab, verdict, references, bound, eaction, ifindex = told.parms
    assert (capab, verdict, references, bound) == (0, n.TC_ACT_STOLEN, 1, 1)
    assert (eaction, ifindex, told.cookie) == (n.TCA_EGRESS_REDIR, target, COOKIE)
    await add(stage.client, u32(nic, EGRESS, target, handle=OURS + 1))
    assert [one.what for one in take(stage.client)] == [(n.RTM_NEWTFILTER, OURS + 1)]


@contract
async def test_a_dump_has_three_rows_for_one_filter(stage: Stage) -> None:
    nic, target = await pair(stage)
    await add(stage.client, u32(nic, INGRESS, target))
    rows = await filters(stage.client, nic, INGRESS)
    assert [(row.handle, row.parent, row.info, row.kind) for row in rows] == [
        (0, INGRESS, at(1), "u32"),
        (TABLE, INGRESS, at(1), "u32"),
        (OURS, INGRESS, at(1), "u32"),
    ]
    assert n.TCA_OPTIONS not in rows[0].attrs
    assert rows[1].options == {n.TCA_U32_DIVISOR: b"\1\0\0\0"}
    leaf = rows[2]
    assert leaf.options[n.TCA_U32_SEL] == MATCH_ALL
    assert wire.number(leaf.options[n.TCA_U32_HASH]) == TABLE
    assert wire.number(leaf.options[n.TCA_U32_FLAGS]) == n.TCA_CLS_FLAGS_NOT_IN_HW
    assert wire.text(leaf.action[n.TCA_ACT_KIND]) == "mirred"
    assert leaf.parms[-2:] == (n.TCA_INGRESS_REDIR, target)
    assert leaf.cookie == COOKIE
    assert {(row.flags, row.seq == rows[0].seq) for row in rows} == {(n.NLM_F_MULTI, True)}
    (one,) = await stage.client.ask(n.RTM_GETTFILTER, 0, tcmsg(nic, OURS, INGRESS, at(1)))
    assert tc_of(one).cookie == COOKIE


@contract
async def test_dumps_of_nothing(stage: Stage) -> None:
    nic, target = await pair(stage)
    await add(stage.client, u32(nic, EGRESS, target))
    for index, parent in ((nic, INGRESS), (target, EGRESS), (nic, 0), (nic, n.TC_H_CLSACT_HANDLE), (4711, EGRESS)):
        assert await filters(stage.client, index, parent) == []
    assert await filters(stage.client, nic, EGRESS, prio=2) == []
    assert len(await filters(stage.client, nic, EGRESS, prio=1)) == 3


@contract
async def test_a_selector_without_keys_is_kept_as_it_is(stage: Stage) -> None:
    nic, target = await pair(stage)
    body = tcmsg(nic, OURS, EGRESS, at(1)) + U32 + options(mirred(target), selector=NO_KEYS)
    await add(stage.client, body)
    leaf = (await filters(stage.client, nic, EGRESS))[2]
    assert (leaf.options[n.TCA_U32_SEL], leaf.cookie) == (NO_KEYS, b"")


@contract
async def test_a_repeated_handle_is_refused_and_one_without_a_handle_stacks(stage: Stage) -> None:
    nic, target = await pair(stage)
    await add(stage.client, u32(nic, EGRESS, target))
    again = await stage.client.refused(add(stage.client, u32(nic, EGRESS, target)))
    assert again == (errno.EEXIST, "Filter already exists")
    for _ in range(2):
        await add(stage.client, u32(nic, EGRESS, target, handle=0))
    handles = [row.handle for row in await filters(stage.client, nic, EGRESS)]
    assert handles == [0, TABLE, OURS, AUTO, AUTO + 1]


@contract
async def test_without_the_exclusive_flag_the_action_is_replaced_and_the_selector_stays(stage: Stage) -> None:
    nic, target = await pair(stage)
    await add(stage.client, u32(nic, EGRESS, target))
    take(stage.client)
    before = COOKIE
    for cookie, flags in ((b"1", n.NLM_F_CREATE), (b"2", n.NLM_F_CREATE | n.NLM_F_REPLACE), (b"3", 0)):
        body = tcmsg(nic, OURS, EGRESS, at(1)) + U32 + options(mirred(nic, cookie=cookie), selector=NO_KEYS)
        await add(stage.client, body, flags)
        (told,) = take(stage.client)
        # The kernel tells what the filter was until now (u32_change() leaves its caller the old node).
        assert (told.what, told.cookie) == ((n.RTM_NEWTFILTER, OURS), before)
        leaf = (await filters(stage.client, nic, EGRESS))[2]
        assert (leaf.cookie, leaf.parms[-1], leaf.options[n.TCA_U32_SEL]) == (cookie, nic, MATCH_ALL)
        before = cookie
    code, text = await stage.client.refused(add(stage.client, u32(nic, EGRESS, target, TABLE), n.NLM_F_CREATE))
    assert (code, text) == (errno.EINVAL, "cls_u32: Key node id cannot be zero")


@contract
async def test_where_there_is_no_clsact(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    missing = (errno.EINVAL, "Parent Qdisc doesn't exists")
    refused, client = stage.client.refused, stage.client
    assert await refused(add(client, u32(nic, EGRESS, nic))) == missing
    assert await refused(drop(stage, nic, OURS, 1)) == missing
    assert await filters(client, nic, EGRESS) == []
    assert await refused(add(client, u32(4711, EGRESS, nic))) == (errno.ENODEV, "")
    await clsact(client, nic)
    wrong = u32(nic, n.TC_H_CLSACT_HANDLE | 4, nic)
    assert await refused(add(client, wrong)) == (errno.ENOENT, "Specified class doesn't exist")
    assert (await refused(add(client, u32(nic, n.TC_H_CLSACT_HANDLE, nic))))[0] == errno.EINVAL


@contract
async def test_a_refused_filter_tells_of_a_chain_that_came_and_went(stage: Stage) -> None:
    nic, _ = await pair(stage)
    assert await stage.client.refused(add(stage.client, u32(nic, EGRESS, 4711))) == (errno.ENODEV, "")
    assert [told.type for told in take(stage.client)] == [n.RTM_NEWCHAIN, n.RTM_DELCHAIN]
    assert await filters(stage.client, nic, EGRESS) == []


ACTION = "act_mirred: "
BAD_ACTIONS = {
    "no target": (mirred(0), errno.EINVAL, ACTION),
    "way unknown": (mirred(1, 9), errno.EINVAL, ACTION + "Unknown mirred option"),
    "cookie too long": (mirred(1, cookie=bytes(17)), errno.ERANGE, ""),
    "no options": (wire.nest(1, wire.string(n.TCA_ACT_KIND, "mirred")), errno.EINVAL, ACTION),
    "kind unknown": (wire.nest(1, wire.string(n.TCA_ACT_KIND, "nosuch")), errno.ENOENT, "Failed to load TC action mod"),
    "no kind": (wire.nest(1, wire.attr(n.TCA_ACT_COOKIE, b"x")), errno.EINVAL, "TC action kind must be specified"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BAD_ACTIONS))
def test_an_action_that_is_refused(world: World, name: str) -> None:
    action, code, text = BAD_ACTIONS[name]

    @contract
    async def test(stage: Stage) -> None:
        nic, _ = await pair(stage)
        body = tcmsg(nic, OURS, EGRESS, at(1)) + U32 + options(action)
        refused = await stage.client.refused(add(stage.client, body))
        assert (refused[0], refused[1][: len(text)]) == (code, text)

    test(world)


@contract
async def test_a_u32_that_is_refused(stage: Stage) -> None:
    nic, target = await pair(stage)
    refused, client = stage.client.refused, stage.client
    head = tcmsg(nic, OURS, EGRESS, at(1)) + U32
    code, text = await refused(add(client, head))
    assert (code, text) == (errno.EINVAL, "cls_u32: Filter handle requires options")
    code, text = await refused(add(client, head + options(mirred(target), selector=None)))
    assert (code, text) == (errno.EINVAL, "cls_u32: Selector not specified")
    code, _ = await refused(add(client, head + options(selector=MATCH_ALL[:10])))
    assert code == errno.ERANGE
    code, _ = await refused(add(client, head + options(selector=MATCH_ALL[:20])))
    assert code == errno.EINVAL
    code, text = await refused(add(client, u32(nic, EGRESS, target, handle=0x80100001)))
    assert (code, text) == (errno.EINVAL, "cls_u32: Handle specified hash table address mismatch")
    assert await filters(client, nic, EGRESS) == []


@contract
async def test_kind_priority_and_protocol_must_fit(stage: Stage) -> None:
    nic, target = await pair(stage)
    await add(stage.client, u32(nic, EGRESS, target))
    refused, client = stage.client.refused, stage.client
    code, text = await refused(add(client, tcmsg(nic, 9, EGRESS, at(1)) + kind("bpf")))
    assert (code, text) == (errno.EINVAL, "Specified filter kind does not match existing one")
    unlike = tcmsg(nic, OURS + 1, EGRESS, at(1, IPV4)) + U32 + options(mirred(target))
    assert (await refused(add(client, unlike)))[0] == errno.EINVAL
    code, text = await refused(add(client, tcmsg(nic, 9, EGRESS, at(9)) + kind("nosuch")))
    assert (code, text) == (errno.ENOENT, "TC classifier not found")
    for body in (tcmsg(nic, 9, EGRESS, at(9)), tcmsg(nic, 9, EGRESS, 9 << 16) + U32):
        code, text = await refused(add(client, body))
        assert (code, text) == (errno.EINVAL, "Filter kind and protocol must be specified")
    create = "Need both RTM_NEWTFILTER and NLM_F_CREATE to create a new filter"
    for handle, prio in ((OURS + 1, 1), (OURS, 2)):
        body = u32(nic, EGRESS, target, handle, prio)
        assert await refused(add(client, body, 0)) == (errno.ENOENT, create)


@contract
async def test_handles_are_shared_by_both_directions_of_a_clsact(stage: Stage) -> None:
    """The hash tables of u32 belong to the qdisc: someone else's filter on ingress is in the way of ours on egress."""
    nic, target = await pair(stage)
    await add(stage.client, u32(nic, INGRESS, target))
    refused, client = stage.client.refused, stage.client
    again = await refused(add(client, u32(nic, EGRESS, target)))
    assert again == (errno.EEXIST, "Filter already exists")
    code, text = await refused(add(client, u32(nic, EGRESS, target, OURS + 1)))
    assert (code, text) == (errno.EINVAL, "cls_u32: Handle specified hash table address mismatch")
    take(client)
    await add(client, u32(nic, EGRESS, target, handle=1))
    *_, told = take(client)
    assert (told.handle & 0xFFFFF, told.handle > 0x80100000) == (1, True)
    assert (await refused(add(client, u32(nic, EGRESS, target, handle=1))))[0] == errno.ENOSPC


@contract
async def test_a_dump_shows_the_other_directions_filters_of_the_same_priority(stage: Stage) -> None:
    nic, target = await pair(stage)
    await add(stage.client, u32(nic, INGRESS, target, prio=1, cookie=b"foreign"))
    await add(stage.client, u32(nic, EGRESS, target, prio=1, handle=1))
    ours = take(stage.client)[-1].handle
    rows = await filters(stage.client, nic, EGRESS)
    assert [row.handle for row in rows] == [0, ours & 0xFFF00000, ours, TABLE, OURS]
    assert {row.parent for row in rows} == {EGRESS}
    assert rows[4].cookie == b"foreign"
    await drop(stage, nic, OURS, 1, EGRESS)
    assert [row.handle for row in await filters(stage.client, nic, INGRESS)] == [0, ours & 0xFFF00000, ours, TABLE]


@contract
async def test_a_deleted_filter_is_told_whole_and_the_last_ends_the_chain(stage: Stage) -> None:
    nic, target = await pair(stage)
    await add(stage.client, u32(nic, EGRESS, target))
    await add(stage.client, u32(nic, EGRESS, target, handle=OURS + 1))
    take(stage.client)
    await drop(stage, nic, OURS, 1)
    (told,) = take(stage.client)
    assert (told.what, told.cookie, told.parms[-1]) == ((n.RTM_DELTFILTER, OURS), COOKIE, target)
    assert (told.parent, told.info, told.flags) == (EGRESS, at(1), n.NLM_F_REQUEST | n.NLM_F_ACK)
    await drop(stage, nic, OURS + 1, 1)
    assert [one.what for one in take(stage.client)] == [(n.RTM_DELTFILTER, OURS + 1), (n.RTM_DELCHAIN, 0)]
    assert await filters(stage.client, nic, EGRESS) == []
    assert await stage.client.refused(drop(stage, nic, OURS, 1)) == NO_CHAIN


@contract
async def test_an_emptied_priority_stays_while_the_qdisc_has_another_u32(stage: Stage) -> None:
    nic, target = await pair(stage)
    await add(stage.client, u32(nic, INGRESS, target, prio=7, cookie=b"foreign"))
    await add(stage.client, u32(nic, EGRESS, target, handle=1))
    handle = take(stage.client)[-1].handle
    await drop(stage, nic, handle, 1)
    assert [one.what for one in take(stage.client)] == [(n.RTM_DELTFILTER, handle)]
    assert [row.handle for row in await filters(stage.client, nic, EGRESS)] == [0, handle & 0xFFF00000]
    await drop(stage, nic, 0, 1)
    assert [one.what for one in take(stage.client)] == [(n.RTM_DELTFILTER, 0), (n.RTM_DELCHAIN, 0)]


@contract
async def test_deleting_a_priority_or_a_direction_tells_one_message_for_each_priority(stage: Stage) -> None:
    nic, target = await pair(stage)
    for prio in (1, 2, 3):
        await add(stage.client, u32(nic, EGRESS, target, prio=prio, handle=0))
    take(stage.client)
    await drop(stage, nic, 0, 2)
    (told,) = take(stage.client)
    assert (told.what, told.info, n.TCA_OPTIONS in told.attrs) == ((n.RTM_DELTFILTER, 0), at(2), False)
    await drop(stage, nic, 0, 0)
    told_all = take(stage.client)
    assert [(one.type, one.info) for one in told_all] == [
        (n.RTM_DELTFILTER, at(1)),
        (n.RTM_DELTFILTER, at(3)),
        (n.RTM_DELCHAIN, 0),
    ]
    await drop(stage, nic, 0, 0)
    assert take(stage.client) == []


@contract
async def test_deleting_what_is_not_there(stage: Stage) -> None:
    nic, target = await pair(stage)
    refused = stage.client.refused
    assert await refused(drop(stage, nic, OURS, 1)) == NO_CHAIN
    await add(stage.client, u32(nic, EGRESS, target))
    assert await refused(drop(stage, nic, OURS, 2)) == NOT_FOUND
    assert await refused(drop(stage, nic, OURS + 1, 1)) == (errno.ENOENT, "Specified filter handle not found")
    code, text = await refused(drop(stage, nic, TABLE, 1))
    assert (code, text) == (errno.EINVAL, "cls_u32: Not allowed to delete root node")
    code, text = await refused(stage.client.ask(n.RTM_DELTFILTER, 0, tcmsg(nic, OURS, EGRESS)))
    assert (code, text) == (errno.ENOENT, "Cannot flush filters with protocol, handle or kind set")
    unlike = stage.client.ask(n.RTM_DELTFILTER, 0, tcmsg(nic, OURS, EGRESS, at(1)), kind("bpf"))
    assert await refused(unlike) == (errno.EINVAL, "Specified filter kind does not match existing one")
    unlike = stage.client.ask(n.RTM_DELTFILTER, 0, tcmsg(nic, OURS, EGRESS, at(1, IPV4)))
    assert (await refused(unlike))[0] == errno.EINVAL


@contract
async def test_a_target_that_goes_leaves_the_filter_pointing_nowhere_untold(stage: Stage) -> None:
    nic, target = await pair(stage)
    await add(stage.client, u32(nic, EGRESS, target))
    await add(stage.client, u32(target, INGRESS, nic))
    take(stage.client)
    await stage.world.unplug(target)
    told: list[Message] = []
    while not told or told[-1].type != n.RTM_DELLINK or link_of(told[-1]).index != target:
        told.append(await stage.client.until(lambda message: True))
    of_tc = [tc_of(message) for message in told if message.type in (n.RTM_DELCHAIN, n.RTM_DELQDISC, n.RTM_DELTFILTER)]
    assert [(one.type, one.index) for one in of_tc] == [(n.RTM_DELCHAIN, target)]
    leaf = (await filters(stage.client, nic, EGRESS))[2]
    assert (leaf.handle, leaf.parms[-1], leaf.cookie) == (OURS, 0, COOKIE)
    await drop(stage, nic, OURS, 1)
    *_, gone = [one for one in take(stage.client) if one.type == n.RTM_DELTFILTER]
    assert gone.parms[-1] == 0


@contract
async def test_a_filter_stays_when_its_target_is_down_or_has_no_carrier(stage: Stage) -> None:
    nic, target = await pair(stage)
    await add(stage.client, u32(nic, EGRESS, target))
    take(stage.client)
    await stage.world.set_medium(target, False)
    await stage.client.set_link(target, up=False)
    await stage.client.set_link(nic, up=False)
    assert take(stage.client) == []
    assert (await filters(stage.client, nic, EGRESS))[2].parms[-1] == target


@contract
async def test_priorities_the_kernel_picks_go_down(stage: Stage) -> None:
    nic, target = await pair(stage)
    for _ in range(2):
        await add(stage.client, u32(nic, EGRESS, target, prio=0, handle=0))
    prios = {row.info >> 16 for row in await filters(stage.client, nic, EGRESS)}
    assert prios == {0xC000, 0xBFFF}


@contract
async def test_two_filters_can_share_an_action_by_its_index(stage: Stage) -> None:
    nic, target = await pair(stage)
    for prio, where in ((1, target), (2, nic)):
        action = mirred(where, cookie=b"first" if prio == 1 else b"", index=77)
        await add(stage.client, tcmsg(nic, 0, EGRESS, at(prio)) + U32 + options(action))
    leaves = [row for row in await filters(stage.client, nic, EGRESS) if n.TCA_U32_ACT in row.options]
    shown = [(row.parms[0], row.parms[3], row.parms[-1], row.cookie) for row in leaves]
    assert shown == [(77, 2, target, b"first")] * 2


@contract
async def test_a_filter_of_another_kind_is_shown_as_such(stage: Stage) -> None:
    nic, _ = await pair(stage)
    program = b"\x06\x00\x00\x00\xff\xff\xff\xff"
    bpf = wire.nest(n.TCA_OPTIONS, wire.u16(4, 1), wire.attr(5, program))
    await add(stage.client, tcmsg(nic, 9, EGRESS, at(3)) + kind("bpf") + bpf)
    assert [told.type for told in take(stage.client)] == [n.RTM_NEWCHAIN, n.RTM_NEWTFILTER]
    rows = await filters(stage.client, nic, EGRESS)
    assert [(row.kind, row.handle, row.info) for row in rows] == [("bpf", 0, at(3)), ("bpf", 9, at(3))]
    await drop(stage, nic, 9, 3)
    assert [one.what for one in take(stage.client)] == [(n.RTM_DELTFILTER, 9), (n.RTM_DELCHAIN, 0)]


@contract
async def test_an_ingress_qdisc_takes_filters_for_any_of_its_minors(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    await stage.client.ask(n.RTM_NEWQDISC, NEW, tcmsg(nic, n.TC_H_CLSACT_HANDLE, n.TC_H_CLSACT), kind("ingress"))
    await add(stage.client, u32(nic, EGRESS, nic))
    for parent in (INGRESS, EGRESS, n.TC_H_CLSACT_HANDLE):
        assert [row.handle for row in await filters(stage.client, nic, parent)] == [0, TABLE, OURS]


@contract
async def test_asking_for_one_that_is_not_there(stage: Stage) -> None:
    nic, target = await pair(stage)
    refused, client = stage.client.refused, stage.client

    async def one(handle: int, info: int) -> None:
        await client.ask(n.RTM_GETTFILTER, 0, tcmsg(nic, handle, EGRESS, info))

    zero = (errno.ENOENT, "Invalid filter command with priority of zero")
    assert await refused(one(OURS, 0)) == zero
    assert await refused(add(client, u32(nic, EGRESS, target, prio=0), 0)) == zero
    assert await refused(one(OURS, at(1))) == (errno.EINVAL, "Cannot find specified filter chain")
    await add(client, u32(nic, EGRESS, target))
    assert await refused(one(OURS + 1, at(1))) == (errno.ENOENT, "Specified filter handle not found")
    assert await refused(one(OURS, at(2))) == NOT_FOUND
