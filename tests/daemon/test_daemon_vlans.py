"""VLANs that come along, on the simulated kernel: engine, codec and all, with a kill at each step of the move."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from failoverd_lab.sim import SimWorld
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.seen import Seen
from failoverd_lab.story import Nic, Scenario

MAC = "52:54:00:fa:11:01"
NICS = (Nic("pv", "virtio", MAC, "ens3"), Nic("vf", "pci", MAC, "ens4", plugged=False))
OWN = ("198.51.100.9/24", "2001:db8:5::9/64")
BOND = {"master": {"datapath": "bond"}}


def stand(world: SimWorld) -> None:
    """Two VLANs on the paravirtual NIC, of which one is down."""
    admin, lower = world.kernel.admin, world.ifindexes["pv"]
    for name, number in (("storage", 5), ("ens3.7", 7)):
        admin.create("vlan", name, data=wire.u16(n.IFLA_VLAN_ID, number), lower=lower)
    storage = seen(world, "storage").ifindex
    admin.configure(storage, OWN)
    admin.add_route("203.0.113.0/24", storage, "198.51.100.1")
    admin.describe(storage, 500, "to the disks", 3)
    admin.add_altname(storage, "disks")
    world.kernel.write_sysctl(storage, "ipv6/accept_ra", 0)


def seen(world: SimWorld, name: str) -> Seen:
    return next(link for link in world.kernel.links() if link.name == name)


def vlans(world: SimWorld) -> dict[str, tuple[Seen, str]]:
    """The VLANs without their ifindexes, by name, each with the kind or the bus of its device."""
    devices = world.kernel.net.devices
    found = {}
    for link in world.kernel.links():
        lower = devices[link.ifindex].lower
        if link.kind == "vlan" and lower is not None:
            found[link.name] = replace(link, ifindex=0), lower.kind or lower.bus
    return found


def tell(config: dict[str, dict[str, str]], kill_at: float | None = None) -> list[dict[str, tuple[Seen, str]]]:
    """Join and release. Returns the VLANs before, when joined and when released."""
    world = SimWorld(lambda _text: None)
    looks = []

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            await world.start(Scenario("vlans", "VLANs", NICS, (), config=config), nursery)
            stand(world)
            looks.append(vlans(world))
            world.plug("vf")
            if kill_at is not None:
                await trio.sleep(kill_at)
                await world.kill_daemon()
                await world.start_daemon()
            await trio.sleep(20)
            looks.append(vlans(world))
            await world.tell_daemon("release", str(seen(world, "ens3").ifindex))
            await trio.sleep(20)
            looks.append(vlans(world))
            nursery.cancel_scope.cancel()

    trio.run(story, clock=world.clock)
    return looks


@pytest.mark.parametrize("kill_at", [None, 0, 0.001, 0.05, 0.11])
def test_a_bond_takes_them_along_and_gives_them_back(kill_at: float | None) -> None:
    before, joined, released = tell(BOND, kill_at)
    assert before.keys() == {"storage", "ens3.7"}
    assert set(OWN) <= set(before["storage"][0].addresses)
    assert {lower for _, lower in before.values()} == {"virtio"}
    assert joined == {name: (link, "bond") for name, (link, _) in before.items()}
    assert released == before


def test_by_traffic_control_they_stay_where_they_are() -> None:
    before, joined, released = tell({"master": {"datapath": "tc"}})
    assert before == joined == released
