"""The picture of all interfaces, in a network namespace: what `ip` says, also after what the kernel tells nobody."""

from __future__ import annotations

import errno
import json
import random
import subprocess
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import trio
from privatenet import private_net

from failoverd.daemon import picture as module
from failoverd.daemon.leases import LEASES
from failoverd.daemon.picture import Picture, open_picture
from failoverd.netlink.inventory_filter import FILTER, GROUPS
from failoverd.netlink.transport import KernelSocket

OPEN = partial(KernelSocket.open, strict=True)
PATIENCE = 2.0
"""Seconds until the kernel's afterthoughts are told, on a busy machine."""
Ask = Callable[..., Awaitable[dict[str, Any]]]

LINKS = """\
link add v0 address 52:54:00:00:00:01 type veth peer name v1
link add name 7 type veth peer name -dash
link add name vm.e0 type veth peer name a&b
link add name active type ifb
link add br0 type bridge forward_delay 200 stp_state 1
link add brempty type bridge
link add m0 link v0 address 52:54:00:00:00:01 type macvlan mode bridge
link add vx0 type vxlan id 5 dstport 4789 local 127.0.0.1
link add tun0 type ipip local 127.0.0.1 remote 127.0.0.2
link add gre0x type gre local 127.0.0.1 remote 127.0.0.2
link add sit0x type sit local 127.0.0.1 remote 127.0.0.2
link add ip6x type ip6tnl local ::1 remote ::2
link add d0 type dummy
link add vlan.5 link v0 type vlan id 5
link add bond9 type bond mode active-backup miimon 100
link add vrf0 type vrf table 10
link property add dev v0 altname enp9s9 altname another-name-that-is-longer-than-fifteen
link set v1 master br0
link set -dash master br0
link set lo up
link set v0 up
link set v1 up
link set br0 up mtu 1400
link set brempty up
link set 7 up
link set m0 up
addr add 10.0.0.2/24 dev v0
addr add 10.0.0.3/24 dev v0
addr add 10.9.0.1 peer 10.9.0.9/32 dev v0
addr add 192.0.2.7/32 dev lo
addr add 2001:db8::2/64 dev v0 nodad
addr add 2001:db8::9/128 dev 7 nodad
addr add 2001:db8:1::2 peer 2001:db8:1::9/128 dev v0 nodad
addr add 10.0.1.2/24 dev br0
route add default via 10.0.0.1 dev v0 metric 200
route add default via 10.0.0.9 dev v0 metric 100
route add default via 10.0.1.1 dev br0 metric 300
route add default via 10.9.9.9 dev v0 table 77 onlink
route add 10.77.0.0/16 via 10.0.0.77
route add blackhole default metric 9999
route add default via 2001:db8::1 dev v0
"""
"""What this kernel refuses of it is not there."""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=20)


def batch(lines: str) -> None:
    """As far as this kernel has the kinds."""
    subprocess.run(
        ["ip", "-force", "-batch", "-"], input=lines, text=True, capture_output=True, check=False, timeout=60
    )


def asked(*words: str) -> Any:
    """What `ip` says as JSON, which is none where a name is no UTF-8."""
    done = subprocess.run(["ip", "-j", *words], capture_output=True, check=True, timeout=60)
    return json.loads(done.stdout.decode("utf-8", "surrogateescape") or "[]")


def as_ip_says() -> dict[str, dict[str, Any]]:
    """The same facts as `ip -j -d addr` and `ip -j route` have them, by name."""
    rows: dict[str, dict[str, Any]] = {}
    links = asked("-d", "addr")
    for link in links:
        kind = link.get("linkinfo", {}).get("info_kind")
        rows[link["ifname"]] = {
            "ifindex": link["ifindex"],
            "kind": kind,
            "mac": mac(link.get("address")),
            "up": "UP" in link["flags"],
            "carrier": "LOWER_UP" in link["flags"],
            "state": link["operstate"].lower(),
            "mtu": link["mtu"],
            "master": link.get("master"),
            "altnames": sorted(link.get("altnames", [])),
            "ipv4": addresses(link, "inet"),
            "ipv6": addresses(link, "inet6"),
            "gateway4": None,
            "gateway6": None,
        }
    for family in (4, 6):
        best: dict[str, int] = {}
        for route in asked(f"-{family}", "route", "show", "default", "table", "main"):
            if route.get("type", "unicast") != "unicast":
                continue
            for way in route.get("nexthops", [route]):
                gateway = way.get("gateway", way.get("via", {}).get("host"))
                if gateway and "dead" not in way["flags"] and route.get("metric", 0) < best.get(way["dev"], 1 << 32):
                    best[way["dev"]] = route.get("metric", 0)
                    rows[way["dev"]][f"gateway{family}"] = gateway
    return rows


