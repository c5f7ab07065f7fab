"""DHCP clients that were started on a device, as ifupdown starts them: they stay with it.

dhclient holds a packet socket there, so its renewals would leave by the standby, and draw the traffic there; dhcpcd
goes by the ifindex, and lets the lease run out. If failoverd is first, at a boot, the client is started on the bond. A
client is known by its pid file. The daemon is not root, and files that it may not see count as absent.
"""

from __future__ import annotations

from pathlib import Path

CLIENTS = {"dhclient": "run/dhclient*.pid", "dhcpcd": "run/dhcpcd/*pid", "udhcpc": "run/udhcpc*.pid"}
"""The pid file of each while it runs. A dhcpcd for all interfaces names its file just `pid`."""


def bond_obstacle(root: Path) -> str:
    """Return why a bond is not the right choice while such a client runs, or ""."""
    for client, pattern in CLIENTS.items():
        for pid in sorted(root.glob(pattern)):
            return f"{client} runs (there is {pid}), and stays with its NIC"
    return ""
