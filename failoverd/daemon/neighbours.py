"""Who else configures this machine's network, as far as a datapath depends on it: whether they can follow to a bond.

NetworkManager activates a profile for Ethernet on an Ethernet NIC and on nothing else. Where a bond took the NIC's name
and addresses, nobody would renew their lease, and a machine would lose its address hours after failoverd was installed.
So where NetworkManager is at work, and the configuration leaves it open, the NIC stays the master. The same holds for
systemd-networkd where its files match what a bond has not: permanent MACs (netplan makes such of `macaddress`),
drivers, paths, or the type of Ethernet NICs. And a DHCP client that was started on a device (ifupdown does that) stays
with it: dhclient holds a packet socket there, so its renewals would leave by the standby, and draw the traffic there;
dhcpcd goes by the ifindex, and lets the lease run out. Where failoverd is first, at a boot, the client is started on
the bond.

Files say it, and nobody is asked: failoverd starts before NetworkManager and before D-Bus. That NetworkManager runs
is known by the directory it keeps its devices' states in, or by systemd's note of its unit. /run/NetworkManager alone
says nothing: netplan writes there also where systemd-networkd does the work, and may have closed it to all but root.
That it will run is known by the link that `systemctl enable` makes, unless its unit is masked. Where it is installed
and leaves every NIC alone, tc is chosen all the same: it is never wrong, and `datapath = "bond"` is obeyed.
"""

from __future__ import annotations

import re
from pathlib import Path

RUNNING = "run/NetworkManager/devices"
"""NMRUNDIR "/devices", made at NetworkManager's start (its src/core/nm-config.h, NM_CONFIG_DEVICE_STATE_DIR)."""
UNIT = "NetworkManager.service"
INVOCATION = "run/systemd/units/invocation:"
"""With a unit's name: a link that systemd keeps while it runs (its src/core/unit.c, unit_export_invocation_id)."""
INVOKED = f"{INVOCATION}{UNIT}"
PLACES = ("etc/systemd", "run/systemd")
"""What an administrator has written, and what is made anew at every boot."""
BY_HARDWARE = re.compile(
    r"^\s*(?:(PermanentMACAddress|Driver|Path)[ \t]*=[ \t]*\S|(Type)[ \t]*=.*\bether\b)", re.MULTILINE
)
"""In the section [Match] (systemd.network(5)). A bond's type is "bond", its driver "bonding", and it has no path."""
MATCH = re.compile(r"^\s*\[Match\][^\n]*\n(.*?)(?=^\s*\[|\Z)", re.MULTILINE | re.DOTALL)
CLIENTS = {"dhclient": "run/dhclient*.pid", "dhcpcd": "run/dhcpcd/*pid", "udhcpc": "run/udhcpc*.pid"}
"""What ifupdown may use, and what each leaves while it runs. A dhcpcd for all interfaces has `pid` alone for a name."""


def why_no_bond(root: Path = Path("/")) -> str:
    """Why a bond is not the right choice on this machine, or ""."""
    if fact := _manager_at_work(root):
        return f"NetworkManager {fact}, and its profiles for Ethernet cannot follow a NIC to a bond"
    for place in PLACES:
        files = root / place / "network"
        for path in sorted((*files.glob("*.network"), *files.glob("*.network.d/*.conf"))):
            if key := _matched(path):
                return f"{path} matches {key}=, and no bond"
    for client, pattern in CLIENTS.items():
        for pid in sorted(root.glob(pattern)):
            return f"{client} runs (there is {pid}), and stays with its NIC"
    return ""


def _matched(path: Path) -> str:
    """What a file of systemd-networkd matches that a bond has not, or ""."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return ""
    found = next((key for section in MATCH.findall(text) if (key := BY_HARDWARE.search(section))), None)
    return next(filter(None, found.groups()), "") if found else ""


def _manager_at_work(root: Path) -> str:
    if _is_dir(root / RUNNING):
        return f"runs (there is {root / RUNNING})"
    if _leads_to(root / INVOKED):
        return f"runs (there is {root / INVOKED})"
    for place in PLACES:
        if _leads_to(root / place / "system" / UNIT) == Path("/dev/null"):
            return ""
    for place in PLACES:
        for wants in sorted((root / place / "system").glob("*.wants")):
            if _leads_to(wants / UNIT):
                return f"is enabled (there is {wants / UNIT})"
    return ""


def _is_dir(path: Path) -> bool:
    """Whether it is one that can be seen: failoverd is not root."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _leads_to(path: Path) -> Path | None:
    """Where a link leads; None where there is none, or none that can be seen."""
    try:
        return path.readlink()
    except OSError:
        return None
