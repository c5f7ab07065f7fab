"""Addresses of both families, and what becomes of them when their device goes down or is renamed."""

from __future__ import annotations

import errno
import struct

from client import Addr, addr_of, ifaddr
from worlds import Stage, contract, needs

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire

NEW = n.NLM_F_CREATE | n.NLM_F_EXCL
REPLACE = n.NLM_F_CREATE | n.NLM_F_REPLACE
TENTATIVE, NODAD = n.IFA_F_TENTATIVE, n.IFA_F_NODAD


async def add(stage: Stage, nic: int, cidr: str, *attrs: bytes, flags: int = 0, how: int = NEW) -> None:
    await stage.client.ask(n.RTM_NEWADDR, how, ifaddr(nic, cidr, flags), *attrs)


async def added(stage: Stage, nic: int, cidr: str, *attrs: bytes, flags: int = NODAD, how: int = NEW) -> Addr:
    """Add an address that is usable at once and hear it told; for IPv6 that is after the acknowledgement."""
    await add(stage, nic, cidr, *attrs, flags=flags, how=how)
    return await stage.client.until_addr(cidr)


async def drop(stage: Stage, nic: int, cidr: str) -> None:
    await stage.client.ask(n.RTM_DELADDR, 0, ifaddr(nic, cidr))


async def addresses(stage: Stage, nic: int, scope: int = n.RT_SCOPE_UNIVERSE) -> list[Addr]:
    rows = await stage.client.ask(n.RTM_GETADDR, n.NLM_F_DUMP, struct.pack("=BBBBI", 0, 0, 0, 0, 0))
    return [a for a in map(addr_of, rows) if (a.index, a.scope) == (nic, scope)]


async def cidrs(stage: Stage, nic: int) -> list[str]:
    return [address.cidr for address in await addresses(stage, nic)]


def lifetimes(preferred: int, valid: int) -> bytes:
    return wire.attr(n.IFA_CACHEINFO, struct.pack("=IIII", preferred, valid, 0, 0))


def told(stage: Stage, kind: int = n.RTM_NEWADDR) -> list[Addr]:
    heard, stage.client.heard = stage.client.heard, []
    return [addr_of(message) for message in heard if message.type == kind]


