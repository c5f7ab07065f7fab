"""Which programs configure this machine's network, and whether their configuration would follow to a bond.

If a bond takes the NIC's name and addresses and the NIC's configurer cannot follow, nothing renews the lease, and the
machine loses its address hours after failoverd was installed. So for each NIC, before its pair is joined for the first
time, each configurer is checked, one file of this folder for each:

    networkd         its files are evaluated as it does, against the NIC and against the bond
    networkmanager   activates a profile for Ethernet on an Ethernet NIC and on nothing else
    clients          a DHCP client that was started on a device (ifupdown does that) stays with it
    ifupdown         patterns that choose a device by what only hardware has

netplan writes files for networkd or for NetworkManager, and these are checked. If nothing speaks against it, failoverd
makes a bond; otherwise it uses tc, which is never wrong. `datapath = "bond"` is obeyed in any case.

The checks read files and ask no program: failoverd starts before NetworkManager and before D-Bus. The files are on a
disk, which may block a reader for any time, so this runs in a thread (daemon/reading.py).
"""

from __future__ import annotations

from pathlib import Path

from failoverd.daemon.configurers import clients, ifupdown, networkd, networkmanager
from failoverd.daemon.configurers.devices import bond_as_it_would_be, nic_as_it_is
from failoverd.model.links import Link


def bond_obstacle(link: Link, name: str, root: Path = Path("/")) -> str:
    """Return why a bond called `name` is not the right choice for the pair of this paravirtual NIC, or ""."""
    nic, bond = nic_as_it_is(link, root), bond_as_it_would_be(link, name)
    return (
        networkmanager.bond_obstacle(root)
        or networkd.bond_obstacle(nic, bond, link.ifindex, root)
        or ifupdown.bond_obstacle(nic, root)
        or clients.bond_obstacle(root)
    )
