"""Who else manages the network in a guest: what each needs to be switched on, and how to ask it what it holds.

The configuration is what docs/neighbours.md says to write; where that page names a reason, it is not given again here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

EXTRA = {
    "bookworm": ("network-manager", "ifupdown", "isc-dhcp-client", "netplan.io", "cloud-init"),
    "trixie": ("network-manager", "ifupdown", "dhcpcd-base", "netplan.io", "cloud-init"),
}
"""What is installed beside the lab's own packages, by release. All of it is in one image, and off (OFF)."""

OFF = (
    "NetworkManager.service",
    "NetworkManager-dispatcher.service",
    "NetworkManager-wait-online.service",
    "networking.service",
    "systemd-networkd-wait-online.service",
    "cloud-init-local.service",
    "cloud-init-main.service",
    "cloud-init-network.service",
    "cloud-init.service",
    "cloud-config.service",
    "cloud-final.service",
    "cloud-init-hotplugd.socket",
)

SYSTEMD = "systemd-networkd.service systemd-networkd.socket"
LAN = """\
[Match]
Name=en*

[Network]
DHCP=ipv4
IPv6AcceptRA=yes

[DHCPv4]
ClientIdentifier=mac
"""
IFUPDOWN = """\
auto lo
iface lo inet loopback

allow-hotplug {name}
iface {name} inet dhcp
iface {name} inet6 auto
"""
NETPLAN = """\
network:
  version: 2
  renderer: RENDERER
  ethernets:
    {name}:
      dhcp4: true
      dhcp-identifier: mac
"""
SEED = "/var/lib/cloud/seed/nocloud"
CLOUD = """\
version: 2
ethernets:
  lan:
    match:
      macaddress: "52:54:00:fa:11:01"
    set-name: lan0
    dhcp4: true
    dhcp-identifier: mac
"""
CLOUD_CFG = """\
datasource_list: [NoCloud]
cloud_init_modules: []
cloud_config_modules: []
cloud_final_modules: []
system_info:
  network:
    renderers: [netplan]
"""
"""Nothing but the network; and not ifupdown, which is only here because all neighbours are in one image."""
CLOUD_UNITS = " ".join(
    f"{name}.service"
    for name in (
        "cloud-init-local",
        "cloud-init-main",
        "cloud-init-network",
        "cloud-init",
        "cloud-config",
        "cloud-final",
    )
)
"""They are enabled by their package, and only masked here."""


@dataclass(frozen=True)
class Neighbour:
    """One of them. Scripts are run by `sh -e` with the paravirtual NIC's first name as $1; {name} in a file is that.

    `on` switches it on and `again` restarts and reloads it. `holds` prints what it has on devices: each line that
    names a slave is one too many. `units` are those whose journal is read.
    """

    name: str
    files: Mapping[str, str]
    on: str
    again: str
    holds: str
    units: tuple[str, ...]
    datapath: str = "bond"
    boots: bool = False
    """It is switched on by a boot."""
    master: str = ""
    """What it calls the master; the paravirtual NIC's first name where it leaves that."""
    busy: str = "false"
    """A command that succeeds as long as it has not done all it means to do, although the master is configured."""
    quiet: tuple[str, ...] = ()
    """What its journal may say in earnest although all is well, as regular expressions."""


NETWORKD_HOLDS = "networkctl --no-legend list | grep -v unmanaged"
NM_UNITS = ("NetworkManager.service",)
NM_ON = "systemctl unmask NetworkManager.service NetworkManager-dispatcher.service; systemctl enable NetworkManager"
NM_HOLDS = "nmcli --terse --fields DEVICE,STATE,CONNECTION device | grep -v :unmanaged:"
NM_QUIET = (r"failed to open /run/network/ifstate", r"\(libnm-device-plugin-")

NEIGHBOURS = (
    Neighbour(
        "systemd-networkd",
        {"/etc/systemd/network/10-lan.network": LAN},
        on=f"systemctl unmask {SYSTEMD}; systemctl enable --now systemd-networkd.service",
        again="systemctl restart systemd-networkd.service; networkctl reload",
        holds=NETWORKD_HOLDS,
        units=("systemd-networkd.service",),
    ),
    Neighbour(
        "ifupdown",
        {"/etc/network/interfaces": IFUPDOWN},
        on="systemctl unmask networking.service; systemctl enable --now networking.service; ifup $1",
        again="systemctl restart networking.service; ifup $1",
        holds="cat /run/network/ifstate; ps -e -o args | grep -E '[d]hclient|[d]hcpcd'",
        units=("networking.service", "ifup@*.service"),
        # The stanza for IPv6 comes when the one for IPv4 has its lease, and has the kernel take routers' words.
        busy="pgrep -x ifup",
    ),
    Neighbour(
        "netplan-networkd",
        {"/etc/netplan/10-lan.yaml": NETPLAN.replace("RENDERER", "networkd")},
        on=f"systemctl unmask {SYSTEMD}; netplan apply",
        again="systemctl restart systemd-networkd.service; netplan apply",
        holds=NETWORKD_HOLDS,
        units=("systemd-networkd.service",),
    ),
    Neighbour(
        "NetworkManager",
        {},
        on=f"{NM_ON}; systemctl start NetworkManager",
        again="systemctl restart NetworkManager; nm-online --quiet --timeout=60; nmcli general reload",
        holds=NM_HOLDS,
        units=NM_UNITS,
        datapath="tc",
        quiet=NM_QUIET,
    ),
    Neighbour(
        "netplan-NetworkManager",
        {"/etc/netplan/10-lan.yaml": NETPLAN.replace("RENDERER", "NetworkManager")},
        on=f"{NM_ON}; netplan apply",
        again="systemctl restart NetworkManager; nm-online --quiet --timeout=60; netplan apply",
        holds=NM_HOLDS,
        units=NM_UNITS,
        datapath="tc",
        quiet=NM_QUIET,
    ),
    Neighbour(
        "cloud-init",
        {
            f"{SEED}/meta-data": "instance-id: guest\n",
            f"{SEED}/user-data": "#cloud-config\npreserve_hostname: true\n",
            f"{SEED}/network-config": CLOUD,
            "/etc/cloud/cloud.cfg.d/90-lab.cfg": CLOUD_CFG,
        },
        on=f"systemctl unmask {SYSTEMD} {CLOUD_UNITS}; systemctl enable systemd-networkd.service",
        again="""export PYTHONPATH=/usr/share/failoverd/cloud-init
cloud-init init --local; cloud-init clean --logs; cloud-init init --local; netplan apply
""",
        holds=NETWORKD_HOLDS,
        units=(
            "systemd-networkd.service",
            "cloud-init-local.service",
            "cloud-init-main.service",
            "cloud-init*.service",
        ),
        boots=True,
        master="lan0",
    ),
)


def datapath(neighbour: Neighbour, suite: str, column: str) -> str:
    """What joins the pair where failoverd's configuration says nothing."""
    if neighbour.name == "ifupdown":
        # Its DHCP client runs already when failoverd comes, and not yet when a boot is under way.
        return "bond" if column == "boot" else "tc"
    return neighbour.datapath


SUITES = {"bookworm": "12", "trixie": "13"}
COLUMNS = ("hot-plug", "unplug", "replug", "restart", "boot")
"""In the order in which one guest goes through them."""


def table() -> list[str]:
    """The rows of the matrix in docs/neighbours.md."""
    cells = " | ".join("yes" for _ in COLUMNS)
    return [f"| {one.name} | {release} | {cells} |" for one in NEIGHBOURS for release in SUITES.values()]
