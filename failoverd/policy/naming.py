"""What devices are called, and how failoverd knows its own bonds again.

A bond failoverd made must be known again by the next start, whatever happened in between, from the kernel's own state
alone. While it is being made it has a name that holds the whole MAC (`fo525400aabbcc`, 14 bytes); from then on an
alternative name (`failoverd-525400aabbcc`) marks it, because its name is then the paravirtual NIC's. A file could get
lost, an ifindex could be used again, and a bond that merely looks right may be somebody else's. A second one
(`failoverd-new-525400aabbcc`) is there until the configuration is moved to it, as somebody may rename it before.
"""

from __future__ import annotations

import re
from typing import Literal

from failoverd.model.links import IFNAMSIZ, Link

FORBIDDEN = frozenset(b"/:%")
SPACE = frozenset(b"\t\n\v\f\r \xa0")
"""To the kernel each of these bytes is white space (lib/ctype.c), also in the middle of a UTF-8 character."""
PREFIX = "failoverd-"
"""Of all alternative names that are ours."""
WAS = f"{PREFIX}was-"
OURS = re.compile("(?:fo|failoverd-)(?P<mac>[0-9a-f]{12})")


def flat(mac: str) -> str:
    """A MAC without its colons."""
    return mac.replace(":", "")


def passing_name(mac: str) -> str:
    """The name a bond has while it is being made or taken down."""
    return f"fo{flat(mac)}"


def is_passing_name(name: str) -> bool:
    """Whether a device of this name is a bond on its way in or out."""
    found = OURS.fullmatch(name)
    return found is not None and name.startswith("fo") and not name.startswith("failoverd-")


def mark(mac: str) -> str:
    """The alternative name that says: failoverd made this."""
    return f"failoverd-{flat(mac)}"


def new_mark(mac: str) -> str:
    """The alternative name that says: nothing was moved to this yet."""
    return f"failoverd-new-{flat(mac)}"


Role = Literal["qdisc", "vf"]
"""What of a NIC is ours: its clsact qdisc; how a VF behaves."""


def nic_mark(nic: Link, role: Role) -> str:
    """The alternative name that says: failoverd has changed how this NIC works, and has to give it back."""
    return f"failoverd-{role}-{nic.ifindex}"


def is_marked(nic: Link, role: Role) -> bool:
    """Whether a NIC says so."""
    return nic_mark(nic, role) in nic.altnames


def is_touched(nic: Link) -> bool:
    """Whether there is something of ours on this NIC: our mark, or a filter with our cookie."""
    return is_marked(nic, "qdisc") or is_marked(nic, "vf") or any(found.ours for found in nic.tc.filters)


def our_mac(link: Link) -> str:
    """The pair a bond was made for, as its mark says; "" if failoverd did not make this device.

    Its own MAC would not do: the kernel makes it a random one when the last slave leaves.
    """
    if link.kind != "bond":
        return ""
    found = [m for m in map(OURS.fullmatch, (link.name, *sorted(link.altnames))) if m]
    return ":".join(re.findall("..", found[0]["mac"])) if found else ""


def own_altnames(link: Link) -> tuple[str, ...]:
    """The device's alternative names but for the mark, in a steady order."""
    return tuple(sorted(name for name in link.altnames if not name.startswith(PREFIX)))


def was(ifindex: int, name: str) -> str:
    """The alternative name that says: failoverd has renamed this NIC, and owes it this name. With its ifindex, as the
    kernel gives a name that has become free to the next NIC, and each alternative name is there but once."""
    return f"{WAS}{ifindex}-{name}"


def debts(link: Link) -> tuple[str, ...]:
    """All alternative names of this NIC that say so."""
    return tuple(sorted(name for name in link.altnames if name.startswith(WAS)))


def formers(link: Link) -> tuple[str, ...]:
    """The names this NIC had before failoverd renamed it."""
    return tuple(name.removeprefix(WAS).removeprefix(f"{link.ifindex}-") for name in debts(link))


def why_not_a_name(name: str) -> str:
    """Why the kernel would refuse this device name (net/core/dev.c, dev_valid_name), or "".

    `%` is refused although the kernel would take it: it expands `%d` to a number of its own.
    """
    raw = name.encode("utf-8", "surrogateescape")
    if not name or name in (".", ".."):
        return "it is not a name"
    if len(raw) > IFNAMSIZ:
        return f"it has {len(raw)} bytes and the kernel takes {IFNAMSIZ}"
    bad = next((c for c in name if {*c.encode("utf-8", "surrogateescape")} & (FORBIDDEN | SPACE)), "")
    return f"it contains {bad!r}" if bad else ""


def spare_name(mac: str) -> str:
    """What a standby is called where `<master>nsby` is not to be had."""
    return f"fs{flat(mac)}"
