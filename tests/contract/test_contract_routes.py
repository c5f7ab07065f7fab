"""Routes of both families: added, replaced, filtered, and what becomes of them when their device goes down."""

from __future__ import annotations

import errno
import struct

from client import Path, gateway, ifaddr, oif, parse_ip, path_of, rtmsg
from worlds import Stage, contract

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire

NEW = n.NLM_F_CREATE | n.NLM_F_EXCL
DEFAULT, DEFAULT6 = "0.0.0.0/0", "::/0"
LINK = n.RT_SCOPE_LINK


async def stand(stage: Stage, name: str = "nic0", v4: str = "192.0.2.5/24", v6: str = "2001:db8::5/64") -> int:
    """A NIC that is up and has addresses."""
    nic = await stage.nic(name, up=True)
    for cidr in (v4, v6):
        await stage.client.ask(n.RTM_NEWADDR, NEW, ifaddr(nic, cidr, n.IFA_F_NODAD))
        await stage.client.until_addr(cidr)
    return nic


async def add(
    stage: Stage, dst: str, *attrs: bytes, how: int = NEW, scope: int = 0, kind: int = 1, flags: int = 0
) -> None:
    await stage.client.ask(n.RTM_NEWROUTE, how, rtmsg(dst, scope=scope, kind=kind, flags=flags), *attrs)


async def drop(stage: Stage, dst: str, *attrs: bytes) -> None:
    body = rtmsg(dst, protocol=0, scope=n.RT_SCOPE_NOWHERE, kind=0)
    await stage.client.ask(n.RTM_DELROUTE, 0, body, *attrs)


async def routes(stage: Stage, family: int, table: int = n.RT_TABLE_MAIN, out: int = 0) -> list[Path]:
    """What the kernel filters out of its tables for a strict socket."""
    stage.client.sock.set_strict(True)
    head = struct.pack("=BBBBBBBBI", family, 0, 0, 0, table, 0, 0, 0, 0)
    rows = await stage.client.ask(n.RTM_GETROUTE, n.NLM_F_DUMP, head, *([oif(out)] if out else []))
    stage.client.sock.set_strict(False)
    return [path_of(row) for row in rows]


async def places(stage: Stage, family: int, table: int = n.RT_TABLE_MAIN, out: int = 0) -> list[str]:
    return [path.dst for path in await routes(stage, family, table, out)]


@contract
async def test_an_ipv4_address_brings_its_routes(stage: Stage) -> None:
    nic = await stand(stage)
    (prefix,) = await routes(stage, n.AF_INET, out=nic)
    assert (prefix.dst, prefix.protocol, prefix.scope, prefix.oif) == ("192.0.2.0/24", n.RTPROT_KERNEL, LINK, nic)
    assert prefix.attrs[n.RTA_PREFSRC] == parse_ip("192.0.2.5")[1]
    local = await routes(stage, n.AF_INET, n.RT_TABLE_LOCAL, nic)
    assert [(p.dst, p.kind) for p in local] == [("192.0.2.5/32", n.RTN_LOCAL), ("192.0.2.255/32", n.RTN_BROADCAST)]


@contract
async def test_an_ipv6_address_brings_its_routes(stage: Stage) -> None:
    nic = await stand(stage)
    found = {p.dst: p for p in await routes(stage, n.AF_INET6, out=nic)}
    assert found.keys() == {"2001:db8::/64", "fe80::/64"}
    assert (found["2001:db8::/64"].metric, found["2001:db8::/64"].protocol) == (256, n.RTPROT_KERNEL)
    local = {p.dst: p.kind for p in await routes(stage, n.AF_INET6, n.RT_TABLE_LOCAL, nic)}
    assert local["2001:db8::5/128"] == n.RTN_LOCAL
    assert local["ff00::/8"] == n.RTN_MULTICAST


