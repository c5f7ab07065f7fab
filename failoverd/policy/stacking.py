"""What holds a device: a master that failoverd did not make, or a device stacked on it, such as a VLAN.

A held NIC is not enslaved, because its holder would lose its traffic. A held master is not removed, because the kernel
would remove the devices stacked on it as well.

The kernel counts captures on a master (IFLA_PROMISCUITY) and reports each change, so no program has to be asked.
"""

from __future__ import annotations

from collections.abc import Mapping

from failoverd.kinds import Vlan
from failoverd.model.links import NO_TC, PEERS, Link
from failoverd.model.linktable import LinkTable

BRIDGE = "bridge"
STACKING = frozenset({"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec"})
OF_ITS_OWN = frozenset({"vlan", "macvlan", "macvtap"})
"""Kinds of stacked devices that need frames which the lower device's own MAC, without a VLAN, would not bring."""


def standing_on(links: Mapping[int, Link], staying: bool = False) -> dict[int, str]:
    """Return the name of a device that is stacked on another one, by the ifindex of the lower one.

    That is a VLAN, a macvlan, a tunnel, any device with a lower device. As `ip link` shows it, `gre1@ens3`. `staying`:
    without the VLANs that go along where the configuration of the lower one goes (goes_along).
    """
    found = {}
    table = LinkTable.of(links)
    for link in links.values():
        if link.link in (0, link.ifindex) or link.kind in PEERS or (staying and goes_along(link, table)):
            continue
        below = links.get(link.link)
        found[link.link] = f"{link.name}@{below.name}" if below is not None else link.name
    return found


def upper_on(link: Link, links: Mapping[int, Link], staying: bool = False) -> str:
    """Return the entry of `standing_on` for one device, or ""."""
    table = LinkTable.of(links)
    names = [one.name for one in table.uppers(link.ifindex) if not (staying and goes_along(one, table))]
    return f"{names[-1]}@{link.name}" if names else ""


def goes_along(vlan: Link, links: Mapping[int, Link]) -> bool:
    """Whether this is a plain VLAN, of which failoverd can make another one elsewhere that is like it.

    It has the MAC of its lower device, is in no master, and nothing is stacked on it. What failoverd would not make
    anew keeps it where it is: traffic control, an XDP program, an administrator's wish for other frames.
    """
    return isinstance(vlan.info, Vlan) and not why_it_stays(vlan, links)


def why_it_stays(vlan: Link, links: Mapping[int, Link]) -> str:
    """Return why a VLAN does not go along, or ""."""
    table = LinkTable.of(links)
    below = table.get(vlan.link)
    if below is None:
        return "what it stands on is in another network namespace"
    if vlan.mac != below.mac:
        return f"its MAC is not that of {below.name}"
    if vlan.master:
        return f"it is in {table[vlan.master].name if vlan.master in table else 'another device'}"
    if on_it := [upper.name for upper in table.uppers(vlan.ifindex)]:
        return f"{on_it[-1]} stands on it"
    if vlan.promiscuous or vlan.all_multicast:
        return "it was set to take in frames for others"
    if vlan.xdp:
        return "it has an XDP program"
    return "it has traffic control" if vlan.tc != NO_TC else ""


def vlans_on(lower: Link, links: Mapping[int, Link]) -> list[Link]:
    """Return the VLANs on this device that go along where its configuration goes."""
    table = LinkTable.of(links)
    return [upper for upper in table.uppers(lower.ifindex) if goes_along(upper, table)]


def stacked_on(link: Link, links: Mapping[int, Link]) -> list[int]:
    """Return the ifindexes of everything stacked on a device, level by level, with the bridges that it is a port of."""
    table = LinkTable.of(links)
    found: list[int] = []
    level = {link.ifindex}
    while level:
        masters = {table[i].master for i in level if i in table}
        standing = {upper.ifindex for i in level for upper in table.uppers(i) if upper.kind in STACKING}
        bridges = {i for i in masters if i in table and table[i].kind == BRIDGE}
        level = (standing | bridges) - {*found, link.ifindex}
        found += sorted(level)
    return found


