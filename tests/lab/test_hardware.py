"""What veths pass for, and that nothing else does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from failoverd.config.spec import Pairing
from failoverd.model.links import Link
from failoverd.model.pairs import Verdict
from failoverd.policy.pairing import judge
from failoverd_lab.hardware import Hardware, Shelf

VETH = Link(100, "ens3", mac="52:54:00:fa:11:01", kind="veth", max_mtu=65535)
NIC = Hardware("virtio", "virtio_net", "virtio100", "52:54:00:fa:11:01", 9190)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "hardware")
    shelf.put(100, NIC)
    return shelf


def test_a_listed_veth_is_the_nic_it_stands_for_and_is_paired_as_one(shelf: Shelf) -> None:
    found = shelf.complete(VETH)
    assert found == replace(
        VETH, kind="", bus="virtio", driver="virtio_net", parent="virtio100", perm_mac=NIC.perm_mac, max_mtu=9190
    )
    assert judge({100: found}, Pairing()).verdicts[100].verdict is Verdict.ALONE


@pytest.mark.parametrize(
    "other",
    [replace(VETH, ifindex=101), replace(VETH, kind="bridge"), replace(VETH, kind="")],
    ids=["a veth that is not listed", "another kind", "hardware"],
)
def test_anything_else_stays_what_it_is(shelf: Shelf, other: Link) -> None:
    assert shelf.complete(other) == other


def test_the_list_may_grow_while_it_is_used(shelf: Shelf) -> None:
    later = replace(VETH, ifindex=101)
    assert shelf.complete(later) == later
    shelf.put(101, replace(NIC, bus="pci"))
    assert shelf.complete(later).bus == "pci"
    assert shelf.complete(VETH).bus == "virtio"
