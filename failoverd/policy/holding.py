"""Who else holds a device: a master that is not ours, or a device that stands on it, as a VLAN does.

A NIC somebody holds is not taken, for its holder would lose its traffic. A master of ours that somebody holds is not
removed, for the kernel would remove what stands on it as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from failoverd.model.links import Link

STACKING = frozenset({"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec"})


def standing_on(links: Mapping[int, Link]) -> dict[int, str]:
    """The name of a device that stands on another one, by the ifindex of that."""
    return {link.link: link.name for link in links.values() if link.kind in STACKING}


def stacked_on(link: Link, links: Mapping[int, Link]) -> list[int]:
    """The ifindexes of what stands on a device, and on that, and so on."""
    found: list[int] = []
    level = {link.ifindex}
    while level:
        level = {i for i, upper in links.items() if upper.kind in STACKING and upper.link in level} - {*found}
        found += sorted(level)
    return found


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
