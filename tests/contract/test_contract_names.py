"""Names and alternative names."""

from __future__ import annotations

import errno

from client import Link, ifinfo, link_of
from worlds import Stage, contract

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.wire import Message

ERANGE = (errno.ERANGE, "Attribute failed policy validation")


def named(name: str) -> bytes:
    return wire.string(n.IFLA_IFNAME, name)


def alternatives(*names: str) -> bytes:
    return wire.nest(n.IFLA_PROP_LIST | wire.NLA_F_NESTED, *[wire.string(n.IFLA_ALT_IFNAME, name) for name in names])


async def drop_name(stage: Stage, nic: int, name: str) -> None:
    await stage.client.ask(n.RTM_DELLINKPROP, 0, ifinfo(nic), alternatives(name))


async def get(stage: Stage, *attrs: bytes) -> list[Message]:
    return await stage.client.ask(n.RTM_GETLINK, 0, ifinfo(), *attrs)


async def add_names(stage: Stage, nic: int, *names: str) -> None:
    await stage.client.ask(n.RTM_NEWLINKPROP, n.NLM_F_CREATE | n.NLM_F_EXCL, ifinfo(nic), alternatives(*names))


@contract
async def test_a_rename_is_one_newlink_of_the_same_index(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await stage.client.set_link(nic, named("other"))
    (told,) = [m for m in stage.client.heard if link_of(m).index == nic]
    assert (told.type, told.pid, told.seq, link_of(told).name) == (n.RTM_NEWLINK, 0, 0, "other")


@contract
async def test_a_device_that_is_up_is_not_renamed_before_linux_6_2(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    rename = stage.client.set_link(nic, named("other"))
    if stage.world.release < (6, 2):
        assert await stage.client.refused(rename) == (errno.EBUSY, "")
        assert await stage.client.refused(stage.client.set_link(nic, named("nic0"))) == (errno.EBUSY, "")
    else:
        await rename
        assert (await stage.client.link(nic)).name == "other"


@contract
async def test_in_one_message_the_name_comes_before_up(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await stage.client.set_link(nic, named("other"), up=True)
    link = await stage.client.link(nic)
    assert (link.name, link.up) == ("other", True)


@contract
async def test_the_same_name_again_is_not_told(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await stage.client.set_link(nic, named("nic0"))
    assert stage.client.take_links(nic) == []


@contract
async def test_names_that_are_taken_or_bad(stage: Stage) -> None:
    nic, _ = await stage.nic("nic0"), await stage.nic("nic1")
    await add_names(stage, nic, "own-alternative")
    ask = stage.client.refused
    assert await ask(stage.client.set_link(nic, named("nic1"))) == (errno.EEXIST, "")
    assert await ask(stage.client.set_link(nic, named("own-alternative"))) == (errno.EEXIST, "")
    assert await ask(stage.client.set_link(nic, named("a/b"))) == (errno.EINVAL, "")
    assert await ask(stage.client.set_link(nic, named("a b"))) == (errno.EINVAL, "")
    assert await ask(stage.client.set_link(nic, named("sixteen-letters-"))) == ERANGE
    await stage.client.set_link(nic, named(""))
    assert (await stage.client.link(nic)).name == "nic0"


@contract
async def test_the_kernel_fills_in_a_percent_d(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await stage.client.set_link(nic, named("vf%d"))
    assert (await stage.client.link(nic)).name == "vf0"


@contract
async def test_alternative_names(stage: Stage) -> None:
    nic, other = await stage.nic("nic0"), await stage.nic("nic1")
    await add_names(stage, nic, "a-name-longer-than-fifteen-bytes", "b")
    assert (await stage.client.link(nic)).altnames == {"a-name-longer-than-fifteen-bytes", "b"}
    ask = stage.client.refused
    assert await ask(add_names(stage, nic, "b")) == (errno.EEXIST, "")
    assert await ask(add_names(stage, other, "b")) == (errno.EEXIST, "")
    assert await ask(add_names(stage, other, "nic0")) == (errno.EEXIST, "")
    assert await ask(add_names(stage, other, "x" * 128)) == ERANGE
    assert await ask(add_names(stage, 4711, "c")) == (errno.ENODEV, "")
    assert await ask(drop_name(stage, nic, "c")) == (errno.ENOENT, "")
    assert await ask(drop_name(stage, other, "b")) == (errno.EINVAL, "")
    assert await ask(drop_name(stage, nic, "nic0")) == (errno.EINVAL, "")
    await drop_name(stage, nic, "b")
    assert (await stage.client.link(nic)).altnames == {"a-name-longer-than-fifteen-bytes"}


@contract
async def test_of_two_names_the_first_stays_when_the_second_is_refused(stage: Stage) -> None:
    nic, _ = await stage.nic("nic0"), await stage.nic("nic1")
    assert await stage.client.refused(add_names(stage, nic, "good", "nic1")) == (errno.EEXIST, "")
    assert (await stage.client.link(nic)).altnames == {"good"}


@contract
async def test_an_alternative_name_is_told_only_of_a_device_that_is_up(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await add_names(stage, nic, "first")
    assert stage.client.take_links(nic) == []
    await stage.client.set_link(nic, up=True)
    await stage.client.until_operational(nic)
    await add_names(stage, nic, "second")
    told: list[Link] = stage.client.take_links(nic)
    assert told[-1].altnames == {"first", "second"}


@contract
async def test_a_device_is_found_by_name_and_by_alternative_name(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await add_names(stage, nic, "alternative")
    for attr in (named("nic0"), named("alternative"), wire.string(n.IFLA_ALT_IFNAME, "alternative")):
        (answer,) = await get(stage, attr)
        assert (answer.type, answer.flags) == (n.RTM_NEWLINK, 0)
        assert link_of(answer).index == nic
    assert await stage.client.refused(get(stage, named("nobody"))) == (errno.ENODEV, "")
    assert await stage.client.refused(get(stage)) == (errno.EINVAL, "")
    assert await stage.client.refused(stage.client.link(4711)) == (errno.ENODEV, "")


@contract
async def test_a_name_it_has_as_an_alternative_one_becomes_its_own_once_that_is_dropped(stage: Stage) -> None:
    """Where the rename is refused, adding it again brings the alternative name back; else that is refused."""
    nic = await stage.nic("nic0")
    for up in (False, True):
        name = f"other{int(up)}"
        await add_names(stage, nic, name)
        await stage.client.set_link(nic, up=up)
        await drop_name(stage, nic, name)
        rename = stage.client.set_link(nic, named(name))
        if up and stage.world.release < (6, 2):
            assert await stage.client.refused(rename) == (errno.EBUSY, "")
            await add_names(stage, nic, name)
            assert (await stage.client.link(nic)).altnames == {name}
        else:
            await rename
            assert await stage.client.refused(add_names(stage, nic, name)) == (errno.EEXIST, "")
            assert (await stage.client.link(nic)).altnames == set()


@contract
async def test_two_names_are_swapped_and_each_rename_is_told_of_its_own_index(stage: Stage) -> None:
    one, two = await stage.nic("nic0"), await stage.nic("nic1")
    stage.client.take_links(one)
    for nic, name in ((one, "passing"), (two, "nic0"), (one, "nic1")):
        await stage.client.set_link(nic, named(name))
    told = [(link_of(m).index, link_of(m).name) for m in stage.client.heard if link_of(m).index in (one, two)]
    assert told == [(one, "passing"), (two, "nic0"), (one, "nic1")]