def mac(address: str | None) -> str | None:
    """`ip` shows an address of a tunnel as one of IP."""
    return address if address and address.count(":") == 5 else None


def addresses(link: dict[str, Any], family: str) -> list[dict[str, Any]]:
    found = [one for one in link["addr_info"] if one.get("family") == family]
    return [{"address": one["local"], "prefix": one["prefixlen"]} for one in found]


def with_picture(body: Callable[[Picture, Ask], Awaitable[None]], root: Path = Path("/nonexistent")) -> None:
    """Run it with a picture of this namespace, and DHCP clients' files below `root`."""

    async def main() -> None:
        picture = await open_picture(OPEN, root)

        async def ask(question: str = "interfaces", *arguments: str) -> dict[str, Any]:
            words = arguments or (("json",) if question == "interfaces" else ())
            found: dict[str, Any] = json.loads(b"".join(await picture.answer(question, words, {})))
            return found

        try:
            with trio.fail_after(120):
                await body(picture, ask)
        finally:
            picture.close()

    trio.run(main)


async def agrees(ask: Ask) -> dict[str, Any]:
    """What the picture says is what `ip` says. The kernel has afterthoughts: the link watch, and the work queue that
    ends the detection of duplicates and tells of an address; so it may take until PATIENCE to agree."""
    deadline = trio.current_time() + PATIENCE
    while True:
        said, document = as_ip_says(), await ask()
        rows = {row["name"]: row for row in document["interfaces"]}
        unlike = differences(rows, said)
        if not unlike or trio.current_time() > deadline:
            break
        await trio.sleep(0.02)
    assert (document["sure"], unlike) == (True, [])
    in_order = sorted(rows, key=lambda name: name.encode("utf-8", "surrogateescape"))
    assert [row["name"] for row in document["interfaces"]] == in_order
    return rows


def differences(rows: dict[str, Any], said: dict[str, Any]) -> list[Any]:
    """Interfaces that are on one side only, and facts that are not the same."""
    found: list[Any] = sorted(rows.keys() ^ said.keys())
    for name in rows.keys() & said.keys():
        row = rows[name] | {"mac": mac(rows[name]["mac"])}
        found += [(name, key, row[key], value) for key, value in said[name].items() if row[key] != value]
    return found


@private_net
def test_every_interface_is_told_as_ip_tells_it() -> None:
    async def body(_picture: Picture, ask: Ask) -> None:
        rows = await agrees(ask)
        assert {"v0", "7", "-dash", "vm.e0", "a&b", "br0", "m0", "lo"} <= rows.keys()
        assert (rows["v0"]["gateway4"], rows["br0"]["gateway4"]) == ("10.0.0.9", "10.0.1.1")
        assert rows["v0"]["gateway6"] == "2001:db8::1"
        assert (rows["m0"]["lower"], rows["v0"]["lower"], rows["v1"]["master"]) == ("v0", None, "br0")
        assert rows["brempty"]["active"] is True
        assert rows["v0"]["speed"] == 10_000
        assert {row["type"] for row in rows.values()} >= {"ethernet", "bridge"}

    batch(LINKS)
    with_picture(body)


@private_net
def test_what_is_learnt_by_events_is_what_a_dump_tells() -> None:
    async def body(picture: Picture, ask: Ask) -> None:
        await ask()
        batch(LINKS)
        by_events = await agrees(ask)
        picture.stock.doubt_everything()
        assert await agrees(ask) == by_events

    with_picture(body)


@private_net
def test_a_change_is_in_the_next_answer() -> None:
    """Without a wait: what was changed before the question was told before its answer."""

    async def body(_picture: Picture, ask: Ask) -> None:
        first = await ask()
        assert await ask("interfaces", "json", "all", str(first["generation"])) == {
            "generation": first["generation"],
            "sure": True,
            "unchanged": True,
        }
        for number in range(20):
            ip("addr", "add", f"10.5.{number}.1/24", "dev", "v0")
            row = {row["name"]: row for row in (await ask())["interfaces"]}["v0"]
            assert row["ipv4"][-1] == {"address": f"10.5.{number}.1", "prefix": 24}
        ip("link", "set", "v0", "down")
        ip("link", "set", "v0", "name", "w0")
        table = {name: is_active for name, is_active, _ in (await ask("interfaces", "table"))["interfaces"]}
        assert table == {"lo": False, "v1": False, "w0": False}
        ip("link", "del", "w0")
        assert [row["name"] for row in (await ask())["interfaces"]] == ["lo"]

    batch("link add v0 type veth peer name v1\nlink set v0 up\nlink set v1 up\n")
    with_picture(body)


