"""A pair that Hyper-V's driver has joined is watched, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from failoverd.config.spec import Config, KernelFailover
from failoverd.datapaths.netvsc import DATAPATH
from failoverd.model.links import Link

MAC = "00:15:5d:fa:11:01"
NIC = Link(2, "eth0", MAC, MAC, up=True, carrier=True, bus="vmbus", driver="hv_netvsc")
VF = Link(3, "enP1s1", MAC, MAC, up=True, carrier=True, master=2, bus="pci", driver="mlx5_core")


def test_nothing_is_ever_done() -> None:
    config = Config(kernel_failover=KernelFailover(close_hole=True))
    assert DATAPATH.create(MAC, NIC, config) == DATAPATH.attach(VF, NIC) == DATAPATH.detach(VF) == []
    assert DATAPATH.remove(NIC) == DATAPATH.switch(NIC, 3) == DATAPATH.hear(NIC, both=True) == []
    assert DATAPATH.widen(VF, everything=True) == DATAPATH.mend(NIC, VF, NIC, config) == []
    assert DATAPATH.conflict(VF, NIC) == DATAPATH.mtu_mismatch(VF, NIC) == DATAPATH.flaws(NIC, VF, NIC) == ""
    assert DATAPATH.holds(VF, NIC)
    assert DATAPATH.holds(NIC, NIC)
    assert not DATAPATH.holds(replace(VF, master=0), NIC)


@pytest.mark.parametrize(
    ("vf", "active"),
    [
        (VF, 3),
        (None, 2),
        (replace(VF, carrier=False), 2),
        (replace(VF, up=False), 2),
        (replace(VF, master=0), 2),
    ],
)
def test_who_carries_by_the_drivers_rule(vf: Link | None, active: int) -> None:
    assert DATAPATH.active(NIC, vf, NIC) == active
