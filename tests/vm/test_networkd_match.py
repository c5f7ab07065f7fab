"""Which .network file networkd applies, asked of networkd itself, and what becomes of a NIC whose file hits no bond.

In one guest of each release: the evaluation of [Match] is held to networkd's own, for the NIC and for a bond; then a
pair is joined whose NIC is matched as one that is no virtual device (`Kind=!*`, as systemd-network-generator does it).
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
import trio
from debguest import SUITES, DebGuest, package
from pairguest import ADDRESS, MAC, STANDBY, VF, run

from failoverd_lab.dhcp import Dhcp
from failoverd_lab.frames import Station, mac
from failoverd_lab.guest import open_guest
from failoverd_lab.image import image
from failoverd_lab.lan import PEER, PEER_MAC
from failoverd_lab.peer import Peer
from failoverd_lab.switch import open_switch

pytestmark = [pytest.mark.vm, pytest.mark.more]

LEASE = 20
ETC, RUN, LOCAL, USR = (f"{place}/systemd/network" for place in ("/etc", "/run", "/usr/local/lib", "/usr/lib"))
BOND = "enbond"
LATE = "99-late.network"
MATCHES = [
    *("Kind=!*", "Kind=bond", "Kind=!bond", "Kind=*", "Kind=!*\nType=!loopback"),
    *("Type=ether", "Type=eth*", "Type=!bond", "Type=bond", "Type=ether bond"),
    *("Type=!wlan !loopback", "Type=ether\nType=", "Type=ether \\\n# between\n  bond"),
    *("Driver=virtio_net", "Driver=virt*", "Driver=!bonding", "Driver=bonding vif", "Driver=!virtio_net"),
    *("Path=pci-*", "Path=!pci-*", "Path=*", "Path=!*"),
    *("Property=ID_BUS=pci", "Property=ID_NET_DRIVER=virtio_net", "Property=!ID_BUS=pci", "Property=DEVTYPE=bond"),
    *("Property=!DEVTYPE=bond", 'Property="ID_BUS=pci" "SUBSYSTEM=net"', "Property=SUBSYSTEM=n?t", "Property=ID_BUS"),
    *("MACAddress=@", "PermanentMACAddress=@", "MACAddress=nonsense", "PermanentMACAddress=52:54:00:00:00:01"),
    *("MACAddress=5254.00fa.1101", "MACAddress=52-54-00-FA-11-01 02:00:00:00:00:01"),
    *("Name=en*", "Name=!lo", "Name=!en*", "Name=[^e]*", "Name=e[[:alpha:]]*", "Name=eth* !x", '"Name"=en*'),
    *("Name=failoverd-*", "Name=!en* !failoverd-*", "Name=\\en*", "Name='en*'", "Name=enx*", "Name=123 en*"),
    *("Name=en*\nHost=guest", "Name=en*\nHost=!guest", "Name=en*\nKernelCommandLine=root", "Host=GU?ST"),
    *("Name=en*\nKernelCommandLine=!root", "Name=en*\nKernelVersion=6.*", "Name=en*\nKernelVersion=5.*"),
    *("Name=en*\nArchitecture=x86-64", "Name=en*\nArchitecture=arm64", "Name=en*\nFirmware=uefi", ""),
    *("WLANInterfaceType=station", "SSID=x", "[Match]\nName=en*\n[Match]\nDriver=virt*"),
]
"""Each alone in a file, before one that matches everything. `@` is the pair's MAC."""
FOLDERS: list[dict[str, str]] = [
    {f"{USR}/50-a.network": "[Match]\nName=en*\n", f"{ETC}/50-a.network": "[Match]\nKind=!*\n"},
    {f"{USR}/50-a.network": "[Match]\nName=en*\n", f"{LOCAL}/50-a.network": ""},
    {f"{USR}/50-a.network": "[Match]\nName=en*\n", f"{RUN}/50-a.network": "->/dev/null"},
    {f"{LOCAL}/50-a.network": "[Match]\nName=en*\n", f"{USR}/40-a.network": "[Match]\nType=ether\n"},
    {f"{USR}/50-a.network": "[Match]\nName=en*\n", f"{ETC}/50-a.network.d/x.conf": "[Match]\nType=ether\n"},
    {f"{USR}/50-a.network": "[Match]\n", f"{RUN}/50-a.network.d/x.conf": "[Match]\nType=ether\n"},
    {
        f"{ETC}/50-a.network": "[Match]\nType=ether\n",
        f"{USR}/50-a.network.d/a.conf": "[Match]\nType=wlan\n",
        f"{RUN}/50-a.network.d/a.conf": "[Match]\nType=\nDriver=bonding\n",
    },
    {f"{ETC}/50-a.network": "[Match\nName=en*\n", f"{USR}/50-a.network": "[Match]\nName=en*\n"},
    {f"{ETC}/.50-a.network": "[Match]\nName=en*\n", f"{ETC}/60-b.network": "[Match]\nType=ether\n"},
    {
        f"{ETC}/50-a.network": "[Match]\nType=ether\n[Link]\nUnmanaged=yes\n",
        f"{USR}/60-b.network": "[Match]\nName=en*\n",
    },
]
ASK = r"""
import json, os, subprocess, sys, time
from pathlib import Path
from failoverd.daemon.configurers.devices import bond_as_it_would_be, nic_as_it_is
from failoverd.daemon.configurers.networkd import loaded
from failoverd.model.links import Link

name, mac, bond = sys.argv[1:4]
root = Path("/")
ifindex = {one: int(Path(f"/sys/class/net/{one}/ifindex").read_text()) for one in (name, bond)}
ip = json.loads(subprocess.check_output(["ip", "-j", "link", "show", "dev", name]))[0]
link = Link(ifindex[name], name, mac, mac, driver="virtio_net", altnames=frozenset(ip.get("altnames", [])))

def call(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

def noted(one):
    note = Path(f"/run/systemd/netif/links/{ifindex[one]}")
    for _ in range(600):
        lines = note.read_text().splitlines() if note.exists() else []
        said = dict(line.split("=", 1) for line in lines if "=" in line)
        if said.get("ADMIN_STATE", "pending") not in ("pending", "initialized"):
            return Path(said.get("NETWORK_FILE", "").strip('"')).name
        time.sleep(0.05)
    raise SystemExit(f"networkd says nothing of {one}")

def evaluated(device):
    found = next((one for one in loaded(root) if one.matches(device)), None)
    return "" if found is None or found.is_unmanaged else found.path.name

for files in json.load(sys.stdin):
    call("systemctl", "stop", "systemd-networkd.socket", "systemd-networkd.service")
    for note in Path("/run/systemd/netif/links").glob("*"):
        note.unlink()
    for path, text in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            Path(path).symlink_to(text[2:])
        else:
            Path(path).write_text(text)
    call("systemctl", "start", "systemd-networkd.service")
    said = {one: noted(one) for one in (name, bond)}
    ours = {name: evaluated(nic_as_it_is(link, root)), bond: evaluated(bond_as_it_would_be(link, bond))}
    print(json.dumps([said, ours]), flush=True)
    for path in files:
        os.unlink(path)
"""
PREPARE = """
systemctl stop failoverd.service
systemctl unmask systemd-networkd.service systemd-networkd.socket
mkdir -p /run/systemd/system/systemd-networkd.service.d
printf '[Unit]\nStartLimitIntervalSec=0\n' >/run/systemd/system/systemd-networkd.service.d/often.conf
systemctl daemon-reload
ip link add "$3" type bond mode active-backup
ip link property add dev "$3" altname "failoverd-$(echo "$2" | tr -d :)"
ip link set "$3" address "$2"
udevadm settle
"""
AWAY = """
systemctl stop systemd-networkd.socket systemd-networkd.service
ip link delete "$1"
systemctl start failoverd.service
"""
LAN = "[Match]\nName=en*\nKind=!*\n\n[Network]\nDHCP=ipv4\n\n[DHCPv4]\nClientIdentifier=mac\n"
ON = """
ip address flush dev "$1"
systemctl enable --now systemd-networkd.service
until ip -4 -o address show dev "$1" | grep -q inet; do sleep 0.2; done
"""
HIDDEN = """
(umask 077; mkdir -p /etc/failoverd/failoverd.toml.d; echo >/etc/failoverd/failoverd.toml.d/50-mine.toml)
failoverd --check-config 2>&1 || echo "code $?"
rm /etc/failoverd/failoverd.toml.d/50-mine.toml
"""


