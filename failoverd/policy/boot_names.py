"""The name that a paravirtual NIC was meant to have, where the order of discovery at boot has given it another one.

A rule that names by MAC (udev's .link files, as installers write them) matches both NICs of a pair, and the first one
gets the name. With net.ifnames=0 the kernel counts, and which of the two is eth0 is chance. The machine's network is
configured by one name. That has to be the master's name at every boot, so it has to be the paravirtual NIC's. Nothing
depends on the VF's name: where the VF has it, the two exchange names.

A name is taken from the pair's own VF, or where it is free, and never from another device.

The two exchange names in one datagram, before there is a master. So no later step has to know of it: it is as if the
NIC had been found first. Rejected: to give the VF's name to the master alone, in the datagram of the join, which leaves
a state between two datagrams that a killed daemon could not tell from others; and to remember the master's name instead
of the NIC's own, from which it follows.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from failoverd.model.links import Link
from failoverd.policy.wanted import Links, holder, name_conflict

DIGITS = "0123456789"


def meant_name(nic: Link, vf: Link | None, udev: str, remembered: str, configured: frozenset[str], links: Links) -> str:
    """Return the name that this NIC is to have instead of the kernel's, or "".

    `udev` is the name in udev's record. The record alone is not enough (a rule may say NAME= with the kernel's name),
    but where the VF has that name, that is why udev could not give it. `configured` are the words of the network's
    configuration: where they mention the VF's name, and neither the NIC's nor a pattern for it, the NIC gets the VF's
    name, unless they mention the remembered one. `remembered` is its name before this boot: another number of the
    kernel's, or the name that the VF has now.
    """
    other = vf.name if vf is not None else ""
    if udev and vf is not None and holder(udev, links) is vf:
        return udev
    is_configured = any(fnmatchcase(name, word) for name in (nic.name, remembered) for word in configured)
    if other in configured and not is_configured:
        return other
    if remembered in ("", nic.name) or not (remembered == other or _stem(remembered) == _stem(nic.name)):
        return ""
    return "" if name_conflict(remembered, links, nic.ifindex, vf.ifindex if vf is not None else 0) else remembered


def _stem(name: str) -> str:
    return name.rstrip(DIGITS)
