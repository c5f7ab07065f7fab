"""The Debian package in its life: installed, upgraded and purged under traffic, and at a real boot."""

from __future__ import annotations

import json
import re

import pytest
import trio
from debguest import PLACES, SUITES, THE_OTHER_SUITE, DebGuest, deb_guest, exposure, places
from pairguest import VF, run
from probes import probes

from failoverd_lab import install

pytestmark = pytest.mark.vm

DEVICES = "ip -o link | sed 's/mtu.*//'"
WORST = 1.5
"""What systemd-analyze may say of the service; systemd-networkd has 2.6."""

WITNESS = """[Service]
ExecStartPost=/bin/sh -c 'ip -o link show type bond >/run/failoverd/witness'
"""
"""network-pre.target waits for this: what it sees was there before anybody could configure the network."""
NETWORK = """[Match]
Name=en*

[Network]
Address=10.111.0.2/24
Gateway=10.111.0.1
"""
STATUS = """
grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/$(systemctl show --value --property=MainPID failoverd)/status
id --user failoverd
"""
CLIENT_OF_LIBVIRTS = """
import socket, struct, sys
def call(procedure, payload=b""):
    sock.sendall(struct.pack(">IIIiiIi", 28 + len(payload), 0x20008086, 1, procedure, 0, 1, 0) + payload)
    length, *_, status = struct.unpack(">IIIiiIi", sock.recv(28, socket.MSG_WAITALL))
    answer = sock.recv(length - 28, socket.MSG_WAITALL)
    assert status == 0, answer
    return answer
sock = socket.socket(socket.AF_UNIX)
sock.settimeout(20)
sock.connect(sys.argv[1])
call(66)
call(1, struct.pack(">II20sI", 1, 19, b"interface:///system", 0))
answer, at = call(127, struct.pack(">i", 16384)), 4
for _ in range(int.from_bytes(answer[:4], "big")):
    length = int.from_bytes(answer[at : at + 4], "big")
    print(answer[at + 4 : at + 4 + length].decode())
    at += 4 + length + -length % 4
"""
"""Lists the active interfaces. The guest has no client of libvirt's; tests/packaging/test_packaging_virsh.py has."""
LIBVIRT_STATUS = """
pid=$(systemctl show --value --property=MainPID failoverd-libvirt)
grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/$pid/status
systemctl show --value --property=DynamicUser failoverd-libvirt
"""
READABLE = """
runuser --user=nobody -- grep -c . /run/failoverd/metrics.prom
runuser --user=nobody -- cat /var/lib/failoverd/history
"""


async def version(pair: DebGuest) -> str:
    """Of the daemon that runs, by the file it would be started from."""
    return (await pair.shell("failoverd --version")).strip()


@pytest.mark.more
@pytest.mark.parametrize("suite", SUITES)
def test_installed_upgraded_and_purged_and_no_probe_is_lost(suite: str) -> None:
    async def test() -> None:
        async with deb_guest(suite) as pair:
            before = places(await pair.shell(PLACES))
            await pair.guest.put("/etc/failoverd/failoverd.toml", b"[dbus]\nenabled = true\n")
            said = await pair.install()
            assert "Setting up failoverd" in said
            await pair.accelerated()
            await pair.until(lambda master: master["standby"] is not None)
            await runs_in_its_sandbox(pair)
            assert await exposure(pair) <= WORST
            await pair.shell("until busctl status org.failoverd1 >/dev/null 2>&1; do sleep 0.2; done")
            assert "accelerated" in await pair.shell("runuser --user=nobody -- failoverctl")
            await clients_of_libvirts_are_answered(pair)
            await a_new_configuration_is_taken(pair)
            await an_upgrade_is_not_noticed(pair)
            await a_drain_makes_an_unplug_unheard(pair)
            await a_purge_leaves_the_pair_and_nothing_else(pair, before)

    run(test)


