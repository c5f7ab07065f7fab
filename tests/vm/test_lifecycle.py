"""What a daemon's life does to a real guest: killed, restarted, told to undo, and many VFs come and gone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pairguest import STANDBY, VF, PairGuest, pair_guest, run

from failoverd_lab import install

pytestmark = pytest.mark.vm

CONFIGURATION = """
ip -o link | sed 's/mtu.*//'
ip -o address | sed 's/valid_lft.*//'
ip route show table all | grep -v 'table local' | sed 's/expires [0-9]*sec//'
"""
PROPERTIES = "MainPID,MemoryCurrent,TasksCurrent"
MEASURE = """
pid=$(systemctl show --property=MainPID --value failoverd.service)
awk '/VmRSS/ { print $2 }' /proc/$pid/status
ls /proc/$pid/fd | wc -l
ls /proc/$pid/task | wc -l
ls /sys/class/net | wc -l
"""
CYCLES = 20


async def numbers(pair: PairGuest) -> list[int]:
    """The daemon's resident memory in kB, its file descriptors and threads, and the guest's devices."""
    return [int(word) for word in (await pair.shell(MEASURE)).split()]


def test_a_killed_daemon_is_missed_by_nobody_and_its_successor_changes_nothing() -> None:
    async def test() -> None:
        async with pair_guest() as pair:
            await install.start(pair.guest)
            before = await pair.accelerated()
            await pair.until(lambda master: master["standby"] is not None)
            await install.kill(pair.guest)
            await pair.guest.unplug("vf")
            await pair.shell('systemd-run --quiet --unit=monitor sh -c "exec ip monitor link >/run/monitor"; sleep 2')
            assert await pair.shell("cat /run/monitor") == ""
            configuration = await pair.shell(CONFIGURATION)
            await install.start(pair.guest)
            after = await pair.on_standby()
            assert after["ifindex"] == before["ifindex"]
            assert after["standby"]["ifindex"] == before["standby"]["ifindex"]
            assert await pair.shell(CONFIGURATION) == configuration
            assert await pair.shell("cat /run/monitor") == "", "the restart made the kernel tell of a device"

    run(test)


def test_release_gives_everything_back() -> None:
    extras = """
    ip link set "$1" mtu 1400
    ip address add 192.0.2.9/32 dev "$1" valid_lft 4000 preferred_lft 3000
    ip address add fd00:111::2/64 dev "$1" nodad
    ip route add 203.0.113.0/24 via 10.111.0.7 table 77 metric 9
    ip rule add iif "$1" lookup 77
    ip route add 198.51.100.0/24 mtu 1200 nexthop via 10.111.0.8 weight 2 nexthop via 10.111.0.9
    ip -6 route add fd01::/64 via fd00:111::9 metric 70
    ip link property add dev "$1" altname oldname
    """
    look = """
    ip -o address show dev "$1" | sed 's/^[0-9]*: //; s/ nodad//; s/_lft [0-9]*sec/_lft limited/g'
    ip route show table all | grep "dev $1" | grep -v "table local" | grep -v ^fe80; ip rule
    ip route show 198.51.100.0/24
    ip -o link show dev "$1" | grep -o 'mtu [0-9]*'
    ip link show dev "$1" | grep altname | grep -v failoverd-
    """

    async def test() -> None:
        async with pair_guest() as pair:
            await pair.shell(extras, pair.name)
            before = await pair.shell(look, pair.name)
            assert "192.0.2.9" in before
            assert "203.0.113.0/24" in before
            await install.start(pair.guest)
            await pair.accelerated()
            await pair.until(lambda master: master["standby"] is not None)
            assert sorted((await pair.shell(look, pair.name)).splitlines()) == sorted(before.splitlines())
            index = await pair.shell("cat /sys/class/net/$1/ifindex", pair.name)
            await install.ask(pair.guest, "release", pair.name)
            await pair.until(lambda master: master["state"] == "released")
            assert await pair.shell("cat /sys/class/net/$1/ifindex", pair.name) != index
            assert sorted((await pair.shell(look, pair.name)).splitlines()) == sorted(before.splitlines())
            assert "bond" not in await pair.shell("ip -d link")

    run(test)


@pytest.mark.more
def test_twenty_vfs_come_and_go_and_leave_nothing_behind() -> None:
    async def cycle(pair: PairGuest) -> None:
        await pair.guest.unplug("vf")
        await pair.on_standby()
        await pair.guest.plug(VF)
        await pair.until(lambda master: master["primary"] is not None)

    async def test() -> None:
        # So many in so short a time are flaps, and the VF would be left to the standby.
        async with pair_guest(config={"damping": {"enabled": False}}) as pair:
            await install.start(pair.guest)
            await pair.accelerated()
            for _ in range(3):
                await cycle(pair)
            before = await numbers(pair)
            for _ in range(CYCLES):
                await cycle(pair)
            await pair.accelerated()
            after = await numbers(pair)
            print(f"memory kB, files, threads, devices: {before} before, {after} after {CYCLES} cycles")
            assert all(now <= then for now, then in zip(after[1:], before[1:], strict=True))
            assert after[0] <= before[0] * 1.02

    run(test)


@pytest.mark.more
def test_dry_run_changes_nothing_and_says_what_start_does() -> None:
    async def test() -> None:
        async with pair_guest() as pair:
            before = await pair.shell(CONFIGURATION)
            told = await pair.shell("failoverd --dry-run")
            assert f"move {pair.name} to its master" in told
            assert await pair.shell(CONFIGURATION) == before
            assert await pair.shell("ls -d /run/failoverd /var/lib/failoverd 2>/dev/null || true") == ""

    run(test)


@pytest.mark.more
def test_a_master_is_there_at_every_start_once_a_pair_was_seen() -> None:
    async def test() -> None:
        async with pair_guest(nics=(STANDBY,)) as pair:
            await install.start(pair.guest)
            document: dict[str, Any] | None = await install.ask(pair.guest, "status")
            assert document is not None
            assert document["masters"] == []
            await pair.guest.plug(VF)
            await pair.accelerated()
            await install.stop(pair.guest)
            # A reboot forgets the devices and /run, and keeps /var/lib: the same as far as the daemon can see.
            await pair.guest.unplug("vf")
            await pair.shell('ip link del "$1"; rm -rf /run/failoverd; ip link set "$1"nsby name "$1" up', pair.name)
            await pair.shell('ip address add 10.111.0.2/24 dev "$1"', pair.name)
            await install.start(pair.guest)
            master = await pair.on_standby()
            assert master["name"] == pair.name
            links = json.loads(await pair.shell("ip -j address show dev $1", pair.name))
            assert [a["local"] for a in links[0]["addr_info"] if a["family"] == "inet"] == ["10.111.0.2"]

    run(test)
