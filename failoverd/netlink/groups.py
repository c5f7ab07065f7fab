"""Report again to the network which multicast groups this machine is in, by the way that traffic takes now.

A switch that listens to such reports (RFC 4541) sends a group to the ports where it has heard one. It would learn of
the other NIC only at its router's next query, two minutes later. A bond makes the kernel report (NETDEV_RESEND_IGMP).
There is no request for it from user space, so under the `tc` datapath the reports are built here. They are those of the
kernel itself: current-state records (RFC 3376, 4.2; RFC 3810, 5.2), or IGMPv1 and v2 reports where the kernel has heard
a router of that version. The kernel does not tell the same of MLDv1. Rejected: joining and leaving a group of
failoverd's own (the kernel reports only that one), and taking the device down and up.

The groups are read from /proc/thread-self/net: rtnetlink lists only those of IPv6, and those of IPv4 from 6.15 on. A
membership with a source list is reported as one without: the kernel drops what it does not want of the traffic.

These files name every device of the namespace, and a name is bytes: any but NUL, "/", ":" and what the kernel's
isspace() calls white space (net/core/dev.c, dev_valid_name). So the lines are split as bytes, where white space is
ASCII's and no line ends at 0x85; as text, a name could be cut in two, and its end be taken for a number. The names are
not used.
"""

from __future__ import annotations

import struct
from binascii import unhexlify
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from failoverd.dataclass import dataclass
from failoverd.model.inet import Address
from failoverd.netlink.checksum import internet_checksum

PROC = Path("/proc/thread-self/net")
ALL_HOSTS, ALL_NODES = bytes([224, 0, 0, 1]), bytes.fromhex("ff02") + bytes(13) + b"\x01"
"""Every host is in these groups, and they are never reported."""
IGMP_ROUTERS, MLD_ROUTERS = bytes([224, 0, 0, 22]), bytes.fromhex("ff02") + bytes(13) + b"\x16"
V1_REPORT, V2_REPORT, V3_REPORT, MLD2_REPORT = 0x12, 0x16, 0x22, 143
OLD = {b"V1": V1_REPORT, b"V2": V2_REPORT}
IS_EXCLUDE = 2
LINK_SCOPE, SCOPE_LINK = 2, 253
ETH_P_IPV4, ETH_P_IPV6, IGMP, ICMPV6, HOP_BY_HOP = 0x0800, 0x86DD, 2, 58, 0
ALERT4, ALERT6 = bytes([0x94, 4, 0, 0]), bytes([ICMPV6, 0, 5, 2, 0, 0, 1, 0])
"""Router alert: an IPv4 option (RFC 2113); a hop-by-hop header (RFC 2711) with its padding."""
INTERNETWORK_CONTROL = 0xC0
MOST4, MOST6 = 150, 60
"""Most records in a report, so that it fits into any Ethernet frame."""
UNSURE = 0x40 | 0x08


@dataclass(frozen=True, slots=True)
class Groups:
    """A device's groups, in network byte order; `old` is the type of an older IGMP's report, 0 for version 3."""

    four: tuple[bytes, ...] = ()
    six: tuple[bytes, ...] = ()
    old: int = 0


def read_groups(ifindexes: Collection[int], proc: Path = PROC) -> dict[int, Groups]:
    """Return the groups of these devices in this thread's network namespace.

    Raises OSError where they cannot be read, and as the parsers do.
    """
    four, six = parse_igmp((proc / "igmp").read_bytes()), parse_igmp6(_optional(proc / "igmp6"))
    found = {}
    for ifindex in ifindexes:
        groups, old = four.get(ifindex, ((), 0))
        found[ifindex] = Groups(groups, six.get(ifindex, ()), old)
    return found


def _optional(path: Path) -> bytes:
    """Read a file that a kernel without IPv6 does not have."""
    return path.read_bytes() if path.exists() else b""


def _lines(raw: bytes) -> list[bytes]:
    return [line for line in raw.split(b"\n") if line]