@pytest.mark.more
@pytest.mark.parametrize("suite", SUITES)
def test_an_upgrade_by_tc(suite: str) -> None:
    """What leads the traffic to the VF is failoverd's: it goes over the paravirtual NIC meanwhile."""

    async def test() -> None:
        async with deb_guest(suite) as pair:
            await pair.guest.put("/etc/failoverd/failoverd.toml", b'[master]\ndatapath = "tc"\n')
            await pair.install()
            assert (await pair.accelerated())["datapath"] == "tc"
            await an_upgrade_is_not_noticed(pair)

    run(test)


async def runs_in_its_sandbox(pair: DebGuest) -> None:
    """As its own user, with three capabilities and no way to more; what it keeps for others they can read; it is
    enabled, and has nothing to complain of."""
    *lines, uid = (await pair.shell(STATUS)).splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    assert status["Uid"].split() == [uid] * 4
    assert uid != "0"
    assert int(status["CapEff"], 16) == 1 << 11 | 1 << 12 | 1 << 13
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert await pair.show("failoverd.service", "UnitFileState") == "enabled"
    boot = (await pair.shell("tr --delete - </proc/sys/kernel/random/boot_id")).strip()
    assert boot in await pair.shell(READABLE)
    assert await pair.shell("journalctl --unit=failoverd --priority=warning --quiet --output=cat") == ""
    said = await pair.shell("journalctl --unit=failoverd --no-pager --output=cat")
    assert not re.search("WARNING|ERROR", said), said


async def clients_of_libvirts_are_answered(pair: DebGuest) -> None:
    """Where an administrator has turned it on: by a process that is shut in, as a user of that moment."""
    sockets = "failoverd-libvirt.socket failoverd-libvirt-ro.socket"
    for name in sockets.split():
        assert await pair.show(name, "UnitFileState") == "disabled"
    await pair.shell(f"systemctl enable --now {sockets}")
    for path in ("/run/libvirt/virtinterfaced-sock", "/run/libvirt/virtinterfaced-sock-ro"):
        said = await pair.shell('runuser --user=nobody -- python3 -c "$1" "$2"', CLIENT_OF_LIBVIRTS, path)
        assert pair.name in said.split(), said
    *lines, dynamic = (await pair.shell(LIBVIRT_STATUS)).splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    assert (status["CapEff"], status["NoNewPrivs"], status["Seccomp"]) == ("0" * 16, "1", "2")
    assert dynamic == "yes"
    assert int(status["Uid"].split()[0]) >= 61184, "systemd's range for users that exist while a process does"
    assert await pair.shell("journalctl --unit=failoverd-libvirt --priority=warning --quiet --output=cat") == ""
    assert float(await exposure(pair, "failoverd-libvirt.service")) <= 0.5
    await pair.shell(f"systemctl disable --now {sockets} failoverd-libvirt.service")


async def a_new_configuration_is_taken(pair: DebGuest) -> None:
    """By `systemctl reload`, which fails where there is a mistake in it; then nothing changes."""
    place = "/etc/failoverd/failoverd.toml.d/more.toml"
    await pair.guest.put(place, b"[failback]\nhold_down = 1.5\n")
    await pair.shell("systemctl reload failoverd; journalctl --unit=failoverd | grep 'hold_down: 1.0 -> 1.5'")
    await pair.guest.put(place, b"[failback]\nhold_down = -1\n")
    assert await pair.shell("systemctl reload failoverd 2>/dev/null || echo refused") == "refused\n"
    assert "more.toml" in await pair.shell("journalctl --unit=failoverd --output=cat | tail -n 5")
    assert await pair.show("failoverd.service", "ActiveState") == "active"
    await pair.shell('rm "$1"; systemctl reload failoverd', place)


async def an_upgrade_is_not_noticed(pair: DebGuest) -> None:
    """Another daemon, with the newer code; the same devices; and every probe has arrived."""
    first, devices = await pair.show("failoverd.service", "MainPID"), await pair.shell(DEVICES)
    await pair.make_newer()
    async with probes(pair) as count:
        await pair.install()
        assert "newer" in await version(pair)
        await pair.accelerated()
    assert await pair.show("failoverd.service", "MainPID") != first
    assert await pair.shell(DEVICES) == devices
    print(f"upgrade: {count.lost} of {count.sent} probes lost")
    assert (count.lost, count.sent > 1000) == (0, True), f"{count}\n{await install.log(pair.guest)}"


