"""A look at a whole namespace of the real kernel: devices, their qdiscs, configuration, and rules that name devices."""

from __future__ import annotations

import errno
import socket
import struct
import subprocess
from collections.abc import Mapping
from functools import partial

import pytest
import trio
from privatenet import private_net

from failoverd.kinds.bridge import BridgeRest
from failoverd.model.links import Qdisc
from failoverd.model.requests import AddQdisc, AddRule, ChangeLink, DropRule
from failoverd.netlink.exchange import Exchange
from failoverd.netlink.frames import NetlinkError, build, split
from failoverd.netlink.rules import HEAD, RTM_NEWRULE, read_rule
from failoverd.netlink.transport import KernelSocket
from failoverd.netlink.whole_look import look_at_tables, look_whole

QDISCS = (
    "pfifo limit 77",
    "bfifo limit 77000",
    "pfifo_fast",
    "noqueue",
    "fq limit 5000 maxrate 10mbit",
    "fq_codel limit 500 flows 77 noecn",
    "codel target 7ms ecn",
    "pie target 20ms",
    "fq_pie flows 16",
    "cake bandwidth 10mbit besteffort nat overhead 18",
    "sfq perturb 10 limit 77",
)
"""Of which the kernel has at least the first two."""
RULES = [
    ("rule", "add", "priority", "10", *words.split())
    for words in (
        "iif lo oif not-there lookup 100",
        "from 192.0.2.0/24 to 198.51.100.1 tos 0x10 lookup 1000",
        "not fwmark 0x5/0xff blackhole",
        "fwmark 7 uidrange 1000-2000 prohibit",
        "ipproto tcp dport 80-90 sport 1024 lookup 1000 protocol 77",
        "lookup main suppress_prefixlength 0",
        "lookup main suppress_ifgroup 5",
        "goto 32766",
        "unreachable",
    )
]
RULES += [("-6", *words) for words in RULES if "tos" not in words]


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
    run("ip", "rule", "add", "from", "192.0.2.1", "table", "1000", "priority", "79")

    async def look() -> None:
        opener = partial(KernelSocket.open, strict=True)
        links, inet, rules, *_ = await look_whole(
            opener, lambda links: [link.ifindex for link in [links.named("v0")] if link]
        )
        near, far = links.named("v0"), links.named("v1")
        assert near is not None
        assert far is not None
        assert (near.up, near.kind, far.tc.slot) == (True, "veth", "clsact")
        assert [str(address) for address in inet[near.ifindex].addresses if address.family == 2] == ["192.0.2.1/24"]
        found = [(rule.priority, rule.table, rule.iif, rule.oif, rule.src_len) for rule in rules if rule.priority < 999]
        assert found == [
            (0, 255, "", "", 0),
            (77, 100, "v0", "lo", 0),
            (79, 1000, "", "", 32),
            (0, 255, "", "", 0),
            (78, 100, "", "not-there", 0),
        ]

    trio.run(look)


@private_net
def test_rules_are_removed_and_made_again_as_they_were() -> None:
    for words in RULES:
        run("ip", *words)

    async def test() -> None:
        opener = partial(KernelSocket.open, strict=True)
        _, _, before, *_ = await look_whole(opener, lambda _links: ())
        mine = [rule for rule in before if 0 < rule.priority < 999]
        assert len(mine) == len(RULES)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
            sock.bind((0, 0))
            exchange = Exchange(sock)
            assert exchange.make([[AddRule(rule) for rule in mine]], {}) == [((errno.EEXIST, ""),) * len(mine)]
            assert exchange.make([[DropRule(rule) for rule in mine]], {}) == [((0, ""),) * len(mine)]
            assert exchange.make([[DropRule(mine[0])]], {})[0][0][0] == errno.ENOENT
            _, _, between, *_ = await look_whole(opener, lambda _links: ())
            assert [rule for rule in before if rule not in mine] == list(between)
            assert exchange.make([[AddRule(rule) for rule in mine]], {}) == [((0, ""),) * len(mine)]
        assert (await look_whole(opener, lambda _links: ()))[2] == before

    trio.run(test)


@private_net
def test_a_root_qdisc_is_made_again_as_it_was() -> None:
    run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    run("ip", "link", "add", "v2", "type", "veth", "peer", "name", "v3")
    run("tc", "qdisc", "add", "dev", "v1", "root", "handle", "7:", "htb")

    async def look() -> tuple[int, Mapping[int, Qdisc]]:
        opener = partial(KernelSocket.open, strict=True)
        links, _, _, qdiscs, *_ = await look_whole(opener, lambda links: list(links))
        near = links.named("v0")
        assert near is not None
        return near.ifindex, qdiscs

    async def test() -> int:
        seen = 0
        assert (await look())[1] == {}
        for words in QDISCS:
            if subprocess.run(("tc", "qdisc", "add", "dev", "v0", "root", "handle", "5:", *words.split())).returncode:
                continue
            ifindex, qdiscs = await look()
            assert (list(qdiscs), qdiscs[ifindex].handle) == ([ifindex], 0x50000)
            run("tc", "qdisc", "del", "dev", "v0", "root")
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
                sock.bind((0, 0))
                assert Exchange(sock).make([[AddQdisc(ifindex, qdiscs[ifindex])]], {}) == [((0, ""),)]
            assert await look() == (ifindex, qdiscs), words
            run("tc", "qdisc", "del", "dev", "v0", "root")
            seen += 1
        return seen

    assert trio.run(test) > 1


