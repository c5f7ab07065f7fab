"""What a configurer can match a device by: the NIC as it is, and the bond that would take its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from failoverd.dataclass import dataclass
from failoverd.model.links import Link
from failoverd.policy.naming import mark

RECORDS = "run/udev/data"
UDEVD = "run/udev/control"
"""Exists while udevd runs."""
HARDWARE = "sys/class/net"
ETHER = "ether"
"""systemd's type, by its ARPHRD type, of a NIC without a DEVTYPE of its own."""
MARKS = "FAILOVERD_"
"""The prefix of the properties that failoverd has udev set: they are gone or changed when the pair is joined."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device as systemd-networkd sees it. `properties` are udev's, and `path` is one of them. While the device is not
    `is_recorded` by udev yet, they are unknown, and match every pattern."""

    name: str
    altnames: frozenset[str] = frozenset()
    mac: str = ""
    perm_mac: str = ""
    driver: str = ""
    kind: str | None = None
    type: str = ETHER
    path: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    is_recorded: bool = True


def nic_as_it_is(nic: Link, root: Path) -> Device:
    """Return the NIC, from the kernel's facts and udev's record."""
    told = _pairs(_read(root / HARDWARE / nic.name / "uevent"))
    lines = _read(root / RECORDS / f"n{nic.ifindex}").split("\n")
    recorded = _pairs("\n".join(line[2:] for line in lines if line.startswith("E:")))
    is_recorded = any(line.startswith("I:") for line in lines) or not (root / UDEVD).exists()
    properties = {"SUBSYSTEM": "net", "INTERFACE": nic.name, "IFINDEX": str(nic.ifindex), **told, **recorded}
    return Device(
        nic.name,
        nic.altnames,
        nic.mac,
        nic.perm_mac,
        nic.driver,
        nic.kind or None,
        told.get("DEVTYPE") or ETHER,
        recorded.get("ID_PATH"),
        {key: value for key, value in properties.items() if not key.startswith(MARKS)},
        is_recorded,
    )


def bond_as_it_would_be(nic: Link, name: str) -> Device:
    """Return the bond in the place of this NIC. It is no hardware: it has no permanent MAC, no path, none of the
    properties that udev finds on a bus. Properties that a rule of the administrator sets on a bond are unknown; the
    bond is taken to have none.

    The NIC's alternative names go to it when it is in use already, and networkd 252 does not look at it again for that.
    """
    known = {"SUBSYSTEM": "net", "DEVTYPE": "bond", "INTERFACE": name, "ID_NET_DRIVER": "bonding"}
    marks = frozenset({mark(nic.perm_mac)})
    return Device(name, marks, nic.mac, driver="bonding", kind="bond", type="bond", properties=known)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError:
        return ""


def _pairs(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.split("\n") if "=" in line)