def bridge_of(link: Link, links: Mapping[int, Link]) -> int:
    """Return the ifindex of the bridge that this device is a port of, 0 for none."""
    return link.master if link.master in links and links[link.master].kind == BRIDGE else 0


def wants_everything(link: Link, links: Mapping[int, Link]) -> bool:
    """Whether something on this device needs frames that are not for its own MAC, or are in a VLAN."""
    return bool(link.promiscuity) or any(u.kind in OF_ITS_OWN for u in LinkTable.of(links).uppers(link.ifindex))


def unavailable_reason(link: Link, master: Link | None, links: Mapping[int, Link], uppers: Mapping[int, str]) -> str:
    """Return why this NIC cannot be taken for a pair with this master, or "". `uppers` has what stands on devices and
    has to stay there.

    A bridge is not taken along. A port's VLANs, its part in a spanning tree and its static entries would have to go to
    the master as well; and a VF that its host does not trust takes in no frames for the machines behind a bridge, which
    no guest can find out beforehand. So that is for the administrator to decide.
    """
    if master is not None and link.master == master.ifindex:
        return ""
    if link.master:
        above = links.get(link.master)
        if above is not None and above.kind == BRIDGE and master is None:
            way_out = (
                f"take it out (ip link set dev {link.name} nomaster), and make the pair's master a port in its place"
            )
            return f"it is a port of the bridge {above.name}; {way_out}"
        return f"it is already a slave of {above.name if above else f'the device with ifindex {link.master}'}"
    if upper := uppers.get(link.ifindex):
        way_out = f"take {upper} away until there is a master, or set datapath to tc"
        return f"{upper} stands on it and would lose its traffic{_why_not_along(link, upper, links)}; {way_out}"
    return ""


def _why_not_along(link: Link, upper: str, links: Mapping[int, Link]) -> str:
    """Return why this VLAN is not taken along, as a parenthesis; "" for other devices, and for one that would be."""
    uppers = LinkTable.of(links).uppers(link.ifindex)
    vlan = next((one for one in uppers if isinstance(one.info, Vlan) and f"{one.name}@{link.name}" == upper), None)
    why = why_it_stays(vlan, links) if vlan is not None else ""
    return f" (it cannot come along: {why})" if why else ""


def changed_mac_reason(link: Link) -> str:
    """Return why no bond is made of a NIC whose MAC is not its permanent one, or "".

    The bond would have the MAC of the slave that carries, and a VF takes in no other than its own.
    """
    if not link.mac or link.mac == link.perm_mac:
        return ""
    way_out = f"ip link set dev {link.name} address {link.perm_mac}"
    return f"its MAC was changed to {link.mac}, which a bond could not keep; set it back ({way_out})"


def obstacle(thing: str) -> str:
    """Return why a NIC on which this thing depends is not enslaved."""
    return f"{thing} and would be cut off"


def enslaving_obstacle(nic: Link, links: Mapping[int, Link]) -> str:
    """Return what would stop working if this paravirtual NIC became a slave, judged by the devices alone, or ""."""
    if nic.slave_kind == "vrf":
        return f"it is in the VRF {links[nic.master].name if nic.master in links else nic.master}"
    if upper := upper_on(nic, links):
        return f"{upper} stands on it and would lose its traffic"
    return programs_on(nic) or changed_mac_reason(nic)


def programs_on(nic: Link) -> str:
    """Return which program or filter of others on this NIC the VF's traffic would pass by in a bond, or "".

    They stay on the slave that has them. A firewall, or what a container network has there, would see nothing more.
    """
    if nic.xdp:
        return f"{nic.name} has an XDP program that traffic over the VF would pass by"
    kinds = sorted({found.kind for found in nic.tc.filters if not found.ours})
    return f"{nic.name} has a {', '.join(kinds)} filter that traffic over the VF would pass by" if kinds else ""


def upper_of(master: Link, links: Mapping[int, Link]) -> str:
    """Return the name of a device that is stacked on this master and stays there, or has it as its slave, or ""."""
    above = links.get(master.master)
    return upper_on(master, links, staying=True) or (above.name if above else "")