async def a_drain_makes_an_unplug_unheard(pair: DebGuest) -> None:
    """As the host does it before it migrates a guest: through the guest agent, and then it pulls the VF."""
    async with probes(pair, rate=1000) as count:
        await trio.sleep(1)
        (await pair.guest.run(["/usr/bin/failoverctl", "drain", pair.name])).check()
        await pair.guest.unplug("vf")
        await trio.sleep(1)
    print(f"drain and unplug: {count.lost} of {count.sent} probes lost")
    assert (count.lost, count.sent > 2000) == (0, True), f"{count}\n{await install.log(pair.guest)}"
    await pair.guest.plug(VF)
    await pair.accelerated()


async def a_purge_leaves_the_pair_and_nothing_else(pair: DebGuest, before: set[str]) -> None:
    """The bond goes on; there is no file, no user and no process of ours."""
    devices = await pair.shell(DEVICES)
    async with probes(pair) as count:
        await pair.shell("DEBIAN_FRONTEND=noninteractive apt-get -q -y remove failoverd")
        assert await pair.show("failoverd.service", "ActiveState") == "inactive"
        await pair.shell("DEBIAN_FRONTEND=noninteractive apt-get -q -y purge failoverd")
    assert await pair.shell(DEVICES) == devices
    print(f"removal: {count.lost} of {count.sent} probes lost")
    assert (count.lost, count.sent > 1000) == (0, True), f"{count}\n{await install.log(pair.guest)}"
    after = places(await pair.shell(PLACES))
    assert after - before == set()
    assert before - after == set()


@pytest.mark.parametrize("suite", THE_OTHER_SUITE)
def test_at_boot_the_master_is_there_before_the_network_is_configured(suite: str) -> None:
    """systemd-networkd gives the master its address, and the slaves none, whose names its file matches as well."""

    async def test() -> None:
        async with deb_guest(suite) as pair:
            await pair.install()
            await pair.accelerated()
            await pair.guest.put("/etc/systemd/system/failoverd.service.d/witness.conf", WITNESS.encode())
            await pair.guest.put("/etc/systemd/network/20-master.network", NETWORK.encode())
            await pair.shell(
                "systemctl unmask systemd-networkd.service systemd-networkd.socket; systemctl enable systemd-networkd"
            )
            await pair.reboot()
            await pair.accelerated()
            await print_times(pair)
            assert f": {pair.name}: " in await pair.shell("cat /run/failoverd/witness")
            assert await moment(pair, "failoverd.service") <= await moment(pair, "network-pre.target")
            assert await moment(pair, "network-pre.target") <= await moment(pair, "systemd-networkd.service")
            await pair.shell('until networkctl list "$1" | grep -q configured; do sleep 0.2; done', pair.name)
            states = [line.split() for line in (await pair.shell("networkctl --no-legend list")).splitlines()]
            assert {line[1] for line in states if line[4] == "configured"} == {pair.name}, states
            links = json.loads(await pair.shell("ip -j address"))
            addresses = {link["ifname"]: [one["local"] for one in link["addr_info"]] for link in links}
            assert "10.111.0.2" in addresses.pop(pair.name)
            addresses.pop("lo")
            assert list(addresses.values()) == [[], []], addresses
            async with probes(pair) as count:
                pass
            assert count.sent > count.lost

    run(test)


async def moment(pair: DebGuest, unit: str, what: str = "ActiveEnter") -> float:
    """When a unit became active, in seconds since the kernel's start."""
    return int(await pair.show(unit, f"{what}TimestampMonotonic")) / 1e6


async def print_times(pair: DebGuest) -> None:
    """What the boot spent on the service; the guest's CPU is emulated."""
    begun, ready = [await moment(pair, "failoverd.service", what) for what in ("InactiveExit", "ActiveEnter")]
    print(f"failoverd.service: started {begun:.2f} s after the kernel, ready {ready - begun:.2f} s later")
    print(await pair.shell("systemd-analyze time; systemd-analyze blame --no-pager | head -n 5"))
    print(await pair.shell("journalctl --boot --unit=failoverd --unit=network-pre.target --output=short-monotonic"))
