from __future__ import annotations

from pathlib import Path

import pytest
import trio
from privatenet import private_net
from veths import make_veth

from failoverd.model.health import Mode
from failoverd.model.links import Link
from failoverd.netlink import devices as module
from failoverd.netlink.devices import Devices, read_driver, read_mode, read_speed

NIC = Link(7, "no such device", bus="virtio", parent="virtio3")


@pytest.mark.parametrize(
    ("features", "offered"),
    [
        ("0" * 62 + "10\n", True),
        ("0" * 64 + "\n", False),
        ("1" * 62 + "01", False),
        ("", False),
        ("1" * 10, False),
    ],
)
def test_whether_the_hypervisor_offers_the_kernels_own_failover(tmp_path: Path, features: str, offered: bool) -> None:
    (tmp_path / "virtio3").mkdir()
    (tmp_path / "virtio3" / "features").write_text(features)
    assert Devices(tmp_path).complete(NIC).standby_feature is offered


def test_features_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    assert not Devices(tmp_path).complete(NIC).standby_feature
    (tmp_path / "virtio3").mkdir()
    (tmp_path / "virtio3" / "features").write_bytes(b"\xff" * 64)
    assert not Devices(tmp_path).complete(NIC).standby_feature


def test_a_device_of_a_kind_is_not_looked_at(tmp_path: Path) -> None:
    bond = Link(1, "lo", kind="bond")
    assert Devices(tmp_path).complete(bond) is bond


@private_net
def test_the_driver_is_the_devices_own_whatever_name_it_had() -> None:
    first, second = trio.run(make_veth, "v0", "v1")
    assert read_driver(first, "v0") == "veth"
    # The message named v0, but by now that is another device's name.
    assert read_driver(second, "v0") == ""
    assert read_driver(first, "gone") == ""


@private_net
def test_a_driver_is_remembered_over_a_rename_and_learnt_late() -> None:
    first, _ = trio.run(make_veth, "v0", "v1")
    devices = Devices()
    assert devices.complete(Link(first, "eth0")).driver == ""
    assert devices.complete(Link(first, "v0")).driver == "veth"
    assert devices.complete(Link(first, "eth0")).driver == "veth"


def test_devices_that_are_gone_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A VF that is plugged in again and again has a new ifindex each time. Those that stay are not asked again."""
    asked: list[int] = []

    def driver(ifindex: int, _name: str) -> str:
        asked.append(ifindex)
        return "ixgbevf"

    monkeypatch.setattr(module, "read_driver", driver)
    monkeypatch.setattr(module, "MOST", 4)
    devices = Devices()
    stays = Link(1, "ens3", bus="virtio", parent="virtio0")
    for ifindex in range(2, 100):
        assert devices.complete(stays).driver == "ixgbevf"
        assert devices.complete(Link(ifindex, "ens4", bus="pci", parent="0000:00:05.0")).driver == "ixgbevf"
    assert len(devices._known) == 4
    assert asked == list(range(1, 100))
    assert devices.complete(Link(2, "ens4", bus="pci", parent="0000:00:05.0")).driver == "ixgbevf"
    assert asked[-1] == 2, "who was forgotten and is there after all is asked again"


@private_net
def test_a_speed_is_the_drivers_and_0_where_there_is_none() -> None:
    """A veth says 10 Gb/s (drivers/net/veth.c, veth_get_link_ksettings)."""
    trio.run(make_veth, "speedy", "other")
    assert [read_speed(name) for name in ("speedy", "lo", "no-such-device")] == [10_000, 0, 0]
    assert [read_mode(name) for name in ("speedy", "lo")] == [Mode(10_000, half=False), Mode()]
