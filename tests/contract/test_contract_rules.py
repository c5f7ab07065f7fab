"""Policy rules: their order, what is told of them, what is refused."""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass

import pytest
from client import Client
from worlds import Stage, contract

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire

NEW = n.NLM_F_CREATE | n.NLM_F_EXCL
HEAD = struct.Struct("=BBBBBxxBI")
FOUR, SIX = n.AF_INET, n.AF_INET6


@dataclass
class Rule:
    priority: int
    table: int
    flags: int
    iif: str


def head(family: int, table: int = 0, src_len: int = 0, flags: int = 0) -> bytes:
    return HEAD.pack(family, 0, src_len, 0, table, n.FR_ACT_TO_TBL, flags)


def priority(number: int) -> bytes:
    return wire.u32(n.FRA_PRIORITY, number)


def iif(name: str) -> bytes:
    return wire.string(n.FRA_IIFNAME, name)


async def rules(client: Client, family: int) -> list[Rule]:
    found = []
    for message in await client.ask(n.RTM_GETRULE, n.NLM_F_DUMP, head(family)):
        attrs = wire.table(message.body[HEAD.size :])
        number = wire.number(attrs.get(n.FRA_PRIORITY, bytes(4)))
        flags = HEAD.unpack_from(message.body)[6]
        found.append(Rule(number, wire.number(attrs[n.FRA_TABLE]), flags, wire.text(attrs.get(n.FRA_IIFNAME, b""))))
    return found


@contract
async def test_a_new_namespace_has_the_usual_ones(stage: Stage) -> None:
    assert [(rule.priority, rule.table) for rule in await rules(stage.client, FOUR)] == [
        (0, 255),
        (32766, 254),
        (32767, 253),
    ]
    assert [(rule.priority, rule.table) for rule in await rules(stage.client, SIX)] == [(0, 255), (32766, 254)]


@pytest.mark.parametrize("family", [FOUR, SIX])
def test_they_are_in_the_order_of_priorities_and_then_of_time(world: object, family: int) -> None:
    @contract
    async def test(stage: Stage) -> None:
        ask = stage.client.ask
        for number, table in ((20, 100), (10, 101), (20, 1000), (15, 103)):
            await ask(n.RTM_NEWRULE, NEW, head(family), wire.u32(n.FRA_TABLE, table), priority(number))
        found = [(rule.priority, rule.table) for rule in await rules(stage.client, family)]
        assert found[1:5] == [(10, 101), (15, 103), (20, 100), (20, 1000)]
        await ask(n.RTM_NEWRULE, NEW, head(family, 104))
        assert [(r.priority, r.table) for r in await rules(stage.client, family)][1] == (9, 104)

    test(world)  # type: ignore[arg-type]


@contract
async def test_one_keeps_the_name_of_its_device_and_tells_whether_there_is_one(stage: Stage) -> None:
    client = stage.client
    await client.ask(n.RTM_NEWRULE, NEW, head(FOUR, 254), priority(7), iif("nic0"))
    (_, rule, *_) = await rules(client, FOUR)
    assert (rule.iif, rule.flags & n.FIB_RULE_DETACHED) == ("nic0", n.FIB_RULE_IIF_DETACHED)
    nic = await stage.nic("nic0")
    assert not (await rules(client, FOUR))[1].flags & n.FIB_RULE_DETACHED
    await client.set_link(nic, wire.string(n.IFLA_IFNAME, "nic1"))
    assert (await rules(client, FOUR))[1].flags & n.FIB_RULE_IIF_DETACHED


@contract
async def test_what_is_there_and_what_is_not(stage: Stage) -> None:
    client = stage.client
    source = wire.attr(n.FRA_SRC, bytes((192, 0, 2, 1)))
    await client.ask(n.RTM_NEWRULE, NEW, head(FOUR, 100, 32), priority(7), source)
    again = client.ask(n.RTM_NEWRULE, NEW, head(FOUR, 100, 32), priority(7), source)
    assert (await client.refused(again))[0] == errno.EEXIST
    other = client.ask(n.RTM_DELRULE, 0, head(FOUR, 100), priority(7), iif("nic0"))
    assert (await client.refused(other))[0] == errno.ENOENT
    await client.ask(n.RTM_DELRULE, 0, head(FOUR, 100, 32), priority(7), source)
    gone = client.ask(n.RTM_DELRULE, 0, head(FOUR, 100, 32), priority(7), source)
    assert (await client.refused(gone))[0] == errno.ENOENT
    assert len(await rules(client, FOUR)) == 3
