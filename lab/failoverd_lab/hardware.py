"""The NIC that a veth of the netns world stands for: a bus, a driver, a permanent MAC.

failoverd pairs only hardware, and that must not be loosened for a lab. So the lab records for each veth that it plugs
in which NIC it stands for, and the daemon that it starts (`netnsdaemon`) reads that where the driver is queried
otherwise: `complete`. Every other device stays what it is, the veths of the guest's own containers included.

One small file for each device, named by its ifindex, is written before the device is made: the daemon may ask the
moment it appears. An ifindex is never used twice.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from failoverd.daemon.files import put
from failoverd.model.links import Link

DRIVERS = {"virtio": "virtio_net", "pci": "vmxnet3"}
"""The driver of each bus's NICs, as in the other worlds."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """One NIC; the fields are `failoverd.model.links.Link`'s. A veth accepts any MTU, so `max_mtu` is only reported."""

    bus: str
    driver: str
    parent: str
    perm_mac: str
    max_mtu: int


class Shelf:
    """The files in their directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, ifindex: int, hardware: Hardware) -> None:
        """Record what the veth with this ifindex, which is not made yet, stands for, or what it stands for from now
        on."""
        put(self._directory / str(ifindex), json.dumps(asdict(hardware)).encode())

    def complete(self, link: Link) -> Link:
        """Return the link as the NIC that it stands for; any other link as it is."""
        if link.kind != "veth":
            return link
        try:
            text = (self._directory / str(link.ifindex)).read_text(encoding="utf-8")
        except FileNotFoundError:
            return link
        return replace(link, kind="", **asdict(Hardware(**json.loads(text))))
