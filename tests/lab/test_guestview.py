"""A real machine as the invariants see it, by iproute2's own words."""

from __future__ import annotations

from typing import Any

from failoverd_lab.guestview import machine_of
from failoverd_lab.invariants import ALWAYS, RELEASED, SETTLED, SOON, Machine, broken

MAC = "52:54:00:fa:11:01"
UP = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"]


def link(ifindex: int, name: str, bus: str, **more: Any) -> dict[str, Any]:
    """As `ip -j -d link` has it, as far as it is read."""
    row = {"ifindex": ifindex, "ifname": name, "flags": UP, "mtu": 1500, "address": MAC, "parentbus": bus}
    return row | {"linkinfo": {"info_slave_kind": "bond"}} | more


BOND = {
    "ifindex": 5,
    "ifname": "ens3",
    "flags": UP,
    "mtu": 1500,
    "address": MAC,
    "linkinfo": {"info_kind": "bond", "info_data": {"active_slave": "ens4"}},
    "altnames": ["failoverd-525400fa1101"],
}
LINKS = [link(2, "ens3nsby", "virtio", master="ens3"), link(4, "ens4", "pci", master="ens3"), BOND]
ADDRESSES = [
    {"ifindex": 2, "addr_info": []},
    {"ifindex": 5, "addr_info": [{"local": "10.111.0.2"}, {"local": "fe80::1"}]},
]
SAYS = [{"mac": MAC, "state": "accelerated", "reason": ""}]


def machine(came_by: str = "pci", links: Any = LINKS, addresses: Any = ADDRESSES, says: Any = SAYS) -> Machine:
    return machine_of(links, addresses, MAC, "10.111.0.2", came_by, says)


def kinds(found: Machine) -> set[str]:
    return {name for name, _ in broken((*ALWAYS, *SOON, *SETTLED), found)}


def test_what_iproute2_says_is_read() -> None:
    seen = machine()
    (pair,) = seen.hardware
    assert (pair.nic, pair.vfs, pair.holder, pair.path, pair.is_doubled) == (2, (4,), 5, 4, False)
    assert seen.devices[5].active == 4
    assert seen.devices[2].master == 5
    assert kinds(seen) == set()


def test_a_permanent_mac_tells_whose_a_nic_is() -> None:
    other = link(7, "ens9", "pci", permaddr="52:54:00:fa:11:09")
    assert machine(links=[*LINKS, other]).hardware[0].vfs == (4,)


def test_what_is_broken_is_found() -> None:
    assert kinds(machine("")) == {"traffic-flows", "traffic-flows-soon", "status-is-true"}
    assert kinds(machine("virtio")) == {"traffic-is-on-the-vf", "status-is-true"}
    second = BOND | {"ifindex": 6, "ifname": "bond1"}
    assert "one-master-for-a-mac" in kinds(machine(links=[*LINKS, second]))
    assert {name for name, _ in broken(RELEASED, machine())} == {"nothing-is-left-behind"}


def test_an_address_that_two_devices_have_is_doubled() -> None:
    both = [*ADDRESSES, {"ifindex": 4, "addr_info": [{"local": "10.111.0.2"}]}]
    assert machine(addresses=both).hardware[0].is_doubled


def test_a_nic_that_is_down_may_have_a_wire() -> None:
    down = [LINKS[0], {**LINKS[1], "flags": ["BROADCAST"]}, BOND]
    seen = machine(links=down)
    assert (seen.devices[4].up, seen.devices[4].wire) == (False, True)
