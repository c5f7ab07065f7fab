"""Pairs that the kernel has joined by itself: net_failover, and Hyper-V's hv_netvsc.

net_failover appears where the hypervisor offers the standby feature. Its master has no rtnl kind and is recognized by
its driver's name. Its slaves are the virtio NIC that has the feature and, when it is there, the PCI NIC that the kernel
has enslaved. No other NIC is considered: a NIC of the same MAC that the kernel has not enslaved is not failoverd's
either.

hv_netvsc is the driver of a paravirtual NIC that enslaves its VF itself: the NIC is master and standby at once. It
matches VFs by their slot, so it may take one at any time. Its NICs are in no pair that failoverd joins, with a VF or
without.

In both cases a driver alone owns the slave relation: there is a master (IFLA_MASTER), and it has no rtnl kind. Of
another such driver failoverd knows nothing more, and leaves its NICs alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from failoverd.model.links import Link
from failoverd.model.pairs import Pair
from failoverd.policy.naming import marked_mac

KERNEL_FAILOVER = "net_failover"
NETVSC = "hv_netvsc"


def is_kernels(link: Link) -> bool:
    """Whether this is a master made by the kernel's own failover."""
    return link.driver == KERNEL_FAILOVER and not link.kind


def is_netvsc(link: Link) -> bool:
    """Whether this is a synthetic NIC of Hyper-V, which enslaves its VF itself."""
    return link.driver == NETVSC and not link.kind


def adopted(links: Mapping[int, Link]) -> Iterator[tuple[Pair, list[Link]]]:
    """Iterate over the pairs that the kernel has joined, each with its devices, the master first."""
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
    for nic in filter(is_netvsc, links.values()):
        if not nic.perm_mac or nic.perm_mac in seen or marked_mac(links.get(nic.master, nic)):
            continue
        seen.add(nic.perm_mac)
        vfs = [link for link in links.values() if link.master == nic.ifindex and not link.kind]
        vf, above = (vfs[0].ifindex, nic.ifindex) if vfs else (0, 0)
        yield Pair(nic.perm_mac, nic.ifindex, vf, above, adopted=True), [nic, *vfs]


def left_to_driver(link: Link, links: Mapping[int, Link], is_master: bool) -> str:
    """Return why this NIC is left to its driver, in words, or "".

    `is_master`: another device has it as its master.
    """
    above = links.get(link.master)
    if above is not None and not above.kind:
        return f"a driver has joined it to {above.name} ({above.driver or 'unknown'}), whose slave it stays"
    if is_master and not link.kind:
        driver = link.driver or "unknown"
        return f"its driver ({driver}) has joined another NIC to it, and chooses the slave that carries"
    if is_netvsc(link) and not marked_mac(links.get(link.master, link)):
        return f"its driver ({NETVSC}) takes in a VF by itself when the host offers one"
    return ""
