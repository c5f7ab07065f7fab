"""The reader for devices that can be in no pair, held to the one that reads everything."""

from __future__ import annotations

from dataclasses import replace

import kernelbytes as kernel
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from privatenet import private_net
from veths import make_veth

from failoverd.model.events import LinkSeen
from failoverd.model.links import BYSTANDERS, Link
from failoverd.netlink.bystanders import read_bystander
from failoverd.netlink.conversation import Conversation
from failoverd.netlink.frames import split
from failoverd.netlink.links import read_link
from failoverd.netlink.transport import RTMGRP_LINK, KernelSocket


def kept(link: Link) -> Link:
    """What is kept of a bystander."""
    names = ("name", "mac", "up", "carrier", "mtu", "master", "link", "kind", "hardware", "altnames")
    return Link(link.ifindex, **{name: getattr(link, name) for name in names})


name = st.binary(min_size=1, max_size=15).filter(lambda raw: b"\0" not in raw)
ifindex = st.integers(0, 2**31 - 1)
kinds = st.sampled_from([kind.encode() for kind in sorted(BYSTANDERS)])


@given(
    kinds,
    name,
    st.binary(max_size=32),
    st.integers(0, 2**32 - 1),
    ifindex,
    ifindex,
    st.lists(name, max_size=3),
    st.booleans(),
    st.sampled_from([0, kernel.UP, kernel.UP | kernel.LOWER_UP]),
)
def test_what_is_kept_is_what_the_codec_reads(
    kind: bytes, name: bytes, mac: bytes, mtu: int, link: int, master: int, more: list[bytes], far: bool, state: int
) -> None:
    attrs = [kernel.attr(1, mac), kernel.number(4, mtu), kernel.number(5, link), kernel.attr(23, bytes(200))]
    attrs += [kernel.number(10, master)] if master else []
    attrs += [kernel.number(37, 3)] if far else []
    attrs += [kernel.attr(18, kernel.attr(1, kind + b"\0") + kernel.attr(2, kernel.number(9, 7)))]
    attrs += [kernel.attr(52 | 0x8000, b"".join(kernel.attr(53, one + b"\0") for one in more))] if more else []
    (message,) = split(kernel.link(7, name, *attrs, state=state))
    assert read_bystander(message) == kept(read_link(message))


@pytest.mark.parametrize(
    "attrs",
    [
        [],
        [kernel.attr(18, kernel.attr(1, b"vlan\0"))],
        [kernel.attr(18, kernel.attr(1, b"bond\0"))],
        [kernel.attr(18, kernel.attr(1, b"veth\0")), kernel.attr(10, b"\1")],
        [kernel.attr(18, b"\xff\xff\1\0veth")],
        [kernel.attr(18, kernel.attr(1, b"veth\0")), b"\xff\xff\1\0"],
        [kernel.attr(18, kernel.attr(1, b"veth\0")), b"\2\0\1\0"],
    ],
)
def test_everything_else_and_what_is_odd_is_left_to_the_codec(attrs: list[bytes]) -> None:
    (message,) = split(kernel.link(7, b"v0", *attrs))
    assert read_bystander(message) is None


def test_what_is_new_in_nothing_that_is_kept_is_no_event() -> None:
    veth = [kernel.attr(18, kernel.attr(1, b"veth\0"))]
    talk = Conversation(lambda link: link)
    assert len(list(talk.feed(kernel.link(7, b"v0", *veth), 0.0))) == 1
    assert not list(talk.feed(kernel.link(7, b"v0", *veth, kernel.attr(23, bytes(200))), 0.0))
    (event,) = talk.feed(kernel.link(7, b"v1", *veth), 0.0)
    assert event == LinkSeen(Link(7, "v1", kind="veth", mtu=0))


def test_a_veth_that_stands_for_hardware_is_read_in_full() -> None:
    """As the lab has them."""
    talk = Conversation(lambda link: replace(link, kind="", bus="pci"))
    veth = [kernel.attr(18, kernel.attr(1, b"veth\0")), kernel.number(51, 9000)]
    (event,) = talk.feed(kernel.link(7, b"v0", *veth), 0.0)
    assert isinstance(event, LinkSeen)
    assert (event.link.kind, event.link.bus, event.link.max_mtu) == ("", "pci", 9000)


@private_net
def test_real_veths() -> None:
    async def both() -> None:
        sock = await KernelSocket.open(RTMGRP_LINK)
        indexes = await make_veth("v0", "v1")
        seen: set[int] = set()
        while seen != set(indexes):
            for message in split(await sock.recv()):
                found = read_bystander(message)
                assert found == kept(read_link(message))
                assert found is not None
                seen.add(found.ifindex)
        sock.close()

    trio.run(both)