def vanishings() -> dict[str, tuple[str, ...]]:
    """Ways in which the kernel drops an IPv4 default route, and what is done."""
    return {
        "link down": ("link set v0 down", "link set v0 up"),
        "last address": ("addr del 10.0.0.2/24 dev v0",),
        "its source": ("addr del 192.0.2.7/32 dev lo",),
        "nexthop object": ("nexthop del id 5",),
        "device gone": ("link del v0",),
    }


@private_net
def test_a_gateway_that_goes_without_an_event_is_gone_in_the_next_answer() -> None:
    async def body(_picture: Picture, ask: Ask) -> None:
        for what, commands in vanishings().items():
            batch("link add v0 type veth peer name v1\nlink set v0 up\nlink set v1 up\naddr add 10.0.0.2/24 dev v0\n")
            batch("addr add 192.0.2.7/32 dev lo\nlink set lo up\nnexthop add id 5 via 10.0.0.1 dev v0\n")
            way = "nhid 5" if what == "nexthop object" else "via 10.0.0.1 dev v0"
            source = "src 192.0.2.7" if what == "its source" else ""
            ip("route", "add", "default", *way.split(), *source.split())
            assert (await agrees(ask))["v0"]["gateway4"] == "10.0.0.1", what
            for command in commands:
                ip(*command.split())
                rows = {row["name"]: row for row in (await ask())["interfaces"]}
                assert rows.get("v0", {}).get("gateway4") is None, what
            await agrees(ask)
            batch("link del v0\naddr del 192.0.2.7/32 dev lo\n")

    with_picture(body)


@private_net
def test_nexthop_objects_whose_ways_no_route_tells() -> None:
    async def body(_picture: Picture, ask: Ask) -> None:
        await ask()
        ip("route", "add", "default", "nhid", "9")
        rows = {row["name"]: row for row in (await ask())["interfaces"]}
        assert (rows["v0"]["gateway4"], rows["v1"]["gateway4"]) == ("10.0.0.1", "10.0.1.1")
        ip("nexthop", "replace", "id", "2", "via", "10.0.1.7", "dev", "v1")
        rows = {row["name"]: row for row in (await ask())["interfaces"]}
        assert (rows["v0"]["gateway4"], rows["v1"]["gateway4"]) == ("10.0.0.1", "10.0.1.7")
        ip("nexthop", "del", "id", "1")
        rows = {row["name"]: row for row in (await ask())["interfaces"]}
        assert (rows["v0"]["gateway4"], rows["v1"]["gateway4"]) == (None, "10.0.1.7")

    batch("link add v0 type veth peer name v1\nlink set v0 up\nlink set v1 up\n")
    batch("addr add 10.0.0.2/24 dev v0\naddr add 10.0.1.2/24 dev v1\n")
    batch("nexthop add id 1 via 10.0.0.1 dev v0\nnexthop add id 2 via 10.0.1.1 dev v1\nnexthop add id 9 group 1/2\n")
    Path("/proc/sys/net/ipv4/nexthop_compat_mode").write_text("0")
    with_picture(body)


@private_net
def test_any_history_ends_in_what_ip_says() -> None:
    """Random changes of links, addresses and default routes, and a question now and then."""
    dice = random.Random(15)

    def change() -> str:
        dev, other = dice.choice("abcd"), dice.choice("abcd")
        host, metric = dice.randint(1, 9), dice.choice((1, 1, 2))
        hop = "nexthop via 10.0.0.{} dev {} onlink"
        return dice.choice(
            (
                f"link set {dev} up",
                f"link set {dev} down",
                f"link set {dev} name {other}",
                f"link set {dev} master br0",
                f"link set {dev} nomaster",
                f"addr add 10.0.{host % 3}.{host}/24 dev {dev}",
                f"addr add 10.0.{host % 3}.{host}/24 dev {dev}",
                f"addr del 10.0.{host % 3}.{host}/24 dev {dev}",
                f"addr flush dev {dev}",
                f"addr add 2001:db8:{host}::1/64 dev {dev} nodad",
                f"route add default via 10.0.{host % 3}.99 dev {dev} onlink metric {metric}",
                f"route append default via 10.0.{host % 3}.98 dev {dev} onlink metric {metric}",
                f"route replace default via 10.0.{host % 3}.97 dev {dev} onlink metric {metric}",
                f"route add default dev {dev} metric {metric}",
                f"route del default dev {dev}",
                f"route add default via 2001:db8:{host}::99 dev {dev} metric {metric}",
                f"route del ::/0 dev {dev}",
                f"route add default metric 7 {hop.format(5, dev)} {hop.format(6, other)}",
                f"link del {dev}",
                f"link add {dev} type veth peer name {other}",
                f"link add {dev} type veth peer name {other}",
            )
        )

    async def body(_picture: Picture, ask: Ask) -> None:
        for _ in range(60):
            batch("".join(f"{change()}\n" for _ in range(dice.randint(1, 12))))
            await agrees(ask)

    batch("link add br0 type bridge\nlink set br0 up\nlink add a type veth peer name b\n")
    batch("link add c type veth peer name d\n")
    with_picture(body)


