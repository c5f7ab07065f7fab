"""Who else holds a device: a master that is not ours, or a device that stands on it, as a VLAN does.

A NIC somebody holds is not taken, for its holder would lose its traffic. A master of ours that somebody holds is not
removed, for the kernel would remove what stands on it as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from failoverd.model.links import Link

BRIDGE = "bridge"
STACKING = frozenset({"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec"})
OF_ITS_OWN = frozenset({"vlan", "macvlan", "macvtap"})
"""What stands on a device and hears frames that the device's own MAC and no VLAN would not bring."""


def standing_on(links: Mapping[int, Link]) -> dict[int, str]:
    """The name of a device that stands on another one, by the ifindex of that."""
    return {link.link: link.name for link in links.values() if link.kind in STACKING}


def stacked_on(link: Link, links: Mapping[int, Link]) -> list[int]:
    """The ifindexes of what stands on a device, bridges it is a port of included, and on that, and so on."""
    found: list[int] = []
    level = {link.ifindex}
    while level:
        masters = {links[i].master for i in level if i in links}
        standing = {i for i, upper in links.items() if upper.kind in STACKING and upper.link in level}
        bridges = {i for i in masters if i in links and links[i].kind == BRIDGE}
        level = (standing | bridges) - {*found, link.ifindex}
        found += sorted(level)
    return found


def bridge_of(link: Link, links: Mapping[int, Link]) -> int:
    """The ifindex of the bridge this device is a port of, 0 for none."""
    return link.master if link.master in links and links[link.master].kind == BRIDGE else 0


def wants_everything(link: Link, links: Mapping[int, Link]) -> bool:
    """Whether somebody on this device needs frames that are not for its own MAC, or are in a VLAN."""
    return bool(link.promiscuity) or any(u.link == link.ifindex and u.kind in OF_ITS_OWN for u in links.values())


def why_held(link: Link, master: Link | None, links: Mapping[int, Link], uppers: Mapping[int, str]) -> str:
    """Why this NIC is not to be had for a pair with this master, or ""."""
    if master is not None and link.master == master.ifindex:
        return ""
    if link.master:
        holder = links[link.master].name if link.master in links else f"the device with ifindex {link.master}"
        return f"it is already a slave of {holder}"
    if upper := uppers.get(link.ifindex):
        way_out = f"take {upper} away until there is a master, or set datapath to tc"
        return f"{upper} stands on it and would lose its traffic; {way_out}"
    return ""


def upper_of(master: Link, links: Mapping[int, Link]) -> str:
    """The name of a device that stands on this master or has it as its slave, "" for none."""
    above = links.get(master.master)
    return standing_on(links).get(master.ifindex) or (above.name if above else "")