@contract
async def test_an_ipv4_address_as_it_is_told(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await add(stage, nic, "192.0.2.1/24")
    (address,) = told(stage)
    assert (address.cidr, address.flags, address.scope, address.label) == ("192.0.2.1/24", n.IFA_F_PERMANENT, 0, "nic0")
    assert struct.unpack("=II", address.attrs[n.IFA_CACHEINFO][:8]) == (n.INFINITY, n.INFINITY)
    assert n.IFA_BROADCAST not in address.attrs


@contract
async def test_who_asked_can_be_seen_of_ipv4_only(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await add(stage, nic, "192.0.2.1/24")
    assert stage.client.heard[-1].seq != 0
    assert stage.client.heard[-1].pid != 0
    await add(stage, nic, "2001:db8::1/64")
    assert (stage.client.heard[-1].seq, stage.client.heard[-1].pid) == (0, 0)


@contract
async def test_an_ipv6_address_that_needs_no_detection_is_told_as_usable(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    told(stage)
    address = await added(stage, nic, "2001:db8::1/64")
    assert (address.flags, address.scope) == (NODAD | n.IFA_F_PERMANENT, 0)


@contract
async def test_addresses_that_are_refused(stage: Stage) -> None:
    nic, ask = await stage.nic("nic0"), stage.client.refused
    await add(stage, nic, "192.0.2.1/24")
    await added(stage, nic, "2001:db8::1/64")
    for cidr in ("192.0.2.1/24", "2001:db8::1/64"):
        for how in (NEW, n.NLM_F_CREATE):
            assert (await ask(add(stage, nic, cidr, how=how)))[0] == errno.EEXIST
    assert (await ask(add(stage, nic, "192.0.2.2/33")))[0] == errno.EINVAL
    assert (await ask(add(stage, nic, "2001:db8::2/129")))[0] == errno.EINVAL
    assert (await ask(add(stage, 4711, "192.0.2.2/24")))[0] == errno.ENODEV
    assert (await ask(add(stage, 4711, "2001:db8::2/64")))[0] == errno.ENODEV
    assert (await ask(add(stage, nic, "192.0.2.2/24", lifetimes(20, 10))))[0] == errno.EINVAL
    assert (await ask(add(stage, nic, "192.0.2.2/24", lifetimes(0, 0))))[0] == errno.EINVAL
    assert (await ask(add(stage, nic, "ff02::5/64")))[0] == errno.EADDRNOTAVAIL
    assert (await ask(drop(stage, nic, "192.0.2.99/24")))[0] == errno.EADDRNOTAVAIL
    assert (await ask(drop(stage, nic, "192.0.2.1/25")))[0] == errno.EADDRNOTAVAIL
    assert (await ask(drop(stage, nic, "2001:db8::99/64")))[0] == errno.EADDRNOTAVAIL
    assert (await ask(drop(stage, 4711, "192.0.2.1/24")))[0] == errno.ENODEV
    assert await cidrs(stage, nic) == ["192.0.2.1/24", "2001:db8::1/64"]


@contract
async def test_the_second_of_a_subnet_is_secondary_and_comes_last(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    for cidr in ("192.0.2.1/24", "192.0.2.2/24", "198.51.100.1/24"):
        await add(stage, nic, cidr)
    found = [(a.cidr, bool(a.flags & n.IFA_F_SECONDARY)) for a in await addresses(stage, nic)]
    assert found == [("192.0.2.1/24", False), ("198.51.100.1/24", False), ("192.0.2.2/24", True)]


@contract
async def test_a_rename_rewrites_ipv4_labels_and_tells(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    await add(stage, nic, "192.0.2.1/24")
    await add(stage, nic, "198.51.100.1/24")
    await add(stage, nic, "203.0.113.1/24", wire.string(n.IFA_LABEL, "nic0:x"))
    told(stage)
    await stage.client.set_link(nic, wire.string(n.IFLA_IFNAME, "other"))
    assert [address.label for address in told(stage)] == ["other", "other:2", "other:x"]


@contract
async def test_an_address_taken_away_and_given_again(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    for cidr in ("192.0.2.1/24", "2001:db8::1/64"):
        await added(stage, nic, cidr)
        await drop(stage, nic, cidr)
        assert [address.cidr for address in told(stage, n.RTM_DELADDR)] == [cidr]
        await added(stage, nic, cidr)
    assert await cidrs(stage, nic) == ["192.0.2.1/24", "2001:db8::1/64"]


@contract
async def test_lifetimes_and_replacing(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    for cidr in ("192.0.2.1/24", "2001:db8::1/64"):
        address = await added(stage, nic, cidr, lifetimes(500, 1000))
        preferred, valid = struct.unpack("=II", address.attrs[n.IFA_CACHEINFO][:8])
        assert (not address.flags & n.IFA_F_PERMANENT, 498 <= preferred <= 500, 998 <= valid <= 1000) == (True,) * 3
        assert (await added(stage, nic, cidr, how=REPLACE)).flags & n.IFA_F_PERMANENT


@contract
async def test_an_address_ends_with_its_lifetime(stage: Stage) -> None:
    """The kernel looks about once a second, a little late or early: one that is over at the next look was never
    deprecated (net/ipv4/devinet.c, check_lifetime)."""
    nic = await stage.nic("nic0", up=True)
    await add(stage, nic, "192.0.2.1/24", lifetimes(1, 4))
    await stage.client.until(lambda m: m.type == n.RTM_NEWADDR and bool(addr_of(m).flags & n.IFA_F_DEPRECATED))
    await stage.client.until_addr("192.0.2.1/24", n.RTM_DELADDR)
    assert await cidrs(stage, nic) == []


@contract
async def test_down_keeps_ipv4_and_loses_ipv6(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    for cidr in ("192.0.2.1/24", "2001:db8::1/64", "2001:db8::2/64"):
        await added(stage, nic, cidr)
    assert await cidrs(stage, nic) == ["192.0.2.1/24", "2001:db8::2/64", "2001:db8::1/64"]
    told(stage)
    await stage.client.set_link(nic, up=False)
    lost = [address.cidr for address in told(stage, n.RTM_DELADDR) if address.scope == n.RT_SCOPE_UNIVERSE]
    assert lost == ["2001:db8::2/64", "2001:db8::1/64"]
    assert await cidrs(stage, nic) == ["192.0.2.1/24"]
    await stage.client.set_link(nic, up=True)
    assert await cidrs(stage, nic) == ["192.0.2.1/24"]


@contract
async def test_ipv6_on_a_device_that_is_down(stage: Stage) -> None:
    nic = await stage.nic("nic0")
    assert not (await added(stage, nic, "2001:db8::1/64")).flags & TENTATIVE
    assert (await added(stage, nic, "2001:db8::2/64", flags=0)).flags & TENTATIVE
    await stage.client.set_link(nic, up=True)
    assert not (await stage.client.until_addr("2001:db8::2/64")).flags & TENTATIVE
    assert await cidrs(stage, nic) == ["2001:db8::2/64", "2001:db8::1/64"]


@contract
async def test_without_carrier_ipv6_waits_for_it(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True, carrier=False)
    await add(stage, nic, "2001:db8::1/64")
    assert [address.flags & TENTATIVE for address in told(stage)] == [TENTATIVE]
    assert await addresses(stage, nic, n.RT_SCOPE_LINK) == []
    await stage.world.set_medium(nic, True)
    assert not (await stage.client.until_addr("2001:db8::1/64")).flags & TENTATIVE


@contract
async def test_the_link_local_address_is_told_when_it_is_usable(stage: Stage) -> None:
    nic = await stage.nic("nic0", "02:00:00:00:00:0a", up=True)
    own = addr_of(await stage.client.until(lambda m: m.type == n.RTM_NEWADDR and addr_of(m).index == nic))
    assert (own.cidr, own.scope, own.flags & TENTATIVE) == ("fe80::ff:fe00:a/64", n.RT_SCOPE_LINK, 0)


@contract
async def test_unplugging_takes_every_address(stage: Stage) -> None:
    nic = await stage.nic("nic0", up=True)
    for cidr in ("192.0.2.1/24", "2001:db8::1/64"):
        await added(stage, nic, cidr)
    await stage.world.unplug(nic)
    for cidr in ("2001:db8::1/64", "192.0.2.1/24"):
        await stage.client.until_addr(cidr, n.RTM_DELADDR)
    await stage.client.until(lambda m: m.type == n.RTM_DELLINK)


@needs("bond")
@contract
async def test_a_slave_has_no_link_local_address_and_its_bond_has(stage: Stage) -> None:
    nic, bond = await stage.nic("nic0"), await stage.bond("bond7", up=True)
    await stage.enslave(bond, nic)
    own = await stage.client.until(lambda m: m.type == n.RTM_NEWADDR and addr_of(m).index in (nic, bond))
    assert addr_of(own).index == bond
    assert await addresses(stage, nic, n.RT_SCOPE_LINK) == []


@needs("bond")
@contract
async def test_a_bond_keeps_its_addresses_while_slaves_come_and_go(stage: Stage) -> None:
    first, second = await stage.nic("nic0"), await stage.nic("nic1")
    bond = await stage.bond("bond7", up=True)
    await stage.enslave(bond, first)
    for cidr in ("192.0.2.1/24", "2001:db8::1/64"):
        await added(stage, bond, cidr)
    await stage.enslave(bond, second)
    await stage.world.unplug(first)
    await stage.client.until_link(lambda link: link.index == bond and link.active == second)
    assert await cidrs(stage, bond) == ["192.0.2.1/24", "2001:db8::1/64"]
