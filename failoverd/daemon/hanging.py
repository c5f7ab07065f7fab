"""Find users of a NIC that no link of this network namespace shows, and that a join would cut off from the network.

They are devices in other network namespaces, bound sockets and multicast groups: all would lose their traffic if the
NIC became a bond's slave. The search runs right before a pair is joined, while the NIC carries everything; if the NIC
stays the master, also when there may be something new (core/crowding.py). What cannot be read counts as absent;
docs/stacked.md lists what cannot be seen at all.
"""

from __future__ import annotations

import ipaddress
import logging
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import trio

from failoverd.netlink.elsewhere import mac_elsewhere, upper_elsewhere
from failoverd.netlink.fetch import InterruptedDumpError, Opener
from failoverd.netlink.frames import NetlinkError
from failoverd.netlink.groups import PROC, Groups, read_groups
from failoverd.netlink.sockdiag import bound_to

log = logging.getLogger("failoverd")

PATIENCE = 2.0
"""Seconds for the whole search. The machine may have thousands of containers, and a boot waits for failoverd."""
OWN_GROUPS = tuple(
    ipaddress.ip_network(text)
    for text in (
        "224.0.0.1",
        "224.0.0.2",
        "224.0.0.22",
        "224.0.0.251",
        "224.0.0.252",
        "ff01::/16",
        "ff02::1",
        "ff02::2",
        "ff05::2",
        "ff02::16",
        "ff02::6a",
        "ff02::fb",
        "ff02::1:3",
        "ff02::1:ff00:0/104",
    )
)
"""Groups that the kernel joins by itself, as a host or a router; and those of mDNS and LLMNR, whose programs join anew
on every new device."""
Look = Callable[[int], Awaitable[str]]


async def hanging(open_route: Opener, open_diag: Opener, ifindex: int, proc: Path = PROC) -> str:
    """Return what hangs on this NIC, in words, or ""."""
    looks: tuple[Look, ...] = (
        partial(upper_elsewhere, open_route),
        partial(mac_elsewhere, open_route),
        partial(bound_to, open_diag),
        partial(joined_group, proc=proc),
    )
    with trio.move_on_after(PATIENCE):
        for look in looks:
            if found := await _tolerant(look, ifindex):
                return found
    return ""


async def _tolerant(look: Look, ifindex: int) -> str:
    try:
        return await look(ifindex)
    except (OSError, NetlinkError, InterruptedDumpError, ValueError, LookupError, struct.error) as error:
        log.info("what hangs on device %d cannot be read in full: %s", ifindex, error)
        return ""


async def joined_group(ifindex: int, proc: Path = PROC) -> str:
    """Return a multicast group joined by a program on this device: its packets would come to the master instead."""
    groups = read_groups([ifindex], proc).get(ifindex, Groups())
    for group in map(ipaddress.ip_address, (*groups.four, *groups.six)):
        if not any(group in network for network in OWN_GROUPS if network.version == group.version):
            return f"a program has joined {group} on it"
    return ""