@private_net
def test_no_answer_lacks_one_that_stayed_while_others_come_and_go() -> None:
    """As fast as `ip -batch` can, for as long as it takes: a thousand changes of 40 interfaces."""
    lines = [
        line
        for turn in range(8)
        for number in range(20)
        for line in (
            f"link add c{number} type veth peer name d{turn}x{number}",
            f"link set c{number} up",
            f"link set c{number} name r{turn}x{number}",
            f"link set r{turn}x{number} master stays3",
            f"addr add 10.{turn}.{number}.1/24 dev d{turn}x{number}",
            f"link del r{turn}x{number}",
        )
    ]
    stays = {"lo", "stays0", "stays1", "stays2", "stays3"}

    async def body(_picture: Picture, ask: Ask) -> None:
        answers = 0
        await ask()
        with subprocess.Popen(["ip", "-batch", "-"], stdin=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            process.stdin.write("\n".join(lines) + "\n")
            process.stdin.close()
            while process.poll() is None:
                for question in ("interfaces", "every-interface-xml"):
                    document = await ask(question)
                    answers += 1
                    assert document["sure"]
                    if question == "interfaces":
                        names = [row["name"] for row in document["interfaces"]]
                    else:
                        names = [ElementTree.fromstring(one).get("name") for one in document["documents"]]
                    assert stays <= set(names)
                    assert len(set(names)) == len(names)
        assert process.returncode == 0
        assert answers > 4
        assert (await agrees(ask)).keys() == stays

    batch("link add stays0 type veth peer name stays1\nlink add stays2 type veth\nlink del stays2\n")
    batch("link add stays2 type ifb\nlink add stays3 type bridge\nlink set stays0 up\n")
    with_picture(body)


@private_net
def test_names_that_are_no_utf8_are_listed_and_have_no_xml() -> None:
    async def body(_picture: Picture, ask: Ask) -> None:
        rows = await agrees(ask)
        assert "x\udcffy" in rows
        assert (await ask("interface-xml", "x\udcffy", "a&b"))["refused"] == [
            "the name x\\udcffy is no UTF-8, so there is no XML of it; failoverctl interfaces --json has it"
        ]
        every = await ask("every-interface-xml")
        assert (len(every["documents"]), len(every["refused"])) == (len(rows) - 1, 1)
        (bridge,) = (await ask("interface-xml", "br0"))["documents"]
        assert "<!-- x\\udcffy is left out" in bridge

    batch("link add br0 type bridge\nlink add name a&b type veth peer name vm.e0\n")
    subprocess.run([b"ip", b"link", b"add", b"x\xffy", b"master", b"br0", b"type", b"veth"], check=True)
    with_picture(body)


@private_net
def test_a_router_s_table_is_kept_out_in_the_kernel() -> None:
    async def body(_picture: Picture, ask: Ask) -> None:
        await ask()
        events = await KernelSocket.open(GROUPS)
        events.keep_out(FILTER)
        many = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(2000)]
        batch("".join(f"route add {prefix} via 192.168.0.1\n" for prefix in many))
        ip("route", "add", "default", "via", "192.168.0.1")
        ip("-6", "route", "add", "2001:db8:5::/64", "dev", "v0", "proto", "kernel")
        ip("-6", "route", "add", "2001:db8:6::/64", "dev", "v0")
        ip("route", "add", "default", "via", "192.168.0.1", "table", "5")
        heard = []
        while (datagram := events.recv_nowait()) is not None:
            heard.append(datagram)
        events.close()
        assert len(heard) == 2  # one is the prefix of an address that may have come
        assert (await agrees(ask))["v0"]["gateway4"] == "192.168.0.1"
        ip("link", "set", "v0", "down")
        assert (await agrees(ask))["v0"]["gateway4"] is None

    batch("link add v0 type veth peer name v1\nlink set v0 up\nlink set v1 up\naddr add 192.168.0.2/24 dev v0\n")
    with_picture(body)


