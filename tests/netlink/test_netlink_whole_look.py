"""A look at a whole namespace of the real kernel: devices, their qdiscs, configuration, and rules that name devices."""

from __future__ import annotations

import struct
import subprocess
from functools import partial

import pytest
import trio
from privatenet import private_net

from failoverd.model.inet import Rule
from failoverd.netlink.frames import NetlinkError, build, split
from failoverd.netlink.rules import HEAD, RTM_NEWRULE, read_rule
from failoverd.netlink.transport import KernelSocket
from failoverd.netlink.whole_look import look_whole


def run(*words: str) -> None:
    subprocess.run(words, check=True)


@private_net
def test_what_there_is() -> None:
    run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    run("ip", "link", "set", "v0", "up")
    run("ip", "address", "add", "192.0.2.1/24", "dev", "v0")
    run("tc", "qdisc", "add", "dev", "v1", "clsact")
    run("ip", "rule", "add", "iif", "v0", "oif", "lo", "table", "100", "priority", "77")
    run("ip", "-6", "rule", "add", "oif", "not-there", "table", "100", "priority", "78")
    run("ip", "rule", "add", "from", "192.0.2.1", "table", "100", "priority", "79")

    async def look() -> None:
        opener = partial(KernelSocket.open, strict=True)
        links, inet, rules = await look_whole(
            opener, lambda links: [link.ifindex for link in [links.named("v0")] if link]
        )
        near, far = links.named("v0"), links.named("v1")
        assert near is not None
        assert far is not None
        assert (near.up, near.kind, far.tc.slot) == (True, "veth", "clsact")
        assert [str(address) for address in inet[near.ifindex].addresses if address.family == 2] == ["192.0.2.1/24"]
        assert set(rules) == {Rule(2, 77, frozenset({"v0", "lo"})), Rule(10, 78, frozenset({"not-there"}))}

    trio.run(look)


@pytest.mark.parametrize("payload", [b"", bytes(HEAD.size - 1), bytes(HEAD.size) + struct.pack("=HHH", 6, 6, 0)])
def test_a_rule_that_is_none(payload: bytes) -> None:
    (message,) = split(build(RTM_NEWRULE, 0, 1, payload))
    with pytest.raises(NetlinkError):
        read_rule(message)
