"""failoverd-etcd as its Debian package installs it, with the etcd of that Debian: shut in, from a put to a link that is
ready, a boot without etcd, and a purge."""

from __future__ import annotations

import json
from typing import Any

import pytest
from debguest import ONE_OF_THE_SUITES, PLACES, DebGuest, deb_guest, etcd_package, exposure, places
from pairguest import STANDBY, run

from failoverd_lab import install

pytestmark = [pytest.mark.vm, pytest.mark.more]

EXTRA = ("python3-grpcio", "python3-protobuf", "etcd-server", "etcd-client")
"""There is no network in the guest: what apt would have fetched, and an etcd."""
WORST = 1.1
"""What systemd-analyze may say of the service."""
PATIENCE = 120
"""Seconds for a step in an emulated guest."""
CONFIG = b"""[dbus]
enabled = false
[etcd]
enabled = true
endpoints = ["http://127.0.0.1:2379"]
node = "h1"
publish_status = true
"""
INSTALL = """
export DEBIAN_FRONTEND=noninteractive
cd /run
apt-get -q -y install ./failoverd.deb ./failoverd-etcd.deb 2>&1
"""
LINKS = """
cat >/run/links.toml <<EOF
[link.a]
kind = "veth"
peer = "b"
device = "a0"
addresses = ["192.0.2.1/24"]
[link.b]
kind = "veth"
peer = "a"
device = "b0"
namespace = { name = "red" }
addresses = ["192.0.2.2/24"]
EOF
ip netns add red
"""
PUT = """
read begun rest </proc/uptime
failoverctl links put /run/links.toml
until ip -n red address show b0 up 2>/dev/null | grep -q 192.0.2.2/24 &&
      ip address show a0 up 2>/dev/null | grep -q 192.0.2.1/24; do sleep 0.05; done
read done rest </proc/uptime
echo "$begun $done"
"""
STATUS = """
pid=$(systemctl show --value --property=MainPID failoverd-etcd)
grep -E '^(Uid|CapPrm|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/$pid/status
id --user failoverd-etcd
"""
CARRIES = """
ip netns exec red python3 -c "import socket; socket.create_server(('192.0.2.2', 9)).accept()" &
until python3 -c "import socket; socket.create_connection(('192.0.2.2', 9), 5)" 2>/dev/null; do sleep 0.2; done
wait
"""
OTHERS = ("/var/lib/etcd", "/var/tmp/systemd-private-")
"""What etcd and systemd write anew as they please."""
PURGE = "DEBIAN_FRONTEND=noninteractive apt-get -q -y purge failoverd-etcd failoverd"


async def contact(pair: DebGuest) -> dict[str, Any]:
    """How failoverd says that it stands with etcd."""
    return dict(json.loads(await pair.shell("failoverctl links --json || true"))["etcd"])


async def are_ready(pair: DebGuest) -> None:
    """Wait until both ends are, as failoverd says."""
    await pair.shell('failoverctl links wait a b --timeout "$1"', str(PATIENCE), seconds=PATIENCE + 30)


@pytest.mark.parametrize("suite", ONE_OF_THE_SUITES)
def test_from_its_package_to_a_link_and_a_boot_without_etcd(suite: str) -> None:
    async def test() -> None:
        async with deb_guest(suite, nics=(STANDBY,), extra=EXTRA) as pair:
            await pair.guest.put("/run/failoverd-etcd.deb", etcd_package().read_bytes())
            await pair.shell("systemctl start etcd")
            before = places(await pair.shell(PLACES))
            await pair.guest.put("/etc/failoverd/failoverd.toml.d/50-etcd.toml", CONFIG)
            try:
                said = await pair.shell(INSTALL, seconds=900)
                assert "Setting up failoverd-etcd" in said
                await it_is_shut_in(pair)
                await a_put_makes_a_link(pair)
                await a_boot_without_etcd(pair)
                await a_purge_leaves_nothing(pair, before)
            except BaseException:
                print(await pair.shell("journalctl --no-pager -u failoverd-etcd -u etcd | tail -n 80"))
                print(await install.log(pair.guest))
                raise

    run(test)


async def it_is_shut_in(pair: DebGuest) -> None:
    """As its own user, without any capability."""
    assert await pair.show("failoverd-etcd.service", "UnitFileState") == "enabled"
    await pair.shell("until failoverd-etcd status | grep -q '^connected to'; do sleep 0.5; done")
    *lines, uid = (await pair.shell(STATUS)).splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    assert status["Uid"].split() == [uid] * 4
    assert uid != "0"
    assert {status[key] for key in ("CapPrm", "CapEff", "CapBnd")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert await exposure(pair, "failoverd-etcd.service") <= WORST
    assert "connected to" in await pair.shell("runuser --user=nobody -- failoverd-etcd status")
    refused = await pair.shell("runuser --user=nobody -- failoverctl links accept 2>&1 || true")
    assert "is root's" in refused


async def a_put_makes_a_link(pair: DebGuest) -> None:
    """Both ends in one transaction; and the status goes back."""
    await pair.shell(LINKS)
    begun, done = map(float, (await pair.shell(PUT, seconds=PATIENCE)).splitlines()[-1].split())
    print(f"from the start of failoverctl links put to both devices: {done - begun:.2f} s")
    await are_ready(pair)
    await pair.shell(CARRIES)
    found = await contact(pair)
    assert (found["connected"], found["endpoint"]) == (True, "http://127.0.0.1:2379")
    key = "/failoverd/v1/status/h1/links/b"
    told = await pair.shell(f"until etcdctl get {key} | grep ready; do sleep 0.2; done", seconds=PATIENCE)
    assert json.loads(told.splitlines()[-1])["revision"] == found["revision"]


async def a_boot_without_etcd(pair: DebGuest) -> None:
    """The last snapshot is in force; and what is changed when etcd is there again is applied."""
    await pair.shell("systemctl disable etcd 2>/dev/null")
    await pair.reboot()
    assert await pair.show("etcd.service", "ActiveState") == "inactive"
    await pair.shell("ip netns add red")
    await are_ready(pair)
    await pair.shell(CARRIES)
    found = await contact(pair)
    assert not found["connected"]
    assert found["trouble"]
    await pair.shell("systemctl enable --now etcd 2>/dev/null; etcdctl del /failoverd/v1/nodes/h1/links/b")
    await pair.shell("while ip link show a0 2>/dev/null; do sleep 0.2; done", seconds=PATIENCE)


async def a_purge_leaves_nothing(pair: DebGuest, before: set[str]) -> None:
    """No file, no user and no process."""
    await pair.shell(PURGE, seconds=300)
    after = places(await pair.shell(PLACES))
    assert {line for line in after ^ before if not line.startswith(OTHERS)} == set()
    assert await pair.shell("ps -eo args | grep '/[f]ailoverd' || true") == ""