@private_net
def test_events_that_were_lost_are_answered_by_looking_at_everything() -> None:
    async def body(picture: Picture, ask: Ask) -> None:
        await ask()
        picture._events.resize(4096)  # type: ignore[attr-defined]
        batch("".join(f"link add p{number} type veth peer name q{number}\n" for number in range(50)))
        ip("link", "del", "v0")
        rows = await agrees(ask)
        assert len(rows) == 101

    batch("link add v0 type veth peer name v1\n")
    with_picture(body)


@private_net
def test_an_answer_says_that_it_is_not_sure_where_events_keep_being_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(picture: Picture, ask: Ask) -> None:
        assert (await ask())["sure"] is True
        takes = picture._events.recv_nowait
        lost = True

        def losing() -> bytes | None:
            nonlocal lost
            lost = not lost
            if lost:
                return takes()
            raise OSError(errno.ENOBUFS, "No buffer space available")

        monkeypatch.setattr(picture._events, "recv_nowait", losing)
        first = await ask()
        assert first["sure"] is False
        assert [row["name"] for row in first["interfaces"]] == ["lo", "v0", "v1"]
        known = await ask("interfaces", "json", "all", str(first["generation"]))
        assert (known["sure"], len(known["interfaces"])) == (False, 3)
        monkeypatch.undo()
        assert (await ask())["sure"] is True

    batch("link add v0 type veth peer name v1\n")
    with_picture(body)


@private_net
def test_what_cannot_be_read_is_looked_at_again() -> None:
    async def body(picture: Picture, ask: Ask) -> None:
        await ask()
        picture._take(b"\x30\0\0\0\x10\0")
        assert picture.stock.stale.everything
        assert [row["name"] for row in (await ask())["interfaces"]] == ["lo"]

    with_picture(body)


@private_net
def test_the_engine_has_its_turn_while_a_crowd_is_answered() -> None:
    """The longest wait of another task, while 1,000 links are asked for in every way, and anew. It is in CPU time, so
    that what else runs on the machine does not count."""

    async def body(picture: Picture, ask: Ask) -> None:
        longest, done = 0.0, False

        async def wait() -> None:
            nonlocal longest
            before = time.thread_time()
            while not done:
                await trio.lowlevel.checkpoint()
                now = time.thread_time()
                longest, before = max(longest, now - before), now

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            for _ in range(3):
                picture.stock.doubt_everything()
                for words in (("interfaces", "table"), ("interfaces", "json"), ("every-interface-xml",)):
                    await picture.answer(words[0], words[1:], {})
            done = True
        print(f"longest wait {longest * 1000:.1f} ms")
        assert longest < 0.05

    batch("".join(f"link add p{number} type veth peer name q{number}\n" for number in range(500)))
    with_picture(body)


@private_net
def test_a_lease_counts_where_its_address_is_on_the_interface(tmp_path: Path) -> None:
    async def body(picture: Picture, ask: Ask) -> None:
        async def dhcp() -> dict[str, Any]:
            return {row["name"]: row["dhcp4"] for row in (await ask())["interfaces"]}

        rows = {row["name"]: row for row in (await ask())["interfaces"]}
        for name in ("v0", "v1"):
            (tmp_path / LEASES / str(rows[name]["ifindex"])).write_text("ADDRESS=10.0.0.2\n")
        assert await dhcp() == {"lo": None, "v0": True, "v1": None, "w0": None, "w1": None}
        for name in ("w0", "w1"):
            (tmp_path / f"run/dhclient.{name}.pid").write_text(f"{client.pid}\n")
        assert await dhcp() == {"lo": None, "v0": True, "v1": None, "w0": True, "w1": None}
        client.kill()
        client.wait()
        assert await dhcp() == {"lo": None, "v0": True, "v1": None, "w0": None, "w1": None}

    (tmp_path / LEASES).mkdir(parents=True)
    batch("link add v0 type veth peer name v1\naddr add 10.0.0.2/24 dev v0\n")
    batch("link add w0 type veth peer name w1\naddr add 10.0.1.2/24 dev w0\naddr add 2001:db8::2/64 dev w1\n")
    with subprocess.Popen(["sleep", "600"]) as client:
        try:
            with_picture(body, tmp_path)
        finally:
            client.kill()


def test_it_holds_more_than_the_kernel_queues() -> None:
    assert module.MOST * 1024 >= module.RECEIVE_BUFFER
