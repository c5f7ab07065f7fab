"""The machine as a story has left it, for the invariants: the same in every world, from what every world reports.

The NIC that carries is seen from outside, and the daemon's status is judged by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from failoverd_lab.checks import Look
from failoverd_lab.invariants import ALWAYS, SETTLED, SOON, Device, Hardware, Machine, broken
from failoverd_lab.lan import ADDRESS
from failoverd_lab.story import Scenario

REST = 5.0
"""Seconds within which a machine comes to rest when its story is over."""

Row = Mapping[str, Any]


def machine(scenario: Scenario, look: Look, carrier: str) -> Machine:
    """Convert `look` for the invariants; `carrier` is the story's id of the NIC by which frames come in, "" for
    none."""
    names = {row["name"]: row["ifindex"] for row in look.links}
    ids = {row["nic"]: row["ifindex"] for row in look.links if row["nic"]}
    hardware = [_hardware(scenario, look, mac, ids, carrier) for mac in sorted({nic.mac for nic in scenario.nics})]
    devices = {row["ifindex"]: _device(row, names) for row in look.links}
    return Machine(devices, hardware, None if look.status is None else look.masters)


def not_held(scenario: Scenario, look: Look, carrier: str) -> Iterator[tuple[str, str]]:
    """Yield each invariant that does not hold: its name, and what is wrong."""
    return broken((*ALWAYS, *SOON, *SETTLED), machine(scenario, look, carrier))


def _hardware(scenario: Scenario, look: Look, mac: str, ids: Mapping[str, int], carrier: str) -> Hardware:
    mine = [nic for nic in scenario.nics if nic.mac == mac]
    nic = next((ids[nic.id] for nic in mine if nic.bus == "virtio" and nic.id in ids), 0)
    vfs = tuple(ids[nic.id] for nic in mine if nic.bus == "pci" and nic.id in ids)
    holders = [row for row in look.links if ADDRESS in {cidr.partition("/")[0] for cidr in row["addresses"]}]
    master = next((row for row in look.masters if row["mac"] == mac), {})
    # The guest's addresses are on the first pair.
    is_reached = next(nic.mac for nic in scenario.nics if nic.bus == "virtio") == mac
    return Hardware(
        mac,
        nic,
        vfs,
        ADDRESS if is_reached else "",
        holders[0]["ifindex"] if holders and is_reached else 0,
        ids.get(carrier, 0),
        is_doubled=len(holders) > 1,
        automatic=scenario.config.get("failback", {}).get("automatic", True) and not master.get("drained", False),
    )


def _device(row: Row, names: Mapping[str, int]) -> Device:
    return Device(
        row["ifindex"],
        row["name"],
        row["kind"] if not row["nic"] else "",
        row["mac"],
        names.get(row["master"], 0),
        row["up"],
        row["carrier"],
        row["carrier"] or not row["up"],
        row["mtu"],
        altnames=tuple(row["altnames"]),
    )
