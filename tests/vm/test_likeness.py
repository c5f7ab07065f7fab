"""A master is what its NIC was: sysctls, neighbours, labels, queue, alias and group, from the package's own sandbox.

On Debian 12 (systemd 252, kernel 6.1) in `make test`, on 13 (systemd 257, 6.12) in `make test-guest-more`.
"""

from __future__ import annotations

import re

import pytest
import trio
from debguest import SUITES, DebGuest, deb_guest
from pairguest import STANDBY, VF, run

pytestmark = [pytest.mark.vm, pytest.mark.more]

SETTINGS = """
sysctl -q -w net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.default.accept_ra=0 net.ipv4.conf.default.rp_filter=2
sysctl -q -w net.ipv6.conf.all.forwarding=1
sysctl -q -w net.ipv6.conf."$1".accept_ra=2 net.ipv6.conf."$1".use_tempaddr=2 net.ipv6.conf."$1".mtu=1400
sysctl -q -w net.ipv4.conf."$1".arp_ignore=1 net.ipv4.conf."$1".proxy_arp=1 net.ipv4.conf."$1".rp_filter=0
sysctl -q -w net.ipv6.conf."$1".router_solicitation_interval=7
ip address add fd00:111::2/64 dev "$1" nodad
ip -6 route add 2001:db8::/32 via fd00:111::1 dev "$1"
ip neighbour add proxy 10.111.0.10 dev "$1"
ip -6 neighbour add proxy fd00:111::10 dev "$1"
ip addrlabel add prefix 2001:db8::/32 dev "$1" label 99
ip link set "$1" txqueuelen 77 alias uplink group 5
ip token set ::5 dev "$1"
"""
LOOK = """
grep -r . /proc/sys/net/ipv4/conf/"$1" /proc/sys/net/ipv6/conf/"$1" 2>/dev/null | sort
ip -6 -br address show dev "$1" scope global
ip -6 route show dev "$1" proto boot; ip route show dev "$1" proto boot
ip neighbour show dev "$1" nud permanent; ip neighbour show proxy dev "$1"; ip -6 neighbour show proxy dev "$1"
ip addrlabel list | grep -c "dev $1 label 99"
cat /sys/class/net/"$1"/tx_queue_len /sys/class/net/"$1"/ifalias /sys/class/net/"$1"/netdev_group
ip token get dev "$1"
"""
READ_ONLY = """
mkdir -p /run/systemd/system/failoverd.service.d
printf '[Service]\\nReadWritePaths=\\n' >/run/systemd/system/failoverd.service.d/read-only.conf
systemctl daemon-reload
systemctl restart failoverd
"""


async def look(pair: DebGuest) -> set[str]:
    """The lines that tell how the device with the NIC's name is."""
    return {line.strip() for line in (await pair.shell(LOOK, pair.name)).splitlines()}


async def settled(pair: DebGuest, before: set[str]) -> set[str]:
    """What differs, once nothing does any more, or after a while."""
    difference = set[str]()
    with trio.move_on_after(20):
        while difference := before ^ await look(pair):
            await trio.sleep(0.5)
    return difference


@pytest.mark.parametrize("suite", SUITES)
def test_a_master_is_what_its_nic_was(suite: str) -> None:
    async def test() -> None:
        async with deb_guest(suite, nics=(STANDBY,)) as pair:
            await pair.shell(SETTINGS, pair.name)
            before = await look(pair)
            assert any("fd00:111::2/64" in line for line in before)
            assert sum(line.endswith(" proxy") for line in before) == 2
            await pair.install()
            await pair.guest.plug(VF)
            master = await pair.accelerated()
            assert (master["datapath"], master["name"]) == ("bond", pair.name)
            assert await settled(pair, before) == set()
            await pair.guest.unplug("vf")
            await pair.on_standby()
            assert await settled(pair, before) == set()
            await pair.shell('sysctl -q -w net.ipv4.conf."$1".arp_ignore=2', pair.name)
            changed = {re.sub("(arp_ignore):1", r"\1:2", line) for line in before}
            await pair.shell('failoverctl release "$1"', pair.name)
            assert await settled(pair, changed) == set()
            said = await pair.shell("journalctl --unit=failoverd --output=cat --no-pager")
            assert not re.search("WARNING|ERROR", said), said
            await where_sysctls_cannot_be_written_there_is_tc(pair, changed)

    run(test)


async def where_sysctls_cannot_be_written_there_is_tc(pair: DebGuest, before: set[str]) -> None:
    await pair.shell(READ_ONLY)
    await pair.guest.plug(VF)
    await pair.shell('failoverctl adopt "$1"', pair.name)
    assert (await pair.accelerated())["datapath"] == "tc"
    assert await settled(pair, before) == set()
    said = await pair.shell("failoverctl explain")
    assert re.search("joined by tc and not by a bond: a bond cannot be made like .* EROFS", said), said
