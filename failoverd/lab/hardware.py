"""What a veth of the netns world passes for: a NIC on a bus, with a permanent MAC.

failoverd pairs hardware and nothing else, and that must not be made looser for a lab. So the lab says of each veth it
plugs in which NIC it stands for, and the daemon it starts (`netnsdaemon`) is told so where a driver is asked for
otherwise: `complete`. Every other device stays what it is, the veths of the guest's own containers included.

One small file for each device, named by its ifindex, is written before the device is made: the daemon may ask the
moment it appears. An ifindex is never used twice.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from failoverd.model.links import Link

DRIVERS = {"virtio": "virtio_net", "pci": "vmxnet3"}
"""The driver of each bus's NICs, as in the other worlds."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """One NIC; the fields are `failoverd.model.links.Link`'s. A veth takes any MTU, so `max_mtu` is only told."""

    bus: str
    driver: str
    parent: str
    perm_mac: str
    max_mtu: int


class Shelf:
    """The files, in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[int, Hardware] = {}

    def put(self, ifindex: int, hardware: Hardware) -> None:
        """Say what the veth with this ifindex, which is yet to be made, stands for."""
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / str(ifindex)).write_text(json.dumps(asdict(hardware)), encoding="utf-8")

    def complete(self, link: Link) -> Link:
        """The link as the NIC it stands for; any other link as it is."""
        if link.kind != "veth":
            return link
        if link.ifindex not in self._known:
            try:
                text = (self._directory / str(link.ifindex)).read_text(encoding="utf-8")
            except FileNotFoundError:
                return link
            self._known[link.ifindex] = Hardware(**json.loads(text))
        return replace(link, kind="", **asdict(self._known[link.ifindex]))
