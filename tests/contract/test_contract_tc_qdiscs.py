"""Qdiscs: clsact and ingress in their common slot, a root qdisc of someone else's, and what is told of them."""

from __future__ import annotations

import errno

from client import Client
from tcclient import EGRESS, INGRESS, NEW, add, clsact, filters, kind, qdiscs, take, tc_of, tcmsg, u32
from worlds import Stage, contract

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire

SLOT, HANDLE, ROOT = n.TC_H_CLSACT, n.TC_H_CLSACT_HANDLE, n.TC_H_ROOT
WRONG_KIND = "Invalid qdisc name"


async def ask(stage: Stage, flags: int, index: int, handle: int, parent: int, name: str) -> None:
    await stage.client.ask(n.RTM_NEWQDISC, flags, tcmsg(index, handle, parent), kind(name))


async def listening(stage: Stage, name: str = "nic0", up: bool = True) -> int:
    """A NIC; from now on its qdiscs and filters are heard of."""
    nic = await stage.nic(name, up=up)
    stage.client.sock.join(n.RTNLGRP_TC)
    return nic


@contract
async def test_a_clsact_is_told_before_the_acknowledgement_with_the_requests_number(stage: Stage) -> None:
    nic = await listening(stage)
    await ask(stage, NEW, nic, HANDLE, SLOT, "clsact")
    (told,) = take(stage.client)
    assert (told.type, told.index, told.handle, told.parent, told.kind) == (n.RTM_NEWQDISC, nic, HANDLE, SLOT, "clsact")
    assert (told.flags, told.info) == (n.NLM_F_REPLACE, 1)
    assert told.seq != 0
    assert told.pid != 0
    assert n.TCA_OPTIONS in told.attrs


@contract
async def test_a_dump_shows_the_root_first_and_the_default_with_handle_0(stage: Stage) -> None:
    nic, other = await listening(stage), await stage.nic("nic1", up=True)
    await clsact(stage.client, nic)
    rows = await qdiscs(stage.client, nic, other)
    assert [(row.index, row.handle, row.parent) for row in rows] == [
        (nic, 0, ROOT),
        (nic, HANDLE, SLOT),
        (other, 0, ROOT),
    ]
    assert rows[0].info == 2


@contract
async def test_a_dump_is_of_every_device_whatever_the_request_names(stage: Stage) -> None:
    nic, other = await listening(stage), await stage.nic("nic1", up=True)
    rows = await stage.client.ask(n.RTM_GETQDISC, n.NLM_F_DUMP, tcmsg(nic))
    assert {nic, other} <= {tc_of(row).index for row in rows}
    strict = Client(stage.world.socket())
    strict.sock.set_strict()
    rows = await strict.ask(n.RTM_GETQDISC, n.NLM_F_DUMP, tcmsg(nic))
    assert {nic, other} <= {tc_of(row).index for row in rows}
    assert {row.flags for row in rows} == {n.NLM_F_MULTI}


@contract
async def test_a_nic_that_was_never_up_has_no_root_and_one_that_was_keeps_it(stage: Stage) -> None:
    nic = await listening(stage, up=False)
    assert await qdiscs(stage.client, nic) == []
    await stage.client.set_link(nic, up=True)
    (before,) = await qdiscs(stage.client, nic)
    await stage.client.set_link(nic, up=False)
    assert [row.kind for row in await qdiscs(stage.client, nic)] == [before.kind]
    await clsact(stage.client, nic)
    assert [row.handle for row in await qdiscs(stage.client, nic)] == [0, HANDLE]


@contract
async def test_a_second_clsact_is_refused(stage: Stage) -> None:
    nic = await listening(stage)
    await clsact(stage.client, nic)
    refused = stage.client.refused
    for handle in (HANDLE, 0):
        again = await refused(ask(stage, NEW, nic, handle, SLOT, "clsact"))
        assert again == (errno.EEXIST, "Exclusivity flag on, cannot modify")
    assert take(stage.client) == []
    for flags in (n.NLM_F_CREATE, n.NLM_F_CREATE | n.NLM_F_REPLACE, 0):
        await ask(stage, flags, nic, HANDLE, SLOT, "clsact")
        assert [(told.type, told.flags) for told in take(stage.client)] == [(n.RTM_NEWQDISC, 0)]


@contract
async def test_a_slot_taken_by_the_other_kind(stage: Stage) -> None:
    nic = await listening(stage)
    await ask(stage, NEW, nic, HANDLE, SLOT, "ingress")
    refused = stage.client.refused
    code, text = await refused(ask(stage, NEW, nic, HANDLE, SLOT, "clsact"))
    assert (code, text) == (errno.EEXIST, "Exclusivity flag on, cannot modify")
    for flags in (n.NLM_F_CREATE, n.NLM_F_CREATE | n.NLM_F_REPLACE, 0):
        code, text = await refused(ask(stage, flags, nic, HANDLE, SLOT, "clsact"))
        assert (code, text[: len(WRONG_KIND)]) == (errno.EINVAL, WRONG_KIND)