@contract
async def test_no_prefix_route_where_none_is_wanted(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    wanted = wire.u32(n.IFA_FLAGS, n.IFA_F_NODAD | n.IFA_F_NOPREFIXROUTE)
    for cidr in ("192.0.2.5/24", "2001:db8::5/64"):
        await stage.client.ask(n.RTM_NEWADDR, NEW, ifaddr(nic, cidr), wanted)
    assert await places(stage, n.AF_INET, out=nic) == []
    assert await places(stage, n.AF_INET6, out=nic) == ["fe80::/64"]


@contract
async def test_a_lenient_socket_gets_every_route(stage: Stage) -> None:
    nic = await stand(stage)
    head = struct.pack("=BBBBBBBBI", n.AF_INET, 0, 0, 0, n.RT_TABLE_MAIN, 0, 0, 0, 0)
    rows = await stage.client.ask(n.RTM_GETROUTE, n.NLM_F_DUMP, head, oif(nic))
    assert {path_of(row).table for row in rows} >= {n.RT_TABLE_MAIN, n.RT_TABLE_LOCAL}


@contract
async def test_ipv4_exclusive_replace_append(stage: Stage) -> None:
    nic = await stand(stage)
    replace, append = n.NLM_F_CREATE | n.NLM_F_REPLACE, n.NLM_F_CREATE | n.NLM_F_APPEND
    await add(stage, DEFAULT, gateway("192.0.2.1"), oif(nic))
    for other in ("192.0.2.1", "192.0.2.2"):
        assert await stage.client.refused(add(stage, DEFAULT, gateway(other), oif(nic))) == (errno.EEXIST, "")
    await add(stage, DEFAULT, gateway("192.0.2.2"), oif(nic), how=replace)
    await add(stage, DEFAULT, gateway("192.0.2.3"), oif(nic), how=append)
    again = add(stage, DEFAULT, gateway("192.0.2.3"), oif(nic), how=append)
    assert await stage.client.refused(again) == (errno.EEXIST, "")
    await add(stage, DEFAULT, gateway("192.0.2.1"), oif(nic), wire.u32(n.RTA_PRIORITY, 100))
    defaults = [(p.gateway, p.metric) for p in await routes(stage, n.AF_INET) if p.dst == DEFAULT]
    assert defaults == [("192.0.2.2", 0), ("192.0.2.3", 0), ("192.0.2.1", 100)]


@contract
async def test_ipv6_makes_one_multipath_route_of_equals(stage: Stage) -> None:
    nic = await stand(stage)
    place = "2001:db8:a::/48"
    await add(stage, place, gateway("fe80::1"), oif(nic))
    assert await stage.client.refused(add(stage, place, gateway("fe80::2"), oif(nic))) == (errno.EEXIST, "")
    await add(stage, place, gateway("fe80::2"), oif(nic), how=n.NLM_F_CREATE)
    again = add(stage, place, gateway("fe80::2"), oif(nic), how=n.NLM_F_CREATE)
    assert await stage.client.refused(again) == (errno.EEXIST, "")
    (both,) = [p for p in await routes(stage, n.AF_INET6) if p.dst == place]
    assert (both.metric, n.RTA_MULTIPATH in both.attrs, n.RTA_GATEWAY in both.attrs) == (1024, True, False)
    await add(stage, place, gateway("fe80::3"), oif(nic), how=n.NLM_F_CREATE | n.NLM_F_REPLACE)
    (one,) = [p for p in await routes(stage, n.AF_INET6) if p.dst == place]
    assert one.gateway == "fe80::3"


@contract
async def test_deleting(stage: Stage) -> None:
    nic = await stand(stage)
    for place, via in ((DEFAULT, "192.0.2.1"), (DEFAULT6, "2001:db8::1")):
        await add(stage, place, gateway(via), oif(nic))
        assert await stage.client.refused(drop(stage, place, gateway(via[:-1] + "9"))) == (errno.ESRCH, "")
        await drop(stage, place)
        none = errno.ESRCH if place == DEFAULT else errno.ENOENT
        assert await stage.client.refused(drop(stage, place)) == (none, "")
    assert await stage.client.refused(drop(stage, "10.99.0.0/16")) == (errno.ESRCH, "")


@contract
async def test_ipv4_routes_that_are_refused(stage: Stage) -> None:
    nic, down, ask = await stand(stage), await stage.nic("nic1"), stage.client.refused
    invalid = (errno.ENETUNREACH, "Nexthop has invalid gateway")
    assert await ask(add(stage, "10.0.0.0/8", gateway("172.16.0.1"), oif(nic))) == invalid
    assert await ask(add(stage, "10.0.0.0/8", oif(4711), scope=LINK)) == (errno.ENODEV, "")
    dead = (errno.ENETDOWN, "Device for nexthop is not up")
    assert await ask(add(stage, "10.0.0.0/8", oif(down), scope=LINK)) == dead
    assert await ask(add(stage, "10.0.0.0/8", gateway("192.0.2.77"), oif(down))) == invalid
    dead = (errno.ENETDOWN, "Nexthop device is not up")
    assert await ask(add(stage, "10.0.0.0/8", gateway("192.0.2.77"), oif(down), flags=n.RTNH_F_ONLINK)) == dead
    bits = (errno.EINVAL, "Invalid prefix for given prefix length")
    assert await ask(add(stage, "10.0.0.1/8", oif(nic), scope=LINK)) == bits
    source = wire.attr(n.RTA_PREFSRC, parse_ip("192.0.2.77")[1])
    strange = (errno.EINVAL, "Invalid prefsrc address")
    assert await ask(add(stage, "10.0.0.0/8", oif(nic), source, scope=LINK)) == strange
    assert (await ask(add(stage, "10.0.0.0/8", oif(nic), how=0, scope=LINK)))[0] == errno.ENOENT
    await add(stage, "10.0.0.0/8", gateway("172.16.0.1"), oif(nic), flags=n.RTNH_F_ONLINK)
    (path,) = [p for p in await routes(stage, n.AF_INET) if p.dst == "10.0.0.0/8"]
    assert (path.flags, path.gateway) == (n.RTNH_F_ONLINK, "172.16.0.1")


@contract
async def test_ipv6_routes_that_are_refused(stage: Stage) -> None:
    nic, down, ask = await stand(stage), await stage.nic("nic1"), stage.client.refused
    assert (await ask(add(stage, "2001:db8:b::/48", gateway("2001:db8:77::1"), oif(nic))))[0] == errno.EHOSTUNREACH
    assert (await ask(add(stage, "2001:db8:b::/48", oif(4711))))[0] == errno.ENODEV
    dead = (errno.ENETDOWN, "Nexthop device is not up")
    assert await ask(add(stage, "2001:db8:b::/48", oif(down))) == dead
    assert await ask(add(stage, "2001:db8:b::/48", gateway("fe80::1"), oif(down))) == dead
    assert (await ask(add(stage, "2001:db8:b::/48", gateway("2001:db8::1"), oif(down))))[0] == errno.EHOSTUNREACH


@contract
async def test_tables_metrics_and_kinds(stage: Stage) -> None:
    nic = await stand(stage)
    body = rtmsg("10.6.0.0/16", table=0, scope=LINK)
    await stage.client.ask(n.RTM_NEWROUTE, NEW, body, wire.u32(n.RTA_TABLE, 1000), oif(nic))
    stage.client.sock.set_strict(True)
    head = struct.pack("=BBBBBBBBI", n.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
    rows = await stage.client.ask(n.RTM_GETROUTE, n.NLM_F_DUMP, head, wire.u32(n.RTA_TABLE, 1000))
    assert [(path_of(row).dst, path_of(row).table) for row in rows] == [("10.6.0.0/16", 1000)]
    await add(stage, "10.7.0.0/16", kind=n.RTN_BLACKHOLE)
    (hole,) = [p for p in await routes(stage, n.AF_INET) if p.dst == "10.7.0.0/16"]
    assert (hole.kind, n.RTA_OIF in hole.attrs) == (n.RTN_BLACKHOLE, False)


@contract
async def test_an_ipv4_multipath_route(stage: Stage) -> None:
    nic = await stand(stage)

    def hop(via: str, weight: int) -> bytes:
        return struct.pack("=HBBi", 16, 0, weight, nic) + gateway(via)

    hops = hop("192.0.2.1", 0) + hop("192.0.2.2", 4)
    await add(stage, "10.9.0.0/16", wire.attr(n.RTA_MULTIPATH, hops))
    (path,) = [p for p in await routes(stage, n.AF_INET, out=nic) if p.dst == "10.9.0.0/16"]
    assert path.attrs[n.RTA_MULTIPATH] == hops


@contract
async def test_an_ipv6_route_expires(stage: Stage) -> None:
    nic = await stand(stage)
    await add(stage, "2001:db8:c::/48", oif(nic), wire.u32(n.RTA_EXPIRES, 300))
    (path,) = [p for p in await routes(stage, n.AF_INET6) if p.dst == "2001:db8:c::/48"]
    (ticks,) = struct.unpack_from("=i", path.attrs[n.RTA_CACHEINFO], 8)
    assert 29_000 < ticks <= 30_000


@contract
async def test_down_costs_every_route_and_up_gives_back_the_addresses_own(stage: Stage) -> None:
    nic = await stand(stage)
    await add(stage, DEFAULT, gateway("192.0.2.1"), oif(nic))
    await add(stage, DEFAULT6, gateway("2001:db8::1"), oif(nic))
    stage.client.sock.join(n.RTNLGRP_IPV4_ROUTE)
    stage.client.sock.join(n.RTNLGRP_IPV6_ROUTE)
    await stage.client.set_link(nic, up=False)
    lost = [path_of(m) for m in stage.client.heard if m.type == n.RTM_DELROUTE]
    assert {path.dst for path in lost if ":" not in path.dst} == set()
    assert {path.dst for path in lost} >= {"2001:db8::/64", DEFAULT6, "2001:db8::5/128"}
    assert await places(stage, n.AF_INET, out=nic) == []
    assert await places(stage, n.AF_INET, n.RT_TABLE_LOCAL, nic) == ["192.0.2.5/32"]
    assert await places(stage, n.AF_INET6, out=nic) == []
    await stage.client.set_link(nic, up=True)
    # IPv6 gives its own addresses to a device that is ready, which the link watch may tell it a moment later.
    await stage.client.until(lambda m: m.type == n.RTM_NEWROUTE and path_of(m).dst == "fe80::/64")
    assert await places(stage, n.AF_INET, out=nic) == ["192.0.2.0/24"]
    assert await places(stage, n.AF_INET6, out=nic) == ["fe80::/64"]


@contract
async def test_without_carrier_routes_stay_and_are_marked(stage: Stage) -> None:
    nic = await stand(stage)
    await stage.world.set_medium(nic, False)
    await stage.client.until_link(lambda link: link.index == nic and not link.carrier)
    for family in (n.AF_INET, n.AF_INET6):
        marked = {path.dst: path.flags for path in await routes(stage, family, out=nic)}
        assert set(marked.values()) == {n.RTNH_F_LINKDOWN}


@contract
async def test_a_route_goes_with_the_address_it_prefers(stage: Stage) -> None:
    nic = await stand(stage)
    await stage.client.ask(n.RTM_NEWADDR, NEW, ifaddr(nic, "198.51.100.1/32"))
    source = wire.attr(n.RTA_PREFSRC, parse_ip("198.51.100.1")[1])
    await add(stage, "10.0.0.0/8", oif(nic), source, scope=LINK)
    await stage.client.ask(n.RTM_DELADDR, 0, ifaddr(nic, "198.51.100.1/32"))
    assert await places(stage, n.AF_INET, out=nic) == ["192.0.2.0/24"]


@contract
async def test_every_ipv4_route_of_a_device_goes_with_its_last_address(stage: Stage) -> None:
    """Silently, and although the device is up. IPv6 routes stay."""
    nic = await stand(stage)
    await stage.client.ask(n.RTM_NEWADDR, NEW, ifaddr(nic, "198.51.100.5/24"))
    await add(stage, DEFAULT, gateway("192.0.2.1"))
    await add(stage, "203.0.113.0/24", oif(nic), scope=LINK)
    await add(stage, "2001:db8:9::/48", gateway("2001:db8::1"))
    await stage.client.ask(n.RTM_DELADDR, 0, ifaddr(nic, "192.0.2.5/24"))
    assert await places(stage, n.AF_INET, out=nic) == [DEFAULT, "198.51.100.0/24", "203.0.113.0/24"]
    await stage.client.ask(n.RTM_DELADDR, 0, ifaddr(nic, "198.51.100.5/24"))
    assert await places(stage, n.AF_INET) == []
    assert "2001:db8:9::/48" in await places(stage, n.AF_INET6, out=nic)


@contract
async def test_a_gateway_whose_network_has_gone_keeps_its_route_and_gets_no_new_one(stage: Stage) -> None:
    """Unless the route itself says that the gateway is on the link."""
    nic = await stage.nic("nic0", up=True)
    other = await stage.nic("nic1", "02:00:00:00:00:0b", up=True)
    new = n.NLM_F_CREATE | n.NLM_F_EXCL
    for cidr in ("192.0.2.1/24", "198.51.100.1/24"):
        await stage.client.ask(n.RTM_NEWADDR, new, ifaddr(nic, cidr))
    await stage.client.ask(n.RTM_NEWADDR, new, ifaddr(other, "203.0.113.1/24"))
    await stage.client.ask(n.RTM_NEWROUTE, new, rtmsg("0.0.0.0/0"), gateway("192.0.2.254"), oif(nic))
    await stage.client.ask(n.RTM_DELADDR, 0, ifaddr(nic, "192.0.2.1/24"))
    found = [path_of(row) for row in await stage.client.ask(n.RTM_GETROUTE, n.NLM_F_DUMP, bytes([2]) + bytes(11))]
    assert [(path.oif, path.gateway) for path in found if path.dst == "0.0.0.0/0"] == [(nic, "192.0.2.254")]
    again = stage.client.ask(n.RTM_NEWROUTE, new, rtmsg("0.0.0.0/1"), gateway("192.0.2.254"), oif(other))
    assert (await stage.client.refused(again))[0] == errno.ENETUNREACH
    marked = rtmsg("0.0.0.0/1", flags=n.RTNH_F_ONLINK)
    await stage.client.ask(n.RTM_NEWROUTE, new, marked, gateway("192.0.2.254"), oif(other))
    six = stage.client.ask(n.RTM_NEWROUTE, new, rtmsg("2001:db8::/32"), gateway("fd00::1"), oif(other))
    assert (await stage.client.refused(six))[0] == errno.EHOSTUNREACH
    marked = rtmsg("2001:db8::/32", flags=n.RTNH_F_ONLINK)
    await stage.client.ask(n.RTM_NEWROUTE, new, marked, gateway("fd00::1"), oif(other))
