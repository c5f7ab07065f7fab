"""Attachments of pods on the simulated kernel, which has VLANs and ipvlans: shared, taken, gone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from linkssim import DEBIAN_12, DEBIAN_13, SimDriver, SimNamespaces

from failoverd.config.links.attachments import Attachment, attachment_of, laid_under
from failoverd.config.links.snapshot import Merged
from failoverd.links.events import MastersSeen
from failoverd.model.declared import Declared

MAC = "02:00:00:00:00:03"


class Pods:
    """Two pods beside a NIC that stands for a master, and what is attached for them."""

    def __init__(self, release: tuple[int, int] = DEBIAN_12) -> None:
        self.sim = SimNamespaces(release)
        for name in ("red", "blue"):
            self.sim.add(name)
        self.sim.kernel.plug("ens3", MAC, "virtio", "virtio_net", "virtio3", up=True)
        self.driver = self.started()
        self.attached: dict[str, Attachment] = {}

    def started(self) -> SimDriver:
        """An engine that knows of the master."""
        driver = SimDriver(self.sim)
        index = self.sim.devices()["ens3"].ifindex
        driver.tell(MastersSeen({"ens3": index, MAC: index}))
        return driver

    def attach(self, pod: str, **keys: Any) -> None:
        owner = {"pod": f"default/{pod}", "container": pod, "network": "net"}
        usual = {"lower": f"master:{MAC}", "namespace": {"name": pod}, "device": "net1", "owner": owner}
        self.attached[pod] = attachment_of(f"cni-{pod}", json.dumps(usual | keys).encode())
        self.declare()

    def detach(self, pod: str) -> None:
        del self.attached[pod]
        self.declare()

    def declared(self) -> Declared:
        return laid_under(Merged({}), {f"cni-{pod}": one for pod, one in self.attached.items()}).declared

    def declare(self) -> None:
        self.driver.declare(*self.declared().values())
        self.driver.let_pass(1)

    def states(self) -> Mapping[str, str]:
        return self.driver.states()

    def vlans(self) -> list[str]:
        """The VLANs in failoverd's own namespace."""
        return [name for name, seen in self.sim.devices().items() if seen.kind == "vlan"]


@pytest.mark.parametrize("release", [DEBIAN_12, DEBIAN_13])
@pytest.mark.parametrize("kind", ["ipvlan", "macvlan"])
def test_pods_share_one_vlan_as_long_as_one_of_them_is_there(release: tuple[int, int], kind: str) -> None:
    pods = Pods(release)
    for pod in ("red", "blue"):
        pods.attach(pod, kind=kind, vlan={"id": 7})
    assert set(pods.states().values()) == {"ready"}
    assert len(pods.states()) == 3
    [vlan] = pods.vlans()
    there = pods.sim.devices()[vlan].ifindex
    assert [pods.sim.devices(pod)["net1"].kind for pod in ("red", "blue")] == [kind, kind]
    pods.detach("red")
    assert "net1" not in pods.sim.devices("red")
    assert pods.sim.devices()[vlan].ifindex == there
    assert pods.states() == {vlan: "ready", "cni-blue": "ready"}
    pods.detach("blue")
    assert pods.vlans() == []
    assert pods.states() == {}


def test_a_vlan_goes_from_one_pod_to_the_next() -> None:
    pods = Pods()
    pods.attach("red", kind="vlan", id=7)
    assert pods.states() == {"cni-red": "ready"}
    pods.detach("red")
    pods.attach("blue", kind="vlan", id=7)
    assert pods.states() == {"cni-blue": "ready"}
    assert pods.vlans() == []
    assert [name for name in ("red", "blue") if "net1" in pods.sim.devices(name)] == ["blue"]


def test_a_vlan_that_is_somebody_elses_is_said_to_be() -> None:
    pods = Pods()
    pods.attach("red", kind="vlan", id=7)
    # Another daemon has forgotten it, and its device is there.
    pods.driver = pods.started()
    pods.attached.clear()
    pods.attach("blue", kind="vlan", id=7)
    assert pods.states() == {"cni-blue": "conflict id-taken"}
    status = pods.driver.state.statuses["cni-blue"]
    assert status.detail.startswith("VLAN 7 of what it stands on is another device, here or in a pod; remove")


def test_a_start_takes_up_what_is_there() -> None:
    pods = Pods()
    for pod in ("red", "blue"):
        pods.attach(pod, kind="ipvlan", vlan={"id": 7})
    before = {name: sorted(pods.sim.devices(name)) for name in ("", "red", "blue")}
    made = pods.sim.batches
    pods.driver = pods.started()
    pods.declare()
    assert set(pods.states().values()) == {"ready"}
    assert pods.sim.batches == made
    assert {name: sorted(pods.sim.devices(name)) for name in ("", "red", "blue")} == before