@private_net
def test_a_bridges_options_are_read_and_given_to_another() -> None:
    options = "ageing_time 1000 hello_time 150 max_age 700 priority 7 group_fwd_mask 8 mcast_snooping 0"
    run("ip", "link", "add", "br0", "type", "bridge", *options.split(), "no_linklocal_learn", "1")
    run("ip", "link", "add", "br1", "type", "bridge")

    async def look(name: str) -> tuple[int, bytes, str]:
        opener = partial(KernelSocket.open, strict=True)
        links, _, _, _, rests, odd = await look_whole(opener, lambda links: list(links))
        found = links.named(name)
        assert found is not None
        return found.ifindex, rests.get(found.ifindex, b""), odd.get(found.ifindex, "")

    async def test() -> None:
        (_, wanted, _), (other, usual, _) = await look("br0"), await look("br1")
        assert wanted != usual
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
            sock.bind((0, 0))
            assert Exchange(sock).make([[ChangeLink(other, BridgeRest(wanted))]], {}) == [((0, ""),)]
        assert (await look("br1"))[1] == wanted

    trio.run(test)


@private_net
def test_what_cannot_be_cloned_of_a_bridge_and_its_ports() -> None:
    run("ip", "link", "add", "br0", "type", "bridge")
    run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    run("ip", "link", "set", "v0", "master", "br0")

    async def odd() -> dict[str, str]:
        opener = partial(KernelSocket.open, strict=True)
        links, *_, found = await look_whole(opener, lambda links: list(links))
        return {links[ifindex].name: why for ifindex, why in found.items()}

    async def test() -> None:
        assert await odd() == {}
        run("ip", "link", "set", "v0", "type", "bridge_slave", "hairpin", "on")
        run("bridge", "fdb", "add", "02:00:00:00:00:99", "dev", "v0", "master", "static")
        assert await odd() == {
            "v0": "it has options of its own as a port (bridge -d link), which cannot be cloned yet",
            "br0": "it has static forwarding entries, which cannot be cloned yet",
        }
        run("bridge", "fdb", "del", "02:00:00:00:00:99", "dev", "v0", "master")
        run("ip", "link", "set", "v0", "type", "bridge_slave", "hairpin", "off")
        run("ip", "link", "set", "br0", "type", "bridge", "group_address", "01:80:c2:00:00:0f")
        assert await odd() == {"br0": "its group address cannot be cloned"}
        if not subprocess.run(("ip", "link", "set", "br0", "type", "bridge", "vlan_filtering", "1")).returncode:
            assert await odd() == {"br0": "the VLANs of its ports cannot be cloned yet"}

    trio.run(test)


@private_net
def test_who_has_routes_in_a_table() -> None:
    run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    run("ip", "link", "set", "v0", "up")
    run("ip", "link", "set", "v1", "up")
    run("ip", "route", "add", "192.0.2.0/24", "dev", "v0", "table", "1000")
    run("ip", "route", "add", "198.51.100.0/24", "table", "1001", "nexthop", "dev", "v0", "nexthop", "dev", "v1")
    run("ip", "route", "add", "blackhole", "203.0.113.0/24", "table", "1002")
    run("ip", "-6", "route", "add", "blackhole", "2001:db8::/32", "table", "1002")

    async def look() -> None:
        opener = partial(KernelSocket.open, strict=True)
        links, *_ = await look_whole(opener, lambda _links: ())
        near, far = links.named("v0"), links.named("v1")
        assert near is not None
        assert far is not None
        asked = [(2, 1000), (2, 1001), (2, 1002), (2, 1003), (10, 1002)]
        assert await look_at_tables(opener, asked) == {
            (2, 1000): {near.ifindex},
            (2, 1001): {near.ifindex, far.ifindex},
            (2, 1002): {0},
            (10, 1002): {1},
        }

    trio.run(look)


@pytest.mark.parametrize("payload", [b"", bytes(HEAD.size - 1), bytes(HEAD.size) + struct.pack("=HHH", 6, 6, 0)])
def test_a_rule_that_is_none(payload: bytes) -> None:
    (message,) = split(build(RTM_NEWRULE, 0, 1, payload))
    with pytest.raises(NetlinkError):
        read_rule(message)
