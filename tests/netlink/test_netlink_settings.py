"""Settings, neighbours and labels on the real kernel, there and back; and messages that are none."""

from __future__ import annotations

import struct
from dataclasses import replace
from functools import partial
from pathlib import Path

import kernelbytes as kernel
import pytest
import trio
from privatenet import private_net
from test_netlink_fetch import do, look

from failoverd.model.inet import Label, Neighbour
from failoverd.model.requests import AddLabel, AddNeighbour, SetAttribute, SetUp
from failoverd.model.settings import ATTRIBUTES, SYSCTLS, full_name
from failoverd.netlink.frames import Message, NetlinkError, split
from failoverd.netlink.neighbours import read_label, read_neighbour
from failoverd.netlink.settings import read_settings, write_setting

ENTRY = Neighbour(1, 2, 0x80, 0, 1, ((1, b"\n\0\0\5"), (2, bytes(6))))
PROXY = Neighbour(1, 10, 0, 0x08, 1, ((1, b"\xfd" + bytes(14) + b"\7"),))
LABEL = Label(1, b"\x20\x01\x0d\xb8" + bytes(12), 32, 99)
MINE = {"txqueuelen": "77", "alias": "uplink", "group": "5", "addr_gen_mode": "1"}
EVERY = {**MINE, "token": "::1a:2b:3c:4d"}
"""A value for each of ATTRIBUTES that no other of them has, and no device by default. lo takes no token."""


def message(kind: int, payload: bytes) -> Message:
    (found,) = split(kernel.message(kind, payload, 1))
    return found


@private_net
def test_the_real_kernel_gives_back_what_it_was_given() -> None:
    async def there_and_back() -> None:
        await do(SetUp(1, True))
        await do(*(SetAttribute(1, name, value) for name, value in MINE.items()))
        await do(AddNeighbour(PROXY), AddLabel(LABEL))
        Path("/proc/sys/net/ipv4/conf/lo/arp_ignore").write_text("2")
        found = (await look(1))[1]
        settings = dict(found.settings)
        assert {name: settings[name] for name in MINE} == MINE
        assert settings["ipv4/arp_ignore"] == "2"
        assert "ipv6/mtu" not in settings
        assert found.labels == (LABEL,)
        assert [replace(n, type=1) for n in found.neighbours] == [PROXY]
        await do(SetAttribute(1, "alias", ""))
        assert dict((await look(1))[1].settings)["alias"] == ""

    trio.run(there_and_back)


@private_net
def test_every_sysctl_is_what_its_file_says() -> None:
    """The numbers of the arrays and the units of what they hold."""

    async def compare() -> None:
        await do(SetUp(1, True))
        told = dict((await look(1))[1].settings)
        for row in SYSCTLS.values():
            path = Path(f"/proc/sys/net/{row.family}/conf/lo/{row.file}")
            if row.name in told and path.exists():
                assert told[row.name] == path.read_text().strip(), row
        assert len(told) > 80

    trio.run(compare)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_attribute_is_read_as_it_is_written_and_changes_no_other(name: str) -> None:
    """One that the writer or the reader has forgotten fails here, and is not written as if it were another."""
    unset = dict(read_settings(message(16, bytes(16))))
    found = dict(read_settings(message(16, bytes(16) + write_setting(name, EVERY[name]))))
    assert found == {**unset, name: EVERY[name]}


def test_no_other_setting_is_written_as_an_attribute() -> None:
    for name in ("ipv4/arp_ignore", "gso_max_size"):
        with pytest.raises(KeyError, match=name):
            write_setting(name, "1")


@pytest.mark.parametrize("read", [read_neighbour, read_label])
def test_a_message_that_is_too_short(read: partial[object]) -> None:
    with pytest.raises(NetlinkError, match="bytes"):
        read(message(28, b"\2"))


def test_attributes_that_are_too_short() -> None:
    with pytest.raises(NetlinkError, match="of 1 bytes that should have 4"):
        read_settings(message(16, bytes(16) + kernel.attr(13, b"\1")))
    short = kernel.attr(26, kernel.attr(10, kernel.attr(7, b"\1")))
    assert "token" not in dict(read_settings(message(16, bytes(16) + short)))


def test_a_kernel_without_ipv6_tells_of_none_of_it() -> None:
    array = kernel.attr(1, struct.pack("=3i", 1, 0, 1))
    found = dict(read_settings(message(16, bytes(16) + kernel.attr(26, kernel.attr(2, array)))))
    sysctls = {name: value for name, value in found.items() if "/" in name}
    assert sysctls == {"ipv4/forwarding": "1", "ipv4/proxy_arp": "1"}


def test_names_an_administrator_knows() -> None:
    assert full_name("ipv6/accept_ra", "ens3") == "net.ipv6.conf.ens3.accept_ra"
    assert full_name("alias", "ens3") == "the alias of ens3"