def cases() -> list[dict[str, str]]:
    """The files of each, all with one that matches everything behind them."""
    late = {f"{ETC}/{LATE}": "[Match]\nName=*\n[Network]\nLinkLocalAddressing=no\n"}
    alone = [{f"{ETC}/50-a.network": f"[Match]\n{text.replace('@', MAC)}\n"} for text in MATCHES]
    return [{**files, **late} for files in (*alone, *FOLDERS)]


async def compare(pair: DebGuest) -> None:
    """What networkd has applied to the NIC and to a bond, and what failoverd takes it to apply. failoverd does not run
    meanwhile: by its mark the bond would be a master of its own, and the NIC a slave."""
    await pair.guest.put("/run/ask.py", ASK.encode())
    await pair.guest.put("/run/cases.json", json.dumps(cases()).encode())
    await pair.shell(PREPARE, pair.name, MAC, BOND)
    out = await pair.shell('python3 /run/ask.py "$1" "$2" "$3" </run/cases.json', pair.name, MAC, BOND, seconds=900)
    answers: list[Any] = [json.loads(line) for line in out.splitlines()]
    wrong = [(files, said, ours) for files, (said, ours) in zip(cases(), answers, strict=True) if said != ours]
    assert not wrong, "\n".join(f"{files}: networkd {said}, failoverd {ours}" for files, said, ours in wrong)
    assert len({tuple(said.values()) for said, _ in answers}) >= 4, "the cases tell apart what they are to tell apart"
    await pair.shell(AWAY, BOND)


