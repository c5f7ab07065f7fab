"""Device names, and how failoverd recognizes its own bonds.

The next start must recognize a bond that failoverd made, whatever happened in between, from the kernel's own state
alone. An alternative name (`failoverd-525400aabbcc`) marks it. A second one (`failoverd-new-525400aabbcc`) is there
until the configuration is moved to the bond, and again when it was moved away. An alternative name exists only once in
the kernel, so a MAC has one master. A device's own name proves nothing: any process may rename a live master to the
name that another one had while it was made, or give its own bond that name. A file could get lost, an ifindex could be
used again.

The kernel takes no alternative name in the message that creates a device. A kill between that message and the marks
leaves a bond that is recognized by a bonding option of the first message: an `lp_interval` that nothing else uses, and
that an active-backup bond ignores. Its MAC says for which pair it was made: until a bond has slaves, it keeps the one
it was given. Rejected: the marks in the same datagram, with the new bond addressed by its name. Where the name is
taken, the first message is refused, and the second one would mark another program's device.

A bond that has a passing name and no mark or signature of failoverd's belongs to another program. It is left alone, and
a pair that needs the name reports which device has it.
"""

from __future__ import annotations

import re
from typing import Literal

from failoverd.kinds import Bond, Vlan
from failoverd.kinds.bond import HEARING, SIGNATURE
from failoverd.kinds.vlan import ETH_P_8021Q
from failoverd.model.links import IFNAMSIZ, Link

FORBIDDEN = frozenset(b"/:%")
SPACE = frozenset(b"\t\n\v\f\r \xa0")
"""Bytes that the kernel takes for white space (lib/ctype.c), also in the middle of a UTF-8 character."""
PREFIX = "failoverd-"
"""The prefix of all alternative names that failoverd sets."""
WAS = f"{PREFIX}was-"
MARK = re.compile(f"{PREFIX}(?P<mac>[0-9a-f]{{12}})")


def flat(mac: str) -> str:
    """A MAC without its colons."""
    return mac.replace(":", "")


def passing_name(mac: str) -> str:
    """Return the name that a bond has while it is being made or taken down. It does not say which program made the
    device.
    """
    return f"fo{flat(mac)}"


def passing_vlan(lower: int, vlan: Vlan) -> str:
    """Return the name that a VLAN on this device has while another one is made of it, or it of another one.

    The kernel has no two VLANs of one protocol and number on one device. At most 14 bytes.
    """
    return f"fo{lower:x}{'.' if vlan.protocol == ETH_P_8021Q else 's'}{vlan.id:x}"


def mark(mac: str) -> str:
    """Return the alternative name that marks a device as made by failoverd."""
    return f"failoverd-{flat(mac)}"


def is_in_use(master: Link | None, mac: str) -> bool:
    """Whether this master, made by failoverd for that MAC, has its NIC's configuration."""
    return master is not None and mark(mac) in master.altnames and new_mark(mac) not in master.altnames


def part_mark(mac: str, name: str) -> str:
    """Return the alternative name of a device that is being made for a master that moves, and does not stand on it: a
    bridge that it is in, another port of that."""
    return f"{PREFIX}part-{flat(mac)}-{name}"


def new_mark(mac: str) -> str:
    """Return the alternative name that marks a master without the configuration: not moved to it yet, or moved away
    again.
    """
    return f"failoverd-new-{flat(mac)}"


def is_new(master: Link, mac: str) -> bool:
    """Whether the configuration of this MAC's pair is not on its master."""
    return new_mark(mac) in master.altnames


def is_named(master: Link, mac: str) -> bool:
    """Whether a master has its lasting name. A bond without its marks has just been made."""
    return master.kind != "bond" or (bool(marked_mac(master)) and not is_new(master, mac))


Role = Literal["qdisc", "vf"]
"""What failoverd has changed on a NIC: its clsact qdisc; how a VF behaves."""


def nic_mark(nic: Link, role: Role) -> str:
    """Return the alternative name that marks a NIC whose working failoverd has changed and has to restore."""
    return f"failoverd-{role}-{nic.ifindex}"


def is_marked(nic: Link, role: Role) -> bool:
    """Whether a NIC bears that mark."""
    return nic_mark(nic, role) in nic.altnames


def is_touched(nic: Link) -> bool:
    """Whether failoverd has left something on this NIC: a mark, or a filter with its cookie."""
    return is_marked(nic, "qdisc") or is_marked(nic, "vf") or any(found.ours for found in nic.tc.filters)


def is_left_over(nic: Link) -> bool:
    """Whether a NIC that is in no pair bears something that was put there for one. A slave is left to its master."""
    return not nic.master and not nic.kind and (is_touched(nic) or bool(debts(nic)))


def marked_mac(link: Link) -> str:
    """Return the MAC of the pair that a bond was made for, by its mark; "" if it has none."""
    if link.kind != "bond":
        return ""
    found = [m for m in map(MARK.fullmatch, sorted(link.altnames)) if m]
    return ":".join(re.findall("..", found[0]["mac"])) if found else ""


def unmarked_mac(link: Link) -> str:
    """Return the MAC of the pair that an unmarked bond was made for; "" if failoverd did not make it, or has marked it.

    It may also be a master that has lost its mark. Without slaves it is none: the kernel gives a bond another MAC when
    its last slave leaves.
    """
    is_signed = isinstance(link.info, Bond) and link.info.lp_interval in (SIGNATURE, HEARING)
    return link.mac if is_signed and not marked_mac(link) else ""


def own_altnames(link: Link) -> tuple[str, ...]:
    """Return the device's alternative names without failoverd's marks, in a steady order."""
    return tuple(sorted(name for name in link.altnames if not name.startswith(PREFIX)))


def was(ifindex: int, name: str) -> str:
    """Return the alternative name that records a NIC's name before failoverd renamed it, to be given back later.

    It has the ifindex in it: the kernel gives a name that has become free to the next NIC, and each alternative name
    exists only once.
    """
    return f"{WAS}{ifindex}-{name}"


def debts(link: Link) -> tuple[str, ...]:
    """Return all such alternative names of this NIC."""
    return tuple(sorted(name for name in link.altnames if name.startswith(WAS)))


def formers(link: Link) -> tuple[str, ...]:
    """Return the names that this NIC had before failoverd renamed it."""
    return tuple(name.removeprefix(WAS).removeprefix(f"{link.ifindex}-") for name in debts(link))


def invalid_name_reason(name: str) -> str:
    """Return why the kernel would refuse this device name (net/core/dev.c, dev_valid_name), or "".

    `%` is refused although the kernel would take it: it expands `%d` to a number of its own.
    """
    raw = name.encode("utf-8", "surrogateescape")
    if not name or name in (".", ".."):
        return "it is not a name"
    if len(raw) > IFNAMSIZ:
        return f"it has {len(raw)} bytes and the kernel takes {IFNAMSIZ}"
    bad = next((c for c in name if {*c.encode("utf-8", "surrogateescape")} & (FORBIDDEN | SPACE)), "")
    return f"it contains {bad!r}" if bad else ""


def swap_name(mac: str) -> str:
    """Return the name of a VF for the moment in which it exchanges names with its paravirtual NIC."""
    return f"fv{flat(mac)}"


def spare_name(mac: str) -> str:
    """Return the name of a standby that cannot be called `<master>nsby`."""
    return f"fs{flat(mac)}"
