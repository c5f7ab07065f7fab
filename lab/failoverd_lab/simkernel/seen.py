"""The simulated kernel's devices as a judge sees them, in plain words."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.state import Device
from failoverd_lab.simkernel.wire import mac_text

KINDS = {"bond": "bonding", "vlan": "802.1Q VLAN Support"}


@dataclass(frozen=True, slots=True)
class Seen:
    """One device as a judge sees it: addresses as CIDR texts, MAC in lower case, `master` a name or "", `kind` as
    rtnetlink has it."""

    ifindex: int
    name: str
    mac: str
    master: str
    up: bool
    carrier: bool
    mtu: int
    addresses: tuple[str, ...]
    driver: str
    kind: str = ""
    altnames: tuple[str, ...] = ()


def driver(device: Device) -> str:
    """Return ethtool's name for a device's driver; hardware has a driver, for other devices it is their kind."""
    return KINDS.get(device.kind, device.kind) or device.driver


def seen(device: Device) -> Seen:
    """Return a device as a judge sees it."""
    families = {n.AF_INET: socket.AF_INET, n.AF_INET6: socket.AF_INET6}
    cidrs = tuple(f"{socket.inet_ntop(families[a.family], a.local)}/{a.prefixlen}" for a in (*device.v4, *device.v6))
    master = device.master.name if device.master else ""
    return Seen(
        device.index,
        device.name,
        mac_text(device.mac),
        master,
        device.up,
        device.running,
        device.mtu,
        cidrs,
        driver(device),
        device.kind,
        tuple(device.altnames),
    )