@pytest.mark.parametrize("suite", SUITES)
def test_the_file_that_configures_the_nic_is_known_and_not_lost(suite: str) -> None:
    async def test() -> None:
        built = await image(suite, progress=print)
        async with open_switch() as switch, open_guest(built, switch, nics=(STANDBY,)) as guest:
            dhcp = Dhcp(Station(mac(PEER_MAC), ipaddress.ip_address(PEER[0])), ipaddress.IPv4Address(ADDRESS), LEASE)
            peer = Peer(switch, name="peer", mac_address=PEER_MAC, addresses=PEER, services=(dhcp.answer,))
            pair = DebGuest(guest, switch, (await guest.netdevs("pv"))[0])
            await guest.put("/run/failoverd.deb", package().read_bytes())
            await pair.install()
            assert "systemd-network" in (await pair.shell("id -nG failoverd")).split()
            said = await pair.shell(HIDDEN)
            assert "50-mine.toml: the service may not read it" in said
            assert said.endswith("code 2\n"), said
            await compare(pair)
            path = "/usr/lib/systemd/network/80-lan.network"
            await guest.put(path, LAN.encode(), 0o640)
            await pair.shell(f"chgrp systemd-network {path}; {ON}", pair.name)
            await guest.plug(VF)
            master = await pair.accelerated()
            assert (master["name"], master["datapath"]) == (pair.name, "tc")
            why = json.loads(await pair.shell("failoverctl --json explain"))["nics"]
            reason = next(row["reason"] for row in why if row["name"] == pair.name)
            assert f"{path} matches {pair.name} by Kind=!*, and no bond" in reason
            await trio.sleep(LEASE * 1.5)
            assert ADDRESS in await pair.shell('ip -4 -br address show dev "$1"', pair.name)
            print(await pair.shell("networkctl --no-pager --no-legend"))
            peer.close()

    run(test)
