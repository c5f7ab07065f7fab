"""A guest's NICs: their slots, and the QEMU options for them. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from failoverd_lab.switch import Port

Device = Mapping[str, Any]
"""Arguments of device_add or netdev_add, and of -device or -netdev as JSON."""


@dataclass(frozen=True, slots=True)
class GuestNic:
    """A NIC for a guest. `id` is the lab's name for it, `slot` (from 1) its PCIe slot.

    udev calls the one in slot 3 `enp3s0`. `pair` asks for QEMU's and the kernel's own failover: on a VF it is the
    paravirtual NIC's id, on the paravirtual NIC the VF's.
    """

    id: str
    kind: Literal["virtio", "vf"]
    mac: str
    slot: int
    pair: str = ""

    @property
    def address(self) -> str:
        """Its PCI address in the guest."""
        return f"0000:{self.slot:02x}:00.0"


@dataclass(frozen=True, slots=True)
class Plugged:
    """A NIC in its slot: its name in QEMU, its port on the switch, and the netdev that joins the two."""

    nic: GuestNic
    device: str
    port: Port
    netdev: Device


def nic_of(port: str) -> str:
    """Return the id of the NIC behind a port of the switch (ports are called `<nic>@<host>`)."""
    return port.rpartition("@")[0]


def sockets(directory: Path, name: str) -> tuple[Path, Path]:
    """Return the two ends of a NIC's wire: the switch's, and QEMU's."""
    return directory / f"{name}.switch", directory / f"{name}.qemu"


def netdev(device: str, mine: Path, theirs: Path) -> Device:
    """Return the netdev behind a NIC: QEMU binds `theirs` and sends every frame to `mine`."""
    ends = {"local": {"type": "unix", "path": str(theirs)}, "remote": {"type": "unix", "path": str(mine)}}
    return {"type": "dgram", "id": netdev_id(device), **ends}


def netdev_id(device: str) -> str:
    """Return the name of the netdev behind a device."""
    return f"net-{device}"


def card(nic: GuestNic, device: str, pair: str) -> Device:
    """Return the NIC's device; `pair` is the paravirtual NIC that it stands in for, in QEMU's own failover."""
    # Without an empty romfile QEMU wants the NIC's boot ROM, which is in another package.
    common = {"id": device, "netdev": netdev_id(device), "mac": nic.mac, "bus": f"slot{nic.slot}", "romfile": ""}
    if nic.kind == "virtio":
        return {"driver": "virtio-net-pci", "failover": bool(nic.pair), **common}
    return {"driver": "vmxnet3", **common} | ({"failover_pair_id": pair} if pair else {})
