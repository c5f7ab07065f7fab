"""A master that moves into another network namespace of a real guest, lives there, and comes home."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from pairguest import MAC, VF, PairGuest, pair_guest, run

from failoverd_lab import install

pytestmark = [pytest.mark.vm, pytest.mark.more]

DOORKEEPER = """
file=/usr/local/bin/failoverd-netns
printf '#!/usr/bin/python3\\nimport sys\\nsys.path.insert(0, "%s")\\n' "$1" >$file
printf 'from failoverd.cli.netns import main\\nsys.exit(main())\\n' >>$file
chmod 755 $file
systemd-run --quiet --unit=failoverd-netns --service-type=exec \\
    --socket-property=ListenSequentialPacket=/run/failoverd-netns/socket $file --idle 3600
"""
"""As a transient unit, with the sources where lab/failoverd_lab/install.py has put them."""

CONFIGURED = """
n=$1
ip address add fd00:111::2/64 dev $n nodad
ip address add 10.111.0.3/24 dev $n
ip link property add dev $n altname wan
sysctl -q net.ipv6.conf.$n.accept_ra=0 net.ipv4.conf.$n.rp_filter=2
ip link set $n txqueuelen 500 group 7 alias 'the uplink'
for i in $(seq 1 100); do ip route add 10.200.$i.0/24 via 10.111.0.1 dev $n; done
for i in $(seq 1 50); do ip route add 10.201.$i.0/24 via 10.111.0.1 dev $n table 100; done
for i in $(seq 1 50); do ip route add 10.202.$i.0/24 via 10.111.0.1 dev $n table 200; done
ip -6 route add fd00:222::/64 via fd00:111::1 dev $n
ip rule add from 10.111.0.3 lookup 100 priority 90
ip rule add iif $n lookup 200 priority 91
ip -6 rule add oif $n unreachable priority 92
tc qdisc add dev $n root handle 7: fq limit 5000
"""
STACKED = """
ip link add link $1 name v5 type vlan id 5
ip link add link v5 name mv0 type macvlan mode bridge
ip link set v5 up; ip link set mv0 up
ip address add 10.5.0.2/24 dev v5; ip address add 10.6.0.2/24 dev mv0
ip link add link $1 name v6 type vlan id 6
ip link add br1 type bridge ageing_time 1000 mcast_snooping 0
ip link add dummy1 type dummy
ip link set v6 master br1; ip link set dummy1 master br1
ip link set v6 up; ip link set br1 up; ip address add 10.8.0.2/24 dev br1
ip link add link $1 name v7 type vlan id 7
ip link add vrf1 type vrf table 10
ip link set vrf1 up; ip link set v7 master vrf1; ip link set v7 up; ip address add 10.9.0.2/24 dev v7
ip route add 10.203.0.0/16 via 10.9.0.1 dev v7 table 10
ip netns add red; ip -n red link set lo up
"""
ALL = """
printf '{"link": '; ip $1 -j -d link
printf ', "addr": '; ip $1 -j address
printf ', "route": '; ip $1 -j route show table all
printf ', "route6": '; ip $1 -6 -j route show table all
printf ', "neigh": '; ip $1 -j neigh show nud permanent
printf ', "rule": '; ip $1 -j rule
printf ', "rule6": '; ip $1 -j -6 rule
printf ', "qdisc": '; tc $1 -j qdisc show dev "$3"
printf ', "sysctl": "'; ${2:-sh} -c "sysctl -a 2>/dev/null | grep -E 'net.ipv[46].conf' | sort" | tr '\\n' '|'
printf '"}'
"""
NUMBERS = {"ifindex", "link_index", "link_netnsid", "nodad", "stats64"}
NUMBERS |= {"hello_timer", "tcn_timer", "topology_change_timer", "gc_timer"}
"""What differs although all is as it was. An address that has moved is not checked for duplicates again."""
RULES_THERE = "ip -n red -j rule; ip -n red -6 -j rule"


async def everything(pair: PairGuest) -> Mapping[str, Any]:
    """What iproute2 shows of the guest's first namespace."""

    def without_numbers(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without_numbers(one) for key, one in value.items() if key not in NUMBERS}
        if isinstance(value, list):
            return sorted(map(without_numbers, value), key=lambda one: json.dumps(one, sort_keys=True))
        return value

    found: Mapping[str, Any] = without_numbers(json.loads(await pair.shell(ALL, "", "", pair.name)))
    return found


