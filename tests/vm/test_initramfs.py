"""The root file system comes by the network, over a NIC of the pair that the initramfs has configured."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from netroot import NAMES, NetRoot, net_root
from pairguest import ADDRESS, VF, run

from failoverd_lab import install
from failoverd_lab.lan import PEER

pytestmark = pytest.mark.vm

NETWORKD = {
    "/etc/systemd/network/10-root.network": f"""\
[Match]
Name={NAMES["pv"]}

[Network]
Address={ADDRESS}/24
Gateway={PEER[0]}
KeepConfiguration=yes
"""
}
NETWORKD_ON = """
systemctl unmask systemd-networkd.service systemd-networkd.socket
systemctl enable systemd-networkd.service
"""
IFUPDOWN = {
    "/etc/network/interfaces": f"""\
auto lo {NAMES["pv"]}
iface lo inet loopback
iface {NAMES["pv"]} inet manual
"""
}
TC = {"/etc/failoverd/failoverd.toml.d/tc.toml": '[master]\ndatapath = "tc"\n'}
NOISE = 5
"""Echoes, 10 ms apart, that a join may cost."""

WHOLE = """
echo 3 >/proc/sys/vm/drop_caches
cd /
grep -v usr/share /var/lib/dpkg/info/python3-trio.md5sums | md5sum --check --quiet
date >/var/written; sync
dmesg --level=emerg,alert,crit,err | grep -E 'nbd|EXT4|I/O' || true
"""
"""Files that nobody has read yet are whole, one can be written, and the kernel has no complaint."""


@pytest.mark.parametrize(
    ("suite", "configures", "files", "on"),
    [
        pytest.param("bookworm", "vf", IFUPDOWN, "true", id="vf-bond-ifupdown", marks=pytest.mark.more),
        pytest.param("bookworm", "pv", NETWORKD, NETWORKD_ON, id="nic-bond-networkd", marks=pytest.mark.more),
        pytest.param("trixie", "vf", TC, "true", id="vf-tc", marks=pytest.mark.more),
    ],
)
def test_the_root_survives_the_join_and_what_comes_after(
    suite: str, configures: str, files: Mapping[str, str], on: str
) -> None:
    async def test() -> None:
        with tempfile.TemporaryDirectory(prefix="netroot.") as directory:
            async with net_root(suite, Path(directory), configures, files, on) as pair:
                master = await pair.accelerated()
                assert master["name"] == NAMES["pv"]
                assert (await pair.shell("findmnt --noheadings --output=SOURCE /")).strip() == "/dev/nbd0"
                await pair.shell('grep -q "$1" "/run/net-$2.conf"', ADDRESS, NAMES[configures])
                await the_master_alone_is_configured(pair)
                assert not await pair.shell(WHOLE)
                lost = pair.echoes.lost()
                print(f"{len(lost)} of {len(pair.echoes.sent)} lost; longest silences {pair.echoes.silences()}")
                said = await pair.shell("journalctl --unit=failoverd --output=short-monotonic; failoverctl explain")
                print(said)
                assert len(lost) <= NOISE, f"{lost}\n{said}"
                await pair.guest.unplug("vf")
                await pair.on_standby()
                assert not await pair.shell(WHOLE)
                await pair.guest.plug(VF)
                await pair.accelerated()
                assert not await pair.shell(WHOLE)
                assert "WARNING" not in await install.log(pair.guest)

    run(test)


async def the_master_alone_is_configured(pair: NetRoot) -> None:
    """With what the initramfs has set, for ever: the address has no lifetime that anybody would have to renew."""
    links = json.loads(await pair.shell("ip -j address"))
    found = {link["ifname"]: link["addr_info"] for link in links if link["ifname"] != "lo" and link["addr_info"]}
    assert list(found) == [pair.name], found
    own = next(one for one in found[pair.name] if one["family"] == "inet")
    assert (own["local"], own["prefixlen"], own["valid_life_time"]) == (ADDRESS, 24, 2**32 - 1)
    routes = json.loads(await pair.shell("ip -j route show default"))
    assert {(route["dev"], route["gateway"]) for route in routes} == {(pair.name, PEER[0])}