@contract
async def test_without_a_handle_an_exclusive_request_replaces_the_other_kind(stage: Stage) -> None:
    """A trap: "create, exclusively" takes the place of someone else's ingress, filters and all."""
    nic = await listening(stage)
    await ask(stage, NEW, nic, HANDLE, SLOT, "ingress")
    await add(stage.client, u32(nic, INGRESS, nic))
    take(stage.client)
    await ask(stage, NEW, nic, 0, SLOT, "clsact")
    told = [(one.type, one.kind, one.flags) for one in take(stage.client)]
    assert told == [
        (n.RTM_DELQDISC, "ingress", 0),
        (n.RTM_NEWQDISC, "clsact", n.NLM_F_REPLACE),
        (n.RTM_DELCHAIN, "", 0),
    ]
    assert await filters(stage.client, nic, INGRESS) == []


@contract
async def test_what_cannot_be_made(stage: Stage) -> None:
    nic = await listening(stage)
    refused = stage.client.refused
    assert await refused(ask(stage, NEW, 4711, HANDLE, SLOT, "clsact")) == (errno.ENODEV, "")
    code, text = await refused(ask(stage, NEW, nic, HANDLE, SLOT, "nosuch"))
    assert (code, text) == (errno.ENOENT, "Specified qdisc kind is unknown")
    code, text = await refused(ask(stage, 0, nic, HANDLE, SLOT, "clsact"))
    assert (code, text) == (errno.ENOENT, "Qdisc not found. To create specify NLM_F_CREATE flag")
    code, text = await refused(ask(stage, NEW, nic, HANDLE + 1, SLOT, "clsact"))
    assert (code, text) == (errno.EINVAL, "Invalid minor handle")
    code, text = await refused(ask(stage, NEW, nic, 0, 0, "clsact"))
    assert (code, text) == (errno.EINVAL, "Handle cannot be zero")
    assert (await refused(ask(stage, NEW, nic, HANDLE, SLOT, "pfifo")))[0] == errno.EINVAL
    assert take(stage.client) == []


@contract
async def test_a_deleted_clsact_takes_its_filters_along_and_tells_only_of_the_chains(stage: Stage) -> None:
    nic = await listening(stage)
    await clsact(stage.client, nic)
    await add(stage.client, u32(nic, INGRESS, nic))
    await add(stage.client, u32(nic, EGRESS, nic, handle=1, prio=2))
    take(stage.client)
    await stage.client.ask(n.RTM_DELQDISC, 0, tcmsg(nic, HANDLE, SLOT), kind("clsact"))
    told = take(stage.client)
    assert [one.type for one in told] == [n.RTM_DELQDISC, n.RTM_DELCHAIN, n.RTM_DELCHAIN]
    assert (told[0].handle, told[0].parent, told[0].info, told[0].flags) == (HANDLE, SLOT, 0, 0)
    assert {(one.index, one.parent, one.seq, one.pid) for one in told[1:]} == {(nic, HANDLE, 0, 0)}
    await clsact(stage.client, nic)
    assert await filters(stage.client, nic, INGRESS) == []


@contract
async def test_deleting_what_is_not_there(stage: Stage) -> None:
    nic = await listening(stage)
    refused, client = stage.client.refused, stage.client
    gone = client.ask(n.RTM_DELQDISC, 0, tcmsg(nic, HANDLE, SLOT), kind("clsact"))
    assert await refused(gone) == (errno.ENOENT, "Cannot find specified qdisc on specified device")
    await clsact(client, nic)
    code, text = await refused(client.ask(n.RTM_DELQDISC, 0, tcmsg(nic, HANDLE, SLOT), kind("ingress")))
    assert (code, text[: len(WRONG_KIND)]) == (errno.EINVAL, WRONG_KIND)
    await client.ask(n.RTM_DELQDISC, 0, tcmsg(nic, 0, SLOT))
    # Once there was a slot, the kernel finds "noop" in it, and the answer is another one.
    again = await refused(client.ask(n.RTM_DELQDISC, 0, tcmsg(nic, HANDLE, SLOT), kind("clsact")))
    assert again == (errno.EINVAL, "Invalid handle")
    code, text = await refused(client.ask(n.RTM_DELQDISC, 0, tcmsg(nic, 0, SLOT), kind("clsact")))
    assert (code, text[: len(WRONG_KIND)]) == (errno.EINVAL, WRONG_KIND)
    again = await refused(client.ask(n.RTM_DELQDISC, 0, tcmsg(nic, 0, SLOT)))
    assert again == (errno.ENOENT, "Cannot delete qdisc with handle of zero")
    again = await refused(client.ask(n.RTM_DELQDISC, 0, tcmsg(nic, 0, ROOT)))
    assert again == (errno.ENOENT, "Cannot delete qdisc with handle of zero")