async def active_there(pair: PairGuest) -> str:
    (bond,) = json.loads(await pair.shell('ip -n red -j -d link show "$1"', pair.name))
    active: str = bond["linkinfo"]["info_data"].get("active_slave", "")
    return active


@asynccontextmanager
async def moving(suite: str) -> AsyncIterator[PairGuest]:
    """A joined pair with much on it, and a namespace."""
    async with pair_guest(suite=suite, config={"master": {"datapath": "bond"}}) as pair:
        await pair.shell(CONFIGURED, pair.name)
        await pair.shell(DOORKEEPER, install.PLACE)
        await install.start(pair.guest)
        await pair.accelerated()
        await pair.shell(STACKED, pair.name)
        await trio.sleep(3)
        try:
            yield pair
        except BaseException:
            print(await pair.shell("ip -d link; ip -n red -d link || true"))
            print(await pair.shell("journalctl --no-pager -u failoverd -u failoverd-netns | tail -n 120"))
            raise


async def moved(pair: PairGuest, *where: str) -> None:
    await pair.shell('failoverctl move "$@" 2>&1', pair.name, *where)


async def carries_there(pair: PairGuest, slave: str) -> None:
    with trio.fail_after(60):
        while await active_there(pair) != slave:
            await trio.sleep(0.2)


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_it_moves_lives_there_and_is_at_home_as_it_was(suite: str) -> None:
    async def test() -> None:
        async with moving(suite) as pair:
            (vf,) = await pair.guest.netdevs("vf")
            before = await everything(pair)
            assert "Nothing keeps it" in await pair.shell('failoverctl move "$1" red --dry-run', pair.name)

            # There and back, ten times.
            rules = await pair.shell(RULES_THERE)
            for _ in range(10):
                await moved(pair, "red")
                assert await active_there(pair) == vf
                there = await pair.shell(RULES_THERE)
                assert all(f'"priority":{number}' in there for number in (90, 91, 92)), there
                assert (await pair.master())["state"] == "away"
                await moved(pair, "--home")
                await pair.accelerated()
                assert await everything(pair) == before
                assert await pair.shell(RULES_THERE) == rules

            # A VF that is unplugged and plugged in anew, with a daemon that is killed meanwhile.
            await moved(pair, "red")
            await pair.guest.unplug("vf")
            await carries_there(pair, f"{pair.name}nsby")
            await install.kill(pair.guest)
            await install.start(pair.guest)
            await pair.guest.plug(VF)
            await carries_there(pair, vf)
            await moved(pair, "--home")
            await pair.accelerated()
            assert await everything(pair) == before

            # The namespace ends.
            await moved(pair, "red")
            await pair.shell("ip netns delete red")
            await pair.accelerated()
            assert await everything(pair) == before

    run(test)


def test_what_cannot_move_is_refused_before_anything_is_touched() -> None:
    async def test() -> None:
        async with moving("bookworm") as pair:
            before = await everything(pair)
            refused = 'failoverctl move "$@" 2>&1 && exit 1; true'
            waits = 'failoverctl move "$1" blue 2>&1; test $? = 7'
            assert "there is no network namespace blue" in await pair.shell(waits, pair.name)
            assert (await pair.master())["wanted_namespace"] == "blue"
            await moved(pair, "--home")
            assert (await pair.master())["wanted_namespace"] == ""
            await pair.shell("ip -n red link add wan type dummy")
            said = await pair.shell(refused, pair.name, "red")
            assert "the name wan is taken there by a dummy" in said
            await pair.shell("ip -n red link delete wan")
            assert await everything(pair) == before
            await pair.shell("ip link add ve0 type veth peer name ve1; ip link set ve0 master br1")
            assert "ve0 is in the bridge br1, too, and is a veth" in await pair.shell(refused, pair.name, "red")
            assert (await pair.master())["state"] == "accelerated"
            assert MAC in await pair.shell('cat /sys/class/net/"$1"/address', pair.name)

    run(test)
