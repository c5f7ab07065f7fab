"""Pairs the kernel has joined by itself (net_failover), where the hypervisor offers the standby feature.

Its master has no rtnl kind and is told by its driver's name. Its slaves are the virtio NIC that has the feature and,
when it is there, the PCI NIC the kernel has taken in. Nobody else is looked at: a NIC of the same MAC that the kernel
has not taken is none of ours either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from failoverd.model.links import Link
from failoverd.model.pairs import Pair

KERNEL_FAILOVER = "net_failover"


def is_kernels(link: Link) -> bool:
    """Whether this is a master the kernel's own failover has made."""
    return link.driver == KERNEL_FAILOVER and not link.kind


def adopted(links: Mapping[int, Link]) -> Iterator[tuple[Pair, list[Link]]]:
    """Every such pair that is one, with its devices, the master first."""
    seen: set[str] = set()
    for master in filter(is_kernels, links.values()):
        slaves = [link for link in links.values() if link.master == master.ifindex and not is_kernels(link)]
        standby = next((link for link in slaves if link.standby_feature), None)
        if standby is None or standby.perm_mac in seen:
            continue
        mac = standby.perm_mac
        seen.add(mac)
        primary = next((link for link in slaves if link is not standby and link.perm_mac == mac), None)
        members = [master, standby, *([primary] if primary is not None else [])]
        vf = primary.ifindex if primary is not None else 0
        yield Pair(mac, standby.ifindex, vf, master.ifindex, adopted=True), members