@contract
async def test_one_is_asked_for_by_parent_or_by_handle(stage: Stage) -> None:
    nic = await listening(stage)
    await clsact(stage.client, nic)
    for handle, parent in ((0, SLOT), (HANDLE, 0)):
        (row,) = await stage.client.ask(n.RTM_GETQDISC, 0, tcmsg(nic, handle, parent))
        assert (tc_of(row).handle, tc_of(row).parent, tc_of(row).kind) == (HANDLE, parent, "clsact")
    code, _ = await stage.client.refused(stage.client.ask(n.RTM_GETQDISC, 0, tcmsg(nic, 0x10000)))
    assert code == errno.ENOENT


@contract
async def test_a_foreign_root_qdisc_replaces_the_default_and_is_told_with_it(stage: Stage) -> None:
    nic = await listening(stage)
    await ask(stage, NEW, nic, 0x10000, ROOT, "pfifo")
    old, new = take(stage.client)
    assert (old.type, old.handle, old.parent) == (n.RTM_DELQDISC, 0, ROOT)
    assert (new.type, new.handle, new.parent, new.kind, new.flags) == (n.RTM_NEWQDISC, 0x10000, ROOT, "pfifo", 0x100)
    assert (await stage.client.link(nic)).attrs[n.IFLA_QDISC] == b"pfifo\0"
    again = await stage.client.refused(ask(stage, NEW, nic, 0x20000, ROOT, "pfifo"))
    assert again == (errno.EEXIST, "NLM_F_REPLACE needed to override")
    await ask(stage, n.NLM_F_CREATE | n.NLM_F_REPLACE, nic, 0x20000, ROOT, "pfifo")
    assert [told.what for told in take(stage.client)] == [(n.RTM_DELQDISC, 0x10000), (n.RTM_NEWQDISC, 0x20000)]
    await stage.client.ask(n.RTM_DELQDISC, 0, tcmsg(nic, 0, ROOT))
    assert [told.what for told in take(stage.client)] == [(n.RTM_DELQDISC, 0x20000)]
    assert [row.handle for row in await qdiscs(stage.client, nic)] == [0]


@contract
async def test_a_root_without_handle_gets_one(stage: Stage) -> None:
    nic = await listening(stage)
    await ask(stage, NEW, nic, 0, ROOT, "pfifo")
    (row,) = await qdiscs(stage.client, nic)
    assert row.handle & 0x8000FFFF == 0x80000000


@contract
async def test_a_qdisc_is_changed_by_its_handle_alone(stage: Stage) -> None:
    nic = await listening(stage)
    await clsact(stage.client, nic)
    await ask(stage, 0, nic, HANDLE, 0, "clsact")
    assert [(told.what, told.parent) for told in take(stage.client)] == [((n.RTM_NEWQDISC, HANDLE), 0)]
    refused, client = stage.client.refused, stage.client
    missing = await refused(ask(stage, 0, nic, 0x10000, 0, "pfifo"))
    assert missing == (errno.ENOENT, "Specified qdisc not found")
    assert await refused(client.ask(n.RTM_DELQDISC, 0, tcmsg(nic, HANDLE))) == (errno.EINVAL, "Classid cannot be zero")
    options = wire.nest(n.TCA_OPTIONS, wire.u32(1, 1))
    changed = client.ask(n.RTM_NEWQDISC, 0, tcmsg(nic, HANDLE, SLOT), kind("clsact"), options)
    assert (await refused(changed))[0] == errno.EINVAL


@contract
async def test_parents_and_handles_that_fit_nothing(stage: Stage) -> None:
    nic = await listening(stage)
    await clsact(stage.client, nic)
    refused, client = stage.client.refused, stage.client
    below = await refused(ask(stage, NEW, nic, 0, 0x10001, "pfifo"))
    assert below == (errno.ENOENT, "Failed to find specified qdisc")
    moved = await refused(ask(stage, NEW, nic, HANDLE, ROOT, "clsact"))
    assert moved == (errno.EINVAL, "Cannot move an existing qdisc to a different parent")
    below = await refused(client.ask(n.RTM_DELQDISC, 0, tcmsg(nic, 0, 0x10001)))
    assert below == (errno.ENOENT, "Failed to find qdisc with specified classid")
    assert (await refused(ask(stage, NEW, nic, 0, ROOT, "clsact")))[0] == errno.EOPNOTSUPP