def parse_igmp(raw: bytes) -> dict[int, tuple[tuple[bytes, ...], int]]:
    """Parse /proc/net/igmp: by ifindex, the groups to report and the type of an older IGMP's report, or 0.

    The indented lines of a device's groups follow the device's own (net/ipv4/igmp.c, igmp_mc_seq_show).

    Raises ValueError, LookupError or struct.error where it is not such a list.
    """
    found: dict[int, tuple[tuple[bytes, ...], int]] = {}
    current = 0
    for line in _lines(raw)[1:]:
        words = line.split()
        if not line.startswith(b"\t"):
            current = int(words[0])
            found[current] = ((), OLD.get(words[-1], 0))
            continue
        group = struct.pack("=I", int(words[0], 16))
        if group != ALL_HOSTS:
            groups, old = found[current]
            found[current] = ((*groups, group), old)
    return found


def parse_igmp6(raw: bytes) -> dict[int, tuple[bytes, ...]]:
    """Parse /proc/net/igmp6: by ifindex, the groups to report. Groups that do not leave the machine are not (RFC 3810,
    6).

    A group is the fourth word from the end (net/ipv6/mcast.c, igmp6_mc_seq_show). Raises as parse_igmp does.
    """
    found: dict[int, tuple[bytes, ...]] = {}
    for words in map(bytes.split, _lines(raw)):
        group = unhexlify(words[-4])
        if group != ALL_NODES and group[1] & 0xF >= LINK_SCOPE:
            found[int(words[0])] = (*found.get(int(words[0]), ()), group)
    return found


def reports(mac: bytes, addresses: Iterable[Address], groups: Groups) -> list[bytes]:
    """Build the frames that report these groups, from a device with this MAC and these addresses."""
    known = list(addresses)
    four = next((a.local for a in known if len(a.local) == 4), bytes(4))
    sure = (a for a in known if len(a.local) == 16 and a.scope == SCOPE_LINK and not a.flags & UNSURE)
    six = next((a.local for a in sure), bytes(16))
    if groups.old:
        frames = [_igmp(mac, four, group, struct.pack("!BBH4s", groups.old, 0, 0, group)) for group in groups.four]
    else:
        frames = [_igmp(mac, four, IGMP_ROUTERS, _report(V3_REPORT, part)) for part in _parts(groups.four, MOST4)]
    return frames + [_mld(mac, six, _report(MLD2_REPORT, part)) for part in _parts(groups.six, MOST6)]


def _parts(groups: tuple[bytes, ...], most: int) -> list[tuple[bytes, ...]]:
    return [groups[start : start + most] for start in range(0, len(groups), most)]


def _report(kind: int, groups: tuple[bytes, ...]) -> bytes:
    """Build a report of every source of each group; IGMPv3's and MLDv2's differ only in the length of an address."""
    records = b"".join(struct.pack("!BBH", IS_EXCLUDE, 0, 0) + group for group in groups)
    return struct.pack("!BxHxxH", kind, 0, len(groups)) + records


def _igmp(mac: bytes, source: bytes, to: bytes, report: bytes) -> bytes:
    report = _summed(report, 2, b"")
    size = 20 + len(ALERT4) + len(report)
    head = struct.pack("!BBHHHBBH", 0x46, INTERNETWORK_CONTROL, size, 0, 0x4000, 1, IGMP, 0) + source + to + ALERT4
    multicast = bytes.fromhex("01005e") + bytes([to[1] & 0x7F]) + to[2:]
    return multicast + mac + struct.pack("!H", ETH_P_IPV4) + _summed(head, 10, b"") + report


def _mld(mac: bytes, source: bytes, report: bytes) -> bytes:
    pseudo = source + MLD_ROUTERS + struct.pack("!II", len(report), ICMPV6)
    body = ALERT6 + _summed(report, 2, pseudo)
    head = struct.pack("!IHBB", 6 << 28, len(body), HOP_BY_HOP, 1) + source + MLD_ROUTERS
    return b"\x33\x33" + MLD_ROUTERS[12:] + mac + struct.pack("!H", ETH_P_IPV6) + head + body


def _summed(data: bytes, at: int, pseudo: bytes) -> bytes:
    return data[:at] + struct.pack("!H", internet_checksum(pseudo + data)) + data[at + 2 :]


def of_all(devices: Mapping[int, str], proc: Path = PROC) -> tuple[dict[int, Groups], str]:
    """Return the groups of these devices and ""; or no groups and a sentence that says why."""
    try:
        return read_groups(devices, proc), ""
    except OSError as error:
        return {}, f"the multicast groups cannot be read: {error}"
    except (ValueError, LookupError, struct.error) as error:
        # Whatever a later kernel writes there, the addresses are announced all the same.
        return {}, f"the multicast groups cannot be read: {error!r}"
