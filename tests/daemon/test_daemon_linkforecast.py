"""Links that are foretold together with the pairs that they stand on, on a simulated kernel."""

from __future__ import annotations

from dataclasses import replace

import trio
from test_daemon_engine import FIRST
from trio.testing import MockClock

from failoverd.config.spec import Config
from failoverd.daemon.dryrun import foresee
from failoverd.daemon.linkforecast import World
from failoverd.daemon.links import joined_masters
from failoverd.daemon.store import MemoryStore
from failoverd.kinds import Vlan
from failoverd.links.forecast import Forecast, foretell
from failoverd.links.marks import Identity
from failoverd.links.state import LinksState
from failoverd.model.declared import OWN, DeviceRef, End
from failoverd.model.links import Link
from failoverd.model.places import HERE
from failoverd.netlink.transport import Transport
from failoverd_lab.simkernel import Namespaces, SimKernel
from failoverd_lab.simlinks import SimDoors

STORAGE = End("storage", "vlan", "ens3.120", lower=DeviceRef("master", "ens3"), options=Vlan(120), up=False)


def test_a_vlan_on_a_pair_that_is_not_joined_yet_is_made_on_the_master_that_there_will_be() -> None:
    async def body() -> Forecast:
        kernel = SimKernel(trio.current_time, (6, 1))
        kernel.plug("ens3", FIRST, "virtio", "virtio_net", "virtio0")
        kernel.plug("ens4", FIRST, "pci", "mlx5_core", "0000:01")

        def complete(link: Link) -> Link:
            return replace(link, driver="" if link.kind else kernel.driver(link.ifindex))

        async def open_inet() -> Transport:
            return kernel.open(strict=True)

        opened, now = kernel.open(strict=True), trio.current_time()
        pairs = await foresee(Config(), opened, open_inet, complete, MemoryStore(), lambda _nic, _name: "", now)
        assert any("create bond" in line for line in pairs.lines)
        state = LinksState(Identity("0000cafe"))
        state.masters = joined_masters(pairs.state)
        world = World(SimDoors(Namespaces(kernel)), {OWN: HERE}, pairs.changed(), live=False)
        before = kernel.links()
        found = foretell(state, {"storage": STORAGE}, world)
        assert kernel.links() == before
        return found

    found = trio.run(body, clock=MockClock(autojump_threshold=0))
    assert [one.requests[0] for one in found.asked] == ["create vlan ens3.120 on ens3 with VLAN 120"]
    assert (found.statuses["storage"].state.value, found.statuses["storage"].reason) == ("ready", "")
