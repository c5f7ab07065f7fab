"""A real machine for invariants.py, from iproute2's output and from the switch outside.

iproute2 has a decoder of its own, so of failoverd only its status has a part in the judgement. The path is what a
neighbour sees: the port by which the machine's frames come in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from failoverd_lab.invariants import Device, Hardware, Machine

COMMANDS = ("ip -j -d link show", "ip -j address show")
"""The commands whose output `machine_of` needs."""

Row = Mapping[str, Any]


def machine_of(
    links: Sequence[Row],
    addresses: Sequence[Row],
    mac: str,
    address: str,
    came_by: str,
    masters: Sequence[Row] | None,
) -> Machine:
    """Return a machine with one pair, with this permanent MAC and reached at this address.

    `links` and `addresses` are iproute2's (COMMANDS). `came_by` is the bus of the NIC by which frames came from it last
    ("" where none came), `masters` the daemon's view. Raises KeyError where a document is not iproute2's.
    """
    indexes = {row["ifname"]: row["ifindex"] for row in links}
    devices = {row["ifindex"]: _device(row, indexes) for row in links}
    mine = [row for row in links if _permanent(row) == mac and not _kind(row)]
    nic = next((row["ifindex"] for row in mine if row.get("parentbus") == "virtio"), 0)
    vfs = tuple(row["ifindex"] for row in mine if row.get("parentbus") == "pci")
    holders = [row["ifindex"] for row in addresses if address in {one["local"] for one in row["addr_info"]}]
    path = {"virtio": nic, "pci": vfs[0] if vfs else 0}.get(came_by, 0)
    found = Hardware(mac, nic, vfs, address, holders[0] if holders else 0, path, is_doubled=len(holders) > 1)
    return Machine(devices, [found], masters)


def _device(row: Row, indexes: Mapping[str, int]) -> Device:
    flags, data = row["flags"], row.get("linkinfo", {}).get("info_data", {})
    is_up, has_carrier = "UP" in flags, "LOWER_UP" in flags
    return Device(
        row["ifindex"],
        row["ifname"],
        _kind(row),
        row.get("address", ""),
        indexes.get(row.get("master", ""), 0),
        is_up,
        has_carrier,
        has_carrier or not is_up,
        row["mtu"],
        indexes.get(data.get("active_slave", ""), 0),
        indexes.get(row.get("link") or "", 0),
        tuple(row.get("altnames", ())),
    )


def _kind(row: Row) -> str:
    return str(row.get("linkinfo", {}).get("info_kind", ""))


def _permanent(row: Row) -> str:
    return str(row.get("permaddr") or row.get("address", ""))
