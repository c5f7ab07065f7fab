"""What the inventory listens to: groups, and a filter that keeps a router's routes out in the kernel.

A router's table has a million routes, and each change of one is an event. So the filter lets only default routes pass.
It sees a datagram's first message, and an event is a datagram of its own; a dump, with many messages in one, is
requested on another socket.
"""

from __future__ import annotations

import socket
import struct

from failoverd.netlink.frames import HEADER
from failoverd.netlink.inventory import RT_TABLE_MAIN, RTPROT_KERNEL

GROUPS = sum(1 << (group - 1) for group in (1, 5, 7, 9, 11, 32))
"""RTNLGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE, NEXTHOP (linux/rtnetlink.h)."""

BPF_LDH, BPF_LDB, BPF_JEQ, BPF_RET = 0x28, 0x30, 0x15, 0x06
EVERYTHING = 0xFFFFFFFF


def _instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """struct sock_filter (linux/filter.h)."""
    return struct.pack("=HBBI", code, yes, no, value)


FILTER = b"".join(
    (
        _instruction(BPF_LDH, 4),
        _instruction(BPF_JEQ, socket.htons(24), yes=1),
        _instruction(BPF_JEQ, socket.htons(25), yes=0, no=8),
        _instruction(BPF_LDB, HEADER.size + 4),
        _instruction(BPF_JEQ, RT_TABLE_MAIN, yes=0, no=7),
        _instruction(BPF_LDB, HEADER.size + 1),
        _instruction(BPF_JEQ, 0, yes=4),
        _instruction(BPF_LDB, HEADER.size),
        _instruction(BPF_JEQ, socket.AF_INET6, yes=0, no=3),
        _instruction(BPF_LDB, HEADER.size + 5),
        _instruction(BPF_JEQ, RTPROT_KERNEL, yes=0, no=1),
        _instruction(BPF_RET, EVERYTHING),
        _instruction(BPF_RET, 0),
    )
)
"""Passes RTM_NEWROUTE and RTM_DELROUTE only of table main, and there only default routes (rtm_dst_len 0) and the IPv6
routes that the kernel makes by itself for an address. An address is reported when its duplicate address detection is
over, but exists before (net/ipv6/addrconf.c, addrconf_dad_completed). All other messages pass. Loads are big-endian."""
